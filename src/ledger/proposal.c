#include "ledger/proposal.h"

#include "ledger/ledger_impl.h"
#include "ledger/proposal_impl.h"
#include "ledger/ulid.h"
#include "os/clock.h"

static int64_t or_now(int64_t unix_ns)
{
    return unix_ns > 0 ? unix_ns : clock_wall(clock_real());
}

static int append(Ledger *ledger, Slice kind, Slice payload, Err *e)
{
    int rc = record_append_ledger(ledger->db, kind, payload, e);
    return rc == 0 ? db_commit(ledger->db, e) : rc;
}

// ---- drafts

static int check_parent(Ledger *ledger, const Proposal *p, Err *e)
{
    ProposalState state;
    Slice parent = slice_from_cstr(p->parent);
    return parent.len == 0 ? 0 : proposal_state_of(ledger->db, parent, &state, e);
}

int proposal_create(Ledger *ledger, Proposal *proposal, Err *e)
{
    Proposal p = *proposal;
    p.state = PROPOSAL_DRAFT;
    p.created_unix_ns = p.updated_unix_ns = or_now(p.created_unix_ns);
    int rc = ledger_expect_writable(ledger, e);
    rc = rc == 0 ? ulid_create(p.created_unix_ns / NS_PER_MS, p.id, e) : rc;
    if (rc == 0 && p.expires_unix_ns < 0) {
        rc = err_set(e, ERR_ARG, "a proposal cannot have expired before 1970");
    }
    Buf payload = buf_create(RECORD_PAYLOAD_MAX);
    rc = rc == 0 ? proposal_payload_draft(&p, &payload, e) : rc;
    if (rc == 0 && (rc = db_begin_write(ledger->db, e)) == 0) {
        rc = check_parent(ledger, &p, e);
        rc = rc == 0 ? append(ledger, RECORD_PROPOSAL_DRAFT, buf_slice(&payload), e) : rc;
        db_end(ledger->db, rc);
    }
    buf_done(&payload);
    if (rc == 0) {
        memcpy(proposal->id, p.id, sizeof p.id);
        proposal->state = p.state;
        proposal->created_unix_ns = proposal->updated_unix_ns = p.created_unix_ns;
    }
    return rc;
}

// ---- steps

static int read_head(Db *db, Slice id, ProposalState *ret_state, int64_t *ret_expires,
                     int64_t *ret_steps, Err *e)
{
    Stmt *s;
    int rc = proposal_state_of(db, id, ret_state, e);
    if (rc != 0 || (rc = db_prepare(db,
                                    "SELECT expires_unix_ns, (SELECT count(*) FROM proposal_step t"
                                    "  WHERE t.proposal_id = p.proposal_id)"
                                    " FROM proposal p WHERE proposal_id = ?1",
                                    &s, e)) != 0) {
        return rc;
    }
    stmt_text(s, 1, id);
    rc = stmt_row(s, e);
    if (rc > 0) {
        *ret_expires = stmt_get_int(s, 0);
        *ret_steps = stmt_get_int(s, 1);
        rc = 0;
    }
    stmt_done(s);
    return rc;
}

static int check_step(Db *db, StepPayload *p, bool note, Err *e)
{
    int64_t expires = 0, steps = 0;
    ProposalState state = PROPOSAL_DRAFT, to = p->step.to;
    int rc = read_head(db, p->id, &state, &expires, &steps, e);
    if (rc != 0) {
        return rc;
    }
    if (steps >= PROPOSAL_STEPS_MAX) {
        return err_set(e, ERR_LIMIT, "proposal %.*s has %d steps and notes already",
                       SLICE_FMT(p->id), PROPOSAL_STEPS_MAX);
    }
    p->step.from = state;
    if (note) {
        p->step.to = state;
        return 0;
    }
    if (!proposal_may(state, to)) {
        return err_set(e, ERR_CONFLICT, "proposal %.*s is %s and cannot become %s",
                       SLICE_FMT(p->id), PROPOSAL_STATE_NAMES[state], PROPOSAL_STATE_NAMES[to]);
    }
    bool late = expires > 0 && p->step.at_unix_ns >= expires && state < PROPOSAL_APPLIED;
    if (late && to != PROPOSAL_EXPIRED && to != PROPOSAL_REJECTED) {
        return err_set(e, ERR_CONFLICT, "proposal %.*s has expired", SLICE_FMT(p->id));
    }
    return 0;
}

static int step_or_note(Ledger *ledger, Slice id, const ProposalStep *step, bool note, Err *e)
{
    StepPayload p = {.id = id, .step = *step};
    p.step.at_unix_ns = or_now(step->at_unix_ns);
    int rc = ledger_expect_writable(ledger, e);
    if (rc == 0 && !note && step->to >= PROPOSAL_STATES) {
        rc = err_set(e, ERR_ARG, "there is no such state");
    }
    // The state is read under the write lock: of two that decide, the second sees the first.
    if (rc != 0 || (rc = db_begin_write(ledger->db, e)) != 0) {
        return rc;
    }
    Buf payload = buf_create(RECORD_PAYLOAD_MAX);
    rc = check_step(ledger->db, &p, note, e);
    rc = rc == 0 ? proposal_payload_step(&p, &payload, e) : rc;
    if (rc == 0) {
        rc = append(ledger, note ? RECORD_PROPOSAL_NOTE : RECORD_PROPOSAL_STEP, buf_slice(&payload),
                    e);
    }
    db_end(ledger->db, rc);
    buf_done(&payload);
    return rc;
}

int proposal_step(Ledger *ledger, Slice id, const ProposalStep *step, Err *e)
{
    return step_or_note(ledger, id, step, false, e);
}

int proposal_note(Ledger *ledger, Slice id, const ProposalStep *note, Err *e)
{
    return step_or_note(ledger, id, note, true, e);
}

static int next_due(Db *db, int64_t now_unix_ns, char ret_id[PROPOSAL_ID_LEN + 1], Err *e)
{
    Stmt *s;
    int rc = db_prepare(db,
                        "SELECT proposal_id FROM proposal WHERE expires_unix_ns > 0"
                        " AND expires_unix_ns <= ?1 AND state < ?2 ORDER BY run_seq LIMIT 1",
                        &s, e);
    if (rc != 0) {
        return rc;
    }
    stmt_int(s, 1, now_unix_ns);
    stmt_int(s, 2, PROPOSAL_APPLIED);
    rc = stmt_row(s, e);
    if (rc > 0) {
        (void)snprintf(ret_id, PROPOSAL_ID_LEN + 1, "%.*s", SLICE_FMT(stmt_get_text(s, 0)));
    }
    stmt_done(s);
    return rc;
}

int proposal_expire_due(Ledger *ledger, int64_t now_unix_ns, int64_t *ret_count, Err *e)
{
    char id[PROPOSAL_ID_LEN + 1];
    int64_t count = 0;
    int rc;
    while ((rc = next_due(ledger->db, now_unix_ns, id, e)) > 0) {
        ProposalStep step = {.to = PROPOSAL_EXPIRED,
                             .at_unix_ns = now_unix_ns,
                             .author = SLICE("perfwright"),
                             .reason = SLICE("its time is over")};
        rc = proposal_step(ledger, slice_from_cstr(id), &step, e);
        if (rc != 0 && rc != ERR_CONFLICT) { // a conflict: somebody decided in this moment
            return rc;
        }
        count += rc == 0;
    }
    *ret_count = rc == 0 ? count : *ret_count;
    return rc;
}
