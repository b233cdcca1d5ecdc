#include "model/formula.h"

#include <math.h>
#include <string.h>

#include "model/formula_impl.h"
#include "os/clock.h"

static double cdf_of(const void *context, double seconds)
{
    return dist_cdf(context, seconds * 1e9);
}

void formula_spread(Spread *ret, const Dist *dist)
{
    double mean = dist_mean(dist) * 1e-9;
    if (!(mean > SPREAD_LEAST)) {
        spread_none(ret);
        return;
    }
    if (dist->kind == DIST_FIXED) {
        spread_clear(ret);
        spread_put(ret, mean, 1);
        return;
    }
    spread_of_function(ret, cdf_of, dist);
    double is = spread_mean(ret);
    if (isfinite(mean) && is > 0 && fabs(is / mean - 1) < 0.05) {
        spread_stretch(ret, mean / is); // half a step at most: the mean is exact afterwards
    }
}

// ---- making it

static uint32_t visit(const System *sys, uint32_t agent, uint8_t *seen, uint32_t *order, uint32_t n)
{
    if (seen[agent]) {
        return n; // also on a circle: its values are those of the round before
    }
    seen[agent] = 1;
    const SystemAgent *a = &sys->agents[agent];
    for (uint32_t g = 0; g < a->group_count; g++) {
        for (uint32_t t = 0; t < a->groups[g].count; t++) {
            n = visit(sys, sys->edges[a->groups[g].targets[t].edge].to, seen, order, n);
        }
    }
    order[n] = agent;
    return n + 1;
}

void formula_order(Arena *arena, const System *sys, uint32_t *ret_order)
{
    uint8_t *seen = ARENA_ARRAY(arena, uint8_t, sys->agent_count + 1);
    for (uint32_t i = 0, n = 0; i < sys->agent_count; i++) {
        n = visit(sys, i, seen, ret_order, n);
    }
}

static void classes_of(Formula *f, const System *sys)
{
    bool urgent = false, used[POLICY_PRIORITIES + 1] = {false};
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        urgent = urgent || sys->agents[i].discipline == VIRTUAL_PRIORITY;
    }
    for (uint32_t i = 0; i < sys->client_count; i++) {
        uint8_t priority = sys->clients[i].priority;
        used[priority ? priority : POLICY_PRIORITY_DEFAULT] = true;
    }
    f->classes = urgent ? 0 : 1;
    for (uint32_t p = 1; urgent && p <= POLICY_PRIORITIES; p++) {
        if (used[p]) {
            f->class_of_priority[p] = (uint8_t)f->classes++;
        }
    }
    f->classes = f->classes ? f->classes : 1;
}

static void edges_into(Formula *f, const System *sys)
{
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        f->agents[sys->edges[i].to].in_count++;
    }
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        uint32_t *in = ARENA_ARRAY(f->arena, uint32_t, f->agents[i].in_count + 1), n = 0;
        for (uint32_t e = 0; n < f->agents[i].in_count; e++) {
            if (sys->edges[e].to == i) {
                in[n++] = e;
            }
        }
        f->agents[i].in = in;
    }
}

// What neither policies nor rates change: how work is spread, and how often who is visited.
static void agents_of(Formula *f, const System *sys)
{
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        AgentState *a = &f->agents[i];
        formula_spread(&a->work, &sys->agents[i].service);
        spread_copy(&a->hold, &a->work);
        formula_until(&a->until, &a->hold);
        a->reply = ARENA_ARRAY(f->arena, Reply, f->classes);
        a->groups = ARENA_ARRAY(f->arena, GroupState, f->classes * sys->agents[i].group_count + 1);
    }
    f->visits = ARENA_ARRAY(f->arena, double, (size_t)sys->agent_count * sys->client_count + 1);
    for (uint32_t c = 0; c < sys->client_count; c++) {
        system_visits(sys, c, f->visits + (size_t)c * sys->agent_count);
    }
}

