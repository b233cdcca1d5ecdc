// Content: files by their SHA-256, stored once however many runs have them.
#ifndef LEDGER_CONTENT_H
#define LEDGER_CONTENT_H

#include "ledger/db.h"
#include "ledger/sha256.h"

// Inside a write transaction. Fine when it is there already.
MUST_USE int content_store(Db *db, Slice sha256_hex, Slice bytes, Err *e);

#endif
