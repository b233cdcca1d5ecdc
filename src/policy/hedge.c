#include "policy/hedge.h"

#include <math.h>

enum { FIRST_BIT = 10, SUB_BITS = 3 };

BudgetLaw hedge_budget_law(const ParamValue *p)
{
    return (BudgetLaw){p[P_HEDGE_BUDGET].real, 0, p[P_RETRY_BUDGET_WINDOW].integer};
}

static uint32_t bucket_of(int64_t latency_ns)
{
    const int64_t low = INT64_C(1) << FIRST_BIT, high = (low << HEDGE_OCTAVES) - 1;
    int64_t v = latency_ns < low ? low : latency_ns > high ? high : latency_ns;
    uint32_t octave = 63u - (uint32_t)__builtin_clzll((uint64_t)v) - FIRST_BIT;
    uint32_t sub = (uint32_t)(v >> (octave + FIRST_BIT - SUB_BITS)) & ((1u << SUB_BITS) - 1);
    return (octave << SUB_BITS) + sub;
}

static int64_t bucket_mid(uint32_t bucket)
{
    uint32_t shift = (bucket >> SUB_BITS) + FIRST_BIT - SUB_BITS;
    int64_t low = (int64_t)((1u << SUB_BITS) + (bucket & ((1u << SUB_BITS) - 1))) << shift;
    return low + (INT64_C(1) << shift) / 2;
}

void hedge_record(HedgeHist *h, int64_t latency_ns)
{
    h->buckets[bucket_of(latency_ns)]++;
    if (++h->samples < HEDGE_SAMPLES_MAX) {
        return;
    }
    h->samples = 0;
    for (uint32_t i = 0; i < HEDGE_BUCKETS; i++) {
        h->buckets[i] /= 2;
        h->samples += h->buckets[i];
    }
}

double hedge_quantile(const HedgeHist *h, double q)
{
    uint32_t rank = (uint32_t)ceil(q * h->samples), seen = 0;
    for (uint32_t i = 0; i < HEDGE_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= rank && seen > 0) {
            return (double)bucket_mid(i);
        }
    }
    return 0;
}

int64_t hedge_delay(const HedgeHist *h, const ParamValue *p)
{
    double quantile = p[P_HEDGE_QUANTILE].real;
    if (!h || quantile <= 0 || h->samples < HEDGE_SAMPLES_MIN) {
        return p[P_HEDGE_DELAY].integer;
    }
    return (int64_t)hedge_quantile(h, quantile);
}
