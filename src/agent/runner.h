// Runner: runs agents. Shards (a thread, a loop, fibers each) with bounded mailboxes; every event
// that was accepted ends exactly once: handled, failed with a reason, or shed and counted.
//
//     Runner *runner;
//     if ((rc = runner_create(&(RunnerOptions){.shards = 2}, &runner, e)) != 0) ...
//     runner_register(runner, &(AgentSpec){.name = SLICE("echo"), .run = echo}, NULL, e);
//     runner_hook(runner, HOOK_ERROR, on_error, NULL, e);
//     runner_start(runner, e);
//     runner_emit(runner, &(EventSpec){.target = SLICE("echo"), .data = ...}, e);
//     runner_call(runner, &spec, NULL, &result, e);
//     runner_stop(runner, 5 * NS_PER_S);
//     runner_destroy(runner);
//
// With options.manual all shards live on the calling thread and time is the test's: call
// runner_step until it returns false. runner_call and runner_stop step by themselves then.
//
// Register and hook before runner_start; emit, call, submit and the readers from any thread (also
// from other loops' fibers: use runner_submit there, the others block their thread).
#ifndef AGENT_RUNNER_H
#define AGENT_RUNNER_H

#include "agent/agent.h"
#include "policy/program_run.h"
#include "policy/stats.h"
#include "stat/hist.h"

typedef struct Runner Runner;

typedef struct RunnerOptions {
    unsigned shards;                // threads; 0: one for each CPU that the process may use
    bool pin;                       // shard i to CPU i of the allowed set
    uint32_t max_concurrent_events; // started and not ended, calls of them not counted; 0: no limit
    uint32_t event_buffer;          // default mailbox_max; 0: RUNNER_MAILBOX
    uint32_t worker_limit;          // default of agents; 0: no limit
    int64_t event_timeout_ns;       // deadline of events that name none; 0: none
    uint32_t hops_max;              // of emits begetting emits; 0: RUNNER_HOPS_MAX
    uint32_t call_depth_max;        // 0: RUNNER_CALL_DEPTH_MAX
    size_t data_max;                // bytes of one event; 0: EVENT_DATA_MAX
    uint32_t agents_max;            // 0: RUNNER_AGENTS_MAX
    size_t fibers_max;              // a shard; 0: FIBER_COUNT_MAX
    size_t stack_bytes;             // 0: FIBER_STACK_BYTES
    uint32_t inbox;                 // messages between shards; 0: RUNNER_INBOX
    uint32_t trace_entries;         // of the session trace, a shard; 0: RUNNER_TRACE_ENTRIES
    bool trace_off;                 //
    bool metrics_off;               //
    int64_t spin_ns;                // a shard polls this long before it sleeps
    size_t state_compress_min;      // see State; 0: never
    Slice dead_letter;   // name of the agent that gets what others could not; empty: none
    uint64_t seed;       // of trace ids and policies
    double trace_drop;   // share of new traces, 0 to 1, that are not sampled
    ManualClock *manual; // single-threaded, for tests and simulation
    // What every policy block has room for at least, so that runner_set_policy can turn on later
    // what an agent began without; see PolicyShape.
    PolicyShape policy_room;
} RunnerOptions;

enum {
    RUNNER_MAILBOX = 1024,
    RUNNER_HOPS_MAX = 1024,
    RUNNER_CALL_DEPTH_MAX = 64,
    RUNNER_AGENTS_MAX = 1 << 20,
    RUNNER_INBOX = 2048,
    RUNNER_TRACE_ENTRIES = 4096,
    RUNNER_SHARDS_MAX = 256,
    RUNNER_HOOKS_MAX = 16, // of one point
};

MUST_USE int runner_create(const RunnerOptions *options, Runner **ret_runner, Err *e);
void runner_destroy(Runner *runner); // stops it if need be; NULL is fine

// ERR_EXISTS for a name that is taken, ERR_ARG for a bad one, ERR_BUSY once started.
MUST_USE int runner_register(Runner *runner, const AgentSpec *spec, AgentId *ret_id, Err *e);
// Policies for what `from` sends to `to`, by call or by emit, inside of which those of `to` hold.
// Both are registered before. The edge shows as an agent "from->to" in metrics, hooks and traces,
// and forwards. ERR_EXISTS for a second one between the two.
MUST_USE int runner_edge(Runner *runner, AgentId from, AgentId to, const ParamValue *policies,
                         AgentId *ret_id, Err *e);
// Changes one policy of an agent or edge while it runs; no event is lost. ERR_ARG, ERR_REFUSED: see
// policy_set. An agent that had no policies gets them. Not from a handler.
MUST_USE int runner_set_policy(Runner *runner, AgentId id, PolicyParamId param, ParamValue value,
                               Err *e);
// A policy program on an agent's or edge's policies, in place of the one that is there; NULL: none.
// Each shard that runs the agent runs its own. ERR_REFUSED: options.policy_room has none.
MUST_USE int runner_set_program(Runner *runner, AgentId id, const PolicyProgram *program,
                                const ProgramRange *ranges, size_t range_count, Err *e);
