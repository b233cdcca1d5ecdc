#include "agent/policed.h"

#include <assert.h>

// Two keys make 128 bits of cache key out of a 64-bit hash.
static const uint64_t KEY_HIGH = 0x706f6c6963656431u, KEY_LOW = 0x706f6c6963656432u;

typedef struct Attempt {
    uint32_t number;
    bool live;
    AgentCall call; // done: it waits to be reported
} Attempt;

// One call of the policy, on the stack of the fiber that runs the job.
struct PolicedRun {
    Policed *policed;
    AgentContext *ctx;
    CallState call;
    State begin; // every attempt begins with it
    int64_t timer_ns;
    bool start_pending;
    uint32_t start_number;
    bool inline_live;      // the handler is running on this fiber
    bool inline_cancelled; // and its attempt was given up
    bool parked;           // this fiber waits in drive()
    bool completed;
    int code;
    CallReason reason;
    Attempt attempts[CALL_LIVE_MAX + 1]; // hedged: each a job
    size_t attempt_count;
};

static void step(PolicedRun *run, const CallEvent *event, int64_t now_ns);

// ---- life

static void on_scale(LoopTimer *timer)
{
    Policed *p = CONTAINER_OF(timer, Policed, scale_timer);
    Slot *slot = p->slot;
    const ParamValue *values = p->block->p;
    int64_t now = loop_clock(p->shard->loop);
    if (values[P_SCALE_TARGET].real <= 0) {
        return;
    }
    double load = (double)(slot->running + slot->queued) / (double)slot->limit;
    slot_set_limit(p->shard, slot,
                   autoscale_step(policy_autoscale(p->block), values, slot->limit, load, now));
    if (slot->running + slot->queued > 0) {
        loop_timer_set(p->shard->loop, timer, clock_deadline(now, values[P_SCALE_PERIOD].integer));
    }
}

// An agent at rest needs no timer: its next event starts it again.
static void scale_watch(Policed *p)
{
    const ParamValue *values = p->block->p;
    if (values[P_SCALE_TARGET].real > 0 && !loop_timer_is_set(&p->scale_timer)) {
        if (p->slot->limit == UINT32_MAX) {
            slot_set_limit(p->shard, p->slot, (uint32_t)values[P_SCALE_MIN].integer);
        }
        int64_t due = clock_deadline(loop_clock(p->shard->loop), values[P_SCALE_PERIOD].integer);
        loop_timer_set(p->shard->loop, &p->scale_timer, due);
    }
}

static void drain(Policed *p, int64_t now_ns)
{
    for (CallWork work; policy_next_work(p->block, now_ns, &work);) {
        policed_work(p, &work, now_ns);
    }
}

static void on_program(LoopTimer *timer)
{
    Policed *p = CONTAINER_OF(timer, Policed, program_timer);
    int64_t now = loop_clock(p->shard->loop);
    policy_program_tick(p->block, now);
    drain(p, now);
    slot_batch_changed(p->slot);
    if (policy_program_due(p->block) != INT64_MAX) {
        loop_timer_set(p->shard->loop, timer, policy_program_due(p->block));
    }
}

int policed_set_program(Policed *policed, const PolicyProgram *program, const ProgramRange *ranges,
                        size_t range_count, Err *e)
{
    Loop *loop = policed->shard->loop;
    int rc = policy_set_program(policed->block, program, ranges, range_count, loop_clock(loop), e);
    loop_timer_cancel(loop, &policed->program_timer);
    if (rc == 0 && program) {
        loop_timer_set(loop, &policed->program_timer, policy_program_due(policed->block));
    }
    return rc;
}

