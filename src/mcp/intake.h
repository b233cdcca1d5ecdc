// Intake: one message being received, whatever its size. What fits stays in memory; a longer one
// goes to a file where the owner allows it, and is refused where not. Both transports receive
// through one of these, so both keep the same limits.
//
//     McpIntake in = mcp_intake_create(&limits);
//     rc = mcp_intake_feed(&in, bytes, e);
//     rc = mcp_intake_end(&in, e);            // the message is complete
//     ... in.skim says whose it is; mcp_intake_text(&in) or in.path ...
//     mcp_intake_reset(&in);                  // removes a file that nobody took
//     mcp_intake_done(&in);
#ifndef MCP_INTAKE_H
#define MCP_INTAKE_H

#include "mcp/jsonrpc.h"

// Zero: the default beside it.
typedef struct McpLimits {
    size_t message_bytes_max;    // 4 MiB: of a message in memory
    const char *spill_directory; // longer ones go to files there; NULL: they are refused
    int64_t spill_bytes_max;     // 1 GiB: of such a file
    int depth_max;               // 64 levels of nesting
    // 10,000 notifications and requests of the server while one answer is awaited, or in a minute
    // while none is: more is a flood and ends the connection.
    unsigned unasked_max;
    unsigned items_max;    // 10,000 tools, resources, prompts of one server
    unsigned pages_max;    // 1,000 pages of one list
    unsigned rounds_max;   // 10 rounds of questions that a server may ask back for one request
    unsigned requests_max; // 1,000 requests of ours that wait for one server at a time
} McpLimits;

McpLimits mcp_limits_filled(const McpLimits *limits); // NULL: all defaults

typedef struct McpIntake {
    McpLimits limits;
    RpcSkim skim;
    Buf memory;
    int file; // -1: in memory
    char *path;
    int64_t bytes;
} McpIntake;

McpIntake mcp_intake_create(const McpLimits *limits);
void mcp_intake_reset(McpIntake *in);
void mcp_intake_done(McpIntake *in);

// ERR_LIMIT with the limit and how to raise it, ERR_PARSE, ERR_FULL or ERR_IO from the file.
MUST_USE int mcp_intake_feed(McpIntake *in, Slice bytes, Err *e);
MUST_USE int mcp_intake_end(McpIntake *in, Err *e);
static inline Slice mcp_intake_text(const McpIntake *in)
{
    return buf_slice(&in->memory);
}
// The file changes hands: the caller frees the name and removes the file. NULL when there is none.
char *mcp_intake_take_file(McpIntake *in);

#endif
