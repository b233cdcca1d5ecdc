#include "ledger/ledger.h"

#include <limits.h>
#include <unistd.h>

#include "ledger/ledger_impl.h"
#include "ledger/run_end.h"
#include "ledger/schema.h"
#include "os/clock.h"
#include "os/file.h"

enum { BUSY_TIMEOUT_S = 5, PAGE_BYTES = 4096 };

static int make_parent(const char *path, Err *e)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path) {
        return 0;
    }
    Buf parent = buf_create(PATH_MAX);
    buf_append(&parent, (Slice){path, (size_t)(slash - path)});
    int rc = buf_check(&parent, "the ledger's path", e);
    if (rc == 0) {
        rc = dir_make_all(parent.data, e);
    }
    buf_done(&parent);
    return rc;
}

static int set_ceiling(Db *db, int64_t max_bytes, Err *e)
{
    char sql[64];
    (void)snprintf(sql, sizeof sql, "PRAGMA max_page_count = %lld",
                   (long long)(max_bytes / PAGE_BYTES));
    return max_bytes > 0 ? db_exec(db, sql, e) : 0;
}

int ledger_connect(const Ledger *ledger, Db **ret_db, Err *e)
{
    const LedgerOptions *o = &ledger->options;
    Db *db;
    int rc = db_open(ledger->path,
                     o->read_only    ? DB_READ
                     : o->must_exist ? DB_WRITE
                                     : DB_CREATE,
                     &db, e);
    if (rc != 0) {
        return rc;
    }
    db_set_busy_timeout(db, o->busy_timeout_ns);
    if (!o->read_only) {
        rc = db_enter_wal(db, o->busy_timeout_ns, e);
        // NORMAL: the log is synced at checkpoints, not at every commit, which took up to 430 ms.
        // A killed process loses nothing, a power failure perhaps the last commits; the file stays
        // whole either way, and a run's chain then ends earlier.
        if (rc == 0) {
            rc = db_exec(db, "PRAGMA synchronous = NORMAL", e);
        }
    }
    if (rc == 0) {
        rc = schema_ensure(db, o->read_only, e);
    }
    if (rc == 0) {
        rc = set_ceiling(db, o->max_bytes, e);
    }
    if (rc != 0) {
        db_close(db);
        return rc;
    }
    *ret_db = db;
    return 0;
}

static int check_file(const Ledger *ledger, Err *e)
{
    const LedgerOptions *o = &ledger->options;
    if (access(ledger->path, F_OK) == 0) {
        return 0;
    }
    if (o->must_exist || o->read_only) {
        return err_set(e, ERR_NOT_FOUND, "there is no ledger '%s' yet: a run makes one",
                       ledger->path);
    }
    return make_parent(ledger->path, e);
}

int ledger_open(const LedgerOptions *options, Ledger **ret_ledger, Err *e)
{
    Ledger *ledger = mem_zalloc(sizeof *ledger);
    ledger->options = options ? *options : (LedgerOptions){0};
    if (ledger->options.busy_timeout_ns == 0) {
        ledger->options.busy_timeout_ns = BUSY_TIMEOUT_S * NS_PER_S;
    }
    Buf path = buf_create(PATH_MAX);
    int rc = 0;
    if (ledger->options.path) {
        buf_puts(&path, ledger->options.path);
    } else {
        rc = user_file(USER_DATA, "PERFWRIGHT_LEDGER", "perfwright/ledger.db", &path, e);
    }
    if (rc == 0) {
        rc = buf_check(&path, "the ledger's path", e);
    }
    if (rc == 0 && path.len == 0) {
        rc = err_set(e, ERR_ARG, "the ledger's path is empty");
    }
    if (rc == 0) {
        ledger->path = memcpy(mem_alloc(path.len + 1), path.data, path.len + 1);
        ledger->options.path = ledger->path;
        rc = check_file(ledger, e);
    }
    buf_done(&path);
    if (rc == 0 && (rc = ledger_connect(ledger, &ledger->db, e)) != 0) {
        (void)err_wrap(e, "ledger '%s'", ledger->path);
    }
    if (rc == 0 && !ledger->options.read_only) {
        rc = run_recover_all(ledger, e);
    }
    if (rc != 0) {
        ledger_close(ledger);
        return rc;
    }
    *ret_ledger = ledger;
    return 0;
}

void ledger_close(Ledger *ledger)
{
    if (ledger) {
        db_close(ledger->db);
        free(ledger->path);
        free(ledger);
    }
}

const char *ledger_path(const Ledger *ledger)
{
    return ledger->path;
}

int ledger_expect_writable(const Ledger *ledger, Err *e)
{
    return ledger->options.read_only
               ? err_set(e, ERR_REFUSED, "the ledger '%s' was opened for reading", ledger->path)
               : 0;
}
