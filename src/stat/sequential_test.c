#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/attr.h"
#include "base/rng.h"
#include "stat/rate.h"
#include "stat/sequential.h"

static void near(double got, double want, double relative)
{
    if (!(fabs(got - want) <= relative * fabs(want))) {
        fail_msg("got %.17g, want %.17g", got, want);
    }
}

// The defining equation solved by SciPy 1.17.1: optimize.brentq on special.betaln and xlogy.
static void test_ends(void **state)
{
    (void)state;
    static const double rows[][6] = {
        // k, n, around, confidence, low, high
        {0, 100, 0.01, 0.95, 0.0, 0.034878069002015684},
        {10, 10, 0.5, 0.95, 0.6230126490093227, 1.0},
        {30, 1000, 0.01, 0.95, 0.015273448483107072, 0.05174056799772196},
        {5, 1000, 0.01, 0.99, 0.0006243807827626302, 0.017114118124983736},
        {2000, 100000, 0.01, 0.95, 0.018338800048318886, 0.021756511348882523},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const double *r = rows[i];
        Interval ci = sequential_rate_interval(r[0], r[1], r[2], r[3]);
        near(ci.low, r[4], 1e-8);
        near(ci.high, r[5], 1e-8);
    }
    Interval nothing = sequential_rate_interval(0, 0, 0.01, 0.95);
    assert_true(nothing.low == 0 && nothing.high == 1);
    assert_true(isnan(sequential_log_evidence(2, 1, 0.5, 0.5)));
    assert_true(isinf(sequential_log_evidence(1, 2, 0, 0.5)));
}

// Ville's inequality at work: 500 tests of 4000 requests whose true rate is the limit, looked at
// every 20 requests. The sequence may ever exclude the truth in 5 % of them (25; 40 is three
// standard errors more); a fixed interval looked at as often does so several times as often.
static void test_looking_often(void **state)
{
    (void)state;
    enum { TRIALS = 500, N = 4000, LOOK = 20 };
    int wrong = 0;
    int wrong_fixed = 0;
    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        Rng rng = rng_stream(9, SLICE("sequential-test"), trial);
        bool out = false;
        bool out_fixed = false;
        double k = 0;
        for (int i = 1; i <= N; i++) {
            k += rng_double(&rng) < 0.05;
            if (i % LOOK == 0) {
                out |= sequential_log_evidence(k, i, 0.05, 0.05) >= log(20);
                out_fixed |= rate_test(k, i, 0.05, TEST_TWO_SIDED) < 0.05;
            }
        }
        wrong += out;
        wrong_fixed += out_fixed;
    }
    assert_in_range(wrong, 0, 40);
    assert_in_range(wrong_fixed, 100, TRIALS);
}

// Three per cent slow against a limit of one: proven within a few hundred requests more than the
// 562 that a test of fixed size plans for.
static void test_stops_early_enough(void **state)
{
    (void)state;
    int stopped = 0;
    for (uint64_t trial = 0; trial < 100; trial++) {
        Rng rng = rng_stream(10, SLICE("sequential-test"), trial);
        double k = 0;
        for (int i = 1; i <= 2000; i++) {
            k += rng_double(&rng) < 0.03;
        }
        stopped += interval_above(sequential_rate_interval(k, 2000, 0.01, 0.95), 0.01);
    }
    assert_in_range(stopped, 95, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_looking_often),
        cmocka_unit_test(test_stops_early_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
