// The critic behind critique_run's ask_fn: one call to a language model of the configuration.
//
//     CritiqueLlm critic = {.loop = loop, .client = client, .role = SLICE("critic")};
//     options.ask_fn = critique_ask_llm;     // with &critic reachable from options.ctx
//
// In a fiber of the client's loop. The answer is text; critique_read_proposals makes cases of it.
#ifndef IMPROVE_CRITIQUE_LLM_H
#define IMPROVE_CRITIQUE_LLM_H

#include "improve/critique.h"
#include "llm/client.h"

enum {
    CRITIQUE_ANSWER_TOKENS = 2000,
    CRITIQUE_ANSWER_BYTES_MAX = 6 << 10, // a longer answer is cut off and refused
};

typedef struct CritiqueLlm {
    Loop *loop; // the client's
    LlmClient *client;
    Slice role;         // empty: the configuration's default
    int64_t timeout_ns; // 0: one minute
    LlmBudget *budget;  // of the attempt; NULL: none
} CritiqueLlm;

// `critic` is a CritiqueLlm. What llm_chat returns; ERR_LIMIT for an answer without end.
MUST_USE int critique_ask_llm(void *critic, Slice prompt, Arena *arena, Slice *ret_answer, Err *e);

#endif
