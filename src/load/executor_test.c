// Each executor's counts against what k6 documents for it (reference: its executors' source and
// docs, v2.2), in simulated time.
#include "load/load_test.h"

#include <math.h>

#define SECONDS(n) ((int64_t)((n)*1e9))

static void test_shared_iterations_are_done_exactly(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    w.scenarios[0].executor = EXECUTOR_SHARED_ITERATIONS;
    w.scenarios[0].vus = w.scenarios[0].max_vus = 7;
    w.scenarios[0].iterations = 100;
    load_run(&w);
    assert_int_equal(w.result->end, ENGINE_DONE);
    assert_int_equal(w.result->iterations, 100);
    assert_int_equal(w.sent, 100);
    assert_int_equal(w.at_once_max, 7);
    assert_int_equal(w.result->duration_ns, SECONDS(1.5)); // ceil(100 / 7) rounds of 100 ms
    assert_int_equal(load_count(&w, M_ITERATIONS, "scenario", "s0"), 100);
    assert_int_equal(load_count(&w, M_HTTP_REQS, "status", "200"), 100);
    assert_int_equal(load_count(&w, M_HTTP_REQ_DURATION, "name", "home"), 100);
    assert_int_equal(load_count(&w, M_DATA_RECEIVED, NULL, NULL), 100 * 200);
    assert_int_equal(w.result->dropped_other, 0);
    load_close(&w);
}

static void test_per_vu_iterations_are_done_by_each(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    w.scenarios[0].executor = EXECUTOR_PER_VU_ITERATIONS;
    w.scenarios[0].vus = w.scenarios[0].max_vus = 4;
    w.scenarios[0].iterations = 5;
    load_run(&w);
    assert_int_equal(w.result->iterations, 20);
    assert_int_equal(w.result->duration_ns, SECONDS(0.5));
    load_close(&w);
}

// k6 counts what maxDuration left over as dropped_iterations.
static void test_max_duration_drops_the_rest(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    w.scenarios[0].executor = EXECUTOR_SHARED_ITERATIONS;
    w.scenarios[0].vus = w.scenarios[0].max_vus = 2;
    w.scenarios[0].iterations = 100;
    w.scenarios[0].max_duration_ns = SECONDS(1.05);
    load_run(&w);
    // Two VUs start at 0, 0.1, ... 1.0: the last two finish within gracefulStop.
    assert_int_equal(w.result->iterations, 22);
    assert_int_equal(w.result->dropped_other, 78);
    assert_int_equal(load_count(&w, M_DROPPED_ITERATIONS, "cause", "max_duration"), 78);
    load_close(&w);
}

// Steps without a name are no group: what they send belongs to the group around them.
static void test_groups_and_nameless_steps(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    w.steps[1] = (PlanStep){.kind = STEP_GROUP, .steps = &w.steps[0], .step_count = 1};
    w.steps[2] = (PlanStep){
        .kind = STEP_GROUP, .group = SLICE("::shop"), .steps = &w.steps[1], .step_count = 1};
    w.scenarios[0].executor = EXECUTOR_SHARED_ITERATIONS;
    w.scenarios[0].vus = w.scenarios[0].max_vus = 1;
    w.scenarios[0].iterations = 3;
    w.scenarios[0].steps = &w.steps[2];
    load_run(&w);
    assert_int_equal(load_count(&w, M_HTTP_REQS, "group", "::shop"), 3);
    assert_int_equal(load_count(&w, M_GROUP_DURATION, NULL, NULL), 3);
    load_close(&w);
}

static void test_constant_vus_run_for_their_duration(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    w.scenarios[0].executor = EXECUTOR_CONSTANT_VUS;
    w.scenarios[0].vus = w.scenarios[0].max_vus = 10;
    w.scenarios[0].duration_ns = SECONDS(2.95);
    load_run(&w);
    assert_int_equal(w.result->iterations, 10 * 30);
    assert_int_equal(w.result->interrupted, 0);
    assert_int_equal(w.result->duration_ns, SECONDS(3));
    assert_int_equal(w.result->vus_max, 10);
    assert_true(fabs(w.result->vu_hours - 10 * 3.0 / 3600) < 1e-6);
    load_close(&w);
}

