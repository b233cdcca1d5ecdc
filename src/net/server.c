#include "net/server.h"

#include <assert.h>

#include "net/http2.h"
#include "net/server_conn.h"

enum {
    BODY_KEPT_BYTES = 64 << 10, // a larger body's memory is not kept for the next request
};

static const int64_t HEAD_TIMEOUT_NS = 10 * NS_PER_S;
static const int64_t BODY_TIMEOUT_NS = 30 * NS_PER_S;
static const int64_t WRITE_TIMEOUT_NS = 30 * NS_PER_S;
static const int64_t IDLE_TIMEOUT_NS = 60 * NS_PER_S;

// ---- working memory

ServerWork *server_work_lend(HttpServer *server)
{
    ServerWork *work = server->free_work;
    if (work) {
        server->free_work = work->next;
    } else {
        work = mem_alloc(sizeof *work);
        work->head = http_head_create(&server->options.head);
        work->reply = http_head_create(&server->options.head);
        work->body = buf_create(server->options.body_bytes_max);
        work->out = buf_create(server->options.head.head_bytes_max * 2);
    }
    work->at = work->len = 0;
    return work;
}

void server_work_give_back(HttpServer *server, ServerWork *work)
{
    if (work->body.capacity > BODY_KEPT_BYTES) {
        buf_done(&work->body);
    }
    work->next = server->free_work;
    server->free_work = work;
}

static void work_free(ServerWork *work)
{
    http_head_done(&work->head);
    http_head_done(&work->reply);
    buf_done(&work->body);
    buf_done(&work->out);
    free(work);
}

// ---- connections

static void conn_close(ServerConn *conn)
{
    HttpServer *server = conn->server;
    loop_timer_cancel(server->options.loop, &conn->idle);
    if (conn->h2) {
        http2_server_destroy(conn);
    }
    stream_close(conn->stream);
    *(conn->prev ? &conn->prev->next : &server->conns) = conn->next;
    if (conn->next) {
        conn->next->prev = conn->prev;
    }
    free(conn);
    server->count--;
    if (server->listener && !server->stopping) {
        listener_pause(server->listener, false);
    }
}

static void on_idle_timeout(LoopTimer *timer)
{
    conn_close(CONTAINER_OF(timer, ServerConn, idle));
}

static bool handshake(ServerConn *conn)
{
    const TlsAcceptor *tls = conn->server->options.tls;
    conn->ready = true;
    if (!tls) {
        return true;
    }
    bool h2 = false;
    stream_set_deadline(conn->stream, clock_deadline(loop_clock(conn->stream->loop),
                                                     conn->server->options.head_timeout_ns));
    conn->stream = NULL; // taken over, also on failure
    if (tls->accept(tls->ctx, conn->tcp, &h2, &conn->stream, NULL) != 0) {
        return false;
    }
    conn->decided = true;
    if (h2) {
        http2_server_start(conn);
    }
    return true;
}

static void serve(void *arg);

static bool start_serving(ServerConn *conn)
{
    loop_timer_disarm(&conn->idle);
    conn->fiber = fiber_spawn(conn->server->options.pool, "http connection", serve, conn);
    return conn->fiber != NULL;
}

static void on_readable(void *ctx)
{
    ServerConn *conn = ctx;
    if (conn->fiber) {
        if (conn->reply) {
            reply_wake(conn->reply, conn->tcp->hangup);
        }
        return;
    }
    bool working = conn->h2 && http2_server_is_working(conn);
    if (!start_serving(conn) && !working) {
        conn_close(conn); // no memory for it; the client may try again
    }
}

bool server_has_more(const ServerConn *conn)
{
    const Stream *s = conn->stream;
    return conn->tcp->readable || (s->ops->has_pending && s->ops->has_pending(s));
}

