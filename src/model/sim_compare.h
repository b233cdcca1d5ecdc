// Ranking many candidate changes of one System by simulation, at the least cost.
//
//     SimCandidate candidates[] = {{changes_a, 2}, {changes_b, 1}, {0}};   // {0}: as it is
//     SimRank *ranks;
//     rc = sim_compare(arena, base, candidates, 3, &(SimCompareOptions){
//         .sim = {.seed = 7, .horizon_ns = 900 * NS_PER_SECOND, .replications = 5}}, &ranks, e);
//     ranks[0].candidate      the best; ranks[0].result its outcome with intervals
//     ranks[1].difference     how much worse the second is, with an interval
//
// In each round every candidate that is left runs one more replication, all with the same luck
// (common random numbers), and runs that are settled end early. Then those are dropped
//   - whose score is worse than the best's by more than chance allows: Student's t on the paired
//     differences, one-sided, at `confidence` shared over all candidates (Bonferroni);
//   - that collapsed where the best did not;
//   - that are in the worse half (successive halving: Jamieson and Talwalkar, AISTATS 2016), but
//     `keep` candidates at least go on to the last round.
#ifndef MODEL_SIM_COMPARE_H
#define MODEL_SIM_COMPARE_H

#include "model/sim.h"

enum { SIM_CANDIDATES_MAX = 10000 };

typedef struct SimCandidate {
    const SystemChange *changes;
    size_t count;
} SimCandidate;

// One run's badness: less is better; never NAN.
typedef double SimScore(void *context, const System *sys, const SimRun *run);

typedef struct SimCompareOptions {
    SimOptions sim;    // replications: of those that stay to the end; `settle` and controls are
                       // set here
    double confidence; // 0: 0.95
    uint32_t keep;     // 0: 3
    SimScore *score;   // NULL: sim_score
    void *context;     // of `score`
} SimCompareOptions;

// The gap to the objectives (outcome_gap, and the most for a client that does not recover) and, to
// tell those apart that meet them all, a hundredth of p99 over what was promised.
double sim_score(void *context, const System *sys, const SimRun *run);

typedef enum SimFate {
    SIM_KEPT,     // ran all rounds
    SIM_WORSE,    // shown to be worse than the best then
    SIM_COLLAPSE, // it does not come back, the best then did
    SIM_HALVED,   // in the worse half
    SIM_REFUSED,  // the changes cannot be made; nothing was run
} SimFate;
extern const char *const SIM_FATES[]; // names; ends with NULL

typedef struct SimRank {
    uint32_t candidate;
    SimFate fate;
    Estimate score;      // mean over its runs
    Estimate difference; // to the best candidate, paired over the runs both have
    const System *sys;   // with the changes; NULL when refused
    SimResult *result;   // of its runs; NULL when refused
} SimRank;

// All candidates, best first: by the round they came to, then by score. ERR_ARG: none, or options
// out of range.
MUST_USE int sim_compare(Arena *arena, const System *base, const SimCandidate *candidates,
                         size_t count, const SimCompareOptions *options, SimRank **ret_ranks,
                         Err *e);

#endif
