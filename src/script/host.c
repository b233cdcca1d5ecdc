#include "script/engine.h"

#include <math.h>

// Calls from scripts into C.

void *script_host(const ScriptCall *call)
{
    return call->script->host;
}

Script *script_of(const ScriptCall *call)
{
    return call->script;
}

int64_t script_deadline_ns(const ScriptCall *call)
{
    return call->script->deadline_ns;
}

Loop *script_loop(const ScriptCall *call)
{
    return call->script->options.loop;
}

// ---- the way in and out

static void release_held(ScriptCall *call)
{
    for (int i = 0; i < call->held_count; i++) {
        JS_FreeCString(call->ctx, call->held[i]);
    }
}

static JSValue finish(ScriptCall *call, int rc, const Err *e)
{
    Script *s = call->script;
    release_held(call);
    if (rc == ERR_CANCELLED) {
        script_kill(s, ERR_CANCELLED, "the script was cancelled");
    }
    bool killed = script_poll(s) != 0;
    if (rc == 0 && !killed) {
        if (call->threw) {
            script_drop_exception(call->ctx); // the function knew what to do without the argument
        }
        return call->result;
    }
    JS_FreeValue(call->ctx, call->result);
    if (killed) {
        return script_throw_killed(s);
    }
    return call->threw ? JS_EXCEPTION : script_throw_error(s, rc, e->text);
}

static JSValue enter(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv,
                     int number)
{
    (void)this_value;
    Script *s = JS_GetContextOpaque(ctx);
    if (script_poll(s) != 0) {
        return script_throw_killed(s);
    }
    ScriptCall call = {.script = s, .ctx = ctx, .argc = argc, .argv = argv, .result = JS_UNDEFINED};
    Err e;
    e.text[0] = '\0';
    script_clock_stop(s);
    int rc = s->program->functions[number]->fn(&call, &e);
    script_clock_start(s);
    return finish(&call, rc, &e);
}

static bool define_function(Script *s, JSValue object, size_t number)
{
    const ScriptFunction *f = s->program->functions[number];
    JSValue function =
        JS_NewCFunctionMagic(s->ctx, enter, f->name, f->arity, JS_CFUNC_generic_magic, (int)number);
    return !JS_IsException(function) &&
           JS_DefinePropertyValueStr(s->ctx, object, f->name, function, JS_PROP_C_W_E) >= 0;
}

static bool define_functions(Script *s, JSValue object, size_t index)
{
    for (size_t i = 0; i < s->program->modules[index]->function_count; i++) {
        if (!define_function(s, object, s->program->first_function[index] + i)) {
            return false;
        }
    }
    return true;
}

JSValue script_module_object(Script *s, size_t index)
{
    JSValue object = JS_NewObject(s->ctx);
    if (!JS_IsException(object) && !define_functions(s, object, index)) {
        JS_FreeValue(s->ctx, object);
        return JS_EXCEPTION;
    }
    return object;
}

JSValue script_object_of(Script *s, const ScriptModule *module)
{
    for (size_t i = 0; i < s->program->module_count; i++) {
        if (s->program->modules[i] != module) {
            continue;
        }
        if (JS_IsUndefined(s->objects[i])) {
            JSValue made = script_module_object(s, i);
            if (JS_IsException(made)) {
                return made;
            }
            s->objects[i] = made;
        }
        return JS_DupValue(s->ctx, s->objects[i]);
    }
    die("module \"%s\" is not one of the program's", module->name);
}

int script_install_globals(Script *s)
{
    JSValue global = JS_GetGlobalObject(s->ctx);
    bool ok = true;
    for (size_t i = 0; i < s->program->module_count && ok; i++) {
        const ScriptModule *module = s->program->modules[i];
        if (module->kind == SCRIPT_GLOBALS) {
            ok = define_functions(s, global, i);
        } else if (module->kind == SCRIPT_GLOBAL_OBJECT) {
            JSValue object = script_module_object(s, i);
            ok = !JS_IsException(object) &&
                 JS_DefinePropertyValueStr(s->ctx, global, module->name, object,
                                           JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE) >= 0;
        }
    }
    JS_FreeValue(s->ctx, global);
    return ok ? 0 : ERR_LIMIT;
}

// ---- arguments

static JSValueConst arg(const ScriptCall *call, size_t index)
{
    return index < (size_t)call->argc ? call->argv[index] : JS_UNDEFINED;
}

