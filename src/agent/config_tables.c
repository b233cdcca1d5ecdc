// The keys of every section: one row a key. docs/guide/agents.md holds what agent_config_keys
// prints from them, and a test compares the two.
#include "agent/config.h"

const char *const CONFIG_OVERFLOWS[] = {"block", "shed", "dead_letter", NULL};
const char *const CONFIG_MODES[] = {"route", "sequential", "parallel", "collaborate",
                                    "loop",  "mixed",      "dag",      NULL};
static const char *const ERROR_STRATEGIES[] = {"fail_fast", "collect", "continue", NULL};
static const char *const STATE_STRATEGIES[] = {"merge", "overwrite", "isolate", NULL};
static const char *const BALANCES[] = {"round_robin", "least_outstanding", "latency", NULL};
static const char *const ANSWERS[] = {"text", "json", NULL};

#define GIB (1024.0 * 1024 * 1024)
#define KIB (INT64_C(1) << 10)
#define MIB (INT64_C(1) << 20)

// clang-format off
#define TABLE(section, rows) {section, rows, COUNT_OF(rows)}

#define DAY  NS_PER_DAY
#define HOUR NS_PER_HOUR
#define MIN  NS_PER_MINUTE
#define SEC  NS_PER_SECOND
#define MS   NS_PER_MS

// ---- the guide's sections

static const Field RUNNER[] = {
    INT_FIELD(ConfigRunner, max_concurrent_events, "max_concurrent_events", 1, 1e6, 100,
              "Agent runs at one time, of all agents together; further events wait."),
    INT_FIELD(ConfigRunner, event_buffer_size, "event_buffer_size", 1, 1e6, 1000,
              "Events that wait for one agent before its overflow rule applies."),
    INT_FIELD(ConfigRunner, worker_pool_size, "worker_pool_size", 1, 1e6, 50,
              "Runs of one agent at one time, where the agent does not say `workers`."),
    TIME_FIELD(ConfigRunner, event_timeout_ns, "event_timeout", MS, DAY, 30 * SEC,
               "Deadline of an event that brings none; it holds for everything the event starts."),
    TIME_FIELD(ConfigRunner, stop_timeout_ns, "stop_timeout", 0, HOUR, 10 * SEC,
               "How long a stop waits for events before it cancels them."),
    INT_FIELD(ConfigRunner, max_hops, "max_hops", 1, 1e6, 1000,
              "Longest chain of emits and calls that one event may start: ends cyclic routes."),
    INT_FIELD(ConfigRunner, trace_entries, "trace_entries", 0, 1e6, 1000,
              "Entries kept of each session for `perfwright trace`; 0: sessions are not traced."),
};
const FieldTable CONFIG_RUNNER = TABLE("runner", RUNNER);

static const Field MEMORY[] = {
    INT_FIELD(ConfigMemory, state_cache_size, "state_cache_size", 1, 1e8, 10000,
              "Sessions whose state is kept between events; the least recently used goes first."),
    TIME_FIELD(ConfigMemory, state_cache_ttl_ns, "state_cache_ttl", MS, 365 * DAY, HOUR,
               "How long a session's state is kept after its last event."),
    BOOL_FIELD(ConfigMemory, enable_state_compression, "enable_state_compression", false,
               "Compress large values of kept states with zstd."),
    SIZE_FIELD(ConfigMemory, compression_threshold, "compression_threshold", 64, GIB, 4 * KIB,
               "Size from which a value is compressed."),
};
const FieldTable CONFIG_MEMORY = TABLE("memory", MEMORY);

