// A VU's requests: fills in what varies, sends, records, checks, extracts.
#include "load/shard.h"
#include "net/decode.h"
#include "net/fetch.h"

static void render(Vu *vu, const Template *t, Buf *out)
{
    buf_reset(out);
    vu_rng(vu); // ready, should a hole ask for a random number
    template_render(t, &vu->scope, out);
}

// ---- building

// Headers with holes are rendered one behind the other into vu->header_text; lengths first,
// because the text moves while it grows.
static int render_headers(Vu *vu, Site *site, HttpRequest *http, Err *e)
{
    const PlanRequest *r = site->request;
    size_t n = http->header_count;
    if (n > vu->header_capacity) {
        vu->headers = mem_realloc(vu->headers, n * sizeof *vu->headers);
        vu->header_capacity = n;
    }
    buf_reset(&vu->header_text);
    for (size_t i = 0; i < n; i++) {
        vu->headers[i] = http->headers[i];
        if (i < r->header_count && !r->headers[i].value.is_static) {
            size_t at = vu->header_text.len;
            vu_rng(vu);
            template_render(&r->headers[i].value, &vu->scope, &vu->header_text);
            vu->headers[i].value.len = vu->header_text.len - at;
        }
    }
    size_t at = 0;
    for (size_t i = 0; i < r->header_count; i++) {
        if (!r->headers[i].value.is_static) {
            vu->headers[i].value.ptr = vu->header_text.data + at;
            at += vu->headers[i].value.len;
        }
    }
    http->headers = vu->headers;
    return buf_check(&vu->header_text, "headers", e);
}

static int render_url(Vu *vu, Site *site, HttpRequest *http, Err *e)
{
    Url url;
    Origin *origin;
    render(vu, &site->request->url, &vu->url);
    int rc = buf_check(&vu->url, "URL", e);
    if (rc != 0 || (rc = url_parse(buf_slice(&vu->url), &url, e)) != 0 ||
        (rc = shard_origin(vu->shard, &url, &origin, e)) != 0) {
        return rc;
    }
    buf_reset(&vu->target);
    url_append_target(&vu->target, &url);
    http->origin = &origin->http;
    http->target = buf_slice(&vu->target);
    return origin->guard_rc;
}

static int build(Vu *vu, Site *site, HttpRequest *http, Err *e)
{
    const PlanRequest *r = site->request;
    int rc = 0;
    if (!r->url.is_static) {
        rc = render_url(vu, site, http, e);
    } else {
        rc = site->origin->guard_rc;
    }
    if (rc == 0) {
        rc = render_headers(vu, site, http, e);
    }
    if (rc == 0 && r->has_body && !r->body.is_static) {
        render(vu, &r->body, &vu->body);
        rc = buf_check(&vu->body, "body", e);
        http->body = buf_slice(&vu->body);
    }
    return rc;
}

// ---- recording

// Undoes the coding of a body that checks or extractions will look at. One that does not decode is
// a failed request, as in k6, not only a failed check. A coding not known here is no error, but the
// body cannot be looked at.
static void decode_body(Vu *vu, const Site *site)
{
    HttpResponse *resp = &vu->response;
    vu->answer_body = (Slice){0};
    if (!site->request->needs_body || resp->status == 0) {
        return;
    }
    int rc =
        http_decode_body(&resp->head, buf_slice(&resp->body), &vu->decoded, &vu->answer_body, NULL);
    if (rc != 0) {
        vu->answer_body = (Slice){0};
    }
    if (rc != 0 && rc != ERR_UNSUPPORTED && resp->error_code == NET_OK) {
        resp->error_code = NET_DECOMPRESSION;
    }
}

// Of vu->response.
static void record(Vu *vu, Site *site)
{
    decode_body(vu, site);
    const HttpResponse *resp = &vu->response;
    const HttpTimings *t = &resp->timings;
    Outcome *o = site_outcome(vu, site, resp);
    bool failed = !o->expected;
    recorder_count(o->reqs, 1);
    recorder_rate(o->failed, failed);
    recorder_trend(o->duration, http_timings_duration(t));
    recorder_trend(o->blocked, t->blocked_ns);
    recorder_trend(o->connecting, t->connecting_ns);
    recorder_trend(o->tls, t->tls_handshaking_ns);
    recorder_trend(o->sending, t->sending_ns);
    recorder_trend(o->waiting, t->waiting_ns);
    recorder_trend(o->receiving, t->receiving_ns);
    if (o->corrected && vu->intended_ns >= 0) {
        if (!o->complete) {
            // It has no response time; leaving it out would flatter the percentiles.
            recorder_trend_infinite(o->corrected);
        } else {
            recorder_trend(o->corrected,
                           t->end_ns - (vu->first_request ? vu->intended_ns : t->start_ns));
        }
    }
    recorder_count(site->sent, (int64_t)resp->bytes_sent);
    recorder_count(site->received, (int64_t)resp->bytes_received);
    ShardCounters *c = &vu->shard->counters;
    c->requests++;
    c->failed += failed;
    c->bytes_sent += (int64_t)resp->bytes_sent;
    c->bytes_received += (int64_t)resp->bytes_received;
    shard_spend(vu->shard, 1, (int64_t)(resp->bytes_sent + resp->bytes_received));
}

// ---- checks and values

