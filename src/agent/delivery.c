// From an EventSpec to a job in a mailbox, and from a job to its one end.
#include "agent/policed.h"
#include "agent/runner_impl.h"

#include <assert.h>

// SplitMix64's finaliser (Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
// 2014): names for spans and traces, not secrets.
uint64_t mix64(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

// ---- checks

static int no_agent(const Runner *runner, const EventSpec *spec, Err *e)
{
    enum { SUGGEST_MAX = 1000 };
    if (spec->target.len == 0) {
        return err_set(e, ERR_NOT_FOUND, "an event needs a target: there is no agent number %u",
                       (unsigned)spec->agent);
    }
    Slice near = {0};
    if (e && runner->agent_count <= SUGGEST_MAX) {
        Slice *names = mem_alloc((runner->agent_count + 1) * sizeof *names);
        for (uint32_t i = 0; i < runner->agent_count; i++) {
            names[i] = def_name(runner->agents[i]);
        }
        near = slice_nearest(spec->target, names, runner->agent_count);
        free(names);
    }
    if (near.len > 0) {
        return err_set(e, ERR_NOT_FOUND, "there is no agent \"%.*s\"; did you mean \"%.*s\"?",
                       SLICE_FMT(spec->target), SLICE_FMT(near));
    }
    return err_set(e, ERR_NOT_FOUND, "there is no agent \"%.*s\"", SLICE_FMT(spec->target));
}

static int64_t spec_deadline(const Runner *runner, const EventSpec *spec, int64_t now_ns)
{
    int64_t deadline = spec->deadline_ns ? spec->deadline_ns : NEVER_NS;
    int64_t timeout = spec->timeout_ns ? spec->timeout_ns : runner->options.event_timeout_ns;
    if (timeout > 0 && !spec->deadline_ns) {
        deadline = clock_deadline(now_ns, timeout);
    }
    return deadline;
}

int delivery_check(Runner *runner, const EventSpec *spec, const Job *parent, Delivery *d, Err *e)
{
    if (spec->target.len > 0) {
        d->def = map_get(&runner->names, spec->target);
    } else if (spec->agent < runner->agent_count) {
        d->def = runner->agents[spec->agent];
    }
    if (!d->def) {
        return no_agent(runner, spec, e);
    }
    for (const EdgeDef *edge = parent ? runner->agents[parent->event.target]->edges : NULL; edge;
         edge = edge->next) {
        if (edge->to == d->def->id) {
            d->def = edge->proxy;
            break;
        }
    }
    d->spec = spec;
    d->parent = parent;
    d->hops = parent ? (uint16_t)(parent->event.hops + 1) : 0;
    if (d->hops > runner->options.hops_max) {
        return err_set(
            e, ERR_LIMIT,
            "the event for \"%s\" would be number %u of a chain of events that cause each "
            "other; do the routes form a circle? (hops_max is %u)",
            d->def->name, d->hops + 1u, runner->options.hops_max);
    }
    int rc = event_spec_check(spec, runner->options.data_max, e);
    d->deadline_ns = spec_deadline(runner, spec, d->now_ns);
    return rc;
}

unsigned delivery_shard(const Runner *runner, const Delivery *d)
{
    (void)runner;
    if (d->def->placement == PLACE_BY_AGENT) {
        return d->def->home;
    }
    if (d->spec->session.len > 0) {
        return event_session_hash(d->spec->session) % d->def->spread;
    }
    if (d->parent && d->parent->event.session_len > 0) {
        return d->parent->event.session_hash % d->def->spread;
    }
    return d->def->home;
}

int delivery_reserve(const Delivery *d, unsigned shard)
{
    Counter *depth = def_depth(d->def, shard);
    if (counter_add(depth, 1) <= (long)d->def->mailbox_max) {
        return 0;
    }
    (void)counter_add(depth, -1);
    return ERR_FULL;
}

void delivery_unreserve(const Delivery *d, unsigned shard)
{
    (void)counter_add(def_depth(d->def, shard), -1);
}

void delivery_overflow(Runner *runner, Shard *here, const Delivery *d)
{
    if (here) {
        counter_own_add(&here->counts.shed, 1);
    } else {
        (void)counter_add(&runner->outside_shed, 1);
    }
    if (d->def->overflow == OVERFLOW_DEAD_LETTER) {
        dead_letter_send(runner, here, d->def->dead_letter, d->def, d->spec, ERR_FULL,
                         "its mailbox was full");
    }
}

// ---- into a mailbox

static void fill(const Runner *runner, Event *event, const Delivery *d)
{
    event_fill(event, d->spec);
    event->id = d->id;
    event->target = d->def->id;
    event->created_ns = d->now_ns;
    event->deadline_ns = d->deadline_ns;
    event->hops = d->hops;
    event->depth = d->depth;
    event->kind = 0;
    TraceContext *t = &event->trace;
    if (!d->parent) {
        event->source = AGENT_NONE;
        if (d->spec->trace) {
            *t = *d->spec->trace;
            t->parent_id = t->span_id;
        } else {
            t->trace_id[0] = mix64(runner->options.seed ^ d->id);
            t->trace_id[1] = mix64(t->trace_id[0]);
            t->parent_id = 0;
            // 53 bits are what a double holds.
            t->sampled = (double)(t->trace_id[1] >> 11) * 0x1p-53 >= runner->options.trace_drop;
        }
    } else {
        const Event *parent = &d->parent->event;
        event->source = parent->target;
        *t = parent->trace;
        t->parent_id = parent->trace.span_id;
        if (!d->spec->prioritised) {
            event->priority = parent->priority;
        }
        if (d->spec->session.len == 0) {
            event->session_len = parent->session_len;
            event->session_hash = parent->session_hash;
            memcpy(event->session, parent->session, parent->session_len + 1u);
        }
    }
    t->span_id = mix64(t->trace_id[0] + d->id);
}

// The event is filled in.
static void put(Shard *shard, Job *job, const Reply *reply)
{
    job->reply = *reply;
    job->worker = NULL;
    job->abandoned = false;
    job->is_attempt = false;
    job->level = (uint8_t)(job->event.depth > 0 ? LEVEL_CALL : 1 + job->event.priority);
    if (reply->kind == REPLY_REMOTE) {
        Job **bucket = &shard->remote[job->sender_id % REMOTE_BUCKETS];
        job->remote_next = *bucket;
        *bucket = job;
    }
    slot_put(shard, slot_of(shard, job->event.target), job);
}

static Job *new_job(Shard *shard, const Delivery *d)
{
    Job *job = (Job *)(void *)event_pool_take(shard->events);
    fill(shard->runner, &job->event, d);
    job->state = d->state ? state_clone(d->state) : state_create();
    job->state.compress_min = shard->runner->options.state_compress_min;
    counter_own_add(&shard->counts.accepted, 1);
    if (d->depth > 0) {
        counter_own_add(&shard->counts.calls, 1);
    }
    return job;
}

Job *deliver_here(Shard *shard, const Delivery *d)
{
    Job *job = new_job(shard, d);
    put(shard, job, &d->reply);
    return job;
}

Job *deliver_at_once(Shard *shard, Slot *slot, const Delivery *d)
{
    Job *job = new_job(shard, d);
    job->reply = d->reply;
    job->abandoned = job->is_attempt = false;
    job->level = LEVEL_CALL;
    job->slot = slot;
    slot->running++;
    return job;
}

bool deliver_there(Runner *runner, Shard *from, unsigned to, const Delivery *d)
{
    Shard *target = runner->shards[to];
    Message m;
    m.kind = MESSAGE_EVENT;
    m.id = d->id;
    m.reply = d->reply;
    m.state = NULL;
    fill(runner, &m.event, d);
    if (d->state) {
        m.state = state_clone(d->state).root;
    }
    // Counted before it can end, so that `ended` never passes `accepted`.
    if (from) {
        counter_own_add(&from->counts.accepted, 1);
        counter_own_add(&from->counts.cross_shard, 1);
        counter_own_add(&from->counts.calls, d->depth > 0);
    }
    if (mpsc_push(target->inbox, &m)) {
        waker_notify(&target->waker);
        return true;
    }
    if (from) {
        counter_own_add(&from->counts.accepted, -1);
        counter_own_add(&from->counts.cross_shard, -1);
        counter_own_add(&from->counts.calls, -(d->depth > 0));
    }
    bytes_unref(m.event.bytes);
    state_done(&(State){.root = m.state});
    return false;
}

static Job *find_remote(Shard *shard, uint64_t id)
{
    Job *job = shard->remote[id % REMOTE_BUCKETS];
    while (job && job->sender_id != id) {
        job = job->remote_next;
    }
    return job;
}

void deliver_message(Shard *shard, Message *m)
{
    switch (m->kind) {
    case MESSAGE_EVENT: {
        Job *job = (Job *)(void *)event_pool_take(shard->events);
        job->event = m->event;
        job->sender_id = m->id;
        job->state =
            (State){.root = m->state, .compress_min = shard->runner->options.state_compress_min};
        put(shard, job, &m->reply);
        if (shard->cancelling) {
            job_cancel(shard, job, CANCEL_STOP);
        }
        break;
    }
    case MESSAGE_REPLY: wait_finish_remote(shard, m->wait, m); break;
    case MESSAGE_CHUNK:
        if (m->wait->call && m->wait->on_chunk) {
            m->wait->on_chunk(m->wait->chunk_arg, event_data(&m->event));
        }
        bytes_unref(m->event.bytes);
        break;
    case MESSAGE_CANCEL: {
        Job *job = find_remote(shard, m->id);
        if (job) {
            job->abandoned = true;
            job_cancel(shard, job, CANCEL_ABANDONED);
        }
        break;
    }
    case MESSAGE_CALL_FN: m->fn(shard, m->arg); break;
    }
}

// ---- the end

const char *cancel_text(CancelCause cause)
{
    static const char *const texts[] = {
        [CANCEL_NONE] = "cancelled",
        [CANCEL_ATTEMPT] = "its policy gave the attempt up",
        [CANCEL_DEADLINE] = "its deadline passed",
        [CANCEL_ABANDONED] = "nobody waits for it any more",
        [CANCEL_STOP] = "the runner was stopped",
        [CANCEL_KILL] = "its fiber was cancelled",
    };
    return texts[cause];
}

void job_cancel(Shard *shard, Job *job, CancelCause cause)
{
    Worker *w = job->worker;
    if (!w) {
        slot_remove(shard, job);
        job_end(shard, job, NULL, ERR_CANCELLED, cancel_text(cause), loop_clock(shard->loop));
        return;
    }
    AgentContext *ctx = w->top;
    while (ctx->job != job) {
        ctx = ctx->outer;
    }
    if (ctx->cause == CANCEL_NONE || ctx->cause == CANCEL_ATTEMPT) {
        ctx->cause = cause;
    }
    context_cancel(ctx);
}

void context_cancel(AgentContext *ctx)
{
    if (!context_shares_fiber(ctx)) {
        fiber_cancel(ctx->worker->fiber);
    }
}

bool context_is_cancelled(const AgentContext *ctx)
{
    while (ctx && ctx->cause == CANCEL_NONE) {
        ctx = ctx->outer;
    }
    return ctx != NULL;
}

void context_uncancel(AgentContext *ctx)
{
    ctx->cause = CANCEL_NONE;
    while (ctx && (ctx->cause == CANCEL_NONE || context_shares_fiber(ctx))) {
        ctx = ctx->outer;
    }
    if (!ctx) {
        fiber_clear_cancel();
    }
}

static void reply_remote(Shard *shard, Job *job, AgentContext *ctx, int code, const char *reason)
{
    Job **at = &shard->remote[job->sender_id % REMOTE_BUCKETS];
    while (*at != job) {
        at = &(*at)->remote_next;
    }
    *at = job->remote_next;
    Message m;
    m.kind = MESSAGE_REPLY;
    m.code = code;
    m.wait = job->reply.wait;
    m.state = job->state.root;
    job->state.root = NULL;
    m.event.bytes = NULL;
    m.event.inline_len = 0;
    if (ctx) {
        m.event.bytes = ctx->reply_bytes;
        ctx->reply_bytes = NULL;
        m.event.inline_len = ctx->reply_len;
        memcpy(m.event.inline_data, ctx->reply_inline, ctx->reply_len);
    }
    (void)snprintf(m.reason, sizeof m.reason, "%s", reason);
    shard_send(shard, job->reply.shard, &m);
}

static void reply_done(Job *job, AgentContext *ctx, int code, const char *reason)
{
    if (!job->reply.on_done) {
        return;
    }
    AgentResult result = {.code = code};
    (void)snprintf(result.reason, sizeof result.reason, "%s", reason);
    result.state = job->state;
    if (ctx && ctx->reply_bytes) {
        result.bytes = ctx->reply_bytes;
        result.data = bytes_slice(result.bytes);
    } else if (ctx) {
        result.data = (Slice){ctx->reply_inline, ctx->reply_len};
    }
    job->reply.on_done(job->reply.arg, &result);
}

static void reply_inline(Job *job, AgentContext *ctx, int code, const char *reason)
{
    AgentResult *result = job->reply.result;
    result->code = code;
    size_t len = strnlen(reason, sizeof result->reason - 1);
    memcpy(result->reason, reason, len);
    result->reason[len] = '\0';
    if (ctx) {
        result->bytes = ctx->reply_bytes;
        ctx->reply_bytes = NULL;
        if (!result->bytes) {
            memcpy(result->inline_data, ctx->reply_inline, ctx->reply_len);
        }
        result->data = result->bytes ? bytes_slice(result->bytes)
                                     : (Slice){result->inline_data, ctx->reply_len};
    }
    result->state = job->state;
    job->state.root = NULL;
}

static void reply(Shard *shard, Job *job, AgentContext *ctx, int code, const char *reason)
{
    switch (job->reply.kind) {
    case REPLY_NONE: break;
    case REPLY_LOCAL:
        wait_finish_local(shard, job->reply.wait, code, reason, ctx, &job->state);
        break;
    case REPLY_REMOTE: reply_remote(shard, job, ctx, code, reason); break;
    case REPLY_DONE: reply_done(job, ctx, code, reason); break;
    case REPLY_INLINE: reply_inline(job, ctx, code, reason); break;
    }
}

static SlotMetrics *slot_metrics(Slot *slot)
{
    if (!slot->metrics) {
        slot->metrics = mem_zalloc(sizeof *slot->metrics);
        hist_init(&slot->metrics->duration);
        hist_init(&slot->metrics->error_duration);
        hist_init(&slot->metrics->queue);
    }
    return slot->metrics;
}

// With many agents every histogram is out of the cache: three dependent misses an event, a third of
// its cost. So events are noted in a row and recorded in groups, whose misses overlap.
enum { GROUP = 16 };

static void prefetch_bucket(const Hist *h, int64_t value)
{
    unsigned sub;
    const uint64_t *counts = h->octaves[hist_octave(value, &sub)];
    if (counts) {
        __builtin_prefetch(&counts[sub], 1);
    }
}

static void prefetch_hist(const Hist *h, int64_t value)
{
    unsigned sub;
    __builtin_prefetch(&h->octaves[hist_octave(value, &sub)]);
    __builtin_prefetch(&h->count, 1);
    __builtin_prefetch(&h->sum, 1);
}

static Hist *run_hist(const Ended *ended)
{
    SlotMetrics *m = ended->metrics;
    return ended->code == 0 ? &m->duration : &m->error_duration;
}

static void record_group(const Ended *ended, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        prefetch_hist(&ended[i].metrics->queue, ended[i].queue_ns);
        prefetch_hist(run_hist(&ended[i]), ended[i].run_ns);
        __builtin_prefetch(&ended[i].metrics->handled, 1);
    }
    for (size_t i = 0; i < count; i++) {
        prefetch_bucket(&ended[i].metrics->queue, ended[i].queue_ns);
        prefetch_bucket(run_hist(&ended[i]), ended[i].run_ns);
    }
    for (size_t i = 0; i < count; i++) {
        SlotMetrics *m = ended[i].metrics;
        m->handled += ended[i].code == 0;
        m->failed += ended[i].code != 0;
        m->timeouts += ended[i].code == ERR_TIMEOUT;
        hist_record(&m->queue, ended[i].queue_ns);
        if (ended[i].run_ns >= 0) {
            hist_record(run_hist(&ended[i]), ended[i].run_ns);
        }
    }
}

