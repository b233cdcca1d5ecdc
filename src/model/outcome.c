#include "model/outcome.h"

#include <math.h>

const char *const FIDELITY_NAMES[FIDELITIES + 1] = {
    "bounds", "formula", "simulation", "learned", "hybrid", "measured", NULL,
};

// The estimates of each part, by name: what is cleared and written are these rows.
typedef struct Row {
    const char *name;
    size_t offset;
} Row;

#define ROW(type, member)                                                                          \
    {                                                                                              \
#member, offsetof(type, member)                                                            \
    }
static const Row CLIENT_ROWS[] = {
    ROW(ClientOutcome, offered),  ROW(ClientOutcome, goodput), ROW(ClientOutcome, errors),
    ROW(ClientOutcome, mean),     ROW(ClientOutcome, p50),     ROW(ClientOutcome, p99),
    ROW(ClientOutcome, recovery),
};
static const Row EDGE_ROWS[] = {
    ROW(EdgeOutcome, calls),  ROW(EdgeOutcome, attempts), ROW(EdgeOutcome, retries),
    ROW(EdgeOutcome, hedges), ROW(EdgeOutcome, timeouts),
};
static const Row AGENT_ROWS[] = {
    ROW(AgentOutcome, arrivals), ROW(AgentOutcome, utilisation), ROW(AgentOutcome, waiting),
    ROW(AgentOutcome, servers),  ROW(AgentOutcome, wasted),
};
_Static_assert(sizeof(ClientOutcome) == COUNT_OF(CLIENT_ROWS) * sizeof(Estimate) &&
                   sizeof(EdgeOutcome) == COUNT_OF(EDGE_ROWS) * sizeof(Estimate) &&
                   sizeof(AgentOutcome) == COUNT_OF(AGENT_ROWS) * sizeof(Estimate),
               "an estimate without a row");

static Estimate *estimates(Arena *arena, size_t count, size_t rows)
{
    Estimate *list = ARENA_ARRAY(arena, Estimate, count * rows + 1);
    for (size_t i = 0; i < count * rows; i++) {
        list[i] = (Estimate){NAN, NAN, NAN};
    }
    return list;
}

Outcome *outcome_create(Arena *arena, const System *sys)
{
    Outcome *o = ARENA_NEW(arena, Outcome);
    o->stable = true;
    o->clients =
        (ClientOutcome *)(void *)estimates(arena, sys->client_count, COUNT_OF(CLIENT_ROWS));
    o->edges = (EdgeOutcome *)(void *)estimates(arena, sys->edge_count, COUNT_OF(EDGE_ROWS));
    o->agents = (AgentOutcome *)(void *)estimates(arena, sys->agent_count, COUNT_OF(AGENT_ROWS));
    return o;
}

// ---- writing

static void write_number(JsonWriter *w, const char *key, double value)
{
    if (isinf(value)) {
        json_field_cstr(w, key, value > 0 ? "infinite" : "-infinite");
    } else {
        json_field_double(w, key, value);
    }
}

static void write_part(JsonWriter *w, Slice name, const void *part, const Row *rows, size_t count)
{
    json_key(w, name);
    json_object_begin(w);
    for (size_t i = 0; i < count; i++) {
        const Estimate *x = (const Estimate *)(const void *)((const char *)part + rows[i].offset);
        if (isnan(x->value)) {
            continue;
        }
        json_key(w, slice_from_cstr(rows[i].name));
        json_object_begin(w);
        write_number(w, "value", x->value);
        write_number(w, "low", x->low);
        write_number(w, "high", x->high);
        json_object_end(w);
    }
    json_object_end(w);
}

void outcome_write(const Outcome *o, const System *sys, JsonWriter *w)
{
    json_object_begin(w);
    json_field_cstr(w, "fidelity", FIDELITY_NAMES[o->fidelity]);
    json_field_double(w, "confidence", o->confidence);
    json_field_double(w, "took_ms", (double)o->took_ns / NS_PER_MS);
    json_field_bool(w, "stable", o->stable);
    if (o->reason.len > 0) {
        json_field_string(w, "reason", o->reason);
    }
    json_key(w, SLICE("clients"));
    json_object_begin(w);
    for (uint32_t i = 0; i < sys->client_count; i++) {
        write_part(w, sys->clients[i].name, &o->clients[i], CLIENT_ROWS, COUNT_OF(CLIENT_ROWS));
    }
    json_object_end(w);
    json_key(w, SLICE("edges"));
    json_object_begin(w);
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        write_part(w, sys->edges[i].name, &o->edges[i], EDGE_ROWS, COUNT_OF(EDGE_ROWS));
    }
    json_object_end(w);
    json_key(w, SLICE("agents"));
    json_object_begin(w);
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        write_part(w, sys->agents[i].name, &o->agents[i], AGENT_ROWS, COUNT_OF(AGENT_ROWS));
    }
    json_object_end(w);
    json_object_end(w);
}

// ---- objectives

// Adds by how much `x` exceeds `limit` (with `falls` by how much it falls short), relative to it.
static void add_excess(ObjectiveGap *gap, const Estimate *x, double limit, bool falls, bool stable)
{
    const double values[3] = {x->value, falls ? x->high : x->low, falls ? x->low : x->high};
    double *sums[3] = {&gap->value, &gap->low, &gap->high};
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        double excess = (falls ? limit - values[i] : values[i] - limit) / limit;
        if (isnan(values[i])) {
            excess = i == 2 || !stable ? OUTCOME_EXCESS_MAX : 0;
        }
        *sums[i] += fmin(fmax(excess, 0), OUTCOME_EXCESS_MAX);
    }
}

ObjectiveGap outcome_objective_gap(const ClientOutcome *client, const SystemObjective *o,
                                   bool stable)
{
    ObjectiveGap gap = {0};
    if (o->goodput > 0) {
        add_excess(&gap, &client->goodput, o->goodput, true, stable);
    }
    if (o->errors > 0) {
        add_excess(&gap, &client->errors, o->errors, false, stable);
    }
    if (o->p50_ns > 0) {
        add_excess(&gap, &client->p50, (double)o->p50_ns / NS_PER_SECOND, false, stable);
    }
    if (o->p99_ns > 0) {
        add_excess(&gap, &client->p99, (double)o->p99_ns / NS_PER_SECOND, false, stable);
    }
    return gap;
}

ObjectiveGap outcome_gap(const Outcome *outcome, const System *sys)
{
    ObjectiveGap sum = {0};
    for (uint32_t i = 0; i < sys->objective_count; i++) {
        const SystemObjective *o = &sys->objectives[i];
        ObjectiveGap gap = outcome_objective_gap(&outcome->clients[o->client], o, outcome->stable);
        sum.value += gap.value;
        sum.low += gap.low;
        sum.high += gap.high;
    }
    return sum;
}
