#include "policy/program.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/rng.h"

static ProgramSeen seen_now(void)
{
    ProgramSeen seen = {0};
    seen.sense[SENSE_RATE] = 20;
    seen.sense[SENSE_P50] = 0.25;
    seen.sense[SENSE_P99] = 3;
    seen.sense[SENSE_ERRORS] = 0.1;
    seen.sense[SENSE_WAITING] = 7;
    return seen;
}

static PolicyProgram compiled(const char *text)
{
    PolicyProgram p;
    Err e = {0};
    int rc = program_compile((Slice){text, strlen(text)}, &p, &e);
    assert_string_equal(e.text, "");
    assert_int_equal(rc, 0);
    return p;
}

// The value that `rate.per_second = EXPRESSION` comes to: a parameter with a wide range.
static double value_of(const char *expression)
{
    char text[512];
    (void)snprintf(text, sizeof text, "rate.per_second = %s;", expression);
    PolicyProgram p = compiled(text);
    ParamValue values[POLICY_PARAM_COUNT];
    policy_defaults(values);
    values[P_RATE_PER_SECOND].real = -1; // no value of the table, so that every one is a change
    ProgramSeen seen = seen_now();
    ProgramChange changes[PROGRAM_TARGETS_MAX];
    return program_step(&p, &seen, values, changes) ? changes[0].value.real : NAN;
}

static void test_expressions(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        double value;
    } cases[] = {
        {"1 + 2 * 3", 7},
        {"(1 + 2) * 3", 9},
        {"10 - 4 - 3", 3},
        {"24 / 4 / 3", 2},
        {"7 - -2", 9},
        {"- - 5", 5},
        {"2e3 + 1.5e-1", 2000.15},
        {"250ms + 2s + 1m", 62.25},
        {"5%", 0.05},
        {"1h / 1us", 1e9}, // clamped to the parameter's range
        {"rate * p50", 5},
        {"if(p99 > 2s, 3, 4)", 3},
        {"if(p99 <= 2s, 3, 4)", 4},
        {"if(errors >= 10% and waiting != 7, 1, 2)", 2},
        {"if(errors >= 10% or waiting != 7, 1, 2)", 1},
        {"if(not rate == 20, 1, 2)", 2},
        {"not not 3", 1},
        {"min(3, rate) + max(3, rate)", 23},
        {"clamp(rate, 1, 8)", 8},
        {"clamp(rate, 30, 80)", 30},
        {"abs(3 - 5) + sqrt(16) + floor(2.9)", 8},
        {"limit.value", 20},
        {"timeout.attempt", 0},
        {"breaker.open_for", 60}, // seconds
        {"1 < 2", 1},
        {"3 # a comment\n + 4", 7},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        double got = value_of(cases[i].text);
        if (!(fabs(got - cases[i].value) <= 1e-9 * fabs(cases[i].value))) {
            fail_msg("%s is %g", cases[i].text, got);
        }
    }
}

static void test_what_is_not_a_number_changes_nothing(void **unused)
{
    (void)unused;
    static const char *const cases[] = {
        "0 / 0",    "p99 + 0 / 0",      "min(1, 0 / 0)", "max(0 / 0, 1)", "clamp(0 / 0, 1, 2)",
        "sqrt(-1)", "ewma(0 / 0, 0.5)",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_true(isnan(value_of(cases[i])));
    }
    // A comparison with it is false, so a program can guard itself.
    assert_true(value_of("if(0 / 0 < 1, 5, 6)") == 6);
}

static void test_targets_are_clamped_and_rounded(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        PolicyParamId param;
        double value;
    } cases[] = {
        {"retry.attempts = 99;", P_RETRY_ATTEMPTS, POLICY_ATTEMPTS_MAX},
        {"retry.attempts = -5;", P_RETRY_ATTEMPTS, 1},
        {"retry.attempts = 2.6;", P_RETRY_ATTEMPTS, 3},
        {"limit.kind = 1;", P_LIMIT_KIND, LIMIT_FIXED},
        {"limit.kind = 77;", P_LIMIT_KIND, LIMIT_VEGAS},
        {"timeout.attempt = 1500ms;", P_TIMEOUT_ATTEMPT, 1.5e9},
        {"retry.budget = 1 / 0;", P_RETRY_BUDGET, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        PolicyProgram p = compiled(cases[i].text);
        ParamValue values[POLICY_PARAM_COUNT];
        policy_defaults(values);
        values[P_RETRY_ATTEMPTS].integer = 7;
        ProgramSeen seen = seen_now();
        ProgramChange changes[PROGRAM_TARGETS_MAX];
        assert_int_equal(program_step(&p, &seen, values, changes), 1);
        assert_int_equal(changes[0].param, cases[i].param);
        const Param *row = &POLICY_PARAMS[cases[i].param];
        double want = row->kind == PARAM_FLOAT ? row->max : cases[i].value;
        double got =
            row->kind == PARAM_FLOAT ? changes[0].value.real : (double)changes[0].value.integer;
        assert_true(got == want);
        // The same value again is no change.
        values[cases[i].param] = changes[0].value;
        assert_int_equal(program_step(&p, &seen, values, changes), 0);
    }
}

