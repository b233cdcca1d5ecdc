// Outputs of the real programs (Google Benchmark 1.7.1, Go 1.2x, hyperfine 1.15, pytest-benchmark
// 5, tinybench, vitest, JMH 1.37, criterion 0.5, Catch2 2.13) run on small benchmarks of our own,
// kept as the fuzz target's seeds. What we compute from their samples is compared with what they
// computed themselves.
#include "bench/harness.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/harness_unit.h"
#include "os/file.h"

static int setup(void **state)
{
    *state = arena_create(64 << 20);
    return 0;
}

static int teardown(void **state)
{
    arena_destroy(*state);
    return 0;
}

// A seed without its first byte, which chooses the reader.
static Slice seed(Arena *arena, const char *name)
{
    const char *root = getenv("PW_SOURCE_ROOT");
    Buf text = buf_create(1 << 20);
    Err e = {0};
    Slice path = arena_printf(arena, "%s/fuzz/corpus/harness/%s", root ? root : ".", name);
    assert_int_equal(file_read(path.ptr, &text, &e), 0);
    Slice copy = arena_copy(arena, slice_sub(buf_slice(&text), 1, text.len));
    buf_done(&text);
    return copy;
}

static HarnessResults *read_kind(Arena *arena, Slice text, HarnessKind kind)
{
    HarnessResults *results = NULL;
    Err e = {0};
    int rc = harness_read(arena, text, &(HarnessOptions){.kind = kind}, &results, &e);
    if (rc != 0) {
        print_error("%s\n", e.text);
    }
    assert_int_equal(rc, 0);
    return results;
}

static HarnessResults *read_seed(Arena *arena, const char *name)
{
    return read_kind(arena, seed(arena, name), HARNESS_AUTO);
}

static const HarnessResult *find(const HarnessResults *results, const char *name,
                                 const char *metric)
{
    for (size_t i = 0; i < results->count; i++) {
        const HarnessResult *r = &results->items[i];
        if (slice_eq_cstr(r->name, name) && slice_eq_cstr(r->metric, metric)) {
            return r;
        }
    }
    print_error("no %s %s\n", name, metric);
    fail();
    return NULL;
}

static void assert_near(double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-9 * fabs(expected))) {
        print_error("%.17g, expected %.17g\n", value, expected);
        fail();
    }
}

static void test_google_iterations(void **state)
{
    HarnessResults *results = read_seed(*state, "google");
    assert_int_equal(results->kind, HARNESS_GOOGLE);
    const HarnessResult *r = find(results, "BM_Append/8", "time");
    assert_true(slice_eq_cstr(r->unit, "sec/op") && !r->higher_better);
    assert_near(r->mean, 2.2417535232928977e-8);
    r = find(results, "BM_Append/8", "bytes");
    assert_true(slice_eq_cstr(r->unit, "B/s") && r->higher_better);
    // Measured in microseconds.
    assert_true(find(results, "BM_Slow", "time")->mean > 1e-5);
    assert_int_equal(results->failure_count, 1);
    assert_true(slice_eq_cstr(results->failures[0].name, "BM_Error"));
    assert_true(slice_eq_cstr(results->failures[0].why, "no device"));
}

// Google Benchmark's own aggregates of the repetitions are ours.
static void test_google_repetitions(void **state)
{
    const HarnessResult *r = find(read_seed(*state, "google_rep"), "BM_Append/8", "time");
    HarnessResults *only = read_seed(*state, "google_agg");
    assert_int_equal(r->count, 5);
    assert_near(r->mean, 18.043795482782755e-9);
    assert_near(r->sd, 0.30701297129160443e-9);
    assert_near(harness_result_center(r), 18.10510405023259e-9);
    r = find(only, "BM_Append/8", "time");
    assert_int_equal(r->count, 0);
    assert_int_equal(r->n, 5);
    assert_near(r->mean, 2.2397017048475476e-8); // its median
    // Before 1.5 aggregates were told by their name only.
    HarnessResults *old = read_kind(*state, seed(*state, "google_old"), HARNESS_GOOGLE);
    for (size_t i = 0; i < old->count; i++) {
        assert_false(slice_ends_with(old->items[i].name, SLICE("_mean")));
    }
}

