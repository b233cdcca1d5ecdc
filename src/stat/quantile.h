// Distribution-free confidence intervals for quantiles, from order statistics.
//
// The number of values at or below the true quantile q is binomial(n, q) whatever the distribution,
// so the values of ranks l and u enclose it with probability P(l <= B < u), exactly. The tails are
// made equal where n allows it; where it does not but a finite interval of the wanted confidence
// exists, the tail that cannot shrink takes what it needs. Below quantile_min_n a side is
// unbounded.
#ifndef STAT_QUANTILE_H
#define STAT_QUANTILE_H

#include "stat/hist.h"
#include "stat/interval.h"

// Ranks 1..n of the ends; low 0 means -INFINITY and high n + 1 means INFINITY.
typedef struct QuantileRanks {
    uint64_t low;
    uint64_t high;
    double confidence; // achieved; at least what was asked for
} QuantileRanks;

// 0 < q < 1, 0 < confidence < 1.
QuantileRanks quantile_ranks(uint64_t n, double q, double confidence);

// The smallest n for which both ends are finite: 6, 29, 59, 299 and 2995 for p50, p90, p95, p99 and
// p99.9 at 95 %.
uint64_t quantile_min_n(double q, double confidence);

// For independent values, in ascending order.
Interval quantile_interval(const double *sorted, size_t n, double q, double confidence);

typedef struct QuantileAsk {
    double q;
    double confidence;
    double n_effective; // stat/effective.h; 0: all values are independent
    bool with_infinite; // failures count as values above every other
} QuantileAsk;

// For what a histogram holds. The ends are the outer edges of their buckets, so the resolution of
// the histogram only ever widens the interval. With n_effective < n the ranks are taken for
// n_effective values and stretched to n: rank l of m becomes l * (n + 1) / (m + 1).
Interval quantile_hist_interval(const Hist *h, const QuantileAsk *ask);

#endif