// The script's own exception (of a toString, a getter, a proxy) goes on as it is.
static int threw(ScriptCall *call, Err *e)
{
    call->threw = true;
    return err_set(e, ERR_SCRIPT, "an argument threw");
}

static int wrong_type(const ScriptCall *call, size_t index, const char *name, const char *wanted,
                      Err *e)
{
    JSValueConst value = arg(call, index);
    const char *is = JS_IsUndefined(value)              ? "missing"
                     : JS_IsNull(value)                 ? "null"
                     : JS_IsString(value)               ? "a string"
                     : JS_IsNumber(value)               ? "a number"
                     : JS_IsBool(value)                 ? "a boolean"
                     : JS_IsFunction(call->ctx, value)  ? "a function"
                     : JS_IsArray(call->ctx, value) > 0 ? "an array"
                                                        : "an object";
    return err_set(e, ERR_ARG, "%s must be %s and is %s", name, wanted, is);
}

size_t script_arg_count(const ScriptCall *call)
{
    return (size_t)call->argc;
}

bool script_arg_is_given(const ScriptCall *call, size_t index)
{
    return !JS_IsUndefined(arg(call, index)) && !JS_IsNull(arg(call, index));
}

bool script_arg_is_null(const ScriptCall *call, size_t index)
{
    return JS_IsNull(arg(call, index));
}

bool script_arg_is_string(const ScriptCall *call, size_t index)
{
    return JS_IsString(arg(call, index));
}

bool script_arg_is_object(const ScriptCall *call, size_t index)
{
    return JS_IsObject(arg(call, index));
}

// Text that the engine holds for us until the call returns. What is no UTF-8 is made anew.
static int hold_text(ScriptCall *call, JSValueConst value, Slice *ret, Err *e)
{
    if (call->held_count == SCRIPT_ARGS_MAX) {
        return err_set(e, ERR_LIMIT, "more than %d texts in one call", SCRIPT_ARGS_MAX);
    }
    size_t len;
    const char *text = JS_ToCStringLen(call->ctx, &len, value);
    if (!text) {
        return threw(call, e);
    }
    if (memchr(text, 0xED, len)) {
        JS_FreeCString(call->ctx, text);
        Buf clean = buf_create(SIZE_MAX / 2);
        bool ok = script_append_text(call->ctx, value, &clean);
        JSValue again = ok ? JS_NewStringLen(call->ctx, clean.data, clean.len) : JS_EXCEPTION;
        buf_done(&clean);
        text = JS_IsException(again) ? NULL : JS_ToCStringLen(call->ctx, &len, again);
        JS_FreeValue(call->ctx, again);
        if (!text) {
            return threw(call, e);
        }
    }
    call->held[call->held_count++] = text;
    *ret = (Slice){text, len};
    return 0;
}

int script_arg_to_string(ScriptCall *call, size_t index, const char *name, Slice *ret, Err *e)
{
    if (!JS_IsString(arg(call, index))) {
        return wrong_type(call, index, name, "a string", e);
    }
    return hold_text(call, arg(call, index), ret, e);
}

int script_arg_to_number(ScriptCall *call, size_t index, const char *name, double *ret, Err *e)
{
    if (!JS_IsNumber(arg(call, index))) {
        return wrong_type(call, index, name, "a number", e);
    }
    (void)JS_ToFloat64(call->ctx, ret, arg(call, index));
    return 0;
}

int script_arg_to_int(ScriptCall *call, size_t index, const char *name, int64_t *ret, Err *e)
{
    double number = 0;
    int rc = script_arg_to_number(call, index, name, &number, e);
    if (rc != 0) {
        return rc;
    }
    if (!(fabs(number) <= 9007199254740992.0) || number != floor(number)) {
        return err_set(e, ERR_ARG, "%s must be a whole number and is %g", name, number);
    }
    *ret = (int64_t)number;
    return 0;
}

int script_arg_to_bool(ScriptCall *call, size_t index, const char *name, bool *ret, Err *e)
{
    if (!JS_IsBool(arg(call, index))) {
        return wrong_type(call, index, name, "true or false", e);
    }
    *ret = JS_ToBool(call->ctx, arg(call, index)) > 0;
    return 0;
}

