#include "net/http2.h"

#include <unistd.h>

#include "net/net_test.h"
#include "net/server.h"
#include "net/sse.h"
#include "net/tls.h"
#include "net/tls_cert.h"

// Our client against our server, both against raw frames written by hand after RFC 9113. Against
// nginx, curl, nghttp and h2load they were tried by hand (docs/internals/http2.md).

enum { BIG = 600000, FIBERS = 20 };

typedef struct World {
    Loop *loop;
    FiberPool *pool;
    HttpServer *server;
    HttpContext *ctx;
    HttpClient *client;
    HttpOrigin origin;
    HttpResponse response;
    TlsClient *tls_client;
    TlsServer *tls_server;
    TlsConnector connector;
    TlsAcceptor acceptor;
    Buf big;
    int running; // handlers
    int reported;
    Buf seen;
    const char *raw;
    size_t raw_len;
    const struct Case *one;
} World;

static void echo(const HttpServerRequest *request, HttpReply *reply)
{
    Buf text = buf_create(1 << 20);
    buf_printf(&text, "%.*s %.*s?%.*s host=%d ", SLICE_FMT(request->method),
               SLICE_FMT(request->path), SLICE_FMT(request->query),
               http_head_get(request->head, SLICE("host")).len > 0);
    buf_append(&text, http_head_get(request->head, SLICE("x-own")));
    buf_append(&text, request->body);
    assert_int_equal(request->head->version_major, 2);
    assert_int_equal(http_reply_header(reply, SLICE("X-A"), SLICE("b"), NULL), 0);
    assert_int_equal(http_reply_header(reply, SLICE("Connection"), SLICE("close"), NULL), 0);
    http_reply_send(reply, 200, SLICE("text/plain"), buf_slice(&text), NULL);
    buf_done(&text);
}

static void events(HttpReply *reply)
{
    HttpSse *sse;
    assert_int_equal(sse_open(reply, &(SseOptions){0}, &sse, NULL), 0);
    for (int i = 0; i < 3; i++) {
        SseEvent event = {.data = SLICE("tick")};
        assert_int_equal(sse_send(sse, &event), 0);
        assert_int_equal(sse_flush(sse, NULL), 0);
    }
    sse_finish(sse);
    assert_int_equal(sse_run(sse, NULL), 0);
    sse_close(sse);
}

static void many_headers(HttpReply *reply)
{
    static char value[1000];
    memset(value, 'v', sizeof value);
    for (int i = 0; i < 50; i++) {
        Slice slice = {value, sizeof value};
        assert_int_equal(http_reply_header(reply, SLICE("x-long"), slice, NULL), 0);
    }
    http_reply_send(reply, 200, SLICE(""), SLICE("x"), NULL);
}

static void handle(void *ctx, const HttpServerRequest *request, HttpReply *reply)
{
    World *w = ctx;
    w->running++;
    if (slice_eq_cstr(request->path, "/echo")) {
        echo(request, reply);
    } else if (slice_eq_cstr(request->path, "/big")) {
        http_reply_send(reply, 200, SLICE(""), buf_slice(&w->big), NULL);
    } else if (slice_eq_cstr(request->path, "/stream")) {
        http_reply_begin(reply, 200, SLICE("text/plain"), NULL);
        http_reply_write(reply, SLICE("one "), NULL);
        http_reply_write(reply, SLICE(""), NULL);
        http_reply_write(reply, SLICE("two"), NULL);
    } else if (slice_eq_cstr(request->path, "/events")) {
        events(reply);
    } else if (slice_eq_cstr(request->path, "/headers")) {
        many_headers(reply);
    } else if (slice_eq_cstr(request->path, "/204")) {
        http_reply_send(reply, 204, SLICE(""), SLICE("ignored"), NULL);
    } else if (slice_eq_cstr(request->path, "/404")) {
        http_reply_send(reply, 404, SLICE(""), SLICE("none"), NULL);
    } else if (slice_eq_cstr(request->path, "/slow")) {
        assert_int_equal(fiber_sleep(60 * NS_PER_MS), 0);
        http_reply_send(reply, 200, SLICE(""), SLICE("too late"), NULL);
    } else if (slice_eq_cstr(request->path, "/wait")) {
        int rc = fiber_park("handler", NEVER_NS); // until it is cancelled
        assert_int_equal(rc, ERR_CANCELLED);
    } // else: left unanswered
    w->running--;
}

