// The C library's allocator with a report to base/mem_hook.h before or after each call, so that
// the heap profile sees everything, QuickJS, OpenSSL and SQLite included. Linked into executables,
// never into libraries: whose malloc a program uses is the program's decision. Glibc lets malloc be
// replaced (manual, "Replacing malloc") and keeps its own under these names; the functions not
// replaced (aligned_alloc, posix_memalign) stay its own and share the heap.
//
// Sanitizers replace malloc themselves and have a hook of their own.
#include "base/mem_hook.h"

#include <stdint.h>

#if defined(__has_feature) // clang
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

#if defined(SANITIZED)

int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void *, size_t),
                                              void (*freed)(const volatile void *));

static void on_malloc(const volatile void *block, size_t bytes)
{
    mem_hook_allocated((void *)(uintptr_t)block, bytes);
}

static void on_free(const volatile void *block)
{
    mem_hook_freed((void *)(uintptr_t)block);
}

__attribute__((constructor)) static void install(void)
{
    (void)__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
    mem_hook_feed();
}

#elif defined(__GLIBC__)

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *block, size_t bytes);
void __libc_free(void *block);

#define PUBLIC __attribute__((visibility("default")))

PUBLIC void *malloc(size_t bytes)
{
    void *block = __libc_malloc(bytes);
    mem_hook_allocated(block, bytes);
    return block;
}

PUBLIC void *calloc(size_t count, size_t bytes)
{
    void *block = __libc_calloc(count, bytes);
    mem_hook_allocated(block, count * bytes); // an overflow made block NULL
    return block;
}

PUBLIC void *realloc(void *block, size_t bytes)
{
    // Before: another thread may be given the block as soon as it is free.
    mem_hook_freed(block);
    void *moved = __libc_realloc(block, bytes);
    mem_hook_allocated(moved, bytes);
    return moved;
}

PUBLIC void free(void *block)
{
    mem_hook_freed(block);
    __libc_free(block);
}

__attribute__((constructor)) static void install(void)
{
    mem_hook_feed();
}

#endif
