#include "policy/stats.h"

// The modes' numbers are the metric's, not an order of badness.
static int badness(BreakerMode mode)
{
    static const int order[BREAKER_MODES] = {
        [BREAKER_CLOSED] = 0, [BREAKER_HALF_OPEN] = 1, [BREAKER_OPEN] = 2};
    return order[mode];
}

static void add_breaker(PolicyStats *into, const BreakerState *s)
{
    into->has_breaker = true;
    if (badness(s->mode) > badness(into->breaker)) {
        into->breaker = s->mode;
    }
    for (int mode = 0; mode < BREAKER_MODES; mode++) {
        into->breaker_entered[mode] += s->entered[mode];
    }
}

void policy_stats_add(PolicyStats *into, const PolicyBlock *b)
{
    if (b->active & ACTIVE_BREAKER) {
        add_breaker(into, &b->breaker);
    }
    if (b->p[P_LIMIT_KIND].integer != LIMIT_NONE) {
        into->has_limit = true;
        into->limit += limit_now(&b->limit, b->p);
    }
    into->has_cache = into->has_cache || (b->active & ACTIVE_CACHE);
    into->in_flight += b->limit.in_flight;
    into->waiting += b->queue.count;
    into->started += b->started;
    into->attempts += b->attempts;
    into->retries += b->retries;
    into->hedges += b->hedges;
    into->timeouts += b->timeouts;
    into->cache_hits += b->cache.hits;
    into->cache_misses += b->cache.misses;
    for (int reason = 0; reason < CALL_REASON_COUNT; reason++) {
        into->ended[reason] += b->ended[reason];
    }
}

bool call_reason_is_refusal(CallReason reason)
{
    return reason >= CALL_RATE_LIMITED && reason <= CALL_BREAKER_OPEN;
}
