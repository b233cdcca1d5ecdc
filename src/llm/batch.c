#include "llm/batch.h"

#include "llm/client_impl.h"
#include "llm/failure.h"

enum {
    JOB_BYTES_MAX = 200 << 20, // OpenAI's ceiling of a file
    LINE_BYTES_MAX = 32 << 20,
};
#define BOUNDARY "perfwright-4f1d0c2b9a7e"

// ---- one plain request

typedef struct Ask {
    LlmClient *client;
    Provider *p;
    const char *method;
    const char *type; // of the body
    Slice body;
    bool once; // must not be sent twice
} Ask;

static int status_error(const Ask *ask, LlmExchange *x, Slice body, LlmFailure *f, Err *e)
{
    Arena *arena = arena_create(64 << 20);
    const Doc *doc = NULL;
    int64_t wall = clock_wall(loop_clock_source(ask->client->o.loop));
    *f = (LlmFailure){.status = llm_http_status(x), .retry_after_ns = -1, .should_retry = -1};
    Slice name, value;
    for (size_t at = 0; llm_http_next_header(x, &at, &name, &value);) {
        llm_failure_header(f, name, value, wall);
    }
    if (doc_parse(arena, body, NULL, &doc, NULL) != 0 || !llm_failure_in(doc, arena, f)) {
        f->message = slice_sub(slice_trim(body), 0, 200);
        f->kind = llm_failure_kind(f->status, f->type);
    }
    bool says_key = ask->p->secret.len >= 4 && slice_find(f->message, ask->p->secret) >= 0;
    int rc = err_set(e, (ErrCode)llm_failure_code(f->kind), "[llm.%.*s]: HTTP status %d, %s: %.*s",
                     SLICE_FMT(ask->p->config->name), f->status, llm_failure_name(f->kind),
                     SLICE_FMT(says_key ? SLICE("(the answer repeats the key)") : f->message));
    f->type = f->message = (Slice){0};
    arena_destroy(arena);
    return rc;
}

static int exchange(const Ask *ask, const char *url, int64_t until_ns, Buf *out, LlmFailure *f,
                    Err *e)
{
    LlmHttpRequest request = {.method = ask->method, .url = url, .body = ask->body};
    const char *const lines[] = {ask->type, "Expect:", ask->p->auth_line,
                                 ask->p->adapter->extra_header};
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        if (lines[i]) {
            request.lines[request.line_count++] = lines[i];
        }
    }
    LlmExchange *x = NULL;
    Slice bytes = {0};
    buf_reset(out);
    int rc = llm_http_begin(ask->p->http, &request, until_ns, &x, e);
    // Piece by piece: a file of results may be far larger than any single answer.
    while (rc == 0 && (rc = llm_http_read(x, until_ns, &bytes, e)) == 0 && bytes.len > 0) {
        buf_append(out, bytes);
        rc = buf_check(out, "the answer", e);
    }
    if (rc != 0) {
        *f = (LlmFailure){.kind = rc == ERR_LIMIT       ? LLM_FAIL_REQUEST
                                  : rc == ERR_TIMEOUT   ? LLM_FAIL_TIMEOUT
                                  : rc == ERR_CANCELLED ? LLM_FAIL_CANCELLED
                                                        : LLM_FAIL_NETWORK,
                          .retry_after_ns = -1,
                          .should_retry = -1};
    } else if (llm_http_status(x) < 200 || llm_http_status(x) >= 300) {
        rc = status_error(ask, x, buf_slice(out), f, e);
    }
    llm_http_end(x);
    return rc;
}

