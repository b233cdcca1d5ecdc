// The runner's inside; only for this room's own files. docs/internals/runtime.md tells the story.
//
//   Runner       the agents, the hooks, the shards
//     Shard      one thread: loop, fibers, inbox, pools. Its fields are its thread's own
//       Slot     what a shard holds of an agent that has had an event: mailbox, places, metrics
//       Job      an accepted event, until it ends: waiting in a mailbox or with a worker
//       Worker   a fiber that runs jobs, one after another for as long as no handler parks
//
// Who may touch what: everything of a shard belongs to its thread; others send it a Message.
// Counters of a shard are written by its thread and read by all. The depth of a mailbox is the one
// number that emitters everywhere change, so that a full mailbox is known before anything is sent.
#ifndef AGENT_RUNNER_IMPL_H
#define AGENT_RUNNER_IMPL_H

#include "agent/runner.h"
#include "base/map.h"
#include "os/thread.h"

typedef struct Shard Shard;
typedef struct Slot Slot;
typedef struct Job Job;
typedef struct Worker Worker;
typedef struct CallWait CallWait;
typedef struct Policed Policed;
typedef struct Batch Batch;
typedef struct BatchSeat BatchSeat;
typedef struct Batching Batching;
typedef struct PolicedRun PolicedRun;
typedef struct Message Message;

enum {
    REASON_MAX = 128,
    // Lists of a mailbox and of runnable slots: calls first, because finishing what was begun frees
    // more than beginning something else; then events by priority.
    LEVEL_CALL = 0,
    LEVELS = 1 + EVENT_PRIORITIES,
    LEVEL_BLOCKED = LEVELS, // slots with mail and no place
    WORKERS_IDLE_MAX = 64,  // parked workers that a shard keeps
    JOBS_PER_SLOT = 8,      // of one mailbox in a row, while what they touch is in the cache
    JOBS_PER_TURN = 1024,   // before a worker lets the loop look at its file descriptors
    MESSAGES_PER_TURN = 1024,
    REMOTE_BUCKETS = 1024,
    ENDED_MAX = 256,
    ARENAS_KEPT = 64,
    INLINE_STACK_BYTES = 16 << 10, // a callee runs on its caller's stack up to this depth of it
};
// How often a mailbox that cannot run is searched for events whose deadline passed, and a full
// mailbox of another shard is tried again.
#define SWEEP_NS       (10 * NS_PER_MS)
#define REMOTE_ROOM_NS (200 * NS_PER_US)

// ---- agents

typedef struct AgentDef {
    const char *name;
    uint32_t name_len;
    AgentId id;
    AgentRunFn *run;
    AgentBatchFn *run_batch; // NULL: none. Else `run` is batch_run
    void *self;
    void (*destroy)(void *self);
    AgentPlacement placement;
    OverflowRule overflow;
    Slice dead_letter_name; // of its own; empty: the runner's
    AgentId dead_letter;    // for what does not fit, once started; or AGENT_NONE
    uint32_t mailbox_max;
    uint32_t worker_limit; // 0: none
    bool keeps_place;
    uint32_t spread;       // shards that may run it
    uint32_t home;         // shard
    const void *policies;  // ParamValue[POLICY_PARAM_COUNT], or NULL
    struct EdgeDef *edges; // from it to others
    AgentId forwards_to;   // a proxy of an edge; else AGENT_NONE
    Counter depth;         // events in its mailbox; placed by session: see depths
    Counter *depths;       // by shard
} AgentDef;

// Events from an agent to `to` go by way of `proxy`, whose policies are the edge's.
typedef struct EdgeDef {
    AgentId to;
    struct AgentDef *proxy;
    struct EdgeDef *next;
} EdgeDef;

static inline Slice def_name(const AgentDef *def)
{
    return (Slice){def->name, def->name_len};
}
static inline Counter *def_depth(AgentDef *def, unsigned shard)
{
    return def->depths ? &def->depths[shard] : &def->depth;
}

