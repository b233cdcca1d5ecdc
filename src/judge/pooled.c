#include "judge/pooled.h"

#include <math.h>

double pooled_trigamma(double x)
{
    double sum = 0;
    for (; x < 8; x++) { // recurrence, DLMF 5.15.5
        sum += 1 / (x * x);
    }
    double r = 1 / (x * x); // asymptotic series, DLMF 5.15.8
    return sum + 1 / x + r / 2 + r / x * (1.0 / 6 - r * (1.0 / 30 - r * (1.0 / 42 - r / 30)));
}

double pooled_trigamma_inverse(double y)
{
    double low = 1e-8;
    double high = 1e8;
    for (int i = 0; i < 200; i++) {
        double middle = sqrt(low * high);
        if (pooled_trigamma(middle) > y) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return sqrt(low * high);
}

static double mean(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += x[i];
    }
    return sum / (double)n;
}

static double squares(const double *x, size_t n)
{
    double m = mean(x, n);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (x[i] - m) * (x[i] - m);
    }
    return sum;
}

// Sum of squares between the runs of one side: endpoints times the squares of the runs' means, each
// endpoint taken relative to its own mean.
static double run_squares(const double *const *x, size_t endpoints, size_t runs)
{
    double sum = 0;
    for (size_t r = 0; r < runs; r++) {
        double off = 0;
        for (size_t i = 0; i < endpoints; i++) {
            off += x[i][r] - mean(x[i], runs);
        }
        sum += off * off / (double)endpoints;
    }
    return sum;
}

// The common variance and how much it is worth. Of two mean squares with d and (m - 1) d degrees of
// freedom the variance of one value is (between + (m - 1) rest) / m. When a common run factor
// rules, that is worth d; when the endpoints are independent, m d.
static PooledVariance common(const PooledInput *in, double total, double d)
{
    double m = (double)in->endpoints;
    double between = (run_squares(in->baseline, in->endpoints, in->baseline_runs) +
                      run_squares(in->candidate, in->endpoints, in->candidate_runs)) /
                     d;
    double rest = fmax(0, total - between * d) / (d * (m - 1));
    double a = between / m;
    double b = (m - 1) * rest / m;
    double v = a + b;
    double df = v > 0 ? v * v / (a * a / d + b * b / (d * (m - 1))) : d;
    return (PooledVariance){v, fmax(d, df)};
}

// How far to trust the common variance for each endpoint, in degrees of freedom: by how much more
// the logarithms of the variances scatter than chance alone makes them (Smyth 2004, section 6.2).
static double prior_df(const PooledVariance *own, size_t n, double d, double most)
{
    double sum = 0;
    double sum_squares = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(own[i].variance > 0)) {
            return 0;
        }
        double z = log(own[i].variance);
        sum += z;
        sum_squares += z * z;
    }
    double count = (double)n;
    double scatter = (sum_squares - sum * sum / count) / (count - 1);
    double excess = scatter - pooled_trigamma(d / 2);
    return excess > 0 ? fmin(most, 2 * pooled_trigamma_inverse(excess)) : most;
}

void pooled_variances(const PooledInput *in, PooledVariance *ret)
{
    double d = (double)(in->baseline_runs + in->candidate_runs) - 2;
    double total = 0;
    for (size_t i = 0; i < in->endpoints; i++) {
        double s = squares(in->baseline[i], in->baseline_runs) +
                   squares(in->candidate[i], in->candidate_runs);
        ret[i] = (PooledVariance){s / d, d};
        total += s;
    }
    if (in->endpoints < POOLED_ENDPOINTS_MIN) {
        return;
    }
    PooledVariance all = common(in, total, d);
    double prior = prior_df(ret, in->endpoints, d, all.df);
    for (size_t i = 0; i < in->endpoints; i++) {
        ret[i].variance = (d * ret[i].variance + prior * all.variance) / (d + prior);
        // Own and common variance share their runs: together they are never worth more than the
        // common one.
        ret[i].df = fmin(d + prior, all.df);
    }
}
