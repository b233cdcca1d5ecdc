// improve configure: which commands install, build, test and measure a repository, found by running
// them.
#include "cli/commands.h"
#include "cli/improve_cli.h"
#include "cli/table.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json_write.h"
#include "bench/noise.h"
#include "improve/configure_sandbox.h"
#include "os/file.h"

enum { TREE_ARENA_MAX = 1 << 30, NOISE_BUDGET_S = 5, NOISE_SPIN_MS = 50, PERCENT = 100 };

typedef struct Job {
    App *app;
    const OptionSet *set;
    Arena *arena;       // of the tree
    const char *repo;   // a directory
    const char *output; // REPO/.perfwright
    Slice directory;
    Tree tree;
    Steps old;
    bool has_old;
    ConfigureReport report;
    double resolvable; // 0.02: 2 %; 0: not measured
} Job;

static void say(void *ctx, const char *text)
{
    app_say(ctx, "%s", text);
}

// ---- where

// A file stands for its directory: a lone program is a repository too.
static int find_repository(Job *job, Err *e)
{
    Slice given = option_positional(job->set, 0);
    const char *path = arena_cstr(job->app->arena, given.len > 0 ? given : SLICE("."));
    struct stat st;
    if (stat(path, &st) != 0) {
        return err_set(e, ERR_NOT_FOUND, "%s: there is no such directory", path);
    }
    if (!S_ISDIR(st.st_mode)) {
        path = arena_cstr(job->app->arena, path_directory(slice_from_cstr(path)));
    }
    char *full = realpath(path, NULL);
    if (full == NULL) {
        return err_set(e, ERR_NOT_FOUND, "%s cannot be reached", path);
    }
    job->repo = arena_cstr(job->app->arena, slice_from_cstr(full));
    free(full);
    Slice output = arena_printf(job->app->arena, "%s/.perfwright", job->repo);
    job->output = arena_cstr(job->app->arena, output);
    job->directory = option_string(job->set, "path");
    return 0;
}

static const char *in_output(Job *job, const char *name)
{
    return arena_cstr(job->app->arena, arena_printf(job->app->arena, "%s/%s", job->output, name));
}

static int read_old(Job *job, Err *e)
{
    Err own = {0};
    int rc = steps_read_file(job->app->arena, in_output(job, "steps.yaml"), &job->old, &own);
    if (rc == ERR_NOT_FOUND) {
        return 0;
    }
    if (rc != 0) {
        return err_set(e, rc, "%s\n(correct it, or move it away to begin anew)", own.text);
    }
    job->has_old = true;
    return 0;
}

// ---- what is written

static int write_text(Job *job, const char *name, Buf *text, Err *e)
{
    int rc = buf_check(text, name, e);
    if (rc == 0) {
        rc = file_write(in_output(job, name), buf_slice(text), NULL, e);
    }
    buf_done(text);
    return rc;
}

static int write_all(Job *job, Err *e)
{
    const ConfigureReport *r = &job->report;
    Buf steps = buf_create(STEPS_BYTES_MAX), build = buf_create(1 << 16);
    Buf measure = buf_create(1 << 16), bottlenecks = buf_create(1 << 16);
    Buf skeleton = buf_create(1 << 16);
    steps_write(&r->steps, &steps);
    configure_guide_build(r, &build);
    configure_guide_measure(r, job->resolvable, &measure);
    configure_guide_bottlenecks(r, &bottlenecks);
    configure_skeleton(r, &skeleton);
    int rc = dir_make_all(in_output(job, "guides"), e);
    struct {
        const char *name;
        Buf *text;
    } files[] = {{"steps.yaml", &steps},
                 {"guides/build.md", &build},
                 {"guides/measure.md", &measure},
                 {"guides/bottlenecks.md", &bottlenecks}};
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        if (rc == 0) {
            rc = write_text(job, files[i].name, files[i].text, e);
        } else {
            buf_done(files[i].text);
        }
    }
    const char *workload = in_output(job, "workloads/skeleton.sh");
    bool wanted = r->steps.workload_count > 0 && r->steps.workloads[0].skeleton;
    if (rc == 0 && wanted && access(workload, F_OK) != 0 &&
        (rc = dir_make_all(in_output(job, "workloads"), e)) == 0) {
        rc = file_write(workload, buf_slice(&skeleton), NULL, e);
    }
    buf_done(&skeleton);
    return rc;
}

