#include "policy/policy_test.h"

#include <math.h>

#include "policy/limit.h"

typedef struct Fixture {
    ParamValue p[POLICY_PARAM_COUNT];
    LimitState s;
} Fixture;

static Fixture limiter(LimitKind kind, int64_t value, int64_t most)
{
    Fixture f;
    policy_defaults(f.p);
    f.p[P_LIMIT_KIND] = whole(kind);
    f.p[P_LIMIT_VALUE] = whole(value);
    f.p[P_LIMIT_MAX] = whole(most);
    limit_init(&f.s, f.p, 1);
    return f;
}

// One sample with so many in flight when it ended.
static uint32_t sample(Fixture *f, int64_t rtt_ms, uint32_t in_flight, bool dropped)
{
    f->s.in_flight = in_flight;
    limit_end(&f->s, f->p, 1, rtt_ms * MS, dropped);
    return limit_now(&f->s, f->p);
}

// The cases of Netflix concurrency-limits' AIMDLimitTest.
static void test_aimd(void **state)
{
    (void)state;
    Fixture f = limiter(LIMIT_AIMD, 10, 200);
    assert_int_equal(limit_now(&f.s, f.p), 10);
    assert_int_equal(sample(&f, 1, 10, false), 11);
    f = limiter(LIMIT_AIMD, 30, 200);
    assert_int_equal(sample(&f, 0, 0, true), 27);
    assert_int_equal(sample(&f, 5001, 0, false), 24); // slower than limit.timeout
    f = limiter(LIMIT_AIMD, 10, 20);
    f.p[P_LIMIT_MIN] = whole(10);
    assert_int_equal(sample(&f, 1, 4, false), 10); // callers do not use half of it
    for (int i = 0; i < 30; i++) {
        (void)sample(&f, 1, 20, false);
    }
    assert_int_equal(limit_now(&f.s, f.p), 20);
    for (int i = 0; i < 30; i++) {
        (void)sample(&f, 0, 0, true);
    }
    assert_int_equal(limit_now(&f.s, f.p), 10);
}

// The cases of the same library's VegasLimitTest (initial 10, at most 20).
static void test_vegas(void **state)
{
    (void)state;
    Fixture f = limiter(LIMIT_VEGAS, 10, 20);
    assert_int_equal(sample(&f, 10, 10, false), 10); // the first sample is the least latency
    assert_int_equal(sample(&f, 10, 11, false), 16); // no queue: up by beta
    f = limiter(LIMIT_VEGAS, 10, 20);
    assert_int_equal(sample(&f, 10, 10, false), 10);
    assert_int_equal(sample(&f, 50, 11, false), 9); // a queue of 8 is over beta
    f = limiter(LIMIT_VEGAS, 10, 20);
    assert_int_equal(sample(&f, 10, 10, false), 10);
    assert_int_equal(sample(&f, 14, 11, false), 10); // 3 is between alpha and beta
    assert_int_equal(sample(&f, 14, 11, true), 9);
    assert_int_equal(sample(&f, 10, 4, false), 9); // callers do not use half of it
    f = limiter(LIMIT_VEGAS, 100, 1000);           // log10 is 2: alpha 6, beta 12
    assert_int_equal(sample(&f, 10, 100, false), 100);
    assert_int_equal(sample(&f, 10, 100, false), 112);
    assert_int_equal(sample(&f, 20, 112, false), 110);
}

// Measured anew after probe_jitter (0.5 .. 1) * 30 * limit samples.
static void test_vegas_probes(void **state)
{
    (void)state;
    Fixture f = limiter(LIMIT_VEGAS, 10, 10);
    int samples = 0;
    (void)sample(&f, 10, 0, false);
    while (f.s.min_rtt == 10 * MS && samples < 1000) {
        (void)sample(&f, 30, 0, false);
        samples++;
    }
    assert_int_equal(f.s.min_rtt, 30 * MS);
    assert_true(samples >= 149 && samples <= 300);
}

// Gradient2Limit's formula with the library's defaults, computed in another language.
static void test_gradient2(void **state)
{
    (void)state;
    static const struct {
        int64_t rtt_ms;
        double estimate;
    } steps[] = {{10, 20.8},      {10, 21.6},     {40, 21.32},    {10, 22.12},
                 {100, 20.75224}, {10, 21.55224}, {10, 22.35224}, {10, 23.15224},
                 {10, 23.95224},  {10, 24.75224}, {30, 25.55224}, {3, 26.35224}};
    Fixture f = limiter(LIMIT_GRADIENT2, 20, 200);
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        (void)sample(&f, steps[i].rtt_ms, 40, false);
        assert_true(fabs(f.s.estimate - steps[i].estimate) < 1e-9);
    }
    assert_int_equal(limit_now(&f.s, f.p), 26);
    double before = f.s.estimate;
    (void)sample(&f, 10, 13, false); // 13 < 26.35 / 2: the callers are the limit
    assert_true(f.s.estimate == before);
}

static void test_take_and_give(void **state)
{
    (void)state;
    Fixture f = limiter(LIMIT_FIXED, 2, 200);
    assert_true(limit_take(&f.s, f.p));
    assert_true(limit_take(&f.s, f.p));
    assert_false(limit_take(&f.s, f.p));
    limit_give(&f.s);
    assert_true(limit_take(&f.s, f.p));
    assert_int_equal(f.s.peak, 2);
    f.p[P_LIMIT_KIND] = whole(LIMIT_NONE);
    assert_true(limit_take(&f.s, f.p));
    assert_int_equal(f.s.in_flight, 3); // counted without a limit as well
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aimd),          cmocka_unit_test(test_vegas),
        cmocka_unit_test(test_vegas_probes),  cmocka_unit_test(test_gradient2),
        cmocka_unit_test(test_take_and_give),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
