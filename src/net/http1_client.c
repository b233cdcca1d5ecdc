// The client's HTTP/1.1 codec: one request at a time over a stream.
#include "net/http_conn.h"

static int keep_body(void *ctx, Slice piece)
{
    HttpResponse *response = ctx;
    buf_append(&response->body, piece);
    return response->body.overflowed ? ERR_LIMIT : 0;
}

static void set_body_sink(Http1Parser *parser, const HttpRequest *request, HttpResponse *response)
{
    switch (request->body_mode) {
    case HTTP_BODY_DISCARD: break;
    case HTTP_BODY_KEEP:
        parser->body_fn = keep_body;
        parser->body_ctx = response;
        break;
    case HTTP_BODY_STREAM:
        parser->body_fn = request->body_fn;
        parser->body_ctx = request->body_ctx;
        break;
    }
}

static int send_request(HttpConn *conn, const HttpExchange *x, Err *e)
{
    const HttpRequest *request = x->request;
    Slice head = request->wire;
    if (head.len == 0) {
        Buf *out = &x->response->request_head;
        buf_reset(out);
        int rc = http_request_wire(out, request, e);
        if (rc != 0) {
            return rc;
        }
        head = buf_slice(out);
    }
    if (request->body.len == 0) {
        return stream_write_all(conn->stream, head, e);
    }
    // The kernel does not write through iov_base.
    struct iovec parts[2] = {
        {(void *)(uintptr_t)head.ptr, head.len},
        {(void *)(uintptr_t)request->body.ptr, request->body.len},
    };
    return stream_writev_all(conn->stream, parts, 2, e);
}

// One read and what the parser makes of it. The buffer is borrowed only when there is something to
// read, so waiting connections hold none.
static int receive_some(HttpConn *conn, HttpExchange *x, Http1Parser *parser, Err *e)
{
    int rc = stream_wait_readable(conn->stream, e);
    if (rc != 0) {
        return rc;
    }
    char *buffer = http_context_lend(x->ctx);
    size_t n = 0;
    rc = stream_read(conn->stream, buffer, HTTP_READ_BYTES, &n, e);
    if (rc == 0) {
        if (n == 0) {
            rc = http1_eof(parser, e);
        } else {
            HttpTimings *t = &x->response->timings;
            t->end_ns = loop_clock(conn->stream->loop);
            if (!x->answer_began) {
                x->answer_began = true;
                t->waiting_ns = t->end_ns - (t->start_ns + t->blocked_ns + t->sending_ns);
            }
            size_t used = 0;
            rc = http1_parse(parser, (Slice){buffer, n}, &used, e);
            // What follows a complete answer was not asked for.
            conn->reusable = used == n;
        }
    }
    http_context_give_back(x->ctx, buffer);
    return rc;
}

static int receive_response(HttpConn *conn, HttpExchange *x, Err *e)
{
    HttpResponse *response = x->response;
    Http1Parser parser;
    http1_parser_init(&parser, HTTP1_RESPONSE, &response->head);
    parser.head_only = slice_eq(x->request->method, SLICE("HEAD"));
    set_body_sink(&parser, x->request, response);
    int rc = 0;
    while (rc == 0 && !http1_done(&parser)) {
        rc = receive_some(conn, x, &parser, e);
    }
    response->body_bytes = parser.body_bytes;
    response->status = parser.stage == HTTP1_HEAD ? 0 : response->head.status;
    return rc;
}

static int http1_exchange(HttpConn *conn, HttpExchange *x, Err *e)
{
    HttpTimings *t = &x->response->timings;
    stream_set_deadline(conn->stream, x->deadline_ns);
    conn->reusable = false;
    int rc = send_request(conn, x, e);
    t->end_ns = loop_clock(conn->stream->loop);
    t->sending_ns = t->end_ns - t->start_ns - t->blocked_ns;
    bool sent = rc == 0;
    if (rc == ERR_CLOSED) {
        // A server may answer and close without reading everything (413, say): look for that.
        int code = receive_response(conn, x, NULL);
        rc = code == 0 ? 0 : rc;
    } else if (rc == 0) {
        rc = receive_response(conn, x, e);
    }
    if (x->answer_began) {
        t->receiving_ns = t->end_ns - t->start_ns - t->blocked_ns - t->sending_ns - t->waiting_ns;
    }
    conn->reusable = rc == 0 && sent && conn->reusable && x->response->head.keep_alive &&
                     !x->response->head.upgrade && !conn->tcp->hangup;
    return rc;
}

const HttpConnOps http1_conn_ops = {.exchange = http1_exchange};
