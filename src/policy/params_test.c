#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "policy/block.h"
#include "policy/call.h"
#include "policy/params.h"

static Doc const *parse(Arena *arena, Slice text)
{
    const Doc *doc = NULL;
    DocOptions toml = {.format = DOC_FORMAT_TOML, .source = "p.toml"};
    Err e;
    if (doc_parse(arena, text, &toml, &doc, &e) != 0) {
        die("%s", e.text);
    }
    return doc;
}

static void test_table_is_whole(void **state)
{
    (void)state;
    size_t sum = 0;
    for (size_t t = 0; t < POLICY_OWNERS; t++) {
        assert_ptr_equal(POLICY_TABLES[t].params, &POLICY_PARAMS[sum]);
        sum += POLICY_TABLES[t].count;
    }
    assert_int_equal(sum, POLICY_PARAM_COUNT);
    ParamValue values[POLICY_PARAM_COUNT];
    policy_defaults(values);
    assert_int_equal(policy_check(values, NULL), 0);
    for (size_t i = 0; i < POLICY_PARAM_COUNT; i++) {
        size_t index;
        const ParamTable *owner = policy_owner((PolicyParamId)i, &index);
        char dotted[64];
        assert_ptr_equal(&owner->params[index], &POLICY_PARAMS[i]);
        assert_non_null(POLICY_PARAMS[i].name);
        assert_non_null(POLICY_PARAMS[i].help);
        (void)snprintf(dotted, sizeof dotted, "%s.%s", owner->owner, POLICY_PARAMS[i].name);
        assert_int_equal(policy_find(slice_from_cstr(dotted)), i);
    }
}

static void test_read_and_write_back(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    ParamValue values[POLICY_PARAM_COUNT], again[POLICY_PARAM_COUNT];
    policy_defaults(values);
    policy_defaults(again);
    const Doc *doc = parse(arena, SLICE("[retry]\nattempts = 4\nbackoff = \"20ms\"\n"
                                        "jitter = \"decorrelated\"\n"
                                        "[limit]\nkind = \"vegas\"\nmax = 500\n"
                                        "[cache]\nttl = \"24h\"\nmax_bytes = \"1GB\"\n"));
    assert_int_equal(policy_read(doc, values, NULL), 0);
    assert_int_equal(values[P_RETRY_ATTEMPTS].integer, 4);
    assert_int_equal(values[P_RETRY_JITTER].integer, JITTER_DECORRELATED);
    assert_int_equal(values[P_LIMIT_KIND].integer, LIMIT_VEGAS);
    assert_int_equal(values[P_CACHE_TTL].integer, 24 * NS_PER_HOUR);
    Buf out = buf_create(1 << 16);
    JsonWriter w = json_writer(&out, 0);
    policy_write(values, &w);
    const Doc *back = NULL;
    assert_int_equal(doc_parse(arena, buf_slice(&out), NULL, &back, NULL), 0);
    assert_int_equal(doc_count(back), 3); // owners at their defaults are left out
    assert_int_equal(policy_read(back, again, NULL), 0);
    for (size_t i = 0; i < POLICY_PARAM_COUNT; i++) {
        assert_true(values[i].integer == again[i].integer || values[i].real == again[i].real);
    }
    buf_done(&out);
    arena_destroy(arena);
}

static void test_mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"[rertry]\nattempts = 2\n", "retry"},
        {"[retry]\natempts = 2\n", "attempts"},
        {"[retry]\nattempts = 21\n", "retry.attempts: 21 is not between 1 and 20"},
        {"[retry]\nattempts = 0\n", "retry.attempts: 0 is not between 1 and 20"},
        {"[retry]\njitter = \"ful\"\n", "did you mean full?"},
        {"[retry]\nbackoff = 5\n", "backoff"},
        {"[limit]\nmin = 9\nmax = 8\n", "limit.min is 9, more than limit.max, which is 8"},
        {"retry = 3\n", "retry"},
        {"[hedge]\nmax = 4\n", "hedge.max: 4 is not between 0 and 3"},
        {"[queue]\nlimit = 1048577\n", "queue.limit"},
        {"[cache]\nmax_entries = 1048577\n", "cache.max_entries"},
        {"[breaker]\ncalls = 4097\n", "breaker.calls"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Arena *arena = arena_create(1 << 20);
        ParamValue values[POLICY_PARAM_COUNT], before[POLICY_PARAM_COUNT];
        policy_defaults(values);
        memcpy(before, values, sizeof before);
        Err e = {0};
        const Doc *doc = parse(arena, slice_from_cstr(cases[i].text));
        assert_int_equal(policy_read(doc, values, &e), ERR_PARSE);
        assert_non_null(strstr(e.text, "p.toml:"));
        if (!strstr(e.text, cases[i].message)) {
            fail_msg("\"%s\" does not say \"%s\"", e.text, cases[i].message);
        }
        assert_memory_equal(values, before, sizeof before);
        arena_destroy(arena);
    }
}

// The guide's tables are the table: each parameter with its default, and each reason by name.
static void test_guide_is_complete(void **state)
{
    (void)state;
    const char *root = getenv("PW_SOURCE_ROOT");
    char path[4096];
    static char text[1 << 16];
    assert_non_null(root);
    (void)snprintf(path, sizeof path, "%s/docs/guide/policies.md", root);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    (void)fclose(file);
    for (size_t i = 0; i < POLICY_PARAM_COUNT; i++) {
        Buf row = buf_create(256);
        buf_printf(&row, "| `%s.%s` | ", policy_owner((PolicyParamId)i, NULL)->owner,
                   POLICY_PARAMS[i].name);
        param_format(&POLICY_PARAMS[i], POLICY_PARAMS[i].initial, &row);
        buf_puts(&row, " |");
        if (!strstr(text, row.data)) {
            fail_msg("docs/guide/policies.md has no row %s", row.data);
        }
        buf_done(&row);
    }
    for (int i = CALL_FAILED; i < CALL_REASON_COUNT; i++) {
        assert_non_null(strstr(text, call_reason_name((CallReason)i)));
    }
}

static void test_parse_one(void **state)
{
    (void)state;
    ParamValue values[POLICY_PARAM_COUNT];
    Err e = {0};
    policy_defaults(values);
    assert_int_equal(policy_parse(SLICE("retry.attempts"), SLICE("5"), true, values, &e), 0);
    assert_int_equal(values[P_RETRY_ATTEMPTS].integer, 5);
    assert_int_equal(policy_parse(SLICE("retry.atempts"), SLICE("5"), true, values, &e), ERR_ARG);
    assert_non_null(strstr(e.text, "did you mean retry.attempts?"));
    assert_int_equal(policy_parse(SLICE("retry"), SLICE("5"), true, values, &e), ERR_ARG);
    assert_int_equal(policy_parse(SLICE("limit.min"), SLICE("201"), true, values, &e), ERR_ARG);
    assert_int_equal(values[P_LIMIT_MIN].integer, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_whole),     cmocka_unit_test(test_read_and_write_back),
        cmocka_unit_test(test_mistakes_are_named), cmocka_unit_test(test_parse_one),
        cmocka_unit_test(test_guide_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
