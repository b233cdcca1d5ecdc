// [llm]: what may stand there, what may not, who is asked, and what it costs.
#include "llm/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>
#include <cmocka.h>

#include "llm/failure.h"
#include "llm/rate_headers.h"
#include "os/clock.h"

static int read_text(Arena *arena, const char *text, LlmConfig *config, Err *e)
{
    const Doc *doc = NULL;
    DocOptions options = {.format = DOC_FORMAT_TOML, .source = "t.toml"};
    assert_int_equal(doc_parse(arena, slice_from_cstr(text), &options, &doc, e), 0);
    return llm_config_read(arena, doc_get(doc, SLICE("llm")), config, e);
}

// The guide's own sections and values.
static const char GUIDE[] =
    "[llm.azure]\nendpoint = \"https://x.openai.azure.com/\"\ndeployment = \"gpt-4o\"\n"
    "max_connections = 50\nmin_connections = 5\nconnection_timeout = \"10s\"\n"
    "idle_timeout = \"300s\"\nmax_connection_lifetime = \"3600s\"\n"
    "[llm.openai]\nmax_connections = 30\nrequest_timeout = \"30s\"\nretry_max_attempts = 3\n"
    "retry_initial_interval = \"1s\"\nmodel = \"gpt-5\"\n";

static void test_guide(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    LlmConfig c;
    assert_int_equal(read_text(arena, GUIDE, &c, NULL), 0);
    assert_int_equal(c.provider_count, 2);
    const LlmProvider *azure = &c.providers[0], *openai = &c.providers[1];
    assert_int_equal(azure->protocol, LLM_AZURE);
    assert_true(slice_eq(azure->endpoint.base_url, SLICE("https://x.openai.azure.com")));
    assert_true(slice_eq(azure->model, SLICE("gpt-4o")));
    assert_int_equal(azure->max_connections, 50);
    assert_int_equal(azure->min_connections, 5);
    assert_int_equal(azure->connection_timeout_ns, 10 * NS_PER_S);
    assert_int_equal(azure->idle_timeout_ns, 300 * NS_PER_S);
    assert_int_equal(azure->max_connection_lifetime_ns, 3600 * NS_PER_S);
    assert_true(slice_eq(openai->endpoint.base_url, SLICE("https://api.openai.com/v1")));
    assert_int_equal(openai->max_connections, 30);
    assert_int_equal(openai->request_timeout_ns, 30 * NS_PER_S);
    assert_int_equal(openai->retry_max_attempts, 3);
    assert_int_equal(openai->retry_initial_interval_ns, NS_PER_S);
    // The guide's lifetimes of answers.
    assert_int_equal(c.cache.factual_ttl_ns, 24 * 3600 * NS_PER_S);
    assert_int_equal(c.cache.creative_ttl_ns, 300 * NS_PER_S);
    assert_int_equal(c.cache.other_ttl_ns, 3600 * NS_PER_S);
    arena_destroy(arena);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } CASES[] = {
        {"llm = 3\n", "llm must be an object"},
        {"[llm.mine]\nmodel = \"m\"\n", "say which one with provider"},
        {"[llm.mine]\nprovider = \"opnai\"\n", "did you mean 'openai'?"},
        {"[llm.openai]\nmax_conections = 3\n", "did you mean \"max_connections\"?"},
        {"[llm.openai]\nmax_connections = 0\n", "t.toml:2:19: "},
        {"[llm.openai]\nmax_connections = \"many\"\n", "t.toml:2:19: "},
        {"[llm.openai]\nmin_connections = 9\nmax_connections = 8\n", "min_connections is larger"},
        {"[llm.openai]\nidle_timeout = 300\n", "t.toml:2:16: "},
        {"[llm.openai]\napi_key = \"sk-1\"\n", "api_key_env"},
        {"[llm.openai]\napi_key_env = \"A\"\napi_key_file = \"b\"\n", "both"},
        {"[llm.azure]\nmodel = \"m\"\n", "needs base_url"},
        {"[llm.openai]\nbase_url = \"ftp://x\"\n", "must begin with http"},
        {"[llm.openai]\nfallback = [\"nobody\"]\n", "there is no [llm.nobody]"},
        {"[llm.openai]\n[llm.roles]\nchart = \"nobody/m\"\n", "there is no [llm.nobody]"},
        {"[llm.openai]\n[llm.roles]\nchart = []\n", "a role needs a provider"},
        {"[llm]\nprovider = \"x\"\n[llm.openai]\n", "there is no [llm.x]"},
        {"[llm.openai]\n[llm.prices.m]\ninputs = 3\n", "input"},
        {"[llm.cache]\nmax_byte = 3\n", "max_bytes"},
        {"[llm.openai]\nfallback = [\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\"]\n",
         "at most 8"},
    };
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        Arena *arena = arena_create(1 << 20);
        LlmConfig c;
        Err e = {0};
        int rc = read_text(arena, CASES[i].text, &c, &e);
        if (rc != ERR_PARSE || !strstr(e.text, CASES[i].words)) {
            fail_msg("%s: %d %s", CASES[i].text, rc, e.text);
        }
        assert_null(strstr(e.text, "sk-1"));
        arena_destroy(arena);
    }
}

