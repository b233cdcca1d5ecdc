// Curves as ascending pieces. Every operation goes through a Sketch with twice the room: two full
// operands fit, and finish() brings the result back under CURVE_PIECES_MAX on the safe side.
#include "model/curve.h"

#include <assert.h>
#include <math.h>
#include <string.h>

// A server whose rate is used up to this fraction has nothing left: the difference is rounding.
#define RATE_EPSILON 1e-12
// Lines that meet beyond this run side by side for all that matters; the one kept is on the safe
// side.
#define FAR 1e30

enum { SKETCH_PIECES_MAX = 2 * CURVE_PIECES_MAX + 2 };

typedef struct Sketch {
    int count;
    CurvePiece piece[SKETCH_PIECES_MAX];
} Sketch;

Curve curve_token_bucket(double rate, double burst)
{
    assert(rate >= 0 && burst >= 0 && isfinite(rate) && isfinite(burst));
    return (Curve){1, {{0, burst, rate}}};
}

Curve curve_rate_latency(double rate, double latency)
{
    assert(rate >= 0 && latency >= 0 && isfinite(rate) && isfinite(latency));
    if (rate == 0 || latency == 0) {
        return (Curve){1, {{0, 0, rate}}};
    }
    return (Curve){2, {{0, 0, 0}, {latency, 0, rate}}};
}

// The piece that holds for an interval that starts at t: of two that meet at t, the later.
static int piece_at(const Curve *c, double t)
{
    int i = c->count - 1;
    while (i > 0 && c->piece[i].x > t) {
        i--;
    }
    return i;
}

static double value(const CurvePiece *p, double t)
{
    return p->y + p->slope * (t - p->x);
}

double curve_at(const Curve *c, double t)
{
    return t <= 0 ? 0 : value(&c->piece[piece_at(c, t)], t);
}

double curve_rate(const Curve *c)
{
    return c->piece[c->count - 1].slope;
}

double curve_burst(const Curve *c)
{
    return c->piece[0].y;
}

double curve_latency(const Curve *c)
{
    if (c->piece[0].slope > 0) {
        return 0;
    }
    return c->count > 1 ? c->piece[1].x : INFINITY;
}

// Shape, with the margin that rounding needs: `sign` is 1 for convex, -1 for concave.
static bool is_shape(const Curve *c, double sign)
{
    if (c->count < 1 || c->count > CURVE_PIECES_MAX || c->piece[0].x != 0) {
        return false;
    }
    for (int i = 0; i < c->count; i++) {
        const CurvePiece *p = &c->piece[i];
        if (!isfinite(p->x) || !isfinite(p->y) || !isfinite(p->slope) || p->y < 0 || p->slope < 0) {
            return false;
        }
        if (i == 0) {
            continue;
        }
        const CurvePiece *before = p - 1;
        double gap = value(before, p->x) - p->y;
        if (p->x <= before->x || sign * (p->slope - before->slope) < 0 ||
            fabs(gap) > 1e-6 * (1 + fabs(p->y))) {
            return false;
        }
    }
    return true;
}

bool curve_is_arrival(const Curve *c)
{
    return is_shape(c, -1);
}

bool curve_is_service(const Curve *c)
{
    return is_shape(c, 1) && c->piece[0].y == 0;
}

// Adds a piece that goes on from where the last one ends, whatever rounding says about its own
// height; `y` is that of the first piece. Equal slopes stay one piece.
static void extend(Sketch *s, double x, double y, double slope)
{
    if (s->count > 0) {
        CurvePiece *last = &s->piece[s->count - 1];
        if (last->slope == slope) {
            return;
        }
        if (x <= last->x) { // a piece of no length: the new one replaces it
            last->slope = slope;
            return;
        }
        y = value(last, x);
    }
    assert(s->count < SKETCH_PIECES_MAX);
    s->piece[s->count++] = (CurvePiece){x, y, slope};
}

