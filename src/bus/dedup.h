// Dedup: has this key been seen lately? What a receiver on an at-least-once bus asks before it
// acts.
//
//     Dedup *seen = dedup_create(1000, 60 * NS_PER_S);
//     if (!dedup_add(seen, m->key, now_ns)) { return BUS_DONE; }   // a double
//
// The window is bounded in number and age: of a key that fell out, a double is taken for new. So
// choose the age above the longest delay of the bus, and the number above what can come in that
// time. One thread.
#ifndef BUS_DEDUP_H
#define BUS_DEDUP_H

#include "base/slice.h"

typedef struct Dedup Dedup;

enum { DEDUP_KEYS_MAX = 1 << 20 };

// `keys` 1..DEDUP_KEYS_MAX; age_ns > 0. Memory is taken at once: about 200 bytes a key.
Dedup *dedup_create(size_t keys, int64_t age_ns);
void dedup_destroy(Dedup *dedup); // NULL is fine

// True when the key is new; then it is remembered. The empty key is always new. Keys are compared
// by their first BUS_KEY_MAX bytes. `now_ns` does not go back.
bool dedup_add(Dedup *dedup, Slice key, int64_t now_ns);
size_t dedup_count(const Dedup *dedup);

#endif
