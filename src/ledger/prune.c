#include "ledger/ledger_impl.h"
#include "ledger/payload.h"
#include "ledger/projection.h"
#include "ledger/proposal.h"
#include "os/clock.h"

enum { ARENA_BYTES_MAX = 256 << 20 };

int ledger_rebuild(Ledger *ledger, Err *e)
{
    int rc = ledger_expect_writable(ledger, e);
    if (rc != 0 || (rc = db_begin_write(ledger->db, e)) != 0) {
        return rc;
    }
    rc = projection_rebuild(ledger->db, e);
    if (rc == 0) {
        rc = db_commit(ledger->db, e);
    }
    db_end(ledger->db, rc);
    return rc;
}

static int find_prunable(Db *db, int64_t before_unix_ns, Arena *arena, Slice **ret_ids,
                         size_t *ret_count, Err *e)
{
    Stmt *s;
    size_t count = 0, max = (size_t)ARENA_BYTES_MAX / 4 / sizeof(Slice);
    Slice *ids = ARENA_ARRAY(arena, Slice, max);
    int rc = db_prepare(db,
                        "SELECT run_id FROM run WHERE started_unix_ns < ?1 AND pruned = 0"
                        " AND seal_hash <> '' AND run_id NOT IN (SELECT run_id FROM baseline)"
                        // What an open or kept proposal rests on must stay to be looked at.
                        " AND run_id NOT IN (SELECT reference FROM proposal_evidence e"
                        "  JOIN proposal p ON p.proposal_id = e.proposal_id WHERE p.state < ?2)",
                        &s, e);
    if (rc != 0) {
        return rc;
    }
    stmt_int(s, 1, before_unix_ns);
    stmt_int(s, 2, PROPOSAL_ROLLED_BACK); // the first of the states in which it is over
    while (count < max && arena_left(arena) > 4096 && (rc = stmt_row(s, e)) > 0) {
        ids[count++] = arena_copy(arena, stmt_get_text(s, 0));
    }
    stmt_done(s);
    *ret_ids = ids;
    *ret_count = count;
    return rc < 0 ? rc : 0;
}

static int run_sql(Db *db, const char *sql, Slice id, Err *e)
{
    Stmt *s;
    int rc = db_prepare(db, sql, &s, e);
    if (rc == 0) {
        stmt_text(s, 1, id);
        rc = stmt_run(s, e);
    }
    return rc;
}

static int prune_run(Db *db, Slice id, Err *e)
{
    int rc = db_begin_write(db, e);
    if (rc != 0) {
        return rc;
    }
    Buf payload = buf_create(RECORD_PAYLOAD_MAX);
    payload_write_pin(
        &payload,
        &(PinPayload){.run_ids = &id, .run_count = 1, .at_unix_ns = clock_wall(clock_real())});
    rc = record_append_ledger(db, RECORD_PRUNED, buf_slice(&payload), e);
    buf_done(&payload);
    if (rc == 0) {
        rc = run_sql(db,
                     "UPDATE record SET payload = NULL WHERE run_id = ?1 AND kind = 'run.interval'",
                     id, e);
    }
    if (rc == 0) {
        // Bytes that a run still in full has as well stay.
        rc = run_sql(db,
                     "UPDATE content SET bytes = NULL WHERE sha256 IN"
                     " (SELECT sha256 FROM artifact WHERE run_id = ?1) AND sha256 NOT IN"
                     " (SELECT a.sha256 FROM artifact a JOIN run r ON r.run_id = a.run_id"
                     "  WHERE r.pruned = 0)",
                     id, e);
    }
    if (rc == 0) {
        rc = db_commit(db, e);
    }
    db_end(db, rc);
    return rc;
}

int ledger_prune(Ledger *ledger, const PruneOptions *options, int64_t *ret_runs, Err *e)
{
    int rc = options->dry_run ? 0 : ledger_expect_writable(ledger, e);
    if (rc != 0) {
        return rc;
    }
    Arena *arena = arena_create(ARENA_BYTES_MAX);
    Slice *ids;
    size_t count = 0;
    rc = find_prunable(ledger->db, options->before_unix_ns, arena, &ids, &count, e);
    // A transaction a run: an interrupted pruning leaves nothing half done, and other writers get
    // their turn.
    for (size_t i = 0; rc == 0 && i < count && !options->dry_run; i++) {
        rc = prune_run(ledger->db, ids[i], e);
    }
    arena_destroy(arena);
    if (rc == 0) {
        *ret_runs = (int64_t)count;
    }
    return rc;
}
