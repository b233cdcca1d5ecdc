// Assembly: a running agent system made of its configuration: the runner with its agents, policies,
// orchestration, session states, tools, providers and monitoring.
//
//     rc = agent_config_load(arena, "agents.toml", &config, e);
//     rc = assembly_create(&(AssemblyOptions){.config = config}, &assembly, e);
//     ... runner_register(assembly_runner(assembly), ...) for agents of one's own ...
//     rc = assembly_start(assembly, e);
//     runner_emit(assembly_runner(assembly), &spec, e);
//     assembly_stop(assembly, 10 * NS_PER_SECOND);
//     assembly_destroy(assembly);
//
// Every key of the configuration takes effect here, or in what this calls; assembly_test.c has a
// test for each key of the tuning guide. Create, start, stop and destroy on one thread; the runner
// may be used from any.
#ifndef AGENT_ASSEMBLY_H
#define AGENT_ASSEMBLY_H

#include "agent/config.h"
#include "agent/runner.h"
#include "agent/state_cache.h"
#include "agent/tool.h"
#include "llm/client.h"

typedef struct Assembly Assembly;

typedef struct AssemblyOptions {
    const AgentConfig *config; // borrowed for the assembly's life
    unsigned shards;           // 0: what the configuration says
    int64_t event_timeout_ns;  // 0: what the configuration says
    // Makes an agent of a shared library: fills run, self and destroy. The public API's types are
    // not known down here. NULL: such agents are refused.
    int (*library_agent)(const ConfigAgent *agent, AgentSpec *spec, Err *e);
    // Adds a tool of a shared library; NULL as above.
    int (*library_tool)(const ConfigTool *tool, ToolSet *tools, Err *e);
    bool without_monitoring; // no port is opened, whatever the configuration says
    ManualClock *manual;     // single-threaded, for tests
} AssemblyOptions;

// Agents are loaded and compiled here, so that what is wrong with them is known before anything
// runs. ERR_* with words that name the agent.
MUST_USE int assembly_create(const AssemblyOptions *options, Assembly **ret_assembly, Err *e);
void assembly_destroy(Assembly *assembly); // stops it if need be; NULL is fine

Runner *assembly_runner(Assembly *assembly);
StateCache *assembly_states(Assembly *assembly);
// For tools of one's own; complete before the start.
ToolSet *assembly_tools(Assembly *assembly);
// What calls to providers did; only while the runner does not run.
LlmClientStats assembly_llm_stats(const Assembly *assembly);
// Collections of JavaScript heaps so far, as BenchmarkOptions.collections wants it; any thread.
uint64_t assembly_collections(void *assembly);
const AgentConfig *assembly_config(const Assembly *assembly);

typedef struct AssemblyCaches {
    CacheFigures models, tools; // answers of models, results of MCP tools
} AssemblyCaches;
// What is kept of answers; then forgets it, with `clear`. While it runs, from any thread but the
// shards'.
AssemblyCaches assembly_caches(Assembly *assembly, bool clear);

// Of [monitoring], once started; 0: there is none.
unsigned assembly_monitor_port(const Assembly *assembly);

MUST_USE int assembly_start(Assembly *assembly, Err *e);
// As runner_stop.
size_t assembly_stop(Assembly *assembly, int64_t drain_ns);

#endif
