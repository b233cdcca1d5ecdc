// improve trial: all phases on a throw-away clone, by this same program, one process a phase, so
// that each of them is what a person would have run.
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/improve_cli.h"
#include "improve/attempt_state.h"
#include "ledger/sha256.h"
#include "os/file.h"
#include "os/process.h"

enum { ARGS_MAX = 40, OUTPUT_BYTES_MAX = 16 << 20 };

typedef struct Trial {
    const char *source; // a directory, or a URL
    bool is_url, is_git;
    const char *dir;   // of the trial
    const char *clone; // dir/repo
    const char *ledger;
    int exit_code; // of the last attempt
    int64_t rounds;
} Trial;

// Runs a program; its output is ours unless one JSON document was asked for.
static int run(ImproveCli *cli, const char *const *argv, const char *const *envp,
               const char *directory, int *ret_exit, Slice *ret_out, Err *e)
{
    ProcessResult result = process_result_create(OUTPUT_BYTES_MAX);
    bool quiet = ret_out != NULL || option_flag(cli->set, "json");
    ProcessOptions options = {.loop = cli->loop,
                              .argv = argv,
                              .envp = envp,
                              .directory = directory,
                              .inherit_output = !quiet};
    int rc = process_run(&options, &result, e);
    if (rc == 0) {
        *ret_exit = result.end.exit_code;
        if (ret_out) {
            *ret_out = arena_copy(cli->app->arena, slice_trim(buf_slice(&result.out)));
        }
        if (quiet && result.end.exit_code != 0 && result.err.len > 0) {
            app_say(cli->app, "%.*s", SLICE_FMT(slice_trim(buf_slice(&result.err))));
        }
    }
    process_result_done(&result);
    return rc;
}

// Git without anybody's configuration: hooks and filters of the source must not run here.
static int git(ImproveCli *cli, const char *directory, const char *const *args, Slice *ret_out,
               Err *e)
{
    const char *argv[ARGS_MAX] = {"git",
                                  "-c",
                                  "core.hooksPath=/dev/null",
                                  "-c",
                                  "core.fsmonitor=false",
                                  "-c",
                                  "protocol.file.allow=always"};
    const char *path = getenv("PATH");
    const char *const envp[] = {
        arena_printf(cli->app->arena, "PATH=%s", path ? path : "/usr/bin:/bin").ptr,
        "HOME=/nonexistent",
        "GIT_CONFIG_NOSYSTEM=1",
        "GIT_CONFIG_GLOBAL=/dev/null",
        "GIT_TERMINAL_PROMPT=0",
        "GIT_AUTHOR_NAME=perfwright",
        "GIT_AUTHOR_EMAIL=perfwright@localhost",
        "GIT_COMMITTER_NAME=perfwright",
        "GIT_COMMITTER_EMAIL=perfwright@localhost",
        NULL};
    size_t count = 7;
    int exit_code = 0;
    Slice out = {0};
    for (size_t i = 0; args[i] && count + 1 < ARGS_MAX; i++) {
        argv[count++] = args[i];
    }
    int rc = run(cli, argv, envp, directory, &exit_code, &out, e);
    if (rc == 0 && exit_code != 0) {
        rc = err_set(e, ERR_IO, "git %s ended with %d for %s", args[0], exit_code, directory);
    }
    if (rc == 0 && ret_out) {
        *ret_out = out;
    }
    return rc;
}

// ---- the clone

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static int copy_plain(ImproveCli *cli, Trial *t, Err *e)
{
    int exit_code = 0;
    const char *from = arena_printf(cli->app->arena, "%s/.", t->source).ptr;
    const char *const copy[] = {"cp", "-R", "-P", "--", from, t->clone, NULL};
    static const char *const INIT[] = {"init", "--quiet", NULL};
    static const char *const ADD[] = {"add", "--all", NULL};
    static const char *const COMMIT[] = {"commit", "--quiet", "--message", "as it was", NULL};
    int rc = dir_make_all(t->clone, e);
    rc = rc == 0 ? run(cli, copy, NULL, NULL, &exit_code, NULL, e) : rc;
    if (rc == 0 && exit_code != 0) {
        rc = err_set(e, ERR_IO, "%s cannot be copied", t->source);
    }
    rc = rc == 0 ? git(cli, t->clone, INIT, NULL, e) : rc;
    rc = rc == 0 ? git(cli, t->clone, ADD, NULL, e) : rc;
    return rc == 0 ? git(cli, t->clone, COMMIT, NULL, e) : rc;
}

