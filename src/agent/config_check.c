// What one section says about another: every name must be declared, and a workflow must not run in
// a circle. Also the two ways to print a configuration.
#include "agent/config.h"

#include "policy/params.h"

// An error at `at` that names the nearest of the declared names.
static int undeclared(const Doc *at, const char *what, Slice name, const Slice *names, size_t count,
                      Err *e)
{
    Slice nearest = slice_nearest(name, names, count);
    return doc_err(e, at, "there is no %s \"%.*s\"%s%.*s%s", what, SLICE_FMT(name),
                   nearest.len ? "; did you mean \"" : "", SLICE_FMT(nearest),
                   nearest.len ? "\"?" : "");
}

typedef struct Names {
    const char *what; // "agent"
    Slice *items;
    size_t count;
} Names;

// The names of all items of one kind, for suggestions.
static Names names_of(Arena *arena, const char *what, const void *items, size_t count,
                      size_t item_bytes, size_t name_offset)
{
    Names names = {what, ARENA_ARRAY(arena, Slice, count + 1), count};
    for (size_t i = 0; i < count; i++) {
        names.items[i] =
            *(const Slice *)(const void *)((const char *)items + i * item_bytes + name_offset);
    }
    return names;
}
#define NAMES_OF(arena, what, items, count)                                                        \
    names_of((arena), (what), (items), (count), sizeof(*(items)), offsetof(typeof(*(items)), name))

// The members of [llm] that are tables; those that are no providers are no agent's `llm` either.
static Names llm_names(Arena *arena, const Doc *llm)
{
    static const char *const OTHERS[] = {"roles", "cache", "budget", "prices"};
    Names names = {"section llm", ARENA_ARRAY(arena, Slice, doc_count(llm) + 1), 0};
    for (const Doc *m = doc_first(llm); m; m = doc_next(m)) {
        bool other = m->type != DOC_OBJECT;
        for (size_t i = 0; i < COUNT_OF(OTHERS); i++) {
            other = other || slice_eq_cstr(m->key, OTHERS[i]);
        }
        if (!other) {
            names.items[names.count++] = m->key;
        }
    }
    return names;
}

static bool has(const Names *names, Slice name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (slice_eq(names->items[i], name)) {
            return true;
        }
    }
    return false;
}

static int expect_declared(const Names *names, const Doc *object, const char *key, Slice name,
                           Err *e)
{
    if (name.len == 0 || has(names, name)) {
        return 0;
    }
    const Doc *at = doc_get(object, slice_from_cstr(key));
    return undeclared(at ? at : object, names->what, name, names->items, names->count, e);
}

static int expect_all_declared(const Names *names, const FieldNames *list, Err *e)
{
    for (const Doc *m = doc_first(list->doc); m; m = doc_next(m)) {
        if (!has(names, m->text)) {
            return undeclared(m, names->what, m->text, names->items, names->count, e);
        }
    }
    return 0;
}

typedef struct Checker {
    Arena *arena;
    AgentConfig *config;
    Names agents, tools, policies, llms, servers;
} Checker;

// ---- agents, edges, providers

static int check_model(const Checker *c, const Doc *object, const char *key, Slice reference,
                       Err *e)
{
    Slice name, model;
    (void)slice_cut(reference, '/', &name, &model);
    return expect_declared(&c->llms, object, key, name, e);
}

// The llm room says what roles there are; here only that there is somebody to ask.
static int check_role(const Checker *c, const ConfigAgent *a, Err *e)
{
    return a->role.len == 0 || c->config->llm
               ? 0
               : doc_err(e, doc_get(a->doc, SLICE("role")),
                         "role \"%.*s\" needs a provider: there is no [llm.NAME] section",
                         SLICE_FMT(a->role));
}

// "search" is a tool of ours, "mcp:files" all tools of a server, "mcp:files/read" one of them.
static int check_tools(const Checker *c, const FieldNames *tools, Err *e)
{
    for (const Doc *m = doc_first(tools->doc); m; m = doc_next(m)) {
        Slice server = m->text, tool;
        const Names *names = &c->tools;
        if (slice_starts_with(server, SLICE("mcp:"))) {
            (void)slice_cut(slice_sub(server, 4, server.len), '/', &server, &tool);
            names = &c->servers;
        }
        if (!has(names, server)) {
            return undeclared(m, names->what, server, names->items, names->count, e);
        }
    }
    return 0;
}

