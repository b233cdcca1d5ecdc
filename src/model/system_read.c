// From a document to a System. Everything is read under its key's row in system_tables.c; what is
// left here is how the parts refer to each other.
#include "model/system_dist.h"
#include "model/system_impl.h"
#include "policy/program.h"

#include "base/map.h"

#include <math.h>

typedef struct Reader {
    Arena *arena;
    System *sys;
    const Doc *root;
    Map agents, clients, edges; // name to index + 1
    uint32_t edge_room;
    const Doc **edge_docs; // by edge: where it is first named
} Reader;

static void *index_value(size_t index)
{
    return (void *)(uintptr_t)(index + 1);
}

static ptrdiff_t find(const Map *map, Slice name)
{
    return (ptrdiff_t)(uintptr_t)map_get(map, name) - 1;
}

// Room that input asks for is checked here, because an arena that is full ends the program.
static int room(const Reader *r, const Doc *at, size_t count, size_t max, size_t item_bytes, Err *e)
{
    if (count > max) {
        (void)doc_err(e, at, "%zu items, the limit is %zu", count, max);
        return ERR_LIMIT;
    }
    // As much again is left to texts and alignment.
    if (arena_left(r->arena) / 2 < (count + 1) * item_bytes + 4096) {
        (void)doc_err(e, at, "the system does not fit into the memory it may take");
        return ERR_LIMIT;
    }
    return 0;
}

static int read_program(const Doc *owner, Slice text, Err *e)
{
    PolicyProgram program;
    Err why = {0};
    if (text.len == 0 || program_compile(text, &program, &why) == 0) {
        return 0;
    }
    return doc_err(e, doc_get(owner, SLICE("program")), "the policy program, %s", why.text);
}

// ---- names

static int check_name(const Doc *d, Err *e)
{
    Slice name = d->key;
    bool good = name.len > 0 && name.len <= SYSTEM_NAME_MAX;
    for (size_t i = 0; i < name.len && good; i++) {
        char c = name.ptr[i];
        good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-';
    }
    return good ? 0
                : doc_err_key(e, d, "a name has 1 to %d letters, digits, '_' and '-'",
                              SYSTEM_NAME_MAX);
}

// "there is no agent "x"; did you mean "y"?" among the members of a section.
static int no_such(const Doc *at, Slice name, const char *what, const Doc *section, Err *e)
{
    Slice near = {0};
    for (const Doc *m = doc_first(section); m && near.len == 0; m = doc_next(m)) {
        near = slice_nearest(name, &m->key, 1);
    }
    return doc_err(e, at, "there is no %s \"%.*s\"%s%.*s%s", what, SLICE_FMT(name),
                   near.len ? "; did you mean \"" : "", SLICE_FMT(near), near.len ? "\"?" : "");
}

static int find_agent(const Reader *r, const Doc *at, Slice name, uint32_t *ret_agent, Err *e)
{
    ptrdiff_t index = find(&r->agents, name);
    if (index < 0) {
        return no_such(at, name, "agent", doc_get(r->root, SLICE("agents")), e);
    }
    *ret_agent = (uint32_t)index;
    return 0;
}

// ---- policies and ranges

static int read_bound(const Doc *d, uint16_t param, double *ret_bound, Err *e)
{
    const Param *row = system_param_row(param);
    if (row->kind == PARAM_BOOL && d->type == DOC_INT && (d->integer == 0 || d->integer == 1)) {
        *ret_bound = (double)d->integer; // as SystemRange has it
        return 0;
    }
    const ParamTable one = {"range", row, 1};
    ParamValue value = row->initial;
    int rc = param_read_value(&one, 0, d, &value, e);
    if (rc == 0) {
        *ret_bound = system_number(param, value);
    }
    return rc;
}

static int read_range(const Doc *d, uint16_t param, SystemRange *ret_range, Err *e)
{
    int rc = doc_expect(d, DOC_ARRAY, "a range", e);
    if (rc != 0) {
        return rc;
    }
    if (doc_count(d) != 2) {
        return doc_err(e, d, "a range is [lowest, highest]");
    }
    SystemRange range = {.param = param};
    if ((rc = read_bound(doc_at(d, 0), param, &range.low, e)) != 0 ||
        (rc = read_bound(doc_at(d, 1), param, &range.high, e)) != 0) {
        return rc;
    }
    if (range.low > range.high) {
        return doc_err(e, d, "the lowest value comes first");
    }
    *ret_range = range;
    return 0;
}

