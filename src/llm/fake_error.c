// Errors as each provider words them, and the headers beside an answer.
#include "base/units.h"
#include "llm/fake_shard.h"
#include "llm/fake_work.h"
#include "os/clock.h"

// What a status is called. The names are the providers' own: OpenAI's error guide, Anthropic's list
// of errors, google.rpc.Code.
typedef struct StatusWords {
    int status;
    Slice openai_type, openai_code, anthropic, gemini, message;
} StatusWords;

#define WORDS(a, b, c, d, e)                                                                       \
    SLICE_INIT(a), SLICE_INIT(b), SLICE_INIT(c), SLICE_INIT(d), SLICE_INIT(e)

static const StatusWords table[] = {
    {400, WORDS("invalid_request_error", "", "invalid_request_error", "INVALID_ARGUMENT",
                "The request is not valid.")},
    {401, WORDS("invalid_request_error", "invalid_api_key", "authentication_error",
                "UNAUTHENTICATED", "Incorrect API key provided.")},
    {402, WORDS("invalid_request_error", "billing", "billing_error", "FAILED_PRECONDITION",
                "Billing is not in order.")},
    {403, WORDS("invalid_request_error", "forbidden", "permission_error", "PERMISSION_DENIED",
                "Your key has no permission to use this.")},
    {404, WORDS("invalid_request_error", "not_found", "not_found_error", "NOT_FOUND",
                "There is no such resource.")},
    {405, WORDS("invalid_request_error", "method_not_supported", "invalid_request_error",
                "UNIMPLEMENTED", "The method is not allowed here.")},
    {408, WORDS("timeout", "", "timeout_error", "DEADLINE_EXCEEDED", "The request timed out.")},
    {409, WORDS("invalid_request_error", "conflict", "invalid_request_error", "ABORTED",
                "The resource changed meanwhile.")},
    {413, WORDS("invalid_request_error", "", "request_too_large", "INVALID_ARGUMENT",
                "The request is too large.")},
    {422, WORDS("invalid_request_error", "", "invalid_request_error", "INVALID_ARGUMENT",
                "The request cannot be processed.")},
    {429, WORDS("requests", "rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED",
                "Rate limit reached for requests.")},
    {500, WORDS("server_error", "", "api_error", "INTERNAL", "The server had an error.")},
    {502, WORDS("server_error", "", "api_error", "UNAVAILABLE", "Bad gateway.")},
    {503, WORDS("server_error", "", "api_error", "UNAVAILABLE", "The engine is overloaded.")},
    {504, WORDS("server_error", "", "timeout_error", "DEADLINE_EXCEEDED", "It took too long.")},
    {529, WORDS("server_error", "", "overloaded_error", "UNAVAILABLE", "Overloaded")},
};

static const StatusWords *words_of(int status)
{
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (table[i].status == status) {
            return &table[i];
        }
    }
    return words_of(status < 500 ? 400 : 500);
}

Slice fake_provider_name(FakeProvider provider)
{
    static const Slice names[FAKE_PROVIDERS] = {[FAKE_BY_OPENAI] = SLICE_INIT("openai"),
                                                [FAKE_BY_AZURE] = SLICE_INIT("azure"),
                                                [FAKE_BY_ANTHROPIC] = SLICE_INIT("anthropic"),
                                                [FAKE_BY_GEMINI] = SLICE_INIT("gemini"),
                                                [FAKE_BY_OLLAMA] = SLICE_INIT("ollama")};
    return names[provider];
}

void fake_put_id(Buf *out, Slice prefix, uint64_t id)
{
    static const char digits[] = "0123456789abcdef";
    // Scattered, so that ids do not look like a count; a bijection, so that none comes twice.
    uint64_t x = id * UINT64_C(0x9E3779B97F4A7C15);
    x ^= x >> 32;
    char text[24];
    for (int i = 0; i < 24; i++) {
        text[i] = digits[(i < 16 ? x >> (60 - 4 * i) : id >> (28 - 4 * (i - 16))) & 15];
    }
    buf_append(out, prefix);
    buf_append(out, (Slice){text, sizeof text});
}

static void put_or_null(Buf *out, Slice text)
{
    if (text.len > 0) {
        fake_put_string(out, text);
    } else {
        FAKE_PUT(out, "null");
    }
}

static void openai_body(const FakeFailure *f, const StatusWords *words, Slice message, Buf *out)
{
    FAKE_PUT(out, "{\"error\":{\"message\":");
    fake_put_string(out, message);
    FAKE_PUT(out, ",\"type\":");
    fake_put_string(out, f->type.len ? f->type : words->openai_type);
    FAKE_PUT(out, ",\"param\":");
    put_or_null(out, slice_from_cstr(f->param));
    FAKE_PUT(out, ",\"code\":");
    put_or_null(out, f->code.len ? f->code : words->openai_code);
    FAKE_PUT(out, "}}");
}

static void anthropic_body(const FakeFailure *f, const StatusWords *words, Slice message,
                           uint64_t id, Buf *out)
{
    FAKE_PUT(out, "{\"type\":\"error\",\"error\":{\"type\":");
    fake_put_string(out, f->type.len ? f->type : words->anthropic);
    FAKE_PUT(out, ",\"message\":");
    fake_put_string(out, message);
    FAKE_PUT(out, "},\"request_id\":\"");
    fake_put_id(out, SLICE("req_"), id);
    FAKE_PUT(out, "\"}");
}

