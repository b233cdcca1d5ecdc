// Runs a program as an engine: what it sees, what it is told, what becomes of it.
#include "improve/engine_cli.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "improve/broker.h"
#include "improve/engine_read.h"
#include "improve/step_run.h"
#include "os/file.h"

// Inside of the sandbox.
#define RUN_DIRECTORY  "/run/perfwright"
#define GOAL_INSIDE    RUN_DIRECTORY "/goal.md"
#define SELF_INSIDE    RUN_DIRECTORY "/perfwright"
#define OUT_INSIDE     RUN_DIRECTORY "/out"
#define PROGRAM_INSIDE RUN_DIRECTORY "/program"

enum {
    COMMAND_BYTES_MAX = 512 << 10,
    MOUNTS_MAX = 8,
    ENV_MAX = 2100, // of steps.yaml, of [improve] and ours
    ERRORS_BYTES_MAX = 16 << 10,
    EXIT_NO_PROGRAM = 127,
    GEMINI_EXIT_TURNS = 53,
};

typedef struct Driver {
    EngineRun *run;
    const EngineOptions *o;
    EnginePlaces places;
    Broker *broker;
    EngineReader *reader;
    SandboxMount mounts[MOUNTS_MAX];
    size_t mount_count;
    const char *env[ENV_MAX + 1];
    size_t env_count;
    StepRunOptions step;
    StepResult result;
    FiberGroup group;
    Fiber *worker;
    int rc; // of step_run
    Err err;
    const char *stopped; // why we ended it
} Driver;

static int refuse(Driver *d, EngineOutcome *outcome, const Err *why)
{
    (void)d;
    outcome->status = ENGINE_REFUSED;
    outcome->message = arena_copy(d->run->arena, slice_from_cstr(why->text));
    transcript_note(d->run->t, "%s", why->text);
    return 0;
}

// ---- what it sees

static const char *mount(Driver *d, const char *host, const char *inside, bool writable)
{
    if (d->o->no_sandbox) {
        return host;
    }
    d->mounts[d->mount_count++] = (SandboxMount){host, inside, writable};
    return inside;
}

static const char *in_scratch(const Driver *d, const char *name)
{
    return arena_printf(d->run->arena, "%s/%s", d->run->scratch, name).ptr;
}

// The path with its links followed, in the arena; NULL where there is nothing.
static const char *resolve(Driver *d, const char *path)
{
    char *real = arena_alloc(d->run->arena, PATH_MAX);
    return realpath(path, real);
}

static int find_self(Driver *d, Err *e)
{
    const char *self = resolve(d, d->o->self ? d->o->self : "/proc/self/exe");
    if (!self) {
        return err_errno(e, ERR_IO, errno, "cannot find perfwright's own program");
    }
    d->places.self = mount(d, self, SELF_INSIDE, false);
    return 0;
}

// The first executable of that name in PATH, its links followed; NULL without one.
static const char *find_program(Driver *d, const char *name)
{
    Slice left = slice_from_cstr(d->o->get_env ? d->o->get_env("PATH") : NULL), part;
    for (bool more = left.len > 0; more;) {
        more = slice_cut(left, ':', &part, &left);
        const char *path = arena_printf(d->run->arena, "%.*s/%s", SLICE_FMT(part), name).ptr;
        struct stat st;
        if (part.len > 0 && access(path, X_OK) == 0 && stat(path, &st) == 0 &&
            S_ISREG(st.st_mode)) {
            return path;
        }
    }
    return NULL;
}

static bool is_system(const char *path)
{
    static const char *const roots[] = {"/usr/", "/bin/", "/lib/", "/opt/"};
    for (size_t i = 0; i < COUNT_OF(roots); i++) {
        if (slice_starts_with(slice_from_cstr(path), slice_from_cstr(roots[i]))) {
            return true;
        }
    }
    return false;
}

// Programs from outside of the system's directories are mounted by themselves; those that npm
// installed with their packages. Never a whole home: keys live there.
static int show_program(Driver *d, const char *name, Err *e)
{
    const char *path = find_program(d, name);
    const char *target = path ? resolve(d, path) : NULL;
    if (!target) {
        return err_set(e, ERR_NOT_FOUND,
                       "there is no program '%s' in PATH: install it, or choose another engine",
                       name);
    }
    d->places.program = target;
    if (is_system(target)) {
        return 0;
    }
    Slice whole = slice_from_cstr(target), mark = SLICE("/node_modules/");
    ptrdiff_t at = slice_find(whole, mark);
    const char *shown =
        at < 0 ? target : arena_cstr(d->run->arena, slice_sub(whole, 0, (size_t)at + mark.len - 1));
    (void)mount(d, shown, shown, false);
    return 0;
}

