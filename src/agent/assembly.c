#include "agent/assembly.h"

#include <sys/random.h>

#include "agent/agent_spans.h"
#include "agent/js_agent.h"
#include "agent/llm_agent.h"
#include "agent/mcp_host.h"
#include "agent/memory_guard.h"
#include "agent/orchestrate.h"
#include "agent/agent_watch.h"
#include "agent/tool.h"

struct Assembly {
    AssemblyOptions options;
    const AgentConfig *config;
    Counter collections; // of JavaScript heaps
    Runner *runner;
    StateCache *states;
    ToolSet *tools;
    LlmHost *llm;        // NULL while no agent needs one
    McpHost *mcp;        // NULL where no server is configured
    AgentWatch *watch;   // NULL without monitoring
    AgentSpans *spans;   // NULL where nothing is exported
    uint64_t seed;       // of trace ids
    MemoryGuard *memory; // NULL without a limit
    bool started;
};

Runner *assembly_runner(Assembly *assembly)
{
    return assembly->runner;
}

StateCache *assembly_states(Assembly *assembly)
{
    return assembly->states;
}

ToolSet *assembly_tools(Assembly *assembly)
{
    return assembly->tools;
}

uint64_t assembly_collections(void *assembly)
{
    return (uint64_t)counter_get(&((Assembly *)assembly)->collections);
}

LlmClientStats assembly_llm_stats(const Assembly *assembly)
{
    return assembly->llm ? llm_host_stats(assembly->llm) : (LlmClientStats){0};
}

const AgentConfig *assembly_config(const Assembly *assembly)
{
    return assembly->config;
}

// ---- session states

static void load_state(void *arg, const HookInfo *info)
{
    Assembly *a = arg;
    Slice session = event_session(info->event);
    if (session.len > 0) {
        (void)state_cache_load(a->states, session, info->now_ns, info->state);
    }
}

// What a failed run left behind is not kept: it may be half of something.
static void store_state(void *arg, const HookInfo *info)
{
    Assembly *a = arg;
    Slice session = event_session(info->event);
    if (session.len > 0 && info->code == 0) {
        state_cache_store(a->states, session, info->now_ns, info->state);
    }
}

// ---- agents

static int run_echo(AgentContext *ctx, const Event *event, State *state)
{
    (void)state;
    return event->bytes ? agent_reply_bytes(ctx, event->bytes)
                        : agent_reply(ctx, event_data(event));
}

static int run_null(AgentContext *ctx, const Event *event, State *state)
{
    (void)ctx, (void)event, (void)state;
    return 0;
}

static int need_llm(Assembly *a, Err *e)
{
    int rc = a->llm ? 0 : llm_host_create(a->config, a->tools, &a->llm, e);
    if (rc == 0) {
        llm_host_trace(a->llm, agent_spans_queue(a->spans), a->seed);
    }
    return rc;
}

static int make_llm(Assembly *a, const ConfigAgent *agent, AgentSpec *spec, Err *e)
{
    int rc = need_llm(a, e);
    return rc != 0 ? rc : llm_agent_make(a->llm, agent, spec, e);
}

// "conf/agents/a.js" is the entry a.js, whose imports may not leave conf/agents.
static const char *split_script(Arena *arena, Slice path, const char **ret_root)
{
    size_t slash = path.len;
    while (slash > 0 && path.ptr[slash - 1] != '/') {
        slash--;
    }
    *ret_root = slash > 0 ? arena_cstr(arena, slice_sub(path, 0, slash)) : ".";
    return arena_cstr(arena, slice_sub(path, slash, path.len));
}

static ScriptLimits script_limits(const Assembly *a)
{
    const ConfigRuntime *r = &a->config->runtime;
    return (ScriptLimits){
        .heap_bytes = (size_t)r->js_heap_limit,
        .gc_threshold_bytes = (size_t)r->js_gc_threshold,
        .cpu_ns = r->js_cpu_limit_ns,
    };
}

static int ask_model(void *arg, AgentContext *ctx, Slice request, Buf *answer, Err *e)
{
    Assembly *a = arg;
    return a->llm ? llm_host_ask(a->llm, ctx, request, answer, e)
                  : err_set(e, ERR_UNSUPPORTED, "the configuration has no [llm.NAME] section");
}

static int make_script(Assembly *a, const ConfigAgent *agent, AgentSpec *spec, Err *e)
{
    Arena *arena = arena_create(1 << 20);
    JsOptions options = {
        .limits = script_limits(a),
        .tools = a->tools,
        .parallel_tools = (size_t)agent->parallel_tools,
        .llm = ask_model,
        .llm_arg = a,
        .collections = &a->collections,
    };
    options.entry = split_script(arena, agent->script, &options.root);
    if (agent->js_heap_limit > 0) {
        options.limits.heap_bytes = (size_t)agent->js_heap_limit;
    }
    if (agent->js_cpu_limit_ns > 0) {
        options.limits.cpu_ns = agent->js_cpu_limit_ns;
    }
    int rc = a->config->llm ? need_llm(a, e) : 0;
    rc = rc == 0 ? js_agent_create(&options, spec, e) : rc;
    arena_destroy(arena);
    return rc;
}

