// Requests as the providers' documentation has them (docs/internals/fake-llm.md names the sources).
#include "llm/fake_request.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/buf.h"

typedef struct Case {
    FakeProtocol protocol;
    const char *json;
    const char *text; // the user's last
    const char *instructions;
    const char *result; // of a tool, NULL: it is not the last message
    int64_t max_tokens;
    const char *tool; // the first
    bool stream, json_wanted, schema;
    FakeToolChoice choice;
    const char *wanted;
    int images;
} Case;

static const Case cases[] = {
    {.protocol = FAKE_OPENAI_CHAT,
     .json = "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},"
             "{\"role\":\"user\",\"content\":\"hi\"}],\"max_tokens\":5,\"stream\":true}",
     .text = "hi",
     .instructions = "Be brief.",
     .max_tokens = 5,
     .stream = true},
    {.protocol = FAKE_OPENAI_CHAT,
     .json = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\","
             "\"text\":\"see\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:,\"}}]}],"
             "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{}}}],"
             "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}},"
             "\"max_completion_tokens\":7,\"max_tokens\":9,\"response_format\":{\"type\":"
             "\"json_schema\",\"json_schema\":{\"name\":\"x\",\"schema\":{}}}}",
     .text = "see",
     .max_tokens = 7,
     .tool = "f",
     .json_wanted = true,
     .schema = true,
     .choice = FAKE_TOOLS_REQUIRED,
     .wanted = "f",
     .images = 1},
    {.protocol = FAKE_OPENAI_CHAT,
     .json = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"w\"},{\"role\":"
             "\"assistant\",\"content\":null,\"tool_calls\":[]},{\"role\":\"tool\",\"tool_call_id\""
             ":\"c\",\"content\":\"sunny\"}],\"tool_choice\":\"none\"}",
     .result = "sunny",
     .max_tokens = -1,
     .choice = FAKE_TOOLS_NONE},
    {.protocol = FAKE_OPENAI_RESPONSES,
     .json = "{\"model\":\"m\",\"instructions\":\"Be brief.\",\"input\":\"hi\","
             "\"max_output_tokens\":9,\"tools\":[{\"type\":\"function\",\"name\":\"f\"}],"
             "\"tool_choice\":\"required\",\"text\":{\"format\":{\"type\":\"json_object\"}}}",
     .text = "hi",
     .instructions = "Be brief.",
     .max_tokens = 9,
     .tool = "f",
     .json_wanted = true,
     .choice = FAKE_TOOLS_REQUIRED},
    {.protocol = FAKE_OPENAI_RESPONSES,
     .json = "{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\","
             "\"text\":\"w\"}]},{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\"},"
             "{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":\"sunny\"}]}",
     .result = "sunny",
     .max_tokens = -1},
    {.protocol = FAKE_ANTHROPIC,
     .json = "{\"model\":\"m\",\"max_tokens\":9,\"system\":[{\"type\":\"text\",\"text\":\"Be "
             "brief.\"}],\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\","
             "\"source\":{}},{\"type\":\"text\",\"text\":\"see\"}]}],\"tools\":[{\"name\":\"f\","
             "\"input_schema\":{}}],\"tool_choice\":{\"type\":\"any\"}}",
     .text = "see",
     .instructions = "Be brief.",
     .max_tokens = 9,
     .tool = "f",
     .choice = FAKE_TOOLS_REQUIRED,
     .images = 1},
    {.protocol = FAKE_ANTHROPIC,
     .json =
         "{\"model\":\"m\",\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":\"w\"},"
         "{\"role\":\"assistant\",\"content\":[]},{\"role\":\"user\",\"content\":[{\"type\":"
         "\"tool_result\",\"tool_use_id\":\"t\",\"content\":[{\"type\":\"text\",\"text\":"
         "\"sunny\"}]}]}],\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{}"
         "}}}",
     .result = "sunny",
     .max_tokens = 1,
     .json_wanted = true,
     .schema = true},
    {.protocol = FAKE_GEMINI,
     .json = "{\"systemInstruction\":{\"parts\":[{\"text\":\"Be brief.\"}]},\"contents\":[{\"role\""
             ":\"user\",\"parts\":[{\"inlineData\":{}},{\"text\":\"see\"}]}],\"tools\":[{"
             "\"functionDeclarations\":[{\"name\":\"f\",\"parameters\":{}}]}],\"toolConfig\":{"
             "\"functionCallingConfig\":{\"mode\":\"ANY\",\"allowedFunctionNames\":[\"f\"]}},"
             "\"generationConfig\":{\"maxOutputTokens\":9,\"responseMimeType\":"
             "\"application/json\",\"responseSchema\":{}}}",
     .text = "see",
     .instructions = "Be brief.",
     .max_tokens = 9,
     .tool = "f",
     .json_wanted = true,
     .schema = true,
     .choice = FAKE_TOOLS_REQUIRED,
     .wanted = "f",
     .images = 1},
    {.protocol = FAKE_GEMINI,
     .json = "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"name\":\"f\","
             "\"response\":{\"result\":\"sunny\"}}}]}]}",
     .result = "sunny",
     .max_tokens = -1},
    {.protocol = FAKE_OLLAMA_CHAT,
     .json = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"see\",\"images\":"
             "[\"aa\",\"bb\"]}],\"options\":{\"num_predict\":9},\"format\":{\"type\":\"object\"},"
             "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}",
     .text = "see",
     .max_tokens = 9,
     .tool = "f",
     .stream = true,
     .json_wanted = true,
     .schema = true,
     .images = 2},
    {.protocol = FAKE_OLLAMA_GENERATE,
     .json = "{\"model\":\"m\",\"prompt\":\"hi\",\"system\":\"Be brief.\",\"stream\":false,"
             "\"format\":\"json\"}",
     .text = "hi",
     .instructions = "Be brief.",
     .max_tokens = -1,
     .json_wanted = true},
};

