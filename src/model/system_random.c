#include "model/system_random.h"

#include "base/rng.h"

#include <assert.h>
#include <math.h>

typedef struct Maker {
    Arena *arena;
    System *sys;
    Rng rng;
    SystemRandomOptions o;
} Maker;

enum { AGENTS_DEFAULT = 8, CLIENTS_MOST = 3, GROUPS_MOST = 2, TARGETS_MOST = 3 };

static bool coin(Maker *m, double chance)
{
    return rng_double(&m->rng) < chance;
}

static double between(Maker *m, double low, double high)
{
    return low + (high - low) * rng_double(&m->rng);
}

// Times and rates spread over decades are drawn by their logarithm.
static double spread(Maker *m, double low, double high)
{
    return low * pow(high / low, rng_double(&m->rng));
}

// To whole nanoseconds, as documents hold them.
static Dist random_dist(Maker *m, double mean_ns)
{
    mean_ns = round(mean_ns);
    switch (m->o.exponential ? 0 : rng_below(&m->rng, 7)) {
    case 1: return dist_gamma(mean_ns, (double)rng_between(&m->rng, 2, 5));
    case 2: return dist_uniform(round(mean_ns / 2), round(mean_ns * 1.5));
    case 3: return dist_fixed(mean_ns);
    case 4: {
        Dist d = dist_lognormal(mean_ns, between(m, 0.1, 1));
        d.scale = round(d.scale);
        return d;
    }
    case 5: {
        Dist d = dist_hyperexponential(mean_ns, between(m, 1.5, 6));
        d.scale = round(d.scale);
        d.other = round(d.other);
        return d;
    }
    case 6: { // mostly quick, with a tail
        DistPart *parts = ARENA_ARRAY(m->arena, DistPart, 2);
        parts[0] = (DistPart){0.9375, dist_exponential(mean_ns)};
        parts[1] = (DistPart){0.0625, dist_pareto(round(mean_ns * 3), 1.5, round(mean_ns * 60))};
        return dist_mixture(parts, 2);
    }
    default: return dist_exponential(mean_ns);
    }
}

static uint32_t edge_between(Maker *m, uint32_t from, uint32_t to)
{
    System *sys = m->sys;
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        if (sys->edges[i].from == from && sys->edges[i].to == to) {
            return i;
        }
    }
    Slice caller = from & SYSTEM_FROM_CLIENT ? sys->clients[from & ~SYSTEM_FROM_CLIENT].name
                                             : sys->agents[from].name;
    SystemEdge *edge = &sys->edges[sys->edge_count];
    *edge = (SystemEdge){.name = arena_printf(m->arena, "%.*s->%.*s", SLICE_FMT(caller),
                                              SLICE_FMT(sys->agents[to].name)),
                         .from = from,
                         .to = to};
    policy_defaults(edge->policy);
    return sys->edge_count++;
}

static bool has_target(const Maker *m, const SystemGroup *group, uint32_t to)
{
    for (uint32_t i = 0; i < group->count; i++) {
        if (m->sys->edges[group->targets[i].edge].to == to) {
            return true;
        }
    }
    return false;
}

// Calls go to agents of higher numbers only, so there are no circles.
static void random_calls(Maker *m, uint32_t from)
{
    SystemAgent *a = &m->sys->agents[from];
    uint32_t below = m->sys->agent_count - from - 1;
    if (below == 0 || coin(m, 0.2)) {
        return;
    }
    a->group_count = (uint32_t)rng_between(&m->rng, 1, GROUPS_MOST);
    a->groups = ARENA_ARRAY(m->arena, SystemGroup, a->group_count);
    for (uint32_t g = 0; g < a->group_count; g++) {
        SystemGroup *group = &a->groups[g];
        uint64_t wanted = 1 + rng_below(&m->rng, TARGETS_MOST);
        group->targets = ARENA_ARRAY(m->arena, SystemTarget, wanted);
        for (uint64_t t = 0; t < wanted; t++) {
            uint32_t to = from + 1 + (uint32_t)rng_below(&m->rng, below);
            if (!has_target(m, group, to)) {
                group->targets[group->count++] =
                    (SystemTarget){.edge = edge_between(m, from, to),
                                   .chance = coin(m, 0.3) ? between(m, 0.1, 1) : 1,
                                   .repeat = coin(m, 0.2) ? 2 : 1};
            }
        }
        group->first = group->count;
        if (!m->o.plain && group->count > 1 && coin(m, 0.3)) {
            group->join = coin(m, 0.5) ? JOIN_ANY : JOIN_FIRST;
            group->first =
                group->join == JOIN_ANY ? 1 : 1 + (uint32_t)rng_below(&m->rng, group->count);
        }
    }
}

