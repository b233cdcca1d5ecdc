// The rules planner: a small grammar of interventions over policies, put together from what the
// view says about latencies, capacities and the promise that is broken. Needs no model, no search
// and no luck; whatever it proposes goes through validation.
//
//     Planner *planner = planner_rules_create();
//
// A move sets some parameters in one set of places: one edge of the planning agent, all of them,
// all edges of a neighbour (a wish: one value for all), an agent's own servers and queues. Moves on
// different aspects are put together, two and three at a time. docs/internals/planners.md has the
// table of moves and when each is thought good.
//
// Nobody's range is left, what was refused is not said again, and equal plans are one.
#ifndef MANAGE_PLANNER_RULES_H
#define MANAGE_PLANNER_RULES_H

#include "manage/planner.h"

Planner *planner_rules_create(void);

#endif
