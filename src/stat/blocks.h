// Block bootstrap of quantiles: what one run can say about its own p95, and two single runs about
// each other.
//
// Blocks of consecutive seconds (as in stat/effective.h) are drawn with replacement, their
// histograms added, and the quantile taken; its scatter over many draws is the standard error. That
// keeps the correlation inside a block, which resampling requests would destroy.
//
//     BlockQuantile base[2], now[2];
//     rc = block_quantiles(base_seconds, n, &(BlockAsk){.q = {0.5, 0.95}, .n_q = 2}, &rng, base,
//     e);
//     ...
//     Comparison c = block_compare_ratio(&base[1], &now[1], 0.95);
//
// It sees the variation inside a run, not from run to run: whoever prints c writes "single run"
// beside it.
#ifndef STAT_BLOCKS_H
#define STAT_BLOCKS_H

#include "base/rng.h"
#include "stat/compare.h"
#include "stat/hist.h"

enum {
    BLOCK_QUANTILES_MAX = 8,
    BLOCK_TEST_SECONDS_MAX = 1 << 20, // twelve days
    BLOCK_REPLICATES = 400,
    BLOCK_REPLICATES_MAX = 100000
};

typedef struct BlockAsk {
    double q[BLOCK_QUANTILES_MAX];
    size_t n_q;
    size_t replicates; // 0: BLOCK_REPLICATES
} BlockAsk;

typedef struct BlockQuantile {
    double q;
    double estimate; // interpolated within its bucket
    // Standard errors of the estimate and of its logarithm, the width of its bucket included; the
    // second is NaN unless every replicate was above 0.
    double standard_error;
    double standard_error_log;
    double df; // blocks that had any value, less one; 0: no standard error
} BlockQuantile;

// Histograms of the seconds of one run, in order; NULL is an empty second. Only finite values
// count. ERR_ARG without any value, for n_q outside 1 .. BLOCK_QUANTILES_MAX or q outside 0..1;
// ERR_LIMIT past the ceilings above.
MUST_USE int block_quantiles(const Hist *const *seconds, size_t n_seconds, const BlockAsk *ask,
                             Rng *rng, BlockQuantile *ret_quantiles, Err *e);

// Candidate over baseline, and candidate minus baseline. df by Satterthwaite.
Comparison block_compare_ratio(const BlockQuantile *base, const BlockQuantile *candidate,
                               double confidence);
Comparison block_compare_difference(const BlockQuantile *base, const BlockQuantile *candidate,
                                    double confidence);

#endif
