// Child processes on a loop: argument vectors (never a shell), pipes, a deadline, the whole process
// group killed at the end, and what it cost.
//
// Started and waited for by a fiber:
//
//     ProcessResult result = process_result_create(1 << 20);
//     rc = process_run(&(ProcessOptions){.loop = loop, .argv = argv, .timeout_ns = 10 * NS_PER_S},
//                      &result, e);
//     ... result.exit_code, buf_slice(&result.out) ...
//     process_result_done(&result);
//
// or with process_start, callbacks for output and the end, and process_kill. A child that is talked
// to for long (a language server, a tool server) is started with `talk` and written to with
// process_write until process_close_input.
//
// The child gets its own process group, default signals, no file descriptor but 0, 1 and 2. A child
// that outlives us is not our doing: sandboxed ones die with their parent (see os/sandbox.h).
//
// SIGPIPE must be ignored (signals_block does it): a child need not read its input.
//
// Everything is for the loop's thread.
#ifndef OS_PROCESS_H
#define OS_PROCESS_H

#include <sys/types.h>

#include "base/buf.h"
#include "os/loop.h"

typedef struct Process Process;

typedef struct ProcessEnd {
    int exit_code;  // 0..255, or -1 when a signal ended it
    int signal;     // that signal, else 0
    bool timed_out; // we killed it at its deadline
    int64_t wall_ns;
    int64_t user_ns; // CPU time of the child and the children it waited for
    int64_t system_ns;
    int64_t rss_max_bytes;
} ProcessEnd;

typedef enum ProcessStream { PROCESS_OUT, PROCESS_ERR } ProcessStream;

typedef struct ProcessOptions {
    Loop *loop; // for process_run NULL: the thread blocks until the end
    const char *const *argv; // ends with NULL; argv[0] is looked up in PATH
    const char *const *envp; // ends with NULL; NULL: our own environment
    const char *directory;   // to start in; NULL: ours
    Slice input;             // for its standard input, borrowed until the end; empty: /dev/null
    // Not 0: standard input stays open for process_write, which queues at most this many bytes that
    // the child did not read yet. `input` is not used then.
    size_t talk_bytes_max;
    int64_t timeout_ns; // 0: none. Then SIGTERM to the group, and SIGKILL grace_ns later.
    // 0: 2 s. Also how long output is awaited that a grandchild outside the group keeps open after
    // the process has ended.
    int64_t grace_ns;
    bool merge_err;      // standard error goes where standard output goes
    bool inherit_output; // both go where ours go
    // Called as output comes; after both ended and the process is gone: end_fn, once, and then the
    // Process is freed. process_run sets them itself.
    void (*output_fn)(void *ctx, ProcessStream stream, Slice bytes);
    void (*end_fn)(void *ctx, const ProcessEnd *end);
    void *ctx;
} ProcessOptions;

// PATH of our environment, or a usual one: for a child that gets an environment made by us.
const char *process_path(void);

// ERR_NOT_FOUND when there is no such program, ERR_IO (permission, for one), ERR_LIMIT.
MUST_USE int process_start(const ProcessOptions *options, Process **ret_process, Err *e);
pid_t process_pid(const Process *process);
// Queues bytes for the standard input of a child started with talk_bytes_max. Never parks.
// ERR_FULL when it does not read and the queue is full (nothing is queued then), ERR_CLOSED when it
// closed its input or process_close_input was called.
MUST_USE int process_write(Process *process, Slice bytes, Err *e);
// The child reads the end of its input behind what is queued. Again is fine.
void process_close_input(Process *process);
// Ends the process and frees it without end_fn being called and without waiting: for owners that
// go away first. It and its group are killed.
void process_abandon(Process *process); // NULL is fine
// Sends a signal to the process and everything it started in its group.
void process_kill(Process *process, int signal_number);

typedef struct ProcessResult {
    ProcessEnd end;
    Buf out; // what is beyond the ceiling is dropped, and the Buf's `overflowed` says so
    Buf err;
} ProcessResult;

ProcessResult process_result_create(size_t output_bytes_max);
void process_result_done(ProcessResult *result);

// In a fiber: starts, waits for the end, collects output. A cancelled fiber kills the group and
// waits for it. Without a loop it blocks the thread instead, and no fiber is needed. 0 whatever the
// exit code; ERR_TIMEOUT, ERR_CANCELLED, or as process_start.
MUST_USE int process_run(const ProcessOptions *options, ProcessResult *result, Err *e);

#endif
