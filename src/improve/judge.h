// The judge: is this patch faster, and still right? It trusts nothing that the author of the patch
// says, takes every number itself, and gives a verdict with one-sentence reasons.
//
//     JudgeReport *report;
//     rc = judge_patch(&(JudgeOptions){.repository = "/src/zip", .base = SLICE("HEAD"),
//                                      .patch = diff, .steps = &steps, .ledger = ledger},
//                      arena, &report, e);
//     printf("%s %.*s\n", PATCH_VERDICT_NAMES[report->verdict], SLICE_FMT(report->claim));
//
// Stages, cheapest first, each able to end it: hygiene of the patch, clean copies of both sides,
// builds and proof that the patch is in the artifact, tests, output on declared and hidden inputs,
// sanitizers, speed (A, A' and B in random order), layouts where the effect is small, a second
// session, guards, memory and size, critique. docs/internals/judge.md has the rules.
//
// An error return means that no verdict could be made (no sandbox, no repository, a base that does
// not build); what is wrong with the patch is never an error but a finding. Runs in a fiber (steps
// are processes on a loop); samples are taken with the thread held, so that nothing disturbs them.
#ifndef IMPROVE_JUDGE_H
#define IMPROVE_JUDGE_H

#include "improve/preregister.h"
#include "improve/verdict.h"
#include "os/loop.h"
#include "stat/interval.h"

typedef struct Steps Steps;       // improve/steps.h
typedef struct Critique Critique; // improve/critique.h

enum {
    JUDGE_MEASURES_MAX = 64,
    JUDGE_COMMANDS_MAX = 256,
    JUDGE_REPORT_BYTES_MAX = 64 << 20,
};
#define JUDGE_BUDGET_NS (180 * NS_PER_S)

typedef enum JudgeRole {
    JUDGE_CLAIM,    // first session, on the workload that was registered
    JUDGE_SECOND,   // the same again in fresh copies, new seeds
    JUDGE_LAYOUT,   // other code layouts
    JUDGE_GUARD,    // must not get worse
    JUDGE_CRITIQUE, // an attempt to refute
    JUDGE_ROLES,
} JudgeRole;
extern const char *const JUDGE_ROLE_NAMES[JUDGE_ROLES + 1];

typedef enum JudgeOutcome {
    JUDGE_UNDECIDED,
    JUDGE_FASTER,       // by at least the registered effect
    JUDGE_FASTER_SMALL, // faster, by less
    JUDGE_SAME,         // shown to be equal within the margin
    JUDGE_SLOWER,
    JUDGE_CANNOT_TELL, // equal programs differ here by more than the effect asked for
    JUDGE_OUTCOMES,
} JudgeOutcome;
extern const char *const JUDGE_OUTCOME_NAMES[JUDGE_OUTCOMES + 1];

enum { JUDGE_ARM_BASE, JUDGE_ARM_BASE_AGAIN, JUDGE_ARM_PATCHED, JUDGE_ARMS };

typedef struct JudgeSample {
    BenchSample sample;
    int64_t at_ns;  // since the session began
    uint32_t round; // samples of one round had the same input and environment
    uint16_t input; // which of the inputs, from 0
    uint8_t arm;    // JUDGE_ARM_*
    bool warmup;    // not in the estimate
} JudgeSample;

// Two sides compared on one workload. Ratios are patched over base of the metric: below 1 is better
// whatever the metric; speed-up is 1 / ratio.
typedef struct JudgeMeasure {
    Slice workload;
    Slice run;
    JudgeRole role;
    BenchMetric metric;
    JudgeOutcome outcome;
    double ratio; // Hodges-Lehmann
    Interval interval;
    double aa_ratio; // base against itself in the same rounds
    Interval aa_interval;
    uint32_t rounds;
    double more_rounds; // estimate of what would decide; 0: decided, INFINITY: not by measuring
    double other_ratio; // of the metric beside it: CPU time beside wall time; NAN: unknown
    double rss_ratio;
    bool fell_back; // the machine was too busy for wall time; CPU time of the same samples decided
    Slice why;      // what ended it, one sentence
    bool hidden_inputs; // inputs drawn after the patch was fixed
    uint32_t input_count;
    uint64_t env_seed;
    int64_t took_ns;
    const JudgeSample *samples; // all of them, in order
    size_t sample_count;
} JudgeMeasure;

typedef struct JudgeTests {
    bool ran;     // a test step is declared
    bool counted; // the output says how many
    int64_t base_passed, base_failed, base_skipped;
    int64_t patched_passed, patched_failed, patched_skipped;
    int base_exit, patched_exit;
    Slice framework;
} JudgeTests;