static void on_event(void *ctx, const HttpServerEvent *event)
{
    World *w = ctx;
    assert_true(event->status == 0 || event->status >= 200);
    w->reported++;
}

static void open_tls(World *w)
{
    Buf cert = buf_create(TLS_CERT_BYTES_MAX);
    Buf key = buf_create(TLS_CERT_BYTES_MAX);
    assert_int_equal(tls_cert_make(&(TlsCertSpec){.host = "127.0.0.1"}, &cert, &key, NULL), 0);
    TlsServerOptions server = {.cert.text = buf_slice(&cert), .key.text = buf_slice(&key)};
    TlsClientOptions client = {.ca.text = buf_slice(&cert)};
    assert_int_equal(tls_server_create(&server, &w->tls_server, NULL), 0);
    assert_int_equal(tls_client_create(&client, &w->tls_client, NULL), 0);
    w->connector = tls_client_connector(w->tls_client);
    w->acceptor = tls_server_acceptor(w->tls_server);
    buf_done(&cert);
    buf_done(&key);
}

static void make_origin(HttpOrigin *origin, bool tls, NetAddr addr)
{
    Buf text = buf_create(300);
    buf_printf(&text, "%s://127.0.0.1:%u/", tls ? "https" : "http", net_addr_port(&addr));
    Url url;
    assert_int_equal(url_parse(buf_slice(&text), &url, NULL), 0);
    assert_int_equal(http_origin_init(origin, &url, NULL), 0);
    origin->h2c = !tls;
    buf_done(&text);
}

static void open_world(World *w, bool tls, HttpServerOptions options)
{
    *w = (World){.big = buf_create(1 << 20), .seen = buf_create(1 << 20)};
    while (w->big.len < BIG) {
        buf_append(&w->big, SLICE("0123456789"));
    }
    assert_int_equal(loop_create(&(LoopOptions){0}, &w->loop, NULL), 0);
    w->pool = fiber_pool_create(w->loop, &(FiberOptions){.stack_bytes = 512 << 10});
    if (tls) {
        open_tls(w);
        options.tls = &w->acceptor;
    }
    options.loop = w->loop;
    options.pool = w->pool;
    options.handler = handle;
    options.event_fn = on_event;
    options.ctx = w;
    assert_int_equal(http_server_open(&options, &w->server, NULL), 0);
    HttpContextOptions context = {.loop = w->loop, .tls = tls ? &w->connector : NULL};
    w->ctx = http_context_create(&context);
    w->client = http_client_create(w->ctx);
    HttpResponseLimits limits = {{32 << 10, HTTP_FIELDS_MAX, HTTP_LINE_BYTES_MAX}, BIG + 1000};
    w->response = http_response_create(&limits);
    make_origin(&w->origin, tls, http_server_addr(w->server));
}

static void close_world(World *w)
{
    http_response_done(&w->response);
    http_client_destroy(w->client);
    http_context_destroy(w->ctx);
    http_origin_done(&w->origin);
    if (w->server) {
        assert_int_equal(http_server_drain(w->server, NEVER_NS), 0);
        http_server_destroy(w->server);
    }
    assert_int_equal(w->running, 0);
    fiber_pool_destroy(w->pool);
    loop_destroy(w->loop);
    tls_client_destroy(w->tls_client);
    tls_server_destroy(w->tls_server);
    buf_done(&w->big);
    buf_done(&w->seen);
}

static void run_fiber(World *w, FiberFn *fn, void *arg)
{
    FiberGroup group = {0};
    assert_non_null(fiber_group_spawn(&group, w->pool, "client", fn, arg));
    while (group.alive > 0) {
        (void)loop_tick(w->loop, NEVER_NS);
    }
}

// ---- requests in turn on one connection

typedef struct Case {
    const char *name;
    const char *method;
    const char *target;
    const char *body;
    bool big_body;
    bool wire;
    int64_t timeout_ms;
    int rc;
    int error_code;
    int status;
    const char *want; // body; NULL: not looked at
    size_t want_bytes;
} Case;

