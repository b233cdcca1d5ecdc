// Continuous-time Markov chains with a few thousand states: where they spend their time, how long
// they take to get somewhere, what they are like at time t, and how slowly they forget.
//
// A chain is a list of rates between states 0..n-1. The linear systems are solved by elimination in
// which nothing is ever subtracted (Grassmann, Taksar, Heyman, 1985, for stationary distributions;
// Alfa, Xue, Ye, 2002, for the rest): every figure of a hitting time of 1e15 s is right, where an
// ordinary solver answers with a negative number. Rates are kept in a band around the diagonal, as
// wide as the farthest jump, so number the states such that jumps are short: n states and band w
// cost n * w * w operations and n * (2 w + 1) cells.
//
//     Ctmc *c = ctmc_create(3);
//     rc = ctmc_add(c, 0, 1, 0.5, e); ...
//     double mean[3];
//     rc = ctmc_hitting(c, (bool[3]){true}, mean, NULL, e);
//     ctmc_destroy(c);
//
// Results are arrays of one number a state, the caller's. One thread at a time.
#ifndef MODEL_CTMC_H
#define MODEL_CTMC_H

#include <stdbool.h>

#include "base/err.h"

enum {
    CTMC_STATES_MAX = 1 << 18,
    CTMC_CELLS_MAX = 1 << 22,          // of the band
    CTMC_STEPS_MAX = 1 << 24,          // of ctmc_transient
    CTMC_WORK_MAX = 2 * 1000 * 1000000 // steps times rates there
};

typedef struct Ctmc Ctmc;

// 1 <= states <= CTMC_STATES_MAX.
Ctmc *ctmc_create(int states);
void ctmc_destroy(Ctmc *c); // NULL is fine
int ctmc_states(const Ctmc *c);

// Two rates for one pair add up; 0 adds nothing. ERR_ARG for a state that is not there, a negative
// or infinite rate, or a jump from a state to itself.
MUST_USE int ctmc_add(Ctmc *c, int from, int to, double rate, Err *e);

// The solvers answer ERR_LIMIT past CTMC_CELLS_MAX.

// Long-run share of time in each state. ERR_ARG where state 0 cannot be reached from everywhere,
// naming a state.
MUST_USE int ctmc_stationary(const Ctmc *c, double *ret, Err *e);

// Mean time from each state until the first of `target`; 0 there. Standard deviation of it into
// `ret_deviation` unless NULL. Infinite where it is beyond the doubles. ERR_ARG where a state never
// gets there, naming one.
MUST_USE int ctmc_hitting(const Ctmc *c, const bool *target, double *ret_mean,
                          double *ret_deviation, Err *e);

// Probability from each state to be in `first` before being in `other`, which share no state.
MUST_USE int ctmc_reach_before(const Ctmc *c, const bool *first, const bool *other, double *ret,
                               Err *e);

// Takes the distribution `inout` `seconds` into the future, by uniformisation (Jensen, 1953), to 12
// digits. ERR_LIMIT where that takes more than CTMC_STEPS_MAX steps or CTMC_WORK_MAX operations.
MUST_USE int ctmc_transient(const Ctmc *c, double seconds, double *inout, Err *e);

typedef struct CtmcGap {
    double slowest;   // real part of the eigenvalue next to 0, negative
    double slowest_i; // its imaginary part, >= 0
    double next;      // real part of the one after it (and its conjugate); 0 where there is none
    bool converged;   // to 1e-9
} CtmcGap;

// How fast the chain forgets where it began: its distance from `stationary` falls like
// exp(slowest * t). A slowest that is orders nearer to 0 than next is the mark of two regimes
// between which the chain rarely passes. By Arnoldi's method on the inverse (Saad, "Numerical
// Methods for Large Eigenvalue Problems", ch. 6). At least two states.
MUST_USE int ctmc_gap(const Ctmc *c, const double *stationary, CtmcGap *ret, Err *e);

#endif
