#include "improve/equality.h"

#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// Words that stand for something measured. Compared in lower case, as whole words, because "ms" is
// in "items" and "s" in everything.
static bool is_measure_word(Slice word)
{
    static const char *const WORDS[] = {
        "time",   "times",   "elapsed", "took",    "duration", "seconds",   "second",     "secs",
        "sec",    "s",       "ms",      "msec",    "us",       "usec",      "ns",         "nsec",
        "min",    "minutes", "ops",     "op",      "rate",     "speed",     "throughput", "qps",
        "rps",    "hz",      "khz",     "mhz",     "mb",       "gb",        "kb",         "mib",
        "gib",    "kib",     "cpu",     "wall",    "real",     "user",      "sys",        "rss",
        "memory", "heap",    "cycles",  "latency", "mean",     "median",    "stddev",     "p50",
        "p90",    "p95",     "p99",     "mflops",  "gflops",   "benchmark", "bench",      "per",
        "fps",    "date",    "samples", "rme",     "heapused"};
    for (size_t i = 0; i < COUNT_OF(WORDS); i++) {
        if (slice_eq_nocase(word, slice_from_cstr(WORDS[i]))) {
            return true;
        }
    }
    // The micro sign and the Greek letter, both before an s.
    return slice_eq(word, SLICE("\xc2\xb5s")) || slice_eq(word, SLICE("\xce\xbcs"));
}

// A word as is_measure_word wants it: letters, or bytes beyond ASCII ("µs"); digits end it, so that
// "12ms" gives "ms", but do not begin it, so that "p99" is one.
static size_t word_at(Slice line, size_t at)
{
    size_t end = at;
    while (end < line.len && (is_letter(line.ptr[end]) || (unsigned char)line.ptr[end] >= 0x80 ||
                              (end > at && line.ptr[at] == 'p' && is_digit(line.ptr[end])))) {
        end++;
    }
    return end - at;
}

bool equality_is_about_time(Slice line)
{
    for (size_t i = 0; i < line.len;) {
        size_t n = word_at(line, i);
        if (n > 0 && is_measure_word(slice_sub(line, i, n))) {
            return true;
        }
        i += n > 0 ? n : 1;
    }
    return false;
}

// One step through a line with numbers masked: a number, with its dots, exponent and the blanks
// that align it, is one token.
static void skip_number(Slice line, size_t *at)
{
    while (*at < line.len && (is_digit(line.ptr[*at]) || strchr(".,eE+-: ", line.ptr[*at]))) {
        (*at)++;
    }
}

static bool same_but_numbers(Slice a, Slice b)
{
    size_t i = 0, k = 0;
    for (;;) {
        while (i < a.len && a.ptr[i] == ' ') {
            i++;
        }
        while (k < b.len && b.ptr[k] == ' ') {
            k++;
        }
        if (i == a.len || k == b.len) {
            return i == a.len && k == b.len;
        }
        if (is_digit(a.ptr[i]) && is_digit(b.ptr[k])) {
            skip_number(a, &i);
            skip_number(b, &k);
        } else if (a.ptr[i] == b.ptr[k]) {
            i++, k++;
        } else {
            return false;
        }
    }
}

static Slice short_line(Slice line)
{
    return slice_sub(line, 0, EQUALITY_LINE_MAX);
}

Equality equality_of(Slice base, Slice patched)
{
    if (slice_eq(base, patched)) {
        return (Equality){.same = EQUALITY_SAME};
    }
    long line = 0;
    while (base.len > 0 || patched.len > 0) {
        Slice a, b;
        bool more_a = slice_cut(base, '\n', &a, &base),
             more_b = slice_cut(patched, '\n', &b, &patched);
        line++;
        // A missing newline at the end is a difference too: what reads the output may care.
        bool same = slice_eq(a, b) && more_a == more_b;
        if (!same && !(more_a == more_b && equality_is_about_time(a) && same_but_numbers(a, b))) {
            return (Equality){EQUALITY_DIFFERENT, line, short_line(a), short_line(b)};
        }
    }
    return (Equality){.same = EQUALITY_BUT_TIMES};
}
