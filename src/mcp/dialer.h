// McpDialer: the way out for MCP servers at URLs: names through the system's resolver on job
// threads, TLS with certificates checked, and the guard's word about every address.
//
//     McpDialer *dialer;
//     rc = mcp_dialer_open(loop, &dialer, e);
//     options.http = mcp_dialer_http(dialer);
//     ... close the clients ...
//     mcp_dialer_close(dialer);
//
// A server's URL is the user's own word, so any ordinary host may be named, over the network too.
// Addresses that no service has (link-local, cloud metadata, multicast, unspecified) are refused
// whatever name leads there.
#ifndef MCP_DIALER_H
#define MCP_DIALER_H

#include "net/http.h"

typedef struct McpDialer McpDialer;

MUST_USE int mcp_dialer_open(Loop *loop, McpDialer **ret_dialer, Err *e);
HttpContext *mcp_dialer_http(const McpDialer *dialer);
void mcp_dialer_close(McpDialer *dialer); // NULL is fine

#endif
