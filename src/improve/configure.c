#include "improve/configure.h"

#include <stdarg.h>

#include "improve/configure_impl.h"
#include "ledger/sha256.h"

enum {
    BUILDS_WITHOUT_TESTS_MAX = 3, // recipes that only build, before the search for tests ends
};
#define TIME_LIMIT_NS (20 * NS_PER_MINUTE)
#define STEP_LIMIT_NS (5 * NS_PER_MINUTE)

const char *const STAGE_NAMES[] = {"install", "build", "test", "benchmark"};

void configure_say(Configure *c, const char *format, ...)
{
    if (c->o->say == NULL) {
        return;
    }
    char text[500];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    c->o->say(c->o->say_ctx, text);
}

static int64_t left_ns(const Configure *c)
{
    return c->end_ns - c->o->runner->now_ns(c->o->runner->ctx);
}

bool configure_out_of_time(Configure *c)
{
    if (left_ns(c) <= 0) {
        c->report->out_of_time = true;
    }
    return c->report->out_of_time;
}

// ---- one command

static void note_trial(Configure *c, const ConfigureTrial *trial)
{
    if (c->report->trial_count < CONFIGURE_TRIALS_MAX) {
        c->report->trials[c->report->trial_count++] = *trial;
    }
}

// The line that most likely says what is wrong: the last with an error in it, or the last.
static Slice reason_of(Arena *arena, const ConfigureOutcome *out)
{
    Slice rest = out->output, line, best = {0}, last = {0};
    while (text_line(&rest, &line, NULL)) {
        line = slice_trim(line);
        last = line.len > 0 ? line : last;
        if (text_has(line, "error:") || text_has(line, "Error") || text_has(line, "ERROR") ||
            text_has(line, "not found") || text_has(line, "FAILED")) {
            best = best.len == 0 || text_has(line, "fatal error") ? line : best;
        }
    }
    Slice said = best.len > 0 ? best : last;
    return arena_printf(arena, "%.*s%s%.*s", SLICE_FMT(out->text), said.len > 0 ? ": " : "",
                        (int)(said.len < 300 ? said.len : 300), said.ptr ? said.ptr : "");
}

int configure_run(Configure *c, void *copy, const Recipe *r, StageKind stage,
                  const Candidate *candidate, ConfigureOutcome *out, Slice *ret_log)
{
    int64_t limit = c->o->step_limit_ns > 0 ? c->o->step_limit_ns : STEP_LIMIT_NS;
    int64_t left = left_ns(c);
    // Downloads depend on others; what they fetched before they were cut off is kept.
    limit = stage == STAGE_INSTALL ? 2 * limit : limit;
    Slice name = arena_printf(c->arena, "%s-%d.log", STAGE_NAMES[stage], ++c->log_number);
    ConfigureCommand command = {
        .run = candidate->run,
        .directory = r->directory,
        .network = stage == STAGE_INSTALL,
        .timeout_ns = left < limit ? (left > NS_PER_SECOND ? left : NS_PER_SECOND) : limit,
        .log_path = arena_cstr(c->arena,
                               arena_printf(c->arena, "%s/%.*s", c->o->log_dir, SLICE_FMT(name)))};
    configure_say(c, "%.*s: %s %.*s", SLICE_FMT(r->name), STAGE_NAMES[stage],
                  SLICE_FMT(candidate->what));
    *out = (ConfigureOutcome){0};
    const ConfigureRunner *runner = c->o->runner;
    int rc = runner->run(runner->ctx, copy, &command, c->arena, out, c->e);
    if (rc != 0) {
        return rc;
    }
    *ret_log = arena_printf(c->arena, "logs/%.*s", SLICE_FMT(name));
    note_trial(c, &(ConfigureTrial){.recipe = r->name,
                                    .kind = slice_from_cstr(STAGE_NAMES[stage]),
                                    .what = candidate->what,
                                    .run = candidate->run,
                                    .log = *ret_log,
                                    .reason = out->ok ? (Slice){0} : reason_of(c->arena, out),
                                    .seconds = out->seconds,
                                    .ok = out->ok,
                                    .timed_out = out->timed_out});
    return 0;
}

