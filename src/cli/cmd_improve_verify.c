// improve verify: is the patch what it says? Somebody's diff, a range of commits, or a bundle of
// evidence.
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/improve_bundle.h"
#include "improve/judge.h"
#include "improve/steps.h"
#include "os/fiber.h"
#include "os/file.h"
#include "os/signal.h"

enum {
    PATCH_BYTES = 64 << 20,
    JUDGE_ARENA_BYTES = 1 << 30,
    STACK_BYTES = 2 << 20,
    NAME_MAX_BYTES = 60,
};

static const char *const METRICS[] = {"wall", "cpu", "rss", NULL};

typedef struct Verify {
    App *app;
    const OptionSet *set;
    Arena *arena;
    Loop *loop;
    FiberPool *pool;
    Fiber *fiber;
    Signals *signals;
    Ledger *ledger;
    Steps steps;
    JudgeOptions options;
    ImproveBundle *bundle; // what is verified is a bundle of evidence
    uint64_t seed;
    JudgeReport *report;
    int rc;
    Err e;
    bool stop;
} Verify;

// ---- the steps: what is written, and over it what is given here

static Step step_of(Slice run, const char *name)
{
    return (Step){.name = slice_from_cstr(name),
                  .run = run,
                  .directory = SLICE("."),
                  .tests = -1,
                  .by_person = true};
}

static int replace_list(Verify *v, StepList *list, const char *option, const char *name, Err *e)
{
    if (!option_given(v->set, option)) {
        return 0;
    }
    *list = (StepList){0};
    int rc = 0;
    unsigned n = 0;
    const OptionValue *value = option_values(v->set, option);
    for (; rc == 0 && value; value = value->next) {
        // An empty command is "none", whatever steps.yaml says.
        const char *each = n++ == 0 ? name : arena_printf(v->arena, "%s-%u", name, n).ptr;
        Step step = step_of(value->text, each);
        rc = value->text.len > 0 ? step_list_add(v->arena, list, &step, e) : 0;
    }
    return rc;
}

// "parse=./prog {input}": a name of lower-case letters. "LC_ALL=C ./prog" is all command.
static void split_name(Slice text, Slice *ret_name, Slice *ret_run)
{
    size_t n = 0;
    while (n < text.len && n < NAME_MAX_BYTES &&
           ((text.ptr[n] >= 'a' && text.ptr[n] <= 'z') ||
            (n > 0 && ((text.ptr[n] >= '0' && text.ptr[n] <= '9') || text.ptr[n] == '-' ||
                       text.ptr[n] == '_' || text.ptr[n] == '.')))) {
        n++;
    }
    bool named = n > 0 && n < text.len && text.ptr[n] == '=';
    *ret_name = named ? slice_sub(text, 0, n) : (Slice){0};
    *ret_run = named ? slice_sub(text, n + 1, text.len) : text;
}

static int read_sizes(Verify *v, WorkloadInputs *inputs, Err *e)
{
    Slice rest = option_string(v->set, "sizes"), one;
    inputs->sizes = ARENA_ARRAY(v->arena, int64_t, rest.len + 1);
    while (rest.len > 0) {
        (void)slice_cut(rest, ',', &one, &rest);
        int64_t size;
        if (count_parse(slice_trim(one), &size, NULL) != 0 || size < 0) {
            return err_set(e, ERR_ARG, "--sizes: \"%.*s\" is no size; write 1000,10k",
                           SLICE_FMT(one));
        }
        inputs->sizes[inputs->size_count++] = size;
    }
    return 0;
}

// A file here, or one of the repository's.
static Slice input_path(Verify *v, Slice given)
{
    const char *path = arena_cstr(v->arena, given);
    char *real = realpath(path, NULL);
    Slice found = real ? arena_copy(v->arena, slice_from_cstr(real)) : given;
    free(real);
    return found;
}

