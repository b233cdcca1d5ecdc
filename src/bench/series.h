// The samples of one command, what they come to, and how others read them: hyperfine's JSON, CSV
// and Markdown (github.com/sharkdp/hyperfine, 1.18), which many tools take in.
#ifndef BENCH_SERIES_H
#define BENCH_SERIES_H

#include "base/arena.h"
#include "base/json_write.h"
#include "bench/sample.h"

enum { BENCH_SERIES_SAMPLES_MAX = 100000, BENCH_PARAMETERS_MAX = 8 };

typedef struct BenchParameter {
    Slice name;
    Slice value;
} BenchParameter;

typedef struct BenchSeries {
    Slice name;    // what --name says, else the command
    Slice command; // with its parameters filled in
    BenchParameter parameters[BENCH_PARAMETERS_MAX];
    size_t parameter_count;
    BenchSample *samples; // in the order they were taken
    size_t count;
    bool failures_counted; // --ignore-failure: samples of any exit code are measurements
} BenchSeries;

typedef struct BenchStats { // seconds; NAN without values
    size_t count;
    double mean, deviation, median, min, max;
    double user_s, system_s; // means
    double rss;          // median, bytes
    size_t failed;       // samples that are no measurement
} BenchStats;

BenchStats bench_series_stats(const BenchSeries *series);
// The wall times that count, in order; returns how many. `ret_seconds` has room for all samples.
size_t bench_series_times(const BenchSeries *series, double *ret_seconds);

void bench_series_write_json(const BenchSeries *series, size_t count, JsonWriter *w);
void bench_series_write_csv(const BenchSeries *series, size_t count, Buf *out);
void bench_series_write_markdown(const BenchSeries *series, size_t count, Buf *out);

// One sample as a member of "samples": everything that was measured.
void bench_sample_write(const BenchSample *sample, JsonWriter *w);

#endif
