#include <assert.h>

#include "net/http2.h"
#include "net/http_conn.h"

struct HttpContext {
    HttpContextOptions options;
    void *buffers; // free ones, linked through their first word
    Http2Memory *http2_memory;
};

struct HttpClient {
    HttpContext *ctx;
    HttpConn *idle; // most recently used first; shared ones stay here while they work
    size_t idle_count;
};

// ---- context

HttpContext *http_context_create(const HttpContextOptions *options)
{
    HttpContext *ctx = mem_zalloc(sizeof *ctx);
    HttpContextOptions *o = &ctx->options;
    *o = *options;
    o->idle_max = o->idle_max ? o->idle_max : HTTP_IDLE_MAX;
    o->idle_per_origin_max =
        o->idle_per_origin_max ? o->idle_per_origin_max : HTTP_IDLE_PER_ORIGIN_MAX;
    o->idle_ns = o->idle_ns ? o->idle_ns : HTTP_IDLE_NS;
    o->connect_timeout_ns = o->connect_timeout_ns ? o->connect_timeout_ns : HTTP_CONNECT_NS;
    return ctx;
}

void http_context_destroy(HttpContext *ctx)
{
    if (!ctx) {
        return;
    }
    while (ctx->buffers) {
        void *buffer = ctx->buffers;
        memcpy(&ctx->buffers, buffer, sizeof ctx->buffers);
        free(buffer);
    }
    http2_memory_destroy(ctx->http2_memory);
    free(ctx);
}

char *http_context_lend(HttpContext *ctx)
{
    char *buffer = ctx->buffers;
    if (!buffer) {
        return mem_alloc(HTTP_READ_BYTES);
    }
    memcpy(&ctx->buffers, buffer, sizeof ctx->buffers);
    return buffer;
}

void http_context_give_back(HttpContext *ctx, char *buffer)
{
    memcpy(buffer, &ctx->buffers, sizeof ctx->buffers);
    ctx->buffers = buffer;
}

Loop *http_context_loop(const HttpContext *ctx)
{
    return ctx->options.loop;
}

Http2Memory *http_context_http2_memory(HttpContext *ctx)
{
    if (!ctx->http2_memory) {
        ctx->http2_memory = http2_memory_create();
    }
    return ctx->http2_memory;
}

// ---- origins, requests, responses

int http_origin_init(HttpOrigin *origin, const Url *url, Err *e)
{
    *origin = (HttpOrigin){
        .tls = url->tls, .port = url->port, .authority = buf_create(URL_BYTES_MAX + 16)};
    url_append_authority(&origin->authority, url);
    origin->host = slice_sub(buf_slice(&origin->authority), url->ipv6, url->host.len);
    origin->key = slice_hash(origin->host) ^ ((uint64_t)url->port << 1 | url->tls);
    return buf_check(&origin->authority, "host name", e);
}

void http_origin_done(HttpOrigin *origin)
{
    buf_done(&origin->authority);
}

int http_request_wire(Buf *out, const HttpRequest *request, Err *e)
{
    bool body = request->has_body || request->body.len > 0;
    Http1RequestHead head = {
        .method = request->method,
        .target = request->target,
        .host = buf_slice(&request->origin->authority),
        .headers = request->headers,
        .header_count = request->header_count,
        .body_bytes = body ? (int64_t)request->body.len : -1,
    };
    return http1_write_request(out, &head, e);
}

HttpResponse http_response_create(const HttpResponseLimits *limits)
{
    size_t body_max = limits ? limits->body_bytes_max : HTTP_BODY_BYTES_MAX;
    return (HttpResponse){
        .head = http_head_create(limits ? &limits->head : NULL),
        .request_head = buf_create(HTTP_HEAD_BYTES_MAX),
        .body = buf_create(body_max),
        .tls_version = "",
        .tls_cipher = "",
    };
}

void http_response_done(HttpResponse *response)
{
    http_head_done(&response->head);
    buf_done(&response->request_head);
    buf_done(&response->body);
}

static void reset_response(HttpResponse *r, int64_t start_ns)
{
    http_head_reset(&r->head);
    r->status = 0;
    r->error_code = 0;
    buf_reset(&r->body);
    r->body_bytes = 0;
    r->bytes_sent = 0;
    r->bytes_received = 0;
    r->timings = (HttpTimings){.start_ns = start_ns, .end_ns = start_ns};
    r->remote.len = 0;
    r->tls_version = r->tls_cipher = "";
    r->reused = r->retried = false;
}

