#include "bus/faulty.h"

#include <math.h>

#include "bus/bus_contract.h"
#include "bus/local.h"

typedef struct World {
    LocalHub *hub;
    FaultPlan plan;
} World;

static void *open_world(void)
{
    World *w = mem_zalloc(sizeof *w);
    w->hub = local_hub_create();
    return w;
}

static void close_world(void *world)
{
    World *w = world;
    local_hub_destroy(w->hub);
    free(w);
}

static int connect_faulty(void *world, const BusOptions *options, Bus **ret_bus, Err *e)
{
    World *w = world;
    Bus *inner;
    int rc = local_connect(w->hub, options, &inner, e);
    return rc != 0 ? rc : faulty_wrap(inner, &w->plan, ret_bus, e);
}

// Without faults the wrapper is a bus like any other.
static void test_the_contract(void **state)
{
    (void)state;
    run_contract((BusFactory){.connect = connect_faulty}, open_world, close_world);
}

enum { MESSAGES = 2000 };

typedef struct Log {
    uint16_t order[2 * MESSAGES];
    size_t count;
} Log;

static BusVerdict log_number(void *ctx, const BusMessage *m)
{
    Log *log = ctx;
    memcpy(&log->order[log->count++], m->body.ptr, sizeof log->order[0]);
    return BUS_DONE;
}

static void run_faults(FaultPlan plan, Log *log, FaultPlan *ret_plan)
{
    Err e;
    ManualClock clock;
    clock_manual_init(&clock, 0, 0);
    World *w = open_world();
    w->plan = plan;
    Bus *a, *b;
    BusSubscription *s;
    BusOptions oa = {.name = SLICE("a"), .clock = &clock.clock};
    BusOptions ob = {.name = SLICE("b"), .clock = &clock.clock, .queue = 2 * MESSAGES};
    assert_int_equal(connect_faulty(w, &oa, &a, &e), 0);
    assert_int_equal(connect_faulty(w, &ob, &b, &e), 0);
    assert_int_equal(bus_subscribe(b, SLICE("s"), log_number, log, &s, &e), 0);
    for (uint16_t i = 0; i < MESSAGES; i++) {
        BusMessage m = {.subject = SLICE("s"), .body = {(const char *)&i, sizeof i}};
        assert_int_equal(bus_publish(a, &m, &e), 0);
        clock_manual_advance(&clock, NS_PER_MS);
        (void)bus_poll(a, 0);
        (void)bus_poll(b, 0);
    }
    clock_manual_advance(&clock, plan.delay_ns_max);
    (void)bus_poll(a, 0);
    while (bus_poll(b, 0) > 0) {
    }
    assert_int_equal(bus_next_due(a), NEVER_NS);
    *ret_plan = w->plan;
    bus_close(a);
    bus_close(b);
    close_world(w);
}

// A share of n draws lies within four standard deviations of its probability: by Chernoff wrong in
// fewer than one seed in ten thousand, and the seed is fixed.
static void assert_share(uint64_t count, uint64_t of, double p)
{
    double deviation = sqrt(p * (1 - p) * (double)of);
    assert_true(fabs((double)count - p * (double)of) <= 4 * deviation);
}

static void test_what_fails(void **state)
{
    (void)state;
    const FaultPlan plan = {
        .seed = 11, .lose = 0.2, .duplicate = 0.1, .delay = 0.3, .delay_ns_max = 50 * NS_PER_MS};
    Log *one = mem_zalloc(sizeof *one), *two = mem_zalloc(sizeof *two);
    FaultPlan done, again;
    run_faults(plan, one, &done);
    assert_share(done.lost, MESSAGES, 0.2);
    assert_share(done.doubled, MESSAGES - done.lost, 0.1);
    assert_share(done.delayed, MESSAGES - done.lost + done.doubled, 0.3);
    assert_int_equal(one->count, MESSAGES - done.lost + done.doubled);
    size_t overtaken = 0;
    for (size_t i = 1; i < one->count; i++) {
        overtaken += one->order[i] < one->order[i - 1];
    }
    assert_true(overtaken > 0);
    // The same seed, the same fate.
    run_faults(plan, two, &again);
    assert_int_equal(two->count, one->count);
    assert_memory_equal(one->order, two->order, one->count * sizeof one->order[0]);
    free(one);
    free(two);
}

static void test_cuts(void **state)
{
    (void)state;
    Err e;
    World *w = open_world();
    Bus *a, *b, *c;
    BusSubscription *s;
    Heard hb = heard_create(), hc = heard_create();
    assert_int_equal(connect_faulty(w, &(BusOptions){.name = SLICE("a")}, &a, &e), 0);
    assert_int_equal(connect_faulty(w, &(BusOptions){.name = SLICE("b")}, &b, &e), 0);
    assert_int_equal(connect_faulty(w, &(BusOptions){.name = SLICE("c")}, &c, &e), 0);
    assert_int_equal(bus_subscribe(b, SLICE("s"), hear, &hb, &s, &e), 0);
    assert_int_equal(bus_subscribe(c, SLICE("s"), hear, &hc, &s, &e), 0);
    assert_int_equal(fault_cut(&w->plan, SLICE("b"), SLICE("a"), &e), 0);
    BusMessage m = {.subject = SLICE("s"), .body = SLICE("1")};
    assert_int_equal(bus_publish(a, &m, &e), 0);
    (void)bus_poll(b, 0);
    (void)bus_poll(c, 0);
    assert_heard(&hb, "");
    assert_heard(&hc, "1 ");
    fault_heal(&w->plan);
    assert_int_equal(bus_publish(a, &m, &e), 0);
    (void)bus_poll(b, 0);
    assert_heard(&hb, "1 ");
    assert_int_equal(w->plan.stopped, 1);
    for (int i = 0; i < FAULT_CUTS_MAX; i++) {
        assert_int_equal(fault_cut(&w->plan, SLICE("x"), SLICE("y"), &e), 0);
    }
    assert_int_equal(fault_cut(&w->plan, SLICE("x"), SLICE("y"), &e), ERR_LIMIT);
    assert_int_equal(faulty_wrap(b, &w->plan, &a, &e), ERR_ARG); // not fresh
    bus_close(a);
    bus_close(b);
    bus_close(c);
    close_world(w);
    buf_done(&hb.text);
    buf_done(&hc.text);
}

static void test_held_messages_are_bounded(void **state)
{
    (void)state;
    Err e;
    World *w = open_world();
    w->plan = (FaultPlan){.delay = 1, .delay_ns_max = 0};
    Bus *a;
    ManualClock clock;
    clock_manual_init(&clock, 0, 0);
    BusOptions o = {.name = SLICE("a"), .clock = &clock.clock};
    assert_int_equal(connect_faulty(w, &o, &a, &e), 0);
    for (int i = 0; i <= FAULT_HELD_MAX; i++) {
        assert_int_equal(w->plan.lost, 0);
        assert_int_equal(bus_publish(a, &(BusMessage){.subject = SLICE("s")}, &e), 0);
    }
    assert_int_equal(w->plan.lost, 1);
    assert_int_equal(w->plan.delayed, FAULT_HELD_MAX);
    bus_close(a);
    close_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_contract),
        cmocka_unit_test(test_what_fails),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_held_messages_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
