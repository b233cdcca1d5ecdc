#include "script/engine.h"

#include <assert.h>
#include <malloc.h>
#include <stdarg.h>

// An instance's heap, its context, and the limits that the engine asks us about.

enum {
    // What a heap past its limit may still have, so that the error about it can be made.
    HEAP_SLACK_BYTES = 256 << 10,
    STACK_LEFT_MIN = 16 << 10,
    STACK_RESERVE_MAX = 256 << 10,
};

// ---- heap

static bool heap_has(Script *s, size_t bytes)
{
    size_t limit = s->program->limits.heap_bytes + (s->heap_exceeded ? HEAP_SLACK_BYTES : 0);
    if (bytes > limit || s->heap_bytes > limit - bytes) {
        s->heap_exceeded = true;
        return false;
    }
    return true;
}

static void heap_count(Script *s, JSMallocState *m, const ScriptBlock *b, int sign)
{
    size_t bytes = malloc_usable_size((void *)(uintptr_t)b);
    s->heap_bytes += sign > 0 ? bytes : -bytes;
    m->malloc_size += sign > 0 ? bytes : -bytes;
    m->malloc_count += sign > 0 ? 1 : -1;
    if (s->heap_bytes > s->heap_bytes_peak) {
        s->heap_bytes_peak = s->heap_bytes;
    }
}

static void block_link(Script *s, ScriptBlock *b)
{
    b->prev = &s->blocks;
    b->next = s->blocks.next;
    b->prev->next = b;
    b->next->prev = b;
}

static void block_unlink(ScriptBlock *b)
{
    b->prev->next = b->next;
    b->next->prev = b->prev;
}

static void *heap_alloc(JSMallocState *m, size_t bytes)
{
    Script *s = m->opaque;
    if (!heap_has(s, bytes)) {
        return NULL;
    }
    ScriptBlock *b = mem_alloc(sizeof *b + bytes);
    block_link(s, b);
    heap_count(s, m, b, 1);
    return b + 1;
}

static void heap_free(JSMallocState *m, void *ptr)
{
    if (ptr) {
        ScriptBlock *b = (ScriptBlock *)ptr - 1;
        heap_count(m->opaque, m, b, -1);
        block_unlink(b);
        free(b);
    }
}

static void *heap_realloc(JSMallocState *m, void *ptr, size_t bytes)
{
    Script *s = m->opaque;
    if (!ptr) {
        return bytes > 0 ? heap_alloc(m, bytes) : NULL;
    }
    if (bytes == 0) {
        heap_free(m, ptr);
        return NULL;
    }
    ScriptBlock *b = (ScriptBlock *)ptr - 1;
    size_t had = malloc_usable_size(b) - sizeof *b;
    if (bytes > had && !heap_has(s, bytes - had)) {
        return NULL;
    }
    heap_count(s, m, b, -1);
    block_unlink(b);
    b = mem_realloc(b, sizeof *b + bytes);
    block_link(s, b);
    heap_count(s, m, b, 1);
    return b + 1;
}

static size_t heap_usable(const void *ptr)
{
    return ptr ? malloc_usable_size((ScriptBlock *)(uintptr_t)ptr - 1) - sizeof(ScriptBlock) : 0;
}

static const JSMallocFunctions heap_functions = {heap_alloc, heap_free, heap_realloc, heap_usable};

// Frees every block whatever it was: no state of the engine is looked at, so this is right after
// any failure in the middle of anything. (The engine's own way asserts that no reference was lost,
// and the paths that run out of memory do lose some.)
static void heap_sweep(Script *s)
{
    for (ScriptBlock *b = s->blocks.next; b != &s->blocks;) {
        ScriptBlock *next = b->next;
        free(b);
        b = next;
    }
    s->blocks.prev = s->blocks.next = &s->blocks;
    s->heap_bytes = 0;
}

// ---- limits

