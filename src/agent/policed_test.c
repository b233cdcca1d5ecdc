#include "agent/policed.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

// The laws of the policies are tested in their own room; here it is whether the runner drives them:
// each case is a configuration, a handler that misbehaves by attempt, and what the caller sees.

typedef struct Script {
    const int *codes; // of the runs in order; after the last: 0
    size_t code_count;
    int64_t first_sleep_ns; // of the first run
    int64_t sleep_ns;       // of the later ones
    int runs;
    int cancelled;
    int alive, alive_max;
    int64_t deadline_ns; // that the last run saw
    int unwanted;        // runs that ended when nobody waited for them any more
} Script;

static int scripted(AgentContext *ctx, const Event *event, State *state)
{
    Script *s = agent_self(ctx);
    int run = s->runs++;
    s->deadline_ns = agent_deadline(ctx);
    int64_t sleep_ns = run == 0 ? s->first_sleep_ns : s->sleep_ns;
    s->alive++;
    s->alive_max = s->alive > s->alive_max ? s->alive : s->alive_max;
    int rc = sleep_ns > 0 ? agent_sleep(ctx, sleep_ns) : 0;
    s->alive--;
    s->unwanted += !agent_is_wanted(ctx);
    if (rc != 0) {
        s->cancelled++;
        return rc;
    }
    // Whatever an attempt wrote before it failed must not be seen by the next.
    rc = state_set_int(state, SLICE("n"), state_get_int(state, SLICE("n"), 0) + 1);
    if (rc == 0 && (size_t)run < s->code_count && s->codes[run] != 0) {
        return agent_fail(ctx, (ErrCode)s->codes[run], "run %d said no", run);
    }
    char text[64];
    int len = snprintf(text, sizeof text, "run %d, attempt %u", run, agent_attempt(ctx));
    (void)event;
    return rc ? rc : agent_reply(ctx, (Slice){text, (size_t)len});
}

typedef struct World {
    ManualClock clock;
    Runner *runner;
    Script script;
    ParamValue values[POLICY_PARAM_COUNT];
    AgentId agent;
    int hooks[HOOK_POINTS];
} World;

static void count_hook(void *arg, const HookInfo *info)
{
    ((World *)arg)->hooks[info->point]++;
}

static void world_init(World *w)
{
    memset(w, 0, sizeof *w);
    policy_defaults(w->values);
    w->values[P_RETRY_JITTER].integer = JITTER_NONE;
}

static void world_open(World *w)
{
    clock_manual_init(&w->clock, 1000 * NS_PER_S, 0);
    RunnerOptions options = {.shards = 1, .manual = &w->clock};
    assert_int_equal(runner_create(&options, &w->runner, NULL), 0);
    for (int p = 0; p < HOOK_POINTS; p++) {
        assert_int_equal(runner_hook(w->runner, (HookPoint)p, count_hook, w, NULL), 0);
    }
    AgentSpec spec = {
        .name = SLICE("agent"), .run = scripted, .self = &w->script, .policies = w->values};
    Err e = {0};
    assert_int_equal(runner_register(w->runner, &spec, &w->agent, &e), 0);
}

static int call(World *w, const char *expect)
{
    AgentResult result;
    EventSpec spec = {.target = SLICE("agent"), .data = SLICE("x")};
    int rc = runner_call(w->runner, &spec, NULL, &result, NULL);
    char got[160];
    (void)snprintf(got, sizeof got, "%.*s", SLICE_FMT(result.data));
    assert_string_equal(rc ? result.reason : got, expect);
    if (rc == 0) {
        assert_int_equal(state_get_int(&result.state, SLICE("n"), 0), 1);
    }
    agent_result_done(&result);
    return rc;
}

static void world_close(World *w)
{
    while (runner_step(w->runner)) {
    }
    (void)runner_stop(w->runner, NS_PER_S);
    assert_int_equal(runner_counts(w->runner).in_flight, 0);
    assert_int_equal(w->hooks[HOOK_BEFORE_EVENT], w->hooks[HOOK_AFTER_EVENT]);
    assert_int_equal(w->hooks[HOOK_BEFORE_AGENT], w->hooks[HOOK_AFTER_AGENT]);
    runner_destroy(w->runner);
}

static void open_started(World *w)
{
    world_open(w);
    assert_int_equal(runner_start(w->runner, NULL), 0);
}

