#include "judge/selection.h"

#include <math.h>

#define INTERVAL_DEFAULT_NS INT64_C(1000000000)

static const RunSeries *twin(const RunData *run, const RunSeries *of)
{
    const Slice metric = SLICE("http_req_corrected_duration");
    for (size_t i = 0; i < run->series_count; i++) {
        const RunSeries *s = &run->series[i];
        if (slice_eq(s->info.metric, metric) && labels_eq(s->info.labels, of->info.labels)) {
            return s;
        }
    }
    return NULL;
}

Selection selection_make(Arena *arena, const RunData *run, const SelectionAsk *ask)
{
    int64_t interval_ns = run->info.interval_ns > 0 ? run->info.interval_ns : INTERVAL_DEFAULT_NS;
    Selection s = {.interval_s = (double)interval_ns / 1e9};
    s.series = ARENA_ARRAY(arena, const RunSeries *, run->series_count + 1);
    s.from = ask->warmup_ns > 0 ? (ask->warmup_ns + interval_ns - 1) / interval_ns : 0;
    s.from = s.from > run->interval_count ? run->interval_count : s.from;
    s.intervals = (size_t)(run->interval_count - s.from);
    // Only the duration has a twin: every other metric is what it is in either model.
    bool corrected = ask->corrected && slice_eq(ask->metric, SLICE("http_req_duration"));
    for (size_t i = 0; i < run->series_count; i++) {
        const RunSeries *series = &run->series[i];
        if (!slice_eq(series->info.metric, ask->metric) ||
            !labels_match(series->info.labels, ask->filter)) {
            continue;
        }
        const RunSeries *better = corrected ? twin(run, series) : NULL;
        s.corrected += better != NULL;
        s.series[s.count++] = better ? better : series;
        s.kind = series->info.kind;
        s.unit = series->info.unit;
    }
    return s;
}

// Walks the points that count: `p` is the point, `at` its place in the arrays.
typedef struct Walk {
    const Selection *s;
    size_t series;
    size_t point;
} Walk;

static const Point *walk_next(Walk *w, size_t *ret_at)
{
    for (; w->series < w->s->count; w->series++, w->point = 0) {
        const RunSeries *series = w->s->series[w->series];
        while (w->point < series->point_count) {
            const RunPoint *p = &series->points[w->point++];
            int64_t at = p->index - w->s->from;
            if (at >= 0 && (uint64_t)at < w->s->intervals) {
                *ret_at = (size_t)at;
                return &p->point;
            }
        }
    }
    return NULL;
}

Selection selection_answered(Arena *arena, const Selection *all, bool expected)
{
    Selection part = *all;
    part.series = ARENA_ARRAY(arena, const RunSeries *, all->count + 1);
    part.count = 0;
    for (size_t i = 0; i < all->count; i++) {
        Slice label = labels_get(all->series[i]->info.labels, SLICE("expected_response"));
        if (slice_eq(label, SLICE("false")) != expected) {
            part.series[part.count++] = all->series[i];
        }
    }
    return part;
}

BlockCount *selection_above(Arena *arena, const Selection *s, int64_t limit)
{
    BlockCount *counts = ARENA_ARRAY(arena, BlockCount, s->intervals + 1);
    Walk w = {.s = s};
    size_t at;
    for (const Point *p; (p = walk_next(&w, &at)) != NULL;) {
        if (p->hist) {
            counts[at].n += hist_count_all(p->hist);
            counts[at].hits += hist_count_above(p->hist, limit) + p->hist->infinite;
        }
    }
    return counts;
}

BlockCount *selection_endless(Arena *arena, const Selection *s)
{
    BlockCount *counts = ARENA_ARRAY(arena, BlockCount, s->intervals + 1);
    Walk w = {.s = s};
    size_t at;
    for (const Point *p; (p = walk_next(&w, &at)) != NULL;) {
        if (p->hist) {
            counts[at].n += hist_count_all(p->hist);
            counts[at].hits += p->hist->infinite;
        }
    }
    return counts;
}

