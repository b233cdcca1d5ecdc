#include "base/doc_toml_lex.h"

#include <math.h>

#include "base/utf8.h"

void toml_step(TomlText *t)
{
    if (*t->at == '\n') {
        t->place.line++;
        t->place.column = 1;
    } else if ((*t->at & 0xC0) != 0x80) {
        t->place.column++;
    }
    t->at++;
}

static void step_over(TomlText *t, size_t bytes)
{
    while (bytes-- > 0) {
        toml_step(t);
    }
}

void toml_skip_blanks(TomlText *t)
{
    while (toml_peek(t, 0) == ' ' || toml_peek(t, 0) == '\t') {
        toml_step(t);
    }
}

bool toml_take(TomlText *t, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(t->end - t->at) < len || memcmp(t->at, word, len) != 0) {
        return false;
    }
    step_over(t, len);
    return true;
}

int toml_unexpected(TomlText *t, const char *where)
{
    int c = toml_peek(t, 0);
    if (c < 0) {
        return doc_fail(t->b, ERR_PARSE, t->place, "the text ends in %s", where);
    }
    uint32_t decoded = 0;
    size_t len = utf8_decode((Slice){t->at, (size_t)(t->end - t->at)}, &decoded);
    if (c < 0x20 || c == 0x7F) {
        return doc_fail(t->b, ERR_PARSE, t->place, "unexpected character 0x%02x in %s", (unsigned)c,
                        where);
    }
    return doc_fail(t->b, ERR_PARSE, t->place, "unexpected \"%.*s\" in %s", (int)len, t->at, where);
}

static bool is_control(int c)
{
    return (c >= 0 && c < 0x20 && c != '\t') || c == 0x7F;
}

int toml_skip_comment(TomlText *t)
{
    if (toml_peek(t, 0) != '#') {
        return 0;
    }
    for (;;) {
        int c = toml_peek(t, 0);
        if (c < 0 || c == '\n' || (c == '\r' && toml_peek(t, 1) == '\n')) {
            return 0;
        }
        if (is_control(c)) {
            return toml_unexpected(t, "a comment");
        }
        toml_step(t);
    }
}

int toml_newline(TomlText *t, bool *ret_found)
{
    *ret_found = toml_take(t, "\n") || toml_take(t, "\r\n");
    if (!*ret_found && toml_peek(t, 0) == '\r') {
        return doc_fail(t->b, ERR_PARSE, t->place, "a carriage return without a line feed");
    }
    return 0;
}

int toml_skip_all(TomlText *t)
{
    for (bool more = true; more;) {
        toml_skip_blanks(t);
        int rc = toml_skip_comment(t);
        if (rc != 0 || (rc = toml_newline(t, &more)) != 0) {
            return rc;
        }
    }
    return 0;
}

static int hex_value(int c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int read_unicode_escape(TomlText *t, int digits)
{
    DocPlace at = t->place;
    uint32_t c = 0;
    for (int i = 0; i < digits; i++) {
        int value = hex_value(toml_peek(t, 0));
        if (value < 0) {
            return toml_unexpected(t, "a Unicode escape");
        }
        c = c << 4 | (uint32_t)value;
        toml_step(t);
    }
    if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) {
        return doc_fail(t->b, ERR_PARSE, at, "U+%04X is not a character", (unsigned)c);
    }
    char bytes[4];
    buf_append(&t->scratch, (Slice){bytes, utf8_encode(c, bytes)});
    return 0;
}

// A backslash at the end of a line swallows all white space up to the next character.
static int skip_line_continuation(TomlText *t)
{
    toml_skip_blanks(t);
    bool newline = false;
    int rc = toml_newline(t, &newline);
    if (rc != 0) {
        return rc;
    }
    if (!newline) {
        return toml_unexpected(t, "an escape sequence");
    }
    while (newline) {
        toml_skip_blanks(t);
        if ((rc = toml_newline(t, &newline)) != 0) {
            return rc;
        }
    }
    return 0;
}

