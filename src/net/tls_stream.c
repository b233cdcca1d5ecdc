#include "net/tls_stream.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "net/error_code.h"

// OpenSSL reads and writes through a BIO of ours, which never blocks. It goes through the
// TcpStream instead of the descriptor because that counts bytes, remembers edges, and does not
// raise SIGPIPE.

enum {
    JOIN_BYTES = 4096, // small parts of one write become one record
    // OpenSSL wants the direction in which another fiber is waiting already: look again later.
    TWIN_WAIT_NS = 1000000,
};

struct TlsStream {
    Stream stream; // first
    TcpStream *tcp;
    SSL *ssl;
    int users;  // fibers parked inside
    bool ready; // the handshake is done
    bool broken;
    bool closed;
};

// ---- BIO

static TcpStream *tcp_of_bio(BIO *bio)
{
    return ((TlsStream *)BIO_get_data(bio))->tcp;
}

static int bio_read(BIO *bio, char *buf, int len)
{
    BIO_clear_retry_flags(bio);
    size_t n;
    int rc = len > 0 ? tcp_try_read(tcp_of_bio(bio), buf, (size_t)len, &n, NULL) : ERR_ARG;
    if (rc == 0) {
        return (int)n;
    }
    if (rc == ERR_BUSY) {
        BIO_set_retry_read(bio);
    }
    return -1;
}

static int bio_write(BIO *bio, const char *buf, int len)
{
    BIO_clear_retry_flags(bio);
    // The kernel does not write through iov_base.
    struct iovec part = {(void *)(uintptr_t)buf, (size_t)len};
    size_t n;
    int rc = len > 0 ? tcp_try_write(tcp_of_bio(bio), &part, 1, &n, NULL) : ERR_ARG;
    if (rc == 0) {
        return (int)n;
    }
    if (rc == ERR_BUSY) {
        BIO_set_retry_write(bio);
    }
    return -1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD *tls_bio_method_create(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "fiber socket");
    if (!method || !BIO_meth_set_read(method, bio_read) || !BIO_meth_set_write(method, bio_write) ||
        !BIO_meth_set_ctrl(method, bio_ctrl)) {
        die("out of memory for TLS");
    }
    return method;
}

// ---- waiting

static TlsStream *tls_of(Stream *s)
{
    return CONTAINER_OF(s, TlsStream, stream);
}

static void tls_free(TlsStream *ts)
{
    SSL_free(ts->ssl);
    free(ts);
}

static int park(TlsStream *ts, bool to_write, Err *e)
{
    TcpStream *tcp = ts->tcp;
    tcp->stream.deadline_ns = ts->stream.deadline_ns;
    ts->users++;
    int rc;
    if (to_write ? tcp->writer != NULL : tcp->reader != NULL) {
        rc = fiber_sleep(TWIN_WAIT_NS);
    } else {
        rc = to_write ? tcp_wait_writable(tcp, e) : tcp_wait_readable(tcp, e);
    }
    ts->users--;
    if (!ts->closed) {
        return rc;
    }
    if (ts->users == 0) {
        tls_free(ts);
    }
    return err_set(e, ERR_CLOSED, "the connection was closed");
}

// ---- failures

static bool is_unknown_authority(long verify)
{
    return verify == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
           verify == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
           verify == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
           verify == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
           verify == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE ||
           // An authority of the same name with another key.
           verify == X509_V_ERR_CERT_SIGNATURE_FAILURE || verify == X509_V_ERR_CERT_UNTRUSTED ||
           verify == X509_V_ERR_INVALID_CA;
}

static int certificate_failed(long verify, int *ret_code, Err *e)
{
    const char *words = X509_verify_cert_error_string(verify);
    if (verify == X509_V_ERR_HOSTNAME_MISMATCH || verify == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        *ret_code = NET_TLS_HOSTNAME;
        return err_set(e, ERR_TLS,
                       "the server's certificate is for another host (%s); check the host name of "
                       "the URL, or skip certificate checks for this target",
                       words);
    }
    if (is_unknown_authority(verify)) {
        *ret_code = NET_TLS_AUTHORITY;
        return err_set(e, ERR_TLS,
                       "the server's certificate is signed by an unknown authority (%s); name the "
                       "authority's certificate (CA file), or skip certificate checks",
                       words);
    }
    *ret_code = NET_TLS;
    return err_set(e, ERR_TLS, "the server's certificate is not valid: %s", words);
}

static bool is_plaintext(int reason)
{
    return reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
           reason == SSL_R_HTTPS_PROXY_REQUEST || reason == SSL_R_PACKET_LENGTH_TOO_LONG ||
           reason == SSL_R_RECORD_LENGTH_MISMATCH || reason == SSL_R_BAD_RECORD_TYPE;
}

// What SSL_get_error reported after a read, write or handshake that will not go on.
static int tls_failed(TlsStream *ts, const char *what, int *ret_code, Err *e)
{
    ts->broken = true;
    unsigned long error = ERR_peek_error();
    int reason = ERR_GET_REASON(error);
    bool checks = !ts->ready && (SSL_get_verify_mode(ts->ssl) & SSL_VERIFY_PEER);
    long verify = checks ? SSL_get_verify_result(ts->ssl) : X509_V_OK;
    int sys_errno = ts->tcp->stream.sys_errno;
    ts->stream.sys_errno = sys_errno;
    *ret_code = NET_TLS;
    if (sys_errno != 0) {
        *ret_code = net_error_code(NET_PHASE_EXCHANGE, ERR_CLOSED, sys_errno);
        return err_errno(e, ERR_CLOSED, sys_errno, "cannot %s", what);
    }
    if (verify != X509_V_OK) {
        return certificate_failed(verify, ret_code, e);
    }
    if (!ts->ready && is_plaintext(reason)) {
        *ret_code = NET_TLS_HEADER;
        return err_set(e, ERR_TLS, "the peer does not speak TLS on this port (%s)",
                       ERR_reason_error_string(error));
    }
    if (error == 0) {
        return err_set(e, ts->ready ? ERR_CLOSED : ERR_TLS, "the peer closed during the TLS %s",
                       what);
    }
    const char *words = ERR_reason_error_string(error);
    return err_set(e, ERR_TLS, "TLS %s failed: %s", what, words ? words : "unknown reason");
}

