#include "stat/effective.h"

#include <math.h>

#include "stat/dist.h"
#include "stat/rate.h"

enum {
    BLOCK_SECONDS_MIN = 10,
    BLOCK_SECONDS_MAX = 30,
    BLOCKS_WANTED = 20,       // for long tests
    BLOCKS_WANTED_SHORT = 10, // for those under BLOCK_SECONDS_MIN * BLOCKS_WANTED_SHORT
    BLOCKS_KNOWN_MIN = 5
};

size_t effective_blocks(size_t seconds)
{
    size_t length;
    if (seconds < BLOCK_SECONDS_MIN * BLOCKS_WANTED_SHORT) {
        length = seconds / BLOCKS_WANTED_SHORT;
        length = length < 1 ? 1 : length;
    } else {
        length = seconds / BLOCKS_WANTED;
        length = length < BLOCK_SECONDS_MIN ? BLOCK_SECONDS_MIN : length;
        length = length > BLOCK_SECONDS_MAX ? BLOCK_SECONDS_MAX : length;
    }
    return seconds / length;
}

size_t effective_block_start(size_t seconds, size_t block)
{
    size_t blocks = effective_blocks(seconds);
    return blocks == 0 ? 0 : (size_t)((unsigned __int128)seconds * block / blocks);
}

static BlockCount sum_of(const BlockCount *seconds, size_t from, size_t to)
{
    BlockCount sum = {0, 0};
    for (size_t i = from; i < to; i++) {
        sum.n += seconds[i].n;
        sum.hits += seconds[i].hits;
    }
    return sum;
}

EffectiveRate effective_rate(const BlockCount *seconds, size_t count, double design_min)
{
    BlockCount total = sum_of(seconds, 0, count);
    EffectiveRate r = {.rate = NAN, .n = total.n, .blocks = effective_blocks(count)};
    r.design_effect = fmax(1, design_min);
    if (total.n == 0) {
        return r;
    }
    double n = (double)total.n;
    double blocks = (double)r.blocks;
    r.rate = (double)total.hits / n;
    double squares = 0;
    for (size_t i = 0; i < r.blocks; i++) {
        BlockCount b =
            sum_of(seconds, effective_block_start(count, i), effective_block_start(count, i + 1));
        double off = (double)b.hits - r.rate * (double)b.n;
        squares += off * off;
    }
    double binomial = r.rate * (1 - r.rate) / n;
    if (r.blocks > 1 && binomial > 0) {
        double variance = squares * blocks / (blocks - 1) / (n * n);
        r.design_effect = fmax(r.design_effect, variance / binomial);
        r.varies = true;
        r.design_known = r.blocks >= BLOCKS_KNOWN_MIN;
    }
    r.n_effective = n / r.design_effect;
    return r;
}

double effective_n(const EffectiveRate *r, double confidence)
{
    if (r->n < 2 || r->blocks < 2 || !r->varies) {
        return r->n_effective;
    }
    double tail = (1 - confidence) / 2;
    double few = dist_t_quantile(tail, (double)r->blocks - 1);
    double many = dist_t_quantile(tail, (double)r->n - 1);
    return r->n_effective * fmin(1, many / few * (many / few));
}

Interval effective_rate_interval(const EffectiveRate *r, double confidence)
{
    if (r->n == 0) {
        return (Interval){0, 1, confidence};
    }
    double n = effective_n(r, confidence);
    return rate_interval_exact(r->rate * n, n, confidence);
}
