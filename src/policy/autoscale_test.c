// Autoscaling, batching and shedding: the three policies that no single call passes through alone.
#include "policy/policy_test.h"

#include <math.h>

#include "policy/autoscale.h"
#include "policy/batch.h"
#include "policy/shed.h"

static void scaler(ParamValue *p, double target, int64_t least, int64_t most)
{
    policy_defaults(p);
    p[P_SCALE_TARGET] = real(target);
    p[P_SCALE_MIN] = whole(least);
    p[P_SCALE_MAX] = whole(most);
    p[P_SCALE_DOWN_STABILISE] = whole(0);
    p[P_SCALE_UP_COUNT] = whole(1000000);
}

// The documented examples (kubernetes.io, "Horizontal Pod Autoscaling", algorithm details): 200m at
// a target of 100m doubles, 50m halves, and nothing happens within a tolerance of 0.1.
static void test_algorithm_details(void **state)
{
    (void)state;
    static const struct {
        uint32_t current;
        double metric;
        uint32_t desired;
    } cases[] = {{4, 200, 8}, {4, 50, 2},  {4, 100, 4}, {4, 110, 4},   {4, 90, 4},  {4, 111, 5},
                 {10, 89, 9}, {3, 120, 4}, {5, 0, 1},   {4, 1e30, 50}, {1, 101, 1}, {7, 150, 11}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        ParamValue p[POLICY_PARAM_COUNT];
        ScaleState s = {0};
        scaler(p, 100, 1, 50);
        assert_int_equal(autoscale_step(&s, p, cases[i].current, cases[i].metric, 0),
                         cases[i].desired);
    }
}

// "If there are 80 replicas and the target has to be scaled down to 10 replicas then during the
// first step 8 replicas will be reduced. In the next iteration when the number of replicas is 72,
// 10% of the pods is 7.2 but the number is rounded up to 8." (scaling policies, 10 % a minute)
static void test_scale_down_policy(void **state)
{
    (void)state;
    ParamValue p[POLICY_PARAM_COUNT];
    ScaleState s = {0};
    scaler(p, 100, 10, 100);
    p[P_SCALE_DOWN_PERCENT] = whole(10);
    p[P_SCALE_PERIOD] = whole(60 * S);
    uint32_t workers = autoscale_step(&s, p, 80, 12, 0);
    assert_int_equal(workers, 72);
    assert_int_equal(autoscale_step(&s, p, workers, 12, 30 * S), 72); // the period's share is used
    assert_int_equal(autoscale_step(&s, p, workers, 12, 60 * S), 64);
}

// Default behaviour: up by 4 or by 100 % in 15 s, whichever is more; down at once to the minimum
// after five minutes in which nothing higher was recommended.
static void test_default_behaviour(void **state)
{
    (void)state;
    ParamValue p[POLICY_PARAM_COUNT];
    ScaleState s = {0};
    policy_defaults(p);
    p[P_SCALE_TARGET] = real(1);
    p[P_SCALE_MAX] = whole(100);
    uint32_t workers = 1;
    static const uint32_t up[] = {5, 10, 20, 40, 80, 100};
    int64_t now = 0;
    for (size_t i = 0; i < COUNT_OF(up); i++, now += 15 * S) {
        workers = autoscale_step(&s, p, workers, 100, now);
        assert_int_equal(workers, up[i]);
    }
    int64_t last_high = now - 15 * S;
    for (; now < last_high + 300 * S; now += 15 * S) {
        workers = autoscale_step(&s, p, workers, 0.01, now);
        assert_int_equal(workers, 100);
    }
    assert_int_equal(autoscale_step(&s, p, workers, 0.01, now), 1);
}

static void test_stabilised_upwards(void **state)
{
    (void)state;
    ParamValue p[POLICY_PARAM_COUNT];
    ScaleState s = {0};
    scaler(p, 1, 1, 100);
    p[P_SCALE_UP_STABILISE] = whole(60 * S);
    assert_int_equal(autoscale_step(&s, p, 10, 1, 0), 10);
    assert_int_equal(autoscale_step(&s, p, 10, 3, 30 * S), 10); // 10 was enough within the minute
    assert_int_equal(autoscale_step(&s, p, 10, 2, 59 * S), 10);
    assert_int_equal(autoscale_step(&s, p, 10, 3, 60 * S), 20); // the least of the minute
}

