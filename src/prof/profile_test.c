#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/gzip.h"
#include "prof/fibers.h"
#include "prof/profile.h"

static void test_equal_stacks_are_one(void **state)
{
    (void)state;
    static const uint64_t a[] = {0x1000, 0x2000}, b[] = {0x1000, 0x3000};
    Profile *p = profile_create(PROFILE_CPU, 10);
    for (int i = 0; i < 3; i++) {
        profile_add(p, &(ProfileSample){.pcs = a, .depth = 2, .values = {1, 10}});
    }
    profile_add(p, &(ProfileSample){.pcs = b, .depth = 2, .values = {1, 10}});
    profile_add(p, &(ProfileSample){.pcs = a, .depth = 1, .values = {1, 10}});
    profile_add(p, &(ProfileSample){.pcs = a, .depth = 2, .leaf_is_pc = true, .values = {1, 10}});
    profile_add(p, &(ProfileSample){.pcs = a,
                                    .depth = 2,
                                    .values = {1, 10},
                                    .label_key = SLICE("thread"),
                                    .label = SLICE("shard-1")});
    profile_add(p, &(ProfileSample){.depth = 0, .values = {1, 10}});
    assert_int_equal(profile_stats(p).stacks, 6);
    assert_int_equal(profile_stats(p).samples, 8);
    profile_destroy(p);
    profile_destroy(NULL);
}

static void test_deep_stacks_are_cut(void **state)
{
    (void)state;
    static uint64_t pcs[PROFILE_DEPTH_MAX + 1];
    Profile *p = profile_create(PROFILE_CPU, 10);
    Buf out = buf_create(PROFILE_BYTES_MAX);
    for (size_t i = 0; i < COUNT_OF(pcs); i++) {
        pcs[i] = 1000 + i;
    }
    profile_add(p, &(ProfileSample){.pcs = pcs, .depth = COUNT_OF(pcs), .values = {1, 10}});
    profile_add(p, &(ProfileSample){.pcs = pcs, .depth = PROFILE_DEPTH_MAX, .values = {1, 10}});
    assert_int_equal(profile_stats(p).stacks, 1);
    assert_int_equal(profile_write_svg(p, SLICE("deep"), &out, NULL), 0);
    assert_int_equal(profile_stats(p).locations, PROFILE_DEPTH_MAX);
    buf_done(&out);
    profile_destroy(p);
}

static void test_most_stacks(void **state)
{
    (void)state;
    Profile *p = profile_create(PROFILE_CPU, 1);
    for (uint64_t i = 0; i < PROFILE_STACKS_MAX + 5; i++) {
        profile_add(p, &(ProfileSample){.pcs = &i, .depth = 1, .values = {1, 1}});
    }
    assert_int_equal(profile_stats(p).stacks, PROFILE_STACKS_MAX);
    assert_int_equal(profile_stats(p).lost, 5);
    profile_destroy(p);
}

// The bytes by hand from profile.proto: one sample, one location, no symbols.
static void test_pprof_bytes(void **state)
{
    (void)state;
    static const uint64_t pcs[] = {0x1235};
    Profile *p = profile_create(PROFILE_CPU, 100);
    Buf packed = buf_create(1 << 20), plain = buf_create(1 << 20);
    profile_add(p, &(ProfileSample){.pcs = pcs, .depth = 1, .values = {7, 500}});
    profile_set_times(p, 3, 5);
    assert_int_equal(profile_write_pprof(p, &packed, NULL), 0);
    assert_int_equal(inflate_append(INFLATE_GZIP, buf_slice(&packed), &plain, NULL), 0);
    static const char bytes[] = "\x0A\x04\x08\x01\x10\x02"     // sample_type {type 1, unit 2}
                                "\x0A\x04\x08\x03\x10\x04"     // sample_type {type 3, unit 4}
                                "\x12\x08"                     // sample
                                "\x0A\x01\x01"                 //   location_id [1]
                                "\x12\x03\x07\xF4\x03"         //   value [7, 500]
                                "\x22\x05\x08\x01\x18\xB4\x24" // location {id 1, address 0x1234}
                                "\x48\x03\x50\x05"             // time_nanos 3, duration_nanos 5
                                "\x5A\x04\x08\x03\x10\x04"     // period_type {3, 4}
                                "\x60\x64"                     // period 100
                                "\x70\x03"                     // default_sample_type cpu
                                "\x32\x00"                     // string_table: ""
                                "\x32\x07samples"
                                "\x32\x05"
                                "count"
                                "\x32\x03"
                                "cpu"
                                "\x32\x0Bnanoseconds";
    assert_int_equal(plain.len, sizeof bytes - 1);
    assert_memory_equal(plain.data, bytes, sizeof bytes - 1);
    buf_done(&packed);
    buf_done(&plain);
    profile_destroy(p);
}