static void test_retry(void **unused)
{
    (void)unused;
    static const int twice[] = {ERR_IO, ERR_BUSY}, never[] = {ERR_ARG},
                     always[] = {ERR_IO, ERR_IO, ERR_IO, ERR_IO};
    const struct {
        const int *codes;
        size_t count;
        int rc;
        const char *expect;
        int runs;
        int64_t took_ms; // pauses of 10 and 20
    } cases[] = {
        {twice, 2, 0, "run 2, attempt 3", 3, 30},
        {never, 1, ERR_ARG, "run 0 said no", 1, 0},
        {always, 4, ERR_IO, "run 2 said no", 3, 30},
        {NULL, 0, 0, "run 0, attempt 1", 1, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        World w;
        world_init(&w);
        w.values[P_RETRY_ATTEMPTS].integer = 3;
        w.values[P_RETRY_BACKOFF].integer = 10 * NS_PER_MS;
        w.script.codes = cases[i].codes;
        w.script.code_count = cases[i].count;
        open_started(&w);
        int64_t before = w.clock.now_ns;
        assert_int_equal(call(&w, cases[i].expect), cases[i].rc);
        assert_int_equal(w.script.runs, cases[i].runs);
        assert_int_equal((w.clock.now_ns - before) / NS_PER_MS, cases[i].took_ms);
        assert_int_equal(w.hooks[HOOK_BEFORE_EVENT], 1);
        assert_int_equal(w.hooks[HOOK_BEFORE_AGENT], cases[i].runs);
        assert_int_equal(w.hooks[HOOK_ERROR], cases[i].rc != 0); // once, not once an attempt
        assert_int_equal(runner_counts(w.runner).retries, cases[i].runs - 1);
        world_close(&w);
    }
}

static void test_attempt_timeout(void **unused)
{
    (void)unused;
    World w;
    world_init(&w);
    w.values[P_TIMEOUT_ATTEMPT].integer = 5 * NS_PER_MS;
    w.values[P_RETRY_ATTEMPTS].integer = 2;
    w.values[P_RETRY_BACKOFF].integer = NS_PER_MS;
    w.script.first_sleep_ns = NS_PER_S;
    w.script.sleep_ns = 2 * NS_PER_MS;
    open_started(&w);
    int64_t before = w.clock.now_ns;
    assert_int_equal(call(&w, "run 1, attempt 2"), 0);
    assert_int_equal((w.clock.now_ns - before) / NS_PER_MS, 5 + 1 + 2);
    assert_int_equal(w.script.cancelled, 1);
    world_close(&w);
}

// The second attempt begins on a fiber that has waited before.
static void test_every_attempt_has_its_timeout(void **unused)
{
    (void)unused;
    World w;
    world_init(&w);
    w.values[P_TIMEOUT_ATTEMPT].integer = 5 * NS_PER_MS;
    w.values[P_RETRY_ATTEMPTS].integer = 3;
    w.values[P_RETRY_BACKOFF].integer = NS_PER_MS;
    w.script.first_sleep_ns = w.script.sleep_ns = NS_PER_S;
    open_started(&w);
    int64_t before = w.clock.now_ns;
    assert_int_equal(call(&w, call_reason_text(CALL_TIMED_OUT)), ERR_TIMEOUT);
    assert_int_equal((w.clock.now_ns - before) / NS_PER_MS, 5 + 1 + 5 + 2 + 5);
    assert_int_equal(w.script.cancelled, 3);
    world_close(&w);
}

static void test_call_timeout(void **unused)
{
    (void)unused;
    World w;
    world_init(&w);
    w.values[P_TIMEOUT_CALL].integer = 5 * NS_PER_MS;
    w.script.first_sleep_ns = NS_PER_S;
    open_started(&w);
    int64_t before = w.clock.now_ns;
    assert_int_equal(call(&w, call_reason_text(CALL_DEADLINE)), ERR_TIMEOUT);
    assert_int_equal((w.clock.now_ns - before) / NS_PER_MS, 5);
    world_close(&w);
}

static void test_breaker(void **unused)
{
    (void)unused;
    static const int codes[] = {ERR_IO, ERR_IO};
    World w;
    world_init(&w);
    w.values[P_BREAKER_CONSECUTIVE].integer = 2;
    w.values[P_BREAKER_OPEN_FOR].integer = NS_PER_S;
    w.values[P_BREAKER_SUCCESSES].integer = 1;
    w.script.codes = codes;
    w.script.code_count = 2;
    open_started(&w);
    assert_int_equal(call(&w, "run 0 said no"), ERR_IO);
    assert_int_equal(call(&w, "run 1 said no"), ERR_IO);
    assert_int_equal(call(&w, call_reason_text(CALL_BREAKER_OPEN)), ERR_REFUSED);
    assert_int_equal(w.script.runs, 2);
    clock_manual_advance(&w.clock, NS_PER_S);
    assert_int_equal(call(&w, "run 2, attempt 1"), 0);
    world_close(&w);
}

static void emit_many(World *w, int count)
{
    for (int i = 0; i < count; i++) {
        char text[16];
        int len = snprintf(text, sizeof text, "%d", i);
        EventSpec spec = {.target = SLICE("agent"), .data = {text, (size_t)len}};
        assert_int_equal(runner_emit(w->runner, &spec, NULL), 0);
    }
    while (runner_counts(w->runner).in_flight > 0) {
        assert_true(runner_step(w->runner));
    }
}

static void test_concurrency_limit_and_queue(void **unused)
{
    (void)unused;
    World w;
    world_init(&w);
    w.values[P_LIMIT_KIND].integer = LIMIT_FIXED;
    w.values[P_LIMIT_VALUE].integer = 2;
    w.values[P_QUEUE_LIMIT].integer = 3;
    w.script.first_sleep_ns = w.script.sleep_ns = 10 * NS_PER_MS;
    open_started(&w);
    int64_t before = w.clock.now_ns;
    emit_many(&w, 8); // 2 run, 3 wait, 3 are refused
    assert_int_equal(w.script.alive_max, 2);
    assert_int_equal(w.script.runs, 5);
    assert_int_equal((w.clock.now_ns - before) / NS_PER_MS, 30);
    RunnerCounts c = runner_counts(w.runner);
    assert_int_equal(c.handled, 5);
    assert_int_equal(c.failed, 3);
    world_close(&w);
}

// When the breaker opens a whole queue is refused in one go: in a loop, for a call a level would
// not fit on a fiber's stack.
static void test_a_long_queue_is_refused(void **unused)
{
    (void)unused;
    enum { WAITING = 2000 };
    static const int codes[] = {ERR_CORRUPT};
    World w;
    world_init(&w);
    w.script.codes = codes;
    w.script.code_count = 1;
    w.script.first_sleep_ns = 10 * NS_PER_MS;
    w.values[P_LIMIT_KIND].integer = LIMIT_FIXED;
    w.values[P_LIMIT_VALUE].integer = 1;
    w.values[P_QUEUE_LIMIT].integer = WAITING;
    w.values[P_BREAKER_CONSECUTIVE].integer = 1;
    open_started(&w);
    EventSpec spec = {.target = SLICE("agent")};
    for (int i = 0; i <= WAITING; i++) {
        assert_int_equal(runner_emit(w.runner, &spec, NULL), 0);
    }
    while (runner_step(w.runner)) {
    }
    assert_int_equal(w.script.runs, 1);
    assert_int_equal(runner_counts(w.runner).failed, WAITING + 1);
    world_close(&w);
}

static void test_rate_limit(void **unused)
{
    (void)unused;
    World w;
    world_init(&w);
    w.values[P_RATE_PER_SECOND].real = 100;
    w.values[P_RATE_BURST].integer = 2;
    w.values[P_RATE_MAX_WAIT].integer = 25 * NS_PER_MS;
    open_started(&w);
    int64_t before = w.clock.now_ns;
    emit_many(&w, 6); // 2 at once, one each 10 ms, those past 25 ms are refused
    assert_int_equal(w.script.runs, 4);
    assert_int_equal(runner_counts(w.runner).failed, 2);
    assert_int_equal((w.clock.now_ns - before) / NS_PER_MS, 20);
    world_close(&w);
}

static void test_hedge(void **unused)
{
    (void)unused;
    World w;
    world_init(&w);
    w.values[P_HEDGE_MAX].integer = 1;
    w.values[P_HEDGE_DELAY].integer = 5 * NS_PER_MS;
    w.values[P_HEDGE_BUDGET].real = 0;
    w.script.first_sleep_ns = NS_PER_S;
    w.script.sleep_ns = 2 * NS_PER_MS;
    open_started(&w);
    int64_t before = w.clock.now_ns;
    assert_int_equal(call(&w, "run 1, attempt 2"), 0);
    assert_int_equal((w.clock.now_ns - before) / NS_PER_MS, 7);
    while (runner_step(w.runner)) {
    }
    assert_int_equal(w.script.cancelled, 1);              // the slow one is not left running
    assert_int_equal(runner_counts(w.runner).handled, 1); // attempts are no events
    world_close(&w);
}

static void test_cache(void **unused)
{
    (void)unused;
    World w;
    world_init(&w);
    w.values[P_CACHE_TTL].integer = NS_PER_S;
    open_started(&w);
    assert_int_equal(call(&w, "run 0, attempt 1"), 0);
    assert_int_equal(call(&w, "run 0, attempt 1"), 0); // the same answer and state
    assert_int_equal(w.script.runs, 1);
    clock_manual_advance(&w.clock, 2 * NS_PER_S);
    assert_int_equal(call(&w, "run 1, attempt 1"), 0);
    AgentResult result;
    EventSpec other = {.target = SLICE("agent"), .data = SLICE("y")};
    assert_int_equal(runner_call(w.runner, &other, NULL, &result, NULL), 0);
    agent_result_done(&result);
    assert_int_equal(w.script.runs, 3);
    world_close(&w);
}

static void same_answer(void *arg, AgentResult *result)
{
    int *good = arg;
    *good += result->code == 0 && slice_eq(result->data, SLICE("run 0, attempt 1"));
}

static void test_single_flight(void **unused)
{
    (void)unused;
    World w;
    world_init(&w);
    w.values[P_CACHE_SINGLE_FLIGHT].boolean = true;
    w.script.first_sleep_ns = w.script.sleep_ns = 10 * NS_PER_MS;
    open_started(&w);
    int good = 0;
    for (int i = 0; i < 5; i++) {
        EventSpec spec = {.target = SLICE("agent"), .data = SLICE("x")};
        SubmitOptions options = {.on_done = same_answer, .arg = &good};
        assert_int_equal(runner_submit(w.runner, &spec, &options, NULL), 0);
    }
    while (runner_step(w.runner)) {
    }
    assert_int_equal(good, 5);
    assert_int_equal(w.script.runs, 1);
    world_close(&w);
}

static void test_a_change_while_calls_wait(void **unused)
{
    (void)unused;
    World w;
    world_init(&w);
    w.values[P_LIMIT_KIND].integer = LIMIT_FIXED;
    w.values[P_LIMIT_VALUE].integer = 1;
    w.values[P_QUEUE_LIMIT].integer = 10;
    w.script.first_sleep_ns = w.script.sleep_ns = 10 * NS_PER_MS;
    open_started(&w);
    for (int i = 0; i < 6; i++) {
        EventSpec spec = {.target = SLICE("agent"), .data = SLICE("x")};
        assert_int_equal(runner_emit(w.runner, &spec, NULL), 0);
    }
    int64_t before = w.clock.now_ns;
    while (w.script.runs < 2) {
        assert_true(runner_step(w.runner));
    }
    Err e = {0};
    assert_int_equal(
        runner_set_policy(w.runner, w.agent, P_LIMIT_VALUE, (ParamValue){.integer = 5}, &e), 0);
    while (runner_counts(w.runner).in_flight > 0) {
        assert_true(runner_step(w.runner));
    }
    assert_int_equal((w.clock.now_ns - before) / NS_PER_MS, 20); // one, then the other five
    assert_int_equal(runner_counts(w.runner).handled, 6);
    assert_int_equal(
        runner_set_policy(w.runner, w.agent, P_LIMIT_VALUE, (ParamValue){.integer = 0}, &e),
        ERR_ARG);
    assert_int_equal(runner_set_policy(w.runner, 99, P_LIMIT_VALUE, (ParamValue){.integer = 1}, &e),
                     ERR_ARG);
    world_close(&w);
}

static void test_policies_for_an_agent_that_had_none(void **unused)
{
    (void)unused;
    static const int codes[] = {ERR_IO, ERR_IO, ERR_IO};
    Script script = {.codes = codes, .code_count = 3};
    World w;
    world_init(&w);
    world_open(&w);
    AgentSpec spec = {.name = SLICE("plain"), .run = scripted, .self = &script};
    AgentId id;
    assert_int_equal(runner_register(w.runner, &spec, &id, NULL), 0);
    assert_int_equal(runner_start(w.runner, NULL), 0);
    EventSpec event = {.agent = id};
    AgentResult result;
    assert_int_equal(runner_call(w.runner, &event, NULL, &result, NULL), ERR_IO);
    agent_result_done(&result);
    assert_int_equal(
        runner_set_policy(w.runner, id, P_RETRY_ATTEMPTS, (ParamValue){.integer = 4}, NULL), 0);
    assert_int_equal(runner_call(w.runner, &event, NULL, &result, NULL), 0);
    agent_result_done(&result);
    assert_int_equal(script.runs, 4);
    world_close(&w);
}

static int call_agent(AgentContext *ctx, const Event *event, State *state)
{
    AgentResult result;
    EventSpec spec = {.target = SLICE("agent"), .data = event_data(event)};
    Err e = {0};
    int rc = agent_call(ctx, &spec, &(AgentCallOptions){.state = state}, &result, &e);
    rc = rc ? agent_fail(ctx, (ErrCode)rc, "%s", e.text) : agent_reply(ctx, result.data);
    agent_result_done(&result);
    return rc;
}

static void test_an_edge_has_policies_of_its_own(void **unused)
{
    (void)unused;
    static const int codes[] = {ERR_IO, ERR_IO};
    World w;
    world_init(&w);
    w.script.codes = codes;
    w.script.code_count = 2;
    world_open(&w); // the agent itself repeats nothing
    AgentSpec spec = {.name = SLICE("caller"), .run = call_agent};
    AgentSpec other = {.name = SLICE("other"), .run = call_agent};
    AgentId caller, edge;
    assert_int_equal(runner_register(w.runner, &spec, &caller, NULL), 0);
    assert_int_equal(runner_register(w.runner, &other, NULL, NULL), 0);
    ParamValue values[POLICY_PARAM_COUNT];
    policy_defaults(values);
    values[P_RETRY_ATTEMPTS].integer = 3;
    assert_int_equal(runner_edge(w.runner, caller, w.agent, values, &edge, NULL), 0);
    assert_int_equal(runner_edge(w.runner, caller, w.agent, values, NULL, NULL), ERR_EXISTS);
    assert_int_equal(runner_edge(w.runner, caller, 77, values, NULL, NULL), ERR_NOT_FOUND);
    assert_true(slice_eq(runner_agent_name(w.runner, edge), SLICE("caller->agent")));
    assert_int_equal(runner_start(w.runner, NULL), 0);
    AgentResult result;
    EventSpec event = {.target = SLICE("other")}; // has no edge: sees the first failure
    assert_int_equal(runner_call(w.runner, &event, NULL, &result, NULL), ERR_IO);
    agent_result_done(&result);
    event.target = SLICE("caller");
    assert_int_equal(runner_call(w.runner, &event, NULL, &result, NULL), 0);
    assert_true(slice_eq(result.data, SLICE("run 2, attempt 1")));
    agent_result_done(&result);
    world_close(&w);
}

static void drain(World *w)
{
    while (runner_step(w->runner)) {
    }
}

// cancel.propagate: an attempt that is given up goes on or does not, and what the caller sees is
// the same either way.
static void test_attempts_that_are_not_told(void **unused)
{
    (void)unused;
    for (int told = 0; told < 2; told++) {
        World w;
        world_init(&w);
        w.values[P_CANCEL_PROPAGATE].boolean = told;
        w.values[P_TIMEOUT_ATTEMPT].integer = 5 * NS_PER_MS;
        w.values[P_RETRY_ATTEMPTS].integer = 2;
        w.values[P_RETRY_BACKOFF].integer = NS_PER_MS;
        w.script.first_sleep_ns = 40 * NS_PER_MS;
        w.script.sleep_ns = 2 * NS_PER_MS;
        open_started(&w);
        int64_t before = w.clock.now_ns;
        assert_int_equal(call(&w, "run 1, attempt 2"), 0);
        assert_int_equal((w.clock.now_ns - before) / NS_PER_MS, 5 + 1 + 2);
        assert_int_equal(w.script.alive, told ? 0 : 1);
        drain(&w);
        assert_int_equal(w.script.cancelled, told);
        assert_int_equal(w.script.unwanted, 1); // the second run was wanted
        assert_int_equal(w.script.alive, 0);
        assert_true(((w.clock.now_ns - before) / NS_PER_MS == 40) == !told);
        assert_int_equal(runner_counts(w.runner).handled, 1); // an orphan is no event
        world_close(&w);
    }
}

// The caller's deadline ends its wait and nothing else; it is not handed down either. What the
// orphan streams, answers or calls goes nowhere and does no harm.
static void test_a_deadline_that_is_not_handed_down(void **unused)
{
    (void)unused;
    for (int told = 0; told < 2; told++) {
        World w;
        world_init(&w);
        w.values[P_CANCEL_PROPAGATE].boolean = told;
        w.script.first_sleep_ns = 40 * NS_PER_MS;
        open_started(&w);
        AgentResult result;
        int64_t deadline = w.clock.now_ns + 5 * NS_PER_MS;
        EventSpec spec = {.target = SLICE("agent"), .deadline_ns = deadline};
        assert_int_equal(runner_call(w.runner, &spec, NULL, &result, NULL), ERR_TIMEOUT);
        agent_result_done(&result);
        assert_int_equal(w.clock.now_ns, deadline);
        drain(&w);
        assert_true(w.script.deadline_ns == (told ? deadline : NEVER_NS));
        assert_int_equal(w.script.cancelled, told);
        assert_int_equal(w.script.alive, 0);
        world_close(&w);
    }
}

// On an edge: the callee goes on with all that it began, retries of its own included.
static void test_an_edge_that_does_not_tell(void **unused)
{
    (void)unused;
    static const int codes[] = {ERR_IO};
    World w;
    world_init(&w);
    w.values[P_RETRY_ATTEMPTS].integer = 2;
    w.values[P_RETRY_BACKOFF].integer = NS_PER_MS;
    w.script.codes = codes;
    w.script.code_count = 1;
    w.script.first_sleep_ns = w.script.sleep_ns = 10 * NS_PER_MS;
    world_open(&w);
    AgentSpec spec = {.name = SLICE("caller"), .run = call_agent};
    AgentId caller;
    assert_int_equal(runner_register(w.runner, &spec, &caller, NULL), 0);
    ParamValue values[POLICY_PARAM_COUNT];
    policy_defaults(values);
    values[P_TIMEOUT_CALL].integer = 5 * NS_PER_MS;
    values[P_CANCEL_PROPAGATE].boolean = false;
    assert_int_equal(runner_edge(w.runner, caller, w.agent, values, NULL, NULL), 0);
    assert_int_equal(runner_start(w.runner, NULL), 0);
    EventSpec event = {.target = SLICE("caller")};
    AgentResult result;
    int64_t before = w.clock.now_ns;
    assert_int_equal(runner_call(w.runner, &event, NULL, &result, NULL), ERR_TIMEOUT);
    agent_result_done(&result);
    assert_int_equal((w.clock.now_ns - before) / NS_PER_MS, 5);
    drain(&w);
    assert_int_equal((w.clock.now_ns - before) / NS_PER_MS, 10 + 1 + 10);
    assert_int_equal(w.script.runs, 2);
    assert_int_equal(w.script.cancelled, 0);
    assert_int_equal(w.script.unwanted, 2); // though the agent's own policy waits for both
    world_close(&w);
}

// Stopping ends orphans, one that still waits for a worker too.
static void test_stopping_with_orphans(void **unused)
{
    (void)unused;
    World w;
    world_init(&w);
    w.values[P_CANCEL_PROPAGATE].boolean = false;
    w.values[P_TIMEOUT_CALL].integer = 5 * NS_PER_MS;
    w.values[P_HEDGE_MAX].integer = 1;
    w.values[P_HEDGE_DELAY].integer = 2 * NS_PER_MS;
    w.values[P_HEDGE_BUDGET].real = 0;
    w.script.first_sleep_ns = w.script.sleep_ns = 100 * NS_PER_S;
    clock_manual_init(&w.clock, 1000 * NS_PER_S, 0);
    RunnerOptions options = {.shards = 1, .manual = &w.clock};
    assert_int_equal(runner_create(&options, &w.runner, NULL), 0);
    AgentSpec spec = {.name = SLICE("agent"),
                      .run = scripted,
                      .self = &w.script,
                      .worker_limit = 1,
                      .policies = w.values};
    assert_int_equal(runner_register(w.runner, &spec, NULL, NULL), 0);
    assert_int_equal(runner_start(w.runner, NULL), 0);
    char data[2 * EVENT_INLINE_BYTES]; // bytes that somebody has to free
    memset(data, 'x', sizeof data);
    AgentResult result;
    EventSpec event = {.target = SLICE("agent"), .data = {data, sizeof data}};
    int64_t before = w.clock.now_ns;
    assert_int_equal(runner_call(w.runner, &event, NULL, &result, NULL), ERR_TIMEOUT);
    agent_result_done(&result);
    // The orphan has the only place, and its caller hears of the timeout nevertheless.
    assert_int_equal((w.clock.now_ns - before) / NS_PER_MS, 5);
    assert_int_equal(runner_counts(w.runner).in_flight, 0);
    assert_int_equal(w.script.alive, 1);
    assert_int_equal(w.script.runs, 1);
    (void)runner_stop(w.runner, NS_PER_MS);
    runner_destroy(w.runner);
    assert_int_equal(w.script.alive, 0);
    assert_int_equal(w.script.runs, 1);
}

static void test_autoscaling(void **unused)
{
    (void)unused;
    World w;
    world_init(&w);
    w.values[P_SCALE_TARGET].real = 1;
    w.values[P_SCALE_MIN].integer = 1;
    w.values[P_SCALE_MAX].integer = 8;
    w.values[P_SCALE_PERIOD].integer = 10 * NS_PER_MS;
    w.script.first_sleep_ns = w.script.sleep_ns = 10 * NS_PER_MS;
    open_started(&w);
    int64_t before = w.clock.now_ns;
    emit_many(&w, 40);
    assert_int_equal(w.script.alive_max, 8);
    // One worker would need 400 ms, eight from the start 50.
    assert_in_range((w.clock.now_ns - before) / NS_PER_MS, 50, 120);
    assert_int_equal(runner_counts(w.runner).handled, 40);
    world_close(&w);
}

static void test_stopping_in_a_pause(void **unused)
{
    (void)unused;
    static const int codes[] = {ERR_IO};
    World w;
    world_init(&w);
    w.values[P_RETRY_ATTEMPTS].integer = 2;
    w.values[P_RETRY_BACKOFF].integer = 10 * NS_PER_S;
    w.script.codes = codes;
    w.script.code_count = 1;
    open_started(&w);
    EventSpec spec = {.target = SLICE("agent"), .data = SLICE("x")};
    assert_int_equal(runner_emit(w.runner, &spec, NULL), 0);
    assert_int_equal(runner_stop(w.runner, NS_PER_MS), 1);
    assert_int_equal(w.script.runs, 1);
    RunnerCounts c = runner_counts(w.runner);
    assert_int_equal(c.failed, 1);
    world_close(&w);
}

// What can be seen of allocation from inside (bench/agent_runtime.c counts malloc's calls): pools,
// fibers and workers stay as they are from one hundred events to fifty thousand.
static void test_steady_state_grows_nothing(void **unused)
{
    (void)unused;
    World w;
    world_init(&w);
    w.values[P_RETRY_ATTEMPTS].integer = 3;
    open_started(&w);
    emit_many(&w, 100);
    const Shard *shard = w.runner->shards[0];
    size_t made = event_pool_made(shard->events);
    FiberStats before = fiber_pool_stats(shard->fibers);
    for (int i = 0; i < 500; i++) {
        emit_many(&w, 100);
    }
    FiberStats after = fiber_pool_stats(shard->fibers);
    assert_int_equal(event_pool_made(shard->events), made);
    assert_int_equal(after.spawned, before.spawned);
    assert_int_equal(after.stacks, before.stacks);
    assert_null(shard->free_waits);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_attempt_timeout),
        cmocka_unit_test(test_every_attempt_has_its_timeout),
        cmocka_unit_test(test_call_timeout),
        cmocka_unit_test(test_breaker),
        cmocka_unit_test(test_concurrency_limit_and_queue),
        cmocka_unit_test(test_a_long_queue_is_refused),
        cmocka_unit_test(test_rate_limit),
        cmocka_unit_test(test_hedge),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_single_flight),
        cmocka_unit_test(test_a_change_while_calls_wait),
        cmocka_unit_test(test_policies_for_an_agent_that_had_none),
        cmocka_unit_test(test_an_edge_has_policies_of_its_own),
        cmocka_unit_test(test_attempts_that_are_not_told),
        cmocka_unit_test(test_a_deadline_that_is_not_handed_down),
        cmocka_unit_test(test_an_edge_that_does_not_tell),
        cmocka_unit_test(test_stopping_with_orphans),
        cmocka_unit_test(test_autoscaling),
        cmocka_unit_test(test_stopping_in_a_pause),
        cmocka_unit_test(test_steady_state_grows_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
