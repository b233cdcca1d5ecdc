#include "policy/virtual.h"

#include <assert.h>
#include <math.h>

#include "policy/chance.h"
#include "policy/event_heap.h"

enum { NONE = -1 };

typedef enum EventKind {
    EVENT_TIMER,   // of a call
    EVENT_SERVED,  // a request's work is done
    EVENT_REFUSED, // a request was refused when it came
    EVENT_CHILD,   // a call that a request made has ended
    EVENT_ARRIVAL,
    EVENT_CANCEL,
    EVENT_TICK,
} EventKind;

typedef struct Op {
    CallState state;
    uint64_t serial;
    int64_t started_ns;
    uint32_t edge;
    uint32_t timer; // stamp of its timer's event
    uint32_t life;  // stamp of this use of the slot
    int32_t parent; // the request that waits for it
    int32_t live[CALL_LIVE_MAX];
    int32_t next_free;
} Op;

typedef enum RequestState { REQUEST_FREE, WAITING, SERVED, HANGING, NESTED } RequestState;

typedef struct Request {
    RequestState state;
    CallOutcome outcome;
    uint64_t task;
    int64_t deadline_ns;
    int64_t work_ns;
    int32_t op; // NONE: abandoned, and its work goes on
    uint32_t attempt;
    uint32_t service;
    uint32_t life;
    uint32_t stage; // of downstream calls
    int32_t child;
    bool hangs, child_failed;
    int32_t next, previous; // in the service's queue; `next` of free ones
} Request;

typedef struct Service {
    VirtualService is;
    uint32_t busy, waiting;
    int32_t first, last;
} Service;

typedef struct Edge {
    PolicyBlock *block;
    uint32_t service;
} Edge;

typedef struct Arrivals {
    VirtualArrivals is;
    uint64_t begun;
    uint32_t edge;
} Arrivals;

struct Virtual {
    uint64_t seed;
    VirtualHooks hooks;
    int64_t now;
    uint64_t serial, steps, trace;
    EventHeap heap;
    Op *ops;
    Request *requests;
    Service *services;
    Edge *edges;
    Arrivals *arrivals;
    uint32_t op_count, request_count, service_count, edge_count, arrival_count;
    uint32_t op_room, request_room, service_room, edge_room, arrival_room;
    int32_t op_free, request_free;
    uint32_t ops_open, requests_open;
};

// ---- the world ----

// Room for one more item; new memory is zeroed.
static void *grown(void *items, uint32_t count, uint32_t *room, size_t item_bytes)
{
    if (count < *room) {
        return items;
    }
    uint32_t more = *room ? *room * 2 : 16;
    char *grown = mem_realloc(items, more * item_bytes);
    memset(grown + *room * item_bytes, 0, (more - *room) * item_bytes);
    *room = more;
    return grown;
}

Virtual *virtual_create(const VirtualOptions *options)
{
    Virtual *v = mem_zalloc(sizeof *v);
    v->seed = options->seed;
    v->hooks = options->hooks;
    v->op_free = v->request_free = NONE;
    event_heap_init(&v->heap, 1024);
    return v;
}

void virtual_destroy(Virtual *v)
{
    if (!v) {
        return;
    }
    for (uint32_t i = 0; i < v->edge_count; i++) {
        free(v->edges[i].block);
    }
    event_heap_done(&v->heap);
    free(v->ops);
    free(v->requests);
    free(v->services);
    free(v->edges);
    free(v->arrivals);
    free(v);
}

static void *copied(const void *items, size_t bytes)
{
    void *copy = mem_zalloc(bytes ? bytes : 1);
    if (bytes) {
        memcpy(copy, items, bytes);
    }
    return copy;
}

Virtual *virtual_clone(const Virtual *v, const VirtualHooks *hooks)
{
    Virtual *c = copied(v, sizeof *v);
    c->hooks = hooks ? *hooks : (VirtualHooks){0};
    event_heap_copy(&c->heap, &v->heap);
    c->ops = copied(v->ops, v->op_room * sizeof *v->ops);
    c->requests = copied(v->requests, v->request_room * sizeof *v->requests);
    c->services = copied(v->services, v->service_room * sizeof *v->services);
    c->edges = copied(v->edges, v->edge_room * sizeof *v->edges);
    c->arrivals = copied(v->arrivals, v->arrival_room * sizeof *v->arrivals);
    for (uint32_t i = 0; i < v->edge_count; i++) {
        c->edges[i].block = copied(v->edges[i].block, v->edges[i].block->bytes);
    }
    return c;
}

