// Sites: requests compiled for one place in one scenario, on one shard. What does not change from
// request to request is serialised once, and each outcome has its series ready, so the hot path
// builds no label and looks up no map.
#include "load/shard.h"

static void put(Label out[LABELS_MAX], size_t *n, Slice key, Slice value)
{
    if (value.len > 0 && *n < LABELS_MAX) {
        out[(*n)++] = (Label){key, value};
    }
}

static void put_all(Label out[LABELS_MAX], size_t *n, Labels labels)
{
    for (size_t i = 0; i < labels.count; i++) {
        put(out, n, labels.items[i].key, labels.items[i].value);
    }
}

// The recorder keeps the first of equal keys: a tag cannot replace a system label, and a narrower
// tag replaces a wider one.
size_t labels_base(const Shard *shard, const PlanScenario *scenario, Slice group,
                   const PlanRequest *request, Label out[LABELS_MAX])
{
    size_t n = 0;
    put(out, &n, SLICE("group"), group);
    if (request) {
        put(out, &n, SLICE("name"), request->name);
        put(out, &n, SLICE("url"), request->name);
        put(out, &n, SLICE("method"), request->method);
        put_all(out, &n, request->labels);
    }
    if (scenario) {
        put(out, &n, SLICE("scenario"), scenario->name);
        put_all(out, &n, scenario->labels);
    }
    put_all(out, &n, engine_plan(shard->engine)->labels);
    return n;
}

// ---- origins

int shard_origin(Shard *shard, const Url *url, Origin **ret_origin, Err *e)
{
    for (Origin *o = shard->origins; o; o = o->next) {
        if (o->http.port == url->port && o->http.tls == url->tls &&
            slice_eq(o->http.host, url->host)) {
            *ret_origin = o;
            return 0;
        }
    }
    if (shard->origin_count >= ENGINE_ORIGINS_MAX) {
        return err_set(e, ERR_LIMIT, "requests go to more than %d hosts", ENGINE_ORIGINS_MAX);
    }
    Origin *o = ARENA_NEW(shard->arena, Origin);
    int rc = http_origin_init(&o->http, url, e);
    if (rc != 0) {
        http_origin_done(&o->http);
        return rc;
    }
    const PlanEnvironment *env = engine_plan(shard->engine)->environment;
    o->http.h2c = env && env->http2_prior_knowledge && !url->tls;
    const EngineNet *net = engine_options(shard->engine)->net;
    if (net && net->check_host) {
        o->guard_rc = net->check_host(net->ctx, o->http.host, e);
    }
    o->next = shard->origins;
    shard->origins = o;
    shard->origin_count++;
    *ret_origin = o;
    return 0;
}

// ---- sites

static bool headers_are_static(const PlanRequest *r)
{
    for (size_t i = 0; i < r->header_count; i++) {
        if (!r->headers[i].value.is_static) {
            return false;
        }
    }
    return true;
}

static bool has_header(const PlanRequest *r, Slice name)
{
    for (size_t i = 0; i < r->header_count; i++) {
        if (slice_eq_nocase(r->headers[i].name, name)) {
            return true;
        }
    }
    return false;
}

// The plan's headers, then ours. Values of templates are filled in for each request.
static void make_headers(Shard *shard, Site *site)
{
    const PlanRequest *r = site->request;
    const Plan *plan = engine_plan(shard->engine);
    HttpHeader *h = ARENA_ARRAY(shard->arena, HttpHeader, r->header_count + 2);
    size_t n = 0;
    for (; n < r->header_count; n++) {
        h[n] = (HttpHeader){.name = r->headers[n].name,
                            .value = r->headers[n].value.is_static
                                         ? template_text(&r->headers[n].value)
                                         : (Slice){0}};
    }
    if (plan->user_agent.len > 0 && !has_header(r, SLICE("User-Agent"))) {
        h[n++] = (HttpHeader){.name = SLICE("User-Agent"), .value = plan->user_agent};
    }
    Slice run_id = engine_options(shard->engine)->run_id;
    if (plan->run_header.len > 0 && run_id.len > 0) {
        h[n++] = (HttpHeader){.name = plan->run_header, .value = run_id};
    }
    site->http.headers = h;
    site->http.header_count = n;
}

