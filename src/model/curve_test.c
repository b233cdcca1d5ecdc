#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/attr.h"
#include "base/rng.h"
#include "model/curve.h"

static void near(double got, double want)
{
    if (!(fabs(got - want) <= 1e-9 * (1 + fabs(want)))) {
        fail_msg("got %.17g, want %.17g", got, want);
    }
}

// Le Boudec and Thiran, "Network Calculus", th. 1.4.1-1.4.3 and fig. 1.8: a token bucket through a
// rate-latency server is delayed by T + b / R, leaves b + r T behind it and comes out as (r, b + r
// T); the busy period ends where the lines meet, (R T + b) / (R - r).
static void test_closed_forms(void **state)
{
    (void)state;
    static const double rows[][4] = {{5, 25, 10, 10}, {0, 3, 2, 0}, {1, 0, 4, 2}, {9, 35, 10, 10}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        double r = rows[i][0], b = rows[i][1], rate = rows[i][2], latency = rows[i][3];
        Curve a = curve_token_bucket(r, b);
        Curve s = curve_rate_latency(rate, latency);
        Curve out;
        double d, v, busy;
        assert_true(curve_delay(&a, &s, &d) && curve_backlog(&a, &s, &v));
        assert_true(curve_output(&a, &s, &out) && curve_busy(&a, &s, &busy));
        near(d, latency + b / rate);
        near(v, b + r * latency);
        near(curve_rate(&out), r);
        near(curve_burst(&out), b + r * latency);
        near(busy, (rate * latency + b) / (rate - r));
        Curve left = curve_leftover_arbitrary(&s, &a);
        near(curve_rate(&left), rate - r);
        near(curve_latency(&left), busy);
        left = curve_leftover_fifo(&s, &a);
        near(curve_rate(&left), rate - r);
        near(curve_latency(&left), d);
    }
}

// The IETF's T-SPEC, min(M + p t, b + r t), through a rate-latency server: Le Boudec and Thiran,
// prop. 1.4.1: delay (M + (b - M)(p - R)+ / (p - r)) / R + T, backlog b + r T + ((b - M) / (p - r)
// - T)+ ((p - R)+ - p + r).
static void test_t_spec(void **state)
{
    (void)state;
    static const double rows[][6] = {
        // M, p, b, r, R, T
        {1, 10, 20, 2, 5, 1},
        {1, 10, 20, 2, 5, 4},
        {1, 4, 20, 2, 5, 1},
        {0, 100, 50, 1, 1, 0.25},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const double *w = rows[i];
        Curve peak = curve_token_bucket(w[1], w[0]);
        Curve bucket = curve_token_bucket(w[3], w[2]);
        Curve a = curve_arrival_min(&peak, &bucket);
        Curve s = curve_rate_latency(w[4], w[5]);
        double d, v;
        assert_true(curve_delay(&a, &s, &d) && curve_backlog(&a, &s, &v));
        double knee = (w[2] - w[0]) / (w[1] - w[3]);
        double over = fmax(w[1] - w[4], 0);
        near(d, (w[0] + knee * over) / w[4] + w[5]);
        near(v, w[2] + w[3] * w[5] + fmax(knee - w[5], 0) * (over - w[1] + w[3]));
    }
}

// Rate-latencies in a row: the least rate after the sum of the latencies (ibid. ch. 1.4.3).
static void test_tandem(void **state)
{
    (void)state;
    Curve a = curve_rate_latency(10, 10);
    Curve b = curve_rate_latency(6, 6);
    Curve t = curve_tandem(&a, &b);
    assert_int_equal(t.count, 2);
    near(curve_rate(&t), 6);
    near(curve_latency(&t), 16);
    Curve mixed = curve_token_bucket(1, 1);
    Err e;
    assert_int_equal(curve_convolve(&a, &mixed, &t, &e), ERR_UNSUPPORTED);
    assert_int_equal(curve_convolve(&a, &b, &t, &e), 0);
    near(curve_latency(&t), 16);
    assert_int_equal(curve_convolve(&mixed, &mixed, &t, &e), 0);
    near(curve_burst(&t), 1);
}

