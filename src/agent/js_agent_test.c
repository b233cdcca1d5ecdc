#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "agent/js_agent.h"
#include "agent/runner.h"

typedef struct World {
    ManualClock manual;
    Runner *runner;
    ToolSet *tools;
    bool started;
    Buf chunks;
    int64_t cpu_ns; // real time: only what loops for ever gets little of it
} World;

static int native_double(ToolCall *call, Err *e)
{
    // A tool that an agent calls finds the agent's context.
    assert_true(slice_eq(agent_name(tool_host(call)), SLICE("main")));
    char text[32];
    double n = doc_number(doc_get(tool_args(call), SLICE("n")));
    (void)snprintf(text, sizeof text, "{\"double\":%g}", 2 * n);
    int rc = fiber_sleep(5 * NS_PER_MS);
    return rc != 0 ? err_set(e, (ErrCode)rc, "cancelled")
                   : tool_return(call, slice_from_cstr(text), e);
}

static int echo(AgentContext *ctx, const Event *event, State *state)
{
    (void)state;
    int rc = agent_sleep(ctx, 10 * NS_PER_MS);
    return rc ? rc : agent_reply(ctx, event_data(event));
}

static int refuse(AgentContext *ctx, const Event *event, State *state)
{
    (void)event;
    (void)state;
    return agent_fail(ctx, ERR_REFUSED, "not today");
}

static int not_json(AgentContext *ctx, const Event *event, State *state)
{
    (void)event;
    (void)state;
    return agent_reply(ctx, SLICE("plain {words"));
}

static int model(void *arg, AgentContext *ctx, Slice request, Buf *answer, Err *e)
{
    (void)arg;
    if (slice_find(request, SLICE("\"fail\"")) >= 0) {
        return err_set(e, ERR_TIMEOUT, "the model did not answer");
    }
    int rc = agent_sleep(ctx, NS_PER_MS);
    buf_puts(answer, "{\"asked\":");
    buf_append(answer, request);
    buf_puts(answer, "}");
    return rc;
}

static int setup(void **state)
{
    World *w = mem_zalloc(sizeof *w);
    Err e;
    clock_manual_init(&w->manual, NS_PER_S, 0);
    w->chunks = buf_create(1 << 20);
    w->cpu_ns = 20 * NS_PER_S;
    RunnerOptions options = {.shards = 2, .manual = &w->manual, .stack_bytes = JS_STACK_BYTES};
    if (runner_create(&options, &w->runner, &e) != 0) {
        return -1;
    }
    w->tools = tool_set_create(&(ToolSetOptions){0});
    ToolSpec tool = {
        .name = SLICE("double"), .schema = SLICE("{\"required\":[\"n\"]}"), .run = native_double};
    const struct {
        const char *name;
        AgentRunFn *run;
    } agents[] = {{"echo", echo}, {"refuse", refuse}, {"words", not_json}};
    int rc = tool_add(w->tools, &tool, &e);
    for (size_t i = 0; i < COUNT_OF(agents) && rc == 0; i++) {
        AgentSpec spec = {.name = slice_from_cstr(agents[i].name), .run = agents[i].run};
        rc = runner_register(w->runner, &spec, NULL, &e);
    }
    *state = w;
    return rc;
}

static int teardown(void **state)
{
    World *w = *state;
    runner_destroy(w->runner);
    tool_set_destroy(w->tools);
    buf_done(&w->chunks);
    free(w);
    return 0;
}

static JsOptions options_of(World *w, const char *source)
{
    return (JsOptions){.entry = "main.js",
                       .source = slice_from_cstr(source),
                       .tools = w->tools,
                       .parallel_tools = 4,
                       .llm = model,
                       .limits = {.cpu_ns = w->cpu_ns, .heap_bytes = 8 << 20},
                       .check_leaks = true};
}

static void add_agent(World *w, const char *name, const char *source)
{
    Err e;
    AgentSpec spec = {.name = slice_from_cstr(name)};
    JsOptions options = options_of(w, source);
    if (js_agent_create(&options, &spec, &e) != 0 ||
        runner_register(w->runner, &spec, NULL, &e) != 0) {
        fail_msg("%s", e.text);
    }
}

