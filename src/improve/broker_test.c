// The broker against a fake of the provider on the same loop: what passes, what is refused, what is
// counted, and that the key is seen by the provider only. Paths are those of the providers' public
// API references; usage members those of their answers.
#include "improve/broker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "improve/forward.h"
#include "llm/fake.h"
#include "net/server.h"
#include "os/file.h"

#define SECRET "sk-broker-do-not-show-1"

// ---- rules

static void test_paths(void **state)
{
    (void)state;
    static const struct {
        LlmProtocol protocol;
        const char *base, *method, *target, *host;
        int status;
    } cases[] = {
        {LLM_ANTHROPIC, "", "POST", "/v1/messages", "127.0.0.1:5", 0},
        {LLM_ANTHROPIC, "", "POST", "/v1/messages?beta=true", "localhost", 0},
        {LLM_ANTHROPIC, "", "GET", "/v1/messages", "127.0.0.1", 403},
        {LLM_ANTHROPIC, "", "POST", "/v1/files", "127.0.0.1", 403},
        {LLM_ANTHROPIC, "", "POST", "/v1/messages/batches", "127.0.0.1", 403},
        {LLM_ANTHROPIC, "", "POST", "/v1/messages", "evil.example", 403},
        {LLM_ANTHROPIC, "", "POST", "/v1/messages", "", 403},
        {LLM_ANTHROPIC, "", "POST", "http://evil.example/v1/messages", "127.0.0.1", 403},
        {LLM_ANTHROPIC, "", "CONNECT", "evil.example:443", "evil.example:443", 403},
        {LLM_ANTHROPIC, "", "POST", "//evil.example/v1/messages", "127.0.0.1", 403},
        {LLM_ANTHROPIC, "", "GET", "/v1/models/../files", "127.0.0.1", 403},
        {LLM_ANTHROPIC, "", "GET", "/v1/models/%2e%2e/files", "127.0.0.1", 403},
        {LLM_ANTHROPIC, "", "GET", "/v1/models/a", "127.0.0.1", 0},
        {LLM_OPENAI, "/v1", "POST", "/v1/responses", "127.0.0.1:80", 0},
        {LLM_OPENAI, "/v1", "POST", "/v1/chat/completions", "127.0.0.1:80", 0},
        {LLM_OPENAI, "/v1", "POST", "/v2/responses", "127.0.0.1:80", 403},
        {LLM_OPENAI, "/v1", "POST", "/v1/responses/x", "127.0.0.1:80", 403},
        {LLM_OPENAI, "/v1", "POST", "/v1/fine_tuning/jobs", "127.0.0.1:80", 403},
        {LLM_GEMINI, "", "POST", "/v1beta/models/g:generateContent", "127.0.0.1:80", 0},
        {LLM_GEMINI, "", "POST", "/v1beta/models/g:streamGenerateContent?alt=sse", "127.0.0.1", 0},
        {LLM_GEMINI, "", "POST", "/upload/v1beta/files", "127.0.0.1:80", 403},
        {LLM_OLLAMA, "", "POST", "/api/chat", "127.0.0.1:80", 0},
        {LLM_OLLAMA, "", "DELETE", "/api/delete", "127.0.0.1:80", 403},
        {LLM_AZURE, "", "POST", "/openai/v1/responses", "127.0.0.1:80", 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *why = NULL;
        int status = broker_check(
            cases[i].protocol, slice_from_cstr(cases[i].base), slice_from_cstr(cases[i].method),
            slice_from_cstr(cases[i].target), slice_from_cstr(cases[i].host), &why);
        if (status != cases[i].status || (status != 0) != (why != NULL)) {
            fail_msg("%s %s: %d", cases[i].method, cases[i].target, status);
        }
    }
}

static void test_asks(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int rc;
        int64_t output_max;
    } cases[] = {
        {"{\"model\":\"m\",\"max_tokens\":100}", 0, 100},
        {"{\"model\":\"m\"}", 0, 8192},
        {"{\"model\":\"m\",\"generationConfig\":{\"maxOutputTokens\":7}}", 0, 7},
        {"{\"model\":\"m\",\"tools\":[{\"type\":\"function\",\"name\":\"web_search\"}]}", 0, 8192},
        {"{\"model\":\"m\",\"tools\":[{\"type\":\"web_search_20250305\"}]}", ERR_REFUSED, 0},
        {"{\"model\":\"m\",\"tools\":[{\"googleSearch\":{}}]}", ERR_REFUSED, 0},
        {"{\"model\":\"m\",\"mcp_servers\":[]}", ERR_REFUSED, 0},
        {"{\"model\":\"a\",\"model\":\"b\"}", ERR_PARSE, 0},
        {"[]", ERR_PARSE, 0},
        {"no", ERR_PARSE, 0},
        {"", ERR_PARSE, 0},
    };
    Arena *arena = arena_create(64 << 20);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        BrokerAsk ask = {0};
        int rc = broker_read_ask(arena, slice_from_cstr(cases[i].body), false, &ask, NULL);
        if (rc != cases[i].rc || ask.output_max != cases[i].output_max) {
            fail_msg("%s: %d %lld", cases[i].body, rc, (long long)ask.output_max);
        }
    }
    assert_true(slice_eq_cstr(broker_path_model(SLICE("/v1beta/models/g-2:countTokens")), "g-2"));
    assert_int_equal(broker_path_model(SLICE("/v1/messages")).len, 0);
    arena_destroy(arena);
}

