#include "manage/planner.h"

int planner_plan(Planner *planner, Arena *arena, const PlanContext *context, PlanList *ret_list,
                 Err *e)
{
    PlanList list = {0};
    int rc = planner->ops->plan(planner, arena, context, &list, e);
    if (rc != 0) {
        return rc;
    }
    list.count = list.count > context->plans_max ? context->plans_max : list.count;
    *ret_list = list;
    return 0;
}

void planner_destroy(Planner *planner)
{
    if (planner != NULL) {
        planner->ops->destroy(planner);
    }
}

// Hops along the edges from the planning party to the owner of the parameter: 1 is its callees, and
// its callers, whose retries are its load.
static uint32_t hops_from(const PlanContext *context, uint32_t owner)
{
    const System *sys = context->view;
    if (owner == context->self) {
        return 0;
    }
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        const SystemEdge *edge = &sys->edges[i];
        if ((edge->from == context->self && edge->to == owner) ||
            (edge->to == context->self && edge->from == owner)) {
            return 1;
        }
    }
    return 2; // further away is not told apart
}

PlanReach plan_reach(const PlanContext *context, SystemParam what)
{
    if (system_range(context->view, what) == NULL) {
        return REACH_NONE;
    }
    uint32_t hops = hops_from(context, system_owner(context->view, what));
    if (hops == 0) {
        return REACH_DETAIL;
    }
    return hops <= context->reach ? REACH_WISH : REACH_NONE;
}
