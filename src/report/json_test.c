// The report is read back with base/doc.h; test/report_outputs.py holds it against the schema.
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "report/json.h"
#include "report/sample_run.h"

static const Doc *render(SampleRun *s)
{
    ReportModel m;
    report_model_init(&m, &s->input, s->arena);
    Buf out = buf_create(REPORT_JSON_MAX);
    assert_int_equal(report_json(&m, &out, NULL), 0);
    const Doc *doc = NULL;
    assert_int_equal(doc_parse(s->arena, buf_slice(&out), NULL, &doc, NULL), 0);
    buf_done(&out);
    report_model_done(&m);
    return doc;
}

static const Doc *at(const Doc *doc, const char *key)
{
    const Doc *found = doc_get(doc, slice_from_cstr(key));
    if (!found) {
        print_error("no member \"%s\"\n", key);
    }
    assert_non_null(found);
    return found;
}

static void test_contents(void **state)
{
    (void)state;
    SampleRun *s = sample_run_create();
    const Doc *doc = render(s);
    assert_int_equal(at(doc, "version")->integer, REPORT_JSON_VERSION);
    assert_int_equal(at(at(doc, "verdict"), "exit_code")->integer, 99);
    assert_int_equal((int)doc_number(at(at(doc, "totals"), "requests")),
                     SAMPLE_SECONDS * SAMPLE_RATE);
    assert_int_equal(doc_count(at(doc, "steps")), SAMPLE_SECONDS);
    assert_int_equal(doc_count(at(doc, "objectives")), 3);
    assert_int_equal(doc_count(at(at(doc, "comparison"), "changes")), 7);
    assert_true(slice_eq_cstr(at(at(doc, "run"), "seed")->text, "7"));
    // Not a number is null: the third objective has no threshold.
    assert_int_equal(at(doc_at(at(doc, "objectives"), 2), "threshold")->type, DOC_NULL);
    // The hostile endpoint survives unchanged.
    assert_true(
        slice_eq_cstr(at(doc_at(at(doc, "endpoints"), 2), "name")->text, sample_endpoints[2]));
    sample_run_destroy(s);
}

static void test_invalid_has_no_verdicts(void **state)
{
    (void)state;
    SampleRun *s = sample_run_create();
    s->run.end.status = RUN_INVALID;
    const Doc *doc = render(s);
    assert_true(slice_eq_cstr(at(at(doc, "verdict"), "status")->text, "no verdict"));
    assert_false(at(at(doc, "verdict"), "judged")->boolean);
    assert_int_equal(doc_count(at(doc, "objectives")), 0);
    assert_int_equal(at(doc, "comparison")->type, DOC_NULL);
    sample_run_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents),
        cmocka_unit_test(test_invalid_has_no_verdicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
