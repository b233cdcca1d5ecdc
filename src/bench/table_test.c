// Expected lines are what golang.org/x/perf/cmd/benchstat (v0.0.0-20260908200009) prints for the
// same two files, the seeds go_old and go_new of the fuzz target, with its own layout and footnotes
// taken out.
#include "bench/table.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "os/file.h"

static int setup(void **state)
{
    *state = arena_create(256 << 20);
    return 0;
}

static int teardown(void **state)
{
    arena_destroy(*state);
    return 0;
}

static HarnessResults *read_text(Arena *arena, Slice text)
{
    HarnessResults *results = NULL;
    Err e = {0};
    assert_int_equal(harness_read(arena, text, NULL, &results, &e), 0);
    return results;
}

static HarnessResults *read_seed(Arena *arena, const char *name)
{
    const char *root = getenv("PW_SOURCE_ROOT");
    Buf text = buf_create(1 << 20);
    Slice path = arena_printf(arena, "%s/fuzz/corpus/harness/%s", root ? root : ".", name);
    assert_int_equal(file_read(path.ptr, &text, NULL), 0);
    HarnessResults *results = read_text(arena, slice_sub(buf_slice(&text), 1, text.len));
    buf_done(&text);
    return results;
}

// Blanks between words become one, so that only figures and words are compared.
static Slice words_of(Arena *arena, Slice line)
{
    Buf out = buf_create(4096);
    for (size_t i = 0; i < line.len; i++) {
        bool blank = line.ptr[i] == ' ';
        if (!blank || (out.len > 0 && out.data[out.len - 1] != ' ')) {
            buf_putc(&out, line.ptr[i]);
        }
    }
    Slice words = arena_copy(arena, slice_trim(buf_slice(&out)));
    buf_done(&out);
    return words;
}

static bool has_line(Arena *arena, Slice text, const char *expected)
{
    Slice line, rest;
    for (; text.len > 0; text = rest) {
        (void)slice_cut(text, '\n', &line, &rest);
        if (slice_eq_cstr(words_of(arena, line), expected)) {
            return true;
        }
    }
    return false;
}

static void test_the_figures_are_those_of_benchstat(void **state)
{
    Arena *arena = *state;
    static const char *const lines[] = {
        "pkg: example.org/zip",
        "Encode-8 1.712µ ± 2% 1.429µ ± 0% -16.56% (p=0.000 n=10+12)",
        "Decode/size=1k-8 900.5n ± 2% 900.5n ± 3% ~ (p=0.961 n=10+12)",
        "Copy-8 11.600n ± 6% 9.720n ± 4% -16.21% (p=0.000 n=9+11)",
        "Coarse-8 3.000n ± 33% 3.000n ± 33% ~ (p=0.732 n=10+12)",
        "Tiny-8 0.2509n ± ∞ 0.2504n ± ∞ ~ (p=0.700 n=3)",
        "OnlyOld-8 5.000n ± ∞",
        "geomean 20.17n 24.81n -6.94%",
        "Encode-8 1.500Ki ± 0% 1.500Ki ± 0% ~ (p=1.000 n=10+12)",
        // benchstat prints no p here: its exact test says 0 where tied samples do not overlap.
        "Decode/size=1k-8 64.00 ± 0% 48.00 ± 0% -25.00% (p=0.000 n=10+12)",
        "geomean 313.5 271.5 -13.40%",
        "Decode/size=1k-8 1.000 ± 0% 1.000 ± 0% ~ (p=1.000 n=10+12)",
        "geomean 3.464 3.464 +0.00%",
        "Copy-8 870.8Mi ± 10% 1043.3Mi ± 6% +19.81% (p=0.000 n=9+11)",
    };
    BenchColumn columns[] = {{"old.txt", read_seed(arena, "go_old")},
                             {"new.txt", read_seed(arena, "go_new")}};
    BenchTables *tables = NULL;
    Buf out = buf_create(1 << 20);
    assert_int_equal(bench_table_make(arena, columns, 2, NULL, &tables, NULL), 0);
    assert_int_equal(tables->count, 4);
    bench_tables_print(tables, &out);
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        if (!has_line(arena, buf_slice(&out), lines[i])) {
            print_error("no line \"%s\" in\n%s", lines[i], out.data);
            fail();
        }
    }
    BenchChanges changes = bench_tables_changes(tables, 1);
    assert_int_equal(changes.better, 4); // two times, one size, one speed
    assert_int_equal(changes.worse, 0);
    assert_int_equal(changes.same, 6);
    buf_done(&out);
}

// benchunit's own table of expectations (scale_test.go): its thresholds and digits.
static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        double value;
        bool binary;
        const char *text;
    } cases[] = {
        {123456789, false, "123.5M"}, {100, false, "100.0"},      {99.995, false, "100.0"},
        {99.994, false, "99.99"},     {9.9995, false, "10.00"},   {1, false, "1.000"},
        {0.99995, false, "1.000"},    {0.9999, false, "999.9m"},  {1.5e-6, false, "1.500µ"},
        {1e-9, false, "1.000n"},      {0.1e-9, false, "0.1000n"}, {0.01e-9, false, "0.01000n"},
        {1e15, false, "1000.0T"},     {0, false, "0.000"},        {1020.0 * 1024, true, "1020.0Ki"},
        {1536, true, "1.500Ki"},      {0.5, true, "0.5000"},      {1e-12, true, "0.0000000000"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Buf out = buf_create(100);
        bench_value_format(cases[i].value, cases[i].value, cases[i].binary, &out);
        assert_string_equal(out.data, cases[i].text);
        buf_done(&out);
    }
}

