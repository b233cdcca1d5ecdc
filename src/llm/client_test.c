// The client against a server of our own on the same loop, which answers as each case says: what is
// retried, what is not, what is cached, shared, budgeted, refused and played back. The rules are
// those of the vendors' own SDKs (openai-python, anthropic-sdk-python) and of docs/guide/llm.md.
#include "llm/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "llm/budget.h"
#include "llm/cassette.h"
#include "llm/config.h"
#include "net/server.h"

#define SECRET "sk-do-not-print-me-123456"

typedef struct Reply {
    int status;
    const char *type; // NULL: JSON
    const char *body;
    const char *headers[4]; // name, value, ...
    int64_t delay_ns;
    bool hang; // behind the body: never ends
} Reply;

typedef struct World {
    Loop *loop;
    FiberPool *pool;
    HttpServer *server;
    Arena *arena;
    LlmConfig config;
    LlmClient *client;
    const Reply *replies; // the last one is given again and again
    size_t reply_count, requests;
    int inside, inside_max; // requests being handled
    Buf seen;               // of the last request: path, auth header, body
    int observed, observed_attempts;
    void (*test)(struct World *w);
    bool done;
} World;

#define OK_BODY                                                                                    \
    "{\"id\":\"x\",\"model\":\"m-1\",\"choices\":[{\"message\":{\"content\":\"Hi\"},"              \
    "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5}}"
#define DATA(delta) "data: {\"choices\":[{\"delta\":{" delta "}}]}\n\n"
#define CHUNK(text) DATA("\"content\":\"" text "\"")
#define ROLE        DATA("\"role\":\"assistant\",\"content\":\"\"")
#define DONE        "data: [DONE]\n\n"
#define END         "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n" DONE
#define SSE         "text/event-stream; charset=utf-8"

static const Reply OK = {.status = 200, .body = OK_BODY};

static void handle(void *ctx, const HttpServerRequest *request, HttpReply *reply)
{
    World *w = ctx;
    if (slice_eq(request->method, SLICE("HEAD"))) {
        http_reply_send(reply, 404, SLICE(""), SLICE(""), NULL);
        return;
    }
    size_t i = w->requests++;
    const Reply *r = &w->replies[i < w->reply_count ? i : w->reply_count - 1];
    buf_reset(&w->seen);
    buf_append(&w->seen, request->target);
    buf_append(&w->seen, request->body);
    w->inside++;
    w->inside_max = w->inside > w->inside_max ? w->inside : w->inside_max;
    int rc = r->delay_ns > 0 ? fiber_sleep(r->delay_ns) : 0;
    w->inside--;
    if (rc != 0) {
        return;
    }
    for (int h = 0; h < 4 && r->headers[h]; h += 2) {
        assert_int_equal(http_reply_header(reply, slice_from_cstr(r->headers[h]),
                                           slice_from_cstr(r->headers[h + 1]), NULL),
                         0);
    }
    Slice type = slice_from_cstr(r->type ? r->type : "application/json");
    if (!r->hang) {
        http_reply_send(reply, r->status, type, slice_from_cstr(r->body), NULL);
        return;
    }
    http_reply_begin(reply, r->status, type, NULL);
    http_reply_write(reply, slice_from_cstr(r->body), NULL);
    (void)!fiber_sleep(20 * NS_PER_S);
}

static void observe(void *ctx, const LlmObservation *o)
{
    World *w = ctx;
    w->observed += !o->attempt;
    w->observed_attempts += o->attempt;
}

static void open_client(World *w, const char *toml, LlmCassette *cassette)
{
    Buf text = buf_create(4096);
    NetAddr addr = http_server_addr(w->server);
    Slice left = slice_from_cstr(toml);
    for (ptrdiff_t at; (at = slice_find(left, SLICE("@PORT"))) >= 0;) {
        buf_append(&text, slice_sub(left, 0, (size_t)at));
        buf_printf(&text, "%d", net_addr_port(&addr));
        left = slice_sub(left, (size_t)at + 5, left.len);
    }
    buf_append(&text, left);
    const Doc *doc = NULL;
    Err e = {0};
    DocOptions options = {.format = DOC_FORMAT_TOML, .source = "test.toml"};
    if (doc_parse(w->arena, buf_slice(&text), &options, &doc, &e) != 0 ||
        llm_config_read(w->arena, doc_get(doc, SLICE("llm")), &w->config, &e) != 0) {
        fail_msg("%s", e.text);
    }
    buf_done(&text);
    w->config.batching = true;
    w->config.batch_timeout_ns = 20 * NS_PER_MS;
    w->config.batch_size = 4;
    LlmClientOptions o = {.loop = w->loop,
                          .pool = w->pool,
                          .config = &w->config,
                          .cassette = cassette,
                          .observer = {observe, w},
                          .get_env = getenv,
                          .seed = 1};
    if (llm_client_create(&o, &w->client, &e) != 0) {
        fail_msg("%s", e.text);
    }
}

#define TOML                                                                                       \
    "[llm.main]\nprovider = \"openai\"\nbase_url = \"http://127.0.0.1:@PORT/v1\"\nmodel = \"m\"\n" \
    "api_key_env = \"PW_TEST_KEY\"\nretry_initial_interval = \"1ms\"\nretry_max_interval = "       \
    "\"2ms\"\n"

