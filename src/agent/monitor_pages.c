#include <stdarg.h>

#include "agent/monitor_impl.h"
#include "prof/fibers.h"
#include "prof/heap.h"
#include "prof/profiler.h"
#include "telemetry/exposition.h"

#define HANGS_NS (5 * NS_PER_S)

typedef struct Ask {
    Monitor *m;
    const HttpServerRequest *request;
    HttpReply *reply;
} Ask;

// ---- answers

static void say(Ask *a, int status, const char *format, ...) PRINTF_LIKE(3, 4);
static void say(Ask *a, int status, const char *format, ...)
{
    char text[ERR_TEXT_MAX + 2];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text - 1, format, args);
    va_end(args);
    len = len < (int)sizeof text - 1 ? len : (int)sizeof text - 2;
    text[len++] = '\n';
    (void)http_reply_send(a->reply, status, SLICE("text/plain; charset=utf-8"),
                          (Slice){text, (size_t)len}, NULL);
}

// Sends what was built and frees it.
static void give(Ask *a, Slice type, Buf *body)
{
    if (body->overflowed) {
        say(a, 500, "the page is larger than %zu bytes", body->max);
    } else {
        (void)http_reply_send(a->reply, 200, type, buf_slice(body), NULL);
    }
    buf_done(body);
}

// The value of ?name=, the empty slice without.
static Slice parameter(const Ask *a, const char *name)
{
    Slice rest = a->request->query, item, key, value;
    while (rest.len > 0) {
        (void)slice_cut(rest, '&', &item, &rest);
        (void)slice_cut(item, '=', &key, &value);
        if (slice_eq_cstr(key, name)) {
            return value;
        }
    }
    return (Slice){0};
}

// ---- numbers

static void metrics_page(Ask *a)
{
    if (monitor_collect(a->m) != 0) {
        say(a, 503, "too busy or stopping");
        return;
    }
    Buf body = buf_create(EXPOSITION_BYTES_MAX);
    exposition_write(&body, a->m->collector, (Slice){0});
    monitor_unlock(a->m);
    give(a, EXPOSITION_TYPE, &body);
}

static void live_page(Ask *a)
{
    if (monitor_lock(a->m) != 0) {
        say(a, 503, "stopping");
        return;
    }
    Buf body = buf_create(EXPOSITION_BYTES_MAX);
    live_json(a->m->live, &body);
    monitor_unlock(a->m);
    give(a, SLICE("application/json"), &body);
}

static void graph_page(Ask *a)
{
    bool dot = slice_eq_cstr(parameter(a, "format"), "dot");
    bool svg = slice_eq_cstr(parameter(a, "format"), "svg");
    if (monitor_lock(a->m) != 0) {
        say(a, 503, "stopping");
        return;
    }
    Buf body = buf_create(EXPOSITION_BYTES_MAX);
    (dot ? live_graph_dot : svg ? live_graph_svg : live_graph_json)(a->m->live, &body);
    monitor_unlock(a->m);
    give(a,
         dot   ? SLICE("text/vnd.graphviz")
         : svg ? SLICE("image/svg+xml")
               : SLICE("application/json"),
         &body);
}

typedef struct Health {
    Monitor *m;
    Buf words;
    bool well;
} Health;

static void health_job(void *arg)
{
    Health *h = arg;
    for (size_t i = 0; i < h->m->source_count; i++) {
        const MonitorSource *s = &h->m->sources[i];
        h->well = (!s->healthy || s->healthy(s->ctx, &h->words)) && h->well;
    }
}

static void health_page(Ask *a)
{
    // Collecting asks every shard, so it is the first to notice one that does not answer.
    int64_t busy_ns = a->m->busy ? loop_clock(a->m->loop) - a->m->busy_since_ns : 0;
    if (busy_ns > HANGS_NS) {
        say(a, 503, "a shard has not answered for %lld s", (long long)(busy_ns / NS_PER_S));
        return;
    }
    Health h = {.m = a->m, .words = buf_create(64 << 10), .well = true};
    if (jobs_call(a->m->jobs, health_job, &h, NULL) != 0) {
        say(a, 503, "too busy or stopping");
    } else if (h.well) {
        say(a, 200, "ok");
    } else {
        say(a, 503, "%.*s", SLICE_FMT(buf_slice(&h.words)));
    }
    buf_done(&h.words);
}

