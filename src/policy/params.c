#include "policy/params.h"

#include <float.h>

static const char *const RATE_KINDS[] = {"token_bucket", "gcra", NULL};
static const char *const LIMIT_KINDS[] = {"none", "fixed", "aimd", "gradient2", "vegas", NULL};
static const char *const DISCIPLINES[] = {"fifo", "lifo", "codel", "priority", NULL};
static const char *const WINDOWS[] = {"off", "count", "time", NULL};
static const char *const JITTERS[] = {"none", "full", "equal", "decorrelated", NULL};

#define DAY_NS ((double)NS_PER_DAY)

// One line of the table a parameter; the macros only name the kind's fields.
#define DURATION(N, INITIAL, MAX, HELP)                                                            \
    {                                                                                              \
        .name = N, .kind = PARAM_DURATION, .max = MAX, .initial.integer = INITIAL, .live = true,   \
        .help = HELP                                                                               \
    }
#define COUNT(N, UNIT, INITIAL, MIN, MAX, HELP)                                                    \
    {                                                                                              \
        .name = N, .kind = PARAM_INT, .unit = UNIT, .min = MIN, .max = MAX,                        \
        .initial.integer = INITIAL, .live = true, .help = HELP                                     \
    }
#define REAL(N, UNIT, INITIAL, MIN, MAX, HELP)                                                     \
    {                                                                                              \
        .name = N, .kind = PARAM_FLOAT, .unit = UNIT, .min = MIN, .max = MAX,                      \
        .initial.real = INITIAL, .live = true, .help = HELP                                        \
    }
#define FLAG(N, INITIAL, HELP)                                                                     \
    {                                                                                              \
        .name = N, .kind = PARAM_BOOL, .initial.boolean = INITIAL, .live = true, .help = HELP      \
    }
#define CHOICE(N, CHOICES, INITIAL, HELP)                                                          \
    {                                                                                              \
        .name = N, .kind = PARAM_CHOICE, .choices = CHOICES, .initial.integer = INITIAL,           \
        .live = true, .help = HELP                                                                 \
    }

