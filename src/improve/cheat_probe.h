// Probes: what a patch's looks leave open is decided by running the program in ways that change
// nothing for honest code. The judge lends the means (its sandbox, its builds, its measuring);
// everything here is comparing, so that it can be tested with programs that do not exist.
//
//     CheatMeans means = {.run_fn = judge_run, .ctx = &judge, .workload_count = 1};
//     rc = cheat_probe(&means, suspected, &findings, e);
//     cheat_check_artifacts(base_dir, patched_dir, steps, arena, &findings);
//     ...
//
// Decisions compare the smaller of several samples (noise only adds time) and a suspicion is
// repeated before it is said, so that a busy machine does not make cheaters of honest people.
#ifndef IMPROVE_CHEAT_PROBE_H
#define IMPROVE_CHEAT_PROBE_H

#include "bench/sample.h"
#include "improve/cheat.h"
#include "ledger/sha256.h"

typedef enum CheatSide { CHEAT_BASE, CHEAT_PATCHED } CheatSide;

// How a run differs from those that are measured. Bits.
enum {
    CHEAT_AS_MEASURED = 0,
    // The tree (with what was built in it) lies at another path and is started from there.
    CHEAT_OTHER_PLACE = 1,
    // Other variables: HOME, USER, TMPDIR, LANG of other content, and those that harnesses set
    // (CI, BENCHMARK, PERFWRIGHT) taken away or, where they are not set, set. CHEAT_ENVIRONMENT.
    CHEAT_OTHER_ENVIRONMENT = 2,
    // One process more between the judge and the command: `sh -c 'sh -c COMMAND; exit $?'`.
    CHEAT_OTHER_PARENT = 4,
    // In the scratch folders (HOME, TMPDIR, working folder) of the run before, not in fresh ones.
    CHEAT_SECOND_RUN = 8,
    CHEAT_DISGUISE = CHEAT_OTHER_PLACE | CHEAT_OTHER_ENVIRONMENT | CHEAT_OTHER_PARENT,
};
extern const char *const CHEAT_ENVIRONMENT[]; // NAME=value for CHEAT_OTHER_ENVIRONMENT, NULL

typedef struct CheatRun {
    CheatSide side;
    size_t workload; // of the steps, 0-based
    unsigned how;    // CHEAT_OTHER_..., CHEAT_SECOND_RUN
} CheatRun;

typedef struct CheatRan {
    bool measured; // false: it failed, was timed out, or this disguise cannot be made here
    BenchSample sample;
    unsigned survivors;  // processes that were still there at the end
    unsigned files_left; // new files in scratch folders and tree, declared outputs not counted
    char output_sha256[SHA256_HEX + 1]; // of what is compared; empty: nothing is
} CheatRan;

typedef struct CheatMeans {
    // The judge's: same input (the first declared, same seed) for every call of one workload.
    int (*run_fn)(void *ctx, const CheatRun *run, CheatRan *ret_ran, Err *e);
    void *ctx;
    size_t workload_count; // only the first CHEAT_PROBE_WORKLOADS are probed
    BenchMetric metric;    // of the claim: BENCH_WALL or BENCH_CPU; anything else is taken as CPU
} CheatMeans;

enum {
    CHEAT_PROBE_WORKLOADS = 2,
    CHEAT_PROBE_SAMPLES = 3, // each way; a suspicion takes twice as many more of both sides
};
// How many times slower honest code may be in a disguise or a first run, beyond what the base is.
#define CHEAT_PROBE_FACTOR 1.3

// The disguises, a second run in the same folders, and what is left behind. At most
// 12 samples a workload where nothing is found. Errors are those of run_fn.
MUST_USE int cheat_probe(const CheatMeans *means, CheatMask suspected, Findings *findings, Err *e);

// ---- checks of what the judge has anyway

// 7: survivors in samples of the patched side that the base has not.
void cheat_check_survivors(unsigned base_max, unsigned patched_max, Findings *findings);
// 6, 9, 12, 13: a metric that the program reports of itself against the whole process, as ratios
// patched over base (below 1 is better). Both positive and finite, else 17.
void cheat_check_reported(double reported_ratio, double process_ratio, Findings *findings);
// 17: a time-out, a failure, a zero or NaN among what is about to be scored. True: the samples are
// all measurements.
bool cheat_check_samples(const BenchSample *samples, size_t count, BenchMetric metric,
                         Findings *findings);
// 18: the patch changes what is built, and nothing that was built changed. Hashes are hexadecimal;
// empty ones: nothing is built, and then there is nothing to be stale.
void cheat_check_stale(const Patch *patch, const Steps *steps, Slice base_artifact_sha256,
                       Slice patched_artifact_sha256, Findings *findings);
// 19: commits in hexadecimal; the base to compare with must be the one that was registered.
// ERR_REFUSED says so, because no verdict can be made at all then.
MUST_USE int cheat_check_base(Slice registered_commit, Slice judged_commit, Err *e);
// 20: alpha for the k-th attempt at one goal (k from 1): alpha * 6 / (pi * k)^2. The shares of all
// attempts there will ever be add up to alpha, so that nobody has to say beforehand how many there
// will be (the first gets 61 % of alpha, the tenth 0.6 %).
double cheat_attempt_alpha(double alpha, unsigned attempt);
// 16: the copy that the author of the patch worked in had one commit, no remote, no alternate
// object store. `commits` is what `git rev-list --all --count` says there.
void cheat_check_history(const char *workspace_dir, int64_t commits, Findings *findings);
// 10, 11: libraries needed and compiler options recorded in built ELF files of both sides, matched
// by the steps' artifact globs and by path. What is no ELF file is passed over. Needs what
// the walk of the folders needs: ERR_IO where they cannot be read.
MUST_USE int cheat_check_artifacts(const char *base_dir, const char *patched_dir,
                                   const Steps *steps, Arena *arena, Findings *findings, Err *e);

#endif
