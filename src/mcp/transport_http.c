// Streamable HTTP: each message is a POST of its own, in a fiber of its own. The answer comes as
// JSON or as an event stream, whose last message is the answer. In the older era (until 2025-11-25)
// a stream may break off and is resumed by GET with the last event's id, and a standing GET carries
// what the server says unasked. In the newer one closing the answer's stream cancels the request.
//
// Redirects are not followed: a POST that moves elsewhere would carry credentials along.
#include "mcp/transport.h"

#include "mcp/event_stream.h"

enum {
    TARGET_BYTES_MAX = 16 << 10,
    HEADERS_BYTES_MAX = 256 << 10, // all headers of one request
    HEADERS_MAX = 256,
    SESSION_ID_BYTES_MAX = 4096,
    RESUMES_MAX = 10, // of one broken stream
    ERROR_BODY_BYTES = 64 << 10,
    SHOWN_BYTES = 200, // of a body that we cannot use
};
static const int64_t RETRY_NS = NS_PER_S;          // before a GET where the server named no time
static const int64_t RETRY_NS_MAX = 30 * NS_PER_S; // where it does not answer
static const int64_t LINGER_NS = NS_PER_S;         // for the end of a stream behind its answer
static const int64_t NOTIFY_NS = 30 * NS_PER_S;    // for a POST that nobody waits for
static const int64_t GOODBYE_NS = 5 * NS_PER_S;    // for DELETE

typedef enum BodyKind { BODY_UNKNOWN, BODY_JSON, BODY_EVENTS, BODY_OTHER } BodyKind;

typedef struct Http Http;

// A request on its way: a POST with its answer, or a GET for messages.
typedef struct Exchange {
    Http *http;
    struct Exchange *next;
    Fiber *fiber;
    LoopTimer linger;
    int64_t id;
    bool modern;
    bool initialises;
    bool answered;
    bool got_message;
    bool listens; // the standing GET
    Buf headers;  // name NUL value NUL ...
    Buf body;
    BodyKind kind;
    McpIntake in;
    EventStream events;
    HttpResponse response;
    Err e;
} Exchange;

struct Http {
    McpTransport base;
    McpHttpOptions options;
    Loop *loop;
    HttpClient *client;
    HttpOrigin origin;
    Buf target;
    Buf headers; // the configured ones: name NUL value NUL ...
    Buf session;
    Buf version; // of the standing GET
    Exchange *exchanges;
    FiberGroup group;
    bool closing;
};

// ---- receiving

static void deliver(Exchange *x)
{
    if (x->in.bytes > 0) {
        RpcSkim *s = &x->in.skim;
        x->got_message = true;
        // An error without an id (the server could not read the message) can only mean this one.
        if (s->has_error && !s->has_id && x->id != 0) {
            s->has_id = s->id_is_number = true;
            s->id = x->id;
        }
        x->answered |= x->id != 0 && rpc_skim_is_answer(s) && s->id_is_number && s->id == x->id;
        x->http->options.sink.message(x->http->options.sink.ctx, &x->in);
    }
    mcp_intake_reset(&x->in);
}

static int on_event_data(void *ctx, Slice piece, bool first, Err *e)
{
    Exchange *x = ctx;
    if (first) {
        mcp_intake_reset(&x->in);
    }
    return piece.len > 0 ? mcp_intake_feed(&x->in, piece, e) : 0;
}

static int on_event(void *ctx, const StreamEvent *event, Err *e)
{
    Exchange *x = ctx;
    // An empty event only names an id to resume from; other types than "message" are not MCP's.
    if (x->in.bytes == 0 || !slice_eq(event->type, SLICE("message"))) {
        mcp_intake_reset(&x->in);
        return 0;
    }
    int rc = mcp_intake_end(&x->in, e);
    if (rc == 0) {
        deliver(x);
    }
    return rc;
}

static bool type_is(Slice type, Slice wanted)
{
    Slice head;
    Slice rest;
    (void)slice_cut(type, ';', &head, &rest);
    return slice_eq_nocase(slice_trim(head), wanted);
}