// *ret_new: the source has moved since the last look, or this is the first.
static int bring_up(ImproveCli *cli, Trial *t, bool *ret_new, Err *e)
{
    Slice before = {0}, after = {0};
    static const char *const HEAD[] = {"rev-parse", "HEAD", NULL};
    static const char *const FETCH[] = {"fetch", "--quiet", "origin", "HEAD", NULL};
    static const char *const RESET[] = {"reset", "--quiet", "--hard", "FETCH_HEAD", NULL};
    int rc = 0;
    *ret_new = false;
    if (!exists(t->clone)) {
        const char *const clone[] = {"clone",   "--quiet", "--no-local", "--",
                                     t->source, t->clone,  NULL};
        *ret_new = true;
        rc = dir_make_all(t->dir, e);
        return rc != 0 ? rc : t->is_git ? git(cli, t->dir, clone, NULL, e) : copy_plain(cli, t, e);
    }
    if (!t->is_git) {
        return 0;
    }
    rc = git(cli, t->clone, HEAD, &before, e);
    rc = rc == 0 ? git(cli, t->clone, FETCH, NULL, e) : rc;
    rc = rc == 0 ? git(cli, t->clone, RESET, NULL, e) : rc;
    rc = rc == 0 ? git(cli, t->clone, HEAD, &after, e) : rc;
    *ret_new = rc == 0 && !slice_eq(before, after);
    return rc;
}

// What a person wrote beside the source is obeyed in the trial too, committed or not.
static int take_edits(ImproveCli *cli, const Trial *t, Err *e)
{
    static const char *const FILES[] = {"steps.yaml", "plan.json", "plan.md"};
    Place to;
    int rc = place_find(cli->app->arena, slice_from_cstr(t->clone), SLICE(""), &to, e);
    for (size_t i = 0; rc == 0 && !t->is_url && i < COUNT_OF(FILES); i++) {
        Slice text, name = slice_from_cstr(FILES[i]);
        if (place_read(&cli->place, cli->app->arena, name, &text, NULL) == 0) {
            rc = place_write(&to, name, text, e);
        }
    }
    return rc;
}

// ---- the phases

static int phase(ImproveCli *cli, Trial *t, const char *name, const char *const *more, Err *e)
{
    const char *argv[ARGS_MAX] = {"/proc/self/exe", "improve", name, t->clone};
    char self[PATH_MAX];
    size_t count = 4;
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len <= 0) {
        return err_errno(e, ERR_IO, errno, "/proc/self/exe");
    }
    self[len] = '\0';
    argv[0] = self;
    for (size_t i = 0; more[i] && count + 1 < ARGS_MAX; i++) {
        argv[count++] = more[i];
    }
    app_say(cli->app, "== improve %s", name);
    return run(cli, argv, NULL, NULL, &t->exit_code, NULL, e);
}

static int want_zero(const Trial *t, const char *name, Err *e)
{
    return t->exit_code == 0 ? 0
                             : err_set(e, ERR_IO, "improve %s ended with %d; the trial is in %s",
                                       name, t->exit_code, t->dir);
}

static int prepare(ImproveCli *cli, Trial *t, Err *e)
{
    bool bare = option_flag(cli->set, "no-sandbox");
    const char *noise = option_flag(cli->set, "no-noise") ? "--no-noise" : NULL;
    const char *const first[] = {"--ledger", t->ledger, "--no-profile", "--no-noise", NULL};
    const char *limit = option_string(cli->set, "configure-limit").ptr;
    const char *const steps[] = {limit ? "--time-limit" : (bare ? "--no-sandbox" : NULL), limit,
                                 bare ? "--no-sandbox" : NULL, NULL};
    const char *const again[] = {"--ledger", t->ledger, bare ? "--no-sandbox" : noise,
                                 bare ? noise : NULL, NULL};
    int rc = phase(cli, t, "research", first, e);
    rc = rc == 0 ? want_zero(t, "research", e) : rc;
    if (rc == 0 && !option_flag(cli->set, "no-configure")) {
        rc = phase(cli, t, "configure", steps, e);
        // Steps that could not be validated are no reason to stop: a person's own may be there.
    }
    // With the steps known, there is more to say: a profile, times, goals that can be measured.
    rc = rc == 0 ? phase(cli, t, "research", again, e) : rc;
    return rc == 0 ? want_zero(t, "research", e) : rc;
}

