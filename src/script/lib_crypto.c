#include "script/engine.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

// Hashes, HMAC and random bytes, all of them OpenSSL's. Results are hexadecimal unless the last
// argument says "base64" or "bytes".

enum { RANDOM_BYTES_MAX = 1 << 20 };

static int return_digest(ScriptCall *call, size_t index, Slice digest, Err *e)
{
    Slice form = SLICE("hex");
    int rc = script_arg_is_given(call, index)
                 ? script_arg_to_string(call, index, "the form of the result", &form, e)
                 : 0;
    if (rc != 0) {
        return rc;
    }
    Buf out = buf_create(digest.len * 2 + 16);
    if (slice_eq(form, SLICE("bytes"))) {
        script_return_bytes(call, digest);
    } else if (slice_eq(form, SLICE("base64"))) {
        buf_append_base64(&out, digest.ptr, digest.len);
        script_return_string(call, buf_slice(&out));
    } else if (slice_eq(form, SLICE("hex"))) {
        buf_append_hex(&out, digest.ptr, digest.len);
        script_return_string(call, buf_slice(&out));
    } else {
        rc = err_set(e, ERR_ARG, "a digest is \"hex\", \"base64\" or \"bytes\", not \"%.*s\"",
                     SLICE_FMT(form));
    }
    buf_done(&out);
    return rc;
}

static const EVP_MD *algorithm_of(Slice name)
{
    static const struct {
        const char *name;
        const EVP_MD *(*get)(void);
    } table[] = {
        {"md5", EVP_md5},       {"sha1", EVP_sha1},     {"sha256", EVP_sha256},
        {"sha384", EVP_sha384}, {"sha512", EVP_sha512}, {"sha512_256", EVP_sha512_256},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (slice_eq_cstr(name, table[i].name)) {
            return table[i].get();
        }
    }
    return NULL;
}

static int algorithm_arg(ScriptCall *call, const EVP_MD **ret, Err *e)
{
    Slice name;
    int rc = script_arg_to_string(call, 0, "the algorithm", &name, e);
    if (rc == 0 && !(*ret = algorithm_of(name))) {
        rc = err_set(e, ERR_ARG,
                     "algorithms are md5, sha1, sha256, sha384, sha512 and sha512_256, not "
                     "\"%.*s\"",
                     SLICE_FMT(name));
    }
    return rc;
}

static int digest(ScriptCall *call, size_t index, const EVP_MD *algorithm, Err *e)
{
    Slice data;
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    int rc = script_arg_to_bytes(call, index, "the data", &data, e);
    if (rc != 0) {
        return rc;
    }
    if (!EVP_Digest(data.len ? data.ptr : "", data.len, hash, &len, algorithm, NULL)) {
        return err_set(e, ERR_UNSUPPORTED, "OpenSSL does not offer this hash");
    }
    return return_digest(call, index + 1, (Slice){(const char *)hash, len}, e);
}

static int hash_data(ScriptCall *call, Err *e)
{
    const EVP_MD *algorithm = NULL;
    int rc = algorithm_arg(call, &algorithm, e);
    return rc != 0 ? rc : digest(call, 1, algorithm, e);
}

static int sha256_data(ScriptCall *call, Err *e)
{
    return digest(call, 0, EVP_sha256(), e);
}

static int hmac_data(ScriptCall *call, Err *e)
{
    const EVP_MD *algorithm = NULL;
    Slice key, data;
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    int rc = algorithm_arg(call, &algorithm, e);
    if (rc == 0) {
        rc = script_arg_to_bytes(call, 1, "the key", &key, e);
    }
    if (rc == 0) {
        rc = script_arg_to_bytes(call, 2, "the data", &data, e);
    }
    if (rc != 0) {
        return rc;
    }
    if (key.len > INT32_MAX ||
        !HMAC(algorithm, key.len ? key.ptr : "", (int)key.len,
              (const unsigned char *)(data.len ? data.ptr : ""), data.len, hash, &len)) {
        return err_set(e, ERR_UNSUPPORTED, "OpenSSL does not offer this hash");
    }
    return return_digest(call, 3, (Slice){(const char *)hash, len}, e);
}

static int random_bytes(ScriptCall *call, Err *e)
{
    int64_t count = 0;
    int rc = script_arg_to_int(call, 0, "the number of bytes", &count, e);
    if (rc != 0) {
        return rc;
    }
    if (count < 0 || count > RANDOM_BYTES_MAX) {
        return err_set(e, ERR_LIMIT, "0 to %d random bytes at a time", RANDOM_BYTES_MAX);
    }
    unsigned char *bytes = mem_alloc((size_t)count);
    if (RAND_bytes(bytes, (int)count) == 1) {
        script_return_bytes(call, (Slice){(const char *)bytes, (size_t)count});
    } else {
        rc = err_set(e, ERR_IO, "the system has no random bytes");
    }
    free(bytes);
    return rc;
}

// RFC 9562 section 5.4.
static int random_uuid(ScriptCall *call, Err *e)
{
    unsigned char b[16];
    if (RAND_bytes(b, sizeof b) != 1) {
        return err_set(e, ERR_IO, "the system has no random bytes");
    }
    b[6] = (unsigned char)(0x40 | (b[6] & 0x0F));
    b[8] = (unsigned char)(0x80 | (b[8] & 0x3F));
    Buf out = buf_create(64);
    for (size_t i = 0; i < sizeof b; i++) {
        buf_puts(&out, i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "");
        buf_append_hex(&out, &b[i], 1);
    }
    script_return_string(call, buf_slice(&out));
    buf_done(&out);
    return 0;
}

static const ScriptFunction functions[] = {
    {"hash", 3, hash_data},           {"sha256", 2, sha256_data},     {"hmac", 4, hmac_data},
    {"randomBytes", 1, random_bytes}, {"randomUUID", 0, random_uuid},
};
const ScriptModule script_crypto = {SCRIPT_IMPORT, "crypto", functions, COUNT_OF(functions)};
