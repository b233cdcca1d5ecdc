#include "improve/engine_settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "os/file.h"

#define LLM "[llm.main]\nprovider = \"anthropic\"\nmodel = \"m\"\napi_key_env = \"K\"\n"

static int read_text(Arena *arena, const char *text, EngineSettings *s, Err *e)
{
    const Doc *doc = NULL;
    DocOptions options = {.format = DOC_FORMAT_TOML, .source = "config.toml"};
    assert_int_equal(doc_parse(arena, slice_from_cstr(text), &options, &doc, e), 0);
    return engine_settings_read(arena, doc, s, e);
}

static void test_defaults(void **state)
{
    (void)state;
    Arena *arena = arena_create(4 << 20);
    EngineSettings s;
    Err e = {0};
    size_t index;
    assert_int_equal(engine_settings_load(arena, NULL, false, &s, &e), 0);
    assert_int_equal(s.engine.len, 0);
    assert_int_equal(s.time_ns, 20 * NS_PER_MINUTE);
    assert_int_equal(engine_settings_cost_nano(&s), 0);
    assert_false(s.network);
    assert_int_equal(engine_settings_provider(&s, &index, &e), ERR_ARG);
    assert_non_null(strstr(e.text, "set `provider` in [improve]"));
    assert_int_equal(engine_settings_load(arena, "/nonexistent/x.toml", true, &s, &e), 0);
    assert_true(engine_settings_load(arena, "/nonexistent/x.toml", false, &s, &e) < 0);
    arena_destroy(arena);
}

static void test_a_whole_file(void **state)
{
    (void)state;
    Arena *arena = arena_create(4 << 20);
    EngineSettings s;
    Err e = {0};
    if (read_text(arena,
                  "[improve]\nengine = \"codex\"\nprovider = \"main\"\nenv = [\"A_KEY\"]\n"
                  "args = [\"--x\", \"--x\"]\ntime = \"5m\"\ntokens = 7\ncost = 0.5\n" LLM,
                  &s, &e) != 0) {
        fail_msg("%s", e.text);
    }
    size_t index = 9;
    assert_int_equal(engine_settings_provider(&s, &index, &e), 0);
    assert_int_equal(index, 0);
    assert_int_equal(s.env.count, 1);
    assert_int_equal(s.args.count, 2);
    assert_int_equal(s.tokens, 7);
    assert_int_equal(engine_settings_cost_nano(&s), 500000000);
    arena_destroy(arena);
}

static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"[improve]\nprovidr = \"x\"\n", "did you mean \"provider"},
        {"[improve]\nprovider = \"x\"\n" LLM, ":2:12: there is no section [llm.x]"},
        {"[improve]\nenv = [\"A=secret\"]\n", "is no name of a variable"},
        {"[improve]\nenv = [\"1A\"]\n", "is no name of a variable"},
        {"[improve]\ntime = \"0s\"\n", ":2:8:"},
        {"[improve]\nturns = 0\n", ":2:9:"},
        {"improve = 3\n", "must be an object"},
        {"[llm]\nx = 3\n", ":2:"},
    };
    Arena *arena = arena_create(4 << 20);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        EngineSettings s;
        Err e = {0};
        assert_int_equal(read_text(arena, cases[i].text, &s, &e), ERR_PARSE);
        if (!strstr(e.text, cases[i].words)) {
            fail_msg("%s: %s", cases[i].text, e.text);
        }
    }
    arena_destroy(arena);
}

// The manual's table is what the program prints.
static void test_manual(void **state)
{
    (void)state;
    const char *root = getenv("PW_SOURCE_ROOT");
    if (!root) {
        skip();
    }
    Arena *arena = arena_create(4 << 20);
    Buf manual = buf_create(1 << 20), keys = buf_create(1 << 20);
    Slice path = arena_printf(arena, "%s/docs/guide/settings.md", root);
    assert_int_equal(file_read(path.ptr, &manual, NULL), 0);
    engine_settings_keys(&keys);
    if (slice_find(buf_slice(&manual), buf_slice(&keys)) < 0) {
        (void)fputs(keys.data, stderr);
        fail_msg("docs/guide/settings.md does not hold the table above");
    }
    buf_done(&manual);
    buf_done(&keys);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_a_whole_file),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_manual),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
