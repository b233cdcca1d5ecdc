#include "agent/runner.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "os/thread.h"

// Most tests run under a clock of their own, on one thread: time passes only when nothing is left
// to do. The last ones use threads.

typedef struct World {
    ManualClock clock;
    Runner *runner;
    int hooks[HOOK_POINTS];
    int last_code;
    char last_reason[128];
} World;

static void count_hook(void *arg, const HookInfo *info)
{
    World *w = arg;
    w->hooks[info->point]++;
    if (info->point == HOOK_ERROR) {
        w->last_code = info->code;
        (void)snprintf(w->last_reason, sizeof w->last_reason, "%s", info->reason);
    }
}

static void world_open(World *w, RunnerOptions options)
{
    memset(w, 0, sizeof *w);
    clock_manual_init(&w->clock, 1000 * NS_PER_S, 0);
    options.manual = &w->clock;
    options.shards = options.shards ? options.shards : 1;
    assert_int_equal(runner_create(&options, &w->runner, NULL), 0);
    for (int p = 0; p < HOOK_POINTS; p++) {
        assert_int_equal(runner_hook(w->runner, (HookPoint)p, count_hook, w, NULL), 0);
    }
}

static void world_run(World *w)
{
    while (runner_step(w->runner)) {
    }
}

static void world_close(World *w)
{
    (void)runner_stop(w->runner, NS_PER_S);
    RunnerCounts c = runner_counts(w->runner);
    assert_int_equal(c.in_flight, 0);
    runner_destroy(w->runner);
}

static void add(World *w, Slice name, AgentRunFn *run, void *self)
{
    Err e = {0};
    AgentSpec spec = {.name = name, .run = run, .self = self};
    assert_int_equal(runner_register(w->runner, &spec, NULL, &e), 0);
}

static void start(World *w)
{
    assert_int_equal(runner_start(w->runner, NULL), 0);
}

static int emit(World *w, Slice target, Slice data)
{
    return runner_emit(w->runner, &(EventSpec){.target = target, .data = data}, NULL);
}

// ---- agents

typedef struct Seen {
    int count;
    char order[512];
} Seen;

static int note(AgentContext *ctx, const Event *event, State *state)
{
    (void)state;
    Seen *seen = agent_self(ctx);
    seen->count++;
    size_t len = strlen(seen->order);
    Slice data = event_data(event);
    if (len + data.len < sizeof seen->order && data.len > 0) {
        memcpy(seen->order + len, data.ptr, data.len);
    }
    return 0;
}

static int echo(AgentContext *ctx, const Event *event, State *state)
{
    int64_t n = state_get_int(state, SLICE("n"), 0);
    int rc = state_set_int(state, SLICE("n"), n + 1);
    return rc ? rc : agent_reply(ctx, event_data(event));
}

static int failing(AgentContext *ctx, const Event *event, State *state)
{
    (void)event;
    (void)state;
    return agent_fail(ctx, ERR_PROTOCOL, "the peer said nonsense");
}

static int hang(AgentContext *ctx, const Event *event, State *state)
{
    (void)event;
    (void)state;
    int rc = agent_sleep(ctx, 3600 * NS_PER_S);
    int *cancelled = agent_self(ctx);
    if (cancelled && rc == ERR_CANCELLED) {
        ++*cancelled;
    }
    return rc;
}

static int sleep_1ms(AgentContext *ctx, const Event *event, State *state)
{
    (void)state;
    int rc = agent_sleep(ctx, NS_PER_MS);
    return rc ? rc : agent_reply(ctx, event_data(event));
}

typedef struct Relay {
    Slice target;
    int rc;
    char reason[128];
    int64_t timeout_ns;
    Slice got; // of a literal
} Relay;

static int call_on(AgentContext *ctx, const Event *event, State *state)
{
    Relay *relay = agent_self(ctx);
    AgentResult result;
    EventSpec spec = {
        .target = relay->target, .data = event_data(event), .timeout_ns = relay->timeout_ns};
    Err e = {0};
    relay->rc = agent_call(ctx, &spec, &(AgentCallOptions){.state = state}, &result, &e);
    (void)snprintf(relay->reason, sizeof relay->reason, "%.120s", e.text);
    int rc = relay->rc ? relay->rc : agent_reply(ctx, result.data);
    if (rc == 0) {
        rc = state_merge(state, &result.state);
    }
    agent_result_done(&result);
    return rc;
}

static int emit_on(AgentContext *ctx, const Event *event, State *state)
{
    (void)state;
    Relay *relay = agent_self(ctx);
    Err e = {0};
    EventSpec spec = {.target = relay->target, .data = event_data(event)};
    relay->rc = agent_emit(ctx, &spec, &e);
    (void)snprintf(relay->reason, sizeof relay->reason, "%.120s", e.text);
    return relay->rc;
}

// ---- events and hooks

static void test_an_event_reaches_its_handler_once(void **unused)
{
    (void)unused;
    World w;
    Seen seen = {0};
    world_open(&w, (RunnerOptions){0});
    add(&w, SLICE("note"), note, &seen);
    start(&w);
    assert_int_equal(emit(&w, SLICE("note"), SLICE("a")), 0);
    assert_int_equal(emit(&w, SLICE("note"), SLICE("b")), 0);
    assert_int_equal(seen.count, 0); // emitting runs nothing
    world_run(&w);
    assert_string_equal(seen.order, "ab");
    for (int p = 0; p < HOOK_ERROR; p++) {
        assert_int_equal(w.hooks[p], 2); // reference 1.5d: they fired twice an event
    }
    assert_int_equal(w.hooks[HOOK_ERROR], 0);
    RunnerCounts c = runner_counts(w.runner);
    assert_int_equal(c.handled, 2);
    assert_int_equal(c.accepted, 2);
    world_close(&w);
}

