// Totals are checked against sums that the test makes itself over the sample's points; percentiles
// against hist_quantile of histograms that the test merges.
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "report/sample_run.h"

static SampleRun *sample;

static int setup(void **state)
{
    (void)state;
    sample = sample_run_create();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sample_run_destroy(sample);
    return 0;
}

static void test_totals(void **state)
{
    (void)state;
    ReportModel m;
    report_model_init(&m, &sample->input, sample->arena);
    assert_int_equal((int)m.totals.requests, SAMPLE_SECONDS * SAMPLE_RATE);
    assert_int_equal((int)m.totals.request_rate, SAMPLE_RATE);
    assert_int_equal((int)m.totals.dropped, 7 * 15);
    assert_int_equal((int)m.totals.offered, SAMPLE_SECONDS * SAMPLE_RATE + 7 * 15);
    assert_int_equal((int)m.totals.vus_max, 50);
    assert_int_equal(m.totals.latency.count, SAMPLE_SECONDS * SAMPLE_RATE);
    assert_true(m.totals.corrected.p99 > m.totals.latency.p99);
    Hist merged;
    hist_init(&merged);
    for (size_t i = 0; i < sample->run.series_count; i++) {
        if (slice_eq(sample->series[i].info.metric, SLICE("http_req_duration"))) {
            hist_merge(&merged, &sample->totals[i]);
        }
    }
    assert_true(m.totals.latency.p95 == hist_quantile(&merged, 0.95) / 1e6);
    hist_done(&merged);
    report_model_done(&m);
}

static void test_steps(void **state)
{
    (void)state;
    ReportModel m;
    report_model_init(&m, &sample->input, sample->arena);
    assert_int_equal(m.step_count, SAMPLE_SECONDS);
    assert_int_equal((int)m.steps[10].achieved, SAMPLE_RATE);
    assert_int_equal((int)m.steps[10].offered, SAMPLE_RATE);
    assert_int_equal((int)m.steps[36].offered, SAMPLE_RATE + 15);
    assert_int_equal((int)m.steps[36].vus, 50);
    assert_true(m.steps[36].latency.p50 > m.steps[10].latency.p50);
    assert_true(m.steps[10].cpu >= 0.35 && m.steps[10].cpu <= 0.45);
    double failed = 0, by_kind = 0;
    for (size_t i = 0; i < m.step_count; i++) {
        failed += m.steps[i].failed;
        for (size_t k = 0; k < m.kind_count; k++) {
            by_kind += m.steps[i].errors[k];
        }
    }
    assert_true(fabs(failed - m.totals.failed) < 1e-6 && fabs(by_kind - failed) < 1e-6);
    report_model_done(&m);
}

// Thousands of intervals become at most REPORT_STEPS_MAX steps whose percentiles are those of the
// merged histograms, and nothing is lost.
static void test_long_run(void **state)
{
    (void)state;
    SampleRun *s = sample_run_create();
    for (size_t i = 0; i < s->run.series_count; i++) {
        for (size_t t = 0; t < SAMPLE_SECONDS; t++) {
            s->points[i][t].index *= 100;
        }
    }
    s->run.interval_count = 5901;
    s->run.end.duration_ns = 5901 * NS_PER_SECOND;
    ReportModel m;
    report_model_init(&m, &s->input, s->arena);
    assert_true(m.step_count <= REPORT_STEPS_MAX && m.step_count > REPORT_STEPS_MAX / 2);
    uint64_t count = 0, heat = 0;
    for (size_t i = 0; i < m.step_count; i++) {
        count += m.steps[i].latency.count;
    }
    for (size_t i = 0; i < m.heat.columns * m.heat.rows; i++) {
        heat += m.heat.counts[i];
    }
    assert_int_equal(count, SAMPLE_SECONDS * SAMPLE_RATE);
    assert_int_equal(heat, count);
    report_model_done(&m);
    sample_run_destroy(s);
}

static void test_tables(void **state)
{
    (void)state;
    ReportModel m;
    report_model_init(&m, &sample->input, sample->arena);
    assert_int_equal(m.endpoint_count, 3);
    assert_true(slice_eq_cstr(m.endpoints[0].name, "POST /checkout")); // most time spent
    // Its failures lie in three series: by status 200, 503 and without an answer.
    assert_true(m.endpoints[0].failed > 0 && m.endpoints[0].failed == m.totals.failed);
    assert_int_equal(m.kind_count, 2);
    assert_true(slice_eq_cstr(m.kinds[0].name, "HTTP 503"));
    assert_true(slice_eq_cstr(m.kinds[1].name, "1212: connection refused"));
    assert_true(m.kinds[1].first_seen_s >= 35);
    assert_int_equal(m.check_count, 2);
    assert_int_equal(m.threshold_count, 2);
    assert_true(slice_eq_cstr(m.thresholds[0].metric, "http_req_duration{name:POST /checkout}"));
    assert_false(m.thresholds[0].ok);
    assert_int_equal(m.environment.count, 4);
    assert_true(slice_eq_cstr(m.environment.items[3].value, "not measured"));
    assert_true(slice_eq_cstr(m.summary.items[1].name, "cost.money"));
    assert_int_equal(m.health.count, 4); // the samples are a chart's, the reason is empty
    assert_true(slice_eq_cstr(m.health.items[1].value, "5.20 ms"));
    report_model_done(&m);
}

static void test_empty_run(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    RunData run = {.end = {.status = RUN_PARTIAL}};
    ReportModel m;
    report_model_init(&m, &(ReportInput){.run = &run}, arena);
    assert_true(isnan(m.totals.requests) && isnan(m.totals.latency.p95) && isnan(m.duration_s));
    assert_int_equal(m.step_count, 0);
    assert_int_equal(m.endpoint_count, 0);
    assert_true(slice_eq_cstr(m.verdict, "not judged"));
    assert_true(slice_eq_cstr(m.notices[0].title, "Partial result"));
    report_model_done(&m);
    arena_destroy(arena);
}

static bool has_notice(const ReportModel *m, const char *title)
{
    for (size_t i = 0; i < m->notice_count; i++) {
        if (slice_eq_cstr(m->notices[i].title, title)) {
            return true;
        }
    }
    return false;
}

static void test_notices(void **state)
{
    (void)state;
    SampleRun *s = sample_run_create();
    s->run.end.status = RUN_INVALID;
    s->run.info.load_scale = 0.5;
    s->run.seal_hash = (Slice){0};
    ReportModel m;
    report_model_init(&m, &s->input, s->arena);
    assert_true(slice_eq_cstr(m.verdict, "no verdict"));
    assert_int_equal(report_slo_count(&m), 0); // whatever the judgement holds
    assert_int_equal(report_change_count(&m), 0);
    assert_true(has_notice(&m, "Invalid run, no verdict") && has_notice(&m, "Reduced load"));
    assert_true(has_notice(&m, "Not sealed") && has_notice(&m, "Warning"));
    assert_false(has_notice(&m, "Single run"));
    report_model_done(&m);
    s->run.end.status = RUN_ABORTED;
    s->changes[0].single_run = true;
    report_model_init(&m, &s->input, s->arena);
    assert_true(has_notice(&m, "Single run") && has_notice(&m, "Aborted, partial result"));
    assert_int_equal(report_slo_count(&m), 3);
    report_model_done(&m);
    sample_run_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_totals),    cmocka_unit_test(test_steps),
        cmocka_unit_test(test_long_run),  cmocka_unit_test(test_tables),
        cmocka_unit_test(test_empty_run), cmocka_unit_test(test_notices),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
