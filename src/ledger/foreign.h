// Numbers of other tools as runs of kind "imported".
#ifndef LEDGER_FOREIGN_H
#define LEDGER_FOREIGN_H

#include "ledger/run.h"

enum { FOREIGN_RUNS_MAX = 1000, FOREIGN_SERIES_MAX = 10000 };

typedef struct ForeignPoint {
    size_t run; // dense, in order of first use
    SeriesInfo series;
    Point point; // hist owned by the ForeignRuns
} ForeignPoint;

typedef struct ForeignRuns {
    Slice name; // empty when the document does not say
    int64_t *started_unix_ns;
    size_t run_count;
    ForeignPoint *points;
    size_t point_count;
} ForeignRuns;

bool foreign_is_k6(const Doc *doc);
// A time series document, or a k6 summary. ERR_PARSE with the place of the mistake.
MUST_USE int foreign_read(Arena *arena, const Doc *doc, ForeignRuns **ret_runs, Err *e);
void foreign_done(ForeignRuns *runs); // frees the histograms; NULL is fine
// Writes run `index` into the ledger.
MUST_USE int foreign_store(Ledger *ledger, const ForeignRuns *runs, size_t index, Slice name,
                           char ret_id[RUN_ID_LEN + 1], Err *e);

#endif
