// The two tests behind every objective: a share of requests against a share allowed, and a mean
// against a limit. Each fills the statistical half of a SloVerdict.
#ifndef JUDGE_SHARE_H
#define JUDGE_SHARE_H

#include "judge/verdict.h"
#include "stat/effective.h"

typedef struct ShareAsk {
    const BlockCount *counts; // per interval: observations, and hits among them
    size_t count;
    double interval_s;
    double limit;      // share of hits allowed (or demanded)
    bool at_most;      // more hits than `limit` is a breach; else fewer
    double design_min; // stat/effective.h
    double alpha;
} ShareAsk;

// Exact one-sided binomial tests at the effective sample size. A limit of 0 or 1 is no question of
// chance: one hit too many breaches it, none has met it as far as anybody looked.
void share_judge(Arena *arena, const ShareAsk *ask, SloVerdict *v);

typedef struct MeanAsk {
    const double *n;   // per interval: weights (requests, seconds, 1)
    const double *sum; // and sums
    size_t count;
    double interval_s;
    double limit;
    bool at_most;
    double alpha;
} MeanAsk;

// Ratio estimator over blocks with Student's t (Cochran 1977, 6.9). False when the blocks do not
// differ at all, so that nothing can be said about chance; the estimate is set all the same.
bool mean_judge(Arena *arena, const MeanAsk *ask, SloVerdict *v);

// Standard error of the mean by the same estimator, and its degrees of freedom; NaN and 0 where
// there are fewer than two blocks.
double mean_error(const double *n, const double *sum, size_t count, double *ret_df);

// Value from the p-values: met, breached, or neither.
SloValue verdict_value(double p_breached, double p_met, double alpha);

#endif
