// Budget: what a run may consume, in requests, bytes and money. Pure arithmetic over totals that
// the engine counts anyway; nothing here reads a clock or stops anything.
//
//     Budget budget;
//     if ((rc = budget_init(&budget, &limits, e)) != 0) ...
//     each second:
//         budget_use(&budget, &(BudgetUse){.requests = r, .bytes = b, .vu_ns = v});
//         for (BudgetNews news; budget_next(&budget, &news);) {
//             budget_text(&budget, &news, &line);  ... event; ramp down on BUDGET_STOP ...
//         }
//
// Each limit warns once at 80 % and stops once at 100 %; a jump past both is one piece of news, the
// stop. What is in flight when the stop is told still costs, so a run ends a little above 100 %, by
// at most what it does between two calls and in its ramp-down; the report shows the true figure.
//
// Threads: none; one thread owns the struct.
#ifndef GUARD_BUDGET_H
#define GUARD_BUDGET_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#define BUDGET_WARN_SHARE 0.8

typedef enum BudgetKind { BUDGET_REQUESTS, BUDGET_BYTES, BUDGET_MONEY, BUDGET_KINDS } BudgetKind;
typedef enum BudgetLevel { BUDGET_FINE, BUDGET_WARN, BUDGET_STOP } BudgetLevel;

// Zero in a limit: none of that kind. The prices may be there without a limit on money; then the
// cost is only reported.
typedef struct BudgetLimits {
    int64_t requests;
    int64_t bytes; // sent and received
    double money;
    Slice currency; // borrowed; for words only
    double price_per_vu_hour;
    double price_per_request;
    Slice origin; // "plan.yaml:12", borrowed
} BudgetLimits;

// Totals since the start of the run.
typedef struct BudgetUse {
    int64_t requests;
    int64_t bytes;
    int64_t vu_ns; // sum over the VUs of the time each was there
} BudgetUse;

typedef struct Budget {
    BudgetLimits limits;
    BudgetUse use;
    BudgetLevel told[BUDGET_KINDS]; // highest level budget_next() reported
} Budget;

typedef struct BudgetNews {
    BudgetKind kind;
    BudgetLevel level; // BUDGET_WARN or BUDGET_STOP
} BudgetNews;

// ERR_ARG for a limit or price that is negative or not finite, and for a limit on money without any
// price, which could never be reached.
MUST_USE int budget_init(Budget *budget, const BudgetLimits *limits, Err *e);
// The new totals; they never fall.
void budget_use(Budget *budget, const BudgetUse *total);
// The next level that was reached and not reported yet.
bool budget_next(Budget *budget, BudgetNews *ret_news);

// Highest level of any kind, whether reported or not.
BudgetLevel budget_level(const Budget *budget);
// Used share of a limit, 0 where there is none; above 1 past the limit.
double budget_share(const Budget *budget, BudgetKind kind);
double budget_cost(const Budget *budget); // in the currency, from the prices

// "80 % of the budget for requests is used: 800 of 1000 (guard.budget, set in plan.yaml:12)".
void budget_text(const Budget *budget, const BudgetNews *news, Buf *out);

#endif
