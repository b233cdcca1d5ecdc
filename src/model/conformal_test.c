#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/attr.h"
#include "base/rng.h"
#include "model/conformal.h"

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void test_ranks(void **state)
{
    (void)state;
    double sorted[1000];
    for (int i = 0; i < 1000; i++) {
        sorted[i] = i + 1; // the value is its rank
    }
    // ceil((n + 1) (1 - alpha)) by hand; the third would be 91 with 0.9 * 100 rounded up.
    static const struct {
        size_t n;
        double alpha, offset;
    } rows[] = {
        {9, 0.1, 9},    {8, 0.1, INFINITY}, {99, 0.1, 90},      {100, 0.1, 91},
        {19, 0.05, 19}, {999, 0.01, 990},   {0, 0.5, INFINITY}, {1, 0.5, 1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        double got = conformal_offset(sorted, rows[i].n, rows[i].alpha);
        if (got != rows[i].offset) {
            fail_msg("n %zu, alpha %g: %g", rows[i].n, rows[i].alpha, got);
        }
    }
    assert_int_equal(conformal_min_scores(0.1), 9);
    assert_int_equal(conformal_min_scores(0.05), 19);
    assert_int_equal(conformal_min_scores(0.01), 99);
    assert_true(conformal_p_value(sorted, 9, 10) == 0.1);
    assert_true(conformal_p_value(sorted, 9, 9) == 0.2);
    assert_true(conformal_p_value(sorted, 9, 0) == 1);
    assert_true(conformal_p_value(sorted, 0, 5) == 1);
}

static void test_scores(void **state)
{
    (void)state;
    assert_true(conformal_score(3, 5, 2) == 1 && conformal_score(7, 5, 2) == 1);
    assert_true(conformal_quantile_score(5, 4, 7) == -1);
    assert_true(conformal_quantile_score(3, 4, 7) == 1);
    assert_true(conformal_quantile_score(9, 4, 7) == 2);
}

// Lei et al. 2018, theorem 2: the coverage over calibration and test is exactly ceil((n + 1) (1 -
// alpha)) / (n + 1) without ties, for any predictor: here one that always says 1, of Pareto values.
// 20,000 repetitions, four standard errors.
static void test_exchangeable_coverage(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        double alpha;
    } rows[] = {{9, 0.1}, {20, 0.1}, {50, 0.1}, {30, 0.25}};
    enum { REPEATS = 20000 };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        Rng rng = rng_stream(11, SLICE("test"), i);
        size_t n = rows[i].n;
        double scores[64], covered = 0;
        for (int r = 0; r < REPEATS; r++) {
            for (size_t k = 0; k < n; k++) {
                scores[k] = conformal_score(rng_pareto(&rng, 1.5, 0.5), 1, 1);
            }
            qsort(scores, n, sizeof *scores, compare_doubles);
            double next = conformal_score(rng_pareto(&rng, 1.5, 0.5), 1, 1);
            covered += next <= conformal_offset(scores, n, rows[i].alpha);
        }
        double want = ceil((double)(n + 1) * (1 - rows[i].alpha) - 1e-9) / (double)(n + 1);
        double error = sqrt(want * (1 - want) / REPEATS);
        if (fabs(covered / REPEATS - want) > 4 * error) {
            fail_msg("n %zu, alpha %g: %g, not %g", n, rows[i].alpha, covered / REPEATS, want);
        }
    }
}

// Quantiles that are wrong by a factor get an interval that covers all the same; those that know
// where the data are rough keep their shape.
static void test_quantile_scores_cover(void **state)
{
    (void)state;
    enum { N = 39, REPEATS = 5000 };
    Rng rng = rng_stream(12, SLICE("test"), 0);
    double covered = 0;
    for (int r = 0; r < REPEATS; r++) {
        double scores[N];
        for (int k = 0; k < N; k++) {
            double x = rng_double(&rng);
            scores[k] = conformal_quantile_score(rng_normal(&rng, 0, x), -x, x);
        }
        qsort(scores, N, sizeof *scores, compare_doubles);
        double x = rng_double(&rng), offset = conformal_offset(scores, N, 0.1);
        double y = rng_normal(&rng, 0, x);
        covered += y >= -x - offset && y <= x + offset;
    }
    assert_true(fabs(covered / REPEATS - 0.9) <= 4 * sqrt(0.9 * 0.1 / REPEATS));
}

