// Ground truth: the document and the results of gjson's README.md and SYNTAX.md, and the strings of
// RFC 8259 section 7.
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "load/json_path.h"

static const char GJSON[] =
    "{\n"
    "  \"name\": {\"first\": \"Tom\", \"last\": \"Anderson\"},\n"
    "  \"age\":37,\n"
    "  \"children\": [\"Sara\",\"Alex\",\"Jack\"],\n"
    "  \"fav.movie\": \"Deer Hunter\",\n"
    "  \"friends\": [\n"
    "    {\"first\": \"Dale\", \"last\": \"Murphy\", \"age\": 44, \"nets\": [\"ig\", \"fb\", "
    "\"tw\"]},\n"
    "    {\"first\": \"Roger\", \"last\": \"Craig\", \"age\": 68, \"nets\": [\"fb\", \"tw\"]},\n"
    "    {\"first\": \"Jane\", \"last\": \"Murphy\", \"age\": 47, \"nets\": [\"ig\", \"tw\"]}\n"
    "  ]\n"
    "}";

static void check(const char *json, const char *path, const char *expected)
{
    Buf scratch = buf_create(1 << 20), text = buf_create(1 << 20);
    JsonValue value;
    bool found = json_path_get(slice_from_cstr(json), slice_from_cstr(path), &scratch, &value);
    if (found) {
        json_value_text(&value, &text);
    }
    if (found != (expected != NULL) ||
        (found && !slice_eq(buf_slice(&text), slice_from_cstr(expected)))) {
        fail_msg("%s: %s%.*s", path, found ? "" : "nothing", SLICE_FMT(buf_slice(&text)));
    }
    buf_done(&text);
    buf_done(&scratch);
}

static void test_examples_of_gjson(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"name.last", "Anderson"},
        {"age", "37"},
        {"children", "[\"Sara\",\"Alex\",\"Jack\"]"},
        {"children.#", "3"},
        {"children.1", "Alex"},
        {"fav\\.movie", "Deer Hunter"},
        {"friends.#.first", "[\"Dale\",\"Roger\",\"Jane\"]"},
        {"friends.#.age", "[44,68,47]"},
        {"friends.1.first", "Roger"},
        {"friends.1.last", "Craig"},
        {"friends.#(last==\"Murphy\").first", "Dale"},
        {"friends.#(last==\"Murphy\")#.first", "[\"Dale\",\"Jane\"]"},
        {"friends.#(age>45)#.last", "[\"Craig\",\"Murphy\"]"},
        {"friends.#(first%\"D*\").last", "Murphy"},
        {"friends.#(first!%\"D*\").last", "Craig"},
        {"children.#(!%\"*a*\")", "Alex"},
        {"children.#(%\"*a*\")#", "[\"Sara\",\"Jack\"]"},
        {"friends.#(nets.#(==\"fb\"))#.first", "[\"Dale\",\"Roger\"]"},
        {"friends.#(nets.#(==\"ig\"))#.first", "[\"Dale\",\"Jane\"]"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        check(GJSON, cases[i][0], cases[i][1]);
    }
}

static void test_what_is_not_there(void **state)
{
    (void)state;
    static const char *const paths[] = {"nam",   "name.first.x", "children.3",        "children.-1",
                                        "age.#", "name.#",       "friends.#(age>99)", "friends.x",
                                        "name.0"};
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        check(GJSON, paths[i], NULL);
    }
    check(GJSON, "friends.#(age>99)#", "[]");
    check(GJSON, "friends.#.pet", "[]");
}

static void test_values_and_conditions(void **state)
{
    (void)state;
    static const char json[] = "[{\"a\":true,\"b\":-1.5e1},{\"a\":false,\"b\":null},{\"b\":\"x\"},"
                               "{\"a\":\"q\\\"(\",\"b\":[1,2]}]";
    static const char *const cases[][2] = {
        {"#", "4"},
        {"0.b", "-1.5e1"},
        {"1.b", "null"},
        {"3.b.1", "2"},
        {"#(a==true).b", "-1.5e1"},
        {"#(a!=true).b", "null"},
        {"#(a==\"q\\\"(\").b", "[1,2]"},
        {"#(b<=-15).a", "true"},
        {"#(b<\"9\").a", NULL}, // a number is not compared with a text
        {"#(b!=\"x\").a", "true"},
        {"#(b>=\"x\").b", "x"},
        {"#(b=\"x\").b", "x"},
        {"#(b==null).a", NULL},
        {"#(a)#.b", "[-1.5e1,null,[1,2]]"},
        {"#.b.#", "[2]"},
        {"#(b==\"x\")", "{\"b\":\"x\"}"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        check(json, cases[i][0], cases[i][1]);
    }
    check("{\"a\":{\"a\":1},\"a\":2}", "a.a", "1");
    check("{\"1\":\"key\"}", "1", "key");
    check("\"\"", "a", NULL);
}

static void test_strings(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", "a\"\\/\b\f\n\r\tz"},
        {"\"\\u00e9\\u20AC\"", "\xC3\xA9\xE2\x82\xAC"},
        {"\"\\uD834\\uDD1E\"", "\xF0\x9D\x84\x9E"}, // RFC 8259: the G clef
        {"\"\\uD834x\"", "\xEF\xBF\xBDx"},
        {"\"\\uDD1E\"", "\xEF\xBF\xBD"},
        {"\"\\u12\"", "\xEF\xBF\xBD"},
        {"\"\\uzzzz\"", "\xEF\xBF\xBD"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Buf json = buf_create(1000);
        buf_printf(&json, "{\"k\\u0065y\": %s }", cases[i][0]);
        check(json.data, "key", cases[i][1]);
        buf_done(&json);
    }
}