Policed *policed_create(Shard *shard, Slot *slot, const ParamValue *values)
{
    ParamValue defaults[POLICY_PARAM_COUNT];
    if (!values) {
        policy_defaults(defaults);
        values = defaults;
    }
    PolicyShape shape = policy_shape(values);
    shape = policy_shape_max(&shape, &shard->runner->options.policy_room);
    Policed *p = mem_zalloc(sizeof *p);
    p->shard = shard;
    p->slot = slot;
    size_t bytes = (policy_bytes(&shape) + 63) / 64 * 64;
    p->block = aligned_alloc(64, bytes);
    if (!p->block) {
        die("out of memory for %zu bytes", bytes);
    }
    uint64_t seed = mix64(shard->runner->options.seed + slot->def->id);
    policy_init(p->block, &shape, values, seed, loop_clock(shard->loop));
    p->answer_count = shape.cache;
    p->answers = mem_zalloc((shape.cache + 1u) * sizeof *p->answers);
    loop_timer_init(&p->scale_timer, on_scale);
    loop_timer_init(&p->program_timer, on_program);
    return p;
}

static void answer_drop(PolicedAnswer *answer)
{
    bytes_unref(answer->bytes);
    answer->bytes = NULL;
    state_done(&answer->state);
}

void policed_destroy(Policed *policed)
{
    if (!policed) {
        return;
    }
    loop_timer_cancel(policed->shard->loop, &policed->scale_timer);
    loop_timer_cancel(policed->shard->loop, &policed->program_timer);
    for (uint32_t i = 0; i < policed->answer_count; i++) {
        answer_drop(&policed->answers[i]);
    }
    free(policed->answers);
    free(policed->block);
    free(policed);
}

// ---- actions

static Bytes *context_answer(const AgentContext *ctx)
{
    return ctx->reply_bytes ? bytes_ref(ctx->reply_bytes)
                            : bytes_copy((Slice){ctx->reply_inline, ctx->reply_len});
}

static void take_answer(AgentContext *ctx, const PolicedAnswer *answer)
{
    int rc = answer->bytes ? agent_reply(ctx, bytes_slice(answer->bytes)) : 0;
    assert(rc == 0); // it was a reply before
    (void)rc;
    State *state = &ctx->job->state;
    State copy = state_clone(&answer->state);
    copy.compress_min = state->compress_min;
    state_done(state);
    *state = copy;
}

static void store_answer(PolicedRun *run, int32_t slot)
{
    PolicedAnswer *answer = &run->policed->answers[slot];
    answer_drop(answer);
    answer->bytes = context_answer(run->ctx);
    answer->state = state_clone(&run->ctx->job->state);
}

static void complete(PolicedRun *run, const CallAction *action)
{
    run->completed = true;
    run->code = action->code;
    run->reason = action->reason;
    run->start_pending = false;
    if (action->code == 0 && action->slot != CACHE_NONE) {
        take_answer(run->ctx, &run->policed->answers[action->slot]);
    } else if (action->code == 0 && action->reason == CALL_SHARED) {
        // The leader is in this very step, so its fiber and its answer are still there.
        const PolicedRun *leader = (const PolicedRun *)(uintptr_t)action->leader;
        PolicedAnswer answer = {context_answer(leader->ctx), leader->ctx->job->state};
        take_answer(run->ctx, &answer);
        bytes_unref(answer.bytes);
    }
}

// Its answer is of no use. Whether it hears of that is a policy of its own.
static void drop_attempt(PolicedRun *run, Attempt *attempt)
{
    if (run->policed->block->p[P_CANCEL_PROPAGATE].boolean) {
        agent_call_drop(run->ctx, &attempt->call);
    } else {
        context_leave_call(run->ctx, &attempt->call);
    }
}

static void cancel_attempt(PolicedRun *run, uint32_t number)
{
    if (run->inline_live) {
        run->inline_cancelled = true;
        if (run->ctx->cause == CANCEL_NONE) {
            run->ctx->cause = CANCEL_ATTEMPT;
        }
        context_cancel(run->ctx);
        return;
    }
    for (size_t i = 0; i < run->attempt_count; i++) {
        if (run->attempts[i].live && run->attempts[i].number == number) {
            run->attempts[i].live = false;
            drop_attempt(run, &run->attempts[i]);
        }
    }
}

