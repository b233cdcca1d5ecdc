#include "bench/sample.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "base/units.h"

static void test_values(void **state)
{
    (void)state;
    BenchSample s = {.wall_ns = 2 * NS_PER_SECOND,
                     .user_ns = NS_PER_SECOND,
                     .system_ns = NS_PER_SECOND / 2,
                     .rss_max_bytes = 4096,
                     .read_bytes = 1,
                     .written_bytes = 2};
    assert_true(bench_sample_value(&s, BENCH_WALL) == 2.0);
    assert_true(bench_sample_value(&s, BENCH_CPU) == 1.5);
    assert_true(bench_sample_value(&s, BENCH_RSS) == 4096.0);
    assert_true(bench_sample_value(&s, BENCH_IO) == 3.0);
    assert_true(isnan(bench_sample_value(&s, BENCH_INSTRUCTIONS)));
}

// The public mistake this guards against: a program that timed out was scored as one that took 0 s.
static void test_what_is_no_measurement(void **state)
{
    (void)state;
    BenchSample failed[] = {{.wall_ns = 1, .timed_out = true},
                            {.wall_ns = 1, .exit_code = -1, .signal = 9},
                            {.wall_ns = 1, .exit_code = 1},
                            {.wall_ns = 0}};
    for (size_t i = 0; i < sizeof failed / sizeof *failed; i++) {
        assert_true(isnan(bench_sample_value(&failed[i], BENCH_WALL)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_what_is_no_measurement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
