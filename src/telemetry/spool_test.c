#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"
#include "telemetry/spool.h"

static char directory[64];

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/spool-test-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove_all(directory, NULL);
}

static Spool *open_it(int64_t bytes_max)
{
    Spool *s = NULL;
    Err e = {0};
    if (spool_open(directory, bytes_max, &s, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return s;
}

static void put(Spool *s, int number)
{
    char text[32];
    int len = snprintf(text, sizeof text, "batch %d", number);
    assert_int_equal(spool_put(s, (Slice){text, (size_t)len}, NULL), 0);
}

static void take(Spool *s, int number)
{
    char text[32];
    Slice batch;
    (void)snprintf(text, sizeof text, "batch %d", number);
    assert_int_equal(spool_next(s, &batch), 0);
    assert_true(slice_eq_cstr(batch, text));
    assert_int_equal(spool_done(s, NULL), 0);
}

static void expect_empty(Spool *s)
{
    Slice batch;
    assert_int_equal(spool_next(s, &batch), ERR_NOT_FOUND);
    assert_int_equal(spool_stats(s).waiting, 0);
    assert_int_equal(spool_stats(s).waiting_bytes, 0);
}

static void test_order_and_restart(void **state)
{
    (void)state;
    Spool *s = open_it(SPOOL_BYTES);
    expect_empty(s);
    assert_int_equal(spool_done(s, NULL), ERR_ARG);
    put(s, 1);
    put(s, 2);
    take(s, 1);
    put(s, 3);
    Slice batch;
    assert_int_equal(spool_next(s, &batch), 0); // taken but not done: comes again
    spool_close(s);
    s = open_it(SPOOL_BYTES);
    assert_int_equal(spool_stats(s).waiting, 2);
    put(s, 4);
    take(s, 2);
    take(s, 3);
    spool_close(s);
    s = open_it(SPOOL_BYTES);
    take(s, 4);
    expect_empty(s);
    put(s, 5);
    take(s, 5);
    expect_empty(s);
    spool_close(s);
}

static void test_many_segments(void **state)
{
    (void)state;
    enum { BATCH = 300 << 10, COUNT = 12 };
    char *bytes = mem_alloc(BATCH);
    Spool *s = open_it(SPOOL_BYTES);
    for (int i = 0; i < COUNT; i++) {
        memset(bytes, 'a' + i, BATCH);
        assert_int_equal(spool_put(s, (Slice){bytes, BATCH}, NULL), 0);
        if (i == 5) {
            spool_close(s);
            s = open_it(SPOOL_BYTES);
        }
    }
    for (int i = 0; i < COUNT; i++) {
        Slice batch;
        assert_int_equal(spool_next(s, &batch), 0);
        assert_int_equal(batch.len, BATCH);
        assert_int_equal(batch.ptr[BATCH - 1], 'a' + i);
        assert_int_equal(spool_done(s, NULL), 0);
    }
    expect_empty(s);
    spool_close(s);
    free(bytes);
}

static void test_limits(void **state)
{
    (void)state;
    // Three records of 20 + 7 bytes.
    Spool *s = open_it(81);
    put(s, 1);
    put(s, 2);
    put(s, 3);
    assert_int_equal(spool_put(s, SLICE("x"), NULL), ERR_FULL);
    take(s, 1);
    put(s, 4);
    take(s, 2);
    take(s, 3);
    take(s, 4);
    expect_empty(s);
    assert_int_equal(spool_put(s, SLICE(""), NULL), ERR_LIMIT);
    spool_close(s);
    s = open_it(SPOOL_BYTES);
    char *bytes = mem_zalloc(SPOOL_BATCH_BYTES_MAX + 1);
    assert_int_equal(spool_put(s, (Slice){bytes, SPOOL_BATCH_BYTES_MAX + 1}, NULL), ERR_LIMIT);
    assert_int_equal(spool_put(s, (Slice){bytes, SPOOL_BATCH_BYTES_MAX}, NULL), 0);
    Slice batch;
    assert_int_equal(spool_next(s, &batch), 0);
    assert_int_equal(batch.len, SPOOL_BATCH_BYTES_MAX);
    spool_close(s);
    free(bytes);
}

static void test_one_process_at_a_time(void **state)
{
    (void)state;
    Spool *s = open_it(SPOOL_BYTES), *other = NULL;
    assert_int_equal(spool_open(directory, SPOOL_BYTES, &other, NULL), ERR_BUSY);
    assert_null(other);
    spool_close(s);
}

static char *segment(uint64_t first)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%016llx.seg", directory, (unsigned long long)first);
    return path;
}

static void test_every_torn_end(void **state)
{
    (void)state;
    enum { RECORD = 27 }; // 20 + "batch 1"
    for (int cut = 0; cut <= 2 * RECORD; cut++) {
        Spool *s = open_it(SPOOL_BYTES);
        put(s, 1);
        put(s, 2);
        spool_close(s);
        assert_int_equal(truncate(segment(1), cut), 0);
        s = open_it(SPOOL_BYTES);
        put(s, 9);
        for (int i = 1; i <= cut / RECORD; i++) {
            take(s, i);
        }
        take(s, 9);
        expect_empty(s);
        spool_close(s);
        assert_int_equal(dir_remove_all(directory, NULL), 0);
    }
}

static void test_flipped_bits(void **state)
{
    (void)state;
    enum { RECORD = 27 };
    for (int at = 0; at < RECORD; at++) {
        Spool *s = open_it(SPOOL_BYTES);
        put(s, 1);
        spool_close(s);
        int fd = open(segment(1), O_RDWR);
        char c;
        assert_int_equal(pread(fd, &c, 1, at), 1);
        c = (char)(c ^ 0x10);
        assert_int_equal(pwrite(fd, &c, 1, at), 1);
        assert_int_equal(close(fd), 0);
        s = open_it(SPOOL_BYTES);
        assert_int_equal(spool_stats(s).corrupt, 1);
        put(s, 2);
        take(s, 2);
        expect_empty(s);
        spool_close(s);
        assert_int_equal(dir_remove_all(directory, NULL), 0);
    }
}

static void test_notes_that_make_no_sense(void **state)
{
    (void)state;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/done", directory);
    Spool *s = open_it(SPOOL_BYTES);
    put(s, 1);
    spool_close(s);
    assert_int_equal(file_write(path, SLICE("rubbish"), NULL, NULL), 0);
    s = open_it(SPOOL_BYTES);
    take(s, 1);
    spool_close(s);
    assert_int_equal(file_write(path, SLICE("2 7\n"), NULL, NULL), 0);
    assert_int_equal(spool_open(directory, SPOOL_BYTES, &s, NULL), ERR_VERSION);
}

int main(void)
{
#define SPOOL_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        SPOOL_TEST(test_order_and_restart),
        SPOOL_TEST(test_many_segments),
        SPOOL_TEST(test_limits),
        SPOOL_TEST(test_one_process_at_a_time),
        SPOOL_TEST(test_every_torn_end),
        SPOOL_TEST(test_flipped_bits),
        SPOOL_TEST(test_notes_that_make_no_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
