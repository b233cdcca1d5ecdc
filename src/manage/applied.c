#include "manage/applied.h"

#include <math.h>

#include "stat/dist.h"

enum { MEASURES_MAX = 4 * PLAN_CHANGES_MAX };
#define CONFIDENCE 0.999

typedef enum Sign { SIGN_REPETITIONS, SIGN_TIMEOUTS, SIGN_WASTED, SIGN_SERVERS, SIGNS } Sign;

typedef struct Mark {
    uint32_t party;
    Sign sign;
    uint32_t index; // edge, or agent
    Estimate with, without;
    double sum, squares; // of the windows
    uint32_t windows;
} Mark;

struct AppliedCheck {
    Arena *arena;
    const System *names; // a copy of the view
    Mark marks[MEASURES_MAX];
    size_t count;
};

static bool is_of_edge(Sign sign)
{
    return sign == SIGN_REPETITIONS || sign == SIGN_TIMEOUTS;
}

static Estimate over(Estimate part, Estimate whole)
{
    double by = whole.value > 0 ? whole.value : NAN;
    return (Estimate){part.value / by, part.low / by, part.high / by};
}

static Estimate predicted(const Outcome *o, Sign sign, uint32_t index)
{
    const EdgeOutcome *edge = &o->edges[is_of_edge(sign) ? index : 0];
    Estimate repeated = {edge->retries.value + edge->hedges.value,
                         edge->retries.low + edge->hedges.low,
                         edge->retries.high + edge->hedges.high};
    switch (sign) {
    case SIGN_REPETITIONS: return over(repeated, edge->calls);
    case SIGN_TIMEOUTS: return over(edge->timeouts, edge->attempts);
    case SIGN_WASTED: return o->agents[index].wasted;
    case SIGN_SERVERS: return o->agents[index].servers;
    case SIGNS: break;
    }
    return (Estimate){NAN, NAN, NAN};
}

static double seen_in(const PlantWindow *w, Sign sign, uint32_t index)
{
    const PlantEdge *edge = &w->edges[is_of_edge(sign) ? index : 0];
    const PlantAgent *agent = &w->agents[is_of_edge(sign) ? 0 : index];
    double part = NAN, whole = 1;
    switch (sign) {
    case SIGN_REPETITIONS:
        part = (double)(edge->retries + edge->hedges);
        whole = (double)edge->calls;
        break;
    case SIGN_TIMEOUTS:
        part = (double)edge->timeouts;
        whole = (double)edge->attempts;
        break;
    case SIGN_WASTED:
        part = agent->wasted_s;
        whole = agent->busy_s;
        break;
    case SIGN_SERVERS: part = agent->servers; break;
    case SIGNS: break;
    }
    return whole > 0 ? part / whole : NAN;
}

// Can the two predictions be told apart by what is seen in a few windows?
static bool are_apart(Estimate a, Estimate b)
{
    double larger = fmax(a.value, b.value);
    return larger >= APPLIED_LEAST && fabs(a.value - b.value) > APPLIED_APART * larger &&
           (a.high < b.low || b.high < a.low);
}

static void add_mark(AppliedCheck *check, const Outcome *with, const Outcome *without,
                     uint32_t party, Sign sign, uint32_t index)
{
    Mark mark = {.party = party,
                 .sign = sign,
                 .index = index,
                 .with = predicted(with, sign, index),
                 .without = predicted(without, sign, index)};
    for (size_t i = 0; i < check->count; i++) {
        const Mark *m = &check->marks[i];
        if (m->party == party && m->sign == sign && m->index == index) {
            return;
        }
    }
    if (check->count < MEASURES_MAX && are_apart(mark.with, mark.without)) {
        check->marks[check->count++] = mark;
    }
}

static void add_place(AppliedCheck *check, const Outcome *with, const Outcome *without,
                      uint32_t party, SystemPlace place, uint32_t index)
{
    if (place == PLACE_AGENT) {
        add_mark(check, with, without, party, SIGN_SERVERS, index);
        add_mark(check, with, without, party, SIGN_WASTED, index);
        return;
    }
    add_mark(check, with, without, party, SIGN_REPETITIONS, index);
    add_mark(check, with, without, party, SIGN_TIMEOUTS, index);
    add_mark(check, with, without, party, SIGN_WASTED, check->names->edges[index].to);
}

