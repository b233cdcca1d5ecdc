// Models, token counts and other small facts that clients ask for.
#include "llm/fake_shard.h"

static void put_openai_model(Buf *out, Slice name)
{
    FAKE_PUT(out, "{\"id\":");
    fake_put_string(out, name);
    FAKE_PUT(out, ",\"object\":\"model\",\"created\":1735689600,\"owned_by\":\"fake\"}");
}

static void put_anthropic_model(Buf *out, Slice name)
{
    FAKE_PUT(out, "{\"type\":\"model\",\"id\":");
    fake_put_string(out, name);
    FAKE_PUT(out, ",\"display_name\":");
    fake_put_string(out, name);
    FAKE_PUT(out, ",\"created_at\":\"2025-01-01T00:00:00Z\"}");
}

static void put_gemini_model(Buf *out, Slice name)
{
    FAKE_PUT(out, "{\"name\":\"models/");
    fake_put_escaped(out, name);
    FAKE_PUT(out, "\",\"version\":\"001\",\"displayName\":");
    fake_put_string(out, name);
    FAKE_PUT(out, ",\"inputTokenLimit\":1048576,\"outputTokenLimit\":32768,"
                  "\"supportedGenerationMethods\":[\"generateContent\",\"countTokens\","
                  "\"embedContent\",\"batchGenerateContent\"]}");
}

static void put_ollama_model(Buf *out, Slice name)
{
    FAKE_PUT(out, "{\"name\":");
    fake_put_string(out, name);
    FAKE_PUT(out, ",\"model\":");
    fake_put_string(out, name);
    FAKE_PUT(out, ",\"modified_at\":\"2025-01-01T00:00:00Z\",\"size\":1000000000,\"digest\":\"");
    fake_put_id(out, SLICE(""), slice_hash(name));
    FAKE_PUT(out, "\",\"details\":{\"format\":\"gguf\",\"family\":\"fake\",\"families\":[\"fake\"],"
                  "\"parameter_size\":\"1B\",\"quantization_level\":\"Q4_0\"}}");
}

typedef struct ListShape {
    Slice begin, end;
    void (*put)(Buf *out, Slice name);
} ListShape;

static const ListShape shapes[FAKE_PROVIDERS] = {
    [FAKE_BY_OPENAI] = {SLICE_INIT("{\"object\":\"list\",\"data\":["), SLICE_INIT("]}"),
                        put_openai_model},
    [FAKE_BY_AZURE] = {SLICE_INIT("{\"object\":\"list\",\"data\":["), SLICE_INIT("]}"),
                       put_openai_model},
    [FAKE_BY_ANTHROPIC] = {SLICE_INIT("{\"data\":["),
                           SLICE_INIT("],\"has_more\":false,\"first_id\":null,\"last_id\":null}"),
                           put_anthropic_model},
    [FAKE_BY_GEMINI] = {SLICE_INIT("{\"models\":["), SLICE_INIT("]}"), put_gemini_model},
    [FAKE_BY_OLLAMA] = {SLICE_INIT("{\"models\":["), SLICE_INIT("]}"), put_ollama_model},
};

void fake_list_models(FakeWork *w)
{
    const FakeScript *script = w->shard->llm->script;
    const ListShape *shape = &shapes[w->route.provider];
    buf_reset(&w->out);
    buf_append(&w->out, shape->begin);
    for (size_t i = 0; i < script->model_count; i++) {
        buf_append(&w->out, i > 0 ? SLICE(",") : SLICE(""));
        shape->put(&w->out, script->models[i]);
    }
    buf_append(&w->out, shape->end);
    fake_send_json(w, 200);
}

// Of those that are listed: an unknown one is 404, though every name may be talked to.
void fake_show_model(FakeWork *w)
{
    const FakeScript *script = w->shard->llm->script;
    Slice name = w->route.id;
    if (w->route.provider == FAKE_BY_OLLAMA) {
        if (!fake_parse_body(w)) {
            return;
        }
        name = json_text_at(yyjson_doc_get_root(w->doc), "model");
    }
    bool found = false;
    for (size_t i = 0; i < script->model_count && !found; i++) {
        found = slice_eq(script->models[i], name);
    }
    if (found) {
        buf_reset(&w->out);
        shapes[w->route.provider].put(&w->out, name);
        fake_send_json(w, 200);
    } else {
        FakeFailure f = fake_failure(404, "The model does not exist.");
        f.code = SLICE("model_not_found");
        fake_send_failure(w, &f);
    }
    fake_forget_body(w);
}

// Counts need no max_tokens and no answer; only the texts are looked at.
void fake_count_tokens(FakeWork *w)
{
    static const Slice heads[FAKE_PROTOCOLS] = {
        [FAKE_OPENAI_RESPONSES] =
            SLICE_INIT("{\"object\":\"response.input_tokens\",\"input_tokens\":"),
        [FAKE_ANTHROPIC] = SLICE_INIT("{\"input_tokens\":"),
        [FAKE_GEMINI] = SLICE_INIT("{\"totalTokens\":"),
    };
    const char *param = NULL;
    if (!fake_parse_body(w)) {
        return;
    }
    Err e;
    e.text[0] = 0;
    FakeProtocol protocol = w->route.api->protocol;
    JsonVal *root = yyjson_doc_get_root(w->doc);
    JsonVal *inner = json_at(root, "generateContentRequest"); // Gemini's longer form
    // OpenAI's chat reader knows Anthropic's messages and does not ask for a limit.
    FakeProtocol reader = protocol == FAKE_ANTHROPIC ? FAKE_OPENAI_CHAT : protocol;
    int rc =
        fake_request_read(reader, inner ? inner : root, w->route.model, &w->request, &param, &e);
    if (rc != 0) {
        FakeFailure f = fake_failure(400, e.text);
        f.param = param;
        fake_send_failure(w, &f);
    } else {
        if (protocol == FAKE_ANTHROPIC) { // whose system text is not a message
            w->request.prompt_bytes += json_text_at(root, "system").len;
        }
        buf_reset(&w->out);
        buf_append(&w->out, heads[protocol]);
        fake_put_int(&w->out, fake_request_tokens(&w->request));
        FAKE_PUT(&w->out, "}");
        fake_send_json(w, 200);
    }
    fake_forget_body(w);
}

void fake_ollama_version(FakeWork *w)
{
    buf_reset(&w->out);
    FAKE_PUT(&w->out, "{\"version\":\"0.12.0\"}");
    fake_send_json(w, 200);
}
