#include "judge/openslo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

// Shaped after the examples of the OpenSLO v1 specification (README.md of OpenSLO/OpenSLO), with
// our metric source in the place of theirs.
static const char GOOD[] =
    "apiVersion: openslo/v1\n"
    "kind: Service\n"
    "metadata: {name: shop}\n"
    "spec: {description: the shop}\n"
    "---\n"
    "apiVersion: openslo/v1\n"
    "kind: SLI\n"
    "metadata:\n"
    "  name: latency\n"
    "spec:\n"
    "  thresholdMetric:\n"
    "    metricSource:\n"
    "      metricSourceRef: here\n"
    "      spec: {metric: http_req_duration, endpoint: checkout}\n"
    "---\n"
    "apiVersion: openslo/v1\n"
    "kind: DataSource\n"
    "metadata: {name: here}\n"
    "spec: {type: perfwright}\n"
    "---\n"
    "apiVersion: openslo/v1\n"
    "kind: SLO\n"
    "metadata: {name: checkout-latency}\n"
    "spec:\n"
    "  service: shop\n"
    "  indicatorRef: latency\n"
    "  timeWindow: [{duration: 4w, isRolling: true}]\n"
    "  budgetingMethod: Occurrences\n"
    "  objectives:\n"
    "    - {op: lte, value: 500, target: 0.95}\n"
    "---\n"
    "apiVersion: openslo/v1\n"
    "kind: SLO\n"
    "metadata: {name: availability}\n"
    "spec:\n"
    "  service: shop\n"
    "  indicator:\n"
    "    metadata: {name: errors}\n"
    "    spec:\n"
    "      ratioMetric:\n"
    "        counter: true\n"
    "        bad: {metricSource: {type: perfwright, spec: {metric: http_req_failed}}}\n"
    "        total: {metricSource: {type: perfwright, spec: {metric: http_reqs}}}\n"
    "  budgetingMethod: Timeslices\n"
    "  objectives:\n"
    "    - {displayName: usual, targetPercent: 99.5, timeSliceTarget: 0.99, timeSliceWindow: 30s}\n"
    "    - {target: 0.9, timeSliceTarget: 0.5, timeSliceWindow: 1}\n";

static int read_text(Arena *arena, const char *text, OpenSlo *ret, Err *e)
{
    return openslo_read(arena, slice_from_cstr(text), "slo.yaml", ret, e);
}

static void test_reads_objectives(void **state)
{
    (void)state;
    Arena *arena = arena_create(16 << 20);
    OpenSlo file;
    Err e = {0};
    if (read_text(arena, GOOD, &file, &e) != 0) {
        fail_msg("%s", e.text);
    }
    assert_int_equal(file.slo_count, 3);
    const Slo *latency = &file.slos[0];
    assert_true(slice_eq(latency->name, SLICE("checkout-latency")));
    assert_true(slice_eq(latency->service, SLICE("shop")));
    assert_true(slice_eq(latency->origin, SLICE("slo.yaml:30")));
    assert_true(slice_eq(labels_get(latency->filter, SLICE("name")), SLICE("checkout")));
    assert_int_equal(latency->op, SLO_OP_LE);
    assert_true(latency->threshold == 500 && latency->target == 0.95);
    assert_true(latency->failures_are_bad);
    assert_int_equal(latency->window_ns, 28 * INT64_C(86400000000000));
    const Slo *usual = &file.slos[1];
    assert_true(slice_eq(usual->name, SLICE("availability: usual")));
    assert_true(usual->true_is_bad);
    assert_int_equal(usual->budgeting, SLO_TIMESLICES);
    assert_true(usual->target == 0.995 && usual->slice_target == 0.99);
    assert_int_equal(usual->slice_ns, INT64_C(30000000000));
    assert_int_equal(file.slos[2].slice_ns, INT64_C(60000000000)); // a bare number is minutes
    assert_true(slice_eq(file.slos[2].name, SLICE("availability: objective 2")));
    arena_destroy(arena);
}

