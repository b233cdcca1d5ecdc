#include "manage/planner_basic.h"

#include <math.h>
#include <string.h>

#include "base/units.h"

enum { OPTIONS_MAX = 12, GROUPS_MAX = 10, EDGES_MAX = 16, DEPTH_MAX = 16, SERVER_STEPS = 3 };

// A tail is long when one request in a hundred takes so many times as long as the middle one. (An
// exponential time has a ratio of 6.6.)
#define LONG_TAIL 7.0
// A timeout at a quantile leaves that much room for waiting.
#define ROOM 1.5

typedef struct Option {
    bool leave;
    int64_t attempts;
    int64_t timeout_ns;
    double prior;
} Option;

// Edges that get the same option.
typedef struct Group {
    uint32_t edges[EDGES_MAX];
    uint32_t edge_count;
    uint32_t owner;
    Option options[OPTIONS_MAX];
    uint32_t option_count;
} Group;

typedef struct Rules {
    const PlanContext *context;
    Arena *arena;
    Group groups[GROUPS_MAX];
    uint32_t group_count;
    int64_t patience_ns; // of the client that it is for
    Plan *plans;
    size_t count, max;
} Rules;

// ---- how long a target takes when nobody waits

static double idle_quantile(const System *sys, uint32_t agent, double q, int depth)
{
    const SystemAgent *a = &sys->agents[agent];
    double time = dist_quantile(&a->service, q);
    for (uint32_t g = 0; depth < DEPTH_MAX && g < a->group_count; g++) {
        double longest = 0;
        for (uint32_t t = 0; t < a->groups[g].count; t++) {
            const SystemTarget *target = &a->groups[g].targets[t];
            double one = idle_quantile(sys, sys->edges[target->edge].to, q, depth + 1);
            longest = fmax(longest, one * fmax(1, target->repeat));
        }
        time += longest;
    }
    return time;
}

static double tail_of(const System *sys, uint32_t agent)
{
    double middle = idle_quantile(sys, agent, 0.5, 0);
    return middle > 0 ? idle_quantile(sys, agent, 0.99, 0) / middle : 1;
}

// ---- options

static bool in_range(const Rules *r, SystemParam what, double *number)
{
    const SystemRange *range = system_range(r->context->view, what);
    if (range == NULL) {
        return false;
    }
    *number = fmin(fmax(*number, range->low), range->high);
    return true;
}

static void add_option(Group *g, Option o)
{
    for (uint32_t i = 0; i < g->option_count; i++) {
        const Option *had = &g->options[i];
        if (had->leave == o.leave && had->attempts == o.attempts &&
            had->timeout_ns == o.timeout_ns) {
            return;
        }
    }
    if (g->option_count < OPTIONS_MAX) {
        g->options[g->option_count++] = o;
    }
}

// What to try at a group of edges, from the targets' idle times.
static void options_of(Rules *r, Group *g)
{
    const System *sys = r->context->view;
    double tail = 0, quantiles[3] = {0, 0, 0};
    static const double QS[3] = {0.9, 0.99, 0.999};
    for (uint32_t i = 0; i < g->edge_count; i++) {
        uint32_t to = sys->edges[g->edges[i]].to;
        tail = fmax(tail, tail_of(sys, to));
        for (int q = 0; q < 3; q++) {
            quantiles[q] = fmax(quantiles[q], idle_quantile(sys, to, QS[q], 0));
        }
    }
    bool repeat = tail > LONG_TAIL;
    int64_t patient = r->patience_ns + r->patience_ns / 4;
    add_option(g, (Option){.leave = true, .prior = 0.5});
    add_option(g, (Option){.attempts = 1, .timeout_ns = patient, .prior = repeat ? 0.3 : 1});
    for (int q = 0; q < 3; q++) {
        int64_t timeout = (int64_t)(ROOM * quantiles[q]);
        double prior = (repeat ? 1 : 0.4) - 0.1 * q;
        if (timeout > 0 && timeout < patient) {
            add_option(g, (Option){.attempts = 2, .timeout_ns = timeout, .prior = prior});
            add_option(g, (Option){.attempts = 4, .timeout_ns = timeout, .prior = prior});
        }
    }
    // A caller's own timeout, moved to here together with its repetitions.
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        const SystemEdge *caller = &sys->edges[i];
        int64_t timeout = caller->policy[P_TIMEOUT_ATTEMPT].integer;
        int64_t attempts = caller->policy[P_RETRY_ATTEMPTS].integer;
        if (caller->to == g->owner && timeout > 0 && attempts > 1) {
            add_option(g, (Option){.attempts = attempts, .timeout_ns = timeout, .prior = 0.9});
        }
    }
}

