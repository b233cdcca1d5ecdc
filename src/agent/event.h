// Event: what agents are given to handle. Small, of one size, pooled by the shard that runs it.
//
// An event carries at most EVENT_INLINE_BYTES of data in itself; more goes into a Bytes, a shared
// immutable buffer with a reference count. Nothing is copied when a handler reads, and in steady
// state nothing is allocated: events come from their shard's pool and travel between shards by
// value.
//
//     static int greet(AgentContext *ctx, const Event *event, State *state)
//     {
//         return agent_reply(ctx, event_data(event));
//     }
//
// Whoever emits fills an EventSpec, whose slices are only borrowed for the call:
//
//     runner_emit(runner, &(EventSpec){.target = SLICE("greeter"), .data = SLICE("\"hi\"")}, e);
//
// Data is bytes; by convention JSON, which event_doc reads on demand.
#ifndef AGENT_EVENT_H
#define AGENT_EVENT_H

#include "base/doc.h"
#include "os/clock.h"
#include "os/mpsc.h"
#include "telemetry/span.h"

enum {
    EVENT_TYPE_MAX = 31,    // bytes of a type
    EVENT_SESSION_MAX = 63, // bytes of a session's name
    EVENT_INLINE_BYTES = 96,
    EVENT_DATA_MAX = 64 << 20, // default ceiling of one event's data
};

// ---- shared bytes

// Immutable once shared; counted atomically, so any thread may hold one.
typedef struct Bytes {
    Counter refs;
    size_t len;
    char data[];
} Bytes;

Bytes *bytes_create(size_t len); // one reference; fill `data` before sharing it
Bytes *bytes_copy(Slice s);
static inline Bytes *bytes_ref(Bytes *b)
{
    (void)counter_add(&b->refs, 1);
    return b;
}
void bytes_unref(Bytes *b); // NULL is fine
static inline Slice bytes_slice(const Bytes *b)
{
    return (Slice){b->data, b->len};
}

// ---- events

typedef uint32_t AgentId;
#define AGENT_NONE UINT32_MAX

typedef enum EventPriority {
    EVENT_HIGH,
    EVENT_NORMAL,
    EVENT_LOW,
    EVENT_PRIORITIES, // how many there are
} EventPriority;

typedef struct Event Event;
struct Event {
    uint64_t id;         // unique in the runner
    AgentId target;      //
    AgentId source;      // AGENT_NONE: from outside
    int64_t created_ns;  // of the clock of the shards
    int64_t deadline_ns; // NEVER_NS: none
    TraceContext trace;  // its span is this event, its parent the event whose handler made it
    uint16_t hops;       // events before it in the chain of handlers that emitted
    uint16_t depth;      // calls around it
    uint8_t priority;
    uint8_t kind; // private
    uint8_t type_len;
    uint8_t session_len;
    uint32_t session_hash;
    uint32_t inline_len;
    Bytes *bytes; // or NULL: the data is inline
    char type[EVENT_TYPE_MAX + 1];
    char session[EVENT_SESSION_MAX + 1];
    char inline_data[EVENT_INLINE_BYTES];
};

static inline Slice event_type(const Event *event)
{
    return (Slice){event->type, event->type_len};
}
static inline Slice event_session(const Event *event)
{
    return (Slice){event->session, event->session_len};
}
static inline Slice event_data(const Event *event)
{
    return event->bytes ? bytes_slice(event->bytes)
                        : (Slice){event->inline_data, event->inline_len};
}
// The data as JSON. The tree lives in `arena`; empty data is JSON null.
MUST_USE int event_doc(const Event *event, Arena *arena, const Doc **ret_doc, Err *e);

// What the emitter says. Everything but the target may be left out.
typedef struct EventSpec {
    Slice target;        // name of an agent...
    AgentId agent;       // ...or its id, where target is empty
    Slice type;          // at most EVENT_TYPE_MAX
    Slice session;       // at most EVENT_SESSION_MAX; empty in a handler: as the event handled
    Slice data;          // copied
    Bytes *bytes;        // instead of data: a reference is taken, nothing copied
    int64_t timeout_ns;  // from now; 0: the runner's event_timeout (never beyond the handler's own)
    int64_t deadline_ns; // absolute, where not 0
    EventPriority priority;    // only with:
    bool prioritised;          // take `priority`; else the handled event's, or EVENT_NORMAL
    const TraceContext *trace; // from outside; in a handler the event handled is the parent
} EventSpec;

// 0, or what is wrong with the sizes of the spec (ERR_LIMIT).
MUST_USE int event_spec_check(const EventSpec *spec, size_t data_max, Err *e);
// Fills what the spec says into a zeroed event (target, id, times and trace are the caller's).
void event_fill(Event *event, const EventSpec *spec);
uint32_t event_session_hash(Slice session);

// ---- pool (one thread)

typedef struct EventPool EventPool;

// Every item is an Event followed by `extra_bytes` of the caller's, which begin zeroed once.
EventPool *event_pool_create(size_t extra_bytes);
void event_pool_destroy(EventPool *pool);            // all events were given back
Event *event_pool_take(EventPool *pool);             // contents undefined
void event_pool_give(EventPool *pool, Event *event); // drops the reference to its bytes
size_t event_pool_taken(const EventPool *pool);
size_t event_pool_made(const EventPool *pool); // grows only when more are in use than ever before

#endif
