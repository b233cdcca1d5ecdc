// Anthropic's Messages. Source: anthropic-sdk-python of 2026-08-08 (version header 2023-06-01).
#include "llm/wire.h"

// ---- writing

static void write_image(JsonWriter *w, const LlmPart *image)
{
    json_field_cstr(w, "type", "image");
    json_key(w, SLICE("source"));
    json_object_begin(w);
    if (image->url.len > 0) {
        json_field_cstr(w, "type", "url");
        json_field_string(w, "url", image->url);
    } else {
        json_field_cstr(w, "type", "base64");
        json_field_string(w, "media_type", image->media_type);
        json_key(w, SLICE("data"));
        wire_base64(w, image->data);
    }
    json_object_end(w);
}

static int write_part(JsonWriter *w, const LlmPart *part, Err *e)
{
    int rc = 0;
    json_object_begin(w);
    switch (part->kind) {
    case LLM_PART_TEXT:
        json_field_cstr(w, "type", "text");
        json_field_string(w, "text", part->text);
        break;
    case LLM_PART_IMAGE: write_image(w, part); break;
    case LLM_PART_TOOL_CALL:
        json_field_cstr(w, "type", "tool_use");
        json_field_string(w, "id", part->id);
        json_field_string(w, "name", part->name);
        json_key(w, SLICE("input"));
        rc = wire_object(w, part->arguments, "arguments of a tool call", e);
        break;
    case LLM_PART_TOOL_RESULT:
        json_field_cstr(w, "type", "tool_result");
        json_field_string(w, "tool_use_id", part->id);
        json_field_string(w, "content", part->text);
        if (part->is_error) {
            json_field_bool(w, "is_error", true);
        }
        break;
    case LLM_PART_THINKING:
        json_field_cstr(w, "type", "thinking");
        json_field_string(w, "thinking", part->text);
        json_field_string(w, "signature", part->signature);
        break;
    }
    json_object_end(w);
    return rc;
}

// Thoughts without a signature (of another provider) and empty texts are refused by the API.
static bool is_sent(const LlmPart *part)
{
    return !(part->kind == LLM_PART_THINKING && part->signature.len == 0) &&
           !(part->kind == LLM_PART_TEXT && part->text.len == 0);
}

static int write_messages(JsonWriter *w, const LlmRequest *r, Err *e)
{
    json_key(w, SLICE("messages"));
    json_array_begin(w);
    for (size_t i = 0; i < r->message_count; i++) {
        const LlmMessage *m = &r->messages[i];
        if (m->role == LLM_SYSTEM) {
            continue;
        }
        json_object_begin(w);
        // Results of tools are a user's message here.
        json_field_cstr(w, "role", m->role == LLM_ASSISTANT ? "assistant" : "user");
        json_key(w, SLICE("content"));
        json_array_begin(w);
        for (size_t j = 0; j < m->part_count; j++) {
            int rc = is_sent(&m->parts[j]) ? write_part(w, &m->parts[j], e) : 0;
            if (rc != 0) {
                return rc;
            }
        }
        json_array_end(w);
        json_object_end(w);
    }
    json_array_end(w);
    return 0;
}

static int write_tools(JsonWriter *w, const LlmRequest *r, Err *e)
{
    static const char *const CHOICES[] = {[LLM_TOOLS_AUTO] = "auto",
                                          [LLM_TOOLS_NONE] = "none",
                                          [LLM_TOOLS_REQUIRED] = "any",
                                          [LLM_TOOLS_NAMED] = "tool"};
    json_key(w, SLICE("tools"));
    json_array_begin(w);
    for (size_t i = 0; i < r->tool_count; i++) {
        const LlmTool *tool = &r->tools[i];
        json_object_begin(w);
        json_field_string(w, "name", tool->name);
        wire_field(w, "description", tool->description);
        json_key(w, SLICE("input_schema"));
        // The API wants the type to be there.
        int rc =
            wire_object(w, tool->schema.len > 0 ? tool->schema : SLICE("{\"type\":\"object\"}"),
                        "tool schema", e);
        if (rc != 0) {
            return rc;
        }
        if (tool->strict) {
            json_field_bool(w, "strict", true);
        }
        json_object_end(w);
    }
    json_array_end(w);
    if (r->tool_choice != LLM_TOOLS_AUTO || r->no_parallel_tools) {
        json_key(w, SLICE("tool_choice"));
        json_object_begin(w);
        json_field_cstr(w, "type", CHOICES[r->tool_choice]);
        if (r->tool_choice == LLM_TOOLS_NAMED) {
            json_field_string(w, "name", r->tool_name);
        }
        if (r->no_parallel_tools && r->tool_choice != LLM_TOOLS_NONE) {
            json_field_bool(w, "disable_parallel_tool_use", true);
        }
        json_object_end(w);
    }
    return 0;
}