BlockCount *selection_trues(Arena *arena, const Selection *s)
{
    BlockCount *counts = ARENA_ARRAY(arena, BlockCount, s->intervals + 1);
    Walk w = {.s = s};
    size_t at;
    for (const Point *p; (p = walk_next(&w, &at)) != NULL;) {
        counts[at].n += p->count > 0 ? (uint64_t)p->count : 0;
        counts[at].hits += p->trues > 0 ? (uint64_t)p->trues : 0;
    }
    return counts;
}

void selection_sums(Arena *arena, const Selection *s, double **ret_n, double **ret_sum)
{
    *ret_n = ARENA_ARRAY(arena, double, s->intervals + 1);
    *ret_sum = ARENA_ARRAY(arena, double, s->intervals + 1);
    Walk w = {.s = s};
    size_t at;
    for (const Point *p; (p = walk_next(&w, &at)) != NULL;) {
        if (p->hist) {
            (*ret_n)[at] += (double)p->hist->count;
            (*ret_sum)[at] += (double)p->hist->sum;
        }
    }
}

void selection_hist(const Selection *s, Hist *into)
{
    Walk w = {.s = s};
    size_t at;
    if (s->from == 0) { // the totals are there already
        for (size_t i = 0; i < s->count; i++) {
            if (s->series[i]->total.hist) {
                hist_merge(into, s->series[i]->total.hist);
            }
        }
        return;
    }
    for (const Point *p; (p = walk_next(&w, &at)) != NULL;) {
        if (p->hist) {
            hist_merge(into, p->hist);
        }
    }
}

Point selection_total(const Selection *s)
{
    Point total = {.last = (double)NAN, .min = (double)INFINITY, .max = -(double)INFINITY};
    size_t last_at = 0;
    size_t at;
    Walk w = {.s = s};
    for (const Point *p; (p = walk_next(&w, &at)) != NULL;) {
        total.count += p->hist ? (int64_t)hist_count_all(p->hist) : p->count;
        total.trues += p->trues;
        if (s->kind == METRIC_GAUGE) {
            total.last = at >= last_at ? p->last : total.last;
            last_at = at >= last_at ? at : last_at;
            total.min = fmin(total.min, p->min);
            total.max = fmax(total.max, p->max);
        }
    }
    return total;
}

SelectionHists selection_hists(Arena *arena, const Selection *s)
{
    SelectionHists r = {.count = s->intervals};
    r.seconds = ARENA_ARRAY(arena, const Hist *, s->intervals + 1);
    uint32_t *shared = ARENA_ARRAY(arena, uint32_t, s->intervals + 1);
    size_t at;
    for (Walk w = {.s = s}; true;) {
        const Point *p = walk_next(&w, &at);
        if (p == NULL) {
            break;
        }
        r.owned_count += p->hist && shared[at] == 1;
        shared[at] += p->hist != NULL;
    }
    r.owned = ARENA_ARRAY(arena, Hist, r.owned_count + 1);
    size_t next = 0;
    for (Walk w = {.s = s}; true;) {
        const Point *p = walk_next(&w, &at);
        if (p == NULL) {
            break;
        }
        if (p->hist == NULL) {
            continue;
        }
        if (shared[at] == 1) {
            r.seconds[at] = p->hist;
            continue;
        }
        if (r.seconds[at] == NULL) {
            hist_init(&r.owned[next]);
            r.seconds[at] = &r.owned[next++];
            shared[at] = (uint32_t)next + 1; // where its own histogram is, past the 1 above
        }
        hist_merge(&r.owned[shared[at] - 2], p->hist);
    }
    return r;
}

void selection_hists_done(SelectionHists *h)
{
    for (size_t i = 0; i < h->owned_count; i++) {
        hist_done(&h->owned[i]);
    }
}
