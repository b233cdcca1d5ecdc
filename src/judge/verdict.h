// Verdicts: what a judgement says, as values that the reports, the gate and the command line
// render.
//
// Nothing here computes. slo_eval.h makes SloVerdicts, compare.h makes ChangeVerdicts, judge.h puts
// them together into one Judgement with an exit code. All text is borrowed from the arena that the
// judgement was made in. Shares and rates are 0..1, times are in the unit that `unit` names; NaN
// means "there is no such number" and is printed as a dash, never as 0.
#ifndef JUDGE_VERDICT_H
#define JUDGE_VERDICT_H

#include "ledger/run.h"
#include "stat/interval.h"

// ---- objectives ----

typedef enum SloValue {
    SLO_MET = 1,        // the whole interval is on the right side
    SLO_BREACHED = 2,   // the whole interval is on the wrong side
    SLO_NOT_PROVEN = 3, // neither: `needed` says how much more would settle it
} SloValue;

// Burn rate: bad share over allowed share. 1 uses up the budget exactly at the end of the window.
typedef struct SloBudget {
    double allowed;  // share of requests that may be bad: 1 - target; NaN where there is no budget
    double consumed; // share of the run's own budget that was used: 1 is all of it
    double burn_rate;
    // Hours until the budget of a whole window is gone at this rate; NaN without a window,
    // INFINITY when nothing burns.
    double exhausted_after_h;
    // The SRE workbook's four alerts (factors 14.4, 6, 3, 1 over 1 h, 6 h, 1 d, 3 d of a 30-day
    // window): which of them a service that went on like this would raise. Information only.
    bool alerts[4];
} SloBudget;

extern const double slo_alert_factors[4]; // 14.4, 6, 3, 1
extern const Slice slo_alert_names[4];    // "page: 2 % of the budget in 1 h", ...

// What more would probably settle a verdict that is not proven. 0: not known or not by testing.
typedef struct Needed {
    uint64_t requests; // in all, at the design effect this run had
    double minutes;    // of the same load, in all
    uint64_t runs;     // a side, for comparisons
} Needed;

typedef struct SloVerdict {
    Slice name;        // "checkout-latency", or the threshold as written
    Slice service;     // OpenSLO spec.service; may be empty
    Slice endpoint;    // label "name" it is about; empty: all requests
    Slice metric;      // "http_req_duration"
    Slice indicator;   // the statement judged: "95 % of http_req_duration{name:login} <= 500 ms"
    Slice origin;      // "slo.yaml:12", "plan thresholds", "platform default"
    double target;     // share that must be good, 0..1; NaN for statements without one (avg, count)
    double threshold;  // limit of one request's value, in `unit`; NaN for availability
    Slice unit;        // of threshold and observed: "ms", "bytes", "/s", "" (a share or a count)
    int64_t window_ns; // the objective's time window; 0: none
    SloValue value;

    // The test: a share of bad requests against the share allowed, or (avg, count, ...) the
    // statistic against its limit. `estimate`, `interval` and `limit` are in the same unit.
    bool is_share;
    double estimate;
    Interval interval;
    double limit;
    double p_breached; // one-sided p-value of "not worse than the limit": small proves a breach
    double p_met;      // of "not better than the limit": small proves compliance
    Slice method;      // "binomial, 812 effective of 12000 requests, 10 blocks"
    // The same in people's unit where it differs: p95 = 483 ms [471, 497] of a share of slow
    // requests.
    double observed;
    Interval observed_interval;

    uint64_t n; // requests (or slices of time) looked at
    double n_effective;
    Needed needed;
    SloBudget budget;
    Slice reason;  // one sentence for people
    bool advisory; // of no consequence for the exit code unless breached: a platform default
} SloVerdict;

// ---- comparisons ----

typedef enum ChangeValue {
    CHANGE_FASTER = 1,              // better: less time, fewer errors, more throughput
    CHANGE_SLOWER = 2,              // worse
    CHANGE_NO_DIFFERENCE_SHOWN = 3, // `equivalent` says whether sameness was shown
    CHANGE_NOT_COMPARABLE = 4,      // `reason` says why
} ChangeValue;

typedef enum ChangeMeasure {
    MEASURE_P50, // decides, as p95 does
    MEASURE_P95,
    MEASURE_P99,
    MEASURE_MEAN,
    MEASURE_ERROR_RATE,
    MEASURE_THROUGHPUT,
    MEASURE_COUNT,
} ChangeMeasure;

typedef struct ChangeVerdict {
    Slice endpoint; // label "name"; empty: all requests of the test
    Slice metric;   // "http_req_duration", or "http_req_corrected_duration" in an open model
    ChangeMeasure measure;
    Slice unit;       // "ms", "/s", ""
    double baseline;  // geometric mean over the runs (error rate: mean)
    double candidate; //
    double ratio;     // candidate / baseline; NaN for error rates
    double difference;
    Interval interval; // of the ratio; of the difference for error rates
    double p;          // one-sided, in the direction of the estimate; NaN: nothing was tested
    double p_adjusted; // Benjamini and Hochberg over all that decides; NaN for informative measures
    Slice method;      // "Welch on logarithms, 3 against 3 runs"
    bool single_run;   // one run on a side: the words "single run" belong beside the numbers
    bool decides;      // counts for the gate: p50, p95 of an endpoint (and errors that exploded)
    ChangeValue value;
    bool equivalent; // shown to be equal within `margin` (two one-sided tests)
    double margin;   // smallest change that counts, as a share: 0.05
    double share;    // of the total change in time spent that this endpoint carries; NaN: no change
    Needed needed;   // runs a side that would find a change of `margin`
    Slice reason;
} ChangeVerdict;

// ---- the whole ----

typedef enum JudgeStatus {
    JUDGE_PASS = 0,
    JUDGE_SLO_BREACHED = 1, // an objective or a threshold
    JUDGE_REGRESSION = 2,
    JUDGE_PARTIAL = 3,    // the run ended early; what ran breaches nothing
    JUDGE_INVALID = 4,    // the generator was the bottleneck: no verdict
    JUDGE_NOT_PROVEN = 5, // too few requests or runs
    JUDGE_ERROR = 6,      // nothing to judge: no run, no request
} JudgeStatus;

typedef struct Judgement {
    JudgeStatus status;
    int exit_code;        // docs/guide/exit-codes.md
    Slice summary;        // one sentence
    Slice invalid_reason; // why no verdict was given; empty otherwise
    const RunData *run;   // the newest valid candidate; NULL when there is none
    SloVerdict *slos;
    size_t slo_count;
    ChangeVerdict *changes; // grouped by endpoint, "all requests" last, measures in enum order
    size_t change_count;
    size_t baseline_runs; // that were used
    size_t candidate_runs;
    Slice culprit; // endpoint that carries most of the change; empty: none
    double culprit_share;
    const ChangeVerdict *culprit_change; // its p95 row; NULL: none
    const Slice *warnings;
    size_t warning_count;
} Judgement;

// Lower-case words for machines and people: "met", "breached", "not proven".
Slice slo_value_name(SloValue value);
// "faster", "slower", "no difference shown", "not comparable".
Slice change_value_name(ChangeValue value);
// As the row should say it: "more errors" instead of "slower" for error rates, "less throughput",
// "equivalent within 5 %" where that was shown (text in `arena`).
Slice change_words(Arena *arena, const ChangeVerdict *change);
Slice change_measure_name(ChangeMeasure measure); // "p50", "p95", "p99", "mean", "error rate", ...
Slice judge_status_name(JudgeStatus status);      // "pass", "slo breached", "regression", ...

#endif
