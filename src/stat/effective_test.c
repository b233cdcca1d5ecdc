#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/attr.h"
#include "base/rng.h"
#include "stat/effective.h"
#include "stat/rate.h"

static void near(double got, double want, double relative)
{
    if (!(fabs(got - want) <= relative * fabs(want))) {
        fail_msg("got %.17g, want %.17g", got, want);
    }
}

// The rule of the header, at its edges.
static void test_blocks(void **state)
{
    (void)state;
    static const size_t rows[][2] = {
        {0, 0},    {1, 1},    {5, 5},    {10, 10},   {19, 19},      {20, 10},
        {30, 10},  {60, 10},  {99, 11},  {100, 10},  {200, 20},     {219, 21},
        {240, 20}, {600, 20}, {619, 20}, {1800, 60}, {36000, 1200},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t seconds = rows[i][0];
        assert_int_equal(effective_blocks(seconds), rows[i][1]);
        assert_int_equal(effective_block_start(seconds, 0), 0);
        assert_int_equal(effective_block_start(seconds, rows[i][1]), seconds);
    }
}

// One burst in a test of 30 s. The design effect is Cochran's formula 6.9 written out in NumPy, the
// interval Korn and Graubard's as R's survey::svyciprop(method = "beta") defines it, with
// SciPy 1.17.1 quantiles.
static void test_burst(void **state)
{
    (void)state;
    BlockCount seconds[30];
    for (uint64_t i = 0; i < 30; i++) {
        seconds[i].n = 100 + i * 7 % 13;
        seconds[i].hits = i * 5 % 11 / 3 + (i >= 9 && i < 12 ? 6 : 0);
    }
    EffectiveRate r = effective_rate(seconds, 30, 1);
    assert_int_equal(r.n, 3172);
    assert_int_equal(r.blocks, 10);
    assert_true(r.design_known);
    near(r.rate, 0.018600252206809584, 1e-12);
    near(r.design_effect, 4.518149095971558, 1e-10);
    near(effective_n(&r, 0.95), 527.4178864591271, 1e-9);
    Interval ci = effective_rate_interval(&r, 0.95);
    near(ci.low, 0.008879946016254274, 1e-9);
    near(ci.high, 0.034129229605185524, 1e-9);
    // A floor above what was seen wins, one below does not.
    near(effective_rate(seconds, 30, 9).design_effect, 9, 1e-12);
    near(effective_rate(seconds, 30, 2).design_effect, 4.518149095971558, 1e-10);
}

static void test_nothing_to_see(void **state)
{
    (void)state;
    BlockCount seconds[40] = {{0, 0}};
    EffectiveRate r = effective_rate(seconds, 40, 1);
    assert_true(isnan(r.rate) && !r.design_known);
    Interval all = effective_rate_interval(&r, 0.95);
    assert_true(all.low == 0 && all.high == 1);
    for (size_t i = 0; i < 40; i++) {
        seconds[i].n = 50;
    }
    r = effective_rate(seconds, 40, 3);
    assert_true(r.rate == 0 && r.design_effect == 3 && !r.design_known);
    Interval none = effective_rate_interval(&r, 0.95);
    assert_true(none.low == 0 && none.high > 0.001 && none.high < 0.02);
    // One second, one block: nothing is known of correlation, and that is said.
    seconds[0].hits = 5;
    r = effective_rate(seconds, 1, 1);
    assert_true(r.blocks == 1 && !r.design_known && r.n_effective == 50);
    r = effective_rate(seconds, 0, 1);
    assert_true(isnan(r.rate));
}

static int covered(double share_of_bad_seconds, double rate_in_bad, double rate_in_good,
                   uint64_t seed, int trials, int *ret_naive)
{
    enum { SECONDS = 120, PER_SECOND = 50, SPELL = 4 };
    double truth = share_of_bad_seconds * rate_in_bad + (1 - share_of_bad_seconds) * rate_in_good;
    int hits = 0;
    *ret_naive = 0;
    for (int trial = 0; trial < trials; trial++) {
        BlockCount seconds[SECONDS];
        Rng rng = rng_stream(seed, SLICE("effective-test"), (uint64_t)trial);
        double rate = 0;
        for (int s = 0; s < SECONDS; s++) {
            if (s % SPELL == 0) { // trouble comes in spells of four seconds
                rate = rng_double(&rng) < share_of_bad_seconds ? rate_in_bad : rate_in_good;
            }
            seconds[s] = (BlockCount){PER_SECOND, 0};
            for (int i = 0; i < PER_SECOND; i++) {
                seconds[s].hits += rng_double(&rng) < rate;
            }
        }
        EffectiveRate r = effective_rate(seconds, SECONDS, 1);
        hits += interval_contains(effective_rate_interval(&r, 0.95), truth);
        Interval naive = rate_interval_exact(r.rate * (double)r.n, (double)r.n, 0.95);
        *ret_naive += interval_contains(naive, truth);
    }
    return hits;
}

// What the module is for: with trouble in spells the naive interval covers far less than it says,
// the blocked one what it says. With independent requests both do.
static void test_coverage(void **state)
{
    (void)state;
    int naive;
    int hits = covered(0.2, 0.20, 0.01, 1, 400, &naive);
    assert_in_range(hits, 400 * 93 / 100, 400);
    assert_in_range(naive, 0, 400 * 75 / 100);
    hits = covered(0.5, 0.05, 0.05, 2, 400, &naive);
    assert_in_range(hits, 400 * 95 / 100, 400);
    assert_in_range(naive, 400 * 93 / 100, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_burst),
        cmocka_unit_test(test_nothing_to_see),
        cmocka_unit_test(test_coverage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
