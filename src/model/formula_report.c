// What a formula's fixed point says of clients, edges and agents, and how sure it is of it.
#include <math.h>
#include <string.h>

#include "model/formula_impl.h"

#define SECONDS(ns) ((double)(ns)*1e-9)

const Reply *formula_client_reply(const Formula *f, const System *sys, uint32_t client)
{
    const SystemClient *c = &sys->clients[client];
    uint8_t priority = c->priority ? c->priority : POLICY_PRIORITY_DEFAULT;
    return &f->edges[c->edge].reply[f->class_of_priority[priority]];
}

double formula_goodput(const Formula *f, const System *sys, uint32_t client)
{
    const Reply *r = formula_client_reply(f, sys, client);
    int64_t within = 0;
    for (uint32_t i = 0; i < sys->objective_count; i++) {
        within = sys->objectives[i].client == client ? sys->objectives[i].within_ns : within;
    }
    return fmin(within > 0 ? spread_cdf(&r->ok, SECONDS(within)) : spread_total(&r->ok), 1);
}

// ---- intervals

// Half-widths, as shares of the value, of 90 % intervals: the 90 % quantiles of the errors against
// long simulations of random systems and policies (bench/model/coverage --fit prints them), by
// utilisation of the busiest agent, with the amplification of errors by retries. Formulas have no
// sampling error, so this band is all there is to say.
typedef struct Band {
    double below; // utilisation
    double p50, p99, mean, rate;
} Band;

static const Band BANDS[] = {
    {0.5, 0.12, 0.20, 0.09, 0.06},  {0.7, 0.15, 0.26, 0.12, 0.08},
    {0.8, 0.18, 0.32, 0.18, 0.12},  {0.9, 0.27, 0.45, 0.30, 0.20},
    {0.95, 0.45, 0.65, 0.50, 0.40}, {INFINITY, 0.90, 1.00, 1.00, 0.80},
};

static Band band_of(const FormulaFacts *facts, double confidence)
{
    const Band *b = BANDS;
    while (facts->utilisation >= b->below) {
        b++;
    }
    Band out = *b;
    // Errors are taken to have the normal law's ratio between 90 % and other confidences.
    double z = confidence < 0.85 ? 0.8 : confidence < 0.93 ? 1 : confidence < 0.97 ? 1.2 : 1.6;
    z *= facts->unmodelled ? 3 : 1;
    z *= facts->bistable || !facts->settled || !facts->stable ? 2 : 1;
    out.p50 *= z;
    out.p99 *= z;
    out.mean *= z;
    out.rate *= z;
    return out;
}

static Estimate around(double value, double share)
{
    if (!isfinite(value)) {
        return (Estimate){value, value, value};
    }
    return (Estimate){value, value / (1 + share), value * (1 + share)};
}

// A quantile that is not reached may be reached in truth, and the other way round, when the share
// of failures is near to what the quantile leaves out.
static Estimate quantile(const Reply *r, double q, double share, double doubt)
{
    double value = spread_quantile(&r->ok, q), fails = 1 - spread_total(&r->ok), leaves = 1 - q;
    Estimate e = around(value, share);
    if (isinf(value) && fails < leaves * (1 + 10 * doubt)) {
        e.low = spread_quantile(&r->ok, spread_total(&r->ok) * q);
        e.low /= 1 + share;
    } else if (!isinf(value) && fails > leaves / (1 + 10 * doubt)) {
        e.high = INFINITY;
    }
    return e;
}

// A share p of requests: it is 1 - p that formulas get wrong by a factor.
static Estimate complement(double good, double doubt)
{
    double bad = 1 - good, few = fmax(bad / (1 + 10 * doubt) - 0.002, 0),
           many = bad * (1 + 10 * doubt) + 0.005;
    return (Estimate){good, fmax(1 - many, 0), fmin(1 - few, 1)};
}

static void client_out(const Formula *f, const System *sys, uint32_t i, const Band *band,
                       ClientOutcome *out)
{
    const Reply *r = formula_client_reply(f, sys, i);
    double ok = fmin(spread_total(&r->ok), 1);
    out->offered = around(f->rates[i], sys->clients[i].users ? band->mean : 0.0);
    out->goodput = complement(formula_goodput(f, sys, i), band->rate);
    Estimate good = complement(ok, band->rate);
    out->errors = (Estimate){1 - good.value, 1 - good.high, 1 - good.low};
    out->mean = around(ok > 0 ? spread_mean(&r->ok) : NAN, band->mean);
    out->p50 = quantile(r, 0.5, band->p50, band->rate);
    out->p99 = quantile(r, 0.99, band->p99, band->rate);
}

static void edge_out(const Formula *f, uint32_t i, const Band *band, EdgeOutcome *out)
{
    const EdgeState *e = &f->edges[i];
    double calls = 0, attempts = 0, retries = 0, hedges = 0, timeouts = 0;
    for (uint32_t class = 0; class < f->classes; class ++) {
        calls += e->calls[class];
        attempts += e->calls[class] * e->answer[class].attempts;
        retries += e->calls[class] * e->answer[class].retries;
        hedges += e->calls[class] * e->answer[class].hedges;
        timeouts += e->calls[class] * e->answer[class].timeouts;
    }
    out->calls = around(calls, band->rate);
    out->attempts = around(attempts, band->rate);
    out->retries = around(retries, 5 * band->rate);
    out->hedges = around(hedges, 5 * band->rate);
    out->timeouts = around(timeouts, 5 * band->rate);
}

