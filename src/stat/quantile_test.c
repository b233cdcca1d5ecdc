#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/rng.h"
#include "stat/quantile.h"
#include "stat/sample.h"

// The known smallest sample sizes for a 95 % interval (Wilks 1941; Hahn & Meeker, "Statistical
// Intervals", table J.11 gives 59 and 299 for 95/95 and 99/95).
static void test_minimal_n(void **state)
{
    (void)state;
    static const struct {
        double q;
        uint64_t n;
    } rows[] = {{0.5, 6},      {0.9, 29}, {0.95, 59}, {0.99, 299},
                {0.999, 2995}, {0.1, 29}, {0.01, 299}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(quantile_min_n(rows[i].q, 0.95), rows[i].n);
        QuantileRanks enough = quantile_ranks(rows[i].n, rows[i].q, 0.95);
        assert_true(enough.low >= 1 && enough.high <= rows[i].n);
        assert_true(enough.confidence >= 0.95);
        QuantileRanks few = quantile_ranks(rows[i].n - 1, rows[i].q, 0.95);
        assert_true(few.low == 0 || few.high == rows[i].n);
        assert_true(few.confidence >= 0.95);
    }
}

// Ranks and coverage from SciPy 1.17.1 scipy.stats.binom (cdf and sf searched for equal tails);
// n = 100 is also the textbook pair 40 and 61.
static void test_equal_tailed_ranks(void **state)
{
    (void)state;
    static const struct {
        uint64_t n;
        double q;
        uint64_t low;
        uint64_t high;
        double confidence;
    } rows[] = {
        {100, 0.5, 40, 61, 0.9647997997822952},
        {1000, 0.99, 983, 997, 0.976094763497977},
        {5000, 0.95, 4719, 4781, 0.9557915839173162},
        {30000, 0.999, 29959, 29981, 0.9561247534641271},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        QuantileRanks r = quantile_ranks(rows[i].n, rows[i].q, 0.95);
        assert_int_equal(r.low, rows[i].low);
        assert_int_equal(r.high, rows[i].high);
        assert_true(fabs(r.confidence - rows[i].confidence) < 1e-10);
    }
}

static void test_samples_and_histogram_agree(void **state)
{
    (void)state;
    enum { N = 1000 };
    static double x[N];
    Hist h;
    hist_init(&h);
    Rng rng = rng_stream(3, SLICE("quantile-test"), 0);
    for (int i = 0; i < N; i++) {
        x[i] = floor(rng_lognormal(&rng, 16, 0.5));
        hist_record(&h, (int64_t)x[i]);
    }
    sample_sort(x, N);
    Interval from_samples = quantile_interval(x, N, 0.99, 0.95);
    Interval from_hist = quantile_hist_interval(&h, &(QuantileAsk){.q = 0.99, .confidence = 0.95});
    assert_true(from_hist.low <= from_samples.low && from_hist.low > from_samples.low * 0.992);
    assert_true(from_hist.high >= from_samples.high && from_hist.high < from_samples.high * 1.008);
    // A tenth of the effective size: wider on both sides, and at 250 no upper end is left.
    Interval tenth = quantile_hist_interval(
        &h, &(QuantileAsk){.q = 0.95, .confidence = 0.95, .n_effective = 100});
    Interval full = quantile_hist_interval(&h, &(QuantileAsk){.q = 0.95, .confidence = 0.95});
    assert_true(tenth.low < full.low && tenth.high > full.high && isfinite(tenth.high));
    Interval open = quantile_hist_interval(
        &h, &(QuantileAsk){.q = 0.99, .confidence = 0.95, .n_effective = 250});
    assert_true(isinf(open.high) && isfinite(open.low));
    // Two per cent of failures push the upper end of p99 to infinity.
    hist_record_infinite(&h, N / 50);
    QuantileAsk failing = {.q = 0.99, .confidence = 0.95, .with_infinite = true};
    assert_true(isinf(quantile_hist_interval(&h, &failing).high));
    assert_true(isinf(quantile_hist_interval(&h, &failing).low));
    failing.q = 0.5;
    assert_true(isfinite(quantile_hist_interval(&h, &failing).high));
    hist_done(&h);
}

static void test_nothing_recorded(void **state)
{
    (void)state;
    Hist h;
    hist_init(&h);
    Interval i = quantile_hist_interval(&h, &(QuantileAsk){.q = 0.5, .confidence = 0.95});
    assert_true(isinf(i.low) && isinf(i.high) && i.low < 0);
    hist_done(&h);
}

// Coverage of the p90 interval over 2000 seeded samples of 100: at least 95 % by construction, so
// below 94 % (two standard errors) something is wrong.
static void test_coverage(void **state)
{
    (void)state;
    enum { TRIALS = 2000, N = 100 };
    double x[N];
    int hits = 0;
    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        Rng rng = rng_stream(11, SLICE("quantile-coverage"), trial);
        for (int i = 0; i < N; i++) {
            x[i] = rng_exponential(&rng, 1);
        }
        sample_sort(x, N);
        hits += interval_contains(quantile_interval(x, N, 0.9, 0.95), log(10));
    }
    assert_true(hits >= TRIALS * 94 / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_minimal_n),
        cmocka_unit_test(test_equal_tailed_ranks),
        cmocka_unit_test(test_samples_and_histogram_agree),
        cmocka_unit_test(test_nothing_recorded),
        cmocka_unit_test(test_coverage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