static int add_script_tool(Assembly *a, const ConfigTool *tool, Err *e)
{
    Arena *arena = arena_create(4 << 20);
    Buf schema = buf_create(1 << 20);
    if (tool->schema) {
        JsonWriter w = json_writer(&schema, 0);
        doc_write(&w, tool->schema);
    }
    JsOptions options = {
        .limits = script_limits(a),
        .tools = a->tools,
        .description = tool->description,
        .schema = buf_slice(&schema),
        .result_bytes_max = (size_t)tool->max_result,
        .timeout_ns = tool->timeout_ns,
        .collections = &a->collections,
    };
    options.entry = split_script(arena, tool->script, &options.root);
    int rc = js_tool_add(a->tools, tool->name, &options, e);
    buf_done(&schema);
    arena_destroy(arena);
    return rc;
}

static int add_tools(Assembly *a, Err *e)
{
    int rc = 0;
    for (size_t i = 0; i < a->config->tool_count && rc == 0; i++) {
        const ConfigTool *tool = &a->config->tools[i];
        if (tool->script.len > 0) {
            rc = add_script_tool(a, tool, e);
        } else if (a->options.library_tool) {
            rc = a->options.library_tool(tool, a->tools, e);
        } else {
            rc = err_set(e, ERR_UNSUPPORTED, "tools in shared libraries cannot be used here");
        }
        if (rc != 0) {
            (void)err_wrap(e, "tool \"%.*s\"", SLICE_FMT(tool->name));
        }
    }
    return rc;
}

static int fill_agent(Assembly *a, const ConfigAgent *agent, AgentSpec *spec, Err *e)
{
    switch (agent->kind) {
    case AGENT_KIND_BUILTIN:
        spec->run = slice_eq(agent->builtin, SLICE("echo")) ? run_echo : run_null;
        return 0;
    case AGENT_KIND_LIBRARY:
        return a->options.library_agent
                   ? a->options.library_agent(agent, spec, e)
                   : err_set(e, ERR_UNSUPPORTED, "agents in shared libraries cannot be used here");
    case AGENT_KIND_LLM: return make_llm(a, agent, spec, e);
    case AGENT_KIND_SCRIPT: return make_script(a, agent, spec, e);
    }
    return err_set(e, ERR_UNSUPPORTED, "agents of this kind cannot be used in this build");
}

static int add_agent(Assembly *a, const ConfigAgent *agent, Err *e)
{
    AgentSpec spec = {
        .name = agent->name,
        .placement = PLACE_BY_SESSION,
        .overflow = (OverflowRule)agent->overflow,
        .dead_letter = agent->dead_letter,
        .mailbox_max = (uint32_t)agent->mailbox,
        .worker_limit = (uint32_t)agent->workers,
    };
    ParamValue policies[POLICY_PARAM_COUNT];
    int rc = fill_agent(a, agent, &spec, e);
    if (rc == 0 && (agent->policies.count > 0 || agent->timeout_ns > 0)) {
        rc = agent_config_policies(a->config, &agent->policies, policies, e);
        if (agent->timeout_ns > 0) {
            policies[P_TIMEOUT_CALL].integer = agent->timeout_ns;
        }
        spec.policies = policies;
    }
    if (rc == 0 && (rc = runner_register(a->runner, &spec, NULL, e)) != 0 && spec.destroy) {
        spec.destroy(spec.self);
    }
    if (rc != 0) {
        (void)err_wrap(e, "agent \"%.*s\"", SLICE_FMT(agent->name));
    }
    return rc;
}

// ---- edges

static int add_edge(Assembly *a, const ConfigEdge *edge, AgentId from, Err *e)
{
    ParamValue policies[POLICY_PARAM_COUNT];
    AgentId to = runner_find(a->runner, edge->to);
    int rc = agent_config_policies(a->config, &edge->policies, policies, e);
    if (rc == 0 && (rc = runner_edge(a->runner, from, to, policies, NULL, e)) != 0) {
        (void)err_wrap(e, "edge \"%.*s\"", SLICE_FMT(edge->name));
    }
    return rc;
}

