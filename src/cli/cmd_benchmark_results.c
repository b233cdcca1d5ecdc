// benchmark compare, benchmark import: results of other people's benchmark programs, side by side
// and into the ledger.
#include <errno.h>
#include <sys/stat.h>

#include "cli/benchmark_results.h"
#include "cli/commands.h"
#include "os/clock.h"

static Slice last_piece(const char *path)
{
    Slice all = slice_from_cstr(path);
    size_t n = all.len;
    while (n > 0 && all.ptr[n - 1] != '/') {
        n--;
    }
    // A path that ends in a slash names a directory.
    return n == all.len ? all : slice_sub(all, n, all.len);
}

// A file or directory; else a run of the ledger that has such results.
static int load_any(App *app, const OptionSet *set, Arena *arena, const char *what,
                    const HarnessOptions *options, HarnessResults **ret_results, Err *e)
{
    struct stat st;
    if (stat(what, &st) == 0) {
        return harness_load(arena, what, options, ret_results, e);
    }
    int why = errno;
    Ledger *ledger = NULL;
    Err none = {0};
    int rc = app_open_ledger(app, set, true, &ledger, &none);
    rc = rc == 0 ? harness_recall(ledger, slice_from_cstr(what), arena, ret_results, &none) : rc;
    ledger_close(ledger);
    return rc == 0 ? 0
                   : err_errno(e, ERR_NOT_FOUND, why,
                               "%s is no run with benchmark results, and no file", what);
}

// ---- benchmark compare

static int run_benchmark_compare(App *app, const OptionSet *set, Err *e)
{
    size_t count = option_positional_count(set);
    if (count > BENCH_COLUMNS_MAX) {
        return err_set(e, ERR_ARG, "at most %d results are compared", BENCH_COLUMNS_MAX);
    }
    Arena *arena = arena_create(RESULTS_ARENA_BYTES);
    HarnessOptions options = {0};
    BenchColumn columns[BENCH_COLUMNS_MAX];
    BenchTables *tables = NULL;
    int rc = results_kind(set, &options, e);
    for (size_t i = 0; i < count && rc == 0; i++) {
        const char *path = arena_cstr(arena, option_positional(set, i));
        HarnessResults *results = NULL;
        if ((rc = load_any(app, set, arena, path, &options, &results, e)) == 0) {
            columns[i] = (BenchColumn){arena_cstr(arena, last_piece(path)), results};
            results_say_failures(app, columns[i].name, results);
        }
    }
    BenchTableOptions table = {.alpha = option_float(set, "alpha")};
    rc = rc == 0 ? bench_table_make(arena, columns, count, &table, &tables, e) : rc;
    rc = rc == 0 ? results_finish(app, set, tables) : rc;
    arena_destroy(arena);
    return rc;
}

static const Positional COMPARE_ARGS[] = {
    {"OLD", "Results: a file, criterion's or BenchmarkDotNet's directory, or a run of the ledger.",
     false, false},
    {"NEW", "The same, compared with OLD; up to seven.", true, true}};
static const Option COMPARE_OPTIONS[] = {
    OPTION_HARNESS,
    OPTION_HIGHER,
    {.name = "alpha",
     .kind = OPTION_FLOAT,
     .min = 1e-6,
     .max = 0.5,
     .default_text = "0.05",
     .help = "Below this p a difference is shown; else \"~\"."},
    OPTION_GATE,
    OPTION_JSON,
    OPTION_LEDGER,
};
static const Example COMPARE_EXAMPLES[] = {
    {"perfwright benchmark compare old.txt new.txt", "go test -bench -count 10 of two versions."},
    {"perfwright benchmark compare --gate 5 base.json head.json", "Fail what is 5 % worse."},
    {"perfwright benchmark compare target/criterion", "One set alone: medians and their spread."},
};
static const Verb COMPARE_VERB = {
    .name = "benchmark compare",
    .summary = "tables of benchmark results side by side",
    .description =
        "Medians with their confidence interval at 95 %, the change against the first column, and "
        "the p-value of Mann and Whitney's test, as benchstat prints them. Results that were taken "
        "one after the other differ by what the machine did meanwhile too; `benchmark A --vs B` "
        "and `benchmark --harness ... --vs` take them in random order.",
    OPTION_TABLE(COMPARE_OPTIONS),
    POSITIONAL_TABLE(COMPARE_ARGS),
    EXAMPLE_TABLE(COMPARE_EXAMPLES)};
const Command CMD_BENCHMARK_COMPARE = {&COMPARE_VERB, run_benchmark_compare, false};

// ---- benchmark import

static int run_benchmark_import(App *app, const OptionSet *set, Err *e)
{
    Arena *arena = arena_create(RESULTS_ARENA_BYTES);
    HarnessOptions options = {0};
    HarnessResults *results = NULL;
    Ledger *ledger = NULL;
    const char *path = arena_cstr(arena, option_positional(set, 0));
    Slice name = option_string(set, "name");
    int rc = results_kind(set, &options, e);
    rc = rc == 0 ? harness_load(arena, path, &options, &results, e) : rc;
    rc = rc == 0 ? app_open_ledger(app, set, false, &ledger, e) : rc;
    if (rc == 0) {
        HarnessStore about = {.name = name.len > 0 ? name : last_piece(path),
                              .source = slice_from_cstr(path),
                              .started_unix_ns = clock_wall(clock_real())};
        results_say_failures(app, path, results);
        rc = results_store(app, set, ledger, results, &about, false, e);
    }
    ledger_close(ledger);
    arena_destroy(arena);
    return rc;
}

static const Positional IMPORT_ARGS[] = {
    {"FILE", "Results: a file, or criterion's or BenchmarkDotNet's directory.", false, false}};
static const Option IMPORT_OPTIONS[] = {
    OPTION_HARNESS,
    OPTION_HIGHER,
    {.name = "name",
     .kind = OPTION_STRING,
     .metavar = "TEXT",
     .help = "Of the run; without it the file's."},
    {.name = "label",
     .kind = OPTION_STRING,
     .repeat = true,
     .metavar = "KEY=VALUE",
     .section = "Ledger",
     .help = "Kept with the run."},
    OPTION_JSON,
    OPTION_LEDGER,
};
static const Example IMPORT_EXAMPLES[] = {
    {"perfwright benchmark import --label commit=$(git rev-parse HEAD) bench.json",
     "Keep what a benchmark wrote; prints the run's id."},
};
static const Verb IMPORT_VERB = {
    .name = "benchmark import",
    .summary = "take results of a benchmark program into the ledger",
    .description = "The run can be compared later: perfwright benchmark compare latest~1 latest.",
    OPTION_TABLE(IMPORT_OPTIONS),
    POSITIONAL_TABLE(IMPORT_ARGS),
    EXAMPLE_TABLE(IMPORT_EXAMPLES)};
const Command CMD_BENCHMARK_IMPORT = {&IMPORT_VERB, run_benchmark_import, false};
