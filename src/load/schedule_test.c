// Ground truth: the tables of k6's own tests (lib/executor/constant_arrival_rate_test.go:
// TestConstantArrivalRateRunCorrectTiming; ramping_arrival_rate_test.go: TestRampingArrivalRateCal;
// ramping_vus_test.go: TestRampingVUsConfigExecutionPlanExample,
// TestRampingVUsExecutionTupleTests), and numerical integration of the profile as a second,
// independent one.
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>

#include "load/schedule.h"

#define S NS_PER_SECOND

// cmocka's own comparison rounds to float.
static void assert_near(double value, double expected, double within)
{
    if (!(fabs(value - expected) <= within)) {
        fail_msg("%.17g, not %.17g", value, expected);
    }
}

static PlanScenario constant(int64_t rate, int64_t unit_ns, int64_t duration_ns)
{
    return (PlanScenario){.name = SLICE("c"),
                          .executor = EXECUTOR_CONSTANT_ARRIVAL_RATE,
                          .rate = rate,
                          .time_unit_ns = unit_ns,
                          .duration_ns = duration_ns};
}

static PlanScenario ramping(int64_t start, int64_t unit_ns, const PlanStage *stages, size_t count)
{
    PlanScenario p = {.name = SLICE("r"),
                      .executor = EXECUTOR_RAMPING_ARRIVAL_RATE,
                      .start_rate = start,
                      .time_unit_ns = unit_ns,
                      .stages = stages,
                      .stage_count = count};
    for (size_t i = 0; i < count; i++) {
        p.duration_ns += stages[i].duration_ns;
    }
    return p;
}

static void test_constant_grid_of_k6(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    PlanScenario p = constant(50, S, 5 * S);
    Schedule *s = schedule_create(arena, &p, 1);
    assert_int_equal(schedule_count(s), 250);
    for (uint32_t thread = 0; thread < 3; thread++) {
        // The segments "k/3:(k+1)/3" of the sequence "0,1/3,2/3,1": start k * 20 ms, step 60 ms.
        ScheduleCursor c = schedule_cursor(s, thread, 3);
        int64_t index = 0, at = 0, n = 0;
        for (; schedule_next(&c, &index, &at); n++) {
            assert_int_equal(index, thread + 3 * n);
            assert_int_equal(at, (20 * thread + 60 * n) * NS_PER_MS);
        }
        assert_int_equal(n, stripe_share(250, thread, 3));
        assert_false(schedule_next(&c, &index, &at));
    }
    arena_destroy(arena);
}

static void test_constant_never_drifts(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    // Three a second have a period that no number of nanoseconds is.
    PlanScenario p = constant(3, S, SCHEDULE_DURATION_MAX);
    Schedule *s = schedule_create(arena, &p, 1);
    assert_int_equal(schedule_count(s), 3 * INT64_C(31536000));
    ScheduleCursor c = schedule_cursor(s, 0, 3);
    int64_t index = 0, at = 0;
    for (int64_t second = 0; second < 100000; second++) {
        assert_true(schedule_next(&c, &index, &at));
        assert_int_equal(at, second * S);
    }
    c.index = 3 * INT64_C(31535999);
    assert_true(schedule_next(&c, &index, &at));
    assert_int_equal(at, INT64_C(31535999) * S);
    assert_false(schedule_next(&c, &index, &at));
    arena_destroy(arena);
}

static void test_constant_count(void **state)
{
    (void)state;
    static const struct {
        int64_t rate, unit, duration, count;
    } cases[] = {
        {1, S, S, 1}, // the one at 1 s is not before the end
        {1, S, S + 1, 2},
        {10, S, 95 * NS_PER_MS, 1},
        {10, S, 0, 0},
        {7, NS_PER_MINUTE, NS_PER_HOUR, 420},
        {SCHEDULE_RATE_MAX, S, S, SCHEDULE_RATE_MAX},
        {SCHEDULE_RATE_MAX, S, SCHEDULE_DURATION_MAX, SCHEDULE_DURATION_MAX},
    };
    Arena *arena = arena_create(1 << 20);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        PlanScenario p = constant(cases[i].rate, cases[i].unit, cases[i].duration);
        assert_int_equal(schedule_count(schedule_create(arena, &p, 1)), cases[i].count);
        assert_int_equal(scenario_iterations(&p), cases[i].count);
    }
    arena_destroy(arena);
}

