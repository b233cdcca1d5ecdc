// Validate: what an outcome means to those who are concerned by it.

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "manage/validate_impl.h"

const char *const VERDICT_NAMES[] = {"accepted", "amended", "rejected", "undecided", NULL};
const char *const VERDICT_REASON_NAMES[VERDICT_REASONS + 1] = {
    "fine", "range",    "limit",  "capacity", "no better", "objective",
    "harm", "collapse", "outrun", "budget",   NULL};

bool validate_answers_for(const System *sys, uint32_t self, uint32_t client)
{
    if (self & SYSTEM_FROM_CLIENT) {
        return (self & ~SYSTEM_FROM_CLIENT) == client;
    }
    return sys->edges[sys->clients[client].edge].to == self;
}

ObjectiveGap funnel_gap(const Funnel *f, const Outcome *outcome)
{
    return outcome_gap(outcome, &f->own);
}

void funnel_reject(Funnel *f, Candidate *c, VerdictReason reason, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    c->open = false;
    c->verdict.kind = VERDICT_REJECTED;
    c->verdict.reason = reason;
    c->verdict.words = arena_copy(f->arena, slice_from_cstr(text));
}

// ---- harm

static bool counts_for_gap(const Funnel *f, uint32_t client)
{
    for (uint32_t i = 0; i < f->own.objective_count; i++) {
        if (f->own.objectives[i].client == client) {
            return true;
        }
    }
    return false;
}

static const SystemObjective *objective_of(const System *sys, uint32_t client)
{
    for (uint32_t i = 0; i < sys->objective_count; i++) {
        if (sys->objectives[i].client == client) {
            return &sys->objectives[i];
        }
    }
    return NULL;
}

// Two estimates of separate runs: their difference lies between the differences of the ends.
static Estimate change_of(Estimate before, Estimate after)
{
    if (isinf(before.value) || isinf(after.value)) {
        bool both = isinf(before.value) && isinf(after.value);
        double value = both ? 0 : isinf(after.value) ? INFINITY : -INFINITY;
        return (Estimate){value, value, value};
    }
    return (Estimate){after.value - before.value, after.low - before.high, after.high - before.low};
}

static Harm harm_p99(const Funnel *f, uint32_t client, const Outcome *after, double tolerance)
{
    Harm h = {.client = client,
              .measure = MEASURE_P99,
              .before = f->baseline->clients[client].p99,
              .after = after->clients[client].p99};
    h.change = change_of(h.before, h.after);
    // For certain, and by more than what nobody would notice.
    h.harmful = h.change.low > 0 && h.change.value > tolerance * h.before.value;
    return h;
}

static Harm harm_goodput(const Funnel *f, const SystemObjective *o, const Outcome *after)
{
    Harm h = {.client = o->client,
              .measure = MEASURE_GOODPUT,
              .before = f->baseline->clients[o->client].goodput,
              .after = after->clients[o->client].goodput};
    h.change = change_of(h.before, h.after);
    h.harmful = h.change.high < 0 && h.after.high < o->goodput;
    return h;
}

static void harms_of(Funnel *f, Candidate *c, const Outcome *after)
{
    const System *sys = f->view;
    double tolerance = f->ask->harm_tolerance;
    Verdict *v = &c->verdict;
    v->harms = ARENA_ARRAY(f->arena, Harm, 2 * (size_t)sys->client_count + 1);
    v->harm_count = 0;
    for (uint32_t i = 0; i < sys->client_count; i++) {
        if (counts_for_gap(f, i)) {
            continue;
        }
        const SystemObjective *o = objective_of(sys, i);
        if (o != NULL && o->goodput > 0 && !isnan(after->clients[i].goodput.value)) {
            v->harms[v->harm_count++] = harm_goodput(f, o, after);
        }
        if (!isnan(after->clients[i].p99.value) && !isnan(f->baseline->clients[i].p99.value)) {
            v->harms[v->harm_count++] = harm_p99(f, i, after, tolerance);
        }
    }
}

// ---- cost and rank

static double attempts_of(const System *sys, const Outcome *o)
{
    double sum = 0;
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        sum += isfinite(o->edges[i].attempts.value) ? o->edges[i].attempts.value : 0;
    }
    return sum;
}

static double servers_of(const System *sys, const Outcome *o)
{
    double sum = 0;
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        double measured = o->agents[i].servers.value;
        double said = sys->agents[i].servers;
        sum += said == 0 ? 0 : isfinite(measured) && measured > said ? measured : said;
    }
    return sum;
}

static PlanCost cost_of(const Funnel *f, const Candidate *c, const Outcome *after)
{
    double load = attempts_of(f->view, f->baseline);
    return (PlanCost){
        .servers = servers_of(c->sys, after) - servers_of(f->view, f->baseline),
        .load = load > 0 ? attempts_of(c->sys, after) / load - 1 : 0,
        .changes = c->verdict.plan.count + c->verdict.plan.program_count,
    };
}

// The sum of the logarithms of all promised clients' tails: half of anybody's p99 is worth the
// same, whoever it is and however long it was. A tail without an end counts as a very long one.
static double tail_score(const Funnel *f, const Outcome *o)
{
    double score = 0;
    for (uint32_t i = 0; i < f->view->objective_count; i++) {
        const ClientOutcome *client = &o->clients[f->view->objectives[i].client];
        double p99 = isnan(client->p99.value) ? client->mean.value : client->p99.value;
        score += log(isfinite(p99) ? fmin(fmax(p99, 1e-6), VALIDATE_WORST) : VALIDATE_WORST);
    }
    return score;
}

