#include "ledger/projection.h"

#include "ledger/payload.h"
#include "ledger/proposal_impl.h"
#include "ledger/schema.h"

enum { ARENA_BYTES_MAX = 512 << 20 };

typedef int ApplyFn(Db *db, const Record *r, Arena *arena, Err *e);

static int apply_labels(Db *db, Slice run_id, Labels labels, Err *e)
{
    for (size_t i = 0; i < labels.count; i++) {
        Stmt *s;
        int rc =
            db_prepare(db, "INSERT INTO run_label(run_id, key, value) VALUES(?1, ?2, ?3)", &s, e);
        if (rc != 0) {
            return rc;
        }
        stmt_text(s, 1, run_id);
        stmt_text(s, 2, labels.items[i].key);
        stmt_text(s, 3, labels.items[i].value);
        if ((rc = stmt_run(s, e)) != 0) {
            return rc;
        }
    }
    return 0;
}

static int apply_begin(Db *db, const Record *r, Arena *arena, Err *e)
{
    RunInfo info;
    Stmt *s;
    int rc = payload_read_begin(arena, r->payload, &info, e);
    if (rc != 0) {
        return rc;
    }
    if (!slice_eq_cstr(r->chain, info.id)) {
        return err_set(e, ERR_CORRUPT, "the first record says it is of run %s", info.id);
    }
    rc = db_prepare(db,
                    "INSERT INTO run(run_id, kind, name, target, run_group, plan_sha256, seed,"
                    " load_scale, started_unix_ns, interval_ns, status, reason, duration_ns,"
                    " requests, seal_hash, pruned)"
                    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, '', 0, 0, '', 0)",
                    &s, e);
    if (rc != 0) {
        return rc;
    }
    stmt_text(s, 1, r->chain);
    stmt_text(s, 2, info.kind);
    stmt_text(s, 3, info.name);
    stmt_text(s, 4, info.target);
    stmt_text(s, 5, info.group);
    stmt_text(s, 6, info.plan_sha256);
    // Text, because SQLite's integers are signed.
    stmt_text(s, 7, arena_printf(arena, "%llu", (unsigned long long)info.seed));
    stmt_real(s, 8, info.load_scale);
    stmt_int(s, 9, info.started_unix_ns);
    stmt_int(s, 10, info.interval_ns);
    rc = stmt_run(s, e);
    return rc != 0 ? rc : apply_labels(db, r->chain, info.labels, e);
}

static int apply_series(Db *db, const Record *r, Arena *arena, Err *e)
{
    SeriesInfo info;
    Stmt *s;
    int rc = payload_read_series(arena, r->payload, &info, e);
    if (rc != 0 || (rc = db_prepare(db,
                                    "INSERT INTO series(run_id, series, metric, kind, unit, labels)"
                                    " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
                                    &s, e)) != 0) {
        return rc;
    }
    Buf labels = buf_create(RECORD_PAYLOAD_MAX);
    JsonWriter w = json_writer(&labels, 0);
    labels_write(&w, info.labels);
    stmt_text(s, 1, r->chain);
    stmt_int(s, 2, info.id);
    stmt_text(s, 3, info.metric);
    stmt_text(s, 4, metric_kind_name(info.kind));
    stmt_int(s, 5, info.unit);
    stmt_text(s, 6, buf_slice(&labels));
    rc = stmt_run(s, e);
    buf_done(&labels);
    return rc;
}

static int apply_total(Db *db, Slice run_id, const PackedPoint *total, Err *e)
{
    Stmt *s;
    int rc = db_prepare(db,
                        "INSERT INTO aggregate(run_id, series, count, trues, last, min, max, hist)"
                        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                        &s, e);
    if (rc != 0) {
        return rc;
    }
    stmt_text(s, 1, run_id);
    stmt_int(s, 2, total->point.series);
    stmt_int(s, 3, total->point.count);
    stmt_int(s, 4, total->point.trues);
    stmt_real(s, 5, total->point.last);
    stmt_real(s, 6, total->point.min);
    stmt_real(s, 7, total->point.max);
    if (total->hist.len > 0) {
        stmt_blob(s, 8, total->hist);
    }
    return stmt_run(s, e);
}

static int apply_end(Db *db, const Record *r, Arena *arena, Err *e)
{
    EndPayload p;
    Stmt *s;
    int rc = payload_read_end(arena, r->payload, &p, e);
    for (size_t i = 0; rc == 0 && i < p.total_count; i++) {
        rc = apply_total(db, r->chain, &p.totals[i], e);
    }
    if (rc != 0 || (rc = db_prepare(db,
                                    "UPDATE run SET status = ?2, reason = ?3, duration_ns = ?4,"
                                    " requests = (SELECT coalesce(sum(a.count), 0) FROM aggregate a"
                                    "  JOIN series s ON s.run_id = a.run_id AND s.series = a.series"
                                    "  WHERE a.run_id = ?1 AND s.metric = 'http_reqs')"
                                    " WHERE run_id = ?1",
                                    &s, e)) != 0) {
        return rc;
    }
    stmt_text(s, 1, r->chain);
    stmt_int(s, 2, p.end.status);
    stmt_text(s, 3, p.end.reason);
    stmt_int(s, 4, p.end.duration_ns);
    return stmt_run(s, e);
}

