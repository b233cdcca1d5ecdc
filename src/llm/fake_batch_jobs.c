// The batch jobs of Anthropic and Gemini, whose requests come inline.
#include "llm/fake_batch.h"
#include "llm/fake_shard.h"

static Slice message_prefix(void)
{
    return SLICE("msgbatch_");
}

static void put_rfc3339(Buf *out, const char *name, int64_t at_s)
{
    buf_printf(out, ",\"%s\":", name);
    if (at_s <= 0) {
        FAKE_PUT(out, "null");
        return;
    }
    char text[CLOCK_RFC3339_MAX];
    clock_print_rfc3339(at_s * NS_PER_S, text);
    buf_printf(out, "\"%s\"", text);
}

// ---- Anthropic

static void put_message_batch(const FakeWork *w, const FakeObject *o, Buf *out)
{
    FakeBatchState state = fake_batch_state(w, o);
    bool ended = state != FAKE_BATCH_RUNNING;
    bool done = state == FAKE_BATCH_DONE;
    int64_t good = done ? o->total - o->failed : 0;
    FAKE_PUT(out, "{\"id\":\"");
    fake_put_id(out, message_prefix(), o->id);
    buf_printf(out,
               "\",\"type\":\"message_batch\",\"processing_status\":\"%s\",\"request_counts\":{"
               "\"processing\":%lld,\"succeeded\":%lld,\"errored\":%lld,\"canceled\":%lld,"
               "\"expired\":0}",
               ended ? "ended" : "in_progress", (long long)(ended ? 0 : o->total), (long long)good,
               (long long)(done ? o->failed : 0),
               (long long)(state == FAKE_BATCH_CANCELLED ? o->total : 0));
    put_rfc3339(out, "created_at", o->created_s);
    put_rfc3339(out, "expires_at", o->created_s + 24 * 3600);
    put_rfc3339(out, "ended_at", ended ? (done ? o->ready_ns / NS_PER_S : o->cancelled_s) : 0);
    put_rfc3339(out, "cancel_initiated_at", o->cancelled_s);
    FAKE_PUT(out, ",\"archived_at\":null,\"results_url\":");
    if (ended) { // the client's own base, as far as its request tells
        Slice host = http_head_get(w->http->head, SLICE("host"));
        buf_puts(out, w->http->tls ? "\"https://" : "\"http://");
        fake_put_escaped(out, host);
        FAKE_PUT(out, "/v1/messages/batches/");
        fake_put_id(out, message_prefix(), o->id);
        FAKE_PUT(out, "/results\"}");
    } else {
        FAKE_PUT(out, "null}");
    }
}

typedef struct InlineRun {
    FakeObject *batch;
    Buf *results;
    Slice key;
} InlineRun;

static void add_message_result(void *ctx, FakeWork *one)
{
    InlineRun *run = ctx;
    Buf *out = run->results;
    bool ok = one->status == 200;
    FAKE_PUT(out, "{\"custom_id\":");
    fake_put_string(out, run->key);
    buf_append(out, ok ? SLICE(",\"result\":{\"type\":\"succeeded\",\"message\":")
                       : SLICE(",\"result\":{\"type\":\"errored\",\"error\":"));
    buf_append(out, buf_slice(&one->out));
    FAKE_PUT(out, "}}\n");
    run->batch->total++;
    run->batch->failed += !ok;
}

static void run_one(FakeWork *w, InlineRun *run, const FakeRoute *route, JsonVal *request,
                    size_t number, void (*fn)(void *ctx, FakeWork *one))
{
    size_t len = 0;
    char *text = request ? yyjson_val_write(request, 0, &len) : NULL;
    fake_job_run(w, route, (Slice){text, text ? len : 0}, number, (FakeLine){fn, run});
    free(text);
}

static void keep_job(FakeWork *w, FakeObjectKind kind, FakeObject *o)
{
    o->created_s = fake_now_s(w);
    o->ready_ns = clock_wall(loop_clock_source(w->shard->loop)) + w->settings.batch_delay_ns;
    fake_store_put(w->shard->llm->store, kind, o);
    buf_done(&o->data);
    buf_reset(&w->out);
}

static void create_message_batch(FakeWork *w, JsonVal *requests)
{
    static const FakeRoute route = {
        .provider = FAKE_BY_ANTHROPIC, .operation = fake_generate, .api = &FAKE_API_ANTHROPIC};
    FakeObject o = {.id = fake_new_id(w), .data = buf_create(FAKE_OBJECT_BYTES_MAX)};
    InlineRun run = {.batch = &o, .results = &o.data};
    size_t i, n;
    JsonVal *request;
    yyjson_arr_foreach(requests, i, n, request)
    {
        run.key = json_text_at(request, "custom_id");
        run_one(w, &run, &route, json_at(request, "params"), i, add_message_result);
    }
    keep_job(w, FAKE_MESSAGE_BATCH, &o);
    put_message_batch(w, &o, &w->out);
    fake_send_json(w, 200);
}

