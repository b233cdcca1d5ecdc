// `perfwright benchmark -- CMD`: how long commands take. With several, every round runs each of
// them in random order, so that a machine that changes meanwhile changes for all.
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/rng.h"
#include "bench/ab.h"
#include "cli/benchmark_jobs.h"
#include "cli/benchmark_plot.h"
#include "os/file.h"

#define ENOUGH_NS        (3 * NS_PER_SECOND) // of a command, as hyperfine has it
#define EXPORT_BYTES_MAX (64 << 20)
static const double FIRST_RUN_FACTOR = 1.5; // slower than the median by this: a cold cache

typedef struct Session {
    App *app;
    const OptionSet *set;
    BenchmarkJobs jobs;
    Rng rng;
    uint64_t seed;
    size_t *order;
    size_t *capacities;
    int64_t *spent_ns;
    BenchResult result;
    bool stopped; // by a signal: what there is is shown and kept
} Session;

static void keep_sample(Session *s, size_t i, const BenchSample *sample)
{
    BenchSeries *series = &s->jobs.items[i].series;
    if (series->count == s->capacities[i]) {
        s->capacities[i] = s->capacities[i] ? 2 * s->capacities[i] : 32;
        series->samples =
            mem_realloc(series->samples, s->capacities[i] * sizeof series->samples[0]);
    }
    series->samples[series->count++] = *sample;
    s->spent_ns[i] += sample->wall_ns;
}

static bool enough(const Session *s, size_t i)
{
    const BenchSeries *series = &s->jobs.items[i].series;
    if (option_given(s->set, "runs")) {
        return series->count >= (size_t)option_int(s->set, "runs");
    }
    if (option_given(s->set, "max-runs") &&
        series->count >= (size_t)option_int(s->set, "max-runs")) {
        return true;
    }
    return series->count >= BENCH_SERIES_SAMPLES_MAX ||
           (series->count >= (size_t)option_int(s->set, "min-runs") && s->spent_ns[i] >= ENOUGH_NS);
}

static void show_progress(const Session *s, size_t round)
{
    if (s->app->talk_is_terminal && !s->app->quiet) {
        (void)fprintf(stderr, "\r\033[Kround %zu", round + 1);
        (void)fflush(stderr);
    }
}

static void hide_progress(const Session *s)
{
    if (s->app->talk_is_terminal && !s->app->quiet) {
        (void)fputs("\r\033[K", stderr);
    }
}

// Each command that wants more, once, in an order of its own.
static int run_round(Session *s, bool warmup, bool *ret_any, Err *e)
{
    *ret_any = false;
    rng_shuffle(&s->rng, s->order, s->jobs.count, sizeof s->order[0]);
    for (size_t k = 0; k < s->jobs.count; k++) {
        size_t i = s->order[k];
        if (!warmup && enough(s, i)) {
            continue;
        }
        int rc = benchmark_sample(&s->jobs, &s->jobs.items[i], &s->result, e);
        if (rc != 0) {
            return rc;
        }
        if (!warmup) {
            keep_sample(s, i, &s->result.sample);
        }
        *ret_any = true;
    }
    return 0;
}

