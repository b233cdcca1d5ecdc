// What is true of a command by construction: exit codes, signals, CPU time of a loop that counts
// its own, memory that it touches, children that it leaves.
#include "os/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/clock.h"

static const char *const ENV[] = {"PATH=/usr/bin:/bin", "GREETING=hello", NULL};
static int null_fd;

static int run(SuperviseOptions *o, const char *shell, SuperviseEnd *end, Err *e)
{
    const char *const argv[] = {"sh", "-c", shell, NULL};
    o->argv = argv;
    o->env = ENV;
    for (int i = 0; i < 3; i++) {
        o->fds[i] = o->fds[i] ? o->fds[i] : null_fd;
    }
    *end = (SuperviseEnd){0};
    return supervise_run(o, end, e);
}

static void exits_and_signals(void **state)
{
    (void)state;
    static const struct {
        const char *shell;
        int exit_code, signal;
    } CASES[] = {{"exit 0", 0, 0},
                 {"exit 3", 3, 0},
                 {"kill -9 $$", -1, 9},
                 {"test \"$GREETING\" = hello && test -z \"$HOME\"", 0, 0},
                 {"kill -PIPE $$", -1, 13}};
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        SuperviseEnd end;
        Err e;
        assert_int_equal(run(&(SuperviseOptions){0}, CASES[i].shell, &end, &e), 0);
        assert_int_equal(end.exit_code, CASES[i].exit_code);
        assert_int_equal(end.signal, CASES[i].signal);
        assert_false(end.timed_out);
        assert_true(end.wall_ns > 0);
        assert_int_equal(end.survivors, 0);
    }
}

static void only_three_descriptors(void **state)
{
    (void)state;
    int leaked = dup(null_fd); // without close-on-exec
    SuperviseEnd end;
    Err e;
    // The glob's own descriptor is there as well.
    assert_int_equal(run(&(SuperviseOptions){0},
                         "for f in 3 4 5 6 7 8 9 10 11 12; do "
                         "test -e /proc/$$/fd/$f && exit 1; done; exit 0",
                         &end, &e),
                     0);
    assert_int_equal(end.exit_code, 0);
    (void)close(leaked);
}

static void errors_have_words(void **state)
{
    (void)state;
    SuperviseEnd end;
    Err e;
    const char *const missing[] = {"no-such-program-here", NULL};
    const char *const directory[] = {"/", NULL};
    const char *const nothing[] = {"", NULL};
    SuperviseOptions o = {.argv = missing, .env = ENV, .fds = {null_fd, null_fd, null_fd}};
    assert_int_equal(supervise_run(&o, &end, &e), ERR_NOT_FOUND);
    assert_non_null(strstr(e.text, "no-such-program-here"));
    o.argv = nothing;
    assert_int_equal(supervise_run(&o, &end, &e), ERR_NOT_FOUND);
    o.argv = directory;
    assert_int_equal(supervise_run(&o, &end, &e), ERR_IO);
    assert_int_equal(run(&(SuperviseOptions){.directory = "/no/such/place"}, "exit 0", &end, &e),
                     ERR_NOT_FOUND);
    assert_non_null(strstr(e.text, "/no/such/place"));
}

static void a_deadline_kills_the_group(void **state)
{
    (void)state;
    SuperviseEnd end;
    Err e;
    SuperviseOptions o = {.timeout_ns = 50 * NS_PER_MS};
    assert_int_equal(run(&o, "sleep 100 & sleep 100; exit 0", &end, &e), 0);
    assert_true(end.timed_out);
    assert_int_equal(end.signal, 9);
    assert_true(end.wall_ns >= 50 * NS_PER_MS);
}

// One in the background, one that fled to a session of its own, and one whose parent is gone.
static void what_is_left_behind_is_ended(void **state)
{
    (void)state;
    SuperviseEnd end;
    Err e;
    int fds[2];
    char byte;
    assert_int_equal(pipe(fds), 0);
    SuperviseOptions o = {.fds = {0, 0, fds[1]}};
    assert_int_equal(run(&o,
                         "sleep 100 & setsid sleep 100 & (setsid sh -c 'sleep 100 & sleep 99' &)"
                         " ; sleep 0.05; exit 0",
                         &end, &e),
                     0);
    assert_int_equal(end.exit_code, 0);
    assert_in_range(end.survivors, 3, 5); // orphans of orphans are seen as they come
    (void)close(fds[1]);
    assert_int_equal(read(fds[0], &byte, 1), 0); // nobody holds the other end any more
    (void)close(fds[0]);
}

