#include "net/stream.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

// The socket is watched edge-triggered for reading and writing from its first to its last day. The
// flags `readable` and `writable` remember the last edge; a system call that comes back short or
// with EAGAIN clears them, and then only the next edge sets them (epoll(7), questions and answers,
// "Does an operation on a file descriptor affect the already collected events").

int stream_read_exact(Stream *s, void *buf, size_t bytes, Err *e)
{
    char *at = buf;
    while (bytes > 0) {
        size_t n;
        int rc = stream_read(s, at, bytes, &n, e);
        if (rc != 0) {
            return rc;
        }
        if (n == 0) {
            return err_set(e, ERR_CLOSED, "the peer closed %zu bytes early", bytes);
        }
        at += n;
        bytes -= n;
    }
    return 0;
}

int stream_writev_all(Stream *s, struct iovec *parts, int count, Err *e)
{
    while (count > 0) {
        if (parts->iov_len == 0) {
            parts++;
            count--;
            continue;
        }
        size_t n;
        int rc = s->ops->write(s, parts, count, &n, e);
        if (rc != 0) {
            return rc;
        }
        while (count > 0 && n >= parts->iov_len) {
            n -= parts->iov_len;
            parts++;
            count--;
        }
        if (count > 0) {
            parts->iov_base = (char *)parts->iov_base + n;
            parts->iov_len -= n;
        }
    }
    return 0;
}

int stream_write_all(Stream *s, Slice bytes, Err *e)
{
    // The kernel does not write through iov_base.
    struct iovec part = {(void *)(uintptr_t)bytes.ptr, bytes.len};
    return stream_writev_all(s, &part, 1, e);
}

void stream_close(Stream *s)
{
    if (s) {
        s->ops->close(s);
    }
}

// ---- TCP

static TcpStream *tcp_of(Stream *s)
{
    return CONTAINER_OF(s, TcpStream, stream);
}

static void on_tcp_event(LoopIo *io, unsigned events)
{
    TcpStream *t = CONTAINER_OF(io, TcpStream, io);
    if (events & LOOP_HANGUP) {
        t->hangup = true;
    }
    if (events & LOOP_WRITE) {
        t->writable = true;
        if (t->writer) {
            fiber_resume(t->writer);
        }
    }
    if (events & LOOP_READ) {
        t->readable = true;
        if (t->reader) {
            fiber_resume(t->reader);
        } else if (t->readable_fn) {
            t->readable_fn(t->readable_ctx);
        }
    }
}

// Parks in `*slot` until an edge. Whoever leaves a closed stream last frees it.
static int tcp_wait(TcpStream *t, Fiber **slot, const char *why, Err *e)
{
    assert(!*slot);
    *slot = fiber_self();
    int rc = fiber_park(why, t->stream.deadline_ns);
    *slot = NULL;
    if (t->closed) {
        if (!t->reader && !t->writer) {
            free(t);
        }
        return err_set(e, ERR_CLOSED, "the connection was closed");
    }
    if (rc == ERR_TIMEOUT) {
        return err_set(e, rc, "timed out waiting to %s", why);
    }
    return rc == 0 ? 0 : err_set(e, rc, "cancelled while waiting to %s", why);
}

int tcp_wait_readable(TcpStream *t, Err *e)
{
    return t->readable ? 0 : tcp_wait(t, &t->reader, "read", e);
}

int tcp_wait_writable(TcpStream *t, Err *e)
{
    return t->writable ? 0 : tcp_wait(t, &t->writer, "write", e);
}

static int tcp_failed(TcpStream *t, int errno_value, const char *what, Err *e)
{
    t->stream.sys_errno = errno_value;
    return err_errno(e, ERR_CLOSED, errno_value, "cannot %s", what);
}

int tcp_try_read(TcpStream *t, void *buf, size_t max, size_t *ret_n, Err *e)
{
    if (!t->readable) {
        return ERR_BUSY;
    }
    ssize_t n;
    do {
        n = recv(t->io.fd, buf, max, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        if (errno == EAGAIN) {
            t->readable = false;
            return ERR_BUSY;
        }
        return tcp_failed(t, errno, "read", e);
    }
    // A short read emptied the socket. After the end of the stream reads go on returning 0.
    t->readable = (size_t)n == max || t->hangup || n == 0;
    t->stream.bytes_in += (size_t)n;
    *ret_n = (size_t)n;
    return 0;
}

static int tcp_read(Stream *s, void *buf, size_t max, size_t *ret_n, Err *e)
{
    TcpStream *t = tcp_of(s);
    for (;;) {
        int rc = tcp_try_read(t, buf, max, ret_n, e);
        if (rc != ERR_BUSY) {
            return rc;
        }
        if ((rc = tcp_wait_readable(t, e)) != 0) {
            return rc;
        }
    }
}

int tcp_try_write(TcpStream *t, const struct iovec *parts, int count, size_t *ret_n, Err *e)
{
    if (!t->writable) {
        return ERR_BUSY;
    }
    ssize_t n;
    do {
        if (count == 1) {
            n = send(t->io.fd, parts->iov_base, parts->iov_len, MSG_NOSIGNAL);
        } else {
            struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts,
                                     .msg_iovlen = (size_t)count};
            n = sendmsg(t->io.fd, &message, MSG_NOSIGNAL);
        }
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        if (errno == EAGAIN) {
            t->writable = false;
            return ERR_BUSY;
        }
        return tcp_failed(t, errno, "write", e);
    }
    t->stream.bytes_out += (size_t)n;
    *ret_n = (size_t)n;
    return 0;
}

