#include "manage/detect.h"

#include <math.h>

#include <string.h>

#include "base/rng.h"
#include "base/units.h"
#include "manage/manage_test.h"

static Arena *arena;
static System *sys;

static int set_up(void **state)
{
    (void)state;
    arena = arena_create(256 << 20);
    sys = system_of(arena, PIPELINE_TEXT);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

typedef struct Traffic {
    Hist hist[2];
    int64_t now_ns;
} Traffic;

// A window of `n` requests of each client, of which `bad` of the first are failed ones.
static PlantWindow window_of(Traffic *t, uint64_t n, uint64_t bad)
{
    int64_t from = t->now_ns;
    t->now_ns += 10 * NS_PER_SECOND;
    PlantWindow w = plant_window_create(arena, sys, from, t->now_ns);
    for (int i = 0; i < 2; i++) {
        uint64_t b = i == 0 ? bad : 0;
        hist_reset(&t->hist[i]);
        hist_record_n(&t->hist[i], NS_PER_SECOND, n - b);
        hist_record_infinite(&t->hist[i], b);
        w.clients[i] =
            (PlantClient){.offered = n, .good = n - b, .failed = b, .latency = &t->hist[i]};
    }
    plant_window_finish(arena, sys, &w, 0.9);
    return w;
}

static void traffic_init(Traffic *t)
{
    hist_init(&t->hist[0]);
    hist_init(&t->hist[1]);
    t->now_ns = 0;
}

static void traffic_done(Traffic *t)
{
    hist_done(&t->hist[0]);
    hist_done(&t->hist[1]);
}

// Bad requests of 100 in each window; the window (from 1) in which it must be violated, 0 never.
static void test_windows(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int bad[8];
        int violated_in;
    } ROWS[] = {
        {"nothing fails", {0, 0, 0, 0, 0, 0, 0, 0}, 0},
        {"one noisy window", {40, 0, 0, 0, 0, 0, 0, 0}, 0},
        {"all fails", {100, 100, 100, 100, 100, 100, 100, 100}, 2},
        {"a fifth fails", {20, 20, 20, 20, 20, 20, 20, 20}, 2},
        {"as promised", {1, 1, 1, 1, 1, 1, 1, 1}, 0},
        {"every other window", {50, 0, 50, 0, 50, 0, 50, 0}, 3},
    };
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        Traffic t;
        traffic_init(&t);
        Detect *d = detect_create(sys, &DETECT_DEFAULTS);
        int violated_in = 0;
        for (int k = 0; k < 8; k++) {
            PlantWindow w = window_of(&t, 100, (uint64_t)ROWS[i].bad[k]);
            DetectFound found;
            detect_window(d, &w, arena, &found);
            violated_in = violated_in == 0 && found.count > 0 ? k + 1 : violated_in;
        }
        detect_destroy(d);
        traffic_done(&t);
        if (violated_in != ROWS[i].violated_in) {
            fail_msg("%s: violated in window %d, not %d", ROWS[i].name, violated_in,
                     ROWS[i].violated_in);
        }
    }
}

static void test_what_it_says(void **state)
{
    (void)state;
    Traffic t;
    traffic_init(&t);
    Detect *d = detect_create(sys, &DETECT_DEFAULTS);
    DetectFound found = {0};
    for (int k = 0; k < 2; k++) {
        PlantWindow w = window_of(&t, 100, 30);
        detect_window(d, &w, arena, &found);
    }
    assert_int_equal(found.count, 2); // goodput and p99 of tasks; builds are well
    const Violation *v = &found.violations[0];
    assert_int_equal(v->measure, MEASURE_GOODPUT);
    assert_int_equal(v->client, 0);
    assert_true(fabs(v->value - 0.7) < 1e-9);
    assert_true(v->observed.low < 0.7 && 0.7 < v->observed.high && v->observed.high < 0.99);
    assert_int_equal(v->since_ns, 0);
    assert_int_equal(v->decided_ns, 20 * NS_PER_SECOND);
    assert_int_equal(found.begun, 3);
    assert_int_equal(found.violations[1].measure, MEASURE_P99);
    assert_true(isinf(found.violations[1].value));
    // Hysteresis: two good windows are not enough, three are.
    for (int k = 0; k < 3; k++) {
        PlantWindow w = window_of(&t, 100, 0);
        detect_window(d, &w, arena, &found);
        assert_int_equal(found.count, k < 2 ? 2 : 0);
        assert_int_equal(found.begun, 0);
    }
    assert_int_equal(found.cleared, 2);
    detect_destroy(d);
    traffic_done(&t);
}

// Violations that are none: a promise that is just kept (1 bad of 100 on average, requests
// independent), 200 systems of 60 windows. With confidence 0.999 of a test that may be looked at at
// any time, renewed at each suspicion (about every other window), 200 * 60 * 0.001 = 12 would be
// the bound of the union; half of it by chance is far too much already.
static void test_false_alarms(void **state)
{
    (void)state;
    int alarms = 0;
    for (uint64_t run = 0; run < 200; run++) {
        Traffic t;
        traffic_init(&t);
        Rng rng = rng_stream(11, SLICE("detect-test"), run);
        Detect *d = detect_create(sys, &DETECT_DEFAULTS);
        bool alarmed = false;
        for (int k = 0; k < 60; k++) {
            uint64_t bad = 0;
            for (int i = 0; i < 100; i++) {
                bad += rng_double(&rng) < 0.01;
            }
            PlantWindow w = window_of(&t, 100, bad);
            DetectFound found;
            detect_window(d, &w, arena, &found);
            alarmed = alarmed || found.count > 0;
        }
        alarms += alarmed;
        detect_destroy(d);
        traffic_done(&t);
        arena_reset(arena);
        sys = system_of(arena, PIPELINE_TEXT);
    }
    if (alarms > 12) {
        fail_msg("%d of 200 systems that keep their promise were said to break it", alarms);
    }
}

