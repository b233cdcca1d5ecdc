#include "bus/dedup.h"

#include <assert.h>

#include "base/err.h"
#include "base/map.h"
#include "bus/bus.h"

typedef struct DedupEntry {
    int64_t seen_ns;
    size_t len;
    char key[BUS_KEY_MAX + 1];
} DedupEntry;

struct Dedup {
    DedupEntry *ring; // oldest at `first`
    size_t max, first, count;
    int64_t age_ns;
    Map index; // key to entry; keys point into the ring
};

Dedup *dedup_create(size_t keys, int64_t age_ns)
{
    assert(keys > 0 && keys <= DEDUP_KEYS_MAX && age_ns > 0);
    Dedup *d = mem_zalloc(sizeof *d);
    *d = (Dedup){.ring = mem_zalloc(keys * sizeof *d->ring), .max = keys, .age_ns = age_ns};
    // Seeded by where it lies: keys come from peers.
    d->index = map_create(keys, (uint64_t)(uintptr_t)d->ring);
    return d;
}

void dedup_destroy(Dedup *d)
{
    if (d) {
        map_done(&d->index);
        free(d->ring);
        free(d);
    }
}

static void drop_oldest(Dedup *d)
{
    DedupEntry *oldest = &d->ring[d->first];
    (void)map_remove(&d->index, (Slice){oldest->key, oldest->len});
    d->first = (d->first + 1) % d->max;
    d->count--;
}

bool dedup_add(Dedup *d, Slice key, int64_t now_ns)
{
    while (d->count > 0 && now_ns - d->ring[d->first].seen_ns >= d->age_ns) {
        drop_oldest(d);
    }
    key = slice_sub(key, 0, BUS_KEY_MAX);
    if (key.len == 0) {
        return true;
    }
    if (map_get(&d->index, key)) {
        return false;
    }
    if (d->count == d->max) {
        drop_oldest(d);
    }
    DedupEntry *entry = &d->ring[(d->first + d->count) % d->max];
    d->count++;
    entry->seen_ns = now_ns;
    entry->len = key.len;
    memcpy(entry->key, key.ptr, key.len);
    int rc = map_put(&d->index, (Slice){entry->key, entry->len}, entry);
    assert(rc == 0); // as many places as the ring has
    return true;
}

size_t dedup_count(const Dedup *d)
{
    return d->count;
}
