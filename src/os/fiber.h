// Fibers: stackful coroutines on a loop's thread. Code that waits (a virtual user in http.get(), an
// agent waiting for a tool) is written straight down: it parks its fiber and the loop runs others.
//
// A FiberPool belongs to one Loop. A fiber never changes thread and is never freed while suspended:
// cancelling makes its park return ERR_CANCELLED, and it unwinds like after any other error. A
// finished fiber's stack goes back to the pool; what is idle should not own a fiber at all.
//
//     static void user(void *arg) {
//         Vu *vu = arg;
//         while (fiber_sleep(think_ns) == 0) { ... http_client_do(...) ... }
//     }
//     fiber_spawn(pool, "vu", user, vu);
//
// Waiting for something of one's own:
//
//     queue->waiter = fiber_self();
//     int rc = fiber_park("queue", deadline_ns);     // 0, ERR_TIMEOUT or ERR_CANCELLED
//     queue->waiter = NULL;
//     ... elsewhere on the loop:  if (queue->waiter) fiber_resume(queue->waiter);
//
// Rules: a stack is `stack_bytes` deep, so no big arrays; floating-point control modes must not be
// changed across a park; a fiber that computes for long calls fiber_yield(). The Fiber pointer is
// valid until its function returned.
//
// Everything here is for the loop's own thread.
#ifndef OS_FIBER_H
#define OS_FIBER_H

#include "base/err.h"
#include "os/loop.h"

typedef struct Fiber Fiber;
typedef struct FiberPool FiberPool;
typedef void FiberFn(void *arg);

typedef enum FiberState {
    FIBER_READY, // will run in this round
    FIBER_RUNNING,
    FIBER_PARKED,
} FiberState;

typedef struct FiberOptions {
    size_t stack_bytes; // 0: FIBER_STACK_BYTES; rounded up to pages (four times under sanitizers)
    size_t fibers_max;  // 0: FIBER_COUNT_MAX; fiber_spawn refuses beyond
    // Guard pages end a stack overflow with a fault instead of silent damage, but each one splits a
    // mapping and vm.max_map_count (65,530) ends them. Stacks beyond this many go without and have
    // their lowest word checked when they are given back. 0: FIBER_GUARDED_MAX.
    size_t guarded_max;
    size_t cached_max; // stacks kept for reuse; 0: FIBER_CACHED_MAX
    // A fiber that ran this long without parking held up every other one on the loop. 0: 5 ms.
    int64_t slow_ns;
    // Called on the loop after such a run, when the fiber parked or yielded (not when it finished:
    // then `fiber` is NULL). May be NULL.
    void (*slow_fn)(void *ctx, const Fiber *fiber, const char *name, int64_t ran_ns);
    void *slow_ctx;
} FiberOptions;

enum {
    FIBER_STACK_BYTES = 128 << 10, // address space; only touched pages cost memory
    FIBER_COUNT_MAX = 100000,
    FIBER_GUARDED_MAX = 16000,
    FIBER_CACHED_MAX = 1024,
};

// `options` NULL: all defaults.
FiberPool *fiber_pool_create(Loop *loop, const FiberOptions *options);
// All fibers have ended (see fiber_pool_drain). NULL is fine.
void fiber_pool_destroy(FiberPool *pool);
// Cancels every fiber and runs the loop until none is left or `deadline_ns` of the loop's clock has
// passed; returns how many are left (name them with fiber_pool_each).
size_t fiber_pool_drain(FiberPool *pool, int64_t deadline_ns);
Loop *fiber_pool_loop(const FiberPool *pool);

typedef struct FiberStats {
    size_t alive;
    size_t alive_peak;
    size_t stacks;       // mapped, the cached ones included
    size_t guarded;      // of those with a guard page
    uint64_t spawned;    //
    uint64_t switches;   // into fibers
    uint64_t slow_runs;  // longer than slow_ns
    int64_t slow_max_ns; // the longest of them
} FiberStats;

FiberStats fiber_pool_stats(const FiberPool *pool);
void fiber_pool_each(const FiberPool *pool, void (*fn)(void *ctx, const Fiber *fiber), void *ctx);

// The new fiber runs at the end of this round of the loop. `name` is borrowed for its life. NULL
// when fibers_max are alive or the system has no memory for a stack.
MUST_USE Fiber *fiber_spawn(FiberPool *pool, const char *name, FiberFn *fn, void *arg);

// ---- for the running fiber

Fiber *fiber_self(void); // NULL outside a fiber
Loop *fiber_loop(void);  // of the running fiber
FiberPool *fiber_pool(void);

// Gives the thread to others until fiber_resume, the deadline or cancelling: 0 (or what
// fiber_resume_with said), ERR_TIMEOUT, ERR_CANCELLED. `why` is a literal for fiber lists.
MUST_USE int fiber_park(const char *why, int64_t deadline_ns);
MUST_USE int fiber_sleep(int64_t duration_ns); // 0 or ERR_CANCELLED
MUST_USE int fiber_sleep_until(int64_t due_ns);
MUST_USE int fiber_yield(void); // lets everything else that is ready run first
bool fiber_is_cancelled(void);
// Bytes of stack below the caller's frame, of the running fiber or, outside of one, of the thread:
// for code that recurses as deep as its input says and must stop in time.
size_t fiber_stack_left(void);
// After a cancelled fiber decided to go on (to say goodbye to a peer, say): parks work again.
void fiber_clear_cancel(void);

// ---- for others on the loop's thread

// Makes a parked fiber ready; it runs at the end of this round. No effect on one that is not
// parked: the first of several wake-ups wins.
void fiber_resume(Fiber *fiber);
void fiber_resume_with(Fiber *fiber, int code); // fiber_park returns `code`
// Sticky: this and every later park returns ERR_CANCELLED.
void fiber_cancel(Fiber *fiber);

const char *fiber_name(const Fiber *fiber);
FiberState fiber_state(const Fiber *fiber);
const char *fiber_waits_for(const Fiber *fiber); // what fiber_park was told; "" when not parked
// Return addresses of a parked fiber, innermost first, by its frame pointers. Returns how many.
size_t fiber_backtrace(const Fiber *fiber, void **ret_addresses, size_t max);

// ---- small things built on park and resume

// Fibers waiting for one condition, woken in the order they came.
typedef struct FiberQueue {
    Fiber *first;
    Fiber *last;
} FiberQueue;

MUST_USE int fiber_queue_wait(FiberQueue *queue, const char *why, int64_t deadline_ns);
bool fiber_queue_wake_one(FiberQueue *queue); // false when nobody waits
void fiber_queue_wake_all(FiberQueue *queue);

// Waits until every fiber of a group has ended.
typedef struct FiberGroup {
    size_t alive;
    FiberQueue waiters;
} FiberGroup;

MUST_USE Fiber *fiber_group_spawn(FiberGroup *group, FiberPool *pool, const char *name, FiberFn *fn,
                                  void *arg);
MUST_USE int fiber_group_wait(FiberGroup *group, int64_t deadline_ns);

#endif
