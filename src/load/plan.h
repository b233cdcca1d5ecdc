// The plan: what a load test does, compiled from YAML or JSON (docs/guide/plan.md) into immutable
// structs that every thread of the engine reads. Field names of scenarios and thresholds are k6's.
//
// Reading and checking is plan_parse.h's work, running it executor.h's. All text is borrowed from
// the arena that plan_parse() was given; durations are nanoseconds.
#ifndef LOAD_PLAN_H
#define LOAD_PLAN_H

#include "base/doc.h"
#include "load/template.h"
#include "load/threshold.h"
#include "telemetry/point.h"

// Defaults are k6's (v2.2) where k6 has the field.
#define PLAN_GRACEFUL_STOP_NS      (30 * INT64_C(1000000000))
#define PLAN_GRACEFUL_RAMP_DOWN_NS (30 * INT64_C(1000000000))
#define PLAN_MAX_DURATION_NS       (600 * INT64_C(1000000000))
#define PLAN_REQUEST_TIMEOUT_NS    (60 * INT64_C(1000000000))

enum {
    PLAN_SCENARIOS_MAX = 64,
    PLAN_REQUESTS_MAX = 1024,
    PLAN_STEPS_MAX = 4096, // all scenarios together
    PLAN_STAGES_MAX = 1024,
    PLAN_FEEDS_MAX = 64,
    PLAN_THRESHOLDS_MAX = 1024,
    PLAN_VARIABLES_MAX = 256,
    PLAN_MAX_REDIRECTS = 10,
};

typedef enum ExecutorKind {
    EXECUTOR_SHARED_ITERATIONS,
    EXECUTOR_PER_VU_ITERATIONS,
    EXECUTOR_CONSTANT_VUS,
    EXECUTOR_RAMPING_VUS,
    EXECUTOR_CONSTANT_ARRIVAL_RATE,
    EXECUTOR_RAMPING_ARRIVAL_RATE,
} ExecutorKind;

typedef struct PlanStage {
    int64_t duration_ns;
    int64_t target; // VUs, or iterations per timeUnit
} PlanStage;

// A value: target compared with an operator. Which fields count depends on `kind`.
typedef enum CheckKind {
    CHECK_STATUS,        // one of `ranges`
    CHECK_HEADER,        // `key` names the header
    CHECK_BODY,          // the whole decoded body
    CHECK_JSON,          // `key` is a gjson path into the body
    CHECK_DURATION_BELOW // http_req_duration < `limit_ns`
} CheckKind;

typedef enum CheckOp {
    OP_EXISTS,
    OP_EQUALS,
    OP_CONTAINS,
    OP_STARTS_WITH,
    OP_ABOVE,
    OP_BELOW
} CheckOp;

typedef struct StatusRange {
    int min, max; // inclusive
} StatusRange;

typedef struct PlanCheck {
    Slice name; // shown in reports; made from the rule when the plan gives none
    CheckKind kind;
    CheckOp op;
    bool negate;
    Slice key;
    Slice text; // OP_EQUALS, OP_CONTAINS, OP_STARTS_WITH: compared as text; JSON scalars as written
    double number; // OP_ABOVE, OP_BELOW
    const StatusRange *ranges;
    size_t range_count;
    int64_t limit_ns;
} PlanCheck;

typedef enum ExtractFrom { EXTRACT_JSON, EXTRACT_HEADER, EXTRACT_BODY_BETWEEN } ExtractFrom;

// Takes a value out of an answer into a variable of this VU, for later requests.
typedef struct PlanExtract {
    uint32_t variable; // slot in the VU's variables
    ExtractFrom from;
    Slice key; // path, header name, or the text before
    Slice end; // EXTRACT_BODY_BETWEEN: the text behind
    bool has_default;
    Slice fallback; // when there is nothing to take; without it the iteration's rest is skipped
} PlanExtract;

typedef struct PlanHeader {
    Slice name;
    Template value;
} PlanHeader;

typedef struct PlanRequest {
    Slice name;   // label "name": the endpoint of every verdict
    Slice method; // upper case
    Template url; // absolute after the target's baseUrl was put before it
    const PlanHeader *headers;
    size_t header_count;
    bool has_body;
    Template body;      // of `body`, `json` or `bodyFile` (`${...}` only where `template: true`)
    int64_t timeout_ns; // whole request, redirects included
    int max_redirects;
    bool writes;                 // method may change data: needs data: isolated
    bool needs_body;             // some check or extract looks at the answer's body
    Labels labels;               // tags of the request
    const StatusRange *expected; // http_req_failed looks at these; default 200-399
    size_t expected_count;
    const PlanCheck *checks;
    size_t check_count;
    const PlanExtract *extracts;
    size_t extract_count;
    uint32_t index; // in Plan.requests
} PlanRequest;

typedef enum ThinkKind {
    THINK_CONSTANT,
    THINK_UNIFORM,
    THINK_EXPONENTIAL,
    THINK_NORMAL,
    THINK_LOGNORMAL
} ThinkKind;

typedef struct PlanThink {
    ThinkKind kind;
    int64_t a_ns; // constant: value; uniform: min; others: mean
    int64_t b_ns; // uniform: max; normal, lognormal: standard deviation
} PlanThink;

typedef enum StepKind { STEP_REQUEST, STEP_THINK, STEP_CHOOSE, STEP_GROUP } StepKind;

