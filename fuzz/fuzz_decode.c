// Content decoding: the first byte chooses the coding, the rest is the body. The ceiling holds, and
// a failure has words.
#include "net/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PLAIN_MAX = 64 << 10 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const codings[] = {"gzip", "deflate", "br", "zstd", "br, gzip"};
    if (size == 0) {
        return 0;
    }
    HttpHead head = http_head_create(NULL);
    http_head_reset(&head);
    Slice coding = slice_from_cstr(codings[data[0] % COUNT_OF(codings)]);
    Buf plain = buf_create(PLAIN_MAX);
    Slice body;
    Err e = {0};
    int rc = http_head_add(&head, SLICE("content-encoding"), coding);
    if (rc == 0) {
        rc = http_decode_body(&head, (Slice){(const char *)data + 1, size - 1}, &plain, &body, &e);
    }
    if (rc == 0 ? body.len > PLAIN_MAX : e.text[0] == '\0') {
        die("fuzz decode: a body over the ceiling or a failure without words");
    }
    buf_done(&plain);
    http_head_done(&head);
    return 0;
}