static BodyKind kind_of(const HttpResponse *r)
{
    Slice type = http_head_get(&r->head, SLICE("content-type"));
    if (type_is(type, SLICE("application/json"))) {
        return BODY_JSON;
    }
    bool ok = r->head.status >= 200 && r->head.status < 300;
    return ok && type_is(type, SLICE("text/event-stream")) ? BODY_EVENTS : BODY_OTHER;
}

static void take_session(Exchange *x)
{
    Slice id = http_head_get(&x->response.head, SLICE("mcp-session-id"));
    if (x->initialises && x->response.head.status < 300 && id.len > 0 &&
        id.len <= SESSION_ID_BYTES_MAX) {
        buf_reset(&x->http->session);
        buf_append(&x->http->session, id);
    }
}

static int on_body(void *ctx, Slice piece)
{
    Exchange *x = ctx;
    if (x->kind == BODY_UNKNOWN) {
        x->kind = kind_of(&x->response);
        take_session(x); // before the answer wakes somebody who sends the next request
    }
    switch (x->kind) {
    case BODY_EVENTS: return event_stream_feed(&x->events, piece, &x->e);
    case BODY_JSON: return mcp_intake_feed(&x->in, piece, &x->e);
    case BODY_UNKNOWN:
    case BODY_OTHER: break;
    }
    // Enough of it to show what it was; an endless page is not read to its end.
    buf_append(&x->in.memory, slice_sub(piece, 0, SHOWN_BYTES));
    x->in.bytes += (int64_t)piece.len;
    return x->in.bytes > ERROR_BODY_BYTES
               ? err_set(&x->e, ERR_LIMIT, "the server sends a long body that is no message")
               : 0;
}

// ---- sending

static void add_header(Buf *out, Slice name, Slice value)
{
    buf_append(out, name);
    buf_putc(out, '\0');
    buf_append(out, value);
    buf_putc(out, '\0');
}

static size_t split_headers(const Buf *packed, HttpHeader *headers, size_t count)
{
    for (size_t at = 0; at < packed->len && count < HEADERS_MAX;) {
        Slice name = slice_from_cstr(packed->data + at);
        Slice value = slice_from_cstr(packed->data + at + name.len + 1);
        headers[count++] = (HttpHeader){name, value};
        at += name.len + value.len + 2;
    }
    return count;
}

// One HTTP request. GET and DELETE have no body; `resume` names the event to go on behind.
static int transact(Exchange *x, Slice method, Slice resume, int64_t timeout_ns)
{
    Http *http = x->http;
    HttpHeader *headers = mem_alloc((HEADERS_MAX + 4) * sizeof *headers);
    size_t count = split_headers(&http->headers, headers, 0);
    count = split_headers(&x->headers, headers, count);
    // The session is read now: it may be younger than the message.
    if (http->session.len > 0 && !x->modern && !x->initialises) {
        headers[count++] = (HttpHeader){SLICE("Mcp-Session-Id"), buf_slice(&http->session)};
    }
    if (resume.len > 0) {
        headers[count++] = (HttpHeader){SLICE("Last-Event-ID"), resume};
    }
    bool is_post = slice_eq(method, SLICE("POST"));
    HttpRequest request = {.origin = &http->origin,
                           .method = method,
                           .target = buf_slice(&http->target),
                           .headers = headers,
                           .header_count = count,
                           .has_body = is_post,
                           .body = is_post ? buf_slice(&x->body) : (Slice){NULL, 0},
                           .body_mode = HTTP_BODY_STREAM,
                           .body_fn = on_body,
                           .body_ctx = x,
                           .timeout_ns = timeout_ns};
    x->kind = BODY_UNKNOWN;
    mcp_intake_reset(&x->in);
    x->e = (Err){0};
    Err e = {0};
    int rc = http_client_do(http->client, &request, &x->response, &e);
    free(headers);
    if (x->kind == BODY_UNKNOWN) { // no byte of a body came
        x->kind = kind_of(&x->response) == BODY_EVENTS ? BODY_EVENTS : BODY_OTHER;
    }
    if (rc != 0 && x->e.code == 0) {
        x->e = e; // else a callback has said why
    }
    return rc;
}

