// How many servers a service has: as asked for, less those that still start, those that are lost
// and all while it is stopped. And who asks: autoscale_step, fed as the live runtime feeds it.
#include "policy/virtual_impl.h"

void servers_settle(Virtual *v, uint32_t service)
{
    Service *s = &v->services[service];
    uint32_t there = s->asked - s->starting, lost = s->is.faults.lost;
    service_account(v, s);
    if (s->is.faults.stopped) {
        s->usable = 0;
    } else if (s->asked == 0) {
        s->usable = VIRTUAL_ANY;
    } else {
        s->usable = there > lost ? there - lost : 0;
    }
    if (s->is.discipline == VIRTUAL_SHARING) {
        sharing_settle(v, service);
    } else {
        service_fill(v, service);
    }
}

static void ask(const Virtual *v, Service *s, uint32_t servers)
{
    s->counts.server_ns += (double)(v->now - s->asked_ns) * s->asked;
    s->asked_ns = v->now;
    s->asked = servers;
}

void virtual_set_servers(Virtual *v, uint32_t service, uint32_t servers)
{
    Service *s = &v->services[service];
    if (servers == s->asked || servers == 0 || s->asked == 0) {
        return;
    }
    if (servers > s->asked) {
        uint32_t more = servers - s->asked;
        ask(v, s, servers);
        if (s->is.start_delay_ns > 0) {
            s->starting += more;
            virtual_servers_later(v, v->now + s->is.start_delay_ns, service, more);
        }
    } else {
        // Those that have not started yet go first: nothing is lost with them.
        uint32_t fewer = s->asked - servers;
        ask(v, s, servers);
        s->starting -= fewer < s->starting ? fewer : s->starting;
    }
    servers_settle(v, service);
}

void servers_started(Virtual *v, uint32_t service, uint32_t count)
{
    Service *s = &v->services[service];
    s->starting -= count < s->starting ? count : s->starting;
    servers_settle(v, service);
}

static double target_of(const Service *s)
{
    return s->block ? s->block->p[P_SCALE_TARGET].real : 0;
}

void servers_scale_begin(Virtual *v, uint32_t service)
{
    Service *s = &v->services[service];
    EventNode node = event_node(NODE_SCALE, service);
    if (target_of(s) <= 0 || event_heap_when(&v->heap, node) != INT64_MAX) {
        return;
    }
    if (s->asked == 0) {
        ask(v, s, (uint32_t)s->block->p[P_SCALE_MIN].integer);
        servers_settle(v, service);
        s = &v->services[service];
    }
    virtual_wake_at(v, NODE_SCALE, service, v->now + s->block->p[P_SCALE_PERIOD].integer);
}

void servers_scale(Virtual *v, uint32_t service)
{
    Service *s = &v->services[service];
    if (target_of(s) <= 0) {
        return;
    }
    const ParamValue *p = s->block->p;
    double load = (double)(s->busy + s->waiting) / (double)s->asked;
    uint32_t next = autoscale_step(policy_autoscale(s->block), p, s->asked, load, v->now);
    virtual_set_servers(v, service, next);
    s = &v->services[service];
    if (s->busy + s->waiting > 0) { // at rest it needs no timer: the next request starts it again
        virtual_wake_at(v, NODE_SCALE, service, v->now + s->block->p[P_SCALE_PERIOD].integer);
    }
}
