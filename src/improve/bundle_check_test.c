#include "improve/bundle_check.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "improve/steps.h"

static const char STEPS[] = "version: 1\n"
                            "build:\n  - {name: build, run: make}\n"
                            "workloads:\n  - {name: sort, run: ./sort, metric: wall}\n";
static const char PATCH[] = "--- a/sort.c\n+++ b/sort.c\n@@ -1 +1 @@\n-slow\n+fast\n";

enum { ROUNDS = 12 };

typedef struct World {
    Arena *arena;
    Registration registration;
    BundleSample samples[3 * ROUNDS];
    BundleWorkload load;
    BundleClaim claim;
    Buf ledger, registered, report;
    Slice patch, steps;
} World;

// Twice as fast, and a little noise that is the same in every run of the test.
static void make_samples(World *w)
{
    size_t n = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double noise = 1 + 0.001 * ((round * 7) % 5);
        for (int arm = 0; arm < BUNDLE_ARMS; arm++) {
            w->samples[n++] = (BundleSample){.session = 1,
                                             .round = round,
                                             .arm = (BundleArm)arm,
                                             .at_ns = (int64_t)n * 1000,
                                             .value = (arm == BUNDLE_ARM_B ? 0.1 : 0.2 * noise)};
        }
    }
    w->load = (BundleWorkload){.name = SLICE("sort"),
                               .metric = SLICE("wall"),
                               .interval = {.confidence = 0.99},
                               .samples = w->samples,
                               .sample_count = n};
    bundle_ratio(&w->load, 1, &w->load.ratio, &w->load.interval);
}

static void put_ledger(World *w)
{
    char path[] = "/tmp/bundle-check-XXXXXX";
    Ledger *ledger = NULL;
    Err e = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    unlink(path);
    assert_int_equal(ledger_open(&(LedgerOptions){.path = path}, &ledger, &e), 0);
    assert_int_equal(registration_record(ledger, &w->registration, &e), 0);
    assert_int_equal(
        proposal_export(ledger, slice_from_cstr(w->registration.proposal_id), &w->ledger, &e), 0);
    ledger_close(ledger);
    unlink(path);
}

static int setup(void **state)
{
    static RegisteredWorkload registered = {SLICE_INIT("sort"), SLICE_INIT("./sort"), BENCH_WALL};
    World *w = mem_zalloc(sizeof *w);
    uint64_t seed = 5;
    Steps steps;
    w->arena = arena_create(256 << 20);
    w->ledger = buf_create(1 << 20);
    w->registered = buf_create(1 << 20);
    w->report = buf_create(1 << 20);
    w->patch = slice_from_cstr(PATCH);
    w->steps = slice_from_cstr(STEPS);
    assert_int_equal(steps_parse(w->arena, w->steps, "s", &steps, NULL), 0);
    w->registration =
        (Registration){.goal = SLICE("faster sort"),
                       .target = SLICE("/x"),
                       .base_commit = SLICE("0123456789abcdef0123456789abcdef01234567"),
                       .workloads = &registered,
                       .workload_count = 1};
    steps_hash(&steps, w->registration.steps_sha256);
    assert_int_equal(registration_make(&w->registration, &seed, NULL), 0);
    put_ledger(w);
    JsonWriter j = json_writer(&w->registered, 0);
    registration_write_secret(&w->registration, &j);
    Sha256 hash = sha256_of(w->patch);
    char hex[SHA256_HEX + 1];
    sha256_hex(&hash, hex);
    buf_printf(&w->report, "{\"patch\":\"%s\",\"verdict\":\"PROVEN\"}", hex);
    make_samples(w);
    w->claim = (BundleClaim){.verdict = PATCH_PROVEN,
                             .title = SLICE("faster sort"),
                             .repository = SLICE("/x"),
                             .base_revision = w->registration.base_commit,
                             .min_effect = w->registration.min_effect,
                             .attempt = 1,
                             .workloads = &w->load,
                             .count = 1};
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    World *w = *state;
    buf_done(&w->ledger);
    buf_done(&w->registered);
    buf_done(&w->report);
    arena_destroy(w->arena);
    free(w);
    return 0;
}