// ---- what is said

static const char *state_of(bool validated)
{
    return validated ? "validated" : "guessed";
}

static void print_steps(App *app, const char *kind, const StepList *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const Step *s = &list->items[i];
        Slice first, rest;
        (void)slice_cut(s->run, '\n', &first, &rest);
        if (slice_eq_cstr(first, "set -e")) {
            (void)slice_cut(rest, '\n', &first, &rest);
        }
        buf_printf(&app->out, "%-10s %-9s ", kind, s->by_person ? "yours" : state_of(s->validated));
        if (s->seconds > 0) {
            buf_printf(&app->out, "%6.1f s  ", s->seconds);
        } else {
            buf_puts(&app->out, "          ");
        }
        buf_printf(&app->out, "%.*s%s\n", (int)(first.len < 90 ? first.len : 90), first.ptr,
                   rest.len > 0 || first.len > 90 ? " ..." : "");
        if (s->tests >= 0) {
            buf_printf(&app->out, "%30s%lld tests passed\n", "", (long long)s->tests);
        }
        if (s->note.len > 0) {
            buf_printf(&app->out, "%30s%.*s\n", "", (int)(s->note.len < 300 ? s->note.len : 300),
                       s->note.ptr);
        }
    }
}

static void print_benchmarks(App *app, const Steps *steps)
{
    enum { SHOWN_MAX = 15 };
    size_t validated = 0;
    for (size_t i = 0; i < steps->benchmark_count; i++) {
        validated += steps->benchmarks[i].validated;
    }
    buf_printf(&app->out, "\nbenchmarks: %zu found, %zu validated\n", steps->benchmark_count,
               validated);
    for (size_t i = 0; i < steps->benchmark_count && i < SHOWN_MAX; i++) {
        const Benchmark *b = &steps->benchmarks[i];
        buf_printf(&app->out, "  %-9s %-17.*s %-40.*s %.*s\n", b->validated ? "validated" : "found",
                   SLICE_FMT(b->harness), SLICE_FMT(b->name), SLICE_FMT(b->source));
    }
    if (steps->benchmark_count > SHOWN_MAX) {
        buf_printf(&app->out, "  ... %zu more in steps.yaml\n", steps->benchmark_count - SHOWN_MAX);
    } else if (steps->benchmark_count == 0) {
        buf_puts(&app->out, "  none: .perfwright/workloads/skeleton.sh is there to be filled in\n");
    }
}

static void print_failures(App *app, const ConfigureReport *r)
{
    bool any = false;
    for (size_t i = 0; i < r->trial_count; i++) {
        const ConfigureTrial *t = &r->trials[i];
        if (t->ok || t->reason.len == 0) {
            continue;
        }
        buf_printf(&app->out, "%s  %.*s %.*s %.*s: %.*s (%.*s)\n",
                   any ? "" : "\ntried, and did not work:\n", SLICE_FMT(t->recipe),
                   SLICE_FMT(t->kind), SLICE_FMT(t->what), SLICE_FMT(t->reason), SLICE_FMT(t->log));
        any = true;
    }
}

static void print_packages(App *app, const ConfigureReport *r)
{
    const Steps *s = &r->steps;
    if (s->packages_missing_count > 0) {
        buf_puts(&app->out, "\nnot installed, perhaps needed (--install-packages):\n ");
        for (size_t i = 0; i < s->packages_missing_count; i++) {
            buf_printf(&app->out, " %.*s", SLICE_FMT(s->packages_missing[i]));
        }
        buf_putc(&app->out, '\n');
    }
}

