#include "llm/failure.h"

#include "base/units.h"
#include "os/clock.h"

static Slice text_of(const Doc *object, const char *key)
{
    const Doc *d = object ? doc_get(object, slice_from_cstr(key)) : NULL;
    return d && d->type == DOC_STRING ? d->text : (Slice){0};
}

static Slice first_text(Slice a, Slice b)
{
    return a.len > 0 ? a : b;
}

// google.rpc.RetryInfo: {"@type": ".../google.rpc.RetryInfo", "retryDelay": "34s"}
static void read_retry_info(const Doc *error, LlmFailure *failure)
{
    for (const Doc *d = doc_first(doc_get(error, SLICE("details"))); d; d = doc_next(d)) {
        int64_t ns;
        Slice delay = text_of(d, "retryDelay");
        if (slice_ends_with(text_of(d, "@type"), SLICE("google.rpc.RetryInfo")) &&
            duration_parse(delay, 0, &ns, NULL) == 0) {
            failure->retry_after_ns = ns;
        }
    }
}

enum { MESSAGE_MAX = 600 }; // of a provider's words that go into ours

static bool contains(Slice text, const char *word)
{
    return slice_find(text, slice_from_cstr(word)) >= 0;
}

static LlmFailureKind kind_of_type(Slice type)
{
    // Words of all providers; the first that is contained decides, so quota stands before rate.
    static const struct {
        const char *word;
        LlmFailureKind kind;
    } WORDS[] = {
        {"insufficient_quota", LLM_FAIL_QUOTA},
        {"billing", LLM_FAIL_QUOTA},
        {"rate_limit", LLM_FAIL_RATE},
        {"overloaded", LLM_FAIL_RATE},
        {"RESOURCE_EXHAUSTED", LLM_FAIL_RATE},
        {"authentication", LLM_FAIL_AUTH},
        {"permission", LLM_FAIL_AUTH},
        {"PERMISSION_DENIED", LLM_FAIL_AUTH},
        {"UNAUTHENTICATED", LLM_FAIL_AUTH},
        {"invalid_api_key", LLM_FAIL_AUTH},
        {"timeout", LLM_FAIL_TIMEOUT},
        {"DEADLINE_EXCEEDED", LLM_FAIL_TIMEOUT},
        {"server_error", LLM_FAIL_SERVER},
        {"invalid", LLM_FAIL_REQUEST},
        {"INVALID_ARGUMENT", LLM_FAIL_REQUEST},
        {"not_found", LLM_FAIL_REQUEST},
        {"NOT_FOUND", LLM_FAIL_REQUEST},
        {"too_large", LLM_FAIL_REQUEST},
        {"FAILED_PRECONDITION", LLM_FAIL_REQUEST},
    };
    for (size_t i = 0; i < COUNT_OF(WORDS); i++) {
        if (contains(type, WORDS[i].word)) {
            return WORDS[i].kind;
        }
    }
    return LLM_FAIL_SERVER;
}

LlmFailureKind llm_failure_kind(int status, Slice type)
{
    if (status < 400) { // an error inside an answer that began well
        return kind_of_type(type);
    }
    if (contains(type, "insufficient_quota") || contains(type, "billing") || status == 402) {
        return LLM_FAIL_QUOTA;
    }
    switch (status) {
    case 401:
    case 403: return LLM_FAIL_AUTH;
    case 408: return LLM_FAIL_TIMEOUT;
    case 429:
    case 529: return LLM_FAIL_RATE;
    default: return status >= 500 ? LLM_FAIL_SERVER : LLM_FAIL_REQUEST;
    }
}

