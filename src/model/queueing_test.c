#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/attr.h"
#include "base/rng.h"
#include "model/queueing.h"

static void near_to(const char *what, double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance)) {
        fail_msg("%s: %.15g, expected %.15g", what, got, want);
    }
}

#define RELATIVE(got, want, tolerance) near_to(#got, (got), (want), (tolerance)*fabs(want))

static Service exponential(double mean_s)
{
    Service s;
    assert_int_equal(service_exponential(mean_s, &s, NULL), 0);
    return s;
}

// Jain, "The Art of Computer Systems Performance Analysis", example 31.1: a gateway takes 125
// packets/s at 2 ms each; 0.33 packets in it, 2.66 ms.
static void test_mm1_jain(void **state)
{
    (void)state;
    Station s;
    assert_int_equal(
        station_mmc(&(StationLoad){.rate = 125, .service_s = 0.002, .servers = 1}, &s, NULL), 0);
    near_to("utilisation", s.utilisation, 0.25, 1e-15);
    near_to("L", s.in_system, 0.33, 0.005);
    near_to("W", s.response_s, 0.00266, 1e-5);
    // The time in M/M/1 is exponential of rate mu - lambda.
    RELATIVE(station_quantile(&s, 0.99), -log(0.01) / 375, 1e-12);
    RELATIVE(station_tail(&s, 0.003), exp(-375 * 0.003), 1e-12);
}

// Course slides of ETH Zurich (Advanced Systems Lab 2017, M/M/m) and three worked examples of
// M/M/m/K that octave-queueing's tests quote, to the printed digits.
static void test_mmc_published(void **state)
{
    (void)state;
    Station s;
    assert_int_equal(
        station_mmc(&(StationLoad){.rate = 9, .service_s = 0.2, .servers = 2}, &s, NULL), 0);
    near_to("waiting", s.in_queue, 7.674, 5e-4);
    near_to("response", s.response_s, 1.053, 5e-4);
    assert_int_equal(
        station_mmc(&(StationLoad){.rate = 9, .service_s = 0.2, .servers = 4}, &s, NULL), 0);
    near_to("waiting", s.in_queue, 0.105, 5e-4);
    near_to("response", s.response_s, 0.212, 5e-4);
    assert_int_equal(
        station_mmck(&(StationLoad){.rate = 40, .service_s = 1.0 / 30, .servers = 3, .room = 7}, &s,
                     NULL),
        0);
    near_to("response", s.response_s, 0.036517, 5e-7);
    assert_int_equal(
        station_mmck(&(StationLoad){.rate = 50, .service_s = 0.1, .servers = 4, .room = 6}, &s,
                     NULL),
        0);
    near_to("blocked", s.block_probability, 0.293543, 5e-7);
    assert_int_equal(
        station_mmck(&(StationLoad){.rate = 3, .service_s = 0.5, .servers = 2, .room = 5}, &s,
                     NULL),
        0);
    near_to("blocked", s.block_probability, 0.085113, 1e-6);
    near_to("inside", s.in_system, 2.00595, 5e-6);
    near_to("wait", s.wait_s, 0.230857, 1e-6);
}

// M/M/c sojourn by the closed form of two different exponentials, and at c mu - lambda = mu, where
// the form is 0 / 0 and the limit is gamma-like.
static void test_mmc_distribution(void **state)
{
    (void)state;
    Station s;
    assert_int_equal(
        station_mmc(&(StationLoad){.rate = 2.5, .service_s = 1, .servers = 3}, &s, NULL), 0);
    // p0 = 1 / (1 + 2.5 + 3.125 + 2.5^3 / 6 / (1 - 5/6)) = 0.044943820..., C = 0.7022471910112360
    near_to("C", s.wait_probability, 0.702247191011236, 1e-14);
    near_to("Wq", s.wait_s, 0.702247191011236 / 0.5, 1e-13);
    for (double t = 0; t < 20; t += 0.5) {
        double c = s.wait_probability;
        double tail = exp(-t) * (1 - c) + c * (exp(-0.5 * t) - 0.5 * exp(-t)) / 0.5;
        near_to("tail", station_tail(&s, t), tail, 1e-14);
    }
    assert_int_equal(station_mmc(&(StationLoad){.rate = 1, .service_s = 1, .servers = 2}, &s, NULL),
                     0);
    near_to("C", s.wait_probability, 1.0 / 3, 1e-15);
    near_to("confluent", station_tail(&s, 2), exp(-2) * (1 + 2.0 / 3), 1e-14);
    for (double p = 0.001; p < 1; p += 0.0371) {
        near_to("round trip", station_tail(&s, station_quantile(&s, p)), 1 - p, 1e-12);
    }
}