static void print_text(Job *job)
{
    App *app = job->app;
    const ConfigureReport *r = &job->report;
    const Steps *s = &r->steps;
    buf_printf(&app->out, "%s: %.*s", job->repo,
               SLICE_FMT(r->inference ? r->inference->language : SLICE("unknown")));
    buf_printf(&app->out, "%s%.*s%s\n\n", r->recipe.len > 0 ? ", by " : "", SLICE_FMT(r->recipe),
               r->kept_from_before ? ", unchanged since it was validated" : "");
    print_steps(app, "install", &s->install);
    print_steps(app, "build", &s->build);
    print_steps(app, "test", &s->test);
    if (r->incremental_seconds > 0) {
        buf_printf(&app->out, "%-10s %-9s %6.1f s  building again with nothing changed\n", "", "",
                   r->incremental_seconds);
    }
    if (s->build.count == 0) {
        buf_puts(&app->out, "nothing here that is known to be built\n");
    }
    print_benchmarks(app, s);
    print_failures(app, r);
    print_packages(app, r);
    if (job->resolvable > 0) {
        buf_printf(&app->out, "\nthis machine resolves effects from %.2g %% on\n",
                   job->resolvable * PERCENT);
    }
    if (r->out_of_time) {
        buf_puts(&app->out, "\nstopped at the time limit: what was not reached is a guess\n");
    }
}

static void json_trials(JsonWriter *w, const ConfigureReport *r)
{
    json_key(w, SLICE("tried"));
    json_array_begin(w);
    for (size_t i = 0; i < r->trial_count; i++) {
        const ConfigureTrial *t = &r->trials[i];
        json_object_begin(w);
        json_field_string(w, "recipe", t->recipe);
        json_field_string(w, "kind", t->kind);
        json_field_string(w, "what", t->what);
        json_field_string(w, "run", t->run);
        json_field_bool(w, "ok", t->ok);
        json_field_bool(w, "timedOut", t->timed_out);
        json_field_double(w, "seconds", t->seconds);
        json_field_string(w, "log", t->log);
        json_field_string(w, "reason", t->reason);
        json_object_end(w);
    }
    json_array_end(w);
}

static void print_json(Job *job)
{
    const ConfigureReport *r = &job->report;
    JsonWriter w = json_writer(&job->app->out, 2);
    json_object_begin(&w);
    json_field_int(&w, "version", 1);
    json_field_cstr(&w, "repository", job->repo);
    json_field_string(&w, "language", r->inference ? r->inference->language : SLICE("unknown"));
    json_field_string(&w, "recipe", r->recipe);
    json_field_bool(&w, "buildValidated", r->build_validated);
    json_field_bool(&w, "testValidated", r->test_validated);
    json_key(&w, SLICE("tests"));
    if (r->tests >= 0) {
        json_int(&w, r->tests);
    } else {
        json_null(&w);
    }
    json_field_int(&w, "benchmarksFound", (int64_t)r->steps.benchmark_count);
    json_field_double(&w, "incrementalSeconds", r->incremental_seconds);
    if (job->resolvable > 0) {
        json_field_double(&w, "resolvable", job->resolvable);
    }
    json_field_bool(&w, "outOfTime", r->out_of_time);
    json_field_bool(&w, "keptFromBefore", r->kept_from_before);
    json_key(&w, SLICE("steps"));
    steps_write_json(&r->steps, &w);
    json_trials(&w, r);
    json_object_end(&w);
    buf_putc(&job->app->out, '\n');
}

// ---- the verb

