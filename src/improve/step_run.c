#include "improve/step_run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "improve/tree_copy.h"
#include "os/fiber.h"
#include "os/file.h"
#include "os/process.h"

enum { ENV_MAX = 256, KILLED_BY = 128, SIGNALS = 64, MARK_BYTES = 120 };
static const int64_t GRACE_NS = 500 * NS_PER_MS;

const char *const STEP_END_NAMES[STEP_ENDS + 1] = {
    "ok",          "failed",    "signalled", "timed out", "out of memory", "too many processes",
    "out of disk", "cancelled", NULL};

// ---- the sandbox of a step

typedef struct EnvList {
    const char **items;
    size_t count;
} EnvList;

static void put(EnvList *env, const char *entry)
{
    if (env->count < ENV_MAX) {
        env->items[env->count++] = entry;
    }
}

// Where package managers keep what they fetched: under the dependency directory, so that an install
// step fills it and later ones find it without a network. Go's and others' build caches stay in the
// home directory, which belongs to one workspace.
static void add_deps_env(EnvList *env)
{
    static const char *const ENV[] = {"CARGO_HOME=" WORKSPACE_DEPS "/cargo",
                                      "GOPATH=" WORKSPACE_DEPS "/go",
                                      "GOFLAGS=-modcacherw",
                                      "npm_config_cache=" WORKSPACE_DEPS "/npm",
                                      "npm_config_logs_dir=/tmp",
                                      "PIP_CACHE_DIR=" WORKSPACE_DEPS "/pip",
                                      "MAVEN_OPTS=-Dmaven.repo.local=" WORKSPACE_DEPS "/m2",
                                      "GRADLE_USER_HOME=" WORKSPACE_DEPS "/gradle",
                                      NULL};
    for (size_t i = 0; ENV[i]; i++) {
        put(env, ENV[i]);
    }
}

static void add_mount(SandboxMount *mounts, SandboxOptions *o, const char *host, const char *inside,
                      bool writable)
{
    mounts[o->mount_count++] = (SandboxMount){.host = host, .inside = inside, .writable = writable};
}

static const char *inside_directory(const StepRunOptions *options, Arena *arena)
{
    const char *below = options->directory;
    return below && below[0] ? arena_printf(arena, WORKSPACE_INSIDE "/%s", below).ptr
                             : WORKSPACE_INSIDE;
}

static const char *deps_copy(const StepRunOptions *options, Arena *arena)
{
    return arena_printf(arena, "%s/deps", workspace_root(options->workspace)).ptr;
}

static void make_sandbox(const StepRunOptions *options, bool tree_writable, bool home, Arena *arena,
                         SandboxOptions *ret_sandbox)
{
    enum { OURS = 3 };
    SandboxOptions o = options->sandbox;
    size_t given = o.mount_count;
    SandboxMount *mounts = ARENA_ARRAY(arena, SandboxMount, given + OURS);
    EnvList env = {.items = ARENA_ARRAY(arena, const char *, ENV_MAX + 1)};
    o.mount_count = 0;
    add_mount(mounts, &o, workspace_tree(options->workspace), WORKSPACE_INSIDE, tree_writable);
    if (home) {
        add_mount(mounts, &o, workspace_home(options->workspace), SANDBOX_HOME, true);
    }
    if (options->deps_dir) {
        bool copied = options->deps == STEP_DEPS_COPY;
        add_mount(mounts, &o, copied ? deps_copy(options, arena) : options->deps_dir,
                  WORKSPACE_DEPS, copied || options->deps == STEP_DEPS_WRITABLE);
        add_deps_env(&env);
        const char *first = o.path_first && o.path_first[0] ? o.path_first : NULL;
        o.path_first = arena_printf(arena,
                                    "%s%s" WORKSPACE_DEPS "/venv/bin:" WORKSPACE_DEPS
                                    "/bin:" WORKSPACE_DEPS "/cargo/bin:" WORKSPACE_DEPS "/go/bin",
                                    first ? first : "", first ? ":" : "")
                           .ptr;
    }
    for (size_t i = 0; i < given; i++) {
        mounts[o.mount_count++] = options->sandbox.mounts[i];
    }
    for (size_t i = 0; o.env && o.env[i]; i++) {
        put(&env, o.env[i]);
    }
    o.mounts = mounts;
    o.env = env.items;
    o.directory = inside_directory(options, arena);
    o.network = options->network;
    *ret_sandbox = o;
}

