// Results of other people's benchmark programs, read into one model: a benchmark has a name, a
// metric, a unit, a direction, and either its samples or what its program said of them.
//
//     HarnessOptions options = {.source = path};                  // kind: by its content
//     rc = harness_read(arena, text, &options, &results, e);
//     for (size_t i = 0; i < results->count; i++) { ... results->items[i].samples ... }
//
// Units are made canonical by exact factors: times are "sec/op", rates "ops/s", sizes "B", speeds
// "B/s"; what is not known keeps its spelling (harness_unit.h, docs/internals/harness.md).
//
// A benchmark that failed is in `failures`, never among the items: an error, a non-zero exit code,
// a time of 0 or below, or a value that is no number is no measurement.
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json_write.h"

typedef enum HarnessKind {
    HARNESS_AUTO,      // reading: tell by the content
    HARNESS_GOOGLE,    // Google Benchmark, JSON
    HARNESS_GO,        // go test -bench, text
    HARNESS_CRITERION, // a sample.json below target/criterion, or that directory
    HARNESS_PYTEST,    // pytest-benchmark, JSON
    HARNESS_JMH,       // -rf json
    HARNESS_DOTNET,    // BenchmarkDotNet, JSON exporter
    HARNESS_VITEST,    // vitest bench --outputJson; tinybench's tasks as JSON
    HARNESS_HYPERFINE, // --export-json
    HARNESS_CUSTOM,    // [{"name","unit","value"}]: customSmallerIsBetter, customBiggerIsBetter
    HARNESS_METRIC,    // lines "METRIC name=value"
    HARNESS_BENCHER,   // lines "test NAME ... bench: 1,234 ns/iter (+/- 56)"
    HARNESS_CATCH2,    // the console table
    HARNESS_OWN,       // harness_write
    HARNESS_KINDS,
} HarnessKind;
extern const char *const HARNESS_NAMES[HARNESS_KINDS + 1]; // "auto", "google", "go", ..., NULL

enum {
    HARNESS_BYTES_MAX = 64 << 20, // of one text
    HARNESS_RESULTS_MAX = 10000,
    HARNESS_SAMPLES_MAX = 500000, // of all results together
    HARNESS_FAILURES_MAX = 1000,
    HARNESS_TEXT_MAX = 1000, // bytes of a name, a package, parameters; longer ones are cut
    HARNESS_FILES_MAX = 10000,
};

typedef struct HarnessResult {
    Slice name;    // "Encode/size=10", "test_sum[10]"
    Slice package; // Go package, Java class, test file; may be empty
    Slice params;  // "n=1, mode=fast", where the harness says them apart from the name
    Slice metric;  // "time", "cpu", "bytes", "allocs", ...: what of it was measured
    Slice unit;    // canonical
    bool higher_better;
    int procs; // GOMAXPROCS behind the name ("-8"); 0: not said
    // In the order they were taken; NULL where the program only gave a summary.
    const double *samples;
    size_t count;
    // Of the samples, or as the program said them: the mean (the median where it says one), the
    // standard deviation (NAN: not said) and the number they were made of (0: not said).
    double mean, sd;
    int64_t n;
} HarnessResult;

typedef struct HarnessFailure {
    Slice name;
    Slice why;
} HarnessFailure;

typedef struct HarnessResults {
    HarnessKind kind;
    HarnessResult *items; // in order of first appearance
    size_t count;
    HarnessFailure *failures;
    size_t failure_count; // up to HARNESS_FAILURES_MAX are kept
    Slice goos, goarch, cpu;
} HarnessResults;

typedef struct HarnessOptions {
    HarnessKind kind;
    const char *source; // for messages; NULL: "input"
    Slice name;         // HARNESS_CRITERION: of the benchmark, which its file does not say
    bool higher_better; // HARNESS_CUSTOM and HARNESS_METRIC: for units that do not tell
} HarnessOptions;

// The kind by its name, also as steps.yaml and the programs themselves spell it
// ("google-benchmark", "pytest-benchmark", "tinybench"); HARNESS_AUTO when it is none of them.
HarnessKind harness_kind_parse(Slice name);

// What the text looks like; HARNESS_AUTO when it looks like none of them.
HarnessKind harness_sniff(Slice text);

// Reads one text; everything lives in the arena. ERR_PARSE with the place, ERR_LIMIT; ERR_NOT_FOUND
// when it holds no result and no failure.
MUST_USE int harness_read(Arena *arena, Slice text, const HarnessOptions *options,
                          HarnessResults **ret_results, Err *e);
// The same from a file, or from a directory: all of criterion's new/sample.json below it, or all of
// BenchmarkDotNet's reports.
MUST_USE int harness_load(Arena *arena, const char *path, const HarnessOptions *options,
                          HarnessResults **ret_results, Err *e);

// All of it as one object, which harness_read takes back: what the ledger keeps.
void harness_write(const HarnessResults *results, JsonWriter *w);

// The one number of a result: the median of its samples, else what its program said.
double harness_result_center(const HarnessResult *result);
// Same benchmark, metric and unit; so their numbers can be compared.
bool harness_result_same(const HarnessResult *a, const HarnessResult *b);
// NULL when `results` has no such one.
const HarnessResult *harness_result_find(const HarnessResults *results, const HarnessResult *like);

// One list out of those of several invocations: each gives one sample, its center, to every
// benchmark it has. This is how the outer loop is ours. `count` of at least 1.
MUST_USE int harness_results_merge(Arena *arena, const HarnessResults *const *lists, size_t count,
                                   HarnessResults **ret_results, Err *e);

// "Encode/size=10-8", "test_sum[10] (cpu)": the name with what tells it from its neighbours.
void harness_result_label(const HarnessResult *result, Buf *out);

#endif
