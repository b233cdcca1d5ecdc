#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/monitor.h"
#include "base/doc.h"
#include "base/gzip.h"
#include "net/server.h"
#include "os/fiber.h"

// A client on the test's own thread; the monitor has its own. Wall time is real but nothing is
// asserted about it.
typedef struct World {
    Loop *loop;
    FiberPool *pool;
    Monitor *monitor;
    bool sick;
    // What the receiver of OTLP got.
    int traces, metrics;
    int refuse; // so many requests get 503 first
    Buf last;
    // One request.
    const char *path;
    const char *host;
    uint16_t port;
    int status;
    Buf body;
} World;

static void ask_fiber(void *arg)
{
    World *w = arg;
    HttpContext *ctx = http_context_create(&(HttpContextOptions){.loop = w->loop});
    HttpClient *client = http_client_create(ctx);
    HttpResponse response = http_response_create(NULL);
    HttpOrigin origin;
    Url url;
    char text[64];
    (void)snprintf(text, sizeof text, "http://127.0.0.1:%u/", w->port);
    assert_int_equal(url_parse(slice_from_cstr(text), &url, NULL), 0);
    assert_int_equal(http_origin_init(&origin, &url, NULL), 0);
    const HttpHeader host = {SLICE("host"), slice_from_cstr(w->host ? w->host : "")};
    HttpRequest request = {.origin = &origin,
                           .method = SLICE("GET"),
                           .target = slice_from_cstr(w->path),
                           .headers = &host,
                           .header_count = w->host != NULL,
                           .body_mode = HTTP_BODY_KEEP,
                           .timeout_ns = 60 * NS_PER_S};
    Err e = {0};
    if (http_client_do(client, &request, &response, &e) != 0) {
        fail_msg("%s: %s", w->path, e.text);
    }
    w->status = response.status;
    buf_reset(&w->body);
    buf_append(&w->body, buf_slice(&response.body));
    http_response_done(&response);
    http_origin_done(&origin);
    http_client_destroy(client);
    http_context_destroy(ctx);
    loop_stop(w->loop);
}

static Slice ask_as(World *w, const char *path, const char *host, int status)
{
    w->path = path;
    w->host = host;
    w->port = monitor_port(w->monitor);
    assert_non_null(fiber_spawn(w->pool, "ask", ask_fiber, w));
    loop_run(w->loop);
    if (w->status != status) {
        fail_msg("%s: status %d: %.*s", path, w->status, SLICE_FMT(buf_slice(&w->body)));
    }
    return buf_slice(&w->body);
}

static Slice ask(World *w, const char *path, int status)
{
    return ask_as(w, path, NULL, status);
}

static void expect(Slice text, const char *part)
{
    if (slice_find(text, slice_from_cstr(part)) < 0) {
        fail_msg("no \"%s\" in %.*s", part, SLICE_FMT(text));
    }
}

static void collect(void *ctx, Collector *collector)
{
    (void)ctx;
    Hist h;
    hist_init(&h);
    hist_record_n(&h, 50 * NS_PER_MS, 3);
    const Label labels[] = {{SLICE("agent_name"), SLICE("planner")},
                            {SLICE("status"), SLICE("success")}};
    Point p = {.count = 3, .hist = &h};
    collector_set(collector, M_AGENT_REQUEST_DURATION, (Labels){labels, 2}, &p);
    collector_set(collector, M_AGENT_REQUESTS, (Labels){labels, 2}, &p);
    hist_done(&h);
}

static void add_fiber(void *ctx, Profile *profile)
{
    (void)ctx;
    profile_add(
        profile,
        &(ProfileSample){.values = {1}, .label_key = SLICE("fiber"), .label = SLICE("of a shard")});
}

static bool is_well(void *ctx, Buf *words)
{
    World *w = ctx;
    buf_puts(words, w->sick ? "shard 1 hangs" : "");
    return !w->sick;
}

