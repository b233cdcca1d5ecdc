#include "manage/planner.h"

#include <string.h>

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

// Agents first, then clients.
static uint32_t node_of(const System *sys, uint32_t party)
{
    return party & SYSTEM_FROM_CLIENT ? sys->agent_count + (party & ~SYSTEM_FROM_CLIENT) : party;
}

// Hops along edges, in either direction, from the planning party to `owner`: 1 are its callees and
// its callers, 2 those who share a callee with it; `reach` + 1 for whoever is further away.
static uint32_t hops_to(const PlanContext *context, uint32_t owner)
{
    const System *sys = context->view;
    uint32_t count = sys->agent_count + sys->client_count;
    uint8_t *hops = mem_alloc(count);
    memset(hops, UINT8_MAX, count);
    hops[node_of(sys, context->self)] = 0;
    for (uint32_t hop = 0; hop < context->reach && hop < UINT8_MAX - 1; hop++) {
        for (uint32_t i = 0; i < sys->edge_count; i++) {
            uint32_t from = node_of(sys, sys->edges[i].from), to = sys->edges[i].to;
            if (hops[from] == hop && hops[to] > hop + 1) {
                hops[to] = (uint8_t)(hop + 1);
            }
            if (hops[to] == hop && hops[from] > hop + 1) {
                hops[from] = (uint8_t)(hop + 1);
            }
        }
    }
    uint32_t found =
        hops[node_of(sys, owner)] == UINT8_MAX ? context->reach + 1 : hops[node_of(sys, owner)];
    free(hops);
    return found;
}

PlanReach plan_reach(const PlanContext *context, SystemParam what)
{
    if (system_range(context->view, what) == NULL) {
        return REACH_NONE;
    }
    uint32_t hops = hops_to(context, system_owner(context->view, what));
    if (hops == 0) {
        return REACH_DETAIL;
    }
    return hops <= context->reach ? REACH_WISH : REACH_NONE;
}