typedef struct SlotMetrics {
    Hist duration, error_duration, queue;
    uint64_t handled, failed, timeouts;
} SlotMetrics;

// How an event ended, until it is recorded.
typedef struct Ended {
    SlotMetrics *metrics;
    int64_t queue_ns;
    int64_t run_ns; // -1: it never ran
    int code;
} Ended;

typedef struct JobList {
    Job *first, *last;
} JobList;

struct Slot {
    AgentDef *def;
    JobList mail[LEVELS];
    uint32_t queued;
    uint32_t running;    // places taken
    uint32_t limit;      // of places here; UINT32_MAX: none
    uint8_t turn;        // jobs started since it came to the front of its list
    int8_t level;        // of the run list it is in; -1: in none
    Slot *prev, *next;   // there
    Slot *all_next;      // of the shard
    FiberQueue room;     // emitters of this shard that wait for a place in the mailbox
    FiberQueue returned; // handlers that came back from a call and want their place again
    SlotMetrics *metrics;
    Policed *policed;   // NULL: its agent has no policies
    Batching *batching; // NULL: it had no batch yet
};

// ---- jobs

typedef enum ReplyKind {
    REPLY_NONE,
    REPLY_LOCAL,  // a fiber of this shard waits
    REPLY_REMOTE, // one of another shard
    REPLY_DONE,   // a callback
    REPLY_INLINE, // the caller, further up on this stack
} ReplyKind;

typedef struct Reply {
    ReplyKind kind;
    bool wants_chunks;
    uint16_t shard; // REPLY_REMOTE
    CallWait *wait; // REPLY_LOCAL, REPLY_REMOTE (of the other shard: handed back, never looked at)
    RunnerDoneFn *on_done;
    AgentChunkFn *on_chunk;
    void *arg;
    AgentResult *result; // REPLY_INLINE
} Reply;

struct Job {
    Event event; // first: jobs live in an EventPool
    Job *prev, *next;
    Slot *slot;
    Worker *worker; // NULL while it waits
    Reply reply;
    State state;        // what it begins with
    Job *remote_next;   // REPLY_REMOTE: chain of its bucket
    uint64_t sender_id; // REPLY_REMOTE: the id under which the caller cancels it
    uint8_t level;
    bool abandoned;   // nobody waits any more
    bool is_attempt;  // one of several at one event: no event itself
    unsigned attempt; // then: which
};

// A caller's side of a call. It lives until the answer came, even if nobody waits for that.
struct CallWait {
    AgentCall *call; // NULL: dropped
    Fiber *fiber;    // waits for this or any of several; else NULL
    Job *job;        // of this shard; NULL: remote
    unsigned shard;  // where the callee runs
    uint64_t event_id;
    AgentChunkFn *on_chunk;
    void *chunk_arg;
    int64_t deadline_ns;
    AgentContext *ctx;     // whose handler started it, while that runs
    CallWait *prev, *next; // of the context; next also in the free list
};

// ---- workers

typedef enum CancelCause {
    CANCEL_NONE,
    CANCEL_ATTEMPT, // its policy gave this attempt up
    CANCEL_DEADLINE,
    CANCEL_ABANDONED,
    CANCEL_STOP,
    CANCEL_KILL,
} CancelCause;

// One activation of a handler. A call whose callee can start at once runs it right on the caller's
// stack: then contexts form a chain.
struct AgentContext {
    Shard *shard;
    AgentContext *outer; // of the handler that called this one; NULL: none on this fiber
    CancelCause cause;   // why it is being cancelled
    PolicedRun *policed; // while it runs under policies
    BatchSeat *seat;     // while it waits for its batch or is part of it
    Arena *arena;
    Worker *worker;
    Job *job;
    State *state;
    unsigned attempt;
    bool has_place;
    int fail_code;
    uint32_t reply_len;
    Bytes *reply_bytes;
    CallWait *waits; // of calls that have not been answered
    char reason[REASON_MAX];
    char reply_inline[EVENT_INLINE_BYTES];
};

