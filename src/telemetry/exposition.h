// Exposition: what a collector has counted so far as the text of a /metrics page (Prometheus text
// format 0.0.4), under the names that OpenTelemetry's rules for Prometheus give the table's metrics
// (specification/compatibility/prometheus_and_openmetrics.md): dots become underscores, the unit
// and "_total" are appended where the name does not end with them.
//
//     agent_request_duration_seconds{agent_name="planner",status="success",le="0.1"} 12
//     gen_ai_client_operation_duration_seconds_sum{gen_ai_operation_name="chat"} 3.25
//
// Trends with bounds in the table are histograms, others summaries with p50, p90, p95 and p99.
// Bucket counts come from Hist, so an observation within 0.4 % of a bound may stand on its other
// side; counts and sums are exact.
#ifndef TELEMETRY_EXPOSITION_H
#define TELEMETRY_EXPOSITION_H

#include "telemetry/collector.h"

enum { EXPOSITION_BYTES_MAX = 64 << 20 };

#define EXPOSITION_TYPE SLICE("text/plain; version=0.0.4; charset=utf-8")

// Appends every series of the collector, one family a metric. `prefix` is put before the names of
// metrics that the table does not have and of the load test's ("k6_", say); may be empty.
void exposition_write(Buf *out, const Collector *collector, Slice prefix);

// Appends the family name of a metric.
void exposition_name(Buf *out, Slice metric, MetricKind kind, MetricUnit unit);

// Observations by bucket, not cumulative; the last of bound_count + 1 holds what is above all
// bounds, what never finished included.
void exposition_buckets(const MetricInfo *metric, const Hist *hist,
                        uint64_t ret_counts[METRIC_BOUNDS_MAX + 1]);

// All series, those of one metric together, in alphabetical order; free() the array.
const SeriesInfo **exposition_order(const Collector *collector, size_t *ret_count);

// A value of the metric's unit as the edge shows it: nanoseconds become seconds.
static inline double exposition_value(MetricUnit unit, double value)
{
    return unit == METRIC_UNIT_TIME ? value / 1e9 : value;
}

#endif
