// Summaries of a few plain numbers: run-level values, of which there are three to some hundreds.
// Requests are never kept as samples; they live in histograms (stat/hist.h).
//
// `sorted` parameters want ascending order; sample_sort makes it. Values are finite. Anything that
// needs more values than there are is NaN.
#ifndef STAT_SAMPLE_H
#define STAT_SAMPLE_H

#include <stddef.h>

void sample_sort(double *x, size_t n);

double sample_mean(const double *x, size_t n);     // n >= 1
double sample_variance(const double *x, size_t n); // n - 1 in the denominator, n >= 2

// Quantile q of sorted values, linear at q * (n - 1): R's type 7, k6's p(N), NumPy's default.
double sample_quantile(const double *sorted, size_t n, double q);

// These two copy what they sort.
double sample_median(const double *x, size_t n);
// Median absolute deviation from the median, times 1.4826 so that it estimates the standard
// deviation of normal data (R's mad()).
double sample_mad(const double *x, size_t n);

// Hampel's filter: replaces every value further than `limit` scaled MADs from the median of the
// 2 * half_window + 1 values around it (fewer at the ends) by that median. Returns how many were
// replaced. x and ret_x must not overlap. half_window <= SAMPLE_HALF_WINDOW_MAX.
enum { SAMPLE_HALF_WINDOW_MAX = 50 };
size_t sample_hampel(const double *x, size_t n, size_t half_window, double limit, double *ret_x);

#endif