static int attempt(ImproveCli *cli, Trial *t, Err *e)
{
    static const char *const PASSED[] = {"engine", "goal", "judge-budget", "min-effect", "rounds"};
    const char *args[ARGS_MAX] = {"--ledger", t->ledger, "--yes"};
    size_t count = 3;
    for (size_t i = 0; i < COUNT_OF(PASSED); i++) {
        Slice value = option_string(cli->set, PASSED[i]);
        if (value.len > 0) {
            args[count++] =
                arena_printf(cli->app->arena, "--%s=%.*s", PASSED[i], SLICE_FMT(value)).ptr;
        }
    }
    if (option_flag(cli->set, "no-sandbox")) {
        args[count++] = "--no-sandbox";
    }
    if (option_flag(cli->set, "no-critique")) {
        args[count++] = "--no-critique";
    }
    return phase(cli, t, "attempt", args, e);
}

// One look. 1: there was nothing left to do.
static int look(ImproveCli *cli, Trial *t, Err *e)
{
    bool moved = false;
    int rc = bring_up(cli, t, &moved, e);
    if (rc != 0) {
        return rc;
    }
    bool prepared =
        exists(arena_printf(cli->app->arena, "%s/.perfwright/trial.json", t->clone).ptr);
    if (moved || !prepared) {
        Place to;
        rc = take_edits(cli, t, e);
        rc = rc == 0 ? prepare(cli, t, e) : rc;
        rc = rc == 0 ? place_find(cli->app->arena, slice_from_cstr(t->clone), SLICE(""), &to, e)
                     : rc;
        // The cursor: phases one and two are over for this revision.
        rc = rc == 0 ? place_write(&to, SLICE("trial.json"), SLICE("{\"version\":1}\n"), e) : rc;
    }
    if (rc != 0) {
        return rc;
    }
    rc = attempt(cli, t, e);
    t->rounds++;
    return rc;
}

static int trial_work(ImproveCli *cli, Err *e)
{
    Trial *t = cli->ctx;
    int64_t pause_ns = option_int(cli->set, "repeat") * NS_PER_SECOND;
    int64_t times = option_int(cli->set, "times");
    for (;;) {
        int rc = look(cli, t, e);
        bool more = pause_ns > 0 && !cli->stop && (times == 0 || t->rounds < times);
        if (rc != 0 || !more) {
            return rc;
        }
        // A goal is never tried twice: with none left, the next look finds only what is new.
        app_say(cli->app, "== the next look in %lld s", (long long)(pause_ns / NS_PER_SECOND));
        if ((rc = fiber_sleep(pause_ns)) != 0) {
            return rc;
        }
    }
}

static bool looks_like_url(Slice text)
{
    return slice_find(text, SLICE("://")) > 0 || slice_starts_with(text, SLICE("git@"));
}

static int set_up(ImproveCli *cli, Trial *t, Slice repo, Err *e)
{
    Arena *arena = cli->app->arena;
    Slice given = option_string(cli->set, "work-dir"), ledger = option_string(cli->set, "ledger");
    t->is_url = looks_like_url(repo);
    if (t->is_url && !option_flag(cli->set, "network")) {
        return err_set(e, ERR_REFUSED, "%.*s is elsewhere: give --network to allow the clone",
                       SLICE_FMT(repo));
    }
    t->source = t->is_url ? arena_cstr(arena, repo) : cli->place.repo.ptr;
    t->is_git = t->is_url || exists(arena_printf(arena, "%s/.git", t->source).ptr);
    if (given.len > 0) {
        // Whoever names a directory means it, but a clone must never land on somebody's files.
        t->dir = arena_cstr(arena, given);
    } else {
        Sha256 hash = sha256_of(slice_from_cstr(t->source));
        char hex[SHA256_HEX + 1];
        Buf cache = buf_create(PATH_MAX);
        sha256_hex(&hash, hex);
        int rc = user_dir(USER_CACHE, "perfwright", &cache, e);
        t->dir = arena_printf(arena, "%.*s/trials/%.16s", SLICE_FMT(buf_slice(&cache)), hex).ptr;
        buf_done(&cache);
        if (rc != 0) {
            return rc;
        }
    }
    t->clone = arena_printf(arena, "%s/repo", t->dir).ptr;
    t->ledger = ledger.len > 0 ? arena_cstr(arena, ledger)
                               : arena_printf(arena, "%s/ledger.db", t->dir).ptr;
    return 0;
}