void fake_message_batch_create(FakeWork *w)
{
    if (!fake_parse_body(w)) {
        return;
    }
    JsonVal *requests = json_at(yyjson_doc_get_root(w->doc), "requests");
    if (yyjson_arr_size(requests) > 0) {
        create_message_batch(w, requests);
    } else {
        FakeFailure f = fake_failure(400, "requests: at least one request is required");
        fake_send_failure(w, &f);
    }
    fake_forget_body(w);
}

static bool get_message_batch(FakeWork *w, FakeObject *ret_object, Buf *data)
{
    uint64_t id = fake_id_number(w->route.id, message_prefix());
    if (fake_store_get(w->shard->llm->store, FAKE_MESSAGE_BATCH, id, ret_object, data) != 0) {
        fake_not_found(w, "There is no such message batch.");
        return false;
    }
    return true;
}

void fake_message_batch_show(FakeWork *w)
{
    FakeObject o;
    if (get_message_batch(w, &o, NULL)) {
        buf_reset(&w->out);
        put_message_batch(w, &o, &w->out);
        fake_send_json(w, 200);
    }
}

void fake_message_batch_cancel(FakeWork *w)
{
    uint64_t id = fake_id_number(w->route.id, message_prefix());
    (void)!fake_store_cancel(w->shard->llm->store, FAKE_MESSAGE_BATCH, id, fake_now_s(w));
    fake_message_batch_show(w);
}

void fake_message_batch_results(FakeWork *w)
{
    FakeObject o;
    buf_reset(&w->made);
    if (!get_message_batch(w, &o, &w->made)) {
        return;
    }
    if (fake_batch_state(w, &o) != FAKE_BATCH_DONE) {
        fake_not_found(w, "The results are not available yet.");
        return;
    }
    w->status = 200;
    fake_add_headers(w, 200);
    (void)http_reply_send(w->reply, 200, SLICE("application/x-jsonl"), buf_slice(&w->made), NULL);
}

void fake_message_batch_delete(FakeWork *w)
{
    uint64_t id = fake_id_number(w->route.id, message_prefix());
    if (fake_store_remove(w->shard->llm->store, FAKE_MESSAGE_BATCH, id) != 0) {
        fake_not_found(w, "There is no such message batch.");
        return;
    }
    buf_reset(&w->out);
    FAKE_PUT(&w->out, "{\"type\":\"message_batch_deleted\",\"id\":\"");
    fake_put_id(&w->out, message_prefix(), id);
    FAKE_PUT(&w->out, "\"}");
    fake_send_json(w, 200);
}

void fake_message_batch_list(FakeWork *w)
{
    fake_list_objects(w, FAKE_MESSAGE_BATCH, put_message_batch, SLICE("{\"data\":["),
                      SLICE("],\"has_more\":false,\"first_id\":null,\"last_id\":null}"));
}

// ---- Gemini

static void put_gemini_batch(FakeWork *w, const FakeObject *o, Slice responses)
{
    static const char *const states[] = {"BATCH_STATE_RUNNING", "BATCH_STATE_SUCCEEDED",
                                         "BATCH_STATE_CANCELLED"};
    FakeBatchState state = fake_batch_state(w, o);
    bool done = state == FAKE_BATCH_DONE;
    Buf *out = &w->out;
    FAKE_PUT(out, "{\"name\":\"batches/");
    fake_put_id(out, SLICE(""), o->id);
    FAKE_PUT(out, "\",\"metadata\":{\"@type\":\"type.googleapis.com/google.ai.generativelanguage."
                  "v1main.GenerateContentBatch\",\"name\":\"batches/");
    fake_put_id(out, SLICE(""), o->id);
    FAKE_PUT(out, "\",\"model\":\"models/");
    fake_put_escaped(out, slice_from_cstr(o->name));
    FAKE_PUT(out, "\",\"displayName\":");
    fake_put_string(out, slice_from_cstr(o->purpose));
    put_rfc3339(out, "createTime", o->created_s);
    put_rfc3339(out, "updateTime", o->created_s);
    put_rfc3339(out, "endTime", state == FAKE_BATCH_RUNNING ? 0 : o->ready_ns / NS_PER_S);
    buf_printf(out,
               ",\"state\":\"%s\",\"batchStats\":{\"requestCount\":\"%lld\","
               "\"successfulRequestCount\":\"%lld\",\"failedRequestCount\":\"%lld\"}",
               states[state], (long long)o->total, (long long)(done ? o->total - o->failed : 0),
               (long long)(done ? o->failed : 0));
    if (done) {
        FAKE_PUT(out, ",\"output\":{\"inlinedResponses\":{\"inlinedResponses\":[");
        buf_append(out, responses);
        FAKE_PUT(out, "]}}},\"done\":true,\"response\":{\"@type\":\"type.googleapis.com/google.ai."
                      "generativelanguage.v1main.GenerateContentBatchOutput\","
                      "\"inlinedResponses\":{\"inlinedResponses\":[");
        buf_append(out, responses);
        FAKE_PUT(out, "]}}}");
    } else {
        buf_append(out, state == FAKE_BATCH_CANCELLED ? SLICE("},\"done\":true}") : SLICE("}}"));
    }
}