static void perform(PolicedRun *run, const CallActions *todo, int64_t now_ns)
{
    for (unsigned i = 0; i < todo->count; i++) {
        const CallAction *a = &todo->list[i];
        switch (a->kind) {
        case CALL_DO_START:
            run->start_pending = true;
            run->start_number = a->attempt;
            break;
        case CALL_DO_CANCEL: cancel_attempt(run, a->attempt); break;
        case CALL_DO_TIMER: run->timer_ns = a->at_ns; break;
        case CALL_DO_QUEUED: break;
        case CALL_DO_STORE: store_answer(run, a->slot); break;
        case CALL_DO_COMPLETE: complete(run, a); break;
        }
    }
    PolicyBlock *block = run->policed->block;
    if (!todo->drain || block->draining) {
        return; // a loop further up the stack goes on: a whole queue may leave in it, one by one
    }
    block->draining = true;
    for (CallWork work; policy_next_work(block, now_ns, &work);) {
        policed_work(run->policed, &work, now_ns);
    }
    block->draining = false;
}

// What a step or a change of parameters left for other calls.
void policed_work(Policed *policed, const CallWork *work, int64_t now_ns)
{
    if (work->slot != CACHE_NONE) {
        answer_drop(&policed->answers[work->slot]);
        return;
    }
    PolicedRun *other = (PolicedRun *)(uintptr_t)work->handle;
    step(other, &work->event, now_ns);
    if (other->parked) {
        fiber_resume(other->ctx->worker->fiber);
    }
}

static void step(PolicedRun *run, const CallEvent *event, int64_t now_ns)
{
    CallActions todo;
    call_step(run->policed->block, &run->call, event, now_ns, &todo);
    perform(run, &todo, now_ns);
}

// ---- outcomes

static void attempt_done(PolicedRun *run, uint32_t number, int code, int64_t now_ns)
{
    CallEvent event = {.kind = CALL_ATTEMPT_DONE,
                       .attempt = number,
                       .outcome = call_outcome_of(code),
                       .code = code,
                       .slot = CACHE_NONE,
                       .bytes = run->ctx->reply_bytes ? run->ctx->reply_bytes->len
                                                      : run->ctx->reply_len};
    step(run, &event, now_ns);
}

// An attempt of its own job: because there may be two, or because it may outlive this one.
static bool runs_apart(const PolicedRun *run)
{
    const PolicyBlock *block = run->policed->block;
    return (block->active & ACTIVE_HEDGE) || !block->p[P_CANCEL_PROPAGATE].boolean;
}

// ---- attempts on this fiber

static void reset_answer(AgentContext *ctx)
{
    bytes_unref(ctx->reply_bytes);
    ctx->reply_bytes = NULL;
    ctx->reply_len = 0;
}

static void begin_attempt(PolicedRun *run)
{
    AgentContext *ctx = run->ctx;
    run->start_pending = false;
    ctx->attempt = run->start_number + 1;
    if (run->start_number > 0) {
        counter_own_add(&ctx->shard->counts.retries, 1);
        reset_answer(ctx);
        size_t compress_min = ctx->job->state.compress_min;
        state_done(&ctx->job->state);
        ctx->job->state = state_clone(&run->begin);
        ctx->job->state.compress_min = compress_min;
    }
}

static void run_inline(PolicedRun *run, int64_t now_ns)
{
    uint32_t number = run->start_number;
    if (!context_host(run->ctx)->has_place) {
        context_take_place(run->ctx, false);
    }
    begin_attempt(run);
    run->inline_live = true;
    worker_watch(run->ctx->worker);
    int code = attempt_run(run->ctx, now_ns);
    run->inline_live = false;
    int64_t now = shard_now(run->policed->shard);
    run->policed->shard->fresh = true;
    if (!run->inline_cancelled) {
        attempt_done(run, number, code, now);
        return;
    }
    run->inline_cancelled = false;
    if (run->ctx->cause == CANCEL_ATTEMPT) {
        context_uncancel(run->ctx);
    }
}

// ---- attempts that overlap

