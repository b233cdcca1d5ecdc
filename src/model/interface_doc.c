// The document of a performance interface: made of a System, written, read.
#include <math.h>
#include <string.h>

#include "model/interface_impl.h"
#include "os/clock.h"

static const char *const OUTPUTS[] = {"offered",  "goodput",     "errors",  "mean",   "p50", "p99",
                                      "arrivals", "utilisation", "waiting", "wasted", NULL};

// ---- of a System

static Slice name_of_party(const System *sys, uint32_t party)
{
    return party & SYSTEM_FROM_CLIENT ? sys->clients[party & ~SYSTEM_FROM_CLIENT].name
                                      : sys->agents[party].name;
}

// Where a neighbour's policies are read, too: edges that lead here, and agents that are called.
static bool concerns(const System *sys, uint32_t agent, SystemPlace place, uint32_t index)
{
    if (place == PLACE_EDGE) {
        return sys->edges[index].from == agent || sys->edges[index].to == agent;
    }
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        if (index == agent || (sys->edges[i].from == agent && sys->edges[i].to == index)) {
            return true;
        }
    }
    return index == agent;
}

static void add_policy(Arena *arena, const System *sys, SystemParam what, const SystemRange *range,
                       Interface *out)
{
    if (out->policy_count == INTERFACE_POLICIES_MAX) {
        return;
    }
    Buf name = buf_create(512);
    system_param_name(sys, what, &name);
    const Param *row = system_param_row(what.param);
    double value = system_number(what.param, system_get(sys, what));
    bool time = row->kind == PARAM_DURATION, choice = row->kind == PARAM_CHOICE;
    out->policies[out->policy_count++] = (InterfacePolicy){
        .name = arena_copy(arena, buf_slice(&name)),
        .owner = name_of_party(sys, system_owner(sys, what)),
        .unit = time     ? SLICE("ns")
                : choice ? SLICE("choice")
                         : slice_from_cstr(row->unit),
        .value = value,
        .low = range ? range->low : value,
        .high = range ? range->high : value,
    };
    buf_done(&name);
}

static void policies_at(Arena *arena, const System *sys, SystemPlace place, uint32_t index,
                        Interface *out)
{
    const SystemRange *ranges =
        place == PLACE_EDGE ? sys->edges[index].ranges : sys->agents[index].ranges;
    uint32_t count =
        place == PLACE_EDGE ? sys->edges[index].range_count : sys->agents[index].range_count;
    for (uint16_t id = 0; id <= SYSTEM_PARAM_SERVERS; id++) {
        SystemParam what = {place, index, id};
        const SystemRange *range = NULL;
        for (uint32_t i = 0; i < count; i++) {
            range = ranges[i].param == id ? &ranges[i] : range;
        }
        bool servers = id == SYSTEM_PARAM_SERVERS;
        if (servers && (place == PLACE_EDGE || sys->agents[index].servers == 0)) {
            continue;
        }
        if (!servers && place == PLACE_AGENT && !sys->agents[index].has_policy && !range) {
            continue;
        }
        double value = system_number(id, system_get(sys, what));
        bool said = servers || value != system_number(id, POLICY_PARAMS[id].initial);
        if (range || said) {
            add_policy(arena, sys, what, range, out);
        }
    }
}

static void add_inputs(const System *sys, uint32_t agent, const Outcome *rates, Interface *out)
{
    for (uint32_t i = 0; i < sys->edge_count && out->input_count < INTERFACE_INPUTS_MAX; i++) {
        const SystemEdge *edge = &sys->edges[i];
        if (edge->to != agent) {
            continue;
        }
        double rate = rates->edges[i].calls.value;
        rate = isfinite(rate) ? rate : 0;
        const SystemClient *client = edge->from & SYSTEM_FROM_CLIENT
                                         ? &sys->clients[edge->from & ~SYSTEM_FROM_CLIENT]
                                         : NULL;
        // Three times the present rate is what a spike is tried with.
        out->inputs[out->input_count++] =
            (InterfaceInput){.from = name_of_party(sys, edge->from),
                             .rate = rate,
                             .low = 0,
                             .high = 3 * rate,
                             .scv = client && client->users == 0 ? client->scv : 1};
    }
}

static void add_effects(const System *sys, uint32_t agent, const Outcome *rates, Interface *out)
{
    for (uint32_t i = 0; i < sys->edge_count && out->effect_count < INTERFACE_EFFECTS_MAX; i++) {
        if (sys->edges[i].from == agent) {
            const EdgeOutcome *e = &rates->edges[i];
            out->effects[out->effect_count++] = (InterfaceEffect){
                sys->agents[sys->edges[i].to].name, e->calls, e->attempts, e->retries};
        }
    }
}

