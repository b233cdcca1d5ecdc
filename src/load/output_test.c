#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/doc.h"
#include "load/output.h"
#include "net/decode.h"
#include "os/file.h"

#define T0 INT64_C(1700000000000000000)

static const Label labels[] = {{SLICE_INIT("name"), SLICE_INIT("log,\"in\"")},
                               {SLICE_INIT("tier"), SLICE_INIT("gold")}};
static const SeriesInfo series[] = {
    {0, METRIC_COUNTER, METRIC_UNIT_NONE, SLICE_INIT("http_reqs"), {labels, 2}},
    {1, METRIC_TREND, METRIC_UNIT_TIME, SLICE_INIT("http_req_duration"), {labels, 2}},
    {2, METRIC_RATE, METRIC_UNIT_NONE, SLICE_INIT("checks"), {NULL, 0}},
    {3, METRIC_GAUGE, METRIC_UNIT_NONE, SLICE_INIT("vus"), {NULL, 0}},
};

// Two intervals of everything, into the output of that spec.
static OutputReport run(const char *spec)
{
    Output *out;
    Err e = {0};
    OutputReport report;
    Hist h;
    hist_init(&h);
    for (int i = 1; i <= 100; i++) {
        hist_record(&h, i * 1000000);
    }
    const Point points[] = {{.series = 0, .count = 100},
                            {.series = 1, .count = 100, .hist = &h},
                            {.series = 2, .count = 4, .trues = 3},
                            {.series = 3, .last = 7, .min = 5, .max = 9}};
    if (output_open(slice_from_cstr(spec), &(OutputOptions){0}, &out, &e) != 0) {
        fail_msg("%s", e.text);
    }
    output_start(out, &(OutputRun){.id = SLICE("R"), .interval_ns = 1000000000});
    for (int64_t i = 0; i < 2; i++) {
        output_interval(out, &(OutputInterval){.index = i,
                                               .unix_ns = T0 + i * 1000000000 + 5000000,
                                               .series = series,
                                               .series_count = COUNT_OF(series),
                                               .points = points,
                                               .count = COUNT_OF(points)});
    }
    assert_int_equal(output_stop(out, &report, &e), 0);
    hist_done(&h);
    return report;
}

typedef struct Place {
    char directory[64];
    char path[96];
    char spec[160];
} Place;

static Place place(const char *name, const char *format)
{
    Place p;
    (void)snprintf(p.directory, sizeof p.directory, "/tmp/output-test-XXXXXX");
    assert_non_null(mkdtemp(p.directory));
    (void)snprintf(p.path, sizeof p.path, "%s/%s", p.directory, name);
    (void)snprintf(p.spec, sizeof p.spec, "%s=%s%s", format, p.path,
                   strcmp(format, "csv") == 0 ? ",timeFormat=rfc3339,saveInterval=2s" : "");
    return p;
}

static void test_json(void **state)
{
    (void)state;
    Place p = place("points.json", "json");
    OutputReport report = run(p.spec);
    assert_int_equal(report.points, 2 * (1 + 8 + 2 + 1));
    assert_int_equal(report.dropped, 0);
    Buf text = buf_create(1 << 20);
    assert_int_equal(file_read(p.path, &text, NULL), 0);
    Arena *arena = arena_create(1 << 24);
    Slice rest = buf_slice(&text), line;
    int metrics = 0, points = 0;
    while (slice_cut(rest, '\n', &line, &rest)) {
        const Doc *d;
        assert_int_equal(doc_parse(arena, line, NULL, &d, NULL), 0);
        bool point = slice_eq_cstr(doc_get(d, SLICE("type"))->text, "Point");
        metrics += !point;
        points += point;
    }
    assert_int_equal(metrics, 4);
    assert_int_equal(points, 24);
    // The shapes of k6's output/json/wrapper.go.
    assert_non_null(strstr(text.data,
                           "{\"type\":\"Metric\",\"data\":{\"name\":\"http_req_duration\","
                           "\"type\":\"trend\",\"contains\":\"time\",\"thresholds\":[],"
                           "\"submetrics\":null},\"metric\":\"http_req_duration\"}\n"));
    assert_non_null(
        strstr(text.data, "{\"metric\":\"http_req_duration\",\"type\":\"Point\",\"data\":{\"time\":"
                          "\"2023-11-14T22:13:20.005000000Z\",\"value\":100,\"tags\":{\"name\":"
                          "\"log,\\\"in\\\"\",\"tier\":\"gold\",\"stat\":\"max\"}}}\n"));
    assert_non_null(strstr(text.data, "\"value\":0.75,\"tags\":{\"stat\":\"rate\"}"));
    arena_destroy(arena);
    buf_done(&text);
    assert_int_equal(dir_remove_all(p.directory, NULL), 0);
}

