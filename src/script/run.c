#include "script/engine.h"

#include <assert.h>

// One call: from the arguments to the settled result, within its limits.

int script_begin(Script *s, const ScriptCallOptions *options, Err *e)
{
    assert(!s->busy);
    if (s->spent) {
        return err_set(e, ERR_CLOSED, "this instance of the script is spent");
    }
    int rc = script_enter_stack(s, e);
    if (rc != 0) {
        return rc;
    }
    s->busy = true;
    s->host = options->host ? options->host : s->options.host;
    s->deadline_ns = options->deadline_ns ? options->deadline_ns : NEVER_NS;
    s->killed = 0;
    s->cpu_used_ns = 0;
    s->unhandled = 0;
    script_clock_start(s);
    return 0;
}

static void write_log(Script *s, LogLevel level, Slice text)
{
    if (s->options.log) {
        s->options.log(s->options.log_context, level, text);
    } else {
        LOG(level, "script", log_cstr("name", s->program->entry), log_text("text", text));
    }
}

// Cycles are collected between calls, where nobody waits for it.
static void collect_if_due(Script *s)
{
    const ScriptLimits *l = &s->program->limits;
    if (s->gc_at_bytes != 0 && s->heap_bytes < s->gc_at_bytes) {
        return;
    }
    JS_RunGC(s->rt);
    s->stats.collections++;
    size_t grow = s->heap_bytes / 100 * (size_t)l->gc_percent;
    s->gc_at_bytes = s->heap_bytes + (grow > l->gc_threshold_bytes ? grow : l->gc_threshold_bytes);
    // The engine collects by itself, within a call, only when the heap grew by twice as much.
    JS_SetGCThreshold(s->rt, 2 * s->gc_at_bytes - s->heap_bytes);
}

void script_end(Script *s, int rc)
{
    script_cancel_promises(s);
    script_drop_timers(s);
    if (rc == 0 && s->unhandled > 0) {
        Buf text = buf_create(2048);
        buf_puts(&text, "a promise was rejected and nobody handled it: ");
        buf_append(&text, slice_sub(buf_slice(&s->unhandled_text), 0, 1024));
        write_log(s, LOG_WARN, buf_slice(&text));
        buf_done(&text);
    }
    script_clock_stop(s);
    s->stats.cpu_ns += s->cpu_used_ns;
    s->stats.calls++;
    s->spent = s->spent || s->killed != 0;
    if (!s->spent) {
        collect_if_due(s);
    }
    s->host = s->options.host;
    s->deadline_ns = NEVER_NS;
    s->busy = false;
}

// ---- promises

static int run_jobs(Script *s)
{
    while (JS_IsJobPending(s->rt)) {
        JSContext *ctx;
        // A chain of native jobs never asks about limits by itself.
        if (script_poll(s) != 0) {
            return -1;
        }
        if (JS_ExecutePendingJob(s->rt, &ctx) < 0) {
            return -1;
        }
    }
    return script_poll(s) != 0 ? -1 : 0;
}

// Parks until a promise settled, a timer is due or the deadline passed.
static int wait_for_more(Script *s, Err *e)
{
    if (!s->timers && !s->promises && !s->settled) {
        return err_set(e, ERR_SCRIPT, "%s: the promise can never settle: nothing is pending",
                       s->program->entry);
    }
    if (!fiber_self()) {
        return err_set(e, ERR_UNSUPPORTED, "%s: a module's top level cannot wait here",
                       s->program->entry);
    }
    int64_t until_ns = s->deadline_ns;
    if (s->timers && s->timers->due_ns < until_ns) {
        until_ns = s->timers->due_ns;
    }
    if (s->settled || loop_clock(s->options.loop) >= until_ns) {
        return 0;
    }
    script_clock_stop(s);
    s->waiter = fiber_self();
    int rc = fiber_park("script", until_ns);
    s->waiter = NULL;
    script_clock_start(s);
    if (rc == ERR_CANCELLED) {
        script_kill(s, ERR_CANCELLED, "the script was cancelled");
    }
    return 0;
}

