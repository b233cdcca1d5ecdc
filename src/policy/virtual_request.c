// Requests: what an attempt is at its service. Own work under a server (virtual_queue.c), then the
// groups of calls. The end of a call that a request made arrives as a note, never from inside of
// the call's start, so whoever starts calls may go on using what it holds.
#include "policy/virtual_impl.h"

#include <assert.h>
#include <math.h>

// ---- slots

static int32_t request_new(Virtual *v)
{
    int32_t at = v->request_free;
    if (at != NONE) {
        v->request_free = v->requests[at].next;
    } else {
        uint32_t room = v->request_room;
        v->requests =
            virtual_grown(v->requests, v->request_count, &v->request_room, sizeof *v->requests);
        if (room != v->request_room) {
            event_heap_room(&v->heap, NODE_WORK, v->request_room);
        }
        at = (int32_t)v->request_count++;
    }
    v->requests_open++;
    v->overflowed = v->overflowed || v->ops_open + v->requests_open > v->open_max;
    return at;
}

static void request_free(Virtual *v, int32_t at)
{
    Request *r = &v->requests[at];
    task_unref(v, r->task);
    r->state = REQUEST_FREE;
    r->life++;
    r->next = v->request_free;
    v->request_free = at;
    v->requests_open--;
}

static void forget(Op *op, int32_t request)
{
    for (int i = 0; i < CALL_LIVE_MAX; i++) {
        op->live[i] = op->live[i] == request ? NONE : op->live[i];
    }
}

void request_end_soon(Virtual *v, int32_t at)
{
    Request *r = &v->requests[at];
    virtual_note(v, (Note){.kind = NOTE_REQUEST_END, .request = at, .life = r->life});
}

static void fail(Request *r, CallOutcome outcome, int code)
{
    r->outcome = (uint8_t)outcome;
    r->code = code;
}

// ---- the beginning

// One of the shares: 0 hang, 1 fail, 2 fatal, 3 throttle, 4 slow, 5 none.
static int fault_of(const Virtual *v, const Request *r, const VirtualFaults *f)
{
    double u = luck(v->tasks[r->task].luck, LUCK_FAULT, r->service, r->n);
    const double shares[] = {f->hang, f->fail, f->fatal, f->throttle, f->slow};
    int fault = 0;
    while (fault < (int)COUNT_OF(shares) && u >= shares[fault]) {
        u -= shares[fault++];
    }
    return fault;
}

// When it comes, so that it is there when its turn comes: see draw_gap.
static void draw_work(const Virtual *v, Request *r, const Service *s)
{
    const Dist *d = &s->is.work;
    if (d->kind == DIST_FIXED) {
        r->work_ns = (int64_t)d->scale;
    } else {
        r->work_ns = dist_sample(d, luck(v->tasks[r->task].luck, LUCK_WORK, r->service, r->n));
    }
}

// Faults are those of the time when it is served.
void request_draw(Virtual *v, int32_t at)
{
    Request *r = &v->requests[at];
    const Service *s = &v->services[r->service];
    const VirtualFaults *f = &s->is.faults;
    r->state = REQUEST_SERVED;
    if (!s->faulty) {
        return;
    }
    switch (fault_of(v, r, f)) {
    case 0:
        r->state = REQUEST_HANGING;
        r->work_ns = s->is.hang_ns;
        fail(r, CALL_RETRYABLE, ERR_CLOSED);
        break;
    case 1: fail(r, CALL_RETRYABLE, ERR_PROTOCOL); break;
    case 2: fail(r, CALL_FATAL, ERR_CORRUPT); break;
    case 4:
        r->work_ns = (int64_t)((double)r->work_ns * (f->slow_factor > 0 ? f->slow_factor : 1));
        break;
    default: break;
    }
}

static void refuse(Virtual *v, int32_t at, CallOutcome outcome, int code)
{
    Request *r = &v->requests[at];
    r->state = REQUEST_REFUSED;
    fail(r, outcome, code);
    request_end_soon(v, at);
}

// At the service itself, past its own policies.
static void arrive(Virtual *v, int32_t at)
{
    Request *r = &v->requests[at];
    Service *s = &v->services[r->service];
    service_account(v, s);
    s->counts.begun++;
    s->counts.here++;
    s->counts.orphans += r->orphan;
    r->n = v->task_counts[(size_t)r->task * v->service_count + r->service]++;
    draw_work(v, r, s);
    if (r->depth > VIRTUAL_DEPTH_MAX || v->overflowed) { // or circles would unroll without end
        refuse(v, at, CALL_CALLER_FAULT, ERR_LIMIT);
    } else if ((s->is.faults.throttle > 0 && fault_of(v, r, &s->is.faults) == 3) ||
               !service_enter(v, at)) {
        refuse(v, at, CALL_THROTTLED, ERR_FULL);
    }
}

