// Requests and answers of every protocol. The shapes are the vendors' own: openai/openai-openapi
// 2.3.0, anthropic-sdk-python of 2026-08-08, googleapis/python-genai of 2026-08-21, ollama's
// docs/api.md.
#include "llm/wire.h"
#include "net/sse_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

// ---- requests

static const LlmPart SYSTEM_PARTS[] = {{.kind = LLM_PART_TEXT, .text = SLICE_INIT("Be brief.")}};
static const LlmPart USER_PARTS[] = {
    {.kind = LLM_PART_TEXT, .text = SLICE_INIT("What \"is\" this?")},
    {.kind = LLM_PART_IMAGE, .media_type = SLICE_INIT("image/png"), .data = SLICE_INIT("PNG")}};
static const LlmPart CALL_PARTS[] = {{.kind = LLM_PART_TOOL_CALL,
                                      .id = SLICE_INIT("c1"),
                                      .name = SLICE_INIT("look"),
                                      .arguments = SLICE_INIT("{\"x\":1}")}};
static const LlmPart RESULT_PARTS[] = {
    {.kind = LLM_PART_TOOL_RESULT, .id = SLICE_INIT("c1"), .text = SLICE_INIT("a cat")}};
static const LlmMessage MESSAGES[] = {{LLM_SYSTEM, SYSTEM_PARTS, 1},
                                      {LLM_USER, USER_PARTS, 2},
                                      {LLM_ASSISTANT, CALL_PARTS, 1},
                                      {LLM_TOOL, RESULT_PARTS, 1}};
static const LlmTool TOOLS[] = {{.name = SLICE_INIT("look"),
                                 .description = SLICE_INIT("Looks."),
                                 .schema = SLICE_INIT("{\"type\":\"object\"}")}};
static const Slice STOPS[] = {SLICE_INIT("END")};

static LlmRequest full_request(void)
{
    return (LlmRequest){.messages = MESSAGES,
                        .message_count = COUNT_OF(MESSAGES),
                        .tools = TOOLS,
                        .tool_count = 1,
                        .output = LLM_OUTPUT_SCHEMA,
                        .schema = SLICE("{\"type\":\"object\"}"),
                        .max_output_tokens = 50,
                        .stop = STOPS,
                        .stop_count = 1,
                        .has_temperature = true,
                        .temperature = 0.5,
                        .has_seed = true,
                        .seed = 7};
}

typedef struct RequestCase {
    LlmProtocol protocol;
    const char *api_version, *url, *stream_url, *body;
    bool no_stop; // the protocol has no stop sequences
} RequestCase;

#define OPENAI_BODY                                                                                \
    "{\"model\":\"m/1\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},"            \
    "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"What \\\"is\\\" this?\"},"      \
    "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,UE5H\"}}]},"           \
    "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":"            \
    "\"function\",\"function\":{\"name\":\"look\",\"arguments\":\"{\\\"x\\\":1}\"}}]},"            \
    "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"a cat\"}],\"tools\":[{\"type\":"     \
    "\"function\",\"function\":{\"name\":\"look\",\"description\":\"Looks.\",\"parameters\":"      \
    "{\"type\":\"object\"}}}],\"response_format\":{\"type\":\"json_schema\",\"json_schema\":"      \
    "{\"name\":\"answer\",\"strict\":true,\"schema\":{\"type\":\"object\"}}},"                     \
    "\"max_completion_tokens\":50,\"temperature\":0.5,\"seed\":7,\"stop\":[\"END\"]}"

