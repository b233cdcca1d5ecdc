// The pool's events as metrics of the one table (telemetry/metric.h): mcp.client.operation.duration
// of OpenTelemetry's conventions and the mcp_* series.
//
//     McpMetrics *metrics = mcp_metrics_create(recorder);
//     options.event_fn = mcp_metrics_event;
//     options.event_ctx = metrics;
//     ... at the end of each interval: mcp_metrics_sample(metrics, pool) sets the gauges ...
//     mcp_metrics_destroy(metrics);       // before the recorder
//
// Labels: server_id, tool_name, status ("ok", "error"), error_type (the ERR_* name). A tool's name
// comes from who calls, and the recorder caps the number of series.
#ifndef MCP_METRICS_H
#define MCP_METRICS_H

#include "mcp/pool.h"
#include "telemetry/recorder.h"

typedef struct McpMetrics McpMetrics;

McpMetrics *mcp_metrics_create(Recorder *recorder);
void mcp_metrics_destroy(McpMetrics *metrics); // NULL is fine
void mcp_metrics_event(void *metrics, const McpEvent *event);
void mcp_metrics_sample(McpMetrics *metrics, McpPool *pool);

#endif
