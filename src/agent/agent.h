// Agent: a name and a handler, whatever language the handler is written in. C functions, JavaScript
// modules and language-model agents from configuration are the same thing to the runner: an
// AgentSpec.
//
//     static int count(AgentContext *ctx, const Event *event, State *state)
//     {
//         int64_t n = state_get_int(state, SLICE("n"), 0) + 1;
//         int rc = state_set_int(state, SLICE("n"), n);
//         return rc ? rc : agent_reply(ctx, event_data(event));
//     }
//     runner_register(runner, &(AgentSpec){.name = SLICE("counter"), .run = count}, &id, e);
//
// A handler runs on a fiber of its shard's thread. It may park (agent_sleep, agent_call, anything
// that parks the fiber: HTTP, tools, models); others run meanwhile. It must not block the thread.
// It returns 0 or a negative ERR_*; agent_fail adds a reason in words. When its deadline passes or
// nobody waits for it any more, its parks return ERR_CANCELLED and it should return that.
// An idle agent holds no fiber, no stack, no mailbox: a few hundred bytes.
//
// Everything here is called from inside a handler, on its fiber.
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include "agent/event.h"
#include "agent/state.h"
#include "os/fiber.h"

typedef struct AgentContext AgentContext;
typedef int AgentRunFn(AgentContext *ctx, const Event *event, State *state);

// One event of a batch: its own context, for replies, streams, calls, its deadline.
typedef struct AgentBatchItem {
    AgentContext *ctx;
    const Event *event;
    State *state;
    int result; // the handler's answer for this event: 0, or a negative ERR_* (see agent_fail)
} AgentBatchItem;
// Gets `count` events at once. They have nothing in common but their agent. Its parks return
// ERR_CANCELLED once every one of them is cancelled; one whose deadline passes meanwhile ends when
// the batch does, with what the handler says.
typedef void AgentBatchFn(AgentBatchItem *items, size_t count);

typedef enum AgentPlacement {
    PLACE_BY_AGENT,   // all its events run on one shard (chosen by its name)
    PLACE_BY_SESSION, // events of one session run on one shard; without a session as PLACE_BY_AGENT
} AgentPlacement;

// What happens to an event whose mailbox is full.
typedef enum OverflowRule {
    OVERFLOW_BLOCK,      // the emitter waits (a fiber parks, a thread sleeps) to its deadline
    OVERFLOW_SHED,       // refused with ERR_FULL and counted
    OVERFLOW_DEAD_LETTER // counted as shed, and a copy goes to the runner's dead-letter agent
} OverflowRule;

enum { AGENT_NAME_MAX = 127 };

typedef struct AgentSpec {
    Slice name; // copied; 1 to AGENT_NAME_MAX bytes
    AgentRunFn *run;
    AgentBatchFn *run_batch;     // instead of `run`: gets batches as the policies batch.* say
    void *self;                  // agent_self(ctx)
    void (*destroy)(void *self); // with the runner; may be NULL
    AgentPlacement placement;
    OverflowRule overflow;
    uint32_t mailbox_max;  // events waiting; 0: the runner's event_buffer
    uint32_t worker_limit; // activations at once in all shards; 0: the runner's worker_limit
    bool keeps_place;      // also while it waits for other agents: then a circle of calls may lock
    // Of OVERFLOW_DEAD_LETTER: who gets what did not fit, copied; empty: the runner's dead-letter
    // agent, who also gets what failed. Known when the runner starts.
    Slice dead_letter;
    // Policies around its runs: ParamValue[POLICY_PARAM_COUNT] of policy/params.h, copied; NULL:
    // none. An agent placed by session has a set of them on each shard.
    const union ParamValue *policies;
} AgentSpec;

// ---- who and when

