// The shape is that of k6's documentation of --summary-export ("Summary export to a JSON file"):
// values hoisted into the metric, rates as "value", thresholds true when they failed.
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "report/sample_run.h"
#include "report/summary_export.h"

static const Doc *at(const Doc *doc, const char *key)
{
    const Doc *found = doc_get(doc, slice_from_cstr(key));
    if (!found) {
        print_error("no member \"%s\"\n", key);
    }
    assert_non_null(found);
    return found;
}

static void test_shape(void **state)
{
    (void)state;
    SampleRun *s = sample_run_create();
    ReportModel m;
    report_model_init(&m, &s->input, s->arena);
    Buf out = buf_create(REPORT_SUMMARY_MAX);
    assert_int_equal(report_summary_export(&m, &out, NULL), 0);
    assert_true(slice_starts_with(buf_slice(&out), SLICE("{\n    \"root_group\": {\n        ")));
    const Doc *doc = NULL;
    assert_int_equal(doc_parse(s->arena, buf_slice(&out), NULL, &doc, NULL), 0);
    const Doc *metrics = at(doc, "metrics");
    const Doc *reqs = at(metrics, "http_reqs");
    assert_int_equal((int)doc_number(at(reqs, "count")), SAMPLE_SECONDS * SAMPLE_RATE);
    assert_int_equal((int)doc_number(at(reqs, "rate")), SAMPLE_RATE);
    const Doc *duration = at(metrics, "http_req_duration");
    assert_true(doc_number(at(duration, "p(95)")) == m.totals.latency.p95);
    assert_true(doc_number(at(duration, "max")) == m.totals.latency.max);
    const Doc *failed = at(metrics, "http_req_failed");
    assert_true(doc_number(at(failed, "passes")) == m.totals.failed);
    assert_true(doc_number(at(failed, "value")) == m.totals.failed_share);
    assert_false(at(at(failed, "thresholds"), "rate<0.05")->boolean); // holds: false
    // The threshold's submetric has values of its own, and its threshold failed.
    const Doc *checkout = at(metrics, "http_req_duration{name:POST /checkout}");
    assert_true(at(at(checkout, "thresholds"), "p(95)<50")->boolean);
    assert_true(doc_number(at(checkout, "p(95)")) == m.endpoints[0].latency.p95);
    assert_int_equal((int)doc_number(at(at(metrics, "vus"), "max")), 50);
    const Doc *check = at(at(at(doc, "root_group"), "checks"), "status is 200");
    assert_true(slice_eq_cstr(at(check, "path")->text, "::status is 200"));
    buf_done(&out);
    report_model_done(&m);
    sample_run_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shape)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
