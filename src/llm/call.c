// One call: the chain of providers, their policies, and what an attempt is.
#include "llm/client_impl.h"

#include <stdarg.h>

#include "base/log.h"
#include "llm/failure.h"
#include "llm/rate_headers.h"

enum {
    EVENT_BYTES_MAX = 4 << 20, // of one stream event
    ERROR_BYTES_MAX = 1 << 20, // of a refusal's body
    // Bytes of JSON that a message, a tool and an image add to their text, as an upper bound of
    // what they cost in tokens.
    MESSAGE_TOKENS = 16,
    IMAGE_TOKENS = 16 << 10,
};
// After a stream's own end its connection gets this long to end too, so that it can be used again.
#define DRAIN_NS (50 * NS_PER_MS)

// ---- secrets

// A provider may repeat the key it was sent; nobody else shall.
static Slice without_secret(Arena *arena, const Provider *p, Slice text)
{
    enum { SECRET_MIN = 4 }; // shorter ones are no secrets, and would be found everywhere
    ptrdiff_t at = p->secret.len >= SECRET_MIN ? slice_find(text, p->secret) : -1;
    if (at < 0) {
        return text;
    }
    Slice tail = slice_sub(text, (size_t)at + p->secret.len, text.len);
    return arena_printf(arena, "%.*s[key]%.*s", (int)at, text.ptr,
                        SLICE_FMT(without_secret(arena, p, tail)));
}

// ---- an attempt's bytes, from the network or from a cassette

typedef struct Source {
    Op *op;
    LlmExchange *x;
    LlmTake take;
    bool played; // the take's body was given out
    bool recording;
    bool ended; // all of the body was read
    int status;
} Source;

static void add_line(LlmHttpRequest *http, const char *line)
{
    if (line && line[0]) {
        http->lines[http->line_count++] = line;
    }
}

static int source_open(Source *s, Provider *p, int64_t deadline_ns, Err *e)
{
    Op *op = s->op;
    Work *work = op->work;
    LlmCassette *cassette = op->client->o.cassette;
    if (cassette && llm_cassette_mode(cassette) == LLM_CASSETTE_REPLAY) {
        int rc =
            llm_cassette_play(cassette, buf_slice(&work->url), buf_slice(&work->body), &s->take, e);
        s->status = s->take.status;
        return rc;
    }
    s->recording = cassette != NULL;
    buf_reset(&work->record);
    LlmHttpRequest http = {.method = "POST", .url = work->url.data, .body = buf_slice(&work->body)};
    add_line(&http, "Content-Type: application/json");
    add_line(&http, "Expect:"); // libcurl would wait for a "100 Continue" that few servers send
    add_line(&http, p->auth_line);
    add_line(&http, p->adapter->extra_header);
    if (op->request->traceparent.len > 0) {
        buf_reset(&work->line);
        buf_puts(&work->line, "traceparent: ");
        buf_append(&work->line, op->request->traceparent);
        add_line(&http, work->line.data);
    }
    return llm_http_begin(p->http, &http, deadline_ns, &s->x, e);
}

static int source_read(Source *s, int64_t deadline_ns, Slice *ret_bytes, Err *e)
{
    if (!s->x) {
        *ret_bytes = s->played ? (Slice){0} : s->take.body;
        s->played = true;
        return 0;
    }
    int rc = llm_http_read(s->x, deadline_ns, ret_bytes, e);
    s->status = llm_http_status(s->x);
    s->ended = rc == 0 && ret_bytes->len == 0;
    if (rc == 0 && s->recording) {
        buf_append(&s->op->work->record, *ret_bytes);
    }
    return rc;
}

static Slice source_header(const Source *s, const char *name)
{
    if (s->x) {
        return llm_http_header(s->x, name);
    }
    return strcmp(name, "content-type") == 0  ? s->take.content_type
           : strcmp(name, "retry-after") == 0 ? s->take.retry_after
                                              : (Slice){0};
}

