// Ground truth: table 3-7 (well-formed byte sequences) of the Unicode Standard, RFC 3629.
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/utf8.h"

static void test_invalid_sequences(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        ptrdiff_t at;
    } cases[] = {
        {"", -1},
        {"abc", -1},
        {"\xC2\x80\xDF\xBF", -1},
        {"\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF", -1},
        {"\xF0\x90\x80\x80\xF4\x8F\xBF\xBF", -1},
        {"a\x80", 1},
        {"\xC0\x80", 0},
        {"\xC1\xBF", 0},
        {"\xE0\x9F\xBF", 0},
        {"\xED\xA0\x80", 0},
        {"\xF0\x8F\xBF\xBF", 0},
        {"\xF4\x90\x80\x80", 0},
        {"\xF5\x80\x80\x80", 0},
        {"ok\xE2\x82", 2},
        {"\xC3(", 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(utf8_find_invalid(slice_from_cstr(cases[i].text)), cases[i].at);
    }
}

static void test_encode_is_the_inverse(void **state)
{
    (void)state;
    static const uint32_t chars[] = {0,      0x7F,   0x80,   0x7FF,   0x800,
                                     0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF};
    for (size_t i = 0; i < COUNT_OF(chars); i++) {
        char bytes[4];
        size_t len = utf8_encode(chars[i], bytes);
        uint32_t back = 0;
        assert_int_equal(utf8_decode((Slice){bytes, len}, &back), len);
        assert_int_equal(back, chars[i]);
    }
}

static void test_width(void **state)
{
    (void)state;
    assert_int_equal(utf8_width(SLICE("abc")), 3);
    assert_int_equal(utf8_width(SLICE("e\xCC\x81")), 1);                // e and a combining acute
    assert_int_equal(utf8_width(SLICE("\xE6\xBC\xA2\xE5\xAD\x97")), 4); // two Han characters
    assert_int_equal(utf8_width(SLICE("\xF0\x9F\x98\x80")), 2);         // U+1F600
    assert_int_equal(utf8_width(SLICE("\xFF")), 1);
}

static void test_sanitise(void **state)
{
    (void)state;
    Buf out = buf_create(1024);
    utf8_sanitise(&out, SLICE("a\x1B[31m\n\t\x7F\xC2\x9B\xFF\xE2\x80\xAE\xC3\xA9"));
    assert_string_equal(out.data, "a\\x1b[31m\\n\\t\\x7f\\x9b\\xff\\u{202e}\xC3\xA9");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_invalid_sequences),
        cmocka_unit_test(test_encode_is_the_inverse),
        cmocka_unit_test(test_width),
        cmocka_unit_test(test_sanitise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
