// From facts to a plan: what an attempt needs and whether it is there, and which goals there are.
//
// Six conditions are judged, each by a figure (docs/internals/improve.md has the thresholds and
// where they come from). One of them unmet makes an attempt doubtful; two, or a machine that cannot
// tell a big effect from noise, put it out of reach.
#ifndef IMPROVE_GOALS_H
#define IMPROVE_GOALS_H

#include "improve/plan_doc.h"
#include "improve/steps.h"
#include "improve/survey.h"

typedef struct ConditionFacts {
    size_t test_files;
    int64_t tests_passed; // -1: never run or not counted
    bool tests_validated; // a test step ran twice in clean copies
    bool tests_declared;  // there is a test step at all
    bool has_steps;       // configure was here
    size_t dependencies;
    size_t goals_open, goals_measurable; // the second have a workload or a benchmark
    Slice tools;                         // "perf, cc, cmake": what is installed
    bool has_profiler;
    bool has_measure;     // a workload or a benchmark that ran
    double resolvable;    // 0: not measured
    double cycle_seconds; // build, test and one measurement; 0: not known
    Slice engine;         // that is configured; empty: none
    Slice budget;         // "20m, 2000000 tokens, 5.00 USD"; empty: none
} ConditionFacts;

#define CYCLE_SECONDS_GOOD     120.0 // about two minutes
#define CYCLE_SECONDS_BEARABLE 600.0
#define RESOLVABLE_GOOD        0.05
#define RESOLVABLE_BEARABLE    0.15
#define GOAL_EFFECT_DEFAULT    0.05 // of the judge, where a goal says nothing
enum { DEPENDENCIES_GOOD = 60 };

// Sets conditions, feasibility and reason of the plan.
void conditions_judge(Arena *arena, const ConditionFacts *facts, PlanDoc *plan);

typedef struct HotSpot { // of a profile
    Slice symbol, object;
    Slice file; // where it may be defined; empty: not found
    double share;
} HotSpot;

typedef struct GoalSources {
    const Survey *survey;
    const Steps *steps; // NULL: configure was not here yet
    const HotSpot *hot;
    size_t hot_count;
    Slice hot_workload; // that the profile is of
} GoalSources;

// Sets the goals of the plan: the same facts give the same ids, so that later runs know them again.
void goals_find(Arena *arena, const GoalSources *sources, PlanDoc *plan);
// Goals smaller than what the machine resolves become refused, with the figure; those that no
// longer are become open.
void goals_refuse_small(Arena *arena, PlanDoc *plan);

#endif