static void add_gemini_result(void *ctx, FakeWork *one)
{
    InlineRun *run = ctx;
    Buf *out = run->results;
    bool ok = one->status == 200;
    buf_append(out, run->batch->total > 0 ? SLICE(",") : SLICE(""));
    FAKE_PUT(out, "{\"metadata\":{\"key\":");
    fake_put_string(out, run->key);
    FAKE_PUT(out, "},");
    if (ok) {
        FAKE_PUT(out, "\"response\":");
        buf_append(out, buf_slice(&one->out));
        FAKE_PUT(out, "}");
    } else { // the answer is {"error":{...}}: its inside is a member here
        buf_append(out, slice_sub(buf_slice(&one->out), 1, one->out.len));
    }
    run->batch->total++;
    run->batch->failed += !ok;
}

static void create_gemini_batch(FakeWork *w, JsonVal *batch, JsonVal *requests)
{
    FakeRoute route = {.provider = FAKE_BY_GEMINI,
                       .operation = fake_generate,
                       .api = &FAKE_API_GEMINI,
                       .model = w->route.model};
    FakeObject o = {.id = fake_new_id(w), .data = buf_create(FAKE_OBJECT_BYTES_MAX)};
    InlineRun run = {.batch = &o, .results = &o.data};
    (void)snprintf(o.name, sizeof o.name, "%.*s", SLICE_FMT(w->route.model));
    (void)snprintf(o.purpose, sizeof o.purpose, "%.*s",
                   SLICE_FMT(json_text_at(batch, "displayName")));
    size_t i, n;
    JsonVal *request;
    yyjson_arr_foreach(requests, i, n, request)
    {
        run.key = json_text_at(json_at(request, "metadata"), "key");
        run_one(w, &run, &route, json_at(request, "request"), i, add_gemini_result);
    }
    Buf responses = o.data;
    o.data = buf_create(FAKE_OBJECT_BYTES_MAX);
    buf_append(&o.data, buf_slice(&responses));
    keep_job(w, FAKE_GEMINI_BATCH, &o);
    put_gemini_batch(w, &o, buf_slice(&responses));
    buf_done(&responses);
    fake_send_json(w, 200);
}

void fake_gemini_batch_create(FakeWork *w)
{
    if (!fake_parse_body(w)) {
        return;
    }
    JsonVal *batch = json_at(yyjson_doc_get_root(w->doc), "batch");
    JsonVal *requests = json_at(json_at(json_at(batch, "inputConfig"), "requests"), "requests");
    if (yyjson_arr_size(requests) > 0) {
        create_gemini_batch(w, batch, requests);
    } else {
        FakeFailure f = fake_failure(400, "batch.inputConfig.requests must hold a request; files "
                                          "are not read by this fake.");
        fake_send_failure(w, &f);
    }
    fake_forget_body(w);
}

void fake_gemini_batch_show(FakeWork *w)
{
    FakeObject o;
    buf_reset(&w->made);
    if (fake_store_get(w->shard->llm->store, FAKE_GEMINI_BATCH,
                       fake_id_number(w->route.id, SLICE("")), &o, &w->made) != 0) {
        fake_not_found(w, "There is no such batch.");
        return;
    }
    buf_reset(&w->out);
    put_gemini_batch(w, &o, buf_slice(&w->made));
    fake_send_json(w, 200);
}

void fake_gemini_batch_cancel(FakeWork *w)
{
    uint64_t id = fake_id_number(w->route.id, SLICE(""));
    if (fake_store_cancel(w->shard->llm->store, FAKE_GEMINI_BATCH, id, fake_now_s(w)) != 0) {
        fake_not_found(w, "There is no such batch.");
        return;
    }
    buf_reset(&w->out);
    FAKE_PUT(&w->out, "{}");
    fake_send_json(w, 200);
}
