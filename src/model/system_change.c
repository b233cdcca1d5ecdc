// Parameters of a System by name, and changes of them.
#include "model/system.h"

#include <math.h>

static const Param SERVERS = {.name = "servers",
                              .kind = PARAM_INT,
                              .unit = "servers",
                              .min = 1,
                              .max = SYSTEM_SERVERS_MAX,
                              .initial.integer = 1,
                              .live = true,
                              .help = "Requests that it works on at a time."};
static const ParamTable SERVERS_TABLE = {"agent", &SERVERS, 1};

const Param *system_param_row(uint16_t param)
{
    return param == SYSTEM_PARAM_SERVERS ? &SERVERS : &POLICY_PARAMS[param];
}

// The table that messages name the parameter by.
static const ParamTable *table_of(uint16_t param, size_t *ret_index)
{
    *ret_index = 0;
    return param == SYSTEM_PARAM_SERVERS ? &SERVERS_TABLE
                                         : policy_owner((PolicyParamId)param, ret_index);
}

double system_number(uint16_t param, ParamValue value)
{
    switch (system_param_row(param)->kind) {
    case PARAM_BOOL: return value.boolean;
    case PARAM_FLOAT: return value.real;
    case PARAM_INT:
    case PARAM_DURATION:
    case PARAM_SIZE:
    case PARAM_CHOICE: return (double)value.integer;
    }
    return 0;
}

ParamValue system_value(uint16_t param, double number)
{
    ParamValue value = {0};
    switch (system_param_row(param)->kind) {
    case PARAM_BOOL: value.boolean = number >= 0.5; break;
    case PARAM_FLOAT: value.real = number; break;
    case PARAM_INT:
    case PARAM_DURATION:
    case PARAM_SIZE:
    case PARAM_CHOICE: value.integer = (int64_t)llround(number); break;
    }
    return value;
}

// ---- names

// The part of `dotted` before the parameter: "a->b" of "a->b.retry.attempts". Names have no dots.
static int find_place(const System *sys, Slice place, SystemParam *ret_param, Err *e)
{
    bool edge = slice_find(place, SLICE("->")) >= 0;
    ptrdiff_t index = edge ? system_find_edge(sys, place) : system_find_agent(sys, place);
    if (index >= 0) {
        ret_param->place = edge ? PLACE_EDGE : PLACE_AGENT;
        ret_param->index = (uint32_t)index;
        return 0;
    }
    Slice near = {0};
    for (uint32_t i = 0; i < (edge ? sys->edge_count : sys->agent_count) && near.len == 0; i++) {
        near = slice_nearest(place, edge ? &sys->edges[i].name : &sys->agents[i].name, 1);
    }
    return err_set(e, ERR_NOT_FOUND, "there is no %s \"%.*s\"%s%.*s%s", edge ? "edge" : "agent",
                   SLICE_FMT(place), near.len ? "; did you mean \"" : "", SLICE_FMT(near),
                   near.len ? "\"?" : "");
}

static int no_parameter(Slice name, bool agent, Err *e)
{
    static const Slice SERVERS_NAME = SLICE_INIT("servers");
    Err why = {0};
    if (agent && slice_nearest(name, &SERVERS_NAME, 1).len > 0) {
        return err_set(e, ERR_NOT_FOUND, "there is no \"%.*s\"; did you mean \"servers\"?",
                       SLICE_FMT(name));
    }
    (void)policy_unknown(name, &why);
    return err_set(e, ERR_NOT_FOUND, "%s", why.text);
}

int system_find_param(const System *sys, Slice dotted, SystemParam *ret_param, Err *e)
{
    Slice place, name;
    SystemParam found = {0};
    (void)slice_cut(dotted, '.', &place, &name);
    int rc = find_place(sys, place, &found, e);
    if (rc != 0) {
        return rc;
    }
    bool agent = found.place == PLACE_AGENT;
    ptrdiff_t id =
        agent && slice_eq(name, SLICE("servers")) ? SYSTEM_PARAM_SERVERS : policy_find(name);
    if (id < 0) {
        return no_parameter(name, agent, e);
    }
    found.param = (uint16_t)id;
    *ret_param = found;
    return 0;
}

void system_param_name(const System *sys, SystemParam what, Buf *out)
{
    buf_append(out, what.place == PLACE_AGENT ? sys->agents[what.index].name
                                              : sys->edges[what.index].name);
    if (what.param == SYSTEM_PARAM_SERVERS) {
        buf_puts(out, ".servers");
    } else {
        buf_printf(out, ".%s.%s", policy_owner((PolicyParamId)what.param, NULL)->owner,
                   POLICY_PARAMS[what.param].name);
    }
}