static const Case cases[] = {
    {"get", "GET", "/echo?a=b", .status = 200, .want = "GET /echo?a=b host=1 own"},
    {"wire", "GET", "/echo?a=b", .wire = true, .status = 200, .want = "GET /echo?a=b host=1 own"},
    {"post", "POST", "/echo", "body", .status = 200, .want = "POST /echo? host=1 ownbody"},
    {"post wire", "POST", "/echo", "body", .wire = true, .status = 200,
     .want = "POST /echo? host=1 ownbody"},
    {"head", "HEAD", "/echo", .status = 200, .want = ""},
    {"big both ways", "POST", "/echo", .big_body = true, .status = 200, .want_bytes = BIG + 22},
    {"big", "GET", "/big", .status = 200, .want_bytes = BIG},
    {"stream", "GET", "/stream", .status = 200, .want = "one two"},
    {"head of a stream", "HEAD", "/stream", .status = 200, .want = ""},
    {"events", "GET", "/events", .status = 200,
     .want = "data: tick\n\ndata: tick\n\ndata: tick\n\n"},
    {"204", "GET", "/204", .status = 204, .want = ""},
    {"404", "GET", "/404", .status = 404, .error_code = 1404, .want = "none"},
    {"unanswered", "GET", "/other", .status = 500, .error_code = 1500, .want = "500 no answer\n"},
    {"head over the limit", "GET", "/headers", .rc = ERR_LIMIT, .error_code = NET_ERROR},
    {"unknown method", "BREW", "/echo", .status = 501, .error_code = 1501},
    {"after failures", "GET", "/echo", .status = 200, .want = "GET /echo? host=1 own"},
    {"bad target", "GET", "/a\nb", .rc = ERR_ARG, .error_code = NET_ERROR},
    {"times out", "GET", "/slow", .timeout_ms = 30, .rc = ERR_TIMEOUT, .error_code = NET_TIMEOUT},
    {"after a timeout", "GET", "/echo", .status = 200, .want = "GET /echo? host=1 own"},
};

static void do_case(World *w, const Case *c)
{
    HttpHeader headers[] = {{SLICE("X-Own"), SLICE("own")}, {SLICE("Connection"), SLICE("close")}};
    HttpRequest request = {
        .origin = &w->origin,
        .method = slice_from_cstr(c->method),
        .target = slice_from_cstr(c->target),
        .headers = headers,
        .header_count = 2,
        .body = c->big_body ? buf_slice(&w->big) : slice_from_cstr(c->body),
        .body_mode = HTTP_BODY_KEEP,
        .timeout_ns = (c->timeout_ms ? c->timeout_ms : 20000) * NS_PER_MS,
    };
    Buf wire = buf_create(10000);
    if (c->wire) {
        assert_int_equal(http_request_wire(&wire, &request, NULL), 0);
        request.wire = buf_slice(&wire);
        request.header_count = 0;
    }
    Err e = {0};
    int rc = http_client_do(w->client, &request, &w->response, &e);
    const HttpResponse *a = &w->response;
    if (rc != c->rc || a->status != c->status || a->error_code != c->error_code) {
        fail_msg("%s: %s, status %d, code %d: %s", c->name, err_name(rc), a->status, a->error_code,
                 e.text);
    }
    if (c->want && !slice_eq_cstr(buf_slice(&a->body), c->want)) {
        fail_msg("%s: '%.*s'", c->name, SLICE_FMT(buf_slice(&a->body)));
    }
    assert_true(c->want_bytes == 0 || a->body.len == c->want_bytes);
    if (rc == 0) {
        assert_int_equal(a->head.version_major, 2);
        assert_true(a->bytes_sent > 0 && a->bytes_received > 0);
        assert_int_equal(http_head_get(&a->head, SLICE("connection")).len, 0);
    }
    const HttpTimings *t = &a->timings;
    assert_true(t->sending_ns >= 0 && t->waiting_ns >= 0 && t->receiving_ns >= 0);
    assert_true(t->end_ns - t->start_ns >= http_timings_duration(t));
    buf_done(&wire);
}

static void do_cases(void *arg)
{
    World *w = arg;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        do_case(w, &cases[i]);
    }
}

static void do_one(void *arg)
{
    World *w = arg;
    do_case(w, w->one);
}

static void run_cases(bool tls)
{
    World w;
    open_world(&w, tls, (HttpServerOptions){0});
    run_fiber(&w, do_cases, &w);
    // One served them all; the time-out made a second one.
    assert_int_equal(http_client_idle_count(w.client), 1);
    close_world(&w);
}

static void test_prior_knowledge(void **state)
{
    (void)state;
    run_cases(false);
}

