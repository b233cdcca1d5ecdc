// AgentWatch: the monitor of an assembly. What the runner counts becomes the guide's metrics on
// /metrics and its fibers the profile on /debug/pprof/goroutine; calls to models become
// OpenTelemetry's gen_ai.* metrics, those to MCP servers its mcp.* ones. Spans go to otlp_endpoint.
#ifndef AGENT_AGENT_WATCH_H
#define AGENT_AGENT_WATCH_H

#include "agent/config.h"
#include "agent/llm_agent.h"
#include "agent/mcp_host.h"
#include "agent/runner.h"

typedef struct AgentWatch AgentWatch;

// Before the runner starts. NULL where the configuration wants neither metrics nor profiles nor an
// export; all functions below take NULL. `llm` and `spans` may be NULL.
MUST_USE int agent_watch_create(const ConfigMonitoring *config, Runner *runner, LlmHost *llm,
                                SpanQueue *spans, AgentWatch **ret_watch, Err *e);
// Before agent_watch_start; NULL is fine. The host is closed after agent_watch_stop.
MUST_USE int agent_watch_servers(AgentWatch *watch, McpHost *mcp, Err *e);
MUST_USE int agent_watch_start(AgentWatch *watch, Err *e); // ERR_IO when the port is taken
uint16_t agent_watch_port(const AgentWatch *watch);        // 0 while it does not run
void agent_watch_stop(AgentWatch *watch);                  // before the runner stops
void agent_watch_destroy(AgentWatch *watch);               // after the runner is gone

#endif
