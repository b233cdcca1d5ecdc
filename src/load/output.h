// Outputs: where a run's points go beside the ledger, named as k6 names them on the command line.
//
//     json[=FILE|-][.gz]         k6's JSON lines
//     csv[=FILE|-][.gz][,timeFormat=...][,saveInterval=...]
//     prometheus[=URL]           remote write; also "experimental-prometheus-rw", as in k6
//
//     Output *out;
//     rc = output_open(SLICE("json=points.json.gz"), &options, &out, e);
//     output_start(out, &run);
//     output_interval(out, &interval);      // once a second, from the collector's thread
//     rc = output_stop(out, &report, e);    // waits for what is left, a few seconds; frees
//
// None of them blocks the collector: files are written, and receivers talked to, by a thread of the
// output's own behind a bounded queue, and what does not fit is dropped and counted. k6 writes a
// line a sample; these write a few lines a series and second: docs/guide/outputs.md.
#ifndef LOAD_OUTPUT_H
#define LOAD_OUTPUT_H

#include "base/arena.h"
#include "base/err.h"
#include "telemetry/point.h"

typedef struct Output Output;

typedef struct OutputOptions {
    char *(*get_env)(const char *name); // getenv; NULL: no environment
    // Where queues of unreachable receivers live; made when missing. Needed by prometheus.
    const char *spool_directory;
    int64_t flush_ns; // how long output_stop waits for a receiver; 0: 5 s
} OutputOptions;

typedef struct OutputRun {
    Slice id;
    Slice name;
    int64_t interval_ns;
} OutputRun;

typedef struct OutputInterval {
    int64_t index;
    int64_t unix_ns;          // when the interval ended
    const SeriesInfo *series; // by id, all that points name
    size_t series_count;
    const Point *points;
    size_t count;
} OutputInterval;

// What became of it, for the summary.
typedef struct OutputReport {
    int64_t points;    // written, or taken by the receiver
    int64_t dropped;   // did not fit the queue, or refused by the receiver for good
    int64_t waiting;   // on disk, to be sent by the next run to the same receiver
    char warning[256]; // a sentence when something was dropped or waits; else empty
} OutputReport;

// ERR_ARG for a name or option that is not there, ERR_IO, ERR_NOT_FOUND.
MUST_USE int output_open(Slice spec, const OutputOptions *options, Output **ret_output, Err *e);
void output_start(Output *output, const OutputRun *run);
void output_interval(Output *output, const OutputInterval *interval);
// Frees the output whatever it returns. ERR_IO, ERR_FULL when a file could not be written.
MUST_USE int output_stop(Output *output, OutputReport *ret_report, Err *e);

// ---- for implementations

typedef struct OutputOps {
    void (*start)(Output *output, const OutputRun *run);
    void (*interval)(Output *output, const OutputInterval *interval);
    int (*stop)(Output *output, OutputReport *ret_report, Err *e);
} OutputOps;

struct Output {
    const OutputOps *ops;
};

// One number of a point, under the name k6 gives that aggregation.
typedef struct OutputStat {
    const char *name; // "count", "rate", "value", "avg", "p(95)"
    double value;     // times in milliseconds
} OutputStat;

enum { OUTPUT_STATS_MAX = 8 };

// Returns how many; 0 for a point in which nothing happened.
size_t output_stats(const SeriesInfo *series, const Point *point,
                    OutputStat ret_stats[OUTPUT_STATS_MAX]);

MUST_USE int output_json_open(Slice argument, const OutputOptions *options, Output **ret_output,
                              Err *e);
MUST_USE int output_csv_open(Slice argument, const OutputOptions *options, Output **ret_output,
                             Err *e);
MUST_USE int output_prometheus_open(Slice argument, const OutputOptions *options,
                                    Output **ret_output, Err *e);

#endif
