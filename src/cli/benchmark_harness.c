// benchmark --harness: a benchmark program started anew for each sample, one side or two.
#include <errno.h>
#include <stdlib.h>

#include "bench/command.h"
#include "bench/harness_run.h"
#include "cli/benchmark_results.h"
#include "os/clock.h"
#include "os/file.h"

enum { ERROR_TAIL = 2000, ROUNDS_DEFAULT = 10 };

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
        option_flag(h->set, "no-record") ? 0 : app_open_ledger(h->app, h->set, false, &ledger, e);
    for (size_t s = 0; s < h->options.sides && rc == 0 && ledger; s++) {
        HarnessStore about = {.name = slice_from_cstr(names[s]),
                              .source = h->options.commands[s],
                              .group = h->options.sides > 1 ? group : (Slice){0},
                              .started_unix_ns = started,
                              .duration_ns = clock_wall(clock_real()) - started};
        rc = results_store(h->app, h->set, ledger, sides[s], &about, true, e);
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
        results_say_failures(h->app, columns[s].name, sides[s]);
    }
    rc = bench_table_make(arena, columns, h->options.sides, NULL, &tables, e);
    rc = rc == 0 ? store_sides(h, sides, started, e) : rc;
    return rc == 0 ? results_finish(h->app, h->set, tables) : rc;
}

int benchmark_harness(App *app, const OptionSet *set, Err *e)
{
    Harnessing h = {.app = app, .set = set, .timeout_ns = option_int(set, "timeout")};
    Arena *arena = arena_create(RESULTS_ARENA_BYTES);
    HarnessOptions kind = {0};
    char scratch[] = "/tmp/perfwright-harness-XXXXXX";
    int rc = results_kind(set, &kind, e);
    if (rc == 0 && !mkdtemp(scratch)) {
        rc = err_errno(e, ERR_IO, errno, "%s", scratch);
    }
    if (rc == 0) {
        h.options = (HarnessRunOptions){
            .kind = kind.kind,
            .commands = {join_words(set, arena, 0), option_string(set, "vs")},
            .sides = option_given(set, "vs") ? 2 : 1,
            .filter = option_string(set, "filter"),
            .rounds = option_given(set, "runs") ? (size_t)option_int(set, "runs") : ROUNDS_DEFAULT,
            .warmup = option_int(set, "warmup") > 0,
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
