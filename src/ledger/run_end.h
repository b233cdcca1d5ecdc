// How a run's chain is closed: by its writer, or for a process that died.
#ifndef LEDGER_RUN_END_H
#define LEDGER_RUN_END_H

#include "ledger/ledger_impl.h"
#include "ledger/payload.h"
#include "ledger/record.h"

// Appends the payload as run.end to the run's chain, and the seal to the ledger's. In a write
// transaction.
MUST_USE int run_end_append(Db *db, Slice run_id, ChainHead *head, Slice payload, Err *e);

// Ends, as partial, every run without an end whose writer is gone.
MUST_USE int run_recover_all(Ledger *ledger, Err *e);

#endif