static void test_alpn(void **state)
{
    (void)state;
    run_cases(true);
}

// ---- several fibers on one connection

typedef struct User {
    World *w;
    HttpResponse response;
    int number;
    int rc;
} User;

static void one_of_many(void *arg)
{
    User *u = arg;
    World *w = u->w;
    for (int i = 0; i < 5 && u->rc == 0; i++) {
        HttpRequest request = {
            .origin = &w->origin,
            .method = SLICE("POST"),
            .target = u->number % 3 == 0 ? SLICE("/big") : SLICE("/echo"),
            .body = SLICE("from one of many"),
            .body_mode = HTTP_BODY_KEEP,
            .timeout_ns = 20 * NS_PER_S,
        };
        u->rc = http_client_do(w->client, &request, &u->response, NULL);
        assert_int_equal(u->rc, 0);
        assert_int_equal(u->response.body.len,
                         u->number % 3 == 0 ? w->big.len
                                            : sizeof "POST /echo? host=1 from one of many" - 1);
    }
}

static void first(void *arg)
{
    do_case(arg, &cases[0]);
}

static void many_users(bool tls)
{
    World w;
    open_world(&w, tls, (HttpServerOptions){0});
    run_fiber(&w, first, &w); // opens the connection
    User users[FIBERS];
    FiberGroup group = {0};
    for (int i = 0; i < FIBERS; i++) {
        users[i] = (User){.w = &w, .number = i, .response = http_response_create(NULL)};
        assert_non_null(fiber_group_spawn(&group, w.pool, "user", one_of_many, &users[i]));
    }
    while (group.alive > 0) {
        (void)loop_tick(w.loop, NEVER_NS);
        assert_true(http_server_connections(w.server) <= 1);
    }
    for (int i = 0; i < FIBERS; i++) {
        http_response_done(&users[i].response);
    }
    assert_int_equal(w.reported, FIBERS * 5 + 1);
    close_world(&w);
}

static void test_shared(void **state)
{
    (void)state;
    many_users(false);
    many_users(true);
}

// ---- the server stops

static void wait_forever(void *arg)
{
    World *w = arg;
    HttpRequest request = {.origin = &w->origin, .method = SLICE("GET"), .target = SLICE("/wait")};
    assert_int_equal(http_client_do(w->client, &request, &w->response, NULL), 0);
    assert_int_equal(w->response.status, 500); // the cancelled handler said nothing
}

static void test_drain(void **state)
{
    (void)state;
    World w;
    open_world(&w, false, (HttpServerOptions){0});
    assert_non_null(fiber_spawn(w.pool, "client", wait_forever, &w));
    while (w.running == 0) {
        (void)loop_tick(w.loop, NEVER_NS);
    }
    assert_int_equal(http_server_drain(w.server, 0), 1);
    http_server_destroy(w.server);
    w.server = NULL;
    while (fiber_pool_stats(w.pool).alive > 0) {
        (void)loop_tick(w.loop, NEVER_NS);
    }
    close_world(&w);
}

// ---- raw frames against the server

#define PREFACE  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define SETTINGS "\0\0\0\4\0\0\0\0\0"
// GET / with :authority x, on stream 1, all from HPACK's static table but the last.
#define HEAD_GET "\x82\x86\x84\x41\x01x"

static void talk_raw(void *arg)
{
    World *w = arg;
    TcpStream *tcp;
    TcpConnectOptions options = {
        .loop = w->loop, .addr = http_server_addr(w->server), .deadline_ns = NEVER_NS};
    assert_int_equal(tcp_connect(&options, &tcp, NULL), 0);
    int rc = stream_write_all(&tcp->stream, (Slice){w->raw, w->raw_len}, NULL);
    buf_reset(&w->seen);
    stream_set_deadline(&tcp->stream, loop_clock(w->loop) + 200 * NS_PER_MS);
    while (rc == 0) {
        size_t n;
        char *at = buf_reserve(&w->seen, 4096);
        rc = stream_read(&tcp->stream, at, 4096, &n, NULL);
        if (rc != 0 || n == 0) {
            break;
        }
        buf_commit(&w->seen, n);
    }
    stream_close(&tcp->stream);
}