// Anthropic's stream repeats and raises its counts; a text that quotes a name counts nothing.
static const char STREAM[] =
    "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,"
    "\"cache_read_input_tokens\":1000,\"cache_creation_input_tokens\":10,\"output_tokens\":1}}}\n\n"
    "data: {\"delta\":{\"text\":\"say \\\"output_tokens\\\": 999999 \"}}\n\n"
    "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\": 15 }}\n\n";

static void test_usage_however_cut(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < sizeof STREAM; piece++) {
        BrokerUsage u = {0};
        for (Slice left = slice_from_cstr(STREAM); left.len > 0;) {
            broker_usage_push(&u, slice_sub(left, 0, piece));
            left = slice_sub(left, piece, left.len);
        }
        assert_true(u.known && u.input_excludes_cache);
        assert_int_equal(u.input, 25);
        assert_int_equal(u.output, 15);
        assert_int_equal(u.cached, 1000);
        assert_int_equal(u.cache_write, 10);
    }
    BrokerUsage none = {0};
    broker_usage_push(&none, SLICE("{\"a\":1,\"output_tokens\":99999999999999999999}"));
    assert_false(none.known);
}

// ---- whole

typedef struct World {
    Loop *loop;
    FiberPool *pool;
    Arena *arena;
    FakeLlm *fake;
    LlmConfig config;
    Transcript t;
    char directory[64], path[96];
    void (*test)(struct World *w);
    bool done;
} World;

static char *fake_env(const char *name)
{
    static char secret[] = SECRET;
    return strcmp(name, "PW_KEY") == 0 ? secret : NULL;
}