static void test_batches(void **state)
{
    (void)state;
    ParamValue p[POLICY_PARAM_COUNT];
    BatchState b = {0};
    policy_defaults(p);
    assert_true(batch_add(&b, p, 10, 0)); // no batching: each goes at once
    p[P_BATCH_MAX_ITEMS] = whole(3);
    p[P_BATCH_MAX_BYTES] = whole(100);
    p[P_BATCH_TIMEOUT] = whole(100 * MS);
    assert_int_equal(batch_due(&b, p), INT64_MAX);
    assert_false(batch_add(&b, p, 10, 5 * MS));
    assert_false(batch_add(&b, p, 10, 50 * MS));
    assert_int_equal(batch_due(&b, p), 105 * MS); // from the first item
    assert_true(batch_add(&b, p, 10, 60 * MS));   // by number
    assert_int_equal(batch_due(&b, p), INT64_MAX);
    assert_false(batch_add(&b, p, 60, 0));
    assert_true(batch_before(&b, p, 41)); // would be 101
    assert_false(batch_add(&b, p, 60, 0));
    assert_false(batch_before(&b, p, 40));
    assert_true(batch_add(&b, p, 40, 0)); // exactly full
    assert_false(batch_before(&b, p, 1000));
    assert_true(batch_add(&b, p, 1000, 0)); // larger than a batch: alone
    assert_false(batch_add(&b, p, 1, 0));
    assert_false(batch_add(&b, p, 2, 0));
    batch_remove(&b, 1);
    assert_false(batch_is_full(&b, p));
    p[P_BATCH_MAX_BYTES] = whole(2);
    assert_true(batch_is_full(&b, p));
    assert_int_equal(batch_flush(&b), 1);
    assert_int_equal(batch_flush(&b), 0);
}

// Site Reliability Engineering, chapter 21: (requests - K accepts) / (requests + 1).
static void test_adaptive_throttling(void **state)
{
    (void)state;
    ParamValue p[POLICY_PARAM_COUNT];
    ShedState s = {0};
    policy_defaults(p);
    p[P_SHED_THROTTLE_K] = real(2);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(shed_decide(&s, p, 0, 0, 4, 0.999), SHED_NO);
        if (i < 40) {
            shed_accepted(&s, p, 0);
        }
    }
    assert_true(fabs(shed_throttle(&s, p, 0) - 20.0 / 101) < 1e-12);
    assert_int_equal(shed_decide(&s, p, 0, 0, 4, 20.0 / 101), SHED_NO);
    assert_int_equal(shed_decide(&s, p, 0, 0, 4, 0.19), SHED_THROTTLE);
    assert_true(shed_throttle(&s, p, 105 * S - 1) > 0);
    assert_true(shed_throttle(&s, p, 120 * S) == 0); // two minutes later it is forgotten
}

static void test_shedding_by_delay(void **state)
{
    (void)state;
    static const struct {
        uint32_t priority;
        int64_t stands_ms; // of a delay of 100 ms
    } cases[] = {{1, 400}, {2, 300}, {3, 200}, {4, 100}, {5, 80}, {6, 60}, {7, 40}, {8, 20}};
    ParamValue p[POLICY_PARAM_COUNT];
    ShedState s = {0};
    policy_defaults(p);
    p[P_SHED_QUEUE_DELAY] = whole(100 * MS);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t wait = cases[i].stands_ms * MS;
        p[P_SHED_KEEP_PRIORITY] = whole(0);
        assert_int_equal(shed_decide(&s, p, 0, wait - 1, cases[i].priority, 0), SHED_NO);
        assert_int_equal(shed_decide(&s, p, 0, wait + 1, cases[i].priority, 0), SHED_QUEUE_DELAY);
        p[P_SHED_KEEP_PRIORITY] = whole(cases[i].priority);
        assert_int_equal(shed_decide(&s, p, 0, 10 * wait, cases[i].priority, 0), SHED_NO);
    }
}

static void test_shedding_by_processor(void **state)
{
    (void)state;
    ParamValue p[POLICY_PARAM_COUNT];
    ShedState s = {.cpu = 0.9};
    policy_defaults(p);
    p[P_SHED_CPU] = real(0.8); // half of the way from there to 1
    assert_int_equal(shed_decide(&s, p, 0, 0, 4, 0.49), SHED_CPU);
    assert_int_equal(shed_decide(&s, p, 0, 0, 4, 0.51), SHED_NO);
    assert_int_equal(shed_decide(&s, p, 0, 0, 2, 0.26), SHED_NO);
    assert_int_equal(shed_decide(&s, p, 0, 0, 8, 0.99), SHED_CPU);
    s.cpu = 0.8;
    assert_int_equal(shed_decide(&s, p, 0, 0, 8, 0), SHED_NO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_algorithm_details), cmocka_unit_test(test_scale_down_policy),
        cmocka_unit_test(test_default_behaviour), cmocka_unit_test(test_stabilised_upwards),
        cmocka_unit_test(test_batches),           cmocka_unit_test(test_adaptive_throttling),
        cmocka_unit_test(test_shedding_by_delay), cmocka_unit_test(test_shedding_by_processor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
