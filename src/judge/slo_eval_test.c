#include "judge/slo_eval.h"

#include "judge/sim_test.h"

static const SimEndpoint FAST = {.name = "login", .median_ms = 100, .sigma = 0.5};

// p95 of lognormal(log 100, 0.5) is 100 exp(0.5 * 1.644854) = 227.6 ms.
#define TRUE_P95_MS 227.6

static Slo latency(double threshold, double target)
{
    return (Slo){.name = SLICE("latency"),
                 .origin = SLICE("slo.yaml:1"),
                 .metric = SLICE("http_req_duration"),
                 .threshold = threshold,
                 .failures_are_bad = true,
                 .target = target};
}

static void test_three_values(void **state)
{
    (void)state;
    static const struct {
        double threshold;
        SloValue want;
    } cases[] = {{300, SLO_MET}, {180, SLO_BREACHED}, {TRUE_P95_MS, SLO_NOT_PROVEN}};
    Arena *arena = arena_create(64 << 20);
    SimSpec spec = {.seed = 1, .seconds = 30, .rate = 100, .endpoints = &FAST, .count = 1};
    RunData *run = sim_run(arena, &spec, 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Slo slo = latency(cases[i].threshold, 0.95);
        SloVerdict v = slo_eval(arena, run, &slo, NULL);
        assert_int_equal(v.value, cases[i].want);
        assert_int_equal(v.n, 3000);
        assert_true(v.n_effective > 300 && v.n_effective <= 3000);
        assert_true(v.observed > 210 && v.observed < 245);
        assert_true(interval_contains(v.observed_interval, v.observed));
        assert_true(v.reason.len > 0 && v.method.len > 0);
    }
    sim_done(run);
    arena_destroy(arena);
}

static void test_says_what_would_settle_it(void **state)
{
    (void)state;
    Arena *arena = arena_create(64 << 20);
    SimSpec spec = {.seed = 2, .seconds = 10, .rate = 10, .endpoints = &FAST, .count = 1};
    RunData *run = sim_run(arena, &spec, 0);
    Slo slo = latency(260, 0.95);
    SloVerdict v = slo_eval(arena, run, &slo, NULL);
    assert_int_equal(v.value, SLO_NOT_PROVEN);
    assert_true(v.needed.requests >= 200);
    double minutes = (double)v.needed.requests / 600; // ten a second
    assert_true(fabs(v.needed.minutes - minutes) < 0.02 * minutes);
    sim_done(run);
    arena_destroy(arena);
}

// A failed request answered in half a millisecond is not fast. Both shapes a run may have: failures
// in series of their own, or only counted.
static void test_failures_are_slow(void **state)
{
    (void)state;
    const SimEndpoint broken = {.name = "x", .median_ms = 10, .sigma = 0.1, .failed = 0.2};
    for (int unlabelled = 0; unlabelled <= 1; unlabelled++) {
        Arena *arena = arena_create(64 << 20);
        SimSpec spec = {.seed = 3, .seconds = 20, .rate = 50, .endpoints = &broken, .count = 1};
        spec.unlabelled = unlabelled;
        RunData *run = sim_run(arena, &spec, 0);
        Slo slo = latency(100, 0.95);
        SloVerdict v = slo_eval(arena, run, &slo, NULL);
        assert_int_equal(v.value, SLO_BREACHED);
        assert_int_equal(v.n, 1000);
        assert_true(fabs(v.estimate - 0.2) < 0.05);
        assert_true(isinf(v.observed)); // p95 falls among the failures
        // Four times the allowed share: the alerts with factor 3 and 1 would fire.
        assert_true(v.budget.burn_rate > 3 && v.budget.burn_rate < 5);
        assert_false(v.budget.alerts[0] || v.budget.alerts[1]);
        assert_true(v.budget.alerts[2] && v.budget.alerts[3]);
        sim_done(run);
        arena_destroy(arena);
    }
}

