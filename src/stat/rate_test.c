#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/attr.h"
#include "stat/rate.h"

static void near(double got, double want, double relative)
{
    if (!(fabs(got - want) <= relative * fabs(want) + 1e-15)) {
        fail_msg("got %.17g, want %.17g", got, want);
    }
}

// SciPy 1.17.1: beta.ppf(0.025, k, n - k + 1), beta.ppf(0.975, k + 1, n - k); the search behind
// binomtest().proportion_ci agrees to ten digits only. The last row is R's documentation
// example of binom.test, Mendel's peas: 0.7076683 0.7654066.
static void test_clopper_pearson(void **state)
{
    (void)state;
    static const double rows[][5] = {
        {0, 10, 0, 0.3084971078187607, 1e-11},
        {10, 10, 0.6915028921812392, 1, 1e-11},
        {7, 20, 0.1539092047845412, 0.5921885345328283, 1e-11},
        {3, 534, 0.0011600638679004987, 0.01632966404168229, 1e-11},
        {30, 3145, 0.006444882980647851, 0.013589650737024724, 1e-11},
        {682, 925, 0.7076683, 0.7654066, 1e-7},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        Interval ci = rate_interval_exact(rows[i][0], rows[i][1], 0.95);
        near(ci.low, rows[i][2], rows[i][4]);
        near(ci.high, rows[i][3], rows[i][4]);
    }
}

// SciPy 1.17.1: beta.ppf(0.025 and 0.975, k + 0.5, n - k + 0.5).
static void test_jeffreys(void **state)
{
    (void)state;
    static const double rows[][4] = {
        {7, 20, 0.172276213631912, 0.5677660938414961},
        {3, 534, 0.0015847331236447963, 0.014916108897861304},
        {1, 10, 0.011011673763161133, 0.3813147710666164},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        Interval ci = rate_interval_jeffreys(rows[i][0], rows[i][1], 0.95);
        near(ci.low, rows[i][2], 1e-11);
        near(ci.high, rows[i][3], 1e-11);
    }
    assert_true(rate_interval_jeffreys(0, 5, 0.95).low == 0);
    assert_true(rate_interval_jeffreys(5, 5, 0.95).high == 1);
}

// SciPy 1.17.1: binomtest(k, n, p, alternative='less' and 'greater').pvalue.
static void test_one_sided(void **state)
{
    (void)state;
    static const double rows[][5] = {
        {682, 925, 0.75, 0.19600926705388308, 0.8240891223524226},
        {11, 534, 0.01, 0.9914578170224576, 0.02039927225390481},
        {17, 3145, 0.01, 0.003505236190067219, 0.998218846140075},
        {3, 20, 0.1, 0.8670466765656649, 0.32307319481053404},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const double *r = rows[i];
        near(rate_test(r[0], r[1], r[2], TEST_LESS), r[3], 1e-11);
        near(rate_test(r[0], r[1], r[2], TEST_GREATER), r[4], 1e-11);
        near(rate_test(r[0], r[1], r[2], TEST_TWO_SIDED), 2 * fmin(r[3], r[4]), 1e-11);
    }
    assert_true(rate_test(5, 10, 0.5, TEST_TWO_SIDED) == 1);
}

static void test_nonsense_is_nan(void **state)
{
    (void)state;
    assert_true(isnan(rate_test(3, 0, 0.1, TEST_LESS)));
    assert_true(isnan(rate_test(11, 10, 0.1, TEST_LESS)));
    assert_true(isnan(rate_interval_exact(-1, 10, 0.95).low));
    assert_true(isnan(rate_interval_jeffreys(1, NAN, 0.95).high));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clopper_pearson),
        cmocka_unit_test(test_jeffreys),
        cmocka_unit_test(test_one_sided),
        cmocka_unit_test(test_nonsense_is_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
