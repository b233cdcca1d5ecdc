// The machine's part of fibers: saving one stack and going on with another. Used by fiber.c only.
#ifndef OS_FIBER_SWITCH_H
#define OS_FIBER_SWITCH_H

#include <stddef.h>

// A suspended stack: the stack pointer below its saved registers (a ucontext elsewhere).
typedef struct FiberContext {
    void *sp;
} FiberContext;

typedef void FiberEntryFn(void *arg);

// Prepares a new stack so that the first switch to it calls entry(arg), which never returns.
void fiber_context_init(FiberContext *context, char *low, char *high, FiberEntryFn *entry,
                        void *arg);
// Drops what fiber_context_init allocated (nothing but with ucontext).
void fiber_context_done(FiberContext *context);

// Saves the callee-saved registers on the running stack, stores it into `from` and continues `to`.
void fiber_context_switch(FiberContext *from, FiberContext *to);

// Frame pointer and return address where a suspended stack goes on; false where unknown.
int fiber_context_frame(const FiberContext *context, void **ret_frame, void **ret_address);

#endif
