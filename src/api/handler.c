// What a handler in C calls: events, answers, other agents, state, results.
#include "api/api.h"

#include <stdarg.h>

// ---- events

const char *pw_event_data(const PwEvent *event, size_t *ret_length)
{
    Slice data = event_data(event_of(event));
    if (ret_length) {
        *ret_length = data.len;
    }
    return data.ptr;
}

const char *pw_event_type(const PwEvent *event)
{
    return event_of(event)->type;
}

const char *pw_event_session(const PwEvent *event)
{
    return event_of(event)->session;
}

uint64_t pw_event_id(const PwEvent *event)
{
    return event_of(event)->id;
}

// ---- the run

int64_t pw_now_ns(const PwContext *ctx)
{
    return agent_now(context_of(ctx));
}

int64_t pw_deadline_ns(const PwContext *ctx)
{
    return agent_deadline(context_of(ctx));
}

int pw_is_cancelled(const PwContext *ctx)
{
    return agent_is_cancelled(context_of(ctx));
}

unsigned pw_attempt(const PwContext *ctx)
{
    return agent_attempt(context_of(ctx));
}

int pw_reply(PwContext *ctx, const void *data, size_t length)
{
    return agent_reply(context_of(ctx), (Slice){data, length});
}

int pw_stream(PwContext *ctx, const void *data, size_t length)
{
    return agent_stream(context_of(ctx), (Slice){data, length});
}

int pw_fail(PwContext *ctx, int code, const char *format, ...)
{
    char words[128];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    return agent_fail(context_of(ctx), (ErrCode)(code < 0 ? code : ERR_ARG), "%s", words);
}

int pw_emit(PwContext *ctx, const PwEventOptions *event, PwError *error)
{
    EventSpec spec;
    Err e = {0};
    int rc = api_event_spec(event, &spec, error);
    if (rc != 0) {
        return rc;
    }
    rc = agent_emit(context_of(ctx), &spec, &e);
    return rc ? api_error(error, &e, rc) : 0;
}

int pw_call(PwContext *ctx, const PwEventOptions *event, const PwState *state,
            PwResult **ret_result, PwError *error)
{
    EventSpec spec;
    Err e = {0};
    AgentResult result = {0};
    int rc = api_event_spec(event, &spec, error);
    if (rc != 0) {
        return rc;
    }
    AgentCallOptions options = {.state = const_state_of(state)};
    rc = agent_call(context_of(ctx), &spec, &options, &result, &e);
    if (ret_result) {
        *ret_result = api_result_take(&result);
    } else {
        agent_result_done(&result);
    }
    return rc ? api_error(error, &e, rc) : 0;
}

int pw_sleep(PwContext *ctx, int64_t duration_ns)
{
    return agent_sleep(context_of(ctx), duration_ns);
}

// ---- results

PwResult *api_result_take(AgentResult *result)
{
    PwResult *r = mem_zalloc(sizeof *r);
    r->data = mem_alloc(result->data.len + 1);
    if (result->data.len > 0) {
        memcpy(r->data, result->data.ptr, result->data.len);
    }
    r->data[result->data.len] = '\0';
    // The data may lie inside the struct itself, so only what does not move is kept.
    r->result.code = result->code;
    memcpy(r->result.reason, result->reason, sizeof r->result.reason);
    r->result.data = (Slice){r->data, result->data.len};
    r->result.state = result->state;
    result->state = state_create();
    agent_result_done(result);
    return r;
}

int pw_result_code(const PwResult *result)
{
    return result->result.code;
}

const char *pw_result_reason(const PwResult *result)
{
    return result->result.reason;
}

const char *pw_result_data(const PwResult *result, size_t *ret_length)
{
    if (ret_length) {
        *ret_length = result->result.data.len;
    }
    return result->data;
}

const PwState *pw_result_state(const PwResult *result)
{
    return (const PwState *)(const void *)&result->result.state;
}

void pw_result_destroy(PwResult *result)
{
    if (result) {
        state_done(&result->result.state);
        free(result->data);
        free(result);
    }
}

// ---- state

int64_t pw_state_get_int(const PwState *state, const char *key, int64_t fallback)
{
    return state_get_int(const_state_of(state), slice_from_cstr(key), fallback);
}

double pw_state_get_double(const PwState *state, const char *key, double fallback)
{
    return state_get_double(const_state_of(state), slice_from_cstr(key), fallback);
}

int pw_state_get_bool(const PwState *state, const char *key, int fallback)
{
    return state_get_bool(const_state_of(state), slice_from_cstr(key), fallback != 0);
}

ptrdiff_t pw_state_get_text(const PwState *state, const char *key, char *out, size_t capacity)
{
    StateValue value;
    ptrdiff_t length = -1;
    if (!state_get(const_state_of(state), slice_from_cstr(key), &value)) {
        return length;
    }
    if (value.type == STATE_STRING || value.type == STATE_JSON) {
        length = (ptrdiff_t)value.text.len;
        if (capacity > 0) {
            size_t n = value.text.len < capacity - 1 ? value.text.len : capacity - 1;
            memcpy(out, value.text.ptr, n);
            out[n] = '\0';
        }
    }
    state_value_done(&value);
    return length;
}

int pw_state_set_int(PwState *state, const char *key, int64_t value)
{
    return state_set_int(state_of(state), slice_from_cstr(key), value);
}

int pw_state_set_double(PwState *state, const char *key, double value)
{
    return state_set_double(state_of(state), slice_from_cstr(key), value);
}

int pw_state_set_bool(PwState *state, const char *key, int value)
{
    return state_set_bool(state_of(state), slice_from_cstr(key), value != 0);
}

int pw_state_set_text(PwState *state, const char *key, const char *text, size_t length)
{
    return state_set_string(state_of(state), slice_from_cstr(key), (Slice){text, length});
}

int pw_state_remove(PwState *state, const char *key)
{
    return state_remove(state_of(state), slice_from_cstr(key));
}

size_t pw_state_count(const PwState *state)
{
    return state_count(const_state_of(state));
}
