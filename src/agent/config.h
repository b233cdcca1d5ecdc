// The configuration of an agent system: one TOML file with the sections and keys of the tuning
// guide, and with what the guide leaves to code (agents, policies, tools, MCP servers).
//
//     const AgentConfig *config;
//     rc = agent_config_load(arena, "agents.toml", &config, e);
//     config->runner.max_concurrent_events ...
//
// Reading is strict: an unknown section or key is refused with the nearest right name, file and
// line; so is a reference to something that the file does not declare, a value out of its range,
// and a workflow that runs in a circle. What is read here is a description; agent/assembly.h makes
// a running system of it. Everything lives in the arena.
//
// One table a section (config_tables.c) holds every key with its kind, range, default and help. The
// same tables print the reference in docs/guide/agents.md (`perfwright agent keys`).
#ifndef AGENT_CONFIG_H
#define AGENT_CONFIG_H

#include "base/field.h"

// ---- the guide's sections

typedef struct ConfigRunner {
    int64_t max_concurrent_events; // runs of agents at one time, in all
    int64_t event_buffer_size;     // events that wait, by agent, before the overflow rule applies
    int64_t worker_pool_size;      // runs of one agent at one time, where the agent says nothing
    int64_t event_timeout_ns;      // deadline of an event that brings none
    int64_t stop_timeout_ns;       // how long a stop drains
    int64_t max_hops;              // longest chain of emits and calls that one event may start
    int64_t trace_entries;         // of each session; 0: sessions are not traced
} ConfigRunner;

typedef struct ConfigMemory {
    int64_t state_cache_size; // session states kept
    int64_t state_cache_ttl_ns;
    bool enable_state_compression;
    int64_t compression_threshold; // bytes from which a value is compressed
} ConfigMemory;

typedef struct ConfigPerformance {
    bool enable_request_batching;
    int64_t batch_size;
    int64_t batch_timeout_ns;
    bool enable_connection_pooling;
    int64_t pool_size; // connections to a provider that does not say max_connections
} ConfigPerformance;

typedef struct ConfigMonitoring {
    bool given; // without the section no port is opened
    bool enable_metrics;
    int64_t metrics_interval_ns;
    bool enable_profiling;
    int64_t profile_port; // on the loopback address
    Slice otlp_endpoint;  // "http://127.0.0.1:4318"; empty: nothing is exported
    double trace_ratio;   // of new traces, whose spans are exported
} ConfigMonitoring;

// What the guide tunes in Go: processors, garbage collector, memory limit.
typedef struct ConfigRuntime {
    int64_t shards;          // threads; 0: as many as processors
    bool pin;                // each to a processor of its own
    int64_t memory_limit;    // bytes of the process; 0: none
    int64_t js_heap_limit;   // bytes of one script
    int64_t js_gc_threshold; // bytes allocated between two collections
    int64_t js_cpu_limit_ns; // of one activation
} ConfigRuntime;

// ---- agents, tools, edges

typedef enum ConfigAgentKind {
    AGENT_KIND_LIBRARY,
    AGENT_KIND_SCRIPT,
    AGENT_KIND_LLM,
    AGENT_KIND_BUILTIN, // "echo" answers with what it was sent; "null" answers nothing
} ConfigAgentKind;

typedef struct ConfigAgent {
    Slice name;
    const Doc *doc;
    ConfigAgentKind kind; // by which of the next four groups is there
    Slice library;        // path of a shared library
    Slice symbol;         // of its PwAgentFn; default pw_agent_run
    Slice script;         // path of a JavaScript module
    Slice builtin;
    // An LLM agent has `llm` or `role`.
    Slice llm;  // name of an [llm.NAME], or NAME/MODEL
    Slice role; // one of [llm.roles]
    Slice system_prompt;
    Slice system_prompt_file;
    FieldNames tools; // names of [tools.*], "mcp:SERVER" for all of a server's
    int64_t answer;   // 0 text, 1 json
    int64_t max_turns;
    int64_t max_tokens;
    double temperature; // below 0: the provider's own
    int64_t token_budget;
    double cost_budget;
    int64_t total_token_budget;
    double total_cost_budget;
    int64_t history;
    int64_t parallel_tools;
    bool stream;
    // Of any kind.
    int64_t workers; // 0: [runner] worker_pool_size
    int64_t mailbox; // 0: [runner] event_buffer_size
    int64_t overflow;
    Slice dead_letter;
    int64_t timeout_ns; // 0: the event's deadline only
    FieldNames policies;
    int64_t js_heap_limit; // 0: [runtime]
    int64_t js_cpu_limit_ns;
} ConfigAgent;

extern const char *const CONFIG_OVERFLOWS[]; // block, shed, dead_letter

typedef struct ConfigTool {
    Slice name;
    const Doc *doc;
    Slice script;  // path of a JavaScript module
    Slice library; // or of a shared library
    Slice symbol;
    Slice description;
    const Doc *schema;
    int64_t timeout_ns;
    int64_t max_result; // bytes
} ConfigTool;

typedef struct ConfigPolicy { // [policies.NAME]: the policy room reads the tree
    Slice name;
    const Doc *doc;
} ConfigPolicy;

typedef struct ConfigEdge { // policies of calls from one agent to another
    Slice name;
    const Doc *doc;
    Slice from, to;
    FieldNames policies;
} ConfigEdge;

