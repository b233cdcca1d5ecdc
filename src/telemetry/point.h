// What one series did in one interval: the currency between recorder, ledger, outputs and reports.
//
// A *series* is a metric with a set of labels (k6's tags). A *point* is what was recorded into one
// series during one interval, normally a second of the run. Points of one series merge by addition
// (gauges: last, min, max), across seconds, threads and machines.
#ifndef TELEMETRY_POINT_H
#define TELEMETRY_POINT_H

#include "base/arena.h"
#include "base/err.h"
#include "stat/hist.h"
#include "telemetry/metric.h"

typedef struct Label {
    Slice key;
    Slice value;
} Label;

enum { LABELS_MAX = 32 }; // per series

// Sorted by key, keys unique. Label sets are small values that borrow their text.
typedef struct Labels {
    const Label *items;
    size_t count;
} Labels;

// The value of `key`, or the empty slice.
Slice labels_get(Labels labels, Slice key);
bool labels_eq(Labels a, Labels b);
// True when every label of `filter` has the same value in `labels`; an empty value in the filter
// matches a label that is absent (k6's rule for submetrics).
bool labels_match(Labels labels, Labels filter);
// Deep copy, sorted. ERR_LIMIT past LABELS_MAX, ERR_EXISTS for a key that is there twice.
MUST_USE int labels_copy(Arena *arena, const Label *items, size_t count, Labels *ret, Err *e);

typedef struct SeriesInfo {
    uint32_t id; // dense, from 0, in order of first use within a run
    MetricKind kind;
    MetricUnit unit;
    Slice metric; // its name
    Labels labels;
} SeriesInfo;

typedef struct Point {
    uint32_t series;  // SeriesInfo.id
    int64_t count;    // counter: how much was added; rate, trend: number of observations
    int64_t trues;    // rate: observations that were true
    double last;      // gauge
    double min;       // gauge
    double max;       // gauge
    const Hist *hist; // trend; borrowed. NULL for the other kinds
} Point;

#endif
