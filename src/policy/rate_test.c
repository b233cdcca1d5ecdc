#include "policy/policy_test.h"

#include <math.h>

#include "base/rng.h"
#include "policy/rate.h"

typedef struct Fixture {
    ParamValue p[POLICY_PARAM_COUNT];
    RateState s;
} Fixture;

static Fixture limiter(RateKind kind, double per_second, int64_t burst)
{
    Fixture f;
    policy_defaults(f.p);
    f.p[P_RATE_KIND] = whole(kind);
    f.p[P_RATE_PER_SECOND] = real(per_second);
    f.p[P_RATE_BURST] = whole(burst);
    rate_init(&f.s, f.p, 0);
    return f;
}

// GCRA(100, 500), the flows of exercise 1.11 in Le Boudec and Thiran, "Network Calculus" (LNCS
// 2050). What conforms was worked out with the other form of the algorithm, the continuous-state
// leaky bucket of ATM Forum TM 4.0 figure 4-1, in another language. A unit is 1 ms: 10 a second,
// and tau = 500 is a burst of 6.
static void test_gcra_conformance(void **state)
{
    (void)state;
    static const struct {
        int64_t at[24];
        const char *conforms;
    } flows[] = {
        {{0, 100, 110, 120, 130, 140, 150, 160, 170, 180, 1000, 1010}, "111111100011"},
        {{0, 100, 130, 160, 190, 220, 250, 280, 310, 1000, 1030}, "11111111111"},
        {{0,    10,   20,   300,  310,  320,  600,  610,  620,  800,  810,  820,
          1000, 1010, 1020, 1200, 1210, 1220, 1400, 1410, 1420, 1600, 1610, 1620},
         "111111111111111111110110"},
    };
    for (int kind = RATE_TOKEN_BUCKET; kind <= RATE_GCRA; kind++) {
        for (size_t i = 0; i < COUNT_OF(flows); i++) {
            Fixture f = limiter((RateKind)kind, 10, 6);
            for (size_t k = 0; flows[i].conforms[k]; k++) {
                int64_t now = flows[i].at[k] * MS;
                bool conforms = rate_take(&f.s, f.p, now, 0) == now;
                assert_int_equal(conforms, flows[i].conforms[k] == '1');
            }
        }
    }
}

// ITU-T I.371: the largest burst at a spacing of d is 1 + floor(tau / (T - d)) cells.
static void test_largest_burst(void **state)
{
    (void)state;
    static const struct {
        int64_t burst, spacing_ms;
    } cases[] = {{1, 3}, {4, 0}, {4, 5}, {10, 9}, {25, 7}};
    for (int kind = RATE_TOKEN_BUCKET; kind <= RATE_GCRA; kind++) {
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
            Fixture f = limiter((RateKind)kind, 100, cases[i].burst); // T = 10 ms
            int64_t tau = (cases[i].burst - 1) * 10, n = 0, at = 0;
            while (rate_take(&f.s, f.p, at, 0) == at) {
                n++;
                at += cases[i].spacing_ms * MS;
            }
            assert_int_equal(n, 1 + tau / (10 - cases[i].spacing_ms));
        }
    }
}

// Both laws are one: they admit the same calls, whatever the arrivals.
static void test_both_laws_agree(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        Rng r = rng_stream(seed, SLICE("rate"), 0);
        int64_t burst = rng_between(&r, 1, 8), now = 0;
        Fixture a = limiter(RATE_TOKEN_BUCKET, 1000, burst), b = limiter(RATE_GCRA, 1000, burst);
        for (int i = 0; i < 300; i++) {
            now += rng_between(&r, 0, 2000) * NS_PER_US;
            int64_t wait = rng_between(&r, 0, 3) * MS;
            assert_int_equal(rate_take(&a.s, a.p, now, wait), rate_take(&b.s, b.p, now, wait));
        }
    }
}

