// Queueing: one service station in steady state, answered by formula.
//
// Every function takes a StationLoad, of which each reads the fields that it names, and fills a
// Station: means that satisfy Little's law exactly, probabilities, and the distribution of the time
// in the station, which station_tail and station_quantile evaluate when asked.
//
//     StationLoad load = {.rate = 16, .service_s = 0.9, .servers = 18};
//     Station s;
//     int rc = station_mmc(&load, &s, e);       // ERR_UNSTABLE: e->text says what would make it
//     stable double p99_s = station_quantile(&s, 0.99);
//
// What is not in steady state has no mean: a station whose queue would grow without end is
// ERR_UNSTABLE with the reason, never infinity. Numbers that are not finite or not above zero are
// ERR_ARG. Times are seconds, rates per second. Pure functions, any thread; nothing is allocated.
// docs/internals/queueing.md has each formula with its source and what it costs.
#ifndef MODEL_QUEUEING_H
#define MODEL_QUEUEING_H

#include <stdbool.h>

#include "model/service.h"

enum {
    STATION_ROOM_MAX = 10000000,
    STATION_CLASSES_MAX = 64, // of priorities
    STATION_SHARES_MAX = 500  // servers of different speeds
};
#define STATION_SERVERS_MAX 1e6

typedef struct StationLoad {
    double rate;            // offered arrivals a second
    double service_s;       // mean service time; not read where `service` is
    double servers;         // may be fractional but for M/M/c/K
    double room;            // M/M/c/K: waiting and in service, whole, >= servers
    double patience_s;      // Erlang A: mean time after which one who waits leaves
    double retry_s;         // retrial: mean time until one who found it busy tries again
    double arrival_scv;     // G/G/.: of the gaps between arrivals, 1 for Poisson; 0 for a clock
    double service_scv;     // G/G/.: where there is no `service`
    const Service *service; // M/G/., and optional for G/G/.: the law itself; copied
} StationLoad;

typedef enum StationLaw {
    LAW_UNKNOWN,          // means only
    LAW_EXPONENTIAL_WAIT, // an atom at zero and an exponential tail, then the service
    LAW_TRANSFORM,        // M/G/1: by numerical inversion
    LAW_SHARING,          // M/M/1 processor sharing: likewise
    LAW_STRETCHED,        // the service time times mean response / mean service
    LAW_FINITE_ROOM,      // M/M/c/K
    LAW_IMPATIENT,        // Erlang A
} StationLaw;

typedef struct Station {
    double rate;                // offered
    double servers;             // 0: without limit
    double utilisation;         // of a server, 0..1; without limit: servers busy on average
    double throughput;          // served a second
    double in_system;           // L
    double in_queue;            // Lq
    double response_s;          // W = L / admitted rate: blocked arrivals are not part of it
    double wait_s;              // Wq = Lq / admitted rate; Erlang A: also of those who leave
    double wait_probability;    // that an admitted arrival has to wait
    double block_probability;   // that an arrival is turned away
    double abandon_probability; // that an admitted one leaves unserved
    bool exact;                 // the formula is no approximation, nor is its distribution
    StationLaw law;
    double decay; // EXPONENTIAL_WAIT: P(wait > t) = wait_probability * exp(-decay t)
    double room;
    double patience_s;
    Service service;
} Station;

// M/M/c: Erlang C; the sojourn distribution is exact. rate, service_s, servers.
MUST_USE int station_mmc(const StationLoad *load, Station *ret_station, Err *e);
// M/M/c/K: at most `room` inside, more are turned away; always stable. rate, service_s, servers (a
// whole number), room.
MUST_USE int station_mmck(const StationLoad *load, Station *ret_station, Err *e);
// M/M/c+M, Erlang A: one who has waited an exponential time of mean patience_s leaves. Always
// stable. The distribution is that of those who are served. rate, service_s, servers, patience_s.
MUST_USE int station_erlang_a(const StationLoad *load, Station *ret_station, Err *e);
// M/G/inf: no queue. rate and service (or service_s: exponential).
MUST_USE int station_unlimited(const StationLoad *load, Station *ret_station, Err *e);
// M/G/1, Pollaczek and Khinchine; exact. rate, service.
MUST_USE int station_mg1(const StationLoad *load, Station *ret_station, Err *e);
// Processor sharing by `servers` whole servers; the mean depends on the service only through its
// mean, so it is that of M/M/c. The distribution is exact for one server and exponential service,
// otherwise the service time stretched by the mean slowdown. rate, servers, service (or service_s).
MUST_USE int station_sharing(const StationLoad *load, Station *ret_station, Err *e);
// G/G/1, Kingman's heavy-traffic formula: rho / (1 - rho) * (ca^2 + cs^2) / 2 service times; its
// mean is exact for Poisson arrivals. rate, arrival_scv, service (or service_s and service_scv).
MUST_USE int station_gg1(const StationLoad *load, Station *ret_station, Err *e);
// G/G/c, Allen and Cunneen: (ca^2 + cs^2) / 2 times the wait of M/M/c. Fields as above, and
// servers.
MUST_USE int station_ggc_allen_cunneen(const StationLoad *load, Station *ret_station, Err *e);
// G/G/c with Whitt's corrections of 1993, the best of the approximations; M/M/c where both scv
// are 1. A query with two quantiles takes under a microsecond without `service` at tens of servers.
MUST_USE int station_ggc(const StationLoad *load, Station *ret_station, Err *e);
// M/M/1 where one who finds it busy comes back after an exponential time of mean retry_s (Falin and
// Templeton): in_queue is the orbit. Means only. rate, service_s, retry_s.
MUST_USE int station_retrial(const StationLoad *load, Station *ret_station, Err *e);
// M servers of different speeds, an arrival takes a free one at random: exact for `count`
// exponential servers of the given rates, means only. count <= STATION_SHARES_MAX.
MUST_USE int station_asymmetric(double rate, const double *service_rates, size_t count,
                                Station *ret_station, Err *e);

typedef enum PriorityKind {
    PRIORITY_WAITS,   // non-preemptive, Cobham: M/G/1, or M/M/c with one service time for all
    PRIORITY_PREEMPTS // preemptive resume, M/G/1
} PriorityKind;

// `loads[0]` is served first. One Station a class: rate and service (or service_s) of each, servers
// of the first; the distributions take the conditional wait as exponential. More urgent classes may
// be stable when later ones are not: ERR_UNSTABLE then names the first that is not.
// count <= STATION_CLASSES_MAX.
MUST_USE int station_priorities(PriorityKind kind, const StationLoad *loads, size_t count,
                                Station *ret_stations, Err *e);

// P(time in the station > t) for t >= 0, of those that are served; NAN where the law is unknown.
double station_tail(const Station *s, double t);
// P(wait > t) likewise.
double station_wait_tail(const Station *s, double t);
// Smallest t with P(time in the station <= t) >= p, 0 < p < 1; NAN likewise.
double station_quantile(const Station *s, double p);
double station_wait_quantile(const Station *s, double p);

#endif