// With the provider's policies around it.
static int ask_provider(const Ask *ask, const char *url, Buf *out, Err *e)
{
    Loop *loop = ask->client->o.loop;
    LlmDrive drive = {0};
    LlmFailure f = {0};
    int rc = 0;
    llm_drive_start(&drive, ask->p->block, loop, NULL,
                    &(CallOptions){.task = ++ask->client->task, .once = ask->once});
    while (llm_drive_wait(&drive)) {
        int64_t until = loop_clock(loop) + ask->p->config->request_timeout_ns;
        rc = exchange(ask, url, until < drive.until_ns ? until : drive.until_ns, out, &f, e);
        if (f.kind == LLM_FAIL_CANCELLED) {
            llm_drive_cancel(&drive);
            return rc;
        }
        CallOutcome outcome = rc == 0                      ? CALL_SUCCESS
                              : f.kind == LLM_FAIL_RATE    ? CALL_THROTTLED
                              : llm_failure_retryable(&f)  ? CALL_RETRYABLE
                              : f.kind == LLM_FAIL_REQUEST ? CALL_CALLER_FAULT
                                                           : CALL_FATAL;
        llm_drive_done(&drive,
                       &(CallEvent){.outcome = outcome,
                                    .code = rc,
                                    .retry_after_ns = f.retry_after_ns > 0 ? f.retry_after_ns : 0});
    }
    if (rc == 0 && drive.end.code != 0) {
        return err_set(e, (ErrCode)drive.end.code, "[llm.%.*s]: %s",
                       SLICE_FMT(ask->p->config->name), call_reason_text(drive.end.reason));
    }
    return rc;
}

// ---- URLs

typedef enum JobOp { JOB_UPLOAD, JOB_CREATE, JOB_STATUS, JOB_CANCEL, JOB_CONTENT } JobOp;

static void openai_url(const Provider *p, JobOp op, Slice id, Buf *url)
{
    const LlmEndpoint *endpoint = &p->config->endpoint;
    bool azure = p->config->protocol == LLM_AZURE;
    buf_append(url, endpoint->base_url);
    buf_puts(url, !azure ? "" : endpoint->api_version.len > 0 ? "/openai" : "/openai/v1");
    buf_puts(url, op == JOB_UPLOAD || op == JOB_CONTENT ? "/files" : "/batches");
    if (op != JOB_UPLOAD && op != JOB_CREATE) {
        buf_putc(url, '/');
        wire_path_segment(url, id);
    }
    buf_puts(url, op == JOB_CANCEL ? "/cancel" : op == JOB_CONTENT ? "/content" : "");
    if (azure && endpoint->api_version.len > 0) {
        buf_puts(url, "?api-version=");
        wire_path_segment(url, endpoint->api_version);
    }
}

static void anthropic_url(const Provider *p, JobOp op, Slice id, Buf *url)
{
    buf_append(url, p->config->endpoint.base_url);
    buf_puts(url, "/v1/messages/batches");
    if (op != JOB_CREATE) {
        buf_putc(url, '/');
        wire_path_segment(url, id);
    }
    buf_puts(url, op == JOB_CANCEL ? "/cancel" : op == JOB_CONTENT ? "/results" : "");
}

// Ids of Gemini are names with a slash ("batches/123"), which are part of the path.
static void gemini_url(const Provider *p, JobOp op, Slice id, Buf *url)
{
    buf_append(url, p->config->endpoint.base_url);
    if (op == JOB_CREATE) {
        buf_puts(url, "/v1beta/models/");
        wire_path_segment(url, id);
        buf_puts(url, ":batchGenerateContent");
        return;
    }
    Slice last = slice_starts_with(id, SLICE("batches/")) ? slice_sub(id, 8, id.len) : id;
    buf_puts(url, "/v1beta/batches/");
    wire_path_segment(url, last);
    buf_puts(url, op == JOB_CANCEL ? ":cancel" : "");
}

static int job_url(const Provider *p, JobOp op, Slice id, Buf *url, Err *e)
{
    switch (p->config->protocol) {
    case LLM_OPENAI:
    case LLM_OPENAI_RESPONSES:
    case LLM_AZURE: openai_url(p, op, id, url); return 0;
    case LLM_ANTHROPIC: anthropic_url(p, op, id, url); return 0;
    case LLM_GEMINI: gemini_url(p, op, id, url); return 0;
    case LLM_OLLAMA:
    case LLM_PROTOCOLS: break;
    }
    return err_set(e, ERR_UNSUPPORTED, "[llm.%.*s]: the protocol has no batch jobs",
                   SLICE_FMT(p->config->name));
}