typedef double NextScore(Rng *r, int t, const AdaptiveConformal *a);
static double still(Rng *r, int t, const AdaptiveConformal *a)
{
    (void)t, (void)a;
    return rng_exponential(r, 1);
}
static double jumping(Rng *r, int t, const AdaptiveConformal *a)
{
    (void)a;
    return rng_exponential(r, t / 200 % 2 ? 30 : 1);
}
static double growing(Rng *r, int t, const AdaptiveConformal *a)
{
    (void)a;
    return rng_exponential(r, exp(t * 0.004));
}
// Always just outside of what is known: the worst there can be.
static double hostile(Rng *r, int t, const AdaptiveConformal *a)
{
    (void)r, (void)t;
    double offset = adaptive_offset(a);
    return isfinite(offset) ? offset + 1 : 0;
}
static double nothing(Rng *r, int t, const AdaptiveConformal *a)
{
    (void)r, (void)t, (void)a;
    return NAN;
}

// Gibbs and Candes 2021, proposition 4.1: whatever comes, the share of misses over T outcomes is
// within (max(alpha, 1 - alpha) + gamma) / (T gamma) of alpha. A theorem: no tolerance.
static void test_long_run_coverage(void **state)
{
    (void)state;
    static NextScore *const series[] = {still, jumping, growing, hostile, nothing};
    enum { T = 3000 };
    for (size_t s = 0; s < COUNT_OF(series); s++) {
        for (int g = 0; g < 3; g++) {
            double gamma = g == 0 ? 0.005 : g == 1 ? 0.02 : 0.2;
            AdaptiveConformal a;
            AdaptiveOptions o = {.coverage = 0.9, .gamma = gamma};
            Rng rng = rng_stream(13, SLICE("test"), s);
            assert_int_equal(adaptive_init(&a, &o, NULL), 0);
            for (int t = 0; t < T; t++) {
                double score = series[s](&rng, t, &a), offset = adaptive_offset(&a);
                bool missed = adaptive_tell(&a, score);
                // What is drawn is what is counted, but for an empty interval.
                assert_true(missed == (score > offset) || offset == 0 || isnan(score));
            }
            double bound = (0.9 + gamma) / (T * gamma);
            if (!(fabs(adaptive_missed(&a) - 0.1) <= bound)) {
                fail_msg("series %zu, gamma %g: %g missed", s, gamma, adaptive_missed(&a));
            }
        }
    }
}

// What the same scores would give without adapting, which is why it is done: after the jump a fixed
// offset of 200 earlier scores misses P(Exp(30) > 2.3) = 93 %.
static void test_seed_and_window(void **state)
{
    (void)state;
    AdaptiveConformal a;
    double scores[201];
    for (int i = 0; i < 201; i++) {
        scores[i] = i == 0 ? 1e9 : i;
    }
    assert_int_equal(adaptive_init(&a, &(AdaptiveOptions){.coverage = 0.9}, NULL), 0);
    assert_true(adaptive_offset(&a) == INFINITY);
    assert_true(isnan(adaptive_missed(&a)));
    adaptive_seed(&a, (double[]){NAN}, 1);
    assert_int_equal(a.count, 0);
    adaptive_seed(&a, scores, 201);
    assert_int_equal(a.count, 200);
    assert_true(a.sorted[0] == 1 && a.sorted[199] == 200); // the oldest is gone
    assert_true(adaptive_offset(&a) == 181);               // ceil(201 * 0.9)
    assert_true(adaptive_tell(&a, 182));
    assert_false(adaptive_tell(&a, 0));
    assert_true(adaptive_missed(&a) == 0.5);
}

static void test_options(void **state)
{
    (void)state;
    AdaptiveConformal a;
    static const struct {
        AdaptiveOptions options;
        int rc;
    } rows[] = {
        {{.coverage = 0}, ERR_ARG},
        {{.coverage = 1}, ERR_ARG},
        {{.coverage = NAN}, ERR_ARG},
        {{.coverage = 0.9, .gamma = 1}, ERR_ARG},
        {{.coverage = 0.9, .gamma = -0.1}, ERR_ARG},
        {{.coverage = 0.9, .window = CONFORMAL_WINDOW_MAX + 1}, ERR_ARG},
        {{.coverage = 0.9, .window = CONFORMAL_WINDOW_MAX}, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(adaptive_init(&a, &rows[i].options, NULL), rows[i].rc);
    }
    for (int i = 0; i <= CONFORMAL_WINDOW_MAX; i++) {
        (void)adaptive_tell(&a, i);
    }
    assert_int_equal(a.count, CONFORMAL_WINDOW_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_exchangeable_coverage),
        cmocka_unit_test(test_quantile_scores_cover),
        cmocka_unit_test(test_long_run_coverage),
        cmocka_unit_test(test_seed_and_window),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
