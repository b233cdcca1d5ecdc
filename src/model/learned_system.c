#include "model/learned_system.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/formula.h"
#include "model/learned_impl.h"
#include "os/clock.h"

// ---- inputs and policies by name

typedef enum RefKind { REF_RATE, REF_SCV, REF_USERS, REF_SPIKE, REF_PARAM } RefKind;

typedef struct InputRef {
    RefKind kind;
    uint32_t client;
    SystemParam param;
} InputRef;

static const struct {
    const char *name, *unit;
} CLIENT_INPUTS[REF_PARAM] = {{"rate", "1/s"}, {"scv", ""}, {"users", ""}, {"spike", ""}};

static bool has_input(const SystemClient *c, RefKind kind)
{
    switch (kind) {
    case REF_RATE:
    case REF_SCV: return c->users == 0;
    case REF_USERS: return c->users > 0;
    case REF_SPIKE: return c->spike_count > 0;
    case REF_PARAM: return false;
    }
    return false;
}

static double largest_spike(const SystemClient *c)
{
    double largest = 0;
    for (uint32_t i = 0; i < c->spike_count; i++) {
        largest = fmax(largest, c->spikes[i].factor);
    }
    return largest;
}

// Durations are nanoseconds in the System and seconds in a table.
static double unit_of(SystemParam p)
{
    return system_param_row(p.param)->kind == PARAM_DURATION ? 1e9 : 1;
}

static double input_value(const System *sys, const InputRef *ref)
{
    const SystemClient *c = &sys->clients[ref->client];
    switch (ref->kind) {
    case REF_RATE: return c->per_second;
    case REF_SCV: return c->scv;
    case REF_USERS: return c->users;
    case REF_SPIKE: return largest_spike(c);
    case REF_PARAM: break;
    }
    return system_number(ref->param.param, system_get(sys, ref->param)) / unit_of(ref->param);
}

static int find_input(const System *sys, Slice name, InputRef *ret, Err *e)
{
    Slice owner, measure;
    if (slice_cut(name, '.', &owner, &measure)) {
        ptrdiff_t client = system_find_client(sys, owner);
        for (int kind = 0; client >= 0 && kind < REF_PARAM; kind++) {
            if (slice_eq_cstr(measure, CLIENT_INPUTS[kind].name) &&
                has_input(&sys->clients[client], (RefKind)kind)) {
                *ret = (InputRef){.kind = (RefKind)kind, .client = (uint32_t)client};
                return 0;
            }
        }
    }
    *ret = (InputRef){.kind = REF_PARAM};
    return system_find_param(sys, name, &ret->param, e);
}

// `sys` is a copy whose clients and parameters are its own. False for a value that it cannot have.
static bool set_input(System *sys, const InputRef *ref, double value)
{
    SystemClient *c = &sys->clients[ref->client];
    bool good = value >= 0;
    switch (ref->kind) {
    case REF_RATE: c->per_second = value; return good;
    case REF_SCV: c->scv = value; return good;
    case REF_USERS:
        good = good && value < UINT32_MAX;
        c->users = good ? (uint32_t)llround(value) : c->users;
        return good;
    case REF_SPIKE: return true; // formulas know the steady state only
    case REF_PARAM: break;
    }
    double number = value * unit_of(ref->param);
    if (!(fabs(number) < 1e18)) {
        return false;
    }
    SystemChange change = {ref->param, system_value(ref->param.param, number)};
    return system_set(sys, &change, NULL) == 0;
}

// ---- outputs by name

typedef enum MeasureOf { OF_CLIENT, OF_EDGE, OF_AGENT } MeasureOf;