static int call(LlmClient *client, Provider *p, JobOp op, Slice id, const char *type, Slice body,
                Buf *out, Err *e)
{
    Buf url = buf_create(16 << 10);
    int rc = job_url(p, op, id, &url, e);
    bool get = op == JOB_STATUS || op == JOB_CONTENT;
    Ask ask = {.client = client,
               .p = p,
               .method = get ? "GET" : "POST",
               .type = get ? NULL : type,
               .body = body,
               .once = op == JOB_CREATE || op == JOB_UPLOAD};
    if (rc == 0) {
        rc = ask_provider(&ask, url.data, out, e);
    }
    buf_done(&url);
    return rc;
}

static int find_provider(LlmClient *client, Slice name, Provider **ret_provider, Err *e)
{
    LlmChain chain;
    int rc = llm_config_chain(client->config, (Slice){0}, name, (Slice){0}, &chain, e);
    if (rc == 0 && client->o.cassette) {
        return err_set(e, ERR_UNSUPPORTED, "batch jobs are not recorded in cassettes");
    }
    if (rc == 0) {
        *ret_provider = &client->providers[chain.targets[0].provider];
    }
    return rc;
}

// ---- submitting

static int item_body(const Provider *p, Slice model, const LlmBatchItem *item, JsonWriter *w,
                     Err *e)
{
    LlmAsk ask = {&p->config->endpoint, item->request, model, false};
    int rc = p->adapter->chat_body(&ask, w, e);
    if (rc != 0) {
        (void)err_wrap(e, "item %.*s", SLICE_FMT(item->custom_id));
    }
    return rc;
}

static int openai_line(const Provider *p, Slice model, const LlmBatchItem *item, Buf *out, Err *e)
{
    JsonWriter w = json_writer(out, 0);
    json_object_begin(&w);
    json_field_string(&w, "custom_id", item->custom_id);
    json_field_cstr(&w, "method", "POST");
    json_field_cstr(&w, "url",
                    p->config->protocol == LLM_OPENAI_RESPONSES ? "/v1/responses"
                                                                : "/v1/chat/completions");
    json_key(&w, SLICE("body"));
    int rc = item_body(p, model, item, &w, e);
    if (rc == 0) {
        json_object_end(&w);
        buf_putc(out, '\n');
    }
    return rc;
}

// The multipart form of the file, RFC 7578. A line of JSON cannot hold the boundary's line break.
static int openai_form(const Provider *p, Slice model, const LlmBatchItem *items, size_t count,
                       Buf *out, Err *e)
{
    buf_puts(out, "--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n"
                  "batch\r\n--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"file\"; "
                  "filename=\"batch.jsonl\"\r\nContent-Type: application/jsonl\r\n\r\n");
    for (size_t i = 0; i < count; i++) {
        int rc = openai_line(p, model, &items[i], out, e);
        if (rc != 0) {
            return rc;
        }
    }
    buf_puts(out, "\r\n--" BOUNDARY "--\r\n");
    return 0;
}

static int json_body(const Provider *p, Slice model, const LlmBatchItem *items, size_t count,
                     Buf *out, Err *e)
{
    bool gemini = p->config->protocol == LLM_GEMINI;
    // The writers' own grammar nests deeper than it is worth spelling out twice.
    buf_puts(out, gemini ? "{\"batch\":{\"displayName\":\"perfwright\",\"inputConfig\":"
                           "{\"requests\":{\"requests\":["
                         : "{\"requests\":[");
    for (size_t i = 0; i < count; i++) {
        JsonWriter w = json_writer(out, 0);
        buf_puts(out, i > 0 ? "," : "");
        json_object_begin(&w);
        if (!gemini) {
            json_field_string(&w, "custom_id", items[i].custom_id);
        }
        json_key(&w, gemini ? SLICE("request") : SLICE("params"));
        int rc = item_body(p, model, &items[i], &w, e);
        if (rc != 0) {
            return rc;
        }
        if (gemini) {
            json_key(&w, SLICE("metadata"));
            json_object_begin(&w);
            json_field_string(&w, "key", items[i].custom_id);
            json_object_end(&w);
        }
        json_object_end(&w);
    }
    buf_puts(out, gemini ? "]}}}}" : "]}");
    return 0;
}

static Slice text_of(const Doc *object, const char *key)
{
    const Doc *d = object ? doc_get(object, slice_from_cstr(key)) : NULL;
    return d && d->type == DOC_STRING ? d->text : (Slice){0};
}

