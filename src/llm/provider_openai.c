// OpenAI Chat Completions and everything that speaks it; Azure OpenAI differs in its URLs and in
// how it wants the key. Source: the openai/openai-openapi description 2.3.0.
#include "llm/wire.h"

// ---- writing

static void write_call(JsonWriter *w, const LlmPart *call)
{
    json_object_begin(w);
    json_field_string(w, "id", call->id);
    json_field_cstr(w, "type", "function");
    json_key(w, SLICE("function"));
    json_object_begin(w);
    json_field_string(w, "name", call->name);
    json_field_string(w, "arguments", call->arguments.len > 0 ? call->arguments : SLICE("{}"));
    json_object_end(w);
    json_object_end(w);
}

static void write_content_part(JsonWriter *w, const LlmPart *part)
{
    json_object_begin(w);
    if (part->kind == LLM_PART_IMAGE) {
        json_field_cstr(w, "type", "image_url");
        json_key(w, SLICE("image_url"));
        json_object_begin(w);
        json_key(w, SLICE("url"));
        wire_image_url(w, part);
        json_object_end(w);
    } else {
        json_field_cstr(w, "type", "text");
        json_field_string(w, "text", part->text);
    }
    json_object_end(w);
}

static size_t count_kind(const LlmMessage *m, LlmPartKind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < m->part_count; i++) {
        n += m->parts[i].kind == kind;
    }
    return n;
}

// One text is written as a string, which every compatible server understands.
static void write_content(JsonWriter *w, const LlmMessage *m)
{
    size_t texts = count_kind(m, LLM_PART_TEXT), images = count_kind(m, LLM_PART_IMAGE);
    json_key(w, SLICE("content"));
    if (texts + images == 0) {
        json_null(w);
        return;
    }
    if (texts + images > 1 || images > 0) {
        json_array_begin(w);
    }
    for (size_t i = 0; i < m->part_count; i++) {
        const LlmPart *part = &m->parts[i];
        if (part->kind != LLM_PART_TEXT && part->kind != LLM_PART_IMAGE) {
            continue;
        }
        if (texts + images == 1 && images == 0) {
            json_string(w, part->text);
        } else {
            write_content_part(w, part);
        }
    }
    if (texts + images > 1 || images > 0) {
        json_array_end(w);
    }
}

static void write_results(JsonWriter *w, const LlmMessage *m)
{
    for (size_t i = 0; i < m->part_count; i++) {
        if (m->parts[i].kind == LLM_PART_TOOL_RESULT) {
            json_object_begin(w);
            json_field_cstr(w, "role", "tool");
            json_field_string(w, "tool_call_id", m->parts[i].id);
            json_field_string(w, "content", m->parts[i].text);
            json_object_end(w);
        }
    }
}

static void write_message(JsonWriter *w, const LlmMessage *m)
{
    if (m->role == LLM_TOOL) {
        write_results(w, m);
        return;
    }
    json_object_begin(w);
    json_field_cstr(w, "role", wire_role_name(m->role));
    write_content(w, m);
    if (count_kind(m, LLM_PART_TOOL_CALL) > 0) {
        json_key(w, SLICE("tool_calls"));
        json_array_begin(w);
        for (size_t i = 0; i < m->part_count; i++) {
            if (m->parts[i].kind == LLM_PART_TOOL_CALL) {
                write_call(w, &m->parts[i]);
            }
        }
        json_array_end(w);
    }
    json_object_end(w);
}

