// Processor sharing: each of n requests gets the share min(1, servers / n) of a server. What each
// has had since the start ("attained") grows equally for all, so the order in which they end is
// known when they come: attained then plus work. A heap by that, and one event for the first.
#include "policy/virtual_impl.h"

#include <math.h>

static void put(Virtual *v, Service *s, uint32_t at, Sharer sharer)
{
    s->sharers[at] = sharer;
    v->requests[sharer.request].next = (int32_t)at;
}

static bool before(Sharer a, Sharer b)
{
    return a.tag < b.tag || (a.tag == b.tag && a.request < b.request);
}

static void sift(Virtual *v, Service *s, uint32_t at, Sharer sharer)
{
    while (at > 0 && before(sharer, s->sharers[(at - 1) / 2])) {
        put(v, s, at, s->sharers[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (uint32_t child; (child = 2 * at + 1) < s->sharer_count; at = child) {
        child += child + 1 < s->sharer_count && before(s->sharers[child + 1], s->sharers[child]);
        if (!before(s->sharers[child], sharer)) {
            break;
        }
        put(v, s, at, s->sharers[child]);
    }
    put(v, s, at, sharer);
}

static void attain(const Virtual *v, Service *s)
{
    s->attained += s->rate * (double)(v->now - s->attained_ns);
    s->attained_ns = v->now;
}

// After the number of sharers or servers changed, at which `attained` was up to date.
static void settle(Virtual *v, uint32_t service)
{
    Service *s = &v->services[service];
    uint32_t n = s->sharer_count;
    service_account(v, s);
    s->busy = n < s->usable ? n : s->usable;
    s->waiting = n - s->busy;
    s->rate = n > 0 ? (double)s->busy / n : 0;
    if (s->rate <= 0) {
        event_heap_remove(&v->heap, event_node(NODE_SHARING, service));
        return;
    }
    double left = (s->sharers[0].tag - s->attained) / s->rate;
    left = left > 0 ? ceil(left) : 0;
    int64_t at = left < 0x1p61 ? v->now + (int64_t)left : INT64_MAX;
    virtual_wake_at(v, NODE_SHARING, service, at);
}

void sharing_add(Virtual *v, int32_t at)
{
    Request *r = &v->requests[at];
    Service *s = &v->services[r->service];
    attain(v, s);
    s->sharers = virtual_grown(s->sharers, s->sharer_count, &s->sharer_room, sizeof *s->sharers);
    r->state = REQUEST_SHARING;
    r->started_ns = v->now;
    sift(v, s, s->sharer_count++, (Sharer){s->attained + (double)r->work_ns, at});
    settle(v, r->service);
}

static void take_out(Virtual *v, Service *s, uint32_t place)
{
    Sharer last = s->sharers[--s->sharer_count];
    if (place < s->sharer_count) {
        sift(v, s, place, last);
    }
}

void sharing_remove(Virtual *v, int32_t at)
{
    Request *r = &v->requests[at];
    Service *s = &v->services[r->service];
    uint32_t place = (uint32_t)r->next;
    attain(v, s);
    double left = s->sharers[place].tag - s->attained;
    r->work_ns -= (int64_t)(left > 0 ? left : 0);
    take_out(v, s, place);
    settle(v, r->service);
}

void sharing_done(Virtual *v, uint32_t service)
{
    Service *s = &v->services[service];
    int32_t at = s->sharers[0].request;
    attain(v, s);
    take_out(v, s, 0);
    settle(v, service);
    if (request_worked(v, at)) {
        request_end(v, at);
    }
}

void sharing_settle(Virtual *v, uint32_t service)
{
    attain(v, &v->services[service]);
    settle(v, service);
}
