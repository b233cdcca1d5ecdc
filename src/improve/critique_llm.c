#include "improve/critique_llm.h"

#define TIMEOUT_NS (60 * NS_PER_S)

// Streamed, so that an answer without end is cut and not collected.
static int on_chunk(void *ctx, const LlmChunk *chunk)
{
    size_t *bytes = ctx;
    *bytes += chunk->text.len;
    return *bytes > CRITIQUE_ANSWER_BYTES_MAX ? ERR_LIMIT : 0;
}

int critique_ask_llm(void *critic, Slice prompt, Arena *arena, Slice *ret_answer, Err *e)
{
    CritiqueLlm *c = critic;
    LlmPart part = llm_text(prompt);
    LlmMessage message = {LLM_USER, &part, 1};
    LlmResponse response = {0};
    size_t bytes = 0;
    LlmRequest request = {
        .role = c->role,
        .messages = &message,
        .message_count = 1,
        .output = LLM_OUTPUT_JSON,
        .max_output_tokens = CRITIQUE_ANSWER_TOKENS,
        .cache = LLM_CACHE_BYPASS,
        .chunk_fn = on_chunk,
        .chunk_ctx = &bytes,
        .deadline_ns = loop_clock(c->loop) + (c->timeout_ns > 0 ? c->timeout_ns : TIMEOUT_NS),
        .budgets = {c->budget},
        .agent = SLICE("critic"),
    };
    int rc = llm_chat(c->client, &request, &response, e);
    if (rc == 0) {
        *ret_answer = arena_copy(arena, response.text);
    } else if (bytes > CRITIQUE_ANSWER_BYTES_MAX) {
        rc = err_set(e, ERR_LIMIT, "the critic's answer is longer than %d bytes",
                     CRITIQUE_ANSWER_BYTES_MAX);
    }
    llm_response_done(&response);
    return rc;
}
