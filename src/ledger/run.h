// A run: the unit of replication, of comparison and of storage. One load test, one benchmark.
//
// Writing: run_create() appends the run's first record and returns a RunWriter. The writer may be
// called from one thread (the loop); it copies what it is given, never blocks and never fails for
// want of a disk: records wait in a bounded queue and a job thread commits them about once a
// second, so a kill -9 loses at most the last two seconds. While the ledger cannot be written (full
// disk, read-only, locked) the records stay in memory and are written when possible; run_finish()
// reports what could not be.
//
// Reading: run_load() gives the whole run as one RunData, in one arena.
//
//     run_create(ledger, &info, &writer, e);
//     run_declare_series(writer, &series);           // before its first point
//     run_interval(writer, second, points, count);   // once a second
//     run_finish(writer, &end, e);                   // seals the run; frees the writer
#ifndef LEDGER_RUN_H
#define LEDGER_RUN_H

#include "base/doc.h"
#include "ledger/ledger.h"
#include "telemetry/point.h"

typedef enum RunStatus {
    RUN_RUNNING = 0,  // no end record yet, and its process lives
    RUN_COMPLETE = 1, // everything planned was done
    RUN_PARTIAL = 2,  // stopped early: signal, budget, crash; what ran is kept
    RUN_ABORTED = 3,  // stopped by a rule of the plan: abortOnFail, a guard rail's ceiling
    RUN_INVALID = 4,  // the generator was the bottleneck: no verdict may rest on it
} RunStatus;

Slice run_status_name(RunStatus status); // "complete", ...

enum {
    RUN_ID_LEN = 26,                   // a ULID: sorts by time, 128 bits, Crockford base 32
    RUN_DOCUMENT_BYTES_MAX = 4 << 20,  // of plan_json and the other JSON documents of a run
    RUN_ARTIFACT_BYTES_MAX = 16 << 20, // of one artifact
    RUN_HIST_BYTES = 32 << 20,         // of the decoded histograms of a loaded run, unless it
    RUN_POINTS_MIN = 64,               // would then have fewer points in time than these,
    RUN_HIST_BYTES_MAX = 256 << 20,    // and in any case
    RUN_QUEUE_BYTES_MAX = 64 << 20,    // of records that wait for the disk
};

typedef struct RunInfo {
    char id[RUN_ID_LEN + 1]; // filled in by run_create
    Slice kind;              // "loadtest"
    Slice name;              // of the plan
    Slice target;            // environment name and base URL: "staging http://127.0.0.1:8080"
    Slice group;             // runs made by one command with --runs share it; may be empty
    Slice plan_json;         // canonical form of the plan
    Slice plan_sha256;       // hex, of plan_json
    uint64_t seed;
    double load_scale;       // 1, or the share of the planned load a reduced retry ran at
    int64_t started_unix_ns; // wall clock
    int64_t interval_ns;     // length of one point, 1 s
    Labels labels;           // --label commit=...
    Slice environment_json;  // fingerprint of the generator's machine (os/host.h)
} RunInfo;

// How a run ended. The JSON documents are canonical objects; their members are described in
// docs/internals/ledger.md.
typedef struct RunEnd {
    RunStatus status;
    Slice reason;          // one sentence; empty for complete
    int64_t duration_ns;   // from the first intended start to the last completion
    Slice health_json;     // generator health: lateness, CPU share, steal, drops by cause, warnings
    Slice thresholds_json; // array: metric, labels, expression, value, ok
    Slice summary_json;    // engine's own totals: iterations, requests, bytes, cost, checks
} RunEnd;

typedef struct RunWriter RunWriter;

MUST_USE int run_create(Ledger *ledger, RunInfo *info, RunWriter **ret_writer, Err *e);
const RunInfo *run_writer_info(const RunWriter *writer);
void run_declare_series(RunWriter *writer, const SeriesInfo *series);
// What every changed series did in interval `index` (0-based). Intervals come in rising order;
// an interval without activity may be left out.
void run_interval(RunWriter *writer, int64_t index, const Point *points, size_t count);
// Something that happened: kind "log", "threshold", "budget", "stage", "retry"; `text` is one line.
void run_event(RunWriter *writer, int64_t at_ns, Slice kind, Slice text);
// Stores a file's bytes once under their SHA-256. `name` such as "report.html".
MUST_USE int run_artifact(RunWriter *writer, Slice name, Slice media_type, Slice bytes, Err *e);
// Waits for the queue (bounded by a few seconds when the disk fails), seals, frees the writer. On
// ERR_IO/ERR_FULL the run's numbers are still in the caller's hands: report them and say so.
MUST_USE int run_finish(RunWriter *writer, const RunEnd *end, Err *e);

