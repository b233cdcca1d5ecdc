// The server's HTTP/2 codec. A stream becomes a request and gets a fiber once it is complete; the
// connection's own fiber lives only while there are bytes to read, so an idle connection owns none.
//
// Who has frames to send writes them, unless another fiber is writing: that one takes them along.
// What a handler gives as a body stays in the handler's memory until nghttp2 has taken it, and the
// handler waits for that, so flow control reaches it as a slow client would with HTTP/1.
#include <assert.h>

#include "net/http2.h"
#include "net/server_conn.h"

enum {
    FIELDS_SENT_MAX = 160,
    // A client may reset this many streams, and a few more for each one it let finish
    // (CVE-2023-44487, "rapid reset").
    RESETS_FREE = 100,
    RESETS_PER_ANSWER = 4,
    STATUS_TEXT = 12,
};

typedef struct H2Request {
    struct H2Request *next;
    struct H2Request *prev;
    Http2Server *h2;
    ServerWork *work;
    HttpServerRequest request;
    HttpReply reply;
    Fiber *fiber;  // the handler's
    Fiber *waiter; // the same, while it waits for its bytes to go
    int32_t id;
    int refused; // answered with this status instead of being handled
    bool head_done;
    bool closed;   // nghttp2 knows the stream no more
    Slice pending; // of the body
    bool last;     // nothing comes behind it
    bool open;     // nghttp2 was promised a body and has not got its end
} H2Request;

struct Http2Server {
    ServerConn *conn;
    nghttp2_session *session;
    H2Request *requests;
    size_t active; // with a handler
    Http2Guard guard;
    uint64_t resets;
    uint64_t answers;
    bool writing;
    bool lost; // the connection, or the session ended
    bool said_goodbye;
};

// ---- requests

static H2Request *request_create(Http2Server *h, int32_t id)
{
    H2Request *r = mem_zalloc(sizeof *r);
    r->h2 = h;
    r->id = id;
    r->work = server_work_lend(h->conn->server);
    http_head_reset(&r->work->head);
    http_head_reset(&r->work->reply);
    buf_reset(&r->work->body);
    r->work->head.version_major = 2;
    r->next = h->requests;
    if (r->next) {
        r->next->prev = r;
    }
    h->requests = r;
    return r;
}

static void request_destroy(H2Request *r)
{
    Http2Server *h = r->h2;
    if (!r->closed && !h->lost) {
        (void)nghttp2_session_set_stream_user_data(h->session, r->id, NULL);
    }
    *(r->prev ? &r->prev->next : &h->requests) = r->next;
    if (r->next) {
        r->next->prev = r->prev;
    }
    server_work_give_back(h->conn->server, r->work);
    free(r);
}

static void wake(H2Request *r)
{
    if (r->waiter) {
        fiber_resume(r->waiter);
    }
}

static void mark_gone(H2Request *r)
{
    reply_wake(&r->reply, true);
    wake(r);
}

static void lose(Http2Server *h)
{
    if (!h->lost) {
        h->lost = true;
        for (H2Request *r = h->requests; r; r = r->next) {
            mark_gone(r);
        }
    }
}

static int64_t deadline_in(const Http2Server *h, int64_t wait_ns)
{
    return clock_deadline(loop_clock(h->conn->stream->loop), wait_ns);
}

static void flush(Http2Server *h)
{
    if (h->writing || h->lost || !nghttp2_session_want_write(h->session)) {
        return;
    }
    h->writing = true;
    ServerConn *conn = h->conn;
    ServerWork *w = server_work_lend(conn->server);
    stream_set_deadline(conn->stream, deadline_in(h, conn->server->options.write_timeout_ns));
    int rc = http2_write_frames(h->session, conn->stream, w->read, sizeof w->read, NULL);
    server_work_give_back(conn->server, w);
    h->writing = false;
    bool over = !nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session);
    if (rc != 0 || over) {
        lose(h);
    }
}

// ---- answers

static ssize_t give_body(nghttp2_session *session, int32_t id, uint8_t *out, size_t max,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)source;
    (void)user;
    H2Request *r = nghttp2_session_get_stream_user_data(session, id);
    if (!r) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    if (r->pending.len == 0 && !r->last) {
        return NGHTTP2_ERR_DEFERRED;
    }
    size_t n = r->pending.len < max ? r->pending.len : max;
    if (n > 0) {
        memcpy(out, r->pending.ptr, n);
    }
    r->pending = slice_sub(r->pending, n, r->pending.len);
    if (r->pending.len == 0) {
        if (r->last) {
            *flags |= NGHTTP2_DATA_FLAG_EOF;
            r->open = false;
        }
        wake(r);
    }
    return (ssize_t)n;
}

