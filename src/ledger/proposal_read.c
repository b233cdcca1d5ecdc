// Looking at proposals: lists, one with its history, documents.
#include "ledger/ledger_impl.h"
#include "ledger/proposal.h"
#include "ledger/proposal_impl.h"

enum { LIST_DEFAULT = 100, ITEM_BYTES_MAX = 16 << 20, PREFIX_MIN = 6 };

#define COLUMNS                                                                                    \
    "proposal_id, kind, state, target, title, author, reason, parent, content, created_unix_ns,"   \
    " updated_unix_ns, expires_unix_ns, predicted, observed"

static int read_estimates(Arena *arena, Slice json, ProposalEstimates *ret, Err *e)
{
    const Doc *d;
    DocOptions o = {.format = DOC_FORMAT_JSON, .source = "ledger", .max_bytes = RECORD_PAYLOAD_MAX};
    int rc = doc_parse(arena, json, &o, &d, e);
    return rc == 0 ? proposal_estimates_read(arena, d, ret, e) : rc;
}

static int read_evidence(Db *db, Arena *arena, Slice id, ProposalEvidence *ret, Err *e)
{
    Stmt *s;
    int rc = db_prepare(db,
                        "SELECT reference FROM proposal_evidence WHERE proposal_id = ?1"
                        " ORDER BY reference",
                        &s, e);
    if (rc != 0) {
        return rc;
    }
    size_t max = (size_t)PROPOSAL_EVIDENCE_MAX * 16;
    Slice *items = mem_alloc(max * sizeof *items);
    size_t count = 0;
    stmt_text(s, 1, id);
    while (count < max && arena_left(arena) > ITEM_BYTES_MAX && (rc = stmt_row(s, e)) > 0) {
        items[count++] = arena_copy(arena, stmt_get_text(s, 0));
    }
    stmt_done(s);
    *ret = (ProposalEvidence){ARENA_ARRAY(arena, Slice, count + 1), count};
    for (size_t i = 0; i < count; i++) {
        ret->items[i] = items[i];
    }
    free(items);
    return rc < 0 ? rc : 0;
}

static void copy_id(char to[PROPOSAL_ID_LEN + 1], Slice id)
{
    (void)snprintf(to, PROPOSAL_ID_LEN + 1, "%.*s", SLICE_FMT(id));
}

static int read_row(Arena *arena, Stmt *s, Proposal *ret, Err *e)
{
    int64_t kind = stmt_get_int(s, 1), state = stmt_get_int(s, 2);
    if (kind < 0 || kind >= PROPOSAL_KINDS || state < 0 || state >= PROPOSAL_STATES) {
        return err_set(e, ERR_CORRUPT, "a proposal has no kind or state");
    }
    *ret = (Proposal){.kind = (ProposalKind)kind,
                      .state = (ProposalState)state,
                      .target = arena_copy(arena, stmt_get_text(s, 3)),
                      .title = arena_copy(arena, stmt_get_text(s, 4)),
                      .author = arena_copy(arena, stmt_get_text(s, 5)),
                      .reason = arena_copy(arena, stmt_get_text(s, 6)),
                      .content_json = arena_copy(arena, stmt_get_text(s, 8)),
                      .created_unix_ns = stmt_get_int(s, 9),
                      .updated_unix_ns = stmt_get_int(s, 10),
                      .expires_unix_ns = stmt_get_int(s, 11)};
    copy_id(ret->id, stmt_get_text(s, 0));
    copy_id(ret->parent, stmt_get_text(s, 7));
    int rc = read_estimates(arena, stmt_get_text(s, 12), &ret->predicted, e);
    return rc == 0 ? read_estimates(arena, stmt_get_text(s, 13), &ret->observed, e) : rc;
}

int proposal_list(Ledger *ledger, const ProposalFilter *filter, Arena *arena, Proposal **ret_items,
                  size_t *ret_count, Err *e)
{
    Stmt *s;
    int rc = db_prepare(ledger->db,
                        "SELECT " COLUMNS " FROM proposal WHERE (?1 < 0 OR kind = ?1)"
                        " AND (?2 < 0 OR state = ?2) AND (?3 = '' OR target = ?3)"
                        " ORDER BY run_seq DESC LIMIT ?4",
                        &s, e);
    if (rc != 0) {
        return rc;
    }
    stmt_int(s, 1, filter->kind ? (int64_t)*filter->kind : -1);
    stmt_int(s, 2, filter->state ? (int64_t)*filter->state : -1);
    stmt_text(s, 3, filter->target.len > 0 ? filter->target : SLICE(""));
    stmt_int(s, 4, filter->limit > 0 ? filter->limit : LIST_DEFAULT);
    Proposal *items = NULL;
    size_t count = 0;
    while ((rc = stmt_row(s, e)) > 0) {
        if (arena_left(arena) < ITEM_BYTES_MAX) {
            rc = err_set(e, ERR_LIMIT, "the list of proposals does not fit into memory");
            break;
        }
        items = mem_realloc(items, (count + 1) * sizeof *items);
        if ((rc = read_row(arena, s, &items[count], e)) != 0) {
            break;
        }
        count++;
    }
    stmt_done(s);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = read_evidence(ledger->db, arena, slice_from_cstr(items[i].id), &items[i].evidence, e);
    }
    if (rc == 0) {
        *ret_items = ARENA_ARRAY(arena, Proposal, count + 1);
        for (size_t i = 0; i < count; i++) {
            (*ret_items)[i] = items[i];
        }
        *ret_count = count;
    }
    free(items);
    return rc;
}

