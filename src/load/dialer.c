#include "load/dialer.h"

#include "net/resolver.h"
#include "net/tls.h"

// getaddrinfo blocks: names are looked up on threads of their own.
enum { LOOKUP_THREADS = 2, LOOKUPS_MAX = 1024 };

struct Dialer {
    DialerOptions options;
    JobPool *jobs;
    ConnectFilter filter;
    EngineNet net;
};

// One shard's: TLS contexts are not shared between threads.
typedef struct Line {
    TlsClient *tls;
    TlsConnector connector;
    Resolver *resolver;
    NetResolver names;
} Line;

static int allow(void *ctx, const NetAddr *addr, Slice host, Err *e)
{
    const Dialer *dialer = ctx;
    return guard_check_address(dialer->options.guard, host, &addr->u.any, e);
}

static int check_host(void *ctx, Slice host, Err *e)
{
    const Dialer *dialer = ctx;
    return dialer->options.guard ? guard_check_host(dialer->options.guard, host, e) : 0;
}

static TlsVersion version_of(Slice text)
{
    return slice_eq_cstr(text, "1.2")   ? TLS_VERSION_1_2
           : slice_eq_cstr(text, "1.3") ? TLS_VERSION_1_3
                                        : TLS_VERSION_DEFAULT;
}

// PEM files are named in the plan; the TLS module wants NUL-terminated names.
static TlsPem pem(Arena *arena, Slice file)
{
    return (TlsPem){.file = file.len > 0 ? arena_cstr(arena, file) : NULL};
}

static int open_tls(const PlanEnvironment *env, TlsClient **ret, Err *e)
{
    Arena *arena = arena_create(1 << 20);
    TlsClientOptions o = {0};
    if (env) {
        o.insecure_skip_verify = env->tls.insecure_skip_verify;
        o.no_h2 = !env->http2;
        o.ca = pem(arena, env->tls.ca_file);
        o.cert = pem(arena, env->tls.cert_file);
        o.key = pem(arena, env->tls.key_file);
        o.version_min = version_of(env->tls.min_version);
        o.version_max = version_of(env->tls.max_version);
    }
    int rc = tls_client_create(&o, ret, e);
    arena_destroy(arena);
    return rc;
}

static void line_destroy(Line *line)
{
    resolver_destroy(line->resolver);
    tls_client_destroy(line->tls);
    free(line);
}

static int open_line(void *ctx, Loop *loop, HttpContextOptions *http, void **ret_handle, Err *e)
{
    Dialer *dialer = ctx;
    Line *line = mem_zalloc(sizeof *line);
    ResolverOptions names = {.loop = loop, .jobs = dialer->jobs, .seed = dialer->options.seed};
    int rc = open_tls(dialer->options.environment, &line->tls, e);
    if (rc != 0 || (rc = resolver_create(&names, &line->resolver, e)) != 0) {
        line_destroy(line);
        return rc;
    }
    line->connector = tls_client_connector(line->tls);
    line->names = resolver_seam(line->resolver);
    http->tls = &line->connector;
    http->resolver = &line->names;
    http->filter = dialer->options.guard ? &dialer->filter : NULL;
    *ret_handle = line;
    return 0;
}

static void close_line(void *ctx, void *handle)
{
    (void)ctx;
    line_destroy(handle);
}

int dialer_create(const DialerOptions *options, Dialer **ret_dialer, Err *e)
{
    Dialer *dialer = mem_zalloc(sizeof *dialer);
    dialer->options = *options;
    dialer->filter = (ConnectFilter){.allow = allow, .ctx = dialer};
    dialer->net = (EngineNet){
        .ctx = dialer, .open = open_line, .close = close_line, .check_host = check_host};
    JobOptions jobs = {.name = "dns", .threads = LOOKUP_THREADS, .queue_max = LOOKUPS_MAX};
    int rc = jobs_create(&jobs, &dialer->jobs, e);
    if (rc != 0) {
        dialer_destroy(dialer);
        return rc;
    }
    *ret_dialer = dialer;
    return 0;
}

void dialer_destroy(Dialer *dialer)
{
    if (dialer) {
        jobs_destroy(dialer->jobs);
        free(dialer);
    }
}

const EngineNet *dialer_net(const Dialer *dialer)
{
    return &dialer->net;
}