// There is no mode for just any JSON, so the model is asked for it in words.
#define JSON_WISH "Answer with one JSON object and nothing else."

static void write_system(JsonWriter *w, const LlmRequest *r)
{
    bool wish = r->output == LLM_OUTPUT_JSON, has = wire_has_system(r);
    if (!has && !wish) {
        return;
    }
    Buf rules = buf_create(DOC_BYTES_MAX);
    wire_system_text(r, &rules);
    if (wish) {
        buf_puts(&rules, has ? "\n\n" JSON_WISH : JSON_WISH);
    }
    json_field_string(w, "system", buf_slice(&rules));
    buf_done(&rules);
}

static int write_output(JsonWriter *w, const LlmRequest *r, Err *e)
{
    bool schema = r->output == LLM_OUTPUT_SCHEMA;
    if (!schema && r->reasoning_effort.len == 0) {
        return 0;
    }
    int rc = 0;
    json_key(w, SLICE("output_config"));
    json_object_begin(w);
    wire_field(w, "effort", r->reasoning_effort);
    if (schema) {
        json_key(w, SLICE("format"));
        json_object_begin(w);
        json_field_cstr(w, "type", "json_schema");
        json_key(w, SLICE("schema"));
        rc = wire_object(w, r->schema, "schema", e);
        json_object_end(w);
    }
    json_object_end(w);
    return rc;
}

static int chat_body(const LlmAsk *ask, JsonWriter *w, Err *e)
{
    const LlmRequest *r = ask->request;
    json_object_begin(w);
    json_field_string(w, "model", ask->model);
    json_field_int(w, "max_tokens",
                   r->max_output_tokens > 0 ? r->max_output_tokens : ask->endpoint->max_tokens);
    write_system(w, r);
    int rc = write_messages(w, r, e);
    if (rc == 0 && r->tool_count > 0) {
        rc = write_tools(w, r, e);
    }
    if (rc != 0 || (rc = write_output(w, r, e)) != 0) {
        return rc;
    }
    wire_number(w, "temperature", r->has_temperature, r->temperature);
    wire_number(w, "top_p", r->has_top_p, r->top_p);
    wire_stop(w, "stop_sequences", r);
    if (ask->stream) {
        json_field_bool(w, "stream", true);
    }
    json_object_end(w);
    return 0;
}

static void chat_url(const LlmAsk *ask, Buf *url)
{
    buf_append(url, ask->endpoint->base_url);
    buf_puts(url, "/v1/messages");
}

// ---- reading

static const WireFinish FINISHES[] = {
    {"end_turn", LLM_FINISH_STOP},     {"stop_sequence", LLM_FINISH_STOP},
    {"max_tokens", LLM_FINISH_LENGTH}, {"model_context_window_exceeded", LLM_FINISH_LENGTH},
    {"tool_use", LLM_FINISH_TOOLS},    {"refusal", LLM_FINISH_FILTER}};

// message_delta repeats only what it knows better, so what is absent stays as it was.
static void read_usage(LlmAnswer *a, const Doc *usage)
{
    if (!usage) {
        return;
    }
    LlmUsage *u = &a->usage;
    u->known = true;
    if (doc_get(usage, SLICE("input_tokens"))) {
        u->cached_tokens = answer_int(a, usage, "cache_read_input_tokens");
        u->cache_write_tokens = answer_int(a, usage, "cache_creation_input_tokens");
        // The field leaves out what the cache served or took.
        u->input_tokens =
            answer_int(a, usage, "input_tokens") + u->cached_tokens + u->cache_write_tokens;
    }
    if (doc_get(usage, SLICE("output_tokens"))) {
        u->output_tokens = answer_int(a, usage, "output_tokens");
    }
}

static void read_finish(LlmAnswer *a, const Doc *object)
{
    Slice finish = answer_keep(a, object, "stop_reason");
    if (finish.len > 0) {
        a->finish_text = finish;
        a->finish = wire_finish(FINISHES, COUNT_OF(FINISHES), finish);
    }
}

static void read_head(LlmAnswer *a, const Doc *message)
{
    a->id = answer_keep(a, message, "id");
    a->model = answer_keep(a, message, "model");
    read_usage(a, answer_object(a, message, "usage"));
}

static void write_doc(const Doc *doc, Buf *out)
{
    JsonWriter w = json_writer(out, 0);
    doc_write(&w, doc);
}