// Mean work of those requests over an edge that end within its timeout: the long ones are cut off.
static double good_work(const Formula *f, const System *sys, uint32_t edge)
{
    const AgentState *to = &f->agents[sys->edges[edge].to];
    double limit = SECONDS(sys->edges[edge].policy[P_TIMEOUT_ATTEMPT].integer);
    double within = limit > 0 ? spread_cdf(&to->work, limit) : 1;
    if (limit <= 0 || within < 1e-6) {
        return spread_mean(&to->work);
    }
    double until = spread_mean_until(&to->work, limit);
    return fmax(until - limit * (1 - within), 0) / within;
}

// Requests a second at each agent that in the end made an answer to a client, and the work in them,
// from the clients down.
static void useful_of(Formula *f, const System *sys)
{
    for (uint32_t i = 0; i < f->agent_count; i++) {
        f->agents[i].useful = f->agents[i].useful_work = 0;
    }
    for (uint32_t i = 0; i < f->client_count; i++) {
        double ok = spread_total(&formula_client_reply(f, sys, i)->ok);
        uint32_t edge = sys->clients[i].edge;
        f->agents[sys->edges[edge].to].useful += f->rates[i] * ok;
        f->agents[sys->edges[edge].to].useful_work += f->rates[i] * ok * good_work(f, sys, edge);
    }
    for (uint32_t n = f->agent_count; n-- > 0;) {
        const SystemAgent *agent = &sys->agents[f->order[n]];
        for (uint32_t g = 0; g < agent->group_count; g++) {
            const SystemGroup *group = &agent->groups[g];
            double needed = group->join == JOIN_ALL   ? group->count
                            : group->join == JOIN_ANY ? 1
                                                      : group->first;
            for (uint32_t t = 0; t < group->count; t++) {
                const SystemTarget *target = &group->targets[t];
                AgentState *to = &f->agents[sys->edges[target->edge].to];
                double made = f->agents[f->order[n]].useful * target->chance * target->repeat *
                              needed / group->count;
                to->useful += made;
                to->useful_work += made * good_work(f, sys, target->edge);
            }
        }
    }
}

static void agent_out(const AgentState *a, const Band *band, AgentOutcome *out)
{
    out->arrivals = around(a->rate, band->rate);
    out->utilisation = around(a->utilisation, band->rate);
    out->waiting =
        a->overloaded ? (Estimate){INFINITY, 0, INFINITY} : around(a->waiting, 4 * band->mean);
    out->servers = around(a->servers > 0 ? a->servers : NAN, 0);
    double work = a->rate * (1 - a->blocked) * a->used;
    // Where a server is held during calls, too, its own work stands for all of it.
    double own = a->until.mean > 0 ? spread_mean(&a->work) / a->until.mean : 1;
    double wasted = work * own > 0 ? fmin(fmax(1 - a->useful_work / (work * own), 0), 1) : 0;
    out->wasted = (Estimate){wasted, fmax(wasted - 3 * band->rate * (wasted + 0.02), 0),
                             fmin(wasted + 3 * band->rate * (wasted + 0.02), 1)};
}

// ---- the reason

static void overload_words(const Formula *f, const System *sys, uint32_t index, Buf *out)
{
    const AgentState *a = &f->agents[index];
    double capacity = a->servers / a->until.mean, needs = a->rate * a->until.mean;
    buf_printf(out,
               "%.*s is overloaded: %.3g requests a second of %.3g s of work each are %.0f %% of "
               "its %.3g servers",
               SLICE_FMT(sys->agents[index].name), a->rate, a->until.mean, 100 * a->rate / capacity,
               a->servers);
    if (a->ideal > 0 && a->rate > 1.05 * a->ideal) {
        buf_printf(out, "; only %.3g of them would come if nothing were repeated", a->ideal);
    }
    buf_printf(out, ". It is stable below %.3g requests a second, or with more than %.0f servers",
               capacity, ceil(needs));
    if (a->ideal > 0 && a->ideal < capacity) {
        buf_puts(out, ", or when fewer attempts are repeated or abandoned work is cancelled");
    }
}

static Slice reason_of(Formula *f, const System *sys, const FormulaFacts *facts)
{
    Buf text = buf_create(sizeof f->reason);
    for (uint32_t i = 0; i < f->agent_count; i++) {
        if (f->agents[i].overloaded) {
            buf_puts(&text, text.len ? "; " : "");
            overload_words(f, sys, i, &text);
        }
    }
    if (facts->bistable) {
        buf_printf(&text,
                   "two steady states: once overloaded it stays so (goodput %.2g instead of %.2g), "
                   "as what is repeated and not cancelled keeps the load up",
                   facts->goodput_above, formula_goodput(f, sys, 0));
    }
    Slice reason = {f->reason, text.len};
    memcpy(f->reason, text.data ? text.data : "", text.len);
    buf_done(&text);
    return reason;
}

void formula_report(Formula *f, const System *sys, const FormulaFacts *facts, Outcome *outcome)
{
    outcome->fidelity = FIDELITY_FORMULA;
    outcome->confidence = outcome->confidence > 0 ? outcome->confidence : 0.9;
    outcome->stable = facts->stable;
    Band band = band_of(facts, outcome->confidence);
    for (uint32_t i = 0; i < f->client_count; i++) {
        client_out(f, sys, i, &band, &outcome->clients[i]);
    }
    for (uint32_t i = 0; i < f->edge_count; i++) {
        edge_out(f, i, &band, &outcome->edges[i]);
    }
    useful_of(f, sys);
    for (uint32_t i = 0; i < f->agent_count; i++) {
        agent_out(&f->agents[i], &band, &outcome->agents[i]);
    }
    if (!facts->stable || facts->bistable) {
        outcome->reason = reason_of(f, sys, facts);
    }
}