// After a call that returned <= 0. 0: try again; ERR_CLOSED with *ret_end: a clean end.
static int settle(TlsStream *ts, int result, const char *what, bool *ret_end, int *ret_code, Err *e)
{
    int why = SSL_get_error(ts->ssl, result);
    if (why == SSL_ERROR_WANT_READ) {
        return park(ts, false, e);
    }
    if (why == SSL_ERROR_WANT_WRITE) {
        return park(ts, true, e);
    }
    if (why == SSL_ERROR_ZERO_RETURN) {
        *ret_end = true;
        return ERR_CLOSED;
    }
    return tls_failed(ts, what, ret_code, e);
}

// ---- the stream

static void count(TlsStream *ts)
{
    ts->stream.bytes_in = ts->tcp->stream.bytes_in;
    ts->stream.bytes_out = ts->tcp->stream.bytes_out;
}

static int tls_read(Stream *s, void *buf, size_t max, size_t *ret_n, Err *e)
{
    TlsStream *ts = tls_of(s);
    for (;;) {
        ERR_clear_error();
        int result = SSL_read_ex(ts->ssl, buf, max, ret_n);
        if (result > 0) {
            count(ts);
            return 0;
        }
        bool end = false;
        int code;
        int rc = settle(ts, result, "read", &end, &code, e);
        if (end) {
            *ret_n = 0;
            return 0;
        }
        if (rc != 0) {
            return rc;
        }
    }
}

// The first parts copied together, so that a head and a short body share a record.
static Slice first_bytes(const struct iovec *parts, int count_, char joined[JOIN_BYTES])
{
    Slice first = {parts->iov_base, parts->iov_len};
    if (count_ == 1 || first.len >= JOIN_BYTES) {
        return first;
    }
    size_t len = 0;
    for (int i = 0; i < count_ && len < JOIN_BYTES; i++) {
        size_t n = parts[i].iov_len < JOIN_BYTES - len ? parts[i].iov_len : JOIN_BYTES - len;
        if (n > 0) {
            memcpy(joined + len, parts[i].iov_base, n);
        }
        len += n;
    }
    return (Slice){joined, len};
}

static int tls_write(Stream *s, const struct iovec *parts, int part_count, size_t *ret_n, Err *e)
{
    TlsStream *ts = tls_of(s);
    char joined[JOIN_BYTES];
    Slice bytes = first_bytes(parts, part_count, joined);
    for (;;) {
        ERR_clear_error();
        int result = SSL_write_ex(ts->ssl, bytes.ptr, bytes.len, ret_n);
        if (result > 0) {
            count(ts);
            return 0;
        }
        bool end = false;
        int code;
        int rc = settle(ts, result, "write", &end, &code, e);
        if (rc != 0) {
            return end ? err_set(e, ERR_CLOSED, "the peer closed the connection") : rc;
        }
    }
}

static bool tls_has_pending(const Stream *s)
{
    return SSL_has_pending(((const TlsStream *)(const void *)s)->ssl) == 1;
}

static int tls_wait_readable(Stream *s, Err *e)
{
    TlsStream *ts = tls_of(s);
    return ts->tcp->readable || tls_has_pending(s) ? 0 : park(ts, false, e);
}

static void tls_close(Stream *s)
{
    TlsStream *ts = tls_of(s);
    if (ts->ready && !ts->broken) {
        // Says goodbye if the socket takes it at once; nobody waits for the answer.
        ERR_clear_error();
        (void)SSL_shutdown(ts->ssl);
    }
    ERR_clear_error();
    ts->closed = true;
    stream_close(&ts->tcp->stream);
    if (ts->users == 0) {
        tls_free(ts);
    }
}

static const StreamOps tls_ops = {
    .read = tls_read,
    .write = tls_write,
    .wait_readable = tls_wait_readable,
    .has_pending = tls_has_pending,
    .close = tls_close,
};

TlsStream *tls_stream_create(TcpStream *tcp, SSL *ssl, const BIO_METHOD *method)
{
    TlsStream *ts = mem_zalloc(sizeof *ts);
    ts->stream =
        (Stream){.ops = &tls_ops, .loop = tcp->stream.loop, .deadline_ns = tcp->stream.deadline_ns};
    ts->tcp = tcp;
    ts->ssl = ssl;
    BIO *bio = BIO_new(method);
    if (!bio) {
        die("out of memory for TLS");
    }
    BIO_set_data(bio, ts);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    return ts;
}

Stream *tls_stream_base(TlsStream *ts)
{
    return &ts->stream;
}

SSL *tls_stream_ssl(TlsStream *ts)
{
    return ts->ssl;
}

int tls_stream_handshake(TlsStream *ts, int *ret_error_code, Err *e)
{
    *ret_error_code = 0;
    for (;;) {
        ERR_clear_error();
        int result = SSL_do_handshake(ts->ssl);
        if (result == 1) {
            ts->ready = true;
            count(ts);
            return 0;
        }
        bool end = false;
        int rc = settle(ts, result, "handshake", &end, ret_error_code, e);
        if (end) {
            return tls_failed(ts, "handshake", ret_error_code, e);
        }
        if (rc != 0) {
            return rc;
        }
    }
}
