#include "telemetry/metric.h"

#include <assert.h>

#define INFO(name, kind, unit, text, ...)                                                          \
    {                                                                                              \
        SLICE_INIT(name), kind, unit, SLICE_INIT(text), __VA_ARGS__                                \
    }
#define TREND_OF(name, unit, text) INFO(name, METRIC_TREND, unit, text, .otel_unit = UNIT_##unit)
#define TREND(name, text)          TREND_OF(name, METRIC_UNIT_TIME, text)
#define COUNTER(name, unit, text)  INFO(name, METRIC_COUNTER, unit, text, .otel_unit = UNIT_##unit)
#define EVENTS(name, text)         COUNTER(name, METRIC_UNIT_NONE, text)
#define GAUGE(name, text)          GAUGE_OF(name, METRIC_UNIT_NONE, text)
#define GAUGE_OF(name, unit, text) INFO(name, METRIC_GAUGE, unit, text, .otel_unit = UNIT_##unit)
#define RATE(name, text)           INFO(name, METRIC_RATE, METRIC_UNIT_NONE, text, .otel_unit = "1")
#define HISTOGRAM(name, unit, bounds, text)                                                        \
    INFO(name, METRIC_TREND, unit, text, bounds, COUNT_OF(bounds), UNIT_##unit)
#define SECONDS(name, text) HISTOGRAM(name, METRIC_UNIT_TIME, OTEL_SECONDS, text)

#define UNIT_METRIC_UNIT_NONE  "1"
#define UNIT_METRIC_UNIT_TIME  "s"
#define UNIT_METRIC_UNIT_BYTES "By"

// The guide's buckets for requests to agents.
static const double GUIDE_SECONDS[] = {0.1, 0.5, 1, 2, 5, 10};
// What OpenTelemetry's GenAI and MCP conventions advise.
static const double OTEL_SECONDS[] = {0.01, 0.02, 0.04, 0.08,  0.16,  0.32,  0.64,
                                      1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92};
static const double OTEL_TOKENS[] = {1,     4,     16,     64,      256,     1024,     4096,
                                     16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864};
// Inside a process a call takes microseconds.
static const double FAST_SECONDS[] = {1e-6,  4e-6,  16e-6, 64e-6, 256e-6, 0.001, 0.004,
                                      0.016, 0.064, 0.25,  1,     4,      16,    64};
static const double BYTES[] = {256,    1024,    4096,    16384,    65536,
                               262144, 1048576, 4194304, 16777216, 67108864};

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

    [M_AGENT_REQUEST_DURATION] = HISTOGRAM("agent_request_duration_seconds", METRIC_UNIT_TIME,
                                           GUIDE_SECONDS, "Agent request duration in seconds"),
    [M_AGENT_REQUESTS] = EVENTS("agent_requests_total", "Total agent requests"),
    [M_AGENT_ERRORS] = EVENTS("agent_errors_total", "Agent requests that failed, by reason"),
    [M_AGENT_ACTIVE_REQUESTS] = GAUGE("agent_active_requests", "Requests an agent works on"),
    [M_AGENT_QUEUE_WAIT] = HISTOGRAM("agent_queue_wait_seconds", METRIC_UNIT_TIME, FAST_SECONDS,
                                     "From emitting an event to its handler"),
    [M_AGENT_MAILBOX_DEPTH] = GAUGE("agent_mailbox_depth", "Events waiting in a mailbox"),
    [M_AGENT_EVENTS_SHED] = EVENTS("agent_events_shed_total", "Events refused, by reason"),
    [M_AGENT_WORKERS] = GAUGE("agent_workers", "Handlers of an agent that may run at a time"),
    [M_AGENT_CALL_DURATION] = HISTOGRAM("agent_call_duration_seconds", METRIC_UNIT_TIME,
                                        FAST_SECONDS, "Calls from one agent to another"),
    [M_AGENT_RETRIES] = EVENTS("agent_retries_total", "Attempts after the first"),
    [M_AGENT_HEDGES] = EVENTS("agent_hedges_total", "Second attempts beside a slow first"),
    [M_AGENT_CACHE_HITS] = EVENTS("agent_cache_hits_total", "Calls answered by the cache"),
    [M_AGENT_CACHE_MISSES] = EVENTS("agent_cache_misses_total", "Calls the cache did not know"),
    [M_AGENT_BREAKER_STATE] =
        GAUGE("agent_circuit_breaker_state", "Circuit breaker: 0 closed, 1 open, 2 half open"),
    [M_AGENT_BREAKER_TRANSITIONS] =
        EVENTS("agent_circuit_breaker_transitions_total", "Changes of a circuit breaker's state"),
    [M_AGENT_CONCURRENCY_LIMIT] =
        GAUGE("agent_concurrency_limit", "Calls that the concurrency limit allows now"),
    [M_AGENT_CONCURRENCY_IN_FLIGHT] =
        GAUGE("agent_concurrency_in_flight", "Calls that hold a place of the concurrency limit"),
    [M_AGENT_CONCURRENCY_QUEUE_DEPTH] =
        GAUGE("agent_concurrency_queue_depth", "Calls that wait for the concurrency limit"),
    [M_AGENT_ATTEMPT_TIMEOUTS] =
        EVENTS("agent_attempt_timeouts_total", "Attempts given up after timeout.attempt"),
    [M_AGENT_POLICY_RESULTS] =
        EVENTS("agent_policy_results_total", "Calls by how the policies around them ended them"),
    [M_RUNNER_QUEUE_DEPTH] = GAUGE("runner_queue_depth", "Events waiting on a shard"),
    [M_RUNNER_FIBERS] = GAUGE("runner_fibers", "Fibers alive on a shard"),
    [M_RUNNER_LOOP_LAG] = HISTOGRAM("runner_loop_lag_seconds", METRIC_UNIT_TIME, FAST_SECONDS,
                                    "How late a shard's timers fire"),

    [M_GEN_AI_OPERATION_DURATION] =
        SECONDS("gen_ai.client.operation.duration", "GenAI operation duration"),
    [M_GEN_AI_TOKEN_USAGE] = INFO("gen_ai.client.token.usage", METRIC_TREND, METRIC_UNIT_NONE,
                                  "Number of input and output tokens used", OTEL_TOKENS,
                                  COUNT_OF(OTEL_TOKENS), "{token}"),
    [M_GEN_AI_TIME_TO_FIRST_CHUNK] =
        SECONDS("gen_ai.client.operation.time_to_first_chunk",
                "From sending the request to the first chunk of a streamed answer"),
    [M_GEN_AI_TIME_PER_OUTPUT_CHUNK] =
        SECONDS("gen_ai.client.operation.time_per_output_chunk",
                "Between chunks of a streamed answer, after the first"),
    [M_GEN_AI_INVOKE_AGENT_DURATION] =
        SECONDS("gen_ai.invoke_agent.duration", "Duration of one invocation of an agent"),
    [M_GEN_AI_EXECUTE_TOOL_DURATION] =
        SECONDS("gen_ai.execute_tool.duration", "Duration of one execution of a tool"),
    [M_GEN_AI_WORKFLOW_DURATION] =
        SECONDS("gen_ai.workflow.duration", "Duration of one run of a workflow"),

    [M_MCP_CLIENT_OPERATION_DURATION] =
        SECONDS("mcp.client.operation.duration", "MCP request from sending to its answer"),
    [M_MCP_CLIENT_SESSION_DURATION] =
        SECONDS("mcp.client.session.duration", "MCP session as the client sees it"),
    [M_MCP_CONNECTIONS] = EVENTS("mcp_connections_total", "Connections to MCP servers"),
    [M_MCP_CONNECTION_DURATION] =
        SECONDS("mcp_connection_duration_seconds", "Setting up a connection to an MCP server"),
    [M_MCP_CONNECTION_POOL_SIZE] = GAUGE("mcp_connection_pool_size", "Connections in the pool"),
    [M_MCP_CONNECTION_POOL_ACTIVE] =
        GAUGE("mcp_connection_pool_active", "Connections of the pool that are in use"),
    [M_MCP_CONNECTION_ERRORS] =
        EVENTS("mcp_connection_errors_total", "Connections to MCP servers that failed"),
    [M_MCP_TOOL_EXECUTIONS] = EVENTS("mcp_tool_executions_total", "Executions of MCP tools"),
    [M_MCP_TOOL_EXECUTION_DURATION] =
        SECONDS("mcp_tool_execution_duration_seconds", "Execution of an MCP tool"),
    [M_MCP_TOOL_EXECUTION_ERRORS] =
        EVENTS("mcp_tool_execution_errors_total", "Executions of MCP tools that failed"),
    [M_MCP_TOOL_EXECUTION_RETRIES] =
        EVENTS("mcp_tool_execution_retries_total", "Executions of MCP tools tried again"),
    [M_MCP_CACHE_HITS] = EVENTS("mcp_cache_hits_total", "Results found in the tool cache"),
    [M_MCP_CACHE_MISSES] = EVENTS("mcp_cache_misses_total", "Results the tool cache lacked"),
    [M_MCP_CACHE_EVICTIONS] = EVENTS("mcp_cache_evictions_total", "Results the cache dropped"),
    [M_MCP_CACHE_SIZE] = GAUGE("mcp_cache_size_items", "Results in the tool cache"),
    [M_MCP_CACHE_MEMORY] =
        GAUGE_OF("mcp_cache_memory_usage_bytes", METRIC_UNIT_BYTES, "Memory of the tool cache"),
    [M_MCP_BREAKER_STATE] =
        GAUGE("mcp_circuit_breaker_state", "Circuit breaker: 0 closed, 1 open, 2 half open"),
    [M_MCP_BREAKER_TRANSITIONS] =
        EVENTS("mcp_circuit_breaker_transitions_total", "Changes of a circuit breaker's state"),
    [M_MCP_RESPONSE_SIZE] =
        HISTOGRAM("mcp_response_size_bytes", METRIC_UNIT_BYTES, BYTES, "Size of MCP answers"),
    [M_MCP_CONCURRENT_CONNECTIONS] =
        GAUGE("mcp_concurrent_connections", "Connections to MCP servers that are open"),
    [M_MCP_QUEUE_SIZE] = GAUGE("mcp_queue_size", "Calls that wait for an MCP server"),

    [M_TELEMETRY_SPANS_DROPPED] =
        EVENTS("telemetry_spans_dropped_total", "Spans that did not reach the exporter"),
    [M_TELEMETRY_EXPORT_FAILURES] =
        EVENTS("telemetry_export_failures_total", "Batches that could not be exported"),
    [M_PROCESS_MEMORY] =
        GAUGE_OF("process_resident_memory_bytes", METRIC_UNIT_BYTES, "Resident memory"),
    // Nanoseconds; a counter of seconds would have to be a fraction.
    [M_PROCESS_CPU] =
        COUNTER("process_cpu_seconds_total", METRIC_UNIT_TIME, "User and system time spent"),
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