void shard_record_ended(Shard *shard)
{
    for (size_t i = 0; i < shard->ended_count; i += GROUP) {
        size_t left = shard->ended_count - i;
        record_group(shard->ended + i, left < GROUP ? left : GROUP);
    }
    shard->ended_count = 0;
}

static void count_end(Shard *shard, const Job *job, bool ran, int code, int64_t start_ns,
                      int64_t end_ns)
{
    if (!shard->runner->options.metrics_off) {
        shard->ended[shard->ended_count++] = (Ended){.metrics = slot_metrics(job->slot),
                                                     .queue_ns = start_ns - job->event.created_ns,
                                                     .run_ns = ran ? end_ns - start_ns : -1,
                                                     .code = code};
        if (shard->ended_count == ENDED_MAX) {
            shard_record_ended(shard);
        }
    }
    counter_own_add(code == 0 ? &shard->counts.handled : &shard->counts.failed, 1);
}

void job_end(Shard *shard, Job *job, AgentContext *ctx, int code, const char *reason,
             int64_t start_ns)
{
    Runner *runner = shard->runner;
    AgentDef *def = job->slot->def;
    int64_t end_ns = !ctx ? start_ns : shard->fresh ? shard->last_ns : shard_now(shard);
    unsigned attempt = ctx ? ctx->attempt : 0;
    if (job->is_attempt) {
        reply(shard, job, ctx, code, reason);
        state_done(&job->state);
        event_pool_give(shard->events, &job->event);
        return;
    }
    if (ctx) {
        runner_run_hooks(runner, HOOK_AFTER_EVENT, job, NULL, attempt, code, reason, end_ns);
    }
    if (code != 0) {
        runner_run_hooks(runner, HOOK_ERROR, job, NULL, attempt, code, reason, end_ns);
    }
    if (shard->trace && job->event.session_len > 0) {
        trace_add(shard, job, start_ns, end_ns, attempt, code);
    }
    if (code != 0 && job->reply.kind == REPLY_NONE && !job->abandoned && !shard->cancelling) {
        EventSpec spec = {.type = event_type(&job->event), .session = event_session(&job->event)};
        spec.data = event_data(&job->event);
        dead_letter_send(runner, shard, runner->dead_letter, def, &spec, code, reason);
    }
    reply(shard, job, ctx, code, reason);
    state_done(&job->state);
    count_end(shard, job, ctx != NULL, code, start_ns, end_ns);
    event_pool_give(shard->events, &job->event);
}

