// Fixpoint: where load that makes itself comes to rest. Failed attempts are tried again, which is
// more load, which makes more of them fail: the offered rate is a fixed point of
//
//     rate = fresh * (1 + f + f^2 + ... + f^(attempts - 1)),    f = P(an attempt fails at that
//     rate)
//
// f grows with the rate, so the map is monotone: iterated from the fresh rate it climbs to the
// least fixed point, from fresh * attempts it falls to the greatest. Where the two differ the
// system is bistable: it runs well until a spike carries it past `tipping`, and then stays down.
//
//     RetryLoad load = {.rate = 16, .attempts = 4, .timeout_s = 3, .station = &my_station};
//     RetryAnswer a;
//     rc = retry_solve(&load, &a, e);
//     if (a.bistable) ...   // a.low what it does now, a.high what it does after a spike
//
// Pure; any thread.
#ifndef MODEL_FIXPOINT_H
#define MODEL_FIXPOINT_H

#include <stdbool.h>

#include "model/queueing.h"

enum { RETRY_ATTEMPTS_MAX = 1000 };

// y = map(x). A failure ends the search and comes back as it is.
typedef int FixpointMap(const void *context, double x, double *ret_y, Err *e);

typedef struct FixpointPair {
    double low, high; // least and greatest fixed point within the bounds
    double tipping;   // the one between them that repels; NAN where there is none
    bool bistable;
} FixpointPair;

// Fixed points of a map that does not fall, from bounds[0] upwards and bounds[1] downwards: needs
// map(bounds[0]) >= bounds[0] and map(bounds[1]) <= bounds[1], else ERR_ARG. Next to a tangency,
// where plain iteration creeps, steps are extrapolated (Aitken); the answer is right to about 1e-9.
MUST_USE int fixpoint_solve(FixpointMap *map, const void *context, const double bounds[2],
                            FixpointPair *ret_pair, Err *e);

// A station at an offered rate of attempts. Its share of failures: an attempt fails when it is
// turned away, leaves, or takes longer than the timeout.
typedef int RetryStation(const void *context, double rate, Station *ret_station, Err *e);

typedef struct RetryLoad {
    double rate;           // fresh requests a second
    uint32_t attempts;     // in all, 1: no retries
    double timeout_s;      // of one attempt; INFINITY: none
    double fail;           // share of attempts that fail whatever the load
    RetryStation *station; // NULL: station_ggc of `load`, whose work nobody cancels
    const void *context;   // for `station`
    StationLoad load;      // where `station` is NULL; its rate is not read
} RetryLoad;

typedef struct RetryPoint {
    double rate;     // attempts a second that the station gets
    double fail;     // share of attempts that fail
    double goodput;  // share of fresh requests that end well
    double attempts; // mean attempts a request
    bool stable;     // the station has a steady state; otherwise every attempt times out in the end
    Station station; // where stable
} RetryPoint;

typedef struct RetryAnswer {
    RetryPoint low, high; // equal where there is one fixed point
    double tipping;       // attempts a second beyond which `low` is lost for `high`; NAN
    bool bistable;
} RetryAnswer;

MUST_USE int retry_solve(const RetryLoad *load, RetryAnswer *ret_answer, Err *e);

#endif