// ---- profiles

typedef struct Making {
    Monitor *m;
    Profiler *profiler; // CPU: stopped by the job
    Profile *profile;
    bool text, svg;
    Buf out;
    int rc;
    Err err;
} Making;

// Everything that takes long: symbols, compressing, waiting for shards.
static void make_job(void *arg)
{
    Making *k = arg;
    if (k->profiler) {
        k->profile = profiler_stop(k->profiler);
    }
    for (size_t i = 0; !k->profiler && i < k->m->source_count; i++) {
        const MonitorSource *s = &k->m->sources[i];
        if (s->fibers && profile_kind(k->profile) == PROFILE_FIBERS) {
            s->fibers(s->ctx, k->profile);
        }
    }
    k->rc = profile_resolve(k->profile, 0, &k->err);
    if (k->rc == 0) {
        k->rc = k->text  ? profile_write_text(k->profile, &k->out, &k->err)
                : k->svg ? profile_write_svg(k->profile, k->m->options.service, &k->out, &k->err)
                         : profile_write_pprof(k->profile, &k->out, &k->err);
    }
}

static void give_profile(Ask *a, Making *k, const char *name)
{
    k->m = a->m;
    k->out = buf_create(PROFILE_BYTES_MAX);
    k->text =
        slice_eq_cstr(parameter(a, "debug"), "1") || slice_eq_cstr(parameter(a, "debug"), "2");
    k->svg = slice_eq_cstr(parameter(a, "format"), "svg");
    char disposition[64];
    int len = snprintf(disposition, sizeof disposition, "attachment; filename=\"%s.pb.gz\"", name);
    if (jobs_call(a->m->jobs, make_job, k, NULL) != 0) {
        if (k->profiler && !k->profile) {
            k->profile = profiler_stop(k->profiler); // the job did not run
        }
        say(a, 503, "too busy or stopping");
    } else if (k->rc != 0) {
        say(a, 500, "%s", k->err.text);
    } else {
        if (!k->text && !k->svg) {
            int rc = http_reply_header(a->reply, SLICE("content-disposition"),
                                       (Slice){disposition, (size_t)len}, NULL);
            assert(rc == 0);
            (void)rc;
        }
        give(a,
             k->text  ? SLICE("text/plain; charset=utf-8")
             : k->svg ? SLICE("image/svg+xml")
                      : SLICE("application/octet-stream"),
             &k->out);
    }
    buf_done(&k->out);
    profile_destroy(k->profile);
}

// ?name= as a number from 1 to `max`; `fallback` without it. -1 for anything else.
static int64_t number(const Ask *a, const char *name, int64_t max, int64_t fallback)
{
    Slice text = parameter(a, name);
    int64_t value;
    if (text.len == 0) {
        return fallback;
    }
    return slice_to_i64(text, &value) == 0 && value >= 1 && value <= max ? value : -1;
}

static void cpu_page(Ask *a)
{
    int64_t seconds = number(a, "seconds", MONITOR_PROFILE_S_MAX, MONITOR_PROFILE_S_DEFAULT);
    int64_t hz = number(a, "hz", PROFILER_HZ_MAX, PROFILER_HZ);
    if (seconds < 0 || hz < 0) {
        say(a, 400, "seconds are 1 to %d, hz 1 to %d", MONITOR_PROFILE_S_MAX, PROFILER_HZ_MAX);
        return;
    }
    if (a->m->profiling_cpu) {
        say(a, 503, "another CPU profile is being taken");
        return;
    }
    Making k = {0};
    ProfilerOptions options = {.kind = PROFILE_CPU, .hz = (int)hz};
    if (profiler_start(&options, &k.profiler, &k.err) != 0) {
        say(a, 500, "%s", k.err.text);
        return;
    }
    a->m->profiling_cpu = true;
    if (fiber_sleep(seconds * NS_PER_S) != 0) {
        profile_destroy(profiler_stop(k.profiler));
        say(a, 503, "stopping");
    } else {
        give_profile(a, &k, "profile");
    }
    a->m->profiling_cpu = false;
}

static void heap_page(Ask *a)
{
    if (!a->m->sampling_heap) {
        say(a, 501, "this program's allocator does not report allocations");
        return;
    }
    Making k = {.profile = heap_snapshot()};
    give_profile(a, &k, "heap");
}

