// How many independent requests a load test was worth.
//
// Requests that share a second share a pause, a cache, a queue; treating them as independent makes
// intervals too short by a factor of two to ten. The remedy of survey statistics: cut the test into
// blocks of consecutive seconds, long enough to be nearly independent of each other, and let the
// scatter between blocks say how much a request is worth.
//
//     EffectiveRate r = effective_rate(per_second, n_seconds, 1);
//     Interval slow = effective_rate_interval(&r, 0.95);
//     if (interval_above(slow, 0.01)) ...          more than 1 % are slower than T: breached
//
// The rate is a ratio of two sums, so its variance is the ratio estimator's (Cochran, "Sampling
// Techniques", 1977, eq. 6.9, blocks as clusters). design_effect is that variance over the binomial
// one, n_effective = n / design_effect. The interval is Clopper and Pearson's for n_effective,
// after Korn and Graubard's correction for few blocks (1998; svyciprop(method = "beta") in R's
// survey). docs/internals/statistics.md says what was measured about its coverage.
#ifndef STAT_EFFECTIVE_H
#define STAT_EFFECTIVE_H

#include <stddef.h>
#include <stdint.h>

#include "stat/interval.h"

typedef struct BlockCount {
    uint64_t n;    // requests that ended in this second
    uint64_t hits; // of these, slow (or failed, or whatever is asked)
} BlockCount;

// Blocks a test of that many seconds is cut into: of a twentieth of the test, but at least 10 s and
// at most 30 s long; tests under 100 s get about ten blocks of at least one second, which are less
// independent than one would like. Their lengths differ by at most a second.
size_t effective_blocks(size_t seconds);
// Seconds [effective_block_start(i), effective_block_start(i + 1)) are block i.
size_t effective_block_start(size_t seconds, size_t block);

typedef struct EffectiveRate {
    double rate; // NaN without requests
    uint64_t n;
    double design_effect; // >= design_min
    double n_effective;   // n / design_effect
    size_t blocks;
    bool varies; // some hits, not only hits: the design effect was estimated from the blocks
    // False when the design effect could not be seen: fewer than five blocks, or no hit, or nothing
    // but hits. It then is design_min if that is larger than what was seen.
    bool design_known;
} EffectiveRate;

// design_min is the smallest design effect to believe in: 1, or what a more frequent indicator of
// the same requests showed ("slower than p90") when the one asked for is rare.
EffectiveRate effective_rate(const BlockCount *seconds, size_t count, double design_min);

// n_effective times (t with n - 1 over t with blocks - 1 degrees of freedom) squared: what an
// interval of that confidence must use, because the design effect was guessed from few blocks.
// Where nothing was guessed (no hit, or nothing but hits) it is n_effective.
double effective_n(const EffectiveRate *r, double confidence);

Interval effective_rate_interval(const EffectiveRate *r, double confidence);

#endif