static void expect(size_t index, const char *what, Slice got, const char *want)
{
    if (!slice_eq_cstr(got, want ? want : "")) {
        fail_msg("case %zu: %s is \"%.*s\", not \"%s\"", index, what, SLICE_FMT(got), want);
    }
}

static void test_what_is_read(void **state)
{
    (void)state;
    FakeRequest *r = mem_zalloc(sizeof *r);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const Case *c = &cases[i];
        JsonDoc *doc = yyjson_read(c->json, strlen(c->json), 0);
        const char *param;
        Err e = {0};
        Slice model = c->protocol == FAKE_GEMINI ? SLICE("m") : (Slice){NULL, 0};
        int rc = fake_request_read(c->protocol, yyjson_doc_get_root(doc), model, r, &param, &e);
        if (rc != 0) {
            fail_msg("case %zu: %s", i, e.text);
        }
        expect(i, "model", r->model, "m");
        expect(i, "text", r->text_count ? r->texts[0] : (Slice){NULL, 0}, c->text);
        expect(i, "system", r->system_text, c->instructions);
        expect(i, "tool result", r->tool_result, c->result);
        expect(i, "tool", r->tool_count ? r->tools[0].name : (Slice){NULL, 0}, c->tool);
        expect(i, "tool wanted", r->tool_wanted, c->wanted);
        assert_int_equal(r->after_tool, c->result != NULL);
        assert_int_equal(r->max_tokens, c->max_tokens);
        assert_int_equal(r->stream, c->stream);
        assert_int_equal(r->json, c->json_wanted);
        assert_int_equal(r->schema != NULL, c->schema);
        assert_int_equal(r->tool_choice, c->choice);
        assert_int_equal(r->images, c->images);
        yyjson_doc_free(doc);
    }
    free(r);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        FakeProtocol protocol;
        const char *json, *param, *words;
    } bad[] = {
        {FAKE_OPENAI_CHAT, "[]", NULL, "JSON object"},
        {FAKE_OPENAI_CHAT, "{}", "model", "model parameter"},
        {FAKE_OPENAI_CHAT, "{\"model\":7}", "model", "model parameter"},
        {FAKE_OPENAI_CHAT, "{\"model\":\"m\"}", "messages", "at least one"},
        {FAKE_OPENAI_CHAT, "{\"model\":\"m\",\"messages\":[{}]}", "messages", "role"},
        {FAKE_OPENAI_CHAT, "{\"model\":\"m\",\"n\":17,\"messages\":[{\"role\":\"user\"}]}", "n",
         "between 1 and 16"},
        {FAKE_OPENAI_RESPONSES, "{\"model\":\"m\"}", "input", "'input'"},
        {FAKE_ANTHROPIC, "{\"model\":\"m\",\"messages\":[]}", "max_tokens", "Field required"},
        {FAKE_ANTHROPIC, "{\"model\":\"m\",\"max_tokens\":1,\"messages\":[]}", "messages",
         "at least one"},
        {FAKE_GEMINI, "{\"model\":\"m\"}", "contents", "not specified"},
        {FAKE_OLLAMA_CHAT, "{\"model\":\"m\",\"messages\":{}}", "messages", "array"},
    };
    FakeRequest *r = mem_zalloc(sizeof *r);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        JsonDoc *doc = yyjson_read(bad[i].json, strlen(bad[i].json), 0);
        const char *param;
        Err e = {0};
        assert_int_equal(fake_request_read(bad[i].protocol, yyjson_doc_get_root(doc),
                                           (Slice){NULL, 0}, r, &param, &e),
                         ERR_ARG);
        if (!strstr(e.text, bad[i].words)) {
            fail_msg("%s: \"%s\"", bad[i].json, e.text);
        }
        assert_string_equal(param ? param : "", bad[i].param ? bad[i].param : "");
        yyjson_doc_free(doc);
    }
    free(r);
}