static void test_chains(void **state)
{
    (void)state;
    static const char TEXT[] =
        "[llm]\nprovider = \"b\"\n"
        "[llm.a]\nprovider = \"openai\"\nmodel = \"ma\"\nfallback = \"b\"\n"
        "[llm.b]\nprovider = \"compatible\"\nbase_url = \"http://h/v1\"\nmodel = \"mb\"\n"
        "fallback = [\"a\", \"ollama\"]\n[llm.ollama]\nmodel = \"mo\"\n"
        "[llm.roles]\nanalysis = \"ollama/x/y\"\nchart = [\"a/z\", \"ollama\"]\n";
    static const struct {
        const char *role, *provider, *model, *chain;
    } CASES[] = {
        {"", "", "", "1: 0: 2: "},          {"analysis", "", "", "2:x/y "},
        {"chart", "", "", "0:z 1: 0: 2: "}, {"script", "", "", "1: 0: 2: "},
        {"", "ollama", "q", "2:q "},        {"", "ollama/w", "", "2:w "},
        {"chart", "a", "", "0: 1: 2: "},
    };
    Arena *arena = arena_create(1 << 20);
    LlmConfig c;
    assert_int_equal(read_text(arena, TEXT, &c, NULL), 0);
    assert_true(c.providers[1].endpoint.old_max_tokens);
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        LlmChain chain;
        Buf out = buf_create(1000);
        assert_int_equal(llm_config_chain(&c, slice_from_cstr(CASES[i].role),
                                          slice_from_cstr(CASES[i].provider),
                                          slice_from_cstr(CASES[i].model), &chain, NULL),
                         0);
        for (size_t k = 0; k < chain.count; k++) {
            buf_printf(&out, "%zu:%.*s ", chain.targets[k].provider,
                       SLICE_FMT(chain.targets[k].model));
        }
        assert_string_equal(out.data, CASES[i].chain);
        buf_done(&out);
    }
    LlmChain chain;
    Err e;
    assert_int_equal(llm_config_chain(&c, SLICE("chrt"), (Slice){0}, (Slice){0}, &chain, &e),
                     ERR_NOT_FOUND);
    assert_int_equal(llm_config_chain(&c, (Slice){0}, SLICE("x"), (Slice){0}, &chain, &e),
                     ERR_NOT_FOUND);
    LlmConfig none;
    assert_int_equal(llm_config_read(arena, NULL, &none, &e), 0);
    assert_int_equal(llm_config_chain(&none, SLICE("chart"), (Slice){0}, (Slice){0}, &chain, &e),
                     ERR_NOT_FOUND);
    assert_non_null(strstr(e.text, "no LLM provider is configured"));
    arena_destroy(arena);
}

