// Exchanges: a request goes out, its answer is matched by id and handed to the fiber that waits;
// what the server says in between goes to inputs.c.
#include "mcp/client_impl.h"

#include "base/json_write.h"
#include "base/utf8.h"

enum { TEXT_BYTES_MAX = 64 << 20, SHOWN_BYTES = 500 };
static const int64_t IDLE_WINDOW_NS = 60 * NS_PER_S;
static const int64_t BACK_OFF_NS = 50 * NS_PER_MS; // before asking again without new answers

// ---- what comes in

static McpPending **bucket(McpClient *c, int64_t id)
{
    return &c->pending[(uint64_t)id % MCP_PENDING_BUCKETS];
}

static McpPending *find_pending(McpClient *c, int64_t id)
{
    McpPending *p = *bucket(c, id);
    while (p && p->id != id) {
        p = p->next;
    }
    return p;
}

static void finish(McpPending *p, int rc, const Err *why)
{
    if (!p->done) {
        p->done = true;
        // For the caller what cannot be parsed is the server's fault, not a mistake in its input.
        p->rc = rc == ERR_PARSE ? ERR_PROTOCOL : rc;
        if (why) {
            p->e = *why;
            p->e.code = p->rc;
        }
        fiber_resume(p->fiber);
    }
}

void mcp_fail_all(McpClient *c, int rc, const Err *why)
{
    if (!c->closed) {
        c->closed = true;
        c->why = *why;
        c->why.code = rc;
    }
    for (size_t i = 0; i < MCP_PENDING_BUCKETS; i++) {
        for (McpPending *p = c->pending[i]; p; p = p->next) {
            finish(p, rc, why);
        }
    }
}

static void take_answer(McpClient *c, McpIntake *in)
{
    McpPending *p = in->skim.id_is_number ? find_pending(c, in->skim.id) : NULL;
    if (!p || p->done) {
        return; // the answer to a request that was given up, or to none
    }
    p->bytes = in->bytes;
    p->file = mcp_intake_take_file(in);
    if (p->file) {
        p->answer = (RpcMessage){.kind = in->skim.has_error ? RPC_ERROR : RPC_RESULT};
        finish(p, 0, NULL);
        return;
    }
    DocOptions limits = {.format = DOC_FORMAT_JSON,
                         .source = "answer",
                         .max_bytes = c->limits.message_bytes_max,
                         .max_depth = (size_t)c->limits.depth_max};
    Err e = {0};
    int rc = rpc_parse(p->arena, mcp_intake_text(in), &limits, &p->answer, &e);
    finish(p, rc, &e);
}

// Counted against every request that waits: any of them may be the one the flood belongs to.
static bool is_flood(McpClient *c)
{
    bool flood = false;
    for (size_t i = 0; i < MCP_PENDING_BUCKETS; i++) {
        for (McpPending *p = c->pending[i]; p; p = p->next) {
            flood |= ++p->unasked > c->limits.unasked_max && p->fiber != c->listener;
        }
    }
    return flood;
}

// With nothing under way a server may still tell us news, but not without end.
static bool is_idle_flood(McpClient *c)
{
    int64_t now = loop_now(c->loop);
    if (now - c->idle_since_ns > IDLE_WINDOW_NS) {
        c->idle_since_ns = now;
        c->idle_unasked = 0;
    }
    return mcp_outstanding(c) == 0 && ++c->idle_unasked > c->limits.unasked_max;
}

static void take_unasked(McpClient *c, McpIntake *in)
{
    Arena *arena = arena_create(c->limits.message_bytes_max * 16 + (1 << 20));
    RpcMessage m;
    Err e;
    int rc = rpc_parse(arena, mcp_intake_text(in), NULL, &m, &e);
    if (is_flood(c) || is_idle_flood(c)) {
        rc = err_set(&e, ERR_LIMIT, "the server floods us: more than %u messages without an answer",
                     c->limits.unasked_max);
        mcp_fail_all(c, rc, &e);
    } else if (rc != 0) {
        McpHandlers *h = &c->options.handlers;
        if (h->log) {
            h->log(h->ctx, SLICE("warning"), slice_from_cstr(e.text));
        }
    } else if (m.kind == RPC_REQUEST) {
        mcp_take_question(c, &m);
    } else if (m.kind == RPC_NOTIFICATION) {
        mcp_take_notification(c, &m);
    }
    arena_destroy(arena);
}