#define HEAD "apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: a}\n"
#define SPEC(indicator, rest)                                                                      \
    HEAD "spec:\n  service: s\n  indicator: {spec: " indicator "}\n  budgetingMethod: "            \
         "Occurrences\n" rest
#define TREND                                                                                      \
    "{thresholdMetric: {metricSource: {type: perfwright, spec: {metric: http_req_duration}}}}"
#define OBJECTIVE "  objectives: [{op: lte, value: 500, target: 0.95}]\n"

static void test_names_every_mistake(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *want; // part of some problem
    } cases[] = {
        {"", "there is no OpenSLO document"},
        {"- 1\n", "must be an object"},
        {"apiVersion: openslo.com/v2alpha\nkind: SLO\n", "must be openslo/v1"},
        {"apiVersion: openslo/v1\nkind: SL0\n", "did you mean \"SLO\"?"},
        {SPEC(TREND, "  objectives: []\n"), "1 to 100 objectives"},
        {SPEC(TREND, "  objectives: [{op: lte, value: 500}]\n"), "either target or targetPercent"},
        {SPEC(TREND, "  objectives: [{op: lte, value: 500, target: 1}]\n"), "below 1"},
        {SPEC(TREND, "  objectives: [{op: le, value: 5, target: 0.9}]\n"),
         "slo.yaml:8:21: op must"},
        {SPEC(TREND, "  objectives: [{target: 0.9}]\n"), "needs op and value"},
        {SPEC(TREND, "  objectives: [{op: lte, valeu: 5, target: 0.9}]\n"),
         "slo.yaml:8:26: unknown field \"valeu\"; did you mean \"value\"?"},
        {SPEC(TREND, "  objectives: [{indicatorRef: b, target: 0.9}]\n"), "composite SLOs"},
        {SPEC("{}", OBJECTIVE), "either ratioMetric or thresholdMetric"},
        {SPEC("{thresholdMetric: {metricSource: {type: Prometheus, spec: {query: x}}}}", OBJECTIVE),
         "metric source \"Prometheus\" is not supported"},
        {SPEC("{thresholdMetric: {metricSource: {type: perfwright, spec: {metric: "
              "http_req_duratoin}}}}",
              OBJECTIVE),
         "did you mean \"http_req_duration\"?"},
        {SPEC("{thresholdMetric: {metricSource: {type: perfwright, spec: {metric: "
              "http_req_failed}}}}",
              OBJECTIVE),
         "use ratioMetric for rates"},
        {SPEC("{ratioMetric: {good: {metricSource: {type: perfwright, spec: {metric: "
              "http_req_failed}}}, total: {metricSource: {type: perfwright, spec: {metric: "
              "http_reqs}}}}}",
              OBJECTIVE),
         "failed requests are not good"},
        {SPEC("{ratioMetric: {rawType: success, raw: {metricSource: {}}}}", OBJECTIVE),
         "raw ratios are not supported"},
        {SPEC("{ratioMetric: {bad: {metricSource: {type: perfwright, spec: {metric: "
              "http_req_failed}}}, total: {metricSource: {type: perfwright, spec: {metric: "
              "http_reqs, endpoint: x}}}}}",
              OBJECTIVE),
         "same labels"},
        {HEAD
         "spec:\n  service: s\n  indicatorRef: nowhere\n  budgetingMethod: Occurrences\n" OBJECTIVE,
         "there is no SLI named \"nowhere\""},
        {HEAD "spec:\n  service: s\n  indicator: {spec: " TREND
              "}\n  budgetingMethod: Timeslices\n" OBJECTIVE,
         "timeSliceWindow"},
        {HEAD "spec:\n  service: s\n  indicator: {spec: " TREND
              "}\n  timeWindow: [{duration: 28}]\n  budgetingMethod: Occurrences\n" OBJECTIVE,
         "duration must be a string"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Arena *arena = arena_create(16 << 20);
        OpenSlo file;
        Err e = {0};
        assert_int_equal(read_text(arena, cases[i].text, &file, &e), ERR_PARSE);
        bool found = false;
        for (size_t k = 0; k < file.problem_count; k++) {
            found = found || slice_find(file.problems[k], slice_from_cstr(cases[i].want)) >= 0;
        }
        if (!found) {
            fail_msg("case %zu wants \"%s\", has \"%s\"", i, cases[i].want, e.text);
        }
        arena_destroy(arena);
    }
}

