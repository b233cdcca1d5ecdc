#include "agent/monitor_runner.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "telemetry/exposition.h"
#include "telemetry/live.h"

// A runner under a clock of its own: a call takes exactly as long as the callee sleeps.
typedef struct World {
    ManualClock clock;
    Runner *runner;
    MonitorRunner *source;
    Collector *collector;
    Buf page;
} World;

static int back(AgentContext *ctx, const Event *event, State *state)
{
    (void)state;
    int rc = agent_sleep(ctx, 20 * NS_PER_MS);
    if (rc != 0) {
        return rc;
    }
    return slice_eq_cstr(event_data(event), "fail")
               ? agent_fail(ctx, ERR_PROTOCOL, "as it was asked to")
               : agent_reply(ctx, event_data(event));
}

static int front(AgentContext *ctx, const Event *event, State *state)
{
    (void)state;
    AgentResult result = {0};
    EventSpec spec = {.target = SLICE("back"), .data = event_data(event)};
    int rc = agent_call(ctx, &spec, NULL, &result, NULL);
    agent_result_done(&result);
    return rc;
}

static int busy(AgentContext *ctx, const Event *event, State *state)
{
    (void)state;
    int rc = 0;
    for (int i = 0; rc == 0 && i < 1000; i++) {
        rc =
            agent_emit(ctx, &(EventSpec){.target = SLICE("sink"), .data = event_data(event)}, NULL);
    }
    return rc;
}

static int sink(AgentContext *ctx, const Event *event, State *state)
{
    (void)ctx;
    (void)event;
    (void)state;
    return 0;
}

static void add(World *w, Slice name, AgentRunFn *run, OverflowRule overflow)
{
    Err e = {0};
    AgentSpec spec = {.name = name, .run = run, .overflow = overflow};
    if (runner_register(w->runner, &spec, NULL, &e) != 0) {
        fail_msg("%s", e.text);
    }
}

static void world_init(World *w)
{
    memset(w, 0, sizeof *w);
    clock_manual_init(&w->clock, 1000 * NS_PER_S, 0);
    w->collector = collector_create(0);
    w->page = buf_create(EXPOSITION_BYTES_MAX);
    RunnerOptions options = {.manual = &w->clock, .shards = 2};
    assert_int_equal(runner_create(&options, &w->runner, NULL), 0);
    add(w, SLICE("front"), front, OVERFLOW_SHED);
    add(w, SLICE("back"), back, OVERFLOW_SHED);
    add(w, SLICE("busy"), busy, OVERFLOW_BLOCK);
    add(w, SLICE("sink"), sink, OVERFLOW_BLOCK);
}

static void world_start(World *w)
{
    assert_int_equal(monitor_runner_create(w->runner, &w->source, NULL), 0);
    assert_int_equal(runner_start(w->runner, NULL), 0);
}

static void world_open(World *w)
{
    world_init(w);
    world_start(w);
}

static void emit(World *w, Slice target, Slice data)
{
    assert_int_equal(runner_emit(w->runner, &(EventSpec){.target = target, .data = data}, NULL), 0);
    while (runner_step(w->runner)) {
    }
}

static void collect(World *w)
{
    const MonitorSource *s = monitor_runner_source(w->source);
    s->collect(s->ctx, w->collector);
    buf_reset(&w->page);
    exposition_write(&w->page, w->collector, (Slice){0});
}

static void world_close(World *w)
{
    (void)runner_stop(w->runner, NS_PER_S);
    runner_destroy(w->runner);
    monitor_runner_destroy(w->source);
    collector_destroy(w->collector);
    buf_done(&w->page);
}

static void expect(const World *w, const char *line)
{
    if (slice_find(buf_slice(&w->page), slice_from_cstr(line)) < 0) {
        fail_msg("no \"%s\" in\n%s", line, w->page.data);
    }
}

static void test_agents_and_edges(void **state)
{
    (void)state;
    World w;
    world_open(&w);
    emit(&w, SLICE("front"), SLICE("a"));
    emit(&w, SLICE("front"), SLICE("b"));
    emit(&w, SLICE("front"), SLICE("fail"));
    collect(&w);
    collect(&w); // totals are replaced, not added
    expect(&w, "agent_requests_total{agent_name=\"back\",status=\"success\"} 2\n");
    expect(&w, "agent_requests_total{agent_name=\"back\",status=\"error\"} 1\n");
    expect(&w, "agent_request_duration_seconds_sum{agent_name=\"back\",status=\"success\"} 0.04\n");
    expect(&w, "agent_requests_total{agent_name=\"front\",status=\"error\"} 1\n");
    expect(&w, "agent_call_duration_seconds_count{callee=\"back\",caller=\"front\","
               "status=\"success\"} 2\n");
    expect(&w, "agent_call_duration_seconds_count{callee=\"back\",caller=\"front\","
               "status=\"error\"} 1\n");
    expect(&w, "agent_mailbox_depth{agent_name=\"back\"} 0\n");
    expect(&w, "runner_queue_depth{shard=\"1\"} 0\n");
    world_close(&w);
}

