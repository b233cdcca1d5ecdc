#include "ledger/ledger_impl.h"
#include "ledger/ledger_test.h"

typedef struct Found {
    size_t count;
    char text[4096];
} Found;

static void collect(void *ctx, const LedgerProblem *p)
{
    Found *found = ctx;
    size_t used = strlen(found->text);
    (void)snprintf(found->text + used, sizeof found->text - used, "%.*s|%lld|%.*s|%s\n",
                   SLICE_FMT(p->run_id), (long long)p->run_seq, SLICE_FMT(p->kind), p->what);
    found->count++;
}

static void test_an_untouched_ledger_verifies(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    LedgerHead head;
    LedgerCheck check;
    assert_ok(box, ledger_head(ledger, &head, &box->e));
    assert_int_equal(head.records, 0);
    char id[RUN_ID_LEN + 1];
    write_sample_run(box, ledger, "x", 3, id);
    assert_ok(box, ledger_head(ledger, &head, &box->e));
    assert_int_equal(head.records, 1);
    write_sample_run(box, ledger, "y", 3, id);
    // An older head is still in the chain.
    assert_ok(box, ledger_verify(ledger, slice_from_cstr(head.hash), NULL, NULL, &check, &box->e));
    assert_int_equal(check.chains, 3);
    // begin, 4 series, 3 intervals, event, end; twice, and two seals.
    assert_int_equal(check.records, 2 * 10 + 2);
    assert_int_equal(ledger_verify(ledger, SLICE("xyz"), NULL, NULL, &check, &box->e), ERR_ARG);
    ledger_close(ledger);
}

// Every change is named by run, place and kind. Record 6 of the run is its first interval.
static void test_every_change_is_named(void **state)
{
    enum { EXPECTED_MAX = 5 };
    static const struct {
        const char *sql;
        const char *expected[EXPECTED_MAX];
    } cases[] = {
        {"UPDATE record SET payload = CAST(replace(CAST(payload AS TEXT), '\"count\":100',"
         " '\"count\":101') AS BLOB) WHERE run_seq = 6 AND run_id <> 'ledger'",
         {"|6|run.interval|its payload was changed"}},
        {"UPDATE record SET hash = zeroblob(32) WHERE run_seq = 6 AND run_id <> 'ledger'",
         {"|6|run.interval|its place, kind, version or hash was changed",
          "|7|run.interval|it does not follow the record before it"}},
        {"UPDATE record SET kind = 'run.event' WHERE run_seq = 6 AND run_id <> 'ledger'",
         {"|6|run.event|its place, kind, version or hash was changed"}},
        {"DELETE FROM record WHERE run_seq = 6 AND run_id <> 'ledger'",
         {"|7|run.interval|the record before it is missing",
          "|7|run.interval|it does not follow the record before it"}},
        {"UPDATE record SET run_seq = CASE run_seq WHEN 6 THEN 1007 ELSE 1006 END"
         " WHERE run_seq IN (6, 7) AND run_id <> 'ledger';"
         "UPDATE record SET run_seq = run_seq - 1000 WHERE run_seq > 1000",
         {"|6|run.interval|its place, kind, version or hash was changed",
          "|6|run.interval|it does not follow the record before it",
          "|7|run.interval|its place, kind, version or hash was changed",
          "|7|run.interval|it does not follow the record before it",
          "|8|run.interval|it does not follow the record before it"}},
        {"UPDATE record SET payload = NULL WHERE run_seq = 6 AND run_id <> 'ledger'",
         {"|6|run.interval|its payload is gone and was never pruned"}},
        {"DELETE FROM record WHERE run_seq = 10 AND run_id <> 'ledger'",
         {"|0||records are missing at its end, or were added to it"}},
        {"DELETE FROM record WHERE run_id = 'ledger'",
         {"|10|run.end|the run ended and has no seal", "ledger|0||the known head is not in it"}},
        {"DELETE FROM record WHERE run_id <> 'ledger'",
         {"|0||records are missing at its end, or were added to it"}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(i == 0 ? 0 : sandbox_setup(state), 0);
        Sandbox *box = *state;
        Ledger *ledger = sandbox_open(box);
        char id[RUN_ID_LEN + 1];
        LedgerHead head;
        LedgerCheck check;
        Found found = {0};
        write_sample_run(box, ledger, "x", 3, id);
        assert_ok(box, ledger_head(ledger, &head, &box->e));
        assert_ok(box, db_exec(ledger->db, cases[i].sql, &box->e));
        assert_int_equal(
            ledger_verify(ledger, slice_from_cstr(head.hash), collect, &found, &check, &box->e),
            ERR_CORRUPT);
        size_t expected = 0;
        for (size_t k = 0; k < EXPECTED_MAX && cases[i].expected[k]; k++, expected++) {
            if (!strstr(found.text, cases[i].expected[k])) {
                fail_msg("case %zu: no \"%s\" in\n%s", i, cases[i].expected[k], found.text);
            }
        }
        if (found.count != expected) {
            fail_msg("case %zu: not expected:\n%s", i, found.text);
        }
        ledger_close(ledger);
        if (i + 1 < COUNT_OF(cases)) {
            assert_int_equal(sandbox_teardown(state), 0);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_setup, sandbox_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_untouched_ledger_verifies),
        TEST(test_every_change_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