// Packs what the world holds, reads it back and checks it. Whoever tampers with a part and writes
// the bundle anew has hashes that fit: only what the parts say of one another gives it away.
static int check(World *w, Slice known, BundleProblems *ret_problems, Err *e)
{
    BundleWriter *writer = bundle_writer_create();
    Buf packed = buf_create(8 << 20);
    char id[SHA256_HEX + 1];
    Bundle *bundle = NULL;
    assert_int_equal(bundle_add_claim(writer, &w->claim, NULL), 0);
    assert_int_equal(bundle_add(writer, BUNDLE_PATCH, w->patch, NULL), 0);
    assert_int_equal(bundle_add(writer, BUNDLE_STEPS, w->steps, NULL), 0);
    assert_int_equal(bundle_add(writer, BUNDLE_REPORT, buf_slice(&w->report), NULL), 0);
    assert_int_equal(bundle_add(writer, BUNDLE_REGISTRATION, buf_slice(&w->registered), NULL), 0);
    assert_int_equal(bundle_add(writer, BUNDLE_LEDGER, buf_slice(&w->ledger), NULL), 0);
    assert_int_equal(bundle_write(writer, &packed, id, NULL), 0);
    assert_int_equal(bundle_read(w->arena, buf_slice(&packed), &bundle, e), 0);
    int rc = bundle_check(bundle, known, w->arena, ret_problems, NULL, e);
    bundle_destroy(bundle);
    buf_done(&packed);
    bundle_writer_destroy(writer);
    return rc;
}

static void assert_refused(World *w, const char *words)
{
    BundleProblems problems;
    Err e = {0};
    assert_int_equal(check(w, SLICE(""), &problems, &e), ERR_CORRUPT);
    assert_true(problems.count >= 1);
    if (!strstr(e.text, words)) {
        print_error("\"%s\" has no \"%s\"\n", e.text, words);
        fail();
    }
}