// 1 USD for a million is 1000 of 10^-9 USD a token.
static void test_prices(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    LlmConfig c;
    assert_int_equal(
        read_text(arena,
                  "[llm.prices.\"gpt-5\"]\ninput = 1.25\noutput = 10\ncached_input = 0.125\n"
                  "[llm.prices.\"gpt-5-mini\"]\ninput = 0.25\noutput = 2\n",
                  &c, NULL),
        0);
    LlmUsage u = {.input_tokens = 1000000, .output_tokens = 100000, .cached_tokens = 400000};
    const LlmPrice *big = llm_config_price(&c, SLICE("gpt-5-2026-01-02"));
    const LlmPrice *mini = llm_config_price(&c, SLICE("gpt-5-mini"));
    assert_int_equal(llm_price_of(big, &u), (int64_t)((0.6 * 1.25 + 0.4 * 0.125 + 0.1 * 10) * 1e9));
    assert_int_equal(llm_price_of(mini, &u), (int64_t)((1.0 * 0.25 + 0.1 * 2) * 1e9));
    assert_null(llm_config_price(&c, SLICE("claude")));
    assert_int_equal(llm_price_of(NULL, &u), 0);
    arena_destroy(arena);
}

static char *fake_env(const char *name)
{
    static char key[] = " sk-env \n", two[] = "a\r\nX-Evil: 1";
    return strcmp(name, "KEY") == 0 ? key : strcmp(name, "TWO") == 0 ? two : NULL;
}

static void test_secrets(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    char path[] = "/tmp/pw-key-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "sk-file\n", 8), 8);
    assert_int_equal(close(fd), 0);
    LlmProvider p = {.name = SLICE("p"), .api_key_env = SLICE("KEY")};
    Slice key;
    Err e;
    assert_int_equal(llm_config_secret(arena, &p, fake_env, &key, &e), 0);
    assert_true(slice_eq(key, SLICE("sk-env")));
    p.api_key_env = SLICE("TWO"); // a line break would become a header of its own
    assert_int_equal(llm_config_secret(arena, &p, fake_env, &key, &e), ERR_ARG);
    assert_null(strstr(e.text, "Evil"));
    p.api_key_env = SLICE("NONE");
    assert_int_equal(llm_config_secret(arena, &p, fake_env, &key, &e), ERR_NOT_FOUND);
    p = (LlmProvider){.name = SLICE("p"), .api_key_file = slice_from_cstr(path)};
    assert_int_equal(llm_config_secret(arena, &p, NULL, &key, &e), 0);
    assert_true(slice_eq(key, SLICE("sk-file")));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(llm_config_secret(arena, &p, NULL, &key, &e), ERR_IO);
    arena_destroy(arena);
}

