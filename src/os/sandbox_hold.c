// A sandbox held open by a process that waits, and the way into it.
//
// The holder is a shell that waits for the end of its standard input: a pipe whose other end we
// hold, so it ends with us even where PDEATHSIG would fail. It is the first process of its PID
// namespace, so that a command which kills everything (kill -9 -1) does not reach it. Children
// enter by its pidfd: all namespaces in one setns (Linux 5.8), which also settles the order in
// which rights are checked.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/file.h"
#include "os/sandbox_internal.h"
#include "os/sandbox_watch.h"
#include "os/signal.h"

enum { ARENA_BYTES = 16 << 20, SAID_BYTES = 2000, CAPABILITIES = 64, ZOMBIES_MAX = 16 };
static const int64_t OPEN_NS = 20 * NS_PER_S;
static const char HOLD[] = "echo ready; read -r forever";

struct Sandbox {
    Arena *arena;
    SandboxOptions options; // with defaults
    const char *const *environment;
    pid_t pid;  // bwrap, our child
    pid_t init; // the first process of its PID namespace
    int holder; // pidfd of the shell
    int group;  // cgroup.procs of its control group; -1 without one
    int life;   // our end of its standard input
    struct sock_fprog filter;
    bool own_home; // the home directory is a fresh one
    bool own_tmp;
};

// ---- opening

static const char **copy_list(Arena *arena, const char *const *list)
{
    size_t n = 0;
    while (list && list[n]) {
        n++;
    }
    const char **copy = ARENA_ARRAY(arena, const char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        copy[i] = arena_cstr(arena, slice_from_cstr(list[i]));
    }
    return copy;
}

static const char *copy_text(Arena *arena, const char *text)
{
    return text ? arena_cstr(arena, slice_from_cstr(text)) : NULL;
}

static void copy_options(Sandbox *s, const SandboxOptions *options)
{
    s->options = sandbox_with_defaults(options);
    SandboxOptions *o = &s->options;
    SandboxMount *mounts = ARENA_ARRAY(s->arena, SandboxMount, o->mount_count + 1);
    for (size_t i = 0; i < o->mount_count; i++) {
        mounts[i] = (SandboxMount){.host = copy_text(s->arena, o->mounts[i].host),
                                   .inside = copy_text(s->arena, o->mounts[i].inside),
                                   .writable = o->mounts[i].writable};
    }
    o->mounts = mounts;
    o->directory = copy_text(s->arena, o->directory);
    o->env = copy_list(s->arena, o->env);
    o->path_first = copy_text(s->arena, o->path_first);
    o->broker_socket = copy_text(s->arena, o->broker_socket);
    s->own_home = true;
    s->own_tmp = true;
    for (size_t i = 0; i < o->mount_count; i++) {
        s->own_home = s->own_home && strcmp(mounts[i].inside, SANDBOX_HOME) != 0;
        s->own_tmp = s->own_tmp && strcmp(mounts[i].inside, "/tmp") != 0;
    }
}

// The holder says "ready", or bwrap says why not.
static int wait_until_ready(Sandbox *s, int said, Err *e)
{
    char text[SAID_BYTES];
    size_t len = 0;
    const Clock *clock = clock_real();
    int64_t deadline = clock_now(clock) + OPEN_NS;
    while (len < sizeof text) {
        int64_t left = deadline - clock_now(clock);
        struct pollfd ready = {.fd = said, .events = POLLIN};
        int n = left > 0 ? poll(&ready, 1, (int)(left / NS_PER_MS) + 1) : 0;
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return err_set(e, ERR_TIMEOUT, "a sandbox did not open within %lld s",
                           (long long)(OPEN_NS / NS_PER_S));
        }
        ssize_t got = read(said, text + len, sizeof text - len);
        if (got <= 0) {
            break;
        }
        len += (size_t)got;
        if (slice_ends_with((Slice){text, len}, SLICE("ready\n"))) {
            s->init = sandbox_first_child(s->pid);
            return 0;
        }
    }
    return err_set(e, ERR_UNSUPPORTED, "cannot open a sandbox: %.*s",
                   SLICE_FMT(slice_trim((Slice){text, len})));
}

