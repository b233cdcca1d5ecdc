#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "os/fiber.h"
#include "os/process.h"
#include "os/signal.h"

typedef struct World {
    Loop *loop;
    FiberPool *pool;
    ProcessOptions options;
    ProcessResult result;
    int rc;
    Err e;
    int signals[4];
    int signal_count;
} World;

static int setup(void **state)
{
    World *w = mem_zalloc(sizeof *w);
    w->result = process_result_create(1000);
    *state = w;
    int rc = loop_create(&(LoopOptions){0}, &w->loop, NULL);
    w->pool = fiber_pool_create(w->loop, &(FiberOptions){0});
    return rc;
}

static int teardown(void **state)
{
    World *w = *state;
    process_result_done(&w->result);
    fiber_pool_destroy(w->pool);
    loop_destroy(w->loop);
    free(w);
    return 0;
}

static void runner(void *arg)
{
    World *w = arg;
    w->options.loop = w->loop;
    buf_reset(&w->result.out);
    buf_reset(&w->result.err);
    w->rc = process_run(&w->options, &w->result, &w->e);
}

static void run(World *w)
{
    assert_non_null(fiber_spawn(w->pool, "runner", runner, w));
    while (fiber_pool_stats(w->pool).alive > 0) {
        (void)loop_tick(w->loop, NEVER_NS);
    }
}

#define SH(script)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        "sh", "-c", script, NULL                                                                   \
    }

static void test_output_and_exit_code(void **state)
{
    World *w = *state;
    w->options.argv = SH("echo out; echo err >&2; exit 7");
    run(w);
    assert_int_equal(w->rc, 0);
    assert_int_equal(w->result.end.exit_code, 7);
    assert_int_equal(w->result.end.signal, 0);
    assert_string_equal(w->result.out.data, "out\n");
    assert_string_equal(w->result.err.data, "err\n");
    assert_true(w->result.end.wall_ns > 0);
    assert_true(w->result.end.rss_max_bytes > 0);
}

static void test_merged_output_and_directory(void **state)
{
    World *w = *state;
    w->options.argv = SH("pwd >&2; pwd");
    w->options.directory = "/";
    w->options.merge_err = true;
    run(w);
    assert_string_equal(w->result.out.data, "/\n/\n");
    assert_int_equal(w->result.err.len, 0);
}

static void test_input(void **state)
{
    World *w = *state;
    enum { INPUT = 300000 }; // more than a pipe holds
    char *input = mem_zalloc(INPUT);
    memset(input, 'x', INPUT);
    w->options.argv = (const char *const[]){"wc", "-c", NULL};
    w->options.input = (Slice){input, INPUT};
    run(w);
    assert_int_equal(w->rc, 0);
    assert_non_null(strstr(w->result.out.data, "300000"));
    // A child that does not read its input is no error.
    w->options.argv = (const char *const[]){"true", NULL};
    run(w);
    assert_int_equal(w->rc, 0);
    assert_int_equal(w->result.end.exit_code, 0);
    free(input);
}

static void test_environment_and_descriptors(void **state)
{
    World *w = *state;
    w->options.argv = SH("echo $A; ls /proc/self/fd | wc -l");
    w->options.envp = (const char *const[]){"A=b", "PATH=/usr/bin:/bin", NULL};
    run(w);
    assert_string_equal(w->result.out.data, "b\n4\n"); // 0, 1, 2 and the listed directory
}

static void test_output_ceiling(void **state)
{
    World *w = *state;
    w->options.argv = SH("head -c 5000 /dev/zero");
    run(w);
    assert_int_equal(w->rc, 0);
    assert_int_equal(w->result.end.exit_code, 0);
    assert_int_equal(w->result.out.len, 1000);
    assert_true(w->result.out.overflowed);
}

static void test_cannot_start(void **state)
{
    World *w = *state;
    static const struct {
        const char *program;
        int rc;
    } cases[] = {{"no-such-program-here", ERR_NOT_FOUND}, {"/etc/passwd", ERR_IO}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        w->options.argv = (const char *const[]){cases[i].program, NULL};
        run(w);
        if (w->rc == 0) {
            // Under valgrind the child's memory is a copy, so the reason cannot come back: 127.
            assert_int_equal(w->result.end.exit_code, 127);
            continue;
        }
        assert_int_equal(w->rc, cases[i].rc);
        assert_non_null(strstr(w->e.text, cases[i].program));
    }
}

