#include "policy/policy_test.h"

#include "policy/breaker.h"

typedef struct Fixture {
    ParamValue p[POLICY_PARAM_COUNT];
    BreakerState s;
    uint8_t ring[1024] __attribute__((aligned(16)));
    int64_t now;
} Fixture;

static void init(Fixture *f, BreakerWindow window)
{
    *f = (Fixture){0};
    policy_defaults(f->p);
    f->p[P_BREAKER_WINDOW] = whole(window);
    f->p[P_BREAKER_CALLS] = whole(10);
    f->p[P_BREAKER_MIN_CALLS] = whole(10);
    f->p[P_BREAKER_PERIOD] = whole(16 * S); // slices of a second
    f->p[P_BREAKER_OPEN_FOR] = whole(5 * S);
    f->p[P_BREAKER_PROBES] = whole(4);
    breaker_init(&f->s, sizeof f->ring);
}

static bool attempt(Fixture *f, bool failed, bool slow)
{
    uint32_t epoch;
    if (!breaker_allow(&f->s, f->p, f->now, &epoch)) {
        return false;
    }
    breaker_end(&f->s, f->p, f->ring, f->now, epoch, failed, slow);
    return true;
}

static void attempts(Fixture *f, int n, bool failed, bool slow)
{
    for (int i = 0; i < n; i++) {
        assert_true(attempt(f, failed, slow));
    }
}

// resilience4j's documentation of minimumNumberOfCalls: "If only 9 calls have been evaluated the
// CircuitBreaker will not transition to open even if all 9 calls have failed."
static void test_minimum_number_of_calls(void **state)
{
    (void)state;
    for (int window = BREAKER_WINDOW_COUNT; window <= BREAKER_WINDOW_TIME; window++) {
        Fixture f;
        init(&f, (BreakerWindow)window);
        attempts(&f, 9, true, false);
        assert_int_equal(f.s.mode, BREAKER_CLOSED);
        attempts(&f, 1, true, false);
        assert_int_equal(f.s.mode, BREAKER_OPEN);
        assert_false(attempt(&f, false, false));
    }
}

// At the threshold it opens ("equal or greater", as documented there); below it does not.
static void test_rates(void **state)
{
    (void)state;
    static const struct {
        int failures, slow;
        BreakerMode mode;
    } cases[] = {{4, 0, BREAKER_CLOSED},
                 {5, 0, BREAKER_OPEN},
                 {0, 7, BREAKER_CLOSED},
                 {0, 8, BREAKER_OPEN},
                 {4, 7, BREAKER_CLOSED}};
    for (int window = BREAKER_WINDOW_COUNT; window <= BREAKER_WINDOW_TIME; window++) {
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
            Fixture f;
            init(&f, (BreakerWindow)window);
            f.p[P_BREAKER_SLOW_RATE] = real(0.8);
            for (int k = 0; k < 10; k++) {
                attempts(&f, 1, k < cases[i].failures, k < cases[i].slow);
            }
            assert_int_equal(f.s.mode, cases[i].mode);
        }
    }
}

static void test_windows_forget(void **state)
{
    (void)state;
    Fixture f;
    init(&f, BREAKER_WINDOW_COUNT);
    attempts(&f, 4, true, false);
    attempts(&f, 10, false, false); // pushes the failures out
    attempts(&f, 4, true, false);
    assert_int_equal(f.s.mode, BREAKER_CLOSED);
    attempts(&f, 1, true, false);
    assert_int_equal(f.s.mode, BREAKER_OPEN);

    init(&f, BREAKER_WINDOW_TIME);
    attempts(&f, 9, true, false);
    f.now = 15 * S + 999 * MS;
    attempts(&f, 0, true, false);
    f.now = 16 * S; // the slice of the failures falls out
    attempts(&f, 9, true, false);
    assert_int_equal(f.s.mode, BREAKER_CLOSED);
    attempts(&f, 1, true, false);
    assert_int_equal(f.s.mode, BREAKER_OPEN);
}

