// Ground truth: scalar tables of the YAML 1.2.2 specification (10.3.2, example 10.9), RFC 8259;
// positions were counted by hand.
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>

#include "base/doc.h"

static Arena *arena;
static Err err;

static int setup(void **state)
{
    (void)state;
    arena = arena_create(64 << 20);
    err = (Err){0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

static const Doc *parse(DocFormat format, const char *text)
{
    DocOptions o = {.format = format, .source = "f"};
    const Doc *doc = NULL;
    int rc = doc_parse(arena, slice_from_cstr(text), &o, &doc, &err);
    if (rc != 0) {
        print_message("%s\n", err.text);
    }
    assert_int_equal(rc, 0);
    return doc;
}

static void refuse(const DocOptions *o, const char *text, int rc, const char *words)
{
    const Doc *doc = NULL;
    assert_int_equal(doc_parse(arena, slice_from_cstr(text), o, &doc, &err), rc);
    if (!strstr(err.text, words)) {
        print_message("got: %s\nwant: %s\n", err.text, words);
    }
    assert_non_null(strstr(err.text, words));
    assert_null(doc);
}

static void assert_at(const Doc *d, int line, int column)
{
    assert_non_null(d);
    assert_int_equal(d->line, line);
    assert_int_equal(d->column, column);
}

static void test_json_positions(void **state)
{
    (void)state;
    const Doc *d = parse(DOC_FORMAT_JSON,
                         "{\n  \"n\\u00e9\": \"\xC3\xA9\\\"}\", \"b\" : [1,\n -2.5e1, {}, []],\n"
                         "  \"c\": {\"d\": null, \"e\": true}}");
    assert_int_equal(doc_count(d), 3);
    const Doc *first = doc_first(d);
    assert_true(slice_eq_cstr(first->key, "n\xC3\xA9"));
    assert_int_equal(first->key_line, 2);
    assert_int_equal(first->key_column, 3);
    assert_at(first, 2, 14);
    assert_true(slice_eq_cstr(first->text, "\xC3\xA9\"}"));
    const Doc *b = doc_get(d, SLICE("b"));
    assert_int_equal(b->key_column, 22);
    assert_at(b, 2, 28);
    assert_at(doc_at(b, 0), 2, 29);
    assert_at(doc_at(b, 1), 3, 2);
    assert_true(doc_at(b, 1)->real == -25.0);
    assert_true(slice_eq_cstr(doc_at(b, 1)->text, "-2.5e1"));
    assert_at(doc_at(b, 2), 3, 10);
    assert_at(doc_at(b, 3), 3, 14);
    assert_null(doc_at(b, 4));
    const Doc *c = doc_get(d, SLICE("c"));
    assert_at(doc_get(c, SLICE("d")), 4, 14);
    assert_true(doc_get(c, SLICE("e"))->boolean);
    assert_null(doc_get(c, SLICE("f")));
    assert_null(doc_get(b, SLICE("f")));
}

static void test_json_numbers(void **state)
{
    (void)state;
    const Doc *d = parse(DOC_FORMAT_JSON, "[9223372036854775807, -9223372036854775808,"
                                          "9223372036854775808, 18446744073709551616, 0.1, -0]");
    assert_true(doc_at(d, 0)->type == DOC_INT && doc_at(d, 0)->integer == INT64_MAX);
    assert_true(doc_at(d, 1)->type == DOC_INT && doc_at(d, 1)->integer == INT64_MIN);
    assert_true(doc_at(d, 2)->type == DOC_FLOAT && doc_at(d, 2)->real == 9223372036854775808.0);
    assert_true(slice_eq_cstr(doc_at(d, 2)->text, "9223372036854775808"));
    assert_true(doc_at(d, 3)->type == DOC_FLOAT);
    assert_true(doc_number(doc_at(d, 4)) == 0.1);
    assert_true(doc_is_number(doc_at(d, 5)));
}

static void test_json_refusals(void **state)
{
    (void)state;
    DocOptions o = {.format = DOC_FORMAT_JSON, .source = "p.json"};
    refuse(&o, "{\"a\": 1,\n \"b\": 2, \"a\": 3}", ERR_PARSE,
           "p.json:2:10: \"a\" is there twice; the first is at line 1, column 2");
    refuse(&o, "{\"a\": nul}", ERR_PARSE, "p.json:1:7: ");
    refuse(&o, "", ERR_PARSE, "p.json:1:");
    refuse(&o, "[1,]", ERR_PARSE, "p.json:1:3: ");
    refuse(&o, "[1] 2", ERR_PARSE, "p.json:1:5: ");
    refuse(&o, "[1e999]", ERR_PARSE, "p.json:1:");
    refuse(&o, "[\n\"\xFF\"]", ERR_PARSE, "p.json:2:2: byte 0xff is not UTF-8");
    refuse(&o, "\"\\ud800\"", ERR_PARSE, "p.json:1:");
}

static void test_limits_at_their_edge(void **state)
{
    (void)state;
    DocOptions o = {
        .format = DOC_FORMAT_JSON, .source = "x", .max_depth = 3, .max_nodes = 4, .max_bytes = 12};
    const Doc *d = NULL;
    assert_int_equal(doc_parse(arena, SLICE("[[[1]]]"), &o, &d, &err), 0);
    d = NULL;
    refuse(&o, "[[[[]]]]", ERR_LIMIT, "x:1:4: nested deeper than 3 levels");
    refuse(&o, "[1,2,3,4]", ERR_LIMIT, "x:1:8: more than 4 values");
    refuse(&o, "[1,        2]", ERR_LIMIT, "13 bytes, the limit is 12");
    o.format = DOC_FORMAT_YAML;
    assert_int_equal(doc_parse(arena, SLICE("[[[1]]]"), &o, &d, &err), 0);
    d = NULL;
    refuse(&o, "[[[[]]]]", ERR_LIMIT, "x:1:4: nested deeper than 3 levels");
    refuse(&o, "[1,2,3,4]", ERR_LIMIT, "x:1:8: more than 4 values");

    Arena *small = arena_create(2048);
    DocOptions plain = {.format = DOC_FORMAT_JSON};
    assert_int_equal(
        doc_parse(small, SLICE("[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]"), &plain, &d, &err),
        ERR_LIMIT);
    arena_destroy(small);
}

static void test_yaml_core_schema(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        DocType type;
        double value;
    } cases[] = {
        {"no", DOC_STRING, 0},
        {"on", DOC_STRING, 0},
        {"yes", DOC_STRING, 0},
        {"12:30", DOC_STRING, 0},
        {"010", DOC_INT, 10},
        {"0o10", DOC_INT, 8},
        {"0x1F", DOC_INT, 31},
        {"-0x1F", DOC_STRING, 0},
        {"0b1", DOC_STRING, 0},
        {"1_000", DOC_STRING, 0},
        {"+12", DOC_INT, 12},
        {"-0", DOC_INT, 0},
        {"0.", DOC_FLOAT, 0},
        {".5", DOC_FLOAT, 0.5},
        {"+.5e1", DOC_FLOAT, 5},
        {"1e3", DOC_FLOAT, 1000},
        {"12e03", DOC_FLOAT, 12000},
        {"-2E+05", DOC_FLOAT, -200000},
        {"1e", DOC_STRING, 0},
        {".", DOC_STRING, 0},
        {"+", DOC_STRING, 0},
        {"~", DOC_NULL, 0},
        {"null", DOC_NULL, 0},
        {"NULL", DOC_NULL, 0},
        {"nULL", DOC_STRING, 0},
        {"true", DOC_BOOL, 1},
        {"False", DOC_BOOL, 0},
        {"tRUE", DOC_STRING, 0},
        {"\"1\"", DOC_STRING, 0},
        {"'true'", DOC_STRING, 0},
        {"!!str 1", DOC_STRING, 0},
        {"!!float 1", DOC_FLOAT, 1},
        {"2001-12-14", DOC_STRING, 0},
        {"0x", DOC_STRING, 0},
        {"9223372036854775808", DOC_FLOAT, 9223372036854775808.0},
        {"0xFFFFFFFFFFFFFFFF", DOC_FLOAT, 18446744073709551615.0},
        {"-.inf", DOC_FLOAT, -INFINITY},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "- %s\n", cases[i].text);
        const Doc *d = doc_at(parse(DOC_FORMAT_YAML, text), 0);
        if (d->type != cases[i].type || (doc_is_number(d) && doc_number(d) != cases[i].value)) {
            fail_msg("%s: type %d, value %g", cases[i].text, (int)d->type, doc_number(d));
        }
    }
    assert_true(isnan(parse(DOC_FORMAT_YAML, ".nan")->real));
    assert_true(parse(DOC_FORMAT_YAML, "true")->boolean);
    assert_int_equal(parse(DOC_FORMAT_YAML, "")->type, DOC_NULL);
    assert_int_equal(parse(DOC_FORMAT_YAML, "# nothing\n")->type, DOC_NULL);
}

