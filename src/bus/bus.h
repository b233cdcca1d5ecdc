// Bus: messages between agents, behind one small interface. In-process today (bus/local.h);
// docs/internals/bus.md says how NATS and A2A carry the same messages.
//
// A Bus is one participant's connection. It belongs to one thread: handlers run in bus_poll, on the
// thread that calls it. Several connections, of any threads, meet in one hub.
//
//     LocalHub *hub = local_hub_create();
//     Bus *bus;
//     rc = local_connect(hub, &(BusOptions){.name = SLICE("a")}, &bus, e);
//     rc = bus_subscribe(bus, SLICE("manage.a"), on_message, ctx, &sub, e);
//     rc = bus_publish(bus, &(BusMessage){.subject = SLICE("manage.b"), .body = json}, e);
//     rc = bus_attach(bus, loop, e);         // or: while (bus_poll(bus, 0) > 0) {}
//
// Delivery is at least once: a message may come twice, and a publish that fails with ERR_FULL may
// have reached some subscribers, so that sending it again under the same key doubles it for them.
// Receivers tell by the key (bus/dedup.h). Between two connections messages of one subject arrive
// in the order of publishing, unless a handler asked for one again.
//
// Subjects are tokens of printable ASCII with '.' between them, as in NATS. A subscription may use
// `*` for any one token and `>` at the end for one or more.
#ifndef BUS_BUS_H
#define BUS_BUS_H

#include "base/err.h"
#include "base/slice.h"
#include "os/clock.h"
#include "os/loop.h"

typedef struct Bus Bus;
typedef struct BusSubscription BusSubscription;

enum {
    BUS_VERSION = 1,
    BUS_SUBJECT_MAX = 255, // bytes
    BUS_NAME_MAX = 127,
    BUS_KEY_MAX = 127, // of id and key
    BUS_BODY_MAX = 1 << 20,
    BUS_QUEUE = 1024, // messages that wait for one connection, unless the options say more
    BUS_SUBSCRIPTIONS_MAX = 256, // of one connection
    BUS_REQUESTS_MAX = 256,      // under way of one connection
    BUS_AGAIN_MAX = 5,           // times that a handler may ask for one message again
    BUS_AGAIN_HELD_MAX = 256,    // that wait for it
};
#define BUS_AGAIN_NS (100 * NS_PER_MS) // until then

typedef struct BusMessage {
    uint32_t version; // 0 when publishing: BUS_VERSION. A newer one is not delivered but counted.
    Slice id;         // of this sending; empty: the bus makes one
    Slice key;        // idempotency key: the same for everything that means the same; empty: the id
    Slice subject;
    Slice from; // empty: the connection's name
    Slice to;   // the agent meant; empty: whoever listens
    Slice reply_to;
    int64_t unix_ns; // 0: now
    Slice body;
    uint32_t deliveries; // to this handler, from 1; set by the bus
} BusMessage;

typedef enum BusVerdict {
    BUS_DONE,
    BUS_AGAIN, // later, please: comes again after BUS_AGAIN_NS, BUS_AGAIN_MAX times at most
} BusVerdict;

typedef BusVerdict BusHandler(void *ctx, const BusMessage *m);

typedef struct BusOptions {
    Slice name;         // of the agent; goes into `from`
    size_t queue;       // messages; 0: BUS_QUEUE
    const Clock *clock; // NULL: the real one
} BusOptions;

// NULL is fine; requests under way end with ERR_CLOSED. Not from a handler.
void bus_close(Bus *bus);

// ERR_ARG for a malformed subject or a name past its limit; ERR_LIMIT for a body past BUS_BODY_MAX;
// ERR_FULL when the queue of a subscriber is full: it did not get it, others may have; try again
// under the same key. Nobody listening is no error. The message is copied.
MUST_USE int bus_publish(Bus *bus, const BusMessage *m, Err *e);

// ERR_ARG, ERR_LIMIT.
MUST_USE int bus_subscribe(Bus *bus, Slice pattern, BusHandler *fn, void *ctx,
                           BusSubscription **ret_subscription, Err *e);
// No call of its handler after this. NULL is fine.
void bus_unsubscribe(BusSubscription *subscription);

// `code` 0: `reply` is the first answer; ERR_TIMEOUT, ERR_CLOSED: there is none.
typedef void BusReplyFn(void *ctx, int code, const BusMessage *reply);

// Publishes with an inbox as reply_to and calls fn exactly once, from bus_poll or bus_close.
// `deadline_ns` is of the connection's clock. ERR_NOT_FOUND when nobody listens to the subject;
// ERR_LIMIT past BUS_REQUESTS_MAX; ERR_CLOSED while closing; otherwise as bus_publish. On an error
// fn is not called.
MUST_USE int bus_request(Bus *bus, const BusMessage *m, int64_t deadline_ns, BusReplyFn *fn,
                         void *ctx, Err *e);
// Answers `request`: goes to its reply_to. ERR_ARG when it asked for no answer.
MUST_USE int bus_reply(Bus *bus, const BusMessage *request, Slice body, Err *e);

// Delivers what waits: at most `max` messages (0: all that are there now), then what is due of
// deadlines and of messages asked for again. Returns how many handlers were called. Not from a
// handler.
size_t bus_poll(Bus *bus, size_t max);
// When bus_poll has something to do by time alone; NEVER_NS.
int64_t bus_next_due(const Bus *bus);
// Lets the loop call bus_poll from now on, on the loop's thread, with the loop's clock expected to
// be the connection's. bus_close detaches. ERR_EXISTS when it is attached; ERR_IO.
MUST_USE int bus_attach(Bus *bus, Loop *loop, Err *e);

typedef struct BusStats {
    uint64_t published, delivered;
    uint64_t refused; // publishes that failed with ERR_FULL
    uint64_t again;   // asked for again
    uint64_t dropped; // given up after BUS_AGAIN_MAX, or past BUS_AGAIN_HELD_MAX
    uint64_t newer;   // of a newer version
} BusStats;
BusStats bus_stats(const Bus *bus);

// ---- subjects

// ERR_ARG with what is wrong. `pattern`: wildcards are allowed.
MUST_USE int bus_check_subject(Slice subject, bool pattern, Err *e);
bool bus_matches(Slice pattern, Slice subject);

#endif
