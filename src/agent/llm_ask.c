// One request to a model as a handler words it, in JSON: what ctx.llm of JavaScript agents does.
#include "agent/llm_agent.h"

#include "agent/llm_impl.h"
#include "base/json_write.h"

enum { MESSAGES_MAX = 1000 };

typedef struct Ask {
    Slice llm, role, prompt, words, kind;
    int64_t max_tokens;
    double temperature; // below 0: the provider's own
    const Doc *messages;
} Ask;

static int read_text(const Doc *root, const char *key, Slice *ret_text, Err *e)
{
    const Doc *d = doc_get(root, slice_from_cstr(key));
    int rc = d ? doc_expect(d, DOC_STRING, key, e) : 0;
    if (rc == 0 && d) {
        *ret_text = d->text;
    }
    return rc;
}

static int read_numbers(const Doc *root, Ask *ask, Err *e)
{
    const Doc *d = doc_get(root, SLICE("max_tokens"));
    if (d && (d->type != DOC_INT || d->integer < 1)) {
        return doc_err(e, d, "max_tokens must be a whole number from 1");
    }
    ask->max_tokens = d ? d->integer : 0;
    d = doc_get(root, SLICE("temperature"));
    if (d && (!doc_is_number(d) || doc_number(d) < 0 || doc_number(d) > 2)) {
        return doc_err(e, d, "temperature must be a number from 0 to 2");
    }
    ask->temperature = d ? doc_number(d) : -1;
    return 0;
}

static int read_ask(const Doc *root, Ask *ask, Err *e)
{
    static const Slice names[] = {
        SLICE_INIT("llm"),        SLICE_INIT("role"),        SLICE_INIT("prompt"),
        SLICE_INIT("system"),     SLICE_INIT("kind"),        SLICE_INIT("messages"),
        SLICE_INIT("max_tokens"), SLICE_INIT("temperature"),
    };
    int rc = doc_expect(root, DOC_OBJECT, "a request to a model", e);
    if (rc != 0 || (rc = doc_expect_fields(root, names, COUNT_OF(names), e)) != 0 ||
        (rc = read_text(root, "llm", &ask->llm, e)) != 0 ||
        (rc = read_text(root, "role", &ask->role, e)) != 0 ||
        (rc = read_text(root, "prompt", &ask->prompt, e)) != 0 ||
        (rc = read_text(root, "system", &ask->words, e)) != 0 ||
        (rc = read_text(root, "kind", &ask->kind, e)) != 0 ||
        (rc = read_numbers(root, ask, e)) != 0) {
        return rc;
    }
    ask->messages = doc_get(root, SLICE("messages"));
    if ((ask->messages != NULL) == (doc_get(root, SLICE("prompt")) != NULL)) {
        return doc_err(e, root, "a request has one of prompt and messages");
    }
    if (ask->messages && doc_count(ask->messages) > MESSAGES_MAX) {
        return doc_err(e, ask->messages, "more than %d messages", MESSAGES_MAX);
    }
    return ask->messages ? doc_expect(ask->messages, DOC_ARRAY, "messages", e) : 0;
}

static int read_message(Arena *arena, const Doc *d, LlmMessage *ret_message, Err *e)
{
    static const struct {
        const char *name;
        LlmRole role;
    } ROLES[] = {{"system", LLM_SYSTEM}, {"user", LLM_USER}, {"assistant", LLM_ASSISTANT}};
    Slice role = {0}, content = {0};
    int rc = doc_expect(d, DOC_OBJECT, "a message", e);
    if (rc != 0 || (rc = read_text(d, "role", &role, e)) != 0 ||
        (rc = read_text(d, "content", &content, e)) != 0) {
        return rc;
    }
    LlmPart *part = ARENA_NEW(arena, LlmPart);
    *part = llm_text(content);
    for (size_t i = 0; i < COUNT_OF(ROLES); i++) {
        if (slice_eq_cstr(role, ROLES[i].name)) {
            *ret_message = (LlmMessage){ROLES[i].role, part, 1};
            return 0;
        }
    }
    return doc_err(e, d, "a message's role is system, user or assistant");
}

