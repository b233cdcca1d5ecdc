#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/attr.h"
#include "stat/sample.h"

static void near(double got, double want)
{
    if (!(fabs(got - want) <= 1e-12 * (1 + fabs(want)))) {
        fail_msg("got %.17g, want %.17g", got, want);
    }
}

// NumPy 2.4.6: quantile(x, q), var(x, ddof=1); SciPy 1.17.1: median_abs_deviation(x) * 1.4826.
static void test_summaries(void **state)
{
    (void)state;
    double x[] = {2.1, 3.4, 1.9, 5.6, 2.2, 8.0, 2.5};
    near(sample_variance(x, 7), 5.279047619047619);
    near(sample_median(x, 7), 2.5);
    near(sample_mad(x, 7), 0.88956);
    sample_sort(x, 7);
    near(sample_quantile(x, 7, 0.1), 2.02);
    near(sample_quantile(x, 7, 0.77), 4.764);
    near(sample_quantile(x, 7, 0), 1.9);
    near(sample_quantile(x, 7, 1), 8);
    near(sample_mean(x, 7), 25.7 / 7);
}

// NIST StRD univariate "NumAcc3": 1001 values, 1000000.2 and alternating .1/.3; certified mean
// 1000000.2, standard deviation 0.1. One-pass formulas fail it.
static void test_nist_numacc3(void **state)
{
    (void)state;
    static double x[1001];
    x[0] = 1000000.2;
    for (size_t i = 1; i < COUNT_OF(x); i++) {
        x[i] = i % 2 == 1 ? 1000000.1 : 1000000.3;
    }
    near(sample_mean(x, COUNT_OF(x)), 1000000.2);
    assert_true(fabs(sqrt(sample_variance(x, COUNT_OF(x))) - 0.1) < 1e-9);
}

static void test_too_few(void **state)
{
    (void)state;
    double one = 4;
    assert_true(isnan(sample_mean(&one, 0)));
    assert_true(isnan(sample_variance(&one, 1)));
    assert_true(isnan(sample_median(&one, 0)) && isnan(sample_mad(&one, 0)));
    assert_true(isnan(sample_quantile(&one, 0, 0.5)));
    assert_true(sample_quantile(&one, 1, 0.99) == 4);
}

static void test_hampel_clips_spikes(void **state)
{
    (void)state;
    double x[] = {10, 11, 10, 90, 11, 10, 11, 10, -40, 11};
    double clipped[COUNT_OF(x)];
    assert_int_equal(sample_hampel(x, COUNT_OF(x), 2, 3, clipped), 2);
    assert_true(clipped[3] == 11 && clipped[8] == 10.5);
    // A step is no outlier.
    double step[] = {1, 1.1, 1, 1.1, 5, 5.1, 5, 5.1};
    double same[COUNT_OF(step)];
    assert_int_equal(sample_hampel(step, COUNT_OF(step), 3, 3, same), 0);
    assert_memory_equal(step, same, sizeof step);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_summaries),
        cmocka_unit_test(test_nist_numacc3),
        cmocka_unit_test(test_too_few),
        cmocka_unit_test(test_hampel_clips_spikes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
