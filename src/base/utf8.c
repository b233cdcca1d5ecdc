#include "base/utf8.h"

size_t utf8_decode(Slice s, uint32_t *ret_char)
{
    if (s.len == 0) {
        return 0;
    }
    const unsigned char *p = (const unsigned char *)s.ptr;
    if (p[0] < 0x80) {
        *ret_char = p[0];
        return 1;
    }
    size_t len = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC2 || p[0] > 0xF4 || s.len < len) {
        return 0;
    }
    uint32_t c = p[0] & (0xFFu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
        c = c << 6 | (p[i] & 0x3F);
    }
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (c < smallest[len] || (c >= 0xD800 && c <= 0xDFFF) || c > 0x10FFFF) {
        return 0;
    }
    *ret_char = c;
    return len;
}

size_t utf8_encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (c & 0x3F));
        c >>= 6;
    }
    static const unsigned lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    out[0] = (char)(lead[len] | c);
    return len;
}

ptrdiff_t utf8_find_invalid(Slice s)
{
    size_t at = 0;
    while (at < s.len) {
        if ((unsigned char)s.ptr[at] < 0x80) {
            at++;
            continue;
        }
        uint32_t c = 0;
        size_t len = utf8_decode(slice_sub(s, at, 4), &c);
        if (len == 0) {
            return (ptrdiff_t)at;
        }
        at += len;
    }
    return -1;
}

typedef struct Range {
    uint32_t from, to;
} Range;

static bool in_ranges(uint32_t c, const Range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (c >= ranges[i].from && c <= ranges[i].to) {
            return true;
        }
    }
    return false;
}

// Blocks of combining marks and joiners, from the Unicode block list. Marks that stand alone in
// other blocks (Hebrew points, Indic vowel signs) count as one column.
static const Range ZERO_WIDTH[] = {
    {0x0300, 0x036F}, {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF}, {0x200B, 0x200F}, {0x2060, 0x2064},
    {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF}, {0xE0100, 0xE01EF},
};

// East Asian Width W and F of UAX #11, coarsely, with the emoji planes.
static const Range WIDE[] = {
    {0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0xA4CF},   {0xA960, 0xA97F},
    {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},
    {0xFFE0, 0xFFE6},   {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF},
    {0x20000, 0x3FFFD},
};

int utf8_width(Slice s)
{
    int columns = 0;
    for (size_t at = 0; at < s.len;) {
        uint32_t c = 0;
        size_t len = utf8_decode(slice_sub(s, at, 4), &c);
        at += len ? len : 1;
        if (len == 0) {
            columns++;
        } else if (!in_ranges(c, ZERO_WIDTH, COUNT_OF(ZERO_WIDTH))) {
            columns += in_ranges(c, WIDE, COUNT_OF(WIDE)) ? 2 : 1;
        }
    }
    return columns;
}

static bool drives_a_terminal(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x2028 && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0x200E || c == 0x200F;
}

static void escape_char(Buf *out, uint32_t c)
{
    if (c == '\n') {
        buf_puts(out, "\\n");
    } else if (c == '\t') {
        buf_puts(out, "\\t");
    } else if (c < 0x100) {
        buf_printf(out, "\\x%02x", (unsigned)c);
    } else {
        buf_printf(out, "\\u{%x}", (unsigned)c);
    }
}

void utf8_sanitise(Buf *out, Slice s)
{
    for (size_t at = 0; at < s.len;) {
        uint32_t c = 0;
        size_t len = utf8_decode(slice_sub(s, at, 4), &c);
        if (len == 0) {
            escape_char(out, (unsigned char)s.ptr[at]);
            at++;
            continue;
        }
        if (drives_a_terminal(c)) {
            escape_char(out, c);
        } else {
            buf_append(out, slice_sub(s, at, len));
        }
        at += len;
    }
}
