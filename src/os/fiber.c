#include "os/fiber.h"

#include <assert.h>
#include <pthread.h>

#include "os/fiber_stack.h"
#include "os/fiber_switch.h"
#include "os/sanitizer.h"

// A fiber is always switched to by the pool's scheduler, which runs as deferred work of the loop,
// and always switches back to it: waking only moves a fiber to the ready list. So no code between
// two parks is ever interrupted by another fiber. See docs/internals/fibers.md.

enum {
    SLOW_NS = 5000000,
    // Runs in one round before the loop looks at its file descriptors again.
    RUNS_PER_ROUND = 1024,
};

struct Fiber {
    FiberStack stack; // first: the pool recycles stacks together with their fiber
    FiberContext context;
    FiberPool *pool;
    FiberFn *fn;
    void *arg;
    const char *name;
    const char *why;
    Fiber *ready_next;
    Fiber *alive_prev;
    Fiber *alive_next;
    FiberGroup *group;
    Fiber *queue_prev; // in the FiberQueue it waits in
    Fiber *queue_next;
    bool queued;
    // Stays in the loop's heap from one park to the next, and from one fiber of a stack to the
    // next.
    LoopTimer timer;
    FiberState state;
    int wake_code;
    bool cancelled;
    bool finished;
    void *asan_save;
    void *tsan;
};

struct FiberPool {
    Loop *loop;
    LoopDefer run;
    FiberContext scheduler;
    Fiber *ready_first;
    Fiber *ready_last;
    Fiber *alive_first;
    FiberStacks stacks;
    FiberOptions options;
    FiberStats stats;
    // Calibrates the cycle counter: both were read when the pool was made.
    uint64_t cycles_start;
    int64_t real_start_ns;
    uint64_t slow_cycles; // no more than slow_ns, by any plausible frequency
    const void *asan_low; // the loop's own stack
    size_t asan_bytes;
    void *asan_save;
    void *tsan;
};

static _Thread_local Fiber *current;

static void run_ready(LoopDefer *defer);

// The fewest cycles that slow_ns can be: cheap to compare, and what passes it is measured properly.
static uint64_t slow_cycles(int64_t slow_ns)
{
#if defined(__x86_64__)
    return (uint64_t)slow_ns / 2; // no time stamp counter runs below 500 MHz
#elif defined(__aarch64__)
    uint64_t per_s;
    __asm__("mrs %0, cntfrq_el0" : "=r"(per_s));
    return (uint64_t)((double)slow_ns * (double)per_s / 1e9);
#else
    return (uint64_t)slow_ns;
#endif
}

FiberPool *fiber_pool_create(Loop *loop, const FiberOptions *options)
{
    FiberPool *pool = mem_zalloc(sizeof *pool);
    FiberOptions *o = &pool->options;
    *o = options ? *options : (FiberOptions){0};
    o->stack_bytes = (o->stack_bytes ? o->stack_bytes : FIBER_STACK_BYTES) * SANITIZER_STACK_FACTOR;
    o->fibers_max = o->fibers_max ? o->fibers_max : FIBER_COUNT_MAX;
    o->guarded_max = o->guarded_max ? o->guarded_max : FIBER_GUARDED_MAX;
    o->cached_max = o->cached_max ? o->cached_max : FIBER_CACHED_MAX;
    o->slow_ns = o->slow_ns ? o->slow_ns : SLOW_NS;
    pool->loop = loop;
    loop_defer_init(&pool->run, run_ready);
    fiber_stacks_init(&pool->stacks, o->stack_bytes, o->guarded_max, o->cached_max);
    pool->cycles_start = clock_cycles();
    pool->real_start_ns = clock_now(clock_real());
    pool->slow_cycles = slow_cycles(o->slow_ns);
    return pool;
}

void fiber_pool_destroy(FiberPool *pool)
{
    if (!pool) {
        return;
    }
    assert(pool->stats.alive == 0);
    for (FiberStack *s = pool->stacks.free; s; s = s->next_free) {
        loop_timer_cancel(pool->loop, &CONTAINER_OF(s, Fiber, stack)->timer);
    }
    fiber_stacks_done(&pool->stacks);
    loop_defer_cancel(pool->loop, &pool->run);
    fiber_context_done(&pool->scheduler);
    free(pool);
}