// Bolch et al. 6.5: with lambda = mu the states of M/M/1/K are equally likely: K / 2 inside.
static void test_mm1k_balanced(void **state)
{
    (void)state;
    for (double k = 1; k <= 1e6; k *= 10) {
        Station s;
        assert_int_equal(
            station_mmck(&(StationLoad){.rate = 1, .service_s = 1, .servers = 1, .room = k}, &s,
                         NULL),
            0);
        RELATIVE(s.in_system, k / 2, 1e-9);
        RELATIVE(s.block_probability, 1 / (k + 1), 1e-9);
    }
}

// Birth and death sums and one numerical integral per state, mpmath 1.3 at 40 digits.
static void test_mmck(void **state)
{
    (void)state;
    static const struct {
        StationLoad load;
        double block, queue, wait;
        double at[2], wait_tail[2], tail[2];
    } rows[] = {
        {{.rate = 4, .service_s = 1, .servers = 5, .room = 20},
         0.0039609997008463032,
         1.9346876749597123,
         0.54524663601476456,
         {1, 4},
         {0.1880164504688422, 0.0017190783502347555},
         {0.56321038804096852, 0.045963286266336625}},
        {{.rate = 3, .service_s = 1, .servers = 1, .room = 8},
         0.66670053856315415,
         6.5005588862920435,
         0.99969512195121951,
         {2, 9},
         {0.98047937059500835, 0.16823882412207958},
         {0.99286349211417748, 0.27204383394078577}},
        {{.rate = 1.9, .service_s = 1, .servers = 2, .room = 30},
         0.013917822846151713,
         9.5448547723438361,
         0.90465058374627724,
         {0.2, 15},
         {0.8811476794776117, 0.021947999365417821},
         {0.98050785229871122, 0.039246173387760933}},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        Station s;
        assert_int_equal(station_mmck(&rows[i].load, &s, NULL), 0);
        RELATIVE(s.block_probability, rows[i].block, 1e-12);
        RELATIVE(s.in_queue, rows[i].queue, 1e-12);
        RELATIVE(s.wait_probability, rows[i].wait, 1e-12);
        for (size_t k = 0; k < 2; k++) {
            RELATIVE(station_wait_tail(&s, rows[i].at[k]), rows[i].wait_tail[k], 1e-11);
            RELATIVE(station_tail(&s, rows[i].at[k]), rows[i].tail[k], 1e-11);
            near_to("quantile", station_quantile(&s, 1 - rows[i].tail[k]), rows[i].at[k], 1e-8);
        }
    }
}

// Garnett, Mandelbaum, Reiman, "Designing a call center with impatient customers" (2002), table 1:
// 48 calls a minute of one minute for 50 agents, patience 2 minutes: 3.1 % leave, they wait 3.7 s,
// queue 3, agents 93 % busy; without impatience 20.8 s, queue 17, 96 %.
static void test_erlang_a_published(void **state)
{
    (void)state;
    StationLoad load = {.rate = 48, .service_s = 1, .servers = 50, .patience_s = 2};
    Station s;
    assert_int_equal(station_erlang_a(&load, &s, NULL), 0);
    near_to("leave", s.abandon_probability, 0.031, 5e-4);
    near_to("wait", s.wait_s * 60, 3.7, 0.05);
    near_to("queue", s.in_queue, 3, 0.5);
    near_to("busy", s.utilisation, 0.93, 0.005);
    assert_int_equal(station_mmc(&load, &s, NULL), 0);
    near_to("wait", s.wait_s * 60, 20.8, 0.05);
    near_to("queue", s.in_queue, 17, 0.5);
    near_to("busy", s.utilisation, 0.96, 1e-12);
}

// Birth and death sums and integrals of the offered wait's density, mpmath 1.3 at 40 digits.
static void test_erlang_a(void **state)
{
    (void)state;
    static const struct {
        StationLoad load;
        double wait, leave, queue;
        double at[2], wait_tail[2], tail[2];
    } rows[] = {
        {{.rate = 48, .service_s = 1, .servers = 50, .patience_s = 2},
         0.46777406855379039,
         0.030912249162193218,
         2.9675759195705489,
         {0.05, 0.5},
         {0.33457790361293108, 0.0031501631240029252},
         {0.97028445629919541, 0.64737720111217816}},
        {{.rate = 30, .service_s = 1, .servers = 10, .patience_s = 4},
         0.99999999999999999,
         0.66666666666666667,
         80,
         {3, 5},
         {0.98755119758954593, 0.14858970757680656},
         {0.99797510047413599, 0.56281959114699629}},
        {{.rate = 0.7, .service_s = 1, .servers = 1, .patience_s = 0.5},
         0.47052869403360191,
         0.3278161513805687,
         0.11473565298319904,
         {0.5, 2},
         {0.053900026743696507, 0.0006440172656779296},
         {0.64996195013441206, 0.15095282420412931}},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        Station s;
        assert_int_equal(station_erlang_a(&rows[i].load, &s, NULL), 0);
        RELATIVE(s.wait_probability, rows[i].wait, 1e-11);
        RELATIVE(s.abandon_probability, rows[i].leave, 1e-11);
        RELATIVE(s.in_queue, rows[i].queue, 1e-11);
        for (size_t k = 0; k < 2; k++) {
            RELATIVE(station_wait_tail(&s, rows[i].at[k]), rows[i].wait_tail[k], 1e-9);
            RELATIVE(station_tail(&s, rows[i].at[k]), rows[i].tail[k], 1e-10);
            near_to("quantile", station_quantile(&s, 1 - rows[i].tail[k]), rows[i].at[k], 1e-8);
        }
    }
}

