// Comparing two groups of run-level values: baseline x and candidate y.
//
// The unit is the run. A value is one number of one run (its p95, its mean, its rate); pooling the
// requests of several runs here would be an error that no test can repair: on public benchmark data
// it finds a "difference" between equal programs nine times in ten.
//
//     Comparison c = compare_welch_ratio(p95_base, 5, p95_new, 5, 0.95);
//     if (c.interval.low > 1.05) ...                     slower by more than 5 %
//     else if (compare_equivalence_p(&c, 1 / 1.05, 1.05) < 0.05) ...   shown to be equal within 5 %
//
// All p-values are of hypotheses about candidate minus baseline (or candidate over baseline):
// p_greater is small when the candidate's values are larger. With fewer than two values on a side
// (one pair for the paired tests: two pairs are needed) p is NaN and the interval unbounded.
#ifndef STAT_COMPARE_H
#define STAT_COMPARE_H

#include <stddef.h>

#include "stat/interval.h"

typedef struct Comparison {
    double estimate;   // difference of means, or ratio of geometric means
    Interval interval; // of the estimate, two-sided
    bool is_ratio;
    double log_or_difference; // what t is about: the difference, on the log scale for ratios
    double standard_error;    // of log_or_difference
    double t;
    double df;
    double p; // two-sided
    double p_less;
    double p_greater;
} Comparison;

// Welch's t-test: unequal variances, Satterthwaite's degrees of freedom.
Comparison compare_welch(const double *x, size_t nx, const double *y, size_t ny, double confidence);

// The same on logarithms: durations vary in proportion to their size, and "5 % slower" is the
// question. Any value <= 0 makes p NaN and the interval 0 to INFINITY.
Comparison compare_welch_ratio(const double *x, size_t nx, const double *y, size_t ny,
                               double confidence);

// Student's test on the n differences y[i] - x[i], and on the logarithms of y[i] / x[i].
Comparison compare_paired(const double *x, const double *y, size_t n, double confidence);
Comparison compare_paired_ratio(const double *x, const double *y, size_t n, double confidence);

// The conclusion from an estimate that was made elsewhere: a difference (of logarithms, for a
// ratio), its standard error and degrees of freedom. stat/blocks.h compares two single runs through
// it.
Comparison compare_from_estimate(double log_or_difference, double standard_error, double df,
                                 bool is_ratio, double confidence);

// Two one-sided tests (Schuirmann 1987): the p-value of "the truth lies outside [low, high]". Small
// means shown to be inside. The margin is in the unit of the estimate: a ratio for ratios.
// Equivalent to the interval of confidence 1 - 2 alpha lying inside the margin.
double compare_equivalence_p(const Comparison *c, double low, double high);

// Benjamini and Hochberg's step-up: ret_adjusted[i] < q rejects with false discovery rate q. NaN
// stays NaN and does not count as a test. p and ret_adjusted may be the same array.
void compare_adjust_fdr(const double *p, size_t n, double *ret_adjusted);

#endif
