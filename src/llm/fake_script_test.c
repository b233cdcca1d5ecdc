#include "llm/fake_script.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/units.h"

static const Doc *parse(Arena *arena, const char *text)
{
    const Doc *doc = NULL;
    Err e = {0};
    DocOptions options = {.format = DOC_FORMAT_YAML, .source = "s.yaml"};
    if (doc_parse(arena, slice_from_cstr(text), &options, &doc, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return doc;
}

static void test_a_script(void **state)
{
    (void)state;
    Arena *arena = arena_create(8 << 20);
    FakeScript *s = NULL;
    const Doc *doc = parse(arena, "seed: 7\n"
                                  "models: [a, b]\n"
                                  "latency: lognormal:200ms,1s\n"
                                  "ttft: 5ms\n"
                                  "tokens_per_second: 80\n"
                                  "answer_tokens: 32\n"
                                  "faults: {rate_limit: 0.25, stall: 0.75}\n"
                                  "stall: 2s\n"
                                  "rules:\n"
                                  "  - match: {message: weather, after_tool: false}\n"
                                  "    times: 3\n"
                                  "    tools: [{name: f, arguments: {city: Paris, n: [1]}}]\n"
                                  "  - error: {status: 429, code: x, retry_after: 2s}\n"
                                  "  - {text: '', fault: disconnect, latency: 1s}\n");
    assert_int_equal(fake_script_read(arena, doc, &s, NULL), 0);
    assert_int_equal(s->seed, 7);
    assert_int_equal(s->model_count, 2);
    assert_int_equal(s->settings.latency.kind, FAKE_DIST_LOGNORMAL);
    assert_true(s->settings.has_ttft);
    assert_int_equal(s->settings.stall_ns, 2 * NS_PER_SECOND);
    assert_true(s->settings.fault_rate[FAKE_STALL] == 0.75);
    assert_int_equal(s->rule_count, 3);
    assert_int_equal(s->rules[0].times, 3);
    assert_int_equal(s->rules[0].after_tool, 0);
    assert_int_equal(s->rules[0].stream, -1);
    assert_true(slice_eq_cstr(s->rules[0].calls[0].arguments, "{\"city\":\"Paris\",\"n\":[1]}"));
    assert_int_equal(s->rules[1].status, 429);
    assert_int_equal(s->rules[1].retry_after_ns, 2 * NS_PER_SECOND);
    assert_true(s->rules[2].has_text && s->rules[2].text.len == 0);
    assert_int_equal(s->rules[2].fault, FAKE_DISCONNECT);
    assert_int_equal(s->rules[2].times, -1);
    assert_int_equal(fake_script_read(arena, parse(arena, ""), &s, NULL), 0);
    assert_int_equal(s->rule_count, 0);
    arena_destroy(arena);
}

static void test_mistakes_are_named_at_their_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"latencie: 5ms\n", "s.yaml:1:1: "},
        {"latencie: 5ms\n", "latency"},
        {"latency: [1]\n", "must be a distribution"},
        {"latency: 5\n", "latency: "},
        {"faults: {stal: 1}\n", "did you mean \"stall\""},
        {"faults: {stall: 2}\n", "from 0 to 1"},
        {"faults: {stall: .nan}\n", "from 0 to 1"},
        {"faults: {stall: 0.6, disconnect: 0.6}\n", "more than 1"},
        {"tokens_per_second: -1\n", "tokens_per_second"},
        {"requests_per_minute: 1.5\n", "whole number"},
        {"seed: x\n", "whole number"},
        {"rules: {}\n", "rules must be an array"},
        {"rules: [{texts: x}]\n", "text"},
        {"rules: [{match: {massage: x}}]\n", "message"},
        {"rules: [{match: {stream: 1}}]\n", "true or false"},
        {"rules: [{tools: [{arguments: {}}]}]\n", "needs a name"},
        {"rules: [{tools: [{name: f, arguments: 1}]}]\n", "arguments must be"},
        {"rules: [{error: {status: 200}}]\n", "400 to 599"},
        {"rules: [{error: {}}]\n", "400 to 599"},
        {"rules: [{fault: 1}]\n", "must be text"},
        {"rules: [{fault: burn}]\n", "no fault"},
        {"- 1\n", "must be an object"},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        Arena *arena = arena_create(8 << 20);
        FakeScript *s = NULL;
        Err e = {0};
        int rc = fake_script_read(arena, parse(arena, bad[i].text), &s, &e);
        if (rc >= 0 || !strstr(e.text, bad[i].words)) {
            fail_msg("%s gives %s \"%s\"", bad[i].text, err_name(rc), e.text);
        }
        assert_null(s);
        arena_destroy(arena);
    }
}