static const PlanStage K6_HILL[] = {{5 * S, 1}, {S, 1}, {5 * S, 0}};

static void check_times(const PlanScenario *p, uint32_t thread, uint32_t threads,
                        const int *expected_ms, size_t count)
{
    Arena *arena = arena_create(1 << 20);
    Schedule *s = schedule_create(arena, p, 1);
    ScheduleCursor c = schedule_cursor(s, thread, threads);
    int64_t index = 0, at = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(schedule_next(&c, &index, &at));
        double off = (double)at / 1e6 - expected_ms[i];
        if (fabs(off) > 0.001 * expected_ms[i]) { // k6's InEpsilon
            fail_msg("%zu: %lld ns, not %d ms", i, (long long)at, expected_ms[i]);
        }
    }
    assert_false(schedule_next(&c, &index, &at));
    arena_destroy(arena);
}

static void test_ramping_tables_of_k6(void **state)
{
    (void)state;
    static const int whole[] = {3162, 4472, 5500, 6527, 7837, 11000};
    static const int first[] = {3162, 6527}, second[] = {4472, 7837}, third[] = {5500, 11000};
    static const int fast[] = {1825, 2581, 3162, 3651, 4082, 4472, 4830, 5166, 5499,
                               5833, 6169, 6527, 6917, 7348, 7837, 8418, 9174, 10999};
    PlanScenario p = ramping(0, S, K6_HILL, 3);
    check_times(&p, 0, 1, whole, COUNT_OF(whole));
    check_times(&p, 0, 3, first, COUNT_OF(first));
    check_times(&p, 1, 3, second, COUNT_OF(second));
    check_times(&p, 2, 3, third, COUNT_OF(third));
    p.time_unit_ns = S / 3;
    check_times(&p, 0, 1, fast, COUNT_OF(fast));
}

// Area of the piecewise linear profile up to `at` by summing narrow trapezoids: knows the stages
// and nothing of schedule.c.
static double integrate(const PlanScenario *p, int64_t at)
{
    double area = 0, from = (double)p->start_rate;
    int64_t start = 0;
    for (size_t i = 0; i < p->stage_count && start < at; i++) {
        double to = (double)p->stages[i].target, length = (double)p->stages[i].duration_ns;
        int64_t end = start + p->stages[i].duration_ns;
        double part = (double)((at < end ? at : end) - start), before = from;
        enum { SLICES = 1000 };
        for (int k = 1; k <= SLICES && length > 0; k++) {
            double here = from + (to - from) * (part * k / SLICES) / length;
            area += (before + here) / 2 * (part / SLICES) / (double)p->time_unit_ns;
            before = here;
        }
        from = to;
        start = end;
    }
    return area;
}

static void test_ramping_against_numerical_integration(void **state)
{
    (void)state;
    static const PlanStage jumps[] = {{0, 80},    {2 * S, 80}, {0, 5},   {S, 5},
                                      {4 * S, 0}, {S, 0},      {S, 300}, {7 * S, 13}};
    static const PlanStage half_hour[] = {{1800 * S, 40}, {1800 * S, 0}};
    const struct {
        PlanScenario plan;
    } cases[] = {{ramping(3, S, jumps, COUNT_OF(jumps))},
                 {ramping(7, NS_PER_MINUTE, jumps, COUNT_OF(jumps))},
                 {ramping(0, S, half_hour, COUNT_OF(half_hour))}};
    Arena *arena = arena_create(1 << 20);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const PlanScenario *p = &cases[i].plan;
        Schedule *s = schedule_create(arena, p, 1);
        ScheduleCursor c = schedule_cursor(s, 0, 1);
        int64_t index = 0, at = 0, last = 0, n = 0;
        for (; schedule_next(&c, &index, &at); n++) {
            assert_true(at >= last && at <= p->duration_ns);
            if (n % 101 == 0 || n < 100) {
                assert_near(integrate(p, at), (double)(index + 1), 1e-5);
                assert_near(schedule_area(s, at), (double)(index + 1), 1e-5);
            }
            last = at;
        }
        assert_int_equal(n, schedule_count(s));
        assert_int_equal(n, (int64_t)floor(integrate(p, p->duration_ns) + 1e-9));
    }
    arena_destroy(arena);
}