static void test_signal(void **state)
{
    World *w = *state;
    w->options.argv = SH("kill -SEGV $$");
    run(w);
    assert_int_equal(w->rc, 0);
    assert_int_equal(w->result.end.exit_code, -1);
    assert_int_equal(w->result.end.signal, SIGSEGV);
}

// The deadline takes the whole group: a grandchild would hold the output open for a minute.
static void test_timeout_kills_the_group(void **state)
{
    World *w = *state;
    w->options.argv = SH("trap '' TERM; sleep 60 & sleep 60");
    w->options.timeout_ns = 50 * NS_PER_MS;
    w->options.grace_ns = 20 * NS_PER_MS;
    run(w);
    assert_int_equal(w->rc, ERR_TIMEOUT);
    assert_true(w->result.end.timed_out);
    assert_int_equal(w->result.end.signal, SIGKILL);
}

static void test_children_left_behind_are_killed(void **state)
{
    World *w = *state;
    w->options.argv = SH("sleep 60 & exit 3");
    run(w);
    assert_int_equal(w->rc, 0);
    assert_int_equal(w->result.end.exit_code, 3);
}

static void test_output_held_outside_the_group(void **state)
{
    World *w = *state;
    w->options.argv = SH("setsid sleep 3 & exit 4");
    w->options.grace_ns = 20 * NS_PER_MS;
    run(w);
    assert_int_equal(w->rc, 0);
    assert_int_equal(w->result.end.exit_code, 4);
    assert_false(w->result.end.timed_out);
}

static void test_cancelled_fiber_kills_its_process(void **state)
{
    World *w = *state;
    w->options.argv = SH("sleep 60");
    Fiber *f = fiber_spawn(w->pool, "runner", runner, w);
    (void)loop_tick(w->loop, 0);
    fiber_cancel(f);
    while (fiber_pool_stats(w->pool).alive > 0) {
        (void)loop_tick(w->loop, NEVER_NS);
    }
    assert_int_equal(w->rc, ERR_CANCELLED);
    assert_int_equal(w->result.end.signal, SIGKILL);
}

static void test_no_descriptors_left(void **state)
{
    World *w = *state;
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    w->options.argv = (const char *const[]){"true", NULL};
    // From "no pipe at all" to "everything fits": each shortage is an error without a leak.
    int failures = 0;
    for (rlim_t limit = 3; limit < 24; limit++) {
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){limit, old.rlim_max}), 0);
        run(w);
        failures += w->rc != 0;
        assert_true(w->rc == 0 || w->rc == ERR_LIMIT || w->rc == ERR_IO);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_true(failures > 0);
    run(w);
    assert_int_equal(w->rc, 0);
}

// ---- signals

static void on_signal(void *ctx, int number)
{
    World *w = ctx;
    w->signals[w->signal_count++] = number;
}