static void test_csv(void **state)
{
    (void)state;
    Place p = place("points.csv", "csv");
    OutputReport report = run(p.spec);
    assert_int_equal(report.points, 24);
    Buf text = buf_create(1 << 20);
    assert_int_equal(file_read(p.path, &text, NULL), 0);
    // The header is k6's with its default system tags (docs: results-output/real-time/csv).
    assert_true(slice_starts_with(
        buf_slice(&text),
        SLICE("metric_name,timestamp,metric_value,check,error,error_code,expected_response,group,"
              "method,name,proto,scenario,service,status,subproto,tls_version,url,extra_tags,"
              "metadata\n"
              "http_reqs,2023-11-14T22:13:20Z,100.000000,,,,,,,\"log,\"\"in\"\"\",,,,,,,,"
              "tier=gold&stat=count,\n")));
    assert_non_null(
        strstr(text.data, "vus,2023-11-14T22:13:21Z,7.000000,,,,,,,,,,,,,,,stat=value,\n"));
    buf_done(&text);
    assert_int_equal(dir_remove_all(p.directory, NULL), 0);
}

static void test_compressed_equals_plain(void **state)
{
    (void)state;
    Place plain = place("p.json", "json"), packed = place("p.json.gz", "json");
    (void)run(plain.spec);
    (void)run(packed.spec);
    Buf text = buf_create(1 << 20);
    assert_int_equal(file_read(plain.path, &text, NULL), 0);
    Buf bytes = buf_create(1 << 20), back = buf_create(1 << 20);
    assert_int_equal(file_read(packed.path, &bytes, NULL), 0);
    assert_int_equal(http_decode(SLICE("gzip"), buf_slice(&bytes), &back, NULL), 0);
    assert_true(slice_eq(buf_slice(&back), buf_slice(&text)));
    buf_done(&bytes);
    buf_done(&back);
    buf_done(&text);
    assert_int_equal(dir_remove_all(plain.directory, NULL), 0);
    assert_int_equal(dir_remove_all(packed.directory, NULL), 0);
}

static void test_a_full_disk_is_told(void **state)
{
    (void)state;
    Output *out;
    OutputReport report;
    Err e = {0};
    const Point point = {.series = 0, .count = 1};
    assert_int_equal(output_open(SLICE("json=/dev/full"), &(OutputOptions){0}, &out, &e), 0);
    output_start(out, &(OutputRun){.interval_ns = 1000000000});
    output_interval(
        out, &(OutputInterval){.series = series, .series_count = 1, .points = &point, .count = 1});
    assert_int_equal(output_stop(out, &report, &e), ERR_FULL);
    assert_non_null(strstr(e.text, "No space"));
}

static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *words;
    } cases[] = {
        {"jsn", "did you mean 'json'"},
        {"", "there are json, csv and prometheus"},
        {"influxdb=http://localhost", "there are"},
        {"csv=a.csv,timeFormat=iso", "'iso' is not unix"},
        {"csv=a.csv,foo=1", "'foo'"},
        {"csv=a.csv,saveInterval=soon", "soon"},
        {"json=/nonexistent/x.json", "/nonexistent/x.json"},
        {"prometheus=ftp://x/", "http://"},
        {"prometheus=http://127.0.0.1:1/", "directory"},
        {"prometheus=https://127.0.0.1:1/", "directory"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Output *out = NULL;
        Err e = {0};
        int rc = output_open(slice_from_cstr(cases[i].spec), &(OutputOptions){0}, &out, &e);
        if (rc == 0 || !strstr(e.text, cases[i].words)) {
            fail_msg("%s: %d %s", cases[i].spec, rc, e.text);
        }
    }
}

static void test_nothing_happened(void **state)
{
    (void)state;
    Hist h;
    OutputStat stats[OUTPUT_STATS_MAX];
    hist_init(&h);
    assert_int_equal(output_stats(&series[0], &(Point){0}, stats), 0);
    assert_int_equal(output_stats(&series[1], &(Point){.hist = &h}, stats), 0);
    assert_int_equal(output_stats(&series[2], &(Point){0}, stats), 0);
    hist_record_infinite(&h, 3);
    assert_int_equal(output_stats(&series[1], &(Point){.hist = &h}, stats), 1);
    assert_true(stats[0].value == 3);
    hist_done(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_compressed_equals_plain),
        cmocka_unit_test(test_a_full_disk_is_told),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_nothing_happened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
