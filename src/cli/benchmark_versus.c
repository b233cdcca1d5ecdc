// `perfwright benchmark A --vs B`: is B faster than A?
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/ab.h"
#include "bench/ab_write.h"
#include "cli/benchmark_jobs.h"
#include "cli/benchmark_plot.h"
#include "cli/table.h"
#include "stat/sample.h"

#define VERSUS_BYTES_MAX (64 << 20)
enum { NAME_MAX_SHOWN = 40 };

typedef struct Versus {
    App *app;
    const OptionSet *set;
    BenchmarkJobs jobs; // A and B
    BenchResult result;
    AbOptions options;
    AbResult ab;
    char said[600]; // why a sample failed, for the error
    bool stopped;
} Versus;

static const AbNames NAMES = {BENCH_METRIC_NAMES, NULL};

static int sample(void *ctx, const AbAsk *ask, AbMeasured *ret, Err *e)
{
    Versus *v = ctx;
    const BenchmarkJob *job = &v->jobs.items[ask->arm == AB_CANDIDATE];
    BenchSample *s = &v->result.sample;
    int rc = benchmark_aside(&v->jobs, job, job->prepare, "--prepare", e);
    if (rc == 0) {
        rc = bench_command_run(&job->command, &v->result, e);
    }
    if (rc != 0) {
        return rc;
    }
    ret->end = s->timed_out ? AB_TIMED_OUT : AB_MEASURED;
    if (!v->jobs.ignore_failure && !bench_result_good(&v->result) && !s->timed_out) {
        Buf words = buf_create(200);
        bench_result_describe(&v->result, &words);
        (void)snprintf(v->said, sizeof v->said, "%.*s; %.*s", SLICE_FMT(buf_slice(&words)),
                       SLICE_FMT(slice_trim(buf_slice(&v->result.error))));
        buf_done(&words);
        ret->end = AB_SAMPLE_FAILED;
    }
    if (v->jobs.ignore_failure) {
        s->exit_code = s->signal = 0;
    }
    for (BenchMetric m = 0; m < BENCH_METRICS; m++) {
        ret->values[m] = bench_sample_value(s, m);
    }
    return benchmark_aside(&v->jobs, job, job->conclude, "--conclude", e);
}

static void progress(void *ctx, const AbProgress *p)
{
    const Versus *v = ctx;
    if (!v->app->talk_is_terminal || v->app->quiet) {
        return;
    }
    (void)fprintf(stderr, "\r\033[K%s%zu pairs, %.0f s", p->warmup ? "warm-up, " : "", p->pairs,
                  (double)p->elapsed_ns / (double)NS_PER_SECOND);
    if (p->effect.pairs > 0) {
        (void)fprintf(stderr, ", B at %.3g of A", p->effect.ratio);
    }
    (void)fflush(stderr);
}

// ---- output

static size_t values_of(const AbResult *r, AbArm arm, size_t metric, double *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < r->sample_count; i++) {
        const AbSample *s = &r->samples[i];
        if (!s->ask.warmup && !s->dropped && s->ask.arm == arm && isfinite(s->values[metric])) {
            ret[n++] = s->values[metric];
        }
    }
    return n;
}

static Slice value_text(Arena *arena, BenchMetric metric, double value)
{
    char text[UNITS_TEXT_MAX];
    switch (metric) {
    case BENCH_WALL:
    case BENCH_CPU: return plot_seconds(arena, value);
    case BENCH_RSS:
    case BENCH_IO:
        (void)size_format_short((int64_t)value, text);
        return arena_copy(arena, slice_from_cstr(text));
    case BENCH_INSTRUCTIONS: return arena_printf(arena, "%.4g", value);
    case BENCH_METRICS: break;
    }
    return SLICE("-");
}

static void put_metric(Versus *v, Table *t, BenchMetric metric, double *room)
{
    const AbComparison *c = &v->ab.metrics[metric];
    if (c->pairs == 0) {
        return;
    }
    table_put(t, slice_from_cstr(BENCH_METRIC_NAMES[metric]));
    for (int side = 0; side < 2; side++) {
        size_t n = values_of(&v->ab, side ? AB_CANDIDATE : AB_BASE, metric, room);
        table_put(t, value_text(v->app->arena, metric, n > 0 ? sample_median(room, n) : NAN));
    }
    table_putf(t, "%.4f", c->ratio);
    table_putf(t, "%.4f to %.4f", c->interval.low, c->interval.high);
    const AbComparison *control = &v->ab.controls[metric];
    table_putf(t, "%.4f", control->ratio);
    table_putf(t, "%.4f to %.4f", control->interval.low, control->interval.high);
}