// M/D/1 by Erlang's alternating sum; the others by de Hoog's inversion; all mpmath 1.3, 40 digits.
static void test_mg1_distribution(void **state)
{
    (void)state;
    static const struct {
        int law;
        double rate, at, wait_tail, tail; // NAN: not compared
    } rows[] = {
        {0, 0.8, 0.5, 0.70163506047174594, NAN},
        {0, 0.8, 2.3, 0.32184709167394173, NAN},
        {0, 0.8, 5.5, 0.081020797679232858, NAN},
        {0, 0.8, 12.25, 0.0044216864499473019, NAN},
        {0, 0.8, 3.3, NAN, 0.32184709167394173},
        {1, 0.9, 1, 0.78659650697762555, 0.91843394121726785},
        {1, 0.9, 5, 0.4272814839713406, 0.49975617344281629},
        {1, 0.9, 20, 0.043275997343275538, 0.050616391428785313},
        {2, 0.7, 1, NAN, 0.68556637957594082},
        {2, 0.7, 10, NAN, 0.29766302577980896},
        {2, 0.7, 60, NAN, 0.0061184154457881824},
    };
    Service laws[3];
    assert_int_equal(service_deterministic(1, &laws[0], NULL), 0);
    assert_int_equal(service_erlang(1, 3, &laws[1], NULL), 0);
    assert_int_equal(service_hyperexponential(0.9, (double[2]){0.5, 5.5}, &laws[2], NULL), 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        Station s;
        StationLoad load = {.rate = rows[i].rate, .service = &laws[rows[i].law]};
        assert_int_equal(station_mg1(&load, &s, NULL), 0);
        // The wait of M/D/1 has a kink at each service time, which costs the inversion digits.
        double tolerance = rows[i].law == 0 ? 1e-4 : 2e-8;
        if (!isnan(rows[i].wait_tail)) {
            near_to("wait tail", station_wait_tail(&s, rows[i].at), rows[i].wait_tail, tolerance);
        }
        if (!isnan(rows[i].tail)) {
            near_to("tail", station_tail(&s, rows[i].at), rows[i].tail, tolerance);
            near_to("quantile", station_tail(&s, station_quantile(&s, 0.9)), 0.1, tolerance);
        }
    }
}

// Exponential service through the machinery of M/G/1 is M/M/1; and P-K's means: M/D/1 queues half
// as long as M/M/1. The probability that M/G/1 is empty is 1 - rho whatever the law.
static void test_mg1_means(void **state)
{
    (void)state;
    Service m = exponential(1);
    Service d;
    Service logn;
    assert_int_equal(service_deterministic(1, &d, NULL), 0);
    assert_int_equal(service_lognormal(1, 0.8, &logn, NULL), 0);
    for (double rho = 0.05; rho < 1; rho += 0.05) {
        Station s;
        assert_int_equal(station_mg1(&(StationLoad){.rate = rho, .service = &m}, &s, NULL), 0);
        near_to("tail", station_tail(&s, 1.5), exp(-(1 - rho) * 1.5), 1e-7);
        near_to("Lq", s.in_queue, rho * rho / (1 - rho), 1e-12 * s.in_queue);
        assert_int_equal(station_mg1(&(StationLoad){.rate = rho, .service = &d}, &s, NULL), 0);
        near_to("Lq", s.in_queue, rho * rho / (1 - rho) / 2, 1e-12 * s.in_queue);
        near_to("empty", 1 - s.wait_probability, 1 - rho, 1e-15);
        assert_int_equal(station_mg1(&(StationLoad){.rate = rho, .service = &logn}, &s, NULL), 0);
        near_to("Lq", s.in_queue, rho * rho / (1 - rho) * exp(0.64) / 2, 1e-12 * s.in_queue);
    }
    // The inverted distribution's mean is the formula's: trapezoids under the tail.
    Station s;
    assert_int_equal(station_mg1(&(StationLoad){.rate = 0.6, .service = &logn}, &s, NULL), 0);
    double mean = 0.05 / 2;
    for (int i = 1; i < 800; i++) {
        mean += 0.05 * station_tail(&s, 0.05 * i);
    }
    RELATIVE(mean, s.response_s, 2e-3);
}

