// Gateway: agents over HTTP, on a loop of its own.
//
//     POST   /agents/NAME            an event in JSON -> its result
//     GET    /agents                 who there is, and what they did
//     GET    /sessions/SESSION/trace the agent runs of a session
//     GET    /sessions               kept session states: statistics and names
//     DELETE /sessions[/SESSION]     forgets all, or one
//     GET    /caches                 cached answers of models and results of MCP tools: figures
//     DELETE /caches                 forgets them
//     GET    /healthz                "ok" while events are accepted
//
// The event: {"data": any, "type": text, "session": text, "timeout": "5s", "state": {...}}, every
// member optional. The result: {"agent", "session", "data", "state"}; data that the agent answered
// and that is no JSON is a string. With "Accept: text/event-stream" the pieces that the agent
// streams come as events named "chunk" and the result as "result" (or "error").
//
// A traceparent of the request is continued by the runs of agents.
//
// Errors are {"error": {"code": "ERR_TIMEOUT", "reason": words}}: 400 for an event that is none,
// 404 without such an agent, 503 when it was shed or the runner stops (with Retry-After), 504 for a
// deadline, 502 when the agent failed.
#ifndef AGENT_GATEWAY_H
#define AGENT_GATEWAY_H

#include "agent/assembly.h"
#include "net/server.h"

typedef struct Gateway Gateway;

typedef struct GatewayOptions {
    Assembly *assembly; // started; outlives the gateway
    Loop *loop;
    FiberPool *pool;
    NetAddr addr;
    size_t event_bytes_max; // of a request; 0: 16 MiB
} GatewayOptions;

MUST_USE int gateway_open(const GatewayOptions *options, Gateway **ret_gateway, Err *e);
NetAddr gateway_addr(const Gateway *gateway);
// Outside of fibers: accepts no more and waits for what is under way, to the deadline of the loop's
// clock. Returns how many requests were cut off.
size_t gateway_drain(Gateway *gateway, int64_t deadline_ns);
void gateway_destroy(Gateway *gateway); // drained; NULL is fine

#endif
