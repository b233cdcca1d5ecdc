#include "net/resolver.h"

#include <assert.h>
#include <netdb.h>

#include "base/map.h"
#include "base/rng.h"
#include "os/fiber.h"

enum { NAME_BYTES_MAX = 253 }; // RFC 1035 section 2.3.4, without the root's dot

// One name. While `pending`, a fiber is looking it up and the others wait in the queue.
typedef struct Name {
    char text[NAME_BYTES_MAX + 1];
    NetAddr addrs[HTTP_ADDRS_MAX];
    size_t count;
    int failure; // EAI_* of the last lookup
    int64_t expires_ns;
    bool pending;
    size_t turn;  // round robin
    size_t users; // fibers between lookup and copy: a name that is not kept dies with the last one
    bool kept;
    FiberQueue waiters;
} Name;

struct Resolver {
    ResolverOptions options;
    Map names;
    Rng rng;
    uint64_t lookups;
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

typedef struct Lookup {
    const ResolverOptions *options;
    const char *name;
    NetAddr addrs[HTTP_ADDRS_MAX];
    size_t count;
    int failure;
} Lookup;

static void run_lookup(void *arg)
{
    Lookup *l = arg;
    l->failure = l->options->lookup ? l->options->lookup(l->options->lookup_ctx, l->name, l->addrs,
                                                         HTTP_ADDRS_MAX, &l->count)
                                    : system_lookup(l->options->policy, l->name, l->addrs,
                                                    HTTP_ADDRS_MAX, &l->count);
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

static void release(Name *name)
{
    name->users--;
    if (name->users == 0 && !name->kept) {
        free(name);
    }
}

static int look_up(Resolver *r, Name *name, Err *e)
{
    Lookup lookup = {.options = &r->options, .name = name->text};
    name->pending = true;
    r->lookups++;
    int rc = jobs_call(r->options.jobs, run_lookup, &lookup, e);
    name->pending = false;
    if (rc == 0) {
        name->failure = lookup.failure;
        name->count = lookup.failure == 0 ? lookup.count : 0;
        memcpy(name->addrs, lookup.addrs, sizeof name->addrs);
        sort_addresses(r->options.policy, name->addrs, name->count);
        int64_t ttl_ns = r->options.ttl_ns > 0 ? r->options.ttl_ns : RESOLVER_TTL_NS;
        name->expires_ns =
            loop_clock(r->options.loop) + (name->failure == 0 ? ttl_ns : RESOLVER_NEGATIVE_TTL_NS);
    }
    fiber_queue_wake_all(&name->waiters);
    return rc;
}

static int fresh(Resolver *r, Name *name, int64_t deadline_ns, Err *e)
{
    while (name->expires_ns <= loop_clock(r->options.loop)) {
        if (!name->pending) {
            return look_up(r, name, e);
        }
        int rc = fiber_queue_wait(&name->waiters, "dns", deadline_ns);
        if (rc != 0) {
            return err_set(e, (ErrCode)rc, "looking up '%s': %s", name->text,
                           rc == ERR_TIMEOUT ? "timed out" : "cancelled");
        }
        if (!name->kept && !name->pending) {
            return 0; // somebody else's answer just now, good for everybody who waited
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

static int resolve(void *ctx, Slice host, uint16_t port, int64_t deadline_ns, NetAddr *ret_addrs,
                   size_t max, size_t *ret_count, Err *e)
{
    Resolver *r = ctx;
    for (size_t i = 0; i < r->options.host_count; i++) {
        const ResolverHost *h = &r->options.hosts[i];
        if (slice_eq_nocase(h->name, host)) {
            Name fixed = {.addrs = {h->addr}, .count = 1};
            uint16_t own = net_addr_port(&h->addr);
            *ret_count = copy_addresses(r, &fixed, own ? own : port, ret_addrs, max);
            return 0;
        }
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
    release(name);
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