uint32_t virtual_service(Virtual *v, const VirtualService *service)
{
    v->services = grown(v->services, v->service_count, &v->service_room, sizeof *v->services);
    v->services[v->service_count] = (Service){.is = *service, .first = NONE, .last = NONE};
    return v->service_count++;
}

uint32_t virtual_edge(Virtual *v, const PolicyShape *shape,
                      const ParamValue values[POLICY_PARAM_COUNT], uint32_t service)
{
    PolicyShape needed = policy_shape(values);
    const PolicyShape *made = shape ? shape : &needed;
    PolicyBlock *block = mem_alloc(policy_bytes(made));
    policy_init(block, made, values, v->seed, v->now);
    v->edges = grown(v->edges, v->edge_count, &v->edge_room, sizeof *v->edges);
    v->edges[v->edge_count] = (Edge){block, service};
    return v->edge_count++;
}

PolicyBlock *virtual_block(Virtual *v, uint32_t edge)
{
    return v->edges[edge].block;
}
VirtualService *virtual_service_at(Virtual *v, uint32_t service)
{
    return &v->services[service].is;
}
int64_t virtual_now(const Virtual *v)
{
    return v->now;
}
uint64_t virtual_steps(const Virtual *v)
{
    return v->steps;
}
uint64_t virtual_trace(const Virtual *v)
{
    return v->trace;
}
uint32_t virtual_calls_open(const Virtual *v)
{
    return v->ops_open;
}
uint32_t virtual_requests_open(const Virtual *v)
{
    return v->requests_open;
}
uint32_t virtual_busy(const Virtual *v, uint32_t service)
{
    return v->services[service].busy;
}

static void push(Virtual *v, int64_t at_ns, EventKind kind, uint64_t what, uint32_t stamp)
{
    event_heap_push(&v->heap,
                    (HeapEvent){.at_ns = at_ns, .kind = kind, .what = what, .stamp = stamp});
}

// ---- requests at a service ----

static int32_t request_new(Virtual *v)
{
    int32_t at = v->request_free;
    if (at == NONE) {
        v->requests = grown(v->requests, v->request_count, &v->request_room, sizeof *v->requests);
        at = (int32_t)v->request_count++;
    } else {
        v->request_free = v->requests[at].next;
    }
    uint32_t life = v->requests[at].life;
    v->requests[at] = (Request){.life = life, .child = NONE};
    v->requests_open++;
    return at;
}

static void request_free(Virtual *v, int32_t at)
{
    v->requests[at].state = REQUEST_FREE;
    v->requests[at].life++;
    v->requests[at].next = v->request_free;
    v->request_free = at;
    v->requests_open--;
}

static void serve(Virtual *v, int32_t at)
{
    Request *r = &v->requests[at];
    v->services[r->service].busy++;
    r->state = r->hangs ? HANGING : SERVED;
    if (!r->hangs || v->services[r->service].is.hang_ns > 0) {
        push(v, v->now + r->work_ns, EVENT_SERVED, (uint64_t)at, r->life);
    }
}

static void dequeue(Virtual *v, int32_t at)
{
    Request *r = &v->requests[at];
    Service *s = &v->services[r->service];
    *(r->previous == NONE ? &s->first : &v->requests[r->previous].next) = r->next;
    *(r->next == NONE ? &s->last : &v->requests[r->next].previous) = r->previous;
    s->waiting--;
}

static void enqueue(Virtual *v, int32_t at)
{
    Request *r = &v->requests[at];
    Service *s = &v->services[r->service];
    r->state = WAITING;
    r->next = NONE;
    r->previous = s->last;
    *(s->last == NONE ? &s->first : &v->requests[s->last].next) = at;
    s->last = at;
    s->waiting++;
}

static void server_released(Virtual *v, uint32_t service)
{
    Service *s = &v->services[service];
    s->busy--;
    if (s->first != NONE) {
        int32_t next = s->first;
        dequeue(v, next);
        serve(v, next);
    }
}

// What will become of it, drawn once, whatever the policies do.
static void draw(const Virtual *v, Request *r)
{
    const VirtualService *s = &v->services[r->service].is;
    uint32_t n = r->service << 8 | (r->attempt & 255);
    double u = chance(v->seed, r->task, CHANCE_FAULT, n);
    double edges[] = {s->hang, s->fail, s->fatal, s->throttle, s->slow};
    size_t fault = 0;
    while (fault < COUNT_OF(edges) && u >= edges[fault]) {
        u -= edges[fault++];
    }
    static const CallOutcome outcomes[] = {CALL_SUCCESS,   CALL_RETRYABLE, CALL_FATAL,
                                           CALL_THROTTLED, CALL_SUCCESS,   CALL_SUCCESS};
    r->hangs = fault == 0;
    r->outcome = outcomes[fault];
    r->work_ns = dist_sample(&s->latency, chance(v->seed, r->task, CHANCE_SERVICE, n));
    if (r->hangs) {
        r->work_ns = s->hang_ns;
        r->outcome = CALL_RETRYABLE;
    }
    if (fault == 4) {
        r->work_ns = (int64_t)((double)r->work_ns * s->slow_factor);
    }
}

