#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/attr.h"
#include "model/metastable.h"

static void near(double got, double want, double relative, const char *what)
{
    if (!(fabs(got - want) <= relative * fabs(want))) {
        fail_msg("%s: got %.17g, want %.17g", what, got, want);
    }
}

// The generator matrix of metafor (github.com/mpi-sws-rse/metafor at 36ffcd2,
// single_server/ctmc.py, generator_mat_exact with retry_when_full = False), put through elimination
// with 80 digits in mpmath 1.x; its own NumPy solver loses up to all digits of the hitting times
// (8.1e13 for 8.5e13 s). Eigenvalues: numpy.linalg.eigvals, 9 digits. `recovery` is its hitting
// time from the full station to a queue below 10 % ("hitting_time_average_us"), `collapse` from the
// empty one to 90 % ("_su"). The first row is the example of the paper's program.
static void test_metafor(void **state)
{
    (void)state;
    static const struct {
        RetryStation s;
        double queue, orbit, full, empty, recovery, deviation, collapse, chance, slow, next;
    } rows[] = {
        {{9.5, 10, 1, 3, 4, 99, 19, .retry_share = 0.25},
         96.86310185779793,
         10.58211843503606,
         0.3186708222820965,
         5.752648475635162e-14,
         50125630926325.23,
         50125630926299.57,
         61.16877598660321,
         0.9999387540635382,
         2.44509668e-02,
         2.35443626e-01},
        {{9.5, 10, 1, 3, 4, 99, 19, .retry_share = 1},
         97.92905255379467,
         15.94663465339871,
         0.506899461522762,
         1.878243260700272e-18,
         4.085662882025053e+17,
         4.085662882025052e+17,
         36.12367473970243,
         0.9999999998727759,
         4.73947933e-02,
         3.33219907e-01},
        {{5, 10, 1, 3, 4, 99, 19, .retry_share = 0.25},
         1.002315040813013,
         0.0052844609413382,
         6.201160740279285e-9,
         0.4996834626257078,
         402.5911725232404,
         357.8278582175705,
         1687062124.579662,
         0.138050354740252,
         2.79933142e-03,
         4.99184686e-02},
        {{9.5, 5, 2, 3, 3, 59, 14, .retry_share = 0.25},
         56.54497802272479,
         9.777272431851804,
         0.2904332495650138,
         5.655816673663438e-7,
         3251898.222463406,
         3251881.886592338,
         53.52621081860914,
         0.9712949647284405,
         2.54274547e-02,
         2.61165928e-01},
        {{4, 5, 1, 1, 2, 11, 5, .retry_share = 0.25},
         6.718808884666265,
         1.252129309781513,
         0.166782680010039,
         0.07476966111122881,
         23.64924973146308,
         20.55058162628283,
         9.631846621607672,
         0.679632381502461,
         0.238594067,
         0.816955089},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        RetryStation s = rows[i].s;
        s.as_metafor = true;
        Metastable m;
        Err e;
        if (metastable_analyse(&s, &m, &e) != 0) {
            fail_msg("row %zu: %s", i, e.text);
        }
        near(m.queue_mean, rows[i].queue, 1e-11, "queue");
        near(m.orbit_mean, rows[i].orbit, 1e-11, "orbit");
        near(m.full_share, rows[i].full, 1e-11, "full");
        near(m.empty_share, rows[i].empty, 1e-11, "empty");
        near(m.recovery_s, rows[i].recovery, 1e-11, "recovery");
        near(m.recovery_deviation_s, rows[i].deviation, 1e-11, "deviation");
        near(m.collapse_s, rows[i].collapse, 1e-11, "collapse");
        near(m.collapse_chance, rows[i].chance, 1e-11, "chance");
        near(m.slow_rate, rows[i].slow, 1e-8, "slow");
        near(m.next_rate, rows[i].next, 1e-8, "next");
        assert_true(m.gap_converged);
        // metafor: failure_rate_average, throughput_average.
        near(m.give_up_rate, m.orbit_mean / ((s.retries + 1) * s.timeout_s), 1e-12, "give up");
        if (s.servers == 1) {
            near(m.throughput, s.service_rate * (1 - m.empty_share), 1e-12, "throughput");
        }
    }
}