// Where the first frame of `type` that the server sent has its payload, NULL when there was none.
static const unsigned char *frame_in(const World *w, unsigned char type)
{
    const unsigned char *b = (const unsigned char *)w->seen.data;
    size_t at = 0;
    while (at + 9 <= w->seen.len) {
        size_t len = (size_t)b[at] << 16 | (size_t)b[at + 1] << 8 | b[at + 2];
        if (b[at + 3] == type && at + 9 + len <= w->seen.len) {
            return b + at + 9;
        }
        at += 9 + len;
    }
    return NULL;
}

static void raw(World *w, const Buf *bytes)
{
    w->raw = bytes->data;
    w->raw_len = bytes->len;
    run_fiber(w, talk_raw, w);
}

static void append_frame(Buf *out, unsigned char type, unsigned char flags, unsigned id, Slice body)
{
    unsigned char head[9] = {
        0, (unsigned char)(body.len >> 8), (unsigned char)body.len, type, flags, 0,
        0, (unsigned char)(id >> 8),       (unsigned char)id};
    buf_append(out, (Slice){(const char *)head, sizeof head});
    buf_append(out, body);
}

static Buf hello(void)
{
    Buf b = buf_create(1 << 20);
    buf_append(&b, SLICE(PREFACE));
    buf_append(&b, SLICE(SETTINGS));
    return b;
}

static void test_hostile_clients(void **state)
{
    (void)state;
    enum { DATA = 0, HEADERS = 1, RST = 3, GOAWAY = 7, CONTINUATION = 9 };
    World w;
    open_world(&w, false, (HttpServerOptions){0});
    // A head cut into as many frames as allowed, and into one more.
    for (int extra = 0; extra < 2; extra++) {
        Buf b = hello();
        append_frame(&b, HEADERS, 1, 1, SLICE(HEAD_GET));
        for (int i = 1; i < HTTP2_CONTINUATIONS_MAX + extra; i++) {
            append_frame(&b, CONTINUATION, 0, 1, SLICE(""));
        }
        append_frame(&b, CONTINUATION, 4, 1, SLICE(""));
        raw(&w, &b);
        // Whether GOAWAY is said depends on nghttp2's own limit; there is no answer in any case.
        assert_int_equal(frame_in(&w, HEADERS) != NULL, !extra);
        buf_done(&b);
    }
    // Rapid reset.
    Buf b = hello();
    for (unsigned i = 0; i < 200; i++) {
        append_frame(&b, HEADERS, 5, 2 * i + 1, SLICE(HEAD_GET));
        append_frame(&b, RST, 0, 2 * i + 1, SLICE("\0\0\0\x08"));
    }
    raw(&w, &b);
    const unsigned char *goaway = frame_in(&w, GOAWAY);
    assert_non_null(goaway);
    assert_int_equal(goaway[7], NGHTTP2_ENHANCE_YOUR_CALM);
    buf_done(&b);
    // Not HTTP/2 after the preface, half a preface, and a request without its pseudo fields.
    const struct {
        Slice bytes;
        bool preface;
    } junk[] = {{SLICE_INIT("GET / HTTP/1.1\r\n\r\n"), true},
                {SLICE_INIT("PRI * HTTP/2.0\r\n\r\nSM"), false},
                {SLICE_INIT(SETTINGS "\0\0\1\1\5\0\0\0\1\x82"), true},
                {SLICE_INIT(SETTINGS "\0\0\1\1\5\0\0\0\2\x82"), true},
                {SLICE_INIT(SETTINGS "\xff\xff\xff\1\5\0\0\0\1\x82"), true}};
    for (size_t i = 0; i < COUNT_OF(junk); i++) {
        Buf bytes = buf_create(1000);
        buf_append(&bytes, junk[i].preface ? SLICE(PREFACE) : SLICE(""));
        buf_append(&bytes, junk[i].bytes);
        raw(&w, &bytes);
        buf_done(&bytes);
    }
    assert_int_equal(w.running, 0);
    close_world(&w);
}

static void test_limits(void **state)
{
    (void)state;
    World w;
    HttpServerOptions options = {.body_bytes_max = 1000, .head = {2000, 20, 100}};
    open_world(&w, false, options);
    static const Case over[] = {
        {"body at the limit", "POST", "/204", .status = 204},
        {"body over", "POST", "/204", .big_body = true, .status = 413, .error_code = 1413},
        {"target over", "GET",
         "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aa"
         "aaaaaaaaaaaaa",
         .status = 414, .error_code = 1414},
        {"after", "GET", "/204", .status = 204},
    };
    for (size_t i = 0; i < COUNT_OF(over); i++) {
        w.one = &over[i];
        run_fiber(&w, do_one, &w);
    }
    close_world(&w);
}

