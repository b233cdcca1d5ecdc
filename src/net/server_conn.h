// The server's inside: what a codec (HTTP/1 in http1_server.c) and event streams need of a
// connection. Used by the server's own files only.
#ifndef NET_SERVER_CONN_H
#define NET_SERVER_CONN_H

#include "net/http1.h"
#include "net/server.h"

typedef struct Http2Server Http2Server; // a connection's HTTP/2 state

enum { SERVER_READ_BYTES = 16 << 10 };

typedef struct ServerConn ServerConn;

// What a connection needs while a request is worked on; lent by the server.
typedef struct ServerWork {
    struct ServerWork *next;
    HttpHead head;  // of the request
    HttpHead reply; // fields of the answer
    Buf body;       // of the request
    Buf out;        // head of the answer
    size_t at;      // bytes of `read` that were parsed
    size_t len;     // and that are there
    char read[SERVER_READ_BYTES];
} ServerWork;

struct ServerConn {
    HttpServer *server;
    ServerConn *prev;
    ServerConn *next;
    TcpStream *tcp;
    Stream *stream; // over tcp, or the same
    LoopTimer idle;
    Fiber *fiber;     // while a request is worked on
    ServerWork *work; // likewise
    bool ready;       // the handshake is done
    bool decided;     // which protocol it speaks
    Http2Server *h2;  // NULL: HTTP/1
    HttpReply *reply; // HTTP/1: the one being worked on
};

typedef struct ReplyHead {
    Slice type;
    int64_t length; // of the body; -1: not known
} ReplyHead;

// What a codec does for server_reply.c, which knows the order of things.
typedef struct ReplyOps {
    int (*head)(HttpReply *reply, const ReplyHead *head, Slice body, Err *e);
    int (*piece)(HttpReply *reply, Slice piece, Err *e);
    int (*end)(HttpReply *reply, Err *e);
} ReplyOps;

struct HttpReply {
    const ReplyOps *ops;
    ServerConn *conn;
    ServerWork *work;
    void *stream; // HTTP/2's
    // Set by an event stream: called on the loop when the client said something or left, or when
    // the server stops.
    void (*wake_fn)(void *ctx);
    void *wake_ctx;
    bool gone; // the client left
    const HttpServerRequest *request;
    int status;
    bool began;
    bool ended;
    bool streaming; // the length was not known
    bool chunked;
    bool keep_alive;
    int rc; // of the last write; not 0: the connection is lost
    uint64_t body_bytes;
};

struct HttpServer {
    HttpServerOptions options;
    Listener *listener;
    ServerConn *conns;
    size_t count;
    ServerWork *free_work;
    struct Http2Memory *http2_memory;
    bool stopping;
    int64_t date_s; // second that `date` shows
    char date[40];
};

// ---- server.c

ServerWork *server_work_lend(HttpServer *server);
void server_work_give_back(HttpServer *server, ServerWork *work);
bool server_has_more(const ServerConn *conn); // to read, without waiting
// After a fiber of the connection has ended: closes it, or begins to wait for the next request.
void server_conn_settle(ServerConn *conn);
// "Sun, 06 Nov 1994 08:49:37 GMT" of now (RFC 9110 section 5.6.7).
const char *server_date(HttpServer *server);

// ---- server_reply.c

bool reply_body_allowed(const HttpReply *reply);
bool reply_is_to_head(const HttpReply *reply);
void reply_wake(HttpReply *reply, bool gone);
HttpServerRequest server_request_of(const ServerConn *conn, const ServerWork *work);
// Runs the handler and ends the answer. 0, or what the last write said.
int server_answer(HttpReply *reply);
void server_report(const HttpReply *reply, int64_t begin_ns);

// ---- codecs: serve what is there. False: the connection must be closed.

bool http1_serve(ServerConn *conn);

void http2_server_start(ServerConn *conn);
void http2_server_destroy(ServerConn *conn);
bool http2_serve(ServerConn *conn);
bool http2_server_is_working(const ServerConn *conn);   // handlers run
bool http2_server_is_receiving(const ServerConn *conn); // a request is there, perhaps half of one
bool http2_server_is_lost(const ServerConn *conn);
void http2_server_wake(ServerConn *conn);   // event streams, when the server stops
void http2_server_cancel(ServerConn *conn); // handlers

#endif