static void test_half_open_by_rate(void **state)
{
    (void)state;
    Fixture f;
    init(&f, BREAKER_WINDOW_COUNT);
    attempts(&f, 10, true, false);
    f.now = 5 * S - 1;
    assert_false(attempt(&f, false, false));
    f.now = 5 * S;
    uint32_t epochs[4], more;
    for (int i = 0; i < 4; i++) {
        assert_true(breaker_allow(&f.s, f.p, f.now, &epochs[i]));
    }
    assert_int_equal(f.s.mode, BREAKER_HALF_OPEN);
    assert_false(breaker_allow(&f.s, f.p, f.now, &more));
    breaker_ignore(&f.s, epochs[3]); // cancelled: its permit comes back
    assert_true(breaker_allow(&f.s, f.p, f.now, &epochs[3]));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(f.s.mode, BREAKER_HALF_OPEN);
        breaker_end(&f.s, f.p, f.ring, f.now, epochs[i], i < 1, false); // 25 % < 50 %
    }
    assert_int_equal(f.s.mode, BREAKER_CLOSED);

    attempts(&f, 10, true, false);
    f.now = 10 * S;
    attempts(&f, 2, true, false);
    attempts(&f, 2, false, false); // 50 %: open again
    assert_int_equal(f.s.mode, BREAKER_OPEN);
    assert_int_equal(f.s.entered[BREAKER_OPEN], 3);
    assert_int_equal(f.s.entered[BREAKER_HALF_OPEN], 2);
    assert_int_equal(f.s.entered[BREAKER_CLOSED], 1);
}

static void test_half_open_by_successes(void **state)
{
    (void)state;
    Fixture f;
    init(&f, BREAKER_WINDOW_OFF);
    f.p[P_BREAKER_CONSECUTIVE] = whole(3);
    f.p[P_BREAKER_SUCCESSES] = whole(2);
    attempts(&f, 2, true, false);
    attempts(&f, 1, false, false); // breaks the row
    attempts(&f, 2, true, false);
    assert_int_equal(f.s.mode, BREAKER_CLOSED);
    attempts(&f, 1, true, false);
    assert_int_equal(f.s.mode, BREAKER_OPEN);
    f.now = 5 * S;
    attempts(&f, 1, false, false);
    assert_int_equal(f.s.mode, BREAKER_HALF_OPEN);
    attempts(&f, 1, false, false);
    assert_int_equal(f.s.mode, BREAKER_CLOSED);
    attempts(&f, 3, true, false);
    f.now = 10 * S;
    attempts(&f, 1, false, false);
    attempts(&f, 1, false, true); // a slow probe is a failed one
    assert_int_equal(f.s.mode, BREAKER_OPEN);
}

// An attempt from before the breaker opened ends in half-open: it decides nothing.
static void test_stragglers(void **state)
{
    (void)state;
    Fixture f;
    uint32_t old, probe;
    init(&f, BREAKER_WINDOW_OFF);
    f.p[P_BREAKER_CONSECUTIVE] = whole(1);
    f.p[P_BREAKER_SUCCESSES] = whole(1);
    assert_true(breaker_allow(&f.s, f.p, 0, &old));
    attempts(&f, 1, true, false);
    f.now = 5 * S;
    assert_true(breaker_allow(&f.s, f.p, f.now, &probe));
    breaker_end(&f.s, f.p, f.ring, f.now, old, false, false);
    assert_int_equal(f.s.mode, BREAKER_HALF_OPEN);
    assert_int_equal(f.s.probes, 1);
    breaker_end(&f.s, f.p, f.ring, f.now, probe, false, false);
    assert_int_equal(f.s.mode, BREAKER_CLOSED);
}

// The largest window: as many as the ceiling allows, one failure short and then reached.
static void test_largest_window(void **state)
{
    (void)state;
    Fixture f;
    uint8_t ring[POLICY_WINDOW_MAX];
    init(&f, BREAKER_WINDOW_COUNT);
    f.p[P_BREAKER_CALLS] = whole(POLICY_WINDOW_MAX);
    f.p[P_BREAKER_MIN_CALLS] = whole(POLICY_WINDOW_MAX);
    breaker_init(&f.s, sizeof ring);
    for (int i = 0; i < POLICY_WINDOW_MAX; i++) {
        assert_int_equal(f.s.mode, BREAKER_CLOSED);
        breaker_end(&f.s, f.p, ring, 0, 0, i % 2 == 0, false);
    }
    assert_int_equal(f.s.mode, BREAKER_OPEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_minimum_number_of_calls), cmocka_unit_test(test_rates),
        cmocka_unit_test(test_windows_forget),          cmocka_unit_test(test_half_open_by_rate),
        cmocka_unit_test(test_half_open_by_successes),  cmocka_unit_test(test_stragglers),
        cmocka_unit_test(test_largest_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
