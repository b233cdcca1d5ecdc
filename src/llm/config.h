// LlmConfig: providers, roles, prices, cache and budget of the [llm] tree of a configuration.
//
//     [llm]
//     provider = "main"                      # the default; else the first section
//
//     [llm.main]                             # the name is free; `provider` is the protocol
//     provider = "openai"                    # left out where the name is a protocol's
//     base_url = "https://api.openai.com/v1" # or `endpoint`
//     model = "gpt-5"                        # or `deployment`
//     api_key_env = "OPENAI_API_KEY"         # or api_key_file; never the key itself
//     max_connections = 30                   # and the other keys of the guide
//     fallback = ["ollama"]
//
//     [llm.ollama]
//     model = "small"
//
//     [llm.roles]
//     analysis = "main/gpt-5-mini"           # or ["main/gpt-5-mini", "ollama"]: a fallback chain
//
//     [llm.prices."gpt-5"]                   # USD for a million tokens
//     input = 2.5
//     output = 10
//     cached_input = 0.25
//
//     [llm.cache]
//     max_bytes = "64MiB"
//     [llm.budget]                           # of the whole run
//     tokens = 1000000
//     cost = 5.0
//     session_tokens = 20000                 # of each session
//
// docs/guide/llm.md has the whole table, and llm_config_keys prints it. Unknown keys are refused
// with the nearest right one.
#ifndef LLM_CONFIG_H
#define LLM_CONFIG_H

#include "base/buf.h"
#include "base/doc.h"
#include "llm/wire.h"

enum { LLM_CHAIN_MAX = 8, LLM_PROVIDERS_MAX = 100, LLM_ROLES_MAX = 100 };

// Who to ask: a provider by its index, and the model (empty: the provider's).
typedef struct LlmTarget {
    size_t provider;
    Slice model;
} LlmTarget;

typedef struct LlmChain {
    LlmTarget targets[LLM_CHAIN_MAX];
    size_t count;
} LlmChain;

typedef struct LlmProvider {
    Slice name;
    LlmProtocol protocol;
    LlmEndpoint endpoint;
    Slice model, embedding_model;
    Slice api_key_env, api_key_file, ca_file;
    int64_t max_connections, min_connections;
    int64_t connection_timeout_ns, idle_timeout_ns, max_connection_lifetime_ns;
    int64_t request_timeout_ns; // one attempt, not streamed; a stream has the two below
    int64_t first_content_timeout_ns, stream_idle_timeout_ns;
    int64_t retry_max_attempts, retry_initial_interval_ns, retry_max_interval_ns;
    double retry_budget;
    int64_t breaker_failures, breaker_open_ns;
    int64_t max_concurrent; // requests at one time; 0: no limit
    int64_t max_tokens;
    bool old_max_tokens;
    const Slice *fallback_names;
    size_t fallback_count;
    const Doc *doc;
} LlmProvider;

typedef struct LlmPrice { // 10^-9 USD a token
    Slice model;
    int64_t input, output, cached_input;
} LlmPrice;

typedef struct LlmRoleConfig {
    Slice name;
    LlmChain chain;
} LlmRoleConfig;

typedef struct LlmCacheConfig {
    bool enabled;
    int64_t max_bytes, max_entries;
    int64_t factual_ttl_ns, creative_ttl_ns, other_ttl_ns;
} LlmCacheConfig;

struct LlmConfig {
    LlmProvider *providers;
    size_t provider_count;
    size_t default_provider;
    LlmRoleConfig *roles;
    size_t role_count;
    LlmPrice *prices;
    size_t price_count;
    LlmCacheConfig cache;
    int64_t budget_tokens, budget_cost_nano;   // 0: none
    int64_t session_tokens, session_cost_nano; // of each session: agent/llm_agent.h; 0: none
    // Of [performance], which belongs to the whole runtime: set by who read it.
    bool batching; // embeddings of several callers are sent together
    int64_t batch_size, batch_timeout_ns;
    bool no_pooling;
    int64_t pool_size; // where a provider says no max_connections; 0: 50
};
typedef struct LlmConfig LlmConfig;

// `llm` is the [llm] table, or NULL for no provider at all. Text is borrowed from the tree.
// ERR_PARSE with "file:line:column: what is wrong".
MUST_USE int llm_config_read(Arena *arena, const Doc *llm, LlmConfig *ret_config, Err *e);
// The keys as Markdown tables, for the guide.
void llm_config_keys(Buf *out);

// Who answers a request. ERR_NOT_FOUND names what there is.
MUST_USE int llm_config_chain(const LlmConfig *config, Slice role, Slice provider, Slice model,
                              LlmChain *ret_chain, Err *e);
// NULL without a price.
const LlmPrice *llm_config_price(const LlmConfig *config, Slice model);
int64_t llm_price_of(const LlmPrice *price, const LlmUsage *usage); // 10^-9 USD

// The key of a provider, from its variable or its file (trimmed); empty when it names neither.
// ERR_NOT_FOUND or ERR_IO in words that do not hold it. `get_env` is getenv, or NULL for no
// environment.
MUST_USE int llm_config_secret(Arena *arena, const LlmProvider *provider,
                               char *(*get_env)(const char *name), Slice *ret_secret, Err *e);

#endif