static void test_unstable_has_no_bound(void **state)
{
    (void)state;
    Curve a = curve_token_bucket(11, 1);
    Curve s = curve_rate_latency(10, 1);
    Curve nothing = curve_rate_latency(0, 0);
    Curve out;
    double d;
    assert_false(curve_delay(&a, &s, &d) || curve_backlog(&a, &s, &d) || curve_busy(&a, &s, &d));
    assert_false(curve_output(&a, &s, &out));
    assert_false(curve_delay(&a, &nothing, &d));
    Curve left = curve_leftover_arbitrary(&s, &a);
    near(curve_rate(&left), 0);
    left = curve_leftover_fifo(&nothing, &a);
    near(curve_rate(&left), 0);
    // All of the rate is asked for: the backlog is bounded, a delay in arbitrary order is not.
    a = curve_token_bucket(10, 5);
    assert_true(curve_backlog(&a, &s, &d));
    near(d, 15);
    assert_true(curve_delay(&a, &s, &d));
    assert_false(curve_busy(&a, &s, &d));
}

// Shapes that the constructors cannot make.
static void test_shapes(void **state)
{
    (void)state;
    static const struct {
        Curve c;
        bool arrival, service;
    } rows[] = {
        {{1, {{0, 0, 0}}}, true, true},
        {{1, {{0, 1, 2}}}, true, false},
        {{0}, false, false},
        {{1, {{1, 0, 2}}}, false, false},
        {{1, {{0, 0, -1}}}, false, false},
        {{1, {{0, NAN, 1}}}, false, false},
        {{1, {{0, 0, INFINITY}}}, false, false},
        {{CURVE_PIECES_MAX + 1, {{0, 0, 1}}}, false, false},
        {{2, {{0, 1, 3}, {2, 7, 1}}}, true, false},
        {{2, {{0, 0, 1}, {2, 2, 3}}}, false, true},
        {{2, {{0, 0, 1}, {2, 3, 3}}}, false, false}, // a jump
        {{2, {{0, 0, 1}, {0, 0, 3}}}, false, false}, // no length
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(curve_is_arrival(&rows[i].c), rows[i].arrival);
        assert_int_equal(curve_is_service(&rows[i].c), rows[i].service);
    }
}

// One line more than fits: the result stays an upper bound of the arrival, a lower of the service.
static void test_loosens_on_the_safe_side(void **state)
{
    (void)state;
    Curve a = curve_token_bucket(64, 1);
    Curve s = curve_rate_latency(1, 1);
    for (int i = 1; i < 2 * CURVE_PIECES_MAX; i++) {
        Curve bucket = curve_token_bucket(64 / (1 + i), 1 + i * i);
        Curve a_all = curve_arrival_min(&a, &bucket);
        Curve line = curve_rate_latency(1 + i, 1 + 0.5 * i);
        Curve s_all = curve_service_max(&s, &line);
        for (double t = 0.125; t < 200; t *= 1.25) {
            double a_want = fmin(curve_at(&a, t), curve_at(&bucket, t));
            double s_want = fmax(curve_at(&s, t), curve_at(&line, t));
            assert_true(curve_at(&a_all, t) >= a_want - 1e-9 * (1 + a_want));
            assert_true(curve_at(&s_all, t) <= s_want + 1e-9 * (1 + s_want));
            if (i < CURVE_PIECES_MAX - 1) { // all of it fits
                near(curve_at(&a_all, t), a_want);
                near(curve_at(&s_all, t), s_want);
            }
        }
        a = a_all;
        s = s_all;
        assert_true(a.count <= CURVE_PIECES_MAX && s.count <= CURVE_PIECES_MAX);
        assert_true(curve_is_arrival(&a) && curve_is_service(&s));
    }
    assert_int_equal(s.count, CURVE_PIECES_MAX);
}

// Found by fuzz_curve: a server that rests for years before traffic with a knee after a
// millisecond, and lines that are all but parallel. The shapes must hold, and the values where they
// can.
static void test_far_apart_scales(void **state)
{
    (void)state;
    Curve fast = curve_token_bucket(6100, 0.000167);
    Curve mean = curve_token_bucket(23.193, 3.0128);
    Curve a = curve_arrival_min(&fast, &mean);
    Curve s = curve_rate_latency(94000, 1.02e8);
    Curve left = curve_leftover_fifo(&s, &a);
    assert_true(curve_is_service(&left));
    near(curve_latency(&left), 1.02e8);
    near(curve_rate(&left), 94000 - 23.193);
    Curve one = curve_rate_latency(1e6, 2);
    Curve other = curve_rate_latency(1e6 * (1 + 1e-15), 2.5e9);
    Curve both = curve_service_max(&one, &other);
    assert_true(curve_is_service(&both));
    near(curve_at(&both, 12), 1e7);
}

