#include "mcp/dialer.h"

#include "guard/host.h"
#include "net/resolver.h"
#include "net/tls.h"
#include "os/jobs.h"

enum { LOOKUP_THREADS = 2, LOOKUPS_MAX = 1024 };
// Below the five seconds after which Node's HTTP server, on which many MCP servers stand, closes an
// idle connection: a POST that meets the closing cannot be repeated.
static const int64_t IDLE_NS = 4 * NS_PER_S;
static const int64_t CONNECT_NS = 10 * NS_PER_S;

struct McpDialer {
    Loop *loop;
    JobPool *jobs;
    Resolver *resolver;
    NetResolver names;
    TlsClient *tls;
    TlsConnector connector;
    ConnectFilter filter;
    HttpContext *http;
};

static int allow(void *ctx, const NetAddr *addr, Slice host, Err *e)
{
    (void)ctx;
    unsigned char ip[HOST_IP_BYTES];
    if (addr->u.any.sa_family == AF_INET) {
        unsigned char v4[4];
        memcpy(v4, &addr->u.v4.sin_addr, sizeof v4);
        address_from_v4(v4, ip);
    } else if (addr->u.any.sa_family == AF_INET6) {
        memcpy(ip, &addr->u.v6.sin6_addr, sizeof ip);
    } else {
        return err_set(e, ERR_REFUSED, "'%.*s' is no internet address", SLICE_FMT(host));
    }
    AddressClass class = address_class(ip);
    if (class == ADDRESS_ORDINARY || class == ADDRESS_LOOPBACK) {
        return 0;
    }
    return err_set(e, ERR_REFUSED, "'%.*s' is %s, where no MCP server may be", SLICE_FMT(host),
                   address_class_name(class));
}

int mcp_dialer_open(Loop *loop, McpDialer **ret_dialer, Err *e)
{
    McpDialer *d = mem_zalloc(sizeof *d);
    d->loop = loop;
    d->filter = (ConnectFilter){.allow = allow, .ctx = d};
    JobOptions jobs = {.name = "dns", .threads = LOOKUP_THREADS, .queue_max = LOOKUPS_MAX};
    int rc = jobs_create(&jobs, &d->jobs, e);
    rc = rc != 0 ? rc : tls_client_create(&(TlsClientOptions){0}, &d->tls, e);
    rc = rc != 0
             ? rc
             : resolver_create(&(ResolverOptions){.loop = loop, .jobs = d->jobs}, &d->resolver, e);
    if (rc != 0) {
        mcp_dialer_close(d);
        return rc;
    }
    d->names = resolver_seam(d->resolver);
    d->connector = tls_client_connector(d->tls);
    d->http = http_context_create(&(HttpContextOptions){.loop = loop,
                                                        .resolver = &d->names,
                                                        .tls = &d->connector,
                                                        .filter = &d->filter,
                                                        .idle_ns = IDLE_NS,
                                                        .connect_timeout_ns = CONNECT_NS});
    *ret_dialer = d;
    return 0;
}

HttpContext *mcp_dialer_http(const McpDialer *d)
{
    return d->http;
}

void mcp_dialer_close(McpDialer *d)
{
    if (!d) {
        return;
    }
    http_context_destroy(d->http);
    resolver_destroy(d->resolver);
    tls_client_destroy(d->tls);
    if (d->jobs) {
        jobs_drain(d->jobs, d->loop); // a lookup that nobody waits for any more
        jobs_destroy(d->jobs);
    }
    free(d);
}
