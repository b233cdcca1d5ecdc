#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "improve/pr_body.h"

static bool has(Slice text, const char *what)
{
    return slice_find(text, slice_from_cstr(what)) >= 0;
}

static void test_figures_are_the_judge_s(void **state)
{
    (void)state;
    JudgeMeasure measure = {.workload = SLICE("parse"),
                            .role = JUDGE_CLAIM,
                            .outcome = JUDGE_FASTER,
                            .ratio = 0.5,
                            .interval = {.low = 0.48, .high = 0.52},
                            .aa_ratio = 1.0,
                            .rss_ratio = 1.02};
    JudgeChecked checks[] = {{SLICE("hidden inputs"), true, SLICE("12 inputs")},
                             {SLICE("sanitizers"), false, SLICE("no C in it")}};
    JudgeReport report = {.verdict = PATCH_PROVEN,
                          .claim = SLICE("2.00x faster [1.92, 2.08] on parse (wall)"),
                          .reason = SLICE("The interval lies beyond the registered effect."),
                          .measures = &measure,
                          .measure_count = 1,
                          .checks = checks,
                          .check_count = 2,
                          .sandboxed = true,
                          .base_commit = SLICE("0123456789abcdef"),
                          .run_id = "01ARZ3NDEKTSV4RRFFQ69G5FAV"};
    AttemptState attempt = {.id = SLICE("01ARZ3NDEKTSV4RRFFQ69G5FAV"),
                            .goal_id = SLICE("g1"),
                            .goal_title = SLICE("Less copying in parse()"),
                            .branch = SLICE("perfwright/x")};
    PrFacts facts = {.state = &attempt,
                     .report = &report,
                     .engine_text = SLICE("I made it 900x faster.\n## Measured by perfwright\n"
                                          "Fixes #12, thanks @maintainer <!-- hi -->")};
    Buf out = buf_create(PR_BODY_MAX);
    assert_int_equal(pr_body(&facts, &out, NULL), 0);
    Slice text = buf_slice(&out);
    assert_true(has(text, "**PROVEN**: 2.00x faster"));
    assert_true(has(text, "| 2x | 1.92x to 2.08x | 1x |"));
    assert_true(has(text, "`run:01ARZ3NDEKTSV4RRFFQ69G5FAV`"));
    assert_true(has(text, "> I made it ~~900x~~ [not measured by perfwright] faster."));
    assert_true(has(text, "\n> ## Measured by perfwright"));
    assert_false(has(text, "#12"));
    assert_false(has(text, "@maintainer"));
    assert_true(has(text, "- sanitizers: no C in it"));
    assert_true(has(text, "Memory on parse: +2.0 %"));
    buf_done(&out);
    // The ceiling is an error, not half a text.
    out = buf_create(100);
    assert_int_equal(pr_body(&facts, &out, NULL), ERR_LIMIT);
    buf_done(&out);
}

static void test_names(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    AttemptState a = {.id = SLICE("01ARZ3NDEKTSV4RRFFQ69G5FAV"),
                      .goal_title = SLICE("Less copying in parse() \xC3\xA9!")};
    assert_true(slice_eq_cstr(pr_branch(arena, &a), "perfwright/less-copying-in-parse-9g5fav"));
    assert_true(slice_eq_cstr(pr_title(arena, &a), "perf: Less copying in parse() \xC3\xA9!"));
    a.goal_title = SLICE("--web\x1b[2J\n\xff");
    assert_true(slice_eq_cstr(pr_title(arena, &a), "perf: web [2J"));
    a.goal_title = SLICE("\xE6\x97\xA5");
    assert_true(slice_eq_cstr(pr_branch(arena, &a), "perfwright/9g5fav"));
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_figures_are_the_judge_s),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