static void answer_with(World *w, const Reply *replies, size_t count)
{
    w->replies = replies;
    w->reply_count = count;
    w->requests = 0;
}

static void main_fiber(void *arg)
{
    World *w = arg;
    w->test(w);
    w->done = true;
    loop_stop(w->loop);
}

static void run_world(void (*test)(World *))
{
    World w = {.test = test, .seen = buf_create(1 << 20)};
    assert_int_equal(setenv("PW_TEST_KEY", SECRET, 1), 0);
    assert_int_equal(loop_create(&(LoopOptions){0}, &w.loop, NULL), 0);
    w.pool = fiber_pool_create(w.loop, NULL);
    w.arena = arena_create(16 << 20);
    HttpServerOptions options = {.loop = w.loop, .pool = w.pool, .handler = handle, .ctx = &w};
    assert_int_equal(http_server_open(&options, &w.server, NULL), 0);
    assert_non_null(fiber_spawn(w.pool, "test", main_fiber, &w));
    loop_run(w.loop);
    assert_true(w.done);
    llm_client_destroy(w.client);
    (void)http_server_drain(w.server, loop_clock(w.loop) + 20 * NS_PER_MS);
    http_server_destroy(w.server);
    (void)fiber_pool_drain(w.pool, loop_clock(w.loop) + 10 * NS_PER_S);
    fiber_pool_destroy(w.pool);
    loop_destroy(w.loop);
    arena_destroy(w.arena);
    buf_done(&w.seen);
}

// ---- calls

typedef struct Asked {
    Slice text; // of the user
    LlmRequest request;
    LlmPart part;
    LlmMessage message;
} Asked;

static LlmRequest *ask(Asked *a, const char *text)
{
    a->part = llm_text(slice_from_cstr(text));
    a->message = (LlmMessage){LLM_USER, &a->part, 1};
    a->request = (LlmRequest){.messages = &a->message, .message_count = 1};
    return &a->request;
}

static int chat(World *w, LlmRequest *request, LlmResponse *response, Err *e)
{
    e->code = 0;
    int rc = llm_chat(w->client, request, response, e);
    assert_null(strstr(e->code != 0 ? e->text : "", SECRET));
    return rc;
}

static int gather_text(void *ctx, const LlmChunk *chunk)
{
    buf_append(ctx, chunk->text);
    return 0;
}

// ---- tests

static void plain_and_cached(World *w)
{
    open_client(w, TOML "[llm.prices.m]\ninput = 2\noutput = 10\n", NULL);
    answer_with(w, &OK, 1);
    Asked a;
    LlmResponse r;
    Err e;
    assert_int_equal(chat(w, ask(&a, "hello"), &r, &e), 0);
    assert_true(slice_eq(r.text, SLICE("Hi")));
    assert_true(slice_eq(r.model, SLICE("m-1")));
    assert_true(slice_eq(r.provider, SLICE("main")));
    assert_int_equal(r.usage.cost_nano_usd, 10 * 2000 + 5 * 10000);
    assert_int_equal(r.attempts, 1);
    assert_false(r.from_cache);
    llm_response_done(&r);
    assert_non_null(strstr(w->seen.data, "/v1/chat/completions{\"model\":\"m\""));

    assert_int_equal(chat(w, ask(&a, "hello"), &r, &e), 0);
    assert_true(r.from_cache);
    assert_int_equal(r.usage.cost_nano_usd, 0);
    assert_true(slice_eq(r.text, SLICE("Hi")));
    LlmResponse first = r;
    Buf text = buf_create(100);
    ask(&a, "hello")->chunk_fn = gather_text; // from the cache, as a stream
    a.request.chunk_ctx = &text;
    assert_int_equal(chat(w, &a.request, &r, &e), 0);
    assert_string_equal(text.data, "Hi");
    llm_response_done(&r);
    llm_client_cache_clear(w->client);
    assert_true(slice_eq(first.text, SLICE("Hi"))); // outlives its entry
    llm_response_done(&first);
    buf_done(&text);
    assert_int_equal(w->requests, 1);

    ask(&a, "hello")->temperature = 0.5;
    a.request.has_temperature = true;
    assert_int_equal(chat(w, &a.request, &r, &e), 0); // another request
    llm_response_done(&r);
    ask(&a, "hello")->cache = LLM_CACHE_BYPASS;
    assert_int_equal(chat(w, &a.request, &r, &e), 0);
    llm_response_done(&r);
    assert_int_equal(w->requests, 3);
    assert_int_equal(w->observed, 5);
    assert_int_equal(w->observed_attempts, 3);
    LlmClientStats s = llm_client_stats(w->client);
    assert_int_equal(s.cache_hits, 2);
    assert_int_equal(s.connections_opened, 1);
}

static void test_plain_and_cached(void **state)
{
    (void)state;
    run_world(plain_and_cached);
}

// How long by kind, how much by bytes, and asking anew.
static bool asks(World *w, const char *text, LlmKind kind, LlmCachePolicy cache)
{
    Asked a;
    LlmResponse r;
    Err e;
    size_t before = w->requests;
    ask(&a, text)->kind = kind;
    a.request.cache = cache;
    assert_int_equal(chat(w, &a.request, &r, &e), 0);
    assert_true(r.from_cache == (w->requests == before));
    llm_response_done(&r);
    return w->requests > before;
}

