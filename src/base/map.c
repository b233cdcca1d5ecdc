#include "base/map.h"

#include <assert.h>

#include "base/err.h"

struct MapEntry {
    Slice key;
    void *value; // NULL: a hole
    uint64_t hash;
};

// An index slot holds the number of an entry plus one, so that zeroed memory is an empty index. A
// slot of a removed entry keeps pointing at its hole and is skipped; holes disappear when the
// index is rebuilt.
enum { INDEX_FIRST = 16 };

static uint64_t rotl(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

static uint64_t little_endian(const char *bytes, size_t count)
{
    uint64_t word = 0;
    for (size_t i = 0; i < count; i++) {
        word |= (uint64_t)(unsigned char)bytes[i] << (8 * i);
    }
    return word;
}

uint64_t map_siphash(Slice s, uint64_t k0, uint64_t k1)
{
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                     k1 ^ 0x7465646279746573u};
    size_t at = 0;
    for (; at + 8 <= s.len; at += 8) {
        uint64_t word = little_endian(s.ptr + at, 8);
        v[3] ^= word;
        sip_round(v);
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last =
        (uint64_t)s.len << 56 | (at < s.len ? little_endian(s.ptr + at, s.len - at) : 0);
    v[3] ^= last;
    sip_round(v);
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++) {
        sip_round(v);
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

Map map_create(size_t max_items, uint64_t seed)
{
    assert(max_items > 0 && max_items <= MAP_ITEMS_MAX);
    return (Map){.max = max_items, .seed = seed};
}

void map_done(Map *m)
{
    free(m->entries);
    free(m->index);
    *m = (Map){.max = m->max, .seed = m->seed};
}

void map_clear(Map *m)
{
    if (m->index) {
        memset(m->index, 0, m->index_size * sizeof m->index[0]);
    }
    m->entry_count = 0;
    m->count = 0;
}

static uint64_t hash_of(const Map *m, Slice key)
{
    return map_siphash(key, m->seed, ~m->seed);
}

// The slot that holds `key`, or the empty one where the search ended.
static size_t find_slot(const Map *m, Slice key, uint64_t hash)
{
    size_t mask = m->index_size - 1;
    size_t slot = (size_t)hash & mask;
    for (; m->index[slot] != 0; slot = (slot + 1) & mask) {
        const MapEntry *entry = &m->entries[m->index[slot] - 1];
        if (entry->value && entry->hash == hash && slice_eq(entry->key, key)) {
            break;
        }
    }
    return slot;
}

static MapEntry *find(const Map *m, Slice key)
{
    if (m->count == 0) {
        return NULL;
    }
    size_t slot = find_slot(m, key, hash_of(m, key));
    return m->index[slot] ? &m->entries[m->index[slot] - 1] : NULL;
}

// Closes the holes and makes the index large enough for twice the entries there are.
static void rebuild(Map *m)
{
    size_t size = INDEX_FIRST;
    while (size < m->count * 4) {
        size *= 2;
    }
    size_t kept = 0;
    for (size_t i = 0; i < m->entry_count; i++) {
        if (m->entries[i].value) {
            m->entries[kept++] = m->entries[i];
        }
    }
    m->entry_count = kept;
    free(m->index);
    m->index = mem_zalloc(size * sizeof m->index[0]);
    m->index_size = size;
    m->entries = mem_realloc(m->entries, size / 2 * sizeof(MapEntry));
    for (size_t i = 0; i < kept; i++) {
        size_t slot = (size_t)m->entries[i].hash & (size - 1);
        while (m->index[slot] != 0) {
            slot = (slot + 1) & (size - 1);
        }
        m->index[slot] = (uint32_t)i + 1;
    }
}

void *map_get(const Map *m, Slice key)
{
    const MapEntry *entry = find(m, key);
    return entry ? entry->value : NULL;
}

int map_put(Map *m, Slice key, void *value)
{
    assert(value);
    MapEntry *entry = find(m, key);
    if (entry) {
        entry->value = value;
        return 0;
    }
    if (m->count == m->max) {
        return ERR_FULL;
    }
    if (m->entry_count == m->index_size / 2) {
        rebuild(m);
    }
    uint64_t hash = hash_of(m, key);
    size_t slot = find_slot(m, key, hash);
    m->entries[m->entry_count++] = (MapEntry){key, value, hash};
    m->index[slot] = (uint32_t)m->entry_count;
    m->count++;
    return 0;
}

void *map_remove(Map *m, Slice key)
{
    MapEntry *entry = find(m, key);
    if (!entry) {
        return NULL;
    }
    void *value = entry->value;
    entry->value = NULL;
    m->count--;
    return value;
}

bool map_next(const Map *m, size_t *position, Slice *ret_key, void **ret_value)
{
    while (*position < m->entry_count) {
        const MapEntry *entry = &m->entries[(*position)++];
        if (entry->value) {
            *ret_key = entry->key;
            *ret_value = entry->value;
            return true;
        }
    }
    return false;
}