static void test_go(void **state)
{
    HarnessResults *results = read_seed(*state, "go");
    assert_int_equal(results->kind, HARNESS_GO);
    assert_true(slice_eq_cstr(results->goarch, "amd64"));
    const HarnessResult *r = find(results, "Join", "time");
    assert_true(slice_eq_cstr(r->package, "example.org/gob"));
    assert_int_equal(r->procs, 2);
    assert_int_equal(r->count, 3);
    assert_true(r->samples[1] == 496.2e-9); // not a digit off
    assert_near(find(results, "Join", "bytes")->mean, 208);
    assert_near(find(results, "Join", "allocs")->mean, 1);
    r = find(results, "Copy/size=10", "speed");
    assert_true(r->higher_better && slice_eq_cstr(r->unit, "B/s"));
    assert_near(r->samples[0], 462.21e6);
    assert_near(find(results, "Copy/size=10", "widgets/op")->mean, 3.5);
    // The same name in another package is another benchmark.
    size_t joins = 0;
    for (size_t i = 0; i < results->count; i++) {
        joins += slice_eq_cstr(results->items[i].name, "Join") &&
                 slice_eq_cstr(results->items[i].metric, "time");
    }
    assert_int_equal(joins, 2);
    assert_int_equal(results->failure_count, 2); // the benchmark, and its package
}

static void test_go_lines_that_are_no_results(void **state)
{
    HarnessResults *results = read_kind(*state, seed(*state, "go_odd"), HARNESS_GO);
    const HarnessResult *r = find(results, "X-08", "time"); // no number of processors
    assert_int_equal(r->procs, 0);
    r = find(results, "Z", "p99-sec");
    assert_near(r->mean, 7e-9);
    assert_near(find(results, "Z", "B")->mean, 3e6);
    for (size_t i = 0; i < results->count; i++) {
        assert_true(!slice_eq_cstr(results->items[i].name, "Y"));
        assert_true(!slice_eq_cstr(results->items[i].name, "W"));
    }
    assert_true(results->failure_count >= 3); // 0 ns/op, the benchmark, the package
}

static void test_hyperfine(void **state)
{
    HarnessResults *results = read_seed(*state, "hyperfine");
    const HarnessResult *r = find(results, "true 1", "time");
    assert_int_equal(r->count, 3);
    assert_near(r->mean, 0.0005509940000000001);
    assert_near(r->sd, 0.000021553872436293224);
    assert_near(harness_result_center(r), 0.000544482);
    assert_true(slice_eq_cstr(r->params, "n=1"));
    // Failed runs are no measurement, though hyperfine was told to ignore them.
    results = read_seed(*state, "hyperfine_fail");
    assert_int_equal(results->count, 0);
    assert_int_equal(results->failure_count, 1);
    assert_true(slice_eq_cstr(results->failures[0].why, "3 of 3 runs failed"));
}

static void test_pytest(void **state)
{
    HarnessResults *results = read_seed(*state, "pytest");
    const HarnessResult *r = find(results, "test_sum[10]", "time");
    assert_int_equal(results->kind, HARNESS_PYTEST);
    assert_true(slice_eq_cstr(r->package, "test_b.py"));
    assert_int_equal(r->count, 5);
    assert_near(r->mean, 4.796398570761084e-07);
    assert_near(r->sd, 1.832880681880254e-07);
    r = find(read_seed(*state, "pytest_nodata"), "test_sum[10]", "time");
    assert_int_equal(r->count, 0);
    assert_int_equal(r->n, 5);
    assert_near(harness_result_center(r), 4.0960003389045596e-07);
}

