#include "prof/heap.h"

#include <math.h>
#include <pthread.h>

#include "base/mem_hook.h"
#include "os/clock.h"
#include "os/stack_walk.h"
#include "prof/profile_impl.h"

// A sampled block that is alive.
typedef struct Live {
    void *block; // NULL: free slot
    Stack *stack;
    int64_t objects, bytes; // what it stands for
} Live;

enum { SLOTS = 2 * HEAP_LIVE_MAX, FILTER_SLOTS = 1 << 18 };

// Global, as the allocator's hook has no context. All but `filter` is under the lock.
static struct {
    pthread_mutex_t lock;
    int starts;
    int64_t begin_wall_ns;
    MemHook hook;
    Profile *profile;
    Live *live; // open addressing by address
    size_t live_count;
    // How many sampled blocks hash to each slot, so that freeing any other block, which nearly all
    // are, reads one byte and takes no lock.
    uint8_t *filter;
} heap = {.lock = PTHREAD_MUTEX_INITIALIZER};

static size_t hash(const void *block)
{
    return (size_t)(((uintptr_t)block >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 20);
}

static uint8_t *filter_of(const void *block)
{
    return &heap.filter[hash(block) % FILTER_SLOTS];
}

static void keep_live(void *block, Stack *stack, int64_t objects, int64_t bytes)
{
    uint8_t *filter = filter_of(block);
    if (heap.live_count == HEAP_LIVE_MAX || *filter == UINT8_MAX) {
        return;
    }
    size_t at = hash(block) % SLOTS;
    while (heap.live[at].block && heap.live[at].block != block) {
        at = (at + 1) % SLOTS;
    }
    if (!heap.live[at].block) {
        heap.live_count++;
        __atomic_store_n(filter, (uint8_t)(*filter + 1), __ATOMIC_RELAXED);
    } else {
        // Freed by a road that does not report; the address is somebody else's now.
        heap.live[at].stack->values[2] -= heap.live[at].objects;
        heap.live[at].stack->values[3] -= heap.live[at].bytes;
    }
    heap.live[at] = (Live){block, stack, objects, bytes};
    stack->values[2] += objects;
    stack->values[3] += bytes;
}

static void on_sampled(void *block, size_t bytes)
{
    uint64_t pcs[PROFILE_DEPTH_MAX];
    size_t depth = stack_walk_here(pcs, PROFILE_DEPTH_MAX);
    (void)pthread_mutex_lock(&heap.lock);
    if (heap.profile) {
        double size = bytes > 0 ? (double)bytes : 1;
        double weight = -1 / expm1(-size / (double)heap.hook.rate);
        int64_t objects = llround(weight), all_bytes = llround(weight * (double)bytes);
        Stack *stack = profile_add_stack(
            heap.profile,
            &(ProfileSample){.pcs = pcs, .depth = depth, .values = {objects, all_bytes}});
        if (stack) {
            keep_live(block, stack, objects, all_bytes);
        }
    }
    (void)pthread_mutex_unlock(&heap.lock);
}

// Closes the gap in the chain of probes (Knuth, TAOCP 6.4, algorithm R).
static void remove_slot(size_t gap)
{
    for (size_t at = (gap + 1) % SLOTS; heap.live[at].block; at = (at + 1) % SLOTS) {
        size_t home = hash(heap.live[at].block) % SLOTS;
        if ((at - home) % SLOTS >= (at - gap) % SLOTS) {
            heap.live[gap] = heap.live[at];
            gap = at;
        }
    }
    heap.live[gap].block = NULL;
}

static void on_freed(void *block)
{
    const uint8_t *filters = __atomic_load_n(&heap.filter, __ATOMIC_ACQUIRE);
    if (!filters || __atomic_load_n(filter_of(block), __ATOMIC_RELAXED) == 0) {
        return;
    }
    (void)pthread_mutex_lock(&heap.lock);
    size_t at = hash(block) % SLOTS;
    while (heap.live[at].block && heap.live[at].block != block) {
        at = (at + 1) % SLOTS;
    }
    if (heap.live[at].block) {
        heap.live[at].stack->values[2] -= heap.live[at].objects;
        heap.live[at].stack->values[3] -= heap.live[at].bytes;
        heap.live_count--;
        uint8_t *filter = filter_of(block);
        __atomic_store_n(filter, (uint8_t)(*filter - 1), __ATOMIC_RELAXED);
        remove_slot(at);
    }
    (void)pthread_mutex_unlock(&heap.lock);
}

static void begin(size_t rate)
{
    // The tables stay once they are there: a thread may be inside the hook when sampling stops.
    if (!heap.live) {
        heap.live = mem_alloc(SLOTS * sizeof(Live));
        __atomic_store_n(&heap.filter, mem_alloc(FILTER_SLOTS), __ATOMIC_RELEASE);
    }
    memset(heap.live, 0, SLOTS * sizeof(Live));
    memset(heap.filter, 0, FILTER_SLOTS);
    heap.live_count = 0;
    heap.hook = (MemHook){rate ? rate : HEAP_RATE, on_sampled, on_freed};
    heap.profile = profile_create(PROFILE_HEAP, (int64_t)heap.hook.rate);
    heap.begin_wall_ns = clock_wall(clock_real());
}

int heap_sampling_start(size_t rate, Err *e)
{
    if (!mem_hook_is_fed()) {
        return err_set(e, ERR_UNSUPPORTED, "this program's allocator does not report allocations");
    }
    mem_hook_pause();
    (void)pthread_mutex_lock(&heap.lock);
    if (heap.starts++ == 0) {
        begin(rate);
        mem_hook_set(&heap.hook);
    }
    (void)pthread_mutex_unlock(&heap.lock);
    mem_hook_resume();
    return 0;
}

void heap_sampling_stop(void)
{
    mem_hook_pause();
    (void)pthread_mutex_lock(&heap.lock);
    if (heap.starts > 0 && --heap.starts == 0) {
        mem_hook_set(NULL);
        profile_destroy(heap.profile);
        heap.profile = NULL;
        // What the hook still finds is found in no table.
        memset(heap.live, 0, SLOTS * sizeof(Live));
    }
    (void)pthread_mutex_unlock(&heap.lock);
    mem_hook_resume();
}

bool heap_sampling_is_on(void)
{
    (void)pthread_mutex_lock(&heap.lock);
    bool on = heap.starts > 0;
    (void)pthread_mutex_unlock(&heap.lock);
    return on;
}

Profile *heap_snapshot(void)
{
    mem_hook_pause();
    (void)pthread_mutex_lock(&heap.lock);
    const Profile *all = heap.profile;
    Profile *copy = profile_create(PROFILE_HEAP, all ? all->period : HEAP_RATE);
    for (size_t i = 0; all && i < all->stack_count; i++) {
        const Stack *s = all->stacks[i];
        ProfileSample sample = {.pcs = s->pcs, .depth = s->depth};
        memcpy(sample.values, s->values, sizeof sample.values);
        profile_add(copy, &sample);
    }
    if (all) {
        int64_t now_ns = clock_wall(clock_real());
        profile_add_lost(copy, all->lost);
        profile_set_times(copy, now_ns, now_ns - heap.begin_wall_ns);
    }
    (void)pthread_mutex_unlock(&heap.lock);
    mem_hook_resume();
    return copy;
}