static void test_objectives_change(void **state)
{
    (void)state;
    Traffic t;
    traffic_init(&t);
    Detect *d = detect_create(sys, &DETECT_DEFAULTS);
    DetectFound found;
    for (int k = 0; k < 2; k++) {
        PlantWindow w = window_of(&t, 100, 30);
        detect_window(d, &w, arena, &found);
    }
    assert_int_equal(found.count, 2);
    System *looser = system_copy(arena, sys);
    looser->objectives = ARENA_ARRAY(arena, SystemObjective, 2);
    memcpy(looser->objectives, sys->objectives, 2 * sizeof(SystemObjective));
    looser->objectives[0].goodput = 0.5;
    detect_objectives(d, looser);
    PlantWindow w = window_of(&t, 100, 30);
    detect_window(d, &w, arena, &found);
    assert_int_equal(found.count, 1); // p99 is as it was
    assert_int_equal(found.violations[0].measure, MEASURE_P99);
    detect_forget(d);
    w = window_of(&t, 100, 0);
    detect_window(d, &w, arena, &found);
    assert_int_equal(found.count, 0);
    detect_destroy(d);
    traffic_done(&t);
}

static void test_guard(void **state)
{
    (void)state;
    static const struct {
        uint64_t bad;
        double promised; // goodput, low end
        bool contradicts;
    } ROWS[] = {
        {0, 0.99, false}, {3, 0.99, false}, {30, 0.99, true}, {30, 0.6, false}, {100, 0.6, true},
    };
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        Traffic t;
        traffic_init(&t);
        Outcome *promised = outcome_create(arena, sys);
        promised->clients[0].goodput = (Estimate){1, ROWS[i].promised, 1};
        promised->clients[1].goodput = (Estimate){1, 0.99, 1};
        PlantWindow w = window_of(&t, 100, ROWS[i].bad);
        Violation v = {0};
        DetectGuard guard = {.confidence = 0.9999};
        assert_int_equal(detect_contradicts(sys, promised, &w, &guard, &v), ROWS[i].contradicts);
        if (ROWS[i].contradicts) {
            assert_int_equal(v.client, 0);
        }
        traffic_done(&t);
    }
}

// The evidence against "misses one in ten" reaches a thousand to one sooner or later when three in
// ten miss, and (but for one run in a thousand) never when one in ten does.
static void test_drift(void **state)
{
    (void)state;
    static const struct {
        double misses;
        bool seen;
    } ROWS[] = {{0.1, false}, {0.3, true}, {1, true}};
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        DriftWatch watch = {.confidence = 0.9};
        Rng rng = rng_stream(3, SLICE("drift-test"), i);
        bool seen = false;
        for (int k = 0; k < 300 && !seen; k++) {
            seen = drift_seen(&watch, rng_double(&rng) >= ROWS[i].misses);
        }
        assert_int_equal(seen, ROWS[i].seen);
    }
}

static void test_structure(void **state)
{
    (void)state;
    PlantWindow w = plant_window_create(arena, sys, 0, 10 * NS_PER_SECOND);
    w.agents[0].arrivals = 100;
    w.agents[1].arrivals = 140;
    PlantLink links[] = {
        {SLICE_INIT("tasks"), SLICE_INIT("a"), 100}, {SLICE_INIT("a"), SLICE_INIT("b"), 300},
        {SLICE_INIT("b"), SLICE_INIT("c"), 140},     {SLICE_INIT("b"), SLICE_INIT("e"), 50},
        {SLICE_INIT("b"), SLICE_INIT("f"), 3},
    };
    PlantTopology topology = {.links = links, .link_count = COUNT_OF(links)};
    StructureChange *changes;
    size_t count = detect_structure(sys, &topology, &w, &DETECT_DEFAULTS, arena, &changes);
    assert_int_equal(count, 3);
    assert_int_equal(changes[0].kind, STRUCTURE_VISITS); // a calls b three times now
    assert_true(changes[0].observed.low < 3 && 3 < changes[0].observed.high);
    assert_int_equal(changes[1].kind, STRUCTURE_EDGE_GONE); // nobody calls d
    assert_true(slice_eq_cstr(changes[1].to, "d"));
    assert_int_equal(changes[2].kind, STRUCTURE_EDGE_NEW); // e; three calls of f are too few
    assert_true(slice_eq_cstr(changes[2].to, "e"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows),      cmocka_unit_test(test_what_it_says),
        cmocka_unit_test(test_false_alarms), cmocka_unit_test(test_objectives_change),
        cmocka_unit_test(test_guard),        cmocka_unit_test(test_drift),
        cmocka_unit_test(test_structure),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
