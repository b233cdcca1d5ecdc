// LlmHttp: libcurl's multi interface on our loop, one pool of connections a provider.
//
// An exchange is begun, read and ended by one fiber; reading parks it. libcurl is entered from the
// loop only (its sockets and its timer are watchers of the loop), so TLS and name lookup never run
// on a fiber's small stack. Nothing follows redirects: a key must not travel to another host.
//
//     rc = llm_http_begin(http, &request, &x, e);
//     while ((rc = llm_http_read(x, deadline, &bytes, e)) == 0 && bytes.len > 0) { ... }
//     int status = llm_http_status(x);
//     llm_http_end(x);                      // always; gives up what is still under way
//
// Everything is for the loop's thread.
#ifndef LLM_HTTP_H
#define LLM_HTTP_H

#include "base/buf.h"
#include "os/fiber.h"

struct sockaddr;

typedef struct LlmHttp LlmHttp;
typedef struct LlmExchange LlmExchange;

// Zero takes the default named beside it.
typedef struct LlmHttpOptions {
    Loop *loop;
    Slice host;                         // of all URLs, for `allow` and for messages; borrowed
    int64_t max_connections;            // 50; requests beyond wait their turn
    int64_t min_connections;            // 0: kept open and warm by HEAD requests to `warm_url`
    const char *warm_url;               //
    int64_t connection_timeout_ns;      // 10 s
    int64_t idle_timeout_ns;            // 300 s: older idle connections are not used again
    int64_t max_connection_lifetime_ns; // 3600 s
    bool tls;                           // URLs are https: a connection may carry many requests
    bool no_reuse;                      // a new connection for every request
    const char *ca_file;                // NULL: the system's
    // Asked for every address before a socket is opened; NULL allows all.
    int (*allow)(void *ctx, Slice host, const struct sockaddr *address, Err *e);
    void *allow_ctx;
} LlmHttpOptions;

enum { LLM_HTTP_BODY_MAX = 32 << 20, LLM_HTTP_HEADERS_MAX = 64 << 10, LLM_HTTP_LINES_MAX = 16 };

MUST_USE int llm_http_create(const LlmHttpOptions *options, LlmHttp **ret_http, Err *e);
void llm_http_destroy(LlmHttp *http); // no exchange is open; NULL is fine

// Everything is borrowed until llm_http_end.
typedef struct LlmHttpRequest {
    const char *method; // "POST", "GET", "DELETE"
    const char *url;
    Slice body;                            // sent with POST
    const char *lines[LLM_HTTP_LINES_MAX]; // whole header lines
    size_t line_count;
} LlmHttpRequest;

// Parks until one of max_connections is free. ERR_TIMEOUT, ERR_CANCELLED, ERR_IO.
MUST_USE int llm_http_begin(LlmHttp *http, const LlmHttpRequest *request, int64_t deadline_ns,
                            LlmExchange **ret_x, Err *e);
// The next bytes of the body as they arrive; empty at its end. Good until the next call. ERR_DNS,
// ERR_CONNECT, ERR_TLS, ERR_CLOSED, ERR_REFUSED (by `allow`), ERR_TIMEOUT, ERR_CANCELLED.
MUST_USE int llm_http_read(LlmExchange *x, int64_t deadline_ns, Slice *ret_bytes, Err *e);
int llm_http_status(const LlmExchange *x); // 0 before the head came
// Lower-case name; empty when it is not there.
Slice llm_http_header(const LlmExchange *x, const char *name);
// Walks the headers; *position starts at 0.
bool llm_http_next_header(const LlmExchange *x, size_t *position, Slice *ret_name,
                          Slice *ret_value);
bool llm_http_is_h2(const LlmExchange *x);
void llm_http_end(LlmExchange *x); // NULL is fine

uint64_t llm_http_connections_opened(const LlmHttp *http);

#endif
