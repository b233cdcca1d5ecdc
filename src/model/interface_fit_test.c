// Settings, the hybrid, and the scores of predictions.
#include "model/interface_fit.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/bounds.h"
#include "model/formula.h"

static const char QUEUE[] =
    "version = 1\n[agents.d]\nservers = 4\nservice = {dist = \"exponential\", mean = \"1s\"}\n"
    "range = {\"servers\" = [2, 8]}\n[[edges]]\nfrom = \"c\"\nto = \"d\"\n"
    "range = {\"timeout.attempt\" = [\"5s\", \"60s\"]}\n"
    "[clients.c]\nto = \"d\"\nrate = 2.0\n";

static System *queue(Arena *arena)
{
    System *sys = NULL;
    Err e = {0};
    if (system_parse(arena, slice_from_cstr(QUEUE), "test", &sys, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return sys;
}

static void settings_are_in_range_steady_and_repeatable(void **state)
{
    (void)state;
    Arena *arena = arena_create((size_t)256 << 20);
    System *sys = queue(arena);
    uint32_t moved = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        System *a = NULL, *b = NULL;
        Err e = {0};
        assert_int_equal(interface_setting(arena, sys, seed, &a, &e), 0);
        assert_int_equal(interface_setting(arena, sys, seed, &b, &e), 0);
        assert_true(a->clients[0].per_second == b->clients[0].per_second);
        assert_int_equal(a->agents[0].servers, b->agents[0].servers);
        assert_true(a->agents[0].servers >= 2 && a->agents[0].servers <= 8);
        double load = a->clients[0].per_second / a->agents[0].servers;
        assert_true(load >= SETTING_LOAD_LEAST * 0.9 && load <= INTERFACE_UTILISATION);
        moved += a->agents[0].servers != 4;
    }
    assert_true(moved > 5 && moved < 35);
    // One that is always overloaded has no setting: everything is retried without end.
    System *bad = NULL;
    Err e = {0};
    assert_int_equal(system_parse(arena,
                                  SLICE("version = 1\n[agents.d]\nservers = 1\n"
                                        "service = \"2s\"\n[[edges]]\nfrom = \"c\"\nto = \"d\"\n"
                                        "policy = {timeout = {attempt = \"1s\"}, "
                                        "retry = {attempts = 20, budget = 0.0}}\n"
                                        "[clients.c]\nto = \"d\"\nrate = 1.0\n"),
                                  "test", &bad, &e),
                     0);
    assert_int_equal(interface_setting(arena, bad, 1, &sys, &e), ERR_LIMIT);
    arena_destroy(arena);
}

// What "really" happens is the formula's answer and a tenth: exactly what a residual can learn.
static void the_hybrid_learns_what_the_formula_misses(void **state)
{
    (void)state;
    Arena *arena = arena_create((size_t)512 << 20);
    System *sys = queue(arena);
    Dataset *d = dataset_create();
    Err e = {0};
    Formula *f = NULL;
    assert_int_equal(formula_create(sys, &f, &e), 0);
    for (uint64_t seed = 0; seed < 40; seed++) {
        System *setting = NULL;
        assert_int_equal(interface_setting(arena, sys, seed, &setting, &e), 0);
        Outcome *o = outcome_create(arena, setting);
        (void)formula_solve_below(f, setting, o);
        o->clients[0].p99.value *= 1.1;
        if (dataset_add_outcome(d, setting, o, SLICE("made up"), 1, &e) != 0) {
            fail_msg("%s", e.text);
        }
    }
    InterfaceFitted *fit = NULL;
    if (interface_fit(sys, d, 0.9, &fit, &e) != 0) {
        fail_msg("%s", e.text);
    }
    InterfaceScores *s = interface_scores_create(0.9);
    for (uint64_t seed = 100; seed < 120; seed++) {
        System *setting = NULL;
        assert_int_equal(interface_setting(arena, sys, seed, &setting, &e), 0);
        Outcome *is = outcome_create(arena, setting), *said = outcome_create(arena, setting);
        (void)formula_solve_below(f, setting, is);
        is->clients[0].p99.value *= 1.1;
        bool outside = false;
        assert_int_equal(interface_fit_predict(fit, setting, said, &outside, &e), 0);
        assert_int_equal(said->fidelity, FIDELITY_HYBRID);
        interface_score(s, setting, said, is);
    }
    InterfaceProgram *program = NULL;
    InterfaceAnswer answer;
    assert_int_equal(interface_program(sys, &program, &e), 0);
    InterfaceQuery query = {.fitted = fit, .budget_ns = 1}; // no time to simulate
    assert_int_equal(interface_query(program, arena, &query, &answer, &e), 0);
    assert_int_equal(answer.fidelity, FIDELITY_HYBRID);
    query = (InterfaceQuery){.exact_fidelity = true, .fidelity = FIDELITY_HYBRID};
    assert_int_equal(interface_query(program, arena, &query, &answer, &e), ERR_UNSUPPORTED);
    interface_program_destroy(program);
    InterfaceScore p99 = interface_total(s, MEASURED_P99);
    assert_int_equal(p99.count, 20);
    assert_true(p99.error < 0.02); // the formula alone is off by 9 %
    interface_scores_destroy(s);
    interface_fit_destroy(fit);
    formula_destroy(f);
    // Nothing to learn from.
    Dataset *none = dataset_create();
    assert_int_equal(interface_fit(sys, none, 0.9, &fit, &e), ERR_ARG);
    dataset_destroy(none);
    dataset_destroy(d);
    arena_destroy(arena);
}

static void scores_count_what_they_should(void **state)
{
    (void)state;
    Arena *arena = arena_create(16 << 20);
    System *sys = queue(arena);
    InterfaceScores *s = interface_scores_create(0.9);
    for (int i = 0; i < 100; i++) {
        Outcome *is = outcome_create(arena, sys), *said = outcome_create(arena, sys);
        is->clients[0].p99 = (Estimate){2, 2, 2};
        // 90 of them 1.9 [1.7, 2.1], which covers; 10 are 1.9 [1.85, 1.95].
        double half = i < 90 ? 0.2 : 0.05;
        said->clients[0].p99 = (Estimate){1.9, 1.9 - half, 1.9 + half};
        is->clients[0].p50 = (Estimate){INFINITY, INFINITY, INFINITY};
        said->clients[0].p50 = (Estimate){1, 0.9, i < 50 ? INFINITY : 1.1};
        interface_score(s, sys, said, is);
    }
    InterfaceScore p99 = interface_total(s, MEASURED_P99), p50 = interface_total(s, MEASURED_P50);
    assert_int_equal(p99.count, 100);
    assert_int_equal(p99.covered, 90);
    // Clopper and Pearson, 90 of 100: 0.8238 to 0.9510 (R, binom.test(90, 100)).
    assert_true(fabs(p99.coverage_low - 0.8238) < 1e-3 && fabs(p99.coverage_high - 0.9510) < 1e-3);
    assert_true(fabs(p99.width - 0.2) < 1e-9 && fabs(p99.error - 0.05) < 1e-9);
    assert_int_equal(p50.covered, 50);
    assert_true(isnan(p50.width));
    InterfaceScore all = interface_total(s, MEASURED_ALL);
    assert_int_equal(all.count, 200);
    assert_int_equal(interface_total(s, MEASURED_EFFECTS).count, 0);
    interface_scores_destroy(s);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_in_range_steady_and_repeatable),
        cmocka_unit_test(the_hybrid_learns_what_the_formula_misses),
        cmocka_unit_test(scores_count_what_they_should),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
