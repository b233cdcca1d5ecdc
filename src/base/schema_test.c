#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/schema.h"

static const Doc *parse(Arena *arena, const char *text)
{
    const Doc *doc = NULL;
    Err e;
    if (doc_parse(arena, slice_from_cstr(text),
                  &(DocOptions){.format = DOC_FORMAT_JSON, .source = "schema"}, &doc, &e) != 0) {
        fail_msg("%s: %s", text, e.text);
    }
    return doc;
}

// The meaning of each keyword: JSON Schema 2020-12, "Validation" sections 6.1 to 6.5 and "Core"
// sections 10.2 and 10.3. `error` NULL: the value fits.
static void test_keywords(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *value, *error;
    } cases[] = {
        {"true", "5", NULL},
        {"false", "5", "arguments: nothing is allowed here"},
        {"{}", "[1]", NULL},
        {"{\"type\":\"integer\"}", "5", NULL},
        {"{\"type\":\"integer\"}", "5.0", NULL},
        {"{\"type\":\"integer\"}", "5.5", "arguments: must be of type integer, not a number"},
        {"{\"type\":[\"string\",\"null\"]}", "null", NULL},
        {"{\"type\":[\"string\",\"null\"]}", "1", "must be of type string or null"},
        {"{\"type\":\"number\"}", "1", NULL},
        {"{\"type\":\"boolean\"}", "1", "boolean"},
        {"{\"enum\":[\"C\",\"F\",1]}", "1.0", NULL},
        {"{\"enum\":[\"C\",\"F\"]}", "\"K\"", "must be one of \"C\", \"F\", not \"K\""},
        {"{\"const\":{\"a\":1,\"b\":2}}", "{\"b\":2,\"a\":1}", NULL},
        {"{\"const\":[1]}", "[2]", "must be [1]"},
        {"{\"minimum\":1}", "1", NULL},
        {"{\"minimum\":1}", "0.5", "must be at least 1, not 0.5"},
        {"{\"maximum\":1}", "2", "at most 1"},
        {"{\"exclusiveMinimum\":1}", "1", "above 1"},
        {"{\"exclusiveMaximum\":1}", "1", "below 1"},
        {"{\"minimum\":1}", "\"text\"", NULL},
        {"{\"multipleOf\":0.1}", "0.3", NULL},
        {"{\"multipleOf\":2}", "3", "multiple of 2"},
        {"{\"minLength\":2}", "\"\xC3\xA9\"", "at least 2 characters, not 1"},
        {"{\"maxLength\":1}", "\"\xC3\xA9\"", NULL},
        {"{\"required\":[\"a\"]}", "{\"b\":1}", "the member \"a\" is missing"},
        {"{\"properties\":{\"a\":{\"type\":\"string\"}}}", "{\"a\":1}", "arguments.a: must be"},
        {"{\"properties\":{\"city\":{}},\"additionalProperties\":false}", "{\"citi\":1}",
         "has no member \"citi\"; did you mean \"city\"?"},
        {"{\"additionalProperties\":{\"type\":\"integer\"}}", "{\"x\":\"1\"}",
         "arguments.x: must be"},
        {"{\"minProperties\":1}", "{}", "at least 1 members"},
        {"{\"items\":{\"type\":\"integer\"}}", "[1,\"2\"]", "arguments[1]: must be"},
        {"{\"prefixItems\":[{\"type\":\"string\"}],\"items\":{\"type\":\"integer\"}}", "[\"a\",1]",
         NULL},
        {"{\"prefixItems\":[{\"type\":\"string\"}],\"items\":false}", "[\"a\",1]",
         "arguments[1]: nothing is allowed"},
        {"{\"maxItems\":1}", "[1,2]", "at most 1 items, not 2"},
        {"{\"uniqueItems\":true}", "[1,2,1.0]", "same item twice"},
        {"{\"uniqueItems\":true}", "[1,[1],\"1\"]", NULL},
        {"{\"allOf\":[{\"minimum\":1},{\"maximum\":3}]}", "4", "at most 3"},
        {"{\"anyOf\":[{\"type\":\"string\"},{\"minimum\":3}]}", "4", NULL},
        {"{\"anyOf\":[{\"type\":\"string\"},{\"minimum\":3}]}", "1", "fits none of 2 schemas"},
        {"{\"oneOf\":[{\"minimum\":1},{\"maximum\":3}]}", "2", "fits 2 of 2 schemas"},
        {"{\"oneOf\":[{\"minimum\":1},{\"maximum\":3}]}", "4", NULL},
        {"{\"not\":{\"type\":\"null\"}}", "null", "must not"},
        {"{\"$ref\":\"#/$defs/a~1b\",\"$defs\":{\"a/b\":{\"type\":\"null\"}}}", "1", "null"},
        {"{\"properties\":{\"next\":{\"$ref\":\"#\"}},\"required\":[\"v\"]}",
         "{\"v\":1,\"next\":{\"v\":2,\"next\":{}}}", "arguments.next.next: the member \"v\""},
        {"{\"pattern\":\"^a\",\"format\":\"email\",\"title\":5,\"x-own\":[]}", "\"b\"", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Arena *arena = arena_create(1 << 20);
        const Doc *schema = parse(arena, cases[i].schema);
        Err e;
        if (schema_check(schema, &e) != 0) {
            fail_msg("%s: %s", cases[i].schema, e.text);
        }
        int rc = schema_validate(schema, parse(arena, cases[i].value), "arguments", &e);
        if (rc != (cases[i].error ? ERR_ARG : 0)) {
            fail_msg("%s on %s: %d %s", cases[i].schema, cases[i].value, rc, rc ? e.text : "");
        }
        if (cases[i].error && !strstr(e.text, cases[i].error)) {
            fail_msg("\"%s\" is not in \"%s\"", cases[i].error, e.text);
        }
        arena_destroy(arena);
    }
}

