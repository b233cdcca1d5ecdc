// The pool against servers of our own making in this process: what is balanced, repeated, cached,
// refused. The protocol itself is held to the conformance suite (test/mcp_test.py).
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "mcp/metrics.h"
#include "net/server.h"

enum { SERVERS = 2 };

typedef struct Fake {
    HttpServer *server;
    char url[64];
    unsigned calls;   // tools/call that came
    unsigned failing; // so many of them are answered with 503
    bool hangs;
    bool huge;
} Fake;

typedef struct World {
    Loop *loop;
    FiberPool *fibers;
    HttpContext *http;
    Fake fakes[SERVERS];
    McpPool *pool;
    McpServerOptions server;
    Slice urls[SERVERS];
    ParamValue policy[POLICY_PARAM_COUNT];
    Arena *arena;
    Recorder *recorder;
    McpMetrics *metrics;
    unsigned answered;
} World;

static const char TOOLS[] =
    "{\"resultType\":\"complete\",\"ttlMs\":60000,\"cacheScope\":\"private\",\"tools\":["
    "{\"name\":\"look\",\"inputSchema\":{\"type\":\"object\"},\"annotations\":{\"readOnlyHint\":"
    "true}},"
    "{\"name\":\"act\",\"inputSchema\":{\"type\":\"object\"}}]}";

static void answer(HttpReply *reply, int64_t id, const char *result)
{
    Buf text = buf_create(1 << 20);
    rpc_write_result(&text, (RpcId){.kind = RPC_ID_NUMBER, .number = id}, slice_from_cstr(result));
    (void)http_reply_send(reply, 200, SLICE("application/json"), buf_slice(&text), NULL);
    buf_done(&text);
}

static void call_tool(Fake *f, int64_t id, HttpReply *reply)
{
    f->calls++;
    if (f->failing > 0) {
        f->failing--;
        (void)http_reply_send(reply, 503, SLICE("text/plain"), SLICE("busy"), NULL);
        return;
    }
    if (f->hangs) {
        (void)!fiber_sleep(600 * NS_PER_S);
        return;
    }
    char result[200];
    (void)snprintf(
        result, sizeof result,
        "{\"resultType\":\"complete\",\"content\":[{\"type\":\"text\",\"text\":\"%u\"}]}",
        f->calls);
    answer(reply, id, result);
}

