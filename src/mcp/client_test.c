// The client against a server in this process that does what a test wants: progress, questions,
// cancelling, sessions that are forgotten, results that go to a file. Real peers are in
// test/mcp_test.py.
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <unistd.h>

#include "mcp/client.h"
#include "net/server.h"
#include "os/file.h"
#include "os/signal.h"

typedef struct World {
    Loop *loop;
    FiberPool *fibers;
    HttpContext *http;
    HttpServer *server;
    char url[64];
    McpOptions options;
    Arena *arena;
    bool legacy;
    const char *list_changed; // "true" or "false": what the older server declares
    // What the server saw.
    unsigned initialised;
    unsigned listed;
    unsigned cancelled; // notifications/cancelled
    unsigned given_up;  // streams whose reader left
    Buf asked;          // the last subscriptions/listen or answer to a question
    unsigned pages;     // of the list of tools, of one tool each; 0: one
    unsigned rounds;    // that the next calls ask back
    bool hanging;       // in a call that says nothing
    bool forget_session;
    Fiber *asking;
    // What the client told.
    Buf told;
} World;

static void reply_json(HttpReply *reply, int64_t id, const char *result)
{
    Buf text = buf_create(8 << 20);
    rpc_write_result(&text, (RpcId){.kind = RPC_ID_NUMBER, .number = id}, slice_from_cstr(result));
    (void)http_reply_send(reply, 200, SLICE("application/json"), buf_slice(&text), NULL);
    buf_done(&text);
}

static int event(HttpReply *reply, const char *format, ...) PRINTF_LIKE(2, 3);
static int event(HttpReply *reply, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    Buf line = buf_create(2048);
    buf_printf(&line, "data: %.*s\n\n", n, text);
    int rc = http_reply_write(reply, buf_slice(&line), NULL);
    buf_done(&line);
    return rc;
}

static void progress(const RpcMessage *m, HttpReply *reply)
{
    const Doc *token = doc_get(doc_get(m->params, SLICE("_meta")), SLICE("progressToken"));
    (void)http_reply_begin(reply, 200, SLICE("text/event-stream"), NULL);
    for (int i = 1; i <= 2; i++) {
        (void)event(reply,
                    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":"
                    "{\"progressToken\":%lld,\"progress\":%d,\"total\":2,\"message\":\"m%d\"}}",
                    token ? (long long)token->integer : -1LL, i, i);
    }
    (void)event(reply,
                "{\"jsonrpc\":\"2.0\",\"id\":%lld,\"result\":{\"resultType\":\"complete\","
                "\"content\":[]}}",
                (long long)m->id.number);
}

// Says nothing for ever; notices when the reader leaves.
static void hang(World *w, HttpReply *reply)
{
    (void)http_reply_begin(reply, 200, SLICE("text/event-stream"), NULL);
    w->hanging = true;
    while (http_reply_write(reply, SLICE(": \n\n"), NULL) == 0 && fiber_sleep(5 * NS_PER_MS) == 0) {
    }
    w->given_up++;
}

static void ask(World *w, const RpcMessage *m, HttpReply *reply)
{
    (void)http_reply_begin(reply, 200, SLICE("text/event-stream"), NULL);
    (void)event(reply, "{\"jsonrpc\":\"2.0\",\"id\":\"q\",\"method\":\"elicitation/create\","
                       "\"params\":{\"message\":\"who?\"}}");
    w->asking = fiber_self();
    (void)!fiber_park("answer", NEVER_NS);
    w->asking = NULL;
    (void)event(reply, "{\"jsonrpc\":\"2.0\",\"id\":%lld,\"result\":{\"content\":[]}}",
                (long long)m->id.number);
}

static void large(const RpcMessage *m, HttpReply *reply, bool stream)
{
    Buf text = buf_create(1 << 20);
    buf_printf(&text,
               "%s{\"jsonrpc\":\"2.0\",\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"",
               stream ? "data: " : "");
    for (int i = 0; i < 20000; i++) {
        buf_puts(&text, "large ");
    }
    buf_printf(&text, "\"}]},\"id\":%lld}%s", (long long)m->id.number, stream ? "\n\n" : "");
    Slice type = stream ? SLICE("text/event-stream") : SLICE("application/json");
    (void)http_reply_send(reply, 200, type, buf_slice(&text), NULL);
    buf_done(&text);
}

