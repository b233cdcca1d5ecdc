#include "net/fetch.h"

typedef struct Hop {
    int number;
    Slice method;
    bool with_body;
    bool cross;    // another host than the first: no secrets
    bool own_host; // the Host field given still means this server
    Buf url;
    Buf referer;
    Url parsed;
} Hop;

// Go's net/http, shouldCopyHeaderOnRedirect.
static bool is_secret(Slice name)
{
    static const char *const names[] = {
        "authorization", "www-authenticate",    "cookie",
        "cookie2",       "proxy-authorization", "proxy-authenticate"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (slice_eq_nocase(name, slice_from_cstr(names[i]))) {
            return true;
        }
    }
    return false;
}

static bool is_about_body(Slice name)
{
    return name.len > 8 && slice_eq_nocase(slice_sub(name, 0, 8), SLICE("content-"));
}

static bool keeps(const Hop *hop, Slice name)
{
    return !(hop->cross && is_secret(name)) && !(!hop->with_body && is_about_body(name)) &&
           !(!hop->own_host && slice_eq_nocase(name, SLICE("host"))) &&
           !(hop->referer.len > 0 && slice_eq_nocase(name, SLICE("referer")));
}

// Fields of the hop into `out`, which has room for one more than were given.
static size_t fields_of(const FetchRequest *fetch, const Hop *hop, HttpHeader *out)
{
    size_t count = 0;
    for (size_t i = 0; i < fetch->header_count; i++) {
        if (hop->number == 0 || keeps(hop, fetch->headers[i].name)) {
            out[count++] = fetch->headers[i];
        }
    }
    if (hop->referer.len > 0) {
        out[count++] = (HttpHeader){SLICE("Referer"), buf_slice(&hop->referer)};
    }
    return count;
}

