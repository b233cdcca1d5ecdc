// Rank tests and the shifts that belong to them: no assumption of normality, no harm from outliers.
// Baseline x, candidate y, as in stat/compare.h; the unit is the run here too.
//
// A price: two groups of three can never reach p < 0.1 (two-sided), groups of four 0.029. With few
// runs Welch's test on logarithms has the better chance, and this one is the cross-check.
#ifndef STAT_RANKS_H
#define STAT_RANKS_H

#include <stddef.h>

#include "base/err.h"
#include "stat/interval.h"

// Below this many values on each side, and without ties, p-values are exact (R's rule).
enum { RANKS_EXACT_BELOW = 50 };
// Ceiling on nx * ny (pairs of a shift), and on n * (n + 1) / 2 for pairs.
enum { RANKS_PAIRS_MAX = 1 << 22 };

typedef struct RankTest {
    double statistic; // Mann-Whitney: pairs with y > x, ties half; signed rank: ranks of y > x
    double p;         // two-sided
    double p_less;
    double p_greater; // small when the candidate's values are larger
    bool exact;       // else normal approximation with tie and continuity corrections
} RankTest;

// Mann and Whitney's U, that is Wilcoxon's rank sum. nx, ny >= 1, else p is NaN.
RankTest ranks_mann_whitney(const double *x, size_t nx, const double *y, size_t ny);

// Wilcoxon's signed ranks of y[i] - x[i]; zero differences are dropped.
RankTest ranks_signed(const double *x, const double *y, size_t n);

typedef struct Shift {
    double estimate;   // Hodges and Lehmann's
    Interval interval; // distribution-free; `confidence` is the one reached
} Shift;

// Median of all nx * ny differences y[j] - x[i], with the interval that inverts the Mann-Whitney
// test. With very few values the widest interval there is (all differences) has less confidence
// than asked for: two groups of three reach 0.90. ERR_LIMIT over RANKS_PAIRS_MAX, ERR_ARG when a
// side is empty.
MUST_USE int ranks_shift(const double *x, size_t nx, const double *y, size_t ny, double confidence,
                         Shift *ret_shift, Err *e);

// The same for pairs: median of all averages of two differences (Walsh), inverting the signed
// ranks.
MUST_USE int ranks_paired_shift(const double *x, const double *y, size_t n, double confidence,
                                Shift *ret_shift, Err *e);

#endif
