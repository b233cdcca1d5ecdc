#include "policy/rate.h"

#include <math.h>

void rate_init(RateState *s, const ParamValue *p, int64_t now_ns)
{
    *s = (RateState){.tat_ns = now_ns,
                     .filled_ns = now_ns,
                     .tokens = (double)p[P_RATE_BURST].integer,
                     .hold_until = INT64_MIN};
}

void rate_settle(RateState *s, const ParamValue *p, int64_t now_ns)
{
    double burst = (double)p[P_RATE_BURST].integer;
    if (now_ns > s->filled_ns) {
        s->tokens += (double)(now_ns - s->filled_ns) * p[P_RATE_PER_SECOND].real / 1e9;
        s->filled_ns = now_ns;
    }
    s->tokens = s->tokens > burst ? burst : s->tokens;
}

// When a token is there, counted from `at_ns`, which is never before the last fill.
static int64_t token_time(RateState *s, const ParamValue *p, int64_t at_ns)
{
    // A sum of many small fills may come out just below the whole number it stands for.
    const double almost = 1.0 - 1e-9;
    rate_settle(s, p, at_ns);
    if (s->tokens >= almost) {
        return s->filled_ns;
    }
    double wait = ceil((1.0 - s->tokens) * 1e9 / p[P_RATE_PER_SECOND].real - 1e-3);
    return wait < 0x1p62 ? s->filled_ns + (int64_t)wait : INT64_MAX;
}

// T is rounded up to a whole nanosecond: the limit is never exceeded, and 0.1 % low at 1 M/s less
// one.
static int64_t gcra_interval(const ParamValue *p)
{
    double interval = ceil(1e9 / p[P_RATE_PER_SECOND].real);
    return interval < 0x1p40 ? (int64_t)interval : INT64_C(1) << 40;
}

static int64_t gcra_time(const RateState *s, const ParamValue *p, int64_t at_ns)
{
    int64_t tau = 0;
    if (__builtin_mul_overflow(p[P_RATE_BURST].integer - 1, gcra_interval(p), &tau)) {
        return at_ns;
    }
    int64_t conforms = s->tat_ns - tau;
    return conforms > at_ns ? conforms : at_ns;
}

void rate_changed(RateState *s, const ParamValue *p, int64_t now_ns)
{
    double burst = (double)p[P_RATE_BURST].integer, span;
    if (p[P_RATE_PER_SECOND].real > 0) {
        span = burst * (double)gcra_interval(p);
        if (span < 0x1p62 && s->tat_ns - now_ns > (int64_t)span) {
            s->tat_ns = now_ns + (int64_t)span;
        }
    }
    s->tokens = s->tokens < -burst ? -burst : s->tokens;
}

int64_t rate_take(RateState *s, const ParamValue *p, int64_t now_ns, int64_t wait_max_ns)
{
    int64_t at = s->hold_until > now_ns ? s->hold_until : now_ns;
    bool limited = p[P_RATE_PER_SECOND].real > 0;
    bool gcra = p[P_RATE_KIND].integer == RATE_GCRA;
    if (limited) {
        at = gcra ? gcra_time(s, p, at) : token_time(s, p, at);
    }
    if (at - now_ns > wait_max_ns) {
        return -1;
    }
    if (limited && gcra) {
        s->tat_ns = (s->tat_ns > at ? s->tat_ns : at) + gcra_interval(p);
    } else if (limited) {
        s->tokens -= 1;
    }
    return at;
}