static void test_yaml_tree_and_aliases(void **state)
{
    (void)state;
    const Doc *d = parse(DOC_FORMAT_YAML, "\xEF\xBB\xBF"
                                          "base: &b {x: 1, y: [2, 3]}\n"
                                          "8080: *b\n"
                                          "text: |\n  a\n  b\n"
                                          "\"<<\": quoted\n");
    const Doc *copy = doc_get(d, SLICE("8080"));
    assert_int_equal(copy->key_line, 2);
    assert_at(copy, 1, 7); // where the aliased value can be changed
    assert_int_equal(doc_at(doc_get(copy, SLICE("y")), 1)->integer, 3);
    assert_true(slice_eq_cstr(doc_get(d, SLICE("text"))->text, "a\nb\n"));
    assert_true(slice_eq_cstr(doc_get(d, SLICE("<<"))->text, "quoted"));
    assert_at(doc_get(doc_get(d, SLICE("base")), SLICE("x")), 1, 14);
}

static void test_yaml_refusals(void **state)
{
    (void)state;
    DocOptions o = {.format = DOC_FORMAT_YAML, .source = "p.yaml"};
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"a: 1\nb: 2\na: 3\n", "p.yaml:3:1: \"a\" is there twice; the first is at line 1"},
        {"a: &x {b: 1}\nc:\n  <<: *x\n", "p.yaml:3:3: merge keys (<<) are not supported"},
        {"a: *nope\n", "p.yaml:1:4: the alias *nope has no anchor"},
        {"a: &a [*a]\n", "p.yaml:1:8: the alias *a stands inside"},
        {"? [1, 2]\n: x\n", "p.yaml:1:3: a key must be"},
        {"a: !custom 1\n", "p.yaml:1:4: the tag !custom is not supported"},
        {"a: !!int x\n", "p.yaml:1:4: tagged"},
        {"a: !!set {b}\n", "p.yaml:1:4: the tag"},
        {"a: 1\n---\nb: 2\n", "p.yaml:2:1: a second document begins"},
        {"a: [1, 2\nb: 3\n", "p.yaml:2:"},
        {"a:\n\t- b\n", "p.yaml:2:1: "},
        {"a: \"\\ud83d\\ude00\"\n", "YAML has no surrogate pairs"},
        {"?\n: 1\n", "p.yaml:1:2: a key is missing"},
        {"a: 1e999\n", "p.yaml:1:4: number is too large"},
        {"a: \x01\n", "p.yaml:1:4: "},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        refuse(&o, cases[i].text, ERR_PARSE, cases[i].words);
    }
}

