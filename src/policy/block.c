#include "policy/block.h"

#include "policy/program_run.h"

static const struct {
    const char *name, *text;
} REASONS[CALL_REASON_COUNT] = {
    [CALL_OK] = {"ok", "an attempt succeeded"},
    [CALL_CACHED] = {"cached", "answered from the cache"},
    [CALL_SHARED] = {"shared", "answered together with an equal call"},
    [CALL_FAILED] = {"failed", "the attempt failed and must not be repeated"},
    [CALL_EXHAUSTED] = {"exhausted", "every attempt that retry.attempts allows failed"},
    [CALL_NO_BUDGET] = {"no_budget", "the attempt failed and the retry budget is empty"},
    [CALL_NO_TIME] = {"no_time", "the attempt failed and another would begin after the deadline"},
    [CALL_RETRY_AFTER] = {"retry_after", "the target asks for a pause over retry.retry_after_max"},
    [CALL_TIMED_OUT] = {"timed_out", "the last attempt took longer than timeout.attempt"},
    [CALL_DEADLINE] = {"deadline", "the deadline passed"},
    [CALL_CANCELLED] = {"cancelled", "the caller cancelled it"},
    [CALL_SHARED_FAILED] = {"shared_failed", "the equal call that it waited for failed"},
    [CALL_RATE_LIMITED] = {"rate_limited", "no permit of the rate limit within rate.max_wait"},
    [CALL_SHED_QUEUE] = {"shed_queue", "shed: calls wait longer than shed.queue_delay"},
    [CALL_SHED_CPU] = {"shed_cpu", "shed: the processor is busier than shed.cpu"},
    [CALL_SHED_THROTTLE] = {"shed_throttle", "shed: the target refuses too many calls"},
    [CALL_QUEUE_FULL] = {"queue_full", "the concurrency limit and its queue are full"},
    [CALL_QUEUE_TIMEOUT] = {"queue_timeout", "waited queue.max_wait for the concurrency limit"},
    [CALL_QUEUE_DROPPED] = {"queue_dropped", "dropped by CoDel after waiting too long"},
    [CALL_BREAKER_OPEN] = {"breaker_open", "the circuit breaker is open"},
};

const char *call_reason_text(CallReason reason)
{
    return REASONS[reason].text;
}

const char *call_reason_name(CallReason reason)
{
    return REASONS[reason].name;
}

PolicyShape policy_shape(const ParamValue values[POLICY_PARAM_COUNT])
{
    const ParamValue *p = values;
    PolicyShape shape = {.queue = (uint32_t)p[P_QUEUE_LIMIT].integer,
                         .quantile = p[P_HEDGE_MAX].integer > 0 && p[P_HEDGE_QUANTILE].real > 0,
                         .autoscale = p[P_SCALE_TARGET].real > 0};
    if (p[P_CACHE_TTL].integer > 0) {
        shape.cache = (uint32_t)p[P_CACHE_MAX_ENTRIES].integer;
    }
    if (p[P_CACHE_SINGLE_FLIGHT].boolean) {
        shape.flights = (uint32_t)p[P_CACHE_MAX_ENTRIES].integer;
    }
    if (p[P_BREAKER_WINDOW].integer == BREAKER_WINDOW_COUNT) {
        shape.window = (uint32_t)p[P_BREAKER_CALLS].integer;
    } else if (p[P_BREAKER_WINDOW].integer == BREAKER_WINDOW_TIME) {
        shape.window = BREAKER_RING_MIN;
    }
    return shape;
}

