// Content codings (RFC 9110 section 8.4.1): gzip, deflate, br, zstd. A load test mostly throws
// bodies away undecoded; this is for when a check or an extraction wants to look at one.
//
//     Buf plain = buf_create(HTTP_BODY_BYTES_MAX);
//     Slice body;
//     rc = http_decode_body(&response.head, buf_slice(&response.body), &plain, &body, e);
//     ... body is in `plain`, or the response's own bytes when nothing was coded ...
#ifndef NET_DECODE_H
#define NET_DECODE_H

#include "net/http_head.h"

// Codings one over another; more are refused.
enum { HTTP_CODINGS_MAX = 4 };

// Undoes every coding that Content-Encoding names, the last one first. `plain` is emptied and its
// ceiling holds for each layer: a bomb is ERR_LIMIT after at most that many bytes. An empty body is
// empty whatever the head says. Otherwise: ERR_PROTOCOL for bytes that do not decode (k6's 1701,
// NET_DECOMPRESSION), cut off or followed by others; ERR_UNSUPPORTED for a coding not known here.
MUST_USE int http_decode_body(const HttpHead *head, Slice body, Buf *plain, Slice *ret_body,
                              Err *e);

// One coding by its name, appended to `out`. Codes as above.
MUST_USE int http_decode(Slice coding, Slice bytes, Buf *out, Err *e);

// The other way, for values of our own: as one zstd frame (RFC 8878) that says how long the bytes
// are. ERR_LIMIT.
MUST_USE int http_encode_zstd(Slice bytes, Buf *out, Err *e);

#endif
