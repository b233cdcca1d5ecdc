#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/attr.h"
#include "base/rng.h"
#include "model/drift.h"

// Park and Miller's generator, the same in any language.
static double uniform(uint64_t *state)
{
    *state = *state * 16807 % 2147483647;
    return (double)*state / 2147483647.0;
}

// river 0.26.1: ADWIN(delta, clock=1, min_window_length=1, grace_period=4) over the generator above
// from 1: uniform over 0..1 for `before` values, over low..high then; where it first detects, and
// the width that it keeps.
static void test_adwin_as_river(void **state)
{
    (void)state;
    static const struct {
        double delta;
        int before;
        double low, high;
        int at, width;
    } rows[] = {
        {0.002, 2000, 0.3, 1, 2128, 1617}, {0.002, 2000, 0, 0.3, 2036, 245},
        {0.05, 500, 0.1, 1, 1826, 1571},   {0.3, 3000, 0.05, 1, 3573, 3062},
        {0.002, 100, 0.5, 1, 246, 215},    {0.01, 7000, 0.2, 0.8, -1, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        Adwin a;
        uint64_t random = 1;
        int at = -1;
        adwin_init(&a, rows[i].delta);
        for (int k = 0; k < 20000 && at < 0; k++) {
            double x = uniform(&random);
            x = k >= rows[i].before ? rows[i].low + (rows[i].high - rows[i].low) * x : x;
            at = adwin_tell(&a, x) ? k : -1;
        }
        assert_int_equal(at, rows[i].at);
        if (at >= 0) {
            assert_int_equal(a.width, rows[i].width);
        }
    }
}

// Theorem 3.1 (false negatives): where the means differ by twice the cut of the split at the
// change, the window is within the newer part with probability 1 - delta. Fifty changes at delta
// 0.01: four misses or more have probability 0.0016.
static void test_adwin_sees_what_the_theorem_says(void **state)
{
    (void)state;
    int missed = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        Adwin a;
        Rng rng = rng_stream(seed, SLICE("test"), 0);
        adwin_init(&a, 0.01);
        for (int i = 0; i < 500; i++) {
            (void)adwin_tell(&a, 0.6 * rng_double(&rng));
        }
        int more = 0;
        bool bound = false;
        while (!bound) {
            (void)adwin_tell(&a, 0.4 + 0.6 * rng_double(&rng));
            more++;
            double n = 500 + more, m = 1 / (1 / 500.0 + 1.0 / more),
                   log_term = log(2 * log(n) / 0.01);
            double share = more / n, variance = 0.03 + share * (1 - share) * 0.16;
            bound = 0.4 > 2 * (sqrt(2 / m * variance * log_term) + 2 / (3 * m) * log_term);
        }
        missed += a.width > (uint64_t)(more + (500 + more) / ADWIN_BUCKETS);
    }
    assert_true(missed < 4);
}

// False alarms: of 20 * 2000 steps over values without a change each shrinks with probability delta
// at most, by the theorem; that would be 80 at delta 0.002. It is a union bound, and in practice
// there are next to none.
static void test_adwin_rests(void **state)
{
    (void)state;
    int alarms = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        Adwin a;
        Rng rng = rng_stream(seed, SLICE("test"), 0);
        adwin_init(&a, 0.002);
        for (int i = 0; i < 2000; i++) {
            alarms += adwin_tell(&a, rng_double(&rng));
        }
    }
    assert_true(alarms <= 80);
}

// The sums over buckets are those of the values, through dropping and merging.
static void test_adwin_sums(void **state)
{
    (void)state;
    static double values[3000];
    Adwin a;
    Rng rng = rng_stream(1, SLICE("test"), 0);
    adwin_init(&a, 0.002);
    for (int i = 0; i < 3000; i++) {
        values[i] = i / 700 % 2 ? rng_double(&rng) : 0.4 * rng_double(&rng);
        (void)adwin_tell(&a, values[i]);
        double sum = 0, squares = 0;
        for (uint64_t k = 0; k < a.width; k++) {
            sum += values[i - (int)k];
        }
        for (uint64_t k = 0; k < a.width && i % 100 == 0; k++) {
            double off = values[i - (int)k] - sum / (double)a.width;
            squares += off * off;
        }
        assert_true(fabs(sum - a.sum) < 1e-9);
        assert_true(i % 100 || fabs(squares - a.squares) < 1e-7);
    }
    assert_true(a.width < 1000);
}

