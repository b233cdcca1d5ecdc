#include "policy/shed.h"

static uint32_t slice_at(ShedState *s, const ParamValue *p, int64_t now_ns)
{
    int64_t length = p[P_SHED_THROTTLE_WINDOW].integer / SHED_SLICES;
    int64_t number = now_ns / (length > 0 ? length : 1);
    int64_t gone = number - s->newest;
    for (int64_t i = 1; i <= gone && i <= SHED_SLICES; i++) {
        uint32_t slice = (uint32_t)((s->newest + i) % SHED_SLICES);
        s->requests[slice] = s->accepts[slice] = 0;
    }
    s->newest = number > s->newest ? number : s->newest;
    return (uint32_t)(s->newest % SHED_SLICES);
}

double shed_throttle(ShedState *s, const ParamValue *p, int64_t now_ns)
{
    double requests = 0, accepts = 0;
    (void)slice_at(s, p, now_ns);
    for (int i = 0; i < SHED_SLICES; i++) {
        requests += s->requests[i];
        accepts += s->accepts[i];
    }
    double excess = (requests - p[P_SHED_THROTTLE_K].real * accepts) / (requests + 1);
    return excess > 0 ? excess : 0;
}

void shed_accepted(ShedState *s, const ParamValue *p, int64_t now_ns)
{
    s->accepts[slice_at(s, p, now_ns)]++;
}

// Multiples of `shed.queue_delay` that a priority stands: 4, 3, 2, 1 for 1 to 4, then 0.8 to 0.2.
static double patience(uint32_t priority)
{
    return priority <= POLICY_PRIORITY_DEFAULT ? 5.0 - priority : (9.0 - priority) / 5.0;
}

ShedCause shed_decide(ShedState *s, const ParamValue *p, int64_t now_ns, int64_t queue_wait_ns,
                      uint32_t priority, double unit)
{
    if (p[P_SHED_THROTTLE_K].real > 0) {
        double refuse = shed_throttle(s, p, now_ns);
        s->requests[slice_at(s, p, now_ns)]++;
        if (unit < refuse) {
            return SHED_THROTTLE;
        }
    }
    if (priority <= p[P_SHED_KEEP_PRIORITY].integer) {
        return SHED_NO;
    }
    double delay = (double)p[P_SHED_QUEUE_DELAY].integer;
    if (delay > 0 && (double)queue_wait_ns >= delay * patience(priority)) {
        return SHED_QUEUE_DELAY;
    }
    double cpu = p[P_SHED_CPU].real;
    if (cpu > 0 && s->cpu > cpu) {
        double excess = cpu < 1 ? (s->cpu - cpu) / (1 - cpu) : 1;
        if (unit < excess * priority / POLICY_PRIORITY_DEFAULT) {
            return SHED_CPU;
        }
    }
    return SHED_NO;
}