// Coffman, Muntz, Trotter 1970: mean 1 / (mu - lambda), variance mean^2 (2 + rho) / (2 - rho).
static void test_sharing(void **state)
{
    (void)state;
    for (double rho = 0.3; rho < 1; rho += 0.3) {
        Station s;
        assert_int_equal(
            station_sharing(&(StationLoad){.rate = rho, .service_s = 1, .servers = 1}, &s, NULL),
            0);
        RELATIVE(s.response_s, 1 / (1 - rho), 1e-12);
        double step = s.response_s / 40;
        double mean = step / 2;
        double second = 0;
        for (int i = 1; i < 40 * 40; i++) {
            double tail = station_tail(&s, i * step);
            mean += step * tail;
            second += 2 * step * step * i * tail;
        }
        RELATIVE(mean, s.response_s, 1e-3);
        RELATIVE(second - mean * mean, mean * mean * (2 + rho) / (2 - rho), 5e-3);
    }
    // Insensitive: the mean does not ask for the law.
    Service h;
    assert_int_equal(service_two_moments(1, 9, &h, NULL), 0);
    Station a;
    Station b;
    assert_int_equal(
        station_sharing(&(StationLoad){.rate = 2, .servers = 3, .service = &h}, &a, NULL), 0);
    assert_int_equal(station_mmc(&(StationLoad){.rate = 2, .servers = 3, .service_s = 1}, &b, NULL),
                     0);
    RELATIVE(a.response_s, b.response_s, 1e-14);
    near_to("stretched", station_tail(&a, station_quantile(&a, 0.9)), 0.1, 1e-9);
}

// Bolch et al., asymmetric M/M/m with rates 10, 15, 20, 20, 25 and lambda 73: utilisation 0.81 and
// 6.5278 inside by the book's approximation, which is M/M/5 of the mean rate. The exact values are
// the 32 states' balance equations solved by mpmath.
static void test_asymmetric(void **state)
{
    (void)state;
    static const double rates[] = {10, 15, 20, 20, 25};
    Station s;
    assert_int_equal(
        station_mmc(&(StationLoad){.rate = 73, .service_s = 5.0 / 90, .servers = 5}, &s, NULL), 0);
    near_to("book utilisation", s.utilisation, 0.81, 0.005);
    near_to("book inside", s.in_system, 6.5278, 5e-5);
    assert_int_equal(station_asymmetric(73, rates, 5, &s, NULL), 0);
    near_to("inside", s.in_system, 6.614742966512335, 1e-10);
    near_to("waiting", s.in_queue, 2.515162129922985, 1e-10);
    static const double equal[] = {2, 2, 2};
    Station m;
    assert_int_equal(station_asymmetric(5, equal, 3, &s, NULL), 0);
    assert_int_equal(
        station_mmc(&(StationLoad){.rate = 5, .service_s = 0.5, .servers = 3}, &m, NULL), 0);
    RELATIVE(s.in_system, m.in_system, 1e-13);
    RELATIVE(s.wait_probability, m.wait_probability, 1e-13);
    RELATIVE(s.utilisation, m.utilisation, 1e-13);
}

// Cobham 1954 for M/M/1, two classes of 0.3 and 0.5: W1 = 0.8 / 0.7, W2 = 0.8 / (0.7 * 0.2); with
// preemption the first class does not see the second. M/M/2, one class, is M/M/2.
static void test_priorities(void **state)
{
    (void)state;
    StationLoad loads[2] = {{.rate = 0.3, .service_s = 1, .servers = 1},
                            {.rate = 0.5, .service_s = 1, .servers = 1}};
    Station s[2];
    assert_int_equal(station_priorities(PRIORITY_WAITS, loads, 2, s, NULL), 0);
    RELATIVE(s[0].wait_s, 0.8 / 0.7, 1e-14);
    RELATIVE(s[1].wait_s, 0.8 / (0.7 * 0.2), 1e-14);
    // Kleinrock's conservation law: sum rho W = rho W0 / (1 - rho) with W0 = sum rho.
    RELATIVE(0.3 * s[0].wait_s + 0.5 * s[1].wait_s, 0.8 * 0.8 / 0.2, 1e-14);
    assert_int_equal(station_priorities(PRIORITY_PREEMPTS, loads, 2, s, NULL), 0);
    RELATIVE(s[0].response_s, 1 / 0.7, 1e-14);
    RELATIVE(s[1].response_s, 1 / (0.7 * 0.2), 1e-14);
    RELATIVE(s[0].in_system + s[1].in_system, 0.8 / 0.2, 1e-13); // work conserving, one law
    RELATIVE(station_quantile(&s[0], 0.99), -log(0.01) / 0.7, 1e-10);
    StationLoad two = {.rate = 1.5, .service_s = 1, .servers = 2};
    Station m;
    assert_int_equal(station_priorities(PRIORITY_WAITS, &two, 1, s, NULL), 0);
    assert_int_equal(station_mmc(&two, &m, NULL), 0);
    RELATIVE(s[0].wait_s, m.wait_s, 1e-13);
}

