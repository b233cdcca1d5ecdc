// http_fetch: a request by URL that follows redirects, as Go's client and so k6 do.
//
//     FetchRequest fetch = {.url = SLICE("http://127.0.0.1:8080/old"), .method = SLICE("GET"),
//                           .redirects_max = FETCH_REDIRECTS_MAX, .hop_fn = record, .ctx = vu};
//     rc = http_fetch(client, &fetch, &response, e);
//
// 301, 302 and 303 turn every method but GET and HEAD into GET without the body; 307 and 308 keep
// method and body. Location is resolved against the URL it came from. An answer without Location,
// and the one that would pass redirects_max, are the result as they are. Referer is sent on as
// browsers do; Authorization, Cookie and their like go no further than the first host and its
// subdomains, once and for all.
//
// For the loop's thread; parks the fiber.
#ifndef NET_FETCH_H
#define NET_FETCH_H

#include "net/http.h"

enum { FETCH_REDIRECTS_MAX = 10 }; // k6's default

typedef struct FetchHop {
    int number; // 0: the request itself
    Slice url;
    Slice method;
    int rc; // of http_client_do
    bool last;
} FetchHop;

typedef struct FetchRequest {
    Slice url;
    Slice method;
    const HttpHeader *headers;
    size_t header_count;
    Slice body;
    bool has_body;
    HttpBodyMode body_mode;
    Http1BodyFn *body_fn;
    void *body_ctx;
    int64_t timeout_ns; // for all hops together; 0: none
    int redirects_max;  // 0: redirects are not followed
    bool h2c;           // HTTP/2 for http URLs, by prior knowledge
    // The response holds the answer to `url` already, and its hop was seen: only what follows is
    // done. For who sends the first request in a faster way.
    bool answered;
    // Before each hop, the first included: may refuse (ERR_REFUSED). NULL: all hosts are allowed.
    // The context's connect filter is asked about addresses all the same.
    int (*allow_host)(void *ctx, Slice host, Err *e);
    // After each hop, with its own response and timings. NULL: nobody wants to know.
    void (*hop_fn)(void *ctx, const FetchHop *hop, const HttpResponse *response);
    void *ctx;
} FetchRequest;

// The response is the last hop's. Codes of http_client_do, ERR_ARG for a URL that is none (1020),
// ERR_REFUSED by allow_host (1111), ERR_PROTOCOL for a Location that leads nowhere.
MUST_USE int http_fetch(HttpClient *client, const FetchRequest *fetch, HttpResponse *response,
                        Err *e);

#endif
