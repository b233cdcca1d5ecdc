#include "llm/fake_dist.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/units.h"

enum { DRAWS = 20000 };

static FakeDist parse(Arena *arena, const char *text, bool durations)
{
    FakeDist d;
    Err e = {0};
    if (fake_dist_parse(arena, slice_from_cstr(text), durations, false, &d, &e) != 0) {
        fail_msg("%s: %s", text, e.text);
    }
    return d;
}

static void test_what_is_printed_reads_back(void **state)
{
    (void)state;
    static const char *const durations[] = {"0s", "50ms", "uniform:10ms,1m30s",
                                            "lognormal:200ms,1s", "empirical:80ms,90ms,2s"};
    static const char *const numbers[] = {"0", "16", "uniform:1,9", "empirical:3,1,2"};
    Arena *arena = arena_create(1 << 20);
    Buf text = buf_create(1000);
    for (size_t i = 0; i < COUNT_OF(durations) + COUNT_OF(numbers); i++) {
        bool is_duration = i < COUNT_OF(durations);
        const char *given = is_duration ? durations[i] : numbers[i - COUNT_OF(durations)];
        FakeDist d = parse(arena, given, is_duration);
        buf_reset(&text);
        fake_dist_print(&d, &text);
        assert_string_equal(text.data, given);
    }
    buf_done(&text);
    arena_destroy(arena);
}

static void test_refusals_say_why(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
        bool durations;
        int code;
    } cases[] = {
        {"50", "unit", true, ERR_PARSE},
        {"-1", "whole number", false, ERR_ARG},
        {"1.5", "whole number", false, ERR_ARG},
        {"uniform:5ms", "two values", true, ERR_ARG},
        {"uniform:5ms,1ms", "below the first", true, ERR_ARG},
        {"lognormal:0,1", "median", false, ERR_ARG},
        {"gaussian:1,2", "lognormal", false, ERR_ARG},
        {"empirical:", "needs a value", false, ERR_ARG},
        {"empirical:@/etc/hostname", "at the start only", false, ERR_REFUSED},
        {"", "whole number", false, ERR_ARG},
    };
    Arena *arena = arena_create(1 << 20);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        FakeDist d;
        Err e = {0};
        int rc = fake_dist_parse(arena, slice_from_cstr(cases[i].text), cases[i].durations, false,
                                 &d, &e);
        if (rc != cases[i].code || !strstr(e.text, cases[i].words)) {
            fail_msg("\"%s\": %s \"%s\"", cases[i].text, err_name(rc), e.text);
        }
    }
    arena_destroy(arena);
}

static void test_too_many_values(void **state)
{
    (void)state;
    for (int over = 0; over <= 1; over++) {
        Arena *arena = arena_create(8 << 20);
        Buf text = buf_create(1 << 20);
        buf_puts(&text, "empirical:");
        for (int i = 0; i < FAKE_DIST_VALUES_MAX + over; i++) {
            buf_puts(&text, i > 0 ? ",1" : "1");
        }
        FakeDist d;
        int rc = fake_dist_parse(arena, buf_slice(&text), false, false, &d, NULL);
        assert_int_equal(rc, over ? ERR_LIMIT : 0);
        buf_done(&text);
        arena_destroy(arena);
    }
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// The shares are those of the definitions: a median halves, a 95th percentile leaves a twentieth.
static void test_samples_follow_the_distribution(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double share;
        int64_t low, high; // where that share of the sorted values lies
    } cases[] = {
        {"7", 0.5, 7, 7},
        {"uniform:0,1000", 0.25, 230, 270},
        {"uniform:0,1000", 0.999, 990, 1000},
        {"lognormal:1000,5000", 0.5, 950, 1050},
        {"lognormal:1000,5000", 0.95, 4700, 5300},
        {"empirical:1,2,3,900", 0.7, 3, 3},
        {"empirical:1,2,3,900", 0.8, 900, 900},
    };
    Arena *arena = arena_create(1 << 20);
    int64_t *values = mem_alloc(DRAWS * sizeof *values);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        FakeDist d = parse(arena, cases[i].text, false);
        Rng rng = rng_stream(1, SLICE("test"), i);
        for (size_t n = 0; n < DRAWS; n++) {
            values[n] = fake_dist_sample(&d, &rng);
            assert_true(values[n] >= 0);
        }
        qsort(values, DRAWS, sizeof *values, compare);
        int64_t at = values[(size_t)(cases[i].share * DRAWS)];
        assert_in_range(at, cases[i].low, cases[i].high);
    }
    free(values);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_printed_reads_back),
        cmocka_unit_test(test_refusals_say_why),
        cmocka_unit_test(test_too_many_values),
        cmocka_unit_test(test_samples_follow_the_distribution),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
