#include "manage/applied.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "manage/coordinator_test.h"
#include "manage/plant_virtual.h"

#define S NS_PER_SECOND
enum { WINDOWS = 6 };

// What the pipeline comes to: nothing is repeated above B, B repeats at C, and D is told when
// nobody waits.
static void add(const System *sys, Plan *plan, const char *name, double value)
{
    SystemParam what;
    if (system_find_param(sys, slice_from_cstr(name), &what, NULL) != 0) {
        fail_msg("%s", name);
    }
    assert_int_equal(plan_add(plan, (SystemChange){what, system_value(what.param, value)}, NULL),
                     0);
}

static Plan the_plan(const System *sys)
{
    Plan plan = {0};
    add(sys, &plan, "a->b.retry.attempts", 1);
    add(sys, &plan, "a->b.timeout.attempt", 10e9);
    add(sys, &plan, "builds->b.retry.attempts", 1);
    add(sys, &plan, "builds->b.timeout.attempt", 10e9);
    add(sys, &plan, "b->c.timeout.attempt", 0.5e9);
    add(sys, &plan, "b->c.retry.attempts", 4);
    add(sys, &plan, "b->c.cancel.propagate", 1);
    return plan;
}

static Plan part_of(const System *sys, const Plan *plan, uint32_t without)
{
    Plan part = *plan;
    part.count = 0;
    for (uint32_t i = 0; i < plan->count; i++) {
        if (system_owner(sys, plan->changes[i].what) != without) {
            part.changes[part.count++] = plan->changes[i];
        }
    }
    return part;
}

// Watches a world in which the party did not do its part (UINT32_MAX: everybody did).
static bool watch(const System *sys, uint32_t missing, uint64_t seed, AppliedDoubt *ret_doubt)
{
    Err e = {0};
    Arena *arena = arena_create((size_t)256 << 20);
    Plan plan = the_plan(sys), done = part_of(sys, &plan, missing);
    System *with = NULL, *is = NULL;
    SimResult *predicted = NULL;
    SimOptions sim = {
        .seed = seed, .horizon_ns = 120 * S, .warmup_ns = 30 * S, .replications = 3, .threads = 1};
    assert_int_equal(plan_apply(arena, sys, &plan, &with, &e), 0);
    assert_int_equal(plan_apply(arena, sys, &done, &is, &e), 0);
    assert_int_equal(sim_run(arena, with, &sim, &predicted, &e), 0);
    AppliedCheck *check = applied_create(
        arena,
        &(AppliedAsk){
            .view = sys, .plan = &plan, .with = predicted->outcome, .proposer = 0, .sim = sim});
    Plant *plant = NULL;
    assert_int_equal(
        plant_virtual_create(is, &(PlantVirtualOptions){.seed = seed + 1000}, &plant, &e), 0);
    bool doubted = false;
    for (int i = 0; i < WINDOWS && !doubted; i++) {
        PlantWindow window;
        assert_int_equal(plant_wait(plant, plant_now(plant) + 10 * S, &e), 0);
        assert_int_equal(plant_observe(plant, arena, &window, &e), 0);
        if (i > 0) { // the first fills the system
            applied_window(check, &window);
        }
        doubted = applied_doubt(check, ret_doubt);
    }
    if (doubted) { // its words live in the arena
        ret_doubt->words = (Slice){0};
    }
    plant_destroy(plant);
    arena_destroy(arena);
    return doubted;
}

// PW_SEEDS=100: the figures of docs/internals/coordination.md.
static int seeds(void)
{
    int64_t n = 8;
    const char *text = getenv("PW_SEEDS");
    return text && slice_to_i64(slice_from_cstr(text), &n) == 0 && n > 0 ? (int)n : 8;
}

// At 99.9 % a dozen measures and four looks each, an honest party is doubted less than once in 20.
static void test_who_did_is_believed_and_who_did_not_is_found(void **state)
{
    (void)state;
    Arena *arena = arena_create(16 << 20);
    const System *sys = system_of(arena, COLLAPSING);
    uint32_t b = (uint32_t)system_find_agent(sys, SLICE("b"));
    int honest = 0, found = 0, named = 0, n = seeds();
    for (int i = 0; i < n; i++) {
        AppliedDoubt doubt = {0};
        honest += !watch(sys, UINT32_MAX, (uint64_t)i, &doubt);
        if (watch(sys, b, (uint64_t)i, &doubt)) {
            found++;
            named += doubt.party == b && doubt.without.value != doubt.with.value;
        }
    }
    print_message("of %d: %d honest believed, %d missing found, %d named\n", n, honest, found,
                  named);
    assert_true(honest >= 0.95 * n - 1);
    assert_true(found >= 0.95 * n - 1);
    assert_int_equal(named, found);
    arena_destroy(arena);
}

static void test_nothing_to_see_says_nothing(void **state)
{
    (void)state;
    Arena *arena = arena_create((size_t)64 << 20);
    const System *sys = system_of(arena, COLLAPSING);
    Plan plan = {0};
    add(sys, &plan, "b->c.retry.attempts", 2); // never used: no timeout, no failures
    SimResult *predicted = NULL;
    SimOptions sim = {.seed = 1, .horizon_ns = 20 * S, .replications = 2, .threads = 1};
    assert_int_equal(sim_run(arena, sys, &sim, &predicted, NULL), 0);
    AppliedCheck *check = applied_create(
        arena, &(AppliedAsk){.view = sys, .plan = &plan, .with = predicted->outcome, .sim = sim});
    AppliedDoubt doubt;
    assert_false(applied_doubt(check, &doubt));
    PlantWindow empty = plant_window_create(arena, sys, 0, S);
    for (int i = 0; i < APPLIED_WINDOWS_MAX + 1; i++) {
        applied_window(check, &empty); // no calls: no shares
    }
    assert_false(applied_doubt(check, &doubt));
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_did_is_believed_and_who_did_not_is_found),
        cmocka_unit_test(test_nothing_to_see_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
