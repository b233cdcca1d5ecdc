// Formula: what a System does in steady state, by queueing theory, in tens of microseconds.
//
//     Formula *f;
//     rc = formula_create(sys, &f, e);                     // once: what no policy changes
//     for (each candidate, a system_copy of sys with changes) {
//         Outcome *o = outcome_create(arena, candidate);
//         FormulaFacts facts = formula_solve(f, candidate, o);
//     }
//     formula_destroy(f);
//
// Every agent is a queue (G/G/c with impatience), every call a tree of times on the grid of
// model/spread.h: one after the other, in parallel, cut by timeouts, repeated. Retries, timeouts
// and hedges change the load, which changes the times: the answer is a fixed point, looked for from
// an idle system (from below) and from one where everything fails (from above). Two different ones
// mean that the system does not come back by itself once it was overloaded.
//
// What is modelled: timeouts of attempts and calls, deadlines, retries with pauses and budgets,
// hedges, cancellation and orphaned work, chances, repeats and joins, server and queue limits,
// fixed concurrency limits, rate limits, priorities, processor sharing, autoscaling's mean, closed
// clients. Not: breakers, shedding, adaptive limits, batches, programs, faults, spikes. The answer
// then says so in `FormulaFacts.unmodelled`, and its intervals are wider. docs/internals/formula.md
// has the approximations and their errors.
//
// One thread a Formula. Times are seconds.
#ifndef MODEL_FORMULA_H
#define MODEL_FORMULA_H

#include "model/outcome.h"
#include "model/spread.h"

enum {
    FORMULA_ROUNDS_MAX = 60, // of the fixed point, from each side
    FORMULA_ATOMS_MAX = 8,   // different patiences of an agent's requests
    FORMULA_CLASSES_MAX = POLICY_PRIORITIES,
};

typedef struct Formula Formula;

typedef struct FormulaFacts {
    bool stable;
    bool bistable;        // from above it ends elsewhere
    bool settled;         // false: FORMULA_ROUNDS_MAX were not enough
    double utilisation;   // of the busiest limited agent; above 1 where it is overloaded
    uint32_t busiest;     // that agent; UINT32_MAX: nobody is limited
    double amplification; // requests there over those that would be made if nothing failed
    double goodput_above; // worst client's goodput at the fixed point from above
    uint32_t rounds;
    const char *unmodelled; // the first policy in use that formulas leave out; NULL
} FormulaFacts;

// ERR_LIMIT for a system too large for the grid's memory (FORMULA_BYTES_MAX).
#define FORMULA_BYTES_MAX ((size_t)256 << 20)
MUST_USE int formula_create(const System *sys, Formula **ret_formula, Err *e);
void formula_destroy(Formula *f); // NULL is fine

// `sys`: the System that `f` was made for, or a copy of it with other parameters and other rates.
// Fills `outcome`, whose intervals have its `confidence` (set it before; 0: 0.9). Its `reason`
// lives until the next solve or destroy: copy it to keep it.
FormulaFacts formula_solve(Formula *f, const System *sys, Outcome *outcome);
// The same without the look from above: half the time, for screening.
FormulaFacts formula_solve_below(Formula *f, const System *sys, Outcome *outcome);

// The spread of a Dist of the System, seconds.

void formula_spread(Spread *ret, const Dist *dist);

#endif
