#include "policy/retry.h"

#include <math.h>

BudgetLaw retry_budget_law(const ParamValue *p)
{
    return (BudgetLaw){p[P_RETRY_BUDGET].real, p[P_RETRY_BUDGET_MIN].real,
                       p[P_RETRY_BUDGET_WINDOW].integer};
}

// Forgets the slices that are older than the window.
static double *slice_at(BudgetState *s, const BudgetLaw *law, int64_t now_ns)
{
    if (now_ns < s->end_ns) {
        return &s->slices[s->newest % BUDGET_SLICES]; // the way of nearly every call: no division
    }
    int64_t length = law->window_ns / BUDGET_SLICES;
    int64_t number = now_ns / length;
    if (number - s->newest >= BUDGET_SLICES) {
        *s = (BudgetState){.newest = number};
    }
    s->end_ns = (number + 1) * length;
    while (s->newest < number) {
        s->newest++;
        s->slices[s->newest % BUDGET_SLICES] = 0;
        s->total = 0;
        // Summed afresh: differences of fractions would leave a remainder behind.
        for (int i = 0; i < BUDGET_SLICES; i++) {
            s->total += s->slices[i];
        }
    }
    return &s->slices[s->newest % BUDGET_SLICES];
}

void budget_deposit(BudgetState *s, const BudgetLaw *law, int64_t now_ns)
{
    *slice_at(s, law, now_ns) += law->ratio;
    s->total += law->ratio;
}

double budget_balance(BudgetState *s, const BudgetLaw *law, int64_t now_ns)
{
    (void)slice_at(s, law, now_ns);
    return s->total + law->per_second * (double)law->window_ns / 1e9;
}

bool budget_withdraw(BudgetState *s, const BudgetLaw *law, int64_t now_ns)
{
    // Ten deposits of a tenth are one retry, whatever the last bit of their sum says.
    if (budget_balance(s, law, now_ns) < 1 - 1e-9) {
        return false;
    }
    *slice_at(s, law, now_ns) -= 1;
    s->total -= 1;
    return true;
}

int64_t retry_pause(const ParamValue *p, uint32_t n, double unit, int64_t previous_ns)
{
    double first = (double)p[P_RETRY_BACKOFF].integer,
           most = (double)p[P_RETRY_MAX_BACKOFF].integer;
    double base = first * pow(p[P_RETRY_MULTIPLIER].real, (double)n - 1);
    base = base < most ? base : most;
    switch ((RetryJitter)p[P_RETRY_JITTER].integer) {
    case JITTER_NONE: return (int64_t)base;
    case JITTER_FULL: return (int64_t)(base * unit);
    case JITTER_EQUAL: return (int64_t)(base / 2 + base / 2 * unit);
    case JITTER_DECORRELATED: break;
    }
    // Brooker's code starts with sleep = base.
    double last = previous_ns > 0 ? (double)previous_ns : first;
    double pause = first + unit * (3 * last - first);
    pause = pause > first ? pause : first;
    return (int64_t)(pause < most ? pause : most);
}