static void cache_rules(World *w)
{
    open_client(w, TOML "[llm.cache]\ncreative_ttl = \"20ms\"\nmax_bytes = \"2KiB\"\n", NULL);
    answer_with(w, &OK, 1);
    assert_true(asks(w, "c", LLM_CREATIVE, LLM_CACHE_USE));
    assert_true(asks(w, "f", LLM_FACTUAL, LLM_CACHE_USE));
    assert_int_equal(fiber_sleep(30 * NS_PER_MS), 0);
    assert_true(asks(w, "c", LLM_CREATIVE, LLM_CACHE_USE));  // too old
    assert_false(asks(w, "f", LLM_FACTUAL, LLM_CACHE_USE));  // still good
    assert_true(asks(w, "f", LLM_FACTUAL, LLM_CACHE_RENEW)); // asked for anew,
    assert_false(asks(w, "f", LLM_OTHER, LLM_CACHE_USE));    // and kept
    LlmClientStats s = llm_client_stats(w->client);
    assert_int_equal(s.cache_entries, 2);
    for (char c = 'm'; c <= 'z'; c++) {
        assert_true(asks(w, (char[2]){c, 0}, LLM_OTHER, LLM_CACHE_USE));
        assert_false(asks(w, "f", LLM_OTHER, LLM_CACHE_USE)); // used again and again: stays
    }
    s = llm_client_stats(w->client);
    assert_true(s.cache_bytes <= 2048 && s.cache_entries >= 2 && s.cache_entries < 14);
    assert_true(asks(w, "m", LLM_OTHER, LLM_CACHE_USE)); // the least recently used went
    llm_client_cache_clear(w->client);
    assert_int_equal(llm_client_stats(w->client).cache_entries, 0);
    assert_true(asks(w, "f", LLM_OTHER, LLM_CACHE_USE));
}

static void test_cache_rules(void **state)
{
    (void)state;
    run_world(cache_rules);
}

typedef struct FailureCase {
    const char *name;
    Reply replies[3];
    size_t count, attempts;
    bool stream;
    int rc;
    LlmFailureKind kind;
} FailureCase;

#define ERROR(type, code)                                                                          \
    "{\"error\":{\"message\":\"m " SECRET "\",\"type\":\"" type "\",\"code\":\"" code "\"}}"

static const FailureCase FAILURES[] = {
    {"500, then well",
     {{.status = 500, .body = "{}"}, {.status = 200, .body = OK_BODY}},
     2,
     2,
     false,
     0,
     LLM_OK},
    {"503 and 529, then well",
     {{.status = 503, .body = "x"},
      {.status = 529, .body = "{}"},
      {.status = 200, .body = OK_BODY}},
     3,
     3,
     false,
     0,
     LLM_OK},
    {"429 with retry-after-ms",
     {{.status = 429, .body = "{}", .headers = {"Retry-After-Ms", "5"}},
      {.status = 200, .body = OK_BODY}},
     2,
     2,
     false,
     0,
     LLM_OK},
    {"429 for longer than anybody waits",
     {{.status = 429, .body = "{}", .headers = {"Retry-After", "3600"}}},
     1,
     1,
     false,
     ERR_BUSY,
     LLM_FAIL_RATE},
    {"500 for ever",
     {{.status = 500, .body = ERROR("server_error", "")}},
     1,
     3,
     false,
     ERR_PROTOCOL,
     LLM_FAIL_SERVER},
    {"x-should-retry: false",
     {{.status = 500, .body = "{}", .headers = {"x-should-retry", "false"}}},
     1,
     1,
     false,
     ERR_PROTOCOL,
     LLM_FAIL_SERVER},
    {"x-should-retry: true on 400",
     {{.status = 400, .body = "{}", .headers = {"x-should-retry", "true"}},
      {.status = 200, .body = OK_BODY}},
     2,
     2,
     false,
     0,
     LLM_OK},
    {"quota",
     {{.status = 429, .body = ERROR("insufficient_quota", "insufficient_quota")}},
     1,
     1,
     false,
     ERR_REFUSED,
     LLM_FAIL_QUOTA},
    {"bad request",
     {{.status = 400, .body = ERROR("invalid_request_error", "")}},
     1,
     1,
     false,
     ERR_ARG,
     LLM_FAIL_REQUEST},
    {"not found", {{.status = 404, .body = "nothing"}}, 1, 1, false, ERR_ARG, LLM_FAIL_REQUEST},
    {"wrong key",
     {{.status = 401, .body = ERROR("invalid_request_error", "invalid_api_key")}},
     1,
     1,
     false,
     ERR_REFUSED,
     LLM_FAIL_AUTH},
    {"200 with an error inside",
     {{.status = 200, .body = ERROR("server_error", "")}},
     1,
     3,
     false,
     ERR_PROTOCOL,
     LLM_FAIL_SERVER},
    {"truncated JSON",
     {{.status = 200, .body = "{\"choices\":[{\"mess"}},
     1,
     3,
     false,
     ERR_PROTOCOL,
     LLM_FAIL_RESPONSE},
    {"a page instead of JSON",
     {{.status = 200, .type = "text/html", .body = "<html>"}},
     1,
     3,
     false,
     ERR_PROTOCOL,
     LLM_FAIL_RESPONSE},
    {"no bytes at all",
     {{.status = 200, .body = ""}},
     1,
     3,
     false,
     ERR_PROTOCOL,
     LLM_FAIL_RESPONSE},
    {"stream",
     {{.status = 200, .type = SSE, .body = ROLE CHUNK("a") CHUNK("b") END}},
     1,
     1,
     true,
     0,
     LLM_OK},
    {"a stream that was not one", {{.status = 200, .body = OK_BODY}}, 1, 1, true, 0, LLM_OK},
    {"stream cut before content",
     {{.status = 200, .type = SSE, .body = ROLE},
      {.status = 200, .type = SSE, .body = CHUNK("x") END}},
     2,
     2,
     true,
     0,
     LLM_OK},
    {"stream that just ends",
     {{.status = 200, .type = SSE, .body = ROLE CHUNK("a")}},
     1,
     1,
     true,
     ERR_PROTOCOL,
     LLM_FAIL_RESPONSE},
    {"error within the stream, before content",
     {{.status = 200, .type = SSE, .body = ROLE "data: " ERROR("server_error", "") "\n\n"},
      {.status = 200, .type = SSE, .body = CHUNK("x") END}},
     2,
     2,
     true,
     0,
     LLM_OK},
    {"error within the stream, behind content",
     {{.status = 200, .type = SSE, .body = CHUNK("a") "data: " ERROR("server_error", "") "\n\n"}},
     1,
     1,
     true,
     ERR_PROTOCOL,
     LLM_FAIL_SERVER},
    {"keep-alives are no content",
     {{.status = 200, .type = SSE, .body = ROLE ": ping\n\n", .hang = true}},
     1,
     3,
     true,
     ERR_TIMEOUT,
     LLM_FAIL_TIMEOUT},
    {"a stream that stalls",
     {{.status = 200, .type = SSE, .body = CHUNK("a"), .hang = true}},
     1,
     1,
     true,
     ERR_TIMEOUT,
     LLM_FAIL_TIMEOUT},
};