static void read_block(LlmAnswer *a, const Doc *block, int64_t index, bool whole)
{
    Slice type = answer_string(a, block, "type");
    if (slice_eq(type, SLICE("text"))) {
        llm_answer_add(a, llm_answer_part(a, LLM_PART_TEXT, index),
                       answer_string(a, block, "text"));
    } else if (slice_eq(type, SLICE("thinking"))) {
        LlmPending *part = llm_answer_part(a, LLM_PART_THINKING, index);
        llm_answer_add(a, part, answer_string(a, block, "thinking"));
        llm_answer_sign(a, part, answer_string(a, block, "signature"));
    } else if (slice_eq(type, SLICE("tool_use"))) {
        LlmPending *part = llm_answer_part(a, LLM_PART_TOOL_CALL, index);
        if (!part) {
            return;
        }
        part->id = answer_keep(a, block, "id");
        part->name = answer_keep(a, block, "name");
        const Doc *input = answer_object(a, block, "input");
        if (whole && input) { // in a stream it is an empty object; the pieces follow
            Buf json = buf_create(LLM_ANSWER_BYTES_MAX);
            write_doc(input, &json);
            llm_answer_add(a, part, buf_slice(&json));
            buf_done(&json);
            llm_answer_call_done(a, part);
        }
    }
}

static void chat_answer(const Doc *doc, LlmAnswer *a)
{
    const Doc *content = answer_array(a, doc, "content");
    if (!content) {
        (void)llm_answer_fail(a, ERR_PROTOCOL, "the answer has no content");
        return;
    }
    read_head(a, doc);
    int64_t index = 0;
    for (const Doc *block = doc_first(content); block; block = doc_next(block)) {
        read_block(a, block, index++, true);
    }
    read_finish(a, doc);
    a->ended = true;
}

// ---- events

static LlmPending *part_at(LlmAnswer *a, int64_t index)
{
    for (size_t i = a->count; i-- > 0;) {
        if (a->pending[i].index == index) {
            return &a->pending[i];
        }
    }
    return NULL;
}

static void on_delta(const Doc *doc, LlmAnswer *a)
{
    const Doc *delta = answer_object(a, doc, "delta");
    int64_t index = answer_int(a, doc, "index");
    Slice type = answer_string(a, delta, "type");
    if (slice_eq(type, SLICE("text_delta"))) {
        llm_answer_add(a, llm_answer_part(a, LLM_PART_TEXT, index),
                       answer_string(a, delta, "text"));
    } else if (slice_eq(type, SLICE("input_json_delta"))) {
        llm_answer_add(a, llm_answer_part(a, LLM_PART_TOOL_CALL, index),
                       answer_string(a, delta, "partial_json"));
    } else if (slice_eq(type, SLICE("thinking_delta"))) {
        llm_answer_add(a, llm_answer_part(a, LLM_PART_THINKING, index),
                       answer_string(a, delta, "thinking"));
    } else if (slice_eq(type, SLICE("signature_delta"))) {
        llm_answer_sign(a, llm_answer_part(a, LLM_PART_THINKING, index),
                        answer_string(a, delta, "signature"));
    }
}

static void chat_event(Slice name, const Doc *doc, LlmAnswer *a)
{
    Slice type = answer_string(a, doc, "type");
    type = type.len > 0 ? type : name;
    if (slice_eq(type, SLICE("content_block_delta"))) {
        on_delta(doc, a);
    } else if (slice_eq(type, SLICE("content_block_start"))) {
        read_block(a, answer_object(a, doc, "content_block"), answer_int(a, doc, "index"), false);
    } else if (slice_eq(type, SLICE("content_block_stop"))) {
        LlmPending *part = part_at(a, answer_int(a, doc, "index"));
        if (part && part->kind == LLM_PART_TOOL_CALL) {
            llm_answer_call_done(a, part);
        }
    } else if (slice_eq(type, SLICE("message_start"))) {
        read_head(a, answer_object(a, doc, "message"));
    } else if (slice_eq(type, SLICE("message_delta"))) {
        read_usage(a, answer_object(a, doc, "usage"));
        read_finish(a, answer_object(a, doc, "delta"));
    } else if (slice_eq(type, SLICE("message_stop"))) {
        a->ended = true;
    }
}

const LlmAdapter LLM_ADAPTER_ANTHROPIC = {
    .default_url = "https://api.anthropic.com",
    .auth_header = "x-api-key",
    .auth_prefix = "",
    .extra_header = "anthropic-version: 2023-06-01",
    .framing = LLM_FRAMES_SSE,
    .chat_url = chat_url,
    .chat_body = chat_body,
    .chat_answer = chat_answer,
    .chat_event = chat_event,
};
