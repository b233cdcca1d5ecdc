#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "mcp/client_impl.h"

typedef struct Case {
    const char *name;
    const char *properties; // inside of {"type":"object", ... }
    const char *why;        // NULL: fine
    size_t count;
} Case;

// The broken ones are those of the conformance suite's scenario http-invalid-tool-headers and the
// rules of SEP-2243 with its clarifications (pull request 2772).
static const Case CASES[] = {
    {"plain", "\"properties\":{\"a\":{\"type\":\"string\",\"x-mcp-header\":\"Region\"}}", NULL, 1},
    {"none", "\"properties\":{\"a\":{\"type\":\"string\"}}", NULL, 0},
    {"nested",
     "\"properties\":{\"a\":{\"type\":\"object\",\"properties\":{\"b\":{\"type\":\"integer\","
     "\"x-mcp-header\":\"B\"}}},\"c\":{\"type\":\"boolean\",\"x-mcp-header\":\"C\"}}",
     NULL, 2},
    {"empty", "\"properties\":{\"a\":{\"type\":\"string\",\"x-mcp-header\":\"\"}}",
     "no name for a header", 0},
    {"not a text", "\"properties\":{\"a\":{\"type\":\"string\",\"x-mcp-header\":1}}",
     "no name for a header", 0},
    {"blank", "\"properties\":{\"a\":{\"type\":\"string\",\"x-mcp-header\":\"My Region\"}}",
     "no name for a header", 0},
    {"colon", "\"properties\":{\"a\":{\"type\":\"string\",\"x-mcp-header\":\"R:P\"}}",
     "no name for a header", 0},
    {"line break", "\"properties\":{\"a\":{\"type\":\"string\",\"x-mcp-header\":\"R\\r\\nX: y\"}}",
     "no name for a header", 0},
    {"beyond ASCII",
     "\"properties\":{\"a\":{\"type\":\"string\",\"x-mcp-header\":\"R\u00e9gion\"}}",
     "no name for a header", 0},
    {"object", "\"properties\":{\"a\":{\"type\":\"object\",\"x-mcp-header\":\"A\"}}",
     "no string, integer or boolean", 0},
    {"number", "\"properties\":{\"a\":{\"type\":\"number\",\"x-mcp-header\":\"A\"}}",
     "no string, integer or boolean", 0},
    {"twice",
     "\"properties\":{\"a\":{\"type\":\"string\",\"x-mcp-header\":\"MyField\"},"
     "\"b\":{\"type\":\"string\",\"x-mcp-header\":\"myfield\"}}",
     "there twice", 0},
    {"in items",
     "\"properties\":{\"a\":{\"type\":\"array\",\"items\":{\"type\":\"string\","
     "\"x-mcp-header\":\"A\"}}}",
     "properties alone do not lead", 0},
    {"in a definition", "\"$defs\":{\"a\":{\"type\":\"string\",\"x-mcp-header\":\"A\"}}",
     "properties alone do not lead", 0},
    {"in a default",
     "\"properties\":{\"a\":{\"type\":\"object\",\"default\":{\"x-mcp-header\":1}}}", NULL, 0},
};

static const Doc *read_json(Arena *arena, const char *text)
{
    const Doc *d = NULL;
    Err e;
    if (doc_parse(arena, slice_from_cstr(text), NULL, &d, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return d;
}

static void test_annotations(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        const Case *c = &CASES[i];
        Arena *arena = arena_create(1 << 20);
        Buf text = buf_create(4096);
        buf_printf(&text, "{\"type\":\"object\",%s}", c->properties);
        const McpParam *params = NULL;
        size_t count = 0;
        Err e = {0};
        int rc = mcp_params_of(arena, read_json(arena, text.data), &params, &count, &e);
        if (c->why ? rc != ERR_PROTOCOL || !strstr(e.text, c->why) : rc != 0 || count != c->count) {
            fail_msg("%s: %d '%s', %zu", c->name, rc, e.text, count);
        }
        buf_done(&text);
        arena_destroy(arena);
    }
}

// The value table of the specification (Streamable HTTP, "Value Encoding"), base64 by coreutils.
static void test_header_values(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *header;
    } VALUES[] = {
        {"us-west1", "us-west1"},
        {"us west 1", "us west 1"},
        {"", ""},
        {"Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="},
        {" padded ", "=?base64?IHBhZGRlZCA=?="},
        {"line1\nline2", "=?base64?bGluZTEKbGluZTI=?="},
        {"\tindented", "=?base64?CWluZGVudGVk?="},
        {"=?base64?SGVsbG8=?=", "=?base64?PT9iYXNlNjQ/U0dWc2JHOD0/PQ==?="},
    };
    Arena *arena = arena_create(1 << 20);
    for (size_t i = 0; i < COUNT_OF(VALUES); i++) {
        Slice got = mcp_header_value(arena, slice_from_cstr(VALUES[i].text));
        if (!slice_eq_cstr(got, VALUES[i].header)) {
            fail_msg("'%s' became '%.*s'", VALUES[i].text, SLICE_FMT(got));
        }
    }
    arena_destroy(arena);
}

