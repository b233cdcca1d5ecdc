#include "manage/lease.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

static void test_one_holder(void **state)
{
    (void)state;
    LeaseTable t = lease_table(100);
    MessageChange both[] = {{SLICE("a->b.retry.attempts"), {0}}, {SLICE("d.servers"), {0}}};
    MessageChange one[] = {{SLICE("d.limit.value"), {0}}};
    uint64_t first, second, third;
    Err e;
    assert_int_equal(lease_take(&t, both, 2, 1, &first, &e), 0);
    assert_int_equal(first, 101);
    // The same place by another parameter; nothing is taken of a set that cannot be had whole.
    assert_int_equal(lease_take(&t, one, 1, 2, &second, &e), ERR_BUSY);
    assert_non_null(strstr(e.text, "d is leased"));
    assert_int_equal(lease_take(&t, both, 2, 2, &second, &e), ERR_BUSY);
    assert_int_equal(lease_holder(&t, SLICE("a->b"))->grant, 1);
    lease_release(&t, 1);
    assert_null(lease_holder(&t, SLICE("a->b")));
    // Back again, as long as nobody had it since.
    assert_int_equal(lease_retake(&t, both, 2, 1, first, &e), 0);
    lease_release(&t, 1);
    assert_int_equal(lease_take(&t, one, 1, 2, &second, &e), 0);
    assert_true(second > first);
    assert_int_equal(lease_retake(&t, both, 2, 1, first, &e), ERR_CONFLICT);
    assert_null(lease_holder(&t, SLICE("a->b"))); // and nothing of it was taken
    lease_release(&t, 2);
    assert_int_equal(lease_retake(&t, both, 2, 1, first, &e), ERR_CONFLICT);
    assert_int_equal(lease_take(&t, both, 2, 3, &third, &e), 0);
    assert_true(third > second);
    lease_table_done(&t);
}

static void test_the_table_is_bounded(void **state)
{
    (void)state;
    LeaseTable t = lease_table(0);
    char name[32];
    uint64_t token;
    MessageChange change = {.param = {name, 0}};
    for (unsigned i = 0; i <= LEASE_PLACES_MAX; i++) {
        change.param.len = (size_t)snprintf(name, sizeof name, "p%u.x", i);
        int rc = lease_take(&t, &change, 1, i + 1, &token, NULL);
        assert_int_equal(rc, i < LEASE_PLACES_MAX ? 0 : ERR_LIMIT);
    }
    // A free place makes room, at the cost of who had it first.
    lease_release(&t, 1);
    lease_release(&t, 2);
    assert_int_equal(lease_take(&t, &change, 1, 5000, &token, NULL), 0);
    change.param.len = (size_t)snprintf(name, sizeof name, "p0.x");
    assert_int_equal(lease_retake(&t, &change, 1, 1, 1, NULL), ERR_CONFLICT);
    change.param.len = (size_t)snprintf(name, sizeof name, "p1.x");
    assert_int_equal(lease_retake(&t, &change, 1, 2, 2, NULL), 0);
    char longest[MESSAGE_NAME_MAX + 2];
    memset(longest, 'n', sizeof longest);
    change.param = (Slice){longest, MESSAGE_NAME_MAX + 1};
    lease_release(&t, 3);
    assert_int_equal(lease_take(&t, &change, 1, 5001, &token, NULL), ERR_LIMIT);
    change.param.len--;
    assert_int_equal(lease_take(&t, &change, 1, 5001, &token, NULL), 0);
    lease_table_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_holder),
        cmocka_unit_test(test_the_table_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
