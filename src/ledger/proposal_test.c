#include "ledger/proposal.h"

#include <math.h>
#include <sys/wait.h>

#include "ledger/ledger_impl.h"
#include "ledger/ledger_test.h"
#include "ledger/projection.h"
#include "ledger/proposal_impl.h"

static ProposalEstimate PREDICTED[] = {
    {SLICE_INIT("tasks.p99"), 1.8, 1.6, 2.1, 0.9},
    {SLICE_INIT("batch.p99"), (double)INFINITY, 3, (double)INFINITY, 0.9}};
static ProposalEstimate OBSERVED[] = {{SLICE_INIT("tasks.p99"), 1.9, 1.9, 1.9, 0.95}};

static Proposal sample(void)
{
    return (Proposal){.kind = PROPOSAL_POLICY,
                      .target = SLICE("codegen-pipeline"),
                      .title = SLICE("move the retry to b"),
                      .author = SLICE("a"),
                      .reason = SLICE("p99 of tasks is 9.1 s, promised are 4 s"),
                      .content_json = SLICE("{\"changes\": {\"b->c.retry.attempts\": \"4\", "
                                            "\"a->b.retry.attempts\": \"1\"}}"),
                      .predicted = {PREDICTED, COUNT_OF(PREDICTED)}};
}

static int step_to(Sandbox *box, Ledger *ledger, const char *id, ProposalState to)
{
    return proposal_step(ledger, slice_from_cstr(id),
                         &(ProposalStep){.to = to, .author = SLICE("b"), .reason = SLICE("why")},
                         &box->e);
}

static void draft(Sandbox *box, Ledger *ledger, Proposal *p)
{
    *p = sample();
    assert_ok(box, proposal_create(ledger, p, &box->e));
}

static Proposal *load(Sandbox *box, Ledger *ledger, const char *selector)
{
    Proposal *p = NULL;
    assert_ok(box, proposal_load(ledger, slice_from_cstr(selector), box->arena, &p, &box->e));
    return p;
}

static void verify(Sandbox *box, Ledger *ledger)
{
    LedgerCheck check;
    assert_ok(box, ledger_verify(ledger, (Slice){0}, NULL, NULL, &check, &box->e));
}

// ---- the life of one

static void test_from_draft_to_kept(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    Proposal p;
    draft(box, ledger, &p);
    const ProposalState path[] = {PROPOSAL_VALIDATED, PROPOSAL_APPROVED, PROPOSAL_APPLIED};
    for (size_t i = 0; i < COUNT_OF(path); i++) {
        assert_ok(box, step_to(box, ledger, p.id, path[i]));
    }
    Slice evidence[] = {SLICE("run:01ABC/tasks"), SLICE("https://example.org/x")};
    ProposalStep kept = {.to = PROPOSAL_KEPT,
                         .author = SLICE("watcher"),
                         .reason = SLICE("as predicted"),
                         .evidence = {evidence, 2},
                         .observed = {OBSERVED, 1}};
    ProposalStep note = {.author = SLICE("watcher"), .reason = SLICE("first window")};
    assert_ok(box, proposal_note(ledger, slice_from_cstr(p.id), &note, &box->e));
    assert_ok(box, proposal_step(ledger, slice_from_cstr(p.id), &kept, &box->e));
    Proposal *back = load(box, ledger, "latest");
    assert_string_equal(back->id, p.id);
    assert_int_equal(back->state, PROPOSAL_KEPT);
    assert_int_equal(back->kind, PROPOSAL_POLICY);
    assert_true(slice_eq(back->title, SLICE("move the retry to b")));
    assert_true(slice_eq(back->content_json, SLICE("{\"changes\":{\"a->b.retry.attempts\":\"1\","
                                                   "\"b->c.retry.attempts\":\"4\"}}")));
    assert_int_equal(back->predicted.count, 2);
    assert_true(slice_eq(back->predicted.items[0].name, SLICE("batch.p99")));
    assert_true(isinf(back->predicted.items[0].value));
    assert_true(back->observed.items[0].value == 1.9);
    assert_int_equal(back->evidence.count, 2);
    assert_int_equal(back->step_count, 5);
    assert_int_equal(back->steps[3].from, PROPOSAL_APPLIED); // the note
    assert_int_equal(back->steps[3].to, PROPOSAL_APPLIED);
    assert_int_equal(back->steps[4].to, PROPOSAL_KEPT);
    assert_true(slice_eq(back->steps[4].reason, SLICE("as predicted")));
    assert_true(back->updated_unix_ns >= back->created_unix_ns);
    verify(box, ledger);
    // What was kept may still be taken back, and then nothing more.
    assert_ok(box, step_to(box, ledger, p.id, PROPOSAL_ROLLED_BACK));
    assert_int_equal(step_to(box, ledger, p.id, PROPOSAL_APPLIED), ERR_CONFLICT);
    assert_non_null(strstr(box->e.text, "is rolled_back and cannot become applied"));
    ledger_close(ledger);
}

