// Sim: what a System does, found by running it: the policy code itself in virtual time
// (policy/virtual.h), over several replications in parallel.
//
//     SimResult *result;
//     rc = sim_run(arena, sys, &(SimOptions){.seed = 7, .horizon_ns = 900 * NS_PER_SECOND,
//                                            .warmup_ns = 300 * NS_PER_SECOND}, &result, e);
//     result->outcome->clients[0].p99       estimate with its interval
//     result->runs[r].outcome               what one replication came to
//     result->runs[r].windows               its course over time
//
// What is measured: requests offered between `warmup_ns` and `horizon_ns`, with rates and means
// over the same time. Arrivals go on behind the horizon until those requests are answered, but not
// for longer than the grace (a quarter of the horizon, or twice the longest `within` promised);
// what is not answered then counts as failed, and failures as infinitely slow.
//
// Intervals: over replications by Student's t, which are independent; of a single replication from
// 20 sections of its time, merged until neighbours are no longer correlated (batch means). A
// quantile is the mean of the replications' quantiles; with some of them infinite the interval ends
// at infinity and the value is their median.
//
// Equal systems, options and seeds give equal results, whatever the number of threads. Two
// candidates with one seed meet the same arrivals, durations and faults, request by request (common
// random numbers), so compare them pairwise: model/sim_compare.h does.
//
// Call it from any thread that may block; it runs its own.
#ifndef MODEL_SIM_H
#define MODEL_SIM_H

#include "model/outcome.h"

enum {
    SIM_REPLICATIONS_DEFAULT = 5,
    SIM_REPLICATIONS_MAX = 10000,
    SIM_WINDOWS_MAX = 4096, // of one replication; they get longer where there would be more
    SIM_SECTIONS = 20,      // of a single replication
    SIM_CONTROL_RUNS = 8,   // from so many replications on the formula is a control variate
};
#define SIM_HORIZON_DEFAULT_NS (900 * NS_PER_SECOND)
#define SIM_WARMUP_DEFAULT_NS  (300 * NS_PER_SECOND) // at most a third of the horizon
#define SIM_WARMUP_NONE        (-1)
#define SIM_WARMUP_DETECT      (-2) // MSER-5 on a pilot run of its own

typedef struct SimOptions {
    uint64_t seed;
    int64_t horizon_ns;    // 0: the default
    int64_t warmup_ns;     // 0: the default; none; detect
    uint32_t replications; // 0: the default
    uint32_t first;        // number of the first replication: runs can be added later
    double confidence;     // of the intervals; 0: 0.9
    uint32_t threads;      // 0: one a CPU
    bool no_controls;      // no control variates
    bool settle;           // end a replication early when its outcome is settled, see SimRun
    uint32_t open_max;     // requests under way at most, then it has overflowed; 0: 1 << 20
    // On the calling thread, after each replication.
    void (*progress)(void *context, uint32_t done, uint32_t of);
    void *context;
} SimOptions;

// Requests by the window that they were offered in.
typedef struct SimWindow {
    uint32_t offered;
    uint32_t ok, good;    // answered well; and within the time promised
    uint32_t failed;      // answered with an error
    double latency_sum_s; // of those answered well
} SimWindow;

typedef struct SimAgentWindow {
    float waiting, busy, servers; // means
} SimAgentWindow;

typedef enum SimEnd {
    SIM_ENDED,      // came to the horizon
    SIM_OVERFLOWED, // so much was under way that it does not come back
    SIM_DIVERGED,   // `settle`: nothing good came for SIM_SETTLE_WINDOWS and more and more waits
    SIM_MISSED,     // `settle`: an objective can no longer be met with what is still to come
} SimEnd;

enum { SIM_SETTLE_WINDOWS = 6 };

typedef struct SimRun {
    uint32_t replication;
    SimEnd end;
    bool diverged;          // at its end nothing good came and ever more waited, or it overflowed
    int64_t ended_ns;       // the horizon, or when it was settled; then the outcome is of the
                            // last windows before
    const Outcome *outcome; // of this replication alone: low = value = high
    uint32_t window_count;  // filled
    SimWindow *windows;     // [window * clients + client]
    SimAgentWindow *agents; // [window * agents + agent]
    uint64_t events;
    double control; // minus its exact mean; NAN: none
    uint64_t luck;  // seed of its world
} SimRun;

typedef struct SimResult {
    Outcome *outcome;
    SimRun *runs;
    uint32_t run_count;
    int64_t horizon_ns, warmup_ns, window_ns;
    uint64_t events;
    // Variance of the mean latency of the client `control_client` without and with the formula as
    // control variate: their ratio. 1 where there was none.
    double control_factor;
    uint32_t control_client;
} SimResult;

// ERR_ARG: no client, or options out of range.
MUST_USE int sim_run(Arena *arena, const System *sys, const SimOptions *options,
                     SimResult **ret_result, Err *e);

// The value of every measure of every run, in the order of the Outcome's estimates: for tests that
// compare two results measure by measure.
size_t sim_measures(const System *sys);
const Estimate *sim_measure(const System *sys, const Outcome *outcome, size_t index);

#endif
