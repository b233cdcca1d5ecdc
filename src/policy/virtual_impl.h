// The inside of the virtual world, for virtual*.c only. docs/internals/simulator.md is its map.
//
// Things that come and go (tasks, calls, requests) are slots of arrays named by index, with free
// lists; `life` counts the uses of a slot, so that a note about a former user is recognised. An
// array may move whenever something is made in it: no pointer into one is kept across such a call.
#ifndef POLICY_VIRTUAL_IMPL_H
#define POLICY_VIRTUAL_IMPL_H

#include "policy/event_heap.h"
#include "policy/virtual.h"

enum { NONE = -1 };

typedef enum NodeKind {
    NODE_TIMER,   // of a call: call_step's
    NODE_CANCEL,  // of a call: its client leaves
    NODE_WORK,    // of a request: its own work is done
    NODE_SHARING, // of a service: the next of those that share it is done
    NODE_BATCH,   // of a service: the batch that gathers has waited long enough
    NODE_SCALE,   // of a service: its autoscaler looks
    NODE_ARRIVAL, // of a client
    NODE_USER,    // has thought
    NODE_LATER,   // ticks, faults, servers that have started
} NodeKind;

// The root task of a client's call: what luck is keyed by. It lives while anything made for it
// does.
typedef struct Task {
    uint64_t luck;
    PolicyKey key;
    uint32_t refs;
    uint32_t client; // VIRTUAL_NONE
    int32_t user;    // that waits; NONE
    int32_t next_free;
    uint8_t priority;
} Task;

// A call under way, but for its CallState, which lies beside it in `states`: a call on an edge
// without any policy has no use for one.
typedef struct Op {
    uint64_t serial;
    int64_t started_ns;
    int32_t task;
    int32_t parent;              // the request that waits for it; NONE: a client, or nobody
    int32_t next, previous;      // among its parent's calls; `next` of free ones
    uint32_t place;              // edge, or GATE | service
    int32_t live[CALL_LIVE_MAX]; // its requests
    uint16_t target, left;       // of the parent's group; repeats that are to follow
    uint8_t plain;               // no policy: not through call_step
    uint8_t root;                // a client's, or virtual_call's
    uint8_t orphan;              // nobody waits, up to the client
    uint8_t armed;               // bits of ARMED_*
} Op;
#define GATE 0x80000000u
enum { ARMED_TIMER = 1, ARMED_CANCEL = 2 };

typedef enum RequestState {
    REQUEST_FREE,
    REQUEST_REFUSED,   // and about to say so
    REQUEST_DONE,      // likewise
    REQUEST_GATED,     // its call on the service's own block is under way
    REQUEST_GATHERING, // in the batch that gathers
    REQUEST_WAITING,   // for a server
    REQUEST_SERVED,
    REQUEST_SHARING,
    REQUEST_HANGING,
    REQUEST_NESTED, // its calls are under way
} RequestState;

typedef struct Request {
    int64_t deadline_ns; // handed down
    int64_t started_ns;  // when it got its server
    int64_t work_ns;     // to do; once that is done: server time it had
    int32_t op;          // NONE: given up, not told
    int32_t task;
    int32_t child;             // first of its calls
    int32_t next, previous;    // in the service's queue; sharing: `next` is the place in its heap
    int32_t mates, mates_back; // ring of its batch; itself when alone
    uint32_t service, life, attempt;
    int32_t code;    // of a failure
    uint16_t n;      // which of its task's requests at this service
    uint16_t group;  // next one
    uint16_t under;  // targets of the group under way
    uint16_t missed; // answers of the group still needed
    uint8_t state, outcome;
    uint8_t has_server, orphan, depth, priority, leads;
} Request;

typedef struct Sharer {
    double tag; // attained service at which it is done
    int32_t request;
} Sharer;

typedef struct Service {
    VirtualService is; // `groups` not used: see first_group
    // Hot: what every request looks at.
    uint32_t usable; // servers: neither starting nor lost nor stopped; VIRTUAL_ANY
    uint32_t waiting, busy;
    bool faulty, batches, filling;
    int64_t changed_ns; // up to where the integrals are
    int32_t first[POLICY_PRIORITIES], last[POLICY_PRIORITIES];
    uint32_t first_group;
    uint32_t asked, starting; // servers as of virtual_set_servers, 0 any; those not working yet
    int64_t asked_ns;         // since when; up to then `server_ns` is right
    int32_t gathering;        // one of the batch that gathers
    // Sharing.
    Sharer *sharers;
    uint32_t sharer_count, sharer_room;
    double attained, rate; // service each has had since the start; share of a server each has
    int64_t attained_ns;
    PolicyBlock *block;
    bool plain; // its block does nothing to calls
    VirtualServiceCounts counts;
} Service;

