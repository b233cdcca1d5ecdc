#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/attr.h"
#include "base/rng.h"
#include "model/fork_join.h"

static void near_to(const char *what, double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance)) {
        fail_msg("%s: %.15g, expected %.15g", what, got, want);
    }
}

// Lindley's recursion of branches with common arrivals, as many customers as asked; the mean of the
// longest time. Returns its standard error by 50 batches.
static double simulate(double rho, uint32_t branches, double *ret_error)
{
    enum { BATCHES = 50, EACH = 8000 };
    Rng r = rng_stream(20261121, SLICE("fork"), branches);
    double wait[FORK_ALIKE_MAX] = {0};
    double sum = 0;
    double squares = 0;
    for (int b = -2; b < BATCHES; b++) {
        double total = 0;
        for (int i = 0; i < EACH; i++) {
            double gap = rng_exponential(&r, 1 / rho);
            double longest = 0;
            for (uint32_t k = 0; k < branches; k++) {
                double service = rng_exponential(&r, 1);
                longest = fmax(longest, wait[k] + service);
                wait[k] = fmax(0, wait[k] + service - gap);
            }
            total += longest;
        }
        if (b >= 0) { // two batches to warm up
            sum += total / EACH;
            squares += total / EACH * total / EACH;
        }
    }
    double mean = sum / BATCHES;
    *ret_error = sqrt(fmax(0, squares / BATCHES - mean * mean) / (BATCHES - 1));
    return mean;
}

// Flatto and Hahn: (12 - rho) / 8 of one station's time, within four standard errors of a
// simulation (a chance of 1 in 15,000 with another seed); Nelson and Tantawi's formula within their
// 5 %.
static void test_alike(void **state)
{
    (void)state;
    static const double rhos[] = {0.2, 0.5, 0.7};
    for (size_t i = 0; i < COUNT_OF(rhos); i++) {
        double rho = rhos[i];
        StationLoad load = {.rate = rho, .service_s = 1};
        double got;
        assert_int_equal(fork_join_alike(&load, 2, &got, NULL), 0);
        near_to("formula", got, (12 - rho) / 8 / (1 - rho), 1e-13);
        double error;
        double mean = simulate(rho, 2, &error);
        near_to("simulation", got, mean, 4 * error);
        for (uint32_t n = 4; n <= 32; n *= 2) {
            mean = simulate(rho, n, &error);
            assert_int_equal(fork_join_alike(&load, n, &got, NULL), 0);
            near_to("Nelson-Tantawi", got, mean, 0.05 * mean + 4 * error);
        }
    }
    double one;
    assert_int_equal(fork_join_alike(&(StationLoad){.rate = 0.5, .service_s = 1}, 1, &one, NULL),
                     0);
    near_to("one", one, 2, 1e-14);
}

// Order statistics of independent exponentials: the mean of the k-th of n is Sum 1 / i over the
// last k of 1 .. n; tails by binomials. M/M/1 stations are exponential.
static void test_order_statistics(void **state)
{
    (void)state;
    Station s;
    assert_int_equal(
        station_mmc(&(StationLoad){.rate = 0.5, .service_s = 1, .servers = 1}, &s, NULL), 0);
    const Station *branches[] = {&s, &s, &s, &s, &s};
    for (uint32_t n = 1; n <= 5; n++) {
        for (uint32_t k = 1; k <= n; k++) {
            ForkJoin join = {branches, n, k};
            double mean = 0;
            for (uint32_t i = n - k + 1; i <= n; i++) {
                mean += 2.0 / i;
            }
            near_to("mean", fork_join_mean(&join), mean, 1e-9);
            double t = fork_join_quantile(&join, 0.9);
            near_to("quantile", fork_join_tail(&join, t), 0.1, 1e-10);
        }
    }
    ForkJoin all = {branches, 2, 2};
    near_to("deep tail", fork_join_tail(&all, 80) / (2 * exp(-40)), 1, 1e-12);
    // The bound: independent branches take longer than associated ones.
    double alike;
    assert_int_equal(fork_join_alike(&(StationLoad){.rate = 0.5, .service_s = 1}, 2, &alike, NULL),
                     0);
    assert_true(fork_join_mean(&all) > alike);
}

// Different branches: max of exponentials of rates a and b has mean 1/a + 1/b - 1/(a + b).
static void test_different(void **state)
{
    (void)state;
    Station a;
    Station b;
    assert_int_equal(
        station_mmc(&(StationLoad){.rate = 1, .service_s = 1.0 / 3, .servers = 1}, &a, NULL), 0);
    assert_int_equal(
        station_mmc(&(StationLoad){.rate = 1, .service_s = 0.5, .servers = 1}, &b, NULL), 0);
    const Station *branches[] = {&a, &b};
    ForkJoin all = {branches, 2, 2};
    near_to("all", fork_join_mean(&all), 1 / 2.0 + 1 - 1 / 3.0, 1e-9);
    ForkJoin any = {branches, 2, 1};
    near_to("any", fork_join_mean(&any), 1 / 3.0, 1e-9);
}

static void test_refused(void **state)
{
    (void)state;
    Station s;
    assert_int_equal(
        station_mmc(&(StationLoad){.rate = 0.5, .service_s = 1, .servers = 1}, &s, NULL), 0);
    const Station *branches[FORK_BRANCHES_MAX + 1];
    for (size_t i = 0; i < COUNT_OF(branches); i++) {
        branches[i] = &s;
    }
    ForkJoin join = {branches, FORK_BRANCHES_MAX, FORK_BRANCHES_MAX / 2};
    assert_true(fork_join_quantile(&join, 0.5) > 0);
    join.count++;
    assert_true(isnan(fork_join_tail(&join, 1)) && isnan(fork_join_mean(&join)));
    join = (ForkJoin){branches, 2, 3};
    assert_true(isnan(fork_join_quantile(&join, 0.5)));
    join.first = 2;
    assert_true(isnan(fork_join_quantile(&join, 1)) && isnan(fork_join_tail(&join, NAN)));
    Station unknown = {.law = LAW_UNKNOWN};
    const Station *without[] = {&s, &unknown};
    join.branches = without;
    assert_true(isnan(fork_join_mean(&join)));
    double got;
    StationLoad load = {.rate = 0.5, .service_s = 1};
    assert_int_equal(fork_join_alike(&load, 0, &got, NULL), ERR_ARG);
    assert_int_equal(fork_join_alike(&load, FORK_ALIKE_MAX + 1, &got, NULL), ERR_ARG);
    load.rate = 1;
    assert_int_equal(fork_join_alike(&load, 2, &got, NULL), ERR_UNSTABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alike),
        cmocka_unit_test(test_order_statistics),
        cmocka_unit_test(test_different),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
