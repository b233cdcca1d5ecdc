#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "os/clock.h"
#include "telemetry/exposition.h"

static void flush(Recorder *r, Collector *c)
{
    const RecorderBatch *batch = recorder_take(r);
    collector_add(c, 0, batch);
    collector_next(c);
    recorder_give_back(r);
}

static void expect_line(const Buf *page, const char *line)
{
    if (slice_find(buf_slice(page), slice_from_cstr(line)) < 0) {
        fail_msg("no line \"%s\" in\n%s", line, page->data);
    }
}

// Names and bounds are the guide's (PerformanceTracker), the counts follow from them by hand; le is
// inclusive (Prometheus text format 0.0.4). test/monitor_test.py has promtool read a page.
static void test_the_guides_histogram(void **state)
{
    (void)state;
    static const int64_t ms[] = {50, 100, 101, 700, 3000, 12000};
    Recorder *r = recorder_create(&(RecorderOptions){0});
    Collector *c = collector_create(0);
    const Label labels[] = {{SLICE("status"), SLICE("success")},
                            {SLICE("agent_name"), SLICE("planner")}};
    RecorderSeries *s = recorder_series(r, M_AGENT_REQUEST_DURATION, labels, 2);
    for (size_t i = 0; i < COUNT_OF(ms); i++) {
        recorder_trend(s, ms[i] * NS_PER_MS);
    }
    recorder_trend_infinite(s);
    recorder_count(recorder_series(r, M_AGENT_REQUESTS, labels, 2), 7);
    flush(r, c);
    Buf page = buf_create(EXPOSITION_BYTES_MAX);
    exposition_write(&page, c, (Slice){0});
    static const char *const lines[] = {
        "# HELP agent_request_duration_seconds Agent request duration in seconds\n",
        "# TYPE agent_request_duration_seconds histogram\n",
        ("agent_request_duration_seconds_bucket{agent_name=\"planner\",status=\"success\","
         "le=\"0.1\"} 2\n"),
        "le=\"0.5\"} 3\n",
        "le=\"1\"} 4\n",
        "le=\"2\"} 4\n",
        "le=\"5\"} 5\n",
        "le=\"10\"} 5\n",
        "le=\"+Inf\"} 7\n",
        "agent_request_duration_seconds_sum{agent_name=\"planner\",status=\"success\"} 15.951\n",
        "agent_request_duration_seconds_count{agent_name=\"planner\",status=\"success\"} 7\n",
        "# TYPE agent_requests_total counter\n",
        "agent_requests_total{agent_name=\"planner\",status=\"success\"} 7\n",
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        expect_line(&page, lines[i]);
    }
    buf_done(&page);
    collector_destroy(c);
    recorder_destroy(r);
}

// By the rules of OpenTelemetry's specification/compatibility/prometheus_and_openmetrics.md.
static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *metric;
        MetricKind kind;
        MetricUnit unit;
        const char *name;
    } cases[] = {
        {"gen_ai.client.operation.duration", METRIC_TREND, METRIC_UNIT_TIME,
         "gen_ai_client_operation_duration_seconds"},
        {"gen_ai.client.token.usage", METRIC_TREND, METRIC_UNIT_NONE, "gen_ai_client_token_usage"},
        {"agent_request_duration_seconds", METRIC_TREND, METRIC_UNIT_TIME,
         "agent_request_duration_seconds"},
        {"agent_requests_total", METRIC_COUNTER, METRIC_UNIT_NONE, "agent_requests_total"},
        {"process_cpu_seconds_total", METRIC_COUNTER, METRIC_UNIT_TIME,
         "process_cpu_seconds_total"},
        {"data_sent", METRIC_COUNTER, METRIC_UNIT_BYTES, "data_sent_bytes_total"},
        {"mcp_response_size_bytes", METRIC_TREND, METRIC_UNIT_BYTES, "mcp_response_size_bytes"},
        {"checks", METRIC_RATE, METRIC_UNIT_NONE, "checks_ratio"},
        {"9 lives", METRIC_GAUGE, METRIC_UNIT_NONE, "_9_lives"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Buf out = buf_create(1024);
        exposition_name(&out, slice_from_cstr(cases[i].metric), cases[i].kind, cases[i].unit);
        assert_string_equal(out.data, cases[i].name);
        buf_done(&out);
    }
}

static void test_other_kinds(void **state)
{
    (void)state;
    Recorder *r = recorder_create(&(RecorderOptions){0});
    Collector *c = collector_create(0);
    recorder_gauge(recorder_series(r, M_AGENT_MAILBOX_DEPTH, NULL, 0), 3);
    recorder_rate(recorder_series(r, M_CHECKS, NULL, 0), true);
    recorder_trend(recorder_custom(r, SLICE("my trend"), METRIC_TREND, METRIC_UNIT_NONE, NULL, 0),
                   7);
    recorder_count(recorder_series(r, M_PROCESS_CPU, NULL, 0), 1500 * NS_PER_MS);
    flush(r, c);
    Buf page = buf_create(EXPOSITION_BYTES_MAX);
    exposition_write(&page, c, SLICE("k6_"));
    static const char *const lines[] = {
        "agent_mailbox_depth 3\n",           "k6_checks_ratio 1\n",
        "k6_my_trend{quantile=\"0.5\"} 7\n", "k6_my_trend_sum 7\n",
        "# TYPE k6_my_trend summary\n",      "process_cpu_seconds_total 1.5\n",
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        expect_line(&page, lines[i]);
    }
    buf_done(&page);
    collector_destroy(c);
    recorder_destroy(r);
}

static void test_every_metric_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (MetricId i = 0; i < METRIC_COUNT; i++) {
        const MetricInfo *m = metric_info(i);
        assert_true(m->bound_count <= METRIC_BOUNDS_MAX);
        assert_non_null(m->otel_unit);
        for (size_t b = 1; b < m->bound_count; b++) {
            assert_true(m->bounds[b - 1] < m->bounds[b]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_guides_histogram),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_other_kinds),
        cmocka_unit_test(test_every_metric_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