static void test_rate_at_a_moment(void **state)
{
    (void)state;
    static const PlanStage stages[] = {{10 * S, 20}, {0, 5}, {10 * S, 5}};
    PlanScenario p = ramping(0, S, stages, COUNT_OF(stages));
    Arena *arena = arena_create(1 << 20);
    Schedule *s = schedule_create(arena, &p, 1);
    static const struct {
        int64_t at;
        double rate, area;
    } cases[] = {{-1, 0, 0},       {0, 0, 0},        {5 * S, 10, 25}, {10 * S, 5, 100},
                 {15 * S, 5, 125}, {20 * S, 5, 150}, {99 * S, 5, 150}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_near(schedule_rate(s, cases[i].at), cases[i].rate, 1e-9);
        assert_near(schedule_area(s, cases[i].at), cases[i].area, 1e-9);
    }
    arena_destroy(arena);
}

static void test_empty_profiles_end_at_once(void **state)
{
    (void)state;
    static const PlanStage nothing[] = {{S, 0}, {0, 0}, {S, 0}};
    static const PlanStage instant[] = {{0, 100}};
    const PlanScenario cases[] = {ramping(0, S, nothing, 3), ramping(0, S, instant, 1),
                                  ramping(5, S, NULL, 0), constant(5, S, 0)};
    Arena *arena = arena_create(1 << 20);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (int poisson = 0; poisson < 2; poisson++) {
            PlanScenario p = cases[i];
            p.poisson = poisson;
            ScheduleCursor c = schedule_cursor(schedule_create(arena, &p, 1), 0, 1);
            int64_t index = 0, at = 0;
            assert_false(schedule_next(&c, &index, &at));
        }
    }
    arena_destroy(arena);
}

// Poisson gaps: the number in a run has mean and variance equal to the area; gaps of a constant
// rate are exponential, which for the Kolmogorov-Smirnov distance means less than 1.63/sqrt(n) with
// probability 0.99 (any table of the KS distribution). The seed is fixed, so is the outcome.
static void test_poisson_gaps(void **state)
{
    (void)state;
    enum { RATE = 10000 };
    PlanScenario p = constant(RATE, S, S);
    p.poisson = true;
    Arena *arena = arena_create(1 << 20);
    ScheduleCursor c = schedule_cursor(schedule_create(arena, &p, 42), 0, 1);
    int64_t index = 0, at = 0, last = 0, n = 0;
    int bins[20] = {0};
    for (; schedule_next(&c, &index, &at); n++) {
        assert_true(at >= last && at <= p.duration_ns);
        double u = 1 - exp(-(double)(at - last) / 1e9 * RATE);
        bins[(int)fmin(u * 20, 19)]++;
        last = at;
    }
    assert_true(fabs((double)n - RATE) < 4 * sqrt(RATE));
    double seen = 0, distance = 0;
    for (int i = 0; i < 20; i++) {
        seen += bins[i];
        distance = fmax(distance, fabs(seen / (double)n - (i + 1) / 20.0));
    }
    assert_true(distance < 1.63 / sqrt((double)n));
    arena_destroy(arena);
}

