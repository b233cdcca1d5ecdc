// The generator's own health: was the measuring side the bottleneck?
//
// Once a second every thread of the engine adds a reading; at the end health_judge() decides
// whether the numbers of the run may carry a verdict. A run past a limit is INVALID: not bad, not
// good, simply no evidence. docs/internals/health.md gives the reason for each constant.
#ifndef LOAD_HEALTH_H
#define LOAD_HEALTH_H

#include "base/arena.h"
#include "base/json_write.h"
#include "os/host.h"

// Open model: the 95th percentile of the timer's lateness may be this long, since p95 is what
// verdicts rest on (a late 99th percentile is a warning) ...
#define HEALTH_LATENESS_NS INT64_C(1000000)
// ... or this share of the median http_req_duration, whichever is more.
#define HEALTH_LATENESS_SHARE 0.10
// Open model: share of the due iterations that the generator itself may drop.
#define HEALTH_DROPPED_SHARE 0.001
// Closed model: a thread that uses this much of its CPU is saturated ...
#define HEALTH_THREAD_CPU 0.95
// ... and may be so in this share of the seconds.
#define HEALTH_SATURATED_SHARE 0.50
// Mean share of the machine's time that the hypervisor may give to others.
#define HEALTH_STEAL_SHARE 0.10
// Mean share of the time that a cgroup quota may keep the process off the CPU.
#define HEALTH_THROTTLED_SHARE 0.05
// Warnings, not verdicts.
#define HEALTH_STEAL_WARN        0.02
#define HEALTH_MACHINE_BUSY_WARN 0.95

enum { HEALTH_WARNINGS_MAX = 16 };

struct HealthSamples;

typedef struct HealthReport {
    bool valid;
    Slice reason; // one sentence when not valid
    Slice warnings[HEALTH_WARNINGS_MAX];
    size_t warning_count;
    int64_t seconds; // readings, of all threads together
    int threads;
    bool open_model;
    bool unanswered;           // requests were made and not one byte came back
    int64_t due;               // open model: iterations that were due
    int64_t dropped_generator; // dropped because the generator was too late
    double lateness_p50_ns;    // of the timer; NaN without arrivals
    double lateness_p95_ns;
    double lateness_p99_ns;
    double lateness_max_ns;
    double duration_p50_ns; // http_req_duration; NaN without requests
    double thread_cpu_mean; // 0..1
    double thread_cpu_max;
    int64_t saturated_seconds;
    double machine_busy_mean;
    double steal_mean;
    double steal_max;
    double throttled_mean; // NaN: no quota
    uint64_t slow_runs;    // fibers that held their loop for 5 ms and more
    int64_t slow_max_ns;
    int64_t rss_peak_bytes;
    int64_t involuntary_switches;
    int64_t fd_limit;
    uint64_t series_overflows;
    const struct HealthSamples *samples; // the engine's; NULL: none
} HealthReport;

// Readings by interval for the charts, as far as they go: two hours of seconds.
enum { HEALTH_SAMPLES_MAX = 7200 };

typedef struct HealthSamples {
    float *cpu;   // the busiest thread, 0..1
    float *steal; //
    size_t count;
} HealthSamples;

// Sums of the readings.
typedef struct HealthTotals {
    int64_t seconds;
    int64_t saturated_seconds;
    double thread_cpu_sum, thread_cpu_max;
    int64_t machine_readings;
    double machine_busy_sum, steal_sum, steal_max, throttled_sum;
    int64_t throttled_readings;
    int64_t rss_peak_bytes;
    int64_t involuntary_first, involuntary_last;
    double last_steal;
    HealthSamples samples;
} HealthTotals;

// One thread's second: `cpu` 0..1 of a CPU.
void health_add_thread(HealthTotals *t, double cpu);
// The machine's second, from one thread only.
void health_add_machine(HealthTotals *t, const HostLoad *before, const HostLoad *after);
// The reading of interval `index`; gaps before it count as quiet.
void health_add_sample(HealthTotals *t, int64_t index, double cpu);
void health_done(HealthTotals *t);
// Fills what the totals know; the caller sets the rest of *report first.
void health_fill(const HealthTotals *t, HealthReport *report);
// Sets valid, reason and warnings from the figures. Texts go to the arena.
void health_judge(HealthReport *report, Arena *arena);
// One object; members as in docs/internals/health.md.
void health_write(JsonWriter *w, const HealthReport *report);

// What to warn of before a run: limits of this machine that `connections` open at once and
// `requests_per_second` new connections a second may hit.
size_t health_preflight(const HostInfo *host, int64_t connections, Slice *ret_warnings, size_t max,
                        Arena *arena);

#endif