void script_kill(Script *s, int code, const char *format, ...)
{
    if (s->killed != 0) {
        return;
    }
    char words[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    s->killed = code;
    (void)err_set(&s->kill_err, code, "%s", words);
}

static int64_t cpu_now(const Script *s)
{
    return clock_now(s->options.cpu_clock ? s->options.cpu_clock : clock_real());
}

void script_clock_stop(Script *s)
{
    s->cpu_used_ns += cpu_now(s) - s->running_since_ns;
}

void script_clock_start(Script *s)
{
    s->running_since_ns = cpu_now(s);
}

static void give_way(Script *s)
{
    script_clock_stop(s);
    if (fiber_yield() != 0) {
        script_kill(s, ERR_CANCELLED, "the script was cancelled");
    }
    script_clock_start(s);
}

int script_poll(Script *s)
{
    const ScriptLimits *l = &s->program->limits;
    int64_t ran_ns = cpu_now(s) - s->running_since_ns;
    if (s->killed != 0) {
        return s->killed;
    }
    if (s->heap_exceeded) {
        script_kill(s, ERR_LIMIT, "the script needs more than its %zu KiB of heap",
                    l->heap_bytes >> 10);
    } else if (s->cpu_used_ns + ran_ns > l->cpu_ns) {
        script_kill(s, ERR_LIMIT, "the script computed for more than its %.4g ms",
                    (double)l->cpu_ns / 1e6);
    } else if (fiber_self() && fiber_is_cancelled()) {
        script_kill(s, ERR_CANCELLED, "the script was cancelled");
    } else if (s->deadline_ns != NEVER_NS && loop_clock(s->options.loop) >= s->deadline_ns) {
        script_kill(s, ERR_TIMEOUT, "the script passed its deadline");
    } else if (ran_ns >= l->slice_ns && fiber_self()) {
        give_way(s);
    }
    return s->killed;
}

static int on_interrupt(JSRuntime *rt, void *opaque)
{
    (void)rt;
    return script_poll(opaque) != 0;
}

int script_enter_stack(Script *s, Err *e)
{
    size_t left = fiber_stack_left();
    // Under sanitizers our own frames are several times as large, and so are the stacks.
    size_t reserve = left / 2 > STACK_RESERVE_MAX ? STACK_RESERVE_MAX : left / 2;
    if (reserve < SCRIPT_STACK_RESERVE) {
        reserve = SCRIPT_STACK_RESERVE;
    }
    if (left < reserve + STACK_LEFT_MIN) {
        return err_set(e, ERR_LIMIT, "%zu KiB of stack are too little to run a script", left >> 10);
    }
    JS_UpdateStackTop(s->rt);
    JS_SetMaxStackSize(s->rt, left - reserve);
    return 0;
}

JSValue script_throw_killed(Script *s)
{
    JSValue error = JS_NewError(s->ctx);
    if (!JS_IsException(error)) {
        JS_SetUncatchableError(s->ctx, error, 1);
        (void)JS_Throw(s->ctx, error);
    }
    return JS_EXCEPTION;
}

// ---- life

static void add_parts(JSContext *ctx, unsigned parts)
{
    static const struct {
        unsigned part;
        void (*add)(JSContext *ctx);
    } table[] = {
        {SCRIPT_DATE, JS_AddIntrinsicDate},
        {SCRIPT_REGEXP, JS_AddIntrinsicRegExpCompiler},
        {SCRIPT_REGEXP, JS_AddIntrinsicRegExp},
        {SCRIPT_PROXY, JS_AddIntrinsicProxy},
        {SCRIPT_COLLECTIONS, JS_AddIntrinsicMapSet},
        {SCRIPT_TYPED_ARRAYS, JS_AddIntrinsicTypedArrays},
        {SCRIPT_WEAK_REFS, JS_AddIntrinsicWeakRef},
        {SCRIPT_NORMALIZE, JS_AddIntrinsicStringNormalize},
    };
    JS_AddIntrinsicBaseObjects(ctx);
    JS_AddIntrinsicEval(ctx); // the module compiler needs it
    JS_AddIntrinsicJSON(ctx);
    JS_AddIntrinsicPromise(ctx);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (parts & table[i].part) {
            table[i].add(ctx);
        }
    }
}

static void on_rejection(JSContext *ctx, JSValueConst promise, JSValueConst reason,
                         JS_BOOL is_handled, void *opaque)
{
    Script *s = opaque;
    (void)promise;
    if (is_handled) {
        s->unhandled--;
        return;
    }
    if (s->unhandled++ == 0) {
        buf_reset(&s->unhandled_text);
        if (!script_append_text(ctx, reason, &s->unhandled_text)) {
            script_drop_exception(ctx);
        }
    }
}

static int out_of_heap(Script *s, Err *e)
{
    return err_set(e, ERR_LIMIT, "a heap of %zu KiB is too small for a script",
                   s->program->limits.heap_bytes >> 10);
}

int script_engine_open(Script *s, Err *e)
{
    s->blocks.prev = s->blocks.next = &s->blocks;
    s->deadline_ns = NEVER_NS;
    s->settled_end = &s->settled;
    s->scratch = buf_create(s->program->limits.heap_bytes);
    s->exports = s->error_constructor = JS_UNDEFINED;
    s->objects = mem_zalloc((s->program->module_count + 1) * sizeof *s->objects);
    for (size_t i = 0; i < s->program->module_count; i++) {
        s->objects[i] = JS_UNDEFINED;
    }
    script_clock_start(s);
    s->rt = JS_NewRuntime2(&heap_functions, s);
    if (!s->rt) {
        return out_of_heap(s, e);
    }
    JS_SetRuntimeOpaque(s->rt, s);
    JS_SetGCThreshold(s->rt, s->program->limits.gc_threshold_bytes);
    JS_SetInterruptHandler(s->rt, on_interrupt, s);
    JS_SetModuleLoaderFunc(s->rt, script_normalize_module, script_load_module, s);
    JS_SetHostPromiseRejectionTracker(s->rt, on_rejection, s);
    int rc = script_enter_stack(s, e);
    if (rc != 0) {
        return rc;
    }
    s->ctx = JS_NewContextRaw(s->rt);
    if (!s->ctx) {
        return out_of_heap(s, e);
    }
    JS_SetContextOpaque(s->ctx, s);
    add_parts(s->ctx, s->program->parts);
    JSValue global = JS_GetGlobalObject(s->ctx);
    s->error_constructor = JS_GetPropertyStr(s->ctx, global, "Error");
    JS_FreeValue(s->ctx, global);
    if (s->heap_exceeded || script_guard_arrays(s) != 0 || script_install_globals(s) != 0) {
        return out_of_heap(s, e);
    }
    return 0;
}

void script_engine_close(Script *s, bool careful)
{
    assert(!s->busy && !s->promises && !s->settled);
    if (careful && s->ctx && !s->spent) {
        JS_FreeValue(s->ctx, s->exports);
        JS_FreeValue(s->ctx, s->error_constructor);
        for (size_t i = 0; i < s->program->module_count; i++) {
            JS_FreeValue(s->ctx, s->objects[i]);
        }
        JS_FreeContext(s->ctx);
        JS_FreeRuntime(s->rt);
        assert(s->blocks.next == &s->blocks);
    }
    heap_sweep(s);
    free(s->objects);
    buf_done(&s->scratch);
    buf_done(&s->unhandled_text);
    buf_done(&s->failure_name);
    buf_done(&s->failure_message);
    buf_done(&s->failure_stack);
}
