// Stream: an ordered, reliable flow of bytes to one peer. Reading and writing look blocking and
// park the calling fiber; TCP is implemented here, TLS implements the same interface over a
// TcpStream.
//
// Each operation tries the system call first and parks only when the kernel has nothing to give.
// The socket is registered with the loop once, edge-triggered, for its whole life, so a request
// costs one send and one recv and no epoll_ctl. See docs/internals/http1.md.
//
//     TcpStream *t;
//     rc = tcp_connect(&(TcpConnectOptions){.loop = loop, .addr = addr, .deadline_ns = d}, &t, e);
//     Stream *s = &t->stream;
//     stream_set_deadline(s, loop_now(loop) + 5 * NS_PER_S);
//     rc = stream_write_all(s, request, e);
//     rc = stream_read(s, buf, sizeof buf, &n, e);      // n == 0: the peer closed
//     stream_close(s);
//
// One fiber may read and another write at the same time. Closing from a third makes both return
// ERR_CLOSED; the memory goes when the last of them has left. All on the loop's thread.
//
// Codes: ERR_TIMEOUT past the deadline, ERR_CANCELLED, ERR_CLOSED for a broken pipe or reset (see
// stream_errno for which), ERR_TLS from a TLS stream.
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <sys/uio.h>

#include "base/err.h"
#include "base/slice.h"
#include "net/addr.h"
#include "os/fiber.h"
#include "os/loop.h"

typedef struct Stream Stream;

typedef struct StreamOps {
    int (*read)(Stream *s, void *buf, size_t max, size_t *ret_n, Err *e);
    // Writes some of the bytes, at least one.
    int (*write)(Stream *s, const struct iovec *parts, int count, size_t *ret_n, Err *e);
    // Parks until a read is worth trying.
    int (*wait_readable)(Stream *s, Err *e);
    // Bytes that were taken from the socket already (TLS records); NULL: never.
    bool (*has_pending)(const Stream *s);
    void (*close)(Stream *s);
} StreamOps;

// What an implementation embeds first.
struct Stream {
    const StreamOps *ops;
    Loop *loop;
    int64_t deadline_ns; // of every operation; NEVER_NS at first
    uint64_t bytes_in;   // on the wire
    uint64_t bytes_out;
    int sys_errno; // of the last failure of the operating system
};

static inline void stream_set_deadline(Stream *s, int64_t deadline_ns)
{
    s->deadline_ns = deadline_ns;
}

// Reads what is there, at least one byte; *ret_n is 0 at the end of the stream.
MUST_USE static inline int stream_read(Stream *s, void *buf, size_t max, size_t *ret_n, Err *e)
{
    return s->ops->read(s, buf, max, ret_n, e);
}
// Waits without a buffer, so that who waits long can borrow one late. The read after it may still
// park.
MUST_USE static inline int stream_wait_readable(Stream *s, Err *e)
{
    return s->ops->wait_readable(s, e);
}
MUST_USE int stream_read_exact(Stream *s, void *buf, size_t bytes, Err *e); // else ERR_CLOSED
MUST_USE int stream_write_all(Stream *s, Slice bytes, Err *e);
// Head and body in one system call; `parts` is used up.
MUST_USE int stream_writev_all(Stream *s, struct iovec *parts, int count, Err *e);
void stream_close(Stream *s); // frees; NULL is fine

// ---- TCP

typedef struct TcpStream {
    Stream stream; // first
    LoopIo io;
    Fiber *reader; // parked in a read
    Fiber *writer; // parked in a write
    // Called instead of waking a reader when nobody reads: an idle connection owns no fiber. On the
    // loop, once for each arrival of bytes or of the end.
    void (*readable_fn)(void *ctx);
    void *readable_ctx;
    NetAddr peer;
    bool readable; // the kernel may have bytes: it said so, and no short read since
    bool writable;
    bool hangup; // the peer closed its side: reads never block any more
    bool closed;
} TcpStream;

// Asked with every address before a socket is opened to it, whoever wants the connection; the guard
// room decides. ERR_REFUSED with words about the rule. `host` is the name behind the address.
typedef struct ConnectFilter {
    int (*allow)(void *ctx, const NetAddr *addr, Slice host, Err *e);
    void *ctx;
} ConnectFilter;

typedef struct TcpConnectOptions {
    Loop *loop;
    NetAddr addr;
    NetAddr local;               // source address; len 0: the system's choice
    const ConnectFilter *filter; // NULL: no filter
    Slice host;                  // for the filter and for words
    int64_t deadline_ns;         // NEVER_NS: none; the new stream keeps it
    int *ret_errno;              // NULL, or where the system's reason goes on failure
} TcpConnectOptions;

// ERR_CONNECT, ERR_TIMEOUT, ERR_REFUSED by the filter, ERR_LIMIT when file descriptors or local
// ports ran out, ERR_CANCELLED.
MUST_USE int tcp_connect(const TcpConnectOptions *options, TcpStream **ret_stream, Err *e);
// A connected socket, accepted or from socketpair; the stream owns it from now on, also when this
// fails.
MUST_USE int tcp_from_fd(Loop *loop, int fd, const NetAddr *peer, TcpStream **ret_stream, Err *e);

// For layers that do their own reading (TLS): 0, or ERR_BUSY instead of parking.
MUST_USE int tcp_try_read(TcpStream *t, void *buf, size_t max, size_t *ret_n, Err *e);
MUST_USE int tcp_try_write(TcpStream *t, const struct iovec *parts, int count, size_t *ret_n,
                           Err *e);
// Parks until reading (writing) is worth another try.
MUST_USE int tcp_wait_readable(TcpStream *t, Err *e);
MUST_USE int tcp_wait_writable(TcpStream *t, Err *e);

// Whether an idle connection is still good: nothing unexpected to read, no end of stream.
bool tcp_is_quiet(TcpStream *t);

// ---- listening

typedef struct Listener Listener;
// The callee owns fd (non-blocking, close-on-exec).
typedef void ListenerFn(void *ctx, int fd, const NetAddr *peer);

typedef struct ListenOptions {
    Loop *loop;
    NetAddr addr;    // port 0: any free port, see listener_addr
    int backlog;     // 0: 1024 (the system may cut it)
    bool reuse_port; // several listeners, one a loop, share the port
    // Not 0: a socket that listens already (of a Unix path, say); taken over, also on failure, and
    // `addr` is not used. Its connections have no peer address that could be printed.
    int listening_fd;
    ListenerFn *fn;
    void *ctx;
} ListenOptions;

MUST_USE int listener_open(const ListenOptions *options, Listener **ret_listener, Err *e);
NetAddr listener_addr(const Listener *listener);
// While paused, connections wait in the kernel's backlog.
void listener_pause(Listener *listener, bool paused);
void listener_close(Listener *listener); // NULL is fine

#endif
