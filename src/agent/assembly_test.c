// Every key of the tuning guide has a test of its effect: the runtime's here, over an assembly made
// of TOML; those of [llm.*] and of batching and pooling beside the client in llm.
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/assembly.h"
#include "os/mpsc.h"

typedef struct World {
    Arena *arena;
    ManualClock clock;
    Assembly *assembly;
    Runner *runner;
    int running, most_running, runs;
    int64_t hold_ns; // how long `work` takes
} World;

// An agent that takes its time and counts how many of it run at once.
static int work(AgentContext *ctx, const Event *event, State *state)
{
    (void)event, (void)state;
    World *w = agent_self(ctx);
    w->runs++;
    w->running++;
    w->most_running = w->running > w->most_running ? w->running : w->most_running;
    int rc = agent_sleep(ctx, w->hold_ns);
    w->running--;
    return rc;
}

// Adds one to "n" of the session's state and answers with it.
static int count(AgentContext *ctx, const Event *event, State *state)
{
    (void)event;
    int64_t n = state_get_int(state, SLICE("n"), 0) + 1;
    char text[32];
    int len = snprintf(text, sizeof text, "%lld", (long long)n);
    int rc = state_set_int(state, SLICE("n"), n);
    return rc != 0 ? rc : agent_reply(ctx, (Slice){text, (size_t)len});
}

// Leaves a large text in the state, and answers with its length the next time.
static int keep_large(AgentContext *ctx, const Event *event, State *state)
{
    (void)event;
    StateValue value;
    if (!state_get(state, SLICE("text"), &value)) {
        char large[10000];
        memset(large, 'x', sizeof large);
        return state_set_string(state, SLICE("text"), (Slice){large, sizeof large});
    }
    char text[32];
    int len = snprintf(text, sizeof text, "%zu", value.text.len);
    state_value_done(&value);
    return agent_reply(ctx, (Slice){text, (size_t)len});
}

static int again(AgentContext *ctx, const Event *event, State *state)
{
    (void)event, (void)state;
    World *w = agent_self(ctx);
    w->runs++;
    Err e = {0};
    int rc = agent_emit(ctx, &(EventSpec){.target = SLICE("again")}, &e);
    return rc == ERR_LIMIT ? agent_fail(ctx, ERR_LIMIT, "%s", e.text) : rc;
}

