// benchmark compare, import, harness: results of other people's benchmark programs, side by side,
// into the ledger, and with the outer loop ours.
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/utf8.h"
#include "bench/command.h"
#include "bench/harness_run.h"
#include "bench/harness_store.h"
#include "bench/table.h"
#include "cli/commands.h"
#include "load/session.h"
#include "os/clock.h"
#include "os/file.h"

enum { RESULTS_ARENA_BYTES = 1 << 30, ENVIRONMENT_BYTES = 64 << 10, ERROR_TAIL = 2000 };

// ---- shared

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

static int read_kind(const OptionSet *set, HarnessOptions *options, Err *e)
{
    Slice name = option_string(set, "harness");
    options->higher_better = option_flag(set, "higher-is-better");
    if (name.len == 0 || slice_eq(name, SLICE("auto"))) {
        return 0;
    }
    options->kind = harness_kind_parse(name);
    if (options->kind != HARNESS_AUTO) {
        return 0;
    }
    Slice names[HARNESS_KINDS];
    for (int k = 0; k < HARNESS_KINDS; k++) {
        names[k] = slice_from_cstr(HARNESS_NAMES[k]);
    }
    Slice nearest = slice_nearest(name, names, HARNESS_KINDS);
    return err_set(e, ERR_ARG,
                   "there is no harness \"%.*s\"%s%.*s; known are google, go, "
                   "criterion, pytest, jmh, benchmarkdotnet, vitest, hyperfine, "
                   "custom, metric, bencher, catch2",
                   SLICE_FMT(name), nearest.len > 0 ? "; did you mean " : "", SLICE_FMT(nearest));
}

