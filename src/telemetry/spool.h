// Spool: a bounded queue of batches on disk, for a receiver that is down. Batches come out in the
// order they went in, also after a crash or restart; what the receiver acknowledged does not come
// again, except for at most one batch when the machine dies between its answer and our note of it
// (receivers of metrics take an equal sample twice as one).
//
//     rc = spool_open("/var/lib/x/spool", SPOOL_BYTES, &spool, e);   // ERR_BUSY: another process
//     rc = spool_put(spool, batch, e);                               // durable when it returns
//     while (spool_next(spool, &batch) == 0) { ... send ...; rc = spool_done(spool, e); }
//     spool_close(spool);
//
// Blocks on the disk; for one thread.
#ifndef TELEMETRY_SPOOL_H
#define TELEMETRY_SPOOL_H

#include "base/buf.h"
#include "base/err.h"

typedef struct Spool Spool;

#define SPOOL_BYTES (INT64_C(256) << 20)

enum { SPOOL_VERSION = 1, SPOOL_SEGMENT_BYTES = 1 << 20, SPOOL_BATCH_BYTES_MAX = 16 << 20 };

typedef struct SpoolStats {
    int64_t waiting;       // batches put and not done
    int64_t waiting_bytes; // of their records
    int64_t corrupt;       // segments whose rest was unreadable when they were opened
} SpoolStats;

// ERR_BUSY while another process has it, ERR_VERSION, ERR_IO.
MUST_USE int spool_open(const char *directory, int64_t bytes_max, Spool **ret_spool, Err *e);
void spool_close(Spool *spool); // NULL is fine
// ERR_FULL past bytes_max or on a full disk, ERR_LIMIT past SPOOL_BATCH_BYTES_MAX, ERR_IO.
MUST_USE int spool_put(Spool *spool, Slice batch, Err *e);
// The oldest batch that is not done, borrowed until the next call. ERR_NOT_FOUND: none. A record
// that cannot be read is skipped with the rest of its segment, and counted.
MUST_USE int spool_next(Spool *spool, Slice *ret_batch);
// The batch of the last spool_next() is with the receiver, or refused for good.
MUST_USE int spool_done(Spool *spool, Err *e);
SpoolStats spool_stats(const Spool *spool);

// One record at the start of `bytes`; its length, or 0 when there is no whole valid one. For the
// fuzz target.
size_t spool_read_record(Slice bytes, uint64_t *ret_sequence, Slice *ret_batch);

#endif