static int spawn_holder(Sandbox *s, const char *const *argv, const int in[2], const int out[2],
                        Err *e)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t mask;
    sigset_t defaults;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attr);
    (void)posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    (void)posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    (void)posix_spawn_file_actions_adddup2(&actions, out[1], 2);
    (void)posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    signals_set_of_children(&mask, &defaults);
    (void)posix_spawnattr_setsigmask(&attr, &mask);
    (void)posix_spawnattr_setsigdefault(&attr, &defaults);
    // A group of its own: Ctrl-C is for us, who then close the sandbox.
    (void)posix_spawnattr_setpgroup(&attr, 0);
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    int reason =
        posix_spawn(&s->pid, argv[0], &actions, &attr, (char *const *)(uintptr_t)argv, environ);
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (reason != 0) {
        s->pid = 0;
        return err_errno(e, ERR_IO, reason, "cannot start '%s'", argv[0]);
    }
    return 0;
}

static void kill_all(Sandbox *s)
{
    if (s->holder >= 0) {
        (void)close(s->holder);
    }
    if (s->life >= 0) {
        (void)close(s->life);
    }
    if (s->group >= 0) {
        (void)close(s->group);
    }
    if (s->pid > 0) {
        // First the namespace, then bwrap: its end is then the end of everything in it.
        if (s->init > 0) {
            (void)kill(s->init, SIGKILL);
        } else {
            (void)kill(s->pid, SIGKILL);
        }
        while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        if (s->group >= 0) {
            sandbox_cgroup_remove(s->pid);
        }
    }
    s->holder = -1;
    s->life = -1;
    s->group = -1;
    s->pid = 0;
    s->init = 0;
}

static int find_holder(Sandbox *s, Err *e)
{
    s->holder = s->init > 0 ? (int)syscall(SYS_pidfd_open, s->init, 0) : -1;
    if (s->holder < 0) {
        return err_set(e, ERR_UNSUPPORTED,
                       "cannot enter a sandbox: this kernel lacks /proc/PID/task/PID/children or "
                       "pidfd_open (Linux 5.8 is the oldest that works)");
    }
    s->group = sandbox_cgroup_open(s->pid);
    return 0;
}

static int start_holder(Sandbox *s, Err *e)
{
    const char *const *argv;
    Arena *arena = arena_create(ARENA_BYTES);
    int in[2] = {-1, -1};
    int out[2] = {-1, -1};
    int rc = sandbox_build_argv(arena, &s->options, true,
                                (const char *const[]){"/bin/sh", "-c", HOLD, NULL}, &argv, e);
    if (rc == 0 && (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)) {
        rc = err_errno(e, ERR_LIMIT, errno, "cannot open a pipe");
    }
    if (rc == 0) {
        rc = spawn_holder(s, argv, in, out, e);
    }
    if (in[0] >= 0) {
        (void)close(in[0]);
        s->life = in[1];
    }
    if (out[1] >= 0) {
        (void)close(out[1]);
    }
    rc = rc == 0 ? wait_until_ready(s, out[0], e) : rc;
    rc = rc == 0 ? find_holder(s, e) : rc;
    if (out[0] >= 0) {
        (void)close(out[0]);
    }
    arena_destroy(arena);
    if (rc != 0) {
        kill_all(s);
    }
    return rc;
}

int sandbox_open(const SandboxOptions *options, Sandbox **ret_sandbox, Err *e)
{
    Arena *arena = arena_create(ARENA_BYTES);
    Sandbox *s = ARENA_NEW(arena, Sandbox);
    s->arena = arena;
    s->holder = -1;
    s->life = -1;
    s->group = -1;
    copy_options(s, options);
    SandboxTools tools;
    sandbox_tools(arena, getenv("PATH"), getenv("HOME"), &tools);
    if (options->network) {
        sandbox_network(arena, getenv("HOME"), &tools);
    }
    s->environment = sandbox_make_environment(arena, &s->options, &tools);
    Slice filter = sandbox_filter();
    s->filter =
        (struct sock_fprog){.len = (unsigned short)(filter.len / sizeof(struct sock_filter)),
                            .filter = (struct sock_filter *)(uintptr_t)filter.ptr};
    int rc = start_holder(s, e);
    if (rc != 0) {
        arena_destroy(arena);
        return rc;
    }
    *ret_sandbox = s;
    return 0;
}