static void print_table(Versus *v, double *room)
{
    static const char *const HEADS[] = {"", "A", "B", "B / A", "interval", "A / A", "95 %"};
    Table t = table_create(v->app->arena, COUNT_OF(HEADS));
    for (size_t i = 0; i < COUNT_OF(HEADS); i++) {
        table_put(&t, slice_from_cstr(HEADS[i]));
        if (i > 0) {
            table_right(&t, i);
        }
    }
    for (BenchMetric m = 0; m < BENCH_METRICS; m++) {
        put_metric(v, &t, m, room);
    }
    table_print(&t, 2, &v->app->out);
}

static void print_strips(Versus *v, double *room)
{
    static const char *const SIDES[AB_ARMS] = {"A", "A again", "B"};
    size_t metric = v->options.primary;
    double low = INFINITY, high = -INFINITY;
    for (AbArm arm = 0; arm < AB_ARMS; arm++) {
        size_t n = values_of(&v->ab, arm, metric, room);
        for (size_t i = 0; i < n; i++) {
            low = fmin(low, room[i]);
            high = fmax(high, room[i]);
        }
    }
    if (!(high > low)) {
        return;
    }
    buf_putc(&v->app->out, '\n');
    for (AbArm arm = 0; arm < AB_ARMS; arm++) {
        size_t n = values_of(&v->ab, arm, metric, room);
        plot_strip(&v->app->out, SIDES[arm], room, n, low, high, v->app->columns);
    }
    buf_printf(&v->app->out, "  %-10s  %.*s to %.*s\n", "",
               SLICE_FMT(value_text(v->app->arena, (BenchMetric)metric, low)),
               SLICE_FMT(value_text(v->app->arena, (BenchMetric)metric, high)));
}

static void print_text(Versus *v)
{
    Buf *out = &v->app->out;
    double *room = mem_alloc((v->ab.sample_count + 1) * sizeof *room);
    buf_printf(out, "A  %.*s\nB  %.*s\n\n", SLICE_FMT(v->jobs.items[0].series.name),
               SLICE_FMT(v->jobs.items[1].series.name));
    print_table(v, room);
    print_strips(v, room);
    buf_putc(out, '\n');
    ab_describe(&v->options, &v->ab, "A", "B", out);
    buf_putc(out, '\n');
    if (v->ab.outcome == AB_ARM_FAILED && v->said[0]) {
        buf_printf(out, "  %s\n", v->said);
    }
    free(room);
}

static void write_document(Versus *v, Buf *out, int indent, bool with_samples)
{
    JsonWriter w = json_writer(out, indent);
    json_object_begin(&w);
    json_field_int(&w, "version", 1);
    json_field_string(&w, "base", v->jobs.items[0].series.command);
    json_field_string(&w, "candidate", v->jobs.items[1].series.command);
    json_key(&w, SLICE("seed"));
    json_uint(&w, v->options.seed);
    ab_result_write(&v->options, &v->ab, &NAMES, &w);
    if (with_samples) {
        json_key(&w, SLICE("samples"));
        ab_samples_write(&v->ab, &NAMES, v->options.metrics, &w);
    }
    json_object_end(&w);
}

static void keep(Versus *v, int64_t started)
{
    Buf plan = buf_create(VERSUS_BYTES_MAX), summary = buf_create(VERSUS_BYTES_MAX);
    Buf samples = buf_create(VERSUS_BYTES_MAX);
    JsonWriter w = json_writer(&plan, 0);
    json_object_begin(&w);
    json_field_string(&w, "base", v->jobs.items[0].series.command);
    json_field_string(&w, "candidate", v->jobs.items[1].series.command);
    json_field_cstr(&w, "metric", BENCH_METRIC_NAMES[v->options.primary]);
    json_field_double(&w, "min_effect", v->options.min_effect);
    json_field_int(&w, "pairs", (int64_t)v->options.max_pairs);
    json_object_end(&w);
    write_document(v, &summary, 0, false);
    w = json_writer(&samples, 0);
    ab_samples_write(&v->ab, &NAMES, v->options.metrics, &w);
    Slice name =
        arena_printf(v->app->arena, "%.*s --vs %.*s", SLICE_FMT(v->jobs.items[0].series.name),
                     SLICE_FMT(v->jobs.items[1].series.name));
    BenchmarkKept kept = {.name = name,
                          .plan_json = buf_slice(&plan),
                          .summary_json = buf_slice(&summary),
                          .samples_json = buf_slice(&samples),
                          .seed = v->options.seed,
                          .started_unix_ns = started,
                          .duration_ns = v->ab.elapsed_ns,
                          .partial = v->stopped};
    const char *id = benchmark_keep(v->app, v->set, &kept);
    if (id) {
        app_say(v->app, "recorded as %s", id);
    }
    buf_done(&plan);
    buf_done(&summary);
    buf_done(&samples);
}