static void output_has_a_ceiling(void **state)
{
    (void)state;
    SuperviseEnd end;
    Err e;
    int fd = memfd_create("output", 0);
    SuperviseOptions o = {.fds = {0, fd, 0}, .watched = {fd, 0}, .watched_bytes_max = 1 << 20};
    assert_int_equal(run(&o, "head -c 1048576 /dev/zero", &end, &e), 0);
    assert_false(end.overflowed);
    assert_int_equal(run(&o, "printf x", &end, &e), 0); // one byte more
    assert_true(end.overflowed);
    assert_int_equal(run(&o, "yes", &end, &e), 0);
    assert_true(end.overflowed);
    assert_int_equal(end.signal, 9);
    (void)close(fd);
}

static int refuse(void *ctx)
{
    return *(int *)ctx;
}

static int go_there(void *ctx)
{
    return chdir(ctx);
}

static void the_sandbox_is_entered_first(void **state)
{
    (void)state;
    SuperviseEnd end;
    Err e;
    int code = 7;
    char root[] = "/usr";
    SuperviseOptions o = {.enter_fn = refuse, .enter_ctx = &code};
    assert_int_equal(run(&o, "exit 0", &end, &e), ERR_REFUSED);
    assert_non_null(strstr(e.text, "7"));
    o = (SuperviseOptions){.enter_fn = go_there, .enter_ctx = root};
    assert_int_equal(run(&o, "test \"$(pwd)\" = /usr", &end, &e), 0);
    assert_int_equal(end.exit_code, 0);
}

static void it_can_be_cancelled(void **state)
{
    (void)state;
    SuperviseEnd end;
    Err e;
    int fd = eventfd(1, EFD_CLOEXEC);
    SuperviseOptions o = {.cancel_fd = fd};
    assert_int_equal(run(&o, "sleep 100", &end, &e), ERR_CANCELLED);
    (void)close(fd);
}

// The kernel adds what the forking process had: 64 MiB here must not show in a shell's memory. The
// figures of a program that touches 32 MiB are true by construction.
static void memory_is_the_commands_own(void **state)
{
    (void)state;
    SuperviseEnd end;
    Err e;
    size_t bytes = 64 << 20;
    char *ballast = mem_alloc(bytes);
    memset(ballast, 1, bytes);
    assert_int_equal(run(&(SuperviseOptions){0}, "exit 0", &end, &e), 0);
#if !defined(__SANITIZE_ADDRESS__)
    assert_true(end.rss_floor_bytes < 16 << 20);
#endif
    if (end.rss_max_bytes > 0) {
        assert_true(end.rss_max_bytes < 16 << 20 || end.rss_floor_bytes > 16 << 20);
    }
    assert_int_equal(run(&(SuperviseOptions){0},
                         "exec dd if=/dev/zero of=/dev/null bs=134217728 count=1", &end, &e),
                     0);
    assert_int_equal(end.exit_code, 0);
    if (end.rss_floor_bytes < 128 << 20) {
        assert_in_range(end.rss_max_bytes, 128 << 20, 140 << 20);
    }
    ballast[0]++;
    free(ballast);
}

static void too_many_arguments(void **state)
{
    (void)state;
    static char long_text[SUPERVISE_BYTES_MAX];
    memset(long_text, 'x', sizeof long_text - 1);
    const char *const argv[] = {"true", long_text, NULL};
    SuperviseOptions o = {.argv = argv, .env = ENV, .fds = {null_fd, null_fd, null_fd}};
    SuperviseEnd end;
    Err e;
    assert_int_equal(supervise_run(&o, &end, &e), ERR_LIMIT);
}

int main(void)
{
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exits_and_signals),
        cmocka_unit_test(only_three_descriptors),
        cmocka_unit_test(errors_have_words),
        cmocka_unit_test(a_deadline_kills_the_group),
        cmocka_unit_test(what_is_left_behind_is_ended),
        cmocka_unit_test(output_has_a_ceiling),
        cmocka_unit_test(the_sandbox_is_entered_first),
        cmocka_unit_test(it_can_be_cancelled),
        cmocka_unit_test(memory_is_the_commands_own),
        cmocka_unit_test(too_many_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
