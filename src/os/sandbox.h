// Sandbox: how commands that we did not write are run. A repository's build, its tests, its
// benchmarks and a coding agent see a read-only system, their own processes, a fresh /tmp and home
// directory, no network, none of our environment and none of the user's files but those mounted.
//
// It stands on bubblewrap (the program `bwrap`) and so on Linux user namespaces; both root and
// ordinary users can use it. In it the user is SANDBOX_UID without any capability. What is seen:
//
//   /usr /bin /lib...    the system's, read-only; of /etc only a list of names without secrets
//   toolchains           what PATH names outside of /usr (~/.cargo/bin, ~/.pyenv, /opt/x, ...),
//   read-only /proc /dev /tmp      its own; SANDBOX_HOME too, unless a mount covers it mounts what
//   the options name
//
// Two ways in. For a step that may take what it takes, a command line for process_run:
//
//     SandboxOptions o = {.mounts = &(SandboxMount){tree, "/work", true}, .mount_count = 1,
//                         .directory = "/work"};
//     rc = sandbox_argv(arena, &o, (const char *[]){"sh", "-c", command, NULL}, &argv, e);
//     rc = process_run(&(ProcessOptions){.loop = loop, .argv = argv, ...}, &result, e);
//
// with a SandboxWatch for the limits that the kernel does not keep. And for timed samples, which
// must not pay some 10 ms of set-up each, a sandbox that a waiting process holds open and that a
// child enters between fork and exec:
//
//     rc = sandbox_open(&o, &sandbox, e);
//     ... in the child: if (sandbox_enter(sandbox) != 0) _exit(126); then fork once more (a process
//         changes its PID namespace only for its children), and exec with sandbox_environment() ...
//     if (sandbox_survivors(sandbox) > 0) ... it left something behind ...
//     rc = sandbox_reset(sandbox, e);
//     sandbox_close(sandbox);
//
// Everything in a sandbox dies with the process that started it, also at SIGKILL (bwrap
// --die-with-parent); that is PR_SET_PDEATHSIG, which means the starting *thread*, so start
// sandboxes from a thread that lives as long as they do.
//
// docs/internals/sandbox.md says what is promised and what is not. A Sandbox is for one thread.
#ifndef OS_SANDBOX_H
#define OS_SANDBOX_H

#include <sys/types.h>

#include "base/arena.h"
#include "base/err.h"

enum {
    SANDBOX_UID = 1000, // inside, and its group; outside it is whoever started the sandbox
    SANDBOX_MOUNTS_MAX = 64,
    SANDBOX_PROCESSES_MAX = 512, // what 0 means
};
#define SANDBOX_HOME        "/home/user"
#define SANDBOX_BROKER_PATH "/run/perfwright/broker.sock" // where broker_socket appears
#define SANDBOX_FILE_BYTES  ((uint64_t)8 << 30)           // what 0 means
#define SANDBOX_DISK_BYTES  ((uint64_t)16 << 30)          // what 0 means

typedef struct SandboxMount {
    const char *host;   // absolute
    const char *inside; // absolute; its parents are made
    bool writable;
} SandboxMount;

typedef struct SandboxOptions {
    const SandboxMount *mounts; // in order: a later one covers an earlier one
    size_t mount_count;
    const char *directory;  // to start in, inside; NULL: "/"
    const char *const *env; // "NAME=value", ends with NULL; beside PATH HOME USER LANG TMPDIR and
                            // what toolchains need. The same name here wins. NULL: none
    const char *path_first; // directories inside, "a:b", before the rest of PATH; NULL: none
    bool network;           // the host's network and its resolver: for install steps only
    const char *broker_socket; // a unix socket of the host, seen at SANDBOX_BROKER_PATH; or NULL
    // Limits; 0: a default. Kept by the kernel: tmp, file, cpu, and the number of tasks. Kept by
    // SandboxWatch: the others.
    uint64_t memory_bytes_max; // resident, of all processes together; 0: three quarters of the RAM
    uint64_t
        tmp_bytes_max; // of /tmp, of a home without mount, of /dev/shm; 0: an eighth of the RAM
    uint64_t file_bytes_max; // of one file; 0: SANDBOX_FILE_BYTES
    uint64_t disk_bytes_max; // by which writable mounts may grow; 0: SANDBOX_DISK_BYTES
    // 0: SANDBOX_PROCESSES_MAX. With threads the kernel allows twice as many and 64; see
    // sandbox_holds_forks.
    unsigned processes_max;
    int64_t cpu_ns_max; // of one process, in whole seconds, rounded up; 0: none
} SandboxOptions;

// 0 when sandboxes work here; ERR_UNSUPPORTED with what is missing and what to do about it: no
// bwrap, or user namespaces are switched off. Runs `true` in a sandbox: some 20 ms.
MUST_USE int sandbox_check(Err *e);

// Whether the kernel holds a fork bomb in a sandbox here (os/sandbox_cgroup.c says how). False for
// root where control groups cannot be made: then only SandboxWatch stops one, after a while in
// which the machine suffers, and whoever runs commands of strangers should be told.
bool sandbox_holds_forks(void);

// The command line that runs `argv` (ends with NULL; looked up in the PATH inside) in a sandbox.
// The exit code is the command's, 128 + N when signal N ended it. A message that begins with
// "bwrap: " and exit code 1 is bubblewrap's own. ERR_ARG for a mount that is not absolute or too
// many of them, ERR_UNSUPPORTED without bwrap, ERR_IO.
MUST_USE int sandbox_argv(Arena *arena, const SandboxOptions *options, const char *const *argv,
                          const char *const **ret_argv, Err *e);

// ---- a sandbox that stays open

typedef struct Sandbox Sandbox;

// Copies the options. ERR_UNSUPPORTED, ERR_IO, ERR_ARG as sandbox_argv; ERR_TIMEOUT.
MUST_USE int sandbox_open(const SandboxOptions *options, Sandbox **ret_sandbox, Err *e);
// In a single-threaded child of any process, as from fork or vfork: 0, or -1 with errno. Async-
// signal-safe. Afterwards the caller has the sandbox's files, network, user, limits and
// `directory`, no capability and its system call filter; its children are in the sandbox's PID
// namespace. `sandbox` is a Sandbox, as void * so that it fits a callback.
MUST_USE int sandbox_enter(void *sandbox);
// "NAME=value", ends with NULL; lives as long as the sandbox.
const char *const *sandbox_environment(const Sandbox *sandbox);
// Processes alive in it beside its holder; zombies do not count.
unsigned sandbox_survivors(const Sandbox *sandbox);
// Kills what was left behind and empties /tmp, /dev/shm and the home directory (one that is not a
// mount).
MUST_USE int sandbox_reset(Sandbox *sandbox, Err *e);
void sandbox_close(Sandbox *sandbox); // kills everything in it; NULL is fine
// The holder's process identifier, for a SandboxWatch.
pid_t sandbox_pid(const Sandbox *sandbox);

// ---- for this module's parts and its tests

// PATH and what else toolchains need, found from the host's PATH and HOME (either may be NULL).
typedef struct SandboxTools {
    const char *path; // PATH inside
    SandboxMount *mounts;
    size_t mount_count;
    const char **env; // "NAME=value", ends with NULL
} SandboxTools;
void sandbox_tools(Arena *arena, const char *path, const char *home, SandboxTools *ret_tools);

// The system call filter as bwrap --seccomp takes it: an array of struct sock_filter.
Slice sandbox_filter(void);

#endif
