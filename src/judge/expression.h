// k6's threshold expressions as the judge meets them again: stored with a run as text.
//
// The load room has the grammar that plans are checked with; a run in the ledger may have been made
// by another version or imported from k6, so nothing is assumed here about what the text holds.
#ifndef JUDGE_EXPRESSION_H
#define JUDGE_EXPRESSION_H

#include "base/err.h"
#include "base/slice.h"

typedef enum ExpressionStat {
    EXPR_COUNT,
    EXPR_RATE,
    EXPR_VALUE,
    EXPR_AVG,
    EXPR_MIN,
    EXPR_MAX,
    EXPR_QUANTILE, // med, p(N)
} ExpressionStat;

typedef enum ExpressionOp { EXPR_LE, EXPR_LT, EXPR_GE, EXPR_GT, EXPR_EQ, EXPR_NE } ExpressionOp;

typedef struct Expression {
    ExpressionStat stat;
    double quantile; // EXPR_QUANTILE: 0..1
    ExpressionOp op; // "==" and "===" are one
    double limit;    // in k6's units: milliseconds for times
} Expression;

// "p(95)<500", "rate >= 0.99", "med==3". ERR_PARSE naming what was met.
MUST_USE int expression_parse(Slice text, Expression *ret, Err *e);

bool expression_holds(ExpressionOp op, double value, double limit);

#endif
