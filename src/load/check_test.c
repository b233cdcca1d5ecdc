#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>

#include "base/units.h"
#include "load/check.h"

// cmocka's own comparison rounds to float.
static void assert_near(double value, double expected, double within)
{
    if (!(fabs(value - expected) <= within)) {
        fail_msg("%.17g, not %.17g", value, expected);
    }
}

static HttpHead make_head(void)
{
    HttpHead head = http_head_create(NULL);
    assert_int_equal(http_head_add(&head, SLICE("Content-Type"), SLICE("application/json")), 0);
    assert_int_equal(http_head_add(&head, SLICE("Set-Cookie"), SLICE("a=1")), 0);
    assert_int_equal(http_head_add(&head, SLICE("Set-Cookie"), SLICE("b=2")), 0);
    assert_int_equal(http_head_add(&head, SLICE("X-Empty"), SLICE("")), 0);
    assert_int_equal(http_head_add(&head, SLICE("Age"), SLICE("15")), 0);
    return head;
}

static const char BODY[] = "{\"id\":42,\"name\":\"J\\u00fcrgen\",\"ok\":true,\"items\":[1,2,3]}";

static void test_checks(void **state)
{
    (void)state;
    static const StatusRange good[] = {{200, 204}, {304, 304}};
    const struct {
        PlanCheck check;
        bool holds;
    } cases[] = {
        {{.kind = CHECK_STATUS, .ranges = good, .range_count = 2}, true},
        {{.kind = CHECK_STATUS, .ranges = good, .range_count = 2, .negate = true}, false},
        {{.kind = CHECK_STATUS, .ranges = good + 1, .range_count = 1}, false},
        {{.kind = CHECK_HEADER, .op = OP_EXISTS, .key = SLICE("content-type")}, true},
        {{.kind = CHECK_HEADER, .op = OP_EXISTS, .key = SLICE("X-Empty")}, true},
        {{.kind = CHECK_HEADER, .op = OP_EXISTS, .key = SLICE("X-None"), .negate = true}, true},
        {{.kind = CHECK_HEADER,
          .op = OP_CONTAINS,
          .key = SLICE("Content-Type"),
          .text = SLICE("json")},
         true},
        {{.kind = CHECK_HEADER, .op = OP_EQUALS, .key = SLICE("set-cookie"), .text = SLICE("b=2")},
         true},
        {{.kind = CHECK_HEADER, .op = OP_ABOVE, .key = SLICE("age"), .number = 15}, false},
        {{.kind = CHECK_HEADER, .op = OP_ABOVE, .key = SLICE("age"), .number = 14.9}, true},
        {{.kind = CHECK_BODY, .op = OP_STARTS_WITH, .text = SLICE("{\"id\"")}, true},
        {{.kind = CHECK_BODY, .op = OP_CONTAINS, .text = SLICE("error")}, false},
        {{.kind = CHECK_BODY, .op = OP_BELOW, .number = 1}, false},
        {{.kind = CHECK_JSON, .op = OP_EQUALS, .key = SLICE("id"), .text = SLICE("42")}, true},
        {{.kind = CHECK_JSON, .op = OP_BELOW, .key = SLICE("id"), .number = 42}, false},
        {{.kind = CHECK_JSON,
          .op = OP_EQUALS,
          .key = SLICE("name"),
          .text = SLICE("J\xC3\xBCrgen")},
         true},
        {{.kind = CHECK_JSON, .op = OP_EQUALS, .key = SLICE("ok"), .text = SLICE("true")}, true},
        {{.kind = CHECK_JSON, .op = OP_ABOVE, .key = SLICE("items.#"), .number = 2}, true},
        {{.kind = CHECK_JSON, .op = OP_EXISTS, .key = SLICE("items.3")}, false},
        {{.kind = CHECK_DURATION_BELOW, .limit_ns = 101}, true},
        {{.kind = CHECK_DURATION_BELOW, .limit_ns = 100}, false},
    };
    HttpHead head = make_head();
    Buf scratch = buf_create(1000);
    CheckAnswer answer = {200, &head, slice_from_cstr(BODY), 100}, none = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        if (check_holds(&cases[i].check, &answer, &scratch) != cases[i].holds) {
            fail_msg("case %zu", i);
        }
        // Without an answer only what should be absent is as it should be.
        assert_int_equal(check_holds(&cases[i].check, &none, &scratch), cases[i].check.negate);
    }
    buf_done(&scratch);
    http_head_done(&head);
}