static void handle(void *ctx, const HttpServerRequest *request, HttpReply *reply)
{
    Fake *f = ctx;
    Arena *arena = arena_create(1 << 20);
    RpcMessage m;
    if (rpc_parse(arena, request->body, NULL, &m, NULL) != 0) {
        (void)http_reply_send(reply, 400, SLICE("text/plain"), SLICE("what?"), NULL);
    } else if (slice_eq(m.method, SLICE("server/discover"))) {
        answer(reply, m.id.number,
               "{\"resultType\":\"complete\",\"ttlMs\":0,\"cacheScope\":\"private\","
               "\"supportedVersions\":[\"2026-07-28\"],\"capabilities\":{\"tools\":{}}}");
    } else if (slice_eq(m.method, SLICE("tools/list"))) {
        answer(reply, m.id.number, TOOLS);
    } else {
        call_tool(f, m.id.number, reply);
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
    for (size_t i = 0; i < SERVERS; i++) {
        HttpServerOptions o = {
            .loop = w->loop, .pool = w->fibers, .handler = handle, .ctx = &w->fakes[i]};
        assert_int_equal(http_server_open(&o, &w->fakes[i].server, NULL), 0);
        NetAddr addr = http_server_addr(w->fakes[i].server);
        (void)snprintf(w->fakes[i].url, sizeof w->fakes[i].url, "http://127.0.0.1:%u/mcp",
                       net_addr_port(&addr));
        w->urls[i] = slice_from_cstr(w->fakes[i].url);
    }
    w->arena = arena_create(16 << 20);
    w->recorder = recorder_create(&(RecorderOptions){0});
    w->metrics = mcp_metrics_create(w->recorder);
    mcp_policy_defaults(w->policy);
    w->policy[P_RETRY_BACKOFF].integer = NS_PER_MS;
    w->server = (McpServerOptions){.name = SLICE("s"),
                                   .urls = w->urls,
                                   .url_count = 1,
                                   .connections_max = 1,
                                   .health_interval_ns = -1,
                                   .policy = w->policy};
    return rc;
}

static int teardown(void **state)
{
    World *w = *state;
    for (size_t i = 0; i < SERVERS; i++) {
        (void)http_server_drain(w->fakes[i].server, 0);
        http_server_destroy(w->fakes[i].server);
    }
    http_context_destroy(w->http);
    (void)fiber_pool_drain(w->fibers, NEVER_NS);
    fiber_pool_destroy(w->fibers);
    loop_destroy(w->loop);
    arena_destroy(w->arena);
    mcp_metrics_destroy(w->metrics);
    recorder_destroy(w->recorder);
    free(w);
    return 0;
}

static void open_pool(World *w)
{
    McpPoolOptions o = {.pool = w->fibers,
                        .http = w->http,
                        .servers = &w->server,
                        .server_count = 1,
                        .seed = 7,
                        .event_fn = mcp_metrics_event,
                        .event_ctx = w->metrics};
    assert_int_equal(mcp_pool_create(&o, &w->pool, NULL), 0);
}

static int call(World *w, Slice tool, Slice arguments, McpResult *ret, Err *e)
{
    McpPoolCall c = {.server = SLICE("s"), .tool = tool, .arguments = arguments};
    return mcp_pool_call(w->pool, w->arena, &c, ret, e);
}

static void run(World *w, FiberFn *fn)
{
    FiberGroup group = {0};
    assert_non_null(fiber_group_spawn(&group, w->fibers, "test", fn, w));
    while (group.alive > 0) {
        (void)loop_tick(w->loop, NEVER_NS);
    }
}

static const char *text_of(const McpResult *r)
{
    return doc_get(doc_at(doc_get(r->result, SLICE("content")), 0), SLICE("text"))->text.ptr;
}

// ---- repeating

static void repeating(void *arg)
{
    World *w = arg;
    Fake *f = &w->fakes[0];
    McpResult r;
    Err e;
    open_pool(w);
    f->failing = 2;
    assert_int_equal(call(w, SLICE("look"), SLICE(""), &r, &e), 0);
    assert_int_equal(f->calls, 3);
    // May act twice: is not sent twice.
    f->failing = 1;
    assert_int_equal(call(w, SLICE("act"), SLICE(""), &r, &e), ERR_BUSY);
    assert_int_equal(f->calls, 4);
    assert_non_null(strstr(e.text, "HTTP 503"));
    // No more than the policy's three attempts.
    f->failing = 99;
    assert_int_equal(call(w, SLICE("look"), SLICE(""), &r, &e), ERR_BUSY);
    assert_int_equal(f->calls, 7);
    f->failing = 0;
    mcp_pool_close(w->pool);
}

static void test_only_what_may_be_repeated_is(void **state)
{
    run(*state, repeating);
}

static void configured(void *arg)
{
    World *w = arg;
    Slice names[] = {SLICE("act")};
    w->server.idempotent_tools = names;
    w->server.idempotent_count = 1;
    open_pool(w);
    McpResult r;
    w->fakes[0].failing = 2;
    assert_int_equal(call(w, SLICE("act"), SLICE(""), &r, NULL), 0);
    mcp_pool_close(w->pool);
}

static void test_configuration_may_allow_repeating(void **state)
{
    run(*state, configured);
}

// The sum of a counter's series that have the label.
static int64_t counted(World *w, const char *metric, Slice key, Slice value)
{
    const RecorderBatch *batch = recorder_take(w->recorder);
    int64_t sum = 0;
    for (size_t i = 0; batch && i < batch->count; i++) {
        const SeriesInfo *info = batch->items[i].info;
        if (slice_eq_cstr(info->metric, metric) &&
            (key.len == 0 || slice_eq(labels_get(info->labels, key), value))) {
            sum += batch->items[i].point.count;
        }
    }
    recorder_give_back(w->recorder);
    return sum;
}

// ---- breaker

static void breaking(void *arg)
{
    World *w = arg;
    Fake *f = &w->fakes[0];
    McpResult r;
    Err e;
    open_pool(w);
    f->failing = 5;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(call(w, SLICE("act"), SLICE(""), &r, &e), ERR_BUSY);
    }
    unsigned before = f->calls;
    assert_int_not_equal(call(w, SLICE("act"), SLICE(""), &r, &e), 0);
    assert_int_equal(f->calls, before); // refused without asking the server
    assert_non_null(strstr(e.text, "circuit"));
    mcp_metrics_sample(w->metrics, w->pool);
    assert_int_equal(counted(w, "mcp_tool_executions_total", SLICE("status"), SLICE("error")), 6);
    mcp_pool_close(w->pool);
}

static void test_breaker_opens_after_failures_in_a_row(void **state)
{
    run(*state, breaking);
}

// ---- cache

static void caching(void *arg)
{
    World *w = arg;
    Fake *f = &w->fakes[0];
    McpToolTtl ttls[] = {{SLICE("act"), 60 * NS_PER_S}};
    w->server.tool_ttls = ttls;
    w->server.ttl_count = 1;
    w->server.cache_ttl_ns = 60 * NS_PER_S;
    w->policy[P_CACHE_TTL].integer = NS_PER_S;
    open_pool(w);
    McpResult r;
    assert_int_equal(call(w, SLICE("look"), SLICE("{\"a\":1,\"b\":[2]}"), &r, NULL), 0);
    assert_string_equal(text_of(&r), "1");
    // The same, written otherwise.
    assert_int_equal(call(w, SLICE("look"), SLICE(" {\"b\":[2.0] ,\"a\":1}"), &r, NULL), 0);
    assert_string_equal(text_of(&r), "1");
    assert_int_equal(f->calls, 1);
    assert_int_equal(call(w, SLICE("look"), SLICE("{\"a\":2}"), &r, NULL), 0);
    assert_int_equal(f->calls, 2);
    // A line of its own beats the hint that is missing.
    assert_int_equal(call(w, SLICE("act"), SLICE("{}"), &r, NULL), 0);
    assert_int_equal(call(w, SLICE("act"), SLICE(""), &r, NULL), 0);
    assert_int_equal(f->calls, 3);
    McpPoolCall fresh = {.server = SLICE("s"), .tool = SLICE("act"), .no_cache = true};
    assert_int_equal(mcp_pool_call(w->pool, w->arena, &fresh, &r, NULL), 0);
    assert_int_equal(f->calls, 4);
    mcp_pool_clear_cache(w->pool, SLICE("s"));
    assert_int_equal(call(w, SLICE("act"), SLICE(""), &r, NULL), 0);
    assert_int_equal(f->calls, 5);
    mcp_pool_close(w->pool);
}