static const struct {
    MeasureOf of;
    const char *name, *unit;
    size_t offset; // of the Estimate
} MEASURES[] = {
    {OF_CLIENT, "offered", "1/s", offsetof(ClientOutcome, offered)},
    {OF_CLIENT, "goodput", "", offsetof(ClientOutcome, goodput)},
    {OF_CLIENT, "errors", "", offsetof(ClientOutcome, errors)},
    {OF_CLIENT, "mean", "s", offsetof(ClientOutcome, mean)},
    {OF_CLIENT, "p50", "s", offsetof(ClientOutcome, p50)},
    {OF_CLIENT, "p99", "s", offsetof(ClientOutcome, p99)},
    {OF_CLIENT, "recovery", "s", offsetof(ClientOutcome, recovery)},
    {OF_EDGE, "calls", "1/s", offsetof(EdgeOutcome, calls)},
    {OF_EDGE, "attempts", "1/s", offsetof(EdgeOutcome, attempts)},
    {OF_EDGE, "retries", "1/s", offsetof(EdgeOutcome, retries)},
    {OF_EDGE, "hedges", "1/s", offsetof(EdgeOutcome, hedges)},
    {OF_EDGE, "timeouts", "1/s", offsetof(EdgeOutcome, timeouts)},
    {OF_AGENT, "arrivals", "1/s", offsetof(AgentOutcome, arrivals)},
    {OF_AGENT, "utilisation", "", offsetof(AgentOutcome, utilisation)},
    {OF_AGENT, "waiting", "", offsetof(AgentOutcome, waiting)},
    {OF_AGENT, "servers_mean", "", offsetof(AgentOutcome, servers)},
    {OF_AGENT, "wasted", "", offsetof(AgentOutcome, wasted)},
};

static Estimate *estimate_at(const Outcome *o, size_t measure, uint32_t index)
{
    char *place = NULL;
    switch (MEASURES[measure].of) {
    case OF_CLIENT: place = (char *)&o->clients[index]; break;
    case OF_EDGE: place = (char *)&o->edges[index]; break;
    case OF_AGENT: place = (char *)&o->agents[index]; break;
    }
    return (Estimate *)(void *)(place + MEASURES[measure].offset);
}

static uint32_t count_of(const System *sys, MeasureOf of)
{
    return of == OF_CLIENT ? sys->client_count : of == OF_EDGE ? sys->edge_count : sys->agent_count;
}

static Slice name_of(const System *sys, MeasureOf of, uint32_t index)
{
    return of == OF_CLIENT ? sys->clients[index].name
           : of == OF_EDGE ? sys->edges[index].name
                           : sys->agents[index].name;
}

// The estimate of that name, or NULL.
static Estimate *find_output(const System *sys, const Outcome *o, Slice name, size_t *ret_measure)
{
    Slice owner, what;
    if (!slice_cut(name, '.', &owner, &what)) {
        return NULL;
    }
    for (size_t i = 0; i < COUNT_OF(MEASURES); i++) {
        if (slice_eq_cstr(what, MEASURES[i].name)) {
            ptrdiff_t index = MEASURES[i].of == OF_CLIENT ? system_find_client(sys, owner)
                              : MEASURES[i].of == OF_EDGE ? system_find_edge(sys, owner)
                                                          : system_find_agent(sys, owner);
            *ret_measure = i;
            return index < 0 ? NULL : estimate_at(o, i, (uint32_t)index);
        }
    }
    return NULL;
}

// ---- rows

// A row in the making: the columns come with their values, and both may be new.
typedef struct RowMaker {
    Dataset *d;
    double cells[DATASET_COLUMNS_MAX];
} RowMaker;

static int put_cell(RowMaker *r, Slice owner, const char *what, const char *unit, ColumnRole role,
                    double value, Err *e)
{
    Buf name = buf_create(DATASET_NAME_MAX + 1);
    size_t column;
    buf_append(&name, owner);
    buf_puts(&name, what[0] ? "." : "");
    buf_puts(&name, what);
    int rc = buf_check(&name, "the name of a column", e);
    if (rc == 0) {
        rc = dataset_column(r->d, buf_slice(&name), slice_from_cstr(unit), role, &column, e);
    }
    if (rc == 0) {
        r->cells[column] = isfinite(value) ? value : (double)NAN;
    }
    buf_done(&name);
    return rc;
}

static int put_params(RowMaker *r, const System *sys, SystemPlace place, uint32_t index, Err *e)
{
    bool agent = place == PLACE_AGENT;
    uint32_t count = agent ? sys->agents[index].range_count : sys->edges[index].range_count;
    const SystemRange *ranges = agent ? sys->agents[index].ranges : sys->edges[index].ranges;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        InputRef ref = {.kind = REF_PARAM, .param = {place, index, ranges[i].param}};
        Buf name = buf_create(DATASET_NAME_MAX + 1);
        system_param_name(sys, ref.param, &name);
        rc = buf_check(&name, "the name of a parameter", e);
        if (rc == 0) {
            rc = put_cell(r, buf_slice(&name), "", unit_of(ref.param) > 1 ? "s" : "", COLUMN_POLICY,
                          input_value(sys, &ref), e);
        }
        buf_done(&name);
    }
    return rc;
}