void funnel_judge(Funnel *f, Candidate *c, Outcome *outcome)
{
    Verdict *v = &c->verdict;
    v->outcome = outcome;
    v->fidelity = outcome->fidelity;
    v->gap = funnel_gap(f, outcome);
    harms_of(f, c, outcome);
    v->cost = cost_of(f, c, outcome);
    // A server more must be worth a tenth of a tail; a change more is worth next to nothing, and
    // decides only between equals.
    c->rank = tail_score(f, outcome) + 0.1 * fmax(0, v->cost.servers) + 0.001 * v->cost.changes;
}

static int by_double(double a, double b)
{
    return a < b ? -1 : a > b;
}

int candidate_compare(const void *a, const void *b)
{
    const Candidate *x = (const Candidate *)a, *y = (const Candidate *)b;
    // Accepted and amended are equally good; then what is still open, rejected, undecided.
    int kx = x->verdict.kind == VERDICT_AMENDED ? VERDICT_ACCEPTED : (int)x->verdict.kind;
    int ky = y->verdict.kind == VERDICT_AMENDED ? VERDICT_ACCEPTED : (int)y->verdict.kind;
    if (x->open != y->open) {
        return x->open ? -1 : 1;
    }
    if (!x->open && kx != ky) {
        return kx - ky;
    }
    // Gaps that differ by less than a hundredth are the same.
    double gx = isnan(x->verdict.gap.value) ? INFINITY : round(x->verdict.gap.value * 100);
    double gy = isnan(y->verdict.gap.value) ? INFINITY : round(y->verdict.gap.value * 100);
    int order = by_double(gx, gy);
    order = order != 0 ? order : by_double(x->rank, y->rank);
    return order != 0 ? order : by_double((double)x->verdict.index, (double)y->verdict.index);
}

// ---- sound or not

static const char *client_name(const Funnel *f, uint32_t client, char out[SYSTEM_NAME_MAX + 1])
{
    Slice name = f->view->clients[client].name;
    snprintf(out, SYSTEM_NAME_MAX + 1, "%.*s", SLICE_FMT(name));
    return out;
}

bool funnel_sound(Funnel *f, Candidate *c)
{
    const Verdict *v = &c->verdict;
    char name[SYSTEM_NAME_MAX + 1];
    for (size_t i = 0; i < v->harm_count; i++) {
        const Harm *h = &v->harms[i];
        if (!h->harmful) {
            continue;
        }
        bool share = h->measure == MEASURE_GOODPUT;
        funnel_reject(f, c, VERDICT_HARM, "%s of %s would go from %.4g%s to %.4g%s (%.4g..%.4g)",
                      MEASURE_NAMES[h->measure], client_name(f, h->client, name), h->before.value,
                      share ? "" : " s", h->after.value, share ? "" : " s", h->after.low,
                      h->after.high);
        return false;
    }
    double was = f->baseline_gap.value, is = v->gap.value;
    if (isnan(is)) {
        funnel_reject(f, c, VERDICT_BUDGET, "no model could say what it does");
        return false;
    }
    if (is > was + 0.01 && v->gap.low > f->baseline_gap.high) {
        funnel_reject(f, c, VERDICT_OBJECTIVE,
                      "the objectives would be missed by %.3g instead of %.3g", is, was);
        return false;
    }
    // A fifth of the way is the least: less is within what models are wrong by.
    if (!f->ask->may_be_equal && !(is < was - 0.01 && is <= 0.8 * was)) {
        funnel_reject(f, c, VERDICT_NO_BETTER,
                      "the objectives are missed by %.3g with it and by %.3g without", is, was);
        return false;
    }
    return true;
}

// ---- as JSON

void verdict_estimate_write(JsonWriter *w, const char *key, Estimate e)
{
    json_key(w, slice_from_cstr(key));
    json_array_begin(w);
    json_double(w, e.value);
    json_double(w, e.low);
    json_double(w, e.high);
    json_array_end(w);
}

void verdict_write(const System *sys, const Verdict *verdict, JsonWriter *w)
{
    json_object_begin(w);
    json_field_cstr(w, "verdict", VERDICT_NAMES[verdict->kind]);
    json_field_cstr(w, "reason", VERDICT_REASON_NAMES[verdict->reason]);
    json_field_string(w, "words", verdict->words);
    json_field_string(w, "title", verdict->plan.title);
    json_key(w, SLICE("plan"));
    plan_write_json(sys, &verdict->plan, w);
    json_field_cstr(w, "fidelity", FIDELITY_NAMES[verdict->fidelity]);
    json_field_double(w, "gap", verdict->gap.value);
    json_key(w, SLICE("cost"));
    json_object_begin(w);
    json_field_double(w, "servers", verdict->cost.servers);
    json_field_double(w, "load", verdict->cost.load);
    json_object_end(w);
    json_key(w, SLICE("harms"));
    json_array_begin(w);
    for (size_t i = 0; i < verdict->harm_count; i++) {
        const Harm *h = &verdict->harms[i];
        json_object_begin(w);
        json_field_string(w, "client", sys->clients[h->client].name);
        json_field_cstr(w, "measure", MEASURE_NAMES[h->measure]);
        verdict_estimate_write(w, "before", h->before);
        verdict_estimate_write(w, "after", h->after);
        verdict_estimate_write(w, "change", h->change);
        json_field_bool(w, "harmful", h->harmful);
        json_object_end(w);
    }
    json_array_end(w);
    if (verdict->outcome != NULL) {
        json_key(w, SLICE("predicted"));
        outcome_write(verdict->outcome, sys, w);
    }
    json_object_end(w);
}
