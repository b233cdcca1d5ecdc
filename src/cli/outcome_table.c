#include "cli/outcome_table.h"

#include <math.h>
#include <assert.h>
#include <stddef.h>

#include "cli/table.h"

// What is printed of a client, an edge and an agent: one row of these tables a measure.
typedef struct Measure {
    const char *head;
    size_t offset; // of an Estimate in the part's outcome
    OutcomeUnit unit;
} Measure;

static const Measure CLIENT_MEASURES[] = {
    {"offered", offsetof(ClientOutcome, offered), OUTCOME_RATE},
    {"goodput", offsetof(ClientOutcome, goodput), OUTCOME_SHARE},
    {"errors", offsetof(ClientOutcome, errors), OUTCOME_SHARE},
    {"p50", offsetof(ClientOutcome, p50), OUTCOME_SECONDS},
    {"p99", offsetof(ClientOutcome, p99), OUTCOME_SECONDS},
    {"recovery", offsetof(ClientOutcome, recovery), OUTCOME_SECONDS},
};
static const Measure EDGE_MEASURES[] = {
    {"calls", offsetof(EdgeOutcome, calls), OUTCOME_RATE},
    {"attempts", offsetof(EdgeOutcome, attempts), OUTCOME_RATE},
    {"retries", offsetof(EdgeOutcome, retries), OUTCOME_RATE},
    {"hedges", offsetof(EdgeOutcome, hedges), OUTCOME_RATE},
    {"timeouts", offsetof(EdgeOutcome, timeouts), OUTCOME_RATE},
};
static const Measure AGENT_MEASURES[] = {
    {"arrivals", offsetof(AgentOutcome, arrivals), OUTCOME_RATE},
    {"utilisation", offsetof(AgentOutcome, utilisation), OUTCOME_NUMBER},
    {"waiting", offsetof(AgentOutcome, waiting), OUTCOME_NUMBER},
    {"servers", offsetof(AgentOutcome, servers), OUTCOME_NUMBER},
    {"wasted", offsetof(AgentOutcome, wasted), OUTCOME_SHARE},
};

typedef struct Part {
    const char *name; // of what the rows are
    const Measure *measures;
    size_t measure_count;
    size_t bytes; // of one outcome
} Part;

static const Part PARTS[] = {
    {"CLIENT", CLIENT_MEASURES, COUNT_OF(CLIENT_MEASURES), sizeof(ClientOutcome)},
    {"EDGE", EDGE_MEASURES, COUNT_OF(EDGE_MEASURES), sizeof(EdgeOutcome)},
    {"AGENT", AGENT_MEASURES, COUNT_OF(AGENT_MEASURES), sizeof(AgentOutcome)},
};
enum { CLIENTS, EDGES, AGENTS };

static size_t rows_of(size_t part, const System *sys)
{
    return part == CLIENTS ? sys->client_count : part == EDGES ? sys->edge_count : sys->agent_count;
}

static Slice row_name(size_t part, const System *sys, size_t row)
{
    return part == CLIENTS ? sys->clients[row].name
           : part == EDGES ? sys->edges[row].name
                           : sys->agents[row].name;
}

static Estimate value_of(size_t part, const Outcome *o, size_t row, const Measure *m)
{
    const char *base = part == CLIENTS ? (const char *)o->clients
                       : part == EDGES ? (const char *)o->edges
                                       : (const char *)o->agents;
    Estimate estimate;
    memcpy(&estimate, base + row * PARTS[part].bytes + m->offset, sizeof estimate);
    return estimate;
}

// ---- one estimate

static void put_number(double value, double factor, Buf *out)
{
    double v = value * factor;
    if (isinf(v)) {
        buf_puts(out, "inf");
    } else {
        buf_printf(out, fabs(v) >= 99.95 ? "%.0f" : fabs(v) >= 9.995 ? "%.1f" : "%.2f", v);
    }
}

void outcome_estimate_print(Estimate estimate, OutcomeUnit unit, Buf *out)
{
    if (isnan(estimate.value)) {
        buf_putc(out, '-');
        return;
    }
    double factor = 1;
    const char *name = "";
    switch (unit) {
    case OUTCOME_SECONDS: {
        bool small = estimate.value < 1;
        factor = small ? 1e3 : 1;
        name = isinf(estimate.value) ? "" : small ? " ms" : " s";
        break;
    }
    case OUTCOME_SHARE:
        factor = 100;
        name = " %";
        break;
    case OUTCOME_RATE: name = " /s"; break;
    case OUTCOME_NUMBER: break;
    }
    put_number(estimate.value, factor, out);
    buf_puts(out, name);
    if (estimate.low < estimate.high) {
        buf_puts(out, " [");
        put_number(estimate.low, factor, out);
        buf_puts(out, ", ");
        put_number(estimate.high, factor, out);
        buf_putc(out, ']');
    }
}

static void put_estimate(Table *t, Estimate estimate, OutcomeUnit unit)
{
    Buf text = buf_create(256);
    outcome_estimate_print(estimate, unit, &text);
    table_put(t, buf_slice(&text));
    buf_done(&text);
}

// ---- tables

// A measure that nobody answers, or that is 0 for certain everywhere, is no column.
static bool is_shown(size_t part, const Outcome *o, size_t rows, const Measure *m)
{
    for (size_t row = 0; row < rows; row++) {
        Estimate e = value_of(part, o, row, m);
        if (!isnan(e.value) && (e.high != 0 || part == CLIENTS)) {
            return true;
        }
    }
    return false;
}

