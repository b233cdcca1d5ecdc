#include "load/shard.h"

#include <assert.h>

enum { SHARD_ARENA_BYTES_MAX = 256 << 20, SPARE_FIBERS = 16 };

// A budget divided over the shards; the first one gets what does not divide.
static int64_t share(int64_t budget, unsigned index, unsigned shards)
{
    if (budget <= 0) {
        return INT64_MAX;
    }
    int64_t part = budget / shards + (index == 0 ? budget % shards : 0);
    return part > 0 ? part : 1;
}

static int open_loop(Shard *shard, Err *e)
{
    const EngineOptions *o = engine_options(shard->engine);
    if (shard->index == 0 && o->loop) {
        shard->loop = o->loop;
        return 0;
    }
    shard->own_loop = true;
    return loop_create(&(LoopOptions){.spin_ns = o->spin_ns}, &shard->loop, e);
}

static int open_http(Shard *shard, Err *e)
{
    const EngineNet *net = engine_options(shard->engine)->net;
    HttpContextOptions http = {.loop = shard->loop};
    if (net && net->open) {
        int rc = net->open(net->ctx, shard->loop, &http, &shard->net_handle, e);
        if (rc != 0) {
            return rc;
        }
        shard->net_is_open = true;
    }
    shard->http = http_context_create(&http);
    return 0;
}

static int open_runs(Shard *shard, Err *e)
{
    const Plan *plan = engine_plan(shard->engine);
    uint32_t id_base = 0;
    shard->runs = ARENA_ARRAY(shard->arena, ScenarioRun, plan->scenario_count + 1);
    for (size_t i = 0; i < plan->scenario_count; i++) {
        const PlanScenario *scenario = &plan->scenarios[i];
        shard->run_count = shard->runs_left = i + 1;
        int rc = run_init(&shard->runs[i], shard, scenario, id_base, e);
        if (rc != 0) {
            err_wrap(e, "scenario \"%.*s\"", SLICE_FMT(scenario->name));
            return rc;
        }
        id_base += (uint32_t)scenario->max_vus;
    }
    return 0;
}

static void on_interval(LoopTimer *timer);

int shard_create(Engine *engine, unsigned index, Shard **ret_shard, Err *e)
{
    const EngineOptions *o = engine_options(engine);
    unsigned shards = engine_shards(engine);
    Shard *shard = mem_zalloc(sizeof *shard);
    *ret_shard = shard;
    shard->engine = engine;
    shard->index = index;
    shard->arena = arena_create(SHARD_ARENA_BYTES_MAX);
    shard->recorder =
        recorder_create(&(RecorderOptions){.series_max = o->series_max, .shared = shards > 1});
    shard->budget_requests_left = share(o->plan->budget.requests, index, shards);
    shard->budget_bytes_left = share(o->plan->budget.bytes, index, shards);
    loop_timer_init(&shard->interval_timer, on_interval);
    int rc = open_loop(shard, e);
    if (rc != 0) {
        return rc;
    }
    size_t fibers = SPARE_FIBERS;
    for (size_t i = 0; i < o->plan->scenario_count; i++) {
        fibers += (size_t)o->plan->scenarios[i].max_vus;
    }
    shard->pool = fiber_pool_create(shard->loop, &(FiberOptions){.fibers_max = fibers});
    rc = open_http(shard, e);
    return rc == 0 ? open_runs(shard, e) : rc;
}

void shard_destroy(Shard *shard)
{
    if (!shard) {
        return;
    }
    if (shard->loop) {
        loop_timer_cancel(shard->loop, &shard->interval_timer);
    }
    if (shard->pool) {
        size_t left = fiber_pool_drain(shard->pool, NEVER_NS);
        assert(left == 0);
    }
    for (size_t i = 0; i < shard->run_count; i++) {
        run_done(&shard->runs[i]);
    }
    for (Origin *o = shard->origins; o; o = o->next) {
        http_origin_done(&o->http);
    }
    fiber_pool_destroy(shard->pool);
    http_context_destroy(shard->http);
    const EngineNet *net = engine_options(shard->engine)->net;
    if (shard->net_is_open && net->close) {
        net->close(net->ctx, shard->net_handle);
    }
    if (shard->own_loop) {
        loop_destroy(shard->loop);
    }
    recorder_destroy(shard->recorder);
    arena_destroy(shard->arena);
    free(shard);
}

