// Compiler attributes and the three macros used everywhere.
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

#include <stddef.h>

// On every function that can fail: ignoring the result is a compile error under -Werror.
#define MUST_USE          __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define NORETURN          __attribute__((noreturn))
#define UNUSED            __attribute__((unused))

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

// The object of `type` whose member `member` is at `ptr`: embedded timers, list links, io watchers.
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
