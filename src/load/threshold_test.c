// Ground truth: the cases of k6's metrics/thresholds_parser_test.go and metrics/metric_test.go
// (ParseMetricName), as far as the grammars agree; NaN and infinite limits are refused here.
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>

#include "base/units.h"
#include "load/threshold.h"

// cmocka's own comparison rounds to float.
static void assert_near(double value, double expected, double within)
{
    if (!(fabs(value - expected) <= within)) {
        fail_msg("%.17g, not %.17g", value, expected);
    }
}

static void test_expressions(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        MetricKind kind;
        ThresholdAgg agg;
        ThresholdOp op;
        double limit, percentile;
    } cases[] = {
        {"count>20", METRIC_COUNTER, AGG_COUNT, TEST_GT, 20, 0},
        {"rate<0.01", METRIC_RATE, AGG_RATE, TEST_LT, 0.01, 0},
        {"rate>=1.5e3", METRIC_COUNTER, AGG_RATE, TEST_GE, 1500, 0},
        {"value===5", METRIC_GAUGE, AGG_VALUE, TEST_EQ, 5, 0},
        {"value == -5", METRIC_GAUGE, AGG_VALUE, TEST_EQ, -5, 0},
        {" value  !=  5 ", METRIC_GAUGE, AGG_VALUE, TEST_NE, 5, 0},
        {"avg<=200", METRIC_TREND, AGG_AVG, TEST_LE, 200, 0},
        {"min > 0", METRIC_TREND, AGG_MIN, TEST_GT, 0, 0},
        {"max<1000", METRIC_TREND, AGG_MAX, TEST_LT, 1000, 0},
        {"med<500", METRIC_TREND, AGG_MED, TEST_LT, 500, 0},
        {"p(99.9)<1000", METRIC_TREND, AGG_P, TEST_LT, 1000, 99.9},
        {"p( 0 )<1", METRIC_TREND, AGG_P, TEST_LT, 1, 0},
        {"p(100)<1", METRIC_TREND, AGG_P, TEST_LT, 1, 100},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Threshold t;
        Err e = {0};
        if (threshold_parse(slice_from_cstr(cases[i].text), cases[i].kind, &t, &e) != 0) {
            fail_msg("%s: %s", cases[i].text, e.text);
        }
        assert_int_equal(t.agg, cases[i].agg);
        assert_int_equal(t.op, cases[i].op);
        assert_near(t.limit, cases[i].limit, 0);
        assert_true(t.agg != AGG_P || t.percentile == cases[i].percentile);
    }
}

static void test_expressions_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        MetricKind kind;
        const char *says;
    } cases[] = {
        {"", METRIC_TREND, "no operator"},
        {"p(95)", METRIC_TREND, "p(95)<500"},
        {"rate", METRIC_RATE, "rate<0.01"},
        {"<500", METRIC_TREND, "is no aggregation; a trend has avg, min, max, med and p(N)"},
        {"p(95)<", METRIC_TREND, "is no number"},
        {"p(95)<500ms", METRIC_TREND, "milliseconds without a unit"},
        {"p(95)<nan", METRIC_TREND, "is no number"},
        {"p(95)<=>5", METRIC_TREND, "is no number"},
        {"p(101)<5", METRIC_TREND, "is no percentile"},
        {"p(-1)<5", METRIC_TREND, "is no percentile"},
        {"p()<5", METRIC_TREND, "is no percentile"},
        {"p(95<5", METRIC_TREND, "is no percentile"},
        {"p95<5", METRIC_TREND, "\"p95\" is no aggregation"},
        {"avg<5", METRIC_COUNTER, "does not apply to a counter; it has count and rate"},
        {"count<5", METRIC_TREND, "does not apply to a trend"},
        {"p(95)<5", METRIC_RATE, "does not apply to a rate; it has rate"},
        {"rate<5", METRIC_GAUGE, "does not apply to a gauge; it has value"},
        {"AVG<5", METRIC_TREND, "is no aggregation"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Threshold t;
        Err e = {0};
        int rc = threshold_parse(slice_from_cstr(cases[i].text), cases[i].kind, &t, &e);
        if (rc != ERR_PARSE || !strstr(e.text, cases[i].says)) {
            fail_msg("\"%s\": %d %s", cases[i].text, rc, e.text);
        }
    }
}

