#include "ledger/sha256.h"

#include <openssl/sha.h>

Sha256 sha256_of(Slice bytes)
{
    Sha256 hash;
    // The one-shot call, which OpenSSL 3 maps to EVP_Q_digest; it fails only when the provider
    // cannot be loaded, and then nothing works.
    if (!SHA256((const unsigned char *)(bytes.ptr ? bytes.ptr : ""), bytes.len, hash.bytes)) {
        die("OpenSSL has no SHA-256");
    }
    return hash;
}

void sha256_hex(const Sha256 *hash, char out[SHA256_HEX + 1])
{
    static const char DIGITS[] = "0123456789abcdef";
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        out[2 * i] = DIGITS[hash->bytes[i] >> 4];
        out[2 * i + 1] = DIGITS[hash->bytes[i] & 15];
    }
    out[SHA256_HEX] = '\0';
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

int sha256_parse(Slice hex, Sha256 *ret_hash)
{
    if (hex.len != SHA256_HEX) {
        return ERR_PARSE;
    }
    Sha256 hash;
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        int high = digit_of(hex.ptr[2 * i]), low = digit_of(hex.ptr[2 * i + 1]);
        if (high < 0 || low < 0) {
            return ERR_PARSE;
        }
        hash.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *ret_hash = hash;
    return 0;
}

bool sha256_eq(const Sha256 *a, const Sha256 *b)
{
    return memcmp(a->bytes, b->bytes, SHA256_BYTES) == 0;
}