static void test_a_failure_fires_each_hook_once(void **unused)
{
    (void)unused;
    World w;
    world_open(&w, (RunnerOptions){0});
    add(&w, SLICE("fail"), failing, NULL);
    start(&w);
    assert_int_equal(emit(&w, SLICE("fail"), SLICE("")), 0);
    world_run(&w);
    for (int p = 0; p < HOOK_POINTS; p++) {
        assert_int_equal(w.hooks[p], 1);
    }
    assert_int_equal(w.last_code, ERR_PROTOCOL);
    assert_string_equal(w.last_reason, "the peer said nonsense");
    assert_int_equal(runner_counts(w.runner).failed, 1);
    world_close(&w);
}

static void test_what_is_refused(void **unused)
{
    (void)unused;
    World w;
    Seen seen = {0};
    world_open(&w, (RunnerOptions){.data_max = 10});
    add(&w, SLICE("planner"), note, &seen);
    Err e = {0};
    EventSpec spec = {.target = SLICE("planner")};
    assert_int_equal(runner_emit(w.runner, &spec, &e), ERR_CLOSED);
    assert_string_equal(e.text, "the runner is not started");
    start(&w);
    assert_int_equal(runner_emit(w.runner, &(EventSpec){.target = SLICE("planer")}, &e),
                     ERR_NOT_FOUND);
    assert_string_equal(e.text, "there is no agent \"planer\"; did you mean \"planner\"?");
    assert_int_equal(runner_emit(w.runner, &(EventSpec){.agent = 7}, &e), ERR_NOT_FOUND);
    spec.data = SLICE("0123456789");
    assert_int_equal(runner_emit(w.runner, &spec, &e), 0);
    spec.data = SLICE("0123456789a");
    assert_int_equal(runner_emit(w.runner, &spec, &e), ERR_LIMIT);
    (void)runner_stop(w.runner, NS_PER_S);
    spec.data = SLICE("late");
    assert_int_equal(runner_emit(w.runner, &spec, &e), ERR_CLOSED);
    assert_string_equal(e.text, "the runner is stopped");
    RunnerCounts c = runner_counts(w.runner);
    assert_int_equal(c.refused, 5);
    assert_int_equal(c.handled, 1);
    AgentSpec late = {.name = SLICE("late"), .run = note};
    assert_int_equal(runner_register(w.runner, &late, NULL, &e), ERR_BUSY);
    world_close(&w);
}

static void test_registering(void **unused)
{
    (void)unused;
    World w;
    char name[AGENT_NAME_MAX + 1];
    memset(name, 'n', sizeof name);
    world_open(&w, (RunnerOptions){.agents_max = 2});
    const struct {
        AgentSpec spec;
        int rc;
    } cases[] = {
        {{.name = SLICE_INIT(""), .run = note}, ERR_ARG},
        {{.name = SLICE_INIT("no handler")}, ERR_ARG},
        {{.name = {name, AGENT_NAME_MAX + 1}, .run = note}, ERR_ARG},
        {{.name = {name, AGENT_NAME_MAX}, .run = note}, 0},
        {{.name = {name, AGENT_NAME_MAX}, .run = note}, ERR_EXISTS},
        {{.name = SLICE_INIT("b"), .run = note}, 0},
        {{.name = SLICE_INIT("c"), .run = note}, ERR_LIMIT},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(runner_register(w.runner, &cases[i].spec, NULL, NULL), cases[i].rc);
    }
    assert_int_equal(runner_find(w.runner, SLICE("b")), 1);
    assert_int_equal(runner_find(w.runner, SLICE("c")), AGENT_NONE);
    for (int i = 1; i < RUNNER_HOOKS_MAX; i++) {
        assert_int_equal(runner_hook(w.runner, HOOK_ERROR, count_hook, &w, NULL), 0);
    }
    assert_int_equal(runner_hook(w.runner, HOOK_ERROR, count_hook, &w, NULL), ERR_LIMIT);
    world_close(&w);
}

// ---- calls

static void test_a_call_brings_answer_and_state(void **unused)
{
    (void)unused;
    for (unsigned shards = 1; shards <= 3; shards++) {
        World w;
        Relay relay = {.target = SLICE("echo")};
        world_open(&w, (RunnerOptions){.shards = shards});
        add(&w, SLICE("relay"), call_on, &relay);
        add(&w, SLICE("echo"), echo, NULL);
        start(&w);
        State state = state_create();
        assert_int_equal(state_set_int(&state, SLICE("n"), 41), 0);
        AgentResult result;
        EventSpec spec = {.target = SLICE("relay"), .data = SLICE("hello")};
        assert_int_equal(runner_call(w.runner, &spec, &state, &result, NULL), 0);
        assert_true(slice_eq(result.data, SLICE("hello")));
        assert_int_equal(state_get_int(&result.state, SLICE("n"), 0), 42);
        assert_int_equal(state_get_int(&state, SLICE("n"), 0), 41); // the caller's is its own
        agent_result_done(&result);
        // More than fits into an event.
        char large[5000];
        memset(large, 'L', sizeof large);
        spec.data = (Slice){large, sizeof large};
        assert_int_equal(runner_call(w.runner, &spec, NULL, &result, NULL), 0);
        assert_true(slice_eq(result.data, spec.data));
        agent_result_done(&result);
        state_done(&state);
        world_close(&w);
    }
}

static void test_a_failed_call_says_why(void **unused)
{
    (void)unused;
    World w;
    Relay relay = {.target = SLICE("fail")};
    world_open(&w, (RunnerOptions){.shards = 2});
    add(&w, SLICE("relay"), call_on, &relay);
    add(&w, SLICE("fail"), failing, NULL);
    start(&w);
    AgentResult result;
    Err e = {0};
    EventSpec spec = {.target = SLICE("relay")};
    assert_int_equal(runner_call(w.runner, &spec, NULL, &result, &e), ERR_PROTOCOL);
    assert_string_equal(relay.reason, "the peer said nonsense");
    agent_result_done(&result);
    relay.target = SLICE("nobody");
    assert_int_equal(runner_call(w.runner, &spec, NULL, &result, &e), ERR_NOT_FOUND);
    agent_result_done(&result);
    world_close(&w);
}

