// LlmClient: calls to all providers of a configuration, with everything that surrounds a call.
//
// In this order: exact cache (and single-flight), budgets, rate-limit headers, breaker, attempt,
// retry, and then the next provider of the role's fallback chain. There is one retry loop, and
// nothing is sent again once a byte of content reached the caller. docs/internals/llm.md.
//
//     LlmConfig config;
//     rc = llm_config_read(arena, doc_get(toml, SLICE("llm")), &config, e);
//     rc = llm_client_create(&(LlmClientOptions){.loop = loop, .config = &config,
//                            .get_env = getenv}, &client, e);
//     ... in fibers: llm_chat, llm_embed ...
//     llm_client_destroy(client);
//
// A client belongs to one loop; its calls park the calling fiber. Budgets (budget.h) may be shared
// by the clients of several threads.
#ifndef LLM_CLIENT_H
#define LLM_CLIENT_H

#include "llm/llm.h"
#include "os/fiber.h"

typedef struct LlmClient LlmClient;
struct LlmConfig;                       // config.h
typedef struct LlmCassette LlmCassette; // cassette.h

// What happened in one attempt or one call; for metrics, spans and logs. Slices live for the call.
typedef struct LlmObservation {
    bool attempt;          // one attempt of a call, else the call as a whole
    const char *operation; // "chat" or "embeddings"
    LlmProtocol protocol;
    Slice provider, model, response_model, server_address;
    int server_port;
    Slice agent, session, traceparent;
    int64_t start_ns, duration_ns, first_content_ns;
    int64_t chunks;    // of content, when streamed
    const char *error; // llm_failure_name, or NULL
    LlmFinish finish;
    LlmUsage usage;
    bool streamed, from_cache;
    int attempts;
} LlmObservation;

typedef struct LlmObserver {
    void (*fn)(void *ctx, const LlmObservation *observation);
    void *ctx;
} LlmObserver;

typedef struct LlmClientOptions {
    Loop *loop;
    FiberPool *pool;                // for embedding batches and warming; NULL: neither
    const struct LlmConfig *config; // borrowed for the client's life
    LlmCassette *cassette;          // NULL: the network
    LlmObserver observer;
    char *(*get_env)(const char *name); // getenv, for api_key_env; NULL: no environment
    uint64_t seed;                      // of the retries' jitter
} LlmClientOptions;

MUST_USE int llm_client_create(const LlmClientOptions *options, LlmClient **ret_client, Err *e);
// No call is under way. NULL is fine.
void llm_client_destroy(LlmClient *client);

// Parks the fiber. On failure `response->failure` is filled and `e` says it in words without any
// secret. ERR_IO, ERR_TIMEOUT, ERR_LIMIT (budget), ERR_REFUSED, ERR_PROTOCOL, ERR_BUSY (rate),
// ERR_ARG (request), ERR_CANCELLED, ERR_NOT_FOUND (no such role or provider), ERR_UNSUPPORTED.
MUST_USE int llm_chat(LlmClient *client, const LlmRequest *request, LlmResponse *response, Err *e);
// Calls of several fibers for the same model are sent together (batch_size, batch_timeout).
MUST_USE int llm_embed(LlmClient *client, const LlmEmbedRequest *request,
                       LlmEmbedResponse *response, Err *e);

typedef struct LlmClientStats {
    uint64_t calls, attempts, retries, fallbacks, failures;
    uint64_t cache_hits, cache_misses, cache_shared; // shared: waited for an equal call
    uint64_t cache_entries, cache_bytes;
    uint64_t connections_opened;
    uint64_t embed_requests, embed_inputs; // sent, after batching
    uint64_t breaker_refusals, rate_waits;
    int64_t input_tokens, output_tokens, cost_nano_usd;
} LlmClientStats;

LlmClientStats llm_client_stats(const LlmClient *client);
void llm_client_cache_clear(LlmClient *client);

#endif
