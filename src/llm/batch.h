// Batch jobs: many requests at half the price, answered within a day. OpenAI and Azure (a file of
// JSON lines, then a batch on it), Anthropic (message batches) and Gemini (inline requests).
//
//     rc = llm_batch_submit(client, SLICE("openai"), SLICE(""), items, count, arena, &id, e);
//     ... remember the id; later, by any client of this configuration ...
//     rc = llm_batch_status(client, SLICE("openai"), id, arena, &status, e);
//     if (status.state == LLM_BATCH_ENDED) {
//         rc = llm_batch_results(client, SLICE("openai"), &status, on_result, ctx, e);
//     }
//
// Calls park the fiber. Submitting is never repeated by itself: a lost answer could mean a second
// job. Budgets are not reserved for jobs; the results carry their usage and price.
#ifndef LLM_BATCH_H
#define LLM_BATCH_H

#include "base/doc.h"
#include "llm/client.h"

enum { LLM_BATCH_ITEMS_MAX = 50000 }; // OpenAI's own ceiling

typedef struct LlmBatchItem {
    Slice custom_id;           // results come in any order and are told apart by it
    const LlmRequest *request; // what belongs to a call alone (deadline, stream, budgets) is unused
} LlmBatchItem;

typedef enum LlmBatchState {
    LLM_BATCH_RUNNING,
    LLM_BATCH_ENDED, // there are results, perhaps of some items only
    LLM_BATCH_FAILED,
    LLM_BATCH_CANCELLED,
    LLM_BATCH_EXPIRED,
} LlmBatchState;

typedef struct LlmBatchStatus {
    LlmBatchState state;
    Slice id;
    Slice state_text; // the provider's word
    int64_t total, succeeded, failed;
    // Where results are: private to llm_batch_results.
    Slice output, errors;
    const Doc *inline_results;
} LlmBatchStatus;

// `model` empty: the provider's. The id lives in the arena.
MUST_USE int llm_batch_submit(LlmClient *client, Slice provider, Slice model,
                              const LlmBatchItem *items, size_t count, Arena *arena, Slice *ret_id,
                              Err *e);
MUST_USE int llm_batch_status(LlmClient *client, Slice provider, Slice id, Arena *arena,
                              LlmBatchStatus *ret_status, Err *e);
MUST_USE int llm_batch_cancel(LlmClient *client, Slice provider, Slice id, Err *e);

// One item's result; `rc` not 0: response->failure and `words` say why. The response is good until
// the function returns. Not 0 ends the walk with that code.
typedef int LlmBatchResultFn(void *ctx, Slice custom_id, int rc, const LlmResponse *response,
                             const char *words);
MUST_USE int llm_batch_results(LlmClient *client, Slice provider, const LlmBatchStatus *status,
                               LlmBatchResultFn *fn, void *ctx, Err *e);

#endif
