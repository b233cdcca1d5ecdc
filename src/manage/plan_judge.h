// A judge for planners that search and whose context brings none: the gap to the objectives that
// count for the planner, by short simulations with the same luck for every plan.
//
//     PlanJudgeSim sim;
//     plan_judge_sim_open(&sim, &context, &judge);
//     double gap = judge.gap(judge.context, &plan);
//     plan_judge_sim_close(&sim);
//
// What is asked here is only which of two plans is nearer; validation looks again, and longer.
#ifndef MANAGE_PLAN_JUDGE_H
#define MANAGE_PLAN_JUDGE_H

#include "manage/planner.h"

#define PLAN_JUDGE_HORIZON_NS (90 * NS_PER_SECOND)
enum { PLAN_JUDGE_REPLICATIONS = 2 };

typedef struct PlanJudgeSim {
    Arena *arena; // of one answer
    System view;  // without the spikes and faults of its past, with the objectives that count
    SystemClient *clients;
    SystemObjective *objectives;
    uint64_t seed;
} PlanJudgeSim;

void plan_judge_sim_open(PlanJudgeSim *sim, const PlanContext *context, PlanJudge *ret_judge);
void plan_judge_sim_close(PlanJudgeSim *sim);

#endif