static void test_open_model_counts_from_the_intended_start(void **state)
{
    (void)state;
    Arena *arena = arena_create(64 << 20);
    SimSpec spec = {.seed = 4, .seconds = 20, .rate = 50, .endpoints = &FAST, .count = 1};
    spec.corrected_ms = 1000;
    RunData *run = sim_run(arena, &spec, 0);
    Slo slo = latency(900, 0.95);
    SloVerdict v = slo_eval(arena, run, &slo, NULL);
    assert_int_equal(v.value, SLO_BREACHED);
    assert_true(slice_find(v.indicator, SLICE("intended start")) >= 0);
    // A threshold means what k6 means by the metric's name.
    v = slo_eval_threshold(arena, run, SLICE("http_req_duration"), (Labels){0}, SLICE("p(95)<900"),
                           NULL);
    assert_int_equal(v.value, SLO_MET);
    sim_done(run);
    arena_destroy(arena);
}

static void test_timeslices(void **state)
{
    (void)state;
    Arena *arena = arena_create(64 << 20);
    SimSpec spec = {.seed = 5, .seconds = 120, .rate = 20, .endpoints = &FAST, .count = 1};
    RunData *run = sim_run(arena, &spec, 0);
    Slo slo = latency(150, 0.5); // about 21 % of all requests are slower: no slice has 95 % good
    slo.budgeting = SLO_TIMESLICES;
    slo.slice_target = 0.95;
    slo.slice_ns = INT64_C(5000000000);
    SloVerdict v = slo_eval(arena, run, &slo, NULL);
    assert_int_equal(v.n, 24);
    assert_true(v.estimate == 1);
    assert_int_equal(v.value, SLO_BREACHED);
    slo.budgeting = SLO_RATIO_TIMESLICES; // the mean share is far better than 50 %
    v = slo_eval(arena, run, &slo, NULL);
    assert_true(fabs(v.estimate - 0.209) < 0.03); // P(Z > ln 1.5 / 0.5)
    assert_int_equal(v.value, SLO_MET);
    sim_done(run);
    arena_destroy(arena);
}

static void test_thresholds(void **state)
{
    (void)state;
    const SimEndpoint some = {.name = "x", .median_ms = 100, .sigma = 0.5, .failed = 0.05};
    Arena *arena = arena_create(64 << 20);
    SimSpec spec = {.seed = 6, .seconds = 30, .rate = 100, .endpoints = &some, .count = 1};
    RunData *run = sim_run(arena, &spec, 0);
    static const struct {
        const char *metric;
        const char *expression;
        SloValue want;
    } cases[] = {
        {"http_req_duration", "p(95)<300", SLO_MET},
        {"http_req_duration", "p(95)<150", SLO_BREACHED},
        {"http_req_duration", "p(95)>150", SLO_MET},
        {"http_req_duration", "med<=120", SLO_MET},
        {"http_req_duration", "avg<90", SLO_BREACHED},
        {"http_req_duration", "avg<130", SLO_MET},
        {"http_req_duration", "max<20000", SLO_MET},
        {"http_req_duration", "min>1", SLO_BREACHED}, // the failed ones took 0.5 ms
        {"http_req_duration", "p(100)<20000", SLO_MET},
        {"http_req_failed", "rate<0.1", SLO_MET},
        {"http_req_failed", "rate<0.01", SLO_BREACHED},
        {"http_req_failed", "rate>0.01", SLO_MET},
        {"http_req_failed", "rate<0.05", SLO_NOT_PROVEN},
        {"http_reqs", "count>=3000", SLO_MET},
        {"http_reqs", "count<3000", SLO_BREACHED},
        {"http_reqs", "rate>99", SLO_MET},
        {"http_reqs", "rate>101", SLO_BREACHED},
        {"checks", "rate>0.9", SLO_NOT_PROVEN},           // no such series
        {"http_req_duration", "p95<300", SLO_NOT_PROVEN}, // no such expression
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        SloVerdict v = slo_eval_threshold(arena, run, slice_from_cstr(cases[i].metric), (Labels){0},
                                          slice_from_cstr(cases[i].expression), NULL);
        if (v.value != cases[i].want) {
            fail_msg("%s %s: %.*s (%.*s)", cases[i].metric, cases[i].expression,
                     SLICE_FMT(slo_value_name(v.value)), SLICE_FMT(v.reason));
        }
        assert_true(v.reason.len > 0);
    }
    sim_done(run);
    arena_destroy(arena);
}

