#include "manage/search_space.h"

#include <math.h>

static BayesKind kind_of(uint16_t param, const SystemRange *range)
{
    switch (system_param_row(param)->kind) {
    case PARAM_BOOL:
    case PARAM_CHOICE: return BAYES_CHOICE;
    case PARAM_INT: return BAYES_WHOLE;
    case PARAM_FLOAT:
    case PARAM_DURATION:
    case PARAM_SIZE: break;
    }
    return range->low > 0 && range->high > 4 * range->low ? BAYES_LOG : BAYES_REAL;
}

// The variable of a wish that another edge of the same neighbour began.
static ptrdiff_t wish_of(const SearchSpace *s, SystemParam what, uint32_t owner)
{
    for (size_t i = 0; i < s->place_count; i++) {
        const SystemParam *p = &s->places[i];
        if (what.place == PLACE_EDGE && p->place == PLACE_EDGE && p->param == what.param &&
            system_owner(s->context->view, *p) == owner) {
            return s->variable_of[i];
        }
    }
    return -1;
}

static void add_place(SearchSpace *s, SystemParam what, const SystemRange *range, PlanReach reach)
{
    const System *view = s->context->view;
    if (s->place_count == SEARCH_PLACES_MAX || !(range->low < range->high)) {
        return;
    }
    ptrdiff_t wish = reach == REACH_WISH ? wish_of(s, what, system_owner(view, what)) : -1;
    BayesParam new = {SLICE("a policy"), kind_of(what.param, range), range->low, range->high};
    if (wish < 0 && s->count == SEARCH_VARIABLES_MAX) {
        return;
    }
    if (wish < 0) {
        double now = system_number(what.param, system_get(view, what));
        s->now[s->count] = fmin(fmax(now, range->low), range->high);
        s->variables[s->count] = new;
        wish = (ptrdiff_t)s->count++;
    } else { // as wide as the widest of them; each is held to its own
        BayesParam *v = &s->variables[wish];
        v->low = fmin(v->low, range->low);
        v->high = fmax(v->high, range->high);
        v->kind = v->kind == new.kind ? new.kind : BAYES_REAL;
    }
    s->variable_of[s->place_count] = (uint8_t)wish;
    s->places[s->place_count++] = what;
}

static void add_all(SearchSpace *s, PlanReach wanted)
{
    const System *view = s->context->view;
    for (uint32_t i = 0; i < view->edge_count + view->agent_count; i++) {
        bool edge = i < view->edge_count;
        uint32_t index = edge ? i : i - view->edge_count;
        const SystemRange *ranges = edge ? view->edges[index].ranges : view->agents[index].ranges;
        uint32_t count = edge ? view->edges[index].range_count : view->agents[index].range_count;
        for (uint32_t k = 0; k < count; k++) {
            SystemParam what = {edge ? PLACE_EDGE : PLACE_AGENT, index, ranges[k].param};
            if (plan_reach(s->context, what) == wanted) {
                add_place(s, what, &ranges[k], wanted);
            }
        }
    }
}

void search_space_of(const PlanContext *context, SearchSpace *ret_space)
{
    *ret_space = (SearchSpace){.context = context};
    add_all(ret_space, REACH_DETAIL); // one's own first
    add_all(ret_space, REACH_WISH);
}

void search_space_plan(const SearchSpace *space, const double *point, Plan *ret_plan)
{
    const System *view = space->context->view;
    *ret_plan = (Plan){0};
    for (size_t i = 0; i < space->place_count; i++) {
        SystemParam what = space->places[i];
        const SystemRange *range = system_range(view, what);
        double number = fmin(fmax(point[space->variable_of[i]], range->low), range->high);
        SystemChange change = {what, system_value(what.param, number)};
        (void)!plan_add(ret_plan, change, NULL); // as many places as changes
    }
    plan_trim(view, ret_plan);
}
