#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "stat/ranks.h"

static void near(double got, double want, double relative)
{
    if (!(fabs(got - want) <= relative * fabs(want) + 1e-14)) {
        fail_msg("got %.17g, want %.17g", got, want);
    }
}

typedef struct Expected {
    double statistic;
    double p;
    double p_less;
    double p_greater;
    bool exact;
} Expected;

static void check(RankTest t, Expected want)
{
    assert_true(t.statistic == want.statistic);
    assert_int_equal(t.exact, want.exact);
    near(t.p, want.p, 1e-10);
    near(t.p_less, want.p_less, 1e-10);
    near(t.p_greater, want.p_greater, 1e-10);
}

// Permeability of placenta, Hollander & Wolfe 1973 p. 69f, as in R's ?wilcox.test.
static const double at_term[] = {0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46};
static const double earlier[] = {1.15, 0.88, 0.90, 0.74, 1.21};
// Depression scale, Hollander & Wolfe 1973 p. 29f, same page of R.
static const double first[] = {1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30};
static const double second[] = {0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29};

// R prints W = 35, p-value = 0.1272 (greater). Digits: SciPy 1.17.1 mannwhitneyu(method='exact').
static void test_mann_whitney_exact(void **state)
{
    (void)state;
    check(ranks_mann_whitney(earlier, 5, at_term, 10),
          (Expected){35, 0.2544122544122544, 0.8967698967698967, 0.1272061272061272, true});
    // The largest exact case, 49 against 49. Same source.
    double x[49];
    double y[49];
    for (int i = 0; i < 49; i++) {
        x[i] = i * 37 % 101 + 0.5;
        y[i] = i * 53 % 97 * 1.1 + 3.03;
    }
    check(ranks_mann_whitney(x, 49, y, 49),
          (Expected){1256, 0.6972221144565829, 0.6540029881122916, 0.34861105722829144, true});
}

// R's ?wilcox.test, airquality, ozone in May and August: W = 127.5, p-value = 0.0001208 (ties).
// Digits: SciPy 1.17.1 mannwhitneyu(method='asymptotic').
static void test_mann_whitney_ties(void **state)
{
    (void)state;
    static const double may[] = {41, 36, 12, 18, 28, 23, 19, 8, 7,  16, 11, 14,  18,
                                 14, 34, 6,  30, 11, 1,  11, 4, 32, 23, 45, 115, 37};
    static const double august[] = {39, 9,  16, 78, 35, 66, 122, 89,  110, 44, 28,  65, 22,
                                    59, 23, 31, 44, 21, 9,  45,  168, 73,  76, 118, 84, 85};
    check(ranks_mann_whitney(august, 26, may, 26),
          (Expected){127.5, 0.00012080783076877434, 6.040391538438717e-05, 0.9999439498752809,
                     false});
}

// Fifty on a side are past the exact range. SciPy 1.17.1 mannwhitneyu(method='asymptotic').
static void test_edge_of_exact(void **state)
{
    (void)state;
    double x[RANKS_EXACT_BELOW];
    double y[RANKS_EXACT_BELOW];
    for (int i = 0; i < RANKS_EXACT_BELOW; i++) {
        x[i] = i * 37 % 101 + 0.5;
        y[i] = i * 53 % 97 * 1.1 + 3.03;
    }
    assert_true(ranks_mann_whitney(x, RANKS_EXACT_BELOW - 1, y, RANKS_EXACT_BELOW - 1).exact);
    check(ranks_mann_whitney(x, RANKS_EXACT_BELOW, y, RANKS_EXACT_BELOW - 1),
          (Expected){1260, 0.8092065943786029, 0.5981061954720768, 0.40460329718930144, false});
}