static void test_waiting_reserves(void **state)
{
    (void)state;
    for (int kind = RATE_TOKEN_BUCKET; kind <= RATE_GCRA; kind++) {
        Fixture f = limiter((RateKind)kind, 10, 1);
        assert_int_equal(rate_take(&f.s, f.p, 0, 300 * MS), 0);
        assert_int_equal(rate_take(&f.s, f.p, 0, 300 * MS), 100 * MS);
        assert_int_equal(rate_take(&f.s, f.p, 0, 300 * MS), 200 * MS);
        assert_int_equal(rate_take(&f.s, f.p, 0, 300 * MS), 300 * MS); // the longest wait exactly
        assert_int_equal(rate_take(&f.s, f.p, 0, 300 * MS), -1);
        assert_int_equal(rate_take(&f.s, f.p, 1 * MS, 399 * MS), 400 * MS);
    }
}

// A hold moves everything behind it and does not gather permits for a flood at its end.
static void test_hold(void **state)
{
    (void)state;
    for (int kind = RATE_TOKEN_BUCKET; kind <= RATE_GCRA; kind++) {
        Fixture f = limiter((RateKind)kind, 10, 2);
        f.s.hold_until = 5 * S;
        assert_int_equal(rate_take(&f.s, f.p, 0, 4 * S), -1);
        assert_int_equal(rate_take(&f.s, f.p, 0, 9 * S), 5 * S);
        assert_int_equal(rate_take(&f.s, f.p, 0, 9 * S), 5 * S);
        assert_int_equal(rate_take(&f.s, f.p, 1, 9 * S), 5100 * MS);
    }
    Fixture none = limiter(RATE_GCRA, 0, 1);
    none.s.hold_until = 5 * S;
    assert_int_equal(rate_take(&none.s, none.p, 0, 0), -1);
    assert_int_equal(rate_take(&none.s, none.p, 5 * S, 0), 5 * S);
}

// A reservation made at a snail's rate does not outlive the rate.
static void test_rate_changes(void **state)
{
    (void)state;
    for (int kind = RATE_TOKEN_BUCKET; kind <= RATE_GCRA; kind++) {
        Fixture f = limiter((RateKind)kind, 0.001, 1);
        assert_int_equal(rate_take(&f.s, f.p, 0, 0), 0);
        for (int i = 0; i < 5; i++) {
            assert_true(rate_take(&f.s, f.p, 0, NS_PER_DAY) > 0);
        }
        rate_settle(&f.s, f.p, 1 * S);
        f.p[P_RATE_PER_SECOND] = real(10);
        rate_changed(&f.s, f.p, 1 * S);
        assert_true(rate_take(&f.s, f.p, 1 * S, 200 * MS) >= 1 * S);
    }
}

// Never more than burst + rate * time, at rates that are no whole number of nanoseconds as well.
static void test_rate_over_time(void **state)
{
    (void)state;
    static const double rates[] = {3, 7, 999, 12345.678, 333333, 1e6, 1e9};
    for (int kind = RATE_TOKEN_BUCKET; kind <= RATE_GCRA; kind++) {
        for (size_t i = 0; i < COUNT_OF(rates); i++) {
            Fixture f = limiter((RateKind)kind, rates[i], 5);
            int64_t step = (int64_t)(1e9 / rates[i] / 3) + 1, now = 0, taken = 0;
            for (int k = 0; k < 30000; k++, now += step) {
                taken += rate_take(&f.s, f.p, now, 0) >= 0;
            }
            double fair = rates[i] * (double)now / 1e9;
            assert_true((double)taken <= fair + 5.001);
            assert_true((double)taken >= fair * 0.66); // T rounded up to ns at 333333/s and above
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gcra_conformance), cmocka_unit_test(test_largest_burst),
        cmocka_unit_test(test_both_laws_agree),  cmocka_unit_test(test_waiting_reserves),
        cmocka_unit_test(test_rate_changes),     cmocka_unit_test(test_hold),
        cmocka_unit_test(test_rate_over_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