static void test_agents_in_a_circle_end(void **unused)
{
    (void)unused;
    World w;
    Relay a = {.target = SLICE("b")}, b = {.target = SLICE("a")};
    world_open(&w, (RunnerOptions){.worker_limit = 1, .call_depth_max = 8});
    add(&w, SLICE("a"), call_on, &a);
    add(&w, SLICE("b"), call_on, &b);
    start(&w);
    AgentResult result;
    EventSpec spec = {.target = SLICE("a")};
    // One worker each, and a waits for b which waits for a: no deadlock, but an end.
    assert_int_equal(runner_call(w.runner, &spec, NULL, &result, NULL), ERR_LIMIT);
    agent_result_done(&result);
    assert_int_equal(runner_counts(w.runner).accepted, 9); // the event and 8 calls in it
    world_close(&w);
}

static void test_emits_in_a_circle_end(void **unused)
{
    (void)unused;
    World w;
    Relay a = {.target = SLICE("b")}, b = {.target = SLICE("a")};
    world_open(&w, (RunnerOptions){.hops_max = 20, .shards = 2});
    add(&w, SLICE("a"), emit_on, &a);
    add(&w, SLICE("b"), emit_on, &b);
    start(&w);
    assert_int_equal(emit(&w, SLICE("a"), SLICE("x")), 0);
    world_run(&w);
    RunnerCounts c = runner_counts(w.runner);
    assert_int_equal(c.accepted, 21);
    assert_int_equal(c.failed, 1);
    assert_int_equal(w.last_code, ERR_LIMIT);
    world_close(&w);
}

static int call_three(AgentContext *ctx, const Event *event, State *state)
{
    (void)event;
    AgentCall calls[3] = {0};
    AgentCall *open[3] = {&calls[0], &calls[1], &calls[2]};
    static const char *const data[] = {"one", "two", "three"};
    for (int i = 0; i < 3; i++) {
        EventSpec spec = {.target = SLICE("sleep"), .data = slice_from_cstr(data[i])};
        int rc = agent_call_start(ctx, &spec, &(AgentCallOptions){.state = state}, &calls[i], NULL);
        if (rc != 0) {
            return rc;
        }
    }
    int found = 0;
    for (int i = 0; i < 3; i++) {
        int which = agent_call_wait_any(ctx, open, 3);
        if (which < 0) {
            return which;
        }
        found += slice_eq_cstr(calls[which].result.data, data[which]);
        agent_result_done(&calls[which].result);
        open[which] = NULL;
    }
    return found == 3 && agent_call_wait_any(ctx, open, 3) == ERR_ARG ? 0 : ERR_CORRUPT;
}

static void test_several_calls_at_once(void **unused)
{
    (void)unused;
    for (unsigned shards = 1; shards <= 2; shards++) {
        World w;
        world_open(&w, (RunnerOptions){.shards = shards});
        add(&w, SLICE("three"), call_three, NULL);
        add(&w, SLICE("sleep"), sleep_1ms, NULL);
        start(&w);
        AgentResult result;
        int64_t before = w.clock.now_ns;
        EventSpec spec = {.target = SLICE("three")};
        assert_int_equal(runner_call(w.runner, &spec, NULL, &result, NULL), 0);
        assert_in_range(w.clock.now_ns - before, NS_PER_MS, 2 * NS_PER_MS); // not three
        agent_result_done(&result);
        world_close(&w);
    }
}

static int forget_call(AgentContext *ctx, const Event *event, State *state)
{
    (void)event;
    (void)state;
    AgentCall call;
    return agent_call_start(ctx, &(EventSpec){.target = SLICE("hang")}, NULL, &call, NULL);
}

static void test_a_call_nobody_waits_for_is_cancelled(void **unused)
{
    (void)unused;
    for (unsigned shards = 1; shards <= 2; shards++) {
        World w;
        int cancelled = 0;
        world_open(&w, (RunnerOptions){.shards = shards});
        add(&w, SLICE("forget"), forget_call, NULL);
        add(&w, SLICE("hang"), hang, &cancelled);
        start(&w);
        int64_t before = w.clock.now_ns;
        assert_int_equal(emit(&w, SLICE("forget"), SLICE("")), 0);
        world_run(&w);
        assert_true(w.clock.now_ns - before < NS_PER_S); // it did not sleep its hour
        RunnerCounts c = runner_counts(w.runner);
        assert_int_equal(c.handled, 1);
        assert_int_equal(c.failed, 1);
        assert_int_equal(c.in_flight, 0);
        world_close(&w);
    }
}

// ---- deadlines

static void test_deadlines_reach_through_calls(void **unused)
{
    (void)unused;
    for (unsigned shards = 1; shards <= 2; shards++) {
        World w;
        int cancelled = 0;
        Relay relay = {.target = SLICE("hang")};
        world_open(&w, (RunnerOptions){.shards = shards});
        add(&w, SLICE("relay"), call_on, &relay);
        add(&w, SLICE("hang"), hang, &cancelled);
        start(&w);
        AgentResult result;
        EventSpec spec = {.target = SLICE("relay"), .timeout_ns = 5 * NS_PER_MS};
        int64_t before = w.clock.now_ns;
        assert_int_equal(runner_call(w.runner, &spec, NULL, &result, NULL), ERR_TIMEOUT);
        assert_in_range(w.clock.now_ns - before, 5 * NS_PER_MS, 6 * NS_PER_MS);
        agent_result_done(&result);
        world_run(&w);
        assert_int_equal(cancelled, 1);
        assert_int_equal(runner_counts(w.runner).in_flight, 0);
        world_close(&w);
    }
}

static void test_a_calls_own_deadline(void **unused)
{
    (void)unused;
    World w;
    int cancelled = 0;
    Relay relay = {.target = SLICE("hang"), .timeout_ns = 3 * NS_PER_MS};
    world_open(&w, (RunnerOptions){.event_timeout_ns = NS_PER_S});
    add(&w, SLICE("relay"), call_on, &relay);
    add(&w, SLICE("hang"), hang, &cancelled);
    start(&w);
    AgentResult result;
    EventSpec spec = {.target = SLICE("relay")};
    assert_int_equal(runner_call(w.runner, &spec, NULL, &result, NULL), ERR_TIMEOUT);
    assert_int_equal(relay.rc, ERR_TIMEOUT);
    agent_result_done(&result);
    world_run(&w);
    assert_int_equal(cancelled, 1);
    world_close(&w);
}

