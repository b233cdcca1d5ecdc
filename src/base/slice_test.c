#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/err.h"
#include "base/slice.h"

static void test_i64_edges(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        int64_t value;
    } cases[] = {
        {"0", 0, 0},
        {"-0", 0, 0},
        {"+7", 0, 7},
        {"9223372036854775807", 0, INT64_MAX},
        {"-9223372036854775808", 0, INT64_MIN},
        {"9223372036854775808", ERR_LIMIT, 0},
        {"-9223372036854775809", ERR_LIMIT, 0},
        {"", ERR_PARSE, 0},
        {"-", ERR_PARSE, 0},
        {" 1", ERR_PARSE, 0},
        {"1x", ERR_PARSE, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t value = 0;
        assert_int_equal(slice_to_i64(slice_from_cstr(cases[i].text), &value), cases[i].rc);
        assert_int_equal(value, cases[i].value);
    }
}

static void test_f64_takes_decimal_only(void **state)
{
    (void)state;
    double value = 0;
    assert_int_equal(slice_to_f64(SLICE("-1.5e3"), &value), 0);
    assert_true(value == -1500.0);
    static const char *const bad[] = {"", "nan", "inf", "0x10", " 1", "1 ", "1e", "--1"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(slice_to_f64(slice_from_cstr(bad[i]), &value), ERR_PARSE);
    }
    assert_int_equal(slice_to_f64(SLICE("1e999"), &value), ERR_LIMIT);
}

static void test_cut_find_trim(void **state)
{
    (void)state;
    Slice head, tail;
    assert_true(slice_cut(SLICE("a=b=c"), '=', &head, &tail));
    assert_true(slice_eq_cstr(head, "a") && slice_eq_cstr(tail, "b=c"));
    assert_false(slice_cut(SLICE("abc"), '=', &head, &tail));
    assert_true(slice_eq_cstr(head, "abc") && tail.len == 0);
    assert_int_equal(slice_find(SLICE("hello"), SLICE("lo")), 3);
    assert_int_equal(slice_find(SLICE("hello"), SLICE("xx")), -1);
    assert_true(slice_eq_cstr(slice_trim(SLICE(" \t x y\r\n")), "x y"));
    assert_true(slice_eq_nocase(SLICE("Content-Type"), SLICE("content-TYPE")));
    assert_true(slice_cmp(SLICE("a"), SLICE("ab")) < 0);
}

static void test_nearest_name(void **state)
{
    (void)state;
    static const Slice names[] = {SLICE_INIT("duration"), SLICE_INIT("vus"), SLICE_INIT("rate")};
    static const struct {
        const char *wrong, *right;
    } cases[] = {
        {"durations", "duration"},
        {"duratoin", "duration"},
        {"Duration", "duration"},
        {"drtion", "duration"},
        {"drton", ""},
        {"vu", "vus"},
        {"rtae", "rate"},
        {"vx", ""},
        {"", ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Slice nearest = slice_nearest(slice_from_cstr(cases[i].wrong), names, COUNT_OF(names));
        assert_true(slice_eq_cstr(nearest, cases[i].right));
    }
    char huge[1000];
    memset(huge, 'x', sizeof huge);
    assert_int_equal(slice_nearest((Slice){huge, sizeof huge}, names, COUNT_OF(names)).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_i64_edges),
        cmocka_unit_test(test_f64_takes_decimal_only),
        cmocka_unit_test(test_cut_find_trim),
        cmocka_unit_test(test_nearest_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
