#include "guard/budget.h"

#include <assert.h>
#include <math.h>

#include "base/units.h"

// Sums of prices such as 100 x 0.01 miss the round limit by an ulp or two; a budget that stops one
// request late because of that would look like a fault.
#define MONEY_SLACK 1e-12

static bool usable(double amount)
{
    return isfinite(amount) && amount >= 0;
}

int budget_init(Budget *budget, const BudgetLimits *limits, Err *e)
{
    if (limits->requests < 0 || limits->bytes < 0 || !usable(limits->money)) {
        return err_set(e, ERR_ARG, "a budget must not be negative");
    }
    if (!usable(limits->price_per_vu_hour) || !usable(limits->price_per_request)) {
        return err_set(e, ERR_ARG, "a price must be a number from 0 up");
    }
    if (limits->money > 0 && limits->price_per_vu_hour <= 0 && limits->price_per_request <= 0) {
        return err_set(e, ERR_ARG,
                       "a budget of money needs a price per VU-hour or per request beside it");
    }
    *budget = (Budget){.limits = *limits};
    return 0;
}

void budget_use(Budget *budget, const BudgetUse *total)
{
    assert(total->requests >= budget->use.requests && total->bytes >= budget->use.bytes &&
           total->vu_ns >= budget->use.vu_ns);
    budget->use = *total;
}

double budget_cost(const Budget *budget)
{
    const BudgetLimits *l = &budget->limits;
    return (double)budget->use.requests * l->price_per_request +
           (double)budget->use.vu_ns / (double)NS_PER_HOUR * l->price_per_vu_hour;
}

// Whole numbers are compared as such: 4/5 in doubles would move the edge for large counts.
static BudgetLevel level_of_count(int64_t used, int64_t limit)
{
    if (limit == 0) {
        return BUDGET_FINE;
    }
    if (used >= limit) {
        return BUDGET_STOP;
    }
    return (__int128)used * 5 >= (__int128)limit * 4 ? BUDGET_WARN : BUDGET_FINE;
}

static BudgetLevel level_of_money(double used, double limit)
{
    if (limit <= 0) {
        return BUDGET_FINE;
    }
    double share = used / limit + MONEY_SLACK;
    return share >= 1 ? BUDGET_STOP : share >= BUDGET_WARN_SHARE ? BUDGET_WARN : BUDGET_FINE;
}

static BudgetLevel level_of(const Budget *b, BudgetKind kind)
{
    switch (kind) {
    case BUDGET_REQUESTS: return level_of_count(b->use.requests, b->limits.requests);
    case BUDGET_BYTES: return level_of_count(b->use.bytes, b->limits.bytes);
    case BUDGET_MONEY: return level_of_money(budget_cost(b), b->limits.money);
    case BUDGET_KINDS: break;
    }
    return BUDGET_FINE;
}

bool budget_next(Budget *budget, BudgetNews *ret_news)
{
    for (BudgetKind kind = 0; kind < BUDGET_KINDS; kind++) {
        BudgetLevel level = level_of(budget, kind);
        if (level > budget->told[kind]) {
            budget->told[kind] = level;
            *ret_news = (BudgetNews){kind, level};
            return true;
        }
    }
    return false;
}

BudgetLevel budget_level(const Budget *budget)
{
    BudgetLevel highest = BUDGET_FINE;
    for (BudgetKind kind = 0; kind < BUDGET_KINDS; kind++) {
        BudgetLevel level = level_of(budget, kind);
        highest = level > highest ? level : highest;
    }
    return highest;
}

double budget_share(const Budget *budget, BudgetKind kind)
{
    const BudgetLimits *l = &budget->limits;
    switch (kind) {
    case BUDGET_REQUESTS:
        return l->requests > 0 ? (double)budget->use.requests / (double)l->requests : 0;
    case BUDGET_BYTES: return l->bytes > 0 ? (double)budget->use.bytes / (double)l->bytes : 0;
    case BUDGET_MONEY: return l->money > 0 ? budget_cost(budget) / l->money : 0;
    case BUDGET_KINDS: break;
    }
    return 0;
}

void budget_text(const Budget *budget, const BudgetNews *news, Buf *out)
{
    const BudgetLimits *l = &budget->limits;
    char used[UNITS_TEXT_MAX];
    char limit[UNITS_TEXT_MAX];
    static const char *const names[] = {"requests", "bytes", "money"};
    assert(news->kind < BUDGET_KINDS);
    if (news->level == BUDGET_STOP) {
        buf_printf(out, "the budget for %s is used up: ", names[news->kind]);
    } else {
        buf_printf(out, "%.0f %% of the budget for %s is used: ",
                   floor(100 * budget_share(budget, news->kind) + 1e-9), names[news->kind]);
    }
    switch (news->kind) {
    case BUDGET_REQUESTS:
        buf_printf(out, "%lld of %lld", (long long)budget->use.requests, (long long)l->requests);
        break;
    case BUDGET_BYTES:
        (void)size_format_short(budget->use.bytes, used);
        (void)size_format_short(l->bytes, limit);
        buf_printf(out, "%s of %s", used, limit);
        break;
    case BUDGET_MONEY:
        buf_printf(out, "%.2f of %.2f%s%.*s", budget_cost(budget), l->money,
                   l->currency.len > 0 ? " " : "", SLICE_FMT(l->currency));
        break;
    case BUDGET_KINDS: break;
    }
    Slice origin = l->origin.len > 0 ? l->origin : SLICE("the plan");
    buf_printf(out, " (guard.budget, set in %.*s)", SLICE_FMT(origin));
}
