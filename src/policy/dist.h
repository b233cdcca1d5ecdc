// Dist: a distribution of durations, as a value: how long work takes, how far apart arrivals are.
//
//     Dist body = dist_lognormal(150e6, 0.4);                   // mean 150 ms
//     DistPart parts[] = {{0.92, body}, {0.08, dist_pareto(2e9, 1.5, 60e9)}};
//     Dist fuzzer = dist_mixture(parts, 2);                     // `parts` has to outlive it
//     if ((rc = dist_check(&fuzzer, e)) != 0) ...
//     int64_t ns = dist_sample(&fuzzer, u);                     // u uniform in [0, 1)
//
// Durations are ns, as doubles. A sample is a function of ONE uniform number and, but for mixtures
// and the hyperexponential, grows with it (the inverse of the distribution function): two worlds
// that draw the same numbers for other parameters stay coupled (common random numbers). Zeroed
// memory is the fixed duration 0. Points and parts are borrowed.
#ifndef POLICY_DIST_H
#define POLICY_DIST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum {
    DIST_POINTS_MAX = 1024, // of an empirical distribution
    DIST_PARTS_MAX = 8,     // of a mixture, which has no mixtures as parts
};

typedef enum DistKind {
    DIST_FIXED,            // scale
    DIST_EXPONENTIAL,      // scale: its mean
    DIST_GAMMA,            // scale: its mean; shape (whole: Erlang)
    DIST_HYPEREXPONENTIAL, // shape: share whose mean is scale; the others' is `other`
    DIST_LOGNORMAL,        // scale: its median; shape: deviation of the logarithm
    DIST_PARETO,    // scale: least value; shape: tail index; other: longer ones are cut to it
    DIST_UNIFORM,   // scale .. other
    DIST_WEIBULL,   // scale, shape
    DIST_EMPIRICAL, // points: quantiles at 0, 1/(count-1), ..., 1; straight between them
    DIST_MIXTURE,   // parts
} DistKind;

typedef struct DistPart DistPart;

typedef struct Dist {
    DistKind kind;
    uint32_t count; // of points or parts
    double scale, shape, other;
    const double *points;
    const DistPart *parts;
} Dist;

struct DistPart {
    double weight; // they sum to 1
    Dist dist;
};

Dist dist_fixed(double ns);
Dist dist_exponential(double mean_ns);
Dist dist_gamma(double mean_ns, double shape);
// Two exponentials with balanced means (Whitt 1982): mean and squared coefficient of variation > 1.
Dist dist_hyperexponential(double mean_ns, double scv);
Dist dist_lognormal(double mean_ns, double sigma);
Dist dist_pareto(double least_ns, double tail_index, double cap_ns); // cap INFINITY: none
Dist dist_uniform(double low_ns, double high_ns);
Dist dist_weibull(double scale_ns, double shape);
Dist dist_empirical(const double *points, uint32_t count); // 2 .. DIST_POINTS_MAX, ascending
Dist dist_mixture(const DistPart *parts, uint32_t count);
// Some distribution with that mean and squared coefficient of variation: fixed, gamma, exponential
// or hyperexponential.
Dist dist_of_scv(double mean_ns, double scv);

// Parameters within their domains. ERR_ARG.
MUST_USE int dist_check(const Dist *d, Err *e);

// ns, never negative. `u` in [0, 1).
int64_t dist_sample(const Dist *d, double u);

// Exact, or to about 1e-10. INFINITY where there is none; the scv of a mean of 0 is 0.
double dist_mean(const Dist *d);
double dist_scv(const Dist *d);
double dist_cdf(const Dist *d, double ns);     // P(X <= ns)
double dist_quantile(const Dist *d, double p); // 0 <= p < 1

#endif
