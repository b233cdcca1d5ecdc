// Stability: does a System come back after a spike? A candidate that is fine in steady state and
// stays down once it was overloaded must not be applied, and neither a steady-state formula nor a
// simulation without a trigger can tell.
//
//     Stability s;
//     rc = stability_check(arena, candidate, &(StabilityOptions){.seed = 7}, &s, e);
//     if (s.verdict != STABILITY_RECOVERS) { ... s.reason ... }
//
// Each seed gives two simulations with the same arrivals and the same luck: one with the trigger,
// one without (the control). It has recovered when every client with an objective is good again,
// window after window, within `within_ns` after the trigger. A client that is bad without a
// trigger, too, is STABILITY_UNFIT: that is no question of recovery.
//
// How many seeds: Wald's sequential test of "recovers in 95 % of cases" against "in half of them",
// both errors 5 %: five successes in a row or two failures at the beginning decide. Hints that cost
// nothing come first: the formula's two fixed points, bounds (no overload can last), and for a
// single queue with retries the escape time of its Markov chain (model/metastable.h). They never
// accept by themselves but for the bound, which is certain.
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
    double factor;       // of the rates of all open clients; 0: 3
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
    bool certain;    // by the bound: no simulation was needed
    Slice reason;    // one sentence
    int64_t took_ns;
} Stability;

MUST_USE int stability_check(Arena *arena, const System *sys, const StabilityOptions *options,
                             Stability *ret_stability, Err *e);

#endif
