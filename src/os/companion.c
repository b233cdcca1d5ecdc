#include "os/companion.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/signal.h"

// With the parent's pipes open its output would never end for who reads it.
static void let_go(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd <= 2 && null >= 0; fd++) {
        (void)dup2(null, fd);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
}

int companion_start(void (*fn)(void *ctx), void *ctx, pid_t *ret_pid, Err *e)
{
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0) {
        return err_errno(e, ERR_IO, errno, "cannot start a process");
    }
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        let_go();
        if (getppid() == parent) { // else it died before the line above
            fn(ctx);
        }
        _exit(0);
    }
    *ret_pid = child;
    return 0;
}

void companion_kill(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

int process_become(char *const *argv, Err *e)
{
    sigset_t mask, defaults;
    signals_set_of_children(&mask, &defaults);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &mask, NULL);
    (void)execvp(argv[0], argv);
    int reason = errno;
    return err_errno(e, reason == ENOENT ? ERR_NOT_FOUND : ERR_IO, reason, "cannot run %s",
                     argv[0]);
}
