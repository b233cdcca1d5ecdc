// The client that @modelcontextprotocol/conformance drives: told a scenario and a URL, it does with
// src/mcp what an agent would do. One verb for each scenario that wants something special; the rest
// list tools and call what they find.
//
//     MCP_CONFORMANCE_SCENARIO=tools_call mcp_conformance_client http://localhost:3000/mcp
//
// Also takes "-- CMD ..." instead of the URL, to say the same to a server over a pipe.
#include "base/json_write.h"
#include "mcp/client.h"
#include "os/signal.h"

typedef struct World {
    Loop *loop;
    FiberPool *pool;
    McpOptions options;
    const char *scenario;
    const char *context;
    int rc;
} World;

static int elicit(void *ctx, Slice method, const Doc *params, Buf *ret_result, Err *e)
{
    (void)ctx;
    (void)method;
    (void)e;
    mcp_elicit_defaults(params, ret_result);
    return 0;
}

static int sample(void *ctx, Slice method, const Doc *params, Buf *ret_result, Err *e)
{
    (void)ctx;
    (void)method;
    (void)params;
    (void)e;
    buf_puts(ret_result,
             "{\"role\":\"assistant\",\"content\":{\"type\":\"text\",\"text\":\"Paris\"},"
             "\"model\":\"none\"}");
    return 0;
}

static void say(void *ctx, Slice level, Slice text)
{
    (void)ctx;
    (void)fprintf(stderr, "%.*s: %.*s\n", SLICE_FMT(level), SLICE_FMT(text));
}

static int call(McpClient *c, Arena *arena, Slice name, Slice arguments, Err *e)
{
    McpToolCall request = {.name = name, .arguments = arguments};
    McpResult result;
    int rc = mcp_call_tool(c, arena, &request, &result, e);
    if (rc == 0) {
        Buf text = buf_create(1 << 20);
        mcp_text_of(result.result, &text);
        (void)fprintf(stderr, "%.*s -> %.*s\n", SLICE_FMT(name), SLICE_FMT(buf_slice(&text)));
        buf_done(&text);
        free(result.file);
    }
    return rc;
}

// A value for every property that is required, or mirrored into a header.
static Slice made_up(Arena *arena, const McpTool *tool)
{
    Buf out = buf_create(1 << 20);
    JsonWriter w = json_writer(&out, 0);
    json_object_begin(&w);
    const Doc *properties = doc_get(tool->input_schema, SLICE("properties"));
    for (const Doc *p = doc_first(properties); p; p = doc_next(p)) {
        const Doc *type = doc_get(p, SLICE("type"));
        Slice kind = type && type->type == DOC_STRING ? type->text : SLICE("");
        json_key(&w, p->key);
        if (slice_eq(kind, SLICE("number")) || slice_eq(kind, SLICE("integer"))) {
            json_int(&w, 3);
        } else if (slice_eq(kind, SLICE("boolean"))) {
            json_bool(&w, true);
        } else if (slice_eq(kind, SLICE("object"))) {
            json_object_begin(&w);
            json_object_end(&w);
        } else {
            json_string(&w, SLICE("one"));
        }
    }
    json_object_end(&w);
    Slice text = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return text;
}

static int call_all(McpClient *c, Arena *arena, const McpToolSet *tools, Err *e)
{
    int rc = 0;
    for (size_t i = 0; i < tools->count && rc == 0; i++) {
        rc = call(c, arena, tools->tools[i].name, made_up(arena, &tools->tools[i]), e);
    }
    return rc;
}

// {"toolCalls":[{"name":...,"arguments":{...}}]}
static int call_from_context(World *w, McpClient *c, Arena *arena, Err *e)
{
    const Doc *context = NULL;
    int rc = doc_parse(arena, slice_from_cstr(w->context), NULL, &context, e);
    const Doc *calls = rc == 0 ? doc_get(context, SLICE("toolCalls")) : NULL;
    for (const Doc *d = doc_first(calls); d && rc == 0; d = doc_next(d)) {
        Buf text = buf_create(1 << 20);
        JsonWriter writer = json_writer(&text, 0);
        doc_write(&writer, doc_get(d, SLICE("arguments")));
        rc = call(c, arena, doc_get(d, SLICE("name"))->text, buf_slice(&text), e);
        buf_done(&text);
    }
    return rc;
}

// The schema of the first tool goes back as it came.
static int echo_schema(McpClient *c, Arena *arena, const McpToolSet *tools, Err *e)
{
    const McpTool *focal = mcp_tool_find(tools, SLICE("json_schema_2020_12_tool"));
    if (!focal) {
        return err_set(e, ERR_NOT_FOUND, "no tool json_schema_2020_12_tool");
    }
    Buf text = buf_create(1 << 20);
    buf_puts(&text, "{\"schema\":");
    JsonWriter w = json_writer(&text, 0);
    doc_write(&w, focal->input_schema);
    buf_puts(&text, "}");
    int rc = call(c, arena, SLICE("json_schema_echo"), buf_slice(&text), e);
    buf_done(&text);
    return rc;
}

static int touch_everything(McpClient *c, Arena *arena, Err *e)
{
    McpItems items;
    McpResult result;
    int rc = mcp_list(c, arena, MCP_RESOURCES, &items, e);
    for (size_t i = 0; rc == 0 && i < items.count; i++) {
        rc = mcp_read_resource(c, arena, doc_get(items.items[i], SLICE("uri"))->text, NULL, &result,
                               e);
    }
    rc = rc != 0 ? rc : mcp_list(c, arena, MCP_PROMPTS, &items, e);
    for (size_t i = 0; rc == 0 && i < items.count; i++) {
        rc = mcp_get_prompt(c, arena, doc_get(items.items[i], SLICE("name"))->text,
                            (Slice){NULL, 0}, NULL, &result, e);
    }
    return rc;
}