static void call_tool(World *w, const RpcMessage *m, HttpReply *reply)
{
    Slice name = doc_get(m->params, SLICE("name"))->text;
    if (slice_eq(name, SLICE("progress"))) {
        progress(m, reply);
    } else if (slice_eq(name, SLICE("hang"))) {
        hang(w, reply);
    } else if (slice_eq(name, SLICE("ask"))) {
        ask(w, m, reply);
    } else if (w->rounds > 0) {
        w->rounds--;
        reply_json(reply, m->id.number,
                   "{\"resultType\":\"input_required\",\"requestState\":\"s\",\"inputRequests\":"
                   "{\"r\":{\"method\":\"roots/list\"}}}");
    } else if (slice_starts_with(name, SLICE("large"))) {
        large(m, reply, slice_eq(name, SLICE("large-stream")));
    } else {
        reply_json(reply, m->id.number, "{\"resultType\":\"complete\",\"content\":[]}");
    }
}

static void list_tools(World *w, const RpcMessage *m, HttpReply *reply)
{
    const Doc *cursor = doc_get(m->params, SLICE("cursor"));
    int64_t page = 1;
    if (cursor) {
        assert_int_equal(slice_to_i64(cursor->text, &page), 0);
    }
    char next[40] = "";
    if (page < w->pages) {
        (void)snprintf(next, sizeof next, "\"nextCursor\":\"%lld\",", (long long)page + 1);
    }
    char result[200];
    (void)snprintf(result, sizeof result,
                   "{%s\"resultType\":\"complete\",\"ttlMs\":60000,\"tools\":[{\"name\":\"a\","
                   "\"inputSchema\":{}}]}",
                   next);
    w->listed++;
    reply_json(reply, m->id.number, result);
}

static void begin_session(World *w, const RpcMessage *m, HttpReply *reply)
{
    char session[32];
    char result[256];
    (void)snprintf(session, sizeof session, "session-%u", ++w->initialised);
    (void)snprintf(result, sizeof result,
                   "{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{\"tools\":"
                   "{\"listChanged\":%s}},\"serverInfo\":{\"name\":\"fake\",\"version\":\"1\"}}",
                   w->list_changed);
    (void)!http_reply_header(reply, SLICE("Mcp-Session-Id"), slice_from_cstr(session), NULL);
    reply_json(reply, m->id.number, result);
}

static void keep_asked(World *w, const HttpServerRequest *request)
{
    buf_reset(&w->asked);
    buf_append(&w->asked, request->body);
}

static void serve(World *w, const HttpServerRequest *request, const RpcMessage *m, HttpReply *reply)
{
    if (m->kind == RPC_NOTIFICATION) {
        w->cancelled += slice_eq(m->method, SLICE("notifications/cancelled"));
        (void)http_reply_send(reply, 202, (Slice){NULL, 0}, (Slice){NULL, 0}, NULL);
    } else if (m->kind != RPC_REQUEST) { // the answer to our question
        keep_asked(w, request);
        (void)http_reply_send(reply, 202, (Slice){NULL, 0}, (Slice){NULL, 0}, NULL);
        fiber_resume(w->asking);
    } else if (slice_eq(m->method, SLICE("server/discover"))) {
        if (w->legacy) {
            (void)http_reply_send(reply, 400, SLICE("text/plain"), SLICE("session?"), NULL);
        } else {
            reply_json(reply, m->id.number,
                       "{\"resultType\":\"complete\",\"supportedVersions\":[\"2026-07-28\"],"
                       "\"capabilities\":{\"tools\":{}},\"ttlMs\":0,\"cacheScope\":\"public\"}");
        }
    } else if (slice_eq(m->method, SLICE("initialize"))) {
        begin_session(w, m, reply);
    } else if (slice_eq(m->method, SLICE("subscriptions/listen"))) {
        keep_asked(w, request);
        hang(w, reply);
    } else if (slice_eq(m->method, SLICE("tools/list"))) {
        list_tools(w, m, reply);
    } else {
        keep_asked(w, request);
        call_tool(w, m, reply);
    }
}

