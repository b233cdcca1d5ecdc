// What a model and its user said in earlier events of a session, kept in the session's state as
// "llm_history.AGENT": [{"role": "user", "text": ...}, {"role": "assistant", "text": ...}, ...].
// Tool calls are not kept: they were means to the answer, and a provider refuses half of one.
#include "agent/llm_impl.h"

#include "base/json_write.h"

static Slice key_of(Arena *arena, Slice agent)
{
    return arena_printf(arena, "llm_history.%.*s", SLICE_FMT(agent));
}

static int read_message(Arena *arena, const Doc *doc, LlmMessage *ret_message, Err *e)
{
    const Doc *role = doc_get(doc, SLICE("role")), *text = doc_get(doc, SLICE("text"));
    bool user = role && role->type == DOC_STRING && slice_eq(role->text, SLICE("user"));
    bool model = role && role->type == DOC_STRING && slice_eq(role->text, SLICE("assistant"));
    if (!(user || model) || !text || text->type != DOC_STRING) {
        return err_set(e, ERR_PARSE, "the session's llm_history is not a list of messages");
    }
    LlmPart *part = ARENA_NEW(arena, LlmPart);
    *part = llm_text(text->text);
    *ret_message = (LlmMessage){user ? LLM_USER : LLM_ASSISTANT, part, 1};
    return 0;
}

int llm_history_load(Arena *arena, const State *state, Slice agent, size_t max,
                     LlmMessage *messages, size_t *ret_count, Err *e)
{
    StateValue value;
    *ret_count = 0;
    if (!state_get(state, key_of(arena, agent), &value)) {
        return 0;
    }
    const Doc *list = NULL;
    DocOptions options = {.format = DOC_FORMAT_JSON, .source = "llm_history"};
    Slice text = value.type == STATE_JSON ? arena_copy(arena, value.text) : SLICE("null");
    state_value_done(&value);
    int rc = doc_parse(arena, text, &options, &list, e);
    rc = rc == 0 ? doc_expect(list, DOC_ARRAY, "the session's llm_history", e) : rc;
    size_t count = rc == 0 ? doc_count(list) : 0, i = 0;
    for (const Doc *m = rc == 0 ? doc_first(list) : NULL; m && rc == 0; m = doc_next(m), i++) {
        // More than asked for, when the agent was given a smaller `history` since.
        LlmMessage message = {.role = LLM_ASSISTANT};
        rc = i + max >= count ? read_message(arena, m, &message, e) : 0;
        if (rc == 0 && (*ret_count > 0 || message.role == LLM_USER)) {
            messages[(*ret_count)++] = message;
        }
    }
    return rc;
}

// The first of the messages from which on no more than `max` of them and LLM_HISTORY_BYTES_MAX of
// text are left, and which is the user's.
static size_t first_kept(const LlmMessage *messages, size_t count, size_t max)
{
    size_t bytes = 0, first = count;
    for (size_t i = count; i-- > 0 && count - i <= max;) {
        bytes += messages[i].parts[0].text.len;
        if (bytes > LLM_HISTORY_BYTES_MAX) {
            break;
        }
        first = messages[i].role == LLM_USER ? i : first;
    }
    return first;
}

int llm_history_save(Arena *arena, State *state, Slice agent, size_t max, const LlmMessage *old,
                     size_t old_count, Slice user, Slice answer)
{
    LlmPart said[2] = {llm_text(user), llm_text(answer)};
    LlmMessage *all = ARENA_ARRAY(arena, LlmMessage, old_count + 2);
    if (old_count > 0) {
        memcpy(all, old, old_count * sizeof *old);
    }
    all[old_count] = (LlmMessage){LLM_USER, &said[0], 1};
    all[old_count + 1] = (LlmMessage){LLM_ASSISTANT, &said[1], 1};
    // A byte becomes six at most, as \u00XX, and each message has some words around its text.
    Buf out = buf_create((size_t)LLM_HISTORY_BYTES_MAX * 6 + LLM_HISTORY_MAX * 64);
    JsonWriter w = json_writer(&out, 0);
    json_array_begin(&w);
    for (size_t i = first_kept(all, old_count + 2, max); i < old_count + 2; i++) {
        json_object_begin(&w);
        json_field_cstr(&w, "role", all[i].role == LLM_USER ? "user" : "assistant");
        json_field_string(&w, "text", all[i].parts[0].text);
        json_object_end(&w);
    }
    json_array_end(&w);
    int rc = buf_check(&out, "the session's llm_history", NULL);
    rc = rc == 0 ? state_set_json(state, key_of(arena, agent), buf_slice(&out)) : rc;
    buf_done(&out);
    return rc;
}
