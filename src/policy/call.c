#include "policy/call.h"

#include "policy/chance.h"
#include "policy/program_run.h"

// One step's working set, so that the stages below read as sentences.
typedef struct Step {
    PolicyBlock *b;
    CallState *c;
    int64_t now;
    CallActions *out;
} Step;

// The code of a reason that has one of its own; the others hand through the attempt's.
static int code_of(CallReason reason, int attempt_code)
{
    switch (reason) {
    case CALL_OK:
    case CALL_CACHED:
    case CALL_SHARED: return 0;
    case CALL_DEADLINE:
    case CALL_QUEUE_TIMEOUT: return ERR_TIMEOUT;
    case CALL_CANCELLED: return ERR_CANCELLED;
    case CALL_RATE_LIMITED: return ERR_LIMIT;
    case CALL_SHED_QUEUE:
    case CALL_SHED_CPU:
    case CALL_SHED_THROTTLE:
    case CALL_QUEUE_FULL:
    case CALL_QUEUE_DROPPED: return ERR_FULL;
    case CALL_BREAKER_OPEN: return ERR_REFUSED;
    case CALL_FAILED:
    case CALL_EXHAUSTED:
    case CALL_NO_BUDGET:
    case CALL_NO_TIME:
    case CALL_RETRY_AFTER:
    case CALL_TIMED_OUT:
    case CALL_SHARED_FAILED:
    case CALL_REASON_COUNT: break;
    }
    return attempt_code != 0 ? attempt_code : ERR_IO;
}

CallOutcome call_outcome_of(int code)
{
    switch (code) {
    case 0: return CALL_SUCCESS;
    case ERR_FULL: return CALL_THROTTLED;
    case ERR_IO:
    case ERR_TIMEOUT:
    case ERR_DNS:
    case ERR_CONNECT:
    case ERR_TLS:
    case ERR_CLOSED:
    case ERR_PROTOCOL:
    case ERR_BUSY:
    case ERR_CONFLICT: return CALL_RETRYABLE;
    case ERR_ARG:
    case ERR_PARSE:
    case ERR_LIMIT:
    case ERR_NOT_FOUND:
    case ERR_EXISTS:
    case ERR_REFUSED:
    case ERR_VERSION:
    case ERR_UNSUPPORTED: return CALL_CALLER_FAULT;
    default: // ERR_CANCELLED, ERR_CORRUPT
        return CALL_FATAL;
    }
}

static CallAction *act(const Step *s, CallActionKind kind)
{
    CallAction *action = &s->out->list[s->out->count++];
    *action = (CallAction){.kind = kind, .slot = CACHE_NONE};
    return action;
}

// ---- the end of an attempt, and of the call ----

typedef enum AttemptEnd {
    END_OK,
    END_FAILED,
    END_OVERLOAD,
    END_CALLER_FAULT,
    END_CANCELLED
} AttemptEnd;

static void teach(const Step *s, const CallAttempt *a, AttemptEnd end, bool slow)
{
    PolicyBlock *b = s->b;
    const uint32_t learns =
        ACTIVE_ADAPTIVE | ACTIVE_BREAKER | ACTIVE_QUANTILE | ACTIVE_THROTTLE | ACTIVE_PROGRAM;
    if (!(b->active & learns)) {
        limit_give(&b->limit);
        return;
    }
    int64_t latency = s->now - a->started_ns;
    bool says_something = end != END_CANCELLED && end != END_CALLER_FAULT;
    // Errors that come back fast say nothing about how much the target can carry.
    if (end == END_OK || end == END_OVERLOAD) {
        limit_end(&b->limit, b->p, b->seed, latency, end == END_OVERLOAD);
    } else {
        limit_give(&b->limit);
    }
    if (b->active & ACTIVE_BREAKER) {
        if (says_something) {
            breaker_end(&b->breaker, b->p, policy_window(b), s->now, a->epoch, end != END_OK,
                        slow || latency > b->p[P_BREAKER_SLOW_AFTER].integer);
        } else {
            breaker_ignore(&b->breaker, a->epoch);
        }
    }
    if ((b->active & ACTIVE_QUANTILE) && end == END_OK) {
        hedge_record(policy_quantile(b), latency);
    }
    if ((b->active & ACTIVE_PROGRAM) && says_something) {
        program_watch(policy_program(b),
                      end == END_OK         ? PROGRAM_OK
                      : end == END_OVERLOAD ? PROGRAM_THROTTLED
                                            : PROGRAM_FAILED,
                      latency);
    }
    if ((b->active & ACTIVE_THROTTLE) && end != END_CANCELLED && end != END_OVERLOAD) {
        shed_accepted(&b->shed, b->p, s->now);
    }
}

