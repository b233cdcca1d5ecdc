#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "improve/strike.h"

// Each text holds one claim, in the spellings that people and models use.
static void test_every_spelling_of_a_figure_is_struck(void **state)
{
    (void)state;
    static const char *const CLAIMS[] = {
        "it is 12x faster",
        "it is 12 x faster",
        "it is 12X now",
        "it is 1.5\xC3\x97 as fast",
        "a 12-fold gain",
        "12 times as fast",
        "37% less",
        "37 % less",
        "37 percent",
        "37 per cent",
        "37\xC2\xA0%",
        "37\xE2\x80\xAF%",
        "**37**%",
        "about ~3.2ms",
        "3 ms",
        "3\xC2\xB5s",
        "3\xCE\xBCs a call",
        "1,234 ns/op",
        "1_000 ns",
        "12 MB/s",
        "512 KiB of memory",
        "2-3x",
        "2 \xE2\x80\x93 3x",
        "2 to 3 times",
        "from 120 to 40",
        "120 -> 40 ms",
        "speedup: 12",
        "a speedup of 12",
        "by a factor of 12",
        "1e3x",
        "10^3 times",
        "it takes 0.35",
        "1/10 s",
        "\xEF\xBC\x91\xEF\xBC\x92x",
        "\xF0\x9D\x9F\x8F\xF0\x9D\x9F\x90x",
        "twice as fast",
        "throughput doubled",
        "double the throughput",
        "two times faster",
        "ten percent",
        "tenfold",
        "ten-fold",
        "two hundred percent",
        "orders of magnitude",
        "an order of magnitude",
        "runs in half the time",
        "| before | 12 |",
        "12 faster",
        "5k requests",
        "300 rps",
        "12\xE2\x80\x8Bx faster",
        "12\xD1\x85 faster", // Cyrillic
    };
    for (size_t i = 0; i < COUNT_OF(CLAIMS); i++) {
        Buf out = buf_create(4096);
        if (strike_figures(slice_from_cstr(CLAIMS[i]), &out) == 0) {
            fail_msg("not struck: %s", CLAIMS[i]);
        }
        assert_true(slice_find(buf_slice(&out), SLICE("[not measured by perfwright]")) >= 0);
        buf_done(&out);
    }
}

static void test_names_with_numbers_stay(void **state)
{
    (void)state;
    static const char *const PLAIN[] = {
        "see line 12 of parse.c",
        "C17 and utf8, x86, sha256",
        "from O(n^2) to O(n)",
        "parse.c:120",
        "version 1.2.3 of zlib",
        "the 2nd loop",
        "a 3d array",
        "a double is not a float",
        "one loop instead of another",
        "use 0x7f as the mask",
        "RFC 9110",
    };
    for (size_t i = 0; i < COUNT_OF(PLAIN); i++) {
        Buf out = buf_create(4096);
        if (strike_figures(slice_from_cstr(PLAIN[i]), &out) != 0) {
            fail_msg("%s became %.*s", PLAIN[i], SLICE_FMT(buf_slice(&out)));
        }
        buf_done(&out);
    }
}

typedef struct Case {
    const char *in, *want;
} Case;

static void test_what_comes_out(void **state)
{
    (void)state;
    static const Case CASES[] = {
        {"is 12x faster", "is ~~12x~~ [not measured by perfwright] faster"},
        {"from 12 ms to 4 ms, tested",
         "from ~~12 ms to 4 ms~~ [not measured by perfwright], tested"},
        {"fixes #12 for @ann", "fixes #\xE2\x80\x8B"
                               "12 for @\xE2\x80\x8B"
                               "ann"},
        {"<!-- x -->", "&lt;!-- x -->"},
        {"![p](http://h/p)", "!\xE2\x80\x8B[p]\xE2\x80\x8B(http:\xE2\x80\x8B//h/p)"},
        {"~~no~~", "~\xE2\x80\x8B~no~\xE2\x80\x8B~"},
        {"a\x1b[1Jb\xff", "a\xEF\xBF\xBD[1Jb\xEF\xBF\xBD"},
        {"GH-12", "GH-\xE2\x80\x8B"
                  "12"},
        {"", ""},
    };
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        Buf out = buf_create(4096);
        (void)strike_figures(slice_from_cstr(CASES[i].in), &out);
        assert_string_equal(out.data ? out.data : "", CASES[i].want);
        buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_spelling_of_a_figure_is_struck),
        cmocka_unit_test(test_names_with_numbers_stay),
        cmocka_unit_test(test_what_comes_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