static int ask(World *w, const char *data, AgentResult *result)
{
    Err e;
    if (!w->started) {
        assert_int_equal(runner_start(w->runner, &e), 0);
        w->started = true;
    }
    EventSpec spec = {.target = SLICE("main"),
                      .type = SLICE("question"),
                      .session = SLICE("s1"),
                      .data = slice_from_cstr(data)};
    *result = (AgentResult){0};
    int rc = runner_call(w->runner, &spec, NULL, result, &e);
    return rc;
}

// One agent "main" with that handler, asked once.
static void expect(const char *handler, const char *data, int code, const char *text)
{
    void *state;
    assert_int_equal(setup(&state), 0);
    World *w = state;
    w->cpu_ns = strstr(handler, "for (;;) {}") ? 20 * NS_PER_MS : w->cpu_ns;
    Buf source = buf_create(1 << 16);
    buf_printf(&source, "export default %s", handler);
    add_agent(w, "main", source.data);
    AgentResult result;
    int rc = ask(w, data, &result);
    Slice got = rc == 0 ? result.data : slice_from_cstr(result.reason);
    if (rc != code || slice_find(got, slice_from_cstr(text)) < 0 ||
        (rc == 0 && got.len != strlen(text))) {
        fail_msg("%s\n-> %d %.*s", handler, rc, SLICE_FMT(got));
    }
    agent_result_done(&result);
    buf_done(&source);
    assert_int_equal(teardown(&state), 0);
}