typedef struct Edge {
    PolicyBlock *block;
    uint32_t service;
    bool plain; // no policy does anything
} Edge;

typedef struct Group {
    uint32_t first, count, need;
} Group;

typedef struct Client {
    VirtualClient is;
    uint64_t begun;       // arrivals: the number of the next
    Dist gap;             // of mean 1 s
    double next_gap;      // before call number `begun`, in seconds
    double rate;          // now, of per_second
    int64_t rate_until;   // until it changes
    int64_t burst_until;  // the burst or calm that lasts
    uint64_t burst_count; // bursts and calms so far; odd: a burst
    uint64_t luck;
    bool dressed; // its calls differ in more than their time
    VirtualClientCounts counts;
} Client;

typedef struct User {
    uint64_t luck;
    uint64_t begun;
    uint32_t client;
} User;

typedef enum LaterKind { LATER_TICK, LATER_FAULTS, LATER_SERVERS, LATER_PROGRAM } LaterKind;

typedef struct Later {
    LaterKind kind;
    int32_t next_free;
    uint32_t service; // LATER_PROGRAM: an edge, or GATE | service
    uint32_t count;   // servers
    uint64_t id;
    VirtualFaults faults;
} Later;

// Something that ended within this moment and whose consequences are next: a step may not report an
// end from inside, and recursion would have no bound.
typedef enum NoteKind { NOTE_REQUEST_END, NOTE_CHILD } NoteKind;

typedef struct Note {
    int32_t request;
    uint32_t life;
    int32_t code;
    uint16_t target, left;
    NoteKind kind;
} Note;

struct Virtual {
    uint64_t seed;
    VirtualHooks hooks;
    uint32_t open_max;
    bool trace_on, overflowed;
    int64_t now;
    uint64_t serial, steps, trace, events;
    EventHeap heap;
    Note *notes; // ring; room is a power of two
    uint32_t note_first, note_count, note_room;
    Task *tasks;
    uint16_t *task_counts; // requests so far, by task and service
    Op *ops;
    CallState *states;
    Request *requests;
    Service *services;
    Edge *edges;
    Group *groups;
    VirtualTarget *targets;
    Client *clients;
    User *users;
    Later *laters;
    uint32_t task_count, op_count, request_count, service_count, edge_count, group_count,
        target_count, client_count, user_count, later_count;
    uint32_t task_room, op_room, request_room, service_room, edge_room, group_room, target_room,
        client_room, user_room, later_room;
    int32_t task_free, op_free, request_free, later_free;
    uint32_t tasks_open, ops_open, requests_open;
};

// ---- virtual.c

// Room for one more item; new memory is zeroed.
void *virtual_grown(void *items, uint32_t count, uint32_t *room, size_t item_bytes);
void virtual_note(Virtual *v, Note note);
void virtual_servers_later(Virtual *v, int64_t at_ns, uint32_t service, uint32_t count);
// What is asked of luck; for each, `n` tells the draws of a task apart.
typedef enum Luck {
    LUCK_WORK,
    LUCK_FAULT,
    LUCK_CALLED, // chance of a target
    LUCK_REPEAT,
    LUCK_GAP,
    LUCK_KEY,
    LUCK_PRIORITY,
    LUCK_ONCE,
    LUCK_CANCEL,
    LUCK_THINK,
    LUCK_BURST,
    LUCK_PATIENCE,
} Luck;

// The finaliser of SplitMix64 (Steele, Lea, Flood 2014) on a counter: independent streams by key,
// numbers in any order, four multiplications a number.
static inline uint64_t luck_mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

static inline uint64_t luck_key(uint64_t key, uint64_t name)
{
    return luck_mix(key + (name + 1) * UINT64_C(0x9E3779B97F4A7C15));
}

static inline double luck(uint64_t key, Luck what, uint32_t where, uint32_t n)
{
    uint64_t counter = (uint64_t)what << 56 | (uint64_t)where << 32 | n;
    uint64_t bits = luck_mix(key + (counter + 1) * UINT64_C(0x9E3779B97F4A7C15));
    return (double)(bits >> 11) * 0x1p-53;
}