typedef struct RangeList {
    SystemRange *items;
    uint32_t count;
    bool servers; // an agent has them, an edge does not
} RangeList;

static int unknown_range(const Doc *d, Slice name, bool servers, Err *e)
{
    Err why = {0};
    const Slice word = SLICE("servers");
    if (servers && slice_nearest(name, &word, 1).len > 0) {
        return doc_err_key(e, d, "unknown parameter \"%.*s\"; did you mean \"servers\"?",
                           SLICE_FMT(name));
    }
    (void)policy_unknown(name, &why);
    return doc_err_key(e, d, "%s", why.text);
}

static int add_range(const Doc *d, Slice name, RangeList *list, Err *e)
{
    ptrdiff_t id = list->servers && slice_eq(name, SLICE("servers")) ? SYSTEM_PARAM_SERVERS
                                                                     : policy_find(name);
    if (id < 0) {
        return unknown_range(d, name, list->servers, e);
    }
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->items[i].param == id) {
            return doc_err_key(e, d, "a second range for %.*s", SLICE_FMT(name));
        }
    }
    return read_range(d, (uint16_t)id, &list->items[list->count++], e);
}

// {"retry.attempts": [1, 4]} and {"retry": {"attempts": [1, 4]}} are the same: TOML reads a dotted
// key without quotes as the second.
static int read_ranges(const Reader *r, const Doc *object, bool servers, SystemRange **ret_ranges,
                       uint32_t *ret_count, Err *e)
{
    if (!object) {
        return 0;
    }
    int rc =
        room(r, object, POLICY_PARAM_COUNT + 1, POLICY_PARAM_COUNT + 1, sizeof(SystemRange), e);
    if (rc != 0) {
        return rc;
    }
    SystemRange found[POLICY_PARAM_COUNT + 1];
    RangeList list = {found, 0, servers};
    for (const Doc *m = doc_first(object); m && rc == 0; m = doc_next(m)) {
        if (m->type != DOC_OBJECT) {
            rc = add_range(m, m->key, &list, e);
        }
        for (const Doc *p = m->type == DOC_OBJECT ? doc_first(m) : NULL; p && rc == 0;
             p = doc_next(p)) {
            char dotted[2 * SYSTEM_NAME_MAX];
            int n =
                snprintf(dotted, sizeof dotted, "%.*s.%.*s", SLICE_FMT(m->key), SLICE_FMT(p->key));
            size_t len = (size_t)n < sizeof dotted ? (size_t)n : sizeof dotted - 1;
            rc = add_range(p, (Slice){dotted, len}, &list, e);
        }
    }
    if (rc == 0 && list.count > 0) {
        *ret_ranges = ARENA_ARRAY(r->arena, SystemRange, list.count);
        memcpy(*ret_ranges, found, list.count * sizeof found[0]);
        *ret_count = list.count;
    }
    return rc;
}

// A value must be in its owner's range, or be what the table starts with: "none" is mostly outside
// of the range of times and still where one begins.
static int check_ranges(const System *sys, SystemPlace place, uint32_t index,
                        const SystemRange *ranges, uint32_t count, const Doc *at, Err *e)
{
    for (uint32_t i = 0; i < count; i++) {
        SystemParam what = {place, index, ranges[i].param};
        double value = system_number(what.param, system_get(sys, what));
        double initial = system_number(what.param, system_param_row(what.param)->initial);
        if (value != initial && (value < ranges[i].low || value > ranges[i].high)) {
            Buf name = buf_create(4 * SYSTEM_NAME_MAX);
            system_param_name(sys, what, &name);
            int rc = doc_err(e, at, "%s is outside of the range given for it", name.data);
            buf_done(&name);
            return rc;
        }
    }
    return 0;
}

// ---- edges