static int read_inputs(Verify *v, WorkloadInputs *inputs, Err *e)
{
    if (option_given(v->set, "generator")) {
        inputs->generator = option_string(v->set, "generator");
    }
    int rc = option_given(v->set, "sizes") ? read_sizes(v, inputs, e) : 0;
    if (option_given(v->set, "input")) {
        size_t count = 0;
        for (const OptionValue *o = option_values(v->set, "input"); o; o = o->next) {
            count++;
        }
        inputs->files = ARENA_ARRAY(v->arena, Slice, count);
        inputs->file_count = 0;
        for (const OptionValue *o = option_values(v->set, "input"); o; o = o->next) {
            inputs->files[inputs->file_count++] = input_path(v, o->text);
        }
    }
    return rc;
}

static int read_workloads(Verify *v, Err *e)
{
    WorkloadInputs inputs = {0};
    int rc = read_inputs(v, &inputs, e);
    if (rc != 0 || !option_given(v->set, "workload")) {
        return rc;
    }
    size_t count = 0;
    for (const OptionValue *o = option_values(v->set, "workload"); o; o = o->next) {
        count++;
    }
    v->steps.workloads = ARENA_ARRAY(v->arena, Workload, count);
    v->steps.workload_count = 0;
    for (const OptionValue *o = option_values(v->set, "workload"); o; o = o->next) {
        Workload *w = &v->steps.workloads[v->steps.workload_count++];
        Slice name;
        *w = (Workload){.directory = SLICE("."),
                        .metric = slice_from_cstr(METRICS[option_int(v->set, "metric")]),
                        .output = option_given(v->set, "output-file")
                                      ? option_string(v->set, "output-file")
                                      : SLICE("stdout"),
                        .inputs = inputs,
                        .by_person = true};
        split_name(o->text, &name, &w->run);
        w->name =
            name.len > 0
                ? name
                : arena_printf(v->arena, v->steps.workload_count == 1 ? "workload" : "workload-%zu",
                               v->steps.workload_count);
    }
    return 0;
}

static int read_globs(Verify *v, const char *option, Slice **ret_items, size_t *ret_count)
{
    size_t count = 0;
    for (const OptionValue *o = option_values(v->set, option); o; o = o->next) {
        count++;
    }
    if (count > 0) {
        *ret_items = ARENA_ARRAY(v->arena, Slice, count);
        *ret_count = 0;
        for (const OptionValue *o = option_values(v->set, option); o; o = o->next) {
            (*ret_items)[(*ret_count)++] = o->text;
        }
    }
    return 0;
}

static int read_steps(Verify *v, Err *e)
{
    Slice given = option_string(v->set, "steps");
    const char *path =
        given.len > 0
            ? arena_cstr(v->arena, given)
            : arena_printf(v->arena, "%s/.perfwright/steps.yaml", v->options.repository).ptr;
    Err none = {0};
    int rc = steps_read_file(v->arena, path, &v->steps, &none);
    if (rc != 0 && (rc != ERR_NOT_FOUND || given.len > 0)) {
        return err_set(e, (ErrCode)rc, "%s", none.text);
    }
    bool written = rc == 0;
    rc = replace_list(v, &v->steps.install, "install", "install", e);
    rc = rc == 0 ? replace_list(v, &v->steps.build, "build", "build", e) : rc;
    rc = rc == 0 ? replace_list(v, &v->steps.test, "test", "test", e) : rc;
    rc = rc == 0 ? read_workloads(v, e) : rc;
    rc = rc == 0 ? read_globs(v, "artifact", &v->steps.artifacts, &v->steps.artifact_count) : rc;
    rc = rc == 0 ? read_globs(v, "protect", &v->steps.protect, &v->steps.protect_count) : rc;
    if (rc == 0 && v->steps.workload_count == 0) {
        return err_set(e, ERR_ARG,
                       "nothing to measure: %s; give --workload CMD (and --build and --test where "
                       "there is something to build or test), or run `perfwright improve "
                       "configure` first",
                       written ? "steps.yaml names no workload"
                               : "there is no .perfwright/steps.yaml");
    }
    for (size_t i = 0; rc == 0 && i < v->steps.install.count; i++) {
        v->steps.install.items[i].network |= option_given(v->set, "install");
    }
    return rc;
}

// ---- the patch

