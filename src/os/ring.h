// Ring: a bounded queue of fixed-size items from many threads to one, and Waker: an eventfd that
// tells the consumer to look.
//
// The queue is Dmitry Vyukov's bounded array queue ("Bounded MPMC queue", 1024cores.net): each cell
// carries a sequence number that says whose turn it is, so a push is one compare-and-swap and a pop
// by the single consumer is two plain atomic accesses. A full ring refuses; it never blocks and
// never grows.
//
//     Ring *r = ring_create(1024, sizeof(Message));
//     if (!ring_push(r, &message)) ... full
//     while (ring_pop(r, &message)) ...
//
// ring_push from any thread; ring_pop from the one consumer thread.
//
// This header, ring.c and base's log level hold all atomics of the program: other modules build on
// Ring, Waker and Flag.
#ifndef OS_RING_H
#define OS_RING_H

#include <stdatomic.h>

#include "base/err.h"
#include "base/slice.h"

typedef struct Ring Ring;

// `capacity` is rounded up to a power of two.
Ring *ring_create(size_t capacity, size_t item_bytes);
void ring_destroy(Ring *ring); // items still inside are forgotten

bool ring_push(Ring *ring, const void *item);
bool ring_pop(Ring *ring, void *ret_item);
size_t ring_capacity(const Ring *ring);

// A boolean that one thread sets and others poll. Setting it publishes what was written before.
typedef struct Flag {
    atomic_bool set;
} Flag;

void flag_set(Flag *flag);
void flag_clear(Flag *flag);
bool flag_is_set(const Flag *flag);

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
