// What a backend of the bus provides, and what bus.c does for all of them: subscriptions and their
// dispatch, requests and their deadlines, messages asked for again, the loop.
#ifndef BUS_BUS_IMPL_H
#define BUS_BUS_IMPL_H

#include "bus/bus.h"
#include "os/mpsc.h"

// A message in memory of its own, shared by all who wait for it.
typedef struct Envelope {
    Counter refs;
    BusMessage m; // its text follows the struct
} Envelope;

// Checks and completes: names, version, id, key, time. The text of `m` is copied.
MUST_USE int envelope_create(Bus *bus, const BusMessage *m, Envelope **ret_envelope, Err *e);
Envelope *envelope_ref(Envelope *envelope);
void envelope_unref(Envelope *envelope); // NULL is fine

typedef struct BusOps {
    // Gives the envelope to everyone whose patterns match; takes references of its own.
    // *ret_receivers: how many there are, those that are full included.
    int (*publish)(Bus *bus, Envelope *envelope, size_t *ret_receivers, Err *e);
    // From now on, or no longer, what matches s->pattern is wanted.
    int (*subscribe)(Bus *bus, BusSubscription *s, Err *e);
    void (*unsubscribe)(Bus *bus, BusSubscription *s);
    // The next message that waits, with a reference that the caller owns; NULL: none.
    Envelope *(*next)(Bus *bus);
    size_t (*waiting)(const Bus *bus);
    int64_t (*next_due)(const Bus *bus); // for its own reasons; NEVER_NS
    // A waker that is notified from now on when a message begins to wait. Only a loop needs one:
    // those that are polled by hand cost no file descriptor.
    int (*waker)(Bus *bus, Waker **ret_waker, Err *e);
    void (*close)(Bus *bus); // frees the Bus
} BusOps;

struct BusSubscription {
    Bus *bus;
    BusSubscription *next;
    BusHandler *fn;
    void *ctx;
    bool dead; // unsubscribed while handlers run; freed afterwards
    size_t pattern_len;
    char pattern[];
};

static inline Slice subscription_pattern(const BusSubscription *s)
{
    return (Slice){s->pattern, s->pattern_len};
}

typedef struct BusRequest {
    uint64_t number; // the last token of its inbox
    int64_t deadline_ns;
    BusReplyFn *fn;
    void *ctx;
} BusRequest;

typedef struct BusAgain {
    Envelope *envelope;
    BusSubscription *subscription;
    int64_t due_ns;
    uint32_t deliveries;
} BusAgain;

struct Bus {
    const BusOps *ops;
    const Clock *clock;
    char name[BUS_NAME_MAX + 1];
    char unique[32];  // of this connection among all that it can meet: in ids and inboxes
    uint64_t counter; // of ids and requests
    BusSubscription *subscriptions;
    size_t subscription_count;
    BusSubscription *inbox; // made with the first request
    BusRequest *requests;
    size_t request_count;
    BusAgain *again;
    size_t again_count;
    bool dispatching, closing;
    BusStats stats;
    Loop *loop; // NULL while not attached
    Waker *waker;
    LoopIo io;
    LoopTimer timer;
    LoopDefer more;
};

// Sets the fields that all backends share. ERR_ARG for the name.
MUST_USE int bus_init(Bus *bus, const BusOps *ops, const BusOptions *options, Err *e);
// Ends requests, frees subscriptions; for ops->close.
void bus_done(Bus *bus);

#endif
