#include "model/outcome.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char TEXT[] = "version = 1\n"
                           "[agents]\n"
                           "a = {}\n"
                           "[clients.c]\n"
                           "to = \"a\"\n"
                           "rate = 1\n"
                           "[objectives.c]\n"
                           "goodput = 0.8\n"
                           "p99 = \"2s\"\n";

static System *read_system(Arena *arena)
{
    System *sys = NULL;
    Err e = {0};
    if (system_parse(arena, SLICE(TEXT), "s.toml", &sys, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return sys;
}

// Excesses by hand: goodput .6 of .8 is .25 short; p99 3 s of 2 s is .5 too long.
static void test_gap(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    System *sys = read_system(arena);
    Outcome *o = outcome_create(arena, sys);
    o->clients[0].goodput = (Estimate){0.6, 0.4, 0.9};
    o->clients[0].p99 = (Estimate){3, 2, INFINITY};
    ObjectiveGap gap = outcome_gap(o, sys);
    assert_float_equal(gap.value, 0.75, 1e-12);
    assert_float_equal(gap.low, 0, 1e-12);
    assert_float_equal(gap.high, 0.5 + OUTCOME_EXCESS_MAX, 1e-12);
    o->clients[0].p99 = (Estimate){1, 1, 1};
    o->clients[0].goodput = (Estimate){0.8, 0.8, 0.8};
    gap = outcome_gap(o, sys);
    assert_true(gap.value == 0 && gap.low == 0 && gap.high == 0);
    arena_destroy(arena);
}

static void test_gap_of_what_is_not_known(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    System *sys = read_system(arena);
    Outcome *o = outcome_create(arena, sys);
    assert_true(isnan(o->clients[0].p99.value) && isnan(o->agents[0].wasted.high));
    ObjectiveGap gap = outcome_gap(o, sys);
    assert_true(gap.value == 0 && gap.low == 0 && gap.high == 2 * OUTCOME_EXCESS_MAX);
    o->stable = false;
    gap = outcome_gap(o, sys);
    assert_true(gap.low == 2 * OUTCOME_EXCESS_MAX);
    arena_destroy(arena);
}

static void test_write(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    System *sys = read_system(arena);
    Outcome *o = outcome_create(arena, sys);
    Buf out = buf_create(4096);
    JsonWriter w = json_writer(&out, 0);
    o->fidelity = FIDELITY_SIMULATION;
    o->confidence = 0.9;
    o->clients[0].p99 = (Estimate){2, 1.5, INFINITY};
    o->agents[0].utilisation = (Estimate){0.5, 0.25, 0.75};
    outcome_write(o, sys, &w);
    assert_string_equal(
        out.data,
        "{\"fidelity\":\"simulation\",\"confidence\":0.9,\"took_ms\":0,\"stable\":true,"
        "\"clients\":{\"c\":{\"p99\":{\"value\":2,\"low\":1.5,\"high\":\"infinite\"}}},"
        "\"edges\":{\"c->a\":{}},"
        "\"agents\":{\"a\":{\"utilisation\":{\"value\":0.5,\"low\":0.25,\"high\":0.75}}}}");
    buf_done(&out);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gap),
        cmocka_unit_test(test_gap_of_what_is_not_known),
        cmocka_unit_test(test_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