static void request_begin(Virtual *v, int32_t op_at, const CallAction *a)
{
    int32_t at = request_new(v);
    Request *r = &v->requests[at];
    Op *op = &v->ops[op_at];
    r->op = op_at;
    r->task = op->state.task;
    r->attempt = a->attempt;
    bool tells = v->edges[op->edge].block->p[P_CANCEL_PROPAGATE].boolean;
    r->deadline_ns = tells ? a->at_ns : CALL_NEVER;
    r->service = v->edges[op->edge].service;
    draw(v, r);
    for (int i = 0; i < CALL_LIVE_MAX; i++) {
        if (op->live[i] == NONE) {
            op->live[i] = at;
            break;
        }
    }
    Service *s = &v->services[r->service];
    if (s->is.servers == 0 || s->busy < s->is.servers) {
        r->outcome == CALL_THROTTLED ? push(v, v->now, EVENT_REFUSED, (uint64_t)at, r->life)
                                     : serve(v, at);
    } else if (r->outcome == CALL_THROTTLED ||
               (s->is.queue_max > 0 && s->waiting >= s->is.queue_max)) {
        r->outcome = CALL_THROTTLED;
        push(v, v->now, EVENT_REFUSED, (uint64_t)at, r->life);
    } else {
        enqueue(v, at);
    }
}

static void forget(Op *op, int32_t request)
{
    for (int i = 0; i < CALL_LIVE_MAX; i++) {
        op->live[i] = op->live[i] == request ? NONE : op->live[i];
    }
}

// ---- calls ----

static void step(Virtual *v, int32_t op_at, const CallEvent *event);

// Nobody waits for it any more. `told`: and it knows; else it goes on, its calls with it.
static void request_cancel(Virtual *v, int32_t at, bool told)
{
    Request *r = &v->requests[at];
    RequestState state = r->state;
    uint32_t service = r->service;
    int32_t child = r->child;
    forget(&v->ops[r->op], at);
    r->op = NONE;
    if (!told || ((state == SERVED || state == NESTED) && v->services[service].is.ignores_cancel)) {
        return;
    }
    if (state == WAITING) {
        dequeue(v, at);
    }
    request_free(v, at);
    if (state == NESTED && child != NONE) {
        v->ops[child].parent = NONE;
        step(v, child, &(CallEvent){.kind = CALL_CANCEL});
    }
    // One that is about to be refused (REQUEST_FREE as a state) never had a server.
    if (state == SERVED || state == HANGING || state == NESTED) {
        server_released(v, service);
    }
}

static void cancel_attempt(Virtual *v, int32_t op_at, uint32_t attempt)
{
    for (int i = 0; i < CALL_LIVE_MAX; i++) {
        int32_t at = v->ops[op_at].live[i];
        if (at != NONE && v->requests[at].attempt == attempt) {
            const PolicyBlock *b = v->edges[v->ops[op_at].edge].block;
            request_cancel(v, at, b->p[P_CANCEL_PROPAGATE].boolean);
            return;
        }
    }
}

static void note(Virtual *v, const Op *op, const CallAction *a)
{
    uint64_t words[] = {(uint64_t)v->now, op->serial,
                        (uint64_t)a->kind << 32 | (uint64_t)a->attempt << 8 | (uint64_t)a->reason,
                        (uint64_t)a->at_ns};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        v->trace = (v->trace ^ words[i]) * UINT64_C(0x9E3779B97F4A7C15);
        v->trace ^= v->trace >> 29;
    }
}

static void complete(Virtual *v, int32_t op_at, const CallAction *a)
{
    Op *op = &v->ops[op_at];
    VirtualEnd end = {op->edge,  op->serial, op->started_ns,    v->now,
                      a->reason, a->code,    op->state.attempts};
    op->timer++;
    for (int i = 0; i < CALL_LIVE_MAX; i++) {
        assert(op->live[i] == NONE); // no attempt outlives its call
    }
    if (op->parent != NONE) {
        Request *r = &v->requests[op->parent];
        r->child = NONE;
        r->child_failed = a->code != 0;
        push(v, v->now, EVENT_CHILD, (uint64_t)op->parent, r->life);
    }
    if (v->hooks.ended) {
        v->hooks.ended(v->hooks.context, v, &end);
    }
}