static void test_an_honest_bundle_passes(void **state)
{
    World *w = *state;
    BundleProblems problems;
    Err e = {0};
    int rc = check(w, SLICE(""), &problems, &e);
    if (rc != 0) {
        print_error("%s\n", e.text);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(problems.count, 0);
    assert_true(w->load.ratio > 1.99 && w->load.ratio < 2.02);
}

static void test_a_better_figure_is_seen(void **state)
{
    World *w = *state;
    w->load.ratio = 2.4;
    w->load.interval.high = 2.5;
    assert_refused(w, "claim.json says 2.4x for sort (wall); its samples give 2.0");
}

static void test_better_samples_are_no_help_to_an_old_figure(void **state)
{
    World *w = *state;
    for (size_t i = 0; i < 3 * ROUNDS; i++) {
        w->samples[i].value *= w->samples[i].arm == BUNDLE_ARM_B ? 0.5 : 1;
    }
    assert_refused(w, "its samples give 4.0");
}

static void test_no_samples_no_figure(void **state)
{
    World *w = *state;
    w->load.sample_count = 0;
    assert_refused(w, "samples.json have nothing");
}

static void test_another_patch(void **state)
{
    World *w = *state;
    w->patch = SLICE("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n");
    assert_refused(w, "patch.diff is not the patch that report.json judges");
}

static void test_other_steps(void **state)
{
    World *w = *state;
    w->steps = SLICE("version: 1\nbuild:\n  - {name: build, run: make CFLAGS=-Ofast}\n"
                     "workloads:\n  - {name: sort, run: ./sort, metric: wall}\n");
    assert_refused(w, "steps.yaml are not the steps that were registered");
}

static void test_another_goal_than_was_registered(void **state)
{
    World *w = *state;
    ptrdiff_t at = slice_find(buf_slice(&w->registered), SLICE("faster sort"));
    assert_true(at > 0);
    w->registered.data[at] = 'F';
    assert_refused(w, "registration.json");
}

static void test_another_effect_or_base(void **state)
{
    World *w = *state;
    w->claim.min_effect = 0.01;
    assert_refused(w, "counts effects from 0.01, registered was 0.05");
    w->claim.min_effect = 0.05;
    w->claim.base_revision = SLICE("ffff");
    assert_refused(w, "is about base ffff");
}

static void test_a_record_that_was_edited(void **state)
{
    World *w = *state;
    // The last place is in a record's payload, the first in the projection.
    size_t last = 0;
    for (size_t i = 0; i + 11 < w->ledger.len; i++) {
        last = memcmp(w->ledger.data + i, "faster sort", 11) == 0 ? i : last;
    }
    assert_true(last > 0);
    w->ledger.data[last] = 'F';
    assert_refused(w, "ledger.json record");
}

static void test_another_verdict(void **state)
{
    World *w = *state;
    w->claim.verdict = PATCH_SMALL;
    assert_refused(w, "says SMALL");
    w->claim.verdict = PATCH_PROVEN;
    w->load.interval.low = 0.9;
    assert_refused(w, "but the interval of its first workload does not");
}

static void test_a_hash_kept_elsewhere(void **state)
{
    World *w = *state;
    BundleProblems problems;
    Err e = {0};
    ptrdiff_t at = slice_find(buf_slice(&w->ledger), SLICE("\"hash\":\""));
    Slice known = slice_sub(buf_slice(&w->ledger), (size_t)at + 8, SHA256_HEX);
    assert_int_equal(check(w, known, &problems, &e), 0);
    Slice other = SLICE("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
    assert_int_equal(check(w, other, &problems, &e), ERR_CORRUPT);
    assert_non_null(strstr(e.text, "has no record with the hash that was given"));
    assert_int_equal(check(w, SLICE("abc"), &problems, &e), ERR_CORRUPT);
}

static void test_agreement(void **state)
{
    World *w = *state;
    static const struct {
        PatchVerdict there, here;
        double low, high; // of patched over base, here
        BundleHolds holds;
    } cases[] = {
        {PATCH_PROVEN, PATCH_PROVEN, 0.49, 0.51, BUNDLE_HOLDS},
        {PATCH_PROVEN, PATCH_PROVEN, 0.78, 0.8, BUNDLE_HOLDS_LESS},
        {PATCH_PROVEN, PATCH_SMALL, 0.96, 0.98, BUNDLE_HOLDS_LESS},
        {PATCH_SMALL, PATCH_NO_EFFECT, 0.99, 1.01, BUNDLE_HOLDS_NOT},
        {PATCH_PROVEN, PATCH_SLOWER, 1.1, 1.2, BUNDLE_HOLDS_NOT},
        {PATCH_PROVEN, PATCH_BROKEN, NAN, NAN, BUNDLE_HOLDS_NOT},
        {PATCH_PROVEN, PATCH_UNDECIDED, 0.4, 1.2, BUNDLE_NOT_DECIDED},
        {PATCH_NO_EFFECT, PATCH_PROVEN, 0.4, 0.5, BUNDLE_NO_CLAIM},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        JudgeReport report = {.verdict = cases[i].here,
                              .ratio = (cases[i].low + cases[i].high) / 2,
                              .interval = {cases[i].low, cases[i].high, 0.99}};
        w->claim.verdict = cases[i].there;
        BundleAgreement a = bundle_agree(&w->claim, &report);
        assert_int_equal(a.holds, cases[i].holds);
        Buf out = buf_create(4096);
        bundle_agreement_print(&a, &out);
        assert_true(out.len > 20 && out.data[out.len - 1] == '\n');
        buf_done(&out);
    }
}

static void test_printing(void **state)
{
    World *w = *state;
    BundleWriter *writer = bundle_writer_create();
    Buf packed = buf_create(8 << 20), out = buf_create(1 << 16);
    char id[SHA256_HEX + 1];
    Bundle *bundle = NULL;
    w->claim.title = SLICE("a\x1b[2Jb"); // what a terminal would obey
    assert_int_equal(bundle_add_claim(writer, &w->claim, NULL), 0);
    assert_int_equal(bundle_write(writer, &packed, id, NULL), 0);
    assert_int_equal(bundle_read(w->arena, buf_slice(&packed), &bundle, NULL), 0);
    bundle_print(bundle, &w->claim, &out);
    assert_non_null(strstr(out.data, "goal       a\\x1b[2Jb\n"));
    assert_non_null(strstr(out.data, "sort (wall): 2.0"));
    assert_non_null(strstr(out.data, id));
    bundle_destroy(bundle);
    buf_done(&packed);
    buf_done(&out);
    bundle_writer_destroy(writer);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_an_honest_bundle_passes),
        T(test_a_better_figure_is_seen),
        T(test_better_samples_are_no_help_to_an_old_figure),
        T(test_no_samples_no_figure),
        T(test_another_patch),
        T(test_other_steps),
        T(test_another_goal_than_was_registered),
        T(test_another_effect_or_base),
        T(test_a_record_that_was_edited),
        T(test_another_verdict),
        T(test_a_hash_kept_elsewhere),
        T(test_agreement),
        T(test_printing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