// What only a whole server can show; for the official example server.
static int use_everything(McpClient *c, Arena *arena, Err *e)
{
    McpItems items;
    McpResult r;
    Buf text = buf_create(1 << 20);
    int rc = mcp_set_log_level(c, SLICE("debug"), e);
    rc = rc != 0 ? rc : mcp_list(c, arena, MCP_RESOURCES, &items, e);
    Slice uri = rc == 0 ? doc_get(items.items[0], SLICE("uri"))->text : (Slice){NULL, 0};
    rc = rc != 0 ? rc : mcp_read_resource(c, arena, uri, NULL, &r, e);
    rc = rc != 0 ? rc : mcp_subscribe(c, uri, true, e);
    rc = rc != 0 ? rc : mcp_subscribe(c, uri, false, e);
    rc = rc != 0 ? rc : mcp_list(c, arena, MCP_TEMPLATES, &items, e);
    rc = rc != 0 ? rc
                 : mcp_get_prompt(c, arena, SLICE("args-prompt"), SLICE("{\"city\":\"Rome\"}"),
                                  NULL, &r, e);
    if (rc == 0) {
        mcp_text_of(r.result, &text);
        (void)fprintf(stderr, "prompt: %s", text.data);
    }
    McpCompletion q = {.prompt = SLICE("completable-prompt"),
                       .argument = SLICE("department"),
                       .value = SLICE("E")};
    rc = rc != 0 ? rc : mcp_complete(c, arena, &q, &r, e);
    if (rc == 0) {
        const Doc *values = doc_get(doc_get(r.result, SLICE("completion")), SLICE("values"));
        (void)fprintf(stderr, "completed: %zu %.*s\n", doc_count(values),
                      SLICE_FMT(doc_at(values, 0)->text));
    }
    rc = rc != 0 ? rc : mcp_ping(c, 10 * NS_PER_S, e);
    buf_done(&text);
    return rc != 0 ? rc : call(c, arena, SLICE("get-roots-list"), SLICE("{}"), e);
}

static int play(World *w, McpClient *c, Arena *arena, Err *e)
{
    McpToolSet *tools = NULL;
    int rc = mcp_tools(c, &tools, e);
    if (rc != 0) {
        return rc;
    }
    if (w->context && strstr(w->context, "toolCalls")) {
        rc = call_from_context(w, c, arena, e);
    } else if (strcmp(w->scenario, "everything") == 0) {
        rc = use_everything(c, arena, e);
    } else if (strcmp(w->scenario, "json-schema-2020-12-preservation") == 0) {
        rc = echo_schema(c, arena, tools, e);
    } else if (strcmp(w->scenario, "json-schema-ref-no-deref") != 0) { // listing is all of that one
        rc = call_all(c, arena, tools, e);
    }
    if (rc == 0 && strcmp(w->scenario, "http-standard-headers") == 0) {
        rc = touch_everything(c, arena, e);
    }
    mcp_toolset_unref(tools);
    return rc;
}

static void run(void *arg)
{
    World *w = arg;
    Err e;
    McpClient *c = NULL;
    Arena *arena = arena_create(256 << 20);
    w->rc = mcp_connect(&w->options, &c, &e);
    if (w->rc == 0) {
        (void)fprintf(stderr, "connected: %.*s %.*s, version %.*s\n", SLICE_FMT(mcp_server_name(c)),
                      SLICE_FMT(mcp_server_version(c)), SLICE_FMT(mcp_version(c)));
        w->rc = play(w, c, arena, &e);
    }
    if (w->rc != 0) {
        (void)fprintf(stderr, "mcp_conformance_client: %s\n", e.text);
    }
    mcp_close(c);
    arena_destroy(arena);
    loop_stop(w->loop);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fprintf(stderr, "usage: mcp_conformance_client URL | -- CMD ...\n");
        return 2;
    }
    signals_block();
    const char *scenario = getenv("MCP_CONFORMANCE_SCENARIO");
    const char *version = getenv("MCP_CONFORMANCE_PROTOCOL_VERSION");
    World w = {.scenario = scenario ? scenario : "", .context = getenv("MCP_CONFORMANCE_CONTEXT")};
    Err e;
    if (loop_create(&(LoopOptions){0}, &w.loop, &e) != 0) {
        return 1;
    }
    w.pool = fiber_pool_create(w.loop, NULL);
    HttpContext *http = http_context_create(&(HttpContextOptions){.loop = w.loop});
    bool pipe = strcmp(argv[1], "--") == 0;
    w.options = (McpOptions){.pool = w.pool,
                             .argv = pipe ? (const char *const *)(argv + 2) : NULL,
                             .http = http,
                             .url = slice_from_cstr(pipe ? "" : argv[argc - 1]),
                             .handlers = {.elicit = elicit, .sample = sample, .log = say}};
    static const McpRoot ROOT = {SLICE_INIT("file:///srv/data"), SLICE_INIT("data")};
    if (strcmp(w.scenario, "everything") == 0) {
        w.options.handlers.roots = &ROOT;
        w.options.handlers.root_count = 1;
    }
    // The suite says which era a scenario is played in; without a word it is found out.
    if (version) {
        w.options.era = strcmp(version, MCP_VERSION_MODERN) == 0 ? MCP_ERA_MODERN : MCP_ERA_LEGACY;
    }
    if (fiber_spawn(w.pool, "client", run, &w)) {
        loop_run(w.loop);
    }
    (void)fiber_pool_drain(w.pool, NEVER_NS);
    http_context_destroy(http);
    fiber_pool_destroy(w.pool);
    loop_destroy(w.loop);
    return w.rc == 0 ? 0 : 1;
}
