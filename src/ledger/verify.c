// Verification: one walk over all chains, then the seals against what they sealed.
#include "base/map.h"
#include "ledger/ledger_impl.h"
#include "ledger/payload.h"
#include "ledger/proposal_impl.h"
#include "ledger/record.h"

enum { ARENA_BYTES_MAX = 1 << 30, RUNS_MAX = 1 << 20, RECORD_ARENA_BYTES_MAX = 512 << 20 };

// What is known of one run's chain.
typedef struct Chain {
    Slice id;
    int64_t records;
    Sha256 head;
    bool ended;
    // From the ledger's chain:
    bool sealed;
    bool pruned;
    int64_t sealed_records;
    Sha256 sealed_head;
} Chain;

typedef struct Verifier {
    Db *db;
    Arena *arena;  // of the chains
    Arena *record; // of one record
    Map chains;    // run id to Chain
    Map proposals; // id to ProposalState, as its steps so far say
    void (*report)(void *ctx, const LedgerProblem *problem);
    void *ctx;
    LedgerCheck check;
    Sha256 known_head;
    bool head_wanted, head_seen;
} Verifier;

static void problem(Verifier *v, Slice run_id, int64_t run_seq, Slice kind, const char *what)
{
    v->check.problems++;
    if (v->report) {
        v->report(v->ctx, &(LedgerProblem){run_id, run_seq, kind, what});
    }
}

static Chain *chain_of(Verifier *v, Slice id)
{
    Chain *c = map_get(&v->chains, id);
    if (!c) {
        c = ARENA_NEW(v->arena, Chain);
        c->id = arena_copy(v->arena, id);
        // Past the ceiling the run is still walked, only its seal is not compared.
        if (map_put(&v->chains, c->id, c) != 0) {
            problem(v, id, 0, (Slice){0}, "there are too many runs to compare with their seals");
        }
    }
    return c;
}

// ---- what the ledger's own chain says about the runs: read first, whether it verifies or not

static void note_seal(Verifier *v, const Record *r)
{
    SealPayload seal;
    Sha256 head;
    if (payload_read_seal(v->record, r->payload, &seal, NULL) != 0 ||
        sha256_parse(seal.head, &head) != 0) {
        problem(v, r->chain, r->run_seq, r->kind, "it is no seal");
        return;
    }
    Chain *c = chain_of(v, seal.run_id);
    c->sealed = true;
    c->sealed_records = seal.records;
    c->sealed_head = head;
}

static void note_pruned(Verifier *v, const Record *r)
{
    PinPayload p;
    if (payload_read_pin(v->record, r->payload, &p, NULL) != 0) {
        problem(v, r->chain, r->run_seq, r->kind, "it does not say which runs were pruned");
        return;
    }
    for (size_t i = 0; i < p.run_count; i++) {
        chain_of(v, p.run_ids[i])->pruned = true;
    }
}

// Of a proposal everything is in this chain: its steps must be ones that the machine allows.
static void note_draft(Verifier *v, const Record *r)
{
    Proposal p;
    if (!r->payload.ptr || proposal_read_draft(v->record, r->payload, &p, NULL) != 0) {
        problem(v, r->chain, r->run_seq, r->kind, "it is no proposal");
        return;
    }
    Slice id = arena_copy(v->arena, slice_from_cstr(p.id));
    if (map_get(&v->proposals, id)) {
        problem(v, r->chain, r->run_seq, r->kind, "it drafts a proposal that is there already");
        return;
    }
    ProposalState *state = ARENA_NEW(v->arena, ProposalState);
    *state = PROPOSAL_DRAFT;
    if (map_put(&v->proposals, id, state) != 0) {
        problem(v, r->chain, r->run_seq, r->kind, "there are too many proposals to follow them");
    }
}

