#include "improve/equality.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

static const struct {
    const char *base, *patched;
    EqualitySame same;
    long line;
} CASES[] = {
    {"", "", EQUALITY_SAME, 0},
    {"a\nb\n", "a\nb\n", EQUALITY_SAME, 0},
    {"a\nb\n", "a\nc\n", EQUALITY_DIFFERENT, 2},
    {"a\nb\n", "a\n", EQUALITY_DIFFERENT, 2},
    {"a\n", "a", EQUALITY_DIFFERENT, 1},
    {"", "x", EQUALITY_DIFFERENT, 1},
    {"42\n", "43\n", EQUALITY_DIFFERENT, 1},
    // Counts of things are results; what was measured is not.
    {"1000 items\n", "1001 items\n", EQUALITY_DIFFERENT, 1},
    {"sum 7\ntook 12 ms\n", "sum 7\ntook 6 ms\n", EQUALITY_BUT_TIMES, 0},
    {"sum 7\ntook 12 ms\n", "sum 8\ntook 6 ms\n", EQUALITY_DIFFERENT, 1},
    {"elapsed: 0.123s\n", "elapsed: 1e-2s\n", EQUALITY_BUT_TIMES, 0},
    {"parse x 1,234 ops/sec \xc2\xb1 1.2%\n", "parse x 12,345 ops/sec \xc2\xb1 0.9%\n",
     EQUALITY_BUT_TIMES, 0},
    {"12\xc2\xb5s\n", "9\xc2\xb5s\n", EQUALITY_BUT_TIMES, 0},
    {"p99 12\n", "p99 11\n", EQUALITY_BUT_TIMES, 0},
    {"real    0m0.120s\n", "real    0m0.060s\n", EQUALITY_BUT_TIMES, 0},
    {"time   120 total\n", "time    60 total\n", EQUALITY_BUT_TIMES, 0},
    {"time 120 total\n", "time 60 totals\n", EQUALITY_DIFFERENT, 1},
    {"time 120\n", "time nan\n", EQUALITY_DIFFERENT, 1},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        Equality eq =
            equality_of(slice_from_cstr(CASES[i].base), slice_from_cstr(CASES[i].patched));
        if (eq.same != CASES[i].same || eq.line != CASES[i].line) {
            fail_msg("case %zu: %d at line %ld", i, (int)eq.same, eq.line);
        }
    }
}

static void test_words(void **state)
{
    (void)state;
    assert_true(equality_is_about_time(SLICE("12ms")));
    assert_true(equality_is_about_time(SLICE("Time: 5")));
    assert_false(equality_is_about_time(SLICE("items 12, terms 7")));
    assert_false(equality_is_about_time(SLICE("")));
}

static void test_long_lines_are_cut_for_people(void **state)
{
    (void)state;
    static char a[1000], b[1000];
    for (size_t i = 0; i < sizeof a; i++) {
        a[i] = 'a', b[i] = 'b';
    }
    Equality eq = equality_of((Slice){a, sizeof a}, (Slice){b, sizeof b});
    assert_int_equal(eq.base_line.len, EQUALITY_LINE_MAX);
    assert_int_equal(eq.patched_line.len, EQUALITY_LINE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_long_lines_are_cut_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
