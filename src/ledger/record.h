// A record of the log and its hash chain.
//
// Every run has a chain of its own; the ledger has one more, named "ledger", for what concerns
// several runs: seals, pins, prunings. A record's hash covers everything but its place in the file:
//
//     hash = SHA-256( len || "perfwright.record.1"  len || run_id  len || run_seq  len || kind
//                     len || version  len || SHA-256(payload)  len || prev_hash )
//
// with every len and number as eight bytes, most significant first. The payload enters by its hash,
// so that pruning can drop it and the chain still verifies.
#ifndef LEDGER_RECORD_H
#define LEDGER_RECORD_H

#include "ledger/db.h"
#include "ledger/sha256.h"

enum {
    RECORD_VERSION = 1,            // of every payload so far
    RECORD_PAYLOAD_MAX = 32 << 20, // bytes; what can be longer is split by its maker
};

#define LEDGER_CHAIN SLICE("ledger")

#define RECORD_RUN_BEGIN    SLICE("run.begin")
#define RECORD_RUN_SERIES   SLICE("run.series")
#define RECORD_RUN_INTERVAL SLICE("run.interval")
#define RECORD_RUN_EVENT    SLICE("run.event")
#define RECORD_RUN_ARTIFACT SLICE("run.artifact")
#define RECORD_RUN_END      SLICE("run.end")
// In the ledger's chain:
#define RECORD_SEALED      SLICE("run.sealed")
#define RECORD_ATTACHED    SLICE("run.attached")
#define RECORD_PRUNED      SLICE("run.pruned")
#define RECORD_PIN         SLICE("baseline.pin")
#define RECORD_UNPIN       SLICE("baseline.unpin")
#define RECORD_OBSERVATION SLICE("observation")

typedef struct Record {
    int64_t seq;
    Slice chain;
    int64_t run_seq; // from 1
    Slice kind;
    int64_t version;
    Slice payload; // ptr NULL when pruned
    Sha256 payload_sha256;
    Sha256 prev_hash;
    Sha256 hash;
} Record;

// The end of a chain: what the next record is hashed onto. A new chain has run_seq 0 and zeros.
typedef struct ChainHead {
    int64_t run_seq;
    Sha256 hash;
} ChainHead;

Sha256 record_hash(const Record *record);

MUST_USE int chain_head(Db *db, Slice chain, ChainHead *ret_head, Err *e);

// Appends one record after *head, moves the head, and updates the projections. Inside a write
// transaction; after an error roll back, and forget the moved head.
MUST_USE int record_append(Db *db, Slice chain, ChainHead *head, Slice kind, Slice payload, Err *e);
// The same onto the ledger's own chain, whose head is read in the same transaction: that is what
// lets several processes write.
MUST_USE int record_append_ledger(Db *db, Slice kind, Slice payload, Err *e);

// Inserts a record whose hashes are set already (an import), and updates the projections.
MUST_USE int record_insert(Db *db, const Record *record, Err *e);

// Walks a chain in order. The record borrows from the statement until the next step.
#define RECORD_COLUMNS                                                                             \
    "seq, run_id, run_seq, kind, version, payload, payload_sha256, prev_hash, hash"
MUST_USE int record_chain(Db *db, Slice chain, Stmt **ret_stmt, Err *e);
// 1 and a record, 0 at the end; ERR_CORRUPT for a row that cannot be a record.
MUST_USE int record_next(Stmt *s, Record *ret_record, Err *e);

#endif