// ---- values

static ParamValue *values_of(System *sys, SystemParam what)
{
    return what.place == PLACE_AGENT ? sys->agents[what.index].policy
                                     : sys->edges[what.index].policy;
}

ParamValue system_get(const System *sys, SystemParam what)
{
    if (what.param == SYSTEM_PARAM_SERVERS) {
        return (ParamValue){.integer = sys->agents[what.index].servers};
    }
    return what.place == PLACE_AGENT ? sys->agents[what.index].policy[what.param]
                                     : sys->edges[what.index].policy[what.param];
}

static void put(System *sys, SystemParam what, ParamValue value)
{
    if (what.param == SYSTEM_PARAM_SERVERS) {
        sys->agents[what.index].servers = (uint32_t)value.integer;
        return;
    }
    values_of(sys, what)[what.param] = value;
    if (what.place == PLACE_AGENT) {
        sys->agents[what.index].has_policy = true;
    }
}

static bool is_place(const System *sys, SystemParam what)
{
    uint32_t count = what.place == PLACE_AGENT ? sys->agent_count : sys->edge_count;
    return what.index < count && what.param <= SYSTEM_PARAM_SERVERS &&
           (what.place == PLACE_AGENT || what.param != SYSTEM_PARAM_SERVERS);
}

static int check_change(const System *sys, const SystemChange *change, Err *e)
{
    size_t index;
    if (!is_place(sys, change->what)) {
        return err_set(e, ERR_ARG, "a change of something that is not there");
    }
    const ParamTable *table = table_of(change->what.param, &index);
    const Param *row = &table->params[index];
    int64_t choices = 0;
    while (row->kind == PARAM_CHOICE && row->choices[choices]) {
        choices++;
    }
    if (row->kind == PARAM_CHOICE &&
        (change->value.integer < 0 || change->value.integer >= choices)) {
        return err_set(e, ERR_ARG, "%s.%s has %lld choices", table->owner, row->name,
                       (long long)choices);
    }
    if (change->what.param == SYSTEM_PARAM_SERVERS &&
        sys->agents[change->what.index].servers == 0) {
        return err_set(e, ERR_ARG, "\"%.*s\" works on any number of requests; it has no servers",
                       SLICE_FMT(sys->agents[change->what.index].name));
    }
    return param_check(table, index, change->value, e);
}

int system_set_all(System *sys, const SystemChange *changes, size_t count, Err *e)
{
    int rc = 0;
    if (count > SYSTEM_CHANGES_MAX) {
        return err_set(e, ERR_LIMIT, "%zu changes, the limit is %d", count, SYSTEM_CHANGES_MAX);
    }
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = check_change(sys, &changes[i], e);
    }
    if (rc != 0) {
        return rc;
    }
    ParamValue before[SYSTEM_CHANGES_MAX];
    bool had_policy[SYSTEM_CHANGES_MAX];
    for (size_t i = 0; i < count; i++) {
        SystemParam what = changes[i].what;
        before[i] = system_get(sys, what);
        had_policy[i] = what.place == PLACE_AGENT && sys->agents[what.index].has_policy;
        put(sys, what, changes[i].value);
    }
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = policy_check(values_of(sys, changes[i].what), e);
    }
    for (size_t i = count; i-- > 0 && rc != 0;) { // backwards: one may be changed twice
        put(sys, changes[i].what, before[i]);
        if (changes[i].what.place == PLACE_AGENT) {
            sys->agents[changes[i].what.index].has_policy = had_policy[i];
        }
    }
    return rc;
}

int system_set(System *sys, const SystemChange *change, Err *e)
{
    return system_set_all(sys, change, 1, e);
}

// ---- owners

uint32_t system_owner(const System *sys, SystemParam what)
{
    return what.place == PLACE_AGENT ? what.index : sys->edges[what.index].from;
}

const SystemRange *system_range(const System *sys, SystemParam what)
{
    bool agent = what.place == PLACE_AGENT;
    const SystemRange *ranges =
        agent ? sys->agents[what.index].ranges : sys->edges[what.index].ranges;
    uint32_t count =
        agent ? sys->agents[what.index].range_count : sys->edges[what.index].range_count;
    for (uint32_t i = 0; i < count; i++) {
        if (ranges[i].param == what.param) {
            return &ranges[i];
        }
    }
    return NULL;
}

