#include "base/slice.h"

#include <errno.h>
#include <math.h>

#include "base/err.h"

Slice slice_from_cstr(const char *text)
{
    return (Slice){text, text ? strlen(text) : 0};
}

Slice slice_sub(Slice s, size_t from, size_t len)
{
    if (from > s.len) {
        from = s.len;
    }
    if (len > s.len - from) {
        len = s.len - from;
    }
    return (Slice){s.ptr ? s.ptr + from : NULL, len};
}

bool slice_eq(Slice a, Slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool slice_eq_cstr(Slice a, const char *b)
{
    return slice_eq(a, slice_from_cstr(b));
}

static int ascii_lower(int c)
{
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

bool slice_eq_nocase(Slice a, Slice b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (ascii_lower(a.ptr[i]) != ascii_lower(b.ptr[i])) {
            return false;
        }
    }
    return true;
}

int slice_cmp(Slice a, Slice b)
{
    size_t shared = a.len < b.len ? a.len : b.len;
    int order = shared ? memcmp(a.ptr, b.ptr, shared) : 0;
    if (order != 0) {
        return order;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

bool slice_starts_with(Slice s, Slice prefix)
{
    return s.len >= prefix.len && slice_eq(slice_sub(s, 0, prefix.len), prefix);
}

bool slice_ends_with(Slice s, Slice suffix)
{
    return s.len >= suffix.len && slice_eq(slice_sub(s, s.len - suffix.len, suffix.len), suffix);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

Slice slice_trim(Slice s)
{
    while (s.len > 0 && is_space(s.ptr[0])) {
        s = slice_sub(s, 1, s.len);
    }
    while (s.len > 0 && is_space(s.ptr[s.len - 1])) {
        s.len--;
    }
    return s;
}

ptrdiff_t slice_find_byte(Slice s, char byte)
{
    const char *at = s.len ? memchr(s.ptr, byte, s.len) : NULL;
    return at ? at - s.ptr : -1;
}

ptrdiff_t slice_find(Slice s, Slice needle)
{
    if (needle.len == 0) {
        return 0;
    }
    const char *at = s.len ? memmem(s.ptr, s.len, needle.ptr, needle.len) : NULL;
    return at ? at - s.ptr : -1;
}

bool slice_cut(Slice s, char sep, Slice *ret_head, Slice *ret_tail)
{
    ptrdiff_t at = slice_find_byte(s, sep);
    if (at < 0) {
        *ret_head = s;
        *ret_tail = (Slice){0};
        return false;
    }
    *ret_head = slice_sub(s, 0, (size_t)at);
    *ret_tail = slice_sub(s, (size_t)at + 1, s.len);
    return true;
}

int slice_to_i64(Slice s, int64_t *ret_value)
{
    bool negative = s.len > 0 && s.ptr[0] == '-';
    size_t i = s.len > 0 && (s.ptr[0] == '-' || s.ptr[0] == '+') ? 1 : 0;
    if (i == s.len) {
        return ERR_PARSE;
    }
    int64_t value = 0;
    for (; i < s.len; i++) {
        int digit = s.ptr[i] - '0';
        if (digit < 0 || digit > 9) {
            return ERR_PARSE;
        }
        // Built on the negative side, which holds one value more.
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value)) {
            return ERR_LIMIT;
        }
    }
    if (!negative && value == INT64_MIN) {
        return ERR_LIMIT;
    }
    *ret_value = negative ? value : -value;
    return 0;
}

int slice_to_f64(Slice s, double *ret_value)
{
    char text[64];
    if (s.len == 0 || s.len >= sizeof text) {
        return ERR_PARSE;
    }
    // strtod also takes hexadecimal, "inf", "nan" and leading blanks: none of them is a number
    // here.
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.' || c == 'e' || c == 'E')) {
            return ERR_PARSE;
        }
    }
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    char *end = NULL;
    errno = 0;
    double value = strtod(text, &end);
    if (end != text + s.len) {
        return ERR_PARSE;
    }
    if (!isfinite(value)) {
        return ERR_LIMIT;
    }
    *ret_value = value;
    return 0;
}

enum { NEAREST_NAME_MAX = 64 };

static int least(int a, int b)
{
    return a < b ? a : b;
}

// Optimal string alignment over three rows; NEAREST_NAME_MAX when a name is too long to bother.
static int edit_distance(Slice a, Slice b)
{
    if (a.len >= NEAREST_NAME_MAX || b.len >= NEAREST_NAME_MAX) {
        return NEAREST_NAME_MAX;
    }
    int rows[3][NEAREST_NAME_MAX] = {0};
    int *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t k = 0; k <= b.len; k++) {
        above[k] = (int)k;
    }
    for (size_t i = 1; i <= a.len; i++) {
        row[0] = (int)i;
        int x = ascii_lower(a.ptr[i - 1]);
        for (size_t k = 1; k <= b.len; k++) {
            int y = ascii_lower(b.ptr[k - 1]);
            row[k] = least(above[k - 1] + (x != y), least(above[k], row[k - 1]) + 1);
            if (i > 1 && k > 1 && x == ascii_lower(b.ptr[k - 2]) &&
                y == ascii_lower(a.ptr[i - 2])) {
                row[k] = least(row[k], before[k - 2] + 1);
            }
        }
        int *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[b.len];
}

Slice slice_nearest(Slice wrong, const Slice *names, size_t count)
{
    int best = wrong.len <= 4 ? 2 : 3;
    Slice nearest = {0};
    for (size_t i = 0; i < count; i++) {
        int distance = edit_distance(wrong, names[i]);
        if (distance < best) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}

uint64_t slice_hash(Slice s)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < s.len; i++) {
        hash = (hash ^ (unsigned char)s.ptr[i]) * 0x100000001b3u;
    }
    hash ^= hash >> 32;
    hash *= 0xd6e8feb86659fd93u;
    return hash ^ (hash >> 32);
}
