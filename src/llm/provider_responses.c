// OpenAI's Responses: a conversation is a flat list of items, and a stream is typed events.
// Source: the openai/openai-openapi description 2.3.0.
#include "llm/wire.h"

// ---- writing

static void write_message_part(JsonWriter *w, LlmRole role, const LlmPart *part)
{
    json_object_begin(w);
    if (part->kind == LLM_PART_IMAGE) {
        json_field_cstr(w, "type", "input_image");
        json_key(w, SLICE("image_url"));
        wire_image_url(w, part);
    } else {
        json_field_cstr(w, "type", role == LLM_ASSISTANT ? "output_text" : "input_text");
        json_field_string(w, "text", part->text);
    }
    json_object_end(w);
}

static bool is_content(const LlmPart *part)
{
    return part->kind == LLM_PART_TEXT || part->kind == LLM_PART_IMAGE;
}

static void write_item(JsonWriter *w, const LlmPart *part)
{
    json_object_begin(w);
    if (part->kind == LLM_PART_TOOL_CALL) {
        json_field_cstr(w, "type", "function_call");
        json_field_string(w, "call_id", part->id);
        json_field_string(w, "name", part->name);
        json_field_string(w, "arguments", part->arguments.len > 0 ? part->arguments : SLICE("{}"));
    } else {
        json_field_cstr(w, "type", "function_call_output");
        json_field_string(w, "call_id", part->id);
        json_field_string(w, "output", part->text);
    }
    json_object_end(w);
}

static void write_message(JsonWriter *w, const LlmMessage *m)
{
    bool open = false;
    for (size_t i = 0; i < m->part_count; i++) {
        if (!is_content(&m->parts[i])) {
            continue;
        }
        if (!open) {
            json_object_begin(w);
            json_field_cstr(w, "role", m->role == LLM_ASSISTANT ? "assistant" : "user");
            json_key(w, SLICE("content"));
            json_array_begin(w);
            open = true;
        }
        write_message_part(w, m->role, &m->parts[i]);
    }
    if (open) {
        json_array_end(w);
        json_object_end(w);
    }
    for (size_t i = 0; i < m->part_count; i++) {
        LlmPartKind kind = m->parts[i].kind;
        if (kind == LLM_PART_TOOL_CALL || kind == LLM_PART_TOOL_RESULT) {
            write_item(w, &m->parts[i]);
        }
    }
}

static void write_input(JsonWriter *w, const LlmRequest *r)
{
    if (wire_has_system(r)) {
        Buf rules = buf_create(DOC_BYTES_MAX);
        wire_system_text(r, &rules);
        json_field_string(w, "instructions", buf_slice(&rules));
        buf_done(&rules);
    }
    json_key(w, SLICE("input"));
    json_array_begin(w);
    for (size_t i = 0; i < r->message_count; i++) {
        if (r->messages[i].role != LLM_SYSTEM) {
            write_message(w, &r->messages[i]);
        }
    }
    json_array_end(w);
}

static int write_tools(JsonWriter *w, const LlmRequest *r, Err *e)
{
    json_key(w, SLICE("tools"));
    json_array_begin(w);
    for (size_t i = 0; i < r->tool_count; i++) {
        const LlmTool *tool = &r->tools[i];
        json_object_begin(w);
        json_field_cstr(w, "type", "function");
        json_field_string(w, "name", tool->name);
        wire_field(w, "description", tool->description);
        json_key(w, SLICE("parameters"));
        int rc = wire_object(w, tool->schema, "tool schema", e);
        if (rc != 0) {
            return rc;
        }
        json_field_bool(w, "strict", tool->strict); // absent means true here
        json_object_end(w);
    }
    json_array_end(w);
    if (r->no_parallel_tools) {
        json_field_bool(w, "parallel_tool_calls", false);
    }
    switch (r->tool_choice) {
    case LLM_TOOLS_AUTO: break;
    case LLM_TOOLS_NONE: json_field_cstr(w, "tool_choice", "none"); break;
    case LLM_TOOLS_REQUIRED: json_field_cstr(w, "tool_choice", "required"); break;
    case LLM_TOOLS_NAMED:
        json_key(w, SLICE("tool_choice"));
        json_object_begin(w);
        json_field_cstr(w, "type", "function");
        json_field_string(w, "name", r->tool_name);
        json_object_end(w);
        break;
    }
    return 0;
}

static int write_format(JsonWriter *w, const LlmRequest *r, Err *e)
{
    if (r->output == LLM_OUTPUT_TEXT) {
        return 0;
    }
    int rc = 0;
    json_key(w, SLICE("text"));
    json_object_begin(w);
    json_key(w, SLICE("format"));
    json_object_begin(w);
    if (r->output == LLM_OUTPUT_JSON) {
        json_field_cstr(w, "type", "json_object");
    } else {
        json_field_cstr(w, "type", "json_schema");
        json_field_string(w, "name", r->schema_name.len > 0 ? r->schema_name : SLICE("answer"));
        json_field_bool(w, "strict", true);
        json_key(w, SLICE("schema"));
        rc = wire_object(w, r->schema, "schema", e);
    }
    json_object_end(w);
    json_object_end(w);
    return rc;
}

