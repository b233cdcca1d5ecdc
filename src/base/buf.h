// Buf: a growing byte buffer that names its ceiling when it is made.
//
// Building text is a long row of appends, so failure is sticky instead of returned: an append that
// would pass `max` appends nothing and sets `overflowed`; later appends do nothing; the builder
// checks once at the end with buf_check().
//
//     Buf b = buf_create(REPORT_BYTES_MAX);
//     buf_puts(&b, "<h1>");
//     buf_append(&b, title);
//     if ((rc = buf_check(&b, "report", e)) != 0) ...
//     buf_done(&b);
//
// data is always followed by a NUL byte that len does not count, once anything was appended.
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/err.h"
#include "base/slice.h"

typedef struct Buf {
    char *data; // NULL until the first append
    size_t len;
    size_t capacity;
    size_t max; // ceiling in bytes
    bool overflowed;
} Buf;

static inline Buf buf_create(size_t max)
{
    return (Buf){.max = max};
}
void buf_done(Buf *b);  // frees; the struct may be used again after buf_create
void buf_reset(Buf *b); // len = 0, overflowed = false, keeps the memory

void buf_append(Buf *b, Slice s);
void buf_puts(Buf *b, const char *text);
void buf_putc(Buf *b, char c);
void buf_printf(Buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_append_base64(Buf *b, const void *data, size_t len);
// Lower-case hexadecimal.
void buf_append_hex(Buf *b, const void *data, size_t len);

// Makes room for `bytes` more and returns where they go, NULL past the ceiling; add what was really
// written to len with buf_commit.
char *buf_reserve(Buf *b, size_t bytes);
void buf_commit(Buf *b, size_t bytes);
// Drops the first `bytes`, moving the rest to the front.
void buf_consume(Buf *b, size_t bytes);

static inline Slice buf_slice(const Buf *b)
{
    return (Slice){b->data, b->len};
}
// 0, or ERR_LIMIT with "`what` is larger than N bytes".
MUST_USE int buf_check(const Buf *b, const char *what, Err *e);

// Decodes standard base64 with padding into `out` (append). ERR_PARSE on anything else.
MUST_USE int buf_append_base64_decoded(Buf *out, Slice text);

#endif