static int run_asides(Session *s, bool setup, Err *e)
{
    for (size_t i = 0; i < s->jobs.count; i++) {
        const BenchmarkJob *job = &s->jobs.items[i];
        int rc = setup ? benchmark_aside(&s->jobs, job, job->setup, "--setup", e)
                       : benchmark_aside(&s->jobs, job, job->cleanup, "--cleanup", e);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int measure(Session *s, Err *e)
{
    bool any = true;
    int rc = run_asides(s, true, e);
    for (int64_t i = 0; i < option_int(s->set, "warmup") && rc == 0; i++) {
        rc = run_round(s, true, &any, e);
    }
    for (size_t round = 0; any && rc == 0; round++) {
        show_progress(s, round);
        rc = run_round(s, false, &any, e);
    }
    hide_progress(s);
    if (rc == ERR_CANCELLED) {
        s->stopped = true;
        rc = 0;
    }
    Err second;
    int cleaned = run_asides(s, false, rc == 0 ? e : &second);
    return rc != 0 || s->stopped ? rc : cleaned;
}

// ---- output

static void print_first_run(App *app, const BenchSeries *series, const BenchStats *st)
{
    double first = (double)series->samples[0].wall_ns / (double)NS_PER_SECOND;
    if (st->count > 4 && first > FIRST_RUN_FACTOR * st->median) {
        buf_printf(&app->out,
                   "  note     the first run took %.2g times as long as the median: "
                   "--warmup fills caches, --prepare empties them\n",
                   first / st->median);
    }
}

static void print_series(App *app, const BenchSeries *series, size_t number)
{
    BenchStats st = bench_series_stats(series);
    Slice a = plot_seconds(app->arena, st.mean), d = plot_seconds(app->arena, st.deviation);
    buf_printf(&app->out, "%sBenchmark %zu: %.*s\n", number > 0 ? "\n" : "", number + 1,
               SLICE_FMT(series->name));
    if (st.count == 0) {
        buf_printf(&app->out, "  not measured: %zu runs failed\n", st.failed);
        return;
    }
    buf_printf(&app->out, "  mean     %.*s", SLICE_FMT(a));
    if (st.count > 1) {
        buf_printf(&app->out, " ± %.*s", SLICE_FMT(d));
    }
    buf_printf(&app->out, "   [user %.*s, system %.*s]\n",
               SLICE_FMT(plot_seconds(app->arena, st.user_s)),
               SLICE_FMT(plot_seconds(app->arena, st.system_s)));
    buf_printf(&app->out, "  median   %.*s, from %.*s to %.*s in %zu runs\n",
               SLICE_FMT(plot_seconds(app->arena, st.median)),
               SLICE_FMT(plot_seconds(app->arena, st.min)),
               SLICE_FMT(plot_seconds(app->arena, st.max)), st.count);
    if (isfinite(st.rss)) {
        char text[UNITS_TEXT_MAX];
        (void)size_format_short((int64_t)st.rss, text);
        buf_printf(&app->out, "  memory   %s\n", text);
    }
    double *times = mem_alloc((series->count + 1) * sizeof *times);
    size_t n = bench_series_times(series, times);
    plot_histogram(&app->out, times, n, app->columns);
    free(times);
    print_first_run(app, series, &st);
}

static void print_ranking(App *app, const BenchmarkJobs *jobs)
{
    size_t best = 0;
    double best_mean = INFINITY;
    for (size_t i = 0; i < jobs->count; i++) {
        double mean = bench_series_stats(&jobs->items[i].series).mean;
        if (mean < best_mean) {
            best_mean = mean;
            best = i;
        }
    }
    BenchStats b = bench_series_stats(&jobs->items[best].series);
    buf_printf(&app->out, "\nSummary\n  %.*s took least:\n",
               SLICE_FMT(jobs->items[best].series.name));
    for (size_t i = 0; i < jobs->count; i++) {
        BenchStats st = bench_series_stats(&jobs->items[i].series);
        if (i == best || st.count == 0) {
            continue;
        }
        double ratio = st.mean / b.mean;
        double x = st.deviation / st.mean, y = b.deviation / b.mean;
        buf_printf(&app->out, "  %8.2f ± %.2f times that of it: %.*s\n", ratio,
                   ratio * sqrt(x * x + y * y), SLICE_FMT(jobs->items[i].series.name));
    }
    buf_puts(&app->out,
             "  These are standard deviations and no test: `benchmark A --vs B` is one.\n");
}

static BenchSeries *all_series(App *app, const BenchmarkJobs *jobs)
{
    BenchSeries *series = ARENA_ARRAY(app->arena, BenchSeries, jobs->count);
    for (size_t i = 0; i < jobs->count; i++) {
        series[i] = jobs->items[i].series;
    }
    return series;
}

// "-" is standard output; what is no plain file (/dev/stdout, a pipe, a link) is written through
// and not replaced.
static int export_to(App *app, Slice path, Slice text, Err *e)
{
    struct stat st;
    const char *name = arena_cstr(app->arena, path);
    if (slice_eq_cstr(path, "-")) {
        buf_append(&app->out, text);
        return 0;
    }
    if (lstat(name, &st) != 0 || S_ISREG(st.st_mode)) {
        return file_write(name, text, NULL, e);
    }
    FILE *file = fopen(name, "we");
    if (!file) {
        return err_errno(e, ERR_IO, errno, "cannot write '%s'", name);
    }
    bool written = fwrite(text.ptr, 1, text.len, file) == text.len;
    written = fclose(file) == 0 && written;
    return written ? 0 : err_errno(e, ERR_IO, errno, "cannot write '%s'", name);
}

static int export_files(App *app, const OptionSet *set, const BenchSeries *series, size_t count,
                        Err *e)
{
    static const char *const OPTIONS[] = {"export-json", "export-markdown", "export-csv"};
    int rc = 0;
    for (size_t i = 0; i < COUNT_OF(OPTIONS) && rc == 0; i++) {
        Slice path = option_string(set, OPTIONS[i]);
        if (path.len == 0) {
            continue;
        }
        Buf out = buf_create(EXPORT_BYTES_MAX);
        JsonWriter w = json_writer(&out, 2);
        if (i == 0) {
            bench_series_write_json(series, count, &w);
            buf_putc(&out, '\n');
        } else if (i == 1) {
            bench_series_write_markdown(series, count, &out);
        } else {
            bench_series_write_csv(series, count, &out);
        }
        rc = buf_check(&out, "the export", e);
        if (rc == 0) {
            rc = export_to(app, path, buf_slice(&out), e);
        }
        buf_done(&out);
    }
    return rc;
}

static void write_plan(const Session *s, Buf *out)
{
    JsonWriter w = json_writer(out, 0);
    json_object_begin(&w);
    json_key(&w, SLICE("commands"));
    json_array_begin(&w);
    for (size_t i = 0; i < s->jobs.count; i++) {
        json_string(&w, s->jobs.items[i].series.command);
    }
    json_array_end(&w);
    json_field_int(&w, "warmup", option_int(s->set, "warmup"));
    json_object_end(&w);
}

static void write_samples(const Session *s, Buf *out)
{
    JsonWriter w = json_writer(out, 0);
    json_array_begin(&w);
    for (size_t i = 0; i < s->jobs.count; i++) {
        const BenchSeries *series = &s->jobs.items[i].series;
        json_object_begin(&w);
        json_field_string(&w, "name", series->name);
        json_field_string(&w, "command", series->command);
        json_key(&w, SLICE("samples"));
        json_array_begin(&w);
        for (size_t k = 0; k < series->count; k++) {
            bench_sample_write(&series->samples[k], &w);
        }
        json_array_end(&w);
        json_object_end(&w);
    }
    json_array_end(&w);
}

static const char *keep(Session *s, const BenchSeries *series, int64_t started, int64_t duration)
{
    Buf plan = buf_create(EXPORT_BYTES_MAX), samples = buf_create(EXPORT_BYTES_MAX);
    Buf summary = buf_create(EXPORT_BYTES_MAX);
    write_plan(s, &plan);
    write_samples(s, &samples);
    JsonWriter w = json_writer(&summary, 0);
    bench_series_write_json(series, s->jobs.count, &w);
    BenchmarkKept kept = {.name = series[0].name,
                          .plan_json = buf_slice(&plan),
                          .summary_json = buf_slice(&summary),
                          .samples_json = buf_slice(&samples),
                          .hyperfine_json = buf_slice(&summary),
                          .seed = s->seed,
                          .started_unix_ns = started,
                          .duration_ns = duration,
                          .partial = s->stopped};
    const char *id = benchmark_keep(s->app, s->set, &kept);
    buf_done(&plan);
    buf_done(&samples);
    buf_done(&summary);
    return id;
}

static int finish(Session *s, int64_t started, int64_t duration, Err *e)
{
    App *app = s->app;
    const BenchSeries *series = all_series(app, &s->jobs);
    int rc = export_files(app, s->set, series, s->jobs.count, e);
    if (rc != 0) {
        return rc;
    }
    if (option_flag(s->set, "json")) {
        JsonWriter w = json_writer(&app->out, 2);
        bench_series_write_json(series, s->jobs.count, &w);
        buf_putc(&app->out, '\n');
    } else {
        for (size_t i = 0; i < s->jobs.count; i++) {
            print_series(app, &series[i], i);
        }
        if (s->jobs.count > 1) {
            print_ranking(app, &s->jobs);
        }
    }
    const char *id = keep(s, series, started, duration);
    if (id) {
        app_say(app, "recorded as %s", id);
    }
    return s->stopped ? EXIT_SIGNAL : EXIT_PASS;
}

int benchmark_commands(App *app, const OptionSet *set, Err *e)
{
    Session s = {.app = app, .set = set, .result = bench_result_create()};
    app->quiet = app->quiet || option_flag(set, "quiet");
    int rc = benchmark_jobs_create(app, set, &s.jobs, e);
    if (rc != 0) {
        return rc;
    }
    int64_t started = clock_wall(clock_real()), begin = clock_now(clock_real());
    s.seed = option_given(set, "seed") ? (uint64_t)option_int(set, "seed") : (uint64_t)started;
    s.rng = rng_stream(s.seed, SLICE("benchmark-order"), 0);
    s.order = ARENA_ARRAY(app->arena, size_t, s.jobs.count);
    s.capacities = ARENA_ARRAY(app->arena, size_t, s.jobs.count);
    s.spent_ns = ARENA_ARRAY(app->arena, int64_t, s.jobs.count);
    for (size_t i = 0; i < s.jobs.count; i++) {
        s.order[i] = i;
    }
    rc = measure(&s, e);
    if (rc == 0) {
        rc = finish(&s, started, clock_now(clock_real()) - begin, e);
    }
    for (size_t i = 0; i < s.jobs.count; i++) {
        free(s.jobs.items[i].series.samples);
    }
    bench_result_done(&s.result);
    benchmark_jobs_done(&s.jobs);
    return rc;
}
