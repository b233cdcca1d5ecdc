#include "manage/plant_virtual.h"

#include <math.h>

#include "base/units.h"
#include "manage/manage_test.h"

#define S NS_PER_SECOND

static Arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = arena_create(256 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

static Plant *plant_of(const System *sys, uint64_t seed)
{
    Plant *plant = NULL;
    Err e = {0};
    if (plant_virtual_create(sys, &(PlantVirtualOptions){.seed = seed}, &plant, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return plant;
}

static PlantWindow window_until(Plant *plant, int64_t at_ns)
{
    PlantWindow w;
    Err e = {0};
    assert_int_equal(plant_wait(plant, at_ns, &e), 0);
    assert_int_equal(plant_observe(plant, arena, &w, &e), 0);
    assert_int_equal(w.until_ns, at_ns);
    return w;
}

// M/M/1 at half load: mean 2 s in the system (1 / (mu - lambda)), busy half of the time. 4,000
// requests; the standard error of the mean is about 2 s * sqrt(3 / 4000) * ... well below 0.2.
static const char MM1[] = "version = 1\n"
                          "name = \"mm1\"\n"
                          "[agents.q]\n"
                          "servers = 1\n"
                          "service = {dist = \"exponential\", mean = \"1s\"}\n"
                          "range = {\"servers\" = [1, 9], \"limit.value\" = [1, 50]}\n"
                          "[clients.load]\n"
                          "to = \"q\"\n"
                          "rate = 0.5\n"
                          "[objectives.load]\n"
                          "within = \"4s\"\n"
                          "goodput = 0.5\n";

static void test_one_queue(void **state)
{
    (void)state;
    Plant *plant = plant_of(system_of(arena, MM1), 7);
    PlantWindow w = window_until(plant, 8000 * S);
    const PlantClient *c = &w.clients[0];
    assert_true(c->offered > 3800 && c->offered < 4200);
    assert_true(hist_count_all(c->latency) == c->good + c->late + c->failed);
    assert_true(fabs(hist_mean(c->latency) / 1e9 - 2) < 0.3);
    assert_true(fabs(w.outcome->agents[0].utilisation.value - 0.5) < 0.05);
    // P(T > 4 s) = exp(-(mu - lambda) 4) = 0.135
    assert_true(fabs(w.outcome->clients[0].goodput.value - 0.865) < 0.03);
    plant_destroy(plant);
}

// Windows add up to what one long window says, and each histogram is of its window.
static void test_windows_add_up(void **state)
{
    (void)state;
    System *sys = system_of(arena, PIPELINE_TEXT);
    Plant *one = plant_of(sys, 3), *many = plant_of(sys, 3);
    PlantWindow whole = window_until(one, 100 * S);
    uint64_t offered = 0, ended = 0, arrivals = 0;
    for (int i = 1; i <= 10; i++) {
        PlantWindow w = window_until(many, i * 10 * S);
        offered += w.clients[0].offered;
        ended += hist_count_all(w.clients[0].latency);
        arrivals += w.agents[3].arrivals;
        assert_int_equal(w.from_ns, (i - 1) * 10 * S);
    }
    assert_int_equal(offered, whole.clients[0].offered);
    assert_int_equal(ended, hist_count_all(whole.clients[0].latency));
    assert_int_equal(arrivals, whole.agents[3].arrivals);
    plant_destroy(one);
    plant_destroy(many);
}

static void test_set_all_or_none(void **state)
{
    (void)state;
    System *sys = system_of(arena, PIPELINE_TEXT);
    Plant *plant = plant_of(sys, 3);
    Err e = {0};
    ParamValue old[3];
    SystemChange good[] = {change_of(sys, "a->b.retry.attempts=2"), change_of(sys, "d.servers=20")};
    assert_int_equal(plant_set(plant, good, 2, old, &e), 0);
    assert_int_equal(old[0].integer, 4);
    assert_int_equal(old[1].integer, 18);
    assert_int_equal(plant->sys->agents[3].servers, 20);
    // c has no policies of its own: the servers are put back.
    SystemChange bad[] = {change_of(sys, "d.servers=30"), change_of(sys, "a->b.retry.attempts=1"),
                          change_of(sys, "c.limit.value=5")};
    assert_int_equal(plant_set(plant, bad, 3, old, &e), ERR_UNSUPPORTED);
    assert_int_equal(plant->sys->agents[3].servers, 20);
    PlantWindow w = window_until(plant, 100 * S);
    assert_true(fabs(w.agents[3].servers - 20) < 1e-6);
    assert_true(plant_set(plant, good, PLANT_CHANGES_MAX + 1, NULL, &e) == ERR_LIMIT);
    plant_destroy(plant);
}

// What nobody answers is not forgotten: a stopped agent's callers are overdue.
static void test_overdue(void **state)
{
    (void)state;
    Buf text = buf_create(1 << 16);
    buf_puts(&text, MM1);
    buf_puts(&text, "[[faults]]\nat = \"0s\"\nfor = \"1000s\"\nagent = \"q\"\nstop = true\n");
    Plant *plant = plant_of(system_of(arena, text.data), 7);
    PlantWindow w = window_until(plant, 100 * S);
    assert_int_equal(hist_count_all(w.clients[0].latency), 0);
    // All that began at least 4 s and one bucket (0.5 s) ago.
    assert_true(w.clients[0].overdue >= w.clients[0].offered - 8);
    assert_true(w.clients[0].overdue <= w.clients[0].offered);
    assert_true(w.outcome->clients[0].goodput.value == 0);
    buf_done(&text);
    plant_destroy(plant);
}

static void test_topology(void **state)
{
    (void)state;
    System *sys = system_of(arena, PIPELINE_TEXT);
    Plant *plant = plant_of(sys, 3);
    Err e = {0};
    PlantTopology t;
    PlantWindow w = window_until(plant, 50 * S);
    assert_int_equal(plant_topology(plant, arena, &t, &e), 0);
    assert_int_equal(t.link_count, sys->edge_count);
    assert_int_equal(t.agent_count, 4);
    uint64_t to_c = 0, to_d = 0;
    for (size_t i = 0; i < t.link_count; i++) {
        to_c += slice_eq_cstr(t.links[i].to, "c") ? t.links[i].calls : 0;
        to_d += slice_eq_cstr(t.links[i].to, "d") ? t.links[i].calls : 0;
    }
    assert_int_equal(to_c, to_d);
    assert_int_equal(to_c, w.agents[1].arrivals);
    assert_int_equal(plant_topology(plant, arena, &t, &e), 0);
    assert_int_equal(t.link_count, 0); // nothing since
    plant_destroy(plant);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_queue),       cmocka_unit_test(test_windows_add_up),
        cmocka_unit_test(test_set_all_or_none), cmocka_unit_test(test_overdue),
        cmocka_unit_test(test_topology),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
