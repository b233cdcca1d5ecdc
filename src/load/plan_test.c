#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/units.h"
#include "load/plan.h"

static PlanScenario scenario(int64_t start_s, int64_t duration_s, int64_t stop_s, int64_t vus)
{
    return (PlanScenario){.executor = EXECUTOR_CONSTANT_VUS,
                          .start_time_ns = start_s * NS_PER_SECOND,
                          .duration_ns = duration_s * NS_PER_SECOND,
                          .graceful_stop_ns = stop_s * NS_PER_SECOND,
                          .max_vus = vus};
}

static void test_vus_and_length_of_a_plan(void **state)
{
    (void)state;
    const struct {
        PlanScenario scenarios[3];
        size_t count;
        int64_t vus, seconds, with_stops;
    } cases[] = {
        {{scenario(0, 10, 30, 5)}, 1, 5, 10, 40},
        {{scenario(0, 10, 0, 5), scenario(10, 5, 0, 7)}, 2, 7, 15, 15},
        // The first one's graceful stop reaches into the second.
        {{scenario(0, 10, 1, 5), scenario(10, 5, 0, 7)}, 2, 12, 15, 15},
        {{scenario(5, 10, 0, 1), scenario(0, 6, 0, 2), scenario(5, 1, 90, 4)}, 3, 7, 15, 96},
        {{scenario(0, 0, 0, 3)}, 1, 3, 0, 0},
        {{scenario(0, 0, 0, 0)}, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Plan plan = {.scenarios = cases[i].scenarios, .scenario_count = cases[i].count};
        assert_int_equal(plan_vus_max(&plan), cases[i].vus);
        assert_int_equal(plan_duration_ns(&plan), cases[i].seconds * NS_PER_SECOND);
        assert_int_equal(plan_duration_with_stops_ns(&plan), cases[i].with_stops * NS_PER_SECOND);
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_true(slice_eq(executor_name(EXECUTOR_PER_VU_ITERATIONS), SLICE("per-vu-iterations")));
    assert_true(slice_eq(environment_kind_name(ENVIRONMENT_STAGING), SLICE("staging")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vus_and_length_of_a_plan),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
