// ULID: 48 bits of milliseconds since 1970 and 80 random bits in 26 characters of Crockford's
// base 32, so that ids sort by time (github.com/ulid/spec).
#ifndef LEDGER_ULID_H
#define LEDGER_ULID_H

#include "base/err.h"
#include "base/slice.h"

enum { ULID_LEN = 26, ULID_RANDOM_BYTES = 10 };

void ulid_format(int64_t unix_ms, const uint8_t random[ULID_RANDOM_BYTES], char out[ULID_LEN + 1]);
// Fresh random bits from the kernel. ERR_IO when it has none.
MUST_USE int ulid_create(int64_t unix_ms, char out[ULID_LEN + 1], Err *e);
// 26 characters of the upper-case alphabet, the first at most '7'.
bool ulid_valid(Slice text);

#endif
