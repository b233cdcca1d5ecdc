// Walking a run's series over time: the one place where points are added up.
#ifndef REPORT_SERIES_H
#define REPORT_SERIES_H

#include "ledger/run.h"

// Some series of one metric, and how far each was read.
typedef struct SeriesGroup {
    const RunSeries **series;
    size_t *next; // first point not yet taken
    size_t count;
} SeriesGroup;

// What a group did in a stretch of time.
typedef struct SeriesSum {
    bool any;     // some point lay in the stretch
    double count; // counter: added; rate, trend: observations
    double trues; //
    double gauge; // sum over the series of the last values
    Hist hist;    // trends
} SeriesSum;

// Those whose labels match; both may be empty.
SeriesGroup series_group(Arena *arena, const RunData *run, Slice metric, Labels filter);
// Those where `key` has exactly this value, absent labels counting as the empty value.
SeriesGroup series_group_label(Arena *arena, const RunData *run, Slice metric, Slice key,
                               Slice value);

void series_sum_init(SeriesSum *sum);
void series_sum_done(SeriesSum *sum);

// Sums the points below interval `end` that were not taken yet, replacing *sum.
void series_take(SeriesGroup *group, int64_t end, SeriesSum *sum);
// Sums everything, from the beginning, and leaves the group rewound.
void series_total(SeriesGroup *group, SeriesSum *sum);

#endif
