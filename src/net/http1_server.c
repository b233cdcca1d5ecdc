// The server's HTTP/1.1 codec: reads requests from a connection and writes answers.
#include "net/server_conn.h"

enum {
    CHUNK_LINE_MAX = 24,    // "ffffffffffffffff\r\n" and the NUL
    LINGER_BYTES = 1 << 20, // what a refused client may still send before we hang up
};
static const int64_t LINGER_NS = 1 * NS_PER_S;

// ---- reading

static int collect_body(void *ctx, Slice piece)
{
    Buf *body = ctx;
    buf_append(body, piece);
    return body->overflowed ? ERR_LIMIT : 0;
}

static int64_t deadline_in(const ServerConn *conn, int64_t wait_ns)
{
    return clock_deadline(loop_clock(conn->stream->loop), wait_ns);
}

// Parses what is in the buffer, and reads more when it is empty.
static int feed(ServerConn *conn, Http1Parser *p, Err *e)
{
    ServerWork *w = conn->work;
    if (w->at == w->len) {
        size_t n;
        int rc = stream_read(conn->stream, w->read, sizeof w->read, &n, e);
        if (rc != 0) {
            return rc;
        }
        if (n == 0) {
            return ERR_CLOSED; // nobody is there to be told about half a request
        }
        w->at = 0;
        w->len = n;
    }
    size_t used = 0;
    int rc = http1_parse(p, (Slice){w->read + w->at, w->len - w->at}, &used, e);
    w->at += used;
    return rc;
}

// The head is there and the body is not: refuse it early or ask for it.
static int begin_body(ServerConn *conn, Http1Parser *p, Err *e)
{
    const HttpServerOptions *o = &conn->server->options;
    const HttpHead *head = &conn->work->head;
    if (head->content_length > 0 && (uint64_t)head->content_length > o->body_bytes_max) {
        p->answer_status = 413;
        return err_set(e, ERR_LIMIT, "the body is larger than %zu bytes", o->body_bytes_max);
    }
    stream_set_deadline(conn->stream, deadline_in(conn, o->body_timeout_ns));
    if (head->expect_continue && p->body_bytes == 0) {
        return stream_write_all(conn->stream, SLICE("HTTP/1.1 100 Continue\r\n\r\n"), e);
    }
    return 0;
}

// RFC 9112 section 3.2: exactly one Host in HTTP/1.1.
static bool has_valid_host(const HttpHead *head)
{
    uint32_t at = 0;
    Slice host;
    bool any = http_head_each(head, SLICE("host"), &at, &host);
    return any ? !http_head_each(head, SLICE("host"), &at, &host) : head->version_minor == 0;
}

static int read_request(ServerConn *conn, Http1Parser *p, Err *e)
{
    ServerWork *w = conn->work;
    http1_parser_init(p, HTTP1_REQUEST, &w->head);
    buf_reset(&w->body);
    p->body_fn = collect_body;
    p->body_ctx = &w->body;
    stream_set_deadline(conn->stream, deadline_in(conn, conn->server->options.head_timeout_ns));
    bool body_began = false;
    while (!http1_done(p)) {
        int rc = feed(conn, p, e);
        if (rc == 0 && p->stage == HTTP1_BODY && !body_began) {
            body_began = true;
            rc = begin_body(conn, p, e);
        }
        if (rc != 0) {
            return rc;
        }
    }
    if (!has_valid_host(&w->head)) {
        return err_set(e, ERR_PROTOCOL, "a request needs one Host field");
    }
    return 0;
}

// ---- writing

static bool body_allowed(const HttpReply *reply)
{
    return reply->status >= 200 && reply->status != 204 && reply->status != 304;
}

static bool is_head_request(const HttpReply *reply)
{
    return reply->request && slice_eq(reply->request->method, SLICE("HEAD"));
}

static void write_fields(Buf *out, const HttpHead *fields)
{
    for (uint32_t i = 0; i < fields->field_count; i++) {
        buf_append(out, http_head_name(fields, i));
        buf_puts(out, ": ");
        buf_append(out, http_head_value(fields, i));
        buf_puts(out, "\r\n");
    }
}

