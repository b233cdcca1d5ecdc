// What the files of this room share of a Ledger.
#ifndef LEDGER_LEDGER_IMPL_H
#define LEDGER_LEDGER_IMPL_H

#include "ledger/db.h"
#include "ledger/ledger.h"

struct Ledger {
    Db *db;
    char *path;
    LedgerOptions options;
};

// Another connection to the same file, set up the same way.
MUST_USE int ledger_connect(const Ledger *ledger, Db **ret_db, Err *e);
// ERR_REFUSED for a ledger that was opened read-only.
MUST_USE int ledger_expect_writable(const Ledger *ledger, Err *e);

#endif
