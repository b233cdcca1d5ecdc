// Loop: one thread's event loop. File descriptors through epoll, timers with nanoseconds, work
// posted by other threads, and work deferred to the end of the current round.
//
// Watchers (LoopIo, LoopTimer, LoopDefer) are embedded in the caller's objects: adding one
// allocates nothing, and CONTAINER_OF leads from the watcher back to its object. The caller keeps a
// watcher alive until it removed it. Callbacks run on the loop's thread, to completion, and never
// block; they may add and remove any watcher, their own included.
//
// One round (loop_tick): sleep until something is due, file descriptors, due timers, posted work,
// deferred work. The time is read once a round: loop_now() is that reading and costs nothing,
// loop_clock() reads afresh.
//
//     Loop *loop;
//     if ((rc = loop_create(&(LoopOptions){0}, &loop, e)) != 0) ...
//     loop_timer_init(&conn->timer, on_timeout);
//     loop_timer_set(loop, &conn->timer, loop_now(loop) + 5 * NS_PER_S);
//     loop_run(loop);          // until loop_stop
//     loop_destroy(loop);
//
// Everything is for the loop's own thread, but loop_post and loop_stop.
#ifndef OS_LOOP_H
#define OS_LOOP_H

#include "base/err.h"
#include "base/slice.h"
#include "os/clock.h"

typedef struct Loop Loop;

typedef struct LoopOptions {
    // Time comes from here and passes only when somebody advances it: the loop never sleeps for a
    // timer. NULL: the real clock.
    ManualClock *manual;
    // With `manual`: a round that has nothing to do sets the clock to the next timer, so simulated
    // hours pass in milliseconds. With no timer either, it waits for file descriptors.
    bool auto_advance;
    // Poll instead of sleeping for this long before a timer is due. Waking from epoll takes some
    // 5 to 60 us; an arrival schedule that must be met to the microsecond buys that with CPU time.
    int64_t spin_ns;
    size_t post_capacity; // queue of loop_post; 0: LOOP_POST_CAPACITY
} LoopOptions;

enum { LOOP_POST_CAPACITY = 4096 };

MUST_USE int loop_create(const LoopOptions *options, Loop **ret_loop, Err *e);
void loop_destroy(Loop *loop); // NULL is fine; file descriptors stay open

// Runs rounds until loop_stop.
void loop_run(Loop *loop);
// One round that sleeps at most `max_wait_ns`; true when anything was done.
bool loop_tick(Loop *loop, int64_t max_wait_ns);
// Makes loop_run return after the current round; from any thread. loop_run may be called again.
void loop_stop(Loop *loop);

int64_t loop_now(const Loop *loop);   // when this round began to dispatch
int64_t loop_clock(const Loop *loop); // now
const Clock *loop_clock_source(const Loop *loop);

// ---- file descriptors

enum {
    LOOP_READ = 1,   // readable, or the peer closed its side, or an error is pending
    LOOP_WRITE = 2,  // writable, or an error is pending
    LOOP_HANGUP = 4, // the peer closed its writing side or the connection broke (only reported)
    LOOP_EDGE = 8,   // report changes only; the watcher must drain (see net/stream.c)
};

typedef struct LoopIo LoopIo;
typedef void LoopIoFn(LoopIo *io, unsigned events);

struct LoopIo {
    LoopIoFn *fn;
    int fd; // -1 while not added
    unsigned events;
};

void loop_io_init(LoopIo *io, LoopIoFn *fn);
MUST_USE int loop_io_add(Loop *loop, LoopIo *io, int fd, unsigned events, Err *e);
MUST_USE int loop_io_change(Loop *loop, LoopIo *io, unsigned events, Err *e);
// Also forgets events of this round that were not dispatched yet. Call before close(fd). Fine on a
// watcher that is not added.
void loop_io_remove(Loop *loop, LoopIo *io);

// ---- timers

typedef struct LoopTimer LoopTimer;
typedef void LoopTimerFn(LoopTimer *timer);

struct LoopTimer {
    LoopTimerFn *fn;
    int64_t due_ns; // NEVER_NS while disarmed
    size_t index;   // of its place in the heap plus 1; 0: not in the heap
};

void loop_timer_init(LoopTimer *timer, LoopTimerFn *fn);
// Arms or moves the timer. One shot: it is disarmed before fn is called. Never early; the order of
// timers due at the same instant is not defined.
//
// Moving a timer to a later time only stores it (its place in the heap is put right when the old
// time comes), so a deadline that is pushed back with every request costs a store.
void loop_timer_set(Loop *loop, LoopTimer *timer, int64_t due_ns);
// As cheap as that, but the timer may stay known to the loop: it must stay in memory.
void loop_timer_disarm(LoopTimer *timer);
// Before the timer's memory goes away.
void loop_timer_cancel(Loop *loop, LoopTimer *timer);
bool loop_timer_is_set(const LoopTimer *timer);
// The time of the next timer, NEVER_NS without one (may be early by what disarming left behind).
int64_t loop_timer_next(const Loop *loop);

// ---- deferred and posted work

typedef struct LoopDefer LoopDefer;
typedef void LoopDeferFn(LoopDefer *defer);

struct LoopDefer {
    LoopDeferFn *fn;
    LoopDefer *next;
    bool queued;
};

void loop_defer_init(LoopDefer *defer, LoopDeferFn *fn);
// Calls fn once, at the end of this round (of the next one, when called from deferred work), in the
// order of deferring. Nothing happens when it is queued already.
void loop_defer(Loop *loop, LoopDefer *defer);
void loop_defer_cancel(Loop *loop, LoopDefer *defer);

typedef void LoopPostFn(void *arg);

// From any thread: calls fn(arg) on the loop's thread. ERR_FULL when the queue is full.
MUST_USE int loop_post(Loop *loop, LoopPostFn *fn, void *arg);

#endif
