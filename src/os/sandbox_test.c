#include "os/sandbox.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/file.h"
#include "os/process.h"
#include "os/sandbox_watch.h"
#include "os/signal.h"

enum { LIMIT_S = 60 };

typedef struct World {
    Arena *arena;
    char dir[64];
    bool works; // there are sandboxes on this machine
    ProcessResult result;
    Err e;
} World;

static int setup(void **state)
{
    World *w = mem_zalloc(sizeof *w);
    w->arena = arena_create(64 << 20);
    w->result = process_result_create(1 << 20);
    (void)snprintf(w->dir, sizeof w->dir, "/tmp/sandbox-test-XXXXXX");
    *state = w;
    signals_block();
    if (!mkdtemp(w->dir) || setenv("XDG_CACHE_HOME", w->dir, 1) != 0) {
        return -1;
    }
    w->works = sandbox_check(&w->e) == 0;
    if (!w->works) {
        print_message("[  SKIP  ] %s\n", w->e.text);
    }
    return 0;
}

static int teardown(void **state)
{
    World *w = *state;
    process_result_done(&w->result);
    arena_destroy(w->arena);
    int rc = dir_remove_all(w->dir, NULL);
    free(w);
    return rc;
}

static const char *path(World *w, const char *name)
{
    return arena_printf(w->arena, "%s/%s", w->dir, name).ptr;
}

static void write_file(World *w, const char *name, const char *content)
{
    const char *file = path(w, name);
    const char *slash = strrchr(file, '/');
    const char *parent = arena_cstr(w->arena, (Slice){file, (size_t)(slash - file)});
    assert_int_equal(dir_make_all(parent, &w->e), 0);
    assert_int_equal(file_write(file, slice_from_cstr(content), NULL, &w->e), 0);
}

// Runs a shell command in a sandbox: what it prints is in w->result.out.
static int run(World *w, const SandboxOptions *options, const char *command)
{
    const char *const *argv;
    buf_reset(&w->result.out);
    buf_reset(&w->result.err);
    assert_int_equal(sandbox_argv(w->arena, options,
                                  (const char *const[]){"sh", "-c", command, NULL}, &argv, &w->e),
                     0);
    assert_int_equal(
        process_run(
            &(ProcessOptions){.argv = argv, .timeout_ns = LIMIT_S * NS_PER_S, .merge_err = true},
            &w->result, &w->e),
        0);
    return w->result.end.exit_code;
}

static const char *out(World *w)
{
    return arena_cstr(w->arena, slice_trim(buf_slice(&w->result.out)));
}

#define NEEDS_SANDBOX(w)                                                                           \
    if (!(w)->works) {                                                                             \
        skip();                                                                                    \
    }

// ---- the command line

static void test_what_is_refused(void **state)
{
    World *w = *state;
    NEEDS_SANDBOX(w);
    const char *const *argv;
    const char *const *command = (const char *const[]){"true", NULL};
    SandboxMount mounts[SANDBOX_MOUNTS_MAX + 1];
    for (size_t i = 0; i < COUNT_OF(mounts); i++) {
        mounts[i] = (SandboxMount){"/usr", "/x", false};
    }
    SandboxOptions o = {.mounts = mounts, .mount_count = SANDBOX_MOUNTS_MAX};
    assert_int_equal(sandbox_argv(w->arena, &o, command, &argv, &w->e), 0);
    o.mount_count++;
    assert_int_equal(sandbox_argv(w->arena, &o, command, &argv, &w->e), ERR_ARG);
    o.mount_count = 1;
    mounts[0].inside = "x";
    assert_int_equal(sandbox_argv(w->arena, &o, command, &argv, &w->e), ERR_ARG);
    mounts[0] = (SandboxMount){"usr", "/x", false};
    assert_int_equal(sandbox_argv(w->arena, &o, command, &argv, &w->e), ERR_ARG);
}