static void test_jmh(void **state)
{
    HarnessResults *results = read_seed(*state, "jmh");
    const HarnessResult *r = find(results, "sum", "time");
    assert_int_equal(results->kind, HARNESS_JMH);
    assert_true(slice_eq_cstr(r->package, "o.B") && slice_eq_cstr(r->params, "n=10"));
    assert_int_equal(r->count, 6); // two forks of three iterations
    assert_near(r->mean, 0.02492417119017396e-6);
    r = find(results, "sum", "throughput");
    assert_true(slice_eq_cstr(r->unit, "ops/s") && r->higher_better);
    assert_near(r->mean, 168.7131064301448e6);
    r = find(results, "sampled", "sampled");
    assert_int_equal(r->count, 0);
    assert_near(r->mean, 0.00020474842249657067e-3);
    assert_true(slice_eq_cstr(find(results, "sum", "bytes")->unit, "B/op"));
}

static void test_javascript(void **state)
{
    HarnessResults *results = read_seed(*state, "tinybench");
    const HarnessResult *r = find(results, "sum", "time");
    assert_int_equal(r->count, 5);
    assert_near(r->samples[0], 0.00044599999999661577e-3);
    assert_int_equal(results->failure_count, 1);
    assert_true(slice_eq_cstr(results->failures[0].name, "throws"));
    results = read_seed(*state, "vitest");
    r = find(results, "native", "time");
    assert_true(slice_eq_cstr(r->package, "x.bench.js > sort"));
    assert_int_equal(r->n, 2960);
    assert_near(r->mean, 0.0003010000000074342e-3); // its median
}

// criterion's own estimate of the mean is the mean of time over iterations.
static void test_criterion(void **state)
{
    HarnessResults *results = NULL;
    HarnessOptions options = {.kind = HARNESS_CRITERION, .name = SLICE("sum/loop/10")};
    assert_int_equal(harness_read(*state, seed(*state, "criterion"), &options, &results, NULL), 0);
    const HarnessResult *r = find(results, "sum/loop/10", "time");
    assert_int_equal(r->count, 10);
    assert_near(r->mean, 1.1406080610810967e-9);
    assert_near(harness_result_center(r), 1.1311245157328833e-9);
}

static void test_dotnet(void **state)
{
    HarnessResults *results = read_seed(*state, "dotnet");
    const HarnessResult *r = find(results, "Sum", "time");
    assert_true(slice_eq_cstr(r->package, "O.B") && slice_eq_cstr(r->params, "N=10"));
    assert_near(r->samples[1], 11e-9);
    assert_near(find(results, "Sum", "bytes")->mean, 24);
    assert_int_equal(results->failure_count, 1);
}

static void test_small_formats(void **state)
{
    HarnessResults *results = read_seed(*state, "custom");
    assert_near(find(results, "a", "value")->mean, 0.0125);
    assert_near(find(results, "b", "value")->mean, 3000);
    assert_true(find(results, "b", "value")->higher_better);
    assert_false(find(results, "c", "value")->higher_better);
    results = read_seed(*state, "metric");
    assert_int_equal(find(results, "total", "value")->count, 2);
    assert_near(find(results, "total", "value")->samples[1], 0.013);
    assert_true(slice_eq_cstr(find(results, "rate", "value")->unit, "req/s"));
    assert_int_equal(results->failure_count, 2);
    results = read_seed(*state, "bencher");
    assert_near(find(results, "add", "time")->mean, 1234e-9);
    assert_near(find(results, "mul", "time")->mean, 1.25e-6);
    results = read_seed(*state, "catch2");
    const HarnessResult *r = find(results, "fib 10", "time");
    assert_near(r->mean, 251.027e-9);
    assert_near(r->sd, 29.7247e-9);
    assert_int_equal(r->n, 10);
    r = find(results, "a benchmark with quite a long name that wraps over lines", "time");
    assert_near(r->mean, 634.661e-9);
}