static void test_cache_by_tool_and_arguments(void **state)
{
    run(*state, caching);
}

// ---- balance

static void one_call(void *arg)
{
    World *w = arg;
    McpResult r;
    w->answered += call(w, SLICE("act"), SLICE(""), &r, NULL) == 0;
}

static void balancing(void *arg)
{
    World *w = arg;
    w->server.url_count = SERVERS;
    for (w->server.balance = MCP_ROUND_ROBIN; w->server.balance <= MCP_LATENCY;
         w->server.balance++) {
        w->fakes[0].calls = w->fakes[1].calls = 0;
        w->answered = 0;
        open_pool(w);
        one_call(w); // connects the first
        one_call(w); // and the second
        FiberGroup group = {0};
        for (int i = 0; i < 38; i++) {
            assert_non_null(fiber_group_spawn(&group, w->fibers, "call", one_call, w));
        }
        assert_int_equal(fiber_group_wait(&group, NEVER_NS), 0);
        assert_int_equal(w->answered, 40);
        assert_int_equal(w->fakes[0].calls + w->fakes[1].calls, 40);
        if (w->server.balance != MCP_LATENCY) { // that one's shares depend on the machine
            assert_in_range(w->fakes[0].calls, 18, 22);
        }
        mcp_pool_close(w->pool);
    }
}

static void test_calls_are_spread(void **state)
{
    run(*state, balancing);
}

// One of two is gone: what could not be sent goes to the other, whatever the tool.
static void failing_over(void *arg)
{
    World *w = arg;
    w->server.url_count = SERVERS;
    w->urls[0] = SLICE("http://127.0.0.1:1/mcp");
    open_pool(w);
    for (int i = 0; i < 5; i++) {
        one_call(w);
    }
    assert_int_equal(w->answered, 5);
    McpHealth lines[8];
    size_t count = mcp_pool_health(w->pool, SLICE("s"), lines, COUNT_OF(lines));
    assert_int_equal(count, 2);
    assert_false(lines[0].healthy);
    assert_non_null(strstr(lines[0].error, "127.0.0.1:1"));
    assert_true(lines[1].healthy);
    mcp_pool_close(w->pool);
}

static void test_fails_over_when_connecting_fails(void **state)
{
    run(*state, failing_over);
}

// ---- time

static void timing_out(void *arg)
{
    World *w = arg;
    w->server.request_timeout_ns = 50 * NS_PER_MS;
    w->policy[P_RETRY_ATTEMPTS].integer = 1;
    open_pool(w);
    McpResult r;
    Err e;
    McpToolSet *tools = NULL;
    assert_int_equal(mcp_pool_tools(w->pool, SLICE("s"), &tools, &e), 0);
    mcp_toolset_unref(tools);
    w->fakes[0].hangs = true;
    assert_int_equal(call(w, SLICE("look"), SLICE(""), &r, &e), ERR_TIMEOUT);
    assert_non_null(strstr(e.text, "no answer to tools/call within"));
    w->fakes[0].hangs = false;
    mcp_pool_close(w->pool);
}

static void test_a_server_that_hangs(void **state)
{
    run(*state, timing_out);
}

static void naming(void *arg)
{
    World *w = arg;
    open_pool(w);
    McpResult r;
    Err e;
    McpPoolCall c = {.server = SLICE("S"), .tool = SLICE("look")};
    assert_int_equal(mcp_pool_call(w->pool, w->arena, &c, &r, &e), ERR_NOT_FOUND);
    assert_string_equal(e.text, "there is no MCP server 'S'; did you mean 's'?");
    assert_int_equal(call(w, SLICE("look"), SLICE("[1]"), &r, &e), ERR_ARG);
    mcp_pool_close(w->pool);
}

static void test_wrong_names_and_arguments(void **state)
{
    run(*state, naming);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_only_what_may_be_repeated_is),
        TEST(test_configuration_may_allow_repeating),
        TEST(test_breaker_opens_after_failures_in_a_row),
        TEST(test_cache_by_tool_and_arguments),
        TEST(test_calls_are_spread),
        TEST(test_fails_over_when_connecting_fails),
        TEST(test_a_server_that_hangs),
        TEST(test_wrong_names_and_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