// Where two lines meet. Their slopes differ.
static double meet(const CurvePiece *a, const CurvePiece *b)
{
    return (value(a, 0) - value(b, 0)) / (b->slope - a->slope);
}

// Drops inner line k: its neighbours run on until they meet, above a concave and below a convex
// curve, so the result is looser and still true. For the first line of a concave curve the burst
// grows.
static void drop(Sketch *s, int k)
{
    CurvePiece *next = &s->piece[k + 1];
    if (k == 0) {
        *next = (CurvePiece){0, value(next, 0), next->slope};
    } else {
        double x = fmin(fmax(meet(&s->piece[k - 1], next), s->piece[k].x), next->x);
        *next = (CurvePiece){x, value(&s->piece[k - 1], x), next->slope};
    }
    memmove(&s->piece[k], next, (size_t)(s->count - k - 1) * sizeof(CurvePiece));
    s->count--;
}

// How far the curve moves at most when line k is dropped: measured where its neighbours meet.
static double cost_of_drop(const Sketch *s, int k)
{
    double x = meet(&s->piece[k - 1], &s->piece[k + 1]);
    return fabs(value(&s->piece[k - 1], x) - value(&s->piece[k], x));
}

static Curve finish(Sketch *s)
{
    while (s->count > CURVE_PIECES_MAX) {
        int best = 1;
        for (int k = 2; k < s->count - 1; k++) {
            best = cost_of_drop(s, k) < cost_of_drop(s, best) ? k : best;
        }
        drop(s, best);
    }
    Curve c = {.count = s->count};
    memcpy(c.piece, s->piece, (size_t)s->count * sizeof(CurvePiece));
    return c;
}

// Walks the union of the breakpoints of two curves. Returns false behind the last.
static bool next_break(const Curve *a, const Curve *b, int *ia, int *ib, double *x)
{
    double xa = *ia + 1 < a->count ? a->piece[*ia + 1].x : INFINITY;
    double xb = *ib + 1 < b->count ? b->piece[*ib + 1].x : INFINITY;
    if (isinf(xa) && isinf(xb)) {
        return false;
    }
    *x = fmin(xa, xb);
    *ia += xa <= xb;
    *ib += xb <= xa;
    return true;
}

Curve curve_sum(const Curve *a, const Curve *b)
{
    assert(curve_is_arrival(a) && curve_is_arrival(b));
    Sketch s = {0};
    int ia = 0;
    int ib = 0;
    double x = 0;
    do {
        const CurvePiece *pa = &a->piece[ia];
        const CurvePiece *pb = &b->piece[ib];
        extend(&s, x, value(pa, x) + value(pb, x), pa->slope + pb->slope);
    } while (next_break(a, b, &ia, &ib, &x));
    return finish(&s);
}

// The lower (sign 1) or upper (sign -1) of two curves, as the envelope of all their lines: sorted
// by slope, each pushes out those that it undercuts before they begin. Built this way the result
// has its shape exactly, however close to each other the lines are.
static Curve envelope(const Curve *a, const Curve *b, double sign)
{
    Sketch s = {0};
    int ia = 0;
    int ib = 0;
    while (ia < a->count || ib < b->count) {
        bool from_a = ib == b->count ||
                      (ia < a->count && sign * (a->piece[ia].slope - b->piece[ib].slope) >= 0);
        CurvePiece line = from_a ? a->piece[ia++] : b->piece[ib++];
        double x = 0;
        while (s.count > 0) {
            const CurvePiece *top = &s.piece[s.count - 1];
            x = line.slope != top->slope                       ? meet(top, &line)
                : sign * (value(&line, 0) - value(top, 0)) < 0 ? 0
                                                               : INFINITY;
            if (x > top->x) {
                break;
            }
            s.count--;
            x = 0;
        }
        if (x == 0) {
            s.piece[s.count++] = (CurvePiece){0, fmax(value(&line, 0), 0), line.slope};
        } else if (x < FAR) {
            double y = value(&s.piece[s.count - 1], x);
            s.piece[s.count++] = (CurvePiece){x, y, line.slope};
        }
    }
    return finish(&s);
}

