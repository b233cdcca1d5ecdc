#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/attr.h"
#include "model/ctmc.h"
#include "model/erlang.h"

enum { STATES = 256 };

static void near(double got, double want, double relative)
{
    if (!(fabs(got - want) <= relative * fabs(want) + 1e-300)) {
        fail_msg("got %.17g, want %.17g", got, want);
    }
}

static void add(Ctmc *c, int from, int to, double rate)
{
    assert_int_equal(ctmc_add(c, from, to, rate, NULL), 0);
}

// M/M/servers/K: states 0..K.
static Ctmc *queue(double arrivals, double service, int servers, int k)
{
    Ctmc *c = ctmc_create(k + 1);
    for (int i = 0; i < k; i++) {
        add(c, i, i + 1, arrivals);
        add(c, i + 1, i, service * (i + 1 < servers ? i + 1 : servers));
    }
    return c;
}

// Kleinrock, "Queueing Systems" I, 3.6: shares (1 - r) r^i / (1 - r^(K + 1)). Time from i to i - 1
// is 1 / mu times the sum of r^m for m up to K - i, as each m adds one more busy period inside.
static void test_single_server(void **state)
{
    (void)state;
    static const struct {
        double arrivals, service;
        int k;
    } rows[] = {{0.5, 1, 10}, {9.5, 10, 100}, {2, 1, 200}, {1, 100, 150}, {30, 1, 200}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        double r = rows[i].arrivals / rows[i].service;
        int k = rows[i].k;
        Ctmc *c = queue(rows[i].arrivals, rows[i].service, 1, k);
        double pi[STATES], mean[STATES];
        assert_int_equal(ctmc_stationary(c, pi, NULL), 0);
        for (int s = 0; s <= k; s++) {
            // From the likelier end, so that nothing is lost in the power.
            double want = r < 1 ? (1 - r) * pow(r, s) / (1 - pow(r, k + 1))
                                : (1 - 1 / r) * pow(1 / r, k - s) / (1 - pow(1 / r, k + 1));
            near(pi[s], want, 1e-12);
        }
        bool target[STATES] = {true};
        assert_int_equal(ctmc_hitting(c, target, mean, NULL, NULL), 0);
        double want = 0;
        double sum = 0;
        for (int s = k; s >= 1; s--) {
            sum = sum * r + 1;
            want += sum / rows[i].service;
        }
        near(mean[k], want, 1e-12);
        assert_true(mean[0] == 0);
        ctmc_destroy(c);
    }
}

// A loss system is full with Erlang's B, whatever K: M/M/c/c (held to published tables elsewhere).
static void test_loss_system(void **state)
{
    (void)state;
    for (int servers = 1; servers <= 64; servers *= 2) {
        Ctmc *c = queue(3, 0.25, servers, servers);
        double pi[STATES];
        assert_int_equal(ctmc_stationary(c, pi, NULL), 0);
        near(pi[servers], erlang_b(servers, 12), 1e-12);
        ctmc_destroy(c);
    }
}

// A row of exponential stages: mean and variance of the sum (hypoexponential distribution).
static void test_stages(void **state)
{
    (void)state;
    Ctmc *c = ctmc_create(STATES);
    double mean = 0;
    double variance = 0;
    for (int i = STATES - 1; i > 0; i--) {
        double rate = 1 + 0.01 * i;
        add(c, i, i - 1, rate / 2);
        add(c, i, i - 1, rate / 2); // adds up
        mean += 1 / rate;
        variance += 1 / (rate * rate);
    }
    double got[STATES], deviation[STATES];
    bool target[STATES] = {true};
    assert_int_equal(ctmc_hitting(c, target, got, deviation, NULL), 0);
    near(got[STATES - 1], mean, 1e-13);
    near(deviation[STATES - 1], sqrt(variance), 1e-13);
    assert_true(deviation[0] == 0);
    ctmc_destroy(c);
}

// Gambler's ruin (Feller, "An Introduction to Probability Theory" I, XIV.2): from i of n, up with
// rate p and down with q, the top first with (1 - (q/p)^i) / (1 - (q/p)^n).
static void test_ruin(void **state)
{
    (void)state;
    static const double ratios[] = {0.5, 0.99, 1.3, 4};
    enum { N = 60 };
    for (size_t k = 0; k < COUNT_OF(ratios); k++) {
        Ctmc *c = queue(1, ratios[k], 1, N);
        bool top[N + 1] = {0};
        bool bottom[N + 1] = {true};
        double p[N + 1];
        top[N] = true;
        assert_int_equal(ctmc_reach_before(c, top, bottom, p, NULL), 0);
        for (int i = 0; i <= N; i++) {
            near(p[i], (1 - pow(ratios[k], i)) / (1 - pow(ratios[k], N)), 1e-11);
        }
        assert_true(p[0] == 0 && p[N] == 1);
        ctmc_destroy(c);
    }
}

// Two states with rates a and b: p1(t) = a / (a + b) (1 - exp(-(a + b) t)).
static void test_transient(void **state)
{
    (void)state;
    Ctmc *c = queue(0.3, 0.7, 1, 1);
    for (double t = 0; t < 4000; t = 2 * t + 0.1) {
        double p[2] = {1, 0};
        assert_int_equal(ctmc_transient(c, t, p, NULL), 0);
        near(p[1], 0.3 * -expm1(-t), 1e-11);
        near(p[0] + p[1], 1, 1e-12);
    }
    // The clock runs at 0.7: the last horizon that fits, and one step beyond it.
    double p[2] = {1, 0};
    Err e;
    assert_int_equal(ctmc_transient(c, (CTMC_STEPS_MAX + 1.0) / 0.7, p, &e), ERR_LIMIT);
    assert_int_equal(ctmc_transient(c, -1, p, &e), ERR_ARG);
    assert_int_equal(ctmc_transient(c, NAN, p, &e), ERR_ARG);
    ctmc_destroy(c);
    // Nothing moves: any time is the same.
    c = ctmc_create(2);
    assert_int_equal(ctmc_transient(c, 1e12, p, &e), 0);
    assert_true(p[0] == 1 && p[1] == 0);
    ctmc_destroy(c);
}

