#include "os/stack_walk.h"

#include <stdbool.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include "os/sanitizer.h"

// A caller's frame further up than this is garbage.
enum { FRAME_BYTES_MAX = 8 << 20 };

static bool read_frame(uint64_t at, uint64_t ret_words[2])
{
    struct iovec here = {ret_words, 2 * sizeof ret_words[0]};
    struct iovec there = {(void *)(uintptr_t)at, here.iov_len};
    return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == (ssize_t)here.iov_len;
}

static size_t walk(uint64_t frame, uint64_t *ret_pcs, size_t count, size_t max)
{
    uint64_t words[2];
    while (count < max && frame != 0 && frame % sizeof(uint64_t) == 0 && read_frame(frame, words)) {
        if (words[1] == 0) {
            break;
        }
        ret_pcs[count++] = words[1];
        // Stacks grow down: a caller's frame lies above.
        if (words[0] <= frame || words[0] - frame > FRAME_BYTES_MAX) {
            break;
        }
        frame = words[0];
    }
    return count;
}

size_t stack_walk_context(const void *context, uint64_t *ret_pcs, size_t max)
{
    const ucontext_t *u = context;
    if (max == 0) {
        return 0;
    }
#if defined(__x86_64__)
    ret_pcs[0] = (uint64_t)u->uc_mcontext.gregs[REG_RIP];
    return walk((uint64_t)u->uc_mcontext.gregs[REG_RBP], ret_pcs, 1, max);
#elif defined(__aarch64__)
    ret_pcs[0] = u->uc_mcontext.pc;
    return walk(u->uc_mcontext.regs[29], ret_pcs, 1, max);
#else
    (void)u;
    (void)ret_pcs;
    return 0;
#endif
}

#if defined(PW_ASAN) || defined(PW_TSAN) || !(defined(__x86_64__) || defined(__aarch64__))

// The sanitizers' allocator, which calls the heap profiler, is built without frame pointers: here
// the slow way by unwind tables.
typedef struct Unwound {
    uint64_t *pcs;
    size_t count, max;
    bool skipped; // this file's own frame
} Unwound;

static _Unwind_Reason_Code add_frame(struct _Unwind_Context *context, void *arg)
{
    Unwound *u = arg;
    uint64_t pc = _Unwind_GetIP(context);
    if (u->skipped && pc != 0 && u->count < u->max) {
        u->pcs[u->count++] = pc;
    }
    u->skipped = true;
    return u->count < u->max ? _URC_NO_REASON : _URC_END_OF_STACK;
}

__attribute__((noinline)) size_t stack_walk_here(uint64_t *ret_pcs, size_t max)
{
    Unwound u = {.pcs = ret_pcs, .max = max};
    (void)_Unwind_Backtrace(add_frame, &u);
    return u.count;
}

#else

__attribute__((noinline)) size_t stack_walk_here(uint64_t *ret_pcs, size_t max)
{
    return walk((uint64_t)(uintptr_t)__builtin_frame_address(0), ret_pcs, 0, max);
}

#endif
