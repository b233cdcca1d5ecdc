// Bayesian optimisation: which settings to try next, when each trial costs a simulation or a load
// test. Minimises one value under constraints over bounded parameters of mixed kinds.
//
//     BayesParam params[] = {{SLICE_INIT("timeout"), BAYES_LOG, 0.1, 30},
//                            {SLICE_INIT("attempts"), BAYES_WHOLE, 1, 4}};
//     rc = bayes_opt_create(&(BayesOptions){params, 2, .seed = 7}, &b, e);
//     rc = bayes_opt_tell(b, current, value_now, NULL, e);       // what is known already
//     while (budget) {
//         rc = bayes_opt_ask(b, 4, points, e);                   // to be tried in parallel
//         for each: rc = bayes_opt_tell(b, point, value, NULL, e);
//     }
//     if (bayes_opt_best(b, point, &value)) ...
//
// A Gaussian process (model/gp.h) a value and a constraint; the next point has the largest expected
// improvement over the best feasible one times the probability that every constraint holds (Jones,
// Schonlau, Welch: "Efficient Global Optimization of Expensive Black-Box Functions", 1998; Gardner
// et al.: "Bayesian Optimization with Inequality Constraints", ICML 2014). Points that were asked
// and not told count as if the model had been right about them (Ginsbourger et al. 2010: "Kriging
// believer"), which spreads a batch. The search is a rotated Halton sequence, the neighbourhood of
// the best, and a pattern search from the most promising. Whole numbers and choices are rounded
// before the model sees them (Garrido-Merchan, Hernandez-Lobato 2020).
//
// The same seed, questions and answers give the same points. Not thread-safe.
#ifndef MODEL_BAYES_OPT_H
#define MODEL_BAYES_OPT_H

#include "base/err.h"
#include "base/slice.h"

enum {
    BAYES_PARAMS_MAX = 32,
    BAYES_CHOICES_MAX = 16, // of one parameter
    BAYES_CONSTRAINTS_MAX = 8,
    BAYES_POINTS_MAX = 500, // told
    BAYES_PENDING_MAX = 64, // asked and not told
};

typedef enum BayesKind {
    BAYES_REAL,
    BAYES_LOG,    // real, and equal ratios matter equally; low > 0
    BAYES_WHOLE,  // whole numbers
    BAYES_CHOICE, // low..high number alternatives without an order
} BayesKind;

typedef struct BayesParam {
    Slice name; // for messages
    BayesKind kind;
    double low, high;
} BayesParam;

typedef struct BayesOptions {
    const BayesParam *params;
    size_t param_count;
    size_t constraint_count;
    size_t first; // points of the Halton sequence before the model is asked; 0: 2 + 2 a parameter
    uint64_t seed;
} BayesOptions;

typedef struct BayesOpt BayesOpt;

// ERR_ARG for ranges that are empty or not finite, ERR_LIMIT.
MUST_USE int bayes_opt_create(const BayesOptions *options, BayesOpt **ret_opt, Err *e);
void bayes_opt_destroy(BayesOpt *b); // NULL is fine

// `count` points of param_count values each. ERR_NOT_FOUND when there is nothing left to try,
// ERR_LIMIT past BAYES_POINTS_MAX and BAYES_PENDING_MAX.
MUST_USE int bayes_opt_ask(BayesOpt *b, size_t count, double *ret_points, Err *e);
// What came of a point, asked for or not. A constraint holds when its value is <= 0. A value that
// is not finite says that the trial failed: it counts as the worst so far, and is never the best.
MUST_USE int bayes_opt_tell(BayesOpt *b, const double *point, double value,
                            const double *constraints, Err *e);
// The best that kept every constraint; false: there is none.
bool bayes_opt_best(const BayesOpt *b, double *ret_point, double *ret_value);
size_t bayes_opt_told(const BayesOpt *b);

#endif