// ---- connections

HttpClient *http_client_create(HttpContext *ctx)
{
    HttpClient *client = mem_zalloc(sizeof *client);
    client->ctx = ctx;
    return client;
}

static void conn_destroy(HttpConn *conn)
{
    if (conn->ops->destroy) {
        conn->ops->destroy(conn);
    }
    stream_close(conn->stream);
    free(conn);
}

static void idle_unlink(HttpConn *conn)
{
    HttpClient *client = conn->client;
    HttpConn **at = &client->idle;
    while (*at != conn) {
        at = &(*at)->next;
    }
    *at = conn->next;
    client->idle_count--;
    conn->listed = false;
    conn->tcp->readable_fn = NULL;
}

void http_client_close_idle(HttpClient *client)
{
    HttpConn *next;
    for (HttpConn *conn = client->idle; conn; conn = next) {
        next = conn->next;
        if (conn->users == 0) {
            idle_unlink(conn);
            conn_destroy(conn);
        }
    }
}

void http_client_destroy(HttpClient *client)
{
    if (client) {
        http_client_close_idle(client);
        free(client);
    }
}

size_t http_client_idle_count(const HttpClient *client)
{
    return client->idle_count;
}

// The peer closed an idle connection, or says something that was not asked for. Under TLS arriving
// bytes may be session tickets, and HTTP/2 has frames for no stream, so there only the end counts.
static void on_idle_readable(void *ctx)
{
    HttpConn *conn = ctx;
    if ((!conn->tls && !conn->ops->has_room) || conn->tcp->hangup) {
        idle_unlink(conn);
        conn_destroy(conn);
    }
}

static bool same_origin(const HttpConn *conn, const HttpOrigin *origin)
{
    return conn->origin_key == origin->key && conn->port == origin->port &&
           conn->tls == origin->tls && conn->h2c == origin->h2c &&
           slice_eq((Slice){conn->host, conn->host_len}, origin->host);
}

static bool is_fresh(const HttpConn *conn, int64_t now_ns)
{
    return conn->users > 0 ||
           (now_ns - conn->idle_since_ns < conn->client->ctx->options.idle_ns &&
            (conn->tls || conn->ops->has_room ? !conn->tcp->hangup : tcp_is_quiet(conn->tcp)));
}

static HttpConn *take_idle(HttpClient *client, const HttpOrigin *origin, int64_t now_ns)
{
    HttpConn *next;
    for (HttpConn *conn = client->idle; conn; conn = next) {
        next = conn->next;
        if (!same_origin(conn, origin)) {
            continue;
        }
        if (!is_fresh(conn, now_ns)) {
            idle_unlink(conn);
            conn_destroy(conn);
        } else if (!conn->ops->has_room) {
            idle_unlink(conn);
            return conn;
        } else if (conn->ops->has_room(conn)) {
            conn->tcp->readable_fn = NULL; // who waits for an answer reads
            return conn;
        }
    }
    return NULL;
}

static void list(HttpConn *conn)
{
    HttpClient *client = conn->client;
    conn->next = client->idle;
    client->idle = conn;
    client->idle_count++;
    conn->listed = true;
}

// The oldest idle connection beyond the limits goes.
static void enforce_limits(HttpClient *client, const HttpConn *conn)
{
    size_t same = 0;
    HttpConn *oldest_same = NULL;
    HttpConn *oldest = NULL;
    for (HttpConn *c = client->idle; c; c = c->next) {
        oldest = c->users == 0 ? c : oldest;
        if (c->origin_key == conn->origin_key) {
            oldest_same = c->users == 0 ? c : oldest_same;
            same++;
        }
    }
    const HttpContextOptions *o = &client->ctx->options;
    HttpConn *victim = same > o->idle_per_origin_max      ? oldest_same
                       : client->idle_count > o->idle_max ? oldest
                                                          : NULL;
    if (victim) {
        idle_unlink(victim);
        conn_destroy(victim);
    }
}

// Keeps the connection for the next request.
static void put_idle(HttpConn *conn, int64_t now_ns)
{
    HttpClient *client = conn->client;
    conn->idle_since_ns = now_ns;
    if (!conn->listed) {
        list(conn);
    }
    conn->tcp->readable_fn = on_idle_readable;
    conn->tcp->readable_ctx = conn;
    if (client->idle_count > 1) {
        enforce_limits(client, conn);
    }
}