// What gracefulStop does not wait for is interrupted, and no iteration.
static void test_graceful_stop_cuts_what_takes_too_long(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    w.latency_ns = SECONDS(5);
    w.scenarios[0].executor = EXECUTOR_CONSTANT_VUS;
    w.scenarios[0].vus = w.scenarios[0].max_vus = 3;
    w.scenarios[0].duration_ns = SECONDS(6);
    w.scenarios[0].graceful_stop_ns = SECONDS(2);
    load_run(&w);
    assert_int_equal(w.result->iterations, 3);
    assert_int_equal(w.result->interrupted, 3);
    assert_int_equal(w.result->requests, 3); // a cut request is none, as in k6
    assert_int_equal(w.result->duration_ns, SECONDS(8));
    load_close(&w);
}

static void test_no_graceful_stop_cuts_at_once(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    w.scenarios[0].executor = EXECUTOR_CONSTANT_VUS;
    w.scenarios[0].vus = w.scenarios[0].max_vus = 3;
    w.scenarios[0].duration_ns = SECONDS(1.05);
    w.scenarios[0].graceful_stop_ns = 0;
    load_run(&w);
    assert_int_equal(w.result->iterations, 30);
    assert_int_equal(w.result->interrupted, 3);
    assert_int_equal(w.result->duration_ns, SECONDS(1.05));
    load_close(&w);
}

// 0 -> 4 in 4 s: VU k starts at k s and does one iteration of 100 ms after the other until 5 s.
static void test_ramping_vus_come_one_by_one(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    const PlanStage stages[] = {{SECONDS(4), 4}, {SECONDS(0.95), 4}};
    w.scenarios[0].executor = EXECUTOR_RAMPING_VUS;
    w.scenarios[0].max_vus = 4;
    w.scenarios[0].stages = stages;
    w.scenarios[0].stage_count = 2;
    w.scenarios[0].duration_ns = SECONDS(4.95);
    load_run(&w);
    assert_int_equal(w.result->iterations, 40 + 30 + 20 + 10);
    assert_int_equal(w.result->interrupted, 0);
    assert_int_equal(w.sent_at[0] - NS_PER_S, SECONDS(1));
    assert_int_equal(w.at_once_max, 4);
    load_close(&w);
}

static void test_ramp_down_lets_iterations_finish_or_cuts_them(void **state)
{
    (void)state;
    for (int graceful = 0; graceful < 2; graceful++) {
        LoadWorld w;
        load_open(&w);
        const PlanStage stages[] = {{0, 2}, {SECONDS(10), 2}, {0, 0}, {SECONDS(10), 0}};
        w.latency_ns = SECONDS(4);
        w.scenarios[0].executor = EXECUTOR_RAMPING_VUS;
        w.scenarios[0].max_vus = 2;
        w.scenarios[0].stages = stages;
        w.scenarios[0].stage_count = 4;
        w.scenarios[0].duration_ns = SECONDS(20);
        w.scenarios[0].graceful_ramp_down_ns = graceful ? SECONDS(3) : SECONDS(1);
        load_run(&w);
        // Each VU starts at 0, 4, 8 s; at 10 s it has to go, and would be done at 12 s.
        assert_int_equal(w.result->iterations, graceful ? 6 : 4);
        assert_int_equal(w.result->interrupted, graceful ? 0 : 2);
        load_close(&w);
    }
}

// A VU that is wanted again before it has left goes on without a break.
static void test_ramp_down_and_up_again_keeps_the_vu(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    const PlanStage stages[] = {{0, 1},          {SECONDS(1), 1}, {0, 0},
                                {SECONDS(1), 0}, {0, 1},          {SECONDS(2), 1}};
    w.latency_ns = SECONDS(3);
    w.scenarios[0].executor = EXECUTOR_RAMPING_VUS;
    w.scenarios[0].max_vus = 1;
    w.scenarios[0].stages = stages;
    w.scenarios[0].stage_count = 6;
    w.scenarios[0].duration_ns = SECONDS(4);
    load_run(&w);
    assert_int_equal(w.result->iterations, 2); // at 0 and 3 s
    assert_int_equal(w.result->interrupted, 0);
    assert_int_equal(w.result->duration_ns, SECONDS(6));
    load_close(&w);
}

