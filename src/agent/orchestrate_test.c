#include "agent/orchestrate.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct World {
    ManualClock clock;
    Runner *runner;
} World;

// ---- agents: each answers "<data><own name>" and counts itself in the state

static int append(AgentContext *ctx, const Event *event, State *state)
{
    Buf out = buf_create(1000);
    buf_append(&out, event_data(event));
    buf_append(&out, agent_name(ctx));
    int64_t n = state_get_int(state, SLICE("n"), 0);
    int rc = state_set_int(state, SLICE("n"), n + 1);
    rc = rc ? rc : state_set_int(state, agent_name(ctx), n);
    rc = rc ? rc : state_set_string(state, SLICE("last"), agent_name(ctx));
    rc = rc ? rc : agent_stream(ctx, agent_name(ctx));
    rc = rc ? rc : agent_reply(ctx, buf_slice(&out));
    buf_done(&out);
    return rc;
}

static int slow(AgentContext *ctx, const Event *event, State *state)
{
    int rc = agent_sleep(ctx, 5 * NS_PER_MS);
    return rc ? rc : append(ctx, event, state);
}

static int broken(AgentContext *ctx, const Event *event, State *state)
{
    (void)event;
    (void)state;
    return agent_fail(ctx, ERR_IO, "it broke");
}

static int finish_at_3(AgentContext *ctx, const Event *event, State *state)
{
    int rc = append(ctx, event, state);
    if (rc == 0 && state_get_int(state, SLICE("n"), 0) >= 3) {
        rc = state_set_bool(state, SLICE("loop_completed"), true);
    }
    return rc;
}

static void world_open(World *w, unsigned shards)
{
    memset(w, 0, sizeof *w);
    clock_manual_init(&w->clock, NS_PER_S, 0);
    RunnerOptions options = {.shards = shards, .manual = &w->clock};
    assert_int_equal(runner_create(&options, &w->runner, NULL), 0);
    static const struct {
        const char *name;
        AgentRunFn *run;
    } agents[] = {{"a", append},   {"b", append},      {"c", append},         {"slow", slow},
                  {"slow2", slow}, {"broken", broken}, {"third", finish_at_3}};
    for (size_t i = 0; i < COUNT_OF(agents); i++) {
        AgentSpec spec = {.name = slice_from_cstr(agents[i].name), .run = agents[i].run};
        assert_int_equal(runner_register(w->runner, &spec, NULL, NULL), 0);
    }
}

static void world_close(World *w)
{
    assert_int_equal(runner_stop(w->runner, NS_PER_S), 0);
    assert_int_equal(runner_counts(w->runner).in_flight, 0);
    runner_destroy(w->runner);
}

// Registers the orchestrator as "o", sends "x" through it and returns the code; the answer, state
// and reason are in `result`.
static int run(World *w, OrchestrationSpec spec, EventSpec event, AgentResult *result)
{
    Err e = {0};
    spec.name = SLICE("o");
    event.target = SLICE("o");
    if (event.data.len == 0) {
        event.data = SLICE("x");
    }
    assert_int_equal(orchestrator_register(w->runner, &spec, NULL, &e), 0);
    assert_int_equal(runner_start(w->runner, NULL), 0);
    return runner_call(w->runner, &event, NULL, result, NULL);
}

static void expect_data(const AgentResult *result, const char *text)
{
    char got[512];
    (void)snprintf(got, sizeof got, "%.*s", SLICE_FMT(result->data));
    assert_string_equal(got, text);
}

static Slice text_of(const State *state, Slice key)
{
    StateValue value = {.type = STATE_NULL};
    return state_get(state, key, &value) ? value.text : (Slice){0};
}

// ---- the modes

static const Slice abc[] = {SLICE_INIT("a"), SLICE_INIT("b"), SLICE_INIT("c")};