static void test_without_bwrap(void **state)
{
    World *w = *state;
    const char *const *argv;
    const char *old = arena_cstr(w->arena, slice_from_cstr(getenv("PATH")));
    assert_int_equal(setenv("PATH", w->dir, 1), 0);
    int rc = sandbox_argv(w->arena, &(SandboxOptions){0}, (const char *const[]){"true", NULL},
                          &argv, &w->e);
    assert_int_equal(setenv("PATH", old, 1), 0);
    assert_int_equal(rc, ERR_UNSUPPORTED);
    assert_non_null(strstr(w->e.text, "bubblewrap"));
    assert_non_null(strstr(w->e.text, "--no-sandbox"));
}

// ---- toolchains

static const SandboxMount *find_mount(const SandboxTools *tools, const char *inside)
{
    for (size_t i = 0; i < tools->mount_count; i++) {
        if (strcmp(tools->mounts[i].inside, inside) == 0) {
            return &tools->mounts[i];
        }
    }
    return NULL;
}

static void test_toolchains_of_a_person(void **state)
{
    World *w = *state;
    write_file(w, "home/.cargo/bin/cargo", "");
    write_file(w, "home/.cargo/credentials.toml", "token");
    write_file(w, "home/.rustup/settings.toml", "");
    write_file(w, "home/.local/bin/x", "");
    write_file(w, "home/.local/lib/y", "");
    write_file(w, "home/.local/share/keyrings/z", "");
    write_file(w, "home/.pyenv/shims/python3", "");
    write_file(w, "home/.pyenv/version", "3.11.7\n");
    write_file(w, "home/.pyenv/versions/3.11.7/bin/python3", "");
    write_file(w, "home/.nvm/versions/node/v20/bin/node", "");
    write_file(w, "home/bin/own", "");
    write_file(w, "opt/jdk-17/bin/java", "");
    assert_int_equal(symlink("jdk-17", path(w, "opt/jdk")), 0);
    const char *home = path(w, "home");
    Slice host_path = arena_printf(
        w->arena,
        "%s/.cargo/bin:%s/.local/bin:%s/.pyenv/shims:%s/.nvm/versions/node/v20/bin:%s/bin:%s:"
        "%s/opt/jdk/bin:/usr/bin::relative:/nonexistent:/usr/bin/",
        home, home, home, home, home, home, w->dir);
    SandboxTools tools;
    sandbox_tools(w->arena, host_path.ptr, home, &tools);

    assert_non_null(find_mount(&tools, path(w, "home/.cargo/bin")));
    assert_null(find_mount(&tools, path(w, "home/.cargo")));
    assert_non_null(find_mount(&tools, path(w, "home/.rustup")));
    assert_non_null(find_mount(&tools, path(w, "home/.local/bin")));
    assert_non_null(find_mount(&tools, path(w, "home/.local/lib")));
    assert_null(find_mount(&tools, path(w, "home/.local")));
    assert_non_null(find_mount(&tools, path(w, "home/.pyenv")));
    assert_non_null(find_mount(&tools, path(w, "home/.nvm/versions/node/v20")));
    assert_non_null(find_mount(&tools, path(w, "home/bin")));
    assert_non_null(find_mount(&tools, path(w, "opt/jdk-17")));
    assert_string_equal(find_mount(&tools, path(w, "opt/jdk"))->host, path(w, "opt/jdk-17"));
    assert_null(find_mount(&tools, home)); // although PATH names it
    for (size_t i = 0; i < tools.mount_count; i++) {
        assert_false(tools.mounts[i].writable);
    }
    // The real Python before its shim; what does not exist is left out; no directory twice.
    Slice wanted = arena_printf(
        w->arena,
        "%s/.cargo/bin:%s/.local/bin:%s/.pyenv/versions/3.11.7/bin:%s/.pyenv/shims:"
        "%s/.nvm/versions/node/v20/bin:%s/bin:%s:%s/opt/jdk/bin:/usr/bin:/usr/local/bin:/bin",
        home, home, home, home, home, home, home, w->dir);
    assert_string_equal(tools.path, wanted.ptr);
}

