#include "llm/wire.h"

#include "llm/failure.h"

const LlmAdapter *llm_adapter(LlmProtocol protocol)
{
    static const LlmAdapter *const ADAPTERS[LLM_PROTOCOLS] = {
        [LLM_OPENAI] = &LLM_ADAPTER_OPENAI, [LLM_OPENAI_RESPONSES] = &LLM_ADAPTER_RESPONSES,
        [LLM_AZURE] = &LLM_ADAPTER_AZURE,   [LLM_ANTHROPIC] = &LLM_ADAPTER_ANTHROPIC,
        [LLM_GEMINI] = &LLM_ADAPTER_GEMINI, [LLM_OLLAMA] = &LLM_ADAPTER_OLLAMA,
    };
    return ADAPTERS[protocol];
}

// ---- reading

static int parse(Slice text, const char *what, Arena *scratch, LlmAnswer *answer,
                 const Doc **ret_doc)
{
    Err err = {0};
    DocOptions options = {.format = DOC_FORMAT_JSON, .source = what};
    int rc = doc_parse(scratch, text, &options, ret_doc, &err);
    if (rc != 0) {
        return llm_answer_fail(answer, rc == ERR_LIMIT ? ERR_LIMIT : ERR_PROTOCOL, "%s", err.text);
    }
    if ((*ret_doc)->type != DOC_OBJECT) {
        return llm_answer_fail(answer, ERR_PROTOCOL, "%s is %s, not an object", what,
                               doc_type_name((*ret_doc)->type));
    }
    if (llm_failure_in(*ret_doc, answer->arena, &answer->failure)) {
        return llm_answer_fail(answer, ERR_PROTOCOL, "the provider answered with an error: %.*s",
                               SLICE_FMT(answer->failure.message));
    }
    return 0;
}

int llm_read_answer(const LlmAdapter *adapter, Slice body, Arena *scratch, LlmAnswer *answer)
{
    const Doc *doc = NULL;
    if (parse(body, "answer", scratch, answer, &doc) == 0) {
        adapter->chat_answer(doc, answer);
    }
    return answer->rc;
}

int llm_read_event(const LlmAdapter *adapter, Slice name, Slice data, Arena *scratch,
                   LlmAnswer *answer)
{
    const Doc *doc = NULL;
    if (slice_eq(data, SLICE("[DONE]"))) {
        answer->ended = true;
    } else if (parse(data, "event", scratch, answer, &doc) == 0) {
        adapter->chat_event(name, doc, answer);
    }
    return answer->rc;
}

int llm_read_embeddings(const LlmAdapter *adapter, Slice body, Arena *scratch, LlmEmbedRows *rows,
                        LlmAnswer *answer)
{
    const Doc *doc = NULL;
    if (parse(body, "answer", scratch, answer, &doc) != 0) {
        return answer->rc;
    }
    adapter->embed_answer(doc, rows, answer);
    if (answer->rc == 0 && rows->filled != rows->count) {
        return llm_answer_fail(answer, ERR_PROTOCOL, "%zu embeddings came for %zu inputs",
                               rows->filled, rows->count);
    }
    return answer->rc;
}

void wire_embed_row(LlmAnswer *answer, LlmEmbedRows *rows, size_t index, const Doc *numbers)
{
    size_t n = doc_count(numbers);
    if (!rows->vectors && n > 0 && n <= (LLM_ANSWER_BYTES_MAX / sizeof(float)) / rows->count) {
        rows->dimensions = n;
        rows->vectors = ARENA_ARRAY(answer->arena, float, n * rows->count);
    }
    if (!rows->vectors || index >= rows->count || n != rows->dimensions ||
        rows->filled == rows->count) {
        (void)llm_answer_fail(answer, ERR_PROTOCOL, "embedding %zu has %zu numbers", index, n);
        return;
    }
    float *row = rows->vectors + index * n;
    for (const Doc *d = doc_first(numbers); d; d = doc_next(d)) {
        if (!doc_is_number(d)) {
            (void)llm_answer_fail(answer, ERR_PROTOCOL, "embedding %zu holds %s", index,
                                  doc_type_name(d->type));
            return;
        }
        *row++ = (float)doc_number(d);
    }
    rows->filled++;
}

// ---- writing

enum { OBJECT_BYTES_MAX = 4 << 20 };

