#include "net/net_test.h"

#include <unistd.h>

#include "net/server.h"
#include "net/sse.h"
#include "os/mpsc.h"
#include "os/thread.h"

typedef struct World {
    Loop *loop;
    FiberPool *pool;
    HttpServer *server;
    Buf seen; // what the client got
    int events;
    int last_status;
    HttpSse *sse;
    int sse_rc;
    bool handler_running;
    const void *exchange;
} World;

static void echo(const HttpServerRequest *request, HttpReply *reply)
{
    Buf text = buf_create(1 << 20);
    buf_printf(&text, "%.*s %.*s", SLICE_FMT(request->method), SLICE_FMT(request->path));
    if (request->query.ptr) {
        buf_printf(&text, " query=%.*s", SLICE_FMT(request->query));
    }
    buf_printf(&text, " body=%.*s", SLICE_FMT(request->body));
    assert_int_equal(http_reply_header(reply, SLICE("X-A"), SLICE("b"), NULL), 0);
    assert_int_equal(http_reply_header(reply, SLICE("X-A"), SLICE("b\r\nc"), NULL), ERR_ARG);
    http_reply_send(reply, 200, SLICE("text/plain"), buf_slice(&text), NULL);
    assert_int_equal(http_reply_send(reply, 200, SLICE(""), SLICE(""), NULL), ERR_ARG);
    assert_int_equal(http_reply_header(reply, SLICE("X-B"), SLICE("b"), NULL), ERR_ARG);
    buf_done(&text);
}

static void stream(HttpReply *reply)
{
    http_reply_begin(reply, 200, SLICE("text/plain"), NULL);
    http_reply_write(reply, SLICE("one "), NULL);
    http_reply_write(reply, SLICE(""), NULL); // must not end the body
    http_reply_write(reply, SLICE("two"), NULL);
}

static void events(World *w, HttpReply *reply)
{
    SseOptions options = {.queue_max = 100000, .heartbeat_ns = 2 * NS_PER_MS};
    assert_int_equal(sse_open(reply, &options, &w->sse, NULL), 0);
    w->sse_rc = sse_run(w->sse, NULL);
    sse_close(w->sse);
    w->sse = NULL;
}

static void handle(void *ctx, const HttpServerRequest *request, HttpReply *reply)
{
    World *w = ctx;
    w->handler_running = true;
    if (slice_eq_cstr(request->path, "/echo")) {
        echo(request, reply);
    } else if (slice_eq_cstr(request->path, "/stream")) {
        stream(reply);
    } else if (slice_eq_cstr(request->path, "/events")) {
        events(w, reply);
    } else if (slice_eq_cstr(request->path, "/abort")) {
        stream(reply);
        http_reply_abort(reply);
        assert_true(http_reply_is_gone(reply));
        assert_int_equal(http_reply_write(reply, SLICE("more"), NULL), ERR_ARG);
    } else if (slice_eq_cstr(request->path, "/silent")) {
        http_reply_abort(reply);
    } else if (slice_eq_cstr(request->path, "/204")) {
        http_reply_send(reply, 204, SLICE(""), SLICE("ignored"), NULL);
    } else if (slice_eq_cstr(request->path, "/wait")) {
        if (fiber_park("handler", NEVER_NS) == 0) {
            http_reply_send(reply, 200, SLICE(""), SLICE("waited"), NULL);
        }
    } // else: left unanswered
    w->handler_running = false;
}

static void on_event(void *ctx, const HttpServerEvent *event)
{
    World *w = ctx;
    w->events++;
    w->last_status = event->status;
    assert_true(event->duration_ns >= 0);
}

static void open_world(World *w, HttpServerOptions options)
{
    *w = (World){.seen = buf_create(4 << 20)};
    assert_int_equal(loop_create(&(LoopOptions){0}, &w->loop, NULL), 0);
    w->pool = fiber_pool_create(w->loop, &(FiberOptions){0});
    options.loop = w->loop;
    options.pool = w->pool;
    options.handler = handle;
    options.event_fn = on_event;
    options.ctx = w;
    assert_int_equal(http_server_open(&options, &w->server, NULL), 0);
}

static void close_world(World *w)
{
    if (w->server) {
        assert_int_equal(http_server_drain(w->server, NEVER_NS), 0);
    }
    http_server_destroy(w->server);
    fiber_pool_destroy(w->pool);
    loop_destroy(w->loop);
    buf_done(&w->seen);
}

