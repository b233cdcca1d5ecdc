// Ground truth: closed forms of means and variances (Johnson, Kotz, Balakrishnan, "Continuous
// Univariate Distributions"), quantiles of SciPy 1.10 (values given below), and the room stat's
// normal distribution, which is held against SciPy by its own test.
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>

#include "base/rng.h"
#include "policy/dist.h"
#include "stat/dist.h"

static const double POINTS[] = {0, 10, 10, 50, 400};
static DistPart fuzzer_parts[2];

static size_t all(Dist *d)
{
    fuzzer_parts[0] = (DistPart){0.92, dist_lognormal(150e6, 0.4)};
    fuzzer_parts[1] = (DistPart){0.08, dist_pareto(2e9, 1.5, 60e9)};
    Dist list[] = {
        dist_fixed(7e6),
        dist_exponential(3e6),
        dist_gamma(4e6, 4),
        dist_gamma(4e6, 0.3),
        dist_gamma(5e6, 250.5),
        dist_hyperexponential(5e6, 6),
        dist_lognormal(900e6, 0.25),
        dist_pareto(2e6, 3.5, INFINITY),
        dist_pareto(2e9, 1.5, 60e9),
        dist_uniform(1e6, 4e6),
        dist_weibull(5e6, 0.7),
        dist_empirical(POINTS, COUNT_OF(POINTS)),
        dist_mixture(fuzzer_parts, 2),
    };
    memcpy(d, list, sizeof list);
    return COUNT_OF(list);
}

#define CLOSE(a, b, tolerance) assert_true(fabs((a) - (b)) <= (tolerance)*fabs(b) + 1e-300)

static void test_moments(void **state)
{
    (void)state;
    DistPart mix[] = {{0.5, dist_fixed(1e6)}, {0.5, dist_fixed(3e6)}};
    const struct {
        Dist d;
        double mean, scv;
    } cases[] = {
        {dist_fixed(5), 5, 0},
        {dist_exponential(2e6), 2e6, 1},
        {dist_gamma(3e6, 4), 3e6, 0.25},
        {dist_hyperexponential(5e6, 9), 5e6, 9},
        {dist_lognormal(1e6, 0.5), 1e6, exp(0.25) - 1},
        {dist_pareto(2e6, 3, INFINITY), 3e6, 1.0 / 3}, // 1 / (a (a - 2))
        {dist_pareto(2e6, 0.9, INFINITY), INFINITY, INFINITY},
        {dist_pareto(2e6, 1.5, INFINITY), 6e6, INFINITY},
        // E min(X, 60) = 6 - (2/60)^1.5 60 / 0.5; E min(X, 60)^2 = 4 + 4 2^1.5 (60^0.5 - 2^0.5)
        {dist_pareto(2e9, 1.5, 60e9), 5.269703256659779e9, 1.7236668732919167},
        {dist_uniform(0, 2e6), 1e6, 1.0 / 3},
        {dist_weibull(1e6, 0.5), 2e6, 5}, // G(3) = 2, G(5) = 24
        {dist_empirical((const double[]){0, 10}, 2), 5, 1.0 / 3},
        {dist_mixture(mix, 2), 2e6, 0.25},
        {dist_of_scv(1e6, 0), 1e6, 0},
        {dist_of_scv(1e6, 0.5), 1e6, 0.5},
        {dist_of_scv(1e6, 1), 1e6, 1},
        {dist_of_scv(1e6, 4), 1e6, 4},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(dist_check(&cases[i].d, NULL), 0);
        if (isinf(cases[i].mean)) {
            assert_true(isinf(dist_mean(&cases[i].d)));
        } else {
            CLOSE(dist_mean(&cases[i].d), cases[i].mean, 1e-10);
        }
        if (isinf(cases[i].scv)) {
            assert_true(isinf(dist_scv(&cases[i].d)));
        } else {
            CLOSE(dist_scv(&cases[i].d), cases[i].scv, 1e-9);
        }
    }
}

// scipy.stats: gamma.ppf, weibull_min.ppf, lognorm.ppf of unit scale; times 1e6.
static void test_quantiles_of_scipy(void **state)
{
    (void)state;
    const struct {
        Dist d;
        double p, x;
    } cases[] = {
        {dist_gamma(4, 4), 0.5, 3.672060748850897},
        {dist_gamma(4, 4), 0.99, 10.045117514831617},
        {dist_gamma(1, 1), 0.9, 2.302585092994046},
        {dist_gamma(0.5, 0.5), 0.95, 1.9207294103470623},
        {dist_weibull(1, 2), 0.5, 0.8325546111576977},
        {dist_exponential(1), 0.75, 1.3862943611198906},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        CLOSE(dist_quantile(&cases[i].d, cases[i].p), cases[i].x, 1e-9);
        CLOSE(dist_cdf(&cases[i].d, cases[i].x), cases[i].p, 1e-9);
    }
}

