// Running one step (install, build, test, a workload) of a repository: a shell command from its
// steps.yaml, in the sandbox and nowhere else.
//
//     rc = step_run(&(StepRunOptions){.workspace = ws, .command = "make -j2",
//                                     .timeout_ns = 120 * NS_PER_S, .log_path = path}, arena, &r,
//                                     e);
//     if (r.end == STEP_OK) ...
//
// Whatever the command does, the call ends: at the time limit, at a limit of the sandbox or with
// the command, and nothing of it is left running. Its output goes to a log file that is cut in the
// middle (the head up to a ceiling, then the tail) and never kept in memory whole. It has no
// terminal, and its standard input is empty.
//
// The return value is about us (ERR_UNSUPPORTED: no sandbox here; ERR_IO: the log cannot be
// written); what the command did is in the result. A time-out is STEP_TIMED_OUT and never a number.
#ifndef IMPROVE_STEP_RUN_H
#define IMPROVE_STEP_RUN_H

#include "improve/workspace.h"
#include "os/sandbox_watch.h"

enum {
    STEP_TAIL_BYTES = 16 << 10,    // of the output, in the result
    STEP_LOG_BYTES_MAX = 16 << 20, // of the log file; what 0 means
};
#define STEP_TIMEOUT_NS (600 * NS_PER_S) // what 0 means

typedef enum StepEnd {
    STEP_OK,        // exit code 0
    STEP_FAILED,    // another exit code
    STEP_SIGNALLED, // ended by a signal of its own making
    STEP_TIMED_OUT, // killed at timeout_ns: not measured
    STEP_MEMORY,    // killed at a limit of the sandbox
    STEP_PROCESSES,
    STEP_DISK,
    STEP_CANCELLED, // the calling fiber was cancelled
    STEP_ENDS,
} StepEnd;
extern const char *const STEP_END_NAMES[STEP_ENDS + 1]; // "ok", "failed", "signalled", ...

// How the step sees the dependency directory, which an install step filled.
typedef enum StepDeps {
    STEP_DEPS_READ_ONLY,
    STEP_DEPS_WRITABLE, // an install step
    // A copy of its own, made once for each workspace: for tools that write into their caches when
    // they only read (Maven, Gradle).
    STEP_DEPS_COPY,
} StepDeps;

typedef struct StepRunOptions {
    Loop *loop; // of the calling fiber; NULL: the thread blocks until the end
    Workspace *workspace;
    const char *command;   // for sh -c
    const char *directory; // in the tree, "" or NULL: its top
    const char *deps_dir;  // on the host, seen as WORKSPACE_DEPS; NULL: none
    StepDeps deps;
    int64_t timeout_ns;
    const char *log_path; // replaced; NULL: no file
    size_t log_bytes_max;
    bool network;
    bool count_changes; // fill `changes` (git looks at the whole tree)
    // Run in the tree itself, with our own rights: the user asked for it (--no-sandbox), every
    // verdict says so. The environment is still a clean one.
    bool no_sandbox;
    // Beside what is made from the fields above: env, path_first, broker_socket, limits, and
    // mounts behind the tree's.
    SandboxOptions sandbox;
    void (*output_fn)(void *ctx, Slice bytes); // as output comes; may be NULL
    void *ctx;
} StepRunOptions;

typedef struct StepResult {
    StepEnd end;
    int exit_code; // 0..255; -1 when it did not exit
    int signal;
    int64_t wall_ns;
    int64_t cpu_ns;        // of all its processes, as of SANDBOX_WATCH_NS before the end
    uint64_t output_bytes; // printed in all
    bool truncated;        // the log is cut
    Slice tail;            // the end of the output, from the start of a line
    SandboxUsage usage;
    WorkspaceChanges changes; // when count_changes
    Slice text; // one sentence on how it ended and what to do about it; "" for STEP_OK
} StepResult;

// Strings of the result are in `arena`.
MUST_USE int step_run(const StepRunOptions *options, Arena *arena, StepResult *ret_result, Err *e);

// The sandbox that steps of this workspace run in, for sandbox_open: timed samples see the same
// paths. The home directory is a fresh one, the tree read-only unless `tree_writable`. Borrows from
// `options` and `arena`.
void step_sandbox(const StepRunOptions *options, bool tree_writable, Arena *arena,
                  SandboxOptions *ret_sandbox);

#endif
