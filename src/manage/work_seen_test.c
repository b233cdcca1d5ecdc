#include "manage/work_seen.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/rng.h"

enum { ARENA_BYTES = 16 << 20 };

typedef struct Window {
    PlantAgent agent;
    Hist whole, cut;
} Window;

static void window_init(Window *w)
{
    hist_init(&w->whole);
    hist_init(&w->cut);
    w->agent = (PlantAgent){.service = &w->whole, .cut = &w->cut};
}

static void window_done(Window *w)
{
    hist_done(&w->whole);
    hist_done(&w->cut);
}

// `count` requests whose callers give up after an exponential time of mean `patience_ns`; 0: never.
static void fill(Window *w, const Dist *work, double patience_ns, int count, Rng *r)
{
    hist_reset(&w->whole);
    hist_reset(&w->cut);
    for (int i = 0; i < count; i++) {
        int64_t ns = dist_sample(work, rng_double(r));
        int64_t leaves = patience_ns > 0 ? (int64_t)rng_exponential(r, patience_ns) : INT64_MAX;
        hist_record(ns <= leaves ? &w->whole : &w->cut, ns <= leaves ? ns : leaves);
    }
}

// Half of the requests are cut off by their callers. What ended has a mean of half a second, and
// yet the work takes one: exponential work and patience of mean 1 s leave an exponential of mean
// 0.5 s among those that end (their minimum), while the hazard of work stays 1 a second.
static void test_those_who_left_count(void **unused)
{
    (void)unused;
    Arena *arena = arena_create(ARENA_BYTES);
    Dist one = dist_exponential(1e9), half = dist_exponential(0.5e9);
    Rng r = rng_stream(1, SLICE("work"), 0);
    WorkSeen seen;
    Window w;
    work_seen_init(&seen);
    window_init(&w);
    fill(&w, &one, 1e9, 20000, &r);
    work_seen_add(&seen, &w.agent);
    assert_true(fabs(hist_mean(&w.whole) - 0.5e9) < 0.02e9);
    assert_false(work_contradicts(&seen, &one));
    assert_true(work_contradicts(&seen, &half));
    Dist found = work_refit(arena, &seen, &one);
    // Greenwood's deviation of the estimator at the median is below 2 % of the share here.
    for (double p = 0.1; p < 0.95; p += 0.1) {
        assert_true(fabs(dist_cdf(&one, dist_quantile(&found, p)) - p) < 0.03);
    }
    work_seen_done(&seen);
    window_done(&w);
    arena_destroy(arena);
}

// What an agent says truly is contradicted in none of 200 runs of windows (each of six tests has
// four deviations, so about one run in a thousand is expected to be), and a tail that comes or goes
// is found though the mean stays.
static void test_truth_and_change(void **unused)
{
    (void)unused;
    Dist plain = dist_lognormal(0.9e9, 0.25);
    DistPart parts[] = {{0.92, dist_lognormal(0.5e9, 0.25)}, {0.08, dist_pareto(2e9, 1.5, 60e9)}};
    Dist tailed = dist_mixture(parts, 2);
    const struct {
        const Dist *true_one, *said;
        bool contradicted;
    } cases[] = {{&plain, &plain, false},
                 {&tailed, &tailed, false},
                 {&tailed, &plain, true},
                 {&plain, &tailed, true}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int found = 0;
        for (uint64_t seed = 0; seed < 200; seed++) {
            Rng r = rng_stream(seed, SLICE("drift"), i);
            WorkSeen seen;
            Window w;
            work_seen_init(&seen);
            window_init(&w);
            for (int k = 0; k < 3; k++) {
                fill(&w, cases[i].true_one, 0, 160, &r);
                work_seen_add(&seen, &w.agent);
            }
            found += work_contradicts(&seen, cases[i].said);
            work_seen_done(&seen);
            window_done(&w);
        }
        assert_in_range(found, cases[i].contradicted ? 198 : 0, cases[i].contradicted ? 200 : 2);
    }
}

// Old windows are forgotten, and too few requests say nothing.
static void test_what_counts(void **unused)
{
    (void)unused;
    Dist fixed = dist_fixed(1e9), other = dist_fixed(3e9);
    Rng r = rng_stream(1, SLICE("work"), 0);
    WorkSeen seen;
    Window w;
    work_seen_init(&seen);
    window_init(&w);
    fill(&w, &other, 0, WORK_ENOUGH - 1, &r);
    work_seen_add(&seen, &w.agent);
    assert_false(work_contradicts(&seen, &fixed));
    fill(&w, &other, 0, 1, &r);
    work_seen_add(&seen, &w.agent);
    assert_true(work_contradicts(&seen, &fixed));
    fill(&w, &fixed, 0, 100, &r);
    for (int i = 0; i < 2 * WORK_WINDOWS; i++) {
        work_seen_add(&seen, &w.agent);
    }
    assert_false(work_contradicts(&seen, &fixed));
    assert_in_range(work_seen_count(&seen), 100 * WORK_WINDOWS, 200 * WORK_WINDOWS);
    work_seen_reset(&seen);
    assert_int_equal(work_seen_count(&seen), 0);
    work_seen_add(&seen, &(PlantAgent){.served = 5}); // a plant that does not know
    assert_int_equal(work_seen_count(&seen), 0);
    work_seen_done(&seen);
    window_done(&w);
}

// Everybody leaves after 0.4 s: the tail beyond stays what the agent said.
static void test_what_nobody_saw_stays(void **unused)
{
    (void)unused;
    Arena *arena = arena_create(ARENA_BYTES);
    DistPart parts[] = {{0.92, dist_lognormal(0.15e9, 0.3)}, {0.08, dist_pareto(2e9, 1.5, 60e9)}};
    Dist said = dist_mixture(parts, 2);
    Rng r = rng_stream(1, SLICE("work"), 0);
    WorkSeen seen;
    Window w;
    work_seen_init(&seen);
    window_init(&w);
    for (int i = 0; i < 2000; i++) {
        int64_t ns = dist_sample(&said, rng_double(&r));
        hist_record(ns <= 400000000 ? &w.whole : &w.cut, ns <= 400000000 ? ns : 400000000);
    }
    work_seen_add(&seen, &w.agent);
    assert_false(work_contradicts(&seen, &said));
    Dist found = work_refit(arena, &seen, &said);
    assert_true(fabs(dist_quantile(&found, 0.99) / dist_quantile(&said, 0.99) - 1) < 0.35);
    assert_true(fabs(dist_quantile(&found, 0.5) / dist_quantile(&said, 0.5) - 1) < 0.05);
    work_seen_done(&seen);
    window_done(&w);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_those_who_left_count),
        cmocka_unit_test(test_truth_and_change),
        cmocka_unit_test(test_what_counts),
        cmocka_unit_test(test_what_nobody_saw_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