// What this machine can tell apart with the third of NOISE_PAIRS, and whether the goal is above it.
static int check_goal(Job *job, Err *e)
{
    const OptionSet *set = job->set;
    if (option_flag(set, "dry-run") && !option_given(set, "goal")) {
        return 0;
    }
    static const int64_t LENGTH = NOISE_SPIN_MS * NS_PER_MS;
    NoiseOptions options = {
        .budget_ns = NOISE_BUDGET_S * NS_PER_SECOND, .lengths_ns = &LENGTH, .length_count = 1};
    NoiseReport noise;
    app_say(job->app, "measuring what this machine can resolve");
    int rc = noise_measure(&options, job->app->arena, &noise, e);
    if (rc != 0) {
        return rc;
    }
    double resolvable = noise.count > 0 ? noise.rows[0].resolvable_wall[2] : 0;
    job->resolvable = resolvable > 0 && resolvable < 1e3 ? resolvable : 0;
    double goal = option_float(set, "goal") / PERCENT;
    if (option_given(set, "goal") && (job->resolvable == 0 || goal < job->resolvable)) {
        return err_set(e, ERR_REFUSED,
                       "a goal of %.2g %% cannot be shown here: with %zu pairs this machine "
                       "resolves %.2g %% (see `perfwright doctor noise`)",
                       goal * PERCENT, NOISE_PAIRS[2], resolvable * PERCENT);
    }
    return 0;
}

static int configure_in(Job *job, ConfigureSandbox *sandbox, Arena *arena, Err *e)
{
    const OptionSet *set = job->set;
    bool dry = option_flag(set, "dry-run");
    GitHash hash;
    int rc = configure_sandbox_tree(sandbox, arena, &job->tree, hash, e);
    if (rc == 0 && !dry) {
        rc = dir_make_all(in_output(job, "logs"), e);
    }
    if (rc != 0) {
        return rc;
    }
    size_t notes = 0;
    const Slice *note = configure_sandbox_notes(sandbox, &notes);
    for (size_t i = 0; i < notes; i++) {
        app_say(job->app, "%.*s", SLICE_FMT(note[i]));
    }
    ConfigureOptions options = {
        .tree = &job->tree,
        .directory = job->directory,
        .runner = configure_sandbox_runner(sandbox),
        .log_dir = in_output(job, "logs"),
        .old = job->has_old ? &job->old : NULL,
        .tree_hash = option_flag(set, "again") || dry ? (Slice){0} : slice_from_cstr(hash),
        .dry_run = dry,
        .install_packages = option_flag(set, "install-packages"),
        .no_benchmarks = option_flag(set, "no-benchmarks"),
        .time_limit_ns = option_int(set, "time-limit"),
        .step_limit_ns = option_int(set, "step-limit"),
        .say = say,
        .say_ctx = job->app};
    rc = configure(&options, arena, &job->report, e);
    return rc != 0 || dry ? rc : write_all(job, e);
}

static void print(Job *job)
{
    if (option_flag(job->set, "json")) {
        print_json(job);
    } else {
        print_text(job);
    }
}

static int work(ImproveCli *cli, Err *e)
{
    Job *job = cli->ctx;
    Slice dir = option_string(job->set, "work-dir");
    ConfigureSandbox *sandbox = NULL;
    ConfigureSandboxOptions where = {.repo = job->repo,
                                     .work_dir =
                                         dir.len > 0 ? arena_cstr(job->app->arena, dir) : NULL,
                                     .no_sandbox = option_flag(job->set, "no-sandbox"),
                                     .read_only = option_flag(job->set, "dry-run"),
                                     .loop = cli->loop};
    int rc = configure_sandbox_create(&where, &sandbox, e);
    rc = rc == 0 ? configure_in(job, sandbox, job->arena, e) : rc;
    configure_sandbox_destroy(sandbox);
    return rc;
}

