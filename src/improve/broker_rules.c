// What may pass, and what it costs: the broker's parts that do no I/O.
#include "improve/broker.h"

#include "base/json_write.h"

enum {
    OUTPUT_TOKENS_DEFAULT = 8192, // of a request that names no limit
    BYTES_A_TOKEN = 4,            // of English and code, as the providers' guides say
    DIGITS_MAX = 15,              // of a count: more is nonsense and would overflow
    BLANKS_MAX = 8,               // between a name and its number
};

// ---- paths

typedef enum Match { WHOLE, PREFIX, SUFFIX } Match;

typedef struct Rule {
    const char *method;
    Match match;
    const char *path; // behind the base URL's own path
} Rule;

// Only what asks a model or lists models. No files, no batches, no fine-tuning, no accounts.
static const Rule ANTHROPIC[] = {{"POST", WHOLE, "/v1/messages"},
                                 {"POST", WHOLE, "/v1/messages/count_tokens"},
                                 {"GET", WHOLE, "/v1/models"},
                                 {"GET", PREFIX, "/v1/models/"},
                                 {NULL, WHOLE, NULL}};
static const Rule OPENAI[] = {{"POST", WHOLE, "/chat/completions"},
                              {"POST", WHOLE, "/responses"},
                              {"GET", WHOLE, "/models"},
                              {"GET", PREFIX, "/models/"},
                              {NULL, WHOLE, NULL}};
static const Rule AZURE[] = {{"POST", SUFFIX, "/chat/completions"},
                             {"POST", SUFFIX, "/responses"},
                             {"GET", SUFFIX, "/models"},
                             {NULL, WHOLE, NULL}};
static const Rule GEMINI[] = {
    {"POST", SUFFIX, ":generateContent"}, {"POST", SUFFIX, ":streamGenerateContent"},
    {"POST", SUFFIX, ":countTokens"},     {"GET", WHOLE, "/v1beta/models"},
    {"GET", PREFIX, "/v1beta/models/"},   {NULL, WHOLE, NULL}};
static const Rule OLLAMA[] = {{"POST", WHOLE, "/api/chat"},
                              {"POST", WHOLE, "/api/generate"},
                              {"POST", WHOLE, "/v1/chat/completions"},
                              {"GET", WHOLE, "/api/tags"},
                              {"GET", WHOLE, "/v1/models"},
                              {NULL, WHOLE, NULL}};

static const Rule *rules_of(LlmProtocol protocol)
{
    switch (protocol) {
    case LLM_OPENAI:
    case LLM_OPENAI_RESPONSES: return OPENAI;
    case LLM_AZURE: return AZURE;
    case LLM_ANTHROPIC: return ANTHROPIC;
    case LLM_GEMINI: return GEMINI;
    case LLM_OLLAMA:
    case LLM_PROTOCOLS: break;
    }
    return OLLAMA;
}

static bool rule_fits(const Rule *rule, Slice method, Slice path)
{
    Slice text = slice_from_cstr(rule->path);
    if (!slice_eq_cstr(method, rule->method)) {
        return false;
    }
    switch (rule->match) {
    case WHOLE: return slice_eq(path, text);
    case PREFIX: return slice_starts_with(path, text);
    case SUFFIX: return slice_ends_with(path, text);
    }
    return false;
}

// Nothing that two readers of a path may take for two things: no dots that climb, no empty parts,
// no escapes, no bytes that a URL cannot hold.
static bool path_is_plain(Slice path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_./:@";
    for (size_t i = 0; i < path.len; i++) {
        if (!memchr(plain, path.ptr[i], sizeof plain - 1)) {
            return false;
        }
    }
    return slice_find(path, SLICE("..")) < 0 && slice_find(path, SLICE("//")) < 0;
}

// The engine was told 127.0.0.1; whoever writes another name wants a proxy to somewhere else.
static bool host_is_ours(Slice host)
{
    Slice name, port;
    (void)slice_cut(host, ':', &name, &port);
    return slice_eq(name, SLICE("127.0.0.1")) || slice_eq_nocase(name, SLICE("localhost"));
}

