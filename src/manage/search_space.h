// The parameters that a planner may try, as a space to search: for planners that know nothing of
// what parameters mean. A variable is a parameter of an agent, of one own edge, or (a wish) of all
// edges of a neighbour at once.
//
//     SearchSpace space;
//     search_space_of(&context, &space);
//     search_space_plan(&space, point, &plan);      // point[space.count], in parameters' units
#ifndef MANAGE_SEARCH_SPACE_H
#define MANAGE_SEARCH_SPACE_H

#include "manage/planner.h"
#include "model/bayes_opt.h"

enum {
    SEARCH_VARIABLES_MAX = 16, // more are left out, the furthest from the planner first
    SEARCH_PLACES_MAX = PLAN_CHANGES_MAX,
};

typedef struct SearchSpace {
    const PlanContext *context;
    BayesParam variables[SEARCH_VARIABLES_MAX];
    double now[SEARCH_VARIABLES_MAX]; // the point where the view is
    size_t count;
    SystemParam places[SEARCH_PLACES_MAX];
    uint8_t variable_of[SEARCH_PLACES_MAX];
    size_t place_count;
} SearchSpace;

void search_space_of(const PlanContext *context, SearchSpace *ret_space);
// The point as a plan without what is there already; each place within its own range.
void search_space_plan(const SearchSpace *space, const double *point, Plan *ret_plan);

#endif
