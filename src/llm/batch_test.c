// Batch jobs and plain calls against the room's own fake of all providers, which the vendors' SDKs
// hold to the formats (test/fake_llm_sdk_test.py).
#include "llm/batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>
#include <cmocka.h>

#include "llm/config.h"
#include "llm/fake.h"
#include "net/tls_cert.h"

typedef struct World {
    Loop *loop;
    FiberPool *pool;
    FakeLlm *fake;
    Arena *arena;
    LlmConfig config;
    LlmClient *client;
    bool done;
    bool tls;
    Buf cert, key;
    char ca_path[40];
} World;

static const char TOML[] =
    "[openai]\nbase_url = \"http://127.0.0.1:@PORT/v1\"\nmodel = \"gpt-4o\"\n"
    "[responses]\nprovider = \"openai-responses\"\nbase_url = \"http://127.0.0.1:@PORT/v1\"\n"
    "model = \"gpt-4o\"\n"
    "[azure]\nbase_url = \"http://127.0.0.1:@PORT\"\nmodel = \"gpt-4o\"\n"
    "[anthropic]\nbase_url = \"http://127.0.0.1:@PORT\"\nmodel = \"claude-sonnet-4-5\"\n"
    "[gemini]\nbase_url = \"http://127.0.0.1:@PORT\"\nmodel = \"gemini-2.5-flash\"\n"
    "[ollama]\nbase_url = \"http://127.0.0.1:@PORT\"\nmodel = \"llama3\"\n"
    "[prices.gpt-4o]\ninput = 2\noutput = 10\n";

static const char TOML_TLS[] = "[openai]\nbase_url = \"https://localhost:@PORT/v1\"\n"
                               "model = \"gpt-4o\"\nca_file = \"";

static void open_world(World *w)
{
    NetAddr addr = fake_llm_addr(w->fake);
    Buf text = buf_create(4096);
    Slice left = w->tls ? SLICE(TOML_TLS) : SLICE(TOML);
    for (ptrdiff_t at; (at = slice_find(left, SLICE("@PORT"))) >= 0;) {
        buf_append(&text, slice_sub(left, 0, (size_t)at));
        buf_printf(&text, "%d", net_addr_port(&addr));
        left = slice_sub(left, (size_t)at + 5, left.len);
    }
    buf_append(&text, left);
    if (w->tls) {
        buf_printf(&text, "%s\"\n", w->ca_path);
    }
    const Doc *doc = NULL;
    DocOptions options = {.format = DOC_FORMAT_TOML};
    assert_int_equal(doc_parse(w->arena, buf_slice(&text), &options, &doc, NULL), 0);
    buf_done(&text);
    assert_int_equal(llm_config_read(w->arena, doc, &w->config, NULL), 0);
    LlmClientOptions o = {.loop = w->loop, .pool = w->pool, .config = &w->config};
    assert_int_equal(llm_client_create(&o, &w->client, NULL), 0);
}

// HTTP/2 over TLS: calls at the same time share one connection.
enum { CALLERS = 8 };

typedef struct Caller {
    World *w;
    Fiber *boss;
    int *left;
} Caller;

static void call_once(void *arg)
{
    Caller *c = arg;
    LlmPart part = llm_text(SLICE("Say something."));
    LlmMessage message = {LLM_USER, &part, 1};
    LlmRequest request = {.messages = &message, .message_count = 1, .cache = LLM_CACHE_BYPASS};
    LlmResponse r;
    Err e = {0};
    if (llm_chat(c->w->client, &request, &r, &e) != 0) {
        fail_msg("%s", e.text);
    }
    llm_response_done(&r);
    if (--*c->left == 0) {
        fiber_resume(c->boss);
    }
}