typedef struct PlanStep PlanStep;
struct PlanStep {
    StepKind kind;
    const PlanRequest *request; // STEP_REQUEST
    PlanThink think;            // STEP_THINK
    Slice group;           // STEP_GROUP: k6's "::outer::inner" path; empty: no group of its own
    const PlanStep *steps; // STEP_GROUP: all, in order; STEP_CHOOSE: one, by weight
    size_t step_count;
    double weight; // of this step inside a STEP_CHOOSE; default 1
};

typedef struct PlanScenario {
    Slice name;
    ExecutorKind executor;
    int64_t start_time_ns;
    int64_t graceful_stop_ns;
    int64_t vus;             // *-iterations, constant-vus
    int64_t iterations;      // *-iterations
    int64_t max_duration_ns; // *-iterations
    int64_t duration_ns;     // constant-*; ramping-*: sum of the stages
    int64_t start_vus;       // ramping-vus
    int64_t graceful_ramp_down_ns;
    int64_t rate;       // constant-arrival-rate: per time_unit
    int64_t start_rate; // ramping-arrival-rate
    int64_t time_unit_ns;
    int64_t pre_allocated_vus;
    int64_t max_vus; // highest VU count of whatever executor
    bool poisson;    // arrivals: exponential gaps instead of even ones (ours, not k6's)
    const PlanStage *stages;
    size_t stage_count;
    Labels labels; // tags
    const PlanStep *steps;
    size_t step_count;
    uint32_t index;
} PlanScenario;

typedef enum FeedOrder { FEED_SEQUENTIAL, FEED_RANDOM, FEED_SHUFFLE } FeedOrder;
typedef enum FeedEnd { FEED_WRAP, FEED_STOP } FeedEnd; // STOP ends the scenario when rows run out
typedef enum FeedScope { FEED_PER_TEST, FEED_PER_VU } FeedScope;

// Rows of a CSV or JSON file. Every iteration takes one row of every feed its scenario mentions,
// which row is a function of (seed, feed, iteration number) and so the same in every equal run.
typedef struct PlanFeed {
    Slice name;
    Slice file;
    FeedOrder order;
    FeedEnd at_end;
    FeedScope scope;
    const Slice *columns;
    size_t column_count;
    const Slice *cells; // row_count x column_count, row-major
    size_t row_count;
} PlanFeed;

typedef enum EnvironmentKind {
    ENVIRONMENT_DEVELOPMENT,
    ENVIRONMENT_TEST,
    ENVIRONMENT_PERFORMANCE,
    ENVIRONMENT_STAGING,
    ENVIRONMENT_PRODUCTION, // always refused
} EnvironmentKind;

typedef struct PlanTls {
    bool insecure_skip_verify;
    Slice ca_file;
    Slice cert_file; // client certificate and key, PEM
    Slice key_file;
    Slice min_version; // "1.2", "1.3"
    Slice max_version;
} PlanTls;

typedef struct PlanEnvironment {
    Slice name;
    EnvironmentKind kind;
    Slice base_url;
    const Slice *hosts; // further hosts requests may go to; "*.example.test" allowed
    size_t host_count;
    bool data_isolated; // data: isolated
    PlanTls tls;
    bool http2;                 // offer h2 by ALPN (https); default true
    bool http2_prior_knowledge; // h2c without upgrade (http)
} PlanEnvironment;

typedef struct PlanThreshold {
    Slice key; // as written: "http_req_duration{name:login}"
    MetricId metric;
    Labels filter;
    Threshold test; // parsed expression
    bool abort_on_fail;
    int64_t delay_abort_eval_ns;
    int line, column;
} PlanThreshold;

typedef struct PlanBudget {
    int64_t requests; // 0: none
    int64_t bytes;    // sent and received; 0: none
    double money;     // 0: none
    Slice currency;
    double price_per_vu_hour;
    double price_per_request;
} PlanBudget;

typedef struct Plan {
    Slice name;
    Slice source; // file name, or "command line"
    uint64_t seed;
    const PlanEnvironment *environments;
    size_t environment_count;
    const PlanEnvironment *environment; // the chosen one
    const Slice *variable_names;        // slots: plan variables first, then extracted ones
    const Slice *variable_values;       // start values; empty for extracted ones
    size_t variable_count;
    const PlanFeed *feeds;
    size_t feed_count;
    const PlanRequest *requests;
    size_t request_count;
    const PlanScenario *scenarios;
    size_t scenario_count;
    const PlanRequest *const *setup; // once, before the scenarios; extracted values go to all VUs
    size_t setup_count;
    const PlanRequest *const *teardown; // once, after; also after an abort
    size_t teardown_count;
    const PlanThreshold *thresholds;
    size_t threshold_count;
    const Slice *slo_files; // OpenSLO v1 documents, paths relative to the plan resolved
    size_t slo_file_count;
    PlanBudget budget;
    Slice baseline;      // name of a pinned baseline; may be empty
    Labels labels;       // tags on every series
    bool discard_bodies; // count but never keep bodies no check needs; default true
    bool no_connection_reuse;
    Slice user_agent;
    Slice run_header;     // name of the run-id header; default "X-Perfwright-Run"
    Slice canonical_json; // of the document, for the ledger and its hash
} Plan;

// Highest number of VUs the scenarios can have at one moment, and the planned length with and
// without graceful stops: what guard ceilings and time-left displays look at.
int64_t plan_vus_max(const Plan *plan);
int64_t plan_duration_ns(const Plan *plan);
int64_t plan_duration_with_stops_ns(const Plan *plan);

Slice executor_name(ExecutorKind kind); // "constant-vus", ...
Slice environment_kind_name(EnvironmentKind kind);

#endif
