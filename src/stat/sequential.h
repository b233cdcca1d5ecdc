// A confidence sequence for a rate: an interval that may be looked at after every request.
//
// A fixed-size interval that is checked every second and acted on when it first excludes the limit
// is wrong far more often than it says. This one is wrong with probability at most 1 - confidence
// over the whole test, however often one looks and whenever one stops, so aborting a hopeless load
// test early is honest. The price is about 1.5 to 2 times the width.
//
// Method: the beta-binomial mixture (Robbins 1970; Howard, Ramdas et al. 2021, "Time-uniform,
// nonparametric, nonasymptotic confidence sequences", section 3.2's conjugate mixture). For the
// true rate p,
//     E_n(p) = B(k + a, n - k + b) / (B(a, b) p^k (1 - p)^(n - k))
// is a martingale of mean 1, so by Ville's inequality it ever reaches 1 / alpha with probability at
// most alpha; the sequence is {p : E_n(p) < 1 / alpha}. Exact for independent requests. For
// correlated ones pass k and n divided by the design effect (stat/effective.h): a good
// approximation, no theorem.
#ifndef STAT_SEQUENTIAL_H
#define STAT_SEQUENTIAL_H

#include "stat/interval.h"

// log E_n(p), the evidence against "the rate is p": reject when it reaches log(1 / alpha) once.
// `around` (0 < around < 1) is where the sequence shall be tightest, usually the SLO's rate; the
// mixture is Beta(1/2, (1 - around) / (2 around)). It must be fixed before the test. k and n may be
// fractional, 0 <= k <= n.
double sequential_log_evidence(double k, double n, double p, double around);

// All rates not rejected at this moment. Whoever keeps the running intersection over time may.
Interval sequential_rate_interval(double k, double n, double around, double confidence);

#endif
