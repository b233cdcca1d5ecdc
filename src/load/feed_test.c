// Ground truth: the examples of RFC 4180 section 2, and the accepted and refused cases of Go's
// encoding/csv (reader_test.go) where it is as strict.
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "load/feed.h"

static void expect_cells(const PlanFeed *feed, const char *const *cells, size_t count)
{
    assert_int_equal(feed->row_count * feed->column_count, count);
    for (size_t i = 0; i < count; i++) {
        if (!slice_eq_cstr(feed->cells[i], cells[i])) {
            fail_msg("cell %zu: \"%.*s\", not \"%s\"", i, SLICE_FMT(feed->cells[i]), cells[i]);
        }
    }
}

static void test_csv_that_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *cells[6];
        size_t count;
    } cases[] = {
        {"a,b,c\r\naaa,bbb,ccc\r\nzzz,yyy,xxx\r\n", {"aaa", "bbb", "ccc", "zzz", "yyy", "xxx"}, 6},
        {"a,b,c\naaa,bbb,ccc", {"aaa", "bbb", "ccc"}, 3},
        {"\xEF\xBB\xBF\"a\",b,c\n\"aaa\",\"bbb\",\"ccc\"\r\n", {"aaa", "bbb", "ccc"}, 3},
        {"a,b,c\n\"aaa\",\"b \r\nbb\",\"ccc\"\nx,y,z",
         {"aaa", "b \r\nbb", "ccc", "x", "y", "z"},
         6},
        {"a,b,c\n\"aaa\",\"b\"\"bb\",\"ccc\"", {"aaa", "b\"bb", "ccc"}, 3},
        {" a , b \n x ,\n,\n", {" x ", "", "", ""}, 4},
        {"\r\n\na\n\n1\n\r\n2\r\n\n", {"1", "2"}, 2},
        {"a\n\"\"\n\"\"\"\"\n", {"", "\""}, 2},
        {"a,b\n1,2\r", {"1", "2"}, 2},
        {"a,b\n1,\"2\"\r", {"1", "2"}, 2},
        {"a\nx\ry\n", {"x\ry"}, 1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Arena *arena = arena_create(1 << 20);
        PlanFeed feed = {0};
        Err e = {0};
        if (feed_read_csv(arena, slice_from_cstr(cases[i].text), "f.csv", &feed, &e) != 0) {
            fail_msg("%zu: %s", i, e.text);
        }
        expect_cells(&feed, cases[i].cells, cases[i].count);
        arena_destroy(arena);
    }
}

static void test_csv_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "f.csv:1:1: the file is empty"},
        {"\n\n", "f.csv:3:1: the file is empty"},
        {"a,b\n", "no rows"},
        {"a,,b\n1,2,3", "f.csv:1:3: a column without a name"},
        {"a,b,a\n1,2,3", "\"a\" is there twice"},
        {"a,b\n1,2\n1\n", "f.csv:3:1: 1 field, but the header has 2"},
        {"a,b\n1,2,3\n", "f.csv:2:1: 3 fields, but the header has 2"},
        {"a,b\n\"1\n\n", "f.csv:2:1: a quote that is never closed"},
        {"a,b\n1,2\"\n", "f.csv:2:4: a quote inside a field"},
        {"a,b\n1,\"2\"x\n", "f.csv:2:6: text behind a closing quote"},
        {"a,b\n1,\"2\"\rx\n", "without a line feed"},
        {"a,b\n\"x\ny\",\"2\"z\n", "f.csv:3:7: text behind"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Arena *arena = arena_create(1 << 20);
        PlanFeed feed = {0};
        Err e = {0};
        int rc = feed_read_csv(arena, slice_from_cstr(cases[i][0]), "f.csv", &feed, &e);
        if (rc != ERR_PARSE || !strstr(e.text, cases[i][1])) {
            fail_msg("%zu: %d %s", i, rc, e.text);
        }
        arena_destroy(arena);
    }
}