// go-moremath's quantile intervals: TestSummaryNone, and order statistics that benchstat's text
// shows for 9, 10, 12 and 31 samples.
static void test_median_intervals(void **state)
{
    (void)state;
    double x[64];
    for (int i = 0; i < 64; i++) {
        x[i] = i + 1;
    }
    static const struct {
        size_t n;
        double low, high;
    } cases[] = {{1, -INFINITY, INFINITY}, {5, -INFINITY, 5}, {6, 1, 6}, {9, 2, 8}, {10, 2, 9}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Interval interval = bench_median_interval(x, cases[i].n, 0.95);
        assert_true(interval.low == cases[i].low && interval.high == cases[i].high);
    }
    Interval all = bench_median_interval(x, 6, 0.99);
    assert_true(isinf(all.low) && isinf(all.high));
    // The normal approximation covers what the exact interval does, one rank more or less.
    Interval normal = bench_median_interval(x, 31, 0.95);
    assert_true(normal.low >= 9 && normal.low <= 11 && normal.high >= 21 && normal.high <= 23);
}

static void test_a_summary_is_one_sample(void **state)
{
    Arena *arena = *state;
    HarnessResults *a = read_text(arena, SLICE("test x ... bench: 100 ns/iter (+/- 3)\n"));
    HarnessResults *b = read_text(arena, SLICE("test x ... bench: 50 ns/iter (+/- 3)\n"
                                               "test y ... bench: 0 ns/iter (+/- 3)\n"));
    BenchColumn columns[] = {{"a", a}, {"b", b}};
    BenchTables *tables = NULL;
    assert_int_equal(bench_table_make(arena, columns, 2, NULL, &tables, NULL), 0);
    assert_int_equal(tables->items[0].count, 1);
    assert_int_equal(tables->items[0].rows[0].cells[1].n, 1);
    assert_true(tables->items[0].rows[0].cells[1].p == 1);
    assert_false(tables->items[0].rows[0].cells[1].significant);
}

static void test_limits(void **state)
{
    Arena *arena = *state;
    BenchTables *tables = NULL;
    HarnessResults empty = {0};
    BenchColumn columns[BENCH_COLUMNS_MAX + 1];
    for (size_t i = 0; i <= BENCH_COLUMNS_MAX; i++) {
        columns[i] = (BenchColumn){"x", read_text(arena, SLICE("METRIC a=1\nMETRIC b=2s\n"))};
    }
    assert_int_equal(bench_table_make(arena, columns, BENCH_COLUMNS_MAX, NULL, &tables, NULL), 0);
    assert_int_equal(tables->count, 2);
    Buf out = buf_create(1 << 16);
    bench_tables_print(tables, &out);
    assert_true(out.len > 0 && !out.overflowed);
    buf_done(&out);
    assert_int_equal(bench_table_make(arena, columns, BENCH_COLUMNS_MAX + 1, NULL, &tables, NULL),
                     ERR_ARG);
    columns[0].results = &empty;
    assert_int_equal(bench_table_make(arena, columns, 1, NULL, &tables, NULL), ERR_NOT_FOUND);
}

static void test_json(void **state)
{
    Arena *arena = *state;
    BenchColumn columns[] = {{"a", read_text(arena, SLICE("METRIC a=1s\nMETRIC a=3s\n"))},
                             {"b", read_text(arena, SLICE("METRIC a=4s\nMETRIC c=1s\n"))}};
    BenchTables *tables = NULL;
    Buf out = buf_create(1 << 16);
    JsonWriter w = json_writer(&out, 0);
    const Doc *doc = NULL;
    assert_int_equal(bench_table_make(arena, columns, 2, NULL, &tables, NULL), 0);
    bench_tables_write(tables, &w);
    assert_int_equal(doc_parse(arena, buf_slice(&out), NULL, &doc, NULL), 0);
    const Doc *rows = doc_get(doc_at(doc_get(doc, SLICE("tables")), 0), SLICE("rows"));
    assert_int_equal(doc_count(rows), 2);
    const Doc *cell = doc_at(doc_get(doc_at(rows, 0), SLICE("columns")), 1);
    assert_true(doc_number(doc_get(cell, SLICE("ratio"))) == 2);
    assert_int_equal(doc_at(doc_get(doc_at(rows, 1), SLICE("columns")), 0)->type, DOC_NULL);
    buf_done(&out);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_the_figures_are_those_of_benchstat),
        T(test_numbers),
        T(test_median_intervals),
        T(test_a_summary_is_one_sample),
        T(test_limits),
        T(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
