// Other people's benchmark programs with the outer loop ours: each invocation of the program is one
// sample of every benchmark it has, and two sides are invoked in random order, A B or B A, round by
// round. Samples from within one process are not independent: layout, address space and the state
// of the machine are drawn once a process.
//
//     HarnessRunOptions o = {.kind = HARNESS_GO, .commands = {a, b}, .sides = 2, .rounds = 10,
//                            .run_fn = run, .ctx = &mine, .seed = seed};
//     rc = harness_run(&o, arena, sides, e);       // sides[0].items[i].samples: one a round
#ifndef BENCH_HARNESS_RUN_H
#define BENCH_HARNESS_RUN_H

#include "bench/harness.h"

enum { HARNESS_SIDES_MAX = 2, HARNESS_ROUNDS_MAX = 1000, HARNESS_COMMAND_MAX = 64 << 10 };

typedef struct HarnessCommand {
    Slice shell; // for `sh -c`; NUL follows
    // File or directory that the results are in afterwards; empty: standard output.
    Slice output;
} HarnessCommand;

// The command as the repository declares it ("go test ./...", "./build/bench_hash") with what makes
// its harness write results that can be read, once each: --benchmark_out, -bench . -count 1 -run
// '^$', --benchmark-json, -rf json, --export-json ... `filter` (may be empty) is in the harness's
// own grammar; `output` a path that the command may write and that does not exist. An option that
// the command has already is not given twice. ERR_UNSUPPORTED for a filter where there is none.
MUST_USE int harness_command(Arena *arena, HarnessKind kind, Slice command, Slice filter,
                             Slice output, HarnessCommand *ret_command, Err *e);
// `text` in single quotes for the shell.
Slice harness_quote(Arena *arena, Slice text);

// Runs the command, appends its standard output. Not 0 ends the whole comparison.
typedef int HarnessRunFn(void *ctx, size_t side, const HarnessCommand *command, Buf *out, Err *e);

typedef struct HarnessProgress {
    size_t done, total; // invocations
    size_t side;        // of the next one
} HarnessProgress;

typedef struct HarnessRunOptions {
    HarnessKind kind;
    Slice commands[HARNESS_SIDES_MAX];
    size_t sides; // 1 or 2
    Slice filter;
    size_t rounds;      // invocations of each side, 1 to HARNESS_ROUNDS_MAX
    bool warmup;        // one invocation of each side before, not counted
    Slice scratch;      // a directory of ours; outputs are SCRATCH/SIDE-ROUND
    bool higher_better; // HarnessOptions
    uint64_t seed;      // of the order
    HarnessRunFn *run_fn;
    // Reads what the command wrote where it is not standard output; NULL: harness_load of the path.
    int (*load_fn)(void *ctx, Arena *arena, const char *path, const HarnessOptions *options,
                   HarnessResults **ret_results, Err *e);
    void *ctx;
    void (*progress_fn)(void *ctx, const HarnessProgress *progress); // may be NULL
} HarnessRunOptions;

// ret_sides[i] has a sample a round for each benchmark of side i. An invocation without any result
// is ERR_NOT_FOUND with the end of its output in words.
MUST_USE int harness_run(const HarnessRunOptions *options, Arena *arena,
                         HarnessResults *ret_sides[HARNESS_SIDES_MAX], Err *e);

#endif
