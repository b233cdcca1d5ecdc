// Everything but the normal distribution is the incomplete beta function in disguise: binomial
// tails, Student's t, and the inverses of both. So accuracy is spent in one place.
//
// I_x(a, b) is a prefactor x^a y^b / B(a, b) times a continued fraction (DLMF 8.17.22). Computed
// from lgamma, the prefactor loses a digit for every digit of a + b: with the counts of a load
// test, 1e8 requests, half of the sixteen are gone. Loader's saddle-point form ("Fast and accurate
// computation of binomial probabilities", 2000; R's dbinom) subtracts nothing large, so it is used
// here.
#include "stat/dist.h"

#include <math.h>
#include <stdbool.h>

#define LOG_SQRT_2PI 0.91893853320467274178
#define LOGIT_MAX    700.0 // exp of it is still finite

enum { FRACTION_STEPS_MAX = 200000, NEWTON_STEPS_MAX = 200 };

double dist_normal_cdf(double z)
{
    return 0.5 * erfc(-z * M_SQRT1_2);
}

double dist_normal_quantile(double p)
{
    if (!(p >= 0 && p <= 1)) {
        return NAN;
    }
    if (p == 0 || p == 1) {
        return p == 0 ? -INFINITY : INFINITY;
    }
    if (p >= 0.5) {
        return p == 0.5 ? 0 : -dist_normal_quantile(1 - p);
    }
    // Abramowitz & Stegun 26.2.23, error below 4.5e-4; three of Halley's steps, which triple the
    // number of right digits each, take it to the last bit.
    double t = sqrt(-2 * log(p));
    double z = (2.515517 + t * (0.802853 + t * 0.010328)) /
                   (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))) -
               t;
    for (int i = 0; i < 3; i++) {
        // Relative to the density, and through logarithms, since p may be as small as 1e-300.
        double cdf = dist_normal_cdf(z);
        double u = (cdf - p) / cdf * exp(log(cdf) + z * z / 2 + LOG_SQRT_2PI);
        z -= u / (1 + z * u / 2);
    }
    return z;
}

// log(n!) minus Stirling's approximation of it.
static double stirling_error(double n)
{
    if (n < 16) {
        return lgamma(n + 1) - (n + 0.5) * log(n) + n - LOG_SQRT_2PI;
    }
    double nn = n * n;
    return (1.0 / 12 - (1.0 / 360 - (1.0 / 1260 - (1.0 / 1680 - 1.0 / 1188 / nn) / nn) / nn) / nn) /
           n;
}

// x log(x / m) + m - x without cancellation near x = m.
static double deviance(double x, double m)
{
    if (fabs(x - m) >= 0.1 * (x + m)) {
        return x * log(x / m) + m - x;
    }
    // log(x / m) = 2 atanh(v); the term in v^1 combines with m - x to (x - m) v.
    double v = (x - m) / (x + m);
    double sum = (x - m) * v;
    double term = 2 * x * v;
    for (int j = 1; j < 1000; j++) {
        term *= v * v;
        double next = sum + term / (2 * j + 1);
        if (next == sum) {
            break;
        }
        sum = next;
    }
    return sum;
}

// log(x^a y^b / B(a, b)) for y = 1 - x, which the caller often knows better than 1 - x.
static double log_prefactor(double a, double b, double x, double y)
{
    double n = a + b;
    return stirling_error(n) - stirling_error(a) - stirling_error(b) - deviance(a, n * x) -
           deviance(b, n * y) + 0.5 * log(a / n * b) - LOG_SQRT_2PI;
}

// The continued fraction by Lentz's method as modified by Thompson and Barnett.
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1;
    double d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double value = d;
    for (int m = 1; m <= FRACTION_STEPS_MAX; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 + even * d;
        c = 1 + even / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        value *= d * c;
        d = 1 + odd * d;
        c = 1 + odd / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        double step = d * c;
        value *= step;
        if (fabs(step - 1) < 1e-15) {
            break;
        }
    }
    return value;
}

// log I_x(a, b); y is 1 - x.
static double log_lower(double a, double b, double x, double y)
{
    if (x <= 0 || y <= 0) {
        return x <= 0 ? -INFINITY : 0;
    }
    if (x * (a + b + 2) <= a + 1) {
        return log_prefactor(a, b, x, y) + log(beta_fraction(a, b, x) / a);
    }
    return log1p(-exp(log_prefactor(a, b, x, y)) * beta_fraction(b, a, y) / b);
}

static double lower(double a, double b, double x, double y)
{
    if (!(a > 0 && b > 0 && x >= 0 && y >= 0)) {
        return NAN;
    }
    if (x <= 0 || y <= 0) {
        return x <= 0 ? 0 : 1;
    }
    if (x * (a + b + 2) <= a + 1) {
        return exp(log_prefactor(a, b, x, y)) * beta_fraction(a, b, x) / a;
    }
    return 1 - exp(log_prefactor(a, b, x, y)) * beta_fraction(b, a, y) / b;
}

