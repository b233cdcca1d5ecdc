#include "improve/configure_sandbox.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "improve/packages.h"
#include "ledger/sha256.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"
#include "os/sandbox_watch.h"

// Where steps see the tree and what was fetched for it.
#define INSIDE_TREE "/work"
#define INSIDE_DEPS "/deps"

enum { LOG_BYTES_MAX = 64 << 20, ARENA_MAX = 256 << 20, PATH_BYTES_MAX = 4096 };

struct ConfigureSandbox {
    ConfigureRunner runner;
    Arena *arena;
    Loop *loop;
    const char *repo, *work_dir, *deps;
    int copies;
};

typedef struct Copy {
    const char *root, *tree, *home;
} Copy;

// ---- one process, with its output to a log

typedef struct Running {
    Loop *loop;
    int log;
    size_t logged;
    ProcessEnd end;
} Running;

static void on_output(void *ctx, ProcessStream stream, Slice bytes)
{
    (void)stream;
    Running *r = ctx;
    // A build that prints a gigabyte keeps its first part; the end of such a log is repetition.
    size_t n = r->logged < LOG_BYTES_MAX ? bytes.len : 0;
    while (r->log >= 0 && n > 0) {
        ssize_t wrote = write(r->log, bytes.ptr + (bytes.len - n), n);
        if (wrote <= 0) {
            break;
        }
        n -= (size_t)wrote;
        r->logged += (size_t)wrote;
    }
}

static void on_end(void *ctx, const ProcessEnd *end)
{
    Running *r = ctx;
    r->end = *end;
    loop_stop(r->loop);
}

static int run_process(ConfigureSandbox *s, const char *const *argv, const SandboxOptions *limits,
                       int64_t timeout_ns, const char *log_path, Running *r, SandboxBreach *breach,
                       Err *e)
{
    *r = (Running){.loop = s->loop, .log = -1};
    if (log_path) {
        r->log = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    }
    ProcessOptions options = {.loop = s->loop,
                              .argv = argv,
                              .timeout_ns = timeout_ns,
                              .merge_err = true,
                              .output_fn = on_output,
                              .end_fn = on_end,
                              .ctx = r};
    Process *process = NULL;
    int rc = process_start(&options, &process, e);
    if (rc == 0) {
        SandboxWatchOptions look = {.loop = s->loop, .pid = process_pid(process), .limits = limits};
        SandboxWatch *watch = limits ? sandbox_watch_start(&look) : NULL;
        loop_run(s->loop);
        *breach = watch ? sandbox_watch_stop(watch, NULL) : SANDBOX_WITHIN;
    }
    if (r->log >= 0) {
        (void)close(r->log);
    }
    return rc;
}

// Our own helpers (cp, chmod): trusted, with paths we made.
static int run_helper(ConfigureSandbox *s, const char *const *argv, Err *e)
{
    Running r;
    SandboxBreach breach = SANDBOX_WITHIN;
    int rc = run_process(s, argv, NULL, 10 * NS_PER_MINUTE, NULL, &r, &breach, e);
    if (rc == 0 && r.end.exit_code != 0) {
        rc = err_set(e, ERR_IO, "%s ended with %d", argv[0], r.end.exit_code);
    }
    return rc;
}

// ---- copies

static const char *below(ConfigureSandbox *s, const char *root, const char *name)
{
    return arena_cstr(s->arena, arena_printf(s->arena, "%s/%s", root, name));
}

static void close_copy(void *ctx, void *copy)
{
    ConfigureSandbox *s = ctx;
    Copy *c = copy;
    if (c == NULL) {
        return;
    }
    // Some tools take the write permission from what they make (Go's module cache).
    const char *argv[] = {"chmod", "-R", "u+rwX", "--", c->root, NULL};
    int rc = run_helper(s, argv, NULL);
    rc = rc == 0 ? dir_remove_all(c->root, NULL) : rc;
    (void)rc; // what cannot be removed now is removed with the work directory
}

