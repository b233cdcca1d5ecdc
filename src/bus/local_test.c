#include "bus/bus_contract.h"
#include "bus/local.h"
#include "os/thread.h"

static void *open_hub(void)
{
    return local_hub_create();
}

static void close_hub(void *world)
{
    local_hub_destroy(world);
}

static int connect_local(void *world, const BusOptions *options, Bus **ret_bus, Err *e)
{
    return local_connect(world, options, ret_bus, e);
}

static void test_the_contract(void **state)
{
    (void)state;
    run_contract((BusFactory){.connect = connect_local}, open_hub, close_hub);
}

static void test_names(void **state)
{
    (void)state;
    Err e;
    Bus *bus;
    char name[BUS_NAME_MAX + 1];
    memset(name, 'n', sizeof name);
    LocalHub *hub = local_hub_create();
    assert_int_equal(local_connect(hub, &(BusOptions){0}, &bus, &e), ERR_ARG);
    BusOptions o = {.name = {name, sizeof name}};
    assert_int_equal(local_connect(hub, &o, &bus, &e), ERR_ARG);
    o.name.len = BUS_NAME_MAX;
    assert_int_equal(local_connect(hub, &o, &bus, &e), 0);
    bus_close(bus);
    bus_close(NULL);
    local_hub_destroy(hub);
}

static void test_connections_are_bounded(void **state)
{
    (void)state;
    Bus **buses = mem_zalloc((LOCAL_CONNECTIONS_MAX + 1) * sizeof *buses);
    LocalHub *hub = local_hub_create();
    BusOptions o = {.name = SLICE("one of many"), .queue = 1};
    for (int i = 0; i <= LOCAL_CONNECTIONS_MAX; i++) {
        int rc = local_connect(hub, &o, &buses[i], NULL);
        assert_int_equal(rc, i < LOCAL_CONNECTIONS_MAX ? 0 : ERR_LIMIT);
    }
    for (int i = 0; i < LOCAL_CONNECTIONS_MAX; i++) {
        bus_close(buses[i]);
    }
    local_hub_destroy(hub);
    free(buses);
}

static void test_subjects(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *subject;
        bool matches;
    } CASES[] = {
        // the examples of docs.nats.io, "Subject-Based Messaging"
        {"time.*.east", "time.us.east", true},
        {"time.*.east", "time.eu.east", true},
        {"time.*.east", "time.us.east.atlanta", false},
        {"time.us.*", "time.us.east", true},
        {"time.us.*", "time.us.east.atlanta", false},
        {"time.us.>", "time.us.east", true},
        {"time.us.>", "time.us.east.atlanta", true},
        {"time.us.>", "time.us", false},
        {"*.*.east.>", "time.us.east.atlanta", true},
        {">", "a", true},
        {"a", "ab", false},
        {"a.b", "a", false},
    };
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        assert_int_equal(
            bus_matches(slice_from_cstr(CASES[i].pattern), slice_from_cstr(CASES[i].subject)),
            CASES[i].matches);
    }
}

// ---- several threads

enum { PRODUCERS = 3, EACH = 2000 };

typedef struct Crowd {
    LocalHub *hub;
    Loop *loop;
    Bus *bus;
    uint64_t sum;
    size_t count;
    uint64_t last[PRODUCERS];
} Crowd;

typedef struct Producer {
    Crowd *crowd;
    unsigned number;
} Producer;

static void produce(void *arg)
{
    Producer *p = arg;
    Bus *bus;
    if (local_connect(p->crowd->hub, &(BusOptions){.name = SLICE("producer")}, &bus, NULL) != 0) {
        die("no connection");
    }
    for (uint64_t i = 1; i <= EACH; i++) {
        uint64_t body[2] = {p->number, i};
        BusMessage m = {.subject = SLICE("work"), .body = {(const char *)body, sizeof body}};
        int rc;
        while ((rc = bus_publish(bus, &m, NULL)) == ERR_FULL) {
            thread_pause_ns(10000); // what a full queue asks of a producer
        }
        if (rc != 0) {
            die("publish failed");
        }
    }
    bus_close(bus);
}