static void test_lists_all_mistakes_of_a_file(void **state)
{
    (void)state;
    Arena *arena = arena_create(16 << 20);
    OpenSlo file;
    Err e = {0};
    assert_int_equal(read_text(arena,
                               HEAD "spec:\n  servic: s\n  indicator: {spec: " TREND
                                    "}\n  budgetingMethod: Often\n"
                                    "  objectives: [{op: lte, value: x, target: 2}]\n",
                               &file, &e),
                     ERR_PARSE);
    // servic, missing service, Often, value x, op without value, target.
    assert_int_equal(file.problem_count, 6);
    assert_non_null(strstr(e.text, "(and 5 more)"));
    arena_destroy(arena);
}

// The ceiling on what is listed: 150 unknown fields are counted, 100 shown.
static void test_list_has_an_end(void **state)
{
    (void)state;
    Arena *arena = arena_create(16 << 20);
    Buf text = buf_create(1 << 20);
    buf_puts(&text, "apiVersion: openslo/v1\nkind: Service\nmetadata: {name: a}\n");
    for (int i = 0; i < OPENSLO_PROBLEMS_MAX + 50; i++) {
        buf_printf(&text, "field%d: 1\n", i);
    }
    OpenSlo file;
    assert_int_equal(openslo_read(arena, buf_slice(&text), "slo.yaml", &file, NULL), ERR_PARSE);
    assert_int_equal(file.problem_count, OPENSLO_PROBLEMS_MAX);
    assert_int_equal(file.problems_in_all, OPENSLO_PROBLEMS_MAX + 50);
    buf_done(&text);
    arena_destroy(arena);
}

static void test_number_of_documents_has_a_limit(void **state)
{
    (void)state;
    Arena *arena = arena_create(64 << 20);
    Buf text = buf_create(1 << 20);
    for (int i = 0; i < OPENSLO_OBJECTS_MAX; i++) {
        buf_printf(&text, "---\n{apiVersion: openslo/v1, kind: Service, metadata: {name: a%d}}\n",
                   i);
    }
    OpenSlo file;
    assert_int_equal(openslo_read(arena, buf_slice(&text), "slo.yaml", &file, NULL), 0);
    buf_puts(&text, "---\n{apiVersion: openslo/v1, kind: Service, metadata: {name: b}}\n");
    assert_int_equal(openslo_read(arena, buf_slice(&text), "slo.yaml", &file, NULL), ERR_PARSE);
    buf_done(&text);
    arena_destroy(arena);
}

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds; // 0: refused
    } cases[] = {{"30s", 30},     {"5m", 300},     {"12h", 43200},  {"1d", 86400},
                 {"4w", 2419200}, {"1M", 2592000}, {"1Q", 7776000}, {"1Y", 31536000},
                 {"0d", 0},       {"-1d", 0},      {"1.5h", 0},     {"d", 0},
                 {"", 0},         {"1 d", 0},      {"1x", 0},       {"9223372036854775807d", 0}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t ns = 0;
        int rc = openslo_duration(slice_from_cstr(cases[i].text), &ns);
        assert_int_equal(rc, cases[i].seconds ? 0 : ERR_PARSE);
        assert_int_equal(ns, cases[i].seconds * INT64_C(1000000000));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_objectives),
        cmocka_unit_test(test_names_every_mistake),
        cmocka_unit_test(test_lists_all_mistakes_of_a_file),
        cmocka_unit_test(test_list_has_an_end),
        cmocka_unit_test(test_number_of_documents_has_a_limit),
        cmocka_unit_test(test_durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
