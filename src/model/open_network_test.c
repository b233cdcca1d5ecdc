#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/attr.h"
#include "base/rng.h"
#include "model/open_network.h"

static Arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = arena_create(64 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

static void near_to(const char *what, double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance)) {
        fail_msg("%s: %.15g, expected %.15g", what, got, want);
    }
}

static OpenAnswer *solve(const OpenNetwork *net, OpenMethod method)
{
    OpenAnswer *a = NULL;
    Err e = {0};
    if (open_solve(arena, net, method, &a, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return a;
}

// Bolch et al. 7.4: four stations, requests enter at the fourth.
static void test_bolch_7_4(void **state)
{
    (void)state;
    OpenNetwork net = {.stations = 4,
                       .classes = 1,
                       .servers = (double[]){1, 1, 1, 1},
                       .service_s = (double[]){0.04, 0.03, 0.06, 0.05},
                       .arrivals = (double[]){0, 0, 0, 4},
                       .routing = (double[]){0, 0.5, 0.5, 0, 1, 0, 0, 0, 0.6, 0, 0, 0, 1, 0, 0, 0}};
    OpenAnswer *a = solve(&net, OPEN_JACKSON);
    static const double rate[] = {20, 10, 10, 4};
    static const double busy[] = {0.8, 0.3, 0.6, 0.2};
    static const double visit[] = {0.2, 0.043, 0.15, 0.0625};
    static const double inside[] = {4, 0.429, 1.5, 0.25};
    double sum = 0;
    for (int i = 0; i < 4; i++) {
        near_to("rate", a->rate[i], rate[i], 1e-10);
        near_to("utilisation", a->station[i].utilisation, busy[i], 1e-12);
        near_to("visit", a->visit_s[i], visit[i], 6e-4);
        near_to("inside", a->in_station[i], inside[i], 6e-4);
        sum += a->in_station[i];
    }
    near_to("Little", a->response_s[0], sum / 4, 1e-12);
}

// Jain 34.1: 3 requests/s with 16, 7 and 8 visits to stations of 10, 20 and 30 ms; Lazowska et al.
// p. 113: 0.3 a second with 121, 70 and 50 visits. Visits as routing from and to the first station.
static void test_visits(void **state)
{
    (void)state;
    static const struct {
        double rate, visits[3], service_s[3], visit_s[3], busy[3], inside;
    } rows[] = {
        {3, {16, 7, 8}, {0.01, 0.02, 0.03}, {0.0192, 0.0345, 0.107}, {0.48, 0.42, 0.72}, NAN},
        {0.3, {121, 70, 50}, {0.005, 0.03, 0.027}, {NAN, NAN, NAN}, {0.182, NAN, NAN}, 0.222},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        double routing[9] = {1 - (rows[i].visits[1] + rows[i].visits[2] + 1) / rows[i].visits[0],
                             rows[i].visits[1] / rows[i].visits[0],
                             rows[i].visits[2] / rows[i].visits[0],
                             1,
                             0,
                             0,
                             1,
                             0,
                             0};
        OpenNetwork net = {.stations = 3,
                           .classes = 1,
                           .servers = (double[]){1, 1, 1},
                           .service_s = rows[i].service_s,
                           .arrivals = (double[]){rows[i].rate, 0, 0},
                           .routing = routing};
        OpenAnswer *a = solve(&net, OPEN_JACKSON);
        for (int k = 0; k < 3; k++) {
            near_to("rate", a->rate[k], rows[i].rate * rows[i].visits[k], 1e-9);
            if (!isnan(rows[i].visit_s[k])) {
                near_to("visit", a->visit_s[k], rows[i].visit_s[k], 6e-4);
            }
            if (!isnan(rows[i].busy[k])) {
                near_to("utilisation", a->station[k].utilisation, rows[i].busy[k], 6e-4);
            }
        }
        if (!isnan(rows[i].inside)) {
            near_to("inside", a->in_station[0], rows[i].inside, 6e-4);
        }
    }
}

// Two classes: Zahorjan et al. p. 138 (times as fractions), Bolch et al. 7.7; the book prints 0.5
// for the second class at the second station, its own formula gives 0.451.
static void test_two_classes(void **state)
{
    (void)state;
    OpenNetwork net = {.stations = 2,
                       .classes = 2,
                       .servers = (double[]){1, 1},
                       .service_s = (double[]){1, 3, 2, 4},
                       .arrivals = (double[]){3.0 / 19, 0, 2.0 / 19, 0},
                       .routing = (double[]){0, 1, 0, 0, 0, 1, 0, 0}};
    OpenAnswer *a = solve(&net, OPEN_JACKSON);
    near_to("R11", a->visit_s[0], 19.0 / 12, 1e-10);
    near_to("R12", a->visit_s[1], 57.0 / 2, 1e-9);
    near_to("Q11", a->in_station[0], 0.25, 1e-10);
    OpenNetwork bolch = {.stations = 3,
                         .classes = 2,
                         .servers = (double[]){1, 1, 1},
                         .service_s =
                             (double[]){1.0 / 8, 1.0 / 12, 1.0 / 16, 1.0 / 24, 1.0 / 32, 1.0 / 36},
                         .arrivals = (double[]){1, 0, 0, 1, 0, 0},
                         .routing = (double[]){0, 0.4, 0.3, 0.6, 0, 0.4, 0.5, 0.5, 0, 0, 0.3, 0.6,
                                               0.7, 0, 0.3, 0.4, 0.6, 0}};
    a = solve(&bolch, OPEN_JACKSON);
    static const double rate[] = {3.333, 2.292, 1.917, 10, 8.049, 8.415};
    static const double inside[] = {2.5, 0.342, 0.186, 2.5, 0.451, 0.362};
    for (int i = 0; i < 6; i++) {
        near_to("rate", a->rate[i], rate[i], 1e-3);
        near_to("inside", a->in_station[i], inside[i], 1e-3);
    }
}

// With exponential everything QNA is Jackson: all scv 1, in circles as well.
static void test_qna_is_jackson(void **state)
{
    (void)state;
    Rng r = rng_stream(20261121, SLICE("open"), 0);
    for (int round = 0; round < 100; round++) {
        enum { N = 5 };
        double service[N];
        double arrivals[N];
        double servers[N];
        double routing[N * N];
        for (int i = 0; i < N; i++) {
            service[i] = 0.01 + rng_double(&r);
            arrivals[i] = rng_double(&r);
            servers[i] = (double)rng_below(&r, 40) + 20;
            for (int j = 0; j < N; j++) {
                routing[i * N + j] = rng_double(&r) * 1.6 / N * (round % 3 && i == j ? 0 : 1);
            }
        }
        OpenNetwork net = {.stations = N,
                           .classes = 1,
                           .servers = servers,
                           .service_s = service,
                           .arrivals = arrivals,
                           .routing = routing};
        OpenAnswer *j = NULL;
        OpenAnswer *q = NULL;
        int rc = open_solve(arena, &net, OPEN_JACKSON, &j, NULL);
        assert_int_equal(open_solve(arena, &net, OPEN_QNA, &q, NULL), rc);
        assert_true(rc == 0 || rc == ERR_UNSTABLE || rc == ERR_ARG);
        double leaving = 0;
        for (int i = 0; rc == 0 && i < N; i++) {
            double out = 1;
            for (int k = 0; k < N; k++) {
                out -= routing[i * N + k];
            }
            leaving += j->rate[i] * out;
            near_to("scv", q->arrival_scv[i], 1, 1e-9);
            // With feedback QNA serves all visits of one stay at once, which is no longer M/M/c for
            // several servers: there the two differ by the service that is not interrupted.
            if (round % 3) {
                near_to("visit", q->visit_s[i], j->visit_s[i], 1e-9 * j->visit_s[i]);
            }
        }
        if (rc == 0) {
            near_to("what comes leaves", leaving,
                    arrivals[0] + arrivals[1] + arrivals[2] + arrivals[3] + arrivals[4], 1e-9);
        }
        arena_reset(arena);
    }
}

// Marshall's departures: after a nearly saturated station the flow has the service's variability,
// after an idle one that of the arrivals; splitting to the share p gives 1 - p + p c^2; and a
// superposition of many streams is Poisson.
static void test_qna_flows(void **state)
{
    (void)state;
    double service_scv[] = {4, 1};
    double arrival_scv[] = {0.25, 1};
    double service[] = {0.999999, 0.0001};
    double routing[] = {0, 1, 0, 0};
    OpenNetwork net = {.stations = 2,
                       .classes = 1,
                       .servers = (double[]){1, 1},
                       .service_s = service,
                       .service_scv = service_scv,
                       .arrivals = (double[]){1, 0},
                       .arrival_scv = arrival_scv,
                       .routing = routing};
    near_to("saturated", solve(&net, OPEN_QNA)->arrival_scv[1], 4, 1e-4);
    service[0] = 1e-6;
    near_to("idle", solve(&net, OPEN_QNA)->arrival_scv[1], 0.25, 1e-4);
    routing[1] = 0.2;
    near_to("split", solve(&net, OPEN_QNA)->arrival_scv[1], 1 - 0.2 + 0.2 * 0.25, 1e-4);
    enum { MANY = 40 };
    double s[MANY + 1];
    double c[MANY + 1];
    double a[MANY + 1];
    double p[(MANY + 1) * (MANY + 1)] = {0};
    double one[MANY + 1];
    for (int i = 0; i <= MANY; i++) {
        s[i] = i < MANY ? 1e-4 : 0.5 / MANY;
        c[i] = 9;
        a[i] = i < MANY;
        one[i] = 1;
        p[i * (MANY + 1) + MANY] = i < MANY;
    }
    net = (OpenNetwork){.stations = MANY + 1,
                        .classes = 1,
                        .servers = one,
                        .service_s = s,
                        .arrivals = a,
                        .arrival_scv = c,
                        .routing = p};
    double merged = solve(&net, OPEN_QNA)->arrival_scv[MANY];
    assert_true(merged > 1 && merged < 1.3);
    // M/G/1 alone is exact: Pollaczek and Khinchine.
    net = (OpenNetwork){.stations = 1,
                        .classes = 1,
                        .servers = one,
                        .service_s = (double[]){0.8},
                        .service_scv = (double[]){3},
                        .arrivals = (double[]){1}};
    near_to("P-K", solve(&net, OPEN_QNA)->visit_s[0], 0.8 + 4 * 2 * 0.8, 1e-12);
}

// One station that half of the requests visit again at once: as one visit of a geometric sum. For
// M/M/1 that changes nothing.
static void test_feedback(void **state)
{
    (void)state;
    OpenNetwork net = {.stations = 1,
                       .classes = 1,
                       .servers = (double[]){1},
                       .service_s = (double[]){0.4},
                       .arrivals = (double[]){1},
                       .routing = (double[]){0.5}};
    OpenAnswer *j = solve(&net, OPEN_JACKSON);
    OpenAnswer *q = solve(&net, OPEN_QNA);
    near_to("jackson", j->response_s[0], 0.8 / 0.2, 1e-12);
    near_to("qna", q->response_s[0], 0.8 / 0.2, 1e-12);
}

static void test_refused(void **state)
{
    (void)state;
    double service[] = {0.1, 0.2};
    double arrivals[] = {1, 0};
    double routing[] = {0, 1, 1, 0};
    OpenNetwork net = {.stations = 2,
                       .classes = 1,
                       .servers = (double[]){1, 1},
                       .service_s = service,
                       .arrivals = arrivals,
                       .routing = routing};
    OpenAnswer *a;
    Err e = {0};
    assert_int_equal(open_solve(arena, &net, OPEN_JACKSON, &a, &e), ERR_UNSTABLE);
    assert_non_null(strstr(e.text, "for ever"));
    routing[2] = 0.5;
    assert_int_equal(open_solve(arena, &net, OPEN_QNA, &a, &e), 0);
    arrivals[0] = 3;
    assert_int_equal(open_solve(arena, &net, OPEN_QNA, &a, &e), ERR_UNSTABLE);
    assert_non_null(strstr(e.text, "station 1: rho 1.2"));
    arrivals[0] = 1;
    routing[2] = 1.1;
    assert_int_equal(open_solve(arena, &net, OPEN_QNA, &a, &e), ERR_ARG);
    routing[2] = NAN;
    assert_int_equal(open_solve(arena, &net, OPEN_QNA, &a, &e), ERR_ARG);
    routing[2] = 0.5;
    routing[3] = 0.6;
    assert_int_equal(open_solve(arena, &net, OPEN_QNA, &a, &e), ERR_ARG);
    routing[3] = 0;
    static const double bad[] = {NAN, -1, INFINITY};
    static const double ones[] = {1, 1};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        arrivals[0] = bad[i];
        assert_int_equal(open_solve(arena, &net, OPEN_QNA, &a, &e), ERR_ARG);
        arrivals[0] = 1;
        service[1] = bad[i];
        assert_int_equal(open_solve(arena, &net, OPEN_QNA, &a, &e), ERR_ARG);
        service[1] = 0.2;
        const double servers[] = {bad[i], 1};
        net.servers = servers;
        assert_int_equal(open_solve(arena, &net, OPEN_QNA, &a, &e), ERR_ARG);
        net.servers = ones;
        const double scv[] = {1, bad[i]};
        net.service_scv = scv;
        assert_int_equal(open_solve(arena, &net, OPEN_QNA, &a, &e), ERR_ARG);
        net.service_scv = NULL;
    }
    net.stations = OPEN_STATIONS_MAX + 1;
    assert_int_equal(open_solve(arena, &net, OPEN_QNA, &a, &e), ERR_ARG);
    net.stations = 2;
    net.classes = OPEN_CLASSES_MAX + 1;
    assert_int_equal(open_solve(arena, &net, OPEN_QNA, &a, &e), ERR_ARG);
    net.classes = 1;
    // A station that nobody visits, and one without limit.
    arrivals[0] = 0;
    arrivals[1] = 2;
    routing[2] = 0;
    net.servers = (double[]){1, 0};
    assert_int_equal(open_solve(arena, &net, OPEN_QNA, &a, &e), 0);
    assert_true(a->rate[0] == 0 && a->station[0].utilisation == 0);
    near_to("delay", a->visit_s[1], 0.2, 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bolch_7_4),   cmocka_unit_test(test_visits),
        cmocka_unit_test(test_two_classes), cmocka_unit_test(test_qna_is_jackson),
        cmocka_unit_test(test_qna_flows),   cmocka_unit_test(test_feedback),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