static void on_message(void *ctx, McpIntake *in)
{
    McpClient *c = ctx;
    if (c->closed) {
        return;
    }
    if (rpc_skim_is_answer(&in->skim)) {
        take_answer(c, in);
    } else if (in->file < 0 && !in->path) {
        take_unasked(c, in);
    }
}

// An error without an id (it could not read our message) comes with the status of the only request
// that it can mean.
static void on_ended(void *ctx, int64_t id, int rc, int status, const Err *why)
{
    McpClient *c = ctx;
    McpPending *p = find_pending(c, id);
    if (!p) {
        McpHandlers *h = &c->options.handlers;
        if (rc != 0 && rc != ERR_CANCELLED && id == 0 && h->log) {
            h->log(h->ctx, SLICE("warning"), slice_from_cstr(why->text));
        }
        return;
    }
    Err e = *why;
    if (rc == 0) {
        rc = err_set(&e, ERR_PROTOCOL, "HTTP %d with a message that does not answer the request",
                     status);
    }
    p->status = status;
    finish(p, rc, &e);
}

static void on_closed(void *ctx, int rc, const Err *why)
{
    mcp_fail_all(ctx, rc, why);
}

static void on_log(void *ctx, Slice line)
{
    McpClient *c = ctx;
    if (c->options.handlers.log) {
        c->options.handlers.log(c->options.handlers.ctx, SLICE("stderr"), line);
    }
}

McpSink mcp_client_sink(McpClient *c)
{
    return (McpSink){
        .message = on_message, .ended = on_ended, .closed = on_closed, .log = on_log, .ctx = c};
}

// ---- what goes out

void mcp_write_client_info(const McpClient *c, Buf *out)
{
    buf_puts(out, "{\"name\":");
    json_quote(out, c->options.client_name);
    buf_puts(out, ",\"version\":");
    json_quote(out, c->options.client_version);
    buf_putc(out, '}');
}

void mcp_write_capabilities(const McpClient *c, Buf *out)
{
    const McpHandlers *h = &c->options.handlers;
    const char *comma = "";
    buf_putc(out, '{');
    if (h->elicit) {
        buf_puts(out, "\"elicitation\":{\"form\":{}}");
        comma = ",";
    }
    if (h->sample) {
        buf_printf(out, "%s\"sampling\":{}", comma);
        comma = ",";
    }
    if (h->root_count > 0) {
        buf_printf(out, "%s\"roots\":{}", comma);
    }
    buf_putc(out, '}');
}

static void write_member(Buf *out, const char *key, Slice text)
{
    if (text.len > 0) {
        buf_printf(out, ",\"%s\":", key);
        json_quote(out, text);
    }
}

static void write_meta(const McpClient *c, Buf *out, const McpCallOptions *o, int64_t id)
{
    size_t at = out->len;
    if (c->era == MCP_ERA_MODERN) {
        buf_printf(out, ",\"io.modelcontextprotocol/protocolVersion\":\"%s\"", c->version);
        buf_puts(out, ",\"io.modelcontextprotocol/clientCapabilities\":");
        mcp_write_capabilities(c, out);
        buf_puts(out, ",\"io.modelcontextprotocol/clientInfo\":");
        mcp_write_client_info(c, out);
        write_member(out, "io.modelcontextprotocol/logLevel", buf_slice(&c->log_level));
    }
    if (o && o->progress && id != 0) {
        buf_printf(out, ",\"progressToken\":%lld", (long long)id);
    }
    if (o) {
        write_member(out, "traceparent", o->traceparent);
        write_member(out, "tracestate", o->tracestate);
    }
    if (out->len > at && out->data) {
        // The first comma is none.
        out->data[at] = '{';
        buf_putc(out, '}');
    }
}