static int chat_body(const LlmAsk *ask, JsonWriter *w, Err *e)
{
    const LlmRequest *r = ask->request;
    if (r->stop_count > 0) {
        return err_set(e, ERR_UNSUPPORTED, "the Responses protocol has no stop sequences");
    }
    json_object_begin(w);
    json_field_string(w, "model", ask->model);
    write_input(w, r);
    int rc = r->tool_count > 0 ? write_tools(w, r, e) : 0;
    if (rc != 0 || (rc = write_format(w, r, e)) != 0) {
        return rc;
    }
    if (r->max_output_tokens > 0) {
        json_field_int(w, "max_output_tokens", r->max_output_tokens);
    }
    wire_number(w, "temperature", r->has_temperature, r->temperature);
    wire_number(w, "top_p", r->has_top_p, r->top_p);
    if (r->reasoning_effort.len > 0) {
        json_key(w, SLICE("reasoning"));
        json_object_begin(w);
        json_field_string(w, "effort", r->reasoning_effort);
        json_object_end(w);
    }
    // Every call brings its whole conversation, so there is nothing to keep at the provider.
    json_field_bool(w, "store", false);
    if (ask->stream) {
        json_field_bool(w, "stream", true);
    }
    json_object_end(w);
    return 0;
}

static void chat_url(const LlmAsk *ask, Buf *url)
{
    buf_append(url, ask->endpoint->base_url);
    buf_puts(url, "/responses");
}

// ---- reading

static void read_usage(LlmAnswer *a, const Doc *usage)
{
    if (!usage) {
        return;
    }
    const Doc *in = answer_object(a, usage, "input_tokens_details");
    const Doc *out = answer_object(a, usage, "output_tokens_details");
    a->usage = (LlmUsage){.known = true,
                          .input_tokens = answer_int(a, usage, "input_tokens"),
                          .output_tokens = answer_int(a, usage, "output_tokens"),
                          .cached_tokens = answer_int(a, in, "cached_tokens"),
                          .cache_write_tokens = answer_int(a, in, "cache_write_tokens"),
                          .reasoning_tokens = answer_int(a, out, "reasoning_tokens")};
}

static void read_status(LlmAnswer *a, const Doc *response)
{
    Slice status = answer_string(a, response, "status");
    Slice reason = answer_string(a, answer_object(a, response, "incomplete_details"), "reason");
    a->finish_text = arena_copy(a->arena, reason.len > 0 ? reason : status);
    if (slice_eq(status, SLICE("completed"))) {
        a->finish = LLM_FINISH_STOP;
    } else if (slice_eq(reason, SLICE("max_output_tokens"))) {
        a->finish = LLM_FINISH_LENGTH;
    } else if (slice_eq(reason, SLICE("content_filter"))) {
        a->finish = LLM_FINISH_FILTER;
    } else {
        a->finish = LLM_FINISH_OTHER;
    }
    read_usage(a, answer_object(a, response, "usage"));
}

static void read_head(LlmAnswer *a, const Doc *response)
{
    if (a->id.len == 0) {
        a->id = answer_keep(a, response, "id");
        a->model = answer_keep(a, response, "model");
    }
}

static void read_message(LlmAnswer *a, const Doc *item, int64_t index)
{
    for (const Doc *c = doc_first(answer_array(a, item, "content")); c; c = doc_next(c)) {
        Slice text = answer_string(a, c, "text");
        text = text.len > 0 ? text : answer_string(a, c, "refusal");
        llm_answer_add(a, llm_answer_part(a, LLM_PART_TEXT, index), text);
    }
}

static void read_reasoning(LlmAnswer *a, const Doc *item, int64_t index)
{
    for (const Doc *c = doc_first(answer_array(a, item, "summary")); c; c = doc_next(c)) {
        llm_answer_add(a, llm_answer_part(a, LLM_PART_THINKING, index),
                       answer_string(a, c, "text"));
    }
}

static void read_item(LlmAnswer *a, const Doc *item, int64_t index)
{
    Slice type = answer_string(a, item, "type");
    if (slice_eq(type, SLICE("message"))) {
        read_message(a, item, index);
    } else if (slice_eq(type, SLICE("function_call"))) {
        llm_answer_call(a, index, answer_keep(a, item, "call_id"), answer_keep(a, item, "name"),
                        answer_string(a, item, "arguments"));
    } else if (slice_eq(type, SLICE("reasoning"))) {
        read_reasoning(a, item, index);
    }
}

