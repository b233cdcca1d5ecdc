// HTTP/1 requests. The first byte chooses how the rest is cut into pieces, which must not matter.
#include "http1_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    Slice input = {(const char *)data + 1, size - 1};
    Http1Outcome o = http1_fuzz_all(HTTP1_REQUEST, false, input, 2 + data[0] % 64);
    if (o.rc == 0) {
        assert(o.head.version_major == 1 && o.head.version_minor <= 1);
        assert(o.head.method[0] != '\0' && o.head.line_len > 0);
        assert(!(o.head.chunked && o.head.content_length >= 0));
        assert(o.head.content_length < 0 || o.head.content_length == o.body_bytes);
    } else {
        assert(o.answer >= 400 && o.answer < 600);
    }
    http1_fuzz_free(&o);
    return 0;
}
