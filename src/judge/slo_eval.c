#include "judge/slo_eval.h"

#include <math.h>

#include "judge/slo_parts.h"

enum {
    RARE_HITS = 20, // fewer: how much they cluster is read from a more frequent indicator
};

#define SLOW_QUANTILE 0.9 // the more frequent indicator: slower than this quantile

static bool is_request_trend(const Selection *s, Slice metric)
{
    return s->kind == METRIC_TREND && slice_starts_with(metric, SLICE("http_req_"));
}

static SelectionAsk ask_for(const Slo *slo, const SloOptions *options)
{
    return (SelectionAsk){.metric = slo->metric,
                          .filter = slo->filter,
                          .corrected = true,
                          .warmup_ns = options ? options->warmup_ns : 0};
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

// Puts failed requests on the bad side. They show in up to three ways: series labelled
// expected_response=false, values that never finished, http_req_failed (which has them all, also
// those that got no answer and so no duration). The largest count is right; adding would double.
static void add_failures(Arena *arena, const RunData *run, const Slo *slo, const SloOptions *o,
                         const Selection *all, BlockCount *counts)
{
    SelectionAsk ask = {.metric = SLICE("http_req_failed"),
                        .filter = slo->filter,
                        .warmup_ns = o ? o->warmup_ns : 0};
    Selection failed = selection_make(arena, run, &ask);
    BlockCount *known = selection_trues(arena, &failed);
    Selection wrong = selection_answered(arena, all, false);
    Selection right = selection_answered(arena, all, true);
    BlockCount *wrong_n = selection_endless(arena, &wrong);
    BlockCount *endless = selection_endless(arena, &right);
    for (size_t i = 0; i < all->intervals; i++) {
        uint64_t seen = wrong_n[i].n + endless[i].hits;
        counts[i].hits += max_u64(seen, known[i].hits) - endless[i].hits;
        counts[i].n = max_u64(counts[i].n + wrong_n[i].n, known[i].n);
        counts[i].n = max_u64(counts[i].n, counts[i].hits);
    }
}

// Bad events per interval. For trends `at` (in the histogram's unit) replaces the threshold.
static BlockCount *bad_events(Arena *arena, const RunData *run, const Slo *slo, const SloOptions *o,
                              const Selection *s, int64_t at)
{
    if (s->kind != METRIC_TREND) {
        BlockCount *counts = selection_trues(arena, s);
        for (size_t i = 0; !slo->true_is_bad && i < s->intervals; i++) {
            counts[i].hits = counts[i].n - counts[i].hits;
        }
        return counts;
    }
    bool failures = slo->failures_are_bad && is_request_trend(s, slo->metric);
    Selection right = failures ? selection_answered(arena, s, true) : *s;
    BlockCount *counts = selection_above(arena, &right, at);
    bool low_is_bad = slo->op == SLO_OP_GE || slo->op == SLO_OP_GT;
    for (size_t i = 0; low_is_bad && i < s->intervals; i++) {
        counts[i].hits = counts[i].n - counts[i].hits;
    }
    if (failures) {
        add_failures(arena, run, slo, o, s, counts);
    }
    return counts;
}

// How much slow requests cluster, seen on the slowest tenth when the slow ones are too few to show
// it themselves (stat/effective.h). What carries over is how much the rate varies from block to
// block relative to itself: with h hits expected in a block and relative variance c^2 the design
// effect is 1 + h c^2, so it shrinks with the share that the limit allows.
static double design_floor(Arena *arena, const Selection *s, const BlockCount *counts, double limit)
{
    uint64_t hits = 0;
    for (size_t i = 0; i < s->intervals; i++) {
        hits += counts[i].hits;
    }
    if (hits >= RARE_HITS || s->kind != METRIC_TREND) {
        return 1;
    }
    Hist h;
    hist_init(&h);
    selection_hist(s, &h);
    double slow = hist_quantile(&h, SLOW_QUANTILE);
    hist_done(&h);
    if (isnan(slow)) {
        return 1;
    }
    BlockCount *slowest = selection_above(arena, s, (int64_t)slow);
    EffectiveRate r = effective_rate(slowest, s->intervals, 1);
    double carried = 1 + (r.design_effect - 1) * fmin(1, limit / (1 - SLOW_QUANTILE));
    // And h hits make no clump of more than h; one more may have been missed.
    return r.design_known ? fmin(carried, (double)hits + 1) : 1;
}

static void set_budget(const Slo *slo, SloVerdict *v)
{
    double allowed = 1 - slo->target;
    double burn = v->estimate / allowed;
    v->budget = (SloBudget){
        .allowed = allowed, .consumed = burn, .burn_rate = burn, .exhausted_after_h = (double)NAN};
    if (slo->window_ns > 0 && !isnan(burn)) {
        v->budget.exhausted_after_h = (double)slo->window_ns / 3.6e12 / burn;
    }
    for (size_t i = 0; i < COUNT_OF(v->budget.alerts); i++) {
        v->budget.alerts[i] = burn >= slo_alert_factors[i];
    }
}

// ---- slices of time ----

typedef struct Slices {
    BlockCount *good; // n is 1 where anything happened, a hit is a bad slice
    double *weight;   // 1 where anything happened
    double *bad_share;
    size_t count;
} Slices;

static Slices cut_slices(Arena *arena, const Selection *s, const BlockCount *counts, const Slo *slo)
{
    size_t per = (size_t)fmax(1, round((double)slo->slice_ns / 1e9 / s->interval_s));
    // Whole slices only: a rest would weigh as much as a full one.
    Slices r = {.count = s->intervals / per};
    r.good = ARENA_ARRAY(arena, BlockCount, r.count + 1);
    r.weight = ARENA_ARRAY(arena, double, r.count + 1);
    r.bad_share = ARENA_ARRAY(arena, double, r.count + 1);
    for (size_t i = 0; i < r.count; i++) {
        BlockCount sum = {0, 0};
        for (size_t k = i * per; k < (i + 1) * per; k++) {
            sum.n += counts[k].n;
            sum.hits += counts[k].hits;
        }
        if (sum.n == 0) {
            continue;
        }
        double bad = (double)sum.hits / (double)sum.n;
        r.weight[i] = 1;
        r.bad_share[i] = bad;
        r.good[i] = (BlockCount){1, 1 - bad < slo->slice_target};
    }
    return r;
}

static void judge_slices(Arena *arena, const Slo *slo, const ShareAsk *ask, const Slices *slices,
                         SloVerdict *v)
{
    if (slo->budgeting == SLO_TIMESLICES) {
        ShareAsk by_slice = *ask;
        by_slice.counts = slices->good;
        by_slice.count = slices->count;
        by_slice.interval_s = (double)slo->slice_ns / 1e9;
        by_slice.design_min = 1;
        share_judge(arena, &by_slice, v);
        return;
    }
    MeanAsk mean = {.n = slices->weight,
                    .sum = slices->bad_share,
                    .count = slices->count,
                    .interval_s = (double)slo->slice_ns / 1e9,
                    .limit = ask->limit,
                    .at_most = true,
                    .alpha = ask->alpha};
    if (!mean_judge(arena, &mean, v)) {
        // Slices that are all alike (mostly: without one bad request) show no scatter to judge by.
        share_judge(arena, ask, v);
    }
    v->is_share = true;
}

// ---- words ----

static Slice indicator_words(Arena *arena, const Slo *slo, const Selection *s)
{
    static const char *const OPS[] = {"<=", "<", ">=", ">"};
    Slice filter = slo_labels_words(arena, slo->filter);
    const char *of = slo->budgeting == SLO_TIMESLICES ? " of the time slices:" : " of";
    if (s->kind == METRIC_RATE) {
        return arena_printf(arena, "%.6g %%%s %.*s%.*s %s", slo->target * 100, of,
                            SLICE_FMT(slo->metric), SLICE_FMT(filter),
                            slo->true_is_bad ? "not true" : "true");
    }
    return arena_printf(arena, "%.6g %%%s %.*s%.*s %s %g %.*s%s", slo->target * 100, of,
                        SLICE_FMT(slo->metric), SLICE_FMT(filter), OPS[slo->op], slo->threshold,
                        SLICE_FMT(slo_unit_text(s->unit)),
                        s->corrected ? " (from the intended start)" : "");
}

static uint64_t hits_of(const BlockCount *counts, size_t n)
{
    uint64_t hits = 0;
    for (size_t i = 0; i < n; i++) {
        hits += counts[i].hits;
    }
    return hits;
}

SloVerdict slo_eval(Arena *arena, const RunData *run, const Slo *slo, const SloOptions *options)
{
    SelectionAsk selection_ask = ask_for(slo, options);
    Selection s = selection_make(arena, run, &selection_ask);
    SloVerdict v = slo_verdict_empty();
    v.name = slo->name;
    v.service = slo->service;
    v.endpoint = labels_get(slo->filter, SLICE("name"));
    v.metric = slo->metric;
    v.origin = slo->origin;
    v.target = slo->target;
    v.window_ns = slo->window_ns;
    v.advisory = slo->advisory;
    v.indicator = indicator_words(arena, slo, &s);
    v.unit = slo_unit_text(s.unit);
    v.threshold = s.kind == METRIC_TREND ? slo->threshold : (double)NAN;
    if (s.count == 0 || (s.kind != METRIC_TREND && s.kind != METRIC_RATE)) {
        v.reason =
            arena_printf(arena, "the run has no requests or checks under %.*s%.*s",
                         SLICE_FMT(slo->metric), SLICE_FMT(slo_labels_words(arena, slo->filter)));
        v.method = SLICE("nothing was observed");
        return v;
    }
    bool equal_is_bad = slo->op == SLO_OP_LT || slo->op == SLO_OP_GE;
    int64_t at = slo_limit_value(slo->threshold, s.unit, equal_is_bad);
    BlockCount *bad = bad_events(arena, run, slo, options, &s, at);
    ShareAsk ask = {.counts = bad,
                    .count = s.intervals,
                    .interval_s = s.interval_s,
                    .limit = 1 - slo->target,
                    .at_most = true,
                    .design_min = design_floor(arena, &s, bad, 1 - slo->target),
                    .alpha = slo_alpha(options)};
    if (slo->budgeting == SLO_OCCURRENCES) {
        share_judge(arena, &ask, &v);
    } else {
        Slices slices = cut_slices(arena, &s, bad, slo);
        judge_slices(arena, slo, &ask, &slices, &v);
        v.n = slices.count;
    }
    set_budget(slo, &v);
    bool upper = slo->op == SLO_OP_LE || slo->op == SLO_OP_LT;
    if (s.kind == METRIC_TREND && slo->budgeting == SLO_OCCURRENCES && upper) {
        Selection right = selection_answered(arena, &s, true);
        bool failures = slo->failures_are_bad && is_request_trend(&s, slo->metric);
        uint64_t slow = hits_of(selection_above(arena, &right, at), s.intervals);
        uint64_t failed = failures ? hits_of(bad, s.intervals) - slow : 0;
        slo_set_observed(failures ? &right : &s, slo->target, failed, &v);
    }
    v.reason = slo_share_reason(
        arena, &v, slo->budgeting == SLO_OCCURRENCES ? "were bad" : "slices were bad", true);
    return v;
}
