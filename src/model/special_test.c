#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/attr.h"
#include "model/special.h"

static void near_to(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance)) {
        fail_msg("%.17g, expected %.17g", got, want);
    }
}

static void relative(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance * fabs(want))) {
        fail_msg("%.17g, expected %.17g", got, want);
    }
}

// mpmath 1.3 gammainc at 40 digits; a = 1e6 by quadrature of the density.
static void test_gamma(void **state)
{
    (void)state;
    static const double rows[][4] = {
        {0.5, 0.1, 0.34527915398142298, 0.65472084601857702},
        {0.5, 3, 0.98569412156457036, 0.01430587843542964},
        {1, 1, 0.63212055882855768, 0.36787944117144232},
        {7.25, 2, 0.0032149107178667116, 0.99678508928213329},
        {7.25, 30, 0.99999982719645694, 1.7280354306301713e-7},
        {100, 80, 0.017108313035133114, 0.98289168696486689},
        {100, 100, 0.51329879827914866, 0.48670120172085134},
        {100, 130, 0.99724959163269347, 0.0027504083673065263},
        {10000.0, 9900, 0.15865119219356466, 0.84134880780643534},
        {10000.0, 10200.0, 0.9767126778664012, 0.023287322133598804},
        {1000000.0, 999000, 0.15865521357430365, 0.84134478642569635},
        {1000000.0, 1003000, 0.99863825935378241, 0.0013617406462175915},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        relative(special_gamma_p(rows[i][0], rows[i][1]), rows[i][2], 2e-12);
        relative(special_gamma_q(rows[i][0], rows[i][1]), rows[i][3], 2e-11);
    }
    assert_true(special_gamma_p(3, 0) == 0 && special_gamma_q(3, 0) == 1);
    assert_true(special_gamma_p(3, INFINITY) == 1 && special_gamma_q(3, INFINITY) == 0);
    assert_true(isnan(special_gamma_p(0, 1)) && isnan(special_gamma_q(1, -1)));
    assert_true(isnan(special_gamma_p(NAN, 1)) && isnan(special_log_kummer(0, 1, NULL)));
}

// S(1, x) = (e^x - 1) / x, and the mean of n under weights x^n / (n + 1)!.
static void test_kummer(void **state)
{
    (void)state;
    for (double x = 0.01; x < 300; x *= 3) {
        relative(special_log_kummer(1, x, NULL), log(expm1(x) / x), 1e-12);
        double mean;
        relative(special_log_kummer(1, x, &mean), log(expm1(x) / x), 1e-12);
        relative(mean, x * exp(x) / expm1(x) - 1, 1e-11 / fmin(1, x));
    }
    assert_true(fabs(special_log_kummer(2.5, 0, NULL) + log(2.5)) < 1e-15);
    // Far beyond what exp can hold: log(e^x / x).
    relative(special_log_kummer(1, 1e5, NULL), 1e5 - log(1e5), 1e-12);
}

static double cubic(const void *context, double x)
{
    return *(const double *)context * x * x * x;
}

static double wave(const void *context, double x)
{
    (void)context;
    return sin(x);
}

static void test_integral(void **state)
{
    (void)state;
    double four = 4;
    relative(special_integral(cubic, &four, (double[2]){1, 3}, 1), 80, 1e-14);
    relative(special_integral(wave, NULL, (double[2]){0, M_PI}, 2), 2, 1e-14);
}

static void exponential(const void *context, SpecialLine line, double complex *ret_values)
{
    (void)context;
    for (int k = 0; k < SPECIAL_LINE; k++) {
        ret_values[k] = 1 / (line.x + I * (k * line.h) + 1);
    }
}

// t / e^t is the inverse of 1 / (s + 1)^2.
static void gamma_like(const void *context, SpecialLine line, double complex *ret_values)
{
    exponential(context, line, ret_values);
    for (int k = 0; k < SPECIAL_LINE; k++) {
        ret_values[k] *= ret_values[k];
    }
}

static void test_inversion(void **state)
{
    (void)state;
    for (double t = 0.01; t < 30; t *= 1.7) {
        near_to(special_laplace_invert(exponential, NULL, t), exp(-t), 2e-8);
        near_to(special_laplace_invert(gamma_like, NULL, t), t * exp(-t), 2e-8);
    }
    assert_true(isnan(special_laplace_invert(exponential, NULL, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gamma),
        cmocka_unit_test(test_kummer),
        cmocka_unit_test(test_integral),
        cmocka_unit_test(test_inversion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