static void test_extracts(void **state)
{
    (void)state;
    const struct {
        PlanExtract extract;
        const char *value; // NULL: none
    } cases[] = {
        {{.from = EXTRACT_JSON, .key = SLICE("name")}, "J\xC3\xBCrgen"},
        {{.from = EXTRACT_JSON, .key = SLICE("items")}, "[1,2,3]"},
        {{.from = EXTRACT_JSON, .key = SLICE("nope")}, NULL},
        {{.from = EXTRACT_JSON, .key = SLICE("nope"), .has_default = true}, ""},
        {{.from = EXTRACT_HEADER, .key = SLICE("set-cookie")}, "a=1"},
        {{.from = EXTRACT_HEADER, .key = SLICE("x-empty")}, ""},
        {{.from = EXTRACT_HEADER, .key = SLICE("x-none")}, NULL},
        {{.from = EXTRACT_BODY_BETWEEN, .key = SLICE("\"id\":"), .end = SLICE(",")}, "42"},
        {{.from = EXTRACT_BODY_BETWEEN, .key = SLICE("items\":"), .end = SLICE("")}, "[1,2,3]}"},
        {{.from = EXTRACT_BODY_BETWEEN, .key = SLICE("items"), .end = SLICE("?")}, NULL},
        {{.from = EXTRACT_BODY_BETWEEN,
          .key = SLICE("?"),
          .end = SLICE(","),
          .has_default = true,
          .fallback = SLICE("x")},
         "x"},
    };
    HttpHead head = make_head();
    Buf scratch = buf_create(1000), out = buf_create(1000);
    CheckAnswer answer = {200, &head, slice_from_cstr(BODY), 100}, none = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        buf_reset(&out);
        bool taken = extract_take(&cases[i].extract, &answer, &scratch, &out);
        assert_int_equal(taken, cases[i].value != NULL);
        assert_true(!taken || slice_eq_cstr(buf_slice(&out), cases[i].value));
        assert_int_equal(extract_take(&cases[i].extract, &none, &scratch, &out),
                         cases[i].extract.has_default);
    }
    buf_done(&out);
    buf_done(&scratch);
    http_head_done(&head);
}

// Means within four standard errors of what was asked for; the seed is fixed, so is the outcome.
static void test_think_times(void **state)
{
    (void)state;
    static const struct {
        PlanThink think;
        double mean, deviation; // of the distribution, in ns
    } cases[] = {
        {{THINK_CONSTANT, 1000000, 0}, 1e6, 0},
        {{THINK_UNIFORM, 1000000, 3000000}, 2e6, 577350.27},
        {{THINK_EXPONENTIAL, 1000000, 0}, 1e6, 1e6},
        {{THINK_NORMAL, 5000000, 1000000}, 5e6, 1e6},
        {{THINK_LOGNORMAL, 5000000, 2000000}, 5e6, 2e6},
    };
    enum { DRAWS = 20000 };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Rng rng = rng_stream(3, SLICE("think"), i);
        double sum = 0, squares = 0;
        for (int k = 0; k < DRAWS; k++) {
            double ns = (double)think_sample(&cases[i].think, &rng);
            sum += ns;
            squares += ns * ns;
        }
        double mean = sum / DRAWS, deviation = sqrt(fmax(squares / DRAWS - mean * mean, 0));
        assert_near(mean, cases[i].mean, 4 * cases[i].deviation / sqrt(DRAWS) + 1);
        assert_near(deviation, cases[i].deviation, 0.05 * cases[i].deviation + 1);
    }
    Rng rng = rng_stream(3, SLICE("think"), 9);
    for (int k = 0; k < 1000; k++) {
        int64_t ns = think_sample(&(PlanThink){THINK_NORMAL, 1000, 1000000}, &rng);
        assert_true(ns >= 0);
        ns = think_sample(&(PlanThink){THINK_LOGNORMAL, INT64_MAX, INT64_MAX}, &rng);
        assert_true(ns > 0 && ns <= THINK_NS_MAX);
    }
    assert_int_equal(think_sample(&(PlanThink){THINK_LOGNORMAL, 0, 5}, &rng), 0);
}

static void test_choices_follow_weights(void **state)
{
    (void)state;
    static const PlanStep steps[] = {{.weight = 1}, {.weight = 0}, {.weight = 3}, {.weight = 0}};
    PlanStep choose = {.kind = STEP_CHOOSE, .steps = steps, .step_count = COUNT_OF(steps)};
    int counts[COUNT_OF(steps)] = {0};
    Rng rng = rng_stream(3, SLICE("choose"), 0);
    for (int i = 0; i < 10000; i++) {
        counts[step_choose(&choose, &rng) - steps]++;
    }
    assert_int_equal(counts[1] + counts[3], 0);
    assert_true(abs(counts[0] - 2500) < 4 * 44); // sqrt(10000 * 0.25 * 0.75) is 43.3
    choose.step_count = 0;
    assert_null(step_choose(&choose, &rng));
    choose.steps = steps + 1;
    choose.step_count = 1;
    assert_null(step_choose(&choose, &rng));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_extracts),
        cmocka_unit_test(test_think_times),
        cmocka_unit_test(test_choices_follow_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
