// Ground truth for durations: the tables of TestParseDuration and its errors in Go's time package
// (src/time/time_test.go), which is the grammar k6 takes; `d` is k6's addition.
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/units.h"

static void test_durations_of_go(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        {"0", 0},
        {"5s", 5 * NS_PER_SECOND},
        {"1478s", 1478 * NS_PER_SECOND},
        {"5.0s", 5 * NS_PER_SECOND},
        {"5.6s", 5600 * NS_PER_MS},
        {"5.s", 5 * NS_PER_SECOND},
        {".5s", 500 * NS_PER_MS},
        {"1.004s", 1004 * NS_PER_MS},
        {"100.00100s", 100001 * NS_PER_MS},
        {"10ns", 10},
        {"11us", 11000},
        {"12\xC2\xB5s", 12000},
        {"12\xCE\xBCs", 12000},
        {"13ms", 13 * NS_PER_MS},
        {"15m", 15 * NS_PER_MINUTE},
        {"16h", 16 * NS_PER_HOUR},
        {"3h30m", 210 * NS_PER_MINUTE},
        {"10.5s4m", 4 * NS_PER_MINUTE + 10500 * NS_PER_MS},
        {"1h2m3s4ms5us6ns", INT64_C(3723004005006)},
        {"39h9m14.425s", INT64_C(140954425000000)},
        {"52763797000ns", INT64_C(52763797000)},
        {"0.3333333333333333333h", 20 * NS_PER_MINUTE},
        {"9007199254740993ns", INT64_C(9007199254740993)},
        {"9223372036854775807ns", INT64_MAX},
        {"9223372036854775.807us", INT64_MAX},
        {"9223372036s854ms775us807ns", INT64_MAX},
        {"0.100000000000000000000h", 6 * NS_PER_MINUTE},
        {"0.830103483285477580700h", INT64_C(2988372539827)},
        {"1d12h", 36 * NS_PER_HOUR},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t ns = -1;
        Err e = {0};
        if (duration_parse(slice_from_cstr(cases[i].text), 0, &ns, &e) != 0 || ns != cases[i].ns) {
            fail_msg("%s: %lld %s", cases[i].text, (long long)ns, e.text);
        }
    }
}

static void test_durations_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    "3",        "-",   "s",      ".",  "-.",  ".s",
                                      "+.s", "\x85\x85", "-5s", "1m 30s", "5x", "3s4", " 3s"};
    static const char *const large[] = {"9223372036854775810ns",
                                        "9223372036854775808ns",
                                        "9223372036854775.808us",
                                        "9223372036854ms775us808ns",
                                        "106752d",
                                        "99999999999999999999s"};
    int64_t ns = 7;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(duration_parse(slice_from_cstr(bad[i]), 0, &ns, NULL), ERR_PARSE);
    }
    for (size_t i = 0; i < COUNT_OF(large); i++) {
        assert_int_equal(duration_parse(slice_from_cstr(large[i]), 0, &ns, NULL), ERR_LIMIT);
    }
    assert_int_equal(ns, 7);
    Err e = {0};
    assert_int_equal(duration_parse(SLICE("30"), 0, &ns, &e), ERR_PARSE);
    assert_string_equal(e.text, "duration \"30\" has no unit; write 30s or 30ms");
    assert_int_equal(duration_parse(SLICE("30"), NS_PER_MS, &ns, &e), 0);
    assert_int_equal(ns, 30 * NS_PER_MS);
}

static void test_duration_formats(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *exact, *for_people;
    } cases[] = {
        {0, "0s", "0s"},
        {1, "1ns", "1ns"},
        {999, "999ns", "999ns"},
        {1100, "1.1us", "1.1\xC2\xB5s"},
        {999999, "999.999us", "1ms"},
        {1234567, "1.234567ms", "1.23ms"},
        {1235000, "1.235ms", "1.24ms"},
        {999999999, "999.999999ms", "1s"},
        {1500000000, "1.5s", "1.5s"},
        {15 * NS_PER_SECOND, "15s", "15s"},
        {INT64_C(59996000000), "59.996s", "1m0s"},
        {90 * NS_PER_SECOND, "1m30s", "1m30s"},
        {INT64_C(123400000000), "2m3.4s", "2m3s"},
        {NS_PER_HOUR, "1h", "1h0m0s"},
        {NS_PER_HOUR + 1, "1h0.000000001s", "1h0m0s"},
        {-1500000, "-1.5ms", "-1.5ms"},
        {INT64_MAX, "2562047h47m16.854775807s", "2562047h47m17s"},
        {INT64_MIN, "-2562047h47m16.854775808s", "-2562047h47m17s"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[UNITS_TEXT_MAX];
        assert_int_equal(duration_format(cases[i].ns, text), strlen(cases[i].exact));
        assert_string_equal(text, cases[i].exact);
        int64_t back = -1;
        if (cases[i].ns >= 0) {
            assert_int_equal(duration_parse(slice_from_cstr(text), 0, &back, NULL), 0);
            assert_int_equal(back, cases[i].ns);
        }
        assert_int_equal(duration_format_short(cases[i].ns, text), strlen(cases[i].for_people));
        assert_string_equal(text, cases[i].for_people);
    }
}

