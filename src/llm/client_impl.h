// What client.c, call.c and embed.c share of a client.
#ifndef LLM_CLIENT_IMPL_H
#define LLM_CLIENT_IMPL_H

#include "base/map.h"
#include "guard/guard.h"
#include "llm/budget.h"
#include "llm/cassette.h"
#include "llm/client.h"
#include "llm/config.h"
#include "llm/drive.h"
#include "llm/http.h"
#include "net/sse_read.h"

typedef struct Provider {
    const LlmProvider *config;
    const LlmAdapter *adapter;
    LlmHttp *http;
    PolicyBlock *block;
    char *auth_line; // "Authorization: Bearer ..."; NULL without a key
    Slice secret;    // within it
    Slice host;
    int port;
    char *warm_url;
} Provider;

// Buffers of one call, kept for the next one.
typedef struct Work Work;
struct Work {
    Work *next;
    Buf url, body, in, record, line;
    Arena *scratch;
    SseReader reader;
};

typedef struct EmbedBatch EmbedBatch;

struct LlmClient {
    LlmClientOptions o;
    const LlmConfig *config;
    Arena *arena;
    Guard *guard;
    Provider *providers;
    PolicyBlock *front;  // cache and single-flight; NULL without a cache
    LlmResponse *cached; // by slot
    LlmDriveHooks hooks;
    uint64_t key[4]; // of the cache's hash
    uint64_t task;
    Buf canonical;
    LlmBudget *budget; // of the run, by the configuration
    Work *idle;
    EmbedBatch *batches; // that wait for more
    FiberGroup batch_fibers;
    LlmClientStats stats;
};

// One call, chat or embeddings.
typedef struct Op {
    LlmClient *client;
    const LlmRequest *request; // chat, or the fields that embeddings share with it
    bool embed;
    const Slice *inputs; // embeddings
    size_t input_count;
    int64_t dimensions;
    LlmEmbedRows rows;
    LlmChain chain;
    LlmResponse *response;
    LlmBudget *budgets[LLM_BUDGETS_MAX + 1];
    Err err; // of the last attempt
    int64_t start_ns;
    int64_t chunks;
    Work *work;
} Op;

// Asks the chain's providers one after the other until one answers: 0, or the code of the last
// failure, which is in op->response->failure and op->err.
MUST_USE int llm_call_chain(Op *op);
void llm_call_observe(Op *op, int rc); // the call as a whole
Work *llm_work_take(LlmClient *client);
void llm_work_give(LlmClient *client, Work *work);

#endif