size_t fiber_pool_drain(FiberPool *pool, int64_t deadline_ns)
{
    assert(!current);
    for (Fiber *f = pool->alive_first; f; f = f->alive_next) {
        fiber_cancel(f);
    }
    while (pool->stats.alive > 0 && loop_clock(pool->loop) < deadline_ns) {
        int64_t left_ns = deadline_ns == NEVER_NS ? NEVER_NS : deadline_ns - loop_clock(pool->loop);
        (void)loop_tick(pool->loop, left_ns);
    }
    return pool->stats.alive;
}

Loop *fiber_pool_loop(const FiberPool *pool)
{
    return pool->loop;
}

FiberStats fiber_pool_stats(const FiberPool *pool)
{
    FiberStats stats = pool->stats;
    stats.stacks = pool->stacks.mapped;
    stats.guarded = pool->stacks.guarded;
    return stats;
}

void fiber_pool_each(const FiberPool *pool, void (*fn)(void *ctx, const Fiber *fiber), void *ctx)
{
    for (const Fiber *f = pool->alive_first; f; f = f->alive_next) {
        fn(ctx, f);
    }
}

// ---- switching

static void switch_to_scheduler(Fiber *f)
{
    FiberPool *pool = f->pool;
    // A finished fiber passes NULL: ASan frees its fake stack.
    ASAN_START_SWITCH(f->finished ? NULL : &f->asan_save, pool->asan_low, pool->asan_bytes);
    TSAN_SWITCH(pool->tsan);
    fiber_context_switch(&f->context, &pool->scheduler);
    ASAN_FINISH_SWITCH(f->asan_save, &pool->asan_low, &pool->asan_bytes);
}

static void switch_to_fiber(FiberPool *pool, Fiber *f)
{
    f->state = FIBER_RUNNING;
    current = f;
    pool->stats.switches++;
    ASAN_START_SWITCH(&pool->asan_save, f->stack.low, (size_t)((char *)f - f->stack.low));
    TSAN_SWITCH(f->tsan);
    fiber_context_switch(&pool->scheduler, &f->context);
    ASAN_FINISH_SWITCH(pool->asan_save, NULL, NULL);
    current = NULL;
}

static void fiber_main(void *arg)
{
    Fiber *f = arg;
    ASAN_FINISH_SWITCH(NULL, &f->pool->asan_low, &f->pool->asan_bytes);
    f->fn(f->arg);
    f->finished = true;
    switch_to_scheduler(f);
    die("a finished fiber was resumed");
}

static void make_ready(Fiber *f)
{
    FiberPool *pool = f->pool;
    f->state = FIBER_READY;
    f->ready_next = NULL;
    if (pool->ready_last) {
        pool->ready_last->ready_next = f;
    } else {
        pool->ready_first = f;
        loop_defer(pool->loop, &pool->run);
    }
    pool->ready_last = f;
}

static void reap(FiberPool *pool, Fiber *f)
{
    *(f->alive_prev ? &f->alive_prev->alive_next : &pool->alive_first) = f->alive_next;
    if (f->alive_next) {
        f->alive_next->alive_prev = f->alive_prev;
    }
    pool->stats.alive--;
    if (f->group && --f->group->alive == 0) {
        fiber_queue_wake_all(&f->group->waiters);
    }
    TSAN_DESTROY(f->tsan);
    fiber_context_done(&f->context);
    loop_timer_disarm(&f->timer);
    if (pool->stacks.cached == pool->stacks.cached_max) {
        loop_timer_cancel(pool->loop, &f->timer);
    }
    fiber_stack_give(&pool->stacks, &f->stack);
}

// Counts and reports a run that was longer than slow_ns.
static void check_slow(FiberPool *pool, const Fiber *f, const char *name, uint64_t cycles)
{
    int64_t real_ns = clock_now(clock_real()) - pool->real_start_ns;
    double ns_per_cycle = (double)real_ns / (double)(clock_cycles() - pool->cycles_start);
    int64_t ran_ns = (int64_t)((double)cycles * ns_per_cycle);
    if (ran_ns < pool->options.slow_ns) {
        return;
    }
    pool->stats.slow_runs++;
    if (ran_ns > pool->stats.slow_max_ns) {
        pool->stats.slow_max_ns = ran_ns;
    }
    if (pool->options.slow_fn) {
        pool->options.slow_fn(pool->options.slow_ctx, f, name, ran_ns);
    }
}