// The plan without what `party` owns of it.
static Plan plan_without(Arena *arena, const System *sys, const Plan *plan, uint32_t party)
{
    Plan rest = *plan;
    rest.count = rest.program_count = 0;
    rest.programs = ARENA_ARRAY(arena, PlanProgram, plan->program_count + 1);
    for (uint32_t i = 0; i < plan->count; i++) {
        if (system_owner(sys, plan->changes[i].what) != party) {
            rest.changes[rest.count++] = plan->changes[i];
        }
    }
    for (uint32_t i = 0; i < plan->program_count; i++) {
        SystemParam what = {plan->programs[i].place, plan->programs[i].index, 0};
        if (system_owner(sys, what) != party) {
            rest.programs[rest.program_count++] = plan->programs[i];
        }
    }
    return rest;
}

static void add_party(AppliedCheck *check, const AppliedAsk *ask, uint32_t party)
{
    const System *sys = check->names;
    const Plan *plan = ask->plan;
    Plan rest = plan_without(check->arena, sys, plan, party);
    System *changed = NULL;
    SimResult *result = NULL;
    if (plan_apply(check->arena, sys, &rest, &changed, NULL) != 0 ||
        sim_run(check->arena, changed, &ask->sim, &result, NULL) != 0) {
        return;
    }
    for (uint32_t i = 0; i < plan->count; i++) {
        SystemParam what = plan->changes[i].what;
        if (system_owner(sys, what) == party) {
            add_place(check, ask->with, result->outcome, party, what.place, what.index);
        }
    }
    for (uint32_t i = 0; i < plan->program_count; i++) {
        SystemParam what = {plan->programs[i].place, plan->programs[i].index, 0};
        if (system_owner(sys, what) == party) {
            add_place(check, ask->with, result->outcome, party, what.place, what.index);
        }
    }
}

AppliedCheck *applied_create(Arena *arena, const AppliedAsk *ask)
{
    AppliedCheck *check = ARENA_NEW(arena, AppliedCheck);
    check->arena = arena;
    check->names = system_copy(arena, ask->view);
    uint32_t owners[PLAN_CHANGES_MAX];
    size_t count = plan_owners(check->names, ask->plan, owners);
    for (size_t i = 0; i < count; i++) {
        if (owners[i] != ask->proposer) {
            add_party(check, ask, owners[i]);
        }
    }
    return check;
}

void applied_window(AppliedCheck *check, const PlantWindow *window)
{
    for (size_t i = 0; i < check->count; i++) {
        Mark *m = &check->marks[i];
        double seen = seen_in(window, m->sign, m->index);
        if (!isnan(seen) && m->windows < APPLIED_WINDOWS_MAX) {
            m->sum += seen;
            m->squares += seen * seen;
            m->windows++;
        }
    }
}

// How many half-widths of its interval the mean lies beyond the middle, towards "without"; 0 or
// less is no evidence.
static double evidence(const Mark *m)
{
    if (m->windows < APPLIED_WINDOWS_MIN) {
        return 0;
    }
    double n = m->windows, mean = m->sum / n;
    double variance = fmax(0, (m->squares - n * mean * mean) / (n - 1));
    double half = dist_t_quantile(1 - (1 - CONFIDENCE) / 2, n - 1) * sqrt(variance / n);
    double middle = (m->with.value + m->without.value) / 2;
    double beyond = m->without.value > m->with.value ? mean - middle : middle - mean;
    return half > 0 ? beyond / half : beyond > 0 ? INFINITY : 0;
}

static Slice words_of(const AppliedCheck *check, const Mark *m, double seen)
{
    static const char *const WHAT[SIGNS] = {"repetitions of a call", "timeouts of an attempt",
                                            "wasted share of the work", "servers"};
    const System *sys = check->names;
    Slice place = is_of_edge(m->sign) ? sys->edges[m->index].name : sys->agents[m->index].name;
    Slice party = m->party & SYSTEM_FROM_CLIENT ? sys->clients[m->party & ~SYSTEM_FROM_CLIENT].name
                                                : sys->agents[m->party].name;
    return arena_printf(check->arena,
                        "%s: %s at %.*s are %.3g; predicted with %.*s's part %.3g, without it %.3g",
                        "seen as if it was not applied", WHAT[m->sign], SLICE_FMT(place), seen,
                        SLICE_FMT(party), m->with.value, m->without.value);
}

bool applied_doubt(AppliedCheck *check, AppliedDoubt *ret_doubt)
{
    const Mark *clearest = NULL;
    double most = 1;
    for (size_t i = 0; i < check->count; i++) {
        double is = evidence(&check->marks[i]);
        if (is > most) {
            most = is;
            clearest = &check->marks[i];
        }
    }
    if (clearest == NULL) {
        return false;
    }
    double seen = clearest->sum / clearest->windows;
    *ret_doubt = (AppliedDoubt){.party = clearest->party,
                                .seen = seen,
                                .with = clearest->with,
                                .without = clearest->without,
                                .words = words_of(check, clearest, seen)};
    return true;
}
