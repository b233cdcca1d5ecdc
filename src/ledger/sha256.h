// SHA-256 (FIPS 180-4), by OpenSSL.
#ifndef LEDGER_SHA256_H
#define LEDGER_SHA256_H

#include "base/buf.h"

enum { SHA256_BYTES = 32, SHA256_HEX = 64 };

typedef struct Sha256 {
    uint8_t bytes[SHA256_BYTES];
} Sha256;

Sha256 sha256_of(Slice bytes);
// Lower-case hexadecimal with a NUL.
void sha256_hex(const Sha256 *hash, char out[SHA256_HEX + 1]);
// From 64 hexadecimal digits of either case; ERR_PARSE otherwise.
MUST_USE int sha256_parse(Slice hex, Sha256 *ret_hash);

static inline Slice sha256_slice(const Sha256 *hash)
{
    return (Slice){(const char *)hash->bytes, SHA256_BYTES};
}
bool sha256_eq(const Sha256 *a, const Sha256 *b);

#endif
