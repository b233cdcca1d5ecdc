// The two passes of a round. Up: from the agents that call nobody to the clients, each agent's wait
// at its present load, then what a request to it and a call over each edge that leads to it do.
// Down: from the clients to the last agent, how many calls that makes and how long somebody waits
// for them. An agent whose load did not change and that calls nobody whose answers did is skipped.
#include <math.h>
#include <string.h>

#include "model/formula_impl.h"

#define SECONDS(ns) ((double)(ns)*1e-9)

static bool same_atoms(const Atoms *a, const Atoms *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (int i = 0; i < a->count; i++) {
        bool same_time = a->list[i].seconds == b->list[i].seconds ||
                         fabs(a->list[i].seconds - b->list[i].seconds) < 1e-6 * b->list[i].seconds;
        if (!same_time || fabs(a->list[i].share - b->list[i].share) > 1e-6) {
            return false;
        }
    }
    return true;
}

static bool same_rates(const double *a, const double *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (fabs(a[i] - b[i]) > 1e-6 * b[i]) {
            return false;
        }
    }
    return true;
}

// Places and waiting room: the agent's own, and those of its fixed concurrency limit.
static double places_of(const SystemAgent *agent, double load, double *ret_room)
{
    double servers = agent->servers,
           room = agent->queue == UINT32_MAX ? (double)INFINITY : (double)agent->queue;
    const ParamValue *p = agent->policy;
    if (agent->has_policy && p[P_SCALE_TARGET].real > 0 && servers > 0) {
        double wanted = load / p[P_SCALE_TARGET].real;
        wanted = fmin(wanted, (double)p[P_SCALE_MAX].integer);
        servers = fmax(wanted, (double)p[P_SCALE_MIN].integer);
    }
    if (agent->has_policy && p[P_LIMIT_KIND].integer != LIMIT_NONE) {
        double limit = (double)p[P_LIMIT_VALUE].integer, queue = (double)p[P_QUEUE_LIMIT].integer;
        if (servers == 0 || limit < servers) {
            servers = limit;
            room = queue;
        } else {
            room = fmin(room, limit - servers) + queue;
        }
    }
    *ret_room = room;
    return servers;
}

// Server time of an arrival, and of one that is served at all, with those who leave.
static void use_of(AgentState *a)
{
    if (a->patience.count == 0 || (a->patience.count == 1 && isinf(a->patience.list[0].seconds))) {
        a->used = a->held = a->until.mean;
        a->through = 1;
        return;
    }
    double used = 0, served = 0;
    for (int k = 0; k < a->patience.count; k++) {
        Atom atom = a->patience.list[k];
        if (isinf(atom.seconds)) {
            used += atom.share * a->until.mean;
            served += atom.share;
            continue;
        }
        double mine = a->wait.zero * formula_until_mean(&a->until, atom.seconds);
        double stays = a->wait.zero;
        for (int i = a->wait.low; i < a->wait.high; i++) {
            double left = atom.seconds - spread_time(i);
            if (left <= 0) {
                break;
            }
            mine += a->wait.mass[i] * formula_until_mean(&a->until, left);
            stays += a->wait.mass[i];
        }
        used += atom.share * mine;
        served += atom.share * stays;
    }
    a->used = used;
    a->through = served;
    a->held = served > 1e-12 ? used / served : a->until.mean;
}

// Mean wait of class `class` behind those before it (Cobham 1954), over the wait of all.
static double priority_factor(const Formula *f, const AgentState *a, uint32_t class)
{
    double before = 0, until = 0, all = 0;
    for (uint32_t k = 0; k < f->classes; k++) {
        double load = a->arrivals[k] * a->used / a->servers;
        before += k < class ? load : 0;
        until += k <= class ? load : 0;
        all += load;
    }
    if (until >= 1) {
        return INFINITY;
    }
    return all < 1 ? (1 - all) / ((1 - before) * (1 - until)) : 1 / ((1 - before) * (1 - until));
}

