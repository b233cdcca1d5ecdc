// Stability: does a System come back after a spike? A candidate that is fine in steady state and
// stays down once it was overloaded must not be applied, and neither a steady-state formula nor a
// simulation without a trigger can tell.
//
//     Stability s;
//     rc = stability_check(arena, candidate, &(StabilityOptions){.seed = 7}, &s, e);
//     if (s.verdict != STABILITY_RECOVERS) { ... s.reason ... }
//
// Each seed gives two simulations with the same arrivals and the same luck: one with the trigger,
// one without (the control). It has recovered when every client with an objective gets what it is
// promised, or what the control gets where that is less, over the last third of the time that it
// has after the trigger (`within_ns`). A client that misses its goodput without a trigger, too, is
// STABILITY_UNFIT: that is no question of recovery.
//
// How many seeds: Wald's sequential test of "recovers in 95 % of cases" against "in half of them",
// both errors 5 %: five successes in a row or two failures at the beginning decide. What costs
// nothing is reported beside it: the formula's two fixed points, and for a single queue with
// retries how long its Markov chain takes from full to empty (model/metastable.h).
#ifndef MODEL_STABILITY_H
#define MODEL_STABILITY_H

#include "model/outcome.h"

typedef enum StabilityVerdict {
    STABILITY_RECOVERS,
    STABILITY_COLLAPSES,
    STABILITY_UNFIT,   // bad without a trigger as well
    STABILITY_UNKNOWN, // the seeds or the budget were not enough
} StabilityVerdict;
extern const char *const STABILITY_NAMES[]; // ends with NULL

enum { STABILITY_SEEDS_MAX = 100 };

// Zeroes are defaults.
typedef struct StabilityOptions {
    uint64_t seed;
    // Of the rates of the clients that have spikes in the document, or of all open ones where none
    // has; 0: 3.
    double factor;
    uint32_t lose_agent; // with `lose`: loses so many servers instead of a spike
    uint32_t lose;
    int64_t at_ns;      // 0: 30 s, when it has warmed up
    int64_t for_ns;     // 0: 15 s
    int64_t within_ns;  // after the trigger; 0: 120 s
    uint32_t seeds_max; // 0: 20
    uint32_t threads;   // 0: 1
    double share;       // that must recover; 0: 0.95
    int64_t budget_ns;  // of the clock; 0: none
    bool own_spikes;    // the trigger is the System's own spikes and faults
} StabilityOptions;

typedef struct Stability {
    StabilityVerdict verdict;
    Estimate recovery; // s from the end of the trigger, over the seeds that recovered
    uint32_t seeds, recovered;
    double at_least; // one-sided 95 % lower limit of the share that recovers (Clopper, Pearson)
    bool bistable;   // the formula saw two fixed points
    double drain_s;  // what the trigger alone explains
    double escape_s; // of a single queue with retries: from full to good, mean; NAN: not such a one
    Slice reason;    // one sentence
    int64_t took_ns;
} Stability;

MUST_USE int stability_check(Arena *arena, const System *sys, const StabilityOptions *options,
                             Stability *ret_stability, Err *e);

#endif