static int read_id(Slice answer, const char *key, Arena *arena, Slice *ret_id, Err *e)
{
    Arena *scratch = arena_create(64 << 20);
    const Doc *doc = NULL;
    int rc = doc_parse(scratch, answer, NULL, &doc, e);
    if (rc == 0) {
        *ret_id = arena_copy(arena, text_of(doc, key));
        rc = ret_id->len > 0 ? 0 : err_set(e, ERR_PROTOCOL, "the answer has no '%s'", key);
    }
    arena_destroy(scratch);
    return rc;
}

static int submit_openai(LlmClient *client, Provider *p, Buf *form, Arena *arena, Slice *ret_id,
                         Err *e)
{
    Buf answer = buf_create(1 << 20), body = buf_create(1 << 10);
    Slice file = {0};
    int rc =
        call(client, p, JOB_UPLOAD, (Slice){0},
             "Content-Type: multipart/form-data; boundary=" BOUNDARY, buf_slice(form), &answer, e);
    if (rc == 0) {
        rc = read_id(buf_slice(&answer), "id", arena, &file, e);
    }
    if (rc == 0) {
        JsonWriter w = json_writer(&body, 0);
        json_object_begin(&w);
        json_field_string(&w, "input_file_id", file);
        json_field_cstr(&w, "endpoint",
                        p->config->protocol == LLM_OPENAI_RESPONSES ? "/v1/responses"
                                                                    : "/v1/chat/completions");
        json_field_cstr(&w, "completion_window", "24h");
        json_object_end(&w);
        rc = call(client, p, JOB_CREATE, (Slice){0}, "Content-Type: application/json",
                  buf_slice(&body), &answer, e);
    }
    if (rc == 0) {
        rc = read_id(buf_slice(&answer), "id", arena, ret_id, e);
    }
    buf_done(&answer);
    buf_done(&body);
    return rc;
}

int llm_batch_submit(LlmClient *client, Slice provider, Slice model, const LlmBatchItem *items,
                     size_t count, Arena *arena, Slice *ret_id, Err *e)
{
    Provider *p = NULL;
    int rc = find_provider(client, provider, &p, e);
    if (rc != 0) {
        return rc;
    }
    if (count == 0 || count > LLM_BATCH_ITEMS_MAX) {
        return err_set(e, ERR_ARG, "a batch has 1 to %d items", LLM_BATCH_ITEMS_MAX);
    }
    LlmProtocol protocol = p->config->protocol;
    bool file = protocol == LLM_OPENAI || protocol == LLM_OPENAI_RESPONSES || protocol == LLM_AZURE;
    model = model.len > 0 ? model : p->config->model;
    Buf body = buf_create(JOB_BYTES_MAX), answer = buf_create(1 << 20);
    rc = file ? openai_form(p, model, items, count, &body, e)
              : json_body(p, model, items, count, &body, e);
    if (rc == 0) {
        rc = buf_check(&body, "the batch", e);
    }
    if (rc == 0 && file) {
        rc = submit_openai(client, p, &body, arena, ret_id, e);
    } else if (rc == 0) {
        bool gemini = protocol == LLM_GEMINI;
        rc = call(client, p, JOB_CREATE, gemini ? model : (Slice){0},
                  "Content-Type: application/json", buf_slice(&body), &answer, e);
        if (rc == 0) {
            rc = read_id(buf_slice(&answer), gemini ? "name" : "id", arena, ret_id, e);
        }
    }
    buf_done(&body);
    buf_done(&answer);
    return rc;
}

// ---- status

static int64_t number_of(const Doc *object, const char *key)
{
    const Doc *d = object ? doc_get(object, slice_from_cstr(key)) : NULL;
    int64_t n = 0;
    if (d && d->type == DOC_STRING) { // 64-bit integers are strings in Google's JSON
        return slice_to_i64(d->text, &n) == 0 ? n : 0;
    }
    return d && d->type == DOC_INT ? d->integer : 0;
}

