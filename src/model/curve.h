// Curves of network calculus: cumulative bounds over an interval of length t, piecewise linear,
// ultimately affine, and of one of two shapes (Le Boudec and Thiran, "Network Calculus", 2001).
//
//   arrival curve   concave, a jump at 0+ allowed: at most a(t) units arrive in any interval t
//   service curve   convex, 0 at 0: a busy server gives at least b(t) units within t
//
// Those two shapes are closed under everything below, token buckets with their minima are exactly
// the first, rate-latencies with their maxima the second, and both stay small: a sum, a minimum or
// a convolution has at most the pieces of its operands. That is why nothing here allocates: a Curve
// is a plain value. Where a result would need more than CURVE_PIECES_MAX pieces the line that
// matters least is dropped, which makes an arrival curve larger and a service curve smaller: the
// bound loosens, it never breaks.
//
//     Curve a = curve_token_bucket(5, 25);   // 5 a second, bursts of 25
//     Curve b = curve_rate_latency(10, 10);  // 10 a second after 10 s
//     double d;
//     if (curve_delay(&a, &b, &d)) { ... }   // 12.5 s
//
// Units are the caller's, as long as they agree: requests or work, seconds or anything else. Every
// function expects finite curves of the named shape (asserted), as the constructors make them.
#ifndef MODEL_CURVE_H
#define MODEL_CURVE_H

#include <stdbool.h>

#include "base/err.h"

enum { CURVE_PIECES_MAX = 16 };

typedef struct CurvePiece {
    double x;     // from here to the next piece, the last one for ever
    double y;     // value at x; on the first piece the value at 0+
    double slope; // >= 0
} CurvePiece;

typedef struct Curve {
    int count;
    CurvePiece piece[CURVE_PIECES_MAX]; // ascending x, the first at 0
} Curve;

// rate >= 0, burst >= 0.
Curve curve_token_bucket(double rate, double burst);
// rate >= 0, latency >= 0. Rate 0 is a server that promises nothing.
Curve curve_rate_latency(double rate, double latency);

double curve_at(const Curve *c, double t); // 0 for t <= 0
double curve_rate(const Curve *c);         // ultimate slope
double curve_burst(const Curve *c);        // value at 0+
double curve_latency(const Curve *c);      // how long a service curve stays 0; infinite at rate 0
bool curve_is_arrival(const Curve *c);     // finite, concave, non-decreasing
bool curve_is_service(const Curve *c);     // finite, convex, non-decreasing, 0 at 0

Curve curve_sum(const Curve *a, const Curve *b);         // of two arrival curves
Curve curve_arrival_min(const Curve *a, const Curve *b); // both hold; also their convolution
Curve curve_service_max(const Curve *a, const Curve *b); // both hold, for strict service curves
// Min-plus convolution of two service curves: the tandem of the servers.
Curve curve_tandem(const Curve *a, const Curve *b);
// Min-plus convolution of two curves of one shape; ERR_UNSUPPORTED where the shapes differ.
MUST_USE int curve_convolve(const Curve *a, const Curve *b, Curve *ret, Err *e);

// The following answer false, and leave *ret alone, where no finite bound exists, that is where
// more arrives in the long run than is served.

// Min-plus deconvolution: what `arrival` is like behind the server.
MUST_USE bool curve_output(const Curve *arrival, const Curve *service, Curve *ret);
// Horizontal deviation: the delay in a server that serves this arrival in its order.
MUST_USE bool curve_delay(const Curve *arrival, const Curve *service, double *ret);
// Vertical deviation: the most that waits.
MUST_USE bool curve_backlog(const Curve *arrival, const Curve *service, double *ret);
// Length of the longest busy period of a strict server: the delay when the order is unknown.
MUST_USE bool curve_busy(const Curve *arrival, const Curve *service, double *ret);

// What is left of a strict service curve when `cross` is served too: in any order, the own traffic
// last in the worst case, max(0, service - cross) (Le Boudec and Thiran, th. 6.2.1) ...
Curve curve_leftover_arbitrary(const Curve *service, const Curve *cross);
// ... and in the order of arrival: service(t) - cross(t - theta) for t > theta, with the theta at
// which the service has caught up with the burst (prop. 6.2.1). Any theta is a valid choice; this
// one keeps the result convex and gives rate-latency (R - r, T + b / R) for the affine case.
Curve curve_leftover_fifo(const Curve *service, const Curve *cross);

#endif