static void perform(Virtual *v, int32_t op_at, const CallAction *a)
{
    Op *op = &v->ops[op_at];
    note(v, op, a);
    if (v->hooks.action) {
        v->hooks.action(v->hooks.context, v, op->serial, a);
        op = &v->ops[op_at];
    }
    switch (a->kind) {
    case CALL_DO_START: request_begin(v, op_at, a); break;
    case CALL_DO_CANCEL: cancel_attempt(v, op_at, a->attempt); break;
    case CALL_DO_TIMER: push(v, a->at_ns, EVENT_TIMER, (uint64_t)op_at, ++op->timer); break;
    case CALL_DO_QUEUED:
    case CALL_DO_STORE: break;
    case CALL_DO_COMPLETE: complete(v, op_at, a); break;
    }
}

static void drain(Virtual *v, PolicyBlock *b)
{
    if (b->draining) {
        return;
    }
    b->draining = true;
    for (CallWork w; policy_next_work(b, v->now, &w);) {
        if (w.slot == CACHE_NONE) {
            step(v, (int32_t)w.handle, &w.event);
        }
    }
    b->draining = false;
}

static void step(Virtual *v, int32_t op_at, const CallEvent *event)
{
    PolicyBlock *b = v->edges[v->ops[op_at].edge].block;
    CallActions todo;
    v->steps++;
    call_step(b, &v->ops[op_at].state, event, v->now, &todo);
    bool ended = call_is_done(&v->ops[op_at].state);
    for (uint32_t i = 0; i < todo.count; i++) {
        perform(v, op_at, &todo.list[i]);
    }
    if (todo.drain) {
        drain(v, b);
    }
    if (ended) {
        v->ops[op_at].life++;
        v->ops[op_at].next_free = v->op_free;
        v->op_free = op_at;
        v->ops_open--;
    }
}

static int32_t op_start(Virtual *v, uint32_t edge, const CallOptions *options, int32_t parent)
{
    int32_t at = v->op_free;
    if (at == NONE) {
        v->ops = grown(v->ops, v->op_count, &v->op_room, sizeof *v->ops);
        at = (int32_t)v->op_count++;
    } else {
        v->op_free = v->ops[at].next_free;
    }
    Op *op = &v->ops[at];
    op->serial = v->serial++;
    op->started_ns = v->now;
    op->edge = edge;
    op->parent = parent;
    op->state.stage = CALL_STAGE_NEW;
    for (int i = 0; i < CALL_LIVE_MAX; i++) {
        op->live[i] = NONE;
    }
    v->ops_open++;
    CallOptions mine = *options;
    mine.handle = (uint64_t)at;
    mine.task = options->task ? options->task : op->serial + 1;
    if (parent != NONE) {
        v->requests[parent].child = at; // before the step, which may end it
    }
    step(v, at, &(CallEvent){.kind = CALL_START, .start = &mine});
    return at;
}

uint64_t virtual_call(Virtual *v, uint32_t edge, const CallOptions *options)
{
    uint64_t serial = v->serial;
    (void)op_start(v, edge, options, NONE);
    return serial;
}

int virtual_set(Virtual *v, uint32_t edge, PolicyParamId id, ParamValue value, Err *e)
{
    int rc = policy_set(v->edges[edge].block, id, value, v->now, e);
    if (rc == 0) {
        drain(v, v->edges[edge].block);
    }
    return rc;
}

// ---- events ----

static void request_end(Virtual *v, int32_t at)
{
    Request r = v->requests[at];
    const VirtualService *s = &v->services[r.service].is;
    CallEvent event = {.kind = CALL_ATTEMPT_DONE,
                       .attempt = r.attempt,
                       .outcome = r.outcome,
                       .code = r.outcome == CALL_SUCCESS     ? 0
                               : r.outcome == CALL_THROTTLED ? ERR_BUSY
                                                             : ERR_PROTOCOL,
                       .retry_after_ns = r.outcome == CALL_THROTTLED ? s->retry_after_ns : 0,
                       .bytes = s->answer_bytes};
    if (r.op != NONE) {
        forget(&v->ops[r.op], at);
    }
    request_free(v, at);
    if (r.state == SERVED || r.state == NESTED || r.state == HANGING) {
        server_released(v, r.service);
    }
    if (r.op != NONE) {
        step(v, r.op, &event);
    }
}

