// StateCache: what agents left behind in a session, kept for the session's next event. Least
// recently used sessions go first, and a session that was quiet for the time to live is forgotten.
//
//     StateCache *cache = state_cache_create(&(StateCacheOptions){.sessions_max = 10000,
//                                            .ttl_ns = 3600 * NS_PER_SECOND});
//     state_cache_load(cache, session, now_ns, &state);     // under what the caller brought
//     ... the handler runs ...
//     state_cache_store(cache, session, now_ns, &state);
//
// States are copy-on-write, so keeping one costs a reference. Any thread may load and store: the
// sessions are spread over stripes with a lock each, held for a map look-up.
#ifndef AGENT_STATE_CACHE_H
#define AGENT_STATE_CACHE_H

#include "agent/state.h"

typedef struct StateCache StateCache;

typedef struct StateCacheOptions {
    size_t sessions_max; // at least 1
    int64_t ttl_ns;      // after the last store or load
} StateCacheOptions;

enum { STATE_CACHE_STRIPES = 16 };

StateCache *state_cache_create(const StateCacheOptions *options);
void state_cache_destroy(StateCache *cache); // NULL is fine

// Adds what is kept of the session to `into`, whose own values win. False when nothing is kept.
bool state_cache_load(StateCache *cache, Slice session, int64_t now_ns, State *into);
// Keeps what `state` shows now.
void state_cache_store(StateCache *cache, Slice session, int64_t now_ns, const State *state);
bool state_cache_forget(StateCache *cache, Slice session);
// Returns how many there were.
size_t state_cache_clear(StateCache *cache);

typedef struct StateCacheStats {
    uint64_t sessions, hits, misses, evicted, expired;
} StateCacheStats;
StateCacheStats state_cache_stats(StateCache *cache);

// Calls fn for every session, oldest first within a stripe; `fn` must not use the cache.
void state_cache_each(StateCache *cache,
                      void (*fn)(void *arg, Slice session, const State *state, int64_t used_ns),
                      void *arg);

#endif
