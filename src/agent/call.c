// Calls: an event with somebody waiting for its answer. What handlers do with other agents.
//
// A handler that waits (for an answer, for room in a mailbox) holds no place under its agent's
// worker_limit meanwhile, and takes one again before it goes on. So agents that call or emit to
// each other in a circle never wait for each other's places.
#include "agent/runner_impl.h"

#include <assert.h>

enum {
    // Fibers of a shard that may wait for room at once. What would be one more goes over the bound
    // instead: the mailbox grows by at most this much, and emitters can never all wait for each
    // other.
    BLOCKED_MAX = 4096,
};

// ---- places

static void release_place(AgentContext *ctx)
{
    AgentContext *host = context_host(ctx);
    if (host->has_place) {
        host->has_place = false;
        slot_release(ctx->shard, ctx->job->slot);
    }
}

void context_leave_place(AgentContext *ctx, bool root)
{
    Shard *shard = ctx->shard;
    release_place(ctx);
    if (root && ctx->job->level != LEVEL_CALL) {
        shard->roots_running--;
        shard_wake_pump(shard);
    }
    worker_hand_over(ctx->worker);
}

void context_take_place(AgentContext *ctx, bool root)
{
    // Without a place only a cancelled handler goes on, and that only to unwind.
    AgentContext *host = context_host(ctx);
    if (!host->has_place) {
        host->has_place = slot_return(ctx->shard, ctx->job->slot);
    }
    if (root && ctx->job->level != LEVEL_CALL) {
        ctx->shard->roots_running++;
    }
}

// Before a wait for other agents.
static void leave_place_for_others(AgentContext *ctx)
{
    if (ctx->job->slot->def->keeps_place) {
        worker_hand_over(ctx->worker);
    } else {
        context_leave_place(ctx, false);
    }
}

static int wait_for_room(AgentContext *ctx, const Delivery *d, unsigned to)
{
    Shard *shard = ctx->shard;
    Slot *slot = to == shard->index ? slot_of(shard, d->def->id) : NULL;
    size_t blocked_max = shard->runner->options.fibers_max / 4;
    blocked_max = blocked_max < BLOCKED_MAX ? blocked_max : BLOCKED_MAX;
    int rc = 0;
    context_leave_place(ctx, true);
    shard->blocked++;
    while (rc == 0 && delivery_reserve(d, to) != 0) {
        if (shard->blocked > blocked_max) {
            (void)counter_add(def_depth(d->def, to), 1);
            break;
        }
        if (slot) {
            rc = fiber_queue_wait(&slot->room, "room in a mailbox", d->deadline_ns);
        } else {
            rc = fiber_sleep(REMOTE_ROOM_NS);
            if (rc == 0 && loop_clock(shard->loop) >= d->deadline_ns) {
                rc = ERR_TIMEOUT;
            }
        }
    }
    shard->blocked--;
    context_take_place(ctx, true);
    return rc;
}

int context_reserve(AgentContext *ctx, const Delivery *d, unsigned to)
{
    if (delivery_reserve(d, to) == 0) {
        return 0;
    }
    if (d->def->overflow == OVERFLOW_BLOCK) {
        return wait_for_room(ctx, d, to);
    }
    delivery_overflow(ctx->shard->runner, ctx->shard, d);
    return ERR_FULL;
}

// To another shard whose inbox may be full. On failure the place is given back.
int context_send(AgentContext *ctx, unsigned to, const Delivery *d)
{
    while (!deliver_there(ctx->shard->runner, ctx->shard, to, d)) {
        int rc = fiber_sleep(REMOTE_ROOM_NS);
        if (rc == 0 && loop_clock(ctx->shard->loop) >= d->deadline_ns) {
            rc = ERR_TIMEOUT;
        }
        if (rc != 0) {
            delivery_unreserve(d, to);
            return rc;
        }
    }
    return 0;
}

