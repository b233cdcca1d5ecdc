#include "judge/pooled.h"

#include <math.h>

#include "judge/sim_test.h"

// Abramowitz and Stegun 6.4: trigamma(1) = pi^2/6, trigamma(1/2) = pi^2/2, trigamma(2) = pi^2/6
// - 1.
static void test_trigamma(void **state)
{
    (void)state;
    const double pi = 3.14159265358979323846;
    const struct {
        double x, y;
    } cases[] = {{1, pi * pi / 6}, {0.5, pi * pi / 2}, {2, pi * pi / 6 - 1}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_true(fabs(pooled_trigamma(cases[i].x) - cases[i].y) < 1e-8);
        assert_true(fabs(pooled_trigamma_inverse(cases[i].y) - cases[i].x) < 1e-7);
    }
}

enum { ENDPOINTS = 8, RUNS = 3 };

// Mean over many draws of the variance and the degrees of freedom of the first endpoint.
static PooledVariance average(double run_sd, double noise_sd)
{
    enum { DRAWS = 500 };
    PooledVariance sum = {0, 0};
    Rng rng = rng_stream(1, SLICE("pooled"), 0);
    for (int k = 0; k < DRAWS; k++) {
        double values[2][ENDPOINTS][RUNS];
        const double *rows[2][ENDPOINTS];
        for (int side = 0; side < 2; side++) {
            for (int r = 0; r < RUNS; r++) {
                double shared = rng_normal(&rng, 0, run_sd);
                for (int i = 0; i < ENDPOINTS; i++) {
                    values[side][i][r] = i + shared + rng_normal(&rng, 0, noise_sd);
                    rows[side][i] = values[side][i];
                }
            }
        }
        PooledInput in = {rows[0], rows[1], ENDPOINTS, RUNS, RUNS};
        PooledVariance v[ENDPOINTS];
        pooled_variances(&in, v);
        sum.variance += v[0].variance / DRAWS;
        sum.df += v[0].df / DRAWS;
    }
    return sum;
}

static void test_worth_of_other_endpoints(void **state)
{
    (void)state;
    PooledVariance independent = average(0, 1);
    assert_true(fabs(independent.variance - 1) < 0.1);
    assert_true(independent.df > 15); // up to 4 a endpoint
    PooledVariance shared = average(1, 0.01);
    assert_true(fabs(shared.variance - 1) < 0.15);
    assert_true(shared.df < 4.2); // the other endpoints say the same thing again
}

static void test_nothing_varies(void **state)
{
    (void)state;
    const double same[RUNS] = {1, 1, 1};
    const double *rows[3] = {same, same, same};
    PooledInput in = {rows, rows, 3, RUNS, RUNS};
    PooledVariance v[3];
    pooled_variances(&in, v);
    assert_true(v[0].variance == 0 && v[0].df == 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trigamma),
        cmocka_unit_test(test_worth_of_other_endpoints),
        cmocka_unit_test(test_nothing_varies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