void *agent_self(const AgentContext *ctx);
Slice agent_name(const AgentContext *ctx);
const Event *agent_event(const AgentContext *ctx);
struct Runner *agent_runner(const AgentContext *ctx);
unsigned agent_shard(const AgentContext *ctx);    // index
unsigned agent_attempt(const AgentContext *ctx);  // 1 at first, more when a policy retries
int64_t agent_now(const AgentContext *ctx);       // of the shard's clock
int64_t agent_deadline(const AgentContext *ctx);  // of the event; NEVER_NS without one
bool agent_is_cancelled(const AgentContext *ctx); // for handlers that compute for long
// Does anybody still wait for the answer? False when it is cancelled, and for an orphan: the work
// of a call that its caller, or one further up, gave up without saying so (`cancel.propagate` off).
// Work for an event that nobody was to answer is wanted. Callers on other shards count as waiting.
bool agent_is_wanted(const AgentContext *ctx);
// Memory that lives until the handler returns. Made on first use and kept by the shard.
Arena *agent_arena(AgentContext *ctx);

// ---- answers

// Sets what a caller gets; the last one wins. Copied. ERR_LIMIT past the data ceiling.
MUST_USE int agent_reply(AgentContext *ctx, Slice data);
MUST_USE int agent_reply_bytes(AgentContext *ctx, Bytes *bytes); // takes a reference
// Returns `code` and remembers the sentence (cut at 127 bytes) for the caller and the error hook.
int agent_fail(AgentContext *ctx, ErrCode code, const char *format, ...) PRINTF_LIKE(3, 4);
// One piece of a streamed answer, in order, before the reply. 0 also when nobody listens;
// ERR_CANCELLED when nobody waits for the answer any more. Parks while the listener is behind.
MUST_USE int agent_stream(AgentContext *ctx, Slice chunk);

// ---- other agents

// Emits an event that nobody waits for. It inherits session, trace and priority, and does not
// inherit the deadline. ERR_NOT_FOUND (no such agent), ERR_FULL (shed), ERR_TIMEOUT or
// ERR_CANCELLED (while waiting for room), ERR_LIMIT (cyclic: hops_max), ERR_CLOSED (stopping).
MUST_USE int agent_emit(AgentContext *ctx, const EventSpec *spec, Err *e);

typedef struct AgentResult {
    int code;         // 0 or ERR_*
    char reason[128]; // in words; "" when all is well
    Slice data;       // what agent_reply said, inside `bytes` or `inline_data`
    Bytes *bytes;
    char inline_data[EVENT_INLINE_BYTES];
    State state; // as the handler left it
} AgentResult;

// Frees what it holds; safe on a zeroed one.
void agent_result_done(AgentResult *result);

typedef void AgentChunkFn(void *arg, Slice chunk);

typedef struct AgentCallOptions {
    const State *state;     // shared with the callee, which writes to a copy; NULL: empty
    AgentChunkFn *on_chunk; // streamed pieces, on this shard's thread; must not park. May be NULL
    void *chunk_arg;
} AgentCallOptions;

// Emits and waits. The deadline is the earlier of the spec's and the handler's own. Returns the
// callee's code (also in the result), or why it could not be called. While it waits the caller's
// place under its agent's worker_limit is free for others (unless the agent keeps_place), so agents
// that call each other in a circle cannot lock each other out; a circle ends with ERR_LIMIT at
// call_depth_max.
MUST_USE int agent_call(AgentContext *ctx, const EventSpec *spec, const AgentCallOptions *options,
                        AgentResult *ret_result, Err *e);

// Several at once: start them, then wait for each; the AgentCall stays in place meanwhile. Every
// started call must be waited for or dropped before the handler returns.
typedef struct AgentCall AgentCall;
struct AgentCall {
    AgentResult result;
    bool done;
    // private
    struct CallWait *wait;
    AgentCall *next;
};

MUST_USE int agent_call_start(AgentContext *ctx, const EventSpec *spec,
                              const AgentCallOptions *options, AgentCall *call, Err *e);
// The result's code. The result stays in call->result: agent_result_done.
MUST_USE int agent_call_wait(AgentContext *ctx, AgentCall *call);
// The index of a finished one (not yet reported) of `calls`, or ERR_CANCELLED. Skips NULLs.
MUST_USE int agent_call_wait_any(AgentContext *ctx, AgentCall *const *calls, size_t count);
// Nobody waits any more: the callee is cancelled. Also frees the result.
void agent_call_drop(AgentContext *ctx, AgentCall *call);

MUST_USE int agent_sleep(AgentContext *ctx, int64_t duration_ns); // 0 or ERR_CANCELLED

#endif
