#include "net/resolver.h"

#include <assert.h>
#include <netdb.h>

#include "base/map.h"
#include "base/rng.h"
#include "os/fiber.h"

enum { NAME_BYTES_MAX = 253 }; // RFC 1035 section 2.3.4, without the root's dot

typedef struct Lookup Lookup;

// One name. While `pending`, a job is looking it up and all who ask wait in the queue, each up to
// its own deadline: getaddrinfo cannot be stopped, and may take longer than a request has.
typedef struct Name {
    char text[NAME_BYTES_MAX + 1];
    NetAddr addrs[HTTP_ADDRS_MAX];
    size_t count;
    int failure; // EAI_* of the last lookup
    int64_t expires_ns;
    bool pending;
    size_t turn;  // round robin
    size_t users; // fibers inside: a name that is not kept dies with the last one
    bool kept;
    FiberQueue waiters;
} Name;

struct Resolver {
    ResolverOptions options;
    Map names;
    Rng rng;
    uint64_t lookups;
    Lookup *active;
};

// ---- the system's lookup, on a job thread

static int family_of(ResolverPolicy policy)
{
    switch (policy) {
    case RESOLVER_ONLY_IPV4: return AF_INET;
    case RESOLVER_ONLY_IPV6: return AF_INET6;
    case RESOLVER_PREFER_IPV4:
    case RESOLVER_PREFER_IPV6:
    case RESOLVER_ANY: return AF_UNSPEC;
    }
    return AF_UNSPEC;
}

static int system_lookup(ResolverPolicy policy, const char *name, NetAddr *addrs, size_t max,
                         size_t *ret_count)
{
    struct addrinfo hints = {.ai_family = family_of(policy), .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(name, NULL, &hints, &found);
    if (rc != 0) {
        return rc;
    }
    size_t count = 0;
    for (const struct addrinfo *a = found; a && count < max; a = a->ai_next) {
        if ((a->ai_family == AF_INET || a->ai_family == AF_INET6) &&
            a->ai_addrlen <= sizeof addrs->u) {
            memcpy(&addrs[count].u, a->ai_addr, a->ai_addrlen);
            addrs[count++].len = a->ai_addrlen;
        }
    }
    freeaddrinfo(found);
    *ret_count = count;
    return count > 0 ? 0 : EAI_NONAME;
}

// Has all that the job needs, because the resolver may be gone before it ends.
struct Lookup {
    Job job;
    Lookup *next;
    Lookup *prev;
    Resolver *resolver; // NULL: nobody wants to know any more
    Name *name;
    ResolverPolicy policy;
    int (*fn)(void *ctx, const char *name, NetAddr *ret_addrs, size_t max, size_t *ret_count);
    void *ctx;
    char text[NAME_BYTES_MAX + 1];
    NetAddr addrs[HTTP_ADDRS_MAX];
    size_t count;
    int failure;
};

static void run_lookup(Job *job)
{
    Lookup *l = CONTAINER_OF(job, Lookup, job);
    l->failure = l->fn ? l->fn(l->ctx, l->text, l->addrs, HTTP_ADDRS_MAX, &l->count)
                       : system_lookup(l->policy, l->text, l->addrs, HTTP_ADDRS_MAX, &l->count);
}

// ---- order of the addresses

static bool is_preferred(ResolverPolicy policy, const NetAddr *addr)
{
    bool v6 = addr->u.any.sa_family == AF_INET6;
    return policy == RESOLVER_ANY ||
           v6 == (policy == RESOLVER_PREFER_IPV6 || policy == RESOLVER_ONLY_IPV6);
}

// Preferred family first, each in the system's order (RFC 6724).
static void sort_addresses(ResolverPolicy policy, NetAddr *addrs, size_t count)
{
    NetAddr sorted[HTTP_ADDRS_MAX];
    size_t n = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < count; i++) {
            if (is_preferred(policy, &addrs[i]) == (pass == 0)) {
                sorted[n++] = addrs[i];
            }
        }
    }
    memcpy(addrs, sorted, count * sizeof *addrs);
}

