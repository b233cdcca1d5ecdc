#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>

enum { CAPACITY_FIRST = 256 };

void buf_done(Buf *b)
{
    free(b->data);
    *b = (Buf){.max = b->max};
}

void buf_reset(Buf *b)
{
    b->len = 0;
    b->overflowed = false;
}

char *buf_reserve(Buf *b, size_t bytes)
{
    if (b->overflowed || bytes > b->max - b->len) {
        b->overflowed = true;
        return NULL;
    }
    size_t needed = b->len + bytes + 1; // the NUL
    if (needed > b->capacity) {
        size_t capacity = b->capacity ? b->capacity : CAPACITY_FIRST;
        while (capacity < needed) {
            capacity *= 2;
        }
        b->data = mem_realloc(b->data, capacity);
        b->capacity = capacity;
    }
    return b->data + b->len;
}

void buf_commit(Buf *b, size_t bytes)
{
    assert(b->len + bytes < b->capacity);
    b->len += bytes;
    b->data[b->len] = '\0';
}

void buf_consume(Buf *b, size_t bytes)
{
    assert(bytes <= b->len);
    if (bytes == 0) {
        return;
    }
    memmove(b->data, b->data + bytes, b->len - bytes);
    b->len -= bytes;
    b->data[b->len] = '\0';
}

void buf_append(Buf *b, Slice s)
{
    char *at = buf_reserve(b, s.len);
    if (at) {
        if (s.len > 0) {
            memcpy(at, s.ptr, s.len);
        }
        buf_commit(b, s.len);
    }
}

void buf_puts(Buf *b, const char *text)
{
    buf_append(b, slice_from_cstr(text));
}

void buf_putc(Buf *b, char c)
{
    buf_append(b, (Slice){&c, 1});
}

void buf_printf(Buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(len >= 0);
    char *at = buf_reserve(b, (size_t)len);
    if (at) {
        (void)vsnprintf(at, (size_t)len + 1, format, again);
        buf_commit(b, (size_t)len);
    }
    va_end(again);
}

static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void buf_append_base64(Buf *b, const void *data, size_t len)
{
    const unsigned char *in = data;
    char *out = buf_reserve(b, (len + 2) / 3 * 4);
    if (!out) {
        return;
    }
    size_t n = 0;
    for (size_t i = 0; i < len; i += 3) {
        uint32_t group = (uint32_t)in[i] << 16;
        group |= i + 1 < len ? (uint32_t)in[i + 1] << 8 : 0;
        group |= i + 2 < len ? in[i + 2] : 0;
        out[n++] = BASE64[group >> 18];
        out[n++] = BASE64[group >> 12 & 63];
        out[n++] = i + 1 < len ? BASE64[group >> 6 & 63] : '=';
        out[n++] = i + 2 < len ? BASE64[group & 63] : '=';
    }
    buf_commit(b, n);
}

void buf_append_hex(Buf *b, const void *data, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *in = data;
    char *out = buf_reserve(b, len * 2);
    if (!out) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
    buf_commit(b, len * 2);
}

int buf_check(const Buf *b, const char *what, Err *e)
{
    if (b->overflowed) {
        return err_set(e, ERR_LIMIT, "%s is larger than %zu bytes", what, b->max);
    }
    return 0;
}

static int base64_value(char c)
{
    const char *at = c ? strchr(BASE64, c) : NULL;
    return at ? (int)(at - BASE64) : -1;
}

int buf_append_base64_decoded(Buf *out, Slice text)
{
    if (text.len % 4 != 0) {
        return ERR_PARSE;
    }
    for (size_t i = 0; i < text.len; i += 4) {
        const char *in = text.ptr + i;
        bool last = i + 4 == text.len;
        int pad = last && in[3] == '=' ? 1 + (in[2] == '=') : 0;
        uint32_t group = 0;
        for (int k = 0; k < 4; k++) {
            int value = k >= 4 - pad ? 0 : base64_value(in[k]);
            if (value < 0) {
                return ERR_PARSE;
            }
            group = group << 6 | (uint32_t)value;
        }
        char bytes[3] = {(char)(group >> 16), (char)(group >> 8), (char)group};
        buf_append(out, (Slice){bytes, (size_t)(3 - pad)});
    }
    return out->overflowed ? ERR_LIMIT : 0;
}
