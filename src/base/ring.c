#include "base/ring.h"

#include <assert.h>

#include "base/err.h"

Ring ring_create(size_t capacity, size_t item_bytes)
{
    size_t bytes = 0;
    bool overflow = __builtin_mul_overflow(capacity, item_bytes, &bytes);
    assert(!overflow && bytes > 0);
    return (Ring){.items = mem_alloc(bytes), .item_bytes = item_bytes, .capacity = capacity};
}

void ring_done(Ring *r)
{
    free(r->items);
    *r = (Ring){0};
}

void *ring_at(const Ring *r, size_t index)
{
    if (index >= r->count) {
        return NULL;
    }
    size_t left = r->capacity - r->first;
    size_t at = index < left ? r->first + index : index - left;
    return r->items + at * r->item_bytes;
}

bool ring_push(Ring *r, const void *item)
{
    if (r->count == r->capacity) {
        return false;
    }
    r->count++;
    memcpy(ring_at(r, r->count - 1), item, r->item_bytes);
    return true;
}

bool ring_pop(Ring *r, void *ret_item)
{
    if (r->count == 0) {
        return false;
    }
    if (ret_item) {
        memcpy(ret_item, ring_at(r, 0), r->item_bytes);
    }
    r->first = r->first + 1 == r->capacity ? 0 : r->first + 1;
    r->count--;
    return true;
}
