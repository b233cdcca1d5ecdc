// What one run says about one endpoint: the numbers that comparisons are made of, one of each a
// run, because the run is the unit of replication.
#ifndef JUDGE_ENDPOINT_H
#define JUDGE_ENDPOINT_H

#include "judge/verdict.h"

typedef struct EndpointRun {
    double value[MEASURE_COUNT]; // times in ms, throughput per second, error rate 0..1; NaN: none
    // Standard error of the logarithm of the times as this one run shows it, over blocks of its
    // seconds; NaN unless asked for. Throughput and error rate have none.
    double error_log[MEASURE_COUNT];
    double df;
    double requests; // answered as expected
    Interval errors; // of the error rate, 95 %, at the effective sample size
    bool corrected;  // times count from the intended start
} EndpointRun;

typedef struct EndpointAsk {
    Slice endpoint; // label "name"; empty: all requests
    int64_t warmup_ns;
    bool with_errors; // compute error_log (a block bootstrap)
    uint64_t seed;
} EndpointAsk;

EndpointRun endpoint_measure(Arena *arena, const RunData *run, const EndpointAsk *ask);

enum { ENDPOINTS_MAX = 4096 }; // more in one comparison are left out, with a warning

// The endpoints of all the runs, each once, in order of first sight.
size_t endpoint_list(Arena *arena, const RunData *const *runs, size_t count, Slice **ret_names);
bool endpoint_exists(const RunData *run, Slice endpoint);

#endif