// Falin and Templeton: N_orbit = rho (lambda + rho nu) / (nu (1 - rho)); by the balance equations
// of 400 orbit sizes (mpmath) the same. Instant retries are M/M/1.
static void test_retrial(void **state)
{
    (void)state;
    Station s;
    assert_int_equal(
        station_retrial(&(StationLoad){.rate = 0.6, .service_s = 1, .retry_s = 2}, &s, NULL), 0);
    RELATIVE(s.in_queue, 0.6 * (0.6 + 0.6 * 0.5) / (0.5 * 0.4), 1e-14);
    RELATIVE(s.in_queue, 2.7, 1e-10);
    assert_int_equal(
        station_retrial(&(StationLoad){.rate = 0.6, .service_s = 1, .retry_s = 1e-9}, &s, NULL), 0);
    RELATIVE(s.in_queue, 0.9, 1e-8);
    assert_true(isnan(station_quantile(&s, 0.5)));
}

// Allen-Cunneen is P-K for one server and Poisson arrivals. Whitt's corrections vanish there, give
// Kraemer and Langenbach-Belz's factor for D/M/1, and meet M/D/m's known waits: exact Lq of M/D/c
// at c = 5, rho = 0.8 and c = 10, rho = 0.9 by the embedded chain, mpmath; the paper claims
// percents.
static void test_ggc(void **state)
{
    (void)state;
    Station a;
    Station b;
    for (double rho = 0.1; rho < 1; rho += 0.1) {
        StationLoad load = {
            .rate = rho, .service_s = 1, .servers = 1, .arrival_scv = 1, .service_scv = 2.5};
        Service h;
        assert_int_equal(service_two_moments(1, 2.5, &h, NULL), 0);
        assert_int_equal(station_ggc(&load, &a, NULL), 0);
        load.service = &h;
        assert_int_equal(station_mg1(&load, &b, NULL), 0);
        RELATIVE(a.wait_s, b.wait_s, 1e-13);
        assert_int_equal(station_gg1(&load, &a, NULL), 0);
        RELATIVE(a.wait_s, b.wait_s, 1e-13);
        StationLoad dm1 = {
            .rate = rho, .service_s = 1, .servers = 1, .arrival_scv = 0, .service_scv = 1};
        assert_int_equal(station_ggc(&dm1, &a, NULL), 0);
        RELATIVE(a.wait_s, rho / (1 - rho) / 2 * exp(-2 * (1 - rho) / (3 * rho)), 1e-13);
        StationLoad mmc = {
            .rate = 7 * rho, .service_s = 1, .servers = 7, .arrival_scv = 1, .service_scv = 1};
        assert_int_equal(station_ggc(&mmc, &a, NULL), 0);
        assert_int_equal(station_mmc(&mmc, &b, NULL), 0);
        RELATIVE(a.wait_s, b.wait_s, 1e-13);
        RELATIVE(station_quantile(&a, 0.99), station_quantile(&b, 0.99), 1e-12);
        assert_true(a.exact);
    }
    static const double mdc[][3] = {{5, 0.8, 1.156240029046672}, {10, 0.9, 3.1012384533975665}};
    for (size_t i = 0; i < COUNT_OF(mdc); i++) {
        StationLoad load = {
            .rate = mdc[i][0] * mdc[i][1], .service_s = 1, .servers = mdc[i][0], .arrival_scv = 1};
        assert_int_equal(station_ggc(&load, &a, NULL), 0);
        RELATIVE(a.in_queue, mdc[i][2], 0.02);
    }
}

// Nothing varies, nobody waits.
static void test_clockwork(void **state)
{
    (void)state;
    StationLoad load = {.rate = 3.9, .service_s = 1, .servers = 4};
    Station s;
    assert_int_equal(station_ggc(&load, &s, NULL), 0);
    assert_true(s.wait_s == 0 && s.wait_probability == 0);
    assert_true(station_quantile(&s, 0.99) == 1);
    assert_true(station_tail(&s, 0.999) == 1 && station_tail(&s, 1) == 0);
}