// "*" stands for every agent of the configuration but the callee, where no edge of its own says
// otherwise.
static int add_edges(Assembly *a, Err *e)
{
    const AgentConfig *c = a->config;
    int rc = 0;
    for (size_t i = 0; i < c->edge_count && rc == 0; i++) {
        if (!slice_eq(c->edges[i].from, SLICE("*"))) {
            rc = add_edge(a, &c->edges[i], runner_find(a->runner, c->edges[i].from), e);
        }
    }
    for (size_t i = 0; i < c->edge_count && rc == 0; i++) {
        const ConfigEdge *edge = &c->edges[i];
        for (size_t k = 0; slice_eq(edge->from, SLICE("*")) && k < c->agent_count && rc == 0; k++) {
            if (!slice_eq(c->agents[k].name, edge->to)) {
                rc = add_edge(a, edge, runner_find(a->runner, c->agents[k].name), e);
                rc = rc == ERR_EXISTS ? 0 : rc;
            }
        }
    }
    return rc;
}

// ---- orchestration

static OrchestrationMode mode_of(const ConfigOrchestration *o)
{
    switch ((ConfigMode)o->mode) {
    case MODE_ROUTE: return ORCHESTRATE_ROUTE;
    case MODE_SEQUENTIAL: return ORCHESTRATE_SEQUENTIAL;
    case MODE_PARALLEL:
    case MODE_COLLABORATE: return ORCHESTRATE_PARALLEL;
    case MODE_LOOP: return ORCHESTRATE_LOOP;
    case MODE_MIXED: return ORCHESTRATE_MIXED;
    case MODE_DAG: return ORCHESTRATE_WORKFLOW;
    }
    return ORCHESTRATE_ROUTE;
}

// The steps and routes of the configuration as the orchestrator wants them, in `arena`.
static void fill_graph(Arena *arena, const ConfigOrchestration *o, OrchestrationSpec *spec)
{
    WorkflowStep *steps = ARENA_ARRAY(arena, WorkflowStep, o->node_count + 1);
    for (size_t i = 0; i < o->node_count; i++) {
        const ConfigNode *node = &o->nodes[i];
        steps[i] = (WorkflowStep){node->name, node->agent, node->after.items, node->after.count};
    }
    Route *routes = ARENA_ARRAY(arena, Route, doc_count(o->routes) + 1);
    for (const Doc *m = doc_first(o->routes); m; m = doc_next(m)) {
        routes[spec->route_count++] = (Route){m->key, m->text};
    }
    spec->steps = steps;
    spec->step_count = o->node_count;
    spec->routes = routes;
}

static int add_orchestration(Assembly *a, Err *e)
{
    const ConfigOrchestration *o = &a->config->orchestration;
    if (!o->given) {
        return 0;
    }
    bool mixed = o->mode == MODE_MIXED, loop = o->mode == MODE_LOOP;
    OrchestrationSpec spec = {
        .name = o->name,
        .mode = mode_of(o),
        .agents = mixed  ? o->collaborative_agents.items
                  : loop ? &o->loop_agent
                         : o->agents.items,
        .agent_count = mixed  ? o->collaborative_agents.count
                       : loop ? 1
                              : o->agents.count,
        .then = o->sequential_agents.items,
        .then_count = mixed ? o->sequential_agents.count : 0,
        .max_iterations = (uint32_t)o->max_iterations,
        .max_concurrent = (uint32_t)o->max_concurrency,
        .step_timeout_ns = o->step_timeout_ns,
        .errors = (ErrorStrategy)o->error_strategy,
        .state = (StateStrategy)o->state_strategy,
    };
    Arena *arena = arena_create(4 << 20);
    fill_graph(arena, o, &spec);
    int rc = orchestrator_register(a->runner, &spec, NULL, e);
    arena_destroy(arena);
    return rc;
}

// ---- life

static bool has_scripts(const AgentConfig *c)
{
    bool has = false;
    for (size_t i = 0; i < c->agent_count; i++) {
        has = has || c->agents[i].script.len > 0;
    }
    for (size_t i = 0; i < c->tool_count; i++) {
        has = has || c->tools[i].script.len > 0;
    }
    return has;
}

static RunnerOptions runner_options(const Assembly *a)
{
    const AssemblyOptions *options = &a->options;
    const AgentConfig *c = a->config;
    return (RunnerOptions){
        .shards = options->shards > 0 ? options->shards : (unsigned)c->runtime.shards,
        .pin = c->runtime.pin,
        .stack_bytes = has_scripts(c) ? (size_t)JS_STACK_BYTES : 0,
        .max_concurrent_events = (uint32_t)c->runner.max_concurrent_events,
        .event_buffer = (uint32_t)c->runner.event_buffer_size,
        .worker_limit = (uint32_t)c->runner.worker_pool_size,
        .event_timeout_ns =
            options->event_timeout_ns > 0 ? options->event_timeout_ns : c->runner.event_timeout_ns,
        .hops_max = (uint32_t)c->runner.max_hops,
        .trace_entries = (uint32_t)c->runner.trace_entries,
        .trace_off = c->runner.trace_entries == 0,
        .metrics_off = !c->monitoring.enable_metrics,
        .state_compress_min =
            c->memory.enable_state_compression ? (size_t)c->memory.compression_threshold : 0,
        .seed = a->seed,
        .trace_drop = 1 - c->monitoring.trace_ratio,
        .manual = options->manual,
    };
}

