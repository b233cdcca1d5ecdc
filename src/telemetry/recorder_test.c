#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "telemetry/collector.h"

static RecorderSeries *named(Recorder *r, MetricId metric, const char *name)
{
    const Label labels[] = {{SLICE("name"), slice_from_cstr(name)}};
    return recorder_series(r, metric, labels, 1);
}

static void test_series_are_interned_whatever_the_order_of_labels(void **state)
{
    (void)state;
    Recorder *r = recorder_create(&(RecorderOptions){0});
    const Label ab[] = {{SLICE("a"), SLICE("1")}, {SLICE("b"), SLICE("2")}};
    const Label ba[] = {
        {SLICE("b"), SLICE("2")}, {SLICE("c"), SLICE("")}, {SLICE("a"), SLICE("1")}};
    const Label twice[] = {
        {SLICE("a"), SLICE("1")}, {SLICE("b"), SLICE("2")}, {SLICE("a"), SLICE("9")}};
    RecorderSeries *s = recorder_series(r, M_HTTP_REQS, ab, 2);
    assert_ptr_equal(s, recorder_series(r, M_HTTP_REQS, ba, 3));
    assert_ptr_equal(s, recorder_series(r, M_HTTP_REQS, twice, 3));
    assert_ptr_not_equal(s, recorder_series(r, M_HTTP_REQ_FAILED, ab, 2));
    assert_ptr_not_equal(s, recorder_series(r, M_HTTP_REQS, ab, 1));
    assert_int_equal(recorder_series_count(r), 3);
    assert_int_equal(s->info.labels.count, 2);
    recorder_destroy(r);
}

// Texts that would be equal when simply joined are different series.
static void test_labels_cannot_forge_another_series(void **state)
{
    (void)state;
    Recorder *r = recorder_create(&(RecorderOptions){0});
    const Label one[] = {{SLICE("a"), SLICE("1b2")}};
    const Label two[] = {{SLICE("a"), SLICE("1")}, {SLICE("b"), SLICE("2")}};
    assert_ptr_not_equal(recorder_series(r, M_HTTP_REQS, one, 1),
                         recorder_series(r, M_HTTP_REQS, two, 2));
    recorder_destroy(r);
}

static void test_past_the_cap_counts_go_to_the_overflow_series(void **state)
{
    (void)state;
    Recorder *r = recorder_create(&(RecorderOptions){.series_max = 3});
    RecorderSeries *s[5];
    const char *names[] = {"a", "b", "c", "d", "e"};
    for (int i = 0; i < 5; i++) {
        s[i] = named(r, M_HTTP_REQS, names[i]);
    }
    assert_int_equal(recorder_overflows(r), 2);
    assert_ptr_equal(s[3], s[4]);
    assert_ptr_not_equal(s[2], s[3]);
    assert_true(slice_eq_cstr(labels_get(s[3]->info.labels, SLICE("overflow")), "true"));
    assert_ptr_equal(s[0], named(r, M_HTTP_REQS, "a"));
    assert_ptr_not_equal(s[3], named(r, M_CHECKS, "z")); // one a metric
    recorder_destroy(r);
}

static void run_two_intervals(bool shared)
{
    Recorder *r = recorder_create(&(RecorderOptions){.shared = shared});
    Collector *c = collector_create(0);
    RecorderSeries *trend = named(r, M_HTTP_REQ_DURATION, "a");
    RecorderSeries *count = named(r, M_HTTP_REQS, "a");
    RecorderSeries *rate = named(r, M_HTTP_REQ_FAILED, "a");
    RecorderSeries *gauge = named(r, M_VUS, "a");
    const Point *points;
    size_t n;
    for (int64_t second = 1; second <= 2; second++) {
        recorder_trend(trend, 100 * second);
        recorder_trend_infinite(trend);
        recorder_count(count, 5 * second);
        recorder_rate(rate, second == 1);
        recorder_gauge(gauge, (double)(10 - second));
        recorder_gauge(gauge, (double)second);
        collector_add(c, 0, recorder_take(r));
        assert_null(recorder_take(r));
        collector_points(c, &points, &n);
        assert_int_equal(n, 4);
        assert_int_equal(points[0].count, 2);
        assert_int_equal(points[0].hist->max, 100 * second);
        assert_int_equal(points[0].hist->infinite, 1);
        assert_int_equal(points[1].count, 5 * second);
        assert_int_equal(points[2].trues, second == 1);
        collector_next(c);
        recorder_give_back(r);
    }
    collector_add(c, 0, recorder_take(r));
    collector_points(c, &points, &n);
    assert_int_equal(n, 0); // nothing happened
    assert_int_equal(collector_series_count(c), 4);
    assert_int_equal(collector_total(c, 0)->hist->count, 2);
    assert_int_equal(collector_total(c, 0)->hist->min, 100);
    assert_int_equal(collector_total(c, 1)->count, 15);
    assert_int_equal(collector_total(c, 2)->count, 2);
    assert_int_equal(collector_total(c, 2)->trues, 1);
    assert_true(collector_total(c, 3)->min == 1 && collector_total(c, 3)->max == 9);
    assert_true(collector_total(c, 3)->last == 2);
    collector_destroy(c);
    recorder_destroy(r);
}

