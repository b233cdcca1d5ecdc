// What one question to the formulas costs.
//
//     build/release/bench/model/formula_bench
//
// One line a question: the best of ROUNDS short rounds, since other work on the machine only adds.
// "G/G/18" is the query that a coordinator asks most: means, p50 and p99 of one open station at
// varying load, Erlang C included; it must stay below 1 us. The loads vary from call to call, so
// that nothing is hoisted out of the loop and Newton's starts are as poor as in use.
#include <stdio.h>
#include <time.h>

#include "base/attr.h"
#include "model/closed.h"
#include "model/fixpoint.h"
#include "model/fork_join.h"
#include "model/open_network.h"

enum { ROUNDS = 60 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

typedef double Once(int i); // returns something of the answer, so that it is computed

static void measure(const char *name, int times, Once *once)
{
    double best = 1e9;
    double sum = 0;
    for (int r = 0; r < ROUNDS; r++) {
        double start = now_s();
        for (int i = 0; i < times; i++) {
            sum += once(i);
        }
        double each = (now_s() - start) / times;
        best = each < best ? each : best;
    }
    printf("%-40s %10.3f us   (checksum %.6g)\n", name, best * 1e6, sum);
}

static void check(int rc, const Err *e)
{
    if (rc != 0) {
        die("formula_bench: %s", e->text);
    }
}

typedef int StationFunction(const StationLoad *load, Station *ret_station, Err *e);

static double quantiles(StationFunction *station, StationLoad load, int i)
{
    Err e;
    Station s;
    load.rate *= 0.5 + (i % 64) / 64.0 * 0.49;
    check(station(&load, &s, &e), &e);
    return s.response_s + station_quantile(&s, 0.5) + station_quantile(&s, 0.99);
}

static double ggc(int i)
{
    return quantiles(
        station_ggc,
        (StationLoad){
            .rate = 20, .service_s = 0.9, .servers = 18, .arrival_scv = 1, .service_scv = 0.0645},
        i);
}

static double ggc_bursty(int i)
{
    return quantiles(
        station_ggc,
        (StationLoad){
            .rate = 20, .service_s = 0.9, .servers = 18, .arrival_scv = 4, .service_scv = 2},
        i);
}

static double mmc(int i)
{
    return quantiles(station_mmc, (StationLoad){.rate = 20, .service_s = 0.9, .servers = 18}, i);
}

static double ggc_lognormal(int i)
{
    Service service;
    check(service_lognormal(0.9, 0.25, &service, NULL), NULL);
    return quantiles(
        station_ggc,
        (StationLoad){.rate = 20, .servers = 18, .arrival_scv = 1, .service = &service}, i);
}

static double mmc_large(int i)
{
    return quantiles(station_mmc, (StationLoad){.rate = 1e5, .service_s = 1, .servers = 1e5}, i);
}

static double mmck(int i)
{
    return quantiles(station_mmck,
                     (StationLoad){.rate = 30, .service_s = 0.9, .servers = 18, .room = 218}, i);
}

static double erlang_a(int i)
{
    return quantiles(station_erlang_a,
                     (StationLoad){.rate = 30, .service_s = 0.9, .servers = 18, .patience_s = 3},
                     i);
}

static double mg1_erlang(int i)
{
    Service service;
    check(service_erlang(0.9, 4, &service, NULL), NULL);
    return quantiles(station_mg1, (StationLoad){.rate = 1.1, .service = &service}, i);
}

static double mg1_lognormal(int i)
{
    Service service;
    check(service_lognormal(0.9, 0.8, &service, NULL), NULL);
    return quantiles(station_mg1, (StationLoad){.rate = 1.1, .service = &service}, i);
}

static double retries(int i)
{
    Err e;
    RetryAnswer a;
    RetryLoad load = {
        .rate = 8 + 10 * (i % 64) / 64.0,
        .attempts = 4,
        .timeout_s = 3,
        .load = {.service_s = 0.9, .servers = 18, .arrival_scv = 1, .service_scv = 0.0645}};
    check(retry_solve(&load, &a, &e), &e);
    return a.low.rate + a.high.rate;
}

static double join(int i)
{
    Err e;
    Station s[2];
    StationLoad load = {.rate = 8 + 10 * (i % 64) / 64.0,
                        .service_s = 0.9,
                        .servers = 18,
                        .arrival_scv = 1,
                        .service_scv = 1};
    check(station_ggc(&load, &s[0], &e), &e);
    load.servers = 20;
    check(station_ggc(&load, &s[1], &e), &e);
    const Station *branches[] = {&s[0], &s[1]};
    return fork_join_quantile(&(ForkJoin){branches, 2, 2}, 0.99);
}

static Arena *arena;

static double closed(ClosedMethod method, double customers, int i)
{
    static const ClosedCenter center[] = {{.kind = CENTER_SERVERS, .servers = 4}, {0}, {0}};
    static const ClosedCenter queues[] = {{0}, {0}, {0}};
    Err e;
    ClosedNetwork net = {.centers = 3,
                         .classes = 2,
                         .center = method == CLOSED_MVA ? queues : center,
                         .service_s = (double[]){0.125, 0.3, 0.2, 0.2, 0.1, 0.05},
                         .population = (double[]){customers, customers / 2},
                         .think_s = (double[]){4, 5 + i % 4}};
    ClosedAnswer *a;
    check(closed_solve(arena, &net, method, &a, &e), &e);
    double x = a->throughput[0];
    arena_reset(arena);
    return x;
}

static double closed_exact(int i)
{
    return closed(CLOSED_EXACT, 20, i);
}

static double closed_mva(int i)
{
    return closed(CLOSED_MVA, 20, i);
}

static double closed_linearizer(int i)
{
    return closed(CLOSED_LINEARIZER, 2000, i);
}

static double closed_schweitzer(int i)
{
    return closed(CLOSED_SCHWEITZER, 2000, i);
}

static double qna(int i)
{
    enum { N = 10 };
    double servers[N];
    double service[N];
    double scv[N];
    double arrivals[N] = {5 + i % 4};
    double routing[N * N] = {0};
    for (int k = 0; k < N; k++) {
        servers[k] = 4;
        service[k] = 0.2;
        scv[k] = 0.5;
        routing[k * N + (k + 1) % N] = k == N - 1 ? 0.2 : 0.9;
    }
    OpenNetwork net = {.stations = N,
                       .classes = 1,
                       .servers = servers,
                       .service_s = service,
                       .service_scv = scv,
                       .arrivals = arrivals,
                       .routing = routing};
    Err e;
    OpenAnswer *a;
    check(open_solve(arena, &net, OPEN_QNA, &a, &e), &e);
    double x = a->response_s[0];
    arena_reset(arena);
    return x;
}

int main(void)
{
    arena = arena_create(64 << 20);
    measure("G/G/18, two moments, p50 p99", 2000, ggc);
    measure("G/G/18, bursty, p50 p99", 2000, ggc_bursty);
    measure("M/M/18, p50 p99", 2000, mmc);
    measure("G/G/18, lognormal, p50 p99", 200, ggc_lognormal);
    measure("M/M/100000, p50 p99", 20, mmc_large);
    measure("M/M/18/218, p50 p99", 100, mmck);
    measure("Erlang A, 18 servers, p50 p99", 200, erlang_a);
    measure("M/E4/1, inverted, p50 p99", 20, mg1_erlang);
    measure("M/lognormal/1, inverted, p50 p99", 2, mg1_lognormal);
    measure("retries, both fixed points", 100, retries);
    measure("fork and join of two, p99", 200, join);
    measure("closed exact, 2 classes, (20,10), 4 srv", 20, closed_exact);
    measure("closed MVA, 2 classes, (20,10)", 100, closed_mva);
    measure("closed Linearizer, (2000,1000)", 50, closed_linearizer);
    measure("closed Bard-Schweitzer, (2000,1000)", 200, closed_schweitzer);
    measure("open QNA, ring of 10 stations", 300, qna);
    arena_destroy(arena);
    return 0;
}
