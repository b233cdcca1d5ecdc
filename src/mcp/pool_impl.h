// Shared by the pool's files: slots.c (connections, balance, health) and guarded.c (policies).
#ifndef MCP_POOL_IMPL_H
#define MCP_POOL_IMPL_H

#include "base/rng.h"
#include "mcp/pool.h"

typedef struct McpSlot {
    McpClient *client; // NULL: not connected
    Slice url;         // empty: the program
    bool connecting;
    bool down;   // failed; not used before retry_at_ns unless all are down
    bool retire; // closed by the last one that uses it
    unsigned users;
    unsigned failures_in_row;
    int64_t retry_at_ns;
    int64_t latency_ns; // of the last check
    double ewma_ns;     // peak-sensitive average of calls
    int64_t ewma_at_ns; // when it was updated
    int64_t used_at_ns;
    McpEra era;
    uint64_t calls, failures, connects;
    char error[200];
} McpSlot;

typedef struct McpOp McpOp;

typedef struct McpServer {
    McpPool *pool;
    McpServerOptions options;
    McpSlot *slots;
    size_t slot_count;
    size_t turn; // round robin
    FiberQueue waiting;
    PolicyBlock *block;
    Buf *payloads; // by slot of the cache: results as JSON
    size_t payload_count;
    bool draining;
    McpToolSet *tools; // for hints
    int64_t tools_until_ns;
    LoopTimer health;
    uint64_t tasks;
} McpServer;

struct McpPool {
    McpPoolOptions options;
    Arena *arena;
    Loop *loop;
    McpServer *servers;
    size_t server_count;
    Rng rng;
    FiberGroup chores; // fibers that check and close connections
    bool closing;
};

McpServer *mcp_pool_find(const McpPool *pool, Slice name);
void mcp_pool_tell(McpPool *pool, const McpEvent *event);

// slots.c

// A connection for one call; waits for nothing but connecting. `*ret_sent` stays false.
MUST_USE int mcp_slot_take(McpServer *server, McpSlot **ret_slot, Err *e);
// After the call: what it was like. rc and latency decide about health and balance.
void mcp_slot_give(McpServer *server, McpSlot *slot, int rc, int64_t latency_ns, const Err *why);
void mcp_slots_open(McpServer *server);
// Begins to close all connections; they are gone when the pool's chores are.
void mcp_slots_close(McpServer *server);
// Whether a failure says something about the connection rather than about the request.
bool mcp_is_connection_failure(int rc);

// guarded.c

MUST_USE int mcp_guard_open(McpServer *server, Err *e);
void mcp_guard_close(McpServer *server);
MUST_USE int mcp_guarded_call(McpServer *server, Arena *arena, const McpPoolCall *call,
                              McpResult *ret_result, Err *e);

#endif