static void multiplexed(World *w)
{
    Caller callers[CALLERS];
    int left = CALLERS;
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (Caller){w, fiber_self(), &left};
        assert_non_null(fiber_spawn(w->pool, "caller", call_once, &callers[i]));
    }
    assert_int_equal(fiber_park("callers", NEVER_NS), 0);
    assert_int_equal(llm_client_stats(w->client).connections_opened, 1);
}

typedef struct Seen {
    int good, bad;
    bool ids[3];
} Seen;

static int on_result(void *ctx, Slice custom_id, int rc, const LlmResponse *r, const char *words)
{
    Seen *seen = ctx;
    assert_true(rc != 0 || words[0] == 0);
    seen->good += rc == 0 && r->text.len > 0;
    seen->bad += rc != 0;
    assert_int_equal(custom_id.len, 2);
    seen->ids[custom_id.ptr[1] - '0'] = true;
    return 0;
}

static void run_job(World *w, Slice provider)
{
    LlmPart part = llm_text(SLICE("Say something."));
    LlmMessage message = {LLM_USER, &part, 1};
    LlmRequest request = {.messages = &message, .message_count = 1, .max_output_tokens = 20};
    const LlmBatchItem items[] = {
        {SLICE("i0"), &request}, {SLICE("i1"), &request}, {SLICE("i2"), &request}};
    Slice id;
    Err e = {0};
    if (llm_batch_submit(w->client, provider, (Slice){0}, items, 3, w->arena, &id, &e) != 0) {
        fail_msg("%.*s: %s", SLICE_FMT(provider), e.text);
    }
    LlmBatchStatus status = {0};
    do {
        assert_int_equal(fiber_sleep(5 * NS_PER_MS), 0);
        if (llm_batch_status(w->client, provider, id, w->arena, &status, &e) != 0) {
            fail_msg("%.*s: %s", SLICE_FMT(provider), e.text);
        }
    } while (status.state == LLM_BATCH_RUNNING);
    assert_int_equal(status.state, LLM_BATCH_ENDED);
    assert_int_equal(status.total, 3);
    assert_int_equal(status.succeeded, 3);
    Seen seen = {0};
    if (llm_batch_results(w->client, provider, &status, on_result, &seen, &e) != 0) {
        fail_msg("%.*s: %s", SLICE_FMT(provider), e.text);
    }
    assert_int_equal(seen.good, 3);
    assert_true(seen.ids[0] && seen.ids[1] && seen.ids[2]);
}

static void jobs(World *w)
{
    static const char *const NAMES[] = {"openai", "responses", "azure", "anthropic", "gemini"};
    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        run_job(w, slice_from_cstr(NAMES[i]));
    }
    LlmRequest request = {0};
    LlmBatchItem item = {SLICE("x"), &request};
    Slice id;
    Err e;
    assert_int_equal(
        llm_batch_submit(w->client, SLICE("ollama"), (Slice){0}, &item, 1, w->arena, &id, &e),
        ERR_UNSUPPORTED);
    assert_int_equal(
        llm_batch_submit(w->client, SLICE("openai"), (Slice){0}, &item, 0, w->arena, &id, &e),
        ERR_ARG);
    LlmBatchStatus status;
    assert_int_equal(
        llm_batch_status(w->client, SLICE("openai"), SLICE("batch_none"), w->arena, &status, &e),
        ERR_ARG);
    assert_int_equal(llm_batch_cancel(w->client, SLICE("anthropic"), SLICE("none"), &e), ERR_ARG);
}

// Every provider's chat and embeddings, plain and streamed: usage is known and costs are counted.
static int count_chunk(void *ctx, const LlmChunk *chunk)
{
    *(size_t *)ctx += chunk->text.len;
    return 0;
}

