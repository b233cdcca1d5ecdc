// What bounds and the Markov chain of a station cost.
//
//     build/release/bench/model/calculus_bench
//
// One line a question: median of ROUNDS rounds. The network is DNC's FF_4S_4F: four servers, four
// flows that part and meet again. "screen" is network_bounds on ten stations and four clients, what
// a planner asks of every candidate. Memory is set up before the clock runs, but for the chain,
// which allocates its own.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "model/calculus.h"
#include "model/metastable.h"
#include "model/network_bounds.h"

enum { ROUNDS = 9, STATIONS = 10, CLIENTS = 4 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef double Once(int k); // returns something of the answer, so that it is computed

static void measure(const char *name, int times, Once *once)
{
    double seconds[ROUNDS];
    double sum = 0;
    for (int r = 0; r < ROUNDS; r++) {
        double start = now_s();
        for (int i = 0; i < times; i++) {
            sum += once(i);
        }
        seconds[r] = (now_s() - start) / times;
    }
    qsort(seconds, ROUNDS, sizeof(double), by_value);
    printf("%-34s %10.2f us   (checksum %.6g)\n", name, seconds[ROUNDS / 2] * 1e6, sum);
}

static void check(int rc, const Err *e)
{
    if (rc != 0) {
        die("calculus_bench: %s", e->text);
    }
}

static double bound(CalculusMethod method, CalculusOrder order, int k)
{
    static const int paths[4][3] = {{0, 1, 3}, {2, 3}, {2, 1}, {2, 0, 3}};
    static const int lengths[4] = {3, 2, 2, 3};
    static Arena *arena;
    CalculusServer servers[4];
    CalculusFlow flows[4];
    for (int i = 0; i < 4; i++) {
        servers[i] = (CalculusServer){SLICE_INIT("s"), curve_rate_latency(20 + k % 7, 20)};
        flows[i] = (CalculusFlow){SLICE_INIT("f"), curve_token_bucket(5, 25), paths[i], lengths[i]};
    }
    if (arena == NULL) {
        arena = arena_create(CALCULUS_ARENA_BYTES);
    }
    arena_reset(arena);
    CalculusNetwork net = {servers, 4, flows, 4};
    Calculus *c;
    Err e;
    check(calculus_create(&net, arena, &c, &e), &e);
    double sum = 0;
    for (int f = 0; f < 4; f++) {
        CalculusBound b;
        check(calculus_bound(c, f, &(CalculusOptions){method, order}, &b, &e), &e);
        sum += b.delay;
    }
    return sum;
}

static double total_fifo(int k)
{
    return bound(CALCULUS_TOTAL, CALCULUS_FIFO, k);
}

static double separate_fifo(int k)
{
    return bound(CALCULUS_SEPARATE, CALCULUS_FIFO, k);
}

static double separate_arbitrary(int k)
{
    return bound(CALCULUS_SEPARATE, CALCULUS_ARBITRARY, k);
}

static double pmoo(int k)
{
    return bound(CALCULUS_PMOO, CALCULUS_ARBITRARY, k);
}

static double screen(int k)
{
    NetworkStation stations[STATIONS];
    NetworkVisit visits[CLIENTS][STATIONS];
    NetworkClient clients[CLIENTS];
    for (int s = 0; s < STATIONS; s++) {
        stations[s] = (NetworkStation){SLICE_INIT("s"), 8 + (s + k) % 5, 0.1, 1, 0.46};
    }
    for (int c = 0; c < CLIENTS; c++) {
        for (int s = 0; s < STATIONS; s++) {
            visits[c][s] = (NetworkVisit){s, s / 2, 1 + 0.1 * c};
        }
        clients[c] = (NetworkClient){SLICE_INIT("c"), 12, 1, 0, visits[c], STATIONS - c};
    }
    NetworkLoad load = {stations, STATIONS, clients, CLIENTS, 0.01};
    NetworkBounds b;
    Err e;
    check(network_bounds(&load, &b, &e), &e);
    return b.delay_s[0];
}

static double station(int k)
{
    RetryStation s = {9.5 - 0.01 * k, 10, 1, 3, 4, 99, 19};
    Metastable m;
    Err e;
    check(metastable_analyse(&s, &m, &e), &e);
    return m.collapse_s;
}

int main(void)
{
    measure("screen, 10 stations, 4 clients", 20000, screen);
    measure("total FIFO, 4 flows", 2000, total_fifo);
    measure("separate FIFO, 4 flows", 2000, separate_fifo);
    measure("separate arbitrary, 4 flows", 1000, separate_arbitrary);
    measure("PMOO, 4 flows", 1000, pmoo);
    measure("chain of 2,000 states, all of it", 3, station);
    return 0;
}
