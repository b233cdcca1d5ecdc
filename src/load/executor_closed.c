// shared-iterations, per-vu-iterations and constant-vus: every VU begins the next iteration when it
// has finished the last one.
#include "load/shard.h"

// Iterations are numbered in the order they start; with several shards each numbers its own stripe.
static int64_t next_number(const ScenarioRun *run)
{
    return run->started * engine_shards(run->shard->engine) + run->shard->index;
}

static bool next(ScenarioRun *run, Vu *vu, int64_t *ret_number)
{
    if (run->state != SCENARIO_RUNNING) {
        return false;
    }
    *ret_number = next_number(run);
    switch (run->plan->executor) {
    case EXECUTOR_SHARED_ITERATIONS: return run->started < run->iteration_share;
    case EXECUTOR_PER_VU_ITERATIONS: return vu->iteration + 1 < run->plan->iterations;
    case EXECUTOR_CONSTANT_VUS: return true;
    case EXECUTOR_RAMPING_VUS:
    case EXECUTOR_CONSTANT_ARRIVAL_RATE:
    case EXECUTOR_RAMPING_ARRIVAL_RATE: break;
    }
    return false;
}

static void closed_vu(void *arg)
{
    run_closed_vu(arg, next);
}

static void start(ScenarioRun *run)
{
    const PlanScenario *p = run->plan;
    unsigned shards = engine_shards(run->shard->engine);
    uint32_t vus = (uint32_t)stripe_share(p->vus, run->shard->index, shards);
    if (p->executor == EXECUTOR_SHARED_ITERATIONS) {
        // A shard without a VU has no iterations: they go to the shards that have one.
        unsigned working = p->vus < shards ? (unsigned)p->vus : shards;
        run->iteration_share =
            vus > 0 ? stripe_share(p->iterations, run->shard->index, working) : 0;
    }
    for (uint32_t i = 0; i < vus; i++) {
        if (!run_spawn(run, run_vu(run, i), closed_vu)) {
            return;
        }
    }
    if (vus == 0) {
        run_end(run);
    }
}

// Iterations that maxDuration or a stop left over count as dropped, as in k6.
static void end(ScenarioRun *run)
{
    const PlanScenario *p = run->plan;
    int64_t planned = 0;
    if (p->executor == EXECUTOR_SHARED_ITERATIONS) {
        planned = run->iteration_share;
    } else if (p->executor == EXECUTOR_PER_VU_ITERATIONS) {
        planned = (int64_t)run->vu_count * p->iterations;
    }
    if (planned > run->started) {
        recorder_count(run->dropped_max_duration, planned - run->started);
        run->shard->counters.dropped_other += planned - run->started;
    }
}

static void vu_left(ScenarioRun *run, Vu *vu)
{
    (void)vu;
    if (run->fibers == 0) {
        run_end(run); // all iterations are done before the time is over
    }
}

const ExecutorOps executor_closed = {.start = start, .end = end, .vu_left = vu_left};
