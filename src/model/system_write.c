// A System as a JSON document. Values that are as they begin are left out, so what is written is
// what somebody would have typed.
#include "model/system_dist.h"
#include "model/system_impl.h"

static void write_time(JsonWriter *w, const char *key, int64_t ns)
{
    char text[UNITS_TEXT_MAX];
    (void)duration_format(ns, text);
    json_field_cstr(w, key, text);
}

static void write_time_given(JsonWriter *w, const char *key, int64_t ns)
{
    if (ns != 0) {
        write_time(w, key, ns);
    }
}

static void write_number_given(JsonWriter *w, const char *key, double value, double initial)
{
    if (value != initial) {
        json_field_double(w, key, value);
    }
}

static bool is_default(const ParamValue policy[POLICY_PARAM_COUNT])
{
    for (uint16_t i = 0; i < POLICY_PARAM_COUNT; i++) {
        if (system_number(i, policy[i]) != system_number(i, POLICY_PARAMS[i].initial)) {
            return false;
        }
    }
    return true;
}

static void write_bound(uint16_t param, double bound, JsonWriter *w)
{
    const Param *row = system_param_row(param);
    if (row->kind == PARAM_BOOL || row->kind == PARAM_INT) {
        json_int(w, (int64_t)bound);
    } else if (row->kind == PARAM_FLOAT) {
        json_double(w, bound);
    } else {
        Buf text = buf_create(256);
        param_format(row, system_value(param, bound), &text);
        json_string(w, buf_slice(&text));
        buf_done(&text);
    }
}

static void write_ranges(const SystemRange *ranges, uint32_t count, JsonWriter *w)
{
    if (count == 0) {
        return;
    }
    json_key(w, SLICE("range"));
    json_object_begin(w);
    for (uint32_t i = 0; i < count; i++) {
        char name[96];
        int n = ranges[i].param == SYSTEM_PARAM_SERVERS
                    ? snprintf(name, sizeof name, "servers")
                    : snprintf(name, sizeof name, "%s.%s",
                               policy_owner((PolicyParamId)ranges[i].param, NULL)->owner,
                               POLICY_PARAMS[ranges[i].param].name);
        json_key(w, (Slice){name, (size_t)n});
        json_array_begin(w);
        write_bound(ranges[i].param, ranges[i].low, w);
        write_bound(ranges[i].param, ranges[i].high, w);
        json_array_end(w);
    }
    json_object_end(w);
}

static void write_program(Slice program, JsonWriter *w)
{
    if (program.len > 0) {
        json_field_string(w, "program", program);
    }
}

static void write_group(const System *sys, const SystemGroup *group, JsonWriter *w)
{
    json_object_begin(w);
    json_key(w, SLICE("to"));
    json_array_begin(w);
    for (uint32_t i = 0; i < group->count; i++) {
        const SystemTarget *t = &group->targets[i];
        Slice name = sys->agents[sys->edges[t->edge].to].name;
        if (t->chance == 1 && t->repeat == 1) {
            json_string(w, name);
            continue;
        }
        json_object_begin(w);
        json_field_string(w, "agent", name);
        write_number_given(w, "chance", t->chance, 1);
        write_number_given(w, "repeat", t->repeat, 1);
        json_object_end(w);
    }
    json_array_end(w);
    if (group->join != JOIN_ALL) {
        json_field_cstr(w, "join", SYSTEM_JOINS[group->join]);
    }
    if (group->join == JOIN_FIRST) {
        json_field_int(w, "first", group->first);
    }
    json_object_end(w);
}

static void write_agent(const System *sys, const SystemAgent *a, JsonWriter *w)
{
    json_key(w, a->name);
    json_object_begin(w);
    if (a->servers > 0) {
        json_field_int(w, "servers", a->servers);
    }
    if (a->queue != UINT32_MAX) {
        json_field_int(w, "queue", a->queue);
    }
    if (a->discipline != VIRTUAL_FIFO) {
        json_field_cstr(w, "discipline", SYSTEM_DISCIPLINES[a->discipline]);
    }
    if (a->holds_server) {
        json_field_bool(w, "holds_server", true);
    }
    write_time_given(w, "start_delay", a->start_delay_ns);
    write_number_given(w, "fail", a->fail, 0);
    if (a->service.kind != DIST_FIXED || a->service.scale != 0) {
        json_key(w, SLICE("service"));
        system_write_dist(&a->service, w);
    }
    if (a->group_count > 0) {
        json_key(w, SLICE("calls"));
        json_array_begin(w);
        for (uint32_t i = 0; i < a->group_count; i++) {
            write_group(sys, &a->groups[i], w);
        }
        json_array_end(w);
    }
    if (a->has_policy) {
        json_key(w, SLICE("policy"));
        policy_write(a->policy, w);
    }
    write_ranges(a->ranges, a->range_count, w);
    write_program(a->program, w);
    json_object_end(w);
}

