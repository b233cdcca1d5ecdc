#include "agent/js_context.h"

#include <math.h>

// `state` in a JavaScript agent: the keys that it asks for are converted, the others are not.

static State *state_of(ScriptCall *call)
{
    const JsRun *run = script_host(call);
    return run->state;
}

static int key_arg(ScriptCall *call, Slice *ret_key, Err *e)
{
    return script_arg_to_string(call, 0, "the key", ret_key, e);
}

static int return_value(ScriptCall *call, const StateValue *value, Err *e)
{
    switch (value->type) {
    case STATE_NULL: script_return_null(call); return 0;
    case STATE_BOOL: script_return_bool(call, value->boolean); return 0;
    case STATE_INT: script_return_number(call, (double)value->integer); return 0;
    case STATE_DOUBLE: script_return_number(call, value->real); return 0;
    case STATE_STRING: script_return_string(call, value->text); return 0;
    case STATE_JSON: return script_return_json(call, value->text, e);
    }
    return 0;
}

static int state_get_value(ScriptCall *call, Err *e)
{
    Slice key;
    StateValue value;
    int rc = key_arg(call, &key, e);
    if (rc == 0 && state_get(state_of(call), key, &value)) {
        rc = return_value(call, &value, e);
        state_value_done(&value);
    }
    return rc;
}

static int set_number(State *state, Slice key, double number, Err *e)
{
    if (!isfinite(number)) {
        return err_set(e, ERR_ARG, "state cannot hold %g", number);
    }
    bool whole = fabs(number) <= 9007199254740992.0 && number == floor(number);
    return whole ? state_set_int(state, key, (int64_t)number)
                 : state_set_double(state, key, number);
}

static int set_json(ScriptCall *call, State *state, Slice key, Err *e)
{
    Buf json = buf_create(STATE_VALUE_MAX);
    int rc = script_arg_to_json(call, 1, "the value", &json, e);
    if (rc == 0) {
        rc = state_set_json(state, key, buf_slice(&json));
    }
    buf_done(&json);
    return rc;
}

static int set_value(ScriptCall *call, State *state, Slice key, Err *e)
{
    bool boolean;
    double number;
    Slice text;
    if (script_arg_is_null(call, 1)) {
        return state_set(state, key, &(StateValue){.type = STATE_NULL});
    }
    if (!script_arg_is_given(call, 1)) {
        return state_remove(state, key);
    }
    if (script_arg_is_object(call, 1)) {
        return set_json(call, state, key, e);
    }
    if (script_arg_is_string(call, 1)) {
        int rc = script_arg_to_string(call, 1, "the value", &text, e);
        return rc != 0 ? rc : state_set_string(state, key, text);
    }
    if (script_arg_to_bool(call, 1, "the value", &boolean, NULL) == 0) {
        return state_set_bool(state, key, boolean);
    }
    int rc = script_arg_to_number(call, 1, "the value", &number, e);
    return rc != 0 ? rc : set_number(state, key, number, e);
}

static int state_set_any(ScriptCall *call, Err *e)
{
    Slice key;
    int rc = key_arg(call, &key, e);
    if (rc != 0) {
        return rc;
    }
    Err own = {0};
    rc = set_value(call, state_of(call), key, &own);
    if (rc == 0) {
        return 0;
    }
    const char *why =
        rc == ERR_REFUSED ? "the state is read-only here" : "the key or the value is too large";
    return own.code != 0 ? err_set(e, (ErrCode)rc, "%s", own.text)
                         : err_set(e, (ErrCode)rc, "%s: state.set(\"%.*s\")", why,
                                   SLICE_FMT(slice_sub(key, 0, 80)));
}

static int state_has_key(ScriptCall *call, Err *e)
{
    Slice key;
    int rc = key_arg(call, &key, e);
    if (rc == 0) {
        script_return_bool(call, state_has(state_of(call), key));
    }
    return rc;
}

static int state_delete(ScriptCall *call, Err *e)
{
    Slice key;
    int rc = key_arg(call, &key, e);
    if (rc != 0) {
        return rc;
    }
    bool had = state_has(state_of(call), key);
    rc = had ? state_remove(state_of(call), key) : 0;
    script_return_bool(call, had);
    return rc == 0 ? 0 : err_set(e, (ErrCode)rc, "the state is read-only here");
}

static bool write_key(void *arg, Slice key, const StateValue *value)
{
    (void)value;
    json_string(arg, key);
    return true;
}

static int state_keys(ScriptCall *call, Err *e)
{
    Buf json = buf_create((size_t)STATE_ITEMS_MAX * 64);
    JsonWriter w = json_writer(&json, 0);
    json_array_begin(&w);
    state_each(state_of(call), write_key, &w);
    json_array_end(&w);
    int rc = buf_check(&json, "the list of keys", e);
    if (rc == 0) {
        rc = script_return_json(call, buf_slice(&json), e);
    }
    buf_done(&json);
    return rc;
}

static int state_to_json(ScriptCall *call, Err *e)
{
    Buf json = buf_create(STATE_VALUE_MAX);
    JsonWriter w = json_writer(&json, 0);
    state_write_json(state_of(call), &w);
    int rc = buf_check(&json, "the state", e);
    if (rc == 0) {
        rc = script_return_json(call, buf_slice(&json), e);
    }
    buf_done(&json);
    return rc;
}

static const ScriptFunction functions[] = {
    {"get", 1, state_get_value}, {"set", 2, state_set_any}, {"has", 1, state_has_key},
    {"delete", 1, state_delete}, {"keys", 0, state_keys},   {"toJSON", 0, state_to_json},
};
const ScriptModule js_state_module = {SCRIPT_OBJECT, "state", functions, COUNT_OF(functions)};
