// Retry: how long to pause, and whether there is budget for it.
//
// Pause before retry n = 1, 2, ... with base b = min(`retry.max_backoff`,
// `retry.backoff` * `retry.multiplier`^(n-1)) and u uniform in [0, 1) (Brooker, "Exponential
// Backoff And Jitter", AWS Architecture Blog, 2015):
//   none          b
//   full          u b
//   equal         b/2 + u b/2
//   decorrelated  min(max_backoff, backoff + u (3 * previous pause - backoff))
//
// The budget is Finagle's RetryBudget (com.twitter.finagle.service.RetryBudget): every call
// deposits `retry.budget` of a retry, which lives for `retry.budget_window`; beside that
// `retry.budget_min` retries a second are always there. `retry.budget` 0: no budget. Tokens are
// counted in windows of a tenth, and a withdrawal expires with the deposits of its time.
#ifndef POLICY_RETRY_H
#define POLICY_RETRY_H

#include "policy/params.h"

enum { BUDGET_SLICES = 10 };

typedef struct BudgetState {
    double slices[BUDGET_SLICES]; // deposits less withdrawals, in retries
    double total;
    int64_t newest; // number of the newest slice (time / slice length)
    int64_t end_ns; // of the newest slice: until then nothing expires
} BudgetState;

typedef struct BudgetLaw {
    double ratio;      // retries a call
    double per_second; // always there
    int64_t window_ns;
} BudgetLaw;

void budget_deposit(BudgetState *s, const BudgetLaw *law, int64_t now_ns);
// True and taken, or false.
bool budget_withdraw(BudgetState *s, const BudgetLaw *law, int64_t now_ns);
double budget_balance(BudgetState *s, const BudgetLaw *law, int64_t now_ns);

BudgetLaw retry_budget_law(const ParamValue *p);

// Pause before retry `n` (from 1), ns. `unit` is the uniform number, `previous_ns` the pause before
// (0 for the first).
int64_t retry_pause(const ParamValue *p, uint32_t n, double unit, int64_t previous_ns);

#endif
