// Distribution functions that the tests and intervals of this room stand on.
//
// All are pure. Tails keep their relative accuracy (about 1e-12, held against SciPy in the test)
// far out: use the function of the small tail instead of 1 - the large one. A parameter outside its
// domain gives NaN. docs/internals/statistics.md lists formulas and sources.
#ifndef STAT_DIST_H
#define STAT_DIST_H

// Standard normal: P(Z <= z), and z with P(Z <= z) = p for 0 <= p <= 1 (-INFINITY and INFINITY at
// the ends).
double dist_normal_cdf(double z);
double dist_normal_quantile(double p);

// Student's t with df > 0 degrees of freedom, not necessarily whole.
double dist_t_cdf(double t, double df);
double dist_t_quantile(double p, double df);

// Regularised incomplete beta function I_x(a, b), a and b > 0, 0 <= x <= 1: P(Beta(a, b) <= x). The
// second form is its complement; dist_beta_quantile its inverse in x.
double dist_beta_cdf(double x, double a, double b);
double dist_beta_survival(double x, double a, double b);
double dist_beta_quantile(double p, double a, double b);

// Binomial tails of n trials with probability p: P(X >= k), P(X <= k) and the logarithm of the
// first, which does not underflow. k and n may be fractional, as effective sample sizes are; the
// beta integral continues the sum.
double dist_binom_at_least(double k, double n, double p);
double dist_binom_at_most(double k, double n, double p);
double dist_binom_log_at_least(double k, double n, double p);

// log of the beta function B(a, b).
double dist_log_beta(double a, double b);

#endif
