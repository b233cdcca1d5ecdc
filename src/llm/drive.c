#include "llm/drive.h"

static LlmDrive *drive_of(uint64_t handle)
{
    return (LlmDrive *)(uintptr_t)handle;
}

static void on_complete(LlmDrive *d, const CallAction *action)
{
    d->ended = true;
    d->end = *action;
    d->timer_ns = NEVER_NS;
    bool taken = action->reason == CALL_CACHED || action->reason == CALL_SHARED;
    if (taken && d->hooks) {
        LlmDrive *leader = action->reason == CALL_SHARED ? drive_of(action->leader) : NULL;
        d->hooks->take(d->hooks->ctx, d, action->slot, leader);
    }
}

static void step(LlmDrive *d, const CallEvent *event)
{
    CallActions todo;
    int64_t now = loop_clock(d->loop);
    call_step(d->block, &d->call, event, now, &todo);
    for (uint32_t i = 0; i < todo.count; i++) {
        const CallAction *a = &todo.list[i];
        switch (a->kind) {
        case CALL_DO_START:
            d->begin = true;
            d->attempt = a->attempt;
            d->until_ns = a->at_ns;
            break;
        case CALL_DO_CANCEL: d->begin = false; break;
        case CALL_DO_TIMER: d->timer_ns = a->at_ns; break;
        case CALL_DO_QUEUED: break;
        case CALL_DO_STORE:
            if (d->hooks) {
                d->hooks->store(d->hooks->ctx, d, a->slot);
            }
            break;
        case CALL_DO_COMPLETE: on_complete(d, a); break;
        }
    }
    if (d->fiber && (d->begin || d->ended)) {
        fiber_resume(d->fiber);
    }
    PolicyBlock *block = d->block;
    if (!todo.drain || block->draining) {
        return; // a loop further up the stack goes on: a whole queue may leave in it, one by one
    }
    block->draining = true;
    for (CallWork work; policy_next_work(block, now, &work);) {
        if (work.slot == CACHE_NONE) {
            step(drive_of(work.handle), &work.event);
        } else if (d->hooks) {
            d->hooks->drop(d->hooks->ctx, work.slot);
        }
    }
    block->draining = false;
}

void llm_drive_start(LlmDrive *drive, PolicyBlock *block, Loop *loop, const LlmDriveHooks *hooks,
                     const CallOptions *options)
{
    void *owner = drive->owner;
    *drive = (LlmDrive){
        .block = block, .loop = loop, .hooks = hooks, .timer_ns = NEVER_NS, .owner = owner};
    CallOptions start = *options;
    start.handle = (uint64_t)(uintptr_t)drive;
    step(drive, &(CallEvent){.kind = CALL_START, .start = &start, .slot = CACHE_NONE});
}

bool llm_drive_wait(LlmDrive *drive)
{
    while (!drive->begin && !drive->ended) {
        drive->fiber = fiber_self();
        int rc = fiber_park("llm policy", drive->timer_ns);
        drive->fiber = NULL;
        if (rc == ERR_TIMEOUT) {
            drive->timer_ns = NEVER_NS; // the step sets the next one
            step(drive, &(CallEvent){.kind = CALL_TIMER, .slot = CACHE_NONE});
        } else if (rc == ERR_CANCELLED) {
            llm_drive_cancel(drive);
        }
    }
    bool begin = drive->begin && !drive->ended;
    drive->begin = false;
    return begin;
}

void llm_drive_done(LlmDrive *drive, const CallEvent *event)
{
    if (event->outcome != CALL_SUCCESS && loop_clock(drive->loop) >= drive->until_ns) {
        step(drive, &(CallEvent){.kind = CALL_TIMER, .slot = CACHE_NONE});
        if (drive->ended || drive->call.live_count == 0) {
            return; // the policy saw the timeout itself
        }
    }
    CallEvent done = *event;
    done.kind = CALL_ATTEMPT_DONE;
    done.attempt = drive->attempt;
    done.slot = CACHE_NONE;
    step(drive, &done);
}

void llm_drive_commit(LlmDrive *drive)
{
    step(drive, &(CallEvent){.kind = CALL_COMMIT, .attempt = drive->attempt, .slot = CACHE_NONE});
}

void llm_drive_cancel(LlmDrive *drive)
{
    if (!drive->ended) {
        step(drive, &(CallEvent){.kind = CALL_CANCEL, .slot = CACHE_NONE});
    }
}