// SciPy 1.17: expm of the same generator, last row of the table above, 7.5 s after empty.
static void test_metafor_transient(void **state)
{
    (void)state;
    RetryStation s = {4, 5, 1, 1, 2, 11, 5, .retry_share = 0.25, .as_metafor = true};
    double got[2];
    assert_int_equal(metastable_after(&s, 7.5, got, NULL), 0);
    near(got[0], 5.548326586289834, 1e-11, "queue");
    near(got[1], 1.043811073549507, 1e-11, "orbit");
}

// SciPy 1.17: gamma.sf; for several servers the integral of gamma.pdf times the exponential tail by
// quad.
static void test_late(void **state)
{
    (void)state;
    static const struct {
        int servers, ahead;
        double rate, timeout, want;
    } rows[] = {
        {1, 0, 10, 3, 9.357622968840163e-14},
        {1, 19, 10, 3, 0.02187346844139091},
        {1, 60, 10, 3, 0.9999995515359782},
        {2, 1, 5, 3, 3.059023205018258e-07},
        {2, 2, 5, 3, 6.11804547427422e-07},
        {2, 30, 5, 3, 0.5444389993182872},
        {4, 9, 1, 2, 0.6127425707517508},
        {18, 25, 1.1, 1, 0.5257755059397701},
        {3, 40, 2, 0.5, 1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        RetryStation s = {1, rows[i].rate, rows[i].servers, rows[i].timeout, 0, 100, 1};
        near(metastable_late(&s, rows[i].ahead), rows[i].want, 1e-8, "late");
    }
    // More ahead, later; and a probability, also where the terms underflow.
    RetryStation s = {1, 50, 7, 30, 0, 4000, 1};
    for (int ahead = 0; ahead < 4000; ahead += 13) {
        double late = metastable_late(&s, ahead);
        assert_true(late >= 0 && late <= 1);
        assert_true(metastable_late(&s, ahead + 13) >= late - 1e-12);
    }
}

// Without retries it is M/M/1/K: the mean time down from i to i - 1 is the sum of r^m / mu for m up
// to K - i (Kleinrock I, 3.6, by busy periods).
static void test_no_retries(void **state)
{
    (void)state;
    RetryStation s = {8, 10, 1, 3, 0, 99, 19};
    Metastable m;
    assert_int_equal(metastable_analyse(&s, &m, NULL), 0);
    double want = 0;
    double sum = 0;
    for (int i = 99; i > 9; i--) {
        sum = sum * 0.8 + 1;
        want += sum / 10;
    }
    near(m.recovery_s, want, 1e-12, "recovery");
    near(m.drain_s, want, 1e-12, "drain");
    near(m.queue_mean, 4 - 100 * pow(0.8, 100) / (1 - pow(0.8, 100)), 1e-9, "queue");
    assert_true(m.orbit_mean == 0 && m.give_up_rate == 0);
    assert_true(m.comes_back);
}

// What the question is for. Each row differs from the one before it in one thing.
static void test_comes_back(void **state)
{
    (void)state;
    static const struct {
        RetryStation s;
        bool back;
    } rows[] = {
        {{9.5, 10, 1, 3, 4, 99, 19}, false}, {{9.5, 10, 1, 3, 0, 99, 19}, true}, // nobody retries
        {{5, 10, 1, 3, 4, 99, 19}, false},  // half the load, and four retries still hold it down
        {{5, 10, 1, 3, 0.5, 99, 19}, true}, // every other client retries once
        {{5, 10, 1, 30, 4, 99, 19}, true},  // nobody is late before the queue is full
        {{5, 20, 1, 3, 4, 99, 19}, true},   // twice as fast
        {{11, 10, 1, 3, 0, 99, 19}, false}, // more than it serves: no spike needed
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        Metastable m;
        assert_int_equal(metastable_analyse(&rows[i].s, &m, NULL), 0);
        if (m.comes_back != rows[i].back) {
            fail_msg("row %zu: recovery %g s, drain %g s, collapse %g s, bad %g", i, m.recovery_s,
                     m.drain_s, m.collapse_s, m.bad_share);
        }
        assert_true(m.goodput <= m.throughput * (1 + 1e-12));
        assert_true(m.goodput <= rows[i].s.arrival_rate * (1 + 1e-12));
        assert_true(m.recovery_s >= m.drain_s * (1 - 1e-12));
    }
    // The limit is the caller's where there is one.
    RetryStation s = {9.5, 10, 1, 3, 0, 99, 19};
    Metastable m;
    assert_int_equal(metastable_analyse(&s, &m, NULL), 0);
    s.recovery_max_s = m.recovery_s * 1.001;
    assert_int_equal(metastable_analyse(&s, &m, NULL), 0);
    assert_true(m.comes_back);
    s.recovery_max_s = m.recovery_s * 0.999;
    assert_int_equal(metastable_analyse(&s, &m, NULL), 0);
    assert_false(m.comes_back);
}

static void test_recovery_grows(void **state)
{
    (void)state;
    double last = 0;
    for (double load = 1; load < 9.9; load += 0.5) {
        RetryStation s = {load, 10, 1, 3, 2, 59, 14};
        Metastable m;
        assert_int_equal(metastable_analyse(&s, &m, NULL), 0);
        assert_true(m.recovery_s > last);
        last = m.recovery_s;
    }
}

static void test_bad_input(void **state)
{
    (void)state;
    static const struct {
        RetryStation s;
        const char *field;
    } rows[] = {
        {{0, 10, 1, 3, 4, 99, 19}, "arrival_rate"},
        {{NAN, 10, 1, 3, 4, 99, 19}, "arrival_rate"},
        {{1, -1, 1, 3, 4, 99, 19}, "service_rate"},
        {{1, INFINITY, 1, 3, 4, 99, 19}, "service_rate"},
        {{1, 1, 0, 3, 4, 99, 19}, "servers"},
        {{1, 1, 1, 0, 4, 99, 19}, "timeout_s"},
        {{1, 1, 1, 3, -1, 99, 19}, "retries"},
        {{1, 1, 1, 3, 4, 1, 19}, "queue_max"},
        {{1, 1, 1, 3, 4, METASTABLE_QUEUE_MAX + 1, 19}, "queue_max"},
        {{1, 1, 1, 3, 4, 99, 0}, "orbit_max"},
        {{1, 1, 1, 3, 4, 99, METASTABLE_ORBIT_MAX + 1}, "orbit_max"},
        {{1, 1, 1, 3, 4, 99, 19, .retry_share = 1.5}, "retry_share"},
        {{1, 1, 1, 3, 4, 99, 19, .recovery_max_s = -1}, "recovery_max_s"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        Metastable m;
        Err e = {0};
        double after[2];
        assert_int_equal(metastable_analyse(&rows[i].s, &m, &e), ERR_ARG);
        assert_non_null(strstr(e.text, rows[i].field));
        assert_int_equal(metastable_after(&rows[i].s, 1, after, &e), ERR_ARG);
    }
    // In range one by one, too much together.
    RetryStation s = {1, 1, 1, 3, 4, METASTABLE_QUEUE_MAX, METASTABLE_ORBIT_MAX};
    Metastable m;
    Err e;
    assert_int_equal(metastable_analyse(&s, &m, &e), ERR_LIMIT);
    // The smallest station, and the longest queue that nobody returns to.
    s = (RetryStation){1, 2, 1, 3, 4, 2, 1};
    assert_int_equal(metastable_analyse(&s, &m, &e), 0);
    s = (RetryStation){0.5, 1, 1, 3, 0, METASTABLE_QUEUE_MAX, METASTABLE_ORBIT_MAX};
    assert_int_equal(metastable_analyse(&s, &m, &e), 0);
    assert_true(m.collapse_s == METASTABLE_FOREVER_S && m.comes_back);
    s = (RetryStation){1000, 1, 1, 3, 0, METASTABLE_QUEUE_MAX, METASTABLE_ORBIT_MAX};
    assert_int_equal(metastable_analyse(&s, &m, &e), 0);
    assert_true(m.recovery_s == METASTABLE_FOREVER_S && !m.comes_back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metafor),    cmocka_unit_test(test_metafor_transient),
        cmocka_unit_test(test_late),       cmocka_unit_test(test_no_retries),
        cmocka_unit_test(test_comes_back), cmocka_unit_test(test_recovery_grows),
        cmocka_unit_test(test_bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
