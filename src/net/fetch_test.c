#include "net/fetch.h"

#include "net/net_test.h"
#include "net/server.h"

// What Go's net/http does (client.go, redirectBehavior and shouldCopyHeaderOnRedirect), which is
// what k6 does. "localhost" and "127.0.0.1" are two hosts here that lead to one server.

typedef struct Case {
    const char *name;
    const char *method;
    const char *path;
    int redirects_max;
    int rc;
    int error_code;
    int status;
    int hops;
    const char *want; // what the last server saw: method, path, body, own fields
} Case;

static const Case cases[] = {
    {"none", "GET", "/end", 10, .status = 200, .hops = 1, .want = "GET /end body auth host type"},
    {"301", "GET", "/301/end", 10, .status = 200, .hops = 2,
     .want = "GET /end auth host ref=http://127.0.0.1/301/end"},
    {"301 of POST", "POST", "/301/end", 10, .status = 200, .hops = 2,
     .want = "GET /end auth host ref=http://127.0.0.1/301/end"},
    {"302 of PUT", "PUT", "/302/end", 10, .status = 200, .hops = 2,
     .want = "GET /end auth host ref=http://127.0.0.1/302/end"},
    {"303 of DELETE", "DELETE", "/303/end", 10, .status = 200, .hops = 2,
     .want = "GET /end auth host ref=http://127.0.0.1/303/end"},
    {"303 of HEAD", "HEAD", "/303/end", 10, .status = 200, .hops = 2, .want = ""},
    {"307 of POST", "POST", "/307/end", 10, .status = 200, .hops = 2,
     .want = "POST /end body auth host type ref=http://127.0.0.1/307/end"},
    {"308 of PUT", "PUT", "/308/end", 10, .status = 200, .hops = 2,
     .want = "PUT /end body auth host type ref=http://127.0.0.1/308/end"},
    {"relative", "GET", "/302/../302/a/../end", 10, .status = 200, .hops = 3, .want = NULL},
    {"without Location", "GET", "/bare", 10, .status = 302, .hops = 1, .want = "bare"},
    {"304 is none", "GET", "/304/end", 10, .status = 304, .hops = 1},
    {"not followed", "GET", "/301/end", 0, .status = 301, .hops = 1},
    {"loop", "GET", "/loop", 3, .status = 302, .hops = 4},
    {"chain at the limit", "GET", "/301/302/307/end", 3, .status = 200, .hops = 4},
    {"chain over the limit", "GET", "/301/302/307/end", 2, .status = 307, .hops = 3},
    {"other host", "GET", "/other/end", 10, .status = 200, .hops = 2,
     .want = "GET /end body type ref=http://127.0.0.1/other/end"},
    {"secrets do not come back", "GET", "/other/back/end", 10, .status = 200, .hops = 3,
     .want = "GET /end body type ref=http://localhost/back/end"},
    {"refused host", "GET", "/refused", 10, .rc = ERR_REFUSED, .error_code = NET_BLOCKED_HOST,
     .hops = 1},
    {"another scheme", "GET", "/ftp", 10, .rc = ERR_PROTOCOL, .error_code = NET_INVALID_URL,
     .hops = 1},
    {"no host", "GET", "/nohost", 10, .rc = ERR_PROTOCOL, .error_code = NET_INVALID_URL, .hops = 1},
};

typedef struct World {
    NetWorld net; // only its loop and pool
    HttpServer *server;
    HttpClient *client;
    HttpResponse response;
    const Case *c;
    unsigned port;
    int hops;
    int failed;
    bool saw_last;
} World;

static void end(const World *w, const HttpServerRequest *request, HttpReply *reply)
{
    Buf text = buf_create(10000);
    const HttpHead *head = request->head;
    buf_printf(&text, "%.*s /end", SLICE_FMT(request->method));
    buf_puts(&text, request->body.len > 0 ? " body" : "");
    buf_puts(&text, http_head_get(head, SLICE("authorization")).ptr ? " auth" : "");
    bool own = slice_eq_cstr(http_head_get(head, SLICE("host")), "own.test");
    buf_puts(&text, own ? " host" : "");
    buf_puts(&text, http_head_get(head, SLICE("content-type")).ptr ? " type" : "");
    Slice referer = http_head_get(head, SLICE("referer"));
    if (referer.ptr) { // without the port, which changes
        char port[16];
        int len = snprintf(port, sizeof port, ":%u", w->port);
        ptrdiff_t at = slice_find(referer, (Slice){port, (size_t)len});
        assert_true(at > 0);
        buf_printf(&text, " ref=%.*s", (int)at, referer.ptr);
        buf_append(&text, slice_sub(referer, (size_t)at + (size_t)len, referer.len));
    }
    http_reply_send(reply, 200, SLICE("text/plain"), buf_slice(&text), NULL);
    buf_done(&text);
}

static void redirect(HttpReply *reply, int status, const char *location)
{
    assert_int_equal(http_reply_header(reply, SLICE("Location"), slice_from_cstr(location), NULL),
                     0);
    http_reply_send(reply, status, SLICE(""), SLICE("moved"), NULL);
}

