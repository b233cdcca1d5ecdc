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
    if (reply_body_allowed(reply)) {
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
    return buf_check(out, "head of the answer", e);
}

// The kernel does not write through iov_base.
static struct iovec part_of(Slice s)
{
    return (struct iovec){(void *)(uintptr_t)s.ptr, s.len};
}

static int put(HttpReply *reply, struct iovec *parts, int count, Err *e)
{
    ServerConn *conn = reply->conn;
    stream_set_deadline(conn->stream, deadline_in(conn, conn->server->options.write_timeout_ns));
    return stream_writev_all(conn->stream, parts, count, e);
}

static int send_head(HttpReply *reply, const ReplyHead *head, Slice body, Err *e)
{
    int rc = write_head(reply, head->type, head->length, e);
    if (rc != 0) {
        return rc;
    }
    struct iovec parts[2] = {part_of(buf_slice(&reply->work->out)), part_of(body)};
    return put(reply, parts, body.len > 0 ? 2 : 1, e);
}

static int send_piece(HttpReply *reply, Slice piece, Err *e)
{
    char line[CHUNK_LINE_MAX];
    int len = snprintf(line, sizeof line, "%zx\r\n", piece.len);
    struct iovec parts[3] = {{line, (size_t)len}, part_of(piece), part_of(SLICE("\r\n"))};
    return reply->chunked ? put(reply, parts, 3, e) : put(reply, parts + 1, 1, e);
}

static int send_end(HttpReply *reply, Err *e)
{
    if (!reply->chunked || reply_is_to_head(reply)) {
        return 0;
    }
    struct iovec part = part_of(SLICE("0\r\n\r\n"));
    return put(reply, &part, 1, e);
}

static const ReplyOps http1_reply_ops = {.head = send_head, .piece = send_piece, .end = send_end};

// ---- requests in turn

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
    HttpReply reply = {.ops = &http1_reply_ops, .conn = conn, .work = conn->work};
    int64_t begin_ns = loop_clock(conn->stream->loop);
    char text[300];
    int len = snprintf(text, sizeof text, "%d %s: %.200s\n", status, http_reason(status),
                       rc == ERR_TIMEOUT ? "the request took too long" : why->text);
    int sent = http_reply_send(&reply, status, SLICE("text/plain; charset=utf-8"),
                               (Slice){text, (size_t)len}, NULL);
    server_report(&reply, begin_ns);
    if (sent == 0) {
        linger(conn);
    }
}

// True when the connection may go on.
static bool answer(ServerConn *conn)
{
    const HttpServer *server = conn->server;
    HttpServerRequest request = server_request_of(conn, conn->work);
    http_head_reset(&conn->work->reply);
    HttpReply reply = {
        .ops = &http1_reply_ops,
        .conn = conn,
        .work = conn->work,
        .request = &request,
        .keep_alive = conn->work->head.keep_alive && !conn->work->head.upgrade && !server->stopping,
    };
    conn->reply = &reply;
    int rc = server_answer(&reply);
    conn->reply = NULL;
    server_report(&reply, request.received_ns);
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
