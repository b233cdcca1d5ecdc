// The server's inside: what a codec (HTTP/1 in http1_server.c) and event streams need of a
// connection. Used by the server's own files only.
#ifndef NET_SERVER_CONN_H
#define NET_SERVER_CONN_H

#include "net/http1.h"
#include "net/server.h"

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
    // Set by an event stream: called on the loop when the client said something or left, or when
    // the server stops.
    void (*wake_fn)(void *ctx);
    void *wake_ctx;
};

struct HttpReply {
    ServerConn *conn;
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
    bool stopping;
    int64_t date_s; // second that `date` shows
    char date[40];
};

// Serves requests until the connection is idle (true) or must be closed (false).
bool http1_serve(ServerConn *conn);
// "Sun, 06 Nov 1994 08:49:37 GMT" of now (RFC 9110 section 5.6.7).
const char *server_date(HttpServer *server);

#endif
