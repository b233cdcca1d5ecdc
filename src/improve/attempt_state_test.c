#include "improve/place_test.h"

#include "improve/approval.h"
#include "improve/attempt_state.h"

static void test_saved_is_found_again(void **state)
{
    Fixture *f = *state;
    AttemptState a = {.id = SLICE("01ARZ3NDEKTSV4RRFFQ69G5FAV"),
                      .phase = ATTEMPT_JUDGING,
                      .round = 2,
                      .goal_id = SLICE("g1"),
                      .verdict = SLICE("NO EFFECT"),
                      .spent_ns = INT64_C(1234567890123)};
    AttemptState b = a, back;
    b.id = SLICE("01BRZ3NDEKTSV4RRFFQ69G5FAW");
    assert_int_equal(attempt_state_save(&f->place, f->arena, &a, NULL), 0);
    assert_int_equal(attempt_state_save(&f->place, f->arena, &b, NULL), 0);
    assert_int_equal(attempt_state_find(&f->place, f->arena, SLICE(""), &back, NULL), 0);
    assert_true(slice_eq(back.id, b.id));
    assert_int_equal(attempt_state_find(&f->place, f->arena, SLICE("5FAV"), &back, NULL), 0);
    assert_true(slice_eq(back.id, a.id));
    assert_int_equal(back.phase, ATTEMPT_JUDGING);
    assert_int_equal(back.spent_ns, a.spent_ns);
    assert_int_equal(attempt_state_find(&f->place, f->arena, SLICE("XX"), &back, NULL),
                     ERR_NOT_FOUND);
    // A state that was copied from elsewhere is not this attempt's.
    Slice text;
    assert_int_equal(
        place_read(&f->place, f->arena, attempt_file(f->arena, &a, "state.json"), &text, NULL), 0);
    assert_int_equal(place_write(&f->place, attempt_file(f->arena, &b, "state.json"), text, NULL),
                     0);
    assert_int_equal(attempt_state_find(&f->place, f->arena, SLICE(""), &back, NULL), ERR_CORRUPT);
}

static void test_one_process_at_a_time(void **state)
{
    Fixture *f = *state;
    AttemptState a = {.id = SLICE("01ARZ3NDEKTSV4RRFFQ69G5FAV")};
    int fd = -1, other = -1;
    assert_int_equal(attempt_state_save(&f->place, f->arena, &a, NULL), 0);
    assert_int_equal(attempt_lock(&f->place, f->arena, &a, &fd, NULL), 0);
    assert_int_equal(attempt_lock(&f->place, f->arena, &a, &other, NULL), ERR_BUSY);
    (void)close(fd);
    assert_int_equal(attempt_lock(&f->place, f->arena, &a, &fd, NULL), 0);
    (void)close(fd);
}

static void test_approval_is_of_what_was_looked_at(void **state)
{
    Fixture *f = *state;
    Ledger *ledger = NULL;
    char hash[SHA256_HEX + 1];
    Err e = {0};
    LedgerOptions options = {.path = arena_printf(f->arena, "%s/ledger.db", f->dir).ptr};
    assert_int_equal(ledger_open(&options, &ledger, &e), 0);
    assert_int_equal(approval_hash(&f->place, f->arena, APPROVAL_PLAN, hash, &e), ERR_NOT_FOUND);
    assert_non_null(strstr(e.text, "research"));
    assert_int_equal(place_write(&f->place, SLICE("plan.json"), SLICE("{}"), NULL), 0);
    assert_int_equal(approval_hash(&f->place, f->arena, APPROVAL_PLAN, hash, &e), 0);
    assert_int_equal(approval_check(ledger, f->place.target, APPROVAL_PLAN, hash, &e), ERR_REFUSED);
    assert_non_null(strstr(e.text, "was not approved"));
    assert_int_equal(approval_give(ledger, f->place.target, APPROVAL_PLAN, hash, SLICE("ann"),
                                   SLICE("{\"a\":1}"), &e),
                     0);
    assert_int_equal(approval_check(ledger, f->place.target, APPROVAL_PLAN, hash, &e), 0);
    assert_int_equal(approval_check(ledger, f->place.target, APPROVAL_STEPS, hash, &e),
                     ERR_REFUSED);
    assert_int_equal(approval_check(ledger, SLICE("/other"), APPROVAL_PLAN, hash, &e), ERR_REFUSED);
    // An edit asks for a look again.
    assert_int_equal(place_write(&f->place, SLICE("plan.md"), SLICE("more"), NULL), 0);
    assert_int_equal(approval_hash(&f->place, f->arena, APPROVAL_PLAN, hash, &e), 0);
    assert_int_equal(approval_check(ledger, f->place.target, APPROVAL_PLAN, hash, &e), ERR_REFUSED);
    assert_non_null(strstr(e.text, "changed since"));
    ledger_close(ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_saved_is_found_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_process_at_a_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_approval_is_of_what_was_looked_at, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
