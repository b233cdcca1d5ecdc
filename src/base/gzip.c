#include "base/gzip.h"

#include <zlib.h>

enum { PIECE_BYTES = 16 << 10 }; // what zlib may write before the ceiling is asked again

int decode_bomb(const Buf *out, Err *e)
{
    return err_set(e, ERR_LIMIT, "the decoded body is larger than %zu bytes", out->max);
}

int decode_broken(const char *coding, const char *how, Err *e)
{
    return err_set(e, ERR_PROTOCOL, "the %s body does not decode: %s", coding, how);
}

char *decode_piece(Buf *out, size_t *ret_room)
{
    size_t left = out->max - out->len;
    *ret_room = left < PIECE_BYTES ? left : PIECE_BYTES;
    return *ret_room > 0 ? buf_reserve(out, *ret_room) : NULL;
}

void decode_keep(Buf *out, const char *at, size_t bytes)
{
    if (at && bytes > 0) {
        buf_commit(out, bytes);
    }
}

static int inflate_member(z_stream *z, const char *coding, Buf *out, Err *e)
{
    for (;;) {
        // At the ceiling the decoder gets one byte elsewhere: the end may follow without output.
        unsigned char extra;
        size_t room;
        char *at = decode_piece(out, &room);
        z->next_out = at ? (Bytef *)at : &extra;
        z->avail_out = at ? (uInt)room : 1;
        int result = inflate(z, Z_NO_FLUSH);
        size_t made = (at ? room : 1) - z->avail_out;
        if (!at && made > 0) {
            return decode_bomb(out, e);
        }
        decode_keep(out, at, made);
        if (result == Z_STREAM_END) {
            return 0;
        }
        if (result == Z_BUF_ERROR || (result == Z_OK && z->avail_in == 0 && z->avail_out > 0)) {
            return decode_broken(coding, "it is cut off", e);
        }
        if (result != Z_OK) {
            return decode_broken(coding, z->msg ? z->msg : "wrong bytes", e);
        }
    }
}

int inflate_append(InflateFormat format, Slice in, Buf *out, Err *e)
{
    static const struct {
        const char *name;
        int window_bits;
    } formats[] = {[INFLATE_GZIP] = {"gzip", MAX_WBITS + 16},
                   [INFLATE_ZLIB] = {"deflate", MAX_WBITS},
                   [INFLATE_RAW] = {"deflate", -MAX_WBITS}};
    const char *coding = formats[format].name;
    int window_bits = formats[format].window_bits;
    z_stream z = {.next_in = (z_const Bytef *)(uintptr_t)in.ptr, .avail_in = (uInt)in.len};
    if (in.len > UINT32_MAX || inflateInit2(&z, window_bits) != Z_OK) {
        return err_set(e, ERR_LIMIT, "the %s body is too large", coding);
    }
    int rc = inflate_member(&z, coding, out, e);
    // RFC 1952 section 2.2: a gzip file is a series of members.
    while (rc == 0 && z.avail_in > 0 && window_bits > MAX_WBITS) {
        rc = inflateReset(&z) == Z_OK ? inflate_member(&z, coding, out, e)
                                      : decode_broken(coding, "wrong bytes", e);
    }
    if (rc == 0 && z.avail_in > 0) {
        rc = decode_broken(coding, "bytes follow its end", e);
    }
    (void)inflateEnd(&z);
    return rc;
}

int gzip_append(Slice bytes, Buf *out, Err *e)
{
    z_stream z = {.next_in = (z_const Bytef *)(uintptr_t)bytes.ptr, .avail_in = (uInt)bytes.len};
    if (bytes.len > UINT32_MAX || deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED,
                                               MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        return err_set(e, ERR_LIMIT, "%zu bytes are too many to compress", bytes.len);
    }
    int result = Z_OK;
    while (result == Z_OK) {
        char *at = buf_reserve(out, PIECE_BYTES);
        if (!at) {
            break;
        }
        z.next_out = (Bytef *)at;
        z.avail_out = PIECE_BYTES;
        result = deflate(&z, Z_FINISH);
        buf_commit(out, PIECE_BYTES - z.avail_out);
    }
    (void)deflateEnd(&z);
    return result == Z_STREAM_END
               ? 0
               : err_set(e, ERR_LIMIT, "the compressed bytes are more than %zu", out->max);
}