static Curve random_arrival(Rng *r)
{
    Curve c = curve_token_bucket(20 * rng_double(r), 10 * rng_double(r));
    for (uint64_t n = rng_below(r, 4); n > 0; n--) {
        Curve next = curve_token_bucket(20 * rng_double(r), 10 * rng_double(r));
        c = curve_arrival_min(&c, &next);
    }
    return c;
}

static Curve random_service(Rng *r)
{
    Curve c = curve_rate_latency(30 * rng_double(r), 3 * rng_double(r));
    for (uint64_t n = rng_below(r, 4); n > 0; n--) {
        Curve next = curve_rate_latency(30 * rng_double(r), 3 * rng_double(r));
        c = curve_service_max(&c, &next);
    }
    return c;
}

// Definitions by brute force on a grid: (f x g)(t) = inf f(s) + g(t - s), (f / g)(t) = sup f(t + u)
// - g(u). A grid only narrows the inf and the sup, so the closed result must lie on the one side of
// it everywhere, and on it where the slopes times the step allow.
static void test_against_definitions(void **state)
{
    (void)state;
    enum { STEPS = 400 };
    const double h = 0.025;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        Rng r = rng_stream(seed, SLICE("curve"), 0);
        Curve a = random_arrival(&r);
        Curve s1 = random_service(&r);
        Curve s2 = random_service(&r);
        Curve tandem = curve_tandem(&s1, &s2);
        Curve swapped = curve_tandem(&s2, &s1);
        Curve out = a;
        bool stable = curve_output(&a, &s1, &out);
        for (int i = 1; i < STEPS; i += 7) {
            double t = i * h;
            double inf = INFINITY;
            double sup = 0;
            for (int k = 0; k <= STEPS; k++) {
                double u = k * h;
                inf = k <= i ? fmin(inf, curve_at(&s1, u) + curve_at(&s2, t - u)) : inf;
                sup = fmax(sup, curve_at(&a, t + u) - curve_at(&s1, u));
            }
            if (curve_at(&tandem, t) > inf + 1e-9 || curve_at(&tandem, t) < inf - 60 * h) {
                fail_msg("seed %d: tandem(%g) = %g, by definition %g", (int)seed, t,
                         curve_at(&tandem, t), inf);
            }
            near(curve_at(&tandem, t), curve_at(&swapped, t));
            if (stable && (curve_at(&out, t) < sup - 1e-9)) {
                fail_msg("seed %d: output(%g) = %g, by definition %g", (int)seed, t,
                         curve_at(&out, t), sup);
            }
        }
    }
}

// A greedy source through a lazy server, served in order and worked out in small steps: no bit may
// wait longer than the bound, and the bound is met.
static void test_delay_of_the_greedy_source(void **state)
{
    (void)state;
    const double h = 0.01;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        Rng r = rng_stream(seed, SLICE("greedy"), 0);
        Curve a = random_arrival(&r);
        Curve s = random_service(&r);
        double d, v;
        if (!curve_delay(&a, &s, &d) || !curve_backlog(&a, &s, &v)) {
            continue;
        }
        double worst = 0;
        double most = 0;
        double served_at = 0;
        for (double t = h; t < 30; t += h) {
            while (curve_at(&s, served_at) < curve_at(&a, t)) {
                served_at += h;
            }
            worst = fmax(worst, served_at - t);
            most = fmax(most, curve_at(&a, t) - curve_at(&s, t));
        }
        if (worst > d + 2 * h || most > v + 1e-9) {
            fail_msg("seed %d: delay %g over %g or backlog %g over %g", (int)seed, worst, d, most,
                     v);
        }
        // The corner may lie beyond the horizon, or at 0+, one step of arrivals away.
        if (d < 5 && worst < d - 3 * h && worst > 0) {
            fail_msg("seed %d: delay %g is not reached, only %g", (int)seed, d, worst);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closed_forms),
        cmocka_unit_test(test_t_spec),
        cmocka_unit_test(test_tandem),
        cmocka_unit_test(test_unstable_has_no_bound),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_loosens_on_the_safe_side),
        cmocka_unit_test(test_far_apart_scales),
        cmocka_unit_test(test_against_definitions),
        cmocka_unit_test(test_delay_of_the_greedy_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
