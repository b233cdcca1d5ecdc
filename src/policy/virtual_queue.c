// Servers and who waits for them. What waits or is served is a unit: one request, or the ring of
// requests that make a batch, of which one leads: it is the one in the queue, with the server and
// with the event.
#include "policy/virtual_impl.h"

#include <assert.h>

void service_integrate(Service *s, int64_t now_ns)
{
    VirtualServiceCounts *c = &s->counts;
    double dt = (double)(now_ns - s->changed_ns);
    s->changed_ns = now_ns;
    c->waiting_ns += dt * s->waiting;
    c->busy_ns += dt * s->busy;
    c->here_ns += dt * c->here;
}

// ---- rings

static void ring_join(Virtual *v, int32_t ring, int32_t at)
{
    Request *r = &v->requests[at], *first = &v->requests[ring];
    Request *last = &v->requests[first->mates_back];
    r->mates = ring;
    r->mates_back = first->mates_back;
    last->mates = at;
    first->mates_back = at;
}

static void ring_leave(Virtual *v, int32_t at)
{
    Request *r = &v->requests[at];
    v->requests[r->mates].mates_back = r->mates_back;
    v->requests[r->mates_back].mates = r->mates;
    r->mates = r->mates_back = at;
}

static uint32_t ring_size(const Virtual *v, int32_t at)
{
    uint32_t n = 1;
    for (int32_t mate = v->requests[at].mates; mate != at; mate = v->requests[mate].mates) {
        n++;
    }
    return n;
}

// ---- the queue of units

static unsigned band_of(const Service *s, const Request *r)
{
    if (s->is.discipline != VIRTUAL_PRIORITY) {
        return 0;
    }
    return r->priority <= POLICY_PRIORITIES ? r->priority - 1u : POLICY_PRIORITIES - 1u;
}

static void queue_put(Virtual *v, Service *s, int32_t at)
{
    Request *r = &v->requests[at];
    unsigned band = band_of(s, r);
    r->leads = true;
    r->next = NONE;
    r->previous = s->last[band];
    *(r->previous == NONE ? &s->first[band] : &v->requests[r->previous].next) = at;
    s->last[band] = at;
}

static void queue_take(Virtual *v, Service *s, int32_t at)
{
    Request *r = &v->requests[at];
    unsigned band = band_of(s, r);
    *(r->previous == NONE ? &s->first[band] : &v->requests[r->previous].next) = r->next;
    *(r->next == NONE ? &s->last[band] : &v->requests[r->next].previous) = r->previous;
    r->leads = false;
}

// The next unit; NONE.
static int32_t queue_next(const Service *s)
{
    if (s->is.discipline == VIRTUAL_LIFO) {
        return s->last[0];
    }
    unsigned band = 0;
    if (s->is.discipline == VIRTUAL_PRIORITY) {
        while (band < POLICY_PRIORITIES - 1 && s->first[band] == NONE) {
            band++;
        }
    }
    return s->first[band];
}

// ---- serving

// All of a batch get what one handler's run gives them: they hang together, they end together.
static void draw_mates(Virtual *v, int32_t at)
{
    const Service *s = &v->services[v->requests[at].service];
    RequestState state = (RequestState)v->requests[at].state;
    uint32_t items = 1;
    for (int32_t mate = v->requests[at].mates; mate != at; mate = v->requests[mate].mates) {
        request_draw(v, mate);
        v->requests[mate].state = (uint8_t)state;
        v->requests[mate].started_ns = v->now;
        items++;
    }
    if (state == REQUEST_SERVED) {
        v->requests[at].work_ns += (int64_t)(s->is.batch_item_ns * items);
    }
}

static void work_done(Virtual *v, int32_t at, bool inside);

static void serve(Virtual *v, int32_t at)
{
    Request *r = &v->requests[at];
    Service *s = &v->services[r->service];
    service_account(v, s);
    s->busy++;
    r->has_server = true;
    r->started_ns = v->now;
    request_draw(v, at);
    if (s->batches || r->mates != at) {
        draw_mates(v, at);
    }
    if (r->state == REQUEST_HANGING) {
        if (r->work_ns > 0) {
            virtual_wake_at(v, NODE_WORK, (uint32_t)at, v->now + r->work_ns);
        }
    } else if (r->work_ns > 0) {
        virtual_wake_at(v, NODE_WORK, (uint32_t)at, v->now + r->work_ns);
    } else {
        work_done(v, at, true);
    }
}