// ---- dialling

static int resolve(const HttpExchange *x, NetAddr *addrs, size_t *ret_count, Err *e)
{
    const HttpOrigin *origin = x->request->origin;
    const NetResolver *resolver = x->ctx->options.resolver;
    *ret_count = 1;
    if (net_addr_parse(origin->host, origin->port, &addrs[0], NULL) == 0) {
        return 0;
    }
    if (resolver) {
        return resolver->resolve(resolver->ctx, origin->host, origin->port, x->deadline_ns, addrs,
                                 HTTP_ADDRS_MAX, ret_count, e);
    }
    if (slice_eq_nocase(origin->host, SLICE("localhost"))) {
        addrs[0] = net_addr_loopback(origin->port);
        addrs[1] = net_addr_loopback6(origin->port);
        *ret_count = 2;
        return 0;
    }
    return err_set(e, ERR_DNS, "cannot look up '%.*s': no resolver is configured",
                   SLICE_FMT(origin->host));
}

// Tries the addresses in turn; the last failure is the one told.
static int connect_any(const HttpExchange *x, const NetAddr *addrs, size_t count, TcpStream **tcp,
                       Err *e)
{
    const HttpContextOptions *o = &x->ctx->options;
    int rc = ERR_CONNECT;
    for (size_t i = 0; i < count; i++) {
        int sys_errno = 0;
        TcpConnectOptions connect = {
            .loop = o->loop,
            .addr = addrs[i],
            .local = o->local,
            .filter = o->filter,
            .host = x->request->origin->host,
            .deadline_ns = x->deadline_ns,
            .ret_errno = &sys_errno,
        };
        int64_t due_ns = clock_deadline(loop_clock(o->loop), o->connect_timeout_ns);
        connect.deadline_ns = due_ns < x->deadline_ns ? due_ns : x->deadline_ns;
        x->response->remote = addrs[i];
        rc = tcp_connect(&connect, tcp, e);
        x->response->error_code = net_error_code(NET_PHASE_CONNECT, rc, sys_errno);
        bool out_of_time = loop_clock(o->loop) >= x->deadline_ns;
        if (rc == ERR_TIMEOUT && out_of_time) {
            x->response->error_code = NET_TIMEOUT; // the request's time is up, not the dialler's
        }
        if (rc == 0 || rc == ERR_CANCELLED || rc == ERR_REFUSED || rc == ERR_LIMIT || out_of_time) {
            break;
        }
    }
    return rc;
}

static HttpConn *conn_create(HttpClient *client, const HttpOrigin *origin, TcpStream *tcp)
{
    HttpConn *conn = mem_zalloc(sizeof *conn + origin->host.len);
    conn->ops = &http1_conn_ops;
    conn->client = client;
    conn->tcp = tcp;
    conn->stream = &tcp->stream;
    conn->origin_key = origin->key;
    conn->port = origin->port;
    conn->tls = origin->tls;
    conn->h2c = origin->h2c;
    conn->tls_version = conn->tls_cipher = "";
    conn->host_len = origin->host.len;
    memcpy(conn->host, origin->host.ptr, origin->host.len);
    return conn;
}

static int start_tls(HttpConn *conn, const HttpExchange *x, Err *e)
{
    const TlsConnector *tls = x->ctx->options.tls;
    if (!tls) {
        x->response->error_code = NET_TLS;
        return err_set(e, ERR_UNSUPPORTED, "https needs TLS, which is not configured");
    }
    TlsResult result = {.version = "", .cipher = ""};
    stream_set_deadline(conn->stream, x->deadline_ns);
    conn->stream = NULL; // taken over, also on failure
    int rc = tls->connect(tls->ctx, conn->tcp, x->request->origin->host, &result, &conn->stream, e);
    if (rc != 0) {
        x->response->error_code =
            result.error_code ? result.error_code : net_error_code(NET_PHASE_TLS, rc, 0);
        return rc;
    }
    conn->tls_version = result.version;
    conn->tls_cipher = result.cipher;
    if (result.h2) {
        http2_conn_start(conn, x->ctx);
    }
    return 0;
}