int wire_object(JsonWriter *w, Slice json, const char *what, Err *e)
{
    if (slice_trim(json).len == 0) {
        json_raw(w, SLICE("{}"));
        return 0;
    }
    Arena *scratch = arena_create(64 << 20);
    const Doc *doc = NULL;
    DocOptions options = {.format = DOC_FORMAT_JSON, .source = what, .max_bytes = OBJECT_BYTES_MAX};
    Err err = {0};
    int rc = doc_parse(scratch, json, &options, &doc, &err);
    if (rc != 0) {
        rc = err_set(e, ERR_ARG, "no JSON: %s", err.text);
    } else if (doc->type != DOC_OBJECT) {
        rc =
            err_set(e, ERR_ARG, "%s must be a JSON object, not %s", what, doc_type_name(doc->type));
    } else {
        json_raw(w, json);
    }
    if (rc != 0) {
        json_null(w); // so that the caller may close what it opened
    }
    arena_destroy(scratch);
    return rc;
}

void wire_field(JsonWriter *w, const char *key, Slice text)
{
    if (text.len > 0) {
        json_field_string(w, key, text);
    }
}

void wire_base64(JsonWriter *w, Slice data)
{
    json_raw(w, SLICE("\""));
    buf_append_base64(w->out, data.ptr, data.len);
    buf_putc(w->out, '"');
}

void wire_image_url(JsonWriter *w, const LlmPart *image)
{
    if (image->url.len > 0) {
        json_string(w, image->url);
        return;
    }
    // The writer's own quotes cannot enclose base64 that is made on the way.
    json_raw(w, SLICE("\"data:"));
    buf_append(w->out, image->media_type);
    buf_puts(w->out, ";base64,");
    buf_append_base64(w->out, image->data.ptr, image->data.len);
    buf_putc(w->out, '"');
}

void wire_number(JsonWriter *w, const char *key, bool has, double value)
{
    if (has) {
        json_field_double(w, key, value);
    }
}

void wire_stop(JsonWriter *w, const char *key, const LlmRequest *request)
{
    if (request->stop_count == 0) {
        return;
    }
    json_key(w, slice_from_cstr(key));
    json_array_begin(w);
    for (size_t i = 0; i < request->stop_count; i++) {
        json_string(w, request->stop[i]);
    }
    json_array_end(w);
}

bool wire_has_system(const LlmRequest *request)
{
    for (size_t i = 0; i < request->message_count; i++) {
        if (request->messages[i].role == LLM_SYSTEM) {
            return true;
        }
    }
    return false;
}

void wire_system_text(const LlmRequest *request, Buf *out)
{
    bool first = true;
    for (size_t i = 0; i < request->message_count; i++) {
        const LlmMessage *m = &request->messages[i];
        for (size_t j = 0; m->role == LLM_SYSTEM && j < m->part_count; j++) {
            buf_puts(out, first ? "" : "\n\n");
            buf_append(out, m->parts[j].text);
            first = false;
        }
    }
}

Slice wire_call_name(const LlmRequest *request, const LlmPart *result)
{
    if (result->name.len > 0) {
        return result->name;
    }
    for (size_t i = request->message_count; i-- > 0;) {
        const LlmMessage *m = &request->messages[i];
        for (size_t j = 0; j < m->part_count; j++) {
            if (m->parts[j].kind == LLM_PART_TOOL_CALL && slice_eq(m->parts[j].id, result->id)) {
                return m->parts[j].name;
            }
        }
    }
    return (Slice){0};
}

void wire_path_segment(Buf *url, Slice text)
{
    static const char PLAIN[] = "-._~:"; // RFC 3986: unreserved, and the colon of tuned models
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (letter || (c != 0 && strchr(PLAIN, c))) {
            buf_putc(url, (char)c);
        } else {
            buf_printf(url, "%%%02X", c);
        }
    }
}

LlmFinish wire_finish(const WireFinish *words, size_t count, Slice text)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_eq_cstr(text, words[i].text)) {
            return words[i].finish;
        }
    }
    return LLM_FINISH_OTHER;
}

const char *wire_role_name(LlmRole role)
{
    switch (role) {
    case LLM_SYSTEM: return "system";
    case LLM_USER: return "user";
    case LLM_ASSISTANT: return "assistant";
    case LLM_TOOL: return "tool";
    }
    return "user";
}