static void test_unstable(void **state)
{
    (void)state;
    Err e = {0};
    Station s;
    StationLoad load = {
        .rate = 3.2, .service_s = 0.9, .servers = 2, .arrival_scv = 1, .service_scv = 1};
    assert_int_equal(station_mmc(&load, &s, &e), ERR_UNSTABLE);
    assert_non_null(strstr(e.text, "rho 1.44"));
    assert_non_null(strstr(e.text, "stable below 2.22222 requests/s"));
    assert_non_null(strstr(e.text, "more than 2.88 servers"));
    assert_non_null(strstr(e.text, "below 0.625 s"));
    assert_int_equal(station_ggc(&load, &s, &e), ERR_UNSTABLE);
    assert_int_equal(station_sharing(&load, &s, &e), ERR_UNSTABLE);
    load.rate = 2 / 0.9;
    assert_int_equal(station_ggc_allen_cunneen(&load, &s, &e), ERR_UNSTABLE); // rho = 1 exactly
    Service m = exponential(2);
    assert_int_equal(station_mg1(&(StationLoad){.rate = 0.5, .service = &m}, &s, &e), ERR_UNSTABLE);
    assert_int_equal(
        station_retrial(&(StationLoad){.rate = 2, .service_s = 1, .retry_s = 1}, &s, &e),
        ERR_UNSTABLE);
    static const double rates[] = {1, 2};
    assert_int_equal(station_asymmetric(3, rates, 2, &s, &e), ERR_UNSTABLE);
    StationLoad classes[2] = {{.rate = 0.6, .service_s = 1, .servers = 1},
                              {.rate = 0.5, .service_s = 1, .servers = 1}};
    Station both[2];
    assert_int_equal(station_priorities(PRIORITY_WAITS, classes, 2, both, &e), ERR_UNSTABLE);
    assert_non_null(strstr(e.text, "class 1"));
    assert_non_null(strstr(e.text, "below 0.4 requests/s"));
    // What loses or sheds is always stable.
    load.room = 10;
    load.patience_s = 1;
    load.rate = 1e6;
    assert_int_equal(station_mmck(&load, &s, &e), 0);
    RELATIVE(s.throughput, 2 / 0.9, 1e-5);
    assert_int_equal(station_erlang_a(&load, &s, &e), 0);
    RELATIVE(s.throughput, 2 / 0.9, 1e-9);
    RELATIVE(s.in_queue, 1e6 - 2 / 0.9, 1e-6);
}

static void test_refused(void **state)
{
    (void)state;
    static const double bad[] = {0, -1, NAN, INFINITY};
    Station s;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        double x = bad[i];
        StationLoad rows[] = {
            {.rate = x,
             .service_s = 1,
             .servers = 2,
             .room = 5,
             .patience_s = 1,
             .retry_s = 1,
             .arrival_scv = 1},
            {.rate = 0.5,
             .service_s = x,
             .servers = 2,
             .room = 5,
             .patience_s = 1,
             .retry_s = 1,
             .arrival_scv = 1},
        };
        for (size_t k = 0; k < COUNT_OF(rows); k++) {
            assert_int_equal(station_mmc(&rows[k], &s, NULL), ERR_ARG);
            assert_int_equal(station_mmck(&rows[k], &s, NULL), ERR_ARG);
            assert_int_equal(station_erlang_a(&rows[k], &s, NULL), ERR_ARG);
            assert_int_equal(station_mg1(&rows[k], &s, NULL), ERR_ARG);
            assert_int_equal(station_sharing(&rows[k], &s, NULL), ERR_ARG);
            assert_int_equal(station_ggc(&rows[k], &s, NULL), ERR_ARG);
            assert_int_equal(station_gg1(&rows[k], &s, NULL), ERR_ARG);
            assert_int_equal(station_retrial(&rows[k], &s, NULL), ERR_ARG);
            assert_int_equal(station_unlimited(&rows[k], &s, NULL), ERR_ARG);
        }
        StationLoad servers = {
            .rate = 0.5, .service_s = 1, .servers = x, .room = 5, .patience_s = 1};
        assert_int_equal(station_mmc(&servers, &s, NULL), ERR_ARG);
        assert_int_equal(station_mmck(&servers, &s, NULL), ERR_ARG);
        assert_int_equal(station_erlang_a(&servers, &s, NULL), ERR_ARG);
        assert_int_equal(station_priorities(PRIORITY_WAITS, &servers, 1, &s, NULL), ERR_ARG);
        StationLoad other = {.rate = 0.5,
                             .service_s = 1,
                             .servers = 1,
                             .room = x,
                             .patience_s = x,
                             .retry_s = x,
                             .arrival_scv = x - 1};
        assert_int_equal(station_mmck(&other, &s, NULL), ERR_ARG);
        assert_int_equal(station_erlang_a(&other, &s, NULL), ERR_ARG);
        assert_int_equal(station_retrial(&other, &s, NULL), ERR_ARG);
        assert_int_equal(station_ggc(&other, &s, NULL), ERR_ARG);
        assert_int_equal(station_asymmetric(x, (double[1]){1}, 1, &s, NULL), ERR_ARG);
        assert_int_equal(station_asymmetric(1, &x, 1, &s, NULL), ERR_ARG);
    }
    StationLoad load = {
        .rate = 0.5, .service_s = 1, .servers = STATION_SERVERS_MAX * 1.001, .room = 5};
    assert_int_equal(station_mmc(&load, &s, NULL), ERR_ARG);
    load.servers = 2.5;
    assert_int_equal(station_mmck(&load, &s, NULL), ERR_ARG);
    load.servers = 6;
    assert_int_equal(station_mmck(&load, &s, NULL), ERR_ARG);
    load.servers = 1;
    load.room = STATION_ROOM_MAX + 1.0;
    assert_int_equal(station_mmck(&load, &s, NULL), ERR_ARG);
    assert_int_equal(station_priorities(PRIORITY_WAITS, &load, 0, &s, NULL), ERR_ARG);
    assert_int_equal(station_priorities(PRIORITY_WAITS, &load, STATION_CLASSES_MAX + 1, &s, NULL),
                     ERR_ARG);
    assert_int_equal(station_asymmetric(1, &load.rate, STATION_SHARES_MAX + 1, &s, NULL), ERR_ARG);
    load.servers = 3;
    assert_int_equal(station_priorities(PRIORITY_PREEMPTS, &load, 1, &s, NULL), ERR_UNSUPPORTED);
    assert_int_equal(station_mmc(&load, &s, NULL), 0);
    assert_true(isnan(station_quantile(&s, 0)) && isnan(station_quantile(&s, 1)));
    assert_true(isnan(station_quantile(&s, NAN)) && isnan(station_tail(&s, -1)));
}

