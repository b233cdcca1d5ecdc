#include "model/bounds.h"

#include <math.h>
#include <string.h>

#include "model/formula_impl.h"
#include "model/network_bounds.h"

#define SECONDS(ns) ((double)(ns)*1e-9)

enum { QUANTILES_KEPT = 16 };
#define BOUNDS_BYTES_MAX ((size_t)64 << 20)

// What was asked of a distribution lately: candidates differ in a few policies and ask the same.
typedef struct Kept {
    double p[QUANTILES_KEPT], seconds[QUANTILES_KEPT];
    uint32_t next;
} Kept;

typedef struct BoundAgent {
    double mean; // s of own work
    Until until; // E min(work, t)
    Kept kept;
    double scv, slow; // of own work; s that one in a hundred exceeds
    double least;     // a second: requests if all ended well at the first attempt
    double most;      // a second: requests with every attempt that policies allow
    double cut;       // s after which nobody waits and work is cut, at the earliest
} BoundAgent;

// What the slow side is asked with: kept here, as it is large.
typedef struct Slow {
    NetworkStation stations[NETWORK_STATIONS_MAX];
    NetworkClient clients[NETWORK_CLIENTS_MAX];
    NetworkVisit visits[NETWORK_VISITS_MAX];
    int visit_count;
    bool fits; // what network_bounds can say something about
} Slow;

struct Bounds {
    Arena *arena;
    BoundAgent *agents;
    uint32_t *order; // callees before their callers
    uint32_t agent_count;
    char reason[512];
    Slow slow;
    NetworkBounds found;
};

int bounds_create(const System *sys, Bounds **ret_bounds, Err *e)
{
    if ((size_t)sys->agent_count * sizeof(BoundAgent) > BOUNDS_BYTES_MAX / 2) {
        return err_set(e, ERR_LIMIT, "the system has %u agents, too many for bounds",
                       sys->agent_count);
    }
    Arena *arena = arena_create(BOUNDS_BYTES_MAX);
    Bounds *b = ARENA_NEW(arena, Bounds);
    b->arena = arena;
    b->agent_count = sys->agent_count;
    b->agents = ARENA_ARRAY(arena, BoundAgent, sys->agent_count + 1);
    b->order = ARENA_ARRAY(arena, uint32_t, sys->agent_count + 1);
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        BoundAgent *a = &b->agents[i];
        Spread work;
        formula_spread(&work, &sys->agents[i].service);
        formula_until(&a->until, &work);
        a->mean = dist_mean(&sys->agents[i].service) * 1e-9;
        a->scv = dist_scv(&sys->agents[i].service);
        a->slow = dist_quantile(&sys->agents[i].service, 0.99) * 1e-9;
        for (uint32_t n = 0; n < QUANTILES_KEPT; n++) {
            a->kept.p[n] = NAN;
        }
    }
    formula_order(arena, sys, b->order);
    *ret_bounds = b;
    return 0;
}

void bounds_destroy(Bounds *b)
{
    if (b) {
        arena_destroy(b->arena);
    }
}

// ---- load

// Attempts of one call at most. A budget bounds them on average, which is what load is about.
static double attempts_most(const ParamValue *p, double calls)
{
    double tries = (double)p[P_RETRY_ATTEMPTS].integer, hedges = (double)p[P_HEDGE_MAX].integer;
    double always = calls > 0 ? p[P_RETRY_BUDGET_MIN].real / calls : INFINITY;
    if (p[P_RETRY_BUDGET].real > 0) {
        tries = fmin(tries, 1 + p[P_RETRY_BUDGET].real + always);
    }
    if (p[P_HEDGE_BUDGET].real > 0) {
        hedges = fmin(hedges, p[P_HEDGE_BUDGET].real / tries);
    }
    return tries * (1 + hedges);
}

// May a call end well without a request to the agent?
static bool may_skip(const ParamValue *p)
{
    return p[P_CACHE_TTL].integer > 0 || p[P_CACHE_SINGLE_FLIGHT].boolean;
}

static double attempt_limit(const ParamValue *p)
{
    double attempt = SECONDS(p[P_TIMEOUT_ATTEMPT].integer);
    double call = SECONDS(p[P_TIMEOUT_CALL].integer);
    attempt = attempt > 0 ? attempt : INFINITY;
    return fmin(attempt, call > 0 ? call : INFINITY);
}