struct Worker {
    Shard *shard;
    Fiber *fiber;
    Job *job;          // of the innermost handler; NULL between jobs
    AgentContext ctx;  // of its outermost handler
    AgentContext *top; // of the innermost
    const char *stack; // where its fiber's stack began
    LoopTimer timer;   // the job's deadline, set once its handler parked
    bool idle;         // in the idle list
    bool turn_over;    // parked to let the loop have a turn
    Worker *next;      // idle or free list
    Worker *all_next;
};

// ---- shards

typedef enum MessageKind {
    MESSAGE_EVENT,
    MESSAGE_REPLY,
    MESSAGE_CHUNK,
    MESSAGE_CANCEL,
    MESSAGE_CALL_FN,
} MessageKind;

struct Message {
    MessageKind kind;
    int code;                            // REPLY
    CallWait *wait;                      // REPLY, CHUNK
    StateNode *state;                    // EVENT, REPLY: a reference
    uint64_t id;                         // CANCEL; EVENT: sender_id
    Reply reply;                         // EVENT
    void (*fn)(Shard *shard, void *arg); // CALL_FN
    void *arg;
    Event event; // EVENT; REPLY and CHUNK use its data, REPLY its `reason` below
    char reason[REASON_MAX];
};

typedef struct Pending Pending; // a message for a full inbox
struct Pending {
    Pending *next;
    Message message;
};

typedef struct Outbox {
    Pending *first, *last;
} Outbox;

// Written by the shard's thread, read by all.
typedef struct ShardCounts {
    Counter accepted, handled, failed, shed, dead_letters, dead_letters_lost, refused, retries,
        calls, cross_shard, fibers;
} ShardCounts;

typedef struct HookEntry {
    RunnerHookFn *fn;
    void *arg;
} HookEntry;

struct Shard {
    Runner *runner;
    unsigned index;
    Loop *loop;
    FiberPool *fibers;
    Thread *thread;
    Mpsc *inbox;
    Waker waker;
    LoopIo waker_io;
    Outbox *outboxes; // by shard
    size_t pending;   // in all of them
    EventPool *events;
    Slot **slots; // by AgentId
    Slot *all_slots;
    Slot *run_first[LEVELS + 1], *run_last[LEVELS + 1];
    LoopDefer pump;
    LoopTimer sweep;
    Worker *active; // takes jobs; parked in a handler: somebody else will
    Worker *idle, *free_workers, *all_workers;
    size_t idle_count;
    size_t workers;                  // fibers
    size_t roots_running, roots_max; // max_concurrent_events' share
    size_t blocked;                  // fibers that wait for room
    size_t queued;                   // jobs in mailboxes
    CallWait *free_waits;
    Arena *arenas[ARENAS_KEPT]; // of handlers, emptied
    size_t arena_count;
    Job *remote[REMOTE_BUCKETS]; // by sender_id
    uint64_t next_id;
    ShardCounts counts;
    Ended ended[ENDED_MAX]; // not yet in the metrics
    size_t ended_count;
    // Time: the cycle counter between two readings of the clock.
    int64_t last_ns, base_ns, start_ns;
    uint64_t base_cycles, start_cycles;
    double ns_per_cycle; // 0: not known yet
    bool fresh;          // last_ns is of this moment
    bool cancelling;     // everything that is left is to end
    bool stalled;        // manual runners: fault injection
    TraceEntry *trace;
    uint64_t trace_count;
};