// The ends of what is promised: rho next to 1, 1e5 servers, a room of 1e6.
static void test_extremes(void **state)
{
    (void)state;
    Station s;
    double eps = 1e-9;
    StationLoad load = {
        .rate = 1 - eps, .service_s = 1, .servers = 1, .arrival_scv = 1, .service_scv = 1};
    assert_int_equal(station_ggc(&load, &s, NULL), 0);
    RELATIVE(s.in_system, 1 / eps, 1e-6);
    RELATIVE(station_quantile(&s, 0.5), M_LN2 / eps, 1e-6);
    load = (StationLoad){
        .rate = 99900, .service_s = 1, .servers = 1e5, .arrival_scv = 1.5, .service_scv = 0.3};
    assert_int_equal(station_ggc(&load, &s, NULL), 0);
    assert_true(s.wait_s > 0 && s.wait_probability > 0.3 && s.wait_probability < 1);
    load = (StationLoad){.rate = 2, .service_s = 1, .servers = 1, .room = 1e6};
    assert_int_equal(station_mmck(&load, &s, NULL), 0);
    RELATIVE(s.block_probability, 0.5, 1e-12);
    RELATIVE(s.in_system, 1e6 - 1, 1e-9);
    load.room = STATION_ROOM_MAX;
    Station full;
    assert_int_equal(station_mmck(&load, &full, NULL), 0);
    RELATIVE(full.in_system, STATION_ROOM_MAX - 1.0, 1e-9);
    // Nearly a fixed time: a million services of one second, deviation a thousand.
    RELATIVE(station_quantile(&s, 0.5), 1e6, 1e-4);
    load = (StationLoad){.rate = 1.2e5, .service_s = 1, .servers = 1e5, .patience_s = 1e3};
    assert_int_equal(station_erlang_a(&load, &s, NULL), 0);
    RELATIVE(s.in_queue, 2e4 * 1e3, 1e-3);
    RELATIVE(s.abandon_probability, 1.0 / 6, 1e-3);
}

// As many classes and servers as may be.
static void test_most(void **state)
{
    (void)state;
    static StationLoad loads[STATION_CLASSES_MAX];
    static Station stations[STATION_CLASSES_MAX];
    for (size_t i = 0; i < STATION_CLASSES_MAX; i++) {
        loads[i] = (StationLoad){.rate = 0.9 / STATION_CLASSES_MAX, .service_s = 1, .servers = 1};
    }
    assert_int_equal(station_priorities(PRIORITY_WAITS, loads, STATION_CLASSES_MAX, stations, NULL),
                     0);
    double inside = 0;
    for (size_t i = 0; i < STATION_CLASSES_MAX; i++) {
        inside += stations[i].in_system;
    }
    RELATIVE(inside, 9.0, 1e-12); // of M/M/1: who goes first does not change how many there are
    double rates[STATION_SHARES_MAX];
    for (size_t i = 0; i < STATION_SHARES_MAX; i++) {
        rates[i] = 1;
    }
    Station s;
    Station m;
    StationLoad load = {.rate = 480, .service_s = 1, .servers = STATION_SHARES_MAX};
    assert_int_equal(station_asymmetric(480, rates, STATION_SHARES_MAX, &s, NULL), 0);
    assert_int_equal(station_mmc(&load, &m, NULL), 0);
    RELATIVE(s.in_queue, m.in_queue, 1e-9);
    load = (StationLoad){.rate = 9e5, .service_s = 1, .servers = STATION_SERVERS_MAX};
    assert_int_equal(station_mmc(&load, &m, NULL), 0);
}

