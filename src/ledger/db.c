#include "ledger/db.h"

#include <limits.h>
#include <math.h>
#include <sqlite3.h>

enum { CACHE_MAX = 64, MS_NS = 1000000, WAL_RETRY_MS = 10 };

struct Stmt {
    sqlite3_stmt *raw;
    Db *db;
    const char *sql; // the literal it was made from
    bool busy;       // between db_prepare and stmt_done
    bool kept;
};

struct Db {
    sqlite3 *raw;
    Stmt cache[CACHE_MAX];
    size_t cached;
    char *path;
};

static int db_error(const Db *db, Err *e, const char *doing)
{
    int primary = sqlite3_errcode(db->raw) & 0xff;
    ErrCode code = primary == SQLITE_FULL                                  ? ERR_FULL
                   : primary == SQLITE_BUSY || primary == SQLITE_LOCKED    ? ERR_BUSY
                   : primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB ? ERR_CORRUPT
                   : primary == SQLITE_CONSTRAINT                          ? ERR_EXISTS
                   : primary == SQLITE_TOOBIG                              ? ERR_LIMIT
                                                                           : ERR_IO;
    if (primary == SQLITE_NOMEM) {
        die("out of memory in SQLite");
    }
    return err_set(e, code, "%s ledger '%s': %s", doing, db->path, sqlite3_errmsg(db->raw));
}

