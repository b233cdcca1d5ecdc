#include "agent/state_cache.h"

#include <pthread.h>

#include "base/map.h"

typedef struct Kept Kept;
struct Kept {
    Kept *older, *newer;
    State state;
    int64_t used_ns;
    size_t name_len;
    char name[];
};

typedef struct Stripe {
    pthread_mutex_t lock;
    Map sessions;
    Kept *oldest, *newest;
    size_t max;
    StateCacheStats stats;
} Stripe;

struct StateCache {
    StateCacheOptions options;
    size_t stripe_count;
    Stripe stripes[STATE_CACHE_STRIPES];
};

StateCache *state_cache_create(const StateCacheOptions *options)
{
    StateCache *cache = mem_zalloc(sizeof *cache);
    cache->options = *options;
    // A small cache is one stripe, so that "least recently used" is exact where it is noticed.
    size_t sessions = options->sessions_max > 0 ? options->sessions_max : 1;
    cache->stripe_count = sessions >= (size_t)STATE_CACHE_STRIPES * 64 ? STATE_CACHE_STRIPES : 1;
    for (size_t i = 0; i < cache->stripe_count; i++) {
        Stripe *stripe = &cache->stripes[i];
        (void)pthread_mutex_init(&stripe->lock, NULL);
        stripe->max = sessions / cache->stripe_count + (i < sessions % cache->stripe_count);
        // Names of sessions come from clients: an unpredictable seed keeps the map's chains short.
        stripe->sessions = map_create(stripe->max, (uint64_t)(uintptr_t)cache ^ i);
    }
    return cache;
}

static void unlink_kept(Stripe *stripe, Kept *kept)
{
    *(kept->older ? &kept->older->newer : &stripe->oldest) = kept->newer;
    *(kept->newer ? &kept->newer->older : &stripe->newest) = kept->older;
    kept->older = kept->newer = NULL;
}

static void link_newest(Stripe *stripe, Kept *kept)
{
    kept->older = stripe->newest;
    *(stripe->newest ? &stripe->newest->newer : &stripe->oldest) = kept;
    stripe->newest = kept;
}

static void drop(Stripe *stripe, Kept *kept)
{
    unlink_kept(stripe, kept);
    (void)map_remove(&stripe->sessions, (Slice){kept->name, kept->name_len});
    state_done(&kept->state);
    free(kept);
}

static size_t clear(Stripe *stripe)
{
    size_t count = map_count(&stripe->sessions);
    while (stripe->oldest) {
        drop(stripe, stripe->oldest);
    }
    return count;
}

void state_cache_destroy(StateCache *cache)
{
    if (!cache) {
        return;
    }
    for (size_t i = 0; i < cache->stripe_count; i++) {
        (void)clear(&cache->stripes[i]);
        map_done(&cache->stripes[i].sessions);
        (void)pthread_mutex_destroy(&cache->stripes[i].lock);
    }
    free(cache);
}

static Stripe *lock_stripe(StateCache *cache, Slice session)
{
    Stripe *stripe = &cache->stripes[event_session_hash(session) % cache->stripe_count];
    (void)pthread_mutex_lock(&stripe->lock);
    return stripe;
}

static void unlock(Stripe *stripe)
{
    (void)pthread_mutex_unlock(&stripe->lock);
}

// The list is in the order of use, so what expired is at its old end.
static void drop_expired(const StateCache *cache, Stripe *stripe, int64_t now_ns)
{
    while (stripe->oldest && now_ns - stripe->oldest->used_ns >= cache->options.ttl_ns) {
        drop(stripe, stripe->oldest);
        stripe->stats.expired++;
    }
}

static void touch(Stripe *stripe, Kept *kept, int64_t now_ns)
{
    unlink_kept(stripe, kept);
    link_newest(stripe, kept);
    kept->used_ns = now_ns;
}