static void station_of(const Formula *f, const System *sys, uint32_t index)
{
    const SystemAgent *agent = &sys->agents[index];
    AgentState *a = &f->agents[index];
    a->overloaded = false;
    a->blocked = 0;
    spread_none(&a->wait);
    use_of(a);
    // Processor sharing does not see the law of the work, only its mean.
    double room, scv = agent->discipline == VIRTUAL_SHARING ? 1 : spread_scv(&a->hold);
    for (int round = 0; round < 6; round++) {
        a->servers = places_of(agent, a->rate * a->used, &room);
        if (a->servers == 0) {
            break;
        }
        StationAsk ask = {.rate = a->rate,
                          .mean = a->held,
                          .scv = scv,
                          .arrival_scv = a->arrival_scv,
                          .servers = a->servers,
                          .room = room,
                          .atoms = &a->patience};
        StationAnswer answer = formula_station(&ask, &a->wait);
        a->blocked = answer.blocked;
        a->overloaded = answer.overloaded;
        double before = a->held;
        if (a->overloaded) {
            a->through = fmin(a->servers / (a->rate * a->until.mean), 1);
            a->used = a->until.mean;
            break;
        }
        use_of(a);
        if (fabs(a->held - before) < 1e-3 * before && round > 0) {
            break;
        }
        a->held = (a->held + before) / 2;
        if (a->patience.count == 0) {
            break;
        }
    }
    double served = a->rate * (1 - a->blocked) * a->used;
    a->utilisation = a->servers > 0 ? served / a->servers : served;
    a->waiting = a->rate * (1 - a->blocked) * spread_mean(&a->wait);
}

// The wait as class `class` has it, and the work: to f->current.
static void begin_reply(Formula *f, const SystemAgent *agent, AgentState *a, uint32_t class)
{
    Reply *now = &f->current;
    spread_clear(&now->failed);
    double factor = agent->discipline == VIRTUAL_PRIORITY && f->classes > 1 && a->servers > 0
                        ? priority_factor(f, a, class)
                        : 1;
    if (a->overloaded || isinf(factor)) {
        spread_clear(&now->ok); // never
        return;
    }
    if (agent->discipline == VIRTUAL_SHARING && a->servers > 0) {
        double mean = spread_mean(&a->work), wait = spread_mean(&a->wait);
        spread_copy(&now->ok, &a->work);
        if (mean > 0) {
            spread_stretch(&now->ok, 1 + wait / mean);
        }
    } else if (factor != 1) {
        spread_copy(&f->sum, &a->wait);
        spread_stretch(&f->sum, factor);
        spread_add(&now->ok, &f->sum, &a->work);
    } else {
        spread_add(&now->ok, &a->wait, &a->work);
    }
    double fails = 1 - (1 - agent->fail), stays = 1 - a->blocked;
    spread_mix(&now->failed, &now->ok, fails * stays);
    spread_scale(&now->ok, (1 - fails) * stays);
    spread_put(&now->failed, 0, a->blocked);
}

static double alive_in(const Spread *s, const Atoms *patience)
{
    if (patience->count == 0) {
        return spread_total(s);
    }
    double sum = 0;
    for (int i = 0; i < patience->count; i++) {
        const Atom *a = &patience->list[i];
        sum += a->share * (isinf(a->seconds) ? spread_total(s) : spread_cdf(s, a->seconds));
    }
    return sum;
}

static void reply_of(Formula *f, const System *sys, uint32_t index, uint32_t class)
{
    const SystemAgent *agent = &sys->agents[index];
    AgentState *a = &f->agents[index];
    Reply *now = &f->current;
    begin_reply(f, agent, a, class);
    for (uint32_t g = 0; g < agent->group_count; g++) {
        GroupState *state = &a->groups[class * agent->group_count + g];
        state->reach = a->overloaded ? a->through : alive_in(&now->ok, &a->patience);
        state->elapsed = spread_mean(&now->ok);
        formula_group(f, &agent->groups[g], class);
        state->finish = spread_mean(&f->joined.ok);
        spread_add(&f->sum, &now->ok, &f->joined.failed);
        spread_mix(&now->failed, &f->sum, 1);
        spread_add(&f->sum, &now->ok, &f->joined.ok);
        spread_copy(&now->ok, &f->sum);
    }
    spread_copy(&a->reply[class].ok, &now->ok);
    spread_copy(&a->reply[class].failed, &now->failed);
}