static void options_of(const Virtual *v, int32_t at, CallOptions *o)
{
    const Request *r = &v->requests[at];
    const Task *t = &v->tasks[r->task];
    // One later than the attempt's own end: at that time the caller's timer comes first and takes
    // this call along, so that what the caller sees does not hang on the order of two timers.
    *o = (CallOptions){.key = t->key,
                       .deadline_ns = r->deadline_ns == CALL_NEVER ? 0 : r->deadline_ns + 1,
                       .priority = t->priority,
                       .task = t->luck};
}

// The service has policies of its own: a call on them stands between.
static void pass_gate(Virtual *v, int32_t at)
{
    CallOptions options;
    Request *r = &v->requests[at];
    r->state = REQUEST_GATED;
    options_of(v, at, &options);
    CallFrom from = {.parent = at, .place = GATE | r->service, .orphan = r->orphan};
    (void)op_start(v, &from, &options, r->task);
}

void request_begin(Virtual *v, int32_t op_at, uint32_t attempt, int64_t deadline_ns)
{
    int32_t at = request_new(v);
    Request *r = &v->requests[at];
    Op *op = &v->ops[op_at];
    bool gate = (op->place & GATE) != 0;
    uint32_t service = gate ? op->place & ~GATE : v->edges[op->place].service;
    uint32_t depth = 1;
    if (op->parent != NONE) {
        depth = v->requests[op->parent].depth + !gate;
    }
    uint32_t life = r->life;
    *r = (Request){.deadline_ns = gate || op_tells(v, op) ? deadline_ns : CALL_NEVER,
                   .op = op_at,
                   .task = op->task,
                   .child = NONE,
                   .mates = at,
                   .mates_back = at,
                   .service = service,
                   .life = life,
                   .attempt = attempt,
                   .orphan = op->orphan,
                   .depth = (uint8_t)depth,
                   .priority = v->tasks[op->task].priority};
    v->tasks[op->task].refs++;
    int slot = 0;
    while (op->live[slot] != NONE) {
        slot++;
    }
    op->live[slot] = at;
    if (v->services[service].block && !gate) {
        pass_gate(v, at);
    } else {
        arrive(v, at);
    }
}

// ---- calls to others

// How often the request calls this target.
static uint32_t times(const Virtual *v, const Request *r, uint32_t target)
{
    const Service *s = &v->services[r->service];
    const VirtualTarget *t = &v->targets[target];
    uint64_t key = v->tasks[r->task].luck;
    // Which request of the task, and which target of the service.
    uint32_t n = (uint32_t)r->n << 10 | (target - v->groups[s->first_group].first);
    if (t->chance < 1 && luck(key, LUCK_CALLED, r->service, n) >= t->chance) {
        return 0;
    }
    double whole = floor(t->repeat), rest = t->repeat - whole;
    uint32_t more = rest > 0 && luck(key, LUCK_REPEAT, r->service, n) < rest;
    return (uint32_t)whole + more;
}

static void call_target(Virtual *v, int32_t at, uint32_t index, uint32_t left)
{
    const Request *r = &v->requests[at];
    const Service *s = &v->services[r->service];
    uint32_t target = v->groups[s->first_group + r->group - 1u].first + index;
    uint32_t edge = v->targets[target].edge;
    CallOptions options;
    options_of(v, at, &options);
    if (policy_key_is_set(options.key)) { // the same question at this place only
        options.key.high = luck_key(options.key.high, (uint64_t)target << 32 | left);
    }
    uint32_t there = v->edges[edge].service;
    uint32_t n = v->task_counts[(size_t)r->task * v->service_count + there];
    options.task = luck_key(options.task, (uint64_t)edge << 32 | n);
    CallFrom from = {.parent = at,
                     .place = edge,
                     .target = (uint16_t)index,
                     .left = (uint16_t)left,
                     .orphan = r->orphan};
    (void)op_start(v, &from, &options, r->task);
}

bool request_go_on(Virtual *v, int32_t at)
{
    for (;;) {
        Request *r = &v->requests[at];
        const Service *s = &v->services[r->service];
        if (r->group == s->is.group_count) {
            return true;
        }
        Group group = v->groups[s->first_group + r->group++];
        uint16_t calls[VIRTUAL_TARGETS_MAX];
        uint16_t under = 0;
        for (uint32_t i = 0; i < group.count; i++) {
            calls[i] = (uint16_t)times(v, r, group.first + i);
            under = (uint16_t)(under + (calls[i] > 0));
        }
        if (under == 0) {
            continue;
        }
        bool all = group.need == 0 || group.need > under;
        r->under = under;
        r->missed = all ? under : (uint16_t)group.need;
        for (uint32_t i = 0; i < group.count; i++) {
            if (calls[i] > 0) {
                call_target(v, at, i, calls[i] - 1u);
            }
        }
        return false;
    }
}

static void cancel_children(Virtual *v, int32_t at)
{
    for (int32_t child; (child = v->requests[at].child) != NONE;) {
        Op *op = &v->ops[child];
        v->requests[at].child = op->next;
        if (op->next != NONE) {
            v->ops[op->next].previous = NONE;
        }
        op->parent = NONE;
        op_cancel(v, child);
    }
}