static void test_yaml_billion_laughs(void **state)
{
    (void)state;
    DocOptions o = {.format = DOC_FORMAT_YAML, .source = "p.yaml"};
    refuse(&o,
           "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
           "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
           "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n",
           ERR_LIMIT, "aliases expand to more than 10000 values");
    o.max_alias_nodes = 3;
    const Doc *d = NULL;
    assert_int_equal(doc_parse(arena, SLICE("- &a [x, y]\n- *a\n"), &o, &d, &err), 0);
    refuse(&o, "- &a [x, y, z]\n- *a\n", ERR_LIMIT, "more than 3 values");
    // Depth through an alias counts as depth.
    o = (DocOptions){.format = DOC_FORMAT_YAML, .source = "p.yaml", .max_depth = 3};
    assert_int_equal(doc_parse(arena, SLICE("- &a [[x]]\n- *a\n"), &o, &d, &err), 0);
    refuse(&o, "- &a [[x]]\n- [*a]\n", ERR_LIMIT, "nested deeper than 3 levels");
}

static void test_yaml_anchor_limit(void **state)
{
    (void)state;
    for (int count = 1000; count <= 1001; count++) {
        Buf text = buf_create(1 << 20);
        for (int i = 0; i < count; i++) {
            buf_printf(&text, "- &a%d x\n", i);
        }
        DocOptions o = {.format = DOC_FORMAT_YAML};
        const Doc *d = NULL;
        assert_int_equal(doc_parse(arena, buf_slice(&text), &o, &d, &err),
                         count == 1000 ? 0 : ERR_LIMIT);
        buf_done(&text);
    }
}