static PlanReach edge_reach(const Rules *r, uint32_t edge)
{
    PlanReach timeout = plan_reach(r->context, (SystemParam){PLACE_EDGE, edge, P_TIMEOUT_ATTEMPT});
    PlanReach retry = plan_reach(r->context, (SystemParam){PLACE_EDGE, edge, P_RETRY_ATTEMPTS});
    return timeout < retry ? timeout : retry;
}

static Group *group_for(Rules *r, uint32_t owner, PlanReach reach)
{
    for (uint32_t i = 0; reach == REACH_WISH && i < r->group_count; i++) {
        if (r->groups[i].owner == owner) {
            return &r->groups[i];
        }
    }
    if (r->group_count == GROUPS_MAX) {
        return NULL;
    }
    r->groups[r->group_count] = (Group){.owner = owner};
    return &r->groups[r->group_count++];
}

static void make_groups(Rules *r)
{
    const System *sys = r->context->view;
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        PlanReach reach = edge_reach(r, i);
        if (reach == REACH_NONE) {
            continue;
        }
        uint32_t owner = system_owner(sys, (SystemParam){PLACE_EDGE, i, P_RETRY_ATTEMPTS});
        Group *g = group_for(r, owner, reach);
        if (g != NULL && g->edge_count < EDGES_MAX) {
            g->edges[g->edge_count++] = i;
        }
    }
    for (uint32_t i = 0; i < r->group_count; i++) {
        options_of(r, &r->groups[i]);
    }
}

// ---- plans

static void set_number(const Rules *r, Plan *plan, SystemParam what, double number)
{
    if (in_range(r, what, &number)) {
        SystemChange change = {what, system_value(what.param, number)};
        (void)!plan_add(plan, change, NULL); // a plan that is full is a plan as well
    }
}

static void apply_option(const Rules *r, Plan *plan, const Group *g, const Option *o, Buf *title)
{
    if (o->leave) {
        return;
    }
    char timeout[UNITS_TEXT_MAX];
    duration_format_short(o->timeout_ns, timeout);
    for (uint32_t i = 0; i < g->edge_count; i++) {
        uint32_t edge = g->edges[i];
        set_number(r, plan, (SystemParam){PLACE_EDGE, edge, P_RETRY_ATTEMPTS}, (double)o->attempts);
        set_number(r, plan, (SystemParam){PLACE_EDGE, edge, P_TIMEOUT_ATTEMPT},
                   (double)o->timeout_ns);
        Slice name = r->context->view->edges[edge].name;
        if (o->attempts == 1) {
            buf_printf(title, "%s%.*s not repeated", title->len == 0 ? "" : ", ", SLICE_FMT(name));
        } else {
            buf_printf(title, "%s%.*s up to %lld times after %s", title->len == 0 ? "" : ", ",
                       SLICE_FMT(name), (long long)o->attempts, timeout);
        }
    }
}

static void tell_targets(const Rules *r, Plan *plan)
{
    for (uint32_t i = 0; i < r->context->view->edge_count; i++) {
        SystemParam what = {PLACE_EDGE, i, P_CANCEL_PROPAGATE};
        if (plan_reach(r->context, what) != REACH_NONE) {
            set_number(r, plan, what, 1);
        }
    }
}

static void keep_plan(Rules *r, Plan *plan)
{
    plan_trim(r->context->view, plan);
    if (plan->count == 0 || r->count == r->max ||
        !plan_keeps(r->context->view, plan, r->context->limits, r->context->limit_count, NULL)) {
        return;
    }
    plan->planner = SLICE("basic");
    r->plans[r->count++] = *plan;
}

