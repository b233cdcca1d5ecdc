#include "base/err.h"

#include <errno.h>
#include <stdarg.h>

// Cuts at ERR_TEXT_MAX without leaving half a UTF-8 sequence at the end.
static void trim_utf8(char *text)
{
    size_t len = strlen(text);
    if (len < ERR_TEXT_MAX - 1) {
        return;
    }
    size_t start = len;
    while (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0x80) {
        start--;
    }
    if (start > 0 && ((unsigned char)text[start - 1] & 0x80) != 0) {
        text[start - 1] = '\0';
    }
}

int err_set(Err *e, ErrCode code, const char *format, ...)
{
    if (!e) {
        return code;
    }
    // Through a copy, so that an argument may be e->text itself.
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    e->code = code;
    memcpy(e->text, text, sizeof text);
    trim_utf8(e->text);
    return code;
}

int err_errno(Err *e, ErrCode code, int errno_value, const char *format, ...)
{
    if (!e) {
        return code;
    }
    char words[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    char reason[128];
    return err_set(e, code, "%s: %s", words, strerror_r(errno_value, reason, sizeof reason));
}

int err_wrap(Err *e, const char *format, ...)
{
    if (!e) {
        return ERR_ARG;
    }
    char context[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(context, sizeof context, format, args);
    va_end(args);
    return err_set(e, e->code, "%s: %s", context, e->text);
}

const char *err_name(int code)
{
    static const char *const names[] = {
        "OK",           "ERR_ARG",      "ERR_PARSE",
        "ERR_LIMIT",    "ERR_IO",       "ERR_NOT_FOUND",
        "ERR_EXISTS",   "ERR_TIMEOUT",  "ERR_CANCELLED",
        "ERR_REFUSED",  "ERR_CONFLICT", "ERR_VERSION",
        "ERR_PROTOCOL", "ERR_DNS",      "ERR_CONNECT",
        "ERR_TLS",      "ERR_CLOSED",   "ERR_FULL",
        "ERR_CORRUPT",  "ERR_BUSY",     "ERR_UNSUPPORTED",
        "ERR_SCRIPT",   "ERR_UNSTABLE",
    };
    size_t index = (size_t)-code;
    return code <= 0 && index < COUNT_OF(names) ? names[index] : "ERR_UNKNOWN";
}

void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("perfwright: fatal: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    abort();
}

void *mem_alloc(size_t bytes)
{
    void *ptr = malloc(bytes ? bytes : 1);
    if (!ptr) {
        die("out of memory for %zu bytes", bytes);
    }
    return ptr;
}

void *mem_zalloc(size_t bytes)
{
    void *ptr = calloc(1, bytes ? bytes : 1);
    if (!ptr) {
        die("out of memory for %zu bytes", bytes);
    }
    return ptr;
}

void *mem_realloc(void *ptr, size_t bytes)
{
    void *grown = realloc(ptr, bytes ? bytes : 1);
    if (!grown) {
        die("out of memory for %zu bytes", bytes);
    }
    return grown;
}
