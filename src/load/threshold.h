// k6's thresholds grammar: "p(95)<500", "rate>=0.99", "count<100", "avg < 1.5e3".
#ifndef LOAD_THRESHOLD_H
#define LOAD_THRESHOLD_H

#include "base/arena.h"
#include "base/err.h"
#include "telemetry/metric.h"
#include "telemetry/point.h"

typedef enum ThresholdAgg {
    AGG_COUNT, // counter
    AGG_RATE,  // counter (per second of the test), rate
    AGG_VALUE, // gauge
    AGG_AVG,   // trend, as the following
    AGG_MIN,
    AGG_MAX,
    AGG_MED,
    AGG_P,
} ThresholdAgg;

typedef enum ThresholdOp { TEST_LE, TEST_LT, TEST_GE, TEST_GT, TEST_EQ, TEST_NE } ThresholdOp;

typedef struct Threshold {
    Slice source; // as written
    MetricKind kind;
    ThresholdAgg agg;
    double percentile; // AGG_P, 0..100
    ThresholdOp op;
    double limit; // milliseconds for times, bytes for sizes: k6's units
} Threshold;

// Parses one expression for a metric of `kind`. ERR_PARSE with the reason (and the aggregations
// that kind allows).
MUST_USE int threshold_parse(Slice text, MetricKind kind, Threshold *ret, Err *e);

// Parses what a threshold is set on: "http_req_duration", or "http_req_duration{name:login, a:b}"
// where every tag must match. Quotes around keys and values are dropped; an empty value matches
// series without the tag. ERR_NOT_FOUND for an unknown metric, with the nearest one; ERR_PARSE.
// Labels are copied.
MUST_USE int threshold_key_parse(Arena *arena, Slice key, MetricId *ret_metric, Labels *ret_filter,
                                 Err *e);

// The value the expression looks at, in k6's units, and whether it holds. `total` is the merge of
// all matching series; `test_ns` the length of the test so far. False when there is no data yet
// (then *ret_ok is true: k6 ignores empty sinks).
bool threshold_eval(const Threshold *t, MetricUnit unit, const Point *total, int64_t test_ns,
                    double *ret_value, bool *ret_ok);

#endif