// The picture in the header, arrow by arrow.
static void test_what_may_follow(void **state)
{
    (void)state;
    static const char *const MAY[PROPOSAL_STATES] = {
        // d v a A k r R e
        "01000011", // draft
        "00100011", // validated
        "00010011", // approved
        "00001100", // applied
        "00000100", // kept
        "00000000", // rolled back
        "00000000", // rejected
        "00000000", // expired
    };
    for (unsigned from = 0; from < PROPOSAL_STATES; from++) {
        bool any = false;
        for (unsigned to = 0; to < PROPOSAL_STATES; to++) {
            bool may = MAY[from][to] == '1';
            any = any || may;
            assert_int_equal(proposal_may((ProposalState)from, (ProposalState)to), may);
        }
        assert_int_equal(proposal_is_final((ProposalState)from), !any);
        assert_non_null(PROPOSAL_STATE_NAMES[from]);
    }
}

static void test_expiry(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    Proposal p = sample(), applied = sample(), open = sample();
    p.created_unix_ns = applied.created_unix_ns = open.created_unix_ns = 1000;
    p.expires_unix_ns = applied.expires_unix_ns = 2000;
    assert_ok(box, proposal_create(ledger, &p, &box->e));
    assert_ok(box, proposal_create(ledger, &applied, &box->e));
    assert_ok(box, proposal_create(ledger, &open, &box->e));
    for (ProposalState to = PROPOSAL_VALIDATED; to <= PROPOSAL_APPLIED; to++) {
        ProposalStep step = {.to = to, .at_unix_ns = 1999};
        assert_ok(box, proposal_step(ledger, slice_from_cstr(applied.id), &step, &box->e));
    }
    ProposalStep late = {.to = PROPOSAL_VALIDATED, .at_unix_ns = 2000};
    assert_int_equal(proposal_step(ledger, slice_from_cstr(p.id), &late, &box->e), ERR_CONFLICT);
    assert_non_null(strstr(box->e.text, "has expired"));
    // One that is applied is judged, however late.
    late.to = PROPOSAL_KEPT;
    assert_ok(box, proposal_step(ledger, slice_from_cstr(applied.id), &late, &box->e));
    int64_t count = 0;
    assert_ok(box, proposal_expire_due(ledger, 1999, &count, &box->e));
    assert_int_equal(count, 0);
    assert_ok(box, proposal_expire_due(ledger, 2000, &count, &box->e));
    assert_int_equal(count, 1);
    assert_int_equal(load(box, ledger, p.id)->state, PROPOSAL_EXPIRED);
    assert_int_equal(load(box, ledger, open.id)->state, PROPOSAL_DRAFT);
    ledger_close(ledger);
}

// ---- finding

