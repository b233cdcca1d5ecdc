// loadtest and execute: a plan (a file, or what the options say) run against a service. loadtest
// also judges what it measured; execute leaves that to analyse and gate.
#include <signal.h>
#include <unistd.h>

#include "assess/execute.h"
#include "cli/commands.h"
#include "cli/judging.h"
#include "cli/plan_options.h"
#include "load/progress.h"
#include "os/file.h"
#include "os/host.h"
#include "os/signal.h"

enum { LABELS_GIVEN_MAX = 16, WARNINGS_MAX = 8, SUMMARY_BYTES_MAX = 1 << 20 };

typedef struct LoadTest {
    App *app;
    const OptionSet *set;
    const Plan *plan;
    Loop *loop;
    Signals *signals;
    Guard *guard;
    Ledger *ledger;
    Execution *execution;
    Progress progress;
    bool progress_on;
    int runs;
    int signals_seen;
    HostInfo host;
} LoadTest;

// ---- talk while it runs

static void to_stderr(void *ctx, Slice bytes)
{
    (void)ctx;
    (void)fwrite(bytes.ptr, 1, bytes.len, stderr);
    (void)fflush(stderr);
}

static void on_status(void *ctx, const EngineStatus *status)
{
    LoadTest *t = ctx;
    if (t->progress_on) {
        progress_update(&t->progress, status);
    }
}

static void end_progress(LoadTest *t)
{
    if (t->progress_on) {
        progress_end(&t->progress);
        t->progress_on = false;
    }
}

static void on_begin(void *ctx, int index, const RunInfo *info)
{
    LoadTest *t = ctx;
    if (t->runs > 1) {
        app_say(t->app, "run %d of %d: %s", index + 1, t->runs, info->id);
    } else {
        app_say(t->app, "run %s", info->id);
    }
    t->progress_on = !t->app->quiet;
    t->progress = progress_create(&(ProgressOptions){.tty = t->app->talk_is_terminal,
                                                     .color = t->app->talk_color,
                                                     .width = t->app->columns,
                                                     .write = to_stderr});
}

static void on_end(void *ctx, int index, const SessionResult *result)
{
    LoadTest *t = ctx;
    (void)index;
    end_progress(t);
    if (result->end.status != RUN_COMPLETE) {
        app_warn(t->app, "%.*s: %.*s", SLICE_FMT(run_status_name(result->end.status)),
                 SLICE_FMT(result->end.reason));
    }
    if (result->info.load_scale < 1.0) {
        app_warn(t->app, "the load was reduced to %.0f %% after the generator had failed",
                 result->info.load_scale * 100);
    }
}

static void on_note(void *ctx, Slice text, bool warning)
{
    LoadTest *t = ctx;
    if (t->progress_on && t->app->talk_is_terminal) {
        (void)fputs("\r\x1b[K", stderr); // the progress line is drawn anew behind this
    }
    if (warning) {
        app_warn(t->app, "%.*s", SLICE_FMT(text));
    } else {
        app_say(t->app, "%.*s", SLICE_FMT(text));
    }
}

static void on_signal(void *ctx, int number)
{
    LoadTest *t = ctx;
    if (number != SIGINT && number != SIGTERM) {
        return;
    }
    t->signals_seen++;
    on_note(t,
            t->signals_seen == 1
                ? SLICE("stopping: running iterations may finish; once more cuts them")
                : SLICE("stopping now"),
            false);
    if (t->execution) {
        execution_stop(t->execution);
    }
}

// ---- before it runs

static void preflight(LoadTest *t)
{
    Slice warnings[WARNINGS_MAX];
    int64_t connections = plan_vus_max(t->plan);
    host_info(&t->host);
    size_t count = health_preflight(&t->host, connections, warnings, WARNINGS_MAX, t->app->arena);
    for (size_t i = 0; i < count; i++) {
        app_warn(t->app, "%.*s", SLICE_FMT(warnings[i]));
    }
}

