#include "policy/cache.h"

void cache_init(CacheState *s, CacheEntry *entries, uint32_t room)
{
    *s = (CacheState){.room = room,
                      .newest = CACHE_NONE,
                      .oldest = CACHE_NONE,
                      .free = CACHE_NONE,
                      .evicted = CACHE_NONE};
    for (uint32_t i = room; i-- > 0;) {
        entries[i] = (CacheEntry){.older = s->free, .bucket_head = CACHE_NONE};
        s->free = (int32_t)i;
    }
}

// The keys are hashes already.
static int32_t *bucket(const CacheState *s, CacheEntry *entries, PolicyKey key)
{
    return &entries[(key.low ^ key.high) % s->room].bucket_head;
}

static int32_t find(const CacheState *s, CacheEntry *entries, PolicyKey key)
{
    int32_t at = *bucket(s, entries, key);
    while (at != CACHE_NONE && !policy_key_eq(entries[at].key, key)) {
        at = entries[at].same_bucket;
    }
    return at;
}

static void unuse(CacheState *s, CacheEntry *entries, int32_t at)
{
    CacheEntry *entry = &entries[at];
    *(entry->newer == CACHE_NONE ? &s->newest : &entries[entry->newer].older) = entry->older;
    *(entry->older == CACHE_NONE ? &s->oldest : &entries[entry->older].newer) = entry->newer;
}

static void use(CacheState *s, CacheEntry *entries, int32_t at)
{
    entries[at].newer = CACHE_NONE;
    entries[at].older = s->newest;
    *(s->newest == CACHE_NONE ? &s->oldest : &entries[s->newest].newer) = at;
    s->newest = at;
}

// Out of the table; what becomes of the slot is the caller's.
static void take_out(CacheState *s, CacheEntry *entries, int32_t at)
{
    int32_t *link = bucket(s, entries, entries[at].key);
    while (*link != at) {
        link = &entries[*link].same_bucket;
    }
    *link = entries[at].same_bucket;
    unuse(s, entries, at);
    s->bytes -= entries[at].bytes;
    s->count--;
    entries[at].key = (PolicyKey){0};
}

static void evict(CacheState *s, CacheEntry *entries, int32_t at)
{
    take_out(s, entries, at);
    entries[at].older = s->evicted;
    s->evicted = at;
    s->evictions++;
}

int32_t cache_lookup(CacheState *s, CacheEntry *entries, PolicyKey key, int64_t now_ns)
{
    int32_t at = s->room ? find(s, entries, key) : CACHE_NONE;
    if (at != CACHE_NONE && now_ns >= entries[at].expires_ns) {
        evict(s, entries, at);
        at = CACHE_NONE;
    }
    if (at == CACHE_NONE) {
        s->misses++;
        return CACHE_NONE;
    }
    s->hits++;
    unuse(s, entries, at);
    use(s, entries, at);
    return at;
}

// A slot to fill: the old one of this key, that of the entry which has to go for it, or a free one.
static int32_t make_room(CacheState *s, CacheEntry *entries, const ParamValue *p, PolicyKey key)
{
    int32_t at = find(s, entries, key);
    if (at == CACHE_NONE && s->count >= p[P_CACHE_MAX_ENTRIES].integer) {
        at = s->oldest;
        s->evictions++;
    }
    if (at != CACHE_NONE) {
        take_out(s, entries, at);
        return at;
    }
    if (s->free == CACHE_NONE && s->evicted == CACHE_NONE && s->oldest != CACHE_NONE) {
        at = s->oldest;
        s->evictions++;
        take_out(s, entries, at);
        return at;
    }
    at = s->free;
    if (at != CACHE_NONE) {
        s->free = entries[at].older;
    }
    return at;
}

int32_t cache_store(CacheState *s, CacheEntry *entries, const ParamValue *p, PolicyKey key,
                    uint64_t bytes, int64_t ttl_ns, int64_t now_ns)
{
    uint64_t most = (uint64_t)p[P_CACHE_MAX_BYTES].integer;
    if (s->room == 0 || bytes > most) {
        return CACHE_NONE;
    }
    // After a ceiling was lowered more than one may have to go.
    while (s->count > p[P_CACHE_MAX_ENTRIES].integer) {
        evict(s, entries, s->oldest);
    }
    int32_t at = make_room(s, entries, p, key);
    if (at == CACHE_NONE) {
        return CACHE_NONE; // every other slot waits for the driver to drop its payload
    }
    while (s->bytes > most - bytes) {
        evict(s, entries, s->oldest);
    }
    int64_t ttl = ttl_ns > 0 ? ttl_ns : p[P_CACHE_TTL].integer;
    int32_t *head = bucket(s, entries, key);
    entries[at].key = key;
    entries[at].bytes = bytes;
    entries[at].expires_ns = now_ns > INT64_MAX - ttl ? INT64_MAX : now_ns + ttl;
    entries[at].same_bucket = *head;
    *head = at;
    use(s, entries, at);
    s->bytes += bytes;
    s->count++;
    return at;
}

bool cache_invalidate(CacheState *s, CacheEntry *entries, PolicyKey key)
{
    int32_t at = s->room ? find(s, entries, key) : CACHE_NONE;
    if (at != CACHE_NONE) {
        evict(s, entries, at);
    }
    return at != CACHE_NONE;
}

void cache_clear(CacheState *s, CacheEntry *entries)
{
    while (s->oldest != CACHE_NONE) {
        evict(s, entries, s->oldest);
    }
}

int32_t cache_next_evicted(CacheState *s, CacheEntry *entries)
{
    int32_t at = s->evicted;
    if (at != CACHE_NONE) {
        s->evicted = entries[at].older;
        entries[at].older = s->free;
        s->free = at;
    }
    return at;
}