static void print_part(App *app, const System *sys, const Outcome *o, size_t part)
{
    const Part *is = &PARTS[part];
    size_t rows = rows_of(part, sys), shown = 0;
    const Measure *measures[8];
    for (size_t i = 0; i < is->measure_count; i++) {
        if (is_shown(part, o, rows, &is->measures[i])) {
            measures[shown++] = &is->measures[i];
        }
    }
    if (shown == 0) {
        return;
    }
    Table t = table_create(app->arena, shown + 1);
    table_put(&t, slice_from_cstr(is->name));
    for (size_t i = 0; i < shown; i++) {
        table_put(&t, slice_from_cstr(measures[i]->head));
    }
    for (size_t row = 0; row < rows; row++) {
        table_put(&t, row_name(part, sys, row));
        for (size_t i = 0; i < shown; i++) {
            put_estimate(&t, value_of(part, o, row, measures[i]), measures[i]->unit);
        }
    }
    table_print(&t, 0, &app->out);
    buf_putc(&app->out, '\n');
}

void outcome_table_print(App *app, const System *sys, const Outcome *outcome)
{
    for (size_t part = 0; part < COUNT_OF(PARTS); part++) {
        print_part(app, sys, outcome, part);
    }
    if (!outcome->stable) {
        buf_printf(&app->out, "not stable: %.*s\n", SLICE_FMT(outcome->reason));
    }
}

#define NOTHING 0.005 // printed as 0.00

// Whether what both say can be true at once; true too where one of them says nothing.
static bool do_overlap(Estimate a, Estimate b)
{
    // The runtime's own microseconds in an agent without work are no disagreement.
    bool nothing = fabs(a.value) < NOTHING && fabs(b.value) < NOTHING;
    return isnan(a.value) || isnan(b.value) || nothing || (a.low <= b.high && b.low <= a.high);
}

static void compare_row(const Outcome *const *outcomes, size_t count, size_t part, size_t row,
                        const Measure *m, bool judged, Table *t)
{
    Estimate values[OUTCOME_COLUMNS_MAX];
    for (size_t k = 0; k < count; k++) {
        values[k] = value_of(part, outcomes[k], row, m);
        put_estimate(t, values[k], m->unit);
    }
    if (judged) {
        bool both = !isnan(values[0].value) && !isnan(values[1].value);
        table_put(t, !both                              ? SLICE("-")
                     : do_overlap(values[0], values[1]) ? SLICE("yes")
                                                        : SLICE("NO"));
    }
}

static void compare_part(const System *sys, const Outcome *const *outcomes, size_t count,
                         size_t part, bool judged, Table *t)
{
    for (size_t row = 0; row < rows_of(part, sys); row++) {
        for (size_t i = 0; i < PARTS[part].measure_count; i++) {
            const Measure *m = &PARTS[part].measures[i];
            bool shown = false;
            for (size_t k = 0; k < count; k++) {
                Estimate e = value_of(part, outcomes[k], row, m);
                shown |= !isnan(e.value) && e.high != 0;
            }
            if (!shown) {
                continue;
            }
            table_put(t, row_name(part, sys, row));
            table_put(t, slice_from_cstr(m->head));
            compare_row(outcomes, count, part, row, m, judged, t);
        }
    }
}

static void print_compared(App *app, const System *sys, const char *const *names,
                           const Outcome *const *outcomes, size_t count, bool judged)
{
    assert(count <= OUTCOME_COLUMNS_MAX);
    Table t = table_create(app->arena, count + 2 + judged);
    table_put(&t, SLICE(""));
    table_put(&t, SLICE(""));
    for (size_t k = 0; k < count; k++) {
        table_put(&t, slice_from_cstr(names[k]));
    }
    if (judged) {
        table_put(&t, SLICE("agree"));
    }
    for (size_t part = 0; part < COUNT_OF(PARTS); part++) {
        compare_part(sys, outcomes, count, part, judged, &t);
    }
    table_print(&t, 0, &app->out);
}

void outcome_table_compare(App *app, const System *sys, const char *const *names,
                           const Outcome *const *outcomes, size_t count)
{
    print_compared(app, sys, names, outcomes, count, false);
}

OutcomeAgreement outcome_agreement(const System *sys, const Outcome *a, const Outcome *b)
{
    OutcomeAgreement agreement = {0};
    for (size_t part = 0; part < COUNT_OF(PARTS); part++) {
        for (size_t row = 0; row < rows_of(part, sys); row++) {
            for (size_t i = 0; i < PARTS[part].measure_count; i++) {
                Estimate x = value_of(part, a, row, &PARTS[part].measures[i]);
                Estimate y = value_of(part, b, row, &PARTS[part].measures[i]);
                // What both say never happens is no achievement.
                bool counts = !isnan(x.value) && !isnan(y.value) && (x.high != 0 || y.high != 0);
                agreement.rows += counts;
                agreement.overlapping += counts && do_overlap(x, y);
            }
        }
    }
    return agreement;
}

OutcomeAgreement outcome_table_agreement(App *app, const System *sys, const char *const names[2],
                                         const Outcome *const outcomes[2])
{
    print_compared(app, sys, names, outcomes, 2, true);
    return outcome_agreement(sys, outcomes[0], outcomes[1]);
}