static void failures(World *w)
{
    const char *toml = TOML "first_content_timeout = \"150ms\"\nstream_idle_timeout = \"150ms\"\n"
                            "[llm.cache]\nenabled = false\n";
    for (size_t i = 0; i < COUNT_OF(FAILURES); i++) {
        const FailureCase *c = &FAILURES[i];
        llm_client_destroy(w->client); // an opened breaker and a long Retry-After are remembered
        open_client(w, toml, NULL);
        answer_with(w, c->replies, c->count);
        Asked a;
        LlmResponse r;
        Err e = {0};
        Buf text = buf_create(1000);
        ask(&a, c->name);
        a.request.chunk_fn = c->stream ? gather_text : NULL;
        a.request.chunk_ctx = &text;
        int rc = chat(w, &a.request, &r, &e);
        if (rc != c->rc || r.failure.kind != c->kind || w->requests != c->attempts) {
            fail_msg("%s: %s, %s, %zu requests: %s", c->name, err_name(rc),
                     llm_failure_name(r.failure.kind), w->requests, rc != 0 ? e.text : "");
        }
        assert_int_equal(r.attempts, c->attempts);
        if (rc != 0) {
            assert_int_equal(e.code, rc);
            assert_int_equal(slice_find(r.failure.message, SLICE(SECRET)), -1);
            assert_true(strncmp(e.text, "[llm.main]: ", 12) == 0);
        }
        llm_response_done(&r);
        buf_done(&text);
    }
}

static void test_failures(void **state)
{
    (void)state;
    run_world(failures);
}

static void fallback_and_breaker(World *w)
{
    open_client(w,
                TOML "retry_max_attempts = 1\nbreaker_failures = 2\nbreaker_open_for = \"1h\"\n"
                     "fallback = [\"second\"]\n[llm.second]\nprovider = \"ollama\"\n"
                     "base_url = \"http://127.0.0.1:@PORT\"\nmodel = \"small\"\n"
                     "[llm.roles]\nchart = [\"second\", \"main/big\"]\n",
                NULL);
    static const Reply replies[] = {
        {.status = 500, .body = "{}"},
        {.status = 200, .body = "{\"message\":{\"content\":\"I stand in\"},\"done\":true}"}};
    Asked a;
    LlmResponse r;
    Err e;
    for (int i = 0; i < 2; i++) {
        char text[2] = {(char)('a' + i), 0};
        answer_with(w, replies, 2);
        assert_int_equal(chat(w, ask(&a, text), &r, &e), 0);
        assert_true(slice_eq(r.provider, SLICE("second")));
        assert_true(slice_eq(r.text, SLICE("I stand in")));
        assert_int_equal(w->requests, 2);
        llm_response_done(&r);
    }
    answer_with(w, replies + 1, 1); // the breaker is open: only the second is asked
    assert_int_equal(chat(w, ask(&a, "c"), &r, &e), 0);
    assert_int_equal(w->requests, 1);
    llm_response_done(&r);
    LlmClientStats s = llm_client_stats(w->client);
    assert_int_equal(s.breaker_refusals, 1);
    assert_int_equal(s.fallbacks, 3);

    ask(&a, "d")->role = SLICE("chart");
    assert_int_equal(chat(w, &a.request, &r, &e), 0);
    assert_non_null(strstr(w->seen.data, "\"small\""));
    llm_response_done(&r);
    ask(&a, "d")->role = SLICE("charts");
    assert_int_equal(chat(w, &a.request, &r, &e), ERR_NOT_FOUND);
    llm_response_done(&r);

    // What the request itself is to blame for is wrong everywhere.
    static const Reply bad = {.status = 400, .body = "{}"};
    answer_with(w, &bad, 1);
    ask(&a, "e")->provider = SLICE("second");
    assert_int_equal(chat(w, &a.request, &r, &e), ERR_ARG);
    assert_int_equal(w->requests, 1);
    llm_response_done(&r);
}

