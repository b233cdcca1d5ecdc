// A resampling method has no table. It is held to what theory says: on normal data it must come
// close to Student's interval, and on skewed data it must cover better than the percentile kind
// does (84 % at five values, reference measurement on JMH forks).
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/attr.h"
#include "stat/bootstrap.h"
#include "stat/compare.h"

static void test_close_to_student_on_normal_data(void **state)
{
    (void)state;
    enum { N = 40 };
    double x[N];
    double y[N];
    Rng data = rng_stream(1, SLICE("bootstrap-data"), 0);
    for (int i = 0; i < N; i++) {
        x[i] = rng_normal(&data, 10, 1);
        y[i] = rng_normal(&data, 11, 2);
    }
    Rng rng = rng_stream(1, SLICE("bootstrap"), 0);
    Interval b = bootstrap_difference(x, N, y, N, 0.95, BOOTSTRAP_REPLICATES, &rng);
    Interval t = compare_welch(x, N, y, N, 0.95).interval;
    double width = t.high - t.low;
    assert_true(fabs(b.low - t.low) < 0.1 * width);
    assert_true(fabs(b.high - t.high) < 0.1 * width);
}

static void test_equal_seed_equal_interval(void **state)
{
    (void)state;
    static const double x[] = {3, 1, 4, 1, 5, 9, 2, 6};
    Rng a = rng_stream(7, SLICE("bootstrap"), 2);
    Rng b = rng_stream(7, SLICE("bootstrap"), 2);
    Interval ia = bootstrap_mean(x, COUNT_OF(x), 0.95, 500, &a);
    Interval ib = bootstrap_mean(x, COUNT_OF(x), 0.95, 500, &b);
    assert_true(ia.low == ib.low && ia.high == ib.high);
}

static void test_coverage_on_skewed_data(void **state)
{
    (void)state;
    enum { TRIALS = 400, N = 10 };
    double x[N];
    int hits = 0;
    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        Rng data = rng_stream(5, SLICE("bootstrap-coverage"), trial);
        Rng rng = rng_stream(6, SLICE("bootstrap"), trial);
        for (int i = 0; i < N; i++) {
            x[i] = rng_exponential(&data, 1);
        }
        hits += interval_contains(bootstrap_mean(x, N, 0.95, 400, &rng), 1);
    }
    assert_in_range(hits, TRIALS * 92 / 100, TRIALS * 98 / 100);
}

static void test_few_values(void **state)
{
    (void)state;
    static const double x[] = {1, 2, 3};
    Rng rng = rng_stream(1, SLICE("bootstrap"), 0);
    assert_true(isinf(bootstrap_mean(x, 1, 0.95, 100, &rng).low));
    assert_true(isinf(bootstrap_difference(x, 3, x, 1, 0.95, 100, &rng).high));
    // Three values: one resample in nine repeats one value, so 95 % cannot be had.
    assert_true(isinf(bootstrap_mean(x, 3, 0.95, 1000, &rng).high));
    static const double same[] = {2, 2, 2, 2};
    Interval exact = bootstrap_mean(same, 4, 0.95, 100, &rng);
    assert_true(exact.low == 2 && exact.high == 2);
    assert_true(bootstrap_mean(same, 4, 0.95, 0, &rng).low == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_close_to_student_on_normal_data),
        cmocka_unit_test(test_equal_seed_equal_interval),
        cmocka_unit_test(test_coverage_on_skewed_data),
        cmocka_unit_test(test_few_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