static void write_params(const McpClient *c, Buf *out, const McpExchange *x, int64_t id)
{
    size_t at = out->len;
    buf_append(out, x->request.params);
    if (x->more.len > 0) {
        buf_puts(out, out->len > at ? "," : "");
        buf_append(out, x->more);
    }
    if (!x->plain) {
        Buf meta = buf_create(TEXT_BYTES_MAX);
        write_meta(c, &meta, &x->request.options, id);
        if (meta.len > 0) {
            buf_puts(out, out->len > at ? ",\"_meta\":" : "\"_meta\":");
            buf_append(out, buf_slice(&meta));
        }
        buf_done(&meta);
    }
}

static McpSend address(const McpClient *c, Slice text, const McpExchange *x, int64_t id)
{
    return (McpSend){.text = text,
                     .method = x->request.method,
                     .id = id,
                     .name = x->request.name,
                     .headers = x->request.headers,
                     .header_count = x->request.header_count,
                     .modern = c->era == MCP_ERA_MODERN,
                     .version = x->initialises ? (Slice){NULL, 0} : slice_from_cstr(c->version),
                     .initialises = x->initialises};
}

static int send_request(McpClient *c, const McpExchange *x, int64_t id, Err *e)
{
    Buf params = buf_create(TEXT_BYTES_MAX);
    Buf text = buf_create(TEXT_BYTES_MAX);
    buf_putc(&params, '{');
    write_params(c, &params, x, id);
    buf_putc(&params, '}');
    // "{}" says nothing, and the older era's notifications are commonly sent without.
    rpc_write_request(&text, id, x->request.method, buf_slice(&params));
    int rc = buf_check(&params, "a request", e);
    rc = rc != 0 ? rc : buf_check(&text, "a request", e);
    if (rc == 0) {
        McpSend send = address(c, buf_slice(&text), x, id);
        rc = c->transport->ops->send(c->transport, &send, e);
    }
    buf_done(&params);
    buf_done(&text);
    return rc;
}

void mcp_notify(McpClient *c, Slice method, Slice members)
{
    McpExchange x = {.request = {.method = method, .params = members}};
    Buf params = buf_create(TEXT_BYTES_MAX);
    Buf text = buf_create(TEXT_BYTES_MAX);
    buf_putc(&params, '{');
    write_params(c, &params, &x, 0);
    buf_putc(&params, '}');
    rpc_write_notification(&text, method, params.len > 2 ? buf_slice(&params) : (Slice){NULL, 0});
    McpSend send = address(c, buf_slice(&text), &x, 0);
    // A notification that cannot be sent is not missed: the connection is about to end anyway.
    (void)c->transport->ops->send(c->transport, &send, NULL);
    buf_done(&params);
    buf_done(&text);
}

// ---- exchange

static void give_up(McpClient *c, McpPending *p, const McpExchange *x)
{
    bool http_stream = c->era == MCP_ERA_MODERN && c->transport->is_http;
    if (!http_stream && !c->closed && !x->initialises) {
        Buf members = buf_create(256);
        buf_printf(&members, "\"requestId\":%lld,\"reason\":\"%s\"", (long long)p->id,
                   p->rc == ERR_TIMEOUT ? "timeout" : "cancelled");
        mcp_notify(c, SLICE("notifications/cancelled"), buf_slice(&members));
        buf_done(&members);
    }
}

static void wait_for_answer(McpClient *c, McpPending *p, const McpExchange *x)
{
    int64_t timeout = x->request.options.timeout_ns;
    timeout = timeout ? timeout : c->options.request_timeout_ns;
    int64_t deadline = clock_deadline(loop_clock(c->loop), timeout);
    int rc = 0;
    while (!p->done && rc == 0) {
        rc = fiber_park("mcp answer", deadline);
    }
    if (p->done && p->rc != ERR_CONFLICT) {
        return;
    }
    if (p->done) {
        give_up(c, p, x);
        return;
    }
    p->done = true;
    p->rc = rc;
    (void)err_set(&p->e, (ErrCode)rc,
                  rc == ERR_TIMEOUT ? "no answer to %.*s within %lld ms" : "%.*s was cancelled",
                  SLICE_FMT(x->request.method), (long long)(timeout / NS_PER_MS));
    give_up(c, p, x);
}