void service_fill(Virtual *v, uint32_t service)
{
    Service *s = &v->services[service];
    if (s->filling || s->is.discipline == VIRTUAL_SHARING) {
        return; // a loop further up the stack goes on
    }
    s->filling = true;
    for (int32_t at; s->busy < s->usable && (at = queue_next(s)) != NONE;) {
        service_account(v, s);
        queue_take(v, s, at);
        uint32_t items = ring_size(v, at);
        if (s->batches) {
            // Without a pause to gather in, a batch is what waits at this moment.
            uint32_t most = (uint32_t)s->block->p[P_BATCH_MAX_ITEMS].integer;
            for (int32_t more; items < most && (more = queue_next(s)) != NONE; items++) {
                if (v->requests[more].mates != more) {
                    break; // it gathered before the pause was turned off
                }
                queue_take(v, s, more);
                ring_join(v, at, more);
            }
        }
        s->waiting -= items;
        serve(v, at);
    }
    s->filling = false;
}

void service_release(Virtual *v, int32_t at)
{
    Request *r = &v->requests[at];
    if (!r->has_server) {
        return;
    }
    Service *s = &v->services[r->service];
    service_account(v, s);
    s->busy--;
    r->has_server = false;
    r->work_ns = v->now - r->started_ns;
    service_fill(v, r->service);
}

// A batch is done: its server is free, and each goes its own way.
static void batch_done(Virtual *v, int32_t at)
{
    uint32_t n = ring_size(v, at), service = v->requests[at].service;
    Service *s = &v->services[service];
    int64_t share = (v->now - v->requests[at].started_ns) / n;
    service_account(v, s);
    s->busy--;
    v->requests[at].has_server = false;
    for (int32_t mate = NONE; mate != at;) {
        mate = v->requests[at].mates; // the leader is the last
        ring_leave(v, mate);
        v->requests[mate].work_ns = share;
        if (request_worked(v, mate)) {
            request_end_soon(v, mate);
        }
    }
    service_fill(v, service);
}

// `inside` of something that must not see the request end.
static void work_done(Virtual *v, int32_t at, bool inside)
{
    if (v->requests[at].mates != at) {
        batch_done(v, at);
    } else if (request_worked(v, at)) {
        if (inside) {
            request_end_soon(v, at);
        } else {
            request_end(v, at);
        }
    }
}

void service_work_done(Virtual *v, int32_t at)
{
    work_done(v, at, false);
}

// ---- batches that gather

static bool gathers(const Service *s)
{
    return s->batches && s->block->p[P_BATCH_TIMEOUT].integer > 0;
}

static void dispatch(Virtual *v, uint32_t service)
{
    Service *s = &v->services[service];
    int32_t at = s->gathering;
    event_heap_remove(&v->heap, event_node(NODE_BATCH, service));
    s->gathering = NONE;
    (void)batch_flush(&s->block->batch);
    int32_t mate = at;
    do {
        v->requests[mate].state = REQUEST_WAITING;
        mate = v->requests[mate].mates;
    } while (mate != at);
    if (s->busy < s->usable) {
        service_account(v, s);
        s->waiting -= ring_size(v, at);
        serve(v, at);
    } else {
        queue_put(v, s, at);
    }
}

void service_batch_due(Virtual *v, uint32_t service)
{
    dispatch(v, service);
}

static void gather(Virtual *v, int32_t at)
{
    uint32_t service = v->requests[at].service;
    Service *s = &v->services[service];
    v->requests[at].state = REQUEST_GATHERING;
    s->waiting++;
    if (s->gathering == NONE) {
        s->gathering = at;
    } else {
        ring_join(v, s->gathering, at);
    }
    BatchState *batch = &s->block->batch;
    if (batch_add(batch, s->block->p, 0, v->now)) {
        dispatch(v, service);
    } else if (batch->items == 1) {
        virtual_wake_at(v, NODE_BATCH, service, batch_due(batch, s->block->p));
    }
}