static void test_sequential(void **unused)
{
    (void)unused;
    for (unsigned shards = 1; shards <= 3; shards++) {
        World w;
        AgentResult result;
        world_open(&w, shards);
        OrchestrationSpec spec = {.mode = ORCHESTRATE_SEQUENTIAL, .agents = abc, .agent_count = 3};
        assert_int_equal(run(&w, spec, (EventSpec){0}, &result), 0);
        expect_data(&result, "xabc");
        assert_int_equal(state_get_int(&result.state, SLICE("n"), 0), 3);
        assert_int_equal(state_get_int(&result.state, SLICE("c"), 0), 2);
        agent_result_done(&result);
        world_close(&w);
    }
}

static void test_parallel(void **unused)
{
    (void)unused;
    static const Slice agents[] = {SLICE_INIT("slow"), SLICE_INIT("a"), SLICE_INIT("slow2")};
    for (unsigned shards = 1; shards <= 3; shards++) {
        for (uint32_t max = 0; max <= 1; max++) {
            World w;
            AgentResult result;
            world_open(&w, shards);
            OrchestrationSpec spec = {.mode = ORCHESTRATE_PARALLEL,
                                      .agents = agents,
                                      .agent_count = 3,
                                      .max_concurrent = max};
            int64_t before = w.clock.now_ns;
            assert_int_equal(run(&w, spec, (EventSpec){0}, &result), 0);
            assert_int_equal((w.clock.now_ns - before) / NS_PER_MS, max == 1 ? 10 : 5);
            expect_data(&result, "{\"slow\":\"xslow\",\"a\":\"xa\",\"slow2\":\"xslow2\"}");
            // Each began with the same state; the last of the list wins, not the last to finish.
            assert_int_equal(state_get_int(&result.state, SLICE("n"), 0), 1);
            assert_true(slice_eq(text_of(&result.state, SLICE("last")), SLICE("slow2")));
            assert_true(state_has(&result.state, SLICE("a")));
            agent_result_done(&result);
            world_close(&w);
        }
    }
}

static void test_loop_ends_by_state_or_count(void **unused)
{
    (void)unused;
    static const Slice third[] = {SLICE_INIT("third")};
    const struct {
        uint32_t max;
        int64_t iterations;
        bool completed;
    } cases[] = {{10, 3, true}, {3, 3, true}, {2, 2, false}, {0, 3, true}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        World w;
        AgentResult result;
        world_open(&w, 1);
        OrchestrationSpec spec = {.mode = ORCHESTRATE_LOOP,
                                  .agents = third,
                                  .agent_count = 1,
                                  .max_iterations = cases[i].max};
        assert_int_equal(run(&w, spec, (EventSpec){0}, &result), 0);
        assert_int_equal(state_get_int(&result.state, SLICE("loop_iterations"), 0),
                         cases[i].iterations);
        assert_int_equal(state_get_bool(&result.state, SLICE("loop_completed"), false),
                         cases[i].completed);
        agent_result_done(&result);
        world_close(&w);
    }
}

static void test_mixed(void **unused)
{
    (void)unused;
    World w;
    AgentResult result;
    world_open(&w, 2);
    OrchestrationSpec spec = {.mode = ORCHESTRATE_MIXED,
                              .agents = abc,
                              .agent_count = 2,
                              .then = abc + 2,
                              .then_count = 1};
    assert_int_equal(run(&w, spec, (EventSpec){0}, &result), 0);
    expect_data(&result, "{\"a\":\"xa\",\"b\":\"xb\"}c");
    assert_int_equal(state_get_int(&result.state, SLICE("n"), 0), 2); // 1 of each, then c's
    agent_result_done(&result);
    world_close(&w);
}

