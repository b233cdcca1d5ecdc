#include "model/sim_stat.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

static void near_to(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance)) {
        fail_msg("%.17g, expected %.17g", got, want);
    }
}

// t(0.95, 4) = 2.131847, from any table of Student's distribution.
static void test_mean(void **state)
{
    (void)state;
    const double x[] = {1, 2, 3, 4, 5};
    Estimate m = sim_mean(x, 5, 0.9);
    double half = 2.131847 * sqrt(2.5 / 5);
    near_to(m.value, 3, 1e-12);
    near_to(m.low, 3 - half, 1e-6);
    near_to(m.high, 3 + half, 1e-6);
    assert_true(isinf(sim_mean(x, 1, 0.9).high) && isnan(sim_mean(x, 0, 0.9).value));
}

static void test_mean_with_infinite_values(void **state)
{
    (void)state;
    const double some[] = {1, INFINITY, 3, 2, NAN}, all[] = {INFINITY, INFINITY};
    Estimate m = sim_mean(some, 5, 0.9);
    assert_true(m.value == 3 && isinf(m.high) && m.low < 1.0 + 1e-9);
    m = sim_mean(all, 2, 0.9);
    assert_true(isinf(m.value) && isinf(m.low));
}

// x is 10 + 3 control + noise: the control takes out nearly all of the variance, and the interval
// covers 10 as often as it says. 2000 trials at 90 %: 1800 +- 4 deviations of 13.4.
static void test_control(void **state)
{
    (void)state;
    Rng r = rng_stream(11, SLICE("control"), 0);
    int covered = 0;
    double factors = 0;
    enum { TRIALS = 2000, RUNS = 8 };
    for (int trial = 0; trial < TRIALS; trial++) {
        double x[RUNS], control[RUNS], factor;
        for (int i = 0; i < RUNS; i++) {
            control[i] = rng_normal(&r, 0, 1);
            x[i] = 10 + 3 * control[i] + rng_normal(&r, 0, 0.5);
        }
        Estimate m = sim_controlled_mean(x, control, RUNS, 0.9, &factor);
        covered += m.low <= 10 && 10 <= m.high;
        factors += log(factor);
    }
    assert_in_range(covered, 1800 - 54, 1800 + 54);
    assert_true(exp(factors / TRIALS) > 10); // (9 + .25) / .25 = 37 for many runs, less for 8
    const double flat[] = {0, 0, 0, 0, 0}, x[] = {1, 2, 3, 4, 5};
    double factor;
    near_to(sim_controlled_mean(x, flat, 5, 0.9, &factor).value, 3, 1e-12);
    assert_true(factor == 1);
}

// An AR(1) process of coefficient .8: Student's interval of its values would be three times too
// short and cover less than half the time. Batches of 64 values leave a correlation of a few
// hundredths: at 90 % at least 84 % of 1000 must cover (4 deviations of .95 %, and 2 % for what the
// test does not see).
static void test_batches(void **state)
{
    (void)state;
    Rng r = rng_stream(5, SLICE("batches"), 0);
    int covered = 0, naive = 0;
    enum { TRIALS = 1000, VALUES = 1280 };
    static double x[VALUES];
    for (int trial = 0; trial < TRIALS; trial++) {
        double value = rng_normal(&r, 0, 1 / 0.6);
        for (int i = 0; i < VALUES; i++) {
            value = 0.8 * value + rng_normal(&r, 0, 1);
            x[i] = value;
        }
        Estimate m = sim_batch_mean(x, VALUES, NAN, 0.9), n = sim_mean(x, VALUES, 0.9);
        covered += m.low <= 0 && 0 <= m.high;
        naive += n.low <= 0 && 0 <= n.high;
    }
    assert_true(naive < 600);
    assert_in_range(covered, 840, 940);
    Estimate m = sim_batch_mean(x, VALUES, 7, 0.9);
    assert_true(m.value == 7 && m.low < 7 && m.high > 7);
}

static void test_truncation(void **state)
{
    (void)state;
    Rng r = rng_stream(3, SLICE("mser"), 0);
    double x[400];
    for (int i = 0; i < 400; i++) { // decays from 20 over some 60 values
        x[i] = 20 * exp(-i / 15.0) + rng_normal(&r, 0, 1);
    }
    assert_in_range(sim_truncation(x, 400), 30, 110);
    for (int i = 0; i < 400; i++) {
        x[i] = rng_normal(&r, 0, 1);
    }
    assert_in_range(sim_truncation(x, 400), 0, 100);
    for (int i = 0; i < 400; i++) { // never steady
        x[i] = i;
    }
    assert_int_equal(sim_truncation(x, 400), 400);
    assert_int_equal(sim_truncation(x, 3), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mean),       cmocka_unit_test(test_mean_with_infinite_values),
        cmocka_unit_test(test_control),    cmocka_unit_test(test_batches),
        cmocka_unit_test(test_truncation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