static int add_edge(Reader *r, const Doc *at, uint32_t from, uint32_t to, uint32_t *ret_edge,
                    Err *e)
{
    System *sys = r->sys;
    Slice caller = from & SYSTEM_FROM_CLIENT ? sys->clients[from & ~SYSTEM_FROM_CLIENT].name
                                             : sys->agents[from].name;
    Slice name =
        arena_printf(r->arena, "%.*s->%.*s", SLICE_FMT(caller), SLICE_FMT(sys->agents[to].name));
    ptrdiff_t index = find(&r->edges, name);
    if (index >= 0) {
        *ret_edge = (uint32_t)index;
        return 0;
    }
    if (sys->edge_count == SYSTEM_EDGES_MAX) {
        (void)doc_err(e, at, "more than %d pairs of caller and called", SYSTEM_EDGES_MAX);
        return ERR_LIMIT;
    }
    if (sys->edge_count == r->edge_room) {
        uint32_t more = r->edge_room ? 2 * r->edge_room : 16;
        int rc = room(r, at, more, 2 * SYSTEM_EDGES_MAX, sizeof(SystemEdge) + sizeof(Doc *), e);
        if (rc != 0) {
            return rc;
        }
        SystemEdge *edges = ARENA_ARRAY(r->arena, SystemEdge, more);
        if (sys->edge_count > 0) {
            memcpy(edges, sys->edges, sys->edge_count * sizeof edges[0]);
        }
        sys->edges = edges;
        r->edge_room = more;
    }
    SystemEdge *edge = &sys->edges[sys->edge_count];
    *edge = (SystemEdge){.name = name, .from = from, .to = to};
    policy_defaults(edge->policy);
    *ret_edge = sys->edge_count;
    // The map is as large as the ceiling above.
    return map_put(&r->edges, name, index_value(sys->edge_count++));
}

// ---- agents

static int read_target(Reader *r, const Doc *d, uint32_t from, const SystemGroup *group,
                       SystemTarget *ret_target, Err *e)
{
    TargetFields f;
    uint32_t to = 0, edge = 0;
    fields_init(&SYSTEM_TARGET_TABLE, &f);
    int rc = 0;
    if (d->type == DOC_STRING) {
        f.agent = d->text;
    } else {
        rc = fields_read(r->arena, &SYSTEM_TARGET_TABLE, d, &f, e);
    }
    if (rc != 0 || (rc = find_agent(r, d, f.agent, &to, e)) != 0 ||
        (rc = add_edge(r, d, from, to, &edge, e)) != 0) {
        return rc;
    }
    for (uint32_t i = 0; i < group->count; i++) {
        if (group->targets[i].edge == edge) {
            return doc_err(e, d, "\"%.*s\" is there twice; `repeat` says how often",
                           SLICE_FMT(f.agent));
        }
    }
    *ret_target = (SystemTarget){.edge = edge, .chance = f.chance, .repeat = f.repeat};
    return 0;
}

static int read_group(Reader *r, const Doc *d, uint32_t from, SystemGroup *group, Err *e)
{
    GroupFields f;
    fields_init(&SYSTEM_GROUP_TABLE, &f);
    int rc = fields_read(r->arena, &SYSTEM_GROUP_TABLE, d, &f, e);
    if (rc != 0) {
        return rc;
    }
    bool one = f.to && f.to->type == DOC_STRING;
    if (!f.to || (!one && doc_count(f.to) == 0)) {
        return doc_err(e, d, "`to` must name the agents that are called");
    }
    if (!one && (rc = doc_expect(f.to, DOC_ARRAY, "to", e)) != 0) {
        return rc;
    }
    size_t count = one ? 1 : doc_count(f.to);
    if ((rc = room(r, f.to, count, SYSTEM_TARGETS_MAX, sizeof(SystemTarget), e)) != 0) {
        return rc;
    }
    group->join = (SystemJoin)f.join;
    group->first = f.join == JOIN_ALL ? (uint32_t)count : (uint32_t)f.first;
    if (f.join != JOIN_FIRST && f.first != 1) {
        return doc_err(e, d, "`first` goes with join = \"first\"");
    }
    if ((size_t)f.first > count) {
        return doc_err(e, d, "the first %lld of %zu calls cannot be", (long long)f.first, count);
    }
    group->targets = ARENA_ARRAY(r->arena, SystemTarget, count);
    for (const Doc *m = one ? f.to : doc_first(f.to); m && rc == 0; m = one ? NULL : doc_next(m)) {
        rc = read_target(r, m, from, group, &group->targets[group->count], e);
        group->count++;
    }
    return rc;
}