static void run_client(World *w, FiberFn *fn)
{
    FiberGroup group = {0};
    assert_non_null(fiber_group_spawn(&group, w->pool, "client", fn, w));
    while (group.alive > 0) {
        (void)loop_tick(w->loop, NEVER_NS);
    }
}

static TcpStream *dial(World *w)
{
    TcpStream *tcp;
    TcpConnectOptions options = {
        .loop = w->loop, .addr = http_server_addr(w->server), .deadline_ns = NEVER_NS};
    assert_int_equal(tcp_connect(&options, &tcp, NULL), 0);
    return tcp;
}

// Reads until the end of the connection or until `text` was seen (NULL: the end).
static bool read_until(World *w, TcpStream *tcp, const char *text)
{
    for (;;) {
        if (text && w->seen.data && strstr(w->seen.data, text)) {
            return true;
        }
        char *at = buf_reserve(&w->seen, 4096);
        size_t n;
        if (stream_read(&tcp->stream, at, 4096, &n, NULL) != 0 || n == 0) {
            return false;
        }
        buf_commit(&w->seen, n);
    }
}

// ---- one connection, raw

typedef struct Exchange {
    const char *name;
    const char *pieces[4]; // sent one by one
    const char *expect[4]; // found in this order
    const char *last;      // the end of everything; NULL: anything
    bool stays_open;       // after `last`; else the server closes
} Exchange;

#define H             "Host: x\r\n"
#define TOO_LONG_BODY "POST /echo HTTP/1.1\r\n" H "Content-Length: 33\r\n\r\n"