static void handle(void *ctx, const HttpServerRequest *request, HttpReply *reply)
{
    World *w = ctx;
    Slice session = http_head_get(request->head, SLICE("mcp-session-id"));
    char current[32];
    (void)snprintf(current, sizeof current, "session-%u", w->initialised);
    if (!slice_eq(request->method, SLICE("POST"))) {
        (void)http_reply_send(reply, 405, (Slice){NULL, 0}, (Slice){NULL, 0}, NULL);
        return;
    }
    Arena *arena = arena_create(1 << 20);
    RpcMessage m;
    assert_int_equal(rpc_parse(arena, request->body, NULL, &m, NULL), 0);
    bool forget = w->forget_session && slice_eq(m.method, SLICE("tools/call"));
    bool lost = session.len > 0 && (forget || !slice_eq_cstr(session, current));
    if (lost) {
        w->forget_session = false;
        (void)http_reply_send(reply, 404, SLICE("application/json"),
                              SLICE("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":"
                                    "{\"code\":-32001,\"message\":\"Session not found\"}}"),
                              NULL);
    } else {
        serve(w, request, &m, reply);
    }
    arena_destroy(arena);
}

static int setup(void **state)
{
    World *w = mem_zalloc(sizeof *w);
    *state = w;
    int rc = loop_create(&(LoopOptions){0}, &w->loop, NULL);
    w->fibers = fiber_pool_create(w->loop, NULL);
    w->http = http_context_create(&(HttpContextOptions){.loop = w->loop});
    HttpServerOptions o = {.loop = w->loop, .pool = w->fibers, .handler = handle, .ctx = w};
    assert_int_equal(http_server_open(&o, &w->server, NULL), 0);
    NetAddr addr = http_server_addr(w->server);
    (void)snprintf(w->url, sizeof w->url, "http://127.0.0.1:%u/mcp", net_addr_port(&addr));
    w->options = (McpOptions){.pool = w->fibers, .http = w->http, .url = slice_from_cstr(w->url)};
    w->arena = arena_create(16 << 20);
    w->asked = buf_create(1 << 20);
    w->told = buf_create(1 << 20);
    w->list_changed = "false";
    return rc;
}

static int teardown(void **state)
{
    World *w = *state;
    (void)http_server_drain(w->server, 0);
    http_server_destroy(w->server);
    http_context_destroy(w->http);
    (void)fiber_pool_drain(w->fibers, NEVER_NS);
    fiber_pool_destroy(w->fibers);
    loop_destroy(w->loop);
    arena_destroy(w->arena);
    buf_done(&w->asked);
    buf_done(&w->told);
    free(w);
    return 0;
}

static void run(World *w, FiberFn *fn)
{
    FiberGroup group = {0};
    assert_non_null(fiber_group_spawn(&group, w->fibers, "test", fn, w));
    while (group.alive > 0) {
        (void)loop_tick(w->loop, NEVER_NS);
    }
}

static McpClient *connect_to(World *w)
{
    McpClient *c = NULL;
    Err e;
    int rc = mcp_connect(&w->options, &c, &e);
    if (rc != 0) {
        fail_msg("%s", e.text);
    }
    return c;
}

// ---- progress

static void note_progress(void *ctx, const McpProgress *p)
{
    World *w = ctx;
    buf_printf(&w->told, "%.0f/%.0f %.*s;", p->progress, p->total, SLICE_FMT(p->message));
}

static void progressing(void *arg)
{
    World *w = arg;
    McpClient *c = connect_to(w);
    McpToolCall call = {.name = SLICE("progress"),
                        .arguments = SLICE(" {\"big\": 12345678901234567890} "),
                        .options = {.progress = note_progress,
                                    .ctx = w,
                                    .traceparent = SLICE("00-0af7651916cd43dd8448eb211c80319c-"
                                                         "b7ad6b7169203331-01")}};
    McpResult r;
    assert_int_equal(mcp_call_tool(c, w->arena, &call, &r, NULL), 0);
    assert_string_equal(w->told.data, "1/2 m1;2/2 m2;");
    assert_non_null(strstr(w->asked.data, "\"traceparent\":\"00-0af7651916cd43dd8448eb211c80319c-"
                                          "b7ad6b7169203331-01\""));
    // Sent as it was written: a number beyond 64 bits is not rounded.
    assert_non_null(strstr(w->asked.data, "\"arguments\":{\"big\": 12345678901234567890}"));
    mcp_close(c);
}