static void test_headers_of_a_call(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    McpTool tool = {0};
    const Doc *schema = read_json(
        arena, "{\"properties\":{\"s\":{\"type\":\"string\",\"x-mcp-header\":\"S\"},"
               "\"n\":{\"type\":\"integer\",\"x-mcp-header\":\"N\"},"
               "\"b\":{\"type\":\"boolean\",\"x-mcp-header\":\"B\"},"
               "\"null\":{\"type\":\"string\",\"x-mcp-header\":\"Null\"},"
               "\"gone\":{\"type\":\"string\",\"x-mcp-header\":\"Gone\"},"
               "\"wrong\":{\"type\":\"string\",\"x-mcp-header\":\"Wrong\"},"
               "\"o\":{\"properties\":{\"p\":{\"type\":\"string\",\"x-mcp-header\":\"P\"}}}}}");
    assert_int_equal(mcp_params_of(arena, schema, &tool.params, &tool.param_count, NULL), 0);
    const Doc *arguments =
        read_json(arena, "{\"s\":\"x\",\"n\":-42,\"b\":false,\"null\":null,\"wrong\":[1],"
                         "\"o\":{\"p\":\"deep\"}}");
    HttpHeader headers[8];
    size_t count = mcp_param_headers(arena, &tool, arguments, headers, COUNT_OF(headers));
    Buf text = buf_create(4096);
    for (size_t i = 0; i < count; i++) {
        buf_printf(&text, "%.*s=%.*s;", SLICE_FMT(headers[i].name), SLICE_FMT(headers[i].value));
    }
    assert_string_equal(text.data,
                        "Mcp-Param-S=x;Mcp-Param-N=-42;Mcp-Param-B=false;Mcp-Param-P=deep;");
    buf_done(&text);
    arena_destroy(arena);
}

// SEP-1034: what an accepted form holds when nobody filled it in.
static void test_elicitation_defaults(void **state)
{
    (void)state;
    static const struct {
        const char *params;
        const char *result;
    } FORMS[] = {
        {"{\"message\":\"m\",\"requestedSchema\":{\"type\":\"object\",\"properties\":{"
         "\"name\":{\"type\":\"string\",\"default\":\"John Doe\"},"
         "\"age\":{\"type\":\"integer\",\"default\":30},"
         "\"score\":{\"type\":\"number\",\"default\":95.5},\"free\":{\"type\":\"string\"},"
         "\"verified\":{\"type\":\"boolean\",\"default\":true}}}}",
         "{\"action\":\"accept\",\"content\":{\"name\":\"John Doe\",\"age\":30,\"score\":95.5,"
         "\"verified\":true}}"},
        {"{\"requestedSchema\":{\"properties\":{\"a\":{\"type\":\"string\"}},\"required\":[\"a\"]}"
         "}",
         "{\"action\":\"decline\"}"},
        {"{\"mode\":\"url\",\"url\":\"https://example.com\"}", "{\"action\":\"decline\"}"},
    };
    Arena *arena = arena_create(1 << 20);
    for (size_t i = 0; i < COUNT_OF(FORMS); i++) {
        Buf out = buf_create(4096);
        mcp_elicit_defaults(read_json(arena, FORMS[i].params), &out);
        assert_string_equal(out.data, FORMS[i].result);
        buf_done(&out);
    }
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_annotations),
        cmocka_unit_test(test_header_values),
        cmocka_unit_test(test_headers_of_a_call),
        cmocka_unit_test(test_elicitation_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