void server_conn_settle(ServerConn *conn)
{
    HttpServer *server = conn->server;
    bool working = conn->h2 && http2_server_is_working(conn);
    if (conn->fiber || working) {
        return; // whoever ends last does it
    }
    if (server->stopping || (conn->h2 && http2_server_is_lost(conn))) {
        conn_close(conn);
        return;
    }
    bool receiving = conn->h2 && http2_server_is_receiving(conn);
    int64_t wait_ns = receiving ? server->options.body_timeout_ns : server->options.idle_timeout_ns;
    loop_timer_set(server->options.loop, &conn->idle,
                   clock_deadline(loop_now(server->options.loop), wait_ns));
}

// Without TLS the first bytes tell: HTTP/2's preface, or anything else (RFC 9113 section 3.3).
static bool decide(ServerConn *conn)
{
    static const Slice preface = SLICE_INIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    ServerWork *w = conn->work;
    stream_set_deadline(conn->stream, clock_deadline(loop_clock(conn->stream->loop),
                                                     conn->server->options.head_timeout_ns));
    bool same = true;
    while (same && w->len < preface.len) {
        size_t n = 0;
        int rc = stream_read(conn->stream, w->read + w->len, sizeof w->read - w->len, &n, NULL);
        if (rc != 0 || n == 0) {
            return false;
        }
        w->len += n;
        same = memcmp(w->read, preface.ptr, w->len < preface.len ? w->len : preface.len) == 0;
    }
    conn->decided = true;
    if (same) {
        http2_server_start(conn);
    }
    return true;
}

static bool serve_all(ServerConn *conn)
{
    if (!conn->decided && !decide(conn)) {
        return false;
    }
    if (conn->h2) {
        return http2_serve(conn);
    }
    bool keep = true;
    do {
        keep = http1_serve(conn);
    } while (keep && server_has_more(conn));
    return keep;
}

static void serve(void *arg)
{
    ServerConn *conn = arg;
    HttpServer *server = conn->server;
    bool keep = conn->ready || handshake(conn);
    if (keep) {
        conn->work = server_work_lend(server);
        keep = serve_all(conn);
        server_work_give_back(server, conn->work);
        conn->work = NULL;
    }
    conn->fiber = NULL;
    if (!keep && !conn->h2) {
        conn_close(conn);
    } else {
        server_conn_settle(conn);
    }
}

static void on_accept(void *ctx, int fd, const NetAddr *peer)
{
    HttpServer *server = ctx;
    Loop *loop = server->options.loop;
    TcpStream *tcp;
    if (tcp_from_fd(loop, fd, peer, &tcp, NULL) != 0) {
        return;
    }
    tcp->readable = false; // the first edge tells, and no fiber is spent on waiting for it
    ServerConn *conn = mem_zalloc(sizeof *conn);
    conn->server = server;
    conn->tcp = tcp;
    conn->stream = &tcp->stream;
    conn->next = server->conns;
    if (conn->next) {
        conn->next->prev = conn;
    }
    server->conns = conn;
    tcp->readable_fn = on_readable;
    tcp->readable_ctx = conn;
    loop_timer_init(&conn->idle, on_idle_timeout);
    loop_timer_set(loop, &conn->idle,
                   clock_deadline(loop_now(loop), server->options.head_timeout_ns));
    if (++server->count >= server->options.connections_max) {
        listener_pause(server->listener, true);
    }
}

// ---- life

static void set_defaults(HttpServerOptions *o)
{
    if (o->addr.len == 0) {
        o->addr = net_addr_loopback(0);
    }
    if (o->connections_max == 0) {
        o->connections_max = HTTP_SERVER_CONNECTIONS_MAX;
    }
    if (o->body_bytes_max == 0) {
        o->body_bytes_max = HTTP_SERVER_BODY_BYTES_MAX;
    }
    if (o->head.head_bytes_max == 0) {
        o->head = (HttpLimits){HTTP_HEAD_BYTES_MAX, HTTP_FIELDS_MAX, HTTP_LINE_BYTES_MAX};
    }
    if (o->head_timeout_ns == 0) {
        o->head_timeout_ns = HEAD_TIMEOUT_NS;
    }
    if (o->body_timeout_ns == 0) {
        o->body_timeout_ns = BODY_TIMEOUT_NS;
    }
    if (o->write_timeout_ns == 0) {
        o->write_timeout_ns = WRITE_TIMEOUT_NS;
    }
    if (o->idle_timeout_ns == 0) {
        o->idle_timeout_ns = IDLE_TIMEOUT_NS;
    }
}

