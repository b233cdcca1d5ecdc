// What a provider's refusal means: its status, its body and its headers, made one LlmFailure.
#ifndef LLM_FAILURE_H
#define LLM_FAILURE_H

#include "base/doc.h"
#include "llm/llm.h"

// True when the document holds an error in any provider's shape; fills type, message, kind and
// retry_after_ns (Gemini's RetryInfo). Text is copied into the arena.
bool llm_failure_in(const Doc *doc, Arena *arena, LlmFailure *failure);

// By the status, refined by what llm_failure_in found: 429 with insufficient_quota is QUOTA.
LlmFailureKind llm_failure_kind(int status, Slice type);

// retry-after-ms, retry-after (seconds or HTTP date) and x-should-retry, by lower-case name. Others
// are ignored. `wall_ns` is now, for dates.
void llm_failure_header(LlmFailure *failure, Slice name, Slice value, int64_t wall_ns);

// Whether to send the same request again: what x-should-retry says, else 408, 409, 429, 5xx and
// failures of the network; never what quota, content or the request itself rule out.
bool llm_failure_retryable(const LlmFailure *failure);

// The ERR_* a caller gets for it.
int llm_failure_code(LlmFailureKind kind);

#endif