// ---- one

static int resolve_latest(Db *db, Slice selector, char ret_id[PROPOSAL_ID_LEN + 1], Err *e)
{
    int64_t back = 0;
    Slice head, tail;
    if (slice_cut(selector, '~', &head, &tail) && (slice_to_i64(tail, &back) != 0 || back < 0)) {
        return err_set(e, ERR_ARG, "\"%.*s\": a whole number must follow the ~",
                       SLICE_FMT(selector));
    }
    Stmt *s;
    int rc = db_prepare(
        db, "SELECT proposal_id FROM proposal ORDER BY run_seq DESC LIMIT 1 OFFSET ?1", &s, e);
    if (rc != 0) {
        return rc;
    }
    stmt_int(s, 1, back);
    rc = stmt_row(s, e);
    if (rc > 0) {
        copy_id(ret_id, stmt_get_text(s, 0));
    }
    stmt_done(s);
    return rc == 0 ? err_set(e, ERR_NOT_FOUND, "no proposal is \"%.*s\"", SLICE_FMT(selector))
                   : (rc > 0 ? 0 : rc);
}

static int resolve_prefix(Db *db, Slice selector, char ret_id[PROPOSAL_ID_LEN + 1], Err *e)
{
    if (selector.len < PREFIX_MIN) {
        return err_set(e, ERR_ARG, "\"%.*s\": an id is told by at least %d characters",
                       SLICE_FMT(selector), PREFIX_MIN);
    }
    Stmt *s;
    int rc = db_prepare(db,
                        "SELECT proposal_id FROM proposal"
                        " WHERE substr(proposal_id, 1, length(?1)) = ?1 LIMIT 2",
                        &s, e);
    if (rc != 0) {
        return rc;
    }
    int found = 0;
    stmt_text(s, 1, selector);
    while ((rc = stmt_row(s, e)) > 0) {
        copy_id(ret_id, stmt_get_text(s, 0));
        found++;
    }
    stmt_done(s);
    if (rc != 0 || found == 1) {
        return rc;
    }
    return found == 0
               ? err_set(e, ERR_NOT_FOUND, "no proposal is \"%.*s\"", SLICE_FMT(selector))
               : err_set(e, ERR_ARG, "several proposals begin with \"%.*s\"", SLICE_FMT(selector));
}

static int resolve(Db *db, Slice selector, char ret_id[PROPOSAL_ID_LEN + 1], Err *e)
{
    return slice_eq(selector, SLICE("latest")) || slice_starts_with(selector, SLICE("latest~"))
               ? resolve_latest(db, selector, ret_id, e)
               : resolve_prefix(db, selector, ret_id, e);
}

// The records of one proposal, the draft first.
static int open_records(Db *db, Slice id, Stmt **ret, Err *e)
{
    int rc = db_prepare(db,
                        "SELECT " RECORD_COLUMNS " FROM record WHERE run_id = 'ledger' AND run_seq"
                        " IN (SELECT run_seq FROM proposal WHERE proposal_id = ?1 UNION"
                        "     SELECT run_seq FROM proposal_step WHERE proposal_id = ?1)"
                        " ORDER BY run_seq",
                        ret, e);
    if (rc == 0) {
        stmt_text(*ret, 1, id);
    }
    return rc;
}

static int read_steps(Db *db, Arena *arena, Proposal *p, Err *e)
{
    Stmt *s;
    Record r;
    int rc = open_records(db, slice_from_cstr(p->id), &s, e);
    if (rc != 0) {
        return rc;
    }
    p->steps = ARENA_ARRAY(arena, ProposalStep, PROPOSAL_STEPS_MAX);
    while (p->step_count < PROPOSAL_STEPS_MAX && (rc = record_next(s, &r, e)) > 0) {
        StepPayload step;
        if (slice_eq(r.kind, RECORD_PROPOSAL_DRAFT)) {
            continue;
        }
        if (arena_left(arena) < ITEM_BYTES_MAX) {
            rc = err_set(e, ERR_LIMIT, "the history of the proposal does not fit into memory");
            break;
        }
        if ((rc = proposal_read_step(arena, r.payload, &step, e)) != 0) {
            break;
        }
        p->steps[p->step_count++] = step.step;
    }
    stmt_done(s);
    return rc < 0 ? rc : 0;
}