static void test_fallback_and_breaker(void **state)
{
    (void)state;
    run_world(fallback_and_breaker);
}

typedef struct Caller {
    World *w;
    const char *text;
    Fiber *boss;
    int *left;
    int rc;
    bool shared;
    Slice input;
    float first;
} Caller;

static void call_ended(Caller *c)
{
    if (--*c->left == 0) {
        fiber_resume(c->boss);
    }
}

static void chat_fiber(void *arg)
{
    Caller *c = arg;
    Asked a;
    LlmResponse r;
    Err e;
    c->rc = chat(c->w, ask(&a, c->text), &r, &e);
    c->shared = r.from_cache;
    assert_true(c->rc != 0 || slice_eq(r.text, SLICE("Hi")));
    llm_response_done(&r);
    call_ended(c);
}

enum { CALLERS = 8 };

static void run_callers(World *w, Caller *callers, FiberFn *fn)
{
    int left = CALLERS;
    for (int i = 0; i < CALLERS; i++) {
        callers[i].w = w;
        callers[i].boss = fiber_self();
        callers[i].left = &left;
        assert_non_null(fiber_spawn(w->pool, "caller", fn, &callers[i]));
    }
    assert_int_equal(fiber_park("callers", NEVER_NS), 0);
}

static void single_flight(World *w)
{
    open_client(w, TOML, NULL);
    static const Reply slow = {.status = 200, .body = OK_BODY, .delay_ns = 20 * NS_PER_MS};
    answer_with(w, &slow, 1);
    Caller callers[CALLERS] = {0};
    for (int i = 0; i < CALLERS; i++) {
        callers[i].text = "the same";
    }
    run_callers(w, callers, chat_fiber);
    int shared = 0;
    for (int i = 0; i < CALLERS; i++) {
        assert_int_equal(callers[i].rc, 0);
        shared += callers[i].shared;
    }
    assert_int_equal(w->requests, 1);
    assert_int_equal(shared, CALLERS - 1);

    static const Reply bad = {.status = 400, .body = "{}", .delay_ns = 20 * NS_PER_MS};
    answer_with(w, &bad, 1);
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (Caller){.text = "a failure is shared but not kept"};
    }
    run_callers(w, callers, chat_fiber);
    assert_int_equal(w->requests, 1);
    for (int i = 0; i < CALLERS; i++) {
        assert_int_equal(callers[i].rc, ERR_ARG);
    }
    answer_with(w, &OK, 1);
    Asked a;
    LlmResponse r;
    Err e;
    assert_int_equal(chat(w, ask(&a, callers[0].text), &r, &e), 0);
    assert_int_equal(w->requests, 1);
    llm_response_done(&r);
}

static void test_single_flight(void **state)
{
    (void)state;
    run_world(single_flight);
}

static void pools(World *w)
{
    open_client(w, TOML "max_connections = 2\n", NULL);
    static const Reply slow = {.status = 200, .body = OK_BODY, .delay_ns = 5 * NS_PER_MS};
    answer_with(w, &slow, 1);
    static const char *const TEXTS[CALLERS] = {"1", "2", "3", "4", "5", "6", "7", "8"};
    Caller callers[CALLERS] = {0};
    for (int i = 0; i < CALLERS; i++) {
        callers[i].text = TEXTS[i];
    }
    run_callers(w, callers, chat_fiber);
    assert_int_equal(w->requests, CALLERS);
    assert_int_equal(llm_client_stats(w->client).connections_opened, 2);
    llm_client_destroy(w->client);

    open_client(w, TOML "max_concurrent = 3\n", NULL);
    w->inside_max = 0;
    answer_with(w, &slow, 1);
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (Caller){.text = TEXTS[i]};
    }
    run_callers(w, callers, chat_fiber);
    assert_int_equal(w->requests, CALLERS);
    assert_int_equal(w->inside_max, 3);
    llm_client_destroy(w->client);

    open_client(w, TOML "min_connections = 3\nmax_connections = 8\n", NULL);
    answer_with(w, &OK, 1);
    Asked a;
    LlmResponse r;
    Err e;
    assert_int_equal(chat(w, ask(&a, "x"), &r, &e), 0);
    llm_response_done(&r);
    while (http_server_connections(w->server) < 3) {
        assert_int_equal(fiber_sleep(NS_PER_MS), 0);
    }
    llm_client_destroy(w->client);

    open_client(w, TOML, NULL);
    w->config.no_pooling = true;
    llm_client_destroy(w->client);
    LlmClientOptions o = {.loop = w->loop, .config = &w->config, .get_env = getenv};
    assert_int_equal(llm_client_create(&o, &w->client, NULL), 0);
    for (int i = 0; i < 3; i++) {
        ask(&a, "y")->cache = LLM_CACHE_BYPASS;
        assert_int_equal(chat(w, &a.request, &r, &e), 0);
        llm_response_done(&r);
    }
    assert_int_equal(llm_client_stats(w->client).connections_opened, 3);
    llm_client_destroy(w->client);

    open_client(w, TOML "request_timeout = \"50ms\"\nretry_max_attempts = 1\n", NULL);
    static const Reply late = {.status = 200, .body = OK_BODY, .delay_ns = 10 * NS_PER_S};
    answer_with(w, &late, 1);
    assert_int_equal(chat(w, ask(&a, "z"), &r, &e), ERR_TIMEOUT);
    llm_response_done(&r);
    ask(&a, "deadline")->deadline_ns = loop_clock(w->loop) + 20 * NS_PER_MS;
    assert_int_equal(chat(w, &a.request, &r, &e), ERR_TIMEOUT);
    assert_int_equal(r.failure.kind, LLM_FAIL_TIMEOUT);
    llm_response_done(&r);
}

