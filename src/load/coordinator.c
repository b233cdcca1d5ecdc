#include "load/coordinator.h"

#include <assert.h>
#include <math.h>

// ---- messages

// A call where the shard shares the coordinator's thread, a message otherwise. At most a few are
// under way, so the queue of thousands cannot be full.
static void command(Shard *shard, void (*fn)(void *shard))
{
    if (!shard->thread) {
        fn(shard);
        return;
    }
    int rc = loop_post(shard->loop, fn, shard);
    assert(rc == 0);
}

void coordinator_command(Engine *engine, void (*fn)(void *shard))
{
    for (unsigned i = 0; i < engine->shard_count; i++) {
        command(engine->shards[i], fn);
    }
}

static void wake(Engine *engine)
{
    if (engine->conductor && engine->conductor != fiber_self()) {
        fiber_resume(engine->conductor);
    }
}

void coordinator_event(Engine *engine, Slice kind, Slice text)
{
    const EngineHooks *h = &engine->options.hooks;
    if (h->on_event) {
        int64_t now_ns = loop_clock(engine_loop(engine));
        h->on_event(h->ctx, engine->began ? now_ns - engine->t0_ns : 0, kind, text);
    }
}

// ---- stopping

void engine_end(Engine *engine, EngineEnd end, Slice reason)
{
    if (engine->ending || engine->flushing) {
        return;
    }
    engine->ending = true;
    engine->result.end = end;
    engine->result.reason = reason;
    coordinator_event(engine, SLICE("stage"), reason);
    if (engine->began) {
        coordinator_command(engine, shard_end);
    } else if (engine->sequence_fiber) {
        fiber_cancel(engine->sequence_fiber);
    }
}

static void cut(Engine *engine)
{
    if (engine->cut || engine->flushing) {
        return;
    }
    engine->cut = true;
    coordinator_event(engine, SLICE("stage"), SLICE("stopped at once"));
    if (engine->sequence_fiber) {
        fiber_cancel(engine->sequence_fiber);
    }
    if (engine->began) {
        coordinator_command(engine, shard_cut);
    }
}

// Deferred: engine_stop may come from a hook, while a batch of measurements is out.
static void on_stop(LoopDefer *defer)
{
    Engine *engine = CONTAINER_OF(defer, Engine, stop_defer);
    engine_end(engine, ENGINE_STOPPED, SLICE("stopped on request"));
    if (engine->stops_wanted > 1) {
        cut(engine);
    }
}

void engine_stop(Engine *engine)
{
    engine->stops_wanted++;
    loop_defer(engine_loop(engine), &engine->stop_defer);
}

// What is still running when the grace is over is cut; teardown runs all the same.
static void on_ceiling(LoopTimer *timer)
{
    Engine *engine = CONTAINER_OF(timer, Engine, ceiling_timer);
    if (engine->past_ceiling) {
        coordinator_command(engine, shard_cut);
        return;
    }
    engine->past_ceiling = true;
    engine_end(engine, ENGINE_CEILING,
               arena_printf(engine->arena, "the run reached its ceiling of %lld s",
                            (long long)(engine->options.duration_ns_max / NS_PER_S)));
    loop_timer_set(engine_loop(engine), timer,
                   clock_deadline(loop_clock(engine_loop(engine)), GUARD_STOP_GRACE_NS));
}

// ---- events of shards

typedef struct Told {
    Shard *shard;
    ShardEvent event;
} Told;

static void on_told(Shard *shard, ShardEvent event)
{
    Engine *engine = shard->engine;
    switch (event) {
    case SHARD_OVER:
        engine->shards_over++;
        wake(engine);
        break;
    case SHARD_BUDGET:
        engine_end(engine, ENGINE_BUDGET,
                   shard->budget_requests_left <= 0 ? SLICE("the budget of requests is used up")
                                                    : SLICE("the budget of bytes is used up"));
        break;
    case SHARD_FAILED:
        engine_end(engine, ENGINE_FAILED,
                   arena_printf(engine->arena, "the generator failed: %s", shard->error_text));
        break;
    }
}

static void on_told_message(void *arg)
{
    Told told = *(Told *)arg;
    free(arg);
    on_told(told.shard, told.event);
}

void engine_tell(Shard *shard, ShardEvent event)
{
    if (!shard->thread) {
        on_told(shard, event);
        return;
    }
    Told *told = mem_alloc(sizeof *told);
    *told = (Told){shard, event};
    int rc = loop_post(engine_loop(shard->engine), on_told_message, told);
    assert(rc == 0);
}

