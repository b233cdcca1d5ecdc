#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "improve/judge.h"

static JudgeMeasure measure(JudgeRole role, JudgeOutcome outcome, double ratio)
{
    return (JudgeMeasure){.workload = SLICE("w"),
                          .role = role,
                          .outcome = outcome,
                          .ratio = ratio,
                          .interval = {ratio * 0.99, ratio * 1.01, 0.99},
                          .aa_ratio = 1,
                          .aa_interval = {0.99, 1.01, 0.99},
                          .rounds = 20,
                          .more_rounds = 40};
}

typedef struct Case {
    const char *name;
    JudgeOutcome claim, second; // JUDGE_OUTCOMES: was not measured
    double claim_ratio, second_ratio;
    double layout_ratio;  // 0: none
    FindingLevel finding; // FINDING_NOTE: none that counts
    bool interrupted, same_artifact;
    PatchVerdict verdict;
} Case;

#define NONE JUDGE_OUTCOMES

static const Case CASES[] = {
    {"proven", JUDGE_FASTER, JUDGE_FASTER, 0.5, 0.5, 0, FINDING_NOTE, false, false, PATCH_PROVEN},
    {"second smaller but there", JUDGE_FASTER, JUDGE_FASTER_SMALL, 0.8, 0.9, 0, FINDING_NOTE, false,
     false, PATCH_PROVEN},
    {"second has its sign only", JUDGE_FASTER, JUDGE_FASTER_SMALL, 0.9, 0.985, 0, FINDING_NOTE,
     false, false, PATCH_SMALL},
    {"small", JUDGE_FASTER_SMALL, JUDGE_FASTER_SMALL, 0.97, 0.97, 0, FINDING_NOTE, false, false,
     PATCH_SMALL},
    {"no second", JUDGE_FASTER, NONE, 0.5, 0, 0, FINDING_NOTE, false, false, PATCH_UNDECIDED},
    {"second differs", JUDGE_FASTER, JUDGE_SAME, 0.5, 1, 0, FINDING_NOTE, false, false,
     PATCH_UNDECIDED},
    {"second imprecise but there", JUDGE_FASTER, JUDGE_CANNOT_TELL, 0.5, 0.6, 0, FINDING_NOTE,
     false, false, PATCH_PROVEN},
    {"second cannot tell", JUDGE_FASTER, JUDGE_CANNOT_TELL, 0.5, 1, 0, FINDING_NOTE, false, false,
     PATCH_UNDECIDED},
    {"layout", JUDGE_FASTER_SMALL, JUDGE_FASTER_SMALL, 0.97, 0.97, 1.01, FINDING_NOTE, false, false,
     PATCH_UNDECIDED},
    {"layout holds", JUDGE_FASTER_SMALL, JUDGE_FASTER_SMALL, 0.97, 0.97, 0.98, FINDING_NOTE, false,
     false, PATCH_SMALL},
    {"doubt", JUDGE_FASTER, JUDGE_FASTER, 0.5, 0.5, 0, FINDING_DOUBT, false, false,
     PATCH_UNDECIDED},
    {"refuted", JUDGE_FASTER, JUDGE_FASTER, 0.5, 0.5, 0, FINDING_REFUTED, false, false,
     PATCH_UNDECIDED},
    {"broken", JUDGE_FASTER, JUDGE_FASTER, 0.5, 0.5, 0, FINDING_BROKEN, false, false, PATCH_BROKEN},
    {"broken, not measured", NONE, NONE, 0, 0, 0, FINDING_BROKEN, false, false, PATCH_BROKEN},
    {"cheat", JUDGE_FASTER, JUDGE_FASTER, 0.5, 0.5, 0, FINDING_CHEAT, false, false, PATCH_CHEAT},
    {"cheat and interrupted", NONE, NONE, 0, 0, 0, FINDING_CHEAT, true, false, PATCH_CHEAT},
    {"slower", JUDGE_SLOWER, JUDGE_SLOWER, 1.2, 1.2, 0, FINDING_NOTE, false, false, PATCH_SLOWER},
    {"slower once", JUDGE_SLOWER, JUDGE_SAME, 1.2, 1, 0, FINDING_NOTE, false, false,
     PATCH_UNDECIDED},
    {"slower, no second", JUDGE_SLOWER, NONE, 1.2, 0, 0, FINDING_NOTE, false, false,
     PATCH_UNDECIDED},
    {"same", JUDGE_SAME, NONE, 1, 0, 0, FINDING_NOTE, false, false, PATCH_NO_EFFECT},
    {"same with a doubt", JUDGE_SAME, NONE, 1, 0, 0, FINDING_DOUBT, false, false, PATCH_NO_EFFECT},
    {"open", JUDGE_UNDECIDED, NONE, 0.98, 0, 0, FINDING_NOTE, false, false, PATCH_UNDECIDED},
    {"noisy", JUDGE_CANNOT_TELL, NONE, 0.7, 0, 0, FINDING_NOTE, false, false, PATCH_UNDECIDED},
    {"interrupted", JUDGE_FASTER, JUDGE_FASTER, 0.5, 0.5, 0, FINDING_NOTE, true, false,
     PATCH_UNDECIDED},
    {"stale", NONE, NONE, 0, 0, 0, FINDING_NOTE, false, true, PATCH_NO_EFFECT},
    {"nothing", NONE, NONE, 0, 0, 0, FINDING_NOTE, false, false, PATCH_UNDECIDED},
};

