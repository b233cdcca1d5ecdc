#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/rng.h"
#include "model/bayes_opt.h"

// Dixon, Szego: "Towards Global Optimization 2", 1978: minimum 0.397887 at (-pi, 12.275),
// (pi, 2.275) and (9.42478, 2.475).
static double branin(const double *x)
{
    double bowl = x[1] - 5.1 / (4 * M_PI * M_PI) * x[0] * x[0] + 5 / M_PI * x[0] - 6;
    return bowl * bowl + 10 * (1 - 1 / (8 * M_PI)) * cos(x[0]) + 10;
}

// The same source: minimum -3.32237 at (.20169, .150011, .476874, .275332, .311652, .6573); the
// next best hill is at -3.2032.
static double hartmann6(const double *x)
{
    static const double weights[4] = {1, 1.2, 3, 3.2};
    static const double a[4][6] = {{10, 3, 17, 3.5, 1.7, 8},
                                   {0.05, 10, 17, 0.1, 8, 14},
                                   {3, 3.5, 1.7, 10, 17, 8},
                                   {17, 8, 0.05, 10, 0.1, 14}};
    static const double p[4][6] = {{0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886},
                                   {0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991},
                                   {0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650},
                                   {0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381}};
    double sum = 0;
    for (int i = 0; i < 4; i++) {
        double inner = 0;
        for (int k = 0; k < 6; k++) {
            inner += a[i][k] * (x[k] - p[i][k]) * (x[k] - p[i][k]);
        }
        sum -= weights[i] * exp(-inner);
    }
    return sum;
}

static const BayesParam BRANIN[] = {{SLICE_INIT("x"), BAYES_REAL, -5, 10},
                                    {SLICE_INIT("y"), BAYES_REAL, 0, 15}};
static const BayesParam UNIT[] = {
    {SLICE_INIT("a"), BAYES_REAL, 0, 1}, {SLICE_INIT("b"), BAYES_REAL, 0, 1},
    {SLICE_INIT("c"), BAYES_REAL, 0, 1}, {SLICE_INIT("d"), BAYES_REAL, 0, 1},
    {SLICE_INIT("e"), BAYES_REAL, 0, 1}, {SLICE_INIT("f"), BAYES_REAL, 0, 1}};

static double minimise(const BayesOptions *o, double (*f)(const double *x), int budget,
                       size_t batch)
{
    BayesOpt *b;
    double points[8 * BAYES_PARAMS_MAX], best = NAN;
    assert_int_equal(bayes_opt_create(o, &b, NULL), 0);
    for (int i = 0; i < budget; i += (int)batch) {
        assert_int_equal(bayes_opt_ask(b, batch, points, NULL), 0);
        for (size_t k = 0; k < batch; k++) {
            const double *point = points + k * o->param_count;
            assert_int_equal(bayes_opt_tell(b, point, f(point), NULL, NULL), 0);
        }
    }
    assert_true(bayes_opt_best(b, points, &best));
    assert_true(best == f(points));
    bayes_opt_destroy(b);
    return best;
}

// 40 trials one after the other, and in batches of four; the function goes up to 308.
static void test_branin(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        for (size_t batch = 1; batch <= 4; batch += 3) {
            double best = minimise(&(BayesOptions){BRANIN, 2, .seed = seed}, branin, 40, batch);
            if (!(best >= 0.397887 - 1e-6 && best < 0.397887 + 0.01)) {
                fail_msg("seed %d, batch %d: %g", (int)seed, (int)batch, best);
            }
        }
    }
}

// Below -3.1 are the two lowest hills only.
static void test_hartmann6(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        double best = minimise(&(BayesOptions){UNIT, 6, .seed = seed}, hartmann6, 80, 2);
        if (!(best >= -3.32237 - 1e-5 && best < -3.1)) {
            fail_msg("seed %d: %g", (int)seed, best);
        }
    }
}

// Gardner et al. 2014, section 4.1: minimise cos(2x) cos(y) + sin(x) where cos(x) cos(y) - sin(x)
// sin(y) <= 0.5, x and y in 0..6. A grid of a million points is the truth.
static double gardner(double x, double y, double *ret_constraint)
{
    *ret_constraint = cos(x) * cos(y) - sin(x) * sin(y) - 0.5;
    return cos(2 * x) * cos(y) + sin(x);
}

