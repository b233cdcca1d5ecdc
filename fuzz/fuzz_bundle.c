// Evidence bundles: the input is the archive before it was packed, so that the fuzzer need not
// learn gzip. What the reader takes is written again to the same bytes where its hashes fit, and a
// claim that is read can be written.
#include <stdlib.h>

#include "base/gzip.h"
#include "improve/bundle_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz bundle: %s", what);
    }
}

static void check_again(const Bundle *bundle, Slice tar)
{
    BundleWriter *w = bundle_writer_create();
    Buf packed = buf_create(16 << 20), again = buf_create(16 << 20);
    char id[SHA256_HEX + 1];
    for (size_t i = 0; i < bundle->count; i++) {
        require(bundle_add(w, bundle->parts[i].name, bundle->parts[i].bytes, NULL) == 0,
                "a part that was read cannot be written");
    }
    require(bundle_write(w, &packed, id, NULL) == 0, "what was read cannot be written");
    require(inflate_append(INFLATE_GZIP, buf_slice(&packed), &again, NULL) == 0, "packed wrongly");
    require(slice_eq(buf_slice(&again), tar), "written again it is another archive");
    require(slice_eq_cstr(slice_from_cstr(id), bundle->id), "written again it has another id");
    buf_done(&packed);
    buf_done(&again);
    bundle_writer_destroy(w);
}

static void check_claim(const Bundle *bundle, Arena *arena)
{
    BundleClaim *claim = NULL;
    Err e = {0};
    int rc = bundle_read_claim(bundle, arena, &claim, &e);
    require(rc == 0 || rc == ERR_PARSE || rc == ERR_LIMIT || rc == ERR_NOT_FOUND,
            "an unexpected code from the claim");
    if (rc == 0) {
        BundleWriter *w = bundle_writer_create();
        require(bundle_add_claim(w, claim, &e) == 0, "a claim that was read cannot be written");
        bundle_writer_destroy(w);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { TAR_MAX = 64 << 10 };
    if (size > TAR_MAX) {
        return 0;
    }
    Arena *arena = arena_create(64 << 20);
    Slice tar = {(const char *)data, size};
    Buf packed = buf_create(1 << 20);
    Bundle *bundle = NULL;
    BundleProblems problems;
    Err e = {0};
    require(gzip_append(tar, &packed, &e) == 0, "cannot pack");
    int rc = bundle_read(arena, buf_slice(&packed), &bundle, &e);
    require(rc == 0 || rc == ERR_PARSE || rc == ERR_LIMIT || rc == ERR_VERSION,
            "an unexpected code");
    if (rc == 0) {
        check_claim(bundle, arena);
        rc = bundle_check(bundle, (Slice){0}, arena, &problems, NULL, &e);
        require(rc == ERR_CORRUPT || rc == ERR_NOT_FOUND || (rc == 0 && problems.count == 0),
                "an unexpected code from the check");
        if (bundle_verify_hashes(bundle, arena, &problems, &e) == 0) {
            check_again(bundle, tar);
        }
    }
    bundle_destroy(bundle);
    buf_done(&packed);
    arena_destroy(arena);
    return 0;
}