static World *begin(const MonitorOptions *options)
{
    World *w = mem_zalloc(sizeof *w);
    Err e = {0};
    w->body = buf_create(64 << 20);
    w->last = buf_create(64 << 20);
    assert_int_equal(loop_create(&(LoopOptions){0}, &w->loop, NULL), 0);
    w->pool = fiber_pool_create(w->loop, NULL);
    MonitorSource source = {.collect = collect, .fibers = add_fiber, .healthy = is_well, .ctx = w};
    if (monitor_create(options, &w->monitor, &e) != 0 ||
        monitor_add(w->monitor, &source, &e) != 0 || monitor_start(w->monitor, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return w;
}

static void end(World *w)
{
    monitor_stop(w->monitor);
    (void)fiber_pool_drain(w->pool, NEVER_NS);
    fiber_pool_destroy(w->pool);
    loop_destroy(w->loop);
    buf_done(&w->body);
    buf_done(&w->last);
    free(w);
}

static void test_pages(void **state)
{
    (void)state;
    World *w = begin(&(MonitorOptions){.profiling = true});
    expect(ask(w, "/healthz", 200), "ok\n");
    w->sick = true;
    expect(ask(w, "/healthz", 503), "shard 1 hangs");
    Slice page = ask(w, "/metrics", 200);
    expect(page, "agent_request_duration_seconds_bucket{agent_name=\"planner\",status=\"success\","
                 "le=\"0.1\"} 3\n");
    expect(page, "agent_requests_total{agent_name=\"planner\",status=\"success\"} 3\n");
    expect(page, "process_resident_memory_bytes ");
    expect(ask(w, "/debug/live", 200), "\"interval_s\":");
    expect(ask(w, "/debug/graph", 200), "\"nodes\":[");
    expect(ask(w, "/debug/graph?format=dot", 200), "digraph services {");
    expect(ask(w, "/", 200), "/debug/pprof/heap");
    expect(ask(w, "/debug/pprof/goroutine?debug=1", 200), "{fiber: of a shard}");
    expect(ask(w, "/debug/pprof/goroutine?format=svg", 200), "<svg");
    Slice cpu = ask(w, "/debug/pprof/profile?seconds=1", 200);
    Buf plain = buf_create(64 << 20);
    assert_int_equal(inflate_append(INFLATE_GZIP, cpu, &plain, NULL), 0);
    expect(buf_slice(&plain), "nanoseconds");
    buf_done(&plain);
    end(w);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *host;
        int status;
    } cases[] = {
        {"/nothing", NULL, 404},
        {"/debug/pprof/profile?seconds=0", NULL, 400},
        {"/debug/pprof/profile?seconds=301", NULL, 400},
        {"/debug/pprof/profile?seconds=x", NULL, 400},
        {"/debug/pprof/profile?seconds=1&hz=10001", NULL, 400},
        {"/debug/pprof/heap", NULL, 501}, // a test's allocator does not report
        {"/healthz", "evil.example:6060", 403},
        {"/healthz", "localhost.evil.example", 403},
        {"/healthz", "localhost:6060", 200},
        {"/healthz", "[::1]:6060", 200},
    };
    World *w = begin(&(MonitorOptions){.profiling = true});
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        (void)ask_as(w, cases[i].path, cases[i].host, cases[i].status);
    }
    end(w);
    w = begin(&(MonitorOptions){.no_metrics = true});
    (void)ask(w, "/metrics", 404);
    (void)ask(w, "/debug/pprof/heap", 404);
    (void)ask(w, "/healthz", 200);
    end(w);
}

