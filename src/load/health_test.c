// The rules of docs/internals/health.md at their edges.
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "load/health.h"

static HealthReport healthy(bool open_model)
{
    return (HealthReport){
        .open_model = open_model,
        .seconds = 100,
        .due = 100000,
        .lateness_p50_ns = 10e3,
        .lateness_p95_ns = 90e3,
        .duration_p50_ns = 2e6,
        .throttled_mean = NAN,
    };
}

static bool judged(HealthReport r, const char *reason)
{
    Arena *a = arena_create(1 << 20);
    health_judge(&r, a);
    if (reason) {
        assert_true(slice_find(r.reason, slice_from_cstr(reason)) >= 0);
    }
    assert_int_equal(r.valid, r.reason.len == 0);
    arena_destroy(a);
    return r.valid;
}

static void test_lateness_limit(void **state)
{
    (void)state;
    HealthReport r = healthy(true);
    assert_true(judged(r, NULL));
    r.lateness_p95_ns = 1e6; // the floor, for fast targets
    assert_true(judged(r, NULL));
    r.lateness_p95_ns = 1.01e6;
    assert_false(judged(r, "late"));
    r.duration_p50_ns = 50e6; // a tenth of what is measured is 5 ms
    assert_true(judged(r, NULL));
    r.lateness_p95_ns = 5.1e6;
    assert_false(judged(r, "late"));
    r.open_model = false;
    assert_true(judged(r, NULL));
    r = healthy(true);
    r.duration_p50_ns = r.lateness_p95_ns = NAN; // no requests at all
    assert_true(judged(r, NULL));
}

static void test_dropped_limit(void **state)
{
    (void)state;
    HealthReport r = healthy(true);
    r.dropped_generator = 100; // 0.1 %
    assert_true(judged(r, NULL));
    r.dropped_generator = 101;
    assert_false(judged(r, "too late"));
}

static void test_saturated_thread(void **state)
{
    (void)state;
    HealthReport r = healthy(false);
    r.saturated_seconds = 50;
    assert_true(judged(r, NULL));
    r.saturated_seconds = 51;
    assert_false(judged(r, "whole CPU"));
    r.unanswered = true; // a port that refuses keeps a generator busy, and is what there is to say
    assert_true(judged(r, NULL));
    r.unanswered = false;
    r.open_model = true; // lateness tells there
    assert_true(judged(r, NULL));
}

static void test_steal_and_quota(void **state)
{
    (void)state;
    HealthReport r = healthy(false);
    r.steal_mean = 0.10;
    assert_true(judged(r, NULL));
    r.steal_mean = 0.11;
    assert_false(judged(r, "hypervisor"));
    r = healthy(false);
    r.throttled_mean = 0.05;
    assert_true(judged(r, NULL));
    r.throttled_mean = 0.06;
    assert_false(judged(r, "quota"));
}

static void test_readings_add_up(void **state)
{
    (void)state;
    HealthTotals t = {0};
    HealthReport r = {0};
    health_add_thread(&t, 0.5);
    health_add_thread(&t, HEALTH_THREAD_CPU);
    health_add_sample(&t, 0, 0.5);
    health_add_sample(&t, 2, 0.95);
    health_add_sample(&t, HEALTH_SAMPLES_MAX, 1); // past the end: forgotten
    health_fill(&t, &r);
    assert_int_equal(r.seconds, 2);
    assert_int_equal(r.saturated_seconds, 1);
    assert_true(fabs(r.thread_cpu_mean - 0.725) < 1e-9);
    assert_int_equal(r.samples->count, 3);
    Buf out = buf_create(1 << 16);
    JsonWriter w = json_writer(&out, 0);
    health_write(&w, &r);
    assert_non_null(strstr(out.data, "\"cpu\":[0.5,0,0.95]"));
    buf_done(&out);
    health_done(&t);
}

static void test_preflight(void **state)
{
    (void)state;
    Arena *a = arena_create(1 << 20);
    Slice warnings[8];
    HostInfo host = {.fd_limit = 1024, .port_first = 32768, .port_last = 60999, .cpu_quota = NAN};
    assert_int_equal(health_preflight(&host, 960, warnings, 8, a), 0);
    assert_int_equal(health_preflight(&host, 961, warnings, 8, a), 1);
    host.fd_limit = 1000000;
    assert_int_equal(health_preflight(&host, 28232, warnings, 8, a), 0);
    assert_int_equal(health_preflight(&host, 28233, warnings, 8, a), 1);
    arena_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lateness_limit),   cmocka_unit_test(test_dropped_limit),
        cmocka_unit_test(test_saturated_thread), cmocka_unit_test(test_steal_and_quota),
        cmocka_unit_test(test_readings_add_up),  cmocka_unit_test(test_preflight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
