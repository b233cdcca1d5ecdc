#include "improve/bundle.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/gzip.h"
#include "improve/bundle_claim.h"
#include "improve/bundle_tar.h"

typedef struct World {
    Arena *arena;
    BundleWriter *writer;
    Buf packed;
    char id[SHA256_HEX + 1];
} World;

static int setup(void **state)
{
    World *w = mem_zalloc(sizeof *w);
    *w = (World){.arena = arena_create(64 << 20),
                 .writer = bundle_writer_create(),
                 .packed = buf_create(1 << 20)};
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    World *w = *state;
    bundle_writer_destroy(w->writer);
    buf_done(&w->packed);
    arena_destroy(w->arena);
    free(w);
    return 0;
}

static void add(World *w, const char *name, const char *bytes)
{
    Err e = {0};
    assert_int_equal(bundle_add(w->writer, slice_from_cstr(name), slice_from_cstr(bytes), &e), 0);
}

static void pack(World *w)
{
    Err e = {0};
    buf_reset(&w->packed);
    assert_int_equal(bundle_write(w->writer, &w->packed, w->id, &e), 0);
}

static void test_what_is_written_is_read(void **state)
{
    World *w = *state;
    Err e = {0};
    add(w, "patch.diff", "--- a\n+++ b\n");
    add(w, "log/build.txt", "");
    add(w, "claim.json", "{}");
    pack(w);
    Bundle *b = NULL;
    BundleProblems problems;
    assert_int_equal(bundle_read(w->arena, buf_slice(&w->packed), &b, &e), 0);
    assert_int_equal(b->count, 3);
    assert_string_equal(b->id, w->id);
    // Sorted, whatever the order they came in.
    assert_true(slice_eq_cstr(b->parts[0].name, "claim.json"));
    assert_true(slice_eq_cstr(b->parts[1].name, "log/build.txt"));
    assert_true(slice_eq_cstr(bundle_part(b, BUNDLE_PATCH)->bytes, "--- a\n+++ b\n"));
    assert_int_equal(bundle_part(b, SLICE("log/build.txt"))->bytes.len, 0);
    assert_null(bundle_part(b, BUNDLE_STEPS));
    assert_int_equal(bundle_verify_hashes(b, w->arena, &problems, &e), 0);
    assert_int_equal(problems.count, 0);
    bundle_destroy(b);
}

static void test_the_same_parts_are_the_same_bytes(void **state)
{
    World *w = *state;
    char id[SHA256_HEX + 1];
    Err e = {0};
    add(w, "b", "2");
    add(w, "a", "1");
    pack(w);
    BundleWriter *other = bundle_writer_create();
    Buf packed = buf_create(1 << 20);
    assert_int_equal(bundle_add(other, SLICE("a"), SLICE("1"), &e), 0);
    assert_int_equal(bundle_add(other, SLICE("b"), SLICE("2"), &e), 0);
    assert_int_equal(bundle_write(other, &packed, id, &e), 0);
    assert_true(slice_eq(buf_slice(&packed), buf_slice(&w->packed)));
    assert_string_equal(id, w->id);
    buf_done(&packed);
    bundle_writer_destroy(other);
}

static void test_names(void **state)
{
    World *w = *state;
    static const char *const bad[] = {"",    "/a",  "a/",  "a//b",          "..",      "a/../b",
                                      "./a", "a b", "a\n", "manifest.json", "\xc3\xa4"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(bundle_add(w->writer, slice_from_cstr(bad[i]), SLICE("x"), NULL), ERR_ARG);
    }
    char longest[BUNDLE_NAME_MAX + 2];
    memset(longest, 'n', sizeof longest);
    Slice name = {longest, BUNDLE_NAME_MAX};
    assert_int_equal(bundle_add(w->writer, name, SLICE("x"), NULL), 0);
    assert_int_equal(bundle_add(w->writer, name, SLICE("x"), NULL), ERR_EXISTS);
    name.len++;
    assert_int_equal(bundle_add(w->writer, name, SLICE("x"), NULL), ERR_ARG);
    pack(w);
    Bundle *b = NULL;
    assert_int_equal(bundle_read(w->arena, buf_slice(&w->packed), &b, NULL), 0);
    assert_int_equal(b->parts[0].name.len, BUNDLE_NAME_MAX);
    bundle_destroy(b);
}