static void source_close(Source *s, const Provider *p)
{
    Work *work = s->op->work;
    // What broke is not recorded: a cassette plays answers, whole ones.
    if (s->recording && s->status != 0 && s->ended) {
        LlmTake take = {.status = s->status,
                        .content_type = source_header(s, "content-type"),
                        .retry_after = source_header(s, "retry-after"),
                        .body = without_secret(work->scratch, p, buf_slice(&work->record))};
        Err e;
        if (llm_cassette_record(s->op->client->o.cassette, buf_slice(&work->url),
                                buf_slice(&work->body), &take, &e) != 0) {
            LOG(LOG_WARN, "an exchange was not recorded", log_err(&e));
        }
    }
    llm_http_end(s->x);
    s->x = NULL;
}

// ---- failures

static int fail(Op *op, LlmFailureKind kind, ErrCode code, const char *format, ...)
    PRINTF_LIKE(4, 5);

static int fail(Op *op, LlmFailureKind kind, ErrCode code, const char *format, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    op->response->failure.kind = kind;
    return err_set(&op->err, code, "%s", text);
}

static LlmFailureKind kind_of_code(int rc)
{
    switch (rc) {
    case ERR_TIMEOUT: return LLM_FAIL_TIMEOUT;
    case ERR_CANCELLED: return LLM_FAIL_CANCELLED;
    case ERR_REFUSED: return LLM_FAIL_REFUSED;
    case ERR_LIMIT:
    case ERR_PROTOCOL: return LLM_FAIL_RESPONSE;
    case ERR_ARG: return LLM_FAIL_REQUEST;
    case ERR_UNSUPPORTED: return LLM_FAIL_UNSUPPORTED;
    case ERR_NOT_FOUND: return LLM_FAIL_REQUEST;
    default: return LLM_FAIL_NETWORK;
    }
}

static int refused(Op *op, Provider *p, Source *s, Slice body)
{
    LlmResponse *r = op->response;
    LlmFailure *f = &r->failure;
    f->status = s->status;
    int64_t wall = clock_wall(loop_clock_source(op->client->o.loop));
    Slice name, value;
    for (size_t at = 0; s->x && llm_http_next_header(s->x, &at, &name, &value);) {
        llm_failure_header(f, name, value, wall);
    }
    llm_failure_header(f, SLICE("retry-after"), source_header(s, "retry-after"), wall);
    const Doc *doc = NULL;
    arena_reset(op->work->scratch);
    if (doc_parse(op->work->scratch, body, NULL, &doc, NULL) != 0 ||
        !llm_failure_in(doc, r->arena, f)) {
        f->message = arena_copy(r->arena, slice_sub(slice_trim(body), 0, 200));
        f->kind = llm_failure_kind(s->status, f->type);
    }
    f->message = without_secret(r->arena, p, f->message);
    return err_set(&op->err, (ErrCode)llm_failure_code(f->kind), "HTTP status %d, %s: %.*s",
                   s->status, llm_failure_name(f->kind), SLICE_FMT(f->message));
}

// The answer could not be read, or holds an error of the provider.
static int unreadable(Op *op, Provider *p, LlmAnswer *answer)
{
    LlmFailure *f = &op->response->failure;
    bool delivered = f->content_delivered;
    if (answer->failure.kind != LLM_OK) {
        answer->failure.status = f->status;
        *f = answer->failure;
        f->message = without_secret(op->response->arena, p, f->message);
        f->content_delivered = delivered;
        return err_set(&op->err, (ErrCode)llm_failure_code(f->kind), "%s: %.*s",
                       llm_failure_name(f->kind), SLICE_FMT(f->message));
    }
    f->kind = answer->stopped ? LLM_FAIL_CANCELLED : LLM_FAIL_RESPONSE;
    return answer->rc;
}

// ---- reading an answer

static bool is_json(Slice type)
{
    Slice head, rest;
    (void)slice_cut(type, ';', &head, &rest);
    head = slice_trim(head);
    return slice_eq_nocase(head, SLICE("application/json"));
}

static bool is_stream(Slice type)
{
    Slice head, rest;
    (void)slice_cut(type, ';', &head, &rest);
    head = slice_trim(head);
    return slice_eq_nocase(head, SLICE("text/event-stream")) ||
           slice_eq_nocase(head, SLICE("application/x-ndjson"));
}