// Ids of traces must differ from every other process's; those of a test must not differ at all.
static uint64_t make_seed(const AssemblyOptions *options)
{
    uint64_t seed = 0;
    if (!options->manual && getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        seed = (uint64_t)clock_wall(clock_real());
    }
    return seed;
}

static bool exports_spans(const Assembly *a)
{
    const ConfigMonitoring *m = &a->config->monitoring;
    return m->given && m->otlp_endpoint.len > 0 && !a->options.without_monitoring;
}

static int add_hooks(Assembly *a, Err *e)
{
    int rc = runner_hook(a->runner, HOOK_BEFORE_AGENT, load_state, a, e);
    return rc != 0 ? rc : runner_hook(a->runner, HOOK_AFTER_AGENT, store_state, a, e);
}

int assembly_create(const AssemblyOptions *options, Assembly **ret_assembly, Err *e)
{
    Assembly *a = mem_zalloc(sizeof *a);
    a->options = *options;
    a->config = options->config;
    a->states = state_cache_create(&(StateCacheOptions){
        .sessions_max = (size_t)a->config->memory.state_cache_size,
        .ttl_ns = a->config->memory.state_cache_ttl_ns,
    });
    a->tools = tool_set_create(&(ToolSetOptions){0});
    a->seed = make_seed(options);
    RunnerOptions runner = runner_options(a);
    int rc = runner_create(&runner, &a->runner, e);
    rc = rc == 0 ? add_hooks(a, e) : rc;
    if (rc == 0 && exports_spans(a)) {
        a->spans = agent_spans_create();
        rc = agent_spans_watch(a->spans, a->runner, e);
    }
    rc = rc == 0 ? add_tools(a, e) : rc;
    for (size_t i = 0; i < a->config->agent_count && rc == 0; i++) {
        rc = add_agent(a, &a->config->agents[i], e);
    }
    rc = rc == 0 ? add_edges(a, e) : rc;
    rc = rc == 0 ? add_orchestration(a, e) : rc;
    if (rc == 0 && !options->without_monitoring) {
        rc = agent_watch_create(&a->config->monitoring, a->runner, a->llm,
                                agent_spans_queue(a->spans), &a->watch, e);
    }
    if (rc != 0) {
        assembly_destroy(a);
        return rc;
    }
    *ret_assembly = a;
    return 0;
}

// Servers are asked for their tools before the first event, so that an agent never runs without
// what its configuration gives it.
int assembly_start(Assembly *assembly, Err *e)
{
    int rc = mcp_host_open(assembly->config, agent_spans_queue(assembly->spans), &assembly->mcp, e);
    if (rc != 0 || (rc = agent_watch_servers(assembly->watch, assembly->mcp, e)) != 0 ||
        (rc = mcp_host_add_tools(assembly->mcp, assembly->tools, e)) != 0) {
        return rc;
    }
    if ((rc = runner_start(assembly->runner, e)) != 0) {
        return rc;
    }
    assembly->started = true;
    if (assembly->config->runtime.memory_limit > 0 &&
        (rc = memory_guard_start(assembly->runner, assembly->config->runtime.memory_limit,
                                 &assembly->memory, e)) != 0) {
        return rc;
    }
    return agent_watch_start(assembly->watch, e);
}

AssemblyCaches assembly_caches(Assembly *assembly, bool clear)
{
    return (AssemblyCaches){
        .models = llm_host_cache(assembly->llm, assembly->runner, clear),
        .tools = mcp_host_cache(assembly->mcp, clear),
    };
}

unsigned assembly_monitor_port(const Assembly *assembly)
{
    return agent_watch_port(assembly->watch);
}

size_t assembly_stop(Assembly *assembly, int64_t drain_ns)
{
    assembly->started = false;
    agent_watch_stop(assembly->watch);
    memory_guard_stop(assembly->memory);
    assembly->memory = NULL;
    return runner_stop(assembly->runner, drain_ns);
}

void assembly_destroy(Assembly *assembly)
{
    if (assembly) {
        if (assembly->started) {
            (void)assembly_stop(assembly, 0);
        }
        // Clients of providers are parts of the shards' loops, so they go first.
        llm_host_destroy(assembly->llm);
        agent_watch_stop(assembly->watch); // that was never started, too
        runner_destroy(assembly->runner);
        agent_watch_destroy(assembly->watch);
        tool_set_destroy(assembly->tools);
        mcp_host_close(assembly->mcp);
        agent_spans_destroy(assembly->spans); // which all of the above may fill
        state_cache_destroy(assembly->states);
        free(assembly);
    }
}
