#include "script/engine.h"

// Exceptions become Err, and Err becomes exceptions.

enum {
    NAME_MAX_BYTES = 128,
    MESSAGE_MAX_BYTES = 8 << 10,
    STACK_MAX_BYTES = 16 << 10,
    FRAMES_IN_TEXT = 6,
};

void script_drop_exception(JSContext *ctx)
{
    JS_FreeValue(ctx, JS_GetException(ctx));
}

// The member as text, cut to out->max; nothing when it is missing or cannot be read.
static void append_member(JSContext *ctx, JSValueConst object, const char *name, Buf *out)
{
    JSValue value = JS_GetPropertyStr(ctx, object, name);
    size_t max = out->max;
    if (JS_IsString(value)) {
        Buf all = buf_create(SIZE_MAX / 2);
        if (script_append_text(ctx, value, &all)) {
            buf_append(out, slice_sub(buf_slice(&all), 0, max));
        } else {
            script_drop_exception(ctx);
        }
        buf_done(&all);
    } else if (JS_IsException(value)) {
        script_drop_exception(ctx);
    }
    JS_FreeValue(ctx, value);
}

// What was thrown is no Error: as JSON where it is an object, as text otherwise.
static void append_thrown(JSContext *ctx, JSValueConst thrown, Buf *out)
{
    Buf all = buf_create(SIZE_MAX / 2);
    bool any = false;
    if (JS_IsObject(thrown) && script_append_json(ctx, thrown, &all, &any) != 0) {
        script_drop_exception(ctx);
    }
    if (!any && !script_append_text(ctx, thrown, &all)) {
        script_drop_exception(ctx);
        buf_puts(&all, "something that has no text");
    }
    buf_append(out, slice_sub(buf_slice(&all), 0, out->max));
    buf_done(&all);
}

// "    at name (file:line:column)" or "    at file:line:column". False for native frames.
static bool parse_frame(Slice line, Slice *ret_function, Slice *ret_place)
{
    line = slice_trim(line);
    if (!slice_starts_with(line, SLICE("at "))) {
        return false;
    }
    line = slice_sub(line, 3, line.len);
    ptrdiff_t open = slice_find(line, SLICE(" ("));
    *ret_function = open < 0 ? (Slice){NULL, 0} : slice_sub(line, 0, (size_t)open);
    *ret_place = open < 0 ? line : slice_sub(line, (size_t)open + 2, line.len - (size_t)open - 3);
    return !slice_eq(*ret_place, SLICE("native")) && ret_place->len > 0;
}

// The place in front and the calls behind: "a.js:3:7: " ... " (in f < g)".
static void append_places(Slice stack, Buf *head, Buf *tail)
{
    Slice line;
    int frames = 0;
    while (stack.len > 0 && frames < FRAMES_IN_TEXT) {
        Slice function, place;
        (void)slice_cut(stack, '\n', &line, &stack);
        if (!parse_frame(line, &function, &place)) {
            continue;
        }
        if (head->len == 0) {
            buf_append(head, place);
            buf_puts(head, ": ");
        }
        if (function.len > 0) {
            buf_puts(tail, frames == 0 ? " (in " : " < ");
            buf_append(tail, function);
            frames++;
        }
    }
    buf_puts(tail, frames > 0 ? ")" : "");
}

// Scripts may say in `code` what kind of failure it is; only the runtime says "cancelled".
static int code_of(JSContext *ctx, JSValueConst thrown)
{
    char data[32];
    Buf code = buf_create(sizeof data);
    append_member(ctx, thrown, "code", &code);
    int found = ERR_SCRIPT;
    for (int i = ERR_ARG; i >= ERR_SCRIPT && code.len > 0; i--) {
        if (i != ERR_CANCELLED && slice_eq_cstr(buf_slice(&code), err_name(i))) {
            found = i;
        }
    }
    buf_done(&code);
    return found;
}

static void start_failure(Script *s)
{
    buf_done(&s->failure_name);
    buf_done(&s->failure_message);
    buf_done(&s->failure_stack);
    s->failure_name = buf_create(NAME_MAX_BYTES);
    s->failure_message = buf_create(MESSAGE_MAX_BYTES);
    s->failure_stack = buf_create(STACK_MAX_BYTES);
}

int script_take_exception(Script *s, Err *e)
{
    JSContext *ctx = s->ctx;
    JSValue thrown = JS_GetException(ctx);
    JS_ResetUncatchableError(ctx);
    start_failure(s);
    int code = ERR_SCRIPT;
    (void)script_poll(s); // a heap that is too small shows as an exception first
    if (JS_IsError(ctx, thrown)) {
        append_member(ctx, thrown, "stack", &s->failure_stack);
        if (s->killed == 0) {
            append_member(ctx, thrown, "name", &s->failure_name);
            append_member(ctx, thrown, "message", &s->failure_message);
        }
    }
    if (s->killed == 0 && JS_IsObject(thrown)) {
        code = code_of(ctx, thrown);
    }
    if (s->killed == 0 && !JS_IsError(ctx, thrown)) {
        append_thrown(ctx, thrown, &s->failure_message);
    }
    JS_FreeValue(ctx, thrown);
    if (s->killed != 0) {
        buf_puts(&s->failure_message, s->kill_err.text);
        code = s->killed;
    }
    Buf head = buf_create(SCRIPT_SPECIFIER_MAX + 64);
    Buf tail = buf_create(512);
    append_places(buf_slice(&s->failure_stack), &head, &tail);
    Slice name = buf_slice(&s->failure_name);
    (void)err_set(e, (ErrCode)code, "%.*s%.*s%s%.*s%.*s", SLICE_FMT(buf_slice(&head)),
                  SLICE_FMT(name), name.len > 0 ? ": " : "",
                  SLICE_FMT(slice_sub(buf_slice(&s->failure_message), 0, 700)),
                  SLICE_FMT(buf_slice(&tail)));
    buf_done(&head);
    buf_done(&tail);
    return code;
}

JSValue script_throw_error(Script *s, int code, const char *text)
{
    JSContext *ctx = s->ctx;
    JSValue message = JS_NewString(ctx, text);
    JSValueConst args[] = {message};
    // Through the constructor, which records the stack.
    JSValue error = JS_CallConstructor(ctx, s->error_constructor, 1, args);
    JS_FreeValue(ctx, message);
    if (JS_IsException(error)) {
        return error;
    }
    JSValue name = JS_NewString(ctx, err_name(code));
    (void)JS_DefinePropertyValueStr(ctx, error, "code", name, JS_PROP_C_W_E);
    return JS_Throw(ctx, error);
}

ScriptFailure script_failure(const Script *script)
{
    return (ScriptFailure){.name = buf_slice(&script->failure_name),
                           .message = buf_slice(&script->failure_message),
                           .stack = buf_slice(&script->failure_stack)};
}