// Variables keep their value, an ewma begins with what it sees first, and a copy goes on alike.
static void test_memory(void **unused)
{
    (void)unused;
    PolicyProgram p = compiled("period = 2s;\n"
                               "var calm = 0;\n"
                               "calm = if(p99 < 1s, calm + 1, 0);\n"
                               "rate.per_second = calm + 100 * ewma(rate, 0.25);");
    assert_int_equal(p.period_ns, 2000000000);
    ParamValue values[POLICY_PARAM_COUNT];
    policy_defaults(values);
    ProgramSeen seen = seen_now();
    ProgramChange changes[PROGRAM_TARGETS_MAX];
    assert_int_equal(program_step(&p, &seen, values, changes), 1);
    assert_true(changes[0].value.real == 2000);
    seen.sense[SENSE_P99] = 0.5;
    seen.sense[SENSE_RATE] = 40;
    PolicyProgram copy = p;
    for (int i = 0; i < 2; i++) {
        ProgramChange other[PROGRAM_TARGETS_MAX];
        assert_int_equal(program_step(&p, &seen, values, changes), 1);
        assert_int_equal(program_step(&copy, &seen, values, other), 1);
        assert_true(changes[0].value.real == other[0].value.real);
    }
    // `var calm = 0` begins every step anew: calm is 1, never more.
    assert_true(fabs(changes[0].value.real - (1 + 100 * (20 + 20 * (1 - 0.75 * 0.75)))) < 1e-9);
}

static void test_what_it_refuses(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *words;
        int rc;
    } cases[] = {
        {"", "line 1, column 1: the program sets no parameter", ERR_PARSE},
        {"var x = 1;", "sets no parameter", ERR_PARSE},
        {"retry.attempts = 2", "line 1, column 19: a statement ends with ;", ERR_PARSE},
        {"\n  retry.attemps = 2;", "line 2, column 3: there is no such parameter", ERR_PARSE},
        {"retry.attempts = 2; retry.attempts = 3;", "set twice", ERR_PARSE},
        {"retry.attempts = p98;", "column 18: this is neither", ERR_PARSE},
        {"retry.attempts = 2 3;", "a statement ends with ;", ERR_PARSE},
        {"retry.attempts = (2;", "a bracket is missing", ERR_PARSE},
        {"retry.attempts = if(1, 2);", "needs more arguments", ERR_PARSE},
        {"retry.attempts = min(1, 2, 3);", "do not end here", ERR_PARSE},
        {"retry.attempts = min;", "in brackets", ERR_PARSE},
        {"retry.attempts = 5 parsec;", "a statement ends with ;", ERR_PARSE},
        {"retry.attempts = 5parsec;", "unknown unit", ERR_PARSE},
        {"retry.attempts = system(1);", "this is neither", ERR_PARSE},
        {"while (1) {}", "there is no such parameter", ERR_PARSE},
        {"period = 1ms; retry.attempts = 2;", "between 100 ms and 10 min", ERR_PARSE},
        {"period = rate; retry.attempts = 2;", "is a number", ERR_PARSE},
        {"var rate = 2; retry.attempts = 2;", "a name of its own", ERR_PARSE},
        {"var x = 2; var x = 3; retry.attempts = 2;", "a name of its own", ERR_PARSE},
        {"retry.attempts = 1e999;", "too large", ERR_PARSE},
        {"retry.attempts = \x01;", "has to come here", ERR_PARSE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        PolicyProgram p = {.version = 99};
        Err e = {0};
        int rc = program_compile((Slice){cases[i].text, strlen(cases[i].text)}, &p, &e);
        if (rc != cases[i].rc || !strstr(e.text, cases[i].words)) {
            fail_msg("%s: %d %s", cases[i].text, rc, e.text);
        }
        assert_int_equal(p.version, 99);
    }
}

