// Language-model agents of a configuration: a conversation of one event, in which the model may
// call tools, until it answers or a limit says no.
//
//     [agents.analyst]
//     role = "analysis"
//     system_prompt = "You read load test results."
//     tools = ["search", "mcp:files"]
//
// An LlmHost has what the agents of one assembly share: the configuration's providers, a client for
// each shard (made when an agent first runs there, because a client belongs to one loop), tools and
// budgets.
//
// The event's data is the user's message: a JSON string is the text itself, an object with the one
// member "query" or "text" that member's, everything else as it stands.
#ifndef AGENT_LLM_AGENT_H
#define AGENT_LLM_AGENT_H

#include "agent/config.h"
#include "agent/runner.h"
#include "agent/tool.h"
#include "llm/client.h"
#include "telemetry/collector.h"
#include "telemetry/span.h"

typedef struct LlmHost LlmHost;

enum {
    LLM_AGENT_MESSAGES_MAX = 4000, // of one conversation
    LLM_AGENT_TOOLS_MAX = 128,     // of one agent; providers take about as many
};

// `tools` outlives the host and is complete before an agent runs. ERR_PARSE with the place of what
// is wrong in [llm]; secrets are looked up when a provider is first used.
MUST_USE int llm_host_create(const AgentConfig *config, const ToolSet *tools, LlmHost **ret_host,
                             Err *e);
// Calls become spans below the run that makes them, and providers are told of it by a traceparent.
// Before an agent runs; the queue outlives the host.
void llm_host_trace(LlmHost *host, SpanQueue *queue, uint64_t seed);
// After the runner stopped and before it is destroyed; NULL is fine.
void llm_host_destroy(LlmHost *host);

// Fills run, self and destroy. ERR_NOT_FOUND for an unknown provider or role, ERR_IO for a prompt
// that cannot be read.
MUST_USE int llm_agent_make(LlmHost *host, const ConfigAgent *agent, AgentSpec *spec, Err *e);

// One request of a handler's own, for ctx.llm in JavaScript: {"prompt": text} or {"messages":
// [{"role", "content"}]}, with "llm" ("NAME" or "NAME/MODEL"), "role", "system", "max_tokens",
// "temperature" and "kind" (factual, creative) where wanted. Appends {"text", "model", "finish",
// "input_tokens", "output_tokens"}. Parks the fiber. ERR_ARG for a request that is none.
MUST_USE int llm_host_ask(LlmHost *host, AgentContext *ctx, Slice request, Buf *answer, Err *e);

// Brings the gen_ai.* metrics of the collector up to date; from any thread.
void llm_host_collect(LlmHost *host, Collector *collector);

// The cached answers of all shards, as they are; then drops them, with `clear`. Any thread but the
// runner's, which runs. NULL is fine.
CacheFigures llm_host_cache(LlmHost *host, Runner *runner, bool clear);

// Of all shards' clients. Only while the runner does not run.
LlmClientStats llm_host_stats(const LlmHost *host);

#endif
