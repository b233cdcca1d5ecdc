// What comes from outside beside answers: configuration, headers and cassettes. Reading ends with a
// value or with words, and waiting times stay within their bounds.
#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "base/units.h"
#include "llm/config.h"
#include "llm/failure.h"
#include "llm/rate_headers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_config(Slice text)
{
    Arena *arena = arena_create(64 << 20);
    const Doc *doc = NULL;
    DocOptions options = {.format = DOC_FORMAT_TOML, .source = "f.toml"};
    if (doc_parse(arena, text, &options, &doc, NULL) == 0) {
        LlmConfig config;
        Err e = {0};
        int rc = llm_config_read(arena, doc_get(doc, SLICE("llm")), &config, &e);
        assert(rc == 0 || e.text[0] != 0);
        for (size_t i = 0; rc == 0 && i < config.role_count; i++) {
            assert(config.roles[i].chain.count > 0 && config.roles[i].chain.count <= LLM_CHAIN_MAX);
        }
    }
    arena_destroy(arena);
}

static void read_headers(Slice text)
{
    LlmFailure f = {.retry_after_ns = -1, .should_retry = -1};
    LlmRateHeaders rate;
    llm_rate_init(&rate);
    for (Slice line, name, value; text.len > 0;) {
        (void)slice_cut(text, '\n', &line, &text);
        (void)slice_cut(line, ':', &name, &value);
        llm_failure_header(&f, name, slice_trim(value), INT64_C(1700000000000000000));
        llm_rate_header(&rate, name, slice_trim(value), INT64_C(1700000000000000000));
    }
    assert(f.retry_after_ns >= -1 && f.retry_after_ns <= INT64_C(86400) * NS_PER_SECOND);
    int64_t wait = llm_rate_wait(&rate);
    assert(wait >= 0 && wait <= 60 * NS_PER_SECOND);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 1 << 16) {
        return 0;
    }
    Slice text = {(const char *)data + 1, size - 1};
    if (data[0] % 2 == 0) {
        read_config(text);
    } else {
        read_headers(text);
    }
    return 0;
}