static void test_handlers(void **state)
{
    (void)state;
    static const struct {
        const char *handler, *data;
        int code;
        const char *text;
    } cases[] = {
        {"(event) => event.data.n + 1", "{\"n\":1}", 0, "2"},
        {"(event) => [event.type, event.target, event.source, event.session, event.priority,"
         " event.attempt, typeof event.id]",
         "", 0, "[\"question\",\"main\",null,\"s1\",\"normal\",1,\"string\"]"},
        {"(event) => event.data", "", 0, "null"},
        // Data that is no JSON is text, and cannot pose as members of the event.
        {"(event) => [event.data, event.type]", "1,\"type\":\"forged\"", 0,
         "[\"1,\\\"type\\\":\\\"forged\\\"\",\"question\"]"},
        {"() => undefined", "", 0, ""},
        {"(event, state, ctx) => { ctx.reply({a: 1}) }", "", 0, "{\"a\":1}"},
        {"async (event, state, ctx) => { await null; ctx.sleep(5); return ctx.now() }", "", 0,
         "1005"},
        {"(event, state, ctx) => ctx.timeLeft()", "", 0, "null"},
        {"() => { throw new TypeError('no') }", "", ERR_SCRIPT, "TypeError: no"},
        {"() => null.x", "", ERR_SCRIPT, "main.js:1:"},
        {"() => { for (;;) {} }", "", ERR_LIMIT, "computed for more than its 20 ms"},
        {"() => { const a = []; for (;;) a.push([]) }", "", ERR_LIMIT, "8192 KiB of heap"},
        // State.
        {"(e, s) => { s.set('a', {b: [1]}); s.set('n', 5); s.set('x', 1.5); s.set('t', 'text');"
         " s.set('y', true); s.set('z', null); s.set('gone', 1); s.set('gone', undefined);"
         " return [s.get('a').b[0], s.get('n'), s.get('x'), s.get('t'), s.get('y'), s.get('z'),"
         " s.get('gone') === undefined, s.has('a'), s.delete('a'), s.delete('a'),"
         " s.keys().sort().join()] }",
         "", 0, "[1,5,1.5,\"text\",true,null,true,true,true,false,\"n,t,x,y,z\"]"},
        {"(e, s) => { s.set('k', 'v'); s.set('j', [1]); return s }", "", 0,
         "{\"j\":[1],\"k\":\"v\"}"},
        {"(e, s) => s.set('k', NaN)", "", ERR_ARG, "state cannot hold"},
        {"(e, s) => s.set('k'.repeat(300), 1)", "", ERR_LIMIT, "too large"},
        {"(e, s) => s.set(5, 1)", "", ERR_ARG, "the key must be a string"},
        // Other agents.
        {"(e, s, ctx) => ctx.call('echo', {x: e.data})", "7", 0, "{\"x\":7}"},
        {"async (e, s, ctx) => await ctx.call({target: 'echo', data: [1], type: 't'})", "", 0,
         "[1]"},
        {"(e, s, ctx) => ctx.call('words', 1)", "", 0, "\"plain {words\""},
        {"(e, s, ctx) => ctx.call('refuse', 1)", "", ERR_REFUSED, "not today"},
        {"(e, s, ctx) => { try { ctx.call('refuse', 1) } catch (x) { return [x.code, x.message] } "
         "}",
         "", 0, "[\"ERR_REFUSED\",\"agent \\\"refuse\\\": not today\"]"},
        {"(e, s, ctx) => ctx.call('nobody', 1)", "", ERR_NOT_FOUND, "nobody"},
        {"(e, s, ctx) => ctx.call('echo', 1, {timeout: 5})", "", ERR_TIMEOUT, ""},
        {"(e, s, ctx) => ctx.call('echo', 1, {prioritty: 'high'})", "", ERR_PARSE, "priority"},
        {"(e, s, ctx) => ctx.call({data: 1})", "", ERR_ARG, "names no target"},
        {"(e, s, ctx) => { const t = ctx.now(); const r = ctx.callAll([{target: 'echo', data: 1},"
         " {target: 'echo', data: 2}, {agent: 'words'}]); return [r, ctx.now() - t] }",
         "", 0, "[[1,2,\"plain {words\"],10]"},
        {"(e, s, ctx) => ctx.callAll([{target: 'echo', data: 1}, {target: 'refuse'},"
         " {target: 'echo', data: 3}])",
         "", ERR_REFUSED, "agent \"refuse\": not today"},
        {"(e, s, ctx) => ctx.callAll([{target: 'echo', data: 1}, {target: 'refuse'}],"
         " {settle: true})",
         "", 0, "[{\"value\":1},{\"error\":\"not today\",\"code\":\"ERR_REFUSED\"}]"},
        {"(e, s, ctx) => ctx.callAll(Array(257).fill({target: 'echo'}))", "", ERR_LIMIT,
         "257 calls"},
        {"(e, s, ctx) => ctx.callAll([])", "", 0, "[]"},
        {"() => { const g = (d) => d === 0 ? 0 : 1 + g(d - 1); return g(150) }", "", 0, "150"},
        // Tools and models.
        {"(e, s, ctx) => ctx.tool('double', {n: 4})", "", 0, "{\"double\":8}"},
        {"(e, s, ctx) => ctx.tool('double', {})", "", ERR_ARG, "\"n\" is missing"},
        {"(e, s, ctx) => { const t = ctx.now(); const r = ctx.tools([{name: 'double', args: {n: "
         "1}},"
         " {name: 'double', args: {n: 2}}]); return [r, ctx.now() - t] }",
         "", 0, "[[{\"double\":2},{\"double\":4}],5]"},
        {"(e, s, ctx) => ctx.tools([{name: 'gone'}, {name: 'double', args: {n: 2}}],"
         " {settle: true}).map(r => r.code ?? r.value)",
         "", 0, "[\"ERR_NOT_FOUND\",{\"double\":4}]"},
        {"(e, s, ctx) => ctx.tools([{name: 'gone'}])", "", ERR_NOT_FOUND, "no tool \"gone\""},
        {"(e, s, ctx) => ctx.llm({prompt: 'hi'}).asked.prompt", "", 0, "\"hi\""},
        {"(e, s, ctx) => ctx.llm({prompt: 'fail'})", "", ERR_TIMEOUT, "did not answer"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        expect(cases[i].handler, cases[i].data, cases[i].code, cases[i].text);
    }
}

static void test_state_lives_on_between_agents(void **state)
{
    World *w = *state;
    add_agent(w, "main",
              "export default (e, s, ctx) => { s.set('seen', 1); ctx.emit('later', {n: 5});"
              " return s.get('seen') }");
    add_agent(w, "later", "export default (e, s, ctx) => ctx.log('later', e.data, e.source)");
    AgentResult result;
    assert_int_equal(ask(w, "", &result), 0);
    assert_int_equal(state_get_int(&result.state, SLICE("seen"), 0), 1);
    agent_result_done(&result);
    while (runner_step(w->runner)) {
    }
    RunnerCounts counts = runner_counts(w->runner);
    assert_int_equal(counts.handled, 2);
    assert_int_equal(counts.failed, 0);
}

// Agents that wait hold an instance each; they share none.
static void test_many_at_once(void **state)
{
    World *w = *state;
    add_agent(w, "main",
              "let n = 0; export default (e, s, ctx) => { n++; const mine = n;"
              " ctx.sleep(10); return mine === n ? ctx.call('echo', e.data) : 'shared' }");
    Err e;
    assert_int_equal(runner_start(w->runner, &e), 0);
    w->started = true;
    for (int i = 0; i < 100; i++) {
        EventSpec spec = {.target = SLICE("main"), .data = SLICE("1")};
        assert_int_equal(runner_emit(w->runner, &spec, &e), 0);
    }
    while (runner_step(w->runner)) {
    }
    RunnerCounts counts = runner_counts(w->runner);
    assert_int_equal(counts.handled, 200);
    assert_int_equal(counts.failed, 0);
}

static void test_stopping_ends_endless_and_waiting_agents(void **state)
{
    World *w = *state;
    add_agent(w, "main",
              "export default (e, s, ctx) => { for (;;) { try { ctx.sleep(1e9) }"
              " catch (x) {} } }");
    Err e;
    assert_int_equal(runner_start(w->runner, &e), 0);
    w->started = true;
    EventSpec spec = {.target = SLICE("main")};
    assert_int_equal(runner_emit(w->runner, &spec, &e), 0);
    assert_int_equal(runner_emit(w->runner, &spec, &e), 0);
    assert_int_equal(runner_stop(w->runner, NS_PER_S), 2);
    assert_int_equal(runner_counts(w->runner).failed, 2);
}

static void on_chunk(void *arg, Slice chunk)
{
    World *w = arg;
    buf_append(&w->chunks, chunk);
    buf_putc(&w->chunks, '|');
}

static void on_done(void *arg, AgentResult *result)
{
    (void)arg;
    assert_int_equal(result->code, 0);
}

static void test_streaming(void **state)
{
    World *w = *state;
    add_agent(w, "main",
              "export default (e, s, ctx) => { for (const x of ['a', {b: 1}, 'c'])"
              " ctx.stream(x); return 'end' }");
    Err e;
    assert_int_equal(runner_start(w->runner, &e), 0);
    w->started = true;
    EventSpec spec = {.target = SLICE("main")};
    SubmitOptions submit = {.on_done = on_done, .on_chunk = on_chunk, .arg = w};
    assert_int_equal(runner_submit(w->runner, &spec, &submit, &e), 0);
    while (runner_step(w->runner)) {
    }
    assert_string_equal(w->chunks.data, "a|{\"b\":1}|c|");
}

static void test_what_is_no_agent(void **state)
{
    World *w = *state;
    static const struct {
        const char *source;
        int code;
        const char *text;
    } cases[] = {
        {"export const f = 1", ERR_NOT_FOUND, "has no default function"},
        {"export default 5", ERR_NOT_FOUND, "has no default function"},
        {"export default function (", ERR_PARSE, "SyntaxError"},
        {"import './x.js'; export default () => 1", ERR_NOT_FOUND, "no directory"},
        {"throw new Error('top')", ERR_SCRIPT, "top"},
        {"for (;;) {}", ERR_LIMIT, "computed for more"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Err e;
        AgentSpec spec = {0};
        JsOptions options = options_of(w, cases[i].source);
        options.limits.cpu_ns = strstr(cases[i].source, "for (;;)") ? 20 * NS_PER_MS : w->cpu_ns;
        int rc = js_agent_create(&options, &spec, &e);
        if (rc != cases[i].code || !strstr(e.text, cases[i].text)) {
            fail_msg("%s: %d %s", cases[i].source, rc, e.text);
        }
    }
}

// ---- tools

static void test_tools(void **state)
{
    World *w = *state;
    static const struct {
        const char *name, *source;
    } tools[] = {
        {"add", "export const description = 'Adds';"
                "export const schema = {type: 'object', properties: {a: {type: 'number'},"
                " b: {type: 'number'}}, required: ['a', 'b']};"
                "export default async ({a, b}) => a + b"},
        {"rows", "export const paginated = true;"
                 "export default (args, ctx) => { const {size, token} = ctx.page();"
                 " const from = Number(token || 0);"
                 " for (let i = from; i < 5 && i < from + size; i++) ctx.item({i});"
                 " if (from + size < 5) ctx.nextPage(String(from + size)) }"},
        {"large", "export default () => 'x'.repeat(2 << 20)"},
        {"huge", "export default () => 'x'.repeat(100 << 20)"},
        {"loop", "export default () => { for (;;) {} }"},
        {"thrower", "export default () => { throw new Error('tool broke') }"},
        {"sleeper", "export default (args, ctx) => { ctx.sleep(1e9) }"},
    };
    Err e;
    for (size_t i = 0; i < COUNT_OF(tools); i++) {
        JsOptions options = options_of(w, tools[i].source);
        options.limits.cpu_ns = strcmp(tools[i].name, "loop") == 0 ? 20 * NS_PER_MS : w->cpu_ns;
        options.timeout_ns = 20 * NS_PER_MS;
        if (js_tool_add(w->tools, slice_from_cstr(tools[i].name), &options, &e) != 0) {
            fail_msg("%s: %s", tools[i].name, e.text);
        }
    }
    ToolInfo info;
    assert_true(tool_find(w->tools, SLICE("add"), &info));
    assert_true(slice_eq(info.description, SLICE("Adds")));
    add_agent(w, "main",
              "const t = (ctx, name, args) => { try { return ctx.tool(name, args) }"
              " catch (e) { return e.code } };"
              "export default (e, s, ctx) => [t(ctx, 'add', {a: 1, b: 2}), t(ctx, 'add', {a: 1}),"
              " t(ctx, 'rows', {page_size: 2}), t(ctx, 'rows', {page_size: 2, page_token: '4'}),"
              " t(ctx, 'large'), t(ctx, 'huge'), t(ctx, 'loop'), t(ctx, 'thrower'),"
              " t(ctx, 'sleeper')]");
    AgentResult result;
    assert_int_equal(ask(w, "", &result), 0);
    assert_true(slice_eq(
        result.data,
        SLICE("[3,\"ERR_ARG\","
              "{\"results\":[{\"i\":0},{\"i\":1}],\"page_size\":2,\"has_more\":true,"
              "\"next_page_token\":\"2\"},"
              "{\"results\":[{\"i\":4}],\"page_size\":2,\"has_more\":false},"
              "\"ERR_LIMIT\",\"ERR_LIMIT\",\"ERR_LIMIT\",\"ERR_SCRIPT\",\"ERR_TIMEOUT\"]")));
    agent_result_done(&result);
    JsOptions bad = options_of(w, "export const description = 5; export default () => 1");
    assert_int_equal(js_tool_add(w->tools, SLICE("bad"), &bad, &e), ERR_ARG);
    bad = options_of(w, "export const schema = {type: 'odd'}; export default () => 1");
    assert_int_equal(js_tool_add(w->tools, SLICE("bad"), &bad, &e), ERR_PARSE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handlers),
        TEST(test_state_lives_on_between_agents),
        TEST(test_many_at_once),
        TEST(test_stopping_ends_endless_and_waiting_agents),
        TEST(test_streaming),
        TEST(test_what_is_no_agent),
        TEST(test_tools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
