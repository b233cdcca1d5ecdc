// Spread: how a time is spread, as masses on one fixed logarithmic grid that all Spreads share.
//
// Formulas for a system of agents need sums (one thing after the other), minima and maxima (things
// at the same time) and cuts (timeouts) of times that have no closed form. On a logarithmic grid a
// sum of grid points lies between two neighbours whose distance from the larger summand depends on
// the difference of the indices only, so a convolution is a walk along diagonals without a search,
// and a product of distribution functions is a product of prefix sums. The masses of a sum that
// falls between two points are split so that its mean is exact.
//
//     Spread work, wait, sojourn;
//     spread_of_function(&work, cdf, &dist);
//     spread_exponential(&wait, 0.3, 0.13);      // 30 % wait, those .13 s in the mean
//     spread_add(&sojourn, &work, &wait);
//     double p99 = spread_quantile(&sojourn, 0.99);
//
// A Spread may hold less than 1: what is missing never happens (a request that failed). A point at
// grid index i stands for what lies within half a step around it; reading between points is linear
// in the logarithm. Resolution: a step is 6 %. Times are seconds; below SPREAD_LEAST is 0.
#ifndef MODEL_SPREAD_H
#define MODEL_SPREAD_H

#include <stdbool.h>
#include <stdint.h>

enum {
    SPREAD_OCTAVE = 12, // steps of a factor of two
    SPREAD_CELLS = 34 * SPREAD_OCTAVE,
};
#define SPREAD_LEAST 1e-6 // s; the grid ends at 17,000 s, which is as good as never

typedef struct Spread {
    double zero;   // mass at no time at all
    int low, high; // cells with mass: low <= i < high
    double mass[SPREAD_CELLS];
} Spread;

// The grid's time of a cell.
double spread_time(int cell);

void spread_clear(Spread *s); // nothing ever happens
void spread_none(Spread *s);  // everything takes no time
void spread_copy(Spread *to, const Spread *from);
// Adds `mass` at one time >= 0, split between its neighbours so that the mean is exact.
void spread_put(Spread *s, double seconds, double mass);
// From a distribution function; tails of less than 1e-7 are cut.
typedef double SpreadCdf(const void *context, double seconds);
void spread_of_function(Spread *s, SpreadCdf *cdf, const void *context);
// 0 with probability 1 - `share`, else exponential of that mean.
void spread_exponential(Spread *s, double share, double mean);

double spread_total(const Spread *s);
// Of what is there (not of what is missing); 0 for an empty one.
double spread_mean(const Spread *s);
// Squared coefficient of variation, of what is there.
double spread_scv(const Spread *s);
// Mass at or before a time.
double spread_cdf(const Spread *s, double seconds);
// Least time with cdf >= q; INFINITY where the total is less than q.
double spread_quantile(const Spread *s, double q);
// Mean of min(time, limit) where what is missing takes `limit`: the work done under a cut.
double spread_mean_until(const Spread *s, double limit);

void spread_scale(Spread *s, double factor);                    // of masses
void spread_stretch(Spread *s, double factor);                  // of times, > 0
void spread_mix(Spread *to, const Spread *from, double weight); // to += weight * from
// One after the other; masses multiply. `to` is neither of both.
void spread_add(Spread *to, const Spread *a, const Spread *b);
// A constant later.
void spread_delay(Spread *s, double seconds);
// What is later than `seconds` is taken away; its mass.
double spread_cut(Spread *s, double seconds);
// Both: the later one. Needs both to happen: totals multiply.
void spread_max(Spread *to, const Spread *from);
// Either: the earlier one, missing only where both are.
void spread_min(Spread *to, const Spread *from);

#endif