static int insert_artifact(Db *db, Slice run_id, const ArtifactPayload *a, Err *e)
{
    Stmt *s;
    // A second artifact of one name replaces the first in the table; the log keeps both.
    int rc = db_prepare(db,
                        "INSERT OR REPLACE INTO artifact(run_id, name, media_type, sha256, bytes)"
                        " VALUES(?1, ?2, ?3, ?4, ?5)",
                        &s, e);
    if (rc != 0) {
        return rc;
    }
    stmt_text(s, 1, run_id);
    stmt_text(s, 2, a->name);
    stmt_text(s, 3, a->media_type);
    stmt_text(s, 4, a->sha256);
    stmt_int(s, 5, a->bytes);
    return stmt_run(s, e);
}

static int apply_artifact(Db *db, const Record *r, Arena *arena, Err *e)
{
    ArtifactPayload a;
    int rc = payload_read_artifact(arena, r->payload, &a, e);
    return rc != 0 ? rc : insert_artifact(db, a.run_id.len > 0 ? a.run_id : r->chain, &a, e);
}

static int apply_sealed(Db *db, const Record *r, Arena *arena, Err *e)
{
    SealPayload seal;
    Stmt *s;
    int rc = payload_read_seal(arena, r->payload, &seal, e);
    if (rc != 0 ||
        (rc = db_prepare(db, "UPDATE run SET seal_hash = ?2 WHERE run_id = ?1", &s, e)) != 0) {
        return rc;
    }
    stmt_text(s, 1, seal.run_id);
    stmt_text(s, 2, seal.head);
    return stmt_run(s, e);
}

static int apply_pruned(Db *db, const Record *r, Arena *arena, Err *e)
{
    PinPayload p;
    int rc = payload_read_pin(arena, r->payload, &p, e);
    for (size_t i = 0; rc == 0 && i < p.run_count; i++) {
        Stmt *s;
        if ((rc = db_prepare(db, "UPDATE run SET pruned = 1 WHERE run_id = ?1", &s, e)) == 0) {
            stmt_text(s, 1, p.run_ids[i]);
            rc = stmt_run(s, e);
        }
    }
    return rc;
}

static int apply_unpin(Db *db, const Record *r, Arena *arena, Err *e)
{
    PinPayload p;
    Stmt *s;
    int rc = payload_read_pin(arena, r->payload, &p, e);
    if (rc != 0 || (rc = db_prepare(db, "DELETE FROM baseline WHERE name = ?1", &s, e)) != 0) {
        return rc;
    }
    stmt_text(s, 1, p.name);
    return stmt_run(s, e);
}

// A pin replaces what the name stood for.
static int apply_pin(Db *db, const Record *r, Arena *arena, Err *e)
{
    PinPayload p;
    int rc = payload_read_pin(arena, r->payload, &p, e);
    if (rc == 0) {
        rc = apply_unpin(db, r, arena, e);
    }
    for (size_t i = 0; rc == 0 && i < p.run_count; i++) {
        Stmt *s;
        rc = db_prepare(db,
                        "INSERT INTO baseline(name, position, run_id, pinned_unix_ns, note)"
                        " VALUES(?1, ?2, ?3, ?4, ?5)",
                        &s, e);
        if (rc == 0) {
            stmt_text(s, 1, p.name);
            stmt_int(s, 2, (int64_t)i);
            stmt_text(s, 3, p.run_ids[i]);
            stmt_int(s, 4, p.at_unix_ns);
            stmt_text(s, 5, p.note);
            rc = stmt_run(s, e);
        }
    }
    return rc;
}

static ApplyFn *applier_of(Slice kind)
{
    static const struct {
        Slice kind;
        ApplyFn *apply;
    } KINDS[] = {
        {SLICE_INIT("run.begin"), apply_begin},
        {SLICE_INIT("run.series"), apply_series},
        {SLICE_INIT("run.artifact"), apply_artifact},
        {SLICE_INIT("run.end"), apply_end},
        {SLICE_INIT("run.sealed"), apply_sealed},
        {SLICE_INIT("run.attached"), apply_artifact},
        {SLICE_INIT("run.pruned"), apply_pruned},
        {SLICE_INIT("baseline.pin"), apply_pin},
        {SLICE_INIT("baseline.unpin"), apply_unpin},
        {SLICE_INIT("proposal.draft"), proposal_apply_draft},
        {SLICE_INIT("proposal.step"), proposal_apply_step},
        {SLICE_INIT("proposal.note"), proposal_apply_step},
    };
    for (size_t i = 0; i < COUNT_OF(KINDS); i++) {
        if (slice_eq(kind, KINDS[i].kind)) {
            return KINDS[i].apply;
        }
    }
    return NULL; // intervals and events are read from the log itself
}

