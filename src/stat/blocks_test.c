// Ground truth: large-sample theory. The standard error of a sample quantile of independent values
// is sqrt(q (1 - q) / n) / f(x_q) (Cramer 1946, section 28.5); correlated values must show more.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "stat/blocks.h"
#include "stat/dist.h"

enum { SECONDS = 200, PER_SECOND = 100 };

static Hist store[SECONDS];
static const Hist *seconds[SECONDS];

// Lognormal latencies in nanoseconds around 20 ms, sigma 0.5; `common` is the sigma of a factor
// shared by all requests of ten seconds.
static void make_run(uint64_t seed, double scale, double common)
{
    Rng rng = rng_stream(seed, SLICE("blocks-test"), 0);
    double shared = 0;
    for (int s = 0; s < SECONDS; s++) {
        hist_reset(&store[s]);
        shared = s % 10 == 0 ? rng_normal(&rng, 0, common) : shared;
        for (int i = 0; i < PER_SECOND; i++) {
            double x = rng_lognormal(&rng, log(20e6 * scale) + shared, 0.5);
            hist_record(&store[s], (int64_t)x);
        }
        seconds[s] = &store[s];
    }
}

static int setup(void **state)
{
    (void)state;
    for (int s = 0; s < SECONDS; s++) {
        hist_init(&store[s]);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int s = 0; s < SECONDS; s++) {
        hist_done(&store[s]);
    }
    return 0;
}

static const BlockAsk ask = {.q = {0.5, 0.95}, .n_q = 2};

static void quantiles(uint64_t seed, BlockQuantile *ret)
{
    Rng rng = rng_stream(seed, SLICE("blocks"), 0);
    assert_int_equal(block_quantiles(seconds, SECONDS, &ask, &rng, ret, NULL), 0);
}

static void test_error_of_independent_values(void **state)
{
    (void)state;
    double mean_error[2] = {0};
    enum { RUNS = 10 };
    for (uint64_t run = 0; run < RUNS; run++) {
        BlockQuantile bq[2];
        make_run(run, 1, 0);
        quantiles(run, bq);
        assert_true(bq[0].df == 19);
        for (int i = 0; i < 2; i++) {
            double z = dist_normal_quantile(ask.q[i]);
            double truth = 20e6 * exp(0.5 * z);
            assert_true(fabs(bq[i].estimate - truth) < 5 * bq[i].standard_error);
            mean_error[i] += bq[i].standard_error_log / RUNS;
        }
    }
    for (int i = 0; i < 2; i++) {
        double z = dist_normal_quantile(ask.q[i]);
        double density = exp(-z * z / 2) / sqrt(2 * M_PI) / 0.5; // of the logarithm
        double theory = sqrt(ask.q[i] * (1 - ask.q[i]) / (SECONDS * PER_SECOND)) / density;
        assert_true(mean_error[i] > 0.8 * theory && mean_error[i] < 1.35 * theory);
    }
}

static void test_correlation_is_seen(void **state)
{
    (void)state;
    BlockQuantile alone[2];
    BlockQuantile shared[2];
    make_run(3, 1, 0);
    quantiles(1, alone);
    make_run(3, 1, 0.2);
    quantiles(1, shared);
    // Theory for the median: 20 blocks of sigma 0.2 alone give 0.045, against 0.0044 before.
    assert_true(shared[0].standard_error_log > 0.03 && shared[0].standard_error_log < 0.065);
    assert_true(alone[0].standard_error_log < 0.008);
}

static void test_two_runs(void **state)
{
    (void)state;
    BlockQuantile base[2];
    BlockQuantile same[2];
    BlockQuantile slower[2];
    make_run(10, 1, 0.02);
    quantiles(1, base);
    make_run(11, 1, 0.02);
    quantiles(2, same);
    make_run(12, 1.1, 0.02);
    quantiles(3, slower);
    for (int i = 0; i < 2; i++) {
        Comparison c = block_compare_ratio(&base[i], &same[i], 0.99);
        assert_true(interval_contains(c.interval, 1));
        c = block_compare_ratio(&base[i], &slower[i], 0.99);
        assert_true(c.interval.low > 1 && interval_contains(c.interval, 1.1));
        Comparison d = block_compare_difference(&base[i], &slower[i], 0.99);
        assert_true(d.interval.low > 0);
        assert_true(d.estimate == slower[i].estimate - base[i].estimate);
    }
}

static void test_bad_questions(void **state)
{
    (void)state;
    Rng rng = rng_stream(1, SLICE("blocks"), 0);
    BlockQuantile bq[BLOCK_QUANTILES_MAX];
    Err e;
    const Hist *none[3] = {NULL, NULL, NULL};
    assert_int_equal(block_quantiles(none, 3, &ask, &rng, bq, &e), ERR_ARG);
    assert_int_equal(block_quantiles(none, 0, &ask, &rng, bq, &e), ERR_ARG);
    make_run(1, 1, 0);
    BlockAsk wrong = {.n_q = 0};
    assert_int_equal(block_quantiles(seconds, SECONDS, &wrong, &rng, bq, &e), ERR_ARG);
    wrong.n_q = BLOCK_QUANTILES_MAX + 1;
    assert_int_equal(block_quantiles(seconds, SECONDS, &wrong, &rng, bq, &e), ERR_ARG);
    wrong = (BlockAsk){.q = {1.5}, .n_q = 1};
    assert_int_equal(block_quantiles(seconds, SECONDS, &wrong, &rng, bq, &e), ERR_ARG);
    wrong = (BlockAsk){.q = {0.5}, .n_q = 1, .replicates = BLOCK_REPLICATES_MAX + 1};
    assert_int_equal(block_quantiles(seconds, SECONDS, &wrong, &rng, bq, &e), ERR_LIMIT);
    assert_int_equal(block_quantiles(seconds, BLOCK_TEST_SECONDS_MAX + 1, &ask, &rng, bq, &e),
                     ERR_LIMIT);
    // One second: an estimate, but no error, and so no comparison.
    assert_int_equal(block_quantiles(seconds, 1, &ask, &rng, bq, &e), 0);
    assert_true(bq[0].df == 0 && isnan(bq[0].standard_error) && bq[0].estimate > 0);
    Comparison c = block_compare_ratio(&bq[0], &bq[0], 0.95);
    assert_true(isnan(c.p) && c.interval.low == 0 && isinf(c.interval.high));
}

static void test_negative_values_have_no_ratio(void **state)
{
    (void)state;
    for (int s = 0; s < SECONDS; s++) {
        hist_reset(&store[s]);
        hist_record_n(&store[s], -1000 - s, 3);
    }
    BlockQuantile bq[2];
    quantiles(1, bq);
    assert_true(isnan(bq[0].standard_error_log) && bq[0].standard_error > 0);
    assert_true(isnan(block_compare_ratio(&bq[0], &bq[0], 0.95).p));
    assert_true(block_compare_difference(&bq[0], &bq[0], 0.95).p == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_of_independent_values),
        cmocka_unit_test(test_correlation_is_seen),
        cmocka_unit_test(test_two_runs),
        cmocka_unit_test(test_bad_questions),
        cmocka_unit_test(test_negative_values_have_no_ratio),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
