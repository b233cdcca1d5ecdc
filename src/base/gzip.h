// gzip and zlib: the one place that includes zlib. Bytes go in whole and come out in a Buf.
//
//     rc = gzip_append(text, &packed, e);                          // one member (RFC 1952)
//     rc = inflate_append(INFLATE_GZIP, packed, &plain, e);
#ifndef BASE_GZIP_H
#define BASE_GZIP_H

#include "base/buf.h"

typedef enum InflateFormat {
    INFLATE_GZIP, // RFC 1952, members one behind another included
    INFLATE_ZLIB, // RFC 1950, which HTTP calls "deflate"
    INFLATE_RAW,  // RFC 1951
} InflateFormat;

// Appends the bytes as one gzip member. Members one behind another are a gzip file too. ERR_LIMIT.
MUST_USE int gzip_append(Slice bytes, Buf *out, Err *e);

// Appends what the bytes decode to, which end with them. ERR_LIMIT past the ceiling of `out`, so a
// bomb costs no more than that; ERR_PROTOCOL for bytes that do not decode, are cut off or followed
// by others.
MUST_USE int inflate_append(InflateFormat format, Slice bytes, Buf *out, Err *e);

// ---- for decoders of other codings, which obey the same ceiling in the same words

int decode_bomb(const Buf *out, Err *e);
int decode_broken(const char *coding, const char *how, Err *e);
// Room for the next piece: as much as the ceiling leaves; NULL when there is none. Then what of it
// was written.
char *decode_piece(Buf *out, size_t *ret_room);
void decode_keep(Buf *out, const char *at, size_t bytes);

#endif
