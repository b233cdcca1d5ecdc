#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/param.h"

static const char *const MODES[] = {"none", "full", NULL};
enum { ATTEMPTS, BACKOFF, JITTER, BODY, MODE, ON, PARAM_COUNT };
static const Param PARAMS[] = {
    [ATTEMPTS] = {.name = "attempts",
                  .kind = PARAM_INT,
                  .min = 1,
                  .max = 10,
                  .live = true,
                  .initial.integer = 3,
                  .help = "Tries in all."},
    [BACKOFF] = {.name = "backoff",
                 .kind = PARAM_DURATION,
                 .max = 60e9,
                 .initial.integer = 100 * NS_PER_MS,
                 .help = "First pause."},
    [JITTER] =
        {.name = "jitter", .kind = PARAM_FLOAT, .max = 1, .initial.real = 0.5, .help = "Share."},
    [BODY] = {.name = "body", .kind = PARAM_SIZE, .initial.integer = 1024, .help = "Kept."},
    [MODE] = {.name = "mode", .kind = PARAM_CHOICE, .choices = MODES, .help = "Mode."},
    [ON] = {.name = "on", .kind = PARAM_BOOL, .initial.boolean = true, .help = "Switch."},
};
static const ParamTable TABLE = {"retry", PARAMS, COUNT_OF(PARAMS)};

static void test_read_and_write_back(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    ParamValue values[PARAM_COUNT], again[PARAM_COUNT];
    const Doc *doc = NULL;
    DocOptions yaml = {.format = DOC_FORMAT_YAML, .source = "p.yaml"};
    param_defaults(&TABLE, values);
    assert_int_equal(doc_parse(arena,
                               SLICE("attempts: 5\nbackoff: 1.5s\njitter: 1\nmode: full\n"
                                     "on: false\nbody: 4096\n"),
                               &yaml, &doc, NULL),
                     0);
    assert_int_equal(param_read(&TABLE, doc, values, NULL), 0);
    assert_int_equal(values[ATTEMPTS].integer, 5);
    assert_int_equal(values[BACKOFF].integer, 1500 * NS_PER_MS);
    assert_true(values[JITTER].real == 1.0);
    assert_int_equal(values[BODY].integer, 4096);
    assert_int_equal(values[MODE].integer, 1);
    assert_false(values[ON].boolean);
    assert_int_equal(param_read(&TABLE, NULL, values, NULL), 0);

    Buf out = buf_create(4096);
    JsonWriter w = json_writer(&out, 0);
    param_write(&TABLE, values, &w);
    assert_string_equal(out.data, "{\"attempts\":5,\"backoff\":\"1.5s\",\"jitter\":1,"
                                  "\"body\":\"4KiB\",\"mode\":\"full\",\"on\":false}");
    param_defaults(&TABLE, again);
    assert_int_equal(doc_parse(arena, buf_slice(&out), NULL, &doc, NULL), 0);
    assert_int_equal(param_read(&TABLE, doc, again, NULL), 0);
    Buf second = buf_create(4096);
    w = json_writer(&second, 0);
    param_write(&TABLE, again, &w);
    assert_string_equal(out.data, second.data);
    buf_done(&out);
    buf_done(&second);
    arena_destroy(arena);
}

static void test_mistakes_have_a_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"attempts: 11", "p.yaml:1:11: retry.attempts: 11 is not between 1 and 10"},
        {"attempts: 0", "p.yaml:1:11: retry.attempts: 0 is not between 1 and 10"},
        {"backoff: 61s", "p.yaml:1:10: retry.backoff: 1m1s is not between 0s and 1m"},
        {"jitter: .nan", "p.yaml:1:9: retry.jitter: a number that is not finite"},
        {"backoff: 30", "p.yaml:1:10: backoff must be a string, not a whole number"},
        {"backoff: soon", "p.yaml:1:10: backoff: \"soon\" is not a duration; write it as in 90s, "
                          "1m30s, 1.5h or 500ms"},
        {"mode: fulll", "p.yaml:1:7: mode: \"fulll\" is not a choice; did you mean full?"},
        {"mode: zzzzzz", "p.yaml:1:7: mode: \"zzzzzz\" is not a choice, unlike none"},
        {"atempts: 1", "p.yaml:1:1: unknown field \"atempts\"; did you mean \"attempts\"?"},
        {"[1]", "p.yaml:1:1: retry must be an object, not an array"},
        {"on: 1", "p.yaml:1:5: on must be true or false, not a whole number"},
    };
    Arena *arena = arena_create(1 << 20);
    DocOptions yaml = {.format = DOC_FORMAT_YAML, .source = "p.yaml"};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        ParamValue values[PARAM_COUNT];
        const Doc *doc = NULL;
        Err e = {0};
        param_defaults(&TABLE, values);
        assert_int_equal(doc_parse(arena, slice_from_cstr(cases[i].text), &yaml, &doc, NULL), 0);
        assert_int_equal(param_read(&TABLE, doc, values, &e), ERR_PARSE);
        assert_string_equal(e.text, cases[i].message);
        assert_int_equal(values[ATTEMPTS].integer, 3);
    }
    arena_destroy(arena);
}

static void test_set(void **state)
{
    (void)state;
    ParamValue values[PARAM_COUNT];
    Err e = {0};
    param_defaults(&TABLE, values);
    assert_int_equal(param_set(&TABLE, SLICE("attempts"), SLICE("10"), true, values, &e), 0);
    assert_int_equal(values[ATTEMPTS].integer, 10);
    assert_int_equal(param_set(&TABLE, SLICE("backoff"), SLICE("1s"), true, values, &e),
                     ERR_REFUSED);
    assert_int_equal(param_set(&TABLE, SLICE("backoff"), SLICE("1s"), false, values, &e), 0);
    assert_int_equal(param_set(&TABLE, SLICE("on"), SLICE("maybe"), false, values, &e), ERR_ARG);
    assert_string_equal(e.text, "retry.on: \"maybe\" is not true or false");
    assert_int_equal(param_set(&TABLE, SLICE("none"), SLICE("1"), false, values, &e), ERR_ARG);
    assert_int_equal(param_set(&TABLE, SLICE("jitter"), SLICE("1.5"), false, values, &e), ERR_ARG);
    assert_true(values[JITTER].real == 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_and_write_back),
        cmocka_unit_test(test_mistakes_have_a_place),
        cmocka_unit_test(test_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