static int apply(Db *db, const Record *r, Arena *arena, Err *e)
{
    ApplyFn *fn = applier_of(r->kind);
    if (!fn) {
        return 0;
    }
    int rc = 0;
    if (r->version > RECORD_VERSION) {
        rc = err_set(e, ERR_VERSION, "version %lld is newer than this program",
                     (long long)r->version);
    } else if (!r->payload.ptr) {
        rc = err_set(e, ERR_CORRUPT, "its payload is gone");
    } else {
        rc = fn(db, r, arena, e);
    }
    if (rc != 0) {
        (void)err_wrap(e, "%.*s record %lld of %.*s", SLICE_FMT(r->kind), (long long)r->run_seq,
                       SLICE_FMT(r->chain));
    }
    return rc;
}

int projection_apply(Db *db, const Record *record, Err *e)
{
    if (!applier_of(record->kind)) {
        return 0;
    }
    Arena *arena = arena_create(ARENA_BYTES_MAX);
    int rc = apply(db, record, arena, e);
    arena_destroy(arena);
    return rc;
}

int projection_rebuild(Db *db, Err *e)
{
    int rc = schema_clear_projections(db, e);
    Stmt *s;
    if (rc != 0 ||
        (rc = db_prepare(db, "SELECT " RECORD_COLUMNS " FROM record ORDER BY seq", &s, e)) != 0) {
        return rc;
    }
    Arena *arena = arena_create(ARENA_BYTES_MAX);
    Record r;
    while ((rc = record_next(s, &r, e)) > 0) {
        arena_reset(arena);
        if ((rc = apply(db, &r, arena, e)) != 0) {
            break;
        }
    }
    arena_destroy(arena);
    stmt_done(s);
    return rc;
}

// ---- digest

// One text a row, with SQLite's own spelling of every value, blobs included.
static const char *const DIGEST_QUERIES[] = {
    "SELECT quote(run_id) || quote(kind) || quote(name) || quote(target) || quote(run_group)"
    " || quote(plan_sha256) || quote(seed) || quote(load_scale) || quote(started_unix_ns)"
    " || quote(interval_ns) || quote(status) || quote(reason) || quote(duration_ns)"
    " || quote(requests) || quote(seal_hash) || quote(pruned) FROM run ORDER BY run_id",
    "SELECT quote(run_id) || quote(key) || quote(value) FROM run_label ORDER BY run_id, key",
    "SELECT quote(run_id) || quote(series) || quote(metric) || quote(kind) || quote(unit)"
    " || quote(labels) FROM series ORDER BY run_id, series",
    "SELECT quote(run_id) || quote(series) || quote(count) || quote(trues) || quote(last)"
    " || quote(min) || quote(max) || quote(hist) FROM aggregate ORDER BY run_id, series",
    "SELECT quote(run_id) || quote(name) || quote(media_type) || quote(sha256) || quote(bytes)"
    " FROM artifact ORDER BY run_id, name",
    "SELECT quote(name) || quote(position) || quote(run_id) || quote(pinned_unix_ns)"
    " || quote(note) FROM baseline ORDER BY name, position",
    "SELECT quote(proposal_id) || quote(run_seq) || quote(kind) || quote(state) || quote(target)"
    " || quote(title) || quote(author) || quote(reason) || quote(parent) || quote(content)"
    " || quote(created_unix_ns) || quote(updated_unix_ns) || quote(expires_unix_ns)"
    " || quote(predicted) || quote(observed) FROM proposal ORDER BY proposal_id",
    "SELECT quote(proposal_id) || quote(run_seq) FROM proposal_step ORDER BY proposal_id, run_seq",
    "SELECT quote(proposal_id) || quote(reference) FROM proposal_evidence"
    " ORDER BY proposal_id, reference",
};

int projection_digest(Db *db, Sha256 *ret_digest, Err *e)
{
    Sha256 digest = {0};
    for (size_t i = 0; i < COUNT_OF(DIGEST_QUERIES); i++) {
        Stmt *s;
        int rc = db_prepare(db, DIGEST_QUERIES[i], &s, e);
        if (rc != 0) {
            return rc;
        }
        // Each row is hashed onto what came before it.
        while ((rc = stmt_row(s, e)) > 0) {
            Buf link = buf_create(RECORD_PAYLOAD_MAX);
            buf_append(&link, sha256_slice(&digest));
            buf_append(&link, stmt_get_text(s, 0));
            digest = sha256_of(buf_slice(&link));
            buf_done(&link);
        }
        stmt_done(s);
        if (rc != 0) {
            return rc;
        }
    }
    *ret_digest = digest;
    return 0;
}
