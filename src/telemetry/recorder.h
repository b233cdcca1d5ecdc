// Recorder: where one thread puts its measurements, and Collector: where those of all threads are
// added up, second by second and over the whole run.
//
// A recorder interns series (a metric with labels) once and hands out pointers; recording through
// such a pointer looks nothing up, builds no label and allocates nothing once an octave is in use.
// Values go into the histogram of the running interval only. At the end of an interval the thread
// takes a *batch* of what changed and gives it to the collector, which adds it to the run's totals:
// memory depends on the number of series, never on the length of the test.
//
//     RecorderSeries *s = recorder_series(r, M_HTTP_REQ_DURATION, labels);
//     recorder_trend(s, duration_ns);                      // hot path
//     ... once a second:
//     const RecorderBatch *batch = recorder_take(r);
//     collector_add(collector, source, batch);             // may be another thread
//     collector_points(collector, &points, &count);        // of this interval
//     collector_next(collector);
//     recorder_give_back(r);
//
// Where recorder and collector live on one thread, points refer to the recorder's own histograms
// and nothing is copied. Across threads (options.shared) each series has two histograms that change
// places. docs/internals/recorder.md has the costs.
//
// Series are capped. Past the cap each metric has one more series with the label overflow="true"
// that takes everything new, so a plan with unbounded labels loses detail, not counts or memory.
#ifndef TELEMETRY_RECORDER_H
#define TELEMETRY_RECORDER_H

#include <assert.h>

#include "telemetry/point.h"

enum {
    RECORDER_SERIES_MAX = 10000, // default cap
    RECORDER_LABEL_BYTES_MAX = 16 << 20,
};

typedef struct Recorder Recorder;
typedef struct RecorderSeries RecorderSeries;

// Open only so that recording can be inlined; its fields are the recorder's.
struct RecorderSeries {
    Recorder *recorder;
    Point point; // of the running interval; point.hist is `active`
    Hist *active;
    Hist *shelf;          // shared recorders: the other histogram
    RecorderSeries *next; // of those that changed in this interval
    bool changed;
    SeriesInfo info; // id: dense within this recorder
};

typedef struct RecorderOptions {
    size_t series_max; // 0: RECORDER_SERIES_MAX
    bool shared;       // batches are read by another thread
} RecorderOptions;

Recorder *recorder_create(const RecorderOptions *options);
void recorder_destroy(Recorder *recorder); // NULL is fine

// Finds or makes the series. Labels are copied; they need not be sorted, and of a key that is there
// twice the first one counts. Never NULL.
RecorderSeries *recorder_series(Recorder *recorder, MetricId metric, const Label *labels,
                                size_t count);
// A metric that is not in the table (a plan's own).
RecorderSeries *recorder_custom(Recorder *recorder, Slice metric, MetricKind kind, MetricUnit unit,
                                const Label *labels, size_t count);
size_t recorder_series_count(const Recorder *recorder);
// Series asked for beyond the cap, each request counted.
uint64_t recorder_overflows(const Recorder *recorder);

// ---- hot path

void recorder_mark(RecorderSeries *series); // slow part: the first record of an interval

static inline void recorder_touch(RecorderSeries *s)
{
    if (__builtin_expect(!s->changed, 0)) {
        recorder_mark(s);
    }
}
static inline void recorder_count(RecorderSeries *s, int64_t n)
{
    recorder_touch(s);
    s->point.count += n;
}
static inline void recorder_rate(RecorderSeries *s, bool value)
{
    recorder_touch(s);
    s->point.count++;
    s->point.trues += value;
}
static inline void recorder_trend(RecorderSeries *s, int64_t value)
{
    recorder_touch(s);
    s->point.count++;
    hist_record(s->active, value);
}
// What never finished: counted beside the histogram's values.
static inline void recorder_trend_infinite(RecorderSeries *s)
{
    recorder_touch(s);
    s->point.count++;
    hist_record_infinite(s->active, 1);
}
void recorder_gauge(RecorderSeries *s, double value);

// ---- end of an interval

typedef struct RecorderItem {
    const SeriesInfo *info; // stays valid as long as the recorder
    Point point;            // point.series is the recorder's own id
} RecorderItem;

typedef struct RecorderBatch {
    const RecorderItem *items;
    size_t count;
} RecorderBatch;

// What changed since the last batch, in order of first change; NULL while that one was not given
// back (recording goes on, and the next batch will hold it all). Without options.shared nothing may
// be recorded until the batch is given back.
const RecorderBatch *recorder_take(Recorder *recorder);
// On the recorder's thread.
void recorder_give_back(Recorder *recorder);

#endif