static const RequestCase REQUESTS[] = {
    {LLM_OPENAI, "", "http://h/chat/completions", "http://h/chat/completions", OPENAI_BODY, false},
    {LLM_AZURE, "2024-10-21",
     "http://h/openai/deployments/m%2F1/chat/completions?api-version=2024-10-21",
     "http://h/openai/deployments/m%2F1/chat/completions?api-version=2024-10-21", OPENAI_BODY,
     false},
    {LLM_AZURE, "", "http://h/openai/v1/chat/completions", "http://h/openai/v1/chat/completions",
     OPENAI_BODY, false},
    {LLM_OPENAI_RESPONSES, "", "http://h/responses", "http://h/responses",
     "{\"model\":\"m/1\",\"instructions\":\"Be brief.\",\"input\":[{\"role\":\"user\",\"content\":"
     "[{\"type\":\"input_text\",\"text\":\"What \\\"is\\\" this?\"},{\"type\":\"input_image\","
     "\"image_url\":\"data:image/png;base64,UE5H\"}]},{\"type\":\"function_call\",\"call_id\":"
     "\"c1\",\"name\":\"look\",\"arguments\":\"{\\\"x\\\":1}\"},{\"type\":\"function_call_output\","
     "\"call_id\":\"c1\",\"output\":\"a "
     "cat\"}],\"tools\":[{\"type\":\"function\",\"name\":\"look\","
     "\"description\":\"Looks.\",\"parameters\":{\"type\":\"object\"},\"strict\":false}],\"text\":"
     "{\"format\":{\"type\":\"json_schema\",\"name\":\"answer\",\"strict\":true,\"schema\":"
     "{\"type\":\"object\"}}},\"max_output_tokens\":50,\"temperature\":0.5,\"store\":false}",
     true},
    {LLM_ANTHROPIC, "", "http://h/v1/messages", "http://h/v1/messages",
     "{\"model\":\"m/1\",\"max_tokens\":50,\"system\":\"Be brief.\",\"messages\":[{\"role\":"
     "\"user\",\"content\":[{\"type\":\"text\",\"text\":\"What \\\"is\\\" this?\"},{\"type\":"
     "\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"UE5H\"}}]},"
     "{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"c1\",\"name\":\"look\","
     "\"input\":{\"x\":1}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
     "\"tool_use_id\":\"c1\",\"content\":\"a cat\"}]}],\"tools\":[{\"name\":\"look\","
     "\"description\":\"Looks.\",\"input_schema\":{\"type\":\"object\"}}],\"output_config\":"
     "{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\"}}},\"temperature\":0.5,"
     "\"stop_sequences\":[\"END\"]}",
     false},
    {LLM_GEMINI, "", "http://h/v1beta/models/m%2F1:generateContent",
     "http://h/v1beta/models/m%2F1:streamGenerateContent?alt=sse",
     "{\"systemInstruction\":{\"parts\":[{\"text\":\"Be brief.\"}]},\"contents\":[{\"role\":"
     "\"user\",\"parts\":[{\"text\":\"What \\\"is\\\" this?\"},{\"inlineData\":{\"mimeType\":"
     "\"image/png\",\"data\":\"UE5H\"}}]},{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"id\":"
     "\"c1\",\"name\":\"look\",\"args\":{\"x\":1}}}]},{\"role\":\"user\",\"parts\":["
     "{\"functionResponse\":{\"id\":\"c1\",\"name\":\"look\",\"response\":{\"result\":\"a "
     "cat\"}}}]}"
     "],\"tools\":[{\"functionDeclarations\":[{\"name\":\"look\",\"description\":\"Looks.\","
     "\"parametersJsonSchema\":{\"type\":\"object\"}}]}],\"generationConfig\":{\"maxOutputTokens\":"
     "50,\"temperature\":0.5,\"seed\":7,\"stopSequences\":[\"END\"],\"responseMimeType\":"
     "\"application/json\",\"responseJsonSchema\":{\"type\":\"object\"}}}",
     false},
    {LLM_OLLAMA, "", "http://h/api/chat", "http://h/api/chat",
     "{\"model\":\"m/1\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},{\"role\":"
     "\"user\",\"content\":\"What \\\"is\\\" "
     "this?\",\"images\":[\"UE5H\"]},{\"role\":\"assistant\","
     "\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"look\",\"arguments\":{\"x\":1}}}]}"
     ","
     "{\"role\":\"tool\",\"tool_name\":\"look\",\"content\":\"a cat\"}],\"tools\":[{\"type\":"
     "\"function\",\"function\":{\"name\":\"look\",\"description\":\"Looks.\",\"parameters\":"
     "{\"type\":\"object\"}}}],\"format\":{\"type\":\"object\"},\"options\":{\"num_predict\":50,"
     "\"temperature\":0.5,\"seed\":7,\"stop\":[\"END\"]},\"stream\":false}",
     false},
};