static void test_pools(void **state)
{
    (void)state;
    run_world(pools);
}

// Old connections are left alone. libcurl's clock is the real one and counts seconds, so this
// waits.
static void lifetimes(World *w)
{
    static const char *const KEYS[] = {"idle_timeout", "max_connection_lifetime", "idle_timeout"};
    static const char *const VALUES[] = {"1s", "500ms", "60s"};
    LlmClient *clients[COUNT_OF(KEYS)];
    Asked a;
    LlmResponse r;
    Err e;
    answer_with(w, &OK, 1);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < COUNT_OF(KEYS); i++) {
            if (pass == 0) {
                Buf toml = buf_create(1000);
                buf_puts(&toml, TOML);
                buf_printf(&toml, "%s = \"%s\"\n", KEYS[i], VALUES[i]);
                open_client(w, toml.data, NULL);
                clients[i] = w->client;
                buf_done(&toml);
            }
            w->client = clients[i];
            ask(&a, "x")->cache = LLM_CACHE_BYPASS;
            assert_int_equal(chat(w, &a.request, &r, &e), 0);
            llm_response_done(&r);
        }
        assert_int_equal(pass == 0 ? fiber_sleep(2100 * NS_PER_MS) : 0, 0);
    }
    for (size_t i = 0; i < COUNT_OF(KEYS); i++) {
        assert_int_equal(llm_client_stats(clients[i]).connections_opened, i < 2 ? 2 : 1);
        llm_client_destroy(clients[i]);
    }
    w->client = NULL;
}

static void test_lifetimes(void **state)
{
    (void)state;
    run_world(lifetimes);
}

// A listener whose queue is full lets the next connection hang.
static void connection_timeout(World *w)
{
    NetAddr addr = net_addr_loopback(0);
    int fds[4] = {socket(AF_INET, SOCK_STREAM, 0)};
    assert_int_equal(bind(fds[0], &addr.u.any, addr.len), 0);
    assert_int_equal(listen(fds[0], 0), 0);
    socklen_t len = addr.len;
    assert_int_equal(getsockname(fds[0], &addr.u.any, &len), 0);
    for (int i = 1; i < 4; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(fds[i], &addr.u.any, addr.len);
    }
    Buf toml = buf_create(1000);
    buf_printf(&toml,
               "[llm.main]\nprovider = \"openai\"\nmodel = \"m\"\nretry_max_attempts = 1\n"
               "connection_timeout = \"50ms\"\nbase_url = \"http://127.0.0.1:%d\"\n",
               net_addr_port(&addr));
    open_client(w, toml.data, NULL);
    Asked a;
    LlmResponse r;
    Err e;
    assert_int_equal(chat(w, ask(&a, "x"), &r, &e), ERR_TIMEOUT);
    assert_int_equal(r.failure.kind, LLM_FAIL_TIMEOUT);
    assert_true(r.duration_ns < 30 * NS_PER_S); // not the request's 60 s
    llm_response_done(&r);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(close(fds[i]), 0);
    }
    buf_done(&toml);
}

static void test_connection_timeout(void **state)
{
    (void)state;
    run_world(connection_timeout);
}

