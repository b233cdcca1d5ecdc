// The studentised bootstrap ("bootstrap-t"; Efron 1982; Hall 1988): intervals for means and their
// differences when the values are too skewed for Student's t.
//
// The percentile bootstrap is not offered: with five runs its "95 %" interval misses the truth 16
// times in 100. Studentising divides each resampled estimate by its own standard error, which makes
// up for the small sample. With three or four values, resamples of one value repeated are so likely
// that an end may become infinite; that is honest, and Welch's test is the better tool there.
//
// Resampling is driven by the caller's Rng: equal seed, equal interval. The baseline's and the
// candidate's values may be logarithms; exp of the ends is then an interval of the ratio.
#ifndef STAT_BOOTSTRAP_H
#define STAT_BOOTSTRAP_H

#include <stddef.h>

#include "base/rng.h"
#include "stat/interval.h"

enum { BOOTSTRAP_REPLICATES = 2000, BOOTSTRAP_REPLICATES_MAX = 1000000 };

// Interval of the mean. Fewer than two values: unbounded. `replicates` is held to 1 ..
// BOOTSTRAP_REPLICATES_MAX.
Interval bootstrap_mean(const double *x, size_t n, double confidence, size_t replicates, Rng *rng);

// Interval of mean(y) - mean(x), the groups resampled separately.
Interval bootstrap_difference(const double *x, size_t nx, const double *y, size_t ny,
                              double confidence, size_t replicates, Rng *rng);

#endif
