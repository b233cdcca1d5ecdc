#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/ring.h"

static void test_first_in_first_out(void **state)
{
    (void)state;
    for (size_t capacity = 1; capacity <= 5; capacity++) {
        Ring r = ring_create(capacity, sizeof(int));
        int in = 0, out = 0, item = -1;
        assert_false(ring_pop(&r, &item));
        for (int round = 0; round < 20; round++) {
            while (ring_push(&r, &in)) {
                in++;
            }
            assert_int_equal(r.count, capacity);
            for (size_t i = 0; i < capacity; i++) {
                assert_int_equal(*(int *)ring_at(&r, i), out + (int)i);
            }
            assert_null(ring_at(&r, capacity));
            size_t take = (size_t)round % capacity + 1;
            for (size_t i = 0; i < take; i++, out++) {
                assert_true(ring_pop(&r, &item));
                assert_int_equal(item, out);
            }
        }
        ring_done(&r);
    }
}

static void test_pop_may_drop(void **state)
{
    (void)state;
    Ring r = ring_create(2, 3);
    assert_true(ring_push(&r, "ab"));
    assert_true(ring_push(&r, "cd"));
    assert_true(ring_pop(&r, NULL));
    assert_string_equal(ring_at(&r, 0), "cd");
    ring_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_in_first_out),
        cmocka_unit_test(test_pop_may_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
