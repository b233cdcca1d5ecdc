#include "judge/share.h"

#include <math.h>

#include "stat/dist.h"
#include "stat/power.h"
#include "stat/rate.h"

// Chance of a clear verdict that `needed` plans for, when the truth is what was seen.
#define NEEDED_POWER 0.8

SloValue verdict_value(double p_breached, double p_met, double alpha)
{
    if (p_met < alpha) {
        return SLO_MET;
    }
    return p_breached < alpha ? SLO_BREACHED : SLO_NOT_PROVEN;
}

static Needed needed_requests(const ShareAsk *ask, double rate, double n, double design)
{
    // A rate of 0 or 1 is not believed: half a request is put where none was.
    double planned = fmin(fmax(rate, 0.5 / (n / design + 1)), 1 - 0.5 / (n / design + 1));
    double independent = (double)power_rate_requests(planned, ask->limit, ask->alpha, NEEDED_POWER);
    if (independent <= 0 || independent >= (double)POWER_REQUESTS_MAX) {
        return (Needed){0};
    }
    // Where the plan says "as many as there were", chance was against us once; twice as many is
    // the honest advice.
    double requests = fmax(ceil(independent * design), 2 * n);
    double minutes = requests / n * (double)ask->count * ask->interval_s / 60;
    return (Needed){.requests = (uint64_t)requests, .minutes = minutes};
}

static void share_exact(Arena *arena, const ShareAsk *ask, SloVerdict *v)
{
    bool holds = ask->at_most ? v->estimate <= ask->limit : v->estimate >= ask->limit;
    v->value = holds ? SLO_MET : SLO_BREACHED;
    v->p_met = v->p_breached = (double)NAN;
    v->method =
        arena_printf(arena, "as counted: a limit of %g leaves nothing to chance", ask->limit);
}

void share_judge(Arena *arena, const ShareAsk *ask, SloVerdict *v)
{
    EffectiveRate r = effective_rate(ask->counts, ask->count, fmax(1, ask->design_min));
    double confidence = 1 - 2 * ask->alpha;
    v->is_share = true;
    v->limit = ask->limit;
    v->estimate = r.rate;
    v->n = r.n;
    v->interval = effective_rate_interval(&r, confidence);
    v->p_met = v->p_breached = 1;
    v->value = SLO_NOT_PROVEN;
    if (r.n == 0) {
        v->method = SLICE("nothing was observed");
        return;
    }
    double n = effective_n(&r, confidence);
    v->n_effective = n;
    if (ask->limit <= 0 || ask->limit >= 1) {
        share_exact(arena, ask, v);
        return;
    }
    double hits = r.rate * n;
    double above = rate_test(hits, n, ask->limit, TEST_GREATER);
    double below = rate_test(hits, n, ask->limit, TEST_LESS);
    v->p_breached = ask->at_most ? above : below;
    v->p_met = ask->at_most ? below : above;
    v->value = verdict_value(v->p_breached, v->p_met, ask->alpha);
    v->method = arena_printf(arena, "exact binomial, %.0f effective of %llu, %zu blocks", n,
                             (unsigned long long)r.n, r.blocks);
    if (v->value == SLO_NOT_PROVEN) {
        v->needed = needed_requests(ask, r.rate, (double)r.n, (double)r.n / n);
    }
}

typedef struct MeanBlocks {
    double n;
    double sum;
    double squares; // of the blocks' distances from the common ratio
    size_t blocks;
} MeanBlocks;

static MeanBlocks mean_blocks(const MeanAsk *ask)
{
    MeanBlocks m = {.blocks = effective_blocks(ask->count)};
    for (size_t i = 0; i < ask->count; i++) {
        m.n += ask->n[i];
        m.sum += ask->sum[i];
    }
    double ratio = m.sum / m.n;
    for (size_t b = 0; b < m.blocks; b++) {
        double off = 0;
        size_t end = effective_block_start(ask->count, b + 1);
        for (size_t i = effective_block_start(ask->count, b); i < end; i++) {
            off += ask->sum[i] - ratio * ask->n[i];
        }
        m.squares += off * off;
    }
    return m;
}

static double blocks_error(const MeanBlocks *m, double *ret_df)
{
    *ret_df = m->blocks > 1 ? (double)m->blocks - 1 : 0;
    return m->blocks > 1 ? sqrt((double)m->blocks / *ret_df * m->squares) / m->n : (double)NAN;
}

double mean_error(const double *n, const double *sum, size_t count, double *ret_df)
{
    MeanAsk ask = {.n = n, .sum = sum, .count = count};
    MeanBlocks m = mean_blocks(&ask);
    return blocks_error(&m, ret_df);
}

bool mean_judge(Arena *arena, const MeanAsk *ask, SloVerdict *v)
{
    MeanBlocks m = mean_blocks(ask);
    v->is_share = false;
    v->limit = ask->limit;
    v->value = SLO_NOT_PROVEN;
    v->p_met = v->p_breached = 1;
    v->interval = (Interval){-(double)INFINITY, (double)INFINITY, 1 - 2 * ask->alpha};
    v->estimate = m.n > 0 ? m.sum / m.n : (double)NAN;
    v->method = arena_printf(arena, "mean of %zu blocks", m.blocks);
    if (m.blocks < 2 || !(m.n > 0) || !(m.squares > 0)) {
        return false;
    }
    double df;
    double error = blocks_error(&m, &df);
    double t = (v->estimate - ask->limit) / error;
    double reach = dist_t_quantile(1 - ask->alpha, df) * error;
    v->interval.low = v->estimate - reach;
    v->interval.high = v->estimate + reach;
    v->p_met = dist_t_cdf(ask->at_most ? t : -t, df);
    v->p_breached = dist_t_cdf(ask->at_most ? -t : t, df);
    v->value = verdict_value(v->p_breached, v->p_met, ask->alpha);
    v->method = arena_printf(arena, "ratio estimator over %zu blocks, Student's t", m.blocks);
    if (v->value == SLO_NOT_PROVEN && t != 0) {
        // The error falls with the root of the length; the same ratio at t of 2.5 is enough.
        double longer = 2.5 / t * (2.5 / t);
        v->needed.minutes = (double)ask->count * ask->interval_s / 60 * fmax(2, longer);
    }
    return true;
}