static const Exchange exchanges[] = {
    {"get",
     {"GET /echo?q=1 HTTP/1.1\r\n" H "\r\n"},
     {"HTTP/1.1 200 OK\r\n",
      "Date: ", "Content-Type: text/plain\r\nContent-Length: ", "X-A: b\r\n\r\n"},
     "GET /echo query=q=1 body=",
     true},
    {"close",
     {"GET /echo HTTP/1.1\r\nConnection: close\r\n" H "\r\n"},
     {"200 OK", "Connection: close\r\n"},
     "GET /echo body="},
    {"1.0", {"GET /echo HTTP/1.0\r\n\r\n"}, {"200 OK", "Connection: close\r\n"}, "GET /echo body="},
    {"1.0 keep-alive",
     {"GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"},
     {"200 OK", "Connection: keep-alive\r\n"},
     "GET /echo body=",
     true},
    {"1.0 stream",
     {"GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"},
     {"200 OK", "Connection: close\r\n\r\n"},
     "one two"},
    {"head",
     {"HEAD /echo HTTP/1.1\r\n" H "\r\n"},
     {"200 OK", "Content-Length: 16\r\n"},
     "\r\n\r\n",
     true},
    {"head of a stream", {"HEAD /stream HTTP/1.1\r\n" H "\r\n"}, {"200 OK"}, "\r\n\r\n", true},
    {"stream",
     {"GET /stream HTTP/1.1\r\n" H "\r\n"},
     {"Transfer-Encoding: chunked\r\n"},
     "\r\n\r\n4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n",
     true},
    {"abort", {"GET /abort HTTP/1.1\r\n" H "\r\n"}, {"200 OK"}, "3\r\ntwo\r\n"},
    {"abort before anything", {"GET /silent HTTP/1.1\r\n" H "\r\n"}, {NULL}, NULL},
    {"204", {"GET /204 HTTP/1.1\r\n" H "\r\n"}, {"204 No Content\r\nDate"}, "GMT\r\n\r\n", true},
    {"no answer",
     {"GET /unknown HTTP/1.1\r\n" H "\r\n"},
     {"500 Internal"},
     "500 no answer\n",
     true},
    {"post",
     {"POST /echo HTTP/1.1\r\n" H "Content-Length: 4\r\n\r\n", "bo", "dy"},
     {"200 OK"},
     "POST /echo body=body",
     true},
    {"chunked post",
     {"POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "0\r\n\r\n"},
     {"200 OK"},
     "body=abc",
     true},
    {"expect",
     {"PUT /echo HTTP/1.1\r\n" H "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n", "hi"},
     {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"},
     "body=hi",
     true},
    {"pipelined",
     {"GET /echo?1 HTTP/1.1\r\n" H "\r\nGET /echo?2 HTTP/1.1\r\n" H "\r\nGET /echo?3 HTTP/1.1\r\n" H
      "\r\n"},
     {"query=1 body=HTTP/1.1 200 OK", "query=2 body=HTTP/1.1 200 OK"},
     "query=3 body=",
     true},
    {"byte by byte", {"GET /ec", "ho HTTP/1.1\r", "\n" H "\r", "\n"}, {"200 OK"}, "body=", true},
    {"body at the limit",
     {"POST /echo HTTP/1.1\r\n" H "Content-Length: 32\r\n\r\n", "0123456789abcdef0123456789abcdef"},
     {"200 OK"},
     "cdef",
     true},
    // Refused.
    {"body past the limit",
     {TOO_LONG_BODY},
     {"413 Content Too Large", "Connection: close\r\n"},
     NULL},
    {"chunked body past the limit",
     {"POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n21\r\n",
      "0123456789abcdef0123456789abcdef0\r\n"},
     {"413 Content Too Large"},
     NULL},
    {"no host", {"GET /echo HTTP/1.1\r\n\r\n"}, {"400 Bad Request"}, "Host field\n"},
    {"two hosts", {"GET /echo HTTP/1.1\r\n" H H "\r\n"}, {"400 Bad Request"}, NULL},
    {"garbage", {"\x16\x03\x01\x02 hello"}, {"400 Bad Request"}, NULL},
    {"smuggling",
     {"POST /echo HTTP/1.1\r\n" H "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"},
     {"400 Bad Request"},
     NULL},
    {"unknown method", {"BREW /pot HTTP/1.1\r\n" H "\r\n"}, {"501 Not Implemented"}, NULL},
    {"version", {"GET / HTTP/2.0\r\n" H "\r\n"}, {"505 HTTP Version"}, NULL},
    {"slow head", {"GET / HTTP/1.1\r\n"}, {"408 Request Timeout", "Connection: close"}, NULL},
    {"slow body",
     {"POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nx"},
     {"408 Request Timeout"},
     NULL},
};

static void client(void *arg)
{
    World *w = arg;
    const Exchange *x = w->exchange;
    TcpStream *tcp = dial(w);
    for (size_t i = 0; i < COUNT_OF(x->pieces) && x->pieces[i]; i++) {
        int rc = stream_write_all(&tcp->stream, slice_from_cstr(x->pieces[i]), NULL);
        (void)rc; // the server may have refused already
        assert_int_equal(fiber_sleep(NS_PER_MS / 2), 0);
    }
    bool found = read_until(w, tcp, x->stays_open ? x->last : NULL);
    if (found != x->stays_open) {
        fail_msg("%s: open %d: %s", x->name, found, w->seen.data);
    }
    if (found) {
        // Still good for another request.
        buf_puts(&w->seen, "|");
        assert_int_equal(
            stream_write_all(&tcp->stream, SLICE("GET /echo?again HTTP/1.1\r\n" H "\r\n"), NULL),
            0);
        assert_true(read_until(w, tcp, "query=again body="));
    }
    stream_close(&tcp->stream);
}

static void check(const World *w, const Exchange *x)
{
    const char *at = w->seen.data ? w->seen.data : "";
    for (size_t i = 0; i < COUNT_OF(x->expect) && x->expect[i]; i++) {
        const char *found = strstr(at, x->expect[i]);
        if (!found) {
            fail_msg("%s: no '%s' in '%s'", x->name, x->expect[i], at);
            return;
        }
        at = found + strlen(x->expect[i]);
    }
    if (x->last) {
        size_t len = strlen(x->last);
        const char *end = strchr(w->seen.data, '|');
        end = end ? end : w->seen.data + w->seen.len;
        if ((size_t)(end - w->seen.data) < len || memcmp(end - len, x->last, len) != 0) {
            fail_msg("%s: '%s' does not end in '%s'", x->name, w->seen.data, x->last);
        }
    }
}

static void test_exchanges(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(exchanges); i++) {
        World w;
        // Short only where the time is meant to run out: a busy machine must not change the result.
        int64_t timeout_ns = strncmp(exchanges[i].name, "slow", 4) == 0 ? 40 * NS_PER_MS : 0;
        open_world(&w, (HttpServerOptions){.body_bytes_max = 32,
                                           .head_timeout_ns = timeout_ns,
                                           .body_timeout_ns = timeout_ns});
        w.exchange = &exchanges[i];
        run_client(&w, client);
        check(&w, &exchanges[i]);
        assert_true(w.events > 0);
        close_world(&w);
    }
}

static void large_head_client(void *arg)
{
    World *w = arg;
    const int *extra = w->exchange;
    TcpStream *tcp = dial(w);
    Buf text = buf_create(1 << 16);
    // Target, Host and its value, name and value of the long field: 500 bytes and `extra`.
    buf_puts(&text, "GET /echo HTTP/1.1\r\n" H "X: ");
    for (int i = 0; i < 500 - 5 - 5 - 1 + *extra; i++) {
        buf_putc(&text, 'v');
    }
    buf_puts(&text, "\r\n\r\n");
    assert_int_equal(stream_write_all(&tcp->stream, buf_slice(&text), NULL), 0);
    assert_true(read_until(w, tcp, "\r\n\r\n"));
    buf_done(&text);
    stream_close(&tcp->stream);
}

static void test_head_limit_at_its_edge(void **state)
{
    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        World w;
        open_world(&w,
                   (HttpServerOptions){
                       .head = {.head_bytes_max = 500, .fields_max = 10, .line_bytes_max = 100}});
        w.exchange = &extra;
        run_client(&w, large_head_client);
        assert_non_null(strstr(w.seen.data, extra ? " 431 " : " 200 "));
        close_world(&w);
    }
}

