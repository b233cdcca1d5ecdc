#include "ledger/baseline.h"

#include "ledger/foreign.h"
#include "ledger/ledger_impl.h"
#include "ledger/payload.h"
#include "ledger/record.h"
#include "os/clock.h"

enum { ARENA_BYTES_MAX = 1 << 30, EXPORT_VERSION = 1, NODES_MAX = 8 << 20 };

static int check_name(Slice name, Err *e)
{
    return name.len > 0 && name.len <= BASELINE_NAME_MAX
               ? 0
               : err_set(e, ERR_ARG, "the name of a baseline has 1 to %d characters",
                         BASELINE_NAME_MAX);
}

// ---- pinning

// A baseline must be whole and must have measured the target, not the generator.
static int check_run(Db *db, Slice id, Err *e)
{
    Stmt *s;
    int rc = db_prepare(db, "SELECT status, seal_hash FROM run WHERE run_id = ?1", &s, e);
    if (rc != 0) {
        return rc;
    }
    stmt_text(s, 1, id);
    rc = stmt_row(s, e);
    if (rc == 0) {
        rc = err_set(e, ERR_NOT_FOUND, "no run %.*s", SLICE_FMT(id));
    } else if (rc > 0) {
        RunStatus status = (RunStatus)stmt_get_int(s, 0);
        rc = 0;
        if (stmt_get_text(s, 1).len == 0) {
            rc = err_set(e, ERR_CONFLICT, "run %.*s has not ended", SLICE_FMT(id));
        } else if (status == RUN_INVALID) {
            rc = err_set(e, ERR_CONFLICT,
                         "run %.*s is invalid (its generator was the bottleneck), so nothing can "
                         "be compared with it",
                         SLICE_FMT(id));
        }
    }
    stmt_done(s);
    return rc;
}

static int append_pin(Ledger *ledger, Slice kind, const PinPayload *pin, Err *e)
{
    int rc = db_begin_write(ledger->db, e);
    if (rc != 0) {
        return rc;
    }
    for (size_t i = 0; rc == 0 && i < pin->run_count; i++) {
        rc = check_run(ledger->db, pin->run_ids[i], e);
    }
    if (rc == 0) {
        Buf payload = buf_create(RECORD_PAYLOAD_MAX);
        payload_write_pin(&payload, pin);
        rc = buf_check(&payload, "a baseline", e);
        if (rc == 0) {
            rc = record_append_ledger(ledger->db, kind, buf_slice(&payload), e);
        }
        buf_done(&payload);
    }
    if (rc == 0) {
        rc = db_commit(ledger->db, e);
    }
    db_end(ledger->db, rc);
    return rc;
}

int baseline_pin(Ledger *ledger, Slice name, const Slice *selectors, size_t count, Slice note,
                 Err *e)
{
    int rc = ledger_expect_writable(ledger, e);
    if (rc == 0) {
        rc = check_name(name, e);
    }
    if (rc == 0 && (count == 0 || count > BASELINE_RUNS_MAX)) {
        rc = err_set(e, ERR_ARG, "a baseline has 1 to %d runs", BASELINE_RUNS_MAX);
    }
    if (rc != 0) {
        return rc;
    }
    Arena *arena = arena_create(ARENA_BYTES_MAX);
    Slice *ids = ARENA_ARRAY(arena, Slice, count);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        char id[RUN_ID_LEN + 1];
        rc = run_resolve(ledger, selectors[i], id, e);
        ids[i] = rc == 0 ? arena_copy(arena, (Slice){id, RUN_ID_LEN}) : (Slice){0};
        for (size_t k = 0; rc == 0 && k < i; k++) {
            if (slice_eq(ids[i], ids[k])) {
                rc = err_set(e, ERR_EXISTS, "run %s is named twice", id);
            }
        }
    }
    if (rc == 0) {
        rc = append_pin(ledger, RECORD_PIN,
                        &(PinPayload){name, ids, count, clock_wall(clock_real()), note}, e);
    }
    arena_destroy(arena);
    return rc;
}

static int baseline_exists(Ledger *ledger, Slice name, Err *e)
{
    Stmt *s;
    int rc = db_prepare(ledger->db, "SELECT 1 FROM baseline WHERE name = ?1 LIMIT 1", &s, e);
    if (rc != 0) {
        return rc;
    }
    stmt_text(s, 1, name);
    rc = stmt_row(s, e);
    stmt_done(s);
    return rc > 0   ? 0
           : rc < 0 ? rc
                    : err_set(e, ERR_NOT_FOUND, "there is no baseline \"%.*s\"", SLICE_FMT(name));
}

