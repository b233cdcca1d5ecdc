// The ledger: the append-only log that every number comes from, in one SQLite file.
//
// Records are canonical, versioned and hash-chained; the tables beside them are projections that
// ledger_rebuild() recreates (docs/internals/ledger.md). Several processes may write one ledger at
// the same time. A Ledger belongs to the thread that opened it; RunWriters made from it commit on a
// job thread of their own connection.
#ifndef LEDGER_LEDGER_H
#define LEDGER_LEDGER_H

#include "base/err.h"
#include "base/slice.h"

typedef struct Ledger Ledger;

typedef struct LedgerOptions {
    const char *path;        // NULL: $PERFWRIGHT_LEDGER, else XDG data home perfwright/ledger.db
    bool read_only;          // writes nothing, so dead runs stay "running"
    bool must_exist;         // do not create
    int64_t busy_timeout_ns; // how long another process's write is waited for; 0: 5 s
    int64_t max_bytes;       // of the file; writes past it are ERR_FULL. 0: what the disk holds
} LedgerOptions;

// Opens or creates, and marks runs partial whose process died. ERR_VERSION for a ledger of a newer
// program, ERR_BUSY, ERR_IO, ERR_CORRUPT.
MUST_USE int ledger_open(const LedgerOptions *options, Ledger **ret_ledger, Err *e);
void ledger_close(Ledger *ledger); // NULL is fine
const char *ledger_path(const Ledger *ledger);

#endif