void step_sandbox(const StepRunOptions *options, bool tree_writable, Arena *arena,
                  SandboxOptions *ret_sandbox)
{
    make_sandbox(options, tree_writable, false, arena, ret_sandbox);
}

static int copy_deps(const StepRunOptions *options, Arena *arena, Err *e)
{
    const char *to = deps_copy(options, arena);
    if (!options->deps_dir || options->deps != STEP_DEPS_COPY || access(to, F_OK) == 0) {
        return 0;
    }
    int rc = dir_make_all(to, e);
    return rc == 0 ? tree_copy(options->deps_dir, to, NULL, NULL, e) : rc;
}

// ---- without one

// As near to the sandbox's as it can be: the same names, our own places.
static const char *const *plain_environment(const StepRunOptions *options, Arena *arena)
{
    EnvList env = {.items = ARENA_ARRAY(arena, const char *, ENV_MAX + 1)};
    const char *first = options->sandbox.path_first;
    put(&env,
        arena_printf(arena, "PATH=%s%s%s", first ? first : "", first ? ":" : "", process_path())
            .ptr);
    put(&env, arena_printf(arena, "HOME=%s", workspace_home(options->workspace)).ptr);
    put(&env, "LANG=C.UTF-8");
    put(&env, "TMPDIR=/tmp");
    put(&env, "TERM=dumb");
    put(&env, "CCACHE_DISABLE=1");
    put(&env, "GIT_TERMINAL_PROMPT=0");
    for (size_t i = 0; options->sandbox.env && options->sandbox.env[i]; i++) {
        put(&env, options->sandbox.env[i]);
    }
    return env.items;
}

// ---- output

typedef struct Run {
    const StepRunOptions *options;
    Fiber *fiber;
    bool ended;
    bool cancelled;
    ProcessEnd end;
    int log; // -1: none
    int log_errno;
    uint64_t printed;
    uint64_t head_max; // of the log file, before the tail
    uint64_t logged;
    char tail[STEP_TAIL_BYTES]; // a ring
    size_t tail_at;
    size_t tail_len;
} Run;

static void write_log(Run *run, Slice bytes)
{
    while (run->log >= 0 && bytes.len > 0) {
        ssize_t n = write(run->log, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            run->log_errno = run->log_errno ? run->log_errno : errno;
            return;
        }
        bytes = slice_sub(bytes, (size_t)n, bytes.len);
    }
}

static void keep_tail(Run *run, Slice bytes)
{
    if (bytes.len > STEP_TAIL_BYTES) {
        bytes = slice_sub(bytes, bytes.len - STEP_TAIL_BYTES, STEP_TAIL_BYTES);
    }
    size_t first = STEP_TAIL_BYTES - run->tail_at;
    first = first < bytes.len ? first : bytes.len;
    memcpy(run->tail + run->tail_at, bytes.ptr, first);
    memcpy(run->tail, bytes.ptr + first, bytes.len - first);
    run->tail_at = (run->tail_at + bytes.len) % STEP_TAIL_BYTES;
    run->tail_len += bytes.len;
    run->tail_len = run->tail_len < STEP_TAIL_BYTES ? run->tail_len : STEP_TAIL_BYTES;
}

static void on_output(void *ctx, ProcessStream stream, Slice bytes)
{
    (void)stream; // both come as one
    Run *run = ctx;
    run->printed += bytes.len;
    uint64_t room = run->head_max - run->logged;
    Slice head = slice_sub(bytes, 0, room < bytes.len ? (size_t)room : bytes.len);
    write_log(run, head);
    run->logged += head.len;
    keep_tail(run, bytes);
    if (run->options->output_fn) {
        run->options->output_fn(run->options->ctx, bytes);
    }
}

static void on_end(void *ctx, const ProcessEnd *end)
{
    Run *run = ctx;
    run->end = *end;
    run->ended = true;
    if (run->fiber) {
        fiber_resume(run->fiber);
    }
}

static Slice tail_of(const Run *run, Arena *arena)
{
    char *text = arena_alloc(arena, run->tail_len + 1);
    size_t from = (run->tail_at + STEP_TAIL_BYTES - run->tail_len) % STEP_TAIL_BYTES;
    size_t first = STEP_TAIL_BYTES - from;
    first = first < run->tail_len ? first : run->tail_len;
    memcpy(text, run->tail + from, first);
    memcpy(text + first, run->tail, run->tail_len - first);
    return (Slice){text, run->tail_len};
}

// From the start of a line where something is missing before it.
static Slice whole_lines(Slice tail, uint64_t printed)
{
    ptrdiff_t line = printed > tail.len ? slice_find_byte(tail, '\n') : -1;
    return line >= 0 ? slice_sub(tail, (size_t)line + 1, tail.len) : tail;
}

