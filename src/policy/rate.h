// Rate limit: how many calls may begin in a time, and when the next may.
//
// Two laws with one meaning of `rate.per_second` (r) and `rate.burst` (b):
//   token_bucket  b tokens at most, r a second, a call takes one (Turner, "New Directions in
//                 Communications", IEEE Comm. Mag. 1986)
//   gcra          the generic cell rate algorithm, ITU-T I.371 and ATM Forum TM 4.0 section 4.4.2,
//                 as virtual scheduling: with T = 1/r and tau = (b - 1) T a call conforms at t when
//                 TAT - t <= tau, and then TAT = max(t, TAT) + T. One number of state.
//
// A call that may wait (`rate.max_wait`) reserves its place at once: the time returned is when it
// begins. A reservation is not given back when the caller goes away, as with Go's rate.Reserve.
//
// policy_hold (block.h) closes the limit until a time: that is how a peer's Retry-After reaches the
// calls that have not begun.
#ifndef POLICY_RATE_H
#define POLICY_RATE_H

#include "policy/params.h"

typedef struct RateState {
    int64_t tat_ns;     // gcra: theoretical arrival time
    int64_t filled_ns;  // token_bucket: when `tokens` was right
    double tokens;      // below 0: reserved ahead
    int64_t hold_until; // no call begins before
} RateState;

void rate_init(RateState *s, const ParamValue *p, int64_t now_ns);

// Takes a permit. Returns when it is good: now_ns or later, at most now_ns + `wait_max_ns`; -1 when
// that cannot be (then nothing is taken).
int64_t rate_take(RateState *s, const ParamValue *p, int64_t now_ns, int64_t wait_max_ns);

// Before rate parameters change: brings the state up to date under the old ones.
void rate_settle(RateState *s, const ParamValue *p, int64_t now_ns);
// After they changed: what was reserved at a lower rate does not block a higher one for longer than
// a full burst takes.
void rate_changed(RateState *s, const ParamValue *p, int64_t now_ns);

#endif
