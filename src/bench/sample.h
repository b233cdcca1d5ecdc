// One sample: what one fresh process of a command cost.
#ifndef BENCH_SAMPLE_H
#define BENCH_SAMPLE_H

#include "base/slice.h"

typedef struct BenchSample {
    int64_t wall_ns; // from just before exec until the end was seen
    int64_t user_ns; // CPU time of the process and the children it waited for
    int64_t system_ns;
    int64_t rss_max_bytes; // of the largest single process
    int64_t read_bytes;    // from block devices; 0 where everything was in the page cache
    int64_t written_bytes;
    uint64_t instructions; // 0: the machine has no counter for them
    uint64_t faults_major;
    uint64_t switches; // voluntary and involuntary context switches
    int exit_code;     // 0..255, or -1 when a signal ended it
    int signal;        // that signal, else 0
    bool timed_out;    // killed at its deadline: this sample is no measurement
} BenchSample;

typedef enum BenchMetric {
    BENCH_WALL,
    BENCH_CPU, // user and system together
    BENCH_RSS,
    BENCH_INSTRUCTIONS,
    BENCH_IO, // read and written
    BENCH_METRICS,
} BenchMetric;
extern const char *const BENCH_METRIC_NAMES[BENCH_METRICS + 1]; // "wall", "cpu", ..., NULL

// In seconds, bytes or a count. NAN for what is no measurement: a sample that failed or timed out,
// a counter that the machine does not have.
double bench_sample_value(const BenchSample *sample, BenchMetric metric);

#endif
