#include "load/plan.h"

#include <assert.h>

#include "load/schedule.h"

static const Slice EXECUTORS[] = {
    [EXECUTOR_SHARED_ITERATIONS] = SLICE_INIT("shared-iterations"),
    [EXECUTOR_PER_VU_ITERATIONS] = SLICE_INIT("per-vu-iterations"),
    [EXECUTOR_CONSTANT_VUS] = SLICE_INIT("constant-vus"),
    [EXECUTOR_RAMPING_VUS] = SLICE_INIT("ramping-vus"),
    [EXECUTOR_CONSTANT_ARRIVAL_RATE] = SLICE_INIT("constant-arrival-rate"),
    [EXECUTOR_RAMPING_ARRIVAL_RATE] = SLICE_INIT("ramping-arrival-rate"),
};

static const Slice KINDS[] = {
    [ENVIRONMENT_DEVELOPMENT] = SLICE_INIT("development"),
    [ENVIRONMENT_TEST] = SLICE_INIT("test"),
    [ENVIRONMENT_PERFORMANCE] = SLICE_INIT("performance"),
    [ENVIRONMENT_STAGING] = SLICE_INIT("staging"),
    [ENVIRONMENT_PRODUCTION] = SLICE_INIT("production"),
};

Slice executor_name(ExecutorKind kind)
{
    assert(kind < COUNT_OF(EXECUTORS));
    return EXECUTORS[kind];
}

Slice environment_kind_name(EnvironmentKind kind)
{
    assert(kind < COUNT_OF(KINDS));
    return KINDS[kind];
}

static int64_t end_of(const PlanScenario *s, bool with_stop)
{
    return s->start_time_ns + scenario_duration_ns(s) + (with_stop ? s->graceful_stop_ns : 0);
}

// The sum can only grow where a scenario starts, so those moments are enough. Each scenario counts
// with its highest number for as long as it may have VUs, which is never too few.
int64_t plan_vus_max(const Plan *plan)
{
    int64_t highest = 0;
    for (size_t i = 0; i < plan->scenario_count; i++) {
        int64_t at = plan->scenarios[i].start_time_ns, sum = 0;
        for (size_t k = 0; k < plan->scenario_count; k++) {
            const PlanScenario *s = &plan->scenarios[k];
            bool runs = s->start_time_ns <= at && at < end_of(s, true);
            sum += runs || k == i ? s->max_vus : 0;
        }
        highest = sum > highest ? sum : highest;
    }
    return highest;
}

static int64_t longest(const Plan *plan, bool with_stops)
{
    int64_t end = 0;
    for (size_t i = 0; i < plan->scenario_count; i++) {
        int64_t at = end_of(&plan->scenarios[i], with_stops);
        end = at > end ? at : end;
    }
    return end;
}

int64_t plan_duration_ns(const Plan *plan)
{
    return longest(plan, false);
}

int64_t plan_duration_with_stops_ns(const Plan *plan)
{
    return longest(plan, true);
}
