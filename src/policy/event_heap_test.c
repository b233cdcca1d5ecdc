// The heap against a list that is searched: random insertions, moves, removals and takings-out give
// the same events in the same order, equal times in the order they went in.
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/err.h"
#include "base/rng.h"
#include "policy/event_heap.h"

enum { NODES = 40, KINDS = 3, STEPS = 40000 };

typedef struct Model {
    int64_t at_ns[KINDS][NODES]; // INT64_MAX: none
    uint64_t order[KINDS][NODES];
    uint64_t orders;
} Model;

static bool first(const Model *m, unsigned *ret_kind, uint32_t *ret_index)
{
    bool found = false;
    int64_t at = INT64_MAX;
    uint64_t order = 0;
    for (unsigned k = 0; k < KINDS; k++) {
        for (uint32_t i = 0; i < NODES; i++) {
            if (m->at_ns[k][i] == INT64_MAX || m->at_ns[k][i] > at ||
                (m->at_ns[k][i] == at && m->order[k][i] > order)) {
                continue;
            }
            found = true;
            at = m->at_ns[k][i];
            order = m->order[k][i];
            *ret_kind = k;
            *ret_index = i;
        }
    }
    return found;
}

static void pop_both(EventHeap *h, Model *m)
{
    unsigned kind;
    uint32_t index;
    if (!first(m, &kind, &index)) {
        assert_true(event_heap_next(h) == INT64_MAX);
        return;
    }
    assert_true(event_heap_next(h) == m->at_ns[kind][index]);
    EventNode node = event_heap_pop(h);
    assert_int_equal(event_kind(node), kind);
    assert_int_equal(event_index(node), index);
    m->at_ns[kind][index] = INT64_MAX;
}

static void step(EventHeap *h, Model *m, Rng *r)
{
    unsigned kind = (unsigned)rng_below(r, KINDS);
    uint32_t index = (uint32_t)rng_below(r, NODES);
    EventNode node = event_node(kind, index);
    assert_true(event_heap_when(h, node) == m->at_ns[kind][index]);
    switch (rng_below(r, 5)) {
    case 0:
    case 1:
        m->at_ns[kind][index] = rng_between(r, 0, 50); // many are equal
        m->order[kind][index] = m->orders++;
        event_heap_set(h, node, m->at_ns[kind][index]);
        break;
    case 2:
        m->at_ns[kind][index] = INT64_MAX;
        event_heap_remove(h, node);
        break;
    default: pop_both(h, m); break;
    }
}

static void test_against_a_list(void **state)
{
    (void)state;
    EventHeap h, copy;
    Model m;
    Rng r = rng_stream(1, SLICE("heap"), 0);
    memset(m.order, 0, sizeof m.order);
    m.orders = 0;
    event_heap_init(&h);
    for (unsigned k = 0; k < KINDS; k++) {
        event_heap_room(&h, k, NODES / 2);
        event_heap_room(&h, k, NODES); // what was there stays
        for (uint32_t i = 0; i < NODES; i++) {
            m.at_ns[k][i] = INT64_MAX;
        }
    }
    for (int i = 0; i < STEPS; i++) {
        step(&h, &m, &r);
    }
    Model other = m;
    event_heap_copy(&copy, &h);
    for (int i = 0; i < KINDS * NODES + 1; i++) {
        pop_both(&h, &m);
    }
    for (int i = 0; i < KINDS * NODES + 1; i++) { // a copy is a copy of the future
        pop_both(&copy, &other);
    }
    event_heap_done(&h);
    event_heap_done(&copy);
}

static void test_the_last_node(void **state)
{
    (void)state;
    EventHeap h;
    event_heap_init(&h);
    event_heap_room(&h, EVENT_KINDS_MAX - 1, EVENT_NODES_MAX);
    EventNode last = event_node(EVENT_KINDS_MAX - 1, EVENT_NODES_MAX - 1);
    event_heap_set(&h, last, INT64_MAX - 1);
    assert_true(event_heap_when(&h, last) == INT64_MAX - 1);
    assert_int_equal(event_heap_pop(&h), last);
    event_heap_done(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_list),
        cmocka_unit_test(test_the_last_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