// ---- packages

static int install_packages(Configure *c, const Slice *names, size_t count)
{
    const ConfigureRunner *runner = c->o->runner;
    configure_say(c, "installing %zu packages of the system: %.*s%s", count, SLICE_FMT(names[0]),
                  count > 1 ? " ..." : "");
    Err e = {0};
    int64_t before = runner->now_ns(runner->ctx);
    int rc = runner->package_install(runner->ctx, names, count, &e);
    // Downloads of the system are not the repository's time.
    c->end_ns += runner->now_ns(runner->ctx) - before;
    if (rc != 0) {
        configure_say(c, "%s", e.text);
        return rc;
    }
    ConfigureReport *report = c->report;
    for (size_t i = 0; i < count && report->packages_installed_count < INFER_PACKAGES_MAX; i++) {
        report->packages_installed[report->packages_installed_count++] = names[i];
    }
    return 0;
}

// What is asked for and not there is installed, or listed.
static void prepare_packages(Configure *c)
{
    const ConfigureRunner *runner = c->o->runner;
    if (runner->package_installed == NULL) {
        return;
    }
    Slice *missing = ARENA_ARRAY(c->arena, Slice, INFER_PACKAGES_MAX);
    size_t count = 0;
    for (size_t i = 0; i < c->in->package_count; i++) {
        // What only helps is asked for when its absence shows.
        if (c->in->packages[i].needed &&
            !runner->package_installed(runner->ctx, c->in->packages[i].name)) {
            missing[count++] = c->in->packages[i].name;
        }
    }
    if (c->o->install_packages && count > 0 && install_packages(c, missing, count) == 0) {
        size_t kept = 0;
        for (size_t i = 0; i < count; i++) {
            if (!runner->package_installed(runner->ctx, missing[i])) {
                missing[kept++] = missing[i];
            }
        }
        count = kept;
    }
    c->report->steps.packages_missing = missing;
    c->report->steps.packages_missing_count = count;
}

static bool take_package(Configure *c, Slice name)
{
    if (c->o->install_packages && c->o->runner->package_install &&
        install_packages(c, &name, 1) == 0) {
        return true;
    }
    Steps *s = &c->report->steps;
    for (size_t i = 0; i < s->packages_missing_count; i++) {
        if (slice_eq(s->packages_missing[i], name)) {
            return false;
        }
    }
    if (s->packages_missing && s->packages_missing_count < INFER_PACKAGES_MAX) {
        s->packages_missing[s->packages_missing_count++] = name;
    }
    return false;
}

// ---- a recipe

typedef struct Shown {
    ConfigureOutcome outcome;
    Slice log, note;
    TestCount count;
    bool ok;
} Shown;

typedef struct Try {
    Configure *c;
    Recipe *r;
    void *copy;
    Shown installs[RECIPE_INSTALLS_MAX], build, test;
    size_t build_at, test_at;
    double incremental;
} Try;

static bool says_no_tests(Slice output)
{
    return text_has(output, "No tests were found") || text_has(output, "collected 0 items") ||
           text_has(output, "no tests ran") || text_has(output, "Ran 0 tests") ||
           text_has(output, "No tests to run") || text_has(output, "Nothing to be done for") ||
           text_has(output, "No test files found") || text_has(output, "no tests found");
}

// Exit code 0 says that nothing failed; that something ran has to be seen.
static void weigh_test(Shown *s)
{
    s->count = tests_count(s->outcome.output);
    s->ok = s->outcome.ok;
    if (!s->ok) {
        return;
    }
    if (s->count.framework != NULL && s->count.passed == 0) {
        s->ok = false;
        s->outcome.text = SLICE("it ended well but ran no test");
    } else if (s->count.framework != NULL && s->count.failed > 0) {
        s->ok = false;
        s->outcome.text = SLICE("it ended well but reports tests that fail");
    } else if (s->count.framework == NULL && says_no_tests(s->outcome.output)) {
        s->ok = false;
        s->outcome.text = SLICE("it ended well but there are no tests");
    }
}

