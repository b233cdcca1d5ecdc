// The table of metrics: every number a run or a running agent system can record is declared here
// once, and this table drives the ledger, the thresholds, the summaries, the outputs, the reports,
// /metrics and OTLP.
//
// The first part is load tests'. Names and kinds are k6's where k6 has the metric. Three are ours,
// because k6 records none of them:
//   http_req_corrected_duration  response time from the intended start of the iteration (open
//   model) iteration_lateness           actual minus intended start; label "cause" says whose fault
//   generator_lateness           how late the timer loop itself was, whatever the iteration did
// The second part is the agent runtime's: agent_* as AgentFlow's guide names them, gen_ai.* and
// mcp.* of OpenTelemetry's conventions (model/gen-ai/metrics.yaml, model/mcp/metrics.yaml), mcp_*
// as AgenticGoKit has them. Their histograms have bounds for /metrics and OTLP.
//
// Values of METRIC_UNIT_TIME are int64 nanoseconds inside, milliseconds at every k6-shaped edge and
// seconds on /metrics and in OTLP.
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

    M_AGENT_REQUEST_DURATION, // agent_name, status (success, error, or what the runner says)
    M_AGENT_REQUESTS,         // agent_name, status
    M_AGENT_ERRORS,           // agent_name, error_type
    M_AGENT_ACTIVE_REQUESTS,  // agent_name
    M_AGENT_QUEUE_WAIT,       // agent_name
    M_AGENT_MAILBOX_DEPTH,    // agent_name
    M_AGENT_EVENTS_SHED,      // agent_name, edge, reason; without agent_name: before any agent
    M_AGENT_WORKERS,          // agent_name; none where there is no limit
    M_AGENT_CALL_DURATION,    // caller, callee, status: the edges of the service graph
    // Of policies: agent_name is who is called; edge ("from->to") is there for an edge's policies.
    M_AGENT_RETRIES,
    M_AGENT_HEDGES,
    M_AGENT_CACHE_HITS,
    M_AGENT_CACHE_MISSES,
    M_AGENT_BREAKER_STATE,       // 0 closed, 1 open, 2 half open
    M_AGENT_BREAKER_TRANSITIONS, // and state: the one it came to
    M_AGENT_CONCURRENCY_LIMIT,
    M_AGENT_CONCURRENCY_IN_FLIGHT,
    M_AGENT_CONCURRENCY_QUEUE_DEPTH,
    M_AGENT_ATTEMPT_TIMEOUTS,
    M_AGENT_POLICY_RESULTS, // and reason
    M_RUNNER_QUEUE_DEPTH,   // shard
    M_RUNNER_FIBERS,        // shard
    M_RUNNER_LOOP_LAG,      // shard

    M_GEN_AI_OPERATION_DURATION, // gen_ai.operation.name, gen_ai.provider.name,
                                 // gen_ai.request.model
    M_GEN_AI_TOKEN_USAGE,        // and gen_ai.token.type
    M_GEN_AI_TIME_TO_FIRST_CHUNK,
    M_GEN_AI_TIME_PER_OUTPUT_CHUNK,
    M_GEN_AI_INVOKE_AGENT_DURATION, // gen_ai.agent.name
    M_GEN_AI_EXECUTE_TOOL_DURATION, // gen_ai.tool.name
    M_GEN_AI_WORKFLOW_DURATION,     // gen_ai.workflow.name

    M_MCP_CLIENT_OPERATION_DURATION, // mcp.method.name, gen_ai.tool.name, error.type
    M_MCP_CLIENT_SESSION_DURATION,
    M_MCP_CONNECTIONS, // server_id, status
    M_MCP_CONNECTION_DURATION,
    M_MCP_CONNECTION_POOL_SIZE,
    M_MCP_CONNECTION_POOL_ACTIVE,
    M_MCP_CONNECTION_ERRORS, // server_id, error_type
    M_MCP_TOOL_EXECUTIONS,   // server_id, tool_name, status
    M_MCP_TOOL_EXECUTION_DURATION,
    M_MCP_TOOL_EXECUTION_ERRORS,
    M_MCP_TOOL_EXECUTION_RETRIES,
    M_MCP_CACHE_HITS, // cache_type, tool_name
    M_MCP_CACHE_MISSES,
    M_MCP_CACHE_EVICTIONS,
    M_MCP_CACHE_SIZE,
    M_MCP_CACHE_MEMORY,
    M_MCP_BREAKER_STATE, // server_id
    M_MCP_BREAKER_TRANSITIONS,
    M_MCP_RESPONSE_SIZE,
    M_MCP_CONCURRENT_CONNECTIONS,
    M_MCP_QUEUE_SIZE,

    M_TELEMETRY_SPANS_DROPPED,   // reason
    M_TELEMETRY_EXPORT_FAILURES, // signal
    M_PROCESS_MEMORY,
    M_PROCESS_CPU,
    METRIC_COUNT,
} MetricId;

typedef struct MetricInfo {
    Slice name;
    MetricKind kind;
    MetricUnit unit;
    Slice help; // one sentence, for --help, Prometheus HELP and the reports
    // Upper bounds of the histogram's buckets on /metrics and in OTLP, in seconds, bytes or plain
    // numbers; NULL for the load test's metrics, which have none.
    const double *bounds;
    size_t bound_count;
    const char *otel_unit; // UCUM, as OpenTelemetry wants it; never NULL
} MetricInfo;

const MetricInfo *metric_info(MetricId id);

enum { METRIC_BOUNDS_MAX = 16 };

// True and *ret_id when `name` is in the table.
bool metric_by_name(Slice name, MetricId *ret_id);

// "counter", "gauge", "rate", "trend".
Slice metric_kind_name(MetricKind kind);

#endif