// One past each table: what does not fit is left out, not written.
static void test_full_tables(void **state)
{
    (void)state;
    Buf json = buf_create(1 << 20);
    buf_puts(&json, "{\"model\":\"m\",\"stop\":[");
    for (int i = 0; i <= FAKE_STOPS_MAX; i++) {
        buf_printf(&json, "%s\"s%d\"", i ? "," : "", i);
    }
    buf_puts(&json, "],\"tools\":[");
    for (int i = 0; i <= FAKE_TOOLS_MAX; i++) {
        buf_printf(&json, "%s{\"function\":{\"name\":\"t%d\"}}", i ? "," : "", i);
    }
    buf_puts(&json, "],\"messages\":[{\"role\":\"user\",\"content\":[");
    for (int i = 0; i <= FAKE_TEXTS_MAX; i++) {
        buf_printf(&json, "%s{\"type\":\"text\",\"text\":\"abcd\"}", i ? "," : "");
    }
    buf_puts(&json, "]}]}");
    JsonDoc *doc = yyjson_read(json.data, json.len, 0);
    FakeRequest *r = mem_zalloc(sizeof *r);
    const char *param;
    assert_int_equal(fake_request_read(FAKE_OPENAI_CHAT, yyjson_doc_get_root(doc), (Slice){NULL, 0},
                                       r, &param, NULL),
                     0);
    assert_int_equal(r->stop_count, FAKE_STOPS_MAX);
    assert_int_equal(r->tool_count, FAKE_TOOLS_MAX);
    assert_int_equal(r->text_count, FAKE_TEXTS_MAX);
    assert_int_equal(fake_request_tokens(r), FAKE_TEXTS_MAX + 1); // all are counted
    assert_null(fake_request_tool(r, SLICE("t128")));
    assert_non_null(fake_request_tool(r, SLICE("t127")));
    yyjson_doc_free(doc);
    free(r);
    buf_done(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_read),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_full_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
