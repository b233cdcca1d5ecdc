#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/attr.h"
#include "model/network_bounds.h"
#include "model/queueing.h"

static void near(double got, double want, double relative)
{
    if (!(fabs(got - want) <= relative * fabs(want))) {
        fail_msg("got %.12g, want %.12g", got, want);
    }
}

static const NetworkVisit FIRST[] = {{0, 0, 1}};

static NetworkBounds one_station(double rate, double servers, double service_s, double slow_s,
                                 double scv, double burst)
{
    NetworkStation station = {SLICE_INIT("s"), servers, service_s, scv, slow_s};
    NetworkClient client = {SLICE_INIT("c"), rate, 1, burst, FIRST, 1};
    NetworkLoad load = {&station, 1, &client, 1, 0.01};
    NetworkBounds b;
    assert_int_equal(network_bounds(&load, &b, NULL), 0);
    return b;
}

// M/M/1: the time in the station is exponential with rate mu - lambda (Kleinrock I, 5.118), so its
// 99th percentile is log(100) / (mu - lambda), which is what the bound is. With more servers it may
// not be below the exact one.
static void test_against_exact_quantiles(void **state)
{
    (void)state;
    for (double rho = 0.05; rho < 1; rho += 0.05) {
        NetworkBounds b = one_station(rho * 10, 1, 0.1, log(100) * 0.1, 1, 0);
        near(b.delay_s[0], log(100) / (10 - rho * 10), 1e-9);
        near(b.headroom, 1 / rho, 1e-12);
        static const double servers[] = {2, 4, 18, 100};
        for (size_t i = 0; i < COUNT_OF(servers); i++) {
            StationLoad load = {
                .rate = rho * 10 * servers[i], .service_s = 0.1, .servers = servers[i]};
            Station s;
            assert_int_equal(station_mmc(&load, &s, NULL), 0);
            b = one_station(load.rate, servers[i], 0.1, log(100) * 0.1, 1, 0);
            assert_true(b.delay_s[0] >= station_quantile(&s, 0.99) * (1 - 1e-9));
            near(b.station_utilisation[0], rho, 1e-12);
        }
    }
}

// A fixed burst and a fixed service time are plain network calculus: T + b / R.
static void test_enforced_burst(void **state)
{
    (void)state;
    NetworkBounds b = one_station(5, 1, 0.1, 10, 0, 25);
    near(b.delay_s[0], 12.5, 1e-12);
    near(b.burst[0], 25, 1e-12);
    // Rate (10 + 5) / 2 is let into the bucket: half of the headroom.
    near(b.station_backlog[0], 25 + 7.5 * 10, 1e-12);
}

// The pipeline of the worked example: B's work fans out to C and D and is joined; others use D.
typedef struct Pipeline {
    NetworkStation stations[3];
    NetworkVisit a[3], other[1];
    NetworkClient clients[2];
    NetworkLoad load;
} Pipeline;

static void pipeline_init(Pipeline *p)
{
    *p = (Pipeline){
        .stations = {{SLICE_INIT("b"), 64, 0.01, 1, 0.05},
                     {SLICE_INIT("c"), 64, 0.5, 4, 3},
                     {SLICE_INIT("d"), 18, 0.9, 0.1, 1.6}},
        .a = {{0, 0, 1}, {1, 1, 1.2}, {2, 1, 1}},
        .other = {{2, 0, 1}},
        .clients = {{SLICE_INIT("a"), 12, 1, 0, NULL, 3}, {SLICE_INIT("o"), 4, 1, 0, NULL, 1}},
    };
    p->clients[0].visits = p->a;
    p->clients[1].visits = p->other;
    p->load = (NetworkLoad){p->stations, 3, p->clients, 2, 0.01};
}

static void test_pipeline(void **state)
{
    (void)state;
    Pipeline p;
    pipeline_init(&p);
    NetworkBounds b;
    assert_int_equal(network_bounds(&p.load, &b, NULL), 0);
    assert_int_equal(b.bottleneck, 2);
    near(b.station_utilisation[2], 0.8, 1e-12);
    near(b.headroom, 1.25, 1e-12);
    // Stages add, branches join, and the other client has D alone.
    near(b.delay_s[0],
         b.station_delay_s[0] + fmax(1.2 * b.station_delay_s[1], b.station_delay_s[2]), 1e-12);
    near(b.delay_s[1], b.station_delay_s[2], 1e-12);
    // Whatever makes it worse makes the bound worse.
    double before = b.delay_s[1];
    double *worse[] = {&p.clients[1].rate, &p.clients[0].dispersion, &p.stations[2].service_scv,
                       &p.stations[2].service_slow_s, &p.a[2].visits};
    for (size_t i = 0; i < COUNT_OF(worse); i++) {
        *worse[i] *= 1.1;
        assert_int_equal(network_bounds(&p.load, &b, NULL), 0);
        assert_true(b.delay_s[1] > before);
        before = b.delay_s[1];
    }
}

