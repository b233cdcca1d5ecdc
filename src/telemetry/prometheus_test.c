#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <snappy-c.h>

#include "telemetry/prometheus.h"
#include "telemetry/remote_write.h"

static void emit_text(void *ctx, Slice name, Labels labels, double value)
{
    prom_text_sample(ctx, name, labels, value);
}

static void test_names_and_values(void **state)
{
    (void)state;
    const Label items[] = {{SLICE("name"), SLICE("a \"b\" \\ c\n")}, {SLICE("x-y"), SLICE("1")}};
    const Labels labels = {items, 2};
    Hist h;
    PromStats stats;
    Err e = {0};
    hist_init(&h);
    hist_record_n(&h, 250000000, 3);
    assert_int_equal(prom_stats_parse(SLICE("p(99), min,max,count,p(99.9)"), &stats, &e), 0);
    static const SeriesInfo trend = {
        0, METRIC_TREND, METRIC_UNIT_TIME, SLICE_INIT("http_req_duration"), {0}};
    static const SeriesInfo gauge = {0, METRIC_GAUGE, METRIC_UNIT_NONE, SLICE_INIT("vus"), {0}};
    static const SeriesInfo rate = {0, METRIC_RATE, METRIC_UNIT_NONE, SLICE_INIT("checks"), {0}};
    const SeriesInfo counter = {0, METRIC_COUNTER, METRIC_UNIT_NONE, SLICE("http_reqs"), labels};
    Buf out = buf_create(1 << 16);
    prom_text_family(&out, SLICE("k6_vus"), "gauge", SLICE("a\\b\nc"));
    prom_samples(&counter, &(Point){.count = 12}, &stats, emit_text, &out);
    prom_samples(&gauge, &(Point){.last = 7.5}, &stats, emit_text, &out);
    prom_samples(&rate, &(Point){.count = 4, .trues = 1}, &stats, emit_text, &out);
    prom_samples(&rate, &(Point){0}, &stats, emit_text, &out);
    prom_samples(&trend, &(Point){.hist = &h}, &stats, emit_text, &out);
    prom_text_sample(&out, SLICE("n"), (Labels){0}, NAN);
    prom_text_sample(&out, SLICE("n"), (Labels){0}, -INFINITY);
    // Escaping as prometheus.io/docs/instrumenting/exposition_formats has it.
    assert_string_equal(out.data,
                        "# HELP k6_vus a\\\\b\\nc\n# TYPE k6_vus gauge\n"
                        "k6_http_reqs_total{name=\"a \\\"b\\\" \\\\ c\\n\",x_y=\"1\"} 12\n"
                        "k6_vus 7.5\nk6_checks_rate 0.25\n"
                        "k6_http_req_duration_p99 0.25\nk6_http_req_duration_min 0.25\n"
                        "k6_http_req_duration_max 0.25\nk6_http_req_duration_count 3\n"
                        "k6_http_req_duration_p999 0.25\nn NaN\nn -Inf\n");
    buf_done(&out);
    hist_done(&h);
}

static void test_stats_that_are_none(void **state)
{
    (void)state;
    static const char *const bad[] = {"",      "p99",  "p(",     "p()", "p(101)",
                                      "p(-1)", "avg,", "median", "p(x)"};
    PromStats stats;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        int rc = prom_stats_parse(slice_from_cstr(bad[i]), &stats, NULL);
        // A comma at the end ends the list.
        assert_int_equal(rc, strcmp(bad[i], "avg,") == 0 ? 0 : ERR_ARG);
    }
    Buf list = buf_create(1 << 10);
    for (int i = 0; i < PROM_STATS_MAX; i++) {
        buf_puts(&list, i == 0 ? "avg" : ",avg");
    }
    assert_int_equal(prom_stats_parse(buf_slice(&list), &stats, NULL), 0);
    buf_puts(&list, ",avg");
    assert_int_equal(prom_stats_parse(buf_slice(&list), &stats, NULL), ERR_LIMIT);
    buf_done(&list);
}

static void test_wire_bytes(void **state)
{
    (void)state;
    // Encoded by hand from prometheus/prompb: TimeSeries{labels{__name__=up}, labels{a=b},
    // sample{1.5, 1000}}; the label without value is gone, and so is the second "a".
    static const unsigned char expected[] = {
        0x0a, 0x26, 0x0a, 0x0e, 0x0a, 0x08, '_',  '_',  'n',  'a',  'm',  'e', '_',  '_',
        0x12, 0x02, 'u',  'p',  0x0a, 0x06, 0x0a, 0x01, 'a',  0x12, 0x01, 'b', 0x12, 0x0c,
        0x09, 0,    0,    0,    0,    0,    0,    0xf8, 0x3f, 0x10, 0xe8, 0x07};
    const Label items[] = {
        {SLICE("a"), SLICE("b")}, {SLICE("a"), SLICE("c")}, {SLICE("z"), SLICE("")}};
    Buf message = buf_create(1 << 16), body = buf_create(1 << 16);
    remote_write_add(&message, SLICE("up"), (Labels){items, 3}, 1.5, 1000);
    assert_int_equal(message.len, sizeof expected);
    assert_memory_equal(message.data, expected, sizeof expected);
    assert_int_equal(remote_write_compress(buf_slice(&message), &body, NULL), 0);
    char back[256];
    size_t len = sizeof back;
    assert_int_equal(snappy_uncompress(body.data, body.len, back, &len), SNAPPY_OK);
    assert_int_equal(len, sizeof expected);
    assert_memory_equal(back, expected, sizeof expected);
    buf_done(&message);
    buf_done(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_values),
        cmocka_unit_test(test_stats_that_are_none),
        cmocka_unit_test(test_wire_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