static void check_request(const RequestCase *c)
{
    LlmRequest request = full_request();
    request.stop_count = c->no_stop ? 0 : 1;
    LlmEndpoint endpoint = {.base_url = SLICE("http://h"),
                            .api_version = slice_from_cstr(c->api_version)};
    LlmAsk ask = {.endpoint = &endpoint, .request = &request, .model = SLICE("m/1")};
    const LlmAdapter *adapter = llm_adapter(c->protocol);
    Buf url = buf_create(1 << 10), body = buf_create(1 << 16);
    adapter->chat_url(&ask, &url);
    assert_string_equal(url.data, c->url);
    JsonWriter w = json_writer(&body, 0);
    assert_int_equal(adapter->chat_body(&ask, &w, NULL), 0);
    assert_string_equal(body.data, c->body);

    ask.stream = true;
    buf_reset(&url);
    buf_reset(&body);
    adapter->chat_url(&ask, &url);
    assert_string_equal(url.data, c->stream_url);
    w = json_writer(&body, 0);
    assert_int_equal(adapter->chat_body(&ask, &w, NULL), 0);
    Arena *arena = arena_create(1 << 20);
    const Doc *doc = NULL;
    assert_int_equal(doc_parse(arena, buf_slice(&body), NULL, &doc, NULL), 0);
    const Doc *stream = doc_get(doc, SLICE("stream"));
    assert_true(c->protocol == LLM_GEMINI ? !stream : stream->boolean);
    arena_destroy(arena);
    buf_done(&url);
    buf_done(&body);
}

static void test_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(REQUESTS); i++) {
        check_request(&REQUESTS[i]);
    }
}

// What a protocol cannot say is refused before anything is sent.
static void test_refused_requests(void **state)
{
    (void)state;
    LlmPart bad_call = {.kind = LLM_PART_TOOL_CALL, .arguments = SLICE("{\"cut")};
    LlmPart linked = {.kind = LLM_PART_IMAGE, .url = SLICE("https://x/y.png")};
    LlmMessage called = {LLM_ASSISTANT, &bad_call, 1}, shown = {LLM_USER, &linked, 1};
    LlmTool bad_tool = {.name = SLICE("t"), .schema = SLICE("[]")};
    const struct {
        LlmProtocol protocol;
        LlmRequest request;
        int rc;
    } cases[] = {
        {LLM_OPENAI_RESPONSES, {.stop = STOPS, .stop_count = 1}, ERR_UNSUPPORTED},
        {LLM_OLLAMA, {.messages = &shown, .message_count = 1}, ERR_UNSUPPORTED},
        {LLM_OLLAMA, {.tool_choice = LLM_TOOLS_REQUIRED}, ERR_UNSUPPORTED},
        {LLM_OLLAMA, {.messages = &called, .message_count = 1}, ERR_ARG},
        {LLM_ANTHROPIC, {.messages = &called, .message_count = 1}, ERR_ARG},
        {LLM_GEMINI, {.messages = &called, .message_count = 1}, ERR_ARG},
        {LLM_OPENAI, {.tools = &bad_tool, .tool_count = 1}, ERR_ARG},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        LlmEndpoint endpoint = {.base_url = SLICE("http://h")};
        LlmAsk ask = {.endpoint = &endpoint, .request = &cases[i].request, .model = SLICE("m")};
        Buf body = buf_create(1 << 16);
        JsonWriter w = json_writer(&body, 0);
        Err e = {0};
        assert_int_equal(llm_adapter(cases[i].protocol)->chat_body(&ask, &w, &e), cases[i].rc);
        assert_int_equal(e.code, cases[i].rc);
        buf_done(&body);
    }
}