static void test_signals_come_to_the_loop(void **state)
{
    World *w = *state;
    Signals *signals;
    assert_int_equal(signals_watch(w->loop, on_signal, w, &signals, NULL), 0);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(kill(getpid(), SIGINT), 0);
    while (w->signal_count < 2) {
        (void)loop_tick(w->loop, NEVER_NS);
    }
    assert_int_equal(w->signals[0] + w->signals[1], SIGTERM + SIGINT);
    signals_close(signals);
    // A child gets its signals back.
    w->options.argv = SH("kill -TERM $$; exit 5");
    run(w);
    assert_int_equal(w->result.end.signal, SIGTERM);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

// ---- children that are talked to

typedef struct Talk {
    Buf out;
    bool ended;
    ProcessEnd end;
} Talk;

static void talk_output(void *ctx, ProcessStream stream, Slice bytes)
{
    Talk *talk = ctx;
    assert_int_equal(stream, PROCESS_OUT);
    buf_append(&talk->out, bytes);
}

static void talk_end(void *ctx, const ProcessEnd *end)
{
    Talk *talk = ctx;
    talk->ended = true;
    talk->end = *end;
}

static Process *start_talking(World *w, Talk *talk, const char *const *argv, size_t bytes_max)
{
    *talk = (Talk){.out = buf_create(1 << 20)};
    ProcessOptions o = {.loop = w->loop,
                        .argv = argv,
                        .talk_bytes_max = bytes_max,
                        .output_fn = talk_output,
                        .end_fn = talk_end,
                        .ctx = talk};
    Process *process = NULL;
    assert_int_equal(process_start(&o, &process, &w->e), 0);
    return process;
}

static void test_talk_is_echoed_line_by_line(void **state)
{
    World *w = *state;
    Talk talk;
    Process *p = start_talking(w, &talk, (const char *const[]){"cat", NULL}, 100);
    assert_int_equal(process_write(p, SLICE("one\n"), &w->e), 0);
    while (talk.out.len < 4) {
        (void)loop_tick(w->loop, NEVER_NS);
    }
    assert_int_equal(process_write(p, SLICE("two\n"), &w->e), 0);
    process_close_input(p);
    process_close_input(p);
    assert_int_equal(process_write(p, SLICE("late"), &w->e), ERR_CLOSED);
    while (!talk.ended) {
        (void)loop_tick(w->loop, NEVER_NS);
    }
    assert_int_equal(talk.end.exit_code, 0);
    assert_string_equal(talk.out.data, "one\ntwo\n");
    buf_done(&talk.out);
}

// The kernel's pipe takes 64 KiB; what is beyond waits in the queue, to its last byte.
static void test_talk_queue_is_bounded(void **state)
{
    World *w = *state;
    enum { QUEUE = 1 << 20 };
    Talk talk;
    Process *p = start_talking(w, &talk, SH("sleep 60"), QUEUE);
    Buf bytes = buf_create(QUEUE);
    (void)memset(buf_reserve(&bytes, QUEUE), 'x', QUEUE);
    buf_commit(&bytes, QUEUE);
    assert_int_equal(process_write(p, buf_slice(&bytes), &w->e), 0);
    assert_int_equal(process_write(p, buf_slice(&bytes), &w->e), ERR_FULL);
    assert_non_null(strstr(w->e.text, "does not read its input"));
    process_abandon(p);
    process_abandon(NULL);
    assert_false(talk.ended);
    buf_done(&bytes);
    buf_done(&talk.out);
}

static void test_talk_to_one_that_left(void **state)
{
    World *w = *state;
    Talk talk;
    Process *p = start_talking(w, &talk, SH("exec <&-; echo closed; sleep 60"), 1 << 20);
    while (talk.out.len == 0) {
        (void)loop_tick(w->loop, NEVER_NS);
    }
    int rc = 0;
    while (rc == 0) { // the news of the closed pipe may come a write later
        rc = process_write(p, SLICE("hello"), &w->e);
    }
    assert_int_equal(rc, ERR_CLOSED);
    process_kill(p, SIGKILL);
    while (!talk.ended) {
        (void)loop_tick(w->loop, NEVER_NS);
    }
    assert_int_equal(talk.end.signal, SIGKILL);
    buf_done(&talk.out);
}

int main(void)
{
    signals_block();
    const struct CMUnitTest tests[] = {
        TEST(test_output_and_exit_code),
        TEST(test_merged_output_and_directory),
        TEST(test_input),
        TEST(test_environment_and_descriptors),
        TEST(test_output_ceiling),
        TEST(test_cannot_start),
        TEST(test_signal),
        TEST(test_timeout_kills_the_group),
        TEST(test_children_left_behind_are_killed),
        TEST(test_output_held_outside_the_group),
        TEST(test_cancelled_fiber_kills_its_process),
        TEST(test_no_descriptors_left),
        TEST(test_signals_come_to_the_loop),
        TEST(test_talk_is_echoed_line_by_line),
        TEST(test_talk_queue_is_bounded),
        TEST(test_talk_to_one_that_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