static void random_agent(Maker *m, uint32_t index)
{
    SystemAgent *a = &m->sys->agents[index];
    *a = (SystemAgent){.name = arena_printf(m->arena, "agent%u", index), .queue = UINT32_MAX};
    policy_defaults(a->policy);
    if (index + 1 < m->sys->agent_count && coin(m, 0.25)) {
        return; // an orchestrator without work of its own
    }
    a->service = random_dist(m, spread(m, 1e6, 1e9));
    if (coin(m, 0.75)) {
        a->servers = 1; // settled when the load is known
        a->discipline = m->o.plain || coin(m, 0.7)
                            ? VIRTUAL_FIFO
                            : (VirtualDiscipline)rng_below(&m->rng, VIRTUAL_SHARING + 1);
    }
    if (!m->o.plain) {
        a->fail = coin(m, 0.3) ? between(m, 0, 0.05) : 0;
    }
}

static void random_client(Maker *m, uint32_t index)
{
    // The first client starts at the first agent, so that most of the system is used.
    uint32_t to = index == 0 ? 0 : (uint32_t)rng_below(&m->rng, m->sys->agent_count);
    SystemClient *c = &m->sys->clients[index];
    *c = (SystemClient){.name = arena_printf(m->arena, "client%u", index), .scv = 1};
    c->edge = edge_between(m, SYSTEM_FROM_CLIENT | index, to);
    c->per_second = spread(m, 1, 50);
    if (!m->o.plain) {
        c->scv = coin(m, 0.3) ? between(m, 1, 4) : 1;
        c->deadline_ns = coin(m, 0.3) ? (int64_t)spread(m, 1e9, 60e9) : 0;
        c->priority = coin(m, 0.3) ? (uint8_t)rng_between(&m->rng, 1, POLICY_PRIORITIES) : 0;
    }
    if (!m->o.plain && coin(m, 0.3)) {
        c->spikes = ARENA_NEW(m->arena, SystemSpike);
        c->spikes[0] = (SystemSpike){20 * NS_PER_SECOND, 5 * NS_PER_SECOND, between(m, 1.5, 4)};
        c->spike_count = 1;
    }
}

// Servers such that the busiest agent is as busy as wanted and no other more.
static void settle_servers(Maker *m)
{
    System *sys = m->sys;
    double *visits = ARENA_ARRAY(m->arena, double, sys->agent_count);
    double *load = ARENA_ARRAY(m->arena, double, sys->agent_count);
    double wanted = m->o.busiest > 0 ? m->o.busiest : between(m, 0.3, 0.9), busiest = 0;
    for (uint32_t c = 0; c < sys->client_count; c++) {
        system_visits(sys, c, visits);
        for (uint32_t i = 0; i < sys->agent_count; i++) {
            double work_s = dist_mean(&sys->agents[i].service) / NS_PER_SECOND;
            load[i] += sys->clients[c].per_second * visits[i] * work_s;
        }
    }
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        SystemAgent *a = &sys->agents[i];
        if (a->servers > 0) {
            a->servers = (uint32_t)fmin(fmax(ceil(load[i] / wanted), 1), SYSTEM_SERVERS_MAX);
            busiest = fmax(busiest, load[i] / a->servers);
        }
        if (a->servers > 0 && !m->o.plain && a->discipline != VIRTUAL_SHARING && coin(m, 0.3)) {
            a->queue = (uint32_t)rng_between(&m->rng, 5, 100);
        }
    }
    for (uint32_t c = 0; c < sys->client_count && busiest > 0; c++) {
        sys->clients[c].per_second *= wanted / busiest;
    }
}

