// The whole judgement of a command: objectives, thresholds, comparison, one status, one exit code.
//
//     JudgeInput input = {.candidate = runs, .candidate_count = 3, .slos = file.slos, ...};
//     Judgement j = judge(arena, &input);
//     return j.exit_code;
//
// Exit codes, and which one wins when several apply (docs/guide/exit-codes.md): an invalid or
// missing measurement comes first, because nothing else is true then; then what was shown to be
// wrong; then what could not be shown.
#ifndef JUDGE_JUDGE_H
#define JUDGE_JUDGE_H

#include "judge/compare.h"
#include "judge/exit_code.h"
#include "judge/slo_eval.h"

typedef struct JudgeInput {
    const RunData *const *candidate; // oldest first; objectives are judged on each run
    size_t candidate_count;
    const RunData *const *baseline; // may be empty: no comparison
    size_t baseline_count;
    Slice baseline_missing; // name of the plan's baseline when nobody pinned it: a warning
    const Slo *slos;        // of OpenSLO files
    size_t slo_count;
    SloOptions slo_options;
    CompareOptions compare_options;
    bool allow_not_proven; // "not proven" passes
} JudgeInput;

Judgement judge(Arena *arena, const JudgeInput *input);

// The code of a status, and of what a run's end says when nothing else is known.
int judge_exit_code(JudgeStatus status);

// ---- null self-test ----

// How often the gate would have said "slower" on runs that are known to be equal: random splits of
// the user's own unchanged runs into a baseline and a candidate.
typedef struct SelfTest {
    size_t splits;
    size_t false_alarms;
    double rate;
    Interval interval; // exact, 95 %; splits of few runs overlap, so it is a little too short
    size_t runs_a_side;
    size_t distinct; // splits there are; small numbers mean that few questions were asked
} SelfTest;

typedef struct SelfTestOptions {
    size_t runs_a_side; // 0: half of the runs, at most 5
    size_t splits;      // 0: 200
    uint64_t seed;
    CompareOptions compare;
} SelfTestOptions;

// ERR_ARG with fewer than twice runs_a_side usable runs.
MUST_USE int judge_self_test(const RunData *const *runs, size_t count,
                             const SelfTestOptions *options, SelfTest *ret, Err *e);

#endif