static void test_units(void **state)
{
    static const struct {
        const char *given, *name;
        double factor;
        bool higher, known;
    } cases[] = {
        {"ns", "sec/op", 1e-9, false, true},
        {"us/op", "sec/op", 1e-6, false, true},
        {"\xc2\xb5s", "sec/op", 1e-6, false, true},
        {"\xce\xbcs/iter", "sec/op", 1e-6, false, true},
        {" ms ", "sec/op", 1e-3, false, true},
        {"s/op", "sec/op", 1, false, true},
        {"ops/s", "ops/s", 1, true, true},
        {"ops/ms", "ops/s", 1e3, true, true},
        {"ops/ns", "ops/s", 1e9, true, true},
        {"op/sec", "ops/s", 1, true, true},
        {"MB/s", "B/s", 1e6, true, true},
        {"KiB/s", "B/s", 1024, true, true},
        {"bytes", "B", 1, false, true},
        {"MiB", "B", 1048576, false, true},
        {"B/op", "B/op", 1, false, true},
        {"allocs/op", "allocs/op", 1, false, true},
        {"frames/s", "frames/s", 1, true, true},
        {"widgets", "widgets", 1, false, false},
        {"a/b", "a/b", 1, false, false},
        {"", "", 1, false, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        HarnessUnit u = harness_unit(*state, slice_from_cstr(cases[i].given));
        assert_true(slice_eq_cstr(u.name, cases[i].name));
        assert_true(u.factor == cases[i].factor);
        assert_int_equal(u.higher_better, cases[i].higher);
        assert_int_equal(u.known, cases[i].known);
    }
    // As golang.org/x/perf's benchunit.Tidy does.
    static const char *const tidy[][2] = {
        {"ns/op", "sec/op"}, {"MB/s", "B/s"},
        {"ns/GC", "sec/GC"}, {"p99-ns/GC", "p99-sec/GC"},
        {"B/op", "B/op"},    {"x/ns", "x/ns"},
        {"nss", "nss"},      {"MB", "B"},
        {"ns2", "ns2"},      {"x/y*ns", "x/y*sec"},
    };
    for (size_t i = 0; i < COUNT_OF(tidy); i++) {
        HarnessUnit u = harness_unit_go(*state, slice_from_cstr(tidy[i][0]));
        assert_true(slice_eq_cstr(u.name, tidy[i][1]));
    }
}

static void test_kinds_are_told_apart(void **state)
{
    static const struct {
        const char *name;
        HarnessKind kind;
    } cases[] = {
        {"google", HARNESS_GOOGLE},       {"go", HARNESS_GO},
        {"pytest", HARNESS_PYTEST},       {"jmh", HARNESS_JMH},
        {"dotnet", HARNESS_DOTNET},       {"vitest", HARNESS_VITEST},
        {"tinybench", HARNESS_VITEST},    {"hyperfine", HARNESS_HYPERFINE},
        {"custom", HARNESS_CUSTOM},       {"metric", HARNESS_METRIC},
        {"bencher", HARNESS_BENCHER},     {"catch2", HARNESS_CATCH2},
        {"criterion", HARNESS_CRITERION}, {"auto_none", HARNESS_AUTO},
        {"auto_json", HARNESS_AUTO},      {"empty", HARNESS_AUTO},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(harness_sniff(seed(*state, cases[i].name)), cases[i].kind);
    }
    assert_int_equal(harness_kind_parse(SLICE("google-benchmark")), HARNESS_GOOGLE);
    assert_int_equal(harness_kind_parse(SLICE("pytest")), HARNESS_PYTEST);
    assert_int_equal(harness_kind_parse(SLICE("pytest-benchmark")), HARNESS_PYTEST);
    assert_int_equal(harness_kind_parse(SLICE("command")), HARNESS_AUTO);
}

static void test_what_cannot_be_read(void **state)
{
    static const struct {
        HarnessKind kind;
        const char *text;
        int rc;
    } cases[] = {
        {HARNESS_GOOGLE, "{\"benchmarks\":[1]}", ERR_PARSE},
        {HARNESS_GOOGLE, "{\"benchmarks\":[]}", ERR_NOT_FOUND},
        {HARNESS_GOOGLE, "{", ERR_PARSE},
        {HARNESS_GO, "PASS\nok\n", ERR_NOT_FOUND},
        {HARNESS_CRITERION, "{\"iters\":[1,2],\"times\":[5]}", ERR_PARSE},
        {HARNESS_CUSTOM, "[{\"name\":\"a\",\"unit\":\"\",\"value\":\"1\"}]", ERR_PARSE},
        {HARNESS_AUTO, "hello", ERR_PARSE},
        {HARNESS_AUTO, "{\"a\":1}", ERR_PARSE},
        {HARNESS_AUTO, "", ERR_PARSE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        HarnessResults *results = NULL;
        Err e = {0};
        HarnessOptions options = {.kind = cases[i].kind, .source = "f"};
        assert_int_equal(
            harness_read(*state, slice_from_cstr(cases[i].text), &options, &results, &e),
            cases[i].rc);
        assert_true(e.text[0] == 'f');
    }
}

// Two names that differ behind the ceiling are one; controls become blanks.
static void test_names_have_a_ceiling(void **state)
{
    HarnessResults *results = read_seed(*state, "long_name");
    assert_int_equal(results->count, 1);
    assert_int_equal(results->items[0].name.len, HARNESS_TEXT_MAX);
    assert_int_equal(results->items[0].count, 2);
    results = read_seed(*state, "control");
    assert_true(slice_eq_cstr(results->items[0].name, "a  b"));
}

static void test_results_have_a_ceiling(void **state)
{
    HarnessResults *results = NULL;
    Buf text = buf_create(1 << 20);
    for (int i = 0; i <= HARNESS_RESULTS_MAX; i++) {
        if (i == HARNESS_RESULTS_MAX) {
            assert_int_equal(read_kind(*state, buf_slice(&text), HARNESS_METRIC)->count,
                             HARNESS_RESULTS_MAX);
        }
        buf_printf(&text, "METRIC m%d=1\n", i);
    }
    HarnessOptions options = {.kind = HARNESS_METRIC};
    assert_int_equal(harness_read(*state, buf_slice(&text), &options, &results, NULL), ERR_LIMIT);
    buf_reset(&text);
    for (int i = 0; i <= HARNESS_FAILURES_MAX; i++) {
        buf_puts(&text, "METRIC m=no\n");
    }
    results = read_kind(*state, buf_slice(&text), HARNESS_METRIC);
    assert_int_equal(results->failure_count, HARNESS_FAILURES_MAX);
    buf_done(&text);
}

static void test_samples_have_a_ceiling(void **state)
{
    (void)state;
    Arena *arena = arena_create(64 << 20);
    Buf text = buf_create(32 << 20);
    HarnessResults *results = NULL;
    HarnessOptions options = {.kind = HARNESS_METRIC};
    for (int i = 0; i < HARNESS_SAMPLES_MAX; i++) {
        buf_puts(&text, "METRIC m=1\n");
    }
    assert_int_equal(harness_read(arena, buf_slice(&text), &options, &results, NULL), 0);
    assert_int_equal(results->items[0].count, HARNESS_SAMPLES_MAX);
    buf_puts(&text, "METRIC m=1\n");
    assert_int_equal(harness_read(arena, buf_slice(&text), &options, &results, NULL), ERR_LIMIT);
    buf_done(&text);
    arena_destroy(arena);
}

static void test_invocations_become_samples(void **state)
{
    const HarnessResults *lists[3] = {
        read_kind(*state, SLICE("METRIC a=3\nMETRIC a=1\nMETRIC a=2\n"), HARNESS_METRIC),
        read_kind(*state, SLICE("METRIC a=5\nMETRIC b=x\n"), HARNESS_METRIC),
        read_kind(*state, SLICE("METRIC c=7ms\n"), HARNESS_METRIC),
    };
    HarnessResults *merged = NULL;
    assert_int_equal(harness_results_merge(*state, lists, 3, &merged, NULL), 0);
    assert_int_equal(merged->count, 2);
    assert_int_equal(merged->items[0].count, 2);
    assert_true(merged->items[0].samples[0] == 2 && merged->items[0].samples[1] == 5);
    assert_near(merged->items[1].samples[0], 0.007);
    assert_int_equal(merged->failure_count, 1);
}

static void put(Arena *arena, const char *dir, const char *name, Slice text)
{
    Slice folder = arena_printf(arena, "%s/%s", dir, name);
    Err e = {0};
    size_t slash = folder.len;
    while (folder.ptr[slash - 1] != '/') {
        slash--;
    }
    assert_int_equal(dir_make_all(arena_cstr(arena, slice_sub(folder, 0, slash)), &e), 0);
    assert_int_equal(file_write(folder.ptr, text, NULL, &e), 0);
}

static void test_a_directory_of_criterion(void **state)
{
    Arena *arena = *state;
    char dir[] = "/tmp/harness-test-XXXXXX";
    HarnessResults *results = NULL;
    assert_non_null(mkdtemp(dir));
    Slice sample = SLICE("{\"iters\":[1,2],\"times\":[5,8]}");
    put(arena, dir, "target/criterion/sum/loop/10/new/sample.json", sample);
    put(arena, dir, "target/criterion/sum/loop/10/base/sample.json", SLICE("old"));
    put(arena, dir, "target/criterion/odd_name/new/sample.json", sample);
    put(arena, dir, "target/criterion/odd_name/new/benchmark.json",
        SLICE("{\"full_id\":\"odd/name\"}"));
    assert_int_equal(harness_load(arena, dir, NULL, &results, NULL), 0);
    assert_int_equal(results->count, 2);
    assert_near(find(results, "odd/name", "time")->samples[1], 4e-9);
    assert_near(find(results, "sum/loop/10", "time")->samples[0], 5e-9);
    assert_int_equal(dir_remove_all(dir, NULL), 0);
    assert_int_equal(harness_load(arena, dir, NULL, &results, NULL), ERR_NOT_FOUND);
}

static void test_labels(void **state)
{
    (void)state;
    Buf out = buf_create(1000);
    HarnessResult r = {
        .name = SLICE("A/n=1"), .procs = 8, .metric = SLICE("time"), .unit = SLICE("sec/op")};
    harness_result_label(&r, &out);
    assert_true(slice_eq_cstr(buf_slice(&out), "A/n=1-8"));
    r = (HarnessResult){.name = SLICE("A"),
                        .params = SLICE("n=1"),
                        .metric = SLICE("cpu"),
                        .unit = SLICE("sec/op")};
    buf_reset(&out);
    harness_result_label(&r, &out);
    assert_true(slice_eq_cstr(buf_slice(&out), "A [n=1] (cpu)"));
    buf_done(&out);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_google_iterations),
        T(test_google_repetitions),
        T(test_go),
        T(test_go_lines_that_are_no_results),
        T(test_hyperfine),
        T(test_pytest),
        T(test_jmh),
        T(test_javascript),
        T(test_criterion),
        T(test_dotnet),
        T(test_small_formats),
        T(test_units),
        T(test_kinds_are_told_apart),
        T(test_what_cannot_be_read),
        T(test_names_have_a_ceiling),
        T(test_results_have_a_ceiling),
        T(test_samples_have_a_ceiling),
        T(test_invocations_become_samples),
        T(test_a_directory_of_criterion),
        T(test_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