static int read_labels(LoadTest *t, Labels *ret_labels, Err *e)
{
    Label items[LABELS_GIVEN_MAX];
    size_t count = 0;
    for (const OptionValue *v = option_values(t->set, "label"); v; v = v->next) {
        if (count == LABELS_GIVEN_MAX) {
            return err_set(e, ERR_LIMIT, "more than %d labels", LABELS_GIVEN_MAX);
        }
        if (!slice_cut(v->text, '=', &items[count].key, &items[count].value) ||
            items[count].key.len == 0) {
            return err_set(e, ERR_ARG, "--label %.*s: write KEY=VALUE", SLICE_FMT(v->text));
        }
        count++;
    }
    return labels_copy(t->app->arena, items, count, ret_labels, e);
}

static const Slice *texts_of(LoadTest *t, const char *option, size_t *ret_count)
{
    size_t count = 0;
    for (const OptionValue *v = option_values(t->set, option); v; v = v->next) {
        count++;
    }
    Slice *texts = ARENA_ARRAY(t->app->arena, Slice, count + 1);
    *ret_count = 0;
    for (const OptionValue *v = option_values(t->set, option); v; v = v->next) {
        texts[(*ret_count)++] = v->text;
    }
    return texts;
}

static GuardCaller caller_of(const OptionSet *set)
{
    static const GuardCaller callers[] = {GUARD_CALLER_PERSON, GUARD_CALLER_AGENT,
                                          GUARD_CALLER_API};
    return callers[option_int(set, "caller")];
}

static int prepare(LoadTest *t, ExecuteOptions *options, Err *e)
{
    const OptionSet *set = t->set;
    Buf spool = buf_create(4096);
    int rc = user_dir(USER_STATE, "perfwright", &spool, e);
    *options = (ExecuteOptions){
        .plan = t->plan,
        .ledger = t->ledger,
        .guard = t->guard,
        .guarding = {.caller = caller_of(set),
                     .data_isolated = slice_eq_cstr(option_string(set, "data"), "isolated")},
        .runs = t->runs,
        .threads = (int)option_int(set, "threads"),
        .pin = option_flag(set, "pin"),
        .loop = t->loop,
        .version = SLICE(PERFWRIGHT_VERSION),
        .no_setup = option_flag(set, "no-setup"),
        .no_teardown = option_flag(set, "no-teardown"),
        .no_thresholds = option_flag(set, "no-thresholds"),
        .get_env = getenv,
        .on_status = on_status,
        .on_begin = on_begin,
        .on_end = on_end,
        .on_note = on_note,
        .ctx = t,
    };
    if (rc == 0) {
        buf_puts(&spool, "/spool");
        options->spool_directory = arena_cstr(t->app->arena, buf_slice(&spool));
        rc = read_labels(t, &options->labels, e);
    }
    buf_done(&spool);
    options->outputs = texts_of(t, "out", &options->output_count);
    options->slo_files = texts_of(t, "slo", &options->slo_file_count);
    if (rc == 0 && options->output_count > EXECUTE_OUTPUTS_MAX) {
        rc = err_set(e, ERR_LIMIT, "more than %d times --out", EXECUTE_OUTPUTS_MAX);
    }
    return rc;
}

static int open_all(LoadTest *t, Err *e)
{
    int rc = plan_options_read(t->app, t->set, &t->plan, e);
    if (rc == 0) {
        // A mistake in the objectives is told before a long test instead of after it.
        rc = judging_check_slos(t->app, t->set, t->plan->slo_files, t->plan->slo_file_count, e);
    }
    if (rc == 0 && caller_of(t->set) != GUARD_CALLER_PERSON && option_given(t->set, "base-url")) {
        rc = err_set(e, ERR_REFUSED,
                     "--base-url moves a declared environment to another host, which "
                     "only a person may do (guard.undeclared-host, built in)");
    }
    if (rc == 0) {
        rc = guard_create(NULL, &t->guard, e);
    }
    if (rc == 0) {
        rc = app_open_ledger(t->app, t->set, false, &t->ledger, e);
    }
    if (rc == 0) {
        rc = loop_create(&(LoopOptions){0}, &t->loop, e);
    }
    if (rc == 0) {
        rc = signals_watch(t->loop, on_signal, t, &t->signals, e);
    }
    return rc;
}