static void test_keys(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        MetricId metric;
        size_t tags;
        const char *first, *value;
    } cases[] = {
        {"http_req_duration", M_HTTP_REQ_DURATION, 0, NULL, NULL},
        {"http_req_duration{name:login}", M_HTTP_REQ_DURATION, 1, "name", "login"},
        {"checks{ group:::a , b:'x y' }", M_CHECKS, 2, "b", "x y"},
        {"http_reqs{url:http://a/?q}", M_HTTP_REQS, 1, "url", "http://a/?q"},
        {"http_reqs{\"a\":\"\"}", M_HTTP_REQS, 1, "a", ""},
        {"http_reqs{a:1,}", M_HTTP_REQS, 1, "a", "1"},
    };
    Arena *arena = arena_create(1 << 20);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        MetricId metric;
        Labels filter;
        Err e = {0};
        if (threshold_key_parse(arena, slice_from_cstr(cases[i].key), &metric, &filter, &e) != 0) {
            fail_msg("%s: %s", cases[i].key, e.text);
        }
        assert_int_equal(metric, cases[i].metric);
        assert_int_equal(filter.count, cases[i].tags);
        if (filter.count > 0) {
            assert_true(slice_eq_cstr(filter.items[0].key, cases[i].first));
            assert_true(slice_eq_cstr(filter.items[0].value, cases[i].value));
        }
    }
    static const char *const bad[] = {"",
                                      "http_req_duratio",
                                      "http_reqs{",
                                      "http_reqs}",
                                      "http_reqs{}",
                                      "http_reqs{a}",
                                      "http_reqs{:b}",
                                      "http_reqs{a:1}x",
                                      "http_reqs{a:1,a:2}"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        MetricId metric;
        Labels filter;
        Err e = {0};
        assert_true(threshold_key_parse(arena, slice_from_cstr(bad[i]), &metric, &filter, &e) < 0);
        assert_true(e.text[0] != 0);
    }
    arena_destroy(arena);
}

static void test_as_many_tags_as_a_series_has(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    for (int count = LABELS_MAX; count <= LABELS_MAX + 1; count++) {
        Buf key = buf_create(10000);
        buf_puts(&key, "checks{");
        for (int i = 0; i < count; i++) {
            buf_printf(&key, "t%d:v,", i);
        }
        buf_puts(&key, "}");
        MetricId metric;
        Labels filter;
        int rc = threshold_key_parse(arena, buf_slice(&key), &metric, &filter, NULL);
        assert_int_equal(rc, count > LABELS_MAX ? ERR_LIMIT : 0);
        buf_done(&key);
    }
    arena_destroy(arena);
}

// 1..100 ms: k6 and R's type 7 give p(95) = 95.05.
static void test_evaluation(void **state)
{
    (void)state;
    Hist hist;
    hist_init(&hist);
    for (int64_t ms = 1; ms <= 100; ms++) {
        hist_record(&hist, ms * NS_PER_MS);
    }
    const struct {
        const char *text;
        MetricKind kind;
        MetricUnit unit;
        Point point;
        double value, within;
        bool ok;
    } cases[] = {
        {"p(95)<96", METRIC_TREND, METRIC_UNIT_TIME, {.hist = &hist}, 95.05, 0.4, true},
        {"med>60", METRIC_TREND, METRIC_UNIT_TIME, {.hist = &hist}, 50.5, 0.25, false},
        {"avg==50.5", METRIC_TREND, METRIC_UNIT_TIME, {.hist = &hist}, 50.5, 0, true},
        {"min>=1", METRIC_TREND, METRIC_UNIT_TIME, {.hist = &hist}, 1, 0, true},
        {"max<100", METRIC_TREND, METRIC_UNIT_TIME, {.hist = &hist}, 100, 0, false},
        {"count<=7", METRIC_COUNTER, METRIC_UNIT_NONE, {.count = 7}, 7, 0, true},
        {"rate>3.5", METRIC_COUNTER, METRIC_UNIT_NONE, {.count = 7}, 3.5, 0, false},
        {"rate!=0.25", METRIC_RATE, METRIC_UNIT_NONE, {.count = 4, .trues = 1}, 0.25, 0, false},
        {"value<9", METRIC_GAUGE, METRIC_UNIT_NONE, {.last = 8.5, .max = 10}, 8.5, 0, true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Threshold t;
        double value = -1;
        bool ok = !cases[i].ok;
        assert_int_equal(threshold_parse(slice_from_cstr(cases[i].text), cases[i].kind, &t, NULL),
                         0);
        assert_true(
            threshold_eval(&t, cases[i].unit, &cases[i].point, 2 * NS_PER_SECOND, &value, &ok));
        assert_near(value, cases[i].value, cases[i].within);
        assert_int_equal(ok, cases[i].ok);
    }
    hist_done(&hist);
}

static void test_nothing_recorded_is_no_breach(void **state)
{
    (void)state;
    Hist empty;
    hist_init(&empty);
    const struct {
        const char *text;
        MetricKind kind;
        Point point;
    } cases[] = {
        {"p(95)<1", METRIC_TREND, {.hist = &empty}},
        {"p(95)<1", METRIC_TREND, {.hist = NULL}},
        {"rate<0.1", METRIC_RATE, {.count = 0}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Threshold t;
        double value = 0;
        bool ok = false;
        assert_int_equal(threshold_parse(slice_from_cstr(cases[i].text), cases[i].kind, &t, NULL),
                         0);
        assert_false(threshold_eval(&t, METRIC_UNIT_TIME, &cases[i].point, 1, &value, &ok));
        assert_true(ok);
        ok = false;
        assert_false(threshold_eval(&t, METRIC_UNIT_TIME, NULL, 1, &value, &ok));
        assert_true(ok);
    }
    hist_done(&empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expressions), cmocka_unit_test(test_expressions_refused),
        cmocka_unit_test(test_keys),        cmocka_unit_test(test_as_many_tags_as_a_series_has),
        cmocka_unit_test(test_evaluation),  cmocka_unit_test(test_nothing_recorded_is_no_breach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