static int read_calls(Reader *r, const Doc *calls, uint32_t from, Err *e)
{
    SystemAgent *a = &r->sys->agents[from];
    if (!calls) {
        return 0;
    }
    int rc = doc_expect(calls, DOC_ARRAY, "calls", e);
    if (rc != 0 ||
        (rc = room(r, calls, doc_count(calls), SYSTEM_GROUPS_MAX, sizeof(SystemGroup), e)) != 0) {
        return rc;
    }
    a->groups = ARENA_ARRAY(r->arena, SystemGroup, doc_count(calls));
    for (const Doc *m = doc_first(calls); m && rc == 0; m = doc_next(m)) {
        rc = read_group(r, m, from, &a->groups[a->group_count++], e);
    }
    return rc;
}

static int read_agent(Reader *r, const Doc *d, uint32_t index, Err *e)
{
    AgentFields f;
    SystemAgent *a = &r->sys->agents[index];
    fields_init(&SYSTEM_AGENT_TABLE, &f);
    policy_defaults(a->policy);
    int rc = fields_read(r->arena, &SYSTEM_AGENT_TABLE, d, &f, e);
    if (rc != 0 || (rc = policy_read(f.policy, a->policy, e)) != 0 ||
        (rc = read_program(d, f.program, e)) != 0 ||
        (f.service &&
         (rc = system_read_dist(r->arena, f.service, "service", &a->service, e)) != 0)) {
        return rc;
    }
    a->servers = (uint32_t)f.servers;
    a->queue = f.queue < 0 ? UINT32_MAX : (uint32_t)f.queue;
    a->discipline = (VirtualDiscipline)f.discipline;
    a->holds_server = f.holds_server;
    a->start_delay_ns = f.start_delay_ns;
    a->fail = f.fail;
    a->has_policy = f.policy != NULL;
    a->program = f.program;
    if (a->servers == 0 && a->queue != UINT32_MAX) {
        return doc_err(e, doc_get(d, SLICE("queue")),
                       "nothing waits for one of any number of servers; say how many `servers`");
    }
    if ((rc = read_calls(r, f.calls, index, e)) != 0 ||
        (rc = read_ranges(r, f.range, true, &a->ranges, &a->range_count, e)) != 0) {
        return rc;
    }
    return check_ranges(r->sys, PLACE_AGENT, index, a->ranges, a->range_count, f.range, e);
}

// ---- a section of named members: first all names, because they refer to each other

static int read_names(const Reader *r, const char *key, Map *map, size_t item_bytes, size_t max,
                      void **ret_items, uint32_t *ret_count, Err *e)
{
    const Doc *section = doc_get(r->root, slice_from_cstr(key));
    if (!section) {
        return 0;
    }
    int rc = doc_expect(section, DOC_OBJECT, key, e);
    if (rc != 0 || (rc = room(r, section, doc_count(section), max, item_bytes, e)) != 0) {
        return rc;
    }
    *ret_items = arena_alloc_array(r->arena, doc_count(section) + 1, item_bytes);
    uint32_t count = 0;
    for (const Doc *m = doc_first(section); m; m = doc_next(m)) {
        if ((rc = check_name(m, e)) != 0) {
            return rc;
        }
        if (map != &r->agents && map_get(&r->agents, m->key)) {
            return doc_err_key(e, m, "\"%.*s\" is the name of an agent", SLICE_FMT(m->key));
        }
        *(Slice *)(void *)((char *)*ret_items + count * item_bytes) = m->key;
        if ((rc = map_put(map, m->key, index_value(count++))) != 0) {
            return rc;
        }
    }
    *ret_count = count;
    return 0;
}

_Static_assert(offsetof(SystemAgent, name) == 0 && offsetof(SystemClient, name) == 0,
               "read_names writes the name");

// ---- clients

static int read_spikes(Reader *r, const Doc *list, SystemClient *client, Err *e)
{
    if (!list) {
        return 0;
    }
    int rc = doc_expect(list, DOC_ARRAY, "spikes", e);
    if (rc != 0 ||
        (rc = room(r, list, doc_count(list), SYSTEM_SPIKES_MAX, sizeof(SystemSpike), e)) != 0) {
        return rc;
    }
    client->spikes = ARENA_ARRAY(r->arena, SystemSpike, doc_count(list) + 1);
    int64_t from = 0;
    for (const Doc *m = doc_first(list); m; m = doc_next(m)) {
        SpikeFields f;
        fields_init(&SYSTEM_SPIKE_TABLE, &f);
        if ((rc = fields_read(r->arena, &SYSTEM_SPIKE_TABLE, m, &f, e)) != 0) {
            return rc;
        }
        if (f.for_ns == 0 || f.at_ns < from) {
            return doc_err(e, m,
                           f.for_ns == 0 ? "`for` says how long the spike lasts"
                                         : "spikes come one after the other");
        }
        from = f.at_ns + f.for_ns;
        client->spikes[client->spike_count++] = (SystemSpike){f.at_ns, f.for_ns, f.factor};
    }
    return 0;
}

