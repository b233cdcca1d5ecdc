// TLS 1.2 and 1.3 over a TcpStream, with OpenSSL 3: the client's TlsConnector and the server's
// TlsAcceptor. Both park the fiber instead of blocking.
//
//     TlsClient *tls;
//     rc = tls_client_create(&(TlsClientOptions){0}, &tls, e);     // checks certificates
//     TlsConnector connector = tls_client_connector(tls);
//     ctx = http_context_create(&(HttpContextOptions){.loop = loop, .tls = &connector});
//     ... tls_client_destroy(tls) after the context ...
//
// The chain and the host name are checked unless `insecure_skip_verify` says otherwise; names come
// from the certificate's subjectAltName only, as in browsers and Go. SNI is sent for names, not for
// numeric addresses. Sessions are never resumed: every connection pays for a full handshake, as in
// k6, so that equal tests cost a server the same.
//
// One object a thread: they hold an SSL_CTX, whose locks threads would otherwise share.
#ifndef NET_TLS_H
#define NET_TLS_H

#include "net/http.h"
#include "net/server.h"

typedef struct TlsClient TlsClient;
typedef struct TlsServer TlsServer;

typedef enum TlsVersion { TLS_VERSION_DEFAULT, TLS_VERSION_1_2, TLS_VERSION_1_3 } TlsVersion;

// PEM, from a file or from memory (k6's tlsAuth gives text); the file where both are set.
typedef struct TlsPem {
    const char *file;
    Slice text;
} TlsPem;

enum { TLS_PEM_BYTES_MAX = 4 << 20 };

typedef struct TlsClientOptions {
    bool insecure_skip_verify;
    bool no_h2;             // offer http/1.1 only in ALPN, as GODEBUG=http2client=0 does for k6
    TlsPem ca;              // trusted roots instead of the system's
    TlsPem cert;            // the client's chain, leaf first
    TlsPem key;             //
    TlsVersion version_min; // default 1.2
    TlsVersion version_max; // default 1.3
} TlsClientOptions;

// ERR_ARG for PEM that cannot be used and for a minimum above the maximum, ERR_NOT_FOUND, ERR_IO.
MUST_USE int tls_client_create(const TlsClientOptions *options, TlsClient **ret_client, Err *e);
// After its streams. NULL is fine.
void tls_client_destroy(TlsClient *client);
// Failures: ERR_TLS, ERR_CLOSED, ERR_TIMEOUT, ERR_CANCELLED; TlsResult.error_code says which of
// k6's codes it is: 1301 the peer does not speak TLS, 1310 unknown authority, 1311 another name,
// 1300 everything else TLS, 1220 a reset.
TlsConnector tls_client_connector(TlsClient *client);

typedef struct TlsServerOptions {
    TlsPem cert;
    TlsPem key;
    TlsPem client_ca; // when set, clients must show a certificate of this authority
    bool no_h2;
    TlsVersion version_min;
    TlsVersion version_max;
} TlsServerOptions;

MUST_USE int tls_server_create(const TlsServerOptions *options, TlsServer **ret_server, Err *e);
void tls_server_destroy(TlsServer *server);
TlsAcceptor tls_server_acceptor(TlsServer *server);

#endif