// The value itself, or what its promise came to. Takes `value`.
static int unwrap(Script *s, JSValue value, JSValue *ret_value, Err *e)
{
    JSPromiseStateEnum state = JS_PromiseState(s->ctx, value);
    if (state != JS_PROMISE_FULFILLED && state != JS_PROMISE_REJECTED) {
        *ret_value = value;
        return 0;
    }
    JSValue result = JS_PromiseResult(s->ctx, value);
    JS_FreeValue(s->ctx, value);
    if (state == JS_PROMISE_FULFILLED) {
        *ret_value = result;
        return 0;
    }
    (void)JS_Throw(s->ctx, result);
    return script_take_exception(s, e);
}

int script_settle(Script *s, JSValue value, bool wait_for_all, JSValue *ret_value, Err *e)
{
    int rc = 0;
    for (;;) {
        bool ok = run_jobs(s) == 0 && script_deliver_promises(s) && run_jobs(s) == 0 &&
                  script_fire_timers(s) && run_jobs(s) == 0;
        if (!ok) {
            rc = script_take_exception(s, e);
            break;
        }
        bool pending = JS_PromiseState(s->ctx, value) == JS_PROMISE_PENDING;
        bool more = s->timers || s->promises || s->settled;
        if (!pending && !(wait_for_all && more)) {
            return unwrap(s, value, ret_value, e);
        }
        rc = wait_for_more(s, e);
        if (rc != 0) {
            break;
        }
    }
    JS_FreeValue(s->ctx, value);
    return rc;
}

// ---- calls

static JSValue value_of_arg(Script *s, const ScriptArg *a)
{
    switch (a->kind) {
    case SCRIPT_ARG_UNDEFINED: return JS_UNDEFINED;
    case SCRIPT_ARG_JSON: return script_value_of_json(s, a->text);
    case SCRIPT_ARG_STRING:
        return JS_NewStringLen(s->ctx, a->text.len ? a->text.ptr : "", a->text.len);
    case SCRIPT_ARG_NUMBER: return JS_NewFloat64(s->ctx, a->number);
    case SCRIPT_ARG_DOC: return script_value_of_doc(s, a->doc);
    case SCRIPT_ARG_OBJECT: return script_object_of(s, a->object);
    }
    die("an argument of kind %d", (int)a->kind);
}

static JSValue call_function(Script *s, JSValueConst function, const ScriptArg *args, size_t count)
{
    JSValue argv[SCRIPT_ARGS_MAX];
    JSValue result = JS_UNDEFINED;
    size_t made = 0;
    assert(count <= SCRIPT_ARGS_MAX);
    while (made < count && !JS_IsException(result)) {
        argv[made] = value_of_arg(s, &args[made]);
        if (JS_IsException(argv[made])) {
            result = JS_EXCEPTION;
        } else {
            made++;
        }
    }
    if (!JS_IsException(result)) {
        result = JS_Call(s->ctx, function, JS_UNDEFINED, (int)count, argv);
    }
    for (size_t i = 0; i < made; i++) {
        JS_FreeValue(s->ctx, argv[i]);
    }
    return result;
}

static int append_result(Script *s, JSValueConst value, Buf *result, Err *e)
{
    bool any;
    if (!result) {
        return 0;
    }
    if (script_append_json(s->ctx, value, result, &any) != 0) {
        return script_take_exception(s, e);
    }
    return buf_check(result, "the script's result", e);
}

