// Concurrency limit: how many attempts may be under way at once.
//
//   fixed      `limit.value`
//   aimd       Netflix concurrency-limits, AIMDLimit: an attempt that was dropped or took longer
//   than
//              `limit.timeout` multiplies the limit by `limit.backoff`; otherwise +1 while at least
//              half of the limit was in use (Chiu and Jain 1989)
//   gradient2  Gradient2Limit of the same: long-term over short-term latency with
//              `limit.tolerance`, held to [0.5, 1], times the limit, plus `limit.queue`, smoothed
//   vegas      VegasLimit: queue = ceil(limit (1 - minRTT / rtt)), alpha = 3 log10, beta = 6 log10
//              (Brakmo and Peterson 1995, per sample instead of per round trip). minRTT is measured
//              anew every about `limit.probe` * limit samples
//
// log10 is that library's: of the whole part, cut to a whole number, at least 1.
#ifndef POLICY_LIMIT_H
#define POLICY_LIMIT_H

#include "policy/params.h"

typedef struct LimitState {
    double estimate;     // the limit before rounding down
    uint32_t in_flight;  // attempts that hold a place
    uint32_t long_count; // gradient2: samples of the long average's warm-up
    double long_rtt;     // gradient2: ns
    double long_sum;     // gradient2: warm-up
    int64_t min_rtt;     // vegas: ns, 0 none yet
    uint32_t probe_count;
    uint32_t probes;     // how often, for the jitter's counter
    double probe_jitter; // vegas: 0.5 .. 1
    uint32_t peak;       // most ever in flight, for checks and metrics
} LimitState;

void limit_init(LimitState *s, const ParamValue *p, uint64_t seed);

// The limit now: INT32_MAX when there is none.
uint32_t limit_now(const LimitState *s, const ParamValue *p);

// A place for one attempt, without waiting.
bool limit_take(LimitState *s, const ParamValue *p);
// Gives it back without a sample: cancelled, or the error says nothing about load.
void limit_give(LimitState *s);
// Gives it back with what the attempt showed. `dropped`: timed out, or the target said it is full.
void limit_end(LimitState *s, const ParamValue *p, uint64_t seed, int64_t rtt_ns, bool dropped);

// After `limit.*` changed: brings the estimate into the new range.
void limit_changed(LimitState *s, const ParamValue *p);

#endif