// ---- answers

typedef struct AnswerCase {
    LlmProtocol protocol;
    bool stream;
    const char *body;
    const char *want; // "rc finish in/out/cached/reasoning" and the parts
} AnswerCase;

static void print_answer(int rc, LlmResponse *r, Buf *out)
{
    buf_printf(out, "%s", rc == 0 ? "" : err_name(rc));
    if (rc == 0) {
        buf_printf(out, "%s %d/%d/%d/%d", llm_finish_name(r->finish), (int)r->usage.input_tokens,
                   (int)r->usage.output_tokens, (int)r->usage.cached_tokens,
                   (int)r->usage.reasoning_tokens);
    }
    for (size_t i = 0; rc == 0 && i < r->part_count; i++) {
        const LlmPart *p = &r->parts[i];
        if (p->kind == LLM_PART_TOOL_CALL) {
            buf_printf(out, " call(%.*s,%.*s,%.*s)", SLICE_FMT(p->id), SLICE_FMT(p->name),
                       SLICE_FMT(p->arguments));
        } else {
            buf_printf(out, " %s(%.*s)", p->kind == LLM_PART_TEXT ? "text" : "thought",
                       SLICE_FMT(p->text));
        }
        if (p->signature.len > 0) {
            buf_printf(out, "~%.*s", SLICE_FMT(p->signature));
        }
    }
}

static int read_stream(const LlmAdapter *adapter, Slice body, Arena *scratch, LlmAnswer *answer)
{
    SseReader reader = sse_reader(1 << 20);
    assert_int_equal(sse_reader_push(&reader, body, NULL), 0);
    SseReadEvent event;
    Slice line;
    int rc = 0;
    while (rc == 0 && !answer->ended && adapter->framing == LLM_FRAMES_SSE &&
           sse_reader_next(&reader, &event)) {
        rc = llm_read_event(adapter, event.event, event.data, scratch, answer);
    }
    while (rc == 0 && adapter->framing == LLM_FRAMES_LINES && sse_reader_line(&reader, &line)) {
        rc = llm_read_event(adapter, (Slice){0}, line, scratch, answer);
    }
    sse_reader_done(&reader);
    return rc;
}

static void check_answer(const AnswerCase *c)
{
    Arena *arena = arena_create(1 << 24), *scratch = arena_create(1 << 24);
    LlmAnswer answer;
    Err e = {0};
    llm_answer_init(&answer, arena, &e);
    const LlmAdapter *adapter = llm_adapter(c->protocol);
    Slice body = slice_from_cstr(c->body);
    int rc = c->stream ? read_stream(adapter, body, scratch, &answer)
                       : llm_read_answer(adapter, body, scratch, &answer);
    LlmResponse response = {0};
    if (rc == 0) {
        llm_answer_finish(&answer, &response);
    }
    Buf out = buf_create(1 << 16);
    print_answer(rc, &response, &out);
    if (rc != 0 && answer.failure.kind != LLM_OK) {
        buf_printf(&out, " %s(%.*s)", llm_failure_name(answer.failure.kind),
                   SLICE_FMT(answer.failure.message));
    }
    assert_string_equal(out.data, c->want);
    assert_int_equal(e.code, rc);
    buf_done(&out);
    llm_answer_done(&answer);
    arena_destroy(arena);
    arena_destroy(scratch);
}

