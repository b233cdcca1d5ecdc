// What all executors share: a scenario's life on one shard. See load/shard.h.
#include "load/shard.h"

static const ExecutorOps *ops_of(ExecutorKind kind)
{
    switch (kind) {
    case EXECUTOR_SHARED_ITERATIONS:
    case EXECUTOR_PER_VU_ITERATIONS:
    case EXECUTOR_CONSTANT_VUS: return &executor_closed;
    case EXECUTOR_RAMPING_VUS: return &executor_ramping_vus;
    case EXECUTOR_CONSTANT_ARRIVAL_RATE:
    case EXECUTOR_RAMPING_ARRIVAL_RATE: return &executor_arrivals;
    }
    return NULL;
}

static RecorderSeries *series(ScenarioRun *run, MetricId metric, Slice cause)
{
    Label labels[LABELS_MAX];
    size_t n = labels_base(run->shard, run->plan, (Slice){0}, NULL, labels);
    if (cause.len > 0 && n < LABELS_MAX) {
        labels[n++] = (Label){SLICE_INIT("cause"), cause};
    }
    return recorder_series(run->shard->recorder, metric, labels, n);
}

static void make_series(ScenarioRun *run)
{
    Slice none = {0};
    run->iterations = series(run, M_ITERATIONS, none);
    run->iteration_duration = series(run, M_ITERATION_DURATION, none);
    run->dropped_generator = series(run, M_DROPPED_ITERATIONS, SLICE("generator"));
    run->dropped_no_vu = series(run, M_DROPPED_ITERATIONS, SLICE("no_free_vu"));
    run->dropped_max_duration = series(run, M_DROPPED_ITERATIONS, SLICE("max_duration"));
    if (run->ops == &executor_arrivals) {
        run->generator_lateness = series(run, M_GENERATOR_LATENESS, none);
        run->late_generator = series(run, M_ITERATION_LATENESS, SLICE("generator"));
        run->late_no_vu = series(run, M_ITERATION_LATENESS, SLICE("no_free_vu"));
    }
}

// ---- which feeds a scenario's requests mention

static void feeds_of_template(bool *uses, const Template *t)
{
    for (size_t i = 0; i < t->part_count; i++) {
        if (t->parts[i].kind == PART_FEED) {
            uses[t->parts[i].slot] = true;
        }
    }
}

static void feeds_of_steps(bool *uses, const PlanStep *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const PlanRequest *r = steps[i].kind == STEP_REQUEST ? steps[i].request : NULL;
        feeds_of_steps(uses, steps[i].steps, steps[i].step_count);
        for (size_t k = 0; r && k < r->header_count; k++) {
            feeds_of_template(uses, &r->headers[k].value);
        }
        if (r) {
            feeds_of_template(uses, &r->url);
            feeds_of_template(uses, &r->body);
        }
    }
}

static void find_feeds(ScenarioRun *run)
{
    size_t count = engine_plan(run->shard->engine)->feed_count;
    run->uses_feed = ARENA_ARRAY(run->shard->arena, bool, count + 1);
    feeds_of_steps(run->uses_feed, run->plan->steps, run->plan->step_count);
}

// ---- life

static void on_start(LoopTimer *timer)
{
    ScenarioRun *run = CONTAINER_OF(timer, ScenarioRun, start_timer);
    run->state = SCENARIO_RUNNING;
    int64_t length_ns = scenario_duration_ns(run->plan);
    loop_timer_set(run->shard->loop, &run->end_timer, clock_deadline(run->start_ns, length_ns));
    run->ops->start(run);
    run_check_over(run);
}

static void on_end(LoopTimer *timer)
{
    run_end(CONTAINER_OF(timer, ScenarioRun, end_timer));
}

static void on_cut(LoopTimer *timer)
{
    run_cut(CONTAINER_OF(timer, ScenarioRun, cut_timer));
}

