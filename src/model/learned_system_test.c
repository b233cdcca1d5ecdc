#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/rng.h"
#include "model/formula.h"
#include "model/learned_system.h"

static const char TEXT[] = "version = 1\n"
                           "[agents.a]\n"
                           "[[agents.a.calls]]\n"
                           "to = [\"d\"]\n"
                           "[agents.d]\n"
                           "servers = 4\n"
                           "service = {dist = \"exponential\", mean = \"100ms\"}\n"
                           "range = {\"servers\" = [4, 8]}\n"
                           "[[edges]]\n"
                           "from = \"a\"\n"
                           "to = \"d\"\n"
                           "policy = {timeout = {attempt = \"5s\"}}\n"
                           "range = {\"timeout.attempt\" = [\"1s\", \"9s\"]}\n"
                           "[clients.tasks]\n"
                           "to = \"a\"\n"
                           "rate = 20.0\n"
                           "spikes = [{at = \"100s\", for = \"15s\", factor = 3.0}]\n"
                           "[clients.batch]\n"
                           "to = \"d\"\n"
                           "users = 2\n"
                           "think = {dist = \"exponential\", mean = \"2s\"}\n";

typedef struct World {
    Arena *arena;
    System *sys;
    Err e;
} World;

static int set_up(void **state)
{
    World *w = mem_zalloc(sizeof *w);
    w->arena = arena_create(256 << 20);
    if (system_parse(w->arena, slice_from_cstr(TEXT), "test", &w->sys, &w->e) != 0) {
        fail_msg("%s", w->e.text);
    }
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    World *w = *state;
    arena_destroy(w->arena);
    free(w);
    return 0;
}

static void ok(const World *w, int rc)
{
    if (rc != 0) {
        fail_msg("%s", w->e.text);
    }
}

static double cell(const Dataset *d, size_t row, const char *name)
{
    ptrdiff_t column = dataset_find(d, slice_from_cstr(name));
    if (column < 0) {
        fail_msg("no column %s", name);
    }
    return dataset_cell(d, row, (size_t)column);
}

static void test_columns(void **state)
{
    World *w = *state;
    Dataset *d = dataset_create();
    Outcome *o = outcome_create(w->arena, w->sys);
    o->clients[0].p99 = (Estimate){INFINITY, 1, INFINITY};
    o->clients[1].mean = (Estimate){0.2, 0.1, 0.3};
    o->agents[1].servers = (Estimate){4, 4, 4};
    ok(w, dataset_add_outcome(d, w->sys, o, SLICE("simulation:seed=1"), 5, &w->e));
    static const struct {
        const char *name, *unit;
        ColumnRole role;
        double value;
    } want[] = {
        {"tasks.rate", "1/s", COLUMN_INPUT, 20}, {"tasks.scv", "", COLUMN_INPUT, 1},
        {"tasks.spike", "", COLUMN_INPUT, 3},    {"batch.users", "", COLUMN_INPUT, 2},
        {"d.servers", "", COLUMN_POLICY, 4},     {"a->d.timeout.attempt", "s", COLUMN_POLICY, 5},
        {"batch.mean", "s", COLUMN_OUTPUT, 0.2}, {"d.servers_mean", "", COLUMN_OUTPUT, 4}};
    for (size_t i = 0; i < COUNT_OF(want); i++) {
        assert_true(cell(d, 0, want[i].name) == want[i].value);
        const Column *c =
            dataset_column_at(d, (size_t)dataset_find(d, slice_from_cstr(want[i].name)));
        assert_true(slice_eq_cstr(c->unit, want[i].unit) && c->role == want[i].role);
    }
    // Infinity is not a number to fit on; what was not answered has no column.
    assert_true(isnan(cell(d, 0, "tasks.p99")));
    assert_int_equal(dataset_columns(d), COUNT_OF(want) + 1);
    assert_int_equal(dataset_at(d, 0), 5);
    dataset_destroy(d);
}