static LlmBatchState state_of(Slice text)
{
    static const struct {
        const char *word;
        LlmBatchState state;
    } WORDS[] = {
        {"completed", LLM_BATCH_ENDED},     {"ended", LLM_BATCH_ENDED},
        {"SUCCEEDED", LLM_BATCH_ENDED},     {"failed", LLM_BATCH_FAILED},
        {"FAILED", LLM_BATCH_FAILED},       {"cancelled", LLM_BATCH_CANCELLED},
        {"CANCELLED", LLM_BATCH_CANCELLED}, {"expired", LLM_BATCH_EXPIRED},
        {"EXPIRED", LLM_BATCH_EXPIRED},
    };
    for (size_t i = 0; i < COUNT_OF(WORDS); i++) {
        if (slice_ends_with(text, slice_from_cstr(WORDS[i].word))) {
            return WORDS[i].state;
        }
    }
    return LLM_BATCH_RUNNING;
}

static void read_status(const Provider *p, const Doc *doc, LlmBatchStatus *s)
{
    const Doc *counts = doc_get(doc, SLICE("request_counts"));
    if (p->config->protocol == LLM_ANTHROPIC) {
        s->state_text = text_of(doc, "processing_status");
        s->succeeded = number_of(counts, "succeeded");
        s->failed = number_of(counts, "errored") + number_of(counts, "expired") +
                    number_of(counts, "canceled");
        s->total = s->succeeded + s->failed + number_of(counts, "processing");
        s->output = s->id;
    } else if (p->config->protocol == LLM_GEMINI) {
        const Doc *meta = doc_get(doc, SLICE("metadata"));
        const Doc *stats = meta ? doc_get(meta, SLICE("batchStats")) : NULL;
        const Doc *response = doc_get(doc, SLICE("response"));
        const Doc *outer = response ? doc_get(response, SLICE("inlinedResponses")) : NULL;
        s->state_text = text_of(meta, "state");
        s->total = number_of(stats, "requestCount");
        s->succeeded = number_of(stats, "successfulRequestCount");
        s->failed = number_of(stats, "failedRequestCount");
        s->inline_results = outer ? doc_get(outer, SLICE("inlinedResponses")) : NULL;
    } else {
        s->state_text = text_of(doc, "status");
        s->total = number_of(counts, "total");
        s->succeeded = number_of(counts, "completed");
        s->failed = number_of(counts, "failed");
        s->output = text_of(doc, "output_file_id");
        s->errors = text_of(doc, "error_file_id");
    }
    s->state = state_of(s->state_text);
}

int llm_batch_status(LlmClient *client, Slice provider, Slice id, Arena *arena,
                     LlmBatchStatus *ret_status, Err *e)
{
    Provider *p = NULL;
    Buf answer = buf_create(LLM_HTTP_BODY_MAX);
    int rc = find_provider(client, provider, &p, e);
    if (rc == 0) {
        rc = call(client, p, JOB_STATUS, id, NULL, (Slice){0}, &answer, e);
    }
    const Doc *doc = NULL;
    DocOptions options = {
        .format = DOC_FORMAT_JSON, .source = "answer", .max_bytes = LLM_HTTP_BODY_MAX};
    if (rc == 0) {
        rc = doc_parse(arena, buf_slice(&answer), &options, &doc, e);
    }
    if (rc == 0) {
        *ret_status = (LlmBatchStatus){.id = arena_copy(arena, id)};
        read_status(p, doc, ret_status);
    }
    buf_done(&answer);
    return rc;
}

int llm_batch_cancel(LlmClient *client, Slice provider, Slice id, Err *e)
{
    Provider *p = NULL;
    Buf answer = buf_create(1 << 20);
    int rc = find_provider(client, provider, &p, e);
    if (rc == 0) {
        rc = call(client, p, JOB_CANCEL, id, "Content-Type: application/json", SLICE("{}"), &answer,
                  e);
    }
    buf_done(&answer);
    return rc;
}

// ---- results

typedef struct Results {
    LlmClient *client;
    Provider *p;
    LlmBatchResultFn *fn;
    void *ctx;
} Results;