// The answer is complete: what does it mean?
static int conclude(Exchange *x)
{
    const HttpResponse *r = &x->response;
    // The older era's way to say that the session is over; the message in the body says no more.
    bool session_over = r->status == 404 && !x->modern && x->http->session.len > 0;
    // A gateway's error may be JSON without being a message.
    bool message =
        r->status < 300 || slice_find(mcp_intake_text(&x->in), SLICE("\"jsonrpc\"")) >= 0;
    if (x->kind == BODY_JSON && message && !session_over) {
        int rc = mcp_intake_end(&x->in, &x->e);
        if (rc == 0) {
            deliver(x);
            return 0;
        }
        if (r->status < 300) {
            return rc;
        }
    }
    if (r->status >= 200 && r->status < 300) {
        bool fine = x->kind != BODY_OTHER || x->in.bytes == 0 || x->id == 0;
        Slice type = http_head_get(&r->head, SLICE("content-type"));
        return fine ? 0
                    : err_set(&x->e, ERR_PROTOCOL,
                              "the server answers with '%.*s', not JSON or an event stream",
                              SLICE_FMT(type));
    }
    Slice body = slice_sub(slice_trim(mcp_intake_text(&x->in)), 0, SHOWN_BYTES);
    int code = r->status == 401 || r->status == 403   ? ERR_REFUSED
               : r->status == 404 || r->status == 405 ? ERR_NOT_FOUND
               : r->status == 429 || r->status >= 500 ? ERR_BUSY
                                                      : ERR_PROTOCOL;
    return err_set(&x->e, (ErrCode)code, "HTTP %d %s%s%.*s", r->status, http_reason(r->status),
                   body.len ? ": " : "", SLICE_FMT(body));
}

static void accept_header(Buf *headers, Slice types)
{
    add_header(headers, SLICE("Accept"), types);
}

// A new stream of the same conversation: half an event is forgotten, where to resume is not.
static void restart_events(Exchange *x)
{
    EventStream old = x->events;
    x->events = event_stream_create(&old.options);
    buf_append(&x->events.id, buf_slice(&old.id));
    x->events.retry_ns = old.retry_ns;
    event_stream_done(&old);
}

// A stream that ended before its answer is picked up where it broke off, after the time the server
// asked for.
static int resume(Exchange *x, int rc)
{
    Buf id = buf_create(EVENT_STREAM_FIELD_MAX);
    for (int i = 0; i < RESUMES_MAX && !x->answered; i++) {
        buf_reset(&id);
        buf_append(&id, event_stream_last_id(&x->events));
        int64_t wait = x->events.retry_ns >= 0 ? x->events.retry_ns : RETRY_NS;
        if (id.len == 0 || x->modern || x->http->closing || fiber_sleep(wait) != 0) {
            break;
        }
        restart_events(x);
        rc = transact(x, SLICE("GET"), buf_slice(&id), 0);
        if (rc == 0 && x->kind != BODY_EVENTS) {
            rc = conclude(x);
            break;
        }
    }
    buf_done(&id);
    return rc;
}

static void on_linger(LoopTimer *timer)
{
    Exchange *x = CONTAINER_OF(timer, Exchange, linger);
    fiber_cancel(x->fiber);
}

static Exchange *exchange_create(Http *http)
{
    Exchange *x = mem_zalloc(sizeof *x);
    x->http = http;
    x->headers = buf_create(HEADERS_BYTES_MAX);
    x->body = buf_create(SIZE_MAX / 2);
    x->in = mcp_intake_create(&http->options.limits);
    x->events = event_stream_create(&(EventStreamOptions){
        .event_fn = on_event, .data_fn = on_event_data, .ctx = x, .event_bytes_max = SIZE_MAX / 4});
    x->response = http_response_create(NULL);
    loop_timer_init(&x->linger, on_linger);
    x->next = http->exchanges;
    http->exchanges = x;
    return x;
}

