// McpClient: one connection to one MCP server, of either era of the protocol: 2026-07-28
// (stateless, every request says who asks) and 2025-11-25 back to 2024-11-05 (a session that begins
// with `initialize`). Which one it is, is found out when connecting; everything else looks the
// same.
//
//     McpOptions options = {.pool = pool, .http = http, .url = SLICE("http://127.0.0.1:3001/mcp")};
//     rc = mcp_connect(&options, &client, e);                        // or .argv = a program
//     McpToolSet *tools;
//     rc = mcp_tools(client, &tools, e);
//     McpToolCall call = {.name = SLICE("add"), .arguments = SLICE("{\"a\":1,\"b\":2}")};
//     rc = mcp_call_tool(client, arena, &call, &result, e);
//     mcp_text_of(result.result, &text);
//     mcp_toolset_unref(tools);
//     mcp_close(client);
//
// All functions that talk to the server park the calling fiber; any number of fibers may use one
// client. Results live in the caller's arena. Cancelling the fiber, or the call's timeout, cancels
// the request at the server. Everything is for the loop's thread.
//
// Errors: what the server says is ERR_ARG (invalid params), ERR_UNSUPPORTED (no such method,
// missing capability), ERR_NOT_FOUND, ERR_VERSION, ERR_BUSY (429, 5xx) or ERR_IO (any other error
// of its own), with its words; ERR_PROTOCOL when it breaks the protocol, ERR_LIMIT when it passes a
// limit, ERR_CLOSED when it is gone, ERR_TIMEOUT, ERR_CANCELLED, and those of connecting. A tool
// that reports a failure of its own is no error here: result.is_error.
#ifndef MCP_CLIENT_H
#define MCP_CLIENT_H

#include "mcp/transport.h"

#define MCP_VERSION_MODERN "2026-07-28"
#define MCP_VERSION_LEGACY "2025-11-25"

typedef struct McpClient McpClient;

typedef enum McpEra { MCP_ERA_UNKNOWN, MCP_ERA_MODERN, MCP_ERA_LEGACY } McpEra;

// Questions of the server: in the older era requests of its own, in the newer one asked back in the
// answer to a request of ours. Methods: elicitation/create, sampling/createMessage, roots/list.
// Appends the result, a JSON object. May park. An error is told to the server with its words.
typedef int McpQuestionFn(void *ctx, Slice method, const Doc *params, Buf *ret_result, Err *e);

typedef struct McpRoot {
    Slice uri; // file://...
    Slice name;
} McpRoot;

typedef struct McpHandlers {
    McpQuestionFn *elicit; // NULL: the capability is not declared, and asking is refused
    McpQuestionFn *sample;
    const McpRoot *roots; // copied
    size_t root_count;
    // Log messages of the server ("info", text or JSON) and lines of its standard error ("stderr").
    void (*log)(void *ctx, Slice level, Slice text);
    // Any other notification: notifications/resources/updated and so on.
    void (*notified)(void *ctx, Slice method, const Doc *params);
    void *ctx;
} McpHandlers;

typedef struct McpOptions {
    FiberPool *pool;
    // A server in a process of its own ...
    const char *const *argv; // ends with NULL; copied
    const char *const *envp; // NULL: ours. Outlives the client.
    const char *directory;   // NULL: ours. Outlives the client.
    // ... or at a URL.
    HttpContext *http;
    Slice url;
    const HttpHeader *headers; // with every request
    size_t header_count;

    McpHandlers handlers;
    McpLimits limits;
    Slice client_name; // empty: "perfwright"
    Slice client_version;
    Slice log_level; // of log messages to ask for; empty: none are asked for in the newer era
    // What an earlier connection to the same program or origin found (mcp_era), so that the
    // question is asked once.
    McpEra era;
    bool listen;                  // ask for notifications of changed lists and resources
    int64_t discovery_timeout_ns; // 0: 10 s; then the older era is tried, for as long
    int64_t request_timeout_ns;   // 0: 60 s
} McpOptions;

MUST_USE int mcp_connect(const McpOptions *options, McpClient **ret_client, Err *e);
// In a fiber. Requests under way end with ERR_CLOSED. NULL is fine.
void mcp_close(McpClient *client);

McpEra mcp_era(const McpClient *client);
Slice mcp_version(const McpClient *client); // agreed on
bool mcp_is_alive(const McpClient *client);
size_t mcp_outstanding(const McpClient *client); // requests that wait for an answer
Slice mcp_server_name(const McpClient *client);
Slice mcp_server_version(const McpClient *client);
Slice mcp_instructions(const McpClient *client);
const Doc *mcp_capabilities(const McpClient *client);    // the server's; an object, or NULL
bool mcp_can(const McpClient *client, Slice capability); // "tools", "prompts", ...

// ---- tools

typedef struct McpParam {
    Slice header;      // "Region": sent as Mcp-Param-Region
    const Slice *path; // of the argument
    size_t path_len;
} McpParam;

