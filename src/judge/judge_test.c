#include "judge/judge.h"

#include "judge/sim_test.h"

static const SimEndpoint PLAIN = {"list", 10, 0.4, 0};

typedef struct World {
    Arena *arena;
    RunData *runs[8]; // 0..3 baseline, 4..7 candidate
    JudgeInput in;
} World;

static World make_world(size_t sides, double slow)
{
    World w = {.arena = arena_create(256 << 20)};
    SimEndpoint changed = PLAIN;
    changed.median_ms *= slow;
    SimSpec spec = {.seed = 1, .seconds = 20, .rate = 100, .endpoints = &PLAIN, .count = 1};
    SimSpec other = spec;
    other.endpoints = &changed;
    for (size_t i = 0; i < 4; i++) {
        w.runs[i] = sim_run(w.arena, &spec, i);
        w.runs[4 + i] = sim_run(w.arena, &other, 4 + i);
    }
    w.in.baseline_count = sides;
    w.in.candidate_count = sides;
    return w;
}

static Judgement judge_world(World *w)
{
    w->in.baseline = (const RunData *const *)w->runs;
    w->in.candidate = (const RunData *const *)(w->runs + 4);
    return judge(w->arena, &w->in);
}

static void done_world(World *w)
{
    for (size_t i = 0; i < 8; i++) {
        sim_done(w->runs[i]);
    }
    arena_destroy(w->arena);
}

static const Slo TIGHT = {.name = SLICE_INIT("tight"),
                          .metric = SLICE_INIT("http_req_duration"),
                          .threshold = 8,
                          .target = 0.95};
static const Slo WIDE = {.name = SLICE_INIT("wide"),
                         .metric = SLICE_INIT("http_req_duration"),
                         .threshold = 500,
                         .target = 0.95};
static const Slo ABSENT = {
    .name = SLICE_INIT("absent"), .metric = SLICE_INIT("checks"), .target = 0.95};

typedef struct Situation {
    const char *what;
    double slow;
    const Slo *slo;
    RunStatus status; // of every candidate
    bool allow_not_proven;
    JudgeStatus want;
    int exit_code;
} Situation;

// docs/guide/exit-codes.md, row by row.
static void test_which_code_wins(void **state)
{
    (void)state;
    static const Situation cases[] = {
        {"all well", 1, &WIDE, RUN_COMPLETE, false, JUDGE_PASS, 0},
        {"defaults", 1, NULL, RUN_COMPLETE, false, JUDGE_PASS, 0},
        {"breach", 1, &TIGHT, RUN_COMPLETE, false, JUDGE_SLO_BREACHED, 99},
        {"regression", 1.3, &WIDE, RUN_COMPLETE, false, JUDGE_REGRESSION, 112},
        {"breach and regression", 1.3, &TIGHT, RUN_COMPLETE, false, JUDGE_SLO_BREACHED, 99},
        {"not proven", 1, &ABSENT, RUN_COMPLETE, false, JUDGE_NOT_PROVEN, 113},
        {"not proven, allowed", 1, &ABSENT, RUN_COMPLETE, true, JUDGE_PASS, 0},
        {"regression and not proven", 1.3, &ABSENT, RUN_COMPLETE, false, JUDGE_REGRESSION, 112},
        {"partial", 1, &WIDE, RUN_PARTIAL, false, JUDGE_PARTIAL, 114},
        {"partial and breach", 1, &TIGHT, RUN_PARTIAL, false, JUDGE_SLO_BREACHED, 99},
        {"partial and not proven", 1, &ABSENT, RUN_PARTIAL, false, JUDGE_PARTIAL, 114},
        {"invalid", 1.3, &TIGHT, RUN_INVALID, false, JUDGE_INVALID, 113},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        World w = make_world(3, cases[i].slow);
        w.in.slos = cases[i].slo;
        w.in.slo_count = cases[i].slo != NULL;
        w.in.allow_not_proven = cases[i].allow_not_proven;
        for (size_t k = 4; k < 8; k++) {
            w.runs[k]->end.status = cases[i].status;
        }
        Judgement j = judge_world(&w);
        if (j.status != cases[i].want || j.exit_code != cases[i].exit_code) {
            fail_msg("%s: %.*s (%.*s)", cases[i].what, SLICE_FMT(judge_status_name(j.status)),
                     SLICE_FMT(j.summary));
        }
        assert_true(j.summary.len > 0);
        done_world(&w);
    }
}

static void test_nothing_to_judge_is_an_error(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    JudgeInput in = {0};
    assert_int_equal(judge(arena, &in).exit_code, 1);
    RunData empty = {.end.status = RUN_COMPLETE};
    const RunData *runs[] = {&empty};
    in.candidate = runs;
    in.candidate_count = 1;
    assert_int_equal(judge(arena, &in).exit_code, 1);
    // VUs that only thought have iterations and no request.
    RunPoint point = {.point.count = 9};
    RunSeries thought = {.info = {.kind = METRIC_COUNTER, .metric = SLICE("iterations")},
                         .points = &point,
                         .point_count = 1,
                         .total = point.point};
    empty.series = &thought;
    empty.series_count = 1;
    assert_int_equal(judge(arena, &in).exit_code, 1);
    arena_destroy(arena);
}

static void test_summary_names_endpoint_and_share(void **state)
{
    (void)state;
    World w = make_world(3, 1.3);
    Judgement j = judge_world(&w);
    assert_true(slice_eq(j.culprit, SLICE("list")));
    assert_true(slice_find(j.summary, SLICE("p95 of list is")) >= 0);
    assert_true(j.run == w.runs[6]);
    assert_int_equal(j.baseline_runs, 3);
    done_world(&w);
}

static void test_defaults_are_announced(void **state)
{
    (void)state;
    World w = make_world(1, 1);
    Judgement j = judge_world(&w);
    bool said = false;
    for (size_t i = 0; i < j.warning_count; i++) {
        said = said || slice_find(j.warnings[i], SLICE("platform's defaults")) >= 0;
    }
    assert_true(said);
    done_world(&w);
}

static void test_self_test(void **state)
{
    (void)state;
    World w = make_world(1, 1);
    SelfTest r;
    SelfTestOptions o = {.splits = 60, .seed = 1};
    assert_int_equal(judge_self_test((const RunData *const *)w.runs, 8, &o, &r, NULL), 0);
    assert_int_equal(r.runs_a_side, 4);
    assert_int_equal(r.distinct, 70); // 8 choose 4
    assert_true(r.rate <= 0.1);
    assert_true(interval_contains(r.interval, r.rate));
    // Half of the "history" is 30 % slower: whoever splits it so gets an alarm.
    World uneven = make_world(1, 1.3);
    o.runs_a_side = 1;
    assert_int_equal(judge_self_test((const RunData *const *)uneven.runs, 8, &o, &r, NULL), 0);
    assert_true(r.rate > 0.1);
    o.runs_a_side = 5;
    Err e;
    assert_int_equal(judge_self_test((const RunData *const *)w.runs, 8, &o, &r, &e), ERR_ARG);
    done_world(&uneven);
    done_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_code_wins),
        cmocka_unit_test(test_nothing_to_judge_is_an_error),
        cmocka_unit_test(test_summary_names_endpoint_and_share),
        cmocka_unit_test(test_defaults_are_announced),
        cmocka_unit_test(test_self_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
