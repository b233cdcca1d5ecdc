// Open queueing networks: requests arrive from outside, go from station to station, also in
// circles, and leave.
//
//     OpenNetwork net = {.stations = 2, .classes = 1, .servers = (double[]){1, 4},
//                        .service_s = (double[]){0.02, 0.1}, .arrivals = (double[]){30, 0},
//                        .routing = (double[]){0, 0.5, 0.2, 0}};     // [from * stations + to]
//     OpenAnswer *answer;
//     rc = open_solve(arena, &net, OPEN_QNA, &answer, e);
//
// Matrices are [class * stations + station]; routing is [class][from][to], the rest of each row
// leaves. Times are seconds, rates per second. Pure; memory from the arena.
// docs/internals/queueing.md has the formulas.
#ifndef MODEL_OPEN_NETWORK_H
#define MODEL_OPEN_NETWORK_H

#include "base/arena.h"
#include "base/err.h"
#include "model/queueing.h"

enum { OPEN_STATIONS_MAX = 512, OPEN_CLASSES_MAX = 64 };

typedef enum OpenMethod {
    // Jackson's product form: every station is M/M/c on its own; exact for Poisson arrivals and
    // exponential service that is the same for all classes, or processor sharing by one server.
    OPEN_JACKSON,
    // Whitt's Queueing Network Analyzer: the variability of flows as well, by two moments.
    OPEN_QNA
} OpenMethod;

typedef struct OpenNetwork {
    uint32_t stations, classes;
    const double *servers;     // by station; 0: as many as needed
    const double *service_s;   // matrix: mean
    const double *service_scv; // matrix; NULL: 1. QNA only
    const double *arrivals;    // matrix: from outside
    const double *arrival_scv; // matrix; NULL: 1. QNA only
    const double *routing;     // probabilities; NULL: everybody leaves after one station
} OpenNetwork;

typedef struct OpenAnswer {
    double *rate;        // matrix: visits a second
    double *visit_s;     // matrix: mean time of one visit
    double *in_station;  // matrix: mean number
    double *response_s;  // by class: from outside to outside
    double *arrival_scv; // by station, of the flow into it; 1 by Jackson
    Station *station;    // by station, of all classes together: quantiles, utilisation
} OpenAnswer;

// ERR_ARG for numbers out of range, ERR_UNSTABLE naming the station that is overloaded, or the
// class whose requests never leave. A station that nobody visits has a Station of zeros.
MUST_USE int open_solve(Arena *arena, const OpenNetwork *net, OpenMethod method,
                        OpenAnswer **ret_answer, Err *e);

#endif
