// Cache of answers: decides which entry stays (TTL, least recently used, by count and bytes). The
// payload of slot i is the driver's, e.g. in an array of `cache.max_entries` buffers.
#ifndef POLICY_CACHE_H
#define POLICY_CACHE_H

#include "policy/params.h"

// 128 bits of a hash over the canonical request; both 0: not cacheable.
typedef struct PolicyKey {
    uint64_t high, low;
} PolicyKey;

static inline bool policy_key_is_set(PolicyKey k)
{
    return (k.high | k.low) != 0;
}
static inline bool policy_key_eq(PolicyKey a, PolicyKey b)
{
    return a.high == b.high && a.low == b.low;
}

enum { CACHE_NONE = -1 };

typedef struct CacheEntry {
    PolicyKey key; // unset: the slot is free, or waits to be reported as evicted
    int64_t expires_ns;
    uint64_t bytes;
    int32_t newer, older; // list by use; `older` also chains free and evicted slots
    int32_t same_bucket;
    int32_t bucket_head; // of the bucket with this slot's number: the hash table's heads
} CacheEntry;

typedef struct CacheState {
    uint32_t room;
    uint32_t count;
    uint64_t bytes;
    int32_t newest, oldest;
    int32_t free;
    int32_t evicted; // slots whose payload the driver has yet to drop
    uint64_t hits, misses, evictions;
} CacheState;

void cache_init(CacheState *s, CacheEntry *entries, uint32_t room);

// The slot of a live entry, which becomes the most recently used; or CACHE_NONE. An expired one is
// evicted.
int32_t cache_lookup(CacheState *s, CacheEntry *entries, PolicyKey key, int64_t now_ns);

// A slot for a new answer; the driver puts its payload there, over what may be in it. Older entries
// go as `cache.max_entries` and `cache.max_bytes` demand. CACHE_NONE when it is larger than all the
// cache. An entry with this key is replaced. `ttl_ns` 0: `cache.ttl`.
int32_t cache_store(CacheState *s, CacheEntry *entries, const ParamValue *p, PolicyKey key,
                    uint64_t bytes, int64_t ttl_ns, int64_t now_ns);

// Drops one entry / all; false when there was none. Slots show up in cache_next_evicted.
bool cache_invalidate(CacheState *s, CacheEntry *entries, PolicyKey key);
void cache_clear(CacheState *s, CacheEntry *entries);

// Slots whose payload is no longer needed, one a call; CACHE_NONE at the end. They are reused only
// after they were returned here.
int32_t cache_next_evicted(CacheState *s, CacheEntry *entries);

#endif
