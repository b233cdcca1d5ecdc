#include "ledger/run_end.h"

#include "base/log.h"
#include "ledger/liveness.h"
#include "ledger/totals.h"

enum { ARENA_BYTES_MAX = 512 << 20, RUNS_MAX = 10000 };

int run_end_append(Db *db, Slice run_id, ChainHead *head, Slice payload, Err *e)
{
    int rc = record_append(db, run_id, head, RECORD_RUN_END, payload, e);
    if (rc != 0) {
        return rc;
    }
    char hex[SHA256_HEX + 1];
    sha256_hex(&head->hash, hex);
    Buf seal = buf_create(RECORD_PAYLOAD_MAX);
    payload_write_seal(
        &seal,
        &(SealPayload){.run_id = run_id, .head = {hex, SHA256_HEX}, .records = head->run_seq});
    rc = record_append_ledger(db, RECORD_SEALED, buf_slice(&seal), e);
    buf_done(&seal);
    return rc;
}

// ---- runs whose process died

typedef struct Remains {
    Totals totals;
    int64_t interval_ns;
    int64_t intervals; // highest index + 1
} Remains;

static int gather_record(Remains *remains, const Record *r, Arena *arena, Err *e)
{
    int rc = 0;
    if (slice_eq(r->kind, RECORD_RUN_BEGIN)) {
        RunInfo info;
        rc = payload_read_begin(arena, r->payload, &info, e);
        remains->interval_ns = rc == 0 ? info.interval_ns : 0;
    } else if (slice_eq(r->kind, RECORD_RUN_SERIES)) {
        SeriesInfo series;
        if ((rc = payload_read_series(arena, r->payload, &series, e)) == 0) {
            totals_declare(&remains->totals, series.id, series.kind);
        }
    } else if (slice_eq(r->kind, RECORD_RUN_INTERVAL)) {
        IntervalPayload interval;
        rc = payload_read_interval(arena, r->payload, &interval, e);
        for (size_t i = 0; rc == 0 && i < interval.count; i++) {
            rc = totals_add(&remains->totals, &interval.points[i], e);
        }
        if (rc == 0 && interval.index >= remains->intervals) {
            remains->intervals = interval.index + 1;
        }
    }
    return rc;
}

static int gather(Db *db, Slice run_id, Remains *remains, Err *e)
{
    Stmt *s;
    Record r;
    int rc = record_chain(db, run_id, &s, e);
    if (rc != 0) {
        return rc;
    }
    Arena *arena = arena_create(ARENA_BYTES_MAX);
    while ((rc = record_next(s, &r, e)) > 0) {
        arena_reset(arena);
        if ((rc = gather_record(remains, &r, arena, e)) != 0) {
            break;
        }
    }
    arena_destroy(arena);
    stmt_done(s);
    return rc;
}

static int end_dead(Db *db, Slice run_id, Err *e)
{
    Remains remains = {0};
    ChainHead head;
    int rc = gather(db, run_id, &remains, e);
    if (rc == 0) {
        rc = chain_head(db, run_id, &head, e);
    }
    if (rc == 0) {
        Arena *arena = arena_create(ARENA_BYTES_MAX);
        Buf payload = buf_create(RECORD_PAYLOAD_MAX);
        EndPayload end = {.end = {.status = RUN_PARTIAL,
                                  .reason = SLICE("the process ended without closing the run")}};
        // Intervals and their length come from a file: hold the product instead of trusting it.
        if (__builtin_mul_overflow(remains.intervals, remains.interval_ns, &end.end.duration_ns)) {
            end.end.duration_ns = INT64_MAX;
        }
        totals_pack(&remains.totals, arena, &end.totals, &end.total_count);
        payload_write_end(&payload, &end);
        rc = buf_check(&payload, "the end of a run", e);
        if (rc == 0) {
            rc = run_end_append(db, run_id, &head, buf_slice(&payload), e);
        }
        buf_done(&payload);
        arena_destroy(arena);
    }
    totals_done(&remains.totals);
    return rc;
}

static int recover(Ledger *ledger, Slice run_id, Err *e)
{
    Db *db = ledger->db;
    int rc = db_begin_write(db, e);
    if (rc != 0) {
        return rc;
    }
    // Another process may have been faster; under the write lock the answer stands.
    Stmt *s;
    bool still = false;
    if ((rc = db_prepare(db, "SELECT 1 FROM run WHERE run_id = ?1 AND status = 0", &s, e)) == 0) {
        stmt_text(s, 1, run_id);
        rc = stmt_row(s, e);
        still = rc > 0;
        rc = rc > 0 ? 0 : rc;
        stmt_done(s);
    }
    if (rc == 0 && still && (rc = end_dead(db, run_id, e)) != 0) {
        (void)err_wrap(e, "run %.*s", SLICE_FMT(run_id));
    }
    if (rc == 0) {
        rc = db_commit(db, e);
    }
    db_end(db, rc);
    return rc;
}

int run_recover_all(Ledger *ledger, Err *e)
{
    Arena *arena = arena_create(ARENA_BYTES_MAX);
    Slice *ids = ARENA_ARRAY(arena, Slice, RUNS_MAX);
    size_t count = 0;
    Stmt *s;
    int rc = db_prepare(ledger->db, "SELECT run_id FROM run WHERE status = 0", &s, e);
    if (rc == 0) {
        while (count < RUNS_MAX && (rc = stmt_row(s, e)) > 0) {
            ids[count++] = arena_copy(arena, stmt_get_text(s, 0));
        }
        rc = rc > 0 ? 0 : rc;
        stmt_done(s);
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (liveness_held(ledger->path, ids[i])) {
            continue;
        }
        Err why = {0};
        int failed = recover(ledger, ids[i], &why);
        // A damaged run must not lock its owner out of the others: ledger_verify names it. A ledger
        // that cannot be written now is recovered by whoever can.
        if (failed != 0) {
            LOG(LOG_WARN, "a run without an end was left as it is", log_text("run", ids[i]),
                log_err(&why));
        } else {
            LOG(LOG_INFO, "marked a run partial whose process had ended", log_text("run", ids[i]));
        }
    }
    arena_destroy(arena);
    return rc;
}
