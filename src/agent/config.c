#include "agent/config.h"

// ---- sections that are maps from a name to a table

// What the members of [agents], [tools] and so on have in common.
typedef struct MapReader {
    const FieldTable *table; // NULL: the member is only kept
    size_t item_bytes;
    size_t name_offset;
    ptrdiff_t doc_offset; // -1: none
    size_t max;
} MapReader;

static int read_map(Arena *arena, const MapReader *reader, const Doc *map, void **ret_items,
                    size_t *ret_count, Err *e)
{
    if (!map) {
        return 0;
    }
    int rc = doc_expect(map, DOC_OBJECT, map->key.len ? map->key.ptr : "this section", e);
    if (rc != 0) {
        return rc;
    }
    if (doc_count(map) > reader->max) {
        (void)doc_err_key(e, map, "%.*s has %zu members, the limit is %zu", SLICE_FMT(map->key),
                          doc_count(map), reader->max);
        return ERR_LIMIT;
    }
    char *items = arena_alloc_array(arena, doc_count(map) + 1, reader->item_bytes);
    size_t count = 0;
    for (const Doc *m = doc_first(map); m; m = doc_next(m), count++) {
        char *item = items + count * reader->item_bytes;
        *(Slice *)(void *)(item + reader->name_offset) = m->key;
        if (reader->doc_offset >= 0) {
            *(const Doc **)(void *)(item + reader->doc_offset) = m;
        }
        if (!reader->table) {
            rc = doc_expect(m, DOC_OBJECT, m->key.ptr, e);
        } else {
            fields_init(reader->table, item);
            rc = fields_read(arena, reader->table, m, item, e);
        }
        if (rc != 0) {
            return rc;
        }
    }
    *ret_items = items;
    *ret_count = count;
    return 0;
}

#define MAP_READER(map_table, type, doc_at, limit)                                                 \
    {                                                                                              \
        .table = (map_table), .item_bytes = sizeof(type), .name_offset = offsetof(type, name),     \
        .doc_offset = (doc_at), .max = (limit)                                                     \
    }

// read_map into a typed pair of pointer and count.
#define READ_MAP(arena, reader, map, items, count, e)                                              \
    ({                                                                                             \
        void *made_ = NULL;                                                                        \
        int rc_ = read_map((arena), (reader), (map), &made_, &(count), (e));                       \
        if (rc_ == 0) {                                                                            \
            (items) = made_;                                                                       \
        }                                                                                          \
        rc_;                                                                                       \
    })

// ---- agents and what hangs on them

static int settle_agent(ConfigAgent *a, Err *e)
{
    bool is_llm = a->llm.len > 0 || a->role.len > 0;
    int ways = (a->library.len > 0) + (a->script.len > 0) + (a->builtin.len > 0) + is_llm;
    if (ways != 1) {
        return doc_err_key(e, a->doc,
                           "agent \"%.*s\" must have %s of library, script, llm (or role) "
                           "and builtin",
                           SLICE_FMT(a->name), ways == 0 ? "one" : "only one");
    }
    if (a->llm.len > 0 && a->role.len > 0) {
        return doc_err_key(e, a->doc, "agent \"%.*s\" has both llm and role", SLICE_FMT(a->name));
    }
    if (a->system_prompt.len > 0 && a->system_prompt_file.len > 0) {
        return doc_err_key(e, a->doc,
                           "agent \"%.*s\" has both system_prompt and system_prompt_file",
                           SLICE_FMT(a->name));
    }
    if (!is_llm && (a->tools.doc || a->system_prompt.len + a->system_prompt_file.len > 0)) {
        return doc_err_key(e, a->doc, "agent \"%.*s\": tools and system_prompt are for LLM agents",
                           SLICE_FMT(a->name));
    }
    if (a->builtin.len > 0 && !slice_eq(a->builtin, SLICE("echo")) &&
        !slice_eq(a->builtin, SLICE("null"))) {
        return doc_err(e, doc_get(a->doc, SLICE("builtin")), "builtin is \"echo\" or \"null\"");
    }
    a->kind = is_llm               ? AGENT_KIND_LLM
              : a->library.len > 0 ? AGENT_KIND_LIBRARY
              : a->script.len > 0  ? AGENT_KIND_SCRIPT
                                   : AGENT_KIND_BUILTIN;
    return 0;
}