// The cursor stands behind the backslash.
static int read_escape(TomlText *t, bool multi_line)
{
    static const char letters[] = "btnfr\"\\";
    static const char values[] = "\b\t\n\f\r\"\\";
    int c = toml_peek(t, 0);
    const char *known = c > 0 ? strchr(letters, c) : NULL;
    if (known) {
        toml_step(t);
        buf_putc(&t->scratch, values[known - letters]);
        return 0;
    }
    if (c == 'u' || c == 'U') {
        toml_step(t);
        return read_unicode_escape(t, c == 'u' ? 4 : 8);
    }
    if (multi_line && (c == ' ' || c == '\t' || c == '\r' || c == '\n')) {
        return skip_line_continuation(t);
    }
    return toml_unexpected(t, "an escape sequence");
}

// The closing delimiter of a tripled string may follow up to two quotes that belong to the text.
static bool take_closing(TomlText *t, char quote, bool multi_line)
{
    if (toml_peek(t, 0) != quote) {
        return false;
    }
    if (!multi_line) {
        toml_step(t);
        return true;
    }
    size_t run = 1;
    while (run < 5 && toml_peek(t, run) == quote) {
        run++;
    }
    if (run < 3) {
        return false;
    }
    buf_append(&t->scratch, (Slice){t->at, run - 3});
    step_over(t, run);
    return true;
}

int toml_read_string(TomlText *t, bool multi_line_allowed)
{
    DocPlace start = t->place;
    char quote = *t->at;
    bool multi_line = toml_peek(t, 1) == quote && toml_peek(t, 2) == quote;
    if (multi_line && !multi_line_allowed) {
        return doc_fail(t->b, ERR_PARSE, start, "a key cannot be a multi-line string");
    }
    step_over(t, multi_line ? 3 : 1);
    bool newline = false;
    int rc = multi_line ? toml_newline(t, &newline) : 0; // directly behind the opening: dropped
    buf_reset(&t->scratch);
    while (rc == 0 && !take_closing(t, quote, multi_line)) {
        int c = toml_peek(t, 0);
        const char *from = t->at;
        if (c < 0) {
            return doc_fail(t->b, ERR_PARSE, start, "the string is not closed");
        }
        if (c == '\\' && quote == '"') {
            toml_step(t);
            rc = read_escape(t, multi_line);
            continue;
        }
        if (multi_line && (c == '\n' || c == '\r')) {
            rc = toml_newline(t, &newline);
        } else if (is_control(c)) {
            return toml_unexpected(t, "a string");
        } else {
            toml_step(t);
        }
        buf_append(&t->scratch, (Slice){from, (size_t)(t->at - from)});
    }
    return rc;
}

// Numbers and dates are short; a longer run of their characters is neither.
enum { SCALAR_MAX = 1024 };

static bool is_scalar_char(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' ||
           c == '-' || c == '.' || c == '_' || c == ':';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// Exactly `count` digits at *at; the value or -1.
static int fixed_digits(Slice s, size_t *at, int count)
{
    int value = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (*at >= s.len || !is_digit(s.ptr[*at])) {
            return -1;
        }
        value = value * 10 + (s.ptr[*at] - '0');
    }
    return value;
}

static bool take_char(Slice s, size_t *at, const char *any)
{
    if (*at < s.len && strchr(any, s.ptr[*at])) {
        (*at)++;
        return true;
    }
    return false;
}

static bool valid_date(Slice s, size_t *at)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = fixed_digits(s, at, 4);
    if (year < 0 || !take_char(s, at, "-")) {
        return false;
    }
    int month = fixed_digits(s, at, 2);
    if (month < 1 || month > 12 || !take_char(s, at, "-")) {
        return false;
    }
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    int day = fixed_digits(s, at, 2);
    return day >= 1 && day <= days[month - 1] + (month == 2 && leap);
}