// ---- running

void runner_run_hooks(Runner *runner, HookPoint point, const Job *job, State *state,
                      unsigned attempt, int code, const char *reason, int64_t now_ns)
{
    unsigned count = runner->hook_count[point];
    if (count == 0) {
        return;
    }
    const AgentDef *def = runner->agents[job->event.target];
    HookInfo info = {point, &job->event, def_name(def), state, attempt, code, reason, now_ns};
    for (unsigned i = 0; i < count; i++) {
        runner->hooks[point][i].fn(runner->hooks[point][i].arg, &info);
    }
}

int attempt_run(AgentContext *ctx, int64_t now_ns)
{
    Job *job = ctx->job;
    Runner *runner = ctx->shard->runner;
    AgentDef *def = job->slot->def;
    ctx->fail_code = 0;
    ctx->reason[0] = '\0';
    runner_run_hooks(runner, HOOK_BEFORE_AGENT, job, ctx->state, ctx->attempt, 0, "", now_ns);
    int code = def->run(ctx, &job->event, ctx->state);
    if (ctx->waits) {
        context_drop_calls(ctx);
    }
    if (code > 0) {
        code = agent_fail(ctx, ERR_ARG, "agent \"%s\" returned %d, which is no error code",
                          def->name, code);
    }
    if (code != 0) {
        CancelCause cause = ctx->cause;
        if (code == ERR_CANCELLED && cause != CANCEL_NONE && cause != CANCEL_ATTEMPT) {
            code = agent_fail(ctx, cause == CANCEL_DEADLINE ? ERR_TIMEOUT : ERR_CANCELLED, "%s",
                              cancel_text(cause));
        } else if (ctx->reason[0] == '\0') {
            (void)agent_fail(ctx, (ErrCode)code, "%s", err_name(code));
        }
    }
    if (runner->hook_count[HOOK_AFTER_AGENT] > 0) {
        runner_run_hooks(runner, HOOK_AFTER_AGENT, job, ctx->state, ctx->attempt, code, ctx->reason,
                         shard_now(ctx->shard));
    }
    return code;
}

