#include "policy/policy_test.h"

#include "policy/stats.h"

static PolicyBlock *make_block(void)
{
    ParamValue values[POLICY_PARAM_COUNT];
    policy_defaults(values);
    values[P_BREAKER_CONSECUTIVE] = whole(2);
    values[P_BREAKER_SUCCESSES] = whole(1);
    values[P_BREAKER_OPEN_FOR] = whole(10 * S);
    values[P_LIMIT_KIND] = whole(LIMIT_FIXED);
    values[P_LIMIT_VALUE] = whole(5);
    PolicyShape shape = policy_shape(values);
    PolicyBlock *block = mem_alloc(policy_bytes(&shape));
    policy_init(block, &shape, values, 1, 0);
    return block;
}

static void attempt(PolicyBlock *b, int64_t now, bool failed)
{
    uint32_t epoch;
    if (breaker_allow(&b->breaker, b->p, now, &epoch)) {
        breaker_end(&b->breaker, b->p, policy_window(b), now, epoch, failed, false);
    }
}

// The worst state of several blocks is shown: a half-open one hides a closed one, an open one both.
static void test_breakers(void **state)
{
    (void)state;
    PolicyBlock *well = make_block(), *ill = make_block();
    const struct {
        int64_t now;
        bool failed, began; // began: half-open until its end
        BreakerMode mode;
        uint64_t open, half_open, closed;
    } steps[] = {
        {0, true, false, BREAKER_CLOSED, 0, 0, 0},
        {0, true, false, BREAKER_OPEN, 1, 0, 0},
        {9 * S, false, false, BREAKER_OPEN, 1, 0, 0},
        {10 * S, false, true, BREAKER_HALF_OPEN, 1, 1, 0},
        {10 * S, false, false, BREAKER_CLOSED, 1, 1, 1},
    };
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        uint32_t epoch;
        if (steps[i].began) {
            assert_true(breaker_allow(&ill->breaker, ill->p, steps[i].now, &epoch));
        } else {
            breaker_ignore(&ill->breaker, ill->breaker.epoch); // gives the probe before it back
            attempt(ill, steps[i].now, steps[i].failed);
        }
        PolicyStats forth = {0}, back = {0};
        policy_stats_add(&forth, well);
        policy_stats_add(&forth, ill);
        policy_stats_add(&back, ill);
        policy_stats_add(&back, well);
        assert_memory_equal(&forth, &back, sizeof forth);
        assert_true(forth.has_breaker);
        assert_string_equal(breaker_mode_name(forth.breaker), breaker_mode_name(steps[i].mode));
        assert_int_equal(forth.breaker_entered[BREAKER_OPEN], steps[i].open);
        assert_int_equal(forth.breaker_entered[BREAKER_HALF_OPEN], steps[i].half_open);
        assert_int_equal(forth.breaker_entered[BREAKER_CLOSED], steps[i].closed);
    }
    free(well);
    free(ill);
}

static void test_sums(void **state)
{
    (void)state;
    PolicyBlock *b = make_block();
    PolicyStats stats = {0};
    b->retries = 3;
    b->ended[CALL_BREAKER_OPEN] = 4;
    assert_true(limit_take(&b->limit, b->p));
    policy_stats_add(&stats, b);
    policy_stats_add(&stats, b);
    assert_int_equal(stats.limit, 10);
    assert_int_equal(stats.in_flight, 2);
    assert_int_equal(stats.retries, 6);
    assert_int_equal(stats.ended[CALL_BREAKER_OPEN], 8);
    assert_false(stats.has_cache);
    b->p[P_LIMIT_KIND].integer = LIMIT_NONE;
    stats = (PolicyStats){0};
    policy_stats_add(&stats, b);
    assert_false(stats.has_limit);
    assert_int_equal(stats.limit, 0);
    free(b);
}

static void test_refusals(void **state)
{
    (void)state;
    static const CallReason yes[] = {CALL_RATE_LIMITED, CALL_SHED_QUEUE, CALL_QUEUE_FULL,
                                     CALL_QUEUE_DROPPED, CALL_BREAKER_OPEN};
    static const CallReason no[] = {CALL_OK, CALL_CACHED, CALL_FAILED, CALL_CANCELLED,
                                    CALL_SHARED_FAILED};
    for (size_t i = 0; i < COUNT_OF(yes); i++) {
        assert_true(call_reason_is_refusal(yes[i]));
        assert_false(call_reason_is_refusal(no[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_breakers),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
