// Url: an absolute http or https URL taken apart (RFC 3986), as slices of the text it came from.
#ifndef NET_URL_H
#define NET_URL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

typedef struct Url {
    bool tls;        // scheme https
    Slice user_info; // before "@", still percent-encoded; NULL without
    Slice host;      // without the brackets of an IPv6 address
    uint16_t port;   // the scheme's own when the text names none
    bool ipv6;       // host was in brackets
    Slice path;      // "/..." or empty
    Slice query;     // behind "?", NULL without
    Slice fragment;  // behind "#", NULL without; never sent
} Url;

enum { URL_BYTES_MAX = 16 << 10 };

// ERR_ARG with words about what is wrong: another scheme, no host, a bad port, white space or
// control characters, longer than URL_BYTES_MAX.
MUST_USE int url_parse(Slice text, Url *ret_url, Err *e);

// "/path?query": what the request line says.
void url_append_target(Buf *out, const Url *url);
// "host", or "host:port" where the port is not the scheme's own; brackets around IPv6.
void url_append_authority(Buf *out, const Url *url);

// Appends what `ref`, as found in a Location field, means at `base` (RFC 3986 section 5.2). Spaces
// and bytes beyond ASCII come out percent-encoded. The result is not checked: url_parse does that.
// ERR_LIMIT for a reference over URL_BYTES_MAX, or past out->max.
MUST_USE int url_resolve(const Url *base, Slice ref, Buf *out, Err *e);

#endif