static int read_agents(Arena *arena, const Doc *root, AgentConfig *config, Err *e)
{
    static const MapReader AGENTS =
        MAP_READER(&CONFIG_AGENT, ConfigAgent, offsetof(ConfigAgent, doc), CONFIG_AGENTS_MAX);
    static const MapReader TOOLS =
        MAP_READER(&CONFIG_TOOL, ConfigTool, offsetof(ConfigTool, doc), CONFIG_ITEMS_MAX);
    static const MapReader POLICIES =
        MAP_READER(NULL, ConfigPolicy, offsetof(ConfigPolicy, doc), CONFIG_ITEMS_MAX);
    static const MapReader EDGES =
        MAP_READER(&CONFIG_EDGE, ConfigEdge, offsetof(ConfigEdge, doc), CONFIG_ITEMS_MAX);
    ConfigAgent *agents = NULL;
    int rc =
        READ_MAP(arena, &AGENTS, doc_get(root, SLICE("agents")), agents, config->agent_count, e);
    config->agents = agents;
    for (size_t i = 0; i < config->agent_count && rc == 0; i++) {
        rc = settle_agent(&agents[i], e);
    }
    if (rc != 0 ||
        (rc = READ_MAP(arena, &TOOLS, doc_get(root, SLICE("tools")), config->tools,
                       config->tool_count, e)) != 0 ||
        (rc = READ_MAP(arena, &POLICIES, doc_get(root, SLICE("policies")), config->policies,
                       config->policy_count, e)) != 0) {
        return rc;
    }
    return READ_MAP(arena, &EDGES, doc_get(root, SLICE("edges")), config->edges, config->edge_count,
                    e);
}

static int read_orchestration(Arena *arena, const Doc *section, AgentConfig *config, Err *e)
{
    static const MapReader NODES =
        MAP_READER(&CONFIG_NODE, ConfigNode, offsetof(ConfigNode, doc), CONFIG_NODES_MAX);
    ConfigOrchestration *o = &config->orchestration;
    fields_init(&CONFIG_ORCHESTRATION, o);
    int rc = fields_read(arena, &CONFIG_ORCHESTRATION, section, o, e);
    o->given = section != NULL;
    if (o->name.len == 0) {
        o->name = SLICE("main");
    }
    return rc != 0 ? rc : READ_MAP(arena, &NODES, o->node_tree, o->nodes, o->node_count, e);
}

// Headers, environments and times are objects of strings.
static int expect_texts(const Doc *object, Err *e)
{
    int rc = 0;
    for (const Doc *m = doc_first(object); m && rc == 0; m = doc_next(m)) {
        rc = doc_expect(m, DOC_STRING, m->key.ptr, e);
    }
    return rc;
}

static int settle_server(const ConfigMcpServer *server, Err *e)
{
    if ((server->command.len > 0) == (server->url.len > 0)) {
        return doc_err_key(e, server->doc, "server \"%.*s\" must have one of command and url",
                           SLICE_FMT(server->name));
    }
    int rc = expect_texts(server->env, e);
    if (rc != 0 || (rc = expect_texts(server->headers, e)) != 0 ||
        (rc = expect_texts(server->tool_ttls, e)) != 0) {
        return rc;
    }
    for (const Doc *m = doc_first(server->tool_ttls); m; m = doc_next(m)) {
        int64_t ttl_ns;
        Err why = {0};
        if (duration_parse(m->text, 0, &ttl_ns, &why) != 0) {
            return doc_err(e, m, "%.*s: %s", SLICE_FMT(m->key), why.text);
        }
    }
    return 0;
}