static void test_many_documents(void **state)
{
    (void)state;
    DocOptions o = {.source = "slo.yaml"};
    const Doc *all = NULL;
    assert_int_equal(doc_parse_all(arena, SLICE("a: 1\n---\n- b\n---\n"), &o, &all, &err), 0);
    assert_int_equal(doc_count(all), 3);
    assert_int_equal(doc_get(doc_at(all, 0), SLICE("a"))->integer, 1);
    assert_at(doc_at(doc_at(all, 1), 0), 3, 3);
    assert_int_equal(doc_at(all, 2)->type, DOC_NULL);
    assert_int_equal(doc_parse_all(arena, SLICE(""), &o, &all, &err), 0);
    assert_int_equal(doc_count(all), 0);
    o.source = "slo.json";
    assert_int_equal(doc_parse_all(arena, SLICE("{}"), &o, &all, &err), 0);
    assert_int_equal(doc_count(all), 1);
    o.source = "slo.txt";
    assert_int_equal(doc_parse_all(arena, SLICE("{}"), &o, &all, &err), ERR_ARG);
}

static void test_semantic_helpers(void **state)
{
    (void)state;
    static const Slice names[] = {SLICE_INIT("duration"), SLICE_INIT("rate"), SLICE_INIT("vus")};
    const Doc *d = parse(DOC_FORMAT_YAML, "vus: 3\ndurations: 5s\n");
    assert_int_equal(doc_expect_fields(d, names, COUNT_OF(names), &err), ERR_PARSE);
    assert_string_equal(err.text, "f:2:1: unknown field \"durations\"; did you mean \"duration\"?");
    assert_int_equal(doc_expect(doc_first(d), DOC_FLOAT, "vus", &err), 0);
    assert_int_equal(doc_expect(doc_first(d), DOC_STRING, "vus", &err), ERR_PARSE);
    assert_string_equal(err.text, "f:1:6: vus must be a string, not a whole number");
    d = parse(DOC_FORMAT_YAML, "zzzzzz: 3\n");
    assert_int_equal(doc_expect_fields(d, names, COUNT_OF(names), &err), ERR_PARSE);
    assert_string_equal(err.text, "f:1:1: unknown field \"zzzzzz\"");
}

static void test_read_file(void **state)
{
    (void)state;
    const Doc *d = NULL;
    assert_int_equal(doc_read_file(arena, "/nonexistent.json", NULL, &d, &err), ERR_IO);
    assert_int_equal(doc_read_file(arena, "/", &(DocOptions){.format = DOC_FORMAT_JSON}, &d, &err),
                     ERR_IO);
    char path[] = "/tmp/doc_test_XXXXXX.json";
    int fd = mkstemps(path, 5);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_true(fputs("{\"a\": [1, 2]}", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(doc_read_file(arena, path, NULL, &d, &err), 0);
    assert_int_equal(doc_count(doc_get(d, SLICE("a"))), 2);
    assert_string_equal(d->source, path);
    DocOptions exact = {.max_bytes = 13}, less = {.max_bytes = 12};
    assert_int_equal(doc_read_file(arena, path, &exact, &d, &err), 0);
    assert_int_equal(doc_read_file(arena, path, &less, &d, &err), ERR_LIMIT);
    assert_int_equal(remove(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_positions),    cmocka_unit_test(test_json_numbers),
        cmocka_unit_test(test_json_refusals),     cmocka_unit_test(test_limits_at_their_edge),
        cmocka_unit_test(test_yaml_core_schema),  cmocka_unit_test(test_yaml_tree_and_aliases),
        cmocka_unit_test(test_yaml_refusals),     cmocka_unit_test(test_yaml_billion_laughs),
        cmocka_unit_test(test_yaml_anchor_limit), cmocka_unit_test(test_many_documents),
        cmocka_unit_test(test_semantic_helpers),  cmocka_unit_test(test_read_file),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