static void close_all(LoadTest *t)
{
    execution_destroy(t->execution);
    signals_close(t->signals);
    loop_destroy(t->loop);
    ledger_close(t->ledger);
    guard_destroy(t->guard);
}

static int run_plan(LoadTest *t, Err *e)
{
    ExecuteOptions options;
    t->runs = (int)option_int(t->set, "runs");
    int rc = prepare(t, &options, e);
    if (rc != 0) {
        return rc;
    }
    preflight(t);
    t->execution = execution_create(&options, t->app->arena);
    rc = execution_run(t->execution, e);
    end_progress(t); // of a run that broke before its end
    return rc;
}

// ---- the verbs

static int run_loadtest(App *app, const OptionSet *set, Err *e)
{
    app->quiet = option_flag(set, "quiet");
    LoadTest t = {.app = app, .set = set};
    int rc = judging_check_outputs(set, e);
    if (rc == 0) {
        rc = open_all(&t, e);
    }
    if (rc == 0) {
        rc = run_plan(&t, e);
    }
    if (rc == 0 && execution_is_recorded(t.execution)) {
        AssessOptions options = judging_options(app, set, execution_selector(t.execution));
        rc = judging_run(app, set, t.ledger, &options, e);
    } else if (rc == 0) {
        RunData *run = execution_last_run(t.execution, app->arena);
        rc = judging_run_unrecorded(app, set, run, e);
        rc = rc == EXIT_PASS ? EXIT_ERROR : rc; // a run that nobody can look at again
    }
    if (rc == EXIT_PARTIAL && t.signals_seen > 0) {
        rc = EXIT_SIGNAL;
    }
    close_all(&t);
    return rc;
}

// What a run by itself can say: thresholds and objectives are left to the judge.
static int run_execute(App *app, const OptionSet *set, Err *e)
{
    app->quiet = option_flag(set, "quiet");
    LoadTest t = {.app = app, .set = set};
    int rc = open_all(&t, e);
    if (rc == 0) {
        rc = run_plan(&t, e);
    }
    if (rc == 0) {
        Slice rest = execution_selector(t.execution);
        while (rest.len > 0) {
            Slice id;
            (void)slice_cut(rest, ',', &id, &rest);
            buf_printf(&app->out, "%.*s\n", SLICE_FMT(id));
        }
        RunStatus status = execution_status(t.execution);
        rc = status == RUN_COMPLETE || status == RUN_INVALID ? EXIT_PASS : EXIT_PARTIAL;
        if (!execution_is_recorded(t.execution)) {
            rc = EXIT_ERROR;
        }
        if (t.signals_seen > 0) {
            rc = EXIT_SIGNAL;
        }
    }
    close_all(&t);
    return rc;
}

static const char *const CALLERS[] = {"person", "agent", "api", NULL};

