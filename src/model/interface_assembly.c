// Parts of System documents put together to one, and what one agent knows of a whole System.
#include <math.h>
#include <string.h>

#include "model/formula.h"
#include "model/interface_impl.h"

void assembly_init(Assembly *a, Arena *arena, size_t agents, size_t edges, size_t others)
{
    *a = (Assembly){.arena = arena};
    a->agents = ARENA_ARRAY(arena, const Doc *, agents + 1);
    a->empty = ARENA_ARRAY(arena, Slice, agents + edges + 1);
    a->edges = ARENA_ARRAY(arena, const Doc *, edges + 1);
    a->clients = ARENA_ARRAY(arena, const Doc *, others + 1);
    a->objectives = ARENA_ARRAY(arena, const Doc *, others + 1);
    a->callers = ARENA_ARRAY(arena, struct AssemblyCaller, edges + others + 1);
}

static void write_members(JsonWriter *w, const Doc *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_key(w, list[i]->key);
        doc_write(w, list[i]);
    }
}

static void write_assembly(const Assembly *a, JsonWriter *w)
{
    json_object_begin(w);
    json_field_int(w, "version", SYSTEM_VERSION);
    json_field_string(w, "name", a->name);
    json_key(w, SLICE("agents"));
    json_object_begin(w);
    write_members(w, a->agents, a->agent_count);
    for (size_t i = 0; i < a->empty_count; i++) {
        json_key(w, a->empty[i]);
        json_object_begin(w);
        json_object_end(w);
    }
    json_object_end(w);
    json_key(w, SLICE("edges"));
    json_array_begin(w);
    for (size_t i = 0; i < a->edge_count; i++) {
        doc_write(w, a->edges[i]);
    }
    json_array_end(w);
    json_key(w, SLICE("clients"));
    json_object_begin(w);
    write_members(w, a->clients, a->client_count);
    for (size_t i = 0; i < a->caller_count; i++) {
        json_key(w, a->callers[i].from);
        json_object_begin(w);
        json_field_string(w, "to", a->callers[i].to);
        json_field_double(w, "rate", a->callers[i].rate);
        json_field_double(w, "scv", a->callers[i].scv);
        json_object_end(w);
    }
    json_object_end(w);
    json_key(w, SLICE("objectives"));
    json_object_begin(w);
    write_members(w, a->objectives, a->objective_count);
    json_object_end(w);
    json_object_end(w);
}

int assembly_read(const Assembly *a, System **ret_system, Err *e)
{
    Buf text = buf_create((size_t)INTERFACE_BYTES_MAX * 16);
    JsonWriter w = json_writer(&text, 0);
    write_assembly(a, &w);
    const Doc *doc = NULL;
    int rc = buf_check(&text, "the system that the interfaces describe", e);
    if (rc == 0) {
        DocOptions options = {.format = DOC_FORMAT_JSON, .source = "composed system"};
        rc = doc_parse(a->arena, buf_slice(&text), &options, &doc, e);
    }
    buf_done(&text);
    return rc == 0 ? system_read(a->arena, doc, ret_system, e) : rc;
}

int interface_system_doc(Arena *arena, const System *sys, const Doc **ret_doc, Err *e)
{
    Buf text = buf_create((size_t)INTERFACE_BYTES_MAX * 16);
    JsonWriter w = json_writer(&text, 0);
    system_write(sys, &w);
    int rc = buf_check(&text, "the system's document", e);
    if (rc == 0) {
        DocOptions options = {.format = DOC_FORMAT_JSON, .source = "system"};
        rc = doc_parse(arena, buf_slice(&text), &options, ret_doc, e);
    }
    buf_done(&text);
    return rc;
}

int interface_rates(Arena *arena, const System *sys, const Outcome *observed,
                    const Outcome **ret_outcome, Err *e)
{
    if (observed) {
        *ret_outcome = observed;
        return 0;
    }
    Formula *f = NULL;
    int rc = formula_create(sys, &f, e);
    if (rc != 0) {
        return rc;
    }
    Outcome *o = outcome_create(arena, sys);
    (void)formula_solve_below(f, sys, o);
    o->reason = arena_copy(arena, o->reason);
    formula_destroy(f);
    *ret_outcome = o;
    return 0;
}

