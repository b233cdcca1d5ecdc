// JavaScript agents and tools: modules that the runner and the tool set treat like their own.
//
//     // agents/greet.js
//     export default function (event, state, ctx) {
//         const n = (state.get("n") ?? 0) + 1;
//         state.set("n", n);
//         return {greeting: `hello ${event.data.name}`, n};
//     }
//
//     AgentSpec spec = {.name = SLICE("greet")};
//     rc = js_agent_create(&(JsOptions){.root = "agents", .entry = "greet.js"}, &spec, e);
//     rc = runner_register(runner, &spec, &id, e);
//
//     // tools/add.js
//     export const description = "Adds two numbers";
//     export const schema = {type: "object", properties: {a: {type: "number"}, b: {type:
//     "number"}},
//                            required: ["a", "b"]};
//     export default ({a, b}) => a + b;
//
//     rc = js_tool_add(tools, SLICE("add"), &(JsOptions){.root = "tools", .entry = "add.js"}, e);
//
// docs/guide/agents-javascript.md says what scripts find in event, state and ctx. The module is
// read and compiled when it is created; each shard makes instances as it needs them, one for each
// activation under way.
#ifndef AGENT_JS_AGENT_H
#define AGENT_JS_AGENT_H

#include "agent/agent.h"
#include "agent/tool.h"
#include "os/mpsc.h"
#include "script/script.h"

// Answers a request to a language model; both are JSON. Called on the handler's fiber, may park.
typedef int JsLlmFn(void *arg, AgentContext *ctx, Slice request, Buf *answer, Err *e);

// What a runner of scripts should give its fibers (RunnerOptions.stack_bytes): a JavaScript call
// takes about 1.7 KiB, so this is some 200 calls deep; the default is some 35. Only pages that were
// touched cost memory.
enum { JS_STACK_BYTES = 512 << 10 };

// The texts are needed for the call only; `tools` and `llm` are kept.
typedef struct JsOptions {
    const char *root;  // directory that imports cannot leave
    const char *entry; // the module, relative to root
    Slice source;      // instead of the file
    unsigned parts;    // ScriptParts; 0: all
    ScriptLimits limits;
    size_t instances_max;  // on each shard; 0: SCRIPT_POOL_MAX
    size_t idle_max;       // kept for reuse; 0: SCRIPT_POOL_IDLE
    const ToolSet *tools;  // for ctx.tool; NULL: there are none. Outlives the agent
    size_t parallel_tools; // of ctx.tools; 0: TOOL_PARALLEL
    JsLlmFn *llm;          // for ctx.llm; NULL: ERR_UNSUPPORTED
    void *llm_arg;
    // For tools: what is not empty comes before what the module exports.
    Slice description;
    Slice schema;
    size_t result_bytes_max;
    int64_t timeout_ns;
    Counter *collections; // counts what the instances collected; NULL: nobody wants to know
    bool check_leaks;     // tests
} JsOptions;

// Fills run, self and destroy of the spec. ERR_PARSE, ERR_NOT_FOUND (also: no default function),
// ERR_REFUSED, ERR_LIMIT, or what the top level failed with.
MUST_USE int js_agent_create(const JsOptions *options, AgentSpec *spec, Err *e);

// Reads `description`, `schema` and `paginated` from the module's exports.
MUST_USE int js_tool_add(ToolSet *set, Slice name, const JsOptions *options, Err *e);

#endif