static BusVerdict consume(void *ctx, const BusMessage *m)
{
    Crowd *c = ctx;
    uint64_t body[2];
    assert_int_equal(m->body.len, sizeof body);
    memcpy(body, m->body.ptr, sizeof body);
    assert_true(body[1] == c->last[body[0]] + 1); // in order, none twice, none lost
    c->last[body[0]] = body[1];
    c->sum += body[1];
    if (++c->count == PRODUCERS * EACH) {
        loop_stop(c->loop);
    }
    return BUS_DONE;
}

static void test_threads_through_a_loop(void **state)
{
    (void)state;
    Err e;
    Crowd c = {.hub = local_hub_create()};
    assert_int_equal(loop_create(&(LoopOptions){0}, &c.loop, &e), 0);
    BusOptions o = {.name = SLICE("consumer"), .queue = 64};
    assert_int_equal(local_connect(c.hub, &o, &c.bus, &e), 0);
    BusSubscription *s;
    assert_int_equal(bus_subscribe(c.bus, SLICE("work"), consume, &c, &s, &e), 0);
    assert_int_equal(bus_attach(c.bus, c.loop, &e), 0);
    assert_int_equal(bus_attach(c.bus, c.loop, &e), ERR_EXISTS);
    Producer producers[PRODUCERS];
    Thread *threads[PRODUCERS];
    for (unsigned i = 0; i < PRODUCERS; i++) {
        producers[i] = (Producer){&c, i};
        assert_int_equal(
            thread_start("producer", THREAD_ANY_CPU, produce, &producers[i], &threads[i], &e), 0);
    }
    loop_run(c.loop);
    for (unsigned i = 0; i < PRODUCERS; i++) {
        thread_join(threads[i]);
    }
    assert_int_equal(c.sum, (uint64_t)PRODUCERS * EACH * (EACH + 1) / 2);
    bus_close(c.bus);
    loop_destroy(c.loop);
    local_hub_destroy(c.hub);
}

// Deadlines and second deliveries come by the loop's timer alone.
static void test_time_through_a_loop(void **state)
{
    (void)state;
    Err e;
    ManualClock clock;
    clock_manual_init(&clock, 0, 0);
    Loop *loop;
    assert_int_equal(loop_create(&(LoopOptions){.manual = &clock, .auto_advance = true}, &loop, &e),
                     0);
    LocalHub *hub = local_hub_create();
    Bus *bus;
    BusOptions o = {.name = SLICE("a"), .clock = &clock.clock};
    assert_int_equal(local_connect(hub, &o, &bus, &e), 0);
    assert_int_equal(bus_attach(bus, loop, &e), 0);
    Heard h = heard_create();
    h.verdict = BUS_AGAIN;
    Answer answer = {0};
    BusSubscription *s;
    assert_int_equal(bus_subscribe(bus, SLICE("s"), hear, &h, &s, &e), 0);
    BusMessage m = {.subject = SLICE("s"), .body = SLICE("m")};
    assert_int_equal(bus_request(bus, &m, 10 * NS_PER_S, on_reply, &answer, &e), 0);
    while (answer.calls == 0) {
        (void)loop_tick(loop, NEVER_NS);
    }
    assert_int_equal(answer.code, ERR_TIMEOUT);
    assert_int_equal(clock.now_ns, 10 * NS_PER_S);
    assert_int_equal(h.count, BUS_AGAIN_MAX + 1);
    bus_close(bus);
    loop_destroy(loop);
    local_hub_destroy(hub);
    buf_done(&h.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_contract),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_connections_are_bounded),
        cmocka_unit_test(test_subjects),
        cmocka_unit_test(test_threads_through_a_loop),
        cmocka_unit_test(test_time_through_a_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
