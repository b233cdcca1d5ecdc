#include "llm/fake_text.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/utf8.h"

static void test_a_corpus_has_the_tokens_asked_for(void **state)
{
    (void)state;
    static const size_t asked[] = {0, 1, 2, 16, 1000, FAKE_TOKENS_MAX, FAKE_TOKENS_MAX + 1};
    FakeCorpus *corpus = fake_corpus_create(1);
    for (size_t i = 0; i < COUNT_OF(asked); i++) {
        size_t bytes = 0;
        Slice text = fake_corpus_text(corpus, asked[i]);
        size_t want = asked[i] < 1 ? 1 : asked[i] > FAKE_TOKENS_MAX ? FAKE_TOKENS_MAX : asked[i];
        assert_int_equal(fake_text_tokens(text, SIZE_MAX, &bytes), want);
        assert_int_equal(bytes, text.len);
    }
    FakeCorpus *same = fake_corpus_create(1), *other = fake_corpus_create(2);
    assert_true(slice_eq(fake_corpus_text(corpus, 50), fake_corpus_text(same, 50)));
    assert_false(slice_eq(fake_corpus_text(corpus, 50), fake_corpus_text(other, 50)));
    fake_corpus_destroy(corpus);
    fake_corpus_destroy(same);
    fake_corpus_destroy(other);
}

static void test_pieces_join_to_the_text_and_are_utf8(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "one two",
        "  leading\n\nand trailing  ",
        "0123456789012345678901234567890123456789",
        "\xc3\xa4\xc3\xb6\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xe2"
        "\x82"
        "\xac",
        "                                        far",
        "",
    };
    Buf joined = buf_create(1000);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        Slice text = slice_from_cstr(texts[i]), piece;
        size_t at = 0;
        buf_reset(&joined);
        buf_puts(&joined, "");
        while (fake_text_piece(text, &at, &piece)) {
            assert_in_range(piece.len, 1, FAKE_PIECE_BYTES);
            assert_int_equal(utf8_find_invalid(piece), -1);
            buf_append(&joined, piece);
        }
        assert_int_equal(joined.len, text.len);
        assert_memory_equal(joined.data ? joined.data : "", texts[i], text.len);
    }
    // Bytes that are no UTF-8 end too.
    Slice bad =
        SLICE("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80");
    size_t bytes = 0;
    assert_int_equal(fake_text_tokens(bad, SIZE_MAX, &bytes), 2);
    assert_int_equal(bytes, bad.len);
    buf_done(&joined);
}

static void test_strings_and_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text, *json;
    } strings[] = {
        {"plain", "\"plain\""},
        {"", "\"\""},
        {"a\"b\\c\n", "\"a\\\"b\\\\c\\n\""},
        {"\x7f\xc3\xa4", "\"\x7f\xc3\xa4\""},
    };
    Buf out = buf_create(100);
    for (size_t i = 0; i < COUNT_OF(strings); i++) {
        buf_reset(&out);
        fake_put_string(&out, slice_from_cstr(strings[i].text));
        assert_string_equal(out.data, strings[i].json);
        buf_reset(&out);
        buf_putc(&out, '"');
        fake_put_escaped(&out, slice_from_cstr(strings[i].text));
        buf_putc(&out, '"');
        assert_string_equal(out.data, strings[i].json);
    }
    static const int64_t numbers[] = {0, 7, -1, 1234567890123, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        char want[32];
        (void)snprintf(want, sizeof want, "%lld", (long long)numbers[i]);
        buf_reset(&out);
        fake_put_int(&out, numbers[i]);
        assert_string_equal(out.data, want);
    }
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_corpus_has_the_tokens_asked_for),
        cmocka_unit_test(test_pieces_join_to_the_text_and_are_utf8),
        cmocka_unit_test(test_strings_and_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
