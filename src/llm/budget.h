// LlmBudget: a ceiling of tokens and money that cannot be passed: what a call may cost at most is
// reserved before anything is sent and settled with what it did cost.
//
//     LlmBudget *session = llm_budget_create("session 7", &(LlmBudgetLimits){.tokens = 100000});
//     request.budgets[1] = session;
//     ... calls fail with ERR_LIMIT once it would be passed ...
//     llm_budget_destroy(session);
//
// Any thread may use one: budgets of a session or run are shared by the clients of all shards.
#ifndef LLM_BUDGET_H
#define LLM_BUDGET_H

#include "llm/llm.h"

typedef struct LlmBudgetLimits {
    int64_t tokens;        // input and output together; 0: no limit
    int64_t cost_nano_usd; // 0: no limit
} LlmBudgetLimits;

typedef struct LlmBudgetState {
    int64_t tokens, cost_nano_usd;                   // settled
    int64_t reserved_tokens, reserved_cost_nano_usd; // by calls under way
    uint64_t refused;
} LlmBudgetState;

LlmBudget *llm_budget_create(const char *name, const LlmBudgetLimits *limits);
void llm_budget_destroy(LlmBudget *budget); // NULL is fine
LlmBudgetState llm_budget_state(LlmBudget *budget);

typedef struct LlmSpend {
    int64_t tokens, cost_nano_usd;
} LlmSpend;

// All of them or none; NULLs are skipped. ERR_LIMIT names the budget that says no.
MUST_USE int llm_budget_reserve(LlmBudget *const *budgets, size_t count, LlmSpend most, Err *e);
// Gives `most` back and counts what was really spent.
void llm_budget_settle(LlmBudget *const *budgets, size_t count, LlmSpend most, LlmSpend spent);

#endif