static void test_limits_of_rules_and_calls(void **state)
{
    (void)state;
    static const struct {
        int rules, calls, code;
    } cases[] = {{FAKE_RULES_MAX, 0, 0},
                 {FAKE_RULES_MAX + 1, 0, ERR_PARSE},
                 {1, FAKE_CALLS_MAX, 0},
                 {1, FAKE_CALLS_MAX + 1, ERR_PARSE}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Arena *arena = arena_create(64 << 20);
        Buf text = buf_create(1 << 20);
        buf_puts(&text, "rules:\n");
        for (int n = 0; n < cases[i].rules; n++) {
            buf_puts(&text, "  - tools: [");
            for (int k = 0; k < cases[i].calls; k++) {
                buf_puts(&text, k ? ",{name: f}" : "{name: f}");
            }
            buf_puts(&text, "]\n");
        }
        FakeScript *s = NULL;
        assert_int_equal(fake_script_read(arena, parse(arena, text.data), &s, NULL), cases[i].code);
        buf_done(&text);
        arena_destroy(arena);
    }
}

static void test_settings_read_what_they_write(void **state)
{
    (void)state;
    Arena *arena = arena_create(8 << 20);
    FakeSettings a = fake_settings_default(), b = fake_settings_default();
    const Doc *doc = parse(arena, "{latency: 'uniform:1ms,2ms', faults: {stall: 0.5}, tool_rate: 1,"
                                  " retry_after: 3s, tokens_per_minute: 9, batch_delay: 1m}");
    assert_int_equal(fake_settings_read(arena, doc, true, false, &a, NULL), 0);
    Buf first = buf_create(10000), second = buf_create(10000);
    JsonWriter w = json_writer(&first, 0);
    fake_settings_write(&a, &w);
    assert_int_equal(doc_parse(arena, buf_slice(&first), NULL, &doc, NULL), 0);
    assert_int_equal(fake_settings_read(arena, doc, true, false, &b, NULL), 0);
    w = json_writer(&second, 0);
    fake_settings_write(&b, &w);
    assert_string_equal(first.data, second.data);
    // A script's own members are no settings, and a mistake changes nothing.
    Err e = {0};
    doc = parse(arena, "{latency: 9s, rules: []}");
    assert_int_equal(fake_settings_read(arena, doc, true, false, &a, &e), ERR_PARSE);
    assert_int_equal(a.latency.kind, FAKE_DIST_UNIFORM);
    buf_done(&first);
    buf_done(&second);
    arena_destroy(arena);
}

static void test_matching(void **state)
{
    (void)state;
    static const struct {
        const char *match;
        bool holds;
    } cases[] = {
        {"{}", true},
        {"{model: gpt}", true},
        {"{model: claude}", false},
        {"{message: rain}", true},
        {"{message: snow}", false},
        {"{message: again}", true}, // the second text
        {"{system: brief}", true},
        {"{tool_result: sun}", true},
        {"{tool_result: dark}", false},
        {"{tool: f}", true},
        {"{tool: g}", false},
        {"{provider: openai}", true},
        {"{provider: azure}", false},
        {"{stream: true}", false},
        {"{stream: false, after_tool: true, model: gpt}", true},
        {"{model: gpt, message: snow}", false},
    };
    FakeRequest *r = mem_zalloc(sizeof *r);
    r->model = SLICE("gpt-4o");
    r->texts[0] = SLICE("Will it rain?");
    r->texts[1] = SLICE("Say it again.");
    r->text_count = 2;
    r->system_text = SLICE("Be brief.");
    r->after_tool = true;
    r->tool_result = SLICE("sunny");
    r->tools[0].name = SLICE("f");
    r->tool_count = 1;
    Arena *arena = arena_create(8 << 20);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        FakeScript *s = NULL;
        Slice text = arena_printf(arena, "rules: [{match: %s}]", cases[i].match);
        assert_int_equal(fake_script_read(arena, parse(arena, text.ptr), &s, NULL), 0);
        if (fake_rule_matches(&s->rules[0], r, SLICE("openai")) != cases[i].holds) {
            fail_msg("%s", cases[i].match);
        }
    }
    arena_destroy(arena);
    free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_script),
        cmocka_unit_test(test_mistakes_are_named_at_their_place),
        cmocka_unit_test(test_limits_of_rules_and_calls),
        cmocka_unit_test(test_settings_read_what_they_write),
        cmocka_unit_test(test_matching),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
