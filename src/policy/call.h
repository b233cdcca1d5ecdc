// The call: one request to an agent, a tool or a provider, with every policy composed in one order.
// A state machine without I/O and without a clock: events go in, actions come out. The live runtime
// and the simulator are two drivers of this code.
//
// Order of composition, outermost first (docs/internals/policy.md says why):
//
//      once a call             1 deadline  2 cache lookup  3 single-flight
//      every attempt           4 rate limit  5 shed  6 concurrency limit and queue  7 breaker
//                              8 attempt, with its timeout  9 hedge
//      after a failed attempt  10 retry: attempts, budget, pause; then again from 4
//      any time                11 cancel
//
// What protects the target sees every attempt; what belongs to the caller sees the call once. A
// hedge passes 4, 6 and 7 without waiting or is not sent. `limit` counts attempts: no place is held
// during a pause. Each call ends exactly once, with a code and a static reason.
//
// An edge (caller to callee) and the callee itself may both have a block: then an attempt of the
// edge's call is a call on the callee's block.
//
// A live driver, complete but for `begin` and friends, which are the runtime's:
//
//     static void perform(Op *op, const CallAction *a)
//     {
//         switch (a->kind) {
//         case CALL_DO_START: begin(op, a->attempt, a->at_ns); break;
//         case CALL_DO_CANCEL: abandon(op, a->attempt); break;
//         case CALL_DO_TIMER: timer_set(&op->timer, a->at_ns); break;
//         case CALL_DO_QUEUED: break;
//         case CALL_DO_STORE: payload_set(a->slot, op->answer); break;
//         case CALL_DO_COMPLETE: timer_clear(&op->timer); answer(op, a->code, a->reason); break;
//         }
//     }
//     static void step(Op *op, const CallEvent *event, int64_t now)
//     {
//         PolicyBlock *b = op->block;
//         CallActions todo;
//         call_step(b, &op->call, event, now, &todo);
//         bool ended = call_is_done(&op->call); // by this step; not by one inside the loop below
//         for (unsigned i = 0; i < todo.count; i++) {
//             perform(op, &todo.list[i]);
//         }
//         if (todo.drain && !b->draining) { // an inner step leaves it to the outer one
//             b->draining = true;
//             for (CallWork w; policy_next_work(b, now, &w);) {
//                 if (w.slot != CACHE_NONE) { payload_drop(w.slot); continue; }
//                 step(op_of(w.handle), &w.event, now);
//             }
//             b->draining = false;
//         }
//         if (ended) { op_release(op); } // only now: those who wait for its answer have it
//     }
//     step(op, &(CallEvent){.kind = CALL_START, .start = &options}, now);
//     step(op, &(CallEvent){.kind = CALL_ATTEMPT_DONE, .attempt = n, .outcome = CALL_SUCCESS},
//     now); step(op, &(CallEvent){.kind = CALL_TIMER}, now);                    // when the timer
//     fires
//
// Rules for the driver: perform all actions in order before the next event of that call, so `begin`
// reports an end later and never from inside; drain whenever `drain` is set, in a loop and not by
// recursion; deliver each work item at once. A second ATTEMPT_DONE, an event after COMPLETE and a
// timer too early are harmless.
#ifndef POLICY_CALL_H
#define POLICY_CALL_H

#include "policy/block.h"

enum {
    CALL_LIVE_MAX = POLICY_HEDGES_MAX + 1,
    CALL_ACTIONS_MAX = CALL_LIVE_MAX + 4,
};
#define CALL_NEVER INT64_MAX

// What CALL_START says. Zeroes are good defaults.
typedef struct CallOptions {
    uint64_t handle; // the driver's name for the call; comes back in CallWork
    uint64_t task;   // names the call for randomness: equal seeds and tasks, equal luck
    PolicyKey key;   // of the cache and single-flight; unset: neither
    int64_t
        deadline_ns;  // absolute, inherited from the caller; 0 none. `timeout.call` may be nearer
    int64_t ttl_ns;   // of the cached answer; 0: `cache.ttl`
    uint8_t priority; // 1 (most important) .. POLICY_PRIORITIES; 0: the default, 4
    bool once;        // not idempotent: never a second attempt, neither retry nor hedge
} CallOptions;

typedef enum CallEventKind {
    CALL_START,        // .start
    CALL_ATTEMPT_DONE, // .attempt, .outcome, .code, .retry_after_ns, .slow, .bytes
    CALL_TIMER,        // the time of the last CALL_DO_TIMER has come
    CALL_CANCEL,       // nobody waits for the answer any more
    CALL_COMMIT,       // .attempt: a part of its answer reached the caller, so it is the only one:
                       // others are cancelled, no retry follows, its timeout no longer runs
    CALL_ADMITTED,     // from policy_next_work only, as the following ones
    CALL_DROPPED,
    CALL_NEWS, // the leader of the flight is done: .code, .slot, .leader
    CALL_LEAD, // the leader of the flight gave up: .slot is this call's entry
} CallEventKind;