static inline void virtual_wake_at(Virtual *v, NodeKind kind, uint32_t index, int64_t at_ns)
{
    event_heap_set(&v->heap, event_node(kind, index), at_ns);
}

// ---- virtual_call.c

typedef struct CallFrom {
    int32_t parent; // request; NONE
    uint32_t place;
    uint16_t target, left;
    uint8_t orphan;
} CallFrom;

// `task` gains a reference.
int32_t op_start(Virtual *v, const CallFrom *from, const CallOptions *options, int32_t task);
// `r` was its request; it is looked at before anything else happens.
void op_attempt_done(Virtual *v, int32_t op, const Request *r, int64_t retry_after_ns);
// Nobody waits for it any more.
void op_cancel(Virtual *v, int32_t op);
void op_mark_orphan(Virtual *v, int32_t op);
void op_timer(Virtual *v, int32_t op);
static inline PolicyBlock *op_block(const Virtual *v, const Op *op)
{
    return op->place & GATE ? v->services[op->place & ~GATE].block : v->edges[op->place].block;
}

// cancel.propagate
static inline bool op_tells(const Virtual *v, const Op *op)
{
    return op_block(v, op)->p[P_CANCEL_PROPAGATE].boolean;
}

void virtual_drain(Virtual *v, PolicyBlock *block);
int32_t task_new(Virtual *v, uint64_t luck, uint32_t client);
static inline void task_unref(Virtual *v, int32_t task)
{
    Task *t = &v->tasks[task];
    if (--t->refs == 0) {
        t->next_free = v->task_free;
        v->task_free = task;
        v->tasks_open--;
    }
}
bool policy_is_plain(const PolicyBlock *block); // every policy of a call is off

// ---- virtual_request.c

void request_begin(Virtual *v, int32_t op, uint32_t attempt, int64_t deadline_ns);
void request_cancel(Virtual *v, int32_t request, bool told);
void request_mark_orphan(Virtual *v, int32_t request);
// It has a server, alone or as one of a batch; draws what becomes of it.
void request_draw(Virtual *v, int32_t request);
// Its own work is done. True: that was all of it.
bool request_worked(Virtual *v, int32_t request);
// It has ended, and says so next.
void request_end_soon(Virtual *v, int32_t request);
// The calls of its groups; true: there are none left.
bool request_go_on(Virtual *v, int32_t request);
void request_end(Virtual *v, int32_t request);
void request_note(Virtual *v, const Note *note);

// ---- virtual_queue.c

void service_integrate(Service *s, int64_t now_ns);
// Brings the integrals up to now; before anything they count changes.
static inline void service_account(const Virtual *v, Service *s)
{
    if (s->changed_ns != v->now) {
        service_integrate(s, v->now);
    }
}
// The request begins to be served or waits. False: there is no room for it.
bool service_enter(Virtual *v, int32_t request);
// Takes it out of wherever it is at its service, with its server.
void service_leave(Virtual *v, int32_t request);
// Gives its server back, if it has one.
void service_release(Virtual *v, int32_t request);
void service_work_done(Virtual *v, int32_t request); // NODE_WORK
void service_batch_due(Virtual *v, uint32_t service);
// Servers may be free for those who wait.
void service_fill(Virtual *v, uint32_t service);

// ---- virtual_sharing.c

void sharing_add(Virtual *v, int32_t request);
void sharing_remove(Virtual *v, int32_t request);  // work_ns is then what it had
void sharing_done(Virtual *v, uint32_t service);   // NODE_SHARING
void sharing_settle(Virtual *v, uint32_t service); // servers changed

// ---- virtual_servers.c

void servers_scale_begin(Virtual *v, uint32_t service);
static inline void servers_scale_watch(Virtual *v, uint32_t service)
{
    if (v->services[service].block) {
        servers_scale_begin(v, service);
    }
}
void servers_scale(Virtual *v, uint32_t service); // NODE_SCALE
void servers_started(Virtual *v, uint32_t service, uint32_t count);
void servers_settle(Virtual *v, uint32_t service); // `usable` from what it depends on

// ---- virtual_client.c

void client_arrival(Virtual *v, uint32_t client);
void client_user(Virtual *v, uint32_t user);
// A client's call ended.
void client_answered(Virtual *v, uint32_t client, int32_t user, CallReason reason);

#endif