static void test_adwin_takes_anything(void **state)
{
    (void)state;
    Adwin a;
    adwin_init(&a, 0.002);
    assert_true(isnan(adwin_mean(&a)));
    (void)adwin_tell(&a, NAN);
    (void)adwin_tell(&a, -INFINITY);
    (void)adwin_tell(&a, INFINITY);
    assert_true(a.width == 3 && a.sum == 1);
}

// The last row is where the window ends: what would be 2^24 values and more.
static void test_adwin_ends(void **state)
{
    (void)state;
    Adwin a;
    adwin_init(&a, 0.002);
    a.counts[ADWIN_ROWS - 1] = ADWIN_BUCKETS;
    for (int r = 0; r < ADWIN_ROWS - 1; r++) {
        a.counts[r] = ADWIN_BUCKETS;
    }
    for (int r = 0; r < ADWIN_ROWS; r++) {
        for (int i = 0; i < a.counts[r]; i++) {
            a.rows[r][i].sum = ldexp(0.5, r);
            a.sum += ldexp(0.5, r);
            a.width += UINT64_C(1) << r;
        }
    }
    uint64_t before = a.width;
    assert_false(adwin_tell(&a, 0.5));
    assert_true(a.width == before + 1 - (UINT64_C(1) << (ADWIN_ROWS - 1)));
    assert_int_equal(a.counts[ADWIN_ROWS - 1], ADWIN_BUCKETS);
    assert_true(adwin_mean(&a) == 0.5);
}

static void test_page_hinkley(void **state)
{
    (void)state;
    PageHinkley p;
    Rng rng = rng_stream(1, SLICE("test"), 0);
    page_hinkley_init(&p, 0.25, 30);
    for (int i = 0; i < 1000; i++) {
        assert_false(page_hinkley_tell(&p, rng_normal(&rng, 5, 1)));
    }
    // A step of two deviations gains at least 2 - 0.25 less what the mean follows: 30 is passed
    // after some 20 values, up as down.
    for (int sign = -1; sign <= 1; sign += 2) {
        page_hinkley_init(&p, 0.25, 30);
        for (int i = 0; i < 1000; i++) {
            (void)page_hinkley_tell(&p, rng_normal(&rng, 5, 1));
        }
        int steps = 0;
        while (!page_hinkley_tell(&p, rng_normal(&rng, 5 + 2 * sign, 1))) {
            steps++;
        }
        assert_true(steps > 5 && steps < 60);
    }
}

typedef double NextResidual(Rng *r);
static double same(Rng *r)
{
    return rng_lognormal(r, 0, 1) - rng_lognormal(r, 0, 1);
}
static double biased(Rng *r)
{
    return same(r) + 1.5;
}
static double spread(Rng *r)
{
    return 4 * same(r);
}
static double broken(Rng *r)
{
    (void)r;
    return NAN;
}

// Residuals with a heavy tail, as latencies have them.
static void test_monitor(void **state)
{
    (void)state;
    static const struct {
        NextResidual *next;
        DriftKind kind;
    } rows[] = {
        {same, DRIFT_NONE}, {biased, DRIFT_BIAS}, {spread, DRIFT_SPREAD}, {broken, DRIFT_BIAS}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        double fit[200];
        static DriftMonitor m;
        Rng rng = rng_stream(7, SLICE("test"), i);
        for (size_t k = 0; k < COUNT_OF(fit); k++) {
            fit[k] = same(&rng);
        }
        drift_init(&m, fit, COUNT_OF(fit), 0.002);
        assert_int_equal(drift_window(&m), COUNT_OF(fit));
        DriftKind kind = DRIFT_NONE;
        int steps = 0;
        for (; kind == DRIFT_NONE && steps < 300; steps++) {
            kind = drift_tell(&m, rows[i].next(&rng));
        }
        assert_int_equal(kind, rows[i].kind);
        assert_int_equal(m.told, steps);
        if (kind != DRIFT_NONE) {
            assert_true(drift_window(&m) < COUNT_OF(fit) + (uint64_t)steps);
        }
    }
}

