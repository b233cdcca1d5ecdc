#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "improve/install.h"
#include "improve/outcomes.h"

#define DAY_NS INT64_C(86400000000000)

static void test_from_gh(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int rc;
        Outcome want;
    } CASES[] = {
        {"{\"state\":\"MERGED\",\"comments\":[]}", 0, OUTCOME_MERGED},
        {"{\"state\":\"CLOSED\"}", 0, OUTCOME_CLOSED},
        {"{\"state\":\"OPEN\",\"updatedAt\":\"1970-01-01T00:00:10Z\"}", 0, OUTCOME_IGNORED},
        {"{\"state\":\"OPEN\",\"updatedAt\":\"1970-03-30T00:00:00Z\"}", 0, OUTCOME_OPEN},
        {"{\"state\":\"OPEN\",\"updatedAt\":\"1970-01-01T00:00:10Z\",\"comments\":[{\"author\":{"
         "\"login\":\"ann\"},\"body\":\"no\"}]}",
         0, OUTCOME_OPEN},
        {"{}", ERR_PROTOCOL, OUTCOME_UNKNOWN},
        {"nothing", ERR_PROTOCOL, OUTCOME_UNKNOWN},
    };
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        Arena *arena = arena_create(1 << 20);
        Outcome outcome = OUTCOME_UNKNOWN;
        Slice comments;
        int rc = outcome_from_gh(arena, slice_from_cstr(CASES[i].json), 100 * DAY_NS, &outcome,
                                 &comments, NULL);
        assert_int_equal(rc, CASES[i].rc);
        assert_int_equal(outcome, CASES[i].want);
        if (i == 4) {
            assert_true(slice_eq_cstr(comments, "ann: no\n\n"));
        }
        arena_destroy(arena);
    }
}

static void test_a_change_is_known_again(void **state)
{
    (void)state;
    char a[SHA256_HEX + 1], b[SHA256_HEX + 1], c[SHA256_HEX + 1];
    outcome_patch_id(SLICE("--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n"), a);
    outcome_patch_id(
        SLICE("index 1..2\n--- a/x\n+++ b/x\n@@ -9,2 +9,2 @@ f()\n uno\n-two\n+three\n"), b);
    outcome_patch_id(SLICE("--- a/y\n+++ b/y\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n"), c);
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
}

static void test_rates(void **state)
{
    (void)state;
    Arena *arena = arena_create(4 << 20);
    Slice files[] = {SLICE("a.c")};
    AttemptState states[] = {
        {.goal_kind = GOAL_TIME,
         .phase = ATTEMPT_DONE,
         .verdict = SLICE("PROVEN"),
         .outcome = SLICE("merged"),
         .goal_files = {files, 1, NULL}},
        {.goal_kind = GOAL_TIME, .phase = ATTEMPT_DONE, .verdict = SLICE("PROVEN")}, // open yet
        {.goal_kind = GOAL_MEMORY, .phase = ATTEMPT_GIVEN_UP, .verdict = SLICE("NO EFFECT")},
        {.goal_kind = GOAL_IO, .phase = ATTEMPT_GIVEN_UP}, // the engine crashed: says nothing
    };
    OutcomeRates rates;
    outcome_rates(arena, states, COUNT_OF(states), &rates);
    // Mean of Beta(1 + s, 1 + f).
    assert_true(rates.kinds[GOAL_TIME].mean == 2.0 / 3.0);
    assert_true(rates.kinds[GOAL_MEMORY].mean == 1.0 / 3.0);
    assert_true(rates.kinds[GOAL_IO].mean == 0.5);
    assert_int_equal(rates.file_count, 1);
    arena_destroy(arena);
}

