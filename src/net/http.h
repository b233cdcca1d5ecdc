// HttpClient: sends a request and parks the calling fiber until the answer is there.
//
// An HttpContext is what all clients of one loop share: buffers, limits, and the seams to name
// resolution, TLS and the guard rail. An HttpClient is one user's view: its own keep-alive
// connections (as a browser, or a k6 VU, has). A request names an HttpOrigin, prepared once.
//
//     HttpContext *ctx = http_context_create(&(HttpContextOptions){.loop = loop});
//     HttpClient *client = http_client_create(ctx);
//     HttpOrigin origin;
//     rc = http_origin_init(&origin, &url, e);
//     HttpResponse response = http_response_create(NULL);
//     rc = http_client_do(client, &(HttpRequest){.origin = &origin, .method = SLICE("GET"),
//                         .target = SLICE("/"), .timeout_ns = 60 * NS_PER_S}, &response, e);
//     ... response.status, response.timings, http_head_get(&response.head, ...)
//     http_response_done(&response);
//
// Where the same request is sent again and again, `wire` holds its head serialised once by
// http_request_wire(). After warm-up a request allocates nothing; an idle connection holds no
// buffer.
//
// HTTP/2 is spoken where TLS negotiates it, or where the origin says h2c. A client's requests to
// one origin then share a connection, as far as the server allows streams.
//
// Several fibers may use one client at the same time (k6's batch); each brings its own response. On
// a shared connection body_fn may be called from another fiber of the client: it must not park.
// Everything is for the loop's thread.
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include "net/error_code.h"
#include "net/http1.h"
#include "net/http_head.h"
#include "net/stream.h"
#include "net/url.h"

typedef struct HttpContext HttpContext;
typedef struct HttpClient HttpClient;

// ---- seams

enum { HTTP_ADDRS_MAX = 16 };

typedef struct NetResolver {
    // Addresses for a name, best first, 1..max of them. ERR_NOT_FOUND: no such host, ERR_DNS,
    // ERR_TIMEOUT, ERR_REFUSED for a blocked name. Parks the fiber.
    int (*resolve)(void *ctx, Slice host, uint16_t port, int64_t deadline_ns, NetAddr *ret_addrs,
                   size_t max, size_t *ret_count, Err *e);
    void *ctx;
} NetResolver;

typedef struct TlsResult {
    bool h2;             // ALPN chose HTTP/2
    const char *version; // "tls1.3" as k6 names it; literals
    const char *cipher;  //
    int error_code;      // NET_TLS_* after a failure
} TlsResult;

typedef struct TlsConnector {
    // Handshakes over `tcp`, which it takes over, also when it fails. Parks the fiber; the deadline
    // is the stream's.
    int (*connect)(void *ctx, TcpStream *tcp, Slice host, TlsResult *ret_tls, Stream **ret_stream,
                   Err *e);
    void *ctx;
} TlsConnector;

typedef struct HttpContextOptions {
    Loop *loop;
    const NetResolver *resolver; // NULL: numeric addresses and "localhost" only
    const TlsConnector *tls;     // NULL: https is ERR_UNSUPPORTED
    const ConnectFilter *filter; // NULL: everything is allowed
    NetAddr local;               // source address; len 0: the system's choice
    size_t idle_max;             // idle connections a client keeps; 0: HTTP_IDLE_MAX
    size_t idle_per_origin_max;  // 0: HTTP_IDLE_PER_ORIGIN_MAX
    int64_t idle_ns;             // an older idle connection is not used; 0: HTTP_IDLE_NS
    int64_t connect_timeout_ns;  // for one address; 0: HTTP_CONNECT_NS
} HttpContextOptions;

// k6's defaults (options batch and batchPerHost).
enum { HTTP_IDLE_MAX = 20, HTTP_IDLE_PER_ORIGIN_MAX = 6, HTTP_READ_BYTES = 16 << 10 };
#define HTTP_IDLE_NS    (90 * NS_PER_S)
#define HTTP_CONNECT_NS (30 * NS_PER_S)

HttpContext *http_context_create(const HttpContextOptions *options);
void http_context_destroy(HttpContext *ctx); // after its clients; NULL is fine

HttpClient *http_client_create(HttpContext *ctx);
void http_client_destroy(HttpClient *client); // no fiber is inside; NULL is fine
void http_client_close_idle(HttpClient *client);
size_t http_client_idle_count(const HttpClient *client);

// ---- requests