static bool is_waiting(const H2Request *r)
{
    return r->pending.len > 0 || (r->last && r->open);
}

// Until the body that was given has been taken.
static int wait_taken(H2Request *r, Err *e)
{
    Http2Server *h = r->h2;
    int64_t deadline_ns = deadline_in(h, h->conn->server->options.write_timeout_ns);
    flush(h);
    while (is_waiting(r) && !r->closed && !h->lost) {
        r->waiter = fiber_self();
        int rc = fiber_park("HTTP/2 window", deadline_ns);
        r->waiter = NULL;
        if (rc != 0) {
            r->pending.len = 0;
            (void)nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, r->id, NGHTTP2_CANCEL);
            flush(h);
            return err_set(e, rc, "the client reads too slowly");
        }
    }
    if (r->closed ? is_waiting(r) : h->lost) {
        return err_set(e, ERR_CLOSED, "the client left");
    }
    return 0;
}

typedef struct Fields {
    nghttp2_nv nv[FIELDS_SENT_MAX];
    size_t count;
} Fields;

static void add(Fields *f, Slice name, Slice value)
{
    if (f->count < FIELDS_SENT_MAX) {
        f->nv[f->count++] = http2_nv(name, value);
    }
}

static int send_head(HttpReply *reply, const ReplyHead *head, Slice body, Err *e)
{
    H2Request *r = reply->stream;
    Http2Server *h = r->h2;
    if (r->closed || h->lost) {
        return err_set(e, ERR_CLOSED, "the client left");
    }
    Fields f;
    f.count = 0;
    char status[STATUS_TEXT];
    char length[24];
    int status_len = snprintf(status, sizeof status, "%03d", reply->status);
    add(&f, SLICE(":status"), (Slice){status, (size_t)status_len});
    add(&f, SLICE("date"), slice_from_cstr(server_date(h->conn->server)));
    if (head->type.len > 0) {
        add(&f, SLICE("content-type"), head->type);
    }
    if (head->length >= 0 && reply_body_allowed(reply)) {
        int n = snprintf(length, sizeof length, "%lld", (long long)head->length);
        add(&f, SLICE("content-length"), (Slice){length, (size_t)n});
    }
    const HttpHead *fields = &r->work->reply;
    for (uint32_t i = 0; i < fields->field_count; i++) {
        if (!http2_is_connection_field(http_head_name(fields, i))) {
            add(&f, http_head_name(fields, i), http_head_value(fields, i));
        }
    }
    if (f.count == FIELDS_SENT_MAX) {
        return err_set(e, ERR_LIMIT, "too many headers in the answer");
    }
    bool more = reply->streaming && reply_body_allowed(reply) && !reply_is_to_head(reply);
    r->pending = body;
    r->last = !more;
    r->open = body.len > 0 || more;
    nghttp2_data_provider provider = {.read_callback = give_body};
    int rc = nghttp2_submit_response(h->session, r->id, f.nv, f.count, r->open ? &provider : NULL);
    if (rc != 0) {
        return err_set(e, ERR_CLOSED, "cannot answer: %s", nghttp2_strerror(rc));
    }
    return wait_taken(r, e);
}

static int send_piece(HttpReply *reply, Slice piece, Err *e)
{
    H2Request *r = reply->stream;
    if (r->closed || r->h2->lost) {
        return err_set(e, ERR_CLOSED, "the client left");
    }
    r->pending = piece;
    (void)nghttp2_session_resume_data(r->h2->session, r->id);
    return wait_taken(r, e);
}

static int send_end(HttpReply *reply, Err *e)
{
    H2Request *r = reply->stream;
    if (r->open && !r->closed && !r->h2->lost) {
        r->last = true;
        (void)nghttp2_session_resume_data(r->h2->session, r->id);
        return wait_taken(r, e);
    }
    return 0;
}

static const ReplyOps http2_reply_ops = {.head = send_head, .piece = send_piece, .end = send_end};

static void answer_refusal(H2Request *r)
{
    char text[100];
    int len = snprintf(text, sizeof text, "%d %s\n", r->refused, http_reason(r->refused));
    http_reply_send(&r->reply, r->refused, SLICE("text/plain"), (Slice){text, (size_t)len}, NULL);
}

