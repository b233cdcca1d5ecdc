#include "ledger/observation.h"

#include "ledger/ledger_test.h"

typedef struct Seen {
    char text[64];
    int stop_after;
} Seen;

static int see(void *ctx, Slice table, Err *e)
{
    (void)e;
    Seen *seen = ctx;
    size_t used = strlen(seen->text);
    (void)snprintf(seen->text + used, sizeof seen->text - used, "%.*s;", SLICE_FMT(table));
    return --seen->stop_after == 0 ? ERR_CANCELLED : 0;
}

static void test_in_order_and_in_the_chain(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    assert_ok(box, observation_append(ledger, SLICE("{\"a\":1}"), &box->e));
    assert_ok(box, observation_append(ledger, SLICE("{\"b\":2}"), &box->e));
    Seen seen = {0};
    assert_ok(box, observation_each(ledger, see, &seen, &box->e));
    assert_string_equal(seen.text, "{\"a\":1};{\"b\":2};");
    seen = (Seen){.stop_after = 1};
    assert_int_equal(observation_each(ledger, see, &seen, &box->e), ERR_CANCELLED);
    assert_string_equal(seen.text, "{\"a\":1};");
    // What has no projection survives making the projections anew, and is hashed like the rest.
    assert_ok(box, ledger_rebuild(ledger, &box->e));
    LedgerCheck check;
    assert_ok(box, ledger_verify(ledger, (Slice){0}, NULL, NULL, &check, &box->e));
    assert_int_equal(check.records, 2);
    ledger_close(ledger);
}

static void test_refusals(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box), *reader;
    char *big = mem_zalloc(OBSERVATION_BYTES_MAX + 1);
    Slice table = {big, OBSERVATION_BYTES_MAX};
    assert_ok(box, observation_append(ledger, table, &box->e));
    table.len++;
    assert_int_equal(observation_append(ledger, table, &box->e), ERR_LIMIT);
    ledger_close(ledger);
    LedgerOptions o = {.path = box->path, .read_only = true};
    assert_ok(box, ledger_open(&o, &reader, &box->e));
    assert_int_equal(observation_append(reader, SLICE("{}"), &box->e), ERR_REFUSED);
    ledger_close(reader);
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_in_order_and_in_the_chain, sandbox_setup,
                                        sandbox_teardown),
        cmocka_unit_test_setup_teardown(test_refusals, sandbox_setup, sandbox_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