static void test_every_case(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        const Case *c = &CASES[i];
        Arena *arena = arena_create(1 << 20);
        JudgeMeasure measures[4];
        JudgeReport r = {.measures = measures,
                         .complete = !c->interrupted,
                         .same_artifact = c->same_artifact,
                         .findings = {.arena = arena}};
        findings_addf(&r.findings, FINDING_NOTE, "n", SLICE(""), 0, "a note");
        if (c->finding != FINDING_NOTE) {
            findings_addf(&r.findings, c->finding, "f", SLICE(""), 0, "found");
        }
        if (c->claim != NONE) {
            measures[r.measure_count++] = measure(JUDGE_CLAIM, c->claim, c->claim_ratio);
        }
        if (c->second != NONE) {
            measures[r.measure_count++] = measure(JUDGE_SECOND, c->second, c->second_ratio);
        }
        if (c->layout_ratio > 0) {
            measures[r.measure_count++] = measure(JUDGE_LAYOUT, JUDGE_UNDECIDED, c->layout_ratio);
        }
        judge_decide(&r, &(JudgeRules){.min_effect = 0.05, .second_required = true}, arena);
        if (r.verdict != c->verdict) {
            fail_msg("%s: %s", c->name, PATCH_VERDICT_NAMES[r.verdict]);
        }
        assert_true(r.reason.len > 0);
        assert_int_equal(r.decide.len > 0, r.verdict == PATCH_UNDECIDED);
        arena_destroy(arena);
    }
}

static void test_the_claim_in_words(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    JudgeMeasure measures[] = {measure(JUDGE_CLAIM, JUDGE_SAME, 1.001),
                               measure(JUDGE_CLAIM, JUDGE_FASTER, 0.5)};
    measures[1].workload = SLICE("parse");
    measures[1].interval = (Interval){0.4, 0.625, 0.99};
    JudgeReport r = {
        .measures = measures, .measure_count = 2, .complete = true, .findings = {.arena = arena}};
    judge_decide(&r, &(JudgeRules){.min_effect = 0.05}, arena);
    assert_int_equal(r.verdict, PATCH_PROVEN);
    assert_true(slice_eq(r.claim, SLICE("2.000x faster [1.600, 2.500] on parse")));
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_case),
        cmocka_unit_test(test_the_claim_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
