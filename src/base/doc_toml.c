#include "base/doc_build.h"

int doc_toml_read(DocBuilder *b, Doc **ret_doc)
{
    (void)ret_doc;
    return doc_fail(b, ERR_UNSUPPORTED, (DocPlace){1, 1}, "TOML is not read yet");
}
