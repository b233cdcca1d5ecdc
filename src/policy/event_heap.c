#include "policy/event_heap.h"

#include "base/err.h"

enum { CHILDREN = 4 };

void event_heap_init(EventHeap *h, size_t capacity)
{
    *h = (EventHeap){.capacity = capacity ? capacity : 16};
    h->items = mem_alloc(h->capacity * sizeof *h->items);
}

void event_heap_done(EventHeap *h)
{
    free(h->items);
    *h = (EventHeap){0};
}

void event_heap_copy(EventHeap *ret_copy, const EventHeap *h)
{
    *ret_copy = *h;
    ret_copy->items = mem_alloc(h->capacity * sizeof *h->items);
    memcpy(ret_copy->items, h->items, h->count * sizeof *h->items);
}

static bool before(const HeapEvent *a, const HeapEvent *b)
{
    return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->order < b->order);
}

void event_heap_push(EventHeap *h, HeapEvent event)
{
    if (h->count == h->capacity) {
        h->capacity *= 2;
        h->items = mem_realloc(h->items, h->capacity * sizeof *h->items);
    }
    event.order = h->order++;
    size_t at = h->count++;
    while (at > 0 && before(&event, &h->items[(at - 1) / CHILDREN])) {
        h->items[at] = h->items[(at - 1) / CHILDREN];
        at = (at - 1) / CHILDREN;
    }
    h->items[at] = event;
}

static size_t least_child(const EventHeap *h, size_t first)
{
    size_t end = first + CHILDREN < h->count ? first + CHILDREN : h->count, least = first;
    for (size_t i = first + 1; i < end; i++) {
        least = before(&h->items[i], &h->items[least]) ? i : least;
    }
    return least;
}

bool event_heap_pop(EventHeap *h, HeapEvent *ret_event)
{
    if (h->count == 0) {
        return false;
    }
    *ret_event = h->items[0];
    HeapEvent last = h->items[--h->count];
    size_t at = 0;
    for (size_t first; (first = at * CHILDREN + 1) < h->count;) {
        size_t child = least_child(h, first);
        if (!before(&h->items[child], &last)) {
            break;
        }
        h->items[at] = h->items[child];
        at = child;
    }
    h->items[at] = last;
    return true;
}
