// The table of metrics: every number a run can record is declared here once, and this table drives
// the ledger, the thresholds, the summaries, the outputs and the reports.
//
// Names and kinds are k6's where k6 has the metric. Three are ours, because k6 records none of
// them:
//   http_req_corrected_duration  response time from the intended start of the iteration (open
//   model) iteration_lateness           actual minus intended start; label "cause" says whose fault
//   generator_lateness           how late the timer loop itself was, whatever the iteration did
// Values of METRIC_UNIT_TIME are int64 nanoseconds inside and milliseconds at every k6-shaped edge.
#ifndef TELEMETRY_METRIC_H
#define TELEMETRY_METRIC_H

#include "base/slice.h"

typedef enum MetricKind {
    METRIC_COUNTER = 1, // sum of what was added
    METRIC_GAUGE = 2,   // last, smallest and largest value
    METRIC_RATE = 3,    // how many of the observations were true
    METRIC_TREND = 4,   // a histogram
} MetricKind;

typedef enum MetricUnit {
    METRIC_UNIT_NONE = 0,
    METRIC_UNIT_TIME = 1,  // nanoseconds
    METRIC_UNIT_BYTES = 2, //
} MetricUnit;

typedef enum MetricId {
    M_HTTP_REQS,
    M_HTTP_REQ_FAILED,
    M_HTTP_REQ_DURATION,
    M_HTTP_REQ_CORRECTED_DURATION,
    M_HTTP_REQ_BLOCKED,
    M_HTTP_REQ_CONNECTING,
    M_HTTP_REQ_TLS_HANDSHAKING,
    M_HTTP_REQ_SENDING,
    M_HTTP_REQ_WAITING,
    M_HTTP_REQ_RECEIVING,
    M_ITERATIONS,
    M_ITERATION_DURATION,
    M_ITERATION_LATENESS,
    M_DROPPED_ITERATIONS,
    M_GENERATOR_LATENESS,
    M_VUS,
    M_VUS_MAX,
    M_CHECKS,
    M_GROUP_DURATION,
    M_DATA_SENT,
    M_DATA_RECEIVED,
    METRIC_COUNT,
} MetricId;

typedef struct MetricInfo {
    Slice name;
    MetricKind kind;
    MetricUnit unit;
    Slice help; // one sentence, for --help, Prometheus HELP and the reports
} MetricInfo;

const MetricInfo *metric_info(MetricId id);

// True and *ret_id when `name` is in the table.
bool metric_by_name(Slice name, MetricId *ret_id);

// "counter", "gauge", "rate", "trend".
Slice metric_kind_name(MetricKind kind);

#endif
