// Calls: an Op is one call on the policy block of an edge or, as a gate, of a service. Where the
// block does nothing ("plain") the call is one request and its answer, and call_step with its state
// of four cache lines is left out; what the block counts is counted all the same.
#include "policy/virtual_impl.h"

#include <assert.h>

// ---- tasks

int32_t task_new(Virtual *v, uint64_t luck, uint32_t client)
{
    int32_t at = v->task_free;
    if (at == NONE) {
        uint32_t room = v->task_room;
        v->tasks = virtual_grown(v->tasks, v->task_count, &v->task_room, sizeof *v->tasks);
        if (room != v->task_room) {
            size_t row = v->service_count * sizeof *v->task_counts;
            v->task_counts = mem_realloc(v->task_counts, v->task_room * row + 1);
        }
        at = (int32_t)v->task_count++;
    } else {
        v->task_free = v->tasks[at].next_free;
    }
    v->tasks[at] = (Task){.luck = luck,
                          .refs = 1,
                          .client = client,
                          .user = NONE,
                          .priority = POLICY_PRIORITY_DEFAULT};
    uint16_t *counts = v->task_counts + (size_t)at * v->service_count;
    for (uint32_t i = 0; i < v->service_count; i++) {
        counts[i] = 0;
    }
    v->tasks_open++;
    return at;
}

// ---- blocks

bool policy_is_plain(const PolicyBlock *b)
{
    const ParamValue *p = b->p;
    return b->active == 0 && p[P_TIMEOUT_CALL].integer == 0 && p[P_TIMEOUT_ATTEMPT].integer == 0 &&
           p[P_RETRY_ATTEMPTS].integer == 1 && p[P_LIMIT_KIND].integer == LIMIT_NONE &&
           !p[P_RATE_HOLD_ON_THROTTLE].boolean && b->queue.count == 0 && b->flight.count == 0;
}

static bool place_is_plain(const Virtual *v, uint32_t place)
{
    return place & GATE ? v->services[place & ~GATE].plain : v->edges[place].plain;
}

// ---- slots

static int32_t op_new(Virtual *v)
{
    int32_t at = v->op_free;
    if (at != NONE) {
        v->op_free = v->ops[at].next;
    } else {
        uint32_t room = v->op_room;
        v->ops = virtual_grown(v->ops, v->op_count, &v->op_room, sizeof *v->ops);
        if (room != v->op_room) {
            v->states = mem_realloc(v->states, v->op_room * sizeof *v->states);
            memset(v->states + room, 0, (v->op_room - room) * sizeof *v->states);
            event_heap_room(&v->heap, NODE_TIMER, v->op_room);
            event_heap_room(&v->heap, NODE_CANCEL, v->op_room);
        }
        at = (int32_t)v->op_count++;
    }
    v->ops_open++;
    v->overflowed = v->overflowed || v->ops_open + v->requests_open > v->open_max;
    return at;
}

static void op_free(Virtual *v, int32_t at)
{
    Op *op = &v->ops[at];
    if (op->armed & ARMED_TIMER) {
        event_heap_remove(&v->heap, event_node(NODE_TIMER, (uint32_t)at));
    }
    if (op->armed & ARMED_CANCEL) {
        event_heap_remove(&v->heap, event_node(NODE_CANCEL, (uint32_t)at));
    }
    task_unref(v, op->task);
    op->next = v->op_free;
    v->op_free = at;
    v->ops_open--;
}

static void link_child(Virtual *v, int32_t at, int32_t parent)
{
    Request *r = &v->requests[parent];
    v->ops[at].previous = NONE;
    v->ops[at].next = r->child;
    if (r->child != NONE) {
        v->ops[r->child].previous = at;
    }
    r->child = at;
}

static void unlink_child(Virtual *v, const Op *op)
{
    *(op->previous == NONE ? &v->requests[op->parent].child : &v->ops[op->previous].next) =
        op->next;
    if (op->next != NONE) {
        v->ops[op->next].previous = op->previous;
    }
}

// ---- the end

static void tell_hooks(Virtual *v, const Op *op, CallReason reason, int code, uint32_t attempts)
{
    VirtualEnd end = {.client = v->tasks[op->task].client,
                      .edge = op->place & GATE ? VIRTUAL_NONE : op->place,
                      .serial = op->serial,
                      .started_ns = op->started_ns,
                      .ended_ns = v->now,
                      .reason = reason,
                      .code = code,
                      .attempts = attempts};
    if (op->root && v->hooks.answered && end.client != VIRTUAL_NONE) {
        v->hooks.answered(v->hooks.context, v, &end);
    }
    if (v->hooks.ended) {
        v->hooks.ended(v->hooks.context, v, &end);
    }
}

