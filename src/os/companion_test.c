#include "os/companion.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct Line {
    int write_fd;
} Line;

static void wait_for_ever(void *ctx)
{
    Line *line = ctx;
    (void)!write(line->write_fd, "up", 2);
    for (;;) {
        (void)pause();
    }
}

// The companion holds the pipe's writing end until it dies: the end of the stream tells.
static void test_dies_with_what_its_parent_became(void **state)
{
    (void)state;
    int fds[2];
    char bytes[8];
    assert_int_equal(pipe(fds), 0);
    pid_t middle = fork();
    if (middle == 0) {
        Line line = {fds[1]};
        pid_t companion;
        if (companion_start(wait_for_ever, &line, &companion, NULL) != 0) {
            _exit(90);
        }
        char first[] = "sh", second[] = "-c", third[] = "exit 7";
        char *argv[] = {first, second, third, NULL};
        (void)close(fds[1]);
        (void)poll(NULL, 0, 100); // let it say that it is up
        (void)process_become(argv, NULL);
        _exit(91);
    }
    (void)close(fds[1]);
    int status = 0;
    assert_int_equal(waitpid(middle, &status, 0), middle);
    assert_int_equal(WEXITSTATUS(status), 7);
    size_t len = 0;
    for (ssize_t n; (n = read(fds[0], bytes, sizeof bytes)) > 0;) {
        len += (size_t)n;
    }
    assert_true(len == 2 || len == 0);
    (void)close(fds[0]);
}

static void test_no_such_program(void **state)
{
    (void)state;
    char name[] = "/nonexistent/program";
    char *argv[] = {name, NULL};
    Err e = {0};
    assert_int_equal(process_become(argv, &e), ERR_NOT_FOUND);
    assert_non_null(strstr(e.text, "cannot run /nonexistent/program"));
    int fds[2];
    pid_t pid;
    assert_int_equal(pipe(fds), 0);
    Line line = {fds[1]};
    assert_int_equal(companion_start(wait_for_ever, &line, &pid, NULL), 0);
    companion_kill(pid);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dies_with_what_its_parent_became),
        cmocka_unit_test(test_no_such_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
