// The parameters of every policy: ONE table, declared once with name, unit, range, default and
// whether it may change while running. It drives configuration files, the command line, performance
// interfaces and the planners' search; a value is always an entry of one array, `values[id]`.
//
//     ParamValue values[POLICY_PARAM_COUNT];
//     policy_defaults(values);                             // every policy off
//     rc = policy_read(doc, values, e);                    // {"retry": {"attempts": 3}, ...}
//     rc = policy_parse(SLICE("retry.attempts"), SLICE("5"), true, values, e);
//
// The table is cut into owners (timeout, cache, rate, ...), each a ParamTable of base/param.h over
// a range of the one array, so documents nest: [policies.search.retry] attempts = 3.
#ifndef POLICY_PARAMS_H
#define POLICY_PARAMS_H

#include "base/param.h"

typedef enum PolicyParamId {
    P_TIMEOUT_CALL,
    P_TIMEOUT_ATTEMPT,
    P_CANCEL_PROPAGATE,
    P_CACHE_TTL,
    P_CACHE_MAX_ENTRIES,
    P_CACHE_MAX_BYTES,
    P_CACHE_SINGLE_FLIGHT,
    P_RATE_KIND,
    P_RATE_PER_SECOND,
    P_RATE_BURST,
    P_RATE_MAX_WAIT,
    P_RATE_HOLD_ON_THROTTLE,
    P_SHED_QUEUE_DELAY,
    P_SHED_CPU,
    P_SHED_KEEP_PRIORITY,
    P_SHED_THROTTLE_K,
    P_SHED_THROTTLE_WINDOW,
    P_LIMIT_KIND,
    P_LIMIT_VALUE,
    P_LIMIT_MIN,
    P_LIMIT_MAX,
    P_LIMIT_BACKOFF,
    P_LIMIT_TIMEOUT,
    P_LIMIT_SMOOTHING,
    P_LIMIT_TOLERANCE,
    P_LIMIT_QUEUE,
    P_LIMIT_LONG_WINDOW,
    P_LIMIT_PROBE,
    P_QUEUE_DISCIPLINE,
    P_QUEUE_LIMIT,
    P_QUEUE_MAX_WAIT,
    P_QUEUE_CODEL_TARGET,
    P_QUEUE_CODEL_INTERVAL,
    P_BREAKER_WINDOW,
    P_BREAKER_CALLS,
    P_BREAKER_PERIOD,
    P_BREAKER_MIN_CALLS,
    P_BREAKER_FAILURE_RATE,
    P_BREAKER_SLOW_RATE,
    P_BREAKER_SLOW_AFTER,
    P_BREAKER_CONSECUTIVE,
    P_BREAKER_OPEN_FOR,
    P_BREAKER_PROBES,
    P_BREAKER_SUCCESSES,
    P_HEDGE_MAX,
    P_HEDGE_DELAY,
    P_HEDGE_QUANTILE,
    P_HEDGE_BUDGET,
    P_RETRY_ATTEMPTS,
    P_RETRY_BACKOFF,
    P_RETRY_MAX_BACKOFF,
    P_RETRY_MULTIPLIER,
    P_RETRY_JITTER,
    P_RETRY_ON_TIMEOUT,
    P_RETRY_RETRY_AFTER_MAX,
    P_RETRY_BUDGET,
    P_RETRY_BUDGET_MIN,
    P_RETRY_BUDGET_WINDOW,
    P_BATCH_MAX_ITEMS,
    P_BATCH_MAX_BYTES,
    P_BATCH_TIMEOUT,
    P_SCALE_TARGET,
    P_SCALE_MIN,
    P_SCALE_MAX,
    P_SCALE_TOLERANCE,
    P_SCALE_PERIOD,
    P_SCALE_UP_STABILISE,
    P_SCALE_DOWN_STABILISE,
    P_SCALE_UP_COUNT,
    P_SCALE_UP_PERCENT,
    P_SCALE_DOWN_PERCENT,
    POLICY_PARAM_COUNT,
} PolicyParamId;

typedef enum RateKind { RATE_TOKEN_BUCKET, RATE_GCRA } RateKind;
typedef enum LimitKind {
    LIMIT_NONE,
    LIMIT_FIXED,
    LIMIT_AIMD,
    LIMIT_GRADIENT2,
    LIMIT_VEGAS
} LimitKind;
typedef enum QueueDiscipline {
    QUEUE_FIFO,
    QUEUE_LIFO,
    QUEUE_CODEL,
    QUEUE_PRIORITY
} QueueDiscipline;
typedef enum BreakerWindow {
    BREAKER_WINDOW_OFF,
    BREAKER_WINDOW_COUNT,
    BREAKER_WINDOW_TIME
} BreakerWindow;
typedef enum RetryJitter {
    JITTER_NONE,
    JITTER_FULL,
    JITTER_EQUAL,
    JITTER_DECORRELATED
} RetryJitter;

enum {
    POLICY_OWNERS = 12,
    POLICY_PRIORITIES = 8, // 1 is the most important call, 8 the least, 4 one that does not say
    POLICY_PRIORITY_DEFAULT = 4,
    // Ceilings of the parameters that take memory or loops.
    POLICY_QUEUE_MAX = 1 << 20,
    POLICY_CACHE_MAX = 1 << 20,
    POLICY_WINDOW_MAX = 4096,
    POLICY_ATTEMPTS_MAX = 20,
    POLICY_HEDGES_MAX = 3,
};

// The whole table; names are without their owner's.
extern const Param POLICY_PARAMS[POLICY_PARAM_COUNT];
// Its parts in the order of composition; each `params` points into POLICY_PARAMS.
extern const ParamTable POLICY_TABLES[POLICY_OWNERS];

void policy_defaults(ParamValue values[POLICY_PARAM_COUNT]);

// The owner of a parameter: "retry" for P_RETRY_ATTEMPTS. *ret_index, if not NULL: its place there.
const ParamTable *policy_owner(PolicyParamId id, size_t *ret_index);

// "retry.attempts" to its id, or -1.
ptrdiff_t policy_find(Slice dotted);
// What to say of a name that policy_find does not know: ERR_ARG, with the nearest right one.
int policy_unknown(Slice dotted, Err *e);

// Takes the members of `object` (owner names, each an object of its parameters) over `values`.
// ERR_PARSE at its place for unknown names (with the nearest right one), wrong types and ranges;
// `values` is unchanged then. NULL changes nothing.
MUST_USE int policy_read(const Doc *object, ParamValue values[POLICY_PARAM_COUNT], Err *e);

// One parameter from text: "retry.backoff", "250ms". With `running` only the changeable ones.
MUST_USE int policy_parse(Slice dotted, Slice text, bool running,
                          ParamValue values[POLICY_PARAM_COUNT], Err *e);

// Range of one value, and then what several must keep together (limit.min <= limit.max, ...).
MUST_USE int policy_check(const ParamValue values[POLICY_PARAM_COUNT], Err *e);

// Every owner with a value that is not the default, as the object that policy_read reads back.
void policy_write(const ParamValue values[POLICY_PARAM_COUNT], JsonWriter *w);

#endif
