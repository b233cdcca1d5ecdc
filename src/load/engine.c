// The coordinator: phases of a run, reports of the shards, and every reason to stop early. It lives
// on the caller's thread together with the first shard. See load/shard.h for the parts.
#include "load/engine.h"

#include <assert.h>
#include <math.h>

#include "load/coordinator.h"

enum { ENGINE_ARENA_BYTES_MAX = 64 << 20 };

// ---- what shards ask

const Plan *engine_plan(const Engine *engine)
{
    return engine->options.plan;
}
const EngineOptions *engine_options(const Engine *engine)
{
    return &engine->options;
}
unsigned engine_shards(const Engine *engine)
{
    return engine->shard_count;
}
int64_t engine_t0(const Engine *engine)
{
    return engine->t0_ns;
}
int64_t engine_interval_ns(const Engine *engine)
{
    return engine->options.interval_ns;
}
Slice engine_start_value(const Engine *engine, uint32_t slot)
{
    return engine->start_values[slot];
}
const Schedule *engine_schedule(const Engine *engine, uint32_t scenario)
{
    return engine->schedules[scenario];
}

// ---- life cycle

static bool is_open(const PlanScenario *scenario)
{
    return scenario->executor == EXECUTOR_CONSTANT_ARRIVAL_RATE ||
           scenario->executor == EXECUTOR_RAMPING_ARRIVAL_RATE;
}

static void prepare(Engine *engine)
{
    const Plan *plan = engine->options.plan;
    engine->start_values = ARENA_ARRAY(engine->arena, Slice, plan->variable_count + 1);
    for (size_t i = 0; i < plan->variable_count; i++) {
        engine->start_values[i] = plan->variable_values[i];
    }
    engine->schedules = ARENA_ARRAY(engine->arena, const Schedule *, plan->scenario_count + 1);
    for (size_t i = 0; i < plan->scenario_count; i++) {
        if (is_open(&plan->scenarios[i])) {
            engine->schedules[i] = schedule_create(engine->arena, &plan->scenarios[i], plan->seed);
            engine->open_model = true;
        }
    }
}

static int open_budget(Engine *engine, Err *e)
{
    const PlanBudget *b = &engine->options.plan->budget;
    BudgetLimits limits = {
        .requests = b->requests,
        .bytes = b->bytes,
        .money = b->money,
        .currency = b->currency,
        .price_per_vu_hour = b->price_per_vu_hour,
        .price_per_request = b->price_per_request,
        .origin = engine->options.plan->source,
    };
    return budget_init(&engine->budget, &limits, e);
}

