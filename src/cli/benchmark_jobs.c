#include "cli/benchmark_jobs.h"

#include <math.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "bench/ab.h"
#include "bench/record.h"

enum { ERROR_TAIL_BYTES = 4096, VALUES_MAX = 1000, LINE_BYTES_MAX = 1 << 20 };
static const int64_t ASIDE_TIMEOUT_NS = 3600 * NS_PER_SECOND;

const char *const BENCHMARK_SHELLS[] = {"sh", "none", NULL};
const char *const BENCHMARK_METRICS[] = {"wall", "cpu", "rss", "instructions", NULL};

int benchmark_share(Slice text, const char *option, double *ret_share, Err *e)
{
    bool percent = slice_ends_with(text, SLICE("%"));
    Slice number = percent ? slice_sub(text, 0, text.len - 1) : text;
    double value;
    if (slice_to_f64(number, &value) != 0 || value <= 0 || value >= (percent ? 1000 : 10)) {
        return err_set(e, ERR_ARG, "--%s %.*s: write a share such as 5%% or 0.05", option,
                       SLICE_FMT(text));
    }
    *ret_share = percent ? value / 100 : value;
    return 0;
}

// ---- parameters

typedef struct Range {
    Slice name;
    Slice *values;
    size_t count;
} Range;

static int read_scan(Arena *arena, Slice text, Range *r, Err *e)
{
    Slice parts[4] = {{0}}, rest = text;
    size_t n = 0;
    double low, high, step = 1;
    while (rest.len > 0 && n < COUNT_OF(parts)) {
        (void)slice_cut(rest, ',', &parts[n++], &rest);
    }
    if (n < 3 || rest.len > 0 || parts[0].len == 0 || slice_to_f64(parts[1], &low) != 0 ||
        slice_to_f64(parts[2], &high) != 0 || (n == 4 && slice_to_f64(parts[3], &step) != 0) ||
        !(step > 0) || !(high >= low) || (high - low) / step >= VALUES_MAX) {
        return err_set(e, ERR_ARG,
                       "--parameter-scan %.*s: write VAR,MIN,MAX or VAR,MIN,MAX,STEP, "
                       "at most %d values",
                       SLICE_FMT(text), VALUES_MAX);
    }
    // A little slack, so that 0.1 steps reach the end that they were meant to.
    r->count = (size_t)floor((high - low) / step + 1e-9) + 1;
    r->name = parts[0];
    r->values = ARENA_ARRAY(arena, Slice, r->count);
    for (size_t i = 0; i < r->count; i++) {
        r->values[i] = arena_printf(arena, "%.10g", low + (double)i * step);
    }
    return 0;
}

static int read_list(Arena *arena, Slice text, Range *r, Err *e)
{
    Slice rest;
    if (!slice_cut(text, ',', &r->name, &rest) || r->name.len == 0) {
        return err_set(e, ERR_ARG, "--parameter-list %.*s: write VAR,A,B,...", SLICE_FMT(text));
    }
    r->values = ARENA_ARRAY(arena, Slice, VALUES_MAX);
    bool more = true;
    while (more) {
        if (r->count == VALUES_MAX) {
            return err_set(e, ERR_ARG, "--parameter-list: more than %d values", VALUES_MAX);
        }
        more = slice_cut(rest, ',', &r->values[r->count++], &rest);
    }
    return 0;
}

static int read_ranges(App *app, const OptionSet *set, Range ranges[BENCH_PARAMETERS_MAX],
                       size_t *ret_count, Err *e)
{
    size_t count = 0;
    for (int list = 0; list < 2; list++) {
        const OptionValue *v = option_values(set, list ? "parameter-list" : "parameter-scan");
        for (; v; v = v->next) {
            if (count == BENCH_PARAMETERS_MAX) {
                return err_set(e, ERR_ARG, "more than %d parameters", BENCH_PARAMETERS_MAX);
            }
            ranges[count] = (Range){0};
            int rc = list ? read_list(app->arena, v->text, &ranges[count++], e)
                          : read_scan(app->arena, v->text, &ranges[count++], e);
            if (rc != 0) {
                return rc;
            }
        }
    }
    *ret_count = count;
    return 0;
}