static int run_hop(HttpClient *client, const FetchRequest *fetch, const Hop *hop,
                   int64_t timeout_ns, HttpResponse *response, Err *e)
{
    HttpOrigin origin = {0};
    int rc = http_origin_init(&origin, &hop->parsed, e);
    origin.h2c = fetch->h2c && !hop->parsed.tls;
    Buf target = buf_create(URL_BYTES_MAX + 1);
    url_append_target(&target, &hop->parsed);
    HttpHeader *headers = mem_alloc((fetch->header_count + 1) * sizeof *headers);
    HttpRequest request = {
        .origin = &origin,
        .method = hop->method,
        .target = buf_slice(&target),
        .headers = headers,
        .header_count = fields_of(fetch, hop, headers),
        .has_body = hop->with_body && fetch->has_body,
        .body = hop->with_body ? fetch->body : (Slice){NULL, 0},
        .body_mode = fetch->body_mode,
        .body_fn = fetch->body_fn,
        .body_ctx = fetch->body_ctx,
        .timeout_ns = timeout_ns,
    };
    if (rc == 0) {
        rc = http_client_do(client, &request, response, e);
    }
    free(headers);
    buf_done(&target);
    http_origin_done(&origin);
    return rc;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool is_below(Slice host, Slice first)
{
    if (slice_eq_nocase(host, first)) {
        return true;
    }
    size_t extra = host.len - first.len;
    return host.len > first.len + 1 && host.ptr[extra - 1] == '.' &&
           slice_eq_nocase(slice_sub(host, extra, first.len), first);
}

// What the next hop says about where it comes from (Go's refererForURL).
static void set_referer(Hop *hop, const FetchRequest *fetch, const Url *next)
{
    buf_reset(&hop->referer);
    if (hop->parsed.tls && !next->tls) {
        return;
    }
    for (size_t i = 0; i < fetch->header_count; i++) {
        if (slice_eq_nocase(fetch->headers[i].name, SLICE("referer"))) {
            buf_append(&hop->referer, fetch->headers[i].value);
            return;
        }
    }
    buf_puts(&hop->referer, hop->parsed.tls ? "https://" : "http://");
    url_append_authority(&hop->referer, &hop->parsed);
    url_append_target(&hop->referer, &hop->parsed);
}

static int parse_hop(const FetchRequest *fetch, Slice text, Url *ret_url, HttpResponse *response,
                     Err *e)
{
    int rc = url_parse(text, ret_url, e);
    if (rc != 0) {
        response->error_code = NET_INVALID_URL;
        return rc;
    }
    if (fetch->allow_host && (rc = fetch->allow_host(fetch->ctx, ret_url->host, e)) != 0) {
        response->error_code = NET_BLOCKED_HOST;
    }
    return rc;
}

// Without a scheme, that is: no colon before the first slash.
static bool is_relative(Slice location)
{
    ptrdiff_t colon = slice_find_byte(location, ':');
    ptrdiff_t slash = slice_find_byte(location, '/');
    return colon < 0 || (slash >= 0 && slash < colon);
}

// Turns `hop` into the one that the answer asks for.
static int next_hop(const FetchRequest *fetch, Slice first_host, Slice location, Hop *hop,
                    HttpResponse *response, Err *e)
{
    Buf text = buf_create(URL_BYTES_MAX);
    Url next;
    int rc = url_resolve(&hop->parsed, location, &text, e);
    if (rc == 0) {
        rc = parse_hop(fetch, buf_slice(&text), &next, response, e);
    } else {
        response->error_code = NET_INVALID_URL;
    }
    if (rc != 0) {
        buf_done(&text);
        return rc == ERR_ARG || rc == ERR_LIMIT ? ERR_PROTOCOL : rc;
    }
    set_referer(hop, fetch, &next);
    hop->own_host = hop->own_host && is_relative(location);
    hop->cross = hop->cross || !is_below(next.host, first_host);
    int status = response->status;
    if (status <= 303) {
        hop->with_body = false;
        if (!slice_eq_cstr(hop->method, "HEAD")) {
            hop->method = SLICE("GET");
        }
    }
    hop->number++;
    buf_done(&hop->url);
    hop->url = text;
    hop->parsed = next;
    return 0;
}

static void report(const FetchRequest *fetch, const Hop *hop, int rc, bool last,
                   const HttpResponse *response)
{
    if (fetch->hop_fn) {
        FetchHop seen = {.number = hop->number,
                         .url = buf_slice(&hop->url),
                         .method = hop->method,
                         .rc = rc,
                         .last = last};
        fetch->hop_fn(fetch->ctx, &seen, response);
    }
}

static int follow(HttpClient *client, const FetchRequest *fetch, Hop *hop, HttpResponse *response,
                  Err *e)
{
    Loop *loop = fiber_loop();
    int64_t deadline_ns =
        fetch->timeout_ns > 0 ? clock_deadline(loop_clock(loop), fetch->timeout_ns) : NEVER_NS;
    Slice first_host = hop->parsed.host; // in fetch->url, which outlives the hops
    for (;;) {
        int64_t left_ns = deadline_ns == NEVER_NS ? 0 : deadline_ns - loop_clock(loop);
        if (deadline_ns != NEVER_NS && left_ns < 1) {
            left_ns = 1; // the client says that it timed out
        }
        bool done = fetch->answered && hop->number == 0;
        int rc = done ? 0 : run_hop(client, fetch, hop, left_ns, response, e);
        Slice location =
            rc == 0 ? http_head_get(&response->head, SLICE("location")) : (Slice){NULL, 0};
        bool more = rc == 0 && is_redirect(response->status) && location.ptr &&
                    hop->number < fetch->redirects_max;
        if (!done) {
            report(fetch, hop, rc, !more, response);
        }
        if (!more) {
            return rc;
        }
        if ((rc = next_hop(fetch, first_host, location, hop, response, e)) != 0) {
            return rc;
        }
    }
}

int http_fetch(HttpClient *client, const FetchRequest *fetch, HttpResponse *response, Err *e)
{
    Hop hop = {.method = fetch->method,
               .with_body = true,
               .own_host = true,
               .url = buf_create(URL_BYTES_MAX),
               .referer = buf_create(2 * URL_BYTES_MAX)};
    response->status = fetch->answered ? response->status : 0;
    buf_append(&hop.url, fetch->url);
    int rc = parse_hop(fetch, fetch->url, &hop.parsed, response, e);
    if (rc == 0) {
        rc = follow(client, fetch, &hop, response, e);
    }
    buf_done(&hop.url);
    buf_done(&hop.referer);
    return rc;
}