struct Runner {
    RunnerOptions options;
    AgentDef **agents;
    uint32_t agent_count, agent_capacity;
    Map names; // -> AgentDef
    AgentId dead_letter;
    HookEntry hooks[HOOK_POINTS][RUNNER_HOOKS_MAX];
    unsigned hook_count[HOOK_POINTS];
    Shard **shards;
    unsigned shard_count;
    bool started;
    Counter open; // above 0: takes events from outside
    Flag ending;  // threads return
    bool failed_start;
    bool has_batches; // an agent with a batch handler
    Flag shedding;    // events from outside are not accepted
    Counter outside_ids, outside_shed, outside_refused, outside_accepted, outside_letters,
        outside_letters_lost;
    Slice dead_letter_name;
    Arena *names_arena;
};

// ---- time

int64_t shard_now(Shard *shard); // about 10 ns; remembers it as last_ns

// ---- mailbox.c

Slot *slot_of(Shard *shard, AgentId id); // made on first use
void slot_free(Slot *slot);
void slot_put(Shard *shard, Slot *slot, Job *job); // at the end of its level
void slot_remove(Shard *shard, Job *job);          // a waiting job; its mailbox has room again
// The next job that may start, with its place taken; NULL when there is none.
Job *shard_next_job(Shard *shard);
bool shard_has_job(const Shard *shard); // that may start
void slot_release(Shard *shard, Slot *slot);
void slot_set_limit(Shard *shard, Slot *slot, uint32_t limit);
void slot_places_changed(Shard *shard, Slot *slot); // its agent's worker_limit is another
// Parks until there is a place. False: cancelled before there was.
bool slot_return(Shard *shard, Slot *slot);
// Fails every waiting job whose deadline is not after `now`; all of them with `all`.
void shard_expire(Shard *shard, int64_t now_ns, bool all);

// ---- delivery.c

// An event that passed the checks of the emitter.
typedef struct Delivery {
    const EventSpec *spec;
    AgentDef *def;
    const Job *parent; // the job whose handler emits; NULL: from outside
    Reply reply;
    const State *state;
    uint16_t depth, hops;
    int64_t now_ns, deadline_ns;
    uint64_t id;
} Delivery;

// Names, sizes and deadline; fills `d`. Counts what it refuses.
MUST_USE int delivery_check(Runner *runner, const EventSpec *spec, const Job *parent, Delivery *d,
                            Err *e);
unsigned delivery_shard(const Runner *runner, const Delivery *d);
// Takes a place in the mailbox: 0, or ERR_FULL.
MUST_USE int delivery_reserve(const Delivery *d, unsigned shard);
void delivery_unreserve(const Delivery *d, unsigned shard);
// The place is reserved. On `shard`'s own thread.
Job *deliver_here(Shard *shard, const Delivery *d);
// A call that starts now, without a mailbox; its place is taken.
Job *deliver_at_once(Shard *shard, Slot *slot, const Delivery *d);
// From `from` (NULL: an outside thread) to another shard. False: its inbox is full.
bool deliver_there(Runner *runner, Shard *from, unsigned to, const Delivery *d);
void deliver_message(Shard *shard, Message *message);
// The mailbox was full: counts, and tells the dead-letter agent where the rule says so.
void delivery_overflow(Runner *runner, Shard *here, const Delivery *d);
uint64_t mix64(uint64_t x);

const char *cancel_text(CancelCause cause);
// `ctx` is the worker's own, or a new one on the stack of the caller's.
void job_run(Worker *worker, Job *job, AgentContext *ctx);
// Hooks and handler, once.
int attempt_run(AgentContext *ctx, int64_t now_ns);
// The job's only end. `ctx` is NULL when its handler never ran.
void job_end(Shard *shard, Job *job, AgentContext *ctx, int code, const char *reason,
             int64_t start_ns);
void shard_record_ended(Shard *shard); // before anybody looks at the metrics
void job_cancel(Shard *shard, Job *job, CancelCause cause);
// The context's parks are to end, after its cause was set.
void context_cancel(AgentContext *ctx);

// ---- call.c

void wait_finish_remote(Shard *shard, CallWait *wait, Message *reply);
void wait_finish_local(Shard *shard, CallWait *wait, int code, const char *reason,
                       AgentContext *ctx, State *state);