static void end_attempt(const Step *s, uint32_t live, AttemptEnd end, bool slow)
{
    teach(s, &s->c->live[live], end, slow);
    s->c->live[live] = s->c->live[--s->c->live_count];
}

static void cancel_attempt(const Step *s, uint32_t live, AttemptEnd end)
{
    act(s, CALL_DO_CANCEL)->attempt = s->c->live[live].number;
    end_attempt(s, live, end, false);
}

static void cancel_all(const Step *s)
{
    while (s->c->live_count > 0) {
        cancel_attempt(s, 0, END_CANCELLED);
    }
}

static void leave_flight(const Step *s, CallReason reason, int code, int32_t slot)
{
    PolicyBlock *b = s->b;
    CallState *c = s->c;
    // These are about this caller alone, so they must not take the others with them.
    bool personal = reason == CALL_CANCELLED || reason == CALL_DEADLINE || reason == CALL_NO_TIME;
    if (!c->leads) {
        flight_leave(&b->flight, policy_flights(b), c->flight_entry);
    } else if (personal) {
        flight_abandon(&b->flight, policy_flights(b), c->flight_entry);
    } else {
        flight_finish(&b->flight, policy_flights(b), c->flight_entry, code, slot);
    }
    c->flight_entry = FLIGHT_NONE;
}

static CallAction *finish_with(const Step *s, CallReason reason, int code, int32_t slot)
{
    CallState *c = s->c;
    if (c->queue_entry != QUEUE_NONE) {
        queue_remove(&s->b->queue, policy_queue(s->b), c->queue_entry);
        c->queue_entry = QUEUE_NONE;
    }
    cancel_all(s);
    if (c->flight_entry != FLIGHT_NONE) {
        leave_flight(s, reason, code, slot);
    }
    s->b->ended[reason]++;
    c->stage = CALL_STAGE_DONE;
    CallAction *done = act(s, CALL_DO_COMPLETE);
    done->reason = reason;
    done->code = code;
    done->slot = reason == CALL_OK ? CACHE_NONE : slot; // its own answer needs no cache
    return done;
}

static void finish(const Step *s, CallReason reason)
{
    (void)finish_with(s, reason, code_of(reason, s->c->last_code), CACHE_NONE);
}

// ---- towards an attempt: rate, shed, limit, breaker ----

static void begin_attempt(const Step *s, uint32_t epoch)
{
    CallState *c = s->c;
    int64_t timeout = s->b->p[P_TIMEOUT_ATTEMPT].integer;
    CallAttempt *a = &c->live[c->live_count++];
    *a = (CallAttempt){.started_ns = s->now,
                       .until_ns = timeout > 0 ? s->now + timeout : CALL_NEVER,
                       .number = c->attempts++,
                       .epoch = epoch};
    s->b->attempts++;
    CallAction *start = act(s, CALL_DO_START);
    start->attempt = a->number;
    start->at_ns = a->until_ns < c->deadline_ns ? a->until_ns : c->deadline_ns;
}

static void plan_hedge(const Step *s)
{
    CallState *c = s->c;
    bool more = (s->b->active & ACTIVE_HEDGE) && !c->once && !c->committed &&
                c->hedges < s->b->p[P_HEDGE_MAX].integer;
    int64_t delay = more ? hedge_delay(policy_quantile(s->b), s->b->p) : 0;
    c->hedge_at = more ? s->now + delay : CALL_NEVER;
}

// The call holds a place of the limit already.
static void pass_breaker(const Step *s)
{
    PolicyBlock *b = s->b;
    CallState *c = s->c;
    uint32_t epoch = 0;
    if ((b->active & ACTIVE_BREAKER) && !breaker_allow(&b->breaker, b->p, s->now, &epoch)) {
        limit_give(&b->limit);
        finish(s, CALL_BREAKER_OPEN);
        return;
    }
    c->stage = CALL_STAGE_RUNNING;
    c->tries++;
    c->hedges = 0;
    begin_attempt(s, epoch);
    plan_hedge(s);
}

