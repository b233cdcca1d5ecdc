// PolicyStats: what the policies of a block did so far and where they stand, for metrics. Reading
// costs the calls nothing: everything is in the block anyway.
//
//     PolicyStats stats = {0};
//     policy_stats_add(&stats, block);            // on the block's thread; once for each shard's
//     if (stats.has_breaker) { ... breaker_mode_name(stats.breaker) ... }
#ifndef POLICY_STATS_H
#define POLICY_STATS_H

#include "policy/block.h"

typedef struct PolicyStats {
    bool has_breaker, has_limit, has_cache;  // of any block
    BreakerMode breaker;                     // the worst: open before half-open before closed
    uint64_t breaker_entered[BREAKER_MODES]; // changes, by the state they led to
    uint64_t limit;                          // attempts that the limits allow now
    uint64_t in_flight, waiting;             // attempts that hold a place, calls that wait for one
    uint64_t started, attempts;              // of calls
    uint64_t retries, hedges, timeouts;      // attempts: planned again, beside another, given up
    uint64_t cache_hits, cache_misses;
    uint64_t ended[CALL_REASON_COUNT];
} PolicyStats;

// Adds the block's to `into`, which is zeroed before the first.
void policy_stats_add(PolicyStats *into, const PolicyBlock *block);

// Did the policies refuse the call before any attempt: shed, limited, queue, breaker?
bool call_reason_is_refusal(CallReason reason);

#endif