static void test_progress_comes_to_the_call_it_belongs_to(void **state)
{
    run(*state, progressing);
}

// ---- cancelling

static void call_hang(void *arg)
{
    World *w = arg;
    McpClient *c = connect_to(w);
    McpToolCall call = {.name = SLICE("hang")};
    McpResult r;
    Err e;
    assert_int_equal(mcp_call_tool(c, w->arena, &call, &r, &e), ERR_CANCELLED);
    assert_int_equal(mcp_outstanding(c), 0);
    fiber_clear_cancel();
    while (w->given_up == 0) { // the server sees it soon
        assert_int_equal(fiber_sleep(NS_PER_MS), 0);
    }
    mcp_close(c);
}

static void cancelling(void *arg)
{
    World *w = arg;
    FiberGroup group = {0};
    Fiber *fiber = fiber_group_spawn(&group, w->fibers, "call", call_hang, w);
    assert_non_null(fiber);
    while (!w->hanging) {
        assert_int_equal(fiber_sleep(NS_PER_MS), 0);
    }
    fiber_cancel(fiber);
    assert_int_equal(fiber_group_wait(&group, NEVER_NS), 0);
}

static void test_cancelling_closes_the_stream(void **state)
{
    World *w = *state;
    run(w, cancelling);
    assert_int_equal(w->cancelled, 0); // the newer era has no message for it over HTTP
}

static void test_cancelling_is_said_in_a_session(void **state)
{
    World *w = *state;
    w->legacy = true;
    run(w, cancelling);
    assert_int_equal(w->cancelled, 1);
}

// ---- sessions

static void forgetting(void *arg)
{
    World *w = arg;
    w->legacy = true;
    McpClient *c = connect_to(w);
    assert_string_equal(mcp_version(c).ptr, "2025-06-18");
    McpToolCall call = {.name = SLICE("a")};
    McpResult r;
    w->forget_session = true;
    assert_int_equal(mcp_call_tool(c, w->arena, &call, &r, NULL), 0);
    assert_int_equal(w->initialised, 2);
    mcp_close(c);
}

static void test_a_forgotten_session_is_begun_anew(void **state)
{
    run(*state, forgetting);
}

// ---- questions

static int say_name(void *ctx, Slice method, const Doc *params, Buf *ret_result, Err *e)
{
    (void)ctx;
    (void)method;
    (void)e;
    assert_true(slice_eq(doc_get(params, SLICE("message"))->text, SLICE("who?")));
    assert_int_equal(fiber_sleep(NS_PER_MS), 0); // may park
    buf_puts(ret_result, "{\"action\":\"accept\",\"content\":{\"name\":\"me\"}}");
    return 0;
}

static void asking(void *arg)
{
    World *w = arg;
    w->legacy = true;
    w->options.handlers.elicit = say_name;
    McpClient *c = connect_to(w);
    McpToolCall call = {.name = SLICE("ask")};
    McpResult r;
    assert_int_equal(mcp_call_tool(c, w->arena, &call, &r, NULL), 0);
    assert_string_equal(w->asked.data, "{\"jsonrpc\":\"2.0\",\"id\":\"q\",\"result\":{\"action\":"
                                       "\"accept\",\"content\":{\"name\":\"me\"}}}");
    mcp_close(c);
}

static void test_a_question_inside_of_a_call(void **state)
{
    run(*state, asking);
}

// ---- lists

static void listing(void *arg)
{
    World *w = arg;
    McpClient *c = connect_to(w);
    for (int i = 0; i < 3; i++) {
        McpToolSet *tools = NULL;
        assert_int_equal(mcp_tools(c, &tools, NULL), 0);
        assert_int_equal(tools->count, 1);
        mcp_toolset_unref(tools);
    }
    mcp_close(c);
}

