// Values against schemas. That they fit is judged from outside: test/fake_llm_test.py lets Python's
// jsonschema check what the fake answers; here stands what is made, and where it ends.
#include "llm/fake_schema.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

static void check(const char *schema, const char *want)
{
    JsonDoc *doc = yyjson_read(schema, strlen(schema), 0);
    assert_non_null(doc);
    Buf out = buf_create(8 << 20);
    fake_schema_value(yyjson_doc_get_root(doc), &out);
    if (want && strcmp(out.data, want) != 0) {
        fail_msg("%s\n  gives %s\n  not   %s", schema, out.data, want);
    }
    assert_false(out.overflowed);
    JsonDoc *made = yyjson_read(out.data, out.len, 0);
    assert_non_null(made);
    yyjson_doc_free(made);
    yyjson_doc_free(doc);
    buf_done(&out);
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *value;
    } cases[] = {
        {"{}", "\"text\""},
        {"{\"const\":[1,null]}", "[1,null]"},
        {"{\"enum\":[\"b\",\"a\"]}", "\"b\""},
        {"{\"type\":\"boolean\"}", "true"},
        {"{\"type\":\"null\"}", "null"},
        {"{\"type\":[\"integer\",\"null\"]}", "1"},
        {"{\"type\":\"integer\",\"minimum\":18}", "18"},
        {"{\"type\":\"integer\",\"exclusiveMinimum\":18}", "19"},
        {"{\"type\":\"integer\",\"maximum\":-3}", "-3"},
        {"{\"type\":\"integer\",\"minimum\":3,\"multipleOf\":5}", "5"},
        {"{\"type\":\"number\",\"exclusiveMinimum\":0,\"exclusiveMaximum\":0.25}", "0.125"},
        {"{\"type\":\"number\"}", "1.5"},
        {"{\"type\":\"string\",\"minLength\":6}", "\"textxx\""},
        {"{\"type\":\"string\",\"maxLength\":2}", "\"xx\""},
        {"{\"type\":\"string\",\"format\":\"date\"}", "\"2026-01-02\""},
        {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":3}", "[1,1,1]"},
        {"{\"type\":\"array\",\"maxItems\":0}", "[]"},
        {"{\"prefixItems\":[{\"const\":1},{\"const\":2}],\"items\":{},\"type\":\"array\"}",
         "[1,2]"},
        {"{\"properties\":{\"city\":{\"type\":\"string\"},\"n\":{\"type\":\"integer\"}}}",
         "{\"city\":\"city\",\"n\":1}"},
        {"{\"type\":\"OBJECT\",\"properties\":{\"a\":{\"type\":\"STRING\"}}}", "{\"a\":\"a\"}"},
        {"{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"null\"}]}", "1"},
        {"{\"allOf\":[{\"properties\":{\"a\":{\"const\":1}}},{\"properties\":{\"b\":{\"const\":2}}}"
         "]}",
         "{\"a\":1,\"b\":2}"},
        {"{\"$ref\":\"#/$defs/x\",\"$defs\":{\"x\":{\"enum\":[7]}}}", "7"},
        {"{\"$ref\":\"https://example.com/schema\"}", "\"text\""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        check(cases[i].schema, cases[i].value);
    }
}

static void test_rings_end(void **state)
{
    (void)state;
    check("{\"$ref\":\"#\"}", NULL);
    check("{\"$ref\":\"#/a\",\"a\":{\"$ref\":\"#/b\"},\"b\":{\"$ref\":\"#/a\"}}", NULL);
    // A tree of itself: optional children stop early, required ones at the nesting limit.
    check("{\"type\":\"object\",\"properties\":{\"next\":{\"$ref\":\"#\"}}}", NULL);
    check(
        "{\"type\":\"object\",\"properties\":{\"next\":{\"$ref\":\"#\"}},\"required\":[\"next\"]}",
        NULL);
    // Each level three wide and twenty deep would be 3^20 values.
    check("{\"type\":\"object\",\"required\":[\"a\",\"b\",\"c\"],\"properties\":{\"a\":{\"$ref\":"
          "\"#\"},\"b\":{\"$ref\":\"#\"},\"c\":{\"$ref\":\"#\"}}}",
          NULL);
    // 256 x 256 texts of 4096 bytes would be 256 MiB.
    check("{\"type\":\"array\",\"minItems\":100000,\"items\":{\"type\":\"array\",\"minItems\":"
          "100000,\"items\":{\"type\":\"string\",\"minLength\":100000}}}",
          NULL);
}

static void test_no_schema(void **state)
{
    (void)state;
    Buf out = buf_create(10);
    fake_schema_value(NULL, &out);
    assert_string_equal(out.data, "{}");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_rings_end),
        cmocka_unit_test(test_no_schema),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