static void budgets(World *w)
{
    open_client(w,
                TOML "max_tokens = 100\n[llm.prices.m]\ninput = 2\noutput = 10\n"
                     "[llm.cache]\nenabled = false\n",
                NULL);
    answer_with(w, &OK, 1);
    Asked a;
    LlmResponse r;
    Err e;
    // "hello" is at most 5 + 16 tokens in and 100 out; 15 is what it takes.
    LlmBudget *tokens = llm_budget_create("tokens", &(LlmBudgetLimits){.tokens = 136});
    LlmBudget *money = llm_budget_create("money", &(LlmBudgetLimits){.cost_nano_usd = 2000000});
    for (int i = 0; i < 2; i++) {
        ask(&a, "hello")->budgets[1] = tokens;
        a.request.budgets[2] = money;
        assert_int_equal(chat(w, &a.request, &r, &e), 0);
        assert_non_null(strstr(w->seen.data, "\"max_completion_tokens\":100"));
        llm_response_done(&r);
    }
    LlmBudgetState s = llm_budget_state(tokens);
    assert_int_equal(s.tokens, 30);
    assert_int_equal(s.reserved_tokens, 0);
    assert_int_equal(llm_budget_state(money).cost_nano_usd, 2 * 70000);
    assert_int_equal(chat(w, &a.request, &r, &e), ERR_LIMIT); // 30 + 121 > 136
    assert_int_equal(r.failure.kind, LLM_FAIL_BUDGET);
    assert_non_null(strstr(e.text, "the token budget of tokens is used up"));
    assert_int_equal(w->requests, 2);
    assert_int_equal(llm_budget_state(money).reserved_cost_nano_usd, 0); // all or none
    llm_response_done(&r);
    llm_budget_destroy(tokens);
    tokens = llm_budget_create("edge", &(LlmBudgetLimits){.tokens = 121});
    a.request.budgets[1] = tokens;
    assert_int_equal(chat(w, &a.request, &r, &e), 0); // just enough
    llm_response_done(&r);

    // A failure that was refused costs nothing; a stream that broke may have cost all of it.
    static const Reply replies[] = {{.status = 400, .body = "{}"},
                                    {.status = 200, .type = SSE, .body = CHUNK("a")}};
    llm_budget_destroy(tokens);
    tokens = llm_budget_create("failures", &(LlmBudgetLimits){.tokens = 1000});
    answer_with(w, replies, 2);
    Buf text = buf_create(100);
    a.request.budgets[1] = tokens;
    assert_int_equal(chat(w, &a.request, &r, &e), ERR_ARG);
    assert_int_equal(llm_budget_state(tokens).tokens, 0);
    llm_response_done(&r);
    a.request.chunk_fn = gather_text;
    a.request.chunk_ctx = &text;
    assert_int_equal(chat(w, &a.request, &r, &e), ERR_PROTOCOL);
    assert_int_equal(llm_budget_state(tokens).tokens, 121);
    llm_response_done(&r);
    buf_done(&text);
    llm_budget_destroy(tokens);
    llm_budget_destroy(money);
}

static void test_budgets(void **state)
{
    (void)state;
    run_world(budgets);
}

static void embed_fiber(void *arg)
{
    Caller *c = arg;
    LlmEmbedResponse r;
    Err e;
    LlmEmbedRequest request = {.inputs = &c->input, .input_count = 1};
    c->rc = llm_embed(c->w->client, &request, &r, &e);
    c->first = c->rc == 0 ? r.vectors[0] : 0;
    assert_true(c->rc != 0 || (r.count == 1 && r.dimensions == 2));
    llm_embed_response_done(&r);
    call_ended(c);
}

static void embeddings(World *w)
{
    open_client(w, TOML, NULL);
    static const Reply four = {
        .status = 200,
        .body = "{\"model\":\"e\",\"data\":[{\"index\":0,\"embedding\":[0,1]},{\"index\":1,"
                "\"embedding\":[1,1]},{\"index\":2,\"embedding\":[2,1]},{\"index\":3,\"embedding\":"
                "[3,1]}],\"usage\":{\"prompt_tokens\":8}}"};
    answer_with(w, &four, 1);
    Caller callers[CALLERS] = {0};
    for (int i = 0; i < CALLERS; i++) {
        callers[i].input = SLICE("text");
    }
    run_callers(w, callers, embed_fiber);
    assert_int_equal(w->requests, CALLERS / 4); // batch_size
    for (int i = 0; i < CALLERS; i++) {
        assert_int_equal(callers[i].rc, 0);
        assert_true(callers[i].first == (float)(i % 4)); // each its own row
    }
    LlmClientStats s = llm_client_stats(w->client);
    assert_int_equal(s.embed_requests, 2);
    assert_int_equal(s.embed_inputs, CALLERS);

    // One alone goes out when the batch's time is over.
    static const Reply one = {.status = 200, .body = "{\"data\":[{\"embedding\":[7,1]}]}"};
    answer_with(w, &one, 1);
    LlmEmbedResponse r;
    Slice input = SLICE("alone");
    assert_int_equal(
        llm_embed(w->client, &(LlmEmbedRequest){.inputs = &input, .input_count = 1}, &r, NULL), 0);
    assert_true(r.vectors[0] == 7.0F);
    llm_embed_response_done(&r);
    assert_int_equal(llm_embed(w->client, &(LlmEmbedRequest){0}, &r, NULL), ERR_ARG);
    llm_embed_response_done(&r);
}

static void test_embeddings(void **state)
{
    (void)state;
    run_world(embeddings);
}