static void test_the_next_goal(void **state)
{
    (void)state;
    Arena *arena = arena_create(4 << 20);
    Slice files[] = {SLICE("b.c")};
    PlanGoal goals[] = {
        {.id = SLICE("g1"), .title = SLICE("one"), .round = 1},
        {.id = SLICE("g2"), .title = SLICE("two"), .round = 1},
        {.id = SLICE("g3"), .title = SLICE("three"), .round = 2, .files = {files, 1, NULL}},
        {.id = SLICE("g4"),
         .title = SLICE("four"),
         .round = 1,
         .state = GOAL_REFUSED,
         .why = SLICE("too small")}};
    PlanDoc plan = {.goals = goals, .goal_count = 4};
    AttemptState tried[] = {{.goal_id = SLICE("g1"), .phase = ATTEMPT_GIVEN_UP, .judged = 1}};
    MemoryNote note = {
        .name = SLICE("n"), .kind = NOTE_PREFER, .by = NOTE_BY_PERSON, .files = {files, 1, NULL}};
    Memory memory = {&note, 1};
    OutcomeRates rates;
    GoalChoice choice;
    Err e = {0};
    outcome_rates(arena, tried, 0, &rates);
    assert_int_equal(goal_choose(arena, &plan, NULL, 0, NULL, &rates, SLICE(""), &choice, &e), 0);
    assert_true(slice_eq_cstr(choice.goal->id, "g1"));
    assert_int_equal(goal_choose(arena, &plan, tried, 1, NULL, &rates, SLICE(""), &choice, &e), 0);
    assert_true(slice_eq_cstr(choice.goal->id, "g2"));
    assert_int_equal(goal_choose(arena, &plan, tried, 1, &memory, &rates, SLICE(""), &choice, &e),
                     0);
    assert_true(slice_eq_cstr(choice.goal->id, "g3"));
    note.kind = NOTE_AVOID;
    assert_int_equal(goal_choose(arena, &plan, tried, 1, &memory, &rates, SLICE("g3"), &choice, &e),
                     ERR_REFUSED);
    assert_int_equal(goal_choose(arena, &plan, tried, 1, &memory, &rates, SLICE("g4"), &choice, &e),
                     ERR_REFUSED);
    assert_non_null(strstr(e.text, "too small"));
    assert_int_equal(goal_choose(arena, &plan, tried, 1, &memory, &rates, SLICE("g1"), &choice, &e),
                     0); // asked for by name
    assert_int_equal(
        goal_choose(arena, &plan, NULL, 0, NULL, &rates, SLICE("my own goal"), &choice, &e), 0);
    assert_true(choice.goal->by_person);
    goals[1].kind = GOAL_MEASURING; // never picked, and refused by name
    assert_int_equal(goal_choose(arena, &plan, tried, 1, NULL, &rates, SLICE("g2"), &choice, &e),
                     ERR_UNSUPPORTED);
    goals[2].state = GOAL_CLOSED;
    assert_int_equal(goal_choose(arena, &plan, tried, 1, NULL, &rates, SLICE(""), &choice, &e),
                     ERR_NOT_FOUND);
    arena_destroy(arena);
}

static void test_workflow(void **state)
{
    (void)state;
    Slice secrets[] = {SLICE("ANTHROPIC_API_KEY")};
    InstallOptions options = {
        .engine = SLICE("claude"), .secrets = secrets, .secret_count = 1, .pull_requests = true};
    Buf out = buf_create(1 << 20);
    Arena *arena = arena_create(8 << 20);
    const Doc *doc = NULL;
    assert_int_equal(install_text(&options, &out, NULL), 0);
    assert_int_equal(
        doc_parse(arena, buf_slice(&out), &(DocOptions){.format = DOC_FORMAT_YAML}, &doc, NULL), 0);
    assert_int_equal(doc_count(doc_get(doc, SLICE("permissions"))), 0);
    assert_int_equal(doc_count(doc_get(doc, SLICE("jobs"))), 2);
    // Every action is pinned to a commit, and the secret is not in the job that may write.
    Slice text = buf_slice(&out), rest = text;
    for (ptrdiff_t at; (at = slice_find(rest, SLICE("uses: "))) >= 0;) {
        rest = slice_sub(rest, (size_t)at + 6, rest.len);
        ptrdiff_t mark = slice_find_byte(rest, '@');
        assert_true(mark > 0 && rest.ptr[mark + 41] == ' ');
    }
    ptrdiff_t open = slice_find(text, SLICE("\n  open:"));
    assert_true(slice_find(slice_sub(text, (size_t)open, text.len), SLICE("ANTHROPIC")) < 0);
    static const char *const BAD[] = {"17 3 * *", "17 3 * * 1'\n", "* * * * * *"};
    for (size_t i = 0; i < COUNT_OF(BAD); i++) {
        options.schedule = slice_from_cstr(BAD[i]);
        buf_reset(&out);
        assert_int_equal(install_text(&options, &out, NULL), ERR_ARG);
    }
    options.schedule = SLICE("");
    options.engine = SLICE("cmd:x; rm -rf /");
    assert_int_equal(install_text(&options, &out, NULL), ERR_ARG);
    options.engine = SLICE("");
    options.setup = SLICE("echo ${{ secrets.X }}");
    assert_int_equal(install_text(&options, &out, NULL), ERR_ARG);
    buf_done(&out);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_gh),  cmocka_unit_test(test_a_change_is_known_again),
        cmocka_unit_test(test_rates),    cmocka_unit_test(test_the_next_goal),
        cmocka_unit_test(test_workflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
