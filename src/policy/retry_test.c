#include "policy/policy_test.h"

#include <math.h>

#include "base/rng.h"
#include "policy/hedge.h"
#include "policy/retry.h"

// Brooker's formulas (AWS Architecture Blog, 2015) with base 100 ms, cap 1 s, by hand.
static void test_pauses(void **state)
{
    (void)state;
    static const struct {
        RetryJitter jitter;
        uint32_t n;
        double unit;
        int64_t previous_ms, pause_ms;
    } cases[] = {
        {JITTER_NONE, 1, 0.5, 0, 100},
        {JITTER_NONE, 2, 0.5, 0, 200},
        {JITTER_NONE, 4, 0.5, 0, 800},
        {JITTER_NONE, 5, 0.5, 0, 1000},
        {JITTER_NONE, 20, 0.5, 0, 1000},
        {JITTER_FULL, 1, 0.5, 0, 50},
        {JITTER_FULL, 3, 0.25, 0, 100},
        {JITTER_FULL, 9, 0, 0, 0},
        {JITTER_EQUAL, 1, 0, 0, 50},
        {JITTER_EQUAL, 2, 0.5, 0, 150},
        {JITTER_EQUAL, 9, 0.5, 0, 750},
        {JITTER_DECORRELATED, 1, 0, 0, 100},
        {JITTER_DECORRELATED, 1, 0.5, 0, 200},
        {JITTER_DECORRELATED, 2, 0.5, 200, 350},
        {JITTER_DECORRELATED, 5, 0.9, 900, 1000},
    };
    ParamValue p[POLICY_PARAM_COUNT];
    policy_defaults(p);
    p[P_RETRY_MAX_BACKOFF] = whole(1 * S);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        p[P_RETRY_JITTER] = whole(cases[i].jitter);
        assert_int_equal(retry_pause(p, cases[i].n, cases[i].unit, cases[i].previous_ms * MS) /
                             NS_PER_US,
                         cases[i].pause_ms * 1000);
    }
    p[P_RETRY_MULTIPLIER] = real(100);
    p[P_RETRY_JITTER] = whole(JITTER_NONE);
    assert_int_equal(retry_pause(p, 20, 0, 0), 1 * S); // 100^19 is no overflow
}

// The cases of Finagle's RetryBudgetTest: 10,000 requests, each deposits and tries to withdraw; the
// expected number is their (requests * share) + reserve, within one.
static void test_budget_as_finagle(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        double per_second, share;
    } cases[] = {
        {60, 0, 0.1},   {60, 0, 0.5},    {60, 0, 0.25}, {60, 0, 0.75},  {60, 0, 0.99},
        {60, 0, 0.999}, {60, 0, 0.9999}, {60, 0, 0.01}, {60, 0, 0.001}, {60, 0, 0.0001},
        {1, 10, 0},     {2, 5, 0},       {1, 10, 0.1},  {2, 5, 0.5},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        BudgetLaw law = {cases[i].share, cases[i].per_second, cases[i].seconds * S};
        BudgetState s = {0};
        double reserve = cases[i].per_second * (double)cases[i].seconds;
        int64_t retried = 0;
        assert_true(budget_balance(&s, &law, 0) == reserve);
        for (int k = 0; k < 10000; k++) {
            budget_deposit(&s, &law, 0);
            retried += budget_withdraw(&s, &law, 0);
        }
        assert_true(fabs(10000 * cases[i].share + reserve - (double)retried) <= 1);
    }
    BudgetLaw twice = {2, 0, 60 * S};
    BudgetState s = {0};
    assert_false(budget_withdraw(&s, &twice, 0));
    for (int k = 0; k < 10000; k++) {
        budget_deposit(&s, &twice, 0);
    }
    assert_true(budget_balance(&s, &twice, 0) == 20000);
}

static void test_deposits_expire(void **state)
{
    (void)state;
    BudgetLaw law = {0.5, 1, 10 * S};
    BudgetState s = {0};
    for (int k = 0; k < 8; k++) {
        budget_deposit(&s, &law, 0);
    }
    assert_true(budget_balance(&s, &law, 9999 * MS) == 14);
    assert_true(budget_balance(&s, &law, 10 * S) == 10); // the reserve alone
    for (int k = 0; k < 10; k++) {
        assert_true(budget_withdraw(&s, &law, 12 * S));
    }
    assert_false(budget_withdraw(&s, &law, 21 * S));
    assert_true(budget_withdraw(&s, &law, 22 * S)); // withdrawals expire as well
}

// The quantile of a known distribution, within its buckets' 6 %.
static void test_hedge_quantile(void **state)
{
    (void)state;
    HedgeHist h = {0};
    ParamValue p[POLICY_PARAM_COUNT];
    policy_defaults(p);
    p[P_HEDGE_DELAY] = whole(7 * MS);
    p[P_HEDGE_QUANTILE] = real(0.95);
    for (int i = 0; i < HEDGE_SAMPLES_MIN - 1; i++) {
        hedge_record(&h, 1 * MS);
    }
    assert_int_equal(hedge_delay(&h, p), 7 * MS);
    assert_int_equal(hedge_delay(NULL, p), 7 * MS);
    Rng r = rng_stream(1, SLICE("hedge"), 0);
    for (int i = 0; i < 50000; i++) {
        hedge_record(&h, (int64_t)rng_exponential(&r, 10e6));
    }
    // The 95th percentile of an exponential is ln(20) times its mean. 2,048 samples at least: four
    // standard errors of it are 8 %.
    double ratio = (double)hedge_delay(&h, p) / (10e6 * log(20));
    assert_true(ratio > 0.86 && ratio < 1.14);
    assert_true(h.samples < HEDGE_SAMPLES_MAX);
    hedge_record(&h, 0); // clamped at both ends
    hedge_record(&h, INT64_MAX);
    p[P_HEDGE_QUANTILE] = real(0);
    assert_int_equal(hedge_delay(&h, p), 7 * MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pauses),
        cmocka_unit_test(test_budget_as_finagle),
        cmocka_unit_test(test_deposits_expire),
        cmocka_unit_test(test_hedge_quantile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
