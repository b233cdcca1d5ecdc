#include "policy/event_heap.h"

#include <assert.h>

#include "base/err.h"

enum { CHILDREN = 4, NODE_MASK = (1 << EVENT_NODE_BITS) - 1 };

void event_heap_init(EventHeap *h)
{
    *h = (EventHeap){.capacity = 64};
    h->items = mem_alloc(h->capacity * sizeof *h->items);
}

void event_heap_done(EventHeap *h)
{
    for (unsigned kind = 0; kind < EVENT_KINDS_MAX; kind++) {
        free(h->at[kind]);
    }
    free(h->items);
    *h = (EventHeap){0};
}

void event_heap_copy(EventHeap *ret_copy, const EventHeap *h)
{
    *ret_copy = *h;
    ret_copy->items = mem_alloc(h->capacity * sizeof *h->items);
    memcpy(ret_copy->items, h->items, h->count * sizeof *h->items);
    for (unsigned kind = 0; kind < EVENT_KINDS_MAX; kind++) {
        if (h->at[kind]) {
            ret_copy->at[kind] = mem_alloc(h->room[kind] * sizeof *h->at[kind]);
            memcpy(ret_copy->at[kind], h->at[kind], h->room[kind] * sizeof *h->at[kind]);
        }
    }
}

void event_heap_room(EventHeap *h, unsigned kind, uint32_t count)
{
    uint32_t before = h->room[kind];
    assert(kind < EVENT_KINDS_MAX && count <= EVENT_NODES_MAX);
    if (count <= before) {
        return;
    }
    h->at[kind] = mem_realloc(h->at[kind], count * sizeof *h->at[kind]);
    memset(h->at[kind] + before, 0, (count - before) * sizeof *h->at[kind]);
    h->room[kind] = count;
}

static inline bool before(HeapItem a, HeapItem b)
{
    unsigned __int128 x = (unsigned __int128)(uint64_t)a.at_ns << 64 | a.order;
    unsigned __int128 y = (unsigned __int128)(uint64_t)b.at_ns << 64 | b.order;
    return x < y;
}

static inline uint32_t *place_of(const EventHeap *h, uint64_t node)
{
    return &h->at[node & 15][(node & NODE_MASK) >> 4];
}

static inline void put(EventHeap *h, size_t at, HeapItem item)
{
    h->items[at] = item;
    *place_of(h, item.order) = (uint32_t)at + 1;
}

static inline void sift_up(EventHeap *h, size_t at, HeapItem item)
{
    while (at > 0) {
        size_t parent = (at - 1) / CHILDREN;
        if (!before(item, h->items[parent])) {
            break;
        }
        put(h, at, h->items[parent]);
        at = parent;
    }
    put(h, at, item);
}

static inline size_t least_child(const EventHeap *h, size_t first)
{
    const HeapItem *c = h->items + first;
    if (first + CHILDREN <= h->count) { // two rounds without a branch that could be mispredicted
        size_t a = before(c[1], c[0]), b = 2u + before(c[3], c[2]);
        return first + (before(c[b], c[a]) ? b : a);
    }
    size_t least = first;
    for (size_t i = first + 1; i < h->count; i++) {
        least = before(h->items[i], h->items[least]) ? i : least;
    }
    return least;
}

static inline void sift_down(EventHeap *h, size_t at, HeapItem item)
{
    for (size_t first; (first = at * CHILDREN + 1) < h->count;) {
        size_t child = least_child(h, first);
        if (!before(h->items[child], item)) {
            break;
        }
        put(h, at, h->items[child]);
        at = child;
    }
    put(h, at, item);
}

// The place is free: the last item goes there.
static void fill(EventHeap *h, size_t at)
{
    HeapItem last = h->items[--h->count];
    if (at == h->count) {
        return;
    }
    if (at > 0 && before(last, h->items[(at - 1) / CHILDREN])) {
        sift_up(h, at, last);
    } else {
        sift_down(h, at, last);
    }
}

void event_heap_plug(EventHeap *h)
{
    h->hole = false;
    fill(h, 0);
}

static void insert(EventHeap *h, HeapItem item)
{
    if (h->hole) {
        h->hole = false;
        sift_down(h, 0, item);
        return;
    }
    if (h->count == h->capacity) {
        h->capacity *= 2;
        h->items = mem_realloc(h->items, h->capacity * sizeof *h->items);
    }
    sift_up(h, h->count++, item);
}

void event_heap_set(EventHeap *h, EventNode node, int64_t at_ns)
{
    HeapItem item = {at_ns, h->order++ << EVENT_NODE_BITS | node};
    if (*place_of(h, node) == 0) {
        insert(h, item);
        return;
    }
    if (h->hole) {
        event_heap_plug(h);
    }
    uint32_t place = *place_of(h, node);
    if (before(item, h->items[place - 1])) {
        sift_up(h, place - 1, item);
    } else {
        sift_down(h, place - 1, item);
    }
}

void event_heap_remove(EventHeap *h, EventNode node)
{
    if (*place_of(h, node) == 0) {
        return;
    }
    if (h->hole) {
        event_heap_plug(h);
    }
    uint32_t *place = place_of(h, node);
    uint32_t at = *place - 1;
    *place = 0;
    fill(h, at);
}

int64_t event_heap_when(const EventHeap *h, EventNode node)
{
    uint32_t place = *place_of(h, node);
    return place ? h->items[place - 1].at_ns : INT64_MAX;
}

EventNode event_heap_pop(EventHeap *h)
{
    if (h->hole) {
        event_heap_plug(h);
    }
    uint64_t order = h->items[0].order;
    *place_of(h, order) = 0;
    h->hole = true;
    return (EventNode)(order & NODE_MASK);
}