static void test_lists_are_kept_as_long_as_allowed(void **state)
{
    World *w = *state;
    run(w, listing);
    assert_int_equal(w->listed, 1); // ttlMs
    w->legacy = true;
    w->listed = 0;
    run(w, listing);
    assert_int_equal(w->listed, 3); // the server does not say when it changes
    w->list_changed = "true";
    w->listed = 0;
    run(w, listing);
    assert_int_equal(w->listed, 1);
}

// ---- subscriptions

static void subscribing(void *arg)
{
    World *w = arg;
    McpClient *c = connect_to(w);
    static const char *const URIS[] = {"a:1", "b:\"2\"", "c:3"};
    for (size_t i = 0; i < COUNT_OF(URIS); i++) {
        assert_int_equal(mcp_subscribe(c, slice_from_cstr(URIS[i]), true, NULL), 0);
    }
    assert_int_equal(mcp_subscribe(c, SLICE("b:\"2\""), false, NULL), 0);
    const char *wanted = "\"resourceSubscriptions\":[\"a:1\",\"c:3\"]";
    while (!w->asked.data || !strstr(w->asked.data, wanted)) {
        assert_int_equal(fiber_sleep(NS_PER_MS), 0);
    }
    assert_int_equal(mcp_outstanding(c), 0); // listening is no request of anybody
    mcp_close(c);
}

static void test_subscriptions_of_the_newer_era(void **state)
{
    run(*state, subscribing);
}

// ---- large results

static void spilling(void *arg)
{
    World *w = arg;
    char directory[] = "/tmp/pw-spill-XXXXXX";
    assert_non_null(mkdtemp(directory));
    w->options.limits = (McpLimits){.message_bytes_max = 64 << 10, .spill_directory = directory};
    McpClient *c = connect_to(w);
    static const char *const TOOLS[] = {"large", "large-stream"};
    for (size_t i = 0; i < COUNT_OF(TOOLS); i++) {
        McpToolCall call = {.name = slice_from_cstr(TOOLS[i])};
        McpResult r;
        Err e;
        assert_int_equal(mcp_call_tool(c, w->arena, &call, &r, &e), 0);
        assert_null(r.result);
        Buf text = buf_create(1 << 20);
        assert_int_equal(file_read(r.file, &text, NULL), 0);
        assert_int_equal(text.len, r.bytes);
        Arena *arena = arena_create(16 << 20);
        RpcMessage m;
        assert_int_equal(rpc_parse(arena, buf_slice(&text), NULL, &m, NULL), 0);
        Buf words = buf_create(1 << 20);
        mcp_text_of(m.result, &words);
        assert_int_equal(words.len, 20000 * strlen("large ") + 1);
        buf_done(&words);
        arena_destroy(arena);
        buf_done(&text);
        assert_int_equal(unlink(r.file), 0);
        free(r.file);
    }
    mcp_close(c);
    assert_int_equal(rmdir(directory), 0);
}

static void test_large_results_go_to_a_file(void **state)
{
    run(*state, spilling);
}

// ---- ceilings

static void one_hanging(void *arg)
{
    World *w = arg;
    McpClient *c = (McpClient *)w->options.handlers.ctx;
    McpToolCall call = {.name = SLICE("hang")};
    McpResult r;
    Arena *arena = arena_create(1 << 20);
    assert_int_equal(mcp_call_tool(c, arena, &call, &r, NULL), ERR_CLOSED);
    arena_destroy(arena);
}

static void crowding(void *arg)
{
    World *w = arg;
    w->options.limits.requests_max = 3;
    McpClient *c = connect_to(w);
    w->options.handlers.ctx = c;
    FiberGroup group = {0};
    for (int i = 0; i < 3; i++) {
        assert_non_null(fiber_group_spawn(&group, w->fibers, "call", one_hanging, w));
    }
    while (mcp_outstanding(c) < 3) {
        assert_int_equal(fiber_sleep(NS_PER_MS), 0);
    }
    Err e;
    assert_int_equal(mcp_ping(c, NS_PER_S, &e), ERR_FULL);
    assert_string_equal(e.text, "3 requests wait for this server already");
    // Closing ends what waits.
    mcp_close(c);
    assert_int_equal(fiber_group_wait(&group, NEVER_NS), 0);
}

static void test_requests_at_a_time(void **state)
{
    run(*state, crowding);
}

// ---- lists and questions without end