static void run_ready(LoopDefer *defer)
{
    FiberPool *pool = CONTAINER_OF(defer, FiberPool, run);
    uint64_t begin = clock_cycles();
    pool->tsan = TSAN_CURRENT();
    for (int runs = 0; runs < RUNS_PER_ROUND && pool->ready_first; runs++) {
        Fiber *f = pool->ready_first;
        pool->ready_first = f->ready_next;
        if (!pool->ready_first) {
            pool->ready_last = NULL;
        }
        switch_to_fiber(pool, f);
        const char *name = f->name;
        bool finished = f->finished;
        if (finished) {
            reap(pool, f);
        }
        uint64_t end = clock_cycles();
        if (end - begin > pool->slow_cycles) {
            check_slow(pool, finished ? NULL : f, name, end - begin);
        }
        begin = end;
    }
    if (pool->ready_first) {
        loop_defer(pool->loop, &pool->run);
    }
}

static void on_deadline(LoopTimer *timer)
{
    fiber_resume_with(CONTAINER_OF(timer, Fiber, timer), ERR_TIMEOUT);
}

Fiber *fiber_spawn(FiberPool *pool, const char *name, FiberFn *fn, void *arg)
{
    if (pool->stats.alive >= pool->options.fibers_max) {
        return NULL;
    }
    FiberStack *stack = fiber_stack_take(&pool->stacks, sizeof(Fiber));
    if (!stack) {
        return NULL;
    }
    Fiber *f = CONTAINER_OF(stack, Fiber, stack);
    if (f->timer.fn == NULL) {
        loop_timer_init(&f->timer, on_deadline);
    }
    f->pool = pool;
    f->fn = fn;
    f->arg = arg;
    f->name = name;
    f->why = "";
    f->group = NULL;
    f->cancelled = false;
    f->finished = false;
    f->asan_save = NULL;
    f->tsan = TSAN_CREATE();
    fiber_context_init(&f->context, f->stack.low, (char *)f, fiber_main, f);
    f->alive_prev = NULL;
    f->alive_next = pool->alive_first;
    if (f->alive_next) {
        f->alive_next->alive_prev = f;
    }
    pool->alive_first = f;
    pool->stats.spawned++;
    if (++pool->stats.alive > pool->stats.alive_peak) {
        pool->stats.alive_peak = pool->stats.alive;
    }
    make_ready(f);
    return f;
}

// ---- the running fiber

Fiber *fiber_self(void)
{
    return current;
}

Loop *fiber_loop(void)
{
    return current->pool->loop;
}

FiberPool *fiber_pool(void)
{
    return current->pool;
}

int fiber_park(const char *why, int64_t deadline_ns)
{
    Fiber *f = current;
    assert(f);
    if (f->cancelled) {
        return ERR_CANCELLED;
    }
    f->state = FIBER_PARKED;
    f->why = why;
    loop_timer_set(f->pool->loop, &f->timer, deadline_ns);
    switch_to_scheduler(f);
    loop_timer_disarm(&f->timer);
    f->why = "";
    return f->wake_code;
}

int fiber_sleep_until(int64_t due_ns)
{
    int rc = fiber_park("sleep", due_ns);
    return rc == ERR_TIMEOUT ? 0 : rc;
}

int fiber_sleep(int64_t duration_ns)
{
    return fiber_sleep_until(clock_deadline(loop_clock(fiber_loop()), duration_ns));
}

int fiber_yield(void)
{
    Fiber *f = current;
    assert(f);
    if (f->cancelled) {
        return ERR_CANCELLED;
    }
    make_ready(f);
    f->wake_code = 0;
    switch_to_scheduler(f);
    return f->cancelled ? ERR_CANCELLED : 0;
}

bool fiber_is_cancelled(void)
{
    return current->cancelled;
}

