// What the files of the public API share: how the types of include/perfwright/*.h stand for ours.
//
// PwContext, PwEvent and PwState are AgentContext, Event and State under other names; pointers to
// them are only passed through. A handler of the public type runs behind one function of ours
// (api_run), because calling it through our own type would not be C.
#ifndef API_API_H
#define API_API_H

#include <perfwright/agent.h>
#include <perfwright/benchmark.h>

#include "agent/assembly.h"

static inline AgentContext *context_of(const PwContext *ctx)
{
    return (AgentContext *)(uintptr_t)ctx;
}
static inline const Event *event_of(const PwEvent *event)
{
    return (const Event *)(const void *)event;
}
static inline State *state_of(PwState *state)
{
    return (State *)(void *)state;
}
static inline const State *const_state_of(const PwState *state)
{
    return (const State *)(const void *)state;
}

struct PwResult {
    AgentResult result;
    char *data; // with a NUL behind it
};

// Copies `e` out and returns its code, or `rc` where there are no words.
int api_error(PwError *error, const Err *e, int rc);
// An option struct of any version of the header, as ours: what an older one lacks is zero. ERR_ARG
// for one whose size cannot be.
MUST_USE int api_options(void *ours, size_t our_size, const void *theirs, PwError *error);
MUST_USE int api_event_spec(const PwEventOptions *theirs, EventSpec *ret_spec, PwError *error);
PwResult *api_result_take(AgentResult *result);

// For AssemblyOptions.library_agent.
int api_library_agent(const ConfigAgent *agent, AgentSpec *spec, Err *e);
int api_library_tool(const ConfigTool *tool, ToolSet *tools, Err *e);
// Opens a library and finds its function; `symbol` empty: `fallback`.
MUST_USE int api_open(Slice path, Slice symbol, const char *fallback, void **ret_library,
                      void **ret_symbol, Err *e);

Runner *api_runner(const PwRunner *runner);
Assembly *api_assembly(const PwRunner *runner);

#endif
