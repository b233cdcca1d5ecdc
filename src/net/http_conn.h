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
    bool unprocessed; // the peer said that it did nothing with it: sending again is safe
} HttpExchange;

typedef struct HttpConnOps {
    // Sends and receives; fills status, head, body, the timings from sending on. Sets
    // conn->reusable when the connection may carry another request.
    int (*exchange)(HttpConn *conn, HttpExchange *x, Err *e);
    // Room for another request now. NULL: one at a time; such a connection is taken out of the pool
    // while it works, the others stay in as long as they may take new requests.
    bool (*has_room)(const HttpConn *conn);
    void (*destroy)(HttpConn *conn); // the codec's state only; may be NULL
} HttpConnOps;

struct HttpConn {
    const HttpConnOps *ops;
    HttpConn *next;
    Stream *stream;
    TcpStream *tcp; // below `stream`, or the same
    HttpClient *client;
    void *codec;    // HTTP/2's state
    unsigned users; // requests on their way
    bool listed;    // in the client's pool
    bool h2c;
    // Bytes that were charged to a request already. Requests that share a connection are charged
    // what came and went since the last one ended, so that sums are exact.
    uint64_t counted_in;
    uint64_t counted_out;
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
// What HTTP/2 sessions allocate from; made at the first use.
struct Http2Memory *http_context_http2_memory(HttpContext *ctx);

extern const HttpConnOps http1_conn_ops;
extern const HttpConnOps http2_conn_ops;

// Makes a fresh connection one of HTTP/2.
void http2_conn_start(HttpConn *conn, HttpContext *ctx);

#endif