static int make_static(Shard *shard, Site *site, Err *e)
{
    Url url;
    int rc = url_parse(template_text(&site->request->url), &url, e);
    if (rc != 0 || (rc = shard_origin(shard, &url, &site->origin, e)) != 0) {
        return rc;
    }
    Buf target = buf_create(URL_BYTES_MAX);
    url_append_target(&target, &url);
    rc = buf_check(&target, "request target", e);
    site->http.origin = &site->origin->http;
    site->http.target = arena_copy(shard->arena, buf_slice(&target));
    buf_done(&target);
    if (rc == 0 && site->is_static) {
        rc = http_request_wire(&site->wire, &site->http, e);
        site->http.wire = buf_slice(&site->wire);
    }
    return rc;
}

static void make_series(Shard *shard, const PlanScenario *scenario, Slice group, Site *site)
{
    const PlanRequest *r = site->request;
    Label labels[LABELS_MAX];
    size_t n = labels_base(shard, scenario, group, NULL, labels);
    site->sent = recorder_series(shard->recorder, M_DATA_SENT, labels, n);
    site->received = recorder_series(shard->recorder, M_DATA_RECEIVED, labels, n);
    site->checks = ARENA_ARRAY(shard->arena, RecorderSeries *, r->check_count + 1);
    for (size_t i = 0; i < r->check_count; i++) {
        Label with_check[LABELS_MAX] = {{SLICE_INIT("check"), r->checks[i].name}};
        size_t m = 1;
        for (size_t k = 0; k < n; k++) {
            put(with_check, &m, labels[k].key, labels[k].value);
        }
        site->checks[i] = recorder_series(shard->recorder, M_CHECKS, with_check, m);
    }
    n = labels_base(shard, scenario, group, r, labels);
    Label *copy = ARENA_ARRAY(shard->arena, Label, n + 1);
    memcpy(copy, labels, n * sizeof *copy);
    site->base = (Labels){copy, n};
}

int site_create(Shard *shard, const PlanRequest *r, const PlanScenario *scenario, Slice group,
                Site **ret_site, Err *e)
{
    const Plan *plan = engine_plan(shard->engine);
    Site *site = ARENA_NEW(shard->arena, Site);
    site->request = r;
    site->wire = buf_create(HTTP_HEAD_BYTES_MAX);
    site->is_static =
        r->url.is_static && headers_are_static(r) && (!r->has_body || r->body.is_static);
    site->http = (HttpRequest){
        .method = r->method,
        .has_body = r->has_body,
        .body = r->has_body && r->body.is_static ? template_text(&r->body) : (Slice){0},
        .body_mode = r->needs_body || !plan->discard_bodies ? HTTP_BODY_KEEP : HTTP_BODY_DISCARD,
        .timeout_ns = r->timeout_ns,
        .no_reuse = plan->no_connection_reuse,
    };
    make_headers(shard, site);
    make_series(shard, scenario, group, site);
    *ret_site = site;
    if (!r->url.is_static) {
        return 0;
    }
    int rc = make_static(shard, site, e);
    return rc == 0 ? 0 : (err_wrap(e, "request \"%.*s\"", SLICE_FMT(r->name)), rc);
}

void site_done(Site *site)
{
    if (site) {
        buf_done(&site->wire);
    }
}

// ---- outcomes

// An answer that broke off carries the code of its failure, not of its status.
static bool is_complete(const HttpResponse *response)
{
    return response->status != 0 &&
           response->error_code == net_error_code_of_status(response->status);
}

// Without a rule of the plan: 200 to 399, as k6's http_req_failed.
static bool is_expected(const PlanRequest *r, const HttpResponse *response)
{
    static const StatusRange usual = {200, 399};
    return is_complete(response) &&
           (r->expected_count > 0 ? status_in(r->expected, r->expected_count, response->status)
                                  : status_in(&usual, 1, response->status));
}

static void outcome_series(Recorder *r, Outcome *o, const Label *labels, size_t n)
{
    o->reqs = recorder_series(r, M_HTTP_REQS, labels, n);
    o->failed = recorder_series(r, M_HTTP_REQ_FAILED, labels, n);
    o->duration = recorder_series(r, M_HTTP_REQ_DURATION, labels, n);
    o->blocked = recorder_series(r, M_HTTP_REQ_BLOCKED, labels, n);
    o->connecting = recorder_series(r, M_HTTP_REQ_CONNECTING, labels, n);
    o->tls = recorder_series(r, M_HTTP_REQ_TLS_HANDSHAKING, labels, n);
    o->sending = recorder_series(r, M_HTTP_REQ_SENDING, labels, n);
    o->waiting = recorder_series(r, M_HTTP_REQ_WAITING, labels, n);
    o->receiving = recorder_series(r, M_HTTP_REQ_RECEIVING, labels, n);
}