static void test_names_are_escaped_in_svg(void **state)
{
    (void)state;
    Profile *p = profile_create(PROFILE_FIBERS, 1);
    Buf out = buf_create(1 << 20);
    profile_add(p, &(ProfileSample){.values = {1},
                                    .label_key = SLICE("fiber"),
                                    .label = SLICE("<script>alert('1')</script>")});
    assert_int_equal(profile_write_svg(p, SLICE("<b>&"), &out, NULL), 0);
    assert_true(slice_find(buf_slice(&out), SLICE("<script>alert")) < 0);
    assert_true(slice_find(buf_slice(&out), SLICE("&lt;script&gt;alert")) > 0);
    assert_true(slice_find(buf_slice(&out), SLICE("&lt;b&gt;&amp;")) > 0);
    Buf small = buf_create(100);
    assert_int_equal(profile_write_svg(p, SLICE("x"), &small, NULL), ERR_LIMIT);
    assert_int_equal(profile_write_text(p, &small, NULL), ERR_LIMIT);
    buf_done(&small);
    buf_done(&out);
    profile_destroy(p);
}

static void test_an_empty_profile(void **state)
{
    (void)state;
    for (ProfileKind kind = PROFILE_CPU; kind <= PROFILE_FIBERS; kind++) {
        Profile *p = profile_create(kind, 1);
        Buf out = buf_create(1 << 20);
        assert_int_equal(profile_resolve(p, 0, NULL), 0);
        assert_int_equal(profile_write_svg(p, SLICE("x"), &out, NULL), 0);
        assert_int_equal(profile_write_pprof(p, &out, NULL), 0);
        assert_int_equal(profile_write_text(p, &out, NULL), 0);
        buf_done(&out);
        profile_destroy(p);
    }
}

static void test_symbols_of_this_program(void **state)
{
    (void)state;
    uint64_t pc = (uint64_t)(uintptr_t)test_symbols_of_this_program + 1;
    Profile *p = profile_create(PROFILE_CPU, 1);
    Buf out = buf_create(1 << 20);
    Err e = {0};
    profile_add(p, &(ProfileSample){.pcs = &pc, .depth = 1, .values = {1, 1}});
    if (profile_resolve(p, 0, &e) != 0) {
        fail_msg("%s", e.text);
    }
    assert_int_equal(profile_write_text(p, &out, NULL), 0);
    assert_true(slice_find(buf_slice(&out), SLICE("test_symbols_of_this_program")) > 0);
    assert_int_equal(profile_resolve(p, 0x3FFFFFFF, &e), ERR_IO); // no such process
    buf_done(&out);
    profile_destroy(p);
}

static void waiter(void *arg)
{
    (void)arg;
    assert_int_equal(fiber_park("a test", NEVER_NS), ERR_CANCELLED);
}

static void test_fibers(void **state)
{
    (void)state;
    Loop *loop;
    assert_int_equal(loop_create(&(LoopOptions){0}, &loop, NULL), 0);
    FiberPool *pool = fiber_pool_create(loop, NULL);
    assert_non_null(fiber_spawn(pool, "one", waiter, NULL));
    assert_non_null(fiber_spawn(pool, "two", waiter, NULL));
    (void)loop_tick(loop, 0);
    Profile *p = profile_create(PROFILE_FIBERS, 1);
    Buf out = buf_create(1 << 20);
    profile_add_fibers(p, pool);
    assert_int_equal(profile_stats(p).samples, 2);
    assert_int_equal(profile_resolve(p, 0, NULL), 0);
    assert_int_equal(profile_write_text(p, &out, NULL), 0);
    assert_true(slice_find(buf_slice(&out), SLICE("{fiber: one: a test}")) > 0);
    assert_true(slice_find(buf_slice(&out), SLICE("waiter")) > 0);
    buf_done(&out);
    profile_destroy(p);
    assert_int_equal(fiber_pool_drain(pool, NEVER_NS), 0);
    fiber_pool_destroy(pool);
    loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_stacks_are_one),
        cmocka_unit_test(test_deep_stacks_are_cut),
        cmocka_unit_test(test_most_stacks),
        cmocka_unit_test(test_pprof_bytes),
        cmocka_unit_test(test_names_are_escaped_in_svg),
        cmocka_unit_test(test_an_empty_profile),
        cmocka_unit_test(test_symbols_of_this_program),
        cmocka_unit_test(test_fibers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
