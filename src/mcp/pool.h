// McpPool: the MCP servers of one configuration on one loop. For each server several connections
// (processes, or sessions at one or more URLs), balanced, watched and replaced; calls go through
// the server's policies (policy/call.h: cache, limits, breaker, retries of what may be repeated).
//
//     McpServerOptions server = {.name = SLICE("files"), .argv = argv, .connections_max = 2};
//     McpPoolOptions options = {.pool = fibers, .http = http, .servers = &server, .server_count =
//     1}; rc = mcp_pool_create(&options, &pool, e); McpPoolCall call = {.server = SLICE("files"),
//     .tool = SLICE("read"), .arguments = json}; rc = mcp_pool_call(pool, arena, &call, &result,
//     e); mcp_pool_close(pool);
//
// Connections are made when they are first needed. A call that could not be sent goes to another
// connection at once, whatever the tool; one that may have been seen by the server is repeated only
// where the tool says readOnlyHint or idempotentHint, or the configuration names it. Cached are
// successes of such tools with a time to live of their own (tool_ttls), or where the server's
// readOnlyHint stands and `cache_ttl_ns` is set.
//
// Everything is for the loop's thread and parks the calling fiber, but for the functions that look.
#ifndef MCP_POOL_H
#define MCP_POOL_H

#include "mcp/client.h"
#include "policy/call.h"

typedef struct McpPool McpPool;

typedef enum McpBalance {
    MCP_ROUND_ROBIN,
    MCP_LEAST_OUTSTANDING,
    // The better of two drawn at random by expected latency times what waits there: P2C with an
    // exponentially weighted peak average (Finagle's "peak EWMA").
    MCP_LATENCY,
} McpBalance;

typedef struct McpToolTtl {
    Slice tool;
    int64_t ttl_ns; // 0: never cached
} McpToolTtl;

// Copied, with everything it names but handlers, envp and policy's text.
typedef struct McpServerOptions {
    Slice name;
    const char *const *argv; // a program, or
    const char *const *envp;
    const char *directory;
    const Slice *urls; // one or several that serve the same
    size_t url_count;
    const HttpHeader *headers;
    size_t header_count;
    size_t connections_max; // processes, or sessions at each URL; 0: 2
    McpBalance balance;
    const Slice *idempotent_tools; // may be repeated whatever the server says
    size_t idempotent_count;
    const McpToolTtl *tool_ttls;
    size_t ttl_count;
    int64_t cache_ttl_ns;       // of read-only tools without a line in tool_ttls; 0: not cached
    int64_t connect_timeout_ns; // 0: 10 s, for the question which era; then once more
    int64_t request_timeout_ns; // 0: 60 s
    int64_t health_interval_ns; // 0: 30 s; negative: no checks
    const ParamValue *policy;   // POLICY_PARAM_COUNT values; NULL: mcp_policy_defaults
    McpLimits limits;
    McpHandlers handlers;
} McpServerOptions;

// What happened, for metrics (mcp.client.operation.duration and mcp_*). Called on the loop.
typedef struct McpEvent {
    enum {
        MCP_EVENT_CALL,    // a call ended: rc, duration, bytes, attempts
        MCP_EVENT_ATTEMPT, // an attempt ended
        MCP_EVENT_CONNECT, // a connection was made, or not
        MCP_EVENT_LOST,    // a connection ended
        MCP_EVENT_HEALTH,  // a check ended
    } kind;
    Slice server;
    Slice tool;
    int rc;
    int64_t duration_ns;
    int64_t bytes;
    uint32_t attempts;
    bool cached;
    CallReason reason; // of a call
} McpEvent;

typedef struct McpPoolOptions {
    FiberPool *pool;
    HttpContext *http; // needed where a server has a URL
    const McpServerOptions *servers;
    size_t server_count;
    uint64_t seed;                                      // of balancing and of the policies' jitter
    void (*event_fn)(void *ctx, const McpEvent *event); // may be NULL
    void *event_ctx;
} McpPoolOptions;

enum { MCP_SERVERS_MAX = 1000, MCP_CONNECTIONS_MAX = 1000, MCP_URLS_MAX = 64 };

// Connects nothing yet. ERR_ARG: a name twice, a server without program and URL, a policy out of
// range; ERR_LIMIT.
MUST_USE int mcp_pool_create(const McpPoolOptions *options, McpPool **ret_pool, Err *e);
// In a fiber; no call is under way. NULL is fine.
void mcp_pool_close(McpPool *pool);

// Retries where allowed (3 attempts, 100 ms doubling, full jitter), a breaker that opens after 5
// failures in a row for 30 s, 1,000 cache entries of 64 MiB in all, one flight of equal calls.
void mcp_policy_defaults(ParamValue values[POLICY_PARAM_COUNT]);

typedef struct McpPoolCall {
    Slice server;
    Slice tool;
    Slice arguments; // a JSON object; empty: {}
    McpCallOptions options;
    bool no_cache;
    int64_t deadline_ns; // by the loop's clock; 0: none beyond the server's timeouts
    uint8_t priority;
} McpPoolCall;

// ERR_NOT_FOUND: no such server; else as mcp_call_tool, or what a policy says: ERR_REFUSED (breaker
// open, shed), ERR_FULL, ERR_TIMEOUT. `bytes` of the result is what came, or what the cache held.
MUST_USE int mcp_pool_call(McpPool *pool, Arena *arena, const McpPoolCall *call,
                           McpResult *ret_result, Err *e);
MUST_USE int mcp_pool_tools(McpPool *pool, Slice server, McpToolSet **ret_tools, Err *e);
// A connection to use directly, counted as in use until it is given back. `ret_slot` names it.
MUST_USE int mcp_pool_borrow(McpPool *pool, Slice server, McpClient **ret_client, size_t *ret_slot,
                             Err *e);
void mcp_pool_give_back(McpPool *pool, Slice server, size_t slot);

typedef struct McpHealth {
    Slice target; // URL, or the program
    bool healthy;
    McpEra era;
    int64_t latency_ns; // of the last check
    size_t outstanding;
    uint64_t calls;
    uint64_t failures;
    uint64_t connects;
    char error[200]; // of the last failure, while it is not healthy
} McpHealth;

// Checks every connection of the server now, connecting where there is none. Returns how many lines
// it wrote.
size_t mcp_pool_check(McpPool *pool, Slice server, McpHealth *ret_lines, size_t max);
// The same without asking anybody.
size_t mcp_pool_health(const McpPool *pool, Slice server, McpHealth *ret_lines, size_t max);
size_t mcp_pool_server_count(const McpPool *pool);
Slice mcp_pool_server_name(const McpPool *pool, size_t index);
// Policies of a server, for policy_set and the metrics in it; NULL: no such server.
PolicyBlock *mcp_pool_policy(McpPool *pool, Slice server);
void mcp_pool_clear_cache(McpPool *pool, Slice server); // empty: of all servers

#endif