// ---- many connections

enum { CROWD = 20 };

static void crowd_client(void *arg)
{
    World *w = arg;
    TcpStream *tcp[CROWD];
    for (int i = 0; i < CROWD; i++) {
        tcp[i] = dial(w);
    }
    // Only four are served at a time; the others wait until those have gone.
    for (int i = 0; i < CROWD; i++) {
        buf_reset(&w->seen);
        assert_int_equal(
            stream_write_all(&tcp[i]->stream,
                             SLICE("GET /echo HTTP/1.1\r\n" H "Connection: close\r\n\r\n"), NULL),
            0);
        assert_false(read_until(w, tcp[i], NULL));
        assert_non_null(strstr(w->seen.data, "200 OK"));
        assert_true(http_server_connections(w->server) <= 4);
        stream_close(&tcp[i]->stream);
    }
}

static void test_connection_limit(void **state)
{
    (void)state;
    World w;
    open_world(&w, (HttpServerOptions){.connections_max = 4});
    run_client(&w, crowd_client);
    assert_int_equal(w.events, CROWD);
    close_world(&w);
}

static void idle_client(void *arg)
{
    World *w = arg;
    TcpStream *fresh = dial(w); // never says a word
    TcpStream *used = dial(w);
    assert_int_equal(
        stream_write_all(&used->stream, SLICE("GET /echo HTTP/1.1\r\n" H "\r\n"), NULL), 0);
    assert_true(read_until(w, used, "body="));
    assert_false(read_until(w, used, NULL));
    assert_false(read_until(w, fresh, NULL));
    stream_close(&used->stream);
    stream_close(&fresh->stream);
}

static void test_idle_connections_are_closed(void **state)
{
    (void)state;
    World w;
    open_world(&w, (HttpServerOptions){.idle_timeout_ns = 10 * NS_PER_MS,
                                       .head_timeout_ns = 500 * NS_PER_MS});
    run_client(&w, idle_client);
    assert_int_equal(w.events, 1);
    close_world(&w);
}

static void half_request_client(void *arg)
{
    World *w = arg;
    TcpStream *tcp = dial(w);
    assert_int_equal(stream_write_all(&tcp->stream, SLICE("GET /ec"), NULL), 0);
    assert_int_equal(shutdown(tcp->io.fd, SHUT_WR), 0);
    assert_false(read_until(w, tcp, NULL));
    stream_close(&tcp->stream);
}

static void test_half_a_request(void **state)
{
    (void)state;
    World w;
    open_world(&w, (HttpServerOptions){0});
    run_client(&w, half_request_client);
    assert_int_equal(w.seen.len, 0);
    close_world(&w);
}

// ---- stopping

static void waiting_client(void *arg)
{
    World *w = arg;
    TcpStream *tcp = dial(w);
    assert_int_equal(stream_write_all(&tcp->stream, SLICE("GET /wait HTTP/1.1\r\n" H "\r\n"), NULL),
                     0);
    (void)read_until(w, tcp, NULL);
    stream_close(&tcp->stream);
}

static void resume_handlers(void *ctx, const Fiber *fiber)
{
    (void)ctx;
    if (strcmp(fiber_waits_for(fiber), "handler") == 0) {
        fiber_resume((Fiber *)(uintptr_t)fiber);
    }
}

