// Figures of ten numbers whose statistics are known by hand, and the forms that hyperfine 1.18
// writes (its README and its test/execution_order_tests.py say which members there are).
#include "bench/series.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/units.h"

static BenchSample samples[5];

static BenchSeries series(const char *name)
{
    // 1, 2, 3, 4 seconds: mean 2.5, deviation sqrt(5 / 3), median 2.5; the fifth failed.
    for (size_t i = 0; i < 5; i++) {
        samples[i] = (BenchSample){.wall_ns = (int64_t)(i + 1) * NS_PER_SECOND,
                                   .user_ns = 500 * NS_PER_MS,
                                   .system_ns = 250 * NS_PER_MS,
                                   .rss_max_bytes = 1000 * (int64_t)(i + 1),
                                   .exit_code = i == 4 ? 3 : 0};
    }
    BenchSeries s = {.name = slice_from_cstr(name), .samples = samples, .count = 5};
    s.parameters[0] = (BenchParameter){SLICE("n"), SLICE("7")};
    s.parameter_count = 1;
    return s;
}

static void statistics(void **state)
{
    (void)state;
    BenchSeries s = series("x");
    BenchStats st = bench_series_stats(&s);
    assert_int_equal(st.count, 4);
    assert_int_equal(st.failed, 1);
    assert_true(st.mean == 2.5 && st.median == 2.5 && st.min == 1 && st.max == 4);
    assert_true(fabs(st.deviation - sqrt(5.0 / 3)) < 1e-12);
    assert_true(st.user_s == 0.5 && st.system_s == 0.25 && st.rss == 2500);
    s.failures_counted = true;
    assert_int_equal(bench_series_stats(&s).count, 5);
    s.count = 0;
    assert_true(isnan(bench_series_stats(&s).mean));
}

static void forms(void **state)
{
    (void)state;
    BenchSeries s = series("a|b, \"c\"");
    Buf out = buf_create(10000);
    bench_series_write_csv(&s, 1, &out);
    assert_string_equal(out.data, "command,mean,stddev,median,user,system,min,max,parameter_n\n"
                                  "\"a|b, \"\"c\"\"\",2.5,1.2909944487358056,2.5,0.5,0.25,1,4,7\n");
    buf_reset(&out);
    bench_series_write_markdown(&s, 1, &out);
    assert_string_equal(out.data, "| Command | Mean [s] | Min [s] | Max [s] | Relative |\n"
                                  "|:---|---:|---:|---:|---:|\n"
                                  "| `a\\|b, \"c\"` | 2.5 ± 1.3 | 1.0 | 4.0 | 1.00 |\n");
    buf_reset(&out);
    JsonWriter w = json_writer(&out, 0);
    bench_series_write_json(&s, 1, &w);
    assert_string_equal(
        out.data,
        "{\"results\":[{\"command\":\"a|b, \\\"c\\\"\",\"mean\":2.5,\"stddev\":1.2909944487358056,"
        "\"median\":2.5,\"user\":0.5,\"system\":0.25,\"min\":1,\"max\":4,\"times\":[1,2,3,4],"
        "\"memory_usage_byte\":[1000,2000,3000,4000],\"exit_codes\":[0,0,0,0],"
        "\"parameters\":{\"n\":\"7\"}}]}");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(statistics), cmocka_unit_test(forms)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
