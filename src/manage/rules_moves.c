#include "manage/rules_impl.h"

#include <math.h>

// ---- sets of places

static PlaceSet *set_new(Rules *r, SetKind kind, uint32_t party)
{
    if (r->set_count == r->set_room) {
        return NULL;
    }
    PlaceSet *s = &r->sets[r->set_count];
    *s = (PlaceSet){.kind = kind, .number = (uint32_t)r->set_count, .party = party, .gain = 1};
    return s;
}

// Takes the set in, if there is anything in it.
static void set_keep(Rules *r, PlaceSet *s)
{
    if (s->count == 0 && s->kind != SET_AGENT) {
        return;
    }
    r->set_count++;
    double slowest = -1;
    for (uint32_t i = 0; i < s->count; i++) {
        RulesLatency l = rules_latency(r->arena, r->view, r->view->edges[s->edges[i]].to);
        double gain, restarts[RULES_TIMEOUTS_MAX];
        size_t count = rules_restarts(&l, 4, restarts, &gain);
        if (gain < s->gain || s->restart_count == 0) { // where it helps most
            s->gain = gain;
            s->restart_count = count;
            memcpy(s->restarts, restarts, sizeof restarts);
        }
        if (rules_quantile(&l, 0.99) > slowest) {
            slowest = rules_quantile(&l, 0.99);
            s->latency = l;
        }
    }
}

static void edges_of(Rules *r, SetKind kind, uint32_t party)
{
    PlaceSet *s = set_new(r, kind, party);
    for (uint32_t i = 0; s && i < r->view->edge_count && s->count < RULES_PLACES_MAX; i++) {
        if (r->view->edges[i].from == party) {
            s->edges[s->count++] = i;
        }
    }
    if (s) {
        set_keep(r, s);
    }
}

static void agent_itself(Rules *r, uint32_t agent)
{
    PlaceSet *s = set_new(r, SET_AGENT, agent);
    if (s) {
        set_keep(r, s);
    }
}

static bool seen_before(const Rules *r, SetKind kind, uint32_t party)
{
    for (size_t i = 0; i < r->set_count; i++) {
        if (r->sets[i].kind == kind && r->sets[i].party == party) {
            return true;
        }
    }
    return false;
}

void rules_find_sets(Rules *r)
{
    const System *v = r->view;
    uint32_t self = r->context->self;
    uint32_t own = 0;
    for (uint32_t i = 0; i < v->edge_count; i++) {
        PlaceSet *s = v->edges[i].from == self ? set_new(r, SET_OWN_EDGE, self) : NULL;
        if (s) {
            s->edges[s->count++] = i;
            set_keep(r, s);
            own++;
        }
    }
    if (own > 1) {
        edges_of(r, SET_OWN, self);
    }
    if (!(self & SYSTEM_FROM_CLIENT)) {
        agent_itself(r, self);
    }
    for (uint32_t i = 0; i < v->edge_count && r->context->reach > 0; i++) {
        const SystemEdge *edge = &v->edges[i];
        if (edge->from == self && !seen_before(r, SET_CALLEE, edge->to)) {
            edges_of(r, SET_CALLEE, edge->to);
            agent_itself(r, edge->to);
        }
        if (edge->to == self && !seen_before(r, SET_CALLER, edge->from)) {
            edges_of(r, SET_CALLER, edge->from);
        }
    }
}

// ---- building a move

static bool put(Rules *r, Plan *plan, SystemPlace place, uint32_t index, uint16_t param,
                double number)
{
    SystemParam what = {place, index, param};
    const SystemRange *range = system_range(r->view, what);
    if (!range || plan_reach(r->context, what) == REACH_NONE) {
        return false;
    }
    number = fmin(fmax(number, range->low), range->high);
    return plan_add(plan, (SystemChange){what, system_value(param, number)}, NULL) == 0;
}

// In every place of the set whose owner allows it; false where none does.
static bool put_all(Rules *r, const PlaceSet *s, Plan *plan, uint16_t param, double number)
{
    if (s->kind == SET_AGENT) {
        return put(r, plan, PLACE_AGENT, s->party, param, number);
    }
    bool any = false;
    for (uint32_t i = 0; i < s->count; i++) {
        any |= put(r, plan, PLACE_EDGE, s->edges[i], param, number);
    }
    return any;
}

static Slice set_name(const Rules *r, const PlaceSet *s)
{
    return s->kind == SET_OWN_EDGE         ? r->view->edges[s->edges[0]].name
           : s->party & SYSTEM_FROM_CLIENT ? r->view->clients[s->party & ~SYSTEM_FROM_CLIENT].name
                                           : r->view->agents[s->party].name;
}