bool llm_failure_in(const Doc *doc, Arena *arena, LlmFailure *failure)
{
    const Doc *error = doc_get(doc, SLICE("error"));
    Slice type, message;
    if (error && error->type == DOC_STRING) { // Ollama
        type = (Slice){0};
        message = error->text;
    } else if (error && error->type == DOC_OBJECT) {
        type = text_of(error, "type");
        // OpenAI's code is finer than its type (insufficient_quota, rate_limit_exceeded); Gemini
        // has its status instead.
        Slice code = first_text(text_of(error, "code"), text_of(error, "status"));
        type = first_text(contains(type, "insufficient_quota") ? type : code, type);
        message = text_of(error, "message");
        read_retry_info(error, failure);
    } else if (slice_eq(text_of(doc, "type"), SLICE("error"))) { // Responses' stream event
        type = text_of(doc, "code");
        message = text_of(doc, "message");
    } else {
        return false;
    }
    failure->type = arena_copy(arena, slice_sub(type, 0, MESSAGE_MAX));
    failure->message = arena_copy(arena, slice_sub(message, 0, MESSAGE_MAX));
    failure->kind = llm_failure_kind(failure->status, failure->type);
    return true;
}

// ---- headers

// A server cannot put a caller off for longer than this; what is longer counts as this.
#define RETRY_AFTER_MAX_S 86400.0

void llm_failure_header(LlmFailure *failure, Slice name, Slice value, int64_t wall_ns)
{
    double number;
    int64_t at_ns;
    bool is_number = slice_to_f64(value, &number) == 0 && number >= 0;
    number = is_number && number > RETRY_AFTER_MAX_S * 1000 ? RETRY_AFTER_MAX_S * 1000 : number;
    if (slice_eq(name, SLICE("retry-after-ms")) && is_number) {
        failure->retry_after_ns = (int64_t)(number * 1e6);
    } else if (slice_eq(name, SLICE("retry-after")) && failure->retry_after_ns < 0) {
        if (is_number) {
            number = number > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : number;
            failure->retry_after_ns = (int64_t)(number * 1e9);
        } else if (clock_parse_http_date(value, &at_ns)) {
            int64_t wait_ns = at_ns > wall_ns ? at_ns - wall_ns : 0;
            int64_t most_ns = (int64_t)RETRY_AFTER_MAX_S * NS_PER_SECOND;
            failure->retry_after_ns = wait_ns < most_ns ? wait_ns : most_ns;
        }
    } else if (slice_eq(name, SLICE("x-should-retry"))) {
        failure->should_retry = slice_eq_nocase(value, SLICE("true"))    ? 1
                                : slice_eq_nocase(value, SLICE("false")) ? 0
                                                                         : failure->should_retry;
    }
}

bool llm_failure_retryable(const LlmFailure *failure)
{
    if (failure->content_delivered || failure->should_retry == 0) {
        return false;
    }
    switch (failure->kind) {
    case LLM_FAIL_NETWORK:
    case LLM_FAIL_TIMEOUT:
    case LLM_FAIL_RATE:
    case LLM_FAIL_SERVER:
    case LLM_FAIL_RESPONSE: return true;
    case LLM_FAIL_REQUEST: // 409: a conflict that passes, as the vendors' SDKs have it
        return failure->status == 409 || failure->should_retry == 1;
    case LLM_OK:
    case LLM_FAIL_QUOTA:
    case LLM_FAIL_AUTH:
    case LLM_FAIL_BUDGET:
    case LLM_FAIL_REFUSED:
    case LLM_FAIL_CANCELLED:
    case LLM_FAIL_UNSUPPORTED: return false;
    }
    return false;
}

int llm_failure_code(LlmFailureKind kind)
{
    switch (kind) {
    case LLM_OK: return 0;
    case LLM_FAIL_NETWORK: return ERR_IO;
    case LLM_FAIL_TIMEOUT: return ERR_TIMEOUT;
    case LLM_FAIL_RATE: return ERR_BUSY;
    case LLM_FAIL_QUOTA:
    case LLM_FAIL_AUTH:
    case LLM_FAIL_REFUSED: return ERR_REFUSED;
    case LLM_FAIL_REQUEST: return ERR_ARG;
    case LLM_FAIL_SERVER:
    case LLM_FAIL_RESPONSE: return ERR_PROTOCOL;
    case LLM_FAIL_BUDGET: return ERR_LIMIT;
    case LLM_FAIL_CANCELLED: return ERR_CANCELLED;
    case LLM_FAIL_UNSUPPORTED: return ERR_UNSUPPORTED;
    }
    return ERR_PROTOCOL;
}