static int check_agent(const Checker *c, const ConfigAgent *a, Err *e)
{
    int rc = expect_declared(&c->agents, a->doc, "dead_letter", a->dead_letter, e);
    if (rc != 0 || (rc = expect_all_declared(&c->policies, &a->policies, e)) != 0 ||
        (rc = check_tools(c, &a->tools, e)) != 0 ||
        (rc = check_model(c, a->doc, "llm", a->llm, e)) != 0 || (rc = check_role(c, a, e)) != 0) {
        return rc;
    }
    if (a->overflow == 2 && a->dead_letter.len == 0) {
        return doc_err(e, doc_get(a->doc, SLICE("overflow")),
                       "overflow = \"dead_letter\" needs dead_letter = \"AGENT\"");
    }
    if (slice_eq(a->dead_letter, a->name)) {
        return doc_err(e, doc_get(a->doc, SLICE("dead_letter")),
                       "an agent cannot be its own dead letter agent");
    }
    return 0;
}

// Dead letters of dead letters of ... must end somewhere, or an event would go round full mailboxes
// for ever.
static int check_dead_letters(const Checker *c, const ConfigAgent *a, Err *e)
{
    const ConfigAgent *at = a;
    for (size_t steps = 0; at && at->overflow == 2; steps++) {
        if (steps > c->config->agent_count || (steps > 0 && at == a)) {
            return doc_err(e, doc_get(a->doc, SLICE("dead_letter")),
                           "dead letters of \"%.*s\" come back to it", SLICE_FMT(a->name));
        }
        at = agent_config_agent(c->config, at->dead_letter);
    }
    return 0;
}

static int check_agents(const Checker *c, Err *e)
{
    int rc = 0;
    for (size_t i = 0; i < c->config->agent_count && rc == 0; i++) {
        rc = check_agent(c, &c->config->agents[i], e);
        if (rc == 0 && c->config->agents[i].overflow == 2) {
            rc = check_dead_letters(c, &c->config->agents[i], e);
        }
    }
    for (size_t i = 0; i < c->config->edge_count && rc == 0; i++) {
        const ConfigEdge *edge = &c->config->edges[i];
        if (edge->from.len == 0 || edge->to.len == 0) {
            return doc_err_key(e, edge->doc, "edge \"%.*s\" needs from and to",
                               SLICE_FMT(edge->name));
        }
        rc = slice_eq(edge->from, SLICE("*"))
                 ? 0
                 : expect_declared(&c->agents, edge->doc, "from", edge->from, e);
        if (rc == 0 && (rc = expect_declared(&c->agents, edge->doc, "to", edge->to, e)) == 0) {
            rc = expect_all_declared(&c->policies, &edge->policies, e);
        }
    }
    return rc;
}

static int check_policies(const Checker *c, Err *e)
{
    int rc = 0;
    for (size_t i = 0; i < c->config->policy_count && rc == 0; i++) {
        ParamValue values[POLICY_PARAM_COUNT];
        policy_defaults(values);
        rc = policy_read(c->config->policies[i].doc, values, e);
    }
    return rc;
}

// Later names win over earlier ones.
int agent_config_policies(const AgentConfig *config, const FieldNames *names, ParamValue *values,
                          Err *e)
{
    policy_defaults(values);
    int rc = 0;
    for (size_t i = 0; i < names->count && rc == 0; i++) {
        rc = policy_read(agent_config_policy(config, names->items[i])->doc, values, e);
    }
    return rc != 0 ? rc : policy_check(values, e);
}

static int check_tool_sources(const Checker *c, Err *e)
{
    for (size_t i = 0; i < c->config->tool_count; i++) {
        const ConfigTool *tool = &c->config->tools[i];
        if ((tool->script.len > 0) == (tool->library.len > 0)) {
            return doc_err_key(e, tool->doc, "tool \"%.*s\" must have one of script and library",
                               SLICE_FMT(tool->name));
        }
    }
    return 0;
}

