#include "script/engine.h"

// What a call may wait for: timers and promises that host functions made.

// ---- timers

static void free_timer(Script *s, ScriptTimer *t)
{
    JS_FreeValue(s->ctx, t->fn);
    for (int i = 0; i < t->argc; i++) {
        JS_FreeValue(s->ctx, t->argv[i]);
    }
    free(t);
    s->timer_count--;
}

static void insert_timer(Script *s, ScriptTimer *t)
{
    ScriptTimer **at = &s->timers;
    while (*at && (*at)->due_ns <= t->due_ns) {
        at = &(*at)->next;
    }
    t->next = *at;
    *at = t;
}

int script_timer_start(ScriptCall *call, size_t index, int64_t delay_ns, bool repeat,
                       int32_t *ret_id, Err *e)
{
    Script *s = call->script;
    if (index >= (size_t)call->argc || !JS_IsFunction(call->ctx, call->argv[index])) {
        return err_set(e, ERR_ARG, "a timer needs a function to call");
    }
    if (s->timer_count == SCRIPT_TIMERS_MAX) {
        return err_set(e, ERR_LIMIT, "more than %d timers", SCRIPT_TIMERS_MAX);
    }
    ScriptTimer *t = mem_zalloc(sizeof *t);
    t->id = ++s->last_timer_id;
    t->due_ns = clock_deadline(loop_clock(s->options.loop), delay_ns);
    // A repeating timer without a pause would leave no room for anything else.
    t->interval_ns = !repeat ? 0 : delay_ns < NS_PER_MS ? NS_PER_MS : delay_ns;
    t->fn = JS_DupValue(call->ctx, call->argv[index]);
    for (size_t i = index + 2; i < (size_t)call->argc && t->argc < SCRIPT_ARGS_MAX; i++) {
        t->argv[t->argc++] = JS_DupValue(call->ctx, call->argv[i]);
    }
    s->timer_count++;
    insert_timer(s, t);
    *ret_id = t->id;
    return 0;
}

void script_timer_stop(ScriptCall *call, int32_t id)
{
    for (ScriptTimer **at = &call->script->timers; *at; at = &(*at)->next) {
        if ((*at)->id == id) {
            ScriptTimer *t = *at;
            *at = t->next;
            free_timer(call->script, t);
            return;
        }
    }
}

void script_drop_timers(Script *s)
{
    while (s->timers) {
        ScriptTimer *t = s->timers;
        s->timers = t->next;
        free_timer(s, t);
    }
}

bool script_fire_timers(Script *s)
{
    int64_t now_ns = loop_clock(s->options.loop);
    // One at a time, as each may stop others, and the jobs of one come before the next.
    if (!s->timers || s->timers->due_ns > now_ns) {
        return true;
    }
    ScriptTimer *t = s->timers;
    s->timers = t->next;
    JSValue fn = JS_DupValue(s->ctx, t->fn);
    JSValue argv[SCRIPT_ARGS_MAX];
    int argc = t->argc;
    for (int i = 0; i < argc; i++) {
        argv[i] = JS_DupValue(s->ctx, t->argv[i]);
    }
    if (t->interval_ns > 0) {
        t->due_ns = clock_deadline(now_ns, t->interval_ns);
        insert_timer(s, t);
    } else {
        free_timer(s, t);
    }
    JSValue result = JS_Call(s->ctx, fn, JS_UNDEFINED, argc, argv);
    JS_FreeValue(s->ctx, fn);
    for (int i = 0; i < argc; i++) {
        JS_FreeValue(s->ctx, argv[i]);
    }
    bool ok = !JS_IsException(result);
    JS_FreeValue(s->ctx, result);
    return ok;
}

// ---- promises

