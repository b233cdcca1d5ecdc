// Requests: named ones, ones written in place, and the one that a small plan has at its top.
#include "load/plan_read.h"

#include "base/json_write.h"
#include "load/schedule.h"
#include "net/http_head.h"
#include "net/url.h"
#include "os/file.h"

// RFC 9110 section 9.2.1: these do not change what they ask for.
static bool is_safe(Slice method)
{
    static const Slice safe[] = {SLICE_INIT("GET"), SLICE_INIT("HEAD"), SLICE_INIT("OPTIONS"),
                                 SLICE_INIT("TRACE")};
    for (size_t i = 0; i < COUNT_OF(safe); i++) {
        if (slice_eq(safe[i], method)) {
            return true;
        }
    }
    return false;
}

static void read_method(PlanReader *r, const Doc *d, Slice text, PlanRequest *request)
{
    char upper[32];
    if (text.len == 0) {
        request->method = SLICE("GET");
        return;
    }
    if (text.len > sizeof upper || !http_is_token(text)) {
        plan_mistake(r, doc_get(d, SLICE("method")), "\"%.*s\" is no HTTP method", SLICE_FMT(text));
        request->method = SLICE("GET");
        return;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        upper[i] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    request->method = arena_copy(r->arena, (Slice){upper, text.len});
    request->writes = !is_safe(request->method);
}

static bool is_absolute(Slice url)
{
    return slice_starts_with(url, SLICE("http://")) || slice_starts_with(url, SLICE("https://")) ||
           slice_starts_with(url, SLICE("${"));
}

// "/path" behind the target's baseUrl, with one slash between them.
static bool absolute_url(PlanReader *r, const Doc *d, Slice text, Slice *ret)
{
    const PlanEnvironment *env = r->plan->environment;
    if (is_absolute(text)) {
        *ret = text;
        return true;
    }
    if (!slice_starts_with(text, SLICE("/"))) {
        plan_mistake(r, d,
                     "a URL begins with http://, https:// or, behind the environment's "
                     "baseUrl, with /");
        return false;
    }
    if (!env || env->base_url.len == 0) {
        // A mistake in the environments is reported there.
        if (r->plan->environment_count == 0 || env) {
            plan_mistake(r, d,
                         "\"%.*s\" needs a baseUrl before it; declare an environment with "
                         "one, or write the whole URL",
                         SLICE_FMT(text));
        }
        return false;
    }
    Slice base = env->base_url;
    bool slash = slice_ends_with(base, SLICE("/"));
    // The baseUrl is text already; a "${" in it must not become a hole.
    Buf b = buf_create(URL_BYTES_MAX * 2);
    for (size_t i = 0; i + slash < base.len; i++) {
        bool hole = base.ptr[i] == '$' && i + 1 < base.len && base.ptr[i + 1] == '{';
        buf_puts(&b, hole ? "$" : "");
        buf_putc(&b, base.ptr[i]);
    }
    buf_append(&b, text);
    *ret = arena_copy(r->arena, buf_slice(&b));
    bool fits = !b.overflowed;
    buf_done(&b);
    if (!fits) {
        plan_mistake(r, d, "a URL of more than %d bytes", URL_BYTES_MAX);
    }
    return fits;
}

static void read_url(PlanReader *r, const Doc *d, PlanRequest *request)
{
    Slice text = {0}, whole = {0};
    Url url;
    Err e = {0};
    if (!plan_scalar(r, d, "url", &text) || !absolute_url(r, d, text, &whole) ||
        !plan_template(r, d, whole, &request->url)) {
        return;
    }
    if (request->url.is_static && url_parse(template_text(&request->url), &url, &e) != 0) {
        plan_mistake_err(r, d, &e);
    }
}

// ---- headers

static bool read_header(PlanReader *r, const Doc *at, Slice name, const Doc *value, PlanHeader *ret)
{
    Slice text = {0};
    ret->name = name;
    if (!http_is_token(name)) {
        plan_mistake_key(r, at, "\"%.*s\" is no header name", SLICE_FMT(name));
        return false;
    }
    if (!plan_scalar(r, value, "a header", &text) || !plan_template(r, value, text, &ret->value)) {
        return false;
    }
    for (size_t i = 0; i < ret->value.part_count; i++) {
        const TemplatePart *part = &ret->value.parts[i];
        if (part->kind == PART_TEXT && !http_is_field_value(part->text)) {
            plan_mistake(r, value, "a header's value holds no control characters");
            return false;
        }
    }
    return true;
}

static void read_headers(PlanReader *r, const Doc *d, PlanRequest *request)
{
    size_t count = 0;
    if (d->type != DOC_OBJECT) {
        plan_mistake(r, d, "headers must be an object of texts by name, not %s",
                     doc_type_name(d->type));
        return;
    }
    for (const Doc *m = doc_first(d); m; m = doc_next(m)) {
        count += m->type == DOC_ARRAY ? doc_count(m) : 1;
    }
    if (count > PLAN_EXTRACTS_MAX) {
        plan_mistake(r, d, "%zu headers; at most %d", count, PLAN_EXTRACTS_MAX);
        return;
    }
    PlanHeader *headers = ARENA_ARRAY(r->arena, PlanHeader, count + 2); // one for Content-Type
    request->headers = headers;
    for (const Doc *m = doc_first(d); m; m = doc_next(m)) {
        bool is_list = m->type == DOC_ARRAY;
        for (const Doc *v = is_list ? doc_first(m) : m; v; v = is_list ? doc_next(v) : NULL) {
            request->header_count += read_header(r, m, m->key, v, &headers[request->header_count]);
        }
    }
}

static void default_content_type(PlanReader *r, PlanRequest *request)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (slice_eq_nocase(request->headers[i].name, SLICE("Content-Type"))) {
            return;
        }
    }
    PlanHeader *headers = ARENA_ARRAY(r->arena, PlanHeader, request->header_count + 1);
    if (request->header_count > 0) {
        memcpy(headers, request->headers, request->header_count * sizeof *headers);
    }
    headers[request->header_count++] =
        (PlanHeader){SLICE("Content-Type"), template_literal(r->arena, SLICE("application/json"))};
    request->headers = headers;
}