// ---- orchestration

static size_t node_index(const ConfigOrchestration *o, Slice name)
{
    for (size_t i = 0; i < o->node_count; i++) {
        if (slice_eq(o->nodes[i].name, name)) {
            return i;
        }
    }
    return SIZE_MAX;
}

// Depth-first over "after"; `state` 1: on the way, 2: done. A node met on the way is a circle, and
// the way back to it is the message.
typedef struct Sorter {
    Arena *arena;
    const ConfigOrchestration *o;
    char *state;
    size_t *way;
    size_t depth;
    ConfigNode *sorted;
    size_t count;
} Sorter;

static int circle(const Sorter *s, size_t from, Err *e)
{
    Buf words = buf_create(ERR_TEXT_MAX / 2);
    size_t start = 0;
    while (start < s->depth && s->way[start] != from) {
        start++;
    }
    for (size_t i = start; i < s->depth && !words.overflowed; i++) {
        buf_printf(&words, "%.*s waits for ", SLICE_FMT(s->o->nodes[s->way[i]].name));
    }
    int rc = doc_err_key(e, s->o->nodes[from].doc, "the workflow runs in a circle: %.*s%.*s",
                         SLICE_FMT(buf_slice(&words)), SLICE_FMT(s->o->nodes[from].name));
    buf_done(&words);
    return rc;
}

static int visit(Sorter *s, size_t at, Err *e)
{
    if (s->state[at] == 2) {
        return 0;
    }
    if (s->state[at] == 1) {
        return circle(s, at, e);
    }
    const ConfigNode *node = &s->o->nodes[at];
    s->state[at] = 1;
    s->way[s->depth++] = at;
    for (const Doc *m = doc_first(node->after.doc); m; m = doc_next(m)) {
        size_t next = node_index(s->o, m->text);
        if (next == SIZE_MAX) {
            return doc_err(e, m, "there is no node \"%.*s\"", SLICE_FMT(m->text));
        }
        int rc = visit(s, next, e);
        if (rc != 0) {
            return rc;
        }
    }
    s->depth--;
    s->state[at] = 2;
    s->sorted[s->count++] = *node;
    return 0;
}

static int check_nodes(const Checker *c, ConfigOrchestration *o, Err *e)
{
    Sorter s = {
        .arena = c->arena,
        .o = o,
        .state = arena_alloc(c->arena, o->node_count + 1),
        .way = ARENA_ARRAY(c->arena, size_t, o->node_count + 1),
        .sorted = ARENA_ARRAY(c->arena, ConfigNode, o->node_count + 1),
    };
    int rc = 0;
    for (size_t i = 0; i < o->node_count && rc == 0; i++) {
        rc = visit(&s, i, e);
    }
    for (size_t i = 0; i < s.count && rc == 0; i++) {
        ConfigNode *node = &s.sorted[i];
        node->agent = node->agent.len > 0 ? node->agent : node->name;
        rc = expect_declared(&c->agents, node->doc, "agent", node->agent, e);
    }
    o->nodes = s.sorted;
    return rc;
}

// Who takes part, by any of the words for it.
static int settle_members(ConfigOrchestration *o, const Doc *section, Err *e)
{
    FieldNames *also = o->mode == MODE_SEQUENTIAL ? &o->sequential_agents
                       : o->mode == MODE_PARALLEL ? &o->collaborative_agents
                                                  : NULL;
    if (also && also->doc) {
        if (o->agents.doc) {
            return doc_err(e, also->doc, "%.*s says the same as agents: give one of them",
                           SLICE_FMT(also->doc->key));
        }
        o->agents = *also;
        *also = (FieldNames){0};
    }
    bool enough = false;
    const char *needs = "agents";
    switch ((ConfigMode)o->mode) {
    case MODE_ROUTE:
        enough = o->agents.count > 0 || doc_count(o->routes) > 0;
        needs = "agents or routes";
        break;
    case MODE_SEQUENTIAL:
    case MODE_PARALLEL:
    case MODE_COLLABORATE: enough = o->agents.count > 0; break;
    case MODE_LOOP:
        enough = o->loop_agent.len > 0 || o->agents.count == 1;
        needs = "loop_agent";
        break;
    case MODE_MIXED:
        enough = o->sequential_agents.count > 0 && o->collaborative_agents.count > 0;
        needs = "collaborative_agents and sequential_agents";
        break;
    case MODE_DAG:
        enough = o->node_count > 0;
        needs = "[orchestration.nodes.NAME]";
        break;
    }
    if (o->mode == MODE_LOOP && o->loop_agent.len == 0 && enough) {
        o->loop_agent = o->agents.items[0];
    }
    return enough ? 0 : doc_err(e, section, "mode = \"%s\" needs %s", CONFIG_MODES[o->mode], needs);
}