static void test_constraint(void **state)
{
    (void)state;
    static const BayesParam params[] = {{SLICE_INIT("x"), BAYES_REAL, 0, 6},
                                        {SLICE_INIT("y"), BAYES_REAL, 0, 6}};
    double lowest = INFINITY, constraint, best, point[2];
    for (int i = 0; i <= 1000; i++) {
        for (int k = 0; k <= 1000; k++) {
            double value = gardner(i * 0.006, k * 0.006, &constraint);
            lowest = constraint <= 0 ? fmin(lowest, value) : lowest;
        }
    }
    for (uint64_t seed = 1; seed <= 3; seed++) {
        BayesOpt *b;
        BayesOptions o = {params, 2, .constraint_count = 1, .seed = seed};
        assert_int_equal(bayes_opt_create(&o, &b, NULL), 0);
        for (int i = 0; i < 40; i++) {
            assert_int_equal(bayes_opt_ask(b, 1, point, NULL), 0);
            double value = gardner(point[0], point[1], &constraint);
            assert_int_equal(bayes_opt_tell(b, point, value, &constraint, NULL), 0);
        }
        assert_true(bayes_opt_best(b, point, &best));
        (void)gardner(point[0], point[1], &constraint);
        assert_true(constraint <= 0);
        // The function spans 4; a hundredth of it.
        if (!(best < lowest + 0.04)) {
            fail_msg("seed %d: %g, the lowest is %g", (int)seed, best, lowest);
        }
        bayes_opt_destroy(b);
    }
}

// A timeout over three decades, whole attempts and a choice; half of the trials with the worst
// choice fail. The best is known by how the function is written.
static double mixed(const double *x)
{
    if (x[2] == 3 && x[1] > 2) {
        return NAN;
    }
    double off = log(x[0] / 0.7);
    return off * off + fabs(x[1] - 4) * 0.3 + (x[2] == 1 ? 0 : 0.5) + (x[2] == 3 ? 1e6 : 0);
}

static void test_mixed_parameters_and_failures(void **state)
{
    (void)state;
    static const BayesParam params[] = {{SLICE_INIT("timeout"), BAYES_LOG, 0.01, 30},
                                        {SLICE_INIT("attempts"), BAYES_WHOLE, 1, 5},
                                        {SLICE_INIT("order"), BAYES_CHOICE, 0, 3}};
    for (uint64_t seed = 1; seed <= 3; seed++) {
        BayesOpt *b;
        double point[3], best;
        assert_int_equal(bayes_opt_create(&(BayesOptions){params, 3, .seed = seed}, &b, NULL), 0);
        for (int i = 0; i < 50; i++) {
            assert_int_equal(bayes_opt_ask(b, 1, point, NULL), 0);
            assert_true(point[1] == round(point[1]) && point[2] == round(point[2]));
            assert_int_equal(bayes_opt_tell(b, point, mixed(point), NULL, NULL), 0);
        }
        assert_true(bayes_opt_best(b, point, &best));
        if (!(best < 0.05 && point[1] == 4 && point[2] == 1)) {
            fail_msg("seed %d: %g at %g %g %g", (int)seed, best, point[0], point[1], point[2]);
        }
        bayes_opt_destroy(b);
    }
}

// Twelve points in all: each is asked once, then there is nothing left.
static void test_a_small_range_ends(void **state)
{
    (void)state;
    static const BayesParam params[] = {{SLICE_INIT("servers"), BAYES_WHOLE, 18, 21},
                                        {SLICE_INIT("order"), BAYES_CHOICE, 0, 2},
                                        {SLICE_INIT("fixed"), BAYES_REAL, 4, 4}};
    BayesOpt *b;
    double point[3];
    int seen[4][3] = {0};
    assert_int_equal(bayes_opt_create(&(BayesOptions){params, 3, .first = 3, .seed = 1}, &b, NULL),
                     0);
    for (int i = 0; i < 12; i++) {
        assert_int_equal(bayes_opt_ask(b, 1, point, NULL), 0);
        assert_true(point[2] == 4);
        assert_int_equal(seen[(int)point[0] - 18][(int)point[1]]++, 0);
        assert_int_equal(bayes_opt_tell(b, point, point[0], NULL, NULL), 0);
    }
    assert_int_equal(bayes_opt_ask(b, 1, point, NULL), ERR_NOT_FOUND);
    bayes_opt_destroy(b);
}

static void test_same_seed_same_points(void **state)
{
    (void)state;
    double points[2][30][2];
    for (int run = 0; run < 2; run++) {
        BayesOpt *b;
        assert_int_equal(bayes_opt_create(&(BayesOptions){BRANIN, 2, .seed = 5}, &b, NULL), 0);
        for (int i = 0; i < 15; i++) {
            assert_int_equal(bayes_opt_ask(b, 2, points[run][2 * i], NULL), 0);
            // In the other order than they were asked for.
            for (int k = 1; k >= 0; k--) {
                double *point = points[run][2 * i + k];
                assert_int_equal(bayes_opt_tell(b, point, branin(point), NULL, NULL), 0);
            }
        }
        bayes_opt_destroy(b);
    }
    assert_memory_equal(points[0], points[1], sizeof points[0]);
}