static int dial(HttpClient *client, const HttpExchange *x, HttpConn **ret_conn, Err *e)
{
    Loop *loop = x->ctx->options.loop;
    HttpTimings *t = &x->response->timings;
    NetAddr addrs[HTTP_ADDRS_MAX];
    size_t count;
    int64_t begin_ns = loop_clock(loop);
    int rc = resolve(x, addrs, &count, e);
    int64_t resolved_ns = loop_clock(loop);
    t->looking_up_ns = resolved_ns - begin_ns;
    if (rc != 0) {
        x->response->error_code = net_error_code(NET_PHASE_RESOLVE, rc, 0);
        return rc;
    }
    TcpStream *tcp;
    rc = connect_any(x, addrs, count, &tcp, e);
    int64_t connected_ns = loop_clock(loop);
    t->connecting_ns = connected_ns - resolved_ns;
    if (rc != 0) {
        return rc;
    }
    HttpConn *conn = conn_create(client, x->request->origin, tcp);
    if (conn->tls) {
        rc = start_tls(conn, x, e);
        t->tls_handshaking_ns = loop_clock(loop) - connected_ns;
        if (rc != 0) {
            conn_destroy(conn);
            return rc;
        }
    } else if (conn->h2c) {
        http2_conn_start(conn, x->ctx);
    }
    if (conn->ops->has_room && !x->request->no_reuse) {
        list(conn);
    }
    *ret_conn = conn;
    return 0;
}

// ---- a request

// RFC 9110 section 9.2.2. PUT and DELETE are idempotent too.
static bool is_idempotent(Slice method)
{
    static const Slice methods[] = {SLICE_INIT("GET"), SLICE_INIT("HEAD"),   SLICE_INIT("OPTIONS"),
                                    SLICE_INIT("PUT"), SLICE_INIT("DELETE"), SLICE_INIT("TRACE")};
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        if (slice_eq(method, methods[i])) {
            return true;
        }
    }
    return false;
}

static void fill_from_conn(HttpResponse *r, HttpConn *conn)
{
    const Stream *s = &conn->tcp->stream;
    r->remote = conn->tcp->peer;
    r->tls_version = conn->tls_version;
    r->tls_cipher = conn->tls_cipher;
    r->bytes_received += s->bytes_in - conn->counted_in;
    r->bytes_sent += s->bytes_out - conn->counted_out;
    conn->counted_in = s->bytes_in;
    conn->counted_out = s->bytes_out;
}

// After its request: back to the pool, or away.
static void release(HttpConn *conn, bool keep, int64_t now_ns)
{
    conn->users--;
    if (!keep && conn->listed) {
        idle_unlink(conn);
    }
    if (conn->users > 0) {
        return; // others are still on it
    }
    if (keep) {
        put_idle(conn, now_ns);
    } else {
        conn_destroy(conn);
    }
}

static int exchange_once(HttpExchange *x, HttpConn *conn, Err *e)
{
    HttpResponse *r = x->response;
    r->error_code = 0;
    conn->users++;
    int rc = conn->ops->exchange(conn, x, e);
    fill_from_conn(r, conn);
    if (rc == 0) {
        r->error_code = net_error_code_of_status(r->status);
    } else if (r->error_code == 0) {
        r->error_code = net_error_code(NET_PHASE_EXCHANGE, rc, conn->tcp->stream.sys_errno);
    }
    release(conn, conn->reusable && !x->request->no_reuse, r->timings.end_ns);
    return rc;
}

int http_client_do(HttpClient *client, const HttpRequest *request, HttpResponse *response, Err *e)
{
    Loop *loop = client->ctx->options.loop;
    int64_t start_ns = loop_clock(loop);
    reset_response(response, start_ns);
    HttpExchange x = {
        .ctx = client->ctx,
        .request = request,
        .response = response,
        .deadline_ns =
            request->timeout_ns > 0 ? clock_deadline(start_ns, request->timeout_ns) : NEVER_NS,
        .idempotent = is_idempotent(request->method),
    };
    HttpConn *conn = request->no_reuse ? NULL : take_idle(client, request->origin, start_ns);
    if (conn) {
        response->reused = true;
        int rc = exchange_once(&x, conn, e);
        bool again = rc == ERR_CLOSED && !x.answer_began && (x.idempotent || x.unprocessed);
        if (!again) {
            return rc;
        }
        response->reused = false;
        response->retried = true;
    }
    HttpTimings *t = &response->timings;
    t->sending_ns = 0;
    int rc = dial(client, &x, &conn, e);
    t->end_ns = loop_clock(loop);
    t->blocked_ns = t->end_ns - start_ns;
    return rc == 0 ? exchange_once(&x, conn, e) : rc;
}
