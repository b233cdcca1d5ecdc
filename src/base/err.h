// Errors: a negative code for the program and words for the person, without globals.
//
// A function that can fail returns 0 or a negative ErrCode and takes `Err *e` as its last argument.
// `e` may be NULL when the caller does not want words. The place that finds the fault writes the
// sentence (err_set), each layer on the way up may add context once (err_wrap), and only the top
// prints. A message says what is wrong, where, and what to do about it.
//
//     if (n > LIMIT) {
//         return err_set(e, ERR_LIMIT, "body is %zu bytes, the limit is %d", n, LIMIT);
//     }
//
// On success `*e` is left untouched; check the return value, never the text.
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/attr.h"

typedef enum ErrCode {
    ERR_ARG = -1,          // the caller's argument is out of its documented range
    ERR_PARSE = -2,        // input does not follow its grammar
    ERR_LIMIT = -3,        // a named ceiling was reached
    ERR_IO = -4,           // the operating system refused; the text carries strerror
    ERR_NOT_FOUND = -5,    //
    ERR_EXISTS = -6,       //
    ERR_TIMEOUT = -7,      //
    ERR_CANCELLED = -8,    // the waiting fiber or job was told to unwind
    ERR_REFUSED = -9,      // a guard rail said no
    ERR_CONFLICT = -10,    // somebody else changed it first
    ERR_VERSION = -11,     // a format newer than this program
    ERR_PROTOCOL = -12,    // the peer broke its protocol
    ERR_DNS = -13,         //
    ERR_CONNECT = -14,     //
    ERR_TLS = -15,         //
    ERR_CLOSED = -16,      // the peer closed, or the object is stopping
    ERR_FULL = -17,        // a bounded queue or the disk is full
    ERR_CORRUPT = -18,     // stored data does not match its hash or layout
    ERR_BUSY = -19,        // locked by another process; try again
    ERR_UNSUPPORTED = -20, // valid, but this build or platform cannot do it
    ERR_SCRIPT = -21,      // a script threw and did not catch
    ERR_UNSTABLE = -22     // a queue that would grow without end; the text says what would stop it
} ErrCode;

enum { ERR_TEXT_MAX = 1024 };

typedef struct Err {
    int code;
    char text[ERR_TEXT_MAX];
} Err;

// Sets code and text (cut at ERR_TEXT_MAX - 1, on a UTF-8 boundary) and returns `code`. `e` may be
// NULL.
int err_set(Err *e, ErrCode code, const char *format, ...) PRINTF_LIKE(3, 4);

// As err_set with ": strerror(errno_value)" behind the text.
int err_errno(Err *e, ErrCode code, int errno_value, const char *format, ...) PRINTF_LIKE(4, 5);

// Puts "context: " before the text that is there and returns e->code (ERR_ARG where `e` is NULL, so
// prefer `return rc` after a wrap whose e may be NULL).
int err_wrap(Err *e, const char *format, ...) PRINTF_LIKE(2, 3);

// "ERR_PARSE" for ERR_PARSE; for logs and tests.
const char *err_name(int code);

// The one hook for exhausted memory and broken invariants: prints and aborts.
NORETURN void die(const char *format, ...) PRINTF_LIKE(1, 2);

// malloc family that never returns NULL: out of memory ends the process through die().
void *mem_alloc(size_t bytes) __attribute__((malloc, alloc_size(1)));
void *mem_zalloc(size_t bytes) __attribute__((malloc, alloc_size(1)));
void *mem_realloc(void *ptr, size_t bytes) __attribute__((alloc_size(2)));

#endif