static int read_stream(FILE *from, Buf *out)
{
    char chunk[4096];
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, from)) > 0;) {
        buf_append(out, (Slice){chunk, n});
    }
    return 0;
}

static int read_patch(Verify *v, Err *e)
{
    Slice patch = option_string(v->set, "patch"), pr = option_string(v->set, "pr");
    if ((patch.len > 0) == (pr.len > 0)) {
        return err_set(e, ERR_ARG, "give either --patch FILE or --pr BASE..HEAD");
    }
    if (pr.len > 0) {
        ptrdiff_t dots = slice_find(pr, SLICE(".."));
        if (dots <= 0 || (size_t)dots + 2 >= pr.len) {
            return err_set(e, ERR_ARG, "--pr: write BASE..HEAD, two revisions");
        }
        v->options.base = slice_sub(pr, 0, (size_t)dots);
        v->options.head = slice_sub(pr, (size_t)dots + 2, pr.len);
        return 0;
    }
    Buf text = buf_create(PATCH_BYTES);
    int rc = slice_eq(patch, SLICE("-")) ? read_stream(stdin, &text)
                                         : file_read(arena_cstr(v->arena, patch), &text, e);
    rc = rc == 0 ? buf_check(&text, "the patch", e) : rc;
    if (rc == 0 && slice_trim(buf_slice(&text)).len == 0) {
        rc = err_set(e, ERR_ARG, "the patch is empty");
    }
    if (rc == 0) {
        v->options.patch = arena_copy(v->arena, buf_slice(&text));
        v->options.base = option_string(v->set, "base");
    }
    buf_done(&text);
    return rc;
}

// "5%" and "0.05" are the same.
static int read_min_effect(Verify *v, Err *e)
{
    Slice text = option_string(v->set, "min-effect");
    bool percent = slice_ends_with(text, SLICE("%"));
    double value;
    if (slice_to_f64(percent ? slice_sub(text, 0, text.len - 1) : text, &value) != 0 ||
        !(value > 0) || value > 10000) {
        return err_set(e, ERR_ARG, "--min-effect: write 5%% or 0.05");
    }
    v->options.min_effect = percent ? value / 100 : value;
    return 0;
}

// ---- running

static void on_progress(void *ctx, const char *stage, Slice text)
{
    Verify *v = ctx;
    app_say(v->app, "%-14s %.*s", stage, SLICE_FMT(text));
}

static bool on_stop(void *ctx)
{
    Verify *v = ctx;
    return v->stop;
}

static void on_signal(void *ctx, int number)
{
    Verify *v = ctx;
    (void)number;
    app_say(v->app, "stopping: what was measured so far is kept");
    v->stop = true;
    if (v->fiber) {
        fiber_cancel(v->fiber);
    }
}

static void judge_fiber(void *arg)
{
    Verify *v = arg;
    v->rc = judge_patch(&v->options, v->arena, &v->report, &v->e);
    v->fiber = NULL;
    loop_stop(v->loop);
}

static int run_judge(Verify *v, Err *e)
{
    int rc = loop_create(&(LoopOptions){0}, &v->loop, e);
    rc = rc == 0 ? signals_watch(v->loop, on_signal, v, &v->signals, e) : rc;
    if (rc != 0) {
        return rc;
    }
    // The judge blocks in samples; nothing else lives on this loop.
    v->pool = fiber_pool_create(
        v->loop, &(FiberOptions){.stack_bytes = STACK_BYTES, .slow_ns = 3600 * NS_PER_SECOND});
    v->options.loop = v->loop;
    v->fiber = fiber_spawn(v->pool, "judge", judge_fiber, v);
    if (!v->fiber) {
        return err_set(e, ERR_IO, "no memory for the judge");
    }
    loop_run(v->loop);
    if (v->rc != 0 && e) {
        *e = v->e;
    }
    return v->rc;
}

