#include "ledger/record.h"

#include "ledger/projection.h"

static void put_u64(Buf *out, uint64_t value)
{
    char bytes[8];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (char)(value >> (56 - 8 * i));
    }
    buf_append(out, (Slice){bytes, sizeof bytes});
}

static void put_field(Buf *out, Slice field)
{
    put_u64(out, field.len);
    buf_append(out, field);
}

static void put_number(Buf *out, int64_t number)
{
    put_u64(out, 8);
    put_u64(out, (uint64_t)number);
}

Sha256 record_hash(const Record *r)
{
    Buf bytes = buf_create(RECORD_PAYLOAD_MAX);
    put_field(&bytes, SLICE("perfwright.record.1"));
    put_field(&bytes, r->chain);
    put_number(&bytes, r->run_seq);
    put_field(&bytes, r->kind);
    put_number(&bytes, r->version);
    put_field(&bytes, sha256_slice(&r->payload_sha256));
    put_field(&bytes, sha256_slice(&r->prev_hash));
    Sha256 hash = sha256_of(buf_slice(&bytes));
    buf_done(&bytes);
    return hash;
}

static int read_hash(Slice blob, Sha256 *ret)
{
    if (blob.len != SHA256_BYTES) {
        return ERR_CORRUPT;
    }
    memcpy(ret->bytes, blob.ptr, SHA256_BYTES);
    return 0;
}

int chain_head(Db *db, Slice chain, ChainHead *ret_head, Err *e)
{
    Stmt *s;
    int rc = db_prepare(db,
                        "SELECT run_seq, hash FROM record WHERE run_id = ?1 "
                        "ORDER BY run_seq DESC LIMIT 1",
                        &s, e);
    if (rc != 0) {
        return rc;
    }
    stmt_text(s, 1, chain);
    rc = stmt_row(s, e);
    ChainHead head = {0};
    if (rc > 0) {
        head.run_seq = stmt_get_int(s, 0);
        rc = read_hash(stmt_get_blob(s, 1), &head.hash);
        if (rc != 0) {
            (void)err_set(e, ERR_CORRUPT, "the last record of %.*s has no hash", SLICE_FMT(chain));
        }
    }
    stmt_done(s);
    if (rc == 0) {
        *ret_head = head;
    }
    return rc;
}

static int insert(Db *db, const Record *r, Err *e)
{
    Stmt *s;
    int rc = db_prepare(db,
                        "INSERT INTO record(run_id, run_seq, kind, version, payload, "
                        "payload_sha256, prev_hash, hash) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                        &s, e);
    if (rc != 0) {
        return rc;
    }
    stmt_text(s, 1, r->chain);
    stmt_int(s, 2, r->run_seq);
    stmt_text(s, 3, r->kind);
    stmt_int(s, 4, r->version);
    if (r->payload.ptr) {
        stmt_blob(s, 5, r->payload);
    } else {
        stmt_null(s, 5);
    }
    stmt_blob(s, 6, sha256_slice(&r->payload_sha256));
    stmt_blob(s, 7, sha256_slice(&r->prev_hash));
    stmt_blob(s, 8, sha256_slice(&r->hash));
    return stmt_run(s, e);
}

int record_insert(Db *db, const Record *r, Err *e)
{
    int rc = insert(db, r, e);
    return rc != 0 ? rc : projection_apply(db, r, e);
}

int record_append(Db *db, Slice chain, ChainHead *head, Slice kind, Slice payload, Err *e)
{
    if (payload.len > RECORD_PAYLOAD_MAX) {
        return err_set(e, ERR_LIMIT, "a %.*s record of %zu bytes, the limit is %d", SLICE_FMT(kind),
                       payload.len, RECORD_PAYLOAD_MAX);
    }
    Record r = {.chain = chain,
                .run_seq = head->run_seq + 1,
                .kind = kind,
                .version = RECORD_VERSION,
                .payload = payload,
                .payload_sha256 = sha256_of(payload),
                .prev_hash = head->hash};
    r.hash = record_hash(&r);
    int rc = record_insert(db, &r, e);
    if (rc == ERR_EXISTS) {
        // Only another writer of the same chain can have taken the place.
        return err_set(e, ERR_CONFLICT, "somebody else continued the records of %.*s",
                       SLICE_FMT(chain));
    }
    if (rc == 0) {
        *head = (ChainHead){r.run_seq, r.hash};
    }
    return rc;
}

int record_append_ledger(Db *db, Slice kind, Slice payload, Err *e)
{
    ChainHead head;
    int rc = chain_head(db, LEDGER_CHAIN, &head, e);
    return rc != 0 ? rc : record_append(db, LEDGER_CHAIN, &head, kind, payload, e);
}

int record_chain(Db *db, Slice chain, Stmt **ret_stmt, Err *e)
{
    int rc =
        db_prepare(db, "SELECT " RECORD_COLUMNS " FROM record WHERE run_id = ?1 ORDER BY run_seq",
                   ret_stmt, e);
    if (rc == 0) {
        stmt_text(*ret_stmt, 1, chain);
    }
    return rc;
}

int record_next(Stmt *s, Record *ret_record, Err *e)
{
    int rc = stmt_row(s, e);
    if (rc <= 0) {
        return rc;
    }
    Record r = {.seq = stmt_get_int(s, 0),
                .chain = stmt_get_text(s, 1),
                .run_seq = stmt_get_int(s, 2),
                .kind = stmt_get_text(s, 3),
                .version = stmt_get_int(s, 4)};
    if (!stmt_is_null(s, 5)) {
        r.payload = stmt_get_blob(s, 5);
        r.payload.ptr = r.payload.ptr ? r.payload.ptr : "";
    }
    if (read_hash(stmt_get_blob(s, 6), &r.payload_sha256) != 0 ||
        read_hash(stmt_get_blob(s, 7), &r.prev_hash) != 0 ||
        read_hash(stmt_get_blob(s, 8), &r.hash) != 0) {
        return err_set(e, ERR_CORRUPT, "record %lld has a hash of the wrong length",
                       (long long)r.seq);
    }
    *ret_record = r;
    return 1;
}