static Slice fill(Arena *arena, Slice text, const BenchSeries *s)
{
    Buf out = buf_create(LINE_BYTES_MAX);
    for (size_t i = 0; i < text.len;) {
        Slice rest = slice_sub(text, i, text.len);
        size_t used = 0;
        for (size_t k = 0; k < s->parameter_count && used == 0; k++) {
            Slice name = s->parameters[k].name;
            if (rest.len >= name.len + 2 && rest.ptr[0] == '{' && rest.ptr[name.len + 1] == '}' &&
                slice_eq(slice_sub(rest, 1, name.len), name)) {
                buf_append(&out, s->parameters[k].value);
                used = name.len + 2;
            }
        }
        if (used == 0) {
            buf_putc(&out, rest.ptr[0]);
            used = 1;
        }
        i += used;
    }
    Slice copy = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return copy;
}

// ---- commands

typedef struct Template {
    Slice line;
    const Slice *args; // behind --; NULL: only the line
    size_t arg_count;
} Template;

static const char *const *split_line(Arena *arena, Slice line, Err *e)
{
    const char **argv = ARENA_ARRAY(arena, const char *, BENCHMARK_ARGS_MAX + 1);
    size_t n = 0;
    while ((line = slice_trim(line)).len > 0) {
        if (n == BENCHMARK_ARGS_MAX) {
            (void)err_set(e, ERR_ARG, "more than %d arguments", BENCHMARK_ARGS_MAX);
            return NULL;
        }
        size_t len = 0;
        while (len < line.len && line.ptr[len] != ' ' && line.ptr[len] != '\t') {
            len++;
        }
        argv[n++] = arena_cstr(arena, slice_sub(line, 0, len));
        line = slice_sub(line, len, line.len);
    }
    if (n == 0) {
        (void)err_set(e, ERR_ARG, "an empty command cannot be measured");
        return NULL;
    }
    return argv;
}

static const char *const *fill_args(Arena *arena, const Template *t, const BenchSeries *s)
{
    const char **argv = ARENA_ARRAY(arena, const char *, t->arg_count + 1);
    for (size_t i = 0; i < t->arg_count; i++) {
        argv[i] = arena_cstr(arena, fill(arena, t->args[i], s));
    }
    return argv;
}

// The value for the command with that number: one for all, or one for each.
static const char *aside_line(App *app, const OptionSet *set, const char *option, size_t number,
                              const BenchSeries *s)
{
    const OptionValue *v = option_values(set, option);
    for (size_t i = 0; v && v->next && i < number; i++) {
        v = v->next;
    }
    return v ? arena_cstr(app->arena, fill(app->arena, v->text, s)) : NULL;
}

static const char *once_line(App *app, const OptionSet *set, const char *option,
                             const BenchSeries *s)
{
    Slice line = option_string(set, option);
    return line.len > 0 ? arena_cstr(app->arena, fill(app->arena, line, s)) : NULL;
}

static void set_output(App *app, const OptionSet *set, BenchCommand *c)
{
    Slice output = option_string(set, "output");
    if (output.len == 0 || slice_eq_cstr(output, "null")) {
        c->output = BENCH_OUTPUT_DISCARD;
    } else if (slice_eq_cstr(output, "inherit")) {
        c->output = BENCH_OUTPUT_INHERIT;
        c->inherit_error = true;
    } else if (slice_eq_cstr(output, "pipe")) {
        c->output = BENCH_OUTPUT_HASH; // what hyperfine means by it: the output is really made
    } else {
        c->output = BENCH_OUTPUT_FILE;
        c->output_path = arena_cstr(app->arena, output);
    }
}

static int add_job(App *app, const OptionSet *set, const Template *t, size_t number,
                   const BenchSeries *parameters, BenchmarkJobs *jobs, Err *e)
{
    if (jobs->count == BENCHMARK_JOBS_MAX) {
        return err_set(e, ERR_ARG, "more than %d commands", BENCHMARK_JOBS_MAX);
    }
    BenchmarkJob *job = &jobs->items[jobs->count];
    *job = (BenchmarkJob){.series = *parameters};
    BenchSeries *s = &job->series;
    s->command = s->name = fill(app->arena, t->line, s);
    s->failures_counted = jobs->ignore_failure;
    const OptionValue *name = option_values(set, "name");
    for (size_t i = 0; name && i < jobs->count; i++) {
        name = name->next;
    }
    s->name = name ? name->text : s->name;
    Slice input = option_string(set, "input");
    job->command = (BenchCommand){.timeout_ns = option_int(set, "timeout"),
                                  .input_path = input.len ? arena_cstr(app->arena, input) : NULL,
                                  .error_tail_bytes = ERROR_TAIL_BYTES,
                                  .cancel_fd = jobs->cancel_fd};
    set_output(app, set, &job->command);
    bool shell = option_given(set, "shell") ? option_int(set, "shell") == 0 : !t->args;
    if (shell) {
        job->command.shell = arena_cstr(app->arena, s->command);
    } else if (t->args) {
        job->command.argv = fill_args(app->arena, t, s);
    } else if (!(job->command.argv = split_line(app->arena, s->command, e))) {
        return ERR_ARG;
    }
    job->setup = once_line(app, set, "setup", s);
    job->cleanup = once_line(app, set, "cleanup", s);
    job->prepare = aside_line(app, set, "prepare", number, s);
    job->conclude = aside_line(app, set, "conclude", number, s);
    jobs->count++;
    return 0;
}