static void test_sources_and_ports(void **state)
{
    (void)state;
    World *w = begin(&(MonitorOptions){0});
    Monitor *other;
    MonitorOptions taken = {.port = monitor_port(w->monitor)};
    assert_int_equal(monitor_create(&taken, &other, NULL), 0);
    for (int i = 0; i < MONITOR_SOURCES_MAX; i++) {
        assert_int_equal(monitor_add(other, &(MonitorSource){0}, NULL), 0);
    }
    assert_int_equal(monitor_add(other, &(MonitorSource){0}, NULL), ERR_LIMIT);
    assert_true(monitor_start(other, NULL) != 0); // the port is taken
    monitor_stop(other);
    monitor_stop(NULL);
    MonitorOptions bad = {.otlp_endpoint = SLICE("not a url")};
    assert_int_equal(monitor_create(&bad, &other, NULL), ERR_ARG);
    end(w);
}

// ---- export to a receiver on the test's loop

static void receive(void *ctx, const HttpServerRequest *request, HttpReply *reply)
{
    World *w = ctx;
    if (w->refuse > 0) {
        w->refuse--;
        int rc = http_reply_header(reply, SLICE("retry-after"), SLICE("0"), NULL);
        assert_int_equal(rc, 0);
        (void)http_reply_send(reply, 503, (Slice){0}, (Slice){0}, NULL);
        return;
    }
    buf_reset(&w->last);
    assert_int_equal(inflate_append(INFLATE_GZIP, request->body, &w->last, NULL), 0);
    assert_true(
        slice_eq_cstr(http_head_get(request->head, SLICE("content-type")), "application/json"));
    if (slice_eq_cstr(request->path, "/v1/traces")) {
        w->traces++;
        expect(buf_slice(&w->last), "\"invoke_agent planner\"");
    } else if (slice_eq_cstr(request->path, "/v1/metrics")) {
        w->metrics++;
        expect(buf_slice(&w->last), "\"agent_request_duration_seconds\"");
    }
    (void)http_reply_send(reply, 200, SLICE("application/json"), SLICE("{}"), NULL);
    if (w->traces > 0 && w->metrics > 1) {
        loop_stop(w->loop);
    }
}

static void test_export(void **state)
{
    (void)state;
    World *w = mem_zalloc(sizeof *w);
    w->last = buf_create(64 << 20);
    w->refuse = 2;
    assert_int_equal(loop_create(&(LoopOptions){0}, &w->loop, NULL), 0);
    w->pool = fiber_pool_create(w->loop, NULL);
    HttpServer *server;
    HttpServerOptions serve = {.loop = w->loop, .pool = w->pool, .handler = receive, .ctx = w};
    assert_int_equal(http_server_open(&serve, &server, NULL), 0);
    NetAddr addr = http_server_addr(server);
    char endpoint[64];
    (void)snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%u/", net_addr_port(&addr));
    SpanQueue *spans = span_queue_create(0);
    Tracer tracer;
    Span span;
    tracer_init(&tracer, spans, 1, 1, 0);
    span_begin(&tracer, &span, NULL, SPAN_INTERNAL, SLICE("invoke_agent planner"), 1);
    span_end(&tracer, &span, 2, SPAN_OK);
    Monitor *monitor;
    MonitorOptions options = {.otlp_endpoint = slice_from_cstr(endpoint),
                              .spans = spans,
                              .interval_ns = 50 * NS_PER_MS,
                              .service = SLICE("planner")};
    MonitorSource source = {.collect = collect};
    assert_int_equal(monitor_create(&options, &monitor, NULL), 0);
    assert_int_equal(monitor_add(monitor, &source, NULL), 0);
    assert_int_equal(monitor_start(monitor, NULL), 0);
    loop_run(w->loop); // until a trace and two reports of metrics were accepted
    monitor_stop(monitor);
    assert_int_equal(w->traces, 1);
    assert_int_equal(w->refuse, 0);
    (void)http_server_drain(server, loop_clock(w->loop) + 10 * NS_PER_S);
    http_server_destroy(server);
    span_queue_destroy(spans);
    (void)fiber_pool_drain(w->pool, NEVER_NS);
    fiber_pool_destroy(w->pool);
    loop_destroy(w->loop);
    buf_done(&w->last);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_sources_and_ports),
        cmocka_unit_test(test_export),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