// The members of a document's list that concern the agent, as one JSON value.
static void write_fragment(const System *sys, const Doc *doc, uint32_t agent, JsonWriter *w)
{
    Slice name = sys->agents[agent].name;
    json_object_begin(w);
    json_key(w, SLICE("agents"));
    json_object_begin(w);
    json_key(w, name);
    doc_write(w, doc_get(doc_get(doc, SLICE("agents")), name));
    json_object_end(w);
    json_key(w, SLICE("edges"));
    json_array_begin(w);
    for (const Doc *d = doc_first(doc_get(doc, SLICE("edges"))); d; d = doc_next(d)) {
        const Doc *from = doc_get(d, SLICE("from")), *to = doc_get(d, SLICE("to"));
        if (slice_eq(from->text, name) || slice_eq(to->text, name)) {
            doc_write(w, d);
        }
    }
    json_array_end(w);
    static const char *const lists[] = {"clients", "objectives"};
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        json_key(w, slice_from_cstr(lists[i]));
        json_object_begin(w);
        for (const Doc *d = doc_first(doc_get(doc, slice_from_cstr(lists[i]))); d;
             d = doc_next(d)) {
            ptrdiff_t client = system_find_client(sys, d->key);
            if (client >= 0 && sys->edges[sys->clients[client].edge].to == agent) {
                json_key(w, d->key);
                doc_write(w, d);
            }
        }
        json_object_end(w);
    }
    json_object_end(w);
}

static int fragment_of(Arena *arena, const System *sys, uint32_t agent, const Doc **ret, Err *e)
{
    const Doc *doc = NULL;
    int rc = interface_system_doc(arena, sys, &doc, e);
    if (rc != 0) {
        return rc;
    }
    Buf text = buf_create(INTERFACE_BYTES_MAX);
    JsonWriter w = json_writer(&text, 0);
    write_fragment(sys, doc, agent, &w);
    rc = buf_check(&text, "the agent's part of the system", e);
    if (rc == 0) {
        DocOptions options = {.format = DOC_FORMAT_JSON, .source = "fragment"};
        rc = doc_parse(arena, buf_slice(&text), &options, ret, e);
    }
    buf_done(&text);
    return rc;
}

static Interface *interface_new(Arena *arena)
{
    Interface *out = ARENA_NEW(arena, Interface);
    out->inputs = ARENA_ARRAY(arena, InterfaceInput, INTERFACE_INPUTS_MAX);
    out->effects = ARENA_ARRAY(arena, InterfaceEffect, INTERFACE_EFFECTS_MAX);
    for (size_t i = 0; i < FIDELITIES; i++) {
        out->cost_ns[i] = NAN;
    }
    out->utilisation_max = INTERFACE_UTILISATION;
    return out;
}

// What queries cost here: asked once each, and the simulator's by what a second of it costs.
static int measure_costs(Arena *arena, const System *sys, Interface *out, Err *e)
{
    InterfaceProgram *program = NULL;
    int rc = interface_program(sys, &program, e);
    static const Fidelity tried[] = {FIDELITY_BOUNDS, FIDELITY_FORMULA};
    for (size_t i = 0; rc == 0 && i < COUNT_OF(tried); i++) {
        InterfaceQuery query = {.exact_fidelity = true, .fidelity = tried[i], .outside = true};
        InterfaceAnswer answer;
        rc = interface_query(program, arena, &query, &answer, e);
    }
    for (size_t i = 0; rc == 0 && i < FIDELITIES; i++) {
        out->cost_ns[i] = interface_cost(program, (Fidelity)i);
    }
    interface_program_destroy(program);
    return rc;
}

int interface_of(Arena *arena, const System *sys, uint32_t agent, const InterfaceOptions *options,
                 Interface **ret_interface, Err *e)
{
    InterfaceOptions o = options ? *options : (InterfaceOptions){0};
    const Outcome *rates = NULL;
    int rc = interface_rates(arena, sys, o.observed, &rates, e);
    if (rc != 0) {
        return rc;
    }
    Interface *out = interface_new(arena);
    out->agent = sys->agents[agent].name;
    out->system_name = sys->name;
    out->revision = o.revision > 0 ? o.revision : 1;
    out->issued_unix_ns = o.now_unix_ns > 0 ? o.now_unix_ns : clock_wall(clock_real());
    out->expires_unix_ns = o.ttl_ns > 0 ? out->issued_unix_ns + o.ttl_ns : 0;
    add_inputs(sys, agent, rates, out);
    add_effects(sys, agent, rates, out);
    out->policies = ARENA_ARRAY(arena, InterfacePolicy, INTERFACE_POLICIES_MAX);
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        if (concerns(sys, agent, PLACE_AGENT, i)) {
            policies_at(arena, sys, PLACE_AGENT, i, out);
        }
    }
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        if (concerns(sys, agent, PLACE_EDGE, i)) {
            policies_at(arena, sys, PLACE_EDGE, i, out);
        }
    }
    if ((rc = fragment_of(arena, sys, agent, &out->fragment, e)) != 0 ||
        (rc = measure_costs(arena, sys, out, e)) != 0) {
        return rc;
    }
    *ret_interface = out;
    return 0;
}

