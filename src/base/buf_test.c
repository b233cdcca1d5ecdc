#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/buf.h"

// RFC 4648 section 10.
static void test_base64_rfc4648_vectors(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        Buf b = buf_create(64);
        Slice plain = slice_from_cstr(pairs[i][0]);
        buf_append_base64(&b, plain.ptr, plain.len);
        assert_true(slice_eq_cstr(buf_slice(&b), pairs[i][1]));
        buf_reset(&b);
        assert_int_equal(buf_append_base64_decoded(&b, slice_from_cstr(pairs[i][1])), 0);
        assert_true(slice_eq(buf_slice(&b), plain));
        buf_done(&b);
    }
}

static void test_base64_rejects_garbage(void **state)
{
    (void)state;
    static const char *const bad[] = {"A", "AA=A", "====", "Zm9v\n", "Zm 9", "=AAA"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        Buf b = buf_create(64);
        assert_int_equal(buf_append_base64_decoded(&b, slice_from_cstr(bad[i])), ERR_PARSE);
        buf_done(&b);
    }
}

static void test_ceiling_is_sticky(void **state)
{
    (void)state;
    Buf b = buf_create(8);
    buf_puts(&b, "12345678");
    assert_false(b.overflowed);
    buf_putc(&b, '9');
    assert_true(b.overflowed);
    buf_puts(&b, "");
    assert_int_equal(b.len, 8);
    Err e;
    assert_int_equal(buf_check(&b, "line", &e), ERR_LIMIT);
    assert_string_equal(e.text, "line is larger than 8 bytes");
    buf_done(&b);
}

static void test_consume_keeps_the_rest(void **state)
{
    (void)state;
    Buf b = buf_create(100);
    buf_printf(&b, "%s-%d", "abc", 42);
    buf_consume(&b, 4);
    assert_string_equal(b.data, "42");
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64_rfc4648_vectors),
        cmocka_unit_test(test_base64_rejects_garbage),
        cmocka_unit_test(test_ceiling_is_sticky),
        cmocka_unit_test(test_consume_keeps_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
