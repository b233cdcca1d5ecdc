// Planner: makes candidates for a violated objective. Rules, Bayesian optimisation and a language
// model are each behind this one function; whatever they say goes through manage/validate.h before
// anybody hears of it, so a planner may be wrong, slow or hostile and costs no more than its
// budget.
//
//     PlanList list = {0};
//     rc = planner_plan(planner, arena, &context, &list, e);
//     for (size_t i = 0; i < list.count; i++) ... list.plans[i] ...
//
// What a planner may touch: its own parameters in detail; of agents next to it what they published,
// as one wish for all edges of a neighbour (`detail` is false there): how a neighbour sets its
// edges apart from each other is the neighbour's own planning, and comes back as a
// counter-proposal.
//
// Called off the request path by the management's thread. A planner keeps no pointer into a
// context.
#ifndef MANAGE_PLANNER_H
#define MANAGE_PLANNER_H

#include "manage/detect.h"
#include "manage/plan.h"

// The expected gap to the objectives after a plan (0: met); NAN: it cannot be had. For planners
// that search: each call costs the budget.
typedef struct PlanJudge {
    void *context;
    double (*gap)(void *context, const Plan *plan);
} PlanJudge;

typedef struct PlanContext {
    const System *view;         // what the manager knows, with the policies as they are
    uint32_t self;              // the agent that plans, or SYSTEM_FROM_CLIENT | client
    uint32_t reach;             // how many hops from `self` its wishes may go; 0: only its own
    const Violation *violation; // NULL when a proposal is amended
    const Outcome *observed;    // of the last windows, or NULL
    const Outcome *expected;    // what the model says of `view` as it is, or NULL
    const Plan *base;           // amend this one, as its recipient; or NULL
    const PlanLimit *limits;    // of refusals so far
    size_t limit_count;
    size_t plans_max;  // at most PLANS_MAX
    int64_t budget_ns; // of the clock; a planner that has no answer by then gives what it has
    uint64_t seed;
    uint64_t case_number; // what counts by case (calls of a language model) counts by this
    PlanJudge judge;      // .gap NULL: there is none, who searches makes one (manage/plan_judge.h)
} PlanContext;

typedef struct PlanList {
    Plan *plans;
    size_t count;
} PlanList;

typedef struct Planner Planner;
typedef struct PlannerOps {
    const char *name; // "rules", "bayes", "random", "llm"
    // Plans in `arena`, best first by its own lights. No plan is not an error.
    int (*plan)(Planner *planner, Arena *arena, const PlanContext *context, PlanList *ret_list,
                Err *e);
    void (*destroy)(Planner *planner);
} PlannerOps;

// An implementation's struct begins with this one.
struct Planner {
    const PlannerOps *ops;
    uint64_t llm_calls; // to a language model so far
};

MUST_USE int planner_plan(Planner *planner, Arena *arena, const PlanContext *context,
                          PlanList *ret_list, Err *e);
void planner_destroy(Planner *planner); // NULL is fine

// May `self` touch the parameter, and may it do so edge by edge (its own), or only with one value
// for all of a neighbour's edges? Nobody touches what its owner gives no range for.
typedef enum PlanReach { REACH_NONE, REACH_WISH, REACH_DETAIL } PlanReach;
PlanReach plan_reach(const PlanContext *context, SystemParam what);

#endif