static void test_refusals(void **state)
{
    (void)state;
    Pipeline p;
    NetworkBounds b;
    Err e;
    pipeline_init(&p);
    p.clients[1].rate = 8; // D gets exactly what it can serve
    assert_int_equal(network_bounds(&p.load, &b, &e), ERR_UNSTABLE);
    assert_non_null(strstr(e.text, "station \"d\" is unstable: 20 visits a second of 0.9 s"));
    assert_non_null(strstr(e.text, "keep 18 servers busy and it has 18"));
    pipeline_init(&p);
    NetworkVisit back[] = {{2, 0, 1}, {0, 1, 1}};
    p.clients[1].visits = back;
    p.clients[1].visit_count = 2;
    assert_int_equal(network_bounds(&p.load, &b, &e), ERR_UNSUPPORTED);
    assert_non_null(strstr(e.text, "circle"));
    pipeline_init(&p);
    p.a[2].station = 1;
    assert_int_equal(network_bounds(&p.load, &b, &e), ERR_UNSUPPORTED);
    pipeline_init(&p);
    p.a[1].stage = -1;
    assert_int_equal(network_bounds(&p.load, &b, &e), ERR_ARG);
    pipeline_init(&p);
    p.a[1].station = 3;
    assert_int_equal(network_bounds(&p.load, &b, &e), ERR_ARG);
    double *field[] = {
        &p.stations[0].servers,        &p.stations[0].service_s, &p.stations[1].service_scv,
        &p.stations[1].service_slow_s, &p.clients[0].rate,       &p.clients[0].dispersion,
        &p.clients[1].burst,           &p.a[0].visits,           &p.load.exceed};
    for (size_t i = 0; i < COUNT_OF(field); i++) {
        static const double bad[] = {-1, NAN, INFINITY};
        for (size_t k = 0; k < COUNT_OF(bad); k++) {
            pipeline_init(&p);
            *field[i] = bad[k];
            assert_int_equal(network_bounds(&p.load, &b, &e), ERR_ARG);
        }
    }
}

// The largest network is a row of stations with a client for each of the first; one more of
// anything is refused.
static void test_limits(void **state)
{
    (void)state;
    static NetworkStation stations[NETWORK_STATIONS_MAX + 1];
    static NetworkVisit visits[NETWORK_STATIONS_MAX];
    static NetworkClient clients[NETWORK_CLIENTS_MAX + 1];
    for (int s = 0; s <= NETWORK_STATIONS_MAX; s++) {
        stations[s] = (NetworkStation){SLICE_INIT("s"), 1, 0.01, 1, 0.05};
    }
    // Backwards, so that no single sweep in the order of the array does it.
    for (int i = 0; i < NETWORK_STATIONS_MAX; i++) {
        visits[i] = (NetworkVisit){NETWORK_STATIONS_MAX - 1 - i, i, 1};
    }
    for (int c = 0; c <= NETWORK_CLIENTS_MAX; c++) {
        clients[c] = (NetworkClient){SLICE_INIT("c"), 1, 1, 0, visits, NETWORK_STATIONS_MAX};
    }
    NetworkLoad load = {stations, NETWORK_STATIONS_MAX, clients,
                        NETWORK_VISITS_MAX / NETWORK_STATIONS_MAX, 0.01};
    NetworkBounds b;
    assert_int_equal(network_bounds(&load, &b, NULL), 0);
    near(b.delay_s[0], NETWORK_STATIONS_MAX * b.station_delay_s[0], 1e-9);
    load.client_count++;
    assert_int_equal(network_bounds(&load, &b, NULL), ERR_ARG);
    for (int c = 0; c <= NETWORK_CLIENTS_MAX; c++) {
        clients[c].visit_count = 1;
    }
    load.client_count = NETWORK_CLIENTS_MAX;
    assert_int_equal(network_bounds(&load, &b, NULL), 0);
    load.client_count++;
    assert_int_equal(network_bounds(&load, &b, NULL), ERR_ARG);
    load.client_count--;
    load.station_count++;
    assert_int_equal(network_bounds(&load, &b, NULL), ERR_ARG);
    // Nobody asks for anything: no delay but the service.
    load.station_count--;
    for (int c = 0; c <= NETWORK_CLIENTS_MAX; c++) {
        clients[c].rate = 0;
    }
    assert_int_equal(network_bounds(&load, &b, NULL), 0);
    assert_true(b.headroom == 1e6 && b.station_backlog[0] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_exact_quantiles),
        cmocka_unit_test(test_enforced_burst),
        cmocka_unit_test(test_pipeline),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