typedef struct Patient {
    int call_rc, sleep_rc;
} Patient;

// Gives a callee that hangs 3 ms, then sleeps 2 ms itself.
static int call_then_sleep(AgentContext *ctx, const Event *event, State *state)
{
    (void)event;
    (void)state;
    Patient *patient = agent_self(ctx);
    AgentResult result;
    EventSpec spec = {.target = SLICE("hang"), .timeout_ns = 3 * NS_PER_MS};
    patient->call_rc = agent_call(ctx, &spec, NULL, &result, NULL);
    agent_result_done(&result);
    patient->sleep_rc = agent_sleep(ctx, 2 * NS_PER_MS);
    return patient->sleep_rc;
}

// The callee runs on its caller's stack, so cancelling it cancels the caller's fiber, too.
static void test_a_caller_outlives_its_callees_deadline(void **unused)
{
    (void)unused;
    const struct {
        int64_t timeout_ns;
        int call_rc, sleep_rc, rc;
        int64_t took_ms;
    } cases[] = {
        {NS_PER_S, ERR_TIMEOUT, 0, 0, 5},
        {4 * NS_PER_MS, ERR_TIMEOUT, ERR_CANCELLED, ERR_TIMEOUT, 4},
        {2 * NS_PER_MS, ERR_TIMEOUT, ERR_CANCELLED, ERR_TIMEOUT, 2},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        World w;
        Patient patient = {0};
        int cancelled = 0;
        world_open(&w, (RunnerOptions){0});
        add(&w, SLICE("patient"), call_then_sleep, &patient);
        add(&w, SLICE("hang"), hang, &cancelled);
        start(&w);
        AgentResult result;
        EventSpec spec = {.target = SLICE("patient"), .timeout_ns = cases[i].timeout_ns};
        int64_t before = w.clock.now_ns;
        assert_int_equal(runner_call(w.runner, &spec, NULL, &result, NULL), cases[i].rc);
        assert_int_equal((w.clock.now_ns - before) / NS_PER_MS, cases[i].took_ms);
        assert_int_equal(patient.call_rc, cases[i].call_rc);
        assert_int_equal(patient.sleep_rc, cases[i].sleep_rc);
        assert_int_equal(cancelled, 1);
        agent_result_done(&result);
        world_close(&w);
    }
}

static void test_a_deadline_passes_in_the_mailbox(void **unused)
{
    (void)unused;
    World w;
    world_open(&w, (RunnerOptions){.worker_limit = 1});
    add(&w, SLICE("hang"), hang, NULL);
    start(&w);
    assert_int_equal(emit(&w, SLICE("hang"), SLICE("")), 0);
    EventSpec spec = {.target = SLICE("hang"), .timeout_ns = 50 * NS_PER_MS};
    int64_t before = w.clock.now_ns;
    AgentResult result;
    assert_int_equal(runner_call(w.runner, &spec, NULL, &result, NULL), ERR_TIMEOUT);
    assert_in_range(w.clock.now_ns - before, 50 * NS_PER_MS, 70 * NS_PER_MS);
    agent_result_done(&result);
    assert_string_equal(w.last_reason, "its deadline passed in the mailbox");
    assert_int_equal(w.hooks[HOOK_BEFORE_EVENT], 1); // of the one that hangs
    assert_int_equal(w.hooks[HOOK_ERROR], 1);
    world_close(&w);
}

// ---- bounds

static void test_worker_limit(void **unused)
{
    (void)unused;
    const struct {
        uint32_t limit;
        int64_t took_ms;
    } cases[] = {{1, 6}, {2, 3}, {3, 2}, {6, 1}, {0, 1}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        World w;
        world_open(&w, (RunnerOptions){.worker_limit = cases[i].limit});
        add(&w, SLICE("sleep"), sleep_1ms, NULL);
        start(&w);
        int64_t before = w.clock.now_ns;
        for (int n = 0; n < 6; n++) {
            assert_int_equal(emit(&w, SLICE("sleep"), SLICE("")), 0);
        }
        while (runner_counts(w.runner).in_flight > 0) {
            assert_true(runner_step(w.runner));
        }
        assert_int_equal((w.clock.now_ns - before) / NS_PER_MS, cases[i].took_ms);
        world_close(&w);
    }
}

// Six events of 1 ms; after the first round the number of workers changes.
static void test_workers_change_while_running(void **unused)
{
    (void)unused;
    const struct {
        uint32_t before, after;
        int64_t took_ms;
    } cases[] = {{1, 5, 1 + 1}, {3, 1, 1 + 3}, {2, 0, 1 + 1}, {0, 1, 1}, {2, 4, 1 + 1}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        World w;
        world_open(&w, (RunnerOptions){0});
        AgentId id;
        AgentSpec spec = {
            .name = SLICE("sleep"), .run = sleep_1ms, .worker_limit = cases[i].before};
        assert_int_equal(runner_register(w.runner, &spec, &id, NULL), 0);
        assert_int_equal(runner_set_workers(w.runner, id, 1, NULL), ERR_ARG); // not started
        start(&w);
        int64_t began = w.clock.now_ns;
        for (int n = 0; n < 6; n++) {
            assert_int_equal(emit(&w, SLICE("sleep"), SLICE("")), 0);
        }
        bool changed = false;
        while (runner_counts(w.runner).in_flight > 0) {
            assert_true(runner_step(w.runner));
            if (!changed && w.clock.now_ns - began >= NS_PER_MS / 2) {
                assert_int_equal(runner_set_workers(w.runner, id, cases[i].after, NULL), 0);
                changed = true;
            }
        }
        // The timer of the first round has fired before its handlers return, so the new number
        // holds for the second.
        assert_int_equal((w.clock.now_ns - began) / NS_PER_MS, cases[i].took_ms);
        assert_int_equal(runner_counts(w.runner).handled, 6);
        world_close(&w);
    }
}