int proposal_load(Ledger *ledger, Slice selector, Arena *arena, Proposal **ret_proposal, Err *e)
{
    char id[PROPOSAL_ID_LEN + 1];
    Stmt *s;
    Proposal *p = ARENA_NEW(arena, Proposal);
    int rc = db_begin_read(ledger->db, e); // state and history of one moment
    if (rc != 0) {
        return rc;
    }
    rc = resolve(ledger->db, selector, id, e);
    rc = rc == 0 ? db_prepare(ledger->db, "SELECT " COLUMNS " FROM proposal WHERE proposal_id = ?1",
                              &s, e)
                 : rc;
    if (rc == 0) {
        stmt_text(s, 1, slice_from_cstr(id));
        rc = stmt_row(s, e);
        rc = rc > 0 ? read_row(arena, s, p, e) : rc;
        stmt_done(s);
    }
    rc = rc == 0 ? read_evidence(ledger->db, arena, slice_from_cstr(id), &p->evidence, e) : rc;
    rc = rc == 0 ? read_steps(ledger->db, arena, p, e) : rc;
    db_rollback(ledger->db);
    *ret_proposal = rc == 0 ? p : *ret_proposal;
    return rc;
}

// ---- documents

static void write_estimates(JsonWriter *w, const char *key, ProposalEstimates list)
{
    json_key(w, slice_from_cstr(key));
    proposal_estimates_write(w, list);
}

static void write_step(JsonWriter *w, const ProposalStep *step)
{
    json_object_begin(w);
    json_field_int(w, "at_unix_ns", step->at_unix_ns);
    json_field_cstr(w, "from", PROPOSAL_STATE_NAMES[step->from]);
    json_field_cstr(w, "to", PROPOSAL_STATE_NAMES[step->to]);
    json_field_string(w, "author", step->author);
    json_field_string(w, "reason", step->reason);
    proposal_evidence_write(w, step->evidence);
    write_estimates(w, "predicted", step->predicted);
    write_estimates(w, "observed", step->observed);
    json_object_end(w);
}

void proposal_write(const Proposal *p, JsonWriter *w)
{
    json_object_begin(w);
    json_field_cstr(w, "id", p->id);
    json_field_cstr(w, "kind", PROPOSAL_KIND_NAMES[p->kind]);
    json_field_cstr(w, "state", PROPOSAL_STATE_NAMES[p->state]);
    json_field_string(w, "target", p->target);
    json_field_string(w, "title", p->title);
    json_field_string(w, "author", p->author);
    json_field_string(w, "reason", p->reason);
    json_field_cstr(w, "parent", p->parent);
    json_field_int(w, "created_unix_ns", p->created_unix_ns);
    json_field_int(w, "updated_unix_ns", p->updated_unix_ns);
    json_field_int(w, "expires_unix_ns", p->expires_unix_ns);
    json_key(w, SLICE("content"));
    if (p->content_json.len > 0) {
        json_raw(w, p->content_json);
    } else {
        json_null(w);
    }
    proposal_evidence_write(w, p->evidence);
    write_estimates(w, "predicted", p->predicted);
    write_estimates(w, "observed", p->observed);
    json_key(w, SLICE("steps"));
    json_array_begin(w);
    for (size_t i = 0; i < p->step_count; i++) {
        write_step(w, &p->steps[i]);
    }
    json_array_end(w);
    json_object_end(w);
}

static int write_records(Db *db, Slice id, JsonWriter *w, Err *e)
{
    Stmt *s;
    Record r;
    int rc = open_records(db, id, &s, e);
    if (rc != 0) {
        return rc;
    }
    json_array_begin(w);
    while ((rc = record_next(s, &r, e)) > 0) {
        char hash[SHA256_HEX + 1], before[SHA256_HEX + 1];
        sha256_hex(&r.hash, hash);
        sha256_hex(&r.prev_hash, before);
        json_object_begin(w);
        json_field_int(w, "run_seq", r.run_seq);
        json_field_string(w, "kind", r.kind);
        json_field_int(w, "version", r.version);
        json_field_cstr(w, "prev_hash", before);
        json_field_cstr(w, "hash", hash);
        json_key(w, SLICE("payload"));
        json_raw(w, r.payload.ptr ? r.payload : SLICE("null"));
        json_object_end(w);
    }
    json_array_end(w);
    stmt_done(s);
    return rc;
}

int proposal_export(Ledger *ledger, Slice selector, Buf *out, Err *e)
{
    Arena *arena = arena_create(PROPOSAL_ARENA_MAX);
    Proposal *p;
    int rc = proposal_load(ledger, selector, arena, &p, e);
    if (rc == 0) {
        JsonWriter w = json_writer(out, 0);
        json_object_begin(&w);
        json_field_cstr(&w, "format", "perfwright-proposal");
        json_field_int(&w, "version", 1);
        json_key(&w, SLICE("proposal"));
        proposal_write(p, &w);
        json_key(&w, SLICE("records"));
        rc = write_records(ledger->db, slice_from_cstr(p->id), &w, e);
        json_object_end(&w);
    }
    arena_destroy(arena);
    return rc == 0 ? buf_check(out, "the export of a proposal", e) : rc;
}
