// PolicyBlock: parameters and state of all policies of one agent or one edge, shared by its calls.
//
// One block of memory without a pointer in it: memcpy of `bytes` bytes makes a second world that
// goes on exactly as the first does. A block belongs to one thread. An agent without any policy
// needs no block at all; a minimal one (no queue, cache, breaker window, ...) takes under 2 KiB.
//
//     ParamValue values[POLICY_PARAM_COUNT];
//     policy_defaults(values);
//     values[P_RETRY_ATTEMPTS].integer = 3;
//     PolicyShape shape = policy_shape(values);
//     PolicyBlock *block = mem_alloc(policy_bytes(&shape));
//     policy_init(block, &shape, values, seed, now_ns);
//     ...
//     rc = policy_set(block, P_LIMIT_VALUE, (ParamValue){.integer = 40}, now_ns, e);
//     while (policy_next_work(block, now_ns, &work)) { ... }      // see call.h
#ifndef POLICY_BLOCK_H
#define POLICY_BLOCK_H

#include "policy/autoscale.h"
#include "policy/batch.h"
#include "policy/breaker.h"
#include "policy/cache.h"
#include "policy/flight.h"
#include "policy/hedge.h"
#include "policy/limit.h"
#include "policy/queue.h"
#include "policy/rate.h"
#include "policy/retry.h"
#include "policy/shed.h"

// Why a call ended. The text is static: call_reason_text.
typedef enum CallReason {
    CALL_OK,            // an attempt succeeded
    CALL_CACHED,        // answered from the cache
    CALL_SHARED,        // answered by another call's flight
    CALL_FAILED,        // an attempt failed and must not be repeated
    CALL_EXHAUSTED,     // the last of `retry.attempts` failed
    CALL_NO_BUDGET,     // an attempt failed and the retry budget is empty
    CALL_NO_TIME,       // an attempt failed and the next one would begin after the deadline
    CALL_RETRY_AFTER,   // the target wants a longer pause than `retry.retry_after_max`
    CALL_TIMED_OUT,     // the last attempt took longer than `timeout.attempt`
    CALL_DEADLINE,      // the call's time is over
    CALL_CANCELLED,     // nobody waits for it
    CALL_SHARED_FAILED, // the flight's leader failed
    CALL_RATE_LIMITED,  // no permit within `rate.max_wait`
    CALL_SHED_QUEUE,    // shed: calls wait too long
    CALL_SHED_CPU,      // shed: the processor is busy
    CALL_SHED_THROTTLE, // shed: the target refuses too much
    CALL_QUEUE_FULL,    // no place, and none in the queue
    CALL_QUEUE_TIMEOUT, // waited `queue.max_wait` for a place
    CALL_QUEUE_DROPPED, // CoDel dropped it
    CALL_BREAKER_OPEN,  // the circuit is open
    CALL_REASON_COUNT
} CallReason;

const char *call_reason_text(CallReason reason); // "the circuit breaker is open"
const char *call_reason_name(CallReason reason); // "breaker_open": metrics' label

// How much room a block has for what grows. It is made once and copied, never enlarged.
typedef struct PolicyShape {
    uint32_t queue;   // entries that can wait for a place
    uint32_t cache;   // entries
    uint32_t flights; // calls in single-flight, waiters included
    uint32_t window;  // breaker: calls in its window; 0 none (consecutive failures still work)
    bool quantile;    // hedge.quantile
    bool autoscale;
    bool program; // policy/program_run.h
} PolicyShape;

typedef struct PolicyBlock {
    uint32_t bytes;  // of all of it
    uint32_t active; // which policies do anything; derived from `p`
    uint64_t seed;
    PolicyShape shape;
    bool draining; // the driver's: somebody reads policy_next_work further up the stack
    // Offsets of the regions behind this struct; 0: none.
    uint32_t queue_at, cache_at, flights_at, window_at, quantile_at, autoscale_at, program_at;
    RateState rate;
    BreakerState breaker;
    LimitState limit;
    QueueState queue;
    CacheState cache;
    FlightState flight;
    ShedState shed;
    BatchState batch;
    BudgetState retry_budget, hedge_budget;
    // Metrics. Every call that started is in exactly one of `ended`, or still under way.
    uint64_t started, attempts, retries, hedges, timeouts;
    uint64_t ended[CALL_REASON_COUNT];
    ParamValue p[POLICY_PARAM_COUNT];
} PolicyBlock;

// The room that these values need.
PolicyShape policy_shape(const ParamValue values[POLICY_PARAM_COUNT]);
// Room for either.
PolicyShape policy_shape_max(const PolicyShape *a, const PolicyShape *b);
size_t policy_bytes(const PolicyShape *shape);

// `memory` has policy_bytes(shape) bytes, aligned to 16. The values have passed policy_check.
void policy_init(PolicyBlock *memory, const PolicyShape *shape,
                 const ParamValue values[POLICY_PARAM_COUNT], uint64_t seed, int64_t now_ns);

// Changes one parameter while calls are under way; none is lost: what waits goes on waiting, under
// the new rule from its next decision on. ERR_ARG: out of range, or against another value
// (limit.min > limit.max); ERR_REFUSED: not changeable while running, or the block has no room for
// it (its shape). Nothing is changed then. Call policy_next_work afterwards: a higher limit admits
// waiting calls.
MUST_USE int policy_set(PolicyBlock *block, PolicyParamId id, ParamValue value, int64_t now_ns,
                        Err *e);

// What the driver measures for shedding: the busy share of the processor, 0..1.
void policy_gauge_cpu(PolicyBlock *block, double busy);
// No attempt begins before `until_ns` (a Retry-After or a rate-limit header seen outside of calls).
void policy_hold(PolicyBlock *block, int64_t until_ns);

// The regions; NULL when the shape has none.
QueueEntry *policy_queue(PolicyBlock *block);
CacheEntry *policy_cache(PolicyBlock *block);
FlightEntry *policy_flights(PolicyBlock *block);
void *policy_window(PolicyBlock *block);
HedgeHist *policy_quantile(PolicyBlock *block);
ScaleState *policy_autoscale(PolicyBlock *block);
struct ProgramRun *policy_program(PolicyBlock *block);
// For program_run.c: it was turned on or off.
void policy_watch_changed(PolicyBlock *block);

// Bits of `active`.
enum {
    ACTIVE_CACHE = 1 << 0,
    ACTIVE_FLIGHT = 1 << 1,
    ACTIVE_RATE = 1 << 2,
    ACTIVE_SHED = 1 << 3,
    ACTIVE_BREAKER = 1 << 4,
    ACTIVE_HEDGE = 1 << 5,
    ACTIVE_BUDGET = 1 << 6,
    ACTIVE_ADAPTIVE = 1 << 7, // the limit learns from latencies
    ACTIVE_QUANTILE = 1 << 8,
    ACTIVE_THROTTLE = 1 << 9,
    ACTIVE_PROGRAM = 1 << 10,
};

#endif
