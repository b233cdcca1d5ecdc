#include "manage/plant_live.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "os/clock.h"

// The runtime with a manual clock: the same code as live, and a run is a function of its seed. What
// queueing theory says about a station must come out of workers, mailboxes and timers.

enum { ARENA_BYTES = 64 << 20 };

typedef struct World {
    Arena *arena;
    ManualClock clock;
    System *sys;
    Plant *plant;
} World;

static void world_open(World *w, const char *text, double scale, int64_t duration_ns)
{
    w->arena = arena_create(ARENA_BYTES);
    clock_manual_init(&w->clock, 1000 * NS_PER_S, 0);
    Err e = {0};
    int rc = system_parse(w->arena, (Slice){text, strlen(text)}, "test", &w->sys, &e);
    assert_string_equal(e.text, "");
    assert_int_equal(rc, 0);
    PlantLiveOptions options = {
        .seed = 7, .scale = scale, .duration_ns = duration_ns, .manual = &w->clock};
    rc = plant_live_create(w->sys, &options, &w->plant, &e);
    assert_string_equal(e.text, "");
    assert_int_equal(rc, 0);
}

static void world_close(World *w)
{
    plant_destroy(w->plant);
    arena_destroy(w->arena);
}

static PlantWindow window_until(World *w, int64_t at_ns)
{
    Err e = {0};
    assert_int_equal(plant_wait(w->plant, at_ns, &e), 0);
    PlantWindow window;
    assert_int_equal(plant_observe(w->plant, w->arena, &window, &e), 0);
    return window;
}

static void set(World *w, const char *text, int expect)
{
    SystemChange change;
    Err e = {0};
    int rc = system_parse_change(w->sys, (Slice){text, strlen(text)}, &change, &e);
    assert_string_equal(e.text, "");
    assert_int_equal(rc, 0);
    assert_int_equal(plant_set(w->plant, &change, 1, NULL, &e), expect);
}

static const char MM2[] = "version = 1\n"
                          "name = \"mm2\"\n"
                          "[agents.s]\n"
                          "servers = 2\n"
                          "service = {dist = \"exponential\", mean = \"1s\"}\n"
                          "[clients.c]\n"
                          "to = \"s\"\n"
                          "rate = 1.6\n";

// M/M/2 at rho = 0.8: Erlang C gives Wq = 16/9 s (Kleinrock, "Queueing Systems" I, section 3.5), so
// the mean is 25/9 s and L = 1.6 * 25/9. 20,000 s hold 32,000 correlated customers; the relaxation
// time at rho = .8 is about 1 / (mu (1 - sqrt(rho))^2) = 45 s over 2 servers, so about 450
// independent stretches with a deviation of the mean near its value: 4 deviations are 20 %.
static void test_a_station_is_mm2(void **unused)
{
    (void)unused;
    World w;
    world_open(&w, MM2, 100, 0);
    (void)window_until(&w, 200 * NS_PER_S);
    PlantWindow window = window_until(&w, 20000 * NS_PER_S);
    const ClientOutcome *c = &window.outcome->clients[0];
    assert_true(fabs(c->mean.value - 25.0 / 9) < 0.2 * 25 / 9);
    assert_true(fabs(c->offered.value - 1.6) < 4 * sqrt(1.6 / 20000));
    assert_true(fabs(window.outcome->agents[0].utilisation.value - 0.8) < 0.05);
    assert_int_equal(window.outcome->fidelity, FIDELITY_MEASURED);
    assert_true(c->goodput.value == 1);
    assert_true(window.agents[0].wasted_s == 0);
    world_close(&w);
}

// The scale changes how long it takes by the clock and nothing else.
static void test_the_scale_is_not_seen(void **unused)
{
    (void)unused;
    uint64_t offered[2];
    double mean[2];
    for (int i = 0; i < 2; i++) {
        World w;
        world_open(&w, MM2, i ? 100 : 1, 0);
        int64_t before = w.clock.now_ns;
        PlantWindow window = window_until(&w, 500 * NS_PER_S);
        offered[i] = window.clients[0].offered;
        mean[i] = window.outcome->clients[0].mean.value;
        assert_true(fabs((double)(w.clock.now_ns - before) / 1e9 - 500 / (i ? 100.0 : 1)) < 3);
        world_close(&w);
    }
    assert_int_equal(offered[0], offered[1]);
    assert_true(fabs(mean[0] - mean[1]) < 0.02 * mean[0]);
}