static int run_once(Try *t, StageKind stage, const Candidate *candidate, Shown *shown)
{
    Slice note = shown->note;
    int rc = configure_run(t->c, t->copy, t->r, stage, candidate, &shown->outcome, &shown->log);
    shown->note = note;
    shown->ok = rc == 0 && shown->outcome.ok;
    if (rc == 0 && stage == STAGE_TEST) {
        weigh_test(shown);
    }
    return rc;
}

static int run_installs(Try *t);

// Acts on a repair. *ret_again: the command is worth running again.
static int act(Try *t, const Repair *repair, Candidate *candidate, Shown *shown, bool *ret_again)
{
    Recipe *r = t->r;
    *ret_again = false;
    if (repair->kind == REPAIR_PACKAGE) {
        *ret_again = take_package(t->c, repair->text);
    } else if (repair->kind == REPAIR_RUN) {
        candidate->run = repair->text;
        shown->note = repair->note;
        *ret_again = true;
    } else if (repair->kind == REPAIR_INSTALL && r->install_count < RECIPE_INSTALLS_MAX) {
        r->installs[r->install_count] =
            (Candidate){.what = repair->note, .run = repair->text, .source = candidate->source};
        Shown *more = &t->installs[r->install_count];
        *more = (Shown){0};
        r->install_count++;
        int rc = run_once(t, STAGE_INSTALL, &r->installs[r->install_count - 1], more);
        *ret_again = rc == 0 && more->ok;
        return rc;
    }
    return 0;
}

// Runs a command until it works or nothing more is known to be done about it.
static int run_repaired(Try *t, StageKind stage, Candidate *candidate, Shown *shown)
{
    *shown = (Shown){0};
    int rc = run_once(t, stage, candidate, shown);
    for (int i = 0; rc == 0 && !shown->ok && i < REPAIRS_MAX && !configure_out_of_time(t->c);) {
        RepairQuestion q = {.stage = stage,
                            .run = candidate->run,
                            .output = shown->outcome.output,
                            .timed_out = shown->outcome.timed_out,
                            .count = stage == STAGE_TEST ? &shown->count : NULL};
        Repair repair = {0};
        bool again = false;
        if (!configure_repair(t->c, &q, &repair)) {
            break;
        }
        rc = act(t, &repair, candidate, shown, &again);
        if (rc == 0 && again) {
            configure_say(t->c, "  again, with %.*s",
                          (int)(repair.note.len > 0 ? repair.note.len : repair.text.len),
                          repair.note.len > 0 ? repair.note.ptr : repair.text.ptr);
            rc = run_once(t, stage, candidate, shown);
            i++;
        }
    }
    return rc;
}

static int run_installs(Try *t)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < t->r->install_count && !configure_out_of_time(t->c); i++) {
        // One that fails may not be needed: the build will tell.
        Slice note = t->installs[i].note; // of a repair in an earlier copy: it is in the command
        rc = run_repaired(t, STAGE_INSTALL, &t->r->installs[i], &t->installs[i]);
        t->installs[i].note = t->installs[i].note.len > 0 ? t->installs[i].note : note;
    }
    return rc;
}

static int fresh_copy(Try *t)
{
    const ConfigureRunner *runner = t->c->o->runner;
    runner->close(runner->ctx, t->copy);
    t->copy = NULL;
    int rc = runner->open(runner->ctx, &t->copy, t->c->e);
    return rc != 0 ? rc : run_installs(t);
}

static int find_build(Try *t, bool *ret_found)
{
    *ret_found = false;
    for (t->build_at = 0; t->build_at < t->r->build_count; t->build_at++) {
        if (configure_out_of_time(t->c)) {
            return 0;
        }
        int rc = fresh_copy(t); // what another alternative left behind is not part of this one
        if (rc == 0) {
            rc = run_repaired(t, STAGE_BUILD, &t->r->builds[t->build_at], &t->build);
        }
        if (rc != 0 || t->build.ok) {
            *ret_found = rc == 0;
            return rc;
        }
    }
    return 0;
}