int broker_check(LlmProtocol protocol, Slice base_path, Slice method, Slice target, Slice host,
                 const char **ret_why)
{
    Slice path, query;
    (void)slice_cut(target, '?', &path, &query);
    *ret_why = NULL;
    if (target.len == 0 || target.ptr[0] != '/' || !host_is_ours(host)) {
        *ret_why = "only the configured provider can be reached from here, no other host";
        return 403;
    }
    if (!path_is_plain(path) || !slice_starts_with(path, base_path)) {
        *ret_why = "this path is not one of the provider's";
        return 403;
    }
    Slice rest = slice_sub(path, base_path.len, path.len);
    for (const Rule *rule = rules_of(protocol); rule->path; rule++) {
        if (rule_fits(rule, method, rest)) {
            return 0;
        }
    }
    *ret_why = "only models may be asked and listed through the broker";
    return 403;
}

Slice broker_path_model(Slice path)
{
    ptrdiff_t at = slice_find(path, SLICE("/models/"));
    if (at < 0) {
        return (Slice){0};
    }
    Slice model, verb;
    (void)slice_cut(slice_sub(path, (size_t)at + 8, path.len), ':', &model, &verb);
    return model;
}

// ---- bodies

static int64_t limit_at(const Doc *object, const char *name)
{
    const Doc *d =
        object && object->type == DOC_OBJECT ? doc_get(object, slice_from_cstr(name)) : NULL;
    return d && d->type == DOC_INT && d->integer > 0 ? d->integer : 0;
}

// Tools that the provider runs itself, with its own way to the web: named by `type` (Anthropic,
// OpenAI) or by the member that switches them on (Gemini).
static bool is_web_tool(const Doc *tool)
{
    static const char *const types[] = {"web_search",       "web_fetch",      "mcp",     "browser",
                                        "code_interpreter", "code_execution", "computer"};
    static const char *const members[] = {
        "google_search",           "googleSearch",          "url_context",    "urlContext",
        "google_search_retrieval", "googleSearchRetrieval", "code_execution", "codeExecution"};
    if (tool->type != DOC_OBJECT) {
        return false;
    }
    const Doc *type = doc_get(tool, SLICE("type"));
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (type && type->type == DOC_STRING &&
            slice_starts_with(type->text, slice_from_cstr(types[i]))) {
            return true;
        }
    }
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        if (doc_get(tool, slice_from_cstr(members[i]))) {
            return true;
        }
    }
    return false;
}

static bool wants_web(const Doc *body)
{
    static const char *const switches[] = {"mcp_servers", "web_search_options", "container"};
    for (size_t i = 0; i < COUNT_OF(switches); i++) {
        if (doc_get(body, slice_from_cstr(switches[i]))) {
            return true;
        }
    }
    const Doc *tools = doc_get(body, SLICE("tools"));
    for (const Doc *t = tools && tools->type == DOC_ARRAY ? doc_first(tools) : NULL; t;
         t = doc_next(t)) {
        if (is_web_tool(t)) {
            return true;
        }
    }
    return false;
}

int broker_read_ask(Arena *arena, Slice body, bool web, BrokerAsk *ret_ask, Err *e)
{
    static const char *const limits[] = {"max_tokens", "max_completion_tokens",
                                         "max_output_tokens"};
    const Doc *doc = NULL;
    DocOptions options = {
        .format = DOC_FORMAT_JSON, .source = "request", .max_bytes = BROKER_BODY_BYTES_MAX};
    int rc = doc_parse(arena, body, &options, &doc, e);
    if (rc == 0 && doc->type != DOC_OBJECT) {
        rc = err_set(e, ERR_PARSE, "request: not an object");
    }
    if (rc != 0) {
        return rc;
    }
    if (!web && wants_web(doc)) {
        return err_set(e, ERR_REFUSED,
                       "tools that reach the web from the provider's side are not "
                       "allowed here");
    }
    int64_t most = limit_at(doc_get(doc, SLICE("generationConfig")), "maxOutputTokens");
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        int64_t limit = limit_at(doc, limits[i]);
        most = limit > most ? limit : most;
    }
    const Doc *model = doc_get(doc, SLICE("model"));
    *ret_ask = (BrokerAsk){
        .model = model && model->type == DOC_STRING ? model->text : (Slice){0},
        .input_tokens = (int64_t)(body.len / BYTES_A_TOKEN) + 1,
        .output_max = most > 0 ? most : OUTPUT_TOKENS_DEFAULT,
    };
    return 0;
}

