// What one run on the runtime will show: predicted by simulation, for runs of this length.
//
//     rc = live_lateness(&(LiveLateness){.seed = 1, .scale = 25, .seconds = 5}, &late, e);
//     rc = live_predict(arena, sys, &options, late, values, &count, e);   // value, low, high
//     rc = live_run(arena, sys, ..., &run, e);
//     live_values(sys, run.outcome, seen);                                // observed, same order
//
// docs/internals/live-plant.md says why so. With n replications the k-th smallest and the k-th
// largest enclose a further run's value with probability (n + 1 - 2 k) / (n + 1), whatever its
// distribution; what a sleep of the runtime is late by is measured, and thirds of the replications
// have its low end, its value and its high end.
#ifndef BENCH_MODEL_LIVE_PREDICT_H
#define BENCH_MODEL_LIVE_PREDICT_H

#include "model/sim.h"

enum { LIVE_VALUES_MAX = 64, LIVE_THIRDS = 3 };
#define LIVE_CONFIDENCE 0.9

typedef enum LiveMeasure {
    LIVE_P50,
    LIVE_P99,
    LIVE_GOODPUT,
    LIVE_ATTEMPTS, // a second, of an edge
    LIVE_MEASURES
} LiveMeasure;
extern const char *const LIVE_MEASURE_NAMES[LIVE_MEASURES + 1];

typedef struct LiveValue {
    LiveMeasure measure;
    char name[2 * SYSTEM_NAME_MAX + 4]; // of the client or edge
    double observed, value, low, high;
} LiveValue;

typedef struct LivePredictOptions {
    uint64_t seed;
    uint32_t replications; // rounded down to a multiple of three
    int64_t horizon_ns, warmup_ns;
} LivePredictOptions;

// Seconds of the System's time that the runtime takes longer over 50 ms of work.
MUST_USE int live_lateness(uint64_t seed, double scale, double seconds, Estimate *ret_late_s,
                           Err *e);
// p50, p99 and goodput of every client, attempts of every edge; `observed` only.
size_t live_values(const System *sys, const Outcome *o, LiveValue ret[LIVE_VALUES_MAX]);
// The same with value, low and high.
MUST_USE int live_predict(Arena *arena, const System *sys, const LivePredictOptions *options,
                          Estimate late, LiveValue ret[LIVE_VALUES_MAX], size_t *ret_count, Err *e);

#endif
