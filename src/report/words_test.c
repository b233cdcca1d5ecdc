// Expected texts are written by hand from the rules in words.h.
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>

#include "report/words.h"

static void check_words(Slice got, const char *want)
{
    if (!slice_eq_cstr(got, want)) {
        print_error("got \"%.*s\", want \"%s\"\n", SLICE_FMT(got), want);
        fail();
    }
}

static void test_numbers(void **state)
{
    (void)state;
    Arena *a = arena_create(1 << 20);
    check_words(words_ms(a, 12.345), "12.3 ms");
    check_words(words_ms(a, 0.4123), "412 \xC2\xB5s");
    check_words(words_ms(a, 0.9996), "1.00 ms");
    check_words(words_ms(a, 999.4), "999 ms");
    check_words(words_ms(a, 999.6), "1.00 s");
    check_words(words_ms(a, 0), "0 ms");
    check_words(words_ms(a, (double)NAN), WORDS_NONE);
    check_words(words_ms(a, (double)INFINITY), "\xE2\x88\x9E");
    check_words(words_count(a, 1234567), "1,234,567");
    check_words(words_count(a, 123), "123");
    check_words(words_count(a, -1234), "-1,234");
    check_words(words_rate(a, 1999.4), "1,999/s");
    check_words(words_rate(a, 0.25), "0.250/s");
    check_words(words_rate(a, (double)NAN), WORDS_NONE);
    check_words(words_share(a, 0.00123), "0.123 %");
    check_words(words_share(a, 1), "100 %");
    check_words(words_share(a, 0.99996), "100 %");
    check_words(words_share(a, 0), "0 %");
    check_words(words_change(a, 1.213), "+21.3 %");
    check_words(words_change(a, 0.5), "-50.0 %");
    check_words(words_p(a, 0.0004), "<0.001");
    check_words(words_p(a, 0.04), "0.040");
    check_words(words_bytes(a, 1234567), "1.23 MB");
    check_words(words_number(a, 9.999), "10.0");
    arena_destroy(a);
}

static void test_times(void **state)
{
    (void)state;
    Arena *a = arena_create(1 << 20);
    check_words(words_time(a, INT64_C(1000000000000000000)), "2001-09-09 01:46:40 UTC");
    check_words(words_time(a, 0), WORDS_NONE);
    check_words(words_second(a, 12), "12 s");
    check_words(words_second(a, 125), "2:05");
    check_words(words_second(a, 3725), "1:02:05");
    check_words(words_duration(a, INT64_C(90000000000)), "1m30s");
    arena_destroy(a);
}

static void test_intervals(void **state)
{
    (void)state;
    Arena *a = arena_create(1 << 20);
    check_words(words_interval(a, (Interval){11, 13, 0.95}, SLICE("ms"), false),
                "[11.0 ms, 13.0 ms]");
    check_words(words_interval(a, (Interval){0.01, 0.02, 0.95}, SLICE("ms"), true),
                "[1.00 %, 2.00 %]");
    check_words(words_interval(a, (Interval){-INFINITY, INFINITY, 0.95}, SLICE("ms"), false), "");
    check_words(words_change_interval(a, (Interval){0.9, 1.1, 0.95}), "[-10.0 %, +10.0 %]");
    arena_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_intervals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