static void handle(void *ctx, const HttpServerRequest *request, HttpReply *reply)
{
    const World *w = ctx;
    Slice path = request->path;
    Buf to = buf_create(10000);
    int64_t status = 0;
    if (slice_eq_cstr(path, "/end")) {
        end(w, request, reply);
    } else if (slice_eq_cstr(path, "/bare")) {
        http_reply_send(reply, 302, SLICE(""), SLICE("bare"), NULL);
    } else if (slice_eq_cstr(path, "/loop")) {
        redirect(reply, 302, "loop");
    } else if (slice_eq_cstr(path, "/refused")) {
        redirect(reply, 302, "http://refused.test/");
    } else if (slice_eq_cstr(path, "/ftp")) {
        redirect(reply, 302, "ftp://127.0.0.1/");
    } else if (slice_eq_cstr(path, "/nohost")) {
        redirect(reply, 302, "http:///x");
    } else if (slice_starts_with(path, SLICE("/other"))) {
        buf_printf(&to, "http://localhost:%u%.*s", w->port,
                   SLICE_FMT(slice_sub(path, 6, path.len)));
        redirect(reply, 307, to.data);
    } else if (slice_starts_with(path, SLICE("/back"))) {
        buf_printf(&to, "http://127.0.0.1:%u%.*s", w->port,
                   SLICE_FMT(slice_sub(path, 5, path.len)));
        redirect(reply, 307, to.data);
    } else if (slice_to_i64(slice_sub(path, 1, 3), &status) == 0) {
        buf_append(&to, slice_sub(path, 4, path.len));
        redirect(reply, (int)status, to.data);
    } else {
        http_reply_send(reply, 404, SLICE(""), path, NULL);
    }
    buf_done(&to);
}

static int allow_host(void *ctx, Slice host, Err *e)
{
    (void)ctx;
    return slice_eq_cstr(host, "refused.test")
               ? err_set(e, ERR_REFUSED, "host '%.*s' is not declared", SLICE_FMT(host))
               : 0;
}

static void on_hop(void *ctx, const FetchHop *hop, const HttpResponse *response)
{
    World *w = ctx;
    assert_int_equal(hop->number, w->hops);
    assert_false(w->saw_last);
    w->saw_last = hop->last;
    w->hops++;
    if (hop->rc == 0) {
        assert_true(response->status >= 200 && response->timings.end_ns > 0);
    }
    assert_true(hop->url.len > 0);
}

static void run_case(void *arg)
{
    World *w = arg;
    const Case *c = w->c;
    char url[200];
    int len = snprintf(url, sizeof url, "http://127.0.0.1:%u%s", w->port, c->path);
    const HttpHeader headers[] = {{SLICE("Authorization"), SLICE("secret")},
                                  {SLICE("Host"), SLICE("own.test")},
                                  {SLICE("Content-Type"), SLICE("text/plain")}};
    FetchRequest fetch = {
        .url = {url, (size_t)len},
        .method = slice_from_cstr(c->method),
        .headers = headers,
        .header_count = COUNT_OF(headers),
        .body = SLICE("body"),
        .body_mode = HTTP_BODY_KEEP,
        .timeout_ns = 20 * NS_PER_S,
        .redirects_max = c->redirects_max,
        .allow_host = allow_host,
        .hop_fn = on_hop,
        .ctx = w,
    };
    Err e = {0};
    w->hops = 0;
    w->saw_last = false;
    int rc = http_fetch(w->client, &fetch, &w->response, &e);
    const HttpResponse *a = &w->response;
    Slice body = buf_slice(&a->body);
    bool as_wanted = !c->want || slice_eq_cstr(body, c->want);
    if (rc != c->rc || w->hops != c->hops || (rc == 0 && a->status != c->status) || !as_wanted) {
        (void)fprintf(stderr, "%s: %s, status %d, %d hops: '%.*s' %s\n", c->name, err_name(rc),
                      a->status, w->hops, SLICE_FMT(body), e.text);
        w->failed++;
    }
    if (rc != 0 && a->error_code != c->error_code) {
        (void)fprintf(stderr, "%s: code %d\n", c->name, a->error_code);
        w->failed++;
    }
}

static void test_redirects(void **state)
{
    (void)state;
    World w = {.response = http_response_create(NULL)};
    net_world_open(&w.net);
    HttpServerOptions options = {
        .loop = w.net.loop, .pool = w.net.pool, .handler = handle, .ctx = &w};
    assert_int_equal(http_server_open(&options, &w.server, NULL), 0);
    NetAddr addr = http_server_addr(w.server);
    w.port = net_addr_port(&addr);
    HttpContext *ctx = http_context_create(&(HttpContextOptions){.loop = w.net.loop});
    w.client = http_client_create(ctx);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        w.c = &cases[i];
        net_world_run(&w.net, run_case, &w);
    }
    assert_int_equal(w.failed, 0); // failures, told above
    http_response_done(&w.response);
    http_client_destroy(w.client);
    http_context_destroy(ctx);
    assert_int_equal(http_server_drain(w.server, NEVER_NS), 0);
    http_server_destroy(w.server);
    net_world_close(&w.net);
}

static void bad_url(void *arg)
{
    World *w = arg;
    FetchRequest fetch = {.url = SLICE("gopher://x"), .method = SLICE("GET")};
    Err e;
    assert_int_equal(http_fetch(w->client, &fetch, &w->response, &e), ERR_ARG);
    assert_int_equal(w->response.error_code, NET_INVALID_URL);
}

static void test_bad_url(void **state)
{
    (void)state;
    World w = {.response = http_response_create(NULL)};
    net_world_open(&w.net);
    HttpContext *ctx = http_context_create(&(HttpContextOptions){.loop = w.net.loop});
    w.client = http_client_create(ctx);
    net_world_run(&w.net, bad_url, &w);
    http_response_done(&w.response);
    http_client_destroy(w.client);
    http_context_destroy(ctx);
    net_world_close(&w.net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_bad_url),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