Curve curve_arrival_min(const Curve *a, const Curve *b)
{
    assert(curve_is_arrival(a) && curve_is_arrival(b));
    return envelope(a, b, 1);
}

Curve curve_service_max(const Curve *a, const Curve *b)
{
    assert(curve_is_service(a) && curve_is_service(b));
    return envelope(a, b, -1);
}

// Convex: the pieces of both, the slower ones first, up to the lesser of the two ultimate rates.
Curve curve_tandem(const Curve *a, const Curve *b)
{
    assert(curve_is_service(a) && curve_is_service(b));
    Sketch s = {0};
    double x = 0;
    double y = 0;
    for (int ia = 0, ib = 0;;) {
        bool from_a = a->piece[ia].slope <= b->piece[ib].slope;
        const Curve *c = from_a ? a : b;
        int *i = from_a ? &ia : &ib;
        const CurvePiece *p = &c->piece[*i];
        extend(&s, x, y, p->slope);
        if (*i + 1 == c->count) {
            return finish(&s);
        }
        double length = p[1].x - p->x;
        x += length;
        y += length * p->slope;
        ++*i;
    }
}

int curve_convolve(const Curve *a, const Curve *b, Curve *ret, Err *e)
{
    if (curve_is_service(a) && curve_is_service(b)) {
        *ret = curve_tandem(a, b);
        return 0;
    }
    if (curve_is_arrival(a) && curve_is_arrival(b)) {
        *ret = curve_arrival_min(a, b);
        return 0;
    }
    return err_set(e, ERR_UNSUPPORTED,
                   "an arrival curve and a service curve have no convolution of either shape");
}

// Where arrival(u) - service(u) is largest: up to there the arrival is the steeper one.
static double widest(const Curve *arrival, const Curve *service)
{
    int ia = 0;
    int ib = 0;
    double x = 0;
    while (arrival->piece[ia].slope > service->piece[ib].slope &&
           next_break(arrival, service, &ia, &ib, &x)) {
    }
    return x;
}

bool curve_output(const Curve *arrival, const Curve *service, Curve *ret)
{
    assert(curve_is_arrival(arrival) && curve_is_service(service));
    if (curve_rate(arrival) > curve_rate(service)) {
        return false;
    }
    // sup over u of arrival(t + u) - service(u). At t = 0 the best u is `widest`; as t grows,
    // either arrival moves on to the right of it or u moves back, whichever gains more.
    double u = widest(arrival, service);
    int ia = piece_at(arrival, u);
    int ib = piece_at(service, u);
    ib -= ib > 0 && service->piece[ib].x == u;
    Sketch s = {0};
    double x = 0;
    double y = value(&arrival->piece[ia], u) - curve_at(service, u);
    double right = u;
    double left = u;
    for (;;) {
        const CurvePiece *pa = &arrival->piece[ia];
        const CurvePiece *pb = &service->piece[ib];
        bool forward = left <= 0 || pa->slope >= pb->slope;
        double slope = forward ? pa->slope : pb->slope;
        extend(&s, x, y, slope);
        if (forward && ia + 1 == arrival->count) {
            break;
        }
        double length = forward ? pa[1].x - right : left - pb->x;
        x += length;
        y += length * slope;
        if (forward) {
            right = pa[1].x;
            ia++;
        } else {
            left = pb->x;
            ib -= ib > 0;
        }
    }
    *ret = finish(&s);
    return true;
}

// The last t at which the curve is still at most y; the slope behind it is positive.
static double last_at_most(const Curve *service, double y)
{
    int i = service->count - 1;
    while (i > 0 && service->piece[i].y > y) {
        i--;
    }
    const CurvePiece *p = &service->piece[i];
    return p->slope > 0 ? p->x + (y - p->y) / p->slope : INFINITY;
}