static void random_policy(Maker *m, ParamValue *p)
{
    if (coin(m, 0.5)) {
        p[P_TIMEOUT_ATTEMPT].integer = (int64_t)spread(m, 50e6, 30e9);
    }
    if (coin(m, 0.5)) {
        p[P_RETRY_ATTEMPTS].integer = rng_between(&m->rng, 2, 4);
        p[P_RETRY_BACKOFF].integer = (int64_t)spread(m, 1e6, 1e9);
        p[P_RETRY_BUDGET].real = between(m, 0, 0.5);
    }
    p[P_CANCEL_PROPAGATE].boolean = coin(m, 0.7);
    if (coin(m, 0.2)) {
        p[P_HEDGE_MAX].integer = 1;
        p[P_HEDGE_DELAY].integer = (int64_t)spread(m, 10e6, 5e9);
    }
    if (coin(m, 0.2)) {
        p[P_LIMIT_KIND].integer = rng_between(&m->rng, LIMIT_FIXED, LIMIT_VEGAS);
        p[P_LIMIT_VALUE].integer = rng_between(&m->rng, 20, 200);
        p[P_QUEUE_LIMIT].integer = rng_between(&m->rng, 0, 100);
    }
    if (coin(m, 0.15)) {
        p[P_BREAKER_WINDOW].integer = BREAKER_WINDOW_TIME;
        p[P_BREAKER_OPEN_FOR].integer = 5 * NS_PER_SECOND;
    }
    if (coin(m, 0.1)) {
        p[P_RATE_PER_SECOND].real = spread(m, 5, 500);
        p[P_RATE_MAX_WAIT].integer = NS_PER_SECOND;
    }
}

static void random_objectives(Maker *m)
{
    System *sys = m->sys;
    sys->objectives = ARENA_ARRAY(m->arena, SystemObjective, sys->client_count);
    for (uint32_t i = 0; i < sys->client_count; i++) {
        int64_t within = (int64_t)spread(m, 1e9, 30e9);
        sys->objectives[sys->objective_count++] =
            (SystemObjective){.client = i,
                              .within_ns = within,
                              .goodput = 0.95,
                              .p99_ns = coin(m, 0.5) ? within : 0,
                              .window_ns = 10 * NS_PER_SECOND};
    }
}

static void random_ranges(Maker *m, SystemEdge *edge)
{
    static const SystemRange RANGES[] = {
        {P_TIMEOUT_ATTEMPT, 50e6, 30e9}, {P_RETRY_ATTEMPTS, 1, 4}, {P_CANCEL_PROPAGATE, 0, 1}};
    edge->ranges = ARENA_ARRAY(m->arena, SystemRange, COUNT_OF(RANGES));
    memcpy(edge->ranges, RANGES, sizeof RANGES);
    edge->range_count = COUNT_OF(RANGES);
}

static void random_fault(Maker *m)
{
    System *sys = m->sys;
    uint32_t agent = (uint32_t)rng_below(&m->rng, sys->agent_count);
    sys->faults = ARENA_NEW(m->arena, SystemFault);
    sys->faults[0] = (SystemFault){.at_ns = 30 * NS_PER_SECOND,
                                   .for_ns = 10 * NS_PER_SECOND,
                                   .agent = agent,
                                   .slow = between(m, 1.5, 3),
                                   .fail = coin(m, 0.5) ? between(m, 0, 0.3) : 0};
    sys->fault_count = 1;
}

System *system_random(Arena *arena, uint64_t seed, const SystemRandomOptions *options)
{
    Maker m = {.arena = arena,
               .sys = ARENA_NEW(arena, System),
               .rng = rng_stream(seed, SLICE("system"), 0)};
    System *sys = m.sys;
    m.o = options ? *options : (SystemRandomOptions){0};
    uint32_t most = m.o.agents ? m.o.agents : AGENTS_DEFAULT;
    assert(most >= 2 && most <= SYSTEM_AGENTS_MAX);
    sys->arena = arena;
    sys->name = arena_printf(arena, "random-%llu", (unsigned long long)seed);
    sys->agent_count = (uint32_t)rng_between(&m.rng, 2, most);
    sys->client_count = (uint32_t)rng_between(&m.rng, 1, CLIENTS_MOST);
    sys->agents = ARENA_ARRAY(arena, SystemAgent, sys->agent_count);
    sys->clients = ARENA_ARRAY(arena, SystemClient, sys->client_count);
    sys->edges = ARENA_ARRAY(arena, SystemEdge,
                             sys->agent_count * GROUPS_MOST * TARGETS_MOST + CLIENTS_MOST);
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        random_agent(&m, i);
    }
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        random_calls(&m, i);
    }
    for (uint32_t i = 0; i < sys->client_count; i++) {
        random_client(&m, i);
    }
    settle_servers(&m);
    for (uint32_t i = 0; i < sys->edge_count && !m.o.plain; i++) {
        random_policy(&m, sys->edges[i].policy);
        random_ranges(&m, &sys->edges[i]);
    }
    random_objectives(&m);
    if (!m.o.plain && coin(&m, 0.3)) {
        random_fault(&m);
    }
    return sys;
}