static int open_copy(void *ctx, void **ret_copy, Err *e)
{
    ConfigureSandbox *s = ctx;
    Copy *c = ARENA_NEW(s->arena, Copy);
    Slice root = arena_printf(s->arena, "%s/copy-%d", s->work_dir, ++s->copies);
    c->root = arena_cstr(s->arena, root);
    c->tree = below(s, c->root, "tree");
    c->home = below(s, c->root, "home");
    int rc = dir_make_all(c->home, e);
    if (rc == 0) {
        rc = dir_make_all(c->tree, e);
    }
    if (rc == 0) {
        const char *argv[] = {"cp",
                              "-a",
                              "--reflink=auto",
                              "--no-preserve=ownership",
                              "--",
                              below(s, s->repo, "."),
                              c->tree,
                              NULL};
        rc = run_helper(s, argv, e);
    }
    // No history, hooks or settings of git in it, and nothing of ours.
    rc = rc == 0 ? dir_remove_all(below(s, c->tree, ".git"), e) : rc;
    rc = rc == 0 ? dir_remove_all(below(s, c->tree, ".perfwright"), e) : rc;
    if (rc != 0) {
        close_copy(s, c);
        return rc;
    }
    *ret_copy = c;
    return 0;
}

static const char *copy_tree(void *ctx, void *copy)
{
    (void)ctx;
    return ((const Copy *)copy)->tree;
}

// ---- commands

static Slice how_it_ended(Arena *arena, const Running *r, SandboxBreach breach, int64_t limit_ns)
{
    if (r->end.timed_out) {
        char limit[UNITS_TEXT_MAX];
        duration_format_short(limit_ns, limit);
        return arena_printf(arena, "cut off after %s: not measured", limit);
    }
    if (breach != SANDBOX_WITHIN) {
        return arena_printf(arena, "ended at a limit of the sandbox: %s",
                            SANDBOX_BREACH_NAMES[breach]);
    }
    return r->end.exit_code < 0 ? arena_printf(arena, "ended by signal %d", r->end.signal)
                                : arena_printf(arena, "exit code %d", r->end.exit_code);
}

static const char *const *environment(Arena *arena)
{
    const char **env = ARENA_ARRAY(arena, const char *, INFER_ENVIRONMENT_COUNT + 1);
    for (size_t i = 0; i < INFER_ENVIRONMENT_COUNT; i++) {
        env[i] =
            arena_cstr(arena, arena_printf(arena, "%.*s=%.*s", SLICE_FMT(INFER_ENVIRONMENT[i].name),
                                           SLICE_FMT(INFER_ENVIRONMENT[i].value)));
    }
    return env;
}

static int run_copy(void *ctx, void *copy, const ConfigureCommand *k, Arena *arena,
                    ConfigureOutcome *out, Err *e)
{
    ConfigureSandbox *s = ctx;
    const Copy *c = copy;
    Slice inside = path_join(arena, SLICE(INSIDE_TREE), k->directory);
    SandboxMount mounts[] = {{c->tree, INSIDE_TREE, true},
                             {s->deps, INSIDE_DEPS, k->network},
                             {c->home, SANDBOX_HOME, true}};
    SandboxOptions box = {.mounts = mounts,
                          .mount_count = COUNT_OF(mounts),
                          .directory = arena_cstr(arena, inside),
                          .env = environment(arena),
                          .network = k->network};
    const char *shell[] = {"sh", "-c", arena_cstr(arena, k->run), NULL};
    const char *const *argv = NULL;
    int rc = sandbox_argv(arena, &box, shell, &argv, e);
    Running r;
    SandboxBreach breach = SANDBOX_WITHIN;
    if (rc != 0 ||
        (rc = run_process(s, argv, &box, k->timeout_ns, k->log_path, &r, &breach, e)) != 0) {
        return rc;
    }
    *out = (ConfigureOutcome){.ok = !r.end.timed_out && r.end.exit_code == 0 &&
                                    breach == SANDBOX_WITHIN,
                              .timed_out = r.end.timed_out,
                              .seconds = (double)r.end.wall_ns / (double)NS_PER_SECOND,
                              .output = configure_log_text(arena, k->log_path)};
    if (!out->ok) {
        out->text = how_it_ended(arena, &r, breach, k->timeout_ns);
    }
    return 0;
}