static const AnswerCase ANSWERS[] = {
    {LLM_OPENAI, false,
     "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\","
     "\"choices\":"
     "[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hi\",\"refusal\":null},"
     "\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,"
     "\"completion_tokens\":12,\"total_tokens\":21,\"prompt_tokens_details\":{\"cached_tokens\":4},"
     "\"completion_tokens_details\":{\"reasoning_tokens\":5}}}",
     "stop 9/12/4/5 text(Hi)"},
    {LLM_OPENAI, false,
     "{\"choices\":[{\"message\":{\"content\":null,\"tool_calls\":[{\"id\":\"a\",\"type\":"
     "\"function\","
     "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"k\\\":1}\"}},{\"id\":\"b\",\"type\":"
     "\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]},\"finish_reason\":"
     "\"tool_calls\"}]}",
     "tools 0/0/0/0 call(a,f,{\"k\":1}) call(b,g,{})"},
    {LLM_OPENAI, true,
     "data: "
     "{\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\","
     "\"content\":\"\"},\"finish_reason\":null}]}\n\n: keep-alive\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"},\"finish_reason\":null}],"
     "\"usage\":null}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"}}]}\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n\n"
     "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n"
     "data: [DONE]\n\n",
     "length 3/2/0/0 text(Hello)"},
    {LLM_OPENAI, true,
     "data: "
     "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"type\":\"function\","
     "\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}}]}\n\n"
     "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"b\",\"function\":"
     "{\"name\":\"g\",\"arguments\":\"{}\"}},{\"index\":0,\"function\":{\"arguments\":\"{"
     "\\\"q\\\"\"}}"
     "]}}]}\n\ndata: "
     "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"\",\"function\":"
     "{\"arguments\":\":2}\"}}]}}]}\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":"
     "\"tool_calls\"}]}\n\ndata: [DONE]\n\n",
     "tools 0/0/0/0 call(a,f,{\"q\":2}) call(b,g,{})"},
    {LLM_OPENAI, true,
     "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\ndata: "
     "{\"error\":{\"message\":\"busy\","
     "\"type\":\"server_error\",\"code\":null}}\n\n",
     "ERR_PROTOCOL server(busy)"},
    {LLM_AZURE, false,
     "{\"error\":{\"code\":\"insufficient_quota\",\"type\":\"insufficient_quota\",\"message\":"
     "\"pay\"}}",
     "ERR_PROTOCOL quota(pay)"},
    {LLM_OPENAI_RESPONSES, false,
     "{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"completed\",\"model\":\"m\","
     "\"error\":"
     "null,\"output\":[{\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\",\"text\":"
     "\"hm\"}]},{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_"
     "text\","
     "\"text\":\"Hi\",\"annotations\":[]}]},{\"type\":\"function_call\",\"id\":\"fc\",\"call_id\":"
     "\"k\",\"name\":\"f\",\"arguments\":\"{}\"}],\"usage\":{\"input_tokens\":5,"
     "\"input_tokens_details\":{\"cached_tokens\":1},\"output_tokens\":6,\"output_tokens_details\":"
     "{\"reasoning_tokens\":2},\"total_tokens\":11}}",
     "tools 5/6/1/2 thought(hm) text(Hi) call(k,f,{})"},
    {LLM_OPENAI_RESPONSES, true,
     "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\","
     "\"model\":\"m\"},\"sequence_number\":0}\n\nevent: response.output_item.added\ndata: "
     "{\"type\":"
     "\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":\"message\"}}\n\n"
     "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\","
     "\"output_index\":0,\"delta\":\"Hi\"}\n\nevent: response.output_item.added\ndata: {\"type\":"
     "\"response.output_item.added\",\"output_index\":1,\"item\":{\"type\":\"function_call\","
     "\"call_id\":\"k\",\"name\":\"f\",\"arguments\":\"\"}}\n\ndata: {\"type\":"
     "\"response.function_call_arguments.delta\",\"output_index\":1,\"delta\":\"{\\\"a\\\":\"}\n\n"
     "data: "
     "{\"type\":\"response.function_call_arguments.delta\",\"output_index\":1,\"delta\":\"1}\"}"
     "\n\ndata: {\"type\":\"response.output_item.done\",\"output_index\":1,\"item\":{\"type\":"
     "\"function_call\",\"call_id\":\"k\",\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}\n\n"
     "data: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"status\":\"completed\","
     "\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}}\n\n",
     "tools 1/2/0/0 text(Hi) call(k,f,{\"a\":1})"},
    {LLM_OPENAI_RESPONSES, true,
     "data: {\"type\":\"response.incomplete\",\"response\":{\"status\":\"incomplete\","
     "\"incomplete_details\":{\"reason\":\"max_output_tokens\"}}}\n\n",
     "length 0/0/0/0"},
    {LLM_OPENAI_RESPONSES, true,
     "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":"
     "\"rate_limit_exceeded\",\"message\":\"slow\"}}}\n\n",
     "ERR_PROTOCOL rate(slow)"},
    {LLM_OPENAI_RESPONSES, true,
     "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"oh\"}\n\n",
     "ERR_PROTOCOL server(oh)"},
    {LLM_ANTHROPIC, false,
     "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":["
     "{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"s\"},{\"type\":\"text\",\"text\":"
     "\"Hi\"},{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"f\",\"input\":{\"a\":[1,2]}}],"
     "\"stop_reason\":\"tool_use\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":10,"
     "\"cache_creation_input_tokens\":3,\"cache_read_input_tokens\":4,\"output_tokens\":7}}",
     "tools 17/7/4/0 thought(hm)~s text(Hi) call(toolu_1,f,{\"a\":[1,2]})"},
    {LLM_ANTHROPIC, true,
     "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m1\",\"model\":"
     "\"m\",\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\nevent: ping\ndata: {\"type\":"
     "\"ping\"}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
     "\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\"}}\n\ndata: {\"type\":"
     "\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":"
     "\"hm\"}}"
     "\n\ndata: "
     "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\","
     "\"signature\":\"sig\"}}\n\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
     "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\","
     "\"id\":\"t\",\"name\":\"f\",\"input\":{}}}\n\ndata: "
     "{\"type\":\"content_block_delta\",\"index\":"
     "1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"\"}}\n\ndata: {\"type\":"
     "\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_"
     "json\":"
     "\"{\\\"a\\\": 1}\"}}\n\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n"
     "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":"
     "{\"output_tokens\":89}}\n\ndata: {\"type\":\"message_stop\"}\n\n",
     "tools 25/89/0/0 thought(hm)~sig call(t,f,{\"a\": 1})"},
    {LLM_ANTHROPIC, true,
     "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":"
     "\"Overloaded\"}}\n\n",
     "ERR_PROTOCOL rate(Overloaded)"},
    {LLM_GEMINI, false,
     "{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"so\",\"thought\":"
     "true},"
     "{\"text\":\"Hi\"},{\"functionCall\":{\"name\":\"f\",\"args\":{\"a\":1}},\"thoughtSignature\":"
     "\"sg\"}]},\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":4,"
     "\"candidatesTokenCount\":5,\"thoughtsTokenCount\":2,\"cachedContentTokenCount\":1,"
     "\"totalTokenCount\":11},\"modelVersion\":\"m\",\"responseId\":\"r\"}",
     "tools 4/7/1/2 thought(so) text(Hi) call(call_2,f,{\"a\":1})~sg"},
    {LLM_GEMINI, true,
     "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"He\"}],\"role\":\"model\"}}],"
     "\"modelVersion\":\"m\"}\r\n\r\ndata: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":"
     "\"llo\"}]},\"finishReason\":\"MAX_TOKENS\"}],\"usageMetadata\":{\"promptTokenCount\":1,"
     "\"candidatesTokenCount\":2}}\r\n\r\n",
     "length 1/2/0/0 text(Hello)"},
    {LLM_GEMINI, false, "{\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}", "filter 0/0/0/0"},
    {LLM_GEMINI, false,
     "{\"error\":{\"code\":429,\"message\":\"later\",\"status\":\"RESOURCE_EXHAUSTED\"}}",
     "ERR_PROTOCOL rate(later)"},
    {LLM_OLLAMA, false,
     "{\"model\":\"m\",\"created_at\":\"x\",\"message\":{\"role\":\"assistant\",\"content\":\"Hi\","
     "\"thinking\":\"hm\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}}}]}"
     ","
     "\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":26,\"eval_count\":298}",
     "tools 26/298/0/0 thought(hm) text(Hi) call(call_2,f,{\"a\":1})"},
    {LLM_OLLAMA, true,
     "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"He\"},\"done\":false}\n"
     "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"y\"},\"done\":false}\n"
     "{\"model\":\"m\",\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"length\","
     "\"prompt_eval_count\":2,\"eval_count\":3}\n",
     "length 2/3/0/0 text(Hey)"},
    {LLM_OLLAMA, true, "{\"error\":\"out of memory\"}\n", "ERR_PROTOCOL server(out of memory)"},
    // What is not what it should be.
    {LLM_OPENAI, false, "{\"choices\":[{\"message\":{\"content\":\"cut", "ERR_PROTOCOL"},
    {LLM_OPENAI, false, "", "ERR_PROTOCOL"},
    {LLM_OPENAI, false, "[]", "ERR_PROTOCOL"},
    {LLM_OPENAI, false, "<html>busy</html>", "ERR_PROTOCOL"},
    {LLM_OPENAI, false, "{\"choices\":{}}", "ERR_PROTOCOL"},
    {LLM_OPENAI, false, "{\"choices\":[]}", "ERR_PROTOCOL"},
    {LLM_OPENAI, false, "{\"choices\":[{\"message\":{\"content\":5}}]}", "ERR_PROTOCOL"},
    {LLM_OPENAI, false, "{\"choices\":[{\"message\":{\"content\":\"a\"}}],\"usage\":[]}",
     "ERR_PROTOCOL"},
    {LLM_OPENAI_RESPONSES, false, "{\"output\":\"text\"}", "ERR_PROTOCOL"},
    {LLM_ANTHROPIC, false, "{\"content\":\"text\"}", "ERR_PROTOCOL"},
    {LLM_ANTHROPIC, false, "{\"content\":[{\"type\":\"tool_use\",\"input\":\"x\"}]}",
     "ERR_PROTOCOL"},
    {LLM_ANTHROPIC, true, "data: {\"type\":7}\n\n", "ERR_PROTOCOL"},
    {LLM_GEMINI, false, "{\"candidates\":[{\"content\":{\"parts\":{}}}]}", "ERR_PROTOCOL"},
    {LLM_GEMINI, false, "{}", "ERR_PROTOCOL"},
    {LLM_OLLAMA, false, "{\"message\":\"text\"}", "ERR_PROTOCOL"},
    {LLM_OLLAMA, false, "{\"done\":true}", "ERR_PROTOCOL"},
};

