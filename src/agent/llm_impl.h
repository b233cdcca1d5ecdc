// What the files of model agents share of their host.
#ifndef AGENT_LLM_IMPL_H
#define AGENT_LLM_IMPL_H

#include "agent/llm_agent.h"
#include "llm/config.h"

// The client of the shard that runs the handler, made when it is first wanted.
MUST_USE int llm_host_client(LlmHost *host, const AgentContext *ctx, LlmClient **ret_client,
                             Err *e);
// What calls of the handler say they are part of; empty where nobody wants spans.
Slice llm_host_parent(const LlmHost *host, const AgentContext *ctx,
                      char out[TRACEPARENT_BYTES + 1]);
// As read from [llm] and [performance].
const LlmConfig *llm_host_config(const LlmHost *host);

// What calls did, by provider and model; any thread.
typedef struct LlmLedger LlmLedger;
LlmLedger *llm_ledger_create(void);
void llm_ledger_destroy(LlmLedger *ledger);
// An LlmObserver's function; the context is the ledger.
void llm_ledger_observe(void *ledger, const LlmObservation *observation);
void llm_ledger_collect(LlmLedger *ledger, Collector *collector);

LlmBudget *llm_host_budget(LlmHost *host); // of the run; NULL: no limit

#endif