static uint32_t most(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

PolicyShape policy_shape_max(const PolicyShape *a, const PolicyShape *b)
{
    return (PolicyShape){
        .queue = most(a->queue, b->queue),
        .cache = most(a->cache, b->cache),
        .flights = most(a->flights, b->flights),
        .window = most(a->window, b->window),
        .quantile = a->quantile || b->quantile,
        .autoscale = a->autoscale || b->autoscale,
        .program = a->program || b->program,
    };
}

// Offsets of the regions, and the bytes of all of it. `out` may be NULL.
static size_t lay_out(const PolicyShape *shape, PolicyBlock *out)
{
    uint32_t window = shape->window;
    if (window > 0 && window < BREAKER_RING_MIN) {
        window = BREAKER_RING_MIN;
    }
    const size_t bytes[] = {
        shape->queue * sizeof(QueueEntry),    shape->cache * sizeof(CacheEntry),
        shape->flights * sizeof(FlightEntry), window,
        shape->quantile * sizeof(HedgeHist),  shape->autoscale * sizeof(ScaleState),
        shape->program * sizeof(ProgramRun),
    };
    uint32_t at[COUNT_OF(bytes)];
    size_t total = (sizeof(PolicyBlock) + 15) & ~(size_t)15;
    for (size_t i = 0; i < COUNT_OF(bytes); i++) {
        at[i] = bytes[i] ? (uint32_t)total : 0;
        total += (bytes[i] + 15) & ~(size_t)15;
    }
    if (out) {
        out->bytes = (uint32_t)total;
        out->queue_at = at[0];
        out->cache_at = at[1];
        out->flights_at = at[2];
        out->window_at = at[3];
        out->quantile_at = at[4];
        out->autoscale_at = at[5];
        out->program_at = at[6];
        breaker_init(&out->breaker, window);
    }
    return total;
}

size_t policy_bytes(const PolicyShape *shape)
{
    return lay_out(shape, NULL);
}

static void *region(PolicyBlock *block, uint32_t at)
{
    return at ? (char *)block + at : NULL;
}

QueueEntry *policy_queue(PolicyBlock *block)
{
    return region(block, block->queue_at);
}
CacheEntry *policy_cache(PolicyBlock *block)
{
    return region(block, block->cache_at);
}
FlightEntry *policy_flights(PolicyBlock *block)
{
    return region(block, block->flights_at);
}
void *policy_window(PolicyBlock *block)
{
    return region(block, block->window_at);
}
HedgeHist *policy_quantile(PolicyBlock *block)
{
    return region(block, block->quantile_at);
}
ScaleState *policy_autoscale(PolicyBlock *block)
{
    return region(block, block->autoscale_at);
}
ProgramRun *policy_program(PolicyBlock *block)
{
    return region(block, block->program_at);
}

static uint32_t active_of(const ParamValue *p)
{
    const struct {
        bool on;
        uint32_t bit;
    } bits[] = {
        {p[P_CACHE_TTL].integer > 0, ACTIVE_CACHE},
        {p[P_CACHE_SINGLE_FLIGHT].boolean, ACTIVE_FLIGHT},
        {p[P_RATE_PER_SECOND].real > 0, ACTIVE_RATE},
        {p[P_SHED_QUEUE_DELAY].integer > 0 || p[P_SHED_CPU].real > 0 ||
             p[P_SHED_THROTTLE_K].real > 0,
         ACTIVE_SHED},
        {p[P_SHED_THROTTLE_K].real > 0, ACTIVE_THROTTLE},
        {p[P_BREAKER_WINDOW].integer != BREAKER_WINDOW_OFF || p[P_BREAKER_CONSECUTIVE].integer > 0,
         ACTIVE_BREAKER},
        {p[P_LIMIT_KIND].integer > LIMIT_FIXED, ACTIVE_ADAPTIVE},
        {p[P_HEDGE_MAX].integer > 0, ACTIVE_HEDGE},
        {p[P_HEDGE_MAX].integer > 0 && p[P_HEDGE_QUANTILE].real > 0, ACTIVE_QUANTILE},
        {p[P_RETRY_ATTEMPTS].integer > 1 && p[P_RETRY_BUDGET].real > 0, ACTIVE_BUDGET},
    };
    uint32_t active = 0;
    for (size_t i = 0; i < COUNT_OF(bits); i++) {
        active |= bits[i].on ? bits[i].bit : 0;
    }
    return active;
}

void policy_watch_changed(PolicyBlock *block)
{
    const ProgramRun *run = policy_program(block);
    block->active = active_of(block->p) | (run && run->on ? (uint32_t)ACTIVE_PROGRAM : 0);
}

void policy_init(PolicyBlock *memory, const PolicyShape *shape,
                 const ParamValue values[POLICY_PARAM_COUNT], uint64_t seed, int64_t now_ns)
{
    PolicyBlock *b = memory;
    memset(b, 0, policy_bytes(shape));
    b->shape = *shape;
    b->seed = seed;
    memcpy(b->p, values, sizeof b->p);
    (void)lay_out(shape, b);
    policy_watch_changed(b);
    rate_init(&b->rate, b->p, now_ns);
    limit_init(&b->limit, b->p, seed);
    queue_init(&b->queue, policy_queue(b), shape->queue);
    cache_init(&b->cache, policy_cache(b), shape->cache);
    flight_init(&b->flight, policy_flights(b), shape->flights);
}

static int no_room(PolicyParamId id, uint64_t need, uint64_t room, Err *e)
{
    return err_set(
        e, ERR_REFUSED,
        "%s.%s needs room for %llu entries and this was made with room for %llu; it takes "
        "a restart",
        policy_owner(id, NULL)->owner, POLICY_PARAMS[id].name, (unsigned long long)need,
        (unsigned long long)room);
}

static int check_room(const PolicyBlock *b, PolicyParamId id, const ParamValue *p, Err *e)
{
    PolicyShape need = policy_shape(p);
    const PolicyShape *room = &b->shape;
    const struct {
        uint64_t need, room;
    } pairs[] = {
        {need.queue, room->queue},       {need.cache, room->cache},
        {need.flights, room->flights},   {need.window, b->breaker.room},
        {need.quantile, room->quantile}, {need.autoscale, room->autoscale},
    };
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        if (pairs[i].need > pairs[i].room) {
            return no_room(id, pairs[i].need, pairs[i].room, e);
        }
    }
    return 0;
}

