// HttpServer: HTTP/1.1 and HTTP/2 on one loop. A handler runs in a fiber and may park; an idle
// connection owns neither fiber nor buffer.
//
//     static void hello(void *ctx, const HttpServerRequest *request, HttpReply *reply) {
//         http_reply_send(reply, 200, SLICE("text/plain"), SLICE("hi\n"), NULL);
//     }
//     HttpServerOptions options = {.loop = loop, .pool = pool, .addr = net_addr_loopback(8080),
//                                  .handler = hello};
//     rc = http_server_open(&options, &server, e);
//     loop_run(loop);
//     http_server_drain(server, loop_clock(loop) + 5 * NS_PER_S);
//     http_server_destroy(server);
//
// HTTP/2 is spoken where ALPN chooses it and, without TLS, where a client begins with its preface.
// Each of its streams is a request with a fiber of its own.
//
// Several loops share a port with .reuse_port, each with its own server. Requests that break the
// protocol or a limit are answered (400, 408, 413, 414, 431, 501, 505) and the connection closed;
// HEAD, Expect: 100-continue, pipelining and keep-alive are taken care of.
//
// Everything is for the loop's thread.
#ifndef NET_SERVER_H
#define NET_SERVER_H

#include "net/http_head.h"
#include "net/stream.h"
#include "os/fiber.h"

typedef struct HttpServer HttpServer;
typedef struct HttpReply HttpReply;

typedef struct HttpServerRequest {
    Slice method; // upper case
    Slice target; // as sent
    Slice path;   // target up to "?", still percent-encoded
    Slice query;  // behind "?", NULL without
    const HttpHead *head;
    Slice body;
    NetAddr peer;
    bool tls;
    int64_t received_ns; // when the request was complete, by the loop's clock
    HttpServer *server;
} HttpServerRequest;

// In a fiber. The request's memory is good until it returns. What it leaves unanswered becomes 500.
typedef void HttpHandler(void *ctx, const HttpServerRequest *request, HttpReply *reply);

// After each answer, for logs and metrics.
typedef struct HttpServerEvent {
    const HttpServerRequest *request; // NULL when it could not be read
    int status;
    uint64_t body_bytes;
    int64_t duration_ns;
} HttpServerEvent;

typedef struct TlsAcceptor {
    // Handshakes over `tcp`, which it takes over, also when it fails. Parks the fiber; the deadline
    // is the stream's.
    int (*accept)(void *ctx, TcpStream *tcp, bool *ret_h2, Stream **ret_stream, Err *e);
    void *ctx;
} TlsAcceptor;

// Zero means the default named beside it.
typedef struct HttpServerOptions {
    Loop *loop;
    FiberPool *pool;
    NetAddr addr; // len 0: 127.0.0.1, any free port
    bool reuse_port;
    int listening_fd;       // not 0: a socket that listens already, see ListenOptions
    const TlsAcceptor *tls; // NULL: plain
    HttpHandler *handler;
    void *ctx;
    void (*event_fn)(void *ctx, const HttpServerEvent *event); // may be NULL
    size_t connections_max;   // 10,000; more wait in the kernel's backlog
    size_t body_bytes_max;    // 1 MiB
    HttpLimits head;          // all zero: the defaults of http_head.h
    int64_t head_timeout_ns;  // 10 s from the first byte (or the handshake) to the end of the head
    int64_t body_timeout_ns;  // 30 s for the body
    int64_t write_timeout_ns; // 30 s for each write of an answer
    int64_t idle_timeout_ns;  // 60 s between requests
} HttpServerOptions;

enum { HTTP_SERVER_CONNECTIONS_MAX = 10000, HTTP_SERVER_BODY_BYTES_MAX = 1 << 20 };

MUST_USE int http_server_open(const HttpServerOptions *options, HttpServer **ret_server, Err *e);
NetAddr http_server_addr(const HttpServer *server);
size_t http_server_connections(const HttpServer *server);
// Accepts no more, closes idle connections, lets the others finish their request. Returns at once.
void http_server_stop(HttpServer *server);
bool http_server_is_stopping(const HttpServer *server);
// Outside of fibers: stops, runs the loop until all connections are gone, cancels the handlers that
// are left at the deadline and waits for them to unwind. Returns how many those were.
size_t http_server_drain(HttpServer *server, int64_t deadline_ns);
void http_server_destroy(HttpServer *server); // drained; NULL is fine

// ---- answers
//
// A handler may ignore what these return (ERR_CLOSED or ERR_TIMEOUT when the client is gone or
// slow): the reply remembers it, further calls do nothing, and the connection is closed.

// Before the answer begins. ERR_ARG for a name or value that HTTP cannot carry, ERR_LIMIT.
MUST_USE int http_reply_header(HttpReply *reply, Slice name, Slice value, Err *e);
// A whole answer; `type` may be empty.
int http_reply_send(HttpReply *reply, int status, Slice type, Slice body, Err *e);
// A body whose length is not known: begin, write pieces, end (which the server does if need be).
int http_reply_begin(HttpReply *reply, int status, Slice type, Err *e);
int http_reply_write(HttpReply *reply, Slice piece, Err *e);
int http_reply_end(HttpReply *reply, Err *e);
bool http_reply_began(const HttpReply *reply);
// Breaks off: the client sees its connection (HTTP/2: the stream) end in the middle of the answer,
// or before it began. For servers that must not let half an answer look whole, and for fakes that
// break on purpose.
void http_reply_abort(HttpReply *reply);
// The client closed its side: nobody may be there to read what comes.
bool http_reply_is_gone(const HttpReply *reply);

#endif
