// What every report shows, prepared once from a run and what was judged about it. The renderers
// (terminal, Markdown, HTML, JSON, JUnit, summary export) only lay it out.
//
//     ReportModel m;
//     report_model_init(&m, &(ReportInput){.run = run, .judgement = judgement}, arena);
//     Buf out = buf_create(REPORT_HTML_MAX);
//     rc = report_html(&m, &out, e);
//     report_model_done(&m);
//
// Every number comes from the RunData or the Judgement: recorded, merged (histograms are added,
// percentiles never averaged) or divided by a recorded time. What was not recorded is NaN and is
// printed as not measured. The model borrows the run, the judgement and the arena.
//
// Labels that are read: "name" (endpoint), "status", "error_code", "error" (words for it), "check"
// and "cause". Of the health document: "samples", an object of arrays with one number an interval
// ("cpu", "steal": 0..1); everything else in it is shown as it stands.
#ifndef REPORT_MODEL_H
#define REPORT_MODEL_H

#include "judge/verdict.h"
#include "ledger/run.h"

enum {
    REPORT_STEPS_MAX = 240,       // points of a line over time; longer runs merge intervals
    REPORT_HEAT_COLUMNS_MAX = 80, //
    REPORT_HEAT_ROWS_MAX = 28,    //
    REPORT_KINDS_MAX = 6,         // kinds of error with a line of their own; the last is the rest
    REPORT_SPARK_STEPS = 40,      // points of an endpoint's small line
    REPORT_PEERS_MAX = 64,        // further runs that are listed
    REPORT_FACTS_MAX = 256,       // rows of one of the documents
};

// Milliseconds; NaN without a value. Failed requests count as k6 counts them: with the time they
// took.
typedef struct ReportLatency {
    uint64_t count;
    double mean, min, p50, p90, p95, p99, p999, max;
} ReportLatency;

// One step of the time axis. Rates are a second; NaN is not measured.
typedef struct ReportStep {
    double at_s;     // start, seconds into the run
    double offered;  // iterations that were due: started and dropped (open model)
    double achieved; // iterations that were completed
    double requests; //
    double dropped;  // iterations that could not be started
    double vus;
    ReportLatency latency;   // http_req_duration
    ReportLatency corrected; // from the intended start
    double failed;           // requests a second
    double errors[REPORT_KINDS_MAX];
    double lateness_p99_ms; // of the generator's timer
    double cpu, steal;      // 0..1
} ReportStep;

typedef struct ReportEndpoint {
    Slice name;              // empty label: "(unnamed)"
    double requests;         // NaN: not measured
    double per_second;       //
    double failed;           // requests
    double failed_share;     // 0..1
    ReportLatency latency;   //
    ReportLatency corrected; //
    const double *spark;     // p95 in ms over time, REPORT_SPARK_STEPS values
} ReportEndpoint;

typedef struct ReportErrorKind {
    Slice name; // "HTTP 503", "1211: dial timeout", "other kinds"
    double count;
    double share;        // of all requests
    double first_seen_s; // start of the interval it was first seen in
} ReportErrorKind;

typedef struct ReportCheck {
    Slice name;
    Slice endpoint;
    int64_t passes, fails;
} ReportCheck;

typedef struct ReportThreshold {
    Slice metric; // with its labels: "http_req_duration{name:login}"
    Slice metric_name;
    Labels labels;
    Slice expression;
    double value;   // in k6's units; NaN: no data
    bool has_value; //
    bool ok;
} ReportThreshold;

typedef struct ReportFact {
    Slice name;  // "host.cpu_model"
    Slice value; // as written
} ReportFact;

typedef struct ReportFacts {
    const ReportFact *items;
    size_t count;
    bool cut; // there were more than REPORT_FACTS_MAX
} ReportFacts;

typedef enum ReportTone { TONE_NEUTRAL, TONE_GOOD, TONE_WARN, TONE_BAD } ReportTone;

// A sentence that changes how everything below it must be read, in every format, first.
typedef struct ReportNotice {
    ReportTone tone;
    Slice title; // "Partial result"
    Slice text;
} ReportNotice;

typedef struct ReportHeat {
    size_t columns, rows;
    double column_s;          // seconds a column
    const double *row_bounds; // rows + 1 latencies in ms, rising, equal steps of the logarithm
    const uint64_t *counts;   // columns x rows
    uint64_t max;
} ReportHeat;

typedef struct ReportTotals {
    double requests, request_rate, failed, failed_share;
    double iterations, iteration_rate;
    double offered, offered_rate; // iterations due; NaN in a closed model
    double dropped;
    double checks_passed, checks_total;
    double data_sent, data_received;
    double vus_max;
    ReportLatency latency, corrected, iteration;
    ReportLatency lateness;  // of iterations
    ReportLatency generator; // of the timer loop
} ReportTotals;

typedef struct ReportPeer {
    const RunData *run;
    bool baseline;
} ReportPeer;

typedef struct ReportInput {
    const RunData *run;
    const Judgement *judgement; // NULL: nothing was judged
    const ReportPeer *peers;    // the other runs that the judgement rests on
    size_t peer_count;
    Slice program_version;
    Slice command;     // that repeats the run; empty: not known
    Slice ledger_head; // hex; empty: not asked
} ReportInput;

typedef struct ReportModel {
    ReportInput in;
    Arena *arena;
    ReportTone tone;
    Slice verdict;  // "pass", "no verdict", ...
    Slice headline; // one sentence
    bool judged;    // the judgement's verdicts may be shown
    bool invalid;   // nothing may be said to hold or to be crossed
    ReportNotice *notices;
    size_t notice_count;
    double duration_s; // NaN: not measured
    double step_s;
    ReportStep *steps;
    size_t step_count;
    ReportTotals totals;
    ReportEndpoint *endpoints; // by time spent, the largest first
    size_t endpoint_count;
    ReportErrorKind kinds[REPORT_KINDS_MAX];
    size_t kind_count;
    ReportCheck *checks;
    size_t check_count;
    ReportThreshold *thresholds;
    size_t threshold_count;
    ReportFacts health, environment, summary;
    ReportHeat heat;
    Hist duration;  // all of http_req_duration
    Hist corrected; // all of http_req_corrected_duration
} ReportModel;

// Always succeeds: a run without points gives a model without steps.
void report_model_init(ReportModel *m, const ReportInput *input, Arena *arena);
void report_model_done(ReportModel *m); // frees the histograms

// Latencies of a histogram of nanoseconds, in ms.
ReportLatency report_latency(const Hist *hist);

// The judgement's rows, none where no verdict was given.
size_t report_slo_count(const ReportModel *m);
size_t report_change_count(const ReportModel *m);
ReportTone report_slo_tone(const SloVerdict *slo);
ReportTone report_change_tone(const ChangeVerdict *change);
// "holds", "crossed", "no data", or "not judged" where the run is invalid.
Slice report_threshold_words(const ReportModel *m, const ReportThreshold *threshold);
ReportTone report_threshold_tone(const ReportModel *m, const ReportThreshold *threshold);

#endif
