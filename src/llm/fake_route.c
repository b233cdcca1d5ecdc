// Which provider a path belongs to, and which operation it names.
#include "llm/fake_work.h"

typedef struct Entry {
    FakeProvider provider;
    const char *method;
    const char *path; // "*" stands for one segment, which becomes the route's id
    FakeOperation *operation;
    const FakeApi *api;
} Entry;

// The hot ones first. Azure's paths are brought to OpenAI's before they are looked up, and
// Gemini's, with their verbs behind a colon, have a table of their own.
static const Entry table[] = {
    {FAKE_BY_OPENAI, "POST", "/v1/chat/completions", fake_generate, &FAKE_API_OPENAI_CHAT},
    {FAKE_BY_OPENAI, "POST", "/v1/responses", fake_generate, &FAKE_API_OPENAI_RESPONSES},
    {FAKE_BY_ANTHROPIC, "POST", "/v1/messages", fake_generate, &FAKE_API_ANTHROPIC},
    {FAKE_BY_OLLAMA, "POST", "/api/chat", fake_generate, &FAKE_API_OLLAMA_CHAT},
    {FAKE_BY_OLLAMA, "POST", "/api/generate", fake_generate, &FAKE_API_OLLAMA_GENERATE},
    {FAKE_BY_OPENAI, "POST", "/v1/embeddings", fake_embed_openai, NULL},
    {FAKE_BY_OLLAMA, "POST", "/api/embed", fake_embed_ollama, NULL},
    {FAKE_BY_OLLAMA, "POST", "/api/embeddings", fake_embed_ollama_old, NULL},
    {FAKE_BY_OPENAI, "GET", "/v1/models", fake_list_models, NULL},
    {FAKE_BY_OPENAI, "GET", "/v1/models/*", fake_show_model, NULL},
    {FAKE_BY_OLLAMA, "GET", "/api/tags", fake_list_models, NULL},
    {FAKE_BY_OLLAMA, "POST", "/api/show", fake_show_model, NULL},
    {FAKE_BY_OLLAMA, "GET", "/api/version", fake_ollama_version, NULL},
    {FAKE_BY_OPENAI, "POST", "/v1/responses/input_tokens", fake_count_tokens,
     &FAKE_API_OPENAI_RESPONSES},
    {FAKE_BY_OPENAI, "POST", "/v1/responses/*/cancel", fake_response_show, NULL},
    {FAKE_BY_OPENAI, "GET", "/v1/responses/*", fake_response_show, NULL},
    {FAKE_BY_OPENAI, "DELETE", "/v1/responses/*", fake_response_delete, NULL},
    {FAKE_BY_ANTHROPIC, "POST", "/v1/messages/count_tokens", fake_count_tokens,
     &FAKE_API_ANTHROPIC},
    {FAKE_BY_ANTHROPIC, "POST", "/v1/messages/batches", fake_message_batch_create, NULL},
    {FAKE_BY_ANTHROPIC, "GET", "/v1/messages/batches", fake_message_batch_list, NULL},
    {FAKE_BY_ANTHROPIC, "GET", "/v1/messages/batches/*", fake_message_batch_show, NULL},
    {FAKE_BY_ANTHROPIC, "DELETE", "/v1/messages/batches/*", fake_message_batch_delete, NULL},
    {FAKE_BY_ANTHROPIC, "POST", "/v1/messages/batches/*/cancel", fake_message_batch_cancel, NULL},
    {FAKE_BY_ANTHROPIC, "GET", "/v1/messages/batches/*/results", fake_message_batch_results, NULL},
    {FAKE_BY_OPENAI, "POST", "/v1/files", fake_file_upload, NULL},
    {FAKE_BY_OPENAI, "GET", "/v1/files", fake_file_list, NULL},
    {FAKE_BY_OPENAI, "GET", "/v1/files/*", fake_file_show, NULL},
    {FAKE_BY_OPENAI, "DELETE", "/v1/files/*", fake_file_delete, NULL},
    {FAKE_BY_OPENAI, "GET", "/v1/files/*/content", fake_file_content, NULL},
    {FAKE_BY_OPENAI, "POST", "/v1/batches", fake_batch_create, NULL},
    {FAKE_BY_OPENAI, "GET", "/v1/batches", fake_batch_list, NULL},
    {FAKE_BY_OPENAI, "GET", "/v1/batches/*", fake_batch_show, NULL},
    {FAKE_BY_OPENAI, "POST", "/v1/batches/*/cancel", fake_batch_cancel, NULL},
    {FAKE_BY_OPENAI, "GET", "/health", fake_show_health, NULL},
    {FAKE_BY_OPENAI, "GET", "/metrics", fake_show_metrics, NULL},
    {FAKE_BY_OPENAI, "GET", "/_fake/settings", fake_show_settings, NULL},
    {FAKE_BY_OPENAI, "POST", "/_fake/settings", fake_change_settings, NULL},
    {FAKE_BY_OPENAI, "DELETE", "/_fake/settings", fake_reset_settings, NULL},
    {FAKE_BY_OPENAI, "GET", "/_fake/counts", fake_show_counts, NULL},
};

static const Entry gemini[] = {
    {FAKE_BY_GEMINI, "POST", "generateContent", fake_generate, &FAKE_API_GEMINI},
    {FAKE_BY_GEMINI, "POST", "streamGenerateContent", fake_generate, &FAKE_API_GEMINI},
    {FAKE_BY_GEMINI, "POST", "embedContent", fake_embed_gemini, NULL},
    {FAKE_BY_GEMINI, "POST", "batchEmbedContents", fake_embed_gemini_batch, NULL},
    {FAKE_BY_GEMINI, "POST", "countTokens", fake_count_tokens, &FAKE_API_GEMINI},
    {FAKE_BY_GEMINI, "POST", "batchGenerateContent", fake_gemini_batch_create, NULL},
};