// ---- inside

typedef struct Case {
    const char *name;
    const char *command;
    const char *printed; // exactly; NULL: anything
    int exit_code;
} Case;

static void test_what_a_command_sees(void **state)
{
    World *w = *state;
    NEEDS_SANDBOX(w);
    assert_int_equal(setenv("PERFWRIGHT_TEST_SECRET", "hunter2", 1), 0);
    static const Case CASES[] = {
        {"exit code", "exit 7", "", 7},
        {"signal", "kill -9 $$", NULL, 137},
        {"user", "id -u; id -un; echo ~", "1000\nuser\n" SANDBOX_HOME, 0},
        {"environment", "env | grep -c SECRET", "0", 1},
        {"environments of all processes", "cat /proc/[0-9]*/environ | grep -ac hunter2", "0", 1},
        {"ours", "echo $HOME $LANG $TMPDIR $MINE", SANDBOX_HOME " C.UTF-8 /tmp yes", 0},
        {"processes", "ls -d /proc/[0-9]* | wc -l | { read n; [ $n -lt 9 ] && echo few; }", "few",
         0},
        {"shadow", "cat /etc/shadow 2>/dev/null || echo hidden", "hidden", 0},
        {"private keys", "ls /etc/ssl/private 2>/dev/null || echo hidden", "hidden", 0},
        {"homes", "ls -d /root/.ssh /home/*/.ssh 2>/dev/null || echo hidden", "hidden", 0},
        {"system",
         "touch /usr/x /etc/x /x /dev/x /var/x /run/x 2>/dev/null; ls /x /etc/x 2>/dev/null", "",
         2},
        {"own places", "touch /tmp/x ~/x /var/tmp/y /dev/shm/x && echo fine", "fine", 0},
        {"terminal", "(exec 3</dev/tty) 2>/dev/null || echo none", "none", 0},
        {"network", "cat /proc/net/route | wc -l; cat /sys/class/net/eth0 2>/dev/null", "1", 1},
        {"name", "uname -n", "sandbox", 0},
        {"capabilities", "grep -E 'Cap(Prm|Eff|Bnd)' /proc/self/status | grep -vc 0000000000000000",
         "0", 1},
        {"filter", "grep Seccomp: /proc/self/status | tr -d '\\t'", "Seccomp:2", 0},
        {"no namespaces in it", "unshare -U true 2>/dev/null || echo no", "no", 0},
        {"first in path", "echo ${PATH%%:*}", "/first", 0},
        {"nothing inherited", "exec ls /proc/self/fd", "0\n1\n2\n3", 0}, // 3: its own
    };
    SandboxOptions o = {.env = (const char *const[]){"MINE=yes", NULL}, .path_first = "/first"};
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        int exit_code = run(w, &o, CASES[i].command);
        if (exit_code != CASES[i].exit_code ||
            (CASES[i].printed && strcmp(out(w), CASES[i].printed) != 0)) {
            fail_msg("%s: exit %d, printed '%s'", CASES[i].name, exit_code, out(w));
        }
    }
}

static void test_mounts(void **state)
{
    World *w = *state;
    NEEDS_SANDBOX(w);
    write_file(w, "a b\xc3\xa9/file", "content");
    write_file(w, "ro/file", "content");
    SandboxMount mounts[] = {{path(w, "a b\xc3\xa9"), "/work", true},
                             {path(w, "ro"), "/work/ro", false},
                             {path(w, "ro"), SANDBOX_HOME, true}};
    SandboxOptions o = {.mounts = mounts, .mount_count = 3, .directory = "/work"};
    assert_int_equal(run(w, &o,
                         "cat file; echo new >made; echo x 2>/dev/null >ro/file || pwd;"
                         "echo x >~/home"),
                     0);
    assert_string_equal(out(w), "content/work");
    assert_int_equal(access(path(w, "a b\xc3\xa9/made"), F_OK), 0);
    assert_int_equal(access(path(w, "ro/home"), F_OK), 0);
}

