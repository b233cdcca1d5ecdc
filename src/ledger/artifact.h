// The store of artifacts: files by their SHA-256, stored once however many runs have them.
#ifndef LEDGER_ARTIFACT_H
#define LEDGER_ARTIFACT_H

#include "ledger/db.h"
#include "ledger/sha256.h"

// Inside a write transaction. Fine when it is there already.
MUST_USE int content_store(Db *db, Slice sha256_hex, Slice bytes, Err *e);
// Stores the bytes and appends the record that says whose they are. Inside a write transaction.
MUST_USE int artifact_attach(Db *db, Slice run_id, Slice name, Slice media_type, Slice bytes,
                             Err *e);

#endif