const Param POLICY_PARAMS[POLICY_PARAM_COUNT] = {
    [P_TIMEOUT_CALL] =
        DURATION("call", 0, DAY_NS, "The whole call, waiting and retries included; 0 for none."),
    [P_TIMEOUT_ATTEMPT] = DURATION("attempt", 0, DAY_NS, "One attempt; 0 for none."),

    [P_CANCEL_PROPAGATE] =
        FLAG("propagate", true, "The target hears of deadlines and of attempts given up."),

    [P_CACHE_TTL] =
        DURATION("ttl", 0, 366 * DAY_NS, "How long an answer is good; 0 turns the cache off."),
    [P_CACHE_MAX_ENTRIES] =
        COUNT("max_entries", "entries", 1024, 1, POLICY_CACHE_MAX, "Most answers kept."),
    [P_CACHE_MAX_BYTES] = {.name = "max_bytes",
                           .kind = PARAM_SIZE,
                           .min = 1,
                           .max = 0x1p40,
                           .initial.integer = 64 << 20,
                           .live = true,
                           .help = "Most bytes of answers kept."},
    [P_CACHE_SINGLE_FLIGHT] =
        FLAG("single_flight", false, "Equal calls under way share one answer."),

    [P_RATE_KIND] = CHOICE("kind", RATE_KINDS, RATE_TOKEN_BUCKET, "The law of the limit."),
    [P_RATE_PER_SECOND] =
        REAL("per_second", "attempts/s", 0, 0, 1e9, "Attempts a second; 0 for no limit."),
    [P_RATE_BURST] = COUNT("burst", "attempts", 1, 1, 1e9, "Attempts that may begin at once."),
    [P_RATE_MAX_WAIT] =
        DURATION("max_wait", 0, DAY_NS, "Longest wait for a permit; 0 refuses at once."),
    [P_RATE_HOLD_ON_THROTTLE] =
        FLAG("hold_on_throttle", false, "A target's Retry-After holds back all calls."),

    [P_SHED_QUEUE_DELAY] =
        DURATION("queue_delay", 0, DAY_NS, "Shed when calls wait this long; 0 never."),
    [P_SHED_CPU] =
        REAL("cpu", "busy share", 0, 0, 1, "Shed when the processor is busier; 0 never."),
    [P_SHED_KEEP_PRIORITY] =
        COUNT("keep_priority", "priority", 0, 0, POLICY_PRIORITIES,
              "Calls of this priority and before are not shed for delay or processor; 0 none."),
    [P_SHED_THROTTLE_K] =
        REAL("throttle_k", "ratio", 0, 0, 1000,
             "Refuse here what the target would: K of requests to accepts; 0 never."),
    [P_SHED_THROTTLE_WINDOW] = DURATION("throttle_window", 120 * NS_PER_SECOND, DAY_NS,
                                        "What the throttle looks back on."),

    [P_LIMIT_KIND] = CHOICE("kind", LIMIT_KINDS, LIMIT_NONE, "The law of the limit."),
    [P_LIMIT_VALUE] =
        COUNT("value", "attempts", 20, 1, 1e6, "The fixed limit, or where an adaptive one begins."),
    [P_LIMIT_MIN] = COUNT("min", "attempts", 1, 1, 1e6, "Least an adaptive limit may be."),
    [P_LIMIT_MAX] = COUNT("max", "attempts", 200, 1, 1e6, "Most an adaptive limit may be."),
    [P_LIMIT_BACKOFF] = REAL("backoff", "ratio", 0.9, 0.5, 0.999, "aimd: factor after a drop."),
    [P_LIMIT_TIMEOUT] =
        DURATION("timeout", 5 * NS_PER_SECOND, DAY_NS, "aimd: slower counts as dropped."),
    [P_LIMIT_SMOOTHING] =
        REAL("smoothing", "ratio", 0.2, 0.001, 1, "gradient2: weight of the new estimate."),
    [P_LIMIT_TOLERANCE] = REAL("tolerance", "ratio", 1.5, 1, 100,
                               "gradient2: latency over the long average that is fine."),
    [P_LIMIT_QUEUE] =
        COUNT("queue", "attempts", 4, 0, 10000, "gradient2: attempts that may wait at the target."),
    [P_LIMIT_LONG_WINDOW] =
        COUNT("long_window", "samples", 600, 10, 1e6, "gradient2: samples of the long average."),
    [P_LIMIT_PROBE] =
        COUNT("probe", "samples", 30, 1, 1e6,
              "vegas: samples an attempt of limit between probes of the least latency."),

    [P_QUEUE_DISCIPLINE] = CHOICE("discipline", DISCIPLINES, QUEUE_FIFO, "Who is next."),
    [P_QUEUE_LIMIT] = COUNT("limit", "calls", 0, 0, POLICY_QUEUE_MAX,
                            "Most calls that wait for a place; 0 refuses at once."),
    [P_QUEUE_MAX_WAIT] = DURATION("max_wait", 0, DAY_NS, "Longest wait; 0 until the deadline."),
    [P_QUEUE_CODEL_TARGET] =
        DURATION("codel_target", 5 * NS_PER_MS, DAY_NS, "codel: standing delay that is fine."),
    [P_QUEUE_CODEL_INTERVAL] =
        DURATION("codel_interval", 100 * NS_PER_MS, DAY_NS, "codel: how long it may be exceeded."),

    [P_BREAKER_WINDOW] =
        CHOICE("window", WINDOWS, BREAKER_WINDOW_OFF, "What the rates look back on."),
    [P_BREAKER_CALLS] =
        COUNT("calls", "attempts", 100, 1, POLICY_WINDOW_MAX, "count: attempts in the window."),
    [P_BREAKER_PERIOD] =
        DURATION("period", 60 * NS_PER_SECOND, DAY_NS, "time: length of the window."),
    [P_BREAKER_MIN_CALLS] =
        COUNT("min_calls", "attempts", 100, 1, 1e6, "No rate is judged on fewer."),
    [P_BREAKER_FAILURE_RATE] =
        REAL("failure_rate", "ratio", 0.5, 0.001, 1, "Opens at this share of failures."),
    [P_BREAKER_SLOW_RATE] =
        REAL("slow_rate", "ratio", 1, 0.001, 1, "Opens at this share of slow attempts."),
    [P_BREAKER_SLOW_AFTER] = DURATION("slow_after", 60 * NS_PER_SECOND, DAY_NS, "Longer is slow."),
    [P_BREAKER_CONSECUTIVE] = COUNT("consecutive", "failures", 0, 0, 1e6,
                                    "Opens after so many failures in a row; 0 never."),
    [P_BREAKER_OPEN_FOR] =
        DURATION("open_for", 60 * NS_PER_SECOND, DAY_NS, "Refuses for this long, then probes."),
    [P_BREAKER_PROBES] =
        COUNT("probes", "attempts", 10, 1, 1e6, "Probes under way at a time while half-open."),
    [P_BREAKER_SUCCESSES] = COUNT(
        "successes", "attempts", 0, 0, 1e6,
        "Closes after so many in a row, and one failure opens; 0: the rates over `probes` decide."),

    [P_HEDGE_MAX] =
        COUNT("max", "attempts", 0, 0, POLICY_HEDGES_MAX, "Extra attempts sent when one is slow."),
    [P_HEDGE_DELAY] =
        DURATION("delay", 0, DAY_NS, "How long an attempt may take before the next is sent."),
    [P_HEDGE_QUANTILE] = REAL("quantile", "ratio", 0, 0, 0.999,
                              "That quantile of recent latencies instead; 0: `delay`."),
    [P_HEDGE_BUDGET] = REAL("budget", "hedges/call", 0.1, 0, 10,
                            "Most hedges a call on average; 0 for no budget."),

    [P_RETRY_ATTEMPTS] = COUNT("attempts", "attempts", 1, 1, POLICY_ATTEMPTS_MAX,
                               "Attempts in all; 1 for no retry."),
    [P_RETRY_BACKOFF] = DURATION("backoff", 100 * NS_PER_MS, DAY_NS, "First pause."),
    [P_RETRY_MAX_BACKOFF] = DURATION("max_backoff", 10 * NS_PER_SECOND, DAY_NS, "Longest pause."),
    [P_RETRY_MULTIPLIER] =
        REAL("multiplier", "ratio", 2, 1, 100, "Each pause by this much longer."),
    [P_RETRY_JITTER] = CHOICE("jitter", JITTERS, JITTER_FULL, "How pauses are spread."),
    [P_RETRY_ON_TIMEOUT] = FLAG("on_timeout", true, "Repeat attempts that timed out."),
    [P_RETRY_RETRY_AFTER_MAX] =
        DURATION("retry_after_max", 60 * NS_PER_SECOND, DAY_NS,
                 "A target that asks for a longer pause is not asked again."),
    [P_RETRY_BUDGET] = REAL("budget", "retries/call", 0.2, 0, 1000,
                            "Most retries a call on average; 0 for no budget."),
    [P_RETRY_BUDGET_MIN] =
        REAL("budget_min", "retries/s", 10, 0, 1e6, "Retries a second that are always there."),
    [P_RETRY_BUDGET_WINDOW] = {.name = "budget_window",
                               .kind = PARAM_DURATION,
                               .min = 1e9,
                               .max = 60e9,
                               .initial.integer = 10 * NS_PER_SECOND,
                               .live = true,
                               .help = "How long a call's deposit lives."},

    [P_BATCH_MAX_ITEMS] =
        COUNT("max_items", "items", 1, 1, 1e6, "Items that make a batch full; 1 for none."),
    [P_BATCH_MAX_BYTES] = {.name = "max_bytes",
                           .kind = PARAM_SIZE,
                           .max = 0x1p40,
                           .initial.integer = 0,
                           .live = true,
                           .help = "Bytes that make a batch full; 0 for no limit."},
    [P_BATCH_TIMEOUT] = DURATION("timeout", 0, DAY_NS, "How long a batch waits for more."),

    [P_SCALE_TARGET] =
        REAL("target", "metric", 0, 0, DBL_MAX, "The metric a worker is kept at; 0 turns it off."),
    [P_SCALE_MIN] = COUNT("min", "workers", 1, 1, 1e6, "Least workers."),
    [P_SCALE_MAX] = COUNT("max", "workers", 10, 1, 1e6, "Most workers."),
    [P_SCALE_TOLERANCE] =
        REAL("tolerance", "ratio", 0.1, 0, 1, "A ratio this near to 1 changes nothing."),
    [P_SCALE_PERIOD] = {.name = "period",
                        .kind = PARAM_DURATION,
                        .min = 1e6,
                        .max = 3600e9,
                        .initial.integer = 15 * NS_PER_SECOND,
                        .live = true,
                        .help = "How often it decides."},
    [P_SCALE_UP_STABILISE] =
        DURATION("up_stabilise", 0, 3600e9, "Up: the least recommendation of this time."),
    [P_SCALE_DOWN_STABILISE] =
        DURATION("down_stabilise", 300 * NS_PER_SECOND, 3600e9, "Down: the most of this time."),
    [P_SCALE_UP_COUNT] =
        COUNT("up_count", "workers", 4, 0, 1e6, "Up in a period by at most this or `up_percent`."),
    [P_SCALE_UP_PERCENT] = COUNT("up_percent", "%", 100, 0, 10000,
                                 "Up in a period by at most this share or `up_count`."),
    [P_SCALE_DOWN_PERCENT] =
        COUNT("down_percent", "%", 100, 1, 100, "Down in a period by at most this share."),
};

