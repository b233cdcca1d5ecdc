// Ollama's own interface: NDJSON streams, arguments as objects, no ids of calls. Source: the
// project's docs/api.md.
#include "llm/wire.h"

// ---- writing

static void write_text(JsonWriter *w, const LlmMessage *m)
{
    Buf text = buf_create(DOC_BYTES_MAX);
    for (size_t i = 0; i < m->part_count; i++) {
        if (m->parts[i].kind == LLM_PART_TEXT) {
            buf_puts(&text, text.len > 0 ? "\n" : "");
            buf_append(&text, m->parts[i].text);
        }
    }
    json_field_string(w, "content", buf_slice(&text));
    buf_done(&text);
}

static int write_images(JsonWriter *w, const LlmMessage *m, Err *e)
{
    bool open = false;
    for (size_t i = 0; i < m->part_count; i++) {
        const LlmPart *part = &m->parts[i];
        if (part->kind != LLM_PART_IMAGE) {
            continue;
        }
        if (part->data.len == 0) {
            return err_set(e, ERR_UNSUPPORTED, "Ollama takes an image's bytes, not its URL");
        }
        if (!open) {
            json_key(w, SLICE("images"));
            json_array_begin(w);
            open = true;
        }
        wire_base64(w, part->data);
    }
    if (open) {
        json_array_end(w);
    }
    return 0;
}

static int write_calls(JsonWriter *w, const LlmMessage *m, Err *e)
{
    bool open = false;
    for (size_t i = 0; i < m->part_count; i++) {
        const LlmPart *part = &m->parts[i];
        if (part->kind != LLM_PART_TOOL_CALL) {
            continue;
        }
        if (!open) {
            json_key(w, SLICE("tool_calls"));
            json_array_begin(w);
            open = true;
        }
        json_object_begin(w);
        json_key(w, SLICE("function"));
        json_object_begin(w);
        json_field_string(w, "name", part->name);
        json_key(w, SLICE("arguments"));
        int rc = wire_object(w, part->arguments, "arguments of a tool call", e);
        if (rc != 0) {
            return rc;
        }
        json_object_end(w);
        json_object_end(w);
    }
    if (open) {
        json_array_end(w);
    }
    return 0;
}

static int write_message(JsonWriter *w, const LlmRequest *r, const LlmMessage *m, Err *e)
{
    if (m->role == LLM_TOOL) {
        for (size_t i = 0; i < m->part_count; i++) {
            json_object_begin(w);
            json_field_cstr(w, "role", "tool");
            json_field_string(w, "tool_name", wire_call_name(r, &m->parts[i]));
            json_field_string(w, "content", m->parts[i].text);
            json_object_end(w);
        }
        return 0;
    }
    json_object_begin(w);
    json_field_cstr(w, "role", wire_role_name(m->role));
    write_text(w, m);
    int rc = write_images(w, m, e);
    if (rc == 0) {
        rc = write_calls(w, m, e);
    }
    json_object_end(w);
    return rc;
}

static int write_tools(JsonWriter *w, const LlmRequest *r, Err *e)
{
    json_key(w, SLICE("tools"));
    json_array_begin(w);
    for (size_t i = 0; i < r->tool_count; i++) {
        json_object_begin(w);
        json_field_cstr(w, "type", "function");
        json_key(w, SLICE("function"));
        json_object_begin(w);
        json_field_string(w, "name", r->tools[i].name);
        json_field_string(w, "description", r->tools[i].description);
        json_key(w, SLICE("parameters"));
        int rc = wire_object(w, r->tools[i].schema, "tool schema", e);
        if (rc != 0) {
            return rc;
        }
        json_object_end(w);
        json_object_end(w);
    }
    json_array_end(w);
    return 0;
}

static void write_options(JsonWriter *w, const LlmRequest *r)
{
    if (r->max_output_tokens <= 0 && !r->has_temperature && !r->has_top_p && !r->has_seed &&
        r->stop_count == 0) {
        return;
    }
    json_key(w, SLICE("options"));
    json_object_begin(w);
    if (r->max_output_tokens > 0) {
        json_field_int(w, "num_predict", r->max_output_tokens);
    }
    wire_number(w, "temperature", r->has_temperature, r->temperature);
    wire_number(w, "top_p", r->has_top_p, r->top_p);
    if (r->has_seed) {
        json_field_int(w, "seed", r->seed);
    }
    wire_stop(w, "stop", r);
    json_object_end(w);
}

static int chat_body(const LlmAsk *ask, JsonWriter *w, Err *e)
{
    const LlmRequest *r = ask->request;
    if (r->tool_choice == LLM_TOOLS_REQUIRED || r->tool_choice == LLM_TOOLS_NAMED) {
        return err_set(e, ERR_UNSUPPORTED, "Ollama cannot be told which tool to call");
    }
    int rc = 0;
    json_object_begin(w);
    json_field_string(w, "model", ask->model);
    json_key(w, SLICE("messages"));
    json_array_begin(w);
    for (size_t i = 0; rc == 0 && i < r->message_count; i++) {
        rc = write_message(w, r, &r->messages[i], e);
    }
    if (rc != 0) {
        return rc;
    }
    json_array_end(w);
    if (r->tool_count > 0 && r->tool_choice != LLM_TOOLS_NONE) {
        rc = write_tools(w, r, e);
    }
    if (rc == 0 && r->output == LLM_OUTPUT_JSON) {
        json_field_cstr(w, "format", "json");
    } else if (rc == 0 && r->output == LLM_OUTPUT_SCHEMA) {
        json_key(w, SLICE("format"));
        rc = wire_object(w, r->schema, "schema", e);
    }
    if (rc != 0) {
        return rc;
    }
    write_options(w, r);
    json_field_bool(w, "stream", ask->stream); // absent means true here
    json_object_end(w);
    return 0;
}