int db_open(const char *path, DbMode mode, Db **ret_db, Err *e)
{
    int flags = mode == DB_READ    ? SQLITE_OPEN_READONLY
                : mode == DB_WRITE ? SQLITE_OPEN_READWRITE
                                   : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    Db *db = mem_zalloc(sizeof *db);
    size_t path_bytes = strlen(path) + 1;
    db->path = memcpy(mem_alloc(path_bytes), path, path_bytes);
    // NOMUTEX: a Db belongs to one thread at a time.
    int answer = sqlite3_open_v2(path, &db->raw, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (answer == SQLITE_OK) {
        (void)sqlite3_extended_result_codes(db->raw, 1);
        *ret_db = db;
        return 0;
    }
    if (!db->raw) {
        die("out of memory in SQLite");
    }
    int rc = db_error(db, e, "cannot open");
    db_close(db);
    return rc;
}

void db_close(Db *db)
{
    if (!db) {
        return;
    }
    for (size_t i = 0; i < db->cached; i++) {
        (void)sqlite3_finalize(db->cache[i].raw);
    }
    if (sqlite3_close(db->raw) != SQLITE_OK) {
        die("a ledger is closed with a statement in use");
    }
    free(db->path);
    free(db);
}

void db_set_busy_timeout(Db *db, int64_t ns)
{
    int64_t ms = ns / MS_NS;
    (void)sqlite3_busy_timeout(db->raw, ms > INT_MAX ? INT_MAX : (int)ms);
}

int db_enter_wal(Db *db, int64_t busy_ns, Err *e)
{
    for (int64_t waited = 0;; waited += WAL_RETRY_MS * MS_NS) {
        int rc = db_exec(db, "PRAGMA journal_mode = WAL", e);
        if (rc != ERR_BUSY || waited >= busy_ns) {
            return rc;
        }
        (void)sqlite3_sleep(WAL_RETRY_MS);
    }
}

int db_exec(Db *db, const char *sql, Err *e)
{
    return sqlite3_exec(db->raw, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_error(db, e, "using");
}

int db_begin_write(Db *db, Err *e)
{
    return sqlite3_exec(db->raw, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : db_error(db, e, "cannot write to");
}

int db_begin_read(Db *db, Err *e)
{
    return db_exec(db, "BEGIN", e);
}

int db_commit(Db *db, Err *e)
{
    return sqlite3_exec(db->raw, "COMMIT", NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : db_error(db, e, "cannot write to");
}

void db_rollback(Db *db)
{
    if (!sqlite3_get_autocommit(db->raw)) {
        // Fails only where SQLite has rolled back by itself already.
        (void)sqlite3_exec(db->raw, "ROLLBACK", NULL, NULL, NULL);
    }
}

void db_end(Db *db, int rc)
{
    if (rc != 0) {
        db_rollback(db);
    }
}

// ---- statements

static Stmt *free_slot(Db *db, const char *sql)
{
    for (size_t i = 0; i < db->cached; i++) {
        if (db->cache[i].sql == sql && !db->cache[i].busy) {
            return &db->cache[i];
        }
    }
    if (db->cached == CACHE_MAX) {
        return NULL;
    }
    Stmt *s = &db->cache[db->cached++];
    *s = (Stmt){.db = db, .sql = sql, .kept = true};
    return s;
}

int db_prepare(Db *db, const char *sql, Stmt **ret_stmt, Err *e)
{
    Stmt *s = free_slot(db, sql);
    if (!s) {
        s = mem_zalloc(sizeof *s);
        *s = (Stmt){.db = db, .sql = sql};
    }
    if (!s->raw && sqlite3_prepare_v2(db->raw, sql, -1, &s->raw, NULL) != SQLITE_OK) {
        int rc = db_error(db, e, "using");
        if (!s->kept) {
            free(s);
        }
        return rc;
    }
    s->busy = true;
    *ret_stmt = s;
    return 0;
}

// Binding fails for want of memory or because the code and its SQL disagree.
static void bound(const Stmt *s, int answer)
{
    if (answer != SQLITE_OK) {
        die("ledger: cannot bind a value to \"%s\": %s", s->sql, sqlite3_errstr(answer));
    }
}

void stmt_int(Stmt *s, int at, int64_t value)
{
    bound(s, sqlite3_bind_int64(s->raw, at, value));
}

void stmt_real(Stmt *s, int at, double value)
{
    bound(s, sqlite3_bind_double(s->raw, at, value));
}

void stmt_text(Stmt *s, int at, Slice value)
{
    bound(s, sqlite3_bind_text64(s->raw, at, value.ptr ? value.ptr : "", value.len, SQLITE_STATIC,
                                 SQLITE_UTF8));
}

void stmt_blob(Stmt *s, int at, Slice value)
{
    bound(s, sqlite3_bind_blob64(s->raw, at, value.ptr ? value.ptr : "", value.len, SQLITE_STATIC));
}

void stmt_null(Stmt *s, int at)
{
    bound(s, sqlite3_bind_null(s->raw, at));
}

int stmt_row(Stmt *s, Err *e)
{
    int answer = sqlite3_step(s->raw);
    return answer == SQLITE_ROW ? 1 : answer == SQLITE_DONE ? 0 : db_error(s->db, e, "using");
}

int stmt_run(Stmt *s, Err *e)
{
    int rc;
    do {
        rc = stmt_row(s, e);
    } while (rc > 0);
    stmt_done(s);
    return rc;
}

void stmt_done(Stmt *s)
{
    if (!s) {
        return;
    }
    if (!s->kept) {
        (void)sqlite3_finalize(s->raw);
        free(s);
        return;
    }
    (void)sqlite3_reset(s->raw); // repeats the error of the last step, which was reported
    (void)sqlite3_clear_bindings(s->raw);
    s->busy = false;
}

int64_t stmt_get_int(Stmt *s, int at)
{
    return sqlite3_column_int64(s->raw, at);
}

double stmt_get_real(Stmt *s, int at)
{
    return stmt_is_null(s, at) ? (double)NAN : sqlite3_column_double(s->raw, at);
}

Slice stmt_get_text(Stmt *s, int at)
{
    const char *text = (const char *)sqlite3_column_text(s->raw, at);
    return (Slice){text, (size_t)sqlite3_column_bytes(s->raw, at)};
}

Slice stmt_get_blob(Stmt *s, int at)
{
    const char *bytes = sqlite3_column_blob(s->raw, at);
    return (Slice){bytes, (size_t)sqlite3_column_bytes(s->raw, at)};
}

bool stmt_is_null(Stmt *s, int at)
{
    return sqlite3_column_type(s->raw, at) == SQLITE_NULL;
}

int db_get_int(Db *db, const char *sql, int64_t otherwise, int64_t *ret_value, Err *e)
{
    Stmt *s;
    int rc = db_prepare(db, sql, &s, e);
    if (rc != 0) {
        return rc;
    }
    rc = stmt_row(s, e);
    if (rc >= 0) {
        *ret_value = rc > 0 ? stmt_get_int(s, 0) : otherwise;
        rc = 0;
    }
    stmt_done(s);
    return rc;
}