double dist_beta_cdf(double x, double a, double b)
{
    return lower(a, b, x, 1 - x);
}

double dist_beta_survival(double x, double a, double b)
{
    return lower(b, a, 1 - x, x);
}

// A point of the unit interval with both distances to its ends.
typedef struct UnitPoint {
    double x;
    double y;
} UnitPoint;

static UnitPoint from_logit(double t)
{
    return (UnitPoint){1 / (1 + exp(-t)), 1 / (1 + exp(t))};
}

// Solves I_x(a, b) = p for a lower tail p in (0, 1/2]. Newton's method on the logarithms, over the
// logit of x: there the function is close to straight in the tail, and x near 0 or 1 keeps its
// digits. A bracket catches steps that leave it.
static UnitPoint lower_inverse(double p, double a, double b)
{
    double low = -LOGIT_MAX;
    double high = LOGIT_MAX;
    double t = log(a / b);
    for (int i = 0; i < NEWTON_STEPS_MAX; i++) {
        UnitPoint at = from_logit(t);
        double log_tail = log_lower(a, b, at.x, at.y);
        double off = log_tail - log(p);
        if (off > 0) {
            high = t;
        } else {
            low = t;
        }
        // d log I / d logit x = x^a y^b / (B I).
        double step = off / exp(log_prefactor(a, b, at.x, at.y) - log_tail);
        double next = t - step;
        if (!(next > low && next < high)) {
            next = low + (high - low) / 2;
        }
        double moved = fabs(next - t);
        t = next;
        if (moved <= 1e-15 * (1 + fabs(t))) {
            break;
        }
    }
    return from_logit(t);
}

// Solves I_x(a, b) = p, where q = 1 - p is given too because one of them may be tiny.
static UnitPoint inverse(double p, double q, double a, double b)
{
    if (p <= q) {
        return lower_inverse(p, a, b);
    }
    UnitPoint mirrored = lower_inverse(q, b, a);
    return (UnitPoint){mirrored.y, mirrored.x};
}

double dist_beta_quantile(double p, double a, double b)
{
    if (!(a > 0 && b > 0 && p >= 0 && p <= 1)) {
        return NAN;
    }
    if (p == 0 || p == 1) {
        return p;
    }
    return inverse(p, 1 - p, a, b).x;
}

// P(|T| > |t|) is I_x(df / 2, 1 / 2) at x = df / (df + t^2).
double dist_t_cdf(double t, double df)
{
    if (!(df > 0) || isnan(t)) {
        return NAN;
    }
    if (isinf(t)) {
        return t < 0 ? 0 : 1;
    }
    double x = df / (df + t * t);
    double y = t / (df + t * t) * t;
    double both = lower(df / 2, 0.5, x, y);
    return t < 0 ? both / 2 : 1 - both / 2;
}

double dist_t_quantile(double p, double df)
{
    if (!(df > 0 && p >= 0 && p <= 1)) {
        return NAN;
    }
    if (p == 0 || p == 1) {
        return p == 0 ? -INFINITY : INFINITY;
    }
    if (p >= 0.5) {
        return p == 0.5 ? 0 : -dist_t_quantile(1 - p, df);
    }
    UnitPoint at = inverse(2 * p, 1 - 2 * p, df / 2, 0.5);
    return -sqrt(df * at.y / at.x);
}

static bool binom_domain(double k, double n, double p)
{
    return n >= 0 && p >= 0 && p <= 1 && !isnan(k) && isfinite(n);
}

double dist_binom_at_least(double k, double n, double p)
{
    if (!binom_domain(k, n, p)) {
        return NAN;
    }
    if (k <= 0 || k >= n + 1) {
        return k <= 0 ? 1 : 0;
    }
    return lower(k, n - k + 1, p, 1 - p);
}

double dist_binom_at_most(double k, double n, double p)
{
    if (!binom_domain(k, n, p)) {
        return NAN;
    }
    if (k < 0 || k >= n) {
        return k < 0 ? 0 : 1;
    }
    return lower(n - k, k + 1, 1 - p, p);
}

double dist_binom_log_at_least(double k, double n, double p)
{
    if (!binom_domain(k, n, p)) {
        return NAN;
    }
    if (k <= 0 || k >= n + 1) {
        return k <= 0 ? 0 : -INFINITY;
    }
    return log_lower(k, n - k + 1, p, 1 - p);
}

double dist_log_beta(double a, double b)
{
    if (!(a > 0 && b > 0)) {
        return NAN;
    }
    // The prefactor at the mean, solved for B.
    double n = a + b;
    return a * log(a / n) + b * log(b / n) - log_prefactor(a, b, a / n, b / n);
}
