// The MCP servers of a configuration as tools of its agents. One thread has the connections of the
// whole process, so that a server that is a program is started once and not once a shard; a tool's
// call is handed to it and parks the shard's fiber until the answer is back.
//
//     rc = mcp_host_open(config, NULL, &host, e);      // NULL where no server is configured
//     rc = mcp_host_add_tools(host, tools, e);         // asks the servers what they have
//     ... tool_call(tools, &(ToolRequest){.name = SLICE("files_read"), ...}) ...
//     mcp_host_close(host);                            // no call is under way
//
// A server's tools are called SERVER_TOOL; characters that no provider takes in a name become "_".
#ifndef AGENT_MCP_HOST_H
#define AGENT_MCP_HOST_H

#include "agent/config.h"
#include "agent/tool.h"
#include "telemetry/collector.h"
#include "telemetry/span.h"

typedef struct McpHost McpHost;

enum { MCP_HOST_RESULT_MAX = 16 << 20 };

// `spans`, which outlives the host, gets one of each call, below the agent's run that made it; NULL
// where nobody wants them. Tools that are called by agents must have the AgentContext as their
// host.
MUST_USE int mcp_host_open(const AgentConfig *config, SpanQueue *spans, McpHost **ret_host, Err *e);
void mcp_host_close(McpHost *host); // NULL is fine
// Blocks until every server answered. ERR_* with the server's name.
MUST_USE int mcp_host_add_tools(McpHost *host, ToolSet *tools, Err *e);
// Adds what happened since the last time to the collector: mcp/metrics.h. Blocks until the host's
// thread did; NULL is fine.
void mcp_host_collect(McpHost *host, Collector *collector);
// The cached results of all servers, as they are; then drops them, with `clear`. Blocks as above.
CacheFigures mcp_host_cache(McpHost *host, bool clear);

#endif
