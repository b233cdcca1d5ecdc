#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/attr.h"
#include "base/rng.h"
#include "model/erlang.h"
#include "model/fixpoint.h"

static void near_to(const char *what, double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance)) {
        fail_msg("%s: %.15g, expected %.15g", what, got, want);
    }
}

// x^3 - 1.5 x^2 + ... as a map with the fixed points a < b < c: x + k (x - a)(b - x)(x - c) ...
// with the sign that makes a and c attract.
typedef struct Cubic {
    double a, b, c, k;
} Cubic;

static int cubic(const void *context, double x, double *ret_y, Err *e)
{
    (void)e;
    const Cubic *m = context;
    *ret_y = x - m->k * (x - m->a) * (x - m->b) * (x - m->c);
    return 0;
}

static void test_two_fixed_points(void **state)
{
    (void)state;
    Cubic m = {1, 2, 4, 0.08};
    FixpointPair p;
    assert_int_equal(fixpoint_solve(cubic, &m, (double[2]){0, 5}, &p, NULL), 0);
    near_to("low", p.low, 1, 1e-8);
    near_to("high", p.high, 4, 1e-8);
    near_to("tipping", p.tipping, 2, 1e-8);
    assert_true(p.bistable);
    // Started between the two only the upper one is there.
    assert_int_equal(fixpoint_solve(cubic, &m, (double[2]){2.5, 5}, &p, NULL), 0);
    assert_true(!p.bistable && p.low == p.high && isnan(p.tipping));
    near_to("upper", p.low, 4, 1e-8);
}

// The lower pair has merged and gone: iteration has to creep through the gap, and must not stop in
// it.
static int gap(const void *context, double x, double *ret_y, Err *e)
{
    (void)e;
    double width = *(const double *)context;
    *ret_y = x + 0.02 * ((x - 1.5) * (x - 1.5) + width) * (4 - x);
    return 0;
}

static void test_near_tangency(void **state)
{
    (void)state;
    for (double width = 1e-2; width > 5e-5; width /= 10) {
        FixpointPair p;
        assert_int_equal(fixpoint_solve(gap, &width, (double[2]){1, 5}, &p, NULL), 0);
        assert_true(!p.bistable);
        near_to("upper", p.low, 4, 1e-6);
    }
}

static int falls(const void *context, double x, double *ret_y, Err *e)
{
    (void)context;
    (void)e;
    *ret_y = x - 1;
    return 0;
}

static int fails(const void *context, double x, double *ret_y, Err *e)
{
    (void)context;
    (void)ret_y;
    return x > 0.5 ? err_set(e, ERR_IO, "no") : (*ret_y = 1, 0);
}

static void test_refused(void **state)
{
    (void)state;
    FixpointPair p;
    assert_int_equal(fixpoint_solve(falls, NULL, (double[2]){0, 1}, &p, NULL), ERR_ARG);
    assert_int_equal(fixpoint_solve(falls, NULL, (double[2]){1, 0}, &p, NULL), ERR_ARG);
    assert_int_equal(fixpoint_solve(falls, NULL, (double[2]){0, INFINITY}, &p, NULL), ERR_ARG);
    assert_int_equal(fixpoint_solve(fails, NULL, (double[2]){0, 1}, &p, NULL), ERR_IO);
    RetryLoad good = {.rate = 1,
                      .attempts = 2,
                      .timeout_s = 3,
                      .load = {.service_s = 0.1, .servers = 1, .arrival_scv = 1, .service_scv = 1}};
    RetryAnswer a;
    assert_int_equal(retry_solve(&good, &a, NULL), 0);
    static const double bad[] = {0, -1, NAN};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        RetryLoad l = good;
        l.rate = bad[i];
        assert_int_equal(retry_solve(&l, &a, NULL), ERR_ARG);
        l = good;
        l.timeout_s = bad[i];
        assert_int_equal(retry_solve(&l, &a, NULL), ERR_ARG);
        l = good;
        l.load.service_s = bad[i];
        assert_int_equal(retry_solve(&l, &a, NULL), ERR_ARG);
    }
    RetryLoad l = good;
    l.fail = 1.1;
    assert_int_equal(retry_solve(&l, &a, NULL), ERR_ARG);
    l = good;
    l.attempts = 0;
    assert_int_equal(retry_solve(&l, &a, NULL), ERR_ARG);
    l.attempts = RETRY_ATTEMPTS_MAX;
    assert_int_equal(retry_solve(&l, &a, NULL), 0);
    l.attempts++;
    assert_int_equal(retry_solve(&l, &a, NULL), ERR_ARG);
}

// M/M/1 with a timeout and one retry, by hand: f = exp(-(mu - x) T), x = fresh (1 + f). The two
// points solve x / fresh - 1 = exp(-(mu - x) T), found here by halving.
static void test_mm1_by_hand(void **state)
{
    (void)state;
    double fresh = 0.5;
    double timeout = 6;
    RetryLoad l = {.rate = fresh,
                   .attempts = 2,
                   .timeout_s = timeout,
                   .load = {.service_s = 1, .servers = 1, .arrival_scv = 1, .service_scv = 1}};
    RetryAnswer a;
    assert_int_equal(retry_solve(&l, &a, NULL), 0);
    double low = fresh;
    double high = 0.8;
    for (int i = 0; i < 100; i++) {
        double x = (low + high) / 2;
        if (fresh * (1 + exp(-(1 - x) * timeout)) > x) {
            low = x;
        } else {
            high = x;
        }
    }
    near_to("rate", a.low.rate, low, 1e-8);
    near_to("fail", a.low.fail, low / fresh - 1, 1e-7);
    near_to("goodput", a.low.goodput, 1 - a.low.fail * a.low.fail, 1e-12);
    // From above: two attempts each are exactly rho = 1, where every attempt times out in the end.
    assert_true(a.bistable && !a.high.stable);
    near_to("collapsed", a.high.rate, 1, 1e-9);
    near_to("collapsed", a.high.goodput, 0, 1e-9);
    assert_true(a.tipping > a.low.rate && a.tipping < a.high.rate);
    near_to("tipping repels", fresh * (1 + exp(-(1 - a.tipping) * timeout)), a.tipping, 1e-6);
}