// `least` and `most` calls a second over an edge arrive at its agent.
static void arrive(Bounds *b, const System *sys, uint32_t edge, double least, double most,
                   double caller_cut)
{
    BoundAgent *to = &b->agents[sys->edges[edge].to];
    const ParamValue *p = sys->edges[edge].policy;
    double sent = most * attempts_most(p, most);
    if (p[P_RATE_PER_SECOND].real > 0) {
        sent = fmin(sent, p[P_RATE_PER_SECOND].real);
    }
    to->most += sent;
    to->least += may_skip(p) ? 0 : least;
    if (p[P_CANCEL_PROPAGATE].boolean) {
        double cut = fmin(attempt_limit(p), caller_cut);
        if (p[P_HEDGE_MAX].integer > 0) { // cut when the hedge wins, which begins after its delay
            bool known = p[P_HEDGE_QUANTILE].real == 0;
            cut = fmin(cut, known ? SECONDS(p[P_HEDGE_DELAY].integer) : 0);
        }
        to->cut = fmin(to->cut, cut);
    }
}

static void calls_of(Bounds *b, const System *sys, uint32_t index)
{
    const SystemAgent *agent = &sys->agents[index];
    BoundAgent *a = &b->agents[index];
    if (agent->has_policy && agent->policy[P_RATE_PER_SECOND].real > 0) {
        a->most = fmin(a->most, agent->policy[P_RATE_PER_SECOND].real);
    }
    for (uint32_t g = 0; g < agent->group_count; g++) {
        const SystemGroup *group = &agent->groups[g];
        bool all = group->join == JOIN_ALL || group->count == 1;
        for (uint32_t t = 0; t < group->count; t++) {
            const SystemTarget *target = &group->targets[t];
            double times = target->chance * target->repeat;
            // Of a group that needs one, each may be the one that is not needed.
            arrive(b, sys, target->edge, all ? a->least * times : 0, a->most * times,
                   all ? a->cut : 0);
        }
    }
}

static void load_of(Bounds *b, const System *sys)
{
    for (uint32_t i = 0; i < b->agent_count; i++) {
        b->agents[i].least = b->agents[i].most = 0;
        b->agents[i].cut = INFINITY;
    }
    for (uint32_t i = 0; i < sys->client_count; i++) {
        const SystemClient *c = &sys->clients[i];
        double deadline = c->deadline_ns > 0 ? SECONDS(c->deadline_ns) : INFINITY;
        if (c->users == 0) {
            arrive(b, sys, c->edge, c->per_second, c->per_second, deadline);
            continue;
        }
        // A closed client asks as often as it is answered: nothing is sure from below.
        double think = dist_mean(&c->think) * 1e-9;
        arrive(b, sys, c->edge, 0, think > 0 ? c->users / think : INFINITY, deadline);
    }
    for (uint32_t n = b->agent_count; n-- > 0;) {
        calls_of(b, sys, b->order[n]);
    }
}

static BoundsFacts facts_of(const Bounds *b, const System *sys, Outcome *out)
{
    BoundsFacts facts = {.busiest = UINT32_MAX, .amplified_at = UINT32_MAX};
    for (uint32_t i = 0; i < b->agent_count; i++) {
        const SystemAgent *agent = &sys->agents[i];
        const BoundAgent *a = &b->agents[i];
        double servers = agent->servers, most_servers = servers;
        if (agent->has_policy && agent->policy[P_SCALE_TARGET].real > 0) {
            most_servers = fmax(servers, (double)agent->policy[P_SCALE_MAX].integer);
        }
        // The grid's mean under a cut is exact to half a step, 3 %.
        double work = isinf(a->cut) ? a->mean : 0.97 * formula_until_mean(&a->until, a->cut);
        out->agents[i].arrivals.low = a->least;
        out->agents[i].arrivals.high = a->most;
        if (servers == 0) {
            continue;
        }
        double least = a->least * work / most_servers;
        bool held = agent->holds_server && agent->group_count > 0;
        double most = held ? (a->most > 0 ? INFINITY : 0) : a->most * a->mean / servers;
        out->agents[i].utilisation.low = fmin(least, 1);
        out->agents[i].utilisation.high = fmin(most, 1);
        if (facts.busiest == UINT32_MAX || least > facts.utilisation) {
            facts.busiest = i;
            facts.utilisation = least;
        }
        if (facts.amplified_at == UINT32_MAX || most > facts.amplified) {
            facts.amplified_at = i;
            facts.amplified = most;
        }
    }
    facts.feasible = facts.utilisation < 1;
    facts.safe = facts.amplified < 1;
    return facts;
}

// ---- latency: nobody waits, and all attempts of a call begin together

static double chances(const ParamValue *p)
{
    return (double)p[P_RETRY_ATTEMPTS].integer * (1 + (double)p[P_HEDGE_MAX].integer);
}

static double edge_cdf(const System *sys, uint32_t edge, double t);

