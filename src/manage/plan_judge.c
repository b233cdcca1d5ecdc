#include "manage/plan_judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "manage/validate.h"
#include "model/sim.h"

enum { JUDGE_BYTES_MAX = 256 << 20 };

static double gap_of(void *context, const Plan *plan)
{
    PlanJudgeSim *s = context;
    System *after = NULL;
    SimResult *result = NULL;
    SimOptions options = {.seed = s->seed,
                          .horizon_ns = PLAN_JUDGE_HORIZON_NS,
                          .warmup_ns = PLAN_JUDGE_HORIZON_NS / 3,
                          .replications = PLAN_JUDGE_REPLICATIONS,
                          .threads = PLAN_JUDGE_REPLICATIONS,
                          .no_controls = true,
                          .settle = true};
    arena_reset(s->arena);
    if (plan_apply(s->arena, &s->view, plan, &after, NULL) != 0 ||
        sim_run(s->arena, after, &options, &result, NULL) != 0) {
        return NAN;
    }
    return outcome_gap(result->outcome, after).value;
}

void plan_judge_sim_open(PlanJudgeSim *sim, const PlanContext *context, PlanJudge *ret_judge)
{
    const System *view = context->view;
    *sim = (PlanJudgeSim){
        .arena = arena_create(JUDGE_BYTES_MAX),
        .view = *view,
        .clients = mem_alloc((view->client_count + 1) * sizeof *sim->clients),
        .objectives = mem_alloc((view->objective_count + 1) * sizeof *sim->objectives),
        .seed = context->seed,
    };
    memcpy(sim->clients, view->clients, view->client_count * sizeof *sim->clients);
    for (uint32_t i = 0; i < view->client_count; i++) {
        sim->clients[i].spikes = NULL;
        sim->clients[i].spike_count = 0;
    }
    sim->view.clients = sim->clients;
    sim->view.fault_count = 0;
    sim->view.objectives = sim->objectives;
    sim->view.objective_count = 0;
    for (uint32_t i = 0; i < view->objective_count; i++) {
        uint32_t client = view->objectives[i].client;
        if ((context->violation && context->violation->client == client) ||
            validate_answers_for(view, context->self, client)) {
            sim->objectives[sim->view.objective_count++] = view->objectives[i];
        }
    }
    *ret_judge = (PlanJudge){.context = sim, .gap = gap_of};
}

void plan_judge_sim_close(PlanJudgeSim *sim)
{
    arena_destroy(sim->arena);
    free(sim->clients);
    free(sim->objectives);
}
