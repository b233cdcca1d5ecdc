#include "improve/step_run.h"

#include "improve/repo_fixture.h"
#include "os/fiber.h"

#define NEEDS_SANDBOX(w)                                                                           \
    if (!(w)->sandbox) {                                                                           \
        skip();                                                                                    \
    }

static Workspace *make(World *w)
{
    static const char NAME[] = "plain";
    put_file(w, "plain/f", "f\n");
    put_file(w, "plain/dir/g", "g\n");
    Workspace *ws;
    assert_int_equal(workspace_create(&(WorkspaceOptions){.repo = at(w, NAME), .work_dir = w->work},
                                      w->arena, &ws, &w->e),
                     0);
    return ws;
}

static StepResult run(World *w, const StepRunOptions *options)
{
    StepResult r;
    if (step_run(options, w->arena, &r, &w->e) != 0) {
        fail_msg("%s", w->e.text);
    }
    return r;
}

typedef struct Case {
    const char *name;
    const char *command;
    StepEnd end;
    int exit_code;
    int signal;
    const char *tail; // NULL: any
} Case;

static const Case CASES[] = {
    {"ok", "echo one; echo two >&2", STEP_OK, 0, 0, "one\ntwo\n"},
    {"place", "pwd; echo ~", STEP_OK, 0, 0, NULL},
    {"failed", "echo why; exit 3", STEP_FAILED, 3, 0, "why\n"},
    {"largest code", "exit 255", STEP_FAILED, 255, 0, ""},
    {"signalled", "kill -SEGV $$", STEP_SIGNALLED, -1, 11, NULL},
    {"no program", "no-such-program-here 2>/dev/null", STEP_FAILED, 127, 0, ""},
    {"input is empty", "cat", STEP_OK, 0, 0, ""},
    {"quotes", "printf '%s|' \"a b\" '$x' \\\\", STEP_OK, 0, 0, "a b|$x|\\|"},
};

static void test_ends(void **state)
{
    World *w = *state;
    Workspace *ws = make(w);
    for (size_t no_sandbox = w->sandbox ? 0 : 1; no_sandbox < 2; no_sandbox++) {
        for (size_t i = 0; i < COUNT_OF(CASES); i++) {
            const Case *c = &CASES[i];
            StepResult r =
                run(w, &(StepRunOptions){
                           .workspace = ws, .command = c->command, .no_sandbox = no_sandbox == 1});
            if (r.end != c->end || r.exit_code != c->exit_code || r.signal != c->signal ||
                (c->tail && !slice_eq_cstr(r.tail, c->tail))) {
                fail_msg("%s: %s, exit %d, signal %d, '%.*s'", c->name, STEP_END_NAMES[r.end],
                         r.exit_code, r.signal, SLICE_FMT(r.tail));
            }
            assert_int_equal(r.text.len == 0, c->end == STEP_OK);
        }
    }
    workspace_destroy(ws);
}

static void test_what_a_step_has(void **state)
{
    World *w = *state;
    NEEDS_SANDBOX(w);
    Workspace *ws = make(w);
    const char *deps = at(w, "deps");
    assert_int_equal(dir_make_all(deps, &w->e), 0);
    StepRunOptions o = {.workspace = ws,
                        .deps_dir = deps,
                        .directory = "dir",
                        .sandbox = {.env = (const char *const[]){"MINE=1", "GOFLAGS=-v", NULL}}};
    // The home directory lasts from step to step, /tmp does not.
    o.command = "pwd; cat g; echo x >~/kept; echo x >/tmp/lost; echo $MINE $GOFLAGS $CARGO_HOME";
    StepResult r = run(w, &o);
    assert_true(slice_eq_cstr(r.tail, "/work/dir\ng\n1 -v /deps/cargo\n"));
    o.command = "cat ~/kept; ls /tmp; echo x >/deps/x";
    r = run(w, &o);
    assert_int_equal(r.end, STEP_FAILED); // read-only
    assert_true(slice_starts_with(r.tail, SLICE("x\n")));
    o.deps = STEP_DEPS_WRITABLE;
    o.command = "mkdir /deps/bin; printf '#!/bin/sh\\necho tool' >/deps/bin/tool; chmod +x "
                "/deps/bin/tool";
    assert_int_equal(run(w, &o).end, STEP_OK);
    o.deps = STEP_DEPS_COPY;
    o.command = "tool; echo own >/deps/own";
    r = run(w, &o);
    assert_true(slice_eq_cstr(r.tail, "tool\n"));
    assert_int_equal(access(at(w, "deps/own"), F_OK), -1);
    o.command = "cat /deps/own";
    assert_int_equal(run(w, &o).end, STEP_OK);
    workspace_destroy(ws);
}