// cmd: where the first word is a file of the user's, it is shown; else the command is one of the
// system or of the working copy.
static int show_command(Driver *d)
{
    Slice command = d->o->choice.argument, word, rest;
    (void)slice_cut(command, ' ', &word, &rest);
    const char *text = arena_cstr(d->run->arena, word);
    d->places.program = arena_cstr(d->run->arena, command);
    struct stat st;
    const char *real = slice_find_byte(word, '/') >= 0 ? resolve(d, text) : NULL;
    if (!real || stat(real, &st) < 0 || !S_ISREG(st.st_mode) || is_system(real)) {
        return 0;
    }
    d->places.program = arena_printf(d->run->arena, "%s %.*s",
                                     mount(d, real, PROGRAM_INSIDE, false), SLICE_FMT(rest))
                            .ptr;
    return 0;
}

static int show_all(Driver *d, Err *e)
{
    int rc = 0;
    d->places.goal = mount(d, in_scratch(d, "goal.md"), GOAL_INSIDE, false);
    if (d->o->choice.kind == ENGINE_CMD) {
        rc = show_command(d);
    } else {
        const char *out = in_scratch(d, "out");
        rc = dir_make_all(out, e);
        d->places.errors =
            arena_printf(d->run->arena, "%s/stderr", mount(d, out, OUT_INSIDE, true)).ptr;
        if (rc == 0) {
            rc = show_program(d, engine_cli_program(d->o->choice.kind), e);
        }
    }
    if (rc == 0 && d->o->settings->provider.len > 0) {
        rc = find_self(d, e);
    }
    return rc;
}

// ---- what it may use

static void put_env(Driver *d, const char *name, const char *value)
{
    d->env[d->env_count++] = arena_printf(d->run->arena, "%s=%s", name, value).ptr;
}

// Without a broker the engine gets the variables that the user named, and each value is hidden in
// the transcript. One that cannot be hidden is not given.
static int give_keys(Driver *d, Err *e)
{
    const FieldNames *names = &d->o->settings->env;
    for (size_t i = 0; i < names->count && d->env_count < ENV_MAX - 1; i++) {
        const char *name = arena_cstr(d->run->arena, names->items[i]);
        const char *value = d->o->get_env ? d->o->get_env(name) : NULL;
        if (!value || !value[0]) {
            return err_set(e, ERR_NOT_FOUND, "[improve] env names %s, which is not set", name);
        }
        if (!transcript_hide(d->run->t, slice_from_cstr(value))) {
            return err_set(e, ERR_ARG, "[improve] env: the value of %s is too short to be a key",
                           name);
        }
        put_env(d, name, value);
    }
    return 0;
}

static int open_broker(Driver *d, Err *e)
{
    const EngineSettings *s = d->o->settings;
    size_t index = 0;
    int rc = engine_settings_provider(s, &index, e);
    if (rc != 0) {
        return rc;
    }
    const char *path = in_scratch(d, "broker.sock");
    rc = broker_open(&(BrokerOptions){.loop = d->o->loop,
                                      .pool = d->o->pool,
                                      .config = &s->llm,
                                      .provider = index,
                                      .get_env = d->o->get_env,
                                      .socket_path = path,
                                      .requests_max = s->requests,
                                      .tokens_max = s->tokens,
                                      .cost_nano_max = engine_settings_cost_nano(s),
                                      .transcript = d->run->t},
                     &d->broker, e);
    if (rc == 0) {
        d->places.socket = d->o->no_sandbox ? path : SANDBOX_BROKER_PATH;
        d->places.base_path = broker_base_path(d->broker);
        d->places.protocol = s->llm.providers[index].protocol;
        d->step.sandbox.broker_socket = path;
    }
    return rc;
}

static int reach_provider(Driver *d, Err *e)
{
    const EngineSettings *s = d->o->settings;
    if (s->provider.len > 0) {
        return open_broker(d, e);
    }
    if (!s->network && d->o->choice.kind != ENGINE_CMD) {
        return err_set(e, ERR_ARG,
                       "%s needs its provider: set `provider` in [improve] to a section of [llm], "
                       "which it then reaches through a broker that holds the key; or `network = "
                       "true` with `env`, which gives it the network and the key",
                       engine_cli_program(d->o->choice.kind));
    }
    d->step.network = s->network;
    return give_keys(d, e);
}

