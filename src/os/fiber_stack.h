// FiberStacks: the stacks of a fiber pool, mapped on demand and recycled. Used by fiber.c only.
#ifndef OS_FIBER_STACK_H
#define OS_FIBER_STACK_H

#include "base/err.h"
#include "base/slice.h"

typedef struct FiberStack FiberStack;

// Lies at the upper end of the stack that it describes; what embeds it is the fiber.
struct FiberStack {
    FiberStack *next_free;
    char *low; // lowest usable byte
    char *map;
    size_t map_bytes;
    unsigned valgrind_id;
    bool guarded;
};

typedef struct FiberStacks {
    size_t stack_bytes;
    size_t guarded_max;
    size_t cached_max;
    FiberStack *free;
    size_t cached;
    size_t mapped;
    size_t guarded;
    unsigned colour;
} FiberStacks;

void fiber_stacks_init(FiberStacks *stacks, size_t stack_bytes, size_t guarded_max,
                       size_t cached_max);
void fiber_stacks_done(FiberStacks *stacks);
// `object_bytes` at the upper end are the caller's, beginning with a FiberStack; zeroed when new,
// as they were left when recycled. NULL when the system refuses.
FiberStack *fiber_stack_take(FiberStacks *stacks, size_t object_bytes);
void fiber_stack_give(FiberStacks *stacks, FiberStack *stack);

#endif
