// Certificates made in memory: for tests and for local servers that have none.
//
//     Buf cert = buf_create(TLS_CERT_BYTES_MAX), key = buf_create(TLS_CERT_BYTES_MAX);
//     rc = tls_cert_make(&(TlsCertSpec){.host = "localhost"}, &cert, &key, e);
#ifndef NET_TLS_CERT_H
#define NET_TLS_CERT_H

#include "base/buf.h"

enum { TLS_CERT_BYTES_MAX = 16 << 10 };

typedef struct TlsCertSpec {
    const char *host;    // a name or numeric address; NULL: an authority
    Slice issuer_cert;   // PEM; empty: signed by itself
    Slice issuer_key;    //
    int64_t valid_for_s; // from now, with an hour before; 0: a day. Negative: expired that long ago
} TlsCertSpec;

// Appends PEM: a P-256 key and its certificate. ERR_ARG for an issuer that cannot be read, ERR_TLS.
MUST_USE int tls_cert_make(const TlsCertSpec *spec, Buf *cert, Buf *key, Err *e);

#endif
