#include "improve/strike.h"

#include <strings.h>

#include "base/utf8.h"

enum { GAP_BYTES_MAX = 8, CUE_BYTES_MAX = 24, WORD_MAX = 24 };

#define ZERO_WIDTH "\xE2\x80\x8B"
#define REPLACED   "\xEF\xBF\xBD"

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static Slice behind(Slice s, size_t from)
{
    return slice_sub(s, from, s.len);
}

// ---- numbers

// Bytes of the digit at the front: ASCII, full-width, Arabic-Indic and mathematical ones all look
// like numbers to a reader.
static size_t digit_at(Slice s)
{
    if (s.len > 0 && s.ptr[0] >= '0' && s.ptr[0] <= '9') {
        return 1;
    }
    uint32_t c = 0;
    size_t len = utf8_decode(s, &c);
    bool digit = (c >= 0xFF10 && c <= 0xFF19) || (c >= 0x660 && c <= 0x669) ||
                 (c >= 0x1D7CE && c <= 0x1D7FF);
    return digit ? len : 0;
}

typedef struct Number {
    size_t len;
    bool decimal; // one point with digits behind it: not a version, which has more
} Number;

static size_t exponent_at(Slice s)
{
    size_t at = 0;
    if (s.len > 1 && (s.ptr[0] == 'e' || s.ptr[0] == 'E')) {
        at = 1;
        at += s.ptr[1] == '+' || s.ptr[1] == '-';
    } else if (s.len > 1 && s.ptr[0] == '^') {
        at = 1;
    } else if (s.len > 2 && s.ptr[0] == '*' && s.ptr[1] == '*') {
        at = 2;
    }
    size_t digits = 0, len;
    while (at > 0 && (len = digit_at(behind(s, at + digits))) > 0) {
        digits += len;
    }
    return digits > 0 ? at + digits : 0;
}

static Number number_at(Slice s)
{
    Number n = {0};
    size_t points = 0, len;
    while (n.len < s.len) {
        Slice rest = behind(s, n.len);
        if ((len = digit_at(rest)) > 0) {
            n.len += len;
        } else if (n.len > 0 && memchr(",._'/", rest.ptr[0], 5) && digit_at(behind(rest, 1)) > 0) {
            points += rest.ptr[0] == '.';
            n.len++;
        } else if (n.len == 0 && rest.ptr[0] == '.' && digit_at(behind(rest, 1)) > 0) {
            points = 1;
            n.len++;
        } else {
            break;
        }
    }
    if (n.len > 0) {
        n.len += exponent_at(behind(s, n.len));
    }
    n.decimal = points == 1;
    return n;
}

// ---- what may stand between a number and its unit

static size_t gap_char_at(Slice s)
{
    static const char *const CHARS[] = {" ",
                                        "-",
                                        "*",
                                        "_",
                                        "`",
                                        "\\",
                                        "(",
                                        "\t",
                                        "\xC2\xA0",
                                        ZERO_WIDTH,
                                        "\xE2\x80\xAF",
                                        "\xE2\x80\x89",
                                        "\xE2\x80\x8C",
                                        "\xE2\x80\x8D",
                                        "\xE2\x80\x91",
                                        "\xEF\xBB\xBF"};
    for (size_t i = 0; i < COUNT_OF(CHARS); i++) {
        if (slice_starts_with(s, slice_from_cstr(CHARS[i]))) {
            return strlen(CHARS[i]);
        }
    }
    return 0;
}

static size_t gap_at(Slice s)
{
    size_t at = 0, len;
    while (at < GAP_BYTES_MAX && (len = gap_char_at(behind(s, at))) > 0) {
        at += len;
    }
    return at;
}

// "-", "–", "to": between the ends of a range.
static size_t range_at(Slice s)
{
    static const char *const SIGNS[] = {
        "-",   "\xE2\x80\x93", "\xE2\x80\x94", "...", "\xE2\x80\xA6",
        "to ", "and ",         "->",           "=>",  "\xE2\x86\x92"};
    size_t gap = gap_at(s);
    // A gap takes the hyphen itself, so look both before and behind it.
    for (size_t i = 0; i < COUNT_OF(SIGNS); i++) {
        Slice sign = slice_from_cstr(SIGNS[i]);
        for (size_t from = 0; from <= gap; from++) {
            if (slice_starts_with(behind(s, from), sign)) {
                size_t at = from + sign.len;
                return at + gap_at(behind(s, at));
            }
        }
    }
    return 0;
}

// ---- units

