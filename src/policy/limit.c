#include "policy/limit.h"

#include <math.h>

#include "policy/chance.h"

enum { LONG_WARM_UP = 10 }; // samples of Gradient2Limit's plain mean before the moving one

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

static double in_range(const ParamValue *p, double limit)
{
    return clamp(limit, (double)p[P_LIMIT_MIN].integer, (double)p[P_LIMIT_MAX].integer);
}

static double next_jitter(LimitState *s, uint64_t seed)
{
    return 0.5 + 0.5 * chance(seed, 0, CHANCE_PROBE, s->probes++);
}

void limit_init(LimitState *s, const ParamValue *p, uint64_t seed)
{
    *s = (LimitState){.estimate = in_range(p, (double)p[P_LIMIT_VALUE].integer)};
    s->probe_jitter = next_jitter(s, seed);
}

void limit_changed(LimitState *s, const ParamValue *p)
{
    s->estimate = in_range(p, s->estimate);
}

uint32_t limit_now(const LimitState *s, const ParamValue *p)
{
    switch ((LimitKind)p[P_LIMIT_KIND].integer) {
    case LIMIT_NONE: return INT32_MAX;
    case LIMIT_FIXED: return (uint32_t)p[P_LIMIT_VALUE].integer;
    case LIMIT_AIMD:
    case LIMIT_GRADIENT2:
    case LIMIT_VEGAS: return (uint32_t)s->estimate;
    }
    return INT32_MAX;
}

bool limit_take(LimitState *s, const ParamValue *p)
{
    if (s->in_flight >= limit_now(s, p)) {
        return false;
    }
    s->in_flight++;
    s->peak = s->in_flight > s->peak ? s->in_flight : s->peak;
    return true;
}

void limit_give(LimitState *s)
{
    s->in_flight--;
}

// AIMDLimit._update. Java's limit is an int: the product is cut.
static void update_aimd(LimitState *s, const ParamValue *p, double rtt, bool dropped)
{
    if (dropped || rtt > (double)p[P_LIMIT_TIMEOUT].integer) {
        s->estimate = floor(s->estimate * p[P_LIMIT_BACKOFF].real);
    } else if ((double)s->in_flight * 2 >= s->estimate) {
        s->estimate += 1;
    }
    s->estimate = in_range(p, s->estimate);
}

// ExpAvgMeasurement: a plain mean at first, then exponential with 2 / (window + 1).
static void update_long(LimitState *s, const ParamValue *p, double rtt)
{
    if (s->long_count < LONG_WARM_UP) {
        s->long_count++;
        s->long_sum += rtt;
        s->long_rtt = s->long_sum / s->long_count;
        return;
    }
    double factor = 2.0 / ((double)p[P_LIMIT_LONG_WINDOW].integer + 1);
    s->long_rtt = s->long_rtt * (1 - factor) + rtt * factor;
}

// Gradient2Limit._update.
static void update_gradient2(LimitState *s, const ParamValue *p, double rtt)
{
    update_long(s, p, rtt);
    double long_rtt = s->long_rtt;
    if (long_rtt / rtt > 2) {
        s->long_rtt *= 0.95; // recovers faster after a long overload than the average would
    }
    if (s->in_flight < s->estimate / 2) {
        return; // the callers are the limit
    }
    double gradient = clamp(p[P_LIMIT_TOLERANCE].real * long_rtt / rtt, 0.5, 1);
    double smoothing = p[P_LIMIT_SMOOTHING].real;
    double fresh = s->estimate * gradient + (double)p[P_LIMIT_QUEUE].integer;
    s->estimate = in_range(p, s->estimate * (1 - smoothing) + fresh * smoothing);
}

static double log10_of(double limit)
{
    double x = floor(log10(floor(limit)));
    return x < 1 ? 1 : x;
}

// VegasLimit._update, with its default functions and smoothing 1.
static void update_vegas(LimitState *s, const ParamValue *p, uint64_t seed, int64_t rtt,
                         bool dropped)
{
    s->probe_count++;
    double probe_at = s->probe_jitter * (double)p[P_LIMIT_PROBE].integer * s->estimate;
    if (probe_at <= s->probe_count) {
        s->probe_jitter = next_jitter(s, seed);
        s->probe_count = 0;
        s->min_rtt = rtt;
        return;
    }
    if (s->min_rtt == 0 || rtt < s->min_rtt) {
        s->min_rtt = rtt;
        return;
    }
    double log = log10_of(s->estimate), alpha = 3 * log, beta = 6 * log;
    double queue = ceil(s->estimate * (1 - (double)s->min_rtt / (double)rtt));
    if (dropped) {
        s->estimate -= log;
    } else if ((double)s->in_flight * 2 < s->estimate) {
        return;
    } else if (queue <= log) {
        s->estimate += beta;
    } else if (queue < alpha) {
        s->estimate += log;
    } else if (queue > beta) {
        s->estimate -= log;
    }
    s->estimate = in_range(p, s->estimate);
}

void limit_end(LimitState *s, const ParamValue *p, uint64_t seed, int64_t rtt_ns, bool dropped)
{
    // The samples of the Java library carry how many were in flight when the request began; here it
    // is how many are when it ends, itself included, which needs no memory an attempt.
    int64_t rtt = rtt_ns > 0 ? rtt_ns : 1;
    switch ((LimitKind)p[P_LIMIT_KIND].integer) {
    case LIMIT_NONE:
    case LIMIT_FIXED: break;
    case LIMIT_AIMD: update_aimd(s, p, (double)rtt, dropped); break;
    case LIMIT_GRADIENT2: update_gradient2(s, p, (double)rtt); break;
    case LIMIT_VEGAS: update_vegas(s, p, seed, rtt, dropped); break;
    }
    s->in_flight--;
}
