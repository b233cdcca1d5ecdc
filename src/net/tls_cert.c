#include "net/tls_cert.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "net/addr.h"

enum { HOUR_S = 3600, DAY_S = 86400 };

typedef struct Issuer {
    X509 *cert;
    EVP_PKEY *key;
} Issuer;

static bool append_bio(Buf *out, BIO *bio)
{
    char *text;
    long len = BIO_get_mem_data(bio, &text);
    buf_append(out, (Slice){text, len > 0 ? (size_t)len : 0});
    return len > 0 && !out->overflowed;
}

static bool write_pem(X509 *cert, EVP_PKEY *pkey, Buf *cert_out, Buf *key_out)
{
    BIO *cert_bio = BIO_new(BIO_s_mem());
    BIO *key_bio = BIO_new(BIO_s_mem());
    bool ok = cert_bio && key_bio && PEM_write_bio_X509(cert_bio, cert) == 1 &&
              PEM_write_bio_PrivateKey(key_bio, pkey, NULL, NULL, 0, NULL, NULL) == 1 &&
              append_bio(cert_out, cert_bio) && append_bio(key_out, key_bio);
    BIO_free(cert_bio);
    BIO_free(key_bio);
    return ok;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = extension && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

static bool add_extensions(X509 *cert, X509 *issuer, const TlsCertSpec *spec)
{
    if (!spec->host) {
        return add_extension(cert, issuer, NID_basic_constraints, "critical,CA:TRUE") &&
               add_extension(cert, issuer, NID_key_usage, "critical,keyCertSign,cRLSign") &&
               add_extension(cert, issuer, NID_subject_key_identifier, "hash");
    }
    NetAddr addr;
    bool numeric = net_addr_parse(slice_from_cstr(spec->host), 0, &addr, NULL) == 0;
    char names[300];
    (void)snprintf(names, sizeof names, "%s:%.250s", numeric ? "IP" : "DNS", spec->host);
    return add_extension(cert, issuer, NID_basic_constraints, "CA:FALSE") &&
           add_extension(cert, issuer, NID_subject_alt_name, names);
}

static bool set_serial(X509 *cert)
{
    // Two certificates of one issuer with one serial number confuse caches of both sides.
    uint64_t serial;
    return RAND_bytes((unsigned char *)&serial, sizeof serial) == 1 &&
           ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1) == 1;
}

static bool fill(X509 *cert, EVP_PKEY *pkey, const TlsCertSpec *spec, const Issuer *issuer)
{
    int64_t until_s = spec->valid_for_s != 0 ? spec->valid_for_s : DAY_S;
    int64_t from_s = until_s < 0 ? until_s - HOUR_S : -HOUR_S;
    X509_NAME *name = X509_get_subject_name(cert);
    const char *text = spec->host ? spec->host : "perfwright local authority";
    X509 *signer = issuer->cert ? issuer->cert : cert;
    return X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
           X509_gmtime_adj(X509_getm_notBefore(cert), from_s) &&
           X509_gmtime_adj(X509_getm_notAfter(cert), until_s) &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)text, -1,
                                      -1, 0) == 1 &&
           X509_set_issuer_name(cert, X509_get_subject_name(signer)) == 1 &&
           X509_set_pubkey(cert, pkey) == 1 && add_extensions(cert, signer, spec) &&
           X509_sign(cert, issuer->key ? issuer->key : pkey, EVP_sha256()) > 0;
}

static bool read_issuer(const TlsCertSpec *spec, Issuer *issuer)
{
    if (spec->issuer_cert.len == 0) {
        return true;
    }
    BIO *cert = BIO_new_mem_buf(spec->issuer_cert.ptr, (int)spec->issuer_cert.len);
    BIO *key = BIO_new_mem_buf(spec->issuer_key.ptr, (int)spec->issuer_key.len);
    issuer->cert = cert ? PEM_read_bio_X509(cert, NULL, NULL, NULL) : NULL;
    issuer->key = key ? PEM_read_bio_PrivateKey(key, NULL, NULL, NULL) : NULL;
    BIO_free(cert);
    BIO_free(key);
    return issuer->cert && issuer->key;
}

int tls_cert_make(const TlsCertSpec *spec, Buf *cert_out, Buf *key_out, Err *e)
{
    Issuer issuer = {0};
    int rc = 0;
    EVP_PKEY *pkey = NULL;
    X509 *cert = NULL;
    if (!read_issuer(spec, &issuer)) {
        rc = err_set(e, ERR_ARG, "the issuer's certificate or key is no PEM");
        goto done;
    }
    pkey = EVP_EC_gen("P-256");
    cert = X509_new();
    if (!pkey || !cert || !fill(cert, pkey, spec, &issuer) ||
        !write_pem(cert, pkey, cert_out, key_out)) {
        rc = err_set(e, ERR_TLS, "cannot make a certificate for '%s'",
                     spec->host ? spec->host : "an authority");
    }
done:
    X509_free(cert);
    EVP_PKEY_free(pkey);
    X509_free(issuer.cert);
    EVP_PKEY_free(issuer.key);
    return rc;
}
