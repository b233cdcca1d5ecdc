// EventHeap: what happens next in virtual time. A 4-ary heap of plain values ordered by (time,
// order of insertion), so that equal times come out in the order they went in and a copy of the
// array is a copy of the future. Four children a node: half the levels of a binary heap, and the
// children of a node share two cache lines (LaMarca and Ladner 1996).
#ifndef POLICY_EVENT_HEAP_H
#define POLICY_EVENT_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct HeapEvent {
    int64_t at_ns;
    uint64_t order; // set by event_heap_push
    uint64_t what;  // the owner's
    uint32_t kind;
    uint32_t stamp; // the owner's: to recognise events that have been overtaken
} HeapEvent;

typedef struct EventHeap {
    HeapEvent *items;
    size_t count, capacity;
    uint64_t order;
} EventHeap;

void event_heap_init(EventHeap *h, size_t capacity);
void event_heap_done(EventHeap *h);
void event_heap_copy(EventHeap *ret_copy, const EventHeap *h);
void event_heap_push(EventHeap *h, HeapEvent event);
bool event_heap_pop(EventHeap *h, HeapEvent *ret_event); // false when empty

#endif
