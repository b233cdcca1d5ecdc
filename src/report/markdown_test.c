#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "report/markdown.h"
#include "report/sample_run.h"

static bool holds(const Buf *out, const char *text)
{
    return slice_find(buf_slice(out), slice_from_cstr(text)) >= 0;
}

static void test_tables(void **state)
{
    (void)state;
    SampleRun *s = sample_run_create();
    ReportModel m;
    report_model_init(&m, &s->input, s->arena);
    Buf out = buf_create(REPORT_MARKDOWN_MAX);
    assert_int_equal(report_markdown(&m, &out, NULL), 0);
    assert_true(holds(&out, "## Load test: slo breached"));
    assert_true(holds(&out, "| POST /checkout | p95 | 50.6 ms | 61.4 ms | +21.3 % |"));
    assert_true(holds(&out, "| GET /catalogue | p95 | 11.1 ms | 11.2 ms | ~ |"));
    // The hostile endpoint: no tag, no broken column.
    assert_false(holds(&out, "<img"));
    assert_true(holds(&out, "&#60;img src=x onerror=alert(1)&#62;&#38;&#34;&#39;"));
    assert_true(holds(&out, "| http_req_failed | holds | rate&#60;0.05 | 0.011 |"));
    assert_false(holds(&out, "Left out"));
    buf_done(&out);
    report_model_done(&m);
    sample_run_destroy(s);
}

// At the edge: whatever the ceiling, the output stays below it and names what it left out.
static void test_ceiling(void **state)
{
    (void)state;
    SampleRun *s = sample_run_create();
    ReportModel m;
    report_model_init(&m, &s->input, s->arena);
    for (size_t max = 1024; max < 8192; max += 512) {
        Buf out = buf_create(max);
        assert_int_equal(report_markdown(&m, &out, NULL), 0);
        assert_true(out.len <= max);
        buf_done(&out);
    }
    Buf out = buf_create(2048);
    assert_int_equal(report_markdown(&m, &out, NULL), 0);
    assert_true(holds(&out, "Left out for want of room: "));
    assert_true(holds(&out, "## Load test"));
    buf_done(&out);
    report_model_done(&m);
    sample_run_destroy(s);
}

static void test_many_rows(void **state)
{
    (void)state;
    SampleRun *s = sample_run_create();
    ReportModel m;
    report_model_init(&m, &s->input, s->arena);
    enum { MANY = 3000 };
    ReportEndpoint *many = ARENA_ARRAY(s->arena, ReportEndpoint, MANY);
    for (size_t i = 0; i < MANY; i++) {
        many[i] = m.endpoints[0];
        many[i].name = arena_printf(s->arena, "%0600zu", i);
    }
    m.endpoints = many;
    m.endpoint_count = MANY;
    Buf out = buf_create(8 << 20);
    assert_int_equal(report_markdown(&m, &out, NULL), 0);
    assert_true(out.len <= REPORT_MARKDOWN_MAX);
    assert_true(holds(&out, "50 of 3000 rows are shown"));
    buf_done(&out);
    report_model_done(&m);
    sample_run_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_ceiling),
        cmocka_unit_test(test_many_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
