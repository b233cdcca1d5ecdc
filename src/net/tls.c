#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "net/tls_stream.h"
#include "os/file.h"

struct TlsClient {
    SSL_CTX *ctx;
    BIO_METHOD *method;
};

struct TlsServer {
    SSL_CTX *ctx;
    BIO_METHOD *method;
    bool no_h2;
};

// ALPN's wire form (RFC 7301): each name behind its length.
static const unsigned char ALPN[] = "\x02h2\x08http/1.1";
enum { ALPN_H2_BYTES = 3, ALPN_BYTES = sizeof ALPN - 1, HOST_MAX = 256 };

// ---- options

static int tls_words(Err *e, const char *what, const char *file)
{
    const char *why = ERR_reason_error_string(ERR_peek_last_error());
    return err_set(e, ERR_ARG, "%s%s%s cannot be used: %s", what, file ? " in " : "",
                   file ? file : "", why ? why : "no PEM of that kind in it");
}

// A BIO over the PEM text, which `hold` keeps when it came from a file.
static int open_pem(const TlsPem *pem, Buf *hold, BIO **ret_bio, Err *e)
{
    Slice text = pem->text;
    if (pem->file) {
        int rc = file_read(pem->file, hold, e);
        if (rc != 0) {
            return rc;
        }
        text = buf_slice(hold);
    }
    if (text.len > TLS_PEM_BYTES_MAX) {
        return err_set(e, ERR_LIMIT, "PEM text is larger than %d bytes", TLS_PEM_BYTES_MAX);
    }
    *ret_bio = BIO_new_mem_buf(text.len ? text.ptr : "", (int)text.len);
    return *ret_bio ? 0 : err_set(e, ERR_TLS, "out of memory for PEM");
}

static bool is_given(const TlsPem *pem)
{
    return pem->file || pem->text.len > 0;
}

static bool add_chain(SSL_CTX *ctx, BIO *bio)
{
    X509 *cert = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
    bool ok = cert && SSL_CTX_use_certificate(ctx, cert) == 1;
    X509_free(cert);
    while (ok && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        ok = SSL_CTX_add0_chain_cert(ctx, cert) == 1;
        if (!ok) {
            X509_free(cert);
        }
    }
    return ok;
}

static bool add_key(SSL_CTX *ctx, BIO *bio)
{
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    bool ok = key && SSL_CTX_use_PrivateKey(ctx, key) == 1;
    EVP_PKEY_free(key);
    return ok;
}

static bool add_authorities(SSL_CTX *ctx, BIO *bio)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    X509 *cert;
    int n = 0;
    bool ok = true;
    while (ok && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        ok = X509_STORE_add_cert(store, cert) == 1;
        X509_free(cert);
        n++;
    }
    return ok && n > 0;
}

static int load(SSL_CTX *ctx, const TlsPem *pem, const char *what, bool (*add)(SSL_CTX *, BIO *),
                Err *e)
{
    if (!is_given(pem)) {
        return 0;
    }
    Buf hold = buf_create(TLS_PEM_BYTES_MAX);
    BIO *bio = NULL;
    ERR_clear_error();
    int rc = open_pem(pem, &hold, &bio, e);
    if (rc == 0 && !add(ctx, bio)) {
        rc = tls_words(e, what, pem->file);
    }
    ERR_clear_error();
    BIO_free(bio);
    buf_done(&hold);
    return rc;
}

static int set_versions(SSL_CTX *ctx, TlsVersion min, TlsVersion max, Err *e)
{
    static const int numbers[] = {0, TLS1_2_VERSION, TLS1_3_VERSION};
    int low = min == TLS_VERSION_DEFAULT ? TLS1_2_VERSION : numbers[min];
    int high = max == TLS_VERSION_DEFAULT ? TLS1_3_VERSION : numbers[max];
    if (low > high) {
        return err_set(e, ERR_ARG, "the lowest TLS version allowed is above the highest");
    }
    if (SSL_CTX_set_min_proto_version(ctx, low) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, high) != 1) {
        return err_set(e, ERR_TLS, "this OpenSSL refuses these TLS versions");
    }
    return 0;
}

