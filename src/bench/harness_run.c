#include "bench/harness_run.h"

#include <string.h>

#include "base/rng.h"
#include "base/utf8.h"

enum { OUTPUT_BYTES_MAX = HARNESS_BYTES_MAX, TAIL_BYTES = 400 };

// ---- the command

Slice harness_quote(Arena *arena, Slice text)
{
    Buf out = buf_create(4 * text.len + 3);
    buf_putc(&out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\'') {
            buf_puts(&out, "'\\''");
        } else {
            buf_putc(&out, text.ptr[i]);
        }
    }
    buf_putc(&out, '\'');
    Slice quoted = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return quoted;
}

// How a harness is told what to write where. "{out}" is the quoted path, "{filter}" the quoted
// filter.
typedef struct Recipe {
    HarnessKind kind;
    const char *before;    // the command: variables of the environment
    const char *options;   // behind it
    const char *filter;    // behind that, where there is a filter; NULL: it has none
    const char *no_filter; // where there is none
    bool to_file;
} Recipe;

static const Recipe RECIPES[] = {
    {HARNESS_GOOGLE, "", " --benchmark_out={out} --benchmark_out_format=json",
     " --benchmark_filter={filter}", "", true},
    {HARNESS_GO, "", "", "", "", false}, // go_options
    {HARNESS_CRITERION, "CRITERION_HOME={out} ", "", " {filter}", "", true},
    {HARNESS_PYTEST, "", " --benchmark-json={out}", " -k {filter}", "", true},
    {HARNESS_JMH, "", " -rf json -rff {out}", " {filter}", "", true},
    {HARNESS_DOTNET, "", " --exporters fulljson --artifacts {out}", " --filter {filter}",
     " --filter '*'", true},
    {HARNESS_VITEST, "", " --run --outputJson={out}", " -t {filter}", "", true},
    {HARNESS_HYPERFINE, "", " --export-json {out}", NULL, "", true},
    {HARNESS_BENCHER, "", "", " {filter}", "", false},
    {HARNESS_CATCH2, "", "", " {filter}", "", false},
    {HARNESS_CUSTOM, "", "", NULL, "", false},
    {HARNESS_METRIC, "", "", NULL, "", false},
    {HARNESS_AUTO, "", "", NULL, "", false},
};

static void expand(Arena *arena, const char *template, Slice out, Slice filter, Buf *to)
{
    Slice rest = slice_from_cstr(template);
    const Slice out_mark = SLICE("{out}"), filter_mark = SLICE("{filter}");
    while (rest.len > 0) {
        if (slice_starts_with(rest, out_mark)) {
            buf_append(to, harness_quote(arena, out));
            rest = slice_sub(rest, out_mark.len, rest.len);
        } else if (slice_starts_with(rest, filter_mark)) {
            buf_append(to, harness_quote(arena, filter));
            rest = slice_sub(rest, filter_mark.len, rest.len);
        } else {
            buf_putc(to, rest.ptr[0]);
            rest = slice_sub(rest, 1, rest.len);
        }
    }
}

// Go's flags, which a test binary that was built before wants with "test." before them. Tests are
// left out by -run; what the command says itself is not said again.
static void go_options(Arena *arena, Slice command, Slice filter, Buf *to)
{
    const char *dash = slice_find(command, SLICE("go test")) >= 0 ? "-" : "-test.";
    if (slice_find(command, SLICE("run=")) < 0 && slice_find(command, SLICE("-run ")) < 0) {
        buf_printf(to, " %srun '^$'", dash);
    }
    if (slice_find(command, SLICE("-count")) < 0) {
        buf_printf(to, " %scount 1", dash);
    }
    if (filter.len > 0) { // the last one given counts
        Slice quoted = harness_quote(arena, filter);
        buf_printf(to, " %sbench %.*s", dash, SLICE_FMT(quoted));
    } else if (slice_find(command, SLICE("bench ")) < 0 &&
               slice_find(command, SLICE("bench=")) < 0) {
        buf_printf(to, " %sbench .", dash);
    }
}

static const Recipe *recipe_of(HarnessKind kind)
{
    for (size_t i = 0; i < COUNT_OF(RECIPES); i++) {
        if (RECIPES[i].kind == kind) {
            return &RECIPES[i];
        }
    }
    return &RECIPES[COUNT_OF(RECIPES) - 1];
}

