// EventHeap: what happens next in virtual time. An indexed 4-ary heap: every thing that can have an
// event is a node, has at most one in the heap, and may move or remove it, so timers that are no
// longer wanted leave at once instead of being popped stale. Equal times come out in the order they
// went in, and a copy of the arrays is a copy of the future.
//
// Four children a node: half the levels of a binary heap, and the children of a node share one
// cache line (LaMarca and Ladner 1996). An item is 16 bytes: time, and order of insertion above the
// node's name, compared as one number of 128 bits without a branch.
//
//     event_heap_room(&h, KIND_TIMER, 100);            // nodes 0 .. 99 of that kind
//     event_heap_set(&h, event_node(KIND_TIMER, 7), at_ns);
//     event_heap_remove(&h, event_node(KIND_TIMER, 7));
//     while (event_heap_next(&h) <= until) { EventNode n = event_heap_pop(&h, &at_ns); ... }
#ifndef POLICY_EVENT_HEAP_H
#define POLICY_EVENT_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    EVENT_KINDS_MAX = 16,
    EVENT_NODE_BITS = 28, // of them 4 the kind: 16 million nodes of each
    EVENT_NODES_MAX = 1 << 24,
};

typedef uint32_t EventNode;

typedef struct HeapItem {
    int64_t at_ns;  // not negative
    uint64_t order; // counts up, above EVENT_NODE_BITS bits of the node; wraps after 6.8e10
} HeapItem;

typedef struct EventHeap {
    HeapItem *items;
    size_t count, capacity;
    uint64_t order;
    bool hole; // the root has been taken out, and nothing has taken its place yet
    uint32_t *at[EVENT_KINDS_MAX]; // by kind and index: place among the items + 1; 0: not there
    uint32_t room[EVENT_KINDS_MAX];
} EventHeap;

static inline EventNode event_node(unsigned kind, uint32_t index)
{
    return index << 4 | kind;
}
static inline unsigned event_kind(EventNode node)
{
    return node & 15;
}
static inline uint32_t event_index(EventNode node)
{
    return node >> 4;
}

void event_heap_init(EventHeap *h);
void event_heap_done(EventHeap *h);
void event_heap_copy(EventHeap *ret_copy, const EventHeap *h);
// Nodes of `kind` up to `count` of them may be used.
void event_heap_room(EventHeap *h, unsigned kind, uint32_t count);

// Puts the node's event at `at_ns`; one that is there already moves.
void event_heap_set(EventHeap *h, EventNode node, int64_t at_ns);
void event_heap_remove(EventHeap *h, EventNode node); // none is fine
// When; INT64_MAX without an event.
int64_t event_heap_when(const EventHeap *h, EventNode node);

void event_heap_plug(EventHeap *h); // fills the hole; for the functions here
// Of the first event; INT64_MAX when empty.
static inline int64_t event_heap_next(EventHeap *h)
{
    if (h->hole) {
        event_heap_plug(h);
    }
    return h->count ? h->items[0].at_ns : INT64_MAX;
}
// Takes the first one out; there must be one. What is put in next takes its place, as most events
// cause another one: that saves a way down and a way up.
EventNode event_heap_pop(EventHeap *h);

#endif
