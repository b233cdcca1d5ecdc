#include "improve/configure_sandbox.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "improve/packages.h"
#include "improve/step_run.h"
#include "os/clock.h"
#include "os/file.h"

enum { ARENA_MAX = 512 << 20 };

struct ConfigureSandbox {
    ConfigureRunner runner;
    Arena *arena;
    Workspace *base; // never built in: other copies are made of it
    const char *work_dir, *deps;
    const char **env;
    bool no_sandbox;
    Loop *loop;
    bool stopped;
};

// ---- copies and commands

static int open_copy(void *ctx, void **ret_copy, Err *e)
{
    ConfigureSandbox *s = ctx;
    Workspace *ws = NULL;
    int rc = workspace_copy(s->base, s->arena, &ws, e);
    if (rc == 0) {
        *ret_copy = ws;
    }
    return rc;
}

static void close_copy(void *ctx, void *copy)
{
    (void)ctx;
    workspace_destroy(copy);
}

static const char *copy_tree(void *ctx, void *copy)
{
    (void)ctx;
    return workspace_tree(copy);
}

static int run_copy(void *ctx, void *copy, const ConfigureCommand *k, Arena *arena,
                    ConfigureOutcome *out, Err *e)
{
    ConfigureSandbox *s = ctx;
    StepRunOptions options = {.loop = s->loop,
                              .workspace = copy,
                              .command = arena_cstr(arena, k->run),
                              .directory = arena_cstr(arena, k->directory),
                              .deps_dir = s->deps,
                              .deps = k->network ? STEP_DEPS_WRITABLE : STEP_DEPS_READ_ONLY,
                              .timeout_ns = k->timeout_ns,
                              .log_path = k->log_path,
                              .network = k->network,
                              .count_changes = true,
                              .no_sandbox = s->no_sandbox};
    options.sandbox.env = s->env;
    StepResult result;
    int rc = step_run(&options, arena, &result, e);
    if (rc == ERR_CANCELLED || (rc == 0 && result.end == STEP_CANCELLED)) {
        s->stopped = true;
        *out = (ConfigureOutcome){.timed_out = true, .text = SLICE("stopped by a person")};
        return 0;
    }
    if (rc != 0) {
        return rc;
    }
    *out = (ConfigureOutcome){.ok = result.end == STEP_OK,
                              .timed_out = result.end == STEP_TIMED_OUT,
                              .seconds = (double)result.wall_ns / (double)NS_PER_SECOND,
                              .output = configure_log_text(arena, k->log_path),
                              .text = result.text,
                              .changed = result.changes.first};
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
    Buf text = buf_create(2 * (size_t)CONFIGURE_OUTPUT_MAX);
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
    const ConfigureSandbox *s = ctx;
    return s->stopped ? NEVER_NS / 2 : clock_now(clock_real());
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
    Slice log = arena_printf(s->arena, "%s/packages.log", s->work_dir);
    return packages_install(names, count, arena_cstr(s->arena, log), e);
}

// ---- life

static void set_environment(ConfigureSandbox *s)
{
    s->env = ARENA_ARRAY(s->arena, const char *, INFER_ENVIRONMENT_COUNT + 1);
    for (size_t i = 0; i < INFER_ENVIRONMENT_COUNT; i++) {
        Slice entry = arena_printf(s->arena, "%.*s=%.*s", SLICE_FMT(INFER_ENVIRONMENT[i].name),
                                   SLICE_FMT(INFER_ENVIRONMENT[i].value));
        s->env[i] = arena_cstr(s->arena, entry);
    }
}

static int prepare(ConfigureSandbox *s, const ConfigureSandboxOptions *o, Err *e)
{
    int rc = o->no_sandbox || o->read_only ? 0 : sandbox_check(e);
    if (rc == 0 && o->work_dir) {
        s->work_dir = arena_cstr(s->arena, slice_from_cstr(o->work_dir));
    } else if (rc == 0) {
        rc = workspace_dir(s->arena, o->repo, &s->work_dir, e);
    }
    if (rc != 0) {
        return rc;
    }
    s->deps = arena_cstr(s->arena, arena_printf(s->arena, "%s/deps", s->work_dir));
    if ((rc = dir_make_all(s->deps, e)) != 0) {
        return rc;
    }
    WorkspaceOptions options = {.repo = o->repo, .work_dir = s->work_dir, .cut_history = true};
    return workspace_create(&options, s->arena, &s->base, e);
}

int configure_sandbox_create(const ConfigureSandboxOptions *options, ConfigureSandbox **ret_sandbox,
                             Err *e)
{
    Arena *arena = arena_create(ARENA_MAX);
    ConfigureSandbox *s = ARENA_NEW(arena, ConfigureSandbox);
    s->arena = arena;
    s->no_sandbox = options->no_sandbox;
    s->loop = options->loop;
    s->runner = (ConfigureRunner){.ctx = s,
                                  .open = open_copy,
                                  .run = run_copy,
                                  .close = close_copy,
                                  .tree = copy_tree,
                                  .now_ns = now_ns,
                                  .package_installed = package_installed,
                                  .package_search = package_search,
                                  .package_install = package_install};
    set_environment(s);
    int rc = prepare(s, options, e);
    if (rc != 0) {
        configure_sandbox_destroy(s);
        return rc;
    }
    *ret_sandbox = s;
    return 0;
}

int configure_sandbox_tree(ConfigureSandbox *sandbox, Arena *arena, Tree *ret_tree,
                           GitHash ret_hash, Err *e)
{
    int rc = workspace_tree_hash(sandbox->base, ret_hash, e);
    return rc != 0 ? rc : tree_read(arena, workspace_tree(sandbox->base), ret_tree, e);
}

const Slice *configure_sandbox_notes(const ConfigureSandbox *sandbox, size_t *ret_count)
{
    return workspace_notes(sandbox->base, ret_count);
}

const ConfigureRunner *configure_sandbox_runner(ConfigureSandbox *sandbox)
{
    return &sandbox->runner;
}

void configure_sandbox_destroy(ConfigureSandbox *sandbox)
{
    if (sandbox) {
        workspace_destroy(sandbox->base);
        arena_destroy(sandbox->arena);
    }
}