// A worker that waits for another agent's answer is free for others, or is not.
static void test_places_during_calls(void **unused)
{
    (void)unused;
    for (int keeps = 0; keeps < 2; keeps++) {
        World w;
        Relay relay = {.target = SLICE("sleep")};
        world_open(&w, (RunnerOptions){0});
        AgentSpec spec = {.name = SLICE("relay"),
                          .run = call_on,
                          .self = &relay,
                          .worker_limit = 1,
                          .keeps_place = keeps};
        assert_int_equal(runner_register(w.runner, &spec, NULL, NULL), 0);
        add(&w, SLICE("sleep"), sleep_1ms, NULL);
        start(&w);
        int64_t before = w.clock.now_ns;
        for (int n = 0; n < 4; n++) {
            assert_int_equal(emit(&w, SLICE("relay"), SLICE("")), 0);
        }
        while (runner_counts(w.runner).in_flight > 0) {
            assert_true(runner_step(w.runner));
        }
        assert_int_equal((w.clock.now_ns - before) / NS_PER_MS, keeps ? 4 : 1);
        world_close(&w);
    }
}

static void test_max_concurrent_events_does_not_count_calls(void **unused)
{
    (void)unused;
    World w;
    Relay relay = {.target = SLICE("sleep")};
    world_open(&w, (RunnerOptions){.max_concurrent_events = 2});
    add(&w, SLICE("relay"), call_on, &relay);
    add(&w, SLICE("sleep"), sleep_1ms, NULL);
    start(&w);
    int64_t before = w.clock.now_ns;
    for (int n = 0; n < 6; n++) {
        assert_int_equal(emit(&w, SLICE("relay"), SLICE("")), 0);
    }
    while (runner_counts(w.runner).in_flight > 0) {
        assert_true(runner_step(w.runner));
    }
    assert_int_equal((w.clock.now_ns - before) / NS_PER_MS, 3);
    assert_int_equal(runner_counts(w.runner).handled, 12);
    world_close(&w);
}

static void add_bounded(World *w, Slice name, AgentRunFn *run, void *self, uint32_t mailbox,
                        OverflowRule rule)
{
    AgentSpec spec = {
        .name = name, .run = run, .self = self, .mailbox_max = mailbox, .overflow = rule};
    assert_int_equal(runner_register(w->runner, &spec, NULL, NULL), 0);
}

static void test_a_full_mailbox_sheds(void **unused)
{
    (void)unused;
    World w;
    Seen seen = {0};
    world_open(&w, (RunnerOptions){0});
    add_bounded(&w, SLICE("note"), note, &seen, 3, OVERFLOW_SHED);
    start(&w);
    int refused = 0;
    for (int n = 0; n < 5; n++) {
        refused += emit(&w, SLICE("note"), SLICE("x")) == ERR_FULL;
    }
    assert_int_equal(refused, 2);
    world_run(&w);
    assert_int_equal(seen.count, 3);
    RunnerCounts c = runner_counts(w.runner);
    assert_int_equal(c.shed, 2);
    assert_int_equal(c.handled, 3);
    world_close(&w);
}

static void test_dead_letters(void **unused)
{
    (void)unused;
    World w;
    Seen seen = {0}, dead = {0};
    world_open(&w, (RunnerOptions){.dead_letter = SLICE("dead")});
    add_bounded(&w, SLICE("note"), note, &seen, 1, OVERFLOW_DEAD_LETTER);
    add(&w, SLICE("fail"), failing, NULL);
    add_bounded(&w, SLICE("dead"), note, &dead, 2, OVERFLOW_SHED);
    start(&w);
    for (int n = 0; n < 4; n++) {
        (void)emit(&w, SLICE("note"), SLICE("x"));
    }
    world_run(&w);
    assert_int_equal(seen.count, 1);
    assert_int_equal(dead.count, 2); // the third found the dead-letter agent's mailbox full
    RunnerCounts c = runner_counts(w.runner);
    assert_int_equal(c.shed, 3);
    assert_int_equal(c.dead_letters, 2);
    assert_int_equal(c.dead_letters_lost, 1);
    assert_non_null(strstr(dead.order, "\"target\":\"note\""));
    assert_non_null(strstr(dead.order, "its mailbox was full"));
    memset(&dead, 0, sizeof dead);
    assert_int_equal(emit(&w, SLICE("fail"), SLICE("{\"x\":1}")), 0);
    world_run(&w);
    assert_int_equal(dead.count, 1);
    assert_non_null(strstr(dead.order, "\"reason\":\"the peer said nonsense\""));
    assert_non_null(strstr(dead.order, "{\\\"x\\\":1}"));
    world_close(&w);
}

static void test_a_missing_dead_letter_agent(void **unused)
{
    (void)unused;
    World w;
    world_open(&w, (RunnerOptions){.dead_letter = SLICE("nobody")});
    Err e = {0};
    assert_int_equal(runner_start(w.runner, &e), ERR_NOT_FOUND);
    assert_string_equal(e.text, "the dead-letter agent \"nobody\" is not registered");
    runner_destroy(w.runner);
}

// Reference 1.5c: re-emitting into a full queue of one's own loop stalled for a second and lost the
// event. Here every agent has room for one event, and all of them emit on.
static void test_emitting_in_a_circle_of_full_mailboxes(void **unused)
{
    (void)unused;
    for (unsigned shards = 1; shards <= 2; shards++) {
        World w;
        Relay a = {.target = SLICE("b")}, b = {.target = SLICE("c")}, c = {.target = SLICE("a")};
        world_open(&w, (RunnerOptions){.shards = shards,
                                       .worker_limit = 1,
                                       .max_concurrent_events = shards,
                                       .hops_max = 50});
        add_bounded(&w, SLICE("a"), emit_on, &a, 1, OVERFLOW_BLOCK);
        add_bounded(&w, SLICE("b"), emit_on, &b, 1, OVERFLOW_BLOCK);
        add_bounded(&w, SLICE("c"), emit_on, &c, 1, OVERFLOW_BLOCK);
        start(&w);
        int64_t before = w.clock.now_ns;
        for (int n = 0; n < 20; n++) {
            assert_int_equal(emit(&w, SLICE("a"), SLICE("x")), 0);
        }
        while (runner_counts(w.runner).in_flight > 0) {
            assert_true(runner_step(w.runner));
        }
        RunnerCounts counts = runner_counts(w.runner);
        assert_int_equal(counts.accepted, 20 * 51);
        assert_int_equal(counts.handled, 20 * 50);
        assert_int_equal(counts.failed, 20); // each at its 51st hop
        assert_true(w.clock.now_ns - before < NS_PER_S);
        world_close(&w);
    }
}