static World *world_open(const char *toml)
{
    World *w = mem_zalloc(sizeof *w);
    w->arena = arena_create(64 << 20);
    clock_manual_init(&w->clock, NS_PER_S, 0);
    w->hold_ns = 10 * NS_PER_MS;
    const Doc *root = NULL;
    const AgentConfig *config = NULL;
    Err e = {0};
    DocOptions options = {.format = DOC_FORMAT_TOML, .source = "test.toml"};
    if (doc_parse(w->arena, slice_from_cstr(toml), &options, &root, &e) != 0 ||
        agent_config_read(w->arena, root, &config, &e) != 0 ||
        assembly_create(
            &(AssemblyOptions){
                .config = config, .shards = 1, .without_monitoring = true, .manual = &w->clock},
            &w->assembly, &e) != 0) {
        fail_msg("%s", e.text);
    }
    w->runner = assembly_runner(w->assembly);
    static const struct {
        const char *name;
        AgentRunFn *run;
    } AGENTS[] = {{"work", work}, {"count", count}, {"large", keep_large}, {"again", again}};
    for (size_t i = 0; i < COUNT_OF(AGENTS); i++) {
        AgentSpec spec = {.name = slice_from_cstr(AGENTS[i].name), .run = AGENTS[i].run, .self = w};
        assert_int_equal(runner_register(w->runner, &spec, NULL, &e), 0);
    }
    if (assembly_start(w->assembly, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return w;
}

static void world_close(World *w)
{
    (void)assembly_stop(w->assembly, 0);
    assembly_destroy(w->assembly);
    arena_destroy(w->arena);
    free(w);
}

// Sends and waits; the answer's text, or the name of the code.
static const char *ask(World *w, const char *agent, const char *session)
{
    AgentResult result = {0};
    Err e = {0};
    EventSpec spec = {.target = slice_from_cstr(agent), .session = slice_from_cstr(session)};
    int rc = runner_call(w->runner, &spec, NULL, &result, &e);
    const char *text = rc ? err_name(rc) : arena_cstr(w->arena, result.data);
    agent_result_done(&result);
    return text;
}

static void noop_done(void *arg, AgentResult *result)
{
    int *codes = arg;
    codes[result->code == 0 ? 0 : 1]++;
}

// Sends without waiting; the code of submitting.
static int send(World *w, const char *agent, int codes[2])
{
    EventSpec spec = {.target = slice_from_cstr(agent)};
    SubmitOptions submit = {.on_done = noop_done, .arg = codes};
    return runner_submit(w->runner, &spec, &submit, NULL);
}

static void run_until_idle(World *w)
{
    while (runner_step(w->runner)) {
    }
}

// ---- [runner]

static void test_max_concurrent_events(void **state)
{
    (void)state;
    World *w = world_open("[runner]\nmax_concurrent_events = 3\nworker_pool_size = 100\n");
    int codes[2] = {0};
    for (int i = 0; i < 20; i++) {
        (void)send(w, "work", codes);
    }
    run_until_idle(w);
    assert_int_equal(w->most_running, 3);
    assert_int_equal(w->runs, 20); // none is lost
    world_close(w);
}

static void test_worker_pool_size(void **state)
{
    (void)state;
    World *w = world_open("[runner]\nworker_pool_size = 4\n");
    int codes[2] = {0};
    for (int i = 0; i < 20; i++) {
        (void)send(w, "work", codes);
    }
    run_until_idle(w);
    assert_int_equal(w->most_running, 4);
    assert_int_equal(w->runs, 20);
    world_close(w);
}

// What does not fit is refused at once (a submit never waits), and counted.
static void test_event_buffer_size(void **state)
{
    (void)state;
    World *w = world_open("[runner]\nworker_pool_size = 1\nevent_buffer_size = 5\n");
    int codes[2] = {0}, refused = 0;
    for (int i = 0; i < 20; i++) {
        refused += send(w, "work", codes) == ERR_FULL;
    }
    run_until_idle(w);
    assert_in_range(w->runs, 5, 6); // one may have begun before the rest came
    assert_int_equal(w->runs + refused, 20);
    assert_int_equal(runner_counts(w->runner).shed, (uint64_t)refused);
    world_close(w);
}

// [agents.NAME] overflow and dead_letter: what did not fit is told to the agent that is named.
static void test_dead_letter(void **state)
{
    (void)state;
    World *w = world_open("[runner]\nmax_concurrent_events = 1\n[agents.lost]\nbuiltin = \"null\"\n"
                          "[agents.small]\nbuiltin = \"echo\"\nmailbox = 2\n"
                          "overflow = \"dead_letter\"\ndead_letter = \"lost\"\n"
                          "[agents.mean]\nbuiltin = \"echo\"\nmailbox = 2\noverflow = \"shed\"\n"
                          "dead_letter = \"lost\"\n");
    int codes[2] = {0}, refused = 0;
    (void)send(w, "work", codes); // has the only place
    (void)runner_step(w->runner);
    for (int i = 0; i < 5; i++) {
        refused += send(w, "small", codes) == ERR_FULL;
        (void)send(w, "mean", codes);
    }
    run_until_idle(w);
    RunnerCounts counts = runner_counts(w->runner);
    assert_int_equal(refused, 3);
    assert_int_equal(counts.shed, 6);
    assert_int_equal(counts.dead_letters, 3);
    assert_int_equal(counts.handled, 1 + 2 + 2 + 3);
    world_close(w);
}

static void test_event_timeout(void **state)
{
    (void)state;
    World *w = world_open("[runner]\nevent_timeout = \"20ms\"\n");
    assert_string_equal(ask(w, "work", ""), "");
    w->hold_ns = NS_PER_S;
    int64_t before_ns = clock_now(&w->clock.clock);
    assert_string_equal(ask(w, "work", ""), "ERR_TIMEOUT");
    assert_int_equal(clock_now(&w->clock.clock) - before_ns, 20 * NS_PER_MS);
    world_close(w);
}

static void test_max_hops(void **state)
{
    (void)state;
    World *w = world_open("[runner]\nmax_hops = 7\n");
    int codes[2] = {0};
    assert_int_equal(send(w, "again", codes), 0);
    run_until_idle(w);
    assert_in_range(w->runs, 7, 8);
    world_close(w);
}

static void count_entry(void *arg, const TraceEntry *entry)
{
    (void)entry;
    ++*(int *)arg;
}

static void test_trace_entries(void **state)
{
    (void)state;
    World *w = world_open("[runner]\ntrace_entries = 0\n");
    (void)ask(w, "count", "s");
    int entries = 0;
    runner_trace(w->runner, SLICE("s"), count_entry, &entries);
    assert_int_equal(entries, 0);
    world_close(w);
    w = world_open("");
    (void)ask(w, "count", "s");
    runner_trace(w->runner, SLICE("s"), count_entry, &entries);
    assert_int_equal(entries, 1);
    world_close(w);
}

// ---- [memory]

static void test_state_cache_size(void **state)
{
    (void)state;
    World *w = world_open("[memory]\nstate_cache_size = 2\n");
    assert_string_equal(ask(w, "count", "a"), "1");
    assert_string_equal(ask(w, "count", "a"), "2"); // kept
    assert_string_equal(ask(w, "count", "b"), "1");
    assert_string_equal(ask(w, "count", "c"), "1"); // pushes a out
    assert_string_equal(ask(w, "count", "b"), "2");
    assert_string_equal(ask(w, "count", "a"), "1");
    assert_string_equal(ask(w, "count", ""), "1"); // no session, nothing is kept
    assert_string_equal(ask(w, "count", ""), "1");
    world_close(w);
}

static void test_state_cache_ttl(void **state)
{
    (void)state;
    World *w = world_open("[memory]\nstate_cache_ttl = \"1m\"\n");
    assert_string_equal(ask(w, "count", "a"), "1");
    clock_manual_advance(&w->clock, 59 * NS_PER_S);
    assert_string_equal(ask(w, "count", "a"), "2");
    clock_manual_advance(&w->clock, 61 * NS_PER_S);
    assert_string_equal(ask(w, "count", "a"), "1");
    world_close(w);
}

static void add_bytes(void *arg, Slice session, const State *kept, int64_t used_ns)
{
    (void)session, (void)used_ns;
    *(size_t *)arg += state_bytes(kept);
}

static void test_state_compression(void **state)
{
    (void)state;
    size_t bytes[2] = {0};
    for (int on = 0; on < 2; on++) {
        World *w = world_open(on ? "[memory]\nenable_state_compression = true\n" : "");
        (void)ask(w, "large", "a");
        state_cache_each(assembly_states(w->assembly), add_bytes, &bytes[on]);
        assert_string_equal(ask(w, "large", "a"), "10000"); // and comes back whole
        world_close(w);
    }
    assert_true(bytes[0] > 10000);
    assert_true(bytes[1] < bytes[0] / 10);
}

// ---- agents and orchestration

static void test_orchestration(void **state)
{
    (void)state;
    World *w = world_open("[agents.a]\nbuiltin = \"echo\"\n[agents.b]\nbuiltin = \"echo\"\n"
                          "[orchestration]\nname = \"team\"\nmode = \"parallel\"\n"
                          "agents = [\"a\", \"b\"]\n");
    AgentResult result = {0};
    Err e = {0};
    EventSpec spec = {.target = SLICE("team"), .data = SLICE("1")};
    assert_int_equal(runner_call(w->runner, &spec, NULL, &result, &e), 0);
    assert_true(slice_eq_cstr(result.data, "{\"a\":1,\"b\":1}"));
    agent_result_done(&result);
    world_close(w);
}

static void test_agent_limits(void **state)
{
    (void)state;
    World *w = world_open("[agents.one]\nbuiltin = \"echo\"\nmailbox = 1\noverflow = \"shed\"\n");
    int codes[2] = {0}, refused = 0;
    for (int i = 0; i < 5; i++) {
        refused += send(w, "one", codes) == ERR_FULL;
    }
    assert_in_range(refused, 3, 4);
    run_until_idle(w);
    assert_int_equal(codes[0] + refused, 5);
    world_close(w);
}

// A policy by name, for an agent: `timeout` and retries around agents of the configuration. The
// orchestration is the caller, so that the edge between the two counts.
static void test_policies_and_edges(void **state)
{
    (void)state;
    World *w =
        world_open("[policies.slow]\nrate = { per_second = 1, burst = 1, max_wait = \"1h\" }\n"
                   "[policies.none]\nrate = { per_second = 1, burst = 1, max_wait = \"0s\" }\n"
                   "[agents.a]\nbuiltin = \"echo\"\npolicies = [\"slow\"]\n"
                   "[agents.b]\nbuiltin = \"echo\"\npolicies = [\"slow\", \"none\"]\n");
    int64_t before_ns = clock_now(&w->clock.clock);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(ask(w, "a", ""), "");
    }
    // One at once, then one a second.
    assert_in_range(clock_now(&w->clock.clock) - before_ns, 19 * NS_PER_S / 10, 21 * NS_PER_S / 10);
    assert_string_equal(ask(w, "b", ""), "");
    assert_string_not_equal(ask(w, "b", ""), ""); // the later policy wins
    world_close(w);
    w = world_open("[policies.one]\nrate = { per_second = 1, burst = 1, max_wait = \"0s\" }\n"
                   "[agents.a]\nbuiltin = \"echo\"\n[agents.b]\nbuiltin = \"echo\"\n"
                   "[edges.e]\nfrom = \"a\"\nto = \"b\"\npolicies = [\"one\"]\n");
    assert_string_equal(ask(w, "b", ""), ""); // not over the edge
    assert_string_equal(ask(w, "b", ""), "");
    assert_true(runner_find(w->runner, SLICE("a->b")) != AGENT_NONE);
    world_close(w);
}

static void test_libraries_need_the_public_api(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    const Doc *root = NULL;
    const AgentConfig *config = NULL;
    Assembly *assembly = NULL;
    Err e = {0};
    DocOptions options = {.format = DOC_FORMAT_TOML};
    assert_int_equal(
        doc_parse(arena, SLICE("[agents.x]\nlibrary = \"x.so\"\n"), &options, &root, &e), 0);
    assert_int_equal(agent_config_read(arena, root, &config, &e), 0);
    assert_int_equal(
        assembly_create(&(AssemblyOptions){.config = config, .shards = 1}, &assembly, &e),
        ERR_UNSUPPORTED);
    assert_non_null(strstr(e.text, "agent \"x\""));
    arena_destroy(arena);
}

// A stopped runner that still is sent events.
static void test_stopped(void **state)
{
    (void)state;
    World *w = world_open("");
    (void)assembly_stop(w->assembly, 0);
    assert_string_equal(ask(w, "count", "a"), "ERR_CLOSED");
    world_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_max_concurrent_events),
        cmocka_unit_test(test_worker_pool_size),
        cmocka_unit_test(test_event_buffer_size),
        cmocka_unit_test(test_dead_letter),
        cmocka_unit_test(test_event_timeout),
        cmocka_unit_test(test_max_hops),
        cmocka_unit_test(test_trace_entries),
        cmocka_unit_test(test_state_cache_size),
        cmocka_unit_test(test_state_cache_ttl),
        cmocka_unit_test(test_state_compression),
        cmocka_unit_test(test_orchestration),
        cmocka_unit_test(test_agent_limits),
        cmocka_unit_test(test_policies_and_edges),
        cmocka_unit_test(test_libraries_need_the_public_api),
        cmocka_unit_test(test_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