static void test_too_many_parts(void **state)
{
    World *w = *state;
    char name[16];
    for (int i = 0; i < BUNDLE_PARTS_MAX; i++) {
        (void)snprintf(name, sizeof name, "p%04d", i);
        add(w, name, "");
    }
    assert_int_equal(bundle_add(w->writer, SLICE("q"), SLICE(""), NULL), ERR_LIMIT);
    pack(w);
    Bundle *b = NULL;
    assert_int_equal(bundle_read(w->arena, buf_slice(&w->packed), &b, NULL), 0);
    assert_int_equal(b->count, BUNDLE_PARTS_MAX);
    bundle_destroy(b);
}

// An archive that differs from a good one in one byte, or has bytes more or less.
static int read_changed(World *w, Buf *tar, Bundle **ret, Err *e)
{
    Buf packed = buf_create(1 << 20);
    assert_int_equal(gzip_append(buf_slice(tar), &packed, e), 0);
    int rc = bundle_read(w->arena, buf_slice(&packed), ret, e);
    buf_done(&packed);
    return rc;
}

// Every single byte of the archive matters: changed, the reader refuses, or the hash of a part is
// wrong, or, in the manifest, the id is another.
static void test_no_byte_can_be_changed(void **state)
{
    World *w = *state;
    Err e = {0};
    add(w, "patch.diff", "+fast\n");
    add(w, "steps.yaml", "version: 1\n");
    pack(w);
    Buf tar = buf_create(1 << 20);
    assert_int_equal(inflate_append(INFLATE_GZIP, buf_slice(&w->packed), &tar, &e), 0);
    for (size_t i = 0; i < tar.len; i += i < 600 || i > 3 * BUNDLE_BLOCK ? 7 : 1) {
        Bundle *b = NULL;
        BundleProblems problems;
        tar.data[i] ^= 1;
        int rc = read_changed(w, &tar, &b, &e);
        if (rc == 0) {
            rc = bundle_verify_hashes(b, w->arena, &problems, &e);
            assert_true(rc == ERR_CORRUPT || strcmp(b->id, w->id) != 0);
            bundle_destroy(b);
        }
        tar.data[i] ^= 1;
    }
    buf_done(&tar);
}

static void test_the_changed_part_is_named(void **state)
{
    World *w = *state;
    Err e = {0};
    add(w, "patch.diff", "+fast\n");
    add(w, "samples.json", "[]");
    pack(w);
    Buf tar = buf_create(1 << 20);
    assert_int_equal(inflate_append(INFLATE_GZIP, buf_slice(&w->packed), &tar, &e), 0);
    ptrdiff_t at = slice_find(buf_slice(&tar), SLICE("+fast"));
    assert_true(at > 0);
    tar.data[at + 1] = 'F';
    Bundle *b = NULL;
    BundleProblems problems;
    assert_int_equal(read_changed(w, &tar, &b, &e), 0);
    assert_int_equal(bundle_verify_hashes(b, w->arena, &problems, &e), ERR_CORRUPT);
    assert_int_equal(problems.count, 1);
    assert_true(slice_eq(problems.items[0].part, BUNDLE_PATCH));
    assert_non_null(strstr(e.text, "patch.diff has SHA-256"));
    bundle_destroy(b);
    buf_done(&tar);
}

