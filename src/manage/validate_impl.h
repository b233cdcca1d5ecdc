// What the files of validation share.
#ifndef MANAGE_VALIDATE_IMPL_H
#define MANAGE_VALIDATE_IMPL_H

#include "manage/validate.h"
#include "os/clock.h"

// What a p99 that is infinite counts as among finite ones, in units of its limit.
#define VALIDATE_WORST 1e6

typedef struct Candidate {
    System *sys; // the view after it
    Verdict verdict;
    bool open; // still in the funnel
    bool glanced, simulated;
    double rank; // smaller is better, among those with the same gap
} Candidate;

typedef struct Funnel {
    Arena *arena;
    const ValidateAsk *ask;
    System *view; // without the spikes and faults of its past
    System own;   // `view` with the objectives that count for the gap
    Candidate *candidates;
    size_t count;
    Outcome *baseline; // of the stage at work
    ObjectiveGap baseline_gap;
    int64_t started_ns;
    bool over; // the budget is
    bool cut;  // something was left out for it
} Funnel;

// The gap to the objectives that count.
ObjectiveGap funnel_gap(const Funnel *f, const Outcome *outcome);
// Fills outcome, gap, harms, cost and rank of a candidate from what a stage says of it.
void funnel_judge(Funnel *f, Candidate *c, Outcome *outcome);
// Rejects; `format` is one sentence.
void funnel_reject(Funnel *f, Candidate *c, VerdictReason reason, const char *format, ...)
    PRINTF_LIKE(4, 5);
// Is so much of the budget used up (1: all of it)?
bool funnel_used(Funnel *f, double share);
// The candidate's Outcome by simulation, in steady state, from so many replications over so much of
// the horizon; NULL where it cannot be had.
Outcome *funnel_simulate(Funnel *f, const System *sys, uint32_t replications, double horizon);
// The stages at both ends (validate_stage.c).
void funnel_bounds(Funnel *f);
void funnel_stability(Funnel *f);
// Is `a` to be preferred?
int candidate_compare(const void *a, const void *b);
// Does somebody who counts not get what was promised, or a bystander pay for it? Rejects then.
bool funnel_sound(Funnel *f, Candidate *c);

#endif