// How long one request keeps a server: also while its calls are under way, where it holds it.
static void hold_of(Formula *f, const System *sys, uint32_t index)
{
    const SystemAgent *agent = &sys->agents[index];
    AgentState *a = &f->agents[index];
    if (!agent->holds_server || agent->servers == 0) {
        return;
    }
    spread_copy(&a->hold, &a->work);
    for (uint32_t g = 0; g < agent->group_count; g++) {
        formula_group(f, &agent->groups[g], 0);
        spread_mix(&f->joined.ok, &f->joined.failed, 1);
        spread_add(&f->sum, &a->hold, &f->joined.ok);
        spread_copy(&a->hold, &f->sum);
    }
    formula_until(&a->until, &a->hold);
}

static bool calls_fresh(const Formula *f, const SystemAgent *agent)
{
    for (uint32_t g = 0; g < agent->group_count; g++) {
        for (uint32_t t = 0; t < agent->groups[g].count; t++) {
            if (f->edges[agent->groups[g].targets[t].edge].fresh) {
                return true;
            }
        }
    }
    return false;
}

static double deadline_of(const System *sys, uint32_t edge)
{
    uint32_t from = sys->edges[edge].from;
    if (!(from & SYSTEM_FROM_CLIENT)) {
        return INFINITY;
    }
    int64_t ns = sys->clients[from & ~SYSTEM_FROM_CLIENT].deadline_ns;
    return ns > 0 ? SECONDS(ns) : INFINITY;
}

static void edge_up(Formula *f, const System *sys, uint32_t index)
{
    EdgeState *e = &f->edges[index];
    for (uint32_t class = 0; class < f->classes; class ++) {
        CallAsk ask = {.policy = sys->edges[index].policy,
                       .target = &f->agents[sys->edges[index].to].reply[class],
                       .deadline = deadline_of(sys, index),
                       .calls = e->calls[class],
                       .patience = &e->patience};
        e->answer[class] = formula_call(&ask, &f->scratch, &e->reply[class]);
    }
}

void formula_up(Formula *f, const System *sys, bool first)
{
    for (uint32_t i = 0; i < f->edge_count; i++) {
        f->edges[i].fresh = false;
    }
    for (uint32_t i = 0; i < f->agent_count; i++) {
        uint32_t index = f->order[i];
        AgentState *a = &f->agents[index];
        bool below = calls_fresh(f, &sys->agents[index]);
        a->fresh = first || below || !same_atoms(&a->patience, &a->patience_before) ||
                   !same_rates(a->arrivals, a->arrivals_before, f->classes);
        if (a->fresh) {
            hold_of(f, sys, index);
            station_of(f, sys, index);
            for (uint32_t class = 0; class < f->classes; class ++) {
                reply_of(f, sys, index, class);
            }
            memcpy(a->arrivals_before, a->arrivals, sizeof a->arrivals);
            a->patience_before = a->patience;
        }
        for (uint32_t n = 0; n < a->in_count; n++) {
            EdgeState *e = &f->edges[a->in[n]];
            e->fresh = a->fresh || !same_atoms(&e->patience, &e->patience_before) ||
                       (e->limits && !same_rates(e->calls, e->calls_before, f->classes));
            if (e->fresh) {
                edge_up(f, sys, a->in[n]);
                memcpy(e->calls_before, e->calls, sizeof e->calls);
                e->patience_before = e->patience;
            }
        }
    }
}

// ---- down

// Adds what edge `index` sends to its agent: rates, and how long its requests are waited for.
static void arrive(Formula *f, const System *sys, uint32_t index, uint32_t class)
{
    const EdgeState *e = &f->edges[index];
    AgentState *to = &f->agents[sys->edges[index].to];
    const ParamValue *p = sys->edges[index].policy;
    const CallAnswer *answer = &e->answer[class];
    double rate = e->calls[class] * answer->sent;
    to->next[class] += rate;
    if (!p[P_CANCEL_PROPAGATE].boolean) {
        atoms_add(&to->patience, rate, INFINITY);
        return;
    }
    double limit = SECONDS(p[P_TIMEOUT_ATTEMPT].integer);
    double call = SECONDS(p[P_TIMEOUT_CALL].integer);
    limit = limit > 0 ? limit : INFINITY;
    limit = fmin(limit, call > 0 ? call : INFINITY);
    limit = fmin(limit, deadline_of(sys, index));
    double lost = answer->attempts > 0 ? answer->hedges / answer->attempts : 0;
    if (lost > 0) { // of two one loses, and is told when the other one is done
        atoms_add(&to->patience, rate * lost, fmin(limit, answer->winner));
    }
    if (e->patience.count == 0) {
        atoms_add(&to->patience, rate * (1 - lost), limit);
    }
    for (int i = 0; i < e->patience.count; i++) {
        atoms_add(&to->patience, rate * (1 - lost) * e->patience.list[i].share,
                  fmin(limit, e->patience.list[i].seconds));
    }
}

