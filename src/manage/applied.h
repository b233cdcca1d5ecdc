// Applied: has a party done what it said? Words cost nothing, and a system that recovers by itself
// hides that somebody's part is missing until the next spike. So what is seen is held against two
// predictions: that of the plan, and that of the plan without the party's part.
//
//     applied_create(arena, &(AppliedAsk){.view = sys, .plan = &plan, .with = outcome, ...},
//     &check); applied_window(check, &window);                      // each window that may be
//     judged if (applied_doubt(check, &doubt)) { ... doubt.party, doubt.words ... }
//
// Looked at is what the party's own changes change and its neighbours see: on a changed edge the
// repetitions and the timeouts of its calls, at the callee the share of work that nobody waits
// for, of a changed agent its servers. A measure speaks only where the two predictions are further
// apart than their intervals and than models are wrong by; it says "not applied" when the mean over
// the windows lies, by Student's t at 99.9 %, wholly on the far side of the middle between them.
#ifndef MANAGE_APPLIED_H
#define MANAGE_APPLIED_H

#include "manage/plan.h"
#include "manage/plant.h"
#include "model/sim.h"

enum {
    APPLIED_WINDOWS_MIN = 3,   // a party is not doubted for less
    APPLIED_WINDOWS_MAX = 256, // those after it are not looked at
};
// Apart by less than this share of the larger the predictions are too close to tell.
#define APPLIED_APART 0.3
// Shares of less than a hundredth are too rare to be told apart in a few windows.
#define APPLIED_LEAST 0.01

typedef struct AppliedAsk {
    const System *view;  // before the plan
    const Plan *plan;    // the whole of it
    const Outcome *with; // what it is predicted to do
    uint32_t proposer;   // knows what it did itself, and is not looked at
    SimOptions sim;      // of the predictions without a part: as those of `with`
} AppliedAsk;

typedef struct AppliedDoubt {
    uint32_t party; // agent, or SYSTEM_FROM_CLIENT | client
    double seen;
    Estimate with, without;
    Slice words; // "repetitions of calls b->d are 0.41 a call, with b's part 0.02, without it 0.44"
} AppliedDoubt;

typedef struct AppliedCheck AppliedCheck;

// Simulates once a party. The plan and the view are not needed afterwards. A party whose part
// cannot be simulated is not doubted.
AppliedCheck *applied_create(Arena *arena, const AppliedAsk *ask);
void applied_window(AppliedCheck *check, const PlantWindow *window);
// The party with the clearest evidence.
bool applied_doubt(AppliedCheck *check, AppliedDoubt *ret_doubt);

#endif