int harness_command(Arena *arena, HarnessKind kind, Slice command, Slice filter, Slice output,
                    HarnessCommand *ret_command, Err *e)
{
    const Recipe *recipe = recipe_of(kind);
    if (command.len == 0 || command.len > HARNESS_COMMAND_MAX || filter.len > HARNESS_TEXT_MAX ||
        output.len > HARNESS_TEXT_MAX) {
        return err_set(e, ERR_ARG, "a benchmark command has 1 to %d bytes", HARNESS_COMMAND_MAX);
    }
    if (filter.len > 0 && !recipe->filter) {
        return err_set(e, ERR_UNSUPPORTED, "%s has no filter", HARNESS_NAMES[kind]);
    }
    Buf to = buf_create(HARNESS_COMMAND_MAX + (size_t)16 * HARNESS_TEXT_MAX);
    expand(arena, recipe->before, output, filter, &to);
    buf_append(&to, command);
    if (kind == HARNESS_GO) {
        go_options(arena, command, filter, &to);
    } else {
        expand(arena, recipe->options, output, filter, &to);
        expand(arena, filter.len > 0 ? recipe->filter : recipe->no_filter, output, filter, &to);
    }
    *ret_command = (HarnessCommand){
        .shell = arena_copy(arena, buf_slice(&to)),
        .output = recipe->to_file ? arena_copy(arena, output) : (Slice){0},
    };
    buf_done(&to);
    return 0;
}

// ---- the loop

// The end of what it printed, which is where programs say what is wrong.
static int no_result(const HarnessCommand *command, const Buf *out, Err *e)
{
    Slice text = slice_trim(buf_slice(out));
    size_t from = text.len > TAIL_BYTES ? text.len - TAIL_BYTES : 0;
    Buf safe = buf_create(8 * TAIL_BYTES);
    utf8_sanitise(&safe, slice_sub(text, from, TAIL_BYTES));
    int rc = err_set(e, ERR_NOT_FOUND, "`%.200s` printed no benchmark result; its output ends: %s",
                     command->shell.ptr, safe.len > 0 ? safe.data : "(nothing)");
    buf_done(&safe);
    return rc;
}

static int load(const HarnessRunOptions *o, Arena *arena, const HarnessCommand *command,
                const Buf *out, HarnessResults **ret_results, Err *e)
{
    HarnessOptions options = {
        .kind = o->kind, .source = "the benchmark's output", .higher_better = o->higher_better};
    int rc;
    if (command->output.len == 0) {
        rc = harness_read(arena, buf_slice(out), &options, ret_results, e);
    } else if (o->load_fn) {
        rc = o->load_fn(o->ctx, arena, command->output.ptr, &options, ret_results, e);
    } else {
        rc = harness_load(arena, command->output.ptr, &options, ret_results, e);
    }
    return rc == ERR_NOT_FOUND ? no_result(command, out, e) : rc;
}

static int invoke(const HarnessRunOptions *o, Arena *arena, size_t side, size_t round,
                  HarnessResults **ret_results, Err *e)
{
    HarnessCommand command;
    Slice output = arena_printf(arena, "%.*s/%zu-%zu", SLICE_FMT(o->scratch), side, round);
    int rc = harness_command(arena, o->kind, o->commands[side], o->filter, output, &command, e);
    if (rc != 0) {
        return rc;
    }
    Buf out = buf_create(OUTPUT_BYTES_MAX);
    rc = o->run_fn(o->ctx, side, &command, &out, e);
    rc = rc == 0 ? load(o, arena, &command, &out, ret_results, e) : rc;
    buf_done(&out);
    return rc;
}

static void tell(const HarnessRunOptions *o, size_t done, size_t total, size_t side)
{
    if (o->progress_fn) {
        o->progress_fn(o->ctx, &(HarnessProgress){.done = done, .total = total, .side = side});
    }
}

int harness_run(const HarnessRunOptions *o, Arena *arena,
                HarnessResults *ret_sides[HARNESS_SIDES_MAX], Err *e)
{
    if (o->sides == 0 || o->sides > HARNESS_SIDES_MAX || o->rounds == 0 ||
        o->rounds > HARNESS_ROUNDS_MAX) {
        return err_set(e, ERR_ARG, "1 or 2 sides, 1 to %d rounds", HARNESS_ROUNDS_MAX);
    }
    Rng order = rng_stream(o->seed, SLICE("harness-order"), 0);
    size_t rounds = o->rounds + o->warmup, total = rounds * o->sides, done = 0;
    const HarnessResults **lists[HARNESS_SIDES_MAX];
    for (size_t s = 0; s < o->sides; s++) {
        lists[s] = ARENA_ARRAY(arena, const HarnessResults *, o->rounds);
    }
    for (size_t round = 0; round < rounds; round++) {
        size_t first = o->sides == 2 ? rng_below(&order, 2) : 0;
        for (size_t i = 0; i < o->sides; i++) {
            size_t side = (first + i) % o->sides;
            HarnessResults *results = NULL;
            tell(o, done++, total, side);
            int rc = invoke(o, arena, side, round, &results, e);
            if (rc != 0) {
                return rc;
            }
            if (round >= o->warmup) {
                lists[side][round - o->warmup] = results;
            }
        }
    }
    for (size_t s = 0; s < o->sides; s++) {
        int rc = harness_results_merge(arena, lists[s], o->rounds, &ret_sides[s], e);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}