static int sequence_create(Engine *engine, const PlanRequest *const *requests, size_t count,
                           Slice group, Site ***ret_sites, Err *e)
{
    Site **sites = ARENA_ARRAY(engine->arena, Site *, count + 1);
    *ret_sites = sites;
    for (size_t i = 0; i < count; i++) {
        int rc = site_create(engine->shards[0], requests[i], NULL, group, &sites[i], e);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

int engine_create(const EngineOptions *options, Engine **ret_engine, Err *e)
{
    int threads = options->threads ? options->threads : 1;
    if (threads < 1 || threads > ENGINE_THREADS_MAX) {
        return err_set(e, ERR_ARG, "%d threads: between 1 and %d are possible", threads,
                       ENGINE_THREADS_MAX);
    }
    Engine *engine = mem_zalloc(sizeof *engine);
    engine->options = *options;
    engine->options.interval_ns = options->interval_ns > 0 ? options->interval_ns : NS_PER_S;
    engine->shard_count = (unsigned)threads;
    engine->arena = arena_create(ENGINE_ARENA_BYTES_MAX);
    engine->collector = collector_create(options->series_max);
    engine->recorder = recorder_create(&(RecorderOptions){0});
    engine->watch = watch_create(options->plan);
    engine->duration_hist = mem_alloc(sizeof(Hist));
    hist_init(engine->duration_hist);
    prepare(engine);
    const Plan *plan = options->plan;
    int rc = open_budget(engine, e);
    for (unsigned i = 0; rc == 0 && i < engine->shard_count; i++) {
        rc = shard_create(engine, i, &engine->shards[i], e);
    }
    if (rc == 0) {
        rc = sequence_create(engine, plan->setup, plan->setup_count, SLICE("::setup"),
                             &engine->setup, e);
    }
    if (rc == 0) {
        rc = sequence_create(engine, plan->teardown, plan->teardown_count, SLICE("::teardown"),
                             &engine->teardown, e);
    }
    if (rc != 0) {
        engine_destroy(engine);
        return rc;
    }
    coordinator_init(engine);
    *ret_engine = engine;
    return 0;
}

static void sequence_done(Site **sites, size_t count)
{
    for (size_t i = 0; sites && i < count; i++) {
        site_done(sites[i]);
    }
}

void engine_destroy(Engine *engine)
{
    if (!engine) {
        return;
    }
    coordinator_done(engine);
    sequence_done(engine->setup, engine->options.plan->setup_count);
    sequence_done(engine->teardown, engine->options.plan->teardown_count);
    for (unsigned i = 0; i < engine->shard_count; i++) {
        shard_destroy(engine->shards[i]);
    }
    watch_destroy(engine->watch);
    collector_destroy(engine->collector);
    recorder_destroy(engine->recorder);
    hist_done(engine->duration_hist);
    free(engine->duration_hist);
    arena_destroy(engine->arena);
    free(engine);
}

Loop *engine_loop(const Engine *engine)
{
    return engine->shards[0]->loop;
}

const Collector *engine_collector(const Engine *engine)
{
    return engine->collector;
}

const EngineResult *engine_result(const Engine *engine)
{
    return &engine->result;
}

// ---- setup and teardown

typedef struct Sequence {
    Engine *engine;
    Site **sites;
    size_t count;
    bool stop_at_failure;
    bool over;
    int rc;
    Err error;
    Fiber *fiber;
    Vu *vu;
} Sequence;

static void run_sequence(void *arg)
{
    Sequence *s = arg;
    for (size_t i = 0; i < s->count; i++) {
        bool failed = false;
        Err e = {0};
        const PlanRequest *r = s->sites[i]->request;
        int rc = vu_request(s->vu, s->sites[i], &failed, &e);
        if (rc == 0 && failed) {
            const HttpResponse *resp = &s->vu->response;
            rc = resp->status
                     ? err_set(&e, ERR_PROTOCOL, "was answered with status %d", resp->status)
                     : err_set(&e, ERR_PROTOCOL, "failed: %s", net_error_name(resp->error_code));
        }
        if (rc != 0 && s->rc == 0) {
            s->rc = rc;
            (void)err_set(&s->error, ERR_PROTOCOL, "\"%.*s\" %s", SLICE_FMT(r->name),
                          rc == ERR_CANCELLED ? "was stopped" : e.text);
        }
        if (rc == ERR_CANCELLED || (rc != 0 && s->stop_at_failure)) {
            break;
        }
    }
    s->over = true;
    s->engine->sequence_fiber = NULL;
    fiber_resume(s->engine->conductor);
}

// In the conductor's fiber; the requests run in their own, which a stop may cancel.
static void perform(Sequence *s)
{
    Engine *engine = s->engine;
    Shard *shard = engine->shards[0];
    if (s->count == 0) {
        return;
    }
    s->vu = vu_create(shard, NULL, 0, 0);
    s->fiber = engine->sequence_fiber = fiber_spawn(shard->pool, "sequence", run_sequence, s);
    int64_t due_ns = clock_deadline(loop_clock(shard->loop), ENGINE_SETUP_NS);
    while (s->fiber && !s->over) {
        if (fiber_park("setup or teardown", due_ns) == ERR_TIMEOUT) {
            fiber_cancel(s->fiber);
            due_ns = NEVER_NS;
        }
    }
    for (uint32_t i = 0; i < engine->options.plan->variable_count; i++) {
        engine->start_values[i] = arena_copy(engine->arena, s->vu->variables[i]);
    }
    vu_destroy(s->vu);
}

static void setup(Engine *engine)
{
    Sequence s = {.engine = engine, .sites = engine->setup, .stop_at_failure = true};
    s.count = engine->options.no_setup ? 0 : engine->options.plan->setup_count;
    perform(&s);
    if (s.rc != 0 && !engine->ending) {
        engine_end(engine, ENGINE_SETUP_FAILED,
                   arena_printf(engine->arena, "setup failed: %s", s.error.text));
    }
}

static void teardown(Engine *engine)
{
    Sequence s = {.engine = engine, .sites = engine->teardown};
    bool skip = engine->options.no_teardown || engine->cut;
    s.count = skip ? 0 : engine->options.plan->teardown_count;
    perform(&s);
    if (s.rc != 0) {
        engine->result.teardown_failed = true;
        engine->result.teardown_error =
            arena_printf(engine->arena, "teardown: request %s", s.error.text);
        coordinator_event(engine, SLICE("log"), engine->result.teardown_error);
    }
}

// ---- phases

// Until somebody wakes the conductor, which nobody cancels.
static void wait_for(const char *what)
{
    int rc = fiber_park(what, NEVER_NS);
    assert(rc == 0);
}

static void conduct(void *arg)
{
    Engine *engine = arg;
    setup(engine);
    engine->t0_ns = loop_clock(engine_loop(engine));
    engine->began = true;
    coordinator_begin(engine);
    if (!engine->ending) {
        coordinator_command(engine, shard_start);
        while (engine->shards_over < engine->shard_count) {
            wait_for("scenarios");
        }
    }
    engine->scenarios_end_ns = loop_clock(engine_loop(engine));
    teardown(engine);
    coordinator_flush(engine);
    while (engine->shards_flushed < engine->shard_count) {
        wait_for("last reports");
    }
    engine->finished = true;
}

static void shard_main(void *arg)
{
    Shard *shard = arg;
    loop_run(shard->loop);
}

static int start_threads(Engine *engine, Err *e)
{
    int rc = 0;
    for (unsigned i = 1; rc == 0 && i < engine->shard_count; i++) {
        int cpu = engine->options.pin ? thread_cpu_at(i) : THREAD_ANY_CPU;
        rc =
            thread_start("load", cpu, shard_main, engine->shards[i], &engine->shards[i]->thread, e);
    }
    // Itself last: the others' CPUs are counted in the set that it is leaving.
    return rc == 0 && engine->options.pin ? thread_pin_self(thread_cpu_at(0), e) : rc;
}

static void join_threads(Engine *engine)
{
    for (unsigned i = 1; i < engine->shard_count; i++) {
        if (engine->shards[i]->thread) {
            loop_stop(engine->shards[i]->loop);
            thread_join(engine->shards[i]->thread);
            engine->shards[i]->thread = NULL;
        }
    }
}

int engine_execute(Engine *engine, Err *e)
{
    assert(!engine->finished);
    int rc = start_threads(engine, e);
    if (rc != 0) {
        join_threads(engine);
        return rc;
    }
    engine->conductor = fiber_spawn(engine->shards[0]->pool, "conductor", conduct, engine);
    if (!engine->conductor) {
        join_threads(engine);
        return err_set(e, ERR_LIMIT, "the system has no memory for a stack");
    }
    while (!engine->finished) {
        (void)loop_tick(engine_loop(engine), NEVER_NS);
    }
    join_threads(engine);
    coordinator_finish(engine);
    return 0;
}

// ---- scaling

static int64_t scaled(int64_t n, double scale)
{
    return n <= 1 ? n : (int64_t)fmax(1, round((double)n * scale));
}

const Plan *plan_scaled(Arena *arena, const Plan *plan, double scale)
{
    Plan *copy = ARENA_NEW(arena, Plan);
    *copy = *plan;
    PlanScenario *scenarios = ARENA_ARRAY(arena, PlanScenario, plan->scenario_count + 1);
    for (size_t i = 0; i < plan->scenario_count; i++) {
        PlanScenario *s = &scenarios[i];
        *s = plan->scenarios[i];
        PlanStage *stages = ARENA_ARRAY(arena, PlanStage, s->stage_count + 1);
        for (size_t k = 0; k < s->stage_count; k++) {
            stages[k] = s->stages[k];
            stages[k].target = scaled(stages[k].target, scale);
        }
        s->stages = stages;
        s->vus = scaled(s->vus, scale);
        s->start_vus = scaled(s->start_vus, scale);
        s->rate = scaled(s->rate, scale);
        s->start_rate = scaled(s->start_rate, scale);
        s->pre_allocated_vus = scaled(s->pre_allocated_vus, scale);
        s->max_vus = scaled(s->max_vus, scale);
    }
    copy->scenarios = scenarios;
    return copy;
}