static void test_changes_are_counted(void **state)
{
    World *w = *state;
    NEEDS_SANDBOX(w);
    Workspace *ws = make(w);
    StepResult r =
        run(w, &(StepRunOptions){.workspace = ws,
                                 .command = "echo edited >f; echo x >made; git status -s",
                                 .count_changes = true});
    assert_int_equal(r.changes.modified, 1);
    assert_int_equal(r.changes.untracked, 1);
    assert_true(slice_eq_cstr(r.changes.first, "f"));
    assert_true(slice_eq_cstr(r.tail, " M f\n?? made\n"));
    workspace_destroy(ws);
}

// The log has the head and the tail; at its ceiling nothing is cut, one byte more is.
static void test_logs_are_cut_in_the_middle(void **state)
{
    World *w = *state;
    Workspace *ws = make(w);
    const char *log = at(w, "log");
    enum { MAX = 100000, HEAD = MAX - STEP_TAIL_BYTES - 120 };
    static const struct {
        size_t bytes;
        bool truncated;
    } SIZES[] = {{0, false},
                 {1, false},
                 {HEAD, false},
                 {HEAD + STEP_TAIL_BYTES, false},
                 {HEAD + STEP_TAIL_BYTES + 1, true},
                 {2000000, true}};
    for (size_t i = 0; i < COUNT_OF(SIZES); i++) {
        const char *command =
            arena_printf(w->arena, "head -c %zu /dev/zero | tr '\\0' x", SIZES[i].bytes).ptr;
        StepResult r = run(w, &(StepRunOptions){.workspace = ws,
                                                .command = command,
                                                .log_path = log,
                                                .log_bytes_max = MAX,
                                                .no_sandbox = true});
        struct stat st;
        assert_int_equal(stat(log, &st), 0);
        assert_int_equal(r.output_bytes, SIZES[i].bytes);
        assert_int_equal(r.truncated, SIZES[i].truncated);
        assert_true(st.st_size <= MAX);
        if (!r.truncated) {
            assert_int_equal(st.st_size, SIZES[i].bytes);
        }
    }
    assert_non_null(strstr(get_file(w, log), "bytes of output are not in this log"));
    StepResult r;
    assert_int_equal(step_run(&(StepRunOptions){.workspace = ws,
                                                .command = "true",
                                                .log_path = at(w, "nowhere/log"),
                                                .no_sandbox = true},
                              w->arena, &r, &w->e),
                     ERR_IO);
    workspace_destroy(ws);
}

// ---- in a fiber

typedef struct InFiber {
    World *w;
    Loop *loop;
    Workspace *ws;
    int rc;
    StepResult result;
} InFiber;

static void step_fiber(void *arg)
{
    InFiber *in = arg;
    in->rc = step_run(&(StepRunOptions){.loop = in->loop,
                                        .workspace = in->ws,
                                        .command = "sleep 100",
                                        .no_sandbox = !in->w->sandbox},
                      in->w->arena, &in->result, &in->w->e);
}

static void test_a_cancelled_step_ends(void **state)
{
    World *w = *state;
    InFiber in = {.w = w, .ws = make(w)};
    assert_int_equal(loop_create(&(LoopOptions){0}, &in.loop, &w->e), 0);
    FiberPool *pool = fiber_pool_create(in.loop, NULL);
    Fiber *fiber = fiber_spawn(pool, "step", step_fiber, &in);
    assert_non_null(fiber);
    (void)loop_tick(in.loop, 0);
    (void)loop_tick(in.loop, 50 * NS_PER_MS);
    fiber_cancel(fiber);
    while (fiber_pool_stats(pool).alive > 0) {
        (void)loop_tick(in.loop, NEVER_NS);
    }
    assert_int_equal(in.rc, ERR_CANCELLED);
    fiber_pool_destroy(pool);
    loop_destroy(in.loop);
    workspace_destroy(in.ws);
}

// What timed samples get: the same paths, a fresh home, nothing to write but /tmp.
static void test_the_sandbox_of_samples(void **state)
{
    World *w = *state;
    Workspace *ws = make(w);
    SandboxOptions o;
    step_sandbox(&(StepRunOptions){.workspace = ws, .deps_dir = at(w, "deps"), .directory = "dir"},
                 false, w->arena, &o);
    assert_int_equal(o.mount_count, 2);
    assert_string_equal(o.mounts[0].inside, WORKSPACE_INSIDE);
    assert_false(o.mounts[0].writable || o.mounts[1].writable || o.network);
    assert_string_equal(o.directory, "/work/dir");
    workspace_destroy(ws);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_what_a_step_has),
        cmocka_unit_test(test_changes_are_counted),
        cmocka_unit_test(test_logs_are_cut_in_the_middle),
        cmocka_unit_test(test_a_cancelled_step_ends),
        cmocka_unit_test(test_the_sandbox_of_samples),
    };
    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
