// What the files of model agents share of their host.
#ifndef AGENT_LLM_IMPL_H
#define AGENT_LLM_IMPL_H

#include "agent/llm_agent.h"
#include "llm/budget.h"
#include "llm/config.h"

// The client of the shard that runs the handler, made when it is first wanted.
MUST_USE int llm_host_client(LlmHost *host, const AgentContext *ctx, LlmClient **ret_client,
                             Err *e);
// NULL while the shard made none.
LlmClient *llm_host_shard_client(const LlmHost *host, unsigned shard);
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

// ---- budgets of agents and sessions (llm_budgets.c); any thread

typedef struct LlmBudgets LlmBudgets;
typedef struct LlmSession LlmSession;

enum { LLM_BUDGET_SESSIONS_MAX = 100000 };

typedef struct LlmBudgetsOptions {
    const ConfigAgent *agents; // borrowed
    size_t agent_count;
    LlmBudgetLimits session; // of each; zero: none
    int64_t session_ttl_ns;  // after the last call
    size_t sessions_max;
} LlmBudgetsOptions;

LlmBudgets *llm_budgets_create(const LlmBudgetsOptions *options);
void llm_budgets_destroy(LlmBudgets *budgets); // NULL is fine
LlmBudgets *llm_host_budgets(LlmHost *host);
LlmBudget *llm_budgets_agent(const LlmBudgets *budgets, Slice agent); // NULL: no limit
// What a session's calls may use until it is given back; *ret_session is NULL without a limit.
// ERR_LIMIT when sessions_max others are remembered.
MUST_USE int llm_budgets_take(LlmBudgets *budgets, Slice session, int64_t now_ns,
                              LlmSession **ret_session, Err *e);
void llm_budgets_give(LlmBudgets *budgets, LlmSession *session, int64_t now_ns); // NULL is fine
LlmBudget *llm_session_budget(const LlmSession *session);

// ---- what was said before (llm_history.c)

enum { LLM_HISTORY_BYTES_MAX = 1 << 20 }; // of its texts together; the oldest are dropped

// Puts what the state keeps of the agent's conversation, at most `max` messages, into `messages`.
// ERR_PARSE when what stands there is none.
MUST_USE int llm_history_load(Arena *arena, const State *state, Slice agent, size_t max,
                              LlmMessage *messages, size_t *ret_count, Err *e);
// Keeps the last `max` of the old messages, the user's and the model's words. What is kept begins
// with words of the user, as the protocols want it, so of an odd number one is not kept.
MUST_USE int llm_history_save(Arena *arena, State *state, Slice agent, size_t max,
                              const LlmMessage *old, size_t old_count, Slice user, Slice answer);

#endif
