#include "ledger/schema.h"

// STRICT: SQLite then refuses a value of another type instead of storing it, so that a projection
// cannot differ from what its column says.
//
// `seq` is the place in this file and not part of a record's hash: a run that is exported and
// imported elsewhere keeps its chain.
static const char LOG_TABLES[] = "CREATE TABLE record("
                                 "  seq INTEGER PRIMARY KEY AUTOINCREMENT,"
                                 "  run_id TEXT NOT NULL,"
                                 "  run_seq INTEGER NOT NULL,"
                                 "  kind TEXT NOT NULL,"
                                 "  version INTEGER NOT NULL,"
                                 "  payload BLOB,"
                                 "  payload_sha256 BLOB NOT NULL,"
                                 "  prev_hash BLOB NOT NULL,"
                                 "  hash BLOB NOT NULL,"
                                 "  UNIQUE(run_id, run_seq)) STRICT;"
                                 "CREATE TABLE content("
                                 "  sha256 TEXT PRIMARY KEY,"
                                 "  bytes BLOB) STRICT;";

static const char PROJECTION_TABLES[] = "CREATE TABLE run("
                                        "  run_id TEXT PRIMARY KEY,"
                                        "  kind TEXT NOT NULL,"
                                        "  name TEXT NOT NULL,"
                                        "  target TEXT NOT NULL,"
                                        "  run_group TEXT NOT NULL,"
                                        "  plan_sha256 TEXT NOT NULL,"
                                        "  seed TEXT NOT NULL,"
                                        "  load_scale REAL NOT NULL,"
                                        "  started_unix_ns INTEGER NOT NULL,"
                                        "  interval_ns INTEGER NOT NULL,"
                                        "  status INTEGER NOT NULL,"
                                        "  reason TEXT NOT NULL,"
                                        "  duration_ns INTEGER NOT NULL,"
                                        "  requests INTEGER NOT NULL,"
                                        "  seal_hash TEXT NOT NULL,"
                                        "  pruned INTEGER NOT NULL) STRICT;"
                                        "CREATE INDEX run_started ON run(started_unix_ns);"
                                        "CREATE INDEX run_group ON run(run_group);"
                                        "CREATE TABLE run_label("
                                        "  run_id TEXT NOT NULL,"
                                        "  key TEXT NOT NULL,"
                                        "  value TEXT NOT NULL,"
                                        "  PRIMARY KEY(run_id, key)) STRICT, WITHOUT ROWID;"
                                        "CREATE INDEX run_label_value ON run_label(key, value);"
                                        "CREATE TABLE series("
                                        "  run_id TEXT NOT NULL,"
                                        "  series INTEGER NOT NULL,"
                                        "  metric TEXT NOT NULL,"
                                        "  kind TEXT NOT NULL,"
                                        "  unit INTEGER NOT NULL,"
                                        "  labels TEXT NOT NULL,"
                                        "  PRIMARY KEY(run_id, series)) STRICT, WITHOUT ROWID;"
                                        "CREATE TABLE aggregate("
                                        "  run_id TEXT NOT NULL,"
                                        "  series INTEGER NOT NULL,"
                                        "  count INTEGER NOT NULL,"
                                        "  trues INTEGER NOT NULL,"
                                        "  last REAL,"
                                        "  min REAL,"
                                        "  max REAL,"
                                        "  hist BLOB,"
                                        "  PRIMARY KEY(run_id, series)) STRICT, WITHOUT ROWID;"
                                        "CREATE TABLE artifact("
                                        "  run_id TEXT NOT NULL,"
                                        "  name TEXT NOT NULL,"
                                        "  media_type TEXT NOT NULL,"
                                        "  sha256 TEXT NOT NULL,"
                                        "  bytes INTEGER NOT NULL,"
                                        "  PRIMARY KEY(run_id, name)) STRICT, WITHOUT ROWID;"
                                        "CREATE TABLE baseline("
                                        "  name TEXT NOT NULL,"
                                        "  position INTEGER NOT NULL,"
                                        "  run_id TEXT NOT NULL,"
                                        "  pinned_unix_ns INTEGER NOT NULL,"
                                        "  note TEXT NOT NULL,"
                                        "  PRIMARY KEY(name, position)) STRICT, WITHOUT ROWID;";

