// Records of the spool on disk: whatever the bytes are, reading stays inside them, ends, and takes
// nothing whose checksum is wrong.
#include "telemetry/spool.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz spool: %s", what);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Slice rest = {(const char *)data, size};
    uint64_t sequence, again_sequence;
    Slice batch, again_batch;
    for (size_t n; (n = spool_read_record(rest, &sequence, &batch)) > 0;) {
        require(n <= rest.len && batch.len > 0 && batch.len < n, "a record beyond the bytes");
        require(batch.ptr > rest.ptr && batch.ptr + batch.len == rest.ptr + n, "a batch elsewhere");
        // One bit less right and it is no record any more.
        char *copy = mem_alloc(n);
        memcpy(copy, rest.ptr, n);
        require(spool_read_record((Slice){copy, n}, &again_sequence, &again_batch) == n &&
                    again_sequence == sequence && slice_eq(again_batch, batch),
                "the same bytes read differently");
        copy[n - 1] = (char)(copy[n - 1] ^ 1);
        require(spool_read_record((Slice){copy, n}, &again_sequence, &again_batch) == 0,
                "a flipped bit goes unnoticed");
        require(spool_read_record((Slice){copy, n - 1}, &again_sequence, &again_batch) == 0,
                "a cut record is taken");
        free(copy);
        rest = slice_sub(rest, n, rest.len);
    }
    return 0;
}