static size_t choose(Resolver *r, Name *name, size_t preferred)
{
    switch (r->options.select) {
    case RESOLVER_FIRST: return 0;
    case RESOLVER_ROUND_ROBIN: return name->turn++ % preferred;
    case RESOLVER_RANDOM: return (size_t)rng_below(&r->rng, preferred);
    }
    return 0;
}

// The chosen one first, the rest behind it as they were.
static size_t copy_addresses(Resolver *r, Name *name, uint16_t port, NetAddr *out, size_t max)
{
    size_t preferred = 0;
    while (preferred < name->count && is_preferred(r->options.policy, &name->addrs[preferred])) {
        preferred++;
    }
    size_t first = choose(r, name, preferred > 0 ? preferred : name->count);
    size_t n = 0;
    out[n++] = name->addrs[first];
    for (size_t i = 0; i < name->count && n < max; i++) {
        if (i != first) {
            out[n++] = name->addrs[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (out[i].u.any.sa_family == AF_INET6) {
            out[i].u.v6.sin6_port = htons(port);
        } else {
            out[i].u.v4.sin_port = htons(port);
        }
    }
    return n;
}

// ---- the cache

static Name *find_or_add(Resolver *r, Slice host)
{
    Name *name = map_get(&r->names, host);
    if (name) {
        return name;
    }
    name = mem_zalloc(sizeof *name);
    memcpy(name->text, host.ptr, host.len);
    name->kept =
        r->options.ttl_ns >= 0 && map_put(&r->names, slice_from_cstr(name->text), name) == 0;
    return name;
}

static void free_unused(Name *name)
{
    if (name->users == 0 && !name->pending && !name->kept) {
        free(name);
    }
}

static void on_looked_up(Job *job)
{
    Lookup *l = CONTAINER_OF(job, Lookup, job);
    Resolver *r = l->resolver;
    if (r) {
        Name *name = l->name;
        *(l->prev ? &l->prev->next : &r->active) = l->next;
        if (l->next) {
            l->next->prev = l->prev;
        }
        name->pending = false;
        name->failure = l->failure;
        name->count = l->failure == 0 ? l->count : 0;
        memcpy(name->addrs, l->addrs, sizeof name->addrs);
        sort_addresses(r->options.policy, name->addrs, name->count);
        int64_t ttl_ns = r->options.ttl_ns > 0 ? r->options.ttl_ns : RESOLVER_TTL_NS;
        name->expires_ns =
            loop_clock(r->options.loop) + (name->failure == 0 ? ttl_ns : RESOLVER_NEGATIVE_TTL_NS);
        fiber_queue_wake_all(&name->waiters);
        free_unused(name);
    }
    free(l);
}

static int begin_lookup(Resolver *r, Name *name, Err *e)
{
    Lookup *l = mem_zalloc(sizeof *l);
    l->job = (Job){.run = run_lookup, .done = on_looked_up};
    l->resolver = r;
    l->name = name;
    l->policy = r->options.policy;
    l->fn = r->options.lookup;
    l->ctx = r->options.lookup_ctx;
    memcpy(l->text, name->text, sizeof l->text);
    int rc = jobs_submit(r->options.jobs, r->options.loop, &l->job, e);
    if (rc != 0) {
        free(l);
        return rc;
    }
    l->next = r->active;
    if (l->next) {
        l->next->prev = l;
    }
    r->active = l;
    r->lookups++;
    name->pending = true;
    return 0;
}

static int fresh(Resolver *r, Name *name, int64_t deadline_ns, Err *e)
{
    while (name->expires_ns <= loop_clock(r->options.loop)) {
        int rc = name->pending ? 0 : begin_lookup(r, name, e);
        if (rc != 0) {
            return rc;
        }
        rc = fiber_queue_wait(&name->waiters, "dns", deadline_ns);
        if (rc != 0) {
            return err_set(e, (ErrCode)rc, "looking up '%s': %s", name->text,
                           rc == ERR_TIMEOUT ? "timed out" : "cancelled");
        }
        if (!name->pending) {
            return 0; // just now, so good for everybody who waited, whatever its time to live
        }
    }
    return 0;
}

static int tell_failure(const Name *name, Err *e)
{
    bool no_host = name->failure == EAI_NONAME || name->failure == EAI_NODATA ||
                   name->failure == EAI_ADDRFAMILY;
    return err_set(e, no_host ? ERR_NOT_FOUND : ERR_DNS, "looking up '%s': %s", name->text,
                   gai_strerror(name->failure));
}

static bool matches(Slice pattern, Slice host)
{
    if (pattern.len == 0 || pattern.ptr[0] != '*') {
        return slice_eq_nocase(pattern, host);
    }
    Slice end = slice_sub(pattern, 1, pattern.len);
    return host.len > end.len && slice_eq_nocase(slice_sub(host, host.len - end.len, end.len), end);
}

static const ResolverHost *find_fixed(const Resolver *r, Slice host)
{
    const ResolverHost *by_ending = NULL;
    for (size_t i = 0; i < r->options.host_count; i++) {
        const ResolverHost *h = &r->options.hosts[i];
        if (slice_eq_nocase(h->name, host)) {
            return h;
        }
        if (!by_ending && matches(h->name, host)) {
            by_ending = h;
        }
    }
    return by_ending;
}

static int resolve(void *ctx, Slice host, uint16_t port, int64_t deadline_ns, NetAddr *ret_addrs,
                   size_t max, size_t *ret_count, Err *e)
{
    Resolver *r = ctx;
    for (size_t i = 0; i < r->options.blocked_count; i++) {
        if (matches(r->options.blocked[i], host)) {
            return err_set(e, ERR_REFUSED, "host '%.*s' is blocked by '%.*s'", SLICE_FMT(host),
                           SLICE_FMT(r->options.blocked[i]));
        }
    }
    const ResolverHost *fixed_host = find_fixed(r, host);
    if (fixed_host) {
        Name fixed = {.addrs = {fixed_host->addr}, .count = 1};
        uint16_t own = net_addr_port(&fixed_host->addr);
        *ret_count = copy_addresses(r, &fixed, own ? own : port, ret_addrs, max);
        return 0;
    }
    if (host.len == 0 || host.len > NAME_BYTES_MAX || slice_find_byte(host, '\0') >= 0) {
        return err_set(e, ERR_NOT_FOUND, "'%.*s' is no host name", SLICE_FMT(host));
    }
    Name *name = find_or_add(r, host);
    name->users++;
    int rc = fresh(r, name, deadline_ns, e);
    if (rc == 0 && name->failure != 0) {
        rc = tell_failure(name, e);
    }
    if (rc == 0) {
        *ret_count = copy_addresses(r, name, port, ret_addrs, max);
    }
    name->users--;
    free_unused(name);
    return rc;
}

int resolver_create(const ResolverOptions *options, Resolver **ret_resolver, Err *e)
{
    if (!options->loop || !options->jobs) {
        return err_set(e, ERR_ARG, "a resolver needs a loop and a job pool");
    }
    Resolver *r = mem_zalloc(sizeof *r);
    r->options = *options;
    r->names = map_create(RESOLVER_NAMES_MAX, options->seed);
    r->rng = rng_stream(options->seed, SLICE("dns"), 0);
    *ret_resolver = r;
    return 0;
}

void resolver_destroy(Resolver *r)
{
    if (!r) {
        return;
    }
    while (r->active) {
        Lookup *l = r->active;
        r->active = l->next;
        l->resolver = NULL;
        l->name->pending = false;
        free_unused(l->name);
    }
    Slice key;
    void *value;
    for (size_t i = 0; map_next(&r->names, &i, &key, &value);) {
        assert(((Name *)value)->users == 0);
        free(value);
    }
    map_done(&r->names);
    free(r);
}

NetResolver resolver_seam(Resolver *r)
{
    return (NetResolver){.resolve = resolve, .ctx = r};
}

uint64_t resolver_lookups(const Resolver *r)
{
    return r->lookups;
}