static int not_sent(AgentContext *ctx, int rc, const AgentDef *def, Err *e)
{
    (void)ctx;
    switch (rc) {
    case ERR_FULL:
        return err_set(e, ERR_FULL, "the mailbox of \"%s\" is full (%u events)", def->name,
                       def->mailbox_max);
    case ERR_TIMEOUT:
        return err_set(e, ERR_TIMEOUT, "the mailbox of \"%s\" stayed full to the deadline",
                       def->name);
    default:
        return err_set(e, ERR_CANCELLED,
                       "cancelled while waiting for room in the mailbox of \"%s\"", def->name);
    }
}

// ---- emit

static int refuse(AgentContext *ctx, int rc)
{
    counter_own_add(&ctx->shard->counts.refused, 1);
    return rc;
}

static uint64_t next_id(Shard *shard)
{
    return ((uint64_t)(shard->index + 1) << 48) | ++shard->next_id;
}

int agent_emit(AgentContext *ctx, const EventSpec *spec, Err *e)
{
    Shard *shard = ctx->shard;
    Delivery d = {.now_ns = shard_now(shard), .id = next_id(shard)};
    if (shard->cancelling) {
        return refuse(ctx, err_set(e, ERR_CLOSED, "the runner is stopping"));
    }
    int rc = delivery_check(shard->runner, spec, ctx->job, &d, e);
    if (rc != 0) {
        return refuse(ctx, rc);
    }
    unsigned to = delivery_shard(shard->runner, &d);
    if ((rc = context_reserve(ctx, &d, to)) != 0) {
        return not_sent(ctx, rc, d.def, e);
    }
    if (to == shard->index) {
        (void)deliver_here(shard, &d);
        return 0;
    }
    rc = context_send(ctx, to, &d);
    return rc ? not_sent(ctx, rc, d.def, e) : 0;
}

// ---- waits

static CallWait *wait_take(AgentContext *ctx, AgentCall *call, const AgentCallOptions *options)
{
    Shard *shard = ctx->shard;
    CallWait *wait = shard->free_waits;
    if (wait) {
        shard->free_waits = wait->next;
    } else {
        wait = mem_alloc(sizeof *wait);
    }
    *wait = (CallWait){.call = call, .ctx = ctx, .next = ctx->waits};
    if (options) {
        wait->on_chunk = options->on_chunk;
        wait->chunk_arg = options->chunk_arg;
    }
    if (wait->next) {
        wait->next->prev = wait;
    }
    ctx->waits = wait;
    call->wait = wait;
    call->done = false;
    call->result = (AgentResult){.code = 0};
    return wait;
}

static void wait_unlink(CallWait *wait)
{
    if (wait->ctx) {
        *(wait->prev ? &wait->prev->next : &wait->ctx->waits) = wait->next;
        if (wait->next) {
            wait->next->prev = wait->prev;
        }
        wait->ctx = NULL;
    }
}

static void wait_give(Shard *shard, CallWait *wait)
{
    wait_unlink(wait);
    wait->next = shard->free_waits;
    shard->free_waits = wait;
}

void waits_destroy(Shard *shard)
{
    while (shard->free_waits) {
        CallWait *wait = shard->free_waits;
        shard->free_waits = wait->next;
        free(wait);
    }
}

// The answer is in: whoever waits goes on.
static void wait_done(Shard *shard, CallWait *wait)
{
    if (wait->call) {
        wait->call->done = true;
        wait->call->wait = NULL;
        if (wait->fiber) {
            fiber_resume(wait->fiber);
        }
    }
    wait_give(shard, wait);
}

static void set_reason(AgentResult *result, const char *reason)
{
    size_t len = strlen(reason);
    len = len < sizeof result->reason ? len : sizeof result->reason - 1;
    memcpy(result->reason, reason, len);
    result->reason[len] = '\0';
}

static void set_data(AgentResult *result, Bytes *bytes, const char *data, size_t len)
{
    result->bytes = bytes;
    if (!bytes) {
        memcpy(result->inline_data, data, len);
    }
    result->data = bytes ? bytes_slice(bytes) : (Slice){result->inline_data, len};
}