// The overloaded agent of the slides' pipeline: 18 servers of 0.9 s. With four attempts of 3 s a
// load of 0.8 runs well and also stays down after a spike; with one attempt it can only run well;
// with attempts of 1 s, barely more than the service itself, it is always down.
static void test_pipeline(void **state)
{
    (void)state;
    Service service;
    assert_int_equal(service_lognormal(0.9, 0.25, &service, NULL), 0);
    RetryLoad l = {.rate = 16,
                   .attempts = 4,
                   .timeout_s = 3,
                   .load = {.servers = 18, .service = &service, .arrival_scv = 1}};
    RetryAnswer a;
    assert_int_equal(retry_solve(&l, &a, NULL), 0);
    assert_true(a.bistable && a.low.stable && !a.high.stable);
    assert_true(a.low.goodput > 0.999 && a.low.attempts < 1.01 && a.high.goodput == 0);
    near_to("storm", a.high.rate, 64, 1e-9);
    l.attempts = 1;
    assert_int_equal(retry_solve(&l, &a, NULL), 0);
    assert_true(!a.bistable && a.low.goodput > 0.99);
    l.attempts = 4;
    l.timeout_s = 1;
    assert_int_equal(retry_solve(&l, &a, NULL), 0);
    assert_true(!a.bistable && !a.low.stable && a.low.goodput == 0);
}

static int impatient(const void *context, double rate, Station *ret_station, Err *e)
{
    StationLoad load = *(const StationLoad *)context;
    load.rate = rate;
    return station_erlang_a(&load, ret_station, e);
}

static int lossy(const void *context, double rate, Station *ret_station, Err *e)
{
    StationLoad load = *(const StationLoad *)context;
    load.rate = rate;
    load.room = load.servers;
    return station_mmck(&load, ret_station, e);
}

// Lost calls that come back: erlang.com's manual offers 200 lines 186.877 erlangs at 3 % blocking
// when 70 % of the lost calls are repeated. Here all are, up to once: x = fresh (1 + B(x)).
static void test_other_stations(void **state)
{
    (void)state;
    StationLoad lines = {.service_s = 1, .servers = 200};
    RetryLoad l = {
        .rate = 186.877, .attempts = 2, .timeout_s = INFINITY, .station = lossy, .context = &lines};
    RetryAnswer a;
    assert_int_equal(retry_solve(&l, &a, NULL), 0);
    assert_true(!a.bistable);
    near_to("blocked", a.low.fail, erlang_b(200, a.low.rate), 1e-12);
    near_to("rate", a.low.rate, 186.877 * (1 + a.low.fail), 1e-6);
    // Who waits too long leaves the queue: no steady state without end, so no collapse to nothing.
    StationLoad callers = {.service_s = 0.9, .servers = 18, .patience_s = 3};
    l = (RetryLoad){
        .rate = 16, .attempts = 4, .timeout_s = 6, .station = impatient, .context = &callers};
    assert_int_equal(retry_solve(&l, &a, NULL), 0);
    assert_true(a.high.stable && a.low.goodput > 0.9);
}

// More attempts never lower the offered rate, a longer timeout never raises it; the low point is
// below the high one, shares stay shares.
static void test_properties(void **state)
{
    (void)state;
    Rng r = rng_stream(20261121, SLICE("fixpoint"), 0);
    for (int round = 0; round < 200; round++) {
        double servers = 1 + (double)rng_below(&r, 30);
        RetryLoad l = {
            .rate = servers * (0.1 + rng_double(&r)),
            .attempts = 1 + (uint32_t)rng_below(&r, 5),
            .timeout_s = 0.5 + 8 * rng_double(&r),
            .fail = 0.1 * rng_double(&r),
            .load = {.service_s = 1, .servers = servers, .arrival_scv = 1, .service_scv = 1}};
        RetryAnswer a;
        assert_int_equal(retry_solve(&l, &a, NULL), 0);
        assert_true(a.low.rate <= a.high.rate && a.low.rate >= l.rate * (1 - 1e-9));
        assert_true(a.high.rate <= l.rate * l.attempts * (1 + 1e-9));
        assert_true(a.low.goodput >= a.high.goodput - 1e-9 && a.low.goodput <= 1 &&
                    a.high.goodput >= 0);
        assert_true(a.bistable == (a.low.rate != a.high.rate));
        assert_true(!a.bistable || (a.tipping > a.low.rate && a.tipping < a.high.rate));
        RetryAnswer b;
        RetryLoad more = l;
        more.attempts++;
        assert_int_equal(retry_solve(&more, &b, NULL), 0);
        assert_true(b.low.rate >= a.low.rate * (1 - 1e-6));
        RetryLoad patient = l;
        patient.timeout_s *= 1.5;
        assert_int_equal(retry_solve(&patient, &b, NULL), 0);
        assert_true(b.low.rate <= a.low.rate * (1 + 1e-6));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_fixed_points), cmocka_unit_test(test_near_tangency),
        cmocka_unit_test(test_refused),          cmocka_unit_test(test_mm1_by_hand),
        cmocka_unit_test(test_pipeline),         cmocka_unit_test(test_other_stations),
        cmocka_unit_test(test_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
