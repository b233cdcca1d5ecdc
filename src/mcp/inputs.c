// What the server says unasked: notifications, and questions, which in the older era are requests
// of its own and in the newer one come back in the answer to a request of ours. Both end in
// mcp_answer.
#include "mcp/client_impl.h"

#include "base/json_write.h"

enum { RESULT_BYTES_MAX = 16 << 20 };

// ---- notifications

static Slice text_of(const Doc *object, Slice key)
{
    const Doc *d = doc_get(object, key);
    return d && d->type == DOC_STRING ? d->text : (Slice){"", 0};
}

static void take_progress(McpClient *c, const Doc *params)
{
    const Doc *token = doc_get(params, SLICE("progressToken"));
    if (!token || token->type != DOC_INT) {
        return;
    }
    McpPending *p = c->pending[(uint64_t)token->integer % MCP_PENDING_BUCKETS];
    while (p && p->id != token->integer) {
        p = p->next;
    }
    if (p && !p->done && p->options->progress) {
        McpProgress progress = {.progress = doc_number(doc_get(params, SLICE("progress"))),
                                .total = doc_number(doc_get(params, SLICE("total"))),
                                .message = text_of(params, SLICE("message"))};
        p->options->progress(p->options->ctx, &progress);
    }
}

static void take_log(McpClient *c, const Doc *params)
{
    const McpHandlers *h = &c->options.handlers;
    const Doc *data = doc_get(params, SLICE("data"));
    if (!h->log || !data) {
        return;
    }
    Buf text = buf_create(RESULT_BYTES_MAX);
    if (data->type == DOC_STRING) {
        buf_append(&text, data->text);
    } else {
        JsonWriter w = json_writer(&text, 0);
        doc_write(&w, data);
    }
    h->log(h->ctx, text_of(params, SLICE("level")), buf_slice(&text));
    buf_done(&text);
}

static void forget_tools(McpClient *c)
{
    mcp_toolset_unref(c->tools);
    c->tools = NULL;
}

// The server gave up a question of its own. The fiber that works on it may go on: its answer is
// ignored, which the specification allows.
void mcp_take_notification(McpClient *c, const RpcMessage *m)
{
    if (slice_eq(m->method, SLICE("notifications/progress"))) {
        take_progress(c, m->params);
    } else if (slice_eq(m->method, SLICE("notifications/message"))) {
        take_log(c, m->params);
    } else {
        if (slice_eq(m->method, SLICE("notifications/tools/list_changed"))) {
            forget_tools(c);
        }
        const McpHandlers *h = &c->options.handlers;
        if (h->notified) {
            h->notified(h->ctx, m->method, m->params);
        }
    }
}

// ---- questions