static void gemini_body(const FakeFailure *f, const StatusWords *words, Slice message, Buf *out)
{
    FAKE_PUT(out, "{\"error\":{\"code\":");
    fake_put_int(out, f->status);
    FAKE_PUT(out, ",\"message\":");
    fake_put_string(out, message);
    FAKE_PUT(out, ",\"status\":");
    fake_put_string(out, f->type.len ? f->type : words->gemini);
    if (f->retry_after_ns >= 0) {
        // google.protobuf.Duration in JSON: seconds with a fraction and an "s".
        buf_printf(out,
                   ",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\","
                   "\"retryDelay\":\"%.9gs\"}]",
                   (double)f->retry_after_ns / 1e9);
    }
    FAKE_PUT(out, "}}");
}

void fake_error_body(FakeProvider provider, const FakeFailure *f, uint64_t id, Buf *out)
{
    const StatusWords *words = words_of(f->status);
    Slice message = f->message.len ? f->message : words->message;
    switch (provider) {
    case FAKE_BY_OPENAI:
    case FAKE_BY_AZURE: openai_body(f, words, message, out); break;
    case FAKE_BY_ANTHROPIC: anthropic_body(f, words, message, id, out); break;
    case FAKE_BY_GEMINI: gemini_body(f, words, message, out); break;
    case FAKE_BY_OLLAMA:
        FAKE_PUT(out, "{\"error\":");
        fake_put_string(out, message);
        FAKE_PUT(out, "}");
        break;
    case FAKE_PROVIDERS: break;
    }
}

// ---- headers

// Refused values are left out: they come from numbers of ours and never are.
static void header(FakeWork *w, Slice name, Slice value)
{
    (void)!http_reply_header(w->reply, name, value, NULL);
}

static void header_int(FakeWork *w, Slice name, int64_t value)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%lld", (long long)value);
    header(w, name, (Slice){text, (size_t)len});
}

static void header_id(FakeWork *w, Slice name, Slice prefix)
{
    char text[48];
    Buf out = {.data = text, .capacity = sizeof text, .max = sizeof text - 1};
    fake_put_id(&out, prefix, w->id); // fits: the buffer is never grown
    header(w, name, buf_slice(&out));
}

static void openai_limits(FakeWork *w, const FakeLimits *l)
{
    header_int(w, SLICE("x-ratelimit-limit-requests"), l->requests_limit);
    header_int(w, SLICE("x-ratelimit-limit-tokens"), l->tokens_limit);
    header_int(w, SLICE("x-ratelimit-remaining-requests"), l->requests_left);
    header_int(w, SLICE("x-ratelimit-remaining-tokens"), l->tokens_left);
    header(w, SLICE("x-ratelimit-reset-requests"), slice_from_cstr(l->reset));
    header(w, SLICE("x-ratelimit-reset-tokens"), slice_from_cstr(l->reset));
}

static void anthropic_limits(FakeWork *w, const FakeLimits *l)
{
    header_int(w, SLICE("anthropic-ratelimit-requests-limit"), l->requests_limit);
    header_int(w, SLICE("anthropic-ratelimit-requests-remaining"), l->requests_left);
    header(w, SLICE("anthropic-ratelimit-requests-reset"), slice_from_cstr(l->reset_at));
    header_int(w, SLICE("anthropic-ratelimit-tokens-limit"), l->tokens_limit);
    header_int(w, SLICE("anthropic-ratelimit-tokens-remaining"), l->tokens_left);
    header(w, SLICE("anthropic-ratelimit-tokens-reset"), slice_from_cstr(l->reset_at));
}

void fake_add_headers(FakeWork *w, int status)
{
    const FakeLimits *limits = fake_shard_limits(w->shard);
    switch (w->route.provider) {
    case FAKE_BY_OPENAI:
    case FAKE_BY_AZURE:
        header_id(w, SLICE("x-request-id"), SLICE("req_"));
        header(w, SLICE("openai-processing-ms"), SLICE("1"));
        header(w, SLICE("openai-version"), SLICE("2020-10-01"));
        openai_limits(w, limits);
        break;
    case FAKE_BY_ANTHROPIC:
        header_id(w, SLICE("request-id"), SLICE("req_"));
        anthropic_limits(w, limits);
        if (status >= 400) {
            bool retry = status == 408 || status == 409 || status == 429 || status >= 500;
            header(w, SLICE("x-should-retry"), retry ? SLICE("true") : SLICE("false"));
        }
        break;
    case FAKE_BY_GEMINI:
    case FAKE_BY_OLLAMA:
    case FAKE_PROVIDERS: break;
    }
}

static void add_retry_after(FakeWork *w, const FakeFailure *f)
{
    FakeProvider by = w->route.provider;
    if (f->retry_after_ns < 0 || by == FAKE_BY_GEMINI || by == FAKE_BY_OLLAMA) {
        return; // Gemini says it in the body
    }
    header_int(w, SLICE("retry-after"), (f->retry_after_ns + NS_PER_S - 1) / NS_PER_S);
    if (by != FAKE_BY_ANTHROPIC) {
        header_int(w, SLICE("retry-after-ms"), f->retry_after_ns / NS_PER_MS);
    }
}

void fake_send_json(FakeWork *w, int status)
{
    w->status = status;
    if (!w->reply) {
        return;
    }
    fake_count(w);
    fake_add_headers(w, status);
    (void)http_reply_send(w->reply, status, SLICE("application/json"), buf_slice(&w->out), NULL);
}

void fake_send_failure(FakeWork *w, const FakeFailure *f)
{
    buf_reset(&w->out);
    fake_error_body(w->route.provider, f, w->id, &w->out);
    if (w->reply) {
        add_retry_after(w, f);
    }
    if (w->reply && slice_eq_cstr(f->code, "insufficient_quota")) {
        header(w, SLICE("x-should-retry"), SLICE("false"));
    }
    fake_send_json(w, f->status);
}