static const Field PERFORMANCE[] = {
    BOOL_FIELD(ConfigPerformance, enable_request_batching, "enable_request_batching", false,
               "Gather embedding requests into batches."),
    INT_FIELD(ConfigPerformance, batch_size, "batch_size", 1, 2048, 10,
              "Texts in a batch at most."),
    TIME_FIELD(ConfigPerformance, batch_timeout_ns, "batch_timeout", 0, MIN, 100 * MS,
               "How long the first text of a batch waits for others."),
    BOOL_FIELD(ConfigPerformance, enable_connection_pooling, "enable_connection_pooling", true,
               "Keep connections to providers open between requests."),
    INT_FIELD(ConfigPerformance, pool_size, "pool_size", 1, 10000, 50,
              "Connections to a provider that does not say `max_connections`."),
};
const FieldTable CONFIG_PERFORMANCE = TABLE("performance", PERFORMANCE);

static const Field MONITORING[] = {
    BOOL_FIELD(ConfigMonitoring, enable_metrics, "enable_metrics", true,
               "Where the section stands: serve /metrics on the profile port, and export."),
    TIME_FIELD(ConfigMonitoring, metrics_interval_ns, "metrics_interval", 100 * MS, HOUR, 10 * SEC,
               "How often live figures are gathered and exported."),
    BOOL_FIELD(ConfigMonitoring, enable_profiling, "enable_profiling", false,
               "Serve /debug/pprof/profile, heap and goroutine on the profile port."),
    INT_FIELD(ConfigMonitoring, profile_port, "profile_port", 0, 65535, 6060,
              "Port on 127.0.0.1; 0: any free one, which is logged."),
    TEXT_FIELD(ConfigMonitoring, otlp_endpoint, "otlp_endpoint", FIELD_TEXT,
               "Base URL of an OpenTelemetry receiver, such as `http://127.0.0.1:4318`."),
    REAL_FIELD(ConfigMonitoring, trace_ratio, "trace_ratio", 0, 1, 1,
               "Share of new traces that it is sent, 0 to 1; traces of callers go on as they say."),
};
const FieldTable CONFIG_MONITORING = TABLE("monitoring", MONITORING);

static const Field RUNTIME[] = {
    INT_FIELD(ConfigRuntime, shards, "shards", 0, 1024, 0,
              "Threads that run agents (Go: GOMAXPROCS); 0: one for each processor."),
    BOOL_FIELD(ConfigRuntime, pin, "pin", false, "Tie each of them to a processor of its own."),
    SIZE_FIELD(ConfigRuntime, memory_limit, "memory_limit", 0, 1024 * GIB, 0,
               "Memory of the process (Go: SetMemoryLimit) from which events are shed; 0: none."),
    SIZE_FIELD(ConfigRuntime, js_heap_limit, "js_heap_limit", MIB, 16 * GIB, 64 * MIB,
               "Heap of one JavaScript activation; more ends it."),
    SIZE_FIELD(ConfigRuntime, js_gc_threshold, "js_gc_threshold", 16 * KIB, 16 * GIB, MIB,
               "Bytes allocated between two garbage collections (Go: SetGCPercent)."),
    TIME_FIELD(ConfigRuntime, js_cpu_limit_ns, "js_cpu_limit", MS, HOUR, 5 * SEC,
               "Time that one JavaScript activation may compute; more ends it."),
};
const FieldTable CONFIG_RUNTIME = TABLE("runtime", RUNTIME);

// ---- agents