static void test_blocked_emitters_time_out(void **unused)
{
    (void)unused;
    World w;
    world_open(&w, (RunnerOptions){.worker_limit = 1});
    add_bounded(&w, SLICE("hang"), hang, NULL, 1, OVERFLOW_BLOCK);
    start(&w);
    assert_int_equal(emit(&w, SLICE("hang"), SLICE("")), 0);
    for (int i = 0; i < 20; i++) {
        (void)runner_step(w.runner); // it starts, and its place in the mailbox is free
        if (w.hooks[HOOK_BEFORE_AGENT] > 0) {
            break;
        }
    }
    assert_int_equal(emit(&w, SLICE("hang"), SLICE("")), 0);
    Err e = {0};
    EventSpec spec = {.target = SLICE("hang"), .timeout_ns = NS_PER_MS};
    assert_int_equal(runner_emit(w.runner, &spec, &e), ERR_TIMEOUT);
    assert_non_null(strstr(e.text, "stayed full to the deadline"));
    world_close(&w);
}

// ---- order

static void test_priorities(void **unused)
{
    (void)unused;
    World w;
    Seen seen = {0};
    world_open(&w, (RunnerOptions){0});
    add(&w, SLICE("note"), note, &seen);
    add(&w, SLICE("other"), note, &seen);
    start(&w);
    static const EventPriority order[] = {EVENT_LOW, EVENT_NORMAL, EVENT_HIGH};
    for (int n = 0; n < 2; n++) {
        for (int i = 0; i < 3; i++) {
            char data = "lnh"[i];
            EventSpec spec = {.target = SLICE("note"),
                              .data = {&data, 1},
                              .priority = order[i],
                              .prioritised = true};
            assert_int_equal(runner_emit(w.runner, &spec, NULL), 0);
        }
        EventSpec spec = {.target = SLICE("other"), .data = SLICE("o")};
        assert_int_equal(runner_emit(w.runner, &spec, NULL), 0);
    }
    world_run(&w);
    assert_string_equal(seen.order, "hhoonnll"); // (the other agent's are normal ones)
    world_close(&w);
}

static void test_agents_take_turns(void **unused)
{
    (void)unused;
    World w;
    Seen seen = {0};
    world_open(&w, (RunnerOptions){0});
    add(&w, SLICE("a"), note, &seen);
    add(&w, SLICE("b"), note, &seen);
    start(&w);
    for (int n = 0; n < 40; n++) {
        assert_int_equal(emit(&w, SLICE("a"), SLICE("a")), 0);
    }
    for (int n = 0; n < 40; n++) {
        assert_int_equal(emit(&w, SLICE("b"), SLICE("b")), 0);
    }
    world_run(&w);
    assert_int_equal(seen.count, 80);
    int row = 1;
    for (int i = 1; i < 72; i++) {
        row = seen.order[i] == seen.order[i - 1] ? row + 1 : 1;
        assert_in_range(row, 1, 8); // JOBS_PER_SLOT
    }
    world_close(&w);
}

static void test_sessions_stay_on_their_shard(void **unused)
{
    (void)unused;
    World w;
    Seen seen = {0};
    world_open(&w, (RunnerOptions){.shards = 4});
    AgentSpec spec = {
        .name = SLICE("note"), .run = note, .self = &seen, .placement = PLACE_BY_SESSION};
    assert_int_equal(runner_register(w.runner, &spec, NULL, NULL), 0);
    start(&w);
    for (int n = 0; n < 64; n++) {
        char session[16];
        (void)snprintf(session, sizeof session, "s-%d", n);
        EventSpec event = {.target = SLICE("note"), .session = slice_from_cstr(session)};
        assert_int_equal(runner_emit(w.runner, &event, NULL), 0);
    }
    world_run(&w);
    assert_int_equal(seen.count, 64);
    world_close(&w);
}

// ---- streaming, trace, metrics

static int stream_three(AgentContext *ctx, const Event *event, State *state)
{
    (void)event;
    (void)state;
    int rc = agent_stream(ctx, SLICE("a"));
    rc = rc ? rc : agent_sleep(ctx, NS_PER_MS);
    rc = rc ? rc : agent_stream(ctx, SLICE("b"));
    rc = rc ? rc : agent_stream(ctx, SLICE("c"));
    return rc ? rc : agent_reply(ctx, SLICE("end"));
}

static void collect_chunk(void *arg, Slice chunk)
{
    Buf *out = arg;
    buf_append(out, chunk);
}

static int stream_through(AgentContext *ctx, const Event *event, State *state)
{
    (void)event;
    (void)state;
    Buf out = buf_create(100);
    AgentResult result;
    AgentCallOptions options = {.on_chunk = collect_chunk, .chunk_arg = &out};
    int rc = agent_call(ctx, &(EventSpec){.target = SLICE("stream")}, &options, &result, NULL);
    buf_append(&out, result.data);
    rc = rc ? rc : agent_reply(ctx, buf_slice(&out));
    buf_done(&out);
    agent_result_done(&result);
    return rc;
}

typedef struct Submitted {
    Buf chunks;
    int done;
    int code;
} Submitted;

static void submitted_chunk(void *arg, Slice chunk)
{
    buf_append(&((Submitted *)arg)->chunks, chunk);
}

static void submitted_done(void *arg, AgentResult *result)
{
    Submitted *s = arg;
    s->done++;
    s->code = result->code;
    buf_append(&s->chunks, result->data);
}

