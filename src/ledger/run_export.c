// Runs as documents: every record as it is, so that whoever takes the document in can recompute
// every hash.
#include "ledger/artifact.h"
#include "ledger/doc_field.h"
#include "ledger/ledger_impl.h"
#include "ledger/payload.h"
#include "ledger/record.h"
#include "ledger/ulid.h"
#include "os/clock.h"

enum {
    EXPORT_VERSION = 1,
    ARENA_BYTES_MAX = 1 << 30,
    NODES_MAX = 8 << 20, // of an imported document
};

// ---- out

static void field_hash(JsonWriter *w, const char *key, const Sha256 *hash)
{
    char hex[SHA256_HEX + 1];
    sha256_hex(hash, hex);
    json_field_cstr(w, key, hex);
}

static void write_record(JsonWriter *w, const Record *r)
{
    json_object_begin(w);
    field_hash(w, "hash", &r->hash);
    json_field_string(w, "kind", r->kind);
    json_key(w, SLICE("payload"));
    if (r->payload.ptr) {
        json_raw(w, r->payload);
    } else {
        json_null(w);
    }
    field_hash(w, "payload_sha256", &r->payload_sha256);
    json_field_int(w, "version", r->version);
    json_object_end(w);
}

static int write_records(JsonWriter *w, Db *db, Slice id, Err *e)
{
    Stmt *s;
    Record r;
    bool ended = false;
    int rc = record_chain(db, id, &s, e);
    if (rc != 0) {
        return rc;
    }
    json_array_begin(w);
    while (!w->out->overflowed && (rc = record_next(s, &r, e)) > 0) {
        write_record(w, &r);
        ended = slice_eq(r.kind, RECORD_RUN_END);
    }
    json_array_end(w);
    stmt_done(s);
    if (rc == 0 && !ended) {
        return err_set(e, ERR_CONFLICT, "run %.*s has not ended yet", SLICE_FMT(id));
    }
    return rc < 0 ? rc : 0;
}

static int write_artifacts(JsonWriter *w, Db *db, Slice id, Err *e)
{
    Stmt *s;
    int rc = db_prepare(db,
                        "SELECT a.name, a.media_type, c.bytes FROM artifact a"
                        " JOIN content c ON c.sha256 = a.sha256"
                        " WHERE a.run_id = ?1 AND c.bytes IS NOT NULL ORDER BY a.name",
                        &s, e);
    if (rc != 0) {
        return rc;
    }
    stmt_text(s, 1, id);
    json_array_begin(w);
    while (!w->out->overflowed && (rc = stmt_row(s, e)) > 0) {
        Slice bytes = stmt_get_blob(s, 2);
        Buf text = buf_create(2 * (size_t)RUN_ARTIFACT_BYTES_MAX);
        buf_append_base64(&text, bytes.ptr, bytes.len);
        json_object_begin(w);
        json_field_string(w, "base64", buf_slice(&text));
        json_field_string(w, "media_type", stmt_get_text(s, 1));
        json_field_string(w, "name", stmt_get_text(s, 0));
        json_object_end(w);
        buf_done(&text);
    }
    json_array_end(w);
    stmt_done(s);
    return rc < 0 ? rc : 0;
}

int run_export(Ledger *ledger, Slice selector, Buf *out, Err *e)
{
    char id[RUN_ID_LEN + 1];
    int rc = run_resolve(ledger, selector, id, e);
    if (rc != 0 || (rc = db_begin_read(ledger->db, e)) != 0) {
        return rc;
    }
    Slice run_id = {id, RUN_ID_LEN};
    JsonWriter w = json_writer(out, 0);
    json_object_begin(&w);
    json_field_cstr(&w, "format", "perfwright-run");
    json_field_int(&w, "version", EXPORT_VERSION);
    json_field_cstr(&w, "run_id", id);
    json_key(&w, SLICE("records"));
    rc = write_records(&w, ledger->db, run_id, e);
    if (rc == 0) {
        json_key(&w, SLICE("artifacts"));
        rc = write_artifacts(&w, ledger->db, run_id, e);
    }
    db_rollback(ledger->db);
    if (rc == 0) {
        json_object_end(&w);
        rc = buf_check(out, "the export of a run", e);
    }
    return rc;
}

// ---- in

