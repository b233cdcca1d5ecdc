#include "judge/compare.h"

#include "judge/sim_test.h"

enum { ENDPOINTS = 3, RUNS_MAX = 5 };

static const SimEndpoint BASE[ENDPOINTS] = {
    {"list", 10, 0.5, 0}, {"search", 30, 0.5, 0}, {"buy", 60, 0.5, 0}};

typedef struct Case {
    Arena *arena;
    RunData *baseline[RUNS_MAX];
    RunData *candidate[RUNS_MAX];
    size_t runs;
    ChangeSet set;
} Case;

// `slow` multiplies the times of the endpoint "search".
static Case make_case(size_t runs, double slow, double failed, double run_sd, uint64_t seed)
{
    Case c = {.arena = arena_create(256 << 20), .runs = runs};
    SimEndpoint changed[ENDPOINTS] = {BASE[0], BASE[1], BASE[2]};
    changed[1].median_ms *= slow;
    changed[1].failed = failed;
    SimSpec spec = {.seed = seed, .seconds = 10, .rate = 100, .run_sd = run_sd, .endpoints = BASE};
    spec.count = ENDPOINTS;
    SimSpec other = spec;
    other.endpoints = changed;
    for (size_t i = 0; i < runs; i++) {
        c.baseline[i] = sim_run(c.arena, &spec, i);
        c.candidate[i] = sim_run(c.arena, &other, 100 + i);
    }
    return c;
}

static ChangeSet compare_case(Case *c)
{
    return compare_runs(c->arena, (const RunData *const *)c->baseline, c->runs,
                        (const RunData *const *)c->candidate, c->runs, NULL);
}

static void done_case(Case *c)
{
    for (size_t i = 0; i < c->runs; i++) {
        sim_done(c->baseline[i]);
        sim_done(c->candidate[i]);
    }
    arena_destroy(c->arena);
}

static const ChangeVerdict *row(const ChangeSet *set, const char *endpoint, ChangeMeasure m)
{
    for (size_t i = 0; i < set->count; i++) {
        if (slice_eq_cstr(set->changes[i].endpoint, endpoint) && set->changes[i].measure == m) {
            return &set->changes[i];
        }
    }
    fail_msg("no row for %s", endpoint);
    return NULL;
}

static void test_names_the_slower_endpoint(void **state)
{
    (void)state;
    Case c = make_case(3, 1.3, 0, 0.01, 1);
    ChangeSet set = compare_case(&c);
    assert_int_equal(set.not_comparable.len, 0);
    assert_int_equal(set.count, (ENDPOINTS + 1) * MEASURE_COUNT);
    const ChangeVerdict *v = row(&set, "search", MEASURE_P95);
    assert_int_equal(v->value, CHANGE_SLOWER);
    assert_true(v->decides && !v->single_run);
    assert_true(fabs(v->ratio - 1.3) < 0.12);
    assert_true(interval_contains(v->interval, v->ratio));
    assert_true(v->p_adjusted >= v->p && v->p_adjusted < 0.05);
    assert_int_equal(row(&set, "list", MEASURE_P95)->value, CHANGE_NO_DIFFERENCE_SHOWN);
    assert_true(slice_eq(set.culprit, SLICE("search")));
    assert_true(set.culprit_share > 0.8 && set.culprit_share <= 1);
    assert_false(row(&set, "", MEASURE_P95)->decides);
    done_case(&c);
}

static void test_faster_and_equivalent(void **state)
{
    (void)state;
    Case c = make_case(5, 0.7, 0, 0.005, 2);
    ChangeSet set = compare_case(&c);
    assert_int_equal(row(&set, "search", MEASURE_P95)->value, CHANGE_FASTER);
    assert_true(slice_eq(set.culprit, SLICE("search")));
    const ChangeVerdict *p50 = row(&set, "list", MEASURE_P50);
    assert_int_equal(p50->value, CHANGE_NO_DIFFERENCE_SHOWN);
    assert_true(p50->equivalent);
    done_case(&c);
}

static void test_single_run_says_so(void **state)
{
    (void)state;
    Case c = make_case(1, 1.5, 0, 0, 3);
    ChangeSet set = compare_case(&c);
    const ChangeVerdict *v = row(&set, "search", MEASURE_P95);
    assert_int_equal(v->value, CHANGE_SLOWER);
    assert_true(v->single_run && !v->equivalent);
    assert_true(slice_find(v->method, SLICE("single run")) >= 0);
    assert_true(slice_find(v->reason, SLICE("single run")) >= 0);
    assert_true(v->margin == 0.10);
    assert_true(set.warning_count > 0);
    done_case(&c);
}

