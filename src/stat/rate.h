// Rates: k of n requests were slow, failed, or whatever is counted.
//
// "p99 <= T" is a statement about a rate, "at most 1 % are slower than T", and rates have exact
// intervals at every sample size. k and n may be fractional (an effective sample size,
// stat/effective.h, scales both). NaN in, NaN out; 0 <= k <= n and n > 0.
#ifndef STAT_RATE_H
#define STAT_RATE_H

#include "stat/interval.h"

// Exact binomial p-value against the true rate p0. TEST_LESS: that the rate is below p0 (small when
// k is surprisingly small). Two-sided is twice the smaller tail, at most 1, which agrees with
// rate_interval_exact; R's binom.test sums improbable outcomes instead and may differ.
double rate_test(double k, double n, double p0, TestSide side);

// Clopper and Pearson: coverage is never below `confidence`. An end by itself is a one-sided bound
// of confidence (1 + confidence) / 2.
Interval rate_interval_exact(double k, double n, double confidence);

// Jeffreys: quantiles of Beta(k + 1/2, n - k + 1/2), closed to 0 or 1 at k = 0 or n. Shorter; its
// coverage is right on average, not at every rate (Brown, Cai, DasGupta 2001).
Interval rate_interval_jeffreys(double k, double n, double confidence);

#endif
