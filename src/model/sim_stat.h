// The statistics of simulation output.
#ifndef MODEL_SIM_STAT_H
#define MODEL_SIM_STAT_H

#include "model/outcome.h"

// Mean of independent values with Student's interval. With one value the interval is unbounded.
// Infinite values among them: the median, up to infinity; the low end is from the finite ones.
// Values that are NaN are left out.
Estimate sim_mean(const double *x, size_t n, double confidence);

// As sim_mean, with one control variate: `control[i]` has mean 0 exactly. The coefficient is the
// regression's, the interval Lavenberg and Welch's (Management Science 27, 1981) with n - 2 degrees
// of freedom. Needs n >= 4 finite values, else as sim_mean. *ret_factor: variance without over
// variance with.
Estimate sim_controlled_mean(const double *x, const double *control, size_t n, double confidence,
                             double *ret_factor);

// Mean of correlated values in the order of time: neighbours are averaged until the lag-1
// autocorrelation is no longer significant at 5 % (one-sided, von Neumann's ratio), but not below 5
// values; then Student's interval. `centre` NAN: around the mean, else around it.
Estimate sim_batch_mean(const double *x, size_t n, double centre, double confidence);

// How many values at the front to leave out as not yet steady: White's MSER-5 (Simulation 69,
// 1997), the truncation that minimises the standard error of the rest. At most half; n if even that
// does not help, because the minimum is at the end of what was looked at.
size_t sim_truncation(const double *x, size_t n);

#endif
