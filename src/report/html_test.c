// Golden properties of the page; its well-formedness is checked by test/report_outputs.py with a
// parser of its own.
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "report/html.h"
#include "report/sample_run.h"

static bool holds(const Buf *out, const char *text)
{
    return slice_find(buf_slice(out), slice_from_cstr(text)) >= 0;
}

static Buf render(SampleRun *s)
{
    ReportModel m;
    report_model_init(&m, &s->input, s->arena);
    Buf out = buf_create(REPORT_HTML_MAX);
    assert_int_equal(report_html(&m, &out, NULL), 0);
    report_model_done(&m);
    return out;
}

static void test_everything_is_there(void **state)
{
    (void)state;
    SampleRun *s = sample_run_create();
    Buf out = render(s);
    static const char *const texts[] = {
        "<!DOCTYPE html>",
        "Content-Security-Policy",
        "prefers-color-scheme:dark",
        "slo breached",
        "Offered and achieved",
        "Latency heat map",
        "Latency by percentile",
        "Failed requests a second",
        "Generator lateness",
        "Generator CPU and steal",
        "HTTP 503",
        "1212: connection refused",
        "+21.3 %",
        "POST /checkout",
        "60303ae22b998861bce3b28f33eec1be",
        "perfwright loadtest shop.yaml --seed 7",
        "not measured",
        "http_req_duration{name:POST /checkout}",
        "carries 94.0 % of the change",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (!holds(&out, texts[i])) {
            print_error("the page lacks \"%s\"\n", texts[i]);
            fail();
        }
    }
    buf_done(&out);
    sample_run_destroy(s);
}

static void test_hostile_names_stay_text(void **state)
{
    (void)state;
    SampleRun *s = sample_run_create();
    s->run.info.name = SLICE("</title><script>alert(1)</script>");
    s->warnings[0] = SLICE("\"><svg onload=alert(1)>\x01\xFF");
    Buf out = render(s);
    assert_false(holds(&out, "<script"));
    assert_false(holds(&out, "<svg onload"));
    assert_false(holds(&out, "<img"));
    assert_false(holds(&out, "\x01"));
    assert_false(holds(&out, "http://www.w3.org/1999"));
    assert_true(holds(&out, "&lt;img src=x onerror=alert(1)&gt;&amp;&quot;&#39;"));
    // No resource from anywhere: the SVG name space is the only address.
    assert_false(holds(&out, "src=\""));
    assert_false(holds(&out, "href"));
    assert_false(holds(&out, "url("));
    buf_done(&out);
    sample_run_destroy(s);
}

static void test_invalid_run_has_no_verdict(void **state)
{
    (void)state;
    SampleRun *s = sample_run_create();
    s->judgement.status = JUDGE_INVALID;
    s->judgement.invalid_reason = SLICE("lateness p99 of 120 ms, the limit is 10 ms");
    Buf out = render(s);
    assert_true(holds(&out, "no verdict"));
    assert_true(holds(&out, "lateness p99 of 120 ms"));
    assert_false(holds(&out, "checkout-latency"));
    assert_false(holds(&out, "Against the baseline"));
    assert_false(holds(&out, ">crossed<") || holds(&out, ">holds<"));
    assert_true(holds(&out, ">not judged<"));
    buf_done(&out);
    sample_run_destroy(s);
}

static void test_empty_and_too_large(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    RunData run = {.end = {.status = RUN_PARTIAL}};
    ReportModel m;
    report_model_init(&m, &(ReportInput){.run = &run}, arena);
    Buf out = buf_create(REPORT_HTML_MAX);
    assert_int_equal(report_html(&m, &out, NULL), 0);
    assert_true(holds(&out, "Partial result"));
    assert_true(holds(&out, "Failed requests were not measured."));
    buf_done(&out);
    out = buf_create(1000);
    assert_int_equal(report_html(&m, &out, NULL), ERR_LIMIT);
    buf_done(&out);
    report_model_done(&m);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_is_there),
        cmocka_unit_test(test_hostile_names_stay_text),
        cmocka_unit_test(test_invalid_run_has_no_verdict),
        cmocka_unit_test(test_empty_and_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