static void test_thresholds_of_the_run_and_defaults(void **state)
{
    (void)state;
    Arena *arena = arena_create(64 << 20);
    SimSpec spec = {.seed = 7, .seconds = 20, .rate = 50, .endpoints = &FAST, .count = 1};
    RunData *run = sim_run(arena, &spec, 0);
    bool defaulted = false;
    SloVerdicts v = slo_eval_all(arena, run, NULL, 0, NULL, &defaulted);
    assert_true(defaulted);
    assert_int_equal(v.count, 2);
    assert_int_equal(v.items[0].value, SLO_MET);
    assert_int_equal(v.items[1].value, SLO_MET);
    assert_true(v.items[0].advisory);
    assert_int_equal(
        doc_parse(arena,
                  SLICE("[{\"metric\": \"http_req_duration\", \"labels\": {\"name\": \"login\"},"
                        "\"expression\": \"p(95)<100\", \"value\": 227, \"ok\": false}]"),
                  NULL, &run->thresholds, NULL),
        0);
    v = slo_eval_all(arena, run, NULL, 0, NULL, &defaulted);
    assert_false(defaulted);
    assert_int_equal(v.count, 1);
    assert_int_equal(v.items[0].value, SLO_BREACHED);
    assert_true(slice_eq(v.items[0].endpoint, SLICE("login")));
    sim_done(run);
    arena_destroy(arena);
}

static void test_warmup_is_left_out(void **state)
{
    (void)state;
    Arena *arena = arena_create(64 << 20);
    SimSpec spec = {.seed = 8, .seconds = 20, .rate = 50, .endpoints = &FAST, .count = 1};
    RunData *run = sim_run(arena, &spec, 0);
    Slo slo = latency(500, 0.95);
    SloOptions options = {.warmup_ns = INT64_C(4500000000)};
    assert_int_equal(slo_eval(arena, run, &slo, &options).n, 750); // 4.5 s: five seconds begin
    options.warmup_ns = INT64_C(900000000000);
    SloVerdict v = slo_eval(arena, run, &slo, &options);
    assert_int_equal(v.n, 0);
    assert_int_equal(v.value, SLO_NOT_PROVEN);
    sim_done(run);
    arena_destroy(arena);
}

// Error rates of the verdicts themselves: at the true p95 either verdict is wrong, at most alpha
// each (loosely bounded: 200 runs); a clear breach must be found.
static void test_error_rates(void **state)
{
    (void)state;
    enum { RUNS = 200 };
    int met = 0;
    int breached = 0;
    int found = 0;
    for (int i = 0; i < RUNS; i++) {
        Arena *arena = arena_create(64 << 20);
        SimSpec spec = {.seed = 9, .seconds = 20, .rate = 40, .endpoints = &FAST, .count = 1};
        RunData *run = sim_run(arena, &spec, (uint64_t)i);
        Slo at_limit = latency(TRUE_P95_MS, 0.95);
        SloValue value = slo_eval(arena, run, &at_limit, NULL).value;
        met += value == SLO_MET;
        breached += value == SLO_BREACHED;
        Slo clear = latency(TRUE_P95_MS / 1.25, 0.95);
        found += slo_eval(arena, run, &clear, NULL).value == SLO_BREACHED;
        sim_done(run);
        arena_destroy(arena);
    }
    assert_true(met <= 16 && breached <= 16); // nominal 5 %: 10 of 200
    assert_true(found >= 190);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_values),
        cmocka_unit_test(test_says_what_would_settle_it),
        cmocka_unit_test(test_failures_are_slow),
        cmocka_unit_test(test_open_model_counts_from_the_intended_start),
        cmocka_unit_test(test_timeslices),
        cmocka_unit_test(test_thresholds),
        cmocka_unit_test(test_thresholds_of_the_run_and_defaults),
        cmocka_unit_test(test_warmup_is_left_out),
        cmocka_unit_test(test_error_rates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