// Serialises the head of the answer into the work's `out`; `length` < 0: not known.
static int write_head(HttpReply *reply, Slice type, int64_t length, Err *e)
{
    if (!http_is_field_value(type)) {
        return reply->rc = err_set(e, ERR_ARG, "the content type has control characters");
    }
    ServerWork *w = reply->conn->work;
    Buf *out = &w->out;
    buf_reset(out);
    buf_printf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", reply->status, http_reason(reply->status),
               server_date(reply->conn->server));
    if (type.len > 0) {
        buf_puts(out, "Content-Type: ");
        buf_append(out, type);
        buf_puts(out, "\r\n");
    }
    bool old = w->head.version_minor == 0;
    if (body_allowed(reply)) {
        reply->chunked = length < 0 && !old;
        if (length >= 0) {
            buf_printf(out, "Content-Length: %lld\r\n", (long long)length);
        } else if (reply->chunked) {
            buf_puts(out, "Transfer-Encoding: chunked\r\n");
        } else {
            reply->keep_alive = false; // the end of the connection ends the body
        }
    }
    write_fields(out, &w->reply);
    if (!reply->keep_alive) {
        buf_puts(out, "Connection: close\r\n");
    } else if (old) {
        buf_puts(out, "Connection: keep-alive\r\n");
    }
    buf_puts(out, "\r\n");
    return reply->rc = buf_check(out, "head of the answer", e);
}

// The kernel does not write through iov_base.
static struct iovec part_of(Slice s)
{
    return (struct iovec){(void *)(uintptr_t)s.ptr, s.len};
}

static int put(HttpReply *reply, struct iovec *parts, int count, Err *e)
{
    ServerConn *conn = reply->conn;
    if (reply->rc == 0) {
        stream_set_deadline(conn->stream,
                            deadline_in(conn, conn->server->options.write_timeout_ns));
        reply->rc = stream_writev_all(conn->stream, parts, count, e);
    }
    return reply->rc;
}

bool http_reply_began(const HttpReply *reply)
{
    return reply->began;
}

int http_reply_header(HttpReply *reply, Slice name, Slice value, Err *e)
{
    if (reply->began) {
        return err_set(e, ERR_ARG, "header '%.*s' comes after the answer began", SLICE_FMT(name));
    }
    if (!http_is_token(name) || !http_is_field_value(value)) {
        return err_set(e, ERR_ARG, "header '%.*s' has a name or value that HTTP cannot carry",
                       SLICE_FMT(name));
    }
    if (http_head_add(&reply->conn->work->reply, name, value) != 0) {
        return err_set(e, ERR_LIMIT, "too many headers in the answer");
    }
    return 0;
}

int http_reply_send(HttpReply *reply, int status, Slice type, Slice body, Err *e)
{
    if (reply->began) {
        return err_set(e, ERR_ARG, "the request is answered already");
    }
    reply->began = reply->ended = true;
    reply->status = status;
    int rc = write_head(reply, type, (int64_t)body.len, e);
    if (rc != 0) {
        return rc;
    }
    bool with_body = body.len > 0 && body_allowed(reply) && !is_head_request(reply);
    reply->body_bytes = with_body ? body.len : 0;
    struct iovec parts[2] = {part_of(buf_slice(&reply->conn->work->out)), part_of(body)};
    return put(reply, parts, with_body ? 2 : 1, e);
}

int http_reply_begin(HttpReply *reply, int status, Slice type, Err *e)
{
    if (reply->began) {
        return err_set(e, ERR_ARG, "the request is answered already");
    }
    reply->began = reply->streaming = true;
    reply->status = status;
    int rc = write_head(reply, type, -1, e);
    if (rc != 0) {
        return rc;
    }
    struct iovec part = part_of(buf_slice(&reply->conn->work->out));
    return put(reply, &part, 1, e);
}

int http_reply_write(HttpReply *reply, Slice piece, Err *e)
{
    if (!reply->streaming || reply->ended) {
        return err_set(e, ERR_ARG, "no body is being written");
    }
    if (piece.len == 0 || !body_allowed(reply) || is_head_request(reply)) {
        return reply->rc; // an empty chunk would end the body
    }
    reply->body_bytes += piece.len;
    char line[CHUNK_LINE_MAX];
    int len = snprintf(line, sizeof line, "%zx\r\n", piece.len);
    struct iovec parts[3] = {{line, (size_t)len}, part_of(piece), part_of(SLICE("\r\n"))};
    return reply->chunked ? put(reply, parts, 3, e) : put(reply, parts + 1, 1, e);
}