static void test_what_is_told_only(void **state)
{
    (void)state;
    BayesOpt *b;
    double point[2], value;
    assert_int_equal(bayes_opt_create(&(BayesOptions){BRANIN, 2, .constraint_count = 1}, &b, NULL),
                     0);
    assert_false(bayes_opt_best(b, point, &value));
    // Failed, broke the constraint, nobody measured the constraint.
    assert_int_equal(bayes_opt_tell(b, (double[]){0, 0}, INFINITY, (double[]){-1}, NULL), 0);
    assert_int_equal(bayes_opt_tell(b, (double[]){1, 0}, -9, (double[]){1}, NULL), 0);
    assert_int_equal(bayes_opt_tell(b, (double[]){2, 0}, -9, NULL, NULL), 0);
    assert_false(bayes_opt_best(b, point, &value));
    assert_int_equal(bayes_opt_tell(b, (double[]){3, 0}, 4, (double[]){0}, NULL), 0);
    assert_true(bayes_opt_best(b, point, &value));
    assert_true(point[0] == 3 && value == 4);
    assert_int_equal(bayes_opt_told(b), 4);
    Err e;
    assert_int_equal(bayes_opt_tell(b, (double[]){11, 0}, 4, (double[]){0}, &e), ERR_ARG);
    assert_non_null(strstr(e.text, "range of x"));
    bayes_opt_destroy(b);
}

static void test_limits(void **state)
{
    (void)state;
    static const BayesParam bad[][1] = {{{SLICE_INIT("a"), BAYES_REAL, 1, 0}},
                                        {{SLICE_INIT("a"), BAYES_REAL, 0, INFINITY}},
                                        {{SLICE_INIT("a"), BAYES_LOG, 0, 1}},
                                        {{SLICE_INIT("a"), BAYES_WHOLE, 0.5, 2}},
                                        {{SLICE_INIT("a"), BAYES_CHOICE, 0, BAYES_CHOICES_MAX}}};
    BayesOpt *b;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(bayes_opt_create(&(BayesOptions){bad[i], 1}, &b, NULL), ERR_ARG);
    }
    BayesParam many[BAYES_PARAMS_MAX];
    for (size_t i = 0; i < BAYES_PARAMS_MAX; i++) {
        many[i] = (BayesParam){SLICE_INIT("a"), BAYES_CHOICE, 0, BAYES_CHOICES_MAX - 1};
    }
    assert_int_equal(bayes_opt_create(&(BayesOptions){many, 0}, &b, NULL), ERR_LIMIT);
    assert_int_equal(bayes_opt_create(&(BayesOptions){many, BAYES_PARAMS_MAX + 1}, &b, NULL),
                     ERR_LIMIT);
    assert_int_equal(bayes_opt_create(&(BayesOptions){many, 5}, &b, NULL), ERR_LIMIT);
    assert_int_equal(
        bayes_opt_create(&(BayesOptions){many, 1, .constraint_count = BAYES_CONSTRAINTS_MAX + 1},
                         &b, NULL),
        ERR_LIMIT);
    assert_int_equal(bayes_opt_create(&(BayesOptions){many, 4}, &b, NULL), 0);
    bayes_opt_destroy(b);
    double points[2 * (BAYES_PENDING_MAX + 1)];
    assert_int_equal(bayes_opt_create(&(BayesOptions){BRANIN, 2}, &b, NULL), 0);
    assert_int_equal(bayes_opt_ask(b, BAYES_PENDING_MAX + 1, points, NULL), ERR_LIMIT);
    assert_int_equal(bayes_opt_ask(b, BAYES_PENDING_MAX, points, NULL), 0);
    assert_int_equal(bayes_opt_ask(b, 1, points, NULL), ERR_LIMIT);
    bayes_opt_destroy(b);
    assert_int_equal(bayes_opt_create(&(BayesOptions){BRANIN, 2}, &b, NULL), 0);
    for (int i = 0; i < BAYES_POINTS_MAX; i++) {
        assert_int_equal(bayes_opt_tell(b, (double[]){0, i * 0.01}, 1, NULL, NULL), 0);
    }
    assert_int_equal(bayes_opt_tell(b, (double[]){1, 1}, 1, NULL, NULL), ERR_LIMIT);
    assert_int_equal(bayes_opt_ask(b, 1, points, NULL), ERR_LIMIT);
    bayes_opt_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_branin),
        cmocka_unit_test(test_hartmann6),
        cmocka_unit_test(test_constraint),
        cmocka_unit_test(test_mixed_parameters_and_failures),
        cmocka_unit_test(test_a_small_range_ends),
        cmocka_unit_test(test_same_seed_same_points),
        cmocka_unit_test(test_what_is_told_only),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