static void say_failures(App *app, const char *name, const HarnessResults *results)
{
    for (size_t i = 0; i < results->failure_count && i < 10; i++) {
        Buf safe = buf_create(16 << 10);
        utf8_sanitise(&safe, results->failures[i].name);
        buf_puts(&safe, ": ");
        utf8_sanitise(&safe, results->failures[i].why);
        app_warn(app, "%s: %.*s", name, SLICE_FMT(buf_slice(&safe)));
        buf_done(&safe);
    }
    if (results->failure_count > 10) {
        app_warn(app, "%s: %zu more failed", name, results->failure_count - 10);
    }
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

// ---- the table and what it decides

static int print_tables(App *app, const OptionSet *set, const BenchTables *tables)
{
    if (option_flag(set, "json")) {
        JsonWriter w = json_writer(&app->out, 2);
        bench_tables_write(tables, &w);
        buf_putc(&app->out, '\n');
    } else {
        bench_tables_print(tables, &app->out);
    }
    return 0;
}

// Benchmarks that are worse by more than `limit`, with p below alpha over the number of tests
// (Bonferroni): among a hundred benchmarks of equal programs five have p < 0.05.
static size_t count_worse(App *app, const BenchTables *all, double limit)
{
    size_t tests = 0, worse = 0;
    for (size_t i = 0; i < all->count; i++) {
        tests += all->items[i].count * (all->columns - 1);
    }
    for (size_t i = 0; i < all->count; i++) {
        const BenchTable *t = &all->items[i];
        for (size_t k = 0; k < t->count; k++) {
            for (size_t c = 1; c < all->columns; c++) {
                const BenchCell *cell = &t->rows[k].cells[c], *base = &t->rows[k].cells[0];
                double ratio =
                    t->higher_better ? base->center / cell->center : cell->center / base->center;
                if (cell->n > 0 && base->n > 0 && ratio > 1 + limit &&
                    cell->p <= all->alpha / (double)tests) {
                    Buf safe = buf_create(16 << 10);
                    utf8_sanitise(&safe, t->rows[k].label);
                    app_say(app, "worse by %.1f%%: %.*s", (ratio - 1) * 100,
                            SLICE_FMT(buf_slice(&safe)));
                    buf_done(&safe);
                    worse++;
                }
            }
        }
    }
    return worse;
}

static int finish_comparison(App *app, const OptionSet *set, const BenchTables *tables)
{
    (void)print_tables(app, set, tables);
    if (!option_given(set, "gate")) {
        return EXIT_PASS;
    }
    return count_worse(app, tables, option_float(set, "gate") / 100) > 0 ? EXIT_REGRESSION
                                                                         : EXIT_PASS;
}

#define OPTION_HARNESS                                                                             \
    {                                                                                              \
        .name = "harness", .kind = OPTION_STRING, .metavar = "KIND", .default_text = "auto",       \
        .help = "What wrote the results: google, go, criterion, pytest, jmh, benchmarkdotnet, "    \
                "vitest, hyperfine, custom, metric, bencher, catch2; auto tells by the content."   \
    }
#define OPTION_HIGHER                                                                              \
    {                                                                                              \
        .name = "higher-is-better", .kind = OPTION_FLAG,                                           \
        .help = "For custom and metric results whose unit does not say it."                        \
    }
#define OPTION_GATE                                                                                \
    {                                                                                              \
        .name = "gate", .kind = OPTION_FLOAT, .metavar = "PERCENT", .min = 0, .max = 10000,        \
        .help = "Exit with 112 when a benchmark is worse by more than this and the difference is " \
                "significant, corrected for the number of benchmarks."                             \
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
    int rc = read_kind(set, &options, e);
    for (size_t i = 0; i < count && rc == 0; i++) {
        const char *path = arena_cstr(arena, option_positional(set, i));
        HarnessResults *results = NULL;
        if ((rc = load_any(app, set, arena, path, &options, &results, e)) == 0) {
            columns[i] = (BenchColumn){arena_cstr(arena, last_piece(path)), results};
            say_failures(app, columns[i].name, results);
        }
    }
    BenchTableOptions table = {.alpha = option_float(set, "alpha")};
    rc = rc == 0 ? bench_table_make(arena, columns, count, &table, &tables, e) : rc;
    rc = rc == 0 ? finish_comparison(app, set, tables) : rc;
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
        "and `benchmark harness --vs` take them in random order.",
    OPTION_TABLE(COMPARE_OPTIONS),
    POSITIONAL_TABLE(COMPARE_ARGS),
    EXAMPLE_TABLE(COMPARE_EXAMPLES)};
const Command CMD_BENCHMARK_COMPARE = {&COMPARE_VERB, run_benchmark_compare, false};

// ---- benchmark import

static int read_labels(const OptionSet *set, Arena *arena, Labels *ret_labels, Err *e)
{
    Label *items = ARENA_ARRAY(arena, Label, LABELS_MAX);
    size_t count = 0;
    for (const OptionValue *v = option_values(set, "label"); v; v = v->next) {
        if (count == LABELS_MAX ||
            !slice_cut(v->text, '=', &items[count].key, &items[count].value)) {
            return err_set(e, ERR_ARG, "--label wants KEY=VALUE, at most %d times", LABELS_MAX);
        }
        count++;
    }
    return labels_copy(arena, items, count, ret_labels, e);
}

// `own`: measured here, so the environment is this machine.
static int store(App *app, const OptionSet *set, Ledger *ledger, const HarnessResults *results,
                 HarnessStore *about, bool own, Err *e)
{
    char id[RUN_ID_LEN + 1];
    Buf environment = buf_create(ENVIRONMENT_BYTES);
    if (own) {
        session_environment(&environment, SLICE(PERFWRIGHT_VERSION));
        about->environment_json = buf_slice(&environment);
    }
    int rc = read_labels(set, app->arena, &about->labels, e);
    rc = rc == 0 ? harness_store(ledger, results, about, id, e) : rc;
    if (rc == 0) {
        app_say(app, "run %s: %zu results, %zu failures", id, results->count,
                results->failure_count);
        if (!own && !option_flag(set, "json")) {
            buf_printf(&app->out, "%s\n", id);
        } else if (!own) {
            JsonWriter w = json_writer(&app->out, 2);
            json_object_begin(&w);
            json_field_cstr(&w, "run", id);
            json_field_int(&w, "results", (int64_t)results->count);
            json_field_int(&w, "failures", (int64_t)results->failure_count);
            json_object_end(&w);
            buf_putc(&app->out, '\n');
        }
    }
    buf_done(&environment);
    return rc;
}

static int run_benchmark_import(App *app, const OptionSet *set, Err *e)
{
    Arena *arena = arena_create(RESULTS_ARENA_BYTES);
    HarnessOptions options = {0};
    HarnessResults *results = NULL;
    Ledger *ledger = NULL;
    const char *path = arena_cstr(arena, option_positional(set, 0));
    Slice name = option_string(set, "name");
    int rc = read_kind(set, &options, e);
    rc = rc == 0 ? harness_load(arena, path, &options, &results, e) : rc;
    rc = rc == 0 ? app_open_ledger(app, set, false, &ledger, e) : rc;
    if (rc == 0) {
        HarnessStore about = {.name = name.len > 0 ? name : last_piece(path),
                              .source = slice_from_cstr(path),
                              .started_unix_ns = clock_wall(clock_real())};
        say_failures(app, path, results);
        rc = store(app, set, ledger, results, &about, false, e);
    }
    ledger_close(ledger);
    arena_destroy(arena);
    return rc;
}

#define OPTION_LABEL                                                                               \
    {                                                                                              \
        .name = "label", .kind = OPTION_STRING, .repeat = true, .metavar = "KEY=VALUE",            \
        .section = "Ledger", .help = "Kept with the run."                                          \
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
    OPTION_LABEL,
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

// ---- benchmark harness

typedef struct Harnessing {
    App *app;
    const OptionSet *set;
    HarnessRunOptions options;
    int64_t timeout_ns;
    bool warned;
} Harnessing;

static int run_command(void *ctx, size_t side, const HarnessCommand *command, Buf *out, Err *e)
{
    Harnessing *h = ctx;
    BenchResult result = bench_result_create();
    BenchCommand run = {.shell = command->shell.ptr,
                        .output = BENCH_OUTPUT_CAPTURE,
                        .output_bytes_max = HARNESS_BYTES_MAX,
                        .error_tail_bytes = ERROR_TAIL,
                        .timeout_ns = h->timeout_ns};
    (void)side;
    int rc = bench_command_run(&run, &result, e);
    if (rc == 0 && (result.sample.timed_out || result.overflowed)) {
        Buf why = buf_create(200);
        bench_result_describe(&result, &why);
        rc = err_set(e, ERR_TIMEOUT, "`%.200s`: %.*s", command->shell.ptr,
                     SLICE_FMT(buf_slice(&why)));
        buf_done(&why);
    } else if (rc == 0) {
        // Some programs exit otherwise when one of many benchmarks fails: their results say which.
        if (!bench_result_good(&result) && !h->warned) {
            app_warn(h->app, "`%.200s` ended with exit code %d", command->shell.ptr,
                     result.sample.exit_code);
            h->warned = true;
        }
        buf_append(out, buf_slice(&result.output));
        if (out->len == 0) { // for the message of a program that printed nothing else
            buf_append(out, buf_slice(&result.error));
        }
    }
    bench_result_done(&result);
    return rc;
}

static void on_progress(void *ctx, const HarnessProgress *progress)
{
    Harnessing *h = ctx;
    app_say(h->app, "%zu/%zu%s", progress->done + 1, progress->total,
            h->options.sides < 2  ? ""
            : progress->side == 0 ? " A"
                                  : " B");
}

// One word is a shell line already; several are an argument vector.
static Slice join_words(const OptionSet *set, Arena *arena, size_t from)
{
    size_t count = option_positional_count(set);
    if (count == from + 1) {
        return option_positional(set, from);
    }
    Slice line = {0};
    for (size_t i = from; i < count; i++) {
        Slice quoted = harness_quote(arena, option_positional(set, i));
        line = arena_printf(arena, "%.*s%s%.*s", SLICE_FMT(line), i > from ? " " : "",
                            SLICE_FMT(quoted));
    }
    return line;
}

static int store_sides(Harnessing *h, HarnessResults *const *sides, int64_t started, Err *e)
{
    static const char *const names[] = {"A", "B"};
    Ledger *ledger = NULL;
    Slice group = arena_printf(h->app->arena, "benchmark-%lld", (long long)started);
    int rc =
        option_flag(h->set, "no-ledger") ? 0 : app_open_ledger(h->app, h->set, false, &ledger, e);
    for (size_t s = 0; s < h->options.sides && rc == 0 && ledger; s++) {
        HarnessStore about = {.name = slice_from_cstr(names[s]),
                              .source = h->options.commands[s],
                              .group = h->options.sides > 1 ? group : (Slice){0},
                              .started_unix_ns = started,
                              .duration_ns = clock_wall(clock_real()) - started};
        rc = store(h->app, h->set, ledger, sides[s], &about, true, e);
    }
    ledger_close(ledger);
    return rc;
}

static int measure(Harnessing *h, Arena *arena, Err *e)
{
    HarnessResults *sides[HARNESS_SIDES_MAX] = {0};
    BenchTables *tables = NULL;
    int64_t started = clock_wall(clock_real());
    int rc = harness_run(&h->options, arena, sides, e);
    if (rc != 0) {
        return rc;
    }
    BenchColumn columns[HARNESS_SIDES_MAX] = {{"A", sides[0]}, {"B", sides[1]}};
    for (size_t s = 0; s < h->options.sides; s++) {
        say_failures(h->app, columns[s].name, sides[s]);
    }
    rc = bench_table_make(arena, columns, h->options.sides, NULL, &tables, e);
    rc = rc == 0 ? store_sides(h, sides, started, e) : rc;
    return rc == 0 ? finish_comparison(h->app, h->set, tables) : rc;
}

static int run_benchmark_harness(App *app, const OptionSet *set, Err *e)
{
    Harnessing h = {.app = app, .set = set, .timeout_ns = option_int(set, "timeout")};
    Arena *arena = arena_create(RESULTS_ARENA_BYTES);
    HarnessOptions kind = {0};
    char scratch[] = "/tmp/perfwright-harness-XXXXXX";
    int rc = read_kind(set, &kind, e);
    if (rc == 0 && !mkdtemp(scratch)) {
        rc = err_errno(e, ERR_IO, errno, "%s", scratch);
    }
    if (rc == 0) {
        h.options =
            (HarnessRunOptions){.kind = kind.kind,
                                .commands = {join_words(set, arena, 0), option_string(set, "vs")},
                                .sides = option_given(set, "vs") ? 2 : 1,
                                .filter = option_string(set, "filter"),
                                .rounds = (size_t)option_int(set, "runs"),
                                .warmup = option_flag(set, "warmup"),
                                .scratch = slice_from_cstr(scratch),
                                .higher_better = kind.higher_better,
                                .seed = (uint64_t)option_int(set, "seed"),
                                .run_fn = run_command,
                                .ctx = &h,
                                .progress_fn = on_progress};
        rc = measure(&h, arena, e);
        Err ignored = {0};
        (void)!dir_remove_all(scratch, &ignored);
    }
    arena_destroy(arena);
    return rc;
}

static const Positional HARNESS_ARGS[] = {
    {"CMD", "The benchmark program as it is usually run, behind `--`; one word is a shell line.",
     false, true}};
static const Option HARNESS_OPTIONS[] = {
    OPTION_HARNESS,
    OPTION_HIGHER,
    {.name = "vs",
     .kind = OPTION_STRING,
     .metavar = "CMD",
     .help = "A shell line for the other side, B; the sides run in random order."},
    {.name = "runs",
     .kind = OPTION_INT,
     .min = 1,
     .max = HARNESS_ROUNDS_MAX,
     .default_text = "10",
     .help = "Invocations of each side: each is one sample of every benchmark."},
    {.name = "warmup",
     .kind = OPTION_FLAG,
     .negatable = true,
     .help = "One invocation of each side before, not counted."},
    {.name = "filter",
     .kind = OPTION_STRING,
     .metavar = "PATTERN",
     .help = "Only these benchmarks, in the harness's own grammar."},
    {.name = "timeout",
     .kind = OPTION_DURATION,
     .min = 1e9,
     .max = 864e11,
     .default_text = "10m",
     .help = "Of one invocation."},
    {.name = "seed",
     .kind = OPTION_INT,
     .min = 0,
     .max = 9e15,
     .default_text = "1",
     .help = "Of the order."},
    OPTION_GATE,
    OPTION_JSON,
    OPTION_LABEL,
    OPTION_LEDGER,
    {.name = "no-ledger", .kind = OPTION_FLAG, .section = "Ledger", .help = "Record nothing."},
};
static const Example HARNESS_EXAMPLES[] = {
    {"perfwright benchmark harness --harness google -- ./bench", "Ten processes, one sample each."},
    {"perfwright benchmark harness --harness go --vs 'cd ../new && go test .' -- go test .",
     "Two working copies, in random order."},
};
static const Verb HARNESS_VERB = {
    .name = "benchmark harness",
    .summary = "run a benchmark program many times, or two against each other",
    .description =
        "Adds what makes the program write results that can be read, and starts it anew for each "
        "sample: what differs between processes (layout, addresses, the state of the machine) is "
        "then in the spread, where it belongs.",
    OPTION_TABLE(HARNESS_OPTIONS),
    POSITIONAL_TABLE(HARNESS_ARGS),
    EXAMPLE_TABLE(HARNESS_EXAMPLES)};
const Command CMD_BENCHMARK_HARNESS = {&HARNESS_VERB, run_benchmark_harness, false};