typedef struct Import {
    Db *db;
    Slice run_id;
    ChainHead head;
    bool ended;
    bool pruned;
} Import;

static int read_hash(const Doc *d, const char *key, Sha256 *ret, Err *e)
{
    Slice hex;
    int rc = field_text(d, key, &hex, e);
    if (rc == 0 && sha256_parse(hex, ret) != 0) {
        rc = err_set(e, ERR_CORRUPT, "\"%s\" must have %d hexadecimal digits", key, SHA256_HEX);
    }
    return rc;
}

// The record of an exported object, its payload in *payload. Hashes are recomputed, not believed.
static int read_record(const Import *in, const Doc *d, Buf *payload, Record *ret, Err *e)
{
    Record r = {.chain = in->run_id, .run_seq = in->head.run_seq + 1, .prev_hash = in->head.hash};
    const Doc *body = doc_get(d, SLICE("payload"));
    Sha256 hash;
    int rc;
    if ((rc = field_text(d, "kind", &r.kind, e)) != 0 ||
        (rc = field_int(d, "version", 1, INT64_MAX, &r.version, e)) != 0 ||
        (rc = read_hash(d, "payload_sha256", &r.payload_sha256, e)) != 0 ||
        (rc = read_hash(d, "hash", &hash, e)) != 0) {
        return rc;
    }
    if (body && body->type == DOC_OBJECT) {
        doc_write_canonical(body, payload);
        if ((rc = buf_check(payload, "a record", e)) != 0) {
            return rc;
        }
        r.payload = buf_slice(payload);
        Sha256 found = sha256_of(r.payload);
        if (!sha256_eq(&found, &r.payload_sha256)) {
            return err_set(e, ERR_CORRUPT, "its payload was changed");
        }
    } else if (!slice_eq(r.kind, RECORD_RUN_INTERVAL)) {
        return err_set(e, ERR_CORRUPT, "\"payload\" must be an object");
    }
    r.hash = record_hash(&r);
    if (!sha256_eq(&r.hash, &hash)) {
        return err_set(e, ERR_CORRUPT, "it was changed, or does not follow the record before it");
    }
    *ret = r;
    return 0;
}

static int import_record(Import *in, const Doc *d, Err *e)
{
    Record r;
    Buf payload = buf_create(RECORD_PAYLOAD_MAX);
    int rc = read_record(in, d, &payload, &r, e);
    if (rc == 0 && (in->ended || (in->head.run_seq == 0) != slice_eq(r.kind, RECORD_RUN_BEGIN))) {
        rc = err_set(e, ERR_CORRUPT, "a run is one run.begin, records, and one run.end");
    }
    if (rc == 0) {
        in->ended = slice_eq(r.kind, RECORD_RUN_END);
        in->pruned = in->pruned || !r.payload.ptr;
        in->head = (ChainHead){r.run_seq, r.hash};
        rc = record_insert(in->db, &r, e);
    }
    buf_done(&payload);
    return rc;
}

static int append_seal(const Import *in, Err *e)
{
    char hex[SHA256_HEX + 1];
    sha256_hex(&in->head.hash, hex);
    Buf payload = buf_create(RECORD_PAYLOAD_MAX);
    payload_write_seal(&payload, &(SealPayload){.run_id = in->run_id,
                                                .head = {hex, SHA256_HEX},
                                                .records = in->head.run_seq});
    int rc = record_append_ledger(in->db, RECORD_SEALED, buf_slice(&payload), e);
    if (rc == 0 && in->pruned) {
        buf_reset(&payload);
        payload_write_pin(&payload, &(PinPayload){.run_ids = &in->run_id,
                                                  .run_count = 1,
                                                  .at_unix_ns = clock_wall(clock_real())});
        rc = record_append_ledger(in->db, RECORD_PRUNED, buf_slice(&payload), e);
    }
    buf_done(&payload);
    return rc;
}

static int import_artifact(const Import *in, const Doc *d, Err *e)
{
    Slice name, media_type, base64;
    int rc;
    if ((rc = field_text(d, "name", &name, e)) != 0 ||
        (rc = field_text(d, "media_type", &media_type, e)) != 0 ||
        (rc = field_text(d, "base64", &base64, e)) != 0) {
        return rc;
    }
    Buf bytes = buf_create(RUN_ARTIFACT_BYTES_MAX);
    rc = buf_append_base64_decoded(&bytes, base64);
    if (rc != 0 || bytes.overflowed) {
        rc = err_set(e, ERR_CORRUPT, "\"base64\" of '%.*s' must be at most %d bytes in base64",
                     SLICE_FMT(name), RUN_ARTIFACT_BYTES_MAX);
    } else {
        rc = artifact_attach(in->db, in->run_id, name, media_type, buf_slice(&bytes), e);
    }
    buf_done(&bytes);
    return rc;
}