static void counting(void *arg)
{
    World *w = arg;
    for (w->pages = 2; w->pages <= 4; w->pages++) {
        McpItems list;
        w->options.limits = (McpLimits){.items_max = 3};
        McpClient *c = connect_to(w);
        int rc = mcp_list(c, w->arena, MCP_TOOLS, &list, NULL);
        assert_int_equal(rc, w->pages > 3 ? ERR_LIMIT : 0);
        mcp_close(c);
        w->options.limits = (McpLimits){.pages_max = 3};
        c = connect_to(w);
        rc = mcp_list(c, w->arena, MCP_TOOLS, &list, NULL);
        assert_int_equal(rc, w->pages > 3 ? ERR_LIMIT : 0);
        mcp_close(c);
    }
    static const McpRoot ROOT = {SLICE_INIT("file:///a"), SLICE_INIT("")};
    w->options.handlers.roots = &ROOT;
    w->options.handlers.root_count = 1;
    w->options.limits = (McpLimits){.rounds_max = 3};
    McpClient *c = connect_to(w);
    for (unsigned rounds = 2; rounds <= 3; rounds++) { // the last request must bring the answer
        McpToolCall call = {.name = SLICE("a")};
        McpResult r;
        w->rounds = rounds;
        int rc = mcp_call_tool(c, w->arena, &call, &r, NULL);
        assert_int_equal(rc, rounds > 2 ? ERR_LIMIT : 0);
    }
    mcp_close(c);
}

static void test_lists_and_rounds_have_ends(void **state)
{
    run(*state, counting);
}

// ---- floods, over a pipe: a shell that says `before` news, its answer, `after` news

static void count_news(void *ctx, Slice method, const Doc *params)
{
    (void)params;
    World *w = ctx;
    w->listed += slice_eq(method, SLICE("n"));
}

static int flood(World *w, unsigned before, unsigned after, bool *ret_alive)
{
    char script[600];
    (void)snprintf(script, sizeof script,
                   "read -r line; news() { i=0; while [ $i -lt $1 ]; do i=$((i+1)); "
                   "echo '{\"jsonrpc\":\"2.0\",\"method\":\"n\"}'; done; }; news %u; "
                   "echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"protocolVersion\":"
                   "\"2025-11-25\",\"capabilities\":{}}}'; read -r line; news %u; read -r line",
                   before, after);
    w->listed = 0;
    McpOptions o = {.pool = w->fibers,
                    .argv = (const char *const[]){"sh", "-c", script, NULL},
                    .era = MCP_ERA_LEGACY,
                    .limits = {.unasked_max = 20},
                    .handlers = {.notified = count_news, .ctx = w}};
    McpClient *c = NULL;
    int rc = mcp_connect(&o, &c, NULL);
    while (rc == 0 && mcp_is_alive(c) && w->listed < before + after) {
        assert_int_equal(fiber_sleep(NS_PER_MS), 0);
    }
    *ret_alive = rc == 0 && mcp_is_alive(c);
    mcp_close(c);
    return rc;
}

static void flooding(void *arg)
{
    bool alive;
    assert_int_equal(flood(arg, 20, 0, &alive), 0);
    assert_true(alive);
    assert_int_equal(flood(arg, 21, 0, &alive), ERR_LIMIT);
    assert_int_equal(flood(arg, 0, 20, &alive), 0);
    assert_true(alive);
    assert_int_equal(flood(arg, 0, 21, &alive), 0);
    assert_false(alive);
}

static void test_a_flood_ends_the_connection(void **state)
{
    run(*state, flooding);
}

int main(void)
{
    signals_block();
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_progress_comes_to_the_call_it_belongs_to),
        TEST(test_cancelling_closes_the_stream),
        TEST(test_cancelling_is_said_in_a_session),
        TEST(test_a_forgotten_session_is_begun_anew),
        TEST(test_a_question_inside_of_a_call),
        TEST(test_lists_are_kept_as_long_as_allowed),
        TEST(test_subscriptions_of_the_newer_era),
        TEST(test_large_results_go_to_a_file),
        TEST(test_requests_at_a_time),
        TEST(test_a_flood_ends_the_connection),
        TEST(test_lists_and_rounds_have_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