static int put_inputs(RowMaker *r, const System *sys, Err *e)
{
    int rc = 0;
    for (uint32_t i = 0; i < sys->client_count; i++) {
        for (int kind = 0; rc == 0 && kind < REF_PARAM; kind++) {
            InputRef ref = {.kind = (RefKind)kind, .client = i};
            if (has_input(&sys->clients[i], ref.kind)) {
                rc = put_cell(r, sys->clients[i].name, CLIENT_INPUTS[kind].name,
                              CLIENT_INPUTS[kind].unit, COLUMN_INPUT, input_value(sys, &ref), e);
            }
        }
    }
    for (uint32_t i = 0; rc == 0 && i < sys->agent_count; i++) {
        rc = put_params(r, sys, PLACE_AGENT, i, e);
    }
    for (uint32_t i = 0; rc == 0 && i < sys->edge_count; i++) {
        rc = put_params(r, sys, PLACE_EDGE, i, e);
    }
    return rc;
}

// What nothing ever answers makes no column: hedges of a system without them would only be refused
// by the fit.
static int put_outputs(RowMaker *r, const System *sys, const Outcome *o, Err *e)
{
    int rc = 0;
    for (size_t m = 0; m < COUNT_OF(MEASURES); m++) {
        for (uint32_t i = 0; rc == 0 && i < count_of(sys, MEASURES[m].of); i++) {
            double value = estimate_at(o, m, i)->value;
            if (!isnan(value)) {
                rc = put_cell(r, name_of(sys, MEASURES[m].of, i), MEASURES[m].name,
                              MEASURES[m].unit, COLUMN_OUTPUT, value, e);
            }
        }
    }
    return rc;
}

int dataset_add_outcome(Dataset *d, const System *sys, const Outcome *outcome, Slice source,
                        int64_t at_unix_ns, Err *e)
{
    RowMaker r = {.d = d};
    for (size_t i = 0; i < DATASET_COLUMNS_MAX; i++) {
        r.cells[i] = NAN;
    }
    int rc = put_inputs(&r, sys, e);
    if (rc == 0) {
        rc = put_outputs(&r, sys, outcome, e);
    }
    return rc == 0 ? dataset_add(d, r.cells, source, at_unix_ns, e) : rc;
}

// ---- answers

int learned_values(const Learned *m, const System *sys, double *ret_values, Err *e)
{
    for (size_t i = 0; i < learned_inputs(m); i++) {
        InputRef ref;
        int rc = find_input(sys, learned_input(m, i)->name, &ref, e);
        if (rc != 0) {
            return rc;
        }
        ret_values[i] = input_value(sys, &ref);
    }
    return 0;
}

static double clamp(double value, double high)
{
    return value < 0 ? 0 : value > high ? high : value; // keeps NAN
}

static bool is_share(size_t measure)
{
    const char *name = MEASURES[measure].name;
    return strcmp(name, "goodput") == 0 || strcmp(name, "errors") == 0 ||
           strcmp(name, "wasted") == 0;
}

// A quantile whose tail holds fewer requests than fail is infinite, also where nobody ever saw a
// finite one to learn from.
static void let_failures_count(Estimate *quantile, const Estimate *errors, double tail)
{
    bool known = !isnan(quantile->value) || errors->low > tail;
    double then = known ? (double)INFINITY : (double)NAN;
    quantile->value = errors->value > tail ? then : quantile->value;
    quantile->low = errors->low > tail ? then : quantile->low;
    quantile->high = errors->high > tail ? then : quantile->high;
}

static void take_answers(const Learned *m, const System *sys, const LearnedAnswer *answers,
                         Outcome *outcome)
{
    for (size_t i = 0; i < learned_outputs(m); i++) {
        size_t measure;
        Estimate *place = find_output(sys, outcome, learned_output(m, i)->name, &measure);
        if (place) {
            double high = is_share(measure) ? 1 : (double)INFINITY;
            *place = (Estimate){clamp(answers[i].estimate.value, high),
                                clamp(answers[i].estimate.low, high),
                                clamp(answers[i].estimate.high, high)};
        }
    }
    for (uint32_t i = 0; i < sys->client_count; i++) {
        ClientOutcome *c = &outcome->clients[i];
        let_failures_count(&c->p50, &c->errors, 0.5);
        let_failures_count(&c->p99, &c->errors, 0.01);
    }
}