// Younger than the first ledgers, which get them when they are opened: no record of an older
// program is for these tables, so empty ones are right. `temp`: "TEMP " where the file must not be
// written.
#define PROPOSAL_TABLES(temp)                                                                      \
    "CREATE " temp "TABLE proposal("                                                               \
    "  proposal_id TEXT PRIMARY KEY,"                                                              \
    "  run_seq INTEGER NOT NULL,"                                                                  \
    "  kind INTEGER NOT NULL,"                                                                     \
    "  state INTEGER NOT NULL,"                                                                    \
    "  target TEXT NOT NULL,"                                                                      \
    "  title TEXT NOT NULL,"                                                                       \
    "  author TEXT NOT NULL,"                                                                      \
    "  reason TEXT NOT NULL,"                                                                      \
    "  parent TEXT NOT NULL,"                                                                      \
    "  content TEXT NOT NULL,"                                                                     \
    "  created_unix_ns INTEGER NOT NULL,"                                                          \
    "  updated_unix_ns INTEGER NOT NULL,"                                                          \
    "  expires_unix_ns INTEGER NOT NULL,"                                                          \
    "  predicted TEXT NOT NULL,"                                                                   \
    "  observed TEXT NOT NULL) STRICT;"                                                            \
    "CREATE " temp "TABLE proposal_step("                                                          \
    "  proposal_id TEXT NOT NULL,"                                                                 \
    "  run_seq INTEGER NOT NULL,"                                                                  \
    "  PRIMARY KEY(proposal_id, run_seq)) STRICT, WITHOUT ROWID;"                                  \
    "CREATE " temp "TABLE proposal_evidence("                                                      \
    "  proposal_id TEXT NOT NULL,"                                                                 \
    "  reference TEXT NOT NULL,"                                                                   \
    "  PRIMARY KEY(proposal_id, reference)) STRICT, WITHOUT ROWID;"

static const char DROP_PROJECTIONS[] =
    "DROP TABLE IF EXISTS run; DROP TABLE IF EXISTS run_label; DROP TABLE IF EXISTS series;"
    "DROP TABLE IF EXISTS aggregate; DROP TABLE IF EXISTS artifact;"
    "DROP TABLE IF EXISTS baseline; DROP TABLE IF EXISTS proposal;"
    "DROP TABLE IF EXISTS proposal_step; DROP TABLE IF EXISTS proposal_evidence;";

static int check(Db *db, int64_t version, Err *e)
{
    int64_t application;
    int rc = db_get_int(db, "PRAGMA application_id", 0, &application, e);
    if (rc != 0) {
        return rc;
    }
    if (application != LEDGER_APPLICATION) {
        return err_set(e, ERR_CORRUPT, "the file is a database, but no ledger of this program");
    }
    if (version > LEDGER_VERSION) {
        return err_set(e, ERR_VERSION,
                       "the ledger has version %lld and this program knows versions up to %d: use "
                       "a newer program",
                       (long long)version, LEDGER_VERSION);
    }
    return 0;
}

static int is_empty(Db *db, bool *ret_empty, Err *e)
{
    int64_t tables;
    int rc = db_get_int(db, "SELECT count(*) FROM sqlite_schema", 0, &tables, e);
    *ret_empty = rc == 0 && tables == 0;
    return rc;
}

static int create(Db *db, Err *e)
{
    int rc = db_exec(db, LOG_TABLES, e);
    if (rc == 0) {
        rc = db_exec(db, PROJECTION_TABLES, e);
    }
    if (rc == 0) {
        rc = db_exec(db, PROPOSAL_TABLES(""), e);
    }
    if (rc == 0) {
        rc = db_exec(db, "PRAGMA application_id = 1347898439; PRAGMA user_version = 1", e);
    }
    return rc;
}

static int lacks_proposals(Db *db, bool *ret_lacks, Err *e)
{
    int64_t there;
    int rc = db_get_int(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'proposal_evidence'",
                        0, &there, e);
    *ret_lacks = rc == 0 && there == 0;
    return rc;
}

static int ensure_proposals(Db *db, bool read_only, Err *e)
{
    bool lacks = false;
    int rc = lacks_proposals(db, &lacks, e);
    if (rc != 0 || !lacks) {
        return rc;
    }
    if (read_only) {
        return db_exec(db, "PRAGMA temp_store = MEMORY;" PROPOSAL_TABLES("TEMP "), e);
    }
    if ((rc = db_begin_write(db, e)) != 0) {
        return rc;
    }
    rc = lacks_proposals(db, &lacks, e); // another process may have been faster
    if (rc == 0 && lacks) {
        rc = db_exec(db, PROPOSAL_TABLES(""), e);
    }
    rc = rc == 0 ? db_commit(db, e) : rc;
    db_end(db, rc);
    return rc;
}

int schema_ensure(Db *db, bool read_only, Err *e)
{
    int64_t version;
    bool empty = false;
    int rc = db_get_int(db, "PRAGMA user_version", 0, &version, e);
    if (rc == 0) {
        rc = is_empty(db, &empty, e);
    }
    if (rc != 0 || !empty) {
        rc = rc != 0 ? rc : check(db, version, e);
        return rc != 0 ? rc : ensure_proposals(db, read_only, e);
    }
    if (read_only) {
        return err_set(e, ERR_NOT_FOUND, "the ledger is empty");
    }
    // Another process may be doing the same: look again under the write lock.
    if ((rc = db_begin_write(db, e)) != 0) {
        return rc;
    }
    rc = is_empty(db, &empty, e);
    if (rc == 0 && empty) {
        rc = create(db, e);
    }
    if (rc == 0) {
        rc = db_commit(db, e);
    }
    db_end(db, rc);
    return rc;
}

int schema_clear_projections(Db *db, Err *e)
{
    int rc = db_exec(db, DROP_PROJECTIONS, e);
    rc = rc == 0 ? db_exec(db, PROJECTION_TABLES, e) : rc;
    return rc == 0 ? db_exec(db, PROPOSAL_TABLES(""), e) : rc;
}