static int tcp_write(Stream *s, const struct iovec *parts, int count, size_t *ret_n, Err *e)
{
    TcpStream *t = tcp_of(s);
    for (;;) {
        int rc = tcp_try_write(t, parts, count, ret_n, e);
        if (rc != ERR_BUSY) {
            return rc;
        }
        if ((rc = tcp_wait_writable(t, e)) != 0) {
            return rc;
        }
    }
}

static void tcp_close(Stream *s)
{
    TcpStream *t = tcp_of(s);
    int fd = t->io.fd;
    loop_io_remove(s->loop, &t->io);
    if (fd >= 0) {
        (void)close(fd);
    }
    t->closed = true;
    if (t->reader) {
        fiber_resume_with(t->reader, ERR_CLOSED);
    }
    if (t->writer) {
        fiber_resume_with(t->writer, ERR_CLOSED);
    }
    if (!t->reader && !t->writer) {
        free(t);
    }
}

static int tcp_stream_wait(Stream *s, Err *e)
{
    return tcp_wait_readable(tcp_of(s), e);
}

static const StreamOps tcp_ops = {
    .read = tcp_read,
    .write = tcp_write,
    .wait_readable = tcp_stream_wait,
    .close = tcp_close,
};

int tcp_from_fd(Loop *loop, int fd, const NetAddr *peer, TcpStream **ret_stream, Err *e)
{
    TcpStream *t = mem_zalloc(sizeof *t);
    t->stream = (Stream){.ops = &tcp_ops, .loop = loop, .deadline_ns = NEVER_NS};
    t->peer = *peer;
    t->readable = true; // perhaps; the first read finds out
    t->writable = true;
    loop_io_init(&t->io, on_tcp_event);
    int rc = loop_io_add(loop, &t->io, fd, LOOP_READ | LOOP_WRITE | LOOP_EDGE, e);
    if (rc != 0) {
        (void)close(fd);
        free(t);
        return rc;
    }
    *ret_stream = t;
    return 0;
}

bool tcp_is_quiet(TcpStream *t)
{
    if (t->hangup) {
        return false;
    }
    if (!t->readable) {
        return true;
    }
    char byte;
    ssize_t n = recv(t->io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    t->readable = !(n < 0 && errno == EAGAIN);
    return !t->readable;
}

// ---- connecting

static int connect_failed(const TcpConnectOptions *o, int errno_value, Err *e)
{
    if (o->ret_errno) {
        *o->ret_errno = errno_value;
    }
    char addr[NET_ADDR_TEXT_MAX];
    net_addr_print(&o->addr, addr);
    bool limit = errno_value == EMFILE || errno_value == ENFILE || errno_value == EADDRNOTAVAIL;
    return err_errno(e, limit ? ERR_LIMIT : ERR_CONNECT, errno_value, "cannot connect to %s", addr);
}

static int open_socket(const TcpConnectOptions *o, int *ret_fd, Err *e)
{
    int fd = socket(o->addr.u.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return connect_failed(o, errno, e);
    }
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (o->local.len > 0) {
        // The port is chosen at connect time, when it only must be unique together with the peer.
        (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(fd, &o->local.u.any, o->local.len) < 0) {
            int rc = connect_failed(o, errno, e);
            (void)close(fd);
            return rc;
        }
    }
    *ret_fd = fd;
    return 0;
}

// Waits for a connection under way and fetches its outcome.
static int finish_connect(const TcpConnectOptions *o, TcpStream *t, Err *e)
{
    t->writable = false;
    int rc = tcp_wait_writable(t, NULL);
    if (rc == ERR_TIMEOUT) {
        (void)connect_failed(o, ETIMEDOUT, e);
        if (e) {
            e->code = rc;
        }
        return rc;
    }
    if (rc != 0) {
        return err_set(e, rc, "cancelled while connecting");
    }
    int reason = 0;
    socklen_t len = sizeof reason;
    if (getsockopt(t->io.fd, SOL_SOCKET, SO_ERROR, &reason, &len) < 0) {
        reason = errno;
    }
    return reason == 0 ? 0 : connect_failed(o, reason, e);
}

int tcp_connect(const TcpConnectOptions *o, TcpStream **ret_stream, Err *e)
{
    if (o->filter) {
        int rc = o->filter->allow(o->filter->ctx, &o->addr, o->host, e);
        if (rc != 0) {
            return rc;
        }
    }
    int fd = -1;
    int rc = open_socket(o, &fd, e);
    if (rc != 0) {
        return rc;
    }
    bool waits = false;
    if (connect(fd, &o->addr.u.any, o->addr.len) < 0) {
        if (errno != EINPROGRESS && errno != EINTR) {
            rc = connect_failed(o, errno, e);
            (void)close(fd);
            return rc;
        }
        waits = true;
    }
    TcpStream *t;
    if ((rc = tcp_from_fd(o->loop, fd, &o->addr, &t, e)) != 0) {
        return rc;
    }
    t->stream.deadline_ns = o->deadline_ns;
    t->readable = false; // an edge will tell
    if (waits && (rc = finish_connect(o, t, e)) != 0) {
        stream_close(&t->stream);
        return rc;
    }
    *ret_stream = t;
    return 0;
}