static void fibers_page(Ask *a)
{
    Making k = {.profile = profile_create(PROFILE_FIBERS, 1)};
    profile_add_fibers(k.profile, a->m->pool); // our own, on our own thread
    give_profile(a, &k, "goroutine");
}

// ---- pages of sources

typedef struct Asking {
    Monitor *m;
    Slice path;
    Buf json;
    bool found;
} Asking;

static void source_job(void *arg)
{
    Asking *k = arg;
    for (size_t i = 0; i < k->m->source_count && !k->found; i++) {
        const MonitorSource *s = &k->m->sources[i];
        k->found = s->page && s->page(s->ctx, k->path, &k->json);
    }
}

static void source_page(Ask *a)
{
    Asking k = {.m = a->m, .path = a->request->path, .json = buf_create(EXPOSITION_BYTES_MAX)};
    if (jobs_call(a->m->jobs, source_job, &k, NULL) != 0) {
        say(a, 503, "too busy or stopping");
    } else if (k.found) {
        give(a, SLICE("application/json"), &k.json);
    } else {
        say(a, 404, "no such page; / lists them");
    }
    buf_done(&k.json);
}

// ---- the way there

typedef struct Page {
    const char *path;
    void (*fn)(Ask *a);
    bool metrics, profiling; // switched off by options
    const char *help;
} Page;

static const Page PAGES[] = {
    {"/healthz", health_page, false, false, "whether all is well"},
    {"/metrics", metrics_page, true, false, "Prometheus text"},
    {"/debug/live", live_page, true, false, "rates and percentiles of the last interval"},
    {"/debug/graph", graph_page, true, false, "who calls whom; ?format=svg or dot"},
    {"/debug/pprof/profile", cpu_page, false, true, "CPU; ?seconds=30&hz=99&format=svg&debug=1"},
    {"/debug/pprof/heap", heap_page, false, true, "sampled allocations; ?format=svg&debug=1"},
    {"/debug/pprof/goroutine", fibers_page, false, true, "fibers; ?format=svg&debug=1"},
};

static bool is_on(const Monitor *m, const Page *page)
{
    return !(page->metrics && m->options.no_metrics) && !(page->profiling && !m->options.profiling);
}

static void index_page(Ask *a)
{
    Buf body = buf_create(64 << 10);
    for (size_t i = 0; i < COUNT_OF(PAGES); i++) {
        if (is_on(a->m, &PAGES[i])) {
            buf_printf(&body, "%-24s %s\n", PAGES[i].path, PAGES[i].help);
        }
    }
    give(a, SLICE("text/plain; charset=utf-8"), &body);
}

// A page of the web whose name was pointed at 127.0.0.1 sends that name (DNS rebinding).
static bool is_for_localhost(const HttpServerRequest *request)
{
    static const Slice names[] = {SLICE_INIT("localhost"), SLICE_INIT("127.0.0.1"),
                                  SLICE_INIT("[::1]")};
    Slice host = http_head_get(request->head, SLICE("host"));
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        Slice rest = slice_sub(host, names[i].len, host.len);
        if (slice_eq_nocase(slice_sub(host, 0, names[i].len), names[i]) &&
            (rest.len == 0 || rest.ptr[0] == ':')) {
            return true;
        }
    }
    return false;
}

void monitor_handle(void *ctx, const HttpServerRequest *request, HttpReply *reply)
{
    Ask a = {ctx, request, reply};
    if (!is_for_localhost(request)) {
        say(&a, 403, "ask for localhost or 127.0.0.1");
        return;
    }
    if (!slice_eq_cstr(request->method, "GET") && !slice_eq_cstr(request->method, "HEAD")) {
        say(&a, 405, "only GET");
        return;
    }
    if (slice_eq_cstr(request->path, "/") || slice_eq_cstr(request->path, "/debug/pprof/") ||
        slice_eq_cstr(request->path, "/debug/pprof")) {
        index_page(&a);
        return;
    }
    for (size_t i = 0; i < COUNT_OF(PAGES); i++) {
        if (slice_eq_cstr(request->path, PAGES[i].path) && is_on(a.m, &PAGES[i])) {
            PAGES[i].fn(&a);
            return;
        }
    }
    source_page(&a);
}