static void pass_limit(const Step *s)
{
    PolicyBlock *b = s->b;
    CallState *c = s->c;
    // Whoever waits was here before.
    if (b->queue.count == 0 && limit_take(&b->limit, b->p)) {
        pass_breaker(s);
        return;
    }
    c->queue_entry = queue_push(&b->queue, policy_queue(b), b->p, c->handle, c->priority, s->now);
    if (c->queue_entry == QUEUE_NONE) {
        finish(s, CALL_QUEUE_FULL);
        return;
    }
    int64_t most = b->p[P_QUEUE_MAX_WAIT].integer;
    c->stage = CALL_STAGE_QUEUE;
    c->wait_until = most > 0 ? s->now + most : CALL_NEVER;
    (void)act(s, CALL_DO_QUEUED);
}

static void pass_shed(const Step *s)
{
    PolicyBlock *b = s->b;
    CallState *c = s->c;
    static const CallReason reasons[] = {[SHED_QUEUE_DELAY] = CALL_SHED_QUEUE,
                                         [SHED_CPU] = CALL_SHED_CPU,
                                         [SHED_THROTTLE] = CALL_SHED_THROTTLE};
    if (b->active & ACTIVE_SHED) {
        int64_t wait = queue_oldest_wait(&b->queue, policy_queue(b), s->now);
        double unit = chance(b->seed, c->task, CHANCE_SHED, c->tries);
        ShedCause cause = shed_decide(&b->shed, b->p, s->now, wait, c->priority, unit);
        if (cause != SHED_NO) {
            finish(s, reasons[cause]);
            return;
        }
    }
    pass_limit(s);
}

static void pass_rate(const Step *s)
{
    PolicyBlock *b = s->b;
    CallState *c = s->c;
    if (!(b->active & ACTIVE_RATE) && b->rate.hold_until <= s->now) {
        pass_shed(s);
        return;
    }
    int64_t most = b->p[P_RATE_MAX_WAIT].integer;
    if (c->deadline_ns - s->now - 1 < most) {
        most = c->deadline_ns - s->now - 1; // a permit at the deadline is of no use
    }
    int64_t at = rate_take(&b->rate, b->p, s->now, most);
    if (at < 0) {
        finish(s, CALL_RATE_LIMITED);
    } else if (at > s->now) {
        c->stage = CALL_STAGE_RATE;
        c->wait_until = at;
    } else {
        pass_shed(s);
    }
}

// ---- start: deadline, cache, flight ----

// The call is one that will ask the target, and so one that earns its share of retries.
static void enter(const Step *s)
{
    PolicyBlock *b = s->b;
    if (b->active & ACTIVE_BUDGET) {
        BudgetLaw law = retry_budget_law(b->p);
        budget_deposit(&b->retry_budget, &law, s->now);
    }
    if (b->active & ACTIVE_HEDGE) {
        BudgetLaw law = hedge_budget_law(b->p);
        budget_deposit(&b->hedge_budget, &law, s->now);
    }
    pass_rate(s);
}

static void pass_flight(const Step *s)
{
    PolicyBlock *b = s->b;
    CallState *c = s->c;
    if ((b->active & ACTIVE_FLIGHT) && policy_key_is_set(c->key)) {
        c->flight_entry = flight_join(&b->flight, policy_flights(b), c->key, c->handle, &c->leads);
        if (c->flight_entry != FLIGHT_NONE && !c->leads) {
            c->stage = CALL_STAGE_FLIGHT;
            return;
        }
    }
    enter(s);
}

static void pass_cache(const Step *s)
{
    PolicyBlock *b = s->b;
    CallState *c = s->c;
    if ((b->active & ACTIVE_CACHE) && policy_key_is_set(c->key)) {
        int32_t slot = cache_lookup(&b->cache, policy_cache(b), c->key, s->now);
        if (slot != CACHE_NONE) {
            (void)finish_with(s, CALL_CACHED, 0, slot);
            return;
        }
    }
    pass_flight(s);
}