static int print_report(Verify *v, Err *e)
{
    const JudgeReport *r = v->report;
    Buf json = buf_create(JUDGE_REPORT_BYTES_MAX);
    JsonWriter w = json_writer(&json, 1);
    judge_report_write(r, &w);
    buf_putc(&json, '\n');
    int rc = buf_check(&json, "the report", e);
    Slice file = option_string(v->set, "report");
    if (rc == 0 && file.len > 0) {
        rc = file_write(arena_cstr(v->arena, file), buf_slice(&json), NULL, e);
    }
    if (rc == 0 && option_flag(v->set, "json")) {
        buf_append(&v->app->out, buf_slice(&json));
    } else if (rc == 0) {
        judge_report_print(r, option_flag(v->set, "verbose"), &v->app->out);
    }
    buf_done(&json);
    return rc;
}

// A bundle brings patch, steps and least effect with it, and the base unless a repository is named.
static int prepare_bundle(Verify *v, const char *path, Err *e)
{
    Slice repository = option_positional(v->set, 1);
    static const char *const OTHERS[] = {"patch", "pr", "steps", "build", "test", "workload"};
    for (size_t i = 0; i < COUNT_OF(OTHERS); i++) {
        if (option_given(v->set, OTHERS[i])) {
            return err_set(e, ERR_ARG, "%s is a bundle, which says itself what --%s would", path,
                           OTHERS[i]);
        }
    }
    int rc =
        improve_bundle_open(v->app, v->arena, path, option_string(v->set, "head"), &v->bundle, e);
    if (rc != 0 || option_flag(v->set, "show")) {
        return rc;
    }
    return improve_bundle_judge(v->bundle, v->arena,
                                repository.len > 0 ? arena_cstr(v->arena, repository) : NULL,
                                &v->options, &v->steps, e);
}

static int prepare(Verify *v, Err *e)
{
    Slice repository = option_positional(v->set, 0);
    v->options.repository = repository.len > 0 ? arena_cstr(v->arena, repository) : ".";
    v->options.steps = &v->steps;
    v->options.path = getenv("PATH");
    v->options.version = SLICE(PERFWRIGHT_VERSION);
    v->options.budget_ns = option_int(v->set, "budget");
    v->options.attempts = (unsigned)option_int(v->set, "attempts");
    v->options.no_sandbox = option_flag(v->set, "no-sandbox");
    v->options.no_critique = option_flag(v->set, "no-critique");
    v->options.keep_work = option_flag(v->set, "keep-work");
    v->options.progress_fn = on_progress;
    v->options.stop_fn = on_stop;
    v->options.ctx = v;
    if (option_given(v->set, "work-dir")) {
        v->options.work_dir = arena_cstr(v->arena, option_string(v->set, "work-dir"));
    }
    if (option_given(v->set, "seed")) {
        v->seed = (uint64_t)option_int(v->set, "seed");
        v->options.seed = &v->seed;
    }
    if (improve_is_bundle(v->options.repository)) {
        return prepare_bundle(v, v->options.repository, e);
    }
    if (option_flag(v->set, "show") || option_given(v->set, "head") ||
        option_positional_count(v->set) > 1) {
        return err_set(e, ERR_ARG, "%s is no bundle of evidence", v->options.repository);
    }
    int rc = read_min_effect(v, e);
    rc = rc == 0 ? read_patch(v, e) : rc;
    return rc == 0 ? read_steps(v, e) : rc;
}

// The judgement, what it means for a bundle's claim, and the bundle of this one where it is wanted.
static int judge_and_tell(Verify *v, Err *e)
{
    Slice file = option_string(v->set, "bundle");
    int rc = run_judge(v, e);
    rc = rc == 0 ? print_report(v, e) : rc;
    if (rc == 0 && v->bundle && !option_flag(v->set, "json")) {
        buf_putc(&v->app->out, '\n');
        improve_bundle_tell(v->bundle, v->report, &v->app->out);
    }
    if (rc == 0 && file.len > 0) {
        rc = improve_bundle_write(v->app, arena_cstr(v->arena, file), &v->options, &v->steps,
                                  v->report, v->arena, e);
    }
    return rc;
}