static void test_what_is_no_bundle(void **state)
{
    World *w = *state;
    Bundle *b = NULL;
    Buf packed = buf_create(1 << 20), tar = buf_create(1 << 20);
    assert_int_equal(bundle_read(w->arena, SLICE("hello"), &b, NULL), ERR_PARSE);
    assert_int_equal(bundle_read(w->arena, SLICE(""), &b, NULL), ERR_PARSE);
    static const struct {
        const char *manifest;
        int rc;
    } cases[] = {
        {"{\"format\":\"perfwright-bundle\",\"parts\":[],\"version\":1}\n", 0},
        {"{\"format\":\"perfwright-bundle\",\"parts\":[],\"version\":2}\n", ERR_VERSION},
        {"{\"format\":\"perfwright-bundle\",\"parts\":[],\"version\":0}\n", ERR_PARSE},
        {"{\"format\":\"perfwright-bundle\",\"parts\":[], \"version\":1}\n", ERR_PARSE},
        {"{\"format\":\"other\",\"parts\":[],\"version\":1}\n", ERR_PARSE},
        {"{\"format\":\"perfwright-bundle\",\"more\":1,\"parts\":[],\"version\":1}\n", ERR_PARSE},
        {"[]\n", ERR_PARSE},
        {"{\"format\":\"perfwright-bundle\",\"parts\":[{\"bytes\":1,\"name\":\"../a\",\"sha256\":"
         "\"00\"}],\"version\":1}\n",
         ERR_PARSE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Err e = {0};
        buf_reset(&tar);
        bundle_tar_append(&tar, SLICE("manifest.json"), slice_from_cstr(cases[i].manifest));
        bundle_tar_end(&tar);
        assert_int_equal(read_changed(w, &tar, &b, &e), cases[i].rc);
        if (cases[i].rc == 0) {
            bundle_destroy(b);
        }
    }
    buf_done(&packed);
    buf_done(&tar);
}

static void test_a_manifest_past_its_ceiling(void **state)
{
    World *w = *state;
    Bundle *b = NULL;
    Err e = {0};
    char *zeros = mem_zalloc(BUNDLE_MANIFEST_BYTES_MAX + 1);
    Buf tar = buf_create(1 << 20);
    bundle_tar_append(&tar, SLICE("manifest.json"), (Slice){zeros, BUNDLE_MANIFEST_BYTES_MAX + 1});
    bundle_tar_end(&tar);
    assert_int_equal(read_changed(w, &tar, &b, &e), ERR_LIMIT);
    buf_done(&tar);
    free(zeros);
}

// Ground truth from outside: the system's tar lists and extracts it.
static void test_tar_opens_it(void **state)
{
    World *w = *state;
    Err e = {0};
    char path[] = "/tmp/bundle-test-XXXXXX", command[128], line[128];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    add(w, "log/build.txt", "made\n");
    assert_int_equal(bundle_save(w->writer, path, w->id, &e), 0);
    (void)snprintf(command, sizeof command, "tar xzOf %s log/build.txt 2>&1", path);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    assert_string_equal(line, "made\n");
    assert_int_equal(pclose(f), 0);
    unlink(path);
}

static void test_a_long_log_keeps_its_end(void **state)
{
    World *w = *state;
    Err e = {0};
    char path[] = "/tmp/bundle-test-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "0123456789", 10), 10);
    close(fd);
    assert_int_equal(bundle_add_file(w->writer, SLICE("log/all"), path, 10, &e), 0);
    assert_int_equal(bundle_add_file(w->writer, SLICE("log/cut"), path, 4, &e), 0);
    pack(w);
    Bundle *b = NULL;
    assert_int_equal(bundle_read(w->arena, buf_slice(&w->packed), &b, &e), 0);
    assert_true(slice_eq_cstr(bundle_part(b, SLICE("log/all"))->bytes, "0123456789"));
    assert_true(slice_eq_cstr(bundle_part(b, SLICE("log/cut"))->bytes,
                              "[the first 6 bytes were left out]\n6789"));
    bundle_destroy(b);
    unlink(path);
}

static BundleClaim sample_claim(void)
{
    static BundleSample samples[] = {
        {1, 0, BUNDLE_ARM_A, 0, 0.25},
        {1, 0, BUNDLE_ARM_A_AGAIN, 260000000, 0.26},
        {1, 0, BUNDLE_ARM_B, 520000000, 0.125},
        {2, 0, BUNDLE_ARM_B, 0, NAN},
    };
    static BundleWorkload loads[2];
    loads[0] = (BundleWorkload){.name = SLICE("sort"),
                                .metric = SLICE("wall"),
                                .ratio = 2,
                                .interval = {1.9, 2.1, 0.95},
                                .samples = samples,
                                .sample_count = COUNT_OF(samples)};
    loads[1] = (BundleWorkload){.name = SLICE("sort"),
                                .metric = SLICE("rss"),
                                .guard = true,
                                .ratio = NAN,
                                .interval = {NAN, NAN, NAN}};
    return (BundleClaim){.verdict = PATCH_PROVEN,
                         .title = SLICE("faster sort"),
                         .reason = SLICE("it is"),
                         .repository = SLICE("x"),
                         .base_revision = SLICE("abc"),
                         .base_tree = SLICE("def"),
                         .min_effect = 0.05,
                         .attempt = 1,
                         .workloads = loads,
                         .count = 2};
}

static void test_a_claim_comes_back(void **state)
{
    World *w = *state;
    Err e = {0};
    BundleClaim claim = sample_claim(), *back = NULL;
    Bundle *b = NULL;
    assert_int_equal(bundle_add_claim(w->writer, &claim, &e), 0);
    pack(w);
    assert_int_equal(bundle_read(w->arena, buf_slice(&w->packed), &b, &e), 0);
    assert_int_equal(bundle_read_claim(b, w->arena, &back, &e), 0);
    assert_int_equal(back->verdict, PATCH_PROVEN);
    assert_int_equal(back->count, 2);
    assert_true(back->workloads[0].ratio == 2 && back->workloads[0].interval.high == 2.1);
    assert_int_equal(back->workloads[0].sample_count, 4);
    assert_true(back->workloads[0].samples[2].arm == BUNDLE_ARM_B &&
                back->workloads[0].samples[2].value == 0.125);
    assert_true(isnan(back->workloads[0].samples[3].value));
    assert_true(back->workloads[1].guard && isnan(back->workloads[1].ratio));
    bundle_destroy(b);
}

static void test_claims_that_cannot_be(void **state)
{
    World *w = *state;
    BundleClaim claim = sample_claim();
    claim.workloads[0].interval.low = 2.05; // above its ratio
    assert_int_equal(bundle_add_claim(w->writer, &claim, NULL), ERR_ARG);
    claim = sample_claim();
    claim.workloads[1].metric = SLICE("wall");
    assert_int_equal(bundle_add_claim(w->writer, &claim, NULL), ERR_ARG);
    claim = sample_claim();
    claim.workloads[0].sample_count = BUNDLE_SAMPLES_MAX + 1;
    assert_int_equal(bundle_add_claim(w->writer, &claim, NULL), ERR_LIMIT);
    claim = sample_claim();
    claim.count = BUNDLE_WORKLOADS_MAX + 1;
    assert_int_equal(bundle_add_claim(w->writer, &claim, NULL), ERR_LIMIT);
    Bundle *b = NULL;
    BundleClaim *back = NULL;
    pack(w);
    assert_int_equal(bundle_read(w->arena, buf_slice(&w->packed), &b, NULL), 0);
    assert_int_equal(bundle_read_claim(b, w->arena, &back, NULL), ERR_NOT_FOUND);
    bundle_destroy(b);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_what_is_written_is_read),
        T(test_the_same_parts_are_the_same_bytes),
        T(test_names),
        T(test_too_many_parts),
        T(test_no_byte_can_be_changed),
        T(test_the_changed_part_is_named),
        T(test_what_is_no_bundle),
        T(test_a_manifest_past_its_ceiling),
        T(test_tar_opens_it),
        T(test_a_long_log_keeps_its_end),
        T(test_a_claim_comes_back),
        T(test_claims_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