// Morse, "Queues, Inventories and Maintenance", 1958: M/M/1/K has the eigenvalues -(l + m) + 2
// sqrt(l m) cos(k pi / (K + 1)), k = 1..K. A ring of n equal rates has exp(2 pi i k / n) - 1.
static void test_eigenvalues(void **state)
{
    (void)state;
    static const struct {
        double arrivals, service;
        int k;
    } rows[] = {{1, 1, 1}, {1, 3, 2}, {0.5, 1, 10}, {9.5, 10, 100}, {2, 1, 200}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        double l = rows[i].arrivals;
        double m = rows[i].service;
        Ctmc *c = queue(l, m, 1, rows[i].k);
        double pi[STATES];
        CtmcGap gap;
        assert_int_equal(ctmc_stationary(c, pi, NULL), 0);
        assert_int_equal(ctmc_gap(c, pi, &gap, NULL), 0);
        assert_true(gap.converged);
        near(gap.slowest, -(l + m) + 2 * sqrt(l * m) * cos(M_PI / (rows[i].k + 1)), 1e-8);
        near(1 + gap.slowest_i, 1, 1e-9);
        if (rows[i].k > 1) {
            near(gap.next, -(l + m) + 2 * sqrt(l * m) * cos(2 * M_PI / (rows[i].k + 1)), 1e-5);
        } else {
            assert_true(gap.next == 0);
        }
        ctmc_destroy(c);
    }
    Ctmc *c = ctmc_create(12);
    double pi[12];
    for (int i = 0; i < 12; i++) {
        add(c, i, (i + 1) % 12, 1);
    }
    CtmcGap gap;
    assert_int_equal(ctmc_stationary(c, pi, NULL), 0);
    near(pi[7], 1. / 12, 1e-13);
    assert_int_equal(ctmc_gap(c, pi, &gap, NULL), 0);
    near(gap.slowest, cos(2 * M_PI / 12) - 1, 1e-9);
    near(gap.slowest_i, sin(2 * M_PI / 12), 1e-9);
    near(gap.next, cos(4 * M_PI / 12) - 1, 1e-9);
    ctmc_destroy(c);
}

static void test_bad_chains(void **state)
{
    (void)state;
    Ctmc *c = ctmc_create(4);
    Err e;
    assert_int_equal(ctmc_states(c), 4);
    assert_int_equal(ctmc_add(c, 0, 4, 1, &e), ERR_ARG);
    assert_int_equal(ctmc_add(c, -1, 0, 1, &e), ERR_ARG);
    assert_int_equal(ctmc_add(c, 2, 2, 1, &e), ERR_ARG);
    assert_int_equal(ctmc_add(c, 0, 1, -1, &e), ERR_ARG);
    assert_int_equal(ctmc_add(c, 0, 1, NAN, &e), ERR_ARG);
    assert_int_equal(ctmc_add(c, 0, 1, INFINITY, &e), ERR_ARG);
    assert_int_equal(ctmc_add(c, 0, 3, 0, &e), 0);
    add(c, 0, 1, 1);
    add(c, 1, 0, 1);
    add(c, 1, 2, 1); // and from 2 there is no way back
    double x[4];
    assert_int_equal(ctmc_stationary(c, x, &e), ERR_ARG);
    assert_non_null(strstr(e.text, "cannot be reached from state"));
    assert_int_equal(ctmc_hitting(c, (bool[4]){true}, x, NULL, &e), ERR_ARG);
    assert_non_null(strstr(e.text, "never reached"));
    bool one[4] = {true};
    bool other[4] = {false, false, false, true};
    assert_int_equal(ctmc_reach_before(c, one, other, x, &e), ERR_ARG);
    ctmc_destroy(c);
    ctmc_destroy(NULL);
    CtmcGap gap;
    c = ctmc_create(1);
    assert_int_equal(ctmc_stationary(c, x, NULL), 0);
    assert_true(x[0] == 1);
    assert_int_equal(ctmc_gap(c, x, &gap, &e), ERR_ARG);
    ctmc_destroy(c);
}

// The widest band that is taken, and one jump more.
static void test_cells_limit(void **state)
{
    (void)state;
    enum { N = 2048 }; // 2048 * 2047 cells fit, 2048 * 2049 do not
    Ctmc *c = ctmc_create(N);
    bool *target = mem_zalloc(N * sizeof(bool));
    double *mean = mem_zalloc(N * sizeof(double));
    target[0] = true;
    for (int i = 1; i < N; i++) {
        add(c, i, i > 1023 ? i - 1023 : 0, 2);
    }
    assert_int_equal(ctmc_hitting(c, target, mean, NULL, NULL), 0);
    near(mean[N - 1], 1.5, 1e-13);
    add(c, 1024, 0, 1);
    assert_int_equal(ctmc_hitting(c, target, mean, NULL, NULL), ERR_LIMIT);
    free(target);
    free(mean);
    ctmc_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_server), cmocka_unit_test(test_loss_system),
        cmocka_unit_test(test_stages),        cmocka_unit_test(test_ruin),
        cmocka_unit_test(test_transient),     cmocka_unit_test(test_eigenvalues),
        cmocka_unit_test(test_bad_chains),    cmocka_unit_test(test_cells_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