static int read_mcp(Arena *arena, const Doc *section, AgentConfig *config, Err *e)
{
    static const MapReader SERVERS = MAP_READER(&CONFIG_MCP_SERVER, ConfigMcpServer,
                                                offsetof(ConfigMcpServer, doc), CONFIG_ITEMS_MAX);
    fields_init(&CONFIG_MCP, &config->mcp);
    if (!section) {
        return 0;
    }
    config->mcp.given = true;
    int rc = fields_read(arena, &CONFIG_MCP, section, &config->mcp, e);
    if (rc == 0) {
        rc = READ_MAP(arena, &SERVERS, config->mcp.servers, config->mcp_servers,
                      config->mcp_server_count, e);
    }
    for (size_t i = 0; i < config->mcp_server_count && rc == 0; i++) {
        rc = settle_server(&config->mcp_servers[i], e);
    }
    return rc;
}

// ---- the whole

static const char *const SECTIONS[] = {
    "runner", "memory", "performance", "monitoring", "runtime",       "llm",
    "agents", "tools",  "policies",    "edges",      "orchestration", "mcp",
};

static int read_sections(Arena *arena, const Doc *root, AgentConfig *config, Err *e)
{
    struct {
        const FieldTable *table;
        void *into;
    } plain[] = {
        {&CONFIG_RUNNER, &config->runner},           {&CONFIG_MEMORY, &config->memory},
        {&CONFIG_PERFORMANCE, &config->performance}, {&CONFIG_MONITORING, &config->monitoring},
        {&CONFIG_RUNTIME, &config->runtime},
    };
    int rc = 0;
    for (size_t i = 0; i < COUNT_OF(plain) && rc == 0; i++) {
        const char *name = plain[i].table->section;
        fields_init(plain[i].table, plain[i].into);
        rc = fields_read(arena, plain[i].table, doc_get(root, slice_from_cstr(name)), plain[i].into,
                         e);
    }
    config->monitoring.given = doc_get(root, SLICE("monitoring")) != NULL;
    config->llm = doc_get(root, SLICE("llm"));
    if (rc != 0 || (config->llm && (rc = doc_expect(config->llm, DOC_OBJECT, "llm", e)) != 0) ||
        (rc = read_agents(arena, root, config, e)) != 0 ||
        (rc = read_orchestration(arena, doc_get(root, SLICE("orchestration")), config, e)) != 0) {
        return rc;
    }
    return read_mcp(arena, doc_get(root, SLICE("mcp")), config, e);
}

int agent_config_read(Arena *arena, const Doc *root, const AgentConfig **ret_config, Err *e)
{
    AgentConfig *config = ARENA_NEW(arena, AgentConfig);
    int rc = 0;
    if (root) {
        Slice names[COUNT_OF(SECTIONS)];
        for (size_t i = 0; i < COUNT_OF(SECTIONS); i++) {
            names[i] = slice_from_cstr(SECTIONS[i]);
        }
        config->source = slice_from_cstr(root->source);
        if ((rc = doc_expect(root, DOC_OBJECT, "a configuration", e)) != 0 ||
            (rc = doc_expect_fields(root, names, COUNT_OF(names), e)) != 0) {
            return rc;
        }
    }
    rc = read_sections(arena, root, config, e);
    if (rc == 0) {
        rc = agent_config_check(arena, config, root, e);
    }
    if (rc == 0) {
        *ret_config = config;
    }
    return rc;
}

int agent_config_load(Arena *arena, const char *path, const AgentConfig **ret_config, Err *e)
{
    const Doc *root = NULL;
    int rc = doc_read_file(arena, path, NULL, &root, e);
    return rc != 0 ? rc : agent_config_read(arena, root, ret_config, e);
}

// ---- looking things up

const ConfigAgent *agent_config_agent(const AgentConfig *config, Slice name)
{
    for (size_t i = 0; i < config->agent_count; i++) {
        if (slice_eq(config->agents[i].name, name)) {
            return &config->agents[i];
        }
    }
    return NULL;
}

const ConfigPolicy *agent_config_policy(const AgentConfig *config, Slice name)
{
    for (size_t i = 0; i < config->policy_count; i++) {
        if (slice_eq(config->policies[i].name, name)) {
            return &config->policies[i];
        }
    }
    return NULL;
}

const ConfigTool *agent_config_tool(const AgentConfig *config, Slice name)
{
    for (size_t i = 0; i < config->tool_count; i++) {
        if (slice_eq(config->tools[i].name, name)) {
            return &config->tools[i];
        }
    }
    return NULL;
}
