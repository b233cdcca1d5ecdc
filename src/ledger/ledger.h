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
    const char *path;          // NULL: $PERFWRIGHT_LEDGER, else XDG data home perfwright/ledger.db
    bool read_only;            // writes nothing, so dead runs stay "running"
    bool must_exist;           // do not create
    int64_t busy_timeout_ns;   // how long another process's write is waited for; 0: 5 s
    int64_t finish_timeout_ns; // how long run_finish() tries while the disk refuses; 0: 5 s
    int64_t max_bytes;         // of the file; writes past it are ERR_FULL. 0: what the disk holds
} LedgerOptions;

// Opens or creates, and marks runs partial whose process died. ERR_VERSION for a ledger of a newer
// program, ERR_BUSY, ERR_IO, ERR_CORRUPT.
MUST_USE int ledger_open(const LedgerOptions *options, Ledger **ret_ledger, Err *e);
void ledger_close(Ledger *ledger); // NULL is fine
const char *ledger_path(const Ledger *ledger);

// Recreates every table from the records. Nothing else can write meanwhile.
MUST_USE int ledger_rebuild(Ledger *ledger, Err *e);

// ---- is it what was written?

enum { LEDGER_HASH_LEN = 64 };

// The end of the ledger's own chain, which has one record for every sealed run, pin and pruning.
// Print it where it cannot be changed along with the file: in reports, in the log of a pipeline.
typedef struct LedgerHead {
    int64_t records;
    char hash[LEDGER_HASH_LEN + 1]; // hexadecimal; zeros while there is no record
} LedgerHead;

MUST_USE int ledger_head(Ledger *ledger, LedgerHead *ret_head, Err *e);

typedef struct LedgerProblem {
    Slice run_id;     // or "ledger" for its own chain
    int64_t run_seq;  // place in that chain, from 1; 0: the chain as a whole
    Slice kind;       // "run.interval", ...; empty with run_seq 0
    const char *what; // a sentence
} LedgerProblem;

typedef struct LedgerCheck {
    int64_t chains;
    int64_t records;
    int64_t contents;
    int64_t problems;
} LedgerCheck;

// Recomputes every hash, and calls `report` (may be NULL) for whatever is changed, missing or out
// of order. `known_head`: the hash of an earlier ledger_head(), or empty; without one a ledger that
// was cut off at its end, or rewritten from some record on, cannot be told from a shorter one.
// ERR_CORRUPT when there was a problem.
MUST_USE int ledger_verify(Ledger *ledger, Slice known_head,
                           void (*report)(void *ctx, const LedgerProblem *problem), void *ctx,
                           LedgerCheck *ret_check, Err *e);

// ---- making it smaller

typedef struct PruneOptions {
    int64_t before_unix_ns; // runs that started earlier
    bool dry_run;           // only count
} PruneOptions;

// Drops the points and artifacts of sealed runs that no baseline holds, and keeps their totals,
// verdicts and hashes. The file does not shrink, its room is used again.
MUST_USE int ledger_prune(Ledger *ledger, const PruneOptions *options, int64_t *ret_runs, Err *e);

#endif
