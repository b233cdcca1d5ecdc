#include "net/decode.h"

#include <brotli/decode.h>
#include <zstd.h>

#include "base/gzip.h"

enum {
    // zstd's window is memory that the sender chooses; RFC 9659 lets the web use 8 MiB.
    ZSTD_WINDOW_LOG_MAX = 23,
};

// "deflate" is zlib's format (RFC 9110 section 8.4.1.2), but some servers send it without zlib's
// header, and every browser takes that too.
static int decode_deflate(Slice in, Buf *out, Err *e)
{
    const unsigned char *b = (const unsigned char *)in.ptr;
    bool header = in.len >= 2 && (b[0] & 0x0F) == 8 && (b[0] * 256 + b[1]) % 31 == 0;
    return inflate_append(header ? INFLATE_ZLIB : INFLATE_RAW, in, out, e);
}

static int decode_gzip(Slice in, Buf *out, Err *e)
{
    return inflate_append(INFLATE_GZIP, in, out, e);
}

// ---- brotli

static int run_brotli(BrotliDecoderState *state, Slice in, Buf *out, Err *e)
{
    const uint8_t *next_in = (const uint8_t *)in.ptr;
    size_t in_left = in.len;
    for (;;) {
        uint8_t extra;
        size_t room;
        char *at = decode_piece(out, &room);
        uint8_t *next_out = at ? (uint8_t *)at : &extra;
        size_t out_left = at ? room : 1;
        BrotliDecoderResult result =
            BrotliDecoderDecompressStream(state, &in_left, &next_in, &out_left, &next_out, NULL);
        if (!at && out_left == 0) {
            return decode_bomb(out, e);
        }
        decode_keep(out, at, room - out_left);
        if (result == BROTLI_DECODER_RESULT_SUCCESS) {
            return in_left > 0 ? decode_broken("br", "bytes follow its end", e) : 0;
        }
        if (result == BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT) {
            return decode_broken("br", "it is cut off", e);
        }
        if (result == BROTLI_DECODER_RESULT_ERROR) {
            return decode_broken("br", BrotliDecoderErrorString(BrotliDecoderGetErrorCode(state)),
                                 e);
        }
    }
}

static int decode_brotli(Slice in, Buf *out, Err *e)
{
    BrotliDecoderState *state = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    if (!state) {
        die("out of memory for brotli");
    }
    int rc = run_brotli(state, in, out, e);
    BrotliDecoderDestroyInstance(state);
    return rc;
}

// ---- zstd

static int run_zstd(ZSTD_DStream *state, Slice bytes, Buf *out, Err *e)
{
    ZSTD_inBuffer in = {bytes.ptr, bytes.len, 0};
    size_t hint = 1;
    bool stuck = false;
    // 0 says that a frame ended; another may follow (RFC 8878 section 3.1).
    while (in.pos < in.size || (hint != 0 && !stuck)) {
        char extra;
        size_t room;
        char *at = decode_piece(out, &room);
        ZSTD_outBuffer piece = {at ? at : &extra, at ? room : 1, 0};
        size_t before = in.pos;
        hint = ZSTD_decompressStream(state, &piece, &in);
        if (ZSTD_isError(hint)) {
            return decode_broken("zstd", ZSTD_getErrorName(hint), e);
        }
        if (!at && piece.pos > 0) {
            return decode_bomb(out, e);
        }
        decode_keep(out, at, piece.pos);
        stuck = piece.pos == 0 && in.pos == before;
    }
    return hint == 0 ? 0 : decode_broken("zstd", "it is cut off", e);
}

static int decode_zstd(Slice in, Buf *out, Err *e)
{
    ZSTD_DStream *state = ZSTD_createDStream();
    if (!state) {
        die("out of memory for zstd");
    }
    (void)ZSTD_DCtx_setParameter(state, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
    int rc = run_zstd(state, in, out, e);
    (void)ZSTD_freeDStream(state);
    return rc;
}

// ---- all of them

int http_decode(Slice coding, Slice bytes, Buf *out, Err *e)
{
    static const struct {
        const char *name;
        int (*decode)(Slice in, Buf *out, Err *e);
    } codings[] = {
        {"gzip", decode_gzip}, {"x-gzip", decode_gzip}, {"deflate", decode_deflate},
        {"br", decode_brotli}, {"zstd", decode_zstd},
    };
    for (size_t i = 0; i < COUNT_OF(codings); i++) {
        if (slice_eq_nocase(coding, slice_from_cstr(codings[i].name))) {
            return codings[i].decode(bytes, out, e);
        }
    }
    return err_set(e, ERR_UNSUPPORTED, "the body has the unknown coding '%.*s'", SLICE_FMT(coding));
}

static int list_codings(const HttpHead *head, Slice codings[HTTP_CODINGS_MAX], size_t *ret_count,
                        Err *e)
{
    size_t count = 0;
    uint32_t at = 0;
    Slice rest;
    while (http_head_each(head, SLICE("content-encoding"), &at, &rest)) {
        while (rest.len > 0) {
            Slice item;
            (void)slice_cut(rest, ',', &item, &rest);
            item = slice_trim(item);
            if (item.len == 0 || slice_eq_nocase(item, SLICE("identity"))) {
                continue;
            }
            if (count == HTTP_CODINGS_MAX) {
                return err_set(e, ERR_LIMIT, "the body has more than %d codings", HTTP_CODINGS_MAX);
            }
            codings[count++] = item;
        }
    }
    *ret_count = count;
    return 0;
}

int http_decode_body(const HttpHead *head, Slice body, Buf *plain, Slice *ret_body, Err *e)
{
    Slice codings[HTTP_CODINGS_MAX];
    size_t count = 0;
    int rc = list_codings(head, codings, &count, e);
    buf_reset(plain);
    if (rc != 0 || count == 0 || body.len == 0) {
        if (rc == 0) {
            *ret_body = body;
        }
        return rc;
    }
    Slice coded = body;
    Buf between = buf_create(plain->max); // holds what the next layer reads
    while (rc == 0 && count > 0) {
        buf_reset(plain);
        rc = http_decode(codings[--count], coded, plain, e);
        if (rc == 0 && count > 0) {
            Buf swap = between;
            between = *plain;
            *plain = swap;
            coded = buf_slice(&between);
        }
    }
    buf_done(&between);
    if (rc == 0) {
        *ret_body = buf_slice(plain);
    }
    return rc;
}

int http_encode_zstd(Slice bytes, Buf *out, Err *e)
{
    size_t bound = ZSTD_compressBound(bytes.len);
    char *at = buf_reserve(out, bound);
    if (!at) {
        return err_set(e, ERR_LIMIT, "%zu bytes may need %zu compressed: no room", bytes.len,
                       bound);
    }
    size_t written = ZSTD_compress(at, bound, bytes.ptr ? bytes.ptr : "", bytes.len, 1);
    if (ZSTD_isError(written)) {
        return decode_broken("zstd", ZSTD_getErrorName(written), e);
    }
    buf_commit(out, written);
    return 0;
}