static int read_client(Reader *r, const Doc *d, uint32_t index, Err *e)
{
    ClientFields f;
    SystemClient *c = &r->sys->clients[index];
    uint32_t to = 0;
    fields_init(&SYSTEM_CLIENT_TABLE, &f);
    int rc = fields_read(r->arena, &SYSTEM_CLIENT_TABLE, d, &f, e);
    if (rc != 0) {
        return rc;
    }
    const Doc *at = doc_get(d, SLICE("to"));
    if (!at) {
        return doc_err_key(e, d, "client \"%.*s\": `to` must name an agent", SLICE_FMT(d->key));
    }
    if ((rc = find_agent(r, at, f.to, &to, e)) != 0) {
        return rc;
    }
    bool closed = f.users > 0;
    if (closed == (f.rate > 0)) {
        return doc_err_key(e, d, "client \"%.*s\" must have %s of rate and users, more than 0",
                           SLICE_FMT(d->key), closed ? "only one" : "one");
    }
    if (closed && (f.spikes || doc_get(d, SLICE("scv")))) {
        return doc_err_key(e, d, "client \"%.*s\": scv and spikes are of a rate",
                           SLICE_FMT(d->key));
    }
    if (!closed && f.think) {
        return doc_err(e, f.think, "think is of users");
    }
    *c = (SystemClient){.name = c->name,
                        .per_second = f.rate,
                        .scv = f.scv,
                        .users = (uint32_t)f.users,
                        .deadline_ns = f.deadline_ns,
                        .priority = (uint8_t)f.priority};
    if ((f.think && (rc = system_read_dist(r->arena, f.think, "think", &c->think, e)) != 0) ||
        (f.patience &&
         (rc = system_read_dist(r->arena, f.patience, "patience", &c->patience, e)) != 0) ||
        (rc = add_edge(r, d, SYSTEM_FROM_CLIENT | index, to, &c->edge, e)) != 0) {
        return rc;
    }
    return read_spikes(r, f.spikes, c, e);
}

// ---- policies of edges

static int read_edge(Reader *r, const Doc *d, bool *seen, Err *e)
{
    EdgeFields f;
    char name[2 * SYSTEM_NAME_MAX + 3];
    fields_init(&SYSTEM_EDGE_TABLE, &f);
    int rc = fields_read(r->arena, &SYSTEM_EDGE_TABLE, d, &f, e);
    if (rc != 0) {
        return rc;
    }
    if (f.from.len > SYSTEM_NAME_MAX || f.to.len > SYSTEM_NAME_MAX) {
        return doc_err(e, d, "`from` and `to` are names");
    }
    int n = snprintf(name, sizeof name, "%.*s->%.*s", SLICE_FMT(f.from), SLICE_FMT(f.to));
    ptrdiff_t index = find(&r->edges, (Slice){name, (size_t)n});
    if (index < 0) {
        return find(&r->agents, f.to) < 0
                   ? no_such(d, f.to, "agent", doc_get(r->root, SLICE("agents")), e)
                   : doc_err(e, d, "\"%.*s\" does not call \"%.*s\"", SLICE_FMT(f.from),
                             SLICE_FMT(f.to));
    }
    if (seen[index]) {
        return doc_err(e, d, "the edge %s is there twice", name);
    }
    seen[index] = true;
    SystemEdge *edge = &r->sys->edges[index];
    edge->program = f.program;
    if ((rc = read_program(d, f.program, e)) != 0 ||
        (rc = policy_read(f.policy, edge->policy, e)) != 0 ||
        (rc = read_ranges(r, f.range, false, &edge->ranges, &edge->range_count, e)) != 0) {
        return rc;
    }
    return check_ranges(r->sys, PLACE_EDGE, (uint32_t)index, edge->ranges, edge->range_count,
                        f.range, e);
}