static void test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ANSWERS); i++) {
        check_answer(&ANSWERS[i]);
    }
}

// An answer without end stops at the ceiling, and so does one with too many parts.
static void test_ceilings(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 24), *scratch = arena_create(1 << 24);
    LlmAnswer answer;
    llm_answer_init(&answer, arena, NULL);
    answer.bytes_max = 1000;
    Slice event = SLICE("{\"choices\":[{\"delta\":{\"content\":\"0123456789\"}}]}");
    for (int i = 0; i < 100; i++) {
        assert_int_equal(llm_read_event(&LLM_ADAPTER_OPENAI, (Slice){0}, event, scratch, &answer),
                         0);
        arena_reset(scratch);
    }
    assert_int_equal(llm_read_event(&LLM_ADAPTER_OPENAI, (Slice){0}, event, scratch, &answer),
                     ERR_LIMIT);
    llm_answer_done(&answer);

    llm_answer_init(&answer, arena, NULL);
    for (int i = 0; i < LLM_ANSWER_PARTS_MAX; i++) {
        assert_non_null(llm_answer_part(&answer, LLM_PART_TEXT, i));
    }
    assert_null(llm_answer_part(&answer, LLM_PART_TEXT, -1));
    assert_int_equal(answer.rc, ERR_LIMIT);
    llm_answer_done(&answer);
    arena_destroy(arena);
    arena_destroy(scratch);
}