static int check_routes(const Checker *c, const ConfigOrchestration *o, Err *e)
{
    for (const Doc *m = doc_first(o->routes); m; m = doc_next(m)) {
        int rc = doc_expect(m, DOC_STRING, m->key.ptr, e);
        if (rc != 0 || (rc = expect_declared(&c->agents, o->routes, m->key.ptr, m->text, e)) != 0) {
            return rc;
        }
    }
    return 0;
}

static int check_orchestration(const Checker *c, const Doc *section, Err *e)
{
    ConfigOrchestration *o = &c->config->orchestration;
    if (!o->given) {
        return 0;
    }
    if (o->mode == MODE_COLLABORATE) {
        o->mode = MODE_PARALLEL;
    }
    int rc = settle_members(o, section, e);
    if (rc != 0 || (rc = expect_all_declared(&c->agents, &o->agents, e)) != 0 ||
        (rc = expect_all_declared(&c->agents, &o->sequential_agents, e)) != 0 ||
        (rc = expect_all_declared(&c->agents, &o->collaborative_agents, e)) != 0 ||
        (rc = check_routes(c, o, e)) != 0 ||
        (rc = expect_declared(&c->agents, section, "loop_agent", o->loop_agent, e)) != 0) {
        return rc;
    }
    if (has(&c->agents, o->name)) {
        return doc_err(e, section,
                       "the orchestration and an agent are both named \"%.*s\": give it a name",
                       SLICE_FMT(o->name));
    }
    return check_nodes(c, o, e);
}

int agent_config_check(Arena *arena, AgentConfig *config, const Doc *root, Err *e)
{
    Checker c = {
        .arena = arena,
        .config = config,
        .agents = NAMES_OF(arena, "agent", config->agents, config->agent_count),
        .tools = NAMES_OF(arena, "tool", config->tools, config->tool_count),
        .policies = NAMES_OF(arena, "policy", config->policies, config->policy_count),
        .llms = llm_names(arena, config->llm),
        .servers = NAMES_OF(arena, "MCP server", config->mcp_servers, config->mcp_server_count),
    };
    int rc = 0;
    if ((rc = check_policies(&c, e)) != 0 || (rc = check_tool_sources(&c, e)) != 0 ||
        (rc = check_agents(&c, e)) != 0) {
        return rc;
    }
    return check_orchestration(&c, doc_get(root, SLICE("orchestration")), e);
}

// ---- printing

static const FieldTable *const TABLES[] = {
    &CONFIG_RUNNER,        &CONFIG_MEMORY, &CONFIG_PERFORMANCE, &CONFIG_MONITORING,
    &CONFIG_RUNTIME,       &CONFIG_AGENT,  &CONFIG_TOOL,        &CONFIG_EDGE,
    &CONFIG_ORCHESTRATION, &CONFIG_NODE,   &CONFIG_MCP,         &CONFIG_MCP_SERVER,
};