int baseline_unpin(Ledger *ledger, Slice name, Err *e)
{
    int rc = ledger_expect_writable(ledger, e);
    if (rc == 0) {
        rc = baseline_exists(ledger, name, e);
    }
    return rc != 0
               ? rc
               : append_pin(ledger, RECORD_UNPIN,
                            &(PinPayload){.name = name, .at_unix_ns = clock_wall(clock_real())}, e);
}

// ---- reading

int baseline_list(Ledger *ledger, Arena *arena, Baseline **ret_items, size_t *ret_count, Err *e)
{
    Stmt *s;
    int rc = db_prepare(ledger->db,
                        "SELECT name, note, pinned_unix_ns, count(*) FROM baseline GROUP BY name"
                        " ORDER BY name",
                        &s, e);
    if (rc != 0) {
        return rc;
    }
    Baseline *items = NULL;
    size_t count = 0;
    while ((rc = stmt_row(s, e)) > 0) {
        Slice name = stmt_get_text(s, 0), note = stmt_get_text(s, 1);
        if (arena_left(arena) < name.len + note.len + (count + 2) * sizeof *items) {
            rc = err_set(e, ERR_LIMIT, "the list of baselines does not fit into memory");
            break;
        }
        items = mem_realloc(items, (count + 1) * sizeof *items);
        items[count++] = (Baseline){arena_copy(arena, name), arena_copy(arena, note),
                                    stmt_get_int(s, 2), stmt_get_int(s, 3)};
    }
    stmt_done(s);
    if (rc == 0) {
        *ret_items = ARENA_ARRAY(arena, Baseline, count ? count : 1);
        for (size_t i = 0; i < count; i++) {
            (*ret_items)[i] = items[i];
        }
        *ret_count = count;
    }
    free(items);
    return rc;
}

int baseline_resolve(Ledger *ledger, Slice name, Arena *arena, Slice **ret_ids, size_t *ret_count,
                     Err *e)
{
    Stmt *s;
    int rc = baseline_exists(ledger, name, e);
    if (rc != 0 || (rc = db_prepare(ledger->db,
                                    "SELECT run_id FROM baseline WHERE name = ?1 ORDER BY position",
                                    &s, e)) != 0) {
        return rc;
    }
    if (arena_left(arena) < BASELINE_RUNS_MAX * (sizeof(Slice) + 64)) {
        stmt_done(s);
        return err_set(e, ERR_LIMIT, "the baseline does not fit into memory");
    }
    Slice *ids = ARENA_ARRAY(arena, Slice, BASELINE_RUNS_MAX);
    size_t count = 0;
    stmt_text(s, 1, name);
    while (count < BASELINE_RUNS_MAX && (rc = stmt_row(s, e)) > 0) {
        ids[count++] = arena_copy(arena, stmt_get_text(s, 0));
    }
    stmt_done(s);
    if (rc < 0) {
        return rc;
    }
    *ret_ids = ids;
    *ret_count = count;
    return 0;
}

// ---- documents

int baseline_export(Ledger *ledger, Slice name, Buf *out, Err *e)
{
    Arena *arena = arena_create(ARENA_BYTES_MAX);
    Slice *ids;
    size_t count;
    int rc = baseline_resolve(ledger, name, arena, &ids, &count, e);
    if (rc == 0) {
        buf_puts(out, "{\"format\":\"perfwright-baseline\",\"version\":1,\"name\":");
        json_quote(out, name);
        buf_puts(out, ",\"runs\":[");
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        buf_puts(out, i ? ",\n" : "\n");
        rc = run_export(ledger, ids[i], out, e);
    }
    if (rc == 0) {
        buf_puts(out, "\n]}\n");
        rc = buf_check(out, "the export of a baseline", e);
    }
    arena_destroy(arena);
    return rc;
}

typedef struct Importer {
    Ledger *ledger;
    Arena *arena;
    Slice name;
    Slice *ids;
    size_t count;
} Importer;

static void take_id(Importer *in, const char id[RUN_ID_LEN + 1])
{
    in->ids[in->count++] = arena_copy(in->arena, (Slice){id, RUN_ID_LEN});
}

