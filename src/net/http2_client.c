// The client's HTTP/2 codec: several requests at a time over one connection.
//
// No fiber of its own reads the connection. A fiber that waits for its answer reads when nobody
// else does and feeds nghttp2, which answers streams of the others as well; when its own is done it
// hands reading on to one that still waits. With one request at a time, which is what a virtual
// user mostly does, that is the cost of HTTP/1: one send, one recv, no hand-over.
#include <assert.h>

#include "net/http2.h"
#include "net/http_conn.h"

enum { FIELDS_SENT_MAX = 96 };

typedef struct H2Conn H2Conn;

// A request on its way; on its fiber's stack.
typedef struct H2Stream {
    struct H2Stream *next;
    struct H2Stream *prev;
    H2Conn *h2;
    HttpExchange *x;
    Fiber *fiber; // parked while another one reads
    int32_t id;
    bool head_done;
    bool ended;  // the peer said all of its answer
    bool closed; // nghttp2 knows the stream no more
    int rc;      // a limit or body_fn ended it
    const char *why;
    uint32_t code; // of RFC 9113 section 7, when it closed early
    int interim;
    size_t body_at; // of the request's body
    int64_t first_ns;
    int64_t last_ns;
} H2Stream;

struct H2Conn {
    HttpConn *conn;
    HttpContext *ctx;
    nghttp2_session *session;
    H2Stream *streams;
    uint32_t stream_count;
    Http2Guard guard;
    bool reading;
    bool writing;
    bool stale;  // said nothing while a request timed out: not for new ones
    bool goaway; // received
    uint32_t goaway_code;
    bool quit; // we sent GOAWAY, because the peer broke the protocol
    uint32_t quit_code;
    int64_t read_ns; // when the last bytes came
    // Once it is lost:
    int rc;
    int error_code;
    char why[200];
};

// ---- streams

static void wake(H2Stream *s)
{
    if (s->fiber) {
        fiber_resume(s->fiber);
    }
}

// Ends one request; the connection goes on.
static void stop_stream(H2Stream *s, int rc, const char *why)
{
    if (s->rc == 0) {
        s->rc = rc;
        s->why = why;
        (void)nghttp2_submit_rst_stream(s->h2->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL);
        wake(s);
    }
}

static void link_stream(H2Conn *h, H2Stream *s)
{
    s->next = h->streams;
    if (s->next) {
        s->next->prev = s;
    }
    h->streams = s;
    h->stream_count++;
}

static void unlink_stream(H2Conn *h, H2Stream *s)
{
    *(s->prev ? &s->prev->next : &h->streams) = s->next;
    if (s->next) {
        s->next->prev = s->prev;
    }
    h->stream_count--;
}

static void lose(H2Conn *h, int rc, int error_code, const char *format, const char *detail)
{
    if (h->rc != 0) {
        return;
    }
    h->rc = rc;
    h->error_code = error_code;
    (void)snprintf(h->why, sizeof h->why, "%s%.150s", format, detail);
    for (H2Stream *s = h->streams; s; s = s->next) {
        wake(s);
    }
}

// ---- what nghttp2 tells

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)user;
    H2Stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!s) {
        return 0;
    }
    HttpHead *head = &s->x->response->head;
    if (!s->head_done) {
        http_head_reset(head);
        if (s->first_ns == 0) {
            s->first_ns = s->h2->read_ns;
            s->x->answer_began = true;
        }
    } else {
        head->trailer_first = head->field_count;
    }
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    (void)flags;
    (void)user;
    H2Stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (s && s->rc == 0) {
        int rc = http2_head_field(&s->x->response->head, http2_slice(name, name_len),
                                  http2_slice(value, value_len));
        if (rc != 0) {
            stop_stream(s, rc, "the head of the answer is larger than its limit");
        }
    }
    return 0;
}

