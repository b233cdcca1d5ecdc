#include "os/fiber_stack.h"

#include <assert.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/sanitizer.h"

enum {
    CACHE_LINE = 64,
    // Stacks begin at different offsets within a page. Without this all fibers keep their busiest
    // lines at one page offset and throw each other out of the same few cache sets.
    COLOURS = 16,
    COLOUR_BYTES = 2 * CACHE_LINE,
};

// At the low end of a stack without guard page.
static const uint64_t CANARY = UINT64_C(0x6b6e617262657266);

void fiber_stacks_init(FiberStacks *stacks, size_t stack_bytes, size_t guarded_max,
                       size_t cached_max)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    *stacks = (FiberStacks){
        .stack_bytes = (stack_bytes + page - 1) & ~(page - 1),
        .guarded_max = guarded_max,
        .cached_max = cached_max,
    };
}

static void unmap(FiberStacks *stacks, FiberStack *stack)
{
    stacks->mapped--;
    stacks->guarded -= stack->guarded;
    VALGRIND_DROP_STACK(stack->valgrind_id);
    int rc = munmap(stack->map, stack->map_bytes);
    assert(rc == 0);
    (void)rc;
}

void fiber_stacks_done(FiberStacks *stacks)
{
    while (stacks->free) {
        FiberStack *stack = stacks->free;
        stacks->free = stack->next_free;
        unmap(stacks, stack);
    }
    assert(stacks->mapped == 0);
}

static FiberStack *map_stack(FiberStacks *stacks, size_t object_bytes)
{
    // The guard page is there also without protection: it keeps the stacks' distance from being a
    // power of two, which would put them all into the same sets of the second-level cache.
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = stacks->stack_bytes + page;
    char *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (map == MAP_FAILED) {
        return NULL;
    }
    bool guarded = stacks->guarded < stacks->guarded_max && mprotect(map, page, PROT_NONE) == 0;
    if (!guarded) {
        // Neighbouring maps without guard merge into one, which huge pages would fill at once.
        (void)madvise(map, bytes, MADV_NOHUGEPAGE);
        memcpy(map + page, &CANARY, sizeof CANARY);
    }
    size_t colour_bytes = (stacks->colour++ % COLOURS) * COLOUR_BYTES;
    size_t object = (bytes - colour_bytes - object_bytes) & ~(size_t)(CACHE_LINE - 1);
    FiberStack *stack = (FiberStack *)(void *)(map + object);
    *stack = (FiberStack){.low = map + page, .map = map, .map_bytes = bytes, .guarded = guarded};
    stack->valgrind_id = VALGRIND_ADD_STACK(stack->low, (char *)stack);
    stacks->mapped++;
    stacks->guarded += guarded;
    return stack;
}

FiberStack *fiber_stack_take(FiberStacks *stacks, size_t object_bytes)
{
    FiberStack *stack = stacks->free;
    if (!stack) {
        return map_stack(stacks, object_bytes);
    }
    stacks->free = stack->next_free;
    stacks->cached--;
    return stack;
}

void fiber_stack_give(FiberStacks *stacks, FiberStack *stack)
{
    // What the finished fiber's frames poisoned is poison no more.
    ASAN_UNPOISON(stack->low, (size_t)((char *)stack - stack->low));
    if (!stack->guarded && memcmp(stack->low, &CANARY, sizeof CANARY) != 0) {
        die("a fiber overflowed its stack of %zu bytes", stacks->stack_bytes);
    }
    if (stacks->cached == stacks->cached_max) {
        unmap(stacks, stack);
        return;
    }
    stack->next_free = stacks->free;
    stacks->free = stack;
    stacks->cached++;
}