static void write_edges(const System *sys, JsonWriter *w)
{
    json_key(w, SLICE("edges"));
    json_array_begin(w);
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        const SystemEdge *edge = &sys->edges[i];
        bool plain = is_default(edge->policy);
        if (plain && edge->range_count == 0 && edge->program.len == 0) {
            continue;
        }
        json_object_begin(w);
        json_field_string(w, "from",
                          edge->from & SYSTEM_FROM_CLIENT
                              ? sys->clients[edge->from & ~SYSTEM_FROM_CLIENT].name
                              : sys->agents[edge->from].name);
        json_field_string(w, "to", sys->agents[edge->to].name);
        if (!plain) {
            json_key(w, SLICE("policy"));
            policy_write(edge->policy, w);
        }
        write_ranges(edge->ranges, edge->range_count, w);
        write_program(edge->program, w);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_client(const System *sys, const SystemClient *c, JsonWriter *w)
{
    json_key(w, c->name);
    json_object_begin(w);
    json_field_string(w, "to", sys->agents[sys->edges[c->edge].to].name);
    if (c->users > 0) {
        json_field_int(w, "users", c->users);
        json_key(w, SLICE("think"));
        system_write_dist(&c->think, w);
    } else {
        json_field_double(w, "rate", c->per_second);
        write_number_given(w, "scv", c->scv, 1);
    }
    if (c->patience.kind != DIST_FIXED || c->patience.scale != 0) {
        json_key(w, SLICE("patience"));
        system_write_dist(&c->patience, w);
    }
    write_time_given(w, "deadline", c->deadline_ns);
    if (c->priority > 0) {
        json_field_int(w, "priority", c->priority);
    }
    if (c->spike_count > 0) {
        json_key(w, SLICE("spikes"));
        json_array_begin(w);
        for (uint32_t i = 0; i < c->spike_count; i++) {
            json_object_begin(w);
            write_time(w, "at", c->spikes[i].at_ns);
            write_time(w, "for", c->spikes[i].for_ns);
            json_field_double(w, "factor", c->spikes[i].factor);
            json_object_end(w);
        }
        json_array_end(w);
    }
    json_object_end(w);
}

static void write_objective(const System *sys, const SystemObjective *o, JsonWriter *w)
{
    json_key(w, sys->clients[o->client].name);
    json_object_begin(w);
    write_time_given(w, "within", o->within_ns);
    write_number_given(w, "goodput", o->goodput, 0);
    write_time_given(w, "p50", o->p50_ns);
    write_time_given(w, "p99", o->p99_ns);
    write_number_given(w, "errors", o->errors, 0);
    write_time(w, "window", o->window_ns);
    json_object_end(w);
}

static void write_fault(const System *sys, const SystemFault *f, JsonWriter *w)
{
    json_object_begin(w);
    json_field_string(w, "agent", sys->agents[f->agent].name);
    write_time(w, "at", f->at_ns);
    write_time_given(w, "for", f->for_ns);
    write_number_given(w, "slow", f->slow, 1);
    write_number_given(w, "fail", f->fail, 0);
    if (f->lose > 0) {
        json_field_int(w, "lose", f->lose);
    }
    if (f->stop) {
        json_field_bool(w, "stop", true);
    }
    json_object_end(w);
}

void system_write(const System *sys, JsonWriter *w)
{
    json_object_begin(w);
    json_field_int(w, "version", SYSTEM_VERSION);
    json_field_string(w, "name", sys->name);
    json_key(w, SLICE("agents"));
    json_object_begin(w);
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        write_agent(sys, &sys->agents[i], w);
    }
    json_object_end(w);
    write_edges(sys, w);
    json_key(w, SLICE("clients"));
    json_object_begin(w);
    for (uint32_t i = 0; i < sys->client_count; i++) {
        write_client(sys, &sys->clients[i], w);
    }
    json_object_end(w);
    json_key(w, SLICE("objectives"));
    json_object_begin(w);
    for (uint32_t i = 0; i < sys->objective_count; i++) {
        write_objective(sys, &sys->objectives[i], w);
    }
    json_object_end(w);
    json_key(w, SLICE("faults"));
    json_array_begin(w);
    for (uint32_t i = 0; i < sys->fault_count; i++) {
        write_fault(sys, &sys->faults[i], w);
    }
    json_array_end(w);
    json_object_end(w);
}