static int create_ctx(const SSL_METHOD *method, SSL_CTX **ret_ctx, Err *e)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    if (!ctx) {
        return err_set(e, ERR_TLS, "cannot start OpenSSL: %s",
                       ERR_reason_error_string(ERR_peek_last_error()));
    }
    // A write may be repeated from another address; idle connections hold no record buffers.
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    // Many servers close without close_notify. As Go does, that is an end; HTTP's own lengths find
    // what was cut off.
    (void)SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION |
                                       SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(ctx, 1); // one recv for several records instead of two for each
    *ret_ctx = ctx;
    return 0;
}

static int load_identity(SSL_CTX *ctx, const TlsPem *cert, const TlsPem *key, Err *e)
{
    int rc = load(ctx, cert, "the certificate", add_chain, e);
    if (rc == 0) {
        rc = load(ctx, key, "the private key", add_key, e);
    }
    if (rc == 0 && is_given(cert) != is_given(key)) {
        rc = err_set(e, ERR_ARG, "a certificate needs its private key, and the other way round");
    }
    return rc;
}

// ---- client

int tls_client_create(const TlsClientOptions *o, TlsClient **ret_client, Err *e)
{
    SSL_CTX *ctx = NULL;
    int rc = create_ctx(TLS_client_method(), &ctx, e);
    if (rc == 0) {
        rc = set_versions(ctx, o->version_min, o->version_max, e);
    }
    if (rc == 0) {
        rc = load_identity(ctx, &o->cert, &o->key, e);
    }
    if (rc == 0) {
        rc = load(ctx, &o->ca, "the CA certificates", add_authorities, e);
    }
    if (rc != 0) {
        SSL_CTX_free(ctx);
        return rc;
    }
    if (!o->insecure_skip_verify) {
        if (!is_given(&o->ca)) {
            (void)SSL_CTX_set_default_verify_paths(ctx);
        }
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    }
    (void)SSL_CTX_set_alpn_protos(ctx, o->no_h2 ? ALPN + ALPN_H2_BYTES : ALPN,
                                  o->no_h2 ? ALPN_BYTES - ALPN_H2_BYTES : ALPN_BYTES);
    TlsClient *client = mem_zalloc(sizeof *client);
    client->ctx = ctx;
    client->method = tls_bio_method_create();
    *ret_client = client;
    return 0;
}

void tls_client_destroy(TlsClient *client)
{
    if (client) {
        SSL_CTX_free(client->ctx);
        BIO_meth_free(client->method);
        free(client);
    }
}

// What the certificate must be for.
static bool set_host(SSL *ssl, Slice host)
{
    char name[HOST_MAX];
    if (host.len > 0 && host.ptr[host.len - 1] == '.') {
        host.len--; // the root's dot is for DNS only (RFC 6066 section 3)
    }
    if (host.len == 0 || host.len >= sizeof name || memchr(host.ptr, '\0', host.len)) {
        return false;
    }
    memcpy(name, host.ptr, host.len);
    name[host.len] = '\0';
    NetAddr addr;
    if (net_addr_parse(host, 0, &addr, NULL) == 0) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    }
    SSL_set_hostflags(ssl,
                      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

static bool chose_h2(const SSL *ssl)
{
    const unsigned char *name;
    unsigned len;
    SSL_get0_alpn_selected(ssl, &name, &len);
    return len == 2 && memcmp(name, "h2", 2) == 0;
}

static const char *version_name(const SSL *ssl)
{
    return SSL_version(ssl) == TLS1_3_VERSION ? "tls1.3" : "tls1.2";
}

static int client_connect(void *ctx, TcpStream *tcp, Slice host, TlsResult *ret_tls,
                          Stream **ret_stream, Err *e)
{
    TlsClient *client = ctx;
    SSL *ssl = SSL_new(client->ctx);
    if (!ssl || !set_host(ssl, host)) {
        SSL_free(ssl);
        stream_close(&tcp->stream);
        ret_tls->error_code = NET_TLS;
        return err_set(e, ERR_TLS, "'%.*s' cannot be asked for in TLS", SLICE_FMT(host));
    }
    SSL_set_connect_state(ssl);
    TlsStream *ts = tls_stream_create(tcp, ssl, client->method);
    int rc = tls_stream_handshake(ts, &ret_tls->error_code, e);
    if (rc != 0) {
        stream_close(tls_stream_base(ts));
        return rc;
    }
    ret_tls->h2 = chose_h2(ssl);
    ret_tls->version = version_name(ssl);
    const char *cipher = SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl));
    ret_tls->cipher = cipher ? cipher : "";
    *ret_stream = tls_stream_base(ts);
    return 0;
}