static int call_export(Script *s, const char *name, const ScriptArg *args, size_t count,
                       const ScriptCallOptions *options, Buf *result, Err *e)
{
    JSValue function = JS_GetPropertyStr(s->ctx, s->exports, name);
    if (!JS_IsFunction(s->ctx, function)) {
        if (JS_IsException(function)) {
            script_drop_exception(s->ctx);
        }
        JS_FreeValue(s->ctx, function);
        return err_set(e, ERR_NOT_FOUND, "%s exports no function \"%s\"", s->program->entry, name);
    }
    JSValue value = call_function(s, function, args, count);
    JS_FreeValue(s->ctx, function);
    if (JS_IsException(value)) {
        return script_take_exception(s, e);
    }
    JSValue settled;
    int rc = script_settle(s, value, options->wait_for_all, &settled, e);
    if (rc == 0) {
        rc = append_result(s, settled, result, e);
        JS_FreeValue(s->ctx, settled);
    }
    return rc;
}

int script_call(Script *script, const char *export_name, const ScriptArg *args, size_t arg_count,
                const ScriptCallOptions *options, Buf *result, Err *e)
{
    int rc = script_begin(script, options, e);
    if (rc == 0) {
        rc = call_export(script, export_name, args, arg_count, options, result, e);
        script_end(script, rc);
    }
    return rc;
}

// ---- life

static int run_top_level(Script *s, Err *e)
{
    JSValue compiled = script_compile_entry(s);
    if (JS_IsException(compiled)) {
        return script_take_exception(s, e);
    }
    JSModuleDef *m = JS_VALUE_GET_PTR(compiled);
    JSValue value = JS_EvalFunction(s->ctx, compiled);
    if (JS_IsException(value)) {
        return script_take_exception(s, e);
    }
    JSValue settled;
    int rc = script_settle(s, value, false, &settled, e);
    if (rc == 0) {
        JS_FreeValue(s->ctx, settled);
        s->exports = JS_GetModuleNamespace(s->ctx, m);
        if (JS_IsException(s->exports)) {
            s->exports = JS_UNDEFINED;
            rc = script_take_exception(s, e);
        }
    }
    return rc;
}

int script_create(const ScriptProgram *program, const ScriptOptions *options, Script **ret_script,
                  Err *e)
{
    Script *s = mem_zalloc(sizeof *s);
    s->program = program;
    s->options = *options;
    s->unhandled_text = buf_create(64 << 10);
    int rc = script_engine_open(s, e);
    if (rc == 0) {
        rc = script_begin(s, &(ScriptCallOptions){0}, e);
    }
    if (rc == 0) {
        rc = run_top_level(s, e);
        script_end(s, rc);
        s->stats.calls = 0;
    }
    if (rc != 0) {
        s->spent = true;
        script_destroy(s);
        return rc;
    }
    *ret_script = s;
    return 0;
}

void script_destroy(Script *script)
{
    if (script) {
        script_engine_close(script, false);
        free(script);
    }
}

bool script_has_function(Script *script, const char *export_name)
{
    JSValue value = JS_GetPropertyStr(script->ctx, script->exports, export_name);
    bool is = JS_IsFunction(script->ctx, value);
    if (JS_IsException(value)) {
        script_drop_exception(script->ctx);
    }
    JS_FreeValue(script->ctx, value);
    return is;
}

int script_export_json(Script *script, const char *export_name, Buf *out, Err *e)
{
    int rc = script_begin(script, &(ScriptCallOptions){0}, e);
    if (rc != 0) {
        return rc;
    }
    bool any = false;
    JSValue value = JS_GetPropertyStr(script->ctx, script->exports, export_name);
    if (JS_IsException(value) || script_append_json(script->ctx, value, out, &any) != 0) {
        rc = script_take_exception(script, e);
    } else if (!any) {
        rc = err_set(e, ERR_NOT_FOUND, "%s exports no \"%s\"", script->program->entry, export_name);
    } else {
        rc = buf_check(out, export_name, e);
    }
    JS_FreeValue(script->ctx, value);
    script_end(script, rc);
    return rc;
}

bool script_is_spent(const Script *script)
{
    return script->spent;
}

ScriptStats script_stats(const Script *script)
{
    ScriptStats stats = script->stats;
    stats.heap_bytes = script->heap_bytes;
    stats.heap_bytes_peak = script->heap_bytes_peak;
    return stats;
}