// Rates and servers at random, and what the formula says of them, changed by `tell`: a few measures
// of each kind, since every one is fitted.
static void make_rows(World *w, Dataset *d, size_t rows, void (*tell)(Outcome *o))
{
    Formula *f;
    Rng rng = rng_stream(1, SLICE("test"), 0);
    ok(w, formula_create(w->sys, &f, &w->e));
    for (size_t i = 0; i < rows; i++) {
        System *sys = system_copy(w->arena, w->sys);
        sys->clients[0].per_second = 5 + 25 * rng_double(&rng);
        sys->agents[1].servers = (uint32_t)rng_between(&rng, 4, 8);
        Outcome *all = outcome_create(w->arena, sys), *o = outcome_create(w->arena, sys);
        (void)formula_solve_below(f, sys, all);
        o->clients[0] = all->clients[0];
        o->clients[1].p50 = all->clients[1].p50;
        o->agents[1].utilisation = all->agents[1].utilisation;
        o->edges[system_find_edge(sys, SLICE("a->d"))].calls =
            all->edges[system_find_edge(sys, SLICE("a->d"))].calls;
        tell(o);
        ok(w, dataset_add_outcome(d, sys, o, SLICE("run:x"), 0, &w->e));
    }
    formula_destroy(f);
}

static void as_it_is(Outcome *o)
{
    (void)o;
}

static void half_as_slow_again(Outcome *o)
{
    Estimate *e = &o->clients[0].mean;
    *e = (Estimate){1.5 * e->value, 1.5 * e->low, 1.5 * e->high};
}

// The base says of a row what the formula says of the System that the row came from.
static void test_base_is_the_formula(void **state)
{
    World *w = *state;
    Dataset *d = dataset_create();
    make_rows(w, d, 30, as_it_is);
    FormulaBase *base;
    Learned *m;
    ok(w, formula_base_create(w->sys, &base, &w->e));
    LearnedOptions o = {.kind = LEARNED_TREES,
                        .base = formula_base,
                        .base_ctx = base,
                        .base_name = FORMULA_BASE_NAME};
    ok(w, learned_fit(d, &o, &m, &w->e));
    for (size_t row = 0; row < 30; row++) {
        double inputs[LEARNED_INPUTS_MAX];
        for (size_t i = 0; i < learned_inputs(m); i++) {
            Slice name = learned_input(m, i)->name;
            inputs[i] = dataset_cell(d, row, (size_t)dataset_find(d, name));
        }
        static const char *const outputs[] = {"tasks.mean", "tasks.p99", "d.utilisation",
                                              "a->d.calls", "batch.p50"};
        for (size_t i = 0; i < COUNT_OF(outputs); i++) {
            double said = formula_base(base, m, inputs, slice_from_cstr(outputs[i]));
            double seen = cell(d, row, outputs[i]);
            // Nanoseconds of the timeout go through seconds and back.
            assert_true(fabs(said - seen) <= 1e-9 * seen);
        }
        assert_true(isnan(formula_base(base, m, inputs, SLICE("tasks.nothing"))));
        assert_true(isnan(formula_base(base, m, inputs, SLICE("nobody.mean"))));
    }
    // Forty requests a second for each of four servers that do ten, and nobody gives up: the
    // formula has nothing to say of that.
    double hopeless[LEARNED_INPUTS_MAX];
    System *sys = system_copy(w->arena, w->sys);
    SystemParam timeout;
    ok(w, system_find_param(sys, SLICE("a->d.timeout.attempt"), &timeout, &w->e));
    ok(w, system_set(sys, &(SystemChange){timeout, {.integer = 0}}, &w->e));
    sys->clients[0].per_second = 160;
    ok(w, learned_values(m, sys, hopeless, &w->e));
    assert_true(isnan(formula_base(base, m, hopeless, SLICE("tasks.mean"))));
    hopeless[0] = -1;
    assert_true(isnan(formula_base(base, m, hopeless, SLICE("tasks.mean"))));
    learned_destroy(m);
    formula_base_destroy(base);
    dataset_destroy(d);
}