static void test_limits_of_the_kernel(void **state)
{
    World *w = *state;
    NEEDS_SANDBOX(w);
    SandboxOptions o = {.file_bytes_max = 1 << 20, .tmp_bytes_max = 4 << 20, .cpu_ns_max = 1};
    // 1 MiB fits, a byte more does not.
    assert_int_equal(run(w, &o, "head -c 1048576 /dev/zero >/tmp/a && echo fits"), 0);
    assert_string_equal(out(w), "fits");
    assert_int_not_equal(run(w, &o, "head -c 1048577 /dev/zero >/tmp/a"), 0);
    assert_int_not_equal(run(w, &o,
                             "for i in 1 2 3 4 5; do head -c 1000000 /dev/zero >/tmp/$i || "
                             "exit 3; done"),
                         0);
    assert_int_equal(run(w, &o, "while :; do :; done"), 128 + SIGKILL);
}

// Daemons, however well hidden, end with the command.
static void test_nothing_is_left(void **state)
{
    World *w = *state;
    NEEDS_SANDBOX(w);
    write_file(w, "alive/file", "");
    SandboxMount mount = {path(w, "alive"), "/work", true};
    SandboxOptions o = {.mounts = &mount, .mount_count = 1, .directory = "/work"};
    assert_int_equal(run(w, &o,
                         "(setsid sh -c 'trap \"\" TERM HUP INT; while :; do echo x >>file; "
                         "sleep 0.02; done' >/dev/null 2>&1 &) & sleep 0.1"),
                     0);
    struct stat before;
    struct stat after;
    assert_int_equal(stat(path(w, "alive/file"), &before), 0);
    (void)usleep(100000);
    assert_int_equal(stat(path(w, "alive/file"), &after), 0);
    assert_int_equal(before.st_size, after.st_size);
}

// ---- one that stays open

// As a runner of timed samples does it: fork, enter, fork, exec. Returns the exit code.
static int run_in(Sandbox *sandbox, const char *command)
{
    pid_t outer = fork();
    if (outer == 0) {
        if (sandbox_enter(sandbox) != 0) {
            _exit(99);
        }
        pid_t inner = fork();
        if (inner == 0) {
            const char *argv[] = {"sh", "-c", command, NULL};
            (void)execve("/bin/sh", (char *const *)(uintptr_t)argv,
                         (char *const *)(uintptr_t)sandbox_environment(sandbox));
            _exit(98);
        }
        int status = 0;
        (void)waitpid(inner, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 97);
    }
    int status = 0;
    assert_int_equal(waitpid(outer, &status, 0), outer);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_held_open(void **state)
{
    World *w = *state;
    NEEDS_SANDBOX(w);
    write_file(w, "held/file", "content");
    SandboxMount mount = {path(w, "held"), "/work", false};
    SandboxOptions o = {
        .mounts = &mount, .mount_count = 1, .directory = "/work", .file_bytes_max = 1 << 20};
    Sandbox *sandbox;
    assert_int_equal(sandbox_open(&o, &sandbox, &w->e), 0);
    static const Case CASES[] = {
        {"there", "test $(cat file) = content", NULL, 0},
        {"read-only", "echo x 2>/dev/null >file", NULL, 2},
        {"user", "test $(id -u) = 1000 -a $HOME = " SANDBOX_HOME, NULL, 0},
        {"own processes", "test $(ls -d /proc/[0-9]* | wc -l) -lt 9", NULL, 0},
        {"no network", "test $(wc -l </proc/net/route) = 1", NULL, 0},
        {"no terminal", "(exec 3</dev/tty) 2>/dev/null", NULL, 2},
        {"no capabilities", "grep -q CapEff:.0000000000000000 /proc/self/status", NULL, 0},
        {"no bounding set", "grep -q CapBnd:.0000000000000000 /proc/self/status", NULL, 0},
        {"filter", "grep -q Seccomp:.2 /proc/self/status", NULL, 0},
        {"no namespaces", "unshare -U true 2>/dev/null", NULL, 1},
        {"secrets", "cat /etc/shadow 2>/dev/null", NULL, 1},
        {"limit", "head -c 1048577 /dev/zero >/tmp/a", NULL, 128 + SIGXFSZ},
    };
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        int exit_code = run_in(sandbox, CASES[i].command);
        if (exit_code != CASES[i].exit_code) {
            fail_msg("%s: exit %d", CASES[i].name, exit_code);
        }
    }
    assert_int_equal(sandbox_survivors(sandbox), 0);
    assert_int_equal(run_in(sandbox, "echo x >/tmp/x; echo x >~/x; mkdir -p /dev/shm/a/b"), 0);
    assert_int_equal(sandbox_reset(sandbox, &w->e), 0);
    assert_int_equal(run_in(sandbox, "test -z \"$(ls -A /tmp ~ /dev/shm | grep -v :)\""), 0);
    sandbox_close(sandbox);
}

