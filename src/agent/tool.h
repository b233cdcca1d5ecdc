// Tools: functions with a JSON schema that agents and models call by name, in C, in JavaScript or
// behind an MCP server. A ToolSet holds them; it is filled at the start and then shared by threads.
//
//     static int weather(ToolCall *call, Err *e)
//     {
//         const Doc *city = doc_get(tool_args(call), SLICE("city"));
//         ...
//         return tool_return(call, buf_slice(&json), e);
//     }
//     ToolSet *tools = tool_set_create(&(ToolSetOptions){0});
//     rc = tool_add(tools, &(ToolSpec){.name = SLICE("weather"),
//                                      .description = SLICE("The weather in a city"),
//                                      .schema = SLICE("{\"type\":\"object\",...}"),
//                                      .run = weather}, e);
//     ... in a fiber:
//     ToolResult result;
//     rc = tool_call(tools, &(ToolRequest){.name = SLICE("weather"), .args = json}, &result);
//     tool_result_done(&result);
//
// Arguments are checked against the schema (base/schema.h) before the tool runs. A tool runs on a
// fiber and may wait; it gives up at its deadline.
//
// Large results have three ways out, and past the ceiling no other: a paginated tool gives a page
// (`page_size` and `page_token` in; `results`, `page_size`, `has_more` and `next_page_token` out),
// a caller that asks for batches gets the items as they come, and what is returned whole is an
// error of clear words.
#ifndef AGENT_TOOL_H
#define AGENT_TOOL_H

#include "base/doc.h"
#include "base/err.h"
#include "os/fiber.h"

typedef struct ToolSet ToolSet;
typedef struct ToolCall ToolCall;

enum {
    TOOL_NAME_MAX = 64, // what every provider takes: letters, digits, "_" and "-"
    TOOLS_MAX = 1024,
    TOOL_ARGS_BYTES_MAX = 1 << 20,
    TOOL_RESULT_BYTES = 1 << 20, // default ceilings
    TOOL_PARALLEL = 8,
    TOOL_PAGE_SIZE = 100,
    TOOL_PAGE_SIZE_MAX = 1000,
    TOOL_BATCH_ITEMS = 100,
    TOOL_PAGE_TOKEN_MAX = 1024,
};

typedef struct ToolSpec {
    Slice name;
    Slice description;
    Slice schema;   // of the arguments, JSON; empty: any object
    bool paginated; // page_size and page_token are added to the schema
    int (*run)(ToolCall *call, Err *e);
    void *self;
    void (*destroy)(void *self); // with the set; may be NULL
    size_t result_bytes_max;     // 0: the set's
    int64_t timeout_ns;          // of one call; 0: the set's
} ToolSpec;

// What a cache of answers, of tools or of models, holds and did.
typedef struct CacheFigures {
    uint64_t entries, bytes, hits, misses;
} CacheFigures;

typedef struct ToolSetOptions {
    size_t result_bytes_max; // 0: TOOL_RESULT_BYTES
    int64_t timeout_ns;      // 0: none
} ToolSetOptions;

ToolSet *tool_set_create(const ToolSetOptions *options);
void tool_set_destroy(ToolSet *set); // no call is under way; NULL is fine
// Copies the texts. ERR_ARG for a bad name, ERR_EXISTS, ERR_PARSE for a schema that is none,
// ERR_FULL. `self` is destroyed by the set only when 0 was returned.
MUST_USE int tool_add(ToolSet *set, const ToolSpec *spec, Err *e);

size_t tool_count(const ToolSet *set);
typedef struct ToolInfo {
    Slice name;
    Slice description;
    Slice schema; // with the members that pagination adds: what a model is shown
    bool paginated;
} ToolInfo;
ToolInfo tool_at(const ToolSet *set, size_t index); // in the order of adding
bool tool_find(const ToolSet *set, Slice name, ToolInfo *ret_info);

// ---- calling

typedef int ToolBatchFn(void *arg, Slice items, size_t count, Err *e);

typedef struct ToolRequest {
    Slice name;
    Slice args;          // JSON object; empty: {}
    int64_t deadline_ns; // of the loop's clock; 0: none. The tool's own timeout comes on top
    void *host;          // for the tool: tool_host
    // Takes a JSON array of items as soon as batch_items are there (0: TOOL_BATCH_ITEMS), and the
    // rest at the end. It may park: the tool waits meanwhile. What it fails with ends the call.
    ToolBatchFn *on_batch;
    void *batch_arg;
    size_t batch_items;
} ToolRequest;

typedef struct ToolResult {
    int code;     // 0 or ERR_*
    Err err;      // when code is not 0
    Buf json;     // the value; {"streamed":true,"count":N} when the items went in batches
    size_t items; // that the tool gave one by one
    bool has_more;
    char next_page_token[TOOL_PAGE_TOKEN_MAX + 1];
} ToolResult;
void tool_result_done(ToolResult *result);

// Runs the tool on the calling fiber. Returns result->code: ERR_NOT_FOUND, ERR_ARG for arguments
// that do not fit the schema, ERR_LIMIT for a result past the ceiling, ERR_TIMEOUT, ERR_CANCELLED,
// or what the tool failed with. Always tool_result_done afterwards.
MUST_USE int tool_call(const ToolSet *set, const ToolRequest *request, ToolResult *ret_result);

// Runs several at once, at most `parallel` (0: TOOL_PARALLEL) at a time, each on a fiber of its
// own, and waits for all. Each result tells how its call went; the calls are independent. Returns
// 0, or ERR_CANCELLED when the waiting fiber was cancelled: the tools were cancelled, too, and have
// returned.
MUST_USE int tool_call_many(const ToolSet *set, const ToolRequest *requests, size_t count,
                            size_t parallel, ToolResult *ret_results);

// Calls a paginated tool page by page and hands on each page's items until there are no more or
// `pages_max` were read. *ret_items counts them. ERR_LIMIT when a tool gives a token twice in a
// row.
MUST_USE int tool_each_page(const ToolSet *set, const ToolRequest *request, size_t pages_max,
                            ToolBatchFn *on_page, void *arg, size_t *ret_items, Err *e);

// ---- for tools

void *tool_self(const ToolCall *call);
void *tool_host(const ToolCall *call);
Slice tool_name(const ToolCall *call);
const Doc *tool_args(const ToolCall *call); // fits the schema
Slice tool_args_json(const ToolCall *call);
Arena *tool_arena(ToolCall *call);              // of this call
int64_t tool_deadline_ns(const ToolCall *call); // NEVER_NS without one
size_t tool_result_max(const ToolCall *call);

// The whole value. ERR_LIMIT past the ceiling, ERR_PARSE when it is no JSON.
MUST_USE int tool_return(ToolCall *call, Slice json, Err *e);
// The next item of a list. ERR_LIMIT past the ceiling of a result (the items of one page, or of all
// when nobody takes batches) or past the page's size. The tool stops at an error.
MUST_USE int tool_item(ToolCall *call, Slice json, Err *e);

typedef struct ToolPage {
    int64_t size; // 1 to TOOL_PAGE_SIZE_MAX
    Slice token;  // empty: the first page
} ToolPage;
ToolPage tool_page(const ToolCall *call); // paginated tools
// There is another page, and this is what asks for it.
MUST_USE int tool_next_page(ToolCall *call, Slice token, Err *e);

#endif