// ---- body

static void read_body_file(PlanReader *r, const Doc *d, bool holes, PlanRequest *request)
{
    Slice path = {0};
    Err e = {0};
    if (!plan_scalar(r, d, "bodyFile", &path)) {
        return;
    }
    Buf text = buf_create(PLAN_BODY_BYTES_MAX);
    if (file_read(plan_path(r, d, path), &text, &e) != 0) {
        plan_mistake(r, d, "bodyFile: %s", e.text);
    } else if (!plan_has_room(r, text.len * (holes ? 16 : 1))) {
        plan_mistake(r, d, "bodyFile: no memory left for %zu bytes; use smaller files", text.len);
    } else {
        Slice copy = arena_copy(r->arena, buf_slice(&text));
        if (!holes) {
            request->body = template_literal(r->arena, copy);
        } else {
            (void)plan_template(r, d, copy, &request->body);
        }
    }
    buf_done(&text);
}

static void read_json_body(PlanReader *r, const Doc *d, bool holes, PlanRequest *request)
{
    Buf text = buf_create(PLAN_BODY_BYTES_MAX);
    JsonWriter w = json_writer(&text, 0);
    doc_write(&w, d);
    Slice copy = arena_copy(r->arena, buf_slice(&text));
    buf_done(&text);
    if (!holes) {
        request->body = template_literal(r->arena, copy);
    } else {
        (void)plan_template(r, d, copy, &request->body);
    }
    default_content_type(r, request);
}