static void test_errors_that_rose(void **state)
{
    (void)state;
    Case c = make_case(3, 1, 0.10, 0.005, 4);
    ChangeSet set = compare_case(&c);
    const ChangeVerdict *v = row(&set, "search", MEASURE_ERROR_RATE);
    assert_int_equal(v->value, CHANGE_SLOWER);
    assert_true(v->decides);
    assert_true(fabs(v->difference - 0.10) < 0.03);
    assert_true(slice_eq(change_words(c.arena, v), SLICE("more errors")));
    assert_int_equal(row(&set, "list", MEASURE_ERROR_RATE)->value, CHANGE_NO_DIFFERENCE_SHOWN);
    // Failures take half a millisecond; they do not make the endpoint faster.
    assert_int_equal(row(&set, "search", MEASURE_P50)->value, CHANGE_NO_DIFFERENCE_SHOWN);
    done_case(&c);
}

static void test_what_may_not_be_compared(void **state)
{
    (void)state;
    Case c = make_case(2, 1, 0, 0, 5);
    c.baseline[0]->end.status = RUN_INVALID;
    c.baseline[0]->end.reason = SLICE("steal time 40 %");
    ChangeSet set = compare_case(&c);
    assert_int_equal(set.baseline_runs, 1);
    assert_true(slice_find(set.warnings[0], SLICE("steal time 40 %")) >= 0);

    c.baseline[1]->end.status = RUN_PARTIAL;
    set = compare_case(&c);
    assert_true(slice_find(set.not_comparable, SLICE("no baseline run")) >= 0);
    assert_int_equal(set.count, 0);

    c.baseline[0]->end.status = c.baseline[1]->end.status = RUN_COMPLETE;
    c.candidate[0]->info.load_scale = c.candidate[1]->info.load_scale = 0.5;
    set = compare_case(&c);
    assert_true(set.not_comparable.len > 0); // reduced load is never compared with full
    c.baseline[1]->info.load_scale = 0.5;
    set = compare_case(&c);
    assert_int_equal(set.baseline_runs, 1); // but with equally reduced load it is
    assert_int_equal(set.candidate_runs, 2);
    done_case(&c);
}

static void test_different_plans(void **state)
{
    (void)state;
    Case c = make_case(1, 1, 0, 0, 6);
    c.candidate[0]->info.plan_sha256 = SLICE("other");
    ChangeSet set = compare_case(&c);
    assert_int_equal(set.not_comparable.len, 0); // same endpoints, same load
    assert_true(set.warning_count > 0);
    c.candidate[0]->interval_count *= 2; // half the load
    set = compare_case(&c);
    assert_true(slice_find(set.not_comparable, SLICE("so does the load")) >= 0);
    c.candidate[0]->interval_count /= 2;
    done_case(&c);
}

static void test_equal_seed_equal_verdict(void **state)
{
    (void)state;
    Case c = make_case(1, 1.1, 0, 0, 7);
    ChangeSet a = compare_case(&c);
    ChangeSet b = compare_case(&c);
    assert_true(row(&a, "search", MEASURE_P95)->p == row(&b, "search", MEASURE_P95)->p);
    done_case(&c);
}

static void test_empty_runs(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    RunData empty = {.end.status = RUN_COMPLETE};
    const RunData *runs[] = {&empty};
    ChangeSet set = compare_runs(arena, runs, 1, runs, 1, NULL);
    for (size_t i = 0; i < set.count; i++) {
        assert_int_equal(set.changes[i].value, CHANGE_NOT_COMPARABLE);
    }
    set = compare_runs(arena, runs, 0, runs, 1, NULL);
    assert_true(set.not_comparable.len > 0);
    arena_destroy(arena);
}

static size_t alarms(size_t runs, double slow, double run_sd, size_t repeats)
{
    size_t n = 0;
    for (uint64_t i = 0; i < repeats; i++) {
        Case c = make_case(runs, slow, 0, run_sd, 1000 + i);
        ChangeSet set = compare_case(&c);
        bool alarm = false;
        for (size_t k = 0; k < set.count; k++) {
            alarm = alarm || (set.changes[k].decides && set.changes[k].value == CHANGE_SLOWER);
        }
        n += alarm;
        done_case(&c);
    }
    return n;
}

// The gate's own error rates, loosely bounded; docs/internals/compare.md has the measured ones.
static void test_false_alarms_and_power(void **state)
{
    (void)state;
    assert_true(alarms(3, 1, 0.02, 60) <= 7);
    assert_true(alarms(1, 1, 0.02, 40) <= 5);
    assert_true(alarms(3, 1.2, 0.01, 30) >= 27);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_the_slower_endpoint),
        cmocka_unit_test(test_faster_and_equivalent),
        cmocka_unit_test(test_single_run_says_so),
        cmocka_unit_test(test_errors_that_rose),
        cmocka_unit_test(test_what_may_not_be_compared),
        cmocka_unit_test(test_different_plans),
        cmocka_unit_test(test_equal_seed_equal_verdict),
        cmocka_unit_test(test_empty_runs),
        cmocka_unit_test(test_false_alarms_and_power),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
