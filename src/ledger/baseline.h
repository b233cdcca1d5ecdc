// Baselines: names for the runs that later ones are compared with.
//
// Pinning is a record, so who compared with what can be read later. A name stands for what was
// pinned last; unpinning forgets the name, not the runs.
//
//     baseline_pin(ledger, SLICE("main"), selectors, 3, SLICE("release 1.4"), e);
//     baseline_resolve(ledger, SLICE("main"), arena, &ids, &count, e);
#ifndef LEDGER_BASELINE_H
#define LEDGER_BASELINE_H

#include "ledger/run.h"

enum { BASELINE_RUNS_MAX = 1000, BASELINE_NAME_MAX = 200 };

// The runs that the selectors mean now. All must be sealed, and none invalid: ERR_CONFLICT.
MUST_USE int baseline_pin(Ledger *ledger, Slice name, const Slice *selectors, size_t count,
                          Slice note, Err *e);
MUST_USE int baseline_unpin(Ledger *ledger, Slice name, Err *e); // ERR_NOT_FOUND

typedef struct Baseline {
    Slice name;
    Slice note;
    int64_t pinned_unix_ns;
    int64_t runs;
} Baseline;

// Sorted by name.
MUST_USE int baseline_list(Ledger *ledger, Arena *arena, Baseline **ret_items, size_t *ret_count,
                           Err *e);
// The run ids in the order of pinning. ERR_NOT_FOUND.
MUST_USE int baseline_resolve(Ledger *ledger, Slice name, Arena *arena, Slice **ret_ids,
                              size_t *ret_count, Err *e);

// One JSON document with all runs of the baseline: {"format":"perfwright-baseline","version":1,
// "name":...,"note":...,"runs":[run_export documents]}.
MUST_USE int baseline_export(Ledger *ledger, Slice name, Buf *out, Err *e);

// Takes in, and pins as `name` (empty: the name in the document):
// - what baseline_export or run_export wrote; runs that are there already are used as they are;
// - a time series of another tool, as described in docs/internals/ledger.md;
// - a summary that k6 wrote with --summary-export: one run.
// Numbers of other tools become runs of kind "imported". ERR_PARSE, ERR_VERSION, ERR_CORRUPT.
MUST_USE int baseline_import(Ledger *ledger, Slice name, Slice json, const char *source, Err *e);

#endif
