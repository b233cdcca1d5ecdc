// A TLS stream over a TcpStream, from an SSL object that knows its side. Used by tls.c only.
#ifndef NET_TLS_STREAM_H
#define NET_TLS_STREAM_H

#include <openssl/ssl.h>

#include "net/stream.h"

typedef struct TlsStream TlsStream;

// How the two talk to the socket; one for each TlsClient or TlsServer.
BIO_METHOD *tls_bio_method_create(void);

// Takes `tcp` and `ssl` over.
TlsStream *tls_stream_create(TcpStream *tcp, SSL *ssl, const BIO_METHOD *method);
Stream *tls_stream_base(TlsStream *ts);
// Parks until done. ERR_TLS, ERR_CLOSED, ERR_TIMEOUT, ERR_CANCELLED; then *ret_error_code is k6's,
// or 0 when ERR_* says it all.
MUST_USE int tls_stream_handshake(TlsStream *ts, int *ret_error_code, Err *e);
SSL *tls_stream_ssl(TlsStream *ts);

#endif