static void read_config(World *w, NetAddr addr)
{
    const Doc *doc = NULL;
    Err e = {0};
    Slice text = arena_printf(w->arena,
                              "[llm.main]\nprovider = \"anthropic\"\nmodel = \"m\"\n"
                              "base_url = \"http://127.0.0.1:%d\"\napi_key_env = \"PW_KEY\"\n"
                              "[llm.prices.\"m\"]\ninput = 1\noutput = 2\n",
                              net_addr_port(&addr));
    DocOptions options = {.format = DOC_FORMAT_TOML};
    if (doc_parse(w->arena, text, &options, &doc, &e) != 0 ||
        llm_config_read(w->arena, doc_get(doc, SLICE("llm")), &w->config, &e) != 0) {
        fail_msg("%s", e.text);
    }
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
    World w = {.test = test};
    w.arena = arena_create(64 << 20);
    w.t = transcript_create(NULL);
    assert_int_equal(loop_create(&(LoopOptions){0}, &w.loop, NULL), 0);
    w.pool = fiber_pool_create(w.loop, NULL);
    assert_int_equal(fake_llm_start(&(FakeLlmOptions){.api_key = SLICE(SECRET)}, &w.fake, NULL), 0);
    (void)snprintf(w.directory, sizeof w.directory, "/tmp/broker-test-XXXXXX");
    assert_non_null(mkdtemp(w.directory));
    (void)snprintf(w.path, sizeof w.path, "%s/s", w.directory);
    read_config(&w, fake_llm_addr(w.fake));
    assert_non_null(fiber_spawn(w.pool, "test", main_fiber, &w));
    loop_run(w.loop);
    assert_true(w.done);
    assert_int_equal(fiber_pool_drain(w.pool, loop_clock(w.loop) + 10 * NS_PER_S), 0);
    fiber_pool_destroy(w.pool);
    fake_llm_stop(w.fake);
    loop_destroy(w.loop);
    assert_int_not_equal(access(w.path, F_OK), 0);
    assert_int_equal(rmdir(w.directory), 0);
    assert_int_equal(slice_find(buf_slice(&w.t.lines), SLICE(SECRET)), -1);
    transcript_done(&w.t);
    arena_destroy(w.arena);
}

