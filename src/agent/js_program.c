#include "agent/js_program.h"

#include <math.h>
#include <pthread.h>

enum { LOOPS_MAX = 256, EXPORTS_BYTES_MAX = 1 << 20, LOG_BYTES_MAX = 16 << 10 };

struct JsProgram {
    ScriptProgram *script;
    size_t instances_max, idle_max;
    bool check_leaks;
    Counter *collections;
    // Pools are found by their loop. Only a loop's own thread uses its pool; the lock is for the
    // table, which grows when a shard comes here for the first time.
    pthread_mutex_t lock;
    size_t loop_count;
    struct {
        Loop *loop;
        ScriptPool *pool;
    } loops[LOOPS_MAX];
};

static void write_export(Script *script, const char *name, JsonWriter *w)
{
    Buf json = buf_create(EXPORTS_BYTES_MAX);
    if (script_export_json(script, name, &json, NULL) == 0) {
        json_key(w, slice_from_cstr(name));
        json_raw(w, buf_slice(&json));
    }
    buf_done(&json);
}

static int try_instance(const JsProgram *program, const char *entry, Buf *ret_exports, Err *e)
{
    Loop *loop;
    int rc = loop_create(&(LoopOptions){0}, &loop, e);
    if (rc != 0) {
        return rc;
    }
    Script *script = NULL;
    rc = script_create(program->script, &(ScriptOptions){.loop = loop}, &script, e);
    if (rc == 0 && !script_has_function(script, "default")) {
        rc = err_set(e, ERR_NOT_FOUND, "%s has no default function (\"export default function\")",
                     entry);
    }
    if (rc == 0 && ret_exports) {
        JsonWriter w = json_writer(ret_exports, 0);
        json_object_begin(&w);
        write_export(script, "description", &w);
        write_export(script, "schema", &w);
        write_export(script, "paginated", &w);
        json_object_end(&w);
        rc = buf_check(ret_exports, "what the module exports", e);
    }
    script_destroy(script);
    loop_destroy(loop);
    return rc;
}

int js_program_create(const JsOptions *options, const ScriptModule *const *modules,
                      size_t module_count, JsProgram **ret_program, Buf *ret_exports, Err *e)
{
    ScriptProgramOptions o = {.root = options->root,
                              .entry = options->entry,
                              .source = options->source,
                              .parts = options->parts,
                              .modules = modules,
                              .module_count = module_count,
                              .limits = options->limits};
    ScriptProgram *script;
    int rc = script_program_load(&o, &script, e);
    if (rc != 0) {
        return rc;
    }
    JsProgram *p = mem_zalloc(sizeof *p);
    p->script = script;
    p->instances_max = options->instances_max;
    p->idle_max = options->idle_max;
    p->check_leaks = options->check_leaks;
    p->collections = options->collections;
    if (pthread_mutex_init(&p->lock, NULL) != 0) {
        die("no mutex");
    }
    rc = try_instance(p, options->entry, ret_exports, e);
    if (rc != 0) {
        js_program_destroy(p);
        return rc;
    }
    *ret_program = p;
    return 0;
}

void js_program_destroy(JsProgram *program)
{
    if (!program) {
        return;
    }
    for (size_t i = 0; i < program->loop_count; i++) {
        script_pool_destroy(program->loops[i].pool);
    }
    (void)pthread_mutex_destroy(&program->lock);
    script_program_destroy(program->script);
    free(program);
}

static ScriptPool *pool_of(JsProgram *p, Loop *loop)
{
    ScriptPool *pool = NULL;
    (void)pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < p->loop_count && !pool; i++) {
        pool = p->loops[i].loop == loop ? p->loops[i].pool : NULL;
    }
    if (!pool && p->loop_count < LOOPS_MAX) {
        pool = script_pool_create(p->script, loop,
                                  &(ScriptPoolOptions){.scripts_max = p->instances_max,
                                                       .idle_max = p->idle_max,
                                                       .check_leaks = p->check_leaks});
        p->loops[p->loop_count].loop = loop;
        p->loops[p->loop_count++].pool = pool;
    }
    (void)pthread_mutex_unlock(&p->lock);
    return pool;
}

int js_program_borrow(JsProgram *program, int64_t deadline_ns, JsLoan *ret_loan, Err *e)
{
    ret_loan->pool = pool_of(program, fiber_loop());
    if (!ret_loan->pool) {
        return err_set(e, ERR_LIMIT, "a script runs on at most %d threads", LOOPS_MAX);
    }
    int rc = script_pool_borrow(ret_loan->pool, deadline_ns, &ret_loan->script, e);
    ret_loan->collections = program->collections;
    ret_loan->collected = rc == 0 ? script_stats(ret_loan->script).collections : 0;
    return rc;
}

void js_program_give(JsLoan *loan)
{
    if (loan->collections) {
        uint64_t now = script_stats(loan->script).collections;
        (void)counter_add(loan->collections, (long)(now - loan->collected));
    }
    script_pool_give(loan->pool, loan->script);
}

// ---- shared by the host functions

static bool is_json(Slice data)
{
    Arena *arena = arena_create((size_t)1 << 30);
    const Doc *doc;
    DocOptions options = {.format = DOC_FORMAT_JSON, .max_bytes = data.len + 1};
    bool is = doc_parse(arena, data, &options, &doc, NULL) == 0;
    arena_destroy(arena);
    return is;
}

void js_append_data(Buf *json, Slice data)
{
    if (data.len == 0) {
        buf_puts(json, "null");
    } else if (is_json(data)) {
        buf_append(json, data);
    } else {
        json_quote(json, data);
    }
}

void js_return_data(ScriptCall *call, Slice data)
{
    // No value at all is undefined.
    if (data.len > 0 && script_return_json(call, data, NULL) != 0) {
        script_return_string(call, data);
    }
}

int js_duration_arg(ScriptCall *call, size_t index, int64_t *ret_ns, Err *e)
{
    double ms = 0;
    int rc = script_arg_to_number(call, index, "the time in milliseconds", &ms, e);
    if (rc == 0) {
        *ret_ns = !(ms > 0) ? 0 : ms >= (double)NEVER_NS / 1e6 ? NEVER_NS : (int64_t)(ms * 1e6);
    }
    return rc;
}

int js_log_args(ScriptCall *call, Slice name, Err *e)
{
    int rc = 0;
    Buf line = buf_create(LOG_BYTES_MAX);
    Buf part = buf_create((size_t)64 << 20);
    for (size_t i = 0; i < script_arg_count(call) && rc == 0; i++) {
        buf_reset(&part);
        rc = script_arg_to_text(call, i, &part, e);
        buf_puts(&line, i > 0 ? " " : "");
        buf_append(&line, slice_sub(buf_slice(&part), 0, line.max - line.len));
    }
    if (rc == 0) {
        LOG(LOG_INFO, "script says", log_text("name", name), log_text("text", buf_slice(&line)));
    }
    buf_done(&part);
    buf_done(&line);
    return rc;
}