typedef enum CallOutcome {
    CALL_SUCCESS,
    CALL_RETRYABLE,    // failed; another attempt may succeed
    CALL_FATAL,        // the target failed for good: no retry, counts against it
    CALL_THROTTLED,    // the target refused for load; .retry_after_ns if it said when
    CALL_CALLER_FAULT, // the request is wrong: no retry, says nothing about the target
} CallOutcome;

typedef struct CallEvent {
    CallEventKind kind;
    CallOutcome outcome;
    uint32_t attempt;
    bool slow;              // count it as slow whatever time it took
    int code;               // of a failure: negative, handed through to COMPLETE
    int32_t slot;           // NEWS, LEAD
    int64_t retry_after_ns; // from now; 0: the target did not say
    uint64_t bytes;         // of a success: what its answer takes in the cache
    uint64_t leader;        // NEWS: the handle whose answer it is
    const CallOptions *start;
} CallEvent;

typedef enum CallActionKind {
    CALL_DO_START,    // begin .attempt now; .at_ns: by when it has to be done (its own deadline)
    CALL_DO_CANCEL,   // abandon .attempt; its end needs no report
    CALL_DO_TIMER,    // replaces the call's timer: CALL_TIMER at .at_ns
    CALL_DO_QUEUED,   // it waits for a place; nothing to do
    CALL_DO_STORE,    // put the answer into payload slot .slot
    CALL_DO_COMPLETE, // .code 0 or negative, .reason; .slot: where another's answer is, or
                      // CACHE_NONE; .attempt: whose answer; .leader: for CALL_SHARED
} CallActionKind;

typedef struct CallAction {
    CallActionKind kind;
    uint32_t attempt; // numbered from 0 over the whole call; use it to rotate over targets
    int64_t at_ns;
    int code;
    CallReason reason;
    int32_t slot;
    uint64_t leader;
} CallAction;

typedef struct CallActions {
    uint32_t count;
    bool drain; // policy_next_work has something
    CallAction list[CALL_ACTIONS_MAX];
} CallActions;

typedef enum CallStage {
    CALL_STAGE_NEW, // zeroed memory
    CALL_STAGE_FLIGHT,
    CALL_STAGE_RATE,
    CALL_STAGE_QUEUE,
    CALL_STAGE_RUNNING,
    CALL_STAGE_PAUSE,
    CALL_STAGE_DONE,
} CallStage;

typedef struct CallAttempt {
    int64_t started_ns, until_ns;
    uint32_t number;
    uint32_t epoch; // of the breaker
} CallAttempt;

// A value without pointers: copy it together with its block.
typedef struct CallState {
    uint64_t handle, task;
    PolicyKey key;
    int64_t started_ns, deadline_ns, ttl_ns;
    int64_t wait_until; // of the stage: permit, queue, pause
    int64_t hedge_at;
    int64_t armed_ns; // the driver's timer; CALL_NEVER none
    int64_t pause_ns; // the last one
    CallAttempt live[CALL_LIVE_MAX];
    int32_t queue_entry, flight_entry;
    int32_t last_code; // of the last failed attempt
    uint8_t stage;     // CallStage
    uint8_t live_count;
    uint8_t attempts; // begun, hedges included: the next one's number
    uint8_t tries;    // begun, without hedges
    uint8_t hedges;   // of this try
    uint8_t priority;
    bool once, committed, leads, timed_out;
} CallState;

// One step. `out` is overwritten. `event->start` is needed for CALL_START only.
void call_step(PolicyBlock *block, CallState *call, const CallEvent *event, int64_t now_ns,
               CallActions *out);

// Work that a step (or policy_set) left for other calls: an event for the call `handle`, or, with
// `slot` not CACHE_NONE, a payload that is to be dropped. False: nothing.
typedef struct CallWork {
    uint64_t handle;
    int32_t slot;
    CallEvent event;
} CallWork;
bool policy_next_work(PolicyBlock *block, int64_t now_ns, CallWork *ret_work);

// What the failure of an attempt, or of a call that it made, with this ERR_* says: which another
// attempt may cure, and which say something about the target at all.
CallOutcome call_outcome_of(int code);

static inline bool call_is_done(const CallState *call)
{
    return call->stage == CALL_STAGE_DONE;
}

#endif
