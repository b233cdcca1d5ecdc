// Ground truth: Random123's known-answer vectors (tests/kat_vectors, philox4x32 10); moments of the
// distributions from their textbook formulas, with five standard errors of room at fixed seeds.
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>

#include "base/rng.h"

static void test_known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], block[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint32_t block[4];
        rng_philox4x32_10(cases[i].counter, cases[i].key, block);
        assert_memory_equal(block, cases[i].block, sizeof block);
    }
}

static void test_streams_are_named(void **state)
{
    (void)state;
    Rng a = rng_stream(1, SLICE("arrivals"), 0), again = rng_stream(1, SLICE("arrivals"), 0);
    Rng others[] = {rng_stream(2, SLICE("arrivals"), 0), rng_stream(1, SLICE("think"), 0),
                    rng_stream(1, SLICE("arrivals"), 1)};
    for (int i = 0; i < 100; i++) {
        uint64_t value = rng_u64(&a);
        assert_true(value == rng_u64(&again));
        for (size_t k = 0; k < COUNT_OF(others); k++) {
            assert_true(value != rng_u64(&others[k]));
        }
    }
}

static void test_block_counter_carries(void **state)
{
    (void)state;
    Rng r = rng_stream(1, SLICE("x"), 0);
    r.counter[0] = UINT32_MAX;
    (void)rng_u64(&r);
    assert_int_equal(r.counter[0], 0);
    assert_int_equal(r.counter[1], 1);
}

static void test_bounds(void **state)
{
    (void)state;
    Rng r = rng_stream(3, SLICE("bounds"), 0);
    int seen[6] = {0};
    for (int i = 0; i < 60000; i++) {
        double u = rng_double(&r);
        assert_true(u >= 0 && u < 1);
        seen[rng_below(&r, 6)]++;
        int64_t between = rng_between(&r, -2, 2);
        assert_true(between >= -2 && between <= 2);
    }
    // Binomial(60000, 1/6): standard deviation 91.
    for (size_t i = 0; i < COUNT_OF(seen); i++) {
        assert_in_range(seen[i], 10000 - 456, 10000 + 456);
    }
    assert_int_equal(rng_below(&r, 1), 0);
    assert_true(rng_below(&r, UINT64_MAX) < UINT64_MAX);
    assert_int_equal(rng_between(&r, INT64_MAX, INT64_MAX), INT64_MAX);
    (void)rng_between(&r, INT64_MIN, INT64_MAX);
}

typedef double (*Draw)(Rng *r);

static double draw_double(Rng *r)
{
    return rng_double(r);
}

static double draw_exponential(Rng *r)
{
    return rng_exponential(r, 2);
}

static double draw_normal(Rng *r)
{
    return rng_normal(r, 3, 2);
}

static double draw_log_of_lognormal(Rng *r)
{
    return log(rng_lognormal(r, 1, 0.5));
}

static double draw_pareto(Rng *r)
{
    return rng_pareto(r, 6, 1);
}

static void test_moments(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    static const struct {
        Draw draw;
        double mean, variance, fourth; // fourth: variance of the squared deviation
    } cases[] = {
        {draw_double, 0.5, 1.0 / 12, 1.0 / 180},
        {draw_exponential, 2, 4, 128},
        {draw_normal, 3, 4, 32},
        {draw_log_of_lognormal, 1, 0.25, 0.125},
        // Pareto: shape / (shape - 1) and shape / ((shape - 1)^2 (shape - 2)); excess kurtosis
        // 6 (a^3 + a^2 - 6a - 2) / (a (a - 3) (a - 4)) at a = 6.
        {draw_pareto, 1.2, 0.06, 0.06 * 0.06 * (2 + 6.0 * (216 + 36 - 36 - 2) / 36)},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Rng r = rng_stream(11, SLICE("moments"), i);
        double sum = 0, squares = 0;
        for (int k = 0; k < COUNT; k++) {
            double x = cases[i].draw(&r);
            sum += x;
            squares += (x - cases[i].mean) * (x - cases[i].mean);
        }
        assert_true(fabs(sum / COUNT - cases[i].mean) < 5 * sqrt(cases[i].variance / COUNT));
        assert_true(fabs(squares / COUNT - cases[i].variance) < 5 * sqrt(cases[i].fourth / COUNT));
    }
}

static void test_shuffle(void **state)
{
    (void)state;
    Rng r = rng_stream(5, SLICE("shuffle"), 0);
    int first[4] = {0};
    for (int round = 0; round < 4000; round++) {
        int items[] = {0, 1, 2, 3};
        rng_shuffle(&r, items, COUNT_OF(items), sizeof items[0]);
        int sum = 0;
        for (size_t i = 0; i < COUNT_OF(items); i++) {
            sum += 1 << items[i];
        }
        assert_int_equal(sum, 15);
        first[items[0]]++;
    }
    // Binomial(4000, 1/4): standard deviation 27.4.
    for (size_t i = 0; i < COUNT_OF(first); i++) {
        assert_in_range(first[i], 1000 - 137, 1000 + 137);
    }
    rng_shuffle(&r, NULL, 0, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_streams_are_named),
        cmocka_unit_test(test_block_counter_carries),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_shuffle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