size_t fiber_stack_left(void)
{
    const char *here = __builtin_frame_address(0);
    if (current) {
        return (size_t)(here - current->stack.low);
    }
    pthread_attr_t attributes;
    void *low = NULL;
    size_t bytes = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) {
        return 0;
    }
    int rc = pthread_attr_getstack(&attributes, &low, &bytes);
    (void)pthread_attr_destroy(&attributes);
    return rc == 0 ? (size_t)(here - (const char *)low) : 0;
}

void fiber_clear_cancel(void)
{
    current->cancelled = false;
}

// ---- others

void fiber_resume_with(Fiber *fiber, int code)
{
    if (fiber->state == FIBER_PARKED) {
        fiber->wake_code = code;
        make_ready(fiber);
    }
}

void fiber_resume(Fiber *fiber)
{
    fiber_resume_with(fiber, 0);
}

void fiber_cancel(Fiber *fiber)
{
    fiber->cancelled = true;
    fiber_resume_with(fiber, ERR_CANCELLED);
}

const char *fiber_name(const Fiber *fiber)
{
    return fiber->name;
}

FiberState fiber_state(const Fiber *fiber)
{
    return fiber->state;
}

const char *fiber_waits_for(const Fiber *fiber)
{
    return fiber->why;
}

// Every frame begins with the caller's frame pointer and the return address (we compile with
// -fno-omit-frame-pointer). Frames must go up within the stack, so garbage ends the walk.
__attribute__((no_sanitize("address"))) size_t fiber_backtrace(const Fiber *fiber,
                                                               void **ret_addresses, size_t max)
{
    void *frame;
    void *address;
    if (fiber->state == FIBER_RUNNING || !fiber_context_frame(&fiber->context, &frame, &address)) {
        return 0;
    }
    size_t count = 0;
    uintptr_t low = (uintptr_t)fiber->stack.low;
    uintptr_t high = (uintptr_t)fiber - 2 * sizeof(void *);
    while (count < max) {
        ret_addresses[count++] = address;
        uintptr_t at = (uintptr_t)frame;
        if (at < low || at > high || at % sizeof(void *) != 0) {
            break;
        }
        low = at + 1;
        address = ((void **)frame)[1];
        frame = ((void **)frame)[0];
        if (!frame) {
            break; // fiber_context_start, whose return address is nobody's
        }
    }
    return count;
}

// ---- queues and groups

static void queue_unlink(FiberQueue *queue, Fiber *f)
{
    *(f->queue_prev ? &f->queue_prev->queue_next : &queue->first) = f->queue_next;
    *(f->queue_next ? &f->queue_next->queue_prev : &queue->last) = f->queue_prev;
    f->queued = false;
}

int fiber_queue_wait(FiberQueue *queue, const char *why, int64_t deadline_ns)
{
    Fiber *f = current;
    f->queue_prev = queue->last;
    f->queue_next = NULL;
    f->queued = true;
    *(queue->last ? &queue->last->queue_next : &queue->first) = f;
    queue->last = f;
    int rc = fiber_park(why, deadline_ns);
    if (f->queued) {
        queue_unlink(queue, f);
    }
    return rc;
}

bool fiber_queue_wake_one(FiberQueue *queue)
{
    // A waiter that a timeout made ready already will not use the wake-up: the next one gets it.
    for (Fiber *f = queue->first; f; f = f->queue_next) {
        if (f->state == FIBER_PARKED) {
            queue_unlink(queue, f);
            fiber_resume(f);
            return true;
        }
    }
    return false;
}

void fiber_queue_wake_all(FiberQueue *queue)
{
    while (fiber_queue_wake_one(queue)) {
    }
}

Fiber *fiber_group_spawn(FiberGroup *group, FiberPool *pool, const char *name, FiberFn *fn,
                         void *arg)
{
    Fiber *fiber = fiber_spawn(pool, name, fn, arg);
    if (fiber) {
        fiber->group = group;
        group->alive++;
    }
    return fiber;
}

int fiber_group_wait(FiberGroup *group, int64_t deadline_ns)
{
    while (group->alive > 0) {
        int rc = fiber_queue_wait(&group->waiters, "group", deadline_ns);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}
