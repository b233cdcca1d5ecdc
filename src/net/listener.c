#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "net/stream.h"

enum {
    BACKLOG = 1024,
    ACCEPTS_PER_ROUND = 64, // then the connections already open get their turn
    // Without file descriptors accepting fails at once, again and again: look less often.
    RETRY_NS = 100000000,
};

struct Listener {
    Loop *loop;
    LoopIo io;
    LoopTimer retry;
    ListenerFn *fn;
    void *ctx;
    NetAddr addr;
    bool paused;
    // listener_close inside fn: accept_some must not touch the listener after.
    bool *closed_flag;
};

static void watch(Listener *l, bool on)
{
    // Changing the events of a registered descriptor cannot fail for lack of anything.
    int rc = loop_io_change(l->loop, &l->io, on ? LOOP_READ : 0, NULL);
    (void)rc;
}

static void accept_some(LoopIo *io, unsigned events)
{
    (void)events;
    Listener *l = CONTAINER_OF(io, Listener, io);
    bool closed = false;
    l->closed_flag = &closed;
    for (int i = 0; i < ACCEPTS_PER_ROUND && !closed && !l->paused; i++) {
        NetAddr peer = {.len = sizeof peer.u};
        int fd = accept4(io->fd, &peer.u.any, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            peer.len = peer.len > sizeof peer.u ? sizeof peer.u : peer.len;
            int one = 1;
            (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            l->fn(l->ctx, fd, &peer);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            watch(l, false);
            loop_timer_set(l->loop, &l->retry, loop_now(l->loop) + RETRY_NS);
            break;
        } else if (errno == EAGAIN) {
            break;
        } // else this one connection failed before it was accepted; the next may be fine
    }
    if (!closed) {
        l->closed_flag = NULL;
    }
}

static void on_retry(LoopTimer *timer)
{
    Listener *l = CONTAINER_OF(timer, Listener, retry);
    watch(l, !l->paused);
}

static int bind_and_listen(const ListenOptions *o, int fd, Err *e)
{
    char addr[NET_ADDR_TEXT_MAX];
    net_addr_print(&o->addr, addr);
    int one = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (o->reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) < 0) {
        return err_errno(e, ERR_IO, errno, "cannot share the port of %s", addr);
    }
    if (bind(fd, &o->addr.u.any, o->addr.len) < 0) {
        return err_errno(e, errno == EADDRINUSE ? ERR_EXISTS : ERR_IO, errno, "cannot listen on %s",
                         addr);
    }
    if (listen(fd, o->backlog > 0 ? o->backlog : BACKLOG) < 0) {
        return err_errno(e, errno == EADDRINUSE ? ERR_EXISTS : ERR_IO, errno, "cannot listen on %s",
                         addr);
    }
    return 0;
}

// A Unix path is longer than a NetAddr: such a listener has no address.
static int take_over(int fd, Err *e)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        return err_errno(e, ERR_IO, errno, "cannot use the listening socket");
    }
    return 0;
}

int listener_open(const ListenOptions *o, Listener **ret_listener, Err *e)
{
    bool taken = o->listening_fd > 0;
    int fd = taken ? o->listening_fd
                   : socket(o->addr.u.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_errno(e, ERR_IO, errno, "cannot open a socket");
    }
    Listener *l = mem_zalloc(sizeof *l);
    l->loop = o->loop;
    l->fn = o->fn;
    l->ctx = o->ctx;
    loop_io_init(&l->io, accept_some);
    loop_timer_init(&l->retry, on_retry);
    l->addr.len = taken ? 0 : sizeof l->addr.u;
    int rc = taken ? take_over(fd, e) : bind_and_listen(o, fd, e);
    if (rc == 0 && !taken && getsockname(fd, &l->addr.u.any, &l->addr.len) < 0) {
        rc = err_errno(e, ERR_IO, errno, "cannot read the listening address");
    }
    if (rc == 0) {
        rc = loop_io_add(o->loop, &l->io, fd, LOOP_READ, e);
    }
    if (rc != 0) {
        (void)close(fd);
        free(l);
        return rc;
    }
    *ret_listener = l;
    return 0;
}

NetAddr listener_addr(const Listener *listener)
{
    return listener->addr;
}

void listener_pause(Listener *listener, bool paused)
{
    if (listener->paused != paused) {
        listener->paused = paused;
        watch(listener, !paused);
    }
}

void listener_close(Listener *listener)
{
    if (!listener) {
        return;
    }
    if (listener->closed_flag) {
        *listener->closed_flag = true;
    }
    int fd = listener->io.fd;
    loop_io_remove(listener->loop, &listener->io);
    loop_timer_cancel(listener->loop, &listener->retry);
    (void)close(fd);
    free(listener);
}