// R prints V = 40, p-value = 0.01953 (greater). Digits: SciPy 1.17.1 wilcoxon.
static void test_signed_rank(void **state)
{
    (void)state;
    check(ranks_signed(second, first, 9), (Expected){40, 0.0390625, 0.986328125, 0.01953125, true});
    // Ties and zeros: wilcoxon(method='approx', correction=True).
    static const double x[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    static const double y[] = {2, 2, 5, 5, 4, 8, 9, 8, 12, 13};
    check(ranks_signed(x, y, 10),
          (Expected){34, 0.02817965491078829, 0.9902641386402907, 0.014089827455394145, false});
    assert_true(isnan(ranks_signed(x, x, 10).p));
}

// Hollander & Wolfe: shift 0.305, 96 % interval (-0.15, 0.76). Confidence: 1 - 2 P(U <= 8), SciPy's
// null distribution gives P = 0.019980019980019977.
static void test_shift(void **state)
{
    (void)state;
    Shift s;
    assert_int_equal(ranks_shift(earlier, 5, at_term, 10, 0.95, &s, NULL), 0);
    near(s.estimate, 0.305, 1e-12);
    near(s.interval.low, -0.15, 1e-12);
    near(s.interval.high, 0.76, 1e-12);
    near(s.interval.confidence, 1 - 2 * 0.019980019980019977, 1e-12);
}

// Hollander & Wolfe: -0.46, 96.1 % interval (-0.786, -0.010) for second minus first.
static void test_paired_shift(void **state)
{
    (void)state;
    Shift s;
    assert_int_equal(ranks_paired_shift(first, second, 9, 0.95, &s, NULL), 0);
    near(s.estimate, -0.46, 1e-12);
    near(s.interval.low, -0.786, 1e-12);
    near(s.interval.high, -0.010, 1e-10);
    near(s.interval.confidence, 1 - 20.0 / 512, 1e-12);
}

static void test_few_and_many(void **state)
{
    (void)state;
    Shift s;
    Err e;
    // Three against three: U = 0 has 1 chance in 20 on either side, so 0.9 is all there is.
    assert_int_equal(ranks_shift(first, 3, second, 3, 0.95, &s, NULL), 0);
    near(s.interval.confidence, 0.9, 1e-12);
    near(ranks_mann_whitney((double[]){1, 2, 3}, 3, (double[]){4, 5, 6}, 3).p, 0.1, 1e-12);
    assert_int_equal(ranks_shift(first, 0, second, 3, 0.95, &s, &e), ERR_ARG);
    assert_int_equal(ranks_paired_shift(first, second, 0, 0.95, &s, &e), ERR_ARG);
    assert_int_equal(ranks_shift(first, 1 << 12, second, (1 << 10) + 1, 0.95, &s, &e), ERR_LIMIT);
    assert_int_equal(ranks_paired_shift(first, second, 2897, 0.95, &s, &e), ERR_LIMIT);
    assert_true(isnan(ranks_mann_whitney(first, 0, second, 3).p));
    // All equal: nothing to tell.
    assert_true(ranks_mann_whitney((double[]){1, 1}, 2, (double[]){1, 1, 1}, 3).p == 1);
}

// Sixty on a side use the normal critical value; the interval still holds the estimate and the
// truth.
static void test_large_shift(void **state)
{
    (void)state;
    double x[60];
    double y[60];
    for (int i = 0; i < 60; i++) {
        x[i] = i * 37 % 101;
        y[i] = i * 53 % 97 + 20;
    }
    Shift s;
    assert_int_equal(ranks_shift(x, 60, y, 60, 0.95, &s, NULL), 0);
    assert_true(s.estimate == 16 && s.interval.low == 5 && s.interval.high == 27);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mann_whitney_exact),
        cmocka_unit_test(test_mann_whitney_ties),
        cmocka_unit_test(test_edge_of_exact),
        cmocka_unit_test(test_signed_rank),
        cmocka_unit_test(test_shift),
        cmocka_unit_test(test_paired_shift),
        cmocka_unit_test(test_few_and_many),
        cmocka_unit_test(test_large_shift),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