static int write_tools(JsonWriter *w, const LlmRequest *r, Err *e)
{
    json_key(w, SLICE("tools"));
    json_array_begin(w);
    for (size_t i = 0; i < r->tool_count; i++) {
        const LlmTool *tool = &r->tools[i];
        json_object_begin(w);
        json_field_cstr(w, "type", "function");
        json_key(w, SLICE("function"));
        json_object_begin(w);
        json_field_string(w, "name", tool->name);
        wire_field(w, "description", tool->description);
        json_key(w, SLICE("parameters"));
        int rc = wire_object(w, tool->schema, "tool schema", e);
        if (rc != 0) {
            return rc;
        }
        if (tool->strict) {
            json_field_bool(w, "strict", true);
        }
        json_object_end(w);
        json_object_end(w);
    }
    json_array_end(w);
    if (r->no_parallel_tools) {
        json_field_bool(w, "parallel_tool_calls", false);
    }
    return 0;
}

static void write_choice(JsonWriter *w, const LlmRequest *r)
{
    switch (r->tool_choice) {
    case LLM_TOOLS_AUTO: break; // the default
    case LLM_TOOLS_NONE: json_field_cstr(w, "tool_choice", "none"); break;
    case LLM_TOOLS_REQUIRED: json_field_cstr(w, "tool_choice", "required"); break;
    case LLM_TOOLS_NAMED:
        json_key(w, SLICE("tool_choice"));
        json_object_begin(w);
        json_field_cstr(w, "type", "function");
        json_key(w, SLICE("function"));
        json_object_begin(w);
        json_field_string(w, "name", r->tool_name);
        json_object_end(w);
        json_object_end(w);
        break;
    }
}

static int write_format(JsonWriter *w, const LlmRequest *r, Err *e)
{
    if (r->output == LLM_OUTPUT_TEXT) {
        return 0;
    }
    int rc = 0;
    json_key(w, SLICE("response_format"));
    json_object_begin(w);
    if (r->output == LLM_OUTPUT_JSON) {
        json_field_cstr(w, "type", "json_object");
    } else {
        json_field_cstr(w, "type", "json_schema");
        json_key(w, SLICE("json_schema"));
        json_object_begin(w);
        json_field_string(w, "name", r->schema_name.len > 0 ? r->schema_name : SLICE("answer"));
        json_field_bool(w, "strict", true);
        json_key(w, SLICE("schema"));
        rc = wire_object(w, r->schema, "schema", e);
        json_object_end(w);
    }
    json_object_end(w);
    return rc;
}

static void write_limits(const LlmAsk *ask, JsonWriter *w)
{
    const LlmRequest *r = ask->request;
    if (r->max_output_tokens > 0) {
        json_field_int(w, ask->endpoint->old_max_tokens ? "max_tokens" : "max_completion_tokens",
                       r->max_output_tokens);
    }
    wire_number(w, "temperature", r->has_temperature, r->temperature);
    wire_number(w, "top_p", r->has_top_p, r->top_p);
    if (r->has_seed) {
        json_field_int(w, "seed", r->seed);
    }
    wire_stop(w, "stop", r);
    wire_field(w, "reasoning_effort", r->reasoning_effort);
}

static int chat_body(const LlmAsk *ask, JsonWriter *w, Err *e)
{
    const LlmRequest *r = ask->request;
    json_object_begin(w);
    json_field_string(w, "model", ask->model);
    json_key(w, SLICE("messages"));
    json_array_begin(w);
    for (size_t i = 0; i < r->message_count; i++) {
        write_message(w, &r->messages[i]);
    }
    json_array_end(w);
    if (r->tool_count > 0) {
        int rc = write_tools(w, r, e);
        if (rc != 0) {
            return rc;
        }
        write_choice(w, r);
    }
    int rc = write_format(w, r, e);
    if (rc != 0) {
        return rc;
    }
    write_limits(ask, w);
    if (ask->stream) {
        json_field_bool(w, "stream", true);
        json_key(w, SLICE("stream_options"));
        json_object_begin(w);
        json_field_bool(w, "include_usage", true);
        json_object_end(w);
    }
    json_object_end(w);
    return 0;
}

static void chat_url(const LlmAsk *ask, Buf *url)
{
    buf_append(url, ask->endpoint->base_url);
    buf_puts(url, "/chat/completions");
}

// ---- reading

