// Two groups of runs compared: a baseline and a candidate, endpoint by endpoint.
//
//     CompareOptions options = {.margin = 0.05};
//     ChangeSet set = compare_runs(arena, baseline, 3, candidate, 3, &options);
//
// From three runs a side: Welch's test on the logarithms of the runs' p50 and p95 (from three
// endpoints on a moderated t, which lets them share their variance), Benjamini and Hochberg over
// both measures of all endpoints.
// With fewer, what one run shows of its own scatter (blocks of seconds) plus an assumed run-to-run
// variation, a larger margin, and the words "single run". An endpoint is slower when the test says
// so and the change is at least the margin; p50 and p95 decide, everything else informs, except
// errors that rose beyond doubt. docs/internals/compare.md has the reasons and the measured error
// rates.
#ifndef JUDGE_COMPARE_H
#define JUDGE_COMPARE_H

#include "judge/verdict.h"

enum { COMPARE_RUNS_MAX = 1000 }; // a side; the first ones are used, with a warning

// Zero takes the default.
typedef struct CompareOptions {
    double alpha;          // one-sided: share of false alarms; 0.05
    double margin;         // smallest change that counts; 0.05
    double margin_few;     // with fewer than three runs on a side; 0.10
    double run_sd;         // of log p95 from run to run, assumed when it cannot be seen; 0.03
    double error_increase; // smallest rise of an error rate that counts; 0.01
    int64_t warmup_ns;     // left out at the start of every run
    uint64_t seed;         // of the block bootstrap
} CompareOptions;

typedef struct ChangeSet {
    ChangeVerdict *changes; // grouped by endpoint; "all requests" last, when there are several
    size_t count;
    size_t baseline_runs; // used
    size_t candidate_runs;
    Slice not_comparable; // why; empty when something was compared
    Slice culprit;
    double culprit_share;
    const ChangeVerdict *culprit_change;
    Slice *warnings;
    size_t warning_count;
} ChangeSet;

// Runs that are invalid, unfinished or under reduced load are left out with a warning. `options`
// may be NULL. Text is borrowed from the runs and from `arena`.
ChangeSet compare_runs(Arena *arena, const RunData *const *baseline, size_t baseline_count,
                       const RunData *const *candidate, size_t candidate_count,
                       const CompareOptions *options);

#endif