static void test_stop_lets_requests_finish(void **state)
{
    (void)state;
    World w;
    open_world(&w, (HttpServerOptions){0});
    assert_non_null(fiber_spawn(w.pool, "client", waiting_client, &w));
    while (!w.handler_running) {
        (void)loop_tick(w.loop, NEVER_NS);
    }
    http_server_stop(w.server);
    assert_true(http_server_is_stopping(w.server));
    fiber_pool_each(w.pool, resume_handlers, NULL);
    assert_int_equal(http_server_drain(w.server, NEVER_NS), 0);
    while (fiber_pool_stats(w.pool).alive > 0) {
        (void)loop_tick(w.loop, NEVER_NS);
    }
    assert_non_null(strstr(w.seen.data, "waited"));
    close_world(&w);
}

static void test_drain_cancels_stragglers(void **state)
{
    (void)state;
    World w;
    open_world(&w, (HttpServerOptions){0});
    assert_non_null(fiber_spawn(w.pool, "client", waiting_client, &w));
    while (!w.handler_running) {
        (void)loop_tick(w.loop, NEVER_NS);
    }
    assert_int_equal(http_server_drain(w.server, loop_clock(w.loop)), 1);
    assert_false(w.handler_running);
    while (fiber_pool_stats(w.pool).alive > 0) {
        (void)loop_tick(w.loop, NEVER_NS);
    }
    close_world(&w);
}

// ---- server-sent events

static void sse_client(void *arg)
{
    World *w = arg;
    TcpStream *tcp = dial(w);
    assert_int_equal(
        stream_write_all(&tcp->stream, SLICE("GET /events HTTP/1.0\r\n" H "\r\n"), NULL), 0);
    assert_true(read_until(w, tcp, "\r\n\r\n"));
    assert_int_equal(sse_send(w->sse, &(SseEvent){.event = SLICE("a\nb")}), ERR_ARG);
    assert_int_equal(sse_send(w->sse, &(SseEvent){.event = SLICE("tick"),
                                                  .id = SLICE("7"),
                                                  .data = SLICE("x\ny\r\nz\r")}),
                     0);
    assert_int_equal(sse_send(w->sse, &(SseEvent){.data = SLICE("plain")}), 0);
    assert_true(read_until(w, tcp, "plain\n\n"));
    assert_true(read_until(w, tcp, ":\n\n")); // a heartbeat
    sse_finish(w->sse);
    assert_false(read_until(w, tcp, NULL));
    stream_close(&tcp->stream);
}

// The format is that of WHATWG HTML section 9.2.6.
static void test_event_stream(void **state)
{
    (void)state;
    World w;
    open_world(&w, (HttpServerOptions){0});
    run_client(&w, sse_client);
    assert_non_null(strstr(w.seen.data, "Content-Type: text/event-stream\r\n"));
    assert_non_null(strstr(w.seen.data, "event: tick\nid: 7\ndata: x\ndata: y\ndata: z\ndata: \n\n"
                                        "data: plain\n\n"));
    assert_int_equal(w.sse_rc, 0);
    close_world(&w);
}

static void leaving_client(void *arg)
{
    World *w = arg;
    TcpStream *tcp = dial(w);
    assert_int_equal(
        stream_write_all(&tcp->stream, SLICE("GET /events HTTP/1.1\r\n" H "\r\n"), NULL), 0);
    assert_true(read_until(w, tcp, "\r\n\r\n"));
    stream_close(&tcp->stream);
}

static void test_event_stream_client_leaves(void **state)
{
    (void)state;
    World w;
    open_world(&w, (HttpServerOptions){0});
    run_client(&w, leaving_client);
    while (w.sse) {
        (void)loop_tick(w.loop, NEVER_NS);
    }
    assert_int_equal(w.sse_rc, ERR_CLOSED);
    close_world(&w);
}

static void slow_client(void *arg)
{
    World *w = arg;
    TcpStream *tcp = dial(w);
    assert_int_equal(
        stream_write_all(&tcp->stream, SLICE("GET /events HTTP/1.1\r\n" H "\r\n"), NULL), 0);
    assert_true(read_until(w, tcp, "\r\n\r\n"));
    char *data = mem_zalloc(50000);
    memset(data, 'x', 50000);
    int rc = 0;
    for (int i = 0; i < 1000 && rc == 0; i++) {
        rc = sse_send(w->sse, &(SseEvent){.data = {data, 50000}});
        assert_int_equal(fiber_yield(), 0);
    }
    free(data);
    assert_int_equal(rc, ERR_LIMIT);
    w->sse_rc = 1; // the server ends it by itself once the client reads again or goes
    stream_close(&tcp->stream);
}

