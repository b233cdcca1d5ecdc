// Transport: how messages get to one server and back. Two kinds: a child process with a message a
// line, and streamable HTTP with a POST a message.
//
// Sending never waits for an answer. What comes back, on whatever way (a line, the answer to a
// POST, an event of a stream), goes to the sink. Everything is for the loop's thread; sinks are
// called from the loop or from fibers of the transport and must not park.
#ifndef MCP_TRANSPORT_H
#define MCP_TRANSPORT_H

#include "mcp/intake.h"
#include "net/http.h"
#include "os/fiber.h"

typedef struct McpSink {
    // A complete message; the intake may be asked for its file.
    void (*message)(void *ctx, McpIntake *in);
    // HTTP: the way on which the answer to request `id` had to come has ended, with or without it.
    // `id` is 0 for what is no request; `status` is HTTP's, 0 without one.
    void (*ended)(void *ctx, int64_t id, int rc, int status, const Err *why);
    // The server is gone, for good. Once.
    void (*closed)(void *ctx, int rc, const Err *why);
    // A line of the server's log, or a complaint of the transport.
    void (*log)(void *ctx, Slice line);
    void *ctx;
} McpSink;

typedef struct McpSend {
    Slice text; // the message
    Slice method;
    int64_t id; // of a request, 0 for the rest
    Slice name; // for Mcp-Name: tool, prompt or resource; empty: none
    const HttpHeader *headers;
    size_t header_count;
    // 2026-07-28: method and name are sent as headers, and closing the answer cancels the request.
    bool modern;
    Slice version;    // for MCP-Protocol-Version; empty while nothing was agreed on
    bool initialises; // the answer may open a session
} McpSend;

typedef struct McpTransport McpTransport;

typedef struct McpTransportOps {
    // ERR_FULL, ERR_CLOSED.
    int (*send)(McpTransport *t, const McpSend *send, Err *e);
    // Nobody waits for the answer to `id` any more: `answered` when it has come.
    void (*forget)(McpTransport *t, int64_t id, bool answered);
    // Opens the stream for messages that answer nothing (HTTP before 2026-07-28).
    void (*listen)(McpTransport *t, Slice version);
    // Ends it politely and frees it. Parks, at most until `deadline_ns`, then by force.
    void (*close)(McpTransport *t, int64_t deadline_ns);
} McpTransportOps;

struct McpTransport {
    const McpTransportOps *ops;
    bool is_http;
};

typedef struct McpStdioOptions {
    FiberPool *pool;
    const char *const *argv; // borrowed while the transport is opened
    const char *const *envp; // NULL: ours
    const char *directory;   // NULL: ours
    McpLimits limits;
    McpSink sink;
} McpStdioOptions;

MUST_USE int mcp_stdio_open(const McpStdioOptions *options, McpTransport **ret, Err *e);

typedef struct McpHttpOptions {
    FiberPool *pool;
    HttpContext *http; // with resolver, TLS and guard filter as the owner likes
    Slice url;
    const HttpHeader *headers; // sent with everything: Authorization. Copied.
    size_t header_count;
    McpLimits limits;
    McpSink sink;
} McpHttpOptions;

MUST_USE int mcp_http_open(const McpHttpOptions *options, McpTransport **ret, Err *e);

#endif
