// constant-arrival-rate and ramping-arrival-rate: iterations start when the schedule says so,
// whatever the target does (open model).
//
// Each shard computes its own stripe of the arrivals; one timer is set for the next. When it fires,
// the arrival goes to a free VU; without one a further VU is made, up to maxVUs; past that it waits
// in a bounded queue for at most ENGINE_QUEUE_WAIT_NS (k6 drops it at once; a short stall of the
// target then shows as lateness of the iterations that waited, and in http_req_corrected_duration,
// instead of vanishing). Nothing is sent twice or made up afterwards.
//
// An idle VU owns no fiber; it borrows one for an iteration, and keeps it while arrivals wait.
#include "load/shard.h"

static void drop_no_vu(ScenarioRun *run, int64_t n)
{
    if (n > 0) {
        recorder_count(run->dropped_no_vu, n);
        run->shard->counters.dropped_no_vu += n;
    }
}

// ---- the queue

static bool queue_pop(ScenarioRun *run, Tick *ret)
{
    int64_t now_ns = loop_clock(run->shard->loop);
    while (run->queue_count > 0) {
        *ret = run->queue[run->queue_first];
        run->queue_first = (run->queue_first + 1) % run->queue_capacity;
        run->queue_count--;
        if (now_ns - ret->due_ns <= ENGINE_QUEUE_WAIT_NS) {
            return true;
        }
        drop_no_vu(run, 1);
    }
    return false;
}

static void queue_push(ScenarioRun *run, Tick tick)
{
    int64_t now_ns = loop_clock(run->shard->loop);
    while (run->queue_count > 0 &&
           now_ns - run->queue[run->queue_first].due_ns > ENGINE_QUEUE_WAIT_NS) {
        run->queue_first = (run->queue_first + 1) % run->queue_capacity;
        run->queue_count--;
        drop_no_vu(run, 1);
    }
    if (run->queue_count == run->queue_capacity) {
        drop_no_vu(run, 1);
        return;
    }
    run->queue[(run->queue_first + run->queue_count++) % run->queue_capacity] = tick;
}

// ---- VUs

static void arrival_vu(void *arg)
{
    Vu *vu = arg;
    ScenarioRun *run = vu->run;
    Tick tick = vu->tick;
    bool waited = false;
    do {
        int64_t late_ns = loop_clock(run->shard->loop) - tick.due_ns;
        recorder_trend(waited ? run->late_no_vu : run->late_generator, late_ns);
        vu_iterate(vu, tick.number, tick.due_ns);
        waited = true;
    } while (!fiber_is_cancelled() && run->state == SCENARIO_RUNNING && queue_pop(run, &tick));
    run_vu_left(run, vu);
}

static Vu *take_vu(ScenarioRun *run)
{
    Vu *vu = run->free_vus;
    if (vu) {
        run->free_vus = vu->next_free;
        return vu;
    }
    return run->vu_count < run->vu_max ? run_vu(run, run->vu_count) : NULL;
}

static void fire(ScenarioRun *run, Tick tick)
{
    int64_t late_ns = loop_clock(run->shard->loop) - tick.due_ns;
    run->shard->counters.due++;
    recorder_trend(run->generator_lateness, late_ns);
    if (late_ns > ENGINE_LATE_DROP_NS) {
        recorder_count(run->dropped_generator, 1);
        run->shard->counters.dropped_generator++;
        return;
    }
    Vu *vu = take_vu(run);
    if (!vu) {
        queue_push(run, tick);
        return;
    }
    vu->tick = tick;
    run_spawn(run, vu, arrival_vu);
}

// ---- the timer

static void advance(ScenarioRun *run)
{
    run->has_tick = schedule_next(&run->cursor, &run->tick.number, &run->tick.due_ns);
    run->tick.due_ns += run->has_tick ? run->start_ns : 0;
}

static void fire_due(ScenarioRun *run)
{
    Loop *loop = run->shard->loop;
    while (run->has_tick && run->tick.due_ns <= loop_clock(loop)) {
        fire(run, run->tick);
        advance(run);
    }
}

static void on_tick(LoopTimer *timer)
{
    ScenarioRun *run = CONTAINER_OF(timer, ScenarioRun, tick_timer);
    if (run->state != SCENARIO_RUNNING) {
        return;
    }
    fire_due(run);
    if (run->has_tick) {
        loop_timer_set(run->shard->loop, timer, run->tick.due_ns);
    }
}

static void start(ScenarioRun *run)
{
    Shard *shard = run->shard;
    const PlanScenario *p = run->plan;
    unsigned shards = engine_shards(shard->engine);
    int64_t planned = stripe_share(p->pre_allocated_vus, shard->index, shards);
    run->queue_capacity = run->vu_max < ENGINE_QUEUE_MAX ? run->vu_max : ENGINE_QUEUE_MAX;
    run->queue_capacity += run->queue_capacity == 0;
    run->queue = mem_alloc(run->queue_capacity * sizeof *run->queue);
    for (int64_t i = planned - 1; i >= 0; i--) {
        Vu *vu = run_vu(run, (uint32_t)i);
        vu->next_free = run->free_vus;
        run->free_vus = vu;
    }
    run->cursor = schedule_cursor(engine_schedule(shard->engine, p->index), shard->index, shards);
    loop_timer_init(&run->tick_timer, on_tick);
    advance(run);
    on_tick(&run->tick_timer);
}

// What is due at this very moment still belongs to the scenario when its time is over (a ramp may
// end with an arrival); after a stop it does not.
static void end(ScenarioRun *run)
{
    int64_t end_ns = clock_deadline(run->start_ns, scenario_duration_ns(run->plan));
    if (loop_clock(run->shard->loop) >= end_ns) {
        fire_due(run);
    }
    loop_timer_disarm(&run->tick_timer);
    run->has_tick = false;
    drop_no_vu(run, (int64_t)run->queue_count);
    run->queue_count = 0;
}

static void vu_left(ScenarioRun *run, Vu *vu)
{
    vu->next_free = run->free_vus;
    run->free_vus = vu;
}

static void done(ScenarioRun *run)
{
    if (run->tick_timer.fn) {
        loop_timer_cancel(run->shard->loop, &run->tick_timer);
    }
    free(run->queue);
}

const ExecutorOps executor_arrivals = {
    .start = start, .end = end, .vu_left = vu_left, .done = done};