static void handle(void *arg)
{
    H2Request *r = arg;
    Http2Server *h = r->h2;
    ServerConn *conn = h->conn;
    if (r->refused != 0) {
        answer_refusal(r);
        server_report(&r->reply, loop_clock(conn->stream->loop));
    } else {
        r->request = server_request_of(conn, r->work);
        r->reply.request = &r->request;
        if (server_answer(&r->reply) != 0 && !r->closed && !h->lost) {
            // Half an answer must not look like a whole one.
            (void)nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, r->id,
                                            NGHTTP2_INTERNAL_ERROR);
            flush(h);
        }
        server_report(&r->reply, r->request.received_ns);
    }
    // A final answer to a body that is still on its way: the client need not send the rest
    // (RFC 9113 section 8.1).
    if (!r->closed && !h->lost && r->refused != 0) {
        (void)nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, r->id, NGHTTP2_NO_ERROR);
        flush(h);
    }
    h->answers++;
    request_destroy(r);
    h->active--;
    server_conn_settle(conn);
}

static void dispatch(H2Request *r)
{
    Http2Server *h = r->h2;
    if (r->fiber) {
        return;
    }
    r->reply = (HttpReply){
        .ops = &http2_reply_ops, .conn = h->conn, .work = r->work, .stream = r, .keep_alive = true};
    r->fiber = fiber_spawn(h->conn->server->options.pool, "http request", handle, r);
    if (r->fiber) {
        h->active++;
    } else {
        (void)nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, r->id,
                                        NGHTTP2_REFUSED_STREAM);
    }
}

static void refuse(H2Request *r, int status)
{
    if (r->refused == 0 && !r->fiber) {
        r->refused = status;
        dispatch(r);
    }
}

// ---- what nghttp2 tells

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    Http2Server *h = user;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0;
    }
    // Streams that were reset do not count for nghttp2, but their handlers may still be at work.
    if (h->active >= HTTP2_STREAMS_MAX || h->conn->server->stopping) {
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                         NGHTTP2_REFUSED_STREAM);
    }
    H2Request *r = request_create(h, frame->hd.stream_id);
    return nghttp2_session_set_stream_user_data(session, r->id, r);
}

static const char *method_literal(Slice name)
{
    static const char *const methods[] = {"GET",    "HEAD",    "POST",  "PUT",
                                          "DELETE", "OPTIONS", "PATCH", "TRACE"};
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        if (slice_eq_cstr(name, methods[i])) {
            return methods[i];
        }
    }
    return NULL;
}

static void take_target(H2Request *r, Slice target)
{
    HttpHead *head = &r->work->head;
    head->line_at = (uint32_t)head->text.len;
    head->line_len = (uint32_t)target.len;
    buf_append(&head->text, target);
    if (target.len > head->limits.line_bytes_max || head->text.overflowed) {
        head->line_len = 0;
        refuse(r, 414);
    }
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name_at,
                     size_t name_len, const uint8_t *value_at, size_t value_len, uint8_t flags,
                     void *user)
{
    (void)flags;
    (void)user;
    H2Request *r = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!r || r->refused != 0 || r->head_done) {
        return 0; // trailers of requests mean nothing here
    }
    Slice name = http2_slice(name_at, name_len);
    Slice value = http2_slice(value_at, value_len);
    HttpHead *head = &r->work->head;
    if (slice_eq_cstr(name, ":method")) {
        head->method = method_literal(value);
        if (!head->method) {
            head->method = "";
            refuse(r, 501);
        }
    } else if (slice_eq_cstr(name, ":path")) {
        take_target(r, value);
    } else {
        Slice as = slice_eq_cstr(name, ":authority") ? SLICE("host") : name;
        if (http2_head_field(head, as, value) != 0) {
            refuse(r, 431);
        }
    }
    return 0;
}