static int print_end(ImproveCli *cli, const Trial *t, Err *e)
{
    AttemptState state = {0};
    Place to;
    Arena *arena = cli->app->arena;
    int rc = place_find(arena, slice_from_cstr(t->clone), SLICE(""), &to, e);
    bool any = rc == 0 && attempt_state_find(&to, arena, SLICE(""), &state, NULL) == 0;
    if (rc == 0 && option_flag(cli->set, "json")) {
        JsonWriter w = json_writer(&cli->app->out, 2);
        json_object_begin(&w);
        json_field_int(&w, "version", 1);
        json_field_cstr(&w, "directory", t->dir);
        json_field_cstr(&w, "ledger", t->ledger);
        json_field_int(&w, "rounds", t->rounds);
        if (any) {
            json_key(&w, SLICE("attempt"));
            attempt_state_write(&state, &w);
        }
        json_object_end(&w);
        buf_putc(&cli->app->out, '\n');
    } else if (rc == 0) {
        buf_printf(&cli->app->out,
                   "\nThe trial is in %s (repo, ledger.db); remove it when you "
                   "have seen it.\n",
                   t->dir);
    }
    return rc;
}

static int run_trial(App *app, const OptionSet *set, Err *e)
{
    ImproveCli cli;
    Trial t = {0};
    Slice repo = option_positional(set, 0);
    bool url = looks_like_url(repo);
    int rc = improve_cli_open(&cli, app, set, url ? SLICE(".") : repo, e);
    cli.ctx = &t;
    rc = rc == 0 ? set_up(&cli, &t, repo, e) : rc;
    rc = rc == 0 ? improve_cli_fiber(&cli, trial_work, e) : rc;
    rc = rc == 0 ? print_end(&cli, &t, e) : rc;
    if (rc == 0 && option_flag(set, "delete")) {
        rc = dir_remove_all(t.dir, e);
    }
    improve_cli_close(&cli);
    return rc == 0 ? t.exit_code : rc;
}

static const Positional TRIAL_ARGS[] = {
    {"REPO", "A repository, a plain directory, or a URL with --network.", false, false}};
static const Option TRIAL_OPTIONS[] = {
    {.name = "engine", .kind = OPTION_STRING, .metavar = "ENGINE", .help = "As for attempt."},
    {.name = "goal", .kind = OPTION_STRING, .metavar = "ID|TEXT", .help = "As for attempt."},
    {.name = "repeat",
     .kind = OPTION_INT,
     .min = 1,
     .max = 1e6,
     .metavar = "SECONDS",
     .help = "Look again so long after each look, until interrupted. What was tried is not tried "
             "again; the source is looked at anew."},
    {.name = "times", .kind = OPTION_INT, .min = 1, .max = 1e6, .help = "Looks in all."},
    {.name = "judge-budget", .kind = OPTION_DURATION, .help = "As for attempt."},
    {.name = "min-effect", .kind = OPTION_STRING, .metavar = "PERCENT", .help = "As for attempt."},
    {.name = "rounds", .kind = OPTION_INT, .min = 1, .max = 3, .help = "As for attempt."},
    {.name = "configure-limit", .kind = OPTION_DURATION, .help = "Time limit of configure."},
    {.name = "no-configure", .kind = OPTION_FLAG, .help = "The steps that are there are enough."},
    {.name = "no-critique", .kind = OPTION_FLAG, .help = "As for attempt."},
    {.name = "no-noise", .kind = OPTION_FLAG, .help = "As for research."},
    {.name = "network", .kind = OPTION_FLAG, .help = "Allow the clone of a URL."},
    {.name = "delete", .kind = OPTION_FLAG, .help = "Remove the trial at the end."},
    OPTION_NO_SANDBOX,
    {.name = "work-dir",
     .kind = OPTION_STRING,
     .metavar = "DIR",
     .help = "Of the trial, instead of one in the user's cache."},
    OPTION_JSON,
    {.name = "ledger",
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .section = "Ledger",
     .help = "Without it the trial has a ledger of its own."},
};
static const Example TRIAL_EXAMPLES[] = {
    {"perfwright improve trial . --engine claude", "What would come of it?"},
    {"perfwright improve trial . --engine claude --repeat 900", "On and on."},
};
static const Verb VERB_TRIAL = {
    .name = "improve trial",
    .summary = "all phases on a throw-away clone, touching nothing else",
    .description = "Research, configure and attempt with --yes, on a clone with a ledger of its "
                   "own. Exits as the attempt does.",
    POSITIONAL_TABLE(TRIAL_ARGS),
    OPTION_TABLE(TRIAL_OPTIONS),
    EXAMPLE_TABLE(TRIAL_EXAMPLES)};
const Command CMD_IMPROVE_TRIAL = {&VERB_TRIAL, run_trial, false};
