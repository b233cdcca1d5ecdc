// Gemini's generateContent. Source: googleapis/python-genai of 2026-08-21.
#include "llm/wire.h"

// ---- writing

static void write_image(JsonWriter *w, const LlmPart *image)
{
    bool by_url = image->url.len > 0;
    json_key(w, by_url ? SLICE("fileData") : SLICE("inlineData"));
    json_object_begin(w);
    json_field_string(w, "mimeType", image->media_type);
    if (by_url) {
        json_field_string(w, "fileUri", image->url);
    } else {
        json_key(w, SLICE("data"));
        wire_base64(w, image->data);
    }
    json_object_end(w);
}

// A response must be an object: text that is one goes as it is, other text under a name.
static void write_result_text(JsonWriter *w, const LlmPart *part)
{
    json_key(w, SLICE("response"));
    Slice text = slice_trim(part->text);
    if (!part->is_error && text.len > 0 && text.ptr[0] == '{') {
        size_t before = w->out->len;
        JsonWriter saved = *w;
        if (wire_object(w, text, "result", NULL) == 0) {
            return;
        }
        *w = saved;
        w->out->len = before;
    }
    json_object_begin(w);
    json_field_string(w, part->is_error ? "error" : "result", part->text);
    json_object_end(w);
}

static int write_part(JsonWriter *w, const LlmRequest *r, const LlmPart *part, Err *e)
{
    int rc = 0;
    json_object_begin(w);
    switch (part->kind) {
    case LLM_PART_TEXT: json_field_string(w, "text", part->text); break;
    case LLM_PART_IMAGE: write_image(w, part); break;
    case LLM_PART_TOOL_CALL:
        json_key(w, SLICE("functionCall"));
        json_object_begin(w);
        wire_field(w, "id", part->id);
        json_field_string(w, "name", part->name);
        json_key(w, SLICE("args"));
        rc = wire_object(w, part->arguments, "arguments of a tool call", e);
        json_object_end(w);
        break;
    case LLM_PART_TOOL_RESULT:
        json_key(w, SLICE("functionResponse"));
        json_object_begin(w);
        wire_field(w, "id", part->id);
        json_field_string(w, "name", wire_call_name(r, part));
        write_result_text(w, part);
        json_object_end(w);
        break;
    case LLM_PART_THINKING:
        json_field_string(w, "text", part->text);
        json_field_bool(w, "thought", true);
        break;
    }
    wire_field(w, "thoughtSignature", part->signature);
    json_object_end(w);
    return rc;
}