static void exchange_destroy(Exchange *x)
{
    Exchange **at = &x->http->exchanges;
    while (*at != x) {
        at = &(*at)->next;
    }
    *at = x->next;
    loop_timer_cancel(x->http->loop, &x->linger);
    http_response_done(&x->response);
    event_stream_done(&x->events);
    mcp_intake_done(&x->in);
    buf_done(&x->body);
    buf_done(&x->headers);
    free(x);
}

static void post(void *arg)
{
    Exchange *x = arg;
    Http *http = x->http;
    int rc = transact(x, SLICE("POST"), (Slice){NULL, 0}, x->id ? 0 : NOTIFY_NS);
    bool stream = x->kind == BODY_EVENTS;
    if (rc == 0 && !stream) {
        rc = conclude(x);
    }
    // Broken off or ended in good order makes no difference: the answer is missing.
    if (stream && x->id != 0 && !x->answered && rc != ERR_CANCELLED && rc != ERR_LIMIT) {
        rc = resume(x, rc);
    }
    if (rc == 0 && x->id != 0 && !x->answered && !x->got_message) {
        rc = err_set(&x->e, ERR_PROTOCOL, "HTTP %d without an answer to the request",
                     x->response.status);
    }
    McpSink sink = http->options.sink;
    int64_t id = x->id;
    int status = x->response.status;
    Err why = x->e;
    bool silent = http->closing;
    exchange_destroy(x);
    if (!silent) {
        sink.ended(sink.ctx, id, rc, status, &why);
    }
}

static int start(Exchange *x, const char *name, FiberFn *fn, Err *e)
{
    int rc = buf_check(&x->headers, "the head of a request", e);
    x->fiber =
        rc == 0 ? fiber_group_spawn(&x->http->group, x->http->options.pool, name, fn, x) : NULL;
    if (!x->fiber) {
        exchange_destroy(x);
        return rc != 0 ? rc : err_set(e, ERR_FULL, "no fiber is left for a request");
    }
    return 0;
}

static int http_send(McpTransport *base, const McpSend *send, Err *e)
{
    Http *http = CONTAINER_OF(base, Http, base);
    Exchange *x = exchange_create(http);
    x->id = send->id;
    x->modern = send->modern;
    x->initialises = send->initialises;
    buf_append(&x->body, send->text);
    add_header(&x->headers, SLICE("Content-Type"), SLICE("application/json"));
    accept_header(&x->headers, SLICE("application/json, text/event-stream"));
    if (send->version.len > 0) {
        add_header(&x->headers, SLICE("MCP-Protocol-Version"), send->version);
    }
    if (send->modern && send->method.len > 0) {
        add_header(&x->headers, SLICE("Mcp-Method"), send->method);
        if (send->name.len > 0) {
            add_header(&x->headers, SLICE("Mcp-Name"), send->name);
        }
    }
    for (size_t i = 0; i < send->header_count; i++) {
        add_header(&x->headers, send->headers[i].name, send->headers[i].value);
    }
    return start(x, "mcp post", post, e);
}

static void http_forget(McpTransport *base, int64_t id, bool answered)
{
    Http *http = CONTAINER_OF(base, Http, base);
    for (Exchange *x = http->exchanges; x; x = x->next) {
        if (x->id == id && id != 0) {
            if (answered) {
                // The stream's end lets the connection be used again; a server that never ends it
                // costs the connection.
                loop_timer_set(http->loop, &x->linger, loop_now(http->loop) + LINGER_NS);
            } else {
                fiber_cancel(x->fiber);
            }
            return;
        }
    }
}

// ---- the standing GET