// Every combination of the parameters' values, the first parameter changing slowest.
static int add_template(App *app, const OptionSet *set, const Template *t, size_t number,
                        const Range *ranges, size_t range_count, BenchmarkJobs *jobs, Err *e)
{
    size_t total = 1;
    for (size_t i = 0; i < range_count; i++) {
        total = ranges[i].count > BENCHMARK_JOBS_MAX / total ? BENCHMARK_JOBS_MAX + 1
                                                             : total * ranges[i].count;
        if (total > BENCHMARK_JOBS_MAX) {
            return err_set(e, ERR_ARG, "more than %d commands", BENCHMARK_JOBS_MAX);
        }
    }
    int rc = 0;
    for (size_t k = 0; k < total && rc == 0; k++) {
        BenchSeries s = {.parameter_count = range_count};
        size_t left = k;
        for (size_t i = range_count; i-- > 0;) {
            s.parameters[i] =
                (BenchParameter){ranges[i].name, ranges[i].values[left % ranges[i].count]};
            left /= ranges[i].count;
        }
        rc = add_job(app, set, t, number, &s, jobs, e);
    }
    return rc;
}

static Template dashes_template(App *app, const OptionSet *set, size_t first, size_t count)
{
    Slice *args = ARENA_ARRAY(app->arena, Slice, count);
    Template t = {.args = args, .arg_count = count};
    for (size_t i = 0; i < count; i++) {
        args[i] = option_positional(set, first + i);
        t.line = arena_printf(app->arena, "%.*s%s%.*s", SLICE_FMT(t.line), i ? " " : "",
                              SLICE_FMT(args[i]));
    }
    return t;
}

static int watch_signals(int *ret_fd, Err *e)
{
    sigset_t mask; // blocked since main: reading them is all there is to do
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGINT);
    (void)sigaddset(&mask, SIGTERM);
    (void)sigaddset(&mask, SIGHUP);
    int fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        return err_set(e, ERR_LIMIT, "cannot watch for signals");
    }
    *ret_fd = fd;
    return 0;
}

int benchmark_jobs_create(App *app, const OptionSet *set, BenchmarkJobs *ret_jobs, Err *e)
{
    Range ranges[BENCH_PARAMETERS_MAX];
    size_t range_count = 0;
    BenchmarkJobs jobs = {.ignore_failure = option_flag(set, "ignore-failure"), .cancel_fd = -1};
    int rc = read_ranges(app, set, ranges, &range_count, e);
    if (rc != 0 || (rc = watch_signals(&jobs.cancel_fd, e)) != 0) {
        return rc;
    }
    jobs.items = ARENA_ARRAY(app->arena, BenchmarkJob, BENCHMARK_JOBS_MAX);
    size_t behind = option_behind_dashes(set);
    size_t lines = option_positional_count(set) - behind;
    size_t number = 0;
    for (size_t i = 0; i < lines && rc == 0; i++) {
        Template t = {.line = option_positional(set, i)};
        rc = add_template(app, set, &t, number++, ranges, range_count, &jobs, e);
    }
    if (rc == 0 && behind > 0) {
        Template t = dashes_template(app, set, lines, behind);
        rc = add_template(app, set, &t, number++, ranges, range_count, &jobs, e);
    }
    if (rc == 0 && option_given(set, "vs")) {
        Template t = {.line = option_string(set, "vs")};
        rc = add_template(app, set, &t, number, ranges, range_count, &jobs, e);
    }
    if (rc != 0) {
        benchmark_jobs_done(&jobs);
        return rc;
    }
    *ret_jobs = jobs;
    return 0;
}

