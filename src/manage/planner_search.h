// Planners that search: they know nothing of what parameters mean, only how far from the promise
// each setting ends, by the context's judge or short simulations (manage/plan_judge.h).
//
//     Planner *planner = planner_bayes_create(&(PlannerSearchOptions){.evaluations = 48});
//
// "bayes" is Bayesian optimisation (model/bayes_opt.h) over what owners allow within reach;
// "random" tries points of a rotated Halton sequence over the same space, the baseline for it.
// Both spend a quarter of the evaluations on simplifying the best: what can go back to what it was
// without a loss does, because every change has to be agreed with somebody.
//
// The same context and seed give the same plans, unless the budget of time ends it sooner.
#ifndef MANAGE_PLANNER_SEARCH_H
#define MANAGE_PLANNER_SEARCH_H

#include "manage/planner.h"

enum { PLANNER_EVALUATIONS_DEFAULT = 48, PLANNER_EVALUATIONS_MAX = 400 };

typedef struct PlannerSearchOptions {
    uint32_t evaluations; // 0: the default
} PlannerSearchOptions;

Planner *planner_bayes_create(const PlannerSearchOptions *options);
Planner *planner_random_create(const PlannerSearchOptions *options);

#endif
