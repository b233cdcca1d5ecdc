// Anchors of the colour map are matplotlib's viridis at 0, 1/4, 1/2, 3/4 and 1.
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>

#include "base/svg.h"

static void test_elements(void **state)
{
    (void)state;
    Buf out = buf_create(4096);
    Svg s = svg_begin(&out, 100, 50.5);
    svg_open(&s, "g");
    svg_attr(&s, "data-url", SLICE("a\"<b>&'\x01\xFF"));
    svg_title(&s, SLICE("</title><script>"));
    svg_line(&s, 0, 1, 2.505, -0.001, "axis");
    svg_rect(&s, 1, 2, 3, 4, NULL);
    svg_text(&s, 5, 6, "label", SLICE("p95 < 3"));
    svg_end(&s);
    assert_string_equal(out.data,
                        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 100 50.5\">"
                        "<g data-url=\"a&quot;&lt;b&gt;&amp;&#39;\xEF\xBF\xBD\xEF\xBF\xBD\">"
                        "<title>&lt;/title&gt;&lt;script&gt;</title>"
                        "<line class=\"axis\" x1=\"0\" y1=\"1\" x2=\"2.5\" y2=\"0\"/>"
                        "<rect x=\"1\" y=\"2\" width=\"3\" height=\"4\"/>"
                        "<text class=\"label\" x=\"5\" y=\"6\">p95 &lt; 3</text></g>\n</svg>\n");
    buf_done(&out);
}

static void test_numbers_and_paths(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0"},        {-0.0, "0"},   {1, "1"},           {10, "10"},           {1.5, "1.5"},
        {1.256, "1.26"}, {-0.004, "0"}, {1e30, "10000000"}, {-1e30, "-10000000"}, {NAN, "0"},
        {INFINITY, "0"}, {1e-9, "0"},   {100.10, "100.1"},
    };
    Buf out = buf_create(4096);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        buf_reset(&out);
        svg_number(&out, cases[i].value);
        assert_string_equal(out.data, cases[i].text);
    }
    buf_reset(&out);
    bool pen_down = false;
    svg_path_point(&out, 0, 1, &pen_down);
    svg_path_point(&out, 2, 3.5, &pen_down);
    svg_path_point(&out, 3, NAN, &pen_down);
    svg_path_point(&out, 4, 5, &pen_down);
    svg_path_point(&out, 6, 7, &pen_down);
    assert_string_equal(out.data, "M0 1L2 3.5M4 5L6 7");
    buf_done(&out);
}

static void assert_ticks(const double *have, size_t count, const double *want)
{
    for (size_t i = 0; i < count; i++) {
        if (fabs(have[i] - want[i]) > 1e-9 * fabs(want[i])) {
            fail_msg("tick %zu is %g, not %g", i, have[i], want[i]);
        }
    }
}

static void test_ticks(void **state)
{
    (void)state;
    static const struct {
        bool log, time;
        double min, max;
        int wanted;
        size_t count;
        double ticks[12];
    } cases[] = {
        {false, false, 0, 100, 5, 6, {0, 20, 40, 60, 80, 100}},
        {false, false, 0, 0.97, 5, 5, {0, 0.2, 0.4, 0.6, 0.8}},
        {false, false, -3, 3, 3, 3, {-2, 0, 2}},
        {false, false, 1234, 1239, 5, 6, {1234, 1235, 1236, 1237, 1238, 1239}},
        {true, false, 1, 1000, 6, 10, {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000}},
        {true, false, 0.5, 2000, 4, 4, {1, 10, 100, 1000}},
        {true, false, 1, 1e12, 4, 5, {1, 1e3, 1e6, 1e9, 1e12}},
        {true, false, 3, 7, 4, 5, {3, 4, 5, 6, 7}},
        {false, true, 0, 60, 6, 7, {0, 10, 20, 30, 40, 50, 60}},
        {false, true, 0, 1800, 6, 7, {0, 300, 600, 900, 1200, 1500, 1800}},
        {false, true, 0, 2, 4, 5, {0, 0.5, 1, 1.5, 2}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Scale s = cases[i].log ? scale_log(cases[i].min, cases[i].max, 0, 100)
                               : scale_linear(cases[i].min, cases[i].max, 0, 100);
        double ticks[SVG_TICKS_MAX];
        size_t count = cases[i].time ? scale_time_ticks(&s, cases[i].wanted, ticks)
                                     : scale_ticks(&s, cases[i].wanted, ticks);
        if (count != cases[i].count) {
            fail_msg("case %zu: %zu ticks, the first at %g", i, count, ticks[0]);
        }
        assert_ticks(ticks, count, cases[i].ticks);
    }
}

static void test_scales_take_any_bounds(void **state)
{
    (void)state;
    static const double odd[] = {0, -1, 5, 1e300, 5e-324, NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < COUNT_OF(odd); i++) {
        for (size_t k = 0; k < COUNT_OF(odd); k++) {
            double ticks[SVG_TICKS_MAX];
            Scale linear = scale_linear(odd[i], odd[k], 0, 1),
                  log = scale_log(odd[i], odd[k], 0, 1);
            assert_true(linear.min < linear.max);
            assert_true(log.min < log.max && log.min > 0);
            assert_true(scale_ticks(&linear, 5, ticks) <= SVG_TICKS_MAX);
            assert_true(scale_ticks(&log, 1000, ticks) <= SVG_TICKS_MAX);
            assert_true(scale_time_ticks(&linear, -1, ticks) <= SVG_TICKS_MAX);
        }
    }
    Scale s = scale_linear(0, 10, 100, 0);
    assert_true(scale_at(&s, 2.5) == 75);
    s = scale_log(1, 100, 0, 2);
    assert_true(fabs(scale_at(&s, 10) - 1) < 1e-12);
    assert_true(isnan(scale_at(&s, 0)));
}

static void test_color(void **state)
{
    (void)state;
    static const struct {
        double share;
        const char *color;
    } cases[] = {
        {0, "#440154"}, {0.25, "#3b528b"}, {0.5, "#21918c"}, {0.75, "#5ec962"},
        {1, "#fde725"}, {-1, "#440154"},   {2, "#fde725"},   {NAN, "#440154"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char color[8];
        svg_color(cases[i].share, color);
        assert_string_equal(color, cases[i].color);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elements), cmocka_unit_test(test_numbers_and_paths),
        cmocka_unit_test(test_ticks),    cmocka_unit_test(test_scales_take_any_bounds),
        cmocka_unit_test(test_color),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
