#include "os/fiber_switch.h"

#include <stdint.h>

// A switch is a function call to the compiler, so only callee-saved registers are kept: six on
// x86-64 (System V ABI section 3.2.1), twenty on arm64 (AAPCS64 section 6.1). swapcontext would
// also save the signal mask, by two system calls a switch. Control words of the floating-point
// units are not saved; fibers do not change them.

// The tests build the portable way on every machine too.
#if defined(PW_FIBER_UCONTEXT)
#define FIBER_UCONTEXT 1
#elif defined(__x86_64__)

// Leaves by an indirect jump instead of `ret`: the processor predicts returns from a stack of its
// own, which a switch would put out of step for all callers up the chain.
__asm__(".text\n"
        ".p2align 4\n"
        ".hidden fiber_context_swap\n"
        ".globl fiber_context_swap\n"
        ".type fiber_context_swap, @function\n"
        "fiber_context_swap:\n"
        ".cfi_startproc\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    popq %rcx\n"
        "    jmpq *%rcx\n"
        ".cfi_endproc\n"
        ".size fiber_context_swap, .-fiber_context_swap\n"
        // First frame of a fiber: r12 holds the argument, r13 the function. Unwinders stop here.
        ".p2align 4\n"
        ".hidden fiber_context_start\n"
        ".globl fiber_context_start\n"
        ".type fiber_context_start, @function\n"
        "fiber_context_start:\n"
        ".cfi_startproc\n"
        ".cfi_undefined rip\n"
        "    xorl %ebp, %ebp\n"
        "    movq %r12, %rdi\n"
        "    callq *%r13\n"
        "    ud2\n"
        ".cfi_endproc\n"
        ".size fiber_context_start, .-fiber_context_start\n");

enum { SAVED_R15, SAVED_R14, SAVED_R13, SAVED_R12, SAVED_RBX, SAVED_RBP, SAVED_RIP, SAVED_WORDS };
enum {
    SAVED_ARG = SAVED_R12,
    SAVED_ENTRY = SAVED_R13,
    SAVED_FRAME = SAVED_RBP,
    SAVED_PC = SAVED_RIP
};

#elif defined(__aarch64__)

__asm__(".text\n"
        ".p2align 4\n"
        ".hidden fiber_context_swap\n"
        ".globl fiber_context_swap\n"
        ".type fiber_context_swap, %function\n"
        "fiber_context_swap:\n"
        ".cfi_startproc\n"
        "    sub sp, sp, #160\n"
        "    stp x19, x20, [sp, #0]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        "    ldp x19, x20, [sp, #0]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    br x30\n"
        ".cfi_endproc\n"
        ".size fiber_context_swap, .-fiber_context_swap\n"
        // First frame of a fiber: x19 holds the argument, x20 the function. Unwinders stop here.
        ".p2align 4\n"
        ".hidden fiber_context_start\n"
        ".globl fiber_context_start\n"
        ".type fiber_context_start, %function\n"
        "fiber_context_start:\n"
        ".cfi_startproc\n"
        ".cfi_undefined x30\n"
        "    mov x29, xzr\n"
        "    mov x30, xzr\n"
        "    mov x0, x19\n"
        "    blr x20\n"
        "    brk #1\n"
        ".cfi_endproc\n"
        ".size fiber_context_start, .-fiber_context_start\n");

enum { SAVED_ARG = 0, SAVED_ENTRY = 1, SAVED_FRAME = 10, SAVED_PC = 11, SAVED_WORDS = 20 };

#else
#define FIBER_UCONTEXT 1
#endif

#if !defined(FIBER_UCONTEXT)

void fiber_context_swap(void **save_sp, void *load_sp);
void fiber_context_start(void);

void fiber_context_init(FiberContext *context, char *low, char *high, FiberEntryFn *entry,
                        void *arg)
{
    (void)low;
    uintptr_t top = (uintptr_t)high & ~(uintptr_t)15;
    // fiber_context_start finds the stack pointer at `top`: a multiple of 16, as before any call.
    uintptr_t *words = (uintptr_t *)top - SAVED_WORDS;
    for (int i = 0; i < SAVED_WORDS; i++) {
        words[i] = 0;
    }
    words[SAVED_ARG] = (uintptr_t)arg;
    words[SAVED_ENTRY] = (uintptr_t)entry;
    words[SAVED_PC] = (uintptr_t)fiber_context_start;
    context->sp = words;
}

void fiber_context_done(FiberContext *context)
{
    (void)context;
}

void fiber_context_switch(FiberContext *from, FiberContext *to)
{
    fiber_context_swap(&from->sp, to->sp);
}

int fiber_context_frame(const FiberContext *context, void **ret_frame, void **ret_address)
{
    void **words = context->sp;
    *ret_frame = words[SAVED_FRAME];
    *ret_address = words[SAVED_PC];
    return 1;
}

#else // any other machine: slow, but right

#include <stdlib.h>
#include <ucontext.h>

#include "base/err.h"

static void ucontext_start(unsigned entry_high, unsigned entry_low, unsigned arg_high,
                           unsigned arg_low)
{
    FiberEntryFn *entry = (FiberEntryFn *)(uintptr_t)((uint64_t)entry_high << 32 | entry_low);
    entry((void *)(uintptr_t)((uint64_t)arg_high << 32 | arg_low));
}

void fiber_context_init(FiberContext *context, char *low, char *high, FiberEntryFn *entry,
                        void *arg)
{
    ucontext_t *u = mem_zalloc(sizeof *u);
    (void)getcontext(u);
    u->uc_stack.ss_sp = low;
    u->uc_stack.ss_size = (size_t)(high - low);
    uint64_t entry_bits = (uintptr_t)entry;
    uint64_t arg_bits = (uintptr_t)arg;
    makecontext(u, (void (*)(void))ucontext_start, 4, (unsigned)(entry_bits >> 32),
                (unsigned)entry_bits, (unsigned)(arg_bits >> 32), (unsigned)arg_bits);
    context->sp = u;
}

void fiber_context_done(FiberContext *context)
{
    free(context->sp);
    context->sp = NULL;
}

void fiber_context_switch(FiberContext *from, FiberContext *to)
{
    if (!from->sp) {
        from->sp = mem_zalloc(sizeof(ucontext_t));
    }
    (void)swapcontext(from->sp, to->sp);
}

int fiber_context_frame(const FiberContext *context, void **ret_frame, void **ret_address)
{
    (void)context;
    (void)ret_frame;
    (void)ret_address;
    return 0;
}

#endif