static bool matches(Slice path, Slice pattern, Slice *ret_id)
{
    ptrdiff_t star = slice_find_byte(pattern, '*');
    if (star < 0) {
        return slice_eq(path, pattern);
    }
    Slice before = slice_sub(pattern, 0, (size_t)star);
    Slice after = slice_sub(pattern, (size_t)star + 1, pattern.len);
    if (path.len <= before.len + after.len || !slice_starts_with(path, before) ||
        !slice_ends_with(path, after)) {
        return false;
    }
    Slice id = slice_sub(path, before.len, path.len - before.len - after.len);
    if (slice_find_byte(id, '/') >= 0) {
        return false;
    }
    *ret_id = id;
    return true;
}

static void take(const Entry *entry, FakeRoute *route)
{
    route->operation = entry->operation;
    route->api = entry->api;
}

static bool look_up(Slice method, Slice path, FakeRoute *route)
{
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const Entry *entry = &table[i];
        if (slice_eq_cstr(method, entry->method) &&
            matches(path, slice_from_cstr(entry->path), &route->id)) {
            route->provider = entry->provider;
            take(entry, route);
            return true;
        }
    }
    return false;
}

// "models/M:verb"; Vertex puts more before the "models/".
static bool look_up_gemini(const HttpServerRequest *http, FakeRoute *route)
{
    static const Slice models = SLICE_INIT("models/");
    ptrdiff_t at = slice_find(http->path, models);
    Slice rest = slice_sub(http->path, (size_t)(at < 0 ? 0 : at) + models.len, http->path.len);
    Slice verb;
    route->provider = FAKE_BY_GEMINI;
    bool has_verb = slice_cut(rest, ':', &route->model, &verb);
    for (size_t i = 0; at >= 0 && has_verb && i < COUNT_OF(gemini); i++) {
        if (slice_eq_cstr(verb, gemini[i].path) && slice_eq_cstr(http->method, gemini[i].method)) {
            take(&gemini[i], route);
            route->stream = slice_eq_cstr(verb, "streamGenerateContent");
            route->sse = slice_find(http->query, SLICE("alt=sse")) >= 0;
            return true;
        }
    }
    bool get = slice_eq_cstr(http->method, "GET");
    if (get && matches(http->path, SLICE("/v1beta/models/*"), &route->id)) {
        route->operation = fake_show_model;
    } else if (get && slice_eq_cstr(http->path, "/v1beta/models")) {
        route->operation = fake_list_models;
    } else if (get && matches(http->path, SLICE("/v1beta/batches/*"), &route->id)) {
        route->operation = fake_gemini_batch_show;
    } else if (slice_eq_cstr(http->method, "POST") &&
               matches(http->path, SLICE("/v1beta/batches/*:cancel"), &route->id)) {
        route->operation = fake_gemini_batch_cancel;
    }
    return route->operation != NULL;
}

// Azure's paths become "/v1/...", written to `room`, which holds any path of the table.
static bool look_up_azure(const HttpServerRequest *http, FakeRoute *route)
{
    static const Slice deployments = SLICE_INIT("/openai/deployments/");
    static const Slice prefix = SLICE_INIT("/openai/");
    Slice rest = slice_sub(http->path, prefix.len, http->path.len);
    Slice model = {NULL, 0};
    if (slice_starts_with(http->path, deployments)) {
        Slice behind = slice_sub(http->path, deployments.len, http->path.len);
        (void)slice_cut(behind, '/', &model, &rest);
    } else if (slice_starts_with(rest, SLICE("v1/"))) {
        rest = slice_sub(rest, 3, rest.len);
    }
    char room[256];
    route->provider = FAKE_BY_AZURE;
    if (rest.len == 0 || rest.len > sizeof room - 4) {
        return false;
    }
    memcpy(room, "/v1/", 4);
    memcpy(room + 4, rest.ptr, rest.len);
    bool found = look_up(http->method, (Slice){room, rest.len + 4}, route);
    route->provider = FAKE_BY_AZURE;
    route->model = model;
    if (route->id.len > 0) { // points into `room`: the same bytes are in the request
        route->id = slice_sub(rest, (size_t)(route->id.ptr - room) - 4, route->id.len);
    }
    return found;
}

bool fake_route_find(const HttpServerRequest *http, FakeRoute *route)
{
    *route = (FakeRoute){.provider = FAKE_BY_OPENAI};
    if (slice_starts_with(http->path, SLICE("/openai/"))) {
        return look_up_azure(http, route);
    }
    if (slice_starts_with(http->path, SLICE("/v1beta"))) {
        return look_up_gemini(http, route);
    }
    bool found = look_up(http->method, http->path, route);
    if (!found) {
        bool ollama = slice_starts_with(http->path, SLICE("/api/"));
        bool messages = slice_starts_with(http->path, SLICE("/v1/messages"));
        route->provider = ollama ? FAKE_BY_OLLAMA : messages ? FAKE_BY_ANTHROPIC : FAKE_BY_OPENAI;
    } else if (route->operation == fake_list_models || route->operation == fake_show_model) {
        // Anthropic lists its models at OpenAI's path.
        bool anthropic = http_head_get(http->head, SLICE("anthropic-version")).len > 0;
        route->provider = anthropic ? FAKE_BY_ANTHROPIC : route->provider;
    }
    return found;
}

bool fake_route_line(Slice path, FakeRoute *route)
{
    *route = (FakeRoute){.provider = FAKE_BY_OPENAI};
    return look_up(SLICE("POST"), path, route) &&
           (route->operation == fake_generate || route->operation == fake_embed_openai);
}
