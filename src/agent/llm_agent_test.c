// Language-model agents against the fake provider, on real loops: the tool loop, its limits and
// what a model may not do. Also the effect of [performance] and of [llm.*] on the wire, as far as
// it shows in the client's counts; the client's own keys are tested in llm.
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/assembly.h"
#include "agent/llm_impl.h"
#include "llm/config.h"
#include "llm/fake.h"

typedef struct World {
    Arena *arena;
    FakeLlm *fake;
    Assembly *assembly;
    int tool_runs;
    bool stopped;
    char chunks[256];
} World;

static int run_weather(ToolCall *call, Err *e)
{
    World *w = tool_self(call);
    w->tool_runs++;
    return tool_return(call, SLICE("{\"celsius\":21}"), e);
}

typedef struct Setup {
    const char *script; // YAML of the fake
    const char *agent;  // more of [agents.a]
    const char *llm;    // more of [llm.openai]
    const char *more;   // more sections
} Setup;

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static World *world_open(const Setup *setup)
{
    World *w = mem_zalloc(sizeof *w);
    w->arena = arena_create(64 << 20);
    Err e = {0};
    FakeScript *script = NULL;
    const Doc *doc = NULL;
    DocOptions options = {.format = DOC_FORMAT_YAML, .source = "fake.yaml"};
    if (doc_parse(w->arena, slice_from_cstr(setup->script), &options, &doc, &e) != 0 ||
        fake_script_read(w->arena, doc, &script, &e) != 0 ||
        fake_llm_start(&(FakeLlmOptions){.script = script, .threads = 1}, &w->fake, &e) != 0) {
        fail_msg("%s", e.text);
    }
    NetAddr addr = fake_llm_addr(w->fake);
    Slice toml = arena_printf(w->arena,
                              "[runtime]\nshards = 1\n"
                              "[llm.openai]\nbase_url = \"http://127.0.0.1:%u/v1\"\n"
                              "model = \"m\"\nretry_initial_interval = \"1ms\"\n%s"
                              "[tools.weather]\nscript = \"unused.js\"\n"
                              "[tools.other]\nscript = \"unused.js\"\n"
                              "[agents.a]\nllm = \"openai\"\n%s%s",
                              net_addr_port(&addr), or_empty(setup->llm), or_empty(setup->agent),
                              or_empty(setup->more));
    const AgentConfig *config = NULL;
    options = (DocOptions){.format = DOC_FORMAT_TOML, .source = "agents.toml"};
    if (doc_parse(w->arena, toml, &options, &doc, &e) != 0 ||
        agent_config_read(w->arena, doc, &config, &e) != 0) {
        fail_msg("%s", e.text);
    }
    ((AgentConfig *)(uintptr_t)config)->tool_count = 0; // the test brings the tool itself
    if (assembly_create(&(AssemblyOptions){.config = config, .without_monitoring = true},
                        &w->assembly, &e) != 0) {
        fail_msg("%s", e.text);
    }
    ToolSpec weather = {
        .name = SLICE("weather"),
        .description = SLICE("The weather in a city"),
        .schema = SLICE("{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}}}"),
        .run = run_weather,
        .self = w};
    assert_int_equal(tool_add(assembly_tools(w->assembly), &weather, &e), 0);
    weather.name = SLICE("other");
    assert_int_equal(tool_add(assembly_tools(w->assembly), &weather, &e), 0);
    if (assembly_start(w->assembly, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return w;
}

static void world_close(World *w)
{
    if (!w->stopped) {
        (void)assembly_stop(w->assembly, NS_PER_S);
    }
    assembly_destroy(w->assembly);
    fake_llm_stop(w->fake);
    arena_destroy(w->arena);
    free(w);
}

static const char *ask(World *w, const char *data, int *ret_code)
{
    AgentResult result = {0};
    Err e = {0};
    EventSpec spec = {.target = SLICE("a"), .data = slice_from_cstr(data)};
    *ret_code = runner_call(assembly_runner(w->assembly), &spec, NULL, &result, &e);
    const char *text =
        arena_cstr(w->arena, *ret_code ? slice_from_cstr(result.reason[0] ? result.reason : e.text)
                                       : result.data);
    agent_result_done(&result);
    return text;
}

static LlmClientStats stop(World *w)
{
    (void)assembly_stop(w->assembly, NS_PER_S);
    w->stopped = true;
    return assembly_llm_stats(w->assembly);
}

#define WEATHER                                                                                    \
    "rules:\n"                                                                                     \
    "- match: {after_tool: false}\n"                                                               \
    "  tools: [{name: weather, arguments: {city: Paris}}]\n"                                       \
    "- match: {tool_result: celsius}\n  text: Warm.\n"                                             \
    "- text: no tool\n"

static const struct Case {
    Setup setup;
    int code;
    const char *answer; // a part of it, or of the reason
    int tool_runs;
} CASES[] = {
    {{.script = "rules: [{text: Paris}]", .agent = "system_prompt = \"Be short.\"\n"},
     0,
     "{\"text\":\"Paris\"}",
     0},
    {{.script = "rules: [{match: {system: terse}, text: yes}, {text: no}]",
      .agent = "system_prompt = \"terse\"\n"},
     0,
     "yes",
     0},
    // The event's {"query": ...} is what the model reads.
    {{.script = "rules: [{text: 'said {{message}}'}]"}, 0, "said Weather?\"", 0},
    {{.script = WEATHER, .agent = "tools = [\"weather\"]\n"}, 0, "Warm.", 1},
    // A tool that the agent was not given is no tool, whatever the model says.
    {{.script = "rules:\n- match: {after_tool: false}\n  tools: [{name: other, arguments: {}}]\n"
                "- text: sorry\n",
      .agent = "tools = [\"weather\"]\n"},
     0,
     "sorry",
     0},
    {{.script = "rules: [{tools: [{name: weather, arguments: {city: x}}]}]",
      .agent = "tools = [\"weather\"]\nmax_turns = 3\n"},
     ERR_LIMIT,
     "max_turns = 3",
     3},
    {{.script = "rules: [{text: '{\"x\":1}'}]", .agent = "answer = \"json\"\n"}, 0, "{\"x\":1}", 0},
    {{.script = "rules: [{text: 'no json'}]", .agent = "answer = \"json\"\n"},
     ERR_PARSE,
     "is no JSON",
     0},
    {{.script = "rules: [{text: Paris}]", .agent = "token_budget = 10\n"}, ERR_LIMIT, "budget", 0},
    {{.script = "rules: [{match: {}, times: 2, error: {status: 500}}, {text: third}]",
      .llm = "retry_max_attempts = 3\n"},
     0,
     "third",
     0},
    {{.script = "rules: [{match: {}, times: 2, error: {status: 500}}, {text: third}]",
      .llm = "retry_max_attempts = 2\n"},
     ERR_PROTOCOL,
     "",
     0},
};

static void test_conversations(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        World *w = world_open(&CASES[i].setup);
        int code;
        const char *text = ask(w, "{\"query\":\"Weather?\"}", &code);
        if (code != CASES[i].code || !strstr(text, CASES[i].answer)) {
            fail_msg("case %zu: %s \"%s\"", i, err_name(code), text);
        }
        assert_int_equal(w->tool_runs, CASES[i].tool_runs);
        world_close(w);
    }
}

// [performance] enable_connection_pooling: a connection serves one request, or many.
static void test_connection_pooling(void **state)
{
    (void)state;
    for (int on = 0; on < 2; on++) {
        World *w =
            world_open(&(Setup){.script = "rules: [{text: yes}]",
                                .more = on ? "[performance]\nenable_connection_pooling = true\n"
                                           : "[performance]\nenable_connection_pooling = false\n"});
        int code;
        for (int i = 0; i < 3; i++) {
            char question[16];
            (void)snprintf(question, sizeof question, "%d", i); // not from the cache
            (void)ask(w, question, &code);
            assert_int_equal(code, 0);
        }
        assert_int_equal(stop(w).connections_opened, on ? 1 : 3);
        world_close(w);
    }
}

static void count_done(void *arg, AgentResult *result)
{
    (void)counter_add(arg, result->code == 0 ? 1 : 1000);
}

// [performance] pool_size: as many connections to a provider that does not say max_connections, and
// no more, however many ask at once.
static void test_pool_size(void **state)
{
    (void)state;
    for (int size = 1; size <= 2; size++) {
        char more[64];
        (void)snprintf(more, sizeof more, "[performance]\npool_size = %d\n", size);
        World *w =
            world_open(&(Setup){.script = "latency: 20ms\nrules: [{text: yes}]", .more = more});
        Counter done;
        counter_init(&done, 0);
        for (int i = 0; i < 6; i++) {
            char question[16];
            int len = snprintf(question, sizeof question, "%d", i);
            EventSpec spec = {.target = SLICE("a"), .data = {question, (size_t)len}};
            SubmitOptions submit = {.on_done = count_done, .arg = &done};
            assert_int_equal(runner_submit(assembly_runner(w->assembly), &spec, &submit, NULL), 0);
        }
        (void)assembly_stop(w->assembly, 20 * NS_PER_S); // drains
        w->stopped = true;
        assert_int_equal(counter_get(&done), 6);
        assert_int_equal(assembly_llm_stats(w->assembly).connections_opened, size);
        world_close(w);
    }
}

// The batching keys reach the client, where their effect is tested (llm/client_test.c).
static void test_batching_keys(void **state)
{
    (void)state;
    Arena *arena = arena_create(16 << 20);
    const Doc *doc = NULL;
    const AgentConfig *config = NULL;
    LlmHost *host = NULL;
    Err e = {0};
    DocOptions options = {.format = DOC_FORMAT_TOML, .source = "x.toml"};
    assert_int_equal(doc_parse(arena,
                               SLICE("[llm.openai]\n[performance]\nenable_request_batching = true\n"
                                     "batch_size = 7\nbatch_timeout = \"30ms\"\npool_size = 9\n"),
                               &options, &doc, &e),
                     0);
    assert_int_equal(agent_config_read(arena, doc, &config, &e), 0);
    assert_int_equal(llm_host_create(config, NULL, &host, &e), 0);
    const LlmConfig *llm = llm_host_config(host);
    assert_true(llm->batching);
    assert_int_equal(llm->batch_size, 7);
    assert_int_equal(llm->batch_timeout_ns, 30 * NS_PER_MS);
    assert_int_equal(llm->pool_size, 9);
    assert_false(llm->no_pooling);
    llm_host_destroy(host);
    arena_destroy(arena);
}

static void test_equal_requests_are_answered_from_the_cache(void **state)
{
    (void)state;
    World *w = world_open(&(Setup){.script = "rules: [{text: yes}]"});
    int code;
    for (int i = 0; i < 3; i++) {
        assert_string_equal(ask(w, "\"same\"", &code), "{\"text\":\"yes\"}");
    }
    assert_int_equal(stop(w).attempts, 1);
    world_close(w);
}

static void keep_chunk(void *arg, Slice chunk)
{
    World *w = arg;
    size_t at = strlen(w->chunks);
    (void)snprintf(w->chunks + at, sizeof w->chunks - at, "%.*s", SLICE_FMT(chunk));
}

static void when_done(void *arg, AgentResult *result)
{
    (void)result;
    ((World *)arg)->tool_runs = 100;
}

static int ask_in(World *w, const char *session, const char *data, char *reason, size_t size)
{
    AgentResult result = {0};
    Err e = {0};
    EventSpec spec = {
        .target = SLICE("a"), .session = slice_from_cstr(session), .data = slice_from_cstr(data)};
    int rc = runner_call(assembly_runner(w->assembly), &spec, NULL, &result, &e);
    (void)snprintf(reason, size, "%.*s%s", SLICE_FMT(result.data), result.reason);
    agent_result_done(&result);
    return rc;
}

// An answer of the fake's takes a few tokens, but a call is refused when the most that it may take
// does not fit: so the first call is let through, and a second one is never sent.
static void test_budgets_are_refused_before_anything_is_sent(void **state)
{
    (void)state;
    static const struct {
        Setup setup;
        const char *words;      // of the refusal; NULL: there is none
        bool other_session_may; // is asked last
    } BUDGETS[] = {
        {{.agent = "max_tokens = 10\n", .more = "[llm.budget]\nsession_tokens = 50\n"},
         "the token budget of session \"s\"",
         true},
        {{.agent = "max_tokens = 10\ntotal_token_budget = 50\n"},
         "the token budget of agent \"a\"",
         false},
        {{.agent = "max_tokens = 10\n",
          .more =
              "[llm.budget]\nsession_cost = 0.05\n[llm.prices.m]\ninput = 1000\noutput = 1000\n"},
         "the money budget of session \"s\"",
         true},
        {{.agent = "max_tokens = 10\ntotal_cost_budget = 0.05\n",
          .more = "[llm.prices.m]\ninput = 1000\noutput = 1000\n"},
         "the money budget of agent \"a\"",
         false},
        {{.agent = "max_tokens = 10\n", .more = "[llm.budget]\ntokens = 50\n"},
         "the token budget of ",
         false},
        {{.agent = "max_tokens = 10\n"}, NULL, true},
    };
    for (size_t i = 0; i < COUNT_OF(BUDGETS); i++) {
        Setup setup = BUDGETS[i].setup;
        setup.script = "rules: [{text: 'one two three four five six seven eight'}]";
        World *w = world_open(&setup);
        char reason[256];
        int sent = 0, rc = 0;
        for (; sent < 20 && rc == 0; sent++) {
            char question[16];
            (void)snprintf(question, sizeof question, "\"%d\"", sent); // not from the cache
            rc = ask_in(w, "s", question, reason, sizeof reason);
        }
        if (!BUDGETS[i].words ? rc != 0 : rc != ERR_LIMIT || !strstr(reason, BUDGETS[i].words)) {
            fail_msg("case %zu: %s \"%s\" after %d", i, err_name(rc), reason, sent);
        }
        sent -= rc != 0;
        int other = ask_in(w, "t", "\"other\"", reason, sizeof reason);
        assert_int_equal(other, BUDGETS[i].other_session_may ? 0 : ERR_LIMIT);
        assert_int_equal(stop(w).attempts, sent + (other == 0)); // and not one more
        assert_true(sent > 0);
        world_close(w);
    }
}

// `history`: what the model is shown of the session's earlier events. The fake reads all user
// messages in a row and the provider's count of input tokens tells what was sent.
static void test_history(void **state)
{
    (void)state;
    static const struct {
        const char *agent;
        size_t kept; // messages after four events
    } CASES_OF[] = {{"", 0},
                    {"history = 1\n", 0},
                    {"history = 2\n", 2},
                    {"history = 5\n", 4},
                    {"history = 100\n", 8}};
    for (size_t i = 0; i < COUNT_OF(CASES_OF); i++) {
        World *w = world_open(
            &(Setup){.script = "rules: [{text: 'said {{message}}'}]", .agent = CASES_OF[i].agent});
        char answer[256], want[64], question[32];
        for (int k = 0; k < 4; k++) {
            (void)snprintf(question, sizeof question, "\"question %d\"", k);
            (void)snprintf(want, sizeof want, "{\"text\":\"said question %d\"}", k);
            assert_int_equal(ask_in(w, "s", question, answer, sizeof answer), 0);
            assert_string_equal(answer, want);
        }
        assert_int_equal(ask_in(w, "t", "\"alone\"", answer, sizeof answer), 0);
        State kept = state_create();
        StateValue value;
        const Doc *list = NULL;
        (void)state_cache_load(assembly_states(w->assembly), SLICE("s"), clock_now(clock_real()),
                               &kept);
        bool there = state_get(&kept, SLICE("llm_history.a"), &value);
        assert_int_equal(there, strlen(CASES_OF[i].agent) > 0);
        if (there) {
            assert_int_equal(doc_parse(w->arena, value.text, NULL, &list, NULL), 0);
            state_value_done(&value);
            assert_int_equal(doc_count(list), CASES_OF[i].kept);
        }
        if (CASES_OF[i].kept > 0) { // the last one is whole, the first is the user's
            assert_true(slice_eq(doc_get(doc_first(list), SLICE("role"))->text, SLICE("user")));
            const Doc *last = doc_first(list);
            while (doc_next(last)) {
                last = doc_next(last);
            }
            assert_true(slice_eq(doc_get(last, SLICE("text"))->text, SLICE("said question 3")));
        }
        state_done(&kept);
        world_close(w);
    }
}

// The model is sent the earlier messages: its input grows by them, and by nothing else.
static void test_history_is_sent(void **state)
{
    (void)state;
    int64_t tokens[2];
    for (int on = 0; on < 2; on++) {
        World *w = world_open(&(Setup){.script = "rules: [{text: 'one two three four'}]",
                                       .agent = on ? "history = 10\n" : ""});
        char answer[256];
        for (int k = 0; k < 3; k++) {
            char question[32];
            (void)snprintf(question, sizeof question, "\"question number %d\"", k);
            assert_int_equal(ask_in(w, "s", question, answer, sizeof answer), 0);
        }
        tokens[on] = stop(w).input_tokens;
        world_close(w);
    }
    assert_true(tokens[1] > tokens[0] + 12); // 3 answers of 4 words, shown again
}

static void test_history_that_is_none(void **state)
{
    (void)state;
    static const char *const BAD[] = {"7", "{}", "[7]", "[{\"role\":\"user\"}]",
                                      "[{\"role\":\"tool\",\"text\":\"x\"}]"};
    Arena *arena = arena_create(1 << 20);
    LlmMessage messages[4];
    size_t count = 9;
    Err e = {0};
    for (size_t i = 0; i < COUNT_OF(BAD); i++) {
        State s = state_create();
        assert_int_equal(state_set_json(&s, SLICE("llm_history.a"), slice_from_cstr(BAD[i])), 0);
        assert_int_not_equal(llm_history_load(arena, &s, SLICE("a"), 4, messages, &count, &e), 0);
        assert_non_null(strstr(e.text, "llm_history"));
        state_done(&s);
    }
    arena_destroy(arena);
}

// The ceiling of bytes drops the oldest question with its answer.
static void test_history_is_bounded_in_bytes(void **state)
{
    (void)state;
    Arena *arena = arena_create(64 << 20);
    char *large = arena_alloc(arena, LLM_HISTORY_BYTES_MAX);
    memset(large, 'x', LLM_HISTORY_BYTES_MAX);
    for (int over = 0; over < 2; over++) {
        State s = state_create();
        LlmMessage old[8];
        size_t count = 0;
        Slice first = {large, LLM_HISTORY_BYTES_MAX - 4 + over};
        Err e = {0};
        assert_int_equal(llm_history_save(arena, &s, SLICE("a"), 8, NULL, 0, first, SLICE("b")), 0);
        assert_int_equal(llm_history_load(arena, &s, SLICE("a"), 8, old, &count, &e), 0);
        assert_int_equal(count, 2);
        assert_int_equal(
            llm_history_save(arena, &s, SLICE("a"), 8, old, count, SLICE("c"), SLICE("dd")), 0);
        assert_int_equal(llm_history_load(arena, &s, SLICE("a"), 8, old, &count, &e), 0);
        assert_int_equal(count, over ? 2 : 4);
        state_done(&s);
    }
    arena_destroy(arena);
}

static void test_streaming(void **state)
{
    (void)state;
    World *w = world_open(
        &(Setup){.script = "rules: [{text: 'one two three'}]", .agent = "stream = true\n"});
    EventSpec spec = {.target = SLICE("a"), .data = SLICE("\"?\"")};
    SubmitOptions submit = {.on_done = when_done, .on_chunk = keep_chunk, .arg = w};
    Err e = {0};
    assert_int_equal(runner_submit(assembly_runner(w->assembly), &spec, &submit, &e), 0);
    (void)assembly_stop(w->assembly, 10 * NS_PER_S); // drains
    w->stopped = true;
    assert_int_equal(w->tool_runs, 100);
    assert_string_equal(w->chunks, "one two three");
    world_close(w);
}

static void test_what_is_wrong_is_said_before_anything_runs(void **state)
{
    (void)state;
    static const struct {
        const char *toml, *words;
    } BAD[] = {
        {"[llm.openai]\nmodl = \"m\"\n[agents.a]\nllm = \"openai\"\n", "did you mean \"model\""},
        {"[llm.openai]\nmodel = \"m\"\n[agents.a]\nrole = \"analyst\"\n", "analyst"},
        {"[llm.openai]\nmodel = \"m\"\n[agents.a]\nllm = \"openai\"\n"
         "system_prompt_file = \"/nowhere/prompt\"\n",
         "/nowhere/prompt"},
    };
    for (size_t i = 0; i < COUNT_OF(BAD); i++) {
        Arena *arena = arena_create(16 << 20);
        const Doc *doc = NULL;
        const AgentConfig *config = NULL;
        Assembly *assembly = NULL;
        Err e = {0};
        DocOptions options = {.format = DOC_FORMAT_TOML, .source = "x.toml"};
        int rc = doc_parse(arena, slice_from_cstr(BAD[i].toml), &options, &doc, &e);
        rc = rc == 0 ? agent_config_read(arena, doc, &config, &e) : rc;
        rc = rc == 0 ? assembly_create(&(AssemblyOptions){.config = config}, &assembly, &e) : rc;
        if (rc == 0 || !strstr(e.text, BAD[i].words)) {
            fail_msg("case %zu: \"%s\"", i, e.text);
        }
        arena_destroy(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversations),
        cmocka_unit_test(test_connection_pooling),
        cmocka_unit_test(test_pool_size),
        cmocka_unit_test(test_batching_keys),
        cmocka_unit_test(test_equal_requests_are_answered_from_the_cache),
        cmocka_unit_test(test_budgets_are_refused_before_anything_is_sent),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_history_is_sent),
        cmocka_unit_test(test_history_that_is_none),
        cmocka_unit_test(test_history_is_bounded_in_bytes),
        cmocka_unit_test(test_streaming),
        cmocka_unit_test(test_what_is_wrong_is_said_before_anything_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
