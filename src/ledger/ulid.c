#include "ledger/ulid.h"

#include <errno.h>
#include <sys/random.h>

static const char ALPHABET[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

enum { TIME_CHARS = 10, BITS = 5 };

void ulid_format(int64_t unix_ms, const uint8_t random[ULID_RANDOM_BYTES], char out[ULID_LEN + 1])
{
    for (int i = 0; i < TIME_CHARS; i++) {
        out[i] = ALPHABET[(uint64_t)unix_ms >> (BITS * (TIME_CHARS - 1 - i)) & 31];
    }
    // 80 bits are exactly 16 characters.
    unsigned bits = 0, held = 0;
    size_t at = TIME_CHARS;
    for (size_t i = 0; i < ULID_RANDOM_BYTES; i++) {
        held = held << 8 | random[i];
        bits += 8;
        while (bits >= BITS) {
            bits -= BITS;
            out[at++] = ALPHABET[held >> bits & 31];
        }
    }
    out[ULID_LEN] = '\0';
}

int ulid_create(int64_t unix_ms, char out[ULID_LEN + 1], Err *e)
{
    uint8_t random[ULID_RANDOM_BYTES];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        return err_errno(e, ERR_IO, errno, "no random bytes for an id");
    }
    ulid_format(unix_ms, random, out);
    return 0;
}

bool ulid_valid(Slice text)
{
    if (text.len != ULID_LEN || text.ptr[0] > '7') {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\0' || !strchr(ALPHABET, text.ptr[i])) {
            return false;
        }
    }
    return true;
}