static int read_edges(Reader *r, const Doc *list, Err *e)
{
    bool seen[SYSTEM_EDGES_MAX / 8] = {false};
    bool *marks = seen;
    if (!list) {
        return 0;
    }
    int rc = doc_expect(list, DOC_ARRAY, "edges", e);
    if (rc == 0 && r->sys->edge_count > COUNT_OF(seen)) {
        rc = room(r, list, r->sys->edge_count, SYSTEM_EDGES_MAX, sizeof(bool), e);
        marks = rc == 0 ? ARENA_ARRAY(r->arena, bool, r->sys->edge_count) : NULL;
    }
    for (const Doc *m = doc_first(list); m && rc == 0; m = doc_next(m)) {
        rc = read_edge(r, m, marks, e);
    }
    return rc;
}

// ---- objectives and faults

static int read_objectives(Reader *r, const Doc *section, Err *e)
{
    System *sys = r->sys;
    if (!section) {
        return 0;
    }
    int rc = doc_expect(section, DOC_OBJECT, "objectives", e);
    if (rc != 0 || (rc = room(r, section, doc_count(section), SYSTEM_CLIENTS_MAX,
                              sizeof(SystemObjective), e)) != 0) {
        return rc;
    }
    sys->objectives = ARENA_ARRAY(r->arena, SystemObjective, doc_count(section) + 1);
    for (const Doc *m = doc_first(section); m; m = doc_next(m)) {
        ObjectiveFields f;
        ptrdiff_t client = find(&r->clients, m->key);
        fields_init(&SYSTEM_OBJECTIVE_TABLE, &f);
        if (client < 0) {
            return no_such(m, m->key, "client", doc_get(r->root, SLICE("clients")), e);
        }
        if ((rc = fields_read(r->arena, &SYSTEM_OBJECTIVE_TABLE, m, &f, e)) != 0) {
            return rc;
        }
        if (f.goodput == 0 && f.errors == 0 && f.p50_ns == 0 && f.p99_ns == 0) {
            return doc_err(e, m, "an objective promises one of goodput, errors, p50 and p99");
        }
        sys->objectives[sys->objective_count++] = (SystemObjective){
            .client = (uint32_t)client,
            .within_ns = f.within_ns,
            .goodput = f.goodput,
            .p50_ns = f.p50_ns,
            .p99_ns = f.p99_ns,
            .errors = f.errors,
            .window_ns = f.window_ns,
        };
    }
    return 0;
}

static int read_faults(Reader *r, const Doc *list, Err *e)
{
    System *sys = r->sys;
    if (!list) {
        return 0;
    }
    int rc = doc_expect(list, DOC_ARRAY, "faults", e);
    if (rc != 0 ||
        (rc = room(r, list, doc_count(list), SYSTEM_FAULTS_MAX, sizeof(SystemFault), e)) != 0) {
        return rc;
    }
    sys->faults = ARENA_ARRAY(r->arena, SystemFault, doc_count(list) + 1);
    for (const Doc *m = doc_first(list); m; m = doc_next(m)) {
        FaultFields f;
        SystemFault *fault = &sys->faults[sys->fault_count];
        fields_init(&SYSTEM_FAULT_TABLE, &f);
        if ((rc = fields_read(r->arena, &SYSTEM_FAULT_TABLE, m, &f, e)) != 0 ||
            (rc = find_agent(r, m, f.agent, &fault->agent, e)) != 0) {
            return rc;
        }
        uint32_t servers = sys->agents[fault->agent].servers;
        if (f.lose > servers) {
            return doc_err(e, m, "\"%.*s\" has only %u servers to lose", SLICE_FMT(f.agent),
                           servers);
        }
        if (f.slow == 1 && f.fail == 0 && f.lose == 0 && !f.stop) {
            return doc_err(e, m, "a fault is one of slow, fail, lose and stop");
        }
        *fault = (SystemFault){.at_ns = f.at_ns,
                               .for_ns = f.for_ns,
                               .agent = fault->agent,
                               .slow = f.slow,
                               .fail = f.fail,
                               .lose = (uint32_t)f.lose,
                               .stop = f.stop};
        sys->fault_count++;
    }
    return 0;
}

// ---- the whole

