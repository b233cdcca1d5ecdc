#include "judge/verdict.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_every_value_has_its_own_name(void **state)
{
    (void)state;
    for (int a = SLO_MET; a <= SLO_NOT_PROVEN; a++) {
        assert_false(slice_eq(slo_value_name((SloValue)a), SLICE("unknown")));
    }
    for (int a = CHANGE_FASTER; a <= CHANGE_NOT_COMPARABLE; a++) {
        assert_false(slice_eq(change_value_name((ChangeValue)a), SLICE("unknown")));
    }
    for (int a = MEASURE_P50; a < MEASURE_COUNT; a++) {
        assert_false(slice_eq(change_measure_name((ChangeMeasure)a), SLICE("unknown")));
    }
    for (int a = JUDGE_PASS; a <= JUDGE_ERROR; a++) {
        for (int b = JUDGE_PASS; b < a; b++) {
            assert_false(
                slice_eq(judge_status_name((JudgeStatus)a), judge_status_name((JudgeStatus)b)));
        }
    }
}

static void test_words_fit_the_measure(void **state)
{
    (void)state;
    static const struct {
        ChangeVerdict change;
        const char *words;
    } cases[] = {
        {{.value = CHANGE_SLOWER, .measure = MEASURE_P95}, "slower"},
        {{.value = CHANGE_SLOWER, .measure = MEASURE_ERROR_RATE}, "more errors"},
        {{.value = CHANGE_FASTER, .measure = MEASURE_ERROR_RATE}, "fewer errors"},
        {{.value = CHANGE_SLOWER, .measure = MEASURE_THROUGHPUT}, "less throughput"},
        {{.value = CHANGE_NO_DIFFERENCE_SHOWN, .equivalent = true, .margin = 0.05},
         "equivalent within 5 %"},
        {{.value = CHANGE_NO_DIFFERENCE_SHOWN}, "no difference shown"},
    };
    Arena *arena = arena_create(1 << 16);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_true(slice_eq_cstr(change_words(arena, &cases[i].change), cases[i].words));
    }
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_value_has_its_own_name),
        cmocka_unit_test(test_words_fit_the_measure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