// The system's words first, as the protocols want them.
static int build_messages(Arena *arena, const Ask *ask, LlmMessage **ret_messages,
                          size_t *ret_count, Err *e)
{
    size_t count = 0;
    LlmMessage *messages = ARENA_ARRAY(arena, LlmMessage, doc_count(ask->messages) + 2);
    LlmPart *parts = ARENA_ARRAY(arena, LlmPart, 2);
    if (ask->words.len > 0) {
        parts[0] = llm_text(ask->words);
        messages[count++] = (LlmMessage){LLM_SYSTEM, &parts[0], 1};
    }
    if (!ask->messages) {
        parts[1] = llm_text(ask->prompt);
        messages[count++] = (LlmMessage){LLM_USER, &parts[1], 1};
    }
    int rc = 0;
    for (const Doc *m = doc_first(ask->messages); m && rc == 0; m = doc_next(m)) {
        rc = read_message(arena, m, &messages[count++], e);
    }
    *ret_messages = messages;
    *ret_count = count;
    return rc;
}

static void write_answer(const LlmResponse *response, Buf *answer)
{
    JsonWriter w = json_writer(answer, 0);
    json_object_begin(&w);
    json_field_string(&w, "text", response->text);
    json_field_string(&w, "model", response->model);
    json_field_cstr(&w, "finish", llm_finish_name(response->finish));
    json_field_int(&w, "input_tokens", response->usage.input_tokens);
    json_field_int(&w, "output_tokens", response->usage.output_tokens);
    json_object_end(&w);
}

static int send(LlmHost *host, AgentContext *ctx, const Ask *ask, const LlmMessage *messages,
                size_t count, Buf *answer, Err *e)
{
    char parent[TRACEPARENT_BYTES + 1];
    Slice provider = {0}, model = {0};
    LlmClient *client = NULL;
    int rc = llm_host_client(host, ctx, &client, e);
    if (rc != 0) {
        return rc;
    }
    (void)slice_cut(ask->llm, '/', &provider, &model);
    LlmRequest request = {
        .role = ask->role,
        .provider = provider,
        .model = model,
        .messages = messages,
        .message_count = count,
        .max_output_tokens = ask->max_tokens,
        .has_temperature = ask->temperature >= 0,
        .temperature = ask->temperature,
        .kind = slice_eq(ask->kind, SLICE("factual"))    ? LLM_FACTUAL
                : slice_eq(ask->kind, SLICE("creative")) ? LLM_CREATIVE
                                                         : LLM_OTHER,
        .deadline_ns = agent_deadline(ctx) == NEVER_NS ? 0 : agent_deadline(ctx),
        .agent = agent_name(ctx),
        .session = event_session(agent_event(ctx)),
        .traceparent = llm_host_parent(host, ctx, parent),
    };
    LlmBudgets *budgets = llm_host_budgets(host);
    LlmSession *session = NULL;
    rc = llm_budgets_take(budgets, request.session, agent_now(ctx), &session, e);
    if (rc != 0) {
        return rc;
    }
    request.budgets[0] = llm_budgets_agent(budgets, request.agent);
    request.budgets[1] = llm_session_budget(session);
    request.budgets[2] = llm_host_budget(host);
    LlmResponse response = {0};
    rc = llm_chat(client, &request, &response, e);
    llm_budgets_give(budgets, session, agent_now(ctx));
    if (rc == 0) {
        write_answer(&response, answer);
        rc = buf_check(answer, "the model's answer", e);
    }
    llm_response_done(&response);
    return rc;
}

int llm_host_ask(LlmHost *host, AgentContext *ctx, Slice request, Buf *answer, Err *e)
{
    Arena *arena = arena_create(64 << 20);
    const Doc *root = NULL;
    Ask ask = {0};
    LlmMessage *messages = NULL;
    size_t count = 0;
    DocOptions options = {.format = DOC_FORMAT_JSON, .source = "request"};
    int rc = doc_parse(arena, request, &options, &root, e);
    if (rc == 0 && (rc = read_ask(root, &ask, e)) == 0 &&
        (rc = build_messages(arena, &ask, &messages, &count, e)) == 0) {
        rc = send(host, ctx, &ask, messages, count, answer, e);
    }
    arena_destroy(arena);
    return rc;
}