// A run document inside the document: written out again, because run_import reads text.
static int import_run(Importer *in, const Doc *d, const char *source, Err *e)
{
    char id[RUN_ID_LEN + 1];
    const Doc *given = doc_get(d, SLICE("run_id"));
    Buf text = buf_create(RUN_EXPORT_BYTES_MAX);
    doc_write_canonical(d, &text);
    int rc = buf_check(&text, "a run of the baseline", e);
    if (rc == 0) {
        rc = run_import(in->ledger, buf_slice(&text), source, id, e);
    }
    buf_done(&text);
    if (rc == ERR_EXISTS && given && given->type == DOC_STRING && given->text.len == RUN_ID_LEN) {
        memcpy(id, given->text.ptr, RUN_ID_LEN);
        id[RUN_ID_LEN] = '\0';
        rc = 0;
    }
    if (rc == 0) {
        take_id(in, id);
    }
    return rc;
}

static int import_own(Importer *in, const Doc *doc, const char *source, Err *e)
{
    const Doc *runs = doc_get(doc, SLICE("runs"));
    const Doc *version = doc_get(doc, SLICE("version"));
    if (!version || version->type != DOC_INT || !runs || runs->type != DOC_ARRAY) {
        return doc_err(e, doc, "a baseline has a \"version\" and an array of \"runs\"");
    }
    if (version->integer > EXPORT_VERSION) {
        return err_set(e, ERR_VERSION, "%s: version %lld is newer than this program", source,
                       (long long)version->integer);
    }
    if (doc_count(runs) == 0 || doc_count(runs) > BASELINE_RUNS_MAX) {
        return doc_err(e, runs, "a baseline has 1 to %d runs", BASELINE_RUNS_MAX);
    }
    int rc = 0;
    for (const Doc *d = doc_first(runs); rc == 0 && d; d = doc_next(d)) {
        rc = import_run(in, d, source, e);
    }
    return rc;
}

static int import_foreign(Importer *in, const Doc *doc, Err *e)
{
    ForeignRuns *runs;
    char id[RUN_ID_LEN + 1];
    int rc = foreign_read(in->arena, doc, &runs, e);
    if (rc != 0) {
        return rc;
    }
    in->name = in->name.len > 0 ? in->name : runs->name;
    rc = check_name(in->name, e);
    for (size_t i = 0; rc == 0 && i < runs->run_count; i++) {
        rc = foreign_store(in->ledger, runs, i, in->name, id, e);
        if (rc == 0) {
            take_id(in, id);
        }
    }
    foreign_done(runs);
    return rc;
}

static int import_doc(Importer *in, const Doc *doc, const char *source, Err *e)
{
    const Doc *format = doc_get(doc, SLICE("format"));
    const Doc *name = doc_get(doc, SLICE("name"));
    if (doc->type != DOC_OBJECT) {
        return doc_err(e, doc, "a baseline must be an object");
    }
    if (!format) {
        return import_foreign(in, doc, e);
    }
    if (in->name.len == 0 && name && name->type == DOC_STRING) {
        in->name = name->text;
    }
    int rc = check_name(in->name, e);
    if (rc != 0) {
        return rc;
    }
    if (format->type == DOC_STRING && slice_eq_cstr(format->text, "perfwright-baseline")) {
        return import_own(in, doc, source, e);
    }
    if (format->type == DOC_STRING && slice_eq_cstr(format->text, "perfwright-run")) {
        return import_run(in, doc, source, e);
    }
    return doc_err(e, format, "\"format\" must be \"perfwright-baseline\" or \"perfwright-run\"");
}

int baseline_import(Ledger *ledger, Slice name, Slice json, const char *source, Err *e)
{
    int rc = ledger_expect_writable(ledger, e);
    if (rc != 0) {
        return rc;
    }
    Importer in = {.ledger = ledger, .arena = arena_create(ARENA_BYTES_MAX), .name = name};
    in.ids = ARENA_ARRAY(in.arena, Slice, BASELINE_RUNS_MAX);
    const Doc *doc;
    DocOptions o = {.format = DOC_FORMAT_JSON,
                    .source = source ? source : "baseline",
                    .max_bytes = RUN_EXPORT_BYTES_MAX / 2,
                    .max_nodes = NODES_MAX};
    rc = doc_parse(in.arena, json, &o, &doc, e);
    if (rc == 0) {
        rc = import_doc(&in, doc, o.source, e);
    }
    if (rc == 0) {
        rc = baseline_pin(ledger, in.name, in.ids, in.count, slice_from_cstr(o.source), e);
    }
    arena_destroy(in.arena);
    return rc;
}