static Move *move_new(Rules *r, const PlaceSet *s, uint32_t aspects, double prior)
{
    if (r->move_count == RULES_MOVES_MAX) {
        return NULL;
    }
    Move *m = &r->moves[r->move_count];
    *m = (Move){.set = s->number, .aspects = aspects, .kind = s->kind};
    m->plan.planner = SLICE("rules");
    // One's own house first: what needs nobody's consent is tried sooner.
    bool own = s->kind == SET_OWN || s->kind == SET_OWN_EDGE;
    m->plan.prior = prior * (own ? 1 : 0.9);
    return m;
}

static void move_keep(Rules *r, Move *m, bool any, Slice title, Slice reason)
{
    if (any) {
        m->plan.title = title;
        m->plan.reason = reason;
        plan_trim(r->view, &m->plan);
        r->move_count += m->plan.count > 0;
    }
}

static double seconds(double ns)
{
    return ns / 1e9;
}

// ---- the moves

// One patient attempt. Longer than the promise is good for nobody.
static void move_calm(Rules *r, const PlaceSet *s)
{
    Move *m = move_new(r, s, ASPECT_ATTEMPTS | ASPECT_CANCEL, 0.8);
    if (!m) {
        return;
    }
    m->calm = true;
    bool any = put_all(r, s, &m->plan, P_RETRY_ATTEMPTS, 1);
    any |= put_all(r, s, &m->plan, P_TIMEOUT_ATTEMPT, r->within_ns);
    any |= put_all(r, s, &m->plan, P_CANCEL_PROPAGATE, 1);
    move_keep(r, m, any,
              arena_printf(r->arena, "one patient attempt at %.*s", SLICE_FMT(set_name(r, s))),
              SLICE("retries of slow calls are load for whoever is slow already"));
}

static void move_restart(Rules *r, const PlaceSet *s, double timeout_ns, uint32_t attempts,
                         double prior)
{
    Move *m = move_new(r, s, ASPECT_ATTEMPTS | ASPECT_CANCEL, prior);
    if (!m) {
        return;
    }
    m->restart = true;
    bool any = put_all(r, s, &m->plan, P_TIMEOUT_ATTEMPT, timeout_ns);
    any |= put_all(r, s, &m->plan, P_RETRY_ATTEMPTS, attempts);
    any |= put_all(r, s, &m->plan, P_CANCEL_PROPAGATE, 1);
    move_keep(r, m, any,
              arena_printf(r->arena, "%.*s gives up after %.3g s and asks again, %u times in all",
                           SLICE_FMT(set_name(r, s)), seconds(timeout_ns), attempts),
              arena_printf(r->arena,
                           "asking again after %.3g s brings the 99 %% quantile of what is behind "
                           "%.*s to %.0f %%",
                           seconds(s->restarts[0]), SLICE_FMT(set_name(r, s)), s->gain * 100));
}

static void moves_restart(Rules *r, const PlaceSet *s)
{
    bool helps = s->gain < 0.7;
    for (size_t i = 0; i < s->restart_count; i++) {
        double prior = (helps ? 0.95 : 0.25) - 0.02 * (double)i;
        move_restart(r, s, s->restarts[i], 4, prior);
        move_restart(r, s, s->restarts[i], 2, prior - 0.05);
    }
    // With room for what waits: one attempt that is cut where nearly all have answered.
    move_restart(r, s, 2 * rules_quantile(&s->latency, 0.99), 2, 0.4);
    move_restart(r, s, 3 * rules_quantile(&s->latency, 0.99), 1, 0.45);
}

static void move_flag(Rules *r, const PlaceSet *s, uint32_t aspect, uint16_t param, double number,
                      double prior, const char *title, const char *reason)
{
    Move *m = move_new(r, s, aspect, prior);
    if (m) {
        bool any = put_all(r, s, &m->plan, param, number);
        move_keep(r, m, any, arena_printf(r->arena, "%.*s %s", SLICE_FMT(set_name(r, s)), title),
                  slice_from_cstr(reason));
    }
}

static void move_hedge(Rules *r, const PlaceSet *s, double quantile)
{
    bool tail = rules_quantile(&s->latency, 0.99) > 4 * rules_quantile(&s->latency, 0.5);
    Move *m = move_new(r, s, ASPECT_HEDGE, tail ? 0.7 : 0.1);
    if (!m) {
        return;
    }
    bool any = put_all(r, s, &m->plan, P_HEDGE_MAX, 1);
    any = any && put_all(r, s, &m->plan, P_HEDGE_DELAY, rules_quantile(&s->latency, quantile));
    move_keep(
        r, m, any,
        arena_printf(r->arena, "%.*s asks a second time after %.3g s and takes the first answer",
                     SLICE_FMT(set_name(r, s)), seconds(rules_quantile(&s->latency, quantile))),
        SLICE("a long tail above a quick median is worth a second call"));
}