static void test_constant_arrival_rate_starts_on_time(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    w.latency_ns = SECONDS(0.095);
    w.scenarios[0].executor = EXECUTOR_CONSTANT_ARRIVAL_RATE;
    w.scenarios[0].rate = 50;
    w.scenarios[0].duration_ns = SECONDS(4);
    w.scenarios[0].pre_allocated_vus = 2;
    w.scenarios[0].max_vus = 20;
    load_run(&w);
    assert_int_equal(w.result->iterations, 200);
    assert_int_equal(w.at_once_max, 5); // 50/s times 95 ms
    assert_int_equal(w.result->vus_max, 5);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(w.sent_at[i] - NS_PER_S, i * SECONDS(0.02));
    }
    assert_int_equal(load_count(&w, M_GENERATOR_LATENESS, NULL, NULL), 200);
    assert_int_equal(load_count(&w, M_ITERATION_LATENESS, "cause", "generator"), 200);
    assert_int_equal(load_count(&w, M_ITERATION_LATENESS, "cause", "no_free_vu"), 0);
    assert_int_equal(load_count(&w, M_HTTP_REQ_CORRECTED_DURATION, NULL, NULL), 200);
    assert_int_equal(w.result->dropped_generator + w.result->dropped_no_vu, 0);
    assert_true(w.result->health.valid);
    load_close(&w);
}

// From 0 to 20/s in 4 s: the integral is 2.5 t^2, so iteration i starts at sqrt((i + 1) / 2.5) s;
// the 40th at the very end (reference/load-testing.md 1.17: exact integral, closed form).
static void test_ramping_arrival_rate_follows_the_integral(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    const PlanStage stages[] = {{SECONDS(4), 20}};
    w.scenarios[0].executor = EXECUTOR_RAMPING_ARRIVAL_RATE;
    w.scenarios[0].stages = stages;
    w.scenarios[0].stage_count = 1;
    w.scenarios[0].duration_ns = SECONDS(4);
    w.scenarios[0].pre_allocated_vus = w.scenarios[0].max_vus = 10;
    load_run(&w);
    assert_int_equal(w.result->iterations, 40);
    for (int i = 0; i < 40; i++) {
        double expected = sqrt((i + 1) / 2.5) * 1e9;
        assert_true(fabs((double)(w.sent_at[i] - NS_PER_S) - expected) < 2);
    }
    load_close(&w);
}

// One VU, 300 ms an iteration, 10/s for a second: the VU is free at 0, 0.3, 0.6, 0.9 s. Arrivals
// wait behind it, one at a time; what neither ran nor waits at the end is dropped.
static void test_arrivals_wait_for_a_vu_and_are_dropped(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    w.latency_ns = SECONDS(0.3);
    w.scenarios[0].executor = EXECUTOR_CONSTANT_ARRIVAL_RATE;
    w.scenarios[0].rate = 10;
    w.scenarios[0].duration_ns = SECONDS(1);
    w.scenarios[0].pre_allocated_vus = w.scenarios[0].max_vus = 1;
    load_run(&w);
    assert_int_equal(w.result->iterations, 4);
    assert_int_equal(w.result->dropped_no_vu, 6);
    assert_int_equal(w.result->iterations + w.result->dropped_no_vu, 10);
    assert_int_equal(load_count(&w, M_DROPPED_ITERATIONS, "cause", "no_free_vu"), 6);
    assert_int_equal(load_count(&w, M_ITERATION_LATENESS, "cause", "no_free_vu"), 3);
    Hist h;
    hist_init(&h);
    load_total(&w, M_HTTP_REQ_DURATION, NULL, NULL, &h);
    assert_int_equal(h.max, SECONDS(0.3)); // service time is what it is
    load_total(&w, M_HTTP_REQ_CORRECTED_DURATION, NULL, NULL, &h);
    assert_int_equal(h.min, SECONDS(0.3));
    assert_int_equal(h.max, SECONDS(0.5)); // due at 0.1, started at 0.3, done at 0.6
    hist_done(&h);
    assert_true(w.result->health.valid); // not the generator's fault
    load_close(&w);
}

// An arrival that waited longer than ENGINE_QUEUE_WAIT_NS is not started any more.
static void test_arrivals_do_not_wait_for_ever(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    w.latency_ns = SECONDS(3);
    w.scenarios[0].executor = EXECUTOR_CONSTANT_ARRIVAL_RATE;
    w.scenarios[0].rate = 1;
    w.scenarios[0].duration_ns = SECONDS(4);
    w.scenarios[0].pre_allocated_vus = w.scenarios[0].max_vus = 1;
    load_run(&w);
    // Due at 0 (runs to 3), 1 (too old at 2.0+, dropped for the next), 2 (1 s old at 3: runs), 3.
    assert_int_equal(w.result->iterations, 2);
    assert_int_equal(w.result->dropped_no_vu, 2);
    load_close(&w);
}