// A breaker that opens after two failures in a row, on an agent and on an edge to another: what the
// four calls to each leave is read off /metrics.
static void test_policies(void **state)
{
    (void)state;
    World w;
    ParamValue values[POLICY_PARAM_COUNT];
    policy_defaults(values);
    values[P_BREAKER_CONSECUTIVE].integer = 2;
    values[P_BREAKER_OPEN_FOR].integer = 3600 * NS_PER_S;
    values[P_LIMIT_KIND].integer = LIMIT_FIXED;
    values[P_LIMIT_VALUE].integer = 7;
    values[P_CACHE_TTL].integer = NS_PER_S;
    world_init(&w);
    AgentSpec frail = {.name = SLICE("frail"), .run = back, .policies = values, .worker_limit = 3};
    AgentId from, to = runner_find(w.runner, SLICE("back"));
    from = runner_find(w.runner, SLICE("front"));
    assert_int_equal(runner_register(w.runner, &frail, NULL, NULL), 0);
    assert_int_equal(runner_edge(w.runner, from, to, values, NULL, NULL), 0);
    world_start(&w);
    for (int i = 0; i < 4; i++) {
        emit(&w, SLICE("frail"), SLICE("fail"));
        emit(&w, SLICE("front"), SLICE("fail"));
    }
    collect(&w);
    static const char *const owners[] = {"agent_name=\"frail\"",
                                         "agent_name=\"back\",edge=\"front->back\""};
    static const struct {
        const char *name, *more, *value;
    } series[] = {
        {"circuit_breaker_state", "", "1"},
        {"circuit_breaker_transitions_total", ",state=\"open\"", "1"},
        {"circuit_breaker_transitions_total", ",state=\"half_open\"", "0"},
        {"events_shed_total", ",reason=\"breaker_open\"", "2"},
        {"policy_results_total", ",reason=\"failed\"", "2"},
        {"retries_total", "", "0"},
        {"hedges_total", "", "0"},
        {"attempt_timeouts_total", "", "0"},
        {"cache_misses_total", "", "4"},
        {"concurrency_limit", "", "7"},
        {"concurrency_in_flight", "", "0"},
        {"mailbox_depth", "", "0"},
    };
    for (size_t i = 0; i < COUNT_OF(owners) * COUNT_OF(series); i++) {
        char line[160];
        (void)snprintf(line, sizeof line, "agent_%s{%s%s} %s\n", series[i / 2].name, owners[i % 2],
                       series[i / 2].more, series[i / 2].value);
        expect(&w, line);
    }
    expect(&w, "agent_workers{agent_name=\"frail\"} 3\n");
    world_close(&w);
}

// More events between two collections than the queue holds: the part that is seen has weights, and
// what was lost before the first collection is lost.
static void test_many_events_are_sampled(void **state)
{
    (void)state;
    World w;
    world_open(&w);
    Labels none = {0};
    Point sum;
    Hist hist;
    hist_init(&hist);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < (MONITOR_EDGE_SAMPLES + 2000) / 1000; i++) {
            emit(&w, SLICE("busy"), SLICE("x"));
        }
        collect(&w);
        (void)collector_sum(w.collector, SLICE("agent_call_duration_seconds"), none, &sum, &hist);
        if (round == 0) {
            assert_int_equal(hist.count, MONITOR_EDGE_SAMPLES); // the queue's edge
        }
    }
    // Two rounds of 67,000 by every second event, each counted twice: five standard deviations.
    double rest = (double)hist.count - MONITOR_EDGE_SAMPLES;
    assert_in_range((long)rest, 134000 - 1900, 134000 + 1900);
    hist_done(&hist);
    world_close(&w);
}

static void test_fibers(void **state)
{
    (void)state;
    World w;
    world_open(&w);
    const MonitorSource *s = monitor_runner_source(w.source);
    Profile *p = profile_create(PROFILE_FIBERS, 1);
    assert_int_equal(
        runner_emit(w.runner, &(EventSpec){.target = SLICE("back"), .data = SLICE("a")}, NULL), 0);
    s->fibers(s->ctx, p);
    profile_destroy(p);
    while (runner_step(w.runner)) {
    }
    p = profile_create(PROFILE_FIBERS, 1);
    s->fibers(s->ctx, p);
    assert_true(profile_stats(p).samples > 0); // the idle workers of the shards
    profile_destroy(p);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agents_and_edges),
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_many_events_are_sampled),
        cmocka_unit_test(test_fibers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