static int run_verify(App *app, const OptionSet *set, Err *e)
{
    Verify v = {.app = app, .set = set, .arena = arena_create(JUDGE_ARENA_BYTES)};
    app->quiet = option_flag(set, "quiet");
    int rc = prepare(&v, e);
    bool show = rc == 0 && v.bundle && option_flag(set, "show");
    if (show) {
        improve_bundle_show(v.bundle, &app->out);
    }
    if (rc == 0 && !show && !option_flag(set, "no-ledger")) {
        rc = app_open_ledger(app, set, false, &v.ledger, e);
        v.options.ledger = v.ledger;
    }
    rc = rc == 0 && !show ? judge_and_tell(&v, e) : rc;
    int code = rc != 0              ? rc
               : show               ? EXIT_PASS
               : v.report->complete ? (int)patch_verdict_exit(v.report->verdict)
                                    : EXIT_PARTIAL;
    improve_bundle_close(v.bundle);
    ledger_close(v.ledger);
    fiber_pool_destroy(v.pool);
    signals_close(v.signals);
    loop_destroy(v.loop);
    arena_destroy(v.arena);
    return code;
}

static const Positional ARGS[] = {
    {"REPO", "The repository or plain directory, without it this one; or a bundle of evidence.",
     true, false},
    {"BASE-REPO", "For a bundle: where its base revision is, instead of the base it holds.", true,
     false}};