static void test_monitor_keeps_the_newest(void **state)
{
    (void)state;
    double fit[DRIFT_RESIDUALS_MAX + 1];
    static DriftMonitor m;
    for (int i = 0; i <= DRIFT_RESIDUALS_MAX; i++) {
        fit[i] = i == 0 ? 1e9 : i % 7;
    }
    drift_init(&m, fit, DRIFT_RESIDUALS_MAX + 1, 0.002);
    assert_int_equal(m.known, DRIFT_RESIDUALS_MAX);
    assert_true(m.signed_sorted[DRIFT_RESIDUALS_MAX - 1] == 6);
    drift_init(&m, fit, 0, 0.002);
    assert_int_equal(drift_tell(&m, 1), DRIFT_NONE);
}

static void test_refit(void **state)
{
    (void)state;
    static const struct {
        RefitFacts facts;
        RefitAdvice advice;
    } rows[] = {
        {{.inputs = 4, .rows_fitted = 100, .rows_now = 100}, {REFIT_NONE, 0}},
        {{.inputs = 4, .rows_fitted = 100, .rows_now = 149}, {REFIT_NONE, 0}},
        {{.inputs = 4, .rows_fitted = 100, .rows_now = 150}, {REFIT_GROWTH, 150}},
        // A first fit, as soon as there are enough rows.
        {{.inputs = 4, .rows_now = 19}, {REFIT_NONE, 0}},
        {{.inputs = 4, .rows_now = 20}, {REFIT_GROWTH, 20}},
        {{.inputs = 9, .rows_now = 29}, {REFIT_NONE, 0}},
        {{.inputs = 9, .rows_now = 30}, {REFIT_GROWTH, 30}},
        {{.inputs = 4, .rows_fitted = 100, .rows_now = 130, .drifted = true, .window = 19},
         {REFIT_NONE, 0}},
        {{.inputs = 4, .rows_fitted = 100, .rows_now = 130, .drifted = true, .window = 20},
         {REFIT_DRIFT, 20}},
        {{.inputs = 4, .rows_fitted = 100, .rows_now = 30, .drifted = true, .window = 99},
         {REFIT_DRIFT, 30}},
        // SciPy 1.17.1: binom.sf(9, 30, .1) = 0.00045, binom.sf(8, 30, .1) = 0.0020.
        {{.inputs = 4,
          .rows_fitted = 100,
          .rows_now = 130,
          .told = 30,
          .missed = 10,
          .confidence = 0.9},
         {REFIT_COVERAGE, 130}},
        {{.inputs = 4,
          .rows_fitted = 100,
          .rows_now = 130,
          .told = 30,
          .missed = 9,
          .confidence = 0.9},
         {REFIT_NONE, 0}},
        {{.inputs = 4, .rows_fitted = 100, .rows_now = 130, .asked = 20, .outside = 2},
         {REFIT_REGION, 130}},
        {{.inputs = 4, .rows_fitted = 100, .rows_now = 130, .asked = 19, .outside = 9},
         {REFIT_NONE, 0}},
        {{.inputs = 4, .rows_fitted = 100, .rows_now = 100, .asked = 20, .outside = 20},
         {REFIT_NONE, 0}},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        RefitAdvice got = refit_advise(&rows[i].facts);
        if (got.reason != rows[i].advice.reason || got.rows != rows[i].advice.rows) {
            fail_msg("row %zu: %s, %zu rows", i, REFIT_REASON_NAMES[got.reason], got.rows);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adwin_as_river),
        cmocka_unit_test(test_adwin_sees_what_the_theorem_says),
        cmocka_unit_test(test_adwin_rests),
        cmocka_unit_test(test_adwin_sums),
        cmocka_unit_test(test_adwin_takes_anything),
        cmocka_unit_test(test_adwin_ends),
        cmocka_unit_test(test_page_hinkley),
        cmocka_unit_test(test_monitor),
        cmocka_unit_test(test_monitor_keeps_the_newest),
        cmocka_unit_test(test_refit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