#define LOAD_OPTIONS                                                                               \
    PLAN_OPTIONS,                                                                                  \
        {.name = "runs",                                                                           \
         .kind = OPTION_INT,                                                                       \
         .default_text = "1",                                                                      \
         .min = 1,                                                                                 \
         .max = EXECUTE_RUNS_MAX,                                                                  \
         .section = "Recording",                                                                   \
         .help = "Repeat the whole test; three or more make a comparison that can be proven."},    \
        {.name = "label",                                                                          \
         .short_name = 'l',                                                                        \
         .kind = OPTION_STRING,                                                                    \
         .repeat = true,                                                                           \
         .metavar = "KEY=VALUE",                                                                   \
         .section = "Recording",                                                                   \
         .help = "Label of the runs, such as commit=4f2c."},                                       \
        {.name = "out",                                                                            \
         .short_name = 'o',                                                                        \
         .kind = OPTION_STRING,                                                                    \
         .repeat = true,                                                                           \
         .section = "Recording",                                                                   \
         .help = "Send points elsewhere too, as k6 does: json=FILE, csv=FILE, "                    \
                 "experimental-prometheus-rw."},                                                   \
        {.name = "threads",                                                                        \
         .kind = OPTION_INT,                                                                       \
         .default_text = "1",                                                                      \
         .min = 1,                                                                                 \
         .max = ENGINE_THREADS_MAX,                                                                \
         .section = "Generator",                                                                   \
         .help = "Threads of the generator; one does some 100,000 requests a second."},            \
        {.name = "pin",                                                                            \
         .kind = OPTION_FLAG,                                                                      \
         .section = "Generator",                                                                   \
         .help = "Keep each thread on a CPU of its own."},                                         \
        {.name = "no-setup",                                                                       \
         .kind = OPTION_FLAG,                                                                      \
         .section = "Generator",                                                                   \
         .help = "Leave out the plan's setup."},                                                   \
        {.name = "no-teardown",                                                                    \
         .kind = OPTION_FLAG,                                                                      \
         .section = "Generator",                                                                   \
         .help = "Leave out the plan's teardown."},                                                \
        {.name = "no-thresholds",                                                                  \
         .kind = OPTION_FLAG,                                                                      \
         .section = "Generator",                                                                   \
         .help = "Leave out the plan's thresholds."},                                              \
    {                                                                                              \
        .name = "caller", .kind = OPTION_CHOICE, .choices = CALLERS, .default_text = "person",     \
        .section = "Guard rails",                                                                  \
        .help = "Who starts this run. Agents and the API never pass the built-in ceilings."        \
    }

static const Option LOADTEST_OPTIONS[] = {
    LOAD_OPTIONS,
    OPTION_BASELINE,
    OPTION_NO_BASELINE,
    OPTION_SLO,
    OPTION_NO_DEFAULT_SLO,
    OPTION_MARGIN,
    OPTION_ALLOW_NOT_PROVEN,
    OPTION_REPORT,
    OPTION_SUMMARY_EXPORT,
    OPTION_QUIET,
    OPTION_JSON,
    OPTION_LEDGER,
};
static const Option EXECUTE_OPTIONS[] = {LOAD_OPTIONS, OPTION_SLO, OPTION_QUIET, OPTION_LEDGER};
static const Positional PLAN_ARG[] = {{"PLAN", "A plan in YAML or JSON.", true, false}};
static const Example LOADTEST_EXAMPLES[] = {
    {"perfwright loadtest --url http://127.0.0.1:8080/ --vus 50 --duration 30s", "A closed model."},
    {"perfwright loadtest --url http://127.0.0.1:8080/ --rate 2000/s --duration 1m",
     "An open model: arrivals do not wait for answers."},
    {"perfwright loadtest plan.yaml --runs 3 --baseline main --report report.html",
     "A plan, three runs, compared with a pinned baseline."},
};
static const Example EXECUTE_EXAMPLES[] = {
    {"perfwright execute plan.yaml --runs 3 --label commit=4f2c", "Measure now, judge later."},
};
static const Verb VERB_LOADTEST = {
    .name = "loadtest",
    .summary = "run a load test, judge it, report it",
    .description =
        "Runs a plan, or what --url and the load options say, records every run in the ledger, "
        "judges the runs against objectives, thresholds and a baseline, and prints the report. The "
        "exit code is the verdict's, as with gate. Ctrl-C lets running iterations finish and "
        "reports what ran; a second one cuts them.",
    OPTION_TABLE(LOADTEST_OPTIONS),
    POSITIONAL_TABLE(PLAN_ARG),
    EXAMPLE_TABLE(LOADTEST_EXAMPLES)};
static const Verb VERB_EXECUTE = {
    .name = "execute",
    .summary = "run a load test and record it, without judging",
    .description = "Prints the ids of the runs. analyse and gate judge them. Exits with 114 when a "
                   "run ended early.",
    OPTION_TABLE(EXECUTE_OPTIONS),
    POSITIONAL_TABLE(PLAN_ARG),
    EXAMPLE_TABLE(EXECUTE_EXAMPLES)};
const Command CMD_LOADTEST = {.verb = &VERB_LOADTEST, .run = run_loadtest};
const Command CMD_EXECUTE = {.verb = &VERB_EXECUTE, .run = run_execute};