static void test_what_is_no_schema(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *error;
    } cases[] = {
        {"5", "schema:1:1: a schema must be an object, not a whole number"},
        {"{\"type\":\"text\"}", "\"type\" must be"},
        {"{\"type\":[]}", "\"type\" must be"},
        {"{\"properties\":[]}", "must be"},
        {"{\"properties\":{\"a\":1}}", "schema:1:20: a schema must be"},
        {"{\"required\":[1]}", "must be a string"},
        {"{\"minItems\":-1}", "at least 0"},
        {"{\"minItems\":1.5}", "whole number"},
        {"{\"multipleOf\":0}", "above 0"},
        {"{\"anyOf\":[]}", "a list of schemas"},
        {"{\"$ref\":\"#/nowhere\"}", "leads nowhere"},
        {"{\"$ref\":\"http://example.com/\"}", "leads nowhere"},
        {"{\"items\":{\"not\":{\"enum\":1}}}", "must be"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Arena *arena = arena_create(1 << 20);
        Err e;
        assert_int_equal(schema_check(parse(arena, cases[i].schema), &e), ERR_PARSE);
        if (!strstr(e.text, cases[i].error)) {
            fail_msg("\"%s\" is not in \"%s\"", cases[i].error, e.text);
        }
        arena_destroy(arena);
    }
}

static void test_endless_references_end(void **state)
{
    (void)state;
    static const char *const schemas[] = {
        "{\"$ref\":\"#\"}",
        "{\"anyOf\":[{\"$ref\":\"#\"},{\"$ref\":\"#\"}]}",
        "{\"not\":{\"$ref\":\"#\"}}",
    };
    for (size_t i = 0; i < COUNT_OF(schemas); i++) {
        Arena *arena = arena_create(1 << 20);
        const Doc *schema = parse(arena, schemas[i]);
        assert_int_equal(schema_check(schema, NULL), 0);
        assert_int_equal(schema_validate(schema, schema, "arguments", NULL), ERR_LIMIT);
        arena_destroy(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keywords),
        cmocka_unit_test(test_what_is_no_schema),
        cmocka_unit_test(test_endless_references_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