static const Field AGENT[] = {
    TEXT_FIELD(ConfigAgent, library, "library", FIELD_PATH,
               "Agent in C: a shared library (include/perfwright/agent.h)."),
    TEXT_FIELD(ConfigAgent, symbol, "symbol", FIELD_TEXT,
               "Its function; `pw_agent_run` when not given."),
    TEXT_FIELD(ConfigAgent, script, "script", FIELD_PATH, "Agent in JavaScript: its module."),
    TEXT_FIELD(ConfigAgent, builtin, "builtin", FIELD_TEXT,
               "`echo` answers with what it was sent, `null` with nothing."),
    TEXT_FIELD(ConfigAgent, llm, "llm", FIELD_TEXT,
               "LLM agent: `NAME` of an [llm.NAME], or `NAME/MODEL`."),
    TEXT_FIELD(ConfigAgent, role, "role", FIELD_TEXT, "LLM agent: one of [llm.roles] instead."),
    TEXT_FIELD(ConfigAgent, system_prompt, "system_prompt", FIELD_TEXT, "LLM agent: who it is."),
    TEXT_FIELD(ConfigAgent, system_prompt_file, "system_prompt_file", FIELD_PATH,
               "The same from a file."),
    TEXT_FIELD(ConfigAgent, tools, "tools", FIELD_NAMES,
               "Tools it may call: names of [tools.NAME], `mcp:SERVER` for all of a server's."),
    CHOICE_FIELD(ConfigAgent, answer, "answer", ANSWERS, 0,
                 "LLM agent: `text` gives {\"text\": ...}, `json` the model's own object."),
    INT_FIELD(ConfigAgent, max_turns, "max_turns", 1, 1000, 10,
              "LLM agent: requests to the model for one event, tool calls between them."),
    INT_FIELD(ConfigAgent, max_tokens, "max_tokens", 1, 1e7, 4096,
              "LLM agent: length of one answer."),
    REAL_FIELD(ConfigAgent, temperature, "temperature", -1, 2, -1,
               "LLM agent: below 0: the provider's own."),
    INT_FIELD(ConfigAgent, token_budget, "token_budget", 0, 1e12, 0,
              "LLM agent: tokens for one event; 0: no limit."),
    REAL_FIELD(ConfigAgent, cost_budget, "cost_budget", 0, 1e9, 0,
               "LLM agent: money for one event; 0: no limit."),
    INT_FIELD(ConfigAgent, total_token_budget, "total_token_budget", 0, 1e15, 0,
              "Tokens of all its calls to models while the system runs; 0: no limit."),
    REAL_FIELD(ConfigAgent, total_cost_budget, "total_cost_budget", 0, 1e9, 0,
               "Money of all its calls to models; 0: no limit."),
    INT_FIELD(ConfigAgent, history, "history", 0, LLM_HISTORY_MAX, 0,
              "LLM agent: messages of the session's earlier events that the model is shown; 0: "
              "every event begins anew."),
    INT_FIELD(ConfigAgent, parallel_tools, "parallel_tools", 1, 1000, 8,
              "Tool calls of one turn that run at one time."),
    BOOL_FIELD(ConfigAgent, stream, "stream", false,
               "LLM agent: hand on the model's words as they come."),
    INT_FIELD(ConfigAgent, workers, "workers", 0, 1e6, 0,
              "Runs at one time; 0: [runner] worker_pool_size."),
    INT_FIELD(ConfigAgent, mailbox, "mailbox", 0, 1e6, 0,
              "Events that wait; 0: [runner] event_buffer_size."),
    CHOICE_FIELD(ConfigAgent, overflow, "overflow", CONFIG_OVERFLOWS, 0,
                 "When the mailbox is full: the sender waits, the event is shed, or it goes to "
                 "`dead_letter`."),
    TEXT_FIELD(ConfigAgent, dead_letter, "dead_letter", FIELD_TEXT,
               "Agent that gets what did not fit."),
    TIME_FIELD(ConfigAgent, timeout_ns, "timeout", 0, DAY, 0,
               "Of one run; 0: only the event's deadline."),
    TEXT_FIELD(ConfigAgent, policies, "policies", FIELD_NAMES,
               "Names of [policies.NAME]; later ones win where they say the same."),
    SIZE_FIELD(ConfigAgent, js_heap_limit, "js_heap_limit", 0, 16 * GIB, 0,
               "JavaScript: 0: [runtime] js_heap_limit."),
    TIME_FIELD(ConfigAgent, js_cpu_limit_ns, "js_cpu_limit", 0, HOUR, 0,
               "JavaScript: 0: [runtime] js_cpu_limit."),
};
const FieldTable CONFIG_AGENT = TABLE("agents.NAME", AGENT);