void wait_finish_local(Shard *shard, CallWait *wait, int code, const char *reason,
                       AgentContext *ctx, State *state)
{
    AgentCall *call = wait->call;
    if (call) {
        call->result.code = code;
        set_reason(&call->result, reason);
        if (ctx) {
            set_data(&call->result, ctx->reply_bytes, ctx->reply_inline, ctx->reply_len);
            ctx->reply_bytes = NULL;
        }
        call->result.state = *state;
        state->root = NULL;
    }
    wait_done(shard, wait);
}

void wait_finish_remote(Shard *shard, CallWait *wait, Message *m)
{
    AgentCall *call = wait->call;
    if (call) {
        call->result.code = m->code;
        set_reason(&call->result, m->reason);
        set_data(&call->result, m->event.bytes, m->event.inline_data, m->event.inline_len);
        call->result.state = (State){.root = m->state};
    } else {
        bytes_unref(m->event.bytes);
        state_done(&(State){.root = m->state});
    }
    wait_done(shard, wait);
}

// Nobody waits for it any more.
static void wait_abandon(Shard *shard, CallWait *wait)
{
    wait->call = NULL;
    wait->fiber = NULL;
    wait_unlink(wait);
    Job *job = wait->job;
    if (!job) { // its answer will come, and end it
        Message m;
        m.kind = MESSAGE_CANCEL;
        m.id = wait->event_id;
        shard_send(shard, wait->shard, &m);
        return;
    }
    job->reply.kind = REPLY_NONE;
    job->abandoned = true;
    wait_give(shard, wait);
    job_cancel(shard, job, CANCEL_ABANDONED);
}

void context_leave_call(AgentContext *ctx, AgentCall *call)
{
    CallWait *wait = call->wait;
    if (wait) {
        assert(wait->job);                  // an attempt is of this shard
        wait->job->reply.kind = REPLY_NONE; // but not abandoned: it must not hear of it
        call->wait = NULL;
        call->done = true;
        wait_give(ctx->shard, wait);
    }
    agent_result_done(&call->result);
}

void context_drop_calls(AgentContext *ctx)
{
    while (ctx->waits) {
        wait_abandon(ctx->shard, ctx->waits);
    }
}

// ---- call

static int check_depth(const AgentContext *ctx, const AgentDef *def, Err *e)
{
    unsigned max = ctx->shard->runner->options.call_depth_max;
    if (ctx->job->event.depth < max) {
        return 0;
    }
    return err_set(e, ERR_LIMIT,
                   "\"%s\" calls \"%s\" inside %u other calls; do the agents call each other in a "
                   "circle? (call_depth_max is %u)",
                   ctx->job->slot->def->name, def->name, ctx->job->event.depth, max);
}

// Everything about a call but where it goes.
static int prepare_call(AgentContext *ctx, const EventSpec *spec, const AgentCallOptions *options,
                        Delivery *d, Err *e)
{
    Shard *shard = ctx->shard;
    const Event *event = &ctx->job->event;
    *d = (Delivery){.now_ns = shard_now(shard), .id = next_id(shard)};
    if (shard->cancelling) {
        return refuse(ctx, err_set(e, ERR_CLOSED, "the runner is stopping"));
    }
    int rc = delivery_check(shard->runner, spec, ctx->job, d, e);
    if (rc != 0 || (rc = check_depth(ctx, d->def, e)) != 0) {
        return refuse(ctx, rc);
    }
    d->depth = (uint16_t)(event->depth + 1);
    d->hops = event->hops;
    d->state = options ? options->state : NULL;
    d->deadline_ns = d->deadline_ns < event->deadline_ns ? d->deadline_ns : event->deadline_ns;
    return 0;
}