// ---- writing

static void write_estimate(JsonWriter *w, const char *key, const Estimate *x)
{
    json_key(w, slice_from_cstr(key));
    json_object_begin(w);
    json_field_double(w, "value", x->value);
    json_field_double(w, "low", x->low);
    json_field_double(w, "high", x->high);
    json_object_end(w);
}

static void write_inputs(const Interface *in, JsonWriter *w)
{
    json_key(w, SLICE("inputs"));
    json_array_begin(w);
    for (uint32_t i = 0; i < in->input_count; i++) {
        const InterfaceInput *x = &in->inputs[i];
        json_object_begin(w);
        json_field_string(w, "from", x->from);
        write_estimate(w, "rate", &(Estimate){x->rate, x->low, x->high});
        json_field_double(w, "scv", x->scv);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_policies(const Interface *in, JsonWriter *w)
{
    json_key(w, SLICE("policies"));
    json_array_begin(w);
    for (uint32_t i = 0; i < in->policy_count; i++) {
        const InterfacePolicy *p = &in->policies[i];
        json_object_begin(w);
        json_field_string(w, "name", p->name);
        json_field_string(w, "owner", p->owner);
        if (p->unit.len > 0) {
            json_field_string(w, "unit", p->unit);
        }
        json_field_double(w, "value", p->value);
        json_field_double(w, "low", p->low);
        json_field_double(w, "high", p->high);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_effects(const Interface *in, JsonWriter *w)
{
    json_key(w, SLICE("outputs"));
    json_array_begin(w);
    for (size_t i = 0; OUTPUTS[i]; i++) {
        json_cstr(w, OUTPUTS[i]);
    }
    json_array_end(w);
    json_key(w, SLICE("effects"));
    json_array_begin(w);
    for (uint32_t i = 0; i < in->effect_count; i++) {
        const InterfaceEffect *x = &in->effects[i];
        json_object_begin(w);
        json_field_string(w, "to", x->to);
        write_estimate(w, "calls", &x->calls);
        write_estimate(w, "attempts", &x->attempts);
        write_estimate(w, "retries", &x->retries);
        json_object_end(w);
    }
    json_array_end(w);
}

void interface_write(const Interface *in, JsonWriter *w)
{
    json_object_begin(w);
    json_field_cstr(w, "format", INTERFACE_FORMAT);
    json_field_int(w, "version", INTERFACE_VERSION);
    json_field_string(w, "agent", in->agent);
    json_field_string(w, "system", in->system_name);
    json_field_int(w, "revision", in->revision);
    json_field_int(w, "issued_unix_ns", in->issued_unix_ns);
    if (in->expires_unix_ns > 0) {
        json_field_int(w, "expires_unix_ns", in->expires_unix_ns);
    }
    write_inputs(in, w);
    write_policies(in, w);
    write_effects(in, w);
    json_key(w, SLICE("region"));
    json_object_begin(w);
    json_field_double(w, "utilisation", in->utilisation_max);
    json_object_end(w);
    json_key(w, SLICE("cost_ns"));
    json_object_begin(w);
    for (size_t i = 0; i < FIDELITIES; i++) {
        if (!isnan(in->cost_ns[i])) {
            json_field_double(w, FIDELITY_NAMES[i], in->cost_ns[i]);
        }
    }
    json_object_end(w);
    if (in->fit.rows > 0) {
        json_key(w, SLICE("fit"));
        json_object_begin(w);
        json_field_int(w, "rows", (int64_t)in->fit.rows);
        json_field_double(w, "error", in->fit.error);
        json_field_string(w, "on", in->fit.on);
        if (in->fit.model) {
            json_key(w, SLICE("model"));
            doc_write(w, in->fit.model);
        }
        json_object_end(w);
    }
    json_key(w, SLICE("fragment"));
    doc_write(w, in->fragment);
    json_object_end(w);
}