static void chat_answer(const Doc *doc, LlmAnswer *a)
{
    const Doc *output = answer_array(a, doc, "output");
    if (!output) {
        (void)llm_answer_fail(a, ERR_PROTOCOL, "the answer has no output");
        return;
    }
    read_head(a, doc);
    int64_t index = 0;
    for (const Doc *item = doc_first(output); item; item = doc_next(item)) {
        read_item(a, item, index++);
    }
    read_status(a, doc);
    a->ended = true;
}

// ---- events

static void on_text(const Doc *doc, LlmAnswer *a)
{
    int64_t index = answer_int(a, doc, "output_index");
    llm_answer_add(a, llm_answer_part(a, LLM_PART_TEXT, index), answer_string(a, doc, "delta"));
}

static void on_thought(const Doc *doc, LlmAnswer *a)
{
    int64_t index = answer_int(a, doc, "output_index");
    llm_answer_add(a, llm_answer_part(a, LLM_PART_THINKING, index), answer_string(a, doc, "delta"));
}

static void on_item_added(const Doc *doc, LlmAnswer *a)
{
    const Doc *item = answer_object(a, doc, "item");
    if (!slice_eq(answer_string(a, item, "type"), SLICE("function_call"))) {
        return;
    }
    LlmPending *part = llm_answer_part(a, LLM_PART_TOOL_CALL, answer_int(a, doc, "output_index"));
    if (part) {
        part->id = answer_keep(a, item, "call_id");
        part->name = answer_keep(a, item, "name");
    }
}

static void on_arguments(const Doc *doc, LlmAnswer *a)
{
    int64_t index = answer_int(a, doc, "output_index");
    llm_answer_add(a, llm_answer_part(a, LLM_PART_TOOL_CALL, index),
                   answer_string(a, doc, "delta"));
}

// The whole item again: it counts where a server sent no pieces of it.
static void on_item_done(const Doc *doc, LlmAnswer *a)
{
    const Doc *item = answer_object(a, doc, "item");
    if (!slice_eq(answer_string(a, item, "type"), SLICE("function_call"))) {
        return;
    }
    LlmPending *part = llm_answer_part(a, LLM_PART_TOOL_CALL, answer_int(a, doc, "output_index"));
    if (!part) {
        return;
    }
    if (part->name.len == 0) {
        part->id = answer_keep(a, item, "call_id");
        part->name = answer_keep(a, item, "name");
    }
    if (part->text.len == 0) {
        llm_answer_add(a, part, answer_string(a, item, "arguments"));
    }
    llm_answer_call_done(a, part);
}

static void on_start(const Doc *doc, LlmAnswer *a)
{
    read_head(a, answer_object(a, doc, "response"));
}

static void on_end(const Doc *doc, LlmAnswer *a)
{
    const Doc *response = answer_object(a, doc, "response");
    read_head(a, response);
    read_status(a, response);
    a->ended = true;
}

static void on_failed(const Doc *doc, LlmAnswer *a)
{
    const Doc *error = answer_object(a, answer_object(a, doc, "response"), "error");
    a->failure.type = answer_keep(a, error, "code");
    a->failure.message = answer_keep(a, error, "message");
    a->failure.kind =
        slice_find(a->failure.type, SLICE("rate_limit")) >= 0 ? LLM_FAIL_RATE : LLM_FAIL_SERVER;
    (void)llm_answer_fail(a, ERR_PROTOCOL, "the provider gave up: %.*s",
                          SLICE_FMT(a->failure.message));
}

static void chat_event(Slice name, const Doc *doc, LlmAnswer *a)
{
    static const struct {
        const char *type;
        void (*fn)(const Doc *doc, LlmAnswer *answer);
    } EVENTS[] = {
        {"response.output_text.delta", on_text},
        {"response.refusal.delta", on_text},
        {"response.function_call_arguments.delta", on_arguments},
        {"response.reasoning_summary_text.delta", on_thought},
        {"response.reasoning_text.delta", on_thought},
        {"response.created", on_start},
        {"response.output_item.added", on_item_added},
        {"response.output_item.done", on_item_done},
        {"response.completed", on_end},
        {"response.incomplete", on_end},
        {"response.failed", on_failed},
    };
    Slice type = answer_string(a, doc, "type");
    type = type.len > 0 ? type : name;
    for (size_t i = 0; i < COUNT_OF(EVENTS); i++) {
        if (slice_eq_cstr(type, EVENTS[i].type)) {
            EVENTS[i].fn(doc, a);
            return;
        }
    }
}

const LlmAdapter LLM_ADAPTER_RESPONSES = {
    .default_url = "https://api.openai.com/v1",
    .auth_header = "Authorization",
    .auth_prefix = "Bearer ",
    .framing = LLM_FRAMES_SSE,
    .chat_url = chat_url,
    .chat_body = chat_body,
    .chat_answer = chat_answer,
    .chat_event = chat_event,
    .embed_url = wire_openai_embed_url,
    .embed_body = wire_openai_embed_body,
    .embed_answer = wire_openai_embed_answer,
};