static void test_what_a_sample_leaves_behind(void **state)
{
    World *w = *state;
    NEEDS_SANDBOX(w);
    Sandbox *sandbox;
    assert_int_equal(sandbox_open(&(SandboxOptions){0}, &sandbox, &w->e), 0);
    assert_int_equal(run_in(sandbox, "setsid sleep 1000 >/dev/null 2>&1 & sleep 0.05"), 0);
    assert_int_equal(sandbox_survivors(sandbox), 1);
    assert_int_equal(sandbox_reset(sandbox, &w->e), 0);
    assert_int_equal(sandbox_survivors(sandbox), 0);
    assert_int_equal(run_in(sandbox, "exit 5"), 5);
    // A command that kills whatever it can does not reach the holder.
    (void)run_in(sandbox, "kill -9 -1; kill -9 1");
    assert_int_equal(run_in(sandbox, "exit 6"), 6);
    // Orphans that nobody waited for.
    assert_int_equal(run_in(sandbox, "for i in $(seq 20); do (sleep 0.01 &) done; sleep 0.2"), 0);
    for (int i = 0; i < 500 && sandbox_survivors(sandbox) > 0; i++) {
        (void)usleep(10000);
    }
    assert_int_equal(sandbox_survivors(sandbox), 0);
    assert_int_equal(sandbox_reset(sandbox, &w->e), 0);
    assert_int_equal(run_in(sandbox, "test $(ls -d /proc/[0-9]* | wc -l) -lt 8"), 0);
    sandbox_close(sandbox);
}

// Between entering and exec a process still has the memory of the program that measures: what an
// earlier sample left in the sandbox must not read it, although it is the same user.
static void test_our_memory_is_not_read(void **state)
{
    World *w = *state;
    NEEDS_SANDBOX(w);
    Sandbox *sandbox;
    int ready[2];
    int go[2];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(go), 0);
    assert_int_equal(sandbox_open(&(SandboxOptions){0}, &sandbox, &w->e), 0);
    pid_t outer = fork();
    if (outer == 0) {
        pid_t inner = sandbox_enter(sandbox) == 0 ? fork() : -1;
        char byte = inner >= 0 ? 'y' : 'n';
        if (inner == 0) {
            (void)!write(ready[1], &byte, 1);
            (void)!read(go[0], &byte, 1); // before exec
            _exit(0);
        }
        (void)waitpid(inner, NULL, 0);
        _exit(0);
    }
    char byte = 0;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    // Of the others only ours has no command yet; dash cannot read memory, but opening shows it.
    assert_int_equal(run_in(sandbox, "n=0; for p in /proc/[0-9]*; do [ $p = /proc/1 ] || "
                                     "[ $p = /proc/$$ ] || { n=$((n+1)); (exec 3<$p/mem) "
                                     "2>/dev/null && exit 3; (exec 3<$p/environ) 2>/dev/null && "
                                     "exit 4; }; done; test $n -ge 1"),
                     0);
    assert_int_equal(write(go[1], "x", 1), 1);
    assert_int_equal(waitpid(outer, NULL, 0), outer);
    sandbox_close(sandbox);
    int all[] = {ready[0], ready[1], go[0], go[1]};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        (void)close(all[i]);
    }
}

