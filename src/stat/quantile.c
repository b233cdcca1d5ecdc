#include "stat/quantile.h"

#include <math.h>

#include "stat/dist.h"

// The largest l with P(B <= l - 1) <= tail, for B binomial(n, q).
static uint64_t low_rank(uint64_t n, double q, double tail)
{
    uint64_t good = 0;
    uint64_t bad = n + 1;
    while (bad - good > 1) {
        uint64_t l = good + (bad - good) / 2;
        if (dist_binom_at_most((double)l - 1, (double)n, q) <= tail) {
            good = l;
        } else {
            bad = l;
        }
    }
    return good;
}

// The smallest u with P(B >= u) <= tail: the same question asked from the other end.
static uint64_t high_rank(uint64_t n, double q, double tail)
{
    return n + 1 - low_rank(n, 1 - q, tail);
}

QuantileRanks quantile_ranks(uint64_t n, double q, double confidence)
{
    double alpha = 1 - confidence;
    double all_below = pow(q, (double)n);     // the top value is still under the quantile
    double all_above = pow(1 - q, (double)n); // the bottom value is over it
    QuantileRanks r = {low_rank(n, q, alpha / 2), high_rank(n, q, alpha / 2), 0};
    if (r.high == n + 1 && all_below < alpha) {
        r.high = n;
        r.low = low_rank(n, q, alpha - all_below);
    } else if (r.low == 0 && all_above < alpha) {
        r.low = 1;
        r.high = high_rank(n, q, alpha - all_above);
    }
    r.confidence = 1 - dist_binom_at_most((double)r.low - 1, (double)n, q) -
                   dist_binom_at_least((double)r.high, (double)n, q);
    return r;
}

uint64_t quantile_min_n(double q, double confidence)
{
    double alpha = 1 - confidence;
    uint64_t n = (uint64_t)fmax(1, floor(log(alpha) / log(fmax(q, 1 - q))));
    while (pow(q, (double)n) + pow(1 - q, (double)n) > alpha) {
        n++;
    }
    return n;
}

Interval quantile_interval(const double *sorted, size_t n, double q, double confidence)
{
    QuantileRanks r = quantile_ranks(n, q, confidence);
    return (Interval){
        r.low == 0 ? -INFINITY : sorted[r.low - 1],
        r.high > n ? INFINITY : sorted[r.high - 1],
        r.confidence,
    };
}

static double outer_edge(const Hist *h, uint64_t rank, bool high)
{
    HistBucket b;
    if (!hist_bucket_at_rank(h, rank, &b)) {
        return INFINITY; // among the failures
    }
    int64_t low_edge = b.low < h->min ? h->min : b.low;
    int64_t high_edge = b.high > h->max ? h->max : b.high;
    return (double)(high ? high_edge : low_edge);
}

Interval quantile_hist_interval(const Hist *h, const QuantileAsk *ask)
{
    uint64_t n = ask->with_infinite ? hist_count_all(h) : h->count;
    uint64_t m = n;
    if (ask->n_effective > 0 && ask->n_effective < (double)n) {
        m = (uint64_t)ask->n_effective;
    }
    QuantileRanks r = quantile_ranks(m, ask->q, ask->confidence);
    double stretch = (double)(n + 1) / (double)(m + 1);
    Interval i = {-INFINITY, INFINITY, r.confidence};
    if (r.low > 0) {
        i.low = outer_edge(h, (uint64_t)floor((double)r.low * stretch), false);
    }
    if (r.high <= m) {
        uint64_t rank = (uint64_t)ceil((double)r.high * stretch);
        i.high = outer_edge(h, rank > n ? n : rank, true);
    }
    return i;
}