// ---- running

static void check_budget(Driver *d)
{
    const EngineSettings *s = d->o->settings;
    const TranscriptTotals *t = &d->run->t->totals;
    const EngineReaderState *state = engine_reader_state(d->reader);
    int64_t cost = engine_settings_cost_nano(s), tokens = 0;
    if (__builtin_add_overflow(t->input_tokens, t->output_tokens, &tokens)) {
        tokens = INT64_MAX;
    }
    d->stopped = s->tokens > 0 && tokens > s->tokens        ? "it used its tokens"
                 : cost > 0 && t->cost_nano_usd > cost      ? "it used its money"
                 : state->bytes > (uint64_t)s->output_bytes ? "it printed more than it may"
                                                            : NULL;
    if (d->stopped) {
        fiber_cancel(d->worker);
    }
}

static void on_output(void *ctx, Slice bytes)
{
    Driver *d = ctx;
    if (!d->stopped) {
        engine_reader_push(d->reader, bytes);
        check_budget(d);
    }
}

static void work(void *arg)
{
    Driver *d = arg;
    d->rc = step_run(&d->step, d->run->arena, &d->result, &d->err);
}

// The command has a fiber of its own, so that it can be ended for what it prints.
static int run_command(Driver *d, Err *e)
{
    d->worker = fiber_group_spawn(&d->group, d->o->pool, "engine", work, d);
    if (!d->worker) {
        return err_set(e, ERR_LIMIT, "too many fibers");
    }
    if (fiber_group_wait(&d->group, NEVER_NS) != 0) {
        fiber_clear_cancel();
        fiber_cancel(d->worker);
        while (fiber_group_wait(&d->group, NEVER_NS) != 0) {
            fiber_clear_cancel();
        }
        fiber_cancel(fiber_self()); // whoever called shall see it too
        return err_set(e, ERR_CANCELLED, "the engine was cancelled");
    }
    if (d->rc == ERR_CANCELLED && d->stopped) {
        return 0;
    }
    if (d->rc != 0 && e) {
        *e = d->err;
    }
    return d->rc;
}

static int prepare(Driver *d, Err *e)
{
    const EngineSettings *s = d->o->settings;
    Buf command = buf_create(COMMAND_BYTES_MAX);
    put_env(d, "PERFWRIGHT_GOAL_FILE", d->places.goal);
    d->env_count = engine_environment(d->o->steps, d->run->arena, d->env, d->env_count, ENV_MAX);
    int rc = engine_cli_command(d->o, &d->places, d->run->arena, &command, e);
    d->step.loop = d->o->loop;
    d->step.workspace = d->o->workspace;
    d->step.deps_dir = d->o->deps_dir;
    d->step.no_sandbox = d->o->no_sandbox;
    d->step.timeout_ns = d->run->deadline_ns - loop_clock(d->o->loop);
    d->step.command = rc == 0 ? arena_cstr(d->run->arena, buf_slice(&command)) : NULL;
    d->step.output_fn = on_output;
    d->step.ctx = d;
    d->step.sandbox.mounts = d->mounts;
    d->step.sandbox.mount_count = d->mount_count;
    d->step.sandbox.env = d->env;
    d->step.sandbox.memory_bytes_max = (uint64_t)s->memory_bytes;
    d->step.sandbox.disk_bytes_max = (uint64_t)s->disk_bytes;
    d->step.sandbox.processes_max = (unsigned)s->processes;
    buf_done(&command);
    return rc;
}

// ---- how it ended

