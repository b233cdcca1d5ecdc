// Walking a stack by its frame pointers: every frame of code built with -fno-omit-frame-pointer
// begins with the caller's frame pointer and the return address. Memory is read through the kernel,
// so a frame pointer that code without frames left behind ends the walk instead of the program.
// Works in signal handlers and on fibers, whose first frame has a null frame pointer.
//
// What it cannot see: the caller of a function that has no frame of its own (libc's), where that
// function is the innermost. x86-64 and arm64; elsewhere stack_walk_context finds nothing.
#ifndef OS_STACK_WALK_H
#define OS_STACK_WALK_H

#include <stddef.h>
#include <stdint.h>

// Addresses, innermost first: where `context` (a ucontext_t, third argument of a signal handler)
// was interrupted and the return addresses above. Returns how many, at most `max`.
size_t stack_walk_context(const void *context, uint64_t *ret_pcs, size_t max);
// Return addresses above the caller of this function, the caller's own first.
size_t stack_walk_here(uint64_t *ret_pcs, size_t max);

#endif
