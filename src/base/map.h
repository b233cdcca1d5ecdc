// Map: text keys to pointers, with a ceiling. Iteration runs in the order of insertion, so output
// made from a map is the same every time.
//
// Keys may come from a peer: they are hashed with SipHash-2-4 (Aumasson and Bernstein, 2012) under
// the seed given, which must then be unpredictable (os room); a map of our own names may use 0.
// Keys and values are borrowed and must outlive their entry.
//
//     Map m = map_create(1000, seed);
//     if (map_put(&m, name, host) != 0) { ... full ... }
//     Host *h = map_get(&m, SLICE("a"));
//     for (size_t i = 0; map_next(&m, &i, &key, &value);) { ... }
//     map_done(&m);
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/slice.h"

typedef struct MapEntry MapEntry;
typedef struct Map {
    MapEntry *entries; // in order of insertion, with holes where entries were removed
    uint32_t *index;   // open addressing, linear probing, at most half full
    size_t entry_count, index_size;
    size_t count; // entries that are not holes
    size_t max;
    uint64_t seed;
} Map;

// `max_items` at most MAP_ITEMS_MAX.
enum { MAP_ITEMS_MAX = 1 << 28 };
Map map_create(size_t max_items, uint64_t seed);
void map_done(Map *m);
void map_clear(Map *m); // keeps the memory

static inline size_t map_count(const Map *m)
{
    return m->count;
}
// NULL when the key is not there.
void *map_get(const Map *m, Slice key);
// Adds or replaces; a replaced entry keeps its key and its place. `value` is not NULL. ERR_FULL
// when the key is new and max_items are there.
MUST_USE int map_put(Map *m, Slice key, void *value);
// Returns the value taken out, or NULL.
void *map_remove(Map *m, Slice key);
// Walks the entries: *position starts at 0. Removing the entry just returned is allowed, adding is
// not.
bool map_next(const Map *m, size_t *position, Slice *ret_key, void **ret_value);

// SipHash-2-4 with the 128-bit key (k0, k1).
uint64_t map_siphash(Slice s, uint64_t k0, uint64_t k1);

#endif