// How many requests a second the set's narrowest target can serve; 0: any number.
static double capacity_of(const Rules *r, const PlaceSet *s, double *ret_servers)
{
    double least = 0;
    *ret_servers = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        const SystemAgent *a = &r->view->agents[r->view->edges[s->edges[i]].to];
        double mean = dist_mean(&a->service);
        double capacity = a->servers > 0 && mean > 0 ? a->servers / mean * 1e9 : 0;
        if (capacity > 0 && (least == 0 || capacity < least)) {
            least = capacity;
            *ret_servers = a->servers;
        }
    }
    return least;
}

static void move_limit(Rules *r, const PlaceSet *s, LimitKind kind, double value, double prior)
{
    Move *m = move_new(r, s, ASPECT_LIMIT, prior);
    if (m) {
        bool any = put_all(r, s, &m->plan, P_LIMIT_KIND, kind);
        any |= put_all(r, s, &m->plan, P_LIMIT_VALUE, value);
        move_keep(r, m, any,
                  arena_printf(r->arena, "%.*s has at most %.0f under way",
                               SLICE_FMT(set_name(r, s)), value),
                  SLICE("more than the servers can hold only waits"));
    }
}

static void moves_against_load(Rules *r, const PlaceSet *s)
{
    double servers;
    double capacity = capacity_of(r, s, &servers);
    if (capacity > 0) {
        move_limit(r, s, LIMIT_FIXED, servers, 0.3);
        move_limit(r, s, LIMIT_FIXED, 1.5 * servers, 0.3);
        move_limit(r, s, LIMIT_GRADIENT2, servers, 0.2);
        move_limit(r, s, LIMIT_AIMD, servers, 0.2);
        move_flag(r, s, ASPECT_RATE, P_RATE_PER_SECOND, 0.95 * capacity, 0.2,
                  "asks no more often than can be served",
                  "what is over capacity fails sooner or later");
    }
    move_flag(r, s, ASPECT_BREAKER, P_BREAKER_WINDOW, BREAKER_WINDOW_TIME, 0.2,
              "stops asking while most calls fail", "a target that fails needs rest");
}

static void moves_of_edges(Rules *r, const PlaceSet *s)
{
    move_calm(r, s);
    moves_restart(r, s);
    move_flag(r, s, ASPECT_CANCEL, P_CANCEL_PROPAGATE, 1, 0.6, "says when nobody waits any more",
              "work that nobody waits for keeps servers from work that somebody does");
    move_flag(r, s, ASPECT_BUDGET, P_RETRY_BUDGET, 0.1, 0.5, "retries at most one call in ten",
              "a budget keeps retries from multiplying an overload");
    move_flag(r, s, ASPECT_BUDGET, P_RETRY_BUDGET, 0.2, 0.45, "retries at most one call in five",
              "a budget keeps retries from multiplying an overload");
    move_hedge(r, s, 0.9);
    move_hedge(r, s, 0.95);
    moves_against_load(r, s);
}

static void moves_of_agent(Rules *r, const PlaceSet *s)
{
    const SystemAgent *a = &r->view->agents[s->party];
    static const double more[] = {1.1, 1.25, 1.5, 2};
    for (size_t i = 0; i < COUNT_OF(more) && a->servers > 0; i++) {
        move_flag(r, s, ASPECT_SERVERS, SYSTEM_PARAM_SERVERS, ceil(a->servers * more[i]),
                  0.3 - 0.05 * (double)i, "gets more servers", "there is more work than servers");
    }
    if (a->servers > 0) {
        move_limit(r, s, LIMIT_FIXED, a->servers, 0.25);
        move_limit(r, s, LIMIT_FIXED, 2.0 * a->servers, 0.25);
        move_flag(r, s, ASPECT_SERVERS, P_SCALE_TARGET, 0.8, 0.2, "scales with its load",
                  "there is more work than servers at times");
    }
    move_flag(r, s, ASPECT_SHED, P_SHED_QUEUE_DELAY, r->within_ns / 2, 0.2,
              "refuses what would wait too long", "an answer after the promise helps nobody");
}

void rules_find_moves(Rules *r)
{
    for (size_t i = 0; i < r->set_count; i++) {
        const PlaceSet *s = &r->sets[i];
        if (s->kind == SET_AGENT) {
            moves_of_agent(r, s);
        } else {
            moves_of_edges(r, s);
        }
    }
}