static void test_intervals_and_totals_on_one_thread(void **state)
{
    (void)state;
    run_two_intervals(false);
}

static void test_intervals_and_totals_of_a_shared_recorder(void **state)
{
    (void)state;
    run_two_intervals(true);
}

// What is recorded while the batch is out belongs to the next one.
static void test_shared_recorder_goes_on_while_a_batch_is_out(void **state)
{
    (void)state;
    Recorder *r = recorder_create(&(RecorderOptions){.shared = true});
    RecorderSeries *s = named(r, M_HTTP_REQ_DURATION, "a");
    recorder_trend(s, 1);
    const RecorderBatch *batch = recorder_take(r);
    recorder_trend(s, 2);
    recorder_trend(s, 3);
    assert_int_equal(batch->items[0].point.hist->count, 1);
    assert_int_equal(batch->items[0].point.hist->max, 1);
    recorder_give_back(r);
    batch = recorder_take(r);
    assert_int_equal(batch->items[0].point.hist->count, 2);
    assert_int_equal(batch->items[0].point.hist->min, 2);
    recorder_give_back(r);
    recorder_destroy(r);
}

static void test_sources_meet_in_one_series(void **state)
{
    (void)state;
    Collector *c = collector_create(0);
    Recorder *r[3];
    for (int i = 0; i < 3; i++) {
        r[i] = recorder_create(&(RecorderOptions){.shared = true});
        // Different ids for the same series.
        if (i == 1) {
            named(r[i], M_HTTP_REQS, "other");
        }
        recorder_trend(named(r[i], M_HTTP_REQ_DURATION, "a"), 10 + i);
        recorder_count(named(r[i], M_HTTP_REQS, "a"), 1);
        collector_add(c, (unsigned)i, recorder_take(r[i]));
    }
    const Point *points;
    size_t n;
    collector_points(c, &points, &n);
    assert_int_equal(n, 2);
    assert_int_equal(points[0].count, 3);
    assert_int_equal(points[0].hist->count, 3);
    assert_int_equal(points[0].hist->max, 12);
    assert_int_equal(points[1].count, 3);
    collector_next(c);
    Hist h;
    hist_init(&h);
    Point sum;
    const Label filter[] = {{SLICE("name"), SLICE("a")}};
    assert_int_equal(collector_sum(c, SLICE("http_req_duration"), (Labels){filter, 1}, &sum, &h),
                     1);
    assert_int_equal(sum.hist->count, 3);
    const Label none[] = {{SLICE("name"), SLICE("b")}};
    assert_int_equal(collector_sum(c, SLICE("http_reqs"), (Labels){none, 1}, &sum, &h), 0);
    hist_done(&h);
    for (int i = 0; i < 3; i++) {
        recorder_give_back(r[i]);
        recorder_destroy(r[i]);
    }
    collector_destroy(c);
}

static void test_collector_keeps_the_cap_over_all_sources(void **state)
{
    (void)state;
    Collector *c = collector_create(2);
    Recorder *r = recorder_create(&(RecorderOptions){0});
    const char *names[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++) {
        recorder_count(named(r, M_HTTP_REQS, names[i]), 1);
    }
    collector_add(c, 0, recorder_take(r));
    assert_int_equal(collector_series_count(c), 3);
    assert_int_equal(collector_total(c, 2)->count, 2);
    recorder_give_back(r);
    recorder_destroy(r);
    collector_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_series_are_interned_whatever_the_order_of_labels),
        cmocka_unit_test(test_labels_cannot_forge_another_series),
        cmocka_unit_test(test_past_the_cap_counts_go_to_the_overflow_series),
        cmocka_unit_test(test_intervals_and_totals_on_one_thread),
        cmocka_unit_test(test_intervals_and_totals_of_a_shared_recorder),
        cmocka_unit_test(test_shared_recorder_goes_on_while_a_batch_is_out),
        cmocka_unit_test(test_sources_meet_in_one_series),
        cmocka_unit_test(test_collector_keeps_the_cap_over_all_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
