#include "manage/planner_search.h"

#include <math.h>

#include "manage/manage_test.h"
#include "manage/search_space.h"
#include "model/system_random.h"

enum { ARENA_BYTES = 256 << 20 };

// A judge with a known best: every change away from what is there costs, and one parameter at a
// certain value is all that is needed. Counts how often it was asked.
typedef struct Known {
    const System *sys;
    SystemParam what;
    double at;
    uint32_t asked;
} Known;

static double known_gap(void *context, const Plan *plan)
{
    Known *k = context;
    k->asked++;
    double number = system_number(k->what.param, system_get(k->sys, k->what));
    for (uint32_t i = 0; i < plan->count; i++) {
        const SystemChange *c = &plan->changes[i];
        if (c->what.place == k->what.place && c->what.index == k->what.index &&
            c->what.param == k->what.param) {
            number = system_number(c->what.param, c->value);
        }
    }
    return fabs(log(number / k->at));
}

static PlanContext context_of(const System *sys, const char *self)
{
    return (PlanContext){.view = sys,
                         .self = (uint32_t)system_find_agent(sys, slice_from_cstr(self)),
                         .reach = 1,
                         .plans_max = 20,
                         .seed = 5};
}

static void test_finds_what_is_needed(void **state)
{
    (void)state;
    Arena *arena = arena_create(ARENA_BYTES);
    System *sys = system_of(arena, PIPELINE_TEXT);
    Known known = {.sys = sys, .at = 3e9};
    assert_int_equal(system_find_param(sys, SLICE("a->b.timeout.attempt"), &known.what, NULL), 0);
    PlanContext context = context_of(sys, "a");
    context.judge = (PlanJudge){&known, known_gap};
    Planner *planners[] = {planner_bayes_create(&(PlannerSearchOptions){.evaluations = 40}),
                           planner_random_create(&(PlannerSearchOptions){.evaluations = 40})};
    double best[2];
    for (int i = 0; i < 2; i++) {
        PlanList list = {0}, again = {0};
        Err e = {0};
        known.asked = 0;
        assert_int_equal(planner_plan(planners[i], arena, &context, &list, &e), 0);
        assert_true(known.asked <= 40 && list.count > 0);
        best[i] = known_gap(&known, &list.plans[0]);
        assert_true(best[i] < 0.5 * log(3)); // from 1 s to 3 s: nearer than half of the way
        for (size_t k = 1; k < list.count; k++) {
            assert_true(list.plans[k].prior <= list.plans[k - 1].prior);
        }
        // What has nothing to do with it is as it was.
        assert_int_equal(list.plans[0].count, 1);
        assert_int_equal(planner_plan(planners[i], arena, &context, &again, &e), 0);
        assert_true(plan_hash(sys, &again.plans[0]) == plan_hash(sys, &list.plans[0]));
        planner_destroy(planners[i]);
    }
    assert_true(best[0] <= best[1] + 0.05);
    arena_destroy(arena);
}

// Without a judge: short simulations. The small pipeline collapses as it stands, and there are
// settings that do not.
static void test_judges_for_itself(void **state)
{
    (void)state;
    Arena *arena = arena_create(ARENA_BYTES);
    System *sys = system_of(arena, PIPELINE_TEXT);
    Violation violation = {.client = 0, .measure = MEASURE_GOODPUT};
    PlanContext context = context_of(sys, "a");
    context.violation = &violation;
    Planner *planner = planner_bayes_create(&(PlannerSearchOptions){.evaluations = 8});
    PlanList list = {0};
    Err e = {0};
    assert_int_equal(planner_plan(planner, arena, &context, &list, &e), 0);
    assert_true(list.count > 0 && list.plans[0].prior > 0.9);
    planner_destroy(planner);
    arena_destroy(arena);
}

static double nothing_helps(void *context, const Plan *plan)
{
    (void)context;
    return plan->count > 0 ? NAN : 1;
}

// In any system: only what may be touched, within ranges, wishes alike for all edges of a
// neighbour; and a judge that never has an answer gives no plans.
static void test_any_system(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        Arena *arena = arena_create(ARENA_BYTES);
        System *sys = system_random(arena, seed, NULL);
        PlanContext context = {.view = sys, .self = 0, .reach = 1, .plans_max = 5, .seed = seed};
        SearchSpace space;
        search_space_of(&context, &space);
        assert_true(space.count <= SEARCH_VARIABLES_MAX);
        for (int end = 0; end < 2; end++) {
            double point[SEARCH_VARIABLES_MAX];
            Plan plan;
            for (size_t i = 0; i < space.count; i++) {
                point[i] = end ? space.variables[i].high : space.variables[i].low;
            }
            search_space_plan(&space, point, &plan);
            for (uint32_t i = 0; i < plan.count; i++) {
                assert_int_equal(system_allowed(sys, &plan.changes[i], NULL), 0);
                assert_int_not_equal(plan_reach(&context, plan.changes[i].what), REACH_NONE);
            }
        }
        context.judge.gap = nothing_helps;
        Planner *planner = planner_random_create(&(PlannerSearchOptions){.evaluations = 6});
        PlanList list = {0};
        assert_int_equal(planner_plan(planner, arena, &context, &list, NULL), 0);
        assert_int_equal(list.count, 0);
        planner_destroy(planner);
        arena_destroy(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_what_is_needed),
        cmocka_unit_test(test_judges_for_itself),
        cmocka_unit_test(test_any_system),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