TlsConnector tls_client_connector(TlsClient *client)
{
    return (TlsConnector){.connect = client_connect, .ctx = client};
}

// ---- server

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned in_len, void *arg)
{
    (void)ssl;
    const TlsServer *server = arg;
    const unsigned char *ours = server->no_h2 ? ALPN + ALPN_H2_BYTES : ALPN;
    unsigned len = server->no_h2 ? ALPN_BYTES - ALPN_H2_BYTES : ALPN_BYTES;
    unsigned char *chosen;
    int found = SSL_select_next_proto(&chosen, out_len, ours, len, in, in_len);
    *out = chosen;
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

int tls_server_create(const TlsServerOptions *o, TlsServer **ret_server, Err *e)
{
    if (!is_given(&o->cert)) {
        return err_set(e, ERR_ARG, "a TLS server needs a certificate");
    }
    SSL_CTX *ctx = NULL;
    int rc = create_ctx(TLS_server_method(), &ctx, e);
    if (rc == 0) {
        rc = set_versions(ctx, o->version_min, o->version_max, e);
    }
    if (rc == 0) {
        rc = load_identity(ctx, &o->cert, &o->key, e);
    }
    if (rc == 0 && is_given(&o->client_ca)) {
        rc = load(ctx, &o->client_ca, "the clients' CA certificates", add_authorities, e);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    if (rc != 0) {
        SSL_CTX_free(ctx);
        return rc;
    }
    (void)SSL_CTX_set_num_tickets(ctx, 0);
    TlsServer *server = mem_zalloc(sizeof *server);
    server->ctx = ctx;
    server->method = tls_bio_method_create();
    server->no_h2 = o->no_h2;
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, server);
    *ret_server = server;
    return 0;
}

void tls_server_destroy(TlsServer *server)
{
    if (server) {
        SSL_CTX_free(server->ctx);
        BIO_meth_free(server->method);
        free(server);
    }
}

static int server_accept(void *ctx, TcpStream *tcp, bool *ret_h2, Stream **ret_stream, Err *e)
{
    TlsServer *server = ctx;
    SSL *ssl = SSL_new(server->ctx);
    if (!ssl) {
        stream_close(&tcp->stream);
        return err_set(e, ERR_TLS, "out of memory for TLS");
    }
    SSL_set_accept_state(ssl);
    TlsStream *ts = tls_stream_create(tcp, ssl, server->method);
    int code;
    int rc = tls_stream_handshake(ts, &code, e);
    if (rc != 0) {
        stream_close(tls_stream_base(ts));
        return rc;
    }
    *ret_h2 = chose_h2(ssl);
    *ret_stream = tls_stream_base(ts);
    return 0;
}

TlsAcceptor tls_server_acceptor(TlsServer *server)
{
    return (TlsAcceptor){.accept = server_accept, .ctx = server};
}
