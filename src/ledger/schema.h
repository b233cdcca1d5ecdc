// The tables of a ledger: the log, the content store, and the projections made from the log.
// docs/internals/ledger.md says what each column means.
#ifndef LEDGER_SCHEMA_H
#define LEDGER_SCHEMA_H

#include "ledger/db.h"

enum {
    LEDGER_VERSION = 1,              // of the tables; PRAGMA user_version
    LEDGER_APPLICATION = 0x50574c47, // "PWLG"; PRAGMA application_id
};

// Creates the tables in an empty file, and checks those of a full one: ERR_VERSION for a newer
// program's, ERR_CORRUPT for a file that is no ledger.
MUST_USE int schema_ensure(Db *db, bool read_only, Err *e);
// Drops and creates the projections, empty. Inside a write transaction.
MUST_USE int schema_clear_projections(Db *db, Err *e);

#endif