// ---- the part of a System that lies below one agent

static void mark_below(const System *sys, uint32_t agent, bool *below)
{
    if (below[agent]) {
        return;
    }
    below[agent] = true;
    const SystemAgent *a = &sys->agents[agent];
    for (uint32_t g = 0; g < a->group_count; g++) {
        for (uint32_t t = 0; t < a->groups[g].count; t++) {
            mark_below(sys, sys->edges[a->groups[g].targets[t].edge].to, below);
        }
    }
}

static Slice text_of(const Doc *object, const char *key)
{
    const Doc *d = doc_get(object, slice_from_cstr(key));
    return d && d->type == DOC_STRING ? d->text : (Slice){0};
}

// Is it the first edge of its caller into the part? A second one needs a client of its own.
static void add_callers(Assembly *a, const System *sys, const bool *below, const Outcome *rates)
{
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        const SystemEdge *edge = &sys->edges[i];
        if ((edge->from & SYSTEM_FROM_CLIENT) || below[edge->from] || !below[edge->to]) {
            continue;
        }
        Slice name = sys->agents[edge->from].name;
        for (size_t n = 0; n < a->caller_count; n++) {
            if (slice_eq(a->callers[n].from, name)) {
                name = arena_printf(a->arena, "%.*s_%u", SLICE_FMT(name), i);
                break;
            }
        }
        double rate = rates->edges[i].calls.value;
        a->callers[a->caller_count++] = (struct AssemblyCaller){
            name, sys->agents[edge->to].name, isfinite(rate) ? fmax(rate, 1e-6) : 1e-6, 1};
    }
}

int interface_local(Arena *arena, const System *sys, uint32_t agent, const Outcome *observed,
                    System **ret_system, Err *e)
{
    const Doc *doc = NULL;
    const Outcome *rates = NULL;
    int rc = interface_system_doc(arena, sys, &doc, e);
    if (rc != 0 || (rc = interface_rates(arena, sys, observed, &rates, e)) != 0) {
        return rc;
    }
    bool *below = ARENA_ARRAY(arena, bool, sys->agent_count + 1);
    mark_below(sys, agent, below);
    Assembly a;
    assembly_init(&a, arena, sys->agent_count, sys->edge_count,
                  sys->client_count + sys->objective_count);
    a.name = sys->name;
    uint32_t n = 0;
    for (const Doc *d = doc_first(doc_get(doc, SLICE("agents"))); d; d = doc_next(d), n++) {
        if (below[n]) {
            a.agents[a.agent_count++] = d;
        }
    }
    add_callers(&a, sys, below, rates);
    for (const Doc *d = doc_first(doc_get(doc, SLICE("edges"))); d; d = doc_next(d)) {
        ptrdiff_t to = system_find_agent(sys, text_of(d, "to"));
        if (to >= 0 && below[to]) {
            a.edges[a.edge_count++] = d;
        }
    }
    for (const Doc *d = doc_first(doc_get(doc, SLICE("clients"))); d; d = doc_next(d)) {
        ptrdiff_t to = system_find_agent(sys, text_of(d, "to"));
        if (to >= 0 && below[to]) {
            a.clients[a.client_count++] = d;
        }
    }
    for (const Doc *d = doc_first(doc_get(doc, SLICE("objectives"))); d; d = doc_next(d)) {
        for (size_t i = 0; i < a.client_count; i++) {
            if (slice_eq(a.clients[i]->key, d->key)) {
                a.objectives[a.objective_count++] = d;
            }
        }
    }
    if (a.client_count + a.caller_count == 0) {
        return err_set(e, ERR_ARG, "nobody calls %.*s, so there is nothing to ask it about",
                       SLICE_FMT(sys->agents[agent].name));
    }
    return assembly_read(&a, ret_system, e);
}
