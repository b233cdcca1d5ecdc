#include "policy/autoscale.h"

#include <math.h>

static void push(ScaleMark *ring, uint32_t *count, ScaleMark mark)
{
    ring[(*count)++ % SCALE_HISTORY] = mark;
}

static uint32_t held(uint32_t count)
{
    return count < SCALE_HISTORY ? count : SCALE_HISTORY;
}

// An equal recommendation only moves the last one's time, so that a steady metric does not push
// what still counts out of the ring.
static void remember(ScaleState *s, ScaleMark mark)
{
    ScaleMark *last = &s->history[(s->history_count + SCALE_HISTORY - 1) % SCALE_HISTORY];
    if (s->history_count > 0 && last->workers == mark.workers) {
        last->at_ns = mark.at_ns;
    } else {
        push(s->history, &s->history_count, mark);
    }
}

// stabilizeRecommendationWithBehaviors of horizontal.go.
static int64_t stabilise(const ScaleState *s, const ParamValue *p, int64_t current, int64_t desired,
                         int64_t now_ns)
{
    int64_t up = desired, down = desired;
    for (uint32_t i = 0; i < held(s->history_count); i++) {
        ScaleMark mark = s->history[i];
        if (mark.at_ns > now_ns - p[P_SCALE_UP_STABILISE].integer) {
            up = mark.workers < up ? mark.workers : up;
        }
        if (mark.at_ns > now_ns - p[P_SCALE_DOWN_STABILISE].integer) {
            down = mark.workers > down ? mark.workers : down;
        }
    }
    int64_t stable = current < up ? up : current;
    return stable > down ? down : stable;
}

// Workers at the start of the period that ends now: the changes of that time taken back.
static int64_t period_start(const ScaleState *s, const ParamValue *p, int64_t current,
                            int64_t now_ns)
{
    int64_t start = current;
    for (uint32_t i = 0; i < held(s->change_count); i++) {
        if (s->changes[i].at_ns > now_ns - p[P_SCALE_PERIOD].integer) {
            start -= s->changes[i].workers;
        }
    }
    return start;
}

// convertDesiredReplicasWithBehaviorRate of horizontal.go, with selectPolicy Max upwards.
static int64_t bound_change(const ScaleState *s, const ParamValue *p, int64_t current,
                            int64_t desired, int64_t now_ns)
{
    int64_t start = period_start(s, p, current, now_ns);
    int64_t most = p[P_SCALE_MAX].integer, least = p[P_SCALE_MIN].integer;
    if (desired > current) {
        double share = 1 + (double)p[P_SCALE_UP_PERCENT].integer / 100;
        int64_t by_count = start + p[P_SCALE_UP_COUNT].integer;
        int64_t by_share = (int64_t)ceil((double)start * share);
        int64_t limit = by_count > by_share ? by_count : by_share;
        limit = limit > current ? limit : current;
        most = most < limit ? most : limit;
    } else if (desired < current) {
        double share = 1 - (double)p[P_SCALE_DOWN_PERCENT].integer / 100;
        int64_t limit = (int64_t)((double)start * share);
        limit = limit < current ? limit : current;
        least = least > limit ? least : limit;
    }
    desired = desired < least ? least : desired;
    return desired > most ? most : desired;
}

uint32_t autoscale_step(ScaleState *s, const ParamValue *p, uint32_t current, double metric,
                        int64_t now_ns)
{
    double ratio = metric / p[P_SCALE_TARGET].real;
    int64_t desired = current;
    // Compared before it is rounded up (replica_calculator.go); 1.1 is within 0.1 of 1 here, which
    // in binary fractions it is not.
    if (fabs(ratio - 1) > p[P_SCALE_TOLERANCE].real + 1e-9) {
        double wanted = ceil(current * ratio - 1e-9);
        desired = (int64_t)(wanted < INT32_MAX ? wanted : INT32_MAX);
    }
    int64_t stable = stabilise(s, p, current, desired, now_ns);
    remember(s, (ScaleMark){now_ns, desired});
    int64_t next = bound_change(s, p, current, stable, now_ns);
    if (next != (int64_t)current) {
        push(s->changes, &s->change_count, (ScaleMark){now_ns, next - (int64_t)current});
    }
    return (uint32_t)next;
}