// No less than the probability that the agent has answered well by `t`.
static double agent_cdf(const System *sys, uint32_t index, double t)
{
    const SystemAgent *agent = &sys->agents[index];
    double p = isinf(t) ? 1 : dist_cdf(&agent->service, t * 1e9);
    for (uint32_t g = 0; g < agent->group_count && p > 0; g++) {
        const SystemGroup *group = &agent->groups[g];
        double all = 1, none = 1;
        for (uint32_t n = 0; n < group->count; n++) {
            double one = edge_cdf(sys, group->targets[n].edge, t);
            all *= 1 - group->targets[n].chance * (1 - one);
            none *= 1 - one;
        }
        p = fmin(p, group->join == JOIN_ALL ? all : 1 - none);
    }
    return p * (1 - agent->fail);
}

static double edge_cdf(const System *sys, uint32_t edge, double t)
{
    const ParamValue *p = sys->edges[edge].policy;
    if (may_skip(p)) {
        return 1;
    }
    double one = agent_cdf(sys, sys->edges[edge].to, fmin(t, attempt_limit(p)));
    double n = chances(p);
    return n == 1 ? one : 1 - pow(1 - one, n);
}

static double work_quantile(BoundAgent *a, const SystemAgent *agent, double p)
{
    for (uint32_t i = 0; i < QUANTILES_KEPT; i++) {
        if (a->kept.p[i] == p) {
            return a->kept.seconds[i];
        }
    }
    uint32_t i = a->kept.next++ % QUANTILES_KEPT;
    a->kept.p[i] = p;
    a->kept.seconds[i] = dist_quantile(&agent->service, p) * 1e-9;
    return a->kept.seconds[i];
}

static double edge_quantile(Bounds *b, const System *sys, uint32_t edge, double p);

// No more than the time by which a share p of requests to the agent has ended well: the longest
// part, and the least that the others take.
static double agent_quantile(Bounds *b, const System *sys, uint32_t index, double p)
{
    const SystemAgent *agent = &sys->agents[index];
    double least = work_quantile(&b->agents[index], agent, 0);
    double longest = work_quantile(&b->agents[index], agent, p), longer = longest - least;
    for (uint32_t g = 0; g < agent->group_count; g++) {
        const SystemGroup *group = &agent->groups[g];
        bool all = group->join == JOIN_ALL;
        double at = all ? 0 : INFINITY, first = at;
        double share = all ? p : 1 - pow(1 - p, 1.0 / group->count);
        for (uint32_t n = 0; n < group->count; n++) {
            double chance = group->targets[n].chance;
            double of = share <= 1 - chance ? 0 : (share - (1 - chance)) / chance;
            double one = of > 0 ? edge_quantile(b, sys, group->targets[n].edge, of) : 0;
            double soon = chance < 1 ? 0 : edge_quantile(b, sys, group->targets[n].edge, 0);
            at = all ? fmax(at, one) : fmin(at, one);
            first = all ? fmax(first, soon) : fmin(first, soon);
        }
        least += first;
        longer = fmax(longer, at - first);
    }
    return least + longer;
}

static double edge_quantile(Bounds *b, const System *sys, uint32_t edge, double p)
{
    const ParamValue *v = sys->edges[edge].policy;
    if (may_skip(v)) {
        return 0;
    }
    double n = chances(v);
    return agent_quantile(b, sys, sys->edges[edge].to, n == 1 ? p : 1 - pow(1 - p, 1 / n));
}

static void client_of(Bounds *b, const System *sys, uint32_t i, ClientOutcome *out)
{
    const SystemClient *c = &sys->clients[i];
    double within = INFINITY, deadline = c->deadline_ns > 0 ? SECONDS(c->deadline_ns) : INFINITY;
    for (uint32_t n = 0; n < sys->objective_count; n++) {
        if (sys->objectives[n].client == i && sys->objectives[n].within_ns > 0) {
            within = SECONDS(sys->objectives[n].within_ns);
        }
    }
    double ends = edge_cdf(sys, c->edge, deadline);
    double good = within < deadline ? edge_cdf(sys, c->edge, within) : ends;
    out->goodput.low = 0;
    out->goodput.high = good;
    out->errors.low = 1 - ends;
    out->errors.high = 1;
    out->p50.low = ends < 0.5 ? INFINITY : edge_quantile(b, sys, c->edge, 0.5);
    out->p99.low = ends < 0.99 ? INFINITY : edge_quantile(b, sys, c->edge, 0.99);
    out->p50.high = out->p99.high = INFINITY;
}

// ---- the slow side, by network calculus with numbers of traffic