// Loads if nothing failed, and how uneven they are: by the clients' rates, which a query may
// change.
static void loads_of(Formula *f, const System *sys)
{
    for (uint32_t i = 0; i < f->agent_count; i++) {
        f->agents[i].ideal = f->agents[i].arrival_scv = 0;
    }
    for (uint32_t c = 0; c < f->client_count; c++) {
        const SystemClient *client = &sys->clients[c];
        double rate = client->users ? client->users / fmax(dist_mean(&client->think) * 1e-9, 1e-3)
                                    : client->per_second;
        for (uint32_t i = 0; i < f->agent_count; i++) {
            AgentState *a = &f->agents[i];
            double mine = rate * f->visits[(size_t)c * f->agent_count + i];
            // The asymptotic method of Whitt (1983): variability adds up by shares of the load.
            a->arrival_scv += mine * (client->users ? 1 : client->scv);
            a->ideal += mine;
        }
    }
    for (uint32_t i = 0; i < f->agent_count; i++) {
        AgentState *a = &f->agents[i];
        a->arrival_scv = a->ideal > 0 ? a->arrival_scv / a->ideal : 1;
    }
}

int formula_create(const System *sys, Formula **ret_formula, Err *e)
{
    size_t bytes = sizeof(Formula) + (size_t)sys->agent_count * sizeof(AgentState) +
                   (size_t)sys->edge_count * sizeof(EdgeState) +
                   (size_t)(sys->agent_count + sys->edge_count) * sizeof(Reply);
    if (bytes > FORMULA_BYTES_MAX / 8) {
        return err_set(e, ERR_LIMIT, "the system has %u agents and %u edges, too many for formulas",
                       sys->agent_count, sys->edge_count);
    }
    Arena *arena = arena_create(FORMULA_BYTES_MAX);
    Formula *f = ARENA_NEW(arena, Formula);
    f->arena = arena;
    f->agent_count = sys->agent_count;
    f->edge_count = sys->edge_count;
    f->client_count = sys->client_count;
    f->agents = ARENA_ARRAY(arena, AgentState, sys->agent_count + 1);
    f->edges = ARENA_ARRAY(arena, EdgeState, sys->edge_count + 1);
    f->order = ARENA_ARRAY(arena, uint32_t, sys->agent_count + 1);
    f->rates = ARENA_ARRAY(arena, double, sys->client_count + 1);
    classes_of(f, sys);
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        f->edges[i].reply = ARENA_ARRAY(arena, Reply, f->classes);
    }
    edges_into(f, sys);
    agents_of(f, sys);
    formula_order(arena, sys, f->order);
    *ret_formula = f;
    return 0;
}

void formula_destroy(Formula *f)
{
    if (f) {
        arena_destroy(f->arena);
    }
}

// ---- the fixed point

typedef enum Start { FROM_BELOW, FROM_ABOVE } Start;

// From below nothing fails; from above every attempt does.
static void start(Formula *f, const System *sys, Start from)
{
    memset(f->rates, 0, sizeof *f->rates * f->client_count);
    for (uint32_t i = 0; i < f->edge_count; i++) {
        EdgeState *e = &f->edges[i];
        const ParamValue *p = sys->edges[i].policy;
        double attempts = from == FROM_BELOW ? 1 : (double)p[P_RETRY_ATTEMPTS].integer;
        attempts += from == FROM_BELOW ? 0 : (double)p[P_HEDGE_MAX].integer;
        e->limits = p[P_LIMIT_KIND].integer != LIMIT_NONE || p[P_RATE_PER_SECOND].real > 0 ||
                    p[P_RETRY_BUDGET].real > 0 || p[P_HEDGE_BUDGET].real > 0;
        e->patience.count = 0;
        for (uint32_t class = 0; class < f->classes; class ++) {
            e->answer[class] = (CallAnswer){.attempts = attempts, .sent = attempts};
            spread_none(&e->reply[class].ok);
            spread_clear(&e->reply[class].failed);
        }
    }
    for (uint32_t i = 0; i < f->agent_count; i++) {
        AgentState *a = &f->agents[i];
        spread_none(&a->wait);
        a->patience.count = 0;
        a->through = 1;
        a->overloaded = false;
        for (uint32_t g = 0; g < f->classes * sys->agents[i].group_count; g++) {
            a->groups[g] = (GroupState){.reach = 1};
        }
    }
    loads_of(f, sys);
    (void)formula_down(f, sys, 1);
}

