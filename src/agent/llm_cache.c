// The cached answers of models, which each shard has for itself.
#include "agent/llm_impl.h"
#include "agent/runner_impl.h"

typedef struct Visit {
    LlmHost *host;
    bool clear;
    CacheFigures figures;
} Visit;

static void visit(Shard *shard, void *arg)
{
    Visit *v = arg;
    LlmClient *client = llm_host_shard_client(v->host, shard->index);
    if (!client) {
        return;
    }
    LlmClientStats stats = llm_client_stats(client);
    v->figures.entries += stats.cache_entries;
    v->figures.bytes += stats.cache_bytes;
    v->figures.hits += stats.cache_hits;
    v->figures.misses += stats.cache_misses;
    if (v->clear) {
        llm_client_cache_clear(client);
    }
}

CacheFigures llm_host_cache(LlmHost *host, Runner *runner, bool clear)
{
    Visit v = {.host = host, .clear = clear};
    if (host) {
        runner_on_shards(runner, visit, &v);
    }
    return v.figures;
}