typedef struct RunPoint {
    int64_t index; // interval number
    Point point;   // hist owned by the RunData's arena
} RunPoint;

typedef struct RunSeries {
    SeriesInfo info;
    const RunPoint *points; // rising index
    size_t point_count;
    Point total; // merge of all points; hist owned like theirs
} RunSeries;

typedef struct RunEvent {
    int64_t at_ns; // since the start
    Slice kind;
    Slice text;
} RunEvent;

typedef struct RunData {
    RunInfo info;
    RunEnd end;
    RunSeries *series;
    size_t series_count;
    int64_t interval_count; // highest index + 1
    // How many recorded intervals one point holds: 1, or a power of two where the histograms would
    // not fit into RUN_HIST_BYTES. info.interval_ns, indices and interval_count are of the points.
    int64_t merged;
    int64_t lost_intervals; // that did not reach the disk; the totals have them
    bool pruned;            // the points were dropped to save room, the totals are there
    RunEvent *events;
    size_t event_count;
    const Doc *plan;        // parsed plan_json; NULL for imported series
    const Doc *environment; // parsed
    const Doc *health;      // parsed
    const Doc *thresholds;  // parsed
    const Doc *summary;     // parsed
    Slice seal_hash;        // hex; empty while running
} RunData;

// The id of the run that `selector` means, in upper case. ERR_NOT_FOUND; ERR_CONFLICT for a prefix
// of several runs.
MUST_USE int run_resolve(Ledger *ledger, Slice selector, char ret_id[RUN_ID_LEN + 1], Err *e);

// `selector`: a run id, a unique prefix of at least 6 characters, "latest", "latest~2", or
// "label:commit=abc" (its newest run). "latest" counts what ran here, not what was imported from
// other tools. ERR_LIMIT when the arena is too small. Histograms are heap-owned: call
// run_data_done().
MUST_USE int run_load(Ledger *ledger, Slice selector, Arena *arena, RunData **ret_run, Err *e);
void run_data_done(RunData *run); // frees the histograms; the rest lives in the arena

// The first series of `metric` whose labels match `filter`, or NULL.
const RunSeries *run_series_find(const RunData *run, Slice metric, Labels filter);

// Quantile q of a metric over the whole run: of its histogram, failures counted as infinite, or for
// a run imported as numbers only the gauge whose label "stat" says "p95", "p99.9", ... False when
// the run does not say.
bool run_quantile(const RunData *run, Slice metric, Labels filter, double q, double *ret_value);

// ---- artifacts: files kept with a run, stored once under their SHA-256

typedef struct RunArtifact {
    Slice name;
    Slice media_type;
    Slice sha256; // hex
    int64_t bytes;
} RunArtifact;

// Adds one to a run that is sealed already, such as its report; a second one of that name hides the
// first.
MUST_USE int run_attach(Ledger *ledger, Slice selector, Slice name, Slice media_type, Slice bytes,
                        Err *e);
MUST_USE int run_artifacts(Ledger *ledger, Slice selector, Arena *arena, RunArtifact **ret_items,
                           size_t *ret_count, Err *e);
// Appends the bytes. ERR_NOT_FOUND, also when they were pruned; ERR_CORRUPT when they changed.
MUST_USE int run_artifact_read(Ledger *ledger, Slice selector, Slice name, Buf *out, Err *e);

// ---- taking runs elsewhere

enum { RUN_EXPORT_BYTES_MAX = 1 << 30 };

// Appends the whole run, artifacts included, as one JSON document (docs/internals/ledger.md).
// ERR_NOT_FOUND; ERR_CONFLICT for a run that has not ended.
MUST_USE int run_export(Ledger *ledger, Slice selector, Buf *out, Err *e);
// Takes such a document in, with its hashes. `source` names it in messages. ERR_EXISTS when the run
// is there, ERR_VERSION, ERR_PARSE, ERR_CORRUPT when a hash does not fit.
MUST_USE int run_import(Ledger *ledger, Slice json, const char *source, char ret_id[RUN_ID_LEN + 1],
                        Err *e);

typedef struct RunFilter {
    Slice kind;    // empty: any
    Slice name;    // plan name; empty: any
    Slice group;   // empty: any
    Labels labels; // all must be there
    int64_t limit; // newest first; 0: 100
} RunFilter;

typedef struct RunListItem {
    RunInfo info; // plan_json and environment_json left empty
    RunStatus status;
    Slice reason;
    int64_t duration_ns;
    int64_t requests;
} RunListItem;

MUST_USE int run_list(Ledger *ledger, const RunFilter *filter, Arena *arena,
                      RunListItem **ret_items, size_t *ret_count, Err *e);

#endif