// Adds the agent and what it calls, with every attempt; the stage behind it. A station is in one
// stage of a client only, so an agent that is reached twice does not fit.
static int visit_all(Slow *slow, const Bounds *b, const System *sys, uint32_t agent, int stage,
                     double times, int first)
{
    const SystemAgent *a = &sys->agents[agent];
    if (b->agents[agent].mean > 0) {
        for (int i = first; i < slow->visit_count; i++) {
            slow->fits = slow->fits && slow->visits[i].station != (int)agent;
        }
        if (slow->visit_count == NETWORK_VISITS_MAX) {
            slow->fits = false;
            return stage;
        }
        slow->visits[slow->visit_count++] = (NetworkVisit){(int)agent, stage++, times};
    }
    for (uint32_t g = 0; g < a->group_count && slow->fits; g++) {
        int last = stage;
        for (uint32_t t = 0; t < a->groups[g].count; t++) {
            const SystemTarget *target = &a->groups[g].targets[t];
            double sent = attempts_most(sys->edges[target->edge].policy, 0);
            int end = visit_all(slow, b, sys, sys->edges[target->edge].to, stage,
                                times * ceil(target->repeat) * sent, first);
            last = end > last ? end : last;
        }
        stage = last;
    }
    return stage;
}

// Visits in the order of their stages, as network_bounds wants them.
static void by_stage(NetworkVisit *v, int count)
{
    for (int i = 1; i < count; i++) {
        NetworkVisit one = v[i];
        int at = i;
        for (; at > 0 && v[at - 1].stage > one.stage; at--) {
            v[at] = v[at - 1];
        }
        v[at] = one;
    }
}

static bool fits(const System *sys)
{
    bool all = sys->agent_count <= NETWORK_STATIONS_MAX && sys->client_count <= NETWORK_CLIENTS_MAX;
    for (uint32_t i = 0; i < sys->agent_count && all; i++) {
        const SystemAgent *a = &sys->agents[i];
        all = a->discipline == VIRTUAL_FIFO && !a->has_policy && a->queue == UINT32_MAX &&
              a->fail == 0 && !(a->holds_server && a->group_count > 0);
    }
    for (uint32_t i = 0; i < sys->client_count && all; i++) {
        all = sys->clients[i].users == 0;
    }
    return all;
}

// Only where no overload can last: then all attempts of everybody still leave room.
static void slow_side(Bounds *b, const System *sys, Outcome *out)
{
    Slow *slow = &b->slow;
    slow->visit_count = 0;
    slow->fits = fits(sys);
    for (uint32_t i = 0; i < sys->client_count && slow->fits; i++) {
        const SystemClient *c = &sys->clients[i];
        int first = slow->visit_count;
        double sent = attempts_most(sys->edges[c->edge].policy, 0);
        (void)visit_all(slow, b, sys, sys->edges[c->edge].to, 0, sent, first);
        by_stage(slow->visits + first, slow->visit_count - first);
        const ParamValue *p = sys->edges[c->edge].policy;
        bool limited = p[P_RATE_PER_SECOND].real > 0 && p[P_RATE_MAX_WAIT].integer == 0;
        slow->clients[i] = (NetworkClient){c->name,
                                           c->per_second,
                                           fmax(c->scv, 0.01),
                                           limited ? (double)p[P_RATE_BURST].integer : 0,
                                           slow->visits + first,
                                           slow->visit_count - first};
    }
    for (uint32_t i = 0; i < sys->agent_count && slow->fits; i++) {
        const BoundAgent *a = &b->agents[i];
        double servers = sys->agents[i].servers > 0 ? sys->agents[i].servers : 1e5;
        slow->stations[i] = (NetworkStation){sys->agents[i].name, servers, fmax(a->mean, 1e-9),
                                             a->scv, fmax(a->slow, 1e-9)};
    }
    NetworkLoad load = {slow->stations, (int)sys->agent_count, slow->clients,
                        (int)sys->client_count, 0.01};
    NetworkBounds *found = &b->found;
    if (!slow->fits || network_bounds(&load, found, NULL) != 0) {
        return;
    }
    for (uint32_t i = 0; i < sys->client_count; i++) {
        out->clients[i].p99.high = fmax(found->delay_s[i], out->clients[i].p99.low);
    }
}

BoundsFacts bounds_solve(Bounds *b, const System *sys, Outcome *outcome)
{
    load_of(b, sys);
    outcome->fidelity = FIDELITY_BOUNDS;
    outcome->confidence = 1;
    BoundsFacts facts = facts_of(b, sys, outcome);
    for (uint32_t i = 0; i < sys->client_count; i++) {
        client_of(b, sys, i, &outcome->clients[i]);
    }
    if (facts.safe) {
        slow_side(b, sys, outcome);
    }
    outcome->stable = facts.feasible;
    outcome->reason = (Slice){0};
    if (!facts.feasible) {
        const SystemAgent *a = &sys->agents[facts.busiest];
        int n = snprintf(b->reason, sizeof b->reason,
                         "%.*s would need %.0f %% of its %u servers if every request ended well at "
                         "the first attempt; at least %.0f servers",
                         SLICE_FMT(a->name), 100 * facts.utilisation, a->servers,
                         floor(facts.utilisation * a->servers) + 1);
        outcome->reason =
            (Slice){b->reason, (size_t)n < sizeof b->reason ? (size_t)n : sizeof b->reason - 1};
    }
    return facts;
}