int script_promise_start(ScriptCall *call, ScriptPromise *p, Err *e)
{
    Script *s = call->script;
    if (!fiber_self()) {
        return err_set(e, ERR_UNSUPPORTED, "a module's top level cannot wait here");
    }
    if (s->promise_count == SCRIPT_PROMISES_MAX) {
        return err_set(e, ERR_LIMIT, "more than %d operations at a time", SCRIPT_PROMISES_MAX);
    }
    JSValue functions[2];
    JSValue promise = JS_NewPromiseCapability(call->ctx, functions);
    if (JS_IsException(promise)) {
        call->threw = true;
        return err_set(e, ERR_SCRIPT, "no promise could be made");
    }
    p->script = s;
    p->settled = p->cancelled = false;
    p->slot = mem_zalloc(sizeof *p->slot);
    p->slot->resolve = functions[0];
    p->slot->reject = functions[1];
    p->prev = NULL;
    p->next = s->promises;
    if (p->next) {
        p->next->prev = p;
    }
    s->promises = p;
    s->promise_count++;
    JS_FreeValue(call->ctx, call->result);
    call->result = promise;
    return 0;
}

void script_promise_settle(ScriptPromise *p, int rc, Slice json, const Err *e)
{
    Script *s = p->script;
    if (p->settled) {
        die("a promise was settled twice");
    }
    p->settled = true;
    p->slot->rc = rc;
    p->slot->outcome = buf_create(s->program->limits.heap_bytes);
    if (rc == 0) {
        buf_append(&p->slot->outcome, json);
    } else {
        buf_puts(&p->slot->outcome, e && e->text[0] ? e->text : err_name(rc));
    }
    *(p->prev ? &p->prev->next : &s->promises) = p->next;
    if (p->next) {
        p->next->prev = p->prev;
    }
    p->next = NULL;
    *s->settled_end = p;
    s->settled_end = &p->next;
    if (s->waiter) {
        fiber_resume(s->waiter);
    }
}

static ScriptPromise *take_settled(Script *s)
{
    ScriptPromise *p = s->settled;
    if (p) {
        s->settled = p->next;
        if (!s->settled) {
            s->settled_end = &s->settled;
        }
        s->promise_count--;
    }
    return p;
}

static void release(Script *s, ScriptPromise *p)
{
    JS_FreeValue(s->ctx, p->slot->resolve);
    JS_FreeValue(s->ctx, p->slot->reject);
    buf_done(&p->slot->outcome);
    free(p->slot);
    if (p->release) {
        p->release(p);
    }
}

// The value to settle with; an exception when the outcome is no JSON or does not fit.
static JSValue outcome_of(Script *s, const ScriptPromiseSlot *slot, bool *ret_ok)
{
    *ret_ok = slot->rc == 0;
    if (slot->rc != 0) {
        (void)script_throw_error(s, slot->rc, slot->outcome.data);
        return JS_GetException(s->ctx);
    }
    if (slot->outcome.overflowed) {
        s->heap_exceeded = true;
    }
    return slot->outcome.len > 0 ? script_value_of_json(s, buf_slice(&slot->outcome))
                                 : JS_UNDEFINED;
}

bool script_deliver_promises(Script *s)
{
    bool ok = true;
    for (ScriptPromise *p = take_settled(s); p; p = ok ? take_settled(s) : NULL) {
        bool fulfil;
        JSValue value = outcome_of(s, p->slot, &fulfil);
        if (JS_IsException(value)) {
            fulfil = false;
            value = JS_GetException(s->ctx);
        }
        JSValueConst args[] = {value};
        JSValue done =
            JS_Call(s->ctx, fulfil ? p->slot->resolve : p->slot->reject, JS_UNDEFINED, 1, args);
        JS_FreeValue(s->ctx, value);
        ok = !JS_IsException(done);
        JS_FreeValue(s->ctx, done);
        release(s, p);
    }
    return ok;
}

// The operations use what belongs to the call, so the call waits for them even when it was
// cancelled itself.
void script_cancel_promises(Script *s)
{
    for (ScriptPromise *p = s->promises, *next; p; p = next) {
        next = p->next;
        if (!p->cancelled) {
            p->cancelled = true;
            p->cancel(p);
        }
    }
    bool cancelled = fiber_self() && fiber_is_cancelled();
    while (s->promises) {
        fiber_clear_cancel();
        s->waiter = fiber_self();
        int rc = fiber_park("script's operations", NEVER_NS);
        s->waiter = NULL;
        cancelled = cancelled || rc == ERR_CANCELLED;
    }
    if (cancelled) {
        fiber_cancel(fiber_self());
    }
    for (ScriptPromise *p = take_settled(s); p; p = take_settled(s)) {
        release(s, p);
    }
}
