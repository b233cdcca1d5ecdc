#include "ledger/observation.h"

#include "ledger/ledger_impl.h"
#include "ledger/record.h"

int observation_append(Ledger *ledger, Slice table, Err *e)
{
    int rc = ledger_expect_writable(ledger, e);
    if (rc == 0 && table.len > OBSERVATION_BYTES_MAX) {
        rc = err_set(e, ERR_LIMIT, "a table of %zu bytes, the limit of one record is %d", table.len,
                     OBSERVATION_BYTES_MAX);
    }
    if (rc != 0 || (rc = db_begin_write(ledger->db, e)) != 0) {
        return rc;
    }
    rc = record_append_ledger(ledger->db, RECORD_OBSERVATION, table, e);
    if (rc == 0) {
        rc = db_commit(ledger->db, e);
    }
    db_end(ledger->db, rc);
    return rc;
}

int observation_each(Ledger *ledger, ObservationFn *take, void *ctx, Err *e)
{
    Stmt *s;
    int rc = db_prepare(ledger->db,
                        "SELECT payload FROM record WHERE run_id = 'ledger'"
                        " AND kind = 'observation' ORDER BY run_seq",
                        &s, e);
    if (rc != 0) {
        return rc;
    }
    while ((rc = stmt_row(s, e)) > 0) {
        // A payload that was pruned leaves its hash only.
        rc = stmt_is_null(s, 0) ? 0 : take(ctx, stmt_get_blob(s, 0), e);
        if (rc != 0) {
            break;
        }
    }
    stmt_done(s);
    return rc;
}