static void keep_listening(void *arg)
{
    Exchange *x = arg;
    Http *http = x->http;
    int64_t wait = RETRY_NS;
    Buf id = buf_create(EVENT_STREAM_FIELD_MAX);
    while (!http->closing) {
        buf_reset(&id);
        buf_append(&id, event_stream_last_id(&x->events));
        restart_events(x);
        int rc = transact(x, SLICE("GET"), buf_slice(&id), 0);
        bool refused = x->response.status >= 400 && x->response.status < 500;
        if (rc == ERR_CANCELLED || rc == ERR_LIMIT || rc == ERR_PARSE || refused ||
            (rc == 0 && x->kind != BODY_EVENTS)) {
            break; // 405: the server has nothing to say unasked
        }
        bool worked = x->kind == BODY_EVENTS;
        wait = worked && x->events.retry_ns >= 0 ? x->events.retry_ns
               : worked                          ? RETRY_NS
               : wait * 2 > RETRY_NS_MAX         ? RETRY_NS_MAX
                                                 : wait * 2;
        if (fiber_sleep(wait) != 0) {
            break;
        }
    }
    buf_done(&id);
    exchange_destroy(x);
}

static void http_listen(McpTransport *base, Slice version)
{
    Http *http = CONTAINER_OF(base, Http, base);
    Exchange *x = exchange_create(http);
    x->listens = true;
    accept_header(&x->headers, SLICE("text/event-stream"));
    add_header(&x->headers, SLICE("MCP-Protocol-Version"), version);
    buf_reset(&http->version);
    buf_append(&http->version, version);
    (void)start(x, "mcp listen", keep_listening, NULL);
}

// ---- the end

static void goodbye(void *arg)
{
    Exchange *x = arg;
    (void)transact(x, SLICE("DELETE"), (Slice){NULL, 0}, GOODBYE_NS);
    exchange_destroy(x);
}

// Until all fibers of the transport have unwound, whatever happens to the one that waits.
static void wait_for_fibers(Http *http)
{
    bool cancelled = false;
    while (http->group.alive > 0) {
        if (fiber_group_wait(&http->group, NEVER_NS) == ERR_CANCELLED) {
            cancelled = true;
            fiber_clear_cancel();
        }
    }
    if (cancelled) {
        fiber_cancel(fiber_self());
    }
}

static void http_close(McpTransport *base, int64_t deadline_ns)
{
    Http *http = CONTAINER_OF(base, Http, base);
    http->closing = true;
    for (Exchange *x = http->exchanges; x; x = x->next) {
        fiber_cancel(x->fiber);
    }
    wait_for_fibers(http);
    if (http->session.len > 0 && loop_clock(http->loop) < deadline_ns) {
        Exchange *x = exchange_create(http);
        add_header(&x->headers, SLICE("MCP-Protocol-Version"), buf_slice(&http->version));
        if (start(x, "mcp goodbye", goodbye, NULL) == 0) {
            wait_for_fibers(http);
        }
    }
    http_client_destroy(http->client);
    http_origin_done(&http->origin);
    buf_done(&http->target);
    buf_done(&http->headers);
    buf_done(&http->session);
    buf_done(&http->version);
    free(http);
}

int mcp_http_open(const McpHttpOptions *options, McpTransport **ret, Err *e)
{
    static const McpTransportOps OPS = {
        .send = http_send, .forget = http_forget, .listen = http_listen, .close = http_close};
    Url url;
    int rc = url_parse(options->url, &url, e);
    if (rc != 0) {
        return rc;
    }
    Http *http = mem_zalloc(sizeof *http);
    http->base = (McpTransport){.ops = &OPS, .is_http = true};
    http->options = *options;
    http->loop = fiber_pool_loop(options->pool);
    http->target = buf_create(TARGET_BYTES_MAX);
    http->headers = buf_create(HEADERS_BYTES_MAX);
    http->session = buf_create(SESSION_ID_BYTES_MAX);
    http->version = buf_create(64);
    url_append_target(&http->target, &url);
    for (size_t i = 0; i < options->header_count; i++) {
        add_header(&http->headers, options->headers[i].name, options->headers[i].value);
    }
    http->options.headers = NULL;
    http->client = http_client_create(options->http);
    rc = http_origin_init(&http->origin, &url, e);
    rc = rc != 0 ? rc : buf_check(&http->target, "the server's URL", e);
    rc = rc != 0 ? rc : buf_check(&http->headers, "the server's headers", e);
    if (rc != 0) {
        http_close(&http->base, 0);
        return rc;
    }
    *ret = &http->base;
    return 0;
}