// ---- budgets

// Requests and bytes end the test where they are counted (shard_spend), to the request; what is
// told here, once an interval, are the warnings, and the end for money.
static void check_budgets(Engine *engine)
{
    const ShardCounters *s = &engine->sums;
    budget_use(&engine->budget, &(BudgetUse){.requests = s->requests,
                                             .bytes = s->bytes_sent + s->bytes_received,
                                             .vu_ns = (int64_t)engine->vu_ns});
    for (BudgetNews news; budget_next(&engine->budget, &news);) {
        Buf text = buf_create(4096);
        budget_text(&engine->budget, &news, &text);
        coordinator_event(engine, SLICE("budget"), buf_slice(&text));
        if (news.level == BUDGET_STOP) {
            engine_end(engine, ENGINE_BUDGET, arena_copy(engine->arena, buf_slice(&text)));
        }
        buf_done(&text);
    }
}

// ---- intervals

static void sum_counters(Engine *engine)
{
    ShardCounters sum = {0};
    for (unsigned i = 0; i < engine->shard_count; i++) {
        const ShardCounters *c = &engine->seen[i];
        sum.due += c->due;
        sum.dropped_generator += c->dropped_generator;
        sum.dropped_no_vu += c->dropped_no_vu;
        sum.dropped_other += c->dropped_other;
        sum.iterations += c->iterations;
        sum.interrupted += c->interrupted;
        sum.requests += c->requests;
        sum.failed += c->failed;
        sum.bytes_sent += c->bytes_sent;
        sum.bytes_received += c->bytes_received;
        sum.vus += c->vus;
        sum.vus_max += c->vus_max;
        sum.vus_peak += c->vus_peak;
        sum.slow_runs += c->slow_runs;
        sum.overflows += c->overflows;
        sum.slow_max_ns = c->slow_max_ns > sum.slow_max_ns ? c->slow_max_ns : sum.slow_max_ns;
        sum.last_active_ns =
            c->last_active_ns > sum.last_active_ns ? c->last_active_ns : sum.last_active_ns;
    }
    engine->previous = engine->sums;
    engine->sums = sum;
}

// A last interval of a few milliseconds says nothing about load.
static bool is_telling(const Engine *engine, int64_t length_ns)
{
    return length_ns * 2 >= engine->options.interval_ns;
}

static void add_health(Engine *engine)
{
    double busiest = 0;
    for (unsigned i = 0; i < engine->shard_count; i++) {
        const Shard *shard = engine->shards[i];
        if (shard->report_here && is_telling(engine, shard->report.interval_ns)) {
            health_add_thread(&engine->health, shard->report.cpu);
            busiest = shard->report.cpu > busiest ? shard->report.cpu : busiest;
        }
    }
    HostLoad load;
    host_load(&load);
    if (is_telling(engine, load.at_ns - engine->load_before.at_ns)) {
        health_add_machine(&engine->health, &engine->load_before, &load);
        engine->load_before = load;
        health_add_sample(&engine->health, engine->last_index, busiest);
    }
}

static void interval_quantiles(Engine *engine, const Point *points, size_t count)
{
    hist_reset(engine->duration_hist);
    Slice name = metric_info(M_HTTP_REQ_DURATION)->name;
    for (size_t i = 0; i < count; i++) {
        if (points[i].hist &&
            slice_eq(collector_series(engine->collector, points[i].series)->metric, name)) {
            hist_merge(engine->duration_hist, points[i].hist);
        }
    }
    engine->status.p50_ns = hist_quantile(engine->duration_hist, 0.50);
    engine->status.p95_ns = hist_quantile(engine->duration_hist, 0.95);
    engine->status.p99_ns = hist_quantile(engine->duration_hist, 0.99);
}

