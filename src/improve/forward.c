#include "improve/forward.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "net/stream.h"
#include "os/companion.h"

enum { COPY_BYTES = 4 << 10, BACKLOG = 64 };

const char *forward_fill(Arena *arena, const char *word, int port)
{
    Buf out = buf_create(FORWARD_WORD_BYTES_MAX);
    Slice left = slice_from_cstr(word), mark = SLICE("{port}");
    for (ptrdiff_t at; (at = slice_find(left, mark)) >= 0;) {
        buf_append(&out, slice_sub(left, 0, (size_t)at));
        buf_printf(&out, "%d", port);
        left = slice_sub(left, (size_t)at + mark.len, left.len);
    }
    buf_append(&out, left);
    const char *text = out.overflowed ? NULL : arena_cstr(arena, buf_slice(&out));
    buf_done(&out);
    return text;
}

// ---- the child that forwards

typedef struct Forwarder {
    Loop *loop;
    FiberPool *pool;
    int listening_fd;
    struct sockaddr_un broker;
} Forwarder;

typedef struct Pair { // two directions of one connection
    Stream *from, *to;
    struct Both *both;
} Pair;

typedef struct Both {
    Pair up, down;
    int directions; // still copying
} Both;

// Copies until the end of one direction and passes that end on, so that an answer to a request
// whose sender has finished still arrives.
static void copy(void *arg)
{
    Pair *pair = arg;
    Both *both = pair->both;
    char bytes[COPY_BYTES];
    size_t n = 0;
    int rc;
    while ((rc = stream_read(pair->from, bytes, sizeof bytes, &n, NULL)) == 0 && n > 0) {
        rc = stream_write_all(pair->to, (Slice){bytes, n}, NULL);
        if (rc != 0) {
            break;
        }
    }
    TcpStream *to = CONTAINER_OF(pair->to, TcpStream, stream);
    (void)shutdown(to->io.fd, rc == 0 ? SHUT_WR : SHUT_RDWR);
    if (--both->directions == 0) {
        stream_close(both->up.from);
        stream_close(both->up.to);
        free(both);
    }
}

static int connect_broker(const Forwarder *f)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    // A Unix socket connects at once or not at all.
    if (connect(fd, (const struct sockaddr *)&f->broker, sizeof f->broker) < 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static void on_accept(void *ctx, int fd, const NetAddr *peer)
{
    Forwarder *f = ctx;
    TcpStream *inner = NULL, *outer = NULL;
    int broker = connect_broker(f);
    if (broker < 0) {
        (void)close(fd);
        return;
    }
    if (tcp_from_fd(f->loop, fd, peer, &inner, NULL) != 0) {
        (void)close(broker);
        return;
    }
    if (tcp_from_fd(f->loop, broker, peer, &outer, NULL) != 0) {
        stream_close(&inner->stream);
        return;
    }
    Both *both = mem_zalloc(sizeof *both);
    both->up = (Pair){&inner->stream, &outer->stream, both};
    both->down = (Pair){&outer->stream, &inner->stream, both};
    both->directions = (fiber_spawn(f->pool, "up", copy, &both->up) != NULL) +
                       (fiber_spawn(f->pool, "down", copy, &both->down) != NULL);
    if (both->directions == 0) { // no memory for fibers
        stream_close(&inner->stream);
        stream_close(&outer->stream);
        free(both);
    }
}

static void forward(void *ctx)
{
    Forwarder *f = ctx;
    Listener *listener = NULL;
    if (loop_create(&(LoopOptions){0}, &f->loop, NULL) != 0) {
        return;
    }
    f->pool = fiber_pool_create(f->loop, NULL);
    ListenOptions listen = {
        .loop = f->loop, .listening_fd = f->listening_fd, .fn = on_accept, .ctx = f};
    if (listener_open(&listen, &listener, NULL) == 0) {
        loop_run(f->loop); // nobody stops it: it is killed when the engine has gone
    }
}

// ---- becoming the engine

static int listen_here(int *ret_fd, int *ret_port, Err *e)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_errno(e, ERR_IO, errno, "cannot open a socket");
    }
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) < 0) {
        int reason = errno;
        (void)close(fd);
        return err_errno(e, ERR_IO, reason, "cannot listen on 127.0.0.1");
    }
    *ret_fd = fd;
    *ret_port = ntohs(addr.sin_port);
    return 0;
}

static int set_all(const ForwardOptions *o, Arena *arena, int port, Err *e)
{
    for (size_t i = 0; o->sets && o->sets[i]; i++) {
        Slice name, value;
        const char *text = forward_fill(arena, o->sets[i], port);
        if (!text || !slice_cut(slice_from_cstr(text), '=', &name, &value) || name.len == 0) {
            return err_set(e, ERR_ARG, "'%.100s' is not NAME=value", o->sets[i]);
        }
        if (setenv(arena_cstr(arena, name), arena_cstr(arena, value), 1) < 0) {
            return err_errno(e, ERR_IO, errno, "cannot set %.*s", SLICE_FMT(name));
        }
    }
    return 0;
}

static int become(const ForwardOptions *o, Arena *arena, int port, Err *e)
{
    size_t count = 0;
    while (o->argv[count]) {
        count++;
    }
    char **argv = ARENA_ARRAY(arena, char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        const char *word = forward_fill(arena, o->argv[i], port);
        if (!word) {
            return err_set(e, ERR_ARG, "a word of the command is too long");
        }
        memcpy(&argv[i], &word, sizeof word); // exec wants them without const and changes nothing
    }
    return process_become(argv, e);
}

int forward_run(const ForwardOptions *o, Arena *arena, Err *e)
{
    Forwarder f = {.listening_fd = -1, .broker = {.sun_family = AF_UNIX}};
    int port = 0;
    pid_t companion;
    size_t len = strlen(o->socket);
    if (len >= sizeof f.broker.sun_path || !o->argv[0]) {
        return err_set(e, ERR_ARG, "a socket's path has at most %zu bytes, and a command is needed",
                       sizeof f.broker.sun_path - 1);
    }
    memcpy(f.broker.sun_path, o->socket, len + 1);
    int rc = listen_here(&f.listening_fd, &port, e);
    if (rc == 0) {
        rc = set_all(o, arena, port, e);
    }
    if (rc == 0) {
        rc = companion_start(forward, &f, &companion, e);
    }
    if (rc != 0) {
        return rc;
    }
    (void)close(f.listening_fd);
    rc = become(o, arena, port, e);
    companion_kill(companion);
    return rc;
}