static const WireFinish FINISHES[] = {{"stop", LLM_FINISH_STOP},
                                      {"length", LLM_FINISH_LENGTH},
                                      {"tool_calls", LLM_FINISH_TOOLS},
                                      {"function_call", LLM_FINISH_TOOLS},
                                      {"content_filter", LLM_FINISH_FILTER}};

static void read_usage(LlmAnswer *a, const Doc *usage)
{
    if (!usage) {
        return;
    }
    const Doc *in = answer_object(a, usage, "prompt_tokens_details");
    const Doc *out = answer_object(a, usage, "completion_tokens_details");
    a->usage = (LlmUsage){.known = true,
                          .input_tokens = answer_int(a, usage, "prompt_tokens"),
                          .output_tokens = answer_int(a, usage, "completion_tokens"),
                          .cached_tokens = answer_int(a, in, "cached_tokens"),
                          .cache_write_tokens = answer_int(a, in, "cache_write_tokens"),
                          .reasoning_tokens = answer_int(a, out, "reasoning_tokens")};
}

static void read_head(LlmAnswer *a, const Doc *doc)
{
    if (a->id.len == 0) {
        a->id = answer_keep(a, doc, "id");
    }
    if (a->model.len == 0) {
        a->model = answer_keep(a, doc, "model");
    }
    read_usage(a, answer_object(a, doc, "usage"));
}

static void read_finish(LlmAnswer *a, const Doc *choice)
{
    Slice finish = answer_keep(a, choice, "finish_reason");
    if (finish.len > 0) {
        a->finish_text = finish;
        a->finish = wire_finish(FINISHES, COUNT_OF(FINISHES), finish);
    }
}

// Text, refusal and the thoughts that compatible servers send (vLLM, DeepSeek, OpenRouter).
static void read_texts(LlmAnswer *a, const Doc *message)
{
    static const char *const THOUGHTS[] = {"reasoning_content", "reasoning"};
    for (size_t i = 0; i < COUNT_OF(THOUGHTS); i++) {
        const Doc *d = doc_get(message, slice_from_cstr(THOUGHTS[i]));
        if (d && d->type == DOC_STRING && d->text.len > 0) {
            llm_answer_add(a, llm_answer_part(a, LLM_PART_THINKING, 0), d->text);
            break;
        }
    }
    Slice content = answer_string(a, message, "content");
    Slice refusal = answer_string(a, message, "refusal");
    if (content.len > 0) {
        llm_answer_add(a, llm_answer_part(a, LLM_PART_TEXT, 0), content);
    }
    if (refusal.len > 0) {
        llm_answer_add(a, llm_answer_part(a, LLM_PART_TEXT, 0), refusal);
    }
}

static void chat_answer(const Doc *doc, LlmAnswer *a)
{
    read_head(a, doc);
    const Doc *choice = doc_first(answer_array(a, doc, "choices"));
    const Doc *message = answer_object(a, choice, "message");
    if (!message) {
        (void)llm_answer_fail(a, ERR_PROTOCOL, "the answer has no choices[0].message");
        return;
    }
    read_texts(a, message);
    int64_t index = 0;
    for (const Doc *c = doc_first(answer_array(a, message, "tool_calls")); c; c = doc_next(c)) {
        const Doc *function = answer_object(a, c, "function");
        llm_answer_call(a, index++, answer_keep(a, c, "id"), answer_keep(a, function, "name"),
                        answer_string(a, function, "arguments"));
    }
    read_finish(a, choice);
    a->ended = true;
}

static void read_call_piece(LlmAnswer *a, const Doc *piece)
{
    LlmPending *part = llm_answer_part(a, LLM_PART_TOOL_CALL, answer_int(a, piece, "index"));
    const Doc *function = answer_object(a, piece, "function");
    if (!part) {
        return;
    }
    // Identity comes with the first piece; some servers repeat it as an empty string.
    if (part->id.len == 0) {
        part->id = answer_keep(a, piece, "id");
    }
    if (part->name.len == 0) {
        part->name = answer_keep(a, function, "name");
    }
    llm_answer_add(a, part, answer_string(a, function, "arguments"));
}