static double between(Rng *r, double low, double high)
{
    return exp(log(low) + rng_double(r) * log(high / low));
}

static void check_station(const Station *s, const char *what)
{
    near_to(what, s->in_system, s->rate * (1 - s->block_probability) * s->response_s,
            1e-9 * s->in_system);
    near_to(what, s->in_queue, s->rate * (1 - s->block_probability) * s->wait_s,
            1e-9 * s->in_system);
    const double shares[] = {s->block_probability, s->abandon_probability, s->wait_probability,
                             s->servers > 0 ? s->utilisation : 0};
    for (size_t i = 0; i < COUNT_OF(shares); i++) {
        assert_true(shares[i] >= 0 && shares[i] <= 1 + 1e-12);
    }
    near_to(what, s->throughput,
            s->rate * (1 - s->block_probability) * (1 - s->abandon_probability), 1e-9 * s->rate);
    if (s->law == LAW_UNKNOWN) {
        return;
    }
    double before = 1;
    for (double t = 0.1; t < 10; t *= 2.3) {
        double tail = station_tail(s, t * s->response_s);
        assert_true(tail >= 0 && tail <= before + 1e-7);
        before = tail;
    }
    double p50 = station_quantile(s, 0.5);
    double p99 = station_quantile(s, 0.99);
    assert_true(p50 > 0 && p99 >= p50 && isfinite(p99));
    near_to(what, station_tail(s, p99 * (1 + 1e-7)), 0.01,
            s->service.kind == SERVICE_DETERMINISTIC ? 0.01 : 1e-6);
}

// Random stations: Little's law, probabilities, tails that fall, quantiles that invert them, waits
// that grow with the load, and each limit that turns one formula into another.
static void test_properties(void **state)
{
    (void)state;
    Rng r = rng_stream(20261121, SLICE("queueing"), 0);
    for (int round = 0; round < 400; round++) {
        double servers = floor(between(&r, 1, 300));
        double rho = rng_double(&r) * 0.995 + 0.002;
        StationLoad load = {.service_s = between(&r, 1e-4, 1e3), .servers = servers};
        load.rate = rho * servers / load.service_s;
        load.arrival_scv = rng_double(&r) * 4;
        load.service_scv = between(&r, 0.01, 10);
        load.room = servers + floor(between(&r, 1, 200)) - 1;
        load.patience_s = load.service_s * between(&r, 0.05, 50);
        Station s;
        Station more;
        Station other;
        assert_int_equal(station_mmc(&load, &s, NULL), 0);
        check_station(&s, "M/M/c");
        assert_int_equal(station_mmck(&load, &other, NULL), 0);
        check_station(&other, "M/M/c/K");
        assert_true(other.in_queue <= s.in_queue * (1 + 1e-9));
        assert_int_equal(station_erlang_a(&load, &other, NULL), 0);
        check_station(&other, "Erlang A");
        assert_true(other.in_queue <= s.in_queue * (1 + 1e-9));
        assert_int_equal(station_ggc(&load, &other, NULL), 0);
        check_station(&other, "G/G/c");
        StationLoad higher = load;
        higher.rate *= 1 + (1 - rho) / 2;
        assert_int_equal(station_mmc(&higher, &more, NULL), 0);
        assert_true(more.wait_s >= s.wait_s);
        assert_int_equal(station_ggc(&higher, &more, NULL), 0);
        assert_true(more.wait_s >= other.wait_s * (1 - 1e-9));
        // K to infinity and patience to infinity give M/M/c.
        if (rho < 0.9) {
            load.room = servers + 2000;
            load.patience_s = load.service_s * 1e9;
            assert_int_equal(station_mmck(&load, &other, NULL), 0);
            RELATIVE(other.wait_s, s.wait_s, 1e-9);
            assert_int_equal(station_erlang_a(&load, &other, NULL), 0);
            near_to("patient", other.wait_s, s.wait_s, 1e-6 * s.wait_s + 1e-12);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mm1_jain),      cmocka_unit_test(test_mmc_distribution),
        cmocka_unit_test(test_mmc_published), cmocka_unit_test(test_mm1k_balanced),
        cmocka_unit_test(test_mmck),          cmocka_unit_test(test_erlang_a_published),
        cmocka_unit_test(test_erlang_a),      cmocka_unit_test(test_mg1_distribution),
        cmocka_unit_test(test_mg1_means),     cmocka_unit_test(test_sharing),
        cmocka_unit_test(test_asymmetric),    cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_retrial),       cmocka_unit_test(test_ggc),
        cmocka_unit_test(test_clockwork),     cmocka_unit_test(test_unstable),
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_most),          cmocka_unit_test(test_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