static void test_embeddings(void **state)
{
    (void)state;
    static const struct {
        LlmProtocol protocol;
        const char *url, *body, *answer;
    } CASES[] = {
        {LLM_OPENAI, "http://h/embeddings",
         "{\"model\":\"e\",\"input\":[\"a\",\"b\"],\"encoding_format\":\"float\",\"dimensions\":2}",
         "{\"object\":\"list\",\"data\":[{\"index\":1,\"embedding\":[3,4.5]},{\"index\":0,"
         "\"embedding\":[1,2]}],\"usage\":{\"prompt_tokens\":2,\"total_tokens\":2}}"},
        {LLM_GEMINI, "http://h/v1beta/models/e:batchEmbedContents",
         "{\"requests\":[{\"model\":\"models/e\",\"content\":{\"parts\":[{\"text\":\"a\"}]},"
         "\"outputDimensionality\":2},{\"model\":\"models/"
         "e\",\"content\":{\"parts\":[{\"text\":\"b\"}"
         "]},\"outputDimensionality\":2}]}",
         "{\"embeddings\":[{\"values\":[1,2]},{\"values\":[3,4.5]}]}"},
        {LLM_OLLAMA, "http://h/api/embed",
         "{\"model\":\"e\",\"input\":[\"a\",\"b\"],\"dimensions\":2}",
         "{\"model\":\"e\",\"embeddings\":[[1,2],[3,4.5]],\"prompt_eval_count\":2}"},
    };
    static const char *const BAD[] = {
        "{\"data\":[{\"embedding\":[1,2]}]}",
        "{\"data\":[{\"embedding\":[1]},{\"embedding\":[1,2]}]}",
        "{\"data\":[{\"index\":9,\"embedding\":[1]}]}",
        "{\"data\":[{\"embedding\":[\"x\"]}]}",
        "{\"data\":[{\"embedding\":[]}]}",
        "{\"data\":\"x\"}",
    };
    const Slice inputs[] = {SLICE("a"), SLICE("b")};
    LlmEndpoint endpoint = {.base_url = SLICE("http://h")};
    LlmEmbedAsk ask = {&endpoint, SLICE("e"), inputs, 2, 2};
    Arena *arena = arena_create(1 << 24), *scratch = arena_create(1 << 24);
    LlmAnswer answer;
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        const LlmAdapter *adapter = llm_adapter(CASES[i].protocol);
        Buf url = buf_create(1 << 10), body = buf_create(1 << 10);
        JsonWriter w = json_writer(&body, 0);
        adapter->embed_url(&ask, &url);
        adapter->embed_body(&ask, &w);
        assert_string_equal(url.data, CASES[i].url);
        assert_string_equal(body.data, CASES[i].body);
        llm_answer_init(&answer, arena, NULL);
        LlmEmbedRows rows = {.count = 2};
        assert_int_equal(
            llm_read_embeddings(adapter, slice_from_cstr(CASES[i].answer), scratch, &rows, &answer),
            0);
        assert_int_equal(rows.dimensions, 2);
        assert_true(rows.vectors[1] == 2.0F && rows.vectors[3] == 4.5F);
        buf_done(&url);
        buf_done(&body);
    }
    for (size_t i = 0; i < COUNT_OF(BAD); i++) {
        llm_answer_init(&answer, arena, NULL);
        LlmEmbedRows rows = {.count = 2};
        assert_int_equal(llm_read_embeddings(&LLM_ADAPTER_OPENAI, slice_from_cstr(BAD[i]), scratch,
                                             &rows, &answer),
                         ERR_PROTOCOL);
    }
    arena_destroy(arena);
    arena_destroy(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),   cmocka_unit_test(test_refused_requests),
        cmocka_unit_test(test_answers),    cmocka_unit_test(test_ceilings),
        cmocka_unit_test(test_embeddings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
