// The planner that is built in: a few rules about timeouts, retries, hedges and cancellation, put
// together edge by edge. Whoever gives the coordinator no other planner has this one; it needs no
// model, no search and no network.
//
// For each edge that the party may plan in detail: leave it, do not repeat, or repeat after a
// quantile of how long the target takes when it is idle. For the edges of each neighbour: one such
// choice for all of them, as it is the neighbour who knows them apart. With and without telling
// targets that nobody waits any more. Beside that: servers, within what their owner offers.
// Where the target's times have a long tail repeating is tried first, where they have none it is
// not.
#ifndef MANAGE_PLANNER_BASIC_H
#define MANAGE_PLANNER_BASIC_H

#include "manage/planner.h"

enum { PLANNER_BASIC_COMBINATIONS_MAX = 4096 };

Planner *planner_basic_create(void);

#endif