static void chat_url(const LlmAsk *ask, Buf *url)
{
    buf_append(url, ask->endpoint->base_url);
    buf_puts(url, "/api/chat");
}

// ---- reading

static void read_call(LlmAnswer *a, const Doc *doc)
{
    const Doc *function = answer_object(a, doc, "function");
    const Doc *arguments = answer_object(a, function, "arguments");
    Buf json = buf_create(LLM_ANSWER_BYTES_MAX);
    if (arguments) {
        JsonWriter w = json_writer(&json, 0);
        doc_write(&w, arguments);
    }
    Slice id = answer_keep(a, doc, "id"); // newer servers have it
    id = id.len > 0 ? id : arena_printf(a->arena, "call_%zu", a->count);
    llm_answer_call(a, (int64_t)a->count, id, answer_keep(a, function, "name"), buf_slice(&json));
    buf_done(&json);
}

static void read_done(LlmAnswer *a, const Doc *doc)
{
    const Doc *done = doc_get(doc, SLICE("done"));
    if (!done || done->type != DOC_BOOL || !done->boolean) {
        return;
    }
    Slice reason = answer_keep(a, doc, "done_reason");
    a->finish_text = reason;
    a->finish = slice_eq(reason, SLICE("length"))                    ? LLM_FINISH_LENGTH
                : reason.len == 0 || slice_eq(reason, SLICE("stop")) ? LLM_FINISH_STOP
                                                                     : LLM_FINISH_OTHER;
    a->usage = (LlmUsage){.known = doc_get(doc, SLICE("eval_count")) != NULL,
                          .input_tokens = answer_int(a, doc, "prompt_eval_count"),
                          .output_tokens = answer_int(a, doc, "eval_count")};
    a->ended = true;
}

static void read_line(const Doc *doc, LlmAnswer *a)
{
    if (a->model.len == 0) {
        a->model = answer_keep(a, doc, "model");
    }
    const Doc *message = answer_object(a, doc, "message");
    Slice thinking = answer_string(a, message, "thinking");
    if (thinking.len > 0) {
        llm_answer_add(a, llm_answer_part(a, LLM_PART_THINKING, -1), thinking);
    }
    Slice content = answer_string(a, message, "content");
    if (content.len > 0) {
        llm_answer_add(a, llm_answer_part(a, LLM_PART_TEXT, -1), content);
    }
    for (const Doc *c = doc_first(answer_array(a, message, "tool_calls")); c; c = doc_next(c)) {
        read_call(a, c);
    }
    read_done(a, doc);
}

static void chat_answer(const Doc *doc, LlmAnswer *a)
{
    if (!doc_get(doc, SLICE("message"))) {
        (void)llm_answer_fail(a, ERR_PROTOCOL, "the answer has no message");
        return;
    }
    read_line(doc, a);
    a->ended = true;
}

static void chat_event(Slice name, const Doc *doc, LlmAnswer *a)
{
    (void)name;
    read_line(doc, a);
}

// ---- embeddings

static void embed_url(const LlmEmbedAsk *ask, Buf *url)
{
    buf_append(url, ask->endpoint->base_url);
    buf_puts(url, "/api/embed");
}

static void embed_body(const LlmEmbedAsk *ask, JsonWriter *w)
{
    json_object_begin(w);
    json_field_string(w, "model", ask->model);
    json_key(w, SLICE("input"));
    json_array_begin(w);
    for (size_t i = 0; i < ask->input_count; i++) {
        json_string(w, ask->inputs[i]);
    }
    json_array_end(w);
    if (ask->dimensions > 0) {
        json_field_int(w, "dimensions", ask->dimensions);
    }
    json_object_end(w);
}

static void embed_answer(const Doc *doc, LlmEmbedRows *rows, LlmAnswer *a)
{
    a->model = answer_keep(a, doc, "model");
    a->usage = (LlmUsage){.known = doc_get(doc, SLICE("prompt_eval_count")) != NULL,
                          .input_tokens = answer_int(a, doc, "prompt_eval_count")};
    size_t at = 0;
    for (const Doc *d = doc_first(answer_array(a, doc, "embeddings")); d && a->rc == 0;
         d = doc_next(d)) {
        wire_embed_row(a, rows, at++, d);
    }
}

const LlmAdapter LLM_ADAPTER_OLLAMA = {
    .default_url = "http://localhost:11434",
    .auth_header = "Authorization",
    .auth_prefix = "Bearer ",
    .framing = LLM_FRAMES_LINES,
    .chat_url = chat_url,
    .chat_body = chat_body,
    .chat_answer = chat_answer,
    .chat_event = chat_event,
    .embed_url = embed_url,
    .embed_body = embed_body,
    .embed_answer = embed_answer,
};