static void make_status(Engine *engine, const Point *points, size_t count)
{
    const ShardCounters *now = &engine->sums;
    const ShardCounters *old = &engine->previous;
    EngineStatus *s = &engine->status;
    int64_t now_ns = loop_clock(engine_loop(engine));
    double seconds = (double)(now_ns - engine->previous_ns) / 1e9;
    double per_second = seconds > 0 ? 1 / seconds : 0;
    s->elapsed_ns = now_ns - engine->t0_ns;
    s->stopping = engine->ending;
    s->open_model = engine->open_model;
    s->vus = now->vus;
    s->vus_max = now->vus_max;
    s->offered_rate = (double)(now->due - old->due) * per_second;
    s->iteration_rate = (double)(now->iterations - old->iterations) * per_second;
    int64_t requests = now->requests - old->requests;
    s->request_rate = (double)requests * per_second;
    s->failed_rate = requests > 0 ? (double)(now->failed - old->failed) / (double)requests : 0;
    s->requests = now->requests;
    s->failed = now->failed;
    s->iterations = now->iterations;
    s->dropped = now->dropped_generator + now->dropped_no_vu + now->dropped_other;
    interval_quantiles(engine, points, count);
    engine->vu_ns += (double)now->vus_max * (double)(now_ns - engine->previous_ns);
    engine->previous_ns = now_ns;
}

static void tell_hooks(Engine *engine, int64_t index)
{
    const EngineHooks *h = &engine->options.hooks;
    const Collector *c = engine->collector;
    EngineInterval interval = {.index = index, .collector = c, .status = &engine->status};
    collector_points(engine->collector, &interval.points, &interval.point_count);
    make_status(engine, interval.points, interval.point_count);
    for (; engine->series_declared < collector_series_count(c); engine->series_declared++) {
        if (h->on_series) {
            h->on_series(h->ctx, collector_series(c, engine->series_declared));
        }
    }
    if (h->on_interval) {
        h->on_interval(h->ctx, &interval);
    }
}

static void check_thresholds(Engine *engine)
{
    int64_t test_ns = engine->status.elapsed_ns;
    if (engine->options.no_thresholds || engine->ending || test_ns < engine->next_threshold_ns) {
        return;
    }
    engine->next_threshold_ns = test_ns + ENGINE_THRESHOLD_EVERY_NS;
    const EngineThreshold *t = watch_eval(engine->watch, engine->collector, test_ns);
    if (t) {
        engine_end(engine, ENGINE_THRESHOLD,
                   arena_printf(engine->arena, "threshold %.*s on %.*s was crossed (%g)",
                                SLICE_FMT(t->threshold->test.source), SLICE_FMT(t->threshold->key),
                                t->value));
    }
}

// Every shard that has something reported: one interval goes out.
static void emit(Engine *engine)
{
    int64_t index = engine->last_index + 1;
    for (unsigned i = 0; i < engine->shard_count; i++) {
        const Shard *s = engine->shards[i];
        index = s->report_here && s->report_index > index ? s->report_index : index;
    }
    engine->last_index = index;
    sum_counters(engine);
    add_health(engine);
    recorder_gauge(engine->vus, (double)engine->sums.vus);
    recorder_gauge(engine->vus_max, (double)engine->sums.vus_max);
    collector_add(engine->collector, engine->shard_count, recorder_take(engine->recorder));
    tell_hooks(engine, index);
    collector_next(engine->collector);
    recorder_give_back(engine->recorder);
    for (unsigned i = 0; i < engine->shard_count; i++) {
        Shard *s = engine->shards[i];
        if (s->report_here) {
            s->report_here = false;
            engine->shards_flushed += s->report_final;
            command(s, shard_give_back);
        }
    }
    // From here on recording is allowed again, and so is everything that may end the run.
    check_thresholds(engine);
    check_budgets(engine);
    if (engine->flushing) {
        wake(engine);
    }
}

static void on_report(void *arg)
{
    Shard *shard = arg;
    Engine *engine = shard->engine;
    shard->report_here = true;
    engine->seen[shard->index] = shard->report;
    collector_add(engine->collector, shard->index, shard->report_batch);
    unsigned here = 0;
    for (unsigned i = 0; i < engine->shard_count; i++) {
        here += engine->shards[i]->report_here;
    }
    // While flushing, shards come one by one: nobody waits for another.
    if (here == engine->shard_count || engine->flushing) {
        emit(engine);
    }
}

void engine_report(Shard *shard)
{
    if (!shard->thread) {
        on_report(shard);
        return;
    }
    int rc = loop_post(engine_loop(shard->engine), on_report, shard);
    assert(rc == 0);
}

// ---- phases

void coordinator_init(Engine *engine)
{
    loop_defer_init(&engine->stop_defer, on_stop);
    loop_timer_init(&engine->ceiling_timer, on_ceiling);
    engine->last_index = -1;
    engine->vus = recorder_series(engine->recorder, M_VUS, NULL, 0);
    engine->vus_max = recorder_series(engine->recorder, M_VUS_MAX, NULL, 0);
    engine->status.planned_ns = plan_duration_ns(engine->options.plan);
    engine->next_threshold_ns = ENGINE_THRESHOLD_EVERY_NS;
}