static void read_body(PlanReader *r, const RequestFields *f, PlanRequest *request)
{
    const Doc *sources[] = {f->body, f->json, f->body_file};
    const Doc *first = NULL;
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        if (sources[i] && first) {
            plan_mistake_key(r, sources[i], "a request has one of body, json and bodyFile");
            return;
        }
        first = sources[i] ? sources[i] : first;
    }
    // Files are sent as they are unless the plan asks; texts in the plan may have holes.
    bool holes = f->body_file == NULL;
    if (f->template) {
        if (f->template->type != DOC_BOOL) {
            plan_mistake(r, f->template, "template must be true or false, not %s",
                         doc_type_name(f->template->type));
            return;
        }
        holes = f->template->boolean;
    }
    request->has_body = first != NULL;
    Slice text = {0};
    if (f->body_file) {
        read_body_file(r, f->body_file, holes, request);
    } else if (f->json) {
        read_json_body(r, f->json, holes, request);
    } else if (f->body && plan_scalar(r, f->body, "body", &text)) {
        if (!holes) {
            request->body = template_literal(r->arena, text);
        } else {
            (void)plan_template(r, f->body, text, &request->body);
        }
    }
}

// ---- a request

static PlanRequest *read_request(PlanReader *r, const Doc *d, const RequestFields *f, Slice name)
{
    if (r->request_count == PLAN_REQUESTS_MAX || r->request_count == r->request_max) {
        plan_mistake(r, d, "more than %d requests", PLAN_REQUESTS_MAX);
        return NULL;
    }
    PlanRequest *request = &r->requests[r->request_count];
    *request = (PlanRequest){.name = name,
                             .timeout_ns = f->timeout_ns,
                             .max_redirects = (int)f->max_redirects,
                             .index = (uint32_t)r->request_count};
    if (name.len > PLAN_NAME_BYTES_MAX) {
        plan_mistake(r, d, "a request's name of more than %d bytes; give it a shorter `name`",
                     PLAN_NAME_BYTES_MAX);
    }
    r->request_count++;
    read_method(r, d, f->method, request);
    read_url(r, f->url, request);
    if (f->headers) {
        read_headers(r, f->headers, request);
    }
    read_body(r, f, request);
    if (f->tags) {
        (void)plan_labels(r, f->tags, &request->labels);
    }
    if (f->expected) {
        (void)plan_status_ranges(r, f->expected, &request->expected, &request->expected_count);
    }
    if (f->checks) {
        plan_read_checks(r, f->checks, request);
    }
    if (f->extract) {
        plan_read_extracts(r, f->extract, request);
    }
    return request;
}

static RequestFields defaults(void)
{
    return (RequestFields){.timeout_ns = PLAN_REQUEST_TIMEOUT_NS,
                           .max_redirects = PLAN_MAX_REDIRECTS};
}

static void read_named(PlanReader *r, const Doc *d)
{
    RequestFields f = defaults();
    size_t index = r->request_count;
    if (d->type == DOC_STRING) {
        f.url = d; // home: /
    } else if (!plan_fields_read(r, d, "request", &f)) {
        return;
    }
    if (!f.url) {
        plan_mistake_key(r, d, "the request \"%.*s\" needs a url", SLICE_FMT(d->key));
        return;
    }
    if (f.name.len > 0 && !slice_eq(f.name, d->key)) {
        plan_mistake(r, doc_get(d, SLICE("name")),
                     "a request under `requests` is named by its "
                     "key; remove `name`");
    }
    if (d->key.len == 0) {
        plan_mistake_key(r, d, "a request without a name");
    }
    if (read_request(r, d, &f, d->key)) {
        r->request_docs[index] = d;
    }
}

