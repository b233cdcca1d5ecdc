// Observations: what was seen of a system under known inputs and policies, kept so that models can
// be fitted on it: records of kind "observation" in the ledger's own chain.
//
// A record holds a table of rows in the form that model/dataset.h describes; this room keeps it,
// and in which order it came, without looking inside. There is no projection: the records are read
// in order.
#ifndef LEDGER_OBSERVATION_H
#define LEDGER_OBSERVATION_H

#include "ledger/ledger.h"

enum { OBSERVATION_BYTES_MAX = 8 << 20 };

// Appends one record. `table` is canonical JSON. ERR_LIMIT past OBSERVATION_BYTES_MAX, ERR_REFUSED
// for a ledger that was opened read-only.
MUST_USE int observation_append(Ledger *ledger, Slice table, Err *e);

// Calls `take` with each table, oldest first, until it returns something else than 0, which is then
// returned. The table is borrowed for the call, which must not write to the ledger.
typedef int ObservationFn(void *ctx, Slice table, Err *e);
MUST_USE int observation_each(Ledger *ledger, ObservationFn *take, void *ctx, Err *e);

#endif