#define TABLE(OWNER, FIRST, LAST)                                                                  \
    {                                                                                              \
        OWNER, &POLICY_PARAMS[FIRST], (size_t)(LAST) - (FIRST) + 1                                 \
    }
const ParamTable POLICY_TABLES[POLICY_OWNERS] = {
    TABLE("timeout", P_TIMEOUT_CALL, P_TIMEOUT_ATTEMPT),
    TABLE("cancel", P_CANCEL_PROPAGATE, P_CANCEL_PROPAGATE),
    TABLE("cache", P_CACHE_TTL, P_CACHE_SINGLE_FLIGHT),
    TABLE("rate", P_RATE_KIND, P_RATE_HOLD_ON_THROTTLE),
    TABLE("shed", P_SHED_QUEUE_DELAY, P_SHED_THROTTLE_WINDOW),
    TABLE("limit", P_LIMIT_KIND, P_LIMIT_PROBE),
    TABLE("queue", P_QUEUE_DISCIPLINE, P_QUEUE_CODEL_INTERVAL),
    TABLE("breaker", P_BREAKER_WINDOW, P_BREAKER_SUCCESSES),
    TABLE("hedge", P_HEDGE_MAX, P_HEDGE_BUDGET),
    TABLE("retry", P_RETRY_ATTEMPTS, P_RETRY_BUDGET_WINDOW),
    TABLE("batch", P_BATCH_MAX_ITEMS, P_BATCH_TIMEOUT),
    TABLE("autoscale", P_SCALE_TARGET, P_SCALE_DOWN_PERCENT),
};