static int open_log(Run *run, Err *e)
{
    size_t max = run->options->log_bytes_max ? run->options->log_bytes_max : STEP_LOG_BYTES_MAX;
    // Below that a log is nothing but its tail.
    run->head_max = max > STEP_TAIL_BYTES + MARK_BYTES ? max - STEP_TAIL_BYTES - MARK_BYTES : 0;
    run->log = -1;
    if (!run->options->log_path) {
        run->head_max = 0;
        return 0;
    }
    run->log =
        open(run->options->log_path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    return run->log >= 0
               ? 0
               : err_errno(e, ERR_IO, errno, "cannot write the log '%s'", run->options->log_path);
}

static int close_log(Run *run, StepResult *result, Arena *arena, Err *e)
{
    Slice tail = tail_of(run, arena);
    uint64_t left = run->printed - run->logged;
    result->tail = whole_lines(tail, run->printed);
    if (run->log < 0) {
        return 0;
    }
    if (left > 0) {
        uint64_t cut = left > tail.len ? left - tail.len : 0;
        if (cut > 0) {
            write_log(run,
                      arena_printf(arena, "\n[... %llu bytes of output are not in this log ...]\n",
                                   (unsigned long long)cut));
        }
        write_log(run, slice_sub(tail, tail.len - (size_t)(left - cut), tail.len));
        result->truncated = cut > 0;
    }
    (void)close(run->log);
    return run->log_errno == 0
               ? 0
               : err_errno(e, run->log_errno == ENOSPC ? ERR_FULL : ERR_IO, run->log_errno,
                           "cannot write the log '%s'", run->options->log_path);
}

// ---- how it ended

// Shells and bwrap say that signal N ended a command with exit code 128 + N.
static int signal_of(const ProcessEnd *end)
{
    bool told = end->exit_code > KILLED_BY && end->exit_code <= KILLED_BY + SIGNALS;
    return told ? end->exit_code - KILLED_BY : end->signal;
}

static StepEnd classify(const Run *run, SandboxBreach breach)
{
    switch (breach) {
    case SANDBOX_MEMORY: return STEP_MEMORY;
    case SANDBOX_PROCESSES: return STEP_PROCESSES;
    case SANDBOX_DISK:
    case SANDBOX_DISK_FULL: return STEP_DISK;
    case SANDBOX_WITHIN:
    case SANDBOX_BREACHES: break;
    }
    if (run->cancelled) {
        return STEP_CANCELLED;
    }
    if (run->end.timed_out) {
        return STEP_TIMED_OUT;
    }
    if (signal_of(&run->end) != 0) {
        return STEP_SIGNALLED;
    }
    return run->end.exit_code == 0 ? STEP_OK : STEP_FAILED;
}

static Slice explain(const StepRunOptions *options, const StepResult *r, Arena *arena)
{
    int64_t timeout = options->timeout_ns ? options->timeout_ns : STEP_TIMEOUT_NS;
    switch (r->end) {
    case STEP_OK: return SLICE("");
    case STEP_FAILED: return arena_printf(arena, "ended with exit code %d", r->exit_code);
    case STEP_SIGNALLED:
        return arena_printf(arena, "ended by signal %d (%s)", r->signal, strsignal(r->signal));
    case STEP_TIMED_OUT:
        return arena_printf(
            arena,
            "did not end within %.0f s and was killed: not measured; raise the time "
            "limit, or choose a smaller target",
            (double)timeout / (double)NS_PER_S);
    case STEP_MEMORY:
        return arena_printf(arena,
                            "was killed at %.0f MiB of memory: raise limits.memory, or build "
                            "with fewer jobs",
                            (double)r->usage.rss_bytes_max / (1 << 20));
    case STEP_PROCESSES:
        return arena_printf(arena,
                            "was killed with %u processes: raise limits.processes, or build "
                            "with fewer jobs",
                            r->usage.processes_max);
    case STEP_DISK:
        return arena_printf(arena,
                            "was killed after writing %.0f MiB: raise limits.disk, or free "
                            "space",
                            (double)r->usage.grown_bytes / (1 << 20));
    case STEP_CANCELLED: return SLICE("was cancelled");
    case STEP_ENDS: break;
    }
    return SLICE("");
}

// bwrap speaks for itself where it cannot set up what was asked for; that is no fault of the step.
static int own_failure(const StepRunOptions *options, const StepResult *r, Err *e)
{
    if (options->no_sandbox || r->exit_code != 1 || r->output_bytes > STEP_TAIL_BYTES ||
        !slice_starts_with(r->tail, SLICE("bwrap: "))) {
        return 0;
    }
    return err_set(e, ERR_UNSUPPORTED, "cannot set up a sandbox: %.*s",
                   SLICE_FMT(slice_trim(r->tail)));
}

// ---- running

static int command_line(const StepRunOptions *options, Arena *arena, SandboxOptions *sandbox,
                        ProcessOptions *process, Err *e)
{
    const char **argv = ARENA_ARRAY(arena, const char *, 4);
    argv[0] = "/bin/sh";
    argv[1] = "-c";
    argv[2] = options->command;
    if (options->no_sandbox) {
        const char *below = options->directory ? options->directory : "";
        process->argv = argv;
        process->envp = plain_environment(options, arena);
        process->directory =
            arena_printf(arena, "%s/%s", workspace_tree(options->workspace), below).ptr;
        return 0;
    }
    int rc = copy_deps(options, arena, e);
    make_sandbox(options, true, true, arena, sandbox);
    return rc == 0 ? sandbox_argv(arena, sandbox, argv, &process->argv, e) : rc;
}

static void wait_for_end(Run *run, Loop *loop, Process *process)
{
    while (!run->ended) {
        if (!run->fiber) {
            (void)loop_tick(loop, NEVER_NS);
        } else if (fiber_park("step", NEVER_NS) == ERR_CANCELLED) {
            run->cancelled = true;
            fiber_clear_cancel();
            process_kill(process, SIGKILL);
        }
    }
}

static int run_it(Run *run, Loop *loop, Arena *arena, StepResult *result, Err *e)
{
    const StepRunOptions *options = run->options;
    SandboxOptions sandbox;
    ProcessOptions o = {.loop = loop,
                        .timeout_ns = options->timeout_ns ? options->timeout_ns : STEP_TIMEOUT_NS,
                        .grace_ns = GRACE_NS,
                        .merge_err = true,
                        .output_fn = on_output,
                        .end_fn = on_end,
                        .ctx = run};
    Process *process;
    int rc = command_line(options, arena, &sandbox, &o, e);
    rc = rc == 0 ? process_start(&o, &process, e) : rc;
    if (rc != 0) {
        return rc;
    }
    SandboxWatch *watch = NULL;
    if (!options->no_sandbox) {
        watch = sandbox_watch_start(
            &(SandboxWatchOptions){.loop = loop, .pid = process_pid(process), .limits = &sandbox});
    }
    wait_for_end(run, loop, process);
    result->end = classify(run, sandbox_watch_stop(watch, &result->usage));
    result->signal = signal_of(&run->end);
    result->exit_code = result->signal != 0 ? -1 : run->end.exit_code;
    result->wall_ns = run->end.wall_ns;
    // bwrap does not wait for what it starts in a way that would give it the time, so what was seen
    // last counts there.
    int64_t waited_ns = run->end.user_ns + run->end.system_ns;
    result->cpu_ns = result->usage.cpu_ns > waited_ns ? result->usage.cpu_ns : waited_ns;
    result->output_bytes = run->printed;
    return 0;
}

int step_run(const StepRunOptions *options, Arena *arena, StepResult *ret_result, Err *e)
{
    StepResult result = {0};
    Run *run = mem_zalloc(sizeof *run); // its ring is too large for a fiber's stack
    run->options = options;
    run->fiber = options->loop ? fiber_self() : NULL;
    Loop *own = NULL;
    int rc = open_log(run, e);
    if (rc == 0 && !options->loop) {
        rc = loop_create(&(LoopOptions){0}, &own, e);
    }
    rc = rc == 0 ? run_it(run, own ? own : options->loop, arena, &result, e) : rc;
    Err of_log = {0};
    int rc_log = close_log(run, &result, arena, &of_log);
    if (rc == 0 && rc_log != 0) {
        rc = err_set(e, (ErrCode)rc_log, "%s", of_log.text);
    }
    loop_destroy(own);
    rc = rc == 0 ? own_failure(options, &result, e) : rc;
    if (rc == 0 && options->count_changes) {
        rc = workspace_changes(options->workspace, &result.changes, e);
    }
    if (rc == 0 && run->cancelled) {
        fiber_cancel(fiber_self());
        rc = err_set(e, ERR_CANCELLED, "cancelled");
    }
    free(run);
    if (rc == 0) {
        result.text = explain(options, &result, arena);
        *ret_result = result;
    }
    return rc;
}