// Where a request goes. Not copied: it outlives the requests that name it.
typedef struct HttpOrigin {
    bool tls;
    bool h2c; // HTTP/2 without TLS, by prior knowledge (RFC 9113 section 3.3); set it after init
    uint16_t port;
    uint64_t key;  // hash of host, port and tls
    Slice host;    // in `authority`
    Buf authority; // "host:port" as in the Host field
} HttpOrigin;

MUST_USE int http_origin_init(HttpOrigin *origin, const Url *url, Err *e);
void http_origin_done(HttpOrigin *origin);

typedef enum HttpBodyMode {
    HTTP_BODY_DISCARD, // counted and forgotten
    HTTP_BODY_KEEP,    // in response->body, up to its ceiling
    HTTP_BODY_STREAM,  // given to body_fn piece by piece
} HttpBodyMode;

typedef struct HttpRequest {
    const HttpOrigin *origin;
    Slice method;
    Slice target; // "/path?query"
    const HttpHeader *headers;
    size_t header_count;
    bool has_body; // send Content-Length even when body is empty
    Slice body;
    // When not empty: the serialised head, instead of target and headers. The method still says
    // whether the answer has a body and whether a retry is safe.
    Slice wire;
    HttpBodyMode body_mode;
    Http1BodyFn *body_fn;
    void *body_ctx;
    int64_t timeout_ns; // for everything; 0: none
    bool no_reuse;      // open a connection for this request and close it after
} HttpRequest;

// Appends the head that http_client_do would send.
MUST_USE int http_request_wire(Buf *out, const HttpRequest *request, Err *e);

// ---- responses

// Nanoseconds, as k6 defines them (reference: its tracer). blocked covers everything until a
// connection is there: lookup, connecting and handshake included.
typedef struct HttpTimings {
    int64_t start_ns; // by the loop's clock
    int64_t end_ns;
    int64_t blocked_ns;
    int64_t looking_up_ns;
    int64_t connecting_ns;
    int64_t tls_handshaking_ns;
    int64_t sending_ns;
    int64_t waiting_ns;   // from the last byte sent to the first received
    int64_t receiving_ns; // 0 when everything came at once
} HttpTimings;

// k6's http_req_duration: sending + waiting + receiving.
static inline int64_t http_timings_duration(const HttpTimings *t)
{
    return t->sending_ns + t->waiting_ns + t->receiving_ns;
}

typedef struct HttpResponse {
    int status;     // 0: there was no answer
    int error_code; // NET_*; also for 4xx and 5xx
    HttpHead head;
    Buf request_head;   // as sent, where the request had no `wire`; empty for HTTP/2
    Buf body;           // HTTP_BODY_KEEP
    int64_t body_bytes; // without chunked coding
    uint64_t bytes_sent;
    uint64_t bytes_received;
    HttpTimings timings;
    NetAddr remote;
    const char *tls_version; // "" without TLS
    const char *tls_cipher;
    bool reused;  // a kept-alive connection
    bool retried; // after that one turned out to be closed
} HttpResponse;

enum { HTTP_BODY_BYTES_MAX = 64 << 20 };

typedef struct HttpResponseLimits {
    HttpLimits head;
    size_t body_bytes_max; // HTTP_BODY_KEEP: a longer body is ERR_LIMIT
} HttpResponseLimits;

// NULL for the default limits. Reused from request to request.
HttpResponse http_response_create(const HttpResponseLimits *limits);
void http_response_done(HttpResponse *response);

// 0 for every complete answer, whatever its status. Otherwise response->error_code says why by k6's
// table, the timings cover what was done, and: ERR_DNS, ERR_NOT_FOUND, ERR_CONNECT, ERR_TLS,
// ERR_TIMEOUT, ERR_REFUSED, ERR_CLOSED, ERR_PROTOCOL, ERR_LIMIT, ERR_CANCELLED, ERR_ARG,
// ERR_UNSUPPORTED, or what body_fn said. `e` may be NULL; then no words are made.
//
// The request is sent before the answer is read: a server that answers while it still reads a body
// larger than the socket's buffers, and waits for its answer to be read, is waited for until the
// deadline.
//
// A kept-alive connection that the peer closed before a byte of the answer came is replaced by a
// fresh one once, where sending twice is harmless (RFC 9110 section 9.2.2, idempotent methods).
MUST_USE int http_client_do(HttpClient *client, const HttpRequest *request, HttpResponse *response,
                            Err *e);

#endif