static void end_of_head(H2Request *r, bool with_body)
{
    const HttpServer *server = r->h2->conn->server;
    HttpHead *head = &r->work->head;
    r->head_done = true;
    if (!with_body || r->refused != 0) {
        return;
    }
    if (head->content_length > 0 &&
        (uint64_t)head->content_length > server->options.body_bytes_max) {
        refuse(r, 413);
    } else if (slice_eq_nocase(http_head_get(head, SLICE("expect")), SLICE("100-continue"))) {
        nghttp2_nv interim = http2_nv(SLICE(":status"), SLICE("100"));
        (void)nghttp2_submit_headers(r->h2->session, NGHTTP2_FLAG_NONE, r->id, NULL, &interim, 1,
                                     NULL);
    }
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    Http2Server *h = user;
    if (frame->hd.type == NGHTTP2_RST_STREAM &&
        ++h->resets > RESETS_FREE + RESETS_PER_ANSWER * h->answers) {
        return nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
    }
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) {
        return 0;
    }
    H2Request *r = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!r) {
        return 0;
    }
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (frame->hd.type == NGHTTP2_HEADERS && !r->head_done) {
        end_of_head(r, !end);
    }
    if (end) {
        dispatch(r);
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *user)
{
    (void)flags;
    (void)user;
    H2Request *r = nghttp2_session_get_stream_user_data(session, id);
    if (r && !r->fiber) {
        buf_append(&r->work->body, http2_slice(data, len));
        if (r->work->body.overflowed) {
            refuse(r, 413);
        }
    }
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    (void)user;
    H2Request *r = nghttp2_session_get_stream_user_data(session, id);
    if (r) {
        r->closed = true;
        if (!r->fiber) {
            request_destroy(r);
        } else if (code != NGHTTP2_NO_ERROR) {
            mark_gone(r);
        } else {
            wake(r);
        }
    }
    return 0;
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user)
{
    Http2Server *h = user;
    if (!http2_guard_frame(&h->guard, hd)) {
        return nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
    }
    return 0;
}

// ---- connection

static void set_callbacks(nghttp2_session_callbacks *c)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    nghttp2_session_callbacks_set_on_begin_frame_callback(c, on_begin_frame);
}

void http2_server_start(ServerConn *conn)
{
    HttpServer *server = conn->server;
    if (!server->http2_memory) {
        server->http2_memory = http2_memory_create();
    }
    Http2Server *h = mem_zalloc(sizeof *h);
    h->conn = conn;
    conn->h2 = h;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, HTTP2_STREAMS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_SERVER_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)server->options.head.head_bytes_max},
    };
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0) {
        die("out of memory for HTTP/2");
    }
    nghttp2_option_set_no_closed_streams(option, 1); // they would serve priorities only
    set_callbacks(callbacks);
    if (nghttp2_session_server_new3(&h->session, callbacks, h, option,
                                    http2_memory_allocator(server->http2_memory)) != 0 ||
        nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings, COUNT_OF(settings)) != 0 ||
        nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
                                              HTTP2_SERVER_WINDOW) != 0) {
        die("out of memory for HTTP/2");
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
}

void http2_server_destroy(ServerConn *conn)
{
    Http2Server *h = conn->h2;
    while (h->requests) {
        assert(!h->requests->fiber);
        request_destroy(h->requests);
    }
    nghttp2_session_del(h->session);
    free(h);
}

static void take_bytes(Http2Server *h, Slice bytes)
{
    ssize_t used = nghttp2_session_mem_recv(h->session, (const uint8_t *)bytes.ptr, bytes.len);
    if (used < 0) {
        lose(h);
    }
}

bool http2_serve(ServerConn *conn)
{
    Http2Server *h = conn->h2;
    ServerWork *w = conn->work;
    if (w->at < w->len) { // the preface, read while the protocol was not known
        take_bytes(h, (Slice){w->read + w->at, w->len - w->at});
        w->at = w->len;
    }
    flush(h);
    while (!h->lost && server_has_more(conn)) {
        stream_set_deadline(conn->stream, deadline_in(h, conn->server->options.idle_timeout_ns));
        size_t n = 0;
        int rc = stream_read(conn->stream, w->read, sizeof w->read, &n, NULL);
        if (rc != 0 || n == 0) {
            lose(h);
            break;
        }
        take_bytes(h, (Slice){w->read, n});
        flush(h);
    }
    if (conn->server->stopping && !h->said_goodbye && !h->lost) {
        h->said_goodbye = true;
        (void)nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
                                    nghttp2_session_get_last_proc_stream_id(h->session),
                                    NGHTTP2_NO_ERROR, NULL, 0);
        flush(h);
    }
    return !h->lost;
}

bool http2_server_is_working(const ServerConn *conn)
{
    return conn->h2->active > 0;
}

bool http2_server_is_lost(const ServerConn *conn)
{
    return conn->h2->lost;
}

bool http2_server_is_receiving(const ServerConn *conn)
{
    return conn->h2->requests != NULL;
}

void http2_server_wake(ServerConn *conn)
{
    for (H2Request *r = conn->h2->requests; r; r = r->next) {
        reply_wake(&r->reply, false);
    }
}

void http2_server_cancel(ServerConn *conn)
{
    for (H2Request *r = conn->h2->requests; r; r = r->next) {
        if (r->fiber) {
            fiber_cancel(r->fiber);
        }
    }
}
