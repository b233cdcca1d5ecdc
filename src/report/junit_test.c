#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "report/junit.h"
#include "report/sample_run.h"

static Buf render(SampleRun *s)
{
    ReportModel m;
    report_model_init(&m, &s->input, s->arena);
    Buf out = buf_create(REPORT_JUNIT_MAX);
    assert_int_equal(report_junit(&m, &out, NULL), 0);
    report_model_done(&m);
    return out;
}

static bool holds(const Buf *out, const char *text)
{
    return slice_find(buf_slice(out), slice_from_cstr(text)) >= 0;
}

static void test_outcomes(void **state)
{
    (void)state;
    SampleRun *s = sample_run_create();
    s->changes[2].value = CHANGE_NOT_COMPARABLE;
    Buf out = render(s);
    // Breached, met, not proven.
    assert_true(
        holds(&out, "name=\"objectives\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\""));
    assert_true(
        holds(&out, "name=\"thresholds\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\""));
    // Two p95 rows are slower; a slower p50 only informs, one row cannot be compared.
    assert_true(
        holds(&out, "name=\"comparison\" tests=\"7\" failures=\"2\" errors=\"0\" skipped=\"2\""));
    assert_true(holds(&out, "name=\"run\" tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"0\""));
    assert_true(holds(&out, "name=\"http_req_failed rate&lt;0.05\""));
    assert_false(holds(&out, "<img"));
    buf_done(&out);
    sample_run_destroy(s);
}

static void test_invalid_and_partial(void **state)
{
    (void)state;
    SampleRun *s = sample_run_create();
    s->run.end.status = RUN_INVALID;
    Buf out = render(s);
    assert_true(holds(&out, "tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\""));
    assert_false(holds(&out, "name=\"objectives\""));
    assert_false(holds(&out, "name=\"thresholds\""));
    buf_done(&out);
    s->run.end.status = RUN_PARTIAL;
    out = render(s);
    assert_true(holds(&out, "<skipped message=\"partial: ended early\"/>"));
    buf_done(&out);
    sample_run_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_invalid_and_partial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