static void end_of_head(H2Stream *s)
{
    if (s->head_done) {
        return;
    }
    if (s->x->response->head.status >= 200) {
        s->head_done = true;
    } else if (++s->interim > HTTP2_INTERIM_MAX) {
        stop_stream(s, ERR_PROTOCOL, "too many interim answers");
    }
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    H2Conn *h = user;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        h->goaway = true;
        h->goaway_code = frame->goaway.error_code;
        return 0;
    }
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) {
        return 0;
    }
    H2Stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!s) {
        return 0;
    }
    s->last_ns = h->read_ns;
    if (frame->hd.type == NGHTTP2_HEADERS) {
        end_of_head(s);
    }
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
        s->ended = true;
        wake(s);
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *user)
{
    (void)flags;
    (void)user;
    H2Stream *s = nghttp2_session_get_stream_user_data(session, id);
    if (!s || s->rc != 0) {
        return 0;
    }
    HttpResponse *response = s->x->response;
    const HttpRequest *request = s->x->request;
    response->body_bytes += (int64_t)len;
    switch (request->body_mode) {
    case HTTP_BODY_DISCARD: break;
    case HTTP_BODY_KEEP:
        buf_append(&response->body, http2_slice(data, len));
        if (response->body.overflowed) {
            stop_stream(s, ERR_LIMIT, "the body is larger than its limit");
        }
        break;
    case HTTP_BODY_STREAM: {
        int rc = request->body_fn(request->body_ctx, http2_slice(data, len));
        if (rc < 0) {
            stop_stream(s, rc, "the receiver of the body gave up");
        }
        break;
    }
    }
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    (void)user;
    H2Stream *s = nghttp2_session_get_stream_user_data(session, id);
    if (s) {
        s->closed = true;
        s->code = code;
        wake(s);
    }
    return 0;
}

// A request that could not be sent any more, because GOAWAY came first.
static int on_frame_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int code,
                             void *user)
{
    (void)session;
    (void)code;
    H2Conn *h = user;
    if (frame->hd.type == NGHTTP2_HEADERS) {
        for (H2Stream *s = h->streams; s; s = s->next) {
            if (s->id == frame->hd.stream_id) {
                s->closed = true;
                s->code = NGHTTP2_REFUSED_STREAM;
                wake(s);
            }
        }
    }
    return 0;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session;
    H2Conn *h = user;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        h->quit = true;
        h->quit_code = frame->goaway.error_code;
    }
    return 0;
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user)
{
    H2Conn *h = user;
    if (!http2_guard_frame(&h->guard, hd)) {
        return nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
    }
    return 0;
}

static ssize_t give_body(nghttp2_session *session, int32_t id, uint8_t *out, size_t max,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)source;
    (void)user;
    H2Stream *s = nghttp2_session_get_stream_user_data(session, id);
    if (!s) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; // nobody waits for the answer any more
    }
    Slice rest = slice_sub(s->x->request->body, s->body_at, max);
    if (rest.len > 0) {
        memcpy(out, rest.ptr, rest.len);
    }
    s->body_at += rest.len;
    if (s->body_at == s->x->request->body.len) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)rest.len;
}

// ---- connection

static void set_callbacks(nghttp2_session_callbacks *c)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(c, on_frame_not_sent);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_sent);
    nghttp2_session_callbacks_set_on_begin_frame_callback(c, on_begin_frame);
}

void http2_conn_start(HttpConn *conn, HttpContext *ctx)
{
    H2Conn *h = mem_zalloc(sizeof *h);
    h->conn = conn;
    h->ctx = ctx;
    nghttp2_mem *memory = http2_memory_allocator(http_context_http2_memory(ctx));
    nghttp2_session_callbacks *callbacks;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_BYTES_MAX},
    };
    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        die("out of memory for HTTP/2");
    }
    set_callbacks(callbacks);
    if (nghttp2_session_client_new3(&h->session, callbacks, h, NULL, memory) != 0 ||
        nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings, COUNT_OF(settings)) != 0 ||
        nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0, HTTP2_WINDOW) !=
            0) {
        die("out of memory for HTTP/2");
    }
    nghttp2_session_callbacks_del(callbacks);
    conn->codec = h;
    conn->ops = &http2_conn_ops;
}

static void http2_conn_destroy(HttpConn *conn)
{
    H2Conn *h = conn->codec;
    nghttp2_session_del(h->session);
    free(h);
}