static int find_test(Try *t, bool *ret_found)
{
    *ret_found = false;
    for (t->test_at = 0; t->test_at < t->r->test_count; t->test_at++) {
        if (configure_out_of_time(t->c)) {
            return 0;
        }
        int rc = run_repaired(t, STAGE_TEST, &t->r->tests[t->test_at], &t->test);
        if (rc != 0 || t->test.ok) {
            *ret_found = rc == 0;
            return rc;
        }
    }
    return 0;
}

// Everything again in another clean copy: once is luck, and the first time had the network's help
// in whatever order the repairs came.
static int confirm(Try *t, bool *builds, bool *tests)
{
    int rc = fresh_copy(t);
    Candidate *build = &t->r->builds[t->build_at];
    Slice note = t->build.note;
    if (rc == 0 && *builds) {
        rc = run_once(t, STAGE_BUILD, build, &t->build);
        t->build.note = note;
        *builds = rc == 0 && t->build.ok;
    }
    if (rc == 0 && *builds && *tests) {
        note = t->test.note;
        rc = run_once(t, STAGE_TEST, &t->r->tests[t->test_at], &t->test);
        t->test.note = note;
        if (rc == 0 && !t->test.ok) { // one that fails now and then
            Candidate *test = &t->r->tests[t->test_at];
            rc = run_repaired(t, STAGE_TEST, test, &t->test);
        }
        *tests = rc == 0 && t->test.ok;
    }
    Shown again = {0};
    if (rc == 0 && *builds && !configure_out_of_time(t->c)) {
        rc = run_once(t, STAGE_BUILD, build, &again);
        t->incremental = again.ok ? again.outcome.seconds : 0;
    }
    return rc;
}

// ---- what is kept

static Slice key_of(Configure *c, Slice run)
{
    char hex[SHA256_HEX + 1];
    Slice text = arena_printf(c->arena, "%.*s\n%.*s", SLICE_FMT(c->o->tree_hash), SLICE_FMT(run));
    Sha256 hash = sha256_of(text);
    sha256_hex(&hash, hex);
    return arena_copy(c->arena, slice_sub(slice_from_cstr(hex), 0, 16));
}

static int keep_step(Try *t, StepList *list, const char *name, const Candidate *candidate,
                     const Shown *shown, bool validated, bool network)
{
    Configure *c = t->c;
    Step step = {.name = slice_from_cstr(name),
                 .run = candidate->run,
                 .directory = t->r->directory,
                 .source = candidate->source,
                 .log = shown->log,
                 .note = shown->note,
                 .seconds = shown->outcome.timed_out ? 0 : shown->outcome.seconds,
                 .tests = shown->count.framework ? shown->count.passed : -1,
                 .validated = validated,
                 .network = network};
    step.key = validated ? key_of(c, candidate->run) : (Slice){0};
    if (validated && step.note.len == 0 && shown->outcome.changed.len > 0) {
        step.note = arena_printf(c->arena, "edits files of the repository: %.*s",
                                 SLICE_FMT(shown->outcome.changed));
    }
    if (!validated && step.note.len == 0) {
        step.note = reason_of(c->arena, &shown->outcome);
    }
    return step_list_add(c->arena, list, &step, c->e);
}

static int keep(Try *t, bool builds, bool tests)
{
    Configure *c = t->c;
    Steps *s = &c->report->steps;
    s->install = s->build = s->test = (StepList){0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < t->r->install_count; i++) {
        Slice name = arena_printf(c->arena, "install-%zu", i + 1);
        rc = keep_step(t, &s->install, arena_cstr(c->arena, name), &t->r->installs[i],
                       &t->installs[i], t->installs[i].ok, true);
    }
    if (rc == 0 && t->build_at < t->r->build_count) {
        rc = keep_step(t, &s->build, "build", &t->r->builds[t->build_at], &t->build, builds, false);
    }
    if (rc == 0 && t->r->test_count > 0) {
        size_t at = tests ? t->test_at : 0;
        rc = keep_step(t, &s->test, "test", &t->r->tests[at], &t->test, tests, false);
    }
    c->report->recipe = t->r->name;
    c->report->build_validated = builds;
    c->report->test_validated = tests;
    c->report->tests = tests && t->test.count.framework ? t->test.count.passed : -1;
    c->report->incremental_seconds = t->incremental;
    return rc;
}