bool state_cache_load(StateCache *cache, Slice session, int64_t now_ns, State *into)
{
    Stripe *stripe = lock_stripe(cache, session);
    drop_expired(cache, stripe, now_ns);
    Kept *kept = map_get(&stripe->sessions, session);
    State found = state_create();
    if (kept) {
        touch(stripe, kept, now_ns);
        found = state_clone(&kept->state);
        stripe->stats.hits++;
    } else {
        stripe->stats.misses++;
    }
    unlock(stripe);
    if (kept) {
        // Limits were held when both were written; a sum past them keeps the caller's values.
        if (state_count(into) == 0 || state_merge(&found, into) == 0) {
            (void)!state_replace(into, &found);
        }
        state_done(&found);
    }
    return kept != NULL;
}

static Kept *make_room(Stripe *stripe, Slice session)
{
    if (map_count(&stripe->sessions) >= stripe->max) {
        drop(stripe, stripe->oldest);
        stripe->stats.evicted++;
    }
    Kept *kept = mem_zalloc(sizeof *kept + session.len);
    kept->name_len = session.len;
    memcpy(kept->name, session.ptr, session.len);
    if (map_put(&stripe->sessions, (Slice){kept->name, kept->name_len}, kept) != 0) {
        free(kept);
        return NULL;
    }
    link_newest(stripe, kept);
    return kept;
}

void state_cache_store(StateCache *cache, Slice session, int64_t now_ns, const State *state)
{
    // Compressing happens when a value is written, which is before it comes here, on the handler's
    // time (RunnerOptions.state_compress_min): what is kept is shared with what the handler made.
    State copy = state_clone(state);
    State old = state_create();
    Stripe *stripe = lock_stripe(cache, session);
    drop_expired(cache, stripe, now_ns);
    Kept *kept = map_get(&stripe->sessions, session);
    if (!kept) {
        kept = make_room(stripe, session);
    }
    if (kept) {
        old = kept->state;
        kept->state = copy;
        touch(stripe, kept, now_ns);
    }
    unlock(stripe);
    state_done(&old); // outside of the lock: freeing a large state takes a while
    if (!kept) {
        state_done(&copy);
    }
}

bool state_cache_forget(StateCache *cache, Slice session)
{
    Stripe *stripe = lock_stripe(cache, session);
    Kept *kept = map_get(&stripe->sessions, session);
    if (kept) {
        drop(stripe, kept);
    }
    unlock(stripe);
    return kept != NULL;
}

size_t state_cache_clear(StateCache *cache)
{
    size_t count = 0;
    for (size_t i = 0; i < cache->stripe_count; i++) {
        (void)pthread_mutex_lock(&cache->stripes[i].lock);
        count += clear(&cache->stripes[i]);
        unlock(&cache->stripes[i]);
    }
    return count;
}

StateCacheStats state_cache_stats(StateCache *cache)
{
    StateCacheStats all = {0};
    for (size_t i = 0; i < cache->stripe_count; i++) {
        Stripe *stripe = &cache->stripes[i];
        (void)pthread_mutex_lock(&stripe->lock);
        all.sessions += map_count(&stripe->sessions);
        all.hits += stripe->stats.hits;
        all.misses += stripe->stats.misses;
        all.evicted += stripe->stats.evicted;
        all.expired += stripe->stats.expired;
        unlock(stripe);
    }
    return all;
}

void state_cache_each(StateCache *cache,
                      void (*fn)(void *arg, Slice session, const State *state, int64_t used_ns),
                      void *arg)
{
    for (size_t i = 0; i < cache->stripe_count; i++) {
        Stripe *stripe = &cache->stripes[i];
        (void)pthread_mutex_lock(&stripe->lock);
        for (const Kept *kept = stripe->oldest; kept; kept = kept->newer) {
            fn(arg, (Slice){kept->name, kept->name_len}, &kept->state, kept->used_ns);
        }
        unlock(stripe);
    }
}