static int start_call(AgentContext *ctx, Delivery *d, unsigned to, const AgentCallOptions *options,
                      AgentCall *call, Err *e)
{
    Shard *shard = ctx->shard;
    int rc = context_reserve(ctx, d, to);
    if (rc != 0) {
        return not_sent(ctx, rc, d->def, e);
    }
    CallWait *wait = wait_take(ctx, call, options);
    wait->shard = to;
    wait->event_id = d->id;
    wait->deadline_ns = d->deadline_ns;
    d->reply = (Reply){.kind = REPLY_LOCAL, .wait = wait, .wants_chunks = wait->on_chunk != NULL};
    if (to == shard->index) {
        wait->job = deliver_here(shard, d);
        return 0;
    }
    d->reply.kind = REPLY_REMOTE;
    d->reply.shard = (uint16_t)shard->index;
    if ((rc = context_send(ctx, to, d)) != 0) {
        wait_give(shard, wait);
        call->wait = NULL;
        return not_sent(ctx, rc, d->def, e);
    }
    return 0;
}

int agent_call_start(AgentContext *ctx, const EventSpec *spec, const AgentCallOptions *options,
                     AgentCall *call, Err *e)
{
    Delivery d;
    int rc = prepare_call(ctx, spec, options, &d, e);
    if (rc != 0) {
        return rc;
    }
    return start_call(ctx, &d, delivery_shard(ctx->shard->runner, &d), options, call, e);
}

void context_spawn_attempt(AgentContext *ctx, const State *begin, unsigned attempt,
                           int64_t deadline_ns, AgentCall *call)
{
    Shard *shard = ctx->shard;
    const Job *from = ctx->job;
    CallWait *wait = wait_take(ctx, call, NULL);
    Job *job = (Job *)(void *)event_pool_take(shard->events);
    job->event = from->event;
    if (job->event.bytes) {
        (void)bytes_ref(job->event.bytes);
    }
    job->state = state_clone(begin);
    job->reply = (Reply){.kind = REPLY_LOCAL, .wait = wait};
    job->worker = NULL;
    job->abandoned = false;
    job->is_attempt = true;
    job->attempt = attempt;
    job->level = LEVEL_CALL;
    job->event.deadline_ns = deadline_ns;
    wait->job = job;
    wait->shard = shard->index;
    wait->deadline_ns = deadline_ns;
    // It is over the mailbox's bound: the event it belongs to was let in before.
    (void)counter_add(def_depth(from->slot->def, shard->index), 1);
    slot_put(shard, from->slot, job);
}

static void give_up(AgentContext *ctx, AgentCall *call, int code)
{
    CallWait *wait = call->wait;
    call->wait = NULL;
    call->done = true;
    call->result.code = code;
    set_reason(&call->result, code == ERR_TIMEOUT ? "no answer before its deadline" : "cancelled");
    wait_abandon(ctx->shard, wait);
}

int agent_call_wait(AgentContext *ctx, AgentCall *call)
{
    if (call->done) {
        return call->result.code;
    }
    assert(call->wait && call->wait->ctx == ctx);
    leave_place_for_others(ctx);
    int rc = 0;
    while (rc == 0 && !call->done) {
        call->wait->fiber = ctx->worker->fiber;
        rc = fiber_park("an answer", call->wait->deadline_ns);
    }
    if (!call->done) {
        give_up(ctx, call, rc);
    }
    context_take_place(ctx, false);
    return call->result.code;
}

// The index of one that is done; else that of the one with the earliest deadline, and *ret_done is
// false; ERR_ARG when all are NULL.
static int look_for_answer(AgentCall *const *calls, size_t count, bool *ret_done)
{
    int first = ERR_ARG;
    *ret_done = false;
    for (size_t i = 0; i < count; i++) {
        if (calls[i] && calls[i]->done) {
            *ret_done = true;
            return (int)i;
        }
        if (calls[i] &&
            (first < 0 || calls[i]->wait->deadline_ns < calls[first]->wait->deadline_ns)) {
            first = (int)i;
        }
    }
    return first;
}

static void set_waiter(AgentCall *const *calls, size_t count, Fiber *fiber)
{
    for (size_t i = 0; i < count; i++) {
        if (calls[i] && calls[i]->wait) {
            calls[i]->wait->fiber = fiber;
        }
    }
}

