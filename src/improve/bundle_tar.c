#include "improve/bundle_tar.h"

#include <string.h>

#include "improve/bundle.h"

// Where ustar keeps its fields. What is not written stays zero: owner and group names, device
// numbers, and the name's prefix.
enum {
    AT_NAME = 0,
    AT_MODE = 100,
    AT_UID = 108,
    AT_GID = 116,
    AT_SIZE = 124,
    SIZE_DIGITS = 11,
    AT_TIME = 136,
    AT_SUM = 148,
    AT_TYPE = 156,
    AT_MAGIC = 257,
};

static bool piece_ok(Slice piece)
{
    return piece.len > 0 && !slice_eq(piece, SLICE(".")) && !slice_eq(piece, SLICE(".."));
}

bool bundle_name_ok(Slice name)
{
    if (name.len == 0 || name.len > BUNDLE_NAME_MAX) {
        return false;
    }
    size_t from = 0;
    for (size_t i = 0; i <= name.len; i++) {
        char c = i < name.len ? name.ptr[i] : '/';
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '_' || c == '-' || c == '/';
        if (!fine || (c == '/' && !piece_ok(slice_sub(name, from, i - from)))) {
            return false;
        }
        from = c == '/' ? i + 1 : from;
    }
    return true;
}

static void put_octal(char *at, size_t digits, size_t value)
{
    for (size_t i = digits; i-- > 0; value >>= 3) {
        at[i] = (char)('0' + (value & 7));
    }
}

void bundle_tar_header(Slice name, size_t bytes, char out[BUNDLE_BLOCK])
{
    memset(out, 0, BUNDLE_BLOCK);
    memcpy(out + AT_NAME, name.ptr, name.len);
    put_octal(out + AT_MODE, 7, 0644);
    put_octal(out + AT_UID, 7, 0);
    put_octal(out + AT_GID, 7, 0);
    put_octal(out + AT_SIZE, SIZE_DIGITS, bytes);
    put_octal(out + AT_TIME, 11, 0);
    out[AT_TYPE] = '0';
    memcpy(out + AT_MAGIC, "ustar\00000", 8);
    // The sum counts its own field as blanks, and is six digits, NUL, blank.
    memset(out + AT_SUM, ' ', 8);
    size_t sum = 0;
    for (size_t i = 0; i < BUNDLE_BLOCK; i++) {
        sum += (unsigned char)out[i];
    }
    put_octal(out + AT_SUM, 6, sum);
    out[AT_SUM + 6] = '\0';
}

static size_t padding(size_t bytes)
{
    return (BUNDLE_BLOCK - bytes % BUNDLE_BLOCK) % BUNDLE_BLOCK;
}

void bundle_tar_append(Buf *out, Slice name, Slice bytes)
{
    static const char zeros[BUNDLE_BLOCK];
    char header[BUNDLE_BLOCK];
    bundle_tar_header(name, bytes.len, header);
    buf_append(out, (Slice){header, BUNDLE_BLOCK});
    buf_append(out, bytes);
    buf_append(out, (Slice){zeros, padding(bytes.len)});
}

void bundle_tar_end(Buf *out)
{
    static const char zeros[2 * BUNDLE_BLOCK];
    buf_append(out, (Slice){zeros, sizeof zeros});
}

static bool all_zero(Slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != '\0') {
            return false;
        }
    }
    return true;
}

// What the size field says; SIZE_MAX where it is not eleven octal digits.
static size_t stated_size(const char *header)
{
    size_t value = 0;
    for (size_t i = 0; i < SIZE_DIGITS; i++) {
        char c = header[AT_SIZE + i];
        if (c < '0' || c > '7') {
            return SIZE_MAX;
        }
        value = value * 8 + (size_t)(c - '0');
    }
    return value;
}

int bundle_tar_take(Slice *rest, Slice name, size_t bytes, size_t bytes_max, Slice *ret_bytes,
                    Err *e)
{
    if (rest->len < BUNDLE_BLOCK) {
        return err_set(e, ERR_PARSE, "the bundle is cut off before %.*s", SLICE_FMT(name));
    }
    size_t size = bytes == SIZE_MAX ? stated_size(rest->ptr) : bytes;
    if (size == SIZE_MAX) {
        return err_set(e, ERR_PARSE, "%.*s: the size in its header is no number", SLICE_FMT(name));
    }
    if (size > bytes_max) {
        return err_set(e, ERR_LIMIT, "%.*s: %zu bytes, the limit is %zu", SLICE_FMT(name), size,
                       bytes_max);
    }
    char expected[BUNDLE_BLOCK];
    bundle_tar_header(name, size, expected);
    if (memcmp(rest->ptr, expected, BUNDLE_BLOCK) != 0) {
        return err_set(e, ERR_PARSE,
                       "the next member is not %.*s of %zu bytes as the manifest has it",
                       SLICE_FMT(name), size);
    }
    size_t whole = BUNDLE_BLOCK + size + padding(size);
    if (rest->len < whole) {
        return err_set(e, ERR_PARSE, "%.*s: the bundle is cut off in it", SLICE_FMT(name));
    }
    if (!all_zero(slice_sub(*rest, BUNDLE_BLOCK + size, padding(size)))) {
        return err_set(e, ERR_PARSE, "%.*s: bytes hide behind its end", SLICE_FMT(name));
    }
    *ret_bytes = slice_sub(*rest, BUNDLE_BLOCK, size);
    *rest = slice_sub(*rest, whole, rest->len - whole);
    return 0;
}

int bundle_tar_take_end(Slice rest, Err *e)
{
    if (rest.len != 2 * BUNDLE_BLOCK || !all_zero(rest)) {
        return err_set(e, ERR_PARSE, "something that the manifest does not name follows its parts");
    }
    return 0;
}