static void test_rates(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double per_second;
        const char *formatted;
    } cases[] = {
        {"2000/s", 2000, "2000/s"},
        {"120/m", 2, "120/m"},
        {"5000/30s", 5000.0 / 30, "5000/30s"},
        {"0.5/s", 0.5, "0.5/s"},
        {"10/1m30s", 10.0 / 90, "10/1m30s"},
        {"1/ms", 1000, "1/ms"},
        {"36/1h", 0.01, "36/h"},
    };
    Rate rate = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[UNITS_TEXT_MAX];
        assert_int_equal(rate_parse(slice_from_cstr(cases[i].text), 0, &rate, NULL), 0);
        assert_true(rate_per_second(rate) == cases[i].per_second);
        assert_int_equal(rate_format(rate, text), strlen(cases[i].formatted));
        assert_string_equal(text, cases[i].formatted);
    }
    static const char *const bad[] = {"",     "100",   "/s",    "100/", "100/0s", "0/s",
                                      "-1/s", "1e3/s", "1/s/s", "1/x",  "1 /s",   "1/5"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(rate_parse(slice_from_cstr(bad[i]), 0, &rate, NULL), ERR_PARSE);
    }
    assert_int_equal(rate_parse(SLICE("100"), NS_PER_SECOND, &rate, NULL), 0);
    assert_true(rate_per_second(rate) == 100);
}

static void test_sizes_and_counts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes;
        const char *exact, *for_people;
    } cases[] = {
        {"0", 0, "0B", "0B"},
        {"512", 512, "512B", "512B"},
        {"10MB", 10000000, "10MB", "10MB"},
        {"64KiB", 65536, "64KiB", "65.54kB"},
        {"1.5GiB", INT64_C(1610612736), "1536MiB", "1.61GB"},
        {"1.5kB", 1500, "1500B", "1.5kB"},
        {"2TB", INT64_C(2000000000000), "1953125000KiB", "2TB"},
        {"999995B", 999995, "999995B", "1MB"},
        {"9223372036854775807", INT64_MAX, "9223372036854775807B", "9223372.04TB"},
    };
    int64_t value = 0;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[UNITS_TEXT_MAX];
        int64_t back = -1;
        assert_int_equal(size_parse(slice_from_cstr(cases[i].text), &value, NULL), 0);
        assert_int_equal(value, cases[i].bytes);
        (void)size_format(value, text);
        assert_int_equal(size_parse(slice_from_cstr(text), &back, NULL), 0);
        assert_int_equal(back, value);
        (void)size_format_short(value, text);
        assert_string_equal(text, cases[i].for_people);
    }
    assert_int_equal(size_parse(SLICE("10M"), &value, NULL), ERR_PARSE);
    assert_int_equal(size_parse(SLICE("-1B"), &value, NULL), ERR_PARSE);
    assert_int_equal(size_parse(SLICE("0.5"), &value, NULL), ERR_PARSE);
    assert_int_equal(size_parse(SLICE("9223372036854775808B"), &value, NULL), ERR_LIMIT);
    assert_int_equal(size_parse(SLICE("9000000TiB"), &value, NULL), ERR_LIMIT);
    assert_int_equal(count_parse(SLICE("2.5k"), &value, NULL), 0);
    assert_int_equal(value, 2500);
    assert_int_equal(count_parse(SLICE("2M"), &value, NULL), 0);
    assert_int_equal(value, 2000000);
    assert_int_equal(count_parse(SLICE("2.5"), &value, NULL), ERR_PARSE);
    assert_int_equal(count_parse(SLICE("2m"), &value, NULL), ERR_PARSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations_of_go),  cmocka_unit_test(test_durations_refused),
        cmocka_unit_test(test_duration_formats), cmocka_unit_test(test_rates),
        cmocka_unit_test(test_sizes_and_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