int configure_try(Configure *c, Recipe *r, bool *ret_builds, bool *ret_tests)
{
    Try *t = ARENA_NEW(c->arena, Try);
    t->c = c;
    t->r = r;
    *ret_builds = *ret_tests = false;
    bool builds = false, tests = false;
    int rc = find_build(t, &builds);
    if (rc == 0 && builds) {
        rc = find_test(t, &tests);
    }
    if (rc == 0 && builds) {
        rc = confirm(t, &builds, &tests);
    }
    // The first to build is kept until one comes that can be tested too.
    if (rc == 0 && builds && (tests || !c->report->build_validated)) {
        rc = keep(t, builds, tests);
        if (rc == 0 && !c->o->no_benchmarks) {
            rc = configure_benchmarks(c, t->copy, r);
        }
    }
    c->o->runner->close(c->o->runner->ctx, t->copy);
    *ret_builds = builds;
    *ret_tests = tests;
    return rc;
}

// ---- all of it

static Slice joined_runs(Arena *arena, const StepList *list)
{
    if (list->count == 1) {
        return list->items[0].run;
    }
    Buf out = buf_create(STEPS_BYTES_MAX);
    buf_puts(&out, "set -e");
    for (size_t i = 0; i < list->count; i++) {
        buf_putc(&out, '\n');
        buf_append(&out, list->items[i].run);
    }
    Slice text = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return text;
}

// A person's commands stand in for those of every recipe: they are shown to work or not, too.
static void obey(Configure *c)
{
    const Steps *old = c->o->old;
    if (old == NULL) {
        return;
    }
    for (size_t i = 0; i < c->in->recipe_count; i++) {
        Recipe *r = &c->in->recipes[i];
        if (step_list_touched(&old->install)) {
            r->install_count = 1;
            r->installs[0] =
                (Candidate){SLICE("a person's"), joined_runs(c->arena, &old->install), SLICE("")};
        }
        if (step_list_touched(&old->build)) {
            r->build_count = 1;
            r->builds[0] =
                (Candidate){SLICE("a person's"), joined_runs(c->arena, &old->build), SLICE("")};
        }
        if (step_list_touched(&old->test)) {
            r->test_count = 1;
            r->tests[0] =
                (Candidate){SLICE("a person's"), joined_runs(c->arena, &old->test), SLICE("")};
        }
    }
}

static bool list_is_current(Configure *c, const StepList *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const Step *s = &list->items[i];
        if (!s->validated || !slice_eq(s->key, key_of(c, s->run))) {
            return false;
        }
    }
    return list->count > 0;
}

// Validated before, with these commands on this tree.
static bool is_current(Configure *c)
{
    const Steps *old = c->o->old;
    return old != NULL && c->o->tree_hash.len > 0 && list_is_current(c, &old->build) &&
           list_is_current(c, &old->test);
}

static int try_all(Configure *c)
{
    int only_built = 0;
    for (size_t i = 0; i < c->in->recipe_count; i++) {
        if (configure_out_of_time(c) || only_built == BUILDS_WITHOUT_TESTS_MAX) {
            break;
        }
        Recipe *r = &c->in->recipes[i];
        if (r->build_count == 0 || (r->test_count == 0 && c->report->build_validated)) {
            continue;
        }
        bool builds = false, tests = false;
        int rc = configure_try(c, r, &builds, &tests);
        if (rc != 0 || tests) {
            return rc;
        }
        only_built += builds;
    }
    return 0;
}

