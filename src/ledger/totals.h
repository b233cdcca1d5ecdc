// Totals: the merge of all points of every series of a run, as kept by the writer while it writes
// and computed from the log when a run's process died.
#ifndef LEDGER_TOTALS_H
#define LEDGER_TOTALS_H

#include "ledger/payload.h"

typedef struct SeriesTotal {
    bool declared;
    MetricKind kind;
    Point point; // hist points at the one below
    Hist hist;
    bool any;
} SeriesTotal;

typedef struct Totals {
    SeriesTotal *items; // by series id
    size_t count;
} Totals;

void totals_done(Totals *totals);
void totals_declare(Totals *totals, uint32_t series, MetricKind kind); // below SERIES_MAX
// ERR_CORRUPT for a series that was not declared, or a histogram that is none.
MUST_USE int totals_add(Totals *totals, const PackedPoint *point, Err *e);
// Encoded for a record, declared series only, in the order of their ids.
void totals_pack(const Totals *totals, Arena *arena, PackedPoint **ret_points, size_t *ret_count);

// into += p, but for the histogram: counts add up (held at the ends of int64), a gauge keeps the
// newer `last` and the outer min and max. `first`: nothing is in `into` yet.
void point_add(Point *into, const Point *p, MetricKind kind, bool first);

#endif