// A job of its own for the same event. It is no event: it has no hooks but the agent's, and no
// counts.
static void spawn_attempt(PolicedRun *run)
{
    AgentContext *ctx = run->ctx;
    Shard *shard = ctx->shard;
    size_t i = 0;
    while (i < run->attempt_count && (run->attempts[i].live || run->attempts[i].call.wait)) {
        i++;
    }
    assert(i < COUNT_OF(run->attempts));
    run->attempt_count = i < run->attempt_count ? run->attempt_count : i + 1;
    Attempt *attempt = &run->attempts[i];
    attempt->number = run->start_number;
    attempt->live = true;
    run->start_pending = false;
    if (run->start_number > 0) {
        counter_own_add(&shard->counts.retries, 1);
    }
    bool hears = run->policed->block->p[P_CANCEL_PROPAGATE].boolean;
    int64_t deadline = hears ? ctx->job->event.deadline_ns : NEVER_NS;
    context_spawn_attempt(ctx, &run->begin, attempt->number + 1, deadline, &attempt->call);
}

static bool report_finished(PolicedRun *run)
{
    AgentContext *ctx = run->ctx;
    ctx->shard->fresh = false;
    bool any = false;
    for (size_t i = 0; i < run->attempt_count && !run->completed; i++) {
        Attempt *attempt = &run->attempts[i];
        if (!attempt->live || !attempt->call.done) {
            continue;
        }
        any = true;
        attempt->live = false;
        AgentResult *result = &attempt->call.result;
        reset_answer(ctx);
        ctx->reply_bytes = result->bytes;
        result->bytes = NULL;
        if (!ctx->reply_bytes) {
            memcpy(ctx->reply_inline, result->inline_data, result->data.len);
            ctx->reply_len = (uint32_t)result->data.len;
        }
        ctx->attempt = attempt->number + 1;
        (void)snprintf(ctx->reason, sizeof ctx->reason, "%s", result->reason);
        state_done(&ctx->job->state);
        ctx->job->state = result->state;
        ctx->job->state.compress_min = run->begin.compress_min;
        result->state.root = NULL;
        attempt_done(run, attempt->number, result->code, shard_now(run->policed->shard));
    }
    return any;
}

// ---- the driver

static void wait(PolicedRun *run)
{
    AgentContext *ctx = run->ctx;
    context_leave_place(ctx, false);
    for (size_t i = 0; i < run->attempt_count; i++) {
        if (run->attempts[i].call.wait) {
            run->attempts[i].call.wait->fiber = ctx->worker->fiber;
        }
    }
    run->parked = true;
    int rc = fiber_park("its policies", run->timer_ns);
    run->parked = false;
    ctx->shard->fresh = false;
    for (size_t i = 0; i < run->attempt_count; i++) {
        if (run->attempts[i].call.wait) {
            run->attempts[i].call.wait->fiber = NULL;
        }
    }
    if (!runs_apart(run)) { // else an orphan may have the last place, and nothing here needs one
        context_take_place(ctx, false);
    }
    int64_t now = shard_now(run->policed->shard);
    if (rc == ERR_TIMEOUT) {
        run->timer_ns = NEVER_NS; // it fires once
        step(run, &(CallEvent){.kind = CALL_TIMER, .slot = CACHE_NONE}, now);
    } else if (rc != 0) {
        step(run, &(CallEvent){.kind = CALL_CANCEL, .slot = CACHE_NONE}, now);
    }
}

static void drive(PolicedRun *run, int64_t now_ns)
{
    while (!run->completed) {
        CancelCause cause = run->ctx->cause;
        if (cause != CANCEL_NONE && cause != CANCEL_ATTEMPT) {
            step(run, &(CallEvent){.kind = CALL_CANCEL, .slot = CACHE_NONE}, now_ns);
        } else if (run->start_pending && runs_apart(run)) {
            spawn_attempt(run);
        } else if (run->start_pending) {
            run_inline(run, now_ns);
        } else if (!report_finished(run)) {
            wait(run);
        }
        now_ns = run->policed->shard->last_ns;
    }
}

static PolicyKey key_of(const PolicedRun *run)
{
    const Event *event = &run->ctx->job->event;
    PolicyKey key = {0};
    if (!(run->policed->block->active & (ACTIVE_CACHE | ACTIVE_FLIGHT))) {
        return key;
    }
    Buf text = buf_create(run->policed->shard->runner->options.data_max + STATE_VALUE_MAX);
    buf_append(&text, event_type(event));
    buf_putc(&text, '\0');
    buf_append(&text, event_data(event));
    if (run->begin.root) {
        JsonWriter w = json_writer(&text, 0);
        state_write_json(&run->begin, &w);
    }
    if (!text.overflowed) {
        key.high = map_siphash(buf_slice(&text), KEY_HIGH, KEY_LOW);
        key.low = map_siphash(buf_slice(&text), KEY_LOW, KEY_HIGH);
    }
    buf_done(&text);
    return key;
}

