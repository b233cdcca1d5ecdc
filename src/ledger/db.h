// Db: one SQLite connection, and the only file that knows SQLite's C interface.
//
//     Stmt *s;
//     if ((rc = db_prepare(db, "SELECT name FROM run WHERE run_id = ?1", &s, e)) != 0) ...
//     stmt_text(s, 1, id);
//     while ((rc = stmt_row(s, e)) > 0) { ... stmt_get_text(s, 0) ... }
//     stmt_done(s);
//
// Statements are kept by the address of their text, which is therefore a literal. A statement that
// is not done keeps its read transaction open. A Db belongs to one thread at a time.
#ifndef LEDGER_DB_H
#define LEDGER_DB_H

#include "base/err.h"
#include "base/slice.h"

typedef struct Db Db;
typedef struct Stmt Stmt;

typedef enum DbMode { DB_READ, DB_WRITE, DB_CREATE } DbMode;

// ERR_IO, also when the file is missing and mode is not DB_CREATE; ERR_CORRUPT.
MUST_USE int db_open(const char *path, DbMode mode, Db **ret_db, Err *e);
void db_close(Db *db); // NULL is fine; every statement is done
// How long a write of another connection is waited for before ERR_BUSY.
void db_set_busy_timeout(Db *db, int64_t ns);

// Readers and one writer at a time, not waiting for each other. Turning it on needs the file for
// itself for a moment, and SQLite does not wait for that: two processes that create one ledger
// together meet here, and `busy_ns` is how long this one tries.
MUST_USE int db_enter_wal(Db *db, int64_t busy_ns, Err *e);

// SQLite's answers as ours: ERR_FULL (disk full), ERR_BUSY, ERR_CORRUPT, ERR_EXISTS (a unique key
// is there), ERR_IO (everything the file system refuses, a read-only file included).
MUST_USE int db_exec(Db *db, const char *sql, Err *e);
MUST_USE int db_begin_write(Db *db, Err *e); // takes the write lock now, not at the first write
MUST_USE int db_commit(Db *db, Err *e);
void db_rollback(Db *db);                   // fine without a transaction
void db_end(Db *db, int rc);                // rolls back when rc is not 0 and a transaction is open
MUST_USE int db_begin_read(Db *db, Err *e); // one snapshot until db_rollback

MUST_USE int db_prepare(Db *db, const char *sql, Stmt **ret_stmt, Err *e);
// Parameters count from 1 and are borrowed until stmt_done; columns count from 0 and live until the
// next row.
void stmt_int(Stmt *s, int at, int64_t value);
void stmt_real(Stmt *s, int at, double value); // NaN is NULL
void stmt_text(Stmt *s, int at, Slice value);
void stmt_blob(Stmt *s, int at, Slice value);
void stmt_null(Stmt *s, int at);
MUST_USE int stmt_row(Stmt *s, Err *e); // 1: a row, 0: no more, negative: an error
MUST_USE int stmt_run(Stmt *s, Err *e); // to the end, then stmt_done
void stmt_done(Stmt *s);                // NULL is fine
int64_t stmt_get_int(Stmt *s, int at);
double stmt_get_real(Stmt *s, int at); // NULL is NaN
Slice stmt_get_text(Stmt *s, int at);
Slice stmt_get_blob(Stmt *s, int at);
bool stmt_is_null(Stmt *s, int at);

// The first column of the first row, or `otherwise` when there is no row.
MUST_USE int db_get_int(Db *db, const char *sql, int64_t otherwise, int64_t *ret_value, Err *e);

#endif