void sandbox_close(Sandbox *sandbox)
{
    if (sandbox) {
        kill_all(sandbox);
        arena_destroy(sandbox->arena);
    }
}

pid_t sandbox_pid(const Sandbox *sandbox)
{
    return sandbox->pid;
}

const char *const *sandbox_environment(const Sandbox *sandbox)
{
    return sandbox->environment;
}

// ---- entering: in a child between fork and exec, so system calls only

static int drop_rights(const Sandbox *s)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    for (int capability = 0; capability < CAPABILITIES; capability++) {
        (void)prctl(PR_CAPBSET_DROP, capability, 0, 0, 0); // EINVAL beyond the kernel's last
    }
    if (syscall(SYS_capset, &header, none) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return -1;
    }
    return s->filter.len == 0 ? 0 : prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &s->filter, 0, 0);
}

static int lower_limit(__rlimit_resource_t resource, uint64_t value)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) < 0) {
        return -1;
    }
    limit.rlim_max = limit.rlim_max < value ? limit.rlim_max : (rlim_t)value;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(resource, &limit);
}

static int set_limits(const SandboxOptions *o)
{
    int rc = lower_limit(RLIMIT_CORE, 0);
    rc = rc == 0 ? lower_limit(RLIMIT_FSIZE, o->file_bytes_max) : rc;
    rc = rc == 0 ? lower_limit(RLIMIT_NPROC, sandbox_tasks_max(o)) : rc;
    if (rc == 0 && o->cpu_ns_max > 0) {
        rc = lower_limit(RLIMIT_CPU, (uint64_t)(o->cpu_ns_max - 1) / NS_PER_S + 1);
    }
    return rc;
}

// Without a controlling terminal nothing can be read from a person or typed in his name (TIOCSTI).
static int leave_terminal(void)
{
    return setsid() >= 0 || getsid(0) == getpid() ? 0 : -1;
}

int sandbox_enter(void *sandbox)
{
    const Sandbox *s = sandbox;
    int namespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
                     CLONE_NEWCGROUP | (s->options.network ? 0 : CLONE_NEWNET);
    // Until exec this process has our memory, and whatever an earlier command left in the sandbox
    // has the same user: /proc/PID/mem and ptrace must not be open to it. exec undoes it.
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
        return -1;
    }
    // The control group first: afterwards its files cannot be seen, but for the open one.
    if (s->group >= 0 && write(s->group, "0", 1) != 1) {
        return -1;
    }
    if (leave_terminal() < 0 || setns(s->holder, namespaces) < 0 ||
        chdir(s->options.directory) < 0 || set_limits(&s->options) < 0) {
        return -1;
    }
    return drop_rights(s);
}

// ---- between samples

unsigned sandbox_survivors(const Sandbox *sandbox)
{
    SandboxUsage usage = {0};
    return sandbox_look(sandbox->pid, &usage) ? usage.processes : 0;
}

// Through the root of the sandbox's first process: what is in there are its own file systems.
static int empty_directory(const Sandbox *s, const char *inside, Err *e)
{
    Buf path = buf_create(PATH_MAX);
    buf_printf(&path, "/proc/%d/root%s", (int)s->init, inside);
    int rc = dir_empty(path.data, e);
    buf_done(&path);
    return rc;
}

static bool holder_lives(const Sandbox *s)
{
    struct pollfd end = {.fd = s->holder, .events = POLLIN}; // readable once it has ended
    return s->holder >= 0 && poll(&end, 1, 0) == 0;
}

int sandbox_reset(Sandbox *sandbox, Err *e)
{
    SandboxUsage usage = {0};
    (void)sandbox_look(sandbox->pid, &usage);
    // A shell reaps no orphans, and zombies count as tasks.
    if (usage.processes > 0 || usage.zombies > ZOMBIES_MAX || !holder_lives(sandbox)) {
        // Killing the namespace and opening another is the only way that a process which forks
        // faster than we kill cannot win; its /tmp goes with it.
        kill_all(sandbox);
        return start_holder(sandbox, e);
    }
    int rc = empty_directory(sandbox, "/dev/shm", e);
    rc = rc == 0 && sandbox->own_tmp ? empty_directory(sandbox, "/tmp", e) : rc;
    return rc == 0 && sandbox->own_home ? empty_directory(sandbox, SANDBOX_HOME, e) : rc;
}