static Outcome *add_outcome(Shard *shard, bool open_model, Site *site, const HttpResponse *resp,
                            bool http2)
{
    Outcome *o = ARENA_NEW(shard->arena, Outcome);
    *o = (Outcome){
        .next = site->outcomes,
        .status = resp->status,
        .error_code = resp->error_code,
        .http2 = http2,
        .complete = is_complete(resp),
        .expected = is_expected(site->request, resp),
        .tls_version = resp->tls_version,
    };
    char status[16];
    char code[16];
    (void)snprintf(status, sizeof status, "%d", resp->status);
    (void)snprintf(code, sizeof code, "%d", resp->error_code);
    Label labels[LABELS_MAX];
    size_t n = 0;
    put(labels, &n, SLICE("status"), slice_from_cstr(status));
    if (resp->status != 0) {
        put(labels, &n, SLICE("proto"), http2 ? SLICE("HTTP/2.0") : SLICE("HTTP/1.1"));
    }
    if (!o->complete) {
        put(labels, &n, SLICE("error"), slice_from_cstr(net_error_name(resp->error_code)));
    }
    put(labels, &n, SLICE("expected_response"), o->expected ? SLICE("true") : SLICE("false"));
    if (resp->error_code != 0) {
        put(labels, &n, SLICE("error_code"), slice_from_cstr(code));
    }
    put(labels, &n, SLICE("tls_version"), slice_from_cstr(resp->tls_version));
    put_all(labels, &n, site->base);
    outcome_series(shard->recorder, o, labels, n);
    if (open_model) {
        o->corrected = recorder_series(shard->recorder, M_HTTP_REQ_CORRECTED_DURATION, labels, n);
    }
    site->outcomes = o;
    return o;
}

// A handful of outcomes a site: the list is searched in order.
Outcome *site_outcome(Vu *vu, Site *site, const HttpResponse *resp)
{
    bool http2 = resp->head.version_major == 2 && resp->status != 0;
    for (Outcome *o = site->outcomes; o; o = o->next) {
        if (o->status == resp->status && o->error_code == resp->error_code && o->http2 == http2 &&
            o->tls_version == resp->tls_version) {
            return o;
        }
    }
    return add_outcome(vu->shard, vu->intended_ns >= 0, site, resp, http2);
}

// ---- steps

static int action_init(Shard *shard, const PlanScenario *scenario, Slice group,
                       const PlanStep *step, Action *a, Err *e)
{
    a->step = step;
    switch (step->kind) {
    case STEP_REQUEST: return site_create(shard, step->request, scenario, group, &a->site, e);
    case STEP_THINK: return 0;
    case STEP_GROUP: {
        if (step->group.len == 0) {
            break; // several steps where one is asked for; they stay in the group around them
        }
        Label labels[LABELS_MAX];
        size_t n = labels_base(shard, scenario, step->group, NULL, labels);
        a->group_duration = recorder_series(shard->recorder, M_GROUP_DURATION, labels, n);
        group = step->group;
        break;
    }
    case STEP_CHOOSE: break;
    }
    a->child_count = step->step_count;
    return actions_create(shard, scenario, group, step->steps, step->step_count, &a->children, e);
}

int actions_create(Shard *shard, const PlanScenario *scenario, Slice group, const PlanStep *steps,
                   size_t count, Action **ret, Err *e)
{
    Action *actions = ARENA_ARRAY(shard->arena, Action, count + 1);
    for (size_t i = 0; i < count; i++) {
        int rc = action_init(shard, scenario, group, &steps[i], &actions[i], e);
        if (rc != 0) {
            return rc;
        }
    }
    *ret = actions;
    return 0;
}

void actions_done(Action *actions, size_t count)
{
    for (size_t i = 0; actions && i < count; i++) {
        site_done(actions[i].site);
        actions_done(actions[i].children, actions[i].child_count);
    }
}