static void test_csv_limits(void **state)
{
    (void)state;
    for (int columns = FEED_COLUMNS_MAX; columns <= FEED_COLUMNS_MAX + 1; columns++) {
        Buf text = buf_create(1 << 20);
        for (int row = 0; row < 2; row++) {
            for (int i = 0; i < columns; i++) {
                buf_printf(&text, "%s%d", i ? "," : "", i);
            }
            buf_putc(&text, '\n');
        }
        Arena *arena = arena_create(1 << 20);
        PlanFeed feed = {0};
        assert_int_equal(feed_read_csv(arena, buf_slice(&text), "f", &feed, NULL),
                         columns > FEED_COLUMNS_MAX ? ERR_LIMIT : 0);
        arena_destroy(arena);
        buf_done(&text);
    }
    for (size_t rows = FEED_ROWS_MAX - 1; rows <= FEED_ROWS_MAX; rows++) {
        // Each "\n" may be a row, and so may what follows the last.
        Buf text = buf_create(FEED_BYTES_MAX);
        buf_puts(&text, "a\n");
        char *filler = buf_reserve(&text, 2 * rows);
        for (size_t i = 0; i < rows; i++) {
            filler[2 * i] = 'x';
            filler[2 * i + 1] = '\n';
        }
        buf_commit(&text, 2 * rows);
        Arena *arena = arena_create(256 << 20);
        PlanFeed feed = {0};
        assert_int_equal(feed_read_csv(arena, buf_slice(&text), "f", &feed, NULL),
                         rows >= FEED_ROWS_MAX ? ERR_LIMIT : 0);
        arena_destroy(arena);
        buf_done(&text);
    }
    Arena *small = arena_create(16 << 10);
    PlanFeed feed = {0};
    char wide[12 << 10];
    memset(wide, '\n', sizeof wide);
    wide[0] = 'a';
    assert_int_equal(feed_read_csv(small, (Slice){wide, sizeof wide}, "f", &feed, NULL), ERR_LIMIT);
    arena_destroy(small);
}

static void test_json(void **state)
{
    (void)state;
    static const char text[] = "[{\"a\":\"x\",\"b\":1.50},{\"b\":true,\"a\":null}]";
    static const char *const cells[] = {"x", "1.50", "", "true"};
    static const char *const bad[][2] = {
        {"{}", "f:1:1: a feed must be an array"},
        {"[]", "a feed must be an array of one object or more"},
        {"[1]", "f:1:2: a row must be an object"},
        {"[{}]", "f:1:2: a row must be an object"},
        {"[{\"a\":1},2]", "f:1:10: a row must be an object"},
        {"[{\"a\":1},{}]", "the row lacks \"a\""},
        {"[{\"aa\":1},{\"ab\":1}]", "\"aa\""},
        {"[{\"a\":[1]}]", "f:1:7: a value of a row must be a scalar"},
        {"[{\"a\":", "f:1:"},
    };
    Arena *arena = arena_create(1 << 20);
    PlanFeed feed = {0};
    assert_int_equal(feed_read_json(arena, slice_from_cstr(text), "f", &feed, NULL), 0);
    expect_cells(&feed, cells, COUNT_OF(cells));
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        Err e = {0};
        int rc = feed_read_json(arena, slice_from_cstr(bad[i][0]), "f", &feed, &e);
        if (rc != ERR_PARSE || !strstr(e.text, bad[i][1])) {
            fail_msg("%s: %d %s", bad[i][0], rc, e.text);
        }
    }
    assert_int_equal(feed_load(arena, "/nonexistent/feed.csv", &feed, NULL), ERR_NOT_FOUND);
    arena_destroy(arena);
}

enum { ROWS = 37 };

