#include "telemetry/metric.h"

#include <assert.h>

#define TREND(name, text)                                                                          \
    {                                                                                              \
        SLICE_INIT(name), METRIC_TREND, METRIC_UNIT_TIME, SLICE_INIT(text)                         \
    }
#define COUNTER(name, unit, text)                                                                  \
    {                                                                                              \
        SLICE_INIT(name), METRIC_COUNTER, unit, SLICE_INIT(text)                                   \
    }
#define GAUGE(name, text)                                                                          \
    {                                                                                              \
        SLICE_INIT(name), METRIC_GAUGE, METRIC_UNIT_NONE, SLICE_INIT(text)                         \
    }
#define RATE(name, text)                                                                           \
    {                                                                                              \
        SLICE_INIT(name), METRIC_RATE, METRIC_UNIT_NONE, SLICE_INIT(text)                          \
    }

static const MetricInfo METRICS[] = {
    [M_HTTP_REQS] = COUNTER("http_reqs", METRIC_UNIT_NONE, "HTTP requests sent"),
    [M_HTTP_REQ_FAILED] = RATE("http_req_failed", "Share of requests with an unexpected answer"),
    [M_HTTP_REQ_DURATION] =
        TREND("http_req_duration", "Sending, waiting and receiving, without connection set-up"),
    [M_HTTP_REQ_CORRECTED_DURATION] =
        TREND("http_req_corrected_duration", "From the intended start to the last byte"),
    [M_HTTP_REQ_BLOCKED] = TREND("http_req_blocked", "Waiting for a free connection"),
    [M_HTTP_REQ_CONNECTING] = TREND("http_req_connecting", "TCP connection set-up"),
    [M_HTTP_REQ_TLS_HANDSHAKING] = TREND("http_req_tls_handshaking", "TLS handshake"),
    [M_HTTP_REQ_SENDING] = TREND("http_req_sending", "Writing the request"),
    [M_HTTP_REQ_WAITING] = TREND("http_req_waiting", "From the last byte sent to the first back"),
    [M_HTTP_REQ_RECEIVING] = TREND("http_req_receiving", "From the first byte back to the last"),
    [M_ITERATIONS] = COUNTER("iterations", METRIC_UNIT_NONE, "Iterations completed"),
    [M_ITERATION_DURATION] =
        TREND("iteration_duration", "One whole iteration, think time included"),
    [M_ITERATION_LATENESS] =
        TREND("iteration_lateness", "Actual minus intended start of an iteration"),
    [M_DROPPED_ITERATIONS] =
        COUNTER("dropped_iterations", METRIC_UNIT_NONE, "Iterations that could not be started"),
    [M_GENERATOR_LATENESS] =
        TREND("generator_lateness", "How late the generator's timer fired, whatever followed"),
    [M_VUS] = GAUGE("vus", "Virtual users at work"),
    [M_VUS_MAX] = GAUGE("vus_max", "Virtual users initialised"),
    [M_CHECKS] = RATE("checks", "Share of checks that passed"),
    [M_GROUP_DURATION] = TREND("group_duration", "One pass through a group of steps"),
    [M_DATA_SENT] = COUNTER("data_sent", METRIC_UNIT_BYTES, "Bytes sent"),
    [M_DATA_RECEIVED] = COUNTER("data_received", METRIC_UNIT_BYTES, "Bytes received"),
};

_Static_assert(COUNT_OF(METRICS) == METRIC_COUNT, "every metric is declared");

const MetricInfo *metric_info(MetricId id)
{
    assert(id < METRIC_COUNT);
    return &METRICS[id];
}

bool metric_by_name(Slice name, MetricId *ret_id)
{
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        if (slice_eq(METRICS[i].name, name)) {
            *ret_id = (MetricId)i;
            return true;
        }
    }
    return false;
}

Slice metric_kind_name(MetricKind kind)
{
    switch (kind) {
    case METRIC_COUNTER: return SLICE("counter");
    case METRIC_GAUGE: return SLICE("gauge");
    case METRIC_RATE: return SLICE("rate");
    case METRIC_TREND: return SLICE("trend");
    }
    return SLICE("unknown");
}
