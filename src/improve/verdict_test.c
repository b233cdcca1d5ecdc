#include "improve/verdict.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static void test_exit_codes(void **state)
{
    (void)state;
    assert_int_equal(patch_verdict_exit(PATCH_PROVEN), 0);
    assert_int_equal(patch_verdict_exit(PATCH_SMALL), 0);
    assert_int_equal(patch_verdict_exit(PATCH_SLOWER), 112);
    assert_int_equal(patch_verdict_exit(PATCH_BROKEN), 111);
    assert_int_equal(patch_verdict_exit(PATCH_CHEAT), 111);
    assert_int_equal(patch_verdict_exit(PATCH_NO_EFFECT), 113);
    assert_int_equal(patch_verdict_exit(PATCH_UNDECIDED), 113);
}

static void test_the_worst_is_kept(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    Findings f = {.arena = arena};
    assert_false(findings_have(&f, FINDING_DOUBT));
    findings_addf(&f, FINDING_NOTE, "a", SLICE(""), 0, "%d", 1);
    assert_false(findings_have(&f, FINDING_DOUBT));
    findings_addf(&f, FINDING_BROKEN, "b", SLICE("x.c"), 7, "wrong");
    findings_addf(&f, FINDING_REFUTED, "c", SLICE(""), 0, "not there");
    assert_true(findings_have(&f, FINDING_REFUTED));
    assert_true(findings_have(&f, FINDING_BROKEN));
    assert_false(findings_have(&f, FINDING_CHEAT));
    Buf out = buf_create(4096);
    JsonWriter w = json_writer(&out, 0);
    findings_write(&f, &w);
    assert_non_null(strstr(arena_cstr(arena, buf_slice(&out)),
                           "{\"level\":\"broken\",\"check\":\"b\",\"text\":"
                           "\"wrong\",\"file\":\"x.c\",\"line\":7}"));
    buf_done(&out);
    arena_destroy(arena);
}

static void test_a_flood_is_cut_and_still_judged(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    Findings f = {.arena = arena};
    for (int i = 0; i < FINDINGS_MAX; i++) {
        findings_addf(&f, FINDING_NOTE, "n", SLICE(""), 0, "note");
    }
    assert_false(f.overflowed);
    findings_addf(&f, FINDING_CHEAT, "catalogue-1", SLICE(""), 0, "last");
    assert_true(f.overflowed);
    assert_int_equal(f.count, FINDINGS_MAX);
    assert_true(findings_have(&f, FINDING_CHEAT));
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exit_codes),
        cmocka_unit_test(test_the_worst_is_kept),
        cmocka_unit_test(test_a_flood_is_cut_and_still_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
