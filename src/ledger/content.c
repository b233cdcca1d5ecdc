#include "ledger/content.h"

int content_store(Db *db, Slice sha256_hex, Slice bytes, Err *e)
{
    Stmt *s;
    // The bytes may have been pruned and come back.
    int rc = db_prepare(db,
                        "INSERT INTO content(sha256, bytes) VALUES(?1, ?2)"
                        " ON CONFLICT(sha256) DO UPDATE SET bytes = ?2 WHERE bytes IS NULL",
                        &s, e);
    if (rc != 0) {
        return rc;
    }
    stmt_text(s, 1, sha256_hex);
    stmt_blob(s, 2, bytes);
    return stmt_run(s, e);
}