static void test_the_normal_quantile(void **state)
{
    (void)state;
    Dist d = {.kind = DIST_LOGNORMAL, .scale = 1, .shape = 1};
    for (int i = -50; i <= 50; i++) {
        double p = i < 0 ? pow(2, i) : i == 0 ? 0.5 : 1 - pow(2, -i);
        double z = dist_normal_quantile(p);
        assert_true(fabs(log(dist_quantile(&d, p)) - z) <= 1e-13 * (1 + fabs(z)));
    }
}

// The function and its inverse agree, and the quantile never falls.
static void test_inverse(void **state)
{
    (void)state;
    Dist d[16];
    size_t n = all(d);
    for (size_t i = 0; i < n; i++) {
        double before = 0;
        for (int k = 1; k < 200; k++) {
            double p = k / 200.0, x = dist_quantile(&d[i], p);
            assert_true(x >= before);
            before = x;
            // Jumps of the function (fixed, the cap, equal points) only bound it from one side.
            double below = dist_cdf(&d[i], x * (1 - 1e-9)), above = dist_cdf(&d[i], x * (1 + 1e-9));
            assert_true(below <= p + 1e-7 && above >= p - 1e-7);
        }
    }
}

// Samples have the distribution: means and the empirical distribution function of 20,000 of them,
// seed 1. Five standard errors of the mean (where the variance is finite); Kolmogorov's statistic
// at 1e-6 is 2.69 / sqrt(n).
static void test_samples(void **state)
{
    (void)state;
    enum { N = 20000 };
    Dist d[16];
    size_t n = all(d);
    for (size_t i = 0; i < n; i++) {
        Rng r = rng_stream(1, SLICE("samples"), i);
        double sum = 0, worst = 0;
        uint32_t below[64] = {0};
        for (int k = 0; k < N; k++) {
            int64_t x = dist_sample(&d[i], rng_double(&r));
            assert_true(x >= 0);
            sum += (double)x;
            double cdf = dist_cdf(&d[i], (double)x + 1); // the sample is rounded down
            uint32_t slot = (uint32_t)ceil(cdf * 64);
            below[slot < 64 ? slot : 63] += slot < 64;
        }
        double seen = 0;
        for (int k = 1; k < 64; k++) {
            seen += below[k];
            double off = fabs(seen / N - k / 64.0);
            bool jumps = d[i].kind == DIST_FIXED || d[i].kind == DIST_EMPIRICAL;
            worst = !jumps && off > worst ? off : worst;
        }
        double mean = dist_mean(&d[i]), error = mean * sqrt(dist_scv(&d[i]) / N);
        if (fabs(sum / N - mean) > 5 * error + 1 || worst > 2.69 / sqrt(N) + 1e-3) {
            fail_msg("kind %d (%zu): mean %g for %g, off by %g", d[i].kind, i, sum / N, mean,
                     worst);
        }
    }
}

// The ends of the unit interval give finite samples.
static void test_ends(void **state)
{
    (void)state;
    Dist d[16];
    size_t n = all(d);
    for (size_t i = 0; i < n; i++) {
        int64_t low = dist_sample(&d[i], 0), high = dist_sample(&d[i], 0x1.fffffffffffffp-1);
        assert_true(low >= 0 && high >= low && high <= INT64_C(1) << 61);
    }
    Dist wild = dist_pareto(1e9, 0.01, INFINITY);
    assert_true(dist_sample(&wild, 0.999999) == INT64_C(1) << 61);
    assert_int_equal(dist_sample(&(Dist){0}, 0.5), 0);
}

static void test_bad_parameters(void **state)
{
    (void)state;
    static const double falls[] = {3, 2}, negative[] = {-1, 2};
    static double many[DIST_POINTS_MAX + 1];
    DistPart light[] = {{0.5, {0}}, {0.4, {0}}};
    DistPart nested[] = {{1, {0}}};
    Dist inner = dist_mixture(light, 2);
    nested[0].dist = inner;
    const Dist bad[] = {
        dist_fixed(-1),
        dist_fixed(INFINITY),
        dist_exponential(0),
        dist_exponential(NAN),
        dist_gamma(1, 0),
        dist_lognormal(1, 11),
        dist_pareto(2, 1, 1),
        dist_uniform(3, 2),
        dist_weibull(1, 0),
        dist_empirical(falls, 2),
        dist_empirical(negative, 2),
        dist_empirical(many, 1),
        dist_empirical(many, DIST_POINTS_MAX + 1),
        inner,
        dist_mixture(nested, 1),
        dist_mixture(nested, 0),
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        Err e = {0};
        assert_int_equal(dist_check(&bad[i], &e), ERR_ARG);
        assert_true(e.text[0] != 0);
    }
    Dist most = dist_empirical(many, DIST_POINTS_MAX);
    assert_int_equal(dist_check(&most, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_quantiles_of_scipy),
        cmocka_unit_test(test_the_normal_quantile),
        cmocka_unit_test(test_inverse),
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_bad_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