static size_t first_of(const ParamTable *table)
{
    return (size_t)(table->params - POLICY_PARAMS);
}

void policy_defaults(ParamValue values[POLICY_PARAM_COUNT])
{
    for (size_t i = 0; i < POLICY_PARAM_COUNT; i++) {
        values[i] = POLICY_PARAMS[i].initial;
    }
}

const ParamTable *policy_owner(PolicyParamId id, size_t *ret_index)
{
    const ParamTable *table = POLICY_TABLES;
    while ((size_t)id >= first_of(table) + table->count) {
        table++;
    }
    if (ret_index) {
        *ret_index = (size_t)id - first_of(table);
    }
    return table;
}

static const ParamTable *table_named(Slice owner)
{
    for (size_t i = 0; i < POLICY_OWNERS; i++) {
        if (slice_eq_cstr(owner, POLICY_TABLES[i].owner)) {
            return &POLICY_TABLES[i];
        }
    }
    return NULL;
}

ptrdiff_t policy_find(Slice dotted)
{
    Slice owner, name;
    if (!slice_cut(dotted, '.', &owner, &name)) {
        return -1;
    }
    const ParamTable *table = table_named(owner);
    ptrdiff_t index = table ? param_find(table, name) : -1;
    return index < 0 ? -1 : (ptrdiff_t)first_of(table) + index;
}

int policy_check(const ParamValue values[POLICY_PARAM_COUNT], Err *e)
{
    static const struct {
        PolicyParamId low, high;
    } ordered[] = {{P_LIMIT_MIN, P_LIMIT_MAX}, {P_SCALE_MIN, P_SCALE_MAX}};
    for (size_t t = 0; t < POLICY_OWNERS; t++) {
        for (size_t i = 0; i < POLICY_TABLES[t].count; i++) {
            ParamValue value = values[first_of(&POLICY_TABLES[t]) + i];
            int rc = param_check(&POLICY_TABLES[t], i, value, e);
            if (rc != 0) {
                return rc;
            }
        }
    }
    for (size_t i = 0; i < COUNT_OF(ordered); i++) {
        int64_t low = values[ordered[i].low].integer, high = values[ordered[i].high].integer;
        if (low > high) {
            return err_set(e, ERR_ARG, "%s.min is %lld, more than %s.max, which is %lld",
                           policy_owner(ordered[i].low, NULL)->owner, (long long)low,
                           policy_owner(ordered[i].high, NULL)->owner, (long long)high);
        }
    }
    return 0;
}

