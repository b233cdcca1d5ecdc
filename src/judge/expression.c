#include "judge/expression.h"

typedef struct OpName {
    const char *text;
    ExpressionOp op;
} OpName;

// Longest first: "<=" must not be read as "<".
static const OpName OPS[] = {
    {"===", EXPR_EQ}, {"==", EXPR_EQ}, {"!=", EXPR_NE}, {"<=", EXPR_LE},
    {">=", EXPR_GE},  {"<", EXPR_LT},  {">", EXPR_GT},
};

static const struct {
    const char *text;
    ExpressionStat stat;
} STATS[] = {
    {"count", EXPR_COUNT}, {"rate", EXPR_RATE}, {"value", EXPR_VALUE},  {"avg", EXPR_AVG},
    {"min", EXPR_MIN},     {"max", EXPR_MAX},   {"med", EXPR_QUANTILE},
};

static int parse_stat(Slice name, Slice whole, Expression *ret, Err *e)
{
    for (size_t i = 0; i < COUNT_OF(STATS); i++) {
        if (slice_eq_cstr(name, STATS[i].text)) {
            ret->stat = STATS[i].stat;
            ret->quantile = 0.5;
            return 0;
        }
    }
    double percent;
    if (slice_starts_with(name, SLICE("p(")) && slice_ends_with(name, SLICE(")")) &&
        slice_to_f64(slice_trim(slice_sub(name, 2, name.len - 3)), &percent) == 0 && percent >= 0 &&
        percent <= 100) {
        ret->stat = EXPR_QUANTILE;
        ret->quantile = percent / 100;
        return 0;
    }
    return err_set(e, ERR_PARSE,
                   "\"%.*s\": \"%.*s\" is not one of count, rate, value, avg, min, max, med, p(N)",
                   SLICE_FMT(whole), SLICE_FMT(name));
}

int expression_parse(Slice text, Expression *ret, Err *e)
{
    Expression result = {0};
    for (size_t at = 0; at < text.len; at++) {
        for (size_t i = 0; i < COUNT_OF(OPS); i++) {
            Slice op = slice_from_cstr(OPS[i].text);
            if (!slice_starts_with(slice_sub(text, at, op.len), op)) {
                continue;
            }
            result.op = OPS[i].op;
            int rc = parse_stat(slice_trim(slice_sub(text, 0, at)), text, &result, e);
            if (rc != 0) {
                return rc;
            }
            Slice limit = slice_trim(slice_sub(text, at + op.len, text.len));
            if (slice_to_f64(limit, &result.limit) != 0) {
                return err_set(e, ERR_PARSE, "\"%.*s\": \"%.*s\" is not a number", SLICE_FMT(text),
                               SLICE_FMT(limit));
            }
            *ret = result;
            return 0;
        }
    }
    return err_set(e, ERR_PARSE,
                   "\"%.*s\" has none of the operators <= < >= > == != ===", SLICE_FMT(text));
}

bool expression_holds(ExpressionOp op, double value, double limit)
{
    switch (op) {
    case EXPR_LE: return value <= limit;
    case EXPR_LT: return value < limit;
    case EXPR_GE: return value >= limit;
    case EXPR_GT: return value > limit;
    case EXPR_EQ: return value == limit;
    case EXPR_NE: return value != limit;
    }
    return false;
}