static void test_lists_and_selectors(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    Proposal p[3];
    for (size_t i = 0; i < COUNT_OF(p); i++) {
        p[i] = sample();
        p[i].kind = (ProposalKind)i;
        p[i].target = i == 2 ? SLICE("other") : SLICE("codegen-pipeline");
        // Ids begin with the time: two share their first ten characters, the third is far off.
        p[i].created_unix_ns = i == 2 ? INT64_C(1) << 60 : 5000000;
        assert_ok(box, proposal_create(ledger, &p[i], &box->e));
    }
    assert_ok(box, step_to(box, ledger, p[1].id, PROPOSAL_REJECTED));
    Proposal *items;
    size_t count;
    ProposalKind patch = PROPOSAL_PATCH;
    ProposalState drafts = PROPOSAL_DRAFT;
    const struct {
        ProposalFilter filter;
        size_t count;
        const char *first;
    } CASES[] = {
        {{0}, 3, p[2].id},
        {{.limit = 1}, 1, p[2].id},
        {{.kind = &patch}, 1, p[1].id},
        {{.state = &drafts}, 2, p[2].id},
        {{.target = SLICE("codegen-pipeline")}, 2, p[1].id},
        {{.target = SLICE("nothing")}, 0, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        assert_ok(box,
                  proposal_list(ledger, &CASES[i].filter, box->arena, &items, &count, &box->e));
        assert_int_equal(count, CASES[i].count);
        if (count > 0) {
            assert_string_equal(items[0].id, CASES[i].first);
        }
    }
    assert_string_equal(load(box, ledger, "latest~2")->id, p[0].id);
    p[2].id[12] = '\0';
    assert_true(slice_starts_with(slice_from_cstr(load(box, ledger, p[2].id)->id),
                                  slice_from_cstr(p[2].id)));
    p[0].id[10] = '\0';
    Proposal *none;
    static const struct {
        const char *selector;
        int code;
    } BAD[] = {{"latest~3", ERR_NOT_FOUND}, {"latest~x", ERR_ARG}, {"latest~-1", ERR_ARG},
               {"7ZZZZZZZ", ERR_NOT_FOUND}, {"7ZZ", ERR_ARG},      {"", ERR_ARG}};
    for (size_t i = 0; i < COUNT_OF(BAD); i++) {
        assert_int_equal(
            proposal_load(ledger, slice_from_cstr(BAD[i].selector), box->arena, &none, &box->e),
            BAD[i].code);
    }
    assert_int_equal(proposal_load(ledger, slice_from_cstr(p[0].id), box->arena, &none, &box->e),
                     ERR_ARG); // ambiguous
    ledger_close(ledger);
}

static void test_limits(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    char *text = mem_zalloc(PROPOSAL_TEXT_MAX + 2);
    memset(text, 't', PROPOSAL_TEXT_MAX + 1);
    Proposal p = sample();
    p.title = (Slice){text, PROPOSAL_TEXT_MAX};
    assert_ok(box, proposal_create(ledger, &p, &box->e));
    p.title.len++;
    assert_int_equal(proposal_create(ledger, &p, &box->e), ERR_ARG);
    p = sample();
    p.content_json = SLICE("{");
    assert_int_equal(proposal_create(ledger, &p, &box->e), ERR_ARG);
    p = sample();
    ProposalEstimate twice[] = {PREDICTED[0], PREDICTED[0]};
    p.predicted = (ProposalEstimates){twice, 2};
    assert_int_equal(proposal_create(ledger, &p, &box->e), ERR_ARG);
    p = sample();
    (void)snprintf(p.parent, sizeof p.parent, "01HHHHHHHHHHHHHHHHHHHHHHHH");
    assert_int_equal(proposal_create(ledger, &p, &box->e), ERR_NOT_FOUND);
    Slice *evidence = mem_zalloc((PROPOSAL_EVIDENCE_MAX + 1) * sizeof *evidence);
    for (size_t i = 0; i <= PROPOSAL_EVIDENCE_MAX; i++) {
        evidence[i] = SLICE("e");
    }
    p = sample();
    p.evidence = (ProposalEvidence){evidence, PROPOSAL_EVIDENCE_MAX};
    assert_ok(box, proposal_create(ledger, &p, &box->e));
    ProposalStep step = {.evidence = {evidence, PROPOSAL_EVIDENCE_MAX + 1}};
    assert_int_equal(proposal_note(ledger, slice_from_cstr(p.id), &step, &box->e), ERR_ARG);
    ProposalEstimate *many = mem_zalloc((PROPOSAL_ESTIMATES_MAX + 1) * sizeof *many);
    char(*names)[8] = mem_zalloc((PROPOSAL_ESTIMATES_MAX + 1) * sizeof *names);
    for (size_t i = 0; i <= PROPOSAL_ESTIMATES_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "n%zu", i);
        many[i] = (ProposalEstimate){.name = slice_from_cstr(names[i])};
    }
    step = (ProposalStep){.observed = {many, PROPOSAL_ESTIMATES_MAX}};
    assert_ok(box, proposal_note(ledger, slice_from_cstr(p.id), &step, &box->e));
    step.observed.count++;
    assert_int_equal(proposal_note(ledger, slice_from_cstr(p.id), &step, &box->e), ERR_ARG);
    step = (ProposalStep){.reason = SLICE("n")};
    for (int i = 1; i < PROPOSAL_STEPS_MAX; i++) {
        assert_ok(box, proposal_note(ledger, slice_from_cstr(p.id), &step, &box->e));
    }
    assert_int_equal(proposal_note(ledger, slice_from_cstr(p.id), &step, &box->e), ERR_LIMIT);
    assert_int_equal(load(box, ledger, p.id)->step_count, PROPOSAL_STEPS_MAX);
    assert_int_equal(step_to(box, ledger, "01HHHHHHHHHHHHHHHHHHHHHHHH", PROPOSAL_REJECTED),
                     ERR_NOT_FOUND);
    free(names);
    free(many);
    free(evidence);
    free(text);
    ledger_close(ledger);
}