int system_allowed(const System *sys, const SystemChange *change, Err *e)
{
    const SystemRange *range = system_range(sys, change->what);
    double number = system_number(change->what.param, change->value);
    if (range && number >= range->low && number <= range->high) {
        return 0;
    }
    Buf name = buf_create(4096);
    system_param_name(sys, change->what, &name);
    if (range) {
        const Param *row = system_param_row(change->what.param);
        buf_puts(&name, ": ");
        param_format(row, change->value, &name);
        buf_puts(&name, " is outside of ");
        param_format(row, system_value(change->what.param, range->low), &name);
        buf_puts(&name, " to ");
        param_format(row, system_value(change->what.param, range->high), &name);
    }
    int rc = err_set(e, ERR_REFUSED, "%s%s", name.data,
                     range ? ", which its owner allows" : " is not given to planners by its owner");
    buf_done(&name);
    return rc;
}

// ---- text and documents

static int value_from_text(uint16_t param, Slice text, ParamValue *ret_value, Err *e)
{
    size_t index;
    const ParamTable *table = table_of(param, &index);
    const ParamTable one = {table->owner, &table->params[index], 1};
    return param_set(&one, slice_from_cstr(one.params->name), text, false, ret_value, e);
}

int system_parse_change(const System *sys, Slice text, SystemChange *ret_change, Err *e)
{
    Slice name, value;
    SystemChange change = {0};
    if (!slice_cut(text, '=', &name, &value)) {
        return err_set(e, ERR_PARSE, "\"%.*s\": a change is NAME=VALUE, as a->b.retry.attempts=2",
                       SLICE_FMT(text));
    }
    int rc = system_find_param(sys, slice_trim(name), &change.what, e);
    if (rc != 0 ||
        (rc = value_from_text(change.what.param, slice_trim(value), &change.value, e)) != 0 ||
        (rc = check_change(sys, &change, e)) != 0) {
        return rc;
    }
    *ret_change = change;
    return 0;
}

static int read_change(const System *sys, const Doc *d, SystemChange *ret_change, Err *e)
{
    Err why = {0};
    size_t index;
    SystemChange change = {0};
    if (system_find_param(sys, d->key, &change.what, &why) != 0) {
        return doc_err_key(e, d, "%s", why.text);
    }
    const ParamTable *table = table_of(change.what.param, &index);
    int rc = param_read_value(table, index, d, &change.value, e);
    if (rc != 0) {
        return rc;
    }
    if (check_change(sys, &change, &why) != 0) {
        return doc_err(e, d, "%s", why.text);
    }
    *ret_change = change;
    return 0;
}

int system_read_changes(Arena *arena, const System *sys, const Doc *object,
                        SystemChange **ret_changes, size_t *ret_count, Err *e)
{
    int rc = doc_expect(object, DOC_OBJECT, "a list of changes", e);
    size_t count = doc_count(object), used = 0;
    if (rc != 0) {
        return rc;
    }
    if (count > SYSTEM_CHANGES_MAX || arena_left(arena) / 2 < (count + 1) * sizeof(SystemChange)) {
        (void)doc_err(e, object, "%zu changes, the limit is %d", count, SYSTEM_CHANGES_MAX);
        return ERR_LIMIT;
    }
    SystemChange *changes = ARENA_ARRAY(arena, SystemChange, count + 1);
    for (const Doc *m = doc_first(object); m; m = doc_next(m)) {
        if ((rc = read_change(sys, m, &changes[used++], e)) != 0) {
            return rc;
        }
    }
    *ret_changes = changes;
    *ret_count = count;
    return 0;
}

void system_write_changes(const System *sys, const SystemChange *changes, size_t count,
                          JsonWriter *w)
{
    json_object_begin(w);
    for (size_t i = 0; i < count; i++) {
        Buf name = buf_create(4096);
        system_param_name(sys, changes[i].what, &name);
        json_key(w, buf_slice(&name));
        param_write_value(system_param_row(changes[i].what.param), changes[i].value, w);
        buf_done(&name);
    }
    json_object_end(w);
}

void system_print_changes(const System *before, const SystemChange *changes, size_t count, Buf *out)
{
    for (size_t i = 0; i < count; i++) {
        const Param *row = system_param_row(changes[i].what.param);
        buf_puts(out, i ? ", " : "");
        system_param_name(before, changes[i].what, out);
        buf_putc(out, ' ');
        param_format(row, system_get(before, changes[i].what), out);
        buf_puts(out, " -> ");
        param_format(row, changes[i].value, out);
    }
}