static ExitCode exit_of(const Versus *v)
{
    if (v->stopped) {
        return EXIT_SIGNAL;
    }
    switch (v->ab.outcome) {
    case AB_FASTER:
    case AB_FASTER_SMALL:
    case AB_SAME: return EXIT_PASS;
    case AB_SLOWER: return EXIT_REGRESSION;
    case AB_UNDECIDED:
    case AB_CANNOT_TELL: return EXIT_NOT_PROVEN;
    case AB_ARM_FAILED:
    case AB_OUTCOMES: break;
    }
    return EXIT_ERROR;
}

// ---- the verb

static int measure(Versus *v, Err *e)
{
    const BenchmarkJob *a = &v->jobs.items[0], *b = &v->jobs.items[1];
    int rc = benchmark_aside(&v->jobs, a, a->setup, "--setup", e);
    if (rc == 0) {
        rc = benchmark_aside(&v->jobs, b, b->setup, "--setup", e);
    }
    if (rc == 0) {
        rc = ab_run(&v->options, v->app->arena, &v->ab, e);
    }
    if (v->app->talk_is_terminal && !v->app->quiet) {
        (void)fputs("\r\033[K", stderr);
    }
    v->stopped = rc == ERR_CANCELLED && v->ab.sample_count > 0;
    Err second;
    Err *words = rc == 0 ? e : &second;
    int cleaned = benchmark_aside(&v->jobs, a, a->cleanup, "--cleanup", words);
    if (cleaned == 0) {
        cleaned = benchmark_aside(&v->jobs, b, b->cleanup, "--cleanup", words);
    }
    if (v->stopped) {
        return 0;
    }
    return rc != 0 ? rc : cleaned;
}

static int read_options(Versus *v, int64_t started, Err *e)
{
    const OptionSet *set = v->set;
    uint64_t seed = option_given(set, "seed") ? (uint64_t)option_int(set, "seed")
                                              : (uint64_t)started % 1000000007;
    v->options = (AbOptions){.sample_fn = sample,
                             .ctx = v,
                             .metrics = BENCH_METRICS,
                             .primary = (size_t)option_int(set, "metric"),
                             .max_pairs = (size_t)option_int(set, "pairs"),
                             .budget_ns = option_int(set, "budget"),
                             .warmup_given = option_given(set, "warmup"),
                             .warmup = (size_t)option_int(set, "warmup"),
                             .seed = seed,
                             .progress_fn = progress,
                             .progress_ctx = v};
    return benchmark_share(option_string(set, "min-effect"), "min-effect", &v->options.min_effect,
                           e);
}

int benchmark_versus(App *app, const OptionSet *set, Err *e)
{
    Versus *v = ARENA_NEW(app->arena, Versus);
    *v = (Versus){.app = app, .set = set, .result = bench_result_create()};
    app->quiet = app->quiet || option_flag(set, "quiet");
    int64_t started = clock_wall(clock_real());
    int rc = read_options(v, started, e);
    if (rc != 0 || (rc = benchmark_jobs_create(app, set, &v->jobs, e)) != 0) {
        return rc;
    }
    if (v->jobs.count != 2) {
        rc = err_set(e, ERR_ARG, "--vs compares two commands: give one, without parameters");
    } else {
        rc = measure(v, e);
    }
    if (rc == 0) {
        if (option_flag(set, "json")) {
            write_document(v, &app->out, 2, true);
            buf_putc(&app->out, '\n');
        } else {
            print_text(v);
        }
        keep(v, started);
        rc = (int)exit_of(v);
    }
    bench_result_done(&v->result);
    benchmark_jobs_done(&v->jobs);
    return rc;
}
