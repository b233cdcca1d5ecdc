// Hedge: when an attempt takes unusually long, send a second one and take what answers first (Dean
// and Barroso, "The Tail at Scale", CACM 56(2), 2013). After `hedge.delay`, or with
// `hedge.quantile` after that quantile of recent latencies (once HEDGE_SAMPLES_MIN were seen;
// `hedge.delay` until then). `hedge.budget` bounds hedges to a share of calls.
//
// The quantile comes from a histogram of 8 buckets an octave (6 % error at most), halved whenever
// it holds HEDGE_SAMPLES_MAX: old latencies lose half of their weight each time.
#ifndef POLICY_HEDGE_H
#define POLICY_HEDGE_H

#include "policy/retry.h"

enum {
    HEDGE_OCTAVES = 31, // from 1 us (2^10 ns) to 2^41 ns = 37 min
    HEDGE_BUCKETS = 8 * HEDGE_OCTAVES,
    HEDGE_SAMPLES_MIN = 100,
    HEDGE_SAMPLES_MAX = 4096,
};

typedef struct HedgeHist {
    uint16_t buckets[HEDGE_BUCKETS];
    uint32_t samples;
} HedgeHist;

void hedge_record(HedgeHist *h, int64_t latency_ns);

// ns; 0 of an empty one.
double hedge_quantile(const HedgeHist *h, double q);

// Delay before the next hedge; `h` may be NULL.
int64_t hedge_delay(const HedgeHist *h, const ParamValue *p);

BudgetLaw hedge_budget_law(const ParamValue *p);

#endif
