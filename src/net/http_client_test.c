#include "net/net_test.h"

#include <sys/resource.h>
#include <unistd.h>

// One connection of a server, as a script: what it reads and says in turn.
typedef enum StepKind {
    END,   // close
    ASK,   // read until an empty line (a request head)
    SAY,   // write the text
    SHUT,  // close the writing side only
    RESET, // close with a reset
    HANG,  // say nothing until the client goes away
    FLOOD, // write the text for ever
} StepKind;

typedef struct Step {
    StepKind kind;
    const char *text;
} Step;

enum { STEPS_MAX = 8 };

static void read_head(TcpStream *peer)
{
    char text[2048];
    size_t len = 0;
    while (len < sizeof text) {
        size_t n;
        if (stream_read(&peer->stream, text + len, sizeof text - len, &n, NULL) != 0 || n == 0) {
            return;
        }
        len += n;
        if (len >= 4 && memcmp(text + len - 4, "\r\n\r\n", 4) == 0) {
            return;
        }
    }
}

static void wait_for_end(TcpStream *peer)
{
    char text[256];
    size_t n = 1;
    while (n > 0 && stream_read(&peer->stream, text, sizeof text, &n, NULL) == 0) {
    }
}

static void flood(TcpStream *peer, const char *text)
{
    while (stream_write_all(&peer->stream, slice_from_cstr(text), NULL) == 0) {
    }
}

static void serve_script(NetWorld *w, TcpStream *peer)
{
    const Step *steps = w->script;
    int rc = 0;
    for (int i = 0; i < STEPS_MAX && steps[i].kind != END && rc == 0; i++) {
        switch (steps[i].kind) {
        case END: break;
        case ASK: read_head(peer); break;
        case SAY: rc = stream_write_all(&peer->stream, slice_from_cstr(steps[i].text), NULL); break;
        case SHUT: rc = shutdown(peer->io.fd, SHUT_WR); break;
        case RESET:
            rc = setsockopt(peer->io.fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0},
                            sizeof(struct linger));
            break;
        case HANG: wait_for_end(peer); break;
        case FLOOD: flood(peer, steps[i].text); break;
        }
    }
    stream_close(&peer->stream);
}

// ---- one request against one script

typedef struct Case {
    const char *name;
    Step steps[STEPS_MAX];
    int rc;
    int error_code;
    int status;
    const char *body;
    int64_t timeout_ms;
    bool head; // HEAD instead of GET
} Case;

#define LONG_MS 20000