// The first t at which the arrival has reached y.
static double first_at_least(const Curve *arrival, double y)
{
    if (y <= curve_burst(arrival)) {
        return 0;
    }
    int i = arrival->count - 1;
    while (i > 0 && arrival->piece[i].y >= y) {
        i--;
    }
    const CurvePiece *p = &arrival->piece[i];
    return p->slope > 0 ? p->x + (y - p->y) / p->slope : INFINITY;
}

bool curve_delay(const Curve *arrival, const Curve *service, double *ret)
{
    assert(curve_is_arrival(arrival) && curve_is_service(service));
    if (curve_burst(arrival) == 0 && arrival->count == 1 && curve_rate(arrival) == 0) {
        *ret = 0;
        return true;
    }
    if (curve_rate(arrival) > curve_rate(service) || curve_rate(service) == 0) {
        return false;
    }
    // A concave function of y minus a convex one: largest at a corner of either.
    double worst = last_at_most(service, curve_burst(arrival));
    for (int i = 1; i < arrival->count; i++) {
        worst = fmax(worst, last_at_most(service, arrival->piece[i].y) - arrival->piece[i].x);
    }
    for (int i = 1; i < service->count; i++) {
        double x = first_at_least(arrival, service->piece[i].y);
        if (isfinite(x)) {
            worst = fmax(worst, service->piece[i].x - x);
        }
    }
    *ret = worst;
    return true;
}

bool curve_backlog(const Curve *arrival, const Curve *service, double *ret)
{
    assert(curve_is_arrival(arrival) && curve_is_service(service));
    if (curve_rate(arrival) > curve_rate(service)) {
        return false;
    }
    double u = widest(arrival, service);
    *ret = value(&arrival->piece[piece_at(arrival, u)], u) - curve_at(service, u);
    return true;
}

// service(t) - arrival(t - shift) for t > shift, with whatever is negative cut off. `gap` is the
// difference at the shift, at most 0. Works along the breakpoints with times counted from the
// shift, which may be large compared to the steps behind it.
static Curve excess(const Curve *service, const Curve *arrival, double shift, double gap)
{
    Sketch s = {0};
    int ia = 0;
    int ib = piece_at(service, shift);
    double x = 0;
    bool positive = false;
    extend(&s, 0, 0, 0);
    for (double next = 0; isfinite(next); x = next) {
        double slope = service->piece[ib].slope - arrival->piece[ia].slope;
        bool rises = slope > RATE_EPSILON * service->piece[ib].slope;
        double xa = ia + 1 < arrival->count ? arrival->piece[ia + 1].x : INFINITY;
        double xb = ib + 1 < service->count ? service->piece[ib + 1].x - shift : INFINITY;
        ia += xa <= xb && ia + 1 < arrival->count;
        ib += xb <= xa && ib + 1 < service->count;
        next = fmin(xa, xb);
        double start = positive || !rises ? x : x - gap / slope;
        if (rises && start < next) {
            extend(&s, shift + start, 0, slope);
            positive = true;
        }
        gap += isfinite(next) ? slope * (next - x) : 0;
    }
    return finish(&s);
}

bool curve_busy(const Curve *arrival, const Curve *service, double *ret)
{
    Curve rest = curve_leftover_arbitrary(service, arrival);
    double end = curve_latency(&rest);
    if (!isfinite(end)) {
        return false;
    }
    *ret = end;
    return true;
}

Curve curve_leftover_arbitrary(const Curve *service, const Curve *cross)
{
    assert(curve_is_arrival(cross) && curve_is_service(service));
    return excess(service, cross, 0, -curve_burst(cross));
}

Curve curve_leftover_fifo(const Curve *service, const Curve *cross)
{
    assert(curve_is_arrival(cross) && curve_is_service(service));
    double theta = last_at_most(service, curve_burst(cross));
    if (!isfinite(theta)) {
        return curve_rate_latency(0, 0);
    }
    return excess(service, cross, theta, 0);
}