// RFC 3339 allows second 60 for leap seconds.
static bool valid_time(Slice s, size_t *at)
{
    int hour = fixed_digits(s, at, 2);
    if (hour < 0 || hour > 23 || !take_char(s, at, ":")) {
        return false;
    }
    int minute = fixed_digits(s, at, 2);
    if (minute < 0 || minute > 59 || !take_char(s, at, ":")) {
        return false;
    }
    int second = fixed_digits(s, at, 2);
    if (second < 0 || second > 60) {
        return false;
    }
    if (take_char(s, at, ".")) {
        size_t from = *at;
        while (*at < s.len && is_digit(s.ptr[*at])) {
            (*at)++;
        }
        return *at > from;
    }
    return true;
}

static bool valid_offset(Slice s, size_t *at)
{
    if (take_char(s, at, "Zz")) {
        return true;
    }
    if (!take_char(s, at, "+-")) {
        return false;
    }
    int hour = fixed_digits(s, at, 2);
    if (hour < 0 || hour > 23 || !take_char(s, at, ":")) {
        return false;
    }
    int minute = fixed_digits(s, at, 2);
    return minute >= 0 && minute <= 59;
}

static bool valid_datetime(Slice s)
{
    size_t at = 0;
    if (s.len > 2 && s.ptr[2] == ':') {
        return valid_time(s, &at) && at == s.len;
    }
    if (!valid_date(s, &at)) {
        return false;
    }
    if (at == s.len) {
        return true;
    }
    if (!take_char(s, &at, "Tt ") || !valid_time(s, &at)) {
        return false;
    }
    return at == s.len || (valid_offset(s, &at) && at == s.len);
}

static bool looks_like_datetime(Slice s)
{
    return (s.len >= 3 && is_digit(s.ptr[0]) && s.ptr[2] == ':') ||
           (s.len >= 5 && is_digit(s.ptr[0]) && is_digit(s.ptr[3]) && s.ptr[4] == '-');
}

// A run of digits of `base` from *at, copied to `out` without its underscores, which must stand
// between two digits. Returns how many digits there were, 0 for none or a misplaced underscore.
static size_t take_digits(Slice s, size_t *at, int base, Buf *out)
{
    size_t count = 0;
    for (; *at < s.len; (*at)++) {
        char c = s.ptr[*at];
        if (c == '_') {
            int next = *at + 1 < s.len ? hex_value(s.ptr[*at + 1]) : -1;
            if (count == 0 || next < 0 || next >= base) {
                return 0;
            }
            continue;
        }
        int value = hex_value(c);
        if (value < 0 || value >= base) {
            break;
        }
        buf_putc(out, c);
        count++;
    }
    return count;
}

static int read_prefixed(TomlText *t, DocPlace at, Slice s, Doc *node)
{
    int base = s.ptr[1] == 'x' ? 16 : s.ptr[1] == 'o' ? 8 : 2;
    size_t pos = 2;
    buf_reset(&t->scratch);
    if (take_digits(s, &pos, base, &t->scratch) == 0 || pos != s.len) {
        return doc_fail(t->b, ERR_PARSE, at, "\"%.*s\" is not a number of base %d", SLICE_FMT(s),
                        base);
    }
    int64_t value = 0;
    for (size_t i = 0; i < t->scratch.len; i++) {
        if (__builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, hex_value(t->scratch.data[i]), &value)) {
            return doc_fail(t->b, ERR_PARSE, at, "the integer does not fit in 64 bits");
        }
    }
    node->type = DOC_INT;
    node->integer = value;
    return 0;
}

