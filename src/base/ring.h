// Ring: a bounded queue of items of one size, for one thread. (Between threads: os room.)
// The memory is taken once; a full ring refuses and the caller decides what that means.
//
//     Ring r = ring_create(64, sizeof(Job));
//     if (!ring_push(&r, &job)) { ... full ... }
//     while (ring_pop(&r, &job)) { ... }
//     ring_done(&r);
#ifndef BASE_RING_H
#define BASE_RING_H

#include <stdbool.h>
#include <stddef.h>

typedef struct Ring {
    char *items;
    size_t item_bytes;
    size_t capacity;
    size_t first; // index of the oldest item
    size_t count;
} Ring;

Ring ring_create(size_t capacity, size_t item_bytes); // both above 0
void ring_done(Ring *r);

// Copies the item in; false when full.
bool ring_push(Ring *r, const void *item);
// Copies the oldest item out; false when empty. `ret_item` may be NULL to drop it.
bool ring_pop(Ring *r, void *ret_item);
// The item `index` places behind the oldest, or NULL. Valid until the next push or pop.
void *ring_at(const Ring *r, size_t index);

#endif
