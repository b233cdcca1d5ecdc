// HttpHead: what a message says before its body, the same for HTTP/1 and HTTP/2, for requests and
// responses. One is kept and refilled message after message: after warm-up it allocates nothing.
//
//     Slice type = http_head_get(&response->head, SLICE("content-type"));
//
// Slices that it gives out are good until the next reset or the next field is added.
#ifndef NET_HTTP_HEAD_H
#define NET_HTTP_HEAD_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

// Positions instead of pointers, because the text moves while it grows.
typedef struct HttpField {
    uint32_t name_at;
    uint32_t name_len;
    uint32_t value_at;
    uint32_t value_len;
} HttpField;

typedef struct HttpLimits {
    size_t head_bytes_max; // all names, values and the first line; trailers count too
    size_t fields_max;
    size_t line_bytes_max; // request target or reason phrase
} HttpLimits;

// What servers and clients use unless told otherwise. Go's and nginx's limits are of the same size.
enum {
    HTTP_HEAD_BYTES_MAX = 64 << 10,
    HTTP_FIELDS_MAX = 256,
    HTTP_LINE_BYTES_MAX = 16 << 10,
};

typedef struct HttpHead {
    Buf text;
    HttpField *fields;
    uint32_t field_count;
    uint32_t field_capacity;
    uint32_t trailer_first; // fields from this one on came behind the body
    HttpLimits limits;
    int status;             // of a response
    uint32_t line_at;       // request target, or reason phrase
    uint32_t line_len;      //
    const char *method;     // of a request; a literal
    int version_major;      // 1 or 2
    int version_minor;      //
    int64_t content_length; // -1: not said
    bool keep_alive;        // the connection may carry another message
    bool chunked;
    bool upgrade;         // the connection changes its protocol after this head
    bool expect_continue; // the peer waits for "100 Continue"
} HttpHead;

// NULL for the default limits.
HttpHead http_head_create(const HttpLimits *limits);
void http_head_done(HttpHead *head);
void http_head_reset(HttpHead *head); // keeps the memory and the limits

// First field of that name (case does not matter), the empty slice with ptr NULL without one.
Slice http_head_get(const HttpHead *head, Slice name);
// The next field of that name at or after *at, which is moved behind it; false when there is none.
bool http_head_each(const HttpHead *head, Slice name, uint32_t *at, Slice *ret_value);
Slice http_head_name(const HttpHead *head, uint32_t index);
Slice http_head_value(const HttpHead *head, uint32_t index);
// Request target or reason phrase.
Slice http_head_line(const HttpHead *head);
// Whether a list field (Connection, Accept-Encoding, ...) holds the token, in any of its fields.
bool http_head_has_token(const HttpHead *head, Slice name, Slice token);

// ---- for codecs

// ERR_LIMIT past a limit.
MUST_USE int http_head_add(HttpHead *head, Slice name, Slice value);

// The standard reason phrase (RFC 9110 section 15), "Unknown" for others.
const char *http_reason(int status);

// A token of RFC 9110 section 5.6.2: what a method or field name may be.
bool http_is_token(Slice s);
size_t http_token_len(Slice s); // how many bytes at its beginning are a token
// A field value without control characters, so that it cannot end its line.
bool http_is_field_value(Slice s);

#endif
