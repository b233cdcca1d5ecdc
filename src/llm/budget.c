#include "llm/budget.h"

#include <pthread.h>

enum { NAME_MAX_BYTES = 80 };

struct LlmBudget {
    pthread_mutex_t lock;
    char name[NAME_MAX_BYTES];
    LlmBudgetLimits limits;
    LlmBudgetState state;
};

LlmBudget *llm_budget_create(const char *name, const LlmBudgetLimits *limits)
{
    LlmBudget *b = mem_zalloc(sizeof *b);
    (void)pthread_mutex_init(&b->lock, NULL);
    (void)snprintf(b->name, sizeof b->name, "%s", name);
    b->limits = *limits;
    return b;
}

void llm_budget_destroy(LlmBudget *budget)
{
    if (budget) {
        (void)pthread_mutex_destroy(&budget->lock);
        free(budget);
    }
}

LlmBudgetState llm_budget_state(LlmBudget *budget)
{
    (void)pthread_mutex_lock(&budget->lock);
    LlmBudgetState state = budget->state;
    (void)pthread_mutex_unlock(&budget->lock);
    return state;
}

// Whether `used + reserved + more` stays within `limit`, without overflow.
static bool fits(int64_t limit, int64_t used, int64_t reserved, int64_t more)
{
    return limit == 0 || more <= limit - used - reserved;
}

static int reserve(LlmBudget *b, LlmSpend most, Err *e)
{
    int rc = 0;
    (void)pthread_mutex_lock(&b->lock);
    LlmBudgetState *s = &b->state;
    if (!fits(b->limits.tokens, s->tokens, s->reserved_tokens, most.tokens)) {
        rc = err_set(e, ERR_LIMIT,
                     "the token budget of %s is used up: %lld of %lld spent, %lld reserved, "
                     "this call may take %lld",
                     b->name, (long long)s->tokens, (long long)b->limits.tokens,
                     (long long)s->reserved_tokens, (long long)most.tokens);
    } else if (!fits(b->limits.cost_nano_usd, s->cost_nano_usd, s->reserved_cost_nano_usd,
                     most.cost_nano_usd)) {
        rc = err_set(e, ERR_LIMIT,
                     "the money budget of %s is used up: %.6f of %.6f USD spent, this call may "
                     "cost %.6f",
                     b->name, (double)s->cost_nano_usd / 1e9, (double)b->limits.cost_nano_usd / 1e9,
                     (double)most.cost_nano_usd / 1e9);
    } else {
        s->reserved_tokens += most.tokens;
        s->reserved_cost_nano_usd += most.cost_nano_usd;
    }
    s->refused += rc != 0;
    (void)pthread_mutex_unlock(&b->lock);
    return rc;
}

static void settle(LlmBudget *b, LlmSpend most, LlmSpend spent)
{
    (void)pthread_mutex_lock(&b->lock);
    b->state.reserved_tokens -= most.tokens;
    b->state.reserved_cost_nano_usd -= most.cost_nano_usd;
    b->state.tokens += spent.tokens;
    b->state.cost_nano_usd += spent.cost_nano_usd;
    (void)pthread_mutex_unlock(&b->lock);
}

int llm_budget_reserve(LlmBudget *const *budgets, size_t count, LlmSpend most, Err *e)
{
    for (size_t i = 0; i < count; i++) {
        int rc = budgets[i] ? reserve(budgets[i], most, e) : 0;
        if (rc != 0) {
            llm_budget_settle(budgets, i, most, (LlmSpend){0});
            return rc;
        }
    }
    return 0;
}

void llm_budget_settle(LlmBudget *const *budgets, size_t count, LlmSpend most, LlmSpend spent)
{
    for (size_t i = 0; i < count; i++) {
        if (budgets[i]) {
            settle(budgets[i], most, spent);
        }
    }
}
