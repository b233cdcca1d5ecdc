#include "judge/expression.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

// Forms taken from the thresholds page of k6's manual.
static void test_k6_expressions(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        Expression want;
    } cases[] = {
        {"p(95)<500", {EXPR_QUANTILE, 0.95, EXPR_LT, 500}},
        {"p(99.9) <= 2000", {EXPR_QUANTILE, 0.999, EXPR_LE, 2000}},
        {"rate<0.01", {EXPR_RATE, 0.5, EXPR_LT, 0.01}},
        {" rate >= 0.99 ", {EXPR_RATE, 0.5, EXPR_GE, 0.99}},
        {"count===10", {EXPR_COUNT, 0.5, EXPR_EQ, 10}},
        {"value!=0", {EXPR_VALUE, 0.5, EXPR_NE, 0}},
        {"med>1.5e3", {EXPR_QUANTILE, 0.5, EXPR_GT, 1500}},
        {"avg<200", {EXPR_AVG, 0.5, EXPR_LT, 200}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Expression x;
        Err e;
        assert_int_equal(expression_parse(slice_from_cstr(cases[i].text), &x, &e), 0);
        assert_int_equal(x.stat, cases[i].want.stat);
        assert_int_equal(x.op, cases[i].want.op);
        assert_true(x.quantile > cases[i].want.quantile - 1e-12);
        assert_true(x.quantile < cases[i].want.quantile + 1e-12);
        assert_true(x.limit == cases[i].want.limit);
    }
}

static void test_refuses(void **state)
{
    (void)state;
    static const char *const cases[] = {"",          "p(95)",  "p(101)<5", "p(-1)<5",  "p()<5",
                                        "<5",        "p95<5",  "rate<",    "rate<x",   "rate<5ms",
                                        "avg < 1 2", "p(95<5", "rate=5",   "count<nan"};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Expression x;
        Err e;
        assert_int_equal(expression_parse(slice_from_cstr(cases[i]), &x, &e), ERR_PARSE);
        assert_true(e.text[0] != 0);
    }
}

static void test_operators(void **state)
{
    (void)state;
    static const struct {
        ExpressionOp op;
        bool below, equal, above;
    } cases[] = {{EXPR_LE, true, true, false},  {EXPR_LT, true, false, false},
                 {EXPR_GE, false, true, true},  {EXPR_GT, false, false, true},
                 {EXPR_EQ, false, true, false}, {EXPR_NE, true, false, true}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(expression_holds(cases[i].op, 1, 2), cases[i].below);
        assert_int_equal(expression_holds(cases[i].op, 2, 2), cases[i].equal);
        assert_int_equal(expression_holds(cases[i].op, 3, 2), cases[i].above);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_k6_expressions),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_operators),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