typedef struct McpTool {
    Slice name;
    Slice title;
    Slice description;
    const Doc *input_schema;  // as the server gave it; references in it are never fetched
    const Doc *output_schema; // or NULL
    const Doc *doc;           // all of it
    // Hints of the server (annotations), false where it says nothing. Only a hint.
    bool read_only;
    bool idempotent;
    bool destructive; // true where it says nothing, as the specification has it
    const McpParam *params;
    size_t param_count;
} McpTool;

// A list of tools that does not change, shared by reference.
typedef struct McpToolSet {
    unsigned refs;
    Arena *arena;
    McpTool *tools;
    size_t count;
    size_t refused;         // tools with broken header annotations, which a client must not offer
    int64_t fresh_until_ns; // by the loop's clock
} McpToolSet;

// All pages. Kept as long as the server allows (ttlMs; in the older era until it says that the list
// changed, where it says so), else asked for every time.
MUST_USE int mcp_tools(McpClient *client, McpToolSet **ret_tools, Err *e);
void mcp_toolset_unref(McpToolSet *tools); // NULL is fine
const McpTool *mcp_tool_find(const McpToolSet *tools, Slice name);

typedef struct McpProgress {
    double progress;
    double total; // 0: not said
    Slice message;
} McpProgress;

typedef struct McpCallOptions {
    int64_t timeout_ns;                                       // 0: the client's
    void (*progress)(void *ctx, const McpProgress *progress); // NULL: not asked for; must not park
    void *ctx;
    Slice traceparent; // W3C trace context for the server's spans; empty: none
    Slice tracestate;
} McpCallOptions;

typedef struct McpToolCall {
    Slice name;
    Slice arguments; // a JSON object; empty: {}
    McpCallOptions options;
} McpToolCall;

typedef struct McpResult {
    const Doc *result; // in the caller's arena; NULL when it went to a file
    bool is_error;     // the tool's own failure; its words are in the content
    // A message over limits.message_bytes_max, as it came (one JSON-RPC message). The caller frees
    // the name and removes the file.
    char *file;
    int64_t bytes;      // of the message
    int64_t error_code; // JSON-RPC's when the call failed by an error of the server
    int64_t ttl_ns;     // how long the server says the result may be kept; 0: not
    bool was_sent;      // the server may have seen it
} McpResult;

MUST_USE int mcp_call_tool(McpClient *client, Arena *arena, const McpToolCall *call,
                           McpResult *ret_result, Err *e);

// ---- everything else

typedef enum McpList { MCP_TOOLS, MCP_RESOURCES, MCP_TEMPLATES, MCP_PROMPTS } McpList;

typedef struct McpItems {
    const Doc **items;
    size_t count;
    int64_t ttl_ns; // the shortest of its pages
} McpItems;

// All pages of a list.
MUST_USE int mcp_list(McpClient *client, Arena *arena, McpList list, McpItems *ret_items, Err *e);
MUST_USE int mcp_read_resource(McpClient *client, Arena *arena, Slice uri,
                               const McpCallOptions *options, McpResult *ret_result, Err *e);
// `arguments`: a JSON object with texts; empty: none.
MUST_USE int mcp_get_prompt(McpClient *client, Arena *arena, Slice name, Slice arguments,
                            const McpCallOptions *options, McpResult *ret_result, Err *e);

typedef struct McpCompletion {
    Slice prompt;   // name of the prompt ...
    Slice resource; // ... or URI (template) of the resource
    Slice argument;
    Slice value; // what was typed so far
} McpCompletion;

MUST_USE int mcp_complete(McpClient *client, Arena *arena, const McpCompletion *completion,
                          McpResult *ret_result, Err *e);
// One exchange that costs the server nothing: `ping`, or `server/discover` where there is no ping.
MUST_USE int mcp_ping(McpClient *client, int64_t timeout_ns, Err *e);
MUST_USE int mcp_set_log_level(McpClient *client, Slice level, Err *e);
// Notifications of a changed resource go to handlers.notified.
MUST_USE int mcp_subscribe(McpClient *client, Slice uri, bool on, Err *e);

typedef struct McpRequest {
    Slice method;
    Slice params; // members of the params object without the braces: "\"uri\":\"x\""
    Slice name;   // for Mcp-Name
    const HttpHeader *headers;
    size_t header_count;
    McpCallOptions options;
} McpRequest;

// Any method; rounds of questions included.
MUST_USE int mcp_request(McpClient *client, Arena *arena, const McpRequest *request,
                         McpResult *ret_result, Err *e);

// ---- helpers

// The texts of a result's content (tool, prompt, resource), a line break between them; other kinds
// as "[image image/png, 1234 bytes]".
void mcp_text_of(const Doc *result, Buf *out);
// An elicitation's answer that accepts with the schema's defaults (SEP-1034), for clients without a
// person: {"action":"accept","content":{...}}; {"action":"decline"} when a required field has none.
void mcp_elicit_defaults(const Doc *params, Buf *ret_result);

#endif