// Writes the number into t->scratch without underscores when it follows the grammar.
static bool lex_decimal(TomlText *t, Slice s, bool *ret_is_float)
{
    Buf *out = &t->scratch;
    buf_reset(out);
    size_t pos = 0;
    if (take_char(s, &pos, "+-")) {
        buf_putc(out, s.ptr[0]);
    }
    size_t start = pos;
    size_t whole = take_digits(s, &pos, 10, out);
    if (whole == 0 || (whole > 1 && s.ptr[start] == '0')) {
        return false;
    }
    bool is_float = false;
    if (take_char(s, &pos, ".")) {
        is_float = true;
        buf_putc(out, '.');
        if (take_digits(s, &pos, 10, out) == 0) {
            return false;
        }
    }
    if (take_char(s, &pos, "eE")) {
        is_float = true;
        buf_putc(out, 'e');
        if (take_char(s, &pos, "+-")) {
            buf_putc(out, s.ptr[pos - 1]);
        }
        if (take_digits(s, &pos, 10, out) == 0) {
            return false;
        }
    }
    *ret_is_float = is_float;
    return pos == s.len;
}

static int read_decimal(TomlText *t, DocPlace at, Slice s, Doc *node)
{
    bool is_float = false;
    if (!lex_decimal(t, s, &is_float)) {
        return doc_fail(t->b, ERR_PARSE, at, "\"%.*s\" is not a value; text needs quotes",
                        SLICE_FMT(s));
    }
    if (is_float) {
        node->type = DOC_FLOAT;
        node->real = strtod(t->scratch.data, NULL);
        return isfinite(node->real) ? 0 : doc_fail(t->b, ERR_PARSE, at, "number is too large");
    }
    node->type = DOC_INT;
    if (slice_to_i64(buf_slice(&t->scratch), &node->integer) != 0) {
        return doc_fail(t->b, ERR_PARSE, at, "the integer does not fit in 64 bits");
    }
    return 0;
}

static bool read_word(Slice s, Doc *node)
{
    bool sign = s.len > 0 && (s.ptr[0] == '+' || s.ptr[0] == '-');
    Slice bare = slice_sub(s, sign, s.len);
    if (slice_eq_cstr(s, "true") || slice_eq_cstr(s, "false")) {
        node->type = DOC_BOOL;
        node->boolean = s.ptr[0] == 't';
    } else if (slice_eq_cstr(bare, "inf")) {
        node->type = DOC_FLOAT;
        node->real = s.ptr[0] == '-' ? -(double)INFINITY : (double)INFINITY;
    } else if (slice_eq_cstr(bare, "nan")) {
        node->type = DOC_FLOAT;
        node->real = (double)NAN;
    } else {
        return false;
    }
    return true;
}

static Slice take_scalar_text(TomlText *t)
{
    const char *from = t->at;
    while (is_scalar_char(toml_peek(t, 0))) {
        toml_step(t);
    }
    // Date and time may be parted by one space instead of a T.
    Slice s = {from, (size_t)(t->at - from)};
    if (s.len == 10 && looks_like_datetime(s) && toml_peek(t, 0) == ' ' && toml_peek(t, 1) >= '0' &&
        toml_peek(t, 1) <= '9') {
        toml_step(t);
        while (is_scalar_char(toml_peek(t, 0))) {
            toml_step(t);
        }
    }
    return (Slice){from, (size_t)(t->at - from)};
}

int toml_read_scalar(TomlText *t, Doc *node)
{
    DocPlace at = t->place;
    Slice s = take_scalar_text(t);
    if (s.len == 0) {
        return toml_unexpected(t, "the place of a value");
    }
    if (s.len > SCALAR_MAX) {
        return doc_fail(t->b, ERR_PARSE, at, "a number or date of %zu characters", s.len);
    }
    int rc = doc_build_text(t->b, at, s, &node->text);
    if (rc != 0 || read_word(s, node)) {
        return rc;
    }
    if (looks_like_datetime(s)) {
        node->type = DOC_DATETIME;
        return valid_datetime(s)
                   ? 0
                   : doc_fail(t->b, ERR_PARSE, at, "\"%.*s\" is not a date or time", SLICE_FMT(s));
    }
    if (s.len > 1 && s.ptr[0] == '0' && strchr("xob", s.ptr[1])) {
        return read_prefixed(t, at, s, node);
    }
    return read_decimal(t, at, s, node);
}