static void write_chain(char *text, size_t room, const char *join)
{
    (void)snprintf(text, room,
                   "version = 1\n"
                   "name = \"chain\"\n"
                   "[[agents.a.calls]]\n"
                   "to = [\"b\", \"c\"]\n"
                   "join = \"%s\"\n"
                   "[agents.b]\n"
                   "service = \"100ms\"\n"
                   "[agents.c]\n"
                   "service = \"300ms\"\n"
                   "[clients.k]\n"
                   "to = \"a\"\n"
                   "rate = 2.0\n",
                   join);
}

static void test_joins(void **unused)
{
    (void)unused;
    static const struct {
        const char *join;
        double seconds, busy; // of one request: how long, and c's work
    } cases[] = {{"all", 0.3, 0.3}, {"any", 0.1, 0.1}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[1024];
        write_chain(text, sizeof text, cases[i].join);
        World w;
        world_open(&w, text, 1, 0);
        PlantWindow window = window_until(&w, 200 * NS_PER_S);
        assert_true(window.clients[0].good > 300);
        assert_int_equal(window.clients[0].failed, 0);
        assert_true(fabs(window.outcome->clients[0].p50.value - cases[i].seconds) < 0.005);
        double each = window.agents[2].busy_s / (double)window.agents[2].arrivals;
        assert_true(fabs(each - cases[i].busy) < 0.01);
        assert_true((window.agents[2].wasted_s > 0) == (i == 1)); // the loser was not wanted
        world_close(&w);
    }
}

static const char RETRY[] = "version = 1\n"
                            "name = \"retry\"\n"
                            "[[agents.a.calls]]\n"
                            "to = [\"b\"]\n"
                            "[agents.b]\n"
                            "service = {dist = \"fixed\", mean = \"1s\"}\n"
                            "[[edges]]\n"
                            "from = \"a\"\n"
                            "to = \"b\"\n"
                            "policy = {timeout = {attempt = \"500ms\"}, retry = {attempts = 3, "
                            "backoff = \"0s\", budget = 0.0}, cancel = {propagate = false}}\n"
                            "[clients.k]\n"
                            "to = \"a\"\n"
                            "rate = 5.0\n"
                            "[objectives.k]\n"
                            "within = \"2s\"\n"
                            "goodput = 0.9\n";

// Every attempt times out and nobody is told: three times the work, all of it wasted. Then one
// parameter changes while it runs.
static void test_policies_move(void **unused)
{
    (void)unused;
    World w;
    world_open(&w, RETRY, 10, 0);
    PlantWindow window = window_until(&w, 100 * NS_PER_S);
    assert_int_equal(window.clients[0].good, 0);
    assert_true(window.clients[0].failed > 300);
    double amplification = (double)window.agents[1].arrivals / (double)window.clients[0].offered;
    assert_true(amplification > 2.9 && amplification <= 3);
    assert_true(window.agents[1].wasted_s == window.agents[1].busy_s);
    set(&w, "a->b.timeout.attempt=1500ms", 0);
    (void)window_until(&w, 105 * NS_PER_S);
    window = window_until(&w, 200 * NS_PER_S);
    assert_int_equal(window.clients[0].failed, 0);
    assert_true(window.clients[0].good > 300);
    assert_true(window.agents[1].wasted_s == 0);
    // What began without a queue or a window has room for them.
    set(&w, "a->b.limit.kind=fixed", 0);
    set(&w, "a->b.queue.limit=100", 0);
    set(&w, "a->b.breaker.window=time", 0);
    set(&w, "a->b.hedge.quantile=0.95", 0);
    set(&w, "a->b.hedge.max=1", 0);
    set(&w, "a->b.queue.limit=100000", ERR_REFUSED);
    assert_int_equal(w.plant->sys->edges[0].policy[P_QUEUE_LIMIT].integer, 100);
    world_close(&w);
}