static void test_entering_a_dead_one(void **state)
{
    World *w = *state;
    NEEDS_SANDBOX(w);
    Sandbox *sandbox;
    assert_int_equal(sandbox_open(&(SandboxOptions){0}, &sandbox, &w->e), 0);
    assert_int_equal(kill(sandbox_pid(sandbox), SIGKILL), 0);
    int exit_code = 0; // the kernel ends a namespace in its own time
    for (int i = 0; i < 500 && exit_code != 99; i++) {
        (void)usleep(10000);
        exit_code = run_in(sandbox, "true");
    }
    assert_int_equal(exit_code, 99);
    assert_int_equal(sandbox_reset(sandbox, &w->e), 0);
    assert_int_equal(run_in(sandbox, "true"), 0);
    sandbox_close(sandbox);
}

// ---- watched

typedef struct Watched {
    Loop *loop;
    bool ended;
    ProcessEnd end;
} Watched;

static void on_end(void *ctx, const ProcessEnd *end)
{
    Watched *watched = ctx;
    watched->ended = true;
    watched->end = *end;
}

static SandboxBreach watch(World *w, const SandboxOptions *o, const char *command,
                           SandboxUsage *usage)
{
    const char *const *argv;
    Watched watched = {0};
    Process *process;
    assert_int_equal(loop_create(&(LoopOptions){0}, &watched.loop, &w->e), 0);
    assert_int_equal(
        sandbox_argv(w->arena, o, (const char *const[]){"sh", "-c", command, NULL}, &argv, &w->e),
        0);
    assert_int_equal(process_start(&(ProcessOptions){.loop = watched.loop,
                                                     .argv = argv,
                                                     .timeout_ns = LIMIT_S * NS_PER_S,
                                                     .end_fn = on_end,
                                                     .ctx = &watched},
                                   &process, &w->e),
                     0);
    SandboxWatch *sw = sandbox_watch_start(
        &(SandboxWatchOptions){.loop = watched.loop, .pid = process_pid(process), .limits = o});
    while (!watched.ended) {
        (void)loop_tick(watched.loop, NEVER_NS);
    }
    SandboxBreach breach = sandbox_watch_stop(sw, usage);
    assert_false(watched.end.timed_out);
    loop_destroy(watched.loop);
    return breach;
}

static void test_watched_limits(void **state)
{
    World *w = *state;
    NEEDS_SANDBOX(w);
    write_file(w, "disk/file", "content");
    SandboxMount mount = {path(w, "disk"), "/work", true};
    SandboxUsage usage;
    SandboxOptions o = {.mounts = &mount,
                        .mount_count = 1,
                        .directory = "/work",
                        .memory_bytes_max = 64 << 20,
                        .processes_max = 50,
                        .disk_bytes_max = 8 << 20,
                        .file_bytes_max = 1 << 20};
    assert_int_equal(watch(w, &o, "sleep 0.3", &usage), SANDBOX_WITHIN);
    assert_true(usage.processes_max >= 1 && usage.processes_max <= 3);
    assert_int_equal(
        watch(w, &o, "head -c 200000000 /dev/zero | tail -c 150000000 | sleep 20", &usage),
        SANDBOX_MEMORY);
    assert_true(usage.rss_bytes_max > 64 << 20);
    o.memory_bytes_max = 0;
    // Not a bomb: it counts, and ends at sixty also where nothing holds it.
    assert_int_equal(watch(w, &o, "for i in $(seq 60); do sleep 5 & done; wait", &usage),
                     SANDBOX_PROCESSES);
    assert_int_equal(
        watch(w, &o, "i=0; while :; do i=$((i+1)); head -c 500000 /dev/zero >$i; done", &usage),
        SANDBOX_DISK);
    assert_true(usage.grown_bytes > 8 << 20);
}