// ---- the run

void shard_start(void *arg)
{
    Shard *shard = arg;
    host_load(&shard->load_before);
    shard->interval_next_ns = engine_t0(shard->engine) + engine_interval_ns(shard->engine);
    loop_timer_set(shard->loop, &shard->interval_timer, shard->interval_next_ns);
    for (size_t i = 0; i < shard->run_count; i++) {
        run_start(&shard->runs[i]);
    }
    if (shard->run_count == 0) {
        engine_tell(shard, SHARD_OVER);
    }
}

void shard_end(void *arg)
{
    Shard *shard = arg;
    for (size_t i = 0; i < shard->run_count; i++) {
        run_end(&shard->runs[i]);
    }
}

void shard_cut(void *arg)
{
    Shard *shard = arg;
    shard_end(shard);
    for (size_t i = 0; i < shard->run_count; i++) {
        run_cut(&shard->runs[i]);
    }
}

void shard_run_over(Shard *shard, ScenarioRun *run)
{
    (void)run;
    if (--shard->runs_left == 0) {
        engine_tell(shard, SHARD_OVER);
    }
}

void shard_fail(Shard *shard, const char *what)
{
    if (!shard->failed) {
        shard->failed = true;
        (void)snprintf(shard->error_text, sizeof shard->error_text, "%s", what);
        engine_tell(shard, SHARD_FAILED);
    }
}

void shard_spend(Shard *shard, int64_t requests, int64_t bytes)
{
    shard->budget_requests_left -= requests;
    shard->budget_bytes_left -= bytes;
    if ((shard->budget_requests_left <= 0 || shard->budget_bytes_left <= 0) &&
        !shard->budget_told) {
        shard->budget_told = true;
        engine_tell(shard, SHARD_BUDGET);
    }
}

// ---- reports

static void report(Shard *shard, bool final)
{
    Loop *loop = shard->loop;
    int64_t interval_ns = engine_interval_ns(shard->engine);
    HostLoad load;
    host_load(&load);
    FiberStats fibers = fiber_pool_stats(shard->pool);
    shard->counters.cpu = host_usage(&shard->load_before, &load).thread_cpu;
    shard->counters.interval_ns = load.at_ns - shard->load_before.at_ns;
    shard->counters.slow_runs = fibers.slow_runs;
    shard->counters.slow_max_ns = fibers.slow_max_ns;
    shard->counters.overflows = recorder_overflows(shard->recorder);
    shard->load_before = load;
    shard->report = shard->counters;
    shard->report_final = final;
    // A report made by the timer belongs to the interval that has just ended.
    int64_t since_ns = loop_clock(loop) - engine_t0(shard->engine);
    shard->report_index =
        final ? since_ns / interval_ns
              : (shard->interval_next_ns - engine_t0(shard->engine)) / interval_ns - 1;
    shard->report_out = true;
    shard->report_batch = recorder_take(shard->recorder);
    engine_report(shard);
}

static void on_interval(LoopTimer *timer)
{
    Shard *shard = CONTAINER_OF(timer, Shard, interval_timer);
    int64_t interval_ns = engine_interval_ns(shard->engine);
    // After a pause longer than an interval (a stopped process) the missed ones are one.
    int64_t behind_ns = loop_clock(shard->loop) - shard->interval_next_ns;
    shard->interval_next_ns += behind_ns / interval_ns * interval_ns;
    if (!shard->report_out) {
        report(shard, false);
    }
    shard->interval_next_ns += interval_ns;
    loop_timer_set(shard->loop, timer, shard->interval_next_ns);
}

void shard_flush(void *arg)
{
    Shard *shard = arg;
    loop_timer_disarm(&shard->interval_timer);
    shard->flush_wanted = true;
    if (!shard->report_out) {
        report(shard, true);
    }
}

void shard_give_back(void *arg)
{
    Shard *shard = arg;
    recorder_give_back(shard->recorder);
    shard->report_out = false;
    if (shard->flush_wanted && !shard->report_final) {
        report(shard, true);
    }
}
