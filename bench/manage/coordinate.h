// Runs of a plant under the coordinator itself: it begins with the policies as they are, sees what
// it sees, and its planning and its mistakes are part of the run.
#ifndef BENCH_MANAGE_COORDINATE_H
#define BENCH_MANAGE_COORDINATE_H

#include "experiment.h"
#include "manage/coordinator.h"

typedef struct Negotiated {
    Score score;
    Slice policy;     // what it came to, in words
    double settled_s; // of the plant: when the last plan was applied that was kept; NAN: none
    double good_s;    // end of the last window with a broken promise; INFINITY: the run's last ones
    uint32_t cases, kept, rolled_back, given_up;
    uint64_t messages, lost;
    double decision_ms; // decision to applied policy, the longest
    System *after;
} Negotiated;

// Planning time of the clock that is never used up, so that results are those of the seed on every
// machine; how long planning took is reported instead.
#define NO_BUDGET_NS (600 * NS_PER_SECOND)

// Called after every window of management.
typedef int StepFn(void *context, Coordinator *c, Plant *plant, Err *e);

typedef struct NegotiateOptions {
    ScoreOptions score;
    CoordinatorOptions coordinator; // seed, hooks and planners are filled in where they are empty
    const System *world;            // what the plant really is; NULL: `sys`
    StepFn *step;
    void *context;
    bool tell; // the story to stderr
} NegotiateOptions;

MUST_USE int negotiate(Arena *arena, const System *sys, const NegotiateOptions *options,
                       Negotiated *ret, Err *e);

// D offers servers to nobody: for comparisons at equal servers.
void without_servers(System *sys);

#endif
