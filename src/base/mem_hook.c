#include "base/mem_hook.h"

#include <math.h>
#include <stdint.h>

static const MemHook *the_hook;
static bool fed;

typedef struct Sampling {
    double left;   // bytes until the next sample of this thread
    size_t rate;   // that it was drawn for; 0: this thread has not begun
    uint64_t seed;
    bool paused;
} Sampling;

static _Thread_local Sampling self;

void mem_hook_set(const MemHook *hook)
{
    __atomic_store_n(&the_hook, hook, __ATOMIC_RELEASE);
}

void mem_hook_feed(void)
{
    fed = true;
}

bool mem_hook_is_fed(void)
{
    return fed;
}

void mem_hook_pause(void)
{
    self.paused = true;
}

void mem_hook_resume(void)
{
    self.paused = false;
}

// xorshift64* (Vigna, 2016): a library generator would be larger than what it serves.
static double distance(size_t rate)
{
    uint64_t x = self.seed;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    self.seed = x;
    double unit = (double)((x * UINT64_C(0x2545F4914F6CDD1D)) >> 11) * 0x1p-53;
    return -log1p(-unit) * (double)rate;
}

static void count(const MemHook *hook, void *block, size_t bytes)
{
    if (self.rate != hook->rate) {
        // Different for every thread, which is all that is asked of it.
        self.seed = self.seed ? self.seed : (((uintptr_t)&self ^ (uintptr_t)block) | 1);
        self.rate = hook->rate;
        (void)distance(hook->rate);
        self.left = distance(hook->rate);
    }
    self.left -= (double)bytes;
    if (self.left >= 0) {
        return;
    }
    self.left = distance(hook->rate);
    self.paused = true;
    hook->sampled(block, bytes);
    self.paused = false;
}

void mem_hook_allocated(void *block, size_t bytes)
{
    const MemHook *hook = __atomic_load_n(&the_hook, __ATOMIC_ACQUIRE);
    if (__builtin_expect(hook != NULL, 0) && block && !self.paused) {
        count(hook, block, bytes);
    }
}

void mem_hook_freed(void *block)
{
    const MemHook *hook = __atomic_load_n(&the_hook, __ATOMIC_ACQUIRE);
    if (__builtin_expect(hook != NULL, 0) && block && !self.paused) {
        hook->freed(block);
    }
}