int script_arg_to_bytes(ScriptCall *call, size_t index, const char *name, Slice *ret, Err *e)
{
    JSValueConst value = arg(call, index);
    if (JS_IsString(value)) {
        return hold_text(call, value, ret, e);
    }
    if (!JS_IsObject(value)) {
        return wrong_type(call, index, name, "a string or an ArrayBuffer", e);
    }
    size_t offset = 0, len = 0, unit, all = 0;
    JSValue buffer = JS_GetTypedArrayBuffer(call->ctx, value, &offset, &len, &unit);
    bool view = !JS_IsException(buffer);
    if (!view) {
        script_drop_exception(call->ctx);
    }
    const uint8_t *data = JS_GetArrayBuffer(call->ctx, &all, view ? buffer : value);
    if (view) {
        JS_FreeValue(call->ctx, buffer); // the argument keeps it alive
    }
    if (!data && JS_HasException(call->ctx)) {
        script_drop_exception(call->ctx);
        return wrong_type(call, index, name, "a string or an ArrayBuffer", e);
    }
    *ret = view ? slice_sub((Slice){(const char *)data, all}, offset, len)
                : (Slice){(const char *)data, all};
    return 0;
}

// The engine works in here, and a toJSON of the script may run for as long as it likes.
static int append_json(ScriptCall *call, JSValueConst value, Buf *out, bool *ret_any)
{
    script_clock_start(call->script);
    int rc = script_append_json(call->ctx, value, out, ret_any);
    script_clock_stop(call->script);
    return rc;
}

int script_arg_to_text(ScriptCall *call, size_t index, Buf *out, Err *e)
{
    JSValueConst value = arg(call, index);
    bool any = false;
    if (JS_IsError(call->ctx, value) || !JS_IsObject(value) || JS_IsFunction(call->ctx, value)) {
        return script_append_text(call->ctx, value, out) ? 0 : threw(call, e);
    }
    return append_json(call, value, out, &any) == 0 ? 0 : threw(call, e);
}

int script_arg_to_json(ScriptCall *call, size_t index, const char *name, Buf *out, Err *e)
{
    bool any = false;
    if (append_json(call, arg(call, index), out, &any) != 0) {
        return threw(call, e);
    }
    if (!any) {
        buf_puts(out, "null");
    }
    return buf_check(out, name, e);
}

int script_arg_to_doc(ScriptCall *call, size_t index, const char *name, Arena *arena,
                      const Doc **ret, Err *e)
{
    Buf json = buf_create(DOC_BYTES_MAX);
    int rc = script_arg_to_json(call, index, name, &json, e);
    if (rc == 0) {
        rc = doc_parse(arena, buf_slice(&json),
                       &(DocOptions){.format = DOC_FORMAT_JSON, .source = name}, ret, e);
    }
    buf_done(&json);
    return rc;
}

int script_arg_member_json(ScriptCall *call, size_t index, const char *member, Buf *out, Err *e)
{
    if (!JS_IsObject(arg(call, index))) {
        return wrong_type(call, index, "the argument", "an object", e);
    }
    bool any = false;
    JSValue value = JS_GetPropertyStr(call->ctx, arg(call, index), member);
    int rc = JS_IsException(value) ? -1 : append_json(call, value, out, &any);
    JS_FreeValue(call->ctx, value);
    return rc != 0 ? threw(call, e) : buf_check(out, member, e);
}

// ---- results

static void set_result(ScriptCall *call, JSValue value)
{
    JS_FreeValue(call->ctx, call->result);
    call->result = value; // an exception value goes on as one
}

void script_return_string(ScriptCall *call, Slice text)
{
    set_result(call, JS_NewStringLen(call->ctx, text.len ? text.ptr : "", text.len));
}

void script_return_number(ScriptCall *call, double number)
{
    set_result(call, JS_NewFloat64(call->ctx, number));
}

void script_return_bool(ScriptCall *call, bool value)
{
    set_result(call, JS_NewBool(call->ctx, value));
}

void script_return_null(ScriptCall *call)
{
    set_result(call, JS_NULL);
}

void script_return_bytes(ScriptCall *call, Slice bytes)
{
    const uint8_t *data = (const uint8_t *)(bytes.len ? bytes.ptr : "");
    set_result(call, JS_NewArrayBufferCopy(call->ctx, data, bytes.len));
}

int script_return_json(ScriptCall *call, Slice json, Err *e)
{
    JSValue value = script_value_of_json(call->script, json);
    if (JS_IsException(value)) {
        return threw(call, e);
    }
    set_result(call, value);
    return 0;
}

int script_return_doc(ScriptCall *call, const Doc *doc, Err *e)
{
    JSValue value = script_value_of_doc(call->script, doc);
    if (JS_IsException(value)) {
        return threw(call, e);
    }
    set_result(call, value);
    return 0;
}