static void note_step(Verifier *v, const Record *r)
{
    StepPayload p;
    bool note = slice_eq(r->kind, RECORD_PROPOSAL_NOTE);
    if (!r->payload.ptr || proposal_read_step(v->record, r->payload, &p, NULL) != 0) {
        problem(v, r->chain, r->run_seq, r->kind, "it is no step of a proposal");
        return;
    }
    ProposalState *state = map_get(&v->proposals, p.id);
    if (!state) {
        problem(v, r->chain, r->run_seq, r->kind, "it is about a proposal that nobody made");
    } else if (p.step.from != *state ||
               !(note ? p.step.to == p.step.from : proposal_may(p.step.from, p.step.to))) {
        problem(v, r->chain, r->run_seq, r->kind, "a proposal cannot go that way");
    } else {
        *state = p.step.to;
    }
}

static int note_ledger_chain(Verifier *v, Err *e)
{
    Stmt *s;
    Record r;
    int rc = record_chain(v->db, LEDGER_CHAIN, &s, e);
    if (rc != 0) {
        return rc;
    }
    while ((rc = record_next(s, &r, e)) > 0) {
        arena_reset(v->record);
        if (slice_eq(r.kind, RECORD_SEALED)) {
            note_seal(v, &r);
        } else if (slice_eq(r.kind, RECORD_PRUNED)) {
            note_pruned(v, &r);
        } else if (slice_eq(r.kind, RECORD_PROPOSAL_DRAFT)) {
            note_draft(v, &r);
        } else if (slice_eq(r.kind, RECORD_PROPOSAL_STEP) ||
                   slice_eq(r.kind, RECORD_PROPOSAL_NOTE)) {
            note_step(v, &r);
        }
        v->head_seen = v->head_seen || (v->head_wanted && sha256_eq(&r.hash, &v->known_head));
    }
    stmt_done(s);
    return rc;
}

// ---- every record

static void check_record(Verifier *v, Chain *c, const Record *r)
{
    if (r->run_seq != c->records + 1) {
        problem(v, r->chain, r->run_seq, r->kind, "the record before it is missing");
    }
    if (!sha256_eq(&r->prev_hash, &c->head)) {
        problem(v, r->chain, r->run_seq, r->kind, "it does not follow the record before it");
    }
    if (r->payload.ptr) {
        Sha256 payload = sha256_of(r->payload);
        if (!sha256_eq(&payload, &r->payload_sha256)) {
            problem(v, r->chain, r->run_seq, r->kind, "its payload was changed");
        }
    } else if (!c->pruned || !slice_eq(r->kind, RECORD_RUN_INTERVAL)) {
        problem(v, r->chain, r->run_seq, r->kind, "its payload is gone and was never pruned");
    }
    Sha256 hash = record_hash(r);
    if (!sha256_eq(&hash, &r->hash)) {
        problem(v, r->chain, r->run_seq, r->kind, "its place, kind, version or hash was changed");
    }
    // On from what is stored, so that one change is reported where it is and not ever after.
    c->records = r->run_seq;
    c->head = r->hash;
    c->ended = slice_eq(r->kind, RECORD_RUN_END);
}

static int check_records(Verifier *v, Err *e)
{
    Stmt *s;
    Record r;
    int rc =
        db_prepare(v->db, "SELECT " RECORD_COLUMNS " FROM record ORDER BY run_id, run_seq", &s, e);
    if (rc != 0) {
        return rc;
    }
    Chain *c = NULL;
    while ((rc = record_next(s, &r, e)) > 0) {
        if (!c || !slice_eq(c->id, r.chain)) {
            c = chain_of(v, r.chain);
            v->check.chains++;
        }
        check_record(v, c, &r);
        v->check.records++;
    }
    stmt_done(s);
    return rc;
}