static const Field TOOL[] = {
    TEXT_FIELD(ConfigTool, script, "script", FIELD_PATH, "Tool in JavaScript: its module."),
    TEXT_FIELD(ConfigTool, library, "library", FIELD_PATH, "Tool in C: a shared library."),
    TEXT_FIELD(ConfigTool, symbol, "symbol", FIELD_TEXT,
               "Its function; `pw_tool_call` when not given."),
    TEXT_FIELD(ConfigTool, description, "description", FIELD_TEXT, "What the model is told."),
    TEXT_FIELD(ConfigTool, schema, "schema", FIELD_TREE, "JSON schema of the arguments."),
    TIME_FIELD(ConfigTool, timeout_ns, "timeout", MS, DAY, 30 * SEC, "Of one call."),
    SIZE_FIELD(ConfigTool, max_result, "max_result", KIB, GIB, MIB,
               "A larger result is an error; large ones should be paginated."),
};
const FieldTable CONFIG_TOOL = TABLE("tools.NAME", TOOL);

static const Field EDGE[] = {
    TEXT_FIELD(ConfigEdge, from, "from", FIELD_TEXT, "Agent that calls; `*` for any."),
    TEXT_FIELD(ConfigEdge, to, "to", FIELD_TEXT, "Agent that is called."),
    TEXT_FIELD(ConfigEdge, policies, "policies", FIELD_NAMES, "Names of [policies.NAME]."),
};
const FieldTable CONFIG_EDGE = TABLE("edges.NAME", EDGE);

static const Field ORCHESTRATION[] = {
    TEXT_FIELD(ConfigOrchestration, name, "name", FIELD_TEXT,
               "Name under which the orchestration is an agent itself; `main` when not given."),
    CHOICE_FIELD(ConfigOrchestration, mode, "mode", CONFIG_MODES, MODE_ROUTE,
                 "How the agents work together; `collaborate` is `parallel`."),
    TEXT_FIELD(ConfigOrchestration, agents, "agents", FIELD_NAMES,
               "Who takes part, in this order where order matters."),
    TEXT_FIELD(ConfigOrchestration, sequential_agents, "sequential_agents", FIELD_NAMES,
               "sequential: another word for `agents`; mixed: the second phase."),
    TEXT_FIELD(ConfigOrchestration, collaborative_agents, "collaborative_agents", FIELD_NAMES,
               "parallel: another word for `agents`; mixed: the first phase."),
    TEXT_FIELD(ConfigOrchestration, loop_agent, "loop_agent", FIELD_TEXT,
               "loop: who runs until its state says `loop_completed`."),
    INT_FIELD(ConfigOrchestration, max_iterations, "max_iterations", 1, 1e6, 10,
              "loop: rounds at most."),
    TIME_FIELD(ConfigOrchestration, step_timeout_ns, "step_timeout", 0, DAY, 0,
               "Of each agent's run; 0: only the event's deadline."),
    CHOICE_FIELD(ConfigOrchestration, error_strategy, "error_strategy", ERROR_STRATEGIES, 0,
                 "At the first error: end; go on and report all; go on without it."),
    CHOICE_FIELD(ConfigOrchestration, state_strategy, "state_strategy", STATE_STRATEGIES, 0,
                 "What parallel agents make of one state: merged in order, the last wins, or each "
                 "under its own name."),
    INT_FIELD(ConfigOrchestration, max_concurrency, "max_concurrency", 1, 1e6, 1000,
              "Agents of one event that run at one time."),
    TEXT_FIELD(ConfigOrchestration, routes, "routes", FIELD_TREE,
               "route: { TYPE = \"AGENT\" }; what none takes goes to the first of `agents`."),
    TEXT_FIELD(ConfigOrchestration, node_tree, "nodes", FIELD_TREE,
               "dag: [orchestration.nodes.NAME] with `agent` and `after`."),
};
const FieldTable CONFIG_ORCHESTRATION = TABLE("orchestration", ORCHESTRATION);

