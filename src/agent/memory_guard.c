#include "agent/memory_guard.h"

#include <malloc.h>

#include "os/host.h"
#include "os/thread.h"

struct MemoryGuard {
    Runner *runner;
    int64_t limit_bytes;
    bool shedding;
    Loop *loop;
    Thread *thread;
    LoopTimer timer;
};

bool memory_guard_decide(int64_t limit_bytes, int64_t resident_bytes, bool shedding)
{
    return resident_bytes >= (shedding ? limit_bytes - limit_bytes / 20 : limit_bytes);
}

static void look(LoopTimer *timer)
{
    MemoryGuard *guard = CONTAINER_OF(timer, MemoryGuard, timer);
    HostLoad load;
    host_load(&load);
    bool shed = memory_guard_decide(guard->limit_bytes, load.rss_bytes, guard->shedding);
    if (shed && !guard->shedding) {
        (void)malloc_trim(0); // what is free already may be all that is over
    }
    guard->shedding = shed;
    runner_shed(guard->runner, shed);
    loop_timer_set(guard->loop, timer, loop_clock(guard->loop) + MEMORY_GUARD_LOOK_MS * NS_PER_MS);
}

static void guard_thread(void *arg)
{
    MemoryGuard *guard = arg;
    loop_run(guard->loop);
}

int memory_guard_start(Runner *runner, int64_t limit_bytes, MemoryGuard **ret_guard, Err *e)
{
    MemoryGuard *guard = mem_zalloc(sizeof *guard);
    guard->runner = runner;
    guard->limit_bytes = limit_bytes;
    int rc = loop_create(&(LoopOptions){0}, &guard->loop, e);
    if (rc == 0) {
        loop_timer_init(&guard->timer, look);
        look(&guard->timer); // a limit that is passed already holds from the first event on
        rc = thread_start("memory", THREAD_ANY_CPU, guard_thread, guard, &guard->thread, e);
    }
    if (rc != 0) {
        memory_guard_stop(guard);
        return rc;
    }
    *ret_guard = guard;
    return 0;
}

void memory_guard_stop(MemoryGuard *guard)
{
    if (!guard) {
        return;
    }
    if (guard->thread) {
        loop_stop(guard->loop);
        thread_join(guard->thread);
    }
    if (guard->loop) {
        loop_timer_cancel(guard->loop, &guard->timer);
    }
    loop_destroy(guard->loop);
    free(guard);
}
