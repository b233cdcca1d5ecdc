// Ground truth: the number table of RFC 8785, appendix B, and its sample in section 3.2.
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>

#include "base/json_write.h"

static void test_doubles_of_rfc_8785(void **state)
{
    (void)state;
    static const struct {
        uint64_t bits;
        const char *text;
    } cases[] = {
        {0x0000000000000000, "0"},
        {0x8000000000000000, "0"},
        {0x0000000000000001, "5e-324"},
        {0x8000000000000001, "-5e-324"},
        {0x7fefffffffffffff, "1.7976931348623157e+308"},
        {0xffefffffffffffff, "-1.7976931348623157e+308"},
        {0x4340000000000000, "9007199254740992"},
        {0xc340000000000000, "-9007199254740992"},
        {0x4430000000000000, "295147905179352830000"},
        {0x44b52d02c7e14af5, "9.999999999999997e+22"},
        {0x44b52d02c7e14af6, "1e+23"},
        {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
        {0x444b1ae4d6e2ef4e, "999999999999999700000"},
        {0x444b1ae4d6e2ef4f, "999999999999999900000"},
        {0x444b1ae4d6e2ef50, "1e+21"},
        {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
        {0x3eb0c6f7a0b5ed8d, "0.000001"},
        {0x41b3de4355555553, "333333333.3333332"},
        {0x41b3de4355555554, "333333333.33333325"},
        {0x41b3de4355555555, "333333333.3333333"},
        {0x41b3de4355555556, "333333333.3333334"},
        {0x41b3de4355555557, "333333333.33333343"},
        {0xbecbf647612f3696, "-0.0000033333333333333333"},
        {0x43143ff3c1cb0959, "1424953923781206.2"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        double value = 0;
        memcpy(&value, &cases[i].bits, sizeof value);
        char text[JSON_DOUBLE_MAX];
        assert_int_equal(json_format_double(value, text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
    }
}

static void write_sample(JsonWriter *w)
{
    json_object_begin(w);
    json_field_string(w, "text", SLICE("a\"\\\b\x01\n\xC3\xA9\xFF"));
    json_field_cstr(w, "none", NULL);
    json_field_int(w, "int", INT64_MIN);
    json_field_bool(w, "yes", true);
    json_field_double(w, "nan", NAN);
    json_key(w, SLICE("list"));
    json_array_begin(w);
    json_uint(w, UINT64_MAX);
    json_double(w, -INFINITY);
    json_array_begin(w);
    json_array_end(w);
    json_raw(w, SLICE("{\"raw\":1}"));
    json_array_end(w);
    json_key(w, SLICE("empty"));
    json_object_begin(w);
    json_object_end(w);
    json_object_end(w);
}

static void test_compact_and_indented(void **state)
{
    (void)state;
    Buf out = buf_create(4096);
    JsonWriter w = json_writer(&out, 0);
    write_sample(&w);
    assert_string_equal(out.data,
                        "{\"text\":\"a\\\"\\\\\\b\\u0001\\n\xC3\xA9\xEF\xBF\xBD\",\"none\":null,"
                        "\"int\":-9223372036854775808,\"yes\":true,\"nan\":null,"
                        "\"list\":[18446744073709551615,null,[],{\"raw\":1}],\"empty\":{}}");
    buf_reset(&out);
    w = json_writer(&out, 2);
    json_array_begin(&w);
    json_object_begin(&w);
    json_field_int(&w, "a", 1);
    json_field_int(&w, "b", 2);
    json_object_end(&w);
    json_array_begin(&w);
    json_array_end(&w);
    json_array_end(&w);
    assert_string_equal(out.data, "[\n  {\n    \"a\": 1,\n    \"b\": 2\n  },\n  []\n]");
    buf_done(&out);
}

static void test_depth_at_its_limit(void **state)
{
    (void)state;
    Buf out = buf_create(4096);
    JsonWriter w = json_writer(&out, 0);
    for (int i = 0; i < JSON_DEPTH_MAX; i++) {
        json_array_begin(&w);
    }
    json_int(&w, 1);
    json_int(&w, 2);
    for (int i = 0; i < JSON_DEPTH_MAX; i++) {
        json_array_end(&w);
    }
    assert_int_equal(out.len, 2 * JSON_DEPTH_MAX + 3);
    buf_done(&out);
}

static void canonical(DocFormat format, const char *text, const char *expected)
{
    Arena *arena = arena_create(1 << 20);
    const Doc *doc = NULL;
    DocOptions o = {.format = format};
    assert_int_equal(doc_parse(arena, slice_from_cstr(text), &o, &doc, NULL), 0);
    Buf out = buf_create(4096);
    doc_write_canonical(doc, &out);
    assert_string_equal(out.data, expected);
    buf_done(&out);
    arena_destroy(arena);
}

static void test_canonical_form(void **state)
{
    (void)state;
    canonical(DOC_FORMAT_JSON,
              "{\"numbers\": [333333333.33333329, 1E30, 4.50, 2e-3,"
              "0.000000000000000000000000001], \"string\": \"\\u20ac$\\u000F\\u000aA'"
              "\\u0042\\u0022\\u005c\\\\\\\"\\/\", \"literals\": [null, true, false]}",
              "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,"
              "1e-27],\"string\":\"\xE2\x82\xAC$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
    const char *same = "{\"a\":1,\"b\":[true,\"x\"],\"c\":{\"d\":0.5}}";
    canonical(DOC_FORMAT_JSON, "{\"c\": {\"d\": 0.50}, \"b\": [true, \"x\"], \"a\": 1.0}", same);
    canonical(DOC_FORMAT_YAML, "b: [true, x]\nc: {d: .5}\na: 0x1\n", same);
    canonical(DOC_FORMAT_TOML, "c.d = 5e-1\na = 1\nb = [true, 'x']\n", same);
    canonical(DOC_FORMAT_TOML, "a = 1979-05-27\n", "{\"a\":\"1979-05-27\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubles_of_rfc_8785),
        cmocka_unit_test(test_compact_and_indented),
        cmocka_unit_test(test_depth_at_its_limit),
        cmocka_unit_test(test_canonical_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