static void start(const Step *s, const CallOptions *o)
{
    PolicyBlock *b = s->b;
    CallState *c = s->c;
    int64_t most = b->p[P_TIMEOUT_CALL].integer;
    int64_t deadline = o->deadline_ns > 0 ? o->deadline_ns : CALL_NEVER;
    c->handle = o->handle;
    c->task = o->task;
    c->key = o->key;
    c->started_ns = s->now;
    c->ttl_ns = o->ttl_ns;
    c->priority = o->priority ? o->priority : POLICY_PRIORITY_DEFAULT;
    c->once = o->once;
    c->deadline_ns = most > 0 && s->now + most < deadline ? s->now + most : deadline;
    c->armed_ns = c->hedge_at = c->wait_until = CALL_NEVER;
    c->queue_entry = QUEUE_NONE;
    c->flight_entry = FLIGHT_NONE;
    c->pause_ns = 0;
    c->last_code = 0;
    c->live_count = c->attempts = c->tries = c->hedges = 0;
    c->committed = c->leads = c->timed_out = false;
    b->started++;
    if (s->now >= c->deadline_ns) {
        finish(s, CALL_DEADLINE);
        return;
    }
    pass_cache(s);
}

// ---- after an attempt ----

// Why no other attempt follows, or CALL_OK and the pause before it.
static CallReason may_retry(const Step *s, int64_t retry_after_ns, int64_t *ret_pause)
{
    PolicyBlock *b = s->b;
    CallState *c = s->c;
    const ParamValue *p = b->p;
    CallReason last = c->timed_out ? CALL_TIMED_OUT : CALL_FAILED;
    if (c->once || c->committed || p[P_RETRY_ATTEMPTS].integer == 1) {
        return last;
    }
    if (c->tries >= p[P_RETRY_ATTEMPTS].integer) {
        return c->timed_out ? CALL_TIMED_OUT : CALL_EXHAUSTED;
    }
    if (c->timed_out && !p[P_RETRY_ON_TIMEOUT].boolean) {
        return last;
    }
    if (retry_after_ns > p[P_RETRY_RETRY_AFTER_MAX].integer) {
        return CALL_RETRY_AFTER;
    }
    double unit = chance(b->seed, c->task, CHANCE_BACKOFF, c->tries);
    int64_t pause = retry_pause(p, c->tries, unit, c->pause_ns);
    pause = pause > retry_after_ns ? pause : retry_after_ns;
    if (pause >= c->deadline_ns - s->now) {
        return CALL_NO_TIME;
    }
    BudgetLaw law = retry_budget_law(p);
    if ((b->active & ACTIVE_BUDGET) && !budget_withdraw(&b->retry_budget, &law, s->now)) {
        return CALL_NO_BUDGET;
    }
    *ret_pause = pause;
    return CALL_OK;
}

static void try_again(const Step *s, int64_t retry_after_ns)
{
    CallState *c = s->c;
    int64_t pause = 0;
    CallReason why_not = may_retry(s, retry_after_ns, &pause);
    if (why_not != CALL_OK) {
        finish(s, why_not);
        return;
    }
    s->b->retries++;
    c->pause_ns = pause;
    c->timed_out = false;
    c->hedge_at = CALL_NEVER;
    if (pause == 0) {
        pass_rate(s);
        return;
    }
    c->stage = CALL_STAGE_PAUSE;
    c->wait_until = s->now + pause;
}

static void succeed(const Step *s, const CallEvent *ev)
{
    PolicyBlock *b = s->b;
    CallState *c = s->c;
    int32_t slot = CACHE_NONE;
    cancel_all(s);
    if ((b->active & ACTIVE_CACHE) && policy_key_is_set(c->key)) {
        slot = cache_store(&b->cache, policy_cache(b), b->p, c->key, ev->bytes, c->ttl_ns, s->now);
        if (slot != CACHE_NONE) {
            act(s, CALL_DO_STORE)->slot = slot;
        }
    }
    finish_with(s, CALL_OK, 0, slot)->attempt = ev->attempt;
}

static uint32_t find_live(const CallState *c, uint32_t attempt)
{
    uint32_t i = 0;
    while (i < c->live_count && c->live[i].number != attempt) {
        i++;
    }
    return i;
}