static int write_contents(JsonWriter *w, const LlmRequest *r, Err *e)
{
    json_key(w, SLICE("contents"));
    json_array_begin(w);
    for (size_t i = 0; i < r->message_count; i++) {
        const LlmMessage *m = &r->messages[i];
        if (m->role == LLM_SYSTEM) {
            continue;
        }
        json_object_begin(w);
        json_field_cstr(w, "role", m->role == LLM_ASSISTANT ? "model" : "user");
        json_key(w, SLICE("parts"));
        json_array_begin(w);
        for (size_t j = 0; j < m->part_count; j++) {
            int rc = write_part(w, r, &m->parts[j], e);
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

static void write_choice(JsonWriter *w, const LlmRequest *r)
{
    static const char *const MODES[] = {[LLM_TOOLS_AUTO] = "AUTO",
                                        [LLM_TOOLS_NONE] = "NONE",
                                        [LLM_TOOLS_REQUIRED] = "ANY",
                                        [LLM_TOOLS_NAMED] = "ANY"};
    if (r->tool_choice == LLM_TOOLS_AUTO) {
        return;
    }
    json_key(w, SLICE("toolConfig"));
    json_object_begin(w);
    json_key(w, SLICE("functionCallingConfig"));
    json_object_begin(w);
    json_field_cstr(w, "mode", MODES[r->tool_choice]);
    if (r->tool_choice == LLM_TOOLS_NAMED) {
        json_key(w, SLICE("allowedFunctionNames"));
        json_array_begin(w);
        json_string(w, r->tool_name);
        json_array_end(w);
    }
    json_object_end(w);
    json_object_end(w);
}

static int write_tools(JsonWriter *w, const LlmRequest *r, Err *e)
{
    json_key(w, SLICE("tools"));
    json_array_begin(w);
    json_object_begin(w);
    json_key(w, SLICE("functionDeclarations"));
    json_array_begin(w);
    for (size_t i = 0; i < r->tool_count; i++) {
        const LlmTool *tool = &r->tools[i];
        json_object_begin(w);
        json_field_string(w, "name", tool->name);
        wire_field(w, "description", tool->description);
        if (tool->schema.len > 0) {
            json_key(w, SLICE("parametersJsonSchema"));
            int rc = wire_object(w, tool->schema, "tool schema", e);
            if (rc != 0) {
                return rc;
            }
        }
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
    json_array_end(w);
    write_choice(w, r);
    return 0;
}

static int write_config(JsonWriter *w, const LlmRequest *r, Err *e)
{
    json_key(w, SLICE("generationConfig"));
    json_object_begin(w);
    if (r->max_output_tokens > 0) {
        json_field_int(w, "maxOutputTokens", r->max_output_tokens);
    }
    wire_number(w, "temperature", r->has_temperature, r->temperature);
    wire_number(w, "topP", r->has_top_p, r->top_p);
    if (r->has_seed) {
        json_field_int(w, "seed", r->seed);
    }
    wire_stop(w, "stopSequences", r);
    int rc = 0;
    if (r->output != LLM_OUTPUT_TEXT) {
        json_field_cstr(w, "responseMimeType", "application/json");
    }
    if (r->output == LLM_OUTPUT_SCHEMA) {
        json_key(w, SLICE("responseJsonSchema"));
        rc = wire_object(w, r->schema, "schema", e);
    }
    if (r->reasoning_effort.len > 0) {
        json_key(w, SLICE("thinkingConfig"));
        json_object_begin(w);
        json_field_string(w, "thinkingLevel", r->reasoning_effort);
        json_object_end(w);
    }
    json_object_end(w);
    return rc;
}

static int chat_body(const LlmAsk *ask, JsonWriter *w, Err *e)
{
    const LlmRequest *r = ask->request;
    json_object_begin(w);
    if (wire_has_system(r)) {
        Buf rules = buf_create(DOC_BYTES_MAX);
        wire_system_text(r, &rules);
        json_key(w, SLICE("systemInstruction"));
        json_object_begin(w);
        json_key(w, SLICE("parts"));
        json_array_begin(w);
        json_object_begin(w);
        json_field_string(w, "text", buf_slice(&rules));
        json_object_end(w);
        json_array_end(w);
        json_object_end(w);
        buf_done(&rules);
    }
    int rc = write_contents(w, r, e);
    if (rc == 0 && r->tool_count > 0) {
        rc = write_tools(w, r, e);
    }
    if (rc != 0 || (rc = write_config(w, r, e)) != 0) {
        return rc;
    }
    json_object_end(w);
    return 0;
}

static void model_url(const LlmEndpoint *endpoint, Slice model, const char *verb, Buf *url)
{
    buf_append(url, endpoint->base_url);
    buf_puts(url, "/v1beta/models/");
    wire_path_segment(url, model);
    buf_printf(url, ":%s", verb);
}

static void chat_url(const LlmAsk *ask, Buf *url)
{
    model_url(ask->endpoint, ask->model,
              ask->stream ? "streamGenerateContent?alt=sse" : "generateContent", url);
}

// ---- reading

static const WireFinish FINISHES[] = {
    {"STOP", LLM_FINISH_STOP},
    {"MAX_TOKENS", LLM_FINISH_LENGTH},
    {"SAFETY", LLM_FINISH_FILTER},
    {"RECITATION", LLM_FINISH_FILTER},
    {"BLOCKLIST", LLM_FINISH_FILTER},
    {"PROHIBITED_CONTENT", LLM_FINISH_FILTER},
    {"SPII", LLM_FINISH_FILTER},
    {"FUNCTION_CALL", LLM_FINISH_TOOLS}, // not of the real API, but of servers that speak it
};

static void read_usage(LlmAnswer *a, const Doc *usage)
{
    if (!usage) {
        return;
    }
    int64_t thoughts = answer_int(a, usage, "thoughtsTokenCount");
    a->usage = (LlmUsage){.known = true,
                          .input_tokens = answer_int(a, usage, "promptTokenCount") +
                                          answer_int(a, usage, "toolUsePromptTokenCount"),
                          .output_tokens = answer_int(a, usage, "candidatesTokenCount") + thoughts,
                          .cached_tokens = answer_int(a, usage, "cachedContentTokenCount"),
                          .reasoning_tokens = thoughts};
}

static void read_call(LlmAnswer *a, const Doc *call, Slice signature)
{
    LlmPending *part = llm_answer_part(a, LLM_PART_TOOL_CALL, (int64_t)a->count);
    if (!part) {
        return;
    }
    Slice id = answer_keep(a, call, "id");
    part->id = id.len > 0 ? id : arena_printf(a->arena, "call_%zu", a->count - 1);
    part->name = answer_keep(a, call, "name");
    const Doc *args = answer_object(a, call, "args");
    if (args) {
        Buf json = buf_create(LLM_ANSWER_BYTES_MAX);
        JsonWriter w = json_writer(&json, 0);
        doc_write(&w, args);
        llm_answer_add(a, part, buf_slice(&json));
        buf_done(&json);
    }
    llm_answer_sign(a, part, signature);
    llm_answer_call_done(a, part);
}

// Pieces of one text or thought follow each other; a call or a signature between them ends the
// part.
static LlmPending *text_part(LlmAnswer *a, LlmPartKind kind)
{
    LlmPending *last = a->count > 0 ? &a->pending[a->count - 1] : NULL;
    bool goes_on = last && last->kind == kind && last->signature.len == 0;
    return goes_on ? last : llm_answer_part(a, kind, (int64_t)a->count);
}

static void read_part(LlmAnswer *a, const Doc *doc)
{
    Slice signature = answer_string(a, doc, "thoughtSignature");
    const Doc *call = answer_object(a, doc, "functionCall");
    if (call) {
        read_call(a, call, signature);
        return;
    }
    const Doc *thought = doc_get(doc, SLICE("thought"));
    bool is_thought = thought && thought->type == DOC_BOOL && thought->boolean;
    Slice text = answer_string(a, doc, "text");
    if (text.len == 0 && signature.len == 0) {
        return;
    }
    LlmPending *part = text_part(a, is_thought ? LLM_PART_THINKING : LLM_PART_TEXT);
    llm_answer_add(a, part, text);
    llm_answer_sign(a, part, signature);
}

// A whole answer and a stream's chunk have the same shape.
static void read_chunk(const Doc *doc, LlmAnswer *a)
{
    if (a->id.len == 0) {
        a->id = answer_keep(a, doc, "responseId");
    }
    if (a->model.len == 0) {
        a->model = answer_keep(a, doc, "modelVersion");
    }
    read_usage(a, answer_object(a, doc, "usageMetadata"));
    Slice blocked = answer_keep(a, answer_object(a, doc, "promptFeedback"), "blockReason");
    if (blocked.len > 0) {
        a->finish = LLM_FINISH_FILTER;
        a->finish_text = blocked;
        a->ended = true;
    }
    const Doc *candidate = doc_first(answer_array(a, doc, "candidates"));
    const Doc *content = answer_object(a, candidate, "content");
    for (const Doc *p = doc_first(answer_array(a, content, "parts")); p; p = doc_next(p)) {
        read_part(a, p);
    }
    Slice finish = answer_keep(a, candidate, "finishReason");
    if (finish.len > 0) {
        a->finish_text = finish;
        a->finish = wire_finish(FINISHES, COUNT_OF(FINISHES), finish);
        a->ended = true;
    }
}

static void chat_answer(const Doc *doc, LlmAnswer *a)
{
    read_chunk(doc, a);
    if (!a->ended && !doc_get(doc, SLICE("candidates"))) {
        (void)llm_answer_fail(a, ERR_PROTOCOL, "the answer has no candidates");
    }
    a->ended = true;
}

static void chat_event(Slice name, const Doc *doc, LlmAnswer *a)
{
    (void)name;
    read_chunk(doc, a);
}

// ---- embeddings

static void embed_url(const LlmEmbedAsk *ask, Buf *url)
{
    model_url(ask->endpoint, ask->model, "batchEmbedContents", url);
}

static void embed_body(const LlmEmbedAsk *ask, JsonWriter *w)
{
    json_object_begin(w);
    json_key(w, SLICE("requests"));
    json_array_begin(w);
    for (size_t i = 0; i < ask->input_count; i++) {
        Buf model = buf_create(4096);
        buf_puts(&model, "models/");
        buf_append(&model, ask->model);
        json_object_begin(w);
        json_field_string(w, "model", buf_slice(&model));
        buf_done(&model);
        json_key(w, SLICE("content"));
        json_object_begin(w);
        json_key(w, SLICE("parts"));
        json_array_begin(w);
        json_object_begin(w);
        json_field_string(w, "text", ask->inputs[i]);
        json_object_end(w);
        json_array_end(w);
        json_object_end(w);
        if (ask->dimensions > 0) {
            json_field_int(w, "outputDimensionality", ask->dimensions);
        }
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
}

static void embed_answer(const Doc *doc, LlmEmbedRows *rows, LlmAnswer *a)
{
    size_t at = 0;
    read_usage(a, answer_object(a, doc, "usageMetadata"));
    for (const Doc *d = doc_first(answer_array(a, doc, "embeddings")); d && a->rc == 0;
         d = doc_next(d)) {
        wire_embed_row(a, rows, at++, answer_array(a, d, "values"));
    }
}

const LlmAdapter LLM_ADAPTER_GEMINI = {
    .default_url = "https://generativelanguage.googleapis.com",
    .auth_header = "x-goog-api-key",
    .auth_prefix = "",
    .framing = LLM_FRAMES_SSE,
    .chat_url = chat_url,
    .chat_body = chat_body,
    .chat_answer = chat_answer,
    .chat_event = chat_event,
    .embed_url = embed_url,
    .embed_body = embed_body,
    .embed_answer = embed_answer,
};