static int import_all(Import *in, const Doc *doc, Err *e)
{
    const Doc *records = doc_get(doc, SLICE("records"));
    const Doc *artifacts = doc_get(doc, SLICE("artifacts"));
    int rc = 0;
    if (!records || records->type != DOC_ARRAY || !artifacts || artifacts->type != DOC_ARRAY) {
        return doc_err(e, doc, "\"records\" and \"artifacts\" must be arrays");
    }
    for (const Doc *d = doc_first(records); rc == 0 && d; d = doc_next(d)) {
        rc = import_record(in, d, e);
        if (rc != 0) {
            (void)err_wrap(e, "record %lld", (long long)in->head.run_seq + 1);
        }
    }
    if (rc == 0 && !in->ended) {
        rc = err_set(e, ERR_CORRUPT, "the run has no run.end");
    }
    if (rc == 0) {
        rc = append_seal(in, e);
    }
    for (const Doc *d = doc_first(artifacts); rc == 0 && d; d = doc_next(d)) {
        rc = import_artifact(in, d, e);
    }
    return rc;
}

static int check_head(const Doc *doc, Slice *ret_id, Err *e)
{
    Slice format;
    int64_t version;
    int rc = field_text(doc, "format", &format, e);
    if (rc == 0 && !slice_eq_cstr(format, "perfwright-run")) {
        rc = err_set(e, ERR_PARSE, "\"format\" must be \"perfwright-run\", not \"%.*s\"",
                     SLICE_FMT(format));
    }
    if (rc != 0 || (rc = field_int(doc, "version", 1, INT64_MAX, &version, e)) != 0 ||
        (rc = field_text(doc, "run_id", ret_id, e)) != 0) {
        return rc;
    }
    if (version > EXPORT_VERSION) {
        return err_set(e, ERR_VERSION, "the document has version %lld, this program knows %d",
                       (long long)version, EXPORT_VERSION);
    }
    return ulid_valid(*ret_id) ? 0 : err_set(e, ERR_CORRUPT, "\"run_id\" is no id of a run");
}

static int import_doc(Ledger *ledger, const Doc *doc, char ret_id[RUN_ID_LEN + 1], Err *e)
{
    Import in = {.db = ledger->db};
    int rc = check_head(doc, &in.run_id, e);
    if (rc != 0 || (rc = db_begin_write(ledger->db, e)) != 0) {
        return rc;
    }
    ChainHead there;
    rc = chain_head(in.db, in.run_id, &there, e);
    if (rc == 0 && there.run_seq > 0) {
        rc = err_set(e, ERR_EXISTS, "run %.*s is in the ledger already", SLICE_FMT(in.run_id));
    }
    if (rc == 0) {
        rc = import_all(&in, doc, e);
    }
    if (rc == 0) {
        rc = db_commit(ledger->db, e);
    }
    db_end(ledger->db, rc);
    if (rc == 0) {
        memcpy(ret_id, in.run_id.ptr, RUN_ID_LEN);
        ret_id[RUN_ID_LEN] = '\0';
    }
    return rc;
}

int run_import(Ledger *ledger, Slice json, const char *source, char ret_id[RUN_ID_LEN + 1], Err *e)
{
    int rc = ledger_expect_writable(ledger, e);
    if (rc != 0) {
        return rc;
    }
    Arena *arena = arena_create(ARENA_BYTES_MAX);
    const Doc *doc;
    DocOptions o = {.format = DOC_FORMAT_JSON,
                    .source = source,
                    .max_bytes = RUN_EXPORT_BYTES_MAX / 2,
                    .max_nodes = NODES_MAX};
    rc = doc_parse(arena, json, &o, &doc, e);
    if (rc == 0 && (rc = import_doc(ledger, doc, ret_id, e)) != 0) {
        (void)err_wrap(e, "%s", source ? source : "import");
    }
    arena_destroy(arena);
    return rc;
}