static void attempt_done(const Step *s, const CallEvent *ev)
{
    static const AttemptEnd ends[] = {[CALL_SUCCESS] = END_OK,
                                      [CALL_RETRYABLE] = END_FAILED,
                                      [CALL_FATAL] = END_FAILED,
                                      [CALL_THROTTLED] = END_OVERLOAD,
                                      [CALL_CALLER_FAULT] = END_CALLER_FAULT};
    CallState *c = s->c;
    uint32_t live = find_live(c, ev->attempt);
    if (live == c->live_count) {
        return; // cancelled or timed out meanwhile
    }
    end_attempt(s, live, ends[ev->outcome], ev->slow);
    if (ev->outcome == CALL_SUCCESS) {
        succeed(s, ev);
        return;
    }
    c->last_code = ev->code;
    c->timed_out = false;
    if (ev->outcome == CALL_FATAL || ev->outcome == CALL_CALLER_FAULT) {
        finish(s, CALL_FAILED);
        return;
    }
    if (ev->outcome == CALL_THROTTLED && ev->retry_after_ns > 0 &&
        s->b->p[P_RATE_HOLD_ON_THROTTLE].boolean) {
        policy_hold(s->b, s->now + ev->retry_after_ns);
    }
    if (c->live_count == 0) {
        try_again(s, ev->retry_after_ns);
    }
}

// ---- time ----

static void hedge(const Step *s)
{
    PolicyBlock *b = s->b;
    BudgetLaw law = hedge_budget_law(b->p);
    uint32_t epoch = 0;
    s->c->hedge_at = CALL_NEVER; // one that was refused is not asked for again
    if (b->queue.count > 0 || !limit_take(&b->limit, b->p)) {
        return;
    }
    if ((b->active & ACTIVE_BREAKER) && !breaker_allow(&b->breaker, b->p, s->now, &epoch)) {
        limit_give(&b->limit);
        return;
    }
    bool paid = law.ratio == 0 || budget_withdraw(&b->hedge_budget, &law, s->now);
    if (!paid || rate_take(&b->rate, b->p, s->now, 0) < 0) {
        breaker_ignore(&b->breaker, epoch);
        limit_give(&b->limit);
        return;
    }
    s->c->hedges++;
    b->hedges++;
    begin_attempt(s, epoch);
    plan_hedge(s);
}

static void time_in_running(const Step *s)
{
    CallState *c = s->c;
    for (uint32_t i = 0; i < c->live_count;) {
        if (s->now >= c->live[i].until_ns) {
            c->timed_out = true;
            c->last_code = ERR_TIMEOUT;
            s->b->timeouts++;
            cancel_attempt(s, i, END_OVERLOAD);
        } else {
            i++;
        }
    }
    if (c->live_count == 0) {
        try_again(s, 0);
    } else if (s->now >= c->hedge_at) {
        hedge(s);
    }
}

static void time_passed(const Step *s)
{
    CallState *c = s->c;
    c->armed_ns = CALL_NEVER;
    if (s->now >= c->deadline_ns) {
        finish(s, CALL_DEADLINE);
        return;
    }
    bool due = s->now >= c->wait_until;
    switch ((CallStage)c->stage) {
    case CALL_STAGE_RUNNING: time_in_running(s); break;
    case CALL_STAGE_RATE:
        if (due) {
            pass_shed(s);
        }
        break;
    case CALL_STAGE_QUEUE:
        if (due) {
            finish(s, CALL_QUEUE_TIMEOUT);
        }
        break;
    case CALL_STAGE_PAUSE:
        if (due) {
            pass_rate(s);
        }
        break;
    case CALL_STAGE_FLIGHT:
    case CALL_STAGE_NEW:
    case CALL_STAGE_DONE: break;
    }
}

static int64_t next_time(const CallState *c)
{
    int64_t next = c->deadline_ns;
    if (c->stage == CALL_STAGE_RUNNING) {
        next = c->hedge_at < next ? c->hedge_at : next;
        for (uint32_t i = 0; i < c->live_count; i++) {
            next = c->live[i].until_ns < next ? c->live[i].until_ns : next;
        }
    } else if (c->stage != CALL_STAGE_FLIGHT && c->wait_until < next) {
        next = c->wait_until;
    }
    return next;
}

// ---- events of other calls ----

static void admitted(const Step *s)
{
    s->c->queue_entry = QUEUE_NONE;
    if (s->c->stage == CALL_STAGE_QUEUE) {
        pass_breaker(s);
    } else {
        limit_give(&s->b->limit); // the place was taken for it
    }
}