// Header values as the vendors' references show them.
static void test_headers(void **state)
{
    (void)state;
    const int64_t now = INT64_C(784111777) * NS_PER_S; // Sun, 06 Nov 1994 08:49:37 GMT, RFC 9110
    static const struct {
        const char *name, *value;
        int64_t wait_ns;
    } AFTER[] = {
        {"retry-after", "2", 2 * NS_PER_S},
        {"retry-after", "0.5", NS_PER_S / 2},
        {"retry-after-ms", "1500", 1500 * NS_PER_MS},
        {"retry-after", "Sun, 06 Nov 1994 08:49:47 GMT", 10 * NS_PER_S},
        {"retry-after", "Sun, 06 Nov 1994 08:49:27 GMT", 0},
        {"retry-after", "1e300", 86400 * NS_PER_S},
        {"retry-after", "soon", -1},
        {"retry-after", "-3", -1},
        {"retry-later", "3", -1},
    };
    for (size_t i = 0; i < COUNT_OF(AFTER); i++) {
        LlmFailure f = {.retry_after_ns = -1, .should_retry = -1};
        llm_failure_header(&f, slice_from_cstr(AFTER[i].name), slice_from_cstr(AFTER[i].value),
                           now);
        assert_int_equal(f.retry_after_ns, AFTER[i].wait_ns);
    }
    static const struct {
        const char *names[2], *values[2];
        int64_t wait_ns;
    } RATES[] = {
        {{"x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"}, {"0", "1s"}, NS_PER_S},
        {{"x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"},
         {"0", "6m0s"},
         60 * NS_PER_S},
        {{"x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"}, {"1", "6m0s"}, 0},
        {{"x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"},
         {"0", "120ms"},
         120 * NS_PER_MS},
        {{"anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"},
         {"0", "1994-11-06T08:49:42Z"},
         5 * NS_PER_S},
        {{"anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"},
         {"0", "1994-11-06T08:49:00Z"},
         0},
        {{"anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"},
         {"x", "whenever"},
         0},
    };
    for (size_t i = 0; i < COUNT_OF(RATES); i++) {
        LlmRateHeaders r;
        llm_rate_init(&r);
        for (int k = 0; k < 2; k++) {
            llm_rate_header(&r, slice_from_cstr(RATES[i].names[k]),
                            slice_from_cstr(RATES[i].values[k]), now);
        }
        assert_int_equal(llm_rate_wait(&r), RATES[i].wait_ns);
    }
}

// Error bodies of every provider.
static void test_error_bodies(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
        LlmFailureKind kind;
        bool retryable;
        int64_t retry_after_ns;
    } CASES[] = {
        {429,
         "{\"error\":{\"message\":\"m\",\"type\":\"requests\",\"code\":\"rate_limit_exceeded\"}}",
         LLM_FAIL_RATE, true, -1},
        {429, "{\"error\":{\"message\":\"m\",\"type\":\"insufficient_quota\",\"code\":null}}",
         LLM_FAIL_QUOTA, false, -1},
        {401, "{\"error\":{\"message\":\"m\",\"code\":\"invalid_api_key\"}}", LLM_FAIL_AUTH, false,
         -1},
        {529, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}",
         LLM_FAIL_RATE, true, -1},
        {402, "{\"type\":\"error\",\"error\":{\"type\":\"billing_error\",\"message\":\"m\"}}",
         LLM_FAIL_QUOTA, false, -1},
        {413, "{\"type\":\"error\",\"error\":{\"type\":\"request_too_large\",\"message\":\"m\"}}",
         LLM_FAIL_REQUEST, false, -1},
        {429,
         "{\"error\":{\"code\":429,\"message\":\"m\",\"status\":\"RESOURCE_EXHAUSTED\",\"details\":"
         "["
         "{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"34s\"}]}}",
         LLM_FAIL_RATE, true, 34 * NS_PER_S},
        {503, "{\"error\":\"server busy\"}", LLM_FAIL_SERVER, true, -1},
        {409, "{\"error\":{\"message\":\"m\"}}", LLM_FAIL_REQUEST, true, -1},
        {408, "{\"error\":{\"message\":\"m\"}}", LLM_FAIL_TIMEOUT, true, -1},
    };
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        Arena *arena = arena_create(1 << 20);
        const Doc *doc = NULL;
        LlmFailure f = {.status = CASES[i].status, .retry_after_ns = -1, .should_retry = -1};
        assert_int_equal(doc_parse(arena, slice_from_cstr(CASES[i].body), NULL, &doc, NULL), 0);
        assert_true(llm_failure_in(doc, arena, &f));
        assert_int_equal(f.kind, CASES[i].kind);
        assert_int_equal(f.retry_after_ns, CASES[i].retry_after_ns);
        assert_true(llm_failure_retryable(&f) == CASES[i].retryable);
        f.content_delivered = true;
        assert_false(llm_failure_retryable(&f));
        arena_destroy(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guide),        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_chains),       cmocka_unit_test(test_prices),
        cmocka_unit_test(test_secrets),      cmocka_unit_test(test_headers),
        cmocka_unit_test(test_error_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