static const char *const UNITS[] = {
    "percentage points",
    "percent",
    "per cent",
    "pp",
    "times",
    "folds",
    "fold",
    "nanoseconds",
    "nanosecond",
    "nsec",
    "ns",
    "microseconds",
    "microsecond",
    "usec",
    "us",
    "\xC2\xB5s",
    "\xCE\xBCs",
    "milliseconds",
    "millisecond",
    "msec",
    "ms",
    "seconds",
    "second",
    "secs",
    "sec",
    "s",
    "minutes",
    "minute",
    "mins",
    "min",
    "hours",
    "hour",
    "hrs",
    "hr",
    "h",
    "kilobytes",
    "megabytes",
    "gigabytes",
    "kib",
    "mib",
    "gib",
    "tib",
    "kb",
    "mb",
    "gb",
    "tb",
    "bytes",
    "byte",
    "b",
    "k",
    "ops",
    "op/s",
    "op/sec",
    "operations/s",
    "req/s",
    "requests/s",
    "requests per second",
    "rps",
    "qps",
    "iops",
    "tps",
    "iterations/s",
    "it/s",
    "allocs",
    "allocations",
    "cycles",
    "instructions",
    "insns",
    "ipc",
    "ghz",
    "mhz",
    "khz",
    "hz",
    "speedup",
    "speed-up",
    "faster",
    "slower",
    "quicker",
    "improvement",
    "reduction",
    "gain",
    "less",
    "fewer",
    "lower",
    "higher",
    "joules",
    "watts",
    "/s",
    "/sec",
    "/op",
    "x",
};
// These need no boundary behind them.
static const char *const SIGNS[] = {"%",        "\xEF\xBC\x85", "\xE2\x80\xB0", "\xD9\xAA",
                                    "\xC3\x97", "\xE2\x9C\x95", "\xE2\x9C\x96", "\xE2\xA8\xAF",
                                    "\xD1\x85"};

static bool starts_nocase(Slice s, Slice what)
{
    return s.len >= what.len && slice_eq_nocase(slice_sub(s, 0, what.len), what);
}

static size_t unit_at(Slice s)
{
    for (size_t i = 0; i < COUNT_OF(SIGNS); i++) {
        if (slice_starts_with(s, slice_from_cstr(SIGNS[i]))) {
            return strlen(SIGNS[i]);
        }
    }
    size_t best = 0;
    for (size_t i = 0; i < COUNT_OF(UNITS); i++) {
        Slice unit = slice_from_cstr(UNITS[i]);
        bool whole = s.len == unit.len || (s.len > unit.len && !is_word_byte(s.ptr[unit.len]));
        if (unit.len > best && whole && starts_nocase(s, unit)) {
            best = unit.len;
        }
    }
    if (best > 0) { // "ns/op", "MB/s"
        best += best < s.len && s.ptr[best] == '/' ? unit_at(behind(s, best)) : 0;
    }
    return best;
}

// ---- figures in digits

static bool ends_nocase(Slice s, const char *end)
{
    size_t len = strlen(end);
    return s.len >= len && slice_eq_nocase(behind(s, s.len - len), (Slice){end, len});
}

// The words before say that a figure comes: "a speedup of 12".
static bool has_cue(Slice before)
{
    static const char *const CUES[] = {"factor of",   "speedup",    "speed-up",  "speedup of",
                                       "speed-up of", "speedup is", "ratio",     "ratio of",
                                       "from",        "down to",    "faster by", "improved by",
                                       "reduced by",  "took",       "takes",     "speedup was"};
    size_t end = before.len;
    while (end > 0 && memchr(" \t:=~*_`(<>+-", before.ptr[end - 1], 13)) {
        end--;
    }
    size_t from = end > CUE_BYTES_MAX ? end - CUE_BYTES_MAX : 0;
    Slice tail = slice_sub(before, from, end - from);
    for (size_t i = 0; i < COUNT_OF(CUES); i++) {
        if (ends_nocase(tail, CUES[i])) {
            return true;
        }
    }
    return false;
}

// Bytes of the figure at text[at..], 0 when there is none.
static size_t digits_figure(Slice text, size_t at, bool in_table)
{
    Slice s = behind(text, at);
    Number n = number_at(s);
    if (n.len == 0) {
        return 0;
    }
    size_t len = n.len;
    bool decimal = n.decimal;
    size_t sep, unit;
    // "2-3x", "from 12 ms to 4 ms", "12 -> 4 ms"
    for (int i = 0; i < 4; i++) {
        Slice rest = behind(s, len);
        size_t gap = gap_at(rest);
        unit = unit_at(behind(rest, gap));
        size_t past = unit > 0 ? gap + unit : 0;
        sep = range_at(behind(rest, past));
        Number next = sep > 0 ? number_at(behind(rest, past + sep)) : (Number){0};
        if (next.len == 0) {
            if (unit > 0) {
                return len + past;
            }
            break;
        }
        decimal = decimal || next.decimal || unit > 0;
        len += past + sep + next.len;
    }
    // "2nd", "3d", "0x7f": the number is part of a word.
    if (len < s.len && is_word_byte(s.ptr[len])) {
        return 0;
    }
    return decimal || in_table || has_cue(slice_sub(text, 0, at)) ? len : 0;
}