// Only the first request of an iteration is charged the lateness.
static void test_only_the_first_request_is_charged(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    w.requests[1] = load_get(&w, "second", "http://127.0.0.1:1/2");
    w.steps[1] = (PlanStep){.kind = STEP_REQUEST, .request = &w.requests[1], .weight = 1};
    w.scenarios[0].step_count = 2;
    w.scenarios[0].executor = EXECUTOR_CONSTANT_ARRIVAL_RATE;
    w.scenarios[0].rate = 10;
    w.scenarios[0].duration_ns = SECONDS(1);
    w.scenarios[0].pre_allocated_vus = w.scenarios[0].max_vus = 1;
    load_run(&w);
    Hist h;
    hist_init(&h);
    load_total(&w, M_HTTP_REQ_CORRECTED_DURATION, "name", "second", &h);
    assert_int_equal(h.max, SECONDS(0.1));
    load_total(&w, M_HTTP_REQ_CORRECTED_DURATION, "name", "home", &h);
    assert_true(h.max > SECONDS(0.15));
    hist_done(&h);
    load_close(&w);
}

static void test_scenarios_run_side_by_side_from_their_start_times(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    w.plan.scenario_count = 2;
    w.scenarios[0].executor = EXECUTOR_CONSTANT_VUS;
    w.scenarios[0].vus = w.scenarios[0].max_vus = 1;
    w.scenarios[0].duration_ns = SECONDS(1.95);
    w.scenarios[1].executor = EXECUTOR_SHARED_ITERATIONS;
    w.scenarios[1].vus = w.scenarios[1].max_vus = 2;
    w.scenarios[1].iterations = 4;
    w.scenarios[1].start_time_ns = SECONDS(5);
    load_run(&w);
    assert_int_equal(load_count(&w, M_ITERATIONS, "scenario", "s0"), 20);
    assert_int_equal(load_count(&w, M_ITERATIONS, "scenario", "s1"), 4);
    assert_int_equal(w.result->duration_ns, SECONDS(5.2));
    load_close(&w);
}

static void record_order(LoadWorld *w, int64_t *ret, int n)
{
    const PlanThink think = {.kind = THINK_EXPONENTIAL, .a_ns = SECONDS(0.5)};
    w->steps[1] = (PlanStep){.kind = STEP_THINK, .think = think, .weight = 1};
    w->scenarios[0].step_count = 2;
    w->scenarios[0].executor = EXECUTOR_SHARED_ITERATIONS;
    w->scenarios[0].vus = w->scenarios[0].max_vus = 1;
    w->scenarios[0].iterations = n;
    load_run(w);
    for (int i = 0; i < n; i++) {
        ret[i] = w->sent_at[i];
    }
}

static void test_equal_seeds_give_equal_runs(void **state)
{
    (void)state;
    int64_t times[3][20];
    for (uint64_t i = 0; i < 3; i++) {
        LoadWorld w;
        load_open(&w);
        w.plan.seed = i < 2 ? 7 : 8;
        record_order(&w, times[i], 20);
        load_close(&w);
    }
    assert_memory_equal(times[0], times[1], sizeof times[0]);
    assert_memory_not_equal(times[0], times[2], sizeof times[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared_iterations_are_done_exactly),
        cmocka_unit_test(test_per_vu_iterations_are_done_by_each),
        cmocka_unit_test(test_max_duration_drops_the_rest),
        cmocka_unit_test(test_groups_and_nameless_steps),
        cmocka_unit_test(test_constant_vus_run_for_their_duration),
        cmocka_unit_test(test_graceful_stop_cuts_what_takes_too_long),
        cmocka_unit_test(test_no_graceful_stop_cuts_at_once),
        cmocka_unit_test(test_ramping_vus_come_one_by_one),
        cmocka_unit_test(test_ramp_down_lets_iterations_finish_or_cuts_them),
        cmocka_unit_test(test_ramp_down_and_up_again_keeps_the_vu),
        cmocka_unit_test(test_constant_arrival_rate_starts_on_time),
        cmocka_unit_test(test_ramping_arrival_rate_follows_the_integral),
        cmocka_unit_test(test_arrivals_wait_for_a_vu_and_are_dropped),
        cmocka_unit_test(test_arrivals_do_not_wait_for_ever),
        cmocka_unit_test(test_only_the_first_request_is_charged),
        cmocka_unit_test(test_scenarios_run_side_by_side_from_their_start_times),
        cmocka_unit_test(test_equal_seeds_give_equal_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
