#include "bench/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/clock.h"
#include "os/file.h"
#include "os/sandbox.h"

static BenchResult result;

static void sample(BenchCommand *c)
{
    Err e = {0};
    if (bench_command_run(c, &result, &e) != 0) {
        fail_msg("%s", e.text);
    }
}

// FIPS 180-4's example "abc", and the empty message.
static void output_is_hashed(void **state)
{
    (void)state;
    static const struct {
        const char *shell, *sha256;
        int64_t bytes;
    } CASES[] = {
        {"printf abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 3},
        {"exit 0", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 0},
        {"printf a; printf x >&2; printf bc",
         "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 3},
    };
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        sample(&(BenchCommand){.shell = CASES[i].shell, .output = BENCH_OUTPUT_HASH});
        assert_string_equal(result.output_sha256, CASES[i].sha256);
        assert_int_equal(result.output_bytes, CASES[i].bytes);
        assert_true(bench_result_good(&result));
        assert_int_equal(result.output.len, 0);
    }
}

static void output_is_captured(void **state)
{
    (void)state;
    sample(&(BenchCommand){.shell = "echo one; echo two >&2; echo 12345678 >&2",
                           .output = BENCH_OUTPUT_CAPTURE,
                           .error_tail_bytes = 9});
    assert_true(slice_eq_cstr(buf_slice(&result.output), "one\n"));
    assert_true(slice_eq_cstr(buf_slice(&result.error), "12345678\n"));
    sample(&(BenchCommand){.shell = "printf one; printf two >&2",
                           .output = BENCH_OUTPUT_CAPTURE,
                           .merge_error = true});
    assert_true(slice_eq_cstr(buf_slice(&result.output), "onetwo"));
    assert_int_equal(result.error.len, 0);
}

static void files_in_and_out(void **state)
{
    (void)state;
    char dir[] = "/tmp/bench-command-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char in[64], out[64];
    (void)snprintf(in, sizeof in, "%s/in", dir);
    (void)snprintf(out, sizeof out, "%s/out", dir);
    Err e;
    assert_int_equal(file_write(in, SLICE("some text"), NULL, &e), 0);
    const char *const argv[] = {"cat", NULL};
    sample(&(BenchCommand){.argv = argv,
                           .input_path = in,
                           .output = BENCH_OUTPUT_FILE,
                           .output_path = out,
                           .directory = "/"});
    Buf text = buf_create(100);
    assert_int_equal(file_read(out, &text, &e), 0);
    assert_true(slice_eq_cstr(buf_slice(&text), "some text"));
    buf_done(&text);
    assert_int_equal(
        bench_command_run(&(BenchCommand){.argv = argv, .input_path = "/no/such"}, &result, &e),
        ERR_NOT_FOUND);
    assert_int_equal(dir_remove_all(dir, &e), 0);
}

static void failures_are_described(void **state)
{
    (void)state;
    static const struct {
        const char *shell, *words;
    } CASES[] = {
        {"exit 3", "exit code 3"},
        {"kill -11 $$", "killed by signal 11"},
        {"sleep 100", "no end within"},
        {"yes", "more output"},
    };
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        sample(&(BenchCommand){.shell = CASES[i].shell,
                               .output = BENCH_OUTPUT_HASH,
                               .output_bytes_max = 1000,
                               .timeout_ns = i == 2 ? 30 * NS_PER_MS : 0});
        assert_false(bench_result_good(&result));
        Buf words = buf_create(200);
        bench_result_describe(&result, &words);
        assert_non_null(strstr(words.data, CASES[i].words));
        buf_done(&words);
    }
}

static void arguments_are_checked(void **state)
{
    (void)state;
    Err e;
    const char *const none[] = {NULL};
    assert_int_equal(bench_command_run(&(BenchCommand){.argv = none}, &result, &e), ERR_ARG);
    assert_int_equal(bench_command_run(&(BenchCommand){0}, &result, &e), ERR_ARG);
    BenchCommand c = {.shell = "exit 0", .output = BENCH_OUTPUT_FILE};
    assert_int_equal(bench_command_run(&c, &result, &e), ERR_ARG);
    c = (BenchCommand){.shell = "exit 0", .error_tail_bytes = BENCH_ERROR_BYTES_MAX + 1};
    assert_int_equal(bench_command_run(&c, &result, &e), ERR_ARG);
    c.error_tail_bytes = BENCH_ERROR_BYTES_MAX;
    assert_int_equal(bench_command_run(&c, &result, &e), 0);
}

// Samples in a sandbox that stays open: its files, its numbers of processes, no network, and what
// is left behind is told by the sandbox.
static void samples_in_a_sandbox(void **state)
{
    (void)state;
    Err e = {0};
    if (sandbox_check(&e) != 0) {
        print_message("no sandbox here: %s\n", e.text);
        skip();
    }
    Sandbox *sandbox = NULL;
    assert_int_equal(sandbox_open(&(SandboxOptions){.directory = "/tmp"}, &sandbox, &e), 0);
    BenchCommand c = {.env = sandbox_environment(sandbox),
                      .enter_fn = sandbox_enter,
                      .enter_ctx = sandbox,
                      .output = BENCH_OUTPUT_CAPTURE,
                      .error_tail_bytes = 1000};
    for (int i = 0; i < 3; i++) {
        c.shell = "pwd; id -u; test ! -e left && touch left && printf x";
        sample(&c);
        assert_true(slice_eq_cstr(buf_slice(&result.output), "/tmp\n1000\nx"));
        assert_true(bench_result_good(&result));
        assert_true(result.sample.wall_ns > 0 && result.sample.user_ns >= 0);
        assert_int_equal(sandbox_survivors(sandbox), 0);
        assert_int_equal(sandbox_reset(sandbox, &e), 0);
    }
    // Only once it has a session of its own: before, it is of the group that ends with the command.
    c.shell = "setsid sh -c 'touch up; sleep 100' & until test -e up; do :; done; exit 0";
    sample(&c);
    assert_int_equal(result.sample.exit_code, 0);
    assert_in_range(sandbox_survivors(sandbox), 1, 3);
    assert_int_equal(sandbox_reset(sandbox, &e), 0);
    c.shell = "sleep 100; exit 0";
    c.timeout_ns = 100 * NS_PER_MS;
    sample(&c);
    assert_true(result.sample.timed_out);
    assert_int_equal(sandbox_reset(sandbox, &e), 0);
    assert_int_equal(sandbox_survivors(sandbox), 0);
    sandbox_close(sandbox);
}

static int done(void **state)
{
    (void)state;
    bench_result_done(&result);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_is_hashed),      cmocka_unit_test(output_is_captured),
        cmocka_unit_test(files_in_and_out),      cmocka_unit_test(failures_are_described),
        cmocka_unit_test(arguments_are_checked), cmocka_unit_test(samples_in_a_sandbox),
    };
    return cmocka_run_group_tests(tests, NULL, done);
}