// `body` is an answer as the provider gives it to a single call, or an error.
static int give(const Results *r, Slice custom_id, const Doc *body)
{
    Arena *arena = arena_create(4UL * LLM_HTTP_BODY_MAX),
          *scratch = arena_create(8UL * LINE_BYTES_MAX);
    Err words = {0};
    LlmResponse response = {.provider = r->p->config->name};
    LlmAnswer answer;
    llm_answer_init(&answer, arena, &words);
    int rc;
    if (!body || body->type != DOC_OBJECT) {
        rc = llm_answer_fail(&answer, ERR_PROTOCOL, "the item has no answer");
    } else {
        Buf text = buf_create(LINE_BYTES_MAX);
        JsonWriter w = json_writer(&text, 0);
        doc_write(&w, body);
        rc = llm_read_answer(r->p->adapter, buf_slice(&text), scratch, &answer);
        buf_done(&text);
    }
    if (rc == 0) {
        llm_answer_finish(&answer, &response);
        const LlmPrice *price = llm_config_price(r->client->config, response.model);
        response.usage.cost_nano_usd = llm_price_of(price, &response.usage) / 2; // half price
    }
    response.failure = answer.failure;
    response.failure.kind =
        rc != 0 && answer.failure.kind == LLM_OK ? LLM_FAIL_RESPONSE : answer.failure.kind;
    int stop = r->fn(r->ctx, custom_id, rc, &response, words.text);
    llm_answer_done(&answer);
    arena_destroy(arena);
    arena_destroy(scratch);
    return stop;
}

// Anthropic's result says what became of the item; what has no message is an error in its words.
static const Doc *anthropic_body(const Doc *line)
{
    const Doc *result = doc_get(line, SLICE("result"));
    const Doc *message = result ? doc_get(result, SLICE("message")) : NULL;
    const Doc *error = result ? doc_get(result, SLICE("error")) : NULL;
    return message ? message : error;
}

static int give_line(const Results *r, Slice text, Err *e)
{
    Arena *arena = arena_create(8UL * LINE_BYTES_MAX);
    const Doc *line = NULL;
    DocOptions options = {
        .format = DOC_FORMAT_JSON, .source = "result", .max_bytes = LINE_BYTES_MAX};
    int rc = doc_parse(arena, text, &options, &line, e);
    if (rc == 0) {
        const Doc *response = doc_get(line, SLICE("response"));
        const Doc *body = r->p->config->protocol == LLM_ANTHROPIC ? anthropic_body(line)
                          : response                              ? doc_get(response, SLICE("body"))
                                     : line; // {"error": {...}} without a response
        rc = give(r, text_of(line, "custom_id"), body);
    }
    arena_destroy(arena);
    return rc;
}

static int give_file(const Results *r, Slice id, Err *e)
{
    if (id.len == 0) {
        return 0; // a batch without errors has no file of them
    }
    Buf lines = buf_create(JOB_BYTES_MAX);
    int rc = call(r->client, r->p, JOB_CONTENT, id, NULL, (Slice){0}, &lines, e);
    Slice left = buf_slice(&lines), line;
    while (rc == 0 && left.len > 0) {
        (void)slice_cut(left, '\n', &line, &left);
        line = slice_trim(line);
        rc = line.len > 0 ? give_line(r, line, e) : 0;
    }
    buf_done(&lines);
    return rc;
}

static int give_inline(const Results *r, const Doc *list)
{
    int rc = 0;
    for (const Doc *d = doc_first(list); rc == 0 && d; d = doc_next(d)) {
        const Doc *response = doc_get(d, SLICE("response"));
        Slice key = text_of(doc_get(d, SLICE("metadata")), "key");
        rc = give(r, key, response ? response : d);
    }
    return rc;
}

int llm_batch_results(LlmClient *client, Slice provider, const LlmBatchStatus *status,
                      LlmBatchResultFn *fn, void *ctx, Err *e)
{
    Results r = {.client = client, .fn = fn, .ctx = ctx};
    int rc = find_provider(client, provider, &r.p, e);
    if (rc != 0) {
        return rc;
    }
    if (status->state == LLM_BATCH_RUNNING) {
        return err_set(e, ERR_BUSY, "the batch %.*s is still %.*s", SLICE_FMT(status->id),
                       SLICE_FMT(status->state_text));
    }
    if (status->inline_results) {
        return give_inline(&r, status->inline_results);
    }
    rc = give_file(&r, status->output, e);
    return rc != 0 ? rc : give_file(&r, status->errors, e);
}