// The handler's own words where it was the handler that failed, else the policy's.
static void set_reason(PolicedRun *run)
{
    AgentContext *ctx = run->ctx;
    CancelCause cause = ctx->cause;
    switch (run->reason) {
    case CALL_FAILED:
    case CALL_EXHAUSTED:
    case CALL_NO_BUDGET:
    case CALL_NO_TIME:
    case CALL_RETRY_AFTER:
        if (ctx->reason[0] != '\0') {
            return;
        }
        break;
    case CALL_CANCELLED:
        if (cause == CANCEL_DEADLINE) {
            run->code = ERR_TIMEOUT;
        }
        if (cause != CANCEL_NONE) {
            (void)agent_fail(ctx, (ErrCode)run->code, "%s", cancel_text(cause));
            return;
        }
        break;
    case CALL_OK:
    case CALL_CACHED:
    case CALL_SHARED:
    case CALL_TIMED_OUT:
    case CALL_DEADLINE:
    case CALL_SHARED_FAILED:
    case CALL_RATE_LIMITED:
    case CALL_SHED_QUEUE:
    case CALL_SHED_CPU:
    case CALL_SHED_THROTTLE:
    case CALL_QUEUE_FULL:
    case CALL_QUEUE_TIMEOUT:
    case CALL_QUEUE_DROPPED:
    case CALL_BREAKER_OPEN:
    case CALL_REASON_COUNT: break;
    }
    (void)agent_fail(ctx, (ErrCode)run->code, "%s", call_reason_text(run->reason));
}

int policed_run(AgentContext *ctx, int64_t now_ns)
{
    const Event *event = &ctx->job->event;
    PolicedRun run;
    run.policed = ctx->job->slot->policed;
    run.ctx = ctx;
    run.call = (CallState){.handle = 0};
    run.begin = state_clone(&ctx->job->state);
    run.timer_ns = NEVER_NS;
    run.start_pending = run.inline_live = run.inline_cancelled = run.parked = run.completed = false;
    run.attempt_count = 0;
    ctx->reason[0] = '\0';
    ctx->policed = &run;
    scale_watch(run.policed);
    static const uint8_t priorities[EVENT_PRIORITIES] = {1, POLICY_PRIORITY_DEFAULT,
                                                         POLICY_PRIORITIES - 1};
    CallOptions options = {.handle = (uint64_t)(uintptr_t)&run,
                           .task = event->id,
                           .key = key_of(&run),
                           .priority = priorities[event->priority],
                           .deadline_ns = event->deadline_ns == NEVER_NS ? 0 : event->deadline_ns};
    step(&run, &(CallEvent){.kind = CALL_START, .start = &options, .slot = CACHE_NONE}, now_ns);
    drive(&run, now_ns);
    for (size_t i = 0; i < run.attempt_count; i++) {
        if (run.attempts[i].call.wait) {
            drop_attempt(&run, &run.attempts[i]);
        } else {
            agent_result_done(&run.attempts[i].call.result);
        }
    }
    ctx->policed = NULL;
    state_done(&run.begin);
    if (run.code != 0) {
        set_reason(&run);
    } else {
        ctx->reason[0] = '\0';
    }
    return run.code;
}

void policed_on_timer(AgentContext *ctx, int64_t now_ns)
{
    PolicedRun *run = ctx->policed;
    if (run->inline_live && now_ns >= run->timer_ns) {
        run->timer_ns = NEVER_NS;
        step(run, &(CallEvent){.kind = CALL_TIMER, .slot = CACHE_NONE}, now_ns);
    }
}

int64_t policed_timer(const AgentContext *ctx)
{
    // In drive() the fiber's own park waits for it.
    return ctx->policed->inline_live ? ctx->policed->timer_ns : NEVER_NS;
}
