// A world for tests of the engine: a plan made by hand, a manual clock that jumps from timer to
// timer, and a simulated target, so that minutes of load run in milliseconds and every count is
// exact. Tests over real sockets set `real`.
#ifndef LOAD_LOAD_TEST_H
#define LOAD_LOAD_TEST_H

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "load/engine.h"
#include "os/fiber.h"

enum { LOAD_LOG_MAX = 256, LOAD_SCENARIOS = 4 };

typedef struct LoadWorld {
    Arena *arena;
    ManualClock manual;
    Loop *loop;
    Plan plan;
    PlanEnvironment environment;
    PlanScenario scenarios[LOAD_SCENARIOS];
    PlanRequest requests[4];
    PlanStep steps[8];
    TemplatePart parts[8];
    EngineTransport transport;
    EngineOptions options;
    // the simulated target
    int64_t latency_ns;
    int status;
    int error_rc; // instead of an answer
    int error_code;
    bool sent_nothing;
    int64_t at_once, at_once_max;
    int64_t sent;
    int64_t sent_at[LOAD_LOG_MAX]; // since the engine's start
    Engine *engine;
    const EngineResult *result;
    int intervals;
    char events[1024];
    void (*on_interval)(struct LoadWorld *w, const EngineInterval *interval);
} LoadWorld;

static inline int load_send(void *ctx, HttpClient *client, const HttpRequest *request,
                            HttpResponse *response, Err *e)
{
    (void)client;
    (void)request;
    LoadWorld *w = ctx;
    int64_t begin_ns = loop_clock(w->loop);
    if (w->sent < LOAD_LOG_MAX) {
        w->sent_at[w->sent] = begin_ns;
    }
    w->sent++;
    w->at_once++;
    w->at_once_max = w->at_once > w->at_once_max ? w->at_once : w->at_once_max;
    int rc = w->latency_ns > 0 ? fiber_sleep(w->latency_ns) : 0;
    w->at_once--;
    response->timings = (HttpTimings){.start_ns = begin_ns, .end_ns = loop_clock(w->loop)};
    response->timings.waiting_ns = response->timings.end_ns - begin_ns;
    response->bytes_sent = w->sent_nothing ? 0 : 100;
    response->bytes_received = w->sent_nothing ? 0 : 200;
    response->tls_version = "";
    response->status = w->error_rc ? 0 : w->status;
    response->error_code = w->error_rc ? w->error_code : net_error_code_of_status(w->status);
    if (rc != 0) {
        return rc;
    }
    return w->error_rc ? err_set(e, (ErrCode)w->error_rc, "simulated") : 0;
}

static inline void load_on_interval(void *ctx, const EngineInterval *interval)
{
    LoadWorld *w = ctx;
    w->intervals++;
    if (w->on_interval) {
        w->on_interval(w, interval);
    }
}

static inline void load_on_event(void *ctx, int64_t at_ns, Slice kind, Slice text)
{
    (void)at_ns;
    LoadWorld *w = ctx;
    size_t used = strlen(w->events);
    (void)snprintf(w->events + used, sizeof w->events - used, "%.*s: %.*s\n", SLICE_FMT(kind),
                   SLICE_FMT(text));
}

static inline Template load_text(LoadWorld *w, const char *text)
{
    return template_literal(w->arena, slice_from_cstr(text));
}

static inline PlanRequest load_get(LoadWorld *w, const char *name, const char *url)
{
    return (PlanRequest){
        .name = slice_from_cstr(name),
        .method = SLICE("GET"),
        .url = load_text(w, url),
        .timeout_ns = PLAN_REQUEST_TIMEOUT_NS,
        .max_redirects = PLAN_MAX_REDIRECTS,
    };
}

// One scenario of one GET request; the test sets the executor's fields.
static inline void load_open(LoadWorld *w)
{
    *w = (LoadWorld){.status = 200, .latency_ns = 100 * NS_PER_MS};
    w->arena = arena_create(16 << 20);
    clock_manual_init(&w->manual, NS_PER_S, 0);
    assert_int_equal(
        loop_create(&(LoopOptions){.manual = &w->manual, .auto_advance = true}, &w->loop, NULL), 0);
    w->requests[0] = load_get(w, "home", "http://127.0.0.1:1/");
    w->steps[0] = (PlanStep){.kind = STEP_REQUEST, .request = &w->requests[0], .weight = 1};
    for (uint32_t i = 0; i < LOAD_SCENARIOS; i++) {
        w->scenarios[i] = (PlanScenario){
            .name = arena_printf(w->arena, "s%u", i),
            .graceful_stop_ns = PLAN_GRACEFUL_STOP_NS,
            .graceful_ramp_down_ns = PLAN_GRACEFUL_RAMP_DOWN_NS,
            .max_duration_ns = PLAN_MAX_DURATION_NS,
            .time_unit_ns = NS_PER_S,
            .steps = w->steps,
            .step_count = 1,
            .index = i,
        };
    }
    w->plan = (Plan){
        .name = SLICE("test"),
        .seed = 1,
        .environments = &w->environment,
        .environment_count = 1,
        .environment = &w->environment,
        .requests = w->requests,
        .request_count = 1,
        .scenarios = w->scenarios,
        .scenario_count = 1,
        .discard_bodies = true,
        .run_header = SLICE("X-Perfwright-Run"),
        .user_agent = SLICE("perfwright"),
    };
    w->transport = (EngineTransport){.ctx = w, .send = load_send};
    w->options = (EngineOptions){
        .plan = &w->plan,
        .loop = w->loop,
        .run_id = SLICE("RUN"),
        .hooks = {.ctx = w, .on_interval = load_on_interval, .on_event = load_on_event},
        .transport = &w->transport,
    };
}

static inline void load_run(LoadWorld *w)
{
    Err e = {0};
    int rc = engine_create(&w->options, &w->engine, &e);
    if (rc != 0) {
        print_error("%s\n", e.text);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(engine_execute(w->engine, &e), 0);
    w->result = engine_result(w->engine);
}

// The run's total of one metric where the labels match.
static inline Point load_total(LoadWorld *w, MetricId metric, const char *key, const char *value,
                               Hist *hist)
{
    const Label label = {slice_from_cstr(key), slice_from_cstr(value)};
    Labels filter = {&label, key ? 1 : 0};
    Point sum;
    collector_sum(engine_collector(w->engine), metric_info(metric)->name, filter, &sum, hist);
    return sum;
}

static inline int64_t load_count(LoadWorld *w, MetricId metric, const char *key, const char *value)
{
    Hist hist;
    hist_init(&hist);
    int64_t count = load_total(w, metric, key, value, &hist).count;
    hist_done(&hist);
    return count;
}

static inline void load_close(LoadWorld *w)
{
    engine_destroy(w->engine);
    loop_destroy(w->loop);
    arena_destroy(w->arena);
}

#endif