// What is half as slow again everywhere is learned from twelve rows, and shows in an Outcome.
static void test_hybrid_outcome(void **state)
{
    World *w = *state;
    Dataset *d = dataset_create();
    make_rows(w, d, 12, half_as_slow_again);
    FormulaBase *base;
    Learned *m;
    ok(w, formula_base_create(w->sys, &base, &w->e));
    LearnedOptions o = {
        .kind = LEARNED_GP, .base = formula_base, .base_ctx = base, .base_name = FORMULA_BASE_NAME};
    ok(w, learned_fit(d, &o, &m, &w->e));
    Formula *f;
    ok(w, formula_create(w->sys, &f, &w->e));
    System *sys = system_copy(w->arena, w->sys);
    sys->clients[0].per_second = 17;
    sys->agents[1].servers = 6;
    Outcome *plain = outcome_create(w->arena, sys), *learned = outcome_create(w->arena, sys);
    (void)formula_solve_below(f, sys, plain);
    ok(w, learned_outcome(m, sys, LEARNED_INSIDE, learned, &w->e));
    const Estimate *e = &learned->clients[0].mean;
    assert_true(fabs(e->value / plain->clients[0].mean.value - 1.5) < 0.01);
    assert_true(e->low <= e->value && e->value <= e->high && e->high < 1.1 * e->low);
    assert_true(learned->fidelity == FIDELITY_HYBRID && learned->stable);
    assert_true(learned->confidence == 0.9 && learned->reason.len == 0);
    // Outside: refused, or marked.
    sys->clients[0].per_second = 100;
    assert_int_equal(learned_outcome(m, sys, LEARNED_INSIDE, learned, &w->e), ERR_REFUSED);
    ok(w, learned_outcome(m, sys, LEARNED_ANYWHERE, learned, &w->e));
    assert_true(learned->reason.len > 0);
    // Outcomes that are told count.
    sys->clients[0].per_second = 17;
    plain->clients[0].mean.value *= 1.5;
    plain->clients[0].p99.value = INFINITY;
    ok(w, learned_tell_outcome(m, sys, plain, &w->e));
    // Another system does not have the inputs.
    System *other;
    ok(w, system_parse(w->arena,
                       SLICE("version = 1\n[agents.d]\nservers = 4\n"
                             "service = {dist = \"exponential\", mean = \"1s\"}\n"
                             "[clients.c]\nto = \"d\"\nrate = 1.0\n"),
                       "other", &other, &w->e));
    assert_int_equal(learned_outcome(m, other, LEARNED_INSIDE, learned, &w->e), ERR_NOT_FOUND);
    formula_destroy(f);
    learned_destroy(m);
    formula_base_destroy(base);
    dataset_destroy(d);
}

static void failing(Outcome *o)
{
    // More fails the faster they come; where it is more than one in a hundred p99 is infinite.
    double offered = o->clients[0].offered.value, errors = offered / 2000;
    o->clients[0].errors = (Estimate){errors, errors, errors};
    o->clients[0].goodput = (Estimate){1 - errors, 1 - errors, 1 - errors};
    if (errors > 0.01) {
        o->clients[0].p99.value = INFINITY;
    }
}

static void test_failures_are_infinitely_slow(void **state)
{
    World *w = *state;
    Dataset *d = dataset_create();
    make_rows(w, d, 40, failing);
    Learned *m;
    static const char *const measures[] = {"goodput", "errors", "p50", "p99", NULL};
    ok(w, learned_fit(d, &(LearnedOptions){.kind = LEARNED_GP, .measures = measures}, &m, &w->e));
    System *sys = system_copy(w->arena, w->sys);
    static const struct {
        double rate;
        bool infinite;
    } rows[] = {{6.5, false}, {16, false}, {25, true}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        sys->clients[0].per_second = rows[i].rate;
        Outcome *o = outcome_create(w->arena, sys);
        ok(w, learned_outcome(m, sys, LEARNED_INSIDE, o, &w->e));
        assert_true(o->fidelity == FIDELITY_LEARNED);
        assert_int_equal(isinf(o->clients[0].p99.value) != 0, rows[i].infinite);
        assert_true(isfinite(o->clients[0].p50.value));
        assert_true(o->clients[0].goodput.high <= 1 && o->clients[0].errors.low >= 0);
        assert_true(o->clients[0].p99.low <= o->clients[0].p99.value);
        assert_true(o->clients[0].p99.value <= o->clients[0].p99.high);
    }
    learned_destroy(m);
    dataset_destroy(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_columns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_base_is_the_formula, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hybrid_outcome, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failures_are_infinitely_slow, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
