#include "script/engine.h"

#include <assert.h>

struct ScriptPool {
    const ScriptProgram *program;
    ScriptPoolOptions options;
    Script *idle; // the one given back last comes first: its heap is warm
    FiberQueue waiters;
    ScriptPoolStats stats;
};

ScriptPool *script_pool_create(const ScriptProgram *program, Loop *loop,
                               const ScriptPoolOptions *options)
{
    ScriptPool *pool = mem_zalloc(sizeof *pool);
    pool->program = program;
    pool->options = options ? *options : (ScriptPoolOptions){0};
    ScriptPoolOptions *o = &pool->options;
    o->scripts_max = o->scripts_max ? o->scripts_max : SCRIPT_POOL_MAX;
    o->idle_max = o->idle_max ? o->idle_max : SCRIPT_POOL_IDLE;
    o->script.loop = loop;
    return pool;
}

static void discard(ScriptPool *pool, Script *script)
{
    script_engine_close(script, pool->options.check_leaks);
    free(script);
    pool->stats.alive--;
}

void script_pool_destroy(ScriptPool *pool)
{
    if (!pool) {
        return;
    }
    while (pool->idle) {
        Script *script = pool->idle;
        pool->idle = script->pool_next;
        discard(pool, script);
    }
    assert(pool->stats.alive == 0);
    free(pool);
}

// The place is taken before the script is made: its top level may wait, and others come meanwhile.
static int make(ScriptPool *pool, Script **ret_script, Err *e)
{
    pool->stats.alive++;
    Script *script;
    int rc = script_create(pool->program, &pool->options.script, &script, e);
    if (rc != 0) {
        pool->stats.alive--;
        (void)fiber_queue_wake_one(&pool->waiters);
        return rc;
    }
    script->pool = pool;
    pool->stats.created++;
    *ret_script = script;
    return 0;
}

int script_pool_borrow(ScriptPool *pool, int64_t deadline_ns, Script **ret_script, Err *e)
{
    while (!pool->idle && pool->stats.alive >= pool->options.scripts_max) {
        if (deadline_ns == 0 || !fiber_self()) {
            return err_set(e, ERR_FULL, "all %zu instances of %s are busy",
                           pool->options.scripts_max, pool->program->entry);
        }
        int rc = fiber_queue_wait(&pool->waiters, "instance of a script", deadline_ns);
        if (rc != 0) {
            return err_set(e, (ErrCode)rc, "all %zu instances of %s were busy%s",
                           pool->options.scripts_max, pool->program->entry,
                           rc == ERR_TIMEOUT ? " until the deadline" : "");
        }
    }
    pool->stats.borrowed++;
    if (!pool->idle) {
        return make(pool, ret_script, e);
    }
    Script *script = pool->idle;
    pool->idle = script->pool_next;
    pool->stats.idle--;
    pool->stats.idle_heap_bytes -= script->heap_bytes;
    *ret_script = script;
    return 0;
}

void script_pool_give(ScriptPool *pool, Script *script)
{
    assert(script->pool == pool && !script->busy);
    if (script->spent || pool->stats.idle >= pool->options.idle_max) {
        pool->stats.spent += script->spent;
        discard(pool, script);
    } else {
        script->pool_next = pool->idle;
        pool->idle = script;
        pool->stats.idle++;
        pool->stats.idle_heap_bytes += script->heap_bytes;
    }
    (void)fiber_queue_wake_one(&pool->waiters);
}

ScriptPoolStats script_pool_stats(const ScriptPool *pool)
{
    return pool->stats;
}