static void test_poisson_does_not_depend_on_threads(void **state)
{
    (void)state;
    PlanScenario p = ramping(0, S, K6_HILL, 3);
    p.poisson = true;
    p.time_unit_ns = NS_PER_MS;
    Arena *arena = arena_create(1 << 20);
    Schedule *s = schedule_create(arena, &p, 7);
    ScheduleCursor one = schedule_cursor(s, 0, 1), many[4];
    for (uint32_t k = 0; k < 4; k++) {
        many[k] = schedule_cursor(s, k, 4);
    }
    int64_t index = 0, at = 0, other_index = 0, other_at = 0, n = 0;
    for (; schedule_next(&one, &index, &at); n++) {
        assert_true(schedule_next(&many[index % 4], &other_index, &other_at));
        assert_int_equal(index, other_index);
        assert_int_equal(at, other_at);
    }
    assert_false(schedule_next(&many[n % 4], &other_index, &other_at));
    // Another seed, or another scenario of the same plan, arrives at other times.
    ScheduleCursor again = schedule_cursor(s, 0, 1);
    ScheduleCursor seed = schedule_cursor(schedule_create(arena, &p, 8), 0, 1);
    assert_true(schedule_next(&again, &index, &at) && schedule_next(&seed, &index, &other_at));
    assert_int_not_equal(at, other_at);
    arena_destroy(arena);
}

static PlanScenario vus(int64_t start, const PlanStage *stages, size_t count)
{
    PlanScenario p = ramping(0, S, stages, count);
    p.executor = EXECUTOR_RAMPING_VUS;
    p.start_vus = start;
    p.graceful_stop_ns = PLAN_GRACEFUL_STOP_NS;
    p.graceful_ramp_down_ns = PLAN_GRACEFUL_RAMP_DOWN_NS;
    return p;
}

typedef struct Step {
    int second;
    int vus;
} Step;

static void check_steps(const PlanScenario *p, const Step *expected, size_t count)
{
    VuCursor c = vu_cursor(p);
    VuStep step;
    for (size_t i = 0; i < count; i++) {
        assert_true(vu_cursor_next(&c, &step));
        assert_int_equal(step.at_ns, expected[i].second * S);
        assert_int_equal(step.vus, expected[i].vus);
    }
    assert_false(vu_cursor_next(&c, &step));
    assert_false(vu_cursor_next(&c, &step));
}

static const PlanStage K6_EXAMPLE[] = {{2 * S, 6}, {5 * S, 1}, {4 * S, 5}, {4 * S, 1},
                                       {3 * S, 4}, {2 * S, 4}, {0, 1},     {3 * S, 1}};

static void test_vu_steps_of_k6(void **state)
{
    (void)state;
    static const Step example[] = {{0, 4},  {1, 5},  {2, 6},  {3, 5},  {4, 4},  {5, 3},  {6, 2},
                                   {7, 1},  {8, 2},  {9, 3},  {10, 4}, {11, 5}, {12, 4}, {13, 3},
                                   {14, 2}, {15, 1}, {16, 2}, {17, 3}, {18, 4}, {20, 1}, {23, 0}};
    static const Step down_at_once[] = {{0, 2}, {0, 5}, {1, 4}, {2, 3}, {2, 0}};
    static const Step up_again[] = {{0, 3}, {1, 4}, {2, 5}, {2, 0}};
    static const PlanStage at_once[] = {{0, 5}, {2 * S, 3}}, up[] = {{2 * S, 5}};
    PlanScenario p = vus(4, K6_EXAMPLE, COUNT_OF(K6_EXAMPLE));
    check_steps(&p, example, COUNT_OF(example));
    p = vus(2, at_once, COUNT_OF(at_once));
    check_steps(&p, down_at_once, COUNT_OF(down_at_once));
    p = vus(3, up, COUNT_OF(up));
    check_steps(&p, up_again, COUNT_OF(up_again));
}

