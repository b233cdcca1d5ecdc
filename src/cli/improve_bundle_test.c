#include "cli/improve_bundle.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "improve/bundle_report.h"
#include "os/file.h"

typedef struct World {
    App app;
    Arena *arena;
    BundleWriter *writer;
    char path[64];
} World;

static int setup(void **state)
{
    World *w = mem_zalloc(sizeof *w);
    w->arena = arena_create((size_t)1 << 30);
    w->app = (App){.arena = w->arena, .out = buf_create(1 << 20), .quiet = true};
    w->writer = bundle_writer_create();
    memcpy(w->path, "/tmp/improve-bundle-XXXXXX", 27);
    int fd = mkstemp(w->path);
    assert_true(fd >= 0);
    close(fd);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    World *w = *state;
    unlink(w->path);
    bundle_writer_destroy(w->writer);
    buf_done(&w->app.out);
    arena_destroy(w->arena);
    free(w);
    return 0;
}

static void add_claim(World *w, PatchVerdict verdict)
{
    static BundleSample samples[20];
    for (int i = 0; i < 20; i++) {
        samples[i] = (BundleSample){.session = 1,
                                    .round = i / 2,
                                    .arm = i % 2 ? BUNDLE_ARM_B : BUNDLE_ARM_A,
                                    .value = i % 2 ? 0.1 : 0.2};
    }
    BundleWorkload load = {.name = SLICE("sort"),
                           .metric = SLICE("wall"),
                           .ratio = 2,
                           .interval = {2, 2, 0.99},
                           .samples = samples,
                           .sample_count = 20};
    BundleClaim claim = {.verdict = verdict,
                         .title = SLICE("faster sort"),
                         .base_revision = SLICE("abc"),
                         .min_effect = 0.05,
                         .attempt = 3,
                         .workloads = &load,
                         .count = 1};
    assert_int_equal(bundle_add_claim(w->writer, &claim, NULL), 0);
}

static void save(World *w)
{
    char id[SHA256_HEX + 1];
    assert_int_equal(bundle_save(w->writer, w->path, id, NULL), 0);
}

static void put_parts(World *w)
{
    add_claim(w, PATCH_PROVEN);
    assert_int_equal(bundle_add(w->writer, BUNDLE_PATCH, SLICE("--- a/x\n+++ b/x\n"), NULL), 0);
    assert_int_equal(bundle_add(w->writer, BUNDLE_STEPS,
                                SLICE("version: 1\nworkloads:\n  - {name: sort, run: ./sort}\n"),
                                NULL),
                     0);
}

static void test_what_is_a_bundle(void **state)
{
    World *w = *state;
    assert_false(improve_is_bundle(w->path)); // empty
    assert_false(improve_is_bundle("/tmp"));
    assert_false(improve_is_bundle("/nonexistent"));
    put_parts(w);
    save(w);
    assert_true(improve_is_bundle(w->path));
}

static void test_an_honest_one_is_opened_and_shown(void **state)
{
    World *w = *state;
    ImproveBundle *b = NULL;
    Err e = {0};
    put_parts(w);
    save(w);
    assert_int_equal(improve_bundle_open(&w->app, w->arena, w->path, SLICE(""), &b, &e), 0);
    improve_bundle_show(b, &w->app.out);
    assert_non_null(strstr(w->app.out.data, "faster sort"));
    assert_non_null(strstr(w->app.out.data, "2.00x [2.00, 2.00] from 20 samples"));
    improve_bundle_close(b);
}

static void test_a_changed_one_is_refused(void **state)
{
    World *w = *state;
    ImproveBundle *b = NULL;
    Err e = {0};
    add_claim(w, PATCH_PROVEN); // and no patch
    save(w);
    assert_int_equal(improve_bundle_open(&w->app, w->arena, w->path, SLICE(""), &b, &e),
                     ERR_REFUSED);
    assert_non_null(strstr(e.text, "was tampered with, or damaged: 1 thing does not match"));
    // Cut off in the middle.
    Buf bytes = buf_create(1 << 20);
    assert_int_equal(file_read(w->path, &bytes, NULL), 0);
    assert_int_equal(
        file_write(w->path, slice_sub(buf_slice(&bytes), 0, bytes.len / 2), NULL, NULL), 0);
    assert_int_equal(improve_bundle_open(&w->app, w->arena, w->path, SLICE(""), &b, &e),
                     ERR_REFUSED);
    buf_done(&bytes);
}

static void test_what_the_judge_is_given(void **state)
{
    World *w = *state;
    ImproveBundle *b = NULL;
    JudgeOptions options = {0};
    Steps steps;
    Err e = {0};
    put_parts(w);
    save(w);
    assert_int_equal(improve_bundle_open(&w->app, w->arena, w->path, SLICE(""), &b, &e), 0);
    assert_int_equal(improve_bundle_judge(b, w->arena, "/src/x", &options, &steps, &e), 0);
    assert_string_equal(options.repository, "/src/x");
    assert_true(slice_eq_cstr(options.base, "abc"));
    assert_true(slice_eq_cstr(options.patch, "--- a/x\n+++ b/x\n"));
    assert_true(options.min_effect == 0.05 && options.attempts == 1);
    assert_int_equal(steps.workload_count, 1);
    // Without a repository the base must be in the bundle.
    assert_int_equal(improve_bundle_judge(b, w->arena, NULL, &options, &steps, &e), ERR_NOT_FOUND);
    assert_non_null(strstr(e.text, "does not hold the base"));
    improve_bundle_close(b);
}

// Git packs the base here and unpacks it there: the same files, one commit, no history.
static void test_the_base_comes_along(void **state)
{
    World *w = *state;
    ImproveBundle *b = NULL;
    JudgeOptions options = {0};
    Steps steps;
    Err e = {0};
    char dir[] = "/tmp/improve-base-XXXXXX";
    Buf text = buf_create(1000);
    assert_non_null(mkdtemp(dir));
    Slice file = arena_printf(w->arena, "%s/sort.c", dir);
    assert_int_equal(file_write(file.ptr, SLICE("int main;\n"), NULL, &e), 0);
    put_parts(w);
    int rc = bundle_add_base(w->writer, dir, NULL, NULL, w->arena, &e);
    if (rc != 0) {
        print_error("%s\n", e.text);
    }
    assert_int_equal(rc, 0);
    save(w);
    assert_int_equal(improve_bundle_open(&w->app, w->arena, w->path, SLICE(""), &b, &e), 0);
    rc = improve_bundle_judge(b, w->arena, NULL, &options, &steps, &e);
    if (rc != 0) {
        print_error("%s\n", e.text);
    }
    assert_int_equal(rc, 0);
    assert_true(slice_eq_cstr(options.base, "HEAD"));
    Slice back = arena_printf(w->arena, "%s/sort.c", options.repository);
    assert_int_equal(file_read(back.ptr, &text, &e), 0);
    assert_true(slice_eq_cstr(buf_slice(&text), "int main;\n"));
    improve_bundle_close(b);
    assert_int_not_equal(access(back.ptr, F_OK), 0); // nothing is left
    buf_done(&text);
    assert_int_equal(dir_remove_all(dir, NULL), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_what_is_a_bundle),         T(test_an_honest_one_is_opened_and_shown),
        T(test_a_changed_one_is_refused), T(test_what_the_judge_is_given),
        T(test_the_base_comes_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