void context_drop_calls(AgentContext *ctx);
void waits_destroy(Shard *shard);
// Takes a place in the mailbox that `d` is for, by the agent's overflow rule: 0, ERR_FULL,
// ERR_TIMEOUT, ERR_CANCELLED.
MUST_USE int context_reserve(AgentContext *ctx, const Delivery *d, unsigned to);
// While a handler waits for others its places are theirs: its agent's worker_limit, and with `root`
// its part of max_concurrent_events.
bool context_is_cancelled(const AgentContext *ctx); // it or any around it
// It goes on after all; its fiber, too, unless a handler around it is being cancelled.
void context_uncancel(AgentContext *ctx);
void context_leave_place(AgentContext *ctx, bool root);
void context_take_place(AgentContext *ctx, bool root);
// A job that runs the context's event once more beside it.
void context_spawn_attempt(AgentContext *ctx, const State *begin, unsigned attempt,
                           int64_t deadline_ns, AgentCall *call);
// Drops such a job's answer, and the job goes on: it is not told.
void context_leave_call(AgentContext *ctx, AgentCall *call);
// agent_stream from where nothing may park.
void context_stream_now(AgentContext *ctx, Slice chunk);
MUST_USE int context_send(AgentContext *ctx, unsigned to, const Delivery *d);

// ---- batch.c

AgentRunFn batch_run; // the handler of agents that get batches
// Its events gather now: they cannot run on their callers' stacks.
bool slot_batches(const Slot *slot);
void slot_batch_changed(Slot *slot);                  // its parameters did
void shard_flush_batches(Shard *shard, void *unused); // nothing waits for more
void batching_destroy(Batching *batching);            // NULL is fine
// Others of its batch, which are not cancelled, run on the same fiber.
bool context_shares_fiber(const AgentContext *ctx);
// The context whose place it runs in: that of its batch, or itself.
AgentContext *context_host(AgentContext *ctx);

// ---- dead_letter.c

// Tells `agent` of an event of `def`; AGENT_NONE: nobody.
void dead_letter_send(Runner *runner, Shard *here, AgentId agent, AgentDef *def,
                      const EventSpec *spec, int code, const char *reason);

// ---- trace.c

void trace_add(Shard *shard, const Job *job, int64_t start_ns, int64_t end_ns, unsigned attempt,
               int code);

// ---- shard.c

MUST_USE int agent_shard_create(Runner *runner, unsigned index, Shard **ret_shard, Err *e);
void agent_shard_destroy(Shard *shard);
void shard_thread(void *arg);
void shard_wake_pump(Shard *shard);
bool shard_step(Shard *shard);   // manual runners: one round
bool shard_settle(Shard *shard); // after the threads: messages that nobody waits for
void shard_send(Shard *from, unsigned to, const Message *message); // never lost
void shard_cancel_all(Shard *shard, void *unused);
void worker_detach(Worker *worker);
// Something with a time of its own begins on this worker. The active one needs no timer before it
// parks, but one that has parked before is not looked at again.
void worker_watch(Worker *worker);
// The running worker is about to park in its handler: another one takes the next job at once.
void worker_hand_over(Worker *worker);
// Whether a job at this depth of calls may be the one of so many workers at work: each depth leaves
// some to deeper ones, or callers could take all and wait for ever.
bool shard_has_fiber(const Shard *shard, unsigned depth, size_t workers);
// Runs fn on every shard's thread, one after another, and waits.
void runner_on_shards(Runner *runner, void (*fn)(Shard *shard, void *arg), void *arg);
int64_t runner_now(const Runner *runner);
// Counts an event from outside as accepted; false when the runner is closed.
bool runner_admit(Runner *runner);
uint64_t runner_next_id(Runner *runner); // for what comes from outside
void runner_run_hooks(Runner *runner, HookPoint point, const Job *job, State *state,
                      unsigned attempt, int code, const char *reason, int64_t now_ns);

#endif