Slice configure_log_text(Arena *arena, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return (Slice){0};
    }
    struct stat st;
    off_t from = fstat(fd, &st) == 0 && st.st_size > CONFIGURE_OUTPUT_MAX
                     ? st.st_size - CONFIGURE_OUTPUT_MAX
                     : 0;
    Buf text = buf_create(CONFIGURE_OUTPUT_MAX + 1);
    char piece[1 << 12];
    ssize_t n;
    while (text.len < CONFIGURE_OUTPUT_MAX && (n = pread(fd, piece, sizeof piece, from)) > 0) {
        buf_append(&text, (Slice){piece, (size_t)n});
        from += n;
    }
    (void)close(fd);
    Slice copy = arena_copy(arena, buf_slice(&text));
    buf_done(&text);
    return copy;
}

// ---- packages and time

static int64_t now_ns(void *ctx)
{
    (void)ctx;
    return clock_now(clock_real());
}

static bool package_installed(void *ctx, Slice name)
{
    (void)ctx;
    return package_is_installed(name);
}

static Slice package_search(void *ctx, Arena *arena, Slice library)
{
    (void)ctx;
    return package_search_library(arena, library);
}

static int package_install(void *ctx, const Slice *names, size_t count, Err *e)
{
    ConfigureSandbox *s = ctx;
    return packages_install(names, count, below(s, s->work_dir, "packages.log"), e);
}

// ---- life

// By the path of the repository, so that what was fetched is found again.
static int choose_work_dir(ConfigureSandbox *s, const char *given, Err *e)
{
    Buf path = buf_create(PATH_BYTES_MAX);
    int rc = 0;
    if (given) {
        buf_puts(&path, given);
    } else if ((rc = user_dir(USER_CACHE, "perfwright", &path, e)) == 0) {
        char hex[SHA256_HEX + 1];
        Sha256 hash = sha256_of(slice_from_cstr(s->repo));
        sha256_hex(&hash, hex);
        buf_printf(&path, "/improve/%.16s", hex);
    }
    rc = rc == 0 ? buf_check(&path, "path of the work directory", e) : rc;
    s->work_dir = rc == 0 ? arena_cstr(s->arena, buf_slice(&path)) : NULL;
    buf_done(&path);
    s->deps = rc == 0 ? below(s, s->work_dir, "deps") : NULL;
    return rc == 0 ? dir_make_all(s->deps, e) : rc;
}

int configure_sandbox_create(const ConfigureSandboxOptions *options, ConfigureSandbox **ret_sandbox,
                             Err *e)
{
    Arena *arena = arena_create(ARENA_MAX);
    ConfigureSandbox *s = ARENA_NEW(arena, ConfigureSandbox);
    s->arena = arena;
    s->repo = arena_cstr(arena, slice_from_cstr(options->repo));
    s->runner = (ConfigureRunner){.ctx = s,
                                  .open = open_copy,
                                  .run = run_copy,
                                  .close = close_copy,
                                  .tree = copy_tree,
                                  .now_ns = now_ns,
                                  .package_installed = package_installed,
                                  .package_search = package_search,
                                  .package_install = package_install};
    int rc = sandbox_check(e);
    if (rc == 0 && (rc = choose_work_dir(s, options->work_dir, e)) == 0) {
        rc = loop_create(&(LoopOptions){0}, &s->loop, e);
    }
    if (rc != 0) {
        configure_sandbox_destroy(s);
        return rc;
    }
    *ret_sandbox = s;
    return 0;
}

const ConfigureRunner *configure_sandbox_runner(ConfigureSandbox *sandbox)
{
    return &sandbox->runner;
}

void configure_sandbox_destroy(ConfigureSandbox *sandbox)
{
    if (sandbox) {
        loop_destroy(sandbox->loop);
        arena_destroy(sandbox->arena);
    }
}