// Changes an agent's worker_limit while it runs; 0: no limit. More places are taken at once; fewer
// by and by, as handlers return. ERR_ARG. Not from a handler.
MUST_USE int runner_set_workers(Runner *runner, AgentId id, uint32_t workers, Err *e);
AgentId runner_find(const Runner *runner, Slice name); // AGENT_NONE when there is none
size_t runner_agent_count(const Runner *runner);
Slice runner_agent_name(const Runner *runner, AgentId id);
unsigned runner_shard_count(const Runner *runner);

// ---- hooks

typedef enum HookPoint {
    HOOK_BEFORE_EVENT, // an event starts: once an event
    HOOK_AFTER_EVENT,  // it ended, whichever way: once for each HOOK_BEFORE_EVENT
    HOOK_BEFORE_AGENT, // its handler is about to run: once an attempt
    HOOK_AFTER_AGENT,  // it returned
    HOOK_ERROR,        // the event ended with an error, started or not: once an event
    HOOK_POINTS,
} HookPoint;

typedef struct HookInfo {
    HookPoint point;
    const Event *event;
    Slice agent;
    State *state; // before and after an agent run: may be written; else NULL
    unsigned attempt;
    int code;           // 0 before
    const char *reason; // "" when all is well
    int64_t now_ns;
} HookInfo;

typedef void RunnerHookFn(void *arg, const HookInfo *info);

// On the shards' threads, in the order of adding; must not park.
MUST_USE int runner_hook(Runner *runner, HookPoint point, RunnerHookFn *fn, void *arg, Err *e);

// ---- running

MUST_USE int runner_start(Runner *runner, Err *e);
// Accepts nothing more from outside, lets what was accepted end, at `drain_ns` from now cancels the
// rest (which ends as failed with ERR_CANCELLED) and joins the threads. Returns how many events had
// to be cancelled. A second call returns 0.
size_t runner_stop(Runner *runner, int64_t drain_ns);
// Manual runners: one round of all shards; when none had work, time goes on to the next timer.
// False when nothing is left to do.
bool runner_step(Runner *runner);
// Manual runners, fault injection: a stalled shard is not stepped.
void runner_stall(Runner *runner, unsigned shard, bool stalled);
// Manual runners, fault injection: cancels one of the parked handlers of a shard; false: none.
bool runner_kill_one(Runner *runner, unsigned shard, uint64_t pick);

// 0 means accepted. ERR_NOT_FOUND, ERR_LIMIT, ERR_CLOSED (not started, or stopping), ERR_FULL (shed
// and counted); OVERFLOW_BLOCK makes the thread wait to the event's deadline: ERR_TIMEOUT.
MUST_USE int runner_emit(Runner *runner, const EventSpec *spec, Err *e);
// While set, events from outside are shed: ERR_FULL, and counted. What runs goes on, and may emit.
// Any thread.
void runner_shed(Runner *runner, bool shed);
// Emits and waits for the answer.
MUST_USE int runner_call(Runner *runner, const EventSpec *spec, const State *state,
                         AgentResult *ret_result, Err *e);

// Never waits: OVERFLOW_BLOCK counts as ERR_FULL. When 0 was returned on_done is called exactly
// once, on a shard's thread, and must not park or keep the result.
typedef void RunnerDoneFn(void *arg, AgentResult *result);
typedef struct SubmitOptions {
    const State *state;
    RunnerDoneFn *on_done;
    AgentChunkFn *on_chunk;
    void *arg; // of both
} SubmitOptions;
MUST_USE int runner_submit(Runner *runner, const EventSpec *spec, const SubmitOptions *options,
                           Err *e);

// ---- what it did

typedef struct RunnerCounts {
    uint64_t accepted; // into a mailbox
    uint64_t handled;  // ended well
    uint64_t failed;   // ended with an error after being accepted
    uint64_t shed;     // not accepted: mailbox full
    uint64_t dead_letters;
    uint64_t dead_letters_lost; // that agent's mailbox was full, too
    uint64_t refused;           // unknown agent, too large, too many hops, stopped
    uint64_t retries;
    uint64_t calls;       // of the accepted
    uint64_t cross_shard; // of the accepted: came from another shard
    uint64_t fibers;      // alive now
    uint64_t in_flight;   // accepted and not ended
} RunnerCounts;

RunnerCounts runner_counts(const Runner *runner);

typedef struct AgentMetrics {
    Slice name;
    uint64_t handled, failed, timeouts, retries;
    uint64_t running, queued;    // now
    uint64_t places;             // handlers that may run at a time; 0: no limit
    const PolicyStats *policies; // NULL: it has none
    const Hist *duration_ns;     // of runs that ended well
    const Hist *error_duration_ns;
    const Hist *queue_ns; // from creation to start
} AgentMetrics;

// Calls fn for every agent that ever got an event, all shards added up. Not from a handler.
void runner_metrics(Runner *runner, void (*fn)(void *arg, const AgentMetrics *metrics), void *arg);

typedef struct TraceEntry {
    int64_t start_ns, duration_ns;
    uint64_t event_id;
    TraceContext trace;
    AgentId agent, source;
    int32_t code;
    uint32_t attempt;
    uint32_t session_hash;
    char session[EVENT_SESSION_MAX + 1];
    char type[EVENT_TYPE_MAX + 1];
} TraceEntry;

// The agent runs of a session that are still in the rings, in order of time. Not from a handler.
void runner_trace(Runner *runner, Slice session, void (*fn)(void *arg, const TraceEntry *entry),
                  void *arg);

#endif
