// What AddressSanitizer, ThreadSanitizer and valgrind must be told about memory and stacks that we
// manage ourselves. Without them every macro is nothing. Used inside os/ only.
#ifndef OS_SANITIZER_H
#define OS_SANITIZER_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PW_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define PW_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define PW_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define PW_TSAN 1
#endif

#if defined(PW_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define ASAN_UNPOISON(ptr, bytes)            __asan_unpoison_memory_region((ptr), (bytes))
#define ASAN_START_SWITCH(save, low, bytes)  __sanitizer_start_switch_fiber((save), (low), (bytes))
#define ASAN_FINISH_SWITCH(save, low, bytes) __sanitizer_finish_switch_fiber((save), (low), (bytes))
#else
#define ASAN_UNPOISON(ptr, bytes)            ((void)(ptr), (void)(bytes))
#define ASAN_START_SWITCH(save, low, bytes)  ((void)(save), (void)(low), (void)(bytes))
#define ASAN_FINISH_SWITCH(save, low, bytes) ((void)(save), (void)(low), (void)(bytes))
#endif

// Instrumented frames are several times as large.
#if defined(PW_ASAN) || defined(PW_TSAN)
#define SANITIZER_STACK_FACTOR 4
#else
#define SANITIZER_STACK_FACTOR 1
#endif

#if defined(PW_TSAN)
#include <sanitizer/tsan_interface.h>
#define TSAN_CURRENT()      __tsan_get_current_fiber()
#define TSAN_CREATE()       __tsan_create_fiber(0)
#define TSAN_DESTROY(fiber) __tsan_destroy_fiber(fiber)
#define TSAN_SWITCH(fiber)  __tsan_switch_to_fiber((fiber), 0)
#else
#define TSAN_CURRENT()      NULL
#define TSAN_CREATE()       NULL
#define TSAN_DESTROY(fiber) ((void)(fiber))
#define TSAN_SWITCH(fiber)  ((void)(fiber))
#endif

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define VALGRIND_ADD_STACK(low, high) VALGRIND_STACK_REGISTER((low), (high))
#define VALGRIND_DROP_STACK(id)       VALGRIND_STACK_DEREGISTER(id)
#endif
#endif
#if !defined(VALGRIND_ADD_STACK)
#define VALGRIND_ADD_STACK(low, high) 0U
#define VALGRIND_DROP_STACK(id)       ((void)(id))
#endif

#endif
