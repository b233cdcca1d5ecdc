// Which of a run's numbers a verdict is about: the series of one metric under a label filter, as
// counts per interval.
//
//     SelectionAsk ask = {.metric = SLICE("http_req_duration")};
//     Selection s = selection_make(arena, run, &ask);
//     BlockCount *seconds = selection_above(arena, &s, 500 * NS_PER_MS);
//
// With `corrected`, a series whose scenario ran as an open model is replaced by its twin measured
// from the intended start (http_req_corrected_duration with the same labels): what a user would
// have waited, also where the generator had no virtual user free.
#ifndef JUDGE_SELECTION_H
#define JUDGE_SELECTION_H

#include "ledger/run.h"
#include "stat/effective.h"

typedef struct SelectionAsk {
    Slice metric;
    Labels filter;
    bool corrected;
    int64_t warmup_ns; // intervals that begin before this are left out
} SelectionAsk;

typedef struct Selection {
    const RunSeries **series;
    size_t count;
    int64_t from;      // first interval that counts
    size_t intervals;  // that count; arrays below have this length
    size_t corrected;  // how many of the series are measured from the intended start
    MetricKind kind;   // of the series; 0 when there is none
    MetricUnit unit;   //
    double interval_s; // length of one interval
} Selection;

// The arrays and the selection live in `arena`; the run must outlive them.
Selection selection_make(Arena *arena, const RunData *run, const SelectionAsk *ask);

// Of a selection, the series of requests that were answered as expected, or the others (label
// expected_response is "false").
Selection selection_answered(Arena *arena, const Selection *all, bool expected);

// Trends: hits are values above `limit` and those that never finished.
BlockCount *selection_above(Arena *arena, const Selection *s, int64_t limit);
// Trends: hits are only those that never finished. Looks at no bucket.
BlockCount *selection_endless(Arena *arena, const Selection *s);
// Rates: hits are the true observations. Counters: n is what was added, no hits.
BlockCount *selection_trues(Arena *arena, const Selection *s);
// Trends: number and sum of the finite values per interval.
void selection_sums(Arena *arena, const Selection *s, double **ret_n, double **ret_sum);

// Adds everything into `into` (trends; an initialised histogram of the caller's).
void selection_hist(const Selection *s, Hist *into);
// Merge of all points: counts and trues added, gauges by last, min, max. hist is NULL.
Point selection_total(const Selection *s);

// Histogram of each interval. The array lives in the arena; histograms that had to be made from
// several series belong to the result until selection_hists_done().
typedef struct SelectionHists {
    const Hist **seconds; // NULL: an empty interval
    size_t count;
    Hist *owned;
    size_t owned_count;
} SelectionHists;
SelectionHists selection_hists(Arena *arena, const Selection *s);
void selection_hists_done(SelectionHists *h);

#endif
