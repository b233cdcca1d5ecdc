#include "bench/noise.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

// Lehmann's formula by hand for sd 0.036, 20 pairs, alpha 0.01, power 0.9: (2.5758 + 1.2816) *
// 0.036 / sqrt(20 * 3 / pi) = 0.03178; expm1: 0.0323.
static void formulas(void **state)
{
    (void)state;
    assert_true(fabs(noise_resolvable(0.036, 20, 0.01, 0.9) - 0.0323) < 0.0002);
    assert_true(isinf(noise_resolvable(0.036, AB_PAIRS_MIN - 1, 0.01, 0.9)));
    assert_true(isfinite(noise_resolvable(0.036, AB_PAIRS_MIN, 0.01, 0.9)));
    assert_true(isinf(noise_resolvable(NAN, 20, 0.01, 0.9)));
    assert_true(noise_resolvable(0, 20, 0.01, 0.9) == 0);
    assert_in_range(noise_pairs(0.036, 0.0323, 0.01, 0.9), 19, 21);
    assert_int_equal(noise_pairs(0.0001, 0.5, 0.01, 0.9), AB_PAIRS_MIN);
    assert_int_equal(noise_pairs(1, 0.001, 0.01, 0.9), 0);
}

static void this_machine(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    NoiseReport r = {0};
    Err e = {0};
    int64_t length = 2 * NS_PER_MS;
    NoiseOptions o = {.budget_ns = 1500 * NS_PER_MS, .lengths_ns = &length, .length_count = 1};
    assert_int_equal(noise_measure(&o, arena, &r, &e), 0);
    assert_int_equal(r.count, 1);
    assert_true(r.overhead_ns > 0);
    if (r.rows[0].wall.pairs > 0) { // a machine that is busy enough has no time for one
        assert_true(r.rows[0].wall_s > 0 && r.rows[0].wall.ratio > 0);
    }
    o.length_count = NOISE_ROWS_MAX + 1;
    assert_int_equal(noise_measure(&o, arena, &r, &e), ERR_ARG);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(formulas), cmocka_unit_test(this_machine)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