void mcp_restart_listening(McpClient *c)
{
    Err e;
    int rc = err_set(&e, ERR_CONFLICT, "the list of subscriptions has changed");
    for (size_t i = 0; i < MCP_PENDING_BUCKETS; i++) {
        for (McpPending *p = c->pending[i]; p; p = p->next) {
            if (p->fiber == c->listener) {
                finish(p, rc, &e);
            }
        }
    }
}

static void remove_pending(McpClient *c, McpPending *p)
{
    McpPending **at = bucket(c, p->id);
    while (*at != p) {
        at = &(*at)->next;
    }
    *at = p->next;
    c->pending_count--;
}

int mcp_exchange(McpClient *c, Arena *arena, const McpExchange *x, McpPending *ret, Err *e)
{
    *ret = (McpPending){0};
    if (c->closed) {
        return err_set(e, ERR_CLOSED, "%s", c->why.text[0] ? c->why.text : "the client is closed");
    }
    if (c->pending_count >= c->limits.requests_max) {
        return err_set(e, ERR_FULL, "%u requests wait for this server already",
                       c->limits.requests_max);
    }
    McpPending p = {
        .id = ++c->next_id, .fiber = fiber_self(), .arena = arena, .options = &x->request.options};
    p.next = *bucket(c, p.id);
    *bucket(c, p.id) = &p;
    c->pending_count++;
    int rc = send_request(c, x, p.id, e);
    if (rc == 0) {
        wait_for_answer(c, &p, x);
        c->transport->ops->forget(c->transport, p.id, p.rc == 0);
        rc = p.rc;
        if (rc != 0 && e) {
            *e = p.e;
        }
    }
    remove_pending(c, &p);
    *ret = p;
    ret->fiber = NULL;
    ret->options = NULL;
    return rc;
}

void mcp_clean(Err *e)
{
    if (e) {
        Buf clean = buf_create(sizeof e->text * 8);
        utf8_sanitise(&clean, slice_from_cstr(e->text));
        (void)err_set(e, (ErrCode)e->code, "%.*s", SLICE_FMT(buf_slice(&clean)));
        buf_done(&clean);
    }
}

int mcp_error_of(const RpcMessage *m, Slice method, Err *e)
{
    ErrCode code = ERR_IO;
    switch (m->error_code) {
    case RPC_INVALID_PARAMS: code = ERR_ARG; break;
    case RPC_METHOD_NOT_FOUND:
    case RPC_MISSING_CAPABILITY: code = ERR_UNSUPPORTED; break;
    case RPC_LEGACY_NOT_FOUND: code = ERR_NOT_FOUND; break;
    case RPC_UNSUPPORTED_VERSION: code = ERR_VERSION; break;
    case RPC_HEADER_MISMATCH:
    case RPC_INVALID_REQUEST:
    case RPC_PARSE_ERROR: code = ERR_PROTOCOL; break;
    default: break;
    }
    return err_set(e, code, "the server refuses %.*s: %.*s (%s, %lld)", SLICE_FMT(method),
                   SLICE_FMT(slice_sub(m->error_message, 0, SHOWN_BYTES)),
                   rpc_error_name(m->error_code), (long long)m->error_code);
}

// ---- rounds: the server may ask back before it answers (2026-07-28, InputRequiredResult)

// The answers to all questions as members of the next request's params.
static int answer_round(McpClient *c, const Doc *result, Buf *more, Err *e)
{
    const Doc *questions = doc_get(result, SLICE("inputRequests"));
    const Doc *state = doc_get(result, SLICE("requestState"));
    if (!questions && !state) {
        return err_set(e, ERR_PROTOCOL, "the server asks for input but names none");
    }
    buf_reset(more);
    buf_puts(more, questions ? "\"inputResponses\":{" : "");
    for (const Doc *q = doc_first(questions); q; q = doc_next(q)) {
        const Doc *method = doc_get(q, SLICE("method"));
        if (!method || method->type != DOC_STRING) {
            return err_set(e, ERR_PROTOCOL, "a question of the server has no method");
        }
        buf_puts(more, q == doc_first(questions) ? "" : ",");
        json_quote(more, q->key);
        buf_putc(more, ':');
        int rc = mcp_answer(c, method->text, doc_get(q, SLICE("params")), more, e);
        if (rc != 0) {
            return rc;
        }
    }
    buf_puts(more, questions ? "}" : "");
    if (state && state->type == DOC_STRING) {
        buf_puts(more, questions ? ",\"requestState\":" : "\"requestState\":");
        json_quote(more, state->text);
    }
    return buf_check(more, "the answers to the server's questions", e);
}

