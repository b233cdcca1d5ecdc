#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "os/clock.h"

// `date -u -d TEXT +%s` of GNU coreutils gave the seconds; the first five are RFC 3339 section 5.8.
static const struct {
    const char *text;
    int64_t wall_ns;
} times[] = {
    {"1985-04-12T23:20:50.52Z", 482196050 * NS_PER_S + 520000000},
    {"1996-12-19T16:39:57-08:00", 851042397 * NS_PER_S},
    {"1990-12-31T23:59:60Z", 662688000 * NS_PER_S},
    {"1990-12-31T15:59:60-08:00", 662688000 * NS_PER_S},
    {"1937-01-01T12:00:27.87+00:20", -1041337173 * NS_PER_S + 870000000},
    {"1970-01-01T00:00:00Z", 0},
    {"1969-12-31T23:59:59.999999999Z", -1},
    {"2024-02-29T12:00:00.1234567899Z", 1709208000 * NS_PER_S + 123456789},
    {"2026-11-20 09:30:00z", 1795167000 * NS_PER_S},
};

static void test_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        int64_t wall_ns = 0;
        assert_int_equal(clock_parse_rfc3339(slice_from_cstr(times[i].text), &wall_ns, NULL), 0);
        assert_true(wall_ns == times[i].wall_ns);
    }
}

static void test_parse_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
    } bad[] = {
        {"", ERR_PARSE},
        {"2026-11-20", ERR_PARSE},
        {"2026-11-20T09:30:00", ERR_PARSE},
        {"2026-11-20T09:30:00.Z", ERR_PARSE},
        {"2026-11-20T09:30:00Zx", ERR_PARSE},
        {"2026-11-20T24:00:00Z", ERR_PARSE},
        {"2023-02-29T00:00:00Z", ERR_PARSE},
        {"2026-13-01T00:00:00Z", ERR_PARSE},
        {"2026-00-01T00:00:00Z", ERR_PARSE},
        {"2026-11-20T09:30:00+2:00", ERR_PARSE},
        {"2026-11-20T09:30:00+24:00", ERR_PARSE},
        {"+026-11-20T09:30:00Z", ERR_PARSE},
        {"9999-11-20T09:30:00Z", ERR_LIMIT},
        {"0001-01-01T00:00:00Z", ERR_LIMIT},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        int64_t wall_ns = 42;
        Err e;
        assert_int_equal(clock_parse_rfc3339(slice_from_cstr(bad[i].text), &wall_ns, &e),
                         bad[i].code);
        assert_true(wall_ns == 42);
    }
}

static void test_http_date(void **state)
{
    (void)state;
    int64_t wall_ns;
    // RFC 9110, 5.6.7: one instant in its three forms; only the first is taken.
    assert_true(clock_parse_http_date(SLICE("Sun, 06 Nov 1994 08:49:37 GMT"), &wall_ns));
    assert_int_equal(wall_ns, INT64_C(784111777) * NS_PER_S);
    static const char *const refused[] = {
        "",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Now 1994 08:49:37 GMT",
        "Sun, xx Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
    };
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        assert_false(clock_parse_http_date(slice_from_cstr(refused[i]), &wall_ns));
    }
}

static void test_print(void **state)
{
    (void)state;
    char out[CLOCK_RFC3339_MAX];
    clock_print_rfc3339(1795167000 * NS_PER_S + 7, out);
    assert_string_equal(out, "2026-11-20T09:30:00.000000007Z");
    clock_print_rfc3339(-1, out);
    assert_string_equal(out, "1969-12-31T23:59:59.999999999Z");
    clock_print_rfc3339(INT64_MIN, out);
    assert_string_equal(out, "1677-09-21T00:12:43.145224192Z");
    clock_print_rfc3339(INT64_MAX, out);
    assert_string_equal(out, "2262-04-11T23:47:16.854775807Z");
}

static void test_manual(void **state)
{
    (void)state;
    ManualClock manual;
    clock_manual_init(&manual, 100, 1000);
    clock_manual_advance(&manual, 5);
    assert_int_equal(clock_now(&manual.clock), 105);
    assert_int_equal(clock_wall(&manual.clock), 1005);
}

static void test_deadline_saturates(void **state)
{
    (void)state;
    assert_true(clock_deadline(5, 7) == 12);
    assert_true(clock_deadline(5, NEVER_NS) == NEVER_NS);
    assert_true(clock_deadline(5, NEVER_NS - 5) == NEVER_NS);
}

static void test_real_moves_forward(void **state)
{
    (void)state;
    int64_t before_ns = clock_now(clock_real());
    assert_true(clock_now(clock_real()) >= before_ns);
    assert_true(clock_wall(clock_real()) > 1700000000 * NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_http_date),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_manual),
        cmocka_unit_test(test_deadline_saturates),
        cmocka_unit_test(test_real_moves_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