static void check_seals(Verifier *v)
{
    Slice id;
    void *value;
    for (size_t at = 0; map_next(&v->chains, &at, &id, &value);) {
        const Chain *c = value;
        if (slice_eq(id, LEDGER_CHAIN)) {
            continue;
        }
        if (!c->sealed) {
            if (c->ended) {
                problem(v, id, c->records, RECORD_RUN_END, "the run ended and has no seal");
            }
        } else if (c->records != c->sealed_records) {
            problem(v, id, 0, (Slice){0}, "records are missing at its end, or were added to it");
        } else if (!sha256_eq(&c->head, &c->sealed_head)) {
            problem(v, id, c->records, RECORD_RUN_END, "it is not the record that was sealed");
        }
    }
    if (v->head_wanted && !v->head_seen) {
        problem(v, LEDGER_CHAIN, 0, (Slice){0},
                "the known head is not in it: it was cut off or rewritten");
    }
}

static int check_contents(Verifier *v, Err *e)
{
    Stmt *s;
    int rc = db_prepare(v->db, "SELECT sha256, bytes FROM content WHERE bytes IS NOT NULL", &s, e);
    if (rc != 0) {
        return rc;
    }
    while ((rc = stmt_row(s, e)) > 0) {
        Sha256 hash = sha256_of(stmt_get_blob(s, 1));
        char hex[SHA256_HEX + 1];
        sha256_hex(&hash, hex);
        v->check.contents++;
        if (!slice_eq_cstr(stmt_get_text(s, 0), hex)) {
            problem(v, stmt_get_text(s, 0), 0, (Slice){0}, "the bytes of this artifact changed");
        }
    }
    stmt_done(s);
    if (rc != 0 || (rc = db_prepare(v->db,
                                    "SELECT a.run_id FROM artifact a LEFT JOIN content c"
                                    " ON c.sha256 = a.sha256 JOIN run r ON r.run_id = a.run_id"
                                    " WHERE c.bytes IS NULL AND r.pruned = 0",
                                    &s, e)) != 0) {
        return rc;
    }
    while ((rc = stmt_row(s, e)) > 0) {
        problem(v, stmt_get_text(s, 0), 0, (Slice){0}, "the bytes of an artifact are missing");
    }
    stmt_done(s);
    return rc;
}

int ledger_verify(Ledger *ledger, Slice known_head,
                  void (*report)(void *ctx, const LedgerProblem *problem), void *ctx,
                  LedgerCheck *ret_check, Err *e)
{
    Verifier v = {
        .db = ledger->db, .report = report, .ctx = ctx, .head_wanted = known_head.len > 0};
    if (v.head_wanted && sha256_parse(known_head, &v.known_head) != 0) {
        return err_set(e, ERR_ARG, "a head has %d hexadecimal digits", LEDGER_HASH_LEN);
    }
    int rc = db_begin_read(ledger->db, e);
    if (rc != 0) {
        return rc;
    }
    v.arena = arena_create(ARENA_BYTES_MAX);
    v.record = arena_create(RECORD_ARENA_BYTES_MAX);
    v.chains = map_create(RUNS_MAX, 0);
    v.proposals = map_create(RUNS_MAX, 0);
    if ((rc = note_ledger_chain(&v, e)) == 0 && (rc = check_records(&v, e)) == 0) {
        check_seals(&v);
        rc = check_contents(&v, e);
    }
    map_done(&v.chains);
    map_done(&v.proposals);
    arena_destroy(v.record);
    arena_destroy(v.arena);
    db_rollback(ledger->db);
    if (rc == 0) {
        *ret_check = v.check;
    }
    return rc != 0                ? rc
           : v.check.problems > 0 ? err_set(e, ERR_CORRUPT, "the ledger '%s' has %lld problems",
                                            ledger->path, (long long)v.check.problems)
                                  : 0;
}

int ledger_head(Ledger *ledger, LedgerHead *ret_head, Err *e)
{
    ChainHead head;
    int rc = chain_head(ledger->db, LEDGER_CHAIN, &head, e);
    if (rc == 0) {
        ret_head->records = head.run_seq;
        sha256_hex(&head.hash, ret_head->hash);
    }
    return rc;
}
