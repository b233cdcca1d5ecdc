#include "os/signal.h"

#include <errno.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct Signals {
    Loop *loop;
    LoopIo io;
    SignalFn *fn;
    void *ctx;
};

static void watched_set(sigset_t *set)
{
    static const int watched[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};
    (void)sigemptyset(set);
    for (size_t i = 0; i < COUNT_OF(watched); i++) {
        (void)sigaddset(set, watched[i]);
    }
}

void signals_block(void)
{
    sigset_t set;
    watched_set(&set);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    // Writing to a closed pipe is an error like any other.
    (void)signal(SIGPIPE, SIG_IGN);
}

static void on_signal(LoopIo *io, unsigned events)
{
    (void)events;
    Signals *signals = CONTAINER_OF(io, Signals, io);
    struct signalfd_siginfo info;
    if (read(io->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        // One a round: fn may close the watch.
        signals->fn(signals->ctx, (int)info.ssi_signo);
    }
}

int signals_watch(Loop *loop, SignalFn *fn, void *ctx, Signals **ret_signals, Err *e)
{
    sigset_t set;
    watched_set(&set);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) {
        return err_errno(e, ERR_IO, errno, "cannot watch signals");
    }
    Signals *signals = mem_zalloc(sizeof *signals);
    signals->loop = loop;
    signals->fn = fn;
    signals->ctx = ctx;
    loop_io_init(&signals->io, on_signal);
    int rc = loop_io_add(loop, &signals->io, fd, LOOP_READ, e);
    if (rc != 0) {
        (void)close(fd);
        free(signals);
        return rc;
    }
    *ret_signals = signals;
    return 0;
}

void signals_close(Signals *signals)
{
    if (signals) {
        int fd = signals->io.fd;
        loop_io_remove(signals->loop, &signals->io);
        (void)close(fd);
        free(signals);
    }
}

void signals_set_of_children(sigset_t *ret_mask, sigset_t *ret_default)
{
    (void)sigemptyset(ret_mask);
    (void)sigemptyset(ret_default);
    (void)sigaddset(ret_default, SIGPIPE);
}