// A program on an edge of the runtime: it sees that every attempt times out, and gives them more
// time. The same text in the simulated plant is model/sim's business.
static void test_a_program_runs(void **unused)
{
    (void)unused;
    World w;
    world_open(&w, RETRY, 1, 0);
    static const char text[] = "period = 5s; timeout.attempt = if(timeouts > 50%, 1500ms, "
                               "timeout.attempt);";
    assert_int_equal(plant_set_program(w.plant, PLACE_EDGE, 0, SLICE(text), NULL), 0);
    PlantWindow window = window_until(&w, 4 * NS_PER_S);
    assert_int_equal(window.clients[0].good, 0);
    (void)window_until(&w, 12 * NS_PER_S);
    window = window_until(&w, 60 * NS_PER_S);
    assert_int_equal(window.clients[0].failed, 0);
    assert_true(window.clients[0].good > 150);
    assert_int_equal(plant_set_program(w.plant, PLACE_EDGE, 0, SLICE("while(1);"), NULL),
                     ERR_PARSE);
    assert_int_equal(plant_set_program(w.plant, PLACE_EDGE, 0, SLICE(""), NULL), 0);
    world_close(&w);
    world_open(&w, RETRY, 10, 0); // its text is in another time
    assert_int_equal(plant_set_program(w.plant, PLACE_EDGE, 0, SLICE(text), NULL), ERR_UNSUPPORTED);
    world_close(&w);
}

static void test_servers_move(void **unused)
{
    (void)unused;
    World w;
    world_open(&w, MM2, 10, 0);
    set(&w, "s.servers=1", 0); // 1.6 a second for one server of 1 a second
    PlantWindow window = window_until(&w, 300 * NS_PER_S);
    assert_true(window.agents[0].waiting > 20);
    set(&w, "s.servers=8", 0);
    (void)window_until(&w, 400 * NS_PER_S);
    window = window_until(&w, 700 * NS_PER_S);
    assert_true(window.agents[0].waiting < 2);
    assert_true(window.outcome->clients[0].p50.value < 1.5);
    uint64_t offered = 0, ended = 0;
    offered += window.clients[0].offered;
    ended += window.clients[0].good + window.clients[0].late + window.clients[0].failed;
    assert_true(llabs((long long)(offered - ended)) < 20);
    world_close(&w);
}

static void test_what_it_refuses(void **unused)
{
    (void)unused;
    Arena *arena = arena_create(ARENA_BYTES);
    static const char text[] = "version = 1\n"
                               "name = \"x\"\n"
                               "[agents.s]\n"
                               "servers = 2\n"
                               "discipline = \"sharing\"\n"
                               "[clients.c]\n"
                               "to = \"s\"\n"
                               "rate = 1.0\n";
    System *sys;
    Err e = {0};
    assert_int_equal(system_parse(arena, SLICE(text), "test", &sys, &e), 0);
    Plant *plant = NULL;
    assert_int_equal(plant_live_create(sys, &(PlantLiveOptions){0}, &plant, &e), ERR_UNSUPPORTED);
    assert_non_null(strstr(e.text, "sharing"));
    sys->agents[0].discipline = VIRTUAL_FIFO;
    PlantLiveOptions fast = {.scale = PLANT_LIVE_SCALE_MAX + 1};
    assert_int_equal(plant_live_create(sys, &fast, &plant, &e), ERR_ARG);
    assert_null(plant);
    arena_destroy(arena);
}

// Its time ends, and a person may end it before.
static void test_it_ends(void **unused)
{
    (void)unused;
    World w;
    world_open(&w, MM2, 10, 50 * NS_PER_S);
    Err e = {0};
    assert_int_equal(plant_wait(w.plant, 40 * NS_PER_S, &e), 0);
    assert_int_equal(plant_wait(w.plant, 60 * NS_PER_S, &e), ERR_CLOSED);
    PlantWindow window;
    assert_int_equal(plant_observe(w.plant, w.arena, &window, &e), 0);
    assert_true(window.clients[0].offered > 50);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_station_is_mm2),
        cmocka_unit_test(test_the_scale_is_not_seen),
        cmocka_unit_test(test_joins),
        cmocka_unit_test(test_policies_move),
        cmocka_unit_test(test_a_program_runs),
        cmocka_unit_test(test_servers_move),
        cmocka_unit_test(test_what_it_refuses),
        cmocka_unit_test(test_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
