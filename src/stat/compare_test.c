#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/attr.h"
#include "stat/compare.h"

static void near(double got, double want, double relative)
{
    if (!(fabs(got - want) <= relative * fabs(want))) {
        fail_msg("got %.17g, want %.17g", got, want);
    }
}

// R's data set `sleep` (Student 1908), groups 1 and 2.
static const double sleep1[] = {0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0};
static const double sleep2[] = {1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4};

static const double before[] = {102, 98, 105, 110, 101};
static const double after[] = {109, 113, 108, 119, 111};

// The documentation example of R's t.test: t = 1.8608, df = 17.776, p = 0.07939, interval
// -0.2054832 3.3654832 (signs turned: group 2 minus group 1). All digits from SciPy 1.17.1
// scipy.stats.ttest_ind(equal_var=False).
static void test_welch_sleep(void **state)
{
    (void)state;
    Comparison c = compare_welch(sleep1, 10, sleep2, 10, 0.95);
    near(c.estimate, 1.58, 1e-12);
    near(c.t, 1.8608134674868526, 1e-12);
    near(c.df, 17.776473516178488, 1e-12);
    near(c.p, 0.0793941401873583, 1e-11);
    near(c.p_less, 0.9603029299063208, 1e-11);
    near(c.p_greater, 0.03969707009367915, 1e-11);
    near(c.interval.low, -0.20548323071171137, 1e-10);
    near(c.interval.high, 3.3654832307117104, 1e-11);
}

// R: t.test(paired = TRUE) on the same data: t = 4.0621, df = 9, p = 0.002833, 0.7001142 2.4598858.
static void test_paired_sleep(void **state)
{
    (void)state;
    Comparison c = compare_paired(sleep1, sleep2, 10, 0.95);
    near(c.t, 4.062127683382037, 1e-12);
    near(c.p, 0.002832890197384273, 1e-11);
    near(c.interval.low, 0.7001142367230175, 1e-11);
    near(c.interval.high, 2.459885763276983, 1e-11);
}

// SciPy 1.17.1 ttest_ind and ttest_rel on numpy.log of the values, ends through numpy.exp.
static void test_ratios(void **state)
{
    (void)state;
    Comparison c = compare_welch_ratio(before, 5, after, 5, 0.95);
    near(c.estimate, 1.0854599557887994, 1e-12);
    near(c.interval.low, 1.022080001993178, 1e-12);
    near(c.interval.high, 1.1527701484456658, 1e-12);
    near(c.p, 0.013841245955367969, 1e-10);
    near(c.df, 7.868563959865941, 1e-10);
    c = compare_paired_ratio(before, after, 5, 0.95);
    near(c.interval.low, 1.030680064648174, 1e-12);
    near(c.interval.high, 1.1431513580533, 1e-12);
    near(c.p, 0.011721952323641692, 1e-10);
    // Turning the groups around inverts the ratio.
    Comparison back = compare_welch_ratio(after, 5, before, 5, 0.95);
    near(back.interval.high * 1.022080001993178, 1, 1e-12);
}

// SciPy 1.17.1: the larger p of the two ttest_ind(alternative='greater' / 'less') against the
// margins.
static void test_equivalence(void **state)
{
    (void)state;
    Comparison c = compare_welch(sleep2, 10, sleep1, 10, 0.95);
    near(compare_equivalence_p(&c, -4, 1), 0.005361624103159107, 1e-10);
    c = compare_welch(sleep1, 10, sleep2, 10, 0.95);
    near(compare_equivalence_p(&c, -1, 4), 0.005361624103159107, 1e-10);
    c = compare_welch_ratio(before, 5, after, 5, 0.9);
    double p = compare_equivalence_p(&c, 0.95, 1.2);
    near(p, 0.0024947602837631687, 1e-9);
    // p < 5 % exactly when the 90 % interval lies inside the margin.
    assert_true(c.interval.low > 0.95 && c.interval.high < 1.2);
    assert_true(compare_equivalence_p(&c, 0.95, c.interval.high * 0.9999) > 0.05);
    assert_true(compare_equivalence_p(&c, 0.95, c.interval.high * 1.0001) < 0.05);
}

static void test_degenerate(void **state)
{
    (void)state;
    static const double three[] = {3, 3, 3};
    static const double four[] = {4, 4, 4};
    Comparison c = compare_welch(three, 1, four, 3, 0.95);
    assert_true(isnan(c.p) && isinf(c.interval.low) && isinf(c.interval.high));
    assert_true(isnan(compare_equivalence_p(&c, -1, 1)));
    c = compare_welch(three, 3, four, 3, 0.95);
    assert_true(c.p == 0 && c.interval.low == 1 && c.interval.high == 1);
    assert_true(compare_equivalence_p(&c, -2, 2) == 0);
    c = compare_welch(three, 3, three, 2, 0.95);
    assert_true(c.p == 1 && c.estimate == 0);
    c = compare_welch_ratio(sleep1, 10, sleep2, 10, 0.95);
    assert_true(isnan(c.p) && c.interval.low == 0 && isinf(c.interval.high));
    c = compare_paired(three, four, 0, 0.95);
    assert_true(isnan(c.p));
}

// Benjamini & Hochberg 1995, section 3.2, the fifteen p-values of Neuhaus et al.: the first
// four are rejected at q = 0.05. Adjusted values: SciPy 1.17.1 stats.false_discovery_control.
static void test_fdr(void **state)
{
    (void)state;
    static const double p[] = {.0001, .0004, .0019, .0095, .0201, .0278, .0298, .0344,
                               .0459, .3240, .4262, .5719, .6528, .7590, 1.0};
    static const double want[] = {0.0015,
                                  0.003,
                                  0.0095,
                                  0.035625,
                                  0.0603,
                                  0.06385714285714286,
                                  0.06385714285714286,
                                  0.0645,
                                  0.07650000000000001,
                                  0.486,
                                  0.5811818181818181,
                                  0.7148749999999999,
                                  0.7532307692307693,
                                  0.8132142857142857,
                                  1.0};
    enum { N = COUNT_OF(p) };
    double adjusted[N];
    compare_adjust_fdr(p, N, adjusted);
    for (size_t i = 0; i < N; i++) {
        near(adjusted[i], want[i], 1e-12);
    }
    // Any order, in place, with a hole that does not count.
    double shuffled[N + 1];
    for (size_t i = 0; i < N; i++) {
        shuffled[i * 7 % N] = p[i];
    }
    shuffled[N] = NAN;
    compare_adjust_fdr(shuffled, N + 1, shuffled);
    for (size_t i = 0; i < N; i++) {
        near(shuffled[i * 7 % N], want[i], 1e-12);
    }
    assert_true(isnan(shuffled[N]));
    compare_adjust_fdr(p, 0, adjusted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_welch_sleep), cmocka_unit_test(test_paired_sleep),
        cmocka_unit_test(test_ratios),      cmocka_unit_test(test_equivalence),
        cmocka_unit_test(test_degenerate),  cmocka_unit_test(test_fdr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