static void test_chunks_come_in_order_before_the_answer(void **unused)
{
    (void)unused;
    for (unsigned shards = 1; shards <= 2; shards++) {
        World w;
        world_open(&w, (RunnerOptions){.shards = shards});
        add(&w, SLICE("stream"), stream_three, NULL);
        add(&w, SLICE("through"), stream_through, NULL);
        start(&w);
        AgentResult result;
        EventSpec spec = {.target = SLICE("through")};
        assert_int_equal(runner_call(w.runner, &spec, NULL, &result, NULL), 0);
        assert_true(slice_eq(result.data, SLICE("abcend")));
        agent_result_done(&result);
        Submitted s = {.chunks = buf_create(100)};
        SubmitOptions options = {.on_done = submitted_done, .on_chunk = submitted_chunk, .arg = &s};
        spec.target = SLICE("stream");
        assert_int_equal(runner_submit(w.runner, &spec, &options, NULL), 0);
        world_run(&w);
        assert_int_equal(s.done, 1);
        assert_true(slice_eq(buf_slice(&s.chunks), SLICE("abcend")));
        buf_done(&s.chunks);
        world_close(&w);
    }
}

static void count_entry(void *arg, const TraceEntry *entry)
{
    Seen *seen = arg;
    seen->count++;
    size_t len = strlen(seen->order);
    (void)snprintf(seen->order + len, sizeof seen->order - len, "%s%d ", entry->type, entry->code);
}

static void test_session_trace(void **unused)
{
    (void)unused;
    World w;
    Relay relay = {.target = SLICE("fail")};
    world_open(&w, (RunnerOptions){.shards = 2, .trace_entries = 4});
    add(&w, SLICE("relay"), call_on, &relay);
    add(&w, SLICE("fail"), failing, NULL);
    start(&w);
    for (int n = 0; n < 3; n++) {
        EventSpec spec = {.target = SLICE("relay"),
                          .session = n == 1 ? SLICE("mine") : SLICE("other"),
                          .type = SLICE("ask")};
        assert_int_equal(runner_emit(w.runner, &spec, NULL), 0);
        world_run(&w);
        clock_manual_advance(&w.clock, NS_PER_MS);
    }
    Seen seen = {0};
    runner_trace(w.runner, SLICE("mine"), count_entry, &seen);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.order, "ask-12 -12 "); // the caller began first
    world_close(&w);
}

static void find_metrics(void *arg, const AgentMetrics *m)
{
    Seen *seen = arg;
    seen->count++;
    if (slice_eq(m->name, SLICE("sleep"))) {
        assert_int_equal(m->handled, 5);
        assert_int_equal(m->failed, 0);
        assert_int_equal(m->duration_ns->count, 5);
        assert_int_equal(m->duration_ns->min, NS_PER_MS);
        assert_int_equal(m->running, 0);
    } else {
        assert_int_equal(m->failed, 2);
        assert_int_equal(m->error_duration_ns->count, 2);
    }
}

static void test_metrics_of_agents(void **unused)
{
    (void)unused;
    World w;
    world_open(&w, (RunnerOptions){.shards = 2});
    add(&w, SLICE("sleep"), sleep_1ms, NULL);
    add(&w, SLICE("fail"), failing, NULL);
    add(&w, SLICE("idle"), failing, NULL);
    start(&w);
    for (int n = 0; n < 5; n++) {
        assert_int_equal(emit(&w, SLICE("sleep"), SLICE("")), 0);
    }
    assert_int_equal(emit(&w, SLICE("fail"), SLICE("")), 0);
    assert_int_equal(emit(&w, SLICE("fail"), SLICE("")), 0);
    world_run(&w);
    Seen seen = {0};
    runner_metrics(w.runner, find_metrics, &seen);
    assert_int_equal(seen.count, 2); // the idle one never got an event
    world_close(&w);
}

// ---- stopping

static void test_stop_drains(void **unused)
{
    (void)unused;
    World w;
    world_open(&w, (RunnerOptions){.worker_limit = 1});
    add(&w, SLICE("sleep"), sleep_1ms, NULL);
    start(&w);
    for (int n = 0; n < 10; n++) {
        assert_int_equal(emit(&w, SLICE("sleep"), SLICE("")), 0);
    }
    assert_int_equal(runner_stop(w.runner, NS_PER_S), 0);
    assert_int_equal(runner_counts(w.runner).handled, 10);
    assert_int_equal(runner_stop(w.runner, NS_PER_S), 0);
    world_close(&w);
}

static void test_stop_cancels_at_its_deadline(void **unused)
{
    (void)unused;
    World w;
    int cancelled = 0;
    Relay relay = {.target = SLICE("hang")};
    world_open(&w, (RunnerOptions){.shards = 2, .worker_limit = 2});
    add(&w, SLICE("relay"), call_on, &relay);
    add(&w, SLICE("hang"), hang, &cancelled);
    start(&w);
    for (int n = 0; n < 5; n++) {
        assert_int_equal(emit(&w, SLICE("relay"), SLICE("")), 0);
    }
    assert_true(runner_stop(w.runner, NS_PER_MS) > 0);
    RunnerCounts c = runner_counts(w.runner);
    assert_int_equal(c.in_flight, 0);
    assert_int_equal(c.handled, 0);
    assert_int_equal(c.failed, c.accepted);
    world_close(&w);
}

static void test_a_killed_fiber_ends_its_event(void **unused)
{
    (void)unused;
    World w;
    world_open(&w, (RunnerOptions){0});
    add(&w, SLICE("hang"), hang, NULL);
    start(&w);
    assert_false(runner_kill_one(w.runner, 0, 0));
    assert_int_equal(emit(&w, SLICE("hang"), SLICE("")), 0);
    bool killed = false;
    for (int i = 0; i < 100 && !killed; i++) {
        (void)runner_step(w.runner);
        killed = runner_kill_one(w.runner, 0, 0);
    }
    assert_true(killed);
    world_run(&w);
    assert_int_equal(runner_counts(w.runner).failed, 1);
    assert_string_equal(w.last_reason, "its fiber was cancelled");
    world_close(&w);
}

// ---- threads