static bool iterate(Formula *f, const System *sys, Start from, uint32_t *rounds)
{
    start(f, sys, from);
    for (uint32_t round = 0; round < FORMULA_ROUNDS_MAX; round++) {
        ++*rounds;
        formula_up(f, sys, round == 0);
        // Plain steps are quickest where they settle; where they swing, half steps do.
        if (formula_down(f, sys, round < 12 ? 1 : 0.5) < 1e-4) {
            return true;
        }
    }
    return false;
}

// ---- what it says

static double worst_goodput(const Formula *f, const System *sys)
{
    double worst = 1;
    for (uint32_t i = 0; i < sys->client_count; i++) {
        worst = fmin(worst, formula_goodput(f, sys, i));
    }
    return worst;
}

static const char *unmodelled_in(const ParamValue *p)
{
    if (p[P_BREAKER_WINDOW].integer != BREAKER_WINDOW_OFF || p[P_BREAKER_CONSECUTIVE].integer > 0) {
        return "breaker";
    }
    if (p[P_SHED_QUEUE_DELAY].integer > 0 || p[P_SHED_CPU].real > 0 ||
        p[P_SHED_THROTTLE_K].real > 0) {
        return "shed";
    }
    if (p[P_LIMIT_KIND].integer > LIMIT_FIXED) {
        return "limit that adapts";
    }
    if (p[P_BATCH_MAX_ITEMS].integer > 1) {
        return "batch";
    }
    if (p[P_QUEUE_DISCIPLINE].integer == QUEUE_CODEL) {
        return "queue.discipline codel";
    }
    return NULL;
}

static const char *unmodelled(const System *sys)
{
    const char *what = NULL;
    for (uint32_t i = 0; i < sys->edge_count && !what; i++) {
        what = sys->edges[i].program.len ? "program" : unmodelled_in(sys->edges[i].policy);
    }
    for (uint32_t i = 0; i < sys->agent_count && !what; i++) {
        const SystemAgent *a = &sys->agents[i];
        what = a->program.len ? "program" : a->has_policy ? unmodelled_in(a->policy) : NULL;
    }
    return what;
}

static FormulaFacts facts_of(const Formula *f, const System *sys)
{
    FormulaFacts facts = {.stable = true, .amplification = 1, .busiest = UINT32_MAX};
    for (uint32_t i = 0; i < f->agent_count; i++) {
        const AgentState *a = &f->agents[i];
        if (a->servers > 0 && (facts.busiest == UINT32_MAX || a->utilisation > facts.utilisation)) {
            facts.utilisation = a->utilisation;
            facts.busiest = i;
            facts.amplification = a->ideal > 0 ? a->rate / a->ideal : 1;
        }
        facts.stable = facts.stable && !a->overloaded;
    }
    facts.goodput_above = NAN;
    facts.unmodelled = unmodelled(sys);
    return facts;
}

FormulaFacts formula_solve_below(Formula *f, const System *sys, Outcome *outcome)
{
    int64_t begun = clock_now(clock_real());
    uint32_t rounds = 0;
    bool settled = iterate(f, sys, FROM_BELOW, &rounds);
    FormulaFacts facts = facts_of(f, sys);
    facts.settled = settled;
    facts.rounds = rounds;
    formula_report(f, sys, &facts, outcome);
    outcome->took_ns = clock_now(clock_real()) - begun;
    return facts;
}

FormulaFacts formula_solve(Formula *f, const System *sys, Outcome *outcome)
{
    int64_t begun = clock_now(clock_real());
    uint32_t above_rounds = 0, rounds = 0;
    (void)iterate(f, sys, FROM_ABOVE, &above_rounds);
    double above = worst_goodput(f, sys);
    bool collapsed = false;
    for (uint32_t i = 0; i < f->agent_count; i++) {
        collapsed = collapsed || f->agents[i].overloaded;
    }
    bool settled = iterate(f, sys, FROM_BELOW, &rounds);
    FormulaFacts facts = facts_of(f, sys);
    facts.settled = settled;
    facts.rounds = rounds + above_rounds;
    facts.goodput_above = above;
    // Five per cent: the two iterations end apart by less where there is one fixed point.
    facts.bistable = facts.stable && (collapsed || worst_goodput(f, sys) > above + 0.05);
    formula_report(f, sys, &facts, outcome);
    outcome->took_ns = clock_now(clock_real()) - begun;
    return facts;
}