// ---- as other records are

static void test_rebuilding_changes_nothing(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    Proposal p, q;
    Sha256 before, after;
    draft(box, ledger, &p);
    draft(box, ledger, &q);
    assert_ok(box, step_to(box, ledger, p.id, PROPOSAL_VALIDATED));
    assert_ok(box, step_to(box, ledger, q.id, PROPOSAL_REJECTED));
    assert_ok(box, projection_digest(ledger->db, &before, &box->e));
    assert_ok(box, ledger_rebuild(ledger, &box->e));
    assert_ok(box, projection_digest(ledger->db, &after, &box->e));
    assert_true(sha256_eq(&before, &after));
    assert_int_equal(load(box, ledger, p.id)->state, PROPOSAL_VALIDATED);
    ledger_close(ledger);
}

// Whoever writes records past this machine is found out, also with hashes that are right.
static void test_a_step_that_is_not_allowed_shows(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    Proposal p;
    draft(box, ledger, &p);
    StepPayload s = {.id = slice_from_cstr(p.id),
                     .step = {.from = PROPOSAL_DRAFT, .to = PROPOSAL_APPLIED}};
    Buf payload = buf_create(RECORD_PAYLOAD_MAX);
    assert_ok(box, proposal_payload_step(&s, &payload, &box->e));
    // The projection refuses it ...
    assert_ok(box, db_begin_write(ledger->db, &box->e));
    assert_int_equal(
        record_append_ledger(ledger->db, RECORD_PROPOSAL_STEP, buf_slice(&payload), &box->e),
        ERR_CONFLICT);
    db_rollback(ledger->db);
    // ... and where there was none, verification says so.
    assert_ok(box, db_begin_write(ledger->db, &box->e));
    assert_ok(box, record_append_ledger(ledger->db, SLICE("proposal.other"), buf_slice(&payload),
                                        &box->e));
    assert_ok(box, db_commit(ledger->db, &box->e));
    verify(box, ledger);
    Record r = {.chain = LEDGER_CHAIN,
                .run_seq = 2,
                .kind = RECORD_PROPOSAL_STEP,
                .version = RECORD_VERSION,
                .payload_sha256 = sha256_of(buf_slice(&payload))};
    ChainHead head;
    Stmt *stmt;
    assert_ok(box,
              db_prepare(ledger->db, "SELECT hash FROM record WHERE run_seq = 1", &stmt, &box->e));
    assert_int_equal(stmt_row(stmt, &box->e), 1);
    memcpy(r.prev_hash.bytes, stmt_get_blob(stmt, 0).ptr, SHA256_BYTES);
    stmt_done(stmt);
    r.hash = record_hash(&r);
    assert_ok(box, db_prepare(ledger->db,
                              "UPDATE record SET kind = 'proposal.step', hash = ?1"
                              " WHERE run_seq = 2",
                              &stmt, &box->e));
    stmt_blob(stmt, 1, sha256_slice(&r.hash));
    assert_ok(box, stmt_run(stmt, &box->e));
    LedgerCheck check;
    assert_int_equal(ledger_verify(ledger, (Slice){0}, NULL, NULL, &check, &box->e), ERR_CORRUPT);
    assert_ok(box, chain_head(ledger->db, LEDGER_CHAIN, &head, &box->e));
    assert_int_equal(ledger_rebuild(ledger, &box->e), ERR_CONFLICT);
    buf_done(&payload);
    ledger_close(ledger);
}

// A ledger of an older program has no tables for proposals.
static void test_older_ledgers(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    char id[RUN_ID_LEN + 1];
    write_sample_run(box, ledger, "x", 1, id);
    assert_ok(box, db_exec(ledger->db,
                           "DROP TABLE proposal; DROP TABLE proposal_step;"
                           " DROP TABLE proposal_evidence",
                           &box->e));
    ledger_close(ledger);
    LedgerOptions o = {.path = box->path, .read_only = true, .must_exist = true};
    Proposal *items;
    size_t count = 1;
    assert_ok(box, ledger_open(&o, &ledger, &box->e));
    assert_ok(box,
              proposal_list(ledger, &(ProposalFilter){0}, box->arena, &items, &count, &box->e));
    assert_int_equal(count, 0);
    PruneOptions prune = {.before_unix_ns = INT64_MAX, .dry_run = true};
    int64_t runs = 0;
    assert_ok(box, ledger_prune(ledger, &prune, &runs, &box->e));
    assert_int_equal(runs, 1);
    Proposal p = sample();
    assert_int_equal(proposal_create(ledger, &p, &box->e), ERR_REFUSED);
    assert_int_equal(step_to(box, ledger, id, PROPOSAL_KEPT), ERR_REFUSED);
    ledger_close(ledger);
    ledger = sandbox_open(box);
    draft(box, ledger, &p);
    assert_string_equal(load(box, ledger, "latest")->id, p.id);
    ledger_close(ledger);
}

