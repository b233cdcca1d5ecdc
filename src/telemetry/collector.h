// Collector: adds up the batches of all recorders, for the running interval and for the whole run.
// See telemetry/recorder.h for the example. Belongs to one thread.
#ifndef TELEMETRY_COLLECTOR_H
#define TELEMETRY_COLLECTOR_H

#include "telemetry/recorder.h"

typedef struct Collector Collector;

enum { COLLECTOR_SOURCES_MAX = 256 };

Collector *collector_create(size_t series_max); // 0: RECORDER_SERIES_MAX
void collector_destroy(Collector *collector);   // NULL is fine

// Adds what a recorder did. `source` numbers the recorders, below COLLECTOR_SOURCES_MAX. The batch
// must stay out until collector_next.
void collector_add(Collector *collector, unsigned source, const RecorderBatch *batch);
// The interval so far, in order of series id. Good until collector_next.
void collector_points(Collector *collector, const Point **ret_points, size_t *ret_count);
void collector_next(Collector *collector);

// For numbers that are counted elsewhere: replaces the series' total by `total`, whose hist, for
// trends, is copied. The interval is left alone.
void collector_set(Collector *collector, MetricId metric, Labels labels, const Point *total);

// Every series seen so far, ids 0 .. count - 1 in order of first use. Pointers stay valid.
size_t collector_series_count(const Collector *collector);
const SeriesInfo *collector_series(const Collector *collector, size_t id);
// The whole run so far.
const Point *collector_total(const Collector *collector, size_t id);

// into += from for points of one kind. For trends, `into_hist` is what into->hist points at.
void point_merge(Point *into, Hist *into_hist, const Point *from, MetricKind kind);

// Adds the totals of every series of the metric whose labels match. `ret_hist`, initialised by the
// caller, is reset and filled for trends. Returns the number of series.
size_t collector_sum(const Collector *collector, Slice metric, Labels filter, Point *ret_point,
                     Hist *ret_hist);

#endif
