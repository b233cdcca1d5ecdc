// Projections: the query tables, made from records and from nothing else.
//
// Appending a record and rebuilding a ledger run this same code, so that a rebuilt table cannot
// differ from one that grew.
#ifndef LEDGER_PROJECTION_H
#define LEDGER_PROJECTION_H

#include "ledger/record.h"

// Inside the transaction that inserts the record. Kinds that this program does not know have no
// projection here; a newer version of a known kind is ERR_VERSION.
MUST_USE int projection_apply(Db *db, const Record *record, Err *e);

// Clears all projections and applies every record in the order of the log.
MUST_USE int projection_rebuild(Db *db, Err *e);

// The hash of everything in all projections: what a rebuild must not change.
MUST_USE int projection_digest(Db *db, Sha256 *ret_digest, Err *e);

#endif