static void ended(Virtual *v, int32_t at, CallReason reason, int code, uint32_t attempts)
{
    Op *op = &v->ops[at];
    // No attempt outlives its call: NONE is all ones.
    assert((op->live[0] & op->live[1] & op->live[2] & op->live[3]) == NONE);
    if (op->parent != NONE) {
        unlink_child(v, op);
        virtual_note(v, (Note){.kind = NOTE_CHILD,
                               .request = op->parent,
                               .life = v->requests[op->parent].life,
                               .code = code,
                               .target = op->target,
                               .left = op->left});
        op->parent = NONE;
    } else if (op->root) {
        const Task *t = &v->tasks[op->task];
        if (t->client != VIRTUAL_NONE) {
            client_answered(v, t->client, t->user, reason);
        }
    }
    if (v->hooks.answered || v->hooks.ended) {
        tell_hooks(v, op, reason, code, attempts);
    }
}

// ---- through call_step

static void trace(Virtual *v, const Op *op, const CallAction *a)
{
    uint64_t words[] = {(uint64_t)v->now, op->serial,
                        (uint64_t)a->kind << 32 | (uint64_t)a->attempt << 8 | (uint64_t)a->reason,
                        (uint64_t)a->at_ns};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        v->trace = (v->trace ^ words[i]) * UINT64_C(0x9E3779B97F4A7C15);
        v->trace ^= v->trace >> 29;
    }
}

static void give_up(Virtual *v, int32_t at, uint32_t attempt)
{
    const Op *op = &v->ops[at];
    for (int i = 0; i < CALL_LIVE_MAX; i++) {
        if (op->live[i] != NONE && v->requests[op->live[i]].attempt == attempt) {
            request_cancel(v, op->live[i], op_tells(v, op));
            return;
        }
    }
}

static void perform(Virtual *v, int32_t at, const CallAction *a)
{
    if (v->trace_on) {
        trace(v, &v->ops[at], a);
    }
    if (v->hooks.action) {
        v->hooks.action(v->hooks.context, v, v->ops[at].serial, a);
    }
    switch (a->kind) {
    case CALL_DO_START: request_begin(v, at, a->attempt, a->at_ns); break;
    case CALL_DO_CANCEL: give_up(v, at, a->attempt); break;
    case CALL_DO_TIMER:
        v->ops[at].armed |= ARMED_TIMER;
        virtual_wake_at(v, NODE_TIMER, (uint32_t)at, a->at_ns);
        break;
    case CALL_DO_QUEUED:
    case CALL_DO_STORE: break;
    case CALL_DO_COMPLETE: ended(v, at, a->reason, a->code, v->states[at].attempts); break;
    }
}

// What it did, but for setting the timer.
static uint32_t step(Virtual *v, int32_t at, const CallEvent *event)
{
    PolicyBlock *b = op_block(v, &v->ops[at]);
    CallActions todo;
    uint32_t did = 0;
    v->steps++;
    call_step(b, &v->states[at], event, v->now, &todo);
    bool over = call_is_done(&v->states[at]);
    for (uint32_t i = 0; i < todo.count; i++) {
        did += todo.list[i].kind != CALL_DO_TIMER;
        perform(v, at, &todo.list[i]);
    }
    if (todo.drain) {
        virtual_drain(v, b);
    }
    if (over) {
        op_free(v, at);
    }
    return did;
}

void virtual_drain(Virtual *v, PolicyBlock *block)
{
    if (block->draining) {
        return;
    }
    block->draining = true;
    for (CallWork w; policy_next_work(block, v->now, &w);) {
        if (w.slot == CACHE_NONE) {
            (void)step(v, (int32_t)w.handle, &w.event);
        }
    }
    block->draining = false;
}

void op_timer(Virtual *v, int32_t at)
{
    v->ops[at].armed &= (uint8_t)~ARMED_TIMER;
    if (step(v, at, &(CallEvent){.kind = CALL_TIMER}) == 0) {
        v->events--; // too early: the call was waiting for something later meanwhile
    }
}

// ---- plain calls