static void news(const Step *s, const CallEvent *ev)
{
    CallState *c = s->c;
    if (c->stage != CALL_STAGE_FLIGHT) {
        return;
    }
    if (ev->kind == CALL_LEAD) {
        c->flight_entry = ev->slot;
        c->leads = true;
        enter(s);
        return;
    }
    c->flight_entry = FLIGHT_NONE;
    CallReason reason = ev->code == 0 ? CALL_SHARED : CALL_SHARED_FAILED;
    finish_with(s, reason, ev->code, ev->slot)->leader = ev->leader;
}

static void commit(const Step *s, const CallEvent *ev)
{
    CallState *c = s->c;
    if (find_live(c, ev->attempt) == c->live_count) {
        return;
    }
    for (uint32_t i = 0; i < c->live_count;) {
        if (c->live[i].number != ev->attempt) {
            cancel_attempt(s, i, END_CANCELLED);
        } else {
            c->live[i++].until_ns = CALL_NEVER;
        }
    }
    c->committed = true;
    c->hedge_at = CALL_NEVER;
}

static void handle(const Step *s, const CallEvent *ev)
{
    switch (ev->kind) {
    case CALL_START: start(s, ev->start); break;
    case CALL_ATTEMPT_DONE: attempt_done(s, ev); break;
    case CALL_TIMER: time_passed(s); break;
    case CALL_CANCEL: finish(s, CALL_CANCELLED); break;
    case CALL_COMMIT: commit(s, ev); break;
    case CALL_ADMITTED: admitted(s); break;
    case CALL_DROPPED:
        s->c->queue_entry = QUEUE_NONE;
        finish(s, CALL_QUEUE_DROPPED);
        break;
    case CALL_NEWS:
    case CALL_LEAD: news(s, ev); break;
    }
}

static bool has_work(const PolicyBlock *b)
{
    return (b->queue.count > 0 && b->limit.in_flight < limit_now(&b->limit, b->p)) ||
           b->flight.news != FLIGHT_NONE || b->cache.evicted != CACHE_NONE;
}

void call_step(PolicyBlock *block, CallState *call, const CallEvent *event, int64_t now_ns,
               CallActions *out)
{
    Step step = {block, call, now_ns, out};
    out->count = 0;
    bool over = call->stage == CALL_STAGE_DONE && event->kind != CALL_START;
    if (!over) {
        handle(&step, event);
    } else if (event->kind == CALL_ADMITTED) {
        limit_give(&block->limit);
    }
    if (call->stage != CALL_STAGE_DONE) {
        // A timer that is too early is left alone: it fires, and then the right one is set. Setting
        // one at each attempt would cost more than the few that fire for nothing.
        int64_t next = next_time(call);
        if (next < call->armed_ns) {
            call->armed_ns = next;
            act(&step, CALL_DO_TIMER)->at_ns = next;
        }
    }
    out->drain = has_work(block);
}

bool policy_next_work(PolicyBlock *block, int64_t now_ns, CallWork *ret_work)
{
    FlightNews told;
    int32_t slot;
    bool dropped = false;
    *ret_work = (CallWork){.slot = CACHE_NONE};
    // News first: the answer of a leader is only good until its driver lets go of it.
    if (block->flight.news != FLIGHT_NONE &&
        flight_next(&block->flight, policy_flights(block), &told)) {
        ret_work->handle = told.waiter;
        ret_work->event = (CallEvent){.kind = told.lead ? CALL_LEAD : CALL_NEWS,
                                      .code = told.code,
                                      .slot = told.slot,
                                      .leader = told.leader};
        return true;
    }
    if (block->cache.evicted != CACHE_NONE) {
        slot = cache_next_evicted(&block->cache, policy_cache(block));
        ret_work->slot = slot;
        return true;
    }
    if (block->queue.count == 0 || block->limit.in_flight >= limit_now(&block->limit, block->p) ||
        !queue_pop(&block->queue, policy_queue(block), block->p, now_ns, &ret_work->handle,
                   &dropped)) {
        return false;
    }
    ret_work->event.kind = dropped ? CALL_DROPPED : CALL_ADMITTED;
    if (!dropped) {
        (void)limit_take(&block->limit, block->p);
    }
    return true;
}
