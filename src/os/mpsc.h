// Mpsc: a bounded queue of fixed-size items from many threads to one, and Waker: an eventfd that
// tells the consumer to look.
//
// The queue is Dmitry Vyukov's bounded array queue ("Bounded MPMC queue", 1024cores.net): each cell
// carries a sequence number that says whose turn it is, so a push is one compare-and-swap and a pop
// by the single consumer is two plain atomic accesses. A full queue refuses; it never blocks and
// never grows.
//
//     Mpsc *q = mpsc_create(1024, sizeof(Message));
//     if (!mpsc_push(q, &message)) ... full
//     while (mpsc_pop(q, &message)) ...
//
// mpsc_push from any thread; mpsc_pop from the one consumer thread.
//
// This header, mpsc.c and base's log level hold all atomics of the program: other modules build on
// Mpsc, Waker, Flag and Counter.
#ifndef OS_MPSC_H
#define OS_MPSC_H

#include <stdatomic.h>

#include "base/err.h"
#include "base/slice.h"

typedef struct Mpsc Mpsc;

// `capacity` is rounded up to a power of two.
Mpsc *mpsc_create(size_t capacity, size_t item_bytes);
void mpsc_destroy(Mpsc *queue); // items still inside are forgotten

bool mpsc_push(Mpsc *queue, const void *item);
bool mpsc_pop(Mpsc *queue, void *ret_item);
size_t mpsc_capacity(const Mpsc *queue);
uint64_t mpsc_refused(const Mpsc *queue); // pushes that found it full; from any thread

// A boolean that one thread sets and others poll. Setting it publishes what was written before.
typedef struct Flag {
    atomic_bool set;
} Flag;

void flag_set(Flag *flag);
void flag_clear(Flag *flag);
bool flag_is_set(const Flag *flag);

// A number that several threads change. Adding orders what was written before it (acquire and
// release), so a reference count may be one.
typedef struct Counter {
    atomic_long value;
} Counter;

static inline void counter_init(Counter *c, long value)
{
    atomic_init(&c->value, value);
}
// Returns the new value.
static inline long counter_add(Counter *c, long n)
{
    return atomic_fetch_add_explicit(&c->value, n, memory_order_acq_rel) + n;
}
static inline long counter_get(const Counter *c)
{
    return atomic_load_explicit(&c->value, memory_order_acquire);
}
// For a counter that one thread writes and others only read: no locked instruction.
static inline void counter_own_add(Counter *c, long n)
{
    long value = atomic_load_explicit(&c->value, memory_order_relaxed);
    atomic_store_explicit(&c->value, value + n, memory_order_release);
}

// Wakes a thread that sleeps in epoll on `fd`. waker_notify writes to the eventfd only when the
// consumer has announced that it is about to sleep, so a busy consumer costs the producer one
// atomic exchange.
typedef struct Waker {
    int fd;
    atomic_bool asleep;
} Waker;

MUST_USE int waker_init(Waker *waker, Err *e);
void waker_done(Waker *waker);
void waker_notify(Waker *waker); // any thread, after the push
// The consumer: announce before sleeping, and look at the queue once more after announcing.
void waker_announce_sleep(Waker *waker);
void waker_awake(Waker *waker);
void waker_drain(Waker *waker); // after epoll reported fd readable

#endif