void benchmark_jobs_done(BenchmarkJobs *jobs)
{
    if (jobs->cancel_fd >= 0) {
        (void)close(jobs->cancel_fd);
        jobs->cancel_fd = -1;
    }
}

// ---- running

static int failed(const char *what, Slice command, const BenchResult *r, Err *e)
{
    Buf words = buf_create(200);
    bench_result_describe(r, &words);
    Slice tail = slice_trim(buf_slice(&r->error));
    int rc =
        err_set(e, ERR_IO, "%s \"%.*s\": %.*s%s%.*s", what, SLICE_FMT(command),
                SLICE_FMT(buf_slice(&words)), tail.len > 0 ? "; it said:\n" : "", SLICE_FMT(tail));
    buf_done(&words);
    return rc;
}

int benchmark_aside(const BenchmarkJobs *jobs, const BenchmarkJob *job, const char *line,
                    const char *what, Err *e)
{
    (void)job;
    if (!line) {
        return 0;
    }
    BenchResult r = bench_result_create();
    BenchCommand c = {.shell = line,
                      .timeout_ns = ASIDE_TIMEOUT_NS,
                      .error_tail_bytes = ERROR_TAIL_BYTES,
                      .cancel_fd = jobs->cancel_fd};
    int rc = bench_command_run(&c, &r, e);
    if (rc == 0 && !bench_result_good(&r)) {
        rc = failed(what, slice_from_cstr(line), &r, e);
    }
    bench_result_done(&r);
    return rc;
}

int benchmark_sample(const BenchmarkJobs *jobs, const BenchmarkJob *job, BenchResult *result,
                     Err *e)
{
    int rc = benchmark_aside(jobs, job, job->prepare, "--prepare", e);
    if (rc == 0) {
        rc = bench_command_run(&job->command, result, e);
    }
    if (rc == 0 && !jobs->ignore_failure && !bench_result_good(result)) {
        rc = failed("the command", job->series.command, result, e);
        return result->sample.timed_out ? err_set(e, ERR_TIMEOUT, "%.*s: no end within --timeout",
                                                  SLICE_FMT(job->series.command))
                                        : rc;
    }
    return rc == 0 ? benchmark_aside(jobs, job, job->conclude, "--conclude", e) : rc;
}

// ---- the record

static int read_labels(App *app, const OptionSet *set, Labels *ret_labels, Err *e)
{
    Label *items = ARENA_ARRAY(app->arena, Label, LABELS_MAX);
    size_t count = 0;
    for (const OptionValue *v = option_values(set, "label"); v; v = v->next, count++) {
        if (count == LABELS_MAX ||
            !slice_cut(v->text, '=', &items[count].key, &items[count].value)) {
            return err_set(e, ERR_ARG, "--label %.*s: write KEY=VALUE, at most %d",
                           SLICE_FMT(v->text), LABELS_MAX);
        }
    }
    return labels_copy(app->arena, items, count, ret_labels, e);
}

const char *benchmark_keep(App *app, const OptionSet *set, const BenchmarkKept *kept)
{
    if (option_flag(set, "no-record")) {
        return NULL;
    }
    Err e = {0};
    Ledger *ledger = NULL;
    char *id = arena_alloc(app->arena, RUN_ID_LEN + 1);
    BenchRecord record = {.name = kept->name,
                          .version = SLICE(PERFWRIGHT_VERSION),
                          .plan_json = kept->plan_json,
                          .summary_json = kept->summary_json,
                          .samples_json = kept->samples_json,
                          .hyperfine_json = kept->hyperfine_json,
                          .seed = kept->seed,
                          .started_unix_ns = kept->started_unix_ns,
                          .duration_ns = kept->duration_ns,
                          .status = kept->partial ? RUN_PARTIAL : RUN_COMPLETE,
                          .reason = kept->partial ? SLICE("stopped from outside") : (Slice){0}};
    int rc = read_labels(app, set, &record.labels, &e);
    if (rc == 0 && (rc = app_open_ledger(app, set, false, &ledger, &e)) == 0) {
        rc = bench_record(ledger, &record, id, &e);
        ledger_close(ledger);
    }
    if (rc != 0) {
        app_warn(app, "not recorded: %s", e.text);
        return NULL;
    }
    return id;
}