static int read_head(Reader *r, Err *e)
{
    static const Slice NAMES[] = {
        SLICE_INIT("version"), SLICE_INIT("name"),       SLICE_INIT("agents"), SLICE_INIT("edges"),
        SLICE_INIT("clients"), SLICE_INIT("objectives"), SLICE_INIT("faults")};
    int rc = doc_expect(r->root, DOC_OBJECT, "a system", e);
    if (rc != 0 || (rc = doc_expect_fields(r->root, NAMES, COUNT_OF(NAMES), e)) != 0) {
        return rc;
    }
    const Doc *version = doc_get(r->root, SLICE("version")),
              *name = doc_get(r->root, SLICE("name"));
    if (!version || version->type != DOC_INT || version->integer < 1) {
        return doc_err(e, version ? version : r->root, "version must be %d", SYSTEM_VERSION);
    }
    if (version->integer > SYSTEM_VERSION) {
        (void)doc_err(e, version, "version %lld is newer than this program, which reads up to %d",
                      (long long)version->integer, SYSTEM_VERSION);
        return ERR_VERSION;
    }
    if (name && (rc = doc_expect(name, DOC_STRING, "name", e)) != 0) {
        return rc;
    }
    r->sys->name = name ? name->text : (Slice){0};
    return 0;
}

static int read_parts(Reader *r, Err *e)
{
    System *sys = r->sys;
    void *agents = NULL, *clients = NULL;
    const Doc *section = doc_get(r->root, SLICE("agents"));
    uint32_t index = 0;
    int rc = read_head(r, e);
    if (rc == 0 && doc_count(section) == 0) {
        return doc_err(e, r->root, "a system has [agents]");
    }
    if (rc != 0 ||
        (rc = read_names(r, "agents", &r->agents, sizeof(SystemAgent), SYSTEM_AGENTS_MAX, &agents,
                         &sys->agent_count, e)) != 0 ||
        (rc = read_names(r, "clients", &r->clients, sizeof(SystemClient), SYSTEM_CLIENTS_MAX,
                         &clients, &sys->client_count, e)) != 0) {
        return rc;
    }
    sys->agents = agents;
    sys->clients = clients;
    for (const Doc *m = doc_first(section); m && rc == 0; m = doc_next(m)) {
        rc = read_agent(r, m, index++, e);
    }
    index = 0;
    section = doc_get(r->root, SLICE("clients"));
    for (const Doc *m = doc_first(section); m && rc == 0; m = doc_next(m)) {
        rc = read_client(r, m, index++, e);
    }
    if (rc != 0 || (rc = read_edges(r, doc_get(r->root, SLICE("edges")), e)) != 0 ||
        (rc = read_objectives(r, doc_get(r->root, SLICE("objectives")), e)) != 0) {
        return rc;
    }
    return read_faults(r, doc_get(r->root, SLICE("faults")), e);
}

int system_read(Arena *arena, const Doc *doc, System **ret_system, Err *e)
{
    if (arena_left(arena) < sizeof(System)) {
        return err_set(e, ERR_LIMIT, "no memory is left for a system");
    }
    Reader r = {.arena = arena,
                .sys = ARENA_NEW(arena, System),
                .root = doc,
                .agents = map_create(SYSTEM_AGENTS_MAX, 0),
                .clients = map_create(SYSTEM_CLIENTS_MAX, 0),
                .edges = map_create(SYSTEM_EDGES_MAX, 0)};
    r.sys->arena = arena;
    int rc = read_parts(&r, e);
    if (rc == 0) {
        Err why = {0};
        if ((rc = system_check(r.sys, &why)) != 0) {
            (void)doc_err(e, doc_get(doc, SLICE("agents")), "%s", why.text);
            rc = rc == ERR_LIMIT ? rc : ERR_PARSE;
        }
    }
    map_done(&r.agents);
    map_done(&r.clients);
    map_done(&r.edges);
    if (rc == 0) {
        *ret_system = r.sys;
    }
    return rc;
}

int system_load(Arena *arena, const char *path, System **ret_system, Err *e)
{
    const Doc *doc = NULL;
    int rc = doc_read_file(arena, path, NULL, &doc, e);
    return rc != 0 ? rc : system_read(arena, doc, ret_system, e);
}

int system_parse(Arena *arena, Slice text, const char *source, System **ret_system, Err *e)
{
    const DocOptions options = {.format = DOC_FORMAT_TOML, .source = source};
    const Doc *doc = NULL;
    int rc = doc_parse(arena, text, &options, &doc, e);
    return rc != 0 ? rc : system_read(arena, doc, ret_system, e);
}