int http_server_open(const HttpServerOptions *options, HttpServer **ret_server, Err *e)
{
    HttpServer *server = mem_zalloc(sizeof *server);
    server->options = *options;
    server->date_s = -1;
    set_defaults(&server->options);
    ListenOptions listen = {
        .loop = options->loop,
        .addr = server->options.addr,
        .reuse_port = options->reuse_port,
        .listening_fd = options->listening_fd,
        .fn = on_accept,
        .ctx = server,
    };
    int rc = listener_open(&listen, &server->listener, e);
    if (rc != 0) {
        free(server);
        return rc;
    }
    server->options.addr = listener_addr(server->listener);
    *ret_server = server;
    return 0;
}

NetAddr http_server_addr(const HttpServer *server)
{
    return server->options.addr;
}

size_t http_server_connections(const HttpServer *server)
{
    return server->count;
}

bool http_server_is_stopping(const HttpServer *server)
{
    return server->stopping;
}

// Says GOAWAY, from a fiber, and lets the handlers finish.
static void stop_http2(ServerConn *conn)
{
    http2_server_wake(conn);
    if (!conn->fiber && !start_serving(conn) && !http2_server_is_working(conn)) {
        conn_close(conn);
    }
}

void http_server_stop(HttpServer *server)
{
    if (server->stopping) {
        return;
    }
    server->stopping = true;
    listener_close(server->listener);
    server->listener = NULL;
    ServerConn *next;
    for (ServerConn *conn = server->conns; conn; conn = next) {
        next = conn->next;
        if (conn->h2) {
            stop_http2(conn);
        } else if (!conn->fiber) {
            conn_close(conn);
        } else if (conn->reply) {
            reply_wake(conn->reply, false);
        }
    }
}

size_t http_server_drain(HttpServer *server, int64_t deadline_ns)
{
    Loop *loop = server->options.loop;
    http_server_stop(server);
    while (server->count > 0 && loop_clock(loop) < deadline_ns) {
        int64_t left_ns = deadline_ns == NEVER_NS ? NEVER_NS : deadline_ns - loop_clock(loop);
        (void)loop_tick(loop, left_ns);
    }
    size_t left = server->count;
    for (ServerConn *conn = server->conns; conn; conn = conn->next) {
        if (conn->fiber) {
            fiber_cancel(conn->fiber);
        }
        if (conn->h2) {
            http2_server_cancel(conn);
        }
    }
    while (server->count > 0) {
        (void)loop_tick(loop, NEVER_NS);
    }
    return left;
}

void http_server_destroy(HttpServer *server)
{
    if (!server) {
        return;
    }
    assert(server->count == 0);
    listener_close(server->listener);
    http2_memory_destroy(server->http2_memory);
    while (server->free_work) {
        ServerWork *work = server->free_work;
        server->free_work = work->next;
        work_free(work);
    }
    free(server);
}

const char *server_date(HttpServer *server)
{
    int64_t now_s = clock_wall(loop_clock_source(server->options.loop)) / NS_PER_S;
    if (now_s != server->date_s) {
        static const char days[] = "SunMonTueWedThuFriSat";
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        time_t t = now_s;
        struct tm tm;
        (void)gmtime_r(&t, &tm);
        (void)snprintf(server->date, sizeof server->date, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
                       days + 3 * tm.tm_wday, (unsigned)tm.tm_mday % 100, months + 3 * tm.tm_mon,
                       (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
                       (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
        server->date_s = now_s;
    }
    return server->date;
}