static PlanFeed numbered(FeedOrder order, FeedEnd end, FeedScope scope, Slice cells[ROWS])
{
    for (size_t i = 0; i < ROWS; i++) {
        cells[i] = (Slice){"row", i % 3};
    }
    return (PlanFeed){.name = SLICE("f"),
                      .order = order,
                      .at_end = end,
                      .scope = scope,
                      .cells = cells,
                      .column_count = 1,
                      .row_count = ROWS};
}

static void test_sequential_rows(void **state)
{
    (void)state;
    Slice cells[ROWS];
    PlanFeed wrap = numbered(FEED_SEQUENTIAL, FEED_WRAP, FEED_PER_TEST, cells);
    PlanFeed stop = numbered(FEED_SEQUENTIAL, FEED_STOP, FEED_PER_VU, cells);
    for (int64_t i = 0; i < 3 * ROWS; i++) {
        assert_ptr_equal(feed_row(&wrap, 1, 1, 99, i), &cells[i % ROWS]);
        assert_ptr_equal(feed_row(&stop, 1, 1, i, 99), i < ROWS ? &cells[i] : NULL);
    }
    assert_ptr_equal(feed_row(&wrap, 1, 1, 0, INT64_MAX), &cells[INT64_MAX % ROWS]);
}

static void test_shuffle_takes_every_row_once(void **state)
{
    (void)state;
    Slice cells[ROWS];
    PlanFeed feed = numbered(FEED_SHUFFLE, FEED_WRAP, FEED_PER_TEST, cells);
    for (size_t rows = 1; rows <= ROWS; rows++) {
        feed.row_count = rows;
        ptrdiff_t first[ROWS], moved = 0;
        for (int64_t epoch = 0; epoch < 2; epoch++) {
            bool seen[ROWS] = {false};
            for (int64_t i = 0; i < (int64_t)rows; i++) {
                const Slice *row = feed_row(&feed, 5, 1, 0, epoch * (int64_t)rows + i);
                ptrdiff_t at = row - cells;
                assert_true(at >= 0 && at < (ptrdiff_t)rows && !seen[at]);
                seen[at] = true;
                moved += epoch == 1 && first[i] != at;
                first[i] = at;
            }
        }
        assert_true(rows < 5 || moved > 0); // another order the second time round
    }
}

static void test_random_rows_are_uniform(void **state)
{
    (void)state;
    Slice cells[ROWS];
    PlanFeed feed = numbered(FEED_RANDOM, FEED_STOP, FEED_PER_TEST, cells);
    int counts[ROWS] = {0};
    enum { DRAWS = 37000 };
    for (int64_t i = 0; i < DRAWS; i++) {
        const Slice *row = feed_row(&feed, 5, 1, 0, i);
        assert_ptr_equal(row, feed_row(&feed, 5, 2, 7, i));
        counts[row - cells]++;
    }
    double chi2 = 0;
    for (int i = 0; i < ROWS; i++) {
        chi2 += (counts[i] - 1000.0) * (counts[i] - 1000.0) / 1000.0;
    }
    assert_true(chi2 < 67.99); // chi-squared table: 36 degrees of freedom, 0.001
}

static void test_vus_have_their_own_order(void **state)
{
    (void)state;
    Slice cells[ROWS];
    PlanFeed feed = numbered(FEED_SHUFFLE, FEED_WRAP, FEED_PER_VU, cells);
    int same = 0, same_seed = 0;
    for (int64_t i = 0; i < ROWS; i++) {
        same += feed_row(&feed, 5, 1, i, 0) == feed_row(&feed, 5, 2, i, 0);
        same_seed += feed_row(&feed, 5, 1, i, 0) == feed_row(&feed, 6, 1, i, 0);
    }
    assert_true(same < ROWS / 2 && same_seed < ROWS / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv_that_is_read),
        cmocka_unit_test(test_csv_refused),
        cmocka_unit_test(test_csv_limits),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_sequential_rows),
        cmocka_unit_test(test_shuffle_takes_every_row_once),
        cmocka_unit_test(test_random_rows_are_uniform),
        cmocka_unit_test(test_vus_have_their_own_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
