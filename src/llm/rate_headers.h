// The rate-limit headers that come with every answer, so that a limit is kept before it is hit.
#ifndef LLM_RATE_HEADERS_H
#define LLM_RATE_HEADERS_H

#include "base/err.h"
#include "base/slice.h"

typedef struct LlmRateHeaders {
    // For requests and for tokens (of Anthropic the scarcest of its three kinds); -1: not said.
    int64_t remaining[2];
    int64_t reset_ns[2]; // from now
} LlmRateHeaders;

void llm_rate_init(LlmRateHeaders *rate);
// x-ratelimit-{remaining,reset}-{requests,tokens} (OpenAI, Azure; "1s", "6m0s", "120ms") and
// anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{remaining,reset} (RFC 3339).
// Other names, and values that mean nothing, are ignored. `wall_ns` is now.
void llm_rate_header(LlmRateHeaders *rate, Slice lower_name, Slice value, int64_t wall_ns);
// How long to send nothing: 0 while something remains; at most a minute.
int64_t llm_rate_wait(const LlmRateHeaders *rate);

#endif