typedef struct JudgeCommand { // one step that was run
    Slice what;               // "build base", "test patched"
    Slice run;
    int exit_code; // -1: signal or time-out
    bool timed_out;
    int64_t wall_ns;
    Slice log_tail;
} JudgeCommand;

typedef struct JudgeChecked { // what was looked at, for people: "sanitizers", "not: no C in it"
    Slice what;
    bool done;
    Slice text;
} JudgeChecked;

enum { JUDGE_CHECKS_MAX = 32 };

typedef struct JudgeReport {
    PatchVerdict verdict;
    bool complete; // false: interrupted; the verdict is UNDECIDED and the rest is what there was
    Slice claim;   // one line, numbers measured here: "1.52x faster [1.48, 1.57] on parse (wall)"
    Slice reason;  // one sentence: why this verdict
    Slice decide;  // what would decide, for UNDECIDED; else empty
    double ratio;  // of the headline; NAN without one
    Interval interval;
    Findings findings;
    JudgeMeasure *measures;
    size_t measure_count;
    const Critique *critique; // what was tried to refute it; NULL: nothing was
    JudgeTests tests;
    JudgeCommand *commands;
    size_t command_count;
    JudgeChecked *checks;
    size_t check_count;
    Registration registration;
    unsigned attempts; // k of best-of-k that alpha was divided by
    uint64_t hidden_seed;
    bool sandboxed;
    Slice base_commit, head_commit; // head empty for a patch file
    char patch_sha256[SHA256_HEX + 1];
    char base_artifact_sha256[SHA256_HEX + 1]; // of the built files; empty: nothing is built
    char patched_artifact_sha256[SHA256_HEX + 1];
    int64_t base_artifact_bytes, patched_artifact_bytes;
    bool same_artifact; // the patch did not reach what is run: nothing to measure
    bool reproducible_known, reproducible; // base built twice gave equal files
    Slice environment_json;                // as runs record it
    int64_t started_unix_ns;
    int64_t took_ns;
    int64_t measuring_ns; // in samples
    int64_t building_ns, testing_ns;
    char run_id[PROPOSAL_ID_LEN + 1]; // of the ledger's run that holds all this; empty without
} JudgeReport;

typedef struct JudgeOptions {
    Loop *loop;             // of the fiber that calls
    const char *repository; // a Git repository or a plain directory
    Slice base;             // revision; empty: HEAD
    Slice patch;            // unified diff against base; or
    Slice head;             // a revision: base..head is judged
    const Steps *steps;
    Registration *registration; // NULL: made, and recorded when there is a ledger, before the patch
                                // is looked at
    double min_effect;          // where registration is NULL; 0: the default
    int64_t budget_ns;          // of measuring; 0: JUDGE_BUDGET_NS
    unsigned attempts;          // at this goal so far, this one included; 0: 1
    bool no_sandbox, no_critique, keep_work;
    Slice version;        // of the program, for the record
    const char *path;     // PATH of commands that run without a sandbox; NULL: the system's
    const char *work_dir; // NULL: the user's cache directory
    const uint64_t *seed; // for repeating a judgement; NULL: drawn
    Ledger *ledger;       // NULL: nothing is recorded
    // One line a stage, for people. May be NULL.
    void (*progress_fn)(void *ctx, const char *stage, Slice text);
    // Asked between steps and samples; true ends the judgement with an honest partial report.
    bool (*stop_fn)(void *ctx);
    void *ctx;
} JudgeOptions;

// The report and all it points at live in `arena`. ERR_ARG, ERR_NOT_FOUND, ERR_REFUSED (no sandbox
// to be had; a base that is not the registered one), ERR_UNSUPPORTED (the base does not build here:
// then there is nothing to compare with).
MUST_USE int judge_patch(const JudgeOptions *options, Arena *arena, JudgeReport **ret_report,
                         Err *e);

// One object, version 1, with every raw sample.
void judge_report_write(const JudgeReport *report, JsonWriter *w);
// The same for people: a verdict line, a table of workloads, findings, what was checked.
void judge_report_print(const JudgeReport *report, bool verbose, Buf *out);

// ---- the rules, free of everything that runs: for tests and for who has measures already

typedef struct JudgeRules {
    double min_effect;
    bool second_required; // a PROVEN or SMALL claim must have a second session that agrees
} JudgeRules;
// Sets verdict, ratio, interval, claim, reason and decide from measures, findings and tests.
void judge_decide(JudgeReport *report, const JudgeRules *rules, Arena *arena);

#endif
