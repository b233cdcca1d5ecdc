#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/err.h"

static void test_zeroed_aligned_and_separate(void **state)
{
    (void)state;
    Arena *a = arena_create(8 << 20);
    char *previous = NULL;
    for (size_t bytes = 1; bytes < 3000; bytes += 37) {
        char *at = arena_alloc(a, bytes);
        assert_int_equal((uintptr_t)at % 16, 0);
        for (size_t i = 0; i < bytes; i++) {
            assert_int_equal(at[i], 0);
        }
        memset(at, 0xAB, bytes);
        assert_ptr_not_equal(at, previous);
        previous = at;
    }
    arena_reset(a);
    assert_int_equal(arena_used(a), 0);
    assert_int_equal(*(char *)arena_alloc(a, 1), 0);
    arena_destroy(a);
}

static void test_copy_ends_in_nul(void **state)
{
    (void)state;
    Arena *a = arena_create(1 << 20);
    Slice s = arena_copy(a, slice_sub(SLICE("hello world"), 0, 5));
    assert_string_equal(s.ptr, "hello");
    assert_string_equal(arena_printf(a, "%d-%s", 7, "x").ptr, "7-x");
    arena_destroy(a);
    arena_destroy(NULL);
}

static void test_error_text_is_cut_on_a_character(void **state)
{
    (void)state;
    Err e;
    char words[ERR_TEXT_MAX * 2];
    memset(words, 'a', sizeof words);
    memcpy(words + ERR_TEXT_MAX - 2, "\xC3\xA9", 2); // é across the edge
    words[sizeof words - 1] = '\0';
    assert_int_equal(err_set(&e, ERR_PARSE, "%s", words), ERR_PARSE);
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 2);
    assert_int_equal(err_set(&e, ERR_IO, "disk"), ERR_IO);
    assert_int_equal(err_wrap(&e, "ledger %s", "x.db"), ERR_IO);
    assert_string_equal(e.text, "ledger x.db: disk");
    assert_string_equal(err_name(ERR_UNSUPPORTED), "ERR_UNSUPPORTED");
    assert_string_equal(err_name(-99), "ERR_UNKNOWN");
    assert_int_equal(err_set(NULL, ERR_ARG, "nobody reads this"), ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zeroed_aligned_and_separate),
        cmocka_unit_test(test_copy_ends_in_nul),
        cmocka_unit_test(test_error_text_is_cut_on_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