static void plain_begin(Virtual *v, int32_t at, int64_t deadline_ns)
{
    PolicyBlock *b = op_block(v, &v->ops[at]);
    LimitState *limit = &b->limit;
    b->started++;
    b->attempts++;
    limit->in_flight++;
    limit->peak = limit->in_flight > limit->peak ? limit->in_flight : limit->peak;
    request_begin(v, at, 0, deadline_ns > 0 ? deadline_ns : CALL_NEVER);
}

static void plain_end(Virtual *v, int32_t at, CallReason reason, int code)
{
    PolicyBlock *b = op_block(v, &v->ops[at]);
    uint32_t place = v->ops[at].place;
    b->ended[reason]++;
    b->limit.in_flight--;
    ended(v, at, reason, code, 1);
    op_free(v, at);
    if (!place_is_plain(v, place)) {
        virtual_drain(v, b); // a limit came meanwhile, and this was one of its places
    }
}

// A deadline needs no timer where the caller's attempt ends with it and takes this call along.
static bool may_be_plain(const Virtual *v, const CallFrom *from, int64_t deadline_ns)
{
    if (!place_is_plain(v, from->place) || v->trace_on || v->hooks.action) {
        return false;
    }
    return deadline_ns <= 0 || (from->parent != NONE &&
                                !v->services[v->requests[from->parent].service].is.ignores_cancel);
}

// ---- for the rest of the world

int32_t op_start(Virtual *v, const CallFrom *from, const CallOptions *options, int32_t task)
{
    int32_t at = op_new(v);
    Op *op = &v->ops[at];
    op->serial = v->serial++;
    op->started_ns = v->now;
    op->task = task;
    op->parent = from->parent;
    op->place = from->place;
    op->target = from->target;
    op->left = from->left;
    op->root = from->parent == NONE;
    op->orphan = from->orphan;
    op->armed = 0;
    memset(op->live, 0xff, sizeof op->live); // NONE
    v->tasks[task].refs++;
    if (from->parent != NONE) {
        link_child(v, at, from->parent);
    }
    op->plain = may_be_plain(v, from, options->deadline_ns);
    if (op->plain) {
        plain_begin(v, at, options->deadline_ns);
        return at;
    }
    CallOptions mine = *options;
    mine.handle = (uint64_t)at;
    v->states[at].stage = CALL_STAGE_NEW;
    (void)step(v, at, &(CallEvent){.kind = CALL_START, .start = &mine});
    return at;
}

void op_attempt_done(Virtual *v, int32_t at, const Request *r, int64_t retry_after_ns)
{
    if (v->ops[at].plain) {
        plain_end(v, at, r->outcome == CALL_SUCCESS ? CALL_OK : CALL_FAILED, r->code);
        return;
    }
    CallEvent done = {.kind = CALL_ATTEMPT_DONE,
                      .attempt = r->attempt,
                      .outcome = (CallOutcome)r->outcome,
                      .code = r->code,
                      .slot = CACHE_NONE,
                      .retry_after_ns = retry_after_ns,
                      .bytes = v->services[r->service].is.answer_bytes};
    (void)step(v, at, &done);
}

void op_cancel(Virtual *v, int32_t at)
{
    Op *op = &v->ops[at];
    if (op->plain) {
        request_cancel(v, op->live[0], op_tells(v, op));
        plain_end(v, at, CALL_CANCELLED, ERR_CANCELLED);
    } else {
        (void)step(v, at, &(CallEvent){.kind = CALL_CANCEL});
    }
}

void op_mark_orphan(Virtual *v, int32_t at)
{
    Op *op = &v->ops[at];
    op->orphan = true;
    for (int i = 0; i < CALL_LIVE_MAX; i++) {
        if (op->live[i] != NONE) {
            request_mark_orphan(v, op->live[i]);
        }
    }
}

uint64_t virtual_call(Virtual *v, uint32_t edge, const CallOptions *options)
{
    uint64_t serial = v->serial;
    uint64_t name = options->task ? options->task : serial + 1;
    int32_t task = task_new(v, luck_key(luck_key(v->seed, 0), name), VIRTUAL_NONE);
    CallOptions mine = *options;
    mine.task = v->tasks[task].luck;
    v->tasks[task].key = options->key;
    v->tasks[task].priority = options->priority ? options->priority : POLICY_PRIORITY_DEFAULT;
    (void)op_start(v, &(CallFrom){.parent = NONE, .place = edge}, &mine, task);
    task_unref(v, task);
    return serial;
}