// ---- coming and going

static bool share(Virtual *v, int32_t at)
{
    Request *r = &v->requests[at];
    Service *s = &v->services[r->service];
    if (s->is.queue_max != VIRTUAL_ANY && s->asked > 0 &&
        s->sharer_count >= (uint64_t)s->usable + s->is.queue_max) {
        return false;
    }
    r->started_ns = v->now;
    request_draw(v, at);
    if (r->state != REQUEST_HANGING) {
        sharing_add(v, at);
    } else if (r->work_ns > 0) {
        virtual_wake_at(v, NODE_WORK, (uint32_t)at, v->now + r->work_ns);
        r->work_ns = 0; // it gets no share
    }
    return true;
}

bool service_enter(Virtual *v, int32_t at)
{
    Service *s = &v->services[v->requests[at].service];
    servers_scale_watch(v, v->requests[at].service);
    if (s->is.discipline == VIRTUAL_SHARING) {
        return share(v, at);
    }
    bool free_server = s->busy < s->usable;
    if (!free_server && s->is.queue_max != VIRTUAL_ANY && s->waiting >= s->is.queue_max) {
        return false;
    }
    if (gathers(s)) {
        gather(v, at);
    } else if (free_server) {
        serve(v, at);
    } else {
        v->requests[at].state = REQUEST_WAITING;
        s->waiting++;
        queue_put(v, s, at);
    }
    return true;
}

// One of a unit that waits or is served: if it leads, another one does from now on.
static void hand_over(Virtual *v, Service *s, int32_t at)
{
    Request *r = &v->requests[at];
    int32_t to = r->mates;
    Request *next = &v->requests[to];
    if (r->leads) {
        unsigned band = band_of(s, r);
        // The place in the queue stays; priorities of one batch may differ, its band does not.
        next->leads = true;
        next->priority = r->priority;
        next->next = r->next;
        next->previous = r->previous;
        *(r->previous == NONE ? &s->first[band] : &v->requests[r->previous].next) = to;
        *(r->next == NONE ? &s->last[band] : &v->requests[r->next].previous) = to;
        r->leads = false;
    }
    if (r->has_server) {
        EventNode node = event_node(NODE_WORK, (uint32_t)at);
        int64_t when = event_heap_when(&v->heap, node);
        event_heap_remove(&v->heap, node);
        if (when != INT64_MAX) {
            virtual_wake_at(v, NODE_WORK, (uint32_t)to, when);
        }
        next->has_server = true;
        r->has_server = false;
    }
}

static void leave_gathering(Virtual *v, Service *s, int32_t at)
{
    uint32_t service = v->requests[at].service;
    batch_remove(&s->block->batch, 0);
    if (s->gathering == at) {
        s->gathering = v->requests[at].mates == at ? NONE : v->requests[at].mates;
    }
    if (s->gathering == NONE) {
        (void)batch_flush(&s->block->batch);
        event_heap_remove(&v->heap, event_node(NODE_BATCH, service));
    }
    ring_leave(v, at);
}

void service_leave(Virtual *v, int32_t at)
{
    Request *r = &v->requests[at];
    Service *s = &v->services[r->service];
    RequestState state = (RequestState)r->state;
    service_account(v, s);
    if (state == REQUEST_SHARING) {
        sharing_remove(v, at);
        return;
    }
    s->waiting -= state == REQUEST_WAITING || state == REQUEST_GATHERING;
    if (state == REQUEST_GATHERING) {
        leave_gathering(v, s, at);
    } else if (r->mates != at) {
        r->work_ns = (v->now - r->started_ns) / ring_size(v, at);
        hand_over(v, s, at);
        ring_leave(v, at);
    } else if (state == REQUEST_WAITING) {
        queue_take(v, s, at);
    } else if (state == REQUEST_SERVED || state == REQUEST_HANGING) {
        event_heap_remove(&v->heap, event_node(NODE_WORK, (uint32_t)at));
    }
    service_release(v, at);
}