static int gather(Source *s, Slice first, size_t max, int64_t deadline_ns, Slice *ret_body, Err *e)
{
    Buf *in = &s->op->work->in;
    buf_reset(in);
    for (Slice bytes = first; bytes.len > 0;) {
        if (in->len + bytes.len > max) {
            return err_set(e, ERR_LIMIT, "the answer is larger than %zu bytes", max);
        }
        buf_append(in, bytes);
        int rc = source_read(s, deadline_ns, &bytes, e);
        if (rc != 0) {
            return rc;
        }
    }
    *ret_body = buf_slice(in);
    return 0;
}

static int read_whole(Op *op, Provider *p, Slice body, LlmAnswer *answer)
{
    arena_reset(op->work->scratch);
    int rc = op->embed ? llm_read_embeddings(p->adapter, body, op->work->scratch, &op->rows, answer)
                       : llm_read_answer(p->adapter, body, op->work->scratch, answer);
    return rc != 0 ? unreadable(op, p, answer) : 0;
}

// The events that are complete by now.
static int read_events(Op *op, Provider *p, LlmAnswer *answer)
{
    SseReader *reader = &op->work->reader;
    int rc = 0;
    while (rc == 0 && !answer->ended) {
        SseReadEvent event = {0};
        bool lines = p->adapter->framing == LLM_FRAMES_LINES;
        if (lines ? !sse_reader_line(reader, &event.data) : !sse_reader_next(reader, &event)) {
            break;
        }
        if (event.data.len > 0) {
            arena_reset(op->work->scratch);
            rc = llm_read_event(p->adapter, event.event, event.data, op->work->scratch, answer);
        }
    }
    return rc;
}