// ---- figures in words

static bool one_of(Slice word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_eq_nocase(word, slice_from_cstr(words[i]))) {
            return true;
        }
    }
    return false;
}

static const char *const FIGURE_WORDS[] = {
    "twice",   "thrice",   "doubled",    "doubles",    "doubling",    "tripled",
    "triples", "tripling", "quadrupled", "quadruples", "quadrupling", "halved",
    "halves",  "halving",  "half",       "third",      "quarter"};
static const char *const NUMBER_WORDS[] = {
    "one",   "two",    "three",    "four",      "five",    "six",     "seven",    "eight",
    "nine",  "ten",    "eleven",   "twelve",    "fifteen", "twenty",  "thirty",   "forty",
    "fifty", "sixty",  "seventy",  "eighty",    "ninety",  "hundred", "thousand", "million",
    "dozen", "dozens", "hundreds", "thousands", "several", "couple"};

static size_t word_len(Slice s)
{
    size_t len = 0;
    while (len < s.len && len < WORD_MAX && is_letter(s.ptr[len])) {
        len++;
    }
    return len;
}

static size_t words_figure(Slice s)
{
    static const char *const MAGNITUDE[] = {"orders of magnitude", "order of magnitude",
                                            "double the", "triple the"};
    for (size_t i = 0; i < COUNT_OF(MAGNITUDE); i++) {
        Slice phrase = slice_from_cstr(MAGNITUDE[i]);
        if (starts_nocase(s, phrase)) {
            return phrase.len;
        }
    }
    size_t len = word_len(s);
    Slice word = slice_sub(s, 0, len);
    if (len == 0 || (len < s.len && is_word_byte(s.ptr[len]))) {
        return 0;
    }
    if (one_of(word, FIGURE_WORDS, COUNT_OF(FIGURE_WORDS))) {
        return len;
    }
    if (ends_nocase(word, "fold") && len > 4 &&
        one_of(slice_sub(word, 0, len - 4), NUMBER_WORDS, COUNT_OF(NUMBER_WORDS))) {
        return len;
    }
    if (!one_of(word, NUMBER_WORDS, COUNT_OF(NUMBER_WORDS))) {
        return 0;
    }
    Slice rest = behind(s, len);
    size_t gap = gap_at(rest);
    size_t more = gap > 0 ? unit_at(behind(rest, gap)) : 0;
    if (more == 0 && gap > 0) { // "two hundred percent"
        more = words_figure(behind(rest, gap));
    }
    return more > 0 ? len + gap + more : 0;
}

// ---- everything else

static bool is_control(uint32_t c)
{
    return (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0) ||
           (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0x2028 ||
           c == 0x2029;
}

// Appends the character at the front without its power and returns its bytes.
static size_t put_harmless(Slice s, Buf *out)
{
    uint32_t c = 0;
    size_t len = utf8_decode(s, &c);
    if (len == 0 || is_control(c)) {
        buf_puts(out, REPLACED);
        return len == 0 ? 1 : len;
    }
    if (c == '<') {
        buf_puts(out, "&lt;");
        return len;
    }
    buf_append(out, slice_sub(s, 0, len));
    char next = s.len > len ? s.ptr[len] : '\0';
    bool cut = (c == '@' && is_word_byte(next)) || (c == '#' && next >= '0' && next <= '9') ||
               (c == '!' && next == '[') || (c == ']' && next == '(') ||
               (c == '~' && next == '~') || (c == ':' && next == '/') ||
               (c == '-' && next >= '0' && next <= '9');
    if (cut) {
        buf_puts(out, ZERO_WIDTH);
    }
    return len;
}

// A row of a Markdown table, where the unit stands in the head.
static bool in_table_row(Slice text, size_t at)
{
    size_t from = at;
    while (from > 0 && text.ptr[from - 1] != '\n') {
        from--;
    }
    while (from < at && text.ptr[from] == ' ') {
        from++;
    }
    return from < text.len && text.ptr[from] == '|';
}

size_t strike_figures(Slice text, Buf *out)
{
    size_t struck = 0;
    for (size_t at = 0; at < text.len;) {
        char prev = at > 0 ? text.ptr[at - 1] : ' ';
        bool free = !is_word_byte(prev);
        size_t len = 0;
        if (free && is_letter(text.ptr[at])) {
            len = words_figure(behind(text, at));
        } else if (free && !(prev == '.' && at > 1 && is_word_byte(text.ptr[at - 2]))) {
            len = digits_figure(text, at, in_table_row(text, at));
        }
        if (len == 0) {
            at += put_harmless(behind(text, at), out);
            continue;
        }
        buf_puts(out, "~~");
        buf_append(out, slice_sub(text, at, len));
        buf_puts(out, "~~" STRIKE_MARK);
        struck++;
        at += len;
    }
    return struck;
}
