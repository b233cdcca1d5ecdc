// Objectives judged from a run: met, breached or not proven.
//
// "95 % of requests within 500 ms" is a statement about a rate, the share of slow requests, and a
// rate has an exact interval at every sample size. Requests that share a second are not
// independent, so the sample size is the effective one (stat/effective.h). Two one-sided tests at
// level alpha decide: whole interval over the allowed share is a breach, wholly under it is met,
// anything else is not proven, with the number of requests that would settle it.
// docs/internals/slo.md has the method, docs/guide/slo.md what an OpenSLO document maps to.
#ifndef JUDGE_SLO_EVAL_H
#define JUDGE_SLO_EVAL_H

#include "judge/verdict.h"

typedef enum SloOp { SLO_OP_LE, SLO_OP_LT, SLO_OP_GE, SLO_OP_GT } SloOp;

typedef enum SloBudgeting {
    SLO_OCCURRENCES = 0,     // share of good requests
    SLO_TIMESLICES = 1,      // share of good slices of time; a slice is good by its own share
    SLO_RATIO_TIMESLICES = 2 // mean of the slices' shares of good requests
} SloBudgeting;

// One objective. Every event (request, check) is good or bad.
typedef struct Slo {
    Slice name;
    Slice service;
    Slice origin; // "slo.yaml:12"
    Slice metric; // trend: good is "value op threshold"; rate: good is true, or false
    Labels filter;
    SloOp op;
    double threshold; // milliseconds for times
    bool true_is_bad; // rates: http_req_failed
    // Trends of requests: a failed request is bad however fast it failed.
    bool failures_are_bad;
    double target; // share of good events, 0 < target < 1
    int64_t window_ns;
    SloBudgeting budgeting;
    double slice_target; // SLO_TIMESLICES: share that makes a slice good
    int64_t slice_ns;
    bool advisory;
} Slo;

typedef struct SloOptions {
    double alpha;      // of each one-sided test; 0: 0.05
    int64_t warmup_ns; // left out at the start; default none (docs/internals/slo.md says why)
    bool no_defaults;  // with no objective and no threshold anywhere: judge nothing
    double default_availability; // 0: 0.99
    double default_p95_ms;       // 0: 500
} SloOptions;

typedef struct SloVerdicts {
    SloVerdict *items;
    size_t count;
} SloVerdicts;

// `options` may be NULL for the defaults. The verdict's text lives in `arena`.
SloVerdict slo_eval(Arena *arena, const RunData *run, const Slo *slo, const SloOptions *options);

// One threshold of a plan. A text that cannot be read, or a metric the run does not have, is "not
// proven" with the reason.
SloVerdict slo_eval_threshold(Arena *arena, const RunData *run, Slice metric, Labels filter,
                              Slice expression, const SloOptions *options);

// All given objectives and the thresholds stored with the run (run->thresholds). When there are
// neither, the platform's defaults, and *ret_defaulted is true.
SloVerdicts slo_eval_all(Arena *arena, const RunData *run, const Slo *slos, size_t count,
                         const SloOptions *options, bool *ret_defaulted);

#endif
