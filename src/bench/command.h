// One sample of a command: a fresh process each time, and what it cost.
//
//     BenchResult result = bench_result_create();
//     rc = bench_command_run(&(BenchCommand){.argv = argv, .timeout_ns = 10 * NS_PER_S}, &result,
//     e);
//     ... result.sample.wall_ns, result.sample.exit_code, result.output_sha256 ...
//     bench_result_done(&result);
//
// How. A supervisor is forked off (its fork is not in the measured interval); it enters the sandbox
// where one is given, starts the command so that no page table is copied (CLONE_VFORK), stamps the
// clock just before exec and again when it sees the end, waits with wait4, kills what was left
// behind, and exits. Output goes into memory (memfd) and is looked at when the command has ended,
// so that no reader takes part in the measurement. docs/internals/samples.md has the reasons.
//
// A command that fails, is killed or is timed out is a result, not an error: look at the sample.
// The call blocks its thread until the end; a loop calls it on a job thread. Any thread, one result
// each.
#ifndef BENCH_COMMAND_H
#define BENCH_COMMAND_H

#include "base/buf.h"
#include "bench/sample.h"
#include "ledger/sha256.h"

typedef enum BenchOutput {
    BENCH_OUTPUT_DISCARD, // /dev/null
    BENCH_OUTPUT_FILE,    // replaces the file `output_path`
    BENCH_OUTPUT_HASH,    // kept as a SHA-256 and a length
    BENCH_OUTPUT_CAPTURE, // that, and the bytes
    BENCH_OUTPUT_INHERIT, // ours
} BenchOutput;

// Output that is hashed or captured is held in memory until it is looked at. A command that writes
// more is killed, and `overflowed` says so.
#define BENCH_OUTPUT_BYTES_DEFAULT (INT64_C(64) << 20)
enum {
    BENCH_COMMAND_BYTES_MAX = 4 << 20, // arguments and environment together
    BENCH_ERROR_BYTES_MAX = 1 << 20,   // of error_tail_bytes
};

typedef struct BenchCommand {
    const char *const *argv; // ends with NULL; argv[0] is looked up in the PATH of `env`
    const char *shell;       // instead of argv: a line for `sh -c`
    const char *const *env;  // all of the environment, ends with NULL; NULL: ours
    const char *directory;   // to start in; NULL: ours (looked up behind enter_fn)
    const char *input_path;  // standard input (looked up here, before enter_fn); NULL: /dev/null
    BenchOutput output;
    const char *output_path;
    int64_t output_bytes_max; // 0: BENCH_OUTPUT_BYTES_DEFAULT
    bool merge_error;         // standard error goes where standard output goes
    bool inherit_error;       // or where ours goes; else it is kept up to error_tail_bytes
    size_t error_tail_bytes;  // how much of its end result.error gets; 0: /dev/null
    int64_t timeout_ns;       // 0: none. Then everything it started is killed at once.
    // Called in a forked process before the command is started from there, so that it may change
    // any namespace, the one of process numbers too (setns): async-signal-safe. Not 0 (a number, or
    // -1 with errno): the sample fails with ERR_REFUSED and that in words. sandbox_enter fits.
    int (*enter_fn)(void *ctx);
    void *enter_ctx;
    // Readable (a signalfd, an eventfd): the command is killed, ERR_CANCELLED. 0 or less: none.
    int cancel_fd;
} BenchCommand;

typedef struct BenchResult {
    BenchSample sample;
    // Processes that were still there when the command itself had ended, and the CPU time they had
    // used. They were killed. Behind enter_fn with a namespace of process numbers they belong to
    // its first process, so that 0 means nothing: ask whoever keeps the sandbox.
    unsigned survivors;
    int64_t survivors_cpu_ns;
    char output_sha256[SHA256_HEX + 1]; // BENCH_OUTPUT_HASH and _CAPTURE
    int64_t output_bytes;
    bool overflowed;
    Buf output; // BENCH_OUTPUT_CAPTURE
    Buf error;  // its last error_tail_bytes
    // What the sample cost besides the command itself: wall time of the call less the sample's.
    int64_t overhead_ns;
} BenchResult;

BenchResult bench_result_create(void);
void bench_result_done(BenchResult *result);

// Replaces what `result` held. ERR_NOT_FOUND: no such program, directory or input; ERR_IO: it may
// not be executed; ERR_REFUSED: enter_fn; ERR_CANCELLED; ERR_LIMIT: arguments, descriptors,
// processes.
MUST_USE int bench_command_run(const BenchCommand *command, BenchResult *result, Err *e);

// Exit code 0, not signalled, timed out or overflowed: what makes a sample a measurement unless the
// caller knows better.
bool bench_result_good(const BenchResult *result);
// "exit code 3", "killed by signal 11", "no end within 10s", "more than 64MiB of output".
void bench_result_describe(const BenchResult *result, Buf *out);

#endif