// One below each ceiling is taken, one above is refused.
static void test_ceilings(void **unused)
{
    (void)unused;
    static const struct {
        const char *begin, *again, *end;
        int max;     // of `again`
        bool counts; // the number is written behind it, so that all are different
    } cases[] = {
        {"retry.attempts = ", "(", "1", PROGRAM_DEPTH_MAX - 1, false},
        {"retry.attempts = 0", " + 1000", ";", PROGRAM_CONSTANTS_MAX - 1, true},
        {"retry.attempts = 0", "+0", ";", (PROGRAM_OPS_MAX - 2) / 2, false},
        {"", "var x = 1; ", "retry.attempts = 1;", PROGRAM_VARIABLES_MAX, true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (int more = 0; more < 2; more++) {
            char text[PROGRAM_TEXT_MAX];
            size_t len = (size_t)snprintf(text, sizeof text, "%s", cases[i].begin);
            for (int n = 0; n < cases[i].max + more; n++) {
                const char *again = cases[i].again;
                const char *split = cases[i].counts ? strpbrk(again, "x1") : NULL;
                size_t head = split ? (size_t)(split - again) + 1 : strlen(again);
                len += (size_t)snprintf(text + len, sizeof text - len, "%.*s", (int)head, again);
                if (split) {
                    len +=
                        (size_t)snprintf(text + len, sizeof text - len, "%d%s", 100 + n, split + 1);
                }
            }
            len += (size_t)snprintf(text + len, sizeof text - len, "%s", cases[i].end);
            for (int n = 0; i == 0 && n < cases[i].max + more; n++) {
                len += (size_t)snprintf(text + len, sizeof text - len, ")");
            }
            len += i == 0 ? (size_t)snprintf(text + len, sizeof text - len, ";") : 0;
            PolicyProgram p;
            Err e = {0};
            int rc = program_compile((Slice){text, len}, &p, &e);
            if (rc != (more ? ERR_LIMIT : 0)) {
                fail_msg("case %zu, more %d: %d %s", i, more, rc, e.text);
            }
        }
    }
    char text[PROGRAM_TEXT_MAX + 1];
    memset(text, ' ', sizeof text);
    memcpy(text, "retry.attempts = 2;", 19);
    PolicyProgram p;
    assert_int_equal(program_compile((Slice){text, PROGRAM_TEXT_MAX}, &p, NULL), 0);
    assert_int_equal(program_compile((Slice){text, PROGRAM_TEXT_MAX + 1}, &p, NULL), ERR_LIMIT);
}

// Whatever is observed, what comes out is a value that the table allows.
static void test_random_observations(void **unused)
{
    (void)unused;
    PolicyProgram p = compiled(
        "var a = ewma(p99 / p50, 0.5);"
        "limit.value = limit.value * (1 - errors) + a * waiting - rate / retries;"
        "timeout.attempt = if(a > 3, p50 * 4, p99 * 1.5); retry.attempts = 1 + 3 / (1 + waiting);"
        "retry.jitter = rate; cache.single_flight = errors - 0.5;");
    static const double odd[] = {0, -1, 1e300, -1e300, INFINITY, -INFINITY, NAN, 1e-300};
    Rng r = rng_stream(5, SLICE("program"), 0);
    ParamValue values[POLICY_PARAM_COUNT];
    policy_defaults(values);
    for (int n = 0; n < 20000; n++) {
        ProgramSeen seen;
        for (int i = 0; i < PROGRAM_SENSES; i++) {
            seen.sense[i] =
                rng_below(&r, 3) == 0 ? odd[rng_below(&r, COUNT_OF(odd))] : rng_exponential(&r, 10);
        }
        ProgramChange changes[PROGRAM_TARGETS_MAX];
        size_t count = program_step(&p, &seen, values, changes);
        for (size_t i = 0; i < count; i++) {
            size_t index;
            const ParamTable *owner = policy_owner(changes[i].param, &index);
            Err e = {0};
            assert_int_equal(param_check(owner, index, changes[i].value, &e), 0);
            values[changes[i].param] = changes[i].value;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expressions),
        cmocka_unit_test(test_what_is_not_a_number_changes_nothing),
        cmocka_unit_test(test_targets_are_clamped_and_rounded),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_what_it_refuses),
        cmocka_unit_test(test_ceilings),
        cmocka_unit_test(test_random_observations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
