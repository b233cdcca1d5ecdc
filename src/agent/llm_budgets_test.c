// Budgets of sessions: who shares one, when it is forgotten, and what happens when the table is
// full.
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/llm_impl.h"

static LlmBudgets *budgets_of(size_t sessions_max)
{
    return llm_budgets_create(&(LlmBudgetsOptions){
        .session = {.tokens = 100}, .session_ttl_ns = NS_PER_MINUTE, .sessions_max = sessions_max});
}

// Spends tokens of a session, as a call does; 0, or what the budget says.
static int spend(LlmBudgets *b, const char *name, int64_t tokens, int64_t now_ns)
{
    LlmSession *s = NULL;
    Err e = {0};
    int rc = llm_budgets_take(b, slice_from_cstr(name), now_ns, &s, &e);
    if (rc != 0) {
        return rc;
    }
    LlmBudget *budget = llm_session_budget(s);
    LlmSpend most = {.tokens = tokens};
    rc = llm_budget_reserve(&budget, 1, most, &e);
    if (rc == 0) {
        llm_budget_settle(&budget, 1, most, most);
    }
    llm_budgets_give(b, s, now_ns);
    return rc;
}

static void test_a_session_keeps_its_budget(void **state)
{
    (void)state;
    LlmBudgets *b = budgets_of(10);
    assert_int_equal(spend(b, "a", 100, 0), 0); // exactly all of it
    assert_int_equal(spend(b, "a", 1, 0), ERR_LIMIT);
    assert_int_equal(spend(b, "b", 100, 0), 0);
    // Each call, the refused ones too, keeps it in memory for the time to live.
    assert_int_equal(spend(b, "a", 1, NS_PER_MINUTE - 1), ERR_LIMIT);
    assert_int_equal(spend(b, "a", 1, 2 * NS_PER_MINUTE - 2), ERR_LIMIT);
    assert_int_equal(spend(b, "a", 100, 3 * NS_PER_MINUTE - 2), 0);
    llm_budgets_destroy(b);
}

static void test_no_session_and_no_limit(void **state)
{
    (void)state;
    LlmBudgets *b = budgets_of(1);
    LlmSession *s = NULL;
    assert_int_equal(llm_budgets_take(b, SLICE(""), 0, &s, NULL), 0);
    assert_null(s);
    assert_null(llm_session_budget(s));
    llm_budgets_give(b, s, 0);
    llm_budgets_destroy(b);
    b = llm_budgets_create(&(LlmBudgetsOptions){.sessions_max = 1});
    assert_int_equal(llm_budgets_take(b, SLICE("x"), 0, &s, NULL), 0);
    assert_null(s);
    assert_null(llm_budgets_agent(b, SLICE("x")));
    llm_budgets_destroy(b);
}

// To forget a session would give it its tokens back, so a full table refuses the next one.
static void test_a_full_table_refuses(void **state)
{
    (void)state;
    LlmBudgets *b = budgets_of(2);
    LlmSession *held = NULL;
    assert_int_equal(llm_budgets_take(b, SLICE("a"), 0, &held, NULL), 0);
    assert_int_equal(spend(b, "b", 1, 0), 0);
    assert_int_equal(spend(b, "c", 1, 0), ERR_LIMIT);
    assert_int_equal(spend(b, "b", 99, 0), 0);
    // What is in use is never forgotten, however old.
    assert_int_equal(spend(b, "c", 1, NS_PER_MINUTE), 0); // instead of b
    assert_int_equal(spend(b, "b", 1, NS_PER_MINUTE), ERR_LIMIT);
    llm_budgets_give(b, held, NS_PER_MINUTE);
    assert_int_equal(spend(b, "a", 100, 2 * NS_PER_MINUTE - 1), 0);
    llm_budgets_destroy(b);
}

static void test_agents(void **state)
{
    (void)state;
    const ConfigAgent agents[] = {{.name = SLICE_INIT("free")},
                                  {.name = SLICE_INIT("rich"), .total_cost_budget = 0.5},
                                  {.name = SLICE_INIT("poor"), .total_token_budget = 3}};
    LlmBudgets *b = llm_budgets_create(
        &(LlmBudgetsOptions){.agents = agents, .agent_count = 3, .sessions_max = 1});
    assert_null(llm_budgets_agent(b, SLICE("free")));
    LlmBudget *rich = llm_budgets_agent(b, SLICE("rich"));
    LlmBudget *poor = llm_budgets_agent(b, SLICE("poor"));
    Err e = {0};
    assert_int_equal(
        llm_budget_reserve(&rich, 1, (LlmSpend){.tokens = 9, .cost_nano_usd = 500000000}, &e), 0);
    assert_int_equal(llm_budget_reserve(&rich, 1, (LlmSpend){.cost_nano_usd = 1}, &e), ERR_LIMIT);
    assert_non_null(strstr(e.text, "the money budget of agent \"rich\""));
    assert_int_equal(llm_budget_reserve(&poor, 1, (LlmSpend){.tokens = 4}, &e), ERR_LIMIT);
    assert_non_null(strstr(e.text, "the token budget of agent \"poor\""));
    llm_budgets_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_session_keeps_its_budget),
        cmocka_unit_test(test_no_session_and_no_limit),
        cmocka_unit_test(test_a_full_table_refuses),
        cmocka_unit_test(test_agents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
