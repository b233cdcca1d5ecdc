// ramping-vus: VUs come and go by the steps of load/schedule.h. A VU that goes may finish its
// iteration for gracefulRampDown; one that is wanted again meanwhile simply stays.
#include "load/shard.h"

static bool next(ScenarioRun *run, Vu *vu, int64_t *ret_number)
{
    *ret_number = run->started * engine_shards(run->shard->engine) + run->shard->index;
    return run->state == SCENARIO_RUNNING && vu->wanted;
}

static void ramping_vu(void *arg)
{
    run_closed_vu(arg, next);
}

static void on_leave(LoopTimer *timer)
{
    Vu *vu = CONTAINER_OF(timer, Vu, leave_timer);
    if (vu->fiber) {
        fiber_cancel(vu->fiber);
    }
}

static void join(ScenarioRun *run, uint32_t index)
{
    Vu *vu = run_vu(run, index);
    vu->wanted = true;
    if (vu->leave_timer.fn) {
        loop_timer_disarm(&vu->leave_timer);
    }
    // One that was cut but has not left yet is started again when it does.
    if (!vu->fiber) {
        run_spawn(run, vu, ramping_vu);
    }
}

static void leave(ScenarioRun *run, uint32_t index)
{
    Vu *vu = run->vus[index];
    vu->wanted = false;
    if (!vu->fiber) {
        return;
    }
    if (run->plan->graceful_ramp_down_ns == 0) {
        fiber_cancel(vu->fiber);
        return;
    }
    if (!vu->leave_timer.fn) {
        loop_timer_init(&vu->leave_timer, on_leave);
    }
    Loop *loop = run->shard->loop;
    loop_timer_set(loop, &vu->leave_timer,
                   clock_deadline(loop_clock(loop), run->plan->graceful_ramp_down_ns));
}

static void set_target(ScenarioRun *run, int64_t vus)
{
    unsigned shards = engine_shards(run->shard->engine);
    uint32_t target = (uint32_t)stripe_share(vus, run->shard->index, shards);
    while (run->vu_target < target) {
        join(run, run->vu_target++);
    }
    while (run->vu_target > target) {
        leave(run, --run->vu_target);
    }
}

static void on_step(LoopTimer *timer)
{
    ScenarioRun *run = CONTAINER_OF(timer, ScenarioRun, step_timer);
    Loop *loop = run->shard->loop;
    // The last step, to 0, is the end of the scenario and run_end's: its VUs have gracefulStop.
    int64_t end_ns = scenario_duration_ns(run->plan);
    while (run->state == SCENARIO_RUNNING && run->vu_next.at_ns < end_ns) {
        int64_t due_ns = run->start_ns + run->vu_next.at_ns;
        if (due_ns > loop_clock(loop)) {
            loop_timer_set(loop, timer, due_ns);
            return;
        }
        set_target(run, run->vu_next.vus);
        if (!vu_cursor_next(&run->vu_cursor, &run->vu_next)) {
            return;
        }
    }
}

static void start(ScenarioRun *run)
{
    loop_timer_init(&run->step_timer, on_step);
    run->vu_cursor = vu_cursor(run->plan);
    if (vu_cursor_next(&run->vu_cursor, &run->vu_next)) {
        on_step(&run->step_timer);
    }
}

static void end(ScenarioRun *run)
{
    loop_timer_disarm(&run->step_timer);
}

static void vu_left(ScenarioRun *run, Vu *vu)
{
    if (vu->wanted && run->state == SCENARIO_RUNNING) {
        run_spawn(run, vu, ramping_vu);
    }
}

static void done(ScenarioRun *run)
{
    loop_timer_cancel(run->shard->loop, &run->step_timer);
}

const ExecutorOps executor_ramping_vus = {
    .start = start, .end = end, .vu_left = vu_left, .done = done};