static void write_roots(const McpClient *c, Buf *out)
{
    const McpHandlers *h = &c->options.handlers;
    JsonWriter w = json_writer(out, 0);
    json_object_begin(&w);
    json_key(&w, SLICE("roots"));
    json_array_begin(&w);
    for (size_t i = 0; i < h->root_count; i++) {
        json_object_begin(&w);
        json_field_string(&w, "uri", h->roots[i].uri);
        if (h->roots[i].name.len > 0) {
            json_field_string(&w, "name", h->roots[i].name);
        }
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
}

int mcp_answer(McpClient *c, Slice method, const Doc *params, Buf *ret_result, Err *e)
{
    const McpHandlers *h = &c->options.handlers;
    if (slice_eq(method, SLICE("roots/list")) && h->root_count > 0) {
        write_roots(c, ret_result);
        return 0;
    }
    McpQuestionFn *fn = slice_eq(method, SLICE("elicitation/create"))       ? h->elicit
                        : slice_eq(method, SLICE("sampling/createMessage")) ? h->sample
                                                                            : NULL;
    if (!fn) {
        return err_set(e, ERR_UNSUPPORTED,
                       "the server asks '%.*s', which this client cannot answer",
                       SLICE_FMT(slice_sub(method, 0, 100)));
    }
    return fn(h->ctx, method, params, ret_result, e);
}

typedef struct Question {
    McpClient *client;
    Arena *arena;
    RpcId id;
    Slice method;
    const Doc *params;
} Question;

static void reply(McpClient *c, const Buf *text)
{
    McpSend send = {.text = buf_slice(text),
                    .modern = c->era == MCP_ERA_MODERN,
                    .version = slice_from_cstr(c->version)};
    (void)c->transport->ops->send(c->transport, &send, NULL);
}

static void refuse(McpClient *c, RpcId id, int64_t code, const char *words)
{
    Buf text = buf_create(RESULT_BYTES_MAX);
    rpc_write_error(&text, id, code, slice_from_cstr(words));
    reply(c, &text);
    buf_done(&text);
}

static void answer_question(void *arg)
{
    Question *q = arg;
    McpClient *c = q->client;
    Buf result = buf_create(RESULT_BYTES_MAX);
    Err e = {0};
    int rc = mcp_answer(c, q->method, q->params, &result, &e);
    if (rc == 0) {
        rc = buf_check(&result, "an answer", &e);
    }
    if (rc != 0) {
        refuse(c, q->id, rc == ERR_UNSUPPORTED ? RPC_METHOD_NOT_FOUND : RPC_INTERNAL_ERROR, e.text);
    } else {
        Buf text = buf_create(RESULT_BYTES_MAX + 1024);
        rpc_write_result(&text, q->id, buf_slice(&result));
        reply(c, &text);
        buf_done(&text);
    }
    buf_done(&result);
    arena_destroy(q->arena);
}

// Copies what a handler needs: the message goes when we return.
static Question *question_create(McpClient *c, const RpcMessage *m, Err *e)
{
    Arena *arena = arena_create(c->limits.message_bytes_max * 16 + (1 << 20));
    Question *q = ARENA_NEW(arena, Question);
    *q = (Question){
        .client = c, .arena = arena, .id = m->id, .method = arena_copy(arena, m->method)};
    q->id.text = arena_copy(arena, m->id.text);
    int rc = 0;
    if (m->params) {
        Buf text = buf_create(c->limits.message_bytes_max * 2);
        JsonWriter w = json_writer(&text, 0);
        doc_write(&w, m->params);
        rc = buf_check(&text, "a question", e);
        rc = rc != 0 ? rc : doc_parse(arena, buf_slice(&text), NULL, &q->params, e);
        buf_done(&text);
    }
    if (rc != 0) {
        arena_destroy(arena);
        return NULL;
    }
    return q;
}

void mcp_take_question(McpClient *c, const RpcMessage *m)
{
    if (slice_eq(m->method, SLICE("ping"))) {
        Buf text = buf_create(4096);
        rpc_write_result(&text, m->id, SLICE("{}"));
        reply(c, &text);
        buf_done(&text);
        return;
    }
    if (c->era == MCP_ERA_MODERN) {
        refuse(c, m->id, RPC_METHOD_NOT_FOUND, "servers send no requests in this version");
        return;
    }
    if (c->closing || c->questions.alive >= MCP_QUESTIONS_MAX) {
        refuse(c, m->id, RPC_INTERNAL_ERROR, "too many questions at the same time");
        return;
    }
    Err e;
    Question *q = question_create(c, m, &e);
    if (!q) {
        refuse(c, m->id, RPC_INVALID_PARAMS, e.text);
    } else if (!fiber_group_spawn(&c->questions, c->options.pool, "mcp question", answer_question,
                                  q)) {
        refuse(c, m->id, RPC_INTERNAL_ERROR, "no fiber is left for a question");
        arena_destroy(q->arena);
    }
}

// ---- an answer without a person

static bool required(const Doc *schema, Slice name)
{
    for (const Doc *r = doc_first(doc_get(schema, SLICE("required"))); r; r = doc_next(r)) {
        if (r->type == DOC_STRING && slice_eq(r->text, name)) {
            return true;
        }
    }
    return false;
}

void mcp_elicit_defaults(const Doc *params, Buf *ret_result)
{
    const Doc *schema = doc_get(params, SLICE("requestedSchema"));
    const Doc *properties = doc_get(schema, SLICE("properties"));
    for (const Doc *p = doc_first(properties); p; p = doc_next(p)) {
        if (!doc_get(p, SLICE("default")) && required(schema, p->key)) {
            buf_puts(ret_result, "{\"action\":\"decline\"}");
            return;
        }
    }
    if (!schema) { // mode "url": somebody would have to go there
        buf_puts(ret_result, "{\"action\":\"decline\"}");
        return;
    }
    JsonWriter w = json_writer(ret_result, 0);
    json_object_begin(&w);
    json_field_cstr(&w, "action", "accept");
    json_key(&w, SLICE("content"));
    json_object_begin(&w);
    for (const Doc *p = doc_first(properties); p; p = doc_next(p)) {
        const Doc *value = doc_get(p, SLICE("default"));
        if (value) {
            json_key(&w, p->key);
            doc_write(&w, value);
        }
    }
    json_object_end(&w);
    json_object_end(&w);
}