static const Field NODE[] = {
    TEXT_FIELD(ConfigNode, agent, "agent", FIELD_TEXT, "Who runs; the node's name by default."),
    TEXT_FIELD(ConfigNode, after, "after", FIELD_NAMES, "Nodes that must have ended."),
};
const FieldTable CONFIG_NODE = TABLE("orchestration.nodes.NAME", NODE);

// ---- MCP

static const Field MCP[] = {
    BOOL_FIELD(ConfigMcp, enabled, "enabled", true, "Connect to the servers."),
    TIME_FIELD(ConfigMcp, connection_timeout_ns, "connection_timeout", MS, HOUR, 10 * SEC,
               "Until a server answered for the first time."),
    TIME_FIELD(ConfigMcp, request_timeout_ns, "request_timeout", MS, DAY, 60 * SEC,
               "Of one request; progress does not extend it."),
    INT_FIELD(ConfigMcp, max_retries, "max_retries", 0, 100, 3,
              "Of tools that are idempotent; others are never called twice."),
    TIME_FIELD(ConfigMcp, retry_delay_ns, "retry_delay", 0, HOUR, 500 * MS, "First pause."),
    BOOL_FIELD(ConfigMcp, enable_caching, "enable_caching", false,
               "Keep results of tools that are read-only or have a TTL."),
    TIME_FIELD(ConfigMcp, cache_ttl_ns, "cache_ttl", 0, 365 * DAY, 5 * MIN,
               "Of a tool that has none of its own."),
    SIZE_FIELD(ConfigMcp, cache_max_size, "cache_max_size", KIB, 64 * GIB, 64 * MIB,
               "Least recently used results go first."),
    INT_FIELD(ConfigMcp, max_connections, "max_connections", 1, 1000, 4,
              "To one server, where it says nothing."),
    TIME_FIELD(ConfigMcp, health_interval_ns, "health_interval", 0, HOUR, 30 * SEC,
               "Between two checks; 0: none."),
    CHOICE_FIELD(ConfigMcp, balance, "balance", BALANCES, 0, "Which connection is asked next."),
    SIZE_FIELD(ConfigMcp, max_message_size, "max_message_size", KIB, GIB, 16 * MIB,
               "A larger message ends the connection."),
    TEXT_FIELD(ConfigMcp, servers, "servers", FIELD_TREE, "[mcp.servers.NAME], see below."),
};
const FieldTable CONFIG_MCP = TABLE("mcp", MCP);

static const Field MCP_SERVER[] = {
    TEXT_FIELD(ConfigMcpServer, command, "command", FIELD_TEXT,
               "stdio: the program to start."),
    TEXT_FIELD(ConfigMcpServer, args, "args", FIELD_WORDS, "Its arguments."),
    TEXT_FIELD(ConfigMcpServer, env, "env", FIELD_TREE, "Its environment, beside ours."),
    TEXT_FIELD(ConfigMcpServer, url, "url", FIELD_TEXT, "Streamable HTTP: the endpoint."),
    TEXT_FIELD(ConfigMcpServer, headers, "headers", FIELD_TREE,
               "Sent with every request; `${NAME}` is taken from the environment."),
    TEXT_FIELD(ConfigMcpServer, idempotent_tools, "idempotent_tools", FIELD_NAMES,
               "Tools that may be called again after a failure, beside those that say so."),
    TEXT_FIELD(ConfigMcpServer, tool_ttls, "tool_ttls", FIELD_TREE,
               "How long results are kept: { search = \"1m\" }."),
    INT_FIELD(ConfigMcpServer, max_connections, "max_connections", 0, 1000, 0,
              "0: [mcp] max_connections."),
    BOOL_FIELD(ConfigMcpServer, enabled, "enabled", true, "Connect to it."),
};
const FieldTable CONFIG_MCP_SERVER = TABLE("mcp.servers.NAME", MCP_SERVER);
// clang-format on