static void put_kind(const Field *field, Buf *out)
{
    static const char *const numbers[] = {
        [PARAM_BOOL] = "true or false", [PARAM_INT] = "whole number", [PARAM_FLOAT] = "number",
        [PARAM_DURATION] = "duration",  [PARAM_SIZE] = "size",        [PARAM_CHOICE] = "",
    };
    static const char *const others[] = {
        [FIELD_NUMBER] = "",     [FIELD_TEXT] = "text",   [FIELD_PATH] = "path",
        [FIELD_NAMES] = "names", [FIELD_WORDS] = "texts", [FIELD_TREE] = "table",
    };
    if (field->kind != FIELD_NUMBER) {
        buf_puts(out, others[field->kind]);
    } else if (field->param.kind == PARAM_CHOICE) {
        for (int i = 0; field->param.choices[i]; i++) {
            buf_printf(out, "%s`%s`", i ? ", " : "", field->param.choices[i]);
        }
    } else {
        buf_puts(out, numbers[field->param.kind]);
    }
}

static void put_default(const Field *field, Buf *out)
{
    const Param *p = &field->param;
    if (field->kind != FIELD_NUMBER ||
        (p->kind == PARAM_CHOICE && !p->choices[p->initial.integer])) {
        return;
    }
    buf_putc(out, '`');
    param_format(p, p->initial, out);
    buf_putc(out, '`');
}

void agent_config_keys(Buf *out)
{
    for (size_t t = 0; t < COUNT_OF(TABLES); t++) {
        const FieldTable *table = TABLES[t];
        buf_printf(out, "%s### [%s]\n\n| key | value | default | |\n|---|---|---|---|\n",
                   t ? "\n" : "", table->section);
        for (size_t i = 0; i < table->count; i++) {
            buf_printf(out, "| `%s` | ", table->fields[i].param.name);
            put_kind(&table->fields[i], out);
            buf_puts(out, " | ");
            put_default(&table->fields[i], out);
            buf_printf(out, " | %s |\n", table->fields[i].param.help);
        }
    }
}

// One section of named items.
static void write_items(const char *key, const FieldTable *table, const void *items, size_t count,
                        size_t item_bytes, size_t name_offset, JsonWriter *w)
{
    json_key(w, slice_from_cstr(key));
    json_object_begin(w);
    for (size_t i = 0; i < count; i++) {
        const char *item = (const char *)items + i * item_bytes;
        json_key(w, *(const Slice *)(const void *)(item + name_offset));
        fields_write(table, item, w);
    }
    json_object_end(w);
}
#define WRITE_ITEMS(key, table, items, count, w)                                                   \
    write_items((key), (table), (items), (count), sizeof(*(items)),                                \
                offsetof(typeof(*(items)), name), (w))

static void write_section(const FieldTable *table, const char *key, const void *from, JsonWriter *w)
{
    json_key(w, slice_from_cstr(key));
    fields_write(table, from, w);
}

void agent_config_write(const AgentConfig *config, JsonWriter *w)
{
    json_object_begin(w);
    write_section(&CONFIG_RUNNER, "runner", &config->runner, w);
    write_section(&CONFIG_MEMORY, "memory", &config->memory, w);
    write_section(&CONFIG_PERFORMANCE, "performance", &config->performance, w);
    write_section(&CONFIG_MONITORING, "monitoring", &config->monitoring, w);
    write_section(&CONFIG_RUNTIME, "runtime", &config->runtime, w);
    if (config->llm) {
        json_key(w, SLICE("llm"));
        doc_write(w, config->llm);
    }
    WRITE_ITEMS("agents", &CONFIG_AGENT, config->agents, config->agent_count, w);
    WRITE_ITEMS("tools", &CONFIG_TOOL, config->tools, config->tool_count, w);
    json_key(w, SLICE("policies"));
    json_object_begin(w);
    for (size_t i = 0; i < config->policy_count; i++) {
        json_key(w, config->policies[i].name);
        doc_write(w, config->policies[i].doc);
    }
    json_object_end(w);
    WRITE_ITEMS("edges", &CONFIG_EDGE, config->edges, config->edge_count, w);
    if (config->orchestration.given) {
        write_section(&CONFIG_ORCHESTRATION, "orchestration", &config->orchestration, w);
    }
    if (config->mcp.given) {
        write_section(&CONFIG_MCP, "mcp", &config->mcp, w);
    }
    json_object_end(w);
}