static Slice read_errors(Driver *d)
{
    int fd = d->places.errors
                 ? open(in_scratch(d, "out/stderr"), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
                 : -1;
    struct stat st;
    char *text = arena_alloc(d->run->arena, ERRORS_BYTES_MAX);
    ssize_t n = 0;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        off_t from = st.st_size > ERRORS_BYTES_MAX ? st.st_size - ERRORS_BYTES_MAX : 0;
        n = pread(fd, text, ERRORS_BYTES_MAX, from);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return slice_trim((Slice){text, n > 0 ? (size_t)n : 0});
}

static EngineStatus status_of(const Driver *d)
{
    const EngineReaderState *s = engine_reader_state(d->reader);
    int code = d->result.exit_code;
    if (d->stopped || s->over_budget || (d->broker && broker_stats(d->broker).over_budget)) {
        return ENGINE_OVER_BUDGET;
    }
    switch (d->result.end) {
    case STEP_OK: return s->failed ? ENGINE_CRASHED : ENGINE_EDITED;
    case STEP_FAILED:
        return code == EXIT_NO_PROGRAM ? ENGINE_REFUSED
               : d->o->choice.kind == ENGINE_GEMINI && code == GEMINI_EXIT_TURNS
                   ? ENGINE_OVER_BUDGET
                   : ENGINE_CRASHED;
    case STEP_TIMED_OUT: return ENGINE_TIMED_OUT;
    case STEP_MEMORY:
    case STEP_PROCESSES:
    case STEP_DISK: return ENGINE_OVER_BUDGET;
    case STEP_SIGNALLED:
    case STEP_CANCELLED:
    case STEP_ENDS: break;
    }
    return ENGINE_CRASHED;
}

// The last line of what the program complained about, for the sentence.
static Slice last_line(Slice text)
{
    while (text.len > 0) {
        ptrdiff_t at = slice_find_byte(text, '\n');
        if (at < 0) {
            break;
        }
        text = slice_sub(text, (size_t)at + 1, text.len);
    }
    return slice_sub(text, 0, 300);
}

static void conclude(Driver *d, EngineOutcome *outcome)
{
    const EngineReaderState *s = engine_reader_state(d->reader);
    Arena *arena = d->run->arena;
    Slice errors = read_errors(d);
    Buf clean = buf_create(64 << 10);
    if (errors.len > 0) {
        transcript_error(d->run->t, errors);
    }
    outcome->status = status_of(d);
    Slice own = buf_slice(&s->error);
    transcript_clean(d->run->t, last_line(own.len > 0 ? own : errors), &clean);
    Slice said = buf_slice(&clean);
    if (outcome->status != ENGINE_EDITED) {
        outcome->message = arena_printf(arena, "%s%.*s%s%.*s", d->stopped ? d->stopped : "",
                                        SLICE_FMT(d->result.text),
                                        said.len > 0 ? "; it said: " : "", SLICE_FMT(said));
    } else if (d->o->choice.kind != ENGINE_CMD && !s->ended) {
        transcript_note(d->run->t, "the output ends before the engine's last event");
    }
    if (d->result.end == STEP_TIMED_OUT) {
        transcript_timeout(d->run->t, SLICE("the engine"));
    }
    if (s->lines_odd + s->lines_long > 0) {
        transcript_note(d->run->t, "%llu of %llu lines were no events, %llu were too long",
                        (unsigned long long)s->lines_odd, (unsigned long long)s->lines,
                        (unsigned long long)s->lines_long);
    }
    buf_reset(&clean);
    clean.max = 4 * ENGINE_FINAL_TEXT_MAX;
    transcript_clean(d->run->t, buf_slice(&s->final_text), &clean);
    outcome->final_text = arena_copy(arena, buf_slice(&clean));
    buf_done(&clean);
}

// The broker counts what really passed, so where there is one its sums replace the engine's own.
static void take_broker_stats(Driver *d)
{
    if (!d->broker) {
        return;
    }
    BrokerStats s = broker_stats(d->broker);
    TranscriptTotals *t = &d->run->t->totals;
    transcript_note(
        d->run->t, "broker: %llu requests, %llu refused, %lld tokens in, %lld out, %llu estimated",
        (unsigned long long)s.requests, (unsigned long long)s.refused, (long long)s.input_tokens,
        (long long)s.output_tokens, (unsigned long long)s.estimated);
    t->input_tokens = s.input_tokens;
    t->output_tokens = s.output_tokens;
    t->cached_tokens = s.cached_tokens;
    t->cost_nano_usd = s.cost_nano_usd;
}

int engine_cli_run(EngineRun *run, EngineOutcome *ret_outcome, Err *e)
{
    Driver *d = ARENA_NEW(run->arena, Driver);
    Err why = {0};
    d->run = run;
    d->o = run->o;
    *ret_outcome = (EngineOutcome){.status = ENGINE_EDITED};
    if (show_all(d, &why) != 0 || reach_provider(d, &why) != 0 || prepare(d, &why) != 0) {
        broker_close(d->broker);
        return refuse(d, ret_outcome, &why);
    }
    d->reader = engine_reader_create(d->o->choice.kind, run->t);
    int rc = run_command(d, e);
    if (rc == 0) {
        engine_reader_end(d->reader);
        conclude(d, ret_outcome);
        take_broker_stats(d);
    }
    engine_reader_destroy(d->reader);
    broker_close(d->broker);
    return rc;
}
