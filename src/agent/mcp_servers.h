// The MCP servers of a configuration as the pool wants them: programs with their environment, URLs
// with their headers, policies from the keys of [mcp].
//
//     McpServerOptions *servers;
//     rc = agent_mcp_servers(arena, config, getenv, &servers, &count, e);
//     rc = mcp_pool_create(&(McpPoolOptions){.servers = servers, .server_count = count, ...}, ...);
//
// `${NAME}` in a header's value is the environment's; one that is not set is an error at its place,
// because an empty Authorization only fails later and elsewhere. Values are never printed.
#ifndef AGENT_MCP_SERVERS_H
#define AGENT_MCP_SERVERS_H

#include "agent/config.h"
#include "mcp/pool.h"

// Enabled ones only; none where [mcp] is not enabled. Everything lives in the arena.
MUST_USE int agent_mcp_servers(Arena *arena, const AgentConfig *config,
                               char *(*get_env)(const char *name), McpServerOptions **ret_servers,
                               size_t *ret_count, Err *e);

#endif