// Truncated and broken texts give nothing or a piece, and never read past the end (ASan watches).
static void test_every_prefix(void **state)
{
    (void)state;
    static const char *const paths[] = {"friends.#(last==\"Murphy\")#.first", "children.2",
                                        "friends.#.nets.#", "fav\\.movie"};
    Buf scratch = buf_create(1 << 20);
    for (size_t n = 0; n < sizeof GJSON; n++) {
        char *copy = mem_alloc(n + 1);
        memcpy(copy, GJSON, n);
        for (size_t i = 0; i < COUNT_OF(paths); i++) {
            JsonValue value;
            Slice json = {n ? copy : NULL, n};
            (void)json_path_get(json, slice_from_cstr(paths[i]), &scratch, &value);
        }
        free(copy);
    }
    buf_done(&scratch);
    static const char *const broken[] = {
        "",     " ", "{", "[", "\"",  "{\"a",  "{\"a\"", "{\"a\":", "{\"a\":}",
        "{:1}", "]", "}", ",", "nul", "{a:1}", "[1 2",   "\\",      "{\"a\":\"\\"};
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        check(broken[i], "zzz", NULL);
    }
}

static void test_deep_text_needs_no_stack(void **state)
{
    (void)state;
    enum { DEPTH = 1 << 20 };
    char *json = mem_alloc(DEPTH + 1);
    memset(json, '[', DEPTH);
    Buf scratch = buf_create(100);
    JsonValue value;
    assert_true(json_path_get((Slice){json, DEPTH}, SLICE("0.0"), &scratch, &value));
    assert_int_equal(value.raw.len, DEPTH - 2);
    buf_done(&scratch);
    free(json);
}

static void test_paths_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",       ".",        "a.",  "a..b",        "a*",       "a|b",
                                      "@this",  "{a,b}",    "a\\", "#x",          "#(",       "#()",
                                      "#(a==1", "#(a==1)x", "a#",  "#(a==~true)", "#(a*b==1)"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        Err e = {0};
        if (json_path_check(slice_from_cstr(bad[i]), &e) != ERR_PARSE || e.text[0] == 0) {
            fail_msg("\"%s\" was taken", bad[i]);
        }
    }
}

static int check_repeated(const char *unit, size_t count, const char *tail)
{
    Buf path = buf_create(1 << 16);
    for (size_t i = 0; i < count; i++) {
        buf_puts(&path, unit);
    }
    buf_puts(&path, tail);
    int rc = json_path_check(buf_slice(&path), NULL);
    buf_done(&path);
    return rc;
}

static void test_limits(void **state)
{
    (void)state;
    assert_int_equal(check_repeated("a", JSON_PATH_BYTES_MAX, ""), 0);
    assert_int_equal(check_repeated("a", JSON_PATH_BYTES_MAX + 1, ""), ERR_LIMIT);
    assert_int_equal(check_repeated("a.", JSON_PATH_PARTS_MAX - 1, "a"), 0);
    assert_int_equal(check_repeated("a.", JSON_PATH_PARTS_MAX, "a"), ERR_LIMIT);
    assert_int_equal(check_repeated("#(a).", JSON_PATH_CONDITIONS_MAX, "a"), 0);
    assert_int_equal(check_repeated("#(a).", JSON_PATH_CONDITIONS_MAX + 1, "a"), ERR_LIMIT);
    // A result that scratch may not hold is none.
    Buf scratch = buf_create(4);
    JsonValue value;
    assert_false(json_path_get(SLICE("[[1],[2]]"), SLICE("#.0"), &scratch, &value));
    assert_true(json_path_get(SLICE("[[1],2]"), SLICE("#.0"), &scratch, &value));
    buf_done(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples_of_gjson),
        cmocka_unit_test(test_what_is_not_there),
        cmocka_unit_test(test_values_and_conditions),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_deep_text_needs_no_stack),
        cmocka_unit_test(test_paths_refused),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
