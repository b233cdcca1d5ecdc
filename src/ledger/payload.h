// Payloads: the canonical JSON inside records, written from and read into C structures.
//
// Writing never fails but for the Buf's ceiling. Reading takes bytes that may be hostile (an
// imported export, a damaged file): ERR_CORRUPT names the member that is wrong. Everything that is
// read lives in the arena.
#ifndef LEDGER_PAYLOAD_H
#define LEDGER_PAYLOAD_H

#include "base/json_write.h"
#include "ledger/run.h"

enum {
    SERIES_MAX = 1 << 20,   // series of a run
    INTERVAL_MAX = 1 << 26, // intervals of a run: two years of seconds
};

// A point whose histogram is still encoded (hist_encode); point.hist is NULL.
typedef struct PackedPoint {
    Point point;
    Slice hist;
} PackedPoint;

void payload_write_begin(Buf *out, const RunInfo *info, int64_t pid);
MUST_USE int payload_read_begin(Arena *arena, Slice payload, RunInfo *ret_info, Err *e);

void payload_write_series(Buf *out, const SeriesInfo *series);
MUST_USE int payload_read_series(Arena *arena, Slice payload, SeriesInfo *ret_series, Err *e);

typedef struct IntervalPayload {
    int64_t index;
    PackedPoint *points;
    size_t count;
} IntervalPayload;

void payload_write_interval(Buf *out, const IntervalPayload *interval);
MUST_USE int payload_read_interval(Arena *arena, Slice payload, IntervalPayload *ret, Err *e);

void payload_write_event(Buf *out, const RunEvent *event);
MUST_USE int payload_read_event(Arena *arena, Slice payload, RunEvent *ret_event, Err *e);

typedef struct ArtifactPayload {
    Slice run_id; // only in the ledger's chain
    Slice name;
    Slice media_type;
    Slice sha256;
    int64_t bytes;
} ArtifactPayload;

void payload_write_artifact(Buf *out, const ArtifactPayload *artifact);
MUST_USE int payload_read_artifact(Arena *arena, Slice payload, ArtifactPayload *ret, Err *e);

typedef struct EndPayload {
    RunEnd end;
    PackedPoint *totals; // one a series
    size_t total_count;
    int64_t lost_intervals; // that did not fit into memory while the disk failed
} EndPayload;

void payload_write_end(Buf *out, const EndPayload *end);
MUST_USE int payload_read_end(Arena *arena, Slice payload, EndPayload *ret_end, Err *e);

typedef struct SealPayload {
    Slice run_id;
    Slice head; // hex hash of the run's last record
    int64_t records;
} SealPayload;

void payload_write_seal(Buf *out, const SealPayload *seal);
MUST_USE int payload_read_seal(Arena *arena, Slice payload, SealPayload *ret_seal, Err *e);

// Pins, unpins and prunings: a name or a run, a list of runs, when and why.
typedef struct PinPayload {
    Slice name;
    const Slice *run_ids;
    size_t run_count;
    int64_t at_unix_ns;
    Slice note;
} PinPayload;

void payload_write_pin(Buf *out, const PinPayload *pin);
MUST_USE int payload_read_pin(Arena *arena, Slice payload, PinPayload *ret_pin, Err *e);

// ---- shared with exports and the series table

void labels_write(JsonWriter *w, Labels labels); // an object
MUST_USE int labels_read(Arena *arena, const Doc *object, Labels *ret_labels, Err *e);

#endif
