// Bounds hold: against closed forms, and against the formula on random systems.
#include "model/bounds.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/formula.h"
#include "model/system_random.h"

typedef struct Solved {
    Arena *arena;
    System *sys;
    Bounds *bounds;
    Outcome *outcome;
    BoundsFacts facts;
} Solved;

static Solved solve(const char *text)
{
    Solved s = {.arena = arena_create(16 << 20)};
    Err e = {0};
    if (system_parse(s.arena, slice_from_cstr(text), "test", &s.sys, &e) != 0 ||
        bounds_create(s.sys, &s.bounds, &e) != 0) {
        fail_msg("%s", e.text);
    }
    s.outcome = outcome_create(s.arena, s.sys);
    s.facts = bounds_solve(s.bounds, s.sys, s.outcome);
    return s;
}

static void done(Solved *s)
{
    bounds_destroy(s->bounds);
    arena_destroy(s->arena);
}

static void near_(double is, double should, int line)
{
    if (!(fabs(is - should) <= 1e-6 * fabs(should) + 1e-9)) {
        fail_msg("line %d: %.9g instead of %.9g", line, is, should);
    }
}
#define NEAR(is, should) near_(is, should, __LINE__)

#define QUEUE(RATE, POLICY)                                                                        \
    "version = 1\n[agents.d]\nservers = 10\nservice = {dist = \"exponential\", mean = \"1s\"}\n"   \
    "[[edges]]\nfrom = \"c\"\nto = \"d\"\n[edges.policy]\n" POLICY                                 \
    "\n[clients.c]\nto = \"d\"\nrate = " RATE "\n[objectives.c]\nwithin = \"2s\"\ngoodput = 0.9\n"

static void capacity_with_and_without_retries(void **state)
{
    (void)state;
    Solved s = solve(QUEUE("4.0", "retry = {attempts = 2, budget = 0.0}"));
    NEAR(s.facts.utilisation, 0.4);
    NEAR(s.facts.amplified, 0.8);
    assert_true(s.facts.feasible && s.facts.safe);
    done(&s);
    s = solve(
        QUEUE("4.0", "retry = {attempts = 3, budget = 0.0}\nhedge = {max = 1, budget = 0.0}"));
    NEAR(s.facts.amplified, 0.4 * 6);
    assert_false(s.facts.safe);
    done(&s);
    // A budget of a tenth and one retry a second: 4 (1 + .1) + 1.
    s = solve(QUEUE("4.0", "retry = {attempts = 4, budget = 0.1, budget_min = 1.0}"));
    NEAR(s.facts.amplified, 0.54);
    done(&s);
    s = solve(QUEUE("12.0", "rate = {per_second = 9.0}"));
    NEAR(s.facts.utilisation, 1.2);
    NEAR(s.facts.amplified, 0.9); // the limit protects it, and so not all can end well
    assert_false(s.facts.feasible);
    assert_true(slice_find(s.outcome->reason, SLICE("at least 13 servers")) >= 0);
    done(&s);
}

static void least_latencies(void **state)
{
    (void)state;
    Solved s = solve(QUEUE("4.0", ""));
    NEAR(s.outcome->clients[0].p99.low, log(100));
    NEAR(s.outcome->clients[0].p50.low, log(2));
    NEAR(s.outcome->clients[0].goodput.high, 1 - exp(-2));
    done(&s);
    // Two attempts of 1 s each: a share e^-2 fails even if nobody waits.
    s = solve(QUEUE("4.0", "timeout = {attempt = \"1s\"}\nretry = {attempts = 2}"));
    NEAR(s.outcome->clients[0].errors.low, exp(-2));
    assert_true(isinf(s.outcome->clients[0].p99.low));
    NEAR(s.outcome->clients[0].p50.low, log(2) / 2); // the least of two
    done(&s);
    s = solve("version = 1\n[agents.b]\nservice = \"1s\"\n"
              "[[agents.b.calls]]\nto = [\"x\", {agent = \"y\", chance = 0.5}]\n"
              "[agents.x]\nservice = \"2s\"\n[agents.y]\nservice = \"3s\"\n"
              "[clients.c]\nto = \"b\"\nrate = 1.0\n");
    NEAR(s.outcome->clients[0].p99.low, 4.0);
    NEAR(s.outcome->clients[0].p50.low, 3.0);
    done(&s);
}

static void the_slow_side(void **state)
{
    (void)state;
    // M/M/1 at .5: p99 is ln 100 / (1 - .5), which network_bounds gets exactly.
    Solved s = solve("version = 1\n[agents.d]\nservers = 1\n"
                     "service = {dist = \"exponential\", mean = \"1s\"}\n"
                     "[clients.c]\nto = \"d\"\nrate = 0.5\n");
    assert_true(s.outcome->clients[0].p99.high >= log(100) / 0.5 * 0.999);
    assert_true(s.outcome->clients[0].p99.high <= log(100) / 0.5 * 1.5);
    assert_true(s.outcome->clients[0].p99.low < s.outcome->clients[0].p99.high);
    done(&s);
    // With retries that could fill it nothing is said.
    s = solve(QUEUE("6.0", "retry = {attempts = 2, budget = 0.0}"));
    assert_true(isinf(s.outcome->clients[0].p99.high));
    done(&s);
}

static void no_formula_is_better_than_its_bounds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        Arena *arena = arena_create(64 << 20);
        System *sys = system_random(arena, seed, NULL);
        Bounds *bounds;
        Formula *formula;
        Err e = {0};
        assert_int_equal(bounds_create(sys, &bounds, &e), 0);
        assert_int_equal(formula_create(sys, &formula, &e), 0);
        Outcome *bound = outcome_create(arena, sys), *estimate = outcome_create(arena, sys);
        BoundsFacts facts = bounds_solve(bounds, sys, bound);
        FormulaFacts found = formula_solve_below(formula, sys, estimate);
        if (facts.safe && !found.stable) {
            fail_msg("seed %llu: safe, and overloaded", (unsigned long long)seed);
        }
        for (uint32_t i = 0; i < sys->client_count; i++) {
            const ClientOutcome *b = &bound->clients[i], *f = &estimate->clients[i];
            // A step of the formula's grid is 6 %.
            if (f->p99.value < b->p99.low * 0.93 || f->p50.value < b->p50.low * 0.93 ||
                f->goodput.value > b->goodput.high + 0.02) {
                fail_msg("seed %llu client %u: p99 %g < %g, p50 %g < %g or goodput %g > %g",
                         (unsigned long long)seed, i, f->p99.value, b->p99.low, f->p50.value,
                         b->p50.low, f->goodput.value, b->goodput.high);
            }
        }
        formula_destroy(formula);
        bounds_destroy(bounds);
        arena_destroy(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capacity_with_and_without_retries),
        cmocka_unit_test(least_latencies),
        cmocka_unit_test(the_slow_side),
        cmocka_unit_test(no_formula_is_better_than_its_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