int http_reply_end(HttpReply *reply, Err *e)
{
    if (!reply->streaming || reply->ended) {
        return reply->rc;
    }
    reply->ended = true;
    if (!reply->chunked || is_head_request(reply)) {
        return reply->rc;
    }
    struct iovec part = part_of(SLICE("0\r\n\r\n"));
    return put(reply, &part, 1, e);
}

// ---- requests in turn

static void report(const HttpReply *reply, int64_t begin_ns)
{
    const HttpServerOptions *o = &reply->conn->server->options;
    if (o->event_fn) {
        HttpServerEvent event = {
            .request = reply->request,
            .status = reply->status,
            .body_bytes = reply->body_bytes,
            .duration_ns = loop_clock(o->loop) - begin_ns,
        };
        o->event_fn(o->ctx, &event);
    }
}

// Closing a socket that has unread bytes resets it, and a reset overtakes the answer. So the client
// gets some time to read it and to stop sending.
static void linger(ServerConn *conn)
{
    ServerWork *w = conn->work;
    (void)shutdown(conn->tcp->io.fd, SHUT_WR);
    stream_set_deadline(conn->stream, deadline_in(conn, LINGER_NS));
    size_t total = 0;
    size_t n = 1;
    while (n > 0 && total < LINGER_BYTES &&
           stream_read(conn->stream, w->read, sizeof w->read, &n, NULL) == 0) {
        total += n;
    }
}

// Tells the client what was wrong with its request, where there is still somebody to tell.
static void refuse(ServerConn *conn, const Http1Parser *p, int rc, const Err *why)
{
    int status = 0;
    if (rc == ERR_TIMEOUT && p->began) {
        status = 408;
    } else if (rc == ERR_PROTOCOL || rc == ERR_LIMIT) {
        status = p->answer_status;
    }
    if (status == 0) {
        return;
    }
    http_head_reset(&conn->work->reply);
    conn->work->head.version_minor = 1;
    HttpReply reply = {.conn = conn};
    int64_t begin_ns = loop_clock(conn->stream->loop);
    char text[300];
    int len = snprintf(text, sizeof text, "%d %s: %.200s\n", status, http_reason(status),
                       rc == ERR_TIMEOUT ? "the request took too long" : why->text);
    int sent = http_reply_send(&reply, status, SLICE("text/plain; charset=utf-8"),
                               (Slice){text, (size_t)len}, NULL);
    report(&reply, begin_ns);
    if (sent == 0) {
        linger(conn);
    }
}

static HttpServerRequest request_of(const ServerConn *conn)
{
    const ServerWork *w = conn->work;
    HttpServerRequest request = {
        .method = slice_from_cstr(w->head.method),
        .target = http_head_line(&w->head),
        .head = &w->head,
        .body = buf_slice(&w->body),
        .peer = conn->tcp->peer,
        .tls = conn->server->options.tls != NULL,
        .received_ns = loop_clock(conn->stream->loop),
        .server = conn->server,
    };
    if (!slice_cut(request.target, '?', &request.path, &request.query)) {
        request.query = (Slice){NULL, 0};
    }
    return request;
}

// True when the connection may go on.
static bool answer(ServerConn *conn)
{
    HttpServer *server = conn->server;
    HttpServerRequest request = request_of(conn);
    http_head_reset(&conn->work->reply);
    HttpReply reply = {
        .conn = conn,
        .request = &request,
        .keep_alive = conn->work->head.keep_alive && !conn->work->head.upgrade && !server->stopping,
    };
    server->options.handler(server->options.ctx, &request, &reply);
    int rc = 0;
    if (!reply.began) {
        rc = http_reply_send(&reply, 500, SLICE("text/plain"), SLICE("500 no answer\n"), NULL);
    } else {
        rc = http_reply_end(&reply, NULL);
    }
    report(&reply, request.received_ns);
    return rc == 0 && reply.keep_alive && !server->stopping;
}

bool http1_serve(ServerConn *conn)
{
    do {
        Http1Parser parser;
        Err e = {0};
        int rc = read_request(conn, &parser, &e);
        if (rc != 0) {
            refuse(conn, &parser, rc, &e);
            return false;
        }
        if (!answer(conn)) {
            return false;
        }
    } while (conn->work->at < conn->work->len);
    return true;
}