static int run_configure(App *app, const OptionSet *set, Err *e)
{
    app->quiet = option_flag(set, "quiet");
    Job job = {.app = app, .set = set, .arena = arena_create(TREE_ARENA_MAX)};
    ImproveCli cli = {.app = app, .set = set, .ctx = &job};
    int rc = find_repository(&job, e);
    rc = rc == 0 ? read_old(&job, e) : rc;
    rc = rc == 0 ? check_goal(&job, e) : rc;
    rc = rc == 0 ? improve_cli_fiber(&cli, work, e) : rc;
    if (rc == 0) {
        print(&job);
        // Something to go on with is what the next phase needs.
        rc = cli.stop                                                    ? EXIT_SIGNAL
             : job.report.build_validated || option_flag(set, "dry-run") ? EXIT_PASS
                                                                         : EXIT_NOT_PROVEN;
    }
    improve_cli_close(&cli);
    arena_destroy(job.arena);
    return rc;
}

static const Option OPTIONS[] = {
    {.name = "path",
     .kind = OPTION_STRING,
     .metavar = "DIR",
     .section = "What",
     .help = "The part of a large repository that is meant, relative to it."},
    {.name = "goal",
     .kind = OPTION_FLOAT,
     .metavar = "PERCENT",
     .min = 0.01,
     .max = 1000,
     .section = "What",
     .help = "The effect that is aimed at. Refused, with the figure, when this machine cannot "
             "resolve it."},
    {.name = "dry-run",
     .short_name = 'n',
     .kind = OPTION_FLAG,
     .section = "What",
     .help = "Only infer: nothing is run, nothing is written."},
    {.name = "again",
     .kind = OPTION_FLAG,
     .section = "What",
     .help = "Run also what was validated before and has not changed."},
    {.name = "no-benchmarks",
     .kind = OPTION_FLAG,
     .section = "What",
     .help = "Find the benchmarks, but do not run them."},
    {.name = "install-packages",
     .kind = OPTION_FLAG,
     .section = "What",
     .help = "Install missing packages of this system with apt-get: for containers. Needs root."},
    {.name = "time-limit",
     .kind = OPTION_DURATION,
     .default_text = "20m",
     .default_unit = NS_PER_SECOND,
     .min = 1e9,
     .max = 86400e9,
     .section = "Limits",
     .help = "For everything."},
    {.name = "step-limit",
     .kind = OPTION_DURATION,
     .default_text = "5m",
     .default_unit = NS_PER_SECOND,
     .min = 1e9,
     .max = 86400e9,
     .section = "Limits",
     .help = "For one command."},
    {.name = "work-dir",
     .kind = OPTION_STRING,
     .metavar = "DIR",
     .section = "Limits",
     .help = "Where copies are made, instead of the user's cache directory."},
    {.name = "no-sandbox",
     .kind = OPTION_FLAG,
     .section = "Limits",
     .help = "Run the repository's commands with your own rights. Only for what you trust."},
    {.name = "quiet",
     .short_name = 'q',
     .kind = OPTION_FLAG,
     .section = "Output",
     .help = "No progress on standard error."},
    OPTION_JSON,
};
static const Positional ARGUMENTS[] = {
    {"REPO", "The repository, a plain directory or a single file; the current directory if none.",
     true, false}};
static const Example EXAMPLES[] = {
    {"perfwright improve configure .", "Find out how this repository is built and tested."},
    {"perfwright improve configure --dry-run --json", "What would be tried."},
    {"perfwright improve configure --path services/parser", "A part of a large repository."},
};
static const Verb VERB = {
    .name = "improve configure",
    .summary = "find out how a repository is built, tested and measured, by trying",
    .description =
        "Reads CI workflows, containers and build files, then runs what they suggest in clean "
        "copies in a sandbox: install with network, build and test without, twice. What worked is "
        "marked validated, the rest is a guess. Writes .perfwright/steps.yaml, logs and short "
        "guides; edits of yours in steps.yaml are kept.\n\n"
        "Exit code 0 when a build was validated, 113 when nothing worked.",
    OPTION_TABLE(OPTIONS),
    POSITIONAL_TABLE(ARGUMENTS),
    EXAMPLE_TABLE(EXAMPLES)};
const Command CMD_IMPROVE_CONFIGURE = {&VERB, run_configure, true};