// The calls that agent `index` makes, and the patience that is left for them.
static void call_on(Formula *f, const System *sys, uint32_t index, uint32_t class)
{
    const SystemAgent *agent = &sys->agents[index];
    AgentState *a = &f->agents[index];
    for (uint32_t g = 0; g < agent->group_count; g++) {
        const SystemGroup *group = &agent->groups[g];
        const GroupState *state = &a->groups[class * agent->group_count + g];
        bool some = group->join != JOIN_ALL && group->count > 1;
        for (uint32_t t = 0; t < group->count; t++) {
            const SystemTarget *target = &group->targets[t];
            EdgeState *e = &f->edges[target->edge];
            e->calls[class] += a->next[class] * state->reach * target->chance * target->repeat;
            if (class > 0) {
                continue; // patience is that of all classes together
            }
            e->patience.count = 0;
            for (int i = 0; i < a->patience.count; i++) {
                double left = a->patience.list[i].seconds - state->elapsed;
                left = some && state->finish > 0 ? fmin(left, state->finish) : left;
                atoms_add(&e->patience, a->patience.list[i].share, left);
            }
            if (e->patience.count == 1 && isinf(e->patience.list[0].seconds)) {
                e->patience.count = 0;
            }
        }
    }
}

// A closed client asks again when it has thought about the answer.
static double client_rate(const Formula *f, const SystemClient *client, uint32_t class)
{
    if (client->users == 0) {
        return client->per_second;
    }
    const Reply *r = &f->edges[client->edge].reply[class];
    double ok = spread_total(&r->ok), failed = spread_total(&r->failed);
    double answer = ok * spread_mean(&r->ok) + failed * spread_mean(&r->failed);
    double think = dist_mean(&client->think) * 1e-9;
    answer = ok + failed > 0 ? answer / (ok + failed) : 0;
    return client->users / fmax(think + answer, 1e-9);
}

static void clients_ask(Formula *f, const System *sys, double weight)
{
    for (uint32_t i = 0; i < f->client_count; i++) {
        const SystemClient *client = &sys->clients[i];
        uint8_t priority = client->priority ? client->priority : POLICY_PRIORITY_DEFAULT;
        uint32_t class = f->class_of_priority[priority];
        double rate = client_rate(f, client, class);
        // Half of the way: more users than servers would make the rate swing between two values.
        weight = client->users > 0 ? fmin(weight, 0.5) : 1;
        f->rates[i] = f->rates[i] > 0 ? f->rates[i] + weight * (rate - f->rates[i]) : rate;
        f->edges[client->edge].calls[class] += f->rates[i];
    }
}

double formula_down(Formula *f, const System *sys, double weight)
{
    double change = 0;
    for (uint32_t i = 0; i < f->edge_count; i++) {
        memset(f->edges[i].calls, 0, sizeof f->edges[i].calls);
    }
    clients_ask(f, sys, weight);
    for (uint32_t i = f->agent_count; i-- > 0;) {
        AgentState *a = &f->agents[f->order[i]];
        memset(a->next, 0, sizeof a->next);
        a->patience.count = 0;
        for (uint32_t n = 0; n < a->in_count; n++) {
            for (uint32_t class = 0; class < f->classes; class ++) {
                arrive(f, sys, a->in[n], class);
            }
        }
        atoms_finish(&a->patience);
        if (a->patience.count == 1 && isinf(a->patience.list[0].seconds)) {
            a->patience.count = 0;
        }
        a->rate = 0;
        for (uint32_t class = 0; class < f->classes; class ++) {
            double was = a->arrivals[class], is = was + weight * (a->next[class] - was);
            change = fmax(change, fabs(is - was) / fmax(is, 1e-9));
            a->arrivals[class] = a->next[class] = is;
            a->rate += is;
            call_on(f, sys, f->order[i], class);
        }
    }
    return change;
}