// ---- usage

typedef enum Count { INPUT, OUTPUT, CACHED, CACHE_WRITE, INPUT_EXCLUDING } Count;

static const struct {
    const char *name; // with its quotes
    Count count;
} NAMES[] = {
    {"\"prompt_tokens\"", INPUT},
    {"\"completion_tokens\"", OUTPUT},
    {"\"input_tokens\"", INPUT},
    {"\"output_tokens\"", OUTPUT},
    {"\"cached_tokens\"", CACHED},
    {"\"cache_read_input_tokens\"", INPUT_EXCLUDING},
    {"\"cache_creation_input_tokens\"", CACHE_WRITE},
    {"\"promptTokenCount\"", INPUT},
    {"\"candidatesTokenCount\"", OUTPUT},
    {"\"cachedContentTokenCount\"", CACHED},
    {"\"prompt_eval_count\"", INPUT},
    {"\"eval_count\"", OUTPUT},
};

static void take_count(BrokerUsage *u, Count count, int64_t value)
{
    int64_t *into = count == INPUT         ? &u->input
                    : count == OUTPUT      ? &u->output
                    : count == CACHE_WRITE ? &u->cache_write
                                           : &u->cached;
    u->known = u->known || count == INPUT || count == OUTPUT;
    u->input_excludes_cache = u->input_excludes_cache || count == INPUT_EXCLUDING;
    *into = value > *into ? value : *into;
}

// ": 123" behind a name. False where the bytes end before the number does: it will come again.
static bool read_count(Slice s, int64_t *ret_value)
{
    size_t i = 0;
    while (i < s.len && i < BLANKS_MAX && (s.ptr[i] == ' ' || s.ptr[i] == ':')) {
        i++;
    }
    size_t from = i;
    while (i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9') {
        i++;
    }
    if (i == from || i == s.len || i - from > DIGITS_MAX) {
        return false;
    }
    return slice_to_i64(slice_sub(s, from, i - from), ret_value) == 0;
}

static void scan(BrokerUsage *u, Slice bytes)
{
    for (size_t n = 0; n < COUNT_OF(NAMES); n++) {
        Slice name = slice_from_cstr(NAMES[n].name), left = bytes;
        for (ptrdiff_t at; (at = slice_find(left, name)) >= 0;) {
            int64_t value;
            Slice behind = slice_sub(left, (size_t)at + name.len, left.len);
            left = slice_sub(left, (size_t)at + 1, left.len); // names may share a quote
            if (read_count(behind, &value)) {
                take_count(u, NAMES[n].count, value);
            }
        }
    }
}

// The seam first, with as much on both sides as a name and its number may take, then the rest. What
// is seen twice counts once: the largest value is kept.
void broker_usage_push(BrokerUsage *u, Slice bytes)
{
    char seam[2 * sizeof u->tail];
    size_t head = bytes.len < sizeof u->tail ? bytes.len : sizeof u->tail;
    if (u->tail_len > 0) {
        memcpy(seam, u->tail, u->tail_len);
        memcpy(seam + u->tail_len, bytes.ptr, head);
        scan(u, (Slice){seam, u->tail_len + head});
    }
    scan(u, bytes);
    if (bytes.len >= sizeof u->tail) {
        memcpy(u->tail, bytes.ptr + bytes.len - sizeof u->tail, sizeof u->tail);
        u->tail_len = sizeof u->tail;
        return;
    }
    size_t keep =
        u->tail_len + bytes.len > sizeof u->tail ? sizeof u->tail - bytes.len : u->tail_len;
    memmove(u->tail, u->tail + u->tail_len - keep, keep);
    memcpy(u->tail + keep, bytes.ptr, bytes.len);
    u->tail_len = keep + bytes.len;
}
