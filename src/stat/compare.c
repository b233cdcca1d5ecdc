#include "stat/compare.h"

#include <math.h>
#include <stdlib.h>

#include "base/err.h"
#include "stat/dist.h"
#include "stat/sample.h"

Comparison compare_from_estimate(double difference, double se, double df, bool is_ratio,
                                 double confidence)
{
    Comparison c = {
        .estimate = is_ratio ? exp(difference) : difference,
        .is_ratio = is_ratio,
        .log_or_difference = difference,
        .standard_error = se,
        .df = df,
        .interval = {is_ratio ? 0 : -INFINITY, INFINITY, confidence},
        .t = NAN,
        .p = NAN,
        .p_less = NAN,
        .p_greater = NAN,
    };
    if (isnan(difference) || isnan(se) || !(df > 0)) {
        return c;
    }
    // Equal values on each side: no spread is left to doubt the difference with.
    c.t = se > 0 ? difference / se : difference == 0 ? 0 : copysign(INFINITY, difference);
    c.p_less = dist_t_cdf(c.t, df);
    c.p_greater = dist_t_cdf(-c.t, df);
    c.p = fmin(1, 2 * fmin(c.p_less, c.p_greater));
    double half = dist_t_quantile((1 + confidence) / 2, df) * se;
    c.interval.low = is_ratio ? exp(difference - half) : difference - half;
    c.interval.high = is_ratio ? exp(difference + half) : difference + half;
    return c;
}

static Comparison welch(const double *x, size_t nx, const double *y, size_t ny, bool is_ratio,
                        double confidence)
{
    double vx = sample_variance(x, nx) / (double)nx;
    double vy = sample_variance(y, ny) / (double)ny;
    double sum = vx + vy;
    double df = (double)(nx + ny) - 2;
    if (sum > 0) {
        df = sum * sum / (vx * vx / ((double)nx - 1) + vy * vy / ((double)ny - 1));
    }
    return compare_from_estimate(sample_mean(y, ny) - sample_mean(x, nx), sqrt(sum), df, is_ratio,
                                 confidence);
}

static Comparison paired(const double *difference, size_t n, bool is_ratio, double confidence)
{
    double se = sqrt(sample_variance(difference, n) / (double)n);
    return compare_from_estimate(sample_mean(difference, n), se, (double)n - 1, is_ratio,
                                 confidence);
}

static double log_or_nan(double x)
{
    return x > 0 ? log(x) : (double)NAN;
}

Comparison compare_welch(const double *x, size_t nx, const double *y, size_t ny, double confidence)
{
    return welch(x, nx, y, ny, false, confidence);
}

Comparison compare_welch_ratio(const double *x, size_t nx, const double *y, size_t ny,
                               double confidence)
{
    double *logs = mem_alloc((nx + ny + 1) * sizeof *logs);
    for (size_t i = 0; i < nx + ny; i++) {
        logs[i] = log_or_nan(i < nx ? x[i] : y[i - nx]);
    }
    Comparison c = welch(logs, nx, logs + nx, ny, true, confidence);
    free(logs);
    return c;
}

static Comparison paired_of(const double *x, const double *y, size_t n, bool is_ratio,
                            double confidence)
{
    double *difference = mem_alloc((n + 1) * sizeof *difference);
    for (size_t i = 0; i < n; i++) {
        difference[i] = is_ratio ? log_or_nan(y[i]) - log_or_nan(x[i]) : y[i] - x[i];
    }
    Comparison c = paired(difference, n, is_ratio, confidence);
    free(difference);
    return c;
}

Comparison compare_paired(const double *x, const double *y, size_t n, double confidence)
{
    return paired_of(x, y, n, false, confidence);
}

Comparison compare_paired_ratio(const double *x, const double *y, size_t n, double confidence)
{
    return paired_of(x, y, n, true, confidence);
}

double compare_equivalence_p(const Comparison *c, double low, double high)
{
    if (isnan(c->p)) {
        return NAN;
    }
    double low_margin = c->is_ratio ? log_or_nan(low) : low;
    double high_margin = c->is_ratio ? log_or_nan(high) : high;
    if (c->standard_error == 0) {
        bool inside = c->log_or_difference > low_margin && c->log_or_difference < high_margin;
        return inside ? 0 : 1;
    }
    double above_low = (c->log_or_difference - low_margin) / c->standard_error;
    double below_high = (high_margin - c->log_or_difference) / c->standard_error;
    return fmax(dist_t_cdf(-above_low, c->df), dist_t_cdf(-below_high, c->df));
}

typedef struct Ranked {
    double p;
    size_t index;
} Ranked;

static int by_p(const void *a, const void *b)
{
    const Ranked *x = a;
    const Ranked *y = b;
    return (x->p > y->p) - (x->p < y->p);
}

void compare_adjust_fdr(const double *p, size_t n, double *ret_adjusted)
{
    Ranked *ranked = mem_alloc((n + 1) * sizeof *ranked);
    size_t tests = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(p[i])) {
            ret_adjusted[i] = NAN;
        } else {
            ranked[tests++] = (Ranked){p[i], i};
        }
    }
    if (tests > 1) {
        qsort(ranked, tests, sizeof *ranked, by_p);
    }
    double smallest = 1;
    for (size_t rank = tests; rank > 0; rank--) {
        smallest = fmin(smallest, ranked[rank - 1].p * (double)tests / (double)rank);
        ret_adjusted[ranked[rank - 1].index] = smallest;
    }
    free(ranked);
}