// A breaker that is turned on begins closed, whatever it was when it was turned off: probes that
// ended meanwhile were not counted.
static void restart_breaker(PolicyBlock *b)
{
    BreakerState fresh = {.room = b->breaker.room, .epoch = b->breaker.epoch + 1};
    memcpy(fresh.entered, b->breaker.entered, sizeof fresh.entered);
    b->breaker = fresh;
    breaker_reset(&b->breaker, policy_window(b));
}

// What a policy counted in units that the change makes meaningless is forgotten; calls are not.
static void settle(PolicyBlock *b, PolicyParamId id)
{
    if (id >= P_LIMIT_KIND && id <= P_LIMIT_PROBE) {
        limit_changed(&b->limit, b->p);
        if (id == P_LIMIT_KIND || id == P_LIMIT_VALUE) {
            b->limit.estimate = (double)b->p[P_LIMIT_VALUE].integer;
            limit_changed(&b->limit, b->p);
        }
    } else if (id == P_BREAKER_WINDOW || id == P_BREAKER_CALLS || id == P_BREAKER_PERIOD) {
        breaker_reset(&b->breaker, policy_window(b));
    } else if (id == P_RETRY_BUDGET_WINDOW) {
        b->retry_budget = (BudgetState){0};
        b->hedge_budget = (BudgetState){0};
    } else if (id == P_SHED_THROTTLE_WINDOW) {
        b->shed = (ShedState){.cpu = b->shed.cpu};
    } else if (id == P_QUEUE_DISCIPLINE) {
        b->queue.codel = (CodelState){0};
    }
}

int policy_set(PolicyBlock *block, PolicyParamId id, ParamValue value, int64_t now_ns, Err *e)
{
    ParamValue fresh[POLICY_PARAM_COUNT];
    memcpy(fresh, block->p, sizeof fresh);
    fresh[id] = value;
    int rc = policy_check(fresh, e);
    if (rc == 0 && !POLICY_PARAMS[id].live) {
        rc = err_set(e, ERR_REFUSED, "%s.%s cannot be changed while running",
                     policy_owner(id, NULL)->owner, POLICY_PARAMS[id].name);
    }
    if (rc != 0 || (rc = check_room(block, id, fresh, e)) != 0) {
        return rc;
    }
    rate_settle(&block->rate, block->p, now_ns);
    memcpy(block->p, fresh, sizeof fresh);
    uint32_t before = block->active;
    policy_watch_changed(block);
    if ((before ^ block->active) & ACTIVE_BREAKER) {
        restart_breaker(block);
    }
    rate_changed(&block->rate, block->p, now_ns);
    settle(block, id);
    return 0;
}

void policy_gauge_cpu(PolicyBlock *block, double busy)
{
    block->shed.cpu = busy;
}

void policy_hold(PolicyBlock *block, int64_t until_ns)
{
    if (until_ns > block->rate.hold_until) {
        block->rate.hold_until = until_ns;
    }
}