// ---- raw bytes against the client

typedef struct Answer {
    const char *name;
    Slice bytes;
    bool stays; // the connection stays open
    int rc;
    int error_code;
} Answer;

static const Answer answers[] = {
    {"good", SLICE_INIT(SETTINGS "\0\0\1\1\5\0\0\0\1\x88"), true, 0, 0},
    {"speaks HTTP/1", SLICE_INIT("HTTP/1.1 400 Bad Request\r\n\r\n"), true, ERR_PROTOCOL, -1},
    {"closes", SLICE_INIT(""), false, ERR_CLOSED, -1},
    // RFC 9113 section 7: 1 PROTOCOL_ERROR, 2 INTERNAL_ERROR, 7 REFUSED_STREAM.
    {"resets the stream", SLICE_INIT(SETTINGS "\0\0\4\3\0\0\0\0\1\0\0\0\2"), true, ERR_PROTOCOL,
     NET_H2_STREAM_FIRST + 1 + 2},
    {"refuses", SLICE_INIT(SETTINGS "\0\0\4\3\0\0\0\0\1\0\0\0\7"), true, ERR_CLOSED,
     NET_H2_STREAM_FIRST + 1 + 7},
    {"goes away", SLICE_INIT(SETTINGS "\0\0\x08\7\0\0\0\0\0\0\0\0\0\0\0\0\2"), false, ERR_CLOSED,
     NET_H2_GOAWAY_FIRST + 1 + 2},
    {"breaks the protocol", SLICE_INIT(SETTINGS "\0\0\1\1\5\0\0\0\3\x88"), true, ERR_PROTOCOL,
     NET_H2_CONNECTION_FIRST + 1 + 1},
    {"half a head", SLICE_INIT(SETTINGS "\0\0\1\1\1\0\0\0\1\x88"), false, ERR_CLOSED, -1},
    {"cut off", SLICE_INIT(SETTINGS "\0\0\1\1\4\0\0\0\1\x88\0\0\2\0\0\0\0\0\1hi"), false,
     ERR_CLOSED, -1},
};

static void serve_bytes(NetWorld *w, TcpStream *peer)
{
    const Answer *a = w->script;
    char text[4096];
    size_t n;
    int rc = stream_read(&peer->stream, text, sizeof text, &n, NULL);
    if (rc == 0 && a->bytes.len > 0) {
        rc = stream_write_all(&peer->stream, a->bytes, NULL);
    }
    while (rc == 0 && a->stays && n > 0) {
        rc = stream_read(&peer->stream, text, sizeof text, &n, NULL);
    }
    stream_close(&peer->stream);
}

typedef struct Dial {
    HttpClient *client;
    HttpRequest request;
    HttpResponse *response;
    int rc;
    Err e;
} Dial;

static void dial(void *arg)
{
    Dial *d = arg;
    d->rc = http_client_do(d->client, &d->request, d->response, &d->e);
}

static void test_hostile_servers(void **state)
{
    (void)state;
    NetWorld w;
    net_world_open(&w);
    w.serve = serve_bytes;
    HttpContext *ctx = http_context_create(&(HttpContextOptions){.loop = w.loop});
    HttpOrigin origin;
    make_origin(&origin, false, w.addr);
    HttpResponse response = http_response_create(NULL);
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        const Answer *a = &answers[i];
        w.script = a;
        Dial d = {.client = http_client_create(ctx), .response = &response};
        d.request = (HttpRequest){.origin = &origin,
                                  .method = SLICE("POST"),
                                  .target = SLICE("/"),
                                  .timeout_ns = 20 * NS_PER_S};
        net_world_run(&w, dial, &d);
        if (d.rc != a->rc || (a->error_code >= 0 && response.error_code != a->error_code)) {
            fail_msg("%s: %s, code %d: %s", a->name, err_name(d.rc), response.error_code, d.e.text);
        }
        assert_true(d.rc == 0 || d.e.text[0] != '\0');
        http_client_destroy(d.client);
    }
    http_response_done(&response);
    http_origin_done(&origin);
    http_context_destroy(ctx);
    net_world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prior_knowledge), cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_shared),          cmocka_unit_test(test_drain),
        cmocka_unit_test(test_hostile_clients), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_hostile_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