int agent_call_wait_any(AgentContext *ctx, AgentCall *const *calls, size_t count)
{
    bool done;
    int which = look_for_answer(calls, count, &done);
    if (done || which < 0) {
        return which;
    }
    leave_place_for_others(ctx);
    set_waiter(calls, count, ctx->worker->fiber);
    int rc = 0;
    while (rc == 0 && !done) {
        rc = fiber_park("one of several answers", calls[which]->wait->deadline_ns);
        if (rc == ERR_TIMEOUT) {
            rc = 0;
            if (!calls[which]->done) { // the answer may have come in the same round
                give_up(ctx, calls[which], ERR_TIMEOUT);
            }
        }
        which = look_for_answer(calls, count, &done);
    }
    // Or a later answer would wake this fiber from something else.
    set_waiter(calls, count, NULL);
    context_take_place(ctx, false);
    return done ? which : rc;
}

void agent_call_drop(AgentContext *ctx, AgentCall *call)
{
    if (!call->done && call->wait) {
        give_up(ctx, call, ERR_CANCELLED);
    }
    agent_result_done(&call->result);
}

// A callee with a free place and an empty mailbox, on a stack that is not deep yet.
static bool may_run_here(const AgentContext *ctx, const Slot *slot)
{
    ptrdiff_t used = ctx->worker->stack - (const char *)__builtin_frame_address(0);
    return slot->queued == 0 && slot->running < slot->limit && used < INLINE_STACK_BYTES &&
           !slot_batches(slot);
}

// The callee as a function call: no mailbox, no other fiber.
static void call_here(AgentContext *ctx, Delivery *d, Slot *slot, const AgentCallOptions *options,
                      AgentResult *ret_result)
{
    Shard *shard = ctx->shard;
    d->reply = (Reply){.kind = REPLY_INLINE, .result = ret_result};
    if (options) {
        d->reply.on_chunk = options->on_chunk;
        d->reply.arg = options->chunk_arg;
    }
    Job *job = deliver_at_once(shard, slot, d);
    AgentContext inner;
    shard->fresh = true; // d->now_ns is of this moment
    job_run(ctx->worker, job, &inner);
    context_take_place(ctx, false);
}

int agent_call(AgentContext *ctx, const EventSpec *spec, const AgentCallOptions *options,
               AgentResult *ret_result, Err *e)
{
    Delivery d;
    ret_result->code = 0; // field by field: the inline bytes are many and need no zeroes
    ret_result->reason[0] = '\0';
    ret_result->data = (Slice){0};
    ret_result->bytes = NULL;
    ret_result->state = state_create();
    int rc = prepare_call(ctx, spec, options, &d, e);
    unsigned to = rc == 0 ? delivery_shard(ctx->shard->runner, &d) : 0;
    AgentCall call;
    if (rc == 0 && to == ctx->shard->index) {
        Slot *slot = slot_of(ctx->shard, d.def->id);
        if (!ctx->job->slot->def->keeps_place) {
            release_place(ctx); // the callee may be this very agent
        }
        if (may_run_here(ctx, slot)) {
            call_here(ctx, &d, slot, options, ret_result);
            rc = ret_result->code;
            return rc ? err_set(e, (ErrCode)rc, "%s", ret_result->reason) : 0;
        }
        context_take_place(ctx, false);
    }
    if (rc != 0 || (rc = start_call(ctx, &d, to, options, &call, e)) != 0) {
        ret_result->code = rc;
        set_reason(ret_result, e ? e->text : err_name(rc));
        return rc;
    }
    rc = agent_call_wait(ctx, &call);
    *ret_result = call.result;
    if (!call.result.bytes) {
        ret_result->data.ptr = ret_result->inline_data;
    }
    return rc ? err_set(e, (ErrCode)rc, "%s", call.result.reason) : 0;
}

void agent_result_done(AgentResult *result)
{
    bytes_unref(result->bytes);
    result->bytes = NULL;
    result->data = (Slice){0};
    state_done(&result->state);
}
