// Ground truth for the hash: the vectors of the SipHash paper's appendix A and of its reference
// implementation (key 00 01 .. 0f, input 00 01 .. ).
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/err.h"
#include "base/map.h"

static void test_siphash_vectors(void **state)
{
    (void)state;
    char input[15];
    for (size_t i = 0; i < sizeof input; i++) {
        input[i] = (char)i;
    }
    uint64_t k0 = 0x0706050403020100u, k1 = 0x0f0e0d0c0b0a0908u;
    assert_true(map_siphash((Slice){0}, k0, k1) == 0x726fdb47dd0e0e31u);
    assert_true(map_siphash((Slice){input, 1}, k0, k1) == 0x74f839c593dc67fdu);
    assert_true(map_siphash((Slice){input, 8}, k0, k1) == 0x93f5f5799a932462u);
    assert_true(map_siphash((Slice){input, 15}, k0, k1) == 0xa129ca6149be45e5u);
}

static void test_put_get_remove(void **state)
{
    (void)state;
    int a = 1, b = 2;
    Map m = map_create(10, 0);
    assert_null(map_get(&m, SLICE("a")));
    assert_null(map_remove(&m, SLICE("a")));
    assert_int_equal(map_put(&m, SLICE("a"), &a), 0);
    assert_int_equal(map_put(&m, SLICE(""), &b), 0);
    assert_ptr_equal(map_get(&m, SLICE("a")), &a);
    assert_ptr_equal(map_get(&m, SLICE("")), &b);
    assert_int_equal(map_put(&m, SLICE("a"), &b), 0);
    assert_ptr_equal(map_get(&m, SLICE("a")), &b);
    assert_int_equal(map_count(&m), 2);
    assert_ptr_equal(map_remove(&m, SLICE("a")), &b);
    assert_null(map_get(&m, SLICE("a")));
    assert_int_equal(map_count(&m), 1);
    map_clear(&m);
    assert_null(map_get(&m, SLICE("")));
    map_done(&m);
}

static void test_ceiling(void **state)
{
    (void)state;
    int x = 0;
    Map m = map_create(2, 7);
    assert_int_equal(map_put(&m, SLICE("a"), &x), 0);
    assert_int_equal(map_put(&m, SLICE("b"), &x), 0);
    assert_int_equal(map_put(&m, SLICE("c"), &x), ERR_FULL);
    assert_int_equal(map_put(&m, SLICE("b"), &x), 0);
    assert_ptr_equal(map_remove(&m, SLICE("a")), &x);
    assert_int_equal(map_put(&m, SLICE("c"), &x), 0);
    map_done(&m);
}

// Many rounds of adding and removing, against an array of what must be there.
static void test_churn_keeps_order(void **state)
{
    (void)state;
    enum { KEYS = 500 };
    static char names[KEYS][8];
    bool there[KEYS] = {false};
    Map m = map_create(KEYS, 42);
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(names[i], sizeof names[i], "k%d", i);
    }
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < KEYS; i++) {
            Slice key = slice_from_cstr(names[i]);
            if ((i * 7 + round * 13) % 5 == 0) {
                assert_true((map_remove(&m, key) != NULL) == there[i]);
                there[i] = false;
            } else if (!there[i]) {
                assert_int_equal(map_put(&m, key, names[i]), 0);
                there[i] = true;
            }
        }
        size_t expected = 0;
        for (int i = 0; i < KEYS; i++) {
            assert_ptr_equal(map_get(&m, slice_from_cstr(names[i])), there[i] ? names[i] : NULL);
            expected += there[i];
        }
        assert_int_equal(map_count(&m), expected);
    }
    map_clear(&m);
    for (int i = KEYS - 1; i >= 0; i--) {
        assert_int_equal(map_put(&m, slice_from_cstr(names[i]), names[i]), 0);
    }
    Slice key;
    void *value;
    int next = KEYS - 1;
    for (size_t at = 0; map_next(&m, &at, &key, &value); next--) {
        assert_ptr_equal(value, names[next]);
    }
    assert_int_equal(next, -1);
    map_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_siphash_vectors),
        cmocka_unit_test(test_put_get_remove),
        cmocka_unit_test(test_ceiling),
        cmocka_unit_test(test_churn_keeps_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
