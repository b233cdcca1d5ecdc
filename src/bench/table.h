// Benchmarks side by side, as benchstat prints them: for each unit a table with a row a benchmark
// and a column a file; medians with their confidence interval, the change against the first column
// with the p-value of Mann and Whitney's test, "~" where it is not significant, geometric means.
//
//     BenchColumn columns[] = {{"old", old}, {"new", new}};
//     rc = bench_table_make(arena, columns, 2, NULL, &tables, e);
//     bench_tables_print(tables, &out);
//
// Figures are those of golang.org/x/perf/cmd/benchstat with its defaults (docs/internals/
// harness.md says what was compared). A result of which only a summary is known counts as one
// sample. A comparison of separate runs shows differences between runs, also where the machine
// made them: for a verdict use bench/ab.h.
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include "base/json_write.h"
#include "bench/harness.h"
#include "stat/interval.h"

enum { BENCH_COLUMNS_MAX = 8 };

typedef struct BenchColumn {
    const char *name; // of the file or side
    const HarnessResults *results;
} BenchColumn;

typedef struct BenchCell {
    size_t n; // samples; 0: the column does not have the benchmark
    double center;
    Interval interval; // of the median; infinite with fewer than 6 samples
    double p;          // against the first column; NAN where one of the two is missing
    bool significant;
    bool all_equal; // both sides have one and the same value
} BenchCell;

typedef struct BenchRow {
    const HarnessResult *result; // of the first column that has it
    Slice label;
    BenchCell cells[BENCH_COLUMNS_MAX];
} BenchRow;

typedef struct BenchTable {
    Slice package;
    Slice unit;
    bool higher_better;
    BenchRow *rows;
    size_t count;
    double geomean[BENCH_COLUMNS_MAX]; // of centers; NAN where one is not above 0
    double change[BENCH_COLUMNS_MAX];  // geomean of the ratios to the first column; NAN
} BenchTable;

typedef struct BenchTables {
    const char *names[BENCH_COLUMNS_MAX];
    size_t columns;
    BenchTable *items;
    size_t count;
    double alpha;
    Slice goos, goarch, cpu;
} BenchTables;

typedef struct BenchTableOptions {
    double alpha;      // 0: 0.05
    double confidence; // 0: 0.95
} BenchTableOptions;

// 1 to BENCH_COLUMNS_MAX columns. ERR_ARG; ERR_NOT_FOUND when none has a result.
MUST_USE int bench_table_make(Arena *arena, const BenchColumn *columns, size_t count,
                              const BenchTableOptions *options, BenchTables **ret_tables, Err *e);

void bench_tables_print(const BenchTables *tables, Buf *out);
void bench_tables_write(const BenchTables *tables, JsonWriter *w);

typedef struct BenchChanges {
    size_t better, worse, same; // rows of two-sided data by significance and direction
} BenchChanges;
// Column `column` against the first.
BenchChanges bench_tables_changes(const BenchTables *tables, size_t column);

// ---- for tests, and for whoever prints one number

// "1.718µ", "208.0", "1.500Ki": at least four digits that mean something, scaled by 1000, or by
// 1024 for `binary`. `smallest` chooses the scale, so that a row has one.
void bench_value_format(double value, double smallest, bool binary, Buf *out);
// Median with the interval of order statistics that has at least `confidence`.
Interval bench_median_interval(const double *sorted, size_t n, double confidence);

#endif
