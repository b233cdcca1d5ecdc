// The tools of the llm engine: what a model may do to a working copy. None of them has power beyond
// it: files are reached through engine_files.h, commands are those of steps.yaml, run in the
// sandbox, and the only figures are the ones that perfwright took itself.
#ifndef IMPROVE_ENGINE_TOOL_H
#define IMPROVE_ENGINE_TOOL_H

#include "improve/engine_impl.h"
#include "llm/llm.h"

enum {
    ENGINE_TOOLS_MAX = 8,
    ENGINE_TOOL_OUTPUT_MAX = 80 << 10, // of one result
    ENGINE_SEARCH_BYTES_MAX = 32 << 10,
    ENGINE_COMMAND_BYTES_MAX = 12 << 10, // of a build's or test's output
};

typedef struct EngineTools {
    EngineRun *run;
    int tree; // the working copy's directory
    int64_t edits;
    bool finished;
    Slice summary; // of `finish`, in the run's arena
} EngineTools;

MUST_USE int engine_tools_open(EngineRun *run, EngineTools *ret_tools, Err *e);
void engine_tools_close(EngineTools *tools);
// Those that make sense here: no `build` without build steps. Returns how many.
size_t engine_tools_offer(const EngineTools *tools, LlmTool ret_tools[ENGINE_TOOLS_MAX]);
// Appends the result; true when it is an error. Only ERR_CANCELLED is a failure of the call.
MUST_USE int engine_tools_call(EngineTools *tools, Slice name, Slice arguments, Buf *out,
                               bool *ret_is_error, Err *e);

#endif