static int64_t ttl_of(const Doc *result)
{
    const Doc *ttl = doc_get(result, SLICE("ttlMs"));
    double ms = doc_is_number(ttl) ? doc_number(ttl) : 0;
    double max_ms = 24 * 3600 * 1000.0; // a day: a server must not freeze us for ever
    return (int64_t)((ms > max_ms ? max_ms : ms < 0 ? 0 : ms) * (double)NS_PER_MS);
}

static void take_result(McpResult *ret, McpPending *p)
{
    ret->result = p->answer.result;
    ret->file = p->file;
    ret->bytes = p->bytes;
    const Doc *failed = doc_get(p->answer.result, SLICE("isError"));
    ret->is_error = failed && failed->type == DOC_BOOL && failed->boolean;
    ret->ttl_ns = ttl_of(p->answer.result);
}

// True when the result asks back. Results of the older era have no type and are complete.
static int asks_back(const McpClient *c, const Doc *result, bool *ret, Err *e)
{
    const Doc *type = c->era == MCP_ERA_MODERN ? doc_get(result, SLICE("resultType")) : NULL;
    *ret = type && type->type == DOC_STRING && slice_eq(type->text, SLICE("input_required"));
    if (type && !*ret && (type->type != DOC_STRING || !slice_eq(type->text, SLICE("complete")))) {
        return err_set(e, ERR_UNSUPPORTED, "the server gives a result of a type we do not know");
    }
    return 0;
}

static bool session_is_lost(const McpClient *c, int rc, const McpPending *p)
{
    return rc != 0 && p->status == 404 && c->era == MCP_ERA_LEGACY && c->transport->is_http &&
           !c->closed;
}

int mcp_request(McpClient *c, Arena *arena, const McpRequest *request, McpResult *ret_result,
                Err *e)
{
    *ret_result = (McpResult){0};
    McpExchange x = {.request = *request};
    Buf more = buf_create(TEXT_BYTES_MAX);
    int rc = 0;
    bool renewed = false;
    bool again = true;
    for (unsigned round = 0; again && rc == 0; round++) {
        again = false;
        McpPending p;
        ret_result->was_sent = true;
        rc = mcp_exchange(c, arena, &x, &p, e);
        if (session_is_lost(c, rc, &p) && !renewed) {
            renewed = true;
            again = true;
            rc = mcp_initialise(c, e);
            continue;
        }
        if (rc != 0) {
            break;
        }
        if (p.answer.kind == RPC_ERROR) {
            ret_result->error_code = p.answer.error_code;
            if (p.file) { // an error of that size explains nothing
                (void)remove(p.file);
                free(p.file);
            }
            rc = mcp_error_of(&p.answer, request->method, e);
            break;
        }
        rc = asks_back(c, p.answer.result, &again, e);
        if (rc == 0 && !again) {
            take_result(ret_result, &p);
        } else if (rc == 0 && round + 1 >= c->limits.rounds_max) {
            rc = err_set(e, ERR_LIMIT, "the server asks back more than %u times for one %.*s",
                         c->limits.rounds_max, SLICE_FMT(request->method));
        } else if (rc == 0) {
            rc = answer_round(c, p.answer.result, &more, e);
            x.more = buf_slice(&more);
            // Nothing to answer means "come back later".
            if (rc == 0 && !doc_get(p.answer.result, SLICE("inputRequests"))) {
                rc = fiber_sleep(BACK_OFF_NS << (round < 3 ? round : 3));
            }
        }
    }
    buf_done(&more);
    if (rc != 0) {
        mcp_clean(e);
    }
    return rc;
}