// False when a value without a default was missing.
static bool check_and_extract(Vu *vu, Site *site, const HttpResponse *resp)
{
    const PlanRequest *r = site->request;
    bool complete = true;
    if (r->check_count == 0 && r->extract_count == 0) {
        return true;
    }
    CheckAnswer answer = {
        .status = resp->status,
        .head = resp->status ? &resp->head : NULL,
        .duration_ns = http_timings_duration(&resp->timings),
        .body = vu->answer_body,
    };
    for (size_t i = 0; i < r->check_count; i++) {
        recorder_rate(site->checks[i], check_holds(&r->checks[i], &answer, &vu->url));
    }
    for (size_t i = 0; i < r->extract_count; i++) {
        complete = vu_extract(vu, &r->extracts[i], &answer) && complete;
    }
    return complete;
}

// ---- sending

// What the generator itself lacks (descriptors, ports) is no answer of the target: it ends the run.
static bool is_own_failure(const HttpResponse *resp, int rc)
{
    return rc == ERR_LIMIT && resp->status == 0 && resp->bytes_sent == 0;
}

static int send_request(Vu *vu, const HttpRequest *http, Err *e)
{
    const EngineTransport *transport = engine_options(vu->shard->engine)->transport;
    if (transport) {
        return transport->send(transport->ctx, vu->client, http, &vu->response, e);
    }
    return http_client_do(vu->client, http, &vu->response, e);
}

// A request that could not even be made: recorded like one that failed, so that a plan whose URLs
// are wrong shows as failing and not as fast.
static void fail_unsent(Vu *vu, int rc)
{
    HttpResponse *resp = &vu->response;
    int64_t now_ns = loop_clock(vu->shard->loop);
    resp->status = 0;
    resp->error_code = rc == ERR_REFUSED ? NET_BLOCKED_HOST : NET_INVALID_URL;
    resp->timings = (HttpTimings){.start_ns = now_ns, .end_ns = now_ns};
    resp->bytes_sent = resp->bytes_received = 0;
    resp->tls_version = "";
    http_head_reset(&resp->head);
    buf_reset(&resp->body);
}

// ---- redirects

typedef struct Following {
    Vu *vu;
    Site *site;
    int rc; // of the last hop
} Following;

// Each hop counts as a request of its own, under the name of the first, as in k6.
static void on_hop(void *ctx, const FetchHop *hop, const HttpResponse *resp)
{
    Following *f = ctx;
    f->rc = hop->rc;
    if (hop->rc != ERR_CANCELLED && !is_own_failure(resp, hop->rc)) {
        record(f->vu, f->site);
    }
}

static int allow_host(void *ctx, Slice host, Err *e)
{
    const Following *f = ctx;
    const EngineNet *net = engine_options(f->vu->shard->engine)->net;
    return net && net->check_host ? net->check_host(net->ctx, host, e) : 0;
}

static bool is_redirect(const HttpResponse *resp)
{
    int s = resp->status;
    return (s == 301 || s == 302 || s == 303 || s == 307 || s == 308) &&
           http_head_get(&resp->head, SLICE("location")).ptr;
}

static int follow(Vu *vu, Site *site, const HttpRequest *http, Err *e)
{
    const PlanRequest *r = site->request;
    HttpResponse *resp = &vu->response;
    Following f = {.vu = vu, .site = site};
    int64_t spent_ns = resp->timings.end_ns - resp->timings.start_ns;
    FetchRequest fetch = {
        .answered = true,
        .url = r->url.is_static ? template_text(&r->url) : buf_slice(&vu->url),
        .method = http->method,
        .headers = http->headers,
        .header_count = http->header_count,
        .body = http->body,
        .has_body = http->has_body,
        .body_mode = http->body_mode,
        .timeout_ns = r->timeout_ns > spent_ns ? r->timeout_ns - spent_ns : 1,
        .redirects_max = r->max_redirects,
        .h2c = http->origin->h2c,
        .allow_host = allow_host,
        .hop_fn = on_hop,
        .ctx = &f,
    };
    int rc = http_fetch(vu->client, &fetch, resp, e);
    if (rc != 0 && f.rc == 0) {
        // No hop was made: the host was refused, or Location is no URL.
        fail_unsent(vu, rc);
        record(vu, site);
    }
    return rc;
}

// ---- a request

int vu_request(Vu *vu, Site *site, bool *ret_failed, Err *e)
{
    HttpResponse *resp = &vu->response;
    HttpRequest http = site->http;
    int rc = site->is_static ? site->origin->guard_rc : build(vu, site, &http, e);
    if (rc != 0) {
        fail_unsent(vu, rc);
        rc = 0;
    } else {
        rc = send_request(vu, &http, e);
    }
    if (rc != ERR_CANCELLED && !is_own_failure(resp, rc)) {
        record(vu, site);
        vu->first_request = false;
        if (rc == 0 && site->request->max_redirects > 0 && is_redirect(resp)) {
            rc = follow(vu, site, &http, e);
        }
    }
    if (rc == ERR_CANCELLED) {
        return rc;
    }
    if (is_own_failure(resp, rc)) {
        shard_fail(vu->shard, "file descriptors or local ports ran out");
        return rc;
    }
    *ret_failed = !site_outcome(vu, site, resp)->expected;
    return check_and_extract(vu, site, resp)
               ? 0
               : err_set(e, ERR_NOT_FOUND, "answered without a value that is needed later");
}