int learned_outcome(const Learned *m, const System *sys, LearnedWhere where, Outcome *outcome,
                    Err *e)
{
    int64_t began_ns = clock_now(clock_real());
    double values[LEARNED_INPUTS_MAX];
    LearnedAnswer answers[LEARNED_OUTPUTS_MAX];
    int rc = learned_values(m, sys, values, e);
    if (rc == 0) {
        rc = learned_predict(m, values, where, answers, e);
    }
    if (rc != 0) {
        return rc;
    }
    take_answers(m, sys, answers, outcome);
    outcome->fidelity = m->base ? FIDELITY_HYBRID : FIDELITY_LEARNED;
    outcome->confidence = learned_confidence(m);
    outcome->stable = true;
    outcome->reason =
        answers[0].outside ? SLICE("outside of what the model was fitted on") : (Slice){0};
    outcome->took_ns = clock_now(clock_real()) - began_ns;
    return 0;
}

int learned_tell_outcome(Learned *m, const System *sys, const Outcome *observed, Err *e)
{
    double values[LEARNED_INPUTS_MAX], outcomes[LEARNED_OUTPUTS_MAX];
    int rc = learned_values(m, sys, values, e);
    if (rc != 0) {
        return rc;
    }
    for (size_t i = 0; i < learned_outputs(m); i++) {
        size_t ignored;
        const Estimate *seen = find_output(sys, observed, learned_output(m, i)->name, &ignored);
        outcomes[i] = seen && isfinite(seen->value) ? seen->value : (double)NAN;
    }
    learned_tell(m, values, outcomes);
    return 0;
}

// ---- the formula as base

enum { BASE_ARENA_MAX = 256 << 20 };

struct FormulaBase {
    const System *sys;
    Formula *formula;
    Arena *arena; // of one answer
    // The last question: outputs are asked for one by one.
    double inputs[LEARNED_INPUTS_MAX];
    size_t input_count;
    const System *candidate;
    const Outcome *outcome; // NULL: nothing was said
};

int formula_base_create(const System *sys, FormulaBase **ret_base, Err *e)
{
    FormulaBase *b = mem_zalloc(sizeof *b);
    b->sys = sys;
    int rc = formula_create(sys, &b->formula, e);
    if (rc != 0) {
        free(b);
        return rc;
    }
    b->arena = arena_create(BASE_ARENA_MAX);
    *ret_base = b;
    return 0;
}

void formula_base_destroy(FormulaBase *b)
{
    if (b) {
        formula_destroy(b->formula);
        arena_destroy(b->arena);
        free(b);
    }
}

static System *make_candidate(FormulaBase *b, const Learned *m, const double *inputs)
{
    System *sys = system_copy(b->arena, b->sys);
    for (size_t i = 0; i < learned_inputs(m); i++) {
        InputRef ref;
        if (find_input(sys, learned_input(m, i)->name, &ref, NULL) != 0 ||
            !set_input(sys, &ref, inputs[i])) {
            return NULL;
        }
    }
    return sys;
}

static void solve(FormulaBase *b, const Learned *m, const double *inputs)
{
    arena_reset(b->arena);
    b->outcome = NULL;
    b->input_count = learned_inputs(m);
    memcpy(b->inputs, inputs, b->input_count * sizeof *inputs);
    System *candidate = make_candidate(b, m, inputs);
    if (candidate) {
        Outcome *outcome = outcome_create(b->arena, candidate);
        FormulaFacts facts = formula_solve_below(b->formula, candidate, outcome);
        b->candidate = candidate;
        b->outcome = facts.stable ? outcome : NULL;
    }
}

double formula_base(void *base, const Learned *m, const double *inputs, Slice output)
{
    FormulaBase *b = base;
    size_t count = learned_inputs(m), measure;
    if (b->input_count != count || memcmp(b->inputs, inputs, count * sizeof *inputs) != 0) {
        solve(b, m, inputs);
    }
    const Estimate *said =
        b->outcome ? find_output(b->candidate, b->outcome, output, &measure) : NULL;
    return said && isfinite(said->value) ? said->value : (double)NAN;
}