// One choice of an option for each group.
static void combine(Rules *r, const uint32_t *choice, bool cancel)
{
    Plan plan = {0};
    Buf title = buf_create(4096);
    for (uint32_t g = 0; g < r->group_count; g++) {
        const Option *o = &r->groups[g].options[choice[g]];
        apply_option(r, &plan, &r->groups[g], o, &title);
        plan.prior += o->prior;
    }
    if (cancel) {
        tell_targets(r, &plan);
        plan.prior += 0.5;
        buf_puts(&title, title.len == 0 ? "" : ", ");
        buf_puts(&title, "targets are told when nobody waits");
    }
    plan.title = arena_copy(r->arena, buf_slice(&title));
    plan.reason = SLICE("timeouts and repetitions from the targets' own times");
    keep_plan(r, &plan);
    buf_done(&title);
}

static void combinations(Rules *r)
{
    uint32_t choice[GROUPS_MAX] = {0};
    for (size_t n = 0; n < PLANNER_BASIC_COMBINATIONS_MAX; n++) {
        combine(r, choice, false);
        combine(r, choice, true);
        uint32_t g = 0;
        while (g < r->group_count && ++choice[g] == r->groups[g].option_count) {
            choice[g++] = 0;
        }
        if (g == r->group_count) {
            return;
        }
    }
}

// More servers, in steps up to what the owner offers; alone and with cancellation.
static void servers(Rules *r)
{
    const System *sys = r->context->view;
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        SystemParam what = {PLACE_AGENT, i, SYSTEM_PARAM_SERVERS};
        const SystemRange *range = system_range(sys, what);
        if (plan_reach(r->context, what) == REACH_NONE || range == NULL) {
            continue;
        }
        double now = sys->agents[i].servers;
        for (int step = 1; step <= SERVER_STEPS; step++) {
            for (int cancel = 0; cancel < 2; cancel++) {
                Plan plan = {.prior = 0.2};
                set_number(r, &plan, what, ceil(now + (range->high - now) * step / SERVER_STEPS));
                plan.title =
                    arena_printf(r->arena, "more servers at %.*s", SLICE_FMT(sys->agents[i].name));
                plan.reason = SLICE("more load than servers");
                if (cancel) {
                    tell_targets(r, &plan);
                }
                keep_plan(r, &plan);
            }
        }
    }
}

static int by_prior(const void *a, const void *b)
{
    double x = ((const Plan *)a)->prior, y = ((const Plan *)b)->prior;
    return x > y ? -1 : x < y;
}

static int make_plans(Planner *planner, Arena *arena, const PlanContext *context,
                      PlanList *ret_list, Err *e)
{
    (void)planner;
    (void)e;
    Rules *r = ARENA_NEW(arena, Rules);
    const System *sys = context->view;
    r->context = context;
    r->arena = arena;
    r->patience_ns = 10 * NS_PER_SECOND;
    for (uint32_t i = 0; context->violation != NULL && i < sys->objective_count; i++) {
        if (sys->objectives[i].client == context->violation->client &&
            sys->objectives[i].within_ns > 0) {
            r->patience_ns = sys->objectives[i].within_ns;
        }
    }
    r->max = 2 * PLANNER_BASIC_COMBINATIONS_MAX + 1;
    r->plans = mem_alloc(r->max * sizeof *r->plans);
    make_groups(r);
    servers(r);
    combinations(r);
    qsort(r->plans, r->count, sizeof *r->plans, by_prior);
    size_t count = r->count < context->plans_max ? r->count : context->plans_max;
    ret_list->plans = ARENA_ARRAY(arena, Plan, count + 1);
    memcpy(ret_list->plans, r->plans, count * sizeof(Plan));
    ret_list->count = count;
    free(r->plans);
    return 0;
}

static void destroy(Planner *planner)
{
    free(planner);
}

Planner *planner_basic_create(void)
{
    static const PlannerOps OPS = {.name = "basic", .plan = make_plans, .destroy = destroy};
    Planner *planner = mem_zalloc(sizeof *planner);
    planner->ops = &OPS;
    return planner;
}