static void check_reserved(const PlanScenario *p, const Step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t at = steps[i].second * S;
        assert_int_equal(vus_reserved(p, at), steps[i].vus);
        if (i > 0) {
            assert_int_equal(vus_reserved(p, at - 1), steps[i - 1].vus);
        }
    }
}

static void test_reserved_vus_of_k6(void **state)
{
    (void)state;
    static const Step both_30[] = {{0, 4}, {1, 5}, {2, 6}, {33, 5}, {42, 4}, {50, 1}, {53, 0}};
    static const Step stop_80[] = {{0, 4}, {1, 5}, {2, 6}, {33, 5}, {42, 4}, {50, 1}, {103, 0}};
    static const Step stop_3[] = {{0, 4}, {1, 5}, {2, 6}, {26, 0}};
    static const Step stop_0[] = {{0, 4}, {1, 5}, {2, 6}, {23, 0}};
    PlanScenario p = vus(4, K6_EXAMPLE, COUNT_OF(K6_EXAMPLE));
    check_reserved(&p, both_30, COUNT_OF(both_30));
    p.graceful_stop_ns = 80 * S;
    check_reserved(&p, stop_80, COUNT_OF(stop_80));
    p.graceful_stop_ns = 3 * S;
    check_reserved(&p, stop_3, COUNT_OF(stop_3));
    p.graceful_stop_ns = 0;
    check_reserved(&p, stop_0, COUNT_OF(stop_0));
    // Without grace the reserved VUs are the planned ones.
    p.graceful_ramp_down_ns = 0;
    for (int64_t at = 0; at <= 24 * S; at += S / 8) {
        assert_int_equal(vus_reserved(&p, at), vus_planned(&p, at));
    }
}

static void test_steps_and_closed_form_agree(void **state)
{
    (void)state;
    static const PlanStage odd[] = {{7 * S + 1, 11}, {999999937, 4}, {0, 9},
                                    {0, 2},          {13, 40},       {3 * S, 1}};
    PlanScenario p = vus(3, odd, COUNT_OF(odd));
    VuCursor c = vu_cursor(&p);
    VuStep step, next;
    assert_true(vu_cursor_next(&c, &step));
    while (vu_cursor_next(&c, &next)) {
        assert_int_not_equal(next.vus, step.vus);
        assert_true(next.at_ns >= step.at_ns);
        if (next.at_ns > step.at_ns) {
            assert_int_equal(vus_planned(&p, step.at_ns), step.vus);
            assert_int_equal(vus_planned(&p, next.at_ns - 1), step.vus);
        }
        step = next;
    }
    assert_int_equal(step.vus, 0);
    assert_int_equal(vus_planned(&p, p.duration_ns), 0);
    assert_int_equal(vus_planned(&p, -1), 0);
}

static void test_stripes_add_up(void **state)
{
    (void)state;
    for (int64_t count = 0; count < 40; count++) {
        for (uint32_t threads = 1; threads < 9; threads++) {
            int64_t sum = 0;
            for (uint32_t k = 0; k < threads; k++) {
                int64_t share = 0;
                for (int64_t i = 0; i < count; i++) {
                    share += i % threads == k;
                }
                assert_int_equal(stripe_share(count, k, threads), share);
                sum += share;
            }
            assert_int_equal(sum, count);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constant_grid_of_k6),
        cmocka_unit_test(test_constant_never_drifts),
        cmocka_unit_test(test_constant_count),
        cmocka_unit_test(test_ramping_tables_of_k6),
        cmocka_unit_test(test_ramping_against_numerical_integration),
        cmocka_unit_test(test_rate_at_a_moment),
        cmocka_unit_test(test_empty_profiles_end_at_once),
        cmocka_unit_test(test_poisson_gaps),
        cmocka_unit_test(test_poisson_does_not_depend_on_threads),
        cmocka_unit_test(test_vu_steps_of_k6),
        cmocka_unit_test(test_reserved_vus_of_k6),
        cmocka_unit_test(test_steps_and_closed_form_agree),
        cmocka_unit_test(test_stripes_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