static const Case cases[] = {
    {"ok", {{ASK}, {SAY, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"}}, 0, 0, 200, "hi"},
    {"in pieces",
     {{ASK},
      {SAY, "HTTP/1.1 20"},
      {SAY, "0 OK\r\nContent-Le"},
      {SAY, "ngth: 2\r\n\r"},
      {SAY, "\nhi"}},
     0,
     0,
     200,
     "hi"},
    {"until close", {{ASK}, {SAY, "HTTP/1.1 200 OK\r\n\r\nall"}}, 0, 0, 200, "all"},
    {"half close", {{ASK}, {SAY, "HTTP/1.1 200 OK\r\n\r\nall"}, {SHUT}, {HANG}}, 0, 0, 200, "all"},
    {"404",
     {{ASK}, {SAY, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"}},
     0,
     1404,
     404,
     ""},
    {"503", {{ASK}, {SAY, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"}}, 0, 1503, 503, ""},
    {"answer without reading",
     {{SAY, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"}, {HANG}},
     0,
     0,
     200,
     "hi"},
    {"head",
     {{ASK}, {SAY, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"}, {HANG}},
     0,
     0,
     200,
     "",
     .head = true},
    // Hostile.
    {"dead", {{HANG}}, ERR_TIMEOUT, NET_TIMEOUT, 0, NULL, .timeout_ms = 30},
    {"slow",
     {{ASK}, {SAY, "HTTP/1.1 200 OK\r\n"}, {HANG}},
     ERR_TIMEOUT,
     NET_TIMEOUT,
     0,
     NULL,
     .timeout_ms = 30},
    {"slow body",
     {{ASK}, {SAY, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"}, {HANG}},
     ERR_TIMEOUT,
     NET_TIMEOUT,
     200,
     NULL,
     .timeout_ms = 30},
    {"closes at once", {{END}}, ERR_CLOSED, 0, 0, NULL},
    {"closes after the request", {{ASK}}, ERR_CLOSED, NET_ERROR, 0, NULL},
    {"half closes without answer", {{ASK}, {SHUT}, {HANG}}, ERR_CLOSED, NET_ERROR, 0, NULL},
    {"resets", {{ASK}, {RESET}}, ERR_CLOSED, NET_RESET, 0, NULL},
    {"resets in the body",
     {{ASK}, {SAY, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"}, {RESET}},
     ERR_CLOSED,
     NET_RESET,
     -1,
     NULL},
    {"garbage",
     {{ASK}, {SAY, "\x16\x03\x01 what is this"}, {HANG}},
     ERR_PROTOCOL,
     NET_ERROR,
     0,
     NULL},
    {"closes early",
     {{ASK}, {SAY, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"}},
     ERR_PROTOCOL,
     NET_ERROR,
     200,
     NULL},
    {"two lengths",
     {{ASK}, {SAY, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"}, {HANG}},
     ERR_PROTOCOL,
     NET_ERROR,
     0,
     NULL},
    {"endless head",
     {{ASK}, {SAY, "HTTP/1.1 200 OK\r\n"}, {FLOOD, "X-More: and more\r\n"}},
     ERR_LIMIT,
     NET_ERROR,
     0,
     NULL},
    {"endless line",
     {{ASK}, {SAY, "HTTP/1.1 200 "}, {FLOOD, "more and more and more "}},
     ERR_LIMIT,
     NET_ERROR,
     0,
     NULL},
    {"endless body",
     {{ASK}, {SAY, "HTTP/1.1 200 OK\r\n\r\n"}, {FLOOD, "more and more and more "}},
     ERR_LIMIT,
     NET_ERROR,
     200,
     NULL},
    {"endless interim",
     {{ASK}, {FLOOD, "HTTP/1.1 100 Continue\r\n\r\n"}},
     ERR_PROTOCOL,
     NET_ERROR,
     0,
     NULL},
};

typedef struct Run {
    NetWorld *w;
    const Case *c;
    HttpRequest request;
    HttpResponse *response;
    HttpContext *ctx;
    HttpClient *client;
    int rc;
    Err e;
} Run;

static void do_request(void *arg)
{
    Run *r = arg;
    r->rc = http_client_do(r->client, &r->request, r->response, &r->e);
}

static void make_origin(const NetWorld *w, HttpOrigin *origin)
{
    Buf text = buf_create(100);
    buf_printf(&text, "http://127.0.0.1:%u/", net_addr_port(&w->addr));
    Url url;
    assert_int_equal(url_parse(buf_slice(&text), &url, NULL), 0);
    assert_int_equal(http_origin_init(origin, &url, NULL), 0);
    buf_done(&text);
}

static void check_case(const Case *c, const Run *r)
{
    const HttpResponse *a = r->response;
    if (r->rc != c->rc) {
        fail_msg("%s: %s (%s) instead of %s", c->name, err_name(r->rc), r->e.text, err_name(c->rc));
    }
    // A server that closes at once is seen as the end, a reset or a broken pipe.
    if (c->error_code != 0 || c->rc == 0) {
        assert_int_equal(a->error_code, c->error_code);
    } else {
        assert_int_not_equal(a->error_code, 0);
    }
    if (c->status >= 0) {
        assert_int_equal(a->status, c->status);
    }
    if (c->body) {
        assert_true(slice_eq_cstr(buf_slice(&a->body), c->body));
    }
    const HttpTimings *t = &a->timings;
    assert_true(t->sending_ns >= 0 && t->waiting_ns >= 0 && t->receiving_ns >= 0);
    assert_true(t->blocked_ns >= t->connecting_ns + t->looking_up_ns);
    assert_true(t->end_ns - t->start_ns >= http_timings_duration(t));
}

static void test_one_request(void **state)
{
    (void)state;
    NetWorld w;
    net_world_open(&w);
    w.serve = serve_script;
    HttpOrigin origin;
    make_origin(&w, &origin);
    HttpContext *ctx = http_context_create(&(HttpContextOptions){.loop = w.loop});
    HttpResponseLimits limits = {{HTTP_HEAD_BYTES_MAX, HTTP_FIELDS_MAX, HTTP_LINE_BYTES_MAX},
                                 1 << 16};
    HttpResponse response = http_response_create(&limits);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const Case *c = &cases[i];
        w.script = c->steps;
        Run r = {.w = &w, .c = c, .response = &response, .client = http_client_create(ctx)};
        r.request = (HttpRequest){
            .origin = &origin,
            .method = c->head ? SLICE("HEAD") : SLICE("GET"),
            .target = SLICE("/"),
            .body_mode = HTTP_BODY_KEEP,
            .timeout_ns = (c->timeout_ms ? c->timeout_ms : LONG_MS) * NS_PER_MS,
        };
        net_world_run(&w, do_request, &r);
        check_case(c, &r);
        http_client_destroy(r.client);
    }
    http_response_done(&response);
    http_context_destroy(ctx);
    http_origin_done(&origin);
    net_world_close(&w);
}

// ---- keep-alive

typedef struct Session {
    NetWorld w;
    HttpOrigin origin;
    HttpContext *ctx;
    HttpClient *client;
    HttpResponse response;
    int64_t idle_ns;
} Session;

static void open_session(Session *s, const Step *script)
{
    net_world_open(&s->w);
    s->w.serve = serve_script;
    s->w.script = script;
    make_origin(&s->w, &s->origin);
    s->ctx =
        http_context_create(&(HttpContextOptions){.loop = s->w.loop, .idle_per_origin_max = 2});
    s->client = http_client_create(s->ctx);
    s->response = http_response_create(NULL);
}

static void close_session(Session *s)
{
    http_response_done(&s->response);
    http_client_destroy(s->client);
    http_context_destroy(s->ctx);
    http_origin_done(&s->origin);
    net_world_close(&s->w);
}

static int get(Session *s, Slice method, Slice body)
{
    HttpRequest request = {
        .origin = &s->origin,
        .method = method,
        .target = SLICE("/"),
        .body = body,
        .body_mode = HTTP_BODY_KEEP,
        .timeout_ns = LONG_MS * NS_PER_MS,
    };
    Err e;
    return http_client_do(s->client, &request, &s->response, &e);
}

#define ANSWER                                                                                     \
    {ASK},                                                                                         \
    {                                                                                              \
        SAY, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"                                      \
    }

static void reuse(void *arg)
{
    Session *s = arg;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(get(s, SLICE("GET"), SLICE("")), 0);
        assert_int_equal(s->response.reused, i > 0);
        assert_int_equal(http_client_idle_count(s->client), 1);
        assert_true((s->response.timings.connecting_ns > 0) == (i == 0));
        assert_int_equal(s->response.bytes_received,
                         strlen("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"));
    }
}

static void test_connection_is_reused(void **state)
{
    (void)state;
    static const Step script[STEPS_MAX] = {ANSWER, ANSWER, ANSWER, {HANG}};
    Session s;
    open_session(&s, script);
    net_world_run(&s.w, reuse, &s);
    assert_int_equal(s.w.accepted, 1);
    close_session(&s);
}

static void not_reused(void *arg)
{
    Session *s = arg;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(get(s, SLICE("GET"), SLICE("")), 0);
        assert_false(s->response.reused);
        assert_int_equal(http_client_idle_count(s->client), 0);
    }
}

static void test_what_is_not_reused(void **state)
{
    (void)state;
    static const Step scripts[][STEPS_MAX] = {
        {{ASK}, {SAY, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"}, {HANG}},
        {{ASK}, {SAY, "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"}, {HANG}},
        {{ASK}, {SAY, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nunasked"}, {HANG}},
        {{ASK}, {SAY, "HTTP/1.1 200 OK\r\n\r\n"}},
    };
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        Session s;
        open_session(&s, scripts[i]);
        net_world_run(&s.w, not_reused, &s);
        assert_int_equal(s.w.accepted, 2);
        close_session(&s);
    }
}

// The server closes while the connection is idle: noticed, and the next request dials.
static void idle_close(void *arg)
{
    Session *s = arg;
    assert_int_equal(get(s, SLICE("GET"), SLICE("")), 0);
    while (http_client_idle_count(s->client) > 0) {
        assert_int_equal(fiber_yield(), 0);
        assert_int_equal(fiber_sleep(NS_PER_MS), 0);
    }
    assert_int_equal(get(s, SLICE("POST"), SLICE("")), 0);
    assert_false(s->response.reused);
    assert_false(s->response.retried);
}

static void test_server_closes_idle_connection(void **state)
{
    (void)state;
    static const Step script[STEPS_MAX] = {ANSWER};
    Session s;
    open_session(&s, script);
    net_world_run(&s.w, idle_close, &s);
    assert_int_equal(s.w.accepted, 2);
    close_session(&s);
}

// The server closes a reused connection instead of answering: once more on a fresh one, where that
// is harmless.
static void stale(void *arg)
{
    Session *s = arg;
    assert_int_equal(get(s, SLICE("GET"), SLICE("")), 0);
    assert_int_equal(get(s, SLICE("GET"), SLICE("")), 0);
    assert_true(s->response.retried);
    assert_false(s->response.reused);
    assert_int_equal(s->w.accepted, 2);
    assert_int_equal(get(s, SLICE("POST"), SLICE("")), ERR_CLOSED);
    assert_false(s->response.retried);
    assert_int_equal(s->w.accepted, 2);
}

static void test_stale_connection_is_replaced_once(void **state)
{
    (void)state;
    static const Step script[STEPS_MAX] = {ANSWER, {ASK}};
    Session s;
    open_session(&s, script);
    net_world_run(&s.w, stale, &s);
    close_session(&s);
}

typedef struct Batch {
    Session s;
    int done;
} Batch;

static void batch_member(void *arg)
{
    Batch *b = arg;
    HttpResponse response = http_response_create(NULL);
    HttpRequest request = {.origin = &b->s.origin,
                           .method = SLICE("GET"),
                           .target = SLICE("/"),
                           .timeout_ns = LONG_MS * NS_PER_MS};
    assert_int_equal(http_client_do(b->s.client, &request, &response, NULL), 0);
    assert_int_equal(response.body_bytes, 2);
    http_response_done(&response);
    b->done++;
}

static void batch(void *arg)
{
    Batch *b = arg;
    FiberGroup group = {0};
    for (int i = 0; i < 10; i++) {
        assert_non_null(fiber_group_spawn(&group, fiber_pool(), "member", batch_member, b));
    }
    assert_int_equal(fiber_group_wait(&group, NEVER_NS), 0);
    assert_int_equal(http_client_idle_count(b->s.client), 2); // the limit of this context
}

static void test_one_client_many_fibers(void **state)
{
    (void)state;
    static const Step script[STEPS_MAX] = {ANSWER, {HANG}};
    Batch b = {.done = 0};
    open_session(&b.s, script);
    net_world_run(&b.s.w, batch, &b);
    assert_int_equal(b.done, 10);
    close_session(&b.s);
}

// ---- connecting, cancelling, sinks

static int refuse_all(void *ctx, const NetAddr *addr, Slice host, Err *e)
{
    ++*(int *)ctx;
    assert_true(net_addr_is_loopback(addr));
    return err_set(e, ERR_REFUSED, "'%.*s' is not allowed", SLICE_FMT(host));
}

typedef struct Dial {
    const char *url;
    HttpContext *ctx;
    int64_t timeout_ns;
    int rc;
    int error_code;
} Dial;

static void dial_it(void *arg)
{
    Dial *d = arg;
    Url url;
    assert_int_equal(url_parse(slice_from_cstr(d->url), &url, NULL), 0);
    HttpOrigin origin;
    assert_int_equal(http_origin_init(&origin, &url, NULL), 0);
    HttpClient *client = http_client_create(d->ctx);
    HttpResponse response = http_response_create(NULL);
    HttpRequest request = {.origin = &origin,
                           .method = SLICE("GET"),
                           .target = SLICE("/"),
                           .timeout_ns = d->timeout_ns};
    Err e = {0};
    d->rc = http_client_do(client, &request, &response, &e);
    assert_true(d->rc == 0 || e.text[0] != '\0');
    d->error_code = response.error_code;
    assert_true(d->rc == 0 || (response.status == 0 && response.head.field_count == 0));
    http_response_done(&response);
    http_client_destroy(client);
    http_origin_done(&origin);
}

static void test_dialling_fails(void **state)
{
    (void)state;
    NetWorld w;
    net_world_open(&w);
    w.serve = serve_script;
    int asked = 0;
    ConnectFilter filter = {refuse_all, &asked};
    char refused[64];
    // A port that was free a moment ago.
    (void)snprintf(refused, sizeof refused, "http://127.0.0.1:%u/", net_addr_port(&w.addr));
    listener_close(w.listener);
    w.listener = NULL;
    const struct {
        const char *url;
        const ConnectFilter *filter;
        int rc;
        int error_code;
    } dials[] = {
        {refused, NULL, ERR_CONNECT, NET_DIAL_REFUSED},
        {"http://localhost:1/", NULL, ERR_CONNECT, NET_DIAL_REFUSED},
        {"http://[::1]:1/", NULL, ERR_CONNECT, 0},
        {"http://no-such-host.invalid/", NULL, ERR_DNS, NET_DNS},
        {"https://127.0.0.1/", &filter, ERR_REFUSED, NET_BLOCKED_IP},
        {refused, &filter, ERR_REFUSED, NET_BLOCKED_IP},
    };
    for (size_t i = 0; i < COUNT_OF(dials); i++) {
        HttpContext *ctx =
            http_context_create(&(HttpContextOptions){.loop = w.loop, .filter = dials[i].filter});
        Dial d = {.url = dials[i].url, .ctx = ctx, .timeout_ns = LONG_MS * NS_PER_MS};
        net_world_run(&w, dial_it, &d);
        assert_int_equal(d.rc, dials[i].rc);
        assert_true(dials[i].error_code == 0 || d.error_code == dials[i].error_code);
        http_context_destroy(ctx);
    }
    assert_int_equal(asked, 2);
    net_world_close(&w);
}

// A listener whose backlog is full drops connection attempts: the connect times out.
static void test_dial_times_out(void **state)
{
    (void)state;
    NetWorld w;
    net_world_open(&w);
    listener_pause(w.listener, true);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    NetAddr addr = net_addr_loopback(0);
    assert_int_equal(bind(fd, &addr.u.any, addr.len), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, &addr.u.any, &addr.len), 0);
    int fillers[3];
    for (int i = 0; i < 3; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fillers[i], &addr.u.any, addr.len);
    }
    char url[64];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/", net_addr_port(&addr));
    // Whichever ends first is the one told, as k6 does.
    for (int dialler = 0; dialler < 2; dialler++) {
        HttpContext *ctx = http_context_create(&(HttpContextOptions){
            .loop = w.loop, .connect_timeout_ns = dialler ? 30 * NS_PER_MS : 0});
        Dial d = {.url = url, .ctx = ctx, .timeout_ns = (dialler ? LONG_MS : 30) * NS_PER_MS};
        net_world_run(&w, dial_it, &d);
        assert_int_equal(d.rc, ERR_TIMEOUT);
        assert_int_equal(d.error_code, dialler ? NET_DIAL_TIMEOUT : NET_TIMEOUT);
        http_context_destroy(ctx);
    }
    for (int i = 0; i < 3; i++) {
        (void)close(fillers[i]);
    }
    (void)close(fd);
    net_world_close(&w);
}

static void dial_without_descriptors(void *arg)
{
    dial_it(arg);
}

static void test_no_file_descriptors_left(void **state)
{
    (void)state;
    NetWorld w;
    net_world_open(&w);
    char url[64];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/", net_addr_port(&w.addr));
    HttpContext *ctx = http_context_create(&(HttpContextOptions){.loop = w.loop});
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){3, old.rlim_max}), 0);
    Dial d = {.url = url, .ctx = ctx, .timeout_ns = LONG_MS * NS_PER_MS};
    net_world_run(&w, dial_without_descriptors, &d);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(d.rc, ERR_LIMIT);
    http_context_destroy(ctx);
    net_world_close(&w);
}

static void canceller(void *arg)
{
    Session *s = arg;
    assert_int_equal(get(s, SLICE("GET"), SLICE("")), ERR_CANCELLED);
    assert_int_equal(http_client_idle_count(s->client), 0);
    s->w.done = true;
}

static void test_cancelled_request_unwinds(void **state)
{
    (void)state;
    static const Step script[STEPS_MAX] = {{ASK}, {HANG}};
    Session s;
    open_session(&s, script);
    Fiber *f = fiber_spawn(s.w.pool, "cancelled", canceller, &s);
    while (s.w.accepted == 0) {
        (void)loop_tick(s.w.loop, NEVER_NS);
    }
    fiber_cancel(f);
    while (!s.w.done) {
        (void)loop_tick(s.w.loop, NEVER_NS);
    }
    close_session(&s);
}

static int count_pieces(void *ctx, Slice piece)
{
    *(int64_t *)ctx += (int64_t)piece.len;
    return *(int64_t *)ctx > 1000000 ? ERR_LIMIT : 0;
}

static void stream_body(void *arg)
{
    Session *s = arg;
    int64_t bytes = 0;
    HttpRequest request = {.origin = &s->origin,
                           .method = SLICE("GET"),
                           .target = SLICE("/"),
                           .body_mode = HTTP_BODY_STREAM,
                           .body_fn = count_pieces,
                           .body_ctx = &bytes,
                           .timeout_ns = LONG_MS * NS_PER_MS};
    assert_int_equal(http_client_do(s->client, &request, &s->response, NULL), ERR_LIMIT);
    assert_true(bytes > 1000000);
    assert_int_equal(s->response.body_bytes, bytes);
}

static void test_streamed_body(void **state)
{
    (void)state;
    static const Step script[STEPS_MAX] = {
        {ASK}, {SAY, "HTTP/1.1 200 OK\r\n\r\n"}, {FLOOD, "a piece of something long "}};
    Session s;
    open_session(&s, script);
    net_world_run(&s.w, stream_body, &s);
    close_session(&s);
}

// A body larger than the socket's buffers: the writer parks and goes on.
static void serve_sink(NetWorld *w, TcpStream *peer)
{
    (void)w;
    char buffer[4096];
    size_t total = 0;
    size_t n = 1;
    while (total < (16U << 20) && n > 0 &&
           stream_read(&peer->stream, buffer, sizeof buffer, &n, NULL) == 0) {
        total += n;
    }
    assert_int_equal(stream_write_all(&peer->stream,
                                      SLICE("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), NULL),
                     0);
    wait_for_end(peer);
    stream_close(&peer->stream);
}

static void send_large(void *arg)
{
    Session *s = arg;
    size_t len = 16 << 20;
    char *body = mem_zalloc(len);
    assert_int_equal(get(s, SLICE("PUT"), (Slice){body, len}), 0);
    assert_true(s->response.bytes_sent > len);
    free(body);
}

static void test_large_request_body(void **state)
{
    (void)state;
    Session s;
    open_session(&s, NULL);
    s.w.serve = serve_sink;
    net_world_run(&s.w, send_large, &s);
    close_session(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_request),
        cmocka_unit_test(test_connection_is_reused),
        cmocka_unit_test(test_what_is_not_reused),
        cmocka_unit_test(test_server_closes_idle_connection),
        cmocka_unit_test(test_stale_connection_is_replaced_once),
        cmocka_unit_test(test_one_client_many_fibers),
        cmocka_unit_test(test_dialling_fails),
        cmocka_unit_test(test_dial_times_out),
        cmocka_unit_test(test_no_file_descriptors_left),
        cmocka_unit_test(test_cancelled_request_unwinds),
        cmocka_unit_test(test_streamed_body),
        cmocka_unit_test(test_large_request_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