static void test_event_stream_slow_client_is_cut_off(void **state)
{
    (void)state;
    World w;
    open_world(&w, (HttpServerOptions){0});
    run_client(&w, slow_client);
    while (w.sse) {
        (void)loop_tick(w.loop, NEVER_NS);
    }
    assert_true(w.sse_rc == ERR_LIMIT || w.sse_rc == ERR_CLOSED);
    close_world(&w);
}

static void staying_client(void *arg)
{
    World *w = arg;
    TcpStream *tcp = dial(w);
    assert_int_equal(
        stream_write_all(&tcp->stream, SLICE("GET /events HTTP/1.1\r\n" H "\r\n"), NULL), 0);
    assert_false(read_until(w, tcp, NULL));
    stream_close(&tcp->stream);
}

static void test_stop_ends_event_streams(void **state)
{
    (void)state;
    World w;
    open_world(&w, (HttpServerOptions){0});
    assert_non_null(fiber_spawn(w.pool, "client", staying_client, &w));
    while (!w.sse) {
        (void)loop_tick(w.loop, NEVER_NS);
    }
    assert_int_equal(http_server_drain(w.server, NEVER_NS), 0);
    assert_int_equal(w.sse_rc, 0);
    while (fiber_pool_stats(w.pool).alive > 0) {
        (void)loop_tick(w.loop, NEVER_NS);
    }
    close_world(&w);
}

// ---- several loops

typedef struct Second {
    NetAddr addr;
    Loop *loop; // set before `ready`
    Flag ready;
    int served;
} Second;

static void handle_second(void *ctx, const HttpServerRequest *request, HttpReply *reply)
{
    Second *s = ctx;
    (void)request;
    s->served++;
    http_reply_send(reply, 200, SLICE(""), SLICE("second"), NULL);
}

static void run_second(void *arg)
{
    Second *s = arg;
    HttpServer *server;
    assert_int_equal(loop_create(&(LoopOptions){0}, &s->loop, NULL), 0);
    FiberPool *pool = fiber_pool_create(s->loop, &(FiberOptions){0});
    HttpServerOptions options = {.loop = s->loop,
                                 .pool = pool,
                                 .addr = s->addr,
                                 .reuse_port = true,
                                 .handler = handle_second,
                                 .ctx = s};
    assert_int_equal(http_server_open(&options, &server, NULL), 0);
    flag_set(&s->ready);
    loop_run(s->loop);
    (void)http_server_drain(server, NEVER_NS);
    http_server_destroy(server);
    fiber_pool_destroy(pool);
}

static void many_connections(void *arg)
{
    World *w = arg;
    for (int i = 0; i < 64; i++) {
        TcpStream *tcp = dial(w);
        assert_int_equal(
            stream_write_all(&tcp->stream,
                             SLICE("GET /echo HTTP/1.1\r\n" H "Connection: close\r\n\r\n"), NULL),
            0);
        buf_reset(&w->seen);
        assert_false(read_until(w, tcp, NULL));
        assert_non_null(strstr(w->seen.data, "200 OK"));
        stream_close(&tcp->stream);
    }
}

// The kernel deals connections out by a hash: that all 64 go one way has probability 2^-63.
static void test_two_loops_share_a_port(void **state)
{
    (void)state;
    World w;
    open_world(&w, (HttpServerOptions){.reuse_port = true});
    Second second = {.addr = http_server_addr(w.server)};
    Thread *thread;
    assert_int_equal(thread_start("second", THREAD_ANY_CPU, run_second, &second, &thread, NULL), 0);
    while (!flag_is_set(&second.ready)) {
        (void)loop_tick(w.loop, NS_PER_MS);
    }
    run_client(&w, many_connections);
    loop_stop(second.loop);
    thread_join(thread);
    loop_destroy(second.loop);
    assert_int_equal(w.events + second.served, 64);
    assert_true(w.events > 0 && second.served > 0);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchanges),
        cmocka_unit_test(test_head_limit_at_its_edge),
        cmocka_unit_test(test_connection_limit),
        cmocka_unit_test(test_idle_connections_are_closed),
        cmocka_unit_test(test_half_a_request),
        cmocka_unit_test(test_stop_lets_requests_finish),
        cmocka_unit_test(test_drain_cancels_stragglers),
        cmocka_unit_test(test_event_stream),
        cmocka_unit_test(test_event_stream_client_leaves),
        cmocka_unit_test(test_event_stream_slow_client_is_cut_off),
        cmocka_unit_test(test_stop_ends_event_streams),
        cmocka_unit_test(test_two_loops_share_a_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