int run_init(ScenarioRun *run, Shard *shard, const PlanScenario *plan, uint32_t id_base, Err *e)
{
    unsigned shards = engine_shards(shard->engine);
    run->shard = shard;
    run->plan = plan;
    run->ops = ops_of(plan->executor);
    run->id_base = id_base;
    run->vu_max = (uint32_t)stripe_share(plan->max_vus, shard->index, shards);
    run->vus = mem_zalloc((run->vu_max + 1) * sizeof(Vu *));
    run->rng_name = arena_printf(shard->arena, "iteration/%.*s", SLICE_FMT(plan->name));
    loop_timer_init(&run->start_timer, on_start);
    loop_timer_init(&run->end_timer, on_end);
    loop_timer_init(&run->cut_timer, on_cut);
    make_series(run);
    find_feeds(run);
    run->action_count = plan->step_count;
    return actions_create(shard, plan, (Slice){0}, plan->steps, plan->step_count, &run->actions, e);
}

void run_done(ScenarioRun *run)
{
    Loop *loop = run->shard->loop;
    if (!run->ops) {
        return; // run_init never came to it
    }
    loop_timer_cancel(loop, &run->start_timer);
    loop_timer_cancel(loop, &run->end_timer);
    loop_timer_cancel(loop, &run->cut_timer);
    if (run->ops->done) {
        run->ops->done(run);
    }
    for (uint32_t i = 0; run->vus && i < run->vu_max; i++) {
        vu_destroy(run->vus[i]);
    }
    free(run->vus);
    actions_done(run->actions, run->action_count);
}

void run_start(ScenarioRun *run)
{
    run->start_ns = clock_deadline(engine_t0(run->shard->engine), run->plan->start_time_ns);
    loop_timer_set(run->shard->loop, &run->start_timer, run->start_ns);
}

void run_end(ScenarioRun *run)
{
    Loop *loop = run->shard->loop;
    if (run->state == SCENARIO_ENDING || run->state == SCENARIO_OVER) {
        return;
    }
    bool ran = run->state == SCENARIO_RUNNING;
    run->state = SCENARIO_ENDING;
    loop_timer_disarm(&run->start_timer);
    loop_timer_disarm(&run->end_timer);
    if (ran) {
        run->ops->end(run);
    }
    if (run->plan->graceful_stop_ns == 0) {
        run_cut(run);
    } else if (run->fibers > 0) {
        int64_t due_ns = clock_deadline(loop_clock(loop), run->plan->graceful_stop_ns);
        loop_timer_set(loop, &run->cut_timer, due_ns);
    }
    run_check_over(run);
}

// Cancelled fibers leave at the end of this round of the loop.
void run_cut(ScenarioRun *run)
{
    for (uint32_t i = 0; i < run->vu_max; i++) {
        if (run->vus[i] && run->vus[i]->fiber) {
            fiber_cancel(run->vus[i]->fiber);
        }
    }
}

void run_check_over(ScenarioRun *run)
{
    if (run->state != SCENARIO_ENDING || run->fibers > 0) {
        return;
    }
    run->state = SCENARIO_OVER;
    loop_timer_disarm(&run->cut_timer);
    shard_run_over(run->shard, run);
}

Vu *run_vu(ScenarioRun *run, uint32_t index)
{
    if (!run->vus[index]) {
        Shard *shard = run->shard;
        uint32_t id = run->id_base + index * engine_shards(shard->engine) + shard->index + 1;
        run->vus[index] = vu_create(shard, run, index, id);
        run->vu_count++;
        ShardCounters *c = &shard->counters;
        c->vus_max++;
        c->vus_peak = c->vus_max > c->vus_peak ? c->vus_max : c->vus_peak;
    }
    return run->vus[index];
}

bool run_spawn(ScenarioRun *run, Vu *vu, FiberFn *fn)
{
    vu->fiber = fiber_spawn(run->shard->pool, "vu", fn, vu);
    if (!vu->fiber) {
        shard_fail(run->shard, "the system has no memory for another virtual user's stack");
        return false;
    }
    run->fibers++;
    return true;
}

void run_vu_left(ScenarioRun *run, Vu *vu)
{
    vu->fiber = NULL;
    run->fibers--;
    run->ops->vu_left(run, vu);
    run_check_over(run);
}

void run_closed_vu(Vu *vu, bool (*next)(ScenarioRun *run, Vu *vu, int64_t *ret_number))
{
    ScenarioRun *run = vu->run;
    int64_t number;
    while (!fiber_is_cancelled() && next(run, vu, &number)) {
        vu_iterate(vu, number, -1);
    }
    run_vu_left(run, vu);
}