int policy_read(const Doc *object, ParamValue values[POLICY_PARAM_COUNT], Err *e)
{
    if (!object) {
        return 0;
    }
    Slice names[POLICY_OWNERS];
    ParamValue fresh[POLICY_PARAM_COUNT];
    for (size_t i = 0; i < POLICY_OWNERS; i++) {
        names[i] = slice_from_cstr(POLICY_TABLES[i].owner);
    }
    memcpy(fresh, values, sizeof fresh);
    int rc = doc_expect(object, DOC_OBJECT, "a policy", e);
    if (rc != 0 || (rc = doc_expect_fields(object, names, POLICY_OWNERS, e)) != 0) {
        return rc;
    }
    for (const Doc *m = doc_first(object); m; m = doc_next(m)) {
        const ParamTable *table = table_named(m->key);
        // doc_expect_fields has seen to it that there is one.
        if (table && (rc = param_read(table, m, fresh + first_of(table), e)) != 0) {
            return rc;
        }
    }
    Err why = {0};
    if (policy_check(fresh, &why) != 0) {
        return doc_err(e, object, "%s", why.text);
    }
    memcpy(values, fresh, sizeof fresh);
    return 0;
}

// "retry.atempts" has a nearest right name as well.
int policy_unknown(Slice dotted, Err *e)
{
    char text[POLICY_PARAM_COUNT][48];
    Slice names[POLICY_PARAM_COUNT];
    for (size_t i = 0; i < POLICY_PARAM_COUNT; i++) {
        int n = snprintf(text[i], sizeof text[i], "%s.%s",
                         policy_owner((PolicyParamId)i, NULL)->owner, POLICY_PARAMS[i].name);
        names[i] = (Slice){text[i], (size_t)n};
    }
    Slice nearest = slice_nearest(dotted, names, POLICY_PARAM_COUNT);
    return err_set(e, ERR_ARG, "there is no policy parameter \"%.*s\"%s%.*s%s", SLICE_FMT(dotted),
                   nearest.len ? "; did you mean " : "", SLICE_FMT(nearest),
                   nearest.len ? "?" : "");
}

int policy_parse(Slice dotted, Slice text, bool running, ParamValue values[POLICY_PARAM_COUNT],
                 Err *e)
{
    ptrdiff_t id = policy_find(dotted);
    if (id < 0) {
        return policy_unknown(dotted, e);
    }
    const ParamTable *table = policy_owner((PolicyParamId)id, NULL);
    ParamValue before = values[id];
    int rc = param_set(table, slice_from_cstr(POLICY_PARAMS[id].name), text, running,
                       values + first_of(table), e);
    if (rc == 0 && (rc = policy_check(values, e)) != 0) {
        values[id] = before;
    }
    return rc;
}

static bool same_value(const Param *p, ParamValue a, ParamValue b)
{
    switch (p->kind) {
    case PARAM_BOOL: return a.boolean == b.boolean;
    case PARAM_FLOAT: return a.real == b.real;
    case PARAM_INT:
    case PARAM_DURATION:
    case PARAM_SIZE:
    case PARAM_CHOICE: return a.integer == b.integer;
    }
    return false;
}

void policy_write(const ParamValue values[POLICY_PARAM_COUNT], JsonWriter *w)
{
    json_object_begin(w);
    for (size_t t = 0; t < POLICY_OWNERS; t++) {
        const ParamTable *table = &POLICY_TABLES[t];
        const ParamValue *mine = values + first_of(table);
        bool changed = false;
        for (size_t i = 0; i < table->count; i++) {
            changed = changed || !same_value(&table->params[i], mine[i], table->params[i].initial);
        }
        if (changed) {
            json_key(w, slice_from_cstr(table->owner));
            param_write(table, mine, w);
        }
    }
    json_object_end(w);
}
