// The tables of proposals, made from their records.
#include "ledger/proposal_impl.h"

static Slice text_of(Buf *b)
{
    return b->len > 0 ? buf_slice(b) : SLICE("");
}

static void estimates_text(ProposalEstimates list, Buf *out)
{
    JsonWriter w = json_writer(out, 0);
    proposal_estimates_write(&w, list);
}

int proposal_state_of(Db *db, Slice id, ProposalState *ret_state, Err *e)
{
    Stmt *s;
    int rc = db_prepare(db, "SELECT state FROM proposal WHERE proposal_id = ?1", &s, e);
    if (rc != 0) {
        return rc;
    }
    stmt_text(s, 1, id);
    rc = stmt_row(s, e);
    int64_t state = rc > 0 ? stmt_get_int(s, 0) : 0;
    stmt_done(s);
    if (rc == 0) {
        return err_set(e, ERR_NOT_FOUND, "there is no proposal %.*s", SLICE_FMT(id));
    }
    if (rc > 0 && (state < 0 || state >= PROPOSAL_STATES)) {
        return err_set(e, ERR_CORRUPT, "proposal %.*s has no state", SLICE_FMT(id));
    }
    *ret_state = rc > 0 ? (ProposalState)state : *ret_state;
    return rc > 0 ? 0 : rc;
}

static int insert_evidence(Db *db, Slice id, ProposalEvidence list, Err *e)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        Stmt *s;
        rc = db_prepare(db,
                        "INSERT OR IGNORE INTO proposal_evidence(proposal_id, reference)"
                        " VALUES(?1, ?2)",
                        &s, e);
        if (rc == 0) {
            stmt_text(s, 1, id);
            stmt_text(s, 2, list.items[i]);
            rc = stmt_run(s, e);
        }
    }
    return rc;
}

static int insert_proposal(Db *db, const Record *r, const Proposal *p, Slice predicted, Err *e)
{
    Stmt *s;
    int rc =
        db_prepare(db,
                   "INSERT INTO proposal(proposal_id, run_seq, kind, state, target, title,"
                   " author, reason, parent, content, created_unix_ns, updated_unix_ns,"
                   " expires_unix_ns, predicted, observed)"
                   " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12, ?13, '{}')",
                   &s, e);
    if (rc != 0) {
        return rc;
    }
    stmt_text(s, 1, slice_from_cstr(p->id));
    stmt_int(s, 2, r->run_seq);
    stmt_int(s, 3, p->kind);
    stmt_int(s, 4, PROPOSAL_DRAFT);
    stmt_text(s, 5, p->target);
    stmt_text(s, 6, p->title);
    stmt_text(s, 7, p->author);
    stmt_text(s, 8, p->reason);
    stmt_text(s, 9, slice_from_cstr(p->parent));
    stmt_text(s, 10, p->content_json);
    stmt_int(s, 11, p->created_unix_ns);
    stmt_int(s, 12, p->expires_unix_ns);
    stmt_text(s, 13, predicted);
    return stmt_run(s, e);
}

int proposal_apply_draft(Db *db, const Record *r, Arena *arena, Err *e)
{
    Proposal p;
    int rc = proposal_read_draft(arena, r->payload, &p, e);
    if (rc != 0) {
        return rc;
    }
    Buf predicted = buf_create(RECORD_PAYLOAD_MAX);
    estimates_text(p.predicted, &predicted);
    rc = insert_proposal(db, r, &p, text_of(&predicted), e);
    buf_done(&predicted);
    return rc != 0 ? rc : insert_evidence(db, slice_from_cstr(p.id), p.evidence, e);
}

// The newest estimates are those of the proposal; the older ones stay in its records.
static int update_proposal(Db *db, const StepPayload *p, Slice predicted, Slice observed, Err *e)
{
    Stmt *s;
    int rc = db_prepare(db,
                        "UPDATE proposal SET state = ?2, updated_unix_ns = ?3,"
                        " predicted = CASE WHEN ?4 = '{}' THEN predicted ELSE ?4 END,"
                        " observed = CASE WHEN ?5 = '{}' THEN observed ELSE ?5 END"
                        " WHERE proposal_id = ?1",
                        &s, e);
    if (rc != 0) {
        return rc;
    }
    stmt_text(s, 1, p->id);
    stmt_int(s, 2, p->step.to);
    stmt_int(s, 3, p->step.at_unix_ns);
    stmt_text(s, 4, predicted);
    stmt_text(s, 5, observed);
    return stmt_run(s, e);
}

static int insert_step(Db *db, const Record *r, Slice id, Err *e)
{
    Stmt *s;
    int rc =
        db_prepare(db, "INSERT INTO proposal_step(proposal_id, run_seq) VALUES(?1, ?2)", &s, e);
    if (rc == 0) {
        stmt_text(s, 1, id);
        stmt_int(s, 2, r->run_seq);
        rc = stmt_run(s, e);
    }
    return rc;
}

static int check_step(const StepPayload *p, ProposalState state, bool note, Err *e)
{
    bool allowed = note ? p->step.to == p->step.from : proposal_may(p->step.from, p->step.to);
    if (p->step.from == state && allowed) {
        return 0;
    }
    return err_set(e, ERR_CONFLICT, "proposal %.*s is %s and cannot become %s", SLICE_FMT(p->id),
                   PROPOSAL_STATE_NAMES[state], PROPOSAL_STATE_NAMES[p->step.to]);
}

int proposal_apply_step(Db *db, const Record *r, Arena *arena, Err *e)
{
    StepPayload p;
    ProposalState state = PROPOSAL_DRAFT;
    int rc = proposal_read_step(arena, r->payload, &p, e);
    rc = rc == 0 ? proposal_state_of(db, p.id, &state, e) : rc;
    rc = rc == 0 ? check_step(&p, state, slice_eq(r->kind, RECORD_PROPOSAL_NOTE), e) : rc;
    if (rc != 0) {
        return rc;
    }
    Buf predicted = buf_create(RECORD_PAYLOAD_MAX), observed = buf_create(RECORD_PAYLOAD_MAX);
    estimates_text(p.step.predicted, &predicted);
    estimates_text(p.step.observed, &observed);
    rc = update_proposal(db, &p, text_of(&predicted), text_of(&observed), e);
    buf_done(&predicted);
    buf_done(&observed);
    rc = rc == 0 ? insert_step(db, r, p.id, e) : rc;
    return rc == 0 ? insert_evidence(db, p.id, p.step.evidence, e) : rc;
}
