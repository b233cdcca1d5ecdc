// What the fake tells about itself and what can be changed while it runs: /health, /metrics,
// /_fake/settings, /_fake/counts.
#include "base/json_write.h"
#include "llm/fake_shard.h"

static const char *const provider_names[] = {"openai", "azure", "anthropic", "gemini", "ollama"};
static const char *const status_names[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};

void fake_show_health(FakeWork *w)
{
    buf_reset(&w->out);
    FAKE_PUT(&w->out, "{\"status\":\"ok\"}");
    fake_send_json(w, 200);
}

// ---- Prometheus

static void family(Buf *out, const char *name, const char *help)
{
    buf_printf(out, "# HELP perfwright_fake_%s %s\n# TYPE perfwright_fake_%s counter\n", name, help,
               name);
}

static void value(Buf *out, const char *name, const char *label, const char *of, uint64_t n)
{
    if (label) {
        buf_printf(out, "perfwright_fake_%s{%s=\"%s\"} %llu\n", name, label, of,
                   (unsigned long long)n);
    } else {
        buf_printf(out, "perfwright_fake_%s %llu\n", name, (unsigned long long)n);
    }
}

void fake_show_metrics(FakeWork *w)
{
    FakeCounts c = fake_llm_counts(w->shard->llm);
    Buf *out = &w->out;
    buf_reset(out);
    family(out, "requests_total", "Requests by the provider they were for.");
    for (size_t i = 0; i < COUNT_OF(provider_names); i++) {
        value(out, "requests_total", "provider", provider_names[i], c.requests[i]);
    }
    family(out, "responses_total", "Answers by class of status.");
    for (size_t i = 0; i < COUNT_OF(status_names); i++) {
        value(out, "responses_total", "status", status_names[i], c.statuses[i]);
    }
    family(out, "faults_total", "Faults that were done.");
    for (size_t i = 0; i < FAKE_FAULTS; i++) {
        value(out, "faults_total", "kind", fake_fault_name((FakeFault)i), c.faults[i]);
    }
    family(out, "streams_total", "Streamed answers.");
    value(out, "streams_total", NULL, NULL, c.streams);
    family(out, "embeddings_total", "Texts embedded.");
    value(out, "embeddings_total", NULL, NULL, c.embeddings);
    family(out, "tool_calls_total", "Tool calls asked for.");
    value(out, "tool_calls_total", NULL, NULL, c.tool_calls);
    family(out, "tokens_total", "Tokens as they were counted for usage.");
    value(out, "tokens_total", "type", "input", c.tokens_in);
    value(out, "tokens_total", "type", "output", c.tokens_out);
    w->status = 200;
    (void)http_reply_send(w->reply, 200, SLICE("text/plain; version=0.0.4; charset=utf-8"),
                          buf_slice(out), NULL);
}

void fake_show_counts(FakeWork *w)
{
    FakeCounts c = fake_llm_counts(w->shard->llm);
    buf_reset(&w->out);
    JsonWriter j = json_writer(&w->out, 0);
    json_object_begin(&j);
    json_key(&j, SLICE("requests"));
    json_object_begin(&j);
    for (size_t i = 0; i < COUNT_OF(provider_names); i++) {
        json_field_int(&j, provider_names[i], (int64_t)c.requests[i]);
    }
    json_object_end(&j);
    json_key(&j, SLICE("responses"));
    json_object_begin(&j);
    for (size_t i = 0; i < COUNT_OF(status_names); i++) {
        json_field_int(&j, status_names[i], (int64_t)c.statuses[i]);
    }
    json_object_end(&j);
    json_key(&j, SLICE("faults"));
    json_object_begin(&j);
    for (size_t i = 0; i < FAKE_FAULTS; i++) {
        json_field_int(&j, fake_fault_name((FakeFault)i), (int64_t)c.faults[i]);
    }
    json_object_end(&j);
    json_field_int(&j, "streams", (int64_t)c.streams);
    json_field_int(&j, "embeddings", (int64_t)c.embeddings);
    json_field_int(&j, "tool_calls", (int64_t)c.tool_calls);
    json_field_int(&j, "tokens_in", (int64_t)c.tokens_in);
    json_field_int(&j, "tokens_out", (int64_t)c.tokens_out);
    json_object_end(&j);
    fake_send_json(w, 200);
}

// ---- settings

void fake_show_settings(FakeWork *w)
{
    FakeSettings settings = fake_llm_settings(w->shard->llm);
    buf_reset(&w->out);
    JsonWriter j = json_writer(&w->out, 0);
    fake_settings_write(&settings, &j);
    fake_send_json(w, 200);
}

// The members that are given; the others stay.
void fake_change_settings(FakeWork *w)
{
    FakeLlm *llm = w->shard->llm;
    FakeSettings settings = fake_llm_settings(llm);
    Arena *arena = arena_create(1 << 20);
    const Doc *doc = NULL;
    Err e;
    e.text[0] = 0;
    DocOptions options = {
        .format = DOC_FORMAT_JSON, .source = "body", .max_bytes = 64 << 10, .max_nodes = 4096};
    int rc = doc_parse(arena, w->body, &options, &doc, &e);
    if (rc == 0) { // long lists of values stay for good, so they come from a bounded arena
        (void)pthread_mutex_lock(&llm->lock);
        rc = fake_settings_read(llm->arena, doc, true, false, &settings, &e);
        (void)pthread_mutex_unlock(&llm->lock);
    }
    if (rc == 0) {
        fake_llm_change(llm, &settings);
        fake_show_settings(w);
    } else {
        FakeFailure f = fake_failure(400, e.text);
        fake_send_failure(w, &f);
    }
    arena_destroy(arena);
}

// Back to what the script and the command line said.
void fake_reset_settings(FakeWork *w)
{
    fake_llm_change(w->shard->llm, &w->shard->llm->script->settings);
    fake_show_settings(w);
}
