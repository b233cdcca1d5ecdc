// Sums, minima and maxima on the grid against closed forms (exponential, Erlang, hypoexponential).
#include "model/spread.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"

static double exponential(const void *context, double t)
{
    return 1 - exp(-t / *(const double *)context);
}

#define NEAR(a, b, relative) assert_true(fabs((a) - (double)(b)) <= (relative)*fabs((double)(b)))

static void the_sum_of_exponentials_is_erlang(void **state)
{
    (void)state;
    double mean = 0.25;
    Spread one, two, sum;
    spread_of_function(&one, exponential, &mean);
    spread_exponential(&two, 1, mean);
    NEAR(spread_mean(&one), mean, 0.002);
    NEAR(spread_mean(&two), mean, 1e-9);
    NEAR(spread_scv(&two), 1, 0.01);
    spread_add(&sum, &two, &two);
    NEAR(spread_mean(&sum), 2 * mean, 1e-9);
    NEAR(spread_total(&sum), 1, 1e-9);
    // Erlang-2: median 1.678347, p99 6.638352 (chi-square tables, 4 degrees of freedom, halved).
    NEAR(spread_quantile(&sum, 0.5), 1.678347 * mean, 0.01);
    NEAR(spread_quantile(&sum, 0.99), 6.638352 * mean, 0.01);
    NEAR(spread_cdf(&sum, 1.678347 * mean), 0.5, 0.01);
}

static void the_earlier_and_the_later_of_two(void **state)
{
    (void)state;
    Spread a, b, least, most;
    spread_exponential(&a, 1, 1.0);
    spread_exponential(&b, 1, 0.5);
    spread_copy(&least, &a);
    spread_min(&least, &b);
    NEAR(spread_mean(&least), 1.0 / 3, 0.02); // rates add
    spread_copy(&most, &a);
    spread_max(&most, &b);
    NEAR(spread_mean(&most), 1.5 - 1.0 / 3, 0.01); // inclusion and exclusion
    NEAR(spread_total(&most), 1, 1e-9);
    // What never happens: max needs both, min one.
    spread_scale(&a, 0.5);
    spread_copy(&most, &a);
    spread_max(&most, &b);
    NEAR(spread_total(&most), 0.5, 1e-6);
    spread_copy(&least, &a);
    spread_min(&least, &b);
    NEAR(spread_total(&least), 1, 1e-6);
    assert_true(isinf(spread_quantile(&most, 0.6)));
}

static void cuts_delays_and_constants(void **state)
{
    (void)state;
    Spread s, none;
    spread_exponential(&s, 1, 2.0);
    double gone = spread_cut(&s, 3.0);
    NEAR(gone, exp(-1.5), 0.01);
    NEAR(spread_total(&s) + gone, 1, 1e-9);
    assert_true(spread_quantile(&s, spread_total(&s)) <= 3.0 * 1.03);
    spread_clear(&s);
    spread_put(&s, 0.7, 0.4);
    spread_put(&s, 0.0, 0.6);
    NEAR(spread_mean(&s), 0.28, 1e-9);
    spread_delay(&s, 1.0);
    NEAR(spread_mean(&s), 1.28, 1e-9);
    spread_stretch(&s, 2.5);
    NEAR(spread_mean(&s), 3.2, 1e-9);
    spread_none(&none);
    Spread sum;
    spread_add(&sum, &s, &none);
    NEAR(spread_mean(&sum), 3.2, 1e-9);
    NEAR(spread_mean_until(&none, 5), 0.0 + 1e-300, 1);
    spread_exponential(&s, 1, 2.0);
    NEAR(spread_mean_until(&s, 3.0), 2.0 * (1 - exp(-1.5)), 0.01);
}

// The table of diagonals against what it stands for: the sum of two points has their mean, and lies
// within one step of it.
static void sums_of_points_are_exact(void **state)
{
    (void)state;
    for (int d = 0; d < 150; d++) {
        Spread a, b, sum;
        spread_clear(&a);
        spread_clear(&b);
        spread_put(&a, spread_time(200) * 1.0000001, 1);
        spread_put(&b, spread_time(200 - d) * 1.0000001, 1);
        spread_add(&sum, &a, &b);
        NEAR(spread_mean(&sum), spread_time(200) + spread_time(200 - d), 1e-5);
        NEAR(spread_total(&sum), 1, 1e-12);
        assert_true(spread_scv(&sum) < 2e-3);
    }
}

static void the_grid_ends(void **state)
{
    (void)state;
    Spread s, sum;
    spread_clear(&s);
    spread_put(&s, 1e9, 1);
    spread_add(&sum, &s, &s);
    NEAR(spread_total(&sum), 1, 1e-9); // no mass is lost past the end
    assert_int_equal(sum.high, SPREAD_CELLS);
    spread_clear(&s);
    spread_put(&s, 1e-9, 1);
    assert_true(s.zero == 1);
    assert_true(spread_quantile(&s, 0.99) == 0);
    spread_stretch(&s, 3);
    assert_true(s.zero == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sum_of_exponentials_is_erlang),
        cmocka_unit_test(the_earlier_and_the_later_of_two),
        cmocka_unit_test(cuts_delays_and_constants),
        cmocka_unit_test(sums_of_points_are_exact),
        cmocka_unit_test(the_grid_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