static void child_done(Virtual *v, int32_t at, const Note *note)
{
    Request *r = &v->requests[at];
    if (note->code == 0 && note->left > 0) {
        call_target(v, at, note->target, note->left - 1u);
        return;
    }
    r->under--;
    if (note->code == 0) {
        r->missed--;
    }
    if (r->missed == 0) {
        cancel_children(v, at);
        if (request_go_on(v, at)) {
            request_end(v, at);
        }
    } else if (r->under < r->missed) {
        fail(r, call_outcome_of(note->code), note->code);
        cancel_children(v, at);
        request_end(v, at);
    }
}

void request_note(Virtual *v, const Note *note)
{
    Request *r = &v->requests[note->request];
    if (r->life != note->life) {
        return; // given up meanwhile
    }
    v->events++;
    if (note->kind == NOTE_REQUEST_END) {
        request_end(v, note->request);
    } else if (r->state == REQUEST_GATED) {
        fail(r, call_outcome_of(note->code), note->code);
        request_end(v, note->request);
    } else {
        child_done(v, note->request, note);
    }
}

bool request_worked(Virtual *v, int32_t at)
{
    Request *r = &v->requests[at];
    const Service *s = &v->services[r->service];
    if (v->hooks.worked && r->mates == at) {
        v->hooks.worked(v->hooks.context, v, r->service, r->work_ns, true);
        r = &v->requests[at];
    }
    r->state = REQUEST_DONE;
    if (r->outcome != CALL_SUCCESS || s->is.group_count == 0) {
        return true;
    }
    r->state = REQUEST_NESTED;
    if (!s->is.holds_server) {
        service_release(v, at);
    }
    return request_go_on(v, at);
}

// ---- the end

// Leaves the service's counts. `gone`: told to stop, and where it was then.
static void count_end(Virtual *v, const Request *r, bool gone)
{
    Service *s = &v->services[r->service];
    VirtualServiceCounts *c = &s->counts;
    service_account(v, s);
    c->here--;
    c->orphans -= r->orphan;
    if (r->state == REQUEST_REFUSED) {
        c->refused++;
        return;
    }
    bool began = r->state != REQUEST_WAITING && r->state != REQUEST_GATHERING;
    c->left_waiting += gone && !began;
    c->left_served += gone && began;
    c->served += !gone;
    if (began) {
        bool wasted = gone || r->orphan;
        c->wasted += wasted;
        c->work_ns += (double)r->work_ns;
        c->wasted_ns += wasted ? (double)r->work_ns : 0;
    }
    bool in_work = r->state == REQUEST_SERVED || r->state == REQUEST_SHARING;
    if (v->hooks.worked && gone && in_work) {
        v->hooks.worked(v->hooks.context, v, r->service, r->work_ns, false);
    }
}

void request_end(Virtual *v, int32_t at)
{
    Request *r = &v->requests[at];
    int32_t op = r->op;
    int64_t retry_after_ns = 0;
    if (r->state == REQUEST_REFUSED && r->outcome == CALL_THROTTLED) {
        retry_after_ns = v->services[r->service].is.retry_after_ns;
    }
    if (op != NONE) {
        forget(&v->ops[op], at);
    }
    if (r->state != REQUEST_GATED) {
        if (r->has_server) {
            service_release(v, at); // others begin: `r` may have moved
            r = &v->requests[at];
        }
        count_end(v, r, false);
    }
    request_free(v, at);
    if (op != NONE) {
        op_attempt_done(v, op, r, retry_after_ns); // a free slot keeps what was in it until then
    }
}

void request_mark_orphan(Virtual *v, int32_t at)
{
    Request *r = &v->requests[at];
    if (r->orphan) {
        return;
    }
    r->orphan = true;
    if (r->state != REQUEST_GATED) {
        v->services[r->service].counts.orphans++;
    }
    for (int32_t child = r->child; child != NONE; child = v->ops[child].next) {
        op_mark_orphan(v, child);
    }
}

void request_cancel(Virtual *v, int32_t at, bool told)
{
    Request *r = &v->requests[at];
    bool serving = r->state == REQUEST_SERVED || r->state == REQUEST_SHARING ||
                   r->state == REQUEST_NESTED || r->state == REQUEST_DONE;
    forget(&v->ops[r->op], at);
    r->op = NONE;
    if (!told || (serving && v->services[r->service].is.ignores_cancel)) {
        request_mark_orphan(v, at);
        return;
    }
    cancel_children(v, at);
    if (v->requests[at].state != REQUEST_GATED) {
        Request was = v->requests[at]; // by its state as it is now it is counted below
        service_leave(v, at);
        was.work_ns = v->requests[at].work_ns;
        was.orphan = v->requests[at].orphan;
        count_end(v, &was, true);
    }
    request_free(v, at);
}