static int ping(AgentContext *ctx, const Event *event, State *state)
{
    (void)state;
    int64_t left;
    if (slice_to_i64(event_data(event), &left) != 0 || left == 0) {
        return 0;
    }
    char text[24];
    int len = snprintf(text, sizeof text, "%lld", (long long)left - 1);
    Relay *relay = agent_self(ctx);
    EventSpec spec = {.target = relay->target, .data = {text, (size_t)len}};
    return agent_emit(ctx, &spec, NULL);
}

static void test_threads_pass_events_and_answers(void **unused)
{
    (void)unused;
    Runner *runner;
    RunnerOptions options = {.shards = 3, .hops_max = 60000, .spin_ns = 5000};
    assert_int_equal(runner_create(&options, &runner, NULL), 0);
    Relay a = {.target = SLICE("b")}, b = {.target = SLICE("c")}, c = {.target = SLICE("a")};
    Relay relay = {.target = SLICE("echo")};
    const AgentSpec specs[] = {
        {.name = SLICE_INIT("a"), .run = ping, .self = &a},
        {.name = SLICE_INIT("b"), .run = ping, .self = &b},
        {.name = SLICE_INIT("c"), .run = ping, .self = &c},
        {.name = SLICE_INIT("echo"), .run = echo, .placement = PLACE_BY_SESSION},
        {.name = SLICE_INIT("relay"), .run = call_on, .self = &relay},
    };
    for (size_t i = 0; i < COUNT_OF(specs); i++) {
        assert_int_equal(runner_register(runner, &specs[i], NULL, NULL), 0);
    }
    assert_int_equal(runner_start(runner, NULL), 0);
    for (int n = 0; n < 10; n++) {
        EventSpec spec = {.target = SLICE("a"), .data = SLICE("1000")};
        assert_int_equal(runner_emit(runner, &spec, NULL), 0);
    }
    for (int n = 0; n < 200; n++) {
        char session[16];
        (void)snprintf(session, sizeof session, "s-%d", n);
        AgentResult result;
        EventSpec spec = {.target = SLICE("relay"),
                          .session = slice_from_cstr(session),
                          .data = slice_from_cstr(session)};
        assert_int_equal(runner_call(runner, &spec, NULL, &result, NULL), 0);
        assert_true(slice_eq(result.data, spec.data));
        agent_result_done(&result);
    }
    assert_int_equal(runner_stop(runner, 60 * NS_PER_S), 0);
    RunnerCounts counts = runner_counts(runner);
    assert_int_equal(counts.handled, 10 * 1001 + 2 * 200);
    assert_int_equal(counts.in_flight, 0);
    runner_destroy(runner);
}

typedef struct Emitter {
    Runner *runner;
    int accepted;
} Emitter;

static void emit_until_closed(void *arg)
{
    Emitter *em = arg;
    for (;;) {
        int rc = runner_emit(em->runner, &(EventSpec){.target = SLICE("echo")}, NULL);
        if (rc == ERR_CLOSED) {
            return;
        }
        em->accepted += rc == 0;
    }
}

// Whoever was told "accepted" is handled, however the stop falls between.
static void test_stopping_under_emitting_threads(void **unused)
{
    (void)unused;
    for (int round = 0; round < 5; round++) {
        Runner *runner;
        assert_int_equal(
            runner_create(&(RunnerOptions){.shards = 2, .event_buffer = 16}, &runner, NULL), 0);
        AgentSpec spec = {.name = SLICE("echo"), .run = echo};
        assert_int_equal(runner_register(runner, &spec, NULL, NULL), 0);
        assert_int_equal(runner_start(runner, NULL), 0);
        Emitter em[2] = {{.runner = runner}, {.runner = runner}};
        Thread *threads[2];
        for (int i = 0; i < 2; i++) {
            assert_int_equal(thread_start("emitter", THREAD_ANY_CPU, emit_until_closed, &em[i],
                                          &threads[i], NULL),
                             0);
        }
        while (runner_counts(runner).handled < 200) {
        }
        assert_int_equal(runner_stop(runner, 60 * NS_PER_S), 0);
        thread_join(threads[0]);
        thread_join(threads[1]);
        RunnerCounts c = runner_counts(runner);
        assert_int_equal(c.handled, em[0].accepted + em[1].accepted);
        runner_destroy(runner);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_event_reaches_its_handler_once),
        cmocka_unit_test(test_a_failure_fires_each_hook_once),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_registering),
        cmocka_unit_test(test_a_call_brings_answer_and_state),
        cmocka_unit_test(test_a_failed_call_says_why),
        cmocka_unit_test(test_agents_in_a_circle_end),
        cmocka_unit_test(test_emits_in_a_circle_end),
        cmocka_unit_test(test_several_calls_at_once),
        cmocka_unit_test(test_a_call_nobody_waits_for_is_cancelled),
        cmocka_unit_test(test_deadlines_reach_through_calls),
        cmocka_unit_test(test_a_calls_own_deadline),
        cmocka_unit_test(test_a_caller_outlives_its_callees_deadline),
        cmocka_unit_test(test_a_deadline_passes_in_the_mailbox),
        cmocka_unit_test(test_worker_limit),
        cmocka_unit_test(test_workers_change_while_running),
        cmocka_unit_test(test_places_during_calls),
        cmocka_unit_test(test_max_concurrent_events_does_not_count_calls),
        cmocka_unit_test(test_a_full_mailbox_sheds),
        cmocka_unit_test(test_dead_letters),
        cmocka_unit_test(test_a_missing_dead_letter_agent),
        cmocka_unit_test(test_emitting_in_a_circle_of_full_mailboxes),
        cmocka_unit_test(test_blocked_emitters_time_out),
        cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_agents_take_turns),
        cmocka_unit_test(test_sessions_stay_on_their_shard),
        cmocka_unit_test(test_chunks_come_in_order_before_the_answer),
        cmocka_unit_test(test_session_trace),
        cmocka_unit_test(test_metrics_of_agents),
        cmocka_unit_test(test_stop_drains),
        cmocka_unit_test(test_stop_cancels_at_its_deadline),
        cmocka_unit_test(test_a_killed_fiber_ends_its_event),
        cmocka_unit_test(test_threads_pass_events_and_answers),
        cmocka_unit_test(test_stopping_under_emitting_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