static void calls(World *w)
{
    for (size_t i = 0; i < w->config.provider_count; i++) {
        for (int stream = 0; stream < 2; stream++) {
            LlmPart part = llm_text(SLICE("Say something."));
            LlmMessage message = {LLM_USER, &part, 1};
            size_t bytes = 0;
            LlmRequest request = {.provider = w->config.providers[i].name,
                                  .messages = &message,
                                  .message_count = 1,
                                  .cache = LLM_CACHE_BYPASS,
                                  .chunk_fn = stream ? count_chunk : NULL,
                                  .chunk_ctx = &bytes};
            LlmResponse r;
            Err e = {0};
            if (llm_chat(w->client, &request, &r, &e) != 0) {
                fail_msg("%s", e.text);
            }
            assert_true(r.text.len > 0 && (!stream || bytes == r.text.len));
            assert_true(r.usage.known && r.usage.output_tokens > 0);
            assert_true((r.usage.cost_nano_usd > 0) == (i < 3));
            llm_response_done(&r);
        }
        Slice inputs[2] = {SLICE("one"), SLICE("two")};
        LlmEmbedResponse v;
        int rc = llm_embed(w->client,
                           &(LlmEmbedRequest){.provider = w->config.providers[i].name,
                                              .inputs = inputs,
                                              .input_count = 2},
                           &v, NULL);
        bool none = w->config.providers[i].protocol == LLM_ANTHROPIC;
        assert_int_equal(rc, none ? ERR_UNSUPPORTED : 0);
        assert_true(none || (v.count == 2 && v.dimensions > 0));
        llm_embed_response_done(&v);
    }
}

static void (*part_of_test)(World *w);

static void main_fiber(void *arg)
{
    World *w = arg;
    open_world(w);
    part_of_test(w);
    w->done = true;
    loop_stop(w->loop);
}

static void make_certificate(World *w)
{
    w->cert = buf_create(TLS_CERT_BYTES_MAX);
    w->key = buf_create(TLS_CERT_BYTES_MAX);
    assert_int_equal(tls_cert_make(&(TlsCertSpec){.host = "localhost"}, &w->cert, &w->key, NULL),
                     0);
    (void)snprintf(w->ca_path, sizeof w->ca_path, "/tmp/pw-llm-ca-XXXXXX");
    int fd = mkstemp(w->ca_path);
    assert_int_equal(write(fd, w->cert.data, w->cert.len), w->cert.len);
    assert_int_equal(close(fd), 0);
}

static void run_world(void (*test)(World *w), bool tls)
{
    World w = {.tls = tls};
    if (tls) {
        make_certificate(&w);
    }
    part_of_test = test;
    w.arena = arena_create(64 << 20);
    assert_int_equal(loop_create(&(LoopOptions){0}, &w.loop, NULL), 0);
    w.pool = fiber_pool_create(w.loop, NULL);
    FakeScript *script = fake_script_default(w.arena);
    assert_int_equal(fake_llm_start(&(FakeLlmOptions){.script = script,
                                                      .loop = w.loop,
                                                      .pool = w.pool,
                                                      .tls_cert = buf_slice(&w.cert),
                                                      .tls_key = buf_slice(&w.key)},
                                    &w.fake, NULL),
                     0);
    assert_non_null(fiber_spawn(w.pool, "test", main_fiber, &w));
    loop_run(w.loop);
    assert_true(w.done);
    llm_client_destroy(w.client);
    fake_llm_stop(w.fake);
    (void)fiber_pool_drain(w.pool, loop_clock(w.loop) + 10 * NS_PER_S);
    fiber_pool_destroy(w.pool);
    loop_destroy(w.loop);
    arena_destroy(w.arena);
    buf_done(&w.cert);
    buf_done(&w.key);
    assert_int_equal(tls ? unlink(w.ca_path) : 0, 0);
}

static void test_multiplexed(void **state)
{
    (void)state;
    run_world(multiplexed, true);
}

static void test_calls(void **state)
{
    (void)state;
    run_world(calls, false);
}

static void test_jobs(void **state)
{
    (void)state;
    run_world(jobs, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_calls), cmocka_unit_test(test_jobs),
                                       cmocka_unit_test(test_multiplexed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
