#include "ledger/artifact.h"

#include "ledger/ledger_impl.h"
#include "ledger/payload.h"
#include "ledger/record.h"

enum { ARTIFACT_ARENA_BYTES = 64 << 10 };

int content_store(Db *db, Slice hex, Slice bytes, Err *e)
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
    stmt_text(s, 1, hex);
    stmt_blob(s, 2, bytes);
    return stmt_run(s, e);
}

int artifact_attach(Db *db, Slice run_id, Slice name, Slice media_type, Slice bytes, Err *e)
{
    char hex[SHA256_HEX + 1];
    Sha256 hash = sha256_of(bytes);
    sha256_hex(&hash, hex);
    int rc = content_store(db, (Slice){hex, SHA256_HEX}, bytes, e);
    if (rc != 0) {
        return rc;
    }
    Buf payload = buf_create(RECORD_PAYLOAD_MAX);
    payload_write_artifact(&payload, &(ArtifactPayload){.run_id = run_id,
                                                        .name = name,
                                                        .media_type = media_type,
                                                        .sha256 = {hex, SHA256_HEX},
                                                        .bytes = (int64_t)bytes.len});
    rc = record_append_ledger(db, RECORD_ATTACHED, buf_slice(&payload), e);
    buf_done(&payload);
    return rc;
}

int run_attach(Ledger *ledger, Slice selector, Slice name, Slice media_type, Slice bytes, Err *e)
{
    char id[RUN_ID_LEN + 1];
    if (bytes.len > RUN_ARTIFACT_BYTES_MAX) {
        return err_set(e, ERR_LIMIT, "'%.*s' has %zu bytes, an artifact holds at most %d",
                       SLICE_FMT(name), bytes.len, RUN_ARTIFACT_BYTES_MAX);
    }
    int rc = ledger_expect_writable(ledger, e);
    if (rc != 0 || (rc = run_resolve(ledger, selector, id, e)) != 0 ||
        (rc = db_begin_write(ledger->db, e)) != 0) {
        return rc;
    }
    rc = artifact_attach(ledger->db, (Slice){id, RUN_ID_LEN}, name, media_type, bytes, e);
    if (rc == 0) {
        rc = db_commit(ledger->db, e);
    }
    db_end(ledger->db, rc);
    return rc;
}

int run_artifacts(Ledger *ledger, Slice selector, Arena *arena, RunArtifact **ret_items,
                  size_t *ret_count, Err *e)
{
    char id[RUN_ID_LEN + 1];
    Stmt *s;
    int rc = run_resolve(ledger, selector, id, e);
    if (rc != 0 || (rc = db_prepare(ledger->db,
                                    "SELECT name, media_type, sha256, bytes FROM artifact"
                                    " WHERE run_id = ?1 ORDER BY name",
                                    &s, e)) != 0) {
        return rc;
    }
    stmt_text(s, 1, (Slice){id, RUN_ID_LEN});
    RunArtifact *items = NULL;
    size_t count = 0;
    while ((rc = stmt_row(s, e)) > 0) {
        Slice name = stmt_get_text(s, 0), media_type = stmt_get_text(s, 1);
        if (arena_left(arena) < name.len + media_type.len + ARTIFACT_ARENA_BYTES) {
            rc = err_set(e, ERR_LIMIT, "the list of artifacts does not fit into memory");
            break;
        }
        items = mem_realloc(items, (count + 1) * sizeof *items);
        items[count++] = (RunArtifact){arena_copy(arena, name), arena_copy(arena, media_type),
                                       arena_copy(arena, stmt_get_text(s, 2)), stmt_get_int(s, 3)};
    }
    stmt_done(s);
    if (rc == 0 && arena_left(arena) < count * sizeof *items + ARTIFACT_ARENA_BYTES) {
        rc = err_set(e, ERR_LIMIT, "the list of artifacts does not fit into memory");
    }
    if (rc == 0) {
        *ret_items = ARENA_ARRAY(arena, RunArtifact, count ? count : 1);
        for (size_t i = 0; i < count; i++) {
            (*ret_items)[i] = items[i];
        }
        *ret_count = count;
    }
    free(items);
    return rc;
}

static int check_bytes(Stmt *s, Buf *out, Slice name, Err *e)
{
    if (stmt_is_null(s, 0)) {
        return err_set(e, ERR_NOT_FOUND, "the bytes of '%.*s' were pruned", SLICE_FMT(name));
    }
    Slice bytes = stmt_get_blob(s, 0);
    char hex[SHA256_HEX + 1];
    Sha256 hash = sha256_of(bytes);
    sha256_hex(&hash, hex);
    if (!slice_eq_cstr(stmt_get_text(s, 1), hex)) {
        return err_set(e, ERR_CORRUPT, "the bytes of '%.*s' were changed", SLICE_FMT(name));
    }
    buf_append(out, bytes);
    return buf_check(out, "an artifact", e);
}

int run_artifact_read(Ledger *ledger, Slice selector, Slice name, Buf *out, Err *e)
{
    char id[RUN_ID_LEN + 1];
    Stmt *s;
    int rc = run_resolve(ledger, selector, id, e);
    if (rc != 0 || (rc = db_prepare(ledger->db,
                                    "SELECT c.bytes, a.sha256 FROM artifact a LEFT JOIN content c"
                                    " ON c.sha256 = a.sha256 WHERE a.run_id = ?1 AND a.name = ?2",
                                    &s, e)) != 0) {
        return rc;
    }
    stmt_text(s, 1, (Slice){id, RUN_ID_LEN});
    stmt_text(s, 2, name);
    rc = stmt_row(s, e);
    if (rc == 0) {
        rc = err_set(e, ERR_NOT_FOUND, "run %s has no artifact '%.*s'", id, SLICE_FMT(name));
    } else if (rc > 0) {
        rc = check_bytes(s, out, name, e);
    }
    stmt_done(s);
    return rc;
}
