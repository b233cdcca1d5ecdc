// The few special functions that queueing formulas need and libm lacks, and the two numerical tools
// that they share: integration of smooth functions and inversion of Laplace transforms.
//
// All are pure. Arguments outside the stated range give NaN.
#ifndef MODEL_SPECIAL_H
#define MODEL_SPECIAL_H

#include <complex.h>

// Regularised incomplete gamma functions: P(a, x) = gamma(a, x) / Gamma(a), the probability that a
// sum of `a` exponentials of mean 1 is at most x, and Q = 1 - P, which is also the probability that
// a Poisson variable of mean x is below a. a > 0, x >= 0. Each keeps its own relative accuracy,
// about 1e-12 for a below 1e6. Series and continued fraction of DLMF 8.7.1 and 8.9.2.
double special_gamma_p(double a, double x);
double special_gamma_q(double a, double x);

// log of S(a, x) = Sum_{n >= 0} x^n / (a (a + 1) ... (a + n)) = e^x x^-a gamma(a, x), which stays
// finite where gamma itself has long over- or underflowed. With `ret_mean`, also the mean of n
// under the weights of the sum. a > 0, x >= 0. Cost O(sqrt(a)).
double special_log_kummer(double a, double x, double *ret_mean);

// Integral of f from low to high by Gauss and Legendre's rule of 16 points on each of `panels`
// equal parts: exact to rounding for what is smooth over one part.
typedef double SpecialFunction(const void *context, double x);
double special_integral(SpecialFunction *f, const void *context, const double bounds[2],
                        int panels);

// f(t), t > 0, from its Laplace transform, by the Euler algorithm of Abate and Whitt ("Numerical
// inversion of Laplace transforms of probability distributions", ORSA J. Computing 7, 1995), for
// |f| <= 1: absolute error about 1e-8 where f is smooth, some 1e-3 next to a jump. The transform is
// asked once, for all points that are needed: x + i k h, k = 0 .. SPECIAL_LINE - 1, since a law
// made of many values can turn each from one point to the next instead of computing it anew.
enum { SPECIAL_LINE = 27 };
typedef struct SpecialLine {
    double x, h;
} SpecialLine;
typedef void SpecialTransform(const void *context, SpecialLine line,
                              double complex ret_values[SPECIAL_LINE]);
double special_laplace_invert(SpecialTransform *transform, const void *context, double t);

#endif