// ---- orchestration

typedef enum ConfigMode {
    MODE_ROUTE,
    MODE_SEQUENTIAL,
    MODE_PARALLEL,
    MODE_COLLABORATE, // the guide's other word for parallel
    MODE_LOOP,
    MODE_MIXED,
    MODE_DAG,
} ConfigMode;

typedef struct ConfigNode { // of a DAG
    Slice name;
    const Doc *doc;
    Slice agent; // empty: the agent of the node's name
    FieldNames after;
} ConfigNode;

typedef struct ConfigOrchestration {
    bool given;
    Slice name; // of the agent that the orchestration is; "main" when not given
    int64_t mode;
    FieldNames agents;
    FieldNames sequential_agents; // mixed: the second phase
    FieldNames collaborative_agents;
    Slice loop_agent;
    int64_t max_iterations;
    int64_t step_timeout_ns;
    int64_t error_strategy; // fail_fast, collect, continue
    int64_t state_strategy; // merge, overwrite, isolate
    int64_t max_concurrency;
    const Doc *routes; // event type -> agent
    const Doc *node_tree;
    const ConfigNode *nodes; // in an order in which each comes after what it waits for
    size_t node_count;
} ConfigOrchestration;

extern const char *const CONFIG_MODES[];

// ---- MCP

typedef struct ConfigMcp {
    bool given;
    bool enabled;
    int64_t connection_timeout_ns;
    int64_t request_timeout_ns;
    int64_t max_retries;
    int64_t retry_delay_ns;
    bool enable_caching;
    int64_t cache_ttl_ns;
    int64_t cache_max_size;
    int64_t max_connections;
    int64_t health_interval_ns;
    int64_t balance; // round_robin, least_outstanding, latency
    int64_t max_message_size;
    const Doc *servers;
} ConfigMcp;

typedef struct ConfigMcpServer {
    Slice name;
    const Doc *doc;
    Slice command; // stdio
    FieldNames args;
    const Doc *env; // object of strings
    Slice url;      // streamable HTTP
    const Doc *headers;
    FieldNames idempotent_tools;
    const Doc *tool_ttls; // tool -> duration
    int64_t max_connections;
    bool enabled;
} ConfigMcpServer;

// ---- all of it

typedef struct AgentConfig {
    Slice source;
    ConfigRunner runner;
    ConfigMemory memory;
    ConfigPerformance performance;
    ConfigMonitoring monitoring;
    ConfigRuntime runtime;
    const Doc *llm; // [llm]: the llm room reads the tree; NULL without one
    const ConfigAgent *agents;
    size_t agent_count;
    const ConfigTool *tools;
    size_t tool_count;
    const ConfigPolicy *policies;
    size_t policy_count;
    const ConfigEdge *edges;
    size_t edge_count;
    ConfigOrchestration orchestration;
    ConfigMcp mcp;
    const ConfigMcpServer *mcp_servers;
    size_t mcp_server_count;
} AgentConfig;

enum {
    CONFIG_AGENTS_MAX = 100000,
    CONFIG_NODES_MAX = 1000, // of a workflow
    LLM_HISTORY_MAX = 1000,  // messages
    CONFIG_ITEMS_MAX = 1000, // tools, policies, edges, servers: of each
};

// ERR_PARSE with "file:line:column: what is wrong", ERR_LIMIT, ERR_IO.
MUST_USE int agent_config_load(Arena *arena, const char *path, const AgentConfig **ret_config,
                               Err *e);
// The same from a tree that was read already, and from nothing at all (`root` NULL): every default.
MUST_USE int agent_config_read(Arena *arena, const Doc *root, const AgentConfig **ret_config,
                               Err *e);

const ConfigAgent *agent_config_agent(const AgentConfig *config, Slice name); // NULL: none
const ConfigPolicy *agent_config_policy(const AgentConfig *config, Slice name);
const ConfigTool *agent_config_tool(const AgentConfig *config, Slice name);
// The parameters (POLICY_PARAM_COUNT) that the named policies add up to.
MUST_USE int agent_config_policies(const AgentConfig *config, const FieldNames *names,
                                   ParamValue *values, Err *e);

// Every section's keys with kind, range, default and help as Markdown tables: the guide's
// reference.
void agent_config_keys(Buf *out);
// The whole configuration with every default as one JSON object. Secrets are not in it: a
// configuration only says where they are.
void agent_config_write(const AgentConfig *config, JsonWriter *w);

// ---- for config.c and its parts

extern const FieldTable CONFIG_RUNNER, CONFIG_MEMORY, CONFIG_PERFORMANCE, CONFIG_MONITORING,
    CONFIG_RUNTIME, CONFIG_LLM, CONFIG_LLM_ROLES, CONFIG_LLM_CACHE, CONFIG_LLM_BUDGET,
    CONFIG_LLM_PRICE, CONFIG_AGENT, CONFIG_TOOL, CONFIG_EDGE, CONFIG_ORCHESTRATION, CONFIG_NODE,
    CONFIG_MCP, CONFIG_MCP_SERVER;

// References, cycles and what a table of fields cannot say. Orders the nodes of a workflow.
MUST_USE int agent_config_check(Arena *arena, AgentConfig *config, const Doc *root, Err *e);

#endif