// The work is done or a call made for it has ended: the next one, or the end.
static void request_go_on(Virtual *v, int32_t at)
{
    Request *r = &v->requests[at];
    const VirtualService *s = &v->services[r->service].is;
    if (r->child_failed) {
        r->outcome = CALL_RETRYABLE;
    }
    if (r->outcome != CALL_SUCCESS || r->stage == s->downstream_count) {
        request_end(v, at);
        return;
    }
    uint32_t stage = r->stage++;
    r->state = NESTED;
    // The same attempt makes the same calls in every world.
    uint64_t task = (r->task * UINT64_C(0x9E3779B97F4A7C15)) ^
                    ((uint64_t)r->attempt << 8 | stage | UINT64_C(1) << 63);
    CallOptions options = {.task = task,
                           .deadline_ns = r->deadline_ns == CALL_NEVER ? 0 : r->deadline_ns};
    (void)op_start(v, s->downstream[stage], &options, at);
}

static void arrive(Virtual *v, uint32_t index)
{
    Arrivals *a = &v->arrivals[index];
    const VirtualArrivals is = a->is;
    uint32_t edge = a->edge;
    uint64_t task = (uint64_t)(index + 1) << 40 | a->begun++;
    if (a->begun < is.count) {
        double gap = -log(1 - chance(v->seed, task, CHANCE_ARRIVAL, 0)) / is.per_second;
        push(v, v->now + (int64_t)(gap * 1e9), EVENT_ARRIVAL, index, 0);
    }
    CallOptions options = {.task = task,
                           .deadline_ns = is.deadline_ns ? v->now + is.deadline_ns : 0};
    if (is.keys > 0) {
        double u = chance(v->seed, task, CHANCE_ARRIVAL, 1);
        options.key.low = 1 + (uint64_t)(u * u * u * (double)is.keys);
    }
    if (is.priorities > 1) {
        options.priority =
            (uint8_t)(1 + chance(v->seed, task, CHANCE_ARRIVAL, 2) * (double)is.priorities);
    }
    options.once = is.once > 0 && chance(v->seed, task, CHANCE_ARRIVAL, 3) < is.once;
    uint64_t serial = v->serial;
    int32_t at = op_start(v, edge, &options, NONE);
    bool leaves = is.cancel > 0 && chance(v->seed, task, CHANCE_ARRIVAL, 4) < is.cancel;
    if (leaves && v->ops[at].serial == serial && !call_is_done(&v->ops[at].state)) {
        push(v, v->now + is.cancel_after_ns, EVENT_CANCEL, (uint64_t)at, v->ops[at].life);
    }
}

void virtual_arrivals(Virtual *v, uint32_t edge, const VirtualArrivals *arrivals)
{
    v->arrivals = grown(v->arrivals, v->arrival_count, &v->arrival_room, sizeof *v->arrivals);
    v->arrivals[v->arrival_count] = (Arrivals){.is = *arrivals, .edge = edge};
    if (arrivals->count > 0) {
        push(v, arrivals->start_ns > v->now ? arrivals->start_ns : v->now, EVENT_ARRIVAL,
             v->arrival_count, 0);
    }
    v->arrival_count++;
}

void virtual_tick(Virtual *v, int64_t at_ns, uint64_t id)
{
    push(v, at_ns, EVENT_TICK, id, 0);
}

static void happen(Virtual *v, const HeapEvent *e)
{
    int32_t at = (int32_t)e->what;
    switch ((EventKind)e->kind) {
    case EVENT_TIMER:
        if (v->ops[at].timer == e->stamp) {
            step(v, at, &(CallEvent){.kind = CALL_TIMER});
        }
        break;
    case EVENT_SERVED:
    case EVENT_CHILD:
        if (v->requests[at].life == e->stamp) {
            request_go_on(v, at);
        }
        break;
    case EVENT_REFUSED:
        if (v->requests[at].life == e->stamp) {
            request_end(v, at);
        }
        break;
    case EVENT_ARRIVAL: arrive(v, (uint32_t)at); break;
    case EVENT_CANCEL:
        if (v->ops[at].life == e->stamp) {
            step(v, at, &(CallEvent){.kind = CALL_CANCEL});
        }
        break;
    case EVENT_TICK:
        if (v->hooks.tick) {
            v->hooks.tick(v->hooks.context, v, e->what);
        }
        break;
    }
}

uint64_t virtual_run(Virtual *v, int64_t until_ns)
{
    uint64_t handled = 0;
    HeapEvent event;
    while (v->heap.count > 0 && v->heap.items[0].at_ns <= until_ns &&
           event_heap_pop(&v->heap, &event)) {
        v->now = event.at_ns;
        happen(v, &event);
        handled++;
    }
    if (until_ns != INT64_MAX && until_ns > v->now) {
        v->now = until_ns;
    }
    return handled;
}
