// Golden lines, written by hand from the sample's numbers and the rules in terminal.h.
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/utf8.h"
#include "report/sample_run.h"
#include "report/terminal.h"
#include "report/text_table.h"
#include "report/words.h"

static Buf render(SampleRun *s, TerminalOptions options)
{
    ReportModel m;
    report_model_init(&m, &s->input, s->arena);
    Buf out = buf_create(REPORT_TERMINAL_MAX);
    assert_int_equal(report_terminal(&m, &options, &out, NULL), 0);
    report_model_done(&m);
    return out;
}

static bool holds(const Buf *out, const char *text)
{
    return slice_find(buf_slice(out), slice_from_cstr(text)) >= 0;
}

static void test_order_and_words(void **state)
{
    (void)state;
    SampleRun *s = sample_run_create();
    Buf out = render(s, (TerminalOptions){.width = 120});
    static const char *const in_order[] = {
        "SLO BREACHED",
        "Warning: no objective",
        "Objectives",
        "Thresholds",
        "Against the baseline",
        "Fidelity",
        "105 dropped",
        "Failures",
        "HTTP 503",
        "Latency",
        "all requests",
        "Throughput",
        "seal 60303a",
        "again: perfwright",
    };
    Slice rest = buf_slice(&out);
    for (size_t i = 0; i < COUNT_OF(in_order); i++) {
        ptrdiff_t at = slice_find(rest, slice_from_cstr(in_order[i]));
        if (at < 0) {
            print_error("\"%s\" is missing or out of order in\n%s\n", in_order[i], out.data);
            fail();
        }
        rest = slice_sub(rest, (size_t)at, rest.len);
    }
    assert_true(holds(&out, "+21.3 %  [+15.3 %, +27.3 %]  (p=0.001 n=3+3)  slower"));
    assert_true(holds(&out, "~  [-2.9 %, +5.1 %]    (p=0.410 n=3+3)  no difference shown"));
    assert_false(holds(&out, "\x1b"));
    buf_done(&out);
    sample_run_destroy(s);
}

static void test_color_and_hostile_text(void **state)
{
    (void)state;
    SampleRun *s = sample_run_create();
    s->run.info.name = SLICE("plan\x1b]0;title\x07\nsecond line");
    Buf out = render(s, (TerminalOptions){.width = 120, .color = true});
    assert_true(holds(&out, "\x1b[1;31mSLO BREACHED\x1b[0m"));
    assert_false(holds(&out, "\x1b]0"));
    assert_true(holds(&out, "plan\\x1b]0;title\\x07\\nsecond line"));
    buf_done(&out);
    sample_run_destroy(s);
}

static void test_invalid_and_single(void **state)
{
    (void)state;
    SampleRun *s = sample_run_create();
    s->changes[1].single_run = true;
    Buf out = render(s, (TerminalOptions){.width = 140});
    assert_true(holds(&out, "slower, single run"));
    buf_done(&out);
    s->run.end.status = RUN_INVALID;
    s->run.end.reason = SLICE("lateness p99 of 120 ms");
    out = render(s, (TerminalOptions){0});
    assert_true(holds(&out, "NO VERDICT"));
    assert_true(holds(&out, "Invalid run, no verdict: lateness p99 of 120 ms"));
    assert_false(holds(&out, "Objectives"));
    assert_false(holds(&out, "Against"));
    assert_false(holds(&out, "not measured"));
    buf_done(&out);
    s->run.series_count = 0;
    out = render(s, (TerminalOptions){0});
    s->run.series_count = SAMPLE_SERIES;
    assert_true(holds(&out, WORDS_NONE " means not measured"));
    buf_done(&out);
    sample_run_destroy(s);
}

static void test_table_width(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    TextTable *t = text_table(arena, "lr");
    text_cell(t, SLICE("a name that is much too long for it"), TONE_NEUTRAL);
    text_cell(t, SLICE("12"), TONE_BAD);
    text_cell(t, SLICE("\xE6\x97\xA5\xE6\x9C\xAC"), TONE_NEUTRAL); // two wide characters
    text_cell(t, SLICE("3"), TONE_NEUTRAL);
    Buf out = buf_create(4096);
    text_table_write(t, &out, 24, false);
    assert_string_equal(out.data, "  a name that is mu\xE2\x80\xA6  12\n"
                                  "  \xE6\x97\xA5\xE6\x9C\xAC                 3\n");
    buf_done(&out);
    assert_true(slice_eq_cstr(text_shorten(arena, SLICE("abcdef"), 6), "abcdef"));
    assert_true(slice_eq_cstr(text_shorten(arena, SLICE("abcdefg"), 6), "abcde\xE2\x80\xA6"));
    for (size_t i = 0; i < 4 * TEXT_ROWS_MAX; i++) { // past the ceiling rows are ignored
        text_cell(t, SLICE("x"), TONE_NEUTRAL);
    }
    assert_int_equal(t->rows, TEXT_ROWS_MAX * 2);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_words),
        cmocka_unit_test(test_color_and_hostile_text),
        cmocka_unit_test(test_invalid_and_single),
        cmocka_unit_test(test_table_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