static void drain(Source *s)
{
    int64_t deadline = loop_clock(s->op->client->o.loop) + DRAIN_NS;
    Slice bytes = {0};
    while (source_read(s, deadline, &bytes, NULL) == 0 && bytes.len > 0) {
    }
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// Marks what a piece of content means for policies and deadlines.
static void on_content(Op *op, LlmDrive *drive, LlmAnswer *answer)
{
    LlmFailure *f = &op->response->failure;
    if (op->response->first_content_ns == 0) {
        op->response->first_content_ns = loop_clock(op->client->o.loop) - op->start_ns;
    }
    if (answer->failure.content_delivered && !f->content_delivered) {
        f->content_delivered = true;
        llm_drive_commit(drive);
    }
}

static int read_stream(Op *op, Provider *p, LlmDrive *drive, Source *s, Slice bytes,
                       int64_t content_deadline, LlmAnswer *answer)
{
    Loop *loop = op->client->o.loop;
    SseReader *reader = &op->work->reader;
    sse_reader_done(reader);
    *reader = sse_reader(EVENT_BYTES_MAX);
    for (;;) {
        size_t before = answer->bytes;
        int rc = sse_reader_push(reader, bytes, &op->err);
        if (rc != 0) {
            return fail(op, LLM_FAIL_RESPONSE, ERR_LIMIT, "an event is larger than %d bytes",
                        EVENT_BYTES_MAX);
        }
        if (bytes.len == 0 && p->adapter->framing == LLM_FRAMES_LINES) {
            rc = sse_reader_rest(reader).len > 0 ? sse_reader_push(reader, SLICE("\n"), NULL) : 0;
        }
        rc = rc != 0 ? rc : read_events(op, p, answer);
        if (answer->bytes > before && answer->has_content) {
            on_content(op, drive, answer);
            content_deadline = loop_clock(loop) + p->config->stream_idle_timeout_ns;
        }
        if (rc != 0) {
            return unreadable(op, p, answer);
        }
        if (answer->ended) {
            drain(s);
            return 0;
        }
        if (bytes.len == 0) {
            break;
        }
        rc = source_read(s, sooner(content_deadline, drive->until_ns), &bytes, &op->err);
        if (rc != 0) {
            op->response->failure.kind = kind_of_code(rc);
            return rc == ERR_TIMEOUT
                       ? err_set(&op->err, ERR_TIMEOUT, "the stream brought no %scontent in time",
                                 answer->has_content ? "further " : "")
                       : rc;
        }
    }
    if (answer->finish != LLM_FINISH_NONE) {
        return 0; // compatible servers that leave [DONE] out
    }
    return fail(op, LLM_FAIL_RESPONSE, ERR_PROTOCOL, "the stream ended before the answer did");
}

// ---- one attempt

static void obey_limits(Op *op, Provider *p, const Source *s)
{
    LlmRateHeaders rate;
    llm_rate_init(&rate);
    Loop *loop = op->client->o.loop;
    Slice name, value;
    for (size_t at = 0; s->x && llm_http_next_header(s->x, &at, &name, &value);) {
        if (slice_find(name, SLICE("ratelimit-")) >= 0) {
            llm_rate_header(&rate, name, value, clock_wall(loop_clock_source(loop)));
        }
    }
    int64_t wait = llm_rate_wait(&rate);
    // Retry-After is what the provider means where it says both: the others tell when a bucket is
    // full again.
    if (wait > 0 && source_header(s, "retry-after").len == 0) {
        op->client->stats.rate_waits++;
        policy_hold(p->block, loop_clock(loop) + wait);
    }
    Slice id = source_header(s, "x-request-id");
    id = id.len > 0 ? id : source_header(s, "request-id");
    op->response->request_id = arena_copy(op->response->arena, id);
}

static int receive(Op *op, Provider *p, LlmDrive *drive, Source *s, int64_t deadline,
                   LlmAnswer *answer)
{
    bool stream = answer->chunk_fn != NULL;
    int64_t until = sooner(deadline, drive->until_ns);
    Slice bytes = {0};
    int rc = source_read(s, until, &bytes, &op->err);
    if (rc == 0 && s->status == 0) {
        rc = err_set(&op->err, ERR_PROTOCOL, "an answer without a status");
    }
    if (rc != 0) {
        op->response->failure.kind = kind_of_code(rc);
        return rc;
    }
    obey_limits(op, p, s);
    Slice type = source_header(s, "content-type");
    bool ok = s->status >= 200 && s->status < 300;
    if (ok && stream && is_stream(type)) {
        return read_stream(op, p, drive, s, bytes, deadline, answer);
    }
    Slice body = {0};
    rc = gather(s, bytes, ok ? LLM_HTTP_BODY_MAX : ERROR_BYTES_MAX, until, &body, &op->err);
    if (rc != 0) {
        op->response->failure.kind = kind_of_code(rc);
        return rc;
    }
    if (!ok) {
        return refused(op, p, s, body);
    }
    op->response->failure.status = s->status;
    if (type.len > 0 && !is_json(type)) {
        return fail(op, LLM_FAIL_RESPONSE, ERR_PROTOCOL, "the answer is of type '%.*s', not JSON",
                    SLICE_FMT(slice_sub(type, 0, 100)));
    }
    return read_whole(op, p, body, answer);
}

// A fresh response for an attempt; what belongs to the call as a whole stays.
static void renew(Op *op)
{
    LlmResponse *r = op->response;
    LlmResponse old = *r;
    arena_destroy(old.arena);
    *r = (LlmResponse){.arena = arena_create(4UL * LLM_HTTP_BODY_MAX),
                       .attempts = old.attempts,
                       .first_content_ns = old.first_content_ns};
    r->failure.retry_after_ns = -1;
    r->failure.should_retry = -1;
    op->err.code = 0;
    op->err.text[0] = 0;
    op->rows = (LlmEmbedRows){.count = op->input_count};
}

static int attempt(Op *op, Provider *p, LlmDrive *drive)
{
    renew(op);
    LlmResponse *r = op->response;
    r->attempts++;
    op->client->stats.attempts++;
    op->client->stats.embed_requests += op->embed;
    op->client->stats.embed_inputs += op->input_count;
    LlmAnswer answer;
    llm_answer_init(&answer, r->arena, &op->err);
    answer.chunk_fn = op->embed ? NULL : op->request->chunk_fn;
    answer.chunk_ctx = op->request->chunk_ctx;
    Source source = {.op = op};
    int64_t deadline =
        loop_clock(op->client->o.loop) +
        (answer.chunk_fn ? p->config->first_content_timeout_ns : p->config->request_timeout_ns);
    int rc = source_open(&source, p, sooner(deadline, drive->until_ns), &op->err);
    if (rc != 0) {
        r->failure.kind = kind_of_code(rc);
    } else {
        rc = receive(op, p, drive, &source, deadline, &answer);
    }
    if (rc == 0) {
        llm_answer_finish(&answer, r);
        if (answer.rc != 0) { // the receiver gave up at the last tool call
            rc = unreadable(op, p, &answer);
        }
    }
    r->failure.content_delivered = answer.failure.content_delivered;
    op->chunks = answer.chunks;
    source_close(&source, p);
    llm_answer_done(&answer);
    return rc;
}

// ---- budgets

static bool has_budget(const Op *op)
{
    for (size_t i = 0; i < COUNT_OF(op->budgets); i++) {
        if (op->budgets[i]) {
            return true;
        }
    }
    return false;
}

// A byte is at least as long as a token, so bytes bound the tokens of text from above.
static LlmSpend most_of(const Op *op, const LlmPrice *price, int64_t output_max)
{
    int64_t input = 0;
    for (size_t i = 0; i < op->input_count; i++) {
        input += (int64_t)op->inputs[i].len + MESSAGE_TOKENS;
    }
    for (size_t i = 0; !op->embed && i < op->request->message_count; i++) {
        const LlmMessage *m = &op->request->messages[i];
        for (size_t j = 0; j < m->part_count; j++) {
            const LlmPart *part = &m->parts[j];
            input += (int64_t)(part->text.len + part->arguments.len + part->name.len) +
                     MESSAGE_TOKENS + (part->kind == LLM_PART_IMAGE ? IMAGE_TOKENS : 0);
        }
    }
    for (size_t i = 0; !op->embed && i < op->request->tool_count; i++) {
        const LlmTool *tool = &op->request->tools[i];
        input +=
            (int64_t)(tool->name.len + tool->description.len + tool->schema.len) + MESSAGE_TOKENS;
    }
    input += op->embed ? 0 : (int64_t)op->request->schema.len;
    LlmUsage most = {.input_tokens = input, .output_tokens = op->embed ? 0 : output_max};
    return (LlmSpend){most.input_tokens + most.output_tokens, llm_price_of(price, &most)};
}

static int attempt_in_budget(Op *op, Provider *p, LlmDrive *drive, Slice model, int64_t output_max)
{
    const LlmPrice *price = llm_config_price(op->client->config, model);
    bool limited = has_budget(op);
    LlmSpend most = {0};
    if (limited) {
        most = most_of(op, price, output_max);
        int rc = llm_budget_reserve(op->budgets, COUNT_OF(op->budgets), most, &op->err);
        if (rc != 0) {
            op->response->failure.kind = LLM_FAIL_BUDGET;
            return rc;
        }
    }
    int rc = attempt(op, p, drive);
    LlmUsage *u = &op->response->usage;
    u->cost_nano_usd = llm_price_of(price, u);
    LlmSpend spent = {u->input_tokens + u->output_tokens, u->cost_nano_usd};
    LlmFailureKind kind = op->response->failure.kind;
    // What was sent and not refused may be billed although nobody said how much.
    bool unknown = rc == 0
                       ? !u->known
                       : kind == LLM_FAIL_TIMEOUT || kind == LLM_FAIL_RESPONSE ||
                             kind == LLM_FAIL_CANCELLED || op->response->failure.content_delivered;
    if (limited) {
        llm_budget_settle(op->budgets, COUNT_OF(op->budgets), most, unknown ? most : spent);
    }
    op->client->stats.input_tokens += u->input_tokens;
    op->client->stats.output_tokens += u->output_tokens;
    op->client->stats.cost_nano_usd += u->cost_nano_usd;
    return rc;
}

// ---- a provider's policies

static CallOutcome outcome_of(const LlmFailure *f)
{
    switch (f->kind) {
    case LLM_OK: return CALL_SUCCESS;
    case LLM_FAIL_RATE: return f->should_retry == 0 ? CALL_FATAL : CALL_THROTTLED;
    case LLM_FAIL_QUOTA:
    case LLM_FAIL_AUTH: return CALL_FATAL;
    case LLM_FAIL_BUDGET:
    case LLM_FAIL_CANCELLED:
    case LLM_FAIL_UNSUPPORTED:
    case LLM_FAIL_REFUSED: return CALL_CALLER_FAULT;
    case LLM_FAIL_REQUEST: return llm_failure_retryable(f) ? CALL_RETRYABLE : CALL_CALLER_FAULT;
    case LLM_FAIL_NETWORK:
    case LLM_FAIL_TIMEOUT:
    case LLM_FAIL_SERVER:
    case LLM_FAIL_RESPONSE: return llm_failure_retryable(f) ? CALL_RETRYABLE : CALL_FATAL;
    }
    return CALL_FATAL;
}

static void observe(Op *op, const Provider *p, bool is_attempt, Slice model, int64_t start_ns,
                    int rc)
{
    const LlmObserver *observer = &op->client->o.observer;
    if (!observer->fn) {
        return;
    }
    const LlmResponse *r = op->response;
    int64_t first = r->first_content_ns > 0 ? r->first_content_ns - (start_ns - op->start_ns) : 0;
    observer->fn(observer->ctx,
                 &(LlmObservation){.attempt = is_attempt,
                                   .operation = op->embed ? "embeddings" : "chat",
                                   .protocol = p->config->protocol,
                                   .provider = p->config->name,
                                   .model = model,
                                   .response_model = r->model,
                                   .server_address = p->host,
                                   .server_port = p->port,
                                   .agent = op->request->agent,
                                   .session = op->request->session,
                                   .traceparent = op->request->traceparent,
                                   .start_ns = start_ns,
                                   .duration_ns = loop_clock(op->client->o.loop) - start_ns,
                                   .first_content_ns = first,
                                   .chunks = op->chunks,
                                   .error = rc != 0 ? llm_failure_name(r->failure.kind) : NULL,
                                   .finish = r->finish,
                                   .usage = r->usage,
                                   .streamed = !op->embed && op->request->chunk_fn != NULL,
                                   .from_cache = r->from_cache,
                                   .attempts = r->attempts});
}

void llm_call_observe(Op *op, int rc)
{
    const LlmTarget *target = &op->chain.targets[0];
    const Provider *p = &op->client->providers[target->provider];
    for (size_t i = 0; i < op->client->config->provider_count; i++) {
        if (slice_eq(op->client->config->providers[i].name, op->response->provider)) {
            p = &op->client->providers[i];
        }
    }
    Slice model = target->model.len > 0 ? target->model : p->config->model;
    observe(op, p, false, model, op->start_ns, rc);
}

// The policies refused before or instead of an attempt.
static int ended_by_policy(Op *op, const LlmDrive *drive)
{
    LlmFailureKind kind = LLM_FAIL_REFUSED;
    switch ((int)drive->end.reason) {
    case CALL_DEADLINE:
    case CALL_QUEUE_TIMEOUT: kind = LLM_FAIL_TIMEOUT; break;
    case CALL_CANCELLED: kind = LLM_FAIL_CANCELLED; break;
    case CALL_RATE_LIMITED: kind = LLM_FAIL_RATE; break;
    case CALL_BREAKER_OPEN: op->client->stats.breaker_refusals++; break;
    default: break;
    }
    return fail(op, kind, (ErrCode)drive->end.code, "%s", call_reason_text(drive->end.reason));
}

static int write_request(Op *op, Provider *p, Slice model, const LlmRequest *request)
{
    Work *work = op->work;
    buf_reset(&work->url);
    buf_reset(&work->body);
    JsonWriter w = json_writer(&work->body, 0);
    if (op->embed) {
        if (!p->adapter->embed_url) {
            return fail(op, LLM_FAIL_UNSUPPORTED, ERR_UNSUPPORTED,
                        "the protocol has no embeddings");
        }
        LlmEmbedAsk ask = {&p->config->endpoint, model, op->inputs, op->input_count,
                           op->dimensions};
        p->adapter->embed_url(&ask, &work->url);
        p->adapter->embed_body(&ask, &w);
    } else {
        LlmAsk ask = {&p->config->endpoint, request, model, request->chunk_fn != NULL};
        p->adapter->chat_url(&ask, &work->url);
        int rc = p->adapter->chat_body(&ask, &w, &op->err);
        if (rc != 0) {
            op->response->failure.kind = kind_of_code(rc);
            return rc;
        }
    }
    int rc = buf_check(&work->body, "the request", &op->err);
    if (rc != 0) {
        op->response->failure.kind = LLM_FAIL_REQUEST;
    }
    return rc;
}

static int ask_provider(Op *op, Provider *p, Slice model)
{
    LlmRequest request = *op->request;
    if (request.max_output_tokens <= 0 && has_budget(op)) {
        request.max_output_tokens = p->config->max_tokens; // a budget needs a bound
    }
    int64_t output_max =
        request.max_output_tokens > 0 ? request.max_output_tokens : p->config->max_tokens;
    int rc = write_request(op, p, model, &request);
    if (rc != 0) {
        return rc;
    }
    LlmDrive drive = {.owner = op};
    CallOptions options = {.task = ++op->client->task, .deadline_ns = op->request->deadline_ns};
    llm_drive_start(&drive, p->block, op->client->o.loop, NULL, &options);
    bool tried = false;
    while (llm_drive_wait(&drive)) {
        op->client->stats.retries += tried;
        tried = true;
        int64_t start = loop_clock(op->client->o.loop);
        rc = attempt_in_budget(op, p, &drive, model, output_max);
        observe(op, p, true, model, start, rc);
        const LlmFailure *f = &op->response->failure;
        if (f->kind == LLM_FAIL_CANCELLED) {
            llm_drive_cancel(&drive);
            break;
        }
        llm_drive_done(
            &drive, &(CallEvent){.outcome = rc == 0 ? CALL_SUCCESS : outcome_of(f),
                                 .code = rc,
                                 .retry_after_ns = f->retry_after_ns > 0 ? f->retry_after_ns : 0});
    }
    if (rc == 0 && drive.end.code != 0) {
        return ended_by_policy(op, &drive);
    }
    if (tried && rc != 0 && drive.end.reason == CALL_CANCELLED) {
        op->response->failure.kind = LLM_FAIL_CANCELLED;
    }
    return rc;
}

// ---- the chain

static bool may_ask_next(const LlmFailure *f)
{
    if (f->content_delivered) {
        return false;
    }
    switch (f->kind) {
    case LLM_FAIL_NETWORK:
    case LLM_FAIL_TIMEOUT:
    case LLM_FAIL_RATE:
    case LLM_FAIL_QUOTA:
    case LLM_FAIL_AUTH:
    case LLM_FAIL_SERVER:
    case LLM_FAIL_RESPONSE:
    case LLM_FAIL_REFUSED:
    case LLM_FAIL_UNSUPPORTED: return true;
    case LLM_OK:
    case LLM_FAIL_REQUEST:
    case LLM_FAIL_BUDGET:
    case LLM_FAIL_CANCELLED: return false;
    }
    return false;
}

int llm_call_chain(Op *op)
{
    LlmClient *client = op->client;
    int rc = 0;
    op->work = llm_work_take(client);
    for (size_t i = 0; i < op->chain.count; i++) {
        const LlmTarget *target = &op->chain.targets[i];
        Provider *p = &client->providers[target->provider];
        Slice model = target->model;
        if (model.len == 0) {
            bool own = op->embed && p->config->embedding_model.len > 0;
            model = own ? p->config->embedding_model : p->config->model;
        }
        bool asked = op->response->arena != NULL;
        if (!asked) {
            renew(op);
        }
        rc = model.len > 0 ? ask_provider(op, p, model)
                           : fail(op, LLM_FAIL_REQUEST, ERR_ARG, "no model is named");
        op->response->provider = p->config->name;
        if (op->response->model.len == 0) {
            op->response->model = model;
        }
        bool late =
            op->request->deadline_ns > 0 && loop_clock(client->o.loop) >= op->request->deadline_ns;
        if (rc == 0 || late || !may_ask_next(&op->response->failure)) {
            break;
        }
        client->stats.fallbacks += i + 1 < op->chain.count;
    }
    if (rc != 0) {
        (void)err_wrap(&op->err, "[llm.%.*s]", SLICE_FMT(op->response->provider));
    }
    llm_work_give(client, op->work);
    op->work = NULL;
    return rc;
}
