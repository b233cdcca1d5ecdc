// How much more would settle it: requests for a rate, runs for a comparison.
//
// "Not proven" is only useful with a number behind it. These are planning figures for independent
// requests and runs: multiply requests by the design effect (stat/effective.h).
#ifndef STAT_POWER_H
#define STAT_POWER_H

#include <stdint.h>

// More than this many requests is "not by testing": the rate is too close to the limit.
#define POWER_REQUESTS_MAX (UINT64_C(1) << 40)
enum { POWER_RUNS_MAX = 100000 };

// Requests from which on the one-sided exact binomial test at level alpha shows, with at least the
// given power, that the true rate lies on its side of `limit`: above it (breach) or below
// (compliance). "From which on" matters: power is a saw-tooth in n, and the first n that reaches it
// is up to a tenth smaller than the n that keeps it. POWER_REQUESTS_MAX when it is that much or
// more, or when rate == limit. Rates and limit strictly between 0 and 1, alpha and power too, else
// 0.
uint64_t power_rate_requests(double rate, double limit, double alpha, double power);

// Power of the two-sample t-test with n runs a side (n >= 2) to find a true difference `delta` (>
// 0) of means at the two-sided level alpha, both groups of standard deviation sd: R's
// power.t.test(), the noncentral t distribution integrated. For ratios pass log(ratio) and the sd
// of logarithms.
double power_two_sample(double n, double delta, double sd, double alpha);

// The smallest whole number of runs a side whose power is at least `power`; POWER_RUNS_MAX if none
// below it is. 0 for arguments out of range.
uint64_t power_runs(double delta, double sd, double alpha, double power);

#endif
