#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/units.h"

static void keep(void *context, Slice line)
{
    buf_append(context, line);
}

// 2024-05-01T10:31:07.412Z; seconds from `date -d 2024-05-01T10:31:07Z +%s`.
static int64_t fixed_time(void *context)
{
    (void)context;
    return INT64_C(1714559467) * NS_PER_SECOND + 412 * NS_PER_MS;
}

static void open_log(Buf *out, bool json, bool time)
{
    log_open(&(LogSink){.write = keep,
                        .wall_ns = time ? fixed_time : NULL,
                        .context = out,
                        .level = LOG_INFO,
                        .json = json});
}

static void test_text_lines(void **state)
{
    (void)state;
    Buf out = buf_create(1 << 20);
    open_log(&out, false, true);
    LOG(LOG_DEBUG, "not seen");
    LOG(LOG_WARN, "late", log_duration("p99", 1234567), log_int("vus", -5), log_double("r", 0.5),
        log_cstr("host", "a b"), log_cstr("none", NULL), log_cstr("plain", "x/y"));
    LOG(LOG_INFO, "done");
    assert_string_equal(out.data, "10:31:07.412 warn  late p99=1.23ms vus=-5 r=0.5 host=\"a b\" "
                                  "none=\"\" plain=x/y\n10:31:07.412 info  done\n");
    buf_done(&out);
    log_open(NULL);
}

static void test_nothing_forges_a_line(void **state)
{
    (void)state;
    Buf out = buf_create(1 << 20);
    open_log(&out, false, false);
    LOG(LOG_ERROR, "bad", log_cstr("v", "a\n10:00 info fake \x1B[2J\"\xFF"));
    assert_string_equal(out.data, "error bad v=\"a\\n10:00 info fake \\x1b[2J\\\"\\xff\"\n");
    buf_reset(&out);
    open_log(&out, true, true);
    LOG(LOG_ERROR, "bad", log_cstr("v", "a\n\x1B\""), log_duration("d", 5));
    assert_string_equal(out.data, "{\"time\":\"2024-05-01T10:31:07.412Z\",\"level\":\"error\","
                                  "\"msg\":\"bad\",\"v\":\"a\\n\\u001b\\\"\",\"d\":5}\n");
    buf_done(&out);
    log_open(NULL);
}

static void test_long_values_are_cut(void **state)
{
    (void)state;
    static char big[4 * LOG_VALUE_MAX];
    memset(big, 'x', sizeof big);
    memcpy(big + LOG_VALUE_MAX - 1, "\xC3\xA9", 2); // the limit falls inside this character
    Buf out = buf_create(1 << 20);
    open_log(&out, false, false);
    LOG(LOG_INFO, "m", log_text("v", (Slice){big, sizeof big}));
    assert_int_equal(out.len, strlen("info  m v=\n") + LOG_VALUE_MAX - 1);
    buf_reset(&out);
    memset(big, 1, sizeof big); // four bytes each when escaped
    LogField many[20];
    for (size_t i = 0; i < COUNT_OF(many); i++) {
        many[i] = log_text("v", (Slice){big, sizeof big});
    }
    log_line(LOG_INFO, "m", many, COUNT_OF(many));
    assert_string_equal(out.data, "info  m\n");
    buf_done(&out);
    log_open(NULL);
}

static void test_levels(void **state)
{
    (void)state;
    LogLevel level = LOG_OFF;
    assert_false(log_enabled(LOG_ERROR)); // closed
    for (LogLevel i = LOG_DEBUG; i <= LOG_OFF; i++) {
        assert_int_equal(log_level_parse(slice_from_cstr(log_level_name(i)), &level), 0);
        assert_int_equal(level, i);
    }
    assert_int_equal(log_level_parse(SLICE("loud"), &level), ERR_PARSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_lines),
        cmocka_unit_test(test_nothing_forges_a_line),
        cmocka_unit_test(test_long_values_are_cut),
        cmocka_unit_test(test_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
