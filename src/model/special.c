#include "model/special.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

// Near a = x both expansions need some multiple of sqrt(a) terms; this is enough for a = 1e12.
enum { TERMS_MAX = 20000000 };
#define TINY 1e-300

// log of x^a e^-x / Gamma(a), the factor that both expansions share.
static double log_factor(double a, double x)
{
    if (a < 100) {
        return a * log(x) - x - lgamma(a);
    }
    // Stirling's series by the distance of x from a: a log(x) - x and lgamma(a) are both about
    // a log(a), and their difference would lose as many digits as that has.
    double u = (x - a) / a;
    double deviance = fabs(u) < 0.01
                          ? u * u * (-0.5 + u * (1.0 / 3 - u * (0.25 - u * (0.2 - u / 6))))
                          : log1p(u) - u;
    double correction = (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / (a * a)) / (a * a)) / a;
    return a * deviance + 0.5 * log(a / (2 * M_PI)) - correction;
}

double special_log_kummer(double a, double x, double *ret_mean)
{
    if (!(a > 0 && x >= 0 && isfinite(a) && isfinite(x))) {
        return NAN;
    }
    if (x > a + 1 && !ret_mean) {
        // e^x x^-a (Gamma(a) - Gamma(a, x)).
        return log1p(-special_gamma_q(a, x)) - log_factor(a, x);
    }
    double term = 1;
    double sum = 1;
    double weighted = 0;
    double log_scale = -log(a);
    for (int n = 1; n < TERMS_MAX; n++) {
        term *= x / (a + n);
        sum += term;
        weighted += n * term;
        if (term < sum * 1e-17 && a + n > x) {
            break;
        }
        if (sum > 1e250) {
            term *= 1e-250;
            sum *= 1e-250;
            weighted *= 1e-250;
            log_scale += 250 * M_LN10;
        }
    }
    if (ret_mean) {
        *ret_mean = weighted / sum;
    }
    return log(sum) + log_scale;
}

// Gamma(a, x) e^x x^-a by Legendre's continued fraction (DLMF 8.9.2), modified Lentz method; x > a.
static double upper_fraction(double a, double x)
{
    double b = x + 1 - a;
    double c = 1 / TINY;
    double d = 1 / b;
    double h = d;
    for (int i = 1; i < TERMS_MAX; i++) {
        double an = -i * (i - a);
        b += 2;
        d = an * d + b;
        d = 1 / (fabs(d) < TINY ? TINY : d);
        c = b + an / c;
        c = fabs(c) < TINY ? TINY : c;
        double factor = d * c;
        h *= factor;
        if (fabs(factor - 1) < 1e-16) {
            break;
        }
    }
    return h;
}

static bool bad_gamma(double a, double x)
{
    return !(a > 0 && x >= 0 && isfinite(a));
}

double special_gamma_p(double a, double x)
{
    if (bad_gamma(a, x)) {
        return NAN;
    }
    if (x == 0 || isinf(x)) {
        return x != 0;
    }
    if (x > a + 1) {
        return 1 - exp(log_factor(a, x)) * upper_fraction(a, x);
    }
    return fmin(1, exp(log_factor(a, x) + special_log_kummer(a, x, NULL)));
}

double special_gamma_q(double a, double x)
{
    if (bad_gamma(a, x)) {
        return NAN;
    }
    if (x == 0 || isinf(x)) {
        return x == 0;
    }
    if (x > a + 1) {
        return exp(log_factor(a, x)) * upper_fraction(a, x);
    }
    return 1 - special_gamma_p(a, x);
}

double special_integral(SpecialFunction *f, const void *context, const double bounds[2], int panels)
{
    // Abscissas and weights of 16 points: Abramowitz & Stegun, table 25.4.
    static const double nodes[8] = {0.0950125098376374, 0.2816035507792589, 0.4580167776572274,
                                    0.6178762444026438, 0.7554044083550030, 0.8656312023878318,
                                    0.9445750230732326, 0.9894009349916499};
    static const double weights[8] = {0.1894506104550685, 0.1826034150449236, 0.1691565193950025,
                                      0.1495959888165767, 0.1246289712555339, 0.0951585116824928,
                                      0.0622535239386479, 0.0271524594117541};
    double half = (bounds[1] - bounds[0]) / (2 * panels);
    double sum = 0;
    for (int p = 0; p < panels; p++) {
        double middle = bounds[0] + half * (2 * p + 1);
        for (size_t i = 0; i < COUNT_OF(nodes); i++) {
            sum += weights[i] *
                   (f(context, middle - half * nodes[i]) + f(context, middle + half * nodes[i]));
        }
    }
    return sum * half;
}

double special_laplace_invert(SpecialTransform *transform, const void *context, double t)
{
    if (!(t > 0)) {
        return NAN;
    }
    // A = 18.4 makes the discretisation error e^-A = 1e-8. The alternating series is cut after
    // 15 terms and 11 more are averaged with binomial weights (Euler's summation), as the authors
    // advise.
    enum { DIRECT = 15, AVERAGED = SPECIAL_LINE - 1 - DIRECT };
    static const double binomial[AVERAGED + 1] = {1,   11,  55,  165, 330, 462,
                                                  462, 330, 165, 55,  11,  1};
    const double a = 18.4;
    double complex values[SPECIAL_LINE];
    transform(context, (SpecialLine){a / (2 * t), M_PI / t}, values);
    double sum = creal(values[0]) / 2;
    double averaged = 0;
    for (int k = 1; k < SPECIAL_LINE; k++) {
        sum += k % 2 ? -creal(values[k]) : creal(values[k]);
        if (k >= DIRECT) {
            averaged += binomial[k - DIRECT] / 2048 * sum;
        }
    }
    return exp(a / 2) / t * averaged;
}
