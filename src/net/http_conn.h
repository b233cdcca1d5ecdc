// What the client's pool knows about a connection, and what a codec (HTTP/1 here, HTTP/2 beside it)
// implements. Used by the client's own files only.
#ifndef NET_HTTP_CONN_H
#define NET_HTTP_CONN_H

#include "net/http.h"

typedef struct HttpConn HttpConn;

// One request on its way.
typedef struct HttpExchange {
    HttpContext *ctx;
    const HttpRequest *request;
    HttpResponse *response;
    int64_t deadline_ns;
    bool answer_began; // a byte of the response came: no retry any more
    bool idempotent;
} HttpExchange;

typedef struct HttpConnOps {
    // Sends and receives; fills status, head, body, the timings from sending on. Sets
    // conn->reusable when the connection may carry another request.
    int (*exchange)(HttpConn *conn, HttpExchange *x, Err *e);
    // Room for another request now: an HTTP/1 connection is taken out of the pool while it works,
    // an HTTP/2 one stays in as long as streams are free.
    bool shared;
    void (*destroy)(HttpConn *conn); // the codec's state only; may be NULL
} HttpConnOps;

struct HttpConn {
    const HttpConnOps *ops;
    HttpConn *next;
    Stream *stream;
    TcpStream *tcp; // below `stream`, or the same
    HttpClient *client;
    void *codec; // HTTP/2's state
    int64_t idle_since_ns;
    uint64_t origin_key;
    const char *tls_version;
    const char *tls_cipher;
    uint16_t port;
    bool tls;
    bool reusable;
    size_t host_len;
    char host[]; // of the origin
};

// A buffer of HTTP_READ_BYTES, lent by the context while bytes are read and parsed.
char *http_context_lend(HttpContext *ctx);
void http_context_give_back(HttpContext *ctx, char *buffer);
Loop *http_context_loop(const HttpContext *ctx);

extern const HttpConnOps http1_conn_ops;

#endif