static void rate_headers(World *w)
{
    open_client(w, TOML "[llm.cache]\nenabled = false\n", NULL);
    static const Reply last = {
        .status = 200,
        .body = OK_BODY,
        .headers = {"x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "80ms"}};
    answer_with(w, &last, 1);
    Asked a;
    LlmResponse r;
    Err e;
    assert_int_equal(chat(w, ask(&a, "1"), &r, &e), 0);
    llm_response_done(&r);
    int64_t before = loop_clock(w->loop);
    answer_with(w, &OK, 1);
    assert_int_equal(chat(w, ask(&a, "2"), &r, &e), 0);
    assert_true(loop_clock(w->loop) - before >= 70 * NS_PER_MS); // held, not sent and refused
    llm_response_done(&r);
    assert_int_equal(llm_client_stats(w->client).rate_waits, 1);
    assert_int_equal(w->requests, 1);
}

static void test_rate_headers(void **state)
{
    (void)state;
    run_world(rate_headers);
}

static void cassette(World *w)
{
    char path[] = "/tmp/pw-cassette-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    LlmCassette *tape;
    Asked a;
    LlmResponse r;
    Err e = {0};
    Buf text = buf_create(1000);
    static const Reply replies[] = {
        {.status = 200, .body = OK_BODY},
        {.status = 200, .type = SSE, .body = CHUNK("St") CHUNK("ream") END},
        {.status = 400, .body = ERROR("invalid_request_error", "")}};
    const char *toml = TOML "[llm.cache]\nenabled = false\n";
    for (int pass = 0; pass < 2; pass++) {
        answer_with(w, replies, 3);
        LlmCassetteMode mode = pass == 0 ? LLM_CASSETTE_RECORD : LLM_CASSETTE_REPLAY;
        assert_int_equal(llm_cassette_open(path, mode, &tape, &e), 0);
        open_client(w, toml, tape);
        assert_int_equal(chat(w, ask(&a, "plain"), &r, &e), 0);
        assert_true(slice_eq(r.text, SLICE("Hi")));
        llm_response_done(&r);
        buf_reset(&text);
        ask(&a, "stream")->chunk_fn = gather_text;
        a.request.chunk_ctx = &text;
        assert_int_equal(chat(w, &a.request, &r, &e), 0);
        assert_string_equal(text.data, "Stream");
        llm_response_done(&r);
        assert_int_equal(chat(w, ask(&a, "bad"), &r, &e), ERR_ARG);
        assert_int_equal(r.failure.status, 400);
        llm_response_done(&r);
        assert_int_equal(w->requests, pass == 0 ? 3 : 0);
        if (pass == 1) {
            assert_int_equal(chat(w, ask(&a, "never asked"), &r, &e), ERR_NOT_FOUND);
            llm_response_done(&r);
        }
        llm_client_destroy(w->client);
        w->client = NULL;
        llm_cassette_close(tape);
    }
    FILE *file = fopen(path, "re");
    char line[8192];
    int lines = 0;
    for (; fgets(line, sizeof line, file); lines++) {
        assert_null(strstr(line, SECRET)); // neither sent nor said back
    }
    assert_int_equal(lines, 3);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(llm_cassette_open(path, LLM_CASSETTE_REPLAY, &tape, &e), ERR_IO);
    buf_done(&text);
}

static void test_cassette(void **state)
{
    (void)state;
    run_world(cassette);
}

// Nothing is connected that the configuration does not name, and nobody's metadata service is.
static void guarded(World *w)
{
    open_client(w,
                "[llm.main]\nprovider = \"openai\"\nmodel = \"m\"\nretry_max_attempts = 1\n"
                "base_url = \"http://169.254.169.254:@PORT/v1\"\n",
                NULL);
    Asked a;
    LlmResponse r;
    Err e;
    assert_int_equal(chat(w, ask(&a, "x"), &r, &e), ERR_REFUSED);
    assert_int_equal(r.failure.kind, LLM_FAIL_REFUSED);
    assert_non_null(strstr(e.text, "guard.metadata-address"));
    llm_response_done(&r);
}

static void test_guarded(void **state)
{
    (void)state;
    run_world(guarded);
}

typedef struct Log {
    Buf lines;
} Log;

static void keep_line(void *ctx, Slice line)
{
    buf_append(&((Log *)ctx)->lines, line);
}

// Keys come from a variable or a file and are in no error, answer or log line.
static void secrets(World *w)
{
    Log log = {buf_create(1 << 20)};
    log_open(&(LogSink){.write = keep_line, .context = &log, .level = LOG_DEBUG});
    open_client(w, TOML "retry_max_attempts = 1\n", NULL);
    static const Reply rude = {.status = 401, .body = "your key " SECRET " and " SECRET " is bad"};
    answer_with(w, &rude, 1);
    Asked a;
    LlmResponse r;
    Err e;
    assert_int_equal(chat(w, ask(&a, "x"), &r, &e), ERR_REFUSED);
    assert_non_null(strstr(e.text, "your key [key] and [key] is bad"));
    llm_response_done(&r);
    log_open(NULL);
    assert_true(log.lines.len == 0 || !strstr(log.lines.data, SECRET));
    buf_done(&log.lines);
    llm_client_destroy(w->client);
    w->client = NULL;

    assert_int_equal(unsetenv("PW_TEST_KEY"), 0);
    LlmClientOptions o = {.loop = w->loop, .config = &w->config, .get_env = getenv};
    assert_int_equal(llm_client_create(&o, &w->client, &e), ERR_NOT_FOUND);
    assert_non_null(strstr(e.text, "PW_TEST_KEY"));
}

static void test_secrets(void **state)
{
    (void)state;
    run_world(secrets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_and_cached), cmocka_unit_test(test_cache_rules),
        cmocka_unit_test(test_failures),         cmocka_unit_test(test_fallback_and_breaker),
        cmocka_unit_test(test_single_flight),    cmocka_unit_test(test_pools),
        cmocka_unit_test(test_lifetimes),        cmocka_unit_test(test_connection_timeout),
        cmocka_unit_test(test_budgets),          cmocka_unit_test(test_embeddings),
        cmocka_unit_test(test_rate_headers),     cmocka_unit_test(test_cassette),
        cmocka_unit_test(test_guarded),          cmocka_unit_test(test_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