static void chat_event(Slice name, const Doc *doc, LlmAnswer *a)
{
    (void)name;
    read_head(a, doc);
    const Doc *choice = doc_first(answer_array(a, doc, "choices"));
    if (!choice) {
        return; // the last one, with usage only; Azure's first one, with filter results
    }
    const Doc *delta = answer_object(a, choice, "delta");
    if (delta) {
        read_texts(a, delta);
        const Doc *c = doc_first(answer_array(a, delta, "tool_calls"));
        for (; c; c = doc_next(c)) {
            read_call_piece(a, c);
        }
    }
    read_finish(a, choice);
    for (size_t i = 0; a->finish != LLM_FINISH_NONE && i < a->count; i++) {
        if (a->pending[i].kind == LLM_PART_TOOL_CALL) {
            llm_answer_call_done(a, &a->pending[i]);
        }
    }
}

// ---- embeddings

void wire_openai_embed_url(const LlmEmbedAsk *ask, Buf *url)
{
    buf_append(url, ask->endpoint->base_url);
    buf_puts(url, "/embeddings");
}

void wire_openai_embed_body(const LlmEmbedAsk *ask, JsonWriter *w)
{
    json_object_begin(w);
    json_field_string(w, "model", ask->model);
    json_key(w, SLICE("input"));
    json_array_begin(w);
    for (size_t i = 0; i < ask->input_count; i++) {
        json_string(w, ask->inputs[i]);
    }
    json_array_end(w);
    json_field_cstr(w, "encoding_format", "float");
    if (ask->dimensions > 0) {
        json_field_int(w, "dimensions", ask->dimensions);
    }
    json_object_end(w);
}

void wire_openai_embed_answer(const Doc *doc, LlmEmbedRows *rows, LlmAnswer *a)
{
    read_head(a, doc);
    size_t at = 0;
    for (const Doc *d = doc_first(answer_array(a, doc, "data")); d && a->rc == 0;
         d = doc_next(d), at++) {
        const Doc *index = doc_get(d, SLICE("index"));
        size_t i = index && index->type == DOC_INT ? (size_t)index->integer : at;
        wire_embed_row(a, rows, i, answer_array(a, d, "embedding"));
    }
}

const LlmAdapter LLM_ADAPTER_OPENAI = {
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

// ---- Azure: {endpoint}/openai/deployments/{model}/... ?api-version=... or
// {endpoint}/openai/v1/...

static void azure_url(const LlmEndpoint *endpoint, Slice model, const char *operation, Buf *url)
{
    buf_append(url, endpoint->base_url);
    if (endpoint->api_version.len == 0) {
        buf_printf(url, "/openai/v1/%s", operation);
        return;
    }
    buf_puts(url, "/openai/deployments/");
    wire_path_segment(url, model);
    buf_printf(url, "/%s?api-version=", operation);
    wire_path_segment(url, endpoint->api_version);
}

static void azure_chat_url(const LlmAsk *ask, Buf *url)
{
    azure_url(ask->endpoint, ask->model, "chat/completions", url);
}

static void azure_embed_url(const LlmEmbedAsk *ask, Buf *url)
{
    azure_url(ask->endpoint, ask->model, "embeddings", url);
}

const LlmAdapter LLM_ADAPTER_AZURE = {
    .auth_header = "api-key",
    .auth_prefix = "",
    .framing = LLM_FRAMES_SSE,
    .chat_url = azure_chat_url,
    .chat_body = chat_body,
    .chat_answer = chat_answer,
    .chat_event = chat_event,
    .embed_url = azure_embed_url,
    .embed_body = wire_openai_embed_body,
    .embed_answer = wire_openai_embed_answer,
};