static bool http2_has_room(const HttpConn *conn)
{
    const H2Conn *h = conn->codec;
    return h->rc == 0 && !h->goaway && !h->stale &&
           h->stream_count < nghttp2_session_get_remote_settings(
                                 h->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

static void lose_by_io(H2Conn *h, int rc, const char *what)
{
    int sys_errno = h->conn->tcp->stream.sys_errno;
    if (h->goaway) {
        lose(h, ERR_CLOSED, http2_error_code(NET_H2_GOAWAY_FIRST, h->goaway_code),
             "the server said GOAWAY: ", nghttp2_http2_strerror(h->goaway_code));
    } else {
        // A deadline of the fiber that happened to do the I/O is no deadline of the others.
        lose(h, rc == ERR_TLS ? rc : ERR_CLOSED, net_error_code(NET_PHASE_EXCHANGE, rc, sys_errno),
             "the HTTP/2 connection was lost: ", what);
    }
}

// Writes what is ready, unless another fiber is at it; that one takes ours along.
static int flush(H2Conn *h, int64_t deadline_ns, Err *e)
{
    if (h->writing || h->rc != 0 || !nghttp2_session_want_write(h->session)) {
        return 0;
    }
    h->writing = true;
    char *buffer = http_context_lend(h->ctx);
    stream_set_deadline(h->conn->stream, deadline_ns);
    int rc = http2_write_frames(h->session, h->conn->stream, buffer, HTTP_READ_BYTES, e);
    http_context_give_back(h->ctx, buffer);
    h->writing = false;
    if (rc != 0) {
        lose_by_io(h, rc, "cannot write"); // half a frame may be out
    }
    return rc;
}

// nghttp2 ends a session by itself when the peer breaks the protocol.
static void check_end(H2Conn *h)
{
    if (h->rc != 0 || nghttp2_session_want_read(h->session) ||
        nghttp2_session_want_write(h->session)) {
        return;
    }
    if (h->quit && h->quit_code != NGHTTP2_NO_ERROR) {
        lose(h, ERR_PROTOCOL, http2_error_code(NET_H2_CONNECTION_FIRST, h->quit_code),
             "the server broke HTTP/2: ", nghttp2_http2_strerror(h->quit_code));
    } else {
        lose_by_io(h, ERR_CLOSED, "it ended");
    }
}

static void take_bytes(H2Conn *h, const char *bytes, size_t len)
{
    h->read_ns = loop_clock(h->conn->stream->loop);
    if (len == 0) {
        lose_by_io(h, ERR_CLOSED, "the server closed it");
        return;
    }
    ssize_t used = nghttp2_session_mem_recv(h->session, (const uint8_t *)bytes, len);
    if (used < 0) {
        lose(h, ERR_PROTOCOL, http2_error_code(NET_H2_CONNECTION_FIRST, NGHTTP2_PROTOCOL_ERROR),
             "the server does not speak HTTP/2: ", nghttp2_strerror((int)used));
    }
}

// One read for all. What ends only the calling fiber's wait is returned.
static int read_some(H2Conn *h, int64_t deadline_ns, Err *e)
{
    Stream *stream = h->conn->stream;
    stream_set_deadline(stream, deadline_ns);
    h->reading = true;
    int rc = stream_wait_readable(stream, e);
    if (rc == 0) {
        char *buffer = http_context_lend(h->ctx);
        size_t n = 0;
        rc = stream_read(stream, buffer, HTTP_READ_BYTES, &n, e);
        if (rc == 0) {
            take_bytes(h, buffer, n);
        }
        http_context_give_back(h->ctx, buffer);
    }
    h->reading = false;
    if (rc == ERR_TIMEOUT || rc == ERR_CANCELLED) {
        return rc;
    }
    if (rc != 0) {
        lose_by_io(h, rc, "cannot read");
        return 0;
    }
    rc = flush(h, deadline_ns, e);
    check_end(h);
    return rc;
}

// ---- a request

typedef struct Fields {
    nghttp2_nv nv[FIELDS_SENT_MAX];
    size_t count;
    bool overflowed;
    bool has_length;
} Fields;

static void add(Fields *f, Slice name, Slice value)
{
    if (f->count == FIELDS_SENT_MAX) {
        f->overflowed = true;
        return;
    }
    f->nv[f->count++] = http2_nv(name, value);
}

static void add_own(Fields *f, Slice name, Slice value)
{
    if (name.len == 4 && slice_eq_nocase(name, SLICE("host"))) {
        f->nv[2].value = (uint8_t *)(uintptr_t)value.ptr; // :authority, as Go does it
        f->nv[2].valuelen = value.len;
    } else if (!http2_is_connection_field(name)) {
        f->has_length =
            f->has_length || (name.len == 14 && slice_eq_nocase(name, SLICE("content-length")));
        add(f, name, value);
    }
}

// A head serialised by http_request_wire, taken apart again: "GET /x HTTP/1.1", then its fields.
static void add_wire(Fields *f, Slice wire)
{
    Slice line;
    Slice ignored;
    Slice target;
    (void)slice_cut(wire, '\n', &line, &wire);
    (void)slice_cut(line, ' ', &ignored, &target);
    (void)slice_cut(target, ' ', &target, &ignored);
    f->nv[3].value = (uint8_t *)(uintptr_t)target.ptr;
    f->nv[3].valuelen = target.len;
    while (slice_cut(wire, '\n', &line, &wire) && line.len > 1) {
        Slice name;
        Slice value;
        (void)slice_cut(line, ':', &name, &value);
        add_own(f, name, slice_sub(value, 1, value.len - 2)); // ": " and CR
    }
}

static int check_request(const HttpRequest *request, Err *e)
{
    bool ok = http_is_token(request->method) && http_is_field_value(request->target) &&
              request->target.len > 0;
    for (size_t i = 0; ok && i < request->header_count; i++) {
        const HttpHeader *header = &request->headers[i];
        ok = http_is_token(header->name) && http_is_field_value(header->value);
    }
    return ok ? 0 : err_set(e, ERR_ARG, "a method, target or header that HTTP cannot carry");
}

static int submit(H2Conn *h, H2Stream *s, Err *e)
{
    const HttpRequest *request = s->x->request;
    Fields f; // too large to be cleared for every request
    f.count = 0;
    f.overflowed = f.has_length = false;
    char length[24];
    add(&f, SLICE(":method"), request->method);
    add(&f, SLICE(":scheme"), request->origin->tls ? SLICE("https") : SLICE("http"));
    add(&f, SLICE(":authority"), buf_slice(&request->origin->authority));
    add(&f, SLICE(":path"), request->target);
    if (request->wire.len > 0) {
        add_wire(&f, request->wire);
    } else {
        int rc = check_request(request, e);
        if (rc != 0) {
            return rc;
        }
        for (size_t i = 0; i < request->header_count; i++) {
            add_own(&f, request->headers[i].name, request->headers[i].value);
        }
    }
    bool body = request->has_body || request->body.len > 0;
    if (body && !f.has_length) {
        int n = snprintf(length, sizeof length, "%zu", request->body.len);
        add(&f, SLICE("content-length"), (Slice){length, (size_t)n});
    }
    if (f.overflowed) {
        return err_set(e, ERR_LIMIT, "a request has more than %d headers", FIELDS_SENT_MAX - 4);
    }
    nghttp2_data_provider provider = {.read_callback = give_body};
    s->id = nghttp2_submit_request(h->session, NULL, f.nv, f.count,
                                   request->body.len > 0 ? &provider : NULL, s);
    if (s->id < 0) {
        h->stale = true; // stream numbers ran out, at the latest
        s->x->unprocessed = true;
        return err_set(e, ERR_CLOSED, "cannot begin another HTTP/2 stream: %s",
                       nghttp2_strerror(s->id));
    }
    return 0;
}

// Waits until the answer is complete or cannot be any more.
static int await(H2Conn *h, H2Stream *s, Err *e)
{
    int64_t deadline_ns = s->x->deadline_ns;
    int rc = 0;
    while (rc == 0 && !s->ended && !s->closed && s->rc == 0 && h->rc == 0) {
        if (!h->reading) {
            rc = read_some(h, deadline_ns, e);
            continue;
        }
        s->fiber = fiber_self();
        rc = fiber_park("HTTP/2 answer", deadline_ns);
        s->fiber = NULL;
        if (rc != 0) {
            (void)err_set(e, rc, rc == ERR_TIMEOUT ? "timed out" : "cancelled");
        }
    }
    return rc;
}

// The stream's fiber leaves: nobody may find it any more.
static void leave(H2Conn *h, H2Stream *s)
{
    unlink_stream(h, s);
    if (s->id > 0 && !s->closed && h->rc == 0) {
        (void)nghttp2_session_set_stream_user_data(h->session, s->id, NULL);
        if (s->rc == 0) {
            (void)nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL);
        }
        (void)flush(h, s->x->deadline_ns, NULL);
        check_end(h);
    }
    if (!h->reading) {
        for (H2Stream *other = h->streams; other; other = other->next) {
            if (other->fiber) {
                fiber_resume(other->fiber);
                break;
            }
        }
    }
}

static int outcome(H2Conn *h, H2Stream *s, int rc, Err *e)
{
    HttpResponse *response = s->x->response;
    if (s->rc != 0) {
        return err_set(e, s->rc, "%s", s->why);
    }
    if (s->ended && s->head_done) {
        return 0;
    }
    if (s->closed) {
        bool refused = s->code == NGHTTP2_REFUSED_STREAM;
        s->x->unprocessed = refused;
        response->error_code = h->goaway && refused
                                   ? http2_error_code(NET_H2_GOAWAY_FIRST, h->goaway_code)
                                   : http2_error_code(NET_H2_STREAM_FIRST, s->code);
        return err_set(e, refused ? ERR_CLOSED : ERR_PROTOCOL, "the HTTP/2 stream was reset: %s",
                       nghttp2_http2_strerror(s->code));
    }
    if (h->rc != 0 && rc != ERR_TIMEOUT && rc != ERR_CANCELLED) {
        response->error_code = h->error_code;
        return err_set(e, h->rc, "%s", h->why);
    }
    return rc;
}

static void set_timings(const H2Stream *s, int64_t sent_ns)
{
    HttpTimings *t = &s->x->response->timings;
    int64_t begin_ns = t->start_ns + t->blocked_ns;
    t->sending_ns = sent_ns - begin_ns;
    int64_t last_ns = s->last_ns > s->first_ns ? s->last_ns : s->first_ns;
    t->end_ns = last_ns > sent_ns ? last_ns : sent_ns;
    if (s->first_ns != 0) {
        int64_t first_ns = s->first_ns > sent_ns ? s->first_ns : sent_ns;
        t->waiting_ns = first_ns - sent_ns;
        t->receiving_ns = t->end_ns > first_ns ? t->end_ns - first_ns : 0;
    }
}

static int http2_exchange(HttpConn *conn, HttpExchange *x, Err *e)
{
    H2Conn *h = conn->codec;
    H2Stream s = {.h2 = h, .x = x};
    http_head_reset(&x->response->head);
    buf_reset(&x->response->request_head);
    link_stream(h, &s);
    int rc = submit(h, &s, e);
    if (rc == 0) {
        rc = flush(h, x->deadline_ns, e);
    }
    int64_t sent_ns = loop_clock(conn->stream->loop);
    if (rc == 0) {
        rc = await(h, &s, e);
    }
    if (rc == ERR_TIMEOUT && h->read_ns < sent_ns) {
        h->stale = true;
    }
    leave(h, &s);
    rc = outcome(h, &s, rc, e);
    set_timings(&s, sent_ns);
    x->response->status = s.head_done ? x->response->head.status : 0;
    conn->reusable = h->rc == 0 && !h->goaway && !h->stale;
    return rc;
}

const HttpConnOps http2_conn_ops = {
    .exchange = http2_exchange,
    .has_room = http2_has_room,
    .destroy = http2_conn_destroy,
};
