// Network bounds: a quick look at a candidate before anything dearer. Is every station stable, how
// much room is left, and about how long may a request of each client take at worst?
//
// The method is network calculus with numbers of traffic instead of promises of it
// (docs/internals/network-calculus.md, "screening"). A client's arrivals get the token bucket that
// they exceed with a small probability, a station the rate-latency of its servers and of its slow
// services, and the delays follow server by server. For one M/M/1 station the answer is the exact
// quantile; elsewhere it errs towards the slow side. A client whose burst is given, because a rate
// limiter enforces it, is bounded by that burst and no probability.
//
//     NetworkBounds b;
//     rc = network_bounds(&(NetworkLoad){stations, 4, clients, 2, .exceed = 0.01}, &b, e);
//     if (rc == ERR_UNSTABLE) { ... e->text says which station, and how many servers it takes ... }
//
// Nothing is allocated; a candidate of ten stations takes a few microseconds. Any thread. Times are
// seconds, rates a second.
#ifndef MODEL_NETWORK_BOUNDS_H
#define MODEL_NETWORK_BOUNDS_H

#include "base/err.h"
#include "base/slice.h"

enum { NETWORK_STATIONS_MAX = 64, NETWORK_CLIENTS_MAX = 32, NETWORK_VISITS_MAX = 512 };

typedef struct NetworkStation {
    Slice name;
    double servers;
    double service_s;      // mean
    double service_scv;    // squared coefficient of variation: 1 exponential, 0 fixed
    double service_slow_s; // quantile of 1 - exceed; >= service_s is usual, not needed
} NetworkStation;

// One station that a request visits. Visits of equal stage run side by side and are joined; stages
// ascend along the array. A station is in one stage of a client at most.
typedef struct NetworkVisit {
    int station;
    int stage;
    double visits; // a request makes there, one after the other, retries too
} NetworkVisit;

typedef struct NetworkClient {
    Slice name;
    double rate;       // requests a second
    double dispersion; // variance by mean of arrivals in long intervals: 1 Poisson, 0 clockwork
    double burst;      // enforced by a limiter, in requests; 0: derived from `dispersion`
    const NetworkVisit *visits;
    int visit_count;
} NetworkClient;

typedef struct NetworkLoad {
    const NetworkStation *stations;
    int station_count;
    const NetworkClient *clients;
    int client_count;
    double exceed; // 0 < exceed < 1
} NetworkLoad;

typedef struct NetworkBounds {
    double delay_s[NETWORK_CLIENTS_MAX];              // of a request, first stage to last
    double burst[NETWORK_CLIENTS_MAX];                // taken for the client's arrivals
    double station_delay_s[NETWORK_STATIONS_MAX];     // of one visit
    double station_backlog[NETWORK_STATIONS_MAX];     // requests there
    double station_utilisation[NETWORK_STATIONS_MAX]; // of a server, mean
    int bottleneck;                                   // station of the highest utilisation
    double headroom; // all rates could grow by this factor before the bottleneck is full; > 1
} NetworkBounds;

// ERR_ARG for numbers out of range and indices to nowhere, naming the place; ERR_UNSTABLE for a
// station that cannot serve what arrives; ERR_UNSUPPORTED for visits that go in a circle.
MUST_USE int network_bounds(const NetworkLoad *load, NetworkBounds *ret, Err *e);

#endif