// The fields of a request that stand at the top of the document.
static void read_top(PlanReader *r, const Doc *doc, const TopFields *top)
{
    RequestFields f = defaults();
    for (const Doc *m = doc_first(doc); m; m = doc_next(m)) {
        const PlanField *field = plan_field("request", m->key);
        bool is_own = slice_eq(m->key, SLICE("name")) || slice_eq(m->key, SLICE("tags"));
        if (!field || is_own) {
            continue;
        }
        if (!top->url) {
            plan_mistake_key(r, m,
                             "`%.*s` at the top belongs to a `url` there; with `requests` it "
                             "goes into each of them",
                             SLICE_FMT(m->key));
            continue;
        }
        plan_field_read(r, field, m, &f);
    }
    Slice name = {0};
    if (top->url && plan_scalar(r, top->url, "url", &name)) {
        (void)read_request(r, doc, &f, name);
    }
}

void plan_read_requests(PlanReader *r, const Doc *doc, const TopFields *top)
{
    const Doc *d = top->requests;
    // Strings under `requests` are URLs as well.
    r->request_max += doc_count(d);
    r->request_max = r->request_max < PLAN_REQUESTS_MAX ? r->request_max : PLAN_REQUESTS_MAX;
    r->requests = ARENA_ARRAY(r->arena, PlanRequest, r->request_max + 1);
    r->request_docs = ARENA_ARRAY(r->arena, const Doc *, r->request_max + 1);
    r->request_uses = ARENA_ARRAY(r->arena, uint8_t, r->request_max + 1);
    if (d && d->type != DOC_OBJECT) {
        plan_mistake(r, d, "requests must be an object of requests by name, not %s",
                     doc_type_name(d->type));
        d = NULL;
    }
    for (const Doc *m = doc_first(d); m; m = doc_next(m)) {
        read_named(r, m);
    }
    read_top(r, doc, top);
}

static const PlanRequest *by_name(PlanReader *r, const Doc *d, unsigned use)
{
    Slice *names = ARENA_ARRAY(r->arena, Slice, r->request_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < r->request_count; i++) {
        if (!r->request_docs[i]) {
            continue;
        }
        if (slice_eq(r->requests[i].name, d->text)) {
            r->request_uses[i] |= (uint8_t)use;
            return &r->requests[i];
        }
        names[count++] = r->requests[i].name;
    }
    Slice nearest = slice_nearest(d->text, names, count);
    if (nearest.len > 0) {
        plan_mistake(r, d, "there is no request \"%.*s\"; did you mean \"%.*s\"?",
                     SLICE_FMT(d->text), SLICE_FMT(nearest));
    } else {
        plan_mistake(r, d,
                     "there is no request \"%.*s\"; declare it under `requests`, or write "
                     "{url: ...} here",
                     SLICE_FMT(d->text));
    }
    return NULL;
}

const PlanRequest *plan_request_of(PlanReader *r, const Doc *d, unsigned use)
{
    RequestFields f = defaults();
    Slice name = {0};
    if (d->type == DOC_STRING) {
        return by_name(r, d, use);
    }
    if (d->type != DOC_OBJECT) {
        plan_mistake(r, d, "a request is a name from `requests` or an object with a url, not %s",
                     doc_type_name(d->type));
        return NULL;
    }
    (void)plan_fields_read(r, d, "request", &f);
    if (!f.url) {
        plan_mistake(r, d, "a request needs a url");
        return NULL;
    }
    name = f.name;
    if (name.len == 0 && !plan_scalar(r, f.url, "url", &name)) {
        return NULL;
    }
    size_t index = r->request_count;
    const PlanRequest *request = read_request(r, d, &f, name);
    if (request) {
        r->request_uses[index] |= (uint8_t)use;
    }
    return request;
}

static bool has_feed(const Template *t)
{
    for (size_t i = 0; i < t->part_count; i++) {
        if (t->parts[i].kind == PART_FEED) {
            return true;
        }
    }
    return false;
}

bool plan_request_has_feed(const PlanRequest *request)
{
    bool found = has_feed(&request->url) || has_feed(&request->body);
    for (size_t i = 0; i < request->header_count; i++) {
        found = found || has_feed(&request->headers[i].value);
    }
    return found;
}
