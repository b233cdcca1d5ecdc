#include "bench/harness_run.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/harness_store.h"

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

static void test_commands(void **state)
{
    static const struct {
        HarnessKind kind;
        const char *command, *filter, *shell;
        bool file;
    } cases[] = {
        {HARNESS_GOOGLE, "./b", "", "./b --benchmark_out='/t/0' --benchmark_out_format=json", true},
        {HARNESS_GOOGLE, "./b", "A|B",
         "./b --benchmark_out='/t/0' --benchmark_out_format=json --benchmark_filter='A|B'", true},
        {HARNESS_GO, "go test ./...", "", "go test ./... -run '^$' -count 1 -bench .", false},
        {HARNESS_GO, "go test -bench=X -run=NONE .", "", "go test -bench=X -run=NONE . -count 1",
         false},
        {HARNESS_GO, "go test .", "it's", "go test . -run '^$' -count 1 -bench 'it'\\''s'", false},
        {HARNESS_GO, "./zip.test", "", "./zip.test -test.run '^$' -test.count 1 -test.bench .",
         false},
        {HARNESS_CRITERION, "cargo bench", "sum", "CRITERION_HOME='/t/0' cargo bench 'sum'", true},
        {HARNESS_PYTEST, "pytest", "a", "pytest --benchmark-json='/t/0' -k 'a'", true},
        {HARNESS_JMH, "java -jar b.jar", "", "java -jar b.jar -rf json -rff '/t/0'", true},
        {HARNESS_VITEST, "npx vitest bench", "", "npx vitest bench --run --outputJson='/t/0'",
         true},
        {HARNESS_HYPERFINE, "hyperfine true", "", "hyperfine true --export-json '/t/0'", true},
        {HARNESS_METRIC, "./m", "", "./m", false},
        {HARNESS_AUTO, "./m", "", "./m", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        HarnessCommand made;
        assert_int_equal(harness_command(*state, cases[i].kind, slice_from_cstr(cases[i].command),
                                         slice_from_cstr(cases[i].filter), SLICE("/t/0"), &made,
                                         NULL),
                         0);
        assert_string_equal(made.shell.ptr, cases[i].shell);
        assert_int_equal(made.output.len > 0, cases[i].file);
    }
    HarnessCommand made;
    assert_int_equal(
        harness_command(*state, HARNESS_METRIC, SLICE("x"), SLICE("f"), SLICE("/t"), &made, NULL),
        ERR_UNSUPPORTED);
    assert_int_equal(
        harness_command(*state, HARNESS_METRIC, SLICE(""), SLICE(""), SLICE("/t"), &made, NULL),
        ERR_ARG);
    char *longest = mem_zalloc(HARNESS_COMMAND_MAX + 2);
    memset(longest, 'x', HARNESS_COMMAND_MAX + 1);
    Slice command = {longest, HARNESS_COMMAND_MAX};
    assert_int_equal(
        harness_command(*state, HARNESS_METRIC, command, SLICE(""), SLICE("/t"), &made, NULL), 0);
    command.len++;
    assert_int_equal(
        harness_command(*state, HARNESS_METRIC, command, SLICE(""), SLICE("/t"), &made, NULL),
        ERR_ARG);
    free(longest);
}

// A program whose benchmark takes as many seconds as it was called before, 10 more on side 1.
typedef struct Fake {
    size_t calls[2];
    char order[64];
    size_t count;
    bool silent;
} Fake;

static int run_fake(void *ctx, size_t side, const HarnessCommand *command, Buf *out, Err *e)
{
    (void)e;
    Fake *fake = ctx;
    assert_string_equal(command->shell.ptr, side == 0 ? "old" : "new");
    fake->order[fake->count++] = (char)('0' + side);
    if (fake->silent) {
        buf_puts(out, "no\x1b[2Jthing");
    } else {
        buf_printf(out, "METRIC t=%zu s\n", ++fake->calls[side] + 10 * side);
    }
    return 0;
}

static void test_the_outer_loop(void **state)
{
    Fake fake = {0};
    HarnessResults *sides[2] = {0};
    HarnessRunOptions o = {.kind = HARNESS_METRIC,
                           .commands = {SLICE("old"), SLICE("new")},
                           .sides = 2,
                           .rounds = 12,
                           .warmup = true,
                           .scratch = SLICE("/t"),
                           .seed = 3,
                           .run_fn = run_fake,
                           .ctx = &fake};
    Err e = {0};
    assert_int_equal(harness_run(&o, *state, sides, &e), 0);
    assert_int_equal(fake.count, 26);
    assert_int_equal(sides[0]->items[0].count, 12);
    assert_true(sides[0]->items[0].samples[0] == 2); // the first was the warm-up
    assert_true(sides[1]->items[0].samples[11] == 23);
    // Every round has both sides, and they are not always in one order.
    size_t swapped = 0;
    for (size_t i = 0; i < 26; i += 2) {
        assert_true(fake.order[i] != fake.order[i + 1]);
        swapped += fake.order[i] == '1';
    }
    assert_true(swapped > 0 && swapped < 13);
    o.rounds = 0;
    assert_int_equal(harness_run(&o, *state, sides, &e), ERR_ARG);
    o.rounds = HARNESS_ROUNDS_MAX + 1;
    assert_int_equal(harness_run(&o, *state, sides, &e), ERR_ARG);
}

static void test_a_program_that_says_nothing(void **state)
{
    Fake fake = {.silent = true};
    HarnessResults *sides[2] = {0};
    HarnessRunOptions o = {.kind = HARNESS_METRIC,
                           .commands = {SLICE("old")},
                           .sides = 1,
                           .rounds = 2,
                           .scratch = SLICE("/t"),
                           .run_fn = run_fake,
                           .ctx = &fake};
    Err e = {0};
    assert_int_equal(harness_run(&o, *state, sides, &e), ERR_NOT_FOUND);
    assert_non_null(strstr(e.text, "its output ends: no\\x1b[2Jthing"));
}

static void test_results_go_through_the_ledger(void **state)
{
    Arena *arena = *state;
    char path[] = "/tmp/harness-store-XXXXXX", id[RUN_ID_LEN + 1];
    Ledger *ledger = NULL;
    HarnessResults *results = NULL, *back = NULL;
    RunData *run = NULL;
    Err e = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    unlink(path);
    Slice text = SLICE("goos: linux\npkg: a/b\nBenchmarkX-8 10 5 ns/op 3 B/op\n"
                       "BenchmarkX-8 10 7 ns/op 3 B/op\n--- FAIL: BenchmarkY\n");
    assert_int_equal(harness_read(arena, text, NULL, &results, &e), 0);
    assert_int_equal(ledger_open(&(LedgerOptions){.path = path}, &ledger, &e), 0);
    HarnessStore about = {
        .name = SLICE("go.txt"), .source = SLICE("go.txt"), .started_unix_ns = 1000000000};
    assert_int_equal(harness_store(ledger, results, &about, id, &e), 0);
    assert_int_equal(run_load(ledger, slice_from_cstr(id), arena, &run, &e), 0);
    assert_int_equal(run->series_count, 2);
    assert_true(run->series[0].total.last == 6e-9);
    run_data_done(run);
    assert_int_equal(harness_recall(ledger, slice_from_cstr(id), arena, &back, &e), 0);
    assert_int_equal(back->count, 2);
    assert_int_equal(back->failure_count, 1);
    assert_true(harness_result_same(&back->items[0], &results->items[0]));
    assert_true(back->items[0].samples[1] == results->items[0].samples[1]);
    assert_true(slice_eq_cstr(back->goos, "linux"));
    ledger_close(ledger);
    unlink(path);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_commands),
        T(test_the_outer_loop),
        T(test_a_program_that_says_nothing),
        T(test_results_go_through_the_ledger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
