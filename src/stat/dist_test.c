// Expected values: SciPy 1.17.1 (scipy.stats.norm, .t, .binom; scipy.special.betainc, betaincinv,
// betaln), and mpmath 1.4 at 40 digits where SciPy
// underflows or loses digits (the logarithms of tails, log B(1e6, 2.5)). Printed with repr, so all
// digits.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/attr.h"
#include "stat/dist.h"

static void near(double got, double want, double relative)
{
    double slack = relative * fabs(want) + 1e-300;
    if (!(fabs(got - want) <= slack)) {
        fail_msg("got %.17g, want %.17g", got, want);
    }
}

static void test_normal(void **state)
{
    (void)state;
    static const double cdf[][2] = {
        {-37.5, 4.605353009581954e-308}, {-8, 6.22096057427174e-16}, {-3, 0.0013498980316300933},
        {-1.96, 0.024997895148220435},   {-0.5, 0.3085375387259869}, {0, 0.5},
        {0.5, 0.6914624612740131},       {1.6448536269514722, 0.95}, {5, 0.9999997133484281},
    };
    for (size_t i = 0; i < COUNT_OF(cdf); i++) {
        near(dist_normal_cdf(cdf[i][0]), cdf[i][1], 2e-13);
    }
    static const double quantile[][2] = {
        {1e-300, -37.0470962993612},
        {1e-20, -9.262340089798409},
        {1e-06, -4.753424308822899},
        {0.001, -3.090232306167813},
        {0.025, -1.9599639845400545},
        {0.2, -0.8416212335729142},
        {0.5, 0},
        {0.6, 0.2533471031357997},
        {0.975, 1.959963984540054},
        {0.999999, 4.753424308817087},
    };
    for (size_t i = 0; i < COUNT_OF(quantile); i++) {
        near(dist_normal_quantile(quantile[i][0]), quantile[i][1], 1e-12);
    }
    assert_true(isinf(dist_normal_quantile(0)) && isinf(dist_normal_quantile(1)));
    assert_true(isnan(dist_normal_quantile(-0.1)) && isnan(dist_normal_quantile(NAN)));
}

static void test_student(void **state)
{
    (void)state;
    static const double cdf[][3] = {
        {-2.5, 1, 0.12111894159084341},     {-3, 4.7, 0.016269636988518396},
        {1, 2, 0.7886751345948129},         {0.001, 10, 0.5003891083126295},
        {2, 30, 0.9726874775185085},        {-12, 29, 4.5303541665685913e-13},
        {1.3, 1000000, 0.9031993655954373}, {-40, 3, 1.7190340394579253e-05},
    };
    for (size_t i = 0; i < COUNT_OF(cdf); i++) {
        near(dist_t_cdf(cdf[i][0], cdf[i][1]), cdf[i][2], 1e-12);
    }
    static const double quantile[][3] = {
        {0.975, 1, 12.706204736174694},   {0.975, 4, 2.7764451051977934},
        {0.95, 7.31, 1.8825603394969357}, {0.6, 2, 0.2886751345948128},
        {1e-09, 12, -15.894813362266058}, {0.995, 1000, 2.580754698065951},
        {0.25, 0.5, -1.5537739740300383}, {0.4999, 9, -0.00025770877553428137},
    };
    for (size_t i = 0; i < COUNT_OF(quantile); i++) {
        near(dist_t_quantile(quantile[i][0], quantile[i][1]), quantile[i][2], 1e-11);
    }
    assert_true(dist_t_quantile(0.5, 3) == 0);
    assert_true(isnan(dist_t_cdf(1, 0)) && isnan(dist_t_quantile(0.5, -1)));
    assert_true(dist_t_cdf(INFINITY, 3) == 1 && dist_t_cdf(-INFINITY, 3) == 0);
}

