#include "bus/dedup.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "bus/bus.h"

static bool add(Dedup *d, unsigned n, int64_t now_ns)
{
    char key[32];
    int len = snprintf(key, sizeof key, "key-%u", n);
    return dedup_add(d, (Slice){key, (size_t)len}, now_ns);
}

static void test_doubles(void **state)
{
    (void)state;
    Dedup *d = dedup_create(3, 100);
    assert_true(add(d, 1, 0));
    assert_false(add(d, 1, 0));
    assert_true(add(d, 2, 50));
    assert_false(add(d, 1, 99));
    assert_true(add(d, 1, 100)); // its age is over, seeing it again does not make it younger
    assert_false(add(d, 2, 149));
    assert_true(dedup_add(d, SLICE(""), 0));
    assert_true(dedup_add(d, SLICE(""), 0));
    dedup_destroy(d);
    dedup_destroy(NULL);
}

static void test_the_number_is_bounded(void **state)
{
    (void)state;
    Dedup *d = dedup_create(3, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(add(d, i, 0));
        assert_true(dedup_count(d) <= 3);
        assert_int_equal(add(d, i >= 2 ? i - 2 : 0, 0), false); // the three newest are known
    }
    assert_true(add(d, 996, 0)); // the fourth newest is not
    dedup_destroy(d);
}

static void test_long_keys_are_cut(void **state)
{
    (void)state;
    char key[BUS_KEY_MAX + 2];
    memset(key, 'k', sizeof key);
    Dedup *d = dedup_create(10, 1000);
    assert_true(dedup_add(d, (Slice){key, BUS_KEY_MAX - 1}, 0));
    assert_true(dedup_add(d, (Slice){key, BUS_KEY_MAX}, 0));
    assert_false(dedup_add(d, (Slice){key, BUS_KEY_MAX + 1}, 0));
    dedup_destroy(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_the_number_is_bounded),
        cmocka_unit_test(test_long_keys_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