// What an open proposal rests on stays in full.
static void test_pruning_keeps_evidence(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    char id[RUN_ID_LEN + 1];
    write_sample_run(box, ledger, "x", 1, id);
    Slice evidence = slice_from_cstr(id);
    Proposal p = sample();
    p.evidence = (ProposalEvidence){&evidence, 1};
    assert_ok(box, proposal_create(ledger, &p, &box->e));
    PruneOptions prune = {.before_unix_ns = INT64_MAX};
    int64_t runs = 7;
    assert_ok(box, ledger_prune(ledger, &prune, &runs, &box->e));
    assert_int_equal(runs, 0);
    assert_ok(box, step_to(box, ledger, p.id, PROPOSAL_REJECTED));
    assert_ok(box, ledger_prune(ledger, &prune, &runs, &box->e));
    assert_int_equal(runs, 1);
    verify(box, ledger);
    ledger_close(ledger);
}

static void test_export(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    Proposal p;
    draft(box, ledger, &p);
    assert_ok(box, step_to(box, ledger, p.id, PROPOSAL_REJECTED));
    Buf out = buf_create(1 << 20);
    assert_ok(box, proposal_export(ledger, SLICE("latest"), &out, &box->e));
    const Doc *d;
    assert_ok(box, doc_parse(box->arena, buf_slice(&out), NULL, &d, &box->e));
    const Doc *proposal = doc_get(d, SLICE("proposal"));
    assert_true(slice_eq(doc_get(proposal, SLICE("state"))->text, SLICE("rejected")));
    const Doc *records = doc_get(d, SLICE("records"));
    assert_int_equal(doc_count(records), 2);
    LedgerHead head;
    assert_ok(box, ledger_head(ledger, &head, &box->e));
    assert_true(slice_eq_cstr(doc_get(doc_at(records, 1), SLICE("hash"))->text, head.hash));
    assert_true(slice_eq(doc_get(doc_get(doc_at(records, 0), SLICE("payload")), SLICE("id"))->text,
                         slice_from_cstr(p.id)));
    buf_done(&out);
    ledger_close(ledger);
}

// Two processes decide about the same proposals: each is decided once, and the chain is whole.
static void test_two_processes_decide(void **state)
{
    enum { PROPOSALS = 20 };
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    Proposal p[PROPOSALS];
    for (size_t i = 0; i < PROPOSALS; i++) {
        draft(box, ledger, &p[i]);
    }
    ledger_close(ledger);
    for (int who = 0; who < 2; who++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            int won = 0;
            ledger = sandbox_open(box);
            for (size_t i = 0; i < PROPOSALS; i++) {
                int rc = step_to(box, ledger, p[i].id, PROPOSAL_VALIDATED);
                won += rc == 0;
                if (rc != 0 && rc != ERR_CONFLICT) {
                    _exit(100);
                }
                Proposal mine;
                draft(box, ledger, &mine);
            }
            ledger_close(ledger);
            _exit(won);
        }
    }
    int decided = 0;
    for (int who = 0; who < 2; who++) {
        int status = 1;
        assert_true(wait(&status) > 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= PROPOSALS);
        decided += WEXITSTATUS(status);
    }
    assert_int_equal(decided, PROPOSALS);
    ledger = sandbox_open(box);
    verify(box, ledger);
    LedgerHead head;
    assert_ok(box, ledger_head(ledger, &head, &box->e));
    assert_int_equal(head.records, PROPOSALS + PROPOSALS + 2 * PROPOSALS);
    ledger_close(ledger);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, sandbox_setup, sandbox_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_from_draft_to_kept),
        cmocka_unit_test(test_what_may_follow),
        TEST(test_expiry),
        TEST(test_lists_and_selectors),
        TEST(test_limits),
        TEST(test_rebuilding_changes_nothing),
        TEST(test_a_step_that_is_not_allowed_shows),
        TEST(test_older_ledgers),
        TEST(test_pruning_keeps_evidence),
        TEST(test_export),
        TEST(test_two_processes_decide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
