// What the files of the client share: client.c (life), request.c (exchanges and rounds), inputs.c
// (what the server asks), tools.c (lists, tools, other methods), schema.c (parameters in headers).
#ifndef MCP_CLIENT_IMPL_H
#define MCP_CLIENT_IMPL_H

#include "mcp/client.h"

enum {
    MCP_PENDING_BUCKETS = 64,
    MCP_QUESTIONS_MAX = 16, // of the server, answered at the same time
};

// A request that waits for its answer; on the stack of the fiber that waits.
typedef struct McpPending {
    struct McpPending *next; // in its bucket
    int64_t id;
    Fiber *fiber;
    Arena *arena;
    const McpCallOptions *options;
    unsigned unasked; // messages that came since it was sent
    bool done;
    int rc;
    int status; // HTTP's, when the way ended
    RpcMessage answer;
    char *file;
    int64_t bytes;
    Err e;
} McpPending;

struct McpClient {
    McpOptions options;
    McpLimits limits;
    Arena *arena; // as long as the client
    Loop *loop;
    McpTransport *transport;
    McpEra era;
    const char *version;
    Slice server_name;
    Slice server_version;
    Slice instructions;
    const Doc *capabilities;
    Arena *about; // what the four above live in
    McpPending *pending[MCP_PENDING_BUCKETS];
    size_t pending_count;
    int64_t next_id;
    unsigned idle_unasked; // messages since idle_since_ns while nothing was under way
    int64_t idle_since_ns;
    bool closed; // no more requests
    bool closing;
    Err why;
    FiberGroup questions;
    Fiber *listener; // waits for the answer to subscriptions/listen, which never comes
    FiberGroup listeners;
    McpToolSet *tools;
    Buf log_level;
    Buf subscriptions; // JSON texts parted by commas, of the newer era
};

// request.c

typedef struct McpExchange {
    McpRequest request;
    Slice more; // members behind the request's params: answers to questions
    bool initialises;
    bool plain; // no _meta: initialize
} McpExchange;

// One request and its answer, no rounds. An error of the server is 0 with kind RPC_ERROR.
MUST_USE int mcp_exchange(McpClient *c, Arena *arena, const McpExchange *x, McpPending *ret,
                          Err *e);
// The server's words in an error must not drive the terminal that it ends on.
void mcp_clean(Err *e);
// What an error of the server is for the caller.
int mcp_error_of(const RpcMessage *m, Slice method, Err *e);
void mcp_notify(McpClient *c, Slice method, Slice members);
McpSink mcp_client_sink(McpClient *c);
// Ends all requests that wait, and refuses new ones.
void mcp_fail_all(McpClient *c, int rc, const Err *why);
// "io.modelcontextprotocol/clientCapabilities" and the like.
void mcp_write_capabilities(const McpClient *c, Buf *out);
void mcp_write_client_info(const McpClient *c, Buf *out);
// Ends the wait for the stream of notifications, so that it is asked for anew.
void mcp_restart_listening(McpClient *c);
// client.c: adds or removes a resource of the newer era's subscriptions.
MUST_USE int mcp_listen_to(McpClient *c, Slice uri, bool on, Err *e);
// Starts a legacy session again after the server forgot it.
MUST_USE int mcp_initialise(McpClient *c, Err *e);

// inputs.c

// A request of the server, answered by a fiber of its own.
void mcp_take_question(McpClient *c, const RpcMessage *m);
void mcp_take_notification(McpClient *c, const RpcMessage *m);
// The result for one question, or an error.
MUST_USE int mcp_answer(McpClient *c, Slice method, const Doc *params, Buf *ret_result, Err *e);

// schema.c

// The parameters of a tool that go into headers. ERR_PROTOCOL with the reason when an annotation is
// broken: such a tool must not be offered over HTTP.
MUST_USE int mcp_params_of(Arena *arena, const Doc *input_schema, const McpParam **ret_params,
                           size_t *ret_count, Err *e);
// Headers for a call; names and values live in the arena. Arguments that are missing or null are
// left out.
size_t mcp_param_headers(Arena *arena, const McpTool *tool, const Doc *arguments,
                         HttpHeader *ret_headers, size_t max);
// A header value as the newer era writes it: plain, or =?base64?...?= where it would not survive.
Slice mcp_header_value(Arena *arena, Slice text);

#endif
