#include "stat/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#define MAD_TO_SIGMA 1.4826 // 1 / dist_normal_quantile(0.75), rounded as R does

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

void sample_sort(double *x, size_t n)
{
    if (n > 1) {
        qsort(x, n, sizeof *x, ascending);
    }
}

double sample_mean(const double *x, size_t n)
{
    if (n == 0) {
        return NAN;
    }
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += x[i];
    }
    double mean = sum / (double)n;
    // A second pass takes out most of what rounding left in the first.
    double rest = 0;
    for (size_t i = 0; i < n; i++) {
        rest += x[i] - mean;
    }
    return mean + rest / (double)n;
}

double sample_variance(const double *x, size_t n)
{
    if (n < 2) {
        return NAN;
    }
    double mean = sample_mean(x, n);
    double squares = 0;
    for (size_t i = 0; i < n; i++) {
        squares += (x[i] - mean) * (x[i] - mean);
    }
    return squares / (double)(n - 1);
}

double sample_quantile(const double *sorted, size_t n, double q)
{
    if (n == 0 || isnan(q)) {
        return NAN;
    }
    q = q < 0 ? 0 : q > 1 ? 1 : q;
    double place = q * (double)(n - 1);
    size_t i = (size_t)place;
    if (i + 1 >= n) {
        return sorted[n - 1];
    }
    return sorted[i] + (place - (double)i) * (sorted[i + 1] - sorted[i]);
}

double sample_median(const double *x, size_t n)
{
    if (n == 0) {
        return NAN;
    }
    double *copy = mem_alloc(n * sizeof *copy);
    memcpy(copy, x, n * sizeof *copy);
    sample_sort(copy, n);
    double median = sample_quantile(copy, n, 0.5);
    free(copy);
    return median;
}

double sample_mad(const double *x, size_t n)
{
    if (n == 0) {
        return NAN;
    }
    double median = sample_median(x, n);
    double *off = mem_alloc(n * sizeof *off);
    for (size_t i = 0; i < n; i++) {
        off[i] = fabs(x[i] - median);
    }
    sample_sort(off, n);
    double mad = MAD_TO_SIGMA * sample_quantile(off, n, 0.5);
    free(off);
    return mad;
}

size_t sample_hampel(const double *x, size_t n, size_t half_window, double limit, double *ret_x)
{
    size_t replaced = 0;
    half_window = half_window > SAMPLE_HALF_WINDOW_MAX ? SAMPLE_HALF_WINDOW_MAX : half_window;
    for (size_t i = 0; i < n; i++) {
        size_t from = i > half_window ? i - half_window : 0;
        size_t to = n - i > half_window + 1 ? i + half_window + 1 : n;
        double median = sample_median(x + from, to - from);
        double mad = sample_mad(x + from, to - from);
        ret_x[i] = x[i];
        if (fabs(x[i] - median) > limit * mad) {
            ret_x[i] = median;
            replaced++;
        }
    }
    return replaced;
}