static void test_beta(void **state)
{
    (void)state;
    static const double cdf[][4] = {
        {0.5, 2, 3, 0.6875},
        {0.01, 0.5, 0.5, 0.06376856085851985},
        {0.9, 10, 2, 0.6973568802000002},
        {0.2, 1, 7, 0.7902848},
        {1e-05, 0.1, 4, 0.37741680942510936},
        {0.3, 300, 700, 0.5036711828607681},
        {0.28, 300, 700, 0.0823909765105907},
        {0.011, 10000, 990000, 1},
        {0.0101, 1000000, 99000000, 1},
    };
    for (size_t i = 0; i < COUNT_OF(cdf); i++) {
        double x = cdf[i][0];
        double a = cdf[i][1];
        double b = cdf[i][2];
        near(dist_beta_cdf(x, a, b), cdf[i][3], 1e-11);
        near(dist_beta_cdf(x, a, b) + dist_beta_survival(x, a, b), 1, 1e-12);
    }
    static const double quantile[][4] = {
        {0.025, 1, 20, 0.0012650894979498038},      {0.975, 3, 98, 0.07038393247107011},
        {0.5, 0.5, 0.5, 0.4999999999999999},        {1e-10, 5, 5, 0.0038109291304125187},
        {0.05, 10, 1000000, 5.425366565554525e-06}, {0.999, 2000, 3, 0.9999047854456443},
    };
    for (size_t i = 0; i < COUNT_OF(quantile); i++) {
        near(dist_beta_quantile(quantile[i][0], quantile[i][1], quantile[i][2]), quantile[i][3],
             1e-11);
    }
    static const double log_beta[][3] = {
        {0.5, 0.5, 1.1447298858494},
        {3, 4, -4.0943445622221},
        {1000000, 2.5, -34.254095399436516},
        {0.01, 1000, 4.530407276060032},
    };
    for (size_t i = 0; i < COUNT_OF(log_beta); i++) {
        near(dist_log_beta(log_beta[i][0], log_beta[i][1]), log_beta[i][2], 1e-11);
    }
    assert_true(isnan(dist_beta_cdf(0.5, 0, 1)) && isnan(dist_beta_cdf(-1, 1, 1)));
    assert_true(dist_beta_quantile(0, 2, 2) == 0 && dist_beta_quantile(1, 2, 2) == 1);
}

static void test_binomial(void **state)
{
    (void)state;
    // k, n, p, P(X >= k), P(X <= k)
    static const double tails[][5] = {
        {1, 10, 0.1, 0.6513215599000001, 0.7360989291},
        {8, 10, 0.5, 0.0546875, 0.9892578125},
        {10, 534, 0.01, 0.04504120015840644, 0.9796007277460952},
        {260, 25031, 0.01, 0.2773853446929327, 0.7432353707085583},
        {1010000, 100000000, 0.01, 5.428297375161428e-24, 1},
    };
    for (size_t i = 0; i < COUNT_OF(tails); i++) {
        const double *r = tails[i];
        near(dist_binom_at_least(r[0], r[1], r[2]), r[3], 2e-10);
        near(dist_binom_at_most(r[0], r[1], r[2]), r[4], 1e-11);
    }
    // k, n, p, log P(X >= k)
    static const double logs[][4] = {
        {900, 1000, 0.01, -3823.743791837655},
        {5000, 10000, 0.1, -5112.969472401854},
        {20, 1000, 0.01, -5.717366383283305},
    };
    for (size_t i = 0; i < COUNT_OF(logs); i++) {
        near(dist_binom_log_at_least(logs[i][0], logs[i][1], logs[i][2]), logs[i][3], 1e-11);
    }
    assert_true(dist_binom_at_least(0, 10, 0.1) == 1 && dist_binom_at_least(11, 10, 0.1) == 0);
    assert_true(dist_binom_at_most(-1, 10, 0.1) == 0 && dist_binom_at_most(10, 10, 0.1) == 1);
    assert_true(dist_binom_at_least(1, 10, 0) == 0 && dist_binom_at_least(10, 10, 1) == 1);
    assert_true(isnan(dist_binom_at_least(1, 10, 1.5)));
}

// The inverses undo the functions over a wide grid, far tails included.
static void test_inverses(void **state)
{
    (void)state;
    static const double p[] = {1e-12, 1e-4, 0.025, 0.3, 0.5, 0.9, 0.9999};
    static const double shape[] = {0.3, 1, 4, 77, 1e4};
    for (size_t i = 0; i < COUNT_OF(p); i++) {
        for (size_t j = 0; j < COUNT_OF(shape); j++) {
            near(dist_t_cdf(dist_t_quantile(p[i], shape[j]), shape[j]), p[i], 1e-9);
            for (size_t k = 0; k < COUNT_OF(shape); k++) {
                double x = dist_beta_quantile(p[i], shape[j], shape[k]);
                if (x < 0.999) { // nearer to 1 x itself has too few digits left
                    near(dist_beta_cdf(x, shape[j], shape[k]), p[i], 1e-9);
                }
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normal),   cmocka_unit_test(test_student),
        cmocka_unit_test(test_beta),     cmocka_unit_test(test_binomial),
        cmocka_unit_test(test_inverses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