// Without a run, or when nothing works: the best guess, said to be one.
static int guess(Configure *c)
{
    Steps *s = &c->report->steps;
    int rc = 0;
    if (c->in->recipe_count == 0 || s->build.count > 0) {
        return 0;
    }
    Recipe *r = &c->in->recipes[0];
    struct {
        StepList *list;
        Candidate *items;
        size_t count;
        const char *name;
        bool network;
    } parts[] = {{&s->install, r->installs, r->install_count, "install", true},
                 {&s->build, r->builds, r->build_count > 0, "build", false},
                 {&s->test, r->tests, r->test_count > 0, "test", false}};
    for (size_t p = 0; p < COUNT_OF(parts); p++) {
        for (size_t i = 0; rc == 0 && i < parts[p].count; i++) {
            Slice name = parts[p].network ? arena_printf(c->arena, "install-%zu", i + 1)
                                          : slice_from_cstr(parts[p].name);
            Step step = {.name = name,
                         .run = parts[p].items[i].run,
                         .directory = r->directory,
                         .source = parts[p].items[i].source,
                         .note = c->o->dry_run ? SLICE("guessed, not run")
                                               : SLICE("guessed: what was tried did not work"),
                         .tests = -1,
                         .network = parts[p].network};
            rc = step_list_add(c->arena, parts[p].list, &step, c->e);
        }
    }
    c->report->recipe = r->name;
    return rc;
}

static void set_environment(Configure *c)
{
    Steps *s = &c->report->steps;
    s->environment = ARENA_ARRAY(c->arena, StepsVariable, INFER_ENVIRONMENT_COUNT + 1);
    for (size_t i = 0; i < INFER_ENVIRONMENT_COUNT; i++) {
        s->environment[s->environment_count++] = INFER_ENVIRONMENT[i];
    }
}

static int finish(Configure *c)
{
    Steps *s = &c->report->steps;
    int rc = guess(c);
    s->benchmarks = c->in->found.benchmarks;
    s->benchmark_count = c->in->found.benchmark_count;
    s->benchmark_capacity = c->in->found.benchmark_capacity;
    if (rc == 0 && s->benchmark_count == 0) {
        s->workloads = ARENA_NEW(c->arena, Workload);
        s->workload_count = 1;
        s->workloads[0] = (Workload){.name = SLICE("skeleton"),
                                     .run = SLICE("sh .perfwright/workloads/skeleton.sh {input}"),
                                     .directory = SLICE("."),
                                     .metric = SLICE("wall"),
                                     .output = SLICE("stdout"),
                                     .skeleton = true};
    }
    return rc == 0 && c->o->old ? steps_merge(c->arena, c->o->old, s, c->e) : rc;
}

int configure(const ConfigureOptions *options, Arena *arena, ConfigureReport *ret_report, Err *e)
{
    ConfigureReport *report = ret_report;
    *report = (ConfigureReport){.tests = -1};
    report->trials = ARENA_ARRAY(arena, ConfigureTrial, CONFIGURE_TRIALS_MAX);
    report->packages_installed = ARENA_ARRAY(arena, Slice, INFER_PACKAGES_MAX);
    Configure *c = ARENA_NEW(arena, Configure);
    c->o = options;
    c->arena = arena;
    c->report = report;
    c->e = e;
    InferOptions look = {.directory = options->directory};
    int rc = infer(options->tree, &look, &c->in, e);
    if (rc != 0) {
        return rc;
    }
    report->inference = c->in;
    set_environment(c);
    if (is_current(c)) {
        report->steps = *options->old;
        report->kept_from_before = true;
        report->build_validated = report->test_validated = true;
        report->tests = options->old->test.items[0].tests;
        return 0;
    }
    obey(c);
    if (!options->dry_run) {
        c->end_ns = options->runner->now_ns(options->runner->ctx) +
                    (options->time_limit_ns > 0 ? options->time_limit_ns : TIME_LIMIT_NS);
        prepare_packages(c);
        rc = try_all(c);
    }
    return rc != 0 ? rc : finish(c);
}