void coordinator_done(Engine *engine)
{
    health_done(&engine->health);
    if (engine->ceiling_timer.fn) {
        loop_defer_cancel(engine_loop(engine), &engine->stop_defer);
        loop_timer_cancel(engine_loop(engine), &engine->ceiling_timer);
    }
}

void coordinator_begin(Engine *engine)
{
    engine->previous_ns = engine->t0_ns;
    host_load(&engine->load_before);
    if (engine->options.duration_ns_max > 0) {
        loop_timer_set(engine_loop(engine), &engine->ceiling_timer,
                       clock_deadline(engine->t0_ns, engine->options.duration_ns_max));
    }
}

void coordinator_flush(Engine *engine)
{
    loop_timer_disarm(&engine->ceiling_timer);
    engine->flushing = true;
    for (unsigned i = 0; i < engine->shard_count; i++) {
        if (engine->shards[i]->report_here) {
            emit(engine);
            break;
        }
    }
    coordinator_command(engine, shard_flush);
}

static void fill_health(Engine *engine)
{
    HealthReport *h = &engine->result.health;
    HostInfo host;
    host_info(&host);
    Point sum;
    Labels all = {0};
    Hist *late = engine->duration_hist;
    const Collector *c = engine->collector;
    collector_sum(c, metric_info(M_HTTP_REQ_DURATION)->name, all, &sum, late);
    h->duration_p50_ns = hist_quantile(late, 0.5);
    collector_sum(c, metric_info(M_GENERATOR_LATENESS)->name, all, &sum, late);
    h->lateness_p50_ns = hist_quantile(late, 0.5);
    h->lateness_p95_ns = hist_quantile(late, 0.95);
    h->lateness_p99_ns = hist_quantile(late, 0.99);
    h->lateness_max_ns = late->count > 0 ? (double)late->max : NAN;
    collector_sum(c, metric_info(M_HTTP_REQS)->name, all, &sum, late);
    h->unanswered = sum.count > 0;
    collector_sum(c, metric_info(M_DATA_RECEIVED)->name, all, &sum, late);
    h->unanswered = h->unanswered && sum.count == 0;
    h->threads = (int)engine->shard_count;
    h->open_model = engine->open_model;
    h->due = engine->sums.due;
    h->dropped_generator = engine->sums.dropped_generator;
    h->slow_runs = engine->sums.slow_runs;
    h->slow_max_ns = engine->sums.slow_max_ns;
    h->fd_limit = host.fd_limit;
    h->series_overflows = engine->sums.overflows;
    health_fill(&engine->health, h);
    health_judge(h, engine->arena);
}

static void fill_thresholds(Engine *engine, int64_t test_ns)
{
    EngineResult *r = &engine->result;
    r->thresholds_ok = true;
    if (engine->options.no_thresholds) {
        return;
    }
    const EngineThreshold *aborted = watch_eval(engine->watch, engine->collector, test_ns);
    (void)aborted; // the test is over already
    r->thresholds = watch_results(engine->watch, &r->threshold_count);
    for (size_t i = 0; i < r->threshold_count; i++) {
        r->thresholds_ok = r->thresholds_ok && r->thresholds[i].ok;
    }
}

void coordinator_finish(Engine *engine)
{
    EngineResult *r = &engine->result;
    const ShardCounters *s = &engine->sums;
    int64_t last_ns = s->last_active_ns > engine->t0_ns ? s->last_active_ns : engine->t0_ns;
    r->cut = engine->cut;
    r->duration_ns = last_ns - engine->t0_ns;
    r->interval_count = engine->last_index + 1;
    r->iterations = s->iterations;
    r->interrupted = s->interrupted;
    r->dropped_generator = s->dropped_generator;
    r->dropped_no_vu = s->dropped_no_vu;
    r->dropped_other = s->dropped_other;
    r->requests = s->requests;
    r->failed = s->failed;
    r->bytes_sent = s->bytes_sent;
    r->bytes_received = s->bytes_received;
    r->vus_max = s->vus_peak;
    r->vu_hours = engine->vu_ns / 3.6e12;
    r->cost = budget_cost(&engine->budget);
    fill_thresholds(engine, r->duration_ns);
    fill_health(engine);
}