static Broker *open_broker(World *w, BrokerOptions o)
{
    o.loop = w->loop;
    o.pool = w->pool;
    o.config = &w->config;
    o.get_env = fake_env;
    o.socket_path = w->path;
    o.transcript = &w->t;
    Broker *broker = NULL;
    Err e = {0};
    if (broker_open(&o, &broker, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return broker;
}

// What the sandbox does: a process that forwards and runs `command` with sh. Its output.
static const char *inside(World *w, const char *command)
{
    int pipe_fds[2];
    char *text = arena_alloc(w->arena, 1 << 20);
    size_t len = 0;
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        Arena *arena = arena_create(1 << 20);
        Err e = {0};
        (void)dup2(pipe_fds[1], 1);
        (void)close(pipe_fds[0]);
        (void)close(pipe_fds[1]);
        ForwardOptions o = {.socket = w->path,
                            .sets = (const char *[]){"URL=http://127.0.0.1:{port}", NULL},
                            .argv = (const char *[]){"sh", "-c", command, NULL}};
        (void)!forward_run(&o, arena, &e);
        (void)fprintf(stderr, "%s\n", e.text);
        _exit(99);
    }
    (void)close(pipe_fds[1]);
    for (ssize_t n = 1; n > 0;) {
        // The broker works on this thread's loop meanwhile.
        assert_int_equal(fiber_sleep(NS_PER_MS), 0);
        int ready = 0;
        n = waitpid(pid, &ready, WNOHANG) == 0 ? 1 : 0;
    }
    for (ssize_t n; (n = read(pipe_fds[0], text + len, (1 << 20) - 1 - len)) > 0;) {
        len += (size_t)n;
    }
    (void)close(pipe_fds[0]);
    text[len] = '\0';
    return text;
}

#define ASK(options, body)                                                                         \
    "curl -sS --max-time 10 " options " -H 'content-type: application/json' -d '" body "' "

static void passes(World *w)
{
    Broker *broker = open_broker(w, (BrokerOptions){.tokens_max = 100000});
    // The engine's own credentials are a placeholder, and do not reach the provider.
    const char *text = inside(w, ASK("-H 'x-api-key: none' -H 'authorization: Bearer none'",
                                     "{\"model\":\"m\",\"max_tokens\":50,\"messages\":[{"
                                     "\"role\":\"user\",\"content\":\"hi\"}]}") "$URL/v1/messages");
    assert_non_null(strstr(text, "\"type\":\"message\""));
    text = inside(
        w,
        ASK("",
            "{\"model\":\"m\",\"max_tokens\":50,\"stream\":true,\"messages\":[{"
            "\"role\":\"user\",\"content\":\"hi\"}]}") "$URL/v1/messages; env; "
                                                       "cat /proc/self/environ /proc/$$/cmdline");
    assert_non_null(strstr(text, "message_stop"));
    assert_null(strstr(text, SECRET));
    BrokerStats s = broker_stats(broker);
    assert_int_equal(s.requests, 2);
    assert_int_equal(s.refused, 0);
    assert_int_equal(s.estimated, 0);
    assert_true(s.input_tokens > 0 && s.output_tokens > 0);
    assert_int_equal(s.cost_nano_usd, s.input_tokens * 1000 + s.output_tokens * 2000);
    broker_close(broker);
}

static void refuses(World *w)
{
    Broker *broker = open_broker(w, (BrokerOptions){0});
    const char *text = inside(
        w, "curl -sS $URL/v1/files; curl -sS -x $URL http://example.org/; "
           "curl -sS -H 'host: example.org' $URL/v1/models; "
           "curl -sS --path-as-is $URL/v1/models/../x; curl -sS -X DELETE $URL/v1/models/m;"
           "curl -sS -d nonsense $URL/v1/messages; curl -sS -d "
           "'{\"model\":\"m\",\"tools\":[{\"type\":\"web_search_20250305\"}]}' $URL/v1/messages");
    assert_non_null(strstr(text, "no other host"));
    assert_non_null(strstr(text, "reach the web"));
    assert_null(strstr(text, SECRET));
    BrokerStats s = broker_stats(broker);
    assert_int_equal(s.requests, 0);
    assert_int_equal(s.refused, 7);
    // A body at its ceiling is looked at (and is no JSON), one byte more is not.
    text = inside(w, "for n in 8388608 8388609; do head -c $n /dev/zero | curl -s -o /dev/null "
                     "-w '%{http_code} ' --data-binary @- $URL/v1/messages; done");
    assert_string_equal(text, "400 413 ");
    assert_false(s.over_budget);
    FakeCounts counts = fake_llm_counts(w->fake);
    assert_int_equal(fake_counts_requests(&counts), 0);
    broker_close(broker);
}

#define SMALL                                                                                      \
    ASK("", "{\"model\":\"m\",\"max_tokens\":10,\"messages\":[{\"role\":\"user\",\"content\":"     \
            "\"hi\"}]}")                                                                           \
    "$URL/v1/messages; "

static void keeps_budgets(World *w)
{
    Broker *broker = open_broker(w, (BrokerOptions){.requests_max = 1});
    const char *text = inside(w, SMALL SMALL);
    assert_non_null(strstr(text, "the budget of requests is used up"));
    assert_int_equal(broker_stats(broker).requests, 1);
    assert_true(broker_stats(broker).over_budget);
    broker_close(broker);

    broker = open_broker(w, (BrokerOptions){.tokens_max = 20});
    text = inside(w, SMALL);
    assert_non_null(strstr(text, "the token budget of this run is used up"));
    assert_int_equal(broker_stats(broker).requests, 0); // nothing was sent
    broker_close(broker);

    broker = open_broker(w, (BrokerOptions){.cost_nano_max = 1000000000});
    text = inside(
        w,
        SMALL ASK("", "{\"model\":\"dear\",\"max_tokens\":10,\"messages\":[]}") "$URL/v1/messages");
    assert_non_null(strstr(text, "no price for the model 'dear'"));
    assert_int_equal(broker_stats(broker).requests, 1);
    broker_close(broker);
}

static void hides_errors(World *w)
{
    // A provider that wants another key and answers with what it was given.
    Broker *broker = open_broker(w, (BrokerOptions){0});
    FakeSettings settings = fake_llm_settings(w->fake);
    settings.fault_rate[FAKE_SERVER_ERROR] = 1;
    fake_llm_change(w->fake, &settings);
    const char *text = inside(w, "curl -sS -o /dev/null -w '%{http_code}' -d "
                                 "'{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{\"role\":"
                                 "\"user\",\"content\":\"hi\"}]}' $URL/v1/messages");
    assert_string_equal(text, "500");
    broker_close(broker);
    fake_llm_stop(w->fake);
    w->fake = NULL;
    broker = open_broker(w, (BrokerOptions){0});
    text = inside(w, SMALL);
    assert_non_null(strstr(text, "\"error\""));
    assert_null(strstr(text, SECRET));
    broker_close(broker);
}

// A provider that answers with what it was sent, as an error: the key and nothing of the engine's.
static void echo(void *ctx, const HttpServerRequest *request, HttpReply *reply)
{
    (void)ctx;
    Buf text = buf_create(1 << 16);
    buf_printf(&text, "%.*s\n", SLICE_FMT(request->target));
    for (uint32_t i = 0; i < request->head->field_count; i++) {
        buf_printf(&text, "%.*s: %.*s\n", SLICE_FMT(http_head_name(request->head, i)),
                   SLICE_FMT(http_head_value(request->head, i)));
    }
    bool moved = slice_find(request->target, SLICE("moved")) >= 0;
    if (moved) {
        (void)!http_reply_header(reply, SLICE("location"), SLICE("http://127.0.0.1:9/"), NULL);
    }
    http_reply_send(reply, moved ? 302 : 401, SLICE("text/plain"), buf_slice(&text), NULL);
    buf_done(&text);
}

static void hides_echoes(World *w)
{
    HttpServer *server = NULL;
    HttpServerOptions options = {.loop = w->loop, .pool = w->pool, .handler = echo};
    assert_int_equal(http_server_open(&options, &server, NULL), 0);
    read_config(w, http_server_addr(server));
    Broker *broker = open_broker(w, (BrokerOptions){0});
    const char *text = inside(
        w, "curl -sS -H 'x-api-key: mine' -H 'authorization: Bearer mine' -H 'cookie: mine' -H "
           "'x-other: mine' -H 'anthropic-beta: b' \"$URL/v1/models/a?key=mine&limit=2\"; "
           "curl -sS $URL/v1/models/moved");
    assert_non_null(strstr(text, "/v1/models/a?limit=2\n"));
    assert_non_null(strstr(text, "x-api-key: [hidden]\n"));
    assert_non_null(strstr(text, "anthropic-beta: b\n"));
    assert_non_null(strstr(text, "send us to another place"));
    assert_null(strstr(text, SECRET));
    assert_null(strstr(text, "mine"));
    broker_close(broker);
    http_server_stop(server);
    while (http_server_connections(server) > 0) {
        assert_int_equal(fiber_sleep(NS_PER_MS), 0);
    }
    http_server_destroy(server);
}

static void needs_a_key(World *w)
{
    Broker *broker = NULL;
    Err e = {0};
    BrokerOptions o = {
        .loop = w->loop, .pool = w->pool, .config = &w->config, .socket_path = w->path};
    assert_int_equal(broker_open(&o, &broker, &e), ERR_NOT_FOUND);
    assert_non_null(strstr(e.text, "PW_KEY is not set"));
    char path[200];
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    o.get_env = fake_env;
    o.socket_path = path;
    assert_int_equal(broker_open(&o, &broker, &e), ERR_LIMIT);
}

static void test_passes(void **state)
{
    (void)state;
    run_world(passes);
}
static void test_refuses(void **state)
{
    (void)state;
    run_world(refuses);
}
static void test_budgets(void **state)
{
    (void)state;
    run_world(keeps_budgets);
}
static void test_errors(void **state)
{
    (void)state;
    run_world(hides_errors);
}
static void test_echoes(void **state)
{
    (void)state;
    run_world(hides_echoes);
}
static void test_key(void **state)
{
    (void)state;
    run_world(needs_a_key);
}

static void test_fill(void **state)
{
    (void)state;
    Arena *arena = arena_create(4 << 20);
    assert_string_equal(forward_fill(arena, "a{port}b{port}", 80), "a80b80");
    char *word = arena_alloc(arena, FORWARD_WORD_BYTES_MAX + 2);
    memset(word, 'x', FORWARD_WORD_BYTES_MAX);
    assert_non_null(forward_fill(arena, word, 1));
    word[FORWARD_WORD_BYTES_MAX] = 'x';
    assert_null(forward_fill(arena, word, 1));
    arena_destroy(arena);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_asks),
        cmocka_unit_test(test_usage_however_cut),
        cmocka_unit_test(test_passes),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_budgets),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_echoes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
