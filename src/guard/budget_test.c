#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "base/units.h"
#include "guard/budget.h"

static Budget budget_of(BudgetLimits limits)
{
    Budget b;
    Err e = {0};
    assert_int_equal(budget_init(&b, &limits, &e), 0);
    return b;
}

typedef struct Edge {
    BudgetLimits limits;
    BudgetUse use;
    BudgetLevel level;
} Edge;

#define LARGE (INT64_MAX / 5 * 5)

static const Edge edges[] = {
    {{.requests = 0}, {.requests = INT64_MAX}, BUDGET_FINE},
    {{.requests = 1000}, {.requests = 0}, BUDGET_FINE},
    {{.requests = 1000}, {.requests = 799}, BUDGET_FINE},
    {{.requests = 1000}, {.requests = 800}, BUDGET_WARN},
    {{.requests = 1000}, {.requests = 999}, BUDGET_WARN},
    {{.requests = 1000}, {.requests = 1000}, BUDGET_STOP},
    {{.requests = 1}, {.requests = 0}, BUDGET_FINE},
    {{.requests = 1}, {.requests = 1}, BUDGET_STOP},
    // Four fifths of three requests are 2.4: two are below it.
    {{.requests = 3}, {.requests = 2}, BUDGET_FINE},
    {{.bytes = LARGE}, {.bytes = LARGE / 5 * 4 - 1}, BUDGET_FINE},
    {{.bytes = LARGE}, {.bytes = LARGE / 5 * 4}, BUDGET_WARN},
    {{.bytes = LARGE}, {.bytes = LARGE - 1}, BUDGET_WARN},
    {{.bytes = LARGE}, {.bytes = LARGE}, BUDGET_STOP},
    // Sums that are no round numbers in binary: 3 x 0.1, 70 x 0.01, 80 x 0.01.
    {{.money = 0.3, .price_per_request = 0.1}, {.requests = 3}, BUDGET_STOP},
    {{.money = 0.7, .price_per_request = 0.01}, {.requests = 70}, BUDGET_STOP},
    {{.money = 1, .price_per_request = 0.01}, {.requests = 79}, BUDGET_FINE},
    {{.money = 1, .price_per_request = 0.01}, {.requests = 80}, BUDGET_WARN},
    {{.money = 1, .price_per_request = 0.01}, {.requests = 99}, BUDGET_WARN},
    {{.money = 2, .price_per_vu_hour = 0.5},
     {.vu_ns = 4 * NS_PER_HOUR - NS_PER_SECOND},
     BUDGET_WARN},
    {{.money = 2, .price_per_vu_hour = 0.5}, {.vu_ns = 4 * NS_PER_HOUR}, BUDGET_STOP},
    {{.money = 2, .price_per_vu_hour = 0.5, .price_per_request = 0.001},
     {.vu_ns = 2 * NS_PER_HOUR, .requests = 1000},
     BUDGET_STOP},
    // Prices alone limit nothing.
    {{.price_per_request = 1}, {.requests = 1 << 30}, BUDGET_FINE},
};

static void test_edges(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(edges); i++) {
        Budget b = budget_of(edges[i].limits);
        budget_use(&b, &edges[i].use);
        if (budget_level(&b) != edges[i].level) {
            fail_msg("case %zu: level %d, expected %d", i, budget_level(&b), edges[i].level);
        }
        BudgetNews news;
        assert_int_equal(budget_next(&b, &news), edges[i].level != BUDGET_FINE);
        assert_false(budget_next(&b, &news));
    }
}

static void test_each_level_is_told_once(void **state)
{
    (void)state;
    Budget b = budget_of((BudgetLimits){.requests = 10, .bytes = 100});
    BudgetNews news;
    budget_use(&b, &(BudgetUse){.requests = 8, .bytes = 79});
    assert_true(budget_next(&b, &news));
    assert_int_equal(news.kind, BUDGET_REQUESTS);
    assert_int_equal(news.level, BUDGET_WARN);
    assert_false(budget_next(&b, &news));
    budget_use(&b, &(BudgetUse){.requests = 9, .bytes = 100});
    // From nothing past both levels: only the stop.
    assert_true(budget_next(&b, &news));
    assert_int_equal(news.kind, BUDGET_BYTES);
    assert_int_equal(news.level, BUDGET_STOP);
    assert_false(budget_next(&b, &news));
    budget_use(&b, &(BudgetUse){.requests = 10, .bytes = 100});
    assert_true(budget_next(&b, &news));
    assert_int_equal(news.kind, BUDGET_REQUESTS);
    assert_int_equal(news.level, BUDGET_STOP);
    assert_false(budget_next(&b, &news));
}

static void test_limits_that_make_no_sense(void **state)
{
    (void)state;
    static const BudgetLimits bad[] = {
        {.requests = -1},
        {.bytes = -1},
        {.money = -0.5, .price_per_request = 1},
        {.money = 5}, // no price: could never be reached
        {.money = NAN, .price_per_request = 1},
        {.money = 1, .price_per_request = -1},
        {.money = 1, .price_per_vu_hour = INFINITY},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        Budget b;
        Err e = {0};
        assert_int_equal(budget_init(&b, &bad[i], &e), ERR_ARG);
        assert_true(e.text[0] != '\0');
    }
}

static void test_words(void **state)
{
    (void)state;
    Budget b = budget_of((BudgetLimits){.requests = 1000,
                                        .bytes = 2000000,
                                        .money = 10,
                                        .currency = SLICE("EUR"),
                                        .price_per_request = 0.008,
                                        .origin = SLICE("plan.yaml:12")});
    budget_use(&b, &(BudgetUse){.requests = 1000, .bytes = 1800000});
    static const char *const expected[] = {
        "the budget for requests is used up: 1000 of 1000 (guard.budget, set in plan.yaml:12)",
        "90 % of the budget for bytes is used: 1.8MB of 2MB (guard.budget, set in plan.yaml:12)",
        ("80 % of the budget for money is used: 8.00 of 10.00 EUR (guard.budget, set in "
         "plan.yaml:12)"),
    };
    Buf out = buf_create(1 << 10);
    BudgetNews news;
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        assert_true(budget_next(&b, &news));
        buf_reset(&out);
        budget_text(&b, &news, &out);
        assert_string_equal(out.data, expected[i]);
    }
    assert_false(budget_next(&b, &news));
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_each_level_is_told_once),
        cmocka_unit_test(test_limits_that_make_no_sense),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
