// JSON-RPC 2.0 messages as MCP uses them: no batches, ids that are numbers or strings.
//
// Two readers, both without I/O. RpcSkim looks over bytes as they come and knows, without building
// a tree, what kind of message it is and which request it answers: that decides where the message
// goes, and it works on one of 100 MB that goes straight to a file. rpc_parse builds the tree under
// limits.
//
//     RpcSkim skim = rpc_skim(RPC_DEPTH_MAX);
//     rc = rpc_skim_feed(&skim, bytes, e);              // in pieces of any size
//     rc = rpc_skim_end(&skim, e);
//     if (skim.id_is_number && skim.has_result) { ... the answer to request skim.id ... }
//
//     RpcMessage m;
//     rc = rpc_parse(arena, text, NULL, &m, e);
//
// Source: jsonrpc.org/specification; MCP 2026-07-28, "Base protocol".
#ifndef MCP_JSONRPC_H
#define MCP_JSONRPC_H

#include "base/buf.h"
#include "base/doc.h"

enum {
    RPC_BYTES_MAX = 4 << 20, // of a message that is read into memory
    RPC_DEPTH_MAX = 64,
    RPC_ID_BYTES_MAX = 256, // of an id that is a string
};

// Codes of errors: JSON-RPC's, MCP's of both eras, and those that only old servers use.
enum {
    RPC_PARSE_ERROR = -32700,
    RPC_INVALID_REQUEST = -32600,
    RPC_METHOD_NOT_FOUND = -32601,
    RPC_INVALID_PARAMS = -32602,
    RPC_INTERNAL_ERROR = -32603,
    RPC_LEGACY_NOT_FOUND = -32002, // a resource, until 2025-11-25
    RPC_HEADER_MISMATCH = -32020,
    RPC_MISSING_CAPABILITY = -32021,
    RPC_UNSUPPORTED_VERSION = -32022,
};

typedef enum RpcKind { RPC_REQUEST, RPC_NOTIFICATION, RPC_RESULT, RPC_ERROR } RpcKind;

typedef struct RpcId {
    enum { RPC_ID_NONE, RPC_ID_NUMBER, RPC_ID_TEXT } kind; // none: also null
    int64_t number;
    Slice text;
} RpcId;

typedef struct RpcMessage {
    RpcKind kind;
    RpcId id;
    Slice method;          // request, notification
    const Doc *params;     // an object, or NULL
    const Doc *result;     // an object, in a result
    int64_t error_code;    // in an error
    Slice error_message;   //
    const Doc *error_data; // may be NULL
} RpcMessage;

// `limits` NULL: RPC_BYTES_MAX and RPC_DEPTH_MAX. The message lives in the arena. ERR_PARSE,
// ERR_LIMIT; ERR_PROTOCOL for JSON that is no message of JSON-RPC 2.0.
MUST_USE int rpc_parse(Arena *arena, Slice text, const DocOptions *limits, RpcMessage *ret_message,
                       Err *e);

typedef struct RpcSkim {
    // What it is, when rpc_skim_end said 0.
    bool has_id;
    bool id_is_number; // an integer that int64 holds
    int64_t id;
    bool has_method;
    bool has_result;
    bool has_error;
    uint64_t bytes;
    // The scanner's.
    int depth;
    int depth_max;
    int place; // at depth 1: before a key, a colon, a value
    bool in_text;
    bool escaped;
    bool began;
    bool over;
    bool in_id;
    int kept; // bytes of `text`
    char text[24];
} RpcSkim;

RpcSkim rpc_skim(int depth_max);
// ERR_LIMIT for nesting beyond depth_max, ERR_PARSE for what cannot become one object. Not a
// validator: what it lets pass may still fail to parse.
MUST_USE int rpc_skim_feed(RpcSkim *s, Slice bytes, Err *e);
MUST_USE int rpc_skim_end(RpcSkim *s, Err *e);
static inline bool rpc_skim_is_answer(const RpcSkim *s)
{
    return s->has_id && !s->has_method && (s->has_result || s->has_error);
}

// ---- writing: one line each, without the line's end. `params` and `result` are JSON objects;
// empty params are left out.

void rpc_write_request(Buf *out, int64_t id, Slice method, Slice params);
void rpc_write_notification(Buf *out, Slice method, Slice params);
void rpc_write_result(Buf *out, RpcId id, Slice result);
void rpc_write_error(Buf *out, RpcId id, int64_t code, Slice message);

// "method not found" for -32601 and so on, "server error" for the rest.
const char *rpc_error_name(int64_t code);

#endif