static const Option OPTIONS[] = {
    {.name = "patch",
     .short_name = 'p',
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .help = "Unified diff against the base; - reads standard input."},
    {.name = "pr",
     .kind = OPTION_STRING,
     .metavar = "BASE..HEAD",
     .help = "Judge what HEAD has and BASE has not: commits, branches or tags of the repository."},
    {.name = "base",
     .kind = OPTION_STRING,
     .metavar = "REVISION",
     .help = "With --patch: what it is against. Default: HEAD."},
    {.name = "install",
     .kind = OPTION_STRING,
     .repeat = true,
     .metavar = "CMD",
     .section = "Steps",
     .help = "Fetches dependencies, with network; run once, before the patch is applied."},
    {.name = "build",
     .kind = OPTION_STRING,
     .repeat = true,
     .metavar = "CMD",
     .section = "Steps",
     .help = "Builds, in the sandbox, both sides alike. Instead of those of steps.yaml."},
    {.name = "test",
     .kind = OPTION_STRING,
     .repeat = true,
     .metavar = "CMD",
     .section = "Steps",
     .help = "Runs the tests. Instead of those of steps.yaml."},
    {.name = "workload",
     .short_name = 'w',
     .kind = OPTION_STRING,
     .repeat = true,
     .metavar = "[NAME=]CMD",
     .section = "Steps",
     .help = "What is measured; may hold {input}, {seed} and {size}."},
    {.name = "generator",
     .kind = OPTION_STRING,
     .metavar = "CMD",
     .section = "Steps",
     .help = "Writes {input} or standard output from {seed} and {size}: then the patch is measured "
             "and checked on inputs that nobody knew. random-bytes and text-lines are built in."},
    {.name = "sizes",
     .kind = OPTION_STRING,
     .metavar = "N,N",
     .section = "Steps",
     .help = "For {size}; the first is what is claimed."},
    {.name = "input",
     .kind = OPTION_STRING,
     .repeat = true,
     .metavar = "FILE",
     .section = "Steps",
     .help = "A file for {input}."},
    {.name = "output-file",
     .kind = OPTION_STRING,
     .metavar = "PATH",
     .section = "Steps",
     .help = "The workload's answer is in this file of the tree, not on standard output."},
    {.name = "artifact",
     .kind = OPTION_STRING,
     .repeat = true,
     .metavar = "GLOB",
     .section = "Steps",
     .help = "What the build makes and the workloads run. Default: every new file."},
    {.name = "protect",
     .kind = OPTION_STRING,
     .repeat = true,
     .metavar = "GLOB",
     .section = "Steps",
     .help = "Taken from the base on both sides, beside tests, benchmarks, CI and lock files."},
    {.name = "steps",
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .section = "Steps",
     .help = "Default: .perfwright/steps.yaml in the repository."},
    {.name = "metric",
     .kind = OPTION_CHOICE,
     .choices = METRICS,
     .default_text = "wall",
     .section = "Judging",
     .help = "Of --workload."},
    {.name = "min-effect",
     .kind = OPTION_STRING,
     .metavar = "PERCENT",
     .default_text = "5%",
     .section = "Judging",
     .help = "PROVEN means: faster by at least this."},
    {.name = "budget",
     .kind = OPTION_DURATION,
     .default_text = "3m",
     .min = 1e9,
     .max = 86400e9,
     .section = "Judging",
     .help = "Of measuring; builds and tests come on top."},
    {.name = "attempts",
     .kind = OPTION_INT,
     .min = 1,
     .max = 10000,
     .default_text = "1",
     .section = "Judging",
     .help = "How many patches were tried for this goal, this one included: the more, the more "
             "certain it has to be."},
    {.name = "no-critique",
     .kind = OPTION_FLAG,
     .section = "Judging",
     .help = "Do not try to refute what was shown."},
    {.name = "seed",
     .kind = OPTION_INT,
     .min = 0,
     .max = 9007199254740992,
     .section = "Judging",
     .help = "Repeat a judgement with its inputs; without, nobody knows them beforehand."},
    {.name = "no-sandbox",
     .kind = OPTION_FLAG,
     .section = "Judging",
     .help = "Run the patch with your own rights. The verdict says so."},
    {.name = "keep-work",
     .kind = OPTION_FLAG,
     .section = "Judging",
     .help = "Leave the copies of both sides where they are."},
    {.name = "work-dir",
     .kind = OPTION_STRING,
     .metavar = "DIR",
     .section = "Judging",
     .help = "For the copies. Default: below the user's cache directory."},
    {.name = "verbose",
     .short_name = 'v',
     .kind = OPTION_FLAG,
     .section = "Output",
     .help = "All notes."},
    {.name = "quiet",
     .short_name = 'q',
     .kind = OPTION_FLAG,
     .section = "Output",
     .help = "No progress on standard error."},
    {.name = "show",
     .kind = OPTION_FLAG,
     .section = "Bundles",
     .help = "Check a bundle and print what it claims and holds; measure nothing."},
    {.name = "head",
     .kind = OPTION_STRING,
     .metavar = "HASH",
     .section = "Bundles",
     .help = "A hash of the ledger that was kept elsewhere: the bundle's records must have it."},
    {.name = "bundle",
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .section = "Bundles",
     .help = "Write the evidence of this judgement, base included, as one file (.tar.gz)."},
    {.name = "report",
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .section = "Output",
     .help = "Write the report with every sample as JSON."},
    OPTION_JSON,
    OPTION_LEDGER,
    {.name = "no-ledger", .kind = OPTION_FLAG, .section = "Ledger", .help = "Record nothing."},
};
static const Example EXAMPLES[] = {
    {"perfwright improve verify --patch faster.diff", "With the steps that configure found."},
    {"perfwright improve verify --pr main..feature -w './prog {input}' --generator text-lines",
     "A branch, measured on inputs that are made after it was looked at."},
    {"perfwright improve verify -p fix.diff -w 'node bench.js' lib/",
     "A directory without a build."},
    {"perfwright improve verify evidence.tar.gz", "Does a bundle's claim hold on this machine?"},
};
static const Verb VERB = {
    .name = "improve verify",
    .summary = "judge a patch that somebody sent: right, and faster?",
    .description =
        "Builds the base and the patched side in clean copies in a sandbox, runs the tests of the "
        "base on both, compares their output on declared and on hidden inputs, measures them in "
        "random order, twice, and tries to refute what came out. What the patch or its author says "
        "of its speed is not looked at. Tests, benchmarks, CI and lock files are the base's on "
        "both "
        "sides.\n\n"
        "Exit code: 0 PROVEN or SMALL BUT REAL, 112 SLOWER, 113 NO EFFECT or UNDECIDED, 111 BROKEN "
        "or CHEAT SUSPECTED.",
    OPTION_TABLE(OPTIONS),
    POSITIONAL_TABLE(ARGS),
    EXAMPLE_TABLE(EXAMPLES)};
const Command CMD_IMPROVE_VERIFY = {&VERB, run_verify, false};