static void context_open(AgentContext *ctx, Worker *w, Job *job)
{
    ctx->shard = w->shard;
    ctx->outer = w->top;
    ctx->cause = CANCEL_NONE;
    ctx->policed = NULL;
    ctx->seat = NULL;
    ctx->arena = NULL;
    ctx->worker = w;
    ctx->job = job;
    ctx->state = &job->state;
    ctx->attempt = job->is_attempt ? job->attempt : 1;
    ctx->has_place = true;
    ctx->reply_len = 0;
    ctx->reply_bytes = NULL;
    ctx->waits = NULL;
    w->top = ctx;
    w->job = job;
    job->worker = w;
}

static void context_close(AgentContext *ctx)
{
    Worker *w = ctx->worker;
    Shard *shard = ctx->shard;
    w->top = ctx->outer;
    w->job = ctx->outer ? ctx->outer->job : NULL;
    if (!w->top && w->timer.due_ns != NEVER_NS) {
        loop_timer_disarm(&w->timer);
    }
    if (ctx->cause != CANCEL_NONE) {
        context_uncancel(ctx);
    }
    bytes_unref(ctx->reply_bytes);
    if (ctx->arena && shard->arena_count < ARENAS_KEPT) {
        arena_reset(ctx->arena);
        shard->arenas[shard->arena_count++] = ctx->arena;
    } else {
        arena_destroy(ctx->arena);
    }
}

void job_run(Worker *w, Job *job, AgentContext *ctx)
{
    Shard *shard = w->shard;
    Slot *slot = job->slot;
    int64_t start_ns = shard->fresh ? shard->last_ns : shard_now(shard);
    bool root = job->level != LEVEL_CALL;
    if (job->event.deadline_ns <= start_ns) {
        job_end(shard, job, NULL, ERR_TIMEOUT, "its deadline passed in the mailbox", start_ns);
        slot_release(shard, slot);
        shard->roots_running -= root;
        return;
    }
    context_open(ctx, w, job);
    worker_watch(w);
    if (!job->is_attempt) {
        runner_run_hooks(shard->runner, HOOK_BEFORE_EVENT, job, NULL, 1, 0, "", start_ns);
    }
    bool policed = slot->policed && !job->is_attempt;
    int code = policed ? policed_run(ctx, start_ns) : attempt_run(ctx, start_ns);
    if (!policed) { // which reads the time when the handler is done
        shard->fresh = false;
    }
    job_end(shard, job, ctx, code, code ? ctx->reason : "", start_ns);
    shard->fresh = true;
    context_close(ctx);
    if (ctx->has_place) {
        slot_release(shard, slot);
    }
    shard->roots_running -= root;
}
