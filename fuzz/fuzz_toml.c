// TOML documents: doc_check.h says what must hold.
#include "doc_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return doc_fuzz(data, size, DOC_FORMAT_TOML);
}
