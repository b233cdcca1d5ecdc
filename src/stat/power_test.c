#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/attr.h"
#include "stat/power.h"

// Every n up to several times the answer tried with SciPy 1.17.1 scipy.stats.binom: the smallest n
// from which on the power stays at 95 %. `published` is the project's planning table (regression
// and SLO reference, section 5), found on a coarser grid: within 12 % of it.
static void test_requests(void **state)
{
    (void)state;
    static const struct {
        double rate;
        double limit;
        uint64_t n;
        uint64_t published;
    } rows[] = {
        {0.03, 0.01, 562, 534},       {0.02, 0.01, 1683, 1633},  {0.015, 0.01, 5613, 5696},
        {0.0125, 0.01, 19921, 19756}, {0.005, 0.01, 3487, 3145}, {0.008, 0.01, 25010, 25031},
        {0.15, 0.05, 102, 95},        {0.1, 0.05, 321, 316},     {0.075, 0.05, 1073, 1073},
        {0.0625, 0.05, 3805, 3760},   {0.025, 0.05, 671, 662},   {0.04, 0.05, 4823, 4767},
        {0.003, 0.001, 5651, 5340},   {0.9, 0.5, 16, 16},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t n = power_rate_requests(rows[i].rate, rows[i].limit, 0.05, 0.95);
        assert_int_equal(n, rows[i].n);
        double ratio = (double)n / (double)rows[i].published;
        assert_true(ratio > 0.88 && ratio < 1.12);
    }
}

static void test_requests_out_of_reach(void **state)
{
    (void)state;
    assert_true(power_rate_requests(0.01, 0.01, 0.05, 0.95) == POWER_REQUESTS_MAX);
    assert_true(power_rate_requests(0.01 + 1e-9, 0.01, 0.05, 0.95) == POWER_REQUESTS_MAX);
    assert_true(power_rate_requests(0.01001, 0.01, 0.05, 0.95) < POWER_REQUESTS_MAX);
    assert_int_equal(power_rate_requests(0, 0.01, 0.05, 0.95), 0);
    assert_int_equal(power_rate_requests(0.02, 0.01, 1, 0.95), 0);
    assert_int_equal(power_rate_requests(NAN, 0.01, 0.05, 0.95), 0);
}

// The first is the documentation example of R's power.t.test, power = 0.8689528; all digits from
// SciPy 1.17.1 scipy.stats.nct.
static void test_two_sample(void **state)
{
    (void)state;
    static const double rows[][5] = {
        {20, 1, 1, 0.05, 0.8689528016921271},
        {2, 3, 1, 0.05, 0.38738935020066795},
        {5, 0.1, 0.05, 0.05, 0.7905416315352443},
        {100, 0.2, 1, 0.01, 0.12031144102952702},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const double *r = rows[i];
        assert_true(fabs(power_two_sample(r[0], r[1], r[2], r[3]) - r[4]) < 1e-8);
    }
    assert_true(isnan(power_two_sample(1, 1, 1, 0.05)));
}

// R: power.t.test(power = .90, delta = 1) says n = 22.02110, so 23. The others: SciPy's nct,
// counted up.
static void test_runs(void **state)
{
    (void)state;
    assert_int_equal(power_runs(1, 1, 0.05, 0.90), 23);
    assert_int_equal(power_runs(0.05, 0.02, 0.05, 0.80), 4);
    assert_int_equal(power_runs(0.1, 0.02, 0.05, 0.95), 3);
    assert_int_equal(power_runs(1e-6, 1, 0.05, 0.95), POWER_RUNS_MAX);
    assert_int_equal(power_runs(0, 1, 0.05, 0.95), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_requests_out_of_reach),
        cmocka_unit_test(test_two_sample),
        cmocka_unit_test(test_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
