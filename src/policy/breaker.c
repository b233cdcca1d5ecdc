#include "policy/breaker.h"

enum { RING_FAILED = 1, RING_SLOW = 2 };

const char *breaker_mode_name(BreakerMode mode)
{
    static const char *const names[BREAKER_MODES] = {"closed", "open", "half_open"};
    return names[mode];
}

void breaker_init(BreakerState *s, uint32_t room)
{
    *s = (BreakerState){.room = room};
}

void breaker_reset(BreakerState *s, void *ring)
{
    s->total = (BreakerSlice){0};
    s->next = 0;
    s->filled = 0;
    s->slice_ns = 0;
    if (ring) {
        memset(ring, 0, s->room);
    }
}

static void change_mode(BreakerState *s, BreakerMode mode)
{
    s->mode = mode;
    s->entered[mode]++;
    s->epoch++;
    s->in_a_row = 0;
    s->probes = 0;
    s->half_open = (BreakerSlice){0};
}

static void trip(BreakerState *s, const ParamValue *p, int64_t now_ns)
{
    change_mode(s, BREAKER_OPEN);
    s->open_until = now_ns + p[P_BREAKER_OPEN_FOR].integer;
}

bool breaker_allow(BreakerState *s, const ParamValue *p, int64_t now_ns, uint32_t *ret_epoch)
{
    if (s->mode == BREAKER_OPEN && now_ns >= s->open_until) {
        change_mode(s, BREAKER_HALF_OPEN);
    }
    *ret_epoch = s->epoch;
    if (s->mode == BREAKER_OPEN) {
        return false;
    }
    if (s->mode == BREAKER_CLOSED) {
        return true;
    }
    // Where the rates decide, no more than the judged number goes out before the verdict.
    uint32_t judged = p[P_BREAKER_SUCCESSES].integer > 0 ? 0 : s->half_open.calls;
    if (s->probes + judged >= (uint32_t)p[P_BREAKER_PROBES].integer) {
        return false;
    }
    s->probes++;
    return true;
}

void breaker_ignore(BreakerState *s, uint32_t epoch)
{
    if (s->mode == BREAKER_HALF_OPEN && epoch == s->epoch) {
        s->probes--;
    }
}

static void add(BreakerSlice *slice, bool failed, bool slow)
{
    slice->calls++;
    slice->failures += failed;
    slice->slow += slow;
}

static void subtract(BreakerSlice *slice, BreakerSlice gone)
{
    slice->calls -= gone.calls;
    slice->failures -= gone.failures;
    slice->slow -= gone.slow;
}

static void count_in_ring(BreakerState *s, const ParamValue *p, uint8_t *ring, bool failed,
                          bool slow)
{
    uint32_t size = (uint32_t)p[P_BREAKER_CALLS].integer;
    size = size < s->room ? size : s->room;
    if (s->filled == size) {
        uint8_t old = ring[s->next];
        subtract(&s->total, (BreakerSlice){1, old & RING_FAILED, (old & RING_SLOW) / RING_SLOW});
    } else {
        s->filled++;
    }
    ring[s->next] = (uint8_t)((failed ? RING_FAILED : 0) | (slow ? RING_SLOW : 0));
    s->next = s->next + 1 == size ? 0 : s->next + 1;
    add(&s->total, failed, slow);
}

static void count_in_time(BreakerState *s, const ParamValue *p, BreakerSlice *slices,
                          int64_t now_ns, bool failed, bool slow)
{
    int64_t length = p[P_BREAKER_PERIOD].integer / BREAKER_SLICES;
    int64_t number = now_ns / (length > 0 ? length : 1);
    if (number - s->slice_ns >= BREAKER_SLICES) {
        breaker_reset(s, slices);
        s->slice_ns = number;
    }
    while (s->slice_ns < number) {
        s->slice_ns++;
        BreakerSlice *oldest = &slices[s->slice_ns % BREAKER_SLICES];
        subtract(&s->total, *oldest);
        *oldest = (BreakerSlice){0};
    }
    add(&slices[number % BREAKER_SLICES], failed, slow);
    add(&s->total, failed, slow);
}

static bool over(const BreakerSlice *seen, const ParamValue *p)
{
    double calls = (double)seen->calls;
    return (double)seen->failures >= p[P_BREAKER_FAILURE_RATE].real * calls ||
           (double)seen->slow >= p[P_BREAKER_SLOW_RATE].real * calls;
}

static void end_closed(BreakerState *s, const ParamValue *p, void *ring, int64_t now_ns,
                       bool failed, bool slow)
{
    int64_t consecutive = p[P_BREAKER_CONSECUTIVE].integer;
    int64_t least = p[P_BREAKER_MIN_CALLS].integer;
    s->in_a_row = failed ? s->in_a_row + 1 : 0;
    bool open = consecutive > 0 && s->in_a_row >= consecutive;
    if (ring && p[P_BREAKER_WINDOW].integer == BREAKER_WINDOW_COUNT) {
        count_in_ring(s, p, ring, failed, slow);
        // As in resilience4j: a window smaller than the minimum could never be judged.
        int64_t size = p[P_BREAKER_CALLS].integer;
        least = least < size ? least : size;
    } else if (ring && p[P_BREAKER_WINDOW].integer == BREAKER_WINDOW_TIME) {
        count_in_time(s, p, ring, now_ns, failed, slow);
    }
    open = open || (s->total.calls >= least && over(&s->total, p));
    if (open) {
        trip(s, p, now_ns);
        breaker_reset(s, ring);
    }
}

static void end_half_open(BreakerState *s, const ParamValue *p, int64_t now_ns, bool failed,
                          bool slow)
{
    int64_t successes = p[P_BREAKER_SUCCESSES].integer;
    s->probes--;
    add(&s->half_open, failed, slow);
    if (successes == 0) {
        if (s->half_open.calls < p[P_BREAKER_PROBES].integer) {
            return;
        }
        if (over(&s->half_open, p)) {
            trip(s, p, now_ns);
        } else {
            change_mode(s, BREAKER_CLOSED);
        }
    } else if (failed || slow) {
        trip(s, p, now_ns);
    } else if (++s->in_a_row >= successes) {
        change_mode(s, BREAKER_CLOSED);
    }
}

void breaker_end(BreakerState *s, const ParamValue *p, void *ring, int64_t now_ns, uint32_t epoch,
                 bool failed, bool slow)
{
    if (epoch != s->epoch) {
        return;
    }
    switch (s->mode) {
    case BREAKER_CLOSED: end_closed(s, p, ring, now_ns, failed, slow); return;
    case BREAKER_HALF_OPEN: end_half_open(s, p, now_ns, failed, slow); return;
    case BREAKER_OPEN: return; // nothing begins in this epoch
    }
}