// The kernel's limit, in both ways in. It holds without anybody looking; the number that is tried
// is bounded by the test itself.
static void test_tasks_are_bounded(void **state)
{
    World *w = *state;
    NEEDS_SANDBOX(w);
    if (!sandbox_holds_forks()) {
        print_message("[  SKIP  ] root without control groups: only a watch bounds processes\n");
        skip();
    }
    // 2 * 10 + 64 = 84 tasks.
    SandboxOptions o = {.processes_max = 10};
    static const char TRY[] = "import os, sys, time\n"
                              "made = 0\n"
                              "for i in range(150):\n"
                              "    try:\n"
                              "        if os.fork() == 0:\n"
                              "            time.sleep(2)\n"
                              "            os._exit(0)\n"
                              "        made += 1\n"
                              "    except BlockingIOError:\n"
                              "        break\n"
                              "sys.exit(0 if 60 < made < 84 else 1)\n";
    write_file(w, "fork.py", TRY);
    SandboxMount mount = {w->dir, "/work", false};
    o.mounts = &mount;
    o.mount_count = 1;
    assert_int_equal(run(w, &o, "python3 /work/fork.py"), 0);
    Sandbox *sandbox;
    assert_int_equal(sandbox_open(&o, &sandbox, &w->e), 0);
    assert_int_equal(run_in(sandbox, "python3 /work/fork.py"), 0);
    assert_int_equal(sandbox_reset(sandbox, &w->e), 0);
    assert_int_equal(sandbox_survivors(sandbox), 0);
    sandbox_close(sandbox);
}

// ---- trees that somebody else filled

static void test_hostile_trees_are_removed(void **state)
{
    World *w = *state;
    write_file(w, "keep/file", "content");
    write_file(w, "hostile/locked/inner/file", "");
    assert_int_equal(symlink(path(w, "keep"), path(w, "hostile/link")), 0);
    assert_int_equal(chmod(path(w, "hostile/locked/inner"), 0), 0);
    assert_int_equal(chmod(path(w, "hostile/locked"), 0555), 0);
    // Deeper than a path can name.
    int fd = open(path(w, "hostile"), O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 1000 && fd >= 0; i++) {
        assert_int_equal(mkdirat(fd, "deep", 0755), 0);
        int next = openat(fd, "deep", O_RDONLY | O_DIRECTORY);
        (void)close(fd);
        fd = next;
    }
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(dir_empty(path(w, "hostile"), &w->e), 0);
    assert_int_equal(rmdir(path(w, "hostile")), 0);
    assert_int_equal(access(path(w, "keep/file"), F_OK), 0);
    assert_int_equal(dir_remove_all(path(w, "hostile"), &w->e), 0);
    assert_int_equal(dir_remove_all(path(w, "keep"), &w->e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_without_bwrap),
        cmocka_unit_test(test_toolchains_of_a_person),
        cmocka_unit_test(test_what_a_command_sees),
        cmocka_unit_test(test_mounts),
        cmocka_unit_test(test_limits_of_the_kernel),
        cmocka_unit_test(test_nothing_is_left),
        cmocka_unit_test(test_held_open),
        cmocka_unit_test(test_what_a_sample_leaves_behind),
        cmocka_unit_test(test_our_memory_is_not_read),
        cmocka_unit_test(test_entering_a_dead_one),
        cmocka_unit_test(test_watched_limits),
        cmocka_unit_test(test_tasks_are_bounded),
        cmocka_unit_test(test_hostile_trees_are_removed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