static void test_route(void **unused)
{
    (void)unused;
    static const Route routes[] = {{SLICE_INIT("ask"), SLICE_INIT("b")}};
    const struct {
        const char *type, *data;
        bool has_default;
        const char *answer; // NULL: ERR_NOT_FOUND
    } cases[] = {
        {"ask", "x", false, "xb"},   {"other", "{\"route\":\"c\"}", false, "{\"route\":\"c\"}c"},
        {"other", "x", true, "xa"},  {"other", "{\"route\":7}", true, "{\"route\":7}a"},
        {"other", "x", false, NULL}, {"other", "{\"route\":\"nobody\"}", true, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        World w;
        AgentResult result;
        world_open(&w, 2);
        OrchestrationSpec spec = {.mode = ORCHESTRATE_ROUTE,
                                  .routes = routes,
                                  .route_count = 1,
                                  .agents = abc,
                                  .agent_count = cases[i].has_default ? 1 : 0};
        EventSpec event = {.type = slice_from_cstr(cases[i].type),
                           .data = slice_from_cstr(cases[i].data)};
        int rc = run(&w, spec, event, &result);
        assert_int_equal(rc, cases[i].answer ? 0 : ERR_NOT_FOUND);
        if (cases[i].answer) {
            expect_data(&result, cases[i].answer);
        }
        agent_result_done(&result);
        world_close(&w);
    }
}

static void test_workflow(void **unused)
{
    (void)unused;
    // A diamond, its steps listed in no order: plan -> (left, right) -> join.
    static const Slice after_plan[] = {SLICE_INIT("plan")};
    static const Slice after_both[] = {SLICE_INIT("left"), SLICE_INIT("right")};
    static const WorkflowStep steps[] = {
        {SLICE_INIT("join"), SLICE_INIT("c"), after_both, 2},
        {SLICE_INIT("left"), SLICE_INIT("slow"), after_plan, 1},
        {SLICE_INIT("right"), SLICE_INIT("slow2"), after_plan, 1},
        {SLICE_INIT("plan"), SLICE_INIT("a"), NULL, 0},
    };
    for (unsigned shards = 1; shards <= 3; shards++) {
        World w;
        AgentResult result;
        world_open(&w, shards);
        OrchestrationSpec spec = {.mode = ORCHESTRATE_WORKFLOW, .steps = steps, .step_count = 4};
        int64_t before = w.clock.now_ns;
        assert_int_equal(run(&w, spec, (EventSpec){0}, &result), 0);
        assert_int_equal((w.clock.now_ns - before) / NS_PER_MS, 5); // left and right at once
        expect_data(&result, "{\"plan\":\"xa\",\"left\":\"xaslow\",\"right\":\"xaslow2\","
                             "\"join\":\"{\\\"left\\\":\\\"xaslow\\\",\\\"right\\\":"
                             "\\\"xaslow2\\\"}c\"}");
        assert_int_equal(state_get_int(&result.state, SLICE("n"), 0), 3); // the longest path
        agent_result_done(&result);
        world_close(&w);
    }
}

// ---- strategies

static void test_error_strategies(void **unused)
{
    (void)unused;
    static const Slice agents[] = {SLICE_INIT("a"), SLICE_INIT("broken"), SLICE_INIT("b")};
    const struct {
        OrchestrationMode mode;
        ErrorStrategy errors;
        int rc;
        const char *answer; // NULL: none
        bool b_ran;
    } cases[] = {
        {ORCHESTRATE_SEQUENTIAL, ERRORS_FAIL_FAST, ERR_IO, NULL, false},
        {ORCHESTRATE_SEQUENTIAL, ERRORS_COLLECT, ERR_IO, NULL, true},
        {ORCHESTRATE_SEQUENTIAL, ERRORS_CONTINUE, 0, "xab", true},
        {ORCHESTRATE_PARALLEL, ERRORS_COLLECT, ERR_IO, NULL, true},
        {ORCHESTRATE_PARALLEL, ERRORS_CONTINUE, 0, "{\"a\":\"xa\",\"b\":\"xb\"}", true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        World w;
        AgentResult result;
        world_open(&w, 1);
        OrchestrationSpec spec = {
            .mode = cases[i].mode, .errors = cases[i].errors, .agents = agents, .agent_count = 3};
        assert_int_equal(run(&w, spec, (EventSpec){0}, &result), cases[i].rc);
        if (cases[i].answer) {
            expect_data(&result, cases[i].answer);
        } else {
            assert_string_equal(result.reason, "broken: it broke");
        }
        assert_int_equal(state_has(&result.state, SLICE("b")), cases[i].b_ran);
        if (cases[i].errors != ERRORS_FAIL_FAST) {
            assert_true(slice_eq(
                text_of(&result.state, SLICE("errors")),
                SLICE("[{\"agent\":\"broken\",\"code\":\"ERR_IO\",\"reason\":\"it broke\"}]")));
        }
        agent_result_done(&result);
        world_close(&w);
    }
}

static void test_fail_fast_cancels_what_runs(void **unused)
{
    (void)unused;
    static const Slice agents[] = {SLICE_INIT("slow"), SLICE_INIT("broken")};
    World w;
    AgentResult result;
    world_open(&w, 2);
    OrchestrationSpec spec = {.mode = ORCHESTRATE_PARALLEL, .agents = agents, .agent_count = 2};
    int64_t before = w.clock.now_ns;
    assert_int_equal(run(&w, spec, (EventSpec){0}, &result), ERR_IO);
    assert_true(w.clock.now_ns - before < NS_PER_MS);
    agent_result_done(&result);
    while (runner_step(w.runner)) {
    }
    RunnerCounts c = runner_counts(w.runner);
    assert_int_equal(c.failed, 3); // broken, the cancelled one, the orchestrator
    assert_int_equal(c.handled, 0);
    world_close(&w);
}

static void test_continue_fails_when_nothing_succeeded(void **unused)
{
    (void)unused;
    static const Slice agents[] = {SLICE_INIT("broken"), SLICE_INIT("broken")};
    World w;
    AgentResult result;
    world_open(&w, 1);
    OrchestrationSpec spec = {.mode = ORCHESTRATE_SEQUENTIAL,
                              .errors = ERRORS_CONTINUE,
                              .agents = agents,
                              .agent_count = 2};
    assert_int_equal(run(&w, spec, (EventSpec){0}, &result), ERR_IO);
    agent_result_done(&result);
    world_close(&w);
}

static void test_a_failed_step_skips_what_needs_it(void **unused)
{
    (void)unused;
    static const Slice after_broken[] = {SLICE_INIT("broken")};
    static const Slice after_next[] = {SLICE_INIT("next")};
    static const WorkflowStep steps[] = {
        {SLICE_INIT("broken"), {0}, NULL, 0},
        {SLICE_INIT("next"), SLICE_INIT("a"), after_broken, 1},
        {SLICE_INIT("last"), SLICE_INIT("b"), after_next, 1},
        {SLICE_INIT("c"), {0}, NULL, 0},
    };
    World w;
    AgentResult result;
    world_open(&w, 1);
    OrchestrationSpec spec = {
        .mode = ORCHESTRATE_WORKFLOW, .errors = ERRORS_CONTINUE, .steps = steps, .step_count = 4};
    assert_int_equal(run(&w, spec, (EventSpec){0}, &result), 0);
    expect_data(&result, "{\"c\":\"xc\"}");
    Slice errors = text_of(&result.state, SLICE("errors"));
    assert_true(slice_find(errors, SLICE("\"agent\":\"broken\"")) >= 0);
    assert_true(slice_find(errors, SLICE("\"agent\":\"next\"")) >= 0);
    assert_true(slice_find(errors, SLICE("\"agent\":\"last\"")) >= 0);
    agent_result_done(&result);
    world_close(&w);
}

static void test_state_strategies(void **unused)
{
    (void)unused;
    const struct {
        OrchestrationMode mode;
        StateStrategy state;
        int64_t n;
        bool has_a;
    } cases[] = {
        {ORCHESTRATE_SEQUENTIAL, STATE_MERGE, 3, true},
        {ORCHESTRATE_SEQUENTIAL, STATE_OVERWRITE, 3, true},
        {ORCHESTRATE_SEQUENTIAL, STATE_ISOLATE, 0, false},
        {ORCHESTRATE_PARALLEL, STATE_MERGE, 1, true},
        {ORCHESTRATE_PARALLEL, STATE_OVERWRITE, 1, false}, // c's alone
        {ORCHESTRATE_PARALLEL, STATE_ISOLATE, 0, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        World w;
        AgentResult result;
        world_open(&w, 1);
        OrchestrationSpec spec = {
            .mode = cases[i].mode, .state = cases[i].state, .agents = abc, .agent_count = 3};
        assert_int_equal(run(&w, spec, (EventSpec){0}, &result), 0);
        assert_int_equal(state_get_int(&result.state, SLICE("n"), 0), cases[i].n);
        assert_int_equal(state_has(&result.state, SLICE("a")), cases[i].has_a);
        agent_result_done(&result);
        world_close(&w);
    }
}

// ---- streaming and time

static void collect(void *arg, Slice chunk)
{
    buf_append(arg, chunk);
}

static void ignore(void *arg, AgentResult *result)
{
    (void)arg;
    (void)result;
}

static void test_pieces_go_through(void **unused)
{
    (void)unused;
    for (unsigned shards = 1; shards <= 3; shards++) {
        World w;
        world_open(&w, shards);
        OrchestrationSpec spec = {
            .name = SLICE("o"), .mode = ORCHESTRATE_SEQUENTIAL, .agents = abc, .agent_count = 3};
        assert_int_equal(orchestrator_register(w.runner, &spec, NULL, NULL), 0);
        assert_int_equal(runner_start(w.runner, NULL), 0);
        Buf chunks = buf_create(100);
        SubmitOptions options = {.on_chunk = collect, .on_done = ignore, .arg = &chunks};
        EventSpec event = {.target = SLICE("o")};
        assert_int_equal(runner_submit(w.runner, &event, &options, NULL), 0);
        while (runner_step(w.runner)) {
        }
        assert_true(slice_eq(buf_slice(&chunks), SLICE("abc")));
        buf_done(&chunks);
        world_close(&w);
    }
}

static void test_step_timeout(void **unused)
{
    (void)unused;
    static const Slice agents[] = {SLICE_INIT("slow"), SLICE_INIT("a")};
    World w;
    AgentResult result;
    world_open(&w, 1);
    OrchestrationSpec spec = {.mode = ORCHESTRATE_PARALLEL,
                              .errors = ERRORS_CONTINUE,
                              .agents = agents,
                              .agent_count = 2,
                              .step_timeout_ns = NS_PER_MS};
    assert_int_equal(run(&w, spec, (EventSpec){0}, &result), 0);
    expect_data(&result, "{\"a\":\"xa\"}");
    assert_true(slice_find(text_of(&result.state, SLICE("errors")), SLICE("ERR_TIMEOUT")) >= 0);
    agent_result_done(&result);
    world_close(&w);
}

// ---- what is refused

static void test_bad_specs(void **unused)
{
    (void)unused;
    static const Slice to_a[] = {SLICE_INIT("a")}, to_b[] = {SLICE_INIT("b")};
    static const WorkflowStep circle[] = {{SLICE_INIT("a"), {0}, to_b, 1},
                                          {SLICE_INIT("b"), {0}, to_a, 1}};
    static const WorkflowStep self[] = {{SLICE_INIT("a"), {0}, to_a, 1}};
    static const WorkflowStep unknown[] = {{SLICE_INIT("x"), {0}, to_a, 1}};
    static const WorkflowStep twice[] = {{SLICE_INIT("a"), {0}, NULL, 0},
                                         {SLICE_INIT("a"), {0}, NULL, 0}};
    static const WorkflowStep nameless[] = {{.agent = SLICE_INIT("a")}};
    const struct {
        OrchestrationSpec spec;
        int rc;
        const char *words;
    } cases[] = {
        {{.mode = ORCHESTRATE_SEQUENTIAL}, ERR_ARG, "has no agents to run"},
        {{.mode = ORCHESTRATE_WORKFLOW}, ERR_ARG, "has no agents to run"},
        {{.mode = ORCHESTRATE_WORKFLOW, .steps = circle, .step_count = 2},
         ERR_ARG,
         "form a circle"},
        {{.mode = ORCHESTRATE_WORKFLOW, .steps = self, .step_count = 1}, ERR_ARG, "form a circle"},
        {{.mode = ORCHESTRATE_WORKFLOW, .steps = unknown, .step_count = 1},
         ERR_ARG,
         "comes after \"a\", which is no step of it"},
        {{.mode = ORCHESTRATE_WORKFLOW, .steps = twice, .step_count = 2},
         ERR_ARG,
         "has two steps \"a\""},
        {{.mode = ORCHESTRATE_WORKFLOW, .steps = nameless, .step_count = 1},
         ERR_ARG,
         "has no name"},
        {{.mode = ORCHESTRATE_SEQUENTIAL, .agents = abc, .agent_count = ORCHESTRATE_AGENTS_MAX + 1},
         ERR_LIMIT,
         "the limit is 1000"},
    };
    World w;
    world_open(&w, 1);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        OrchestrationSpec spec = cases[i].spec;
        spec.name = SLICE("o");
        Err e = {0};
        assert_int_equal(orchestrator_register(w.runner, &spec, NULL, &e), cases[i].rc);
        assert_non_null(strstr(e.text, cases[i].words));
    }
    assert_int_equal(runner_start(w.runner, NULL), 0);
    world_close(&w);
}

static void test_an_orchestrator_of_itself_ends(void **unused)
{
    (void)unused;
    static const Slice itself[] = {SLICE_INIT("o")};
    World w;
    AgentResult result;
    world_open(&w, 2);
    OrchestrationSpec spec = {.mode = ORCHESTRATE_SEQUENTIAL, .agents = itself, .agent_count = 1};
    assert_int_equal(run(&w, spec, (EventSpec){0}, &result), ERR_LIMIT);
    agent_result_done(&result);
    world_close(&w);
}

static void test_names(void **unused)
{
    (void)unused;
    OrchestrationMode mode;
    ErrorStrategy errors;
    StateStrategy state;
    assert_true(orchestration_mode_by_name(SLICE("collaborate"), &mode));
    assert_int_equal(mode, ORCHESTRATE_PARALLEL);
    assert_true(error_strategy_by_name(SLICE("collect_all"), &errors));
    assert_int_equal(errors, ERRORS_COLLECT);
    assert_true(state_strategy_by_name(SLICE("isolate"), &state));
    assert_int_equal(state, STATE_ISOLATE);
    assert_false(orchestration_mode_by_name(SLICE("parallell"), &mode));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sequential),
        cmocka_unit_test(test_parallel),
        cmocka_unit_test(test_loop_ends_by_state_or_count),
        cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_route),
        cmocka_unit_test(test_workflow),
        cmocka_unit_test(test_error_strategies),
        cmocka_unit_test(test_fail_fast_cancels_what_runs),
        cmocka_unit_test(test_continue_fails_when_nothing_succeeded),
        cmocka_unit_test(test_a_failed_step_skips_what_needs_it),
        cmocka_unit_test(test_state_strategies),
        cmocka_unit_test(test_pieces_go_through),
        cmocka_unit_test(test_step_timeout),
        cmocka_unit_test(test_bad_specs),
        cmocka_unit_test(test_an_orchestrator_of_itself_ends),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
