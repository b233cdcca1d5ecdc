// The variance of one run's logarithm, with what the other endpoints of the same runs say about it.
//
// Three runs a side leave four degrees of freedom, and a test that many endpoints must share then
// finds nothing under 20 %. But a run has many endpoints, which vary for the same reasons. Two
// ideas are put together: a run factor common to all endpoints and independent noise are separated
// by a two-way analysis of variance, whose mean squares give a common variance with Satterthwaite's
// degrees of freedom; and each endpoint's own variance is drawn towards the common one as far as
// the endpoints are alike (Smyth 2004, the moderated t of limma). docs/internals/compare.md.
#ifndef JUDGE_POOLED_H
#define JUDGE_POOLED_H

#include <stddef.h>

enum { POOLED_ENDPOINTS_MIN = 3 }; // fewer cannot tell whether they are alike

typedef struct PooledInput {
    const double *const *baseline;  // logarithms: [endpoint][run]
    const double *const *candidate; //
    size_t endpoints;
    size_t baseline_runs; // at least 2 on each side
    size_t candidate_runs;
} PooledInput;

typedef struct PooledVariance {
    double variance; // of one run's value
    double df;
} PooledVariance;

// ret has one item an endpoint. A variance of 0 stays 0: nothing varied at all.
void pooled_variances(const PooledInput *in, PooledVariance *ret);

// Derivative of the digamma function, x > 0; and the x > 0 at which it has the value `y` > 0.
double pooled_trigamma(double x);
double pooled_trigamma_inverse(double y);

#endif
